"""The rows in a picture of a filter: which ones, and what became of them."""

import numpy as np
from sklearn.utils.validation import (
    check_consistent_length,
    column_or_1d,
    validate_data,
)

from skpoison._labels import find_labels


def two_classes(classes, known):
    """Return the two labels to draw.

    Parameters
    ----------
    classes : array-like of shape (2,) or None
        The labels wanted; None means all that there are.
    known : ndarray of shape (n_classes,)
        The labels that the filter knows.

    Returns
    -------
    classes : ndarray of shape (2,)
        The labels.

    Raises
    ------
    ValueError
        If these are not two different labels that the filter knows.
    """
    wanted = known if classes is None else np.asarray(classes)
    if wanted.shape != (2,) or wanted[0] == wanted[1]:
        raise ValueError(
            "classes must name two labels to draw: the filter knows "
            f"{known.tolist()}, and classes={classes!r}."
        )
    unknown = wanted[find_labels(wanted, known) < 0]
    if len(unknown):
        raise ValueError(
            f"classes names {unknown.tolist()}; the filter knows {known.tolist()}."
        )
    return wanted


def rows_of(filter_, X, y, poison_mask, classes):
    """Check rows, and cut them down to two classes.

    Parameters
    ----------
    filter_ : filter
        The fitted filter, which knows the features.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,)
        Their labels.
    poison_mask : array-like of shape (n_samples,) or None
        Which ones are poison; None means none.
    classes : ndarray of shape (2,)
        The labels to draw.

    Returns
    -------
    X, y, poison : tuple
        What belongs to the rows of these classes; `poison` is boolean.

    Raises
    ------
    ValueError
        If lengths differ, the mask is not boolean, or a class has no rows.
    """
    X = validate_data(
        filter_, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32]
    )
    y = column_or_1d(y)
    mask = np.zeros(len(y), dtype=bool) if poison_mask is None else poison_mask
    mask = column_or_1d(mask)
    if mask.dtype != bool:
        raise ValueError(f"poison_mask must hold booleans; its dtype is {mask.dtype}.")
    check_consistent_length(X, y, mask)
    for label in classes:
        if not np.any(find_labels(y, [label]) == 0):
            raise ValueError(f"y holds no rows of the class {label!r}.")
    rows = np.flatnonzero(find_labels(y, np.sort(classes)) >= 0)
    if len(rows) == len(y):
        return X, y, mask  # all of them: no copy
    return X[rows], y[rows], mask[rows]


def subsample(poison, max_rows, rng):
    """Choose rows, of clean rows and of poison at most a number each.

    Parameters
    ----------
    poison : ndarray of shape (n_rows,), dtype=bool
        Which rows are poison.
    max_rows : int
        Most rows of either kind.
    rng : numpy.random.RandomState
        Draws the rows where there are more.

    Returns
    -------
    rows : ndarray
        Sorted positions.
    """
    chosen = []
    for rows in (np.flatnonzero(~poison), np.flatnonzero(poison)):
        if len(rows) > max_rows:
            rows = rng.choice(rows, max_rows, replace=False)
        chosen.append(rows)
    return np.sort(np.concatenate(chosen))


def groups_of(n_rows, codes, kept, poison_mask):
    """Sort rows by class and by what became of them.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    codes : array-like of shape (n_rows,)
        The class of each row, 0 or 1.
    kept : array-like of shape (n_rows,)
        Which rows are kept.
    poison_mask : array-like of shape (n_rows,) or None
        Which rows are poison.

    Returns
    -------
    groups : dict
        Positions of rows by ``(code, group)``; groups without rows are left out.

    Raises
    ------
    ValueError
        If an array has another length.
    """
    poison_mask = np.zeros(n_rows, dtype=bool) if poison_mask is None else poison_mask
    columns = {"codes": codes, "kept": kept, "poison_mask": poison_mask}
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
