"""Rows far from their neighbors, or among neighbors of other labels, are rejected."""

from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.utils._param_validation import Interval, StrOptions

from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.filters._distance import BaseDistanceFilter
from skpoison.filters._rows import class_means

PAIRS = 2**22  # values of pairs of rows that are compared at once


class NeighborsFilter(BaseDistanceFilter):
    """Keep the rows that are near to other rows of their class.

    A row with label y is kept if its distance to its neighbors is at most the radius
    of class y, where the distance is, by ``criterion``,

    - "kth": the Euclidean distance to the ``n_neighbors``-th nearest training row of
      class y;
    - "mean": the mean distance to the ``n_neighbors`` nearest of these;
    - "labels": the share of other labels than y among the ``n_neighbors`` nearest
      training rows of any class.

    A row is not its own neighbor: of the training rows at distance zero, one counts as
    the row itself (for "labels", one of the same label). Training rows are therefore
    judged alike at fit and later.

    Parameters
    ----------
    percentile : float, default=70.0
        Percentage of the rows of each class that the radius encloses, in (0, 100];
        interpolated linearly. Not used where ``radii`` are given.
    radii : array-like of shape (n_classes,) or dict, default=None
        Radii, if they are known, ordered like the sorted labels; or a dict from label
        to radius. For "labels", 0.5 for each class keeps the rows that most neighbors
        agree with.
    n_neighbors : int, default=5
        Number of neighbors. A class with no more rows than that has all its other
        rows as neighbors, with a warning.
    criterion : {"kth", "mean", "labels"}, default="kth"
        What is compared with the radius.
    algorithm : {"auto", "ball_tree", "kd_tree", "brute"}, default="auto"
        How neighbors are found; see :class:`~sklearn.neighbors.NearestNeighbors`.
    n_jobs : int, default=None
        Number of jobs of the search; see
        :class:`~sklearn.neighbors.NearestNeighbors`.
    handle_unknown : {"reject", "error"}, default="reject"
        What happens to rows with labels that are unknown: for which `radii`, as a
        dict, have no entry or, in new rows, which the filter was not fitted on.
        ``"reject"``: they are rejected, with a warning; whoever sends rows chooses
        their labels, and could otherwise stop the defense. ``"error"``: ValueError.
        An array does not say which labels it knows: where labels can be wrong, give a
        dict.
    random_state : int, RandomState instance or None, default=None
        Draws the order in which :meth:`fit_transform` goes round the kept rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    neighbors_ : list of :class:`~sklearn.neighbors.NearestNeighbors`
        The search among the rows of each class, or the one among all rows. They hold
        copies of the rows; dense ones less their mean.
    radii_ : ndarray of shape (n_classes,)
        The radius of each class, float64.
    offset_ : ndarray of shape (n_classes,)
        ``-radii_``: decisions are scores minus the offset of the class.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: minus the distance, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Warns
    -----
    FilterWarning
        At fit, if a class (for "labels", the data) has too few rows; for "labels" with
        fewer than two classes, where every row is kept.

    See Also
    --------
    SphereFilter : Distances to the centroid.
    sklearn.neighbors.LocalOutlierFactor : Compares densities among neighbors.

    Notes
    -----
    A search takes time in proportion to the square of the number of rows. Distances to
    the neighbors found are computed anew, from differences: the search itself may lose
    half of the digits. Poison in clusters of more than ``n_neighbors`` rows has near
    neighbors and passes.

    References
    ----------
    .. [1] P. W. Koh, J. Steinhardt and P. Liang, "Stronger Data Poisoning Attacks Break
       Data Sanitization Defenses", Machine Learning 111, 2022, section 3 (the k-NN
       defense, k = 5).
    .. [2] A. Paudice, L. Muñoz-González and E. C. Lupu, "Label Sanitization against
       Label Flipping Poisoning Attacks", ECML PKDD Workshops 2018 (agreement of the
       labels of neighbors).

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.filters import NeighborsFilter
    >>> X = np.array([[0.0], [1.0], [2.0], [9.0]])
    >>> neighbors = NeighborsFilter(percentile=75, n_neighbors=1).fit(X)
    >>> neighbors.inlier_mask_
    array([ True,  True,  True, False])

    The row at 2.2 has the label of none of its neighbors:

    >>> X = np.array([[0.0], [1.0], [2.0], [2.2], [7.0], [8.0], [9.0]])
    >>> y = np.array(["a", "a", "a", "b", "b", "b", "b"])
    >>> NeighborsFilter(
    ...     criterion="labels", n_neighbors=2, radii=[0.5, 0.5]
    ... ).fit_predict(X, y)
    array([ 1,  1,  1, -1,  1,  1,  1])
    """

    _parameter_constraints: dict = {
        **BaseDistanceFilter._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "criterion": [StrOptions({"kth", "mean", "labels"})],
        "algorithm": [StrOptions({"auto", "ball_tree", "kd_tree", "brute"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        percentile=70.0,
        *,
        radii=None,
        n_neighbors=5,
        criterion="kth",
        algorithm="auto",
        n_jobs=None,
        handle_unknown="reject",
        random_state=None,
    ):
        super().__init__(
            percentile,
            radii=radii,
            handle_unknown=handle_unknown,
            random_state=random_state,
        )
        self.n_neighbors = n_neighbors
        self.criterion = criterion
        self.algorithm = algorithm
        self.n_jobs = n_jobs

    def _fit_distances(self, X, codes):
        self._codes = codes
        if self.criterion == "labels" and len(self.classes_) < 2:
            warn(
                'NeighborsFilter(criterion="labels") needs labels of at least two '
                "classes; it keeps every row.",
                FilterWarning,
            )
        groups = self._groups(codes)
        self._warn_of_small(groups)
        self._centers = class_means(X, groups, groups.max() + 1)
        self.neighbors_ = [
            self._search(self._centered(X, np.flatnonzero(groups == group), group))
            for group in range(len(self._centers))
        ]
        return self._distances(X, codes)

    def _groups(self, codes):
        """Which search each row takes part in."""
        return np.zeros_like(codes) if self.criterion == "labels" else codes

    def _warn_of_small(self, groups):
        few = np.bincount(groups) <= self.n_neighbors
        if np.any(few):
            where = (
                "The data have"
                if self.criterion == "labels"
                else f"The classes {self.classes_[few].tolist()} have"
            )
            warn(
                f"{where} no more than n_neighbors={self.n_neighbors} rows: all their "
                "other rows are the neighbors.",
                FilterWarning,
            )

    def _search(self, rows):
        return NearestNeighbors(
            n_neighbors=min(self.n_neighbors + 1, rows.shape[0]),
            algorithm="brute" if sparse.issparse(rows) else self.algorithm,
            n_jobs=self.n_jobs,
        ).fit(rows)

    def _centered(self, X, rows, group):
        # The search loses digits where rows are far from the origin.
        return X[rows] if sparse.issparse(X) else X[rows] - self._centers[group]

    def _distances(self, X, codes):
        groups = self._groups(codes)
        out = np.zeros(X.shape[0])
        for group, search in enumerate(self.neighbors_):
            rows = np.flatnonzero(groups == group)
            if len(rows):
                queries = self._centered(X, rows, group)
                out[rows] = self._compare(queries, codes[rows], search)
        return out

    def _compare(self, queries, codes, search):
        found = search.kneighbors(queries, return_distance=False)
        distances = _pair_distances(queries, search._fit_X, found)
        if self.criterion == "labels":
            others = self._codes[found] != codes[:, None]
            return _without_self(others, distances, ~others).mean(axis=1)
        distances = _without_self(distances, distances)
        distances.sort(axis=1)
        return distances.mean(axis=1) if self.criterion == "mean" else distances[:, -1]


def _pair_distances(queries, rows, found):
    """Distances of queries to the rows found for them, from differences."""
    out = np.empty(found.shape)
    step = max(1, PAIRS // queries.shape[1]) if not sparse.issparse(rows) else 4096
    for start in range(0, len(found), step):
        block = slice(start, start + step)
        for j in range(found.shape[1]):
            difference = queries[block] - rows[found[block, j]]
            out[block, j] = _lengths(difference)
    return out


def _lengths(rows):
    if sparse.issparse(rows):
        rows.data **= 2  # differences belong to nobody else
        return np.sqrt(np.asarray(rows.sum(axis=1), dtype=np.float64).ravel())
    return np.sqrt(np.einsum("ij,ij->i", rows, rows), dtype=np.float64)


def _without_self(values, distances, eligible=True):
    """Leave out the pair of a row with itself, or else that with the farthest."""
    if values.shape[1] == 1:
        return values
    itself = (distances == 0) & eligible
    farthest = distances.argmax(axis=1)
    left_out = np.where(itself.any(axis=1), itself.argmax(axis=1), farthest)
    kept = np.arange(values.shape[1]) != left_out[:, None]
    return values[kept].reshape(len(values), -1)
