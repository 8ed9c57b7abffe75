"""Definitions that every backend of the selection shares to give the same medoids.

A dissimilarity is an integer, a multiple of 2^-24, so that sums are exact in any order.
It is computed from rows by additions, multiplications and square roots only, one at a
time and in a fixed order, which IEEE arithmetic rounds in the same way everywhere:
compiled or not, on any device, equal rows give equal integers. No backend may fuse a
product with a sum, which would round once instead of twice.

The distance t, divided by the number of features (``similarity="exp"``), becomes
``UNIT * (1 - exp(-t))``, rounded. With k the number of whole ``1 / STEPS`` in t (at
most ``FARTHEST``) and r what is left,

    ``BASE[k] + WEIGHT[k] * p(r)``

where p(r) is r times the polynomial with coefficients ``SERIES``, lowest power first,
evaluated by Horner's scheme.
"""

import heapq
from collections.abc import Sequence
from decimal import Decimal
from numbers import Integral

import numpy as np
from sklearn.utils import Bunch

UNIT = 2**24
# UNIT * (1 - exp(-r)) for 0 <= r <= 1/4, as r times a polynomial of degree five,
# interpolated at Chebyshev's points: right to 1e-4 units.
SERIES = UNIT * np.array(
    [
        0.9999999999784527,
        -0.4999999937918253,
        0.16666637629683123,
        -0.041661687753806596,
        0.0082945791327802,
        -0.00124844455664667,
    ]
)
# Steps of 1/4 further out are in two tables; beyond t = 20 nothing is left to tell
# apart.
STEPS = 4
FARTHEST = 20.0
_DECAY = [(Decimal(-k) / STEPS).exp() for k in range(int(FARTHEST) * STEPS + 1)]
WEIGHT = np.array([float(decay) for decay in _DECAY])
BASE = np.array([float(UNIT * (1 - decay)) for decay in _DECAY])


class LazyQueue:
    """The candidate that lazy greedy finds with a heap of (gain, index).

    The heap holds gains as of their last evaluation. The gain of its top, which is the
    highest index among equals, is evaluated again. The top is selected if no gain in
    the heap exceeds its own; otherwise it is pushed back. The selected gain is maximal,
    but which of several equal ones is selected depends on the order of evaluation.

    Parameters
    ----------
    gains : ndarray of shape (n_samples,)
        Current gains, integers; a view, which the caller keeps up to date.
    """

    def __init__(self, gains: np.ndarray):
        self.gains = gains
        self.heap = [(-gain, -row) for row, gain in enumerate(gains.tolist())]
        heapq.heapify(self.heap)

    def pop(self) -> int:
        """Return the next selection, and remove it from the heap.

        Returns
        -------
        row : int
            Its index.
        """
        while True:
            row = -heapq.heappop(self.heap)[1]
            gain = int(self.gains[row])
            if not self.heap or gain >= -self.heap[0][0]:
                return row
            heapq.heappush(self.heap, (-gain, -row))


class ClassSplit:
    """The rows of each class, and its number of medoids.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        The class of each row.
    n_medoids : int or float
        Medoids of all classes together, or as a fraction of each.

    Attributes
    ----------
    rows : list of ndarray
        The rows of each class, in the order of the labels.
    counts : ndarray of shape (n_classes,)
        The number of rows of each class.
    budgets : ndarray of shape (n_classes,)
        Medoids of each class; see :func:`class_budgets`.
    """

    def __init__(self, labels: np.ndarray, n_medoids: int | float):
        codes = np.unique(labels, return_inverse=True)[1]
        self.counts = np.bincount(codes)
        ends = np.cumsum(self.counts)
        self.rows = np.split(np.argsort(codes, kind="stable"), ends[:-1])
        self.budgets = class_budgets(n_medoids, self.counts)

    def join(self, parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Bunch:
        """Join the selections of the classes.

        Parameters
        ----------
        parts : list of (picks, gains, nearest)
            For each class: positions among its rows, gains, and the nearest medoid of
            each row, as a position among the picks.

        Returns
        -------
        medoids : :class:`~sklearn.utils.Bunch`
            As from :func:`~skpoison.coreset.facility_location`.
        """
        picks, gains, nearest = zip(*parts, strict=True)
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in picks])])
        offsets = offsets.astype(np.intp)
        assignment = np.empty(self.counts.sum(), dtype=np.intp)
        for rows, offset, part in zip(self.rows, offsets[:-1], nearest, strict=True):
            assignment[rows] = offset + part
        indices = [rows[part] for rows, part in zip(self.rows, picks, strict=True)]
        return Bunch(
            indices=np.concatenate(indices),
            gains=np.concatenate(gains),
            assignment=assignment,
            cluster_sizes=np.bincount(assignment, minlength=offsets[-1]),
            offsets=offsets,
        )


def class_budgets(n_medoids: int | float, counts: np.ndarray) -> np.ndarray:
    """Allocate medoids to classes.

    Parameters
    ----------
    n_medoids : int or float
        Their total number, or the fraction of each class.
    counts : ndarray of shape (n_classes,)
        Rows of each class, at least one.

    Returns
    -------
    budgets : ndarray of shape (n_classes,)
        Number of medoids of each class, at least one and at most its number of rows. A
        fraction is rounded to the nearest integer, halves up. A total is allocated in
        proportion: integer parts first (at least one), then one more for the classes
        farthest below their share, or one less for those farthest above it.

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
