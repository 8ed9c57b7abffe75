"""The learner that bounds of an audit are for, and the losses of models."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import LinearSVC

from skpoison._labels import find_labels
from skpoison.bounds import NormConstrainedSVC
from skpoison.bounds._objective import READERS, objective_of
from skpoison.evaluation import held_out_loss
from skpoison.inspection._losses import LOSS_NAMES
from skpoison.losses import Hinge, decision_margins

MACHINE = "linear support vector machine"
NAMES = {
    LinearSVC: MACHINE,
    NormConstrainedSVC: MACHINE,
    LogisticRegression: "logistic regression",
    RidgeClassifier: "ridge classifier",
}
PARAMETERS = ("C", "rho", "alpha")


class BoundedLearner(NamedTuple):
    """The learner that bounds are for."""

    options: dict[str, Any]  # what bounds and attacks take: C, rho or estimator
    parameters: dict[str, float]  # how strong its penalty is, or how large its ball
    name: str
    loss: str  # what its losses are called
    is_model: bool  # whether it is the model itself

    @property
    def is_hinge(self):
        """Whether it is the learner that every bound exists for."""
        return "estimator" not in self.options

    @property
    def text(self):
        """The learner with its parameters."""
        shown = (f"{name} = {value:g}" for name, value in self.parameters.items())
        return f"{self.name} ({', '.join(shown)})"


FALLBACK = BoundedLearner({"C": 1.0}, {"C": 1.0}, MACHINE, "hinge loss", False)


def bounded_learner(estimator: Any) -> BoundedLearner:
    """Return the learner to bound: the model without weights of classes.

    Of other models than bounds are known for, that is ``LinearSVC(loss="hinge", C=1)``.
    """
    plain, objective = _without_weights(estimator)
    if objective is None:
        return FALLBACK
    is_model = getattr(estimator, "class_weight", None) is None
    given = plain.get_params(deep=False)
    found = {name: float(given[name]) for name in PARAMETERS if name in given}
    options = found if objective.is_plain_hinge else {"estimator": plain}
    name = NAMES.get(type(estimator), "linear classifier of SGDClassifier")
    loss = LOSS_NAMES[type(objective.loss)].lower()
    return BoundedLearner(options, found, name, loss, is_model)


def _without_weights(estimator):
    """Return a classifier without weights of classes, and its objective if known."""
    if type(estimator) not in READERS:
        return estimator, None
    plain = clone(estimator)
    if "class_weight" in plain.get_params(deep=False):
        plain.set_params(class_weight=None)
    try:
        return plain, objective_of(plain)
    except ValueError:
        return plain, None


def loss_of(model: Any, X: Any, y: np.ndarray) -> float:
    """Return the mean loss of a fitted model on rows.

    It is the model's own where bounds are known for it, and else that of
    :func:`skpoison.evaluation.held_out_loss`.
    """
    objective = _without_weights(model)[1]
    if objective is None or isinstance(objective.loss, Hinge):
        return held_out_loss(model, X, y)
    try:
        objective = objective.for_classes(len(model.classes_))
    except ValueError:  # it cannot tell so many classes apart
        return held_out_loss(model, X, y)
    codes = find_labels(y, model.classes_)
    decisions = np.asarray(model.decision_function(X))
    if objective.of_classes is not None:
        return float(objective.of_classes.value(decisions, codes).mean())
    return objective.loss.mean(decision_margins(decisions, codes))
