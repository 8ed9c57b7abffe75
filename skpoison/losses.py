"""Margin-based losses, used by bounds, filters and attacks.

The margin of a row is ``m = y (w @ x + b)`` with labels -1 and +1; a loss is a convex
function of it. Every loss has the same methods, those of :class:`Loss`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import entr, expit

__all__ = [
    "Hinge",
    "Logistic",
    "Loss",
    "ModifiedHuber",
    "SmoothedHinge",
    "Squared",
    "SquaredHinge",
    "decision_margins",
]

MAX_NEWTON = 100


class Loss(ABC):
    """Base class of convex, margin-based losses.

    A subclass implements the abstract methods, which work elementwise on arrays, and
    sets `slope_range`.

    Attributes
    ----------
    slope_range : tuple of float
        Smallest and largest slope ``a``, the negative derivative of the loss. The
        conjugate is finite between them. For losses that never increase with the
        margin, slopes are non-negative.

    See Also
    --------
    skpoison.losses.Hinge : The loss of support vector machines.

    Notes
    -----
    Dual bounds are based on the Fenchel-Young inequality
    ``value(m) >= -a * m - conjugate(a)``, which holds for every margin and slope, with
    equality at ``a = -derivative(m)``.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.special import lambertw
    >>> from skpoison.losses import Loss
    >>> class Exponential(Loss):
    ...     slope_range = (0.0, np.inf)
    ...
    ...     def value(self, margins):
    ...         return np.exp(-margins)
    ...
    ...     def derivative(self, margins):
    ...         return -np.exp(-margins)
    ...
    ...     def curvature(self, margins):
    ...         return np.exp(-margins)
    ...
    ...     def conjugate(self, slopes):
    ...         return slopes * np.log(slopes) - slopes
    ...
    ...     def prox(self, margins, step):
    ...         return margins + lambertw(step * np.exp(-margins)).real
    >>> loss, m, a = Exponential(), 0.3, 2.0
    >>> bool(loss.value(m) >= -a * m - loss.conjugate(a))
    True
    """

    slope_range: ClassVar[tuple[float, float]]
    # Solvers smooth such losses; these have a method `slopes_near` for it.
    is_piecewise_linear: ClassVar[bool] = False

    @abstractmethod
    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of margins.

        Parameters
        ----------
        margins : ndarray
            Margins.

        Returns
        -------
        losses : ndarray
            Their losses.
        """

    def mean(self, margins: np.ndarray) -> float:
        """Return the mean loss of margins.

        Parameters
        ----------
        margins : ndarray of shape (n_rows,)
            Margins.

        Returns
        -------
        loss : float
            The mean of their losses.
        """
        return float(self.value(margins).mean())

    @abstractmethod
    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives; at a kink, that of the flatter side.

        Parameters
        ----------
        margins : ndarray
            Margins.

        Returns
        -------
        derivatives : ndarray
            Derivatives with respect to the margin.
        """

    @abstractmethod
    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return the second derivatives; where undefined, those of the flatter side.

        Parameters
        ----------
        margins : ndarray
            Margins.

        Returns
        -------
        curvatures : ndarray
            Second derivatives with respect to the margin.
        """

    @abstractmethod
    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the maxima of ``-a * m - value(m)`` over all margins m.

        Parameters
        ----------
        slopes : ndarray
            Slopes a.

        Returns
        -------
        conjugates : ndarray
            The convex conjugate at ``-a``; infinite outside `slope_range`.
        """

    @abstractmethod
    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers u of ``value(u) + (u - m)**2 / (2 * step)``.

        Parameters
        ----------
        margins : ndarray
            Margins m.
        step : float or ndarray
            Positive step sizes.

        Returns
        -------
        minimizers : ndarray
            The proximal points.
        """

    def project(self, slopes: np.ndarray) -> np.ndarray:
        """Return the nearest slopes within `slope_range`.

        Parameters
        ----------
        slopes : ndarray
            Arbitrary numbers.

        Returns
        -------
        slopes : ndarray
            Slopes whose conjugate is finite.
        """
        return np.clip(slopes, *self.slope_range)


@dataclass(frozen=True)
class Hinge(Loss):
    """The hinge loss ``max(0, 1 - m)`` of support vector machines.

    See Also
    --------
    skpoison.losses.SmoothedHinge : The same without the kink.

    Notes
    -----
    The conjugate is ``-a`` for slopes between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.losses import Hinge
    >>> Hinge().value(np.array([-1.0, 0.5, 3.0]))
    array([2. , 0.5, 0. ])
    """

    slope_range = (0.0, 1.0)
    is_piecewise_linear = True

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of margins; see :meth:`Loss.value`."""
        return self.of_shortfalls(1.0 - margins)

    def of_shortfalls(self, shortfalls: float | np.ndarray) -> np.ndarray:
        """Return the losses of rows with given shortfalls, ``1 - margin``.

        Parameters
        ----------
        shortfalls : ndarray
            One minus the margins.

        Returns
        -------
        losses : ndarray
            Their positive parts.
        """
        return np.maximum(shortfalls, 0.0)

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives; see :meth:`Loss.derivative`."""
        return np.where(margins < 1.0, -1.0, 0.0)

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return zeros: the loss is piecewise linear."""
        return np.zeros_like(margins, dtype=np.float64)

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes; see :meth:`Loss.conjugate`."""
        return np.where(slopes == self.project(slopes), -slopes, np.inf)

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near margins; see :meth:`Loss.prox`."""
        return margins + np.clip(1.0 - margins, 0.0, step)

    def slopes_near(
        self, margins: np.ndarray, slopes: np.ndarray, step: float
    ) -> np.ndarray:
        """Return the maximizers a of ``-a m - conjugate(a) - step (a - slope)**2 / 2``.

        Parameters
        ----------
        margins : ndarray
            Margins m.
        slopes : ndarray
            Slopes to stay near to.
        step : float
            Positive step size.

        Returns
        -------
        maximizers : ndarray
            The slopes of the smoothed loss.
        """
        return self.project(slopes + (1.0 - margins) / step)


@dataclass(frozen=True)
class SmoothedHinge(Loss):
    """The hinge loss, smoothed over ``1 - width <= m <= 1 + width``.

    It is the expected hinge loss of the margin plus noise with the Epanechnikov kernel
    as density: twice differentiable, and equal to the hinge loss outside this interval.

    Parameters
    ----------
    width : float
        Half the width of the smoothed interval, positive.

    Raises
    ------
    ValueError
        If the width is not a positive, finite number.

    See Also
    --------
    skpoison.losses.Hinge : The limit for width 0.

    Notes
    -----
    With ``z = (1 - m) / width`` between -1 and 1, the slope is the cubic
    ``a = 1/2 + 3/4 z - z**3 / 4``. Its inverse ``z = 2 sin(arcsin(2 a - 1) / 3)``
    gives the conjugate, and a cubic of the same form the proximal operator.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.losses import SmoothedHinge
    >>> SmoothedHinge(0.5).value(np.array([0.5, 1.0, 1.5]))
    array([0.5    , 0.09375, 0.     ])
    """

    width: float

    slope_range = (0.0, 1.0)

    def __post_init__(self) -> None:
        if not 0.0 < self.width < np.inf:
            raise ValueError(
                f"width must be a positive, finite number; got {self.width!r}."
            )

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of margins; see :meth:`Loss.value`."""
        return self.width * _smeared((1.0 - margins) / self.width)

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives; see :meth:`Loss.derivative`."""
        z = np.clip((1.0 - margins) / self.width, -1.0, 1.0)
        return -(0.5 + 0.75 * z - 0.25 * z**3)

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return the second derivatives; see :meth:`Loss.curvature`."""
        z = (1.0 - margins) / self.width
        return np.where(np.abs(z) < 1.0, 0.75 * (1.0 - z**2), 0.0) / self.width

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes; see :meth:`Loss.conjugate`."""
        inside = self.project(slopes)
        z = 2.0 * np.sin(np.arcsin(2.0 * inside - 1.0) / 3.0)
        conjugates = self.width * (inside * z - _smeared(z)) - inside
        return np.where(slopes == inside, conjugates, np.inf)

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near margins; see :meth:`Loss.prox`."""
        # The minimizer's z solves z**3 - 3 p z + 2 q = 0 where the kink is smeared.
        shortfalls = 1.0 - margins
        p = 1.0 + 4.0 * self.width / (3.0 * step)
        q = 1.0 - 2.0 * shortfalls / step
        sines = np.clip(-q / p**1.5, -1.0, 1.0)
        z = 2.0 * np.sqrt(p) * np.sin(np.arcsin(sines) / 3.0)
        straight = [shortfalls <= -self.width, shortfalls >= self.width + step]
        return np.select(straight, [margins, margins + step], 1.0 - self.width * z)


def _smeared(z: np.ndarray) -> np.ndarray:
    """Return the loss of width 1 at ``z = 1 - m``."""
    z = np.clip(z, -1.0, None)
    inside = np.minimum(z, 1.0)
    smeared = 3 / 16 + inside / 2 + 3 / 8 * inside**2 - inside**4 / 16
    return smeared + z - inside


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """The squared hinge loss ``max(0, 1 - m)**2``, the default loss of ``LinearSVC``.

    See Also
    --------
    skpoison.losses.Squared : The squared loss, which also penalizes margins above 1.

    Notes
    -----
    The conjugate is ``a**2 / 4 - a`` for non-negative slopes.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.losses import SquaredHinge
    >>> SquaredHinge().value(np.array([-1.0, 0.5, 3.0]))
    array([4.  , 0.25, 0.  ])
    """

    slope_range = (0.0, np.inf)

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of margins; see :meth:`Loss.value`."""
        return Hinge().value(margins) ** 2

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives; see :meth:`Loss.derivative`."""
        return -2.0 * Hinge().value(margins)

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return the second derivatives; see :meth:`Loss.curvature`."""
        return np.where(margins < 1.0, 2.0, 0.0)

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes; see :meth:`Loss.conjugate`."""
        return np.where(slopes >= 0.0, slopes * (0.25 * slopes - 1.0), np.inf)

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near margins; see :meth:`Loss.prox`."""
        moved = (margins + 2.0 * step) / (1.0 + 2.0 * step)
        return np.where(margins < 1.0, moved, margins)


@dataclass(frozen=True)
class ModifiedHuber(Loss):
    """The squared hinge loss, going on as the line ``-4 m`` for margins below -1.

    It is ``SGDClassifier(loss="modified_huber")``'s.

    See Also
    --------
    skpoison.losses.SquaredHinge : Without the line: rows far off count more.

    Notes
    -----
    The conjugate is ``a**2 / 4 - a`` for slopes between 0 and 4.

    References
    ----------
    .. [1] T. Zhang, "Solving Large Scale Linear Prediction Problems Using Stochastic
       Gradient Descent Algorithms", ICML 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.losses import ModifiedHuber
    >>> ModifiedHuber().value(np.array([-2.0, -1.0, 0.5, 3.0]))
    array([8.  , 4.  , 0.25, 0.  ])
    """

    slope_range = (0.0, 4.0)

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of margins; see :meth:`Loss.value`."""
        beyond = np.minimum(margins + 1.0, 0.0)
        return SquaredHinge().value(np.maximum(margins, -1.0)) - 4.0 * beyond

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives; see :meth:`Loss.derivative`."""
        return SquaredHinge().derivative(np.maximum(margins, -1.0))

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return the second derivatives; see :meth:`Loss.curvature`."""
        return np.where(margins > -1.0, SquaredHinge().curvature(margins), 0.0)

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes; see :meth:`Loss.conjugate`."""
        inside = slopes == self.project(slopes)
        return np.where(inside, SquaredHinge().conjugate(slopes), np.inf)

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near margins; see :meth:`Loss.prox`."""
        on_line = margins + 4.0 * step
        return np.where(on_line < -1.0, on_line, SquaredHinge().prox(margins, step))


@dataclass(frozen=True)
class Logistic(Loss):
    """The loss ``log(1 + exp(-m))`` of logistic regression.

    See Also
    --------
    skpoison.losses.Hinge : A loss with a similar shape for negative margins.

    Notes
    -----
    The conjugate is the negative entropy ``a log(a) + (1 - a) log(1 - a)`` for slopes
    between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.losses import Logistic
    >>> Logistic().value(np.array([-1.0, 0.0, 1.0])).round(3)
    array([1.313, 0.693, 0.313])
    """

    slope_range = (0.0, 1.0)

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of margins; see :meth:`Loss.value`."""
        return np.logaddexp(0.0, -margins)

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives; see :meth:`Loss.derivative`."""
        return -expit(-margins)

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return the second derivatives; see :meth:`Loss.curvature`."""
        return expit(margins) * expit(-margins)

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes; see :meth:`Loss.conjugate`."""
        return -entr(slopes) - entr(1.0 - slopes)

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near margins; see :meth:`Loss.prox`."""
        # The derivative is convex below 0 and concave above, so that Newton's method
        # never overshoots from 0, or from the end of the bracket next to it.
        found = np.clip(0.0, margins, margins + step)
        precision = 8.0 * np.finfo(np.float64).eps * (1.0 + np.abs(margins) + step)
        for _ in range(MAX_NEWTON):
            residual = found - margins + step * self.derivative(found)
            change = residual / (1.0 + step * self.curvature(found))
            found = found - change
            if np.all(np.abs(change) <= precision):
                break
        return found


@dataclass(frozen=True)
class Squared(Loss):
    """Half the squared loss, ``(1 - m)**2 / 2``, of ridge regression on -1 and +1.

    See Also
    --------
    skpoison.losses.SquaredHinge : Zero for margins above 1; not halved.

    Notes
    -----
    The conjugate is ``a**2 / 2 - a`` for slopes of either sign, because the loss
    increases again for margins above 1. As in scikit-learn's ``SGDClassifier``, the
    squared loss is halved and the squared hinge loss is not.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.losses import Squared
    >>> Squared().value(np.array([-1.0, 0.5, 3.0]))
    array([2.   , 0.125, 2.   ])
    """

    slope_range = (-np.inf, np.inf)

    def value(self, margins: np.ndarray) -> np.ndarray:
        """Return the losses of margins; see :meth:`Loss.value`."""
        return 0.5 * (1.0 - margins) ** 2

    def derivative(self, margins: np.ndarray) -> np.ndarray:
        """Return the first derivatives; see :meth:`Loss.derivative`."""
        return margins - 1.0

    def curvature(self, margins: np.ndarray) -> np.ndarray:
        """Return ones."""
        return np.ones_like(margins, dtype=np.float64)

    def conjugate(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of slopes; see :meth:`Loss.conjugate`."""
        return slopes * (0.5 * slopes - 1.0)

    def prox(self, margins: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        """Return the minimizers near margins; see :meth:`Loss.prox`."""
        return (margins + step) / (1.0 + step)


def decision_margins(decisions: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the margins of decision values, for any number of classes.

    Parameters
    ----------
    decisions : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Result of ``decision_function``.
    codes : ndarray of shape (n_samples,), dtype=int
        Index of each row's label among the classes.

    Returns
    -------
    margins : ndarray of shape (n_samples,)
        For two classes, the signed decision values. For more, the decision value of the
        row's class minus the largest of the others; the hinge loss of this margin is
        that of Crammer and Singer.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.losses import decision_margins
    >>> decision_margins(np.array([0.5, 2.0]), np.array([0, 1]))
    array([-0.5,  2. ])
    >>> decision_margins(np.array([[1.0, 4.0, 2.0]]), np.array([1]))
    array([2.])
    """
    if decisions.ndim == 1:
        return (2 * codes - 1) * decisions
    rows = np.arange(len(codes))
    others = decisions.copy()
    others[rows, codes] = -np.inf
    return decisions[rows, codes] - others.max(axis=1)
