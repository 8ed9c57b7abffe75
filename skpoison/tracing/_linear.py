"""Linear models with smooth losses, as sums of losses of rows and a penalty."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge, RidgeClassifier

from skpoison._labels import find_labels
from skpoison._residual_losses import (
    ConcomitantHuber,
    EpsilonInsensitive,
)
from skpoison.bounds._objective import (
    READERS,
    REGRESSORS,
    Objective,
    Several,
    objective_of,
)
from skpoison.bounds._weights import class_weights
from skpoison.losses import Hinge, Loss, SmoothedHinge
from skpoison.solvers._class_losses import one_hot
from skpoison.tracing._goal import Goal, LabelGoal
from skpoison.tracing._space import Space, inputs_of_last, last_step, with_constant

# Half the width over which the kink of the hinge loss is smoothed.
WIDTH = 0.5


class LinearView(NamedTuple):
    """A fitted linear model, and derivatives of its rows' losses by their scores.

    There is one score for two classes and for regressors, and one for each class
    otherwise; the last feature is the constant 1 if there is an intercept.
    """

    rows: Any  # (n_rows, n_parameters), ndarray or CSR
    targets: Any  # (n_targets, n_parameters)
    scores: np.ndarray  # (n_rows, n_scores)
    slopes: np.ndarray  # (n_rows, n_scores): derivatives of the losses
    curvatures: np.ndarray  # (n_rows, n_scores): second ones, or probabilities
    weights: np.ndarray  # (n_rows,)
    stiffness: np.ndarray  # (n_parameters,): the penalty's second derivatives
    directions: np.ndarray  # (n_targets, n_scores): what the wrong prediction adds up
    margins: np.ndarray  # (n_targets,): how far a prediction is on the wrong side
    is_coupled: bool  # whether curvatures are probabilities, of a softmax
    is_least_squares: bool  # with a penalty: fits are what Newton steps lead to

    @property
    def n_scores(self) -> int:
        """How many scores a row has."""
        return self.slopes.shape[1]

    @property
    def is_direct(self) -> bool:
        """Whether Hessians are formed: dense, and one for each score."""
        is_dense = not sparse.issparse(self.rows)
        return is_dense and not self.is_coupled and self.rows.shape[1] <= MOST_DIRECT

    @property
    def is_exact(self) -> bool:
        """Whether targets are right without rows only if Newton steps say so."""
        return self.is_direct and self.is_least_squares


MOST_DIRECT = 2_000


def linear_view(
    model: BaseEstimator,
    X: Any,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    X_target: Any,
    goal: Goal,
) -> LinearView | None:
    """Return a fitted model as a linear one with a smooth loss; None if it is not."""
    last = last_step(model)
    objective = _smooth_objective(last, goal)
    if objective is None:
        return None
    X, X_target = (_as_array(rows) for rows in inputs_of_last(model, X, X_target))
    codes = None
    weights = np.ones(len(y)) if sample_weight is None else sample_weight
    if isinstance(goal, LabelGoal):
        codes = find_labels(y, goal.classes)
        per_class = class_weights(objective.class_weight, goal.classes, codes)
        weights = weights if per_class is None else weights * per_class[codes]
    theta = _parameters(last, objective)
    rows, targets = (
        with_constant(Space(X, X_target)) if objective.intercept else (X, X_target)
    )
    scores = np.asarray(rows @ theta.T)
    slopes, curvatures = _derivatives(objective, scores, y, codes, goal)
    directions, margins = _wrong_side(goal, targets @ theta.T)
    n_rows = len(y)
    stiffness = n_rows * objective.stiffness(X.shape[1], n_rows, n_rows)
    return LinearView(
        rows,
        targets,
        scores,
        slopes * weights[:, np.newaxis],
        curvatures,
        weights,
        stiffness[: rows.shape[1]],
        directions,
        margins,
        objective.several == Several.MULTINOMIAL and theta.shape[0] > 1,
        _is_ridge(model, objective) and not (goal.is_open and theta.shape[0] > 1),
    )


def _smooth_objective(last: BaseEstimator, goal: Goal) -> Objective | None:
    """Return what an estimator minimizes, its kinks smoothed; None if not known."""
    if type(last) not in READERS and type(last) not in REGRESSORS:
        return None
    try:
        objective = objective_of(last)
    except ValueError:  # a penalty other than the squared norm
        return None
    is_unknown = isinstance(objective.loss, ConcomitantHuber | EpsilonInsensitive)
    if objective.rho is not None or is_unknown:
        return None
    if objective.several == Several.CRAMMER_SINGER:
        return None
    if isinstance(objective.loss, Hinge):
        return objective._replace(loss=SmoothedHinge(WIDTH))
    return objective


def _is_ridge(model, objective):
    """Whether fits without rows minimize the same squares of the same features."""
    is_ridge = isinstance(model, Ridge | RidgeClassifier)
    return is_ridge and objective.class_weight is None


def _as_array(rows):
    if sparse.issparse(rows):
        return sparse.csr_array(rows).astype(np.float64)
    return np.asarray(rows, dtype=np.float64)


def _parameters(last, objective):
    """Coefficients and intercepts, of shape (n_scores, n_parameters)."""
    coef = np.atleast_2d(last.coef_).astype(np.float64)
    if not objective.intercept:
        return coef
    intercept = np.broadcast_to(last.intercept_, (coef.shape[0],))
    return np.column_stack([coef, intercept])


def _derivatives(objective, scores, y, codes, goal):
    loss: Loss = objective.loss
    if codes is None:
        errors = scores - y[:, np.newaxis]
        return loss.derivative(errors), loss.curvature(errors)
    if scores.shape[1] == 1:
        signs = 2.0 * codes[:, np.newaxis] - 1.0
    else:
        signs = 2.0 * one_hot(codes, len(goal.classes)) - 1.0
        if objective.several == Several.MULTINOMIAL:
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            shares /= shares.sum(axis=1, keepdims=True)
            return shares - one_hot(codes, len(goal.classes)), shares
    margins = signs * scores
    return signs * loss.derivative(margins), loss.curvature(margins)


def _wrong_side(goal, scores):
    """What of the scores makes each target wrong, and by how much they do."""
    if not isinstance(goal, LabelGoal):
        too_high = goal.predicted > goal.high
        signs = np.where(too_high, 1.0, -1.0)[:, np.newaxis]
        edges = np.where(too_high, goal.high, goal.low)
        return signs, (signs[:, 0] * (scores[:, 0] - edges))
    if scores.shape[1] == 1:
        signs = 2.0 * goal.wrong[:, np.newaxis] - 1.0
        return signs, (signs * scores)[:, 0]
    wrong = one_hot(goal.wrong, scores.shape[1])
    rivals = goal.right
    if rivals is None:
        rivals = np.where(wrong > 0.0, -np.inf, scores).argmax(axis=1)
    directions = wrong - one_hot(rivals, scores.shape[1])
    return directions, np.vecdot(directions, scores)
