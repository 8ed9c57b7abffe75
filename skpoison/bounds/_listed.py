"""The bound for attackers who can only send rows that are few enough to be listed.

The attacker's hull is that of a list of points, and the largest loss is that of the
worst of them, so that upper and lower bound meet: no relaxation lies between.
"""

from dataclasses import replace

import numpy as np
from scipy import sparse

from skpoison.solvers._adversary import PointPoison, PoisonPoints
from skpoison.solvers._working_set import Solution, solve, upper_value


def are_listed(sets):
    """Whether all rows of all sets are known."""
    return all(getattr(rows, "rows", None) is not None for rows in sets)


def solve_listed(problem, *, tol, max_iter, rng, start=None, monitor=None):
    """Minimize the bound over the learner's parameters, for rows in a list.

    `start` is a solution for an attacker with other rows or another share of them.
    """
    poison = problem.poison
    rows = [one.rows for one in poison.sets]
    signs = np.repeat(poison.signs, [len(one) for one in rows])
    term = PointPoison(poison.epsilon, signs, np.vstack(rows))
    iterate = None
    if start is not None:
        iterate = replace(start.iterate, poison=term.start(problem.rows.dim - 1))
    listed = problem._replace(poison=term)
    options = {"tol": tol, "max_iter": max_iter, "rng": rng, "monitor": monitor}
    return _with_used_rows(problem, solve(listed, start=iterate, **options), tol)


def _with_used_rows(problem, found, tol):
    """Return the solution with the rows that carry weight, as its attacker's."""
    beta = found.best_dual.poison.beta
    used = np.flatnonzero(beta > 0.0)
    points = sparse.csr_array(found.best_dual.poison.points[used])
    signs = _signs_of(problem.poison)[used]
    best_dual = replace(found.best_dual, poison=PoisonPoints(beta[used], points))
    term = PointPoison(problem.poison.epsilon, signs, points)
    # Rows that rounding alone could let through count for the upper bound.
    best = found.best_primal
    upper = float(upper_value(problem, best.theta, best.margins))
    fields = vars(found) | {"best_dual": best_dual, "term": term, "upper": upper}
    return Solution(**fields).improved(problem, tol)


def _signs_of(poison):
    return np.repeat(poison.signs, [len(one.rows) for one in poison.sets])
