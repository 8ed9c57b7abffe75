"""The bound for learners of more than two classes."""

from typing import NamedTuple

import numpy as np

from skpoison._whole_rows import apportion_upwards, n_poison_rows
from skpoison.bounds._result import CertifiedValues
from skpoison.bounds._rounding import judged, relative_error
from skpoison.bounds._weights import LossWeights
from skpoison.feasible import shrink_until_kept
from skpoison.solvers._class_game import Found, solve, start_at
from skpoison.solvers._class_problem import (
    ClassProblem,
    Labelled,
    StackedLabelled,
    dual_terms,
)

MAX_STEPS = 5000


class ClassCopies(NamedTuple):
    """An attack in whole rows: distinct points, their classes and numbers of copies."""

    points: np.ndarray  # (n_points, n_features)
    codes: np.ndarray  # (n_points,)
    copies: np.ndarray  # (n_points,)


class ClassResult(NamedTuple):
    """All that a bound for several classes found."""

    found: Found
    problem: ClassProblem
    certificate: CertifiedValues
    attack: ClassCopies
    theta: np.ndarray  # of the learner trained on the clean rows and the attack
    loss: float  # its objective
    lower: float  # a lower bound of that


def prepare(objective, X, codes, n_classes, sets=(), *, epsilon=0.0, weights=None):
    """Return the problem of a learner that faces an attacker, or, by default, none.

    Clean rows X (n_samples, n_features), the positions of their classes (n_samples,), a
    feasible set for each class, and the weights of rows and of poison if they differ.
    """
    if weights is None:
        weights = LossWeights(np.ones(X.shape[0]), np.ones(n_classes))
    n_rows, n_features = X.shape
    n_trained = n_rows + n_poison_rows(epsilon, n_rows)
    return ClassProblem(
        Labelled(X, codes, weights.of_rows / n_rows),
        list(sets),
        [judged(rows, X) for rows in sets],
        float(epsilon),
        objective.of_classes,
        objective.stiffness(n_features, n_rows, n_trained),
        n_classes,
        weights.of_poison,
    )


def minimize(problem, *, max_iter, start, **options):
    """Minimize the bound, from a solution for another share of poison if given."""
    if start is not None:
        start = start_at(problem, start.center.theta, start.center.poison)
    return solve(problem, max_iter=max_iter or MAX_STEPS, start=start, **options)


def train(problem, theta, *, tol, rng):
    """Train a learner on rows that are there, from parameters."""
    start = start_at(problem, theta)
    return solve(problem, tol=tol, max_iter=MAX_STEPS, rng=rng, start=start)


def objective_at(problem, theta):
    """Return the training objective of parameters, without an attacker."""
    return problem.clean_loss(problem.rows.scores(theta)) + problem.penalty(theta)


def certify(problem, found, objective, X, keeps, *, tol, rng):
    """Evaluate a solution, and round its dual point to an attack in whole rows.

    `X` are the clean rows as they came; `keeps` says which rows, given with the
    positions of their classes, the filter keeps.
    """
    attack = _whole_rows(problem, found, X, keeps)
    trained = _poisoned(problem, objective, attack)
    retrained = train(trained, found.theta, tol=tol, rng=rng)
    # The zeros and the bound's own parameters are candidates, too.
    candidates = [retrained.theta, found.theta, np.zeros_like(found.theta)]
    losses = [objective_at(trained, theta) for theta in candidates]
    best = int(np.argmin(losses))
    lower = max(retrained.lower - lower_margin(trained, retrained), 0.0)
    result = candidates[best], losses[best], lower
    return ClassResult(found, problem, _certificate(problem, found), attack, *result)


def _whole_rows(problem, found, X, keeps):
    """Round the dual's poison to whole copies of rows that pass the filter."""
    pool, n_rows = found.poison, X.shape[0]
    pool = pool.take(np.flatnonzero(pool.shares > 0.0))
    if not problem.has_attacker:
        pool = pool.take(np.zeros(0, dtype=int))
    sets = [problem.sets[code] for code in pool.codes]

    def passes(points, places):
        return keeps(points, pool.codes[places])

    points, kept = shrink_until_kept(sets, pool.points, passes, X.dtype)
    wanted = np.where(kept, problem.epsilon * pool.shares * n_rows, 0.0)
    copies = apportion_upwards(wanted, n_poison_rows(problem.epsilon, n_rows))
    used = copies > 0
    return ClassCopies(points[used], pool.codes[used], copies[used])


def _poisoned(problem, objective, attack):
    """Return the problem of training on the clean rows and an attack."""
    rows, n_rows = problem.rows, len(problem.rows.codes)
    weights = problem.poison_weights[attack.codes] * attack.copies / n_rows
    more = Labelled(attack.points, attack.codes, weights)
    n_trained = n_rows + int(attack.copies.sum())
    n_features = len(problem.stiffness) - 1
    return problem._replace(
        rows=StackedLabelled(rows, more),
        sets=[],
        outer=[],
        epsilon=0.0,
        stiffness=objective.stiffness(n_features, n_rows, n_trained),
    )


def _certificate(problem, found):
    """Return the bound with margins for rounding."""
    scores = problem.rows.scores(found.theta)
    clean_loss, poison_loss = problem.clean_loss(scores), found.worst
    upper = clean_loss + problem.epsilon * poison_loss + problem.penalty(found.theta)
    upper += upper_margin(problem, found.theta, scores, poison_loss)
    lower = max(found.lower - lower_margin(problem, found), 0.0)
    return CertifiedValues(found.theta, clean_loss, poison_loss, float(upper), lower)


def upper_margin(problem, theta, scores, worst=0.0):
    """Return twice what rounding can have taken from the bound at parameters."""
    rows, loss = problem.rows, problem.loss
    total, product = relative_error(len(rows.codes) + 2), relative_error(theta.shape[1])
    norms, sizes = np.linalg.norm(theta[:, :-1], axis=1), np.abs(theta[:, -1]) + 1.0
    off = product * (np.outer(np.sqrt(rows.squared_norms()), norms) + sizes)
    steepest = loss.steepest(scores, rows.codes, off)
    error = float(rows.weights @ np.vecdot(steepest, off))
    error += total * problem.clean_loss(scores) + product * problem.penalty(theta)
    if problem.has_attacker:
        # Supports in as many dimensions as classes take a few products more.
        farthest = norms * _reach(problem.outer) + sizes
        ends = np.stack([farthest, -farthest])
        steepest = loss.steepest(ends, np.zeros(2, dtype=int), 0.0).max(axis=0)
        most = float(steepest.max() * farthest.sum() * problem.poison_weights.max())
        error += 4.0 * problem.epsilon * product * (most + worst)
    return 2.0 * error


def lower_margin(problem, found):
    """Return twice what rounding can have added to the dual value."""
    product = relative_error(len(problem.stiffness))
    parts = [(problem.rows, found.slopes)]
    if problem.has_attacker:
        parts.append((found.poison.rows(problem.epsilon), found.poison.aims))
    terms = dual_terms(problem, parts)
    total = relative_error(sum(len(rows.codes) for rows, _ in parts) + 2)
    moved, mass = np.zeros(problem.n_classes), 0.0
    for (rows, _), slopes in zip(parts, terms.slopes, strict=True):
        sizes = rows.weights * (np.sqrt(rows.squared_norms()) + 1.0)
        moved += (total + product) * (sizes @ np.abs(slopes))
        mass += float(rows.weights @ np.abs(problem.loss.conjugate(slopes, rows.codes)))
    error = total * mass + product * problem.conjugate(terms.z)
    bends = problem.stiffness > 0.0
    lengths = np.linalg.norm(terms.z[:, bends], axis=1)
    error += float(np.sum(lengths * moved + 0.5 * moved * moved))
    error /= min(float(problem.stiffness[bends].min()), 1.0)
    if problem.stiffness[-1] == 0.0:
        # What is left in z is as much of some row's slope, which its scores weigh.
        scores = problem.rows.scores(found.theta)
        left = float(np.sum(moved + np.abs(terms.z[:, -1])))
        error += left * (2.0 * float(np.abs(scores).max()) + 1.0)
    return 2.0 * error


def _reach(sets):
    """No row of the attacker's is farther from the origin."""
    return max(float(np.linalg.norm(rows.center)) + rows.reach for rows in sets)
