"""Greedy facility location, compiled by numba.

The same picks and gains as from the numpy code, to the last bit: dissimilarities are
the same integers, and integers add up to the same sums in any order.
"""

from skpoison.coreset import _balls, _stored
from skpoison.coreset._pairs import largest_square

__all__ = ["largest_square", "select"]


def select(columns, n_medoids, measure, order, room):
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
    room : Room
        For a matrix of dissimilarities, where there may be one.

    Returns
    -------
    picks, gains, nearest : ndarray
        As from :func:`skpoison.coreset._numpy.greedy`.
    """
    units = room.matrix(columns.shape[1])
    if units is None:
        return _balls.select(columns, n_medoids, measure, order)
    return _stored.select(columns, n_medoids, measure, order, units)
