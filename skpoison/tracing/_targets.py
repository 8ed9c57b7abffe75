"""Checks of the rows whose predictions are traced."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from skpoison._column_types import is_frame
from skpoison._words import counted


def check_target_rows(X: Any, X_target: Any) -> None:
    """Refuse targets that are no rows, or not rows such as those of X."""
    if isinstance(X_target, str | bytes):
        raise ValueError(
            "X_target must be rows, as X is; got a single string. Put it into a list."
        )
    if X_target is None:
        raise ValueError("X_target must be rows, as X is; got None.")
    of_rows, of_targets = _shape_of(X), _shape_of(X_target)
    if of_rows is None or of_targets is None:
        return
    if of_targets and of_targets[0] == 0:
        raise ValueError("X_target must have at least one row; got none.")
    if len(of_targets) != len(of_rows):
        raise ValueError(
            f"X_target must have {counted(len(of_rows), 'dimension')}, as X has; got "
            f"{type(X_target).__name__} of shape {of_targets}. A single row must be an "
            "array with one row, as X_target.reshape(1, -1) or table.iloc[[0]] are."
        )
    if of_targets[1:] != of_rows[1:]:
        expected, found = (" x ".join(map(str, s[1:])) for s in (of_rows, of_targets))
        raise ValueError(
            f"X_target must have the columns of X, {expected}; got {found}."
        )


def _shape_of(rows):
    """Return the shape of rows, by the first one of a list; None if there is none."""
    if hasattr(rows, "shape"):
        return tuple(rows.shape)
    if not isinstance(rows, list | tuple):
        return None if isinstance(rows, dict) or hasattr(rows, "__len__") else ()
    return (0,) if not len(rows) else (len(rows), *np.shape(rows[0]))


def predict_targets(model: BaseEstimator, X_target: Any) -> np.ndarray:
    """Return predictions; an error says that the targets caused it."""
    try:
        return np.ravel(model.predict(X_target))
    except ValueError as error:
        raise ValueError(
            f"X_target{_not_finite(X_target)} cannot be predicted by the estimator: "
            f"{error}"
        ) from error


def _not_finite(X_target):
    """Where cells are NaN or infinite, if any are."""
    if is_frame(X_target) or sparse.issparse(X_target):
        return ""
    values = np.asarray(X_target)
    if values.ndim != 2 or values.dtype.kind != "f":
        return ""
    rows = np.flatnonzero(~np.isfinite(values).all(axis=1))
    return f" has NaN or infinity in the rows {rows.tolist()} and" if len(rows) else ""


def predicted_by(model: BaseEstimator, X: Any) -> np.ndarray | None:
    """Return predictions; None for rows that a model cannot read.

    They may have categories that it has not seen, as it was fitted without some rows.
    """
    try:
        return np.ravel(model.predict(X))
    except ValueError:
        return None
