"""Blocks of a separable domain, in which rows can be chosen independently.

Everything is measured from the center: z = x - center. Given multipliers lam of the
sphere and nu of the slab, each block maximizes
``a @ z - nu * (v @ z) - lam * (z @ z)`` over its own features.
See docs/mathematics.md, section "Restricted rows".
"""

from copy import copy

import numpy as np


class NoRowError(ValueError):
    """No row of the domain that passes the filter is known."""


class EmptySetError(NoRowError):
    """No row of the domain passes the filter, which is proved."""


class Features:
    """Features that can be chosen one by one: whole numbers or intervals."""

    a: np.ndarray  # the linear function, once the block is aimed
    limits: np.ndarray  # a buffer for its rows

    def __init__(self, index, center, direction, lower, upper, whole):
        self.index, self.whole = np.arange(len(center))[index], whole
        self.place = index
        self.center, self.direction = center[index], direction[index]
        self.lower, self.upper = lower[index], upper[index]

    def aim(self, a):
        """Return the part with a linear function, and with a buffer for its rows."""
        part = copy(self)
        part.a = a[self.place]
        part.limits = np.empty_like(part.a)
        return part

    def screened(self, lams, nus):
        """Sum and leave out features with one maximizer for a range of multipliers."""
        tilt = np.minimum(self.direction * nus[0], self.direction * nus[1])
        high = self._choose(self.a - tilt, lams[0], lams[1])
        tilt = np.maximum(self.direction * nus[0], self.direction * nus[1])
        low = self._choose(self.a - tilt, lams[1], lams[0])
        fixed = low == high
        z = low
        z -= self.center
        z *= fixed
        sums = self.a @ z, self.direction @ z, z @ z
        return self.take(np.flatnonzero(~fixed)), tuple(map(float, sums))

    def _choose(self, slope, if_positive, if_negative):
        """Choices for slopes, whose multiplier depends on their sign."""
        x = np.minimum(slope, 0.0)
        x *= 0.5 / if_negative
        np.maximum(slope, 0.0, out=slope)
        slope *= 0.5 / if_positive
        x += slope
        x += self.center
        return self._to_domain(x)

    def _to_domain(self, x):
        if self.whole:
            np.rint(x, out=x)
        np.maximum(x, self.lower, out=x)
        return np.minimum(x, self.upper, out=x)

    def near_ties(self, z, lam, nu, size):
        """Return the part with those features only that lose least by a step."""
        losses = self.losses(z, lam, nu)
        chosen = np.flatnonzero(losses < 0.5 * lam)
        if len(chosen) < size:
            chosen = np.arange(len(z))
        if len(chosen) > size:
            chosen = chosen[np.argpartition(losses[chosen], size)[:size]]
        return self.take(np.sort(chosen))

    def losses(self, z, lam, nu):
        """Return what each whole feature loses by its better step by one."""
        slope = self.a - nu * self.direction
        slope -= 2.0 * lam * z
        x = z + self.center
        at_lower, at_upper = x - 0.5 <= self.lower, x + 0.5 >= self.upper
        gain = np.abs(slope)
        np.copyto(gain, slope, where=at_lower)
        np.copyto(gain, np.where(at_lower, -np.inf, -slope), where=at_upper)
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
        part.place, part.limits = part.index, np.empty(len(part.index))
        return part

    def round(self, z):
        """Return offsets of the domain near to offsets z."""
        return self._to_domain(z + self.center) - self.center

    def respond(self, lam, nu):
        """Return the best offsets z from the center, in a buffer that is reused."""
        z = np.multiply(self.direction, -nu, out=self.limits)
        z += self.a
        if lam > 0:
            z *= 0.5 / lam
            z += self.center
        else:
            z = _ends(z, self.center, self.lower, self.upper)
        z = self._to_domain(z)
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
    """Maximizers of linear functions on intervals; the center where they are flat."""
    return np.where(slope > 0, upper, np.where(slope < 0, lower, center))


class OneHot:
    """One-hot groups, their members side by side."""

    whole = True
    a: np.ndarray  # the linear function, once the block is aimed

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
        """Return the best offsets z from the center."""
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
    a: np.ndarray  # the linear function, once the block is aimed

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
        """Return the best offsets z from the center."""
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


def split(columns, base):
    """Split the features of a domain into parts that can be chosen independently."""
    direction = base.direction
    if direction is None:
        direction = np.zeros_like(base.center)
    center, reach = base.center, base.radius * (1.0 + 1e-12)
    lower = np.maximum(columns.lower, center - reach)
    upper = np.minimum(columns.upper, center + reach)
    lower = np.where(columns.whole, np.ceil(lower), lower)
    upper = np.where(columns.whole, np.floor(upper), upper)
    single = ~columns.one_hot
    single[columns.unit] = False
    empty = np.flatnonzero(single & (lower > upper))
    if len(empty):
        raise EmptySetError(
            f"The feasible set is empty: no value of column {empty[0]} is in the "
            f"domain and within {base.radius:.6g} of the center."
        )
    parts: list[Features | OneHot | UnitNorm] = []
    for whole in (True, False):
        index = _as_index(single & (columns.whole == whole))
        if index is not None:
            parts.append(Features(index, center, direction, lower, upper, whole))
    if columns.groups:
        parts.append(OneHot(columns.groups, center, direction))
    if len(columns.unit):
        parts.append(UnitNorm(columns.unit, center, direction))
    return parts


def _as_index(mask):
    if mask.all():
        return slice(None)
    return np.flatnonzero(mask) if mask.any() else None
