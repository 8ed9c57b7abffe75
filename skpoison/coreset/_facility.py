"""Greedy facility location, class by class."""

from importlib.util import find_spec
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from sklearn.preprocessing import normalize
from sklearn.utils import Bunch, check_array
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_consistent_length, column_or_1d

from skpoison.coreset import _numpy, _parts
from skpoison.coreset._measure import measured
from skpoison.coreset.backend import UNIT, ClassSplit

# With less to do than for one class of 2,000 rows and ten features, numpy is done
# before compiled code has been loaded. A pair costs its features and so many more.
PAIR_COST = 10
COMPILED_FROM = 2000**2 * (10 + PAIR_COST)
# All dissimilarities of 16,384 rows.
STORED_BYTES = 2**30

PARAMETER_CONSTRAINTS = {
    "X": ["array-like"],
    "n_medoids": [
        Interval(Integral, 1, None, closed="left"),
        Interval(Real, 0, 1, closed="right"),
    ],
    "labels": ["array-like", None],
    "similarity": [StrOptions({"exp", "linear"})],
    "order": [StrOptions({"canonical", "lazy"})],
    "partitions": _parts.PARTITIONS,
}


@validate_params(
    {
        **PARAMETER_CONSTRAINTS,
        "metric": [StrOptions({"euclidean", "cosine"})],
        "backend": [StrOptions({"auto", "numpy", "numba"})],
    },
    prefer_skip_nested_validation=True,
)
def facility_location(
    X: ArrayLike,
    n_medoids: int | float,
    *,
    labels: ArrayLike | None = None,
    similarity: str = "exp",
    metric: str = "euclidean",
    order: str = "canonical",
    backend: str = "auto",
    partitions: int | str | None = None,
) -> Bunch:
    """Select medoids: rows that are jointly most similar to all rows.

    Greedy maximization of the facility-location objective, the sum over all rows of
    their similarity to the nearest medoid. Each step selects the row that increases the
    sum the most; the result is at least 1 - 1/e of the optimum. The greedy algorithm is
    exact, it uses no neighbor graph and no sampling, unless `partitions` are asked for.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Dense rows. float32 input is computed in float32, all other input in float64.
    n_medoids : int or float
        Total number of medoids (int), or fraction of each class, in (0, 1] (float).
        Each class gets at least one medoid and at most as many as it has rows. A
        fraction of a class is rounded to the nearest integer, halves up; a total is
        allocated to the classes in proportion to their sizes, by largest remainders.
    labels : array-like of shape (n_samples,), default=None
        Class labels; medoids are selected within each class. By default there is one
        class.
    similarity : {"exp", "linear"}, default="exp"
        ``"exp"`` is exp(-distance / n_features), as in the released code of EPIC [2]_.
        ``"linear"`` is the largest distance within the class minus the distance, as in
        the paper. If distances are small relative to ``n_features``, the two agree up
        to scale, because exp(-t) is about 1 - t. They differ most in binary problems,
        where gradients have two features and distances of up to sqrt(2): there,
        ``"exp"`` gives less weight to rows that are far from every medoid. With
        ``"exp"``, the similarity of rows farther apart than 17 times ``n_features`` is
        zero: scale the rows, or use ``"linear"``.
    metric : {"euclidean", "cosine"}, default="euclidean"
        Distance between rows. The cosine distance is half of the squared Euclidean
        distance between rows scaled to unit norm; a row of zeros is not scaled and has
        distance 1/2 from all other rows.
    order : {"canonical", "lazy"}, default="canonical"
        Which of several rows with the same gain is selected: the one with the lowest
        index, or the one that lazy greedy finds with a heap of (gain, index), highest
        index first, as in published experiments. Both are exact greedy selections.
    backend : {"auto", "numpy", "numba"}, default="auto"
        Backend of the computation. Results are identical. ``"auto"`` uses numba if it
        is installed and the problem is large. Both store the dissimilarities of a class
        of up to 16,384 rows (four bytes per pair, 1 GiB). For more rows, numpy is slow;
        numba needs at most about 50 MB.
    partitions : int, "auto" or None, default=None
        Into how many parts each class is divided, at random (always the same ones).
        Greedy selects four times its share of the medoids in each part, and then, in
        stages, among what it has selected there, with the gains on all rows of the
        class [3]_. ``"auto"`` divides classes of more than 16,384 rows, into parts of
        at most 4,096. None does not: that is exact, and takes time in proportion to the
        square of the rows. Parts are independent jobs of joblib: within
        ``joblib.parallel_config(n_jobs=...)``, or on its Dask backend, they run in
        parallel.

    Returns
    -------
    medoids : :class:`~sklearn.utils.Bunch`
        Has the attributes

        - ``indices``: ndarray of shape (n_medoids,), the row indices of the medoids,
          class by class, in the order of selection;
        - ``gains``: ndarray of shape (n_medoids,), float64, the increase of the sum of
          similarities within its class for each medoid;
        - ``assignment``: ndarray of shape (n_samples,), the medoid of every row, as a
          position in ``indices``: the most similar one of its class; of several, the
          one selected first;
        - ``cluster_sizes``: ndarray of shape (n_medoids,), the number of rows assigned
          to each medoid, including itself. A medoid that equals an earlier one is
          assigned to that one and has size 0;
        - ``offsets``: ndarray of shape (n_classes + 1,): the medoids of the class at
          position k among the sorted labels are at ``offsets[k]`` to
          ``offsets[k + 1] - 1``.

    Raises
    ------
    ValueError
        If X is invalid or contains NaN or infinity, if distances overflow with linear
        similarity, or if there are fewer medoids than classes.
    ImportError
        If ``backend="numba"`` and numba is not installed.

    See Also
    --------
    gradient_facility_location : The same for the gradients of a linear classifier.

    Notes
    -----
    Dissimilarities (1 minus similarity, relative to the similarity of equal rows) are
    rounded to multiples of 2^-24, the resolution of float32, and summed as integers, so
    rounding errors do not accumulate and the order of summation does not matter.
    Squared distances are summed over the features in order; differences below their
    rounding error are lost, so center rows that are far from the origin.

    The gains of all candidates are updated after each selection, which affects only the
    rows whose nearest medoid changes; for each row, this happens only a few times in
    total.

    With `partitions`, of equal gains among what the parts have selected, the lowest
    index is taken, whatever the `order`. Of few medoids, only as many parts are used as
    give enough candidates. The largest distance of ``similarity="linear"`` is then that
    of a few sweeps from a row to the one farthest from it.

    References
    ----------
    .. [1] G. L. Nemhauser, L. A. Wolsey and M. L. Fisher, "An analysis of
       approximations for maximizing submodular set functions - I", Mathematical
       Programming 14, 1978.
    .. [2] Y. Yang, T. Y. Liu and B. Mirzasoleiman, "Not All Poisons are Created Equal:
       Robust Training against Data Poisoning", ICML 2022, algorithm 1.
    .. [3] B. Mirzasoleiman, A. Karbasi, R. Sarkar and A. Krause, "Distributed
       Submodular Maximization", JMLR 17, 2016, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.coreset import facility_location
    >>> X = np.array([[0.0], [0.1], [0.2], [3.0], [3.1], [9.0]])
    >>> medoids = facility_location(X, 3)
    >>> medoids.indices
    array([1, 4, 5])
    >>> medoids.assignment
    array([0, 0, 0, 1, 1, 2])
    >>> medoids.cluster_sizes
    array([3, 2, 1])

    The last row is isolated: a medoid that stands for itself only. Per class:

    >>> medoids = facility_location(X, 0.5, labels=["a", "a", "a", "b", "b", "b"])
    >>> medoids.indices, medoids.offsets
    (array([1, 0, 4, 5]), array([0, 2, 4]))
    """
    X = check_array(X, dtype=[np.float64, np.float32])
    split = ClassSplit(checked_labels(labels, X), n_medoids)
    if metric == "cosine":
        X = normalize(X)
    n_parts = _parts.numbers_of_parts(partitions, split.counts)
    kernels = _kernels(backend, -(-split.counts // n_parts), X.shape[1])
    buffer = MatrixBuffer(split.counts[n_parts == 1].max(initial=0))
    options = similarity, metric, order, kernels
    return split.join(
        [
            _select(X[rows], budget, *options, buffer)
            if into == 1
            else _select_in_parts(X[rows], budget, int(into), *options)
            for rows, budget, into in zip(
                split.rows, split.budgets, n_parts, strict=True
            )
        ]
    )


def isolated_medoids(medoids: Bunch) -> np.ndarray:
    """Return the medoids that represent only themselves, which EPIC drops.

    Parameters
    ----------
    medoids : :class:`~sklearn.utils.Bunch`
        As :func:`facility_location` and :func:`gradient_facility_location` return it.

    Returns
    -------
    isolated : ndarray of shape (n_isolated,)
        Their row indices, class by class, in the order of selection.

    References
    ----------
    .. [1] Y. Yang, T. Y. Liu and B. Mirzasoleiman, "Not All Poisons are Created Equal:
       Robust Training against Data Poisoning", ICML 2022, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.coreset import facility_location, isolated_medoids
    >>> X = np.array([[0.0], [0.1], [0.2], [3.0], [3.1], [9.0]])
    >>> isolated_medoids(facility_location(X, 3))
    array([5])
    """
    alone = medoids.indices[medoids.cluster_sizes == 1]
    # One row can also be another one: the medoid itself goes to an equal medoid.
    return alone[medoids.indices[medoids.assignment[alone]] == alone]


def checked_labels(labels, X):
    """Return labels as an array; zeros where none are given."""
    if labels is None:
        return np.zeros(len(X), dtype=np.intp)
    labels = column_or_1d(labels)
    check_consistent_length(X, labels)
    return labels


class MatrixBuffer:
    """Memory for a matrix of dissimilarities, reused for every class.

    Not allocated if a class of ``n_samples`` rows would require too much.
    """

    def __init__(self, n_samples):
        is_stored = 4 * n_samples**2 <= STORED_BYTES
        self.entries = np.empty(n_samples**2 if is_stored else 0, dtype=np.int32)

    def matrix(self, n_samples):
        """Return part of it as a square matrix, or None if it is too small."""
        if n_samples**2 > len(self.entries):
            return None
        return self.entries[: n_samples**2].reshape(n_samples, n_samples)


def _kernels(backend, counts, n_features):
    """Return the module that computes."""
    installed = find_spec("numba") is not None
    if backend == "numba" and not installed:
        raise ImportError(
            "backend='numba' needs numba: pip install numba, or use backend='numpy', "
            "which gives the same results."
        )
    cost = np.sum(np.square(counts, dtype=np.float64)) * (n_features + PAIR_COST)
    compiled = backend == "numba" or cost >= COMPILED_FROM
    if backend == "numpy" or not installed or not compiled:
        return _numpy
    from skpoison.coreset import _numba

    return _numba


def _select(X, n_medoids, similarity, metric, order, kernels, buffer):
    """Pick medoids among the rows of one class; gains as similarities."""
    columns, measure = measured(X, similarity, metric, kernels.largest_square)
    picks, gains, nearest = kernels.select(
        columns, int(n_medoids), measure, order, buffer.matrix(len(X))
    )
    return picks, gains * (measure.largest / UNIT), nearest


def _select_in_parts(X, n_medoids, n_parts, similarity, metric, order, kernels):
    """The same, by greedy in parts of the rows, and among what it picks there."""
    columns, measure = measured(X, similarity, metric, _parts.large_square)
    options = similarity, metric, order, kernels

    def pick(tasks):
        return Parallel()(
            delayed(_pick)(X[rows], budget, *options) for rows, budget in tasks
        )

    space = _parts.Points(columns, measure)
    picks, gains, nearest = _parts.select(space, n_medoids, n_parts, pick)
    return picks, gains * (measure.largest / UNIT), nearest


def _pick(X, n_medoids, similarity, metric, order, kernels):
    buffer = MatrixBuffer(len(X))
    return _select(X, n_medoids, similarity, metric, order, kernels, buffer)[0]
