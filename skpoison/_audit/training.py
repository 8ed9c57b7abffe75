"""The model, trained on some rows and asked about held-out ones."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.svm import LinearSVC
from sklearn.utils.class_weight import compute_class_weight

from skpoison._fitted import fit_clone, with_short_indices
from skpoison.filters._copies import joined_copies

from .learner import loss_of
from .metrics import Answers


class Fold(NamedTuple):
    """Rows to train on and to test on, and the position of the positive class."""

    X: Any
    y: np.ndarray
    X_test: Any
    codes_test: np.ndarray
    classes: np.ndarray
    positive: int


class Trained(NamedTuple):
    """A model on held-out rows."""

    answers: Answers
    loss: float

    @property
    def error(self):
        """The share of wrong predictions."""
        return float(np.mean(self.answers.said != self.answers.codes))


def trained(estimator, X, y, fold):
    return tested(fitted(estimator, X, y), fold)


def fitted(estimator, X, y):
    """Fit a model; copies of sparse rows become rows with weights.

    Models that are not known get the rows as they are.
    """
    if type(estimator) is not LinearSVC or not sparse.issparse(X):
        return fit_clone(estimator, X, y)
    some, labels, copies = joined_copies(X, y)
    if copies is None:
        return fit_clone(estimator, with_short_indices(X), y)
    if estimator.class_weight == "balanced":
        classes = np.unique(y)
        weights = compute_class_weight("balanced", classes=classes, y=y)
        of_class = dict(zip(classes.tolist(), weights, strict=True))
        estimator = clone(estimator).set_params(class_weight=of_class)
    return fit_clone(estimator, with_short_indices(some), labels, sample_weight=copies)


def tested(model, fold):
    """What a fitted model does on the held-out rows."""
    said = np.searchsorted(fold.classes, model.predict(fold.X_test))
    scores = _scores(model, fold)
    loss = loss_of(model, fold.X_test, fold.classes[fold.codes_test])
    return Trained(Answers(fold.codes_test, said, scores), loss)


def _scores(model, fold):
    """How much speaks for the positive class."""
    if hasattr(model, "decision_function"):
        scores = np.asarray(model.decision_function(fold.X_test))
    else:
        scores = np.asarray(model.predict_proba(fold.X_test))
    positive = int(np.flatnonzero(model.classes_ == fold.classes[fold.positive])[0])
    if scores.ndim == 1:
        return scores if positive == 1 else -scores
    return scores[:, positive]


def clean_part(version, estimator, fold):
    """Train on the rows of a fold as they are; kept when interrupted."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fitted(estimator, fold.X, fold.y)
        found = tested(model, fold)
        labels, counts = np.unique(fold.y, return_counts=True)
        frequent = np.searchsorted(fold.classes, labels[np.argmax(counts)])
        figures = {
            "majority_error": float(np.mean(fold.codes_test != frequent)),
            "train_loss": loss_of(model, fold.X, fold.y),
            "train_error": float(np.mean(model.predict(fold.X) != fold.y)),
            "test_loss": found.loss,
            "test_error": found.error,
        }
    return {"figures": figures, "trained": found, "warnings": texts_of(caught)}


def texts_of(caught):
    return sorted({str(warning.message) for warning in caught})
