"""Greedy facility location, compiled by numba.

The same picks and gains as from the numpy code, to the last bit: dissimilarities are
the same integers, and integers add up to the same sums in any order. What is here works
on a matrix of dissimilarities; :mod:`skpoison.coreset._balls` does without.
"""

import heapq

import numpy as np

from skpoison.coreset import _balls
from skpoison.coreset._numpy import Measure
from skpoison.coreset._pairs import (
    PICKED,
    RUN_ROWS,
    compiled,
    largest_square,
    new_line,
    pop,
    units_to,
)
from skpoison.coreset.backend import UNIT

__all__ = ["largest_square", "select"]

# As many dissimilarities add up to 2**30 at most, so int32 holds the sum.
CHUNK = 64


@compiled
def _fill(columns, measure, line, units, gains):
    """Compute all dissimilarities, and the gains with no medoid yet."""
    n_samples = columns.shape[1]
    gains[:] = n_samples * UNIT
    for row in range(n_samples):
        for start in range(0, n_samples, RUN_ROWS):
            stop = min(start + RUN_ROWS, n_samples)
            units_to(columns, row, start, stop, measure, line)
            part, out = gains[start:stop], units[row, start:stop]
            for j in range(stop - start):
                out[j] = line.units[j]
                part[j] -= line.units[j]


@compiled
def _take(units, rows, old, new, lost, gains):
    """Subtract the rows' lost contributions from all gains.

    A row whose medoid was at ``old`` added max(0, old - q) to a candidate at q.
    """
    for first in range(0, len(rows), CHUNK):
        lost[:] = 0
        for j in range(first, min(first + CHUNK, len(rows))):
            row, high, low = units[rows[j]], old[j], new[j]
            for candidate in range(len(lost)):
                lost[candidate] += high - min(max(row[candidate], low), high)
        for candidate in range(len(lost)):
            gains[candidate] -= lost[candidate]


@compiled
def _assign(to_pick, position, current, nearest, rows, old, new):
    """Assign rows to the new medoid where it is nearer; return their number."""
    count = 0
    for row in range(len(current)):
        rows[count], old[count], new[count] = row, current[row], to_pick[row]
        if to_pick[row] < current[row]:
            current[row] = to_pick[row]
            nearest[row] = position
            count += 1
    return count


@compiled
def _new(n_samples):
    return np.empty(n_samples, np.int32)


@compiled
def _greedy(units, n_medoids, lazy, gains, nearest):
    """Pick medoids one by one; positions and gains."""
    n_samples = len(gains)
    picks = np.empty(n_medoids, np.intp)
    picked = np.empty(n_medoids, np.int64)
    current = np.full(n_samples, UNIT, np.int32)
    rows, old, new = _new(n_samples), _new(n_samples), _new(n_samples)
    lost = _new(n_samples)
    heap = [(-gains[row], -row) for row in range(n_samples)]
    heapq.heapify(heap)
    places = np.arange(n_samples)
    for position in range(n_medoids):
        pick = pop(heap, places, gains) if lazy else np.argmax(gains)
        picks[position], picked[position] = pick, gains[pick]
        to_pick = units[pick]
        n_rows = _assign(to_pick, position, current, nearest, rows, old, new)
        _take(units, rows[:n_rows], old, new, lost, gains)
        gains[pick] = PICKED
    return picks, picked


def select(
    columns: np.ndarray,
    n_medoids: int,
    measure: Measure,
    order: str,
    units: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pick medoids among rows, with ``units`` as memory for all dissimilarities.

    Returns what :func:`skpoison.coreset._numpy.greedy` does.
    """
    if units is None:
        return _balls.select(columns, n_medoids, measure, order)
    n_samples = columns.shape[1]
    gains = np.empty(n_samples, dtype=np.int64)
    nearest = np.zeros(n_samples, dtype=np.intp)
    _fill(columns, measure, new_line(columns.dtype), units, gains)
    picks, picked = _greedy(units, n_medoids, order == "lazy", gains, nearest)
    return picks, picked, nearest
