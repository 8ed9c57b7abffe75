"""Distances as integers, so that sums of them are exact in any order.

A dissimilarity is a multiple of 2^-24, kept as an integer. It is computed from rows by
additions, multiplications and square roots only, one at a time and in a fixed order,
which IEEE arithmetic rounds in the same way everywhere: compiled or not, on any
device, equal rows give equal integers.
"""

from decimal import Decimal
from typing import NamedTuple

import numpy as np

UNIT = 2**24
# 1 - exp(-r) for 0 <= r <= 1/4, as r times a polynomial of degree five, interpolated at
# Chebyshev's points: right to 1e-4 units. STEPS of 1/4 further out are in two tables,
# 1 - exp(-k/4) and exp(-k/4); beyond t = 20 nothing is left to tell apart.
SERIES = UNIT * np.array(
    [
        0.9999999999784527,
        -0.4999999937918253,
        0.16666637629683123,
        -0.041661687753806596,
        0.0082945791327802,
        -0.00124844455664667,
    ]
)
STEPS = 4
FARTHEST = 20.0
_DECAY = [(Decimal(-k) / STEPS).exp() for k in range(int(FARTHEST) * STEPS + 1)]
WEIGHT = np.array([float(decay) for decay in _DECAY])
BASE = np.array([float(UNIT * (1 - decay)) for decay in _DECAY])

# What fits into the cache, with the differences in so many features.
TILE_ROWS = 24
TILE_COLUMNS = 384
FEATURES = 9
# All dissimilarities of 16,384 rows.
STORED_BYTES = 2**30


class Room:
    """Memory for matrices of dissimilarities, used again for every class.

    Parameters
    ----------
    n_samples : int
        The most rows that a class has.
    """

    def __init__(self, n_samples):
        self.stored = 4 * n_samples**2 <= STORED_BYTES
        self.buffer = np.empty(n_samples**2 if self.stored else 0, dtype=np.int32)

    def matrix(self, n_samples):
        """Part of it as a matrix.

        Parameters
        ----------
        n_samples : int
            Number of rows.

        Returns
        -------
        matrix : ndarray of shape (n_samples, n_samples) or None
            None where there is no room for it.
        """
        if n_samples**2 > len(self.buffer):
            return None
        return self.buffer[: n_samples**2].reshape(n_samples, n_samples)


class Measure(NamedTuple):
    """How squared distances become dissimilarities.

    Parameters
    ----------
    linear : bool
        Whether a dissimilarity is the scaled distance itself, rather than
        ``1 - exp(-scaled distance)``.
    squared : bool
        Whether a distance is proportional to the squared distance (the cosine distance
        of rows of length one is half of it), rather than to its root.
    inverse : floating
        What it is multiplied with, of the dtype of the rows.
    largest : float
        The similarity of equal rows: 1, or the largest distance.
    """

    linear: bool
    squared: bool
    inverse: np.floating
    largest: float


def squared_distances(columns, rows, others):
    """Squared distances between some of the rows and others.

    Parameters
    ----------
    columns : ndarray of shape (n_features, n_samples)
        The rows, transposed, float64 or float32.
    rows, others : slice or ndarray of int
        Which rows.

    Returns
    -------
    squares : ndarray of shape (n_rows, n_others)
        Sums over the features, first to last, in the dtype of ``columns``.
    """
    here, there = columns[:, rows, None], columns[:, None, others]
    squares = here[0] - there[0]
    np.multiply(squares, squares, out=squares)
    for first in range(1, len(columns), FEATURES):
        part = here[first : first + FEATURES] - there[first : first + FEATURES]
        np.multiply(part, part, out=part)
        for more in part:
            np.add(squares, more, out=squares)
    return squares


def quantize(squares, measure):
    """Turn squared distances into dissimilarities.

    Parameters
    ----------
    squares : ndarray
        Squared distances, float64 or float32; overwritten.
    measure : Measure
        What to make of them.

    Returns
    -------
    dissimilarities : ndarray
        Integers from 0 to 2**24, int32, of the same shape.
    """
    if not measure.squared:
        np.sqrt(squares, out=squares)
    np.multiply(squares, measure.inverse, out=squares)
    units = _linear_units(squares) if measure.linear else _exp_units(squares)
    np.add(units, 0.5, out=units)
    return units.astype(np.int32)


def _linear_units(scaled):
    return np.minimum(scaled.astype(np.float64), 1.0) * UNIT


def _exp_units(scaled):
    if scaled.max(initial=0.0) < 1 / STEPS:
        return _near_units(scaled.astype(np.float64))
    rest = np.minimum(scaled.astype(np.float64), FARTHEST)
    steps = (rest * STEPS).astype(np.intp)
    rest -= steps / STEPS
    return BASE[steps] + WEIGHT[steps] * _near_units(rest)


def _near_units(rest):
    units = rest * SERIES[-1]
    for coefficient in SERIES[-2::-1]:
        np.add(units, coefficient, out=units)
        np.multiply(units, rest, out=units)
    return units


def tiles(n_samples):
    """Cut the upper triangle of a square matrix into tiles that stay in the cache.

    Parameters
    ----------
    n_samples : int
        Number of rows and columns.

    Yields
    ------
    rows, others : slice
        A tile; together they cover the diagonal and everything above it.
    """
    for start in range(0, n_samples, TILE_ROWS):
        rows = slice(start, min(start + TILE_ROWS, n_samples))
        for left in range(start, n_samples, TILE_COLUMNS):
            yield rows, slice(left, min(left + TILE_COLUMNS, n_samples))


def all_dissimilarities(squares_between, measure, out):
    """All dissimilarities.

    Parameters
    ----------
    squares_between : callable
        ``squares_between(rows, others)``: squared distances of two slices of rows.
    measure : Measure
        What to make of them.
    out : ndarray of shape (n_samples, n_samples)
        Where they go, int32; symmetric in the end.
    """
    for rows, others in tiles(len(out)):
        tile = quantize(squares_between(rows, others), measure)
        out[rows, others] = tile
        out[others, rows] = tile.T
        if others.start == rows.start:  # matrix products need not be symmetric
            square = tile[:, : len(tile)]
            out[rows, rows] = np.minimum(square, square.T)
