"""Rows of the attacker's that can be projected on, restricted to a domain or not.

A domain that is convex restricts them to a convex set, which is its own Lagrangian
hull: that can be projected on. What the hinge loss has beside (whole numbers, norms of
1) needs rows to be found around points of a larger hull.
"""

from skpoison.bounds._rounding import judged
from skpoison.feasible import RestrictedSet
from skpoison.feasible.discrete import Hull
from skpoison.solvers._adversary import PoisonPoints

# The last step leads to a row that is known to be inside.
SHRINKS = (0.0, *(10.0**-k for k in range(12, 0, -1)), 1.0)


def projected(rows):
    """Return a set with projections that holds the same rows; None where none does."""
    if isinstance(rows, RestrictedSet):
        return rows.hull() if rows.is_convex else None
    return rows if rows.is_differentiable else None


def widened(rows, X):
    """Return a set with all rows that a filter keeps, its rounding included."""
    if isinstance(rows, Hull):
        return judged(rows.rows, X).hull()
    return judged(rows, X)


def moved_inside(sets, poison):
    """Move points that lie on the limits of their sets inwards until they are inside.

    Projections on hulls end within a tolerance of them, on either side.
    """
    points = poison.points.copy()
    for point, rows in zip(points, sets, strict=True):
        if isinstance(rows, Hull):
            point[:] = inside(rows.rows, point)
    return PoisonPoints(poison.beta, points)


def inside(rows, point):
    """Return a point of a convex set near one that need not quite be in it.

    Points near a set that is not convex stay.
    """
    if not rows.is_convex:
        return point
    for margin in SHRINKS:
        # Within its bounds exactly: they have a tolerance, features any scale.
        moved = rows.columns.clipped(rows.shrink(point, margin) if margin else point)
        if rows.contains([moved])[0]:
            break
    return moved
