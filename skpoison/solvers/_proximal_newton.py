"""A proximal Newton method for the bound.

Every maximum in the bound (over the dual of each row's hinge, over the weights of the
classes, over the poison point of each class) gets a proximal term around its previous
maximizer. The resulting envelope is convex with a piecewise linear gradient, and
Newton's method minimizes it in a few steps. Moving the prox centers to the new
maximizers then leads to the minimum of the bound itself, at proximal weights that need
not go to zero (the proximal point method on the dual: the method of multipliers).
See docs/mathematics.md, section "The proximal Newton method".
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skpoison.losses import Hinge
from skpoison.solvers._adversary import Adversary, PoisonPoints, SmoothedPoison
from skpoison.solvers._newton_system import Hessian, step_in_ball
from skpoison.solvers._regularizers import Regularizer
from skpoison.solvers._signed_design import Rows

MAX_TRIALS = 80
# A line search ends where the slope has fallen to this share of its first value.
FLATTENING = 0.3
DECREASE = 1e-4
# After so many steps shorter than this, the rows are smoothed more.
SHORT, MAX_SHORT = 0.1, 3
# What proximal weights are multiplied by where Newton's method fails.
WIDENING = 3.0
WIDEST = 5.0
# To what share of the rest of the gap the learner's part is brought.
LOOSENESS = 0.2
# Keeps Newton systems regular where the points' curvature cancels along a normal.
REGULARIZATION = 1e-9
# More regularization than this share of what rows can curve would hold the intercept.
HELD = 1e-3


class Subproblem(NamedTuple):
    """The bound restricted to the rows of a working set, the others being linear.

    Parameters
    ----------
    rows : Rows
        Rows near or beyond the margin.
    weights : ndarray of shape (n_rows,)
        Weight of each row in the mean loss.
    linear : ndarray of shape (dim,)
        Sum of the signed rows, weighted, whose loss counts as linear.
    constant : float
        Their weight in all.
    poison : Adversary
        The attacker.
    learner : NormBall or Penalty
        The learner.
    """

    rows: Rows
    weights: np.ndarray
    linear: np.ndarray
    constant: float
    poison: Adversary
    learner: Regularizer


@dataclass
class Iterate:
    """Parameters, dual variables of rows and attacker, and proximal weights.

    Parameters
    ----------
    theta : ndarray of shape (dim,)
        Coefficients and intercept.
    duals : ndarray of shape (n_rows,)
        Dual variable of each row as a share of its weight, between 0 and 1.
    poison : PoisonPoints
        The attacker's dual variables: weights and points.
    row_prox, share_prox, point_prox : float
        Proximal weights: in units of loss for rows and class shares, and for the
        points in units of loss per squared distance times the squared radius.
    shift : float
        Multiplier of the norm in the last Newton step.
    margins : ndarray of shape (n_rows,) or None
        ``1 - score`` of every row at `theta`, where it is known.
    row_sum : ndarray of shape (dim,) or None
        Sum of the signed rows, weighted by their duals, where it is known.
    is_interpolated : bool
        Whether the margins lie between those of two parameters, not computed anew, and
        so hold the rounding errors of several products.
    """

    theta: np.ndarray
    duals: np.ndarray
    poison: PoisonPoints
    row_prox: float = 0.1
    share_prox: float = 0.5
    point_prox: float = 0.3
    shift: float = 0.0
    margins: np.ndarray | None = None
    row_sum: np.ndarray | None = None
    is_interpolated: bool = False


class Gaps(NamedTuple):
    """The duality gap of parameters and a dual point, in three parts.

    Parameters
    ----------
    rows : float
        Loss of the rows beyond what their duals account for.
    poison : float
        The attacker's largest loss beyond the loss of the dual's points.
    learner : float
        The regularizer's Fenchel gap: zero at the learner's best response.
    upper : float
        The bound at the parameters.
    """

    rows: float
    poison: float
    learner: float
    upper: float

    @property
    def total(self) -> float:
        """The duality gap."""
        return self.rows + self.poison + self.learner


class Evaluated(NamedTuple):
    """The envelope at one point.

    Parameters
    ----------
    value : float
        Its value.
    margins : ndarray of shape (n_rows,)
        ``1 - score`` of every row.
    duals : ndarray of shape (n_rows,)
        The rows' proximal maximizers.
    poison : SmoothedPoison
        The attacker's proximal maximizer.
    """

    value: float
    margins: np.ndarray
    duals: np.ndarray
    poison: SmoothedPoison


def evaluate(
    subproblem: Subproblem,
    center: Iterate,
    proximal_weight: float,
    theta: np.ndarray,
    margins: np.ndarray,
) -> Evaluated:
    """Evaluate the envelope around a prox center, given ``1 - score`` of the rows."""
    duals = Hinge().project(center.duals + margins / center.row_prox)
    moved = duals - center.duals
    loss = duals * margins - (0.5 * center.row_prox) * moved * moved
    nu = center.point_prox / subproblem.poison.squared_radius
    poison = subproblem.poison.smooth(theta, center.poison, center.share_prox, nu)
    step = theta - center.theta
    value = (
        float(subproblem.weights @ loss)
        + subproblem.constant
        - float(subproblem.linear @ theta)
        + subproblem.poison.epsilon * poison.value
        + subproblem.learner.value(theta)
        + 0.5 * proximal_weight * float(step @ step)
    )
    return Evaluated(value, margins, duals, poison)


class DualSum:
    """The weighted sum of signed rows and poison: the dual's vector z.

    From one point to the next, only rows whose duals have changed are read.
    """

    def __init__(self, subproblem: Subproblem, iterate: Iterate):
        self.subproblem = subproblem
        self.duals, self.of_rows = iterate.duals, iterate.row_sum
        if self.of_rows is None:
            self.duals = np.zeros(len(subproblem.rows))
            self.of_rows = np.zeros(subproblem.rows.dim)

    def at(self, duals: np.ndarray, poison: PoisonPoints) -> np.ndarray:
        """Return z at duals of the rows and the poison's."""
        problem = self.subproblem
        changes = problem.weights * (duals - self.duals)
        self.of_rows = self.of_rows + problem.rows.combine(changes)
        self.duals = duals
        return self.of_rows + problem.linear + problem.poison.dual_sum(poison)


def gaps_at(
    subproblem: Subproblem,
    theta: np.ndarray,
    margins: np.ndarray,
    duals: np.ndarray,
    poison: PoisonPoints,
    z: np.ndarray,
    proximal_gradient: np.ndarray | float = 0.0,
) -> Gaps:
    """Return the parts of the duality gap between parameters and a dual point.

    The gradient of a proximal term on the parameters counts as part of the dual sum z.
    """
    largest = subproblem.poison.largest_loss(theta)
    reached = float(poison.beta @ subproblem.poison.losses_at(theta, poison.points))
    hinge = Hinge().of_shortfalls(margins)
    epsilon, learner = subproblem.poison.epsilon, subproblem.learner
    free = z - proximal_gradient
    upper = (
        float(subproblem.weights @ hinge)
        + subproblem.constant
        - float(subproblem.linear @ theta)
        + epsilon * largest
        + learner.value(theta)
    )
    return Gaps(
        rows=float(subproblem.weights @ (hinge - duals * margins)),
        poison=epsilon * (largest - reached),
        learner=learner.value(theta) + learner.conjugate(free) - float(free @ theta),
        upper=upper,
    )


def newton_step(
    subproblem: Subproblem,
    center: Iterate,
    proximal_weight: float,
    at: Evaluated,
    theta: np.ndarray,
    gradient: np.ndarray,
    shift: float,
    norm_tol: float,
) -> tuple[np.ndarray, float]:
    """Return the step to the quadratic model's minimum within the learner's ball."""
    nu = center.point_prox / subproblem.poison.squared_radius
    diagonal, vectors, weights = subproblem.poison.curvature(
        at.poison, center.share_prox, nu
    )
    # Keeps the system regular where the curvature cancels along a vector; where
    # features are large, not so much that it holds the intercept, which rows curve.
    regularization = np.full(len(diagonal), REGULARIZATION * diagonal.max())
    regularization[-1] = min(regularization[-1], HELD / center.row_prox)
    used = weights != 0.0
    between = (at.duals > 0.0) & (at.duals < 1.0)
    active = np.flatnonzero(between & (subproblem.weights > 0.0))
    hessian = Hessian(
        diagonal + (subproblem.learner.curvature + proximal_weight + regularization),
        subproblem.rows.take(active),
        subproblem.weights[active] / center.row_prox,
        vectors[used],
        weights[used],
    )
    radius = subproblem.learner.radius
    return step_in_ball(hessian, theta, gradient, radius, shift, norm_tol)


def line_search(
    subproblem: Subproblem,
    center: Iterate,
    proximal_weight: float,
    theta: np.ndarray,
    at: Evaluated,
    step: np.ndarray,
    slope: float,
) -> tuple[float, np.ndarray, Evaluated | None]:
    """Find where the envelope is nearly flat along a step; None where none is lower."""
    scores = subproblem.rows.scores(step)
    inside, outside, length = 0.0, 1.0, 1.0
    slope_inside, slope_outside = slope, np.inf
    best: tuple[float, np.ndarray, Evaluated | None] = 0.0, theta, None
    for trial in range(MAX_TRIALS):
        there_theta = theta + length * step
        there = evaluate(
            subproblem,
            center,
            proximal_weight,
            there_theta,
            at.margins - length * scores,
        )
        slope_here = _slope(
            subproblem, center, proximal_weight, there_theta, there, step, scores
        )
        flat = abs(slope_here) <= FLATTENING * abs(slope)
        lower = there.value <= at.value + DECREASE * length * slope
        if (flat and lower) or (length == 1.0 and slope_here <= 0.0):
            return length, there_theta, there
        if slope_here > 0.0:
            outside, slope_outside = length, slope_here
        else:
            inside, slope_inside = length, slope_here
            best = length, there_theta, there
        # The slope is piecewise linear: secants, with bisections against creeping.
        share = slope_inside / (slope_inside - slope_outside)
        share = min(max(share, 0.01), 0.99) if trial % 3 else 0.5 if trial else share
        length = inside + share * (outside - inside)
    return best


def _slope(
    subproblem: Subproblem,
    center: Iterate,
    proximal_weight: float,
    theta: np.ndarray,
    at: Evaluated,
    step: np.ndarray,
    scores: np.ndarray,
) -> float:
    """Return the envelope's derivative along a step."""
    beta, points = at.poison.response
    slope = -float((subproblem.weights * at.duals) @ scores) - float(
        subproblem.linear @ step
    )
    poison = subproblem.poison
    losses = poison.losses_at(step, points) - poison.constants
    slope += poison.epsilon * float(beta @ losses)
    slope += subproblem.learner.curvature * float(theta @ step)
    return slope + proximal_weight * float((theta - center.theta) @ step)


def minimize_smooth(
    subproblem: Subproblem,
    iterate: Iterate,
    target: float,
    max_steps: int,
    proximal_weight: float | None = None,
    looseness: float = LOOSENESS,
    margins: np.ndarray | None = None,
) -> tuple[Iterate, Gaps, int]:
    """Minimize the envelope around an iterate; return the number of steps as well.

    Given the margins of the subproblem's rows at the iterate, the result has them too,
    updated from step to step; else it has none. The default proximal weight of the
    parameters is too small to matter at the target. The learner's part of the gap ends
    at the share `looseness` of the others.
    """
    theta, shift = iterate.theta, iterate.shift
    if proximal_weight is None:
        proximal_weight = negligible_weight(subproblem.learner, target)
    known = margins is not None
    if margins is None:
        margins = 1.0 - subproblem.rows.scores(theta)
    at = evaluate(subproblem, iterate, proximal_weight, theta, margins)
    dual_sum, n_steps, n_short = DualSum(subproblem, iterate), 0, 0
    while True:
        poison = at.poison.response
        z = dual_sum.at(at.duals, poison)
        proximal_gradient = proximal_weight * (theta - iterate.theta)
        gaps = gaps_at(
            subproblem, theta, at.margins, at.duals, poison, z, proximal_gradient
        )
        others = looseness * (gaps.rows + gaps.poison)
        if gaps.learner <= max(others, looseness * 0.5 * target):
            break
        if n_steps >= max_steps:
            break
        gradient = subproblem.learner.curvature * theta - z + proximal_gradient
        norm_tol = min(
            1e-3, 0.02 * target / max(subproblem.learner.conjugate(z), target)
        )
        step, shift = newton_step(
            subproblem, iterate, proximal_weight, at, theta, gradient, shift, norm_tol
        )
        n_steps += 1
        slope = float(gradient @ step)
        if slope >= 0.0:
            break
        length, theta, there = line_search(
            subproblem, iterate, proximal_weight, theta, at, step, slope
        )
        if there is None:
            break
        at = there
        n_short = n_short + 1 if length < SHORT else 0
        if n_short == MAX_SHORT and iterate.row_prox < WIDEST:
            n_short = 0
            # The kinks lie so close that the curvature at one point says nothing.
            iterate = replace(iterate, row_prox=min(4.0 * iterate.row_prox, WIDEST))
            at = evaluate(subproblem, iterate, proximal_weight, theta, at.margins)
    iterate = replace(iterate, theta=theta, duals=at.duals, poison=poison, shift=shift)
    margins = at.margins if known else None
    return replace(iterate, margins=margins, row_sum=dual_sum.of_rows), gaps, n_steps


def negligible_weight(learner: Regularizer, target: float) -> float:
    """Return a proximal weight that is lost in the target, and makes minima unique."""
    if learner.curvature > 0.0:
        return 0.0
    return 1e-3 * target / learner.radius**2


def adapt_prox(iterate: Iterate, gaps: Gaps, previous: Gaps, target: float) -> Iterate:
    """Change the proximal weights by how fast each part of the gap shrinks."""
    if gaps.learner > max(gaps.rows + gaps.poison, 0.5 * target):
        # Newton's method did not get to the minimum: smooth more.
        rows = poison = WIDENING
    else:
        rows = _narrowing(gaps.rows, previous.rows, target)
        poison = _narrowing(gaps.poison, previous.poison, target)
    return replace(
        iterate,
        row_prox=min(rows * iterate.row_prox, WIDEST),
        share_prox=min(poison * iterate.share_prox, WIDEST),
        point_prox=min(poison * iterate.point_prox, WIDEST),
    )


def _narrowing(now: float, before: float, target: float) -> float:
    """Return the factor for a proximal weight, given its part of the gap."""
    if now <= 0.1 * target or now <= 0.2 * before:
        return 1.0
    return 0.5 if now <= 0.5 * before else 0.2
