"""Base class of the filters based on class centroids."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import check_is_fitted

from skpoison._labels import per_class
from skpoison.filters._distance import BaseDistanceFilter
from skpoison.filters._measures import measure
from skpoison.filters._rows import class_means, rows_by_class
from skpoison.filters._streaming import PassesMixin

if TYPE_CHECKING:
    from skpoison.feasible import FeasibleSet


class BaseCentroidFilter(PassesMixin, BaseDistanceFilter):
    """Base class of distance filters around the centroid of each class.

    A subclass defines ``_measure()``, which compares rows with ``centroids_`` and whose
    absolute values are the distances, and ``_class_set(code)``, what a class keeps; it
    may extend ``_fit_centroids``.

    Examples
    --------
    >>> from skpoison.filters._centroid import BaseCentroidFilter
    >>> from skpoison.filters._measures import ManhattanDistance
    >>> class DiamondFilter(BaseCentroidFilter):
    ...     def _measure(self):
    ...         return ManhattanDistance(self.centroids_)
    >>> DiamondFilter(radii=[2], centroids=[[0, 0]]).fit_predict([[1, 1], [0, 3]])
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        **BaseDistanceFilter._parameter_constraints,
        "centroids": ["array-like", dict, None],
    }
    # NaN and infinity show in the distances; looking for them costs a pass over X.
    _check_finite = False
    # By how much distances change at most if centroids move no farther than their
    # reaches, for each class: a function of these that returns a number, and what is
    # added to it of the distance, and of the length that is across (or None twice).
    _shifts: Callable | None = None
    # By how much a quantile of the distances of a class moves, given the rows near it.
    _shift_of_quantile: Callable | None = None
    # Whether distances depend on the centroids of all classes.
    _turns = False

    def __init__(
        self,
        percentile: float | str = "auto",
        *,
        centroids: ArrayLike | dict | None = None,
        radii: ArrayLike | dict | None = None,
        handle_unknown: str = "reject",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            percentile,
            radii=radii,
            handle_unknown=handle_unknown,
            random_state=random_state,
        )
        self.centroids = centroids

    def _given(self):
        return {**super()._given(), "centroids": self.centroids}

    def _fit(self, X, codes):
        return fit_together([self], X, codes)[0]

    def _fit_centroids(self, X, codes, means):
        """Set the centroids: as given, or to the means of the classes."""
        if self.centroids is None:
            self.centroids_ = self._finite(means, X, "Class means").copy()
        else:
            self.centroids_ = per_class(
                "centroids", self.centroids, self.classes_, (X.shape[1],)
            )

    @property
    def _is_judged_with_means(self):
        is_share = self.radii is not None or self._percentile != "auto"
        return self._shifts is not None and is_share

    def _begin(self, X, codes, means):
        self._fit_centroids(X, codes, means)

    def _distances(self, X, codes):
        return np.abs(measure(X, codes, self._measure())[0])

    def _finite(self, values, X, what="Distances"):
        if not np.all(np.isfinite(values)):
            assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")
            raise ValueError(
                f"{what} overflow float64: X or the centroids hold values that are "
                "too large to be summed; rescale the data."
            )
        return values

    def feasible_set(self) -> "FeasibleSet":
        """Return the rows that the fitted filter keeps, for each class.

        Returns
        -------
        feasible_set : skpoison.feasible.FeasibleSet
            The sets of the classes, in the order of ``classes_``.
        """
        from skpoison.feasible import FeasibleSet

        check_is_fitted(self)
        sets = [self._class_set(code) for code in range(len(self.classes_))]
        return FeasibleSet(self.classes_, sets)


def fit_together(filters, X, codes):
    """Fit filters of the same classes, in one pass for means and one for distances.

    Return the scores and decisions of each.
    """
    given = [filter_._given_radii() for filter_ in filters]
    means = None
    if any(filter_.centroids is None for filter_ in filters):
        means = class_means(X, codes, len(filters[0].classes_))
    for filter_ in filters:
        filter_._fit_centroids(X, codes, means)
    distances = distances_together(filters, X, codes)
    places = None
    if any(radii is None for radii in given):
        places = rows_by_class(codes, len(filters[0].classes_))
    return [
        filter_._set_radii(radii, of_rows, codes, X.dtype, places)
        for filter_, radii, of_rows in zip(filters, given, distances, strict=True)
    ]


def decide_together(filters, X, codes):
    """Decisions of each of several filters of the same classes, in one pass."""
    distances = distances_together(filters, X, codes)
    return [
        filter_._decisions(of_rows, codes)
        for filter_, of_rows in zip(filters, distances, strict=True)
    ]


def score_together(filters, X, codes):
    """Scores of each of several filters of the same classes, in one pass."""
    distances = distances_together(filters, X, codes)
    return [np.negative(of_rows, out=of_rows) for of_rows in distances]


def distances_together(filters, X, codes):
    """Distances of each of several filters of the same classes, in one pass."""
    measures = [filter_._measure() for filter_ in filters]
    values = measure(X, codes, *measures)
    for one, of_rows in zip(measures, values, strict=True):
        if one.is_signed:
            np.abs(of_rows, out=of_rows)
    return [
        filter_._finite(of_rows, X)
        for filter_, of_rows in zip(filters, values, strict=True)
    ]
