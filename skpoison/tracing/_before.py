"""The model before rows are removed, and whether it is the one that was given."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing

from skpoison._fitted import is_fitted
from skpoison._labels import encode_labels
from skpoison._warn import warn
from skpoison.tracing._goal import Goal, label_goal, range_goal
from skpoison.tracing._held_out import left_out_errors
from skpoison.tracing._targets import predict_targets
from skpoison.tracing._training import Training

COMPARED = 1_000  # training rows, at most
ALIKE = 1e-3  # of numbers that are predicted, relative to their spread
MOST_DIFFERENT = 0.01  # of the predictions


class Before(NamedTuple):
    """A model fitted on all rows, what the user's predicts, and what would be right."""

    model: BaseEstimator
    predictions: np.ndarray
    goal: Goal


def model_before(
    estimator: BaseEstimator,
    training: Training,
    X_target: Any,
    y_target: Any,
    random_state: np.random.RandomState,
    n_jobs: int | None,
) -> Before:
    """Fit a clone on all rows, and compare it with the estimator if that is fitted."""
    given = _if_fitted(estimator, training)
    model = training.fit()
    seen = model if given is None else given
    predictions = predict_targets(seen, X_target)
    if training.is_classifier:
        goal: Goal = label_goal(seen.classes_, predictions, y_target)
    else:
        errors = left_out_errors(training, random_state, n_jobs)
        goal = range_goal(errors, predictions, y_target)
    if given is not None:
        _check_same(given, model, training, X_target, goal)
    return Before(model, predictions, goal)


def _if_fitted(estimator, training):
    """Return the estimator if it is fitted; its labels must be those of the rows."""
    if not is_fitted(estimator):
        return None
    if training.is_classifier:
        encode_labels(training.labels, estimator.classes_, whose="estimator")
    return estimator


def _check_same(given, model, training, X_target, goal):
    again = goal.met(np.ravel(model.predict(X_target)))
    if again.any():
        raise ValueError(
            f"estimator predicts the rows {np.flatnonzero(again).tolist()} of X_target "
            "wrong, but a clone of it that is fitted on X and y predicts them right. "
            "X, y and sample_weight must be what it was trained on, and random_state "
            "must be set if its training is random."
        )
    some = np.unique(np.linspace(0, training.n_rows - 1, COMPARED).astype(np.intp))
    rows = _safe_indexing(training.X, some)
    share = _share_different(given.predict(rows), model.predict(rows))
    if share > MOST_DIFFERENT:
        warn(
            f"estimator and a clone of it that is fitted on X and y differ in "
            f"{100 * share:.1f} % of their predictions for X: it was trained on other "
            "rows or weights, or its training is random (set random_state).",
            UserWarning,
        )


def _share_different(before, after):
    before, after = np.ravel(before), np.ravel(after)
    if before.dtype.kind != "f":
        return np.mean(before != after)
    return np.mean(np.abs(before - after) > ALIKE * np.std(before))
