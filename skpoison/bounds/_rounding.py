"""Floating-point error bounds for the values reported.

Standard model of floating-point arithmetic: a sum of k products is wrong by at most
``k u / (1 - k u)`` times the sum of the products' sizes, whatever the order of
summation, u being half the distance from 1 to the next number. `SPARE` stands for the
few operations besides.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison.solvers._regularizers import NormBall

UNIT = 0.5 * np.finfo(np.float64).eps
SPARE, FEW = 16, 4
# A filter's sums over the stored entries of sparse rows drop remainders this small.
DROPPED = 128
# Distances of float32 rows count as they are where rounding the centroid to float32
# moves them by no more than this share.
ROUNDED_CENTER = 2.0**-22


class Margins(NamedTuple):
    """How much rounding can have lowered the upper bound, and raised the lower one.

    Parameters
    ----------
    upper, lower : float
        The margins.
    """

    upper: float
    lower: float


def relative_error(n_terms, unit=UNIT, spare=SPARE):
    """Bound the error of a sum of products relative to the sum of their sizes."""
    share = (n_terms + spare) * unit
    return share / (1.0 - share)


def margins(problem, theta, lower, reach=None, at=None):
    """Return margins for the bounds of a solved problem, whose weights sum to 1.

    The upper one is twice what rounding can have done, so that the loss of a training,
    computed with the same error, does not exceed the bound. Without `reach`, the
    largest norm of a poison row, the attacker's sets are asked; `at` holds the
    parameters for rows from which an offset was subtracted.
    """
    poison, learner = problem.poison, problem.learner
    size = _root_mean_square(problem.rows, problem.weights)
    # The dual's value is a mass, at most 1 + epsilon, less the conjugate.
    conjugate = max(1.0 + poison.epsilon - lower, 0.0)
    n_rows, dim = len(problem.rows), problem.rows.dim
    product, total = relative_error(dim), relative_error(n_rows + 2)
    at = theta if at is None else at
    norm_w, size_b = float(np.linalg.norm(at[:-1])), abs(float(at[-1]))
    if reach is None:
        reach = max((_reach(rows) for rows in poison.sets), default=0.0)
    clean = norm_w * size + size_b + 1.0
    worst = norm_w * reach + size_b + 1.0
    upper = product * (clean + poison.epsilon * worst) + total * clean
    upper += product * learner.value(theta)
    below = total * (1.0 + poison.epsilon)
    # Errors of z: the sum over rows, and points on the limits of their sets.
    moved = total * (size + 1.0) + product * poison.epsilon * (reach + 1.0)
    if isinstance(learner, NormBall):
        # Parameters beyond the ball are shortened, towards the loss at zero.
        excess = max(float(np.linalg.norm(theta)) / learner.rho - 1.0, 0.0)
        upper += (excess + product) * (1.0 + poison.epsilon)
        below += learner.rho * moved
    else:
        slope = np.sqrt(2.0 * conjugate / learner.kappa)
        below += slope * moved + moved * moved / (2.0 * learner.kappa)
    below += product * conjugate
    return Margins(2.0 * float(upper), 2.0 * float(below))


def _root_mean_square(rows, weights):
    """At least the mean of the rows' norms."""
    if getattr(rows, "square_sum", None) is not None and weights.min() == weights.max():
        error = relative_error(rows.X.size)
        return float(np.sqrt(weights[0] * rows.square_sum * (1.0 + error)))
    return float(np.sqrt(weights @ rows.squared_norms()))


def _reach(rows):
    """No row of a set is farther from the origin."""
    return float(np.linalg.norm(rows.center)) + rows.reach


def judged(rows, X):
    """Widen a set until it holds every row that the filter keeps, rounding included.

    The filter judges rows in the form of X.
    """
    return rows.widened(*slack(rows.reach, float(np.linalg.norm(rows.center)), X))


def slack(radius, size, X):
    """Return by how much a filter can mistake distances and offsets along the slab."""
    n_features = X.shape[1]
    if sparse.issparse(X):
        # Sums are in double precision; what stored entries leave of the centroid is a
        # difference of squares.
        error = relative_error(n_features + DROPPED)
        square = radius**2 + error * (radius**2 + 2.0 * size**2)
        return np.sqrt(square) - radius, error * (radius + 2.0 * size)
    unit = 0.5 * np.finfo(X.dtype).eps
    # The square of a distance has twice its relative error.
    distance = relative_error(0.5 * n_features, unit, FEW) * radius
    offset = relative_error(n_features, unit, FEW) * radius
    if X.dtype != np.float64:
        distance += min(ROUNDED_CENTER * radius, unit * size)
    return distance, offset
