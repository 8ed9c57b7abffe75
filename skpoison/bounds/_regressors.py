"""What the regressors that a bound knows minimize in training."""

from numbers import Real

import numpy as np
from sklearn.linear_model import HuberRegressor, Ridge, SGDRegressor
from sklearn.svm import LinearSVR

from skpoison._residual_losses import (
    ConcomitantHuber,
    EpsilonInsensitive,
    Huber,
    SquaredEpsilonInsensitive,
    SquaredError,
)

KNOWN_REGRESSORS = (
    "Ridge, LinearSVR (both losses), HuberRegressor and SGDRegressor (l2)"
)
SVR_LOSSES = {
    "epsilon_insensitive": EpsilonInsensitive,
    "squared_epsilon_insensitive": SquaredEpsilonInsensitive,
}
OTHER_PENALTY = "has a penalty other than the squared norm of its weights"
NONE_GIVEN = "has no penalty (penalty=None), so that its minimum may not exist"
NO_PENALTY = "has no penalty (alpha=0), so that its minimum may not exist"


def _intercept(estimator):
    return np.inf if estimator.fit_intercept else 0.0


def ridge_penalty(ridge):
    """Return what is in the way, or None, and the objective of ridge but its loss."""
    objection = None
    if ridge.positive:
        objection = "has positive weights only (positive=True)"
    elif not (isinstance(ridge.alpha, Real) and float(ridge.alpha) > 0):
        objection = f"has alpha={ridge.alpha!r}, where one positive number is known"
    strength = float(ridge.alpha) if objection is None else 0.0
    return objection, {"strength": strength, "intercept": _intercept(ridge)}


def sgd_penalty(sgd):
    """Return the same of stochastic gradient descent, whose penalty counts per row."""
    objection = None
    if sgd.penalty is None:
        objection = NONE_GIVEN
    elif sgd.penalty != "l2":
        objection = OTHER_PENALTY
    elif not sgd.alpha > 0:
        objection = NO_PENALTY
    rest = {"strength": sgd.alpha, "per_row": True, "intercept": _intercept(sgd)}
    return objection, rest


def read_ridge(ridge):
    """Return what is in the way, or None; the loss; and the rest of the objective."""
    objection, rest = ridge_penalty(ridge)
    return objection, SquaredError(), rest


def read_svr(svr):
    """Return the same of support vector regression."""
    if svr.loss not in SVR_LOSSES:
        return f"has loss={svr.loss!r}", None, {}
    scale = float(svr.intercept_scaling) if svr.fit_intercept else 0.0
    loss = SVR_LOSSES[svr.loss](float(svr.epsilon))
    return None, loss, {"strength": 1.0 / svr.C, "intercept": scale}


def read_huber(huber):
    """Return the same of Huber regression, whose penalty is not halved."""
    objection = None if huber.alpha > 0 else NO_PENALTY
    loss = ConcomitantHuber(float(huber.epsilon))
    rest = {"strength": 2.0 * huber.alpha, "intercept": _intercept(huber)}
    return objection, loss, rest


def read_sgd(sgd):
    """Return the same of stochastic gradient descent."""
    losses = SVR_LOSSES | {"huber": Huber}
    if sgd.loss == "squared_error":
        loss = SquaredError()
    elif sgd.loss in losses:
        loss = losses[sgd.loss](float(sgd.epsilon))
    else:
        return f"has loss={sgd.loss!r}", None, {}
    objection, rest = sgd_penalty(sgd)
    return objection, loss, rest


REGRESSORS = {
    Ridge: read_ridge,
    LinearSVR: read_svr,
    HuberRegressor: read_huber,
    SGDRegressor: read_sgd,
}
