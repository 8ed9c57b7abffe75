"""Rows that are encoded when they are asked for, where a copy would be too large."""

from collections.abc import Callable, Iterator

import numpy as np
from sklearn.utils import _safe_indexing

# Arrays of more rows and values are not copied; their encoded rows have 32 bits.
MOST_ROWS, MOST_VALUES = 10_000, 2**20
ENCODED = 2**18  # values at once
TOGETHER = 1 / 4  # part of the rows that a function is called with
DRAWN = 10_000  # rows that a class, or all rows, are described by
HELD = 0.5  # size of encoded rows that are kept, relative to that of X


class EncodedRows:
    """Dense rows of float32, of a container and a function that encodes some of it.

    It is indexed by positions, slices and masks of rows; a second index selects
    columns of the encoded rows.

    Examples
    --------
    >>> import numpy as np
    >>> rows = EncodedRows(np.arange(6.0).reshape(3, 2), lambda some: 2 * some)
    >>> rows.then(np.sqrt)[[0, 2]]
    array([[0.       , 1.4142135],
           [2.828427 , 3.1622777]], dtype=float32)
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, X, encode: Callable, positions: np.ndarray | None = None):
        self.X = X
        self.encode = encode
        self.positions = positions  # all rows, or those of a part
        n_rows = X.shape[0] if positions is None else len(positions)
        self.shape = n_rows, encode(X[:1]).shape[1]

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        columns = slice(None)
        if isinstance(key, tuple):
            key, columns = key
        rows = np.arange(len(self))[key]
        if self.positions is not None:
            rows = self.positions[rows]
        step = max(1, ENCODED // max(self.shape[1], self.X.shape[1]))
        out = np.empty((len(rows), len(np.arange(self.shape[1])[columns])), self.dtype)
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            out[part] = self.encode(self.X[rows[part]])[:, columns]
        return out

    def then(self, function: Callable) -> "EncodedRows":
        """The same rows, encoded further."""
        encode = self.encode
        return EncodedRows(self.X, lambda X: function(encode(X)), self.positions)

    def at(self, chosen: np.ndarray) -> "EncodedRows":
        """Some of the rows, not encoded yet."""
        if self.positions is not None:
            chosen = self.positions[chosen]
        return EncodedRows(self.X, self.encode, chosen)


def encoded_rows(X, encoder):
    """Encode rows now; or, those of a large array, when they are asked for."""
    if isinstance(X, np.ndarray) and len(X) > MOST_ROWS and X.size > MOST_VALUES:
        return EncodedRows(X, encoder.encode)
    return encoder.transform(X)


def held(rows):
    """Encode rows that were not, if that needs much less memory than their container.

    >>> held(EncodedRows(np.ones((4, 2)), lambda some: some)).shape
    (4, 2)
    """
    if not isinstance(rows, EncodedRows):
        return rows
    size = rows.dtype.itemsize * rows.shape[0] * rows.shape[1]
    return rows[:] if size <= HELD * rows.X.nbytes else rows


def blocks_of(rows) -> Iterator[slice]:
    """Slices of rows: a few of encoded rows, a single one of others."""
    n = rows.shape[0]
    step = n * (TOGETHER if isinstance(rows, EncodedRows) else 1)
    step = max(1, int(np.ceil(step)))
    for start in range(0, max(n, 1), step):
        yield slice(start, min(start + step, n))


def by_blocks(function: Callable, rows, *aligned):
    """Call a function with blocks of rows, and what is aligned; join the results."""
    found = [function(rows[b], *(each[b] for each in aligned)) for b in blocks_of(rows)]
    return found[0] if len(found) == 1 else np.concatenate(found)


def mapped(rows, function: Callable):
    """What a function of rows makes of them, now or when they are asked for."""
    return rows.then(function) if isinstance(rows, EncodedRows) else function(rows)


def at(rows, chosen: np.ndarray):
    """Some of the rows; encoded rows are not encoded yet."""
    return rows.at(chosen) if isinstance(rows, EncodedRows) else rows[chosen]


def drawn(rows, chosen: np.ndarray, rng):
    """Chosen rows, encoded: all, or so many drawn at random."""
    if len(chosen) > DRAWN:
        chosen = np.sort(rng.choice(chosen, DRAWN, replace=False))
    return rows[chosen]


def rows_of(X, chosen):
    """Some rows of any container, or of encoded rows."""
    return X[chosen] if isinstance(X, EncodedRows) else _safe_indexing(X, chosen)
