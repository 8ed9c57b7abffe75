"""Rows on the limit of their set, which rounding can put beyond it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from skpoison.feasible._base import FeasibleRegion

# Steps by which a row on the boundary is moved inwards until the filter keeps it.
SHRINKS = (1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5)
# The filter is asked about all steps at once where points are no more than these: a
# question then costs more than the rows that it is about.
FEW = 8


def shrink_until_kept(
    sets: list[FeasibleRegion],
    points: np.ndarray,
    keeps: Callable[[np.ndarray, np.ndarray], np.ndarray],
    dtype: DTypeLike,
) -> tuple[np.ndarray, np.ndarray]:
    """Move points inwards until the filter keeps them in the precision of the data.

    Parameters
    ----------
    sets : list of FeasibleRegion
        The feasible set of each point.
    points : ndarray of shape (n_points, n_features)
        Points of the sets, perhaps on their boundary.
    keeps : callable
        Says which rows the filter keeps, given these and the places of the points that
        they come from.
    dtype : dtype
        Precision in which the rows will be used.

    Returns
    -------
    rows : ndarray of shape (n_points, n_features), dtype=float64
        The moved points, rounded to `dtype`.
    kept : ndarray of shape (n_points,), dtype=bool
        Which of them the filter keeps.
    """
    rows, kept = np.array(points, dtype=np.float64), np.zeros(len(points), dtype=bool)
    steps = (0.0, *SHRINKS)
    for together in [steps] if len(points) <= FEW else [(step,) for step in steps]:
        left = np.flatnonzero(~kept)
        if not len(left):
            break
        tried = np.array([_moved(sets, points, left, step) for step in together])
        tried = tried.astype(dtype).astype(np.float64)
        places = np.tile(left, len(together))
        passes = keeps(tried.reshape(len(places), -1), places)
        passes = np.asarray(passes).reshape(len(together), -1)
        kept[left] = passes.any(axis=0)
        # The first step that is long enough; where none is, the last one.
        first = np.where(kept[left], passes.argmax(axis=0), len(together) - 1)
        rows[left] = tried[first, np.arange(len(left))]
    return rows, kept


def _moved(sets, points, places, step):
    """Return some points, moved inwards by a share of the way."""
    if step == 0.0:
        return points[places]
    return np.array([sets[i].shrink(points[i], step) for i in places])
