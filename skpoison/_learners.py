"""Which learner an estimator is: its loss, and what keeps its parameters small."""

from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import LinearSVC
from sklearn.utils import check_random_state

from skpoison.bounds import NormConstrainedSVC
from skpoison.losses import Hinge, Logistic, Loss, SmoothedHinge, Squared
from skpoison.solvers._regularizers import regularizer
from skpoison.solvers._signed_design import Rows
from skpoison.solvers._train import PoisonCopies, train_on

CLASS_WEIGHTS = "has class_weight set; only None is supported"
SHIFTED = "has intercept_scaling set; only 1 is supported"


class Learner(NamedTuple):
    """A linear classifier that minimizes losses of margins.

    It minimizes ``mean(loss) + ||theta||^2 / (2 C n)``, or the mean loss within
    ``||theta|| <= rho``, with ``theta = (w, b)``.
    """

    loss: Loss
    rho: float | None  # radius of the ball
    C: float | None  # inverse strength of the penalty
    penalizes_intercept: bool = True
    fits_intercept: bool = True

    def smoothed(self, width: float) -> "Learner":
        """Return the learner with a hinge loss smeared out; others as they are."""
        if isinstance(self.loss, Hinge):
            return self._replace(loss=SmoothedHinge(width))
        return self

    def multiple(self, n_rows: int) -> float | None:
        """Return the penalty's second derivative; None for a ball."""
        return None if self.C is None else 1.0 / (self.C * n_rows)

    def stiffness(self, n_features: int, n_rows: int) -> np.ndarray:
        """Return the penalty's second derivative for each parameter."""
        stiffness = np.full(n_features + 1, self.multiple(n_rows) or 0.0)
        stiffness[-1] *= self.penalizes_intercept
        return stiffness


def learner_of(estimator: BaseEstimator | None, attack: str) -> Learner:
    """Read the learner that an estimator is; None is ``LinearSVC(loss="hinge")``."""
    if estimator is None:
        return Learner(Hinge(), None, 1.0)
    for kind, read in READERS.items():
        if isinstance(estimator, kind):
            problem, learner = read(estimator)
            if problem:
                raise ValueError(f"{attack} cannot attack {estimator!r}: it {problem}.")
            return learner
    raise ValueError(
        f"{attack} supports an estimator of the types "
        f"{sorted(kind.__name__ for kind in READERS)}; got {estimator!r}."
    )


def _read_svc(svc):
    problem = None
    if svc.loss != "hinge":
        problem = f"has loss={svc.loss!r}; only 'hinge' is supported"
    elif svc.class_weight is not None:
        problem = CLASS_WEIGHTS
    elif svc.fit_intercept and svc.intercept_scaling != 1:
        problem = SHIFTED
    elif svc.penalty != "l2":
        problem = f"has penalty={svc.penalty!r}; only 'l2' is supported"
    return problem, Learner(Hinge(), None, svc.C, fits_intercept=svc.fit_intercept)


def _read_logistic(logistic):
    problem = None
    if logistic.class_weight is not None:
        problem = CLASS_WEIGHTS
    elif logistic.l1_ratio or logistic.penalty not in ("l2", "deprecated"):
        problem = "has a penalty other than the squared norm of the weights"
    elif logistic.solver == "liblinear":
        problem = "penalizes its intercept (solver='liblinear')"
    return problem, Learner(
        Logistic(),
        None,
        logistic.C,
        penalizes_intercept=False,
        fits_intercept=logistic.fit_intercept,
    )


def _read_ridge(ridge):
    problem = None
    if ridge.class_weight is not None:
        problem = CLASS_WEIGHTS
    elif ridge.positive:
        problem = "has positive weights only"
    elif not ridge.alpha > 0:
        problem = "has no penalty (alpha=0), so that its solution may not be unique"
    return problem, Learner(
        Squared(),
        None,
        1.0 / ridge.alpha if ridge.alpha else None,
        penalizes_intercept=False,
        fits_intercept=ridge.fit_intercept,
    )


def _read_ball(svc):
    return None, Learner(Hinge(), svc.rho, None)


READERS = {
    LinearSVC: _read_svc,
    LogisticRegression: _read_logistic,
    RidgeClassifier: _read_ridge,
    NormConstrainedSVC: _read_ball,
}


def hinge_learner_of(estimator: BaseEstimator | None, attack: str) -> Learner:
    """Read a learner, and refuse those whose loss is not the hinge loss."""
    learner = learner_of(estimator, attack)
    if not isinstance(learner.loss, Hinge):
        raise ValueError(
            f"{attack} supports learners with the hinge loss, LinearSVC(loss='hinge') "
            f"and NormConstrainedSVC; got {estimator!r}. GradientAttack supports other "
            "losses."
        )
    if not learner.fits_intercept:
        raise ValueError(
            f"{attack} requires a learner with an intercept; got {estimator!r}."
        )
    return learner


def train_hinge(
    learner: Learner,
    clean: Rows,
    poison: PoisonCopies | None = None,
    *,
    tol: float,
    rng: np.random.RandomState | int | None,
) -> np.ndarray:
    """Train a learner with the hinge loss on clean rows and copies of poison rows.

    Losses are divided by the number of clean rows; `tol` is the relative duality gap,
    and `rng` draws the rows that are looked at first. Returned are the weights, and the
    intercept behind them.
    """
    kind = regularizer(learner.rho, learner.C, len(clean))
    found = train_on(clean, poison, kind, tol=tol, rng=check_random_state(rng))
    assert found.best_primal is not None  # it has been checked at least once
    return found.best_primal.theta
