"""Branch and bound over the whole features that are nearly tied.

See docs/mathematics.md, section "Lagrangian bounds and branch and bound".
"""

import heapq
from copy import copy
from itertools import count
from typing import NamedTuple

import numpy as np

from skpoison.feasible.discrete._blocks import Features
from skpoison.feasible.discrete._dual import Minimum, minimize_dual
from skpoison.feasible.discrete._lagrangian import Lagrangian
from skpoison.feasible.discrete._local_search import Limits
from skpoison.feasible.discrete._primal_heuristics import mean_row, whole_row


class Branched(NamedTuple):
    """What branch and bound ends with.

    Parameters
    ----------
    bound : float
        No row of the set has a larger value.
    z : ndarray of shape (n_features,) or None
        The best row found, as offsets from the center.
    n_evals : int
        Evaluations of the dual.
    """

    bound: float
    z: np.ndarray
    n_evals: int


def branch(problem, minimum, z, limits, *, enough, floor=-np.inf, max_nodes=300):
    """Split the set until the best row is known to be nearly the best.

    Whole features that lose more by a step than the gap have the same value in every
    better row; they stay as they are, which leaves a small problem to split.
    """
    tree = _Tree(problem, minimum, z, limits, floor)
    while tree.is_open(enough) and tree.n_nodes < max_nodes:
        tree.split()
    return Branched(tree.bound(), tree.z, tree.n_evals)


class _Tree:
    """Open parts of the set, and the best row so far."""

    def __init__(self, problem, minimum, z, limits, floor):
        self.problem, self.limits = problem, limits
        self.z = z
        self.value = floor if z is None else problem.objective(z)
        self.root = minimum.best.value + minimum.rounding
        self.n_nodes, self.n_evals = 0, 0
        self.closed, self.open, self.order = -np.inf, [], count()
        self._reduce(minimum.best.lam, minimum.best.nu)
        self._enter(self.core, (minimum.best.lam, minimum.best.nu))

    def _reduce(self, lam, nu):
        """Keep features that could differ in a better row; fix the others."""
        problem = self.problem
        self.fixed = problem.row(lam, nu)
        gap = (self.root - self.value) * (1.0 + 1e-9)
        parts = []
        for part in problem.parts:
            if isinstance(part, Features) and part.whole:
                losses = part.losses(self.fixed[part.place], lam, nu)
                part = part.take(np.flatnonzero(losses <= gap))
            parts.append(part)
        for part in parts:
            self.fixed[part.place] = 0.0
        self.core = problem.restricted_to(parts, self._left(problem))
        self.core_limits = self._left(self.limits)
        self.constant = problem.objective(self.fixed)

    def _left(self, limits):
        """The limits that the fixed features leave."""
        square, offset = self.fixed @ self.fixed, self.problem.along(self.fixed)
        return Limits(
            limits.square - square, limits.lower - offset, limits.upper - offset
        )

    def bound(self):
        """No row of the set has a larger value."""
        best_open = -self.open[0][0] if self.open else -np.inf
        return min(self.root, max(self.value, best_open, self.closed))

    def is_open(self, enough):
        """Whether splitting on can help."""
        return bool(self.open) and -self.open[0][0] > max(
            self.value + enough, self.closed
        )

    def split(self):
        """Split the part with the largest bound at a feature that is not whole."""
        _, _, part, start, feature, middle = heapq.heappop(self.open)
        for end, limit in (("upper", np.floor(middle)), ("lower", np.ceil(middle))):
            self._enter(cut(part, feature, end, limit), start)

    def _enter(self, core, start):
        """Bound a part of the set, look for a row, keep it if it could hold more."""
        minimum = minimize_dual(core, start)
        self.n_nodes += 1
        self.n_evals += minimum.n_evals
        bound = _least_bound(core, minimum) + self.constant
        if bound <= self.value:
            return
        self._look(core, minimum)
        feature, middle = fractional(core, minimum)
        if feature is None:
            self.closed = max(self.closed, bound)
            return
        multipliers = (minimum.best.lam, minimum.best.nu)
        node = (-bound, next(self.order), core, multipliers, feature, middle)
        heapq.heappush(self.open, node)

    def _look(self, core, minimum):
        found = whole_row(core, minimum, self.core_limits)
        if found is not None:
            found = found + self.fixed
            value = self.problem.objective(found)
            if value > self.value:
                self.z, self.value = found, value


def _least_bound(core, minimum):
    """The dual's minimum, or its value without multipliers where that is less."""
    plain, _, sums = core.cut(core.curvature, 0.0)
    plain += core.rounding(core.curvature, 0.0, sums)
    return min(minimum.best.value + minimum.rounding, plain)


def fractional(core: Lagrangian, minimum: Minimum) -> tuple:
    """Find where to split: the whole feature whose mean is farthest from whole.

    Where all means are whole numbers but a better row is not excluded (the dual's
    minimum may lie at infinity), the feature that loses least by a step.
    """
    z, found, farthest = mean_row(core, minimum), (None, None), 1e-7
    for part in core.parts:
        if not part.whole or not len(part.index):
            continue
        x = z[part.place] + part.center
        distance = np.abs(x - np.rint(x))
        place = int(distance.argmax())
        if distance[place] > farthest:
            found, farthest = (part.index[place], x[place]), distance[place]
    return _cheapest_step(core, minimum.best) if found[0] is None else found


def _cheapest_step(core, best):
    z, found, least = core.row(best.lam, best.nu), (None, None), np.inf
    for part in core.parts:
        if not part.whole or not len(part.index):
            continue
        losses = part.losses(z[part.place], best.lam, best.nu)
        place = int(losses.argmin())
        if losses[place] < least:
            x = np.rint(z[part.place][place] + part.center[place])
            step = 0.5 if part.can_rise(place, x) else -0.5
            found, least = (part.index[place], x + step), losses[place]
    return found


def cut(core: Lagrangian, feature: int, end: str, limit: float) -> Lagrangian:
    """Bound one whole feature further."""
    core = copy(core)
    core.parts = [
        part.bounded(feature, end, limit) if part.whole else part for part in core.parts
    ]
    return core
