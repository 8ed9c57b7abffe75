"""How sure models are of what they predict for the targets."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _num_samples

from skpoison._labels import find_labels
from skpoison.filters._folds import class_probabilities
from skpoison.tracing._goal import Goal, LabelGoal


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
