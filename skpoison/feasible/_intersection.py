"""Intersections without a closed form, through the projections onto their parts.

Consensus form of the alternating direction method of multipliers: every part has a copy
of the row, and multipliers make the copies agree. The multipliers are normals of the
parts. If the normals add up to the linear function, the sum of the parts' supports is
an upper bound on it over the intersection, however early the method stops.
"""

import numpy as np

from skpoison.feasible._ball_slab import SphereSlab
from skpoison.feasible._base import FeasibleRegion

MAX_STEPS, CHECK_EVERY = 2000, 5
# Supports and copies of nearest points agree to this share of the region's size.
TOLERANCE, AGREEMENT = 1e-8, 1e-8
# Weight of agreement beside the distance to the row projected: few steps in trials.
WEIGHT = 3.0
SHRINKS = (0.0, *(10.0**-k for k in range(12, 0, -1)), 1.0)


class Intersection(FeasibleRegion):
    """The intersection of several bounded convex regions."""

    def __init__(self, parts):
        self.parts = parts
        self.radius = min(part.reach for part in parts)
        centers = [part.center for part in parts]
        center = np.mean([self._first_inside(point) for point in centers], axis=0)
        if not self.contains([center])[0]:
            raise ValueError(
                "No row in the interior of the intersection of "
                f"{' and '.join(type(part).__name__ for part in parts)} was found: "
                "the intersection or its interior is empty."
            )
        distances = [
            np.linalg.norm(part.center - center) + part.reach for part in parts
        ]
        super().__init__(center, min(distances))

    def _first_inside(self, point):
        return point if self.contains([point])[0] else self._project(point)

    def contains(self, X, tol=0.0):
        return np.all([part.contains(X, tol) for part in self.parts], axis=0)

    def support(self, a):
        a = np.asarray(a, dtype=np.float64)
        norm = float(np.linalg.norm(a))
        if not norm > 0:
            return 0.0, self.center
        return self._support_of_one(a) or self._support_of_all(a, norm)

    def _support_of_one(self, a):
        """Return the support of a part whose row all parts contain; None if none is."""
        for part in self.parts:
            value, point = part.support(a)
            if self.contains([point])[0]:
                return value, point
        return None

    def _support_of_all(self, a, norm):
        best = np.inf, self.center
        for n_steps, consensus in enumerate(self._steps(self.center, a / norm), 1):
            if n_steps % CHECK_EVERY:
                continue
            value = min(best[0], self._bound(a / norm, consensus))
            trial = self._inside(consensus.row)
            best = value, max(best[1], trial, key=a.__matmul__)
            if value - a @ best[1] / norm <= TOLERANCE * self.radius:
                break
        return norm * best[0], best[1]

    def _bound(self, a, consensus):
        """Sum the parts' supports of normals that add up to `a`."""
        normals = consensus.normals / self.radius
        normals[0] += a - normals.sum(axis=0)
        pairs = zip(self.parts, normals, strict=True)
        return sum(part.support(normal)[0] for part, normal in pairs)

    def _inside(self, x):
        """Return the first row towards the center that all parts contain."""
        moved = np.array([self.shrink(x, margin) for margin in SHRINKS])
        return moved[np.argmax(self.contains(moved))]

    def _nearest(self, x):
        return x if self.contains([x])[0] else self._inside(self._project(x))

    def _project(self, x):
        for consensus in self._steps(x):
            if consensus.error <= AGREEMENT * self.radius:
                break
        return consensus.row

    def _steps(self, x, a=None):
        """Step towards the nearest row to `x`, or the one where `a` is largest."""
        consensus = _Consensus(self.parts, x)
        for _ in range(MAX_STEPS):
            if a is None:
                consensus.step_near(x)
            else:
                consensus.step_along(self.radius * a)
            yield consensus


class _Consensus:
    """One row for all parts, a copy for each, and scaled multipliers."""

    def __init__(self, parts, x):
        self.parts, self.row = parts, x
        self.multipliers = np.zeros((len(parts), len(x)))

    def step_along(self, a):
        """Step towards the largest value of a linear function."""
        together = self._copies()
        self._agree(together.mean(axis=0) + a / len(self.parts))

    def step_near(self, x):
        """Step towards the nearest point to `x`."""
        together = self._copies()
        total = x + WEIGHT * together.sum(axis=0)
        self._agree(total / (1.0 + WEIGHT * len(self.parts)))

    def _copies(self):
        wanted = self.row - self.multipliers
        self.copies = np.array(
            [
                part.project(point[np.newaxis])[0]
                for part, point in zip(self.parts, wanted, strict=True)
            ]
        )
        self.normals = wanted - self.copies
        return self.copies + self.multipliers

    def _agree(self, row):
        self.multipliers = self.multipliers + self.copies - row
        apart = np.linalg.norm(self.copies - row, axis=1).max()
        self.error = max(apart, float(np.linalg.norm(row - self.row)))
        self.row = row


def intersect(first: FeasibleRegion, second: FeasibleRegion) -> FeasibleRegion:
    """Intersect two regions; see :meth:`FeasibleRegion.intersect`."""
    parts = _merged([*_parts(first), *_parts(second)])
    if len(parts) == 1:
        return parts[0]
    for part in parts:
        if not part.is_convex:
            raise ValueError(
                f"{type(part).__name__} is not convex and can only be intersected "
                "with a SphereSlab. Intersect first, then restrict to a domain."
            )
    bounded = min(parts, key=lambda part: part.reach)
    parts = [_cut(part, bounded) for part in parts]
    for part in parts:
        if not part.is_bounded:
            raise ValueError(
                f"{type(part).__name__} is unbounded. Only a SphereSlab may be "
                "unbounded, and only if another region is bounded. Set its radius, or "
                "intersect the bounded regions first."
            )
    return Intersection(parts)


def _parts(region):
    return region.parts if isinstance(region, Intersection) else [region]


def _merged(parts):
    """Intersect balls and slabs with each other, in closed form."""
    simple: list[FeasibleRegion] = [
        part for part in parts if isinstance(part, SphereSlab)
    ]
    others = [part for part in parts if not isinstance(part, SphereSlab)]
    while len(simple) > 1:
        simple[:2] = [simple[0].intersect(simple[1])]
    return others + simple


def _cut(part, bounded):
    """Give a slab a radius that contains a bounded region."""
    if part.is_bounded or not isinstance(part, SphereSlab):
        return part
    radius = bounded.reach + float(np.linalg.norm(part.center - bounded.center))
    sides = part.direction, part.lower, part.upper
    return SphereSlab(part.center, radius, *sides)
