"""Scores of training rows, by method."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skpoison.tracing._goal import Goal
from skpoison.tracing._gradients import (
    gradient_scores,
    residuals,
    target_residuals,
)
from skpoison.tracing._neighbors import distances_to, knn_shapley
from skpoison.tracing._space import space_of
from skpoison.tracing._training import Training

METHODS = ("knn_shapley", "gradient")


def scores_of(
    method: str, training: Training, model: BaseEstimator, X_target: Any, goal: Goal
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return scores of the training rows by method, and the rankings by them.

    Ties are ranked by the distance from the nearest target.
    """
    space = space_of(model, training.X, X_target)
    distances = distances_to(space.rows, space.targets)
    scores = {}
    for name in METHODS if method == "auto" else (method,):
        if name == "gradient":
            of_rows = residuals(model, training.X, training.labels, goal)
            of_targets = target_residuals(model, X_target, goal)
            scores[name] = joint(gradient_scores(space, of_rows, of_targets))
        else:
            pushes = goal.pushes(training.labels)
            columns = zip(distances.T, pushes.T, strict=True)
            scores[name] = joint(
                np.column_stack([knn_shapley(*one) for one in columns])
            )
    nearest = distances.min(axis=1)
    orders = {name: np.lexsort((nearest, -values)) for name, values in scores.items()}
    return scores, orders


def joint(scores: np.ndarray) -> np.ndarray:
    """Return the mean of scores over the targets, each on a scale of its own."""
    largest = np.abs(scores).max(axis=0)
    if scores.shape[1] == 1:
        return scores[:, 0]
    return (scores / np.where(largest > 0.0, largest, 1.0)).mean(axis=1)
