"""What certificate files hold of a bound on moving centroids: cells and attacks."""

from typing import Any, NamedTuple

import numpy as np

from skpoison.bounds.moving._attack import placed_at, turned_axes
from skpoison.bounds.moving._displacements import Displacements
from skpoison.bounds.moving._reduction import (
    COUNTING,
    GROUPS,
    SIDES,
    MovingDefense,
    reduce_to_plane,
)
from skpoison.solvers._conic import ORDER, as_matrix
from skpoison.verify import _moving
from skpoison.verify._rows import rows_of

# Poison weighs this share less than it may; rotations that weigh less are left out.
LIGHTER, LIGHTEST = 1e-13, 1e-12


class MovingDual(NamedTuple):
    """A dual point whose poison are attacks, and the cells that prove the bound."""

    row_masses: np.ndarray  # (n_samples,): times n
    shares: np.ndarray  # (n_attacks,): of the attacks, in the mixture
    points: np.ndarray  # (n_attacks, n_features): signed sums of the rows that count
    splits: np.ndarray  # (n_attacks, 4)
    rows: np.ndarray  # (n_attacks, 4, n_axes): displacements in units of the plane
    groups: np.ndarray  # (n_cells,): where cells are halved, -1 for a leaf
    limits: np.ndarray  # (n_cells,)
    halves: np.ndarray  # (n_cells, 2): positions of the halves
    duals: np.ndarray  # (n_cells, n_rows): multipliers, NaN where there are none


def dual_of_training(found: Any) -> MovingDual:
    """Return what a solution for moving centroids proves its bounds with."""
    point = found.best_dual
    used = np.flatnonzero(point.poison.beta > 0.0)
    attacks = [found.attacks[i] for i in used]
    size = max((len(one.dual) for one in found.tree if one.dual is not None), default=0)
    none = np.full(size, np.nan)
    return MovingDual(
        point.duals,
        point.poison.beta[used],
        point.poison.points[used],
        np.array([one.split for one in attacks]).reshape(-1, GROUPS),
        np.array([one.rows for one in attacks]),
        np.array([one.group for one in found.tree]),
        np.array([one.limit for one in found.tree]),
        np.array([one.halves or (0, 0) for one in found.tree]),
        np.array([none if one.dual is None else one.dual for one in found.tree]),
    )


def attacks_of(
    dual: MovingDual, defense: MovingDefense, epsilon: float, n_rows: int
) -> dict[str, np.ndarray]:
    """Return the arrays of a file that are about poison rows.

    A point of a disc is a mixture of two rotations of an attack, to either side.
    """
    theta = np.zeros(defense.centroids.shape[1] + 1)
    plane, frame = reduce_to_plane(theta, defense, epsilon)
    rng = np.random.RandomState(0)
    splits, points, masses = [], [], []
    for share, point, split, rows in zip(
        dual.shares, dual.points, dual.splits, dual.rows, strict=True
    ):
        attack = Displacements(split * (1.0 - LIGHTER), rows)
        aim = _off_the_line(point, attack, defense, frame)
        longest = _radius(attack, plane, frame)
        part = 0.5 + 0.5 * min(np.linalg.norm(aim) / (longest or 1.0), 1.0)
        for side, weight in ((1.0, part), (-1.0, 1.0 - part)):
            if weight < LIGHTEST:
                continue
            axes = turned_axes(attack, frame, defense, side * aim, rng)
            placed = placed_at(attack, plane, frame.unit * axes, defense)
            counting = np.isin(np.arange(GROUPS), COUNTING)
            mass = epsilon * n_rows * share * weight * (1.0 - LIGHTER)
            splits.append(attack.split)
            points.append(placed)
            masses.append(np.where(counting, mass * attack.split, 0.0))
    n_features = defense.centroids.shape[1]
    rows = rows_of(np.reshape(points, (-1, n_features)))
    return {
        "poison_data": rows.data,
        "poison_indices": rows.indices,
        "poison_indptr": rows.indptr,
        "poison_labels": np.tile(_moving.CLASSES, len(splits)),
        "poison_masses": np.ravel(masses),
        "poison_slopes": np.ones(GROUPS * len(splits)),
        "splits": np.reshape(splits, (-1, GROUPS)),
        "radii": defense.radii,
        "widths": np.where(np.isfinite(defense.widths), defense.widths, -1.0),
    }


def _off_the_line(point, attack, defense, frame):
    """Return how far a signed sum of rows lies from the line of the centroids."""
    signed = SIDES[COUNTING] * attack.split[COUNTING]
    off = point - signed @ defense.centroids
    return off - (off @ frame.axes[0]) * frame.axes[0]


def _radius(attack, plane, frame):
    """Return the radius of the disc that an attack's rotations make."""
    signed = SIDES[COUNTING] * attack.split[COUNTING]
    moved = (plane.leverages * attack.split)[:, np.newaxis] * attack.rows
    shifts = moved.reshape(2, 2, -1).sum(axis=1)
    offset = signed @ (attack.rows[COUNTING] + shifts)
    return frame.unit * float(np.linalg.norm(offset[bool(frame.axes[0].any()) :]))


def cells_of(dual: MovingDual, problem: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a file that are about cells, in preorder.

    Where the halves of a cell prove no more than the cell, it is not halved.
    """
    plane, _ = _moving.plane_of(problem)
    slabs = np.flatnonzero(np.isfinite(plane.widths))

    def tree(place, lower, upper):
        own = dual.duals[place]
        multipliers = _in_order(own, slabs)
        value = np.inf
        if not np.isnan(own).any():
            value = _moving.bound_of_cell(problem, plane, lower, upper, multipliers)
        group, limit = int(dual.groups[place]), float(dual.limits[place])
        leaf = value, [-1], [0.0], [multipliers]
        if group < 0:
            return leaf
        parts = [
            tree(half, *cell)
            for half, cell in zip(
                dual.halves[place],
                _moving.halves(lower, upper, group, limit),
                strict=True,
            )
        ]
        bound = max(part[0] for part in parts)
        if bound >= value:
            return leaf
        joined = [parts[0][i] + parts[1][i] for i in (1, 2, 3)]
        return bound, [group, *joined[0]], [limit, *joined[1]], joined[2]

    _, groups, limits, duals = tree(0, np.zeros(GROUPS), np.ones(GROUPS))
    return {
        "cell_groups": np.array(groups),
        "cell_limits": np.array(limits),
        "cell_duals": np.array(duals),
    }


def _in_order(z, slabs):
    """Return multipliers of a cell's program as the verifier's forms have them."""
    z = np.nan_to_num(z)
    end = len(z) - ORDER * (ORDER + 1) // 2
    first = 1 + 4 * GROUPS  # the sum, the box and the squares
    last = first + 4 * len(slabs)
    of_slabs = np.zeros((4, GROUPS))
    of_slabs[:, slabs] = z[first:last].reshape(4, len(slabs))
    values, vectors = np.linalg.eigh(as_matrix(z[end:]))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.concatenate([z[:first], np.ravel(of_slabs), z[last:end], np.ravel(root)])
