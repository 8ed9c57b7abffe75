"""Test data for the checks, and their assertions."""

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import make_blobs


def two_classes(random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Make 130 rows of two classes, 0 and 1, in three features, a few far out."""
    X, y = make_blobs([50, 80], 3, random_state=random_state, shuffle=True)
    X[:4] += 25.0 * np.sign(X[:4])
    return X, y


def require(holds: bool | np.bool_, message: str) -> None:
    """Raise unless something holds; ``assert`` would vanish under ``python -O``."""
    if not holds:
        raise AssertionError(message)


def require_refusals(estimator: BaseEstimator, cases: dict[str, tuple]) -> None:
    """Require that fit raises for invalid rows and labels, given by their defect."""
    for what, (X, y) in cases.items():
        try:
            clone(estimator).fit(X, y)
        except ValueError:
            continue
        name = type(estimator).__name__
        raise AssertionError(f"{name}.fit must raise ValueError for {what}.")


def with_entry(X: np.ndarray, value: float) -> np.ndarray:
    """Return a copy of the rows with one entry replaced."""
    X = X.copy()
    X[3, 1] = value
    return X
