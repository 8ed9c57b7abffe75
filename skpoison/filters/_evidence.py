"""Which training rows to mistrust: the tests of AutoFilter, as functions of arrays.

In this order: rows far away; copies beyond chance; labels that contradict what models
say without the row, its near copies and the rows around it that nothing else is near
to; clusters of one label that contradict models without the whole cluster.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.utils.extmath import row_norms

from skpoison.filters._copies import Sized, Space, _blocks, _comparisons
from skpoison.filters._far import Far, Reach, far_rows
from skpoison.filters._folds import assign_folds
from skpoison.filters._label_noise import LabelNoise, fit_label_noise, smoothed_log
from skpoison.filters._near_copies import NearCopyFilter

# --- rows that only have one another as neighbors -------------------------------------

NEIGHBORS = 10
# Of the rows, or of those of a class: larger components are no groups.
LARGEST_COMPONENT = 0.2
LARGEST_OF_CLASS = 0.5
# Where more rows than that are in components, components are how honest rows lie.
USUAL_COMPONENTS = 0.25
SMALLEST = 5  # rows that contradict together


def nearest_rows(rows, k: int, rng) -> tuple:
    """Squared distances to, and positions of, the k nearest other rows, unordered."""
    n = rows.shape[0]
    best = np.full((n, k), np.inf)
    index = np.zeros((n, k), dtype=np.intp)
    everything = Sized.of(rows)
    for queries, members in _comparisons(rows, rng):
        others = everything.at(members)
        take = min(k, len(members))
        for block in _blocks(queries, len(members)):
            squares = everything.at(block).squares(others)
            squares[members == block[:, None]] = np.inf
            found = np.argpartition(squares, take - 1, axis=1)[:, :take]
            values = np.take_along_axis(squares, found, axis=1)
            values = np.concatenate([best[block], values], axis=1)
            where = np.concatenate([index[block], members[found]], axis=1)
            kept = np.argpartition(values, k - 1, axis=1)[:, :k]
            best[block] = np.take_along_axis(values, kept, axis=1)
            index[block] = np.take_along_axis(where, kept, axis=1)
    return best, index


def isolated_groups(rows, groups, codes, rng, k: int = NEIGHBORS) -> np.ndarray:
    """Join groups of near copies that have only one another as mutual neighbors.

    Where much of the data falls into such components, they say nothing: there the
    groups stay as they are.
    """
    first = np.unique(groups, return_index=True)[1]
    k = min(k, len(first) - 1)
    if k < 1:
        return groups
    squares, index = nearest_rows(rows[first], k, rng)
    there = np.isfinite(squares).ravel()
    ends = np.repeat(np.arange(len(first)), k)[there], index.ravel()[there]
    shape = (len(first), len(first))
    links = sparse.csr_array((np.ones(len(ends[0])), ends), shape=shape)
    joined = connected_components(links.multiply(links.T), directed=False)[1][groups]
    sizes = np.bincount(joined)
    totals = np.bincount(codes)
    counts = sparse.coo_array(
        (np.ones(len(codes)), (joined, codes)), shape=(len(sizes), len(totals))
    ).toarray()
    large = sizes > LARGEST_COMPONENT * len(codes)
    large |= (counts > LARGEST_OF_CLASS * totals).any(axis=1)
    if sizes[(sizes >= SMALLEST) & ~large].sum() > USUAL_COMPONENTS * len(codes):
        return groups
    joined = np.where(large[joined], len(sizes) + groups, joined)
    return np.unique(joined, return_inverse=True)[1]


# --- clusters of one label ------------------------------------------------------------

ROWS_OF_CLUSTER = 40
MOST_CLUSTERS = 12
DIRECTIONS = 50
FEWEST_TO_CLUSTER = 24


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


REGIONS = 6  # of a class, in which clusters that adjoin are left out together


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


# --- the tests in their order ---------------------------------------------------------

N_FOLDS = 5
# Rows are rejected where the chance that their label is wrong exceeds this: the best
# cut for F1 is half of the F1 that can be had, and poison is rarer than it looks.
CUT = 0.15
# Copies that models without them call right to this degree are honest, where copies are
# common; where there are hardly any others, no label makes them plausible.
SUPPORTED = 0.5
COMMON = 0.005
FEW_COPIES = 5  # rows: no more are common in no data
OUT_OF_PROPORTION = 4.0  # times the largest group that is in proportion
# Clusters: the mean probability of their label without them, by all models and by the
# first; how far out they must lie, the farther the less the models contradict; and how
# many times nearer they lie to each other than to others.
AGAINST = 0.25
OUTLYING, MORE_OUTLYING = 0.8, 6.0
AGAINST_APART, AGAINST_FIRST, AGAINST_SOME = 0.13, 0.15, 0.6
APART = 1.75
SMALLEST_CLUSTER = 8
SMALLEST_SHARE = 0.02  # of all rows; smaller ones are modes as often as poison
LARGEST_CLUSTER = 0.3  # of its class
MOST_IN_CLUSTERS = 0.06  # of all rows; beyond, classes have several modes
# Rows of the usual length, times this: longer ones are a heavy tail.
HEAVY = 2.0
LOOKED_AT = 200


class Evidence(NamedTuple):
    """What speaks against each row."""

    far: Far
    is_far: np.ndarray
    groups: np.ndarray  # of near copies, and of rows that are near to nothing else
    copies: np.ndarray  # how many near copies, where they are implausible; else 0
    probabilities: np.ndarray  # (n_rows, n_classes), out of fold; NaN where unjudged
    noise: LabelNoise | None
    chance: np.ndarray  # that the label is wrong
    in_group: (
        np.ndarray
    )  # the label of the row's whole group or cluster is contradicted

    @property
    def flagged(self):
        """Rows that any test rejects."""
        return self.is_far | (self.copies > 0) | (self.chance > CUT) | self.in_group


def find_evidence(
    numbers, codes: np.ndarray, predict: Callable, counts: np.ndarray, rng
) -> Evidence:
    """Run all tests.

    ``predict(rows, folds)`` returns out-of-fold probabilities of shape (n_models,
    n_rows, n_classes) for some of the rows; ``counts`` says for each model how many
    observations its probabilities are worth.
    """
    reach = Reach.of(numbers, codes)
    spaces = [reduced(reach.compressed(numbers), rng)]
    if not sparse.issparse(numbers):
        spaces.append(reduced(numbers, rng))
    few = spaces[0] if _is_heavy_tailed(numbers) else spaces[-1]
    far = far_rows(numbers, spaces, reach, codes, rng)
    is_far = far.beyond > 0
    found = _near_copies(numbers, codes, rng)
    space = Space.of(numbers, "euclidean", rng)
    groups = isolated_groups(space.enter(numbers), found.groups_, codes, rng)
    rest = np.flatnonzero(~is_far)
    n_classes = codes.max() + 1
    evidence = Evidence(
        far, is_far, groups, np.zeros(len(codes), dtype=np.intp),
        np.full((len(codes), n_classes), np.nan), None,
        np.zeros(len(codes)), np.zeros(len(codes), dtype=bool),
    )  # fmt: skip
    if n_classes > 1:
        evidence = _judge_labels(evidence, rest, codes, predict, counts, rng)
    sizes = np.bincount(found.groups_)
    evidence.copies[:] = _implausible(found, sizes, codes, evidence.probabilities)
    if n_classes > 1:
        left = rest[~evidence.flagged[rest]]
        where = clusters_against(few, evidence, left, codes, predict, rng)
        evidence.in_group[where] = True
    return evidence


def _is_heavy_tailed(numbers):
    """Whether some rows are so long that clusters would be of these alone."""
    lengths = np.sqrt(row_norms(numbers, squared=True))
    return np.quantile(lengths, 0.98) > HEAVY * np.median(lengths)


def _near_copies(numbers, codes, rng):
    """Groups of near copies, and which of them chance does not explain.

    Honest rows are there twice more often than three times; where it is the other way
    round, three are too many.
    """
    found = NearCopyFilter(random_state=rng).fit(numbers, codes)
    sizes = np.bincount(found.groups_)
    more = sizes[sizes > 2]
    if len(more) > np.sum(sizes == 2) and more.sum() > SMALLEST - 2:
        found = NearCopyFilter(max_size=2, random_state=rng).fit(numbers, codes)
    return found


def _judge_labels(evidence, rest, codes, predict, counts, rng):
    groups = np.unique(evidence.groups[rest], return_inverse=True)[1]
    folds = assign_folds(codes[rest], groups, N_FOLDS, rng)
    said = predict(rest, folds)
    judged = ~np.isnan(said).any(axis=(0, 2))
    rows, said = rest[judged], said[:, judged]
    if not len(rows):
        return evidence
    logs = np.stack([smoothed_log(p, n) for p, n in zip(said, counts, strict=True)])
    weights = 1 / np.bincount(groups)[groups[judged]]
    noise = fit_label_noise(logs, codes[rows], weights)
    evidence.probabilities[rows] = said.mean(axis=0)
    evidence.chance[rows] = noise.chance_of_wrong(codes[rows])
    evidence.in_group[:] = _contradicted_groups(evidence, codes)
    return evidence._replace(noise=noise)


def _own_and_other(probabilities, codes):
    """Probabilities of each row's label, and of the most probable other one."""
    everyone = np.arange(len(codes))
    others = np.nan_to_num(probabilities, nan=1 / probabilities.shape[1])
    own = others[everyone, codes]
    others[everyone, codes] = -1
    return own, others.max(axis=1)


def _contradicted_groups(evidence, codes):
    """Rows whose whole group has a label that models without it find improbable."""
    own, other = _own_and_other(evidence.probabilities, codes)
    out = np.zeros(len(codes), dtype=bool)
    sizes = np.bincount(evidence.groups)
    order = np.argsort(evidence.groups, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    for group in np.flatnonzero(sizes >= SMALLEST):
        members = order[starts[group] : starts[group + 1]]
        label = np.bincount(codes[members]).argmax()
        rows = members[codes[members] == label]
        is_most = 2 * len(rows) > len(members) and len(rows) >= SMALLEST
        if is_most and own[rows].mean() < 0.5 * other[rows].mean():
            out[rows] = True
    if out.sum() > MOST_IN_CLUSTERS * len(codes):
        return np.zeros(len(codes), dtype=bool)
    return out


def _implausible(found, sizes, codes, probabilities):
    """How many copies rows have, where there are too many under one label."""
    copies = np.zeros(len(codes), dtype=np.intp)
    own, _ = _own_and_other(probabilities, codes)
    large = {found.groups_[group.rows[0]] for group in found.copies_}
    others = np.delete(sizes, list(large))
    are_common = others[others > 1].sum() > max(COMMON * len(codes), FEW_COPIES)
    usual = others.max(initial=1)
    for group in sorted(found.copies_, key=lambda group: len(group.rows)):
        n = len(group.rows)
        in_proportion = n <= OUT_OF_PROPORTION * usual
        label = np.bincount(codes[group.rows]).argmax()
        rows = group.rows[codes[group.rows] == label]
        if are_common and in_proportion and own[rows].mean() >= SUPPORTED:
            usual = max(usual, n)
        elif probabilities.shape[1] == 1 or 2 * len(rows) > n:
            copies[rows] = n
    return copies


def clusters_against(few, evidence, rest, codes, predict, rng) -> np.ndarray:
    """Rows of clusters of one label that models without the cluster contradict.

    A class may have honest modes that models do not guess from the others. Clusters
    count as planted only where they are few and small and, besides, lie far out for
    their class or apart from all other rows.
    """
    nothing = np.zeros(0, dtype=np.intp)
    if len(rest) < FEWEST_TO_CLUSTER or len(np.unique(codes[rest])) < 2:
        return nothing
    known = np.unique(codes[rest], return_inverse=True)[1]
    clusters, regions = label_clusters(few[rest], known, rng)
    folds = assign_folds(known, regions, N_FOLDS, rng)
    said = predict(rest, folds)
    own = said[:, np.arange(len(rest)), codes[rest]]
    totals = np.bincount(known)
    smallest = max(SMALLEST_CLUSTER, SMALLEST_SHARE * len(codes))
    suspects = [
        rows
        for rows in np.split(
            np.argsort(clusters, kind="stable"), np.cumsum(np.bincount(clusters))[:-1]
        )
        if smallest <= len(rows) <= LARGEST_CLUSTER * totals[known[rows[0]]]
        and _is_against(few[rest], evidence.far.spread_out[rest], own, rows, rng)
    ]
    if not suspects:
        return nothing
    rows = np.concatenate(suspects)
    if len(rows) > MOST_IN_CLUSTERS * len(rest):
        return nothing
    chosen, other = _own_and_other(np.mean(said, axis=0)[rows], codes[rest][rows])
    return rest[rows[chosen < other]]


def _is_against(points, spread_out, own, rows, rng):
    by_model = own[:, rows].mean(axis=1)
    if np.isnan(by_model).any():
        return False
    mean = by_model.mean()
    needed = OUTLYING + MORE_OUTLYING * mean
    if mean < AGAINST and spread_out[rows].mean() > needed:
        return True
    against_first = by_model[0] < AGAINST_FIRST and by_model.max() < AGAINST_SOME
    if mean < AGAINST_APART or against_first:
        return _apart(points, rows, rng) > APART
    return False


def _apart(points, rows, rng):
    """How many times farther other rows are than the third nearest of the cluster."""
    some = rng.permutation(rows)[:LOOKED_AT]
    everything = Sized.of(points)
    inside = np.zeros(len(points), dtype=bool)
    inside[rows] = True
    squares = np.maximum(everything.at(some).squares(everything), 0)
    squares[np.arange(len(some)), some] = np.inf
    third = np.partition(squares[:, inside], 2, axis=1)[:, 2]
    outside = squares[:, ~inside].min(axis=1)
    return np.sqrt(np.median(outside) / max(np.median(third), np.finfo(float).tiny))
