"""What speaks for poison among targets of a regression.

Honest residuals may have heavy tails, be skewed, or vary more in some places than in
others. But fewer and fewer lie farther and farther out; where most of those that are
far off are much farther off, a group stands apart. The limits were chosen on tables,
clean and with planted rows (docs/audit.md says which).
"""

from typing import Any

import numpy as np

from skpoison._signs import FEW, FEWEST_JUDGED, Evidence, wilson
from skpoison._words import counted

NORMAL_HALF = 0.6745  # standard deviations; half of all values are within
# The usual error in a place: of this share of the rows, whose predictions are nearest.
PLACE, FEWEST_IN_PLACE, N_PLACES = 0.1, 30, 100
# A tail begins somewhere here, in usual errors. If it is honest, hardly more than this
# share of its rows are so many times farther off.
BEGINNINGS = np.arange(2.5, 8.01, 0.25)
TIMES, MOST_BEYOND = 1.6, 0.6
FEWEST_FAR_OFF, LEAST_FAR_OFF = 10, 0.01  # rows beyond, and their share
DOUBTFUL = 2.0  # usual errors, within which nearly all honest rows are
IN_LEAF, N_FOLDS = 5, 3


def usual_errors(
    targets: np.ndarray, predicted: np.ndarray, tests: np.ndarray
) -> np.ndarray:
    """How far targets are off, in errors that are usual where the model predicts so.

    Signed, of shape (n_rows,). Zero for rows that are not judged: those without a
    prediction or rejected for what they are, and targets of exactly zero, which in
    honest tables stand for nothing bought, worked or paid.

    Examples
    --------
    >>> predicted = np.arange(100.0)
    >>> targets = predicted + np.where(np.arange(100) % 2, 1.0, -1.0)
    >>> targets[50] = 90
    >>> tests = np.full(100, "")
    >>> usual_errors(targets, predicted, tests)[[3, 50]].round(1).tolist()
    [0.7, 27.0]
    """
    found = np.zeros(len(targets))
    judged = np.isfinite(predicted) & ~np.isin(tests, ["far", "copies", "digits"])
    if judged.sum() < FEWEST_JUDGED:
        return found
    known = targets[judged]
    # Linear models predict less than nothing of what cannot be negative.
    said = np.clip(predicted[judged], known.min(), known.max())
    found[judged] = np.divide(known - said, _usual_sizes(known, said))
    found[targets == 0] = 0.0
    return found


def _usual_sizes(targets, predicted):
    """The usual error of each row, and of none less than that of all."""
    order = np.argsort(predicted, kind="stable")
    sizes = np.abs(targets - predicted)[order]
    n_near = min(max(int(PLACE * len(sizes)), FEWEST_IN_PLACE), len(sizes))
    starts = np.linspace(0, len(sizes) - n_near, N_PLACES).astype(np.intp)
    middles = [np.median(sizes[start : start + n_near]) for start in starts]
    usual = np.empty(len(sizes))
    usual[order] = np.interp(np.arange(len(sizes)), starts + n_near / 2, middles)
    # Where many predictions are exact, others are off by a step of the targets.
    steps = np.diff(np.unique(targets))
    step = np.median(steps) / 2 if len(steps) else 0.0
    least = max(np.median(sizes) / NORMAL_HALF, step, np.finfo(np.float64).tiny)
    return np.maximum(usual / NORMAL_HALF, least)


def wrong_targets(
    values: Any, targets: np.ndarray, predicted: np.ndarray, off: np.ndarray
) -> Evidence | None:
    """Targets that stand apart from all others by how far they are off.

    ``off`` is what :func:`usual_errors` returns.
    """
    rows, limit = _apart(off)
    n_rows = int(rows.sum())
    if n_rows < FEW:
        return None
    if _are_of_a_kind(values, rows, off):
        text = (
            f"{counted(n_rows, 'target')} are far from what models predict, most of "
            "them of rows that differ from all others in the same way"
        )
        return Evidence("targets", False, rows, text)
    text = (
        f"{counted(n_rows, 'target')} are more than {limit:.1f} usual errors from what "
        "models predict that did not see the row, and most of them much more, as in "
        "few honest tables"
    )
    sizes = np.abs(off)
    reasons = np.full(len(rows), "", dtype=object)
    for row in np.flatnonzero(rows):
        reasons[row] = (
            f"target: {targets[row]:g}, but models fitted without it predict "
            f"{predicted[row]:g}"
        )
    return Evidence(
        "targets", True, rows, text, scores=sizes / (sizes + limit), reasons=reasons
    )


def _apart(off):
    """Rows in tails that honest residuals do not have, and where these begin.

    A tail is on both sides, or on one of them.
    """
    begins = _begins(np.abs(off))
    ends = (begins, begins) if np.isfinite(begins) else (_begins(-off), _begins(off))
    return (off < -ends[0]) | (off > ends[1]), min(ends)


def _begins(off):
    """Where the tail begins that is least like an honest one; infinity if none is."""
    n_judged = np.count_nonzero(off)
    best, begins = MOST_BEYOND, np.inf
    for beginning in BEGINNINGS:
        n_beyond = int(np.sum(off > beginning))
        n_far = int(np.sum(off > TIMES * beginning))
        if n_far < max(FEWEST_FAR_OFF, LEAST_FAR_OFF * n_judged):
            break
        share = wilson(n_far, n_beyond)[0]
        if share > best:
            best, begins = share, beginning
    return begins


def _are_of_a_kind(values, rows, off):
    """Whether most of the rows lie where most rows are far off.

    Attackers may choose such rows, but they are as likely an honest group that is so
    small that models do not know it.
    """
    from sklearn.model_selection import cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    judged = np.flatnonzero(off)
    tree = DecisionTreeClassifier(min_samples_leaf=IN_LEAF, random_state=0)
    said = cross_val_predict(tree, values[judged], rows[judged], cv=N_FOLDS)
    return said[rows[judged]].mean() >= 0.5


def count_of_wrong(off: np.ndarray) -> tuple[int, int]:
    """The smallest and the largest plausible number of targets that stand apart.

    The nearest of them may be honest, and wrong ones may be nearly as near to what
    models predict as honest ones.

    Examples
    --------
    >>> off = np.r_[np.linspace(-2, 2, 100), 2.2, 3.0, np.linspace(9, 12, 20)]
    >>> count_of_wrong(off)
    (20, 22)
    """
    limit = _apart(off)[1]
    if not np.isfinite(limit):
        return 0, 0
    sizes = np.abs(off)
    return int(np.sum(sizes > TIMES * limit)), int(np.sum(sizes > DOUBTFUL))
