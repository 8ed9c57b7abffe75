"""Rows to train on and rows to test on."""

import numpy as np

from skpoison._io import DataError


def split_rows(codes, share, seed):
    """Hold out a share of the rows of every class.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,)
        The class of each row.
    share : float
        Share of the rows to hold out, at least zero and below one.
    seed : int
        Seed of the draw.

    Returns
    -------
    train, test : ndarray of int
        Sorted rows; every class has at least one row in either, unless `share` is 0.

    Examples
    --------
    >>> import numpy as np
    >>> train, test = split_rows(np.repeat([0, 1], [6, 3]), 1 / 3, seed=0)
    >>> len(train), len(test)
    (6, 3)
    """
    if share == 0:
        return np.arange(len(codes)), np.arange(0)
    rng = np.random.default_rng(seed)
    held = np.zeros(len(codes), dtype=bool)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        if len(rows) < 2:
            raise DataError(
                "One class has a single row, which cannot be trained on and tested on "
                "at once. Give test data with --test, or do without: --test-share 0."
            )
        n_held = min(max(round(share * len(rows)), 1), len(rows) - 1)
        held[rng.choice(rows, n_held, replace=False)] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
