"""Dissimilarities and greedy facility location in numpy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from skpoison.coreset.backend import (
    BASE,
    FARTHEST,
    SERIES,
    STEPS,
    UNIT,
    WEIGHT,
    LazyQueue,
)

# What fits into the cache, with the differences in so many features.
TILE_ROWS = 16, 64
TILE = 2**14
FEATURES = 9
# Sixteen dissimilarities add up to 2**28 at most, so int32 holds the sum.
CHUNK = 16
INT32 = 2**31 - 1
# Dissimilarities that stay in the cache.
CACHED = 2**17
# NumPy copies operands that are broadcast into its buffer, unless this is shorter than
# a line of them; by default it holds 8192 entries.
BUFFER = 256
COEFFICIENTS = SERIES[::-1].tolist()
PICKED = -1  # below any gain


class Measure(NamedTuple):
    """How squared distances become dissimilarities."""

    linear: bool  # the scaled distance itself, not 1 - exp(-scaled distance)
    squared: bool  # of the squared distance (cosine is half of it), not of its root
    inverse: np.floating  # what it is multiplied with, of the dtype of the rows
    largest: float  # the similarity of equal rows: 1, or the largest distance
    near: bool = False  # whether no scaled distance reaches 1 / STEPS, nor is linear


def squared_distances(
    columns: np.ndarray, rows: slice | np.ndarray, others: slice | np.ndarray
) -> np.ndarray:
    """Sums of squares over the features, first to last; ``columns`` are the rows' X.T.

    ``rows`` and ``others`` are slices or arrays of indices.
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


@contextmanager
def fast_arithmetic(**errors: Any) -> Iterator[None]:
    """Broadcast without copies, under ``np.errstate(**errors)``."""
    with np.errstate(**errors):  # also restores the size of the buffer
        np.setbufsize(BUFFER)
        yield


def quantize(squares: np.ndarray, measure: Measure) -> np.ndarray:
    """Turn squared distances, which are overwritten, into dissimilarities, int32."""
    if not measure.squared:
        np.sqrt(squares, out=squares)
    np.multiply(squares, measure.inverse, out=squares)
    if measure.near:
        units = _near_units(squares.astype(np.float64))
    elif measure.linear:
        units = _linear_units(squares)
    else:
        units = _exp_units(squares)
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
    highest, *lower = COEFFICIENTS
    units = rest * highest
    for coefficient in lower:
        np.add(units, coefficient, out=units)
        np.multiply(units, rest, out=units)
    return units


def tiles(n_samples: int) -> Iterator[tuple[slice, slice]]:
    """Cover the diagonal of a square matrix and what is above it by tiles.

    They are small enough to stay in the cache.
    """
    fewest, most = TILE_ROWS
    start = 0
    while start < n_samples:
        n_rows = min(max(TILE // (n_samples - start), fewest), most)
        rows = slice(start, min(start + n_rows, n_samples))
        for left in range(start, n_samples, TILE // n_rows):
            yield rows, slice(left, min(left + TILE // n_rows, n_samples))
        start = rows.stop


def all_dissimilarities(
    squares_between: Callable[[slice, slice], np.ndarray],
    measure: Measure,
    out: np.ndarray,
) -> None:
    """Write all dissimilarities into ``out``, int32, symmetric in the end."""
    for rows, others in tiles(len(out)):
        tile = quantize(squares_between(rows, others), measure)
        out[rows, others] = tile
        out[others, rows] = tile.T
        if others.start == rows.start:  # matrix products need not be symmetric
            square = tile[:, : len(tile)]
            out[rows, rows] = np.minimum(square, square.T)


def largest_square(columns: np.ndarray) -> np.floating:
    """Return the largest squared distance between rows."""
    with fast_arithmetic(over="ignore"):
        return max(
            squared_distances(columns, rows, others).max()
            for rows, others in tiles(columns.shape[1])
        )


def select(
    columns: np.ndarray,
    n_medoids: int,
    measure: Measure,
    order: str,
    units: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pick medoids among rows; as :func:`greedy`.

    Without ``units``, memory for all dissimilarities, they are computed whenever they
    are needed, which is slower.
    """
    n_samples = columns.shape[1]
    with fast_arithmetic(over="ignore"):  # what is infinitely far is far
        if units is None:
            units_of = partial(_dissimilarities, columns, measure)
            return greedy(units_of, n_samples, n_medoids, order)
        all_dissimilarities(partial(squared_distances, columns), measure, units)
        return greedy(units.__getitem__, n_samples, n_medoids, order)


def _dissimilarities(columns, measure, rows):
    return quantize(squared_distances(columns, rows, slice(None)), measure)


def greedy(
    units_of: Callable[[slice | np.ndarray], np.ndarray],
    n_samples: int,
    n_medoids: int,
    order: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pick medoids one by one, each the candidate that lowers the sum the most.

    The sum is that over the rows of the dissimilarity to the nearest medoid; with no
    medoid yet, every row counts as ``UNIT`` away. The gain of every candidate is kept
    up to date: a pick changes what the rows nearer to it than to any medoid before
    would gain from the others, and nothing else.

    ``units_of(rows)`` returns an int32 array of shape (n_rows, n_samples) for a slice,
    and a new one for an array of row indices. Returns the picks in their order; by how
    much each lowered the sum, int64; and for each row the position in the picks of its
    nearest medoid, the earliest of equals.
    """
    current = np.full(n_samples, UNIT, dtype=np.int32)
    gains = _first_gains(units_of, n_samples)
    nearest = np.zeros(n_samples, dtype=np.intp)
    picks = np.empty(n_medoids, dtype=np.intp)
    picked_gains = np.empty(n_medoids, dtype=np.int64)
    # Of several largest gains, argmax finds that of the lowest index.
    next_pick = LazyQueue(gains).pop if order == "lazy" else gains.argmax
    for position in range(n_medoids):
        picks[position] = pick = next_pick()
        picked_gains[position] = gains[pick]
        to_pick = units_of(slice(pick, pick + 1))[0]
        changed = (to_pick < current).nonzero()[0]
        _update(gains, units_of, changed, current[changed], to_pick[changed])
        np.minimum(current, to_pick, out=current)
        nearest[changed] = position
        gains[pick] = PICKED  # and stays so: no row is nearer to it than to its medoid
    return picks, picked_gains, nearest


def _first_gains(units_of, n_samples):
    gains = np.full(n_samples, n_samples * UNIT, dtype=np.int64)
    for start in range(0, n_samples, CHUNK):
        units = units_of(slice(start, min(start + CHUNK, n_samples)))
        gains -= np.add.reduce(units, axis=0, dtype=np.int32)
    return gains


def _update(gains, units_of, changed, old, new):
    """Subtract the changed rows' lost contributions from all gains.

    A row that was at distance ``old`` from its medoid and now is at ``new`` would have
    given max(0, old - q) to a candidate at q, and now gives max(0, new - q); the
    difference is old - clip(q, new, old).
    """
    if not len(changed):
        return
    step = CHUNK
    if len(changed) > CHUNK:
        step = max(CHUNK, min(INT32 // int(old.max()), CACHED // len(gains)))
    gains -= old.sum(dtype=np.int64)
    low, high = new[:, None], old[:, None]
    for start in range(0, len(changed), step):
        part = slice(start, start + step)
        still = units_of(changed[part])
        still.clip(low[part], high[part], out=still)
        gains += np.add.reduce(still, axis=0, dtype=np.int32)
