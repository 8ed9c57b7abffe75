"""The attacker's term: the largest hinge loss of a row that the filter lets through.

For a class with sign s and feasible set F the largest loss is
``h(theta) = 1 - s b + max_{x in F} (-s w @ x)``, and the attacker takes the largest
over the classes, or nothing: the maximum of ``beta @ h`` over
``beta >= 0, sum(beta) <= 1``.
"""

from abc import ABC, abstractmethod
from copy import copy
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison.losses import Hinge


class PoisonPoints(NamedTuple):
    """Weighted poison rows: one row and one weight per class.

    Parameters
    ----------
    beta : ndarray of shape (n_sets,)
        Weights, at least zero, at most one in sum.
    points : ndarray of shape (n_sets, n_features)
        The rows.
    """

    beta: np.ndarray
    points: np.ndarray


class SmoothedPoison(NamedTuple):
    """The envelope of the attacker's term at one theta.

    Parameters
    ----------
    value : float
        Its value.
    losses : ndarray of shape (n_sets,)
        The smoothed largest loss of each class.
    response : PoisonPoints
        The attacker's proximal maximizer, which gives the gradient.
    projections : list of Projection
        How the points move with theta.
    """

    value: float
    losses: np.ndarray
    response: PoisonPoints
    projections: list


class Curvature(NamedTuple):
    """A second derivative: ``diag(diagonal) + vectors.T * weights @ vectors``.

    Parameters
    ----------
    diagonal : ndarray of shape (n_features + 1,)
        The part that differs from feature to feature.
    vectors : ndarray of shape (n_vectors, n_features + 1)
        Directions of the rest.
    weights : ndarray of shape (n_vectors,)
        Their weights, which may be negative.
    """

    diagonal: np.ndarray
    vectors: np.ndarray
    weights: np.ndarray


class Adversary(ABC):
    """What the attacker can do to the learner: a convex function of its parameters.

    The function is the largest loss of what the attacker can send, times epsilon.
    Points and their weights (:class:`PoisonPoints`) represent it in the dual.

    Parameters
    ----------
    epsilon : float
        Total weight of the poison, relative to the clean rows.

    Attributes
    ----------
    constants : float or ndarray of shape (n_sets,)
        What the losses are at parameters of zero.
    squared_radius : float
        Size of the sets, which proximal weights of points are relative to.
    """

    constants: float | np.ndarray = 1.0
    squared_radius: float = 1.0

    def __init__(self, epsilon: float):
        self.epsilon = float(epsilon)

    def start(self, n_features: int) -> PoisonPoints:
        """Return poison to start from: none, unless the adversary knows better."""
        return PoisonPoints(np.zeros(0), np.zeros((0, n_features)))

    @abstractmethod
    def largest_loss(self, theta: np.ndarray) -> float:
        """Return the largest loss at parameters, at least 0; never less than it is."""

    @abstractmethod
    def losses_at(self, theta: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return the margin losses, which may be negative, of given points."""

    @abstractmethod
    def dual_sum(self, poison: PoisonPoints) -> np.ndarray:
        """Return the weighted sum of the signed rows: the poison's part of the dual."""

    @abstractmethod
    def smooth(
        self, theta: np.ndarray, center: PoisonPoints, share_prox: float, nu: float
    ) -> SmoothedPoison:
        """Evaluate the smooth envelope, proximal to a former answer.

        Parameters
        ----------
        theta : ndarray of shape (n_features + 1,)
            Where.
        center : PoisonPoints
            The former answer.
        share_prox : float
            Proximal weight of the class shares.
        nu : float
            Proximal weight of the points.

        Returns
        -------
        smoothed : SmoothedPoison
            Value, gradient and what curvature needs.
        """

    @abstractmethod
    def curvature(
        self, smoothed: SmoothedPoison, share_prox: float, nu: float
    ) -> Curvature:
        """Return the second derivative of the envelope, times epsilon.

        Parameters
        ----------
        smoothed : SmoothedPoison
            The envelope at the point.
        share_prox, nu : float
            Proximal weights.

        Returns
        -------
        curvature : Curvature
            A diagonal and a part of low rank.
        """


def _shares(losses, center, share_prox):
    """Return the envelope's value over the shares of the losses, and the shares."""
    beta = project_on_capped_simplex(center.beta + losses / share_prox)
    moved = beta - center.beta
    return float(beta @ losses - 0.5 * share_prox * (moved @ moved)), beta


class PoisonTerm(Adversary):
    """Poison of total weight epsilon from one feasible set per class.

    Parameters
    ----------
    epsilon : float
        Total weight of the poison, relative to the clean rows.
    signs : sequence of float
        Sign of each set's label.
    sets : sequence of FeasibleRegion
        The feasible sets, in the order of `signs`.
    """

    def __init__(self, epsilon, signs, sets):
        super().__init__(epsilon)
        self.signs = np.asarray(signs, dtype=np.float64)
        self.sets = list(sets)
        spread = max((rows.reach for rows in self.sets), default=0.0)
        self.squared_radius = spread * spread or 1.0

    def over(self, sets):
        """Return the same term over other sets, one for each of its own."""
        term = copy(self)
        term.sets = list(sets)
        return term

    def start(self, n_features):
        """Return initial poison: the centers, with equal weights."""
        n_sets = len(self.sets)
        points = np.array([rows.center for rows in self.sets])
        points = points.reshape(n_sets, n_features)
        return PoisonPoints(np.full(n_sets, 1.0 / max(n_sets, 1)), points)

    def largest_loss(self, theta):
        w, _ = self._split(theta)
        values = [self._largest(i, -sign * w) for i, sign in enumerate(self.signs)]
        worst = max(self._losses_of(theta, values), default=0.0)
        return float(Hinge().of_shortfalls(worst))

    def _split(self, theta):
        """Return the weights of the features, and the intercept."""
        return theta[:-1], theta[-1]

    def worst_rows(self, theta):
        """Return the largest margin loss in each class, and rows that reach it."""
        w, _ = self._split(theta)
        answers = [self._worst_row(i, -sign * w) for i, sign in enumerate(self.signs)]
        losses = self._losses_of(theta, [value for value, _ in answers])
        return losses, [row for _, row in answers]

    def _losses_of(self, theta, values):
        """Losses at rows for which the signed features sum up to values."""
        _, b = self._split(theta)
        both = zip(self.signs, values, strict=True)
        return [1.0 - sign * b + value for sign, value in both]

    def _worst_row(self, i, a):
        return self.sets[i].support(a)

    def _largest(self, i, a):
        """The value of the worst row, where the row need not be known."""
        return self._worst_row(i, a)[0]

    def _projection(self, i, x):
        return self.sets[i].projection(x)

    def losses_at(self, theta, points):
        w, b = self._split(theta)
        return 1.0 - self.signs * (points @ w + b)

    def gradients(self, points):
        """Return ``-s (x, 1)`` for each point: the gradients of their losses."""
        return -signed_rows(self.signs, points)

    def dual_sum(self, poison):
        return -(self.epsilon * poison.beta) @ self.gradients(poison.points)

    def smooth(self, theta, center, share_prox, nu):
        w, b = self._split(theta)
        projections, losses = [], []
        for i, (sign, old) in enumerate(zip(self.signs, center.points, strict=True)):
            found = self._projection(i, old - (sign / nu) * w)
            step = found.point - old
            loss = 1.0 - sign * (w @ found.point + b) - 0.5 * nu * (step @ step)
            projections.append(found)
            losses.append(loss)
        losses = np.array(losses)
        value, beta = _shares(losses, center, share_prox)
        points = np.array([found.point for found in projections])
        points = points.reshape(center.points.shape)
        return SmoothedPoison(value, losses, PoisonPoints(beta, points), projections)

    def curvature(self, smoothed, share_prox, nu):
        beta, points = smoothed.response
        jacobian = capped_simplex_jacobian(beta)
        vectors = list((jacobian @ self.gradients(points))[beta > 0])
        weights = [self.epsilon / share_prox] * len(vectors)
        diagonal = np.zeros(points.shape[1] + 1)
        for share, found in zip(beta, smoothed.projections, strict=True):
            stiffness = self.epsilon * share / nu
            if stiffness > 0:
                diagonal[:-1] += stiffness * found.diagonal
                vectors += [np.append(vector, 0.0) for vector in found.vectors]
                weights += [-stiffness] * len(found.vectors)
        vectors = np.array(vectors).reshape(-1, len(diagonal))
        return Curvature(diagonal, vectors, np.array(weights))


NO_POISON = PoisonTerm(0.0, [], [])


class PointPoison(Adversary):
    """Poison that may only be one of finitely many rows.

    A lower bound on the attacker's term: the model of a cutting-plane method.

    Parameters
    ----------
    epsilon : float
        Total weight of the poison, relative to the clean rows.
    signs : ndarray of shape (n_points,)
        Sign of each row's label.
    points : {ndarray, CSR array} of shape (n_points, n_features)
        The rows.
    """

    def __init__(self, epsilon, signs, points):
        super().__init__(epsilon)
        self.signs, self.points = np.asarray(signs, dtype=np.float64), points

    def start(self, n_features):
        return PoisonPoints(np.zeros(len(self.signs)), self.points)

    def losses_at(self, theta, points):
        return 1.0 - self.signs * (self.points @ theta[:-1] + theta[-1])

    def largest_loss(self, theta):
        worst = self.losses_at(theta, None).max(initial=0.0)
        return float(Hinge().of_shortfalls(worst))

    def dual_sum(self, poison):
        weights = self.epsilon * poison.beta * self.signs
        return np.append(self.points.T @ weights, weights.sum())

    def smooth(self, theta, center, share_prox, nu):
        losses = self.losses_at(theta, None)
        value, beta = _shares(losses, center, share_prox)
        return SmoothedPoison(value, losses, PoisonPoints(beta, self.points), [])

    def curvature(self, smoothed, share_prox, nu):
        beta = smoothed.response.beta
        used = np.flatnonzero(beta > 0)
        signed = signed_rows(self.signs[used], self.points[used])
        jacobian = capped_simplex_jacobian(beta[used])
        weights = np.full(len(used), self.epsilon / share_prox)
        return Curvature(np.zeros(signed.shape[1]), jacobian @ signed, weights)


def signed_rows(signs: np.ndarray, points: np.ndarray | sparse.sparray) -> np.ndarray:
    """Return the vectors ``s (x, 1)`` of rows, dense."""
    dense = points if isinstance(points, np.ndarray) else points.toarray()
    return signs[:, np.newaxis] * np.hstack([dense, np.ones((len(dense), 1))])


def project_on_capped_simplex(q: np.ndarray) -> np.ndarray:
    """Project onto the capped simplex: ``beta >= 0, sum(beta) <= 1``."""
    beta = np.maximum(q, 0.0)
    return beta if beta.sum() <= 1.0 else project_on_simplex(q)


def project_on_simplex(q: np.ndarray) -> np.ndarray:
    """Project onto the simplex: ``beta >= 0, sum(beta) == 1``."""
    # From the largest on, or beside it the 1 of the sum would be lost to rounding.
    q = q - q.max()
    if len(q) == 2:  # one is zero now, and the other less by how much they differ
        return np.maximum(q + 0.5 * (1.0 - max(q.sum(), -1.0)), 0.0)
    ordered = np.sort(q)[::-1]
    excess = (np.cumsum(ordered) - 1.0) / np.arange(1, len(q) + 1)
    last = np.flatnonzero(ordered > excess)[-1]
    return np.maximum(q - excess[last], 0.0)


def capped_simplex_jacobian(beta: np.ndarray) -> np.ndarray:
    """Return the (idempotent) Jacobian of the projection onto the capped simplex."""
    positive = (beta > 0).astype(np.float64)
    jacobian = np.diag(positive)
    if beta.sum() >= 1.0 - 1e-12:
        jacobian -= np.outer(positive, positive) / positive.sum()
    return jacobian
