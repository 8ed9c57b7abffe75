"""Filters and linear models on Dask collections.

Nothing imports this package unless a Dask collection is passed. It adds no algorithm:
:mod:`skpoison.filters._passes` holds the passes, and here Dask runs them over the
partitions.
"""

from skpoison._dask._fit import fit
from skpoison._dask._linear import outputs
from skpoison._dask._select import apply, fit_filter

__all__ = ["apply", "fit", "fit_filter", "outputs"]
