"""The bound for learners with other losses than the hinge, or other intercepts."""

from dataclasses import replace

import numpy as np

from skpoison._residual_losses import ConcomitantHuber
from skpoison._whole_rows import n_poison_rows
from skpoison.bounds._candidate_attack import build_attack
from skpoison.bounds._projected import moved_inside, widened
from skpoison.bounds._result import CertifiedValues, Result
from skpoison.bounds._rounding import relative_error
from skpoison.feasible.discrete import Hull
from skpoison.solvers import _learned_scale, _loss_newton
from skpoison.solvers._centering import (
    CenteredRows,
    centered,
    moved_back,
    moved_sets,
)
from skpoison.solvers._learned_scale import HuberProblem
from skpoison.solvers._loss_newton import start_at
from skpoison.solvers._loss_problem import DualPoint, LossProblem
from skpoison.solvers._worst_rows import NO_PIECES, WorstRows

MAX_STEPS = 1000


def prepare(objective, rows, weights, pieces=NO_PIECES, *, epsilon=0.0, targets=None):
    """Return the problem of a learner that faces an attacker, or, by default, none.

    Clean rows, the weight of each (n_samples,), what the attacker can send, and, in
    regression, the targets (n_samples,).
    """
    n_rows = len(rows)
    n_trained = n_rows + n_poison_rows(epsilon, n_rows)
    loss = objective.loss
    if np.isinf(objective.intercept) and not any(
        isinstance(one, Hull) for one in pieces.sets
    ):
        rows = centered(rows)
        pieces = pieces._replace(sets=moved_sets(pieces.sets, rows))
    kind = HuberProblem if isinstance(loss, ConcomitantHuber) else LossProblem
    return kind(
        rows,
        weights / n_rows,
        WorstRows(epsilon, loss, pieces),
        loss,
        objective.stiffness(rows.dim - 1, n_rows, n_trained),
        targets,
    )


def minimize(problem, *, max_iter, start, **options):
    """Minimize the bound, from a solution for another share of poison if given."""
    first = None if start is None else start.iterate
    return _solve(problem, max_iter=max_iter or MAX_STEPS, start=first, **options)


def _solve(problem, **options):
    learned = isinstance(problem, HuberProblem)
    return (_learned_scale if learned else _loss_newton).solve(problem, **options)


def settled(problem, found):
    """Return a solved problem, with the loss as it was learned where it is."""
    loss = getattr(found, "loss", None)
    return problem if loss is None else problem.with_loss(loss)


def train(problem, theta, *, tol, rng):
    """Train a learner on rows that are there, from parameters."""
    start = start_at(problem, theta)
    return _solve(problem, tol=tol, max_iter=MAX_STEPS, rng=rng, start=start)


def certify(problem, found, objective, X, keeps, *, tol, rng):
    """Evaluate a solution, and round its dual point to an attack in whole rows.

    `X` are the clean rows as they came; `keeps` says which rows, given with the signs
    of their labels or with their targets, the filter keeps.
    """
    problem, found = settled(problem, found), _inside(problem, found)
    rows = problem.rows

    def passes(points, signs):
        return keeps(moved_back(points, rows), signs)

    attack = build_attack(problem, found, X.shape[0], passes, _precision(rows, X))
    sent = moved_back(attack.points, rows)
    if isinstance(rows, CenteredRows):  # the learner gets them as they are sent
        sent = sent.astype(X.dtype).astype(np.float64)
        attack = attack._replace(points=sent - rows.frame.offset)
    trained = _poisoned(problem, objective, attack)
    retrained = train(trained, found.best_primal.theta, tol=tol, rng=rng)
    best = _certificate(problem, found, X)
    attack = attack._replace(points=sent)
    return Result(found, problem, best, attack, retrained, {})


def _precision(rows, X):
    """Points less an offset are rounded when they are moved back."""
    return np.float64 if isinstance(rows, CenteredRows) else X.dtype


def _inside(problem, found):
    """Return a solution whose dual points are inside the attacker's sets."""
    dual = found.best_dual
    poison = moved_inside(problem.poison.sets, dual.poison)
    return replace(found, best_dual=replace(dual, poison=poison))


def _poisoned(problem, objective, attack):
    """Return the problem of training on the clean rows and an attack."""
    n_rows, targets = len(problem.rows), problem.targets
    labels, pieces = attack.signs, problem.poison.pieces
    if targets is not None:
        attack = attack._replace(signs=np.ones(len(labels)))
        targets = np.append(targets, labels)
    places = [np.flatnonzero(pieces.labels == label)[0] for label in labels]
    each = pieces.weights[np.array(places, dtype=int)]
    n_trained = n_rows + int(attack.copies.sum())
    return problem._replace(
        rows=_joined(attack.behind(problem.rows)),
        weights=np.append(problem.weights, each * attack.copies / n_rows),
        poison=WorstRows(0.0, problem.loss, NO_PIECES),
        stiffness=objective.stiffness(problem.rows.dim - 1, n_rows, n_trained),
        targets=targets,
    )


def _joined(rows):
    """Return sparse rows in one matrix, which costs less than products with two."""
    return rows.rows.joined(rows.more) if rows.is_sparse else rows


def _certificate(problem, found, X):
    """Widen the sets by the filter's own rounding, and the bound by the sums'."""
    theta, poison = found.best_primal.theta, problem.poison
    at = problem.margins(theta)
    # Filters round rows as they are, not less an offset.
    sets = moved_sets(poison.sets, problem.rows, back=True)
    wider = moved_sets([widened(rows, X) for rows in sets], problem.rows)
    wider = poison.over(wider)
    clean_loss = float(problem.weights @ problem.loss.value(at))
    poison_loss = wider.largest_loss(theta)
    upper = clean_loss + poison.epsilon * poison_loss + problem.penalty(theta)
    upper = float(upper + upper_margin(problem, wider, theta, at))
    lower = problem.lower(found.best_dual.dual_point)
    lower -= lower_margin(problem, found.best_dual.dual_point, at)
    theta = problem.rows.parameters(theta)
    return CertifiedValues(theta, clean_loss, poison_loss, upper, max(lower, 0.0))


def upper_margin(problem, poison, theta, at):
    """Return twice what rounding can have taken from the bound at parameters."""
    n_rows, dim = len(problem.rows), problem.rows.dim
    total, product = relative_error(n_rows + 2), relative_error(dim)
    norm_w, size_b = float(np.linalg.norm(theta[:-1])), abs(float(theta[-1]))
    # The intercept of rows far away is much larger, and rounded.
    size_b += abs(float(problem.rows.parameters(theta)[-1])) / dim
    off = norm_w * np.sqrt(problem.rows.squared_norms()) + size_b + 1.0
    off = product * (off + (0.0 if problem.targets is None else abs(problem.targets)))
    error = float(problem.weights @ (_steepest(problem.loss, at, off) * off))
    error += total * float(problem.weights @ problem.loss.value(at))
    error += product * problem.penalty(theta)
    error += poison_upper_margin(poison, theta, product)
    return 2.0 * error


def poison_upper_margin(poison, theta, product):
    """Return what rounding can have taken from the poison's term at parameters."""
    if not poison.sets:
        return 0.0
    pieces, worst = poison.pieces, poison.largest_shortfalls(theta)
    norm_w, size_b = float(np.linalg.norm(theta[:-1])), abs(float(theta[-1]))
    off = norm_w * _reach(poison) + size_b + 1.0 + np.abs(pieces.levels)
    off = product * off
    steepness = _steepest(poison.loss, poison.anchor - worst, off)
    each = pieces.weights * steepness * off
    error = poison.epsilon * float(each.max())
    return error + poison.epsilon * product * poison.largest_loss(theta)


def _reach(poison):
    """No row of the attacker's is farther from the origin."""
    return max(float(np.linalg.norm(rows.center)) + rows.reach for rows in poison.sets)


def _steepest(loss, margins, off):
    """Return the steepest slopes within a distance of margins: losses are convex."""
    ends = loss.derivative(margins - off), loss.derivative(margins + off)
    return np.maximum(np.abs(ends[0]), np.abs(ends[1]))


def lower_margin(problem: LossProblem, point: DualPoint, at: np.ndarray) -> float:
    """Return twice what rounding can have added to the dual value of a point.

    The margins say what a wrong entry of z for a free intercept comes to.
    """
    even = problem.balanced(point)
    if even is None:
        return 0.0
    poison, stiffness = problem.poison, problem.stiffness
    total = relative_error(len(problem.rows) + 2)
    product = relative_error(problem.rows.dim)
    sizes = np.sqrt(problem.rows.squared_norms()) + 1.0
    slopes = problem.weights * np.abs(even.slopes)
    moved = total * float(slopes @ sizes)
    mass = float(problem.weights @ np.abs(problem.loss.conjugate(even.slopes)))
    if problem.targets is not None:
        mass += float(slopes @ np.abs(problem.targets))
    if poison:
        more = poison_lower_margin(poison, even.poison, even.poison_slopes, product)
        moved, mass = moved + more[0], mass + more[1]
    z = problem.dual_sum(even)
    error = total * mass + product * problem.conjugate(z)
    least = float(stiffness[stiffness > 0.0].min())
    length = float(np.linalg.norm(z[stiffness > 0.0]))
    error += (length * moved + 0.5 * moved * moved) / least
    if problem.has_free_intercept:
        # What is left in z is as much of one row's slope, whose margin that costs.
        error += (moved + abs(float(z[-1]))) * (2.0 * float(np.abs(at).max()) + 1.0)
    return 2.0 * error


def poison_lower_margin(poison, points, slopes, product):
    """Return the poison's part of what z can be off by, and of the masses' sizes."""
    slope = poison.epsilon * float(points.beta @ slopes)
    size = np.abs(slopes * poison.pieces.levels)
    size += np.abs(poison.outer_conjugates(slopes))
    mass = slope + poison.epsilon * float(points.beta @ size)
    return product * slope * (_reach(poison) + 1.0), mass
