"""Base class of all attacks."""

from numbers import Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils import ClassifierTags, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import validate_data

from skpoison._column_types import RowsLike, Types, check_moving, check_numbers
from skpoison._containers import (
    like_rows,
    like_targets,
    stack,
    stack_targets,
)
from skpoison._defaults import default_filter
from skpoison._labels import check_labels, check_two_classes
from skpoison._sampler_tags import sampler_tags
from skpoison._versions import VersionedMixin
from skpoison._whole_rows import copied_points, n_poison_rows
from skpoison.attacks._defense import Defense
from skpoison.feasible import as_domain

FOR_TARGETS = (
    "For targets that are numbers, use TargetFlipAttack, or MinMaxAttack with a "
    "regressor as its estimator."
)


class BaseAttack(OneToOneFeatureMixin, VersionedMixin, BaseEstimator):
    """Base class of all attacks.

    An attack is a sampler: given clean rows, it adds poison rows. A subclass defines
    ``_poison(X, codes, n_poison, rng)``, which returns the poison rows (ndarray or
    CSR), the positions of their labels in ``classes_`` and the objective after each
    iteration. ``X`` is passed as an ndarray or CSR array of float64 or float32. This
    class handles labels, containers, column types and the filter. A subclass whose rows
    are not copies of clean rows sets ``_moves_rows = True``, so that columns that
    cannot hold such rows raise an error at once.

    Parameters
    ----------
    epsilon : float, default=0.03
        Poison rows divided by clean rows, between 0 and 1; ``floor(epsilon * n)`` whole
        rows are sent.
    filter : filter, default=None
        The defense that the attacker faces. A fitted filter is used unchanged (its
        labels and columns must match); otherwise it is cloned and fitted on the rows
        passed to :meth:`fit`. Cloning an attack, as searches do, also clones its filter
        without the fit; wrap a fitted filter in :class:`sklearn.frozen.FrozenEstimator`
        to keep it.
    random_state : int, RandomState instance or None, default=None
        Controls the randomness of the attack.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    X_poison_ : {ndarray, CSR matrix} of shape (n_poison, n_features)
        The poison rows, in the precision of the clean ones.
    y_poison_ : ndarray of shape (n_poison,)
        Their labels.
    poison_mask_ : ndarray of shape (n_samples + n_poison,)
        True for the poison rows in what :meth:`fit_resample` returns.
    objective_ : list of float
        The attacker's objective, to be maximized, after each iteration.
    filter_ : filter or None
        The fitted filter.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.attacks import BaseAttack
    >>> class Repeat(BaseAttack):
    ...     '''Send the first row again, under the other label.'''
    ...
    ...     def _poison(self, X, codes, n_poison, rng):
    ...         rows = np.zeros(n_poison, dtype=int)
    ...         return X[rows], 1 - codes[rows], []
    >>> Repeat(epsilon=0.5).fit_resample([[1.0], [2.0]], ["a", "b"])
    ([[1.0], [2.0], [1.0]], ['a', 'b', 'b'])
    """

    _parameter_constraints: dict = {
        "epsilon": [Interval(Real, 0, 1, closed="both")],
        "filter": [HasMethods(["fit", "decision_function"]), None],
        "random_state": ["random_state"],
    }
    # Whether a defense without a feasible set is of any use to the attack.
    _needs_feasible_set = True
    _moves_rows = False

    def __init__(self, epsilon=0.03, *, filter=None, random_state=None):
        self.epsilon = epsilon
        self.filter = filter
        self.random_state = random_state

    @property
    def _multi_class(self) -> bool:
        return False

    @property
    def _needs_numbers(self) -> bool:
        """Whether columns of X must be numbers, and hold what lies between rows."""
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        tags.classifier_tags = ClassifierTags(multi_class=self._multi_class)
        return sampler_tags(tags)

    def fit(self, X: RowsLike, y: ArrayLike) -> Self:
        """Compute the poison rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows.
        y : array-like of shape (n_samples,)
            Their labels.

        Returns
        -------
        self : object
            The fitted attack.

        Raises
        ------
        ValueError
            If a parameter, X or y is invalid, or if the attack is impossible.
        """
        self._validate_params()
        self._types = Types.of(X)
        if self._needs_numbers:
            check_numbers(self._types, type(self).__name__)
        X, codes = self._validate(X, y)
        self._check()
        self._check_types(X.shape[1])
        n_poison = n_poison_rows(self.epsilon, X.shape[0])
        rng = check_random_state(self.random_state)
        rows, poison_codes, self.objective_ = self._poison(X, codes, n_poison, rng)
        self.X_poison_ = self._written(rows, X.dtype)
        self.y_poison_ = self._labels_of(poison_codes)
        n_all = X.shape[0] + len(self.y_poison_)
        self.poison_mask_ = np.arange(n_all) >= X.shape[0]
        return self

    def poison(self, X: RowsLike, y: ArrayLike) -> tuple[RowsLike, ArrayLike]:
        """Compute the poison rows and return them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows.
        y : array-like of shape (n_samples,)
            Their labels.

        Returns
        -------
        X_poison : {ndarray, list, CSR matrix, DataFrame} of shape \
                (n_poison, n_features)
            The poison rows, in a container like X. A DataFrame (pandas or polars) has
            the same columns and types; its index continues that of X.
        y_poison : {ndarray, list, Series, DataFrame} of shape (n_poison,)
            Their labels, in the container of y.

        Raises
        ------
        ValueError
            For the reasons given in :meth:`fit`, or if the type of a column of X cannot
            represent the rows.
        """
        self.fit(X, y)
        return self._like_clean(X), like_targets(self.y_poison_, y)

    def fit_resample(self, X: RowsLike, y: ArrayLike) -> tuple[RowsLike, ArrayLike]:
        """Compute the poison rows and return them after the clean ones.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows.
        y : array-like of shape (n_samples,)
            Their labels.

        Returns
        -------
        X : {ndarray, list, CSR matrix, DataFrame} of shape \
                (n_samples + n_poison, n_features)
            The clean rows, unchanged, followed by the poison rows; ``poison_mask_``
            marks the latter. The container is that of X; the columns of a DataFrame
            keep their types.
        y : {ndarray, list, Series, DataFrame} of shape (n_samples + n_poison,)
            Their labels, in the container of y.

        Raises
        ------
        ValueError
            For the reasons given in :meth:`poison`, or if an array cannot hold clean
            and poison rows without changing the clean ones.
        """
        X_poison, y_poison = self.poison(X, y)
        return stack(X, X_poison), stack_targets(y, y_poison)

    def _like_clean(self, X):
        """Return the poison rows in the container and types of the clean ones."""
        return like_rows(self.X_poison_, X)

    def _written(self, rows, dtype):
        """Return rows in the precision that the columns of X have."""
        return self._types.written(rows, dtype) if rows.dtype.kind == "f" else rows

    def _check_types(self, n_features):
        """Raise if columns cannot represent the rows that the attack creates."""
        if self._moves_rows and (self._types.whole or self._types.categories):
            domain = as_domain(getattr(self, "domain", None))
            columns = domain.resolve(n_features, self._names)
            check_moving(self._types, type(self).__name__, columns)

    def _validate(self, X, y):
        """Return rows and the positions of their labels; set ``classes_``."""
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=None if self._types.words else [np.float64, np.float32],
            y_numeric=False,
        )
        y = check_labels(y, for_targets=FOR_TARGETS)
        self.classes_, codes = np.unique(y, return_inverse=True)
        check_two_classes(type(self).__name__, self.classes_, or_more=self._multi_class)
        return X, codes

    def _labels_of(self, codes):
        """Return labels at their positions; where codes are targets, the targets."""
        return self.classes_[codes]

    def _check(self):
        """Raise for invalid combinations of parameters, before any computation."""

    @property
    def _names(self):
        return getattr(self, "feature_names_in_", None)

    def _default_filter(self):
        return default_filter()

    def _defend(self, X, codes):
        """Fit the filter unless it is already fitted; return the defense."""
        filter_ = self._default_filter() if self.filter is None else self.filter
        classes = getattr(self, "classes_", None)
        defense = Defense.of(filter_, classes, X, codes, self._names)
        self.filter_ = defense.filter
        return defense


def repeat_rows(
    points: np.ndarray, copies: np.ndarray, is_sparse: bool, dtype: np.dtype
) -> np.ndarray | sparse.csr_matrix:
    """Repeat each of a few distinct rows, with its copies next to each other."""
    points = points.astype(dtype)
    if is_sparse:
        points = sparse.csr_matrix(points)
    return points[copied_points(copies)]
