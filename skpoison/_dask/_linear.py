"""What fitted linear models say of the rows of Dask collections, lazily."""

from typing import Any

import dask
import dask.array as da
import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import _num_samples, check_is_fitted

from skpoison._dask._partitions import (
    check_collection,
    check_columns,
    named,
    partitions,
    sizes_of,
)

# What a linear model needs: neither its training rows nor what else it holds of them.
FITTED = ("coef_", "intercept_", "classes_", "n_features_in_", "feature_names_in_")


def outputs(model: Any, method: str, X: Any) -> da.Array:
    """Return what a method of a fitted linear model says of each row.

    Parameters
    ----------
    model : estimator
        The model, which stays as it is.
    method : {"decision_function", "predict"}
        What it is asked.
    X : Dask collection
        The rows.

    Returns
    -------
    outputs : dask.array of shape (n_samples,) or (n_samples, n_classes)
        In the partitions of the rows.
    """
    check_is_fitted(model)
    check_collection("X", X)
    check_columns(model, X)
    light = clone(model)
    if hasattr(light, "filter"):  # which may hold rows
        light.filter = None
    for name in FITTED:
        if hasattr(model, name):
            setattr(light, name, getattr(model, name))
    is_label = method == "predict" and hasattr(model, "classes_")
    dtype = light.classes_.dtype if is_label else np.dtype(np.float64)
    n_scores = len(np.atleast_2d(light.coef_))
    rest = (n_scores,) if n_scores > 1 and method != "predict" else ()
    state, parts, sizes = dask.delayed(light, pure=False), partitions(X), sizes_of(X)
    sizes = [np.nan] * len(parts) if sizes is None else sizes
    arrays = [
        da.from_delayed(
            _said(state, method, i, part, rest, dtype), (size, *rest), dtype
        )
        for i, (part, size) in enumerate(zip(parts, sizes, strict=True))
    ]
    return da.concatenate(arrays, allow_unknown_chunksizes=True)


# The function stays what it is called, so that collections can be pickled.
def _saying(model, method, i, X, rest, dtype):
    if not _num_samples(X):
        return np.empty((0, *rest), dtype)
    with named(i):
        return np.asarray(getattr(model, method)(X), dtype)


_said = dask.delayed(_saying, pure=False)
