"""Medoids among outer products of residuals and rows, without forming them.

The gradient of a linear classifier's loss on one row is the outer product of the
residual (probabilities minus one-hot label) and the row, with a one for the intercept.
Inner products of two of them are products of inner products.
"""

from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import Bunch, check_array
from sklearn.utils._param_validation import validate_params
from sklearn.utils.extmath import row_norms, safe_sparse_dot
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_consistent_length

from skpoison.coreset import _parts
from skpoison.coreset._facility import PARAMETER_CONSTRAINTS, checked_labels
from skpoison.coreset._numpy import (
    Measure,
    all_dissimilarities,
    fast_arithmetic,
    greedy,
    quantize,
    tiles,
)
from skpoison.coreset.backend import UNIT, ClassSplit

ROUNDING = 64 * np.finfo(np.float64).eps


@validate_params(
    {
        **PARAMETER_CONSTRAINTS,
        "residuals": ["array-like"],
        "X": ["array-like", "sparse matrix"],
    },
    prefer_skip_nested_validation=True,
)
def gradient_facility_location(
    residuals: ArrayLike,
    X: ArrayLike | sparse.sparray | sparse.spmatrix,
    n_medoids: int | float,
    *,
    labels: ArrayLike | None = None,
    similarity: str = "exp",
    order: str = "canonical",
    partitions: int | str | None = None,
) -> Bunch:
    """Select medoids among the parameter gradients of a linear classifier.

    The gradient of the logistic loss on a row, with respect to weights and intercepts,
    is the outer product of the residual (probabilities minus one-hot label) and the
    row, with a one for the intercept. The selection is that of
    :func:`facility_location` for these gradients, which are not formed.

    Parameters
    ----------
    residuals : array-like of shape (n_samples, n_classes)
        Predicted probabilities minus one-hot labels.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows. Sparse rows are not densified.
    n_medoids : int or float
        Total number of medoids (int), or fraction of each class, in (0, 1] (float); see
        :func:`facility_location`.
    labels : array-like of shape (n_samples,), default=None
        Class labels; medoids are selected within each class. By default there is one
        class.
    similarity : {"exp", "linear"}, default="exp"
        ``"exp"`` is exp(-distance / n_classes), ``"linear"`` the largest distance
        within the class minus the distance.
    order : {"canonical", "lazy"}, default="canonical"
        Which of several rows with the same gain is selected; see
        :func:`facility_location`.
    partitions : int, "auto" or None, default=None
        Into how many parts each class is divided; see :func:`facility_location`.

    Returns
    -------
    medoids : :class:`~sklearn.utils.Bunch`
        As from :func:`facility_location`.

    Raises
    ------
    ValueError
        If residuals or X are invalid or contain NaN or infinity, if squares overflow,
        or if there are fewer medoids than classes.

    See Also
    --------
    facility_location : The same for given rows.

    Notes
    -----
    The computation stores four bytes for each pair of rows of a class or, with
    `partitions`, of a part.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.coreset import gradient_facility_location
    >>> X = np.array([[0.0], [0.1], [0.2], [3.0], [9.0]])
    >>> residuals = np.array([[-0.5, 0.5]] * 5)
    >>> medoids = gradient_facility_location(residuals, X, 3)
    >>> medoids.indices
    array([1, 4, 3])
    >>> medoids.cluster_sizes
    array([3, 1, 1])
    """
    X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32])
    residuals = check_array(residuals, dtype=np.float64, input_name="residuals")
    check_consistent_length(residuals, X)
    split = ClassSplit(checked_labels(labels, residuals), n_medoids)
    n_parts = _parts.numbers_of_parts(partitions, split.counts)
    return split.join(
        [
            _select(residuals[rows], X[rows], int(budget), similarity, order, int(into))
            for rows, budget, into in zip(
                split.rows, split.budgets, n_parts, strict=True
            )
        ]
    )


def _select(residuals, X, n_medoids, similarity, order, n_parts):
    """Pick medoids among the rows of one class; gains as similarities."""
    rows = OuterProducts(residuals, X, similarity, swept=n_parts > 1)

    def pick(tasks):
        return Parallel()(
            delayed(_pick)(residuals[part], X[part], budget, similarity, order)
            for part, budget in tasks
        )

    if n_parts == 1:
        picks, gains, nearest = rows.select(n_medoids, order)
    else:
        picks, gains, nearest = _parts.select(rows, n_medoids, n_parts, pick)
    return picks, gains * (rows.measure.largest / UNIT), nearest


def _pick(residuals, X, n_medoids, similarity, order):
    return OuterProducts(residuals, X, similarity).select(n_medoids, order)[0]


class OuterProducts:
    """Outer products of residuals and rows, and their dissimilarities.

    Distances are divided by the number of classes in ``"exp"``. With ``swept``, the
    largest one, for ``"linear"``, is that of a few sweeps.
    """

    def __init__(self, residuals, X, similarity, swept=False):
        self.n_samples = len(residuals)
        X = sparse.csr_array(X) if sparse.issparse(X) else X
        residuals = residuals.astype(np.float64)
        self.squares_between = outer_squares(residuals, X.astype(np.float64))
        self.measure = Measure(False, False, np.float64(1.0 / residuals.shape[1]), 1.0)
        if similarity == "linear":
            self.measure = self._linear(swept)

    def _linear(self, swept):
        if swept:
            square = _parts.by_sweeps(self.squares_between)
        else:
            square = max(self.squares_between(*t).max() for t in tiles(self.n_samples))
        largest = np.sqrt(square)
        inverse = np.float64(1.0 / largest if largest else 0.0)
        return Measure(True, False, inverse, float(largest))

    def select(self, n_medoids, order):
        """Pick medoids; as :func:`~skpoison.coreset._numpy.greedy`."""
        units = np.empty((self.n_samples, self.n_samples), dtype=np.int32)
        with fast_arithmetic():
            all_dissimilarities(self.squares_between, self.measure, units)
            return greedy(units.__getitem__, self.n_samples, n_medoids, order)

    def units(self, rows, others):
        """Return the dissimilarities of rows from others, int32."""
        return quantize(self.squares_between(rows, others), self.measure)

    def closer(self, candidates, medoids, current):
        """Return dissimilarities of all rows from the candidates nearer than medoids.

        See :class:`~skpoison.coreset._parts.Space`.
        """
        pieces = []
        for rows in _parts.blocks(self.n_samples, len(candidates)):
            units = self.units(rows, candidates)
            near, found = np.nonzero(units < current[rows, None])
            found = found.astype(np.int32)
            pieces.append((near + rows.start, found, units[near, found]))
        return _parts.lists_of(pieces, (self.n_samples, len(candidates)))


def outer_squares(residuals, X):
    """Squared distances between outer products, as a function of ranges of rows.

    What is left of a difference of equal numbers after rounding is zero.
    """
    norms = row_norms(residuals, squared=True)
    norms = norms * (row_norms(X.astype(np.float64), squared=True) + 1)
    if not np.all(np.isfinite(norms)):
        raise ValueError("X holds values whose squares overflow: scale it.")
    return partial(_squares_between, residuals, X, norms)


def _squares_between(residuals, X, norms, rows, others):
    inner = safe_sparse_dot(X[rows], X[others].T, dense_output=True) + 1.0
    inner = inner * (residuals[rows] @ residuals[others].T)
    total = norms[rows][:, None] + norms[others]
    squares = total - 2 * inner
    squares[squares <= ROUNDING * total] = 0.0
    return squares
