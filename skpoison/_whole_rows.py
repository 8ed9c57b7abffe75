"""Shares of rows as whole rows: how many there are, and how often each is sent."""

import numpy as np


def round_down(n_rows: float | np.ndarray) -> np.ndarray:
    """Round down, but not what only floating point puts below a whole number.

    Examples
    --------
    >>> import math
    >>> math.floor(0.29 * 100), int(round_down(0.29 * 100))
    (28, 29)
    """
    return np.floor(np.asarray(n_rows) + 1e-9).astype(np.intp)


def n_poison_rows(epsilon: float, n_rows: int) -> int:
    """Return how many whole rows a share of the clean rows allows.

    Rounded down: one row more would not be covered by the certificate.
    """
    return int(round_down(epsilon * n_rows))


def apportion(
    shares: np.ndarray, total: int, priority: np.ndarray | None = None
) -> np.ndarray:
    """Return whole numbers of a given sum, as near to fractional shares as possible.

    These are the largest remainders: whole parts first, then one more each for those
    farthest below their shares (or, where the shares exceed the total, one less for
    those farthest above). Of equal ones those of higher priority get more, and the
    first where none is given. Shares and total are not negative; without shares the
    total is 0.

    Examples
    --------
    >>> import numpy as np
    >>> apportion(np.array([1.2, 2.7, 0.6]), 4)
    array([1, 3, 0])
    >>> apportion(np.array([0.5, 0.5]), 1)
    array([1, 0])
    """
    if priority is None:
        priority = -np.arange(len(shares))
    copies = np.floor(shares).astype(int)
    while missing := total - copies.sum():
        step = np.sign(missing)
        order = np.lexsort((-step * priority, step * (copies - shares)))
        order = order[copies[order] + step >= 0]
        copies[order[: abs(missing)]] += step
    return copies


def apportion_upwards(shares: np.ndarray, most: int) -> np.ndarray:
    """Round shares up, as far as `most` rows in all suffice.

    A copy more never lowers the learner's loss, so attacks round up. What exceeds a
    whole number by less than 1e-6 is the solver's inaccuracy.
    """
    wanted = np.ceil(shares - 1e-6).astype(int)
    # Of equal remainders the last row's is rounded up.
    return apportion(shares, min(wanted.sum(), most), np.arange(len(shares)))


def apportion_evenly(
    total: int, n_points: int, priority: np.ndarray | None = None
) -> np.ndarray:
    """Return numbers of copies that differ by at most one."""
    return apportion(np.full(n_points, total / max(n_points, 1)), total, priority)


def copied_points(copies: np.ndarray) -> np.ndarray:
    """Return which of the distinct points each row that is sent copies.

    Examples
    --------
    >>> import numpy as np
    >>> copied_points(np.array([2, 0, 1]))
    array([0, 0, 2])
    """
    return np.repeat(np.arange(len(copies)), copies)
