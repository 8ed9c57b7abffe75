"""The bound where the attacker's rows are known only through an oracle.

Sets of whole counts, one-hot groups and other discrete rows have no cheap projection.
Each round asks the oracle for the worst rows at the current parameters, adds them to
the bundle, and minimizes the bound over the bundle with a proximal term on the
parameters: a proximal bundle method whose subproblems are solved by Newton's method.
The oracle returns an upper bound on the largest loss even where its row is not
optimal, so the primal bound is valid; the bundle's rows are feasible, so the dual is.
See docs/mathematics.md, section "The proximal bundle".
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from skpoison.losses import Hinge
from skpoison.solvers._adversary import PointPoison, PoisonPoints, signed_rows
from skpoison.solvers._interior_point import Model, is_quick, minimize_model
from skpoison.solvers._proximal_newton import (
    Gaps,
    Iterate,
    Subproblem,
    adapt_prox,
    minimize_smooth,
)
from skpoison.solvers._working_set import (
    Monitor,
    Problem,
    Solution,
    record,
    upper_value,
)

# Subproblems are solved to this share of the gap that is left, or of the bound.
SHARE_OF_GAP, SHARE_OF_BOUND = 0.03, 1e-3
MAX_ROUNDS, MAX_STEPS = 6, 60
# Interior points read all rows in each step, but need few: for few rows and features.
MOST_PRODUCTS = 1e8
# A round is a success if the bound falls by this share of what the model promised.
SUCCESS = 0.1
# How the proximal weight follows successes and failures.
FALL, RISE = 0.6, 1.1
MAX_BUNDLE = 400
PATIENCE = 40


@dataclass
class Bundle:
    """Feasible rows and their weights in the last dual point.

    Parameters
    ----------
    signs : ndarray of shape (n_points,)
        Signs of the rows' labels.
    points : CSR array of shape (n_points, n_features)
        The rows.
    beta : ndarray of shape (n_points,)
        Their weights.
    """

    signs: np.ndarray
    points: sparse.csr_array
    beta: np.ndarray

    def add(self, signs: np.ndarray, rows: np.ndarray) -> "Bundle":
        """Return the bundle with new rows, pruned if it is large."""
        keep = np.arange(len(self.signs))
        if len(keep) >= MAX_BUNDLE:
            keep = np.flatnonzero(self.beta > 0)
        points = sparse.vstack([self.points[keep], sparse.csr_array(rows)])
        return Bundle(
            np.append(self.signs[keep], signs),
            sparse.csr_array(points),
            np.append(self.beta[keep], np.zeros(len(signs))),
        )

    def used(self) -> "Bundle":
        """Return the rows that carry weight."""
        keep = np.flatnonzero(self.beta > 0)
        return Bundle(self.signs[keep], self.points[keep], self.beta[keep])


def solve_cuts(
    problem: Problem,
    *,
    tol: float,
    max_iter: int,
    monitor: Monitor | None = None,
    start: Solution | None = None,
    patience: int = PATIENCE,
) -> Solution:
    """Minimize the bound by a proximal bundle method.

    Of the attacker's sets only the oracle is used, once per class and round. The search
    ends after `patience` rounds in which neither bound moves: the gap that is left is
    the oracle's. The solution's `term` holds the rows of the dual's poison.
    """
    best, iterate, bundle, proximal_weight = _begin(problem, start, tol, monitor)
    for n_iter in range(1, max_iter + 1):
        target = problem.target(best.upper, tol)
        if best.converged or _stalls(best.history, target, patience):
            break
        term = PointPoison(problem.poison.epsilon, bundle.signs, bundle.points)
        trial = _minimize_model(
            problem, term, bundle.beta, iterate, best, proximal_weight
        )
        bundle = replace(bundle, beta=trial.poison.beta)
        previous = best.upper
        upper, answers = _ask(problem, trial)
        model = problem._replace(poison=term)
        promised = previous - upper_value(model, trial.theta, trial.margins)
        best = _record(problem, best, trial, upper, bundle, n_iter, tol, monitor)
        success = upper <= previous - SUCCESS * promised
        proximal_weight *= FALL if success else RISE
        bundle = bundle.add(*answers)
        center = trial if success else iterate
        iterate = replace(trial, theta=center.theta, margins=center.margins)
    return best


def _stalls(history, target, patience):
    """Whether neither bound has moved for many rounds: the oracle's gap is left."""
    if len(history) <= patience:
        return False
    return _gap(history[:-patience]) - _gap(history) < 0.1 * target


def _gap(history):
    upper = min(entry["upper_bound"] for entry in history)
    return upper - max(entry["lower_bound"] for entry in history)


def _begin(problem, start, tol, monitor):
    """Start from a previous solution, or along the sum of the signed rows."""
    if start is not None:
        iterate, bundle = start.iterate, _bundle_of(start)
    else:
        iterate, bundle = _first_iterate(problem), _empty_bundle(problem)
    upper, answers = _ask(problem, iterate)
    best = _record(problem, None, iterate, upper, bundle, 0, tol, monitor)
    size = iterate.theta @ iterate.theta
    radius = problem.learner.radius
    proximal_weight = upper / (min(radius * radius, 10.0 * size) if size else 1.0)
    return best, iterate, bundle.add(*answers), proximal_weight


def _first_iterate(problem):
    rows, weights, learner = problem.rows, problem.weights, problem.learner
    dual_sum = rows.combine(weights)
    theta = dual_sum / max(float(np.linalg.norm(dual_sum)), np.finfo(float).tiny)
    # As long as halves the loss at best: the mean score is one half.
    theta = learner.project(theta * 0.5 / max(float(theta @ dual_sum), 0.1))
    margins = 1.0 - rows.scores(theta)
    return Iterate(
        theta,
        Hinge().project(margins),
        PoisonPoints(np.zeros(0), sparse.csr_array((0, rows.dim - 1))),
        row_prox=0.2,
        margins=margins,
    )


def _empty_bundle(problem):
    none = sparse.csr_array((0, problem.rows.dim - 1))
    return Bundle(np.zeros(0), none, np.zeros(0))


def _bundle_of(solution):
    points = sparse.csr_array(solution.best_dual.poison.points)
    return Bundle(solution.term.signs, points, solution.best_dual.poison.beta)


def _ask(problem, iterate):
    """Return the bound's value at parameters and the worst row of each class."""
    losses, rows = problem.poison.worst_rows(iterate.theta)
    worst = float(Hinge().of_shortfalls(max(losses)))
    upper = upper_value(problem, iterate.theta, iterate.margins, worst)
    return upper, (problem.poison.signs, np.array(rows))


def _minimize_model(problem, term, beta, iterate, best, proximal_weight):
    """Minimize the bound over the bundle's rows, near the best parameters."""
    rows, target = problem.rows, SHARE_OF_GAP * best.gap
    if is_quick(rows, problem.weights, MOST_PRODUCTS):
        # A loose start would be enough where the gap is large, and lead nowhere.
        target = min(target, SHARE_OF_BOUND * best.upper)
        found = _by_interior_point(problem, term, iterate, target, proximal_weight)
    else:
        start = replace(iterate, poison=PoisonPoints(beta, term.points), row_sum=None)
        found = _by_newton(problem, term, start, target, proximal_weight)
    return replace(found, margins=1.0 - rows.scores(found.theta))


def _by_interior_point(problem, term, iterate, target, proximal_weight):
    model = Model(
        problem.rows,
        problem.weights,
        signed_rows(term.signs, term.points),
        problem.poison.epsilon,
        problem.learner,
        iterate.theta,
        proximal_weight,
    )
    found = minimize_model(model, lambda value: target)
    return replace(
        iterate,
        theta=found.theta,
        duals=found.duals,
        poison=PoisonPoints(found.beta, term.points),
        row_sum=None,
    )


def _by_newton(problem, term, iterate, target, proximal_weight):
    zero = np.zeros(problem.rows.dim)
    subproblem = Subproblem(
        problem.rows, problem.weights, zero, 0.0, term, problem.learner
    )
    center, previous = iterate.theta, Gaps(np.inf, np.inf, np.inf, 1.0)
    for _ in range(MAX_ROUNDS):
        found, gaps, _ = minimize_smooth(
            subproblem, iterate, target, MAX_STEPS, proximal_weight
        )
        if gaps.total <= target:
            break
        iterate = adapt_prox(replace(found, theta=center), gaps, previous, target)
        previous = gaps
    return found


def _record(problem, best, iterate, upper, bundle, n_iter, tol, monitor):
    """Record the best primal and dual, the dual's poison being the bundle's rows."""
    bundle = bundle.used()
    term = PointPoison(problem.poison.epsilon, bundle.signs, bundle.points)
    poison = PoisonPoints(bundle.beta, bundle.points)
    iterate = replace(iterate, poison=poison, row_sum=None)
    n_rows = len(problem.rows)
    return record(problem, best, iterate, upper, n_iter, n_rows, tol, monitor, term)
