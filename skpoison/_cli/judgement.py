"""What ``skpoison filter`` computes."""

import warnings
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from skpoison import filters
from skpoison._defaults import default_filter
from skpoison._labels import find_labels

from .judged import Judged
from .kinds import PUBLISHED, TRAINING_ROWS_ONLY
from .suspicion import best_labels, compared_too, stacked, suspect

# Filters by their names in ``--filter``, but those of the published setting: what they
# are, and what their numbers are called; None if they have no limit to compare with.
OTHERS = {
    "mahalanobis": ("MahalanobisFilter", "distance"),
    "subspace": ("SubspaceFilter", "distance"),
    "neighbors": ("NeighborsFilter", "distance"),
    "neighbor-labels": ("NeighborsFilter", "share of neighbors with other labels"),
    "loss": ("LossFilter", "loss"),
    "spectral": ("SpectralFilter", "outlier score"),
    "sever": ("SeverFilter", "outlier score"),
    "cross-fit": ("CrossFitFilter", "probability of a wrong label"),
    "near-copies": ("NearCopyFilter", "number of near copies"),
    "activation-clustering": ("ActivationClusteringFilter", None),
    "epic": ("EPICFilter", None),
}
UNKNOWN = "no trusted row has this label"
PARAMETERS = {"neighbor-labels": {"criterion": "labels"}}


class Margins(NamedTuple):
    """How far rows are within the limit of one filter, and what the limit is.

    `decisions` are negative beyond it; `limits` are NaN for labels that the filter was
    not fitted on.
    """

    decisions: np.ndarray
    limits: np.ndarray

    @property
    def measures(self):
        """What is compared with the limits."""
        return self.limits - self.decisions

    def suspicion(self):
        """One half at the limit, and near 1 far beyond it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            measures = np.maximum(self.measures, 0.0)
            shares = measures / (measures + np.maximum(self.limits, 0.0))
        shares = np.where(measures == 0, 0.0, shares)
        return np.where(np.isnan(self.limits), 1.0, shares)


def build_filter(kind, percentile):
    """Return an unfitted filter of one of the kinds of ``--filter`` but auto."""
    if kind in PUBLISHED:
        both = default_filter(percentile)
        return both if kind == "both" else dict(both.filters)[kind]
    parameters = PARAMETERS.get(kind, {})
    made = getattr(filters, OTHERS[kind][0])(random_state=0, **parameters)
    if percentile is None:
        return made
    if "contamination" in made.get_params():
        made.set_params(contamination=None)
    return made.set_params(percentile=percentile)


def judge(kind, percentile, X, y, trusted=None):
    """Fit a filter, to the rows themselves or to trusted (X, y), and judge rows.

    `y` are labels as text, or quantities as floats.
    """
    if kind == "auto":
        return suspect(X, y, trusted)
    filter_ = build_filter(kind, percentile)
    if trusted and kind in TRAINING_ROWS_ONLY:
        return _judged_together(kind, filter_, X, y, trusted)
    filter_.fit(*(trusted or (X, y)))
    found = judge_by(kind, filter_, X, y, own=trusted is None)
    if trusted and kind == "cross-fit":
        # Where trusted rows have no wrong label, none is expected of new rows.
        is_known = find_labels(y, filter_.classes_) >= 0
        among = partial(judge, kind, percentile)
        return compared_too(found, is_known, among, X, y, trusted)
    return found


def judge_by(kind, filter_, X, y, *, own=False, anyway=()):
    """Judge rows by a fitted filter; with `own`, they are those that it is fitted on.

    `anyway` are positions of rows that are kept whatever the filter says.
    """
    if kind in OTHERS and OTHERS[kind][1] is None:
        return _without_limits(kind, filter_, X, y, own)
    positions = find_labels(y, filter_.classes_)
    filter_._reject_unknown(y, positions)
    margins = _margins(kind, filter_, X, y, positions, own)
    decisions = np.min([one.decisions for one in margins.values()], axis=0)
    kept = filter_.inlier_mask_ if own else decisions >= 0
    if len(anyway):
        kept[anyway] = True
    beyond = {
        name: ~kept if name in OTHERS else one.decisions < 0
        for name, one in margins.items()
    }
    suspicion = np.max([one.suspicion() for one in margins.values()], axis=0)
    return Judged(
        kept,
        # Filters that reject in rounds only have the scores of the last one.
        np.where(kept, np.minimum(suspicion, 0.5), np.maximum(suspicion, 0.5)),
        _tests(kept, beyond),
        _suggested(filter_, kept, X, own),
        lambda rows: [_reason(margins, row) for row in rows],
        beyond,
        filter_,
    )


def _margins(kind, filter_, X, y, positions, own):
    members = getattr(filter_, "named_filters_", {kind: filter_})
    limits = {
        name: np.where(positions >= 0, _limits(member)[positions], np.nan)
        for name, member in members.items()
    }
    if kind in OTHERS and own:
        # Scores by models fitted without the row, unlike those for new rows.
        return {kind: Margins(limits[kind] + filter_.scores_, limits[kind])}
    with warnings.catch_warnings():
        # About unknown labels, which the whole filter has warned of.
        warnings.filterwarnings("ignore", ".* are not among its known labels")
        return {
            name: Margins(member.decision_function(X, y), limits[name])
            for name, member in members.items()
        }


def _limits(member):
    """The largest number that each class may have."""
    if hasattr(member, "radii_"):
        return member.radii_
    limit = member.max_size_ if hasattr(member, "max_size_") else member.threshold_
    return np.full(len(member.classes_), limit, dtype=np.float64)


def _tests(kept, beyond):
    tests = np.full(len(kept), "", dtype=object)
    for name, mask in beyond.items():
        found = mask & ~kept
        tests[found] = [f"{test} and {name}" if test else name for test in tests[found]]
    return tests


def _suggested(filter_, kept, X, own):
    """The labels that a filter suggests for rejected rows."""
    found = np.full(len(kept), "", dtype=object)
    if not hasattr(filter_, "suggested_labels_"):
        return found
    rows = np.flatnonzero(~kept)
    if own:
        found[rows] = filter_.suggested_labels_[rows]
    elif len(rows):
        found[rows] = best_labels(filter_, X[rows])
    return found


def _reason(margins, row):
    told = []
    for name, one in margins.items():
        if one.decisions[row] >= 0:
            continue
        if np.isnan(one.limits[row]):
            return UNKNOWN
        measure = OTHERS[name][1] if name in OTHERS else "distance"
        numbers = f"{one.measures[row]:.4g} is above {one.limits[row]:.4g}"
        told.append(f"{name}: {measure} {numbers}")
    return " and ".join(told) or f"{next(iter(margins))}: rejected in an earlier round"


def _judged_together(kind, filter_, X, y, trusted):
    """Fit a filter to trusted and new rows, and return what it says of the new ones."""
    first, labels = trusted
    is_known = find_labels(y, np.unique(labels)) >= 0
    rows = len(labels) + np.cumsum(is_known) - 1
    filter_.fit(stacked(first, X[is_known]), np.concatenate([labels, y[is_known]]))
    both = _without_limits(kind, filter_, None, None, own=True)
    kept = is_known & both.kept[rows]
    tests = np.where(kept, "", kind)

    def reason_of(wanted):
        return [
            both.reason_of([rows[row]])[0] if is_known[row] else UNKNOWN
            for row in wanted
        ]

    return Judged(
        kept,
        np.where(is_known, both.suspicion[rows], 1.0),
        tests,
        np.full(len(y), "", dtype=object),
        reason_of,
        {kind: ~kept},
        filter_,
    )


def _without_limits(kind, filter_, X, y, own):
    """Judge rows by a filter that compares no number with a limit."""
    if own:
        kept, scores = filter_.inlier_mask_, filter_.scores_
    else:
        kept, scores = filter_.predict(X, y) == 1, filter_.score_samples(X, y)
    suspicion = expit(-scores)
    rounds = getattr(filter_, "dropped_at_", None)

    def reason_of(rows):
        if rounds is None:
            return [f"{kind}: in a small cluster of its class"] * len(rows)
        return [f"{kind}: isolated gradient in round {rounds[row]}" for row in rows]

    return Judged(
        kept,
        np.where(kept, np.minimum(suspicion, 0.5), np.maximum(suspicion, 0.5)),
        np.where(kept, "", kind),
        np.full(len(kept), "", dtype=object),
        reason_of,
        {kind: ~kept},
        filter_,
    )
