"""What each group of near copies contributes, by fits without it."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.parallel import Parallel, delayed

from skpoison._labels import find_labels
from skpoison.filters._copies import near_copy_groups
from skpoison.filters._folds import class_probabilities
from skpoison.tracing._goal import Goal, LabelGoal
from skpoison.tracing._space import Space
from skpoison.tracing._targets import predicted_by
from skpoison.tracing._training import Training

N_GROUPS = 50  # that fits are made without


def leave_groups_out(
    training: Training,
    model: BaseEstimator,
    X_target: Any,
    goal: Goal,
    groups: np.ndarray,
    orders: list[np.ndarray],
    n_jobs: int | None,
) -> np.ndarray:
    """Return by how much targets get less wrong without the group of each row.

    Fits are made without the groups that come first in rankings, taking turns; rows of
    other groups get 0. The result has a row for each row and a column for each target.
    """
    in_turn = np.ravel(np.column_stack(orders))
    first = np.unique(groups[in_turn], return_index=True)[1]
    chosen = groups[in_turn[np.sort(first)[:N_GROUPS]]]
    members = [np.flatnonzero(groups == group) for group in chosen]
    members = [rows for rows in members if training.can_fit(rows)]

    def without(rows):
        model = training.fit_if_possible(rows)
        if model is None or predicted_by(model, X_target) is None:
            return before
        return wrongness(model, X_target, goal)

    before = wrongness(model, X_target, goal)
    found = Parallel(n_jobs=n_jobs, prefer="threads")(map(delayed(without), members))
    out = np.zeros((training.n_rows, len(before)))
    for rows, after in zip(members, found, strict=True):
        out[rows] = before - after
    return out


def wrongness(model: BaseEstimator, X_target: Any, goal: Goal) -> np.ndarray:
    """Return how far predictions are on the wrong side, of shape (n_targets,).

    It is a difference of probabilities where there are some, or of numbers.
    """
    if not isinstance(goal, LabelGoal):
        found = np.ravel(model.predict(X_target))
        too_high = goal.predicted > goal.high
        return np.where(too_high, found - goal.high, goal.low - found)
    if not any(hasattr(model, name) for name in ("predict_proba", "decision_function")):
        return 1.0 - goal.met(model.predict(X_target))
    known = find_labels(model.classes_, goal.classes)
    everyone = np.arange(len(goal.wrong))
    sure = np.zeros((len(goal.wrong), len(goal.classes)))
    sure[:, known] = class_probabilities(model, X_target, len(known))
    wrong = sure[everyone, goal.wrong]
    if goal.right is not None:
        return wrong - sure[everyone, goal.right]
    sure[everyone, goal.wrong] = -1.0
    return wrong - sure.max(axis=1)


def copies_of(space: Space, random_state: np.random.RandomState) -> np.ndarray:
    """Return the group of near copies of each row; alone ones are groups too."""
    return near_copy_groups(space.rows, random_state=random_state).groups
