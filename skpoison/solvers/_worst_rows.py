"""The attacker's term for any loss: epsilon times the loss of the worst row.

A loss that never grows with the margin is largest where the margin is smallest, or the
*shortfall* ``1 - margin`` largest. With the sets F_j of the classes, their signs s_j,
and orientations o_j, which are 1, the largest shortfall is
``T(theta) = max_j max_{x in F_j} o_j (1 - s_j (w @ x + b))``, and the term is
``epsilon * loss(1 - T(theta))``. A loss that grows on both sides of 1, as the squared
loss does, is that of the largest ``|1 - margin|``: each set comes twice, the second
time with the orientation -1.
"""

from typing import NamedTuple

import numpy as np

from skpoison.losses import Hinge
from skpoison.solvers._adversary import (
    Curvature,
    PoisonPoints,
    SmoothedPoison,
    capped_simplex_jacobian,
    project_on_capped_simplex,
    project_on_simplex,
)


class OuterLoss(NamedTuple):
    """The loss of a shortfall, with its first two derivatives by the shortfall."""

    value: float
    slope: float
    curvature: float


class WorstRows:
    """Poison of total weight epsilon that loses what the worst row of its sets loses.

    Parameters
    ----------
    epsilon : float
        Total weight of the poison, relative to the clean rows.
    loss : Loss
        The learner's loss.
    signs : sequence of float
        Sign of each class.
    sets : sequence of FeasibleRegion
        The feasible set of each class.

    Attributes
    ----------
    signs, orientations : ndarray of shape (n_pieces,)
        Sign of each set's label, and on which side of 1 its margins count.
    sets : list of FeasibleRegion
        The sets, each once for each of its orientations.
    squared_radius : float
        Size of the sets, which proximal weights of points are relative to.
    """

    def __init__(self, epsilon, loss, signs, sets):
        self.epsilon, self.loss = float(epsilon), loss
        sides = (1.0, -1.0) if loss.slope_range[0] < 0.0 else (1.0,)
        self.orientations = np.repeat(sides, len(sets))
        self.signs = np.tile(np.asarray(signs, dtype=np.float64), len(sides))
        self.sets = list(sets) * len(sides)
        spread = max((rows.reach for rows in sets), default=0.0)
        self.squared_radius = spread * spread or 1.0
        # The hinge is the larger of the shortfall and 0: of less weight than all.
        self.is_capped = isinstance(loss, Hinge)

    def __bool__(self) -> bool:
        return self.epsilon > 0.0 and len(self.sets) > 0

    def over(self, sets):
        """Return the term over other sets, one for each class."""
        return WorstRows(self.epsilon, self.loss, self.signs[: len(sets)], sets)

    def per_class(self) -> list:
        """Return the sets, each once."""
        return self.sets[: len(self.sets) // len(set(self.orientations.tolist()))]

    def start(self, n_features: int) -> PoisonPoints:
        """Return poison to start from: the centers, with equal weights."""
        n_sets = len(self.sets)
        points = np.array([rows.center for rows in self.sets])
        weights = np.full(n_sets, 1.0 / max(n_sets, 1))
        return PoisonPoints(weights, points.reshape(n_sets, n_features))

    def shortfall(self, theta: np.ndarray) -> float:
        """Return the largest shortfall at parameters; minus infinity without sets."""
        return max(
            (
                o * (1.0 - s * theta[-1]) + rows.support(-o * s * theta[:-1])[0]
                for o, s, rows in zip(
                    self.orientations, self.signs, self.sets, strict=True
                )
            ),
            default=-np.inf,
        )

    def largest_loss(self, theta: np.ndarray) -> float:
        """Return the largest loss at parameters; 0 without sets."""
        return self.outer(self.shortfall(theta)).value if self.sets else 0.0

    def outer(self, shortfall: float) -> OuterLoss:
        """Return the loss of a shortfall, with its derivatives."""
        if self.is_capped:
            return OuterLoss(max(shortfall, 0.0), 1.0, 0.0)
        if self.loss.slope_range[0] < 0.0:
            shortfall = max(shortfall, 0.0)  # as the largest one is
        margin = np.asarray(1.0 - shortfall)
        return OuterLoss(
            float(self.loss.value(margin)),
            float(-self.loss.derivative(margin)),
            float(self.loss.curvature(margin)),
        )

    def shortfalls(self, theta: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return the shortfalls of one row of each set."""
        scores = points @ theta[:-1] + theta[-1]
        return self.orientations * (1.0 - self.signs * scores)

    def gradients(self, points: np.ndarray) -> np.ndarray:
        """Return the gradients of the shortfalls of one row of each set."""
        signed = -(self.orientations * self.signs)[:, np.newaxis]
        return signed * np.hstack([points, np.ones((len(points), 1))])

    def dual_mass(self, poison: PoisonPoints, slope: float) -> float:
        """Return the poison's part of the dual value, without the dual sum's.

        With ``loss(m) >= -a m - conjugate(a)`` at ``m = 1 - T`` and T at least the mean
        shortfall of the points.
        """
        if not self:
            return 0.0
        mean = float(poison.beta @ self.orientations)
        return self.epsilon * (slope * mean - self.outer_conjugate(slope))

    def outer_conjugate(self, slope: float) -> float:
        """Return the conjugate of the loss of a shortfall, as a function of it."""
        if self.is_capped:
            return 0.0
        return slope + float(self.loss.conjugate(np.asarray(slope)))

    def dual_sum(self, poison: PoisonPoints, slope: float) -> np.ndarray:
        """Return the weighted sum of the signed rows: the poison's part of z."""
        masses = self.epsilon * slope * poison.beta
        return -masses @ self.gradients(poison.points)

    def lightened(
        self, poison: PoisonPoints, excess: float, slope: float
    ) -> PoisonPoints | None:
        """Take an excess from the last entry of the dual sum; None where it cannot be.

        A capped shortfall gives weight away, any other moves it to the other side.
        """
        scale = self.epsilon * slope * (1.0 if self.is_capped else 2.0)
        heavier = self.orientations * self.signs == np.copysign(1.0, excess)
        there = float(poison.beta[heavier].sum())
        if there == 0.0 or heavier.all() or abs(excess) > scale * there:
            return None
        moved = abs(excess) / scale
        beta = np.where(heavier, 1.0 - moved / there, 1.0) * poison.beta
        if not self.is_capped:
            beta += np.where(heavier, 0.0, moved / np.count_nonzero(~heavier))
        return poison._replace(beta=beta)

    def smooth(
        self, theta: np.ndarray, center: PoisonPoints, share_prox: float, nu: float
    ) -> SmoothedPoison:
        """Evaluate the smooth envelope of the shortfall around a former answer."""
        w = theta[:-1]
        projections = [
            rows.projection(old - (o * s / nu) * w)
            for o, s, rows, old in zip(
                self.orientations, self.signs, self.sets, center.points, strict=True
            )
        ]
        points = np.array([found.point for found in projections])
        points = points.reshape(center.points.shape)
        moved = points - center.points
        values = self.shortfalls(theta, points) - 0.5 * nu * np.vecdot(moved, moved)
        project = project_on_capped_simplex if self.is_capped else project_on_simplex
        beta = project(center.beta + values / share_prox)
        step = beta - center.beta
        value = float(beta @ values - 0.5 * share_prox * (step @ step))
        return SmoothedPoison(value, values, PoisonPoints(beta, points), projections)

    def curvature(
        self, smoothed: SmoothedPoison, share_prox: float, nu: float
    ) -> Curvature:
        """Return the second derivative of the envelope's loss, times epsilon."""
        beta, points = smoothed.response
        outer, gradients = self.outer(smoothed.value), self.gradients(points)
        scale = self.epsilon * outer.slope
        vectors = list((capped_simplex_jacobian(beta) @ gradients)[beta > 0])
        weights = [scale / share_prox] * len(vectors)
        vectors.append(beta @ gradients)
        weights.append(self.epsilon * outer.curvature)
        diagonal = np.zeros(points.shape[1] + 1)
        for share, found in zip(beta, smoothed.projections, strict=True):
            stiffness = scale * share / nu
            if stiffness > 0.0:
                diagonal[:-1] += stiffness * found.diagonal
                vectors += [np.append(vector, 0.0) for vector in found.vectors]
                weights += [-stiffness] * len(found.vectors)
        return Curvature(diagonal, np.array(vectors), np.array(weights))
