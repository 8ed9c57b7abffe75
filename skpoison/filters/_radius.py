"""Radii from the distances of the rows that they are to judge."""

import numpy as np

# Distances that differ by no more than this share count as equal: rounding errors.
SAME = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-6}
# Rejecting a group of equal distances leaves at least this share of the rows asked for.
LEAST = 0.75


def estimate_radius(distances, percentile, dtype, slack=0.0):
    """Radius that encloses a percentage of rows, and judges equal distances together.

    It is the percentile, interpolated linearly, unless rows whose distance equals it
    *straddle* it: a percentile asks for a number of rows, and only some of the group
    are among them. The group is then rejected, and the radius is the largest distance
    below it, or it is kept:

    - where most of the other rows have distances of their own, a group of equal ones
      is out of the ordinary, and is rejected;
    - where most of the other rows share their distances too, the group falls on the
      side of most of its members (of two halves, it is rejected), so that the share
      that is rejected is as near as possible to the one asked for;
    - where less than three quarters of the rows asked for would be left without it, it
      is kept in any case.

    Parameters
    ----------
    distances : ndarray of shape (n_samples,)
        Distances of rows of one class.
    percentile : float
        Percentage of the rows to enclose, in [0, 100].
    dtype : numpy dtype
        What distances were computed in, which says how far rounding tells equal ones
        apart.
    slack : float, default=0.0
        What rounding may add to a distance when it is computed again: the radius is
        enlarged by it, but stays below a group that is rejected.

    Returns
    -------
    radius : float
        Rows with distances up to it are kept.

    Examples
    --------
    Of ten rows, the two farthest are to go. Three rows at 8 go together; seven are more
    than may be lost; and where all rows come in groups, one row too many is kept:

    >>> estimate_radius([1, 2, 3, 4, 5, 6, 7, 8, 8, 8], 80, np.dtype(float))
    np.float64(7.0)
    >>> estimate_radius([1, 2, 3, 8, 8, 8, 8, 8, 8, 8], 80, np.dtype(float))
    np.float64(8.0)
    >>> estimate_radius([1, 1, 1, 1, 2, 2, 8, 8, 8, 9], 80, np.dtype(float))
    np.float64(8.0)
    """
    distances = np.asarray(distances, dtype=np.float64)
    radius = np.percentile(distances, percentile)
    asked = int((len(distances) - 1) * percentile / 100.0 + 1e-9) + 1
    same = SAME[np.dtype(dtype)]
    margin = max(same * abs(radius), slack)
    inside = distances[distances < radius - margin]
    up_to = distances[distances <= radius + margin]
    if not len(inside) < asked < len(up_to):
        return radius + slack
    mostly_inside = asked - len(inside) > len(up_to) - asked
    beyond = distances[distances > radius + margin]
    if len(inside) < LEAST * asked or (
        mostly_inside and _mostly_equal(np.concatenate([inside, beyond]), same)
    ):
        return max(radius, up_to.max()) + slack
    largest = inside.max()
    return largest + min(slack, (radius - margin - largest) / 2)


def _mostly_equal(distances, same):
    """Whether more than half of the distances equal another one."""
    distances = np.sort(distances)
    equal = np.diff(distances) <= same * np.abs(distances[1:])
    shared = np.append(equal, False) | np.append(False, equal)
    return shared.mean() > 0.5


def rounding_slack(distances, dtype):
    """What rounding may add to distances that other batches of rows sum differently.

    Estimators may sum in another order for other batches of rows; a row that lies on
    its radius must not fall out for that.

    Parameters
    ----------
    distances : ndarray of shape (n_samples,)
        Distances of all rows of a class.
    dtype : numpy dtype
        What they were computed in.

    Returns
    -------
    slack : float
        A few rounding errors of the largest distance.
    """
    return 64 * np.finfo(dtype).eps * max(distances.max(), 0.0)
