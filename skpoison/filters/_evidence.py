"""The tests of AutoFilter for suspicious training rows, as functions of arrays.

In this order: far rows; more copies than expected by chance; labels that contradict
models fitted without the row, its near copies and its isolated group; clusters of one
label that contradict models fitted without the whole cluster.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import row_norms

from skpoison.filters._copies import CopySpace, groups_of
from skpoison.filters._far import Far, Reach, far_rows
from skpoison.filters._folds import N_FOLDS, assign_folds, own_and_rival
from skpoison.filters._islands import MOST_IN_CLUSTERS, clusters_against, reduced
from skpoison.filters._isolated import SMALLEST, isolated_groups
from skpoison.filters._label_noise import LEAST_CUT, LabelNoise, judge_labels
from skpoison.filters._near_copies import implausible_groups, largest_by_chance
from skpoison.filters._nearest import members_of

NEAR = 0.25  # of the usual distance: near copies
# Where copies are common, those whose label has this probability by models without them
# are honest; where they are rare, copies are implausible whatever their label.
SUPPORTED = 0.5
COMMON = 0.005
FEW_COPIES = 5  # rows: so few copies are never common
MOST_COPIES = 0.5  # of the rows: where more are copies, distinct values are few
OUT_OF_PROPORTION = 4.0  # ratio to the largest plausible group
# Multiple of the median length beyond which rows are a heavy tail.
HEAVY = 2.0
DOUBTFUL = 0.7  # probability of a label


class Evidence(NamedTuple):
    """What speaks against each row."""

    far: Far
    groups: np.ndarray  # of near copies, and of isolated rows
    copies: np.ndarray  # number of near copies, where implausible; else 0
    probabilities: np.ndarray  # (n_rows, n_classes), out of fold; NaN if unknown
    noise: LabelNoise | None
    chance: np.ndarray  # probability that the label is wrong
    in_group: (
        np.ndarray
    )  # the label of the row's whole group or cluster is contradicted

    @property
    def is_far(self) -> np.ndarray:
        """Rows that are much farther from their class than its others."""
        return self.far.beyond > 0

    @property
    def cut(self) -> float:
        """Largest probability of a wrong label that is not rejected."""
        return LEAST_CUT if self.noise is None else self.noise.cut

    @property
    def flagged(self):
        """Rows that any test rejects."""
        return (
            self.is_far | (self.copies > 0) | (self.chance > self.cut) | self.in_group
        )


def find_evidence(
    numbers, codes: np.ndarray, predict: Callable, counts: np.ndarray, rng
) -> Evidence:
    """Run all tests.

    ``predict(rows, folds)`` returns out-of-fold probabilities of shape (n_models,
    n_rows, n_classes) for some of the rows; ``counts`` holds for each model the number
    of observations that its probabilities are worth.
    """
    reach, compressed = Reach.of(numbers, codes)
    spaces = [reduced(compressed, rng)]
    if not sparse.issparse(numbers):
        spaces.append(reduced(numbers, rng))
    few = spaces[0] if _is_heavy_tailed(numbers) else spaces[-1]
    far = far_rows(compressed, spaces, reach, codes, rng)
    rows = CopySpace.of(numbers, "euclidean", rng).enter(numbers)
    near = groups_of(rows, NEAR, rng).groups
    copies = _too_many_copies(rows, near, rng)
    groups = isolated_groups(rows, near, codes, rng)
    n_classes = codes.max() + 1
    evidence = Evidence(
        far, groups, np.zeros(len(codes), dtype=np.intp),
        np.full((len(codes), n_classes), np.nan), None,
        np.zeros(len(codes)), np.zeros(len(codes), dtype=bool),
    )  # fmt: skip
    rest = np.flatnonzero(~evidence.is_far)
    if n_classes > 1:
        evidence = _judge_labels(evidence, rest, codes, predict, counts, rng)
    said = np.nan_to_num(evidence.probabilities, nan=1 / n_classes)
    own, _, other = own_and_rival(said, codes)
    evidence.in_group[:] = _contradicted_groups(groups, codes, own, other)
    evidence.copies[:] = _implausible(near, copies, codes, own)
    if n_classes > 1:
        left = rest[~evidence.flagged[rest]]
        where = clusters_against(
            few[left], codes[left], far.spread_out[left],
            lambda folds: predict(left, folds), len(codes), rng, own[left] < DOUBTFUL,
        )  # fmt: skip
        evidence.in_group[left[where]] = True
    return evidence


def _is_heavy_tailed(numbers):
    """Whether some rows are so long that clusters would consist of only these."""
    lengths = np.sqrt(row_norms(numbers, squared=True))
    return np.quantile(lengths, 0.98) > HEAVY * np.median(lengths)


def _too_many_copies(rows, near, rng):
    """The rows of each group of near copies that is larger than expected by chance.

    Among honest rows, pairs are more frequent than larger groups; if they are not,
    groups of three are already too large, unless most rows are copies, as where there
    are few distinct values.
    """
    sizes = np.bincount(near)
    more = sizes[sizes > 2]
    limit = largest_by_chance(sizes)
    are_rare = SMALLEST - 2 < more.sum() <= MOST_COPIES * len(near)
    if len(more) > np.sum(sizes == 2) and are_rare:
        limit = 2
    return [group.rows for group in implausible_groups(rows, near, limit, rng)]


def _judge_labels(evidence, rest, codes, predict, counts, rng):
    groups = np.unique(evidence.groups[rest], return_inverse=True)[1]
    folds = assign_folds(codes[rest], groups, N_FOLDS, rng)
    said = predict(rest, folds)
    _, noise, chance = judge_labels(said, counts, codes[rest], groups)
    evidence.chance[rest] = chance
    evidence.probabilities[rest] = said.mean(axis=0)
    return evidence._replace(noise=noise)


def _contradicted_groups(groups, codes, own, other):
    """Rows whose group has a label that models fitted without the group contradict."""
    out = np.zeros(len(codes), dtype=bool)
    sizes = np.bincount(groups)
    for members in members_of(groups, np.flatnonzero(sizes >= SMALLEST)):
        label = np.bincount(codes[members]).argmax()
        rows = members[codes[members] == label]
        is_most = 2 * len(rows) > len(members) and len(rows) >= SMALLEST
        if is_most and own[rows].mean() < 0.5 * other[rows].mean():
            out[rows] = True
    if out.sum() > MOST_IN_CLUSTERS * len(codes):
        return np.zeros(len(codes), dtype=bool)
    return out


def _implausible(near, too_many, codes, own):
    """Number of copies of each row, where there are too many with one label."""
    copies = np.zeros(len(codes), dtype=np.intp)
    large = [near[members[0]] for members in too_many]
    others = np.delete(np.bincount(near), large)
    are_common = others[others > 1].sum() > max(COMMON * len(codes), FEW_COPIES)
    usual = others.max(initial=1)
    for members in sorted(too_many, key=len):
        n = len(members)
        in_proportion = n <= OUT_OF_PROPORTION * usual
        label = np.bincount(codes[members]).argmax()
        rows = members[codes[members] == label]
        if are_common and in_proportion and own[rows].mean() >= SUPPORTED:
            usual = max(usual, n)
        elif 2 * len(rows) > n:
            copies[rows] = n
    return copies
