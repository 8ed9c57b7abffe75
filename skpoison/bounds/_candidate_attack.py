"""From weighted points to an attack in whole rows, and the learner trained on it."""

from dataclasses import replace

import numpy as np

from skpoison._whole_rows import apportion_upwards, n_poison_rows
from skpoison.feasible import shrink_until_kept
from skpoison.solvers._train import PoisonCopies, train_on, warm_start

# The first proximal weight of rows in training on an attack: where the poison can no
# longer answer, more rows end at the margin, and steps between their kinks are short.
TRAINING_PROX = 0.4


def build_attack(problem, solution, n_rows, keeps, dtype):
    """Round the dual's poison to whole copies of rows that pass the filter.

    `keeps` returns which rows, given with the signs of their labels, the filter keeps.
    """
    signs, sets, beta, points = _weighted_points(problem.poison, solution)

    def passes(points, places):
        return keeps(points, signs[places])

    points, kept = shrink_until_kept(sets, points, passes, dtype)
    epsilon = problem.poison.epsilon
    wanted = np.where(kept, epsilon * beta * n_rows, 0.0)
    copies = apportion_upwards(wanted, n_poison_rows(epsilon, n_rows))
    used = copies > 0
    return PoisonCopies(points[used], signs[used], copies[used])


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


def rows_that_pass(term, points, signs, keeps, dtype):
    """Move rows into their sets until the filter keeps them; return which it keeps."""
    points = points.toarray()
    sets = [_set_of(term, *pair) for pair in zip(signs, points, strict=True)]

    def passes(points, places):
        return keeps(points, signs[places])

    return shrink_until_kept(sets, points, passes, dtype)


def _set_of(term, sign, point):
    """Return the set of a class that holds a point, or comes first."""
    sets = [
        one for one, other in zip(term.sets, term.signs, strict=True) if other == sign
    ]
    return next((one for one in sets if one.contains([point], 1e-9)[0]), sets[0])


def retrain(problem, solution, attack, **options):
    """Train the learner on the clean rows and an attack, from a problem's solution."""
    best_primal, best_dual = solution.best_primal, solution.best_dual
    start = warm_start(
        best_primal.theta, best_primal.margins, best_dual.duals, best_dual.row_sum
    )
    start = replace(start, row_prox=TRAINING_PROX)
    rows, weights = problem.rows, problem.weights
    return train_on(
        rows, attack, problem.learner, weights=weights, start=start, **options
    )
