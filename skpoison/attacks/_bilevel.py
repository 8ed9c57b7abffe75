"""The bilevel problem: the attacker's loss and its gradient in the poison rows.

The lower level trains the learner on clean and poison rows, with a smooth loss and by
Newton's method, accurately enough to differentiate through. The attacker's loss, at the
upper level, is a function of the trained parameters; its gradient with respect to the
poison rows follows from the learner's optimality conditions by implicit
differentiation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from skpoison._learners import Learner
from skpoison.losses import Loss
from skpoison.solvers._newton_system import Hessian, step_in_ball
from skpoison.solvers._signed_design import Rows
from skpoison.solvers._train import PoisonCopies

# Above this number of rows and of features, Newton systems are solved iteratively:
# sparse rows, whose inner products fill up, sooner.
MAX_DIRECT, MAX_DIRECT_SPARSE = 2000, 500
CG_TOL = 1e-10
# Keeps Newton steps finite where nothing is curved, as a share of the curvature.
FLAT = 1e-10
NORM_TOL = 1e-12
# A mean loss below which relative precision is beside the point.
SMALL = 1e-6
MAX_NEWTON = 200
MAX_HALVINGS = 40


class Aim(NamedTuple):
    """The attacker's objective: the mean loss of some signed rows."""

    rows: Rows
    loss: Loss

    def value(self, theta: np.ndarray) -> float:
        return float(self.loss.value(self.rows.scores(theta)).mean())

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        slopes = self.loss.derivative(self.rows.scores(theta))
        return self.rows.combine(slopes / len(self.rows))


class LearnerHessian:
    """Second derivative of a learner's objective in the parameters that it fits."""

    def __init__(
        self,
        rows: Rows,  # those whose loss is curved
        weights: np.ndarray,  # their weighted second derivatives
        stiffness: np.ndarray,  # that of the penalty, the intercept's last
        *,
        fits_intercept: bool,
    ):
        curvature = rows.weighted_squares(weights) + stiffness
        floor = FLAT * max(curvature.max(), 1.0)
        # An intercept without penalty is one with, corrected: the same number all over
        # the diagonal is less work, and small ones among larger ones lose digits.
        lift = (stiffness[0] - stiffness[-1]) * fits_intercept
        intercept = np.eye(1, rows.dim, rows.dim - 1)
        self._system = Hessian(
            np.full(rows.dim, stiffness[0] + floor),
            rows,
            weights,
            intercept if lift else intercept[:0],
            np.full(int(lift != 0.0), -lift),
            max_direct=MAX_DIRECT_SPARSE if rows.is_sparse else MAX_DIRECT,
            cg_tol=CG_TOL,
            max_cg=10 * rows.dim,
        )
        self.fits_intercept = fits_intercept
        self._shift: float | None = None
        self._solve: Callable[[np.ndarray], np.ndarray] | None = None

    def shifted(self, shift: float) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that solves with a multiple of the identity added."""
        if self._solve is None or shift != self._shift:
            solve = self._system.shifted(shift)
            if not self.fits_intercept:
                solve = _without_intercept(solve, self._system.rows.dim)
            self._shift, self._solve = shift, solve
        return self._solve


def _without_intercept(solve, dim):
    """Return a function that solves for all parameters but the last, which stays 0."""
    response = solve(np.eye(1, dim, dim - 1)[0])

    def solve_others(r):
        x = solve(r)
        x = x - (x[-1] / response[-1]) * response
        x[-1] = 0.0
        return x

    return solve_others


class LowerSolution(NamedTuple):
    """A learner's parameters, and the curvature of its objective."""

    theta: np.ndarray
    multiplier: float  # of the ball's constraint; 0 where the ball plays no part
    hessian: LearnerHessian


class Task(NamedTuple):
    """A training objective: weighted losses of signed rows, and a penalty or a ball."""

    rows: Rows
    weights: np.ndarray  # of the rows' losses
    loss: Loss  # of a margin, smooth
    stiffness: np.ndarray  # second derivative of the penalty for each parameter
    radius: float  # of the ball; infinite without one
    fits_intercept: bool

    @classmethod
    def of(cls, learner: Learner, rows: Rows, copies: np.ndarray, n_clean: int) -> Task:
        """Return a learner's objective with whole copies of distinct rows."""
        return cls(
            rows,
            copies / n_clean,
            learner.loss,
            learner.stiffness(rows.dim - 1, n_clean),
            np.inf if learner.rho is None else learner.rho,
            learner.fits_intercept,
        )

    def value(self, theta: np.ndarray, margins: np.ndarray) -> float:
        losses = float(self.weights @ self.loss.value(margins))
        return losses + 0.5 * float(self.stiffness @ theta**2)

    def gradient(self, theta: np.ndarray, margins: np.ndarray) -> np.ndarray:
        slopes = self.weights * self.loss.derivative(margins)
        gradient = self.rows.combine(slopes) + self.stiffness * theta
        gradient[-1] *= self.fits_intercept
        return gradient

    def hessian(self, margins: np.ndarray) -> LearnerHessian:
        curvature = self.weights * self.loss.curvature(margins)
        curved = np.flatnonzero(curvature)
        return LearnerHessian(
            self.rows.take(curved),
            curvature[curved],
            self.stiffness,
            fits_intercept=self.fits_intercept,
        )


def train(task: Task, theta: np.ndarray, tol: float = 1e-12) -> LowerSolution:
    """Minimize an objective by Newton's method, starting from feasible parameters.

    It stops where the Newton decrement, relative to the value, is at most `tol`.
    """
    margins, multiplier = task.rows.scores(theta), 0.0
    for _ in range(MAX_NEWTON):
        gradient = task.gradient(theta, margins)
        hessian = task.hessian(margins)
        step, multiplier = step_in_ball(
            hessian, theta, gradient, task.radius, multiplier, NORM_TOL
        )
        decrease = -float(gradient @ step)
        value = task.value(theta, margins)
        # Nothing lies below a loss of zero, and little between it and the smallest.
        if value <= 0.0 or decrease <= tol * max(value, SMALL):
            return LowerSolution(theta + step, multiplier, hessian)
        theta, margins = _descend(task, theta, margins, step, value, decrease)
    raise RuntimeError(f"Training did not converge within {MAX_NEWTON} Newton steps.")


def _descend(task, theta, margins, step, value, decrease):
    """Backtrack along a step, within the ball, until the value decreases."""
    t, change = 1.0, task.rows.scores(step)
    for _ in range(MAX_HALVINGS):
        there = task.value(theta + t * step, margins + t * change)
        if there <= value - 1e-4 * t * decrease:
            break
        t *= 0.5
    return theta + t * step, margins + t * change


class LowerOutcome(NamedTuple):
    """The effect of poison: the attacker's loss, and the learner trained on it."""

    value: float
    trained: LowerSolution


class Bilevel(NamedTuple):
    """An attacker with some poison rows, and a learner that trains on them."""

    clean: Rows
    signs: np.ndarray  # of the poison rows' labels
    copies: np.ndarray  # how often each poison row is sent
    learner: Learner  # with a smooth loss
    aim: Aim

    def task(self, points: np.ndarray) -> Task:
        """Return the learner's objective given the poison rows."""
        poison = PoisonCopies(points, self.signs, self.copies)
        rows = poison.behind(self.clean)
        copies = np.concatenate([np.ones(len(self.clean)), self.copies])
        return Task.of(self.learner, rows, copies, len(self.clean))

    def solve_lower(self, points: np.ndarray, theta: np.ndarray) -> LowerOutcome:
        """Train on clean and poison rows, starting from theta."""
        trained = train(self.task(points), theta)
        return LowerOutcome(self.aim.value(trained.theta), trained)

    def gradient(self, points: np.ndarray, trained: LowerSolution) -> np.ndarray:
        """Differentiate the attacker's loss in the poison rows, through training."""
        w, b = trained.theta[:-1], trained.theta[-1]
        wanted = self.aim.gradient(trained.theta)
        wanted[-1] *= self.learner.fits_intercept
        v = adjoint(trained, wanted)
        margins = self.signs * (points @ w + b)
        masses = self.copies / len(self.clean)
        bend = masses * self.learner.loss.curvature(margins)
        push = masses * self.learner.loss.derivative(margins) * self.signs
        return -np.outer(bend * (points @ v[:-1] + v[-1]), w) - np.outer(push, v[:-1])


def adjoint(trained: LowerSolution, gradient: np.ndarray) -> np.ndarray:
    """Solve the learner's linearized optimality conditions for one right-hand side.

    Where the ball binds, with multiplier m, these are ``theta @ dtheta = 0`` and
    ``H dtheta + m dtheta + theta dm = 0``. The quantity whose derivative by the
    parameters is given changes by ``-v @ r`` if the gradient of what the learner
    minimizes changes by r.
    """
    theta, multiplier, hessian = trained
    solve = hessian.shifted(multiplier)
    v = solve(gradient)
    if multiplier > 0:
        across = solve(theta)
        v = v - (theta @ v) / (theta @ across) * across
    return v
