"""Gradients of the loss of linear classifiers, row by row."""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator
from sklearn.pipeline import Pipeline

from skpoison.filters import _losses


def gradients(estimator, X, codes, loss):
    """Gradients of the loss of each row, with respect to coefficients and intercepts.

    Parameters
    ----------
    estimator : classifier
        Fitted and linear, with ``coef_`` and ``decision_function``; or a Pipeline that
        ends in such a one, whose gradients are those of its last step.
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows.
    codes : ndarray of shape (n_samples,)
        The class of each row.
    loss : {"hinge", "log_loss", "squared"}
        Which loss.

    Returns
    -------
    gradients : Gradients of shape (n_samples, n_parameters)
        Without what regularisation adds, which is the same for all rows.

    Raises
    ------
    TypeError
        If the classifier is not linear.
    """
    features, linear = X, estimator
    if isinstance(estimator, Pipeline):
        features, linear = estimator[:-1].transform(X), estimator[-1]
    if not (hasattr(linear, "coef_") and hasattr(linear, "decision_function")):
        raise TypeError(
            "SeverFilter needs a linear classifier with coef_ and decision_function, "
            f"or a Pipeline that ends in one; got {estimator!r}."
        )
    slopes = _losses.derivatives(linear.decision_function(features), codes, loss)
    return Gradients(slopes, features, getattr(linear, "fit_intercept", True))


class Gradients(LinearOperator):
    """Row i is the outer product of ``slopes[i]`` and ``(X[i], 1)``, less a center.

    Parameters
    ----------
    slopes : ndarray of shape (n_samples, n_outputs)
        Derivatives of the loss with respect to decisions.
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows.
    intercept : bool
        Whether there is a 1 after each row.
    center : ndarray of shape (n_parameters,), default=None
        What is subtracted from each gradient; nothing by default.
    """

    def __init__(self, slopes, X, intercept, center=None):
        n_parameters = slopes.shape[1] * (X.shape[1] + bool(intercept))
        super().__init__(np.dtype(np.float64), (X.shape[0], n_parameters))
        self.slopes = slopes
        self.X = X
        self.intercept = intercept
        self.center = np.zeros(n_parameters) if center is None else center

    def _matmat(self, V):
        out = [self._along(direction) for direction in V.T]
        return np.stack(out, axis=1) - self.center @ V

    def _along(self, direction):
        weights = direction.reshape(self.slopes.shape[1], -1)
        products = self.X @ np.ascontiguousarray(weights[:, : self.X.shape[1]].T)
        if self.intercept:
            products = products + weights[:, -1]
        return np.einsum("ij,ij->i", self.slopes, products)

    def _rmatmat(self, U):
        return np.stack([self._sum(weights) for weights in U.T], axis=1)

    def _sum(self, weights):
        slopes = self.slopes * weights[:, None]
        sums = np.asarray((self.X.T @ slopes).T)
        if self.intercept:
            sums = np.column_stack([sums, slopes.sum(axis=0)])
        return sums.ravel() - self.center * weights.sum()

    def mean(self):
        """Mean of the rows."""
        n_samples = self.shape[0]
        return self._sum(np.full(n_samples, 1.0 / n_samples))

    def of(self, rows, center=None):
        """Return some of the rows, less a center."""
        return Gradients(self.slopes[rows], self.X[rows], self.intercept, center)

    def blocks(self, step=384):
        """Yield the rows in dense blocks of bounded size."""
        for start in range(0, self.shape[0], step):
            rows = slice(start, start + step)
            block = self.X[rows]
            block = block.toarray() if sparse.issparse(block) else block
            if self.intercept:
                block = np.column_stack([block, np.ones(len(block))])
            outer = self.slopes[rows][:, :, None] * block[:, None, :]
            yield outer.reshape(len(block), -1) - self.center
