"""What ``skpoison filter --filter auto`` computes."""

import warnings
from dataclasses import dataclass

import numpy as np

from skpoison._defaults import default_cleaner
from skpoison._labels import find_labels
from skpoison._words import label_text

from .judgement import counts_of

# The tests that reject rows, in the order in which they are applied.
TESTS = {
    "far": "much farther from its class than the other rows of the class",
    "copies": "more near copies of a row than expected by chance",
    "label": "the label contradicts models fitted without the row",
    "cluster": "a cluster whose label contradicts models fitted without it",
    "unknown": "a label that no trusted row has",
}


@dataclass(frozen=True)
class Suspicions:
    """Which rows are suspicious, how much and why; texts are empty for kept rows."""

    kept: np.ndarray
    suspicion: np.ndarray
    tests: np.ndarray
    reasons: np.ndarray
    suggested: np.ndarray

    @property
    def rejected(self):
        """The rejected rows, the most suspicious first."""
        rows = np.flatnonzero(~self.kept)
        return rows[np.argsort(-self.suspicion[rows], kind="stable")]

    def columns(self, rows):
        """Return the columns that are added to rejected rows."""
        return {
            "skpoison_row": rows + 1,
            "skpoison_suspicion": self.suspicion[rows],
            "skpoison_reason": self.reasons[rows].tolist(),
            "skpoison_suggested_label": self.suggested[rows].tolist(),
        }


def suspect(X, y, trusted=None):
    """Compare rows with each other, or with trusted (X, y)."""
    auto = default_cleaner()
    if trusted is None:
        auto.fit(X, y)
        return Suspicions(
            auto.inlier_mask_,
            auto.suspicion_,
            auto.tests_,
            auto.reasons_,
            auto.suggested_labels_,
        )
    return _judged_by(auto.fit(*trusted), X, y)


def _judged_by(auto, X, y):
    """Score new rows under each label that the trusted rows have."""
    kept = auto.predict(X, y) == 1
    with warnings.catch_warnings():
        # About rows with unknown labels, which predict has warned of.
        warnings.filterwarnings("ignore", ".* are not among its known labels")
        own = -auto.score_samples(X, y)
    by_label = np.column_stack(
        [-auto.score_samples(X, np.full(len(y), label)) for label in auto.classes_]
    )
    best = by_label.argmin(axis=1)
    suggested = auto.classes_[best].astype(object)
    unknown = find_labels(y, auto.classes_) < 0
    fits_other = auto.predict(X) == 1
    tests = np.where(unknown, "unknown", np.where(fits_other, "label", "far"))
    reasons = [
        _sentence(test, label, other)
        for test, label, other in zip(tests, y, suggested, strict=True)
    ]
    return Suspicions(
        kept,
        np.where(unknown, 1.0, own),
        np.where(kept, "", tests),
        np.where(kept, "", np.array(reasons, dtype=object)),
        suggested,
    )


def _sentence(test, label, other):
    if test == "unknown":
        return f"unknown: no trusted row has the label {label}"
    if test == "label":
        return f"label: {label}, but models fitted on the trusted rows predict {other}"
    return "far: too far from the trusted rows, whatever its label"


def count(found, labels, settings):
    """Count rows by class, and list the rejected ones: what ``--json`` writes."""
    tests = [test for test in TESTS if test != "unknown" or settings["trusted"]]
    by_test = {test: found.tests == test for test in tests}
    numbers = counts_of(found.kept, labels, settings, by_test)
    for entry in numbers["classes"]:
        entry["contamination"] = (
            entry["n_rejected"] / entry["n_rows"] if entry["n_rows"] else None
        )
    names = np.array([label_text(value) for value in labels.values])[labels.codes]
    numbers["rows"] = [
        {
            "row": int(row) + 1,
            "label": str(names[row]),
            "suspicion": float(found.suspicion[row]),
            "test": str(found.tests[row]),
            "reason": str(found.reasons[row]),
            "suggested_label": str(found.suggested[row]),
        }
        for row in found.rejected
    ]
    return numbers
