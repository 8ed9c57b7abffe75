"""Greedy in parts of a class, then among what was picked in the parts.

For classes of which all pairs of rows are too many. The second greedy knows all rows:
what a candidate gains comes from the rows that are nearer to it than to their medoid,
and once there are some medoids, these are few, and a tree finds them.
"""

import heapq
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from numbers import Integral
from typing import NamedTuple, Protocol

import numpy as np
from scipy import sparse
from scipy.spatial import KDTree
from sklearn.utils._param_validation import Interval, StrOptions

from skpoison.coreset._numpy import Measure, quantize, squared_distances
from skpoison.coreset.backend import UNIT

PARTITIONS = [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None]
# Classes of more rows are divided: all their dissimilarities are not stored. Those of a
# part are, in 64 MiB.
WHOLE_ROWS, PART_ROWS = 16384, 4096
# So many times its share of the medoids is picked in each part.
CANDIDATES = 4
# Medoids that are taken from one part before others are compared with them, and how
# many times as many there are after each comparison.
SEEDS = 64
GROWTH = 4
# Pairs that are computed, and rows that are looked up in the tree, at once.
PAIRS, ROWS = 2**19, 2**14
LEAF_ROWS = 64
SWEEPS = 8

# Picks so many among some rows, for each task, and returns their positions there.
Pick = Callable[[list[tuple[np.ndarray, int]]], list[np.ndarray]]
# Squared distances of rows from others.
SquaresBetween = Callable[[slice, slice], np.ndarray]


class Space(Protocol):
    """Rows of one class, and their dissimilarities."""

    n_samples: int

    def units(self, rows: slice, others: np.ndarray) -> np.ndarray:
        """Return the dissimilarities of rows from others, int32."""
        ...

    def closer(
        self, candidates: np.ndarray, medoids: np.ndarray, current: np.ndarray
    ) -> sparse.csr_array:
        """Return dissimilarities of all rows from the candidates nearer than medoids.

        ``medoids`` are the rows' nearest medoids, ``current`` the dissimilarities.
        """
        ...


class Points:
    """Rows with coordinates: candidates near them are looked up in a tree."""

    def __init__(self, columns: np.ndarray, measure: Measure):
        self.columns, self.measure = columns, measure
        self.n_samples = columns.shape[1]

    def units(self, rows: slice, others: np.ndarray) -> np.ndarray:
        """Return the dissimilarities of rows from others, int32."""
        return quantize(squared_distances(self.columns, rows, others), self.measure)

    def closer(
        self, candidates: np.ndarray, medoids: np.ndarray, current: np.ndarray
    ) -> sparse.csr_array:
        """Return dissimilarities of all rows from candidates nearer than medoids."""
        candidates, places, tree = self._tree(candidates)
        rounding = 8 * (len(self.columns) + 4) * np.finfo(self.columns.dtype).eps
        pieces = []
        order = np.argsort(medoids, kind="stable")
        for start in range(0, self.n_samples, ROWS):
            rows = order[start : start + ROWS]
            radii = np.sqrt(self._squares(rows, medoids[rows]).astype(np.float64))
            found = tree.query_ball_point(self._points(rows), radii * (1.0 + rounding))
            of = np.repeat(rows, [len(some) for some in found])
            found = np.fromiter(chain.from_iterable(found), np.intp, len(of))
            units = quantize(self._squares(of, candidates[found]), self.measure)
            near = units < current[of]
            near_ones = places[found[near]].astype(np.int32)
            pieces.append((of[near].astype(np.int32), near_ones, units[near]))
        return lists_of(pieces, (self.n_samples, len(candidates)))

    def _tree(self, candidates):
        """Return candidates in the order of a tree of them, their places, and the tree.

        Neighbors are then side by side in memory, as are rows in the order of medoids.
        """
        places = KDTree(self._points(candidates), LEAF_ROWS).indices
        candidates = candidates[places]
        return candidates, places, KDTree(self._points(candidates), LEAF_ROWS)

    def _points(self, rows):
        return self.columns[:, rows].T.astype(np.float64)

    def _squares(self, rows, others):
        """Squared distances of pairs, summed as those of all pairs are."""
        total = np.zeros(len(rows), dtype=self.columns.dtype)
        for column in self.columns:
            difference = column[rows] - column[others]
            total += difference * difference
        return total


def blocks(n_samples: int, n_others: int) -> Iterator[slice]:
    """Yield all rows, so many at once that pairs with others fit into memory."""
    step = max(1, PAIRS // n_others)
    for start in range(0, n_samples, step):
        yield slice(start, min(start + step, n_samples))


def lists_of(
    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]], shape: tuple[int, int]
) -> sparse.csr_array:
    """Join rows, their candidates, and dissimilarities; zeros stay."""
    rows, candidates, units = map(np.concatenate, zip(*pieces, strict=True))
    return sparse.coo_array((units, (rows, candidates)), shape=shape).tocsr()


def large_square(columns: np.ndarray) -> np.floating:
    """Return a large squared distance between rows, X.T; see :func:`by_sweeps`."""
    return by_sweeps(partial(squared_distances, columns))


def by_sweeps(squares_between: SquaresBetween) -> np.floating:
    """Return a large squared distance between rows, usually the largest.

    It is that from a row to the farthest one, from there to the farthest one, and so
    on, as long as it grows; at least a quarter of the largest.
    """
    row, largest = 0, np.float64(-1.0)
    for _ in range(SWEEPS):
        with np.errstate(over="ignore"):
            squares = squares_between(slice(row, row + 1), slice(None))[0]
        row = int(squares.argmax())
        if squares[row] <= largest:
            break
        largest = squares[row]
    return largest


def numbers_of_parts(partitions: int | str | None, counts: np.ndarray) -> np.ndarray:
    """Into how many parts each class is divided."""
    if partitions is None:
        return np.ones_like(counts)
    if partitions != "auto":
        return np.minimum(partitions, counts)
    return np.where(counts > WHOLE_ROWS, -(-counts // PART_ROWS), 1)


def select(
    space: Space, n_medoids: int, n_parts: int, pick: Pick
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pick medoids; returns what :func:`skpoison.coreset._numpy.greedy` does.

    Parts are drawn at random, always the same ones. Of few medoids, so many parts are
    used as give enough candidates.
    """
    parts = _picks_of_parts(space.n_samples, n_medoids, n_parts, pick)
    found = _seeded(space, parts[0][: max(1, min(SEEDS, n_medoids // GROWTH))])
    while len(found.picks) < n_medoids:
        goal = min(n_medoids, GROWTH * len(found.picks))
        candidates = _candidates(parts, CANDIDATES * goal, goal == n_medoids)
        found = _added(space, candidates, goal, found)
    return found.picks, found.gains, found.nearest


def _picks_of_parts(n_samples, n_medoids, n_parts, pick):
    parts = np.array_split(np.random.RandomState(0).permutation(n_samples), n_parts)
    most = max(CANDIDATES * -(-n_medoids // n_parts), min(n_medoids, SEEDS))
    tasks = [(np.sort(rows), min(most, len(rows))) for rows in parts]
    before = np.cumsum([0] + [budget for _, budget in tasks[:-1]])
    tasks = tasks[: np.searchsorted(before, CANDIDATES * n_medoids)]
    return [rows[found] for (rows, _), found in zip(tasks, pick(tasks), strict=True)]


def _candidates(parts, n_candidates, is_last):
    """What was picked first, in so many parts as give enough of it."""
    if is_last:
        return np.concatenate(parts)
    firsts = [picks[:n_candidates] for picks in parts]
    before = np.cumsum([0] + [len(picks) for picks in firsts[:-1]])
    return np.concatenate(firsts[: np.searchsorted(before, n_candidates)])


class Found(NamedTuple):
    """Medoids, and the nearest one of every row."""

    picks: np.ndarray
    gains: np.ndarray  # by how much each lowered the sum
    nearest: np.ndarray  # which medoid is that of each row, by the order of picking
    current: np.ndarray  # the row's dissimilarity to it, int32


def _seeded(space, seeds):
    """The seeds as medoids, in their order."""
    nearest = np.empty(space.n_samples, dtype=np.intp)
    current = np.empty(space.n_samples, dtype=np.int32)
    gains = np.zeros(len(seeds), dtype=np.int64)
    for rows in blocks(space.n_samples, len(seeds)):
        units = np.minimum(space.units(rows, seeds), UNIT)
        lowest = np.minimum.accumulate(units, axis=1)
        before = np.column_stack([np.full(len(units), UNIT), lowest[:, :-1]])
        gains += (before - lowest).sum(axis=0, dtype=np.int64)
        nearest[rows], current[rows] = units.argmin(axis=1), lowest[:, -1]
    return Found(seeds, gains, nearest, current)


def _added(space, candidates, n_medoids, found):
    """Add candidates to the medoids until there are so many."""
    candidates = np.sort(candidates[~np.isin(candidates, found.picks)])
    medoids = found.picks[found.nearest]
    lists = Lists.of(space.closer(candidates, medoids, found.current), found)
    heap = [(-gain, who) for who, gain in enumerate(lists.gains.tolist())]
    heapq.heapify(heap)
    picks, gains = [], []
    for position in range(len(found.picks), n_medoids):
        who = lists.best(heap)
        picks.append(candidates[who])
        gains.append(lists.gains[who])
        lists.take(who, position)
    return Found(
        np.concatenate([found.picks, picks]).astype(np.intp),
        np.concatenate([found.gains, gains]).astype(np.int64),
        lists.nearest,
        lists.current,
    )


class Lists(NamedTuple):
    """Which rows are nearer to a candidate than to their medoids, and how near."""

    by_row: sparse.csr_array
    by_candidate: sparse.csc_array
    gains: np.ndarray  # of each candidate, int64
    nearest: np.ndarray
    current: np.ndarray

    @classmethod
    def of(cls, closer, found):
        """Lists of pairs of rows and candidates."""
        gained = np.repeat(found.current, np.diff(closer.indptr)) - closer.data
        gains = np.bincount(closer.indices, gained, minlength=closer.shape[1])
        gains = gains.astype(np.int64)
        return cls(closer, closer.tocsc(), gains, found.nearest, found.current)

    def best(self, heap):
        """Take the candidate of the largest gain, of equals the first, off the heap."""
        while True:
            gain, who = heap[0]
            if -gain == self.gains[who]:
                return heapq.heappop(heap)[1]
            heapq.heapreplace(heap, (-self.gains[who], who))

    def take(self, who, position):
        """Make a candidate a medoid, and update what others would gain."""
        part = slice(*self.by_candidate.indptr[who : who + 2])
        rows, new = self.by_candidate.indices[part], self.by_candidate.data[part]
        changed = new < self.current[rows]
        rows, new = rows[changed], new[changed]
        old = self.current[rows]
        self.current[rows], self.nearest[rows] = new, position
        starts = self.by_row.indptr[rows]
        sizes = self.by_row.indptr[rows + 1] - starts
        ends = np.cumsum(sizes)
        entries = np.arange(ends[-1] if len(ends) else 0)
        entries += np.repeat(starts - ends + sizes, sizes)
        units = self.by_row.data[entries]
        low, high = np.repeat(new, sizes), np.repeat(old, sizes)
        lost = high - np.clip(units, low, high)
        np.subtract.at(self.gains, self.by_row.indices[entries], lost)
