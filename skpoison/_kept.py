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
    return judge_rows(decisions, codes, n_classes)[:2]


def judge_rows(
    decisions: np.ndarray, codes: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """:func:`keep_each_class`, and the share of each class that is rejected.

    Rows of no class have code -1.

    Examples
    --------
    >>> import numpy as np
    >>> judge_rows(np.array([1.0, -1.0, 1.0, 1.0]), np.array([0, 0, -1, 1]), 2)[2]
    array([0.5, 0. ])
    """
    kept = decisions >= 0
    n_kept, n_rows = _counts_by_class(kept, codes, n_classes)
    empty = np.flatnonzero(n_kept == 0)
    for code in empty:
        rows = np.flatnonzero(codes == code)
        kept[rows[np.argmax(decisions[rows])]] = True
    return kept, empty, (n_rows - np.maximum(n_kept, 1)) / n_rows


def _counts_by_class(chosen, codes, n_classes):
    """How many of the chosen rows are in each class, and how many of all rows."""
    if n_classes > 8:
        # Rows of no class come first.
        both = np.bincount(2 * codes + chosen + 2, minlength=2 * n_classes + 2)
        others, ours = both.reshape(-1, 2)[1:].T
        return ours, others + ours
    # Masks take less time than counting codes.
    counts = np.empty((2, n_classes), dtype=np.int64)
    for code in range(n_classes):
        of_class = codes == code
        counts[1, code] = np.count_nonzero(of_class)
        of_class &= chosen
        counts[0, code] = np.count_nonzero(of_class)
    return counts


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
