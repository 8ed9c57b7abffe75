"""Products with the signed rows y_i (x_i, 1), without ever copying X whole."""

from functools import cached_property

import numpy as np
from scipy import sparse

# A smaller share of the rows is gathered, in blocks that fit the cache.
GATHERED, GATHERED_VALUES = 0.45, 2**17
# Rows of another precision are converted in such blocks.
CONVERTED_VALUES = 2**16
# Rows with larger sums of squares may have products that do not fit single precision.
LARGEST_SINGLE = 1e30


class Rows:
    """Training rows with their signs, seen as the vectors ``y_i * (x_i, 1)``.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        The rows; float64, or float32 that is converted block by block.
    signs : ndarray of shape (n_rows,)
        -1.0 or +1.0 for each row.
    """

    # Whether parameters are turned: the last entry of rows is then not 1.
    is_framed = False
    # Sum of the squares of X, where it is known.
    square_sum: float | None = None

    def __init__(self, X, signs):
        self.X, self.signs = X, signs

    def __len__(self) -> int:
        return self.X.shape[0]

    @property
    def dim(self) -> int:
        """Number of parameters: the features and the intercept."""
        return self.X.shape[1] + 1

    @property
    def is_sparse(self) -> bool:
        return sparse.issparse(self.X)

    def scores(self, theta: np.ndarray) -> np.ndarray:
        """Return ``y_i * (w @ x_i + b)`` for every row."""
        return self.signs * (_times(self.X, theta[:-1]) + theta[-1])

    def combine(self, a: np.ndarray) -> np.ndarray:
        """Return ``sum_i a_i * y_i * (x_i, 1)``."""
        signed = a * self.signs
        total = np.empty(self.dim)
        if self.is_sparse:
            total[:-1] = self._transposed @ signed
        else:
            total[:-1] = _transpose_times(self.X, signed)
        total[-1] = signed.sum()
        return total

    @cached_property
    def _transposed(self):
        """Sparse rows, transposed: a view."""
        return self.X.T

    def squared_norms(self) -> np.ndarray:
        """Return ``||x_i||^2`` for every row."""
        return self._squared_norms

    @cached_property
    def _squared_norms(self):
        if sparse.issparse(self.X):
            return np.asarray(self.X.multiply(self.X).sum(axis=1)).ravel()
        if self.X.dtype == np.float64:
            return np.vecdot(self.X, self.X)
        return np.concatenate([np.vecdot(part, part) for _, part in _converted(self.X)])

    def take(self, index: np.ndarray) -> "Rows":
        """Return the rows of an index, copied, as float64."""
        X = self.X[index]
        if X.dtype != np.float64:
            X = X.astype(np.float64)
        return Rows(X, self.signs[index])

    def sample(self, index: np.ndarray) -> "Rows":
        """Return the rows of an index, copied, in single precision if they fit it."""
        if self.is_sparse or self.is_framed or not len(index):
            return self.take(index)
        X = np.empty((len(index), self.X.shape[1]), dtype=np.float32)
        with np.errstate(over="ignore"):
            for block, rows in _gathered(self.X, index):
                X[block] = rows
            flat = X.ravel()
            size = flat @ flat
        if size < LARGEST_SINGLE:
            return SingleRows(X, self.signs[index])
        return self.take(index)

    def like(self, X, signs):
        """Return other rows, to stand beside these."""
        return Rows(X, signs)

    def joined(self, other):
        """Return these rows and others, copied."""
        if self.is_sparse:
            X = sparse.vstack([self.X, other.X], format="csr")
        else:
            X = np.vstack([self.X, other.X])
        return Rows(X, np.concatenate([self.signs, other.signs]))

    def parameters(self, theta):
        """Return coefficients and intercept for the rows as they came."""
        return theta

    def gram(self) -> np.ndarray:
        """Return the inner products of all pairs of rows."""
        products = self.X @ self.X.T
        products = products.toarray() if sparse.issparse(products) else products
        products += 1.0
        products *= self.signs
        products *= self.signs[:, None]
        return products

    def weighted_outer(self, weights: np.ndarray) -> np.ndarray:
        """Return ``sum_i weights_i * (x_i, 1) (x_i, 1)^T`` as a dense matrix.

        No weight is negative.
        """
        outer = np.empty((self.dim, self.dim))
        if self.is_sparse:
            outer[:-1, :-1] = (self.X.T.multiply(weights) @ self.X).toarray()
        else:
            # Half the work: numpy sees that both factors are the same.
            scaled = self.X * np.sqrt(weights)[:, np.newaxis]
            outer[:-1, :-1] = scaled.T @ scaled
        outer[-1, :-1] = outer[:-1, -1] = _transpose_times(self.X, weights)
        outer[-1, -1] = weights.sum()
        return outer

    def weighted_squares(self, weights):
        """Return the diagonal of what :meth:`weighted_outer` returns."""
        squares = self.X.multiply(self.X) if self.is_sparse else self.X * self.X
        return np.append(squares.T @ weights, weights.sum())


class SingleRows(Rows):
    """Dense rows in single precision, for solutions that only start others."""

    def scores(self, theta):
        products = self.X @ theta[:-1].astype(np.float32)
        return self.signs * (products.astype(np.float64) + theta[-1])

    def combine(self, a):
        signed = a * self.signs
        single, X = signed.astype(np.float32), self.X
        index = np.flatnonzero(single)
        if len(index) <= GATHERED * len(a):
            single, X = single[index], X[index]
        total = np.empty(self.dim)
        total[:-1] = single @ X
        total[-1] = signed.sum()
        return total


class StackedRows(Rows):
    """Many rows followed by a few more, without copying the many.

    Parameters
    ----------
    rows, more : Rows
        The parts.
    """

    def __init__(self, rows, more):
        self.rows, self.more = rows, more
        self.is_framed = rows.is_framed

    def __len__(self) -> int:
        return len(self.rows) + len(self.more)

    @property
    def dim(self) -> int:
        return self.rows.dim

    @property
    def is_sparse(self) -> bool:
        return self.rows.is_sparse

    @property
    def signs(self):
        return np.concatenate([self.rows.signs, self.more.signs])

    def scores(self, theta: np.ndarray) -> np.ndarray:
        return np.concatenate([self.rows.scores(theta), self.more.scores(theta)])

    def combine(self, a: np.ndarray) -> np.ndarray:
        split = len(self.rows)
        return self.rows.combine(a[:split]) + self.more.combine(a[split:])

    def take(self, index: np.ndarray) -> "Rows":
        index = np.arange(len(self))[index]
        split = len(self.rows)
        first = self.rows.take(index[index < split])
        return first.joined(self.more.take(index[index >= split] - split))

    def sample(self, index: np.ndarray) -> "Rows":
        return self.take(index)


def _blocks(n_rows, step):
    starts = range(0, n_rows, step)
    return (slice(start, min(start + step, n_rows)) for start in starts)


def _times(X, w):
    if sparse.issparse(X) or X.dtype == np.float64:
        return X @ w
    products = np.empty(X.shape[0])
    for block, rows in _converted(X):
        np.matmul(rows, w, out=products[block])
    return products


def _converted(X):
    """Yield slices of rows, and the rows as float64, which the next ones overwrite."""
    step = max(16, CONVERTED_VALUES // X.shape[1])
    space = np.empty((min(step, len(X)), X.shape[1]))
    for block in _blocks(len(X), step):
        rows = space[: block.stop - block.start]
        rows[:] = X[block]
        yield block, rows


def _transpose_times(X, a):
    """Return ``a @ X``, reading only the rows whose coefficient is not zero."""
    if sparse.issparse(X):
        return X.T @ a
    index = np.flatnonzero(a)
    if len(index) > GATHERED * len(a) and X.dtype == np.float64:
        return a @ X
    total, few = np.zeros(X.shape[1]), a[index]
    for block, rows in _gathered(X, index):
        total += few[block] @ rows.astype(np.float64, copy=False)
    return total


def _gathered(X, index):
    """Yield slices of an index, and their rows, which the next ones may overwrite."""
    step = max(16, GATHERED_VALUES // X.shape[1])
    space = np.empty((min(step, len(index)), X.shape[1]), dtype=X.dtype)
    for block in _blocks(len(index), step):
        part = index[block]
        if X.flags.c_contiguous:  # else all of X would be copied
            yield block, X.take(part, axis=0, out=space[: len(part)], mode="clip")
        else:
            yield block, X[part]
