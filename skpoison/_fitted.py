"""Fit estimators, check fitted filters against data, and query them."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skpoison._column_types import RowsLike
from skpoison._labels import find_labels, kinds_hint
from skpoison._warn import warn


def fit_clone(estimator: BaseEstimator, *args: Any, **params: Any) -> BaseEstimator:
    """Fit a clone of an estimator, and return it whatever its ``fit`` returns."""
    fitted = clone(estimator)
    fitted.fit(*args, **params)
    return fitted


def is_fitted(estimator: BaseEstimator) -> bool:
    """Return whether an estimator is fitted."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def with_short_indices(X: Any) -> Any:
    """Return sparse rows with indices of 32 bits, which liblinear asks for.

    Rows with more values than these can count stay as they are, as do dense rows.
    """
    if not sparse.issparse(X) or X.nnz > np.iinfo(np.int32).max:
        return X
    if X.indices.dtype == X.indptr.dtype == np.int32:
        return X
    parts = X.data, X.indices.astype(np.int32), X.indptr.astype(np.int32)
    return type(X)(parts, shape=X.shape)


def check_fits(
    filter_: BaseEstimator,
    n_features: int,
    classes: np.ndarray | None,
    names: np.ndarray | None = None,
) -> None:
    """Raise unless a fitted filter was fitted on such rows and labels.

    Without `classes`, it must have been fitted on no labels. Different features, a
    different order of features or different labels are errors. If only one side has
    feature names, a warning is issued.
    """
    known = getattr(filter_, "n_features_in_", n_features)
    if known != n_features:
        raise ValueError(
            f"filter={filter_!r} was fitted on rows with {known} features; X has "
            f"{n_features}."
        )
    known_names = getattr(filter_, "feature_names_in_", None)
    if not (known_names is None and names is None):
        check_names(f"filter={filter_!r}", known_names, names)
    if classes is None:
        return _check_knows_no_labels(filter_)
    labels = np.asarray(getattr(filter_, "classes_", classes))
    if len(labels) != len(classes) or np.any(find_labels(classes, labels) < 0):
        raise ValueError(
            f"filter={filter_!r} was fitted on the labels {labels.tolist()}; y has "
            f"{classes.tolist()}{kinds_hint(labels, classes)}. Fit the filter on "
            "these labels, or pass an unfitted filter."
        )


def _check_knows_no_labels(filter_):
    """Raise if a filter was fitted on labels; without any, filters call all rows 0."""
    labels = np.asarray(getattr(filter_, "classes_", [0]))
    if np.any(labels != 0):
        raise ValueError(
            f"filter={filter_!r} was fitted on the labels {labels.tolist()}; the rows "
            "of a regressor have none. Fit the filter on X alone, or pass an unfitted "
            "filter."
        )


def check_names(
    whose: str, known: np.ndarray | None, names: np.ndarray | None, what: str = "X"
) -> None:
    """Raise if features have different names or a different order.

    Warn if only one side has names. Messages call the rows `what`, and the fitted
    object `whose`.
    """
    if known is None and names is None:
        return
    if known is None:
        text = f"{what} has feature names, but {whose} was fitted without feature names"
        warn(text, UserWarning)
    elif names is None:
        text = f"{what} does not have valid feature names, but {whose} was fitted with"
        warn(f"{text} feature names", UserWarning)
    elif not np.array_equal(known, names):
        place = next(i for i, name in enumerate(known) if name != names[i])
        raise ValueError(
            f"{whose} was fitted on features with different names or in a different "
            f"order: feature {place} was {known[place]!r}, but is {names[place]!r} in "
            f"{what}."
        )


def unbounded(filter_: BaseEstimator) -> ValueError:
    """Return the error for a filter with an unbounded feasible set."""
    return ValueError(
        f"The filter {filter_!r} leaves the attacker unbounded: rows arbitrarily far "
        "away pass. Intersect it with a SphereFilter."
    )


@contextmanager
def names_left_out() -> Iterator[None]:
    """Let arrays stand for tables whose names have been compared already."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        yield


def scores(filter_: BaseEstimator, X: RowsLike, y: np.ndarray | None) -> np.ndarray:
    """Return the decisions on rows without names, which the filter may know or not."""
    with names_left_out():
        return filter_.decision_function(X, *(() if y is None else (y,)))


def remember_names(filter_: BaseEstimator, names: np.ndarray | None) -> None:
    """Let a filter that was fitted on an array know the names of its features."""
    if names is not None:
        filter_.feature_names_in_ = names
