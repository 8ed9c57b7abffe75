"""How many medoids each class gets."""

from numbers import Integral

import numpy as np


def class_budgets(n_medoids, counts):
    """Share medoids out among classes.

    Parameters
    ----------
    n_medoids : int or float
        All of them together, or the fraction of each class.
    counts : ndarray of shape (n_classes,)
        Rows of each class, at least one.

    Returns
    -------
    budgets : ndarray of shape (n_classes,)
        Medoids of each class, at least one and at most all of its rows. A fraction is
        rounded to the nearest whole number, halves up. A number is shared out in
        proportion: whole parts first (at least one), then one more to the classes
        farthest below their share, or one less from those farthest above it.

    Raises
    ------
    ValueError
        If there are fewer medoids than classes.

    Examples
    --------
    >>> import numpy as np
    >>> class_budgets(0.1, np.array([5, 25, 1]))
    array([1, 3, 1])
    >>> class_budgets(10, np.array([50, 49, 1]))
    array([5, 4, 1])
    """
    if not isinstance(n_medoids, Integral):
        return np.maximum(1, np.floor(n_medoids * counts + 0.5).astype(np.intp))
    if n_medoids < len(counts):
        raise ValueError(
            f"n_medoids={n_medoids} is too few: each of the {len(counts)} classes "
            "gets at least one."
        )
    total = counts.sum()
    n_medoids = min(int(n_medoids), total)
    budgets = np.maximum(1, n_medoids * counts // total)
    while (missing := n_medoids - budgets.sum()) != 0:
        step = np.sign(missing)
        below = step * (n_medoids * counts - budgets * total)
        may_change = budgets < counts if step > 0 else budgets > 1
        budgets[np.argmax(np.where(may_change, below, below.min() - 1))] += step
    return budgets
