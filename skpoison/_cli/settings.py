"""What to certify."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassifierMixin
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import LinearSVC

from skpoison import CertifiedBound
from skpoison._defaults import default_filter
from skpoison.feasible import Domain
from skpoison.losses import Hinge, Logistic, Loss, Squared, SquaredHinge


class Learner(NamedTuple):
    """A learner that ``--learner`` names."""

    estimator: Callable[[float], ClassifierMixin] | None  # of C; None: of the bound
    loss: Loss
    text: str
    losses: str
    at_zero: str  # the loss of a constant score of 0


# By the names of ``--learner``.
LEARNERS = {
    "svm": Learner(
        None,
        Hinge(),
        "a linear support vector machine",
        "hinge losses",
        "1",
    ),
    "svm-squared": Learner(
        lambda C: LinearSVC(C=C),
        SquaredHinge(),
        "a linear support vector machine with the squared hinge loss",
        "squared hinge losses",
        "1",
    ),
    "logistic": Learner(
        lambda C: LogisticRegression(C=C),
        Logistic(),
        "a logistic regression",
        "logistic losses",
        "0.69",
    ),
    "ridge": Learner(
        lambda C: RidgeClassifier(alpha=1.0 / C),
        Squared(),
        "a ridge classifier",
        "halves of squared losses",
        "0.5",
    ),
}


@dataclass(frozen=True)
class BoundSettings:
    """What to certify: the options of a command, and the bound that they mean."""

    epsilons: tuple
    filter: str = "both"
    percentile: float = 70.0
    C: float | None = None
    rho: float | None = None
    tol: float = 1e-3
    max_iter: int | None = None
    seed: int = 0
    domain: str = "real"
    defense: str = "fixed"
    learner: str = "svm"

    @property
    def is_moving(self):
        """Whether the attacker moves the centroids."""
        return self.defense == "moving-centroids"

    @property
    def loss(self):
        """The loss of the learner."""
        return LEARNERS[self.learner].loss

    def region_filter(self):
        """Return the unfitted filter, an intersection even of one."""
        both = default_filter(self.percentile)
        if self.filter == "both":
            return both
        return both.set_params(filters=[(self.filter, dict(both.filters)[self.filter])])

    def bound(self, **changes):
        """Return an unfitted CertifiedBound with these settings."""
        settings = {
            "filter": self.region_filter(),
            "rho": self.rho,
            "C": self.C,
            "tol": self.tol,
            "max_iter": self.max_iter,
            "random_state": self.seed,
            "domain": self.domain,
            "defense": self.defense.replace("-", "_"),
        }
        estimator = LEARNERS[self.learner].estimator
        if estimator is not None:
            settings |= {"estimator": estimator(self.C), "C": None}
        return CertifiedBound(**(settings | changes))

    def describe(self):
        """Name the learner and the filter in few words."""
        learner = f"C = {self.C:g}" if self.rho is None else f"rho = {self.rho:g}"
        if self.learner != "svm":
            learner = f"{self.learner}, {learner}"
        rows = "" if self.domain == "real" else f", {self.domain} rows"
        moved = "" if self.defense == "fixed" else ", moving centroids"
        alone = "" if self.filter == "both" else f"{self.filter}, "
        return f"{learner}, {alone}percentile {self.percentile:g}{rows}{moved}"


def domain_of(kind, encoder):
    """Return what an attacker can send as a domain of scaled rows.

    Where columns are shifted, numbers that are not negative are those above the place
    of zero.
    """
    if kind != "nonnegative" or not encoder.scaled:
        return kind
    zeros = encoder.rescale(np.zeros((1, len(encoder.names))))
    return Domain(lower=zeros.toarray().ravel() if issparse(zeros) else zeros.ravel())
