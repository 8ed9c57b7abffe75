"""Training rows, and fits of an estimator without some of them."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    has_fit_parameter,
)

from skpoison._column_types import RowsLike
from skpoison._labels import narrowed


class Training:
    """Training rows, and fits of clones of an estimator without some of them.

    The clones have the same random state, so that they differ in their rows only.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        X: RowsLike,
        y: Any,
        sample_weight: Any,
        random_state: np.random.RandomState,
    ):
        self.template = _cloned(estimator)
        _settle(self.template, random_state)
        self.X = X
        self.y = y
        self.labels = np.ravel(np.asarray(y))
        self.n_rows = _num_samples(X)
        self.is_classifier = is_classifier(estimator)
        self.weights = sample_weight
        if sample_weight is not None:
            rows = np.empty((self.n_rows, 0))
            self.weights = _check_sample_weight(
                sample_weight, rows, ensure_non_negative=True
            )
            self._weights_as = _weight_parameter(self.template)
        self.n_fits = 0
        self.left_out_errors: np.ndarray | None = None  # of regressors, once known

    def can_fit(self, removed: np.ndarray) -> bool:
        """Say whether enough is left without these rows: two classes, or a row."""
        left = np.delete(self.labels, removed)
        if not self.is_classifier:
            return len(left) > 1
        return len(left) > 1 and bool(np.any(left != left[0]))

    def fit_if_possible(self, removed: np.ndarray) -> BaseEstimator | None:
        """Fit a clone without these rows; None where what is left is too little.

        That is a single class, or too few rows, words or categories for an estimator.
        """
        if not self.can_fit(removed):
            return None
        try:
            return self.fit(removed)
        except ValueError:
            return None

    def fit(self, removed: np.ndarray | None = None) -> BaseEstimator:
        """Fit a clone without these rows."""
        self.n_fits += 1
        model = clone(self.template)
        if removed is None or len(removed) == 0:
            return model.fit(self.X, self.y, **self.fit_params())
        kept = np.delete(np.arange(self.n_rows), removed)
        y = narrowed(self.y, _safe_indexing(self.y, kept))
        return model.fit(_safe_indexing(self.X, kept), y, **self.fit_params(kept))

    def fit_params(self, kept: Any = slice(None)) -> dict[str, np.ndarray]:
        """Return what fit is given beside some of the rows and their labels."""
        return {} if self.weights is None else {self._weights_as: self.weights[kept]}


def check_can_fit(estimator: BaseEstimator) -> None:
    """Refuse what is no estimator that predicts."""
    can_fit = hasattr(estimator, "fit") and hasattr(estimator, "predict")
    if not can_fit or isinstance(estimator, type):
        raise TypeError(
            "estimator must be a classifier or a regressor, an object with fit and "
            f"predict; got {estimator!r}."
        )


def _cloned(estimator):
    check_can_fit(estimator)
    try:
        return clone(estimator)
    except (TypeError, RuntimeError) as error:
        raise TypeError(
            f"estimator={estimator!r} cannot be cloned, so that no model can be fitted "
            f"without rows: {error}"
        ) from error


def _settle(estimator, random_state):
    """Give every random state that is not set a number."""
    given = estimator.get_params(deep=True)
    unset = [
        name
        for name, value in sorted(given.items())
        if name.rpartition("__")[2] == "random_state" and value is None
    ]
    numbers = random_state.randint(np.iinfo(np.int32).max, size=len(unset))
    estimator.set_params(**dict(zip(unset, numbers.tolist(), strict=True)))


def _weight_parameter(estimator):
    """Return what the weights of rows are called when the estimator is fitted."""
    last, prefix = estimator, ""
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        prefix += f"{name}__"
    if not has_fit_parameter(last, "sample_weight"):
        raise ValueError(
            f"sample_weight is not supported by {type(last).__name__}; pass None."
        )
    return f"{prefix}sample_weight"
