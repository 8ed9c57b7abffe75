"""Which rows stand out, for which filter, and why."""

import warnings

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse
from scipy.stats import rankdata
from sklearn.base import clone

from skpoison import __version__
from skpoison._defaults import default_filter
from skpoison._labels import encode_labels
from skpoison._words import loss_text, name_text, one_line
from skpoison.filters import AutoFilter

from .inputs import Inputs
from .plan import Outcome, Plan
from .progress import Progress
from .suspicion import of_classes, of_row
from .types import Feature, Reason, Suspicious, SuspiciousRow

# Features named for each row, and text of a row's label in an index.
EXPLAINED = 3

MEASURES = {
    "SphereFilter": "distance to the mean of class {label}",
    "SlabFilter": "distance, along the line between the class means, to the mean of "
    "class {label}",
    "MahalanobisFilter": "distance to the mean of class {label} in units of its spread",
    "SubspaceFilter": "distance to the main directions of class {label}",
    "NeighborsFilter": "distance to its nearest rows of class {label}",
    "NeighborsFilter all": "distance to its nearest rows",
    "NeighborsFilter labels": "share of other labels than {label} among its nearest "
    "rows",
    "NeighborsFilter plurality": "share by which another label outnumbers {label} "
    "among its nearest rows",
    "LossFilter": "loss under label {label} of a model trained on rows that it fits",
    "SpectralFilter": "squared distance, along the direction of most spread, to the "
    "mean of class {label}",
    "SeverFilter": "largest excess of its gradient's squared projection over a limit "
    "among gradients of class {label}",
    "ActivationClusteringFilter": "how much nearer it lies to the smaller of two "
    "clusters of class {label} than to the larger",
    "CrossFitFilter": "chance that its label is wrong, by models that did not see it",
    "AutoFilter": "suspicion",
    "NearCopyFilter": "rows in its group of near copies, whatever their label",
    "TrimFilter": "loss of a model trained on rows that it fits",
    "EPICFilter": "how soon its gradient stands alone among those of class {label}",
}
UNKNOWN = "how far out it lies among rows of class {label}"


def judge_part(version, filter_, X, y):
    """Fit a filter to all rows; the part that is kept when interrupted.

    ``members`` has for each filter that it is made of a dict with ``name``, ``kind``,
    ``distances``, ``thresholds`` and ``beyond``; ``failed`` says why there are none.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            members = _members(clone(filter_).fit(X, y), y)
        except ValueError as error:
            return {
                "members": [],
                "failed": one_line(error),
                "warnings": [],
            }
    texts = sorted({str(warning.message) for warning in caught})
    return {"members": members, "failed": None, "warnings": texts}


def _members(fitted, y, name=None):
    if hasattr(fitted, "filters_"):
        named = zip(fitted.named_filters_, fitted.filters_, strict=True)
        return [one for key, f in named for one in _members(f, y, key)]
    distances = -np.asarray(fitted.scores_, dtype=np.float64)
    offset = np.asarray(getattr(fitted, "offset_", np.nan), dtype=np.float64)
    codes = encode_labels(y, fitted.classes_)
    thresholds = -(offset[codes] if offset.ndim else np.full(len(codes), offset))
    return [
        {
            "name": name,
            "kind": _kind(fitted),
            "percentile": _percentile(fitted),
            "distances": distances,
            # Adding zero turns -0.0 into 0.0.
            "thresholds": thresholds + 0.0,
            "beyond": distances > thresholds
            if np.all(np.isfinite(thresholds))
            else ~fitted.inlier_mask_,
        }
    ]


def _kind(fitted):
    kind = type(fitted).__name__
    for variant in (getattr(fitted, "criterion", ""), getattr(fitted, "among", "")):
        if f"{kind} {variant}" in MEASURES:
            return f"{kind} {variant}"
    return kind


def _percentile(fitted):
    percentile = getattr(fitted, "_percentile", None)
    return None if percentile in (None, "auto") else float(percentile)


def suspects(
    inputs: Inputs, plan: Plan, suspected: dict, progress: Progress
) -> Outcome:
    """Rank rows: those that should not be trusted, then by how far they stand out.

    `suspected` is what AutoFilter found of each row. Found are the ``suspicious`` part
    of the report, and the positions of all rows, the most suspicious first.
    """
    filters = {
        None: default_filter(round(100 / (1 + plan.reference), 1)),
        **{k: f for k, f in plan.filters.items() if not isinstance(f, AutoFilter)},
    }
    part, y = plan.memory.cache(judge_part), inputs.y
    progress.begin("Judging rows", len(filters))
    jobs = (delayed(part)(__version__, f, inputs.X, y) for f in filters.values())
    jobs = plan.clock.while_there_is(jobs, 1)
    parallel = Parallel(n_jobs=plan.n_jobs, return_as="generator")
    parts = list(progress.over(parallel(jobs)))
    judges, left_out = _judges(inputs, dict(zip(filters, parts, strict=False)))
    left_out += suspected["left_out"]
    left_out += [
        {"what": f"judging by {name}", "reason": plan.clock.reason}
        for name in list(filters)[len(parts) :]
    ]
    scores = combined([judge["ranks"] for judge in judges])
    first = np.zeros(len(scores))
    if suspected["failed"]:
        what = {"what": "judging by AutoFilter", "reason": suspected["failed"]}
        left_out.append(what)
    else:
        first = np.where(suspected["rejected"], suspected["suspicion"], 0.0)
    order = np.lexsort((np.arange(len(scores)), -scores, -first))
    listed = _listed(inputs, judges, scores, order[: plan.top], suspected)
    warned = [text for found in (suspected, *parts) for text in found["warnings"]]
    return Outcome((listed, order), left_out, warned)


def _judges(inputs, parts):
    """Return the members of filters that tell rows apart, and what is left out."""
    judges, left_out = [], []
    for name, found in parts.items():
        for member in found["members"]:
            if np.ptp(member["distances"]) > 0:
                judges.append(_judge(name, member, inputs))
                continue
            what = f"judging by {_judge_name(name, member)}"
            reason = "it scores all rows alike, so it neither rejects nor ranks any"
            left_out.append({"what": what, "reason": reason})
        if found["failed"]:
            left_out.append({"what": f"filter {name}", "reason": found["failed"]})
    return judges, left_out


def _judge(name, member, inputs):
    """Complete a member: what it is called, and the ranks it gives the rows."""
    extents = relative(member["distances"], inputs.codes)
    return member | {
        "name": _judge_name(name, member),
        "ranks": rankdata(-extents, method="average"),
    }


def _judge_name(name, member):
    return " ".join(part for part in (name, member["name"]) if part)


def relative(distances: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Divide distances by their class's mean magnitude, so that classes compare.

    Both are of shape (n_rows,); distances that are excesses may be negative.
    """
    sums = np.bincount(codes, weights=np.abs(distances))
    means = sums / np.maximum(np.bincount(codes), 1)
    return distances / np.where(means > 0, means, 1.0)[codes]


def combined(ranks: list[np.ndarray]) -> np.ndarray:
    """Combine ranks of several filters into one score.

    The score is the mean of ``-log(rank / n)``: a row at random has 1 on average, and
    one that leads every list has ``log(n)``. Ranks go from 1, the most suspicious, to
    n; ties share the mean of their ranks.

    Examples
    --------
    >>> import numpy as np
    >>> combined([np.array([1, 2]), np.array([1, 2])]).round(2)
    array([0.69, 0.  ])
    """
    n_rows = len(ranks[0])
    # Adding zero turns -0.0 into 0.0.
    return -np.mean([np.log(r / n_rows) for r in ranks], axis=0) + 0.0


def _listed(inputs, judges, scores, rows, suspected) -> Suspicious:
    means = _class_means(inputs) if len(rows) else None
    failed = suspected["failed"]
    return {
        "n_rows": len(scores),
        "n_rejected": None if failed else int(suspected["rejected"].sum()),
        "classes": of_classes(inputs, suspected),
        "n_listed": len(rows),
        "filters": [
            {
                "filter": judge["name"],
                "percentile": judge["percentile"],
                "measures": _measure(judge)
                .replace("class {label}", "its own class")
                .replace("under label {label}", "under its own label")
                .replace("{label}", "its own"),
                "n_beyond": int(judge["beyond"].sum()),
            }
            for judge in judges
        ],
        "rows": [
            _row(inputs, judges, scores, int(i), rank, means, suspected)
            for rank, i in enumerate(rows, start=1)
        ],
    }


def _row(inputs, judges, scores, i, rank, means, suspected) -> SuspiciousRow:
    label = inputs.labels[inputs.codes[i]]
    return {
        "rank": rank,
        "position": i,
        "row": i + 1,
        "index": None if inputs.index is None else name_text(inputs.index[i]),
        "label": name_text(label),
        **of_row(suspected, i),
        "score": float(scores[i]),
        "n_beyond": sum(bool(judge["beyond"][i]) for judge in judges),
        "reasons": sorted(
            (_reason(judge, i, label) for judge in judges), key=lambda r: r["rank"]
        ),
        "features": _features(inputs, i, means),
    }


def _reason(judge, i, label) -> Reason:
    distance, threshold = float(judge["distances"][i]), float(judge["thresholds"][i])
    known = np.isfinite(threshold)
    limit = f" (threshold {loss_text(threshold)})" if known else ""
    return {
        "filter": judge["name"],
        "rank": float(judge["ranks"][i]),
        "distance": distance,
        "threshold": threshold if known else None,
        "beyond": bool(judge["beyond"][i]),
        "text": f"{_what(judge, name_text(label, 40))}: {loss_text(distance)}{limit}",
    }


def _what(judge, label):
    return _measure(judge).replace("{label}", label)


def _measure(judge):
    return MEASURES.get(judge["kind"], UNKNOWN)


def _class_means(inputs):
    """Return the classes' means as filters see them, and in their owner's units."""
    n_classes = len(inputs.classes)
    shape = (n_classes, len(inputs.codes))
    counts = np.bincount(inputs.codes)
    weights = 1.0 / counts[inputs.codes]
    rows = np.arange(len(inputs.codes))
    averages = sparse.csr_array((weights, (inputs.codes, rows)), shape=shape)
    means = averages @ inputs.X, averages @ inputs.given
    return [m.toarray() if sparse.issparse(m) else np.asarray(m) for m in means]


def _features(inputs, i, means) -> list[Feature]:
    """Name the features in which a row differs most from the mean of its class."""
    row, given = (_dense_row(X, i) for X in (inputs.X, inputs.given))
    center, usual = (of_class[inputs.codes[i]] for of_class in means)
    differences = row - center
    # Squares of shares of the largest one are finite, and not all zero.
    largest_one = np.abs(differences).max()
    squares = (differences / largest_one) ** 2 if largest_one else differences
    total = squares.sum()
    largest = np.argsort(-squares, kind="stable")[:EXPLAINED]
    return [
        {
            "feature": name_text(inputs.names[j]),
            "value": float(given[j]),
            "class_mean": float(usual[j]),
            "share": float(squares[j] / total),
        }
        for j in largest
        if squares[j] > 0
    ]


def _dense_row(X, i):
    row = X[[i]]
    return (row.toarray() if sparse.issparse(row) else row)[0].astype(np.float64)
