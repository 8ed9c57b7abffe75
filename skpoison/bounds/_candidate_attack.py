"""From weighted points to an attack in whole rows, and what it does to the learner."""

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison._whole_rows import apportion_upwards, n_poison_rows
from skpoison.solvers._adversary import PoisonTerm
from skpoison.solvers._proximal_newton import Iterate
from skpoison.solvers._signed_design import StackedRows
from skpoison.solvers._working_set import Problem, solve

# Steps by which a row on the boundary is moved inwards until the filter keeps it.
SHRINKS = (1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5)
NOBODY = PoisonTerm(0.0, [], [])


class Attack(NamedTuple):
    """Poison in whole copies of few distinct rows.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features)
        The distinct rows, float64.
    signs : ndarray of shape (n_points,)
        Signs of their labels.
    copies : ndarray of shape (n_points,), dtype=int
        How often each is sent.
    """

    points: np.ndarray
    signs: np.ndarray
    copies: np.ndarray


def shrink_until_kept(sets, points, keeps, dtype):
    """Move points inwards until the filter keeps them in the precision of the data.

    Parameters
    ----------
    sets : list of FeasibleRegion
        The feasible set of each point.
    points : ndarray of shape (n_points, n_features)
        Points of the sets, perhaps on their boundary.
    keeps : callable
        Says which of the rows the filter keeps.
    dtype : dtype
        Precision in which the rows will be used.

    Returns
    -------
    rows : ndarray of shape (n_points, n_features), dtype=float64
        The moved points, rounded to `dtype`.
    kept : ndarray of shape (n_points,), dtype=bool
        Which of them the filter keeps.
    """
    rows = points.astype(dtype).astype(np.float64)
    kept = keeps(rows)
    for margin in SHRINKS:
        for i in np.flatnonzero(~kept):
            rows[i] = sets[i].shrink(points[i], margin).astype(dtype)
        if kept.all():
            break
        kept = keeps(rows)
    return rows, kept


def build_attack(problem, solution, n_rows, keeps, dtype):
    """Round the dual's poison to whole copies of rows that pass the filter.

    Parameters
    ----------
    problem : Problem
        The problem solved.
    solution : Solution
        Its solution.
    n_rows : int
        Number of clean rows.
    keeps : callable
        Says which rows, given with the signs of their labels, the filter keeps.
    dtype : dtype
        Precision of the data.

    Returns
    -------
    attack : Attack
        The attack; its points without copies are left out.
    """
    signs, sets, beta, points = _weighted_points(problem.poison, solution)
    points, kept = shrink_until_kept(sets, points, partial(keeps, signs=signs), dtype)
    epsilon = problem.poison.epsilon
    wanted = np.where(kept, epsilon * beta * n_rows, 0.0)
    copies = apportion_upwards(wanted, n_poison_rows(epsilon, n_rows))
    used = copies > 0
    return Attack(points[used], signs[used], copies[used])


def _weighted_points(term, solution):
    """Return the dual's points; of convex sets, one mean for each class."""
    poison = solution.best_dual.poison
    if solution.term is None:
        return term.signs, term.sets, poison.beta, poison.points
    signs, points = solution.term.signs, poison.points.toarray()
    if all(rows.is_convex for rows in term.sets):
        shares = np.array([poison.beta[signs == sign].sum() for sign in term.signs])
        masses = poison.beta * (signs == term.signs[:, np.newaxis])
        means = (
            masses @ points / np.maximum(shares, np.finfo(float).tiny)[:, np.newaxis]
        )
        used = np.flatnonzero(shares > 0)
        sets = [term.sets[i] for i in used]
        return term.signs[used], sets, shares[used], means[used]
    sets = [_set_of(term, *pair) for pair in zip(signs, points, strict=True)]
    return signs, sets, poison.beta, points


def _set_of(term, sign, point):
    """Return the set of a class that holds a point, or comes first."""
    sets = [
        one for one, other in zip(term.sets, term.signs, strict=True) if other == sign
    ]
    return next((one for one in sets if one.contains([point], 1e-9)[0]), sets[0])


def retrain(problem, solution, attack, *, tol, max_iter, rng):
    """Train the learner on the clean rows and an attack.

    Parameters
    ----------
    problem : Problem
        The problem that was solved.
    solution : Solution
        Its solution, from which training starts.
    attack : Attack
        Poison rows in whole copies.
    tol : float
        Relative duality gap of the training.
    max_iter : int
        Most Newton steps.
    rng : numpy.random.RandomState
        Draws the first rows.

    Returns
    -------
    trained : Solution
        Its `upper` is the training loss, per clean row; no training on these rows
        has a loss below its `lower`.
    """
    n_rows = len(problem.rows)
    X = attack.points
    if problem.rows.is_sparse:
        X = sparse.csr_array(X)
    poison = problem.rows.like(X, attack.signs)
    masses = attack.copies / n_rows
    theta, best_dual = solution.best_primal.theta, solution.best_dual
    start = Iterate(
        theta=theta,
        duals=np.append(best_dual.duals, np.ones(len(masses))),
        poison=NOBODY.start(problem.rows.dim - 1),
        margins=np.append(solution.best_primal.margins, 1.0 - poison.scores(theta)),
        row_sum=best_dual.row_sum + poison.combine(masses),
    )
    clean = Problem(
        StackedRows(problem.rows, poison),
        np.append(problem.weights, masses),
        NOBODY,
        problem.learner,
    )
    return solve(clean, tol=tol, max_iter=max_iter, rng=rng, start=start)
