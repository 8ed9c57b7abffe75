"""The bound where rows are relaxed to the convex set of the Lagrangian dual.

The Lagrangian bound on the largest loss of a restricted row is the exact largest loss
over a convex set, onto which points can be projected, so that the proximal Newton
method applies as it does to real rows. The hull has about as many faces as there are
features; so the proximal weights of its points stay larger.
See docs/mathematics.md, section "The hull relaxation".
"""

from dataclasses import replace

import numpy as np

from skpoison.bounds._projected import moved_inside
from skpoison.losses import Hinge
from skpoison.solvers._adversary import PoisonTerm
from skpoison.solvers._proximal_newton import (
    LOOSENESS,
    Iterate,
    Subproblem,
    minimize_smooth,
)
from skpoison.solvers._working_set import record, upper_value

MAX_STEPS = 15
# Each round wants this share of the gap that is left.
SHARE_OF_GAP = 0.3
# How proximal weights of points follow rounds that end well, and others.
FALL, RISE = 0.75, 1.3
LEAST_LOOSENESS = 1e-3
ROW_PROX, SHARE_PROX, POINT_PROX = 0.2, 0.5, 2.0
# Where there are more than twice as many rows, so many are looked at first, loosely.
FIRST_ROWS, FIRST_TOL, FIRST_STEPS = 3000, 0.15, 150
# The largest loss is known to this relative precision, or to a share of the tolerance.
COARSE, SHARE_OF_TOL = 1e-5, 0.05
# Points' proximal weights do not fall below this share of where they start.
LEAST_PROX = 1e-6


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

    def _largest(self, i, a):
        value, self._supports[i] = self.sets[i].bound(
            a, self._supports[i], self.precision
        )
        return value

    def _projection(self, i, x):
        found = self.sets[i].projection(x, self._projections[i])
        self._projections[i] = found.multipliers
        return found


def solve_relaxed(problem, *, tol, max_iter, rng, start=None, monitor=None):
    """Minimize the bound over the learner's parameters, for hulls of rows."""
    problem.poison.precision = min(COARSE, SHARE_OF_TOL * tol)
    iterate = start
    if iterate is None:
        iterate = _few_rows(problem, max_iter, rng) or _first_iterate(problem)
    zero = np.zeros(problem.rows.dim)
    subproblem = Subproblem(
        problem.rows, problem.weights, zero, 0.0, problem.poison, problem.learner
    )
    least, looseness = LEAST_PROX * iterate.point_prox, LOOSENESS
    best, n_iter = _check(problem, iterate, None, 0, tol, monitor), 0
    while not best.converged and n_iter < max_iter:
        steps = min(MAX_STEPS, max_iter - n_iter)
        goal = max(problem.target(best.upper, tol), SHARE_OF_GAP * best.gap)
        iterate, gaps, n_steps = minimize_smooth(
            subproblem, iterate, goal, steps, looseness=looseness
        )
        # Rounds without a step go round in circles.
        if n_steps == 0:
            looseness = max(0.5 * looseness, LEAST_LOOSENESS)
        n_iter += n_steps
        best = _check(problem, iterate, best, n_iter, tol, monitor)
        hard = n_steps >= steps or gaps.learner > gaps.rows + gaps.poison
        factor = RISE if hard else FALL
        iterate = replace(
            iterate,
            row_prox=max(0.5 * iterate.row_prox, ROW_PROX),
            point_prox=max(iterate.point_prox * factor, least),
            share_prox=min(max(iterate.share_prox * factor, 0.05), 5.0),
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
    iterate = solve_relaxed(few, tol=FIRST_TOL, max_iter=steps, rng=rng).iterate
    margins = 1.0 - problem.rows.scores(learner.project(iterate.theta))
    duals = Hinge().project(margins / iterate.row_prox)
    return replace(iterate, duals=duals, margins=margins, row_sum=None)


def _first_iterate(problem):
    """Start from the classes' means, which the duals of all rows and no poison give."""
    rows, learner = problem.rows, problem.learner
    mean = rows.combine(problem.weights)
    theta = mean / max(float(np.linalg.norm(mean)), np.finfo(float).tiny)
    # As long as halves the loss at best: the mean score is one half.
    theta = learner.project(theta * 0.5 / max(float(theta @ mean), 0.1))
    margins = 1.0 - rows.scores(theta)
    reach = np.sqrt(problem.poison.squared_radius)
    size = min(learner.radius, 10.0 * float(np.linalg.norm(theta)))
    return Iterate(
        theta,
        Hinge().project(margins),
        problem.poison.start(rows.dim - 1),
        row_prox=ROW_PROX,
        share_prox=SHARE_PROX,
        # A point follows the parameters by about its distance from the center.
        point_prox=POINT_PROX * size * reach,
        margins=margins,
    )


def _check(problem, iterate, best, n_iter, tol, monitor):
    margins = 1.0 - problem.rows.scores(iterate.theta)
    iterate = replace(iterate, margins=margins, row_sum=None)
    upper = upper_value(problem, iterate.theta, margins)
    n_rows = len(problem.rows)
    # Only points of the sets make a lower bound.
    poison = moved_inside(problem.poison.sets, iterate.poison)
    iterate = replace(iterate, poison=poison)
    return record(problem, best, iterate, upper, n_iter, n_rows, tol, monitor)
