"""Filters that compare a distance with the radius of the class, and these radii."""

from numbers import Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skpoison._kept import spread
from skpoison._labels import has_entries, no_entry, per_class
from skpoison.base import BaseFilter
from skpoison.filters._rows import rows_by_class
from skpoison.filters._threshold import (
    QUARTILES,
    bulk_threshold,
    end_of_bulk,
    estimate_radius,
    radius_of_share,
    rounding_slack,
)


def _can_change_threshold(filter_):
    if not filter_._scores_stay:
        raise AttributeError(
            f"The scores of {filter_!r} depend on its threshold: set the parameter, "
            "and fit it again."
        )
    if hasattr(filter_, "radii_") and not hasattr(filter_, "_codes"):
        raise fitted_in_passes(filter_)
    return True


def fitted_in_passes(filter_):
    """Return the error of thresholds that cannot change without all scores."""
    return AttributeError(
        f"{filter_!r} was fitted in passes, and has not stored the scores of its "
        "training rows: set the parameter, and fit it again."
    )


class BaseDistanceFilter(BaseFilter):
    """Base class of filters that reject rows far from the rest of their class.

    A row is kept if its distance is at most the radius of its class. Radii are given,
    or estimated: where the bulk of the distances of the training rows of the class ends
    (``percentile="auto"``), or percentiles of them, interpolated linearly.

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

    - ``_fit_distances(X, codes)``: learn, and return the training rows' distances; it
      gets the parameters that ``_fit`` gets;
    - ``_distances(X, codes)``: the distances of new rows to the classes ``codes``.

    It sets ``_sums_by_batch = True`` if distances depend, by rounding, on the rows that
    are scored together; radii are then larger by as much. It may define anew where the
    bulk ends: ``_threshold(distances)``, of the distances of one class.

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
        "percentile": [StrOptions({"auto"}), Interval(Real, 0, 100, closed="right")],
        "radii": ["array-like", dict, None],
        "handle_unknown": [StrOptions({"reject", "error"})],
    }
    _sums_by_batch = False
    _settings = ("percentile", "radii")  # what sets the threshold
    _scores_stay = True  # whatever the threshold is

    def __init__(
        self,
        percentile: float | str | None = "auto",
        *,
        radii: ArrayLike | dict | None = None,
        handle_unknown: str = "reject",
        random_state: int | np.random.RandomState | None = None,
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

    def _fit(self, X, codes, **params):
        given = self._given_radii()
        distances = self._finite(self._fit_distances(X, codes, **params), X)
        return self._set_radii(given, distances, codes, X.dtype)

    def _set_radii(self, given, distances, codes, dtype, places=None):
        """Set the radii; return the scores and decisions of the training rows.

        `places` are those of the rows of each class, where they are known.
        """
        self._dtype = np.dtype(dtype).name  # which formats without pickles know
        if given is None:
            given = self._estimate_radii(distances, codes, dtype, places)
        self._set_radii_to(given)
        return -distances, self._decisions(distances, codes)

    def _decisions(self, distances, codes):
        decisions = self.radii_.take(codes)
        return np.subtract(decisions, distances, out=decisions)

    def _set_radii_to(self, radii):
        self.radii_ = radii
        self.offset_ = -radii

    def _judge(self, codes, scores, decisions):
        self._codes = codes
        return super()._judge(codes, scores, decisions)

    @available_if(_can_change_threshold)
    def set_threshold(
        self,
        *,
        percentile: float | str | None = None,
        radii: ArrayLike | dict | None = None,
    ) -> Self:
        """Change the threshold of the fitted filter, without fitting it again.

        The parameter is set, and everything that depends on it is what it would be
        after fitting with it: ``radii_``, ``offset_``, ``inlier_mask_`` and
        ``contamination_``. Scores stay.

        Parameters
        ----------
        percentile : "auto" or float, default=None
            As the parameter of the filter; ``radii``, if they were given, are dropped.
        radii : array-like of shape (n_classes,) or dict, default=None
            As the parameter of the filter, for the labels in ``classes_``: those that
            the filter was fitted on stay the ones that it knows.

        Returns
        -------
        self : object
            The filter.

        Raises
        ------
        ValueError
            If not exactly one of them is given, or it is no threshold; the filter then
            stays as it is.
        """
        self._change_threshold({"percentile": percentile, "radii": radii})
        return self

    def _change_threshold(self, settings):
        """Set one of the settings, the other to None; return the new decisions."""
        check_is_fitted(self)
        given = {name: one for name, one in settings.items() if one is not None}
        if len(given) != 1 or not given.keys() <= set(self._settings):
            raise ValueError(
                f"set_threshold takes exactly one of {' and '.join(self._settings)}; "
                f"got {given or 'none'}."
            )
        before = {name: getattr(self, name) for name in self._settings}
        changed = {**dict.fromkeys(before), **given}
        if "radii" in given:
            del changed["percentile"]  # it has no effect beside radii
        try:
            self.set_params(**changed)
            self._validate_params()
            return self._judge_again()
        except ValueError:
            self.set_params(**before)
            raise

    def _judge_again(self):
        rows = np.flatnonzero(self._codes >= 0)
        distances, codes = -self.scores_[rows], self._codes[rows]
        dtype = np.dtype(self._dtype)
        judged = self._set_radii(self._given_radii(), distances, codes, dtype)
        return self._judge(self._codes, *spread(judged, rows, len(self._codes)))

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

    def _estimate_radii(self, distances, codes, dtype, places=None):
        radii = np.empty(len(self.classes_))
        if places is None:
            places = rows_by_class(codes, len(radii))
        for code, rows in enumerate(places):
            of_class = distances.take(rows)
            if self._percentile == "auto":
                radii[code] = self._auto_radius(of_class, code, dtype)
            else:
                radii[code] = self._share_radius(of_class, self._percentile, dtype)
        return radii

    def _auto_radius(self, distances, code, dtype):
        radius = self._threshold(distances)
        return radius + self._slack(radius, dtype)

    def _share_radius(self, distances, percentile, dtype):
        slack = self._slack(distances.max(), dtype)
        return estimate_radius(distances, percentile, dtype, slack)

    def _slack(self, distance, dtype):
        return rounding_slack(distance, dtype) if self._sums_by_batch else 0.0

    def _threshold(self, distances):
        return bulk_threshold(distances)

    def _radius_of(self, sample, dtype):
        """Radius from a sample of distances that need not be in memory."""
        if self._percentile == "auto":
            radius = self._end_of_bulk(sample)
            return radius + self._slack(radius, dtype)
        slack = self._slack(sample.largest, dtype)
        return radius_of_share(sample, self._percentile, dtype, slack)

    def _quantiles(self):
        """The shares of the quantiles that a radius is, or follows from, if any."""
        if self._percentile != "auto":
            return (self._percentile / 100.0,)
        is_usual = type(self)._end_of_bulk is BaseDistanceFilter._end_of_bulk
        return QUARTILES if is_usual else None

    def _end_of_bulk(self, sample):
        """What `_threshold` is of distances that are in memory."""
        return end_of_bulk(sample)

    def _radius_without(self, n_rejected, distances, dtype):
        """Radius of a class that loses its farthest rows, so many of them."""
        ranks = max(len(distances) - 1, 1)
        percentile = 100.0 * (1.0 - n_rejected / ranks)
        return self._share_radius(distances, max(percentile, 0.0), dtype)

    def _score(self, X, codes):
        return -self._finite(self._distances(X, codes), X)

    def _decide(self, X, codes):
        return self._decisions(self._finite(self._distances(X, codes), X), codes)

    def _finite(self, distances, X):
        """Return distances computed from X, or say why they are none."""
        if not np.all(np.isfinite(distances)):
            raise ValueError(
                "Distances overflow float64: X holds values that are too large to be "
                "summed or squared; rescale the data."
            )
        return distances


class BaseContaminationFilter(BaseDistanceFilter):
    """Base class of distance filters that take ``contamination`` too.

    ``percentile = 100 * (1 - contamination)``; whichever is a number counts, and where
    neither is, radii are where the bulk of the distances ends. Radii cannot be given.

    Examples
    --------
    >>> from skpoison.filters._distance import BaseContaminationFilter
    >>> class FirstFeature(BaseContaminationFilter):
    ...     def _fit_distances(self, X, codes):
    ...         return abs(X[:, 0])
    >>> FirstFeature(contamination=0.5).fit_predict([[1, 9], [-2, 0], [5, 1]])
    array([ 1,  1, -1])
    """

    _parameter_constraints: dict = {
        **BaseFilter._parameter_constraints,
        "percentile": [*BaseDistanceFilter._parameter_constraints["percentile"], None],
        "contamination": [
            StrOptions({"auto"}),
            Interval(Real, 0, 0.5, closed="right"),
            None,
        ],
    }

    def __init__(
        self,
        percentile: float | str | None = None,
        *,
        contamination: float | str | None = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(percentile, random_state=random_state)
        self.contamination = contamination

    def _validate_params(self):
        super()._validate_params()
        if _is_number(self.percentile) and _is_number(self.contamination):
            raise ValueError(
                "percentile and contamination are equivalent "
                "(percentile = 100 * (1 - contamination)); set only one of them. Got "
                f"percentile={self.percentile!r} and "
                f"contamination={self.contamination!r}."
            )

    @property
    def _percentile(self):
        if _is_number(self.contamination):
            return 100.0 * (1.0 - self.contamination)
        return self.percentile if _is_number(self.percentile) else "auto"

    _settings = ("percentile", "contamination")

    @available_if(_can_change_threshold)
    def set_threshold(
        self,
        *,
        percentile: float | str | None = None,
        contamination: float | str | None = None,
    ) -> Self:
        """Change the threshold of the fitted filter, without fitting it again.

        The parameter is set, and everything that depends on it is what it would be
        after fitting with it: ``radii_``, ``offset_``, ``inlier_mask_`` and
        ``contamination_``. Scores stay.

        Parameters
        ----------
        percentile : float, default=None
            As the parameter of the filter; ``contamination`` is then None.
        contamination : "auto" or float, default=None
            As the parameter of the filter; ``percentile`` is then None.

        Returns
        -------
        self : object
            The filter.

        Raises
        ------
        ValueError
            If not exactly one of them is given, or it is no threshold; the filter then
            stays as it is.
        """
        settings = {"percentile": percentile, "contamination": contamination}
        self._change_threshold(settings)
        return self

    def _given_radii(self):
        return None


def _is_number(share):
    return not (share is None or isinstance(share, str))
