"""The bound for a filter with fixed centroids and radii."""

import numpy as np

from skpoison.bounds._candidate_attack import build_attack, retrain
from skpoison.bounds._discrete import (
    OraclePoison,
    solve_by_support,
    solve_restricted,
    spread_attack,
    without_rejected,
)
from skpoison.bounds._result import CertifiedValues, Result
from skpoison.bounds._rounding import judged, margins
from skpoison.feasible import RestrictedSet
from skpoison.losses import Hinge
from skpoison.solvers._centering import among_rows, framed, view
from skpoison.solvers._working_set import solve

MAX_STEPS = 1000


def prepare(problem):
    """Subtract an offset from rows far from the origin, if the domain allows it."""
    return problem if isinstance(problem.poison, OraclePoison) else framed(problem)


def minimize(problem, *, max_iter, start, **options):
    """Minimize the bound, from a solution for another share of poison if given."""
    options["max_iter"] = max_iter or MAX_STEPS
    if isinstance(problem.poison, OraclePoison):
        return solve_restricted(problem, start=start, **options)
    if not all(rows.is_differentiable for rows in problem.poison.sets):
        return solve_by_support(problem, start=start, **options)
    start = None if start is None else start.iterate
    return solve(problem, start=start, **options)


def certify(problem, found, X, keeps, *, tol, rng):
    """Evaluate a solution, and round its dual point to an attack in whole rows.

    `X` are the clean rows as given; `keeps` returns which rows, given with the signs of
    their labels, the filter keeps.
    """
    if any(_is_discrete(rows) for rows in problem.poison.sets):
        found = without_rejected(problem, found, keeps, X.dtype, tol, rng)
    attack = _attack(problem, found, keeps, X.dtype, rng)
    trained = retrain(problem, found, attack, tol=tol, rng=rng)
    best = _certificate(problem, found, X)
    return Result(found, problem, best, attack, trained, {})


def _certificate(problem, found, X):
    """Widen the sets by the filter's own rounding, and the bound by the sums'."""
    seen = view(problem, found)
    rounding = margins(seen.problem, seen.theta, seen.lower, at=seen.at)
    poison = seen.problem.poison
    # Sets of a discrete domain are so wide from the start.
    wider = [rows if _is_discrete(rows) else judged(rows, X) for rows in poison.sets]
    clean_loss = float(problem.weights @ Hinge().of_shortfalls(seen.margins))
    poison_loss = float(poison.over(wider).largest_loss(seen.at))
    upper = clean_loss + poison.epsilon * poison_loss
    upper = float(upper + problem.learner.value(seen.theta) + rounding.upper)
    if problem.rows.is_framed:
        # The attack's training starts from coefficients that are not rounded.
        upper = max(upper, float(found.upper))
    lower = max(float(seen.lower) - rounding.lower, 0.0)
    # Zeros lose 1 on every row: far from the origin rounding can take more.
    zeros = (1.0 + poison.epsilon) * (1.0 + 4.0 * np.finfo(float).eps)
    if upper > zeros:
        return CertifiedValues(np.zeros_like(seen.theta), 1.0, 1.0, zeros, lower)
    return CertifiedValues(seen.theta, clean_loss, poison_loss, upper, lower)


def _is_discrete(rows):
    return isinstance(rows, RestrictedSet) and rows.columns.is_discrete


def _attack(problem, found, keeps, dtype, rng):
    n_rows = len(problem.rows)
    if getattr(found, "hull", None) is not None:
        return spread_attack(problem, found, n_rows, keeps, dtype, rng)
    problem, found = among_rows(problem, found)
    return build_attack(problem, found, n_rows, keeps, dtype)
