"""Scores, masks and kept rows of Dask collections, which stay lazy."""

from copy import copy
from typing import Any

import dask
import dask.array as da
import numpy as np
from sklearn.utils.validation import _num_samples, check_is_fitted

from skpoison._blocks import is_lazy
from skpoison._dask._partitions import (
    aligned,
    check_collection,
    check_columns,
    is_array,
    named,
    pair_of,
    partitions,
    rows_at,
    sizes_of,
    with_labels,
)


def apply(filter_: Any, what: str, X: Any, y: Any) -> da.Array:
    """Return scores or decisions of new rows, lazily."""
    check_is_fitted(filter_)
    check_collection("X", X)
    check_columns(filter_, X)
    return apply_to(copy(filter_), what, X, with_labels(X, y), is_told=False)


def apply_to(
    filter_: Any,
    what: str,
    X: Any,
    pairs: list,
    known: dict | None = None,
    *,
    is_told: bool = True,
) -> da.Array:
    """Return what a filter says of the rows of partitions, as one array.

    Of some rows it is known: their places, scores and decisions in each partition.
    Unless the user `is_told` of unknown labels, computing warns of them.
    """
    for name in ("scores_", "inlier_mask_"):  # which would hold all rows
        vars(filter_).pop(name, None)
    filter_._warns_of_unknown = not is_told
    state = dask.delayed(filter_, pure=False)
    known = {} if known is None else known
    found = [_said(state, what, i, pair, known.get(i)) for i, pair in enumerate(pairs)]
    return _array(found, sizes_of(X), bool if what == "mask" else np.float64)


def _array(parts, sizes, dtype):
    sizes = [np.nan] * len(parts) if sizes is None else sizes
    pairs = zip(parts, sizes, strict=True)
    arrays = [da.from_delayed(one, (size,), dtype=dtype) for one, size in pairs]
    return da.concatenate(arrays, allow_unknown_chunksizes=True)


# Functions stay what they are called, so that collections can be pickled.
def _saying(filter_, what, i, pair, known):
    with named(i):
        X, y = pair_of(pair)
    if not _num_samples(X):
        return np.empty(0, bool if what == "mask" else np.float64)
    with named(i):
        if what == "scores":
            scores = filter_.score_samples(X, y)
            if known is not None:
                scores[known[0]] = known[1]
            return scores
        decisions = filter_.decision_function(X, y)
        if known is not None:
            decisions[known[0]] = known[2]
    return decisions if what == "decisions" else _mask(filter_, decisions, i)


_said = dask.delayed(_saying, pure=False)


def _mask(filter_, decisions, i):
    mask = decisions >= 0
    mask[[row for part, row in filter_._kept_anyway if part == i]] = True
    return mask


def fit_filter(filter_: Any, X: Any, y: Any, arrays: tuple) -> tuple:
    """Fit, and return the kept rows of everything: lazily what came lazily."""
    parts, sizes = partitions(X), sizes_of(X)
    everything = [("X", X), ("y", y)]
    everything += [(f"arrays[{i}]", array) for i, array in enumerate(arrays)]
    # Bad ones are errors before any work is done.
    found = [
        aligned(name, data, X, parts, sizes) if is_lazy(data) else None
        for name, data in everything
    ]
    masks = partitions(filter_.fit(X, y).inlier_mask_)
    rows = None
    kept = []
    for (name, data), of_data in zip(everything, found, strict=True):
        if data is None:
            kept.append(None)
        elif of_data is not None:
            kept.append(_kept_lazily(data, of_data, masks))
        else:
            if rows is None:
                mask = np.concatenate(dask.compute(*masks))
                rows = np.flatnonzero(mask)
            if _num_samples(data) != len(mask):
                raise ValueError(
                    f"{name} has {_num_samples(data)} entries, but X has {len(mask)} "
                    "rows."
                )
            kept.append(rows_at(data, rows))
    return tuple(kept)


def _kept_lazily(data, parts, masks):
    kept = [_kept(*pair) for pair in zip(parts, masks, strict=True)]
    if not is_array(data):
        import dask.dataframe as dd

        return dd.from_delayed(
            kept, meta=data._meta, divisions=data.divisions, verify_meta=False
        )
    shape = (np.nan, *data.shape[1:])
    arrays = [
        da.from_delayed(one, shape, meta=data._meta, dtype=data.dtype) for one in kept
    ]
    return da.concatenate(arrays, allow_unknown_chunksizes=True)


def _keeping(part, mask):
    return rows_at(part, np.flatnonzero(mask))


_kept = dask.delayed(_keeping, pure=False)
