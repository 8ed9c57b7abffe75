"""The two learners that a bound can speak of: a norm ball, and a penalty."""

import numpy as np


class NormBall:
    """The parameters with ``||theta|| <= rho``.

    Parameters
    ----------
    rho : float
        Radius of the ball.
    """

    curvature = 0.0

    def __init__(self, rho):
        self.rho = float(rho)

    def value(self, theta):
        """Return the regulariser's value: zero inside the ball."""
        return 0.0

    def conjugate(self, z):
        """Return the maximum of ``z @ theta`` minus the regulariser."""
        return self.rho * float(np.linalg.norm(z))

    def project(self, theta):
        """Return the nearest parameters that the learner allows."""
        norm = np.linalg.norm(theta)
        return theta if norm <= self.rho else theta * (self.rho / norm)

    @property
    def radius(self):
        """Largest norm of admitted parameters."""
        return self.rho


class Penalty:
    """The regulariser ``kappa / 2 * ||theta||^2``.

    Parameters
    ----------
    kappa : float
        Strength; ``1 / (C n)`` for a linear SVM with parameter C on n rows.
    """

    radius = np.inf

    def __init__(self, kappa):
        self.kappa = float(kappa)

    @property
    def curvature(self):
        """Curvature of the regulariser."""
        return self.kappa

    def value(self, theta):
        """Return the regulariser's value."""
        return 0.5 * self.kappa * float(theta @ theta)

    def conjugate(self, z):
        """Return the maximum of ``z @ theta`` minus the regulariser."""
        return float(z @ z) / (2.0 * self.kappa)

    def project(self, theta):
        """Return the nearest parameters that the learner allows."""
        return theta
