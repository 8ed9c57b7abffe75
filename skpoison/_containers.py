"""Poison in the container that the clean rows came in.

Clean rows stay what they were, bit for bit, and poison rows are written beside them:

- In tables (pandas, polars) each column keeps its type. A poison row that a column
  cannot hold exactly is an error; columns of floats round it, and what passes the
  filter is what was rounded. Copies of clean rows (label flips) fit every column; other
  attacks need numbers, send whole ones where their domain says so, and refuse
  categories, of which there are no fractions.
- Arrays and sparse matrices have one type for all cells. It stays if it holds the
  poison rows; otherwise it becomes one that holds the clean rows, too.
- Lists stay lists, of Python's numbers or of arrays.
- Rows of pandas get index labels that no clean row has.
"""

import re
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import column_or_1d

from skpoison._column_types import (
    RowsLike,
    as_polars,
    as_type,
    cast,
    is_frame,
    is_pandas,
    is_polars,
)

NAME = "poison-{}"
NAMED = re.compile(r"poison-(\d+)$")


def like_rows(rows: Any, X: Any) -> RowsLike:
    """Return poison rows in the container and types of the clean rows."""
    if is_pandas(X):
        return _like_pandas(rows, X)
    if is_polars(X):
        return _like_polars(rows, X)
    if isinstance(X, list | tuple):
        return list(rows) if isinstance(X[0], np.ndarray) else rows.tolist()
    if sparse.issparse(X):
        kind = sparse.csr_array if isinstance(X, sparse.sparray) else sparse.csr_matrix
        return _in_type(kind(rows), X.dtype)
    return _in_type(rows, getattr(X, "dtype", None))


def _in_type(rows, kind):
    """Return rows of a type if it holds them exactly; as they are otherwise."""
    if kind is None or kind == rows.dtype or kind.kind not in "biuf":
        return rows
    with np.errstate(invalid="ignore", over="ignore"):
        found = rows.astype(kind)
    pair = (rows.data, found.data) if sparse.issparse(rows) else (rows, found)
    return found if np.array_equal(*pair) else rows


def _like_pandas(rows, X):
    import pandas as pd

    index = next_labels(X.index, rows.shape[0])
    kinds = set(X.dtypes)
    if sparse.issparse(rows) and len(kinds) == 1:
        (kind,) = kinds
        if isinstance(kind, pd.SparseDtype) and kind.fill_value == 0:
            data = cast(rows.data, kind.subtype, "X", kind)
            rows = sparse.csr_array((data, rows.indices, rows.indptr), rows.shape)
            table = pd.DataFrame.sparse.from_spmatrix(rows, index)
            return table.set_axis(X.columns, axis=1)
    rows = rows.toarray() if sparse.issparse(rows) else rows
    columns = {
        place: as_type(rows[:, place], kind, name)
        for place, (name, kind) in enumerate(X.dtypes.items())
    }
    return pd.DataFrame(columns, index=index).set_axis(X.columns, axis=1)


def _like_polars(rows, X):
    import polars as pl

    rows = rows.toarray() if sparse.issparse(rows) else rows
    kinds = enumerate(X.schema.items())
    return pl.DataFrame(
        [as_polars(rows[:, j], kind, name) for j, (name, kind) in kinds]
    )


def copies(X: Any, places: np.ndarray) -> RowsLike:
    """Return copies of clean rows as poison rows, in their container and types."""
    if isinstance(X, list | tuple):
        return [copy(X[place]) for place in places]
    if sparse.issparse(X):
        return X.tocsr()[places]
    rows = _safe_indexing(X if hasattr(X, "shape") else np.asarray(X), places)
    if is_pandas(X):
        rows.index = next_labels(X.index, len(places))
    return rows


def like_targets(targets: np.ndarray, y: Any) -> ArrayLike:
    """Return poison labels in the container and type of the clean labels."""
    if isinstance(y, list | tuple):
        return targets.tolist()
    if is_polars(y):
        return _like_polars_targets(targets, y)
    if not is_pandas(y):
        return targets
    import pandas as pd

    index = next_labels(y.index, len(targets))
    if y.ndim == 1:
        return pd.Series(targets, index=index, name=y.name, dtype=y.dtype)
    column = pd.Series(targets, index=index, dtype=y.dtypes.iloc[0])
    return column.to_frame().set_axis(y.columns, axis=1)


def _like_polars_targets(targets, y):
    import polars as pl

    values = targets.tolist()
    if not is_frame(y):
        return pl.Series(y.name, values, dtype=y.dtype)
    ((name, kind),) = y.schema.items()
    return pl.DataFrame([pl.Series(name, values, dtype=kind)])


def stack(first: Any, second: Any) -> RowsLike:
    """Return clean rows (or labels) and poison in one; refuse to change clean ones."""
    if is_pandas(first) and is_pandas(second):
        import pandas as pd

        return pd.concat([first, second]) if len(second) else first.copy()
    if is_polars(first) and is_polars(second):
        import polars as pl

        return pl.concat([first, second])
    if isinstance(first, list | tuple):
        return [*first, *second]
    if sparse.issparse(first):
        both = sparse.vstack([first, second], format="csr")
        _check_clean(first.tocsr().data, both.dtype)
        return both
    first = np.asarray(first)
    both = np.concatenate([first, second])
    _check_clean(first, both.dtype)
    return both


def stack_targets(first: Any, second: Any) -> ArrayLike:
    """Return clean labels and poison labels in one, columns of arrays flattened."""
    has_type = is_pandas(first) or is_polars(first) or isinstance(first, list | tuple)
    return stack(first if has_type else column_or_1d(first), second)


def _check_clean(clean, kind):
    """Raise an error where clean values change because poison is of another type."""
    if kind == clean.dtype or clean.dtype.kind not in "iu":
        return
    with np.errstate(invalid="ignore"):
        changed = clean.astype(kind).astype(clean.dtype) != clean
    if changed.any():
        raise ValueError(
            f"X has {clean.dtype} values such as {clean[changed].flat[0]}, but the "
            f"poison rows are not integers, and {kind} cannot represent these values "
            "exactly. Leave out such columns (identifiers?), or restrict the attack's "
            "domain to integers."
        )


def next_labels(index, n):
    """Continue the index of a table: no label of a poison row is a clean row's.

    Whole numbers, times and periods go on after the largest one, all else goes on with
    ``poison-0``, ``poison-1`` and so on, from the first number that is free. Of several
    levels, each goes on by itself.
    """
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        levels = map(index.get_level_values, range(index.nlevels))
        levels = [next_labels(level, n) for level in levels]
        return pd.MultiIndex.from_arrays(levels, names=index.names)
    if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex | pd.PeriodIndex):
        labels = _next_times(index, n)
        if labels is not None:
            return labels.rename(index.name)
    if pd.api.types.is_integer_dtype(index.dtype):
        return pd.Index(_next_integers(index, n), name=index.name)
    if pd.api.types.is_float_dtype(index.dtype):
        return pd.Index(_next_floats(index, n), dtype=index.dtype, name=index.name)
    return pd.Index(_next_names(index, n), dtype=_type_of_names(index), name=index.name)


def _next_times(index, n):
    """Return later times, a step of the index (or of its unit) apart, if there are."""
    import pandas as pd

    last, steps = index.max(), np.arange(1, n + 1)
    if last is pd.NaT:
        return None
    try:
        if isinstance(index, pd.PeriodIndex):
            return pd.PeriodIndex([last + step for step in steps.tolist()], index.dtype)
        if index.freq is not None:
            return type(index)([last + step * index.freq for step in steps.tolist()])
        return last + pd.to_timedelta(steps, unit=index.unit).as_unit(index.unit)
    except (OverflowError, pd.errors.OutOfBoundsDatetime):
        return None


def _next_integers(index, n):
    """Return whole numbers after the largest one, or the least that are free."""
    import pandas as pd

    kind = getattr(index.dtype, "numpy_dtype", index.dtype)
    values = np.asarray(index.dropna(), dtype=kind)
    first = int(values.max()) + 1 if len(values) else 0
    if first + n - 1 <= np.iinfo(kind).max:
        labels = [*range(first, first + n)]
    else:
        labels = _free(values, n)
    fits = not labels or max(labels) <= np.iinfo(kind).max
    return pd.array(labels, dtype=index.dtype if fits else np.int64)


def _next_floats(index, n):
    """Return whole numbers after the largest one, or the least that are free."""
    kind = getattr(index.dtype, "numpy_dtype", index.dtype)
    values = np.asarray(index.dropna(), dtype=kind)
    first = np.floor(float(values.max(initial=-1.0))) + 1.0
    if first + n < 2.0 / np.finfo(kind).eps:  # beyond, not all whole numbers are there
        return first + np.arange(n)
    return _free(values, n)


def _free(values, n):
    """Return the least whole numbers, from 0, that are not among the values."""
    candidates = np.arange(len(values) + n)
    return candidates[~np.isin(candidates, values)][:n].tolist()


def _next_names(index, n):
    found = [NAMED.match(label) for label in index if isinstance(label, str)]
    first = max((int(match[1]) + 1 for match in found if match), default=0)
    return [NAME.format(first + i) for i in range(n)]


def _type_of_names(index):
    """Return the type of an index of strings; names make objects of any other."""
    import pandas as pd

    is_text = isinstance(index.dtype, pd.StringDtype)
    return index.dtype if is_text else object
