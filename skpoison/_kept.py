"""Which rows are kept, and which rows stand in for the others."""

import numpy as np


def spread(values, rows, n_rows):
    """Spread values of some rows over all rows; the others get minus infinity.

    Parameters
    ----------
    values : ndarray of shape (n_some,) or tuple of these
        Scores or decisions, or both.
    rows : ndarray of shape (n_some,)
        Positions of the rows that have them.
    n_rows : int
        How many rows there are.

    Returns
    -------
    values : ndarray of shape (n_rows,) or tuple of these
        The same for all rows: rows that nothing speaks for are rejected.

    Examples
    --------
    >>> import numpy as np
    >>> spread(np.array([0.5, -2.0]), np.array([0, 2]), 3)
    array([ 0.5, -inf, -2. ])
    """
    if isinstance(values, tuple):
        return tuple(spread(one, rows, n_rows) for one in values)
    everywhere = np.full(n_rows, -np.inf)
    everywhere[rows] = values
    return everywhere


def keep_each_class(decisions, codes, n_classes):
    """Keep the rows with decisions >= 0, and the best row of each class without any.

    Parameters
    ----------
    decisions : ndarray of shape (n_samples,)
        Higher is more normal.
    codes : ndarray of shape (n_samples,)
        The class of each row, from 0 to ``n_classes - 1``.
    n_classes : int
        Number of classes.

    Returns
    -------
    kept : ndarray of shape (n_samples,)
        True for the rows that are kept.
    empty : ndarray of shape (n_empty,)
        The classes that have no row with a decision >= 0.

    Examples
    --------
    >>> import numpy as np
    >>> keep_each_class(np.array([1.0, -1.0, -3.0, -2.0]), np.array([0, 0, 1, 1]), 2)
    (array([ True, False, False,  True]), array([1]))
    """
    kept = decisions >= 0
    counts = np.bincount(codes[kept], minlength=n_classes)
    empty = np.flatnonzero(counts == 0)
    for code in empty:
        rows = np.flatnonzero(codes == code)
        kept[rows[np.argmax(decisions[rows])]] = True
    return kept, empty


def stand_ins(kept, codes, n_classes, rng):
    """Find a kept row of the same class for every row that is not kept.

    Parameters
    ----------
    kept : ndarray of shape (n_samples,)
        True for the rows that are kept.
    codes : ndarray of shape (n_samples,)
        The class of each row, from 0 to ``n_classes - 1``.
    n_classes : int
        Number of classes.
    rng : RandomState
        Draws the order in which the kept rows of a class take their turns.

    Returns
    -------
    rows : ndarray of shape (n_samples,)
        Positions: kept rows have their own.

    Examples
    --------
    >>> import numpy as np
    >>> kept = np.array([True, False, False, True])
    >>> stand_ins(kept, np.array([0, 0, 1, 1]), 2, np.random.RandomState(0))
    array([0, 0, 3, 3])
    """
    rows = np.arange(len(codes))
    for code in range(n_classes):
        of_class = codes == code
        turns = rng.permutation(np.flatnonzero(of_class & kept))
        rejected = np.flatnonzero(of_class & ~kept)
        rows[rejected] = np.resize(turns, len(rejected))
    return rows
