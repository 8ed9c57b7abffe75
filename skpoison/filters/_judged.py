"""Rows that are judged in the pass that finds the means, which saves the next ones.

Where the means and the radii of all rows are is supposed (see ``_guess``). A row is
counted as kept or rejected where it is that wherever they are within it; the others, a
few in a hundred, stay as rows. If means and radii of all rows turn out to be where they
were supposed to be, the rows that are left decide the rest, and the result is the one
of several passes; if not, these follow.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skpoison._labels import all_labels, find_labels
from skpoison.filters._guess import Guess, Limits, measured, range_of_radius, scale_of
from skpoison.filters._order_statistics import MissingValues, Zone
from skpoison.filters._supposed import kept_by_patterns, kept_of

# Rows are judged so many at a time, which stay in the cache.
STRIP = 1 << 12
# Bytes of rows of a block that may stay: few of them, or a share up to a limit.
FEW_BYTES, LARGEST_SHARE, MOST_OF_BLOCK = 1 << 18, 0.5, 8 << 20
# Bytes of all rows that stay from which on less is supposed; and the most of them.
MANY_BYTES, MOST_BYTES, GROWTH = 1 << 22, 128 << 20, 2


@dataclass(frozen=True)
class Judged:
    """What has been decided, what was supposed for that, and the rows that are left.

    Parameters
    ----------
    filter_ : filter
        The filter, whose parameters count.
    labels : ndarray of shape (n_labels,)
        The labels of the rows.
    decided : ndarray of shape (n_labels, 2**n_leaves)
        Numbers of rows by label and, in bits, which leaves keep them.
    lows, highs : ndarray of shape (n_leaves, n_labels)
        The range of each radius.
    scales : ndarray of shape (n_labels,)
        How far means may be off, squared, times the number of rows.
    balls : dict of bytes to Ball
        Where means must be.
    rows, codes : list of ndarray
        The rows that are left, in pieces, and the places of their labels.
    n_tightened : int
        Bytes that were left when less was supposed for the last time.
    """

    filter_: Any
    labels: np.ndarray
    decided: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    scales: np.ndarray
    balls: dict
    rows: list
    codes: list
    n_tightened: int = 0

    def __deepcopy__(self, memo):
        return self  # which nothing changes

    @property
    def n_bytes(self):
        """Bytes of the rows that are left."""
        return sum(rows.nbytes for rows in self.rows)

    @property
    def has_grown(self):
        """Whether far more is left than when less was supposed for the last time."""
        return self.n_bytes > GROWTH * self.n_tightened

    @property
    def is_large(self):
        """Whether so much is left that it is time to suppose less."""
        return self.n_bytes > max(MANY_BYTES, GROWTH * self.n_tightened)

    @property
    def is_possible(self):
        """Whether what is supposed is no contradiction, and not too much is left."""
        return bool((self.lows <= self.highs).all()) and self.n_bytes <= MOST_BYTES

    def plus(self, other):
        """What has been decided of the rows of both."""
        labels = all_labels(self.labels, other.labels)
        first, second = self._spread(labels), other._spread(labels)
        return replace(
            first,
            decided=first.decided + second.decided,
            lows=np.maximum(first.lows, second.lows),
            highs=np.minimum(first.highs, second.highs),
            scales=np.maximum(first.scales, second.scales),
            balls=first.balls | second.balls,
            rows=[*first.rows, *second.rows],
            codes=[*first.codes, *second.codes],
            n_tightened=max(first.n_tightened, second.n_tightened),
        )

    def _spread(self, labels):
        """The same, for more labels."""
        places = find_labels(self.labels, labels)
        decided = np.zeros((len(labels), self.decided.shape[1]), dtype=np.int64)
        lows = np.zeros((len(self.lows), len(labels)))
        highs, scales = np.full_like(lows, np.inf), np.zeros(len(labels))
        decided[places], scales[places] = self.decided, self.scales
        lows[:, places], highs[:, places] = self.lows, self.highs
        parts = {"decided": decided, "lows": lows, "highs": highs, "scales": scales}
        codes = [places[of_rows] for of_rows in self.codes]
        return replace(self, labels=labels, codes=codes, **parts)

    def below(self, i, place):
        """The number of decided rows of a label that a leaf keeps."""
        patterns = np.arange(self.decided.shape[1])
        return int(self.decided[place, (patterns >> i) & 1 > 0].sum())

    def all_rows(self):
        """The rows that are left, and the places of their labels."""
        return np.concatenate(self.rows), np.concatenate(self.codes)

    def tightened(self, filter_, counts):
        """Judge the rows that are left once more, supposing less; and what is supposed.

        `filter_` has the means of all rows, of which `counts` are of each label.
        """
        rows, codes = self.all_rows()
        own = find_labels(self.labels, filter_.classes_)[codes]
        found = measured(filter_, rows, own)

        def range_of(i, place, code, reaches):
            members = np.flatnonzero(codes == place)
            args = found[i], rows, members, code, reaches
            low, high = range_of_radius(*args, self.below(i, place), counts[place])
            return max(low, self.lows[i, place]), min(high, self.highs[i, place])

        guess = Guess.of(filter_, self.labels, counts, self.scales, range_of)
        again = judge(guess, self.labels, rows, codes, found)
        balls = {
            key: ball
            for key, ball in self.balls.items()
            if not guess.ball.is_inside(ball)
        }
        tighter = replace(
            again,
            decided=self.decided + again.decided,
            balls=balls | again.balls,
            n_tightened=again.n_bytes,
        )
        return tighter, guess


def own_guess(filter_, labels, counts, X, codes, found):
    """What a block supposes, whose rows have been measured by their own means."""
    members = [np.flatnonzero(codes == place) for place in range(len(labels))]
    scales = np.zeros(len(labels))
    for place, known in enumerate(find_labels(labels, filter_.classes_)):
        if known >= 0:
            scales[place] = scale_of(X, members[place], filter_._class_means[known])

    def range_of(i, place, code, reaches):
        return range_of_radius(found[i], X, members[place], code, reaches)

    return Guess.of(filter_, labels, counts, scales, range_of)


def judge(guess, labels, X, codes, found=None):
    """Judge the rows of a block, whose codes are places in the labels.

    Rows of labels that the guess knows nothing of are left; those of labels that the
    filter does not know are in neither. `found` are the rows as measured.
    """
    own = find_labels(labels, guess.filter_.classes_)
    if found is None:
        found = measured(guess.filter_, X, own[codes])
    places = find_labels(labels, guess.labels)
    lows = np.where(places < 0, 0.0, guess.lows[:, places])
    highs = np.where(places < 0, np.inf, guess.highs[:, places])
    limits = [
        Limits.of(guess, one.leaf, of_labels, ends, X.dtype)
        for one, (_, of_labels), *ends in zip(
            found, guess.filter_._leaves(own), lows, highs, strict=True
        )
    ]
    n_patterns = 1 << len(lows)
    counts, left = np.zeros(len(labels) * n_patterns, dtype=np.int64), []
    for start in range(0, len(codes), STRIP):
        strip = slice(start, start + STRIP)
        few = [of_leaf.take(strip) for of_leaf in found]
        patterns, is_open = _patterns(codes[strip], few, limits)
        if (places < 0).any():
            is_open |= (places < 0)[codes[strip]]
        is_decided = ~is_open
        if (own < 0).any():
            is_decided &= (own >= 0)[codes[strip]]
        counts += np.bincount(patterns[is_decided], minlength=len(counts))
        left.append(start + np.flatnonzero(is_open))
    rows = np.concatenate([np.empty(0, np.intp), *left])
    return Judged(
        guess.filter_,
        labels,
        counts.reshape(len(labels), n_patterns),
        lows,
        highs,
        np.where(places < 0, 0.0, guess.scales[places]),
        {guess.ball.key: guess.ball},
        [np.ascontiguousarray(X[rows])],
        [codes[rows]],
    )


def _patterns(codes, found, limits):
    """Which leaves keep rows, in bits below their codes; and which are not decided."""
    patterns, is_open = codes << len(found), np.zeros(len(codes), dtype=bool)
    for i, (one, of_leaf) in enumerate(zip(found, limits, strict=True)):
        is_inside, is_doubtful = of_leaf.judged(codes, one.distances, one.lengths)
        if one.codes.min(initial=0) < 0:
            is_inside &= one.codes >= 0
            is_doubtful &= one.codes >= 0
        is_open |= is_doubtful
        patterns |= is_inside.astype(patterns.dtype) << i
    return patterns, is_open


def is_worth_it(judged, X):
    """Whether few rows of a block are left, so that they may stay."""
    most = min(LARGEST_SHARE * X.nbytes, MOST_OF_BLOCK)
    return judged.n_bytes <= max(FEW_BYTES, most)


def decide(judged, filter_, labels, means):
    """Radii by leaf, and how many rows of each class the filter and its members keep.

    The filter has the means of all rows, which belong to `labels`. None if anything is
    not as it was supposed to be.
    """
    known = means[find_labels(filter_.classes_, labels)]
    if not all(ball.holds(filter_.classes_, known) for ball in judged.balls.values()):
        return None
    rows, codes = judged.all_rows()
    own_of_labels = find_labels(judged.labels, filter_.classes_)
    own = own_of_labels[codes]
    radii, decisions = {}, {}
    for i, (leaf, of_leaf, distances, _) in enumerate(measured(filter_, rows, own)):
        radii[leaf] = _radii(judged, i, leaf, distances, of_leaf)
        if radii[leaf] is None:
            return None
        inside = radii[leaf][of_leaf] - distances
        decisions[leaf] = np.where(of_leaf >= 0, inside, -np.inf)
    kept = kept_of(filter_, decisions, own, np.ones(len(own)))
    n_patterns = judged.decided.shape[1]
    of_decided = kept_by_patterns(
        filter_,
        np.repeat(own_of_labels, n_patterns),
        np.tile(np.arange(n_patterns), len(judged.labels)),
        judged.decided.ravel(),
    )
    return radii, [a + b for a, b in zip(kept, of_decided, strict=True)]


def _radii(judged, i, leaf, distances, codes):
    """The radii of a leaf; None if one is not in its range."""
    if leaf.radii is not None:
        return leaf.radii_
    radii = []
    for code, place in enumerate(find_labels(leaf.classes_, judged.labels)):
        ends = judged.lows[i, place], judged.highs[i, place]
        own = np.sort(distances[codes == code])
        size = int(leaf._class_counts[code])
        zone = Zone.of(own, judged.below(i, place), size, *ends)
        try:
            radii.append(leaf._radius_of(zone, leaf._dtype))
        except MissingValues:
            return None
    return np.array(radii)
