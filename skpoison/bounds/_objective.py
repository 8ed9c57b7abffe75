"""What the estimators that a bound knows minimize in training."""

from enum import StrEnum
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from skpoison._residual_losses import ResidualLoss
from skpoison.bounds._regressors import (
    KNOWN_REGRESSORS,
    NONE_GIVEN,
    OTHER_PENALTY,
    REGRESSORS,
    ridge_penalty,
    sgd_penalty,
)
from skpoison.bounds._svc import NormConstrainedSVC
from skpoison.losses import (
    Hinge,
    Logistic,
    Loss,
    ModifiedHuber,
    Squared,
    SquaredHinge,
)
from skpoison.solvers._class_losses import (
    ClassLoss,
    CrammerSinger,
    Multinomial,
    OneVsRest,
)

KNOWN = (
    "LinearSVC (both losses), LogisticRegression (l2), RidgeClassifier, SGDClassifier "
    "(hinge, squared_hinge, log_loss and modified_huber; l2) and NormConstrainedSVC, "
    f"and of regressors {KNOWN_REGRESSORS}"
)
KNOWN_SEVERAL = (
    "LinearSVC (both losses, and multi_class='crammer_singer'), LogisticRegression "
    "(l2, any solver but 'liblinear'), RidgeClassifier and SGDClassifier (hinge, "
    "squared_hinge, log_loss and modified_huber; l2)"
)
# Known estimators that do nearly the same as others.
INSTEAD = {
    "LinearRegression": "Ridge, since without a penalty one row can do anything",
    "LogisticRegressionCV": "LogisticRegression with the C that was chosen",
    "RidgeClassifierCV": "RidgeClassifier with the alpha that was chosen",
    "RidgeCV": "Ridge with the alpha that was chosen",
    "SVC": "LinearSVC(loss='hinge') in place of a linear kernel",
    "SVR": "LinearSVR in place of a linear kernel",
}
# What stands in the way, as errors say it after "it".
SVC_LOSSES = {"hinge": Hinge(), "squared_hinge": SquaredHinge()}
SGD_LOSSES = SVC_LOSSES | {"log_loss": Logistic(), "modified_huber": ModifiedHuber()}


class Several(StrEnum):
    """How a learner tells more than two classes apart."""

    ONE_VS_REST = "one against the rest"
    MULTINOMIAL = "multinomial"
    CRAMMER_SINGER = "Crammer and Singer"


class Objective(NamedTuple):
    """A training objective: a sum of losses plus a penalty, or losses within a ball.

    Parameters
    ----------
    loss : Loss
        The loss of a row, of its margin or its error.
    strength : float
        The penalty is ``strength / 2 * ||w||^2`` beside the sum of the losses.
    per_row : bool
        Whether that is multiplied by the number of training rows.
    intercept : float
        ``(b / intercept)^2`` joins ``||w||^2``: infinite where the intercept is not
        penalized, 0 where there is none.
    rho : float or None
        Radius of the ball, in place of the penalty.
    class_weight : dict, "balanced" or None
        What the losses of each class are multiplied by.
    several : Several or None
        How more than two classes are told apart; None where they cannot be.
    of_classes : ClassLoss or None
        The loss of the scores of more than two classes, once these are known.
    """

    loss: Loss
    strength: float = 0.0
    per_row: bool = False
    intercept: float = 1.0
    rho: float | None = None
    class_weight: dict | str | None = None
    several: Several | None = Several.ONE_VS_REST
    of_classes: ClassLoss | None = None

    def for_classes(self, n_classes: int) -> "Objective":
        """Return what is minimized on rows of so many classes."""
        if n_classes > 2 and self.several is None:
            raise ValueError(
                f"Only binary classification is supported by this estimator; y has "
                f"{n_classes} classes. Known for several classes are {KNOWN_SEVERAL}."
            )
        is_sum = self.several == Several.ONE_VS_REST
        uneven = is_sum and not isinstance(self.loss, Squared)
        if n_classes > 2 and uneven and self.class_weight is not None:
            # A class weighs only in its own problem, and not where it is the rest.
            raise ValueError(
                f"class_weight={self.class_weight!r} is known for {n_classes} classes "
                "with LogisticRegression, RidgeClassifier and "
                "LinearSVC(multi_class='crammer_singer') only. For other learners, use "
                "sample_weight."
            )
        if n_classes > 2:
            joint: dict[Several | None, ClassLoss] = {
                Several.MULTINOMIAL: Multinomial(),
                Several.CRAMMER_SINGER: CrammerSinger(),
            }
            of_classes = joint.get(self.several, OneVsRest(self.loss))
            return self._replace(of_classes=of_classes)
        if self.several == Several.CRAMMER_SINGER:
            # Both weight vectors are half of their difference, with opposite signs.
            return self._replace(strength=0.5 * self.strength)
        return self

    @property
    def at_zero(self) -> float:
        """The loss of a row at parameters of zero, of two classes."""
        return float(self.loss.value(np.zeros(())))

    @property
    def of_wrong(self) -> float:
        """The least loss of a row on the wrong side of a boundary, or on it."""
        return self.at_zero if self.of_classes is None else self.of_classes.of_wrong()

    @property
    def is_plain_hinge(self) -> bool:
        """Whether the solver for the hinge loss minimizes it."""
        is_plain = isinstance(self.loss, Hinge) and not self.per_row
        return is_plain and self.intercept == 1 and self.class_weight is None

    @property
    def is_regression(self) -> bool:
        """Whether the loss is of errors of prediction, for targets that are numbers."""
        return isinstance(self.loss, ResidualLoss)

    def stiffness(self, n_features: int, n_rows: int, n_trained: int) -> np.ndarray:
        """Return the penalty's second derivative, with losses divided by `n_rows`.

        The learner is trained on `n_trained` rows.
        """
        times = n_trained if self.per_row else 1
        stiffness = np.full(n_features + 1, times * self.strength / n_rows)
        if self.intercept == 0.0:
            stiffness[-1] = np.inf
        else:
            stiffness[-1] /= self.intercept**2
        return stiffness


def objective_of(estimator: BaseEstimator) -> Objective:
    """Return what an estimator minimizes; an error lists the estimators known."""
    if isinstance(estimator, FrozenEstimator):
        raise ValueError(
            f"estimator={estimator!r} is not trained any more; a bound is about what "
            "training can lead to. Give the estimator itself."
        )
    if isinstance(estimator, Pipeline):
        raise ValueError(
            f"estimator={estimator!r} is a pipeline, whose other steps learn from the "
            "poison too. Fit them on trusted rows, transform X with them, and give "
            "the last step."
        )
    if isinstance(estimator, type):
        raise ValueError(
            f"estimator={estimator!r} is a class. Give an estimator, such as "
            f"{estimator.__name__}()."
        )
    # Subclasses may minimize something else.
    kind = type(estimator)
    if kind not in READERS and kind not in REGRESSORS:
        instead = INSTEAD.get(kind.__name__)
        hint = f" Use {instead}." if instead else ""
        raise ValueError(
            f"estimator={estimator!r} is not known; known are {KNOWN}.{hint}"
        )
    estimator._validate_params()
    if kind in READERS:
        objection, objective = READERS[kind](estimator)
    else:
        objection, loss, rest = REGRESSORS[kind](estimator)
        objective = Objective(loss, **rest)
    if objection:
        raise ValueError(
            f"estimator={estimator!r} is not known: it {objection}. Known are {KNOWN}."
        )
    weights = getattr(estimator, "class_weight", None)
    return objective._replace(class_weight=weights)


def _read_svc(svc):
    objection = OTHER_PENALTY if svc.penalty != "l2" else None
    if svc.loss not in SVC_LOSSES:
        return f"has loss={svc.loss!r}", None
    is_joint = svc.multi_class == "crammer_singer"  # which leaves the loss no choice
    loss = Hinge() if is_joint else SVC_LOSSES[svc.loss]
    several = Several.CRAMMER_SINGER if is_joint else Several.ONE_VS_REST
    scale = svc.intercept_scaling if svc.fit_intercept else 0.0
    objective = Objective(loss, 1.0 / svc.C, intercept=float(scale), several=several)
    return objection, objective


def _read_logistic(logistic):
    objection = None
    if logistic.penalty is None:
        objection = NONE_GIVEN
    elif logistic.l1_ratio or logistic.penalty not in ("l2", "deprecated"):
        objection = OTHER_PENALTY
    elif np.isinf(logistic.C):
        objection = "has no penalty (C=inf), so that its minimum may not exist"
    scale, several = np.inf, Several.MULTINOMIAL
    if logistic.solver == "liblinear":
        scale, several = float(logistic.intercept_scaling), None
    scale = scale if logistic.fit_intercept else 0.0
    strength = 1.0 / logistic.C
    objective = Objective(Logistic(), strength, intercept=scale, several=several)
    return objection, objective


def _read_ridge(ridge):
    objection, rest = ridge_penalty(ridge)
    return objection, Objective(Squared(), **rest)


def _read_sgd(sgd):
    if sgd.loss not in SGD_LOSSES:
        return f"has loss={sgd.loss!r}", None
    objection, rest = sgd_penalty(sgd)
    return objection, Objective(SGD_LOSSES[sgd.loss], **rest)


def _read_ball(svc):
    return None, Objective(Hinge(), rho=float(svc.rho), several=None)


READERS = {
    LinearSVC: _read_svc,
    LogisticRegression: _read_logistic,
    RidgeClassifier: _read_ridge,
    SGDClassifier: _read_sgd,
    NormConstrainedSVC: _read_ball,
}
