"""Rows out of all proportion far from the rows of their class."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.stats import norm
from sklearn.covariance import ledoit_wolf
from sklearn.utils.extmath import row_norms

# Normal deviates of the quantiles that say how widely logarithms of distances spread.
SPREAD = {0.75: 0.6745, 0.85: 1.0364}
# Distances that spread less than 2 % say nothing: rows of unit length.
LEAST_SPREAD = 0.02
# Of the rows called far, this share may be honest.
FALSE_SHARE = 0.02
FEWEST = 20  # rows of a class that say what is usual; others are compared with all
BULK = 0.75  # of a class, that its covariance is computed from
STEPS = 2  # of concentration on the bulk


class Far(NamedTuple):
    """How far rows lie from the middle of their class."""

    deviations: np.ndarray  # robust standard deviations of the logarithm of distances
    threshold: float  # rows with larger deviations are far
    times_usual: np.ndarray  # Euclidean distances, in multiples of the class's median
    spread_out: np.ndarray  # deviations by the covariance of the class's bulk


def far_rows(numbers, spaces: list[np.ndarray], codes: np.ndarray) -> Far:
    """Find rows with distances that the bulk of their class does not explain.

    Distances are Euclidean ones in ``numbers``, and those by the covariance of the bulk
    in ``spaces``, columns of the same rows in which covariances can be estimated; what
    all spaces say of a row is averaged.
    """
    plain, times, shaped = (np.zeros(len(codes)) for _ in range(3))
    for own, usual in _classes(codes):
        distances = _distances(numbers, usual, own)
        known = distances if usual is own else _distances(numbers, usual, usual)
        plain[own] = _deviations(distances, known)
        times[own] = distances / (np.median(known) or 1.0)
        if usual is own:
            by_space = [_by_covariance(rows[own]) for rows in spaces]
            shaped[own] = np.mean([_deviations(d, d) for d in by_space], axis=0)
    thresholds = [_threshold(plain), _threshold(shaped)]
    # Both on one scale, on which 0 is the threshold of each.
    deviations = np.maximum(plain - thresholds[0], shaped - thresholds[1])
    return Far(deviations + min(thresholds), min(thresholds), times, shaped)


def _classes(codes):
    """Rows of each class, and the rows that say what is usual for them."""
    for code in range(codes.max() + 1):
        own = np.flatnonzero(codes == code)
        if len(own):
            yield own, own if len(own) >= FEWEST else np.arange(len(codes))


def compressed(numbers):
    """Columns in which what is far is no farther than its logarithm.

    Heavy tails of honest columns reach far in one column, far rows in many.
    """
    if sparse.issparse(numbers):
        return numbers
    moved = numbers - np.median(numbers, axis=0)
    spread = 1.4826 * np.median(np.abs(moved), axis=0)
    deviation = np.std(moved, axis=0)
    # Columns that are mostly one value have no robust spread.
    spread = np.where(spread > 0.3 * deviation, spread, deviation)
    moved /= np.where(spread > 0, spread, 1)
    return np.sign(moved) * np.log1p(np.abs(moved))


def _distances(rows, usual, asked):
    if sparse.issparse(rows):
        return np.sqrt(row_norms(rows[asked], squared=True))
    return np.linalg.norm(rows[asked] - np.median(rows[usual], axis=0), axis=1)


def _by_covariance(rows):
    """Mahalanobis distances by the covariance of the rows in the middle."""
    moved = rows - np.median(rows, axis=0)
    distances = np.linalg.norm(moved / (rows.std(axis=0) + 1e-12), axis=1)
    for _ in range(STEPS):
        bulk = rows[np.argsort(distances)[: int(BULK * len(rows))]]
        covariance = ledoit_wolf(bulk)[0]
        ridge = 1e-9 * np.trace(covariance) / len(covariance) + np.finfo(float).tiny
        covariance[np.diag_indices_from(covariance)] += ridge
        moved = rows - bulk.mean(axis=0)
        squares = np.sum(moved * np.linalg.solve(covariance, moved.T).T, axis=1)
        distances = np.sqrt(np.maximum(squares, 0))
    return distances


def _deviations(distances, known):
    floor = 1e-9 * np.median(known) + np.finfo(float).tiny
    logs, known = np.log(distances + floor), np.log(known + floor)
    middle = np.median(known)
    spreads = [(np.quantile(known, q) - middle) / z for q, z in SPREAD.items()]
    return (logs - middle) / max(*spreads, LEAST_SPREAD)


def _threshold(deviations):
    """Where to cut by the Benjamini–Hochberg procedure on normal tails."""
    ordered = np.sort(deviations)[::-1]
    n = len(ordered)
    allowed = norm.isf(FALSE_SHARE * np.arange(1, n + 1) / n)
    beyond = np.flatnonzero(ordered >= allowed)
    if not len(beyond):
        return float(allowed[0])
    return float(np.nextafter(ordered[beyond[-1]], -np.inf))
