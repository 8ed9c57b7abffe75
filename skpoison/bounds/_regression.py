"""What is different about a bound whose learner is a regressor."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from sklearn.utils import ClassifierTags, RegressorTags, Tags
from sklearn.utils.metaestimators import available_if

from skpoison._blocks import engine, is_lazy
from skpoison._column_types import RowsLike
from skpoison._warn import warn
from skpoison.bounds._linear import BinaryLinearClassifier, check_values
from skpoison.bounds._regressors import KNOWN_REGRESSORS, REGRESSORS
from skpoison.bounds._target_range import read_target_range
from skpoison.solvers._signed_design import Rows

# More classes than these, with fewer rows each, are probably no classes.
MANY, ROWS_OF_CLASS = 20, 10


def is_regressor(estimator: BaseEstimator | None) -> bool:
    """Return whether a bound on this learner is about targets that are numbers."""
    return type(estimator) in REGRESSORS


def target_rows(X: np.ndarray) -> Rows:
    """Return rows in a form that is cheap to multiply; no label turns their sign."""
    return Rows(X, np.ones(X.shape[0]))


def _classifies(bound):
    if is_regressor(bound.estimator):
        raise AttributeError(
            f"The bound is about a regressor, {bound.estimator!r}, which makes no "
            "decisions. Use predict."
        )
    return True


def _warn_of_numbers(classes, codes):
    """Warn of labels that look like targets: numbers, many for so few rows."""
    is_many = len(classes) > MANY and len(codes) < ROWS_OF_CLASS * len(classes)
    if is_many and classes.dtype.kind in "iuf":
        warn(
            f"y has {len(classes)} classes, which are numbers, in {len(codes)} rows; a "
            "bound for so many classes takes long. If they are targets, give a "
            f"regressor as estimator: {KNOWN_REGRESSORS}.",
            UserWarning,
        )


class LinearLearner(BinaryLinearClassifier):
    """Base class of a linear classifier that is a regressor if `estimator` is one."""

    estimator: BaseEstimator | None
    target_range: object
    target_range_: Any  # a pair of numbers in regression, None elsewhere
    coef_: np.ndarray
    intercept_: np.ndarray | float

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if is_regressor(self.estimator):
            tags.estimator_type = "regressor"
            tags.classifier_tags, tags.regressor_tags = None, RegressorTags()
        elif tags.classifier_tags is None:
            tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags

    def _validate(self, X, y):
        """Return X, and positions of labels or targets; set what is known of them."""
        if not is_regressor(self.estimator):
            if self.target_range is not None:
                raise ValueError(
                    f"target_range={self.target_range!r} is for regressors; got "
                    f"estimator={self.estimator!r}."
                )
            self.target_range_ = None
            X, codes = super()._validate(X, y)
            _warn_of_numbers(self.classes_, codes)
            return X, codes
        X, y = self._validate_both(X, y, y_numeric=True)
        y = np.asarray(y, dtype=np.float64)
        check_values(type(self).__name__, y, "y")
        self.target_range_ = read_target_range(self.target_range, y)
        if hasattr(self, "classes_"):  # of a fit with another learner
            del self.classes_
        return X, y

    def _check_labels(self, y):
        try:
            super()._check_labels(y)
        except ValueError as error:
            raise ValueError(
                f"{error} For targets that are numbers, give a regressor as "
                f"estimator: {KNOWN_REGRESSORS}."
            ) from None

    def _in_form(self, theta):
        """Return coefficients and intercept as scikit-learn's estimators have them."""
        if is_regressor(self.estimator):
            return theta[:-1].copy(), float(theta[-1])
        return super()._in_form(theta)

    decision_function = available_if(_classifies)(
        BinaryLinearClassifier.decision_function
    )

    def predict(self, X: RowsLike) -> np.ndarray:
        """Predict the labels of rows, or their targets.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape \
                (n_samples, n_features)
            The rows. Of a Dask collection, what is returned is a lazy Dask array.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels from `classes_`; with a regressor, targets.
        """
        if not is_regressor(self.estimator):
            return super().predict(X)
        if is_lazy(X):
            return engine().outputs(self, "predict", X)
        return self._scores(X)

    def score(
        self, X: RowsLike, y: np.ndarray, sample_weight: np.ndarray | None = None
    ) -> float:
        """Return the accuracy of predictions; with a regressor, R squared.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,)
            Their labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        score : float
            The score, at most 1.
        """
        if not is_regressor(self.estimator):
            return super().score(X, y, sample_weight)
        return r2_score(y, self.predict(X), sample_weight=sample_weight)
