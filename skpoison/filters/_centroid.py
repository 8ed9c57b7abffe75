"""What filters around the centroids of the classes share."""

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import check_is_fitted

from skpoison._labels import per_class
from skpoison.filters._distance import BaseDistanceFilter
from skpoison.filters._rows import class_means


class BaseCentroidFilter(BaseDistanceFilter):
    """Base class of distance filters around the centroid of each class.

    A subclass defines ``_measure(X, codes)``, the distances of rows given
    ``centroids_``, and ``_class_set(code)``, what a class keeps; it may extend
    ``_fit_centroids``.

    Parameters
    ----------
    percentile : float, default=70.0
        Percentage of the rows of each class that the radius encloses, in (0, 100].
    centroids : array-like of shape (n_classes, n_features) or dict, default=None
        Centroids, if they are known, ordered like the sorted labels or by label.
    radii : array-like of shape (n_classes,) or dict, default=None
        Radii, if they are known, ordered like the sorted labels or by label.
    random_state : int, RandomState instance or None, default=None
        Draws the order in which :meth:`fit_transform` goes round the kept rows.

    Attributes
    ----------
    centroids_ : ndarray of shape (n_classes, n_features)
        The centroid of each class, of the dtype of X.

    Examples
    --------
    >>> from skpoison.filters._centroid import BaseCentroidFilter
    >>> class CubeFilter(BaseCentroidFilter):
    ...     def _measure(self, X, codes):
    ...         return abs(X - self.centroids_[codes]).max(axis=1)
    >>> CubeFilter(radii=[1], centroids=[[0, 0]]).fit_predict([[1, 1], [0, 2]])
    array([ 1, -1])
    """

    _parameter_constraints: dict = {
        **BaseDistanceFilter._parameter_constraints,
        "centroids": ["array-like", dict, None],
    }
    # NaN and infinity show in the distances; looking for them costs a pass over X.
    _check_finite = False

    def __init__(
        self, percentile=70.0, *, centroids=None, radii=None, random_state=None
    ):
        super().__init__(percentile, radii=radii, random_state=random_state)
        self.centroids = centroids

    def _fit_distances(self, X, codes):
        self._fit_centroids(X, codes)
        return self._distances(X, codes)

    def _fit_centroids(self, X, codes):
        if self.centroids is None:
            means = class_means(X, codes, len(self.classes_))
            self.centroids_ = self._finite("Class means", means, X)
        else:
            self.centroids_ = per_class(
                "centroids", self.centroids, self.classes_, (X.shape[1],)
            ).astype(X.dtype)

    def _distances(self, X, codes):
        return self._finite("Distances", self._measure(X, codes), X)

    def _finite(self, what, values, X):
        """Return values computed from X, or say what in X makes them infinite."""
        if not np.all(np.isfinite(values)):
            assert_all_finite(X, estimator_name=type(self).__name__, input_name="X")
            raise ValueError(
                f"{what} overflow {X.dtype}: X or the centroids hold values that are "
                "too large to be summed or squared; rescale the data."
            )
        return values

    def feasible_set(self):
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
