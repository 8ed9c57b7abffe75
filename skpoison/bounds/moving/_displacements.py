"""Attacks as displacements: the worst at a split, repaired until they pass exactly."""

from typing import NamedTuple

import numpy as np

from skpoison.bounds.moving._programs import FIRST, PRODUCT, SECOND, split_program
from skpoison.bounds.moving._reduction import COUNTING, IDLE, SIDES
from skpoison.losses import Hinge
from skpoison.solvers._conic import SolverError, solve_program

# Displacements are kept this far, relatively, inside of sphere and slab.
MARGIN = 1e-11
MAX_REPAIRS = 100


class Displacements(NamedTuple):
    """An attack: how much of it lies in each group, and where.

    Parameters
    ----------
    split : ndarray of shape (4,)
        Part of the poison in each group.
    rows : ndarray of shape (4, n_axes)
        Displacement of each group from its own moved centroid, in units of the plane;
        the first two axes are the plane's.
    """

    split: np.ndarray
    rows: np.ndarray


def worst_at_split(plane, split, n_axes):
    """Return the worst attack found at a split that passes the filter, or None.

    Shapes: split (4,).
    """
    try:
        point = solve_program(split_program(plane, split)).point
    except SolverError:  # No attack is no bound: others are left to be tried.
        return None
    return repaired(plane, split, coordinates(point, n_axes))


def coordinates(point, n_axes):
    """Return vectors with the inner products that a program found.

    Of each group one, (4, min(6, n_axes)); two coordinates are those in the plane.
    """
    inside = np.column_stack([point[FIRST], point[SECOND]])
    outside = point[PRODUCT] - inside @ inside.T
    values, vectors = np.linalg.eigh(outside)
    order = np.argsort(values)[::-1]
    lengths = np.sqrt(np.maximum(values[order], 0.0))
    return np.hstack([inside, vectors[:, order] * lengths])[:, :n_axes]


def moved_difference(plane, attack):
    """Return the second moved centroid less the first, in the attack's coordinates."""
    difference = (SIDES * plane.leverages * attack.split) @ attack.rows
    difference[0] += plane.gap
    return difference


def passes(plane, attack, margin=0.0):
    """Return whether every group passes sphere and slab in floating point."""
    difference = moved_difference(plane, attack)
    length = np.linalg.norm(difference)
    if not length > 0.0:
        return False
    inside = 1.0 - margin
    offsets = np.abs(attack.rows @ difference) <= plane.widths * (length * inside)
    lengths = np.linalg.norm(attack.rows, axis=1) <= plane.radii * inside
    return bool(np.all(offsets & lengths))


def repaired(plane, split, rows, margin=MARGIN):
    """Move displacements into sphere and slab, which moves too; None if this diverges.

    Shapes: split (4,), rows (4, n_axes).
    """
    attack = Displacements(split, rows)
    for _ in range(MAX_REPAIRS):
        attack = attack._replace(rows=_clipped(plane, attack, margin))
        if passes(plane, attack, 0.5 * margin):
            return attack
    return None


def _clipped(plane, attack, margin):
    difference = moved_difference(plane, attack)
    unit = difference / (np.linalg.norm(difference) or 1.0)
    offsets = attack.rows @ unit
    limits = plane.widths * (1.0 - margin)
    change = np.clip(offsets, -limits, limits) - offsets
    rows = attack.rows + change[:, np.newaxis] * unit
    lengths = np.linalg.norm(rows, axis=1)
    allowed = plane.radii * (1.0 - margin)
    shrink = np.minimum(1.0, allowed / np.maximum(lengths, np.finfo(float).tiny))
    return rows * shrink[:, np.newaxis]


def mean_loss(plane, attack):
    """Bound the mean hinge loss of an attack's rows from below, by groups' means."""
    # With a single feature the second axis does not exist, and nothing lies there.
    scores = plane.scores[: attack.rows.shape[1]]
    losses = np.einsum("gi,ig->g", attack.rows[:, :2], scores)
    moved = plane.leverages * attack.split * losses
    by_class = plane.margins + losses[COUNTING] + moved[COUNTING] + moved[IDLE]
    return float(attack.split[COUNTING] @ Hinge().of_shortfalls(by_class))
