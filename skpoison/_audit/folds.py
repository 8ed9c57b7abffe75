"""The rows on which attacks are measured, in folds."""

import math
from numbers import Integral

import numpy as np
from sklearn.model_selection import StratifiedKFold, check_cv

from skpoison._whole_rows import n_poison_rows
from skpoison._words import counted, percent_text

from .checks import check_count


def enough(folds, reference):
    """Return folds, if there are rows enough in each to send poison along."""
    n_rows = min(len(train) for train, _ in folds)
    if n_poison_rows(reference, n_rows) < 1:
        raise ValueError(
            f"reference={reference} of the {n_rows} rows that a fold is trained on is "
            f"less than one row, so that no attack could send any; it must be "
            f"{_rounded_up(1 / n_rows):.2g} at least."
        )
    return folds


def _rounded_up(value):
    """Round a positive number up to two digits, which must not be too small."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit - 1e-9) * unit


def folds_of(inputs, cv, seed, max_rows):
    """Return pairs of rows to train on and rows to test on, and what is left out."""
    rows, left_out = _drawn(inputs, max_rows, seed)
    y = inputs.y[rows]
    if isinstance(cv, Integral):
        check_count("cv", cv, 2)
        counts = np.bincount(inputs.codes[rows], minlength=len(inputs.classes))
        rare = int(np.argmin(counts))
        if counts[rare] < cv:
            raise ValueError(
                f"The class {inputs.labels[rare]!r} has "
                f"{counted(int(counts[rare]), 'row')}, fewer than the {cv} folds of "
                "the cross-validation. Merge or leave out so small a class, or use "
                "fewer folds (cv). If y holds measurements instead of class labels, it "
                "cannot be audited."
            )
        splitter = StratifiedKFold(int(cv), shuffle=True, random_state=seed)
    else:
        splitter = check_cv(cv, y, classifier=True)
    folds = splitter.split(inputs.X[rows], y)
    return [(rows[train], rows[test]) for train, test in folds], left_out


def _drawn(inputs, max_rows, seed):
    """Return the rows on which attacks are measured, all or some of each class."""
    n_rows = len(inputs.codes)
    if max_rows is None or check_count("max_rows", max_rows, 10) >= n_rows:
        return np.arange(n_rows), []
    rng = np.random.default_rng(seed)
    parts = []
    for code in range(len(inputs.classes)):
        of_class = np.flatnonzero(inputs.codes == code)
        # A small class is kept whole: a share of it would be too few to fold.
        n_drawn = max(round(max_rows * len(of_class) / n_rows), min(len(of_class), 30))
        parts.append(rng.choice(of_class, n_drawn, replace=False))
    rows = np.sort(np.concatenate(parts))
    if len(rows) == n_rows:
        return rows, []
    shares = np.bincount(inputs.codes[rows]) / len(rows)
    listed = ", ".join(
        f"{label} {percent_text(share)}"
        for label, share in zip(inputs.labels, shares, strict=True)
    )
    what = f"attacks on {n_rows - len(rows):,} of {n_rows:,} rows"
    reason = (
        f"attacks and defenses are measured on {len(rows):,} rows drawn from all "
        f"classes (max_rows; up to 30 of small ones): {listed}; bounds and distances "
        "are computed from all rows"
    )
    return rows, [{"what": what, "reason": reason}]
