"""How far the nearest rows of a row are, where most rows have near ones."""

from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from skpoison.filters._bulk import bulk_of_logs, lie_apart, logs_of, tail_threshold
from skpoison.filters._many_rows import DRAWN, by_blocks

NEAREST = 5  # rows, whose mean distance is measured
# And the distance of the last of so many (fewer of few rows): the few rows of a person,
# among persons with many, have no near rows, but rows around them as others have.
AROUND, LARGEST_AROUND = 40, 0.25
# Of more rows than DRAWN, those that all are compared with, drawn at random: distances
# to them are what most of the time goes to.
COMPARED_WITH = 2_048
# Fewer of few rows, which would be equally far from one another in as many.
DIRECTIONS, ROWS_OF_DIRECTION = 50, 5
# False discovery rate: honest rows have longer tails than normal ones.
FALSE_SHARE = 0.01
# Of the largest variance: directions in which all rows are the same, but for rounding.
LEAST_VARIANCE = 1e-9
# Distinct values of a column: the distance of categories says nothing of the rows.
FEWEST_VALUES = 10
FEWEST_ROWS = 20
FEWEST_COLUMNS = 4  # in fewer, honest rows far out have no near rows either
# Of the mean size of classes: how the rows of smaller ones lie is not known.
RARE = 0.2


class Neighborhood(NamedTuple):
    """Distances to the nearest training rows, whatever their label.

    They are measured in principal directions, of unit variance each: a row whose values
    are usual, but not together, has no near rows there.
    """

    columns: np.ndarray  # of the rows, that are used
    center: np.ndarray
    directions: np.ndarray  # (n_columns, n_directions), scaled
    search: NearestNeighbors
    bulk: np.ndarray | None = None  # (2, 2): median and spread of logarithmic distances
    of_new: np.ndarray | None = None  # the same for new rows
    shifts: np.ndarray | None = None  # (n_classes,): how much sparser a class is
    threshold: float = np.inf

    @classmethod
    def of(cls, rows, columns, codes, rng) -> tuple["Neighborhood", np.ndarray] | None:
        """The neighborhood of dense training rows, and their distances.

        None where there are too few rows, or columns with many values.
        """
        n_rows = rows.shape[0]
        some = np.arange(n_rows)
        if n_rows > DRAWN:
            some = np.sort(rng.choice(n_rows, COMPARED_WITH, replace=False))
        others = rows[some]
        counts = np.array([len(np.unique(others[:, j])) for j in columns])
        columns = columns[counts >= FEWEST_VALUES]
        if len(columns) < FEWEST_COLUMNS or len(some) < FEWEST_ROWS:
            return None
        others = others[:, columns]
        n_directions = min(DIRECTIONS, len(some) // ROWS_OF_DIRECTION, len(columns))
        out = cls._searched(others, columns, n_directions, rng)
        own = out._own_distances()
        distances = own if len(some) == n_rows else out.distances(rows)
        distances[some] = own
        out = out._replace(bulk=_bulk(distances))
        of_new = out._bulk_of_new(others, rng)
        return out._with_thresholds(distances, codes)._replace(of_new=of_new), distances

    @classmethod
    def _searched(cls, rows, columns, n_directions, rng):
        center, directions = _whitening(rows, n_directions, rng)
        around = max(NEAREST, min(AROUND, int(LARGEST_AROUND * len(rows))))
        search = NearestNeighbors(n_neighbors=around)
        return cls(
            columns, center, directions, search.fit((rows - center) @ directions)
        )

    def _own_distances(self):
        """Those of the rows that are searched; a row is not a neighbor of itself."""
        return _near_and_around(self.search.kneighbors()[0])

    def _bulk_of_new(self, rows, rng):
        """Median and spread of new rows, to which directions are not fitted.

        How much larger they are is seen by fitting to one half and not to the other.
        """
        first, second = np.array_split(rng.permutation(len(rows)), 2)
        everything = np.arange(rows.shape[1]), self.directions.shape[1]
        half = self._searched(rows[first], *everything, rng)
        known, new = _bulk(half._own_distances()), _bulk(half.distances(rows[second]))
        farther = np.maximum(new[0] - known[0], 0.0)
        return np.array(
            [self.bulk[0] + farther, self.bulk[1] * np.maximum(new[1] / known[1], 1.0)]
        )

    def _with_thresholds(self, distances, codes):
        apart = self._deviations(distances, self.bulk)
        medians = [np.median(apart[codes == code]) for code in range(codes.max() + 1)]
        shifts = np.maximum(medians, 0.0)
        apart -= shifts[codes]
        threshold = tail_threshold(apart, FALSE_SHARE)
        sizes = np.bincount(codes)
        excused = lie_apart(apart > threshold, codes) | (sizes < RARE * sizes.mean())
        shifts = np.where(excused, np.inf, shifts)
        return self._replace(shifts=shifts, threshold=threshold)

    @property
    def usual(self) -> float:
        """The usual mean distance of the nearest rows."""
        return float(np.exp(self.bulk[0, 0]))

    def distances(self, rows) -> np.ndarray:
        """Distances of the nearest training rows, and of those around: (n_rows, 2)."""
        return by_blocks(self._distances, rows)

    def beyond(self, distances, codes, *, are_new=False) -> np.ndarray:
        """Deviations of distances minus the threshold; none of an excused class."""
        bulk = self.of_new if are_new else self.bulk
        apart = self._deviations(distances, bulk)
        return apart - self.shifts[codes] - self.threshold

    @staticmethod
    def _deviations(distances, bulk):
        middle, spread = bulk
        return ((logs_of(distances) - middle) / spread).min(axis=1)

    def _distances(self, rows):
        whitened = (rows[:, self.columns] - self.center) @ self.directions
        return _near_and_around(self.search.kneighbors(whitened)[0])


def _near_and_around(distances):
    """The mean distance of the nearest rows, and the distance of the last one."""
    return np.column_stack([distances[:, :NEAREST].mean(axis=1), distances[:, -1]])


def _bulk(distances):
    """Medians (first row) and spreads of the logarithms of the columns."""
    return np.array([bulk_of_logs(logs_of(each)) for each in distances.T]).T


def _whitening(rows, few, rng) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the rows, and their first principal directions over their deviations."""
    solver = "full" if rows.shape[1] <= 2 * DIRECTIONS else "randomized"
    with np.errstate(invalid="ignore", divide="ignore"):  # rows may be all the same
        found = PCA(few, svd_solver=solver, random_state=rng).fit(rows)
    variances = found.explained_variance_
    varied = variances > LEAST_VARIANCE * max(variances.max(), np.finfo(float).tiny)
    return found.mean_, found.components_[varied].T / np.sqrt(variances[varied])
