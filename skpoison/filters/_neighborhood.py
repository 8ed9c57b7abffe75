"""How far the nearest rows of a row are, where most rows have near ones."""

from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from skpoison.filters._bulk import bulk_of_logs, logs_of, tail_threshold
from skpoison.filters._many_rows import DRAWN, by_blocks

NEAREST = 5  # rows, whose mean distance is measured
# Of more rows than DRAWN, those that all are compared with, drawn at random: distances
# to them are what most of the time goes to.
COMPARED_WITH = 2_048
DIRECTIONS = 50
# False discovery rate: honest rows have longer tails than normal ones.
FALSE_SHARE = 0.01
# Of the largest variance: directions in which all rows are the same, but for rounding.
LEAST_VARIANCE = 1e-9
# Distinct values of a column: the distance of categories says nothing of the rows.
FEWEST_VALUES = 10
FEWEST_COLUMNS = 2
# Share of a class: more are how a class lies that is sparser than the others.
LARGEST_SPARSE = 0.2
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
    bulk: tuple = (0.0, 1.0)  # median and spread of logarithmic distances
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
        if len(columns) < FEWEST_COLUMNS:
            return None
        others = others[:, columns]
        center, directions = _whitening(others, rng)
        search = NearestNeighbors(n_neighbors=NEAREST)
        search.fit((others - center) @ directions)
        out = cls(columns, center, directions, search)
        distances = out.distances(rows)
        # A row is not a neighbor of itself.
        distances[some] = search.kneighbors()[0].mean(axis=1)
        return out._with_bulk(distances, codes), distances

    def _with_bulk(self, distances, codes):
        out = self._replace(bulk=bulk_of_logs(logs_of(distances)))
        apart = out._deviations(distances)
        medians = [np.median(apart[codes == code]) for code in range(codes.max() + 1)]
        shifts = np.maximum(medians, 0.0)
        apart -= shifts[codes]
        threshold = tail_threshold(apart, FALSE_SHARE)
        sizes = np.bincount(codes)
        n_alone = np.bincount(codes, weights=apart > threshold)
        excused = (n_alone > LARGEST_SPARSE * sizes) | (sizes < RARE * sizes.mean())
        shifts = np.where(excused, np.inf, shifts)
        return out._replace(shifts=shifts, threshold=threshold)

    @property
    def usual(self) -> float:
        """The usual distance."""
        return float(np.exp(self.bulk[0]))

    def distances(self, rows) -> np.ndarray:
        """Mean distances of rows from the nearest training rows."""
        return by_blocks(self._mean_distances, rows)

    def beyond(self, distances, codes) -> np.ndarray:
        """Deviations of distances minus the threshold; none of an excused class."""
        return self._deviations(distances) - self.shifts[codes] - self.threshold

    def _deviations(self, distances):
        middle, spread = self.bulk
        return (logs_of(distances) - middle) / spread

    def _mean_distances(self, rows):
        whitened = (rows[:, self.columns] - self.center) @ self.directions
        return self.search.kneighbors(whitened)[0].mean(axis=1)


def _whitening(rows, rng) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the rows, and their first principal directions over their deviations."""
    few = min(DIRECTIONS, *rows.shape)
    solver = "full" if rows.shape[1] <= 2 * DIRECTIONS else "randomized"
    with np.errstate(invalid="ignore", divide="ignore"):  # rows may be all the same
        found = PCA(few, svd_solver=solver, random_state=rng).fit(rows)
    variances = found.explained_variance_
    varied = variances > LEAST_VARIANCE * max(variances.max(), np.finfo(float).tiny)
    return found.mean_, found.components_[varied].T / np.sqrt(variances[varied])
