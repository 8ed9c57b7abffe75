"""The bulk of logarithmic distances, and which of them are in its far tail."""

import numpy as np
from scipy.stats import norm

# Normal deviates of the quantiles that measure the spread of logarithmic distances.
SPREAD = {0.75: 0.6745, 0.85: 1.0364}
# A spread below 2 % is not informative: rows of unit length.
LEAST_SPREAD = 0.02
FALSE_SHARE = 0.02  # false discovery rate of far rows
MANY_IN_MIDDLE = 0.25  # share of rows at the smallest distance
LARGEST_BEYOND = (
    0.2  # share of a class: more are how a class lies that is unlike others
)


def logs_of(distances):
    """Logarithms of distances, of which none is zero."""
    return np.log(np.maximum(distances, 1e-9))


def bulk_of_logs(logs):
    """Median of logarithms, and their spread above it as a standard deviation."""
    # Many rows in the very middle do not say how far others usually lie.
    beyond = logs[logs > logs.min() + LEAST_SPREAD]
    if len(logs) - len(beyond) >= MANY_IN_MIDDLE * len(logs):
        logs = beyond if len(beyond) else logs
    middle = np.median(logs)
    spreads = [(np.quantile(logs, q) - middle) / z for q, z in SPREAD.items()]
    return middle, max(*spreads, LEAST_SPREAD)


def tail_threshold(deviations, false_share=FALSE_SHARE):
    """Threshold by the Benjamini–Hochberg procedure on normal tails."""
    ordered = np.sort(deviations)[::-1]
    n = len(ordered)
    allowed = norm.isf(false_share * np.arange(1, n + 1) / n)
    beyond = np.flatnonzero(ordered >= allowed)
    if not len(beyond):
        return float(allowed[0])
    return float(np.nextafter(ordered[beyond[-1]], -np.inf))


def lie_apart(is_beyond, codes):
    """Which classes have so many rows beyond a threshold that they lie there."""
    return np.bincount(codes, weights=is_beyond) > LARGEST_BEYOND * np.bincount(codes)
