"""The hull: its support function is the Lagrangian dual. Projections onto it.

See docs/mathematics.md, section "The hull relaxation".
"""

from typing import NamedTuple

import numpy as np

from skpoison.feasible._base import FeasibleRegion
from skpoison.feasible.discrete._mixtures import can_mix, mixture

_MAX_STEPS, _MAX_TRIALS = 80, 40
_TOLERANCE = 1e-11
# A search along a step ends where the slope has fallen to this share.
_FLATTENING = 0.5
_DAMPING = 1e-9
# Steps towards a row of largest value are so many times the hull's reach.
_STRIDE, _MAX_STRIDES = 30.0, 60


class HullProjection(NamedTuple):
    """A projection onto the hull, and its derivative.

    The derivative is ``diag(diagonal) - sum(outer(v, v))`` over `vectors`.

    Parameters
    ----------
    point : ndarray of shape (n_features,)
        The nearest point.
    diagonal : ndarray of shape (n_features,)
        How far each feature follows.
    vectors : list of ndarray of shape (n_features,)
        Directions in which it does not.
    multipliers : tuple of two floats
        Of the sphere and of the slab; they start the next projection well.
    """

    point: np.ndarray
    diagonal: np.ndarray
    vectors: list
    multipliers: tuple


class Hull(FeasibleRegion):
    """Means of mixtures of rows of a domain that pass sphere and slab on average.

    The set is convex and holds the rows of :class:`RestrictedSet`. Its maximum of a
    linear function is the bound of Lagrangian duality for these rows, before any
    branching; where the rows' set is convex, the two are the same.

    Parameters
    ----------
    rows : RestrictedSet
        The rows, of a domain without one-hot groups.
    """

    def __init__(self, rows):
        if not can_mix(rows._parts):
            raise ValueError(
                "A domain with one-hot groups (`groups`) has no gradients to follow; "
                "use MinMaxAttack or KKTAttack."
            )
        self.rows, self.parts = rows, rows._parts
        self.center, self.radius = rows.center, rows.radius
        direction = rows.direction
        self.direction = np.zeros_like(rows.center) if direction is None else direction
        self.lower, self.upper = rows.lower, rows.upper

    @property
    def reach(self):
        """No point of the hull is farther from the center."""
        return self.rows.reach

    @property
    def scale(self):
        """The reach, or 1 if that is 0: what errors are relative to."""
        return self.reach or 1.0

    def bound(self, a, start=None, tol=1e-12):
        """Bound the maximum of ``a @ x``, without looking for a point.

        Returns the bound and multipliers of sphere and slab, for a scaled to norm 1.
        """
        return self.rows.bound(a, start=start, tol=tol)

    def support(self, a):
        value, point = self.bound(a)[0], self.projection(self.center).point
        norm = float(np.linalg.norm(a))
        if not norm > 0:
            return value, point
        # The proximal point method: each step goes on where the last one ended.
        for _ in range(_MAX_STRIDES):
            last, point = point, self.projection(_far(point, a, self.scale)).point
            if a @ (point - last) <= _TOLERANCE * norm * self.scale:
                break
        return value, point

    def contains(self, X, tol=0.0):
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(X, dtype=np.float64)
        distance = np.linalg.norm(self.project(X) - X, axis=1)
        return distance <= tol + 1e-9 * self.scale

    def shrink(self, x, margin):
        return self.rows._towards_inside(x, margin)

    def projection(self, x, start=None):
        """Return the nearest point of the hull to x (n_features,)."""
        at = _nearest(self, x - self.center, *(start or (0.0, 0.0)))
        nearest = at.mixture
        vectors = list(nearest.normals)
        vectors += _orthonormal(at.pushes(), at.follow(at.pushes()))
        point = nearest.z + self.center
        return HullProjection(point, nearest.stiffness, vectors, (at.lam, at.nu))


def _far(point, a, scale):
    return point + (_STRIDE * scale / np.linalg.norm(a)) * np.asarray(a)


def _orthonormal(pushes, followed):
    """Write ``J G (G' J G)^-1 G' J`` as a sum of outer products."""
    if not len(pushes):
        return []
    values, basis = np.linalg.eigh(followed @ pushes.T)
    kept = values > 1e-12 * max(values[-1], 0.0)
    return list((basis[:, kept] / np.sqrt(values[kept])).T @ followed)


class _Multipliers:
    """The dual of a projection at multipliers of sphere and slab.

    `side` tells which end of the slab counts: -1, 1, or 0 for none.
    """

    def __init__(self, hull, q, lam, nu, side):
        self.hull, self.q, self.side = hull, q, side
        self.lam, self.nu = lam, nu
        v = hull.direction
        self.mixture = mixture(hull.parts, q - nu * v if nu else q, lam)
        self.offset = float(v @ self.mixture.z)
        end = hull.upper if side > 0 else hull.lower
        excess = self.mixture.square - hull.radius**2
        self.slope = np.array([excess, self.offset - end if side else 0.0])

    def moves(self):
        """Which multipliers are free to move: not those that a bound stops."""
        down = self.lam > 0 or self.slope[0] > 0
        along = self.side * self.nu > 0 or self.side * self.slope[1] > 0
        return np.array([down, along])

    def error(self):
        """How far sphere and slab are from complementary slackness."""
        reach = self.hull.scale
        share = np.where(self.moves(), self.slope, 0.0) / (reach * reach, reach)
        return float(np.abs(share).max())

    def follow(self, directions):
        """How the mixture's mean follows if the point moves in some directions."""
        moved = self.mixture.stiffness * directions
        for normal in self.mixture.normals:
            moved -= np.multiply.outer(directions @ normal, normal)
        return moved

    def pushes(self):
        """Gradients of sphere and slab, where they hold the mixture back."""
        gradients = [self.mixture.slope] if self.lam > 0 else []
        if self.nu != 0:
            gradients.append(self.hull.direction)
        return np.array(gradients).reshape(-1, len(self.q))

    def newton(self):
        """Return Newton's step, cut where a multiplier ends or grows too far."""
        gradients = np.array([self.mixture.slope, self.hull.direction])
        hessian = self.follow(gradients) @ gradients.T
        reach = self.hull.scale
        # The multiplier of the sphere divides what features follow.
        damping = _DAMPING / (1.0 + self.lam)
        hessian[np.diag_indices(2)] += damping * np.array([reach * reach, 1.0])
        moves = self.moves()
        step = _solve(hessian, self.slope, moves)
        stopped = self._ends(step) == 0.0
        if (moves & stopped).any():
            step = _solve(hessian, self.slope, moves & ~stopped)
        step = step * self._lengthening()
        return step * min(1.0, self._ends(step).min())

    def _lengthening(self):
        """How much longer Newton's step is for the distance's inverse than its square.

        The inverse is nearly linear in the sphere's multiplier, far outside as well.
        """
        square, radius = self.mixture.square, self.hull.radius
        if not (self.slope[0] > 0.0 and radius > 0.0):
            return 1.0
        return 2.0 * square / (radius * (radius + np.sqrt(square)))

    def _ends(self, step):
        """Share of a step at which each multiplier ends, or grows too far."""
        most = max(3.0 * self.lam, 0.5), max(3.0 * abs(self.nu), self.hull.scale)
        ends = most / np.maximum(np.abs(step), 1e-300)
        if step[0] < 0:
            ends[0] = min(ends[0], self.lam / -step[0])
        if self.side * step[1] < 0:
            ends[1] = min(ends[1], abs(self.nu / step[1]))
        return ends

    def moved(self, step, length):
        """Return the dual further along a step."""
        lam, nu = _sum(self.lam, length * step[0]), _sum(self.nu, length * step[1])
        return _Multipliers(self.hull, self.q, lam, nu, self.side)


def _sum(value, change):
    """Add; what rounding leaves of a difference is zero."""
    total = value + change
    return 0.0 if abs(total) <= 1e-15 * abs(value) else total


def _solve(hessian, slope, moves):
    """Newton's step for the multipliers that move."""
    hessian = np.where(np.outer(moves, moves), hessian, np.eye(2))
    return np.linalg.solve(hessian, np.where(moves, slope, 0.0))


def _nearest(hull, q, lam, nu):
    """Find the multipliers of a projection: with the slab's end, or with neither."""
    if nu != 0:
        at = _ascend(_Multipliers(hull, q, lam, nu, np.sign(nu)))
        if at.nu != 0:
            return at
        lam = at.lam
    at = _ascend(_Multipliers(hull, q, lam, 0.0, 0))
    if hull.lower <= at.offset <= hull.upper:
        return at
    side = 1 if at.offset > hull.upper else -1
    return _ascend(_Multipliers(hull, q, at.lam, 0.0, side))


def _ascend(at):
    """Maximize the dual, which is concave with piecewise linear slopes."""
    for _ in range(_MAX_STEPS):
        if at.error() <= _TOLERANCE:
            break
        step = at.newton()
        rise = float(at.slope @ step)
        if rise <= 0.0:
            break
        at = _line_search(at, step, rise)
    return at


def _line_search(at, step, rise):
    """Go along a step to where the dual is nearly flat, or to its end."""
    inside, outside, length = 0.0, 1.0, 1.0
    slopes = [rise, -np.inf]
    for trial in range(_MAX_TRIALS):
        there = at.moved(step, length)
        slope = float(there.slope @ step)
        if abs(slope) <= _FLATTENING * rise or (length == 1.0 and slope > 0.0):
            break
        if slope > 0.0:
            inside, slopes[0] = length, slope
        else:
            outside, slopes[1] = length, slope
        share = slopes[0] / (slopes[0] - slopes[1])
        share = min(max(share, 0.05), 0.95) if trial % 3 < 2 else 0.5
        length = inside + share * (outside - inside)
    return there
