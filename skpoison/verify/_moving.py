"""Moving centroids: the filter's centroids are those of all rows, poison included.

The rows that an attacker sends are in four groups: of each class those whose loss
counts, and idle ones (the others). Let q be the shares of the poison in the groups, u
the mean displacement of a group from its class's *moved* centroid, k = q u, and e the
poison rows per clean row of a class. Centroids m move to ``m + sum_h e_h k_h`` over
their class's groups, and their difference to ``D = m+ - m- + sum_h +-e_h k_h``. As ball
and slab are convex, |u| <= r and |u D| <= s |D|. The mean loss is the sum, over the
groups that count, of ``q (1 - y (w m + b)) - y w (k + q sum_h e_h k_h)``.

For any given w, this is linear in the variables of a cell, a box of shares:

    k1, k2       products of k with unit vectors along m+ - m- and across, that span w
    P            products of the k with each other
    L            |D| in units of the longest that it can be
    q, S, R, G   shares; bounds of their squares; products q q' of a class; losses of k
                 times the share that counts

`_forms` has expressions that are not negative for any attack whose shares are in the
cell. So for multipliers z >= 0, a product of two matrices that are not negative
definite, and of two vectors of a cone of the second order,

    loss <= loss + z forms <= constant + sum |coefficient| limit,

whatever z is. The cells of a binary tree, which halves a box at one share at a time,
cover all shares (they sum to 1: fewer rows are as many with some at the centroid). The
largest bound of a leaf is a bound. Rounding: each entry of a form is made of a few
numbers that are right to some units in the last place, and the sums over about a
hundred terms have the error bound of `_rows`; `SPARE_TERMS` covers both. Lengths that
have to be on one side are rounded to it. The clean centroids are computed to within
some c: the attack that has their floating-point numbers in place of them has
displacements that are off by c, and a D that is off by 2 c, so that it is one for
r + c, s + c, and |u D| <= (s + c) |D| + 2 c (r + s).

For the lower bound, an attack is four rows with shares; any mixture of attacks will do.
"""

from typing import Any, NamedTuple

import numpy as np

from skpoison.verify._losses import loss_of  # noqa: F401
from skpoison.verify._proof import (  # noqa: F401
    Problem,
    Refuted,
    lower_bound,
    poison_rows,
    upper_bounds,
)
from skpoison.verify._rows import error

GROUPS, CLASSES = np.arange(4), np.array([0, 0, 1, 1])
SIDES, COUNTING, IDLE = np.array([-1.0, -1.0, 1.0, 1.0]), [0, 2], [1, 3]
# The variables: rows of the identity, and one more for the constant.
N_VARIABLES, SPARE_TERMS = 33, 256
VARIABLES = np.eye(N_VARIABLES + 1)
ONE, K1, K2 = VARIABLES[33], VARIABLES[0:4], VARIABLES[4:8]
PAIRS = [(i, j) for j in range(4) for i in range(j + 1)]
P = np.zeros((4, 4, N_VARIABLES + 1))
for place, (i, j) in enumerate(PAIRS):
    P[i, j] = P[j, i] = VARIABLES[8 + place]
LENGTH, Q, S = VARIABLES[18], VARIABLES[19:23], VARIABLES[23:27]
R, G = VARIABLES[27:29], VARIABLES[29:33]
# Multipliers of a leaf: one of either sign, of inequalities, cones and a square root.
N_FORMS, N_CONES = 49, 9


class Plane(NamedTuple):
    """What the bound of a cell depends on, in units of the largest radius."""

    gap: float
    along: float
    across: float
    steepness: float  # at least the length of the weights
    margins: np.ndarray  # (2,): of the clean centroids
    radii: np.ndarray  # (4,)
    widths: np.ndarray  # (4,): infinite without a slab
    loose: np.ndarray  # (4,): what |u D| may be more
    leverages: np.ndarray  # (4,)


def nonsense(problem: Problem) -> str:
    """Return what makes the file's problem none; nothing where it is one."""
    header, arrays = problem.header, problem.arrays
    if len(header["classes"] or ()) != 2:
        return "classes must be two"
    if header["loss"] != "hinge" or (arrays["poison_weights"] != 1.0).any():
        return "moving centroids are for the hinge loss, unweighted"
    radii, counts = arrays["radii"], np.bincount(problem.labels.astype(int))
    if not (radii.max() > 0.0 and (radii >= 0.0).all() and counts.min() > 0):
        return "there must be radii, and rows of both classes"
    widths = np.where(arrays["widths"] < 0.0, np.inf, arrays["widths"])
    if (radii[IDLE] < radii[COUNTING]).any() or (widths[IDLE] < widths[COUNTING]).any():
        return "rows whose loss does not count must have as much room as the others"
    return "" if header["domain"] == "real" else "the domain is not known here"


def in_words(problem: Problem) -> str:
    """Say what the filter is assumed to be."""
    radii, widths = problem.arrays["radii"], problem.arrays["widths"]
    own = ", ".join(f"{radius:g}" for radius in radii[COUNTING].tolist())
    half = ", ".join(
        f"{width:g}" for width in widths[COUNTING].tolist() if width >= 0.0
    )
    idle = ", ".join(f"{radius:g}" for radius in radii[IDLE].tolist())
    return (
        "The deployed filter computes the centroids of the classes from all rows that "
        f"it gets, poison included, and has the radii {own} and "
        f"{f'the half widths {half}' if half else 'no slab'} by class; other poison "
        f"rows that move the centroids lie within {idle} of those."
    )


def centroids(problem: Problem) -> tuple[np.ndarray, float]:
    """Return the clean centroids, and a bound on how far off they are."""
    means, wrong = [], 0.0
    for label in (0.0, 1.0):
        own = (problem.labels == label).astype(float)
        sums, sizes, count = problem.rows.combine(own)
        means.append(sums / own.sum())
        off = error(count + 2, sizes, problem.unit) / own.sum()
        wrong = max(wrong, problem.norm(off))
    return np.array(means), wrong


def sets_of_clean(problem: Problem) -> list[np.ndarray]:
    """Return centers, directions, radii and offsets before centroids move."""
    means, _ = centroids(problem)
    line = means[1] - means[0]
    v = line / (float(np.linalg.norm(line)) or 1.0)
    radii, widths = (problem.arrays[name][COUNTING] for name in ("radii", "widths"))
    widths = np.where(widths < 0.0, np.inf, widths)
    offsets = np.column_stack([-widths, widths, -widths, widths])
    return [means, np.array([v, v]), np.column_stack([radii, radii]), offsets]


def largest_loss(problem: Problem) -> float:
    """Return at least the mean loss of the poison rows of any attack that passes."""
    plane, missed = plane_of(problem)
    arrays = problem.arrays
    duals, worst = iter(arrays["cell_duals"]), -np.inf
    cells = [(np.zeros(4), np.ones(4))]
    for group, limit in zip(
        arrays["cell_groups"].tolist(), arrays["cell_limits"].tolist(), strict=True
    ):
        if not cells or group not in range(-1, 4):
            raise Refuted("the cells are not those of a tree")
        lower, upper = cells.pop()
        if group < 0:
            dual = next(duals, np.zeros(0))
            worst = max(worst, bound_of_cell(problem, plane, lower, upper, dual))
            continue
        cells += reversed(halves(lower, upper, group, limit))
    if cells or next(duals, None) is not None or np.isnan(worst):
        raise Refuted("the cells are not those of a tree")
    return problem.up(max(worst, 0.0), missed)


def halves(lower: Any, upper: Any, group: int, limit: float) -> list[tuple]:
    """Return the parts of a cell on both sides of a limit."""
    low, high = lower.copy(), upper.copy()
    low[group] = high[group] = limit
    return [_tightened(lower, high), _tightened(low, upper)]


def _tightened(lower, upper):
    """Tighten a cell by the sum of the shares, which is 1, but for rounding."""
    slack = 4e-15
    lower = np.maximum(lower, 1.0 - (upper.sum() - upper) - slack)
    upper = np.minimum(upper, 1.0 - (lower.sum() - lower) + slack)
    return lower, np.maximum(upper, lower)


def plane_of(problem: Problem) -> tuple[Plane, float]:
    """Return the numbers of the bound, and how much the weights' errors add."""
    header, arrays, unit = problem.header, problem.arrays, problem.unit
    w, b, n = arrays["theta"][:-1], arrays["theta"][-1], len(problem.labels)
    means, wrong = centroids(problem)
    radii = arrays["radii"]
    scale = float(radii.max())
    share = max(header["epsilon"], problem.up(header["n_poison"] / n))
    counts = np.bincount(problem.labels.astype(int), minlength=2)
    leverages = (share * n / counts)[CLASSES]
    # Along the difference of the centroids, and across.
    difference = means[1] - means[0]
    gap = float(np.sqrt(problem.dot(difference, difference)[0]))
    if difference.any() and not gap > 1e-100:
        raise Refuted("the centroids are too near to each other")
    first = difference / (gap or 1.0)
    along = problem.dot(w, first)[0]
    rest = w - along * first
    again = problem.dot(rest, first)[0]
    along, rest = along + again, rest - again * first
    across = float(np.sqrt(problem.dot(rest, rest)[0]))
    # These are off by the angle between both directions, and a few roundings.
    off = 32.0 * unit * (abs(along) + across)
    off += 2.0 * sum(np.abs(problem.dot(rest, first)))
    missed = problem.up(off) * (scale + wrong) * (1.0 + leverages.max())
    radii = _up((radii + wrong) / scale, unit)
    widths = np.where(arrays["widths"] < 0.0, np.inf, arrays["widths"])
    margins = []
    for mean, side in zip(means, (-1.0, 1.0), strict=True):
        score, more = problem.dot(mean, w)
        margins.append(problem.up(1.0, -side * score, more, -side * b))
    plane = Plane(
        gap / scale,
        along * scale,
        across * scale,
        problem.up(problem.up(np.hypot(along, across)) * scale),
        np.array(margins),
        radii,
        _up((widths + wrong) / scale, unit),
        _up(2.0 * wrong / scale * (arrays["radii"] + widths) / scale, unit),
        leverages,
    )
    return plane, float(_up(missed, unit))


def _up(numbers, unit):
    return numbers * (1.0 + 4.0 * unit)


def bound_of_cell(
    problem: Problem, plane: Plane, lower: Any, upper: Any, dual: Any
) -> float:
    """Return at least the loss of an attack of the cell, given multipliers."""
    unit = problem.unit
    forms, cones, gram, loss, limits = _forms(problem, plane, lower, upper)
    free, z, rest = dual[0], np.maximum(dual[1 : 1 + N_FORMS], 0.0), dual[1 + N_FORMS :]
    balls = rest[: 3 * N_CONES].reshape(N_CONES, 3).copy()
    longest = np.hypot(balls[:, 1], balls[:, 2]) * (1.0 + 4.0 * unit)
    balls[:, 0] = np.maximum(balls[:, 0], longest)
    root = rest[3 * N_CONES :].reshape(6, 6)  # any matrix times its transpose will do
    matrix, size = root @ root.T, np.abs(root) @ np.abs(root.T)
    total = ONE - Q.sum(axis=0)
    value = loss + free * total + z @ forms
    value = value + np.tensordot(balls, cones, 2) + np.tensordot(matrix, gram, 2)
    sizes = np.abs(loss) + np.abs(free * total) + z @ np.abs(forms)
    sizes = sizes + np.tensordot(np.abs(balls), np.abs(cones), 2)
    sizes = sizes + np.tensordot(size, np.abs(gram), 2)
    reach = np.append(limits, 1.0)
    most = float(np.abs(value[:-1]) @ limits + value[-1])
    most += float(error(SPARE_TERMS, sizes @ reach, unit))
    return most if most < np.inf else np.inf  # nor is NaN a bound


def _forms(problem, plane, lower, upper):
    """Return what is not negative, the loss, and the limits of the variables.

    Inequalities (49, 34), cones (9, 3, 34), of which the first is at least as long as
    the others, and a matrix (6, 6, 34) that is not negative definite.
    """
    radii, signed = plane.radii, SIDES * plane.leverages
    low, high = lower[:, None], upper[:, None]
    worth = _up(plane.leverages * radii, problem.unit)
    # The most that the difference moves: the shares are in the cell, and sum to 1.
    reach = min(
        problem.up(level, *np.maximum((worth - level) * lower, (worth - level) * upper))
        for level in worth.tolist()
    )
    longest = problem.up(plane.gap, reach) or 1.0
    shortest = max(-problem.up(-plane.gap, reach), 0.0) / longest
    shortest *= 1.0 - 4.0 * problem.unit
    # The products k D, and the square of D, over `longest` and its square.
    along = (plane.gap * K1 + np.einsum("h,ghv->gv", signed, P)) / longest
    square = (plane.gap**2 * ONE + 2.0 * plane.gap * signed @ K1) / longest**2
    square = square + np.einsum("g,h,ghv->v", signed, signed, P) / longest**2
    # Losses of displacements: -y w k.
    losses = -SIDES[:, None] * (plane.along * K1 + plane.across * K2)
    steepest = (plane.steepness * (1.0 + 4.0 * problem.unit) * radii)[:, None]
    # Products of shares with the share that counts: squares, or those of a pair.
    products = np.array([S[0], R[0], S[2], R[1]])
    counts = np.repeat(COUNTING, 2)
    there = np.isfinite(plane.widths)[:, None]  # without a slab, 0 >= 0
    widths = np.where(there, plane.widths[:, None], 0.0)
    more = np.where(there, plane.loose[:, None], 0.0) / longest * Q
    slabs = [
        (widths * (share * LENGTH + length * Q - share * length * ONE) + more + side)
        * there
        for share, length in ((high, shortest), (low, 1.0))
        for side in (-along, along)
    ]
    corners = [(high, low, 1.0), (low, high, 1.0), (high, high, -1.0), (low, low, -1.0)]
    pairs = [
        sign * (a[COUNTING] * Q[IDLE] + b[IDLE] * Q[COUNTING] - R)
        - sign * a[COUNTING] * b[IDLE] * ONE
        for a, b, sign in corners
    ]
    forms = np.concatenate(
        [
            Q - low * ONE,
            high * ONE - Q,
            (low + high) * Q - low * high * ONE - S,
            (radii**2)[:, None] * S - P[GROUPS, GROUPS],
            *slabs,
            *pairs,
            high[counts] * (losses + steepest * Q) - steepest * products - G,
            steepest * products - low[counts] * (steepest * Q - losses) - G,
            [ONE - LENGTH],
        ]
    )
    cones = [(0.5 * (S[g] + ONE), 0.5 * (S[g] - ONE), Q[g]) for g in GROUPS]
    cones += [(radii[g] * Q[g], K1[g], K2[g]) for g in GROUPS]
    cones += [(0.5 * (square + ONE), 0.5 * (square - ONE), LENGTH)]
    gram = np.zeros((6, 6, N_VARIABLES + 1))
    gram[0, 0], gram[1, 1], gram[2:, 2:] = ONE, ONE, P
    gram[0, 2:], gram[2:, 0], gram[1, 2:], gram[2:, 1] = K1, K1, K2, K2
    loss = plane.margins @ Q[COUNTING] + losses[COUNTING].sum(axis=0)
    loss = loss + plane.leverages @ G
    k, own = radii * upper, upper[counts]
    length = [k[i] * k[j] for i, j in PAIRS]
    limits = [k, k, length, [1.0], upper, upper**2, upper[COUNTING] * upper[IDLE]]
    limits = np.concatenate([*limits, steepest[:, 0] * upper * own])
    return forms, np.array(cones), gram, loss, limits * (1.0 + 8.0 * problem.unit)


def check_poison(problem: Problem) -> None:
    """Raise an error unless poison rows are those of attacks that pass."""
    header, arrays = problem.header, problem.arrays
    masses, splits = arrays["poison_masses"], arrays["splits"]
    n_attacks, n = len(splits), len(problem.labels)
    if not np.array_equal(arrays["poison_labels"], np.tile(CLASSES, n_attacks)):
        raise Refuted("the poison rows are not those of attacks")
    masses = masses.reshape(n_attacks, 4)
    sums = splits.sum(axis=1) * (1.0 + 8.0 * problem.unit)
    is_right = (splits >= 0.0).all() and (sums <= 1.0).all() and (masses >= 0.0).all()
    is_right &= not masses[:, IDLE].any() and (arrays["poison_slopes"] == 1.0).all()
    if not is_right:
        raise Refuted("the shares or masses of an attack are out of their range")
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(masses > 0.0, masses / (header["epsilon"] * n * splits), 0.0)
    if not parts.max(axis=1, initial=0.0).sum() * (1.0 + n_attacks * 1e-15) <= 1.0:
        raise Refuted("the poison rows weigh more than epsilon allows")
    rows, means = poison_rows(problem), centroids(problem)
    for a, split in enumerate(splits):
        four = np.array([rows.dense(4 * a + g) for g in GROUPS])
        if not _passes(problem, four, split, *means):
            raise Refuted("a poison row is outside its set")


def _passes(problem: Problem, rows: Any, split: Any, means: Any, wrong: float) -> bool:
    """Tell whether four rows pass at the centroids that they move, beyond rounding."""
    arrays, counts = problem.arrays, np.bincount(problem.labels.astype(int))
    sent = problem.header["epsilon"] * len(problem.labels) * split
    sums = counts[:, None] * means + (sent[:, None] * rows).reshape(2, 2, -1).sum(1)
    moved = sums / (counts + sent.reshape(2, 2).sum(axis=1))[:, None]
    size = float(
        np.linalg.norm(means, axis=1).max() + np.linalg.norm(rows, axis=1).sum()
    )
    off = problem.up(wrong, 16.0 * problem.unit * size)
    difference, length = moved[1] - moved[0], np.linalg.norm(moved[1] - moved[0])
    for g in GROUPS[split > 0.0]:
        one = rows[g] - moved[CLASSES[g]]
        radius, width = arrays["radii"][g], arrays["widths"][g]
        if not problem.norm(one) + off <= radius:
            return False
        along, more = problem.dot(one, difference)
        most = abs(along) + more + off * (length + 2.0 * radius)
        if width >= 0.0 and not problem.up(most) <= width * (length - 4.0 * off):
            return False
    return True
