"""Whether a table is likely poisoned: one verdict from all that speaks for it.

What speaks for it is in _signs.py and _signs_of_targets.py; benchmarks/bench_advice.py
and benchmarks/bench_quantities.py report how often the verdict is right.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skpoison import _signs as signs
from skpoison import _signs_of_targets as of_targets
from skpoison._words import counted, name_text, percent_text

MOST_NAMED = 3
# Evidence that AutoFilter looks for in other ways: the reason for a row, in words.
OWN_REASONS = {
    "far rows": "far: out of all proportion in half of the columns at once",
    "digits": "digits: more decimals than nine tenths of the rows, as computed rows "
    "have",
    "targets": "target: far from what models fitted without the row predict",
}
# What rows are counted under that have quantities in place of labels.
ALL = "all"


class Suspects(NamedTuple):
    """Rows that strong evidence speaks against, and why; by row, of all rows."""

    rows: np.ndarray  # mask
    suspicion: np.ndarray
    tests: np.ndarray
    reasons: np.ndarray


class Verdict(NamedTuple):
    """Whether a table is likely poisoned, by which evidence and how much of it."""

    is_likely: bool
    rows: np.ndarray  # mask of the rows that strong evidence speaks against
    share: float  # estimated share of bad rows
    low: float
    high: float
    classes: dict[str, int]  # rows of each label that are spoken against
    evidence: list[signs.Evidence]
    of_quantities: bool = False

    @property
    def text(self) -> str:
        """The verdict in a sentence or two."""
        if not self.is_likely:
            return "No clear sign of poison. " + " ".join(self._weak())
        n_rows = int(self.rows.sum())
        strong = [one for one in self.evidence if one.is_strong]
        found = "; ".join(one.text for one in strong)
        share, low, high = map(percent_text, (self.share, self.low, self.high))
        return (
            f"This table is likely poisoned: an estimated {share} of its rows are bad "
            f"({low} to {high}). "
            f"{counted(n_rows, 'row')} {'is' if n_rows == 1 else 'are'} suspect"
            f"{self._by_class()}. Evidence: {found}."
        )

    def _weak(self):
        weak = [one.text for one in self.evidence if not one.is_strong]
        if weak:
            yield f"Also found, as in many honest tables: {'; '.join(weak)}."
        if self.of_quantities:
            yield "Poison whose targets are plausible leaves none."
        else:
            yield "Poison that looks like honest rows of its label leaves none."

    def _by_class(self):
        if self.of_quantities:
            return ""
        most = sorted(self.classes.items(), key=lambda item: -item[1])
        parts = [
            f"{count:,} of {name_text(label, 40)}" for label, count in most if count
        ]
        more = len(parts) - MOST_NAMED
        named = parts[:MOST_NAMED] + [f"{more} more classes"] * (more > 0)
        return f" ({', '.join(named)})"

    def suspects(self, rejected: np.ndarray) -> Suspects:
        """Return the rows that evidence speaks against, and AutoFilter does not.

        `rejected` is the mask of the rows that AutoFilter rejects.
        """
        rows, suspicion = np.zeros_like(rejected), np.zeros(len(rejected))
        tests, reasons = (np.full(len(rejected), "", dtype=object) for _ in range(2))
        for one in self.evidence:
            if one.is_strong and one.name in OWN_REASONS:
                more = one.rows & ~rejected & (one.suspicion > suspicion)
                rows |= more
                suspicion[more] = one.suspicion[more]
                reason = OWN_REASONS[one.name]
                tests[more] = reason.partition(":")[0]
                reasons[more] = reason if one.reasons is None else one.reasons[more]
        return Suspects(rows, suspicion, tests, reasons)

    def with_lower_errors(self, names: Sequence[str]) -> "Verdict":
        """Also name filters that lower an error, which decides nothing."""
        if not names:
            return self
        listed = ", ".join(names[:MOST_NAMED])
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        verb = "lowers" if len(names) == 1 else "lower"
        text = f"{listed}{more} {verb} the error although nobody attacks"
        found = signs.Evidence("filters", False, np.zeros_like(self.rows), text)
        return self._replace(evidence=[*self.evidence, found])

    def as_dict(self) -> dict[str, Any]:
        """What JSON has of it."""
        return {
            "is_likely_poisoned": self.is_likely,
            "text": self.text,
            "n_rows": int(self.rows.sum()),
            "share": self.share,
            "share_low": self.low,
            "share_high": self.high,
            "classes": [
                {"label": name_text(label), "n_rows": count}
                for label, count in self.classes.items()
            ],
            "evidence": [
                {
                    "name": one.name,
                    "is_strong": one.is_strong,
                    "n_rows": int(one.rows.sum()),
                    "text": one.text,
                }
                for one in self.evidence
            ],
        }


def verdict(
    values: Any,
    codes: np.ndarray,
    labels: Sequence[str],
    tests: np.ndarray,
    probabilities: np.ndarray | None,
) -> Verdict:
    """Judge a table by all kinds of evidence.

    `values`, of shape (n_rows, n_columns), are in the units of the table; `codes` are
    positions of the rows' labels in `labels`. `tests` says for which reason AutoFilter
    rejects each row, and `probabilities` are its ``out_of_fold_``, with rows of NaN for
    rows that were not judged.
    """
    columns = signs.varied_columns(values)
    rows = [
        signs.near_copies(tests, probabilities),
        signs.far_rows(columns, codes, labels, tests),
        signs.fine_digits(columns, tests),
    ]
    # Rows that something else speaks against do not contradict models again.
    left = ~_rows_of(rows, len(codes))
    found = [
        signs.wrong_labels(codes, tests, probabilities, left),
        *rows,
        signs.contradicting_rows(values, codes),
        signs.rejected_rows(tests),
    ]
    evidence = [one for one in found if one is not None]
    strong = [one for one in evidence if one.is_strong]
    rows = _rows_of(evidence, len(codes))
    share, low, high = _share(rows, strong, codes, tests, probabilities)
    counts = np.bincount(codes[rows], minlength=len(labels)).tolist()
    classes = {str(label): n for label, n in zip(labels, counts, strict=True)}
    return Verdict(bool(strong), rows, share, low, high, classes, evidence)


def verdict_of_quantities(
    values: Any, targets: np.ndarray, tests: np.ndarray, predicted: np.ndarray
) -> Verdict:
    """Judge a table whose targets are quantities.

    `predicted` are AutoFilter's ``out_of_fold_``; the rest is as in :func:`verdict`.
    """
    n_rows = len(targets)
    columns, codes = signs.varied_columns(values), np.zeros(n_rows, dtype=np.intp)
    off = of_targets.usual_errors(targets, predicted, tests)
    found = [
        of_targets.wrong_targets(values, targets, predicted, off),
        signs.near_copies(tests, predicted[:, np.newaxis]),
        signs.far_rows(columns, codes, [ALL], tests),
        signs.fine_digits(columns, tests),
        signs.rejected_rows(tests),
    ]
    evidence = [one for one in found if one is not None]
    is_likely = any(one.is_strong for one in evidence)
    rows = _rows_of(evidence, n_rows)
    share, low, high = _share_of_quantities(evidence, off, tests)
    classes = {ALL: int(rows.sum())}
    return Verdict(is_likely, rows, share, low, high, classes, evidence, True)


def _share_of_quantities(evidence, off, tests):
    """Estimate the share of bad rows, of all rows: a value and an interval."""
    n_rows, rows = len(off), _rows_of(evidence, len(off))
    if not rows.any():
        return 0.0, 0.0, signs.wilson(np.sum(tests != ""), n_rows)[1]
    wrong = _rows_of([one for one in evidence if one.name == "targets"], n_rows)
    fewest, most = of_targets.count_of_wrong(off) if wrong.any() else (0, 0)
    n_other = int(np.sum(rows & ~wrong))
    low = signs.wilson(n_other + fewest, n_rows)[0]
    high = signs.wilson(min(n_other + most, n_rows), n_rows)[1]
    return float(rows.mean()), low, high


def _rows_of(evidence, n_rows):
    """The rows that strong evidence speaks against."""
    rows = np.zeros(n_rows, dtype=bool)
    for one in evidence:
        if one is not None and one.is_strong:
            rows |= one.rows
    return rows


def _share(rows, strong, codes, tests, probabilities):
    """Estimate the share of bad rows, of all rows: a value and an interval.

    Rejected labels are too many where classes overlap: contradictions among the rows
    that models are surest of say how many labels are wrong at least.
    """
    n_rows = len(codes)
    if not strong:
        return 0.0, 0.0, signs.wilson(np.sum(tests != ""), n_rows)[1]
    by_label = [one.rows for one in strong if one.name == "labels"]
    other = _rows_of([one for one in strong if one.name != "labels"], n_rows)
    low, high = (
        signs.wilson(other.sum(), n_rows)[0],
        signs.wilson(rows.sum(), n_rows)[1],
    )
    share = other.mean()
    if by_label:
        # Labels are judged by models, which may have seen some rows only.
        judged, known, said = signs.judged_rows(codes, probabilities, ~other)
        weights = signs.weights_of_drawn(codes[~other], judged[~other])
        rejected = np.average(by_label[0][judged], weights=weights)
        high = max(high, signs.wilson(rejected * len(known), len(known))[1])
        purest = signs.contradictions_of_sure(known, said, weights)
        # Labels of one class may all be wrong where models are sure of another one.
        wrong = at_least = rejected
        if signs.is_everywhere(purest):
            wrong, at_least = min(purest[0], rejected), purest[1]
        share += wrong
        low = max(low, min(at_least, rejected / 2))
    return float(share), float(min(low, share)), float(max(high, share))
