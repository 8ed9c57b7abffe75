"""Filters: estimators that score training rows and reject the suspicious ones."""

from skpoison.filters._combine import FilterIntersection
from skpoison.filters._slab import SlabFilter
from skpoison.filters._sphere import SphereFilter

__all__ = ["FilterIntersection", "SlabFilter", "SphereFilter"]
