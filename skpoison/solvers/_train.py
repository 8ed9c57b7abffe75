"""Training on clean rows and whole copies of poison rows."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison.losses import Hinge
from skpoison.solvers._adversary import NO_POISON
from skpoison.solvers._interior_point import Model, is_quick, minimize_model
from skpoison.solvers._proximal_newton import Iterate, negligible_weight
from skpoison.solvers._regularizers import NormBall, Penalty
from skpoison.solvers._signed_design import Rows, StackedRows
from skpoison.solvers._working_set import Problem, Solution, solve

MAX_STEPS = 1000
# Up to so many rows, and products in the matrix of a step, are few.
FEW_ROWS, FEW_PRODUCTS = 1000, 4e6


class PoisonCopies(NamedTuple):
    """Poison in copies of few distinct rows."""

    points: np.ndarray | sparse.csr_array  # (n_points, n_features): distinct
    signs: np.ndarray  # (n_points,)
    copies: np.ndarray  # (n_points,): how often each is sent; fractions are weights

    def behind(self, clean: Rows) -> StackedRows:
        """Return clean rows with the distinct poison rows behind them."""
        points = self.points
        if clean.is_sparse:
            points = sparse.csr_array(points)
        elif sparse.issparse(points):
            points = sparse.csr_array(points).toarray()
        return StackedRows(clean, clean.like(points, self.signs))


def train_on(
    clean: Rows,
    poison: PoisonCopies | None,
    learner: NormBall | Penalty,
    *,
    tol: float,
    rng: np.random.RandomState,
    weights: np.ndarray | None = None,
    start: Iterate | None = None,
    max_iter: int = MAX_STEPS,
) -> Solution:
    """Train a learner with the hinge loss on clean rows and copies of poison rows.

    Losses count per clean row: each has weight ``1 / n``, unless `weights` of the clean
    rows say otherwise. `start` is an iterate for the clean rows, with their margins.
    The solution's `upper` is the training loss; no parameters have one below its
    `lower`.
    """
    n_rows = len(clean)
    masses = np.full(n_rows, 1.0 / n_rows) if weights is None else weights
    if poison is None:
        problem = Problem(clean, masses, NO_POISON, learner)
    else:
        added = poison.copies / n_rows
        rows = poison.behind(clean)
        problem = Problem(rows, np.append(masses, added), NO_POISON, learner)
        start = None if start is None else _extended(start, rows.more, added)
    rows, masses = problem.rows, problem.weights
    options: dict = {"tol": tol, "max_iter": max_iter, "rng": rng, "start": start}
    if len(rows) <= FEW_ROWS and is_quick(rows, masses, FEW_PRODUCTS):
        return _solve_few(problem, **options)
    return solve(problem, **options)


def _solve_few(problem, *, tol, max_iter, rng, start):
    """Train on few rows of few features."""
    first, check = None, {"tol": tol, "max_iter": 0, "rng": rng}
    if start is not None:
        first = solve(problem, start=start, **check)
        if first.converged:
            return first
    near = _by_interior_points(problem, start, tol, max_iter)
    found = solve(problem, start=near, **check)
    if not found.converged:  # rounding keeps it from getting nearer
        more = solve(problem, tol=tol, max_iter=max_iter, rng=rng, start=start)
        found = _better(problem, more, found, tol)
    # No worse than where it started: attacks reach no more than the bound of theirs.
    return found if first is None else _better(problem, found, first, tol)


def _better(problem: Problem, found: Solution, other: Solution, tol: float) -> Solution:
    """Return a solution with the better of each bound."""
    assert other.best_primal is not None and other.best_dual is not None
    return found.improved(
        problem,
        tol,
        primal=(other.best_primal, other.upper),
        dual=(other.best_dual, other.lower, other.term),
    )


def _by_interior_points(
    problem: Problem, start: Iterate | None, tol: float, max_steps: int
) -> Iterate:
    """Where Newton's method has nothing left to do, for few rows of few features."""
    rows, weights = problem.rows, problem.weights
    rows = rows.take(np.arange(len(rows)))  # in one piece, as float64
    model = Model(
        rows,
        weights,
        np.zeros((0, rows.dim)),
        1.0,  # no poison: any weight of it
        problem.learner,
        np.zeros(rows.dim) if start is None else start.theta,
        negligible_weight(problem.learner, problem.target(0.0, tol)),
    )
    found = minimize_model(
        model, lambda value: 0.5 * problem.target(value, tol), max_steps
    )
    margins = 1.0 - rows.scores(found.theta)
    row_sum = rows.combine(weights * found.duals)
    return warm_start(found.theta, margins, found.duals, row_sum)


def warm_start(
    theta: np.ndarray,
    margins: np.ndarray,
    duals: np.ndarray | None = None,
    row_sum: np.ndarray | None = None,
) -> Iterate:
    """Return where to start training: parameters, and what is known beside them."""
    poison = NO_POISON.start(len(theta) - 1)
    if duals is None:
        duals = Hinge().project(margins / Iterate.row_prox)
    return Iterate(theta, duals, poison, margins=margins, row_sum=row_sum)


def _extended(start, rows, masses):
    """Add poison rows, which begin in full beside clean rows whose duals are known."""
    margins = np.append(start.margins, 1.0 - rows.scores(start.theta))
    if start.row_sum is None:
        return replace(start, duals=Hinge().project(margins), margins=margins)
    return replace(
        start,
        duals=np.append(start.duals, np.ones(len(masses))),
        margins=margins,
        row_sum=start.row_sum + rows.combine(masses),
    )
