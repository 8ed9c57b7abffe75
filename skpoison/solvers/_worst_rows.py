"""The attacker's term for any loss: epsilon times the loss of the worst row.

It is the largest of a few *pieces*. A loss that never grows with the margin is largest
where the margin is smallest, or the *shortfall* ``1 - margin`` largest: each class is a
piece, with its set F of rows, its sign s and the weight c of its rows, whose largest
shortfall is ``T(theta) = max_{x in F} (1 - s (w @ x + b))``, and which loses
``c * loss(1 - T)``. A loss that grows on both sides, as the squared loss does, is that
of the largest ``|1 - margin|``: each class is two pieces, of which the second has
``-(1 - s (w @ x + b))``. In regression, the largest error is below the largest target
or above the smallest: two pieces, ``target - (w @ x + b)`` and
``(w @ x + b) - target``. All of these are
``T(theta) = max_{x in F} (level - direction * (w @ x + b))``.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skpoison._residual_losses import ResidualLoss
from skpoison.feasible.discrete import Hull
from skpoison.losses import Loss
from skpoison.solvers._adversary import (
    Curvature,
    PoisonPoints,
    SmoothedPoison,
    capped_simplex_jacobian,
    project_on_capped_simplex,
    project_on_simplex,
)

# Products and quotients are rounded by less than this.
SLOPE_ERROR = 4.0 * np.finfo(np.float64).eps


class OuterLoss(NamedTuple):
    """The losses of shortfalls, with their first two derivatives by the shortfall."""

    value: np.ndarray
    slope: np.ndarray
    curvature: np.ndarray


class Pieces(NamedTuple):
    """What the largest loss is the largest of.

    Parameters
    ----------
    directions : ndarray of shape (n_pieces,)
        The sign of the score in the shortfall, reversed.
    levels : ndarray of shape (n_pieces,)
        The shortfall at parameters of zero.
    sets : list of FeasibleRegion
        The rows.
    weights : ndarray of shape (n_pieces,)
        Their weights.
    labels : ndarray of shape (n_pieces,)
        The signs of their labels, or their targets.
    """

    directions: np.ndarray
    levels: np.ndarray
    sets: list
    weights: np.ndarray
    labels: np.ndarray


def of_classes(
    loss: Loss,
    signs: Sequence[float],
    sets: Sequence[Any],
    weights: np.ndarray,
) -> Pieces:
    """Return the pieces of a loss of margins, given each class's sign, set, weight.

    A class without weight is none.
    """
    sides = (1.0, -1.0) if loss.slope_range[0] < 0.0 else (1.0,)
    parts = [
        (side, sign, rows, weight)
        for side in sides
        for sign, rows, weight in zip(signs, sets, weights, strict=True)
        if weight > 0.0
    ]
    sides_of, signs_of, sets_of, weights_of = zip(*parts, strict=True)
    levels, labels = np.array(sides_of), np.array(signs_of)
    directions = levels * labels
    return Pieces(directions, levels, list(sets_of), np.array(weights_of), labels)


def of_targets(
    loss: Any, targets: tuple[float, float], rows: Any, weight: float = 1.0
) -> Pieces:
    """Return the pieces of a loss of errors, for targets between two and one set."""
    directions, labels = np.array([-1.0, 1.0]), np.asarray(targets, dtype=np.float64)
    levels = directions * labels - loss.dead_zone
    return Pieces(directions, levels, [rows, rows], np.full(2, weight), labels)


class WorstRows:
    """Poison of total weight epsilon that loses what the worst row of its sets loses.

    Parameters
    ----------
    epsilon : float
        Total weight of the poison, relative to the clean rows.
    loss : Loss
        The learner's loss.
    pieces : Pieces
        What the largest loss is the largest of.

    Attributes
    ----------
    squared_radius : float
        Size of the sets, which proximal weights of points are relative to.
    is_capped : bool
        Whether a piece loses what its shortfall exceeds 0 by.
    """

    def __init__(self, epsilon, loss, pieces):
        self.epsilon, self.loss, self.pieces = float(epsilon), loss, pieces
        spread = max((rows.reach for rows in pieces.sets), default=0.0)
        self.squared_radius = spread * spread or 1.0
        self.is_capped = loss.is_piecewise_linear
        # The loss is that of this margin, or error, less the shortfall.
        self.anchor = 0.0 if isinstance(loss, ResidualLoss) else 1.0

    def __bool__(self) -> bool:
        return self.epsilon > 0.0 and len(self.sets) > 0

    @property
    def sets(self) -> list:
        """The set of each piece."""
        return self.pieces.sets

    @property
    def signs(self) -> np.ndarray:
        """The sign of each piece's label, or its target."""
        return self.pieces.labels

    def over(self, sets):
        """Return the term over other sets, one for each piece."""
        return WorstRows(self.epsilon, self.loss, self.pieces._replace(sets=sets))

    def start(self, n_features: int) -> PoisonPoints:
        """Return poison to start from: rows near the centers, with equal weights."""
        n_sets = len(self.sets)
        points = [rows.projection(rows.center).point for rows in self.sets]
        points = np.array(points)
        weights = np.full(n_sets, 1.0 / max(n_sets, 1))
        return PoisonPoints(weights, points.reshape(n_sets, n_features))

    def largest_shortfalls(self, theta: np.ndarray) -> np.ndarray:
        """Return the largest shortfall of each piece at parameters."""
        supports = [
            _largest(rows, -direction * theta[:-1])
            for direction, rows in zip(self.pieces.directions, self.sets, strict=True)
        ]
        levels = self.pieces.levels - self.pieces.directions * theta[-1]
        return levels + np.array(supports)

    def largest_loss(self, theta: np.ndarray) -> float:
        """Return the largest loss at parameters; 0 without sets."""
        if not self.sets:
            return 0.0
        return float(self.outer(self.largest_shortfalls(theta)).value.max())

    def outer(self, shortfalls: np.ndarray) -> OuterLoss:
        """Return the loss of each piece's shortfall, with its derivatives."""
        weights = self.pieces.weights
        if self.is_capped:
            losses = weights * np.maximum(shortfalls, 0.0)
            return OuterLoss(losses, weights, np.zeros(len(weights)))
        if self.loss.slope_range[0] < 0.0:
            shortfalls = np.maximum(shortfalls, 0.0)  # as the largest one is
        margins = self.anchor - shortfalls
        return OuterLoss(
            weights * self.loss.value(margins),
            -weights * self.loss.derivative(margins),
            weights * self.loss.curvature(margins),
        )

    def shortfalls(self, theta: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return the shortfalls of one row of each piece."""
        scores = points @ theta[:-1] + theta[-1]
        return self.pieces.levels - self.pieces.directions * scores

    def gradients(self, points: np.ndarray) -> np.ndarray:
        """Return the gradients of the shortfalls of one row of each piece."""
        with_ones = np.hstack([points, np.ones((len(points), 1))])
        return -self.pieces.directions[:, np.newaxis] * with_ones

    def dual_mass(self, poison: PoisonPoints, slopes: np.ndarray) -> float:
        """Return the poison's part of the dual value, without the dual sum's.

        A piece's loss is at least its shortfall times any slope, less the conjugate,
        and its largest shortfall at least that of the point.
        """
        if not self:
            return 0.0
        masses = slopes * self.pieces.levels - self.outer_conjugates(slopes)
        return self.epsilon * float(poison.beta @ masses)

    def outer_conjugates(self, slopes: np.ndarray) -> np.ndarray:
        """Return the conjugates of the losses of shortfalls, as functions of them."""
        if self.is_capped:
            return np.zeros(len(slopes))
        own = self.own_slopes(slopes)
        conjugates = own * self.anchor + self.loss.conjugate(own)
        return self.pieces.weights * conjugates

    def own_slopes(self, slopes: np.ndarray) -> np.ndarray:
        """Return the slopes of the losses of rows that weigh 1.

        The steepest slope, times a weight and divided by it, can come out steeper.
        """
        own = slopes / self.pieces.weights
        inside = self.loss.project(own)
        is_rounded = np.isclose(own, inside, rtol=SLOPE_ERROR, atol=0.0)
        return np.where(is_rounded, inside, own)

    def dual_sum(self, poison: PoisonPoints, slopes: np.ndarray) -> np.ndarray:
        """Return the weighted sum of the signed rows: the poison's part of z."""
        masses = self.epsilon * slopes * poison.beta
        return -masses @ self.gradients(poison.points)

    def excess(self, poison: PoisonPoints, slopes: np.ndarray) -> float:
        """Return the last entry of the dual sum."""
        return self.epsilon * float((slopes * poison.beta) @ self.pieces.directions)

    def lightened(
        self, poison: PoisonPoints, excess: float, slopes: np.ndarray
    ) -> np.ndarray | None:
        """Take an excess from the last entry of the dual sum; None where it cannot be.

        Any part of a slope is a slope of the loss as well.
        """
        heavier = self.pieces.directions == np.copysign(1.0, excess)
        there = self.epsilon * float(poison.beta[heavier] @ slopes[heavier])
        if there == 0.0 or abs(excess) > there:
            return None
        return np.where(heavier, 1.0 - abs(excess) / there, 1.0) * slopes

    def smooth(
        self, theta: np.ndarray, center: PoisonPoints, share_prox: float, nu: float
    ) -> SmoothedPoison:
        """Evaluate the smooth envelope of the largest loss around a former answer."""
        w = theta[:-1]
        projections = [
            rows.projection(old - (direction / nu) * w)
            for direction, rows, old in zip(
                self.pieces.directions, self.sets, center.points, strict=True
            )
        ]
        points = np.array([found.point for found in projections])
        points = points.reshape(center.points.shape)
        moved = points - center.points
        values = self.shortfalls(theta, points) - 0.5 * nu * np.vecdot(moved, moved)
        # A capped shortfall is its own loss: below 0, no poison does better.
        losses = self._uncapped(values)
        project = project_on_capped_simplex if self.is_capped else project_on_simplex
        beta = project(center.beta + losses / share_prox)
        step = beta - center.beta
        value = float(beta @ losses - 0.5 * share_prox * (step @ step))
        return SmoothedPoison(value, values, PoisonPoints(beta, points), projections)

    def _uncapped(self, shortfalls):
        if self.is_capped:
            return self.pieces.weights * shortfalls
        return self.outer(shortfalls).value

    def curvature(
        self, smoothed: SmoothedPoison, share_prox: float, nu: float
    ) -> Curvature:
        """Return the second derivative of the envelope, times epsilon."""
        beta, points = smoothed.response
        outer, gradients = self.outer(smoothed.losses), self.gradients(points)
        of_losses = outer.slope[:, np.newaxis] * gradients
        vectors = list((capped_simplex_jacobian(beta) @ of_losses)[beta > 0])
        weights = [self.epsilon / share_prox] * len(vectors)
        vectors += list(gradients)
        weights += list(self.epsilon * beta * outer.curvature)
        diagonal = np.zeros(points.shape[1] + 1)
        shares = self.epsilon * beta * outer.slope / nu
        for stiffness, found in zip(shares, smoothed.projections, strict=True):
            if stiffness > 0.0:
                diagonal[:-1] += stiffness * found.diagonal
                vectors += [np.append(vector, 0.0) for vector in found.vectors]
                weights += [-stiffness] * len(found.vectors)
        return Curvature(diagonal, np.array(vectors), np.array(weights))


def _largest(rows, a):
    """Bound ``a @ x`` over rows; where no row is needed, a hull is fast."""
    return rows.bound(a)[0] if isinstance(rows, Hull) else rows.support(a)[0]


NO_PIECES = Pieces(np.zeros(0), np.zeros(0), [], np.zeros(0), np.zeros(0))
