"""Rows far from their neighbors, or among neighbors of other labels, are rejected."""

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.utils._param_validation import Interval, StrOptions

from skpoison._labels import shown_labels
from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.filters._distance import BaseDistanceFilter
from skpoison.filters._nearest import (
    SearchSpace,
    Votes,
    clipped,
    distinct,
    found_distances,
    search_algorithm,
)
from skpoison.filters._threshold import contradicted_rows

BY_LABELS = ("labels", "plurality")  # criteria that look at labels


class NeighborsFilter(BaseDistanceFilter):
    """Keep the rows that are near to other rows of their class.

    A row with label y is kept if its distance to its neighbors is at most the radius
    of class y, where the distance is, by ``criterion``,

    - "kth": the Euclidean distance to the ``n_neighbors``-th nearest training row of
      class y;
    - "mean": the mean distance to the ``n_neighbors`` nearest of these;
    - "labels": the share of other labels than y among the ``n_neighbors`` nearest
      training rows of any class;
    - "plurality": by how large a share of these another label is more frequent than y;
      0 if none is.

    A row is not its own neighbor: one of the training rows at distance zero is taken to
    be the row itself (for "labels" and "plurality", one with the same label), so
    training rows get the same score in `fit` and later. For "labels" and "plurality",
    if several rows are tied for the last neighbor, each counts with the same fraction,
    so that the order of rows does not matter.

    Parameters
    ----------
    percentile : "auto" or float, default="auto"
        Percentage of the rows of each class that the radius encloses, in (0, 100];
        interpolated linearly. "auto": the radius is where the
        bulk of the distances ends, four standard deviations above their median, both
        taken from the quartiles after a Box–Cox transform that makes these symmetric.
        Where labels are compared, as many rows of each class are rejected as have
        neighbors that suit another label: more of them than the rows of that label have
        on average. Not used where ``radii`` are given.
    radii : array-like of shape (n_classes,) or dict, default=None
        Known radii, in the order of the sorted labels, or a dict from label to radius.
        For "labels", 0.5 for each class keeps the rows that at least half of the
        neighbors agree with; for "plurality", 0 keeps those whose label no other one
        outnumbers.
    n_neighbors : int, default=5
        Number of neighbors. A class with no more rows than that has all its other
        rows as neighbors, with a warning.
    criterion : {"kth", "mean", "labels", "plurality"}, default="kth"
        The distance that is compared with the radius.
    among : {"class", "all"}, default="class"
        Whether the neighbors of "kth" and "mean" are rows of the same class, or of any.
        The other criteria look at rows of any class.
    algorithm : {"auto", "ball_tree", "kd_tree", "brute"}, default="auto"
        How neighbors are found; see :class:`~sklearn.neighbors.NearestNeighbors`.
        ``"auto"`` also takes a tree for many rows of 16 to 100 features that vary in
        few directions, where it looks at few of them.
    n_jobs : int, default=None
        Number of jobs of the search; see
        :class:`~sklearn.neighbors.NearestNeighbors`.
    handle_unknown : {"reject", "error"}, default="reject"
        How to handle rows with unknown labels: labels without an entry in `radii` (if
        it is a dict) or, for new rows, labels that the filter was not fitted on.
        ``"reject"``: reject the rows, with a warning; the attacker chooses the labels
        of their rows, and an error would let them stop the defense. ``"error"``: raise
        a ValueError. An array does not define the known labels, so pass a dict if
        labels may be wrong.
    random_state : int, RandomState instance or None, default=None
        Controls the order in which :meth:`fit_transform` reuses kept rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    neighbors_ : list of :class:`~sklearn.neighbors.NearestNeighbors`
        The search among the rows of each class, or the one among all rows (among those
        that are distinct, where labels are compared). They hold copies of the rows in
        float64; dense ones less their mean.
    radii_ : ndarray of shape (n_classes,)
        The radius of each class, float64.
    offset_ : ndarray of shape (n_classes,)
        ``-radii_``: decisions are scores minus the offset of the class.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: minus the distance, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    contamination_ : ndarray of shape (n_classes,)
        The share of the training rows of each class that is rejected, float64.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Warns
    -----
    FilterWarning
        At fit, if a class (or the data, where the neighbors are of any class) has too
        few rows; for "labels" and "plurality" with fewer than two classes, where every
        row is kept.

    See Also
    --------
    SphereFilter : Uses distances to the centroid.
    sklearn.neighbors.LocalOutlierFactor : Compares densities among neighbors.

    Notes
    -----
    The search takes time proportional to the square of the number of rows, unless a
    tree finds them (few features, or rows that vary in few directions). Distances to
    the neighbors found are recomputed from differences, because the search may lose
    half of the digits. Distances are treated as equal if their relative difference is
    at most 1e-9. Multiplying all rows by a power of two multiplies the distances by it.
    Poison in clusters of more than ``n_neighbors`` rows has near neighbors and passes.

    The code released with [1]_ sums the distances to the 5 nearest training rows of any
    class, of which the row itself is one. ``criterion="mean", among="all",
    n_neighbors=4`` ranks rows alike: it is a quarter of that sum. Deep k-NN [3]_ is
    ``criterion="plurality"`` with radii of 0 on the features of a network, which
    :class:`skpoison.neural.EmbeddingFilter` computes.

    References
    ----------
    .. [1] P. W. Koh, J. Steinhardt and P. Liang, "Stronger Data Poisoning Attacks Break
       Data Sanitization Defenses", Machine Learning 111, 2022, section 3 (the k-NN
       defense, k = 5; see the notes).
    .. [2] A. Paudice, L. Muñoz-González and E. C. Lupu, "Label Sanitization against
       Label Flipping Poisoning Attacks", ECML PKDD Workshops 2018 (agreement of the
       labels of neighbors).
    .. [3] N. Peri et al., "Deep k-NN Defense against Clean-Label Data Poisoning
       Attacks", ECCV Workshops 2020.

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
        "criterion": [StrOptions({"kth", "mean", *BY_LABELS})],
        "among": [StrOptions({"class", "all"})],
        "algorithm": [StrOptions({"auto", "ball_tree", "kd_tree", "brute"})],
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        percentile: float | str = "auto",
        *,
        radii: ArrayLike | dict | None = None,
        n_neighbors: int = 5,
        criterion: str = "kth",
        among: str = "class",
        algorithm: str = "auto",
        n_jobs: int | None = None,
        handle_unknown: str = "reject",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            percentile,
            radii=radii,
            handle_unknown=handle_unknown,
            random_state=random_state,
        )
        self.n_neighbors = n_neighbors
        self.criterion = criterion
        self.among = among
        self.algorithm = algorithm
        self.n_jobs = n_jobs

    def _fit_distances(self, X, codes):
        if self._compares_labels and len(self.classes_) < 2:
            warn(
                f"NeighborsFilter(criterion={self.criterion!r}) needs labels of at "
                "least two classes; it keeps every row.",
                FilterWarning,
            )
        groups = self._groups(codes)
        self._warn_of_small(groups)
        members = [X[groups == group] for group in range(groups.max() + 1)]
        self._spaces = [SearchSpace.of(rows.astype(np.float64)) for rows in members]
        self._rows = [
            space.enter(rows) for space, rows in zip(self._spaces, members, strict=True)
        ]
        if self._compares_labels:
            self._votes = Votes(
                *self._rows, codes, len(self.classes_), self.n_neighbors,
                algorithm=self.algorithm, n_jobs=self.n_jobs,
            )  # fmt: skip
            self.neighbors_ = [self._votes.search]
            return self._fit_disagreement(codes)
        self.neighbors_ = [self._search(clipped(rows)) for rows in self._rows]
        return self._distances(X, codes)

    def _fit_disagreement(self, codes):
        votes, whole = self._count(self._rows[0], codes)
        losses = 1.0 - votes / np.maximum(whole, 1)[:, None]
        self._n_contradicted = contradicted_rows(losses, codes)
        return self._disagreement(votes, whole, codes)

    def _count(self, queries, codes):
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            return self._votes.count(queries, codes)

    def _auto_radius(self, distances, code, dtype):
        if self._compares_labels:
            return self._radius_without(self._n_contradicted[code], distances, dtype)
        return super()._auto_radius(distances, code, dtype)

    @property
    def _compares_labels(self):
        return self.criterion in BY_LABELS

    @property
    def _is_among_all(self):
        return self._compares_labels or self.among == "all"

    def _groups(self, codes):
        """Which search each row takes part in."""
        return np.zeros_like(codes) if self._is_among_all else codes

    def _warn_of_small(self, groups):
        few = np.bincount(groups) <= self.n_neighbors
        if np.any(few):
            where = (
                "The data have"
                if self._is_among_all
                else f"The classes {shown_labels(self.classes_[few])} have"
            )
            warn(
                f"{where} at most n_neighbors={self.n_neighbors} rows: all other rows "
                "are used as neighbors.",
                FilterWarning,
            )

    def _search(self, rows):
        n_neighbors = min(self.n_neighbors + 1, rows.shape[0])
        return NearestNeighbors(
            n_neighbors=n_neighbors,
            algorithm=search_algorithm(rows, self.algorithm, n_neighbors),
            n_jobs=self.n_jobs,
        ).fit(rows)

    def _distances(self, X, codes):
        groups = self._groups(codes)
        out = np.zeros(X.shape[0])
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            for group, space in enumerate(self._spaces):
                rows = np.flatnonzero(groups == group)
                if not len(rows):
                    continue
                queries = space.enter(X[rows])
                if self._compares_labels:
                    counted = self._count(queries, codes[rows])
                    out[rows] = self._disagreement(*counted, codes[rows])
                else:
                    out[rows] = space.leave(self._compare(queries, group))
        return out

    def _compare(self, queries, group):
        if not sparse.issparse(queries):
            return self._compare_all(queries, group)
        first, position = distinct(queries)
        return self._compare_all(queries[first], group)[position]

    def _compare_all(self, queries, group):
        search = self.neighbors_[group]
        found = search.kneighbors(clipped(queries), return_distance=False)
        distances = _without_self(found_distances(queries, self._rows[group], found))
        distances.sort(axis=1)
        return distances.mean(axis=1) if self.criterion == "mean" else distances[:, -1]

    def _disagreement(self, votes, whole, codes):
        """Compare a row's label with those around it."""
        each = np.arange(len(codes))
        own = votes[each, codes]
        against = whole - own
        if self.criterion == "plurality":
            others = votes.copy()
            others[each, codes] = 0
            against = np.maximum(others.max(axis=1) - own, 0)
        return against / np.maximum(whole, 1)


def _without_self(distances):
    """Leave out the pair of a row with itself, or else that with the farthest."""
    if distances.shape[1] == 1:
        return distances
    itself = distances == 0
    farthest = distances.argmax(axis=1)
    left_out = np.where(itself.any(axis=1), itself.argmax(axis=1), farthest)
    kept = np.arange(distances.shape[1]) != left_out[:, None]
    return distances[kept].reshape(len(distances), -1)
