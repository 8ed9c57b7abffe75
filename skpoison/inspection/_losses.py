"""The losses plotted next to the bound."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import column_or_1d, validate_data

from skpoison._column_types import RowsLike
from skpoison._defaults import default_filter, default_sphere
from skpoison._labels import check_targets, encode_labels
from skpoison._residual_losses import (
    ConcomitantHuber,
    EpsilonInsensitive,
    Huber,
    SquaredEpsilonInsensitive,
    SquaredError,
)
from skpoison.bounds import CertifiedBound
from skpoison.bounds._regression import is_regressor
from skpoison.losses import (
    Hinge,
    Logistic,
    ModifiedHuber,
    Squared,
    SquaredHinge,
    decision_margins,
)
from skpoison.solvers._class_losses import CrammerSinger, Multinomial, OneVsRest

LOSS_NAMES: dict[type, str] = {
    Hinge: "Hinge loss",
    SquaredHinge: "Squared hinge loss",
    Logistic: "Logistic loss",
    ModifiedHuber: "Modified Huber loss",
    Squared: "Half the squared loss",
    SquaredError: "Half the squared error",
    EpsilonInsensitive: "Error beyond epsilon",
    SquaredEpsilonInsensitive: "Squared error beyond epsilon",
    Huber: "Huber loss",
    ConcomitantHuber: "Huber loss with its scale",
}
CLASS_LOSS_NAMES: dict[object, str] = {
    Multinomial(): "Multinomial log loss",
    CrammerSinger(): "Hinge loss of Crammer and Singer",
}


def loss_name(bounds: list[CertifiedBound]) -> str:
    """Return what to call the losses of learners, and whether bounds hold a penalty."""
    names = {_name_of(bound._objective) for bound in bounds}
    name = names.pop() if len(names) == 1 else "Loss"
    if any(bound._objective.rho is None for bound in bounds):
        return f"{name} (of bounds: + penalty)"
    return name


def _name_of(objective):
    of_classes, name = objective.of_classes, LOSS_NAMES[type(objective.loss)]
    if isinstance(of_classes, OneVsRest):
        return f"{name}, summed over classes"
    return CLASS_LOSS_NAMES.get(of_classes, name)


def with_percentiles(
    estimator: CertifiedBound, percentiles: ArrayLike | None
) -> dict[str | None, CertifiedBound]:
    """Return a bound for each percentile, by name; None where nothing varies.

    The percentile is set in every part of the filter that has one.
    """
    if percentiles is None:
        return {None: estimator}
    try:
        percentiles = np.unique(np.asarray(percentiles, dtype=np.float64))
    except ValueError as error:
        raise ValueError(
            f"percentiles must be numbers in (0, 100]; got {percentiles!r}. A curve of "
            'percentile="auto" is that of a filter which has it.'
        ) from error
    if not len(percentiles):
        raise ValueError("percentiles must not be empty.")
    return {f"percentile {p:g}": _with_percentile(estimator, p) for p in percentiles}


def _with_percentile(estimator, percentile):
    bound = clone(estimator)
    if bound.filter is None:
        is_for_targets = is_regressor(bound.estimator)
        bound.filter = default_sphere() if is_for_targets else default_filter()
    params = bound.filter.get_params()
    # Radii that are given leave a percentile without effect.
    names = [
        name
        for name in params
        if (name == "percentile" or name.endswith("__percentile"))
        and params.get(name.removesuffix("percentile") + "radii") is None
    ]
    if not names:
        raise ValueError(
            f"percentiles were given, but the filter {bound.filter!r} has none to set."
        )
    bound.filter.set_params(**dict.fromkeys(names, float(percentile)))
    return bound


def by_name(curve: Mapping) -> dict[str | None, Mapping]:
    """Return curves by name; a single curve's name is None."""
    curves = {None: curve} if "estimators" in curve else dict(curve)
    wrong = [
        name
        for name, found in curves.items()
        if not (isinstance(found, Mapping) and "estimators" in found)
    ]
    if wrong or not curves:
        raise TypeError(
            "curve must be a result of bound_curve, or a nonempty dict from names "
            f"to results; these entries are not results: {wrong}."
        )
    return curves


def check_test_rows(X_test: RowsLike | None, y_test: ArrayLike | None) -> None:
    """Raise for test rows without labels, and labels without rows."""
    if (X_test is None) != (y_test is None):
        given, missing = (
            ("y_test", "X_test") if X_test is None else ("X_test", "y_test")
        )
        raise ValueError(f"{given} was given without {missing}.")
    if X_test is not None:
        check_consistent_length(X_test, y_test)


def attack_test_losses(
    curve: Mapping, X_test: RowsLike, y_test: ArrayLike
) -> np.ndarray:
    """Return the mean test loss of each poisoned learner on a curve."""
    return np.array(
        [
            mean_loss(
                bound,
                bound._poisoned_loss,
                bound.poisoned_coef_,
                bound.poisoned_intercept_,
                X_test,
                y_test,
            )
            for bound in curve["estimators"]
        ]
    )


def filtered_loss(bound: CertifiedBound, X: RowsLike, y: ArrayLike) -> float:
    """Return the cost of a filter: the loss on all rows after training on kept rows.

    The bound has been fitted on these rows.
    """
    kept = np.flatnonzero(bound.filter_.inlier_mask_)
    learner = bound.train_learner(_safe_indexing(X, kept), _safe_indexing(y, kept))
    return learned_loss(learner, X, y)


def learned_by(bound: CertifiedBound) -> tuple[Any, ...]:
    """Return coefficients, intercept and loss of a bound's own learner."""
    return bound.coef_, bound.intercept_, bound._learned_loss


def learned_loss(bound: CertifiedBound, X: RowsLike, y: ArrayLike) -> float:
    """Return the mean loss of a bound's own learner on rows."""
    coef, intercept, loss = learned_by(bound)
    return mean_loss(bound, loss, coef, intercept, X, y)


def mean_loss(
    bound: CertifiedBound,
    loss: Any,
    coef: np.ndarray,
    intercept: Any,
    X: RowsLike,
    y: ArrayLike,
) -> float:
    """Return the mean loss of linear scores; the bound knows the labels."""
    X = validate_data(
        bound, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32]
    )
    objective = bound._objective
    if objective.is_regression:
        return loss.mean(scores_of(X, coef, intercept) - check_targets(X, y))
    codes = encode_labels(column_or_1d(y), bound.classes_, whose="the bound")
    if objective.of_classes is not None:
        scores = scores_of(X, coef, intercept)
        return float(objective.of_classes.value(scores, codes).mean())
    return loss.mean(decision_margins(scores_of(X, coef, intercept), codes))


def scores_of(X: Any, coef: np.ndarray, intercept: Any) -> np.ndarray:
    """Return linear scores: one of each row, or one for each class."""
    if np.ndim(coef) == 2 and len(coef) > 1:
        return np.asarray(X @ coef.T + intercept)
    return np.asarray(X @ np.ravel(coef) + np.ravel(intercept)[0])
