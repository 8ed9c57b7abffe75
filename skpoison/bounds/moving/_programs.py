"""The attacker's programs: at one split of their rows, and over a cell of splits.

A split says which part of the poison lies in each group; the parts q sum to one. With
u the mean displacement of a group from its own centroid and k = q u, the moved
centroids differ by ``D + sum(side * leverage * k)``: displacements make everything
linear that distances from clean centroids would make rational.
See docs/mathematics.md, section "Semidefinite programs for moving centroids".
"""

from typing import NamedTuple

import numpy as np

from skpoison.bounds.moving._reduction import (
    COUNTING,
    GROUPS,
    IDLE,
    SIDES,
    longest_reach,
)
from skpoison.solvers._conic import N_MATRIX, ROOT, UPPER, ConicProgram

# Places of the variables. At one split: displacements (their two coordinates in the
# plane and all inner products) and the distance of the moved centroids.
FIRST, SECOND = np.arange(0, 4), np.arange(4, 8)
PRODUCTS, LENGTH = np.arange(8, 18), 18
N_AT_SPLIT = 19
# Over a cell, where displacements are multiplied by masses: masses, their squares,
# products of both masses of a class, and of counting masses with losses.
MASSES, SQUARES = np.arange(19, 23), np.arange(23, 27)
PAIRS, GAINS = np.arange(27, 29), np.arange(29, 33)
N_OVER_CELL = 33
PAIR_LIST = [(i, j) for j in range(GROUPS) for i in range(j + 1)]
PAIR_AT = {pair: 8 + k for k, pair in enumerate(PAIR_LIST)}
PRODUCT = np.array(
    [[PAIR_AT[min(i, j), max(i, j)] for j in range(GROUPS)] for i in range(GROUPS)]
)
SQUARED_NORM = np.diag(PRODUCT)


class Cell(NamedTuple):
    """The splits with ``lower <= q <= upper`` and ``sum(q) = 1``.

    Parameters
    ----------
    lower, upper : ndarray of shape (4,)
        Limits of each group's part.
    """

    lower: np.ndarray
    upper: np.ndarray


def gram_rows(n_variables):
    """Return the rows that make the Gram matrix semidefinite.

    The matrix is ``[[I, Y], [Y.T, Z]]``: two unit vectors spanning the plane, four
    displacements with coordinates Y and inner products Z.

    Returns A (21, n_variables), b (21,).
    """
    A, b = np.zeros((N_MATRIX, n_variables)), np.zeros(N_MATRIX)
    for row, (i, j) in enumerate(UPPER):
        if j < 2:
            b[row] = float(i == j)
        else:
            place = (FIRST, SECOND)[i][j - 2] if i < 2 else PRODUCT[i - 2, j - 2]
            A[row, place] = -1.0 if i == j else -ROOT
    return A, b


def split_program(plane, split):
    """Return the program of the worst displacements at one split (4,).

    Its value is the largest mean loss beyond that of rows at the clean centroids.
    """
    leverages, n = split * plane.leverages, N_AT_SPLIT
    longest = plane.gap + float(leverages @ plane.radii) or 1.0
    blocks = [
        (np.eye(n)[SQUARED_NORM], plane.radii**2),
        (np.eye(n)[[LENGTH]], np.ones(1)),
    ]
    slabbed = np.flatnonzero(np.isfinite(plane.widths))
    offsets = _offsets(plane, leverages, n)[slabbed] / longest
    for sign in (1.0, -1.0):
        A = sign * offsets
        A[:, LENGTH] -= plane.widths[slabbed]
        blocks.append((A, np.zeros(len(slabbed))))
    c = _loss_rows(plane, n).T @ _loss_weights(plane, split)
    products = [plane.radii[i] * plane.radii[j] for i, j in PAIR_LIST]
    limits = np.concatenate([plane.radii, plane.radii, products, [1.0]])
    cones = [_length_cone(plane, leverages, longest, n)]
    return _assemble(c, [], blocks, cones, limits)


def _loss_weights(plane, split):
    """Weight of each group's displacement in the mean loss."""
    by_class = np.repeat(split[COUNTING], 2)
    weights = split * plane.leverages * by_class
    weights[COUNTING] += split[COUNTING]
    return weights


def _loss_rows(plane, n_variables):
    """Row g picks the loss that the displacement of group g causes."""
    rows = np.zeros((GROUPS, n_variables))
    groups = np.arange(GROUPS)
    rows[groups, FIRST], rows[groups, SECOND] = plane.scores
    return rows


def _offsets(plane, leverages, n_variables):
    """Row g is the inner product of g's displacement with the moved difference."""
    rows = np.zeros((GROUPS, n_variables))
    groups = np.arange(GROUPS)
    rows[groups, FIRST] = plane.gap
    for h in groups:
        rows[groups, PRODUCT[groups, h]] += SIDES[h] * leverages[h]
    return rows


def _length_cone(plane, leverages, longest, n_variables):
    """``length <= |moved difference|``, both by the longest it can be."""
    square = np.zeros(n_variables)
    signed = SIDES * leverages
    square[FIRST] = 2.0 * plane.gap * signed
    for i in range(GROUPS):
        np.add.at(square, PRODUCT[i], signed[i] * signed)
    square /= longest**2
    constant = (plane.gap / longest) ** 2
    return _square_cone(LENGTH, square, constant)


def _square_cone(place, square, constant):
    """``x[place]**2 <= square @ x + constant`` as three rows of a cone."""
    A = np.zeros((3, len(square)))
    A[0] = A[1] = -0.5 * square
    A[2, place] = -1.0
    return A, np.array([0.5 * (constant + 1.0), 0.5 * (constant - 1.0), 0.0])


def _assemble(c, equalities, inequalities, cones, limits):
    parts = [*equalities, *inequalities, *cones, gram_rows(len(c))]
    return ConicProgram(
        c,
        np.concatenate([A for A, _ in parts]),
        np.concatenate([b for _, b in parts]),
        limits,
        sum(len(b) for _, b in equalities),
        sum(len(b) for _, b in inequalities),
        len(cones),
    )


def cell_program(plane, cell):
    """Return a program whose value bounds the mean loss of every attack in a cell."""
    n = N_OVER_CELL
    reach = longest_reach(plane, cell)
    longest = plane.gap + reach or 1.0
    shortest = max(plane.gap - reach, 0.0) / longest
    total = np.zeros((1, n))
    total[0, MASSES] = 1.0
    inequalities = [
        *_box_rows(cell),
        *_norm_rows(plane, cell),
        *_slab_rows(plane, cell, longest, shortest),
        *_pair_rows(cell),
        *_gain_rows(plane, cell),
        (np.eye(n)[[LENGTH]], np.ones(1)),
    ]
    cones = [_square_cone(MASSES[g], np.eye(n)[SQUARES[g]], 0.0) for g in range(GROUPS)]
    cones += [_disc_cone(plane, g) for g in range(GROUPS)]
    cones.append(_length_cone(plane, plane.leverages, longest, n))
    c = _loss_rows(plane, n)[COUNTING].sum(axis=0)
    c[MASSES[COUNTING]] = plane.margins
    c[GAINS] = plane.leverages
    return _assemble(
        c, [(total, np.ones(1))], inequalities, cones, _limits(plane, cell)
    )


def _box_rows(cell):
    """The cell itself."""
    masses = np.eye(N_OVER_CELL)[MASSES]
    return [(-masses, -cell.lower), (masses, cell.upper)]


def _norm_rows(plane, cell):
    """``|k|^2 <= (radius q)^2``, the square of q below its chord."""
    chord = np.eye(N_OVER_CELL)[SQUARES]
    groups = np.arange(GROUPS)
    chord[groups, MASSES] = -(cell.lower + cell.upper)
    norms = np.eye(N_OVER_CELL)[SQUARED_NORM]
    norms[groups, SQUARES] = -(plane.radii**2)
    return [(chord, -cell.lower * cell.upper), (norms, np.zeros(GROUPS))]


def _disc_cone(plane, group):
    """The part of k in the plane is no longer than ``radius q``."""
    A = np.zeros((3, N_OVER_CELL))
    A[0, MASSES[group]] = -plane.radii[group]
    A[1, FIRST[group]] = A[2, SECOND[group]] = -1.0
    return A, np.zeros(3)


def _slab_rows(plane, cell, longest, shortest):
    """``|k @ difference| <= width q length``, the product below its planes."""
    groups = np.flatnonzero(np.isfinite(plane.widths))
    offsets = _offsets(plane, plane.leverages, N_OVER_CELL)[groups] / longest
    widths, blocks = plane.widths[groups], []
    for mass, length in ((cell.upper, shortest), (cell.lower, 1.0)):
        for sign in (1.0, -1.0):
            A = sign * offsets
            A[:, LENGTH] -= widths * mass[groups]
            A[np.arange(len(groups)), MASSES[groups]] -= widths * length
            blocks.append((A, -widths * mass[groups] * length))
    return blocks


def _pair_rows(cell):
    """The product of both masses of a class between its planes (McCormick)."""
    blocks = []
    for counting, idle, sign in (
        (cell.upper, cell.lower, 1.0),
        (cell.lower, cell.upper, 1.0),
        (cell.upper, cell.upper, -1.0),
        (cell.lower, cell.lower, -1.0),
    ):
        first, second = counting[COUNTING], idle[IDLE]
        A = sign * np.eye(N_OVER_CELL)[PAIRS]
        A[[0, 1], MASSES[IDLE]] = -sign * first
        A[[0, 1], MASSES[COUNTING]] = -sign * second
        blocks.append((A, -sign * first * second))
    return blocks


def _gain_rows(plane, cell):
    """The product of the counting mass m with the loss a of a displacement k = q u.

    As ``|a| <= steepest q``, both ``(upper - m) (steepest q + a)`` and
    ``(m - lower) (steepest q - a)`` are at least 0.
    """
    steepest = plane.steepness * plane.radii
    losses = _loss_rows(plane, N_OVER_CELL)
    groups = np.arange(GROUPS)
    # m q: a square for the counting group itself, a pair for the idle one.
    products = np.ravel(np.column_stack([SQUARES[COUNTING], PAIRS]))
    blocks = []
    for limit, sign in ((cell.upper, 1.0), (cell.lower, -1.0)):
        end = np.repeat(limit[COUNTING], 2)
        A = np.eye(N_OVER_CELL)[GAINS] - end[:, np.newaxis] * losses
        A[groups, MASSES] -= sign * steepest * end
        A[groups, products] += sign * steepest
        blocks.append((A, np.zeros(GROUPS)))
    return blocks


def _limits(plane, cell):
    """Largest absolute value of every variable over the attacks of a cell."""
    top, reach = cell.upper, plane.radii * cell.upper
    products = [reach[i] * reach[j] for i, j in PAIR_LIST]
    by_class = np.repeat(top[COUNTING], 2)
    return np.concatenate(
        [
            reach,
            reach,
            products,
            [1.0],
            top,
            top**2,
            top[COUNTING] * top[IDLE],
            plane.steepness * reach * by_class,
        ]
    )
