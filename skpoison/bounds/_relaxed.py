"""The bound where the attacker's rows are replaced by the hull that duality sees.

The Lagrangian bound on the largest loss of a restricted row is the exact largest loss
over a convex set, onto which points can be projected. So Newton's method on proximal
subproblems solves for the parameters as it does for real rows; only that the hull has
as many faces as there are features, for which the points move in larger steps.
"""

from dataclasses import replace

import numpy as np

from ._diagonal import DiagonalHessian
from ._hessian import step_in_ball
from ._poison import PoisonTerm, shares_jacobian
from ._smooth import (
    RELATIVE_DAMPING,
    Piece,
    State,
    evaluate,
    gaps_at,
    line_search,
    pull,
)
from ._solver import Solution, dual_value, upper_value

MAX_STEPS = 15
# Each round wants this share of the gap that is left.
SHARE_OF_GAP = 0.3
# How proximal weights of points follow rounds that end well, and others.
FALL, RISE = 0.75, 1.3
ROW_WIDTH, SHARE_WIDTH, POINT_WIDTH = 0.2, 0.5, 2.0
# Where there are more than twice as many rows, so many are looked at first, loosely.
FIRST_ROWS, FIRST_TOL, FIRST_STEPS = 3000, 0.15, 150
# While the gap is wide, the largest loss is known to this relative precision.
COARSE = 1e-5


class HullPoison(PoisonTerm):
    """Poison from one convex hull per class.

    Parameters
    ----------
    epsilon : float
        Total weight of the poison, relative to the clean rows.
    signs : sequence of float
        Sign of each hull's label.
    sets : sequence of Hull
        The hulls, in the order of `signs`.
    """

    def __init__(self, epsilon, signs, sets):
        super().__init__(epsilon, signs, sets)
        # Multipliers of the last answers: the next ones are found faster from there.
        self._supports = [None] * len(self.sets)
        self._projections = [None] * len(self.sets)
        self.precision = COARSE

    def largest_loss(self, theta):
        losses = [0.0]
        for i, (sign, hull) in enumerate(zip(self.signs, self.sets, strict=True)):
            value, self._supports[i] = hull.support(
                -sign * theta[:-1], self._supports[i], self.precision
            )
            losses.append(1.0 - sign * theta[-1] + value)
        return max(losses)

    def _projection(self, i, x):
        found = self.sets[i].projection(x, self._projections[i])
        self._projections[i] = found.multipliers
        return found

    def curvature(self, smoothed, width, nu):
        """Return the term's second derivative (times epsilon).

        Returns
        -------
        diagonal : ndarray of shape (n_features + 1,)
            The part that differs from feature to feature.
        vectors : ndarray of shape (n_vectors, n_features + 1)
            Directions of the rest.
        weights : ndarray of shape (n_vectors,)
            Their weights, not zero: ``vectors.T * weights @ vectors``.
        """
        beta, points = smoothed.response
        vectors = shares_jacobian(beta) @ self.gradients(points)
        vectors = list(vectors[beta > 0])
        weights = [self.epsilon / width] * len(vectors)
        diagonal = np.zeros(points.shape[1] + 1)
        for share, found in zip(beta, smoothed.projections, strict=True):
            stiffness = self.epsilon * share / nu
            if stiffness > 0:
                diagonal[:-1] += stiffness * found.diagonal
                vectors += [np.append(vector, 0.0) for vector in found.vectors]
                weights += [-stiffness] * len(found.vectors)
        return diagonal, np.array(vectors).reshape(-1, len(diagonal)), np.array(weights)


def solve_relaxed(problem, *, tol, max_iter, rng, start=None, monitor=None):
    """Minimise the bound over the learner's parameters, for hulls of rows.

    Parameters
    ----------
    problem : Problem
        Rows, attacker and learner; the attacker's term is a :class:`HullPoison`.
    tol : float
        Relative duality gap that is wanted.
    max_iter : int
        Most Newton steps.
    rng : numpy.random.RandomState
        Draws the rows that are looked at first.
    start : State, default=None
        Where to start.
    monitor : callable, default=None
        Called with each entry of the history.

    Returns
    -------
    solution : Solution
        The best parameters and the best dual point, whose poison lies in the hulls.
    """
    state = start
    if state is None:
        state = _few_rows(problem, max_iter, rng) or _first_state(problem)
    zero = np.zeros(problem.rows.dim)
    piece = Piece(
        problem.rows, problem.weights, zero, 0.0, problem.poison, problem.learner
    )
    best, n_iter = _check(problem, state, None, 0, tol, monitor), 0
    while not best.converged and n_iter < max_iter:
        steps = min(MAX_STEPS, max_iter - n_iter)
        goal = max(problem.target(best.upper, tol), SHARE_OF_GAP * best.gap)
        state, gaps, n_steps = _minimize(piece, state, goal, steps)
        n_iter += n_steps
        best = _check(problem, state, best, n_iter, tol, monitor)
        hard = n_steps >= steps or gaps.learner > gaps.rows + gaps.poison
        factor = RISE if hard else FALL
        state = replace(
            state,
            point_width=state.point_width * factor,
            share_width=min(max(state.share_width * factor, 0.05), 5.0),
        )
    return best


def _few_rows(problem, max_iter, rng):
    """Solve for some of many rows, loosely; None where there are not many."""
    n_rows, learner = len(problem.rows), problem.learner
    if n_rows <= 2 * FIRST_ROWS:
        return None
    chosen = np.sort(rng.choice(n_rows, FIRST_ROWS, replace=False))
    weights = problem.weights[chosen]
    weights = weights * (problem.weights.sum() / weights.sum())
    few = problem._replace(rows=problem.rows.take(chosen), weights=weights)
    steps = min(FIRST_STEPS, max_iter)
    state = solve_relaxed(few, tol=FIRST_TOL, max_iter=steps, rng=rng).state
    margins = 1.0 - problem.rows.scores(learner.admit(state.theta))
    duals = np.clip(margins / state.row_width, 0.0, 1.0)
    return replace(state, duals=duals, margins=margins, row_pull=None)


def _first_state(problem):
    """Start from the classes' means, which the duals of all rows and no poison give."""
    rows, learner = problem.rows, problem.learner
    mean = rows.combine(problem.weights)
    theta = mean / max(float(np.linalg.norm(mean)), np.finfo(float).tiny)
    # As long as halves the loss at best: the mean score is one half.
    theta = learner.admit(theta * 0.5 / max(float(theta @ mean), 0.1))
    margins = 1.0 - rows.scores(theta)
    reach = np.sqrt(problem.poison.squared_radius)
    size = min(learner.radius, 10.0 * float(np.linalg.norm(theta)))
    return State(
        theta,
        np.clip(margins, 0.0, 1.0),
        problem.poison.start(rows.dim - 1),
        row_width=ROW_WIDTH,
        share_width=SHARE_WIDTH,
        # A point follows the parameters by about its distance from the centre.
        point_width=POINT_WIDTH * size * reach,
        margins=margins,
    )


def _minimize(piece, state, target, max_steps):
    """Minimise the smooth function around a state, roughly."""
    theta, shift = state.theta, state.shift
    damping = _damping(piece.learner, target)
    margins = 1.0 - piece.rows.scores(theta)
    at = evaluate(piece, state, damping, theta, margins)
    n_steps = 0
    while True:
        poison = at.poison.response
        z = pull(piece, at.duals, poison)
        drag = damping * (theta - state.theta)
        gaps = gaps_at(piece, theta, at.margins, at.duals, poison, z, drag)
        is_near = gaps.learner <= max(0.2 * (gaps.rows + gaps.poison), 0.1 * target)
        if is_near or n_steps >= max_steps:
            break
        gradient = piece.learner.curvature * theta - z + drag
        step, shift = _newton_step(
            piece, state, damping, at, theta, gradient, shift, target
        )
        slope = float(gradient @ step)
        n_steps += 1
        if slope >= 0.0:
            break
        _, theta, there = line_search(piece, state, damping, theta, at, step, slope)
        if there is None:
            break
        at = there
    state = replace(
        state,
        theta=theta,
        duals=at.duals,
        poison=poison,
        shift=shift,
        margins=at.margins,
    )
    return state, gaps, n_steps


def _damping(learner, target):
    if learner.curvature > 0.0:
        return 0.0
    return 1e-3 * target / learner.radius**2


def _newton_step(piece, center, damping, at, theta, gradient, shift, target):
    """Return the step to the quadratic model's minimum within the learner's ball."""
    poison, learner = piece.poison, piece.learner
    nu = center.point_width / poison.squared_radius
    diagonal, vectors, weights = poison.curvature(at.poison, center.share_width, nu)
    # Keeps the system regular where the curvature cancels along a vector.
    damping = damping + RELATIVE_DAMPING * diagonal.max()
    between = (at.duals > 0.0) & (at.duals < 1.0)
    active = np.flatnonzero(between & (piece.weights > 0.0))
    hessian = DiagonalHessian(
        diagonal + (learner.curvature + damping),
        piece.rows.take(active),
        piece.weights[active] / center.row_width,
        vectors,
        weights,
    )
    height = learner.conjugate(gradient - learner.curvature * theta)
    norm_tol = min(1e-3, 0.02 * target / max(height, target))
    return step_in_ball(hessian, theta, gradient, learner.radius, shift, norm_tol)


def _check(problem, state, best, n_iter, tol, monitor):
    """Evaluate an iterate and keep the better of each bound."""
    row_pull = problem.rows.combine(problem.weights * state.duals)
    margins = 1.0 - problem.rows.scores(state.theta)
    state = replace(state, margins=margins, row_pull=row_pull)
    z = row_pull + problem.poison.pull(state.poison)
    upper = upper_value(problem, state.theta, margins)
    lower = dual_value(problem, state.duals, state.poison, z)
    entry = {
        "n_iter": n_iter,
        "upper_bound": float(upper),
        "lower_bound": float(lower),
        "n_rows": len(problem.rows),
    }
    if monitor is not None:
        monitor(entry)
    higher = best is None or upper < best.upper
    deeper = best is None or lower > best.lower
    found = Solution(
        above=state if higher else best.above,
        upper=float(upper) if higher else best.upper,
        below=state if deeper else best.below,
        lower=float(lower) if deeper else best.lower,
        state=state,
        n_iter=n_iter,
        converged=False,
        history=[*(best.history if best else []), entry],
    )
    found.converged = found.gap <= problem.target(found.upper, tol)
    return found
