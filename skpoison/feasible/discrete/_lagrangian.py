"""The Lagrangian of sphere and slab over a domain, part by part.

Everything is measured from the center: z = x - center. For multipliers lam of the
sphere and nu of the slab the best row maximizes
``a @ z - nu * (v @ z) - lam * (z @ z)`` over the domain, which splits into features,
one-hot groups and one block of unit norm. The dual, its value at the best row plus
lam times the squared radius plus the slab's end times nu, is convex in the
multipliers, and a valid bound at any of them.
See docs/mathematics.md, section "Lagrangian bounds and branch and bound".
"""

from copy import copy
from typing import NamedTuple

import numpy as np


class Sums(NamedTuple):
    """What the Lagrangian needs of a row.

    Parameters
    ----------
    gain : float
        The linear function, ``a @ z``.
    offset : float
        ``v @ z``, along the direction of the slab.
    square : float
        ``z @ z``, the squared distance to the center.
    """

    gain: float
    offset: float
    square: float


class Lagrangian:
    """The Lagrangian of one linear function over one set.

    Parameters
    ----------
    parts : list
        The parts of the domain: `Features`, `OneHot`, `UnitNorm`.
    a : ndarray of shape (n_features,)
        The linear function, of norm 1 or 0.
    square : float
        The squared radius of the sphere; infinity where there is none.
    lower, upper : float
        The ends of the slab, measured from the center.
    curvature : float, default=0.0
        Maximize ``a @ z - curvature * (z @ z)`` instead of ``a @ z``.
    """

    def __init__(self, parts, a, square, lower, upper, curvature=0.0):
        self.parts = [part.aim(a) for part in parts]
        self.n_features = len(a)
        self.square = square
        self.lower, self.upper = lower, upper
        self.curvature = curvature
        self.fixed: tuple[float, ...] = (0.0, 0.0, 0.0)

    @property
    def limits(self):
        """What rows must satisfy: the square, and the ends of the slab."""
        return self.square, self.lower, self.upper

    @classmethod
    def nearest(cls, parts, n_features, limits):
        """Return the search for the row of domain and slab nearest to the center."""
        zero = np.zeros(n_features)
        return cls(parts, zero, np.inf, limits.lower, limits.upper, curvature=0.5)

    def restricted_to(self, parts, limits):
        """Return the problem on some of the parts, with the limits left for them."""
        problem = copy(self)
        problem.parts = list(parts)
        problem.square, problem.lower, problem.upper = limits
        if np.isinf(self.square):
            problem.square = np.inf
        return problem

    def screened(self, lams, nus):
        """Return the same problem for a range of multipliers, with fewer features."""
        problem = copy(self)
        found = [part.screened(lams, nus) for part in self.parts]
        problem.parts = [part for part, _ in found]
        fixed = [self.fixed, *(sums for _, sums in found)]
        problem.fixed = tuple(map(sum, zip(*fixed, strict=True)))
        return problem

    def sums(self, lam, nu):
        """Return the sums over the best row."""
        found = [self.fixed, *(self._part(part, lam, nu) for part in self.parts)]
        return Sums(*map(sum, zip(*found, strict=True)))

    def _part(self, part, lam, nu):
        z = part.respond(lam, nu)
        return float(part.a @ z), float(part.direction @ z), float(z @ z)

    def row(self, lam, nu):
        """Return the best row, as offsets from the center."""
        z = np.zeros(self.n_features)
        for part in self.parts:
            z[part.place] = part.respond(lam, nu)
        return z

    def rounded(self, z):
        """Return a row of the domain near to a row, as offsets from the center."""
        near = np.zeros(self.n_features)
        for part in self.parts:
            near[part.place] = part.round(z[part.place])
        return near

    def along(self, z):
        """Offset of a row along the direction of the slab."""
        return float(sum(part.direction @ z[part.place] for part in self.parts))

    def objective(self, z):
        """Value of a row."""
        gain = sum(part.a @ z[part.place] for part in self.parts)
        return float(gain - self.curvature * (z @ z))

    def cut(self, lam, nu):
        """Return the dual's value, its subgradient, and the sums over the best row."""
        sums = self.sums(lam, nu)
        end = self.end(nu, sums.offset)
        slack = 0.0 if np.isinf(self.square) else self.square - sums.square
        value = sums.gain - self.curvature * sums.square
        value += (lam - self.curvature) * slack
        if nu != 0.0:
            value += nu * (end - sums.offset)
        return value, (slack, end - sums.offset), sums

    def hessian(self, lam, nu):
        """Return second derivatives of the dual, None where it is piecewise linear."""
        first, mixed, second = np.sum(
            [part.curvature(lam, nu) for part in self.parts], axis=0
        )
        return ((first, mixed), (mixed, second)) if first > 0 else None

    def floor(self):
        """No row of the set has a lower value; a lower bound proves it empty."""
        if np.isinf(self.square):
            return -np.inf
        lowest = -np.sqrt(max(self.square, 0.0)) - self.curvature * self.square
        return lowest - 1e-9 * (1.0 + abs(lowest))

    def end(self, nu, offset):
        """The end of the slab that belongs to a multiplier; at 0, the nearer one."""
        if nu == 0.0:
            return min(max(offset, self.lower), self.upper)
        return self.upper if nu > 0 else self.lower

    def rounding(self, lam, nu, sums):
        """Bound the error of a value of the dual in floating point."""
        terms = np.sqrt(sums.square) * (1.0 + abs(nu)) + lam * sums.square
        if np.isfinite(self.square):
            terms += lam * self.square
        if nu != 0.0:
            terms += abs(nu) * abs(self.end(nu, 0.0))
        return np.finfo(float).eps * (self.n_features + 32) * terms
