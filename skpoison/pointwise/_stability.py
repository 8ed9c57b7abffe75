"""How far a regularized linear model moves if rows are added, removed or relabeled."""

from typing import Any, NamedTuple

import numpy as np
from scipy import linalg, sparse
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_consistent_length, validate_data

from skpoison._labels import encode_labels
from skpoison.feasible import FeasibleSet
from skpoison.pointwise._linear_in_labels import required
from skpoison.solvers._regularizers import Penalty
from skpoison.solvers._signed_design import Rows
from skpoison.solvers._train import train_on

GROWTH = 2.0  # ratio of successive numbers of rows that are tried
MOST_DENSE = 3_000  # features of sparse rows for which curvature is used
ROUNDS = 2  # of tightening the bound on how far the parameters move
TOL = 1e-7  # of the duality gap that shows how exactly a model was trained


class PenalizedLearner(NamedTuple):
    """A minimizer of ``C * sum(loss(y theta @ x)) + ||theta||^2 / 2``.

    The last feature is the constant 1 where there is an intercept.
    """

    theta: np.ndarray
    C: float
    is_logistic: bool
    has_intercept: bool

    def slope(self, score: float) -> float:
        """Return the largest slope of the loss where the margin is above -score."""
        return float(expit(score)) if self.is_logistic else 1.0

    def curvature(self, away: np.ndarray) -> np.ndarray:
        """Return the loss's smallest second derivative for margins up to these."""
        if not self.is_logistic:
            return np.zeros_like(away)
        return expit(away) * expit(-away)

    def augmented(self, X: Any) -> Any:
        """Return rows with the constant feature, if there is one."""
        if not self.has_intercept:
            return X
        ones = np.ones((X.shape[0], 1))
        if sparse.issparse(X):
            return sparse.csr_array(sparse.hstack([X, ones]))
        return np.hstack([X, ones])


class MarginChanges(NamedTuple):
    """What one move can add to the gradient, divided by C and by the loss's slope."""

    rows: Any  # -y x of training rows, which can be deleted or relabeled
    sets: list  # sign and region of the rows that can be inserted
    has_intercept: bool

    def most_along(self, directions: np.ndarray) -> np.ndarray:
        """Return the largest product with each direction (a column), or 0."""
        most = np.maximum(np.asarray(self.rows @ directions).max(axis=0), 0.0)
        for sign, region in self.sets:
            for i, direction in enumerate(sign * directions.T):
                most[i] = max(most[i], self._support(region, direction))
        return most

    def most_wrong(self, theta: np.ndarray) -> float:
        """Return minus the smallest margin of a row that can be added or removed."""
        scores = [float(np.max(self.rows @ theta))]
        scores += [self._support(region, -sign * theta) for sign, region in self.sets]
        return max(scores)

    def _support(self, region, direction):
        if self.has_intercept:
            return region.support(direction[:-1])[0] + direction[-1]
        return region.support(direction)[0]

    def longest(self, metric: "Metric") -> float:
        """Return a bound on the length of what one move adds, in a metric."""
        lengths = [metric.lengths(self.rows).max()]
        for _, region in self.sets:
            center = region.center
            center = np.append(center, 1.0) if self.has_intercept else center
            # The metric is at most the Euclidean one.
            lengths.append(metric.lengths(center[None])[0] + region.reach)
        return float(max(lengths))


class Metric:
    """The norm ``sqrt(u @ K^-1 @ u)``; K is the identity plus a curvature."""

    def __init__(self, rows: Any = None, weights: np.ndarray | None = None):
        self.root = None
        if weights is not None:
            rows = rows.toarray() if sparse.issparse(rows) else rows
            K = (rows.T * weights) @ rows
            K[np.diag_indices_from(K)] += 1.0
            self.root = linalg.cholesky(K, lower=True)

    def solve(self, columns: np.ndarray) -> np.ndarray:
        """Return ``K^-1 @ columns``."""
        if self.root is None:
            return columns
        return linalg.cho_solve((self.root, True), columns)

    def lengths(self, rows: Any) -> np.ndarray:
        """Return the lengths of rows."""
        if self.root is None:
            squares = rows.multiply(rows) if sparse.issparse(rows) else rows * rows
            return np.sqrt(np.asarray(squares.sum(axis=1)).ravel())
        rows = rows.toarray() if sparse.issparse(rows) else rows
        halves = linalg.solve_triangular(self.root, rows.T, lower=True)
        return np.sqrt(np.einsum("ij,ij->j", halves, halves))


def stable_radius(estimator, X, attack, training):
    """Return radii of LogisticRegression and LinearSVC, by strong convexity."""
    learner = _learner_of(estimator)
    X_train, y = required(estimator, training)
    signs = 2.0 * encode_labels(np.ravel(y), estimator.classes_) - 1.0
    check_consistent_length(X_train, signs)
    rows = learner.augmented(X_train)
    signed = rows.multiply(signs[:, None]).tocsr() if sparse.issparse(rows) else None
    signed = rows * signs[:, None] if signed is None else signed
    slack = _distance_from_minimum(estimator, learner, X_train, signs, signed)
    sets = [] if attack == "flip" else _insertions(estimator, training.filter)
    moves = MarginChanges(-signed, sets, learner.has_intercept)
    X = validate_data(estimator, X, reset=False, accept_sparse="csr", dtype=np.float64)
    tests = learner.augmented(X)
    tests = tests.toarray() if sparse.issparse(tests) else tests
    radius = _radius(learner, moves, slack, tests, attack == "flip")
    return radius // 2 if attack == "change" else radius


def _learner_of(estimator: BaseEstimator) -> PenalizedLearner:
    """Return the learner; raise an error for settings that the proof does not cover."""
    name, is_logistic = type(estimator).__name__, False
    if isinstance(estimator, LogisticRegression):
        is_logistic = True
        _need(estimator, "l1_ratio", (0, 0.0, None), "an l2 penalty")
        _need(estimator, "penalty", ("l2", "deprecated"), "an l2 penalty")
        if estimator.fit_intercept and estimator.solver != "liblinear":
            raise ValueError(
                f"{name} must penalize its intercept: solver='liblinear', or "
                f"fit_intercept=False; got solver={estimator.solver!r}. A single row "
                "can move an unpenalized intercept far."
            )
    else:
        _need(estimator, "loss", ("hinge",), "a loss with bounded slope")
        _need(estimator, "penalty", ("l2",), "an l2 penalty")
        _need(estimator, "fit_intercept", (True,), "an intercept")
    _need(estimator, "class_weight", (None,), "rows of equal weight")
    if not np.isfinite(estimator.C):
        raise ValueError(
            f"{name} needs a penalty to be certified; got C={estimator.C}."
        )
    if estimator.fit_intercept:
        _need(
            estimator,
            "intercept_scaling",
            (1, 1.0),
            "an intercept penalized like a weight",
        )
    if len(estimator.classes_) != 2:
        raise ValueError(
            f"{name} is certified for two classes only; it has "
            f"{len(estimator.classes_)}. PartitionedClassifier covers any number."
        )
    theta = np.ravel(estimator.coef_).astype(np.float64)
    if estimator.fit_intercept:
        theta = np.append(theta, estimator.intercept_)
    has_intercept = bool(estimator.fit_intercept)
    return PenalizedLearner(theta, estimator.C, is_logistic, has_intercept)


def _need(estimator, name, allowed, what):
    given = getattr(estimator, name, allowed[0])
    if given not in allowed:
        raise ValueError(
            f"{type(estimator).__name__} needs {what} to be certified: "
            f"{name}={allowed[0]!r}; got {name}={given!r}."
        )


def _insertions(estimator, filter_):
    """Return the regions of rows that can be inserted, with their labels' signs."""
    if filter_ is None:
        raise ValueError(
            "filter is needed, because inserted rows of unlimited length can move "
            f"{type(estimator).__name__} arbitrarily far. Give a fitted filter that "
            "training rows must pass, such as SphereFilter, or use attack='flip'."
        )
    feasible: FeasibleSet = filter_.feasible_set()
    if not feasible.is_bounded:
        raise ValueError(
            f"filter must be bounded; rows of any length pass {filter_!r}."
        )
    return [(2 * code - 1, feasible[c]) for code, c in enumerate(estimator.classes_)]


def _distance_from_minimum(estimator, learner, X_train, signs, signed):
    """Return an upper bound on the distance of the parameters from the minimizer."""
    theta, C = learner.theta, learner.C
    margins = np.asarray(signed @ theta)
    if learner.is_logistic:
        gradient = theta - C * np.asarray(signed.T @ expit(-margins))
        distance = float(np.linalg.norm(gradient))
    else:
        n = len(signs)
        exact = train_on(
            Rows(X_train, signs),
            None,
            Penalty(1.0 / (C * n)),
            tol=TOL,
            rng=np.random.RandomState(0),
        )
        value = np.maximum(1.0 - margins, 0.0).mean() + theta @ theta / (2.0 * C * n)
        distance = np.sqrt(2.0 * C * n * max(value - float(exact.lower), 0.0))
    if distance > 0.1 * max(np.linalg.norm(theta), 1e-300):
        raise ValueError(
            "X_train and y_train must be the rows that the estimator was fitted on, "
            "without sample_weight, and by a solver that has converged; "
            f"{type(estimator).__name__} may be {distance:.2g} away from the minimum, "
            f"and its parameters have length {np.linalg.norm(theta):.2g}. A smaller "
            "tol may help."
        )
    return distance


def _radius(learner, moves, slack, tests, is_flip):
    scores = tests @ learner.theta
    room = np.abs(scores) - 2.0 * slack * np.linalg.norm(tests, axis=1)
    towards = -np.where(scores > 0, 1.0, -1.0)[:, None] * tests
    plain = Metric()
    per_move = _step(learner, moves, plain, towards, _slope(learner, is_flip, np.inf))
    radius = _whole(room, per_move)
    n_features = moves.rows.shape[1]
    is_large = sparse.issparse(moves.rows) and n_features > MOST_DENSE
    if not learner.is_logistic or is_large or not len(tests):
        return radius
    most = 1.0
    while most <= 3.0 * radius.max(initial=0) + 1:
        most = np.ceil(GROWTH * most)
        metric, slope = _tightened(learner, moves, slack, most, is_flip)
        per_move = _step(learner, moves, metric, towards, slope)
        radius = np.maximum(radius, np.minimum(_whole(room, per_move), int(most)))
    return radius


def _slope(learner, is_flip, score):
    """Return the largest weight of a move in the gradient."""
    if is_flip:  # the slopes at m and -m together
        return 1.0 if learner.is_logistic else 2.0
    return learner.slope(score)


def _step(learner, moves, metric, towards, slope):
    """Return the most that one move shifts each score towards the other label."""
    solved = metric.solve(towards.T)
    lengths = np.sqrt(np.maximum(np.einsum("ij,ji->i", towards, solved), 0.0))
    along = moves.most_along(solved)
    return 0.5 * learner.C * slope * (along + moves.longest(metric) * lengths)


def _whole(room, per_move):
    """Return the largest number of moves that leave each score its sign."""
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = np.ceil(room / per_move * (1.0 - 1e-12)) - 1.0
    return np.clip(np.nan_to_num(numbers, posinf=2**31), 0, 2**31).astype(np.intp)


def _tightened(learner, moves, slack, n_moves, is_flip):
    """Return a metric and a slope that are valid for so many moves.

    A bound on how far the parameters move gives bounds on slopes and curvatures along
    the way, and these give a better bound on how far the parameters move.
    """
    margins = np.abs(np.asarray(moves.rows @ learner.theta))
    lengths = Metric().lengths(moves.rows)
    score = moves.most_wrong(learner.theta) + slack * moves.longest(Metric())
    metric, slope = Metric(), _slope(learner, is_flip, np.inf)
    for _ in range(ROUNDS):
        longest = moves.longest(metric)
        moved = learner.C * n_moves * slope * longest
        slope = min(slope, _slope(learner, is_flip, score + moved * longest))
        moved = learner.C * n_moves * slope * longest
        curvature = learner.curvature(margins + (moved + slack) * lengths)
        metric = Metric(moves.rows, learner.C * curvature)
    return metric, slope
