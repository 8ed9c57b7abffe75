"""Greedy facility location, compiled by numba.

The same picks and gains as from the numpy code, to the last bit: dissimilarities are
the same integers, and integers add up to the same sums in any order. What is here works
on a matrix of dissimilarities; :mod:`skpoison.coreset._balls` does without.

Many rows are sorted so that neighbors stand together, in boxes. A row adds nothing to
the gains of candidates farther away than its medoid, and boxes that hold no others are
left out. Few rows are one box.
"""

import heapq
from typing import NamedTuple

import numpy as np

from skpoison.coreset import _balls
from skpoison.coreset._balls import BOX_ROWS
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
# Rows of a tile of dissimilarities, a multiple of BOX_ROWS. The copy of a tile across
# the diagonal writes so many side by side: with a quarter of them it takes twice as
# long. Without padding, entries below each other would compete for lines of the cache.
TILE_ROWS = 256
PADDING = 16
# Fewer rows take no longer than it takes to sort them.
SORTED_FROM = 2500


class State(NamedTuple):
    """The state of every row, and of every box."""

    box_rows: int
    units: np.ndarray  # all dissimilarities, int32
    lowest: np.ndarray  # of each row, the least in each box, int32
    order: np.ndarray  # the index of the row at each position
    current: np.ndarray  # dissimilarity to the nearest medoid, int32
    nearest: np.ndarray  # which one it is, by the order of picking, intp
    changed: np.ndarray  # memory for the rows of a box that change it, intp
    gains: np.ndarray  # what picking the row would gain, int64
    lost: np.ndarray  # what is still to be subtracted from it, int32
    farthest: np.ndarray  # the largest of ``current`` in each box, int32


@compiled
def _subtract(lost, gains):
    for candidate in range(len(gains)):
        gains[candidate] -= lost[candidate]
        lost[candidate] = 0


@compiled
def _sum(units, lowest):
    """Add dissimilarities up, and note the least in each box; a box begins with them.

    Where all rows are one box, it is noted stretch by stretch all the same.
    """
    total = 0
    for stretch in range(-(-len(units) // BOX_ROWS)):
        part = units[stretch * BOX_ROWS : (stretch + 1) * BOX_ROWS]
        part_total, least = np.int32(0), part[0]
        for j in range(len(part)):
            part_total += part[j]
            least = min(least, part[j])
        total += part_total
        box = min(stretch, len(lowest) - 1)
        lowest[box] = min(lowest[box], least)
    return total


@compiled
def _copy(source, target):
    for j in range(len(target)):
        target[j] = source[j]


@compiled
def _compute(columns, rows, others, measure, line, tile, state):
    """Fill a tile with the dissimilarities of rows from others, and store them.

    Others before a row are left out, except in its own stretch of BOX_ROWS.
    """
    start, stop = others
    for row in range(rows[0], rows[1]):
        first = max(start, row - row % BOX_ROWS)
        units = tile[row - rows[0], first - start : stop - start]
        box = first // state.box_rows
        units_to(columns, row, first, stop, measure, line)
        _copy(line.units, units)
        _copy(units, state.units[row, first:stop])
        state.gains[row] -= _sum(units, state.lowest[row, box:])


@compiled
def _mirror(rows, others, tile, state):
    """Store the dissimilarities of a tile once more, as those of others from rows.

    Those of one stretch have been computed in both directions.
    """
    first, start = rows[0], others[0]
    box = first // state.box_rows
    for other in range(start, others[1]):
        stop = min(rows[1], other - other % BOX_ROWS)
        if first >= stop:
            continue
        units = state.units[other, first:stop]
        for j in range(len(units)):
            units[j] = tile[j, other - start]
        state.gains[other] -= _sum(units, state.lowest[other, box:])


@compiled
def _fill(columns, measure, line, state):
    """Compute all dissimilarities, once for each pair, and gains with no medoid yet."""
    n_samples = columns.shape[1]
    tile = np.empty((TILE_ROWS, RUN_ROWS + PADDING), dtype=np.int32)
    state.gains[:] = n_samples * UNIT
    for first in range(0, n_samples, TILE_ROWS):
        rows = first, min(first + TILE_ROWS, n_samples)
        for start in range(first, n_samples, RUN_ROWS):
            others = start, min(start + RUN_ROWS, n_samples)
            _compute(columns, rows, others, measure, line, tile, state)
            _mirror(rows, others, tile, state)


@compiled
def _lose(units, low, high, lost):
    """What a row no longer adds to candidates, whose medoid was at ``high``.

    It added max(0, high - q) to a candidate at q.
    """
    for candidate in range(len(lost)):
        lost[candidate] += high - min(max(units[candidate], low), high)


@compiled
def _take(units, lowest, low, high, box_rows, lost):
    """The same for all candidates, past boxes that hold none nearer than ``high``."""
    box = 0
    while box < len(lowest):
        first = box * box_rows
        while box < len(lowest) and lowest[box] < high:
            box += 1
        stop = min(box * box_rows, len(lost))
        if stop > first:
            _lose(units[first:stop], low, high, lost[first:stop])
        box += 1


@compiled
def _nearer(to_pick, current, first, stop, rows):
    """Write down which of the rows are nearer to a new medoid; return their number."""
    count = 0
    for row in range(first, stop):
        rows[count] = row
        count += to_pick[row] < current[row]
    return count


@compiled
def _largest(values):
    largest = values[0]
    for place in range(len(values)):
        largest = max(largest, values[place])
    return largest


@compiled
def _add_medoid(pick, position, state):
    """Assign rows to a new medoid where it is nearer, and update all gains."""
    n_changed = 0
    to_pick, current, lost = state.units[pick], state.current, state.lost
    n_boxes = len(state.farthest)
    for box in range(n_boxes):
        if state.lowest[pick, box] >= state.farthest[box]:
            continue
        first = box * state.box_rows
        stop = min(first + state.box_rows, len(current))
        for j in range(_nearer(to_pick, current, first, stop, state.changed)):
            row = state.changed[j]
            low, high = to_pick[row], current[row]
            if n_boxes == 1:
                _lose(state.units[row], low, high, lost)
            else:
                lowest = state.lowest[row]
                _take(state.units[row], lowest, low, high, state.box_rows, lost)
            current[row], state.nearest[row] = low, position
            n_changed += 1
            if n_changed % CHUNK == 0:
                _subtract(lost, state.gains)
        state.farthest[box] = _largest(current[first:stop])
    _subtract(lost, state.gains)
    state.gains[pick] = PICKED


@compiled
def _best(state):
    """The candidate of the largest gain; of several, that of the lowest index."""
    gains = state.gains
    if len(state.farthest) == 1:  # rows are in their own order
        return np.argmax(gains)
    largest = _largest(gains)
    best = -1
    for row in range(len(gains)):
        if gains[row] == largest:
            if best < 0 or state.order[row] < state.order[best]:
                best = row
    return best


@compiled
def _greedy(n_medoids, places, lazy, state):
    """Pick medoids one by one; positions and gains."""
    picks = np.empty(n_medoids, np.intp)
    picked = np.empty(n_medoids, np.int64)
    heap = [(-state.gains[places[index]], -index) for index in range(len(places))]
    heapq.heapify(heap)
    for position in range(n_medoids):
        pick = pop(heap, places, state.gains) if lazy else _best(state)
        picks[position], picked[position] = pick, state.gains[pick]
        _add_medoid(pick, position, state)
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
    rows = np.arange(columns.shape[1])
    if len(rows) >= SORTED_FROM:
        rows = _balls.neighbors_together(columns)
        columns = np.ascontiguousarray(columns[:, rows])
    state = _new_state(rows, units)
    _fill(columns, measure, new_line(columns.dtype), state)
    picks, picked = _greedy(n_medoids, np.argsort(rows), order == "lazy", state)
    nearest = np.empty(len(rows), dtype=np.intp)
    nearest[rows] = state.nearest
    return rows[picks], picked, nearest


def _new_state(rows, units):
    n_samples = len(rows)
    box_rows = BOX_ROWS if n_samples >= SORTED_FROM else n_samples
    n_boxes = -(-n_samples // box_rows)
    return State(
        box_rows=box_rows,
        units=units,
        lowest=np.full((n_samples, n_boxes), UNIT, dtype=np.int32),
        order=rows,
        current=np.full(n_samples, UNIT, dtype=np.int32),
        nearest=np.zeros(n_samples, dtype=np.intp),
        changed=np.empty(box_rows, dtype=np.intp),
        gains=np.empty(n_samples, dtype=np.int64),
        lost=np.zeros(n_samples, dtype=np.int32),
        farthest=np.full(n_boxes, UNIT, dtype=np.int32),
    )
