"""Which rows to mistrust by the filter that needs nothing to be known, and why."""

import warnings

import numpy as np
from sklearn.base import clone

from skpoison import __version__
from skpoison._defaults import default_cleaner
from skpoison._reports.reasons import OF_LABELS
from skpoison._verdict import Verdict, verdict
from skpoison._words import name_text, one_line

from .profile import n_stored

LONGEST_REASON = 200
# Rows, and values in them, to which AutoFilter is fitted: all, if they are no more.
MOST_ROWS, MOST_VALUES = 20_000, 1_000_000


def suspicion_part(version, filter_, rows, X, y):
    """Fit the filter to some rows; judge all. The part that is kept when interrupted.

    Rows that it was not fitted to are judged by the others, under their labels.
    """
    n_rows = len(y)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitted = clone(filter_).fit(X[rows], y[rows])
            rest = np.setdiff1d(np.arange(n_rows), rows)
            beyond = -fitted.score_samples(X[rest], y[rest]) if len(rest) else ()
    except ValueError as error:
        return {"failed": one_line(error), "warnings": []}
    suspicion = np.zeros(n_rows)
    suspicion[rows], suspicion[rest] = fitted.suspicion_, beyond
    said = np.full((n_rows, len(fitted.classes_)), np.nan)
    said[rows] = fitted.out_of_fold_
    tests, reasons, suggested = (np.full(n_rows, "", dtype=object) for _ in range(3))
    tests[rows], reasons[rows] = fitted.tests_, fitted.reasons_
    suggested[rows] = fitted.suggested_labels_
    rejected = np.zeros(n_rows, dtype=bool)
    rejected[rows] = ~fitted.inlier_mask_
    rejected[rest] = suspicion[rest] > 0.5
    late = rest[rejected[rest]]
    tests[late] = "others"
    reasons[late] = (
        f"others: AutoFilter, fitted to {len(rows):,} other rows, finds the row far "
        "from them or would label it otherwise"
    )
    return {
        "failed": None,
        "suspicion": suspicion,
        "rejected": rejected,
        "tests": tests,
        "reasons": reasons,
        "suggested": suggested,
        "probabilities": said,
        "warnings": sorted({str(warning.message) for warning in caught}),
    }


def judge_all(inputs, plan):
    """Judge every row; of many, those that attacks are measured on speak for all."""
    rows = plan.rows
    is_small = inputs.X.shape[0] <= MOST_ROWS and n_stored(inputs.X) <= MOST_VALUES
    if is_small and plan.clock.budget is None:
        rows = np.arange(inputs.X.shape[0])
    part = plan.memory.cache(suspicion_part)
    found = part(__version__, default_cleaner(), rows, inputs.X, inputs.y)
    return found | {"left_out": list(_left_out(len(rows), inputs.X.shape[0]))}


def _left_out(n_fitted, n_rows):
    """Say that other rows than those of ``skpoison filter`` may be rejected."""
    if n_fitted < n_rows:
        yield {
            "what": f"AutoFilter fitted to {n_rows - n_fitted:,} of {n_rows:,} rows",
            "reason": "it judges them one by one, by the others; skpoison filter fits "
            "it to all rows, and may reject others",
        }


def give_verdict(inputs, found) -> Verdict:
    """Say whether the table is likely poisoned; with or without AutoFilter."""
    failed = found["failed"]
    tests = np.full(len(inputs.codes), "", dtype=object) if failed else found["tests"]
    said = None if failed else found["probabilities"]
    return verdict(inputs.given, inputs.codes, inputs.labels, tests, said)


def with_suspects(found, judged: Verdict):
    """Add the rows that strong evidence speaks against to those that are rejected."""
    if found["failed"]:
        return found
    more = judged.suspects(found["rejected"])
    return found | {
        "suspicion": np.where(more.rows, more.suspicion, found["suspicion"]),
        "rejected": found["rejected"] | more.rows,
        "tests": np.where(more.rows, more.tests, found["tests"]),
        "reasons": np.where(more.rows, more.reasons, found["reasons"]),
    }


def trusted_rows(inputs, found, judged, folds):
    """Rows that held-out figures are computed from: suspects are not.

    Where the table does not look poisoned, rejected rows are unusual honest ones, and
    filters must not gain by rejecting them: all rows count. So do all rows of a class
    that would have none left in a fold.
    """
    trusted = np.ones(len(inputs.codes), dtype=bool)
    if not judged.is_likely:
        return trusted
    trusted &= ~judged.rows
    if not found["failed"]:
        trusted &= ~found["rejected"]
    for _, test in folds:
        for code in np.unique(inputs.codes[test]):
            rows = test[inputs.codes[test] == code]
            if not trusted[rows].any():
                trusted[rows] = True
    return trusted


def of_classes(inputs, found):
    """How many rows of each class are rejected, and for which reasons."""
    return [
        _of_class(name_text(label), inputs.codes == code, found)
        for code, label in enumerate(inputs.labels)
    ]


def _of_class(label, own, found):
    counted = {"label": label, "n_rows": int(own.sum())}
    if found["failed"]:
        return counted | {"n_rejected": None, "rejected_by": {}, "share": None}
    rejected = found["rejected"] & own
    seen = set(found["tests"])
    tests = (*OF_LABELS, *(["others"] if "others" in seen else []))
    return counted | {
        "n_rejected": int(rejected.sum()),
        "rejected_by": {
            test: int((found["tests"][rejected] == test).sum()) for test in tests
        },
        "share": float(rejected.sum() / own.sum()),
    }


def of_row(found, i):
    """What the report says of a row's suspicion."""
    if found["failed"]:
        return {
            "suspicion": None,
            "test": None,
            "reason": None,
            "suggested_label": None,
        }
    rejected = bool(found["rejected"][i])
    known = found["suggested"][i]
    return {
        "suspicion": float(found["suspicion"][i]),
        "test": str(found["tests"][i]) if rejected else None,
        "reason": one_line(found["reasons"][i], LONGEST_REASON) if rejected else None,
        "suggested_label": None if isinstance(known, str) and not known
        else name_text(known),
    }  # fmt: skip
