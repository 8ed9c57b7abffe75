"""The models of the parts: fitting them, and predicting with all of them at once.

A model is a fitted classifier, or None for a part that abstains.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeClassifier
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.naive_bayes import MultinomialNB
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_array

from skpoison._column_types import RowsLike

CELLS = 4_000_000  # of the largest array at a time


def deterministic(estimator: BaseEstimator) -> BaseEstimator:
    """Return a clone whose random states are fixed."""
    fixed = clone(estimator)
    seeds = {
        name: 0
        for name, value in fixed.get_params(deep=True).items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    return fixed.set_params(**seeds)


def frozen_parts(estimator: BaseEstimator) -> list[str]:
    """Return the names of the parameters that hold frozen estimators."""
    params = estimator.get_params(deep=True)
    return [
        name for name, value in params.items() if isinstance(value, FrozenEstimator)
    ]


def fit_part(
    estimator: BaseEstimator, X: Any, y: np.ndarray
) -> tuple[BaseEstimator | None, str]:
    """Fit a clone on the rows of a part; return it, or None and the error message.

    A model that cannot be fitted, or cannot predict one of its own rows, abstains;
    otherwise a failure in one part would stop all of them.
    """
    if np.all(y == y[0]):
        return DummyClassifier(strategy="most_frequent").fit(X, y), ""
    model = clone(estimator)
    try:
        model.fit(X, y)
        if not _is_linear(model):  # fitted linear models can always predict
            model.predict(X[:1])
    except ValueError as error:
        return None, str(error)
    return model, ""


def votes(models: list, classes: np.ndarray, X: RowsLike, n_rows: int) -> np.ndarray:
    """Return each model's label for each row, (n_rows, n_models); -1 if it abstains."""
    found = np.full((n_rows, len(models)), -1, dtype=np.int32)
    for places, group in _groups(models):
        if isinstance(group[0], DummyClassifier):
            found[:, places] = [_codes(model, classes)[0] for model in group]
        elif _is_linear(group[0]):
            codes = np.array([_codes(model, classes) for model in group])
            for rows, scores in _linear_scores(group, X):
                best = scores.argmax(axis=2)
                found[rows, places] = codes[np.arange(len(group)), best]
        else:
            for place, model in zip(places, group, strict=True):
                found[:, place] = np.searchsorted(classes, model.predict(X))
    return found


def pairwise_wins(
    models: list, classes: np.ndarray, X: RowsLike, n_rows: int
) -> np.ndarray:
    """Return how many models score one class above another, for each row and pair.

    At equal scores the smaller label ranks higher; classes that a model has not seen
    rank last.
    """
    n_classes = len(classes)
    wins = np.zeros((n_rows, n_classes, n_classes), dtype=np.intp)
    for rows, _, scores in _scores_of_all(models, classes, X, n_rows):
        n_models = scores.shape[1]
        for first, second in combinations(range(n_classes), 2):
            higher = (scores[:, :, first] >= scores[:, :, second]).sum(axis=1)
            wins[rows, first, second] += higher
            wins[rows, second, first] += n_models - higher
    return wins


def leads(
    models: list, classes: np.ndarray, X: RowsLike, winner: np.ndarray
) -> np.ndarray:
    """Return whether each model scores each row's winner above each other class.

    1 if so, -1 if not, and 0 where it abstains; (n_rows, n_models, n_classes).
    """
    found = np.zeros((len(winner), len(models), len(classes)), dtype=np.int8)
    is_later = np.arange(len(classes)) >= winner[:, None]
    for rows, places, scores in _scores_of_all(models, classes, X, len(winner)):
        own = np.take_along_axis(scores, winner[rows, None, None], axis=2)
        is_above = np.where(is_later[rows, None], own >= scores, own > scores)
        found[rows, places] = np.where(is_above, 1, -1)
    return found


def _scores_of_all(models, classes, X, n_rows):
    """Yield rows, models, and their scores, (n_rows, n_models, n_classes)."""
    for places, group in _groups(models):
        if _is_linear(group[0]):
            codes = np.array([_codes(model, classes) for model in group])
            for rows, scores in _linear_scores(group, X):
                known = np.broadcast_to(codes, scores.shape)
                full = np.full((*scores.shape[:2], len(classes)), -np.inf)
                np.put_along_axis(full, known, scores, axis=2)
                yield rows, places, full
        else:
            for place, model in zip(places, group, strict=True):
                full = np.full((n_rows, 1, len(classes)), -np.inf)
                full[:, 0, _codes(model, classes)] = _scores(model, X)
                yield slice(None), [place], full


def _codes(model, classes):
    return np.searchsorted(classes, model.classes_)


def _groups(models: list) -> Iterator[tuple[np.ndarray, list]]:
    """Group models that can predict together; leave out those that abstain."""
    groups: dict[Any, list[int]] = {}
    for place, model in enumerate(models):
        if model is not None:
            shape = _weights(model)[0].shape if _is_linear(model) else None
            groups.setdefault((type(model), shape), []).append(place)
    for places in groups.values():
        yield np.array(places), [models[place] for place in places]


def _is_linear(model):
    """Whether a prediction is the class with the largest linear score."""
    if type(model) is MultinomialNB:
        return True
    own = (LinearClassifierMixin.predict, RidgeClassifier.predict)
    is_dense = isinstance(getattr(model, "coef_", None), np.ndarray)
    return is_dense and type(model).predict in own


def _weights(model):
    if isinstance(model, MultinomialNB):
        return model.feature_log_prob_, model.class_log_prior_
    coef = np.atleast_2d(model.coef_)
    return coef, np.broadcast_to(model.intercept_, len(coef))


def _linear_scores(group, X):
    """Yield rows, and the scores of a group's classes, by one matrix product."""
    X = check_array(X, accept_sparse="csr")
    coefs, intercepts = zip(*map(_weights, group), strict=True)
    coef, intercept = np.concatenate(coefs).T, np.concatenate(intercepts)
    block = max(CELLS // len(intercept), 1)
    for start in range(0, X.shape[0], block):
        rows = slice(start, start + block)
        scores = safe_sparse_dot(X[rows], coef) + intercept
        scores = scores.reshape(len(scores), len(group), -1)
        if scores.shape[2] == 1:
            scores = np.concatenate([-scores, scores], axis=2)
        yield rows, scores


def _scores(model, X):
    """Return a score for each class that a model was fitted on."""
    for method in ("decision_function", "predict_proba"):
        if hasattr(model, method):
            break
    else:
        raise ValueError(
            "aggregation='run_off' needs an estimator with decision_function or "
            f"predict_proba; {model!r} has neither."
        )
    scores = np.asarray(getattr(model, method)(X))
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores])
    if scores.shape[1] != len(model.classes_):
        raise ValueError(
            "aggregation='run_off' needs one score for each class; the "
            f"{method} of {model!r} gives {scores.shape[1]} for "
            f"{len(model.classes_)} classes."
        )
    return scores
