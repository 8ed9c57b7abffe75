"""What ``skpoison filter`` computes with other filters than auto."""

import warnings
from dataclasses import dataclass

import numpy as np

from skpoison import __version__, filters
from skpoison._defaults import default_filter
from skpoison._labels import find_labels
from skpoison._words import label_text

from .options import PUBLISHED

# Filters by their names in ``--filter``, but those of the published setting: what they
# are, and what their numbers are called.
OTHERS = {
    "mahalanobis": ("MahalanobisFilter", "distance"),
    "subspace": ("SubspaceFilter", "distance"),
    "neighbors": ("NeighborsFilter", "distance"),
    "loss": ("LossFilter", "loss"),
    "spectral": ("SpectralFilter", "outlier score"),
    "sever": ("SeverFilter", "outlier score"),
    "cross-fit": ("CrossFitFilter", "probability of a wrong label"),
    "near-copies": ("NearCopyFilter", "number of near copies"),
}


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

    @property
    def rejected(self):
        """The rejected rows, in their order: scores are comparable within a class."""
        return np.flatnonzero(~self.kept)

    def reasons(self, rows):
        """Return why some rows were rejected."""
        return [self._reason(row) for row in rows]

    def columns(self, rows):
        """Return the columns that are added to rejected rows."""
        return {
            "skpoison_row": rows + 1,
            "skpoison_score": self.scores[rows],
            "skpoison_reason": self.reasons(rows),
        }

    def _reason(self, row):
        beyond = " and ".join(self._reasons(row))
        if beyond or self.kept[row]:
            return beyond
        # Filters that reject in rounds only have the scores of the last one.
        return f"{next(iter(self.decisions))}: rejected in an earlier round"

    def _reasons(self, row):
        for name, decisions in self.decisions.items():
            if decisions[row] < 0:
                limit = self.limits[name][row]
                if np.isnan(limit):
                    yield "no trusted row has this label"
                    return
                number = limit - decisions[row]
                measure = OTHERS[name][1] if name in OTHERS else "distance"
                yield f"{name}: {measure} {number:.4g} is above {limit:.4g}"


def build_filter(kind, percentile):
    """Return an unfitted filter of one of the kinds of ``--filter`` but auto."""
    if kind in PUBLISHED:
        both = default_filter(percentile)
        return both if kind == "both" else dict(both.filters)[kind]
    made = getattr(filters, OTHERS[kind][0])(random_state=0)
    if percentile is None:
        return made
    if "contamination" in made.get_params():
        made.set_params(contamination=None)
    return made.set_params(percentile=percentile)


def judge(kind, percentile, X, y, trusted=None):
    """Fit a filter, to the rows themselves or to trusted (X, y), and judge rows."""
    filter_ = build_filter(kind, percentile)
    filter_.fit(*(trusted or (X, y)))
    members = getattr(filter_, "named_filters_", {kind: filter_})
    positions = find_labels(y, filter_.classes_)
    filter_._reject_unknown(y, positions)
    limits = {
        name: np.where(positions >= 0, _limits(member)[positions], np.nan)
        for name, member in members.items()
    }
    if kind in OTHERS and trusted is None:
        # Scores by models fitted without the row, unlike those for new rows.
        decisions = {kind: limits[kind] + filter_.scores_}
        return Judgement(filter_, filter_.inlier_mask_, decisions, limits)
    with warnings.catch_warnings():
        # About unknown labels, which the whole filter has warned of.
        warnings.filterwarnings("ignore", ".* are not among its known labels")
        decisions = {
            name: member.decision_function(X, y) for name, member in members.items()
        }
    kept = np.min(list(decisions.values()), axis=0) >= 0
    if trusted is None:
        kept = filter_.inlier_mask_
    return Judgement(filter_, kept, decisions, limits)


def _limits(member):
    """The largest number that each class may have."""
    if hasattr(member, "radii_"):
        return member.radii_
    limit = member.max_size_ if hasattr(member, "max_size_") else member.threshold_
    return np.full(len(member.classes_), limit, dtype=np.float64)


def count(judgement, labels, settings):
    """Count rows by class: what ``--json`` writes."""
    rejected_by = {
        name: ~judgement.kept if name in OTHERS else decisions < 0
        for name, decisions in judgement.decisions.items()
    }
    return counts_of(judgement.kept, labels, settings, rejected_by)


def counts_of(kept, labels, settings, rejected_by):
    """Count the rows of each class that are kept and, by what, rejected."""
    classes = []
    for code, value in enumerate(labels.values):
        rows = labels.codes == code
        classes.append(
            {
                "label": label_text(value),
                "n_rows": int(rows.sum()),
                "n_kept": int(kept[rows].sum()),
                "n_rejected": int((~kept[rows]).sum()),
                "rejected_by": {
                    name: int(mask[rows].sum()) for name, mask in rejected_by.items()
                },
            }
        )
    return {
        "skpoison": __version__,
        "command": "filter",
        "settings": settings,
        "n_rows": len(kept),
        "n_kept": int(kept.sum()),
        "classes": classes,
    }
