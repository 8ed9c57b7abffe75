"""How far rows are from the centroids of their classes, in several ways at once.

A measure knows how to treat a block of rows; :func:`measure` takes several of them
over the rows in one pass, while a block is in the cache. A row's value depends neither
on the rows around it nor on the other measures, to the last bit.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from skpoison.filters._products import aligned, row_products
from skpoison.filters._rows import Support, blocks, buffer, differences, view_of_rows

# How many rows are computed anew at once.
MENDED_ROWS = 1024
# A distance counts as it is while it is so many times what rounding the centroid to the
# dtype of the rows may change.
SAFE = 2.0**22


def measure(X, codes, *measures):
    """Measure every row against the centroid of its class; return each one's values.

    Measures with equal centroids share the differences. Dense float32 rows are
    subtracted and summed in float32, from centroids with twice as many digits. Values
    that are too large or too small for that are computed anew in float64, from rows and
    centroids divided by a power of two.

    Examples
    --------
    >>> import numpy as np
    >>> X, codes = np.array([[3.0, 4.0], [1.0, 1.0]]), np.array([0, 1])
    >>> centroids = np.array([[0.0, 0.0], [1.0, 0.0]])
    >>> measure(X, codes, Distance(centroids), ManhattanDistance(centroids))
    [array([5., 1.]), array([7., 1.])]
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        values = _values(X, codes, measures)
        for one, out in zip(measures, values, strict=True):
            _mend(X, codes, one, out)
    return values


def _values(X, codes, measures):
    is_sparse = sparse.issparse(X)
    dtype = np.dtype(np.float64) if is_sparse else X.dtype
    tasks = [(one.astype(dtype), np.empty(X.shape[0])) for one in measures]
    one_pass = _pass_sparse if is_sparse else _pass_dense
    one_pass(X, codes, _by_centroids(tasks))
    for one, out in tasks:
        if not is_sparse:
            one.complete(X, codes, out)
    return [out for _, out in tasks]


def _mend(X, codes, one, out):
    """Compute values anew where squares or products have left the range of numbers."""
    least = 0.0
    if one.multiplies:
        limits = np.finfo(np.float64 if sparse.issparse(X) else X.dtype)
        least = np.sqrt(limits.tiny / limits.eps)
    sizes = np.abs(out) if one.is_signed else out
    if sizes.size == 0 or (sizes.min() > least and sizes.max() < np.inf):
        return
    doubtful = np.flatnonzero(~((sizes >= least) & (sizes < np.inf)))
    for code in np.unique(codes[doubtful]):
        rows = doubtful[codes[doubtful] == code]
        for start in range(0, len(rows), MENDED_ROWS):
            few = rows[start : start + MENDED_ROWS]
            out[few] = _shrunk_values(X[few].astype(np.float64), code, one)


def _shrunk_values(X, code, one):
    """Values of rows of one class, which are divided by a power of two meanwhile."""
    data = X.data if sparse.issparse(X) else X
    size = max(np.abs(data).max(initial=0.0), np.abs(one.centroids[code]).max())
    exponent = np.frexp(size)[1] if np.isfinite(size) else 0
    if sparse.issparse(X):
        X.data = np.ldexp(data, -exponent)
    else:
        X = np.ldexp(data, -exponent)
    codes = np.zeros(X.shape[0], dtype=np.intp)
    (values,) = _values(X, codes, [one.of(code, exponent)])
    return np.ldexp(values, exponent)


def _by_centroids(tasks):
    """Group tasks whose measures have equal centroids."""
    groups = []
    for task in tasks:
        for centroids, group in groups:
            if np.array_equal(centroids, task[0].centroids):
                group.append(task)
                break
        else:
            groups.append((task[0].centroids, [task]))
    return groups


def _pass_dense(X, codes, groups):
    space, scratch = buffer(X), buffer(X)
    for rows in blocks(X):
        block = X[rows]
        for centroids, group in groups:
            difference = differences(block, codes[rows], centroids, space[: len(block)])
            for one, out in group:
                one.dense(difference, codes[rows], scratch[: len(block)], out[rows])


def _pass_sparse(X, codes, groups):
    for rows in blocks(X):
        support = Support(view_of_rows(X, rows), codes[rows])
        for centroids, group in groups:
            center = support.at(centroids)
            for one, out in group:
                out[rows] = one.sparse(support, center)


@dataclass(frozen=True, eq=False)
class Distance:
    """Euclidean distance to the centroid of the class.

    Sparse rows have squares over their support, and the rest of the centroid outside
    it. Unlike ``|x|^2 - 2 x.c + |c|^2``, this loses nothing where a row is near to its
    centroid on its support.
    """

    centroids: np.ndarray
    # What rounding to the dtype of the rows has taken from the centroids.
    remainders: np.ndarray | None = None

    multiplies, is_signed = True, False

    def astype(self, dtype):
        return type(self)(*_split(self.centroids, dtype))

    def of(self, code, exponent):
        """Return the measure of one class, divided by a power of two."""
        return type(self)(np.ldexp(self.centroids[[code]], -exponent))

    @cached_property
    def _total(self):
        return np.einsum("ij,ij->i", self.centroids, self.centroids)

    @cached_property
    def _least(self):
        """Smallest distances that do without the remainders."""
        return SAFE * self._lengths(self.remainders, None)

    def _lengths(self, difference, scratch):
        squares = row_products(difference, difference)
        return np.sqrt(squares, dtype=np.float64)

    def dense(self, difference, codes, scratch, out):
        out[:] = self._lengths(difference, scratch)

    def complete(self, X, codes, out):
        """Subtract the remainders, too, where distances are too small without."""
        if self.remainders is None or out.min(initial=np.inf) > self._least.max():
            return
        rows = np.flatnonzero(out <= self._least[codes])
        for start in range(0, len(rows), MENDED_ROWS):
            few = rows[start : start + MENDED_ROWS]
            space, scratch = (aligned(len(few), X.shape[1], X.dtype) for _ in range(2))
            exact = differences(X[few], codes[few], self.centroids, space)
            # Both differences are as good as exact, whichever of the two is the larger.
            np.subtract(exact, self.remainders[codes[few]], out=exact)
            out[few] = self._lengths(exact, scratch)

    def sparse(self, support, center):
        inside = support.sums((support.data - center) ** 2)
        outside = support.rest(self._total, support.sums(center**2), self._total)
        return np.sqrt(inside + np.maximum(outside, 0.0))


class ManhattanDistance(Distance):
    """Sum of the absolute differences from the centroid of the class."""

    multiplies = False

    @cached_property
    def _total(self):
        return np.abs(self.centroids).sum(axis=1)

    def _lengths(self, difference, scratch):
        return np.add.reduce(np.abs(difference, out=scratch), axis=1)

    def sparse(self, support, center):
        inside = support.sums(np.abs(support.data - center))
        covered = support.sums(np.abs(center))
        return inside + np.maximum(support.rest(self._total, covered, self._total), 0.0)


@dataclass(frozen=True, eq=False)
class SignedOffset:
    """Offset from the centroid of the class, along a direction of the class."""

    centroids: np.ndarray
    directions: np.ndarray
    # What rounding to the dtype of the rows has taken from the centroids.
    remainders: np.ndarray | None = None

    multiplies = is_signed = True

    def astype(self, dtype):
        centroids, remainders = _split(self.centroids, dtype)
        directions = self.directions.astype(dtype, copy=False)
        return SignedOffset(centroids, directions, remainders)

    def of(self, code, exponent):
        """Return the measure of one class, divided by a power of two."""
        centroid = np.ldexp(self.centroids[[code]], -exponent)
        return SignedOffset(centroid, self.directions[[code]])

    @cached_property
    def _total(self):
        return np.einsum("ij,ij->i", self.centroids, self.directions)

    @cached_property
    def _scale(self):
        sizes = np.abs(self.centroids), np.abs(self.directions)
        return np.einsum("ij,ij->i", *sizes)

    @cached_property
    def _shifts(self):
        """How far the remainders are along the directions."""
        directions = self.directions.astype(np.float64)
        return np.einsum("ij,ij->i", self.remainders, directions)

    @cached_property
    def _signs(self):
        """Signs with which all have one direction; None if there are several."""
        first = self.directions[0]
        same = (self.directions == first).all(axis=1)
        signs = np.where(same, 1.0, -1.0)
        return signs if (same | (self.directions == -first).all(axis=1)).all() else None

    @cached_property
    def _direction(self):
        """The first direction, copied to where a line of the cache begins."""
        (direction,) = aligned(1, self.directions.shape[1], self.directions.dtype)
        direction[:] = self.directions[0]
        return direction

    def dense(self, difference, codes, scratch, out):
        if self._signs is None:
            np.take(self.directions, codes, axis=0, out=scratch, mode="clip")
            out[:] = row_products(difference, scratch)
        else:  # the same sums, to the last bit
            out[:] = row_products(difference, self._direction)

    def complete(self, X, codes, out):
        """Turn signs, and subtract the remainders' offsets."""
        if self._signs is not None:
            out *= self._signs.take(codes)
        if self.remainders is not None:
            out -= self._shifts.take(codes)

    def sparse(self, support, center):
        along = support.at(self.directions)
        inside = support.sums((support.data - center) * along)
        return inside - support.rest(
            self._total, support.sums(center * along), self._scale
        )


def _split(centroids, dtype):
    """Centroids in another dtype, and what rounding has taken from them, if anything.

    Their sum has the digits of both.
    """
    if dtype == centroids.dtype:
        return centroids, None
    rounded = centroids.astype(dtype)
    return rounded, (centroids - rounded).astype(dtype)
