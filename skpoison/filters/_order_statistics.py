"""Exact order statistics of values that are seen in several passes.

The first pass counts values in bins. A question (a quantile, how many values are below
a limit) needs the values of a few bins only; the next pass gathers them. Equal values
are stored once, with their number.
"""

import numpy as np

from skpoison.filters._bins import (
    EVERYTHING,
    NO_BINS,
    NOTHING,
    STEPS,
    bins_of,
    least_of,
    within,
)
from skpoison.filters._threshold import (
    between,
    compared_bins,
    end_of_bulk,
    share_of_equals,
)


class MissingValues(Exception):
    """The values of some ranges of bins have to be gathered for an answer."""

    def __init__(self, ranges):
        super().__init__(ranges)
        self.ranges = ranges


class BinnedSample:
    """Non-negative values whose bins are counted, and of which some are gathered.

    It answers as :class:`skpoison.filters._threshold.Sample` does, or raises
    ``MissingValues``.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.filters._bins import Tally, in_bins
    >>> values = np.array([3.0, 1.0, 2.0, 5.0])
    >>> sample = BinnedSample(Tally.of(bins_of(values)), 5.0)
    >>> try:
    ...     sample.quantiles([0.5])
    ... except MissingValues as missing:
    ...     sample.ranges = missing.ranges
    >>> sample.gathered = Tally.of(in_bins(values, sample.ranges))
    >>> sample.quantiles([0.5])
    array([2.5])
    """

    def __init__(self, bins=NO_BINS, largest=0.0):
        self.bins = bins
        self.largest = largest
        self.ranges = []
        self.gathered = NOTHING

    @property
    def size(self):
        return int(self.bins.counts.sum())

    def quantiles(self, shares):
        return _Part(self, 0, self.size).quantiles(shares)

    def positive(self):
        return _Part(self, self._number_below(0.0, "right"), self.size)

    def below(self, limit):
        return _Part(self, 0, self._number_below(limit, "left"))

    def up_to(self, limit):
        return _Part(self, 0, self._number_below(limit, "right"))

    def within(self, low, high):
        """The number of values from one limit to another."""
        places = [self._place(limit) for limit in (low, high) if limit >= 0]
        self._need([self._around(place) for place in places])
        return self._number_below(high, "right") - self._number_below(low, "left")

    def most_within(self, low, high):
        """What that number is at most, from the bins alone."""
        first, last = bins_of([max(low, 0.0), max(high, 0.0)])
        return self.bins.below(last, "right") - self.bins.below(first, "left")

    def is_mostly_equal(self, low, high, same):
        """Whether more than half of the values outside equal another one.

        Of very many values, those in some bins are compared, as in memory.
        """
        bins = self.bins.values
        chosen = compared_bins(bins, self.size)
        if self._must_be_equal(chosen, low, high, same):
            return True
        self._need([EVERYTHING] if chosen.all() else _ranges(bins[chosen]))
        values, counts = self.gathered
        outside = ((values < low) | (values > high)) & (
            compared_bins(bins_of(values), self.size)
        )
        return share_of_equals(values[outside], counts[outside], same) > 0.5

    def _must_be_equal(self, chosen, low, high, same):
        """Whether so many values share their bins that most must equal another one.

        Values that equal no other one are apart: only some of them fit into a bin.
        """
        bins, counts = self.bins.values[chosen], self.bins.counts[chosen]
        ends = bins_of([max(low, 0.0), max(high, 0.0)])
        outside = (bins < ends[0]) | (bins > ends[1])
        fit = np.full(len(bins), 2 + int(1 / (STEPS * same)))
        fit[bins < STEPS] = counts[bins < STEPS]  # whose width is not relative
        alone = np.minimum(counts, fit)[outside].sum() + counts[~outside].sum()
        return bool(2 * alone < counts[outside].sum())

    def at(self, *ranks):
        """The values of ranks."""
        places = [self.bins.place(rank) for rank in ranks]
        self._need([self._around(place) for place in places])
        return np.array([self._at(*pair) for pair in zip(ranks, places, strict=True)])

    def _at(self, rank, place):
        gathered_before = self.gathered.below(least_of(self.bins.values[place]))
        within = rank - int(self.bins.counts[:place].sum())
        return self.gathered.values[self.gathered.place(gathered_before + within)]

    def _number_below(self, limit, side):
        if limit < 0:
            return 0
        (bin_,) = bins_of([limit])
        place = self._place(limit)
        before = int(self.bins.counts[:place].sum())
        if place == len(self.bins.values) or self.bins.values[place] != bin_:
            return before
        self._need([self._around(place)])
        least = least_of(bin_)
        return before + self.gathered.below(limit, side) - self.gathered.below(least)

    def _place(self, limit):
        return int(np.searchsorted(self.bins.values, bins_of([limit])[0]))

    def _around(self, place):
        """A bin and its neighbors, in which the next questions will lie."""
        bins = self.bins.values
        place = min(place, len(bins) - 1)
        return int(bins[max(place - 1, 0)]), int(bins[min(place + 1, len(bins) - 1)])

    def _need(self, ranges):
        bins = self.bins.values
        missing = within(bins, ranges) & ~within(bins, self.ranges)
        if missing.any():
            raise MissingValues([*self.ranges, *ranges])


class Zone:
    """The values from one to another, and how many others there are below them.

    It answers as :class:`BinnedSample` does, or raises ``MissingValues``.

    Examples
    --------
    >>> import numpy as np
    >>> zone = Zone.of(np.array([1.0, 2.0, 3.0, 5.0]), 4, 9, 2.0, 4.0)
    >>> zone.quantiles([0.625])
    array([2.])
    >>> int(zone.below(3.0).size)
    6
    """

    largest = np.inf  # which is not known

    def __init__(self, values, before, size, low, high):
        self.values, self.before, self.size = values, before, size
        self.low, self.high = low, high

    @classmethod
    def of(cls, values, before, size, low, high):
        """Of sorted values, which may be more than those in the zone."""
        first, stop = (
            np.searchsorted(values, low),
            np.searchsorted(values, high, "right"),
        )
        return cls(values[first:stop], before + first, size, low, high)

    def quantiles(self, shares):
        return _Part(self, 0, self.size).quantiles(shares)

    def below(self, limit):
        return _Part(self, 0, self._number_below(limit, "left"))

    def up_to(self, limit):
        return _Part(self, 0, self._number_below(limit, "right"))

    def within(self, low, high):
        """The number of values from one limit to another."""
        return self._number_below(high, "right") - self._number_below(low, "left")

    most_within = within

    def is_mostly_equal(self, low, high, same):
        raise MissingValues([])

    def at(self, *ranks):
        """The values of ranks."""
        places = np.array(ranks) - self.before
        if not ((places >= 0) & (places < len(self.values))).all():
            raise MissingValues([])
        return self.values[places]

    def _number_below(self, limit, side):
        if not self.low <= limit <= self.high:
            raise MissingValues([])
        return self.before + int(np.searchsorted(self.values, limit, side))


class _Part:
    """The values of a sample from one rank to another."""

    def __init__(self, sample, start, stop):
        self.sample = sample
        self.start = start
        self.size = stop - start

    @property
    def largest(self):
        if not self.size:
            return 0.0
        return self.sample.at(self.start + self.size - 1)[0]

    def quantiles(self, shares):
        places = np.asarray(shares, dtype=np.float64) * (self.size - 1)
        low = np.floor(places).astype(np.intp)
        high = np.minimum(low + 1, self.size - 1)
        values = self.sample.at(*(self.start + np.concatenate([low, high])))
        return between(values.reshape(2, -1).T, places - low)


class _Roots:
    """The square roots of the values of a sample."""

    def __init__(self, sample):
        self.sample, self.size = sample, sample.size

    @property
    def largest(self):
        return np.sqrt(self.sample.largest)

    def at(self, *ranks):
        return np.sqrt(self.sample.at(*ranks))

    def quantiles(self, shares):
        return _Part(self, 0, self.size).quantiles(shares)

    def positive(self):
        return _Part(self, self.sample.positive().start, self.size)


def end_of_bulk_of_squares(sample: BinnedSample) -> float:
    """Where the bulk of squared values ends: where that of their absolute values does.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.filters._bins import Tally
    >>> values = np.array([1.0, 4.0, 4.0, 16.0])
    >>> sample = BinnedSample(Tally.of(bins_of(values)), 16.0)
    >>> sample.ranges = [EVERYTHING]
    >>> sample.gathered = Tally.of(values)
    >>> end_of_bulk_of_squares(sample)
    16.0
    """
    threshold = end_of_bulk(_Roots(sample))
    # Squares of roots are rounded; what is kept stays so.
    near = sample.up_to(np.nextafter(threshold, np.inf) ** 2).largest
    inside = near if np.sqrt(near) <= threshold else 0.0
    return float(max(threshold**2, inside))


def _ranges(bins):
    """Ranges that hold these bins and no others."""
    ends = np.flatnonzero(np.append(np.diff(bins) > 1, True))
    firsts = np.append(0, ends[:-1] + 1)
    return [(int(bins[a]), int(bins[b])) for a, b in zip(firsts, ends, strict=True)]
