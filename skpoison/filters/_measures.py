"""How far rows are from the centroids of their classes, in several ways at once.

A measure knows how to treat a block of rows; :func:`measure` takes several of them
over the rows in one pass, while a block is in the cache. A row's value depends neither
on the rows around it nor on the other measures, to the last bit.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from skpoison.filters._rows import Support, blocks, buffer, differences


def measure(X, codes, *measures):
    """Measure every row against the centroid of its class.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, float64 or float32.
    codes : ndarray of shape (n_samples,)
        The class of each row.
    *measures : Distance, ManhattanDistance or Projection
        What to compute; those with equal centroids share the differences.

    Returns
    -------
    values : list of ndarray of shape (n_samples,)
        The values of each measure, float64. Dense float32 rows are subtracted and
        summed in float32.

    Examples
    --------
    >>> import numpy as np
    >>> X, codes = np.array([[3.0, 4.0], [1.0, 1.0]]), np.array([0, 1])
    >>> centroids = np.array([[0.0, 0.0], [1.0, 0.0]])
    >>> measure(X, codes, Distance(centroids), ManhattanDistance(centroids))
    [array([5., 1.]), array([7., 1.])]
    """
    is_sparse = sparse.issparse(X)
    dtype = np.float64 if is_sparse else X.dtype
    tasks = [(one.astype(dtype), np.empty(X.shape[0], dtype)) for one in measures]
    one_pass = _pass_sparse if is_sparse else _pass_dense
    with np.errstate(over="ignore", invalid="ignore"):
        one_pass(X, codes, _by_centroids(tasks))
        return [one.end(out) for one, out in tasks]


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
    room, scratch = buffer(X), buffer(X)
    for rows in blocks(X):
        block = X[rows]
        for centroids, group in groups:
            difference = differences(block, codes[rows], centroids, room[: len(block)])
            for one, out in group:
                one.dense(difference, codes[rows], scratch[: len(block)], out[rows])


def _pass_sparse(X, codes, groups):
    for rows in blocks(X):
        support = Support(X[rows], codes[rows])
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

    Parameters
    ----------
    centroids : ndarray of shape (n_classes, n_features)
        One centroid for each class.
    """

    centroids: np.ndarray

    def astype(self, dtype):
        return type(self)(self.centroids.astype(dtype, copy=False))

    @cached_property
    def _total(self):
        return np.einsum("ij,ij->i", self.centroids, self.centroids)

    def dense(self, difference, codes, scratch, out):
        np.einsum("ij,ij->i", difference, difference, out=out)

    def sparse(self, support, center):
        inside = support.sums((support.data - center) ** 2)
        outside = support.rest(self._total, support.sums(center**2), self._total)
        return inside + np.maximum(outside, 0.0)

    def end(self, values):
        return np.sqrt(values, dtype=np.float64)


class ManhattanDistance(Distance):
    """Sum of the absolute differences from the centroid of the class."""

    @cached_property
    def _total(self):
        return np.abs(self.centroids).sum(axis=1)

    def dense(self, difference, codes, scratch, out):
        np.add.reduce(np.abs(difference, out=scratch), axis=1, out=out)

    def sparse(self, support, center):
        inside = support.sums(np.abs(support.data - center))
        covered = support.sums(np.abs(center))
        return inside + np.maximum(support.rest(self._total, covered, self._total), 0.0)

    def end(self, values):
        return values.astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False)
class Projection:
    """Component, from the centroid of the class, along a direction of the class.

    Parameters
    ----------
    centroids : ndarray of shape (n_classes, n_features)
        One centroid for each class.
    directions : ndarray of shape (n_classes, n_features)
        One direction for each class.
    """

    centroids: np.ndarray
    directions: np.ndarray

    def astype(self, dtype):
        return Projection(
            self.centroids.astype(dtype, copy=False),
            self.directions.astype(dtype, copy=False),
        )

    @cached_property
    def _total(self):
        return np.einsum("ij,ij->i", self.centroids, self.directions)

    @cached_property
    def _scale(self):
        sizes = np.abs(self.centroids), np.abs(self.directions)
        return np.einsum("ij,ij->i", *sizes)

    def dense(self, difference, codes, scratch, out):
        np.take(self.directions, codes, axis=0, out=scratch, mode="clip")
        np.einsum("ij,ij->i", difference, scratch, out=out)

    def sparse(self, support, center):
        along = support.at(self.directions)
        inside = support.sums((support.data - center) * along)
        return inside - support.rest(
            self._total, support.sums(center * along), self._scale
        )

    def end(self, values):
        return values.astype(np.float64, copy=False)
