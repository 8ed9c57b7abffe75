"""Training with smooth losses, exactly enough to differentiate through."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import LinearOperator, cg

from skpoison.losses import Loss
from skpoison.solvers._newton_system import step_in_ball

# Above this number of features, or for sparse rows, the Hessian is never formed.
MOST_DENSE_FEATURES = 2000
# Keeps Newton steps finite where nothing is curved, as a share of the curvature.
FLAT = 1e-10
CG_TOL = 1e-10
# A mean loss below which relative precision is beside the point.
SMALL = 1e-6
MAX_NEWTON = 200
MAX_HALVINGS = 40


class Trained(NamedTuple):
    """A learner's parameters, and the curvature of what it minimised.

    Parameters
    ----------
    theta : ndarray of shape (n_features + 1,)
        Weights and intercept.
    multiplier : float
        Multiplier of the ball's constraint; 0 where the ball plays no part.
    hessian : Hessian
        Second derivative of losses and penalty at `theta`.
    """

    theta: np.ndarray
    multiplier: float
    hessian: object


class Task(NamedTuple):
    """What is minimised: weighted losses of signed rows, and a penalty or a ball.

    Parameters
    ----------
    rows : Rows
        Signed rows.
    weights : ndarray of shape (n_rows,)
        Weights of their losses.
    loss : Loss
        The loss of a margin, smooth.
    stiffness : ndarray of shape (n_features + 1,)
        Second derivative of the penalty for each parameter.
    radius : float
        Radius of the ball; infinite without one.
    free : ndarray of shape (n_features + 1,)
        1 for the parameters that are fitted, 0 for those that stay 0.
    """

    rows: object
    weights: np.ndarray
    loss: Loss
    stiffness: np.ndarray
    radius: float
    free: np.ndarray

    @classmethod
    def of(cls, learner, rows, copies, n_clean):
        """Return the task of a learner with whole copies of rows.

        Parameters
        ----------
        learner : Learner
            The learner, with a smooth loss.
        rows : Rows
            Distinct rows, with the signs of their labels.
        copies : ndarray of shape (n_rows,)
            How often each occurs.
        n_clean : int
            Number of clean rows, by which losses are divided.

        Returns
        -------
        task : Task
            The task.
        """
        free = np.ones(rows.dim)
        free[-1] = learner.fits_intercept
        return cls(
            rows,
            copies / n_clean,
            learner.loss,
            learner.stiffness(rows.dim - 1, n_clean),
            np.inf if learner.rho is None else learner.rho,
            free,
        )

    def value(self, theta, margins):
        """Return what is minimised."""
        losses = float(self.weights @ self.loss.value(margins))
        return losses + 0.5 * float(self.stiffness @ theta**2)

    def gradient(self, theta, margins):
        """Return its first derivative."""
        slopes = self.weights * self.loss.derivative(margins)
        return self.free * (self.rows.combine(slopes) + self.stiffness * theta)

    def hessian(self, margins):
        """Return its second derivative, ready to be solved with."""
        curvature = self.weights * self.loss.curvature(margins)
        curved = np.flatnonzero(curvature)
        dense = not self.rows.is_sparse and self.rows.dim <= MOST_DENSE_FEATURES
        kind = DenseHessian if dense else MatrixFreeHessian
        X = self.rows.take(curved).X
        return kind(X, curvature[curved], self.stiffness, self.free)


class DenseHessian:
    """A Hessian that is formed and factorised.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows whose loss is curved.
    curvature : ndarray of shape (n_rows,)
        Their weighted second derivatives.
    stiffness, free : ndarray of shape (n_features + 1,)
        As in :class:`Task`.
    """

    def __init__(self, X, curvature, stiffness, free):
        rows = np.column_stack([X, np.ones(len(X))])
        rows *= np.sqrt(curvature)[:, np.newaxis]
        matrix = rows.T @ rows
        matrix[:, free == 0] = matrix[free == 0] = 0.0
        matrix += np.diag(stiffness * free + (free == 0))
        self.matrix = matrix
        self.floor = FLAT * max(matrix.diagonal().max(), 1.0)
        self._shift, self._factor = None, None

    def shifted(self, shift):
        """Return a function that solves with a multiple of the identity added."""
        return lambda rhs: self.solve(rhs, shift)

    def solve(self, rhs, shift=0.0):
        """Solve with the Hessian plus a multiple of the identity."""
        if shift != self._shift:
            shifted = self.matrix.copy()
            shifted[np.diag_indices_from(shifted)] += shift + self.floor
            self._shift, self._factor = shift, cho_factor(shifted, overwrite_a=True)
        return cho_solve(self._factor, rhs)


class MatrixFreeHessian:
    """The same for sparse or very wide rows, solved by conjugate gradients.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
        Rows whose loss is curved.
    curvature : ndarray of shape (n_rows,)
        Their weighted second derivatives.
    stiffness, free : ndarray of shape (n_features + 1,)
        As in :class:`Task`.
    """

    def __init__(self, X, curvature, stiffness, free):
        self.X, self.curvature, self.free = X, curvature, free
        squares = X.multiply(X) if sparse.issparse(X) else X * X
        diagonal = np.append(squares.T @ curvature, curvature.sum()) + stiffness
        self.stiffness = stiffness
        self.diagonal = np.where(free > 0, diagonal, 1.0)
        self.floor = FLAT * max(diagonal.max(), 1.0)

    def times(self, v, shift):
        """Multiply with the Hessian plus a multiple of the identity."""
        inner = self.free * v
        scores = self.curvature * (self.X @ inner[:-1] + inner[-1])
        product = np.append(self.X.T @ scores, scores.sum()) + self.stiffness * inner
        return self.free * product + (shift + self.floor) * v + (1.0 - self.free) * v

    shifted = DenseHessian.shifted

    def solve(self, rhs, shift=0.0):
        """Solve with the Hessian plus a multiple of the identity."""
        size = len(rhs)
        shape = {"shape": (size, size), "dtype": np.float64}
        hessian = LinearOperator(matvec=lambda v: self.times(v, shift), **shape)
        scale = 1.0 / (self.diagonal + shift + self.floor)
        jacobi = LinearOperator(matvec=lambda v: scale * v, **shape)
        found, _ = cg(hessian, rhs, rtol=CG_TOL, maxiter=10 * size, M=jacobi)
        return found


def train(task, theta, tol=1e-12):
    """Minimise a task by Newton's method.

    Parameters
    ----------
    task : Task
        What is minimised.
    theta : ndarray of shape (n_features + 1,)
        Where to start, in the ball.
    tol : float, default=1e-12
        Newton decrement, relative to the value, at which to stop.

    Returns
    -------
    trained : Trained
        The minimum and the curvature there.

    Raises
    ------
    RuntimeError
        If Newton's method does not get there.
    """
    margins = task.rows.scores(theta)
    for _ in range(MAX_NEWTON):
        gradient = task.gradient(theta, margins)
        hessian = task.hessian(margins)
        step, multiplier = newton_step(hessian, gradient, theta, task.radius)
        decrease = -float(gradient @ step)
        value = task.value(theta, margins)
        # Nothing lies below a loss of zero, and little between it and the smallest.
        if value <= 0.0 or decrease <= tol * max(value, SMALL):
            return Trained(theta + step, multiplier, hessian)
        theta, margins = _descend(task, theta, margins, step, value, decrease)
    raise RuntimeError(f"Training did not end within {MAX_NEWTON} Newton steps.")


def _descend(task, theta, margins, step, value, decrease):
    """Go along a step as far as the value falls; both ends lie in the ball."""
    t, change = 1.0, task.rows.scores(step)
    for _ in range(MAX_HALVINGS):
        if (
            task.value(theta + t * step, margins + t * change)
            <= value - 1e-4 * t * decrease
        ):
            break
        t *= 0.5
    return theta + t * step, margins + t * change


def newton_step(hessian, gradient, theta, radius):
    """Minimise the quadratic model around theta within the ball.

    Parameters
    ----------
    hessian : Hessian
        Second derivative.
    gradient : ndarray of shape (n_features + 1,)
        First derivative.
    theta : ndarray of shape (n_features + 1,)
        Where.
    radius : float
        Radius of the ball.

    Returns
    -------
    step : ndarray of shape (n_features + 1,)
        To the model's minimum.
    multiplier : float
        Multiplier of the constraint.
    """
    return step_in_ball(hessian, theta, gradient, radius, 0.0, 1e-12)
