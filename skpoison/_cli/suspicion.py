"""What ``skpoison filter --filter auto`` computes."""

import warnings
from dataclasses import replace

import numpy as np
from scipy import sparse

from skpoison._defaults import default_cleaner
from skpoison._labels import find_labels
from skpoison._reports.reasons import (
    OF_AUTO,
    OF_LABELS,
    OF_QUANTITIES,
    REASONS,
)
from skpoison._verdict import Verdict, verdict, verdict_of_quantities

from .columns import unscaled_rows
from .judged import Judged

# The tests that reject rows, and what they see.
TESTS = {name: REASONS[name].text for name in OF_AUTO}
# Why targets are rejected that trusted rows say something else of.
OF_TRUSTED = {
    "": "",
    "target": "target: far from what models fitted on the trusted rows predict",
    "far": "far: too far from the trusted rows, whatever its target",
}


def suspect(X, y, trusted=None):
    """Compare rows with each other, or with trusted (X, y).

    `y` are labels as text, or quantities as floats.
    """
    of_quantities = y.dtype.kind != "U"
    auto = _cleaner(of_quantities)
    if trusted is None:
        tests = OF_QUANTITIES if of_quantities else OF_LABELS
        with warnings.catch_warnings():
            # Of a single label, which has been warned of in words of the table.
            warnings.filterwarnings("ignore", ".* needs at least two classes")
            return _judged_among(auto.fit(X, y), tests)
    judged_by = _targets_judged_by if of_quantities else _judged_by
    found = judged_by(auto.fit(*trusted), X, y)

    def judged_among(X, y):
        return _judged_among(_cleaner(of_quantities).fit(X, y), found.rejected_by)

    is_known = found.tests != "unknown"
    return compared_too(found, is_known, judged_among, X, y, trusted)


def _cleaner(of_quantities):
    auto = default_cleaner()
    if of_quantities:
        # Whole numbers would be taken for classes.
        auto._y_is_numbers = True
    return auto


def _judged_among(auto, tests):
    """Return what a filter says of the rows that it is fitted on."""
    return Judged(
        auto.inlier_mask_,
        auto.suspicion_,
        auto.tests_,
        np.where(auto.inlier_mask_, "", auto.suggested_labels_.astype(object)),
        lambda rows: auto.reasons_[rows].tolist(),
        {test: auto.tests_ == test for test in tests},
        probabilities=auto.out_of_fold_,
    )


def _targets_judged_by(auto, X, y):
    """Score new rows and their targets, which are numbers."""
    kept = auto.predict(X, y) == 1
    tests = np.where(auto.predict(X) == 1, "target", "far")
    tests = np.where(kept, "", tests)
    return Judged(
        kept,
        -auto.score_samples(X, y),
        tests,
        np.full(len(y), "", dtype=object),
        lambda rows: [OF_TRUSTED[tests[row]] for row in rows],
        {test: tests == test for test in OF_QUANTITIES},
    )


def weigh(found, data, encoded) -> Verdict:
    """Say whether a table is likely poisoned, by all evidence that AutoFilter found."""
    X = unscaled_rows(data, encoded)
    if data.labels.is_quantity:
        targets = data.labels.targets
        return verdict_of_quantities(X, targets, found.tests, found.probabilities)
    labels, codes = np.unique(data.labels.texts, return_inverse=True)
    return verdict(X, codes, labels.tolist(), found.tests, found.probabilities)


def with_suspects(found, weighed) -> Judged:
    """Also reject the rows that strong evidence speaks against."""
    more = weighed.suspects(~found.kept)
    if not more.rows.any():
        return found
    tests = np.where(more.rows, more.tests, found.tests)
    suggested = found.suggested
    if weighed.of_quantities:
        said = more.rows & (tests == "target")
        suggested = np.where(said, found.probabilities.astype(object), suggested)

    def reason_of(rows):
        own = [row for row in rows if not more.rows[row]]
        known = dict(zip(own, found.reason_of(own), strict=True))
        return [known.get(row) or more.reasons[row] for row in rows]

    return replace(
        found,
        kept=found.kept & ~more.rows,
        suspicion=np.where(more.rows, more.suspicion, found.suspicion),
        tests=tests,
        suggested=suggested,
        reason_of=reason_of,
        rejected_by={test: tests == test for test in found.rejected_by},
    )


def _judged_by(auto, X, y):
    """Score new rows under each label that the trusted rows have."""
    kept = auto.predict(X, y) == 1
    with warnings.catch_warnings():
        # About rows with unknown labels, which predict has warned of.
        warnings.filterwarnings("ignore", ".* are not among its known labels")
        own = -auto.score_samples(X, y)
    suggested = best_labels(auto, X)
    unknown = find_labels(y, auto.classes_) < 0
    fits_other = auto.predict(X) == 1
    tests = np.where(unknown, "unknown", np.where(fits_other, "label", "far"))
    tests = np.where(kept, "", tests)

    def reason_of(rows):
        return [_sentence(tests[row], y[row], suggested[row]) for row in rows]

    return Judged(
        kept,
        np.where(unknown, 1.0, own),
        tests,
        np.where(kept, "", suggested),
        reason_of,
        {test: tests == test for test in OF_AUTO if test != "target"},
    )


def compared_too(found, is_known, judged_among, X, y, trusted):
    """Also reject what is suspicious among trusted and new rows together.

    Models of trusted rows see each new row alone, and so neither copies nor groups, nor
    how many labels are wrong. `is_known` tells for which rows trusted ones have the
    label; `judged_among` judges rows among themselves.
    """
    seen = np.flatnonzero(is_known)
    if not len(seen):
        return found
    first, labels = trusted
    both = judged_among(stacked(first, X[seen]), np.concatenate([labels, y[seen]]))
    more = found.kept[seen] & ~both.kept[len(labels) :]
    rows, places = seen[more], len(labels) + np.flatnonzero(more)

    def put(values, those):
        values = values.copy()
        values[rows] = those[places]
        return values

    tests = put(found.tests.astype(object), both.tests)
    suggested = found.suggested
    if labels.dtype.kind == "U":  # Trusted rows suggest no quantities.
        suggested = put(suggested, both.suggested)
    reasons = dict(zip(rows.tolist(), both.reason_of(places), strict=True))
    return replace(
        found,
        kept=put(found.kept, both.kept),
        suspicion=put(found.suspicion, both.suspicion),
        tests=tests,
        suggested=suggested,
        reason_of=lambda wanted: [
            reasons.get(int(row)) or found.reason_of([row])[0] for row in wanted
        ],
        rejected_by={test: tests == test for test in found.rejected_by},
    )


def best_labels(filter_, X):
    """The label under which a fitted filter finds each row most normal, of all."""
    scores = np.column_stack(
        [
            filter_.score_samples(X, np.full(X.shape[0], label))
            for label in filter_.classes_
        ]
    )
    return filter_.classes_[scores.argmax(axis=1)].astype(object)


def stacked(first, second):
    """Rows below rows, dense or sparse."""
    if sparse.issparse(first):
        return sparse.vstack([first, second]).tocsr()
    return np.vstack([first, second])


def _sentence(test, label, other):
    if not test:
        return ""
    if test == "unknown":
        return f"unknown: no trusted row has the label {label}"
    if test == "label":
        return f"label: {label}, but models fitted on the trusted rows predict {other}"
    return "far: too far from the trusted rows, whatever its label"
