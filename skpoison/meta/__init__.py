"""Filters around estimators."""

from skpoison.meta._filtered import FilteredClassifier, FilteredRegressor
from skpoison.meta._sampler import DropOutliers

__all__ = ["DropOutliers", "FilteredClassifier", "FilteredRegressor"]
