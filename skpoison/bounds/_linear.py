"""Base class of the binary linear classifiers of this subpackage."""

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from skpoison._blocks import engine, is_lazy
from skpoison._labels import check_two_classes, distinct_labels, find_labels
from skpoison._versions import VersionedMixin
from skpoison.solvers._signed_design import Rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


# The fourth power of larger values overflows.
LARGEST = np.finfo(np.float64).max ** 0.25
# What the rounding of means can take from a sum of squares around them.
ROUNDING_OF_MEANS = 512 * np.finfo(np.float64).eps


class BinaryLinearClassifier(ClassifierMixin, VersionedMixin, BaseEstimator):
    """Base class: two classes, a weight vector and an intercept."""

    # Whether there may be more classes, and a weight vector for each.
    _several_classes = False

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = self._several_classes
        tags.input_tags.sparse = True
        return tags

    def _validate(self, X, y):
        """Return X, the labels' positions and set ``classes_``."""
        X, y = self._validate_both(X, y)
        self._check_labels(y)
        self.classes_ = distinct_labels(y)
        codes = find_labels(y, self.classes_)
        name, several = type(self).__name__, self._several_classes
        check_two_classes(name, self.classes_, or_more=several)
        return X, codes

    def _check_labels(self, y):
        check_classification_targets(y)

    def _validate_both(self, X, y, **options):
        """Return X, its values checked, and y."""
        dtypes = [np.float64, np.float32]
        options |= {"accept_sparse": "csr", "dtype": dtypes}
        # The pass that checks for large values also finds NaN and infinity.
        X, y = validate_data(self, X, y, ensure_all_finite=False, **options)
        self._check_values(X)
        return X, y

    def _check_values(self, X):
        check_values(type(self).__name__, X)

    def _store(self, theta):
        self.coef_, self.intercept_ = self._in_form(theta)

    def _in_form(self, theta):
        """Return coefficients and intercepts, of one problem or one for each class."""
        theta = np.atleast_2d(theta)
        return theta[:, :-1].copy(), theta[:, -1].copy()

    def decision_function(self, X: "ArrayLike | sparse.sparray") -> np.ndarray:
        """Return the signed decision values of rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape \
                (n_samples, n_features)
            The rows. Of a Dask collection, what is returned is a lazy Dask array.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Positive for ``classes_[1]``; for more than two classes, the score of each.
        """
        if is_lazy(X):
            return engine().outputs(self, "decision_function", X)
        return self._scores(X)

    def _scores(self, X):
        check_is_fitted(self)
        X = validate_data(
            self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False
        )
        if np.ndim(self.coef_) == 2 and len(self.coef_) > 1:
            return X @ self.coef_.T + self.intercept_
        return X @ np.ravel(self.coef_) + np.ravel(self.intercept_)[0]

    def predict(self, X: "ArrayLike | sparse.sparray") -> np.ndarray:
        """Predict the labels of rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask collection} of shape \
                (n_samples, n_features)
            The rows. Of a Dask collection, what is returned is a lazy Dask array.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels from `classes_`.
        """
        if is_lazy(X):
            return engine().outputs(self, "predict", X)
        scores = self.decision_function(X)
        if scores.ndim == 2:
            return self.classes_[scores.argmax(axis=1)]
        return self.classes_[(scores > 0).astype(int)]


def square_sum_around(sphere):
    """Return the sum of the squares of the rows that a sphere was fitted on.

    Their distances from the means of their classes, and these means, tell it; and that
    no value is missing, infinite or too large. None where they do not.
    """
    n_rows = np.bincount(sphere._codes)
    with np.errstate(over="ignore"):
        around = sphere.scores_ @ sphere.scores_
        total = around + n_rows @ np.vecdot(sphere.centroids_, sphere.centroids_)
    if not total <= LARGEST * LARGEST:
        return None
    return float(total * (1.0 + ROUNDING_OF_MEANS))


def check_values(name, X, what="X"):
    """Raise for NaN, infinity and values whose fourth power overflows.

    Return the sum of the squares where it is known to the digits of float64.
    """
    values = X.data if sparse.issparse(X) else X
    # One fast pass shows for most inputs that no value is so large.
    flat = values.ravel(order="K")
    with np.errstate(over="ignore", invalid="ignore"):
        total = flat @ flat
        if total <= LARGEST * LARGEST:
            is_exact = values.dtype == np.float64 and not sparse.issparse(X)
            return float(total) if is_exact else None
    assert_all_finite(X, estimator_name=name, input_name=what)
    largest = max(values.max(), -values.min())
    if largest > LARGEST:
        raise ValueError(
            f"{name} supports absolute values of {what} up to {LARGEST:.2g}; got "
            f"{largest:.2g}. Rescale {what}, for example with a StandardScaler fitted "
            "on trusted rows."
        )
    return None


def signed_rows(X, codes):
    """Return rows with the sign of their class, in a form that is cheap to multiply."""
    if sparse.issparse(X) and X.dtype != np.float64:
        X = X.astype(np.float64)
    return Rows(X, np.where(codes == 1, 1.0, -1.0))
