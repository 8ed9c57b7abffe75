"""What filters learn of blocks of rows between means and radii, in passes of their own.

A statistic adds up over blocks (``add``), is merged with others that saw other blocks
(``merge``), and is then given to the filter that asked for it (``_learn``), which may
ask for another one.
"""

import numpy as np

from skpoison.filters._passes import DistanceBins, LeafPass
from skpoison.filters._principal import class_scatter
from skpoison.filters._rows import shrunk


class Statistic:
    """Base class: sums for each class, and the numbers of rows behind them.

    Parameters
    ----------
    sums : ndarray of shape (n_classes, ...)
        The sums.
    """

    # Whether sums that overflow are of no use.
    _must_be_finite = True

    def __init__(self, sums):
        self.sums, self.counts = sums, np.zeros(len(sums), dtype=np.int64)

    def empty(self):
        """Return a statistic of this kind that has seen nothing."""
        return type(self)(np.zeros_like(self.sums))

    def add(self, leaf, X, codes):
        """Add the rows of a block; those of unknown classes have a negative code."""
        for code in range(len(self.sums)):
            rows = np.flatnonzero(codes == code)
            if len(rows):
                self.sums[code] += self._of_class(leaf, X, code, rows)
                self.counts[code] += len(rows)

    def merge(self, other):
        """Add what another one has seen."""
        self.sums, self.counts = self.sums + other.sums, self.counts + other.counts


class ClassScatters(Statistic):
    """The outer products of rows less the mean of their class."""

    @classmethod
    def of(cls, means):
        """Return the statistic of classes with these means."""
        return cls(np.zeros((*means.shape, means.shape[1])))

    def _of_class(self, leaf, X, code, rows):
        return class_scatter(X, rows, leaf._means_of_passes[code])


class Statistics(LeafPass):
    """The statistics that filters have asked for, by their place."""

    def __init__(self, found):
        self.found = found

    @classmethod
    def of(cls, filter_, found):
        """Return the pass for statistics, or the next one where there are none."""
        found = {i: one for i, one in found.items() if one is not None}
        return cls(found) if found else DistanceBins.of(filter_)

    def empty(self):
        return Statistics({i: one.empty() for i, one in self.found.items()})

    def _add(self, filter_, X, y, part):
        for i, (leaf, codes) in enumerate(filter_._leaves(self._codes(filter_, X, y))):
            if i in self.found:
                with np.errstate(over="ignore", invalid="ignore"):
                    self.found[i].add(leaf, shrunk(X, leaf._exponent), codes)

    def merge(self, other):
        for i, one in other.found.items():
            self.found[i].merge(one)

    def finish(self, filter_):
        following = {}
        leaves = [leaf for leaf, _ in filter_._leaves(np.empty(0, np.intp))]
        for i, one in self.found.items():
            _check(leaves[i], one)
            following[i] = leaves[i]._learn(one)
        return Statistics.of(filter_, following)


def _check(leaf, one):
    """Raise an error where the rows were others, or too large to be squared."""
    wrong = np.flatnonzero(one.counts != leaf._class_counts)
    if len(wrong):
        code = wrong[0]
        raise ValueError(
            f"Every pass must see the same rows, but of label {leaf.classes_[code]!r} "
            f"the first pass has seen {leaf._class_counts[code]}, and a later one "
            f"{one.counts[code]}."
        )
    if one._must_be_finite and not np.all(np.isfinite(one.sums)):
        raise ValueError(
            "Squares overflow float64: X holds values that are too large to be "
            "squared; rescale the data."
        )
