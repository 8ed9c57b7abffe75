"""The bound for learners with any loss and a quadratic penalty, by Newton's method.

The attacker's worst row gets proximal terms, as in ``_proximal_newton``; so does the
hinge. Smooth losses stay as they are. See docs/mathematics.md, section "Other losses".
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from skpoison.solvers._adversary import PoisonPoints, SmoothedPoison
from skpoison.solvers._line_search import flat_point
from skpoison.solvers._loss_problem import DualPoint, LossProblem
from skpoison.solvers._newton_system import Hessian
from skpoison.solvers._proximal_newton import Gaps, Iterate, adapt_prox
from skpoison.solvers._working_set import Solution

FEW_ROWS, FIRST_TOL = 1500, 0.05
MAX_ROUNDS = 60
MAX_TRIALS = 40
REGULARIZATION = 1e-10
LEAST_SLOPE = 1e-6
# An intercept that no row curves moves by at most the slope divided by this.
LEAST_CURVATURE = 1e-3
# Newton systems of many more rows than these, or than parameters, take conjugate
# gradients; as many rows are drawn for the preconditioner.
SPARSE_ROWS, DENSE_ROWS = 100, 2000
# Of dense rows with few features all are taken, as long as the copy is not large.
FEW_FEATURES, MOST_CELLS = 150, 10**7
# Rows without curvature are left out where no more than this share of rows have any.
MOST_BENT = 0.7
CG_TOL, MAX_CG = 0.05, 50
# Of the gap that may be left, what the linear system may leave.
SHARE_OF_STEP = 0.3
# Stands for an infinite stiffness in Newton systems.
RIGID = 1e12

Monitor = Callable[[dict[str, Any]], None]


@dataclass
class LossIterate(Iterate):
    """An iterate whose duals are slopes of its losses.

    Parameters
    ----------
    poison_slopes : ndarray of shape (n_pieces,)
        The slopes of the losses of the attacker's rows.
    at : ndarray of shape (n_rows,)
        Margin of every row, or error.
    """

    poison_slopes: np.ndarray = field(default_factory=lambda: np.zeros(0))
    at: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def share_weight(self) -> float:
        """The proximal weight of the shares of the attacker's rows, in units of loss.

        `share_prox` is in units of shortfall, of which a loss takes its slope.
        """
        used = self.poison.beta > 0.0
        steepest = self.poison_slopes[used].max(initial=0.0)
        steepest = steepest or self.poison_slopes.max(initial=0.0)
        return self.share_prox * max(float(steepest), LEAST_SLOPE)

    @property
    def dual_point(self) -> DualPoint:
        """The point of the dual."""
        return DualPoint(self.duals, self.poison, self.poison_slopes)


class Envelope(NamedTuple):
    """The smoothed bound at one point, with what its derivatives are made of."""

    value: float
    theta: np.ndarray
    margins: np.ndarray
    slopes: np.ndarray  # of the rows' losses
    curvatures: np.ndarray  # of the rows' losses
    poison: SmoothedPoison | None
    poison_slopes: np.ndarray

    @property
    def point(self) -> DualPoint:
        """The point of the dual that its gradient belongs to."""
        poison = PoisonPoints(np.zeros(0), np.zeros((0, len(self.theta) - 1)))
        if self.poison is not None:
            poison = self.poison.response
        return DualPoint(self.slopes, poison, self.poison_slopes)


def solve(
    problem: LossProblem,
    *,
    tol: float,
    max_iter: int,
    rng: np.random.RandomState,
    start: LossIterate | None = None,
    monitor: Monitor | None = None,
) -> Solution:
    """Minimize the bound over the learner's parameters to a relative duality gap."""
    iterate, n_iter = (start, 0) if start else _first(problem, tol, max_iter, rng)
    # What is found is never worse than the start, which an attack's loss relies on.
    found = _record(problem, Solution(), iterate, n_iter, tol, monitor)
    previous = Gaps(np.inf, np.inf, np.inf, 1.0)
    target = problem.target(found.upper, tol)
    for _ in range(MAX_ROUNDS if not found.converged else 0):
        iterate, gaps, steps = _minimize(problem, iterate, target, max_iter - n_iter)
        n_iter += steps
        found = _record(problem, found, iterate, n_iter, tol, monitor)
        target = problem.target(found.upper, tol)
        if found.converged or n_iter >= max_iter:
            break
        iterate = adapt_prox(iterate, gaps, previous, 0.5 * target)
        previous = gaps
    return found


def start_at(problem: LossProblem, theta: np.ndarray) -> LossIterate:
    """Return where to start: parameters, with the slopes of their losses."""
    margins = problem.margins(theta)
    slopes = problem.loss.project(-problem.loss.derivative(margins))
    poison = problem.poison.start(len(theta) - 1)
    at_zero = problem.poison.outer(problem.poison.shortfalls(theta, poison.points))
    return LossIterate(theta, slopes, poison, poison_slopes=at_zero.slope, at=margins)


def _first(problem, tol, max_iter, rng):
    """Solve for a few random rows, loosely, from parameters of zero."""
    n_rows, dim = len(problem.rows), problem.rows.dim
    iterate = start_at(problem, np.zeros(dim))
    # Of texts with more words than rows, some say little about the others.
    if n_rows <= max(2 * FEW_ROWS, dim if problem.rows.is_sparse else 0):
        return iterate, 0
    chosen = np.sort(rng.choice(n_rows, FEW_ROWS, replace=False))
    weights = problem.weights[chosen]
    few = problem.take(chosen, weights * (problem.weights.sum() / weights.sum()))
    first = start_at(few, iterate.theta)
    options = {"tol": max(FIRST_TOL, tol), "max_iter": max_iter, "rng": rng}
    found = solve(few, start=first, **options)
    assert isinstance(found.iterate, LossIterate)
    iterate = found.iterate
    margins = problem.margins(iterate.theta)
    slopes = problem.loss.project(-problem.loss.derivative(margins))
    return replace(iterate, duals=slopes, at=margins), found.n_iter


def _record(problem, found, iterate, n_iter, tol, monitor):
    """Evaluate both bounds at an iterate, and keep the better of each."""
    margins = problem.margins(iterate.theta)
    iterate = replace(iterate, at=margins, margins=1.0 - margins)
    upper = problem.upper(iterate.theta, margins)
    lower = problem.lower(iterate.dual_point)
    entry = {
        "n_iter": n_iter,
        "upper_bound": float(upper),
        "lower_bound": lower,
        "n_rows": len(problem.rows),
    }
    if monitor is not None:
        monitor(entry)
    return found.improved(
        problem,
        tol,
        primal=(iterate, upper),
        dual=(iterate, lower, None),
        iterate=iterate,
        n_iter=n_iter,
        history=[*found.history, entry],
    )


def _minimize(problem, center, target, max_steps):
    """Minimize the envelope around an iterate by Newton's method."""
    at = _evaluate(problem, center, center.theta, center.at)
    is_alone = not problem.poison and not problem.loss.is_piecewise_linear
    # Where nothing is smoothed, there is no other part of the gap.
    share = 0.5 if is_alone else 0.1
    n_steps = 0
    while True:
        gradient = _gradient(problem, at)
        gaps = _gaps(problem, at, gradient)
        enough = max(0.2 * (gaps.rows + gaps.poison), share * target)
        if gaps.learner <= enough or n_steps >= max_steps:
            break
        step = _newton_step(problem, center, at, gradient, enough)
        n_steps += 1
        slope = float(gradient @ step)
        there = None if slope >= 0.0 else _search(problem, center, at, step, slope)
        if there is None:
            break
        at = there
    slopes, poison, poison_slopes = at.point
    iterate = replace(
        center,
        theta=at.theta,
        at=at.margins,
        duals=slopes,
        poison=poison if problem.poison else center.poison,
        poison_slopes=poison_slopes,
    )
    return iterate, gaps, n_steps


def _evaluate(problem, center, theta, margins):
    """Evaluate the envelope around a prox center, given the margin of every row."""
    values, slopes, curvatures = _rows_at(problem, center, margins)
    value = float(problem.weights @ values) + problem.penalty(theta)
    if not problem.poison:
        none = np.zeros(0)
        return Envelope(value, theta, margins, slopes, curvatures, None, none)
    nu = center.point_prox / problem.poison.squared_radius
    poison = problem.poison.smooth(theta, center.poison, center.share_weight, nu)
    steep = problem.poison.outer(poison.losses).slope
    value += problem.poison.epsilon * poison.value
    return Envelope(value, theta, margins, slopes, curvatures, poison, steep)


def _rows_at(problem, center, margins):
    """Return losses, slopes and curvatures of the rows; kinks are smoothed."""
    loss = problem.loss
    if not loss.is_piecewise_linear:
        slopes = loss.project(-loss.derivative(margins))
        return loss.value(margins), slopes, loss.curvature(margins)
    slopes = loss.slopes_near(margins, center.duals, center.row_prox)
    moved = slopes - center.duals
    values = -slopes * margins - loss.conjugate(slopes)
    values -= 0.5 * center.row_prox * moved * moved
    sizes = np.abs(slopes)
    return values, slopes, ((sizes > 0.0) & (sizes < 1.0)) / center.row_prox


def _gradient(problem, at):
    gradient = problem.penalty_gradient(at.theta) - problem.dual_sum(at.point)
    if np.isinf(problem.stiffness[-1]):
        gradient[-1] = 0.0
    return gradient


def _gaps(problem, at, gradient):
    """Return the parts of the duality gap, up to what balancing slopes costs."""
    losses = problem.loss.value(at.margins)
    rows = poison = 0.0
    if problem.loss.is_piecewise_linear:  # others have the slopes of their losses
        reached = -at.slopes * at.margins - problem.loss.conjugate(at.slopes)
        rows = max(float(problem.weights @ (losses - reached)), 0.0)
    term = problem.poison
    if term:
        worst = term.largest_loss(at.theta)
        response, slopes = at.poison.response, at.poison_slopes
        lost = slopes * term.shortfalls(at.theta, response.points)
        accounted = float(response.beta @ (lost - term.outer_conjugates(slopes)))
        poison = term.epsilon * max(worst - accounted, 0.0)
    learner = _learner_gap(problem, gradient, at.theta)
    upper = float(problem.weights @ losses) + problem.penalty(at.theta)
    return Gaps(rows, poison, learner, upper)


def _learner_gap(problem, gradient, theta):
    """Return the part of the gap that a gradient at parameters leaves."""
    gap = problem.conjugate(gradient)
    if problem.has_free_intercept:
        gap += abs(float(gradient[-1])) * (1.0 + abs(float(theta[-1])))
    return gap


def _newton_step(problem, center, at, gradient, enough):
    """Return Newton's step, as precisely as a gap of the learner asks for."""
    row_weights = problem.weights * at.curvatures
    diagonal, vectors, weights = _curvature_besides_rows(problem, center, at)
    some, their_weights = drawn(row_weights, _most_rows(problem.rows))
    rows = problem.rows.take(some)
    hessian = Hessian(diagonal, rows, their_weights, vectors, weights)
    solve = hessian.shifted(0.0)
    if np.count_nonzero(row_weights) > len(some):
        active, on_active = _bent(problem.rows, row_weights)

        def product(x):
            on_rows = active.combine(on_active * active.scores(x))
            return diagonal * x + on_rows + (weights * (vectors @ x)) @ vectors

        def is_small(residual):
            return _learner_gap(problem, residual, at.theta) <= SHARE_OF_STEP * enough

        step = -_conjugate_gradients(product, solve, gradient, is_small)
    else:
        step = -solve(gradient)
    if np.isinf(problem.stiffness[-1]):
        step[-1] = 0.0
    return step


def _bent(rows, weights):
    """Return the rows with weights other than 0, if this saves more than it costs.

    A copy of dense rows could take as much memory as these.
    """
    bent = np.flatnonzero(weights)
    if not rows.is_sparse or len(bent) > MOST_BENT * len(weights):
        return rows, weights
    return rows.take(bent), weights[bent]


def _most_rows(rows):
    """Return how many rows enter a Newton system, if not all of them."""
    if rows.is_sparse:
        return min(SPARSE_ROWS, rows.dim)
    # With few features the whole system costs less than products with all rows.
    is_small = rows.dim <= FEW_FEATURES and len(rows) * rows.dim <= MOST_CELLS
    return len(rows) if is_small else min(DENSE_ROWS, rows.dim)


def drawn(weights: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows in proportion to their weights; return them and weights that stand in.

    In expectation the rows drawn weigh what all do. Where not many more than `size`
    weigh anything, they are all there, as they are.
    """
    if np.count_nonzero(weights) <= 1.5 * size:
        chosen = np.flatnonzero(weights)
        return chosen, weights[chosen]
    share = np.minimum(weights * (size / weights.sum()), 1.0)
    # Systematic sampling: one row for each whole number that the sum of shares passes.
    ends = np.floor(np.cumsum(share) + 0.5)
    chosen = np.flatnonzero(np.diff(ends, prepend=0.0) > 0.0)
    return chosen, weights[chosen] / share[chosen]


def _conjugate_gradients(product, precondition, right, is_small):
    """Solve a system whose matrix is nearly the one that the preconditioner inverts.

    It ends where the residual has fallen far enough, or `is_small`.
    """
    x, residual = np.zeros_like(right), right.copy()
    scaled = precondition(residual)
    direction, size = scaled, float(residual @ scaled)
    enough = CG_TOL**2 * size
    for _ in range(MAX_CG):
        image = product(direction)
        length = size / float(direction @ image)
        x, residual = x + length * direction, residual - length * image
        scaled = precondition(residual)
        size, before = float(residual @ scaled), size
        if size <= enough or is_small(residual):
            break
        direction = scaled + (size / before) * direction
    return x


def _curvature_besides_rows(problem, center, at):
    """Return the second derivative of penalty and poison: a diagonal and vectors."""
    diagonal = np.where(np.isfinite(problem.stiffness), problem.stiffness, 0.0)
    vectors, weights = np.zeros((0, len(diagonal))), np.zeros(0)
    if problem.poison:
        nu = center.point_prox / problem.poison.squared_radius
        bend = problem.poison.curvature(at.poison, center.share_weight, nu)
        diagonal = diagonal + bend.diagonal
        vectors, weights = bend.vectors[bend.weights != 0.0], bend.weights
        weights = weights[weights != 0.0]
    diagonal = diagonal + REGULARIZATION * diagonal.max()
    if np.isinf(problem.stiffness[-1]):
        diagonal[-1] = RIGID * diagonal.max()
    elif problem.has_free_intercept:
        mass = float(problem.weights @ at.curvatures)
        diagonal[-1] += LEAST_CURVATURE * (mass < LEAST_CURVATURE)
    return diagonal, vectors, weights


def _search(problem, center, at, step, slope):
    """Find where the envelope is nearly flat along a step; None where none is lower."""
    scores = problem.rows.scores(step)

    def along(length):
        theta, margins = at.theta + length * step, at.margins + length * scores
        there = _evaluate(problem, center, theta, margins)
        return there, _slope(problem, there, step, scores)

    return flat_point(at, slope, along, MAX_TRIALS)


def _slope(problem, there, step, scores):
    """Return the envelope's derivative along a step."""
    slope = -float((problem.weights * there.slopes) @ scores)
    slope += float(problem.penalty_gradient(there.theta) @ step)
    if problem.poison:
        slope -= float(
            problem.poison.dual_sum(there.poison.response, there.poison_slopes) @ step
        )
    return slope
