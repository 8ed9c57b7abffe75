"""Reduction of an attack on moving centroids to inner products.

The attacker's options and their effect on the learner depend only on inner products of
their rows' displacements from the centroids with one another, with the difference of
the clean centroids and with the learner's weights. The last two span a plane; a row is
represented by its two coordinates in the plane and its orthogonal part.
"""

from typing import NamedTuple

import numpy as np

# The groups of poison rows: rows of the first class that count, idle ones; then those
# of the second class. A row counts if the learner's loss on it does.
GROUPS = 4
SIDES = np.array([-1.0, -1.0, 1.0, 1.0])
COUNTING, IDLE = np.array([0, 2]), np.array([1, 3])


class MovingDefense(NamedTuple):
    """A sphere and slab with given radii, and the clean rows behind its centroids.

    Parameters
    ----------
    centroids : ndarray of shape (2, n_features)
        Clean centroid of each class.
    shares : ndarray of shape (2,)
        Share of the clean rows that each class holds.
    radii : ndarray of shape (4,)
        How far the rows of each group can lie from their centroid.
    widths : ndarray of shape (4,)
        How far along the line between the centroids; infinite without a slab.
    """

    centroids: np.ndarray
    shares: np.ndarray
    radii: np.ndarray
    widths: np.ndarray


class PlaneProblem(NamedTuple):
    """An attacker and a learner's parameters, in units of the largest radius.

    Parameters
    ----------
    gap : float
        Distance between the clean centroids.
    along, across : float
        Coordinates of the weights: along the difference of the centroids, and the
        length of the rest.
    margins : ndarray of shape (2,)
        Margin loss, ``1 - y (w @ c + b)``, of each clean centroid.
    radii, widths : ndarray of shape (4,)
        Of each group, as in :class:`MovingDefense`.
    leverages : ndarray of shape (4,)
        How far a group with all of the poison moves its centroid when its mean lies
        at distance one: epsilon by the share of its class.
    """

    gap: float
    along: float
    across: float
    margins: np.ndarray
    radii: np.ndarray
    widths: np.ndarray
    leverages: np.ndarray

    @property
    def steepness(self):
        """Length of the weights."""
        return float(np.hypot(self.along, self.across))

    @property
    def scores(self):
        """Weights of the in-plane coordinates of each group in its loss, (2, 4)."""
        return -np.outer([self.along, self.across], SIDES)


class PlaneAxes(NamedTuple):
    """The plane's place among the features.

    Parameters
    ----------
    axes : ndarray of shape (2, n_features)
        Unit vectors along the centroids' difference and along the rest of the
        weights; a zero vector where there is no such direction.
    unit : float
        The unit of length.
    """

    axes: np.ndarray
    unit: float


def reduce_to_plane(theta, defense, epsilon):
    """Reduce an attacker and parameters theta (n_features + 1,) to inner products.

    Returns them and the axes that lead back to the features.
    """
    weights, intercept = theta[:-1], theta[-1]
    difference = defense.centroids[1] - defense.centroids[0]
    gap, first = _length_and_unit(difference)
    along = float(weights @ first)
    rest = weights - along * first
    rest = rest - (first @ rest) * first
    across, second = _length_and_unit(rest)
    unit = float(defense.radii.max()) or 1.0
    plane = PlaneProblem(
        gap=gap / unit,
        along=along * unit,
        across=across * unit,
        margins=1.0 - SIDES[::2] * (defense.centroids @ weights + intercept),
        radii=defense.radii / unit,
        widths=defense.widths / unit,
        leverages=epsilon / np.repeat(defense.shares, 2),
    )
    return plane, PlaneAxes(np.array([first, second]), unit)


def _length_and_unit(vector):
    length = float(np.linalg.norm(vector))
    return length, vector / (length or 1.0)


def longest_reach(plane, cell):
    """Bound how far the centroids' difference can move within a cell of splits."""
    worth = plane.leverages * plane.radii
    mass = cell.lower.copy()
    left = 1.0 - mass.sum()
    for group in np.argsort(-worth):
        step = min(max(left, 0.0), cell.upper[group] - cell.lower[group])
        mass[group] += step
        left -= step
    return float(worth @ mass)
