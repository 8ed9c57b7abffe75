"""Directions in which rows vary most.

Rows are seen through operators that know how to multiply, so that neither centering
nor the gradients of a loss ever fill a matrix of their own.
"""

from functools import cached_property

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, svds

from skpoison.filters._measures import Distance, measure
from skpoison.filters._rows import are_far, padded_blocks

# Up to so many features, the scatter matrix is small and its eigenvectors are exact.
EXACT_FEATURES = 1000
# Of so few rows, the products with each other are a small matrix, the first number for
# a few directions. Sparse rows are multiplied so fast that it takes many directions.
FEW_ROWS = 1200, 2500
FEW_DIRECTIONS, SPARSE_DIRECTIONS = 4, 64
# Features of which products are added up at once.
FEATURES_AT_ONCE = 4096
# Squared singular values that count as zero, as a share of their sum.
ROUNDING = 1e-14
# What is new in unit vectors, below which they count as dependent on others.
DEPENDENT = 1e-10
# Products lose digits, in the dtype of rows, that are so many times as far from the
# origin as from their center.
FAR_FOR_PRODUCTS = 10.0


class ClassRows(LinearOperator):
    """The rows of one class, less their center."""

    def __init__(self, X, rows=None, center=None):
        n_rows = X.shape[0] if rows is None else len(rows)
        super().__init__(X.dtype, (n_rows, X.shape[1]))
        self._given = X, rows
        self.center = center

    @cached_property
    def X(self):
        """The rows, taken together only where they are multiplied."""
        X, rows = self._given
        return X if rows is None else X[rows]

    @cached_property
    def _centered(self):
        """The rows less their center, and what still has to be subtracted of it.

        Products with rows far from the origin lose the digits in which they differ, so
        that the center is taken from the rows where that is possible.
        """
        X, rows = self._given
        if self.center is None:
            return self.X, None
        rounded = self.center.astype(self.dtype)
        if sparse.issparse(X):
            return self.X, rounded
        taken = X.copy() if rows is None else X[rows]
        taken -= rounded
        return taken, (self.center - rounded).astype(self.dtype)

    @cached_property
    def _transposed(self):
        return self._centered[0].T

    def _matmat(self, V):
        V = V.astype(self.dtype, copy=False)
        rows, center = self._centered
        products = rows @ V
        return products if center is None else products - center @ V

    def _rmatmat(self, U):
        U = U.astype(self.dtype, copy=False)
        products = self._transposed @ U
        _, center = self._centered
        if center is None:
            return products
        return products - np.multiply.outer(center, U.sum(axis=0))

    _matvec, _rmatvec = _matmat, _rmatmat

    def products(self):
        """Products of all rows with each other."""
        rows, center = self._centered
        products = _row_products(rows)
        if center is not None:
            along = rows @ center.astype(np.float64)
            products -= along[:, None] + along
            products += center.astype(np.float64) @ center
        return products

    def blocks(self):
        """Yield the rows in dense blocks of bounded size."""
        for _, block in padded_blocks(*self._given, self.center):
            yield block

    def total(self):
        """Sum of all squares."""
        center = np.zeros(self.shape[1]) if self.center is None else self.center
        one_class = np.zeros(self.shape[0], np.intp)
        (distances,) = measure(self.X, one_class, Distance(center[None]))
        return float(distances @ distances)


class WithinClasses(LinearOperator):
    """Rows less the center of their class, as often as they occur.

    Each row counts with the root of its `counts`, which leaves directions and squares
    as they are if it is written that many times.
    """

    def __init__(self, X, codes, centers, counts=None):
        super().__init__(X.dtype, X.shape)
        self.X = X
        self.codes = codes
        self.centers = centers
        self.roots = None if counts is None else np.sqrt(counts).astype(X.dtype)

    @cached_property
    def _shifted(self):
        """Rows that can be multiplied, and the centers that go with them.

        Rows far from the origin are copied nearer to it: products would lose the digits
        in which they differ.
        """
        rounded = self.centers.astype(self.dtype)
        if sparse.issparse(self.X) or not are_far(
            self.X, self.codes, self.centers, times=FAR_FOR_PRODUCTS
        ):
            return self.X, rounded
        return self.X - rounded[self.codes], np.zeros_like(rounded)

    @cached_property
    def _transposed(self):
        return self._shifted[0].T

    def _matmat(self, V):
        V = V.astype(self.dtype, copy=False)
        rows, centers = self._shifted
        return self._rooted(rows @ V - (centers @ V)[self.codes])

    def _rmatmat(self, U):
        U = self._rooted(U.astype(self.dtype, copy=False))
        sums = [U[self.codes == k].sum(axis=0) for k in range(len(self.centers))]
        return self._transposed @ U - self._shifted[1].T @ np.stack(sums)

    _matvec, _rmatvec = _matmat, _rmatmat

    def products(self):
        """Products of all rows with each other."""
        rows, centers = self._shifted
        centers = centers.astype(np.float64)
        along = (rows @ centers.T)[:, self.codes]
        products = _row_products(rows) - along - along.T
        products += (centers @ centers.T)[self.codes][:, self.codes]
        return self._rooted(self._rooted(products).T)

    def _rooted(self, values):
        if self.roots is None:
            return values
        return values * (self.roots if values.ndim == 1 else self.roots[:, None])

    def blocks(self):
        """Yield the rows in dense blocks of bounded size."""
        for code, center in enumerate(self.centers):
            rows = np.flatnonzero(self.codes == code)
            for chosen, block in padded_blocks(self.X, rows, center):
                if self.roots is not None:
                    block[: len(chosen)] *= self.roots[chosen, None]
                yield block


class Scattered:
    """Rows of which only the outer products are known, summed.

    Parameters
    ----------
    scatter : ndarray of shape (n_features, n_features)
        The sum.
    n_rows : int
        The number of rows.
    dtype : str
        Their type.
    """

    def __init__(self, scatter, n_rows, dtype):
        self.scatter, self.dtype = scatter, np.dtype(dtype)
        self.shape = (int(n_rows), len(scatter))

    def total(self):
        """Sum of all squares."""
        return float(np.trace(self.scatter))


def _row_products(X):
    """Products of rows with each other, float64."""
    if sparse.issparse(X):
        X = X.astype(np.float64)
        return (X @ X.T).toarray()
    products = np.zeros((len(X), len(X)))
    for start in range(0, X.shape[1], FEATURES_AT_ONCE):
        part = X[:, start : start + FEATURES_AT_ONCE].astype(np.float64, copy=False)
        products += part @ part.T
    return products


def class_scatter(X, rows=None, center=None):
    """Sum of the outer products of rows less their center."""
    blocks = (block for _, block in padded_blocks(X, rows, center))
    return _outer_products(blocks, X.shape[1])


def _outer_products(blocks, n_features):
    scatter = np.zeros((n_features, n_features))
    for block in blocks:
        scatter += block.T @ block
    return scatter


def check_few_features(filter_, n_features, most=EXACT_FEATURES):
    """Refuse rows in blocks whose outer products are too large to be added up."""
    if n_features > most:
        raise ValueError(
            f"{type(filter_).__name__} takes at most {most} features where rows come "
            f"in blocks (partitions), got {n_features}: reduce them first, or pass all "
            "rows at once, in memory."
        )


def principal_directions(rows, count, rng):
    """Top right singular vectors, and the squares of the singular values.

    There are fewer than ``count`` where the rows have a lower rank. ``rng`` draws the
    start of the iteration for many features.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[3.0, 1.0], [1.0, 1.0], [2.0, 1.0]])
    >>> rows = ClassRows(X, center=X.mean(axis=0))
    >>> directions, squares = principal_directions(rows, 2, np.random.RandomState(0))
    >>> abs(directions), squares
    (array([[1., 0.]]), array([2.]))
    """
    count = min(count, *rows.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        squares, directions = _top_directions(rows, count, rng)
    above = squares > ROUNDING * max(squares.sum(), np.finfo(float).tiny)
    return directions[above], squares[above]


def _top_directions(rows, count, rng):
    # Iteration cannot find all directions; where nearly all are wanted, a matrix of
    # features by features is no larger than the answer.
    if rows.shape[1] <= max(EXACT_FEATURES, count + 1):
        return _by_scatter(rows, count)
    if count >= rows.shape[0] - 1:
        return _by_all_rows(rows, count)
    if are_by_products(rows, count):
        return _by_products(rows, count)
    return _by_iteration(rows, count, rng)


def _check_squares(values):
    if not np.all(np.isfinite(values)):
        raise ValueError(
            "Squares overflow float64: X holds values that are too large to be "
            "squared; rescale the data."
        )


def _by_scatter(rows, count):
    n_features = rows.shape[1]
    if isinstance(rows, Scattered):
        scatter = rows.scatter
    else:
        scatter = _outer_products(rows.blocks(), n_features)
    _check_squares(scatter)
    top = (n_features - count, n_features - 1)
    squares, vectors = linalg.eigh(scatter, subset_by_index=top)
    return squares[::-1], np.ascontiguousarray(vectors[:, ::-1].T)


def _by_all_rows(rows, count):
    """Rows no more numerous than the directions may as well be written out."""
    dense = rows.rmatmat(np.eye(rows.shape[0], dtype=rows.dtype)).T
    _, values, directions = linalg.svd(dense, full_matrices=False)
    return values[:count].astype(np.float64) ** 2, directions[:count].astype(np.float64)


def are_by_products(rows, count):
    """Whether so many directions are found from the products of few rows."""
    if not hasattr(rows, "products"):
        return False
    few = rows.shape[0] <= FEW_ROWS[count > FEW_DIRECTIONS]
    return few and (count > SPARSE_DIRECTIONS or not sparse.issparse(rows.X))


def _by_products(rows, count):
    """Rows times the eigenvectors of their products, whose rounding QR undoes."""
    products = rows.products()
    _check_squares(products)
    n_rows = len(products)
    top = (n_rows - count, n_rows - 1)
    squares, vectors = linalg.eigh(products, subset_by_index=top, overwrite_a=True)
    squares, vectors = squares[::-1], vectors[:, ::-1]
    there = squares > ROUNDING * max(squares.sum(), np.finfo(float).tiny)
    if not there.any():
        return squares[there], np.empty((0, rows.shape[1]))
    directions = rows.rmatmat(vectors[:, there]).astype(np.float64)
    return squares[there], linalg.qr(directions, mode="economic")[0].T


def _by_iteration(rows, count, rng):
    start = rng.uniform(-1, 1, min(rows.shape)).astype(rows.dtype)
    there, back = rows.matvec, rows.rmatvec
    if rows.shape[1] > rows.shape[0]:
        there, back = back, there
    _check_squares(back(there(start)))
    _, values, directions = svds(
        rows, count, v0=start, return_singular_vectors="vh", solver="arpack"
    )
    order = np.argsort(values)[::-1]
    return values[order].astype(np.float64) ** 2, directions[order].astype(np.float64)


def span(directions, others):
    """Orthonormal directions, and a basis of what other rows have beside them.

    Zero and dependent rows add nothing. The basis is the same up to signs whatever the
    order of the others is, and however exactly the directions are known.

    Examples
    --------
    >>> import numpy as np
    >>> span(np.array([[1.0, 0.0, 0.0]]), np.array([[-3.0, 0.0, 4.0], [2.0, 0.0, 0.0]]))
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    lengths = np.linalg.norm(others, axis=1)
    rest = others[lengths > 0] / lengths[lengths > 0, None]
    for _ in range(2):  # the second time for what rounding has left
        rest = rest - (rest @ directions.T) @ directions
    if not len(rest):
        return directions
    _, values, basis = linalg.svd(rest, full_matrices=False)
    return np.vstack([directions, basis[values > DEPENDENT]])


def coordinates(X, basis):
    """Coordinates of rows along the rows of a basis, float64."""
    if sparse.issparse(X):
        return X @ np.ascontiguousarray(basis.T)
    out = np.empty((X.shape[0], len(basis)))
    for chosen, block in padded_blocks(X):
        out[chosen] = (block @ basis.T)[: len(out[chosen])]
    return out
