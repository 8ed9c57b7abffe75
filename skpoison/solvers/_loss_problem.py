"""A penalized learner with any loss that faces an attacker: both bounds on its value.

See docs/mathematics.md, section "Other losses".
"""

from typing import NamedTuple

import numpy as np

from skpoison.losses import Loss
from skpoison.solvers._adversary import PoisonPoints
from skpoison.solvers._signed_design import Rows
from skpoison.solvers._worst_rows import WorstRows

# Losses below this share of the loss of theta = 0 count as zero for the tolerance.
LOSS_FLOOR = 1e-3
# Errors below this share of the targets count as none.
SMALL = 1e-6


class DualPoint(NamedTuple):
    """A point of the dual: slopes of the losses, and weighted poison.

    Parameters
    ----------
    slopes : ndarray of shape (n_rows,)
        By how much each row's loss falls with its margin.
    poison : PoisonPoints
        The attacker's rows.
    poison_slopes : ndarray of shape (n_pieces,)
        The slopes of their losses.
    """

    slopes: np.ndarray
    poison: PoisonPoints
    poison_slopes: np.ndarray


class Beyond(NamedTuple):
    """What rows that are not there add, which is linear in the parameters.

    Parameters
    ----------
    slope : ndarray of shape (n_features + 1,)
        Its gradient.
    constant : float
        Its value at parameters of zero.
    """

    slope: np.ndarray
    constant: float


class LossProblem(NamedTuple):
    """A learner with a loss and a quadratic penalty, its rows and an attacker.

    Parameters
    ----------
    rows : Rows
        Signed training rows.
    weights : ndarray of shape (n_rows,)
        Weight of each row's loss.
    poison : WorstRows
        The attacker, for the same loss.
    loss : Loss
        The loss.
    stiffness : ndarray of shape (n_features + 1,)
        Second derivative of the penalty by each parameter. That of the intercept may
        be 0, which leaves it free, or infinite, which holds it at 0.
    targets : ndarray of shape (n_rows,) or None
        In regression, the targets: the loss is that of score less target.
    beyond : Beyond or None
        A linear function of the parameters that counts with the penalty.
    """

    rows: Rows
    weights: np.ndarray
    poison: WorstRows
    loss: Loss
    stiffness: np.ndarray
    targets: np.ndarray | None = None
    beyond: Beyond | None = None

    def margins(self, theta: np.ndarray) -> np.ndarray:
        """Return what the losses are losses of: margins, or errors."""
        scores = self.rows.scores(theta)
        return scores if self.targets is None else scores - self.targets

    def take(self, index: np.ndarray, weights: np.ndarray) -> "LossProblem":
        """Return the problem of some of the rows, with other weights."""
        targets = None if self.targets is None else self.targets[index]
        rows = self.rows.take(index)
        return self._replace(rows=rows, weights=weights, targets=targets)

    def target(self, upper: float, tol: float) -> float:
        """Return the absolute duality gap that a relative tolerance asks for."""
        if self.targets is None:
            at_zero = np.zeros(1)
        else:
            at_zero = self._errors_of_constant(self.targets)
        mean = float(self.loss.value(at_zero).mean())
        return tol * max(upper, LOSS_FLOOR * mean * float(self.weights.sum()))

    def _errors_of_constant(self, targets):
        """Return the errors of about the best prediction that no feature enters."""
        is_held = np.isinf(self.stiffness[-1])
        errors = targets if is_held else targets - np.median(targets)
        return np.maximum(np.abs(errors), SMALL * np.abs(targets).max())

    @property
    def has_free_intercept(self) -> bool:
        """Whether nothing penalizes the intercept."""
        return bool(self.stiffness[-1] == 0.0)

    def penalty(self, theta: np.ndarray) -> float:
        """Return the penalty of parameters."""
        penalty = 0.5 * float((self._finite_stiffness * theta) @ theta)
        if self.beyond is None:
            return penalty
        return penalty + float(self.beyond.slope @ theta) + self.beyond.constant

    def penalty_gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return the penalty's gradient; an intercept that is held at 0 has none."""
        gradient = self._finite_stiffness * theta
        return gradient if self.beyond is None else gradient + self.beyond.slope

    @property
    def _finite_stiffness(self):
        return np.where(np.isfinite(self.stiffness), self.stiffness, 0.0)

    def conjugate(self, z: np.ndarray) -> float:
        """Return the penalty's conjugate, where an intercept that is free gets 0."""
        bends = (self.stiffness > 0.0) & np.isfinite(self.stiffness)
        return 0.5 * float(np.sum(z[bends] ** 2 / self.stiffness[bends]))

    def upper(self, theta: np.ndarray, margins: np.ndarray) -> float:
        """Return the bound at parameters, given every row's margin: it is valid."""
        clean = float(self.weights @ self.loss.value(margins))
        poison = self.poison.epsilon * self.poison.largest_loss(theta)
        return clean + poison + self.penalty(theta)

    def dual_sum(self, point: DualPoint) -> np.ndarray:
        """Return the weighted sum of signed rows and poison: the vector z."""
        z = self.rows.combine(self.weights * point.slopes)
        if self.poison:
            z += self.poison.dual_sum(point.poison, point.poison_slopes)
        return z

    def balanced(self, point: DualPoint) -> DualPoint | None:
        """Change a point until z has no intercept, where that is free; None: cannot."""
        if not self.has_free_intercept:
            return point
        excess = self._excess(point)
        if np.isinf(self.loss.slope_range[0]):  # slopes may have either sign
            shift = excess / float(self.weights.sum())
            return point._replace(slopes=point.slopes - shift * self.rows.signs)
        heavier = self.rows.signs * point.slopes * excess > 0.0
        there = float(self.weights[heavier] @ np.abs(point.slopes[heavier]))
        share = max(1.0 - abs(excess) / there, 0.0) if there > 0.0 else 0.0
        point = point._replace(slopes=np.where(heavier, share, 1.0) * point.slopes)
        excess = np.copysign(max(abs(excess) - there, 0.0), excess)
        if excess == 0.0:
            return point
        slopes = self.poison.lightened(point.poison, excess, point.poison_slopes)
        return None if slopes is None else point._replace(poison_slopes=slopes)

    def _excess(self, point):
        """Return the last entry of z alone: what is left of the signed slopes."""
        excess = float((self.weights * point.slopes) @ self.rows.signs)
        if self.poison:
            excess += self.poison.excess(point.poison, point.poison_slopes)
        return excess if self.beyond is None else excess - float(self.beyond.slope[-1])

    def lower(self, point: DualPoint) -> float:
        """Return the dual value: no parameters have a smaller bound.

        Every loss and penalty is at least 0, and so is what is returned.
        """
        even = self.balanced(point)
        if even is None:
            return 0.0
        value = -float(self.weights @ self.loss.conjugate(even.slopes))
        if self.targets is not None:
            value += float((self.weights * even.slopes) @ self.targets)
        value += self.poison.dual_mass(even.poison, even.poison_slopes)
        z = self.dual_sum(even)
        if self.beyond is not None:
            value, z = value + self.beyond.constant, z - self.beyond.slope
        return max(value - self.conjugate(z), 0.0)
