"""Sums of products of rows, which are the same to the last bit wherever a row lies.

BLAS takes half the time of einsum for long rows, but may add in another order where a
row begins elsewhere in a line of the cache, or where threads share a very long one. So
it is asked only for rows that fill whole lines, and they are put where lines begin.
"""

import numpy as np

# Bytes of a line.
LINE = 64
# Numbers in a row that BLAS sums.
FEWEST, MOST = 192, 8192


def aligned(n_rows: int, n_features: int, dtype: np.dtype) -> np.ndarray:
    """Return an empty array whose first row begins where a line of the cache does.

    Examples
    --------
    >>> import numpy as np
    >>> aligned(3, 16, np.dtype(np.float32)).ctypes.data % LINE
    0
    """
    size = n_rows * n_features * dtype.itemsize
    space = np.empty(size + LINE, dtype=np.uint8)
    start = -space.ctypes.data % LINE
    return space[start : start + size].view(dtype).reshape(n_rows, n_features)


def row_products(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Sum the products of each row with the row at its place, or with the only one.

    Both begin where a line of the cache does (:func:`aligned`).

    Examples
    --------
    >>> import numpy as np
    >>> row_products(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([1.0, 2.0]))
    array([11.,  1.])
    """
    n_features = rows.shape[1]
    is_lined = n_features * rows.itemsize % LINE == 0
    if is_lined and FEWEST <= n_features <= MOST:
        return np.vecdot(rows, others)
    return np.einsum("ij,j->i" if others.ndim == 1 else "ij,ij->i", rows, others)
