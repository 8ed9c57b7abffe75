"""The model, trained on some rows and asked about held-out ones."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from skpoison._fitted import fit_clone

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
    return tested(fit_clone(estimator, X, y), fold)


def tested(fitted, fold):
    """What a fitted model does on the held-out rows."""
    said = np.searchsorted(fold.classes, fitted.predict(fold.X_test))
    scores = _scores(fitted, fold)
    loss = loss_of(fitted, fold.X_test, fold.classes[fold.codes_test])
    return Trained(Answers(fold.codes_test, said, scores), loss)


def _scores(fitted, fold):
    """How much speaks for the positive class."""
    if hasattr(fitted, "decision_function"):
        scores = np.asarray(fitted.decision_function(fold.X_test))
    else:
        scores = np.asarray(fitted.predict_proba(fold.X_test))
    positive = int(np.flatnonzero(fitted.classes_ == fold.classes[fold.positive])[0])
    if scores.ndim == 1:
        return scores if positive == 1 else -scores
    return scores[:, positive]


def clean_part(version, estimator, fold):
    """Train on the rows of a fold as they are; kept when interrupted."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = fit_clone(estimator, fold.X, fold.y)
        found = tested(fitted, fold)
        labels, counts = np.unique(fold.y, return_counts=True)
        frequent = np.searchsorted(fold.classes, labels[np.argmax(counts)])
        figures = {
            "majority_error": float(np.mean(fold.codes_test != frequent)),
            "train_loss": loss_of(fitted, fold.X, fold.y),
            "train_error": float(np.mean(fitted.predict(fold.X) != fold.y)),
            "test_loss": found.loss,
            "test_error": found.error,
        }
    return {"figures": figures, "trained": found, "warnings": texts_of(caught)}


def texts_of(caught):
    return sorted({str(warning.message) for warning in caught})
