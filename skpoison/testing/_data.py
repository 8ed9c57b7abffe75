"""Rows to check estimators with."""

import numpy as np
from sklearn.datasets import make_blobs


def two_classes(random_state):
    """Make 130 rows of two classes in three features, a few of them far out.

    Parameters
    ----------
    random_state : int
        Seed.

    Returns
    -------
    X : ndarray of shape (130, 3)
        Rows, float64.
    y : ndarray of shape (130,)
        Labels, 0 or 1.
    """
    X, y = make_blobs([50, 80], 3, random_state=random_state, shuffle=True)
    X[:4] += 25.0 * np.sign(X[:4])
    return X, y


def require(holds, message):
    """Raise an AssertionError with a message unless something holds.

    Parameters
    ----------
    holds : bool
        What must be true; ``assert`` would vanish under ``python -O``.
    message : str
        What is wrong otherwise.
    """
    if not holds:
        raise AssertionError(message)
