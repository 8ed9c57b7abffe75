"""Medoids among outer products of residuals and rows, which are never formed.

The gradient of a linear classifier's loss on one row is the outer product of the
residual (probabilities minus one-hot label) and the row, with a one for the intercept.
Inner products of two of them are products of inner products.
"""

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import row_norms, safe_sparse_dot

from skpoison.coreset._dissimilarity import UNIT, Measure, all_dissimilarities, tiles
from skpoison.coreset._numpy import greedy

ROUNDING = 64 * np.finfo(np.float64).eps


def outer_squares(residuals, X):
    """Squared distances between outer products, as a function of ranges of rows.

    Parameters
    ----------
    residuals : ndarray of shape (n_samples, n_classes)
        Probabilities minus one-hot labels, float64.
    X : {ndarray, CSR array} of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    squares_between : callable
        ``squares_between(rows, others)`` for two slices. What is left of a difference
        of equal numbers after rounding is zero.
    """
    norms = row_norms(residuals, squared=True)
    norms = norms * (row_norms(X.astype(np.float64), squared=True) + 1)
    if not np.all(np.isfinite(norms)):
        raise ValueError("X holds values whose squares overflow: scale it.")

    def squares_between(rows, others):
        inner = safe_sparse_dot(X[rows], X[others].T, dense_output=True) + 1.0
        inner = inner * (residuals[rows] @ residuals[others].T)
        total = norms[rows][:, None] + norms[others]
        squares = total - 2 * inner
        squares[squares <= ROUNDING * total] = 0.0
        return squares

    return squares_between


def select_outer(residuals, X, n_medoids, similarity, order):
    """Pick medoids among outer products.

    Parameters
    ----------
    residuals : ndarray of shape (n_samples, n_classes)
        Probabilities minus one-hot labels.
    X : {ndarray, CSR array} of shape (n_samples, n_features)
        Rows.
    n_medoids : int
        How many, at most ``n_samples``.
    similarity : {"exp", "linear"}
        Distances are divided by the number of classes in ``"exp"``.
    order : {"canonical", "lazy"}
        Who is picked among equals.

    Returns
    -------
    picks, gains, nearest : ndarray
        As from :func:`skpoison.coreset._numpy.greedy`, gains as similarities.
    """
    n_samples = len(residuals)
    residuals = residuals.astype(np.float64)
    X = sparse.csr_array(X) if sparse.issparse(X) else X
    squares_between = outer_squares(residuals, X.astype(np.float64))
    measure = Measure(False, False, np.float64(1.0 / residuals.shape[1]), 1.0)
    if similarity == "linear":
        largest = np.sqrt(max(squares_between(*t).max() for t in tiles(n_samples)))
        inverse = np.float64(1.0 / largest if largest else 0.0)
        measure = Measure(True, False, inverse, float(largest))
    units = np.empty((n_samples, n_samples), dtype=np.int32)
    all_dissimilarities(squares_between, measure, units)
    picks, gains, nearest = greedy(units.__getitem__, n_samples, n_medoids, order)
    return picks, gains * (measure.largest / UNIT), nearest
