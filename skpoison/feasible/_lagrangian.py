"""The Lagrangian of sphere and slab over a domain, coordinate by coordinate.

Everything is measured from the centre: z = x - center. For multipliers lam of the
sphere and nu of the slab the best row maximises
``a @ z - nu * (v @ z) - lam * (z @ z)`` over the domain, which splits into features,
one-hot groups and one block of unit norm.
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
        ``z @ z``, the squared distance to the centre.
    """

    gain: float
    offset: float
    square: float


class Features:
    """Features that can be chosen one by one: whole numbers or intervals."""

    def __init__(self, index, center, direction, lower, upper, whole):
        self.index, self.whole = np.arange(len(center))[index], whole
        self.place = index
        self.center, self.direction = center[index], direction[index]
        self.lower, self.upper = lower[index], upper[index]

    def aim(self, a):
        """Return the part with a linear function, and with room for its rows."""
        part = copy(self)
        part.a = a[self.place]
        part.room = np.empty_like(part.a)
        return part

    def screened(self, lams, nus):
        """Leave out the features whose choice is the same for a range of multipliers.

        Parameters
        ----------
        lams, nus : tuple of two floats
            Least and greatest multipliers; the least of the sphere's is positive.

        Returns
        -------
        part : Features
            The features that remain.
        sums : tuple of three floats
            What the others add to the sums over the best row.
        """
        tilt = np.multiply(self.direction, nus[0]), self.direction * nus[1]
        steep = self.a - np.minimum(*tilt)
        flat = self.a - np.maximum(*tilt)
        high = self._choose(steep, lams[0], lams[1])
        low = self._choose(flat, lams[1], lams[0])
        fixed = low == high
        z = low[fixed] - self.center[fixed]
        sums = self.a[fixed] @ z, self.direction[fixed] @ z, z @ z
        return self.take(np.flatnonzero(~fixed)), tuple(map(float, sums))

    def _choose(self, slope, if_positive, if_negative):
        """Choices for slopes, whose multiplier depends on their sign."""
        x = slope * np.where(slope > 0, 0.5 / if_positive, 0.5 / if_negative)
        x += self.center
        if self.whole:
            np.rint(x, out=x)
        return np.clip(x, self.lower, self.upper, out=x)

    def near_ties(self, z, lam, nu, size):
        """Return the part with those features only that lose least by a step."""
        chosen = np.arange(len(z))
        if len(z) > size:
            chosen = np.argpartition(self.losses(z, lam, nu), size)[:size]
        return self.take(np.sort(chosen))

    def losses(self, z, lam, nu):
        """Return what each whole feature loses by its better step by one."""
        slope = self.a - nu * self.direction
        slope -= 2.0 * lam * z
        x = z + self.center
        gain = np.where(x + 0.5 < self.upper, slope, -np.inf)
        np.maximum(gain, -slope, out=gain, where=x - 0.5 > self.lower)
        return lam - gain

    def can_rise(self, place, x):
        """Whether a feature may be larger by one."""
        return x + 0.5 < self.upper[place]

    def bounded(self, feature, end, limit):
        """Return the part with one of its features bounded further, if it is there."""
        place = np.flatnonzero(self.index == feature)
        if not len(place):
            return self
        part = copy(self)
        bound = getattr(self, end).copy()
        bound[place] = limit
        setattr(part, end, bound)
        return part

    def take(self, chosen):
        """Return the part with some of its features only."""
        part = copy(self)
        for name in ("index", "center", "direction", "lower", "upper", "a"):
            setattr(part, name, getattr(self, name)[chosen])
        part.place, part.room = part.index, np.empty(len(part.index))
        return part

    def round(self, z):
        """Return offsets of the domain near to offsets z."""
        x = z + self.center
        if self.whole:
            np.rint(x, out=x)
        return np.clip(x, self.lower, self.upper) - self.center

    def respond(self, lam, nu):
        """Return the best offsets z from the centre, in a buffer that is reused."""
        z = np.multiply(self.direction, -nu, out=self.room)
        z += self.a
        if lam > 0:
            z *= 0.5 / lam
            z += self.center
        else:
            z = _ends(z, self.center, self.lower, self.upper)
        if self.whole:
            np.rint(z, out=z)
        np.maximum(z, self.lower, out=z)
        np.minimum(z, self.upper, out=z)
        z -= self.center
        return z

    def curvature(self, lam, nu):
        """Second derivatives: of lam twice, of both, of nu twice; zero if whole."""
        if self.whole or lam <= 0:
            return np.zeros(3)
        z = self.respond(lam, nu)
        x = z + self.center
        free = (x > self.lower) & (x < self.upper)
        z *= free
        v = self.direction * free
        return np.array([2.0 * (z @ z), v @ z, 0.5 * (v @ v)]) / lam


def _ends(slope, center, lower, upper):
    """Maximisers of linear functions on intervals; the centre where they are flat."""
    return np.where(slope > 0, upper, np.where(slope < 0, lower, center))


class OneHot:
    """One-hot groups, their members side by side."""

    whole = True

    def __init__(self, groups, center, direction):
        self.index = self.place = np.concatenate(groups)
        sizes = [len(group) for group in groups]
        self.starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        self.group = np.repeat(np.arange(len(groups)), sizes)
        self.barred = np.zeros(len(self.index))  # minus infinity for members ruled out
        self.center, self.direction = center[self.index], direction[self.index]

    def aim(self, a):
        """Return the part with a linear function."""
        part = copy(self)
        part.a = a[self.index]
        return part

    def screened(self, lams, nus):
        """Return the part itself: groups are few."""
        return self, (0.0, 0.0, 0.0)

    def scores(self, lam, nu):
        """Value of choosing each member, up to a constant of its group."""
        scores = self.a - nu * self.direction - lam * (1.0 - 2.0 * self.center)
        return scores + self.barred

    def respond(self, lam, nu):
        """Return the best offsets z from the centre."""
        return self._choose(self.scores(lam, nu))

    def round(self, z):
        """Return offsets of the domain near to offsets z."""
        return self._choose(z + self.center + self.barred)

    def _choose(self, scores):
        best = np.maximum.reduceat(scores, self.starts)
        ties = np.flatnonzero(scores == best[self.group])
        _, first = np.unique(self.group[ties], return_index=True)
        z = -self.center
        z[ties[first]] += 1.0
        return z

    def losses(self, z, lam, nu):
        """Return what each chosen member loses by its group's second choice."""
        scores = self.scores(lam, nu)
        is_on = z + self.center > 0.5
        others = np.where(is_on, -np.inf, scores)
        second = np.maximum.reduceat(others, self.starts)[self.group]
        losses = np.full(len(scores), np.inf)
        losses[is_on] = scores[is_on] - second[is_on]
        return losses

    def can_rise(self, place, x):
        """Whether a member may be larger by one: not where it is chosen."""
        return x < 0.5

    def bounded(self, feature, end, limit):
        """Return the part with a member ruled out (upper end 0) or chosen."""
        place = np.flatnonzero(self.index == feature)
        if not len(place):
            return self
        part = copy(self)
        part.barred = self.barred.copy()
        if end == "lower":
            part.barred[self.group == self.group[place]] = -np.inf
        part.barred[place] = -np.inf if end == "upper" else 0.0
        return part

    def curvature(self, lam, nu):
        """Second derivatives: none."""
        return np.zeros(3)


class UnitNorm:
    """Non-negative features whose Euclidean norm together is 1."""

    whole = False

    def __init__(self, index, center, direction):
        self.index = self.place = index
        self.center, self.direction = center[index], direction[index]

    def aim(self, a):
        """Return the part with a linear function."""
        part = copy(self)
        part.a = a[self.index]
        return part

    def screened(self, lams, nus):
        """Return the part itself: its features depend on each other."""
        return self, (0.0, 0.0, 0.0)

    def respond(self, lam, nu):
        """Return the best offsets z from the centre."""
        slope = self.a - nu * self.direction + 2.0 * lam * self.center
        return self._scaled(slope)

    def round(self, z):
        """Return offsets of the domain near to offsets z."""
        return self._scaled(z + self.center)

    def _scaled(self, slope):
        x = np.maximum(slope, 0.0)
        norm = np.linalg.norm(x)
        if norm > 0:
            x /= norm
        else:
            x[np.argmax(slope)] = 1.0
        return x - self.center

    def curvature(self, lam, nu):
        """Second derivatives: of lam twice, of both, of nu twice."""
        slope = self.a - nu * self.direction + 2.0 * lam * self.center
        x = np.maximum(slope, 0.0)
        norm = np.linalg.norm(x)
        if not norm > 0:
            return np.zeros(3)
        support, x = x > 0, x / norm
        by_lam, by_nu = 2.0 * self.center[support], -self.direction[support]
        along = x[support] @ by_lam, x[support] @ by_nu
        return (
            np.array(
                [
                    by_lam @ by_lam - along[0] ** 2,
                    by_lam @ by_nu - along[0] * along[1],
                    by_nu @ by_nu - along[1] ** 2,
                ]
            )
            / norm
        )


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
        The ends of the slab, measured from the centre.
    curvature : float, default=0.0
        Maximise ``a @ z - curvature * (z @ z)`` instead of ``a @ z``.
    """

    def __init__(self, parts, a, square, lower, upper, curvature=0.0):
        self.parts = [part.aim(a) for part in parts]
        self.n_features = len(a)
        self.square = square
        self.lower, self.upper = lower, upper
        self.curvature = curvature
        self.fixed = (0.0, 0.0, 0.0)

    @property
    def limits(self):
        """What rows must satisfy: the square, and the ends of the slab."""
        return self.square, self.lower, self.upper

    @classmethod
    def nearest(cls, parts, n_features, room):
        """Return the search for the row of domain and slab nearest to the centre."""
        zero = np.zeros(n_features)
        return cls(parts, zero, np.inf, room.lower, room.upper, curvature=0.5)

    def restricted_to(self, parts, room):
        """Return the same problem on some of the parts, with the room left for them."""
        problem = copy(self)
        problem.parts = list(parts)
        problem.square, problem.lower, problem.upper = room
        if np.isinf(self.square):
            problem.square = np.inf
        return problem

    def screened(self, lams, nus):
        """Return the same problem for a range of multipliers, with fewer features.

        Parameters
        ----------
        lams, nus : tuple of two floats
            Least and greatest multipliers; the least of the sphere's is positive.

        Returns
        -------
        problem : Lagrangian
            Its sums are those of this one within the range.
        """
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
        """Return the best row, as offsets from the centre."""
        z = np.zeros(self.n_features)
        for part in self.parts:
            z[part.place] = part.respond(lam, nu)
        return z

    def rounded(self, z):
        """Return a row of the domain near to a row, as offsets from the centre."""
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
        """Return the dual's value and slopes at multipliers.

        Returns
        -------
        value : float
            At least the maximum over the set, up to rounding.
        slopes : tuple of two floats
            Slack of the sphere and of the slab's end at the best row.
        sums : Sums
            The sums over the best row.
        """
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
        """The end of the slab that a multiplier speaks of; at 0, the nearer one."""
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
