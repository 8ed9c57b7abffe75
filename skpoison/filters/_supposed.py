"""What a block of rows supposes of the radii of all rows, which saves passes.

A block takes the quantile of all distances to lie near its own. It gathers distances
there, and of the other rows decides at once which are kept. If the quantile of all rows
is where every block has supposed it, nothing is missing; otherwise further passes look.
"""

from dataclasses import dataclass, field

import numpy as np

from skpoison.filters._order_statistics import EVERYTHING, Tally, bins_of

# Standard errors of the quantile of a block by which that of all rows may differ.
DEVIATIONS = 4.0
# So many distances are gathered of a class and leaf before it is given up.
MOST_GATHERED = 1 << 22
# Of so many in float32, some equal a radius by chance, but their bins are not so full
# that they tell how many equal another one: all are gathered.
MOST_WHOLE = 1 << 23


@dataclass
class Undecided:
    """Rows near a radius: their codes, and the distances of each leaf."""

    codes: np.ndarray
    distances: list


@dataclass
class Supposed:
    """Ranges of bins that all blocks have gathered, and what they found there.

    `shares` are the quantiles that the radii of leaves and classes are.
    """

    shares: dict
    with_whole: bool = False
    has_failed: bool = False
    ranges: dict = field(default_factory=dict)
    gathered: dict = field(default_factory=dict)
    whole: dict = field(default_factory=dict)
    kept: list = field(default_factory=list)
    undecided: list = field(default_factory=list)

    def __post_init__(self):
        self.ranges = dict.fromkeys(self.shares, EVERYTHING)

    def add(self, filter_, leaves, distances, codes):
        """Gather near the quantiles of a block, and decide on the rest of it."""
        if self.has_failed:
            return
        open_rows = np.zeros(len(codes), dtype=bool)
        decisions = {}
        for i, (leaf, own) in enumerate(leaves):
            found = distances[leaf]
            decided, is_open = self._decided(i, leaf, own, found)
            decisions[leaf] = np.where(own >= 0, decided, -np.inf)
            open_rows |= is_open
        rest = np.where(open_rows, -1, codes)
        self._count(_kept_of(filter_, decisions, rest))
        rows = np.flatnonzero(open_rows)
        near = [distances[leaf][rows] for leaf, _ in leaves]
        self.undecided.append(Undecided(codes[rows], near))
        self._check()

    def _decided(self, i, leaf, codes, distances):
        """Decisions of a leaf with their signs, and which rows are too near to say."""
        is_open = np.zeros(len(codes), dtype=bool)
        if leaf.radii is not None:
            known = codes >= 0
            decisions = np.where(known, leaf.radii_[codes] - distances, -np.inf)
            return decisions, is_open
        signs, bins = np.ones(len(codes)), bins_of(distances)
        for code in range(len(leaf.classes_)):
            rows = np.flatnonzero(codes == code)
            if not len(rows):
                continue
            first, last = near_quantile(distances[rows], self.shares[i, code])
            own = bins[rows]
            near = rows[(own >= first) & (own <= last)]
            signs[rows[own > last]] = -1.0
            is_open[near] = True
            tally = Tally.of(distances[near])
            self.gathered.setdefault((i, code), []).append(tally)
            if self.with_whole:
                self.whole.setdefault((i, code), []).append(distances[rows])
            self._narrow((i, code), first, last)
        return signs, is_open

    def _narrow(self, key, first, last):
        known = self.ranges[key]
        self.ranges[key] = max(known[0], first), min(known[1], last)

    def _count(self, kept):
        pairs = zip(self.kept, kept, strict=True) if self.kept else ()
        self.kept = [a + b for a, b in pairs] or kept

    def _check(self):
        """Give up where blocks do not agree, or too much is gathered."""
        sizes = (
            sum(len(one.values) for one in tallies)
            for tallies in self.gathered.values()
        )
        disagree = any(first > last for first, last in self.ranges.values())
        if disagree or max(sizes, default=0) > MOST_GATHERED:
            self._fail()

    def _fail(self):
        self.has_failed = True
        self.gathered, self.whole, self.kept, self.undecided = {}, {}, [], []

    def merge(self, other):
        """Add what other blocks have found."""
        if self.has_failed or other.has_failed:
            self._fail()
            return
        for key, (first, last) in other.ranges.items():
            self._narrow(key, first, last)
        for key, tallies in other.gathered.items():
            self.gathered.setdefault(key, []).extend(tallies)
        for key, arrays in other.whole.items():
            self.whole.setdefault(key, []).extend(arrays)
        if other.kept:
            self._count(other.kept)
        self.undecided += other.undecided
        self._check()

    def tallies(self):
        """The distances in the ranges that all blocks have gathered."""
        return {key: self._tally(key) for key in self.gathered}

    def whole_tallies(self):
        """All distances."""
        return {
            key: Tally.of(np.concatenate(arrays)) for key, arrays in self.whole.items()
        }

    def _tally(self, key):
        values, counts = Tally.sum(self.gathered[key])
        first, last = self.ranges[key]
        bins = bins_of(values)
        inside = (bins >= first) & (bins <= last)
        return Tally(values[inside], counts[inside])

    def kept_by(self, filter_):
        """How many rows of each class the filter and its members keep, if known.

        The filter has its radii. None if one is not where all blocks have supposed it.
        """
        leaves = [leaf for leaf, _ in filter_._leaves(np.empty(0, np.intp))]
        for (i, code), (first, last) in self.ranges.items():
            (bin_,) = bins_of([leaves[i].radii_[code]])
            if not first <= bin_ <= last:
                return None
        kept = list(self.kept)
        for rows in self.undecided:
            with_codes = filter_._leaves(rows.codes)
            decisions = {
                leaf: np.where(own >= 0, leaf.radii_[own] - found, -np.inf)
                for (leaf, own), found in zip(with_codes, rows.distances, strict=True)
            }
            more = _kept_of(filter_, decisions, rows.codes)
            kept = [a + b for a, b in zip(kept, more, strict=True)]
        return kept


def near_quantile(values, share):
    """Bins around the quantile of a block, as far as that of all blocks may be."""
    last = len(values) - 1
    margin = 2 + DEVIATIONS * np.sqrt(len(values) * share * (1.0 - share))
    low, high = int(last * share - margin), int(np.ceil(last * share + margin))
    places = [place for place in (low, high) if 0 <= place <= last]
    found = bins_of(np.partition(values, places)[places]) if places else []
    # Bins beside them, in which the next questions will lie.
    ends = dict(zip(places, found, strict=True))
    first = int(ends[low]) - 1 if low in ends else EVERYTHING[0]
    return first, int(ends[high]) + 1 if high in ends else EVERYTHING[1]


def _kept_of(filter_, decisions, codes):
    """How many rows of each class the filter and each of its members keep."""
    kept = []
    for one, own in filter_._with_members(codes):
        inside = (one._pick(decisions) >= 0) & (own >= 0)
        kept.append(np.bincount(own[inside], minlength=len(one.classes_)))
    return kept
