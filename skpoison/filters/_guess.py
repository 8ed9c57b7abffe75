"""What is supposed of the means and the radii of all rows, from a part of them.

Means of classes lie within balls around those of the part, whose radii are what chance
allows; radii of filters lie near the quantiles of the part. Nothing relies on it: what
follows from it is used only where it has turned out to be true.
"""

from typing import Any, NamedTuple

import numpy as np

from skpoison._labels import find_labels
from skpoison.filters._combine import _ask
from skpoison.filters._rows import lengths
from skpoison.filters._supposed import near_ranks

# Means of normal rows are farther off than supposed with a probability of exp(-TAIL).
TAIL = 12.0
# So many rows tell the variance of a class, and the largest one in any direction, by so
# many steps of the power method; both may be larger by a factor.
ROWS_OF_VARIANCE, POWER_STEPS, LARGER = 1024, 8, 1.1
# Rounding of distances, relative to these, in units of the last place.
ROUNDING = 4.0


class Ball(NamedTuple):
    """Where the means of classes are supposed to be: no farther from centers than this.

    Some filters depend on which classes there are, too (`needs_all`).
    """

    labels: np.ndarray
    centers: np.ndarray
    reaches: np.ndarray
    needs_all: bool

    @property
    def key(self):
        return self.centers.tobytes() + self.reaches.tobytes()

    def reaches_of(self, leaf):
        """How far off the centroids of a leaf may be."""
        if leaf.centroids is not None:
            return np.zeros(len(leaf.classes_))
        return self.reaches[find_labels(leaf.classes_, self.labels)]

    def is_inside(self, other):
        """Whether means in this ball are in another one, too."""
        if not np.array_equal(self.labels, other.labels):
            return False
        apart = lengths(self.centers - other.centers)
        return bool((apart + self.reaches <= other.reaches).all())

    def holds(self, labels, means):
        """Whether the means of all classes are in the ball."""
        if self.needs_all and not np.array_equal(self.labels, labels):
            return False
        places = find_labels(self.labels, labels)
        apart = lengths(self.centers - means[places])
        return bool((places >= 0).all() and (apart <= self.reaches).all())


class Guess(NamedTuple):
    """What is supposed.

    Parameters
    ----------
    filter_ : filter
        With the means of the part, and no radii but those that are given.
    labels : ndarray of shape (n_labels,)
        The labels of the part.
    ball : Ball
        The means of those that the filter knows.
    lows, highs : ndarray of shape (n_leaves, n_labels)
        The range of each radius.
    scales : ndarray of shape (n_labels,)
        How far means may be off, squared, times the number of rows.
    """

    filter_: Any
    labels: np.ndarray
    ball: Ball
    lows: np.ndarray
    highs: np.ndarray
    scales: np.ndarray

    @classmethod
    def of(cls, filter_, labels, counts, scales, ranges):
        """Suppose what a part of so many rows of each label tells.

        `filter_` has its means. `ranges` returns the range of a radius, for the places
        of a leaf and a label, the code of the label in the leaf, and how far off the
        centroids of the leaf may be.
        """
        known = find_labels(filter_.classes_, labels)
        leaves = list(filter_._leaves(find_labels(labels, filter_.classes_)))
        reaches = np.sqrt(scales[known] / counts[known])
        turns = any(leaf._turns for leaf, _ in leaves)
        ball = Ball(filter_.classes_, filter_._class_means, reaches, turns)
        lows = np.zeros((len(leaves), len(labels)))
        highs = np.full_like(lows, np.inf)
        for i, (leaf, own) in enumerate(leaves):
            for place in np.flatnonzero(own >= 0):
                if leaf.radii is not None:
                    ends = leaf.radii_[own[place]], leaf.radii_[own[place]]
                else:
                    ends = ranges(i, place, own[place], ball.reaches_of(leaf))
                lows[i, place], highs[i, place] = ends
        return cls(filter_, labels, ball, lows, highs, scales)


class Measured(NamedTuple):
    """The distances of rows, of one leaf, and those from centroids."""

    leaf: Any
    codes: np.ndarray
    distances: np.ndarray
    lengths: np.ndarray

    def take(self, rows):
        return Measured(self.leaf, *(of_rows[rows] for of_rows in self[1:]))


class Limits(NamedTuple):
    """For each label, where it is certain that a leaf keeps a row, or does not.

    Distances are less certain by shares of themselves, and of what is across, where
    they depend on directions.
    """

    inside: np.ndarray
    beyond: np.ndarray
    along: np.ndarray | None
    across: np.ndarray | None
    error: float

    @classmethod
    def of(cls, guess, leaf, own, ends, dtype):
        """`own` are the codes of the labels, `ends` the lowest and highest radii."""
        n_features = leaf.centroids_.shape[1]
        error = ROUNDING * (n_features + 16) * np.finfo(dtype).eps
        shifts, along, across = leaf._shifts(guess.ball.reaches_of(leaf))
        inside, beyond = ends[0] - shifts[own], ends[1] + shifts[own]
        if along is None:
            return cls(inside / (1.0 + error), beyond / (1.0 - error), None, None, 0.0)
        return cls(inside, beyond, along[own], across[own], error)

    def judged(self, codes, distances, lengths):
        """Whether a leaf keeps rows for certain, and whether it may or may not."""
        inside, beyond = self.inside[codes], self.beyond[codes]
        if self.along is None:
            is_inside = distances < inside
            return is_inside, ~is_inside & (distances <= beyond)
        extra = np.maximum(lengths * lengths - distances * distances, 0.0)
        np.sqrt(extra, out=extra)
        extra *= self.across[codes]
        extra += self.along[codes] * distances
        extra += self.error * lengths
        is_inside = distances + extra < inside
        return is_inside, ~is_inside & (distances - extra <= beyond)


def measured(filter_, X, codes):
    """Measure rows by a filter that has its means; each leaf's codes come with it."""
    leaves = list(filter_._leaves(codes))
    if not len(codes):
        return [Measured(leaf, own, *np.empty((2, 0))) for leaf, own in leaves]
    spheres = {leaf: _sphere_of(leaf, leaves) for leaf, _ in leaves}
    known = {leaf for leaf, _ in leaves}
    more = [(spheres[one], own) for one, own in leaves if spheres[one] not in known]
    found = _ask("_distances", [*leaves, *more], X, {})
    for leaf, own in [*leaves, *more]:
        if (own < 0).any():  # those of unknown labels are infinite
            found[leaf] = np.where(own < 0, 0.0, found[leaf])
    return [
        Measured(leaf, own, found[leaf], found[spheres[leaf]]) for leaf, own in leaves
    ]


def _sphere_of(leaf, leaves):
    """A leaf whose distances are those from the same centroids, or a new one."""
    if not leaf._turns:
        return leaf
    from skpoison.filters._sphere import SphereFilter

    for other, _ in leaves:
        if (
            isinstance(other, SphereFilter)
            and other.norm == "l2"
            and np.array_equal(other.classes_, leaf.classes_)
            and np.array_equal(other.centroids_, leaf.centroids_)
        ):
            return other
    sphere = SphereFilter()
    sphere.classes_, sphere.centroids_ = leaf.classes_, leaf.centroids_
    return sphere


def range_of_radius(one, X, members, code, reaches, before=0, size=None):
    """Between which distances of a part the radius of a class is, of all rows.

    The part has the rows `members` of X, which have been measured as `one`. Where not
    all its rows are known, so many smaller distances are `before` those that are, and
    `size` is the number of all.
    """
    distances = one.distances[members]
    size = len(members) if size is None else size
    low, high = near_ranks(size, one.leaf._percentile / 100.0)
    places = [rank - before for rank in (low, high) if 0 <= rank < size]
    if places and not 0 <= places[0] <= places[-1] < len(distances):
        return np.inf, 0.0  # which nothing is in
    parted = np.partition(distances, places) if places else distances
    least = parted[low - before] if low >= 0 else 0.0
    most = parted[high - before] if high < size else np.inf
    # All quantiles move where most rows near them are on one side of the means.
    near = members[(distances >= least) & (distances <= most)]
    shift = one.leaf._shift_of_quantile(X[near].astype(np.float64), code, reaches)
    return max(least - shift, 0.0), most + shift


def scale_of(X, members, mean):
    """How far the mean of such rows may be off, squared, times their number.

    The square of the length of a normal vector whose variances add up to T, none of
    which exceeds V, is above T + 2 sqrt(V T t) + 2 V t with probability exp(-t) at
    most (B. Laurent and P. Massart, Annals of Statistics 28, 2000, lemma 1).
    """
    every = -(-len(members) // ROWS_OF_VARIANCE)
    rows = X[members[::every]].astype(np.float64) - mean
    total = float(np.einsum("ij,ij->", rows, rows)) / len(rows)
    direction = rows[np.argmax(np.einsum("ij,ij->i", rows, rows))]
    largest = 0.0
    for _ in range(POWER_STEPS):
        length = float(np.linalg.norm(direction))
        if length == 0.0:
            break
        direction = rows.T @ (rows @ (direction / length)) / len(rows)
        largest = float(np.linalg.norm(direction))
    tail = 2.0 * np.sqrt(largest * total * TAIL) + 2.0 * largest * TAIL
    return LARGER * (total + tail)
