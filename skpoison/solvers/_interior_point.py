"""An interior-point method for the bound over finitely many poison rows.

With the losses of rows and the largest loss of the poison as variables, the bound is a
quadratic program, and its multipliers are the duals of the bound. A predictor and a
corrector for each step (Mehrotra) solve it in ten to twenty steps, however many kinks
the bound has; each of them reads all rows. For problems of few features, where Newton's
method on a smoothed bound takes many more steps.
See docs/mathematics.md, section "The interior-point method".
"""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from skpoison.solvers._newton_system import Hessian
from skpoison.solvers._regularizers import Regularizer
from skpoison.solvers._signed_design import Rows

MAX_STEPS = 60
# Steps go this far towards the nearest limit.
SHORT_OF = 0.99
# Where they start, parameters are within this share of the ball.
WITHIN = 0.9
# A shorter step than this is no progress: rounding is left.
SHORTEST = 1e-6


class Model(NamedTuple):
    """The bound over finitely many poison rows, near given parameters.

    Parameters
    ----------
    rows : Rows
        Training rows.
    weights : ndarray of shape (n_rows,)
        Weight of each row in the mean loss, positive.
    points : ndarray of shape (n_points, dim)
        Signed poison rows, with the column of the intercept.
    epsilon : float
        Total weight of the poison, positive.
    learner : NormBall or Penalty
        The learner.
    center : ndarray of shape (dim,)
        Parameters whose distance costs.
    proximal_weight : float
        What half its square costs, positive.
    """

    rows: Rows
    weights: np.ndarray
    points: np.ndarray
    epsilon: float
    learner: Regularizer
    center: np.ndarray
    proximal_weight: float

    @property
    def curvature(self) -> float:
        """Curvature of regularizer and distance."""
        return self.learner.curvature + self.proximal_weight


class _Sides(NamedTuple):
    """Where the inequalities stand in vectors of slacks and of multipliers.

    In this order: losses of rows above ``1 - score`` and above zero; the largest loss
    above each poison row's and above zero; the squared norm below that of the ball.
    """

    rows: slice
    losses: slice
    points: slice
    worst: int
    ball: int

    @classmethod
    def of(cls, n_rows, n_points):
        both = 2 * n_rows
        points = slice(both, both + n_points)
        return cls(slice(n_rows), slice(n_rows, both), points, -2, -1)


class _Step(NamedTuple):
    """Changes of parameters, slacks and multipliers."""

    theta: np.ndarray
    slacks: np.ndarray
    multipliers: np.ndarray


class Minimum(NamedTuple):
    """Where a model is least, nearly.

    Parameters
    ----------
    theta : ndarray of shape (dim,)
        Parameters that the learner allows.
    duals : ndarray of shape (n_rows,)
        Dual variable of each row as a share of its weight, between 0 and 1.
    beta : ndarray of shape (n_points,)
        Weights of the poison rows, at least 0, of sum at most 1.
    """

    theta: np.ndarray
    duals: np.ndarray
    beta: np.ndarray


def is_quick(rows: Rows, weights: np.ndarray, most: float) -> bool:
    """Whether a step takes few products, and all rows have weight, as they must."""
    n_products = len(rows) * rows.dim * min(len(rows), rows.dim)
    return n_products <= most and float(weights.min(initial=1.0)) > 0.0


def minimize_model(
    model: Model, target: Callable[[float], float], max_steps: int = MAX_STEPS
) -> Minimum:
    """Minimize the model, to a gap of at most the target or as far as rounding allows.

    The target is a function of the model's value.
    """
    sides = _Sides.of(len(model.rows), len(model.points))
    theta, slacks, multipliers = _start(model, sides)
    for _ in range(min(max_steps, MAX_STEPS)):
        system = _System(model, sides, theta, slacks, multipliers)
        if system.gap <= target(system.value):
            break
        step = _predicted_and_corrected(system)
        length = min(1.0, SHORT_OF * system.longest(step))
        if not length >= SHORTEST:
            break
        theta = theta + length * step.theta
        slacks = slacks + length * step.slacks
        multipliers = multipliers + length * step.multipliers
        slacks[sides.ball] = _ball_slack(model.learner, theta)
    beta = multipliers[sides.points]
    duals = np.clip(multipliers[sides.rows] / model.weights, 0.0, 1.0)
    beta = beta / max(model.epsilon, float(beta.sum()))
    return Minimum(theta, duals, beta)


def _predicted_and_corrected(system):
    """Aim at products as small as the first step could make them, to second order."""
    slacks, multipliers, ball = system.slacks, system.multipliers, system.sides.ball
    products = slacks * multipliers
    affine = system.step(-products)
    length = min(1.0, system.longest(affine))
    reached = (slacks + length * affine.slacks) @ (
        multipliers + length * affine.multipliers
    )
    gap = products.sum()
    aim = (reached / gap) ** 3 * gap / np.count_nonzero(multipliers)
    wanted = aim - products - affine.slacks * affine.multipliers
    if multipliers[ball] > 0.0:  # the ball is round: a step's slack is less
        curved = 0.5 * float(affine.theta @ affine.theta)
        wanted[ball] += multipliers[ball] * curved
    else:
        wanted[ball] = 0.0
    return system.step(wanted)


def _start(model, sides):
    """Strictly feasible losses at the center, and multipliers half of the largest."""
    radius, n_points = model.learner.radius, len(model.points)
    theta = model.center
    norm = float(np.linalg.norm(theta))
    if norm > WITHIN * radius:
        theta = theta * (WITHIN * radius / norm)
    margins = 1.0 - model.rows.scores(theta)
    losses = 1.0 - model.points @ theta
    loss = np.maximum(margins, 0.0) + 0.5
    worst = max(float(losses.max(initial=0.0)), 0.0) + 0.5
    half = 0.5 * model.weights
    share = model.epsilon / (n_points + 1)
    slacks = np.concatenate(
        [
            loss - margins,
            loss,
            worst - losses,
            [worst, _ball_slack(model.learner, theta)],
        ]
    )
    multipliers = np.concatenate([half, half, np.full(n_points + 1, share), [0.0]])
    if np.isfinite(radius):
        average = float(slacks[:-1] @ multipliers[:-1]) / (len(slacks) - 1)
        multipliers[sides.ball] = average / slacks[sides.ball]
    return theta, slacks, multipliers


def _ball_slack(learner, theta):
    radius = learner.radius
    return (
        0.5 * (radius * radius - float(theta @ theta)) if np.isfinite(radius) else 1.0
    )


class _System:
    """The Newton system of the optimality conditions, reduced to the parameters."""

    def __init__(self, model, sides, theta, slacks, multipliers):
        self.model, self.sides, self.theta = model, sides, theta
        self.slacks, self.multipliers = slacks, multipliers
        self.curvature = model.curvature + multipliers[sides.ball]
        self.residual = (
            self.curvature * theta
            - model.proximal_weight * model.center
            - model.rows.combine(multipliers[sides.rows])
            - multipliers[sides.points] @ model.points
        )

    @property
    def gap(self):
        """Duality gap of the parameters and the multipliers."""
        misfit = float(self.residual @ self.residual)
        return float(self.slacks @ self.multipliers) + misfit / (2.0 * self.curvature)

    @property
    def value(self):
        """The model's value at the parameters, or a little more."""
        model, slacks = self.model, self.slacks
        step = self.theta - model.center
        value = float(model.weights @ slacks[self.sides.losses])
        value += model.epsilon * slacks[self.sides.worst]
        value += model.learner.value(self.theta)
        return value + 0.5 * model.proximal_weight * float(step @ step)

    def longest(self, step):
        """Return the longest step that leaves slacks and multipliers positive."""
        values = np.concatenate([self.slacks[:-1], self.multipliers])
        changes = np.concatenate([step.slacks[:-1], step.multipliers])
        falling = changes < 0.0
        length = float((-values[falling] / changes[falling]).min(initial=np.inf))
        if self.multipliers[-1] > 0.0:
            square = float(step.theta @ step.theta)
            slope = float(self.theta @ step.theta)
            root = np.sqrt(slope * slope + 2.0 * self.slacks[-1] * square)
            if root + slope > 0.0:
                length = min(length, 2.0 * self.slacks[-1] / (root + slope))
        return length

    @cached_property
    def ratios(self):
        """Slacks divided by multipliers; the ball's may have none."""
        return self.slacks / np.maximum(self.multipliers, np.finfo(float).tiny)

    @cached_property
    def of_rows(self):
        """What a loss's multiplier changes by, for each unit of a row's score."""
        return 1.0 / (self.ratios[self.sides.rows] + self.ratios[self.sides.losses])

    @cached_property
    def of_points(self):
        """The same for the losses of poison rows."""
        return 1.0 / self.ratios[self.sides.points]

    @cached_property
    def of_worst(self):
        """What the largest loss changes by, for each unit of a multiplier."""
        return 1.0 / (self.of_points.sum() + 1.0 / self.ratios[self.sides.worst])

    @cached_property
    def common(self):
        """Sum of the poison rows, weighted by their own changes."""
        return self.of_points @ self.model.points

    @cached_property
    def solve(self):
        """Solves for the change of the parameters."""
        model, ball = self.model, self.sides.ball
        vectors = [model.points, self.common[np.newaxis]]
        weights = [self.of_points, [-self.of_worst]]
        if self.multipliers[ball] > 0.0:
            vectors.append(self.theta[np.newaxis])
            weights.append([1.0 / self.ratios[ball]])
        hessian = Hessian(
            np.full(len(self.theta), self.curvature),
            model.rows,
            self.of_rows,
            np.vstack(vectors),
            np.concatenate(weights),
        )
        return hessian.shifted(0.0)

    def step(self, wanted):
        """Return the step after which products change by what is wanted."""
        model, sides, slacks = self.model, self.sides, self.slacks
        alpha, gamma = self.multipliers[sides.rows], self.multipliers[sides.losses]
        push = wanted[sides.losses] / gamma
        on_rows = self.of_rows * (wanted[sides.rows] / alpha - push)
        on_points = wanted[sides.points] / slacks[sides.points]
        worst = wanted[sides.worst] / slacks[sides.worst]
        rise = self.of_worst * (worst + on_points.sum())
        ball = wanted[sides.ball] / slacks[sides.ball]
        theta = self.solve(
            -self.residual
            + model.rows.combine(on_rows)
            + on_points @ model.points
            - rise * self.common
            - ball * self.theta
        )
        scores, products = model.rows.scores(theta), model.points @ theta
        d_alpha = on_rows - self.of_rows * scores
        d_loss = push + slacks[sides.losses] * d_alpha / gamma
        d_worst = rise - self.of_worst * (self.common @ theta)
        d_beta = on_points - self.of_points * (d_worst + products)
        inwards = -float(self.theta @ theta)
        d_mu = ball - self.multipliers[sides.ball] * inwards / slacks[sides.ball]
        return _Step(
            theta,
            np.concatenate(
                [d_loss + scores, d_loss, d_worst + products, [d_worst, inwards]]
            ),
            np.concatenate([d_alpha, -d_alpha, d_beta, [-d_beta.sum(), d_mu]]),
        )
