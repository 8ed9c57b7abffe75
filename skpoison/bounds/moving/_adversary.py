"""Attacks as terms of the learner's objective.

An attack that passes the filter still passes when it is rotated about the line through
the centroids. So at any parameters its worst loss is a constant, minus multiples of the
intercept and of the weights' product with one point, plus a multiple of the norm of the
weights orthogonal to that line: the support function of a disc.
"""

import numpy as np

from skpoison.bounds.moving._reduction import COUNTING, IDLE, SIDES
from skpoison.feasible import SphereSlab
from skpoison.solvers._adversary import (
    PoisonPoints,
    PoisonTerm,
    SmoothedPoison,
    project_on_capped_simplex,
)


class DiscPoison(PoisonTerm):
    """Poison that is the worst of finitely many attacks, over all rotations.

    Parameters
    ----------
    epsilon : float
        Poison rows as a share of the clean rows.
    constants : ndarray of shape (n_attacks,)
        Part of each attack's rows that count.
    tilts : ndarray of shape (n_attacks,)
        Part with label one less part with label minus one, among those.
    sets : sequence of SphereSlab
        Discs of the sums of the counting rows, signed by their labels.
    """

    def __init__(self, epsilon, constants=(), tilts=(), sets=()):
        super().__init__(epsilon, np.ones(len(sets)), sets)
        self.constants = np.asarray(constants, dtype=np.float64)
        self.tilts = np.asarray(tilts, dtype=np.float64)

    def add(self, constant, tilt, disc):
        """Return the term with one more attack."""
        return DiscPoison(
            self.epsilon,
            np.append(self.constants, constant),
            np.append(self.tilts, tilt),
            [*self.sets, disc],
        )

    def _losses_of(self, theta, values):
        """Losses of attacks at points of their discs that reach these values."""
        return self.constants - self.tilts * theta[-1] + np.array(values)

    def losses_at(self, theta, points):
        """Return the losses of attacks at given points of their discs."""
        return self.constants - points @ theta[:-1] - self.tilts * theta[-1]

    def gradients(self, points):
        """Return the gradients of those losses."""
        return -np.column_stack([points, self.tilts])

    def smooth(self, theta, center, share_prox, nu):
        """Evaluate the term smoothed by a proximal term at a previous solution."""
        wanted = center.points - theta[:-1] / nu
        pairs = zip(self.sets, wanted, strict=True)
        projections = [disc.projection(point) for disc, point in pairs]
        points = np.array([found.point for found in projections])
        points = points.reshape(center.points.shape)
        steps = ((points - center.points) ** 2).sum(axis=1)
        losses = self.losses_at(theta, points) - 0.5 * nu * steps
        beta = project_on_capped_simplex(center.beta + losses / share_prox)
        moved = beta - center.beta
        value = float(beta @ losses - 0.5 * share_prox * (moved @ moved))
        return SmoothedPoison(value, losses, PoisonPoints(beta, points), projections)


def disc_of(attack, plane, frame, defense):
    """Return an attack's loss as a term of :class:`DiscPoison`.

    Constant and tilt are the part of the rows that count and the sum of their labels;
    the disc holds their signed sum, turned about the line of the centroids.
    """
    signed = SIDES[COUNTING] * attack.split[COUNTING]
    center = signed @ defense.centroids
    rows = attack.rows[COUNTING] + _centroid_shifts(attack, plane)
    offset = frame.unit * (signed @ rows)
    constant, tilt = float(attack.split[COUNTING].sum()), float(signed.sum())
    if plane.gap == 0.0:
        return constant, tilt, SphereSlab(center, float(np.linalg.norm(offset)))
    axis = frame.axes[0]
    radius = float(np.linalg.norm(offset[1:]))
    disc = SphereSlab(center + offset[0] * axis, radius, axis, lower=0.0, upper=0.0)
    return constant, tilt, disc


def _centroid_shifts(attack, plane):
    moved = (plane.leverages * attack.split)[:, np.newaxis] * attack.rows
    return moved[COUNTING] + moved[IDLE]
