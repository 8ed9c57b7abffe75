"""Rows around a target that agree on a wrong prediction, and whether others agree."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing

from skpoison._labels import find_labels
from skpoison.tracing._goal import Goal, LabelGoal

AGAINST = 2.0  # rows that a row which speaks for what is right outweighs
MOST = 0.5  # of the rows must be contradicted


class Core(NamedTuple):
    """Rows around targets, and what a model that was fitted without them says."""

    rows: np.ndarray
    is_contradicted: np.ndarray  # (n_rows,)
    undoes: bool  # whether that model predicts the targets right

    @property
    def is_confirmed(self) -> bool:
        """Whether targets are right without rows that mostly contradict the others."""
        return self.undoes and bool(np.mean(self.is_contradicted) >= MOST)

    @property
    def strength(self) -> int:
        """How many rows are contradicted; 0 if that undoes nothing."""
        return int(np.sum(self.is_contradicted)) if self.is_confirmed else 0


def core_rows(distances: np.ndarray, pushes: np.ndarray) -> np.ndarray:
    """Return the rows nearest to a target that push it to its wrong prediction.

    They end where other rows begin: where they outnumber those by most, and rows that
    pull the target back count `AGAINST` times.
    """
    order = np.argsort(distances, kind="stable")
    steps = np.select([pushes > 0.0, pushes < 0.0], [1.0, -AGAINST], -1.0)
    walk = np.cumsum(steps[order])
    end = int(np.argmax(walk)) + 1
    found = order[:end]
    return found[pushes[found] > 0.0] if walk[end - 1] > 0.0 else order[:0]


def is_contradicted(
    model: BaseEstimator, X: Any, y: np.ndarray, rows: np.ndarray, goal: Goal
) -> np.ndarray:
    """Return which rows have another label than a model predicts, or are far off it."""
    found = np.ravel(model.predict(_safe_indexing(X, rows)))
    if isinstance(goal, LabelGoal):
        given = find_labels(y[rows], goal.classes)
        return find_labels(found, goal.classes) != given
    return np.abs(found - y[rows]) > goal.far
