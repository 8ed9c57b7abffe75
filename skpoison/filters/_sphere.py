"""Rows far from the centroid of their class are rejected."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

from skpoison.filters._centroid import BaseCentroidFilter
from skpoison.filters._measures import Distance, ManhattanDistance
from skpoison.filters._rows import lengths

if TYPE_CHECKING:
    from skpoison.feasible import FeasibleSet

TINY = np.finfo(np.float64).tiny
_MEASURES = {"l2": Distance, "l1": ManhattanDistance}


def _has_feasible_set(sphere):
    if sphere.norm != "l2":
        raise AttributeError(
            f"SphereFilter(norm={sphere.norm!r}) has no feasible set; use norm='l2'."
        )
    return True


class SphereFilter(BaseCentroidFilter):
    """Keep the rows within a sphere around the centroid of their class.

    A row x with label y is kept if ``||x - centroid_y|| <= radius_y``, in the Euclidean
    norm or in the sum of absolute differences (``norm="l1"``). The radius of a
    class is a percentile of its rows' distances, so that each class loses about the
    same share of its rows.

    Estimated from possibly poisoned data, centroids and radii can be shifted by the
    attacker. Pass trusted values of ``centroids`` and ``radii`` for a *fixed* defense,
    for which bounds can be certified (see :class:`~skpoison.CertifiedBound`).

    Parameters
    ----------
    percentile : "auto" or float, default="auto"
        Percentage of the rows of each class that the radius encloses, in (0, 100];
        interpolated linearly. "auto": the radius is where the
        bulk of the distances ends, four standard deviations above their median, both
        taken from the quartiles after a Box–Cox transform that makes these symmetric.
        Not used where ``radii`` are given.
    centroids : array-like of shape (n_classes, n_features) or dict, default=None
        Known centroids, in the order of the sorted labels, or a dict from label to
        centroid, which may have entries for labels that do not occur. By default, the
        mean of the training rows of each class.
    radii : array-like of shape (n_classes,) or dict, default=None
        Known radii, in the order of the sorted labels, or a dict from label to radius.
        Zero is a radius: it keeps the centroid itself.
    norm : {"l2", "l1"}, default="l2"
        Euclidean distance, or the sum of absolute differences. The centroid is the mean
        in both cases.
    handle_unknown : {"reject", "error"}, default="reject"
        How to handle rows with unknown labels: labels without an entry in `radii` or
        `centroids` (if dicts) or, for new rows, labels that the filter was not fitted
        on. ``"reject"``: reject the rows, with a warning; the attacker chooses the
        labels of their rows, and an error would let them stop the defense. ``"error"``:
        raise a ValueError. An array does not define the known labels, so pass a dict if
        labels may be wrong.
    random_state : int, RandomState instance or None, default=None
        Controls the order in which :meth:`fit_transform` reuses kept rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    centroids_ : ndarray of shape (n_classes, n_features)
        The centroid of each class, float64 regardless of the dtype of X.
    radii_ : ndarray of shape (n_classes,)
        The radius of each class, float64.
    offset_ : ndarray of shape (n_classes,)
        ``-radii_``: decisions are scores minus the offset of the class.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: minus the distance to the centroid, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    contamination_ : ndarray of shape (n_classes,)
        The share of the training rows of each class that is rejected, float64.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    SlabFilter : Uses distances along the line between the centroids only.
    FilterIntersection : Combines both.
    skpoison.FilteredClassifier : Fits a classifier on the kept rows.

    Notes
    -----
    Distances of dense rows are computed from differences, in the dtype of X: relative
    errors stay near 1e-6 in float32 and 1e-15 in float64, for rows near to their
    centroid and for classes far from the origin too. If squares would overflow or
    underflow, rows are scaled by a power of two for the computation: multiplying all
    rows by a power of two multiplies the scores by it and does not change decisions.
    Distances of sparse rows are computed in float64 with an error of at most about
    1e-13 (||x||^2 + ||c||^2) in the square. X is not copied or densified.

    As a step of a :class:`~sklearn.pipeline.Pipeline`, the filter replaces rejected
    rows when the pipeline is fitted and does not change new data. A scaler *before* it
    is fitted on the poison too. Do not use ``FrozenEstimator(filter)`` as a step: it
    only transforms, and so does not filter. Inside a
    :class:`~sklearn.compose.ColumnTransformer` or a
    :class:`~sklearn.pipeline.FeatureUnion`, replacing rows would mix columns of
    different rows; put the filter after these.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh and P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NeurIPS 2017, equation (2).

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison import SphereFilter
    >>> X = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [9.0, 9.0]])
    >>> sphere = SphereFilter(percentile=75).fit(X)
    >>> sphere.inlier_mask_
    array([ True,  True,  True, False])
    >>> sphere.predict([[3.0, 2.0], [10.0, 10.0]])
    array([ 1, -1])

    With labels, and with everything that belongs to the rows:

    >>> y = np.array(["a", "a", "b", "b"])
    >>> weights = np.array([1.0, 2.0, 3.0, 4.0])
    >>> X_kept, y_kept, weights_kept = sphere.fit_filter(X, y, weights)
    >>> y_kept
    array(['a', 'a', 'b', 'b'], dtype='<U1')
    """

    _parameter_constraints: dict = {
        **BaseCentroidFilter._parameter_constraints,
        "norm": [StrOptions(set(_MEASURES))],
    }

    def __init__(
        self,
        percentile: float | str = "auto",
        *,
        centroids: ArrayLike | dict | None = None,
        radii: ArrayLike | dict | None = None,
        norm: str = "l2",
        handle_unknown: str = "reject",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            percentile,
            centroids=centroids,
            radii=radii,
            handle_unknown=handle_unknown,
            random_state=random_state,
        )
        self.norm = norm

    def _measure(self):
        return _MEASURES[self.norm](self.centroids_)

    def _shifts(self, reaches):
        if self.norm == "l1":  # at most so many times a Euclidean distance
            reaches = np.sqrt(self.centroids_.shape[1]) * reaches
        return reaches, None, None

    def _shift_of_quantile(self, rows, code, reaches):
        apart = rows - self.centroids_[code]
        ways = np.sign(apart)
        if self.norm == "l2":
            ways = apart / np.maximum(lengths(apart), TINY)[:, None]
        return reaches[code] * np.linalg.norm(ways.sum(axis=0)) / max(len(rows), 1)

    @available_if(_has_feasible_set)
    def feasible_set(self) -> "FeasibleSet":
        """Return the rows that the fitted filter keeps, for each class.

        Returns
        -------
        feasible_set : skpoison.feasible.FeasibleSet
            The sets of the classes, in the order of ``classes_``.
        """
        return super().feasible_set()

    def _class_set(self, code):
        from skpoison.feasible import SphereSlab

        return SphereSlab(self.centroids_[code], radius=self.radii_[code])
