"""What regularized linear learners minimize, and how near to the minimum they are."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from skpoison.bounds._objective import Objective, objective_of
from skpoison.bounds._training_gap import trained
from skpoison.losses import Hinge, Logistic, Loss, ModifiedHuber, SquaredHinge
from skpoison.pointwise._linear_in_labels import required
from skpoison.solvers._regularizers import NormBall, Penalty
from skpoison.solvers._signed_design import Rows
from skpoison.solvers._train import train_on

TOL = 1e-7  # of the duality gap that tells how exactly a learner was trained
MOST_AWAY = 0.1  # of the parameters' length, from the minimum
# Where the second derivative of a loss is largest: it falls on both sides.
STEEPEST = {Logistic: 0.0, SquaredHinge: -np.inf, ModifiedHuber: 0.0}


class StableLearner(NamedTuple):
    """A minimizer of ``C * sum(loss(y theta @ x)) + ||theta||^2 / 2``, nearly.

    The last feature is the constant 1 where there is an intercept. In a ball, C is what
    stands for it in the proof, and slopes are not known.
    """

    theta: np.ndarray
    distance: float  # from the exact minimizer, at most
    C: float
    loss: Loss
    n_rows: int
    has_intercept: bool
    per_row: bool = False  # whether the penalty grows with the number of rows
    in_ball: bool = False

    @property
    def is_smooth(self) -> bool:
        """Whether the loss has a second derivative."""
        return type(self.loss) in STEEPEST

    def slopes(self, margins: Any) -> np.ndarray:
        """Return by how much the loss falls where margins are at least these."""
        if self.in_ball:
            return np.ones_like(margins, dtype=np.float64)
        # Where a slope jumps, rounding must not decide on which side a margin is.
        below = margins - 1e-9 * (1.0 + np.abs(margins))
        return -self.loss.derivative(below)

    def slopes_of_flips(self, margins: np.ndarray, widths: np.ndarray) -> np.ndarray:
        """Return the slopes at a margin and its negative, for margins so far off."""
        if isinstance(self.loss, Logistic):
            return np.ones_like(margins)
        return self.slopes(margins - widths) + self.slopes(-margins - widths)

    def curvature(
        self, margins: np.ndarray, widths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss's least and largest second derivative near margins."""
        ends = margins - widths, margins + widths
        low = np.minimum(*map(self.loss.curvature, ends))
        high = self.loss.curvature(np.clip(STEEPEST[type(self.loss)], *ends))
        return low, high

    def augmented(self, X: Any) -> Any:
        """Return rows with the constant feature, if there is one."""
        if not self.has_intercept:
            return X
        ones = np.ones((X.shape[0], 1))
        if sparse.issparse(X):
            return sparse.csr_array(sparse.hstack([X, ones]))
        return np.hstack([X, ones])


def learner_of(estimator: BaseEstimator, training: Any) -> tuple[StableLearner, Rows]:
    """Read the learner and its rows; refuse settings that the proof does not cover."""
    objective = _covered(estimator)
    X_train, y = required(estimator, training)
    codes = np.searchsorted(estimator.classes_, np.ravel(y))
    known = estimator.classes_[np.minimum(codes, 1)]
    if not np.array_equal(known, np.ravel(y)):
        raise ValueError(
            f"y_train must hold the labels {estimator.classes_.tolist()}; got "
            f"{np.unique(y).tolist()}."
        )
    rows = Rows(X_train, 2.0 * codes - 1.0)
    theta = np.ravel(estimator.coef_).astype(np.float64)
    if objective.intercept:
        theta = np.append(theta, estimator.intercept_)
    if objective.rho is not None:
        learner = _in_ball(objective, rows, theta)
    else:
        learner = _penalized(estimator, objective, rows, theta, codes)
    _check_near(estimator, learner)
    return learner, rows


def _covered(estimator: BaseEstimator) -> Objective:
    name = type(estimator).__name__
    if getattr(estimator, "class_weight", None) is not None:
        raise ValueError(
            f"{name} needs rows of equal weight to be certified: class_weight=None; "
            f"got class_weight={estimator.class_weight!r}."
        )
    objective = objective_of(estimator)
    if np.isinf(objective.intercept):
        advice = "fit_intercept=False, with a column of ones in X"
        if hasattr(estimator, "intercept_scaling"):
            advice = "solver='liblinear', or fit_intercept=False"
        raise ValueError(
            f"{name} must penalize its intercept: {advice}; got fit_intercept=True. "
            "One row can move an intercept that is not penalized a long way."
        )
    if objective.intercept not in (0.0, 1.0):
        raise ValueError(
            f"{name} needs an intercept like a weight to be certified: "
            f"intercept_scaling=1; got {estimator.intercept_scaling!r}."
        )
    if len(estimator.classes_) != 2:
        raise ValueError(
            f"{name} is certified for two classes; it has {len(estimator.classes_)}. "
            "PartitionedClassifier covers several."
        )
    return objective


def _penalized(estimator, objective, rows, theta, codes):
    n_rows = len(rows)
    times = n_rows if objective.per_row else 1
    C = 1.0 / (objective.strength * times)
    has_intercept = bool(objective.intercept)
    learner = StableLearner(
        theta, 0.0, C, objective.loss, n_rows, has_intercept, objective.per_row
    )
    if learner.is_smooth:
        at = theta if has_intercept else np.append(theta, 0.0)
        slope = rows.combine(-objective.loss.derivative(rows.scores(at)))
        gradient = theta - C * slope[: len(theta)]
        return learner._replace(distance=float(np.linalg.norm(gradient)))
    if objective.is_plain_hinge:
        gap = _gap(rows, Penalty(1.0 / (C * n_rows)), theta)
    else:
        gap = trained(estimator, objective, rows.X, codes).gap
    return learner._replace(distance=float(np.sqrt(2.0 * C * n_rows * gap)))


def _gap(rows, penalty, theta):
    """Return how far the mean objective is above the minimum, at most."""
    exact = train_on(rows, None, penalty, tol=TOL, rng=np.random.RandomState(0))
    value = Hinge().mean(rows.scores(theta)) + penalty.value(theta)
    return max(value - float(exact.lower), 0.0)


def _in_ball(objective, rows, theta):
    """Return the learner in a ball, around the point that the dual solution has.

    The proof needs three distances: of this model, and of the one fitted later, from
    their minima, and of the dual's point from either; so half of that is doubled.
    """
    ball, n_rows = NormBall(objective.rho), len(rows)
    exact = train_on(rows, None, ball, tol=TOL, rng=np.random.RandomState(0))
    assert exact.best_dual is not None
    masses = exact.best_dual.duals / n_rows
    z = rows.combine(masses)
    length = float(np.linalg.norm(z))
    if length * objective.rho <= 1e-6 * max(masses.sum(), 1e-300):
        raise ValueError(
            "NormConstrainedSVC is certified where its ball limits it; with rho="
            f"{objective.rho!r} the loss is as small as without. Take a smaller rho."
        )
    lower = float(masses.sum()) - ball.conjugate(z)
    center = z * (objective.rho / length)
    losses = [Hinge().mean(rows.scores(one)) for one in (theta, center)]
    growth = length / objective.rho
    distance = np.sqrt(2.0 * max(max(losses) - lower, 0.0) / growth)
    return StableLearner(
        theta,
        1.5 * float(distance),
        2.0 / (n_rows * growth),
        objective.loss,
        n_rows,
        has_intercept=True,
        in_ball=True,
    )


def _check_near(estimator, learner):
    length = max(float(np.linalg.norm(learner.theta)), 1e-300)
    if learner.distance <= MOST_AWAY * length:
        return
    raise ValueError(
        "X_train and y_train must be the rows that the estimator was fitted on, "
        "without sample_weight, and by a solver that has converged; "
        f"{type(estimator).__name__} may be {learner.distance:.2g} away from the "
        f"minimum, and its parameters have length {length:.2g}. A smaller tol may help."
    )
