"""Nearest rows in numbers of rows that grow: an inverted file.

Many rows are cut into the cells of k-means, and a row is compared with the rows of the
nearest few cells; up to 4,096 rows are all compared with one another.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.neighbors import NearestNeighbors
from sklearn.utils.extmath import row_norms

from skpoison.filters._nearest import members_of, pair_distances

BLOCK = 2**20  # distances that are computed at once
ARRAYS = 4  # of that size, where rows and distances are in memory together
EXACT = 4_096  # so many rows are all compared with one another
CELL = 1_024  # rows of a cell, on average
PROBES = 3  # nearest cells that a row is compared with
FITTED = 50  # rows for each cell, that k-means is fitted to
LARGEST = 1e15  # distance, whose square is a number of 32 bits
DIRECTIONS = 32  # of sparse rows, in which their cells are found


def blocks(chosen: np.ndarray, n_others: int) -> Iterator[np.ndarray]:
    """Cut rows into blocks whose distances to the others fit into memory."""
    step = max(1, BLOCK // max(1, n_others))
    for start in range(0, len(chosen), step):
        yield chosen[start : start + step]


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
        products = self.rows @ others.rows.T
        out = products.toarray() if sparse.issparse(products) else products
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
        near = distances_of_pairs(self.rows, i, others.rows, j) <= radius
        return i[near], j[near]


def distances_of_pairs(rows, left, others, right) -> np.ndarray:
    """Distances of pairs of rows, from differences."""
    out = np.empty(len(left))
    for block in blocks(np.arange(len(left)), ARRAYS * rows.shape[1]):
        found = right[block, np.newaxis]
        out[block] = pair_distances(rows[left[block]], others, found)[:, 0]
    return out


class Cells(NamedTuple):
    """Rows of each cell, and rows that are compared with these."""

    members: list[np.ndarray]
    queries: list[np.ndarray]

    @classmethod
    def of(cls, rows, random_state: np.random.RandomState) -> "Cells":
        """Cells of rows; a single one if there are few rows."""
        n = rows.shape[0]
        if n <= EXACT:
            return cls([np.arange(n)], [np.arange(n)])
        probes = _nearest_cells(_cell_features(rows, random_state), random_state)
        present = np.unique(probes[:, 0])
        asked = members_of(probes.ravel(), present)
        queries = [(each // probes.shape[1]).astype(np.int32) for each in asked]
        return cls(members_of(probes[:, 0], present), queries)

    def comparisons(self, asked=None, among=None, *, own=True) -> Iterator[tuple]:
        """Which rows are compared with which; given masks, some rows with others.

        Or only those that are compared with the rows of other cells.
        """
        for members, queries in zip(self.members, self.queries, strict=True):
            if not own:
                queries = np.setdiff1d(queries, members, assume_unique=True)
            yield from _compared(queries, members, asked, among)

    def own_comparisons(self, asked=None, among=None) -> Iterator[tuple]:
        """Only those with rows of the same cell."""
        for members in self.members:
            yield from _compared(members, members, asked, among)


def _compared(queries, members, asked, among):
    queries = queries if asked is None else queries[asked[queries]]
    members = members if among is None else members[among[members]]
    if len(queries) and len(members):
        yield queries, members


def nearest_of(known: np.ndarray, points: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Which of some known points is the nearest to each row that is asked for."""
    found = [np.zeros(0, dtype=np.intp)]
    everyone = Sized.of(known)
    for block in blocks(asked, len(known)):
        found.append(Sized.of(points[block]).squares(everyone).argmin(axis=1))
    return np.concatenate(found)


def nearest_rows(rows, k: int, cells: Cells, asked=None, among=None) -> tuple:
    """Distances to, and positions of, the k nearest other rows, unordered.

    Given masks, of the rows asked for, among some rows.
    """
    n = rows.shape[0]
    is_small = n <= EXACT
    best = np.full((n, k), np.inf, dtype=np.float64 if is_small else np.float32)
    index = np.zeros((n, k), dtype=np.int32)

    def merge(queries, values, found):
        values = np.concatenate([best[queries], values], axis=1)
        found = np.concatenate([index[queries], found], axis=1)
        kept = np.argpartition(values, k - 1, axis=1)[:, :k]
        best[queries] = np.take_along_axis(values, kept, axis=1)
        index[queries] = np.take_along_axis(found, kept, axis=1)

    if is_small or sparse.issparse(rows):
        for queries, members in cells.comparisons(asked, among):
            merge(queries, *_by_products(rows, queries, members, k))
    else:
        # Neighbors in a row's own cell leave few rows of other cells to look at.
        for queries, members in cells.own_comparisons(asked, among):
            merge(queries, *_by_search(rows, queries, members, k))
        for queries, members in cells.comparisons(asked, among, own=False):
            others = rows[members]
            for block in blocks(queries, len(members)):
                limits = best[block].max(axis=1)
                for i, *nearer in _nearer(rows[block], others, limits, k):
                    merge(block[i], nearer[0], members[nearer[1]])
    if asked is None:
        return best, index
    return best[asked], index[asked]


def _by_search(rows, queries, members, k):
    k = min(k + 1, len(members))  # a row finds itself, too
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(rows[members])
    values, found = search.kneighbors(rows[queries])
    found = members[found]
    values[found == queries[:, None]] = np.inf
    return values, found


def _nearer(queries, rows, limits, k):
    """Queries that have rows within their limits; distances and positions of these.

    Yields those with more than a few, of which the nearest are found, and the others,
    whose distances are padded with infinity.
    """
    sizes, limits = row_norms(queries, squared=True), np.minimum(limits, LARGEST)
    with_size = np.column_stack([-2 * rows, row_norms(rows, squared=True)])
    with_one = np.column_stack([queries, np.ones_like(sizes)])
    squares = with_one @ with_size.T
    is_nearer = squares < (limits**2 - sizes)[:, None]
    counts = np.count_nonzero(is_nearer, axis=1)
    many = np.flatnonzero(counts > 2 * k)
    if len(many):
        found = np.argpartition(squares[many], k - 1, axis=1)[:, :k]
        values = squares[many[:, None], found] + sizes[many, None]
        yield many, np.sqrt(np.maximum(values, 0)), found
        is_nearer[many] = False
        counts[many] = 0
    few = np.flatnonzero(counts)
    i, j = np.divmod(np.flatnonzero(is_nearer), len(rows))  # faster than nonzero
    where = np.repeat(np.arange(len(few)), counts[few])
    place = np.arange(len(i)) - (np.cumsum(counts[few]) - counts[few])[where]
    values = np.full((len(few), counts.max(initial=0)), np.inf, squares.dtype)
    values[where, place] = np.sqrt(np.maximum(squares[i, j] + sizes[i], 0))
    found = np.zeros(values.shape, dtype=np.intp)
    found[where, place] = j
    yield few, values, found


def _by_products(rows, queries, members, k):
    k = min(k, len(members))
    values = np.empty((len(queries), k))
    found = np.empty((len(queries), k), dtype=np.intp)
    others = Sized.of(rows[members])
    for block in blocks(np.arange(len(queries)), len(members)):
        squares = Sized.of(rows[queries[block]]).squares(others)
        squares[members == queries[block][:, None]] = np.inf
        found[block] = np.argpartition(squares, k - 1, axis=1)[:, :k]
        values[block] = np.take_along_axis(squares, found[block], axis=1)
    return np.sqrt(np.maximum(values, 0)), members[found]


def _cell_features(rows, random_state):
    if not sparse.issparse(rows):
        return rows
    if rows.shape[1] <= DIRECTIONS:
        return rows.toarray()
    directions = min(DIRECTIONS, min(rows.shape) - 1)
    return TruncatedSVD(directions, random_state=random_state).fit_transform(rows)


def _nearest_cells(features, random_state) -> np.ndarray:
    """The nearest cells of each row, the nearest first, of shape (n_rows, n_probes)."""
    n = features.shape[0]
    n_cells = max(2, n // CELL)
    some = random_state.choice(n, min(n, FITTED * n_cells), replace=False)
    cells = MiniBatchKMeans(
        n_cells, n_init=1, max_iter=10, random_state=random_state
    ).fit(features[some])
    centers = cells.cluster_centers_
    probes = min(PROBES, n_cells)
    out = np.empty((n, probes), dtype=np.int32)
    sizes = row_norms(centers, squared=True)
    for block in blocks(np.arange(n), ARRAYS * (n_cells + features.shape[1])):
        squares = sizes - 2 * (features[block] @ centers.T)
        nearest = np.argpartition(squares, probes - 1, axis=1)[:, :probes]
        order = np.take_along_axis(squares, nearest, axis=1).argsort(axis=1)
        out[block] = np.take_along_axis(nearest, order, axis=1)
    return out
