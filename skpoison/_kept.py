"""Which rows are kept, and which rows stand in for the others."""

from typing import Any

import numpy as np


def spread(values: Any, rows: np.ndarray, n_rows: int) -> Any:
    """Spread values of some rows over all rows; the others get minus infinity.

    Values may be a tuple, of scores and decisions; rows that nothing speaks for are
    rejected.

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


def keep_each_class(
    decisions: np.ndarray, codes: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Keep the rows with decisions >= 0, and the best row of each class without any.

    Returned are the mask of the rows that are kept, and the classes without any.

    Examples
    --------
    >>> import numpy as np
    >>> keep_each_class(np.array([1.0, -1.0, -3.0, -2.0]), np.array([0, 0, 1, 1]), 2)
    (array([ True, False, False,  True]), array([1]))
    """
    kept = decisions >= 0
    counts = _counts_of(kept, codes, n_classes)
    empty = np.flatnonzero(counts == 0)
    for code in empty:
        rows = np.flatnonzero(codes == code)
        kept[rows[np.argmax(decisions[rows])]] = True
    return kept, empty


def rejected_shares(kept: np.ndarray, codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Share of the rows of each class that are not kept; rows of no class have code -1.

    Examples
    --------
    >>> import numpy as np
    >>> kept = np.array([True, False, False, True])
    >>> rejected_shares(kept, np.array([0, 0, -1, 1]), 2)
    array([0.5, 0. ])
    """
    known = codes >= 0
    counts = _counts_of(known, codes, n_classes)
    return _counts_of(known & ~kept, codes, n_classes) / counts


def _counts_of(chosen, codes, n_classes):
    """How many of the chosen rows are in each class."""
    if n_classes > 8:
        return np.bincount(codes[chosen], minlength=n_classes)
    # Masks take less time than copies of the codes.
    counts = [np.count_nonzero(chosen & (codes == code)) for code in range(n_classes)]
    return np.array(counts)


def stand_ins(
    kept: np.ndarray, codes: np.ndarray, n_classes: int, rng: np.random.RandomState
) -> np.ndarray:
    """Find a kept row of the same class for every row that is not kept.

    The kept rows of a class take turns in an order that is drawn; each stands for
    itself.

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
