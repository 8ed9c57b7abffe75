"""What each pass over blocks of rows learns, for filters that are fitted in passes.

A pass is an object that adds up what it needs of each block (``add``), is merged with
others of its kind that saw other blocks (``merge``), and at its end (``finish``) sets
what the filter learns by it and returns the pass that comes next, if any:

1. ``ClassMeans``: labels, their numbers of rows, and their means;
2. where filters ask for more (see ``_statistics``), what that is, once or twice;
3. ``DistanceBins``: how many distances fall into each bin;
4. ``GatheredDistances``: the distances in the few bins that hold the quantiles, so that
   radii are exact. It is repeated if rows with equal distances need more of them;
5. ``Verdicts``: how many rows of each class are kept, and the best row of each class.

All but the first are left out where this has judged all rows by what it supposed of
them (see ``_judged``), and the last two where the third has found all that they would
(see ``_supposed``). Results do not depend on how rows are split into blocks, but for
rounding.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import _num_samples, check_consistent_length, column_or_1d

from skpoison._labels import (
    alike,
    all_labels,
    distinct_labels,
    find_labels,
    label_kinds,
    several_kinds_of,
)
from skpoison.filters import _rows
from skpoison.filters._bins import Tally, in_bins
from skpoison.filters._combine import _ask
from skpoison.filters._guess import measured
from skpoison.filters._judged import decide, is_worth_it, judge, own_guess
from skpoison.filters._order_statistics import BinnedSample, MissingValues
from skpoison.filters._supposed import Binned, Leaf, Supposed, Undecided

# Filters of more members than these have too many combinations to count their rows.
MOST_LEAVES = 6


class Layout(NamedTuple):
    """What all blocks must have in common."""

    n_features: int
    names: tuple | None
    dtype: str
    labelled: bool

    @classmethod
    def of(cls, filter_, X, y):
        names = getattr(filter_, "feature_names_in_", None)
        names = None if names is None else tuple(names)
        return cls(X.shape[1], names, np.dtype(X.dtype).name, y is not None)

    def check(self, other):
        """Raise an error that says how another block differs."""
        if self == other:
            return
        pairs = zip(self._fields, self, other, strict=True)
        differences = [
            f"{name} is {old!r} in one and {new!r} in another"
            for name, old, new in pairs
            if old != new
        ]
        raise ValueError(
            f"Blocks of rows (partitions) must be alike, but {'; '.join(differences)}."
        )


class Pass:
    """Base class of passes."""

    # Whether rows may be judged by what is supposed of all rows.
    can_judge = False

    def add(self, filter_, X, y, part):
        """Add a block of rows; `part` numbers the blocks of the caller, if it does."""
        if not _num_samples(X):
            self._check_empty(filter_, X)
            return
        X = self._rows(filter_, X, y)
        if y is not None:
            check_consistent_length(X, y)
            y = column_or_1d(y, warn=True)
        self._add(filter_, X, y, part)

    def empty(self):
        """Return a pass of this kind that has seen nothing."""
        return type(self)()

    def check_kinds(self, filter_, other):
        """Refuse labels of another kind; later passes know which there are."""

    def detached(self):
        """Return what has been seen, without what has been known before."""
        return self

    def _check_empty(self, filter_, X):
        n_features = getattr(filter_, "n_features_in_", X.shape[1])
        if X.shape[1] != n_features:
            raise ValueError(
                f"Blocks of rows (partitions) must be alike, but n_features is "
                f"{n_features} in one and {X.shape[1]} in another."
            )

    def _rows(self, filter_, X, y):
        X = filter_._checked_rows(X, reset=False)
        filter_._layout.check(Layout.of(filter_, X, y))
        return X


class ClassMeans(Pass):
    """Labels, the number of rows of each, and their means.

    Rows are judged, too, where that can be: see ``_judged``. A guess about all rows
    may be given; otherwise each block makes its own, until there are many.
    """

    def __init__(self, guess=None, *, can_judge=True):
        self.layout = None
        self.classes = None
        self.counts = self.means = self.sample = None
        # The largest value of each feature, where filters ask for it.
        self.largest = None
        self.guess, self.can_judge = guess, can_judge
        self.judged = None

    def empty(self):
        if self.judged is not None and (self.guess is None or self.judged.has_grown):
            self._tighten()
        return ClassMeans(self.guess, can_judge=self.can_judge)

    def detached(self):
        self.guess = None
        return self

    def _check_empty(self, filter_, X):
        if self.layout is not None:
            super()._check_empty(filter_, X)

    def _rows(self, filter_, X, y):
        X = filter_._checked_rows(X, reset=self.layout is None)
        layout = Layout.of(filter_, X, y)
        if self.layout is None:
            self.layout = layout
        self.layout.check(layout)
        return X

    def _add(self, filter_, X, y, part):
        y = np.zeros(X.shape[0], np.intp) if y is None else filter_._check_labels(y)
        classes = distinct_labels(y)
        codes = find_labels(y, classes)
        means = _rows.class_means(X, codes, len(classes))
        if not np.all(np.isfinite(means)):
            assert_all_finite(X, estimator_name=type(filter_).__name__, input_name="X")
        one = ClassMeans(self.guess, can_judge=self.can_judge)
        one.layout = self.layout
        one.classes, one.means = classes, means
        one.counts = np.bincount(codes, minlength=len(classes))
        one.sample = _thinned(X, y)
        if filter_._asks_for_sizes:
            one.largest = _rows.largest_values(X).astype(np.float64)
        self.check_kinds(filter_, one)
        one._judge(filter_, X, codes)
        self.merge(one)

    def _judge(self, filter_, X, codes):
        """Judge the rows of the only block, if little is left of it."""
        self.can_judge &= filter_._is_judged_with_means and not sparse.issparse(X)
        if not self.can_judge:
            return
        guess, found = self.guess, None
        try:
            if guess is None:
                own = self._learned_by(clone(filter_))
                found = measured(own, X, find_labels(self.classes, own.classes_)[codes])
                guess = own_guess(own, self.classes, self.counts, X, codes, found)
            judged = judge(guess, self.classes, X, codes, found)
        except ValueError:  # of which later passes tell, if they see it, too
            self.can_judge = False
            return
        self.can_judge = judged.is_possible and is_worth_it(judged, X)
        self.judged = judged if self.can_judge else None

    def _tighten(self):
        """Suppose less, of which all rows so far tell."""
        try:
            own = self._learned_by(clone(self.judged.filter_))
            self.judged, self.guess = self.judged.tightened(own, self.counts)
        except ValueError:
            self._give_up()

    def _give_up(self):
        self.can_judge, self.judged, self.guess = False, None, None

    def _learned_by(self, filter_):
        """Give a new filter what has been seen, as if these were all rows."""
        known = filter_._knows(self.classes)
        filter_.classes_ = self.classes[known]
        if len(label_kinds(self.classes)) > 1:
            raise several_kinds_of(self.classes)
        filter_._labelled = self.layout.labelled
        filter_._class_counts = self.counts[known]
        filter_._class_means = self.means[known]
        self._set_layout(filter_)
        filter_._prepare_leaves()
        leaves = [leaf for leaf, _ in filter_._leaves(np.empty(0, np.intp))]
        if len(leaves) > MOST_LEAVES:
            raise ValueError(f"{len(leaves)} filters have too many combinations.")
        if any(leaf._turns and len(leaf.classes_) < 2 for leaf in leaves):
            raise ValueError("One class gives no direction.")
        self._fit_leaves(filter_)
        return filter_

    def check_kinds(self, filter_, other):
        if self.classes is not None and other.classes is not None:
            labels = all_labels(self.classes, other.classes)
            known = labels[filter_._knows(labels)]
            if len(label_kinds(known)) > 1:
                raise several_kinds_of(known)

    def merge(self, other):
        if other.classes is None:
            return
        if self.layout is not None:
            self.layout.check(other.layout)
        can_judge = self.can_judge and other.can_judge
        if self.classes is None:
            guess = self.guess
            vars(self).update(vars(other))
            self.guess = guess
        else:
            self._merge_means(other)
            if can_judge:
                self.judged = self.judged.plus(other.judged)
        if not can_judge:
            self._give_up()
        elif self.judged.is_large:
            self._tighten()
        if self.judged is not None and not self.judged.is_possible:
            self._give_up()

    def _merge_means(self, other):
        classes = all_labels(self.classes, other.classes)
        if other.largest is not None:
            self.largest = np.maximum(self.largest, other.largest)
        spread = [one._spread(classes) for one in (self, other)]
        counts, means = zip(*spread, strict=True)
        self.sample = _thinned(*_stacked(self.sample, other.sample))
        self.classes, self.counts = classes, counts[0] + counts[1]
        with np.errstate(over="ignore", invalid="ignore"):
            share = (counts[1] / self.counts)[:, None]
            merged = means[0] + (means[1] - means[0]) * share
            # Differences of huge means overflow.
            apart = means[0] * (1 - share) + means[1] * share
        self.means = np.where(np.isfinite(merged), merged, apart)

    def _spread(self, classes):
        """Counts and means for all classes; those without rows have a mean of zero."""
        places = find_labels(self.classes, classes)
        counts = np.zeros(len(classes), dtype=np.int64)
        counts[places] = self.counts
        means = np.zeros((len(classes), self.means.shape[1]))
        means[places] = self.means
        return counts, means

    def finish(self, filter_):
        if self.classes is None:
            raise ValueError(f"{type(filter_).__name__} got no rows to be fitted on.")
        self._set_layout(filter_)
        filter_._set_labels(self.classes, self.counts, self.layout.labelled)
        filter_._prepare_leaves()
        wanted = self._fit_leaves(filter_)
        found = None
        if self.judged is not None:
            found = decide(self.judged, filter_, self.classes, self.means)
        if found is not None:
            return Verdicts.of_known(filter_, *found)
        from skpoison.filters._statistics import Statistics

        return Statistics.of(filter_, wanted)

    def _set_layout(self, filter_):
        filter_._layout = self.layout
        filter_.n_features_in_ = self.layout.n_features
        if self.layout.names is not None:
            filter_.feature_names_in_ = np.array(self.layout.names, dtype=object)

    def _fit_leaves(self, filter_):
        """Give filters their means; return the statistics that they ask for."""
        rows, labels = self.sample
        codes = find_labels(labels, filter_.classes_)
        wanted = {}
        for i, (leaf, own) in enumerate(filter_._leaves(codes)):
            known = find_labels(leaf.classes_, self.classes)
            wanted[i] = self._fit_leaf(leaf, self.means[known], rows, own)
        return wanted

    def _fit_leaf(self, leaf, means, rows, codes):
        """Give a filter its means; return the statistic that it asks for, if any."""
        known = codes >= 0
        rows, codes = rows[known], codes[known]
        if not len(codes):  # the sample has none of these classes
            rows, codes = means, np.arange(len(means))
        leaf._dtype = self.layout.dtype
        radii = leaf._given_radii()
        leaf._sizes = self.largest
        wanted = leaf._begin(rows, codes, means)
        del leaf._sizes
        if radii is not None:
            leaf._set_radii_to(radii)
        return wanted


def _stacked(first, second):
    (X, y), (more_X, more_y) = first, second
    if sparse.issparse(X) or sparse.issparse(more_X):
        X = sparse.csr_array(sparse.vstack([X, more_X]))
    else:
        X = np.vstack([X, more_X])
    return X, np.concatenate(alike(y, more_y))


def _thinned(X, y):
    """A few rows, which tell how far rows are from the origin and from their mean."""
    few = max(4, min(_rows.SAMPLE, _rows.BLOCK_BYTES // X.shape[1]))
    rows = np.unique(np.linspace(0, X.shape[0] - 1, few).astype(np.intp))
    return X[rows], y[rows]


class LeafPass(Pass):
    """Base class of passes that ask the filters which are no combinations."""

    def _codes(self, filter_, X, y):
        if y is None:
            return np.zeros(X.shape[0], dtype=np.intp)
        return find_labels(y, filter_.classes_)

    def _distances(self, filter_, X, y):
        """Yield the distances of each leaf and class of which ``samples`` has one."""
        leaves = list(filter_._leaves(self._codes(filter_, X, y)))
        asked = [pair for i, pair in enumerate(leaves) if (i, 0) in self.samples]
        scores = _ask("_score", asked, X, {})
        for i, (leaf, codes) in enumerate(leaves):
            for code in range(len(leaf.classes_)) if leaf in scores else ():
                yield (i, code), -scores[leaf][codes == code]


class DistanceBins(LeafPass):
    """The bins of the distances of each leaf and class whose radius is estimated.

    `shares` are the quantiles that radii will be or follow from, if these are known.
    Then what the next passes would look for is gathered, too, where blocks suppose it.
    """

    def __init__(self, keys, shares=None, leaves=None):
        self.samples = {key: BinnedSample() for key in keys}
        self.shares, self.leaves = shares, leaves
        self.supposed = None if shares is None else Supposed(shares, leaves)

    @classmethod
    def of(cls, filter_):
        leaves = [
            (i, leaf)
            for i, (leaf, _) in enumerate(filter_._leaves(np.empty(0, np.intp)))
            if leaf.radii is None
        ]
        shares = {
            (i, code): leaf._quantiles()
            for i, leaf in leaves
            for code in range(len(leaf.classes_))
        }
        if not shares:
            return Verdicts()
        if None in shares.values():
            return cls(shares)
        return cls(shares, shares, Leaf.all_of(filter_))

    def empty(self):
        return DistanceBins(self.samples, self.shares, self.leaves)

    def _add(self, filter_, X, y, part):
        codes = self._codes(filter_, X, y)
        leaves = list(filter_._leaves(codes))
        scores = _ask("_score", leaves, X, {})
        distances = [-scores[leaf] for leaf, _ in leaves]
        binned, rows_of = {}, {}
        for i, (leaf, own) in enumerate(leaves):
            for code in range(len(leaf.classes_)) if (i, 0) in self.samples else ():
                if (id(own), code) not in rows_of:
                    rows_of[id(own), code] = np.flatnonzero(own == code)
                rows = rows_of[id(own), code]
                if len(rows):
                    binned[i, code] = Binned.of(rows, distances[i][rows])
        for key, one in binned.items():
            self._extend(key, one.tally, one.distances.max())
        if self.supposed is not None:
            self.supposed.add(binned, Undecided(codes, distances))

    def _extend(self, key, bins, largest):
        sample = self.samples[key]
        sample.bins = sample.bins + bins
        sample.largest = max(sample.largest, largest)

    def merge(self, other):
        for key, sample in other.samples.items():
            self._extend(key, sample.bins, sample.largest)
        if self.supposed is not None:
            tallies = {key: sample.bins for key, sample in self.samples.items()}
            self.supposed.merge(other.supposed, tallies)

    def finish(self, filter_):
        if self.supposed is None or self.supposed.has_failed:
            return GatheredDistances(self.samples).finish(filter_)
        gathered = GatheredDistances(self.samples)
        gathered.gathered = self.supposed.tallies()
        for key, sample in self.samples.items():
            sample.ranges = self.supposed.ranges[key]
        following = gathered.finish(filter_)
        if not isinstance(following, Verdicts):
            return following
        return following.if_known(filter_, self.supposed.kept_by(filter_))


class GatheredDistances(LeafPass):
    """The distances in the bins that hold the quantiles of the distances."""

    def __init__(self, samples):
        self.samples = samples
        self.gathered: dict = {}

    def empty(self):
        return GatheredDistances(self.samples)

    def detached(self):
        found = GatheredDistances({})
        found.gathered = self.gathered
        return found

    def _add(self, filter_, X, y, part):
        for key, distances in self._distances(filter_, X, y):
            wanted = in_bins(distances, self.samples[key].ranges)
            self._extend(key, Tally.of(wanted))

    def _extend(self, key, tally):
        known = self.gathered.get(key)
        self.gathered[key] = tally if known is None else known + tally

    def merge(self, other):
        for key, tally in other.gathered.items():
            self._extend(key, tally)

    def finish(self, filter_):
        for key, tally in self.gathered.items():
            self.samples[key].gathered = tally
        leaves = [leaf for leaf, _ in filter_._leaves(np.empty(0, np.intp))]
        self._check_counts(leaves)
        radii = {key: self._radius(leaves[key[0]], key) for key in self.samples}
        if None in radii.values():
            return GatheredDistances(self.samples)
        for i, leaf in enumerate(leaves):
            if leaf.radii is None:
                of_leaf = [radii[i, code] for code in range(len(leaf.classes_))]
                leaf._set_radii_to(np.array(of_leaf))
        return Verdicts()

    def _check_counts(self, leaves):
        """Raise an error if rows are not those of the first pass."""
        for (i, code), sample in self.samples.items():
            expected = leaves[i]._class_counts[code]
            if sample.size != expected:
                raise ValueError(
                    "Every pass must see the same rows, but of label "
                    f"{leaves[i].classes_[code]!r} the first pass has seen {expected}, "
                    f"and the second {sample.size}."
                )

    def _radius(self, leaf, key):
        """The radius of a class, or None if its sample lacks values."""
        sample = self.samples[key]
        try:
            return leaf._radius_of(sample, leaf._dtype)
        except MissingValues as missing:
            sample.ranges = missing.ranges
            return None


@dataclass
class Verdict:
    """How many rows of each class a filter keeps, and the best row of each class."""

    kept: np.ndarray
    best: list[tuple]

    def merge(self, other):
        self.kept = self.kept + other.kept
        self.best = [max(pair) for pair in zip(self.best, other.best, strict=True)]


class Verdicts(LeafPass):
    """What the filter and each of its members keep."""

    def __init__(self):
        self.verdicts: list[Verdict] = []

    def _add(self, filter_, X, y, part):
        codes = self._codes(filter_, X, y)
        found = _ask("_decide", filter_._leaves(codes), X, {})
        members = filter_._with_members(codes)
        self._merge([_verdict(one, one._pick(found), c, part) for one, c in members])

    def merge(self, other):
        if other.verdicts:
            self._merge(other.verdicts)

    def _merge(self, verdicts):
        if not self.verdicts:
            self.verdicts = verdicts
            return
        for mine, other in zip(self.verdicts, verdicts, strict=True):
            mine.merge(other)

    @classmethod
    def of_known(cls, filter_, radii, kept):
        """Set radii that are known already, and how many rows are kept."""
        for leaf, of_leaf in radii.items():
            leaf._set_radii_to(of_leaf)
        return cls().if_known(filter_, kept)

    def if_known(self, filter_, kept):
        """Finish where it is known how many rows of each class each filter keeps.

        Where these are none, this pass is needed to find the best row.
        """
        if kept is None or not all(of_one.all() for of_one in kept):
            return self
        self.verdicts = [Verdict(of_one, []) for of_one in kept]
        return self.finish(filter_)

    def finish(self, filter_):
        members = filter_._with_members(np.empty(0, np.intp))
        for (one, _), verdict in zip(members, self.verdicts, strict=True):
            empty = np.flatnonzero(verdict.kept == 0)
            places = [verdict.best[code][1:] for code in empty]
            one._kept_anyway = [(-part, -row) for part, row in places]
            rejected = one._class_counts - np.maximum(verdict.kept, 1)
            one.contamination_ = rejected / one._class_counts
            one._warn_of_empty(empty)
            del one._class_counts
        del filter_._layout
        return None


def _verdict(filter_, decisions, codes, part):
    n_classes = len(filter_.classes_)
    kept = np.bincount(codes[(decisions >= 0) & (codes >= 0)], minlength=n_classes)
    best = []
    for code in range(n_classes):
        rows = np.flatnonzero(codes == code)
        row = rows[np.argmax(decisions[rows])] if len(rows) else 0
        decision = decisions[row] if len(rows) else -np.inf
        # Of equal ones the first: places count from the end.
        best.append((float(decision), -part, -int(row)))
    return Verdict(kept, best)
