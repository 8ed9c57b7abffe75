"""Greedy facility location, compiled, without a matrix of dissimilarities.

The same picks and gains as from the numpy code, to the last bit: dissimilarities are
the same integers, and integers add up to the same sums in any order. Rows are sorted
into boxes; a row gives nothing to candidates farther away than its medoid, so boxes
that lie farther are passed over.
"""

import heapq
from typing import NamedTuple

import numpy as np

from skpoison.coreset._boxes import BOX_ROWS, boxes
from skpoison.coreset._compile import compiled
from skpoison.coreset._dissimilarity import BASE, FARTHEST, SERIES, STEPS, UNIT, WEIGHT

C0, C1, C2, C3, C4, C5 = SERIES.tolist()
NEAR = 1 / STEPS


class State(NamedTuple):
    """What is known about every row, in the order of the boxes.

    Parameters
    ----------
    current : ndarray of shape (n_samples,)
        Dissimilarity to the nearest medoid, int32.
    radius : ndarray of shape (n_samples,)
        Squared distance to it, float64.
    nearest : ndarray of shape (n_samples,)
        Which one it is, by the order of picking, intp.
    gains : ndarray of shape (n_samples,)
        What picking the row would gain, int64.
    picked : ndarray of shape (n_samples,)
        Whether it is a medoid.
    reach : ndarray of shape (n_boxes,)
        The largest radius in each box.
    best : ndarray of shape (n_boxes,)
        The position of the best candidate in each box, or -1; -2 where unknown.
    """

    current: np.ndarray
    radius: np.ndarray
    nearest: np.ndarray
    gains: np.ndarray
    picked: np.ndarray
    reach: np.ndarray
    best: np.ndarray


class Scratch(NamedTuple):
    """Room for the numbers of one box.

    Parameters
    ----------
    squares, scaled : ndarray of shape (BOX_ROWS,)
        Squared distances, and distances, of the dtype of the rows.
    units : ndarray of shape (BOX_ROWS,)
        Dissimilarities, int32.
    new : ndarray of shape (BOX_ROWS,)
        Dissimilarities from the new medoid, int32.
    new_radius : ndarray of shape (BOX_ROWS,)
        Squared distances from the new medoid, float64.
    point : ndarray of shape (n_features,)
        A row, float64.
    boxes : ndarray of shape (n_boxes,)
        Numbers of boxes.
    """

    squares: np.ndarray
    scaled: np.ndarray
    units: np.ndarray
    new: np.ndarray
    new_radius: np.ndarray
    point: np.ndarray
    boxes: np.ndarray


@compiled
def _near_units(rest):
    units = rest * C5
    units = (units + C4) * rest
    units = (units + C3) * rest
    units = (units + C2) * rest
    units = (units + C1) * rest
    return (units + C0) * rest


@compiled
def _squares(columns, row, start, stop, squares):
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
def _dissimilarities(columns, row, start, stop, measure, scratch):
    """Dissimilarities of one row from others in turn, into ``scratch.units``."""
    size = stop - start
    scaled, units = scratch.scaled, scratch.units
    _squares(columns, row, start, stop, scratch.squares)
    far = _scale(scratch.squares, size, measure, scaled)
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
def _first_gains(columns, measure, scratch, gains):
    """Gains with no medoid yet; every pair is looked at once."""
    n_samples = columns.shape[1]
    gains[:] = n_samples * UNIT
    for row in range(n_samples):
        total = 0
        start = row + 1
        while start < n_samples:
            stop = min((start // BOX_ROWS + 1) * BOX_ROWS, n_samples)
            _dissimilarities(columns, row, start, stop, measure, scratch)
            for j in range(stop - start):
                gains[start + j] -= scratch.units[j]
                total += scratch.units[j]
            start = stop
        gains[row] -= total


@compiled
def _gap(low, high, other_low, other_high):
    """Least squared distance between two boxes."""
    total = 0.0
    for feature in range(len(low)):
        apart = max(low[feature] - other_high[feature], other_low[feature] - high[feature])
        apart = max(apart, 0.0)
        total += apart * apart
    return total


@compiled
def _give(rows, row, reach, most, least, sign, near, measure, scratch, state):
    """Add to the candidates around a row clip(most - q, 0, most - least), signed."""
    n_samples = rows.columns.shape[1]
    point, units = scratch.point, scratch.units
    point[:] = rows.columns[:, row]
    for box in near:
        if _gap(point, point, rows.low[box], rows.high[box]) > reach:
            continue
        start = box * BOX_ROWS
        stop = min(start + BOX_ROWS, n_samples)
        _dissimilarities(rows.columns, row, start, stop, measure, scratch)
        gains = state.gains[start:stop]
        for j in range(stop - start):
            gains[j] += sign * min(max(most - units[j], 0), most - least)
        state.best[box] = -2


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
def _approach(rows, box, pick, first, measure, scratch, state):
    """Measure a box's rows against a new medoid; how far do changes reach?"""
    start = box * BOX_ROWS
    size = min(BOX_ROWS, rows.columns.shape[1] - start)
    _dissimilarities(rows.columns, pick, start, start + size, measure, scratch)
    reach = -1.0
    for j in range(size):
        scratch.new[j] = scratch.units[j]
        scratch.new_radius[j] = scratch.squares[j]
        if first:
            reach = max(reach, scratch.new_radius[j])
        elif scratch.new[j] < state.current[start + j]:
            reach = max(reach, state.radius[start + j])
    return reach


@compiled
def _assign(rows, box, position, near, slack, measure, scratch, state):
    """Give a box's rows to the new medoid where it is nearer than theirs."""
    start = box * BOX_ROWS
    size = min(BOX_ROWS, rows.columns.shape[1] - start)
    widest = 0.0
    for j in range(size):
        row, new, old = start + j, scratch.new[j], state.current[start + j]
        if position == 0:
            ball = scratch.new_radius[j] * slack
            _give(rows, row, ball, new, 0, 1, near, measure, scratch, state)
        elif new < old:
            ball = state.radius[row] * slack
            _give(rows, row, ball, old, new, -1, near, measure, scratch, state)
        if position == 0 or new < old:
            state.current[row] = new
            state.radius[row] = scratch.new_radius[j]
            state.nearest[row] = position
        widest = max(widest, state.radius[row])
    state.reach[box] = widest


@compiled
def _add_medoid(rows, pick, position, slack, measure, scratch, state):
    """Make a row a medoid, and bring all gains up to date."""
    state.picked[pick] = True
    state.best[pick // BOX_ROWS] = -2
    first = position == 0
    if first:  # without a medoid, rows gave to all: start again from nothing
        state.gains[:] = 0
    point = rows.columns[:, pick].astype(np.float64)
    for box in range(len(rows.low)):
        gap = _gap(point, point, rows.low[box], rows.high[box])
        if gap > state.reach[box] * slack:
            continue
        reach = _approach(rows, box, pick, first, measure, scratch, state)
        if reach >= 0:
            near = _near_boxes(rows, box, reach * slack, scratch)
            _assign(rows, box, position, near, slack, measure, scratch, state)


@compiled
def _better(rows, state, row, other):
    """Whether a candidate comes before another; -1 is none."""
    if other < 0 or state.gains[row] != state.gains[other]:
        return other < 0 or state.gains[row] > state.gains[other]
    return rows.rows[row] < rows.rows[other]


@compiled
def _best(rows, state):
    """The candidate of the largest gain; of several, that of the lowest index."""
    best = -1
    for box in range(len(state.best)):
        if state.best[box] == -2:
            state.best[box] = -1
            start = box * BOX_ROWS
            for row in range(start, min(start + BOX_ROWS, len(state.gains))):
                if not state.picked[row] and _better(rows, state, row, state.best[box]):
                    state.best[box] = row
        if state.best[box] >= 0 and _better(rows, state, state.best[box], best):
            best = state.best[box]
    return best


@compiled
def _pop(heap, places, state):
    """The candidate that lazy greedy finds; see ``_order.Lazy``."""
    while True:
        index = -heapq.heappop(heap)[1]
        gain = state.gains[places[index]]
        if len(heap) == 0 or gain >= -heap[0][0]:
            return places[index]
        heapq.heappush(heap, (-gain, -index))


@compiled
def _greedy(rows, n_medoids, lazy, slack, measure, scratch, state):
    """Pick medoids one by one; positions and gains."""
    picks = np.empty(n_medoids, np.intp)
    gains = np.empty(n_medoids, np.int64)
    _first_gains(rows.columns, measure, scratch, state.gains)
    places = np.argsort(rows.rows)
    heap = [(-state.gains[places[index]], -index) for index in range(len(places))]
    heapq.heapify(heap)
    for position in range(n_medoids):
        pick = _pop(heap, places, state) if lazy else _best(rows, state)
        picks[position] = pick
        gains[position] = state.gains[pick]
        _add_medoid(rows, pick, position, slack, measure, scratch, state)
    return picks, gains


def select(columns, n_medoids, measure, order):
    """Pick medoids among rows.

    Parameters
    ----------
    columns : ndarray of shape (n_features, n_samples)
        The rows, transposed, float64 or float32.
    n_medoids : int
        How many to pick, at most ``n_samples``.
    measure : Measure
        What to make of squared distances.
    order : {"canonical", "lazy"}
        Who is picked among equals.

    Returns
    -------
    picks, gains, nearest : ndarray
        As from :func:`skpoison.coreset._numpy.greedy`.
    """
    n_features, n_samples = columns.shape
    rows = boxes(columns)
    state = _new_state(n_samples, len(rows.low))
    scratch = _new_scratch(n_features, len(rows.low), columns.dtype)
    # How far rounding may take a computed distance from the true one, and more.
    slack = 1 + 8 * (n_features + 4) * float(np.finfo(columns.dtype).eps)
    lazy = order == "lazy"
    picks, gains = _greedy(rows, n_medoids, lazy, slack, measure, scratch, state)
    nearest = np.empty(n_samples, dtype=np.intp)
    nearest[rows.rows] = state.nearest
    return rows.rows[picks], gains, nearest


def _new_state(n_samples, n_boxes):
    return State(
        current=np.full(n_samples, UNIT, dtype=np.int32),
        radius=np.full(n_samples, np.inf),
        nearest=np.zeros(n_samples, dtype=np.intp),
        gains=np.zeros(n_samples, dtype=np.int64),
        picked=np.zeros(n_samples, dtype=bool),
        reach=np.full(n_boxes, np.inf),
        best=np.full(n_boxes, -2, dtype=np.intp),
    )


def _new_scratch(n_features, n_boxes, dtype):
    return Scratch(
        squares=np.empty(BOX_ROWS, dtype=dtype),
        scaled=np.empty(BOX_ROWS, dtype=dtype),
        units=np.empty(BOX_ROWS, dtype=np.int32),
        new=np.empty(BOX_ROWS, dtype=np.int32),
        new_radius=np.empty(BOX_ROWS),
        point=np.empty(n_features),
        boxes=np.empty(n_boxes, dtype=np.intp),
    )
