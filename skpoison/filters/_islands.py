"""Clusters of one label that models contradict which were fitted without them.

A class may have honest modes that models do not guess from the others. What tells
planted clusters from these: planted ones are few and small; and they lie far out for
their class, or apart from all other rows, or, if they are rows of another class with
changed labels, in the midst of that class, as close to its rows as these are to one
another. Honest modes have a gap around them, or mix with the rows around them.
"""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import AgglomerativeClustering, KMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import row_norms

from skpoison.filters._cells import Cells, Sized, nearest_of, nearest_rows
from skpoison.filters._folds import N_FOLDS, assign_folds, own_and_rival
from skpoison.filters._many_rows import drawn, mapped
from skpoison.filters._nearest import members_of
from skpoison.filters._pockets import Pockets, nearest_alike, pockets

DIRECTIONS = 50
# Clusters of a class.
ROWS_OF_CLUSTER = 40
MOST_CLUSTERS = 12
FEWEST_TO_CLUSTER = 24
REGIONS = 6  # of a class, in which clusters that adjoin are left out together
# What may be planted: the number of rows, and their share of all rows (smaller clusters
# are modes as often as poison), of their class, and of all rows in all such clusters.
SMALLEST_CLUSTER = 8
SMALLEST_SHARE, SMALLEST_ISLAND = 0.02, 0.01
LARGEST_CLUSTER = 0.3
MOST_IN_CLUSTERS = 0.06
# The mean probability of their label without them, by all models and by the first; how
# far out they must lie, the farther the less the models contradict; and how many times
# nearer they lie to each other than to others.
AGAINST = 0.25
OUTLYING, MORE_OUTLYING = 0.8, 6.0
AGAINST_APART, AGAINST_FIRST, AGAINST_SOME = 0.13, 0.15, 0.6
APART, APART_ISLAND = 1.75, 2.5  # islands are chosen for what models say of each row
SUPPORTED, USUAL = 0.5, 0.9  # clusters of this probability, and quantile of their gaps
BEYOND_USUAL = 1.25
# Islands, rows of another class: the probability of the label of each row and of all;
# how many agree which class it is; how many rows around them bear their label; and by
# which factors the gap around them, and how much they keep to themselves, may leave the
# range of these around as many rows of that class.
AGAINST_ROW, AGAINST_EMBEDDED = 0.3, 0.1
# Where no other pocket, of half the size or larger, is contradicted nearly as clearly,
# the label may be more probable, and more rows around may bear it.
CLEARER, MOST_AGAINST_EMBEDDED, OF_SIZE = 3.0, 0.2, 0.5
FEWEST_OF_ISLAND = 4
AGREED, OWN_AROUND = 0.8, 0.12
NEIGHBORS, HALF_AROUND = 10, 5
USUALLY_AGAINST = 0.35  # of the other rows of a class: models do not know it
SLACK, SLACK_OF_OWN = 1.15, 0.65
TAKES_ALONG = 0.4  # of a cluster, that is left out with its doubtful rows
REFERENCES = 12
LOOKED_AT = 200
ROWS_AT_ONCE = 20


def reduced(numbers, rng) -> np.ndarray:
    """The rows in few dimensions, with what these leave out as the last column."""
    columns = numbers.shape[1]
    if not sparse.issparse(numbers) and columns <= DIRECTIONS + 10:
        return numbers
    few = min(DIRECTIONS, min(numbers.shape) - 1)
    if few < 1:
        return numbers.toarray() if sparse.issparse(numbers) else numbers
    with np.errstate(invalid="ignore", divide="ignore"):  # rows may be all the same
        if sparse.issparse(numbers):
            scores = TruncatedSVD(few, random_state=rng).fit_transform(numbers)
            left = _left_out(scores, row_norms(numbers, squared=True))
            return np.column_stack([scores, left - left.mean()])
        some = drawn(numbers, np.arange(numbers.shape[0]), rng)
        found = PCA(few, random_state=rng, svd_solver="randomized").fit(some)
        middle = _with_left_out(some, found, 0.0)[:, -1].mean()
        return mapped(numbers, lambda rows: _with_left_out(rows, found, middle))


def _with_left_out(rows, found, middle):
    """Coordinates along a few directions, and what these leave out."""
    scores = found.transform(rows)
    left = _left_out(scores, row_norms(rows - found.mean_, squared=True))
    return np.column_stack([scores, left - middle])


def _left_out(scores, squares):
    return np.sqrt(np.maximum(squares - row_norms(scores, squared=True), 0))


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
        with warnings.catch_warnings():
            # Fewer distinct rows make fewer clusters.
            warnings.simplefilter("ignore", ConvergenceWarning)
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
    other: np.ndarray  # its probability, the mean of all models
    doubtful: np.ndarray  # labels that models were unsure of that saw rows around
    n_joined: np.ndarray  # rows that were rejected before, nearest to each of these
    pockets: Pockets

    @property
    def against(self) -> np.ndarray:
        """Rows whose own label is improbable."""
        return self.own.mean(axis=0) < AGAINST_ROW

    @classmethod
    def of(cls, points, codes, spread_out, said) -> "_Judged":
        """Split what models say into the label and its rival."""
        own = said[:, np.arange(len(codes)), codes]
        _, rival, other = own_and_rival(np.mean(said, axis=0), codes)
        everyone, nobody = np.ones(len(codes), bool), np.zeros(len(codes), np.intp)
        return cls(
            points, codes, spread_out, own, rival, other, everyone, nobody,
            Pockets([], []),
        )  # fmt: skip


def clusters_against(
    points: np.ndarray, codes: np.ndarray, spread_out: np.ndarray,
    predict: Callable, n_all: int, rng, doubtful: np.ndarray | None = None,
    rejected: tuple | None = None,
) -> np.ndarray:  # fmt: skip
    """Positions of rows whose cluster contradicts models without it, and is suspect.

    ``predict(folds)`` returns out-of-fold probabilities of shape (n_models, n_rows,
    n_classes); ``n_all`` is how many rows there are, those included that were rejected
    before. ``doubtful`` rows, whose label models were unsure of that saw rows around
    them, are left out together with those. ``rejected`` are points and codes of rows
    whose labels were rejected before: they count as rows of the nearest island.
    """
    if len(codes) < FEWEST_TO_CLUSTER or len(np.unique(codes)) < 2:
        return np.zeros(0, dtype=np.intp)
    known = np.unique(codes, return_inverse=True)[1]
    clusters, regions = label_clusters(points, known, rng)
    links = _links(points, known, rng)
    found = Pockets([], [])
    if doubtful is not None:
        found = pockets(points, known, doubtful, rng)
        regions = _with_islands(regions, clusters, links, doubtful)
        regions = _with_pockets(regions, found.large)
    said = predict(assign_folds(known, regions, N_FOLDS, rng))
    judged = _Judged.of(points, codes, spread_out, said)
    judged = judged._replace(pockets=found)
    if doubtful is not None:
        judged = judged._replace(doubtful=doubtful)
    if rejected is not None:
        judged = judged._replace(n_joined=_n_joined(points, codes, *rejected))
    return _planted(judged, clusters, links, n_all, rng)


def _with_pockets(regions, found):
    """Regions of which each pocket is one."""
    regions = regions.copy()
    for rows in found:
        regions[rows] = regions.max() + 1
    return np.unique(regions, return_inverse=True)[1]


def _n_joined(points, codes, others, of_others):
    """To how many of the others each row is the nearest of their label."""
    alike = np.isin(of_others, codes)
    nearest = nearest_alike(points, codes, others[alike], of_others[alike])
    return np.bincount(nearest, minlength=len(codes))


def like_rejected(
    points, codes: np.ndarray, some: np.ndarray, rejected: np.ndarray,
    others: np.ndarray, predict: Callable,
) -> np.ndarray:  # fmt: skip
    """Other rows whose nearest row of their class, among some, is a rejected one.

    Models fitted without these, and without the rejected ones, contradict them, too.
    """
    alike = [np.zeros(0, dtype=np.intp)]
    for code in np.unique(codes[rejected]):
        known = some[codes[some] == code]
        asked = others[codes[others] == code]
        nearest = nearest_of(points[known], points, asked)
        alike.append(asked[np.isin(known[nearest], rejected)])
    rows = np.concatenate(alike)
    if not len(rows):
        return rows
    fitted_on = np.setdiff1d(some, rejected)
    folds = np.repeat([-1, 0], [len(fitted_on), len(rows)])
    said = predict(np.r_[fitted_on, rows], folds)[:, len(fitted_on) :].mean(axis=0)
    own, _, other = own_and_rival(np.nan_to_num(said), codes[rows])
    return rows[own < other]


def _planted(judged, clusters, links, n_all, rng):
    against = [
        rows
        for rows in _contradicted(judged, clusters)
        if len(rows) >= SMALLEST_SHARE * n_all
    ]
    islands = [
        rows
        for rows in _islands(judged, links)
        if len(rows) + judged.n_joined[rows].sum() >= SMALLEST_ISLAND * n_all
        and _is_contradicted(judged, rows)
    ]
    gap = _largest_usual_gap(judged, clusters, rng) if against or islands else APART
    suspects = [rows for rows in against if _is_suspect(judged, rows, gap, rng)]
    wide = max(gap, APART_ISLAND)
    apart = [rows for rows in islands if _is_apart(judged, rows, wide, rng)]
    embedded = [rows for rows in islands if _is_embedded(judged, rows, rng)]
    few = [
        rows
        for kind in (suspects, apart, embedded)
        if len(_joined(kind)) <= MOST_IN_CLUSTERS * len(judged.codes)
        for rows in kind
    ]
    rows = _joined(few)
    own = judged.own[:, rows].mean(axis=0)
    return rows[own < judged.other[rows]]


def _joined(several):
    """Rows that are in any of several groups, which may overlap."""
    return np.unique(np.concatenate([np.zeros(0, dtype=np.intp), *several]))


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


def _largest_usual_gap(judged, clusters, rng):
    """The gap around clusters that models agree with: honest modes may lie apart."""
    everyone = np.arange(len(judged.codes))
    gaps = [
        _Surroundings.of(judged.points, rows, everyone, rng, LOOKED_AT // 4).gap
        for rows in members_of(clusters, range(clusters.max() + 1))
        if len(rows) >= SMALLEST_CLUSTER and judged.own[:, rows].mean() >= SUPPORTED
    ]
    return max(APART, BEYOND_USUAL * np.quantile(gaps, USUAL)) if gaps else APART


def _is_suspect(judged, rows, gap, rng):
    """Whether the cluster lies far out for its class, or apart from all other rows."""
    by_model = judged.own[:, rows].mean(axis=1)
    mean = by_model.mean()
    needed = OUTLYING + MORE_OUTLYING * mean
    if mean < AGAINST and judged.spread_out[rows].mean() > needed:
        return True
    return _is_apart(judged, rows, gap, rng)


def _is_apart(judged, rows, gap, rng):
    """Whether the rows lie apart from all others, and models contradict them."""
    by_model = judged.own[:, rows].mean(axis=1)
    against_first = by_model[0] < AGAINST_FIRST and by_model.max() < AGAINST_SOME
    if by_model.mean() < AGAINST_APART or against_first:
        everyone = np.arange(len(judged.codes))
        return _Surroundings.of(judged.points, rows, everyone, rng).gap > gap
    return False


def _islands(judged, links):
    """Rows of one label that are near to each other, and each is contradicted."""
    if judged.against.sum() < FEWEST_OF_ISLAND:
        return []
    dense = [rows[judged.against[rows]] for rows in judged.pockets.dense]
    dense = [rows for rows in dense if len(rows) >= FEWEST_OF_ISLAND]
    return _near_together(links, judged.against) + dense


def _with_islands(regions, clusters, links, doubtful):
    """Regions of which doubtful rows that are near to each other are one each.

    Clusters of which they are a large part are left out with them.
    """
    regions = regions.copy()
    sizes = np.bincount(clusters)
    for rows in _near_together(links, doubtful):
        shares = np.bincount(clusters[rows], minlength=len(sizes)) / sizes
        inside = shares[clusters] >= TAKES_ALONG
        inside[rows] = True
        if inside.sum() <= MOST_IN_CLUSTERS * len(regions):
            regions[inside] = regions.max() + 1
    return np.unique(regions, return_inverse=True)[1]


def _links(points, codes, rng):
    """Which rows of the same label are near to each other, a symmetric matrix."""
    few = min(NEIGHBORS, len(codes) - 1)
    distances, near = nearest_rows(points, few, Cells.of(points, rng))
    left, right = np.repeat(np.arange(len(near)), few), near.ravel()
    same = (codes[left] == codes[right]) & np.isfinite(distances).ravel()
    ends = np.r_[left[same], right[same]], np.r_[right[same], left[same]]
    return sparse.csr_array((np.ones(len(ends[0]), bool), ends), (len(near),) * 2)


def _near_together(links, chosen):
    """Groups of chosen rows that are linked, of the least size."""
    rows = np.flatnonzero(chosen)
    groups = connected_components(links[rows][:, rows], directed=False)[1]
    large = np.flatnonzero(np.bincount(groups) >= FEWEST_OF_ISLAND)
    return [rows[members] for members in members_of(groups, large)]


def _is_contradicted(judged, rows):
    """Whether models agree on another class, which they do not of the class's rest."""
    label = judged.codes[rows[0]]
    _, votes = np.unique(judged.rival[rows], return_counts=True)
    others = np.setdiff1d(np.flatnonzero(judged.codes == label), rows)
    return (
        votes.max() >= AGREED * len(rows)
        and len(judged.codes) > len(rows) + NEIGHBORS
        and len(others) > 0
        and min(judged.against[others].mean(), judged.doubtful[others].mean())
        <= USUALLY_AGAINST
    )


def _most_own(judged, rows):
    """How probable the label of an island may be: less so than of other pockets."""
    others = [
        judged.own[:, other].mean()
        for other in judged.pockets.large
        if len(other) >= OF_SIZE * len(rows) and not np.isin(other, rows).any()
    ]
    usual = min(others, default=1.0)
    return np.clip(usual / CLEARER, AGAINST_EMBEDDED, MOST_AGAINST_EMBEDDED)


def _is_embedded(judged, rows, rng):
    """Whether the rows lie amidst another class as rows of that class do."""
    points, codes = judged.points, judged.codes
    most_own = _most_own(judged, rows) if judged.pockets.large else AGAINST_EMBEDDED
    if judged.own[:, rows].mean() > most_own:
        return False
    found = _Surroundings.of(points, rows, np.arange(len(codes)), rng)
    own_around = np.mean(codes[found.outside] == codes[rows[0]])
    if own_around > max(OWN_AROUND, most_own):
        return False
    rival = np.bincount(judged.rival[rows]).argmax()
    usual = _usual_surroundings(points, np.flatnonzero(codes == rival), len(rows), rng)
    if not usual:
        return False
    gaps, own = zip(*usual, strict=True)
    if found.own < SLACK_OF_OWN * min(own):
        return False
    return min(gaps) / SLACK <= found.gap <= max(gaps) * SLACK


class _Surroundings(NamedTuple):
    """What lies around some rows that are near to each other."""

    squares: np.ndarray  # squared distances of some of the rows to everyone else
    inside: np.ndarray  # which of these are the rows
    positions: np.ndarray

    @classmethod
    def of(cls, points, rows, everyone, rng, n=LOOKED_AT) -> "_Surroundings":
        """Surroundings of rows among everyone; positions are those of points."""
        some = rng.permutation(rows)[:n]
        squares = _squares(points, some, everyone)
        squares[some[:, None] == everyone] = np.inf
        return cls(squares, np.isin(everyone, rows), everyone)

    @property
    def gap(self) -> float:
        """How many times farther rows outside are than the third nearest inside."""
        within = self.squares[:, self.inside]
        rank = min(2, within.shape[1] - 2)
        third = np.median(np.partition(within, rank, axis=1)[:, rank])
        others = self.squares.min(axis=1, initial=np.inf, where=~self.inside)
        nearest = np.median(others)
        with np.errstate(over="ignore"):
            return np.sqrt(nearest / max(third, np.finfo(float).tiny))

    @property
    def own(self) -> float:
        """Share of the rows themselves among those nearest to them."""
        few = min(NEIGHBORS, np.count_nonzero(self.inside) - 1)
        return self.inside[_smallest(self.squares, few)].mean()

    @property
    def outside(self) -> np.ndarray:
        """The nearest others, of each row."""
        outside = np.flatnonzero(~self.inside)
        return self.positions[outside[_smallest(self.squares, HALF_AROUND, outside)]]


def _smallest(squares, k, columns=slice(None)):
    """Where the smallest values of some columns are; few rows of these at once."""
    parts = np.array_split(squares, max(1, len(squares) // ROWS_AT_ONCE))
    where = [np.argpartition(part[:, columns], k - 1, axis=1)[:, :k] for part in parts]
    return np.concatenate(where)


def _usual_surroundings(points, rows, n, rng):
    """Gap and own share around the n nearest rows of random ones, if there are so many.

    So do islands lie whose labels alone differ from what is around.
    """
    if len(rows) < 2 * n or len(rows) < n + HALF_AROUND:
        return []
    found = []
    for center in rng.choice(rows, REFERENCES):
        order = _squares(points, np.array([center]), rows)[0].argsort(kind="stable")
        around = _Surroundings.of(points, rows[order[:n]], rows, rng)
        found.append((around.gap, around.own))
    return found


def _squares(points, rows, others):
    squares = Sized.of(points[rows]).squares(Sized.of(points[others]))
    return np.maximum(squares, 0, out=squares)
