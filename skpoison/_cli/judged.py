"""What a filter says of rows, whatever filter it is."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skpoison import __version__
from skpoison._words import label_text

from .sample import warn_of_labels
from .session import warn

# So many rejected rows are listed in the JSON; the file of --rejected has all.
MOST_LISTED = 10_000
# Filters whose models predict the label of each row.
COMPARES_LABELS = ("auto", "cross-fit")


@dataclass(frozen=True)
class Judged:
    """Which rows a filter keeps, how suspicious all are, and why some are rejected.

    `tests` and `suggested` are empty texts for kept rows; `suggested` also where the
    filter suggests no label. `reason_of` returns reasons for some of the rejected rows,
    `rejected_by` holds a mask for each test. `filter` is what a plot needs of it.
    """

    kept: np.ndarray
    suspicion: np.ndarray
    tests: np.ndarray
    suggested: np.ndarray
    reason_of: Callable
    rejected_by: dict
    filter: object = None
    probabilities: np.ndarray | None = None  # or predictions, by models without the row

    @property
    def rejected(self):
        """The rejected rows, most suspicious first."""
        rows = np.flatnonzero(~self.kept)
        return rows[np.argsort(-self.suspicion[rows], kind="stable")]

    def columns(self, rows, numbers):
        """Return the columns that are added to rejected rows, which have numbers."""
        return {
            "skpoison_row": numbers[rows],
            "skpoison_suspicion": self.suspicion[rows],
            "skpoison_reason": self.reason_of(rows),
            "skpoison_suggested_label": self.suggested[rows].tolist(),
        }


def count(judged, labels, settings, numbers):
    """Count rows by class, and list the rejected ones: what ``--json`` writes."""
    rows = judged.rejected[:MOST_LISTED]
    names = np.array([label_text(value) for value in labels.values])[labels.codes]
    listed = zip(rows, judged.reason_of(rows), strict=True)
    return {
        "skpoison": __version__,
        "command": "filter",
        "settings": settings,
        "n_rows": len(judged.kept),
        "n_kept": int(judged.kept.sum()),
        "classes": _classes(judged, labels),
        "rows": [
            {
                "row": int(numbers[row]),
                "label": str(names[row]),
                "suspicion": float(judged.suspicion[row]),
                "test": str(judged.tests[row]),
                "reason": reason,
                "suggested_label": str(judged.suggested[row]),
            }
            for row, reason in listed
        ],
    }


def _classes(judged, labels):
    if labels.is_quantity:
        return [_of_class(judged, "all", np.ones(len(labels.codes), dtype=bool))]
    return [
        _of_class(judged, label_text(value), labels.codes == code)
        for code, value in enumerate(labels.values)
    ]


def check_labels(session, labels, kind):
    """Say what rows are compared by, where it is not classes; refuse other filters."""
    if labels.is_quantity:
        if kind != "auto":
            labels.refuse_quantities()
        session.say(
            f"The target {labels.name!r} has {len(labels.values):,} different numbers: "
            "it is taken for a quantity, and compared with what regressors predict."
        )
    elif kind in COMPARES_LABELS:
        labels.refuse_names()
    warn_of_labels(labels)
    if len(labels.values) == 1:
        warn(
            f"All rows have the same label, {labels.value_texts[0]!r}, so that wrong "
            "labels cannot be found, only rows far from the others and copies. "
            "--target names another column of labels."
        )


def _of_class(judged, label, mask):
    n_rows, n_rejected = int(mask.sum()), int((mask & ~judged.kept).sum())
    return {
        "label": label,
        "n_rows": n_rows,
        "n_kept": n_rows - n_rejected,
        "n_rejected": n_rejected,
        "rejected_by": {
            test: int((mask & found).sum())
            for test, found in judged.rejected_by.items()
        },
        "contamination": n_rejected / n_rows if n_rows else None,
    }
