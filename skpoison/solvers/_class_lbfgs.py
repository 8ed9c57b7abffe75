"""L-BFGS for a learner of several classes against a few weighted poison rows.

The losses of kinked losses and the largest loss of the poison have proximal terms, as
in ``_proximal_newton``, which makes the objective smooth. Each step costs two products
with the rows. See docs/mathematics.md, section "Several classes".
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from skpoison.solvers._class_pool import Pool
from skpoison.solvers._class_problem import ClassProblem
from skpoison.solvers._line_search import flat_point
from skpoison.solvers._loss_newton import drawn

Solver = Callable[[np.ndarray], np.ndarray]

MEMORY, MAX_TRIALS = 30, 30
# Of more parameters for each class than these, only the diagonal preconditions.
MOST_DENSE = 2500
# Rows that the preconditioner sees, and the least share of curvature that each has.
SOME_ROWS, LEAST_CURVATURE = 2000, 1e-4
SHIFT = 1e-9


@dataclass
class Center:
    """What proximal terms are around, and what the attacker aims at.

    Parameters
    ----------
    theta : ndarray of shape (n_classes, n_features + 1)
        The parameters found last.
    scores : ndarray of shape (n_rows, n_classes)
        Their scores of the clean rows.
    slopes : ndarray of shape (n_rows, n_classes)
        Slopes of the clean rows' losses.
    poison : Pool
        The attacker's rows.
    row_prox, share_prox, point_prox : float
        Proximal weights of slopes, shares and rows (in units of their sets' sizes).
    memory : Memory
        The last steps.
    """

    theta: np.ndarray
    scores: np.ndarray
    slopes: np.ndarray
    poison: Pool
    row_prox: float = 0.1
    share_prox: float = 0.3
    point_prox: float = 0.3
    memory: "Memory" = field(default_factory=lambda: Memory())


@dataclass
class Memory:
    """The last steps, with what they changed in the gradient."""

    steps: list = field(default_factory=list)
    changes: list = field(default_factory=list)

    def add(self, step: np.ndarray, change: np.ndarray) -> None:
        """Keep a step, unless rounding is all that it shows."""
        if np.vdot(step, change) <= 1e-12 * np.linalg.norm(step) * np.linalg.norm(
            change
        ):
            return
        self.steps = [*self.steps[-MEMORY + 1 :], step]
        self.changes = [*self.changes[-MEMORY + 1 :], change]

    def direction(self, gradient: np.ndarray, precondition: Solver) -> np.ndarray:
        """Return the descent direction of the two-loop recursion."""
        q, shares = -gradient, []
        for step, change in zip(self.steps[::-1], self.changes[::-1], strict=True):
            shares.append(np.vdot(step, q) / np.vdot(step, change))
            q = q - shares[-1] * change
        q = precondition(q)
        if self.steps:
            step, change = self.steps[-1], self.changes[-1]
            q *= np.vdot(step, change) / np.vdot(change, precondition(change))
        for step, change, share in zip(
            self.steps, self.changes, shares[::-1], strict=True
        ):
            q = q + (share - np.vdot(change, q) / np.vdot(step, change)) * step
        return q


class Smoothed(NamedTuple):
    """The smoothed objective at one point, with what its gradient is made of."""

    value: float
    theta: np.ndarray
    scores: np.ndarray
    slopes: np.ndarray
    poison: Pool


def preconditioner(problem: ClassProblem, center: Center, at: Smoothed) -> Solver:
    """Return the inverse of a second derivative that is the same for all classes.

    Each row has the mean of its curvatures; of many rows some are drawn, in proportion
    to these.
    """
    prox = center.row_prox
    rows, stiffness = problem.rows, problem.stiffness
    curvatures = problem.loss.curvatures(at.scores, rows.codes, at.slopes, prox)
    steepest = max(
        float(curvatures.max()), 1.0 / prox if problem.loss.has_kinks else 1.0
    )
    weights = rows.weights * np.maximum(curvatures, LEAST_CURVATURE * steepest)
    chosen, weights = drawn(weights, SOME_ROWS)
    some = rows.take(chosen)._replace(weights=weights)
    penalty = np.where(np.isfinite(stiffness), stiffness, 0.0)
    if len(at.poison.codes):
        each = at.poison.curvature(at.theta, problem.sets, center.point_prox)
        penalty[:-1] += problem.epsilon * each
    solve = _solver(some, penalty)
    if np.isfinite(stiffness[-1]):
        return solve

    def without_intercept(gradient):
        step = solve(gradient)
        step[:, -1] = 0.0
        return step

    return without_intercept


def _solver(rows, penalty):
    if len(penalty) > MOST_DENSE:
        diagonal = rows.squares() + penalty
        diagonal = np.maximum(diagonal, SHIFT * diagonal.max())
        return lambda gradient: gradient / diagonal
    matrix = rows.second_moments() + np.diag(penalty)
    matrix[np.diag_indices_from(matrix)] += SHIFT * matrix.diagonal().max()
    factor = cho_factor(matrix)
    return lambda gradient: cho_solve(factor, gradient.T).T


def minimize(
    problem: ClassProblem,
    center: Center,
    enough: float,
    max_steps: int,
) -> tuple[Smoothed, np.ndarray, int]:
    """Minimize the smoothed objective around a center.

    Ends where the gradient accounts for a duality gap of `enough`. Returned are the
    last point, its gradient and the number of steps.
    """
    at = evaluate(problem, center, center.theta, center.scores)
    solve = preconditioner(problem, center, at)
    gradient = gradient_at(problem, at)
    for n_steps in range(max_steps):
        if learner_gap(problem, gradient, at.theta) <= enough:
            return at, gradient, n_steps
        step = center.memory.direction(gradient, solve)
        slope = float(np.vdot(gradient, step))
        there = None if slope >= 0.0 else _search(problem, center, at, step, slope)
        if there is None:
            if not center.memory.steps:
                return at, gradient, n_steps
            center.memory = Memory()
            continue
        new = gradient_at(problem, there)
        center.memory.add(there.theta - at.theta, new - gradient)
        at, gradient = there, new
    return at, gradient, max_steps


def learner_gap(
    problem: ClassProblem, gradient: np.ndarray, theta: np.ndarray
) -> float:
    """Return what a gradient that is not zero leaves of the duality gap."""
    gap = problem.conjugate(gradient)
    if problem.stiffness[-1] == 0.0:
        gap += float(np.abs(gradient[:, -1]) @ (1.0 + np.abs(theta[:, -1])))
    return gap


def evaluate(
    problem: ClassProblem, center: Center, theta: np.ndarray, scores: np.ndarray
) -> Smoothed:
    """Evaluate the smoothed objective, given the scores of all rows."""
    codes, prox = problem.rows.codes, center.row_prox
    values, slopes = problem.loss.envelope(scores, codes, center.slopes, prox)
    value = float(problem.rows.weights @ values) + problem.penalty(theta)
    poison = center.poison
    if len(poison.codes):
        prox = center.share_prox, center.point_prox
        worst, poison = poison.answer(theta, problem.sets, *prox)
        value += problem.epsilon * worst
    return Smoothed(value, theta, scores, slopes, poison)


def gradient_at(problem: ClassProblem, at: Smoothed) -> np.ndarray:
    """Return the gradient by all parameters."""
    gradient = problem.rows.combine(at.slopes) + problem.penalty_gradient(at.theta)
    poison = at.poison.rows(problem.epsilon)
    gradient += poison.combine(at.poison.aims)
    if np.isinf(problem.stiffness[-1]):
        gradient[:, -1] = 0.0
    return gradient


def _search(problem, center, at, step, slope):
    """Find where the objective is nearly flat along a step; None if it never falls."""
    moved = problem.rows.scores(step)

    def along(length):
        theta, scores = at.theta + length * step, at.scores + length * moved
        there = evaluate(problem, center, theta, scores)
        return there, _slope(problem, there, step, moved)

    return flat_point(at, slope, along, MAX_TRIALS)


def _slope(problem, there, step, moved):
    """Return the objective's derivative along a step."""
    slope = float(problem.rows.weights @ np.vecdot(there.slopes, moved))
    slope += float(np.vdot(problem.penalty_gradient(there.theta), step))
    poison = there.poison.rows(problem.epsilon)
    of_points = np.vecdot(there.poison.aims, poison.scores(step))
    return slope + float(poison.weights @ of_points)
