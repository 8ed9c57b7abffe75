"""Display objects that plot bounds, filters and attacks."""

from skpoison._lazy import lazy_names

_HOMES = {
    "BoundDisplay": "_bound",
    "CertifiedAccuracyDisplay": "_certified",
    "DefenseDisplay": "_defense",
    "EPICDisplay": "_epic",
    "FilterDisplay": "_filter",
    "RobustnessDisplay": "_robustness",
    "SuspicionDisplay": "_suspicion",
    "TraceDisplay": "_trace",
}

__all__ = [*_HOMES]

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
