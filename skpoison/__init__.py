"""Defenses against data poisoning for scikit-learn, with certified bounds.

The public names below are imported on first use, so that ``import skpoison`` is fast
and does not import the heavier dependencies.
"""

import importlib

from skpoison._lazy import lazy_names

__version__ = "0.1.0.dev0"

_HOMES = {
    "AutoFilter": "filters",
    "SphereFilter": "filters",
    "SlabFilter": "filters",
    "EPICFilter": "filters",
    "FilterIntersection": "filters",
    "FilteredClassifier": "meta",
    "FilteredRegressor": "meta",
    "DropOutliers": "meta",
    "PoisonedClassifier": "meta",
    "PoisonedRegressor": "meta",
    "CertifiedBound": "bounds",
    "NormConstrainedSVC": "bounds",
    "bound_curve": "bounds",
    "PartitionedClassifier": "pointwise",
    "certified_radius": "pointwise",
    "audit": "_audit",
    "trace": "tracing",
}
_SUBPACKAGES = (
    "attacks",
    "bounds",
    "coreset",
    "datasets",
    "evaluation",
    "exceptions",
    "feasible",
    "filters",
    "inspection",
    "losses",
    "meta",
    "neural",
    "persistence",
    "pointwise",
    "testing",
    "tracing",
    "verify",
)

__all__ = [
    "__version__",
    *_HOMES,
]


_load, _names = lazy_names(__name__, _HOMES)


def __getattr__(name):
    if name in _SUBPACKAGES:
        return importlib.import_module(f"skpoison.{name}")
    return _load(name)


def __dir__():
    return sorted({*_names(), *_SUBPACKAGES})
