"""The bound for learners with other losses than the hinge, or other intercepts."""

import numpy as np

from skpoison._whole_rows import n_poison_rows
from skpoison.bounds._candidate_attack import build_attack
from skpoison.bounds._linear import signed_rows
from skpoison.bounds._result import CertifiedValues, Result
from skpoison.bounds._rounding import judged, relative_error
from skpoison.solvers._loss_newton import LossIterate, solve
from skpoison.solvers._loss_problem import DualPoint, LossProblem
from skpoison.solvers._worst_rows import WorstRows

MAX_STEPS = 1000


def prepare(objective, epsilon, signs, sets, X, codes):
    """Return the problem of a learner that faces an attacker.

    Clean rows X (n_samples, n_features), their codes (n_samples,), a feasible set for
    each sign.
    """
    n_rows, n_features = X.shape
    n_trained = n_rows + n_poison_rows(epsilon, n_rows)
    return LossProblem(
        signed_rows(X, codes),
        np.full(n_rows, 1.0 / n_rows),
        WorstRows(epsilon, objective.loss, signs, sets),
        objective.loss,
        objective.stiffness(n_features, n_rows, n_trained),
    )


def minimize(problem, *, max_iter, start, **options):
    """Minimize the bound, from a solution for another share of poison if given."""
    first = None if start is None else start.iterate
    return solve(problem, max_iter=max_iter or MAX_STEPS, start=first, **options)


def train(objective, X, codes, *, start=None, tol, rng):
    """Train a learner on rows that are there, from parameters if given."""
    problem = prepare(objective, 0.0, (), (), X, codes)
    first = None if start is None else _start_at(problem, start)
    return problem, solve(problem, tol=tol, max_iter=MAX_STEPS, rng=rng, start=first)


def _start_at(problem, theta):
    scores = problem.rows.scores(theta)
    slopes = problem.loss.project(-problem.loss.derivative(scores))
    poison = problem.poison.start(len(theta) - 1)
    return LossIterate(theta, slopes, poison, scores=scores)


def certify(problem, found, objective, X, keeps, *, tol, rng):
    """Evaluate a solution, and round its dual point to an attack in whole rows.

    `X` are the clean rows as they came; `keeps` says which rows, given with the signs
    of their labels, the filter keeps.
    """
    n_rows, n_features = X.shape
    attack = build_attack(problem, found, n_rows, keeps, X.dtype)
    rows = attack.behind(problem.rows)
    n_trained = n_rows + int(attack.copies.sum())
    trained = LossProblem(
        rows,
        np.append(problem.weights, attack.copies / n_rows),
        WorstRows(0.0, objective.loss, (), ()),
        objective.loss,
        objective.stiffness(n_features, n_rows, n_trained),
    )
    start = _start_at(trained, found.best_primal.theta)
    retrained = solve(trained, tol=tol, max_iter=MAX_STEPS, rng=rng, start=start)
    best = _certificate(problem, found, X)
    return Result(found, problem, best, attack, retrained, {})


def _certificate(problem, found, X):
    """Widen the sets by the filter's own rounding, and the bound by the sums'."""
    theta, poison = found.best_primal.theta, problem.poison
    scores = problem.rows.scores(theta)
    wider = poison.over([judged(rows, X) for rows in poison.per_class()])
    clean_loss = float(problem.weights @ problem.loss.value(scores))
    worst = wider.shortfall(theta)
    poison_loss = wider.outer(worst).value if wider.sets else 0.0
    upper = clean_loss + poison.epsilon * poison_loss + problem.penalty(theta)
    upper = float(upper + upper_margin(problem, wider, theta, scores, worst))
    lower = problem.lower(found.best_dual.dual_point)
    lower -= lower_margin(problem, found.best_dual.dual_point, scores)
    return CertifiedValues(theta, clean_loss, poison_loss, upper, max(lower, 0.0))


def upper_margin(problem, poison, theta, scores, worst):
    """Return twice what rounding can have taken from the bound at parameters."""
    n_rows, dim = len(problem.rows), problem.rows.dim
    total, product = relative_error(n_rows + 2), relative_error(dim)
    norm_w, size_b = float(np.linalg.norm(theta[:-1])), abs(float(theta[-1]))
    off = product * (norm_w * np.sqrt(problem.rows.squared_norms()) + size_b + 1.0)
    error = float(problem.weights @ (_steepest(problem.loss, scores, off) * off))
    error += total * float(problem.weights @ problem.loss.value(scores))
    error += product * problem.penalty(theta)
    if poison.sets:
        reach = max(float(np.linalg.norm(r.center)) + r.reach for r in poison.sets)
        off = product * (norm_w * reach + size_b + 1.0)
        margin, steepness = 1.0 - worst, off
        steepness *= float(_steepest(problem.loss, np.float64(margin), np.float64(off)))
        error += poison.epsilon * (steepness + product * poison.outer(worst).value)
    return 2.0 * error


def _steepest(loss, margins, off):
    """Return the steepest slopes within a distance of margins: losses are convex."""
    ends = loss.derivative(margins - off), loss.derivative(margins + off)
    return np.maximum(np.abs(ends[0]), np.abs(ends[1]))


def lower_margin(problem: LossProblem, point: DualPoint, scores: np.ndarray) -> float:
    """Return twice what rounding can have added to the dual value of a point.

    The scores say what a wrong entry of z for a free intercept comes to.
    """
    even = problem.balanced(point)
    if even is None:
        return 0.0
    poison, stiffness = problem.poison, problem.stiffness
    total = relative_error(len(problem.rows) + 2)
    product = relative_error(problem.rows.dim)
    sizes = np.sqrt(problem.rows.squared_norms()) + 1.0
    moved = total * float((problem.weights * np.abs(even.slopes)) @ sizes)
    mass = float(problem.weights @ np.abs(problem.loss.conjugate(even.slopes)))
    if poison:
        slope = poison.epsilon * even.poison_slope
        reach = max(float(np.linalg.norm(r.center)) + r.reach for r in poison.sets)
        moved += product * slope * (reach + 1.0)
        mass += slope + abs(poison.dual_mass(even.poison, even.poison_slope))
    z = problem.dual_sum(even)
    error = total * mass + product * problem.conjugate(z)
    least = float(stiffness[stiffness > 0.0].min())
    length = float(np.linalg.norm(z[stiffness > 0.0]))
    error += (length * moved + 0.5 * moved * moved) / least
    if problem.has_free_intercept:
        # What is left in z is as much of one row's slope, whose margin that costs.
        error += (moved + abs(float(z[-1]))) * (2.0 * float(np.abs(scores).max()) + 1.0)
    return 2.0 * error
