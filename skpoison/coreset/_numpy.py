"""Greedy facility location in numpy."""

import numpy as np

from skpoison.coreset._dissimilarity import (
    UNIT,
    all_dissimilarities,
    quantize,
    squared_distances,
    tiles,
)
from skpoison.coreset._order import ORDERS

# Sixteen dissimilarities add up to 2**28 at most, so int32 holds the sum.
CHUNK = 16


def greedy(units_of, n_samples, n_medoids, order):
    """Pick medoids one by one, each the candidate that lowers the sum the most.

    The sum is that over the rows of the dissimilarity to the nearest medoid; with no
    medoid yet, every row counts as ``UNIT`` away. The gain of every candidate is kept
    up to date: a pick changes what the rows nearer to it than to any medoid before
    would gain from the others, and nothing else.

    Parameters
    ----------
    units_of : callable
        ``units_of(rows)``: dissimilarities, a new int32 array of shape (n_rows,
        n_samples), for an array of row indices.
    n_samples : int
        Number of rows.
    n_medoids : int
        How many to pick, at most ``n_samples``.
    order : {"canonical", "lazy"}
        Who is picked among equals.

    Returns
    -------
    picks : ndarray of shape (n_medoids,)
        The medoids in the order they were picked.
    gains : ndarray of shape (n_medoids,)
        By how much each lowered the sum, int64.
    nearest : ndarray of shape (n_samples,)
        Position in ``picks`` of the medoid nearest to each row, the earliest of equals.
    """
    current = np.full(n_samples, UNIT, dtype=np.int32)
    gains = _first_gains(units_of, n_samples)
    nearest = np.zeros(n_samples, dtype=np.intp)
    picks = np.empty(n_medoids, dtype=np.intp)
    picked_gains = np.empty(n_medoids, dtype=np.int64)
    queue = ORDERS[order](gains)
    for position in range(n_medoids):
        picks[position] = pick = queue.next()
        picked_gains[position] = gains[pick]
        to_pick = units_of(picks[position : position + 1])[0]
        changed = np.flatnonzero(to_pick < current)
        _update(gains, units_of, changed, current[changed], to_pick[changed])
        current[changed] = to_pick[changed]
        nearest[changed] = position
        gains[picks[: position + 1]] = -1
    return picks, picked_gains, nearest


def _first_gains(units_of, n_samples):
    gains = np.full(n_samples, n_samples * UNIT, dtype=np.int64)
    for start in range(0, n_samples, CHUNK):
        rows = np.arange(start, min(start + CHUNK, n_samples))
        gains -= np.add.reduce(units_of(rows), axis=0, dtype=np.int32)
    return gains


def _update(gains, units_of, changed, old, new):
    """Take from all gains what the changed rows no longer give.

    A row that was at distance ``old`` from its medoid and now is at ``new`` would have
    given max(0, old - q) to a candidate at q, and now gives max(0, new - q); the
    difference is old - clip(q, new, old).
    """
    gains -= old.sum(dtype=np.int64)
    low, high = new[:, None], old[:, None]
    for start in range(0, len(changed), CHUNK):
        part = slice(start, start + CHUNK)
        still = units_of(changed[part])
        np.clip(still, low[part], high[part], out=still)
        gains += np.add.reduce(still, axis=0, dtype=np.int32)


def select(columns, n_medoids, measure, order, room):
    """Pick medoids among rows.

    Where there is no room for all dissimilarities, they are computed whenever they are
    needed, which is slower.

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
    room : Room
        For a matrix of dissimilarities, where there may be one.

    Returns
    -------
    picks, gains, nearest : ndarray
        As from :func:`greedy`.
    """
    n_samples = columns.shape[1]

    def squares_between(rows, others):
        return squared_distances(columns, rows, others)

    def computed(rows):
        return quantize(squares_between(rows, slice(None)), measure)

    units = room.matrix(n_samples)
    with np.errstate(over="ignore"):  # what is infinitely far is far
        if units is None:
            return greedy(computed, n_samples, n_medoids, order)
        all_dissimilarities(squares_between, measure, units)
        return greedy(units.__getitem__, n_samples, n_medoids, order)


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
    with np.errstate(over="ignore"):
        return max(
            squared_distances(columns, rows, others).max()
            for rows, others in tiles(columns.shape[1])
        )
