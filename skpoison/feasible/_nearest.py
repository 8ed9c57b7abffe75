"""The nearest point of a convex set that is given by its support function."""

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import nnls

if TYPE_CHECKING:
    from skpoison.feasible._base import FeasibleRegion

MAX_STEPS = 300
TOLERANCE = 1e-12
# Weights below this share of the largest are none.
NOTHING = 1e-12


def nearest_by_support(rows: "FeasibleRegion", x: np.ndarray) -> np.ndarray:
    """Project by Wolfe's method: reweight the support's points after each new one."""
    if rows.contains([x])[0]:
        return x
    if not rows.is_bounded:
        raise ValueError(
            f"{type(rows).__name__} is unbounded and does not define project: the "
            "nearest point can be computed from the support of a bounded region only."
        )
    nearest = rows.support(x - rows.center)[1]
    points = nearest[np.newaxis]
    size = max(float(np.linalg.norm(x - rows.center)), rows.reach)
    for _ in range(MAX_STEPS):
        away = x - nearest
        value, point = rows.support(away)
        if value - away @ nearest <= TOLERANCE * size * size:
            break
        points = np.vstack([points, point])
        weights = _nearest_weights(points - x)
        used = weights > NOTHING
        points, weights = points[used], weights[used] / weights[used].sum()
        found = weights @ points
        if np.linalg.norm(x - found) >= np.linalg.norm(away):
            break  # rounding
        nearest = found
    return nearest


def _nearest_weights(points):
    """Return convex weights of the shortest combination.

    The sum of non-negative weights may be off by a squared penalty of any size: that
    scales them all alike.
    """
    size = float(np.linalg.norm(points, axis=1).max())
    matrix = np.vstack([points.T / size, np.ones(len(points))])
    weights, _ = nnls(matrix, np.append(np.zeros(points.shape[1]), 1.0))
    return weights / weights.sum()
