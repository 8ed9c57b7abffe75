"""Scores of training rows, by method."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skpoison.tracing._core import Core, agreement
from skpoison.tracing._goal import Goal, LabelGoal
from skpoison.tracing._gradients import (
    gradient_scores,
    residuals,
    target_residuals,
)
from skpoison.tracing._held_out import HeldOut, cross_fitted, left_out
from skpoison.tracing._influence import Influence
from skpoison.tracing._linear import LinearView, linear_view
from skpoison.tracing._neighbors import distances_to, knn_shapley, share_of_others
from skpoison.tracing._odds import has_scores
from skpoison.tracing._retrain import copies_of, leave_groups_out
from skpoison.tracing._space import Space, last_step, spaces_of, with_constant
from skpoison.tracing._training import Training

ASKED = 200  # rows of the largest losses, whose neighbors are asked
LEAST_SHARE = 0.1  # as if one of ten neighbors had another label
MOST_GROUPED = 4_096  # rows whose near copies are kept in one fold
METHODS = ("gradient", "influence", "knn_shapley", "retrain")


class Evidence:
    """A model's view of its training rows and of targets that it predicts wrong.

    Everything is computed when it is first asked for.
    """

    def __init__(
        self,
        training: Training,
        model: BaseEstimator,
        X_target: Any,
        goal: Goal,
        random_state: np.random.RandomState,
        n_jobs: int | None,
    ):
        self.training, self.model = training, model
        self.X_target, self.goal = X_target, goal
        self.random_state, self.n_jobs = random_state, n_jobs
        self.spaces = self._spaces()
        self.space = self.spaces[0]
        self.pushes = goal.pushes(training.labels)
        self.distances = self.distances_of(
            [distances_to(*space) for space in self.spaces], self.pushes
        )
        self.core: Core | None = None

    def _spaces(self) -> list[Space]:
        """Return rows and targets as they can be compared, as the model does first."""
        return spaces_of(self.model, self.training.X, self.X_target)

    @staticmethod
    def distances_of(candidates: list[np.ndarray], pushes: np.ndarray) -> np.ndarray:
        """Return those distances by which most rows next to targets agree with them."""
        columns = (zip(one.T, pushes.T, strict=True) for one in candidates)
        heights = [sum(agreement(*pair) for pair in pairs) for pairs in columns]
        return candidates[int(np.argmax(heights))]

    @property
    def has_gradients(self) -> bool:
        """Whether a model tells how sure it is of each class, or predicts numbers."""
        return has_scores(self.model) or not self.training.is_classifier

    @cached_property
    def linear(self) -> LinearView | None:
        """The model as a linear one with a smooth loss; None if it is not."""
        training = self.training
        rows = training.X, training.labels, training.weights
        return linear_view(self.model, *rows, self.X_target, self.goal)

    @cached_property
    def influence(self) -> Influence | None:
        """Newton steps of a linear model."""
        return None if self.linear is None else Influence(self.linear)

    @cached_property
    def groups(self) -> np.ndarray:
        """The group of near copies of each row."""
        return copies_of(self.space, self.random_state)

    @property
    def has_one_score(self) -> bool:
        """Whether Newton steps of a linear model with one score stand in for fits."""
        view = self.linear
        return view is not None and view.is_direct and view.n_scores == 1

    @cached_property
    def held_out(self) -> HeldOut | None:
        """What models that have not seen a row say of it, if they say how sure."""
        if not self.has_gradients:
            return None
        training, goal = self.training, self.goal
        if self.has_one_score and self.influence is not None:
            return left_out(self.influence, training.labels, goal)
        groups = np.arange(training.n_rows)
        if training.n_rows <= MOST_GROUPED:
            groups = self.groups
        try:
            return cross_fitted(training, groups, goal, self.random_state, self.n_jobs)
        except ValueError:  # rows with categories that no other row has, say
            return None

    @cached_property
    def gradients(self) -> tuple[np.ndarray, np.ndarray]:
        """Derivatives of losses by scores, of rows and of targets."""
        training, goal = self.training, self.goal
        of_rows = residuals(self.model, training.X, training.labels, goal)
        return of_rows, target_residuals(self.model, self.X_target, goal)

    @cached_property
    def by_method(self) -> dict[str, np.ndarray]:
        """Scores that were computed, by method."""
        return {}

    def scores(self, name: str) -> np.ndarray:
        """Return scores by a method, of shape (n_rows,); higher is more responsible."""
        if name not in self.by_method:
            found = SCORES[name](self)
            weights = self.training.weights
            if weights is not None:  # rows that weigh nothing did nothing
                lowest = min(float(found.min()), 0.0)
                found = np.where(weights > 0.0, found, lowest)
            self.by_method[name] = found
        return self.by_method[name]

    def order(self, name: str) -> np.ndarray:
        """Return rows by falling scores; ties by the distance from a target."""
        return np.lexsort((self.distances.min(axis=1), -self.scores(name)))


def _knn_shapley(evidence):
    columns = zip(evidence.distances.T, evidence.pushes.T, strict=True)
    return joint(np.column_stack([knn_shapley(*one) for one in columns]))


def _gradient(evidence):
    if evidence.linear is None and not evidence.has_gradients:
        raise ValueError(
            "method='gradient' needs a classifier with predict_proba or "
            f"decision_function; {evidence.model!r} has neither. Use "
            "method='knn_shapley'."
        )
    if evidence.linear is not None:
        view = evidence.linear
        space = Space(view.rows, view.targets)
        return joint(gradient_scores(space, view.slopes, view.directions))
    space = with_constant(evidence.space)
    return joint(gradient_scores(space, *evidence.gradients))


def _loss(evidence):
    """The loss of rows whose gradients are against what is right for the targets."""
    losses = evidence.held_out.losses * (evidence.scores("gradient") > 0.0)
    if not isinstance(evidence.goal, LabelGoal):
        return losses
    labels, rows = evidence.training.labels, evidence.space.rows
    worst = np.argsort(-losses, kind="stable")[:ASKED]
    shares = np.full(len(losses), LEAST_SHARE)
    shares[worst] += share_of_others(rows, labels, worst)
    return losses * shares


def _around(evidence):
    """The losses of rows by a model fitted without those around the targets.

    These come first; others that push targets to the wrong side follow, and count the
    less the farther they are.
    """
    core, distances = evidence.core, evidence.distances.min(axis=1)
    reach = distances[core.rows].max() or np.median(distances) or 1.0
    scores = core.losses * np.exp(-0.5 * (distances / reach) ** 2)
    scores = np.where(evidence.pushes.max(axis=1) > 0.0, scores, 0.0)
    scores[core.rows] = 1.0 + core.losses[core.rows]
    return scores


def _influence(evidence):
    if evidence.influence is None:
        raise ValueError(
            "method='influence' needs a linear model with a penalty on its squared "
            "weights: LogisticRegression, RidgeClassifier, LinearSVC, SGDClassifier, "
            "Ridge, LinearSVR(loss='squared_epsilon_insensitive') or SGDRegressor; got "
            f"{last_step(evidence.model)!r}."
        )
    return joint(evidence.influence.scores)


def _retrain(evidence):
    names = ["knn_shapley", *(["loss"] if evidence.held_out is not None else [])]
    found = leave_groups_out(
        evidence.training,
        evidence.model,
        evidence.X_target,
        evidence.goal,
        evidence.groups,
        [evidence.order(name) for name in names],
        evidence.n_jobs,
    )
    return joint(found)


SCORES: dict[str, Callable[[Evidence], np.ndarray]] = {
    "knn_shapley": _knn_shapley,
    "gradient": _gradient,
    "around": _around,
    "loss": _loss,
    "influence": _influence,
    "retrain": _retrain,
}


def joint(scores: np.ndarray) -> np.ndarray:
    """Return the mean of scores over the targets, each on a scale of its own."""
    largest = np.abs(scores).max(axis=0)
    if scores.shape[1] == 1:
        return scores[:, 0]
    return (scores / np.where(largest > 0.0, largest, 1.0)).mean(axis=1)
