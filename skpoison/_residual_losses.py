"""Losses of regression, as functions of the error: the prediction less the target.

They have the methods of :class:`skpoison.losses.Loss`, the error in the place of the
margin. All are even, and least at an error of zero.
"""

from dataclasses import dataclass

import numpy as np

from skpoison.losses import Loss


class ResidualLoss(Loss):
    """Base class of losses that are even functions of the error."""

    # Errors up to this size cost nothing; 0 where others lose more than what is beyond.
    @property
    def dead_zone(self) -> float:
        """Errors up to this size cost nothing."""
        return 0.0


@dataclass(frozen=True)
class SquaredError(ResidualLoss):
    """Half the squared error, the loss of ridge regression."""

    slope_range = (-np.inf, np.inf)

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of errors."""
        return 0.5 * margins**2

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives."""
        return margins

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return ones."""
        return np.ones_like(margins, dtype=np.float64)

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes."""
        return 0.5 * slopes**2

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near errors."""
        return margins / (1.0 + step)


@dataclass(frozen=True)
class EpsilonInsensitive(ResidualLoss):
    """What the size of the error exceeds epsilon by: support vector regression's."""

    epsilon: float

    slope_range = (-1.0, 1.0)
    is_piecewise_linear = True

    @property
    def dead_zone(self) -> float:
        """Errors up to this size cost nothing."""
        return self.epsilon

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of errors."""
        return np.maximum(np.abs(margins) - self.epsilon, 0.0)

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives; at a kink, that of the flatter side."""
        return np.sign(margins) * (np.abs(margins) > self.epsilon)

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return zeros: the loss is piecewise linear."""
        return np.zeros_like(margins, dtype=np.float64)

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes."""
        inside = slopes == self.project(slopes)
        return np.where(inside, self.epsilon * np.abs(slopes), np.inf)

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near errors."""
        sizes = np.abs(margins)
        return np.sign(margins) * (sizes - np.clip(sizes - self.epsilon, 0.0, step))

    def slopes_near(
        self, margins: np.ndarray, slopes: np.ndarray, step: float
    ) -> np.ndarray:
        """Return the slopes of the smoothed loss; see `Hinge.slopes_near`."""
        free = slopes - margins / step
        sizes = np.maximum(np.abs(free) - self.epsilon / step, 0.0)
        return np.sign(free) * np.minimum(sizes, 1.0)


@dataclass(frozen=True)
class SquaredEpsilonInsensitive(ResidualLoss):
    """The square of what the size of the error exceeds epsilon by."""

    epsilon: float

    slope_range = (-np.inf, np.inf)

    def _beyond(self, margins):
        return np.sign(margins) * np.maximum(np.abs(margins) - self.epsilon, 0.0)

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of errors."""
        return self._beyond(margins) ** 2

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives."""
        return 2.0 * self._beyond(margins)

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return the second derivatives; where undefined, those of the flatter side."""
        return np.where(np.abs(margins) > self.epsilon, 2.0, 0.0)

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes."""
        return self.epsilon * np.abs(slopes) + 0.25 * slopes**2

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near errors."""
        return margins - self._beyond(margins) * (2.0 * step / (1.0 + 2.0 * step))


@dataclass(frozen=True)
class Huber(ResidualLoss):
    """Half the squared error, going on as a line where its size exceeds epsilon."""

    epsilon: float

    @property
    def slope_range(self) -> tuple[float, float]:  # type: ignore[override]
        """Smallest and largest slope."""
        return (-self.epsilon, self.epsilon)

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of errors."""
        inside = self.project(margins)
        return 0.5 * inside**2 + self.epsilon * np.abs(margins - inside)

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives."""
        return self.project(margins)

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return the second derivatives; where undefined, those of the flatter side."""
        return np.where(np.abs(margins) < self.epsilon, 1.0, 0.0)

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes."""
        inside = slopes == self.project(slopes)
        return np.where(inside, 0.5 * slopes**2, np.inf)

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near errors."""
        return margins - step * self.project(margins / (1.0 + step))


@dataclass(frozen=True)
class ConcomitantHuber(ResidualLoss):
    """The loss of ``HuberRegressor`` at one value of its scale, which is learned too.

    ``scale + scale * H(error / scale)``, where H is the square, going on as a line from
    epsilon on: a convex function of error and scale together. A scale of 0 stands for
    one that is not learned yet.
    """

    epsilon: float
    scale: float = 0.0

    @property
    def slope_range(self) -> tuple[float, float]:  # type: ignore[override]
        """Smallest and largest slope."""
        return (-2.0 * self.epsilon, 2.0 * self.epsilon)

    @property
    def _halved(self):
        """The loss is twice this one, less ``scale``, in errors over the scale."""
        return Huber(self.epsilon)

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of errors."""
        value = self._halved.value(margins / self.scale)
        return self.scale * (1.0 + 2.0 * value)

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives."""
        return 2.0 * self._halved.derivative(margins / self.scale)

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return the second derivatives; where undefined, those of the flatter side."""
        return self._halved.curvature(margins / self.scale) * (2.0 / self.scale)

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes."""
        inside = slopes == self.project(slopes)
        conjugates = self.scale * (0.25 * slopes**2 - 1.0)
        return np.where(inside, conjugates, np.inf)

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near errors."""
        step = 2.0 * step / self.scale
        return self.scale * self._halved.prox(margins / self.scale, step)
