"""The attacker's rows, each with a linear function of the scores that it aims at.

A convex loss is the largest of linear functions, ``aim @ S - conjugate(aim)``. For an
aim that is held, the worst row of a class has a closed form, and its loss is convex in
the learner's parameters. See docs/mathematics.md, section "Several classes".
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skpoison.feasible import SphereSlab
from skpoison.feasible._base import FeasibleRegion
from skpoison.solvers._adversary import project_on_simplex
from skpoison.solvers._class_problem import Labelled

LEAST_LENGTH = 1e-12


class Pool(NamedTuple):
    """Rows of the attacker, with what they aim at, and their shares of the poison.

    Parameters
    ----------
    codes : ndarray of shape (n_points,)
        The positions of the rows' classes.
    aims : ndarray of shape (n_points, n_classes)
        Slopes of the loss by the scores.
    costs : ndarray of shape (n_points,)
        Conjugate of the loss at each aim.
    points : ndarray of shape (n_points, n_features)
        The rows.
    shares : ndarray of shape (n_points,)
        Shares, which sum to 1.
    weights : ndarray of shape (n_points,)
        What the rows' losses are multiplied by.
    """

    codes: np.ndarray
    aims: np.ndarray
    costs: np.ndarray
    points: np.ndarray
    shares: np.ndarray
    weights: np.ndarray

    def take(self, index: np.ndarray) -> "Pool":
        """Return some of the rows."""
        return Pool(*(part[index] for part in self))

    def joined(self, other: "Pool") -> "Pool":
        """Return these rows and others."""
        return Pool(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def rows(self, epsilon: float) -> Labelled:
        """Return the poison of total weight epsilon as weighted rows."""
        weights = epsilon * self.shares * self.weights
        return Labelled(self.points, self.codes, weights)

    def values(self, theta: np.ndarray) -> np.ndarray:
        """Return what the rows lose by their aims: no more than their losses."""
        scores = self.points @ theta[:, :-1].T + theta[:, -1]
        return self.weights * (np.vecdot(self.aims, scores) - self.costs)

    def answer(
        self,
        theta: np.ndarray,
        sets: Sequence[FeasibleRegion],
        share_prox: float,
        point_prox: float,
    ) -> tuple[float, "Pool"]:
        """Return the smoothed worst loss at parameters, and the rows that have it.

        Rows and shares have proximal terms around those of this pool.
        """
        towards = self.aims @ theta[:, :-1]
        points = np.empty_like(self.points)
        costs = self.costs - self.aims @ theta[:, -1]
        for code in np.unique(self.codes):
            at = np.flatnonzero(self.codes == code)
            region = sets[code]
            nu = point_prox / (region.reach**2 or 1.0)
            points[at] = nearest(region, self.points[at] + towards[at] / nu)
            moved = points[at] - self.points[at]
            costs[at] += 0.5 * nu * np.vecdot(moved, moved)
        values = self.weights * (np.vecdot(towards, points) - costs)
        shares = project_on_simplex(self.shares + values / share_prox)
        moved = shares - self.shares
        worst = float(shares @ values) - 0.5 * share_prox * float(moved @ moved)
        return worst, self._replace(points=points, shares=shares)

    def curvature(
        self, theta: np.ndarray, sets: Sequence[FeasibleRegion], point_prox: float
    ) -> float:
        """Return the second derivative of the smoothed loss by a weight, on average.

        A worst row that is on the limits of its set moves with the parameters, by its
        distance from the center over the length of what it is worst for.
        """
        towards = np.linalg.norm(self.aims @ theta[:, :-1], axis=1)
        reach = np.array([region.reach for region in sets])[self.codes]
        nu = point_prox / np.where(reach > 0.0, reach, 1.0) ** 2
        moved = reach / np.maximum(towards, np.maximum(nu * reach, LEAST_LENGTH))
        sizes = np.vecdot(self.aims, self.aims) / len(theta)
        return float((self.weights * self.shares) @ (sizes * moved))


def nearest(region: FeasibleRegion, rows: np.ndarray) -> np.ndarray:
    """Return the nearest row of a region to each row."""
    if type(region) is not SphereSlab:
        return region.project(rows)
    q = rows - region.center
    norm = np.linalg.norm(q, axis=1)
    shrink = np.minimum(1.0, region.radius / np.where(norm > 0.0, norm, 1.0))
    inside = shrink[:, np.newaxis] * q
    if region.direction is None:
        return region.center + inside
    along = q @ region.direction
    t = np.clip(shrink * along, *region._ends())
    cut = np.flatnonzero(t != shrink * along)
    if len(cut):
        across = q[cut] - np.outer(along[cut], region.direction)
        across -= np.outer(across @ region.direction, region.direction)
        height = np.linalg.norm(across, axis=1)
        reach = np.sqrt(
            np.maximum((region.radius - t[cut]) * (region.radius + t[cut]), 0)
        )
        share = np.minimum(1.0, reach / np.where(height > 0.0, height, 1.0))
        inside[cut] = share[:, np.newaxis] * across + np.outer(t[cut], region.direction)
    return region.center + inside
