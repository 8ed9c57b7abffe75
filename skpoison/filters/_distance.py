"""Filters that compare a distance with the radius of the class."""

from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skpoison._labels import has_entries, no_entry, per_class
from skpoison.base import BaseFilter
from skpoison.filters._radius import estimate_radius, rounding_slack


class BaseDistanceFilter(BaseFilter):
    """Base class of filters that reject rows far from the rest of their class.

    A row is kept if its distance is at most the radius of its class. Radii are given,
    or estimated: percentiles of the distances of the training rows of the class,
    interpolated linearly.

    A radius that is *given* is closed: rows exactly on it are kept. Rows whose
    distances equal an *estimated* radius (to rounding) stand on it because they made
    it, often as copies of one row, and are judged as a group, whatever their content.
    It matters where only some of the group are among the rows that the percentile asks
    for. Where most of the other rows of the class have distances of their own, the
    group is rejected. Where most of them share their distances too, as with features
    of few values, it falls on the side of most of its members, outside if these are
    half of it: the share that is rejected is then as near as possible to the one asked
    for. If the group is rejected, the radius is the largest distance below it. In any
    case the group is kept where less than three quarters of the rows asked for would
    be left, so that equal rows do not empty a class. Percentile 100 keeps every row.

    A subclass defines

    - ``_fit_distances(X, codes)``: learn, and return the training rows' distances;
    - ``_distances(X, codes)``: the distances of new rows to the classes ``codes``.

    It sets ``_sums_by_batch = True`` if distances depend, by rounding, on the rows that
    are scored together; radii are then larger by as much.

    Parameters
    ----------
    percentile : float, default=70.0
        Percentage of the rows of each class that the radius encloses, in (0, 100].
    radii : array-like of shape (n_classes,) or dict, default=None
        Radii, if they are known, ordered like the sorted labels or by label.
    handle_unknown : {"reject", "error"}, default="reject"
        What happens to rows with labels that are unknown: for which `radii`, as a
        dict, have no entry or, in new rows, which the filter was not fitted on.
        ``"reject"``: they are rejected, with a warning; whoever sends rows chooses
        their labels, and could otherwise stop the defense. ``"error"``: ValueError.
        An array does not say which labels it knows: where labels can be wrong, give a
        dict.
    random_state : int, RandomState instance or None, default=None
        Draws the order in which :meth:`fit_transform` goes round the kept rows.

    Attributes
    ----------
    radii_ : ndarray of shape (n_classes,)
        The radius of each class.
    offset_ : ndarray of shape (n_classes,)
        ``-radii_``: decisions are scores minus the offset of the class.

    Examples
    --------
    >>> from skpoison.filters._distance import BaseDistanceFilter
    >>> class FirstFeature(BaseDistanceFilter):
    ...     def _fit_distances(self, X, codes):
    ...         return self._distances(X, codes)
    ...
    ...     def _distances(self, X, codes):
    ...         return abs(X[:, 0])
    >>> FirstFeature(percentile=50).fit_predict([[1, 9], [-2, 0], [5, 1]])
    array([ 1,  1, -1])
    """

    _parameter_constraints: dict = {
        **BaseFilter._parameter_constraints,
        "percentile": [Interval(Real, 0, 100, closed="right")],
        "radii": ["array-like", dict, None],
        "handle_unknown": [StrOptions({"reject", "error"})],
    }
    _sums_by_batch = False

    def __init__(
        self,
        percentile=70.0,
        *,
        radii=None,
        handle_unknown="reject",
        random_state=None,
    ):
        super().__init__(random_state=random_state)
        self.percentile = percentile
        self.radii = radii
        self.handle_unknown = handle_unknown

    def _given(self):
        """What is given for each class, by name."""
        return {"radii": self.radii}

    def _knows(self, classes):
        known = super()._knows(classes)
        for name, values in self._given().items():
            if isinstance(values, dict):
                there = has_entries(values, classes)
                if not there.any() or (self._is_strict and not there.all()):
                    raise no_entry(name, values, classes[~there])
                known &= there
        return known

    def _fit(self, X, codes):
        given = self._given_radii()
        distances = self._finite(self._fit_distances(X, codes), X)
        return self._set_radii(given, distances, codes, X.dtype)

    def _set_radii(self, given, distances, codes, dtype):
        """Set the radii; return the scores and decisions of the training rows."""
        if given is None:
            given = self._estimate_radii(distances, codes, dtype)
        self.radii_ = given
        self.offset_ = -self.radii_
        return -distances, self.radii_[codes] - distances

    @property
    def _percentile(self):
        return self.percentile

    def _given_radii(self):
        if self.radii is None:
            return None
        radii = per_class("radii", self.radii, self.classes_)
        if np.any(radii < 0):
            raise ValueError(f"radii must not be negative; got {radii.tolist()}.")
        return radii

    def _estimate_radii(self, distances, codes, dtype):
        radii = np.empty(len(self.classes_))
        for code in range(len(radii)):
            of_class = distances[codes == code]
            slack = rounding_slack(of_class, dtype) if self._sums_by_batch else 0.0
            radii[code] = estimate_radius(of_class, self._percentile, dtype, slack)
        return radii

    def _score(self, X, codes):
        return -self._finite(self._distances(X, codes), X)

    def _decide(self, X, codes):
        return self.radii_[codes] - self._finite(self._distances(X, codes), X)

    def _finite(self, distances, X):
        """Return distances computed from X, or say why they are none."""
        if not np.all(np.isfinite(distances)):
            raise ValueError(
                "Distances overflow float64: X holds values that are too large to be "
                "summed or squared; rescale the data."
            )
        return distances
