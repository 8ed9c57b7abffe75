"""The classifier that filters fit where none is given."""

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from skpoison.filters._rows import are_far, class_means

# Rows so many times as far from the origin as from their mean are fitted around it.
FAR = 10.0


def fit_logistic(X, y):
    """Fit ``LogisticRegression(max_iter=1000)``.

    Its solver stops early, without a word, where rows are far from the origin. Dense
    rows are then taken from their mean, which changes the intercept alone: that is not
    penalised.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, float64 or float32.
    y : ndarray of shape (n_samples,)
        Labels.

    Returns
    -------
    estimator : LogisticRegression
        Fitted; knows rows as they are given.

    Raises
    ------
    ValueError
        If squares of the rows leave the range of their dtype.
    """
    _check_size(X)
    estimator = LogisticRegression(max_iter=1000)
    one_class = np.zeros(X.shape[0], dtype=np.intp)
    center = class_means(X, one_class, 1)
    if sparse.issparse(X) or not are_far(X, one_class, center, times=FAR):
        return estimator.fit(X, y)
    # A center of the rows' own dtype: no difference of near numbers is rounded.
    center = center[0].astype(X.dtype)
    estimator.fit(X - center, y)
    estimator.coef_ = estimator.coef_.astype(np.float64)
    shifts = estimator.coef_ @ center.astype(np.float64)
    estimator.intercept_ = estimator.intercept_ - shifts
    return estimator


def _check_size(X):
    values = X.data if sparse.issparse(X) else X
    largest = max(values.max(initial=0.0), -values.min(initial=0.0))
    most = np.sqrt(np.finfo(X.dtype).max)
    if largest > most:
        raise ValueError(
            f"X holds values as large as {largest:.3g}; LogisticRegression, which is "
            "fitted where no estimator is given, cannot square more than "
            f"{most:.3g} in {X.dtype}. Rescale the data, or give an estimator that "
            "does not mind."
        )
