"""The tests of AutoFilter for suspicious training rows, as functions of arrays.

In this order: far rows; more copies than expected by chance; labels that contradict
models fitted without the row and its near copies; isolated groups and clusters of one
label that contradict models fitted without all of their rows.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import row_norms

from skpoison.filters._coarseness import FEWEST, unexplained_copies
from skpoison.filters._copies import CopySpace, DistinctRows, groups_of
from skpoison.filters._far import Far, Reach, far_rows
from skpoison.filters._folds import N_FOLDS, assign_folds, own_and_rival
from skpoison.filters._islands import (
    MOST_IN_CLUSTERS,
    clusters_against,
    like_rejected,
    reduced,
)
from skpoison.filters._isolated import SMALLEST, isolated_groups
from skpoison.filters._label_noise import LEAST_CUT, LabelNoise, judge_labels
from skpoison.filters._many_rows import by_blocks, mapped
from skpoison.filters._near_copies import largest_by_chance
from skpoison.filters._nearest import members_of

MOSTLY = 0.5  # of the values of a row
NEAR = 0.25  # of the usual distance: near copies
# Where copies are common, those whose label has this probability by models without them
# are honest; of rare labels, which models hardly predict, so many times their share of
# the rows. Where copies are rare, they are implausible whatever their label. How large
# groups are is said by the third largest of the others: an attacker whose copies are of
# one or two rows has no say in it.
SUPPORTED, TIMES_AS_PROBABLE = 0.5, 2.0
# Share of the groups of copies whose labels models without any of them support, where
# attackers do not send them: theirs are as often contradicted.
MOSTLY_SUPPORTED = 0.75
# Share of the rows that attackers do not send: larger ones are oversampled classes.
MOST_SENT = 0.15
USUAL_RANK = 3
OUT_OF_PROPORTION = 4.0  # ratio to the usual size
MOST_COPIES = 0.5  # of the rows: where more are copies, distinct values are few
OF_ONE_LABEL = 2 / 3  # of a group: equal honest rows have several labels
# Multiple of the median length beyond which rows are a heavy tail.
HEAVY = 2.0
DOUBTFUL = 0.7  # probability of a label
# Of isolated groups: their label's probability, relative to the other label's.
CONTRADICTED = 1 / 3
# Clusters are searched among so many rows, drawn at random: they are shares of rows.
MOST_CLUSTERED = 10_000


class Evidence(NamedTuple):
    """What speaks against each row."""

    far: Far
    finer: np.ndarray  # share of values that are finer than those of other rows
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
    def is_finer(self) -> np.ndarray:
        """Rows most of whose values are finer than those of nearly all others."""
        return self.finer > MOSTLY

    @property
    def cut(self) -> float:
        """Largest probability of a wrong label that is not rejected."""
        return LEAST_CUT if self.noise is None else self.noise.cut

    @property
    def flagged(self):
        """Rows that any test rejects."""
        return (
            self.is_far
            | self.is_finer
            | (self.copies > 0)
            | (self.chance > self.cut)
            | self.in_group
        )


def find_evidence(
    numbers, codes: np.ndarray, predict: Callable, counts: np.ndarray, rng,
    finer: np.ndarray,
) -> Evidence:  # fmt: skip
    """Run all tests.

    ``predict(rows, folds)`` returns out-of-fold probabilities of shape (n_models,
    n_rows, n_classes) for some of the rows; ``counts`` holds for each model the number
    of observations that its probabilities are worth; ``finer`` is the share of
    values of each row that are finer than those of others.
    """
    reach, compressed = Reach.of(numbers, codes, rng)
    spaces = [reduced(compressed, rng)]
    if not sparse.issparse(numbers):
        spaces.append(reduced(mapped(numbers, reach.with_rare_near), rng))
    few = spaces[0] if _is_heavy_tailed(numbers) else spaces[-1]
    far = far_rows(compressed, spaces, reach, codes, rng)
    narrower = spaces[-1] if spaces[-1].shape[1] < numbers.shape[1] else None
    near, copies, groups = _groups(numbers, narrower, codes, rng)
    n_classes = codes.max() + 1
    evidence = Evidence(
        far, finer, groups, np.zeros(len(codes), dtype=np.intp),
        np.full((len(codes), n_classes), np.nan), None,
        np.zeros(len(codes)), np.zeros(len(codes), dtype=bool),
    )  # fmt: skip
    rest = np.flatnonzero(~evidence.is_far & ~evidence.is_finer)
    said = np.full((len(codes), n_classes), 1 / n_classes)
    if n_classes > 1:
        judged = _judge_labels(evidence, rest, near, codes, predict, counts, rng)
        evidence, said[rest] = judged
    own, _, other = own_and_rival(np.nan_to_num(said, nan=1 / n_classes), codes)
    evidence.in_group[:] = _contradicted_groups(groups, codes, own, other)
    n_pairs = np.count_nonzero(np.bincount(near) == 2)
    # Those of one group alone were judged without it.
    if len(copies) > 1:
        rows, found = _without(copies, rest, codes, predict)
        said[rows] = found.mean(axis=0)
    supported = own_and_rival(np.nan_to_num(said), codes)[0]
    evidence.copies[:] = _implausible(copies, n_pairs, codes, supported)
    if n_classes > 1:
        left = rest[~evidence.flagged[rest]]
        some = left
        if len(left) > MOST_CLUSTERED:
            some = np.sort(rng.choice(left, MOST_CLUSTERED, replace=False))
        by_label = np.flatnonzero(evidence.chance > evidence.cut)
        if len(some) < len(left):
            n_drawn = int(len(by_label) * len(some) / len(left))
            by_label = rng.choice(by_label, n_drawn, replace=False)
        where = clusters_against(
            few[some], codes[some], far.spread_out[some],
            lambda folds: predict(some, folds), len(codes) * len(some) / len(left),
            rng, own[some] < DOUBTFUL, (few[by_label], codes[by_label]),
        )  # fmt: skip
        others = np.setdiff1d(left, some)
        more = like_rejected(few, codes, some, some[where], others, predict)
        evidence.in_group[np.r_[some[where], more]] = True
    return evidence


def _groups(numbers, few, codes, rng):
    """Groups of near copies, those that are unexplained, and isolated groups."""
    rows = mapped(numbers, CopySpace.of(numbers, "euclidean", rng).enter)
    distinct = DistinctRows(rows, rng, few)
    near, radius, _ = groups_of(distinct, NEAR, rng)
    copies = unexplained_copies(rows, distinct, near, radius, rng)
    return near, copies, isolated_groups(distinct, near, codes)


def _is_heavy_tailed(numbers):
    """Whether some rows are so long that clusters would consist of only these."""
    lengths = np.sqrt(by_blocks(partial(row_norms, squared=True), numbers))
    return np.quantile(lengths, 0.98) > HEAVY * np.median(lengths)


def _judge_labels(evidence, rest, near, codes, predict, counts, rng):
    """Judge labels; also return what models say that see nothing of isolated groups."""
    groups = np.unique(near[rest], return_inverse=True)[1]
    folds = assign_folds(codes[rest], groups, N_FOLDS, rng)
    said = predict(rest, folds)
    isolated = _isolated_from_all(evidence.groups, near, rest)
    rows, found = _without(isolated, rest, codes, predict)
    alone = said.copy()
    alone[:, np.searchsorted(rest, rows)] = found
    own, _, other = own_and_rival(np.nan_to_num(alone.mean(axis=0)), codes[rest])
    for members in isolated:
        # Wrong labels of a whole group would vouch for one another.
        places = np.searchsorted(rest, members)
        if _is_contradicted(own[places], other[places]):
            said[:, places] = alone[:, places]
    _, noise, chance = judge_labels(said, counts, codes[rest], groups, rng)
    evidence.chance[rest] = chance
    evidence.probabilities[rest] = said.mean(axis=0)
    return evidence._replace(noise=noise), alone.mean(axis=0)


def _is_contradicted(own, other):
    """Whether models contradict the labels of a group, on average."""
    return own.mean() < CONTRADICTED * other.mean()


def _contradicted_groups(groups, codes, own, other):
    """Rows whose group has a label that models fitted without the group contradict."""
    out = np.zeros(len(codes), dtype=bool)
    sizes = np.bincount(groups)
    for members in members_of(groups, np.flatnonzero(sizes >= SMALLEST)):
        label = np.bincount(codes[members]).argmax()
        rows = members[codes[members] == label]
        is_most = 2 * len(rows) > len(members) and len(rows) >= SMALLEST
        if is_most and _is_contradicted(own[rows], other[rows]):
            out[rows] = True
    if out.sum() > MOST_IN_CLUSTERS * len(codes):
        return np.zeros(len(codes), dtype=bool)
    return out


def _isolated_from_all(groups, near, rest):
    """Rows of each isolated group, of those that are more than one group of copies."""
    large = np.flatnonzero(np.bincount(groups[rest]) >= SMALLEST)
    found = [rest[members] for members in members_of(groups[rest], large)]
    return [rows for rows in found if np.any(near[rows] != near[rows[0]])]


def _without(several, rest, codes, predict):
    """Rows of several groups, and what models say of them that see none of these.

    Groups that an attacker sends would support each other's labels. Rows are left out
    of classes that have hardly any others.
    """
    rows = np.concatenate([np.zeros(0, dtype=np.intp), *several])
    fitted_on = np.setdiff1d(rest, rows)
    n_classes = codes.max() + 1
    enough = np.bincount(codes[fitted_on], minlength=n_classes) >= N_FOLDS
    rows = rows[enough[codes[rows]]]
    if enough.sum() < 2 or not len(rows):
        return rows[:0], np.zeros((1, 0, n_classes))
    folds = np.repeat([-1, 0], [len(fitted_on), len(rows)])
    found = predict(np.r_[fitted_on, rows], folds)[:, len(fitted_on) :]
    return rows, np.nan_to_num(found)


def _implausible(unexplained, n_pairs, codes, own):
    """Number of copies of each row, where there are too many with one label.

    ``unexplained`` are groups of near copies that frequent values do not explain: they
    tell how often honest rows are repeated.
    """
    sizes = np.array([len(rows) for rows in unexplained], dtype=np.intp)
    limit = _largest_plausible(sizes, n_pairs, len(codes))
    ordered = np.sort(np.r_[sizes, np.full(n_pairs, 2), np.zeros(USUAL_RANK)])[::-1]
    copies = np.zeros(len(codes), dtype=np.intp)
    groups = [members for members in unexplained if len(members) > limit]
    shares = np.bincount(codes) / len(codes)
    enough = np.minimum(SUPPORTED, TIMES_AS_PROBABLE * shares)
    alike = [_of_one_label(members, codes) for members in groups]
    supported = [own[rows].mean() >= enough[codes[rows[0]]] for rows in alike]
    n_copied = sum(len(members) for members in groups)
    are_honest = n_copied > MOST_SENT * len(codes) or (
        np.mean(supported or [True]) >= MOSTLY_SUPPORTED
    )
    for members, rows, is_supported in zip(groups, alike, supported, strict=True):
        n = len(members)
        usual = ordered[USUAL_RANK if n >= ordered[USUAL_RANK] else USUAL_RANK - 1]
        is_usual = are_honest and is_supported and n <= OUT_OF_PROPORTION * usual
        if len(rows) >= OF_ONE_LABEL * n and not is_usual:
            copies[rows] = n
    return copies


def _of_one_label(members, codes):
    """Those of the most frequent label."""
    return members[codes[members] == np.bincount(codes[members]).argmax()]


def _largest_plausible(sizes, n_pairs, n_rows):
    """The largest number of copies expected by chance.

    Among honest rows, pairs are more frequent than larger groups; if they are not,
    groups of three are already too large, unless most rows are copies.
    """
    if len(sizes) > n_pairs and FEWEST < sizes.sum() <= MOST_COPIES * n_rows:
        return FEWEST - 1
    several = np.r_[sizes, np.full(n_pairs, 2)]
    alone = max(n_rows - several.sum(), 0)
    return largest_by_chance(np.r_[several, np.ones(alone, dtype=np.intp)])
