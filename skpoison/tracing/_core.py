"""Rows around a target that agree on a wrong prediction, and whether others agree."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing

from skpoison._labels import find_labels
from skpoison.tracing._goal import Goal, LabelGoal
from skpoison.tracing._odds import has_scores, label_chances
from skpoison.tracing._targets import predicted_by

AGAINST = 2.0  # rows that a row which speaks for what is right outweighs
MOST = 0.5  # of the rows must be contradicted


class Core(NamedTuple):
    """Rows around targets, and what a model that was fitted without them says."""

    rows: np.ndarray
    is_contradicted: np.ndarray  # (n_rows,)
    losses: np.ndarray  # of all training rows: one less the probability of their labels
    undoes: bool  # whether that model predicts the targets right

    @property
    def strength(self) -> int:
        """How many rows are contradicted; 0 if they are not at the targets' root."""
        return strength_of(self.is_contradicted, self.undoes)


def strength_of(is_contradicted: np.ndarray, undoes: bool) -> int:
    """Return how many rows are contradicted; 0 if that is not most of them.

    It is 0, too, if a model without them does not predict right.
    """
    n_contradicted = int(np.sum(is_contradicted))
    return n_contradicted if undoes and np.mean(is_contradicted) >= MOST else 0


def core_rows(distances: np.ndarray, pushes: np.ndarray) -> np.ndarray:
    """Return the rows nearest to a target that push it to its wrong prediction.

    They end where other rows begin: where they outnumber those by most, and rows that
    pull the target back count `AGAINST` times.
    """
    order, walk = _walk(distances, pushes)
    end = int(np.argmax(walk)) + 1
    found = order[:end]
    return found[pushes[found] > 0.0] if walk[end - 1] > 0.0 else order[:0]


def agreement(distances: np.ndarray, pushes: np.ndarray) -> float:
    """Return by how many the rows nearest to a target outnumber others among them."""
    return float(max(_walk(distances, pushes)[1].max(), 0.0))


def _walk(distances, pushes):
    order = np.argsort(distances, kind="stable")
    steps = np.select([pushes > 0.0, pushes < 0.0], [1.0, -AGAINST], -1.0)
    return order, np.cumsum(steps[order])


def contradicted_part(rows: np.ndarray, is_contradicted: np.ndarray) -> np.ndarray:
    """Return the nearest rows, as far as most of them are contradicted."""
    walk = np.cumsum(np.where(is_contradicted, 1, -1))
    end = int(np.argmax(walk)) + 1
    return rows[:end] if walk[end - 1] > 0 else rows[:0]


def losses_of(model: BaseEstimator, X: Any, y: np.ndarray, goal: Goal) -> np.ndarray:
    """Return one less the probabilities of labels, or sizes of errors below 1."""
    if not isinstance(goal, LabelGoal):
        off = np.abs(np.ravel(model.predict(X)) - y)
        return off / (off + goal.far) if goal.far > 0.0 else np.sign(off)
    codes = find_labels(y, goal.classes)
    if not has_scores(model):
        return (find_labels(model.predict(X), goal.classes) != codes).astype(float)
    sure = label_chances(model, X, goal.classes)
    return 1.0 - sure[np.arange(len(y)), codes]


def is_contradicted(
    model: BaseEstimator, X: Any, y: np.ndarray, rows: np.ndarray, goal: Goal
) -> np.ndarray | None:
    """Return which rows have another label than a model predicts, or are far off it.

    None if it cannot read them.
    """
    found = predicted_by(model, _safe_indexing(X, rows))
    if found is None:
        return None
    if isinstance(goal, LabelGoal):
        given = find_labels(y[rows], goal.classes)
        return find_labels(found, goal.classes) != given
    return np.abs(found - y[rows]) > goal.far
