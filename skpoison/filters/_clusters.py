"""Rows in the smaller one of two clusters of their class are rejected."""

from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from sklearn import config_context
from sklearn.base import TransformerMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, FastICA
from sklearn.metrics import silhouette_samples
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from skpoison.base import BaseFilter
from skpoison.filters._rows import (
    class_means,
    extreme_exponent,
    lengths,
    shrunk,
)

ICA_STEPS = 1000
# Rows of a cluster that silhouettes are measured on, and the memory for distances.
MOST_COMPARED, MEGABYTES = 2500, 64


class ActivationClusteringFilter(BaseFilter):
    """Keep all rows but those of a small cluster within their class.

    The rows of each class are projected onto a few directions and split in two by
    k-means. If the smaller cluster is suspicious, its rows are rejected: a network
    assigns backdoor poison its label because of the trigger, so the activations of the
    last hidden layer separate it from the other rows of the class. X should contain
    such activations; :class:`skpoison.neural.EmbeddingFilter` computes them.

    Parameters
    ----------
    n_components : int, default=10
        Number of directions; fewer if a class has fewer rows or features.
    reduction : {"pca", "ica"}, default="pca"
        Whether these are principal directions, or independent components, which the
        paper found better, and which depend on ``random_state``.
    criterion : {"size", "silhouette"}, default="size"
        When the smaller cluster is suspicious: depending on its fraction of the class
        only, or also on how well separated the two clusters are.
    max_fraction : float, default=0.35
        The smaller cluster is suspicious only if its fraction of the rows of the class
        is at most this.
    min_silhouette : float, default=0.1
        With ``criterion="silhouette"``, the smaller cluster is suspicious only if the
        mean silhouette of the two clusters is also at least this.
    random_state : int, RandomState instance or None, default=None
        Controls the initialization of k-means and of independent components, and the
        order in which :meth:`fit_transform` reuses kept rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    fractions_ : ndarray of shape (n_classes,)
        The smaller cluster's share of each class; 0 for a class that cannot be split,
        having one distinct row or fewer than three rows.
    silhouettes_ : ndarray of shape (n_classes,)
        The mean silhouette of the two clusters of each class; 0 where there are none.
        Of a cluster of more than 2,500 rows, so many are compared, drawn at random.
    suspected_ : ndarray of shape (n_classes,), dtype=bool
        Whether the smaller cluster is rejected.
    offset_ : ndarray of shape (n_classes,)
        Decisions are scores minus the offset of the class: 0 if the smaller cluster is
        suspicious, minus infinity if not.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: the distance to the center of the smaller cluster,
        less that to the larger's, in the reduced space; float64.
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
    ConvergenceWarning
        At fit, if independent component analysis does not converge, for example on
        normally distributed rows.

    See Also
    --------
    SpectralFilter : Uses the top direction of each class.
    NeighborsFilter : With ``criterion="labels"``, looks at the labels around each row.

    Notes
    -----
    Multiplying all rows by a power of two does not change the clusters. In a class
    whose smaller cluster is not suspicious, all rows are kept, including new ones:
    their decisions are infinite. Data must be dense.

    k-means always finds two clusters: classes without poison also lose rows if their
    clusters have unequal sizes. ``criterion="silhouette"`` keeps classes whose clusters
    are not well separated. With ``max_fraction=0.5``, only the silhouette matters.

    References
    ----------
    .. [1] B. Chen, W. Carvalho, N. Baracaldo, H. Ludwig, B. Edwards, T. Lee, I. Molloy
       and B. Srivastava, "Detecting Backdoor Attacks on Deep Neural Networks by
       Activation Clustering", SafeAI at AAAI 2019 (arXiv 2018), algorithm 1 and
       section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.filters import ActivationClusteringFilter
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 20))
    >>> X[:8] += 5
    >>> clusters = ActivationClusteringFilter(random_state=0).fit(X)
    >>> np.flatnonzero(~clusters.inlier_mask_)
    array([0, 1, 2, 3, 4, 5, 6, 7])
    """

    _parameter_constraints: dict = {
        **BaseFilter._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "reduction": [StrOptions({"pca", "ica"})],
        "criterion": [StrOptions({"size", "silhouette"})],
        "max_fraction": [Interval(Real, 0, 0.5, closed="both")],
        "min_silhouette": [Interval(Real, -1, 1, closed="both")],
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        reduction: str = "pca",
        criterion: str = "size",
        max_fraction: float = 0.35,
        min_silhouette: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(random_state=random_state)
        self.n_components = n_components
        self.reduction = reduction
        self.criterion = criterion
        self.max_fraction = max_fraction
        self.min_silhouette = min_silhouette

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags

    def _validate_rows(self, X, *, reset):
        return validate_data(self, X, reset=reset, dtype=[np.float64, np.float32])

    def _fit(self, X, codes):
        rng = check_random_state(self.random_state)
        self._pairs = [
            self._split(X[codes == code], rng) for code in range(len(self.classes_))
        ]
        self.fractions_ = np.array([pair.fraction for pair in self._pairs])
        self.silhouettes_ = np.array([pair.silhouette for pair in self._pairs])
        suspected = (self.fractions_ > 0) & (self.fractions_ <= self.max_fraction)
        if self.criterion == "silhouette":
            suspected &= self.silhouettes_ >= self.min_silhouette
        self.suspected_ = suspected
        self.offset_ = np.where(self.suspected_, 0.0, -np.inf)
        scores = self._score(X, codes)
        return scores, scores - self.offset_[codes]

    def _split(self, rows, rng):
        """Split the rows of a class in two."""
        if len(rows) < 3 or np.all(rows == rows[0]):
            return _Pair(None, None, None, 0.0, 0.0, None, 0)
        # Rows far from the origin lose digits in what follows, which does not mind
        # where that is.
        center = class_means(rows, np.zeros(len(rows), dtype=np.intp), 1)[0]
        center = center.astype(rows.dtype)
        exponent = extreme_exponent(rows)
        rows = shrunk(rows - center, exponent)
        reducer = self._reducer(rows, rng)
        reduced = reducer.fit_transform(rows)
        means = KMeans(2, n_init=10, random_state=rng).fit(reduced)
        counts = np.bincount(means.labels_, minlength=2)
        small = int(counts.argmin())
        return _Pair(
            reducer,
            means.cluster_centers_[small],
            means.cluster_centers_[1 - small],
            counts[small] / len(rows),
            _silhouette(reduced, means.labels_),
            center,
            exponent,
        )

    def _reducer(self, rows, rng):
        # Centered rows leave one direction less than there are rows.
        most = min(self.n_components, rows.shape[1], len(rows) - 1)
        if self.reduction == "pca":
            return PCA(most, svd_solver="full")
        return FastICA(
            most, whiten="unit-variance", max_iter=ICA_STEPS, random_state=rng
        )

    def _score(self, X, codes):
        scores = np.zeros(X.shape[0])
        for code, pair in enumerate(self._pairs):
            rows = np.flatnonzero(codes == code)
            if len(rows) and pair.reducer is not None:
                scores[rows] = pair.score(X[rows])
        return scores

    def _decide(self, X, codes):
        return self._score(X, codes) - self.offset_[codes]


class _Pair(NamedTuple):
    """The two clusters of a class."""

    reducer: TransformerMixin | None
    small: np.ndarray | None
    large: np.ndarray | None
    fraction: float
    silhouette: float
    center: np.ndarray | None  # what is subtracted from rows first
    exponent: int  # of the power of two that rows are divided by

    def score(self, X):
        with np.errstate(over="ignore", invalid="ignore"):
            reduced = self.reducer.transform(shrunk(X - self.center, self.exponent))
            to_small, to_large = (
                lengths((reduced - center).astype(np.float64))
                for center in (self.small, self.large)
            )
            scores = to_small - to_large
            if isinstance(self.reducer, PCA):
                scores = np.ldexp(scores, self.exponent)
        if not np.all(np.isfinite(scores)):
            raise ValueError(
                "Distances to clusters overflow: X holds values that are too large; "
                "rescale the data."
            )
        return scores


def _silhouette(reduced, labels):
    """Mean silhouette of two clusters; of large ones, some rows stand for all.

    It compares all pairs of rows. A silhouette holds means of distances to the rows of
    each cluster, which those to some of them estimate.
    """
    rng, counts = np.random.RandomState(0), np.bincount(labels)
    members = [np.flatnonzero(labels == label) for label in (0, 1)]
    some = [
        rows if len(rows) <= MOST_COMPARED else rng.permutation(rows)[:MOST_COMPARED]
        for rows in members
    ]
    rows = np.sort(np.concatenate(some))
    with config_context(working_memory=MEGABYTES):
        values = silhouette_samples(reduced[rows], labels[rows])
    means = [values[labels[rows] == label].mean() for label in (0, 1)]
    return float(np.average(means, weights=counts))
