"""Rows of restricted values: which there are, and the largest product with one.

For multipliers lam >= 0 of the ball and t of the slab, no row x of the domain within
both has a larger product a x than (Lagrangian duality, z = x - q)

    a q + lam r^2 + max(t l, t h) + max_x [(a - t v) z - lam z z],

whose maximum over the domain is that of each feature, one-hot group and block of norm 1
by itself. A tree splits the values of whole features: each leaf has its multipliers,
and the largest bound of a leaf is a bound.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from skpoison.verify._proof import Problem
from skpoison.verify._rows import error

# Kinds of features: the numbers of an interval, whole ones, those of a block of norm 1,
# and, from GROUP on, the members of each one-hot group.
INTERVAL, WHOLE, UNIT_NORM, GROUP = 0, 1, 2, 3
NORM_TOLERANCE = 1e-9
DEEPEST = 300


class Box(NamedTuple):
    """Least and largest values, kinds, and whether the block has norm 1 or is 0."""

    lower: np.ndarray
    upper: np.ndarray
    kinds: np.ndarray
    is_blank: bool = False


def pieces(lower: np.ndarray, upper: np.ndarray, kinds: np.ndarray) -> list[Box]:
    """Return boxes whose union is the domain."""
    block = kinds == UNIT_NORM
    if not block.any():
        return [Box(lower, upper, kinds)]
    zeros = np.where(block, np.minimum(upper, 0.0), upper)
    return [Box(lower, upper, kinds), Box(lower, zeros, kinds, True)]


def is_domain(arrays: dict) -> bool:
    """Tell whether features of norm 1 and members of groups are what they must be."""
    names = ("domain_lower", "domain_upper", "domain_kinds")
    lower, upper, kinds = (arrays[name] for name in names)
    special = kinds >= UNIT_NORM
    known = (kinds >= 0) & (kinds < GROUP + len(kinds)) & (lower <= upper)
    return bool(
        known.all() and (lower[special] == 0.0).all() and (upper[special] == 1.0).all()
    )


def contains(x: np.ndarray, arrays: dict) -> bool:
    """Tell whether a row is in the domain, a norm of 1 to within 1e-9."""
    kinds = arrays["domain_kinds"]
    is_whole, block = (kinds == WHOLE) | (kinds >= GROUP), kinds == UNIT_NORM
    members = kinds[kinds >= GROUP] - GROUP
    chosen = np.bincount(members, x[kinds >= GROUP])
    sizes = np.bincount(members)
    norm = float(np.linalg.norm(x[block]))
    return bool(
        (x >= arrays["domain_lower"]).all()
        and (x <= arrays["domain_upper"]).all()
        and (x[is_whole] == np.rint(x[is_whole])).all()
        and (chosen[sizes > 0] == 1.0).all()
        and (not x[block].any() or abs(norm - 1.0) <= NORM_TOLERANCE)
    )


def in_words(problem: Problem) -> str:
    """Say what the domain is, and how many of the rows are in it, up to rounding."""
    names = ("domain_lower", "domain_upper", "domain_kinds")
    lower, upper, kinds = (problem.arrays[name] for name in names)
    rows, n = problem.rows, len(problem.labels)
    own, row_of = kinds[rows.indices], rows.row_of
    wrong = (rows.data < lower[rows.indices]) | (rows.data > upper[rows.indices])
    wrong |= (own != INTERVAL) & (own != UNIT_NORM) & (rows.data != np.rint(rows.data))
    needed = (lower > 0.0) | (upper < 0.0)  # where 0 is not in the domain
    there = np.bincount(row_of, needed[rows.indices], minlength=n)
    squares = np.bincount(row_of, (own == UNIT_NORM) * rows.data**2, minlength=n)
    members = np.bincount(row_of, own >= GROUP, minlength=n)
    n_groups = len(set(kinds[kinds >= GROUP].tolist()))
    inside = np.bincount(row_of, wrong, minlength=n) == 0
    inside &= (there == needed.sum()) & (members == n_groups)
    inside &= (squares == 0.0) | (np.abs(squares - 1.0) <= 4.0 * NORM_TOLERANCE)
    most = np.finfo(float).max  # stands for no limit
    least, largest = lower.copy(), upper.copy()
    least[lower <= -most], largest[upper >= most] = -np.inf, np.inf
    n_whole, n_unit = int((kinds == WHOLE).sum()), int((kinds == UNIT_NORM).sum())
    return (
        f"The attacker sends rows of the domain of the file only: {len(kinds):,} "
        f"features between {least.min():g} and {largest.max():g}, {n_whole:,} of them "
        f"whole, {n_unit:,} that have norm 1 together, and {n_groups:,} one-hot "
        f"groups; {int(inside.sum()):,} of the {n:,} rows are in it."
    )


def support(problem: Problem, k: int, a: np.ndarray, nodes: Iterator) -> float:
    """Return at least the largest ``a @ x`` of a set's rows, given multipliers."""
    arrays, center = problem.arrays, problem.arrays["centers"][k]
    reach = arrays["radii"][k, 1]
    reach = reach + error(2, np.abs(center) + reach, problem.unit)
    kinds = arrays["domain_kinds"]
    lower = np.maximum(arrays["domain_lower"], center - reach)
    upper = np.minimum(arrays["domain_upper"], center + reach)
    lower = np.where(kinds == WHOLE, np.ceil(lower), lower)
    upper = np.where(kinds == WHOLE, np.floor(upper), upper)

    def bound(box, lam, t):
        return _bound_of_leaf(problem, k, a, box, lam, t)

    parts = pieces(lower, upper, kinds)
    return max([bound_of_tree(nodes, part, bound) for part in parts])


def _bound_of_leaf(problem, k, a, box, lam, t):
    arrays, unit, center = problem.arrays, problem.unit, problem.arrays["centers"][k]
    v, radius = arrays["directions"][k], arrays["radii"][k, 1]
    if is_empty(box):
        return -np.inf
    slope, size = a - t * v, np.abs(a) + abs(t) * np.abs(v)
    terms, sizes = best_terms(box, slope, unit * size, center, lam)
    if not (lam >= 0.0 and np.isfinite(terms).all()):
        return np.inf  # no multipliers, or some that are too large to compute with
    parts = [math.fsum(terms), float(error(0, math.fsum(sizes), unit))]
    block = (box.kinds == UNIT_NORM) & (not box.is_blank)
    if block.any():
        size = size + 2.0 * lam * np.abs(center)
        best = (slope + 2.0 * lam * center + 4.0 * unit * size)[block]
        above = problem.norm(np.maximum(best, 0.0)) if (best > 0).any() else best.max()
        parts += [float(above), -lam]
    along = max(t * value for value in arrays["offsets"][k, 2:].tolist())
    bound = problem.up(*problem.dot(a, center), lam * radius * radius, along, *parts)
    return bound if bound < np.inf else np.inf  # nor is NaN a bound


def is_empty(box: Box) -> bool:
    """Tell whether no row is in a box, or no member of a group can be chosen."""
    members, open_to = box.kinds[box.kinds >= GROUP], _chosen_members(box)
    without = set(members.tolist()) - set(members[open_to].tolist())
    return bool((box.lower > box.upper).any() or without)


def _chosen_members(box):
    """Return which members of groups can be the one that is 1."""
    is_member = box.kinds >= GROUP
    lower, upper = box.lower[is_member] >= 1.0, box.upper[is_member] >= 1.0
    groups = box.kinds[is_member] - GROUP
    taken = np.zeros(groups.max(initial=-1) + 1, dtype=bool)
    taken[groups[lower]] = True
    return upper & (lower | ~taken[groups])


def bound_of_tree(nodes: Iterator, box: Box, bound: Any, depth: int = 0) -> float:
    """Return the largest bound of the leaves that follow, a tree in preorder.

    Nodes are features with limits, below and above which whole features are, and -1
    with multipliers at leaves. A tree that is none has the bound infinity.
    """
    feature, limit, *multipliers = next(nodes, (-2, 0.0))
    if feature == -1:
        return bound(box, *multipliers)
    feature = int(feature)
    is_cut = 0 <= feature < len(box.kinds) and limit == np.floor(limit)
    if depth > DEEPEST or not is_cut:
        return np.inf
    if box.kinds[feature] != WHOLE and box.kinds[feature] < GROUP:
        return np.inf
    low, high = box.lower.copy(), box.upper.copy()
    high[feature], low[feature] = limit, limit + 1.0
    parts = box._replace(upper=high), box._replace(lower=low)
    return max([bound_of_tree(nodes, part, bound, depth + 1) for part in parts])


def best_terms(
    box: Box, slope: np.ndarray, wrong: np.ndarray, center: np.ndarray, lam: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return terms whose sum is at least the maximum over a box, and their sizes.

    `wrong` bounds the errors of the slopes. Groups have a term more each. A block that
    has norm 1 counts as one of zeros.
    """
    lower, upper, kinds, is_blank = box
    candidates, missed = np.array([lower, upper]), np.zeros(len(center))
    if lam > 0.0:
        step = slope / (2.0 * lam)
        missed = wrong / (2.0 * lam) + 1e-15 * (np.abs(center) + np.abs(step))
        # The best whole number is next to the best number, which is nearly this one.
        below = np.where(kinds == WHOLE, np.floor(center + step), center + step)
        candidates = np.array([below, below + (kinds == WHOLE)])
        candidates = np.clip(candidates, lower, upper)
    candidates[:, (kinds >= GROUP) | ((kinds == UNIT_NORM) & (not is_blank))] = 0.0
    off = candidates - center
    squares = lam * off * off if lam > 0.0 else np.zeros_like(off)
    far = np.abs(off).max(axis=0)
    terms = (slope * off - squares).max(axis=0) + wrong * far
    # A concave function that is missed by this has lost its square, times 3 lam.
    terms += np.where((kinds == WHOLE) & (missed > 0.25), np.inf, 4 * lam * missed**2)
    sizes = np.abs(slope) * far + squares.max(axis=0)
    gains, more = _of_groups(box, slope, wrong, center, lam)
    return np.concatenate([terms, gains]), np.concatenate([sizes, more])


def _of_groups(box, slope, wrong, center, lam):
    """Return what the best member of each group adds, and the sizes of all."""
    members = np.flatnonzero(box.kinds >= GROUP)
    groups = box.kinds[members] - GROUP
    gains = slope[members] - lam * (1.0 - 2.0 * center[members]) + wrong[members]
    best = np.full(groups.max(initial=-1) + 1, -np.inf)
    np.maximum.at(best, groups, np.where(_chosen_members(box), gains, -np.inf))
    sizes = np.abs(slope[members]) + lam * (1.0 + 2.0 * np.abs(center[members]))
    return best[np.bincount(groups, minlength=len(best)) > 0], sizes
