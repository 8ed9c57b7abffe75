"""How an attacker's loss changes with the poison rows, through training."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison.attacks._training import Task, train
from skpoison.losses import Loss
from skpoison.solvers._signed_design import Rows, StackedRows


class Aim(NamedTuple):
    """What the attacker wants to be large: the mean loss of some rows.

    Parameters
    ----------
    rows : Rows
        Signed rows.
    loss : Loss
        The loss of a margin.
    """

    rows: Rows
    loss: Loss

    def value(self, theta):
        """Return the mean loss."""
        return float(self.loss.value(self.rows.scores(theta)).mean())

    def gradient(self, theta):
        """Return its derivative by the parameters."""
        slopes = self.loss.derivative(self.rows.scores(theta))
        return self.rows.combine(slopes / len(self.rows))


class Outcome(NamedTuple):
    """What poison does.

    Parameters
    ----------
    value : float
        The attacker's loss.
    trained : Trained
        The poisoned learner.
    """

    value: float
    trained: object


class Bilevel(NamedTuple):
    """An attacker with some poison rows, and a learner who trains on them too.

    Parameters
    ----------
    clean : Rows
        Signed clean rows.
    signs : ndarray of shape (n_points,)
        Signs of the poison rows' labels.
    copies : ndarray of shape (n_points,)
        How often each poison row is sent.
    learner : Learner
        The learner, with a smooth loss.
    aim : Aim
        The attacker's loss.
    """

    clean: Rows
    signs: np.ndarray
    copies: np.ndarray
    learner: object
    aim: Aim

    def task(self, points):
        """Return what the learner minimises, given the poison rows."""
        X = sparse.csr_array(points) if self.clean.is_sparse else points
        rows = StackedRows(self.clean, Rows(X, self.signs))
        copies = np.concatenate([np.ones(len(self.clean)), self.copies])
        return Task.of(self.learner, rows, copies, len(self.clean))

    def solve_lower(self, points, theta):
        """Train on clean and poison rows.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_features)
            The poison rows.
        theta : ndarray of shape (n_features + 1,)
            Parameters to start from.

        Returns
        -------
        outcome : Outcome
            The trained learner, and the attacker's loss.
        """
        trained = train(self.task(points), theta)
        return Outcome(self.aim.value(trained.theta), trained)

    def gradient(self, points, trained):
        """Differentiate the attacker's loss by the poison rows, through training.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_features)
            The poison rows.
        trained : Trained
            The learner trained on them.

        Returns
        -------
        gradient : ndarray of shape (n_points, n_features)
            The total derivative.
        """
        w, b = trained.theta[:-1], trained.theta[-1]
        wanted = self.aim.gradient(trained.theta)
        wanted[-1] *= self.learner.fits_intercept
        v = adjoint(trained, wanted)
        margins = self.signs * (points @ w + b)
        masses = self.copies / len(self.clean)
        bend = masses * self.learner.loss.curvature(margins)
        push = masses * self.learner.loss.derivative(margins) * self.signs
        return -np.outer(bend * (points @ v[:-1] + v[-1]), w) - np.outer(push, v[:-1])


def adjoint(trained, gradient):
    """Solve the learner's optimality conditions, linearised, for one right-hand side.

    Where the ball binds, the conditions are ``theta @ dtheta = 0`` and
    ``H dtheta + pull dtheta + theta dpull = 0``.

    Parameters
    ----------
    trained : Trained
        The learner.
    gradient : ndarray of shape (n_features + 1,)
        Derivative of a quantity by the parameters.

    Returns
    -------
    v : ndarray of shape (n_features + 1,)
        ``-v @ r`` is what the quantity changes by, if the gradient of what the
        learner minimises changes by r.
    """
    theta, multiplier, hessian = trained
    v = hessian.solve(gradient, multiplier)
    if multiplier > 0:
        across = hessian.solve(theta, multiplier)
        v = v - (theta @ v) / (theta @ across) * across
    return v
