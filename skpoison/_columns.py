"""Columns that a person should be told of before anything measures distances."""

from typing import Any

import numpy as np
from scipy import sparse

# Rows to estimate spreads from, and what counts as much farther than usual.
LOOK_AT = 10_000
FAR = 100.0
# The same for few columns, of which one holds nearly all of the squared distances.
FARTHER, NEARLY_ALL = 10.0, 0.95
# Squares of larger numbers could overflow.
LARGE = 2.0**500
# Fewer rows can number themselves by chance; and by chance have no value in common.
FEWEST_NUMBERED, FEWEST_UNIQUE = 3, 50


def widest(X: np.ndarray | sparse.csr_array) -> tuple[int, float, float] | None:
    """Find a column that decides all distances nearly alone.

    Returned are the column that spreads farthest; how many times as far as the median
    one of the others; and its share of the sum of squared spreads: if the first is a
    hundred or more, or ten with nearly the whole sum. Sparse columns differ in how
    often they are filled, so that there only the second counts.
    """
    if X.shape[1] < 2:
        return None
    spreads = _spreads(X[:: -(-X.shape[0] // LOOK_AT)])
    column = int(np.argmax(spreads))
    others = np.delete(spreads, column)
    if not (others > 0).any():
        return None
    ratio = float(spreads[column] / np.median(others[others > 0]))
    share = float(1.0 / np.sum((spreads / spreads[column]) ** 2))
    is_far = ratio >= FAR and not sparse.issparse(X)
    decides = is_far or (ratio >= FARTHER and share >= NEARLY_ALL)
    return (column, ratio, share) if decides else None


def _spreads(X):
    """Return the standard deviation of every column, whatever its size."""
    if sparse.issparse(X):
        return _sparse_spreads(sparse.csr_array(X, dtype=np.float64, copy=True))
    largest = np.maximum(X.max(axis=0), -X.min(axis=0)).astype(np.float64)
    if largest.max() <= LARGE:
        return X.std(axis=0, dtype=np.float64)
    unit = np.where(largest > 0, largest, 1.0)
    return (X / unit).std(axis=0) * unit


def _sparse_spreads(X):
    X.sum_duplicates()
    n_rows, n_features = X.shape
    unit = np.ones(n_features)
    if X.nnz and np.abs(X.data).max() > LARGE:
        np.maximum.at(unit, X.indices, np.abs(X.data))
        X.data /= unit[X.indices]
    mean = np.bincount(X.indices, X.data, n_features) / n_rows
    squares = np.bincount(X.indices, (X.data - mean[X.indices]) ** 2, n_features)
    n_empty = n_rows - np.bincount(X.indices, minlength=n_features)
    return np.sqrt((squares + n_empty * mean**2) / n_rows) * unit


def times_text(ratio: float) -> str:
    """Write how many times as far a column spreads.

    Examples
    --------
    >>> times_text(1234.5), times_text(1.25e9)
    ('1,234', '1.2e+09')
    """
    return f"{ratio:,.0f}" if ratio < 1e6 else f"{ratio:.1e}"


def scale_for(X: np.ndarray | sparse.csr_array) -> str:
    """Name the scale that makes columns comparable where one decides alone.

    ``"none"``; ``"standard"``, mean 0 and standard deviation 1; or, for sparse rows,
    which would be filled by that, ``"maxabs"``, a largest magnitude of 1.
    """
    if widest(X) is None:
        return "none"
    return "maxabs" if sparse.issparse(X) else "standard"


def numbered(X: np.ndarray | sparse.csr_array) -> tuple[list[int], list[int]]:
    """Find columns that look like names of the rows and not like measurements.

    First those that number the rows, in whatever order: consecutive whole numbers, each
    once. Then others that hold another whole number in every row, as customer numbers
    do. Quantities can do so too.
    """
    found: dict[str, list[int]] = {"numbering": [], "unique": []}
    for column in _spread_out(X):
        values: Any = X[:, [column]]
        values = values.toarray() if sparse.issparse(values) else values
        kind = whole_and_unique(values.ravel())
        if kind is not None:
            found[kind].append(int(column))
    return found["numbering"], found["unique"]


def _spread_out(X):
    """Return the columns wide enough for a whole number of its own in every row."""
    n_rows = X.shape[0]
    if n_rows < FEWEST_NUMBERED:
        return []
    low, high = X.min(axis=0), X.max(axis=0)
    if sparse.issparse(X):
        low, high = low.toarray().ravel(), high.toarray().ravel()
    # Halves, since their difference cannot overflow.
    return np.flatnonzero(high / 2 - low / 2 >= (n_rows - 1) / 2)


def whole_and_unique(values: np.ndarray) -> str | None:
    """Tell whether the values of a column look like names of the rows.

    They are ``"numbering"`` or ``"unique"``, or None; see :func:`numbered`.

    Examples
    --------
    >>> import numpy as np
    >>> whole_and_unique(np.array([12, 10, 11]))
    'numbering'
    >>> whole_and_unique(np.arange(0, 200, 4))
    'unique'
    """
    n_rows = len(values)
    if n_rows < FEWEST_NUMBERED:
        return None
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        return None
    values = np.sort(values)
    if np.any(values[1:] == values[:-1]):
        return None
    # Sorted and all different: as far apart as there are steps means steps of one.
    if values[-1].item() - values[0].item() == n_rows - 1:
        return "numbering"
    return "unique" if n_rows >= FEWEST_UNIQUE else None
