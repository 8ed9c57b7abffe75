"""Rows sorted into boxes, so that far rows can be passed over together."""

from typing import NamedTuple

import numpy as np

BOX_ROWS = 64


class Boxes(NamedTuple):
    """Rows in an order in which neighbours stand together, cut into boxes.

    Parameters
    ----------
    rows : ndarray of shape (n_samples,)
        The order: position to index.
    columns : ndarray of shape (n_features, n_samples)
        The rows in that order, transposed. Box b holds positions from
        ``b * BOX_ROWS``, as many, or what is left.
    low, high : ndarray of shape (n_boxes, n_features)
        The smallest and largest value of each feature in each box, float64.
    """

    rows: np.ndarray
    columns: np.ndarray
    low: np.ndarray
    high: np.ndarray


def boxes(columns):
    """Sort rows into boxes, halving the widest feature again and again.

    Parameters
    ----------
    columns : ndarray of shape (n_features, n_samples)
        The rows, transposed.

    Returns
    -------
    boxes : Boxes
        The sorted rows and what they span.
    """
    rows = np.arange(columns.shape[1])
    _halve(columns, rows)
    columns = np.ascontiguousarray(columns[:, rows])
    starts = np.arange(0, len(rows), BOX_ROWS)
    low = np.minimum.reduceat(columns, starts, axis=1).T.astype(np.float64, order="C")
    high = np.maximum.reduceat(columns, starts, axis=1).T.astype(np.float64, order="C")
    return Boxes(rows, columns, low, high)


def _halve(columns, rows):
    """Order ``rows`` in place; every box but the last one stays full."""
    if len(rows) <= BOX_ROWS:
        return
    part = columns[:, rows]
    widest = part[np.argmax(part.max(axis=1) - part.min(axis=1))]
    half = (len(rows) // BOX_ROWS + 1) // 2 * BOX_ROWS
    rows[:] = rows[np.argpartition(widest, half - 1)]
    _halve(columns, rows[:half])
    _halve(columns, rows[half:])
