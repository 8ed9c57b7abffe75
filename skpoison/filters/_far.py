"""Rows that are much farther from their class, or from any row, than is usual."""

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.covariance import ledoit_wolf
from sklearn.utils.extmath import row_norms

from skpoison.filters._bulk import (
    LEAST_SPREAD,
    bulk_of_logs,
    lie_apart,
    logs_of,
    tail_threshold,
)
from skpoison.filters._isolation_forest import QuickIsolationForest
from skpoison.filters._many_rows import at, by_blocks, drawn, mapped
from skpoison.filters._neighborhood import Neighborhood
from skpoison.filters._threshold import bulk_threshold

FEWEST = 20  # smaller classes are compared with all rows
BULK = 0.75  # share of a class that its covariance is computed from
RARELY = 0.05  # of a column's variance, that the bulk has
STEPS = 2  # concentration steps on the bulk
AT_END = 3.4  # deviations: where the bulk of one column ends
FEWEST_TO_CUT = 2  # columns: random cuts of one part its ends from all others
# Share of rows that deviate from the usual value of a column: a random cut would part
# fewer from all others, whatever their values.
FEWEST_TO_PART = 0.05
N_TREES = 100  # of the isolation forest


class Reach(NamedTuple):
    """How far rows of each class usually are from its center, to score new rows."""

    middle: np.ndarray | None  # of the columns, before compression
    spread: np.ndarray | None
    usual: np.ndarray | None  # deviations from the middle, where most rows have none
    varied: np.ndarray  # columns in which more than a few rows are off the middle
    centers: np.ndarray  # (n_classes, n_features) of compressed rows
    logs: np.ndarray  # (n_classes, 2): median and spread of logarithms of distances

    @classmethod
    def of(cls, numbers, codes, rng) -> tuple["Reach", np.ndarray]:
        """The reach of training rows, and the compressed rows."""
        everyone = np.arange(len(codes))
        as_they_are = sparse.issparse(numbers) or numbers.shape[1] == 1
        scales = None, None, None, np.zeros(0, dtype=np.intp)
        if not as_they_are:
            scales = _scales(drawn(numbers, everyone, rng))
        reach = cls(*scales, np.zeros((0, 0)), np.zeros((0, 0)))
        rows = mapped(numbers, reach.compressed)
        centers, logs = [], []
        for code in range(codes.max() + 1):
            own = np.flatnonzero(codes == code)
            usual = drawn(rows, own if len(own) >= FEWEST else everyone, rng)
            is_sparse = sparse.issparse(rows)
            centers.append(np.zeros(1) if is_sparse else np.median(usual, axis=0))
            if as_they_are and not is_sparse:
                logs.append(_bulk_of_one_column(usual - centers[-1]))
                continue
            logs.append(bulk_of_logs(logs_of(_distances(usual, centers[-1]))))
        reach = reach._replace(centers=np.array(centers), logs=np.array(logs))
        return reach, rows

    def compressed(self, numbers):
        """Columns on a logarithmic scale of distances from their median.

        Honest rows with heavy tails are far in one column, far rows in many.
        """
        if self.middle is None:
            return numbers
        moved = numbers - self.middle
        sizes = self._sizes(np.abs(moved), self.spread)
        return np.sign(moved) * np.log1p(sizes)

    def with_rare_near(self, numbers):
        """Columns of unit variance, of which rare values are one unit off."""
        if self.middle is None or not self.usual.any():
            return numbers
        moved = numbers - self.middle
        return np.sign(moved) * self._sizes(np.abs(moved), 1.0)

    def _sizes(self, sizes, spread):
        """Deviations in units of spread, none large that is usual where most have none.

        A row is not far for a missing cell, a rare category or a rare word.
        """
        rare = self.usual > 0
        out = sizes / spread
        near = np.maximum(sizes[:, rare] / self.usual[rare], 1.0)
        out[:, rare] = np.minimum(out[:, rare], near)
        return out

    def deviations(self, rows, codes) -> np.ndarray:
        """Robust deviations of the logarithmic distances of compressed rows."""
        return by_blocks(self._deviations, rows, codes)

    def _deviations(self, rows, codes):
        out = np.zeros(len(codes))
        for code in np.unique(codes):
            own = np.flatnonzero(codes == code)
            logs = logs_of(_distances(rows[own], self.centers[code]))
            out[own] = (logs - self.logs[code, 0]) / self.logs[code, 1]
        return out


class Isolation(NamedTuple):
    """How soon random splits isolate a row from all others, whatever its label."""

    forest: QuickIsolationForest
    columns: np.ndarray  # that are cut
    bulk: tuple  # median and spread of logarithmic scores
    excused: np.ndarray  # (n_classes,): whether the class lies apart as a whole

    @classmethod
    def of(cls, rows, columns, rng) -> tuple["Isolation", np.ndarray]:
        """The isolation of dense compressed training rows, and their deviations."""
        seed = int(rng.randint(2**31 - 1))
        forest = QuickIsolationForest(N_TREES, seed)
        # Trees are grown on a part of these anyway.
        forest.fit(drawn(rows, np.arange(rows.shape[0]), rng)[:, columns])
        none = np.zeros(0, dtype=bool)
        logs = cls(forest, columns, (0.0, 1.0), none).deviations(rows)
        middle, spread = bulk = bulk_of_logs(logs)
        return cls(forest, columns, bulk, none), (logs - middle) / spread

    def deviations(self, rows) -> np.ndarray:
        """Robust deviations of the logarithmic scores of rows."""
        middle, spread = self.bulk
        return (np.log(-by_blocks(self._scores, rows)) - middle) / spread

    def beyond(self, apart, threshold, codes) -> np.ndarray:
        """Deviations minus the threshold, but none beyond it of excused classes."""
        return np.where(self.excused[codes], -np.inf, apart - threshold)

    def _scores(self, rows):
        return self.forest.score_samples(rows[:, self.columns])


class Far(NamedTuple):
    """Which rows are far from the others, or from the center of their class."""

    reach: Reach
    isolation: Isolation | None
    neighborhood: Neighborhood | None
    thresholds: np.ndarray  # of the deviations of reach and isolation
    beyond: np.ndarray  # deviations minus thresholds; > 0 is far
    spread_out: np.ndarray  # deviations by the covariance of the bulk of the class
    times_alone: np.ndarray  # usual distance of the nearest rows, if far for that alone

    def beyond_of(self, numbers, codes) -> np.ndarray:
        """Deviations minus thresholds of new rows."""
        rows = self.reach.compressed(numbers)
        out = self.reach.deviations(rows, codes) - self.thresholds[0]
        if self.isolation is None:
            return out
        apart = self.isolation.deviations(rows)
        beyond = self.isolation.beyond(apart, self.thresholds[1], codes)
        out = np.maximum(out, beyond)
        if self.neighborhood is None:
            return out
        nearest = self.neighborhood.distances(rows)
        return np.maximum(out, self.neighborhood.beyond(nearest, codes, are_new=True))


def far_rows(compressed, spaces: list[np.ndarray], reach: Reach, codes, rng) -> Far:
    """Find rows whose distances are outliers by the bulk of their class.

    Distances are Euclidean distances of columns compressed by ``reach``, and
    Mahalanobis distances by the covariance of the bulk in ``spaces``, low-dimensional
    columns of the same rows, averaged over spaces. For dense rows, an isolation forest
    and distances of the nearest rows are used as well.
    """
    plain = reach.deviations(compressed, codes)
    shaped = np.zeros(len(codes))
    for code in range(codes.max() + 1):
        own = np.flatnonzero(codes == code)
        if len(own) < FEWEST:
            continue
        logs = [logs_of(_by_covariance(at(rows, own), rng)) for rows in spaces]
        bulks = [bulk_of_logs(each) for each in logs]
        shaped[own] = np.mean(
            [(e - m) / s for e, (m, s) in zip(logs, bulks, strict=True)], axis=0
        )
    thresholds = np.array([tail_threshold(plain), np.inf])
    beyond = np.maximum(plain - thresholds[0], shaped - tail_threshold(shaped))
    isolation = neighborhood = None
    times = np.zeros(len(codes))
    if len(reach.varied) >= FEWEST_TO_CUT:
        isolation, apart = Isolation.of(compressed, reach.varied, rng)
        thresholds[1] = tail_threshold(apart)
        isolation = isolation._replace(excused=lie_apart(apart > thresholds[1], codes))
        beyond = np.maximum(beyond, isolation.beyond(apart, thresholds[1], codes))
        found = Neighborhood.of(compressed, reach.varied, codes, rng)
        if found is not None:
            neighborhood, nearest = found
            alone = neighborhood.beyond(nearest, codes)
            only = (beyond <= 0) & (alone > 0)
            times[only] = nearest[only, 0] / neighborhood.usual
            beyond = np.maximum(beyond, alone)
    return Far(reach, isolation, neighborhood, thresholds, beyond, shaped, times)


def times_usual(numbers, codes, rng) -> np.ndarray:
    """Euclidean distances from the median of the class, in units of their median."""
    out = np.ones(len(codes))
    for code in range(codes.max() + 1):
        own = np.flatnonzero(codes == code)
        some = drawn(numbers, own, rng)
        center = np.zeros(1) if sparse.issparse(some) else np.median(some, axis=0)
        distances = by_blocks(partial(_distances, center=center), at(numbers, own))
        out[own] = distances / (np.median(distances) or 1.0)
    return out


def _scales(numbers):
    middle = np.median(numbers, axis=0)
    spread = 1.4826 * np.median(np.abs(numbers - middle), axis=0)
    deviation = np.std(numbers, axis=0)
    # Columns that are mostly constant have no robust spread.
    spread = np.where(spread > 0.3 * deviation, spread, deviation)
    spread = np.where(spread > 0, spread, 1.0)
    varied = np.flatnonzero(np.mean(numbers != middle, axis=0) >= FEWEST_TO_PART)
    return middle, spread, _usual_deviations(numbers, middle), varied


def _usual_deviations(rows, middle):
    """Median size of deviations from the one value of most rows of a column, or 0."""
    out = np.zeros(rows.shape[1])
    for j in np.flatnonzero(np.mean(rows == middle, axis=0) > 0.5):
        sizes = np.abs(rows[:, j] - middle[j])
        out[j] = np.median(sizes[sizes > 0]) if sizes.any() else 0.0
    return out


def _distances(rows, center):
    if sparse.issparse(rows):
        return np.sqrt(row_norms(rows, squared=True))
    return np.linalg.norm(rows - center, axis=1)


def _bulk_of_one_column(moved):
    """Median of logarithms of distances, and the unit that takes to the bulk's end.

    Many rows are near to the middle of one column: these logarithms are not normal.
    """
    middle, spread = bulk_of_logs(logs_of(np.abs(moved[:, 0])))
    # Skewed columns reach farther to one side.
    sides = (moved[moved * side > 0] * side for side in (-1, 1))
    end = max(bulk_threshold(side) for side in sides if len(side)) if moved.any() else 0
    if not end > np.exp(middle):
        return middle, spread
    return middle, max((np.log(end) - middle) / AT_END, LEAST_SPREAD)


def _by_covariance(rows, rng):
    """Mahalanobis distances by the covariance of the central rows of a class."""
    some = drawn(rows, np.arange(rows.shape[0]), rng)
    middle = np.median(some, axis=0)
    usual = _usual_deviations(some, middle)
    distances = np.linalg.norm((some - middle) / (some.std(axis=0) + 1e-12), axis=1)
    variances = some.var(axis=0)
    for _ in range(STEPS):
        bulk = some[np.argsort(distances)[: int(BULK * len(some))]]
        covariance = ledoit_wolf(bulk)[0]
        ridge = 1e-9 * np.trace(covariance) / len(covariance) + np.finfo(float).tiny
        diagonal = np.diag_indices_from(covariance)
        covariance[diagonal] += ridge
        # What the bulk hardly has, such as a rare category, is not far for that.
        is_rare = covariance[diagonal] < RARELY * variances
        covariance[diagonal] += np.where(is_rare, variances, 0.0)
        covariance[diagonal] = np.maximum(covariance[diagonal], usual**2)
        center = bulk.mean(axis=0)
        distances = _mahalanobis(some - center, covariance)
    if len(some) == rows.shape[0]:
        return distances
    return by_blocks(lambda block: _mahalanobis(block - center, covariance), rows)


def _mahalanobis(moved, covariance):
    squares = np.sum(moved * np.linalg.solve(covariance, moved.T).T, axis=1)
    return np.sqrt(np.maximum(squares, 0))
