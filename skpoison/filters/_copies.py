"""Which rows are near copies of one another, in numbers of rows that grow.

A near copy lies much nearer to a row than rows usually lie to their nearest neighbor.
Near copies are joined transitively, as in single-linkage clustering. Distances that
decide are computed from differences.
"""

from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import row_norms

from skpoison.filters._cells import (
    Cells,
    Sized,
    blocks,
    distances_of_pairs,
    nearest_rows,
)
from skpoison.filters._many_rows import EncodedRows, at, by_blocks, held, mapped
from skpoison.filters._nearest import clipped, distinct, in_order, usual_exponent
from skpoison.filters._rows import shrunk

SAMPLE = 1_000  # rows whose nearest neighbor says what is usual
NEIGHBORS = 10  # nearest rows that are searched at once
# Of the stored values, so many are left where copies are worth joining.
MOST_LEFT = 0.8


class NearCopies(NamedTuple):
    """Groups of near copies, and the distances that they were found by."""

    groups: np.ndarray  # (n_samples,) int: which group each row belongs to
    radius: float  # rows at most this far apart are near copies
    usual_distance: float  # the median distance to the nearest row that differs


def near_copy_groups(
    X: np.ndarray | sparse.csr_array,
    *,
    factor: float = 0.25,
    metric: str = "euclidean",
    random_state: np.random.RandomState,
) -> NearCopies:
    """Join rows that lie within ``factor`` times the usual distance of each other.

    Groups are numbered in the order of their first rows; a row without near copies is
    a group of its own. Equal rows are always in one group.
    """
    space = CopySpace.of(X, metric, random_state)
    rows = DistinctRows(mapped(X, space.enter), random_state)
    groups, *distances = groups_of(rows, factor, random_state)
    return NearCopies(groups, *map(space.leave, distances))


class DistinctRows:
    """Rows in their space without repetitions, whose neighbors are searched once.

    Large arrays of many columns are searched by ``few`` of them, in which rows are no
    farther apart than in all.
    """

    def __init__(self, rows, random_state: np.random.RandomState, few=None):
        self.first, self.position = distinct(rows)
        everyone = len(self.first) == rows.shape[0]
        self.rows, few = (
            held(part if everyone or part is None else at(part, self.first))
            for part in (rows, few)
        )
        self.searched = self.rows
        if isinstance(self.rows, EncodedRows) and few is not None:
            self.searched = few
        self.random_state = random_state

    @cached_property
    def cells(self) -> Cells:
        """Cells in which many rows are compared."""
        return Cells.of(self.searched, self.random_state)

    @cached_property
    def nearest(self) -> tuple:
        """Distances to, and positions of, the nearest other rows, unordered."""
        return nearest_rows(
            self.searched, min(NEIGHBORS, len(self.first) - 1), self.cells
        )

    def nearest_among(self, chosen: np.ndarray, k: int) -> tuple:
        """The same for chosen ones alone, by their positions among these."""
        if len(chosen) == self.rows.shape[0]:
            return self.nearest
        among = np.zeros(self.rows.shape[0], dtype=bool)
        among[chosen] = True
        distances, index = (part[chosen, :k] for part in self.nearest)
        lost = ~among[index].all(axis=1) | (k < self.nearest[1].shape[1])
        if lost.any():
            asked = np.zeros_like(among)
            asked[chosen[lost]] = True
            found = nearest_rows(self.searched, k, self.cells, asked, among)
            distances[lost], index[lost] = found
        place = np.cumsum(among, dtype=index.dtype) - 1
        return distances, place[index]


def groups_of(
    distinct_rows: DistinctRows, factor: float, random_state: np.random.RandomState
) -> NearCopies:
    """The groups of rows that are in their space already."""
    rows, position = distinct_rows.rows, distinct_rows.position
    usual = usual_distance(distinct_rows, random_state)
    radius = factor * usual
    left, right = _near_pairs(distinct_rows, radius)
    shape = (rows.shape[0],) * 2
    graph = sparse.coo_array((np.ones(len(left), bool), (left, right)), shape=shape)
    joined = connected_components(graph, directed=False)[1]
    return NearCopies(in_order(joined[position])[1], radius, usual)


class CopySpace(NamedTuple):
    """Where Euclidean distances are those of the metric, and lose few digits."""

    unit_length: bool
    center: np.ndarray | None  # what is subtracted from dense rows
    exponent: int  # of the power of two by which rows are divided

    @classmethod
    def of(cls, X, metric: str, random_state) -> "CopySpace":
        """The space of training rows."""
        if metric == "cosine":
            return cls(True, None, 0)
        some = X[random_state.permutation(X.shape[0])[:SAMPLE]]
        center = None if sparse.issparse(X) else np.median(some, axis=0)
        # Encoded rows have no values that are extreme.
        known = some if isinstance(X, EncodedRows) else X
        return cls(False, center, usual_exponent(cls(False, center, 0)._move(known)))

    def enter(self, X):
        """Bring rows, dense or sparse, into the space."""
        if self.unit_length:
            return normalize(normalize(X, norm="max"))  # squares may be too large
        return clipped(shrunk(self._move(X), self.exponent))

    def leave(self, distance: float) -> float:
        """Turn a distance in the space into one of rows."""
        with np.errstate(over="ignore"):
            return float(np.ldexp(distance, self.exponent))

    def _move(self, X):
        if self.center is None:
            return sparse.csr_array(X)
        with np.errstate(over="ignore"):
            return (X.toarray() if sparse.issparse(X) else X) - self.center


def distinct_rows(X) -> tuple:
    """The distinct rows, and the position of each row among them."""
    first, position = distinct(X)
    return (X if len(first) == X.shape[0] else X[first]), position


def joined_copies(X, y, sample_weight=None):
    """Join equal sparse rows of one label: rows, labels and weights.

    A row of an attack can have values in all columns, and a hundred of its copies more
    than all other rows together. Where little would be saved, rows stay as they are.
    """
    labels = np.unique(y, return_inverse=True)[1]
    groups = distinct(X)[1] * (labels.max(initial=0) + 1) + labels
    rows, position = in_order(groups)
    some = X[rows]
    if some.nnz > MOST_LEFT * X.nnz:
        return X, y, sample_weight
    return some, y[rows], np.bincount(position, weights=sample_weight).astype(float)


def usual_distance(
    distinct_rows: DistinctRows, random_state: np.random.RandomState
) -> float:
    """The median distance of distinct rows to the nearest other one.

    Or the median of all rows if that is larger: where values are few, planted rows may
    be most of those that differ.
    """
    rows = distinct_rows.rows
    n = rows.shape[0]
    if n < 2:
        return 0.0
    chosen = np.arange(n)
    if n > SAMPLE:
        chosen = random_state.choice(n, SAMPLE, replace=False)
    index = distinct_rows.nearest[1][chosen]
    many = np.repeat(chosen, index.shape[1])
    distances = distances_of_pairs(rows, many, rows, index.ravel())
    nearest = distances.reshape(index.shape).min(axis=1)
    counts = np.bincount(distinct_rows.position)[chosen]
    return float(max(np.median(nearest), np.median(np.repeat(nearest, counts))))


def _near_pairs(distinct_rows: DistinctRows, radius: float) -> tuple:
    """Pairs that join all near copies found, as a forest."""
    rows = distinct_rows.rows
    if rows.shape[0] < 2:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    distances, index = distinct_rows.nearest
    is_near = distances <= _rounded_up(distinct_rows.searched, radius)[:, None]
    left, j = np.nonzero(is_near)
    right = index[left, j]
    near = distances_of_pairs(rows, left, rows, right) <= radius
    forests = [(left[near], right[near])]
    # Rows of which all neighbors are near copies may have more of these.
    for queries, members in distinct_rows.cells.comparisons(is_near.all(axis=1)):
        others = Sized.of(rows[members])
        for block in blocks(queries, len(members)):
            i, j = Sized.of(rows[block]).within(others, radius)
            forests.append(_forest(block[i], members[j]))
    left, right = (np.concatenate(ends) for ends in zip(*forests, strict=True))
    return left, right


def _rounded_up(rows, radius):
    """The radius, and what rounding may add to distances found by the search."""
    norms = by_blocks(partial(row_norms, squared=True), rows)
    slack = 16 * np.finfo(norms.dtype).eps * norms.astype(np.float64)
    return np.sqrt(radius**2 + slack) * (1 + np.finfo(np.float32).eps)


def _forest(left, right):
    """As many pairs as are needed to join what these pairs join."""
    ends, positions = np.unique(np.concatenate([left, right]), return_inverse=True)
    if not len(ends):
        return left, right
    i, j = positions[: len(left)], positions[len(left) :]
    size = (len(ends), len(ends))
    graph = sparse.coo_array((np.ones(len(i), bool), (i, j)), shape=size)
    joined = connected_components(graph, directed=False)[1]
    first = np.unique(joined, return_index=True)[1]
    return ends, ends[first[joined]]


def largest_within(queries, rows, radius: float, sizes: np.ndarray) -> np.ndarray:
    """The largest size among the rows that a query lies within the radius of, or 1."""
    out = np.ones(queries.shape[0])
    asked, known = Sized.of(queries), Sized.of(rows)
    for block in blocks(np.arange(queries.shape[0]), rows.shape[0]):
        i, j = asked.at(block).within(known, radius)
        np.maximum.at(out, block[i], sizes[j])
    return out


def distances_around(
    distinct_rows: DistinctRows, members: np.ndarray, looked_at: np.ndarray
) -> tuple:
    """Median distances to the nearest other member, and to the nearest row outside.

    Of the members that are looked at; members are whole groups of equal rows.
    """
    rows, position = distinct_rows.rows, distinct_rows.position
    counts = np.bincount(position[members], minlength=rows.shape[0])
    inside = counts > 0
    asked, of_asked = np.unique(position[looked_at], return_inverse=True)
    within = _distances_to_nearest(distinct_rows, asked, inside)
    within[counts[asked] > 1] = 0.0
    spread = float(np.median(within[of_asked]))
    if inside.all():
        return spread, np.inf
    outside = _distances_to_nearest(distinct_rows, asked, ~inside)
    return spread, float(np.median(outside[of_asked]))


def _distances_to_nearest(distinct_rows, asked, among):
    """Distances of distinct rows to the nearest other one among some."""
    rows = distinct_rows.rows
    mask = np.zeros(len(among), dtype=bool)
    mask[asked] = True
    searched, cells = distinct_rows.searched, distinct_rows.cells
    distances, index = nearest_rows(searched, 1, cells, mask, among)
    nearest, lost = index[:, 0], ~np.isfinite(distances[:, 0])
    if lost.any() and among.any():  # none is in the cells that were searched
        some = np.flatnonzero(among)
        some = some[:: max(1, len(some) // SAMPLE)]
        squares = Sized.of(rows[asked[lost]]).squares(Sized.of(rows[some]))
        nearest[lost] = some[squares.argmin(axis=1)]
    return distances_of_pairs(rows, asked, rows, nearest)
