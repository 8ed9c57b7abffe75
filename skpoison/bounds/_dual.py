"""The dual point of a bound, as certificate files hold it."""

import math
from typing import Any, NamedTuple

import numpy as np

from skpoison._residual_losses import (
    ConcomitantHuber,
    EpsilonInsensitive,
    Huber,
    SquaredEpsilonInsensitive,
    SquaredError,
)
from skpoison.bounds._result import Result
from skpoison.bounds.moving._certificate import MovingDual, dual_of_training
from skpoison.bounds.moving._cutting_plane import Training
from skpoison.losses import Hinge, Logistic, ModifiedHuber, Squared, SquaredHinge
from skpoison.solvers._centering import among_rows, moved_back
from skpoison.solvers._learned_scale import HuberProblem
from skpoison.solvers._loss_problem import DualPoint, LossProblem
from skpoison.solvers._working_set import Problem

# The losses that the verifier knows.
NAMES: dict[type, str] = {
    Hinge: "hinge",
    SquaredHinge: "squared_hinge",
    ModifiedHuber: "modified_huber",
    Logistic: "logistic",
    Squared: "squared",
    SquaredError: "squared_error",
    EpsilonInsensitive: "epsilon_insensitive",
    SquaredEpsilonInsensitive: "squared_epsilon_insensitive",
    Huber: "huber",
    ConcomitantHuber: "concomitant_huber",
}
# Poison weighs this share less than it may.
LIGHTER = 1e-13
# Slopes of a loss whose scale is learned are smaller by this share.
SMALLER = 1e-11
# Where masses have to cancel exactly they are multiples of this share of the largest.
GRID = 2.0**-44


class Dual(NamedTuple):
    """A point of the dual: masses of the rows and of poison rows, times n."""

    row_masses: np.ndarray  # (n_samples,)
    points: Any  # (n_points, n_features), dense or sparse
    labels: np.ndarray  # (n_points,): signs, or targets
    poison_masses: np.ndarray  # (n_points,)
    poison_slopes: np.ndarray  # (n_points,): of the loss, by the margin or the error


def dual_of(result: Any) -> Dual | MovingDual | None:
    """Return the dual point of a solution; None where no file holds its proof."""
    if not isinstance(result, Result):
        return None
    problem, found = result.problem, result.found
    if isinstance(found, Training):
        return dual_of_training(found)
    if isinstance(problem, Problem):
        return _dual_of_hinge(problem, found)
    if isinstance(problem, HuberProblem):
        return _dual_of_huber(problem, found)
    if type(problem) is LossProblem and type(problem.loss) in NAMES:
        return _dual_of_loss(problem, found)
    return None


def _dual_of_hinge(problem, found):
    problem, found = among_rows(problem, found)
    point, term = found.best_dual, found.term or problem.poison
    poison, n_rows = point.poison, len(problem.rows)
    if not hasattr(term, "signs"):
        return None
    masses = problem.poison.epsilon * n_rows * poison.beta
    slopes = np.ones(len(masses))
    return Dual(point.duals, poison.points, term.signs, masses, slopes)


def _dual_of_loss(problem, found):
    point = problem.balanced(found.best_dual.dual_point)
    n_rows, pieces = len(problem.rows), problem.poison.pieces
    if point is None:  # no point in reach has a finite value: 0 is the bound
        point = DualPoint(np.zeros(n_rows), *found.best_dual.dual_point[1:])
        point = point._replace(poison_slopes=np.zeros(len(pieces.labels)))
    row_masses = n_rows * problem.weights * point.slopes
    if not problem.poison:
        none = np.zeros(0)
        return Dual(row_masses, np.zeros((0, problem.rows.dim - 1)), none, none, none)
    rising = pieces.levels if problem.targets is None else pieces.directions
    slopes = rising * point.poison_slopes
    masses = problem.poison.epsilon * n_rows * point.poison.beta * slopes
    points = moved_back(point.poison.points, problem.rows)
    own = rising * problem.poison.own_slopes(point.poison_slopes)
    return Dual(row_masses, points, pieces.labels, masses, own)


def _dual_of_huber(problem, found):
    """Return the dual point with slopes so small that the scale does not matter."""
    dual = _dual_of_loss(problem, found)
    even = problem.balanced(found.best_dual.dual_point)
    share = 0.0 if even is None else problem.best_share(even)[0] * (1.0 - SMALLER)
    return dual._replace(
        row_masses=share * dual.row_masses,
        poison_masses=share * dual.poison_masses,
        poison_slopes=share * dual.poison_slopes,
    )


def lightened(dual: Dual) -> Dual:
    """Leave out poison that weighs nothing, and leave room for rounding in the rest."""
    used = (dual.poison_masses != 0.0) & (dual.poison_slopes != 0.0)
    used = np.flatnonzero(used)
    return Dual(
        dual.row_masses,
        dual.points[used],
        dual.labels[used],
        (1.0 - LIGHTER) * dual.poison_masses[used],
        dual.poison_slopes[used],
    )


def balanced(
    dual: Dual, signs: np.ndarray, weights: np.ndarray, slope_range: tuple
) -> Dual:
    """Make the signed masses cancel exactly, which a free intercept demands.

    Masses on a grid have a sum that is on it, too, and that one row can take.
    """
    if not dual.row_masses.any():
        return dual
    grid = GRID * 2.0 ** np.floor(np.log2(np.abs(dual.row_masses).max()))
    masses = grid * np.trunc(dual.row_masses / grid)
    poisoned = grid * np.trunc(dual.poison_masses / grid)
    # In regression, all scores count with the same sign.
    others = dual.labels if (signs < 0.0).any() else np.ones(len(poisoned))
    excess = math.fsum(np.concatenate([signs * masses, others * poisoned]))
    least, most = slope_range
    slack = np.minimum(masses - least * weights, most * weights - masses)
    widest = int(np.argmax(np.where(weights > 0.0, slack, 0.0)))
    masses[widest] -= signs[widest] * excess
    used = np.flatnonzero(poisoned)
    return Dual(
        masses,
        dual.points[used],
        dual.labels[used],
        poisoned[used],
        dual.poison_slopes[used],
    )
