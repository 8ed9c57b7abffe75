"""How much each row's gradient moves a model away from what is right for a target."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from skpoison._labels import find_labels
from skpoison.filters._folds import class_probabilities
from skpoison.solvers._class_losses import one_hot
from skpoison.tracing._goal import Goal, LabelGoal
from skpoison.tracing._space import Space


def residuals(model: BaseEstimator, X: Any, y: np.ndarray, goal: Goal) -> np.ndarray:
    """Return derivatives of rows' losses by the model's scores, a row for each row.

    Those of the cross-entropy are probabilities minus one-hot labels; those of half the
    squared error are errors.
    """
    if not isinstance(goal, LabelGoal):
        return (np.ravel(model.predict(X)) - y)[:, np.newaxis]
    codes = find_labels(y, goal.classes)
    probabilities = class_probabilities(model, X, len(goal.classes))
    return probabilities - one_hot(codes, len(goal.classes))


def target_residuals(model: BaseEstimator, X_target: Any, goal: Goal) -> np.ndarray:
    """Return the same for targets, whose losses are those of what would be right.

    Where anything but a label is right, it is minus the loss of that label.
    """
    if not isinstance(goal, LabelGoal):
        off = goal.predicted - np.where(goal.predicted > goal.high, goal.high, goal.low)
        return off[:, np.newaxis]
    n_classes = len(goal.classes)
    probabilities = class_probabilities(model, X_target, n_classes)
    if goal.right is None:
        return one_hot(goal.wrong, n_classes) - probabilities
    return probabilities - one_hot(goal.right, n_classes)


def gradient_scores(
    space: Space, of_rows: np.ndarray, of_targets: np.ndarray
) -> np.ndarray:
    """Return minus the inner products of the rows' gradients with the targets'.

    Gradients are those of a linear layer on top of the space: outer products of
    residuals and rows. Returned is an array of shape
    ``(n_rows, n_targets)``: where it is positive, a step along the row's gradient
    raises the loss of the target.
    """
    products = space.rows @ space.targets.T
    products = products.toarray() if sparse.issparse(products) else products
    return -products * (of_rows @ of_targets.T)
