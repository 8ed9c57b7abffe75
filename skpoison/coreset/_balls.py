"""Greedy facility location, compiled, without a matrix of dissimilarities.

For more rows than a matrix of dissimilarities can hold. Rows are sorted into boxes; a
row adds nothing to the gain of candidates farther away than its medoid, so more distant
boxes are skipped.
"""

import heapq
from typing import NamedTuple

import numpy as np

from skpoison.coreset._numpy import Measure
from skpoison.coreset._pairs import (
    PICKED,
    RUN_ROWS,
    Line,
    compiled,
    new_line,
    pop,
    quantize,
    squares_to,
    units_to,
)
from skpoison.coreset.backend import UNIT

BOX_ROWS = 64
# Entries of the lists, at eight bytes; from here on lists take the place of distances.
LISTED = 2**22
SAMPLED = 64


class Boxes(NamedTuple):
    """Rows in an order in which neighbors stand together, cut into boxes.

    Box b holds ``BOX_ROWS`` positions from ``b * BOX_ROWS`` on; the last may hold
    fewer.
    """

    rows: np.ndarray  # the order: position to index
    columns: np.ndarray  # (n_features, n_samples), the rows in that order, transposed
    low: np.ndarray  # (n_boxes, n_features), the smallest values, float64
    high: np.ndarray  # and the largest ones


class RowState(NamedTuple):
    """The state of every row, in the order of the boxes, and of every box."""

    current: np.ndarray  # dissimilarity to the nearest medoid, int32
    radius: np.ndarray  # squared distance to it, float64
    nearest: np.ndarray  # which one it is, by the order of picking, intp
    gains: np.ndarray  # what picking the row would gain, int64
    reach: np.ndarray  # the largest radius in each box
    top: np.ndarray  # the largest gain in each box
    dirty: np.ndarray  # whether gains in the box have changed since


class Lists(NamedTuple):
    """For each row, the candidates whose gains it adds to, once these are few."""

    start: np.ndarray  # where the list of each row is
    length: np.ndarray  # how long it is
    who: np.ndarray  # candidates, int32
    units: np.ndarray  # their dissimilarities from the row, int32


class Scratch(NamedTuple):
    """Memory for temporary results."""

    line: Line
    who: np.ndarray  # which rows of a run lie in a ball, int32
    starts: np.ndarray  # runs of rows
    stops: np.ndarray
    new: np.ndarray  # dissimilarities of a box from the new medoid, int32
    new_radius: np.ndarray  # squared distances from it, float64
    point: np.ndarray  # a row, float64
    boxes: np.ndarray  # numbers of boxes


@compiled
def _first_gains(columns, measure, line, gains):
    """Gains without a medoid; every pair is computed once."""
    n_samples = columns.shape[1]
    gains[:] = n_samples * UNIT
    for row in range(n_samples):
        total = 0
        for start in range(row + 1, n_samples, RUN_ROWS):
            stop = min(start + RUN_ROWS, n_samples)
            units_to(columns, row, start, stop, measure, line)
            part = gains[start:stop]
            for j in range(stop - start):
                part[j] -= line.units[j]
                total += line.units[j]
        gains[row] -= total


@compiled
def _gap(low, high, other_low, other_high):
    """Least squared distance between two boxes."""
    total = 0.0
    for feature in range(len(low)):
        apart = max(
            low[feature] - other_high[feature], other_low[feature] - high[feature]
        )
        apart = max(apart, 0.0)
        total += apart * apart
    return total


@compiled
def _runs(rows, row, ball, near, scratch):
    """Runs of rows in boxes that intersect a ball around a row; their number."""
    point, starts, stops = scratch.point, scratch.starts, scratch.stops
    for feature in range(len(point)):
        point[feature] = rows.columns[feature, row]
    count = 0
    for box in near:
        if _gap(point, point, rows.low[box], rows.high[box]) > ball:
            continue
        start = box * BOX_ROWS
        stop = min(start + BOX_ROWS, rows.columns.shape[1])
        joins = count > 0 and stops[count - 1] == start
        if joins and stop - starts[count - 1] <= RUN_ROWS:
            stops[count - 1] = stop
        else:
            starts[count] = start
            stops[count] = stop
            count += 1
    return count


@compiled
def _rows_in_ball(columns, row, run, ball, measure, scratch):
    """Find the rows of a run in a ball around a row, and their dissimilarities."""
    start, stop = scratch.starts[run], scratch.stops[run]
    squares, who = scratch.line.squares, scratch.who
    squares_to(columns, row, start, stop, squares)
    found = 0
    for j in range(stop - start):
        square = squares[j]
        squares[found] = square
        who[found] = start + j
        found += square <= ball
    quantize(found, measure, scratch.line)
    return found


@compiled
def _take(rows, row, old, new, near, slack, measure, scratch, state):
    """Subtract a row's lost contribution from the gains of the candidates around it.

    With its medoid at ``old``, it added max(0, old - q) to a candidate at q.
    """
    ball = state.radius[row] * slack
    for run in range(_runs(rows, row, ball, near, scratch)):
        found = _rows_in_ball(rows.columns, row, run, ball, measure, scratch)
        for j in range(found):
            units = min(max(scratch.line.units[j], new), old)
            state.gains[scratch.who[j]] -= old - units
            state.dirty[scratch.who[j] // BOX_ROWS] = True


@compiled
def _list_size(rows, near, slack, measure, scratch, state):
    """Estimate the number of entries that lists would have, from a few rows."""
    n_samples = rows.columns.shape[1]
    step = max(1, n_samples // SAMPLED)
    total = 0
    for row in range(0, n_samples, step):
        ball = state.radius[row] * slack
        for run in range(_runs(rows, row, ball, near, scratch)):
            total += _rows_in_ball(rows.columns, row, run, ball, measure, scratch)
    return total * step


@compiled
def _fill(rows, row, first, lists, near, slack, measure, scratch, state):
    """Write the list of a row; returns its end, or -1 if the memory is full."""
    end = first
    ball = state.radius[row] * slack
    for run in range(_runs(rows, row, ball, near, scratch)):
        found = _rows_in_ball(rows.columns, row, run, ball, measure, scratch)
        if end + found > len(lists.who):
            return -1
        for j in range(found):
            lists.who[end] = scratch.who[j]
            lists.units[end] = scratch.line.units[j]
            end += scratch.line.units[j] < state.current[row]
    lists.start[row] = first
    lists.length[row] = end - first
    return end


@compiled
def _new_lists(n_samples, size):
    start = np.zeros(n_samples, np.int64)
    count = np.zeros(n_samples, np.int64)
    return Lists(start, count, np.empty(size, np.int32), np.empty(size, np.int32))


@compiled
def _make_lists(rows, most, slack, measure, scratch, state):
    """Lists of the candidates nearer than the medoid; without entries if too many."""
    n_samples = rows.columns.shape[1]
    none = _new_lists(n_samples, 0)
    near = np.arange(len(rows.low))
    if _list_size(rows, near, slack, measure, scratch, state) > most:
        return none
    lists = _new_lists(n_samples, min(most * 5 // 4, n_samples**2 + BOX_ROWS))
    end = 0
    for row in range(n_samples):
        end = _fill(rows, row, end, lists, near, slack, measure, scratch, state)
        if end < 0:
            return none
    return lists


@compiled
def _take_listed(lists, row, old, new, state):
    """The same, from the row's list, which is shortened."""
    start = lists.start[row]
    end = start
    for entry in range(start, start + lists.length[row]):
        who, units = lists.who[entry], lists.units[entry]
        state.gains[who] -= old - max(units, new)
        state.dirty[who // BOX_ROWS] = True
        lists.who[end] = who
        lists.units[end] = units
        end += units < new
    lists.length[row] = end - start


@compiled
def _near_boxes(rows, box, reach, scratch):
    """Boxes that hold rows within ``reach`` of a row of a box."""
    count = 0
    for other in range(len(rows.low)):
        gap = _gap(rows.low[box], rows.high[box], rows.low[other], rows.high[other])
        if gap <= reach:
            scratch.boxes[count] = other
            count += 1
    return scratch.boxes[:count]


@compiled
def _approach(rows, box, pick, measure, scratch, state):
    """Compare a box's rows with a new medoid; return how far changes reach."""
    start = box * BOX_ROWS
    stop = min(start + BOX_ROWS, rows.columns.shape[1])
    line = scratch.line
    units_to(rows.columns, pick, start, stop, measure, line)
    reach = -1.0
    for j in range(stop - start):
        scratch.new[j] = line.units[j]
        scratch.new_radius[j] = line.squares[j]
        if scratch.new[j] < state.current[start + j]:
            reach = max(reach, state.radius[start + j])
    return reach


@compiled
def _assign(rows, box, position, state, scratch):
    """Assign a box's rows to the new medoid where it is nearer than theirs."""
    start = box * BOX_ROWS
    widest = 0.0
    for j in range(min(BOX_ROWS, rows.columns.shape[1] - start)):
        row = start + j
        if position == 0 or scratch.new[j] < state.current[row]:
            state.current[row] = scratch.new[j]
            state.radius[row] = scratch.new_radius[j]
            state.nearest[row] = position
        widest = max(widest, state.radius[row])
    state.reach[box] = widest


@compiled
def _update(rows, box, reach, lists, slack, measure, scratch, state):
    """Subtract the lost contributions of a box's rows from all gains."""
    start = box * BOX_ROWS
    near = scratch.boxes[:0]
    if len(lists.who) == 0:
        near = _near_boxes(rows, box, reach * slack, scratch)
    for j in range(min(BOX_ROWS, rows.columns.shape[1] - start)):
        row, new, old = start + j, scratch.new[j], state.current[start + j]
        if new < old and len(lists.who):
            _take_listed(lists, row, old, new, state)
        elif new < old:
            _take(rows, row, old, new, near, slack, measure, scratch, state)


@compiled
def _add_medoid(rows, pick, position, lists, slack, measure, scratch, state):
    """Make a row a medoid, and update all gains."""
    point = rows.columns[:, pick].astype(np.float64)
    for box in range(len(rows.low)):
        gap = _gap(point, point, rows.low[box], rows.high[box])
        if gap > state.reach[box] * slack:
            continue
        reach = _approach(rows, box, pick, measure, scratch, state)
        if position > 0 and reach >= 0:
            _update(rows, box, reach, lists, slack, measure, scratch, state)
        if position == 0 or reach >= 0:
            _assign(rows, box, position, state, scratch)


@compiled
def _gains_after_first(columns, measure, line, state):
    """With a first medoid, rows only add to candidates nearer than it."""
    n_samples = columns.shape[1]
    state.gains[:] = 0
    for row in range(n_samples):
        own = state.current[row]
        total = np.int64(own)
        for start in range(row + 1, n_samples, RUN_ROWS):
            stop = min(start + RUN_ROWS, n_samples)
            units_to(columns, row, start, stop, measure, line)
            part, current = state.gains[start:stop], state.current[start:stop]
            for j in range(stop - start):
                part[j] += max(own - line.units[j], 0)
                total += max(current[j] - line.units[j], 0)
        state.gains[row] += total


@compiled
def _gains_from_lists(lists, state):
    """The same, from the lists."""
    state.gains[:] = 0
    for row in range(len(state.gains)):
        current = state.current[row]
        for entry in range(lists.start[row], lists.start[row] + lists.length[row]):
            state.gains[lists.who[entry]] += current - lists.units[entry]


@compiled
def _best(rows, state):
    """The candidate of the largest gain; of several, that of the lowest index."""
    for box in range(len(state.top)):
        if state.dirty[box]:
            state.dirty[box] = False
            start = box * BOX_ROWS
            state.top[box] = state.gains[start : start + BOX_ROWS].max()
    largest = state.top.max()
    best = -1
    for box in range(len(state.top)):
        if state.top[box] < largest:
            continue
        start = box * BOX_ROWS
        for row in range(start, min(start + BOX_ROWS, len(state.gains))):
            first = best < 0 or rows.rows[row] < rows.rows[best]
            if state.gains[row] == largest and first:
                best = row
    return best


@compiled
def _greedy(rows, places, n_medoids, lazy, most, slack, measure, scratch, state):
    """Pick medoids one by one; positions and gains."""
    picks = np.empty(n_medoids, np.intp)
    gains = np.empty(n_medoids, np.int64)
    _first_gains(rows.columns, measure, scratch.line, state.gains)
    heap = [(-state.gains[places[index]], -index) for index in range(len(places))]
    heapq.heapify(heap)
    lists = _new_lists(len(places), 0)
    for position in range(n_medoids):
        pick = pop(heap, places, state.gains) if lazy else _best(rows, state)
        picks[position] = pick
        gains[position] = state.gains[pick]
        _add_medoid(rows, pick, position, lists, slack, measure, scratch, state)
        if len(lists.who) == 0 and position & (position + 1) == 0:
            lists = _make_lists(rows, most, slack, measure, scratch, state)
        if position == 0:
            if len(lists.who):
                _gains_from_lists(lists, state)
            else:
                _gains_after_first(rows.columns, measure, scratch.line, state)
            state.dirty[:] = True
        state.gains[pick] = PICKED
        state.dirty[pick // BOX_ROWS] = True
    return picks, gains


def select(
    columns: np.ndarray, n_medoids: int, measure: Measure, order: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pick medoids among rows, X.T; as :func:`skpoison.coreset._numpy.greedy`."""
    n_features, n_samples = columns.shape
    rows = _boxes(columns)
    state = _new_state(n_samples, len(rows.low))
    scratch = _new_scratch(n_features, len(rows.low), columns.dtype)
    # How far rounding may take a computed distance from the true one, and more.
    slack = 1 + 8 * (n_features + 4) * float(np.finfo(columns.dtype).eps)
    lazy, places = order == "lazy", np.argsort(rows.rows)
    picks, gains = _greedy(
        rows, places, n_medoids, lazy, LISTED, slack, measure, scratch, state
    )
    nearest = np.empty(n_samples, dtype=np.intp)
    nearest[rows.rows] = state.nearest
    return rows.rows[picks], gains, nearest


def _boxes(columns):
    """Sort rows into boxes."""
    rows = neighbors_together(columns)
    columns = np.ascontiguousarray(columns[:, rows])
    starts = np.arange(0, len(rows), BOX_ROWS)
    low = np.minimum.reduceat(columns, starts, axis=1).T.astype(np.float64, order="C")
    high = np.maximum.reduceat(columns, starts, axis=1).T.astype(np.float64, order="C")
    return Boxes(rows, columns, low, high)


def neighbors_together(columns: np.ndarray) -> np.ndarray:
    """Return an order of rows, X.T, in which neighbors stand together, in boxes."""
    rows = np.arange(columns.shape[1])
    _halve(columns, rows)
    return rows


def _halve(columns, rows):
    """Halve the widest feature again and again; every box but the last stays full."""
    if len(rows) <= BOX_ROWS:
        return
    part = columns[:, rows]
    widest = part[np.argmax(part.max(axis=1) - part.min(axis=1))]
    half = (len(rows) // BOX_ROWS + 1) // 2 * BOX_ROWS
    rows[:] = rows[np.argpartition(widest, half - 1)]
    _halve(columns, rows[:half])
    _halve(columns, rows[half:])


def _new_state(n_samples, n_boxes):
    return RowState(
        current=np.full(n_samples, UNIT, dtype=np.int32),
        radius=np.full(n_samples, np.inf),
        nearest=np.zeros(n_samples, dtype=np.intp),
        gains=np.zeros(n_samples, dtype=np.int64),
        reach=np.full(n_boxes, np.inf),
        top=np.zeros(n_boxes, dtype=np.int64),
        dirty=np.ones(n_boxes, dtype=bool),
    )


def _new_scratch(n_features, n_boxes, dtype):
    return Scratch(
        line=new_line(dtype),
        who=np.empty(RUN_ROWS, dtype=np.int32),
        starts=np.empty(n_boxes, dtype=np.intp),
        stops=np.empty(n_boxes, dtype=np.intp),
        new=np.empty(BOX_ROWS, dtype=np.int32),
        new_radius=np.empty(BOX_ROWS),
        point=np.empty(n_features),
        boxes=np.empty(n_boxes, dtype=np.intp),
    )
