"""Folds of rows, so that rows are judged by models that were not fitted on them."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import KFold, StratifiedKFold, check_cv

from skpoison._judging import last_step
from skpoison._labels import shown_labels
from skpoison._warn import warn
from skpoison._words import one_line
from skpoison.exceptions import FilterWarning


def is_linear(estimator: Any) -> bool:
    """Whether a fitted estimator is linear, or a pipeline that ends in such a one."""
    return hasattr(last_step(estimator), "coef_")


def folds_of(
    cv: Any, X: ArrayLike, y: np.ndarray, classes: np.ndarray, rng: Any
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to fit on and rows to judge, for each fold; each row is judged once.

    ``y`` holds positions in ``classes``, or targets where there is but one class.
    """
    of_labels = len(classes) > 1
    if not isinstance(cv, int | np.integer):
        splitter = check_cv(cv, y, classifier=of_labels)
        try:
            folds = list(splitter.split(X, y))
        except ValueError as error:
            error.add_note(
                f"cv={cv!r} gets X and y only. Where it needs groups, pass its folds: "
                "cv=list(splitter.split(X, y, groups))."
            )
            raise
        return _checked(folds, cv, len(y))
    rows = np.arange(len(y))
    alone = rows[:0]
    if of_labels:
        alone = rows[np.bincount(y)[y] == 1]
        _warn_of(alone, classes[y[alone]])
        rows = np.setdiff1d(rows, alone)
    folds = [
        (np.union1d(rows[train], alone), rows[test])
        for train, test in _drawn(cv, y[rows], of_labels, rng)
    ]
    return folds if not len(alone) else [*folds, (np.arange(len(y)), alone)]


def _drawn(n_splits, y, of_labels, rng):
    if len(y) < 2:
        return []
    if not of_labels:
        return KFold(min(n_splits, len(y)), shuffle=True, random_state=rng).split(y)
    n_splits = min(n_splits, np.bincount(y).max())
    folds = StratifiedKFold(n_splits, shuffle=True, random_state=rng)
    with warnings.catch_warnings():
        # Rows of small classes are spread over as many folds as there are rows.
        warnings.filterwarnings("ignore", "The least populated class in y")
        return list(folds.split(y, y))


def _warn_of(alone, labels):
    if len(alone):
        warn(
            f"The classes {shown_labels(labels)} have one row each, so no model fitted "
            "without it can predict its label: these rows are scored by a model that "
            "was fitted on them.",
            FilterWarning,
        )


def _checked(folds, cv, n_rows):
    held_out = [np.arange(n_rows)[test] for _, test in folds]
    rows = np.sort(np.concatenate([np.zeros(0, dtype=int), *held_out]))
    if not np.array_equal(rows, np.arange(n_rows)):
        raise ValueError(
            f"cv must hold out each row exactly once; {one_line(repr(cv), 100)} does "
            "not: take KFold or StratifiedKFold, for instance."
        )
    return [(train, test) for (train, _), test in zip(folds, held_out, strict=True)]


def rows_to_fit(
    train: np.ndarray, kept: np.ndarray, codes: np.ndarray, classes: np.ndarray
) -> np.ndarray:
    """The kept rows among those to fit on, and all of a class that would have none."""
    there = np.zeros(len(codes), dtype=bool)
    there[train] = True
    n_left = np.bincount(codes[there & kept], minlength=len(classes))
    n_all = np.bincount(codes[there], minlength=len(classes))
    if not np.all(n_all):
        raise ValueError(
            f"cv leaves no row of the classes {classes[n_all == 0].tolist()} to fit on "
            "in one of its folds."
        )
    return np.flatnonzero(there & (kept | (n_left == 0)[codes]))
