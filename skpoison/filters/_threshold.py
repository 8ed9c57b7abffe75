"""Thresholds of a class: where the bulk of its distances ends, or a share of them.

Losses have no such end: those of honest rows differ by orders of magnitude, and a
wrong label is no farther out than a row that is hard to tell. How many labels are
wrong shows where losses under all labels are compared.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import boxcox, inv_boxcox

from skpoison.filters._bins import bins_of

# Fewer distances do not say what their bulk is.
FEWEST = 10
# Powers that make the bulk symmetric: 1 for no upper tail, 0 for a log-normal one. Many
# far rows look like a heavy tail: lower powers than these would let them pass.
POWERS = (-0.25, 1.0)
# Standard deviations from the median to the threshold: 3 of 100,000 normal values lie
# beyond, and what is honest has heavier tails than that.
DEVIATIONS = 4.0
# Quartiles of the standard normal distribution lie this far apart.
NORMAL_IQR = 1.3489795
QUARTILES = (0.25, 0.5, 0.75)

# No distance is larger.
FARTHEST = float(np.finfo(np.float64).max)

# Distances that differ by no more than this share count as equal: rounding errors.
SAME = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-6}
# Rejecting a group of equal distances leaves at least this share of the rows asked for.
LEAST = 0.75
# Of very many distances, some are as near to one another as rounding is, by chance. A
# group is one of these if it is no larger than the distances around it, within so many
# times its width, make likely: their number, and so many standard errors more.
AROUND, BY_CHANCE = 16.0, 6.0
# Quantiles of more distances than these are selected one after the other, which takes
# less time than all at once.
FEW = 1 << 13
# Of more distances than these, those of some bins tell how many equal another one. The
# factor scatters the bins that are chosen.
MOST_COMPARED, SCATTER = 1 << 21, 0x9E3779B1


def bulk_threshold(distances: np.ndarray, deviations: float = DEVIATIONS) -> float:
    """Where the bulk of distances ends, whatever lies beyond.

    A Box–Cox transform makes the quartiles symmetric about the median; the threshold
    is ``deviations`` standard deviations above it, these taken from the quartiles as
    for normal values, and transformed back. It does not depend on how far the largest
    quarter of the distances lies. Few distances, or equal ones, have no threshold: the
    largest of them is returned.

    Parameters
    ----------
    distances : ndarray of shape (n_samples,)
        Non-negative numbers. Zeros do not count where they are a quarter or more.
    deviations : float, default=4
        Standard deviations from the median to the threshold.

    Returns
    -------
    threshold : float
        The largest distance that belongs to the bulk.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> honest = np.exp(rng.normal(size=1000))
    >>> threshold = bulk_threshold(honest)
    >>> int(np.sum(honest > threshold))
    0
    >>> far = np.full(100, 1e6)
    >>> bool(bulk_threshold(np.r_[honest, far]) < 1e6)
    True
    """
    return end_of_bulk(Sample(distances), deviations)


def end_of_bulk(sample, deviations=DEVIATIONS):
    """:func:`bulk_threshold` of a sample that may not be in memory."""
    largest = float(sample.largest)
    quartiles = _quartiles(sample)
    if quartiles is None:
        return largest
    unit = quartiles[1]
    power = _symmetric_power(quartiles / unit)
    threshold = _end_of_bulk(quartiles / unit, power, deviations)
    # Negative powers may end nowhere, where many far rows make the tail look heavy.
    limit = _end_of_bulk(quartiles / unit, 0.0, 1.5 * deviations)
    with np.errstate(over="ignore"):
        radius = float(unit * min(threshold, limit))
    return min(radius, FARTHEST)


def bulk_threshold_of_squares(squares: np.ndarray) -> float:
    """Where the bulk of squared values ends: where that of their absolute values does.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.random.default_rng(0).normal(size=1000)
    >>> bool(np.sqrt(bulk_threshold_of_squares(values**2)) < 6)
    True
    """
    roots = np.sqrt(squares)
    threshold = bulk_threshold(roots)
    # Squares of roots are rounded; what is kept stays so.
    return max(threshold**2, float(np.max(squares[roots <= threshold], initial=0.0)))


def _end_of_bulk(quartiles, power, deviations):
    low, middle, high = boxcox(quartiles, power)
    end = middle + deviations * (high - low) / NORMAL_IQR
    return inv_boxcox(end, power) if power * end > -1 else np.inf


def _quartiles(sample):
    """Quartiles, or None where they do not say what is usual."""
    if sample.size < FEWEST:
        return None
    quartiles = sample.quantiles(QUARTILES)
    if quartiles[0] <= 0:
        sample = sample.positive()
        if sample.size < FEWEST:
            return None
        quartiles = sample.quantiles(QUARTILES)
    # Differences in the last digits are rounding, not spread.
    spread = quartiles[2] - quartiles[0]
    return quartiles if spread > 1e-9 * quartiles[1] else None


def _symmetric_power(quartiles: np.ndarray) -> float:
    """The power whose transform puts the median midway between the other quartiles."""

    def skewness(power):
        low, middle, high = boxcox(quartiles, power)
        return (high - middle) - (middle - low)

    least, most = POWERS
    if skewness(most) <= 0:
        return most
    if skewness(least) >= 0:
        return least
    return float(brentq(skewness, least, most))


def contradicted_rows(losses: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """How many rows of each class the label of another class suits, at most half.

    A row's loss is then smaller under that label than under its own, and no more than
    the mean loss of the rows that have that label: the "confident joint" of [1]_, with
    losses in the place of probabilities.

    Parameters
    ----------
    losses : ndarray of shape (n_samples, n_classes)
        The loss of each row under each label.
    codes : ndarray of shape (n_samples,), dtype=int
        The column of the row's own label; each class has rows.

    Returns
    -------
    counts : ndarray of shape (n_classes,), dtype=int
        Numbers of rows.

    References
    ----------
    .. [1] C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating
       Uncertainty in Dataset Labels", JAIR 70, 2021, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> losses = np.array([[0.1, 2.0], [0.2, 1.0], [1.9, 0.1], [0.1, 1.8], [0.4, 0.5]])
    >>> contradicted_rows(losses, np.array([0, 0, 1, 1, 1]))
    array([0, 1])
    """
    own = losses[np.arange(len(codes)), codes]
    counts = np.bincount(codes)
    usual = np.bincount(codes, weights=own) / counts
    suits_other = ((losses < own[:, None]) & (losses <= usual)).any(axis=1)
    contradicted = np.bincount(codes[suits_other], minlength=len(counts))
    return np.minimum(contradicted, counts // 2)


def estimate_radius(distances, percentile, dtype, slack=0.0):
    """Radius that encloses a percentage of rows, and judges equal distances together.

    It is the percentile, interpolated linearly, unless rows whose distance equals it
    *straddle* it: a percentile asks for a number of rows, and only some of the group
    are among them. The group is then rejected, and the radius is the largest distance
    below it, or it is kept:

    - where most of the other rows have distances of their own, a group of equal ones
      is out of the ordinary, and is rejected;
    - where most of the other rows share their distances too, the group falls on the
      side of most of its members (of two halves, it is rejected), so that the share
      that is rejected is as near as possible to the one asked for;
    - where less than three quarters of the rows asked for would be left without it, it
      is kept in any case.

    Distances that are no nearer to one another than chance brings them, where there are
    very many, are no group.

    ``slack``, what rounding may add to a distance that is computed again, enlarges the
    radius, but not beyond a group that is rejected.

    Examples
    --------
    Of ten rows, the two farthest are to go. Three rows at 8 go together; seven are more
    than may be lost; and where all rows come in groups, one row too many is kept:

    >>> estimate_radius([1, 2, 3, 4, 5, 6, 7, 8, 8, 8], 80, np.dtype(float))
    np.float64(7.0)
    >>> estimate_radius([1, 2, 3, 8, 8, 8, 8, 8, 8, 8], 80, np.dtype(float))
    np.float64(8.0)
    >>> estimate_radius([1, 1, 1, 1, 2, 2, 8, 8, 8, 9], 80, np.dtype(float))
    np.float64(8.0)
    """
    sample = Sample(np.asarray(distances, dtype=np.float64))
    return radius_of_share(sample, percentile, dtype, slack)


def radius_of_share(sample, percentile, dtype, slack=0.0):
    """:func:`estimate_radius` of a sample that may not be in memory."""
    radius = sample.quantiles([percentile / 100.0])[0]
    asked = int((sample.size - 1) * percentile / 100.0 + 1e-9) + 1
    same = SAME[np.dtype(dtype)]
    margin = max(same * abs(radius), slack)
    inside, up_to = sample.below(radius - margin), sample.up_to(radius + margin)
    n_equal = up_to.size - inside.size
    is_astride = inside.size < asked < up_to.size
    if not is_astride or _is_by_chance(sample, radius, margin, n_equal):
        return radius + slack
    mostly_inside = asked - inside.size > up_to.size - asked
    if inside.size < LEAST * asked or (
        mostly_inside and sample.is_mostly_equal(radius - margin, radius + margin, same)
    ):
        return max(radius, up_to.largest) + slack
    largest = inside.largest
    return largest + min(slack, (radius - margin - largest) / 2)


def _is_by_chance(sample, radius, margin, n_equal):
    """Whether so many distances within a margin are as many as those around it say."""
    width = AROUND * margin

    def is_enough(n_around):
        expected = (n_around - n_equal) / (AROUND - 1.0)
        return n_equal <= expected + BY_CHANCE * np.sqrt(expected)

    # Most groups are larger than all that is anywhere near makes likely.
    limits = radius - width, radius + width
    return is_enough(sample.most_within(*limits)) and is_enough(sample.within(*limits))


class Sample:
    """Distances in memory, with what thresholds ask of distances anywhere."""

    def __init__(self, values):
        self.values = values

    @property
    def size(self):
        return len(self.values)

    @property
    def largest(self):
        return np.max(self.values, initial=0.0)

    def quantiles(self, shares):
        return quantiles(self.values, shares)

    def positive(self):
        return Sample(self.values[self.values > 0])

    def below(self, limit):
        return _Chosen(self.values, self.values < limit)

    def up_to(self, limit):
        return _Chosen(self.values, self.values <= limit)

    def within(self, low, high):
        """The number of distances from one limit to another."""
        return np.count_nonzero((self.values >= low) & (self.values <= high))

    most_within = within

    def is_mostly_equal(self, low, high, same):
        """Whether more than half of the distances outside equal another one."""
        values = self.values
        if self.size > MOST_COMPARED:
            values = values[compared_bins(bins_of(values), self.size)]
        values = values[(values < low) | (values > high)]
        return share_of_equals(np.sort(values), 1, same) > 0.5


class _Chosen:
    """Some of the distances of a sample, which are counted, not copied."""

    def __init__(self, values, chosen):
        self.values, self.chosen = values, chosen

    @property
    def size(self):
        return np.count_nonzero(self.chosen)

    @property
    def largest(self):
        return np.max(self.values, initial=0.0, where=self.chosen)


def quantiles(values: np.ndarray, shares: ArrayLike) -> np.ndarray:
    """:func:`numpy.quantile` of values without NaN, to the last digit.

    Examples
    --------
    >>> quantiles(np.array([3.0, 1.0, 2.0]), [0.5, 0.75])
    array([2. , 2.5])
    """
    if len(values) <= FEW:
        return np.quantile(values, shares)
    places = np.asarray(shares, dtype=np.float64) * (len(values) - 1)
    ranks = np.floor(places).astype(np.intp)
    pairs, ordered, start = {}, values.copy(), 0
    for rank in np.unique(ranks):
        ordered[start:].partition(rank - start)
        start = rank
        above = ordered[rank + 1 :].min() if rank + 1 < len(values) else ordered[rank]
        pairs[rank] = ordered[rank], above
    return between((pairs[rank] for rank in ranks), places - ranks)


def between(pairs, shares):
    """Interpolate between pairs of neighboring values, as :func:`numpy.quantile` does.

    Examples
    --------
    >>> between([(1.0, 2.0), (2.0, 4.0)], [0.5, 0.25])
    array([1.5, 2.5])
    """
    both = zip(pairs, shares, strict=True)
    return np.array([np.quantile(pair, share) for pair, share in both])


def compared_bins(bins, size):
    """Which bins tell of so many distances how many of them equal another one."""
    every = -(-size // MOST_COMPARED)
    return (bins * SCATTER >> 20) % max(every, 1) == 0


def share_of_equals(values, counts, same):
    """Share of the sorted distances, so many of each, that equal another one.

    Where there are none to compare, they are all in a few bins, and share these.
    """
    if not len(values):
        return 1.0
    equal = np.diff(values) <= same * np.abs(values[1:])
    shared = np.append(equal, False) | np.append(False, equal) | np.greater(counts, 1)
    return np.average(shared, weights=np.broadcast_to(counts, shared.shape))


def rounding_slack(distance, dtype):
    """What rounding may add to a distance that other batches of rows sum differently.

    Estimators may sum in another order for other batches of rows; a row that lies on
    its radius must not fall out for that.
    """
    return 64 * np.finfo(dtype).eps * max(distance, 0.0)
