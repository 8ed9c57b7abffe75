"""Which rows are near copies of one another, in numbers of rows that grow.

A near copy lies much nearer to a row than rows usually lie to their nearest neighbor.
Near copies are joined transitively, as in single-linkage clustering. Candidates come
from an inverted file: the cells of k-means, of which a row is compared with the rows
of the nearest few. Distances that decide are computed from differences.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize
from sklearn.utils.extmath import row_norms

from skpoison.filters._nearest import (
    clipped,
    distinct,
    in_order,
    members_of,
    pair_distances,
    usual_exponent,
)
from skpoison.filters._rows import shrunk

BLOCK = 2**20  # distances that are computed at once
EXACT = 4_096  # so many distinct rows are all compared with one another
CELL = 1_024  # rows of a cell, on average
PROBES = 3  # nearest cells that a row is compared with
SAMPLE = 1_000  # rows whose nearest neighbor says what is usual
DIRECTIONS = 32  # of sparse rows, in which their cells are found


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
    groups, *distances = groups_of(space.enter(X), factor, random_state)
    return NearCopies(groups, *map(space.leave, distances))


def groups_of(rows, factor: float, random_state) -> NearCopies:
    """The groups of rows that are in their space already."""
    rows, position = distinct_rows(rows)
    usual = usual_distance(rows, random_state, np.bincount(position))
    radius = factor * usual
    n = rows.shape[0]
    forests = list(_near_pairs(rows, radius, random_state))
    left, right = (np.concatenate(ends) for ends in zip(*forests, strict=True))
    graph = sparse.coo_array((np.ones(len(left), bool), (left, right)), shape=(n, n))
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
        return cls(False, center, usual_exponent(cls(False, center, 0)._move(X)))

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


def usual_distance(
    rows, random_state: np.random.RandomState, counts: np.ndarray | None = None
) -> float:
    """The median distance of distinct rows to the nearest other one.

    With ``counts``, how often each distinct row is there, the median of all rows if
    that is larger: where values are few, planted rows may be most of those that differ.
    """
    n = rows.shape[0]
    if n < 2:
        return 0.0
    chosen = np.arange(n)
    if n > SAMPLE:
        chosen = random_state.choice(n, SAMPLE, replace=False)
    nearest = np.concatenate(
        [
            _differences(rows, block, rows, squares.argmin(axis=1))
            for block, squares in _without_self(rows, chosen)
        ]
    )
    usual = np.median(nearest)
    if counts is not None:
        usual = max(usual, np.median(np.repeat(nearest, counts[chosen])))
    return float(usual)


def _without_self(rows, chosen):
    """Blocks of rows, and their squared distances to all others."""
    everything = Sized.of(rows)
    for block in blocks(chosen, rows.shape[0]):
        squares = everything.at(block).squares(everything)
        squares[np.arange(len(block)), block] = np.inf
        yield block, squares


class Sized(NamedTuple):
    """Rows with their squared lengths."""

    rows: np.ndarray | sparse.csr_array
    norms: np.ndarray

    @classmethod
    def of(cls, rows) -> "Sized":
        return cls(rows, row_norms(rows, squared=True))

    def at(self, chosen: np.ndarray) -> "Sized":
        """Some of the rows."""
        return Sized(self.rows[chosen], self.norms[chosen])

    def squares(self, others: "Sized") -> np.ndarray:
        """Squared distances, but for rounding."""
        out = _dense(self.rows @ others.rows.T)
        out *= -2
        out += self.norms[:, None]
        out += others.norms
        return out

    def within(self, others: "Sized", radius: float) -> tuple:
        """Pairs of rows whose distance, from differences, is at most the radius."""
        # What rounding takes from squares of distances.
        slack = 8 * np.finfo(self.norms.dtype).eps
        squares = self.squares(others)
        squares -= slack * self.norms[:, None]
        squares -= slack * others.norms
        i, j = np.nonzero(squares <= radius**2)
        near = _differences(self.rows, i, others.rows, j) <= radius
        return i[near], j[near]


def _near_pairs(rows, radius: float, random_state) -> Iterator[tuple]:
    """Pairs that join all near copies found in a block of comparisons, as a forest."""
    yield np.empty(0, np.intp), np.empty(0, np.intp)
    everything = Sized.of(rows)
    for queries, members in comparisons(rows, random_state):
        others = everything.at(members)
        for block in blocks(queries, len(members)):
            i, j = everything.at(block).within(others, radius)
            yield _forest(block[i], members[j])


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


def comparisons(rows, random_state: np.random.RandomState) -> Iterator[tuple]:
    """Which rows are compared with which: all with all, or cell by cell."""
    n = rows.shape[0]
    if n <= EXACT:
        yield np.arange(n), np.arange(n)
        return
    probes = _nearest_cells(_cell_features(rows, random_state), random_state)
    of_cell = _sorted_by(probes[:, 0])
    asked_of = _sorted_by(probes.ravel())
    for cell, members in of_cell.items():
        yield asked_of[cell] // probes.shape[1], members


def _cell_features(rows, random_state):
    if not sparse.issparse(rows):
        return rows
    if rows.shape[1] <= DIRECTIONS:
        return rows.toarray()
    directions = min(DIRECTIONS, min(rows.shape) - 1)
    return TruncatedSVD(directions, random_state=random_state).fit_transform(rows)


def _nearest_cells(features: np.ndarray, random_state) -> np.ndarray:
    """The nearest cells of each row, the nearest first, of shape (n_rows, n_probes)."""
    n_cells = max(2, len(features) // CELL)
    some = random_state.choice(
        len(features), min(len(features), 50 * n_cells), replace=False
    )
    cells = MiniBatchKMeans(
        n_cells, n_init=1, max_iter=10, random_state=random_state
    ).fit(features[some])
    centers = cells.cluster_centers_.astype(features.dtype)
    probes = min(PROBES, n_cells)
    out = np.empty((len(features), probes), dtype=np.intp)
    sizes = row_norms(centers, squared=True)
    for block in blocks(np.arange(len(features)), n_cells):
        squares = sizes - 2 * (features[block] @ centers.T)
        nearest = np.argpartition(squares, probes - 1, axis=1)[:, :probes]
        order = np.take_along_axis(squares, nearest, axis=1).argsort(axis=1)
        out[block] = np.take_along_axis(nearest, order, axis=1)
    return out


def _sorted_by(cells: np.ndarray) -> dict:
    """Positions of each cell."""
    present = np.unique(cells)
    return dict(zip(present.tolist(), members_of(cells, present), strict=True))


def blocks(chosen: np.ndarray, n_others: int) -> Iterator[np.ndarray]:
    """Cut rows into blocks whose distances to the others fit into memory."""
    step = max(1, BLOCK // max(1, n_others))
    for start in range(0, len(chosen), step):
        yield chosen[start : start + step]


def _dense(products) -> np.ndarray:
    return products.toarray() if sparse.issparse(products) else products


def _differences(rows, left, others, right) -> np.ndarray:
    """Distances of pairs of rows, from differences."""
    out = np.empty(len(left))
    for block in blocks(np.arange(len(left)), rows.shape[1]):
        found = right[block, np.newaxis]
        out[block] = pair_distances(rows[left[block]], others, found)[:, 0]
    return out


def largest_within(queries, rows, radius: float, sizes: np.ndarray) -> np.ndarray:
    """The largest size among the rows that a query lies within the radius of, or 1."""
    out = np.ones(queries.shape[0])
    asked, known = Sized.of(queries), Sized.of(rows)
    for block in blocks(np.arange(queries.shape[0]), rows.shape[0]):
        i, j = asked.at(block).within(known, radius)
        np.maximum.at(out, block[i], sizes[j])
    return out


def distances_around(rows, members: np.ndarray, looked_at: np.ndarray) -> tuple:
    """Median distances to the nearest other member, and to the nearest row outside."""
    inside = np.zeros(rows.shape[0], dtype=bool)
    inside[members] = True
    within, outside = [], []
    for block, squares in _without_self(rows, looked_at):
        for where, out in ((inside, within), (~inside, outside)):
            nearest = np.where(where, squares, np.inf).argmin(axis=1)
            out.append(_differences(rows, block, rows, nearest))
    spread, distance = (float(np.median(np.concatenate(d))) for d in (within, outside))
    return spread, distance if len(members) < rows.shape[0] else np.inf
