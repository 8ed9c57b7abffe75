"""The partitions of Dask collections, and of what belongs to their rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed
from scipy import sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_feature_names, _num_samples

from skpoison._blocks import is_lazy


def partitions(data: Any) -> list[Delayed]:
    """Return one delayed object for each partition of the rows."""
    if not is_array(data):
        # Full optimization joins the partitions of narrow columns, so that labels
        # would have fewer than their rows; simplified, only these columns are read.
        parts = list(data.simplify().to_delayed(optimize_graph=False))
        if data.ndim == 1:
            return parts
        # Of all columns of a file, simplified collections do not say the order.
        names = data.columns.tolist()
        return [_in_order(part, names) for part in parts]
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


def check_columns(estimator: Any, X: Any) -> None:
    """Refuse rows with other columns than a fitted estimator knows, if that shows."""
    n_known = getattr(estimator, "n_features_in_", None)
    if n_known is None:
        return
    if X.ndim != 2:
        raise ValueError(
            f"X must have rows and columns; got a {type(X).__name__} of {X.ndim} "
            "dimensions."
        )
    if not is_array(X) and hasattr(estimator, "feature_names_in_"):
        _check_feature_names(estimator, X._meta, reset=False)
    n_features = X.shape[1] if is_array(X) else len(X.columns)
    if n_features != n_known and not np.isnan(n_features):
        raise ValueError(  # as scikit-learn says where rows are in memory
            f"X has {n_features} features, but {type(estimator).__name__} is expecting "
            f"{n_known} features as input."
        )


@contextmanager
def named(i: int) -> Iterator[None]:
    """Say in errors which partition they are about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"Partition {i}: {error}") from error


def rows_at(data: Any, index: np.ndarray) -> Any:
    """Return some rows, or entries, of data in memory."""
    is_column = hasattr(data, "take") and getattr(data, "ndim", 2) == 1
    if is_column and not hasattr(data, "iloc"):  # an index or array of pandas, too
        return data.take(index)
    return _safe_indexing(data, index)


def stacked(pieces: list) -> Any:
    """Return rows, or labels, of several partitions in one."""
    if len(pieces) == 1:
        return pieces[0]
    if hasattr(pieces[0], "iloc"):
        import pandas as pd

        return pd.concat(pieces)
    if any(map(sparse.issparse, pieces)):
        return sparse.vstack(pieces, format="csr")
    return np.concatenate([np.asarray(one) for one in pieces])


def gathered(pairs: list) -> tuple:
    """Return all rows, and their labels or None, of partitions that have some."""
    found = [
        pair for pair in map(pair_of, dask.compute(*pairs)) if _num_samples(pair[0])
    ]
    rows, labels = zip(*found, strict=True)
    return stacked(rows), None if labels[0] is None else stacked(labels)


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
        rows_at(data, np.arange(end - size, end))
        for size, end in zip(sizes, ends, strict=True)
    ]


def with_labels(X: Any, y: Any) -> list:
    """Return what :func:`pair_of` takes for each partition: rows, and labels or None.

    Columns of one table are read together: its files are then opened once, and what
    looks at a partition splits it, as schedulers take time for each task.
    """
    table = _table_of_both(X, y)
    if table is None:
        parts = partitions(X)
        labels = aligned("y", y, X, parts, sizes_of(X))
        return list(zip(parts, labels, strict=True))
    names = dask.delayed(table.columns.tolist(), pure=False)
    parts = table.simplify().to_delayed(optimize_graph=False)
    return [(part, None, names) for part in parts]


def pair_of(found: tuple) -> tuple:
    """Return rows and labels, of a partition that has been computed."""
    if len(found) == 2:
        return found
    part, _, names = found
    part = _columns_in_order(part, names)
    if part.columns.tolist() != names:
        raise ValueError(f"it has the columns {part.columns.tolist()}, not {names}.")
    return part.iloc[:, :-1], part.iloc[:, -1]


def _table_of_both(X, y):
    """The columns of the rows and, last, of the labels, if they are of one table."""
    if not all(hasattr(data, "expr") and not is_array(data) for data in (X, y)):
        return None
    from dask.dataframe.dask_expr import new_collection
    from dask.dataframe.dask_expr._expr import Projection

    is_column = getattr(y, "ndim", 2) == 1 and y.name not in X.columns
    is_column = is_column and X.columns.is_unique
    if not is_column or not all(isinstance(data.expr, Projection) for data in (X, y)):
        return None
    tables = [data.expr.frame for data in (X, y)]
    if tables[0]._name != tables[1]._name:
        return None
    return new_collection(tables[0])[[*X.columns, y.name]]


# Functions stay what they are called, so that collections can be pickled.
def _columns_in_order(part, names):
    """Return the columns of a table in an order; others are left for checks to see."""
    own = part.columns.tolist()
    if not len(part):
        return part.reindex(columns=names)
    is_same = sorted(own, key=str) == sorted(names, key=str)
    return part[names] if is_same and own != names else part


_in_order = dask.delayed(_columns_in_order, pure=False)


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
            "compute_chunk_sizes() of both. Of one table, pass columns in place of "
            "their values: Dask joins files of narrow ones."
        )
    return found


_n_rows = dask.delayed(_num_samples, pure=True)
