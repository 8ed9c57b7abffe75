"""The learners that ``--learner`` names, for what a target holds."""

from collections.abc import Callable
from math import log
from typing import NamedTuple

from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.svm import LinearSVC, LinearSVR


class Learner(NamedTuple):
    """A learner that ``--learner`` names."""

    estimator: Callable[[float], BaseEstimator] | None  # of C; None: of the bound
    text: str
    losses: str
    at_zero: Callable[[int], float] | None = None  # of scores of 0; None: of numbers
    is_sum: bool = False  # of the losses of a learner for each class


def _linear_svr(C):
    return LinearSVR(C=C)


def _squared_svr(C):
    return LinearSVR(C=C, loss="squared_epsilon_insensitive")


def _hinge(C):
    return LinearSVC(C=C, loss="hinge")


def _squared_hinge(C):
    return LinearSVC(C=C)


def _logistic(C):
    return LogisticRegression(C=C)


def _ridge_classifier(C):
    return RidgeClassifier(alpha=1.0 / C)


def _ridge(C):
    return Ridge(alpha=1.0 / C)


AGAINST = "for each class against the rest"

# By task and name.
LEARNERS = {
    "binary": {
        "svm": Learner(
            None, "a linear support vector machine", "hinge losses", lambda k: 1.0
        ),
        "svm-squared": Learner(
            _squared_hinge,
            "a linear support vector machine with the squared hinge loss",
            "squared hinge losses",
            lambda k: 1.0,
        ),
        "logistic": Learner(
            _logistic, "a logistic regression", "logistic losses", lambda k: log(2)
        ),
        "ridge": Learner(
            _ridge_classifier,
            "a ridge classifier",
            "halves of squared losses",
            lambda k: 0.5,
        ),
    },
    "multiclass": {
        "svm": Learner(
            _hinge,
            f"a linear support vector machine {AGAINST}",
            "hinge losses",
            lambda k: 1.0 * k,
            is_sum=True,
        ),
        "svm-squared": Learner(
            _squared_hinge,
            f"a linear support vector machine with the squared hinge loss {AGAINST}",
            "squared hinge losses",
            lambda k: 1.0 * k,
            is_sum=True,
        ),
        "logistic": Learner(
            _logistic, "a multinomial logistic regression", "logistic losses", log
        ),
        "ridge": Learner(
            _ridge_classifier,
            f"a ridge classifier {AGAINST}",
            "halves of squared losses",
            lambda k: 0.5 * k,
            is_sum=True,
        ),
    },
    "regression": {
        "svm": Learner(
            _linear_svr,
            "a linear support vector machine for numbers (LinearSVR)",
            "absolute errors",
        ),
        "svm-squared": Learner(
            _squared_svr,
            "a linear support vector machine for numbers with squared errors "
            "(LinearSVR)",
            "squared errors",
        ),
        "ridge": Learner(_ridge, "a ridge regression", "halves of squared errors"),
    },
}
