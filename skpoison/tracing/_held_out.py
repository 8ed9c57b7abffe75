"""What models that have not seen a row say of it."""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.utils import check_random_state

from skpoison._labels import find_labels
from skpoison.filters._folds import N_FOLDS, folds_of_groups, out_of_fold
from skpoison.tracing._goal import Goal, LabelGoal, usual_size
from skpoison.tracing._influence import Influence
from skpoison.tracing._training import Training


class HeldOut(NamedTuple):
    """How badly each row fits models that were fitted without it, and what they say."""

    losses: np.ndarray  # one less the probability of the label, or size of the error
    codes: np.ndarray | None  # positions of the most probable labels, of classifiers


def left_out(influence: Influence, labels: np.ndarray, goal: Goal) -> HeldOut:
    """Return what Newton steps from a linear model with one score say, without fits."""
    scores = influence.left_out_scores
    if not isinstance(goal, LabelGoal):
        return HeldOut(np.abs(scores - labels), None)
    codes = find_labels(labels, goal.classes)
    losses = expit(np.where(codes == 1, -scores, scores))
    return HeldOut(losses, (scores > 0).astype(np.intp))


def left_out_errors(
    training: Training, random_state: np.random.RandomState, n_jobs: int | None
) -> np.ndarray:
    """Return sizes of errors of regressors of a cross-validation, fitted once."""
    if training.left_out_errors is None:
        seed = random_state.randint(np.iinfo(np.int32).max)
        folds = KFold(min(N_FOLDS, training.n_rows), shuffle=True, random_state=seed)
        found = cross_val_predict(
            training.template,
            training.X,
            training.labels,
            cv=folds,
            params=training.fit_params(),
            n_jobs=n_jobs,
        )
        training.n_fits += folds.get_n_splits()
        training.left_out_errors = np.abs(np.ravel(found) - training.labels)
    return training.left_out_errors


def usual_error(
    estimator: BaseEstimator, X: Any, y: np.ndarray, seed: int, n_jobs: int | None
) -> float:
    """Return how far off a regressor usually is on rows that it has not seen."""
    rng = np.random.RandomState(seed)
    training = Training(estimator, X, y, None, rng)
    return usual_size(left_out_errors(training, rng, n_jobs))


def cross_fitted(
    training: Training,
    groups: np.ndarray,
    goal: Goal,
    random_state: np.random.RandomState,
    n_jobs: int | None,
) -> HeldOut:
    """Return what models of a cross-validation say, whose folds split no group."""
    if not isinstance(goal, LabelGoal):
        return HeldOut(left_out_errors(training, random_state, n_jobs), None)
    codes = find_labels(training.labels, goal.classes)
    rng = check_random_state(random_state)
    folds = folds_of_groups(codes, groups, N_FOLDS, rng)
    n_classes = len(goal.classes)
    sure = out_of_fold(
        training.template,
        training.X,
        codes,
        folds,
        n_classes,
        n_jobs=n_jobs,
        labels=training.labels,
        **training.fit_params(),
    )
    training.n_fits += len(np.unique(folds))
    known = np.isfinite(sure).all(axis=1)
    sure = np.where(known[:, np.newaxis], sure, 0.0)
    losses = np.where(known, 1.0 - sure[np.arange(len(codes)), codes], 0.0)
    return HeldOut(losses, np.where(known, sure.argmax(axis=1), codes))
