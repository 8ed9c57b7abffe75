"""Rows that stand out along the top direction of their class are rejected."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import HasMethods

from skpoison._fitted import fit_clone
from skpoison.filters._distance import BaseContaminationFilter
from skpoison.filters._measures import SignedOffset, measure
from skpoison.filters._order_statistics import end_of_bulk_of_squares
from skpoison.filters._principal import (
    ClassRows,
    Scattered,
    check_few_features,
    principal_directions,
)
from skpoison.filters._rows import class_means, exponent_of, extreme_exponent, shrunk
from skpoison.filters._statistics import ClassScatters
from skpoison.filters._streaming import PassesMixin
from skpoison.filters._threshold import bulk_threshold_of_squares


class SpectralFilter(PassesMixin, BaseContaminationFilter):
    """Keep the rows with a weak spectral signature.

    The features of each class are centered. A row is kept if its squared projection
    onto the top right singular vector is at most the radius of its class. Backdoor
    poison, which shares a trigger, forms a small cluster within a class; if it is far
    enough from the other rows, the top direction points to it.

    Parameters
    ----------
    percentile : float or "auto", default=None
        Percentage of the rows of each class that are kept, in (0, 100]; interpolated
        linearly. None and "auto" leave it to ``contamination``.
    contamination : "auto" or float, default="auto"
        Share of the rows of each class that are rejected, in (0, 0.5]:
        ``percentile = 100 * (1 - contamination)``. The paper rejects 1.5
        times the share of poison that it expects. "auto": rows are rejected beyond the
        bulk of the projections' absolute values, which ends four standard deviations
        above their median, both taken from the quartiles after a Box–Cox transform that
        makes these symmetric.
    transformer : transformer, default=None
        Computes features from the rows; by default, the rows themselves are the
        features. It is cloned and fitted on the training rows (and labels). Wrap a
        fitted transformer, such as the hidden layers of a network, in a
        :class:`~sklearn.frozen.FrozenEstimator`. It gets rows as arrays, without
        feature names.
    random_state : int, RandomState instance or None, default=None
        Controls the initial vector of the search for the direction (with more than 1000
        features), and the order in which :meth:`fit_transform` reuses kept rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    transformer_ : transformer or None
        The fitted transformer.
    centroids_ : ndarray of shape (n_classes, n_columns)
        The mean features of each class, float64.
    directions_ : ndarray of shape (n_classes, n_columns)
        The top right singular vector of each class, float64; zero for a class whose
        rows are all the same.
    radii_ : ndarray of shape (n_classes,)
        The largest squared projection that is kept, for each class, float64.
    offset_ : ndarray of shape (n_classes,)
        ``-radii_``: decisions are scores minus the offset of the class.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: minus the squared projection, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    contamination_ : ndarray of shape (n_classes,)
        The share of the training rows of each class that is rejected, float64.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Raises
    ------
    ValueError
        At fit, if both ``percentile`` and ``contamination`` are given. If squared
        projections are too large or too small for float64.

    See Also
    --------
    SeverFilter : The same on gradients of a loss, in rounds.
    SubspaceFilter : Uses the part of rows outside the top directions.

    References
    ----------
    .. [1] B. Tran, J. Li and A. Madry, "Spectral Signatures in Backdoor Attacks",
       NeurIPS 2018, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.filters import SpectralFilter
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 20))
    >>> X[:10, 3] += 12
    >>> spectral = SpectralFilter(contamination=0.05).fit(X)
    >>> np.flatnonzero(~spectral.inlier_mask_)
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    _parameter_constraints: dict = {
        **BaseContaminationFilter._parameter_constraints,
        "transformer": [HasMethods(["fit", "transform"]), None],
    }

    def __init__(
        self,
        percentile: float | str | None = None,
        *,
        contamination: float | str | None = "auto",
        transformer: BaseEstimator | None = None,
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            percentile, contamination=contamination, random_state=random_state
        )
        self.transformer = transformer

    def _fit_distances(self, X, codes):
        rng = check_random_state(self.random_state)
        features = self._fit_features(X, codes)
        self.centroids_ = class_means(features, codes, len(self.classes_))
        self.directions_ = np.zeros(self.centroids_.shape)
        exponent = extreme_exponent(features)
        part, centers = shrunk(features, exponent), shrunk(self.centroids_, exponent)
        for code, center in enumerate(centers):
            rows = ClassRows(part, np.flatnonzero(codes == code), center)
            directions, _ = principal_directions(rows, 1, rng)
            self.directions_[code] = directions[0] if len(directions) else 0.0
        return self._signatures(features, codes)

    @property
    def _fits_in_passes(self):
        return self.transformer is None

    def _in_memory(self):
        return [] if self._fits_in_passes else [self]

    _asks_for_sizes = True

    def _begin(self, X, codes, means):
        check_few_features(self, means.shape[1])
        self.transformer_, self.centroids_ = None, means
        self._exponent = exponent_of(self._sizes.max(), self._dtype)
        self._means_of_passes = np.ldexp(means, -self._exponent)
        return ClassScatters.of(means)

    def _learn(self, statistic):
        del self._means_of_passes, self._exponent
        rng = check_random_state(self.random_state)
        self.directions_ = np.zeros(self.centroids_.shape)
        pairs = zip(statistic.sums, self._class_counts, strict=True)
        for code, pair in enumerate(pairs):
            rows = Scattered(*pair, self._dtype)
            directions, _ = principal_directions(rows, 1, rng)
            self.directions_[code] = directions[0] if len(directions) else 0.0

    def _distances(self, X, codes):
        return self._signatures(self._features(X), codes)

    def _threshold(self, distances):
        return bulk_threshold_of_squares(distances)

    def _end_of_bulk(self, sample):
        return end_of_bulk_of_squares(sample)

    def _signatures(self, features, codes):
        along = SignedOffset(self.centroids_, self.directions_)
        (projections,) = measure(features, codes, along)
        with np.errstate(over="ignore", under="ignore"):
            squares = projections**2
        if np.any((squares == 0) & (projections != 0)):
            raise ValueError(
                "Squared projections underflow float64: X holds values that are too "
                "small to be squared; rescale the data."
            )
        return squares

    def _fit_features(self, X, codes):
        self.transformer_ = None
        if self.transformer is not None:
            labels = self.classes_[codes] if self._labelled else None
            self.transformer_ = fit_clone(self.transformer, X, labels)
        return self._features(X)

    def _features(self, X):
        if self.transformer_ is None:
            return X
        return check_array(
            self.transformer_.transform(X),
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            input_name="The transformer's output",
        )
