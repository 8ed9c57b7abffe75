"""Dissimilarities between one row and consecutive others, for compiled code.

The same integers as :mod:`skpoison.coreset._numpy` computes, to the last bit.
"""

import heapq
from typing import NamedTuple

import numpy as np
from numba import njit

from skpoison.coreset.backend import BASE, FARTHEST, SERIES, STEPS, UNIT, WEIGHT

C0, C1, C2, C3, C4, C5 = SERIES.tolist()
NEAR = 1 / STEPS
RUN_ROWS = 512
# Below any gain, even after all that may be taken from it.
PICKED = -(2**62)


def compiled(function):
    """Compile a function on first use, and keep the result on disk where possible."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:  # numba finds no folder that it may write to
        return njit(function)


class Line(NamedTuple):
    """Memory for the dissimilarities of one row from a run of RUN_ROWS others."""

    squares: np.ndarray  # squared distances, of the dtype of the rows
    scaled: np.ndarray  # scaled distances, of the same
    units: np.ndarray  # dissimilarities, int32


def new_line(dtype):
    """Make memory for rows of a dtype."""
    squares, scaled = np.empty((2, RUN_ROWS), dtype=dtype)
    return Line(squares, scaled, np.empty(RUN_ROWS, dtype=np.int32))


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
    n_features = columns.shape[0]
    for feature in range(n_features % 2):
        others, value = columns[feature, start:stop], columns[feature, row]
        for j in range(size):
            difference = others[j] - value
            squares[j] += difference * difference
    for feature in range(n_features % 2, n_features, 2):  # two read and write once
        others, value = columns[feature, start:stop], columns[feature, row]
        more, second = columns[feature + 1, start:stop], columns[feature + 1, row]
        for j in range(size):
            one, two = others[j] - value, more[j] - second
            squares[j] = (squares[j] + one * one) + two * two


@compiled
def _scaled(square, measure):
    distance = square if measure.squared else np.sqrt(square)
    return distance * measure.inverse


@compiled
def _scale(squares, size, measure, scaled):
    """Scaled distances; returns how many are not near."""
    far = 0
    for j in range(size):
        scaled[j] = _scaled(squares[j], measure)
        far += scaled[j] >= NEAR
    return far


@compiled
def quantize(size, measure, line):
    """Dissimilarities of the first squared distances of a line."""
    squares, scaled, units = line.squares, line.scaled, line.units
    if measure.near:
        for j in range(size):
            rest = np.float64(_scaled(squares[j], measure))
            units[j] = np.int32(_near_units(rest) + 0.5)
    elif measure.linear:
        for j in range(size):
            part = min(np.float64(_scaled(squares[j], measure)), 1.0)
            units[j] = np.int32(part * UNIT + 0.5)
    elif _scale(squares, size, measure, scaled) == 0:
        for j in range(size):
            units[j] = np.int32(_near_units(np.float64(scaled[j])) + 0.5)
    else:
        for j in range(size):
            rest = min(np.float64(scaled[j]), FARTHEST)
            step = np.int64(rest * STEPS)
            value = WEIGHT[step] * _near_units(rest - step / STEPS)
            units[j] = np.int32((BASE[step] + value) + 0.5)


@compiled
def units_to(columns, row, start, stop, measure, line):
    """Dissimilarities of one row from others in turn."""
    squares_to(columns, row, start, stop, line.squares)
    quantize(stop - start, measure, line)


@compiled
def pop(heap, places, gains):
    """The candidate that lazy greedy finds; see ``backend.LazyQueue``."""
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


def largest_square(columns: np.ndarray) -> np.floating:
    """Return the largest squared distance between rows, X.T."""
    return _largest_square(columns, np.zeros(RUN_ROWS, dtype=columns.dtype))
