"""What a block of rows supposes of the radii of all rows, which saves passes.

A block takes the quantiles of all distances to lie near its own. It gathers distances
there, and of rows that are not near the radius decides at once which are kept. If
quantiles and radii of all rows are where every block has supposed them, nothing is
missing; otherwise further passes look.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, product
from typing import NamedTuple

import numpy as np

from skpoison.filters._bins import (
    EVERYTHING,
    NO_BINS,
    Tally,
    bins_of,
    least_of,
    within,
)

# Standard errors of the quantile of a block by which that of all rows may differ.
DEVIATIONS = 4.0
# By so much of their width the radii that follow from quartiles may differ more.
WIDER = 0.25
# Of more distances of a class and leaf than these, those are let go that all blocks so
# far, taken together, hold to be too far from the quantile; of more than those, all.
MANY_GATHERED, MOST_GATHERED = 1 << 20, 1 << 22


class Binned(NamedTuple):
    """The rows of a class in a block: their distances, and the bins of these."""

    rows: np.ndarray
    distances: np.ndarray
    bins: np.ndarray
    tally: Tally

    @classmethod
    def of(cls, rows, distances):
        bins = bins_of(distances)
        return cls(rows, distances, bins, Tally.of_bins(bins))


class Leaf(NamedTuple):
    """What is known of a filter that is no combination: its codes, its radii if given.

    The codes are those of the classes of the whole filter; unknown ones are negative.
    If radii are not quantiles, a function tells them of a sample that has quartiles.
    """

    codes: np.ndarray
    radii: np.ndarray | None
    radius_of: Callable | None

    @classmethod
    def all_of(cls, filter_):
        pairs = filter_._leaves(np.arange(len(filter_.classes_)))
        return [
            cls(
                own,
                None if leaf.radii is None else leaf.radii_,
                leaf._end_of_bulk if leaf._percentile == "auto" else None,
            )
            for leaf, own in pairs
        ]


class Quartiles(NamedTuple):
    """A sample of which only the quartiles are known."""

    values: np.ndarray
    size: int

    largest = np.inf

    def quantiles(self, shares):
        return self.values


class Undecided(NamedTuple):
    """Rows near a radius: their codes, and the distances of each leaf."""

    codes: np.ndarray
    distances: list

    def take(self, rows):
        return Undecided(self.codes[rows], [found[rows] for found in self.distances])

    @staticmethod
    def joined(parts):
        found = zip(*(part.distances for part in parts), strict=True)
        codes = np.concatenate([part.codes for part in parts])
        return Undecided(codes, [np.concatenate(of_leaf) for of_leaf in found])


@dataclass
class Supposed:
    """Ranges of bins that all blocks have gathered, and what they found there.

    `shares` are the quantiles that the radii of leaves and classes are, or follow from.
    `limits` are the ranges of bins of the radii. `decided` has numbers of rows by their
    code and, in the last bits, which leaves keep them.
    """

    shares: dict
    leaves: list
    has_failed: bool = False
    ranges: dict = field(default_factory=dict)
    limits: dict = field(default_factory=dict)
    gathered: dict = field(default_factory=dict)
    decided: Tally = NO_BINS
    undecided: list = field(default_factory=list)

    def __post_init__(self):
        self.limits = dict.fromkeys(self.shares, EVERYTHING)
        for key, shares in self.shares.items():
            self.ranges[key] = [EVERYTHING] * len(shares)

    def add(self, binned, rows):
        """Gather near the quantiles of a block, and decide on the rest of it.

        `binned` has the rows of each leaf and class whose radius is estimated.
        """
        if self.has_failed:
            return
        limits = {}
        for key, one in binned.items():
            near, limits[key] = self._near(key, one.tally)
            self._narrow(key, near, limits[key])
            there = within(one.bins, near)
            self.gathered.setdefault(key, []).append(Tally.of(one.distances[there]))
        self._decide(rows, limits, binned)
        self._check()

    def _near(self, key, tally):
        """Bins around the quantiles of a block, and around its radius."""
        near = [near_quantile(tally, share) for share in self.shares[key]]
        radius_of = self.leaves[key[0]].radius_of
        if radius_of is None:
            return near, near[0]
        return near, near_radius(radius_of, near, int(tally.counts.sum()))

    def _decide(self, rows, limits, binned=None):
        """Count the rows that no leaf has near its radius, and keep the others.

        Those of classes that the filter does not know are in neither.
        """
        for code in range(len(self.leaves[0].codes)):
            keys = [(i, int(leaf.codes[code])) for i, leaf in enumerate(self.leaves)]
            known = next((binned[key] for key in keys if key in (binned or ())), None)
            own = np.flatnonzero(rows.codes == code) if known is None else known.rows
            if not len(own):
                continue
            found, is_open = (
                np.full(len(own), code << len(keys)),
                np.zeros(len(own), bool),
            )
            for i, of_leaf in keys:
                if of_leaf < 0:
                    continue
                distances, given = rows.distances[i], self.leaves[i].radii
                if given is not None:
                    is_inside = distances[own] <= given[of_leaf]
                else:
                    first, last = limits[i, of_leaf]
                    if binned is None:
                        bins = bins_of(distances[own])
                    else:
                        bins = binned[i, of_leaf].bins
                    is_inside = bins < first
                    is_open |= (bins <= last) ^ is_inside
                found += is_inside.astype(np.int64) << i
            near = np.flatnonzero(is_open)
            self.decided = self.decided + Tally.of_bins(np.delete(found, near))
            self.undecided.append(rows.take(own[near]))

    def _narrow(self, key, near, limit):
        self.ranges[key] = list(map(_both, self.ranges[key], near))
        self.limits[key] = _both(self.limits[key], limit)

    def _most_gathered(self):
        """The most numbers that are held of a leaf and class, or of rows."""
        n_undecided = sum(len(rows.codes) for rows in self.undecided)
        sizes = [
            sum(len(one.values) for one in found) for found in self.gathered.values()
        ]
        return max(sizes, default=0) + n_undecided

    def _check(self):
        """Give up where blocks do not agree, or too much is gathered."""
        ranges = chain(self.limits.values(), *self.ranges.values())
        disagree = any(first > last for first, last in ranges)
        if disagree or self._most_gathered() > MOST_GATHERED:
            self._fail()

    def _fail(self):
        self.has_failed = True
        self.gathered, self.decided, self.undecided = {}, NO_BINS, []

    def merge(self, other, tallies):
        """Add what other blocks have found; `tallies` are of all bins of both."""
        if self.has_failed or other.has_failed:
            self._fail()
            return
        for key, near in other.ranges.items():
            self._narrow(key, near, other.limits[key])
        for key, found in other.gathered.items():
            self.gathered.setdefault(key, []).extend(found)
        self.decided = self.decided + other.decided
        self.undecided += other.undecided
        if self._most_gathered() > MANY_GATHERED:
            self._let_go(tallies)
        self._check()

    def _let_go(self, tallies):
        """Suppose quantiles nearer to those of all blocks so far."""
        for key in self.gathered:
            self._narrow(key, *self._near(key, tallies[key]))
        self.gathered = {key: [tally] for key, tally in self.tallies().items()}
        rows, self.undecided = Undecided.joined(self.undecided), []
        self._decide(rows, self.limits)

    def tallies(self):
        """The distances in the ranges that all blocks have gathered."""
        return {key: self._tally(key) for key in self.gathered}

    def _tally(self, key):
        values, counts = Tally.sum(self.gathered[key])
        inside = within(bins_of(values), self.ranges[key])
        return Tally(values[inside], counts[inside])

    def kept_by(self, filter_):
        """How many rows of each class the filter and its members keep, if known.

        The filter has its radii. None if one is not where all blocks have supposed it.
        """
        leaves = [leaf for leaf, _ in filter_._leaves(np.empty(0, np.intp))]
        for (i, code), (first, last) in self.limits.items():
            (bin_,) = bins_of([leaves[i].radii_[code]])
            if not first <= bin_ <= last:
                return None
        codes = self.decided.values >> len(leaves)
        patterns = self.decided.values & ((1 << len(leaves)) - 1)
        kept = kept_by_patterns(filter_, codes, patterns, self.decided.counts)
        rows = Undecided.joined(self.undecided)
        decisions = {
            leaf: np.where(own >= 0, leaf.radii_[own] - found, -np.inf)
            for (leaf, own), found in zip(
                filter_._leaves(rows.codes), rows.distances, strict=True
            )
        }
        more = kept_of(filter_, decisions, rows.codes, np.ones(len(rows.codes)))
        return [a + b for a, b in zip(kept, more, strict=True)]


def near_quantile(tally, share):
    """Bins around the quantile of a block, as far as that of all blocks may be."""
    size = int(tally.counts.sum())
    low, high = near_ranks(size, share)
    # Bins beside them, in which the next questions will lie.
    first = EVERYTHING[0] if low < 0 else int(tally.values[tally.place(low)]) - 1
    if high >= size:
        return first, EVERYTHING[1]
    return first, int(tally.values[tally.place(high)]) + 1


def near_radius(radius_of, near, size):
    """Bins around what a radius is for all quartiles in ranges of bins, or so."""
    if min(near)[0] <= EVERYTHING[0] or max(last for _, last in near) == EVERYTHING[1]:
        return EVERYTHING
    corners = product(*((least_of(first), least_of(last + 1)) for first, last in near))
    radii = [radius_of(Quartiles(np.sort(one), size)) for one in corners]
    margin = WIDER * (max(radii) - min(radii))
    low, high = bins_of([max(min(radii) - margin, 0.0), max(radii) + margin])
    return int(low) - 1, int(high) + 1


def _both(first, second):
    """The bins that are in both of two ranges."""
    return max(first[0], second[0]), min(first[1], second[1])


def near_ranks(size, share):
    """Ranks in a block between which the quantile of all blocks is, or beyond it."""
    margin = 2 + DEVIATIONS * np.sqrt(size * share * (1.0 - share))
    middle = (size - 1) * share
    return int(np.floor(middle - margin)), int(np.ceil(middle + margin))


def kept_by_patterns(filter_, codes, patterns, counts):
    """How many rows are kept, where each leaf keeps those with its bit."""
    leaves = [leaf for leaf, _ in filter_._leaves(np.empty(0, np.intp))]
    decisions = {
        leaf: np.where((patterns >> i) & 1 > 0, 1.0, -1.0)
        for i, leaf in enumerate(leaves)
    }
    return kept_of(filter_, decisions, codes, counts)


def kept_of(filter_, decisions, codes, counts):
    """How many rows of each class the filter and each of its members keep."""
    kept = []
    for one, own in filter_._with_members(codes):
        inside = (one._pick(decisions) >= 0) & (own >= 0)
        found = np.bincount(own[inside], counts[inside], len(one.classes_))
        kept.append(found.astype(np.int64))
    return kept
