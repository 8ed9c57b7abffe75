"""The interval that targets must lie in: parameter, defense and checks."""

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted

from skpoison._column_types import RowsLike
from skpoison._labels import check_targets
from skpoison.base import BaseFilter


def read_target_range(given: Any, y: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest target that an attacker can send."""
    if given is None:
        return float(y.min()), float(y.max())
    is_pair = np.ndim(given) == 1 and np.size(given) == 2
    if not is_pair or not all(isinstance(end, Real) for end in given):
        raise ValueError(
            "target_range must be None or a pair of numbers, the smallest and the "
            f"largest target; got {given!r}."
        )
    low, high = (float(end) for end in given)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(
            f"target_range={given!r} leaves targets unbounded: one row with a target "
            "far enough away makes any loss, so that there is no bound. Give an "
            "interval that every honest target lies in."
        )
    if not low <= high:
        raise ValueError(f"target_range={given!r}: the smallest target comes first.")
    return low, high


class TargetRangeFilter(BaseFilter):
    """Keep the rows whose target lies in an interval, and that another filter keeps.

    The defense that a bound on a regressor is about.

    Parameters
    ----------
    filter : filter, default=None
        What else judges the rows, by X alone.
    target_range : pair of float, default=None
        The smallest and the largest target that is kept. None means those of the
        training rows.
    """

    _parameter_constraints: dict = {
        **BaseFilter._parameter_constraints,
        "filter": [HasMethods(["decision_function"]), None],
        "target_range": "no_validation",
    }
    _judges_targets = True

    def __init__(
        self,
        filter: BaseEstimator | None = None,
        target_range: tuple[float, float] | None = None,
        *,
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(random_state=random_state)
        self.filter = filter
        self.target_range = target_range

    @classmethod
    def fixed(cls, filter_: BaseEstimator, target_range: tuple) -> "TargetRangeFilter":
        """Return the filter, fitted, with an interval and a fitted filter."""
        if not isinstance(filter_, FrozenEstimator):
            filter_ = FrozenEstimator(filter_)
        fixed = cls(filter_, target_range)
        fixed.filter_, fixed.target_range_ = filter_, target_range
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(filter_, name):
                setattr(fixed, name, getattr(filter_, name))
        fixed._one_class()
        return fixed

    def _one_class(self):
        self.classes_, self._labelled = np.array([0]), True

    def _fit_rows(self, X, y, **params):
        self._one_class()
        targets = np.zeros(X.shape[0]) if y is None else check_targets(X, y)
        self.target_range_ = read_target_range(self.target_range, targets)
        self.filter_ = None if self.filter is None else clone(self.filter).fit(X)
        decisions = self._decide(X, targets)
        return np.zeros(X.shape[0], dtype=np.intp), decisions, decisions

    def _best_over_labels(self, method, X, y):
        check_is_fitted(self)
        X = self._validate_rows(X, reset=False)
        return method(X, None if y is None else check_targets(X, y))

    def _decide(self, X, targets):
        decisions = np.full(X.shape[0], np.inf)
        if self.filter_ is not None:
            decisions = np.asarray(self.filter_.decision_function(X))
        if targets is None:
            return decisions
        low, high = self.target_range_
        return np.minimum(decisions, np.minimum(targets - low, high - targets))

    _score = _decide


def fixed_defense(
    filter_: BaseEstimator, target_range: tuple[float, float]
) -> FrozenEstimator:
    """Return the defense of a bound on a regressor, which is not fitted again."""
    return FrozenEstimator(TargetRangeFilter.fixed(filter_, target_range))


def passes(
    filter_: BaseEstimator, target_range: tuple[float, float], X: RowsLike, y: ArrayLike
) -> np.ndarray:
    """Return which rows that defense keeps."""
    return TargetRangeFilter.fixed(filter_, target_range).predict(X, y) == 1
