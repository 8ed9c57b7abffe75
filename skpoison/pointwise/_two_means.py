"""A classifier that uses labels only to name two clusters."""

from numbers import Integral
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.cluster import KMeans
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from skpoison._column_types import RowsLike
from skpoison._labels import check_labels, check_two_classes
from skpoison._versions import VersionedMixin
from skpoison.pointwise._flips import radius_in_blocks


class TwoMeansClassifier(ClassifierMixin, VersionedMixin, BaseEstimator):
    """Find two clusters without labels, and name them by a vote of all labels.

    Of the two ways to name the clusters, the one that agrees with more training labels
    is taken. If the classes are clusters, no other method tolerates as many flipped
    labels: almost half of them. If they are not, it is useless.

    Parameters
    ----------
    n_init : int, default=10
        Number of initializations of k-means.
    random_state : int, default=0
        Seed of the initializations. The attacker must not be able to change it.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The labels, sorted.
    kmeans_ : KMeans
        The fitted clustering.
    agreement_ : int
        Number of training labels that agree with the clusters, minus the number that do
        not, if the first cluster is given the larger label.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    certified_radius : How many labels must be flipped to change a prediction.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skpoison import certified_radius
    >>> from skpoison.pointwise import TwoMeansClassifier
    >>> X, y = make_blobs(100, centers=[[-3, 0], [3, 0]], random_state=0)
    >>> model = TwoMeansClassifier().fit(X, y)
    >>> certified_radius(model, X[:2], attack="flip")
    array([50, 49])
    """

    _parameter_constraints: dict = {
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "random_state": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(self, *, n_init: int = 10, random_state: int = 0):
        self.n_init = n_init
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True
        tags.input_tags.sparse = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: RowsLike, y: ArrayLike) -> Self:
        """Find the clusters, and name them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Labels of two classes.

        Returns
        -------
        self : TwoMeansClassifier
            This estimator, fitted.
        """
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=np.float64, ensure_min_samples=2
        )
        self.classes_, self._codes = np.unique(check_labels(y), return_inverse=True)
        check_two_classes(type(self).__name__, self.classes_)
        self.kmeans_ = KMeans(2, n_init=self.n_init, random_state=self.random_state)
        self._sides = 1 - 2 * self.kmeans_.fit_predict(X)
        self.agreement_ = int(self._sides @ (2 * self._codes - 1))
        return self

    def predict(self, X: RowsLike) -> np.ndarray:
        """Predict the label of the nearer cluster.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels; the smaller one everywhere if both names agree with equally many
            training labels.
        """
        sides = self._sides_of(X)
        return self.classes_[(sides * self.agreement_ > 0).astype(np.intp)]

    def _sides_of(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=np.float64)
        return 1 - 2 * self.kmeans_.predict(X)


def two_means_radius(estimator, X, attack, training):
    """Return flip radii of TwoMeansClassifier, the same for all rows of a cluster."""
    if attack != "flip":
        raise ValueError(
            "TwoMeansClassifier is certified for attack='flip' only; got "
            f"attack={attack!r}. Inserted rows move the clusters."
        )
    weights = np.array([[1.0], [-1.0]]) * estimator._sides
    radii = radius_in_blocks(
        lambda rows: weights[rows], 2, estimator._codes, estimator.classes_
    )
    return radii[(estimator._sides_of(X) < 0).astype(np.intp)]
