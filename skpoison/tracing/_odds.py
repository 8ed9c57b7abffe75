"""How sure models are of what they predict for the targets."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _num_samples

from skpoison._labels import find_labels
from skpoison.filters._folds import class_probabilities, own_and_rival
from skpoison.tracing._goal import Goal, LabelGoal

LEAST = 1e-12  # probabilities below are all the same


def has_scores(model: BaseEstimator) -> bool:
    """Say whether a classifier tells how sure it is of each class."""
    return any(hasattr(model, name) for name in ("predict_proba", "decision_function"))


def label_chances(model: BaseEstimator, X: Any, classes: np.ndarray) -> np.ndarray:
    """Return probabilities of all classes, 0 for those that the model does not know."""
    known = find_labels(model.classes_, classes)
    sure = np.zeros((_num_samples(X), len(classes)))
    sure[:, known] = class_probabilities(model, X, len(known))
    return sure


def chances(model: BaseEstimator, X_target: Any, goal: Goal) -> np.ndarray | None:
    """Return probabilities of the wrong label and of the right one of each target.

    Where any other label is right, it is the most probable one. None for regressors,
    and for models that do not tell.
    """
    if not isinstance(goal, LabelGoal) or not has_scores(model):
        return None
    sure = label_chances(model, X_target, goal.classes)
    each = np.arange(len(sure))
    wrong = sure[each, goal.wrong]
    if goal.right is not None:
        return np.column_stack([wrong, sure[each, goal.right]])
    sure[each, goal.wrong] = -1.0
    return np.column_stack([wrong, sure.max(axis=1)])


def margins(model: BaseEstimator, X_target: Any, goal: Goal) -> np.ndarray | None:
    """Return by how much each target is wrong: below zero, it is right.

    For classifiers it is the logarithm of the odds of the most probable label that is
    wrong against the one that is right. None for those that do not tell.
    """
    if not isinstance(goal, LabelGoal):
        return goal.off(model.predict(X_target))
    if not has_scores(model):
        return None
    sure = label_chances(model, X_target, goal.classes)
    chosen = goal.wrong if goal.right is None else goal.right
    alone, _, rival = own_and_rival(sure, chosen)
    odds = np.log(np.maximum(alone, LEAST)) - np.log(np.maximum(rival, LEAST))
    return odds if goal.right is None else -odds
