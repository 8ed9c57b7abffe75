"""Rows as numbers, in the space in which the last step of a model compares them."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from skpoison._as_given import AsNumbers
from skpoison._column_types import is_frame


class Space(NamedTuple):
    """Training rows and targets, as arrays or CSR arrays of numbers."""

    rows: Any
    targets: Any


def spaces_of(model: BaseEstimator, X: Any, X_target: Any) -> list[Space]:
    """Return rows as the last step of a fitted model gets them, as numbers.

    Rows that no step has turned into finite numbers are encoded, as comparable columns;
    if they are numbers, they come a second time as they are.
    """
    rows, targets = inputs_of_last(model, X, X_target)
    is_transformed = rows is not X
    if is_transformed and _is_finite(rows) and _is_finite(targets):
        return [Space(_as_rows(rows), _as_rows(targets))]
    encoder = AsNumbers().fit(rows)
    encoded = Space(encoder.transform(rows), encoder.transform(targets))
    if _is_finite(rows) and _is_finite(targets):
        return [encoded, Space(_as_rows(rows), _as_rows(targets))]
    return [encoded]


def with_constant(space: Space) -> Space:
    """Return rows and targets with the constant 1 as their last feature."""
    return Space(*(_with_ones(rows) for rows in space))


def _with_ones(rows):
    ones = np.ones((rows.shape[0], 1))
    if sparse.issparse(rows):
        return sparse.csr_array(sparse.hstack([rows, ones]))
    return np.hstack([rows, ones])


def inputs_of_last(model: BaseEstimator, X: Any, X_target: Any) -> tuple[Any, Any]:
    """Return rows and targets after the steps of a pipeline before its last one."""
    while isinstance(model, Pipeline):
        if len(model) > 1:
            X, X_target = model[:-1].transform(X), model[:-1].transform(X_target)
        model = model[-1]
    return X, X_target


def last_step(model: BaseEstimator) -> BaseEstimator:
    """Return the last step of a pipeline, and of a pipeline in its place."""
    while isinstance(model, Pipeline):
        model = model[-1]
    return model


def _is_finite(rows: Any) -> bool:
    if is_frame(rows):
        return False
    values = rows.data if sparse.issparse(rows) else np.asarray(rows)
    is_number = np.ndim(rows) == 2 and values.dtype.kind in "biuf"
    return bool(is_number and np.isfinite(values).all())


def _as_rows(rows):
    if sparse.issparse(rows):
        return sparse.csr_array(rows).astype(np.float64)
    return np.asarray(rows, dtype=np.float64)
