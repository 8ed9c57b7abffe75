"""The rows in the plot of a filter, and their groups."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from skpoison._column_types import RowsLike
from skpoison._labels import find_labels


def two_classes(classes: ArrayLike | None, known: np.ndarray) -> np.ndarray:
    """Return the two labels to plot: those given, or all labels of the filter."""
    wanted = known if classes is None else np.asarray(classes)
    if wanted.shape != (2,) or wanted[0] == wanted[1]:
        raise ValueError(
            f"classes must be two of the filter's labels {known.tolist()}; got "
            f"{classes!r}."
        )
    unknown = wanted[find_labels(wanted, known) < 0]
    if len(unknown):
        raise ValueError(
            f"classes contains {unknown.tolist()}, not labels of the filter "
            f"({known.tolist()})."
        )
    return wanted


def rows_of(
    filter_: BaseEstimator,
    X: RowsLike,
    y: ArrayLike,
    poison_mask: ArrayLike | None,
    classes: np.ndarray,
) -> tuple[np.ndarray | sparse.csr_matrix, np.ndarray, np.ndarray]:
    """Validate rows, labels and poison mask, and restrict them to two classes."""
    X = validate_data(
        filter_, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32]
    )
    y = column_or_1d(y)
    mask = np.zeros(len(y), dtype=bool) if poison_mask is None else poison_mask
    mask = column_or_1d(mask)
    if mask.dtype != bool:
        raise ValueError(f"poison_mask must be boolean; its dtype is {mask.dtype}.")
    check_consistent_length(X, y, mask)
    for label in classes:
        if not np.any(find_labels(y, [label]) == 0):
            raise ValueError(f"y contains no rows of the class {label!r}.")
    rows = np.flatnonzero(find_labels(y, np.sort(classes)) >= 0)
    if len(rows) == len(y):
        return X, y, mask  # all of them: no copy
    return X[rows], y[rows], mask[rows]


def subsample(
    poison: np.ndarray, max_rows: int, rng: np.random.RandomState
) -> np.ndarray:
    """Choose rows, of clean rows and of poison at most `max_rows` each; sorted."""
    chosen = []
    for rows in (np.flatnonzero(~poison), np.flatnonzero(poison)):
        if len(rows) > max_rows:
            rows = rng.choice(rows, max_rows, replace=False)
        chosen.append(rows)
    return np.sort(np.concatenate(chosen))


def groups_of(
    n_rows: int, codes: ArrayLike, kept: ArrayLike, poison_mask: ArrayLike | None
) -> dict[tuple[int, str], np.ndarray]:
    """Group rows by class and outcome; no group is empty."""
    poison_mask = np.zeros(n_rows, dtype=bool) if poison_mask is None else poison_mask
    columns = {
        "codes": np.asarray(codes),
        "kept": np.asarray(kept),
        "poison_mask": np.asarray(poison_mask),
    }
    for name, values in columns.items():
        if len(values) != n_rows:
            raise ValueError(
                f"{name} must have an entry for each of the {n_rows} rows; it has "
                f"{len(values)}."
            )
    kept, poison = np.asarray(kept, dtype=bool), np.asarray(poison_mask, dtype=bool)
    masks = {
        "kept": kept & ~poison,
        "rejected": ~kept & ~poison,
        "poison kept": kept & poison,
        "poison rejected": ~kept & poison,
    }
    found = {
        (code, group): np.flatnonzero(mask & (np.asarray(codes) == code))
        for code in range(2)
        for group, mask in masks.items()
    }
    return {key: rows for key, rows in found.items() if len(rows)}
