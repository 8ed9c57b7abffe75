"""Sets of which some features have few values and the others have any.

For each choice of the features with few values, what is left of ball and slab is a ball
and a slab of the others: a *slice* of the set. The set is the union of its slices, and
the largest value of a linear function that of the best slice, which is exact.
"""

from typing import NamedTuple

import numpy as np

from skpoison.feasible._ball_slab import SphereSlab
from skpoison.feasible._base import FeasibleRegion
from skpoison.feasible.discrete._listing import ROUNDING, list_choices

# A slab nearly across the free features has no sharp ends in them.
FLAT = 1e-6
# Points keep this distance from the limits, relative to the size of their slice.
INWARDS = 1e-9


class Embedded(NamedTuple):
    """A projection in the free features, as one in all of them.

    Parameters
    ----------
    point : ndarray of shape (n_features,)
        The nearest point.
    diagonal : ndarray of shape (n_features,)
        The Jacobian is ``diag(diagonal) - sum(outer(v, v))``
    vectors : list of ndarray of shape (n_features,)
        over these vectors.
    """

    point: np.ndarray
    diagonal: np.ndarray
    vectors: list


class Slice(FeasibleRegion):
    """The rows of a set that agree in the features with few values.

    Parameters
    ----------
    row : ndarray of shape (n_features,)
        The center of the slice.
    free : ndarray of int
        The other features.
    inner : SphereSlab
        What they can be.
    """

    def __init__(self, row, free, inner):
        super().__init__(row, inner.radius)
        self.free, self.inner = free, inner

    def _embedded(self, values, zeros=False):
        row = np.zeros_like(self.center) if zeros else self.center.copy()
        row[self.free] = values
        return row

    def support(self, a):
        value, point = self.inner.support(a[self.free])
        fixed = a @ self._embedded(0.0)
        return float(fixed) + value, self._embedded(point)

    def contains(self, X, tol=0.0):
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(X, dtype=np.float64)
        off = np.abs(np.delete(X - self.center, self.free, axis=1))
        return (off <= tol).all(axis=1) & self.inner.contains(X[:, self.free], tol)

    def projection(self, x):
        found = self.inner.projection(x[self.free])
        return Embedded(
            self._embedded(found.point),
            self._embedded(found.diagonal, zeros=True),
            [self._embedded(vector, zeros=True) for vector in found.vectors],
        )

    def shrink(self, x, margin):
        return self._embedded(self.inner.shrink(x[self.free], margin))


class Slices:
    """All slices of a set.

    Attributes
    ----------
    values : ndarray of shape (n_slices, n_fixed)
        The features with few values.
    radii, lower, upper : ndarray of shape (n_slices,)
        Ball and slab of the others.
    """

    def __init__(self, base, fixed, free, values):
        self.base, self.fixed, self.free = base, fixed, free
        moved = values - base.center[fixed]
        squares = base.radius**2 * (1.0 + ROUNDING)
        squares = squares - np.einsum("ij,ij->i", moved, moved)
        self.values, self.radii = values, np.sqrt(np.maximum(squares, 0.0))
        self.lower = np.full(len(values), -np.inf)
        self.upper = -self.lower
        self.direction = None
        if base.direction is not None:
            self._cut(moved)

    def _cut(self, moved):
        """Cut the slices at the ends of the slab, and leave out those beyond them."""
        base, across = self.base, self.base.direction[self.free]
        slope = float(np.linalg.norm(across))
        along = moved @ base.direction[self.fixed]
        self.direction = across / slope
        self.lower = (base.lower - along) / slope
        self.upper = (base.upper - along) / slope
        spare = ROUNDING * (1.0 + base.radius)
        meets = self.lower <= self.radii + spare
        meets &= self.upper >= -self.radii - spare
        for name in ("values", "radii", "lower", "upper"):
            setattr(self, name, getattr(self, name)[meets])
        self.lower = np.minimum(self.lower, self.radii)
        self.upper = np.maximum(self.upper, -self.radii)

    def __len__(self):
        return len(self.values)

    def largest(self, a):
        """Return the largest value of a linear function on each slice."""
        own = a[self.free]
        along = 0.0 if self.direction is None else float(self.direction @ own)
        across = own if self.direction is None else own - along * self.direction
        height = float(np.linalg.norm(across))
        norm = np.hypot(along, height)
        least = np.maximum(self.lower, -self.radii)
        most = np.minimum(self.upper, self.radii)
        t = np.clip(self.radii * (along / norm if norm > 0.0 else 0.0), least, most)
        s = np.sqrt(np.maximum((self.radii - t) * (self.radii + t), 0.0))
        level = self.values @ a[self.fixed] + own @ self.base.center[self.free]
        return level + t * along + s * height

    def region(self, k):
        """Return one of the slices."""
        row = self.base.center.copy()
        row[self.fixed] = self.values[k]
        ends = self.direction, self.lower[k], self.upper[k]
        return Slice(
            row, self.free, SphereSlab(row[self.free], float(self.radii[k]), *ends)
        )

    def shrink(self, x, margin):
        """Move a row inwards within its slice."""
        same = np.flatnonzero((self.values == x[self.fixed]).all(axis=1))
        return self.region(same[0]).shrink(x, margin) if len(same) else x


def slices_of(parts, columns, base):
    """Return the slices of a set; None where there are none, or too many.

    Parameters
    ----------
    parts : list of Features, OneHot or UnitNorm
        The domain, split into parts.
    columns : Columns
        The domain.
    base : SphereSlab
        Ball and slab.
    """
    free = np.flatnonzero(np.isneginf(columns.lower) & np.isposinf(columns.upper))
    free = np.setdiff1d(free, np.flatnonzero(columns.whole | columns.one_hot))
    whole = [part for part in parts if part.whole]
    n_fixed = sum(len(part.index) for part in whole)
    if not whole or not len(free) or n_fixed + len(free) < columns.n_features:
        return None
    if base.direction is not None and np.linalg.norm(base.direction[free]) < FLAT:
        return None
    ball = SphereSlab(base.center, base.radius)
    rows = list_choices(whole, ball) if base.is_bounded else None
    if rows is None:
        return None
    fixed = np.setdiff1d(np.arange(columns.n_features), free)
    return Slices(base, fixed, free, rows[:, fixed])
