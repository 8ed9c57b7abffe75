"""Rows that lie outside the subspace of most rows are rejected."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.filters import _principal
from skpoison.filters._distance import BaseDistanceFilter
from skpoison.filters._principal import (
    ClassRows,
    Scattered,
    check_few_features,
    coordinates,
    principal_directions,
    span,
)
from skpoison.filters._rows import (
    class_means,
    exponent_of,
    extreme_exponent,
    lengths,
    padded_blocks,
    shrunk,
)
from skpoison.filters._statistics import ClassScatters
from skpoison.filters._streaming import PassesMixin

FIRST_DIRECTIONS = 16
# Squared distances of sparse rows below this share of the squared length are rounding.
ROUNDING = 64 * np.finfo(np.float64).eps


class SubspaceFilter(PassesMixin, BaseDistanceFilter):
    """Keep the rows near to the span of the top singular directions and class means.

    A row x with label y is kept if ``||x - V.T @ V @ x|| <= radius_y``, where the rows
    of V are an orthonormal basis of the top right singular vectors of X (as it is, not
    centered) and of the class means. Clean rows are taken to lie near a subspace of
    few dimensions; poison that needs a strong effect with a small norm tends to leave
    it. Many poison rows on one side shift the mean of their class, and with it the
    subspace.

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
    n_components : int or float, default=0.95
        Number of singular directions (int); or the fraction, in (0, 1), of the sum of
        squares of X that they must explain, with as few directions as possible (float).
    max_components : int, default=200
        Maximum number of directions to explain the fraction ``n_components``.
    per_class : bool, default=False
        Whether each class has a subspace of its own, from its rows and its mean.
    handle_unknown : {"reject", "error"}, default="reject"
        How to handle rows with unknown labels: labels without an entry in `radii` (if
        it is a dict) or, for new rows, labels that the filter was not fitted on.
        ``"reject"``: reject the rows, with a warning; the attacker chooses the labels
        of their rows, and an error would let them stop the defense. ``"error"``: raise
        a ValueError. An array does not define the known labels, so pass a dict if
        labels may be wrong.
    random_state : int, RandomState instance or None, default=None
        Controls the initial vector of the search for singular directions (with more
        than 1000 features), and the order in which :meth:`fit_transform` reuses kept
        rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    components_ : list of ndarray of shape (n_directions, n_features)
        For each class, the orthonormal basis of its subspace (the same one for all
        classes unless ``per_class``), float64.
    explained_ratio_ : ndarray of shape (n_classes,)
        For each class, the share of the sum of squares that the singular directions of
        its subspace explain.
    radii_ : ndarray of shape (n_classes,)
        The radius of each class, float64.
    offset_ : ndarray of shape (n_classes,)
        ``-radii_``: decisions are scores minus the offset of the class.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: minus the distance to the subspace, float64.
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
        At fit, if ``max_components`` directions do not explain ``n_components``, or if
        the subspace contains the whole space.

    See Also
    --------
    MahalanobisFilter : Uses distances within the principal directions.
    SpectralFilter : Uses the top direction only.

    Notes
    -----
    Distances are computed in float64 from the residual of a row after its projection.
    Multiplying all rows by a power of two multiplies the distances by it. Those of
    sparse rows of more than 1000 features come from the difference of two squares,
    which is exact to about 1e-14 times the squared length of the row.

    References
    ----------
    .. [1] P. W. Koh, J. Steinhardt and P. Liang, "Stronger Data Poisoning Attacks Break
       Data Sanitization Defenses", Machine Learning 111, 2022, section 3 (the SVD
       defense; there 5 % of the squares remain unexplained).
    .. [2] B. Rubinstein et al., "ANTIDOTE: Understanding and Defending against
       Poisoning of Anomaly Detectors", IMC 2009.

    Examples
    --------
    Rows on a line through the origin, but for the first and the last:

    >>> import numpy as np
    >>> from skpoison.filters import SubspaceFilter
    >>> X = np.outer(np.arange(-4, 5), [1.0, 2.0, 0.0])
    >>> X[0, 2], X[-1, 2] = 3, -3
    >>> SubspaceFilter(percentile=75, n_components=1).fit_predict(X)
    array([-1,  1,  1,  1,  1,  1,  1,  1, -1])
    """

    _parameter_constraints: dict = {
        **BaseDistanceFilter._parameter_constraints,
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(Real, 0, 1, closed="neither"),
        ],
        "max_components": [Interval(Integral, 1, None, closed="left")],
        "per_class": ["boolean"],
    }

    def __init__(
        self,
        percentile: float | str = "auto",
        *,
        radii: ArrayLike | dict | None = None,
        n_components: int | float = 0.95,
        max_components: int = 200,
        per_class: bool = False,
        handle_unknown: str = "reject",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            percentile,
            radii=radii,
            handle_unknown=handle_unknown,
            random_state=random_state,
        )
        self.n_components = n_components
        self.max_components = max_components
        self.per_class = per_class

    def _fit_distances(self, X, codes):
        n_classes = len(self.classes_)
        self._exponent = extreme_exponent(X)
        X = shrunk(X, self._exponent)
        means = class_means(X, codes, n_classes)
        if self.per_class:
            places = [np.flatnonzero(codes == k) for k in range(n_classes)]
            self._fit_subspaces([ClassRows(X, rows) for rows in places], means)
        else:
            self._fit_subspaces([ClassRows(X)], means)
        return self._unshrunk_distances(X, codes)

    _asks_for_sizes = True

    def _begin(self, X, codes, means):
        check_few_features(self, means.shape[1], _principal.EXACT_FEATURES)
        self._exponent = exponent_of(self._sizes.max(), self._dtype)
        self._means_of_passes = np.ldexp(means, -self._exponent)
        return ClassScatters.of(means)

    def _learn(self, statistic):
        means, counts = self._means_of_passes, self._class_counts
        del self._means_of_passes
        outer = means[:, :, np.newaxis] * means[:, np.newaxis, :]
        scatters = statistic.sums + counts[:, np.newaxis, np.newaxis] * outer
        if not self.per_class:
            scatters, counts = scatters.sum(axis=0)[np.newaxis], [counts.sum()]
        pairs = zip(scatters, counts, strict=True)
        self._fit_subspaces([Scattered(*pair, self._dtype) for pair in pairs], means)

    def _fit_subspaces(self, rows, means):
        """Set the subspace of each class, or of all where there is one set of rows."""
        rng = check_random_state(self.random_state)
        if self.per_class:
            pairs = zip(rows, means, strict=True)
            fitted = [self._subspace(own, mean[None], rng) for own, mean in pairs]
        else:
            fitted = [self._subspace(rows[0], means, rng)] * len(means)
        self.components_ = [basis for basis, _ in fitted]
        self.explained_ratio_ = np.array([ratio for _, ratio in fitted])

    def _subspace(self, rows, means, rng):
        """Basis of a subspace, and the share that its singular directions explain."""
        total = rows.total() or 1.0
        if self.n_components >= 1:
            directions, squares = principal_directions(rows, self.n_components, rng)
        else:
            directions, squares = self._enough_directions(rows, total, rng)
        # A mean that is nothing but rounding points anywhere.
        least = 64 * np.finfo(rows.dtype).eps * np.sqrt(total / rows.shape[0])
        means = means[np.linalg.norm(means, axis=1) > least]
        basis = span(directions, means)
        if len(basis) == rows.shape[1]:
            warn(
                f"The subspace has all {len(basis)} dimensions, so no row is rejected. "
                f"{self._advice(len(basis), len(means))}",
                FilterWarning,
            )
        return basis, min(1.0, squares.sum() / total)

    def _advice(self, n_features, n_means):
        """Return advice on how to use a smaller subspace."""
        if 1 + n_means < n_features:
            return f"Decrease n_components={self.n_components}."
        if 1 + 1 < n_features:
            return (
                f"One direction and {n_means} class means already span it. Use "
                "per_class=True and n_components=1."
            )
        return (
            f"One direction and one mean already span it (n_features={n_features}). "
            "Use another filter, such as SphereFilter or MahalanobisFilter."
        )

    def _enough_directions(self, rows, total, rng):
        most = min(self.max_components, *rows.shape)
        # A small matrix knows all directions at once; iteration is asked for few.
        knows_all = rows.shape[1] <= _principal.EXACT_FEATURES
        knows_all = knows_all or _principal.are_by_products(rows, FIRST_DIRECTIONS)
        count = most if knows_all else min(FIRST_DIRECTIONS, most)
        while True:
            directions, squares = principal_directions(rows, count, rng)
            explained = np.cumsum(squares) / total
            enough = np.searchsorted(explained, self.n_components) + 1
            if enough <= len(squares):
                return directions[:enough], squares[:enough]
            if count == most:
                self._warn_of_too_few(explained)
                return directions, squares
            by_products = _principal.are_by_products(rows, most)
            count = most if by_products else min(2 * count, most)

    def _warn_of_too_few(self, explained):
        # All directions there are explain everything, but for rounding.
        if len(explained) == self.max_components:
            warn(
                f"{self.max_components} directions explain only {explained[-1]:.3f} of "
                f"the sum of squares; n_components={self.n_components}. Increase "
                "max_components, or set n_components to a number of directions.",
                FilterWarning,
            )

    def _distances(self, X, codes):
        return self._unshrunk_distances(shrunk(X, self._exponent), codes)

    def _unshrunk_distances(self, X, codes):
        """Distances of rows before they were divided by a power of two."""
        out = np.empty(X.shape[0])
        if not self.per_class:
            out[:] = _residuals(X, None, self.components_[0])
        else:
            for code, basis in enumerate(self.components_):
                rows = np.flatnonzero(codes == code)
                out[rows] = _residuals(X, rows, basis)
        with np.errstate(over="ignore"):
            return np.ldexp(out, self._exponent)


def _residuals(X, rows, basis):
    """Distances of rows, or of all, to the span of an orthonormal basis."""
    if sparse.issparse(X) and X.shape[1] > _principal.EXACT_FEATURES:
        return _sparse_residuals(X if rows is None else X[rows], basis)
    distances = [np.empty(0)]
    for _, block in padded_blocks(X, rows):
        whole = lengths(block)
        block -= (block @ basis.T) @ basis
        rest = lengths(block)
        # Rows of the subspace must not be told apart by rounding errors.
        rest[rest <= 64 * np.finfo(block.dtype).eps * whole] = 0.0
        distances.append(rest)
    n_rows = X.shape[0] if rows is None else len(rows)
    return np.concatenate(distances)[:n_rows]


def _sparse_residuals(X, basis):
    inside = coordinates(X, basis)
    squares = np.asarray(X.multiply(X).sum(axis=1)).ravel()
    rest = squares - np.einsum("ij,ij->i", inside, inside)
    rest[rest <= ROUNDING * squares] = 0.0
    return np.sqrt(rest)
