"""Filters that compare a distance with the radius of the class."""

from numbers import Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skpoison._labels import has_entries, no_entry, per_class
from skpoison.base import BaseFilter


class BaseDistanceFilter(BaseFilter):
    """Base class of filters that reject rows far from the rest of their class.

    A row is kept if its distance is at most the radius of its class. Radii are
    percentiles of the distances of the training rows of the class (interpolated
    linearly), or given. A subclass defines

    - ``_fit_distances(X, codes)``: learn, and return the training rows' distances;
    - ``_distances(X, codes)``: the distances of new rows to the classes ``codes``.

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
        return self._set_radii(given, self._fit_distances(X, codes), codes)

    def _set_radii(self, given, distances, codes):
        """Set the radii; return the scores and decisions of the training rows."""
        self.radii_ = self._percentiles(distances, codes) if given is None else given
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

    def _percentiles(self, distances, codes):
        return np.array(
            [
                np.percentile(distances[codes == code], self._percentile)
                for code in range(len(self.classes_))
            ]
        )

    def _score(self, X, codes):
        return -self._distances(X, codes)

    def _decide(self, X, codes):
        return self.radii_[codes] - self._distances(X, codes)
