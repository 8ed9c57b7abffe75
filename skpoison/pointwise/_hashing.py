"""Which part a row belongs to: a function of the row's own content."""

import datetime
import hashlib
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse

from skpoison._column_types import RowsLike, is_frame, is_pandas

MISSING = b"-"
MOST_EXACT = 2**53  # not all integers beyond it are floats


def row_digests(X: RowsLike) -> np.ndarray:
    """Return the SHA-256 digest of each row, shape (n_rows, 4), uint64.

    Equal rows have equal digests in any container: dense or sparse, 0.0 or -0.0,
    numbers of any precision. A digest does not depend on other rows; which of the two
    encodings is used depends only on the types of the columns.
    """
    digests = b"".join(hashlib.sha256(row).digest() for row in _canonical_rows(X))
    return np.frombuffer(digests, dtype=">u8").reshape(-1, 4).astype(np.uint64)


def parts_by_content(digests: np.ndarray, n_parts: int) -> np.ndarray:
    """Return the part of each row, which depends only on its digest."""
    return (digests[:, 0] % np.uint64(n_parts)).astype(np.intp)


def parts_by_rank(digests: np.ndarray, n_parts: int) -> np.ndarray:
    """Return the part of each row, from its rank among the distinct sorted rows.

    Labels do not matter and equal rows stay together, so that a changed label affects
    one part, whatever the order of the rows.
    """
    _, ranks = np.unique(digests, axis=0, return_inverse=True)
    return ranks.reshape(-1) % n_parts


def shifts(n_splits: int, spread: int) -> np.ndarray:
    """Return which splits a model is trained on, relative to its own index."""
    numbers = sorted(
        range(n_splits),
        key=lambda i: hashlib.sha256(f"{i} of {n_splits}".encode()).digest(),
    )
    return np.array(numbers[:spread], dtype=np.intp)


def _canonical_rows(X: Any) -> Iterator[bytes]:
    if sparse.issparse(X):
        return _number_rows(X)
    if is_frame(X):
        return _frame_rows(X)
    if isinstance(X, np.ndarray) and X.ndim == 2 and _is_exact(X):
        return _number_rows(X)
    return (_cell(row) for row in X)


def _is_exact(X):
    """Whether all values of this type are floats; a property of the type alone."""
    return X.dtype.kind in "bf" or (X.dtype.kind in "iu" and X.dtype.itemsize <= 8)


def _number_rows(X):
    rows = sparse.csr_array(X, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    values = rows.data.astype("<f8")
    values[np.isnan(values)] = np.nan  # which has many bit patterns
    if rows.dtype.kind in "iu":
        values = _with_large_numbers(rows.data, values)
    places = rows.indices.astype("<i8")
    for start, stop in zip(rows.indptr[:-1], rows.indptr[1:], strict=True):
        yield b"n" + places[start:stop].tobytes() + values[start:stop].tobytes()


def _with_large_numbers(whole, values):
    """Encode integers that no float equals as integers."""
    large = np.abs(values) > MOST_EXACT
    values[large] = whole[large].astype("<i8").view("<f8")
    return values


def _frame_rows(X):
    if all(_is_numeric_type(kind) for kind in X.dtypes):
        options = {"dtype": np.float64, "na_value": np.nan} if is_pandas(X) else {}
        return _number_rows(X.to_numpy(**options))
    names = range(X.shape[1])
    columns = [X.iloc[:, i] if is_pandas(X) else X[:, i] for i in names]
    return (_cell(row) for row in zip(*map(list, columns), strict=True))


def _is_numeric_type(kind):
    if hasattr(kind, "is_numeric"):  # of polars
        return bool(kind.is_numeric() or str(kind) == "Boolean")
    import pandas as pd

    return pd.api.types.is_numeric_dtype(kind)


def _cell(value: Any) -> bytes:
    """Return bytes that identify a value and its kind."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return MISSING
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return b"y" + value
    if isinstance(value, bool | np.bool_):
        return b"n1" if value else b"n0"
    if isinstance(value, Integral | Real):
        return _number(value)
    if isinstance(value, datetime.date | datetime.time | np.datetime64):
        return b"t" + str(value).encode()
    if isinstance(value, Mapping):
        return b"m" + b"".join(sorted(_joined(item) for item in value.items()))
    if isinstance(value, list | tuple | np.ndarray):
        return b"l" + _joined(value)
    raise TypeError(
        "X must hold numbers, text, dates, missing values, or lists or dicts of them, "
        f"for its rows to be hashed; got {value!r}: argument must be a string or a "
        "number."
    )


def _number(value):
    if value != value:
        return MISSING
    if isinstance(value, Integral) or float(value).is_integer():
        return b"n%d" % int(value)
    return b"n" + repr(float(value)).encode()


def _joined(values):
    """Return cells one after the other, each after its length."""
    cells = [_cell(value) for value in values]
    return b"".join(len(cell).to_bytes(8, "little") + cell for cell in cells)
