"""Rows far from their centroid, measured in the spread of their class, are rejected."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, sparse
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from skpoison.filters._copies import joined_copies
from skpoison.filters._distance import BaseDistanceFilter
from skpoison.filters._principal import (
    Scattered,
    WithinClasses,
    check_few_features,
    class_scatter,
    coordinates,
    principal_directions,
    span,
)
from skpoison.filters._rows import (
    class_means,
    exponent_of,
    extreme_exponent,
    extreme_exponents,
    lengths,
    padded_blocks,
    shrunk,
)
from skpoison.filters._statistics import ClassScatters, Statistic
from skpoison.filters._streaming import PassesMixin

# A feature that varies less than this share of its usual deviation counts as if it did.
LEAST_DEVIATION = 1e-6


class MahalanobisFilter(PassesMixin, BaseDistanceFilter):
    """Keep the rows within an ellipsoid around the centroid of their class.

    A row x with label y is kept if its Mahalanobis distance
    ``sqrt((x - centroid_y) @ inverse(covariance_y) @ (x - centroid_y))`` is at most
    the radius of its class. Each class has its own covariance S, shrunk towards its
    diagonal: ``(1 - s) * S + s * diag(S)``. Units of features do not matter.

    With more than ``max_features`` features, rows are first expressed in the span of
    the top principal directions (of the rows minus the centroid of their class) and the
    centroids. The part outside that span is ignored; :class:`SubspaceFilter` uses it,
    and ``MahalanobisFilter() & SubspaceFilter()`` combines both.

    Parameters
    ----------
    percentile : "auto" or float, default="auto"
        Percentage of the rows of each class that the radius encloses, in (0, 100];
        interpolated linearly. "auto": the radius is where the
        bulk of the distances ends, four standard deviations above their median, both
        taken from the quartiles after a Box–Cox transform that makes these symmetric.
        Not used where ``radii`` are given.
    radii : array-like of shape (n_classes,) or dict, default=None
        Known radii, in the order of the sorted labels, or a dict from label to radius.
        For normal data, radii are roots of quantiles of the chi-squared distribution
        with as many degrees of freedom as there are features.
    shrinkage : "auto" or float, default="auto"
        How far covariances are shrunk, from 0 (not at all) to 1 (features count as
        independent); "auto" takes the amount of Ledoit and Wolf for the standardized
        rows of each class. What does not vary within a class counts with a
        millionth of its deviation within all classes.
    max_features : int, default=500
        With more features than this, rows are reduced.
    n_components : int, default=50
        Number of principal directions that rows are reduced to, besides centroids.
    handle_unknown : {"reject", "error"}, default="reject"
        How to handle rows with unknown labels: labels without an entry in `radii` (if
        it is a dict) or, for new rows, labels that the filter was not fitted on.
        ``"reject"``: reject the rows, with a warning; the attacker chooses the labels
        of their rows, and an error would let them stop the defense. ``"error"``: raise
        a ValueError. An array does not define the known labels, so pass a dict if
        labels may be wrong.
    random_state : int, RandomState instance or None, default=None
        Controls the initial vector of the search for principal directions (with more
        than 1000 features), and the order in which :meth:`fit_transform` reuses kept
        rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    components_ : ndarray of shape (n_directions, n_features) or None
        Orthonormal basis of what rows are reduced to; None if they are not.
    location_ : ndarray of shape (n_classes, n_directions)
        The centroid of each class, in the coordinates of ``components_``, float64.
    covariance_ : ndarray of shape (n_classes, n_directions, n_directions)
        The shrunk covariance of each class, in the same coordinates, float64; infinite
        on overflow, which does not affect the distances.
    shrinkage_ : ndarray of shape (n_classes,)
        The amount of shrinkage of each class.
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

    See Also
    --------
    SphereFilter : Uses the same scale in all directions.
    SubspaceFilter : Uses the part of rows outside the principal directions.

    Notes
    -----
    Covariances are estimated from all rows, including poison: enough poison in one
    place inflates them in its own direction. Distances are computed in float64 and do
    not change if all rows are multiplied by a power of two. Sparse rows are reduced
    without densifying them, or densified in blocks of a few hundred rows.

    References
    ----------
    .. [1] P. C. Mahalanobis, "On the generalised distance in statistics", Proceedings
       of the National Institute of Sciences of India 2, 1936.
    .. [2] O. Ledoit and M. Wolf, "A Well-Conditioned Estimator for Large-Dimensional
       Covariance Matrices", Journal of Multivariate Analysis 88, 2004, equation (14).

    Examples
    --------
    The spread is wide along the first feature, so that only the row that is far off
    along the second one is rejected:

    >>> import numpy as np
    >>> from skpoison.filters import MahalanobisFilter
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 2)) * [100, 1]
    >>> X[0] = [0, 8]
    >>> mahalanobis = MahalanobisFilter(percentile=99).fit(X)
    >>> np.flatnonzero(~mahalanobis.inlier_mask_)
    array([0])
    """

    _parameter_constraints: dict = {
        **BaseDistanceFilter._parameter_constraints,
        "shrinkage": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="both")],
        "max_features": [Interval(Integral, 1, None, closed="left")],
        "n_components": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        percentile: float | str = "auto",
        *,
        radii: ArrayLike | dict | None = None,
        shrinkage: str | float = "auto",
        max_features: int = 500,
        n_components: int = 50,
        handle_unknown: str = "reject",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            percentile,
            radii=radii,
            handle_unknown=handle_unknown,
            random_state=random_state,
        )
        self.shrinkage = shrinkage
        self.max_features = max_features
        self.n_components = n_components

    _asks_for_sizes = True

    def _begin(self, X, codes, means):
        check_few_features(self, means.shape[1])
        self._exponent = exponent_of(self._sizes.max(), self._dtype)
        if self._exponent and means.shape[1] <= self.max_features:
            self._exponent = np.frexp(self._sizes)[1]
        self._means_of_passes = np.ldexp(means, -self._exponent)
        return ClassScatters.of(means)

    def _learn(self, statistic):
        counts, means = self._class_counts, self._means_of_passes
        if isinstance(statistic, FourthPowers):
            return self._end_of_spread(statistic.sums / counts)
        within = Scattered(statistic.sums.sum(axis=0), counts.sum(), self._dtype)
        self.components_ = self._reduction(within, means)
        basis = self.components_
        self._location = means if basis is None else means @ basis.T
        scatters = statistic.sums
        if basis is not None:
            scatters = basis @ scatters @ basis.T
        self._spread_of_passes = scatters, counts
        if self.shrinkage == "auto":
            return FourthPowers(np.zeros(len(means)))
        return self._end_of_spread(np.zeros(len(means)))

    def _end_of_spread(self, fourths):
        self._set_spread(*self._spread_of_passes, fourths)
        self._undo_shrinking()
        del self._spread_of_passes, self._means_of_passes

    def _fit_distances(self, X, codes):
        n_classes = len(self.classes_)
        # Each feature has its own unit, unless directions across them are sought.
        reduces = X.shape[1] > self.max_features
        self._exponent = extreme_exponent(X) if reduces else extreme_exponents(X)
        X = shrunk(X, self._exponent)
        means = class_means(X, codes, n_classes)
        counts = None
        distinct, their_codes = X, codes
        if reduces and sparse.issparse(X):
            distinct, their_codes, counts = joined_copies(X, codes)
        within = WithinClasses(distinct, their_codes, means, counts)
        self.components_ = self._reduction(within, means)
        Z = self._reduced(X)
        self._location = means if Z is X else class_means(Z, codes, n_classes)
        self._fit_spread(Z, codes)
        self._undo_shrinking()
        return self._distances_reduced(Z, codes)

    def _undo_shrinking(self):
        with np.errstate(over="ignore"):
            self.location_ = np.ldexp(self._location, self._exponent)
            exponents = np.add.outer(self._exponent, self._exponent)
            self.covariance_ = np.ldexp(self.covariance_, exponents)

    def _distances(self, X, codes):
        rows = self._reduced(shrunk(X, self._exponent))
        return self._distances_reduced(rows, codes)

    def _reduction(self, rows, means):
        """Basis of what rows, less the centroid of their class, are reduced to."""
        if rows.shape[1] <= self.max_features:
            return None
        rng = check_random_state(self.random_state)
        directions, _ = principal_directions(rows, self.n_components, rng)
        found = span(directions, means)
        # Rows that are all zero have no direction; any one will do.
        return found if len(found) else np.eye(1, rows.shape[1])

    def _reduced(self, X):
        return X if self.components_ is None else coordinates(X, self.components_)

    def _fit_spread(self, Z, codes):
        places = [np.flatnonzero(codes == code) for code in range(len(self._location))]
        pairs = list(zip(places, self._location, strict=True))
        scatters = np.array([class_scatter(Z, rows, center) for rows, center in pairs])
        counts = np.bincount(codes)
        fourths = np.zeros(len(counts))
        if self.shrinkage == "auto":
            scales = _scales(scatters, counts, self._location)
            for code, (rows, center) in enumerate(pairs):
                total = _fourth_powers(Z, rows, center, scales[code])
                fourths[code] = total / len(rows)
        self._set_spread(scatters, counts, fourths)

    def _set_spread(self, scatters, counts, fourths):
        """Set covariances, given the mean fourth powers of the lengths of scaled rows.

        Only the amount of shrinkage of Ledoit and Wolf asks for these.
        """
        scales = _scales(scatters, counts, self._location)
        self.shrinkage_ = np.zeros(len(scatters))
        self.covariance_ = np.empty_like(scatters)
        self._whiteners = np.empty_like(self.covariance_)
        for code, (scatter, scale) in enumerate(zip(scatters, scales, strict=True)):
            correlation = scatter / counts[code] / np.outer(scale, scale)
            share = self.shrinkage
            if share == "auto":
                share = _ledoit_wolf(correlation, fourths[code], counts[code])
            correlation = _shrunk(correlation, share)
            self.shrinkage_[code] = share
            self.covariance_[code] = correlation * np.outer(scale, scale)
            self._whiteners[code] = _whitener(correlation, scale)

    def _distances_reduced(self, Z, codes):
        out = np.empty(Z.shape[0])
        for code, (center, whitener) in enumerate(
            zip(self._location, self._whiteners, strict=True)
        ):
            rows = np.flatnonzero(codes == code)
            for chosen, block in padded_blocks(Z, rows, center):
                out[chosen] = lengths(block @ whitener)[: len(chosen)]
        return out


class FourthPowers(Statistic):
    """The fourth powers of the lengths of scaled rows."""

    _must_be_finite = False  # of what is too large, all is shrunk

    def add(self, leaf, X, codes):
        scales = _scales(*leaf._spread_of_passes, leaf._location)
        Z = leaf._reduced(X)
        self._add_scaled(leaf, Z, codes, scales)

    def _add_scaled(self, leaf, Z, codes, scales):
        for code, center in enumerate(leaf._location):
            rows = np.flatnonzero(codes == code)
            self.sums[code] += _fourth_powers(Z, rows, center, scales[code])
            self.counts[code] += len(rows)


def _scales(scatters, counts, location):
    """Standard deviation of each feature in each class, never quite zero.

    What hardly varies in its class counts with a small share of the deviation within
    all classes; what varies in no class, with that share of its own size.
    """
    squares = np.stack([np.diag(scatter) for scatter in scatters])
    squares = np.maximum(squares, 0.0)  # those of a reduction are rounded
    pooled = np.sqrt(squares.sum(axis=0) / counts.sum())
    size = np.abs(location).max(axis=0)
    size[size == 0] = 1.0
    pooled = np.where(pooled > LEAST_DEVIATION * size, pooled, size)
    deviations = np.sqrt(squares / counts[:, None])
    return np.maximum(deviations, LEAST_DEVIATION * pooled)


def _fourth_powers(Z, rows, center, scale):
    """Sum of the fourth powers of the lengths of scaled rows."""
    total = 0.0
    for _, block in padded_blocks(Z, rows, center):
        block /= scale
        squares = np.einsum("ij,ij->i", block, block)
        total += squares @ squares
    return total


def _ledoit_wolf(covariance, fourth, n_rows):
    """Share of the identity in the best mixture of it with the covariance."""
    n_features = len(covariance)
    squares = np.sum(covariance**2)
    spread = squares - np.trace(covariance) ** 2 / n_features
    error = (fourth - squares) / n_rows
    # With one feature, both are multiples of the identity.
    if n_features == 1 or spread <= 0:
        return 0.0
    return float(np.clip(error / spread, 0.0, 1.0))


def _shrunk(correlation, share):
    """Mix with the diagonal; features that do not vary have a variance of one scale."""
    shrunk = (1 - share) * correlation
    np.fill_diagonal(shrunk, np.diag(correlation))
    constant = np.flatnonzero(np.diag(correlation) < 0.5)
    shrunk[constant, constant] = 1.0
    return shrunk


def _whitener(correlation, scale):
    """Matrix that turns rows into rows of unit covariance."""
    variances, directions = linalg.eigh(correlation)
    variances = np.maximum(variances, LEAST_DEVIATION**2)
    return directions / np.sqrt(variances) / scale[:, None]
