"""Meta-estimators that combine estimators with filters and attacks."""

from skpoison.meta._filtered import FilteredClassifier, FilteredRegressor
from skpoison.meta._poisoned import (
    PoisonedClassifier,
    PoisonedRegressor,
    set_attack_filter,
)
from skpoison.meta._sampler import DropOutliers
from skpoison.meta._trusted import TrustedKFold

__all__ = [
    "DropOutliers",
    "FilteredClassifier",
    "FilteredRegressor",
    "PoisonedClassifier",
    "PoisonedRegressor",
    "TrustedKFold",
    "set_attack_filter",
]
