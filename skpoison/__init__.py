"""Defenses against data poisoning for scikit-learn, with certified bounds.

The public names below load on first use, so that ``import skpoison`` costs little and
pulls in none of the heavier dependencies.
"""

import importlib

__version__ = "0.1.0.dev0"

_HOMES = {
    "SphereFilter": "skpoison.filters",
    "SlabFilter": "skpoison.filters",
    "EPICFilter": "skpoison.filters",
    "FilterIntersection": "skpoison.filters",
    "FilteredClassifier": "skpoison.meta",
    "FilteredRegressor": "skpoison.meta",
    "DropOutliers": "skpoison.meta",
    "PoisonedClassifier": "skpoison.meta",
    "CertifiedBound": "skpoison.bounds",
    "NormConstrainedSVC": "skpoison.bounds",
    "bound_curve": "skpoison.bounds",
    "audit": "skpoison._audit",
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
    "meta",
    "neural",
    "testing",
)

__all__ = [
    "__version__",
    *_HOMES,
]


def __getattr__(name):
    if name in _SUBPACKAGES:
        return importlib.import_module(f"skpoison.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__():
    return sorted({*globals(), *_HOMES, *_SUBPACKAGES})
