"""How far a trained model is from the minimum of its training objective."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)

from skpoison._column_types import RowsLike
from skpoison._labels import check_targets, encode_labels
from skpoison._residual_losses import ConcomitantHuber
from skpoison._warn import warn
from skpoison._whole_rows import n_poison_rows
from skpoison.bounds import _any_loss, _multiclass
from skpoison.bounds._linear import signed_rows
from skpoison.bounds._objective import Several, objective_of
from skpoison.bounds._regression import target_rows
from skpoison.bounds._rounding import margins
from skpoison.bounds._weights import LossWeights, class_weights, sample_weights
from skpoison.solvers._adversary import NO_POISON
from skpoison.solvers._centering import CenteredRows, framed, view
from skpoison.solvers._regularizers import regularizer
from skpoison.solvers._working_set import Problem, solve

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from skpoison.bounds._defending import DefendingMixin

# Relative tolerance of the minimum; the remaining gap counts as the model's.
TOL, MAX_STEPS = 1e-6, 1000
# Smaller bounds count as this much, as for the tolerance of bounds.
LEAST_BOUND = 1e-3


class Trained(NamedTuple):
    """A trained model's mean objective over its training rows, and its gap."""

    objective: float
    gap: float


def training_gap(
    estimator: BaseEstimator,
    X: RowsLike,
    y: "ArrayLike",
    sample_weight: "ArrayLike | None" = None,
) -> float:
    """Bound how far a trained model is from the minimum of its training objective.

    Solvers stop at a tolerance or an iteration limit. A bound on the training loss
    holds for the exact minimum; for a trained model, this gap must be added.

    Parameters
    ----------
    estimator : classifier or regressor
        A fitted estimator of a kind that :class:`CertifiedBound` supports, or a fitted
        :class:`FilteredClassifier` or :class:`FilteredRegressor` of one.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows that it was fitted on; for a filtered estimator, those that it
        rejected included.
    y : array-like of shape (n_samples,)
        Their labels or targets.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights that it was fitted with.

    Returns
    -------
    gap : float
        The model's objective minus a certified lower bound on its minimum, both divided
        by the number of rows trained on: mean loss plus penalty, as in
        :class:`CertifiedBound`. It can exceed the true difference by a millionth of the
        objective, plus rounding.

    Raises
    ------
    ValueError
        If the estimator is not supported, or does not match `X` and `y`.
    NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    CertifiedBound.check : Checks a trained model against a bound.

    Notes
    -----
    The lower bound is the value of the dual problem at a point that skpoison's solver
    finds, starting from the model's parameters.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.svm import LinearSVC
    >>> from skpoison.bounds import training_gap
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> with warnings.catch_warnings(action="ignore"):  # it does not converge
    ...     svc = LinearSVC(loss="hinge", C=0.01, random_state=0).fit(X, y)
    >>> training_gap(svc, X, y) > 0.02
    True
    """
    model = _trained_model(estimator)
    objective = _objective_of_fitted(model)
    X, codes = _training_rows(model, objective, X, y)
    kept = _kept_rows(estimator, X)
    weights = _weights(model, objective, X, codes, kept, sample_weight)
    rows, of_rows = _of_rows(kept, X, codes)
    return trained(model, objective, rows, of_rows, weights).gap


def _trained_model(estimator):
    """Return what was trained: of a filtered estimator, its own estimator."""
    if not hasattr(estimator, "inlier_mask_"):
        return estimator
    return estimator.estimator_


def _objective_of_fitted(estimator):
    """Return what a fitted estimator minimizes, its classes known."""
    objective = objective_of(estimator)
    check_is_fitted(estimator)
    if objective.is_regression:
        return objective
    return objective.for_classes(len(estimator.classes_))


def _training_rows(estimator, objective, X, y):
    """Validate rows against a fitted estimator; return them with codes or targets."""
    dtypes = [np.float64, np.float32]
    X = check_array(X, accept_sparse="csr", dtype=dtypes, input_name="X")
    y = column_or_1d(y)
    check_consistent_length(X, y)
    if X.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"estimator={estimator!r} was fitted on rows of {estimator.n_features_in_} "
            f"features; X has {X.shape[1]}."
        )
    if objective.is_regression:
        if np.ndim(estimator.intercept_) == 1 and np.size(estimator.intercept_) > 1:
            raise ValueError(f"estimator={estimator!r} was fitted on several targets.")
        return X, check_targets(X, y)
    return X, encode_labels(y, estimator.classes_, whose="estimator")


def _kept_rows(estimator, X):
    """Return which rows a model was trained on."""
    kept = getattr(estimator, "inlier_mask_", None)
    if kept is None:
        return np.ones(X.shape[0], dtype=bool)
    if len(kept) != X.shape[0]:
        raise ValueError(
            f"{type(estimator).__name__} was fitted on {len(kept)} rows; X has "
            f"{X.shape[0]}. Pass all rows, including those that the filter rejected."
        )
    return kept


def _of_rows(kept, *arrays):
    return arrays if kept.all() else [array[kept] for array in arrays]


def _weights(estimator, objective, X, codes, kept, sample_weight):
    """Return what the loss of each row kept was multiplied by; None if by nothing."""
    given = objective.class_weight
    if given is None and sample_weight is None:
        return None
    if isinstance(given, str) and sample_weight is not None:
        raise ValueError(
            f"estimator={estimator!r} balanced its classes, in a way of its own with "
            "sample weights. Train it with a dict of class weights."
        )
    weights, codes = _of_rows(kept, sample_weights(sample_weight, X), codes)
    if given is None:
        return weights
    of_classes: Any = class_weights(given, estimator.classes_, codes)
    return weights * of_classes[codes]


def trained(estimator, objective, X, codes, weights=None):
    """Return what a fitted estimator reached on its training rows, of such weights."""
    if objective.of_classes is not None:
        return _of_several_classes(objective, X, codes, estimator, weights)
    theta = np.append(np.ravel(estimator.coef_), np.ravel(estimator.intercept_))
    theta = np.asarray(theta, dtype=np.float64)
    if objective.is_plain_hinge and weights is None:
        return _of_plain_hinge(objective, X, codes, theta)
    if objective.rho is not None:
        raise ValueError(
            f"estimator={estimator!r} was fitted with sample weights, which are not "
            "known for it."
        )
    if isinstance(objective.loss, ConcomitantHuber):
        at_scale = replace(objective.loss, scale=float(estimator.scale_))
        objective = objective._replace(loss=at_scale)
    return _of_any_loss(objective, X, codes, theta, weights)


def _of_any_loss(objective, X, codes, theta, weights):
    rng = check_random_state(0)
    weights = np.ones(X.shape[0]) if weights is None else weights
    is_regression = objective.is_regression
    rows = target_rows(X) if is_regression else signed_rows(X, codes)
    targets = codes if is_regression else None
    problem = _any_loss.prepare(objective, rows, weights, targets=targets)
    if isinstance(problem.rows, CenteredRows):
        theta = problem.rows.centered_parameters(theta)
    found = _any_loss.train(problem, theta, tol=TOL, rng=rng)
    at = problem.margins(theta)
    reached = problem.upper(theta, at)
    ended = _any_loss.settled(problem, found)
    slack = _any_loss.lower_margin(ended, found.best_dual.dual_point, at)
    slack += _any_loss.upper_margin(problem, problem.poison, theta, at)
    return Trained(reached, max(reached - float(found.lower) + slack, 0.0))


def _of_several_classes(objective, X, codes, estimator, weights):
    n_classes = len(estimator.classes_)
    if weights is not None:
        weights = LossWeights(weights, np.ones(n_classes))
    intercepts = np.broadcast_to(estimator.intercept_, n_classes)
    theta = np.column_stack([estimator.coef_, intercepts]).astype(np.float64)
    problem = _multiclass.prepare(objective, X, codes, n_classes, weights=weights)
    rng = check_random_state(0)
    found = _multiclass.train(problem, theta, tol=TOL, rng=rng)
    reached = _multiclass.objective_at(problem, theta)
    slack = _multiclass.lower_margin(problem, found)
    slack += _multiclass.upper_margin(problem, theta, problem.rows.scores(theta))
    return Trained(reached, max(reached - found.lower + slack, 0.0))


def _of_plain_hinge(objective, X, codes, theta):
    n_rows = X.shape[0]
    C = None if objective.rho is not None else 1.0 / objective.strength
    learner = regularizer(objective.rho, C, n_rows)
    rows, weights = signed_rows(X, codes), np.full(n_rows, 1.0 / n_rows)
    problem = framed(Problem(rows, weights, NO_POISON, learner))
    rng = check_random_state(0)
    found = solve(problem, tol=TOL, max_iter=MAX_STEPS, rng=rng)
    seen = view(problem, found)
    losses = objective.loss.value(rows.scores(theta))
    reached = float(weights @ losses) + learner.value(theta)
    slack = margins(seen.problem, seen.theta, seen.lower, at=seen.at)
    gap = reached - float(seen.lower) + slack.upper + slack.lower
    return Trained(reached, max(gap, 0.0))


def check_training(
    bound: "DefendingMixin",
    estimator: BaseEstimator,
    X: RowsLike,
    y: "ArrayLike",
    sample_weight: "ArrayLike | None" = None,
) -> Bunch:
    """Compare a trained model with a bound; see :meth:`CertifiedBound.check`."""
    model = _trained_model(estimator)
    check_is_fitted(model)
    objective = _objective_of_fitted(model)
    _check_same(bound, model, objective)
    X, codes = _training_rows(model, objective, X, y)
    labels = codes if bound._objective.is_regression else model.classes_[codes]
    kept = _kept_rows(estimator, X)
    weights = _weights(model, objective, X, codes, kept, sample_weight)
    rows, of_rows = _of_rows(kept, X, codes)
    reached = trained(model, bound._objective, rows, of_rows, weights)
    times = np.count_nonzero(kept) / bound._n_rows
    allowed = bound._n_rows + n_poison_rows(bound.epsilon, bound._n_rows)
    loss, gap = times * reached.objective, times * reached.gap
    margin = bound.upper_bound_ + gap - loss
    if gap > max(bound.upper_bound_, LEAST_BOUND):
        warn(
            f"The training of {model!r} stopped far above its minimum: its gap, "
            f"{gap:.3g}, is larger than the bound, {bound.upper_bound_:.3g}, which "
            "therefore says little about this model. Train it to a smaller tolerance.",
            ConvergenceWarning,
        )
    return Bunch(
        holds=bool(margin >= 0.0),
        within_bound=bool(loss <= bound.upper_bound_),
        margin=float(margin),
        training_loss=float(loss),
        training_gap=float(gap),
        n_trained=int(kept.sum()),
        n_too_many=max(int(kept.sum()) - allowed, 0),
        n_rejected=int(np.sum(kept & ~bound._passes(X, labels))),
    )


# What the fields of an objective are called.
FIELDS = {
    "loss": "its loss",
    "strength": "the strength of its penalty",
    "per_row": "whether that grows with the number of rows",
    "intercept": "the scale of its intercept (infinite: not penalized; 0: none)",
    "rho": "the radius of its ball",
    "several": "how it tells several classes apart",
}


def _differences(objective, wanted):
    """Say in what an objective differs from what a bound is about."""
    both = ((name, getattr(objective, name), getattr(wanted, name)) for name in FIELDS)
    return ", ".join(
        f"{FIELDS[name]} ({_shown(found)} for {_shown(expected)})"
        for name, found, expected in both
        if found != expected
    )


def _shown(value):
    return value.value if isinstance(value, Several) else repr(value)


def _check_same(bound, model, other):
    """Raise unless a model minimizes, with its objective, what a bound is about."""
    own = bound._objective
    if not own.is_regression and not other.is_regression:
        if not np.array_equal(bound.classes_, model.classes_):
            raise ValueError(
                f"The bound is for the classes {bound.classes_.tolist()}; "
                f"estimator={model!r} was fitted on {model.classes_.tolist()}."
            )
    if other._replace(class_weight=None) != own._replace(class_weight=None):
        raise ValueError(
            f"The bound is for another learner: estimator={model!r} differs in "
            f"{_differences(other, own)}."
        )
    balanced = getattr(bound, "class_weight_", None)
    same = other.class_weight in (own.class_weight, balanced)
    if not same or other.class_weight == "balanced":
        raise ValueError(
            f"The bound is about the class weights {balanced}; estimator={model!r} "
            "was trained with others ('balanced' ones are those of the rows that it "
            "was trained on, which poison changes). Train it with "
            "class_weight=bound.class_weight_."
        )
