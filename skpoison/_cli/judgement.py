"""What ``skpoison filter`` computes."""

import warnings
from dataclasses import dataclass

import numpy as np

from skpoison import __version__
from skpoison._defaults import default_filter
from skpoison._labels import find_labels
from skpoison._words import label_text


@dataclass(frozen=True)
class Judgement:
    """Which rows a filter keeps, and why it rejects the others.

    For each member of the filter, `decisions` say how far every row is within its limit
    (negative is beyond it), and `limits` name the limit: NaN where no row that the
    filter was fitted to has the row's label.
    """

    filter: object
    kept: np.ndarray
    decisions: dict
    limits: dict

    @property
    def scores(self):
        """The smallest decision on each row."""
        return np.min(list(self.decisions.values()), axis=0)

    def reasons(self, rows):
        """Say for some rows what rejected them."""
        return [" and ".join(self._reasons(row)) for row in rows]

    def columns(self, rows):
        """Return what is written beside rejected rows."""
        return {
            "skpoison_row": rows + 1,
            "skpoison_score": self.scores[rows],
            "skpoison_reason": self.reasons(rows),
        }

    def _reasons(self, row):
        for name, decisions in self.decisions.items():
            if decisions[row] < 0:
                limit = self.limits[name][row]
                if np.isnan(limit):
                    yield "no trusted row has this label"
                    return
                distance = limit - decisions[row]
                yield f"{name}: distance {distance:.4g} is above {limit:.4g}"


def build_filter(kind, percentile):
    """Return an unfitted filter of one of the kinds of ``--filter``."""
    both = default_filter(percentile)
    return both if kind == "both" else dict(both.filters)[kind]


def judge(kind, percentile, X, y, trusted=None):
    """Fit a filter, to the rows themselves or to trusted (X, y), and judge rows."""
    filter_ = build_filter(kind, percentile)
    filter_.fit(*(trusted or (X, y)))
    members = getattr(filter_, "named_filters_", {kind: filter_})
    positions = find_labels(y, filter_.classes_)
    filter_._reject_unknown(y, positions)
    with warnings.catch_warnings():
        # Of what has been said of the whole filter.
        warnings.filterwarnings("ignore", ".* are not among its known labels")
        decisions = {
            name: member.decision_function(X, y) for name, member in members.items()
        }
    limits = {
        name: np.where(positions >= 0, member.radii_[positions], np.nan)
        for name, member in members.items()
    }
    kept = np.min(list(decisions.values()), axis=0) >= 0
    if trusted is None:
        kept = filter_.inlier_mask_
    return Judgement(filter_, kept, decisions, limits)


def count(judgement, labels, settings):
    """Count rows by class: what ``--json`` writes."""
    classes = []
    for code, value in enumerate(labels.values):
        rows = labels.codes == code
        rejected_by = {
            name: int(np.sum(decisions[rows] < 0))
            for name, decisions in judgement.decisions.items()
        }
        classes.append(
            {
                "label": label_text(value),
                "n_rows": int(rows.sum()),
                "n_kept": int(judgement.kept[rows].sum()),
                "n_rejected": int((~judgement.kept[rows]).sum()),
                "rejected_by": rejected_by,
            }
        )
    return {
        "skpoison": __version__,
        "command": "filter",
        "settings": settings,
        "n_rows": len(judgement.kept),
        "n_kept": int(judgement.kept.sum()),
        "classes": classes,
    }
