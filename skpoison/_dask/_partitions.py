"""The partitions of Dask collections, and of what belongs to their rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from skpoison._blocks import is_lazy


def partitions(data: Any) -> list[Delayed]:
    """Return one delayed object for each partition of the rows."""
    if not is_array(data):
        # Full optimization joins the partitions of narrow columns, so that labels
        # would have fewer than their rows; simplified, only these columns are read.
        return list(data.simplify().to_delayed(optimize_graph=False))
    if data.ndim == 2 and data.numblocks[1] > 1:
        data = data.rechunk({1: -1})
    return list(data.to_delayed().ravel())


def is_array(data: Any) -> bool:
    """Whether a Dask collection is an array, not a table or a column."""
    return isinstance(data, da.Array)


def check_collection(name: str, data: Any) -> None:
    """Refuse Dask collections that hold no rows, such as bags."""
    if is_array(data) or (hasattr(data, "divisions") and hasattr(data, "_meta")):
        return
    raise TypeError(
        f"Of Dask collections, {name} must be a dask.array or a dask.dataframe; got "
        f"{type(data).__name__}."
    )


@contextmanager
def named(i: int) -> Iterator[None]:
    """Say in errors which partition they are about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"Partition {i}: {error}") from error


def sizes_of(data: Any) -> list[int] | None:
    """Return the numbers of rows of the partitions, if they are known."""
    if not is_array(data) or np.isnan(data.chunks[0]).any():
        return None
    return list(data.chunks[0])


def aligned(
    name: str, data: Any, X: Any, parts: list[Delayed], sizes: list[int] | None
) -> list:
    """Return what belongs to the rows of each partition of X, or say why it does not.

    What is in memory is cut at the ends of the partitions, whose sizes are computed
    if they are not known.
    """
    if data is None:
        return [None] * len(parts)
    if is_lazy(data):
        return _aligned_lazy(name, data, X, parts)
    if sizes is None:
        sizes = list(dask.compute(*map(_n_rows, parts)))
    if sum(sizes) != _num_samples(data):
        raise ValueError(
            f"{name} has {_num_samples(data)} entries, but X has {sum(sizes)} rows."
        )
    ends = np.cumsum(sizes)
    return [
        _safe_indexing(data, np.arange(end - size, end))
        for size, end in zip(sizes, ends, strict=True)
    ]


def _aligned_lazy(name, data, X, parts):
    known = sizes_of(X), sizes_of(data)
    if None not in known and known[0] != known[1]:
        if sum(known[0]) != sum(known[1]):
            raise ValueError(
                f"{name} has {sum(known[1])} entries, but X has {sum(known[0])} rows."
            )
        data = data.rechunk({0: tuple(known[0])})
    found = partitions(data)
    if len(found) != len(parts):
        raise ValueError(
            f"{name} has {len(found)} partitions, but X has {len(parts)}, and it is "
            "not known where they end: repartition one of them, or call "
            "compute_chunk_sizes() of both."
        )
    return found


@dask.delayed(pure=True)
def _n_rows(part):
    return _num_samples(part)
