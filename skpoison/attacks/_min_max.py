"""The candidate attack of the certified bound, as a sampler."""

from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval

from skpoison._defaults import default_sphere
from skpoison._fitted import names_left_out
from skpoison._whole_rows import copied_points
from skpoison.attacks._base import BaseAttack
from skpoison.attacks._target_flip import RegressionAttackMixin, as_regression_tags
from skpoison.bounds import CertifiedBound
from skpoison.bounds._regression import is_regressor
from skpoison.feasible import Domain


class MinMaxAttack(RegressionAttackMixin, BaseAttack):
    """Add the rows of the attack found by the certified bound.

    The attack solves the min-max problem of :class:`~skpoison.CertifiedBound`: few
    distinct rows (at most two if there are two classes and the domain is convex) on the
    boundary of the feasible set, each in whole copies. Up to the bound's duality gap
    and the rounding to whole copies, it causes the largest possible *training* loss.

    Parameters
    ----------
    epsilon : float, default=0.03
        Poison rows divided by clean rows, between 0 and 1. At most
        ``floor(epsilon * n)`` rows are added; fewer if more do not increase the loss.
    filter : filter with ``feasible_set``, default=None
        The defense that the attacker faces. A fitted filter is used unchanged (wrap it
        in :class:`sklearn.frozen.FrozenEstimator` to keep it fitted when the attack is
        cloned); otherwise it is cloned and fitted on the clean rows. None means sphere
        and slab at percentile 70, intersected under the names ``sphere`` and ``slab``.
    domain : str or :class:`skpoison.feasible.Domain`, default=None
        Restricts the rows that the attacker can add, as in
        :class:`~skpoison.CertifiedBound`. None means all rows that pass the filter.
    target_range : pair of float, default=None
        With a regressor, the smallest and the largest target that the attacker can
        send, as in :class:`~skpoison.CertifiedBound`. None means those of the clean
        rows.
    estimator : classifier or regressor, default=None
        The learner to attack, one of those that :class:`~skpoison.CertifiedBound`
        supports. None is for `rho` and `C`, which are short forms.
    rho : float, default=None
        Attacks the learner that minimizes the mean hinge loss over
        ``||w||^2 + b^2 <= rho^2`` (:class:`~skpoison.NormConstrainedSVC`).
    C : float, default=None
        Attacks ``LinearSVC(loss="hinge", C=C)``. With none of
        `estimator`, `rho` and `C`, C is 1.
    tol : float, default=1e-3
        Target for the duality gap, as in :class:`~skpoison.CertifiedBound`.
    max_iter : int, default=None
        Maximum number of solver steps, as in :class:`~skpoison.CertifiedBound`.
    random_state : int, RandomState instance or None, default=None
        Controls which rows the solver starts with.

    Attributes
    ----------
    bound_ : CertifiedBound
        The fitted bound; ``bound_.attack_`` holds the distinct rows.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted. Not with a regressor.
    target_range_ : tuple of float or None
        With a regressor, the smallest and the largest target that the attacker sends.
    X_poison_ : {ndarray, CSR matrix} of shape (n_poison, n_features)
        The poison rows, in the precision of the clean ones.
    y_poison_ : ndarray of shape (n_poison,)
        Their labels or targets.
    poison_mask_ : ndarray of shape (n_samples + n_poison,)
        True for the poison rows in what :meth:`fit_resample` returns.
    objective_ : list of float
        The bound's dual value after each of the solver's checks on all rows: a training
        loss that an attack with fractional rows is certain to cause.
    filter_ : filter
        The fitted filter.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    skpoison.CertifiedBound : Bound on the training loss under any attack.
    GradientAttack : Maximizes the loss on given rows.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh, P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NIPS 2017, algorithm 1.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skpoison.attacks import MinMaxAttack
    >>> X, y = make_blobs(300, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> attack = MinMaxAttack(epsilon=0.1, rho=1.0)
    >>> X_all, y_all = attack.fit_resample(X, y)
    >>> X_all.shape, int(attack.poison_mask_.sum())
    ((330, 2), 30)
    >>> bool((attack.filter_.predict(attack.X_poison_, attack.y_poison_) == 1).all())
    True
    """

    _parameter_constraints: dict = {
        **BaseAttack._parameter_constraints,
        "domain": "no_validation",
        "target_range": "no_validation",
        "estimator": [HasMethods(["fit", "predict"]), None],
        "rho": [Interval(Real, 0, None, closed="neither"), None],
        "C": [Interval(Real, 0, None, closed="neither"), None],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
    }

    _moves_rows = True
    _multi_class = True

    def __init__(
        self,
        epsilon=0.03,
        *,
        filter=None,
        domain=None,
        target_range=None,
        estimator=None,
        rho=None,
        C=None,
        tol=1e-3,
        max_iter=None,
        random_state=None,
    ):
        super().__init__(epsilon, filter=filter, random_state=random_state)
        self.domain = domain
        self.target_range = target_range
        self.estimator = estimator
        self.rho = rho
        self.C = C
        self.tol = tol
        self.max_iter = max_iter

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        return as_regression_tags(tags) if self._is_for_targets else tags

    @property
    def _is_for_targets(self):
        return is_regressor(self.estimator)

    def _validate(self, X, y):
        if self._is_for_targets:
            return self._validate_targets(X, y)
        self.target_range_ = None
        return super()._validate(X, y)

    def _labels_of(self, codes):
        return codes if self._is_for_targets else super()._labels_of(codes)

    def _default_filter(self):
        return default_sphere() if self._is_for_targets else super()._default_filter()

    def _with_names(self, X):
        """Return the rows as a table where the domain may refer to names."""
        if self._names is None or not isinstance(self.domain, Domain):
            return X
        import pandas as pd

        if sparse.issparse(X):
            return pd.DataFrame.sparse.from_spmatrix(X, columns=self._names)
        return pd.DataFrame(X, columns=self._names)

    def _poison(self, X, codes, n_poison, rng):
        defense = self._defend(X, codes)
        defense.sets(type(self).__name__)
        bound = CertifiedBound(
            FrozenEstimator(self.filter_),
            self.epsilon,
            domain=self.domain,
            target_range=self.target_range,
            estimator=self.estimator,
            rho=self.rho,
            C=self.C,
            tol=self.tol,
            max_iter=self.max_iter,
            random_state=rng,
        )
        with names_left_out():
            self.bound_ = bound.fit(self._with_names(X), self._labels_of(codes))
        found = self.bound_.attack_
        rows, points, labels = copied_points(found.n_copies), found.X, found.y
        if not self._is_for_targets:
            labels = np.searchsorted(self.classes_, labels)
        if self._types.is_narrower(X.dtype) and len(rows):
            points = self._kept_as_written(defense, points, labels, X.dtype)
        certain = [entry["lower_bound"] for entry in self.bound_.history_]
        return points[rows], labels[rows], certain

    def _kept_as_written(self, defense, points, labels, dtype):
        """Return the bound's rows, which columns of lower precision round, kept."""
        sets = defense.sets(type(self).__name__, self.domain, self._names)
        dense = points.toarray() if sparse.issparse(points) else points
        codes = np.zeros(len(labels), dtype=int) if self._is_for_targets else labels
        kept = defense.inwards(sets, dense, codes, dtype, self._types)
        return sparse.csr_array(kept) if sparse.issparse(points) else kept
