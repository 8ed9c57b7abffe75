"""Losses of a margin ``m = y (w @ x + b)``, with their first two derivatives."""

from typing import NamedTuple

import numpy as np
from scipy.special import expit


class SmoothHinge(NamedTuple):
    """The hinge loss, its kink at 1 smeared out over ``1 - width <= m <= 1 + width``.

    It is the mean hinge loss of the margin plus noise whose density is a parabola
    (Epanechnikov's kernel), twice differentiable, and equals the hinge loss outside.

    Parameters
    ----------
    width : float
        Half the width of the smeared part.
    """

    width: float

    def value(self, margins):
        """Return the losses of margins."""
        z = np.clip((1.0 - margins) / self.width, -1.0, None)
        inside = np.minimum(z, 1.0)
        smeared = 3 / 16 + inside / 2 + 3 / 8 * inside**2 - inside**4 / 16
        return self.width * (smeared + z - inside)

    def slope(self, margins):
        """Return the first derivatives."""
        z = np.clip((1.0 - margins) / self.width, -1.0, 1.0)
        return -(0.5 + 0.75 * z - 0.25 * z**3)

    def curvature(self, margins):
        """Return the second derivatives."""
        z = (1.0 - margins) / self.width
        return np.where(np.abs(z) < 1.0, 0.75 * (1.0 - z**2), 0.0) / self.width


class Logistic:
    """The loss ``log(1 + exp(-m))`` of logistic regression."""

    def value(self, margins):
        """Return the losses of margins."""
        return np.logaddexp(0.0, -margins)

    def slope(self, margins):
        """Return the first derivatives."""
        return -expit(-margins)

    def curvature(self, margins):
        """Return the second derivatives."""
        return expit(margins) * expit(-margins)


class Squared:
    """The loss ``(1 - m)^2 / 2`` of ridge regression on labels -1 and +1."""

    def value(self, margins):
        """Return the losses of margins."""
        return 0.5 * (1.0 - margins) ** 2

    def slope(self, margins):
        """Return the first derivatives."""
        return margins - 1.0

    def curvature(self, margins):
        """Return the second derivatives."""
        return np.ones_like(margins)


class Hinge:
    """The hinge loss ``max(0, 1 - m)``; it has no second derivative."""

    def value(self, margins):
        """Return the losses of margins."""
        return np.maximum(0.0, 1.0 - margins)
