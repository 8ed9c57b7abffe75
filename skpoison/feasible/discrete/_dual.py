"""Minimize the dual of a linear function over sphere, slab and domain."""

from typing import NamedTuple

import numpy as np

from skpoison.feasible.discrete._kelley import Cut, Model

_MOST_WALL_MOVES = 40
_FIRST_SCREENING, _SCREENING_PERIOD = 5, 4
_LARGEST = 1e100  # multiplier that Newton's method is followed to


class Minimum(NamedTuple):
    """The least value of the dual that was found.

    Parameters
    ----------
    best : Cut
        The cut of the least value.
    rounding : float
        A bound on the error of its value in floating point.
    active : list of pairs of float and Cut
        Weights and cuts that support the lowest point of the model: the mean of their
        rows satisfies sphere and slab, up to the gap.
    gap : float
        How far the model's lowest point lies below the least value.
    n_evals : int
        Evaluations of the dual.
    """

    best: Cut
    rounding: float
    active: list
    gap: float
    n_evals: int


def minimize_dual(lagrangian, start=None, *, tol=1e-12, max_evals=80):
    """Minimize the dual over the multipliers of sphere and slab.

    Newton steps where the domain curves, cutting planes elsewhere. The value at any
    multipliers is a valid bound, so that a search that ends early only loosens it.
    """
    search = _DualSearch(lagrangian, start)
    while search.n_evals < max_evals:
        point = search.model.minimum()
        search.gap = search.best.value - point[2]
        if search.gap <= tol * search.scale or search.is_proof_of_emptiness():
            if search.pushes_a_wall():
                search.move_walls()
            elif search.is_settled(tol) or not search.newton():
                break
            continue
        if search.newton():
            continue
        search.screen()
        search.visit(point[0], point[1])
    return search.result()


class _DualSearch:
    """One minimization: multipliers, cuts and the best value so far."""

    def __init__(self, lagrangian, start):
        self.lagrangian = self.reduced = lagrangian
        self.has_curvature = not all(part.whole for part in lagrangian.parts)
        self.next_screening = _FIRST_SCREENING
        self.limits = _limits(lagrangian)
        lam, nu = self._start() if start is None else start
        lam, nu = self._clip(lam, nu)
        self.n_evals, self.n_moves, self.gap = 0, 0, np.inf
        self.stalled = self.was_at_floor = False
        width = 0.3 if start is None else 0.05
        factor = 4.0 if start is None else 1.5
        walls = self._within(lam / factor, lam * factor, nu - width, nu + width)
        self.best, self.best_sums = self._cut(lam, nu)
        self.model = Model(walls, self.best)

    def _start(self):
        square = self.lagrangian.square
        if not np.isfinite(square) or square <= 0:
            return self.lagrangian.curvature, 0.0
        return self.lagrangian.curvature + 0.5 / np.sqrt(square), 0.0

    def _clip(self, lam, nu):
        low, high, left, right = self.limits
        return min(max(lam, low), high), min(max(nu, left), right)

    def _within(self, *walls):
        low, high, left, right = self.limits
        return (
            max(walls[0], low),
            min(walls[1], high),
            max(walls[2], left),
            min(walls[3], right),
        )

    @property
    def scale(self):
        return max(abs(self.best.value), 1e-3 * np.sqrt(self.best_sums.square), 1e-300)

    def _cut(self, lam, nu):
        lam, nu = self._clip(float(lam), float(nu))
        value, slopes, sums = self.reduced.cut(lam, nu)
        self.n_evals += 1
        return Cut(lam, nu, value, slopes), sums

    def visit(self, lam, nu):
        """Evaluate the dual; return whether it fell."""
        cut, sums = self._cut(lam, nu)
        self.model.add(cut)
        fell = cut.value < self.best.value
        if not fell and cut.value <= self.best.value + 1e-14 * self.scale:
            fell = self._unsettled(cut) < 0.5 * self._unsettled(self.best)
        if fell:
            self.best, self.best_sums, self.stalled = cut, sums, False
        return fell

    def _unsettled(self, cut):
        """How far the row of a cut is from complementary slackness."""
        down, along = cut.slopes
        return abs(down) * (cut.lam - self.limits[0]) + abs(along * cut.nu)

    def is_settled(self, tol):
        """Whether the row at the best multipliers is a solution, up to rounding."""
        return self._unsettled(self.best) <= tol * self.scale

    def newton(self):
        """Take a Newton step from the best point where there is curvature."""
        if self.stalled or not self.has_curvature:
            return False
        best = self.best
        hessian = self.reduced.hessian(best.lam, best.nu)
        self.stalled = True
        if hessian is None:
            return False
        with np.errstate(over="ignore", invalid="ignore"):
            down = self._step_of_lam(hessian)
            along = _step_of_nu(hessian, best.slopes, down)
        lam, nu = best.lam + down, best.nu + along
        if (
            not max(lam, abs(nu)) < _LARGEST
        ):  # they have no limit where no row is inside
            return False
        if nu * best.nu < 0:  # the slab's ends meet in a kink
            nu = 0.0
        lam, nu = self._clip(lam, nu)
        low, high, left, right = self.model.walls
        self.model.move_walls(
            (min(low, lam), max(high, lam), min(left, nu), max(right, nu))
        )
        self.visit(lam, nu)
        return True

    def _step_of_lam(self, hessian):
        """Newton's step for the sphere's multiplier, at most to its half or double."""
        best, floor = self.best, self.limits[0]
        if best.lam <= floor and best.slopes[0] >= 0:
            return 0.0
        step = _joint_step(hessian, best.slopes)
        is_low = best.lam <= floor + 0.1 * (self._start()[0] - floor)
        if best.lam + step <= floor and is_low and not self.was_at_floor:
            self.was_at_floor = True
            return floor - best.lam
        return min(max(step, -0.5 * best.lam), best.lam)

    def screen(self):
        """Leave out features whose choice is settled for all multipliers in question.

        The minimum lies where no cut rises above the least value. The walls move in
        to that place; the reduced problem is the same as the whole one within them.
        """
        if self.n_evals < self.next_screening or self.has_curvature:
            return
        self.next_screening = self.n_evals + _SCREENING_PERIOD
        slack = 1e-9 * self.scale
        box = self.model.level_box(self.best.value + slack)
        if box is None or not 0 < box[0]:
            return
        self.reduced = self.reduced.screened(box[:2], box[2:])
        self.model.move_walls(box)

    def is_proof_of_emptiness(self):
        return self.best.value < self.lagrangian.floor()

    def pushes_a_wall(self):
        """Whether walls that could be moved hold the lowest point up."""
        if self.n_moves >= _MOST_WALL_MOVES or self.is_proof_of_emptiness():
            return False
        self.pushed = [
            place
            for place, weight in zip(
                self.model.basis, self.model.weights(), strict=True
            )
            if place < 4 and weight > 1e-13 and self._movable(place)
        ]
        return bool(self.pushed)

    def _movable(self, place):
        return self.model.walls[place] != self.limits[place]

    def move_walls(self):
        """Move the walls that hold the lowest point up."""
        low, high, left, right = self.model.walls
        width = 2.0 * max(right - left, 0.1)
        start = self._start()[0]
        moved = [
            low / 4.0 if low > 1e-4 * start else self.limits[0],
            max(4.0 * high, start),
            left - width,
            right + width,
        ]
        self.reduced, self.next_screening = self.lagrangian, self.n_evals + 4
        walls = list(self.model.walls)
        for place in self.pushed:
            walls[place] = moved[place]
        self.model.move_walls(self._within(*walls))
        self.n_moves += 1

    def result(self):
        best, model = self.best, self.model
        rounding = self.lagrangian.rounding(best.lam, best.nu, self.best_sums)
        active = [
            (float(weight), model.cuts[place])
            for place, weight in zip(model.basis, model.weights(), strict=True)
            if place >= 4 and weight > 0
        ]
        return Minimum(best, rounding, active, self.gap, self.n_evals)


def _limits(lagrangian):
    """Where multipliers can be: an absent end of a constraint has none."""
    low = lagrangian.curvature
    high = np.inf if np.isfinite(lagrangian.square) else low
    left = 0.0 if np.isneginf(lagrangian.lower) else -np.inf
    right = 0.0 if np.isposinf(lagrangian.upper) else np.inf
    return low, high, left, right


def _joint_step(hessian, slopes):
    """The first entry of Newton's step for both multipliers."""
    (first, mixed), (_, second) = hessian
    determinant = first * second - mixed * mixed
    if slopes[1] == 0.0 or not determinant > 1e-12 * first * second:
        return -slopes[0] / first
    return -(second * slopes[0] - mixed * slopes[1]) / determinant


def _step_of_nu(hessian, slopes, down):
    """Newton's step for the slab's multiplier, given the other's."""
    (_, mixed), (_, second) = hessian
    if slopes[1] == 0.0 or not second > 0:
        return 0.0
    return -(slopes[1] + mixed * down) / second
