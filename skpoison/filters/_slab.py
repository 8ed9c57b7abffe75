"""Rows far from their centroid, along the line between centroids, are rejected."""

import numpy as np

from skpoison._labels import shown_labels
from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.filters._centroid import BaseCentroidFilter
from skpoison.filters._measures import SignedOffset
from skpoison.filters._rows import differences_of_means, lengths, rounding_of_means


class SlabFilter(BaseCentroidFilter):
    """Keep the rows within a slab orthogonal to the line between the centroids.

    A slab is the region between two parallel hyperplanes. A row x with label y is kept
    if ``|v_y @ (x - centroid_y)| <= radius_y``, where v_y is the unit vector from the
    mean of the *other* classes' centroids (unweighted) to the centroid of class y. With
    two classes, this is the direction of the line through both centroids. The radius is
    half the width of the slab.

    With one class, or without labels, there is no direction: the filter keeps every
    row, with a warning.

    Parameters
    ----------
    percentile : "auto" or float, default="auto"
        Percentage of the rows of each class that the slab encloses, in (0, 100];
        interpolated linearly. "auto": the radius is where the
        bulk of the distances ends, four standard deviations above their median, both
        taken from the quartiles after a Box–Cox transform that makes these symmetric.
        Not used where ``radii`` are given.
    centroids : array-like of shape (n_classes, n_features) or dict, default=None
        Known centroids, in the order of the sorted labels, or a dict from label to
        centroid, which may have entries for labels that do not occur (these do not
        affect the directions). By default, the mean of the training rows of each class.
    radii : array-like of shape (n_classes,) or dict, default=None
        Known half widths, in the order of the sorted labels, or a dict from label to
        half width.
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
    directions_ : ndarray of shape (n_classes, n_features)
        The unit normal of the slab of each class, float64; zero with one class.
    radii_ : ndarray of shape (n_classes,)
        Half the width of the slab of each class, float64.
    offset_ : ndarray of shape (n_classes,)
        ``-radii_``: decisions are scores minus the offset of the class.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: minus the distance to the centroid along the
        direction, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    contamination_ : ndarray of shape (n_classes,)
        The share of the training rows of each class that is rejected, float64.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Raises
    ------
    ValueError
        At fit, if the centroid of a class equals the mean of the other classes'
        centroids up to rounding, so that the direction of its slab is undefined.

    Warns
    -----
    FilterWarning
        At fit, if there are fewer than two classes.

    See Also
    --------
    SphereFilter : Uses distances in all directions.
    FilterIntersection : Combines both.
    skpoison.FilteredClassifier : Fits a classifier on the kept rows.

    Notes
    -----
    Distances of dense rows are computed from differences, in the dtype of X: their
    errors stay near 1e-6 (float32) or 1e-15 (float64) times the distance of the row to
    the centroid, for classes far from the origin too. Distances of sparse rows are
    computed in float64. X is not copied or densified. The notes of
    :class:`SphereFilter` on pipelines apply here too.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh and P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NeurIPS 2017, equation (2).

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison import SlabFilter
    >>> X = np.array([[0, 9], [0, -9], [3, 0], [-3, 0], [20, 5], [20, -5]])
    >>> y = np.array(["a", "a", "a", "a", "b", "b"])
    >>> slab = SlabFilter(percentile=50).fit(X, y)
    >>> slab.directions_
    array([[-1.,  0.],
           [ 1.,  0.]])

    Only the first feature counts, however far off rows are along the other one:

    >>> slab.inlier_mask_
    array([ True,  True, False, False,  True,  True])
    """

    def _fit_centroids(self, X, codes, means):
        super()._fit_centroids(X, codes, means)
        if len(self.classes_) < 2:
            warn(
                "SlabFilter needs labels of at least two classes to have a direction; "
                "it keeps every row.",
                FilterWarning,
            )
        rounding = 0.0
        if self.centroids is None:
            rounding = rounding_of_means(X, codes, self.centroids_)
        self.directions_ = _directions(self.centroids_, self.classes_, rounding)

    def _measure(self):
        return SignedOffset(self.centroids_, self.directions_)

    _turns = True

    def _shifts(self, reaches):
        return reaches, *_turns_of(self.centroids_, reaches)

    def _shift_of_quantile(self, rows, code, reaches):
        apart, direction = rows - self.centroids_[code], self.directions_[code]
        sides = np.sign(apart @ direction)
        moved = sides @ apart / max(len(rows), 1)
        across = moved - (moved @ direction) * direction
        sines = _turns_of(self.centroids_, reaches)[1]
        shift = reaches[code] * abs(sides.sum()) / max(len(rows), 1)
        return shift + sines[code] * np.linalg.norm(across)

    def _class_set(self, code):
        from skpoison.feasible import SphereSlab

        if len(self.classes_) < 2:
            return SphereSlab(self.centroids_[code])
        return SphereSlab(
            self.centroids_[code],
            direction=self.directions_[code],
            lower=-self.radii_[code],
            upper=self.radii_[code],
        )


def _directions(centroids, classes, rounding):
    """Unit vectors from the mean of the other centroids to each centroid.

    Differences no longer than ``rounding`` point anywhere.
    """
    n_classes = len(centroids)
    if n_classes < 2:
        return np.zeros_like(centroids)
    # Sums of huge centroids are finite once these are divided by a power of two.
    exponent = np.frexp(np.abs(centroids).max())[1]
    centroids = np.ldexp(centroids, -exponent)
    directions = differences_of_means(centroids, _means_of_others(centroids))
    sizes = lengths(directions)
    undefined = sizes <= np.ldexp(rounding, -exponent)
    if np.any(undefined):
        raise ValueError(
            "The direction of the slab is undefined for the classes "
            f"{shown_labels(classes[undefined])}: their centroids are identical to the "
            "mean of the other classes' centroids."
        )
    return directions / sizes[:, None]


def _means_of_others(values):
    """For each class, the mean of what the other classes have."""
    # Of two classes the directions are opposite to the last digit.
    if len(values) == 2:
        return values[::-1]
    return (values.sum(axis=0) - values) / (len(values) - 1)


def _turns_of(centroids, reaches):
    """By how much directions turn if centroids are as far off as their reaches.

    For each class, one less the cosine of the largest angle, and its sine.
    """
    directions = centroids - _means_of_others(centroids)
    # The last digits of differences count as zero.
    rounding = 16 * np.finfo(np.float64).eps * lengths(centroids).max()
    moved = reaches + _means_of_others(reaches) + rounding
    sizes = lengths(directions)
    if (moved >= sizes).any():  # they can point anywhere
        return np.full(len(sizes), 2.0), np.ones(len(sizes))
    sines = moved / sizes
    return 1.0 - np.sqrt(1.0 - sines * sines), sines
