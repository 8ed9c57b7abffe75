"""The plane in which a filter is drawn: two centroids, and where rows spread most."""

from typing import NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator, svds

# Relative; centroids that differ by less are the same.
ROUNDING = 8 * np.finfo(np.float64).eps


class Plane(NamedTuple):
    """A plane through two centroids.

    Parameters
    ----------
    origin : ndarray of shape (n_features,)
        The middle between the centroids.
    axes : ndarray of shape (2, n_features)
        Orthonormal: along the line from the first to the second centroid, and across.
    """

    origin: np.ndarray
    axes: np.ndarray

    def coordinates(self, X):
        """Return the coordinates of rows, of shape (n_samples, 2)."""
        return np.asarray(X @ self.axes.T) - self.axes @ self.origin


def plane_of(X, codes, centers):
    """Find the plane of two classes.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows of the two classes.
    codes : ndarray of shape (n_samples,)
        The class of each row, 0 or 1.
    centers : ndarray of shape (2, n_features)
        The centroids of the filter.

    Returns
    -------
    plane : Plane
        The plane; its second axis is the first principal direction of the rows, each
        class centred on its own mean, orthogonal to the first axis.

    Raises
    ------
    ValueError
        If there is a single feature, or the centroids are identical.
    """
    if X.shape[1] < 2:
        raise ValueError(
            "X has a single feature: there is no direction orthogonal to the line "
            "between the centroids."
        )
    # Features are judged one by one: large, constant values hide no other feature.
    same = np.isclose(*centers, rtol=ROUNDING, atol=0.0)
    line = np.where(same, 0.0, centers[1] - centers[0])
    length = np.linalg.norm(line)
    if length == 0:
        raise ValueError("The centroids are identical: there is no line between them.")
    line = line / length
    return Plane(centers.mean(axis=0), np.stack([line, most_spread(X, codes, line)]))


def most_spread(X, codes, line):
    """Find the direction of most spread within classes that is orthogonal to a line.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows; sparse rows stay sparse.
    codes : ndarray of shape (n_samples,)
        The class of each row, 0 or 1.
    line : ndarray of shape (n_features,)
        Unit vector.

    Returns
    -------
    direction : ndarray of shape (n_features,)
        Unit vector, its largest entry positive. Any unit vector orthogonal to `line`
        where the rows do not spread.
    """
    spread = _within_classes(X, codes, line)
    start = _orthogonal(np.random.RandomState(0).normal(size=len(line)), line)
    seen = spread @ start
    rounding = 1e3 * np.finfo(X.dtype).eps * np.sqrt(len(seen)) * abs(X).max()
    if np.linalg.norm(seen) <= rounding:
        return start
    # ARPACK wants a start on the shorter side.
    v0 = start if X.shape[0] >= X.shape[1] else seen
    _, _, found = svds(spread, k=1, v0=v0.astype(X.dtype), solver="arpack")
    direction = _orthogonal(found[0].astype(np.float64), line)
    return direction * np.sign(direction[np.argmax(np.abs(direction))])


def _orthogonal(v, line):
    v = v - (line @ v) * line
    return v / np.linalg.norm(v)


def _within_classes(X, codes, line):
    """Return the class-centred rows without their part along the line, unformed."""
    members = np.stack([codes == 0, codes == 1]).astype(X.dtype)
    members /= np.maximum(members.sum(axis=1, keepdims=True), 1.0)
    means = np.asarray(members @ X)
    line = line.astype(X.dtype)

    def forward(v):
        v = np.ravel(v).astype(X.dtype)
        v = v - (line @ v) * line
        return X @ v - (means @ v)[codes]

    def backward(r):
        r = np.ravel(r).astype(X.dtype)
        v = X.T @ r - np.bincount(codes, r, minlength=2).astype(X.dtype) @ means
        return v - (line @ v) * line

    return LinearOperator(X.shape, matvec=forward, rmatvec=backward, dtype=X.dtype)
