"""Dissimilarities of a row from others in turn, and what compiled code shares.

The same integers as :mod:`skpoison.coreset._dissimilarity` computes, to the last bit.
"""

import heapq
from typing import NamedTuple

import numpy as np

from skpoison.coreset._compile import compiled
from skpoison.coreset._dissimilarity import BASE, FARTHEST, SERIES, STEPS, UNIT, WEIGHT

C0, C1, C2, C3, C4, C5 = SERIES.tolist()
NEAR = 1 / STEPS
RUN_ROWS = 512
# Below any gain, even after all that may be taken from it.
PICKED = -(2**62)


class Line(NamedTuple):
    """Room for the dissimilarities of one row from a run of others.

    Parameters
    ----------
    squares, scaled : ndarray of shape (RUN_ROWS,)
        Squared distances, and distances, of the dtype of the rows.
    units : ndarray of shape (RUN_ROWS,)
        Dissimilarities, int32.
    """

    squares: np.ndarray
    scaled: np.ndarray
    units: np.ndarray


def new_line(dtype):
    """Make room for a run of dissimilarities.

    Parameters
    ----------
    dtype : dtype
        That of the rows.

    Returns
    -------
    line : Line
        Arrays of ``RUN_ROWS`` values.
    """
    return Line(
        squares=np.empty(RUN_ROWS, dtype=dtype),
        scaled=np.empty(RUN_ROWS, dtype=dtype),
        units=np.empty(RUN_ROWS, dtype=np.int32),
    )


@compiled
def _near_units(rest):
    units = rest * C5
    units = (units + C4) * rest
    units = (units + C3) * rest
    units = (units + C2) * rest
    units = (units + C1) * rest
    return (units + C0) * rest


@compiled
def squares_to(columns, row, start, stop, squares):
    """Squared distances from one row to others in turn."""
    size = stop - start
    squares[:size] = 0
    for feature in range(columns.shape[0]):
        others = columns[feature, start:stop]
        value = columns[feature, row]
        for j in range(size):
            difference = others[j] - value
            squares[j] += difference * difference


@compiled
def _scale(squares, size, measure, scaled):
    """Scaled distances; returns how many are not near."""
    far = 0
    for j in range(size):
        distance = squares[j] if measure.squared else np.sqrt(squares[j])
        scaled[j] = distance * measure.inverse
        far += scaled[j] >= NEAR
    return far


@compiled
def quantize(squares, size, measure, scratch):
    """Dissimilarities of squared distances, into ``scratch.units``."""
    scaled, units = scratch.scaled, scratch.units
    far = _scale(squares, size, measure, scaled)
    if measure.linear:
        for j in range(size):
            units[j] = np.int32(min(np.float64(scaled[j]), 1.0) * UNIT + 0.5)
    elif far == 0:
        for j in range(size):
            units[j] = np.int32(_near_units(np.float64(scaled[j])) + 0.5)
    else:
        for j in range(size):
            rest = min(np.float64(scaled[j]), FARTHEST)
            step = np.int64(rest * STEPS)
            value = WEIGHT[step] * _near_units(rest - step / STEPS)
            units[j] = np.int32((BASE[step] + value) + 0.5)


@compiled
def pop(heap, places, gains):
    """The candidate that lazy greedy finds; see ``_order.Lazy``."""
    while True:
        index = -heapq.heappop(heap)[1]
        gain = gains[places[index]]
        if len(heap) == 0 or gain >= -heap[0][0]:
            return places[index]
        heapq.heappush(heap, (-gain, -index))


@compiled
def _largest_square(columns, squares):
    n_samples = columns.shape[1]
    largest = squares[0] * 0
    for row in range(n_samples):
        for start in range(row + 1, n_samples, RUN_ROWS):
            stop = min(start + RUN_ROWS, n_samples)
            squares_to(columns, row, start, stop, squares)
            for j in range(stop - start):
                largest = max(largest, squares[j])
    return largest


def largest_square(columns):
    """Largest squared distance between rows.

    Parameters
    ----------
    columns : ndarray of shape (n_features, n_samples)
        The rows, transposed, float64 or float32.

    Returns
    -------
    largest : floating
        Of the dtype of ``columns``.
    """
    return _largest_square(columns, np.zeros(RUN_ROWS, dtype=columns.dtype))
