"""Clusters of one label that models contradict which were fitted without them.

A class may have honest modes that models do not guess from the others. What tells
planted clusters from these: planted ones are few and small; and they lie far out for
their class, or apart from all other rows, or, if they are rows of another class with
changed labels, in the midst of that class, as close to its rows as these are to one
another. Honest modes have a gap around them, or mix with the rows around them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.utils.extmath import row_norms

from skpoison.filters._copies import Sized
from skpoison.filters._folds import assign_folds
from skpoison.filters._nearest import members_of

N_FOLDS = 5
DIRECTIONS = 50
# Clusters of a class.
ROWS_OF_CLUSTER = 40
MOST_CLUSTERS = 12
FEWEST_TO_CLUSTER = 24
REGIONS = 6  # of a class, in which clusters that adjoin are left out together
# What may be planted: the number of rows, and their share of all rows (smaller clusters
# are modes as often as poison), of their class, and of all rows in all such clusters.
SMALLEST_CLUSTER = 8
SMALLEST_SHARE, SMALLEST_EMBEDDED = 0.02, 0.01
LARGEST_CLUSTER = 0.3
MOST_IN_CLUSTERS = 0.06
# The mean probability of their label without them, by all models and by the first; how
# far out they must lie, the farther the less the models contradict; and how many times
# nearer they lie to each other than to others.
AGAINST = 0.25
OUTLYING, MORE_OUTLYING = 0.8, 6.0
AGAINST_APART, AGAINST_FIRST, AGAINST_SOME = 0.13, 0.15, 0.6
APART = 1.75
# Rows of another class: the probability of their label; how many agree which class it
# is; how many rows around them bear their label; and by which factor the gap around
# them may leave the range of gaps around as many rows of that class.
AGAINST_EMBEDDED = 0.15
AGREED, OWN_AROUND = 0.6, 0.15
AROUND = 5
SLACK = 1.15
REFERENCES = 12
LOOKED_AT = 200


def reduced(numbers, rng) -> np.ndarray:
    """The rows in few dimensions, with what these leave out as the last column."""
    columns = numbers.shape[1]
    if not sparse.issparse(numbers) and columns <= DIRECTIONS + 10:
        return numbers
    few = min(DIRECTIONS, min(numbers.shape) - 1)
    if few < 1:
        return numbers.toarray() if sparse.issparse(numbers) else numbers
    if sparse.issparse(numbers):
        scores = TruncatedSVD(few, random_state=rng).fit_transform(numbers)
        squares = row_norms(numbers, squared=True)
    else:
        found = PCA(few, random_state=rng, svd_solver="randomized").fit(numbers)
        scores = found.transform(numbers)
        squares = row_norms(numbers - found.mean_, squared=True)
    left = np.sqrt(np.maximum(squares - row_norms(scores, squared=True), 0))
    return np.column_stack([scores, left - left.mean()])


def label_clusters(rows: np.ndarray, codes: np.ndarray, rng) -> tuple:
    """Cut each class into compact clusters, and into regions of these."""
    out = np.zeros(len(codes), dtype=np.intp)
    regions = np.zeros(len(codes), dtype=np.intp)
    at = 0
    for code in range(codes.max() + 1):
        own = np.flatnonzero(codes == code)
        n_clusters = min(max(len(own) // ROWS_OF_CLUSTER, 3), MOST_CLUSTERS)
        if len(own) < FEWEST_TO_CLUSTER:
            n_clusters = 1
        means = KMeans(n_clusters, n_init=1, random_state=rng).fit(rows[own])
        region = np.arange(n_clusters)
        if n_clusters > REGIONS:
            joined = AgglomerativeClustering(REGIONS).fit(means.cluster_centers_)
            region = joined.labels_
        out[own] = at + means.labels_
        regions[own] = at + region[means.labels_]
        at += n_clusters
    return tuple(np.unique(each, return_inverse=True)[1] for each in (out, regions))


class _Judged(NamedTuple):
    """Rows in few dimensions, and what models say that were fitted without them."""

    points: np.ndarray
    codes: np.ndarray
    spread_out: np.ndarray  # deviations from the bulk of the class
    own: np.ndarray  # (n_models, n_rows): probability of the label
    rival: np.ndarray  # the most probable other class

    @classmethod
    def of(cls, points, codes, spread_out, said) -> "_Judged":
        """Split what models say into the label and its rival."""
        everyone = np.arange(len(codes))
        others = np.mean(said, axis=0)
        others[everyone, codes] = -1
        return cls(
            points, codes, spread_out, said[:, everyone, codes], others.argmax(axis=1)
        )


def clusters_against(
    points: np.ndarray, codes: np.ndarray, spread_out: np.ndarray,
    predict: Callable, n_all: int, rng,
) -> np.ndarray:  # fmt: skip
    """Positions of rows whose cluster contradicts models without it, and is suspect.

    ``predict(folds)`` returns out-of-fold probabilities of shape (n_models, n_rows,
    n_classes); ``n_all`` is how many rows there are, those included that were rejected
    before.
    """
    nothing = np.zeros(0, dtype=np.intp)
    if len(codes) < FEWEST_TO_CLUSTER or len(np.unique(codes)) < 2:
        return nothing
    known = np.unique(codes, return_inverse=True)[1]
    clusters, regions = label_clusters(points, known, rng)
    said = predict(assign_folds(known, regions, N_FOLDS, rng))
    judged = _Judged.of(points, codes, spread_out, said)
    against = _contradicted(judged, clusters)
    suspects = [rows for rows in against if _is_suspect(judged, rows, n_all, rng)]
    embedded = [
        rows
        for rows in against
        if len(rows) >= SMALLEST_EMBEDDED * n_all
        and _is_embedded(judged, rows, against, rng)
    ]
    few = [
        rows
        for kind in (suspects, embedded)
        if sum(map(len, kind)) <= MOST_IN_CLUSTERS * len(codes)
        for rows in kind
    ]
    rows = np.unique(np.concatenate([nothing, *few]))
    others = np.mean(said, axis=0)[rows, judged.rival[rows]]
    return rows[judged.own[:, rows].mean(axis=0) < others]


def _contradicted(judged, clusters):
    """Clusters that are no large part of their class, whose label is improbable."""
    totals = np.bincount(judged.codes)
    out = []
    for rows in members_of(clusters, range(clusters.max() + 1)):
        few = len(rows) <= LARGEST_CLUSTER * totals[judged.codes[rows[0]]]
        by_model = judged.own[:, rows].mean(axis=1)
        improbable = by_model.mean() < AGAINST or by_model[0] < AGAINST_FIRST
        if few and len(rows) >= SMALLEST_CLUSTER and improbable:
            out.append(rows)
    return out


def _is_suspect(judged, rows, n_all, rng):
    """Whether the cluster lies far out for its class, or apart from all other rows."""
    if len(rows) < SMALLEST_SHARE * n_all:
        return False
    by_model = judged.own[:, rows].mean(axis=1)
    mean = by_model.mean()
    needed = OUTLYING + MORE_OUTLYING * mean
    if mean < AGAINST and judged.spread_out[rows].mean() > needed:
        return True
    against_first = by_model[0] < AGAINST_FIRST and by_model.max() < AGAINST_SOME
    if mean < AGAINST_APART or against_first:
        outside = np.setdiff1d(np.arange(len(judged.codes)), rows)
        return _gap(judged.points, rows, outside, rng) > APART
    return False


def _is_embedded(judged, rows, against, rng):
    """Whether the cluster lies amidst another class as rows of that class do."""
    points, codes = judged.points, judged.codes
    rivals, votes = np.unique(judged.rival[rows], return_counts=True)
    rival, label = rivals[votes.argmax()], codes[rows[0]]
    is_agreed = votes.max() >= AGREED * len(rows)
    if judged.own[:, rows].mean() > AGAINST_EMBEDDED or not is_agreed:
        return False
    # An island in several clusters is one.
    island = np.concatenate([other for other in against if codes[other[0]] == label])
    outside = np.setdiff1d(np.arange(len(codes)), island)
    if len(outside) <= AROUND or _own_around(judged, rows, outside, rng) > OWN_AROUND:
        return False
    usual = _usual_gaps(points, np.flatnonzero(codes == rival), len(rows), rng)
    if usual is None:
        return False
    gap = _gap(points, rows, outside, rng)
    return usual.min() / SLACK <= gap <= usual.max() * SLACK


def _own_around(judged, rows, outside, rng):
    """Share of the rows' own label among the nearest rows outside."""
    some = rng.permutation(rows)[:LOOKED_AT]
    squares = _squares(judged.points, some, outside)
    near = np.argpartition(squares, AROUND - 1, axis=1)[:, :AROUND]
    return np.mean(judged.codes[outside[near]] == judged.codes[rows[0]])


def _usual_gaps(points, rows, n, rng):
    """Gaps around the n nearest rows of random ones; None where there are not so many.

    So large are gaps around islands whose labels alone differ from what is around.
    """
    if len(rows) < 2 * n:
        return None
    gaps = []
    for center in rng.choice(rows, REFERENCES):
        order = _squares(points, np.array([center]), rows)[0].argsort(kind="stable")
        gaps.append(_gap(points, rows[order[:n]], rows[order[n:]], rng))
    return np.array(gaps)


def _gap(points, rows, outside, rng):
    """How many times farther rows outside are than the third nearest of the cluster."""
    some = rng.permutation(rows)[:LOOKED_AT]
    squares = _squares(points, some, rows)
    squares[some[:, None] == rows] = np.inf
    third = np.partition(squares, 2, axis=1)[:, 2]
    nearest = _squares(points, some, outside).min(axis=1)
    return np.sqrt(np.median(nearest) / max(np.median(third), np.finfo(float).tiny))


def _squares(points, rows, others):
    squares = Sized.of(points[rows]).squares(Sized.of(points[others]))
    return np.maximum(squares, 0, out=squares)
