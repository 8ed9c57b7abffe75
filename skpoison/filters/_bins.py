"""Values counted in bins, and tallies of values, which add up over blocks of rows.

Bins are the leading bits of a value, so that they suit values of any size, and need no
limits that a pass would have to find first.
"""

from typing import NamedTuple

import numpy as np

# Bits of a float64 that a bin leaves out: its values differ by 1 in 4096 at most.
LEFT_OUT = 40
STEPS = 1 << (52 - LEFT_OUT)  # bins between a power of two and the next one
# So many bins are counted at once, which is faster than sorting.
MOST_COUNTED = 1 << 17
# More ranges of bins than these are searched for, not tried one by one.
FEW_RANGES = 4
EVERYTHING = (0, np.iinfo(np.int64).max >> LEFT_OUT)


class Tally(NamedTuple):
    """Distinct values, sorted, and how often each occurs."""

    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, values):
        return cls(*np.unique(values, return_counts=True))

    @classmethod
    def of_bins(cls, bins):
        """The tally of bins, which are mostly near to one another."""
        first = bins.min(initial=EVERYTHING[1])
        if bins.max(initial=0) - first > MOST_COUNTED:
            return cls.of(bins)
        counts = np.bincount(bins - first)
        places = np.flatnonzero(counts)
        return cls(places + first, counts[places])

    def __add__(self, other):
        return Tally.sum([self, other])

    @classmethod
    def sum(cls, tallies):
        values = np.concatenate([tally.values for tally in tallies])
        order = np.argsort(values, kind="stable")  # which is fast on sorted parts
        values = values[order]
        counts = np.concatenate([tally.counts for tally in tallies])[order]
        firsts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
        if not len(values):
            return cls(values, counts)
        return cls(values[firsts], np.add.reduceat(counts, firsts))

    def below(self, limit, side="left"):
        """The number of values below a limit (up to it if `side` is "right")."""
        return int(self.counts[: np.searchsorted(self.values, limit, side)].sum())

    def place(self, rank):
        """The place of the value of a rank."""
        return int(np.searchsorted(np.cumsum(self.counts), rank, side="right"))


NOTHING = Tally(np.empty(0), np.empty(0, dtype=np.int64))
NO_BINS = Tally(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def bins_of(values):
    """Bins of non-negative float64 values, which are ordered as these are."""
    values = np.abs(np.ascontiguousarray(values, dtype=np.float64))  # no minus zero
    return values.view(np.int64) >> LEFT_OUT


def in_bins(values, ranges):
    """The values that lie in one of several ranges of bins."""
    return values[within(bins_of(values), ranges)]


def within(bins, ranges):
    """Whether each bin lies in one of several ranges."""
    if len(ranges) > FEW_RANGES:
        firsts, lasts = np.array(sorted(ranges)).T
        places = np.searchsorted(firsts, bins, "right") - 1
        return (places >= 0) & (bins <= np.maximum.accumulate(lasts)[places])
    inside = np.zeros(len(bins), dtype=bool)
    for first, last in ranges:
        inside |= (bins >= first) & (bins <= last)
    return inside


def least_of(bin_):
    """Return the smallest value of a bin."""
    return (np.int64(bin_) << LEFT_OUT).view(np.float64)
