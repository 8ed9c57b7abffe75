"""Neighborhoods of one label that contradict all other rows.

Where all labels of a neighborhood are wrong, its rows vouch for one another: a model
sees it only if it is fitted without all of them. Which rows these are is not known, so
many neighborhoods are looked at: the nearest rows of a label around each row whose
label is in doubt, in growing numbers. A step of Newton's method, from the logistic
regression fitted on all rows, approaches what one without a neighborhood would say of
it; what nearest neighbors would say follows from who they are.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from skpoison.filters._cells import EXACT, Sized, blocks, nearest_of

FEWEST, GROWTH = 4, 1.3  # rows of the smallest neighborhood; how sizes grow
LARGEST, LARGEST_OF_CLASS = 0.06, 0.3  # of all rows, and of those of the label
MOST_CENTERS = 200
NEIGHBORS = 10  # that vote on each row
MOST_ASKED = 24  # rows of a neighborhood whose neighbors vote
RIDGE = 1.0  # penalty of half of the squared coefficients
UNPENALIZED = 1e-6
MOST_ODDS = 4.0  # logarithm of odds that a model can give
# Logarithm of the odds against a label from which on a row speaks against it: there are
# rows in doubt around most neighborhoods.
IN_DOUBT = 1.0
MOST_ROWS = 0.2  # in all neighborhoods together
REFINED = 9  # sizes around the best one
# Powers of the number of rows that the mean odds are multiplied by.
LARGE, DENSE = 1.0, 0.5


class _Found(NamedTuple):
    """A neighborhood, and how clearly its label is contradicted."""

    against: float  # mean logarithm of odds, beyond those of rows in doubt
    around: np.ndarray  # the nearest rows of the label of a row in the middle
    size: int  # how many of these are in it

    @property
    def rows(self) -> np.ndarray:
        """Positions of its rows."""
        return self.around[: self.size]


class Pockets(NamedTuple):
    """Neighborhoods of one label that the others contradict.

    Those of each list are disjoint; the most clearly contradicted are the first.
    """

    large: list[np.ndarray]  # the largest sums of odds: with all rows that matter
    dense: list[np.ndarray]  # largest in relation to chance: with hardly any others


def pockets(
    points: np.ndarray, codes: np.ndarray, doubtful: np.ndarray, rng
) -> Pockets:
    """Look for pockets around doubtful rows, given as a mask.

    Of many rows, some drawn at random are looked at; the others go with the nearest of
    these that bear their label.
    """
    if len(codes) <= EXACT:
        return _all_pockets(points, codes, doubtful, rng)
    drawn = np.zeros(len(codes), dtype=bool)
    drawn[rng.choice(len(codes), EXACT, replace=False)] = True
    some, others = np.flatnonzero(drawn), np.flatnonzero(~drawn)
    known, of_some = np.unique(codes[some], return_inverse=True)
    found = _all_pockets(points[some], of_some, doubtful[some], rng)
    others = others[np.isin(codes[others], known)]
    nearest = nearest_alike(points[some], codes[some], points[others], codes[others])
    return Pockets(
        *(
            [np.r_[some[rows], others[np.isin(nearest, rows)]] for rows in kind]
            for kind in found
        )
    )


def nearest_alike(
    points: np.ndarray, codes: np.ndarray, others: np.ndarray, of_others: np.ndarray
) -> np.ndarray:
    """Position of the nearest row of the same label, of each of some other points."""
    out = np.zeros(len(others), dtype=np.intp)
    for code in np.unique(of_others):
        known = np.flatnonzero(codes == code)
        asked = np.flatnonzero(of_others == code)
        out[asked] = known[nearest_of(points[known], others, asked)]
    return out


def _all_pockets(points, codes, doubtful, rng) -> Pockets:
    n_rows, n_doubtful = len(codes), np.count_nonzero(doubtful)
    largest = int(LARGEST * n_rows)
    if largest < FEWEST or n_rows <= largest + NEIGHBORS or not n_doubtful:
        return Pockets([], [])
    rows = _with_constant(points)
    near = _nearest(rows, largest + NEIGHBORS)
    found: dict[float, list] = {power: [] for power in (LARGE, DENSE)}
    for code, total in enumerate(np.bincount(codes)):
        is_own = codes == code
        centers = np.flatnonzero(doubtful & is_own)
        n_centers = int(np.ceil(MOST_CENTERS * len(centers) / n_doubtful))
        if len(centers) > n_centers:
            centers = np.sort(rng.choice(centers, n_centers, replace=False))
        most = int(min(largest, LARGEST_OF_CLASS * total))
        if not len(centers) or most < FEWEST or total == n_rows:
            continue
        around = _around(rows, centers, np.flatnonzero(is_own), most)
        scan = _Scan(_Linear.of(rows, is_own), near, is_own)
        coarse = scan.contradicted(around, _sizes(most))
        for power, kind in found.items():
            best = _best(coarse, n_rows, power)
            kind += [one for each in best for one in scan.refined(each)]
    large, dense = (_best(found[power], n_rows, power) for power in (LARGE, DENSE))
    return Pockets([one.rows for one in large], [one.rows for one in dense])


def _nearest(rows, n) -> np.ndarray:
    """The nearest other rows of each, the nearest first."""
    out = np.empty((len(rows), n), dtype=np.int32)
    everyone = Sized.of(rows)
    for block in blocks(np.arange(len(rows)), len(rows)):
        squares = everyone.at(block).squares(everyone)
        squares[np.arange(len(block)), block] = np.inf
        out[block] = _smallest(squares, n)
    return out


def _around(rows, centers, own, n) -> np.ndarray:
    """The nearest rows of the label around each center, which is the first."""
    squares = Sized.of(rows[centers]).squares(Sized.of(rows[own]))
    squares[centers[:, None] == own] = -1.0
    return own[_smallest(squares, n)]


def _with_constant(points):
    centered = points - points.mean(axis=0)
    scale = np.sqrt(np.mean(centered**2)) or 1.0
    return np.column_stack([centered / scale, np.ones(len(points))])


def _smallest(values, n):
    """Where the n smallest values of each row are, in their order."""
    few = np.argpartition(values, n - 1, axis=1)[:, :n]
    order = np.take_along_axis(values, few, axis=1).argsort(axis=1, kind="stable")
    return np.take_along_axis(few, order, axis=1)


def _sizes(most) -> list[int]:
    sizes, size = [], FEWEST
    while size <= most:
        sizes.append(size)
        size = int(np.ceil(GROWTH * size))
    return sizes


class _Linear(NamedTuple):
    """A logistic regression of one label against all others."""

    rows: np.ndarray
    odds: np.ndarray  # logarithms, of each row
    residuals: np.ndarray
    weights: np.ndarray
    curvature: np.ndarray

    @classmethod
    def of(cls, rows, is_own) -> "_Linear":
        """Fit it to all rows."""
        model = LogisticRegression(C=1 / RIDGE, solver="newton-cholesky")
        odds = model.fit(rows[:, :-1], is_own).decision_function(rows[:, :-1])
        chance = expit(odds)
        weights = chance * (1 - chance)
        penalty = np.full(rows.shape[1], RIDGE)
        penalty[-1] = UNPENALIZED
        curvature = (rows * weights[:, None]).T @ rows + np.diag(penalty)
        return cls(rows, odds, chance - is_own, weights, curvature)

    def without(self, around, sizes) -> Iterator[np.ndarray]:
        """Odds of the first rows around each center, without these, for all sizes."""
        curvature = np.repeat(self.curvature[None], len(around), axis=0)
        slopes = np.zeros((*curvature.shape[:2], 1))
        before = 0
        for size in sizes:
            more = around[:, before:size]
            of_more = self.rows[more]
            turned = of_more.swapaxes(1, 2)
            curvature -= (turned * self.weights[more][:, None]) @ of_more
            slopes += turned @ self.residuals[more][..., None]
            steps = np.linalg.solve(curvature, slopes)
            before, members = size, around[:, :size]
            yield self.odds[members] + (self.rows[members] @ steps)[..., 0]


class _Scan(NamedTuple):
    """What is asked of neighborhoods of one label."""

    linear: _Linear
    near: np.ndarray  # the nearest rows of each row, the nearest first
    is_own: np.ndarray  # rows of the label

    def contradicted(self, around, sizes) -> list[_Found]:
        """Neighborhoods whose rows are beyond doubt, on average."""
        found = []
        said = self.linear.without(around, sizes), self._votes(around, sizes)
        for size, odds, votes in zip(sizes, *said, strict=True):
            by_linear = np.clip(odds, -MOST_ODDS, MOST_ODDS).mean(axis=1)
            against = -(by_linear + votes.mean(axis=1)) / 2 - IN_DOUBT
            for center in np.flatnonzero(against > 0):
                found.append(_Found(against[center], around[center], size))
        return found

    def refined(self, one: _Found) -> list[_Found]:
        """The same neighborhood in sizes between those that were looked at."""
        low = max(one.size / GROWTH, FEWEST)
        high = min(one.size * GROWTH, len(one.around))
        sizes = np.unique(np.linspace(low, high, REFINED).round().astype(np.intp))
        return self.contradicted(one.around[None, : sizes[-1]], sizes)

    def _votes(self, around, sizes) -> Iterator[np.ndarray]:
        """Odds of some of the first rows, by the nearest that are not among these."""
        n_centers, most = around.shape
        ranks = np.full((n_centers, len(self.is_own)), most, dtype=np.int32)
        np.put_along_axis(ranks, around, np.arange(most, dtype=np.int32), axis=1)
        for size in sizes:
            places = np.unique(np.linspace(0, size - 1, MOST_ASKED).astype(np.intp))
            asked = self.near[around[:, places], : size + NEIGHBORS]
            flat = asked.reshape(n_centers, -1)
            outside = np.take_along_axis(ranks, flat, 1).reshape(asked.shape) >= size
            outside &= np.cumsum(outside, axis=2, dtype=np.int32) <= NEIGHBORS
            votes = np.count_nonzero(outside & self.is_own[asked], axis=2)
            yield np.log((votes + 0.5) / (NEIGHBORS - votes + 0.5))


def _best(found, n_rows, power) -> list[_Found]:
    """Disjoint ones; the mean odds are multiplied by a power of the number of rows."""
    taken = np.zeros(n_rows, dtype=bool)
    out = []
    for one in sorted(found, key=lambda one: -one.against * one.size**power):
        if np.count_nonzero(taken) + one.size > MOST_ROWS * n_rows:
            continue
        if not taken[one.rows].any():
            taken[one.rows] = True
            out.append(one)
    return out
