"""Rows on the limit of their set, which rounding can put beyond it."""

import numpy as np

# Steps by which a row on the boundary is moved inwards until the filter keeps it.
SHRINKS = (1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5)


def shrink_until_kept(sets, points, keeps, dtype):
    """Move points inwards until the filter keeps them in the precision of the data.

    Parameters
    ----------
    sets : list of SphereSlab
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
