"""Rows of the set that come near the dual's value."""

from itertools import chain, combinations

import numpy as np

from skpoison.feasible.discrete._blocks import Features, UnitNorm
from skpoison.feasible.discrete._dual import minimize_dual
from skpoison.feasible.discrete._lagrangian import Lagrangian
from skpoison.feasible.discrete._local_search import (
    Limits,
    best_subset,
    pool,
    step_exchanges,
    swap_exchanges,
)

_CORE, _MOST_ROUNDS = 400, 25
SHORT = 1e-3, 1e-6, 1e-9  # shares of the slab that are left away at its ends
_ENOUGH = 1e-11  # gaps below are near the rounding of values


def whole_row(lagrangian, minimum, limits):
    """Look for a row inside sphere and slab by local search on its whole features."""
    start = rounded_mean(lagrangian, minimum)
    z = improve(lagrangian, start, minimum.best.lam, minimum.best.nu, limits)
    if all(part.whole for part in lagrangian.parts):
        return z
    refit = refit_smooth_parts(lagrangian, start if z is None else z, limits)
    found = [row for row in (z, refit) if row is not None]
    return max(found, key=lagrangian.objective, default=None)


def rounded_mean(lagrangian, minimum):
    """Round the mean of the rows around the dual's minimum to the domain.

    Means of whole numbers are not whole, and means of unit norm are shorter.
    """
    z = mean_row(lagrangian, minimum)
    for part in lagrangian.parts:
        z[part.place] = part.round(z[part.index])
    return z


def mean_row(lagrangian, minimum):
    """Return the mean of the rows around the dual's minimum."""
    total = sum(weight for weight, _ in minimum.active)
    z = np.zeros(lagrangian.n_features)
    for weight, cut in minimum.active:
        if weight > 1e-15 * total:
            z += (weight / total) * lagrangian.row(cut.lam, cut.nu)
    return z


def improve(lagrangian, z, lam, nu, limits):
    """Exchange whole features until the row is inside and locally optimal."""
    parts = _near_ties(lagrangian, z, lam, nu)
    square, offset = float(z @ z), lagrangian.along(z)
    found, z, last = None, z.copy(), np.inf
    for _ in range(_MOST_ROUNDS):
        excess = float(limits.excess(square, offset))
        if excess == 0.0:
            found = z.copy()
        exchanges = _exchanges(parts, z, lam, nu, lagrangian.curvature)
        chosen, gain = best_subset(exchanges, limits, square, offset)
        if not chosen or (excess == 0.0 and gain <= 0.0) or 0 < last <= excess:
            break
        last = excess
        exchanges.apply(z, chosen)
        square += exchanges.square[chosen].sum()
        offset += exchanges.offset[chosen].sum()
    return found


def _near_ties(lagrangian, z, lam, nu):
    """The whole features that are nearly tied, and all groups."""
    return [
        part.near_ties(z[part.place], lam, nu, _CORE)
        if isinstance(part, Features)
        else part
        for part in lagrangian.parts
        if part.whole
    ]


def _exchanges(parts, z, lam, nu, curvature):
    return pool(
        [
            (step_exchanges if isinstance(part, Features) else swap_exchanges)(
                part, z, lam, nu, curvature
            )
            for part in parts
        ]
    )


def smooth_row(lagrangian, minimum, limits, interior_row):
    """Return a row inside sphere and slab of a domain without whole features."""
    found, value = interior_row, lagrangian.objective(interior_row)
    enough = minimum.best.value - _ENOUGH * abs(minimum.best.value)
    rows = candidate_rows(lagrangian, minimum)
    if _has_unit_norm(lagrangian):
        rows = chain(_rows_of_tighter_set(lagrangian, minimum, limits), rows)
    for z in rows:
        moved = move_inside(lagrangian, z, interior_row, limits)
        reached = lagrangian.objective(moved)
        if reached > value:
            found, value = moved, reached
        if value >= enough:
            break
    return found


def candidate_rows(lagrangian, minimum):
    """Rows around the dual's minimum: its own first, their mean, then the others."""
    best = minimum.best
    yield lagrangian.row(best.lam, best.nu)
    yield mean_row(lagrangian, minimum)
    if _has_unit_norm(lagrangian):
        for _, cut in minimum.active:
            yield lagrangian.row(cut.lam, cut.nu)


def move_inside(lagrangian, z, interior_row, limits):
    """Move a row as little towards the interior row as it takes to be inside."""
    low, step = 0.0, _first_step(lagrangian, z, interior_row, limits)
    trial = blend(lagrangian.parts, z, interior_row, step)
    while not is_inside(lagrangian, trial, limits):
        if step >= 1.0:
            return interior_row
        low, step = step, min(max(2.0 * step, 1e-15), 1.0)
        trial = blend(lagrangian.parts, z, interior_row, step)
    for _ in range(_halvings(lagrangian) if step > 1e-9 else 0):
        middle = 0.5 * (low + step)
        nearer = blend(lagrangian.parts, z, interior_row, middle)
        if is_inside(lagrangian, nearer, limits):
            step, trial = middle, nearer
        else:
            low = middle
    return trial


def _rows_of_tighter_set(lagrangian, minimum, limits):
    """Rows for a smaller set: paths between rows of unit norm bend outwards."""
    margins = [
        max(abs(wide - tight), 1e-14 * (1.0 + abs(tight))) if np.isfinite(wide) else 0.0
        for wide, tight in zip(lagrangian.limits, limits, strict=True)
    ]
    square, lower, upper = limits
    tighter = Limits(square - margins[0], lower + margins[1], upper - margins[2])
    smaller = lagrangian.restricted_to(lagrangian.parts, tighter)
    best = minimum.best
    yield from candidate_rows(smaller, minimize_dual(smaller, (best.lam, best.nu)))


def _has_unit_norm(lagrangian):
    return any(isinstance(part, UnitNorm) for part in lagrangian.parts)


def _halvings(lagrangian):
    """The first step is nearly exact but for rows of unit norm, whose paths bend."""
    return 50 if _has_unit_norm(lagrangian) else 10


def _first_step(lagrangian, z, interior_row, limits):
    """The step that is enough to first order, and a little more."""
    inwards = interior_row - z
    offset, change = lagrangian.along(z), lagrangian.along(inwards)
    needed = [(z @ z - limits.square, -2.0 * (z @ inwards))]
    needed += [(offset - limits.upper, -change), (limits.lower - offset, change)]
    steps = [excess / gain for excess, gain in needed if excess > 0 and gain > 0]
    return min(1.01 * max(steps, default=0.0), 1.0)


def blend(parts, z, interior_row, step):
    """Mix two rows; parts of unit norm are scaled back to it."""
    mixed = z + step * (interior_row - z)
    for part in parts:
        mixed[part.place] = part.round(mixed[part.index])
    return mixed


def is_inside(lagrangian, z, limits):
    """Whether a row satisfies sphere and slab."""
    return float(limits.excess(z @ z, lagrangian.along(z))) == 0.0


def refit_smooth_parts(lagrangian, z, limits):
    """Choose the other features anew, given the whole ones."""
    smooth = [part for part in lagrangian.parts if not part.whole]
    fixed = z.copy()
    for part in smooth:
        fixed[part.place] = 0.0
    offset = lagrangian.along(fixed)
    left = Limits(
        limits.square - fixed @ fixed, limits.lower - offset, limits.upper - offset
    )
    if left.square < 0:
        return None
    part_of = lagrangian.restricted_to(smooth, left)
    interior_row = nearest_row(part_of, left)
    if interior_row is None:
        return None
    best = smooth_row(part_of, minimize_dual(part_of), left, interior_row)
    for part in smooth:
        fixed[part.place] = best[part.index]
    return fixed


def nearest_row(lagrangian, limits):
    """Return a row of a domain without whole features near the center, or None."""
    # The sphere may reach the slab's edge alone, which rounding misses.
    nearly = (limits.short_of_ends(share) for share in SHORT)
    for target in (limits.inner(), *nearly, limits):
        near = Lagrangian.nearest(lagrangian.parts, lagrangian.n_features, target)
        rows = list(candidate_rows(near, minimize_dual(near)))
        rows += [_crossing(near, *pair, target) for pair in combinations(rows, 2)]
        inside = [z for z in map(near.rounded, rows) if is_inside(near, z, limits)]
        if inside:
            return min(inside, key=lambda z: z @ z)
    return None


def _crossing(lagrangian, first, second, limits):
    """Follow the path between two rows to where it is least outside the slab."""
    begin, end = 0.0, 1.0
    for _ in range(30):
        trials = np.linspace(begin, end, 5)
        blends = [blend(lagrangian.parts, first, second, step) for step in trials]
        excess = [_beyond_slab(lagrangian, z, limits) for z in blends]
        least = int(np.argmin(excess))
        begin, end = trials[max(least - 1, 0)], trials[min(least + 1, 4)]
        if excess[least] == 0.0:
            break
    return blend(lagrangian.parts, first, second, trials[least])


def _beyond_slab(lagrangian, z, limits):
    offset = lagrangian.along(z)
    return max(limits.lower - offset, offset - limits.upper, 0.0)
