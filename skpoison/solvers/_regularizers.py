"""Regularizers: a norm ball, and a squared penalty."""

import numpy as np


class NormBall:
    """The parameters with ``||theta|| <= rho``.

    Parameters
    ----------
    rho : float
        Radius of the ball.
    """

    curvature = 0.0

    def __init__(self, rho: float) -> None:
        self.rho = float(rho)

    def value(self, theta: np.ndarray) -> float:
        """Return the regularizer's value: zero inside the ball."""
        return 0.0

    def conjugate(self, z: np.ndarray) -> float:
        """Return the maximum of ``z @ theta`` minus the regularizer."""
        return self.rho * float(np.linalg.norm(z))

    def project(self, theta: np.ndarray) -> np.ndarray:
        """Return the nearest parameters that the learner allows."""
        norm = np.linalg.norm(theta)
        return theta if norm <= self.rho else theta * (self.rho / norm)

    @property
    def radius(self) -> float:
        """Largest norm of feasible parameters."""
        return self.rho


class Penalty:
    """The regularizer ``kappa / 2 * ||theta||^2``.

    Parameters
    ----------
    kappa : float
        Strength; ``1 / (C n)`` for a linear SVM with parameter C on n rows.
    """

    radius = np.inf

    def __init__(self, kappa: float) -> None:
        self.kappa = float(kappa)

    @property
    def curvature(self) -> float:
        """Curvature of the regularizer."""
        return self.kappa

    def value(self, theta: np.ndarray) -> float:
        """Return the regularizer's value."""
        return 0.5 * self.kappa * float(theta @ theta)

    def conjugate(self, z: np.ndarray) -> float:
        """Return the maximum of ``z @ theta`` minus the regularizer."""
        return float(z @ z) / (2.0 * self.kappa)

    def project(self, theta: np.ndarray) -> np.ndarray:
        """Return the nearest parameters that the learner allows."""
        return theta


Regularizer = NormBall | Penalty


def regularizer(rho: float | None, C: float | None, n_rows: int) -> Regularizer:
    """Return a ball of radius rho, or the penalty of LinearSVC, with C=1 if None."""
    if rho is not None:
        return NormBall(rho)
    return Penalty(1.0 / ((1.0 if C is None else C) * n_rows))
