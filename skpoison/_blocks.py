"""Dask collections, which are told without importing Dask."""

from types import ModuleType
from typing import Any


def is_lazy(data: Any) -> bool:
    """Whether data is a Dask collection, whose rows are elsewhere or not yet there.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison._blocks import is_lazy
    >>> is_lazy(np.zeros(3))
    False
    """
    return not isinstance(data, type) and hasattr(data, "__dask_graph__")


def check_in_passes(filter_: Any) -> None:
    """Refuse Dask collections where a filter needs all rows at once."""
    if filter_._fits_in_passes or filter_._fits_on_sample:
        return
    names = sorted({type(one).__name__ for one in filter_._in_memory()})
    raise TypeError(
        f"X is a Dask collection, and {', '.join(names)} needs all rows in memory: "
        "pass X.compute(), or a sample of the rows. SphereFilter, SlabFilter, "
        "MahalanobisFilter, SubspaceFilter, SpectralFilter (without transformer), and "
        "intersections and unions of them take Dask collections. LossFilter, "
        "CrossFitFilter, NearCopyFilter and AutoFilter, and combinations with them, "
        "are fitted on a sample of theirs."
    )


def engine() -> ModuleType:
    """Return the code for Dask collections, which imports Dask."""
    from skpoison import _dask

    return _dask
