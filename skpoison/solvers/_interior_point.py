"""An interior-point method for the bound over finitely many poison rows.

With the losses of rows and the largest loss of the poison as variables, the bound is a
quadratic program, and its multipliers are the duals of the bound. A predictor and a
corrector for each step (Mehrotra) solve it in ten to twenty steps, however many kinks
the bound has; each of them reads all rows. For problems of few features, where Newton's
method on a smoothed bound takes many more steps.
See docs/mathematics.md, section "The interior-point method".
"""

from dataclasses import dataclass
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


@dataclass
class _Step:
    """Changes of parameters, slacks and multipliers."""

    theta: np.ndarray
    slacks: np.ndarray
    multipliers: np.ndarray


def minimize_model(
    model: Model, target: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimize the model to a gap of at most the target, or as far as rounding allows.

    Returns
    -------
    theta : ndarray of shape (dim,)
        Parameters that the learner allows.
    duals : ndarray of shape (n_rows,)
        Dual variable of each row as a share of its weight, between 0 and 1.
    beta : ndarray of shape (n_points,)
        Weights of the poison rows, at least 0, of sum at most 1.
    """
    sides = _Sides.of(len(model.rows), len(model.points))
    theta, slacks, multipliers = _start(model, sides)
    count = np.count_nonzero(multipliers)
    for _ in range(MAX_STEPS):
        products = slacks * multipliers
        gap = float(products.sum())
        system = _System(model, sides, theta, slacks, multipliers)
        misfit = system.residual @ system.residual
        if gap + misfit / (2.0 * system.curvature) <= target:
            break
        affine = system.step(-products)
        length = min(1.0, _longest(theta, slacks, multipliers, affine))
        reached = (slacks + length * affine.slacks) @ (
            multipliers + length * affine.multipliers
        )
        aim = (reached / gap) ** 3 * gap / count
        wanted = aim - products - affine.slacks * affine.multipliers
        if multipliers[sides.ball] > 0.0:  # the ball is round: a step's slack is less
            curved = 0.5 * float(affine.theta @ affine.theta)
            wanted[sides.ball] += multipliers[sides.ball] * curved
        else:
            wanted[sides.ball] = 0.0
        step = system.step(wanted)
        length = min(1.0, SHORT_OF * _longest(theta, slacks, multipliers, step))
        if not length >= SHORTEST:
            break
        theta = theta + length * step.theta
        slacks = slacks + length * step.slacks
        multipliers = multipliers + length * step.multipliers
        slacks[sides.ball] = _ball_slack(model.learner, theta)
    beta = multipliers[sides.points]
    duals = np.clip(multipliers[sides.rows] / model.weights, 0.0, 1.0)
    return theta, duals, beta / max(model.epsilon, float(beta.sum()))


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


def _longest(theta, slacks, multipliers, step):
    """Return the longest step that leaves slacks and multipliers positive."""
    values = np.concatenate([slacks[:-1], multipliers])
    changes = np.concatenate([step.slacks[:-1], step.multipliers])
    falling = changes < 0.0
    length = float((-values[falling] / changes[falling]).min(initial=np.inf))
    if multipliers[-1] > 0.0:
        square, slope = float(step.theta @ step.theta), float(theta @ step.theta)
        root = np.sqrt(slope * slope + 2.0 * slacks[-1] * square)
        length = min(length, 2.0 * slacks[-1] / (root + slope))
    return length


class _System:
    """The Newton system of the optimality conditions, reduced to the parameters."""

    def __init__(self, model, sides, theta, slacks, multipliers):
        self.model, self.sides, self.theta = model, sides, theta
        self.slacks, self.multipliers = slacks, multipliers
        mu = multipliers[sides.ball]
        self.curvature = model.curvature + mu
        of_rows = model.rows.combine(multipliers[sides.rows])
        of_points = multipliers[sides.points] @ model.points
        self.residual = (
            self.curvature * theta
            - model.proximal_weight * model.center
            - of_rows
            - of_points
        )
        ratios = slacks / np.maximum(multipliers, np.finfo(float).tiny)
        self.of_rows = 1.0 / (ratios[sides.rows] + ratios[sides.losses])
        self.of_points = 1.0 / ratios[sides.points]
        self.of_worst = 1.0 / (self.of_points.sum() + 1.0 / ratios[sides.worst])
        self.common = self.of_points @ model.points
        vectors = [model.points, self.common[np.newaxis]]
        weights = [self.of_points, [-self.of_worst]]
        if mu > 0.0:
            vectors.append(theta[np.newaxis])
            weights.append([mu / slacks[sides.ball]])
        hessian = Hessian(
            np.full(len(theta), self.curvature),
            model.rows,
            self.of_rows,
            np.vstack(vectors),
            np.concatenate(weights),
        )
        self.solve = hessian.shifted(0.0)

    def step(self, wanted):
        """Return the step after which products change by what is wanted."""
        model, sides = self.model, self.sides
        slacks, multipliers = self.slacks, self.multipliers
        alpha, gamma = multipliers[sides.rows], multipliers[sides.losses]
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
        mu = multipliers[sides.ball]
        d_mu = ball - mu * inwards / slacks[sides.ball]
        return _Step(
            theta,
            np.concatenate(
                [d_loss + scores, d_loss, d_worst + products, [d_worst, inwards]]
            ),
            np.concatenate([d_alpha, -d_alpha, d_beta, [-d_beta.sum(), d_mu]]),
        )
