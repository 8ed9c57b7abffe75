"""Thresholds from the data: where the bulk of a class's distances ends.

Losses have no such end: those of honest rows differ by orders of magnitude, and a
wrong label is no farther out than a row that is hard to tell. How many labels are
wrong shows where losses under all labels are compared.
"""

import numpy as np
from scipy.optimize import brentq
from scipy.special import boxcox, inv_boxcox

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
    largest = float(np.max(distances, initial=0.0))
    quartiles = _quartiles(distances)
    if quartiles is None:
        return largest
    unit = quartiles[1]
    power = _symmetric_power(quartiles / unit)
    threshold = _end_of_bulk(quartiles / unit, power, deviations)
    # Negative powers may end nowhere, where many far rows make the tail look heavy.
    limit = _end_of_bulk(quartiles / unit, 0.0, 1.5 * deviations)
    return float(unit * min(threshold, limit))


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


def _quartiles(distances):
    """Quartiles, or None where they do not say what is usual."""
    if len(distances) < FEWEST:
        return None
    quartiles = np.quantile(distances, [0.25, 0.5, 0.75])
    if quartiles[0] <= 0:
        positive = distances[distances > 0]
        if len(positive) < FEWEST:
            return None
        quartiles = np.quantile(positive, [0.25, 0.5, 0.75])
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
