"""The certified bound as an estimator."""

from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import _fit_context, clone
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skpoison._blocks import is_lazy
from skpoison._column_types import RowsLike
from skpoison._defaults import default_filter, default_sphere
from skpoison._fitted import (
    check_fits,
    remember_names,
    scores,
    unbounded,
)
from skpoison._progress import progress_monitor
from skpoison.bounds import _any_loss, _fixed, _in_blocks, _multiclass, moving
from skpoison.bounds._certificate import CertificateMixin
from skpoison.bounds._defending import DefendingMixin
from skpoison.bounds._discrete import poison_term
from skpoison.bounds._domain import warn_of_strangers
from skpoison.bounds._linear import check_values, signed_rows, square_sum_around
from skpoison.bounds._multiclass import ClassResult
from skpoison.bounds._objective import Objective, objective_of
from skpoison.bounds._projected import projected
from skpoison.bounds._regression import LinearLearner, target_rows
from skpoison.bounds._rounding import judged
from skpoison.bounds._svc import warn_if_short
from skpoison.bounds._weights import LossWeights, class_weights, sample_weights
from skpoison.feasible import FeasibleSet, as_domain, restrict
from skpoison.losses import Hinge
from skpoison.solvers._adversary import PoisonTerm
from skpoison.solvers._class_problem import ClassProblem
from skpoison.solvers._learned_scale import HuberProblem
from skpoison.solvers._out_of_core import BlockProblem
from skpoison.solvers._regularizers import NormBall, Penalty
from skpoison.solvers._working_set import Problem, Solution
from skpoison.solvers._worst_rows import of_classes, of_targets

SIGNS = (-1.0, 1.0)
HANDED_ON = (
    *("n_features_in_", "feature_names_in_", "classes_", "target_range_"),
    *("filter_", "_square_sum"),
)


class WarmStart(NamedTuple):
    """A warm start for another fit on the same rows."""

    estimator: "CertifiedBound"
    X: np.ndarray | sparse.csr_matrix  # validated
    codes: np.ndarray  # positions of the labels in ``classes_``, or targets
    found: Solution  # where the solver ended

    def hand_on(self, estimator):
        """Copy rows and filter to another estimator; return rows and codes."""
        for name in HANDED_ON:
            if hasattr(self.estimator, name):
                setattr(estimator, name, getattr(self.estimator, name))
        return self.X, self.codes


class CertifiedBound(
    CertificateMixin, DefendingMixin, CallbackSupportMixin, LinearLearner
):
    """Upper bound on the training loss that any attacker can cause past a filter.

    An attacker adds ``floor(epsilon * n)`` rows of their choice to n clean rows. A
    filter with fixed centroids and radii rejects outlying rows, and a linear classifier
    or regressor is trained on the rest. For every attack, that learner's training loss
    is at most `upper_bound_`: the sum of its losses over the rows that it is trained
    on, divided by n, plus its penalty. These rows are the poison that passes the filter
    and the clean rows, all of them or those that pass. Clean rows that it is not
    trained on can have larger losses: they do not count. `attack_` is an attack that
    nearly reaches the bound.

    By default, the filter intersects a sphere, which keeps rows near the centroid of
    their class, with a slab, which keeps rows whose projection on the line between the
    class centroids is near that of their own centroid. Where the learner is a
    regressor, there are no classes: the default is a sphere around the mean, and rows
    with targets outside `target_range` are rejected, too.

    Fit it on trusted rows: the filter's centroids and radii are estimated from them.
    Then train on untrusted rows with :meth:`defend`, which keeps them fixed.

    Parameters
    ----------
    filter : filter with ``feasible_set``, default=None
        The defense, fitted on the rows passed to :meth:`fit`. None means sphere and
        slab at percentile 70, intersected under the names ``sphere`` and ``slab``. Wrap
        a fitted filter in :class:`sklearn.frozen.FrozenEstimator` to use it unchanged;
        it must have been fitted on the same labels (of the same type: True is not 1)
        and on the same columns in the same order. Inside
        :class:`~sklearn.multiclass.OneVsRestClassifier`, which creates its own labels,
        pass an unfitted filter.
    epsilon : float, default=0.03
        Number of poison rows divided by the number of clean rows, between 0 and 1.
    estimator : classifier or regressor, default=None
        The learner whose training objective the bound is about; only its parameters
        are used. One of

        - :class:`~sklearn.svm.LinearSVC` with either loss and penalty ``"l2"``, or
          with ``multi_class="crammer_singer"``;
        - :class:`~sklearn.linear_model.LogisticRegression` with the l2 penalty (for
          more than two classes, with any solver but ``"liblinear"``);
        - :class:`~sklearn.linear_model.RidgeClassifier`;
        - :class:`~sklearn.linear_model.SGDClassifier` with the loss ``"hinge"``,
          ``"squared_hinge"``, ``"log_loss"`` or ``"modified_huber"`` and penalty
          ``"l2"``;
        - :class:`NormConstrainedSVC`, for two classes;
        - :class:`~sklearn.linear_model.Ridge`, :class:`~sklearn.svm.LinearSVR` with
          either loss, :class:`~sklearn.linear_model.HuberRegressor` and
          :class:`~sklearn.linear_model.SGDRegressor` with any loss and penalty
          ``"l2"``, for targets that are numbers.

        With ``class_weight="balanced"``, the bound is about the weights that balance
        the clean rows, `class_weight_`; train the learner with these, because poison
        changes those that balance the rows that arrive. For more than two classes,
        `class_weight` is refused for `SGDClassifier` and the ``"ovr"`` problems of
        `LinearSVC`, which weigh a class in its own problem only.

        None means that the learner is given by `rho` or `C`.
    rho : float, default=None
        Radius of the learner's ball: the learner minimizes the mean hinge loss over
        ``||w||^2 + b^2 <= rho^2`` (:class:`NormConstrainedSVC`; the paper's).
    C : float, default=None
        The learner is ``LinearSVC(loss="hinge", C=C)``, which adds the penalty
        ``(||w||^2 + b^2) / (2 C n)`` instead. With neither `rho`, `C` nor `estimator`,
        C is 1.
    tol : float, default=1e-3
        Target for the duality gap, ``upper_bound_ - lower_bound_``: how far the bound
        can be from the tightest one. Relative to ``max(upper_bound_, 0.001)``. For more
        than two classes, a gap can remain that no step closes: see `is_exact_`.
    defense : {"fixed", "moving_centroids"}, default="fixed"
        ``"fixed"``: the filter uses the centroids and radii of the clean rows.
        ``"moving_centroids"``: it uses fixed radii (given, or estimated from the clean
        rows) but estimates the centroids from clean and poison rows together, so that
        the attacker can shift them; available for SphereFilter, SlabFilter and their
        intersections. The bound then covers every attack whose rows all pass the
        filter; with a bounded `domain`, it also covers attacks with rejected rows,
        which shift the centroids too.
    domain : str or :class:`skpoison.feasible.Domain`, default=None
        Restricts the rows that an attacker can add: ``"real"`` (or None, no
        restriction), ``"nonnegative"``, ``"count"`` (non-negative integers),
        ``"binary"``, ``"tfidf"`` (non-negative, norm 1 or 0), or a Domain for mixed
        features. The bound is never larger than without a domain. If the domain is not
        convex (integers, norm 1), a `tol` of 0.01 can be reached for text with a few
        thousand words; with features that take few values, the duality gap can remain
        larger.
    target_range : pair of float, default=None
        With a regressor, the smallest and the largest target that pass: an attacker
        whose targets are unbounded can cause any loss. None means the smallest and the
        largest target passed to :meth:`fit`.
    max_weight : float, default=1.0
        The largest sample weight of a poison row. Its loss is multiplied by this and
        by the weight of its class, if there is one.
    max_iter : int, default=None
        Maximum number of solver steps. None means 1000 Newton steps (followed by rounds
        of cutting planes if the domain is not convex), or 5000 L-BFGS steps for more
        than two classes. The bound is valid whenever the solver stops.
    random_state : int, RandomState instance or None, default=None
        Controls which rows the solver starts with. Results depend on it only up to
        `tol`.

    Attributes
    ----------
    upper_bound_ : float
        No attack that passes the filter raises the learner's training loss above this
        value. Floating-point rounding in the filter and in the bound is accounted for.
    error_bound_ : float
        No attack that passes the filter makes the learner misclassify a larger share of
        the clean rows, of those that it is trained on: `upper_bound_` divided by the
        loss of a row on the decision boundary, at most 1 (with weights, the share of
        the lightest rows that lose so much together). NaN with a regressor. For more
        than two classes, divided by the least loss of a misclassified row (see the
        notes).
    lower_bound_ : float
        The dual value: no parameters give a smaller bound.
    dual_gap_ : float
        ``upper_bound_ - lower_bound_``.
    converged_ : bool
        Whether the solver reached `tol`, not counting the margins for rounding. If not,
        a warning was issued; the bounds are valid in either case.
    clean_loss_ : float
        Mean loss of the clean rows at the certified parameters.
    poison_loss_ : float
        Largest loss, at the certified parameters, of a row that passes the filter.
        ``upper_bound_`` is ``clean_loss_ + epsilon * poison_loss_``, plus the penalty
        if the learner has one, plus a margin for rounding.
    is_exact_ : bool
        Whether the bound is certified to be as tight as can be: `dual_gap_` is within
        `tol` (not counting the margins for rounding), so that an attack with fractions
        of rows nearly reaches `upper_bound_`. Always False for moving centroids. For
        more than two classes it can be False although the solver converged: the
        tightest bound then lies between `lower_bound_` and `upper_bound_`.
    attack_ : :class:`~sklearn.utils.Bunch`
        The candidate attack: `X`, its distinct rows (with the dtype and sparsity of the
        training rows; at most two for two classes or a regressor, unless the domain is
        not convex, as for counts);
        `y`, their labels or targets; `n_copies`, the number of copies of each row, at
        most ``floor(epsilon * n)`` in total; `rounding_slack`, a certified limit on how
        far this attack of whole rows can fall short of `lower_bound_`.
    attack_loss_ : float
        Training loss of the learner trained on all clean rows and `attack_`, counted
        as `upper_bound_` is. At least ``lower_bound_ - attack_.rounding_slack`` and at
        most `upper_bound_`.
    poisoned_coef_ : ndarray of shape (1, n_features), (n_classes, n_features) or \
            (n_features,)
        Weights of that learner.
    poisoned_intercept_ : ndarray of shape (1,) or (n_classes,), or float
        Intercept of that learner.
    coef_ : ndarray of shape (1, n_features); (n_classes, n_features) for more than \
            two classes; (n_features,) with a regressor
        Weights of the certified parameters, which this estimator uses to predict.
    intercept_ : ndarray of shape (1,) or (n_classes,); float with a regressor
        Their intercept.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted. Not with a regressor.
    class_weight_ : dict or None
        The weight of each class, if the learner weighs them.
    target_range_ : tuple of float or None
        With a regressor, the smallest and the largest target that pass.
    filter_ : filter
        The fitted filter.
    n_iter_ : int
        Number of solver steps.
    history_ : list of dict
        One entry for each check on all rows: ``n_iter``, ``upper_bound``,
        ``lower_bound`` and ``n_rows``, the number of rows in the solver's working set.
        If the domain is not convex, all lower bounds except the last are those of its
        convex relaxation.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    Warns
    -----
    ConvergenceWarning
        If the solver stops before it reaches `tol`. The bounds are still valid.
    UserWarning
        If the labels are numbers, many for so few rows, as targets of regression are.

    See Also
    --------
    bound_curve : The bound for several values of epsilon.
    skpoison.bounds.training_gap : How far a trained model is from its minimum.
    NormConstrainedSVC : The learner that the bound covers if `rho` is given.

    Notes
    -----
    Let F be the set of rows that pass the filter. The bound is the minimum over the
    learner's parameters of ``mean loss of clean rows + epsilon * largest loss in F``
    (plus the penalty). The dual of this saddle-point problem gives `lower_bound_` and
    the attack.

    Losses and penalties of `estimator` are those of :mod:`skpoison.losses`, divided by
    n: ``||w||^2 / (2 C n)`` for `LogisticRegression` and `LinearSVC` (which adds
    ``(b / intercept_scaling)^2`` to ``||w||^2``, as the solver ``"liblinear"`` does),
    ``alpha ||w||^2 / (2 n)`` beside half the squared loss for `RidgeClassifier`, and
    ``(1 + m / n) alpha ||w||^2 / 2`` for `SGDClassifier`, whose penalty grows with the
    number of rows: m is ``floor(epsilon * n)``. Those of regressors are alike:
    ``alpha ||w||^2 / (2 n)`` beside half the squared error for `Ridge`, ``||w||^2 / (2
    C n)`` for `LinearSVR`, ``alpha ||w||^2 / n`` for `HuberRegressor`, whose scale is
    one of the parameters, and as for `SGDClassifier` for `SGDRegressor`. With weights,
    losses are multiplied by them, and the sum is divided by n all the same.

    With more than two classes, `LogisticRegression` minimizes the multinomial loss
    ``log(sum(exp(S))) - S_y`` of a row's scores S, and
    ``LinearSVC(multi_class="crammer_singer")`` the loss
    ``max(0, 1 + max(S_k - S_y))`` over the classes k other than y. The others train a
    two-class problem for each class against the rest, with an objective of its own.
    The *sum* of these objectives is bounded. A poison row takes part in all of them:
    in that of its class with one label, in the others with the other. It can lose much
    in the problem of its class and in one or two more, but not in all at once, which
    the bound accounts for. A misclassified row loses at least ``log(2)`` (multinomial),
    1 (Crammer and Singer) or twice the loss at the decision boundary (sums).

    The largest loss of a row is then the maximum of a convex function over the feasible
    set. It is bounded by branch and bound over the scores, with a limited number of
    cells. A gap can remain if there are many classes, most of all for sums.
    `RidgeClassifier` behind spheres and slabs has none: its worst row is found exactly.

    The bound is on the minimum of the training objective. Solvers that stop early end
    above it, by at most :func:`skpoison.bounds.training_gap`, which goes on top of
    `upper_bound_`; :meth:`check` does so.

    For the hinge loss with a penalty on weights and intercept alike (`rho`, `C`,
    `NormConstrainedSVC`, ``LinearSVC(loss="hinge")``) every filter with a bounded
    feasible set, every `domain` and moving centroids are covered, without weights of
    rows or classes. For all others, the filter's feasible sets must have projections,
    as those of spheres and slabs do, and `domain` must be convex (``"real"``,
    ``"nonnegative"``, bounds on features). The proof for moving centroids replaces the
    rows of a class by their mean, which only losses that are linear where they count
    allow. More than two classes need convex feasible sets and domains, and fixed
    centroids.

    The margins for rounding are floating-point error bounds: `poison_loss_` covers all
    rows that a filter that computes in the precision of the given rows can keep (in
    float32, these include rows outside the sphere by a few millionths of the radius),
    and `upper_bound_` and `lower_bound_` are moved outwards by the largest possible
    error of the sums behind them. `history_` holds the values without these margins.

    The bound is on training loss. It is a guide to test loss only if the two are close
    on clean data and if the filter does little harm by removing clean rows; [1]_
    assumes both. By default the bound covers a *fixed* filter. Use
    ``defense="moving_centroids"`` for a filter that is fitted on poisoned rows, whose
    centroids the attacker can shift. Nothing is certified if the radii are also
    estimated from poisoned rows.

    With moving centroids, `poison_loss_` is certified over all ways to split the poison
    between the classes, by branch and bound over semidefinite programs; their dual
    values are verified rather than taken from the solver. `lower_bound_` is then the
    smallest value of this bound over all parameters. It shows how well the parameters
    were chosen, not how much damage an attack can do. `attack_loss_` shows that, and
    can be much smaller, because the worst attack depends on the parameters. Of the
    attacks tried against the filter, `attack_` is the one with the largest loss of the
    learner trained on the rows that the filter keeps. It also holds `clean_kept`, the
    mask of the clean rows that the filter then keeps, and `filtered_loss`,
    `filtered_coef` and `filtered_intercept` of that learner. With fewer than six
    features the bound is valid, but attacks may fall short of it.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh, P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NIPS 2017, equations (4) to (6) and algorithm 1.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skpoison import CertifiedBound
    >>> X, y = make_blobs(300, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> bound = CertifiedBound(epsilon=0.1, rho=1.0).fit(X, y)
    >>> bool(bound.lower_bound_ <= bound.attack_loss_ <= bound.upper_bound_)
    True
    >>> bound.attack_.n_copies.sum() <= 30
    np.True_

    Any of the learners that are known, as scikit-learn has them:

    >>> from sklearn.linear_model import LogisticRegression
    >>> bound = CertifiedBound(epsilon=0.1, estimator=LogisticRegression(C=0.1))
    >>> round(bound.fit(X, y).upper_bound_, 2)
    0.18

    Several classes:

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> bound = CertifiedBound(epsilon=0.1, estimator=LogisticRegression()).fit(X, y)
    >>> bound.is_exact_, round(bound.upper_bound_, 2), round(bound.attack_loss_, 2)
    (True, 0.28, 0.28)

    Regressors too, for targets between those of the clean rows:

    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> X, y = load_diabetes(return_X_y=True)
    >>> bound = CertifiedBound(epsilon=0.05, estimator=Ridge(alpha=0.1)).fit(X, y)
    >>> bound.target_range_, round(bound.upper_bound_)
    ((25.0, 346.0), 3389)
    """

    _several_classes = True
    _parameter_constraints: dict = {
        "filter": [HasMethods(["fit", "feasible_set"]), None],
        "epsilon": [Interval(Real, 0, 1, closed="both")],
        "estimator": [HasMethods(["fit", "predict"]), None],
        "rho": [Interval(Real, 0, None, closed="neither"), None],
        "C": [Interval(Real, 0, None, closed="neither"), None],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "defense": [StrOptions({"fixed", "moving_centroids"})],
        "domain": "no_validation",
        "target_range": "no_validation",
        "max_weight": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        filter=None,
        epsilon=0.03,
        *,
        estimator=None,
        rho=None,
        C=None,
        tol=1e-3,
        defense="fixed",
        domain=None,
        target_range=None,
        max_weight=1.0,
        max_iter=None,
        random_state=None,
    ):
        self.filter = filter
        self.epsilon = epsilon
        self.estimator = estimator
        self.rho = rho
        self.C = C
        self.tol = tol
        self.defense = defense
        self.domain = domain
        self.target_range = target_range
        self.max_weight = max_weight
        self.max_iter = max_iter
        self.random_state = random_state

    def _validate_params(self):
        is_other = hasattr(self.filter, "fit") and not hasattr(
            self.filter, "feasible_set"
        )
        if is_other:
            raise ValueError(
                f"{type(self).__name__} requires a filter with a feasible set, which "
                "are SphereFilter (norm='l2'), SlabFilter and intersections of them, "
                f"such as SphereFilter() & SlabFilter(); got filter={self.filter!r}. "
                "Others do not say which rows pass them."
            )
        super()._validate_params()

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: RowsLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Compute the bound.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows; also a Dask array or data frame, of which few rows are in memory
            at once.
        y : array-like of shape (n_samples,)
            Their labels, of at least two classes (with Dask, of two); with a regressor,
            their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of their losses, not negative. Rows that an attacker adds weigh
            `max_weight` at most. Not for `rho` and moving centroids.

        Returns
        -------
        self : CertifiedBound
            The fitted bound.

        Raises
        ------
        ValueError
            If more than one of `estimator`, `rho` and `C` are given, if `estimator` is
            not known or cannot tell so many classes apart, if there is only one class,
            if a fitted filter knows other labels or columns, if the filter or
            `target_range` leaves the attacker unbounded, or if `estimator`, `filter`,
            `domain`, `defense` and weights do not go together.
        TypeError
            If X is a Dask collection and there is no bound for it: with moving
            centroids, a `domain`, `sample_weight` or ``HuberRegressor``.
        """
        self._fit(X, y, sample_weight=sample_weight)
        return self

    def train_learner(
        self, X: RowsLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train the learner that this bound covers, without poison.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows that the bound was fitted on, or a subset of them.
        y : array-like of shape (n_samples,)
            Their labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of their losses.

        Returns
        -------
        learner : CertifiedBound
            A bound with ``epsilon=0``, which is the trained learner: `coef_` and
            `intercept_` are those of the learner, and `upper_bound_` is its training
            loss. It is trained to `tol`, regardless of `max_iter`; the filter is not
            refitted.

        See Also
        --------
        NormConstrainedSVC : The learner if `rho` is given.

        Examples
        --------
        What the filter costs where nobody attacks:

        >>> from sklearn.datasets import make_blobs
        >>> from skpoison import CertifiedBound
        >>> X, y = make_blobs(300, centers=[[-1, 0], [1, 0]], random_state=0)
        >>> bound = CertifiedBound(rho=1.0).fit(X, y)
        >>> kept = bound.filter_.inlier_mask_
        >>> bool(bound.train_learner(X[kept], y[kept]).score(X, y) > 0.8)
        True
        """
        check_is_fitted(self)
        # Without poison the filter plays no part; frozen, it is not measured again.
        frozen, learner = FrozenEstimator(self.filter_), clone(self).set_callbacks()
        learner.set_params(
            filter=frozen, epsilon=0.0, defense="fixed", domain=None, max_iter=None
        )
        return learner.fit(X, y, sample_weight)

    @with_callbacks
    def _fit(self, X, y, previous=None, sample_weight=None):
        """Fit, optionally warm-started from a previous fit; return a warm start."""
        self._objective = self._read_objective()
        context = self._init_callback_context(max_subtasks=None)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        if previous is None:
            X, codes = self._validate(*self._surveyed(X, y, sample_weight))
        else:
            X, codes = previous.hand_on(self)
        self._objective = self._for_classes(self._objective)
        self._n_rows = X.shape[0]
        self._weights = self._weigh(X, codes, sample_weight)
        if previous is None:
            self.filter_ = self._fit_filter(X, self._labels_at(codes))
        certify = self._certify_moving if self._is_moving() else self._certify_fixed
        start = None if previous is None else previous.found
        result = certify(X, codes, start, progress_monitor(self, context))
        self._report(result)
        is_blocked = isinstance(X, _in_blocks.BlockedRows)
        self._report_attack(result, X.example if is_blocked else X)
        self._keep_proof(result, X, codes)
        warn_if_short(result.found, result.problem, self.tol)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return WarmStart(self, X, codes, result.found)

    def _surveyed(self, X, y, sample_weight):
        """Return rows and labels; of Dask collections, few come into memory."""
        if not is_lazy(X):
            return X, y
        _in_blocks.check_supported(self, self._objective, sample_weight)
        from skpoison._dask._bound import surveyed

        is_regression = self._objective.is_regression
        return surveyed(self, X, y, is_regression, self._new_filter())

    def _validate(self, X, y):
        if not isinstance(X, _in_blocks.BlockedRows):
            return super()._validate(X, y)
        _in_blocks.received(self, X, type(self).__name__)
        return X, None

    def _check_values(self, X):
        self._square_sum = None
        if not self._is_read_by_sphere(X):
            # The pass over X also gives the size of its rows.
            self._square_sum = check_values(type(self).__name__, X)

    def _is_read_by_sphere(self, X):
        """Whether the distances of a filter to be fitted tell the size of all rows."""
        has_sphere = self.filter is None and not self._objective.is_regression
        return has_sphere and not sparse.issparse(X) and X.dtype == np.float64

    def _fit_first_reader(self, filter_, X, y):
        """Fit the default filter on rows whose values are unchecked; check them."""
        try:
            fitted = filter_.fit(X, y)
            self._square_sum = square_sum_around(fitted.named_filters_["sphere"])
        finally:
            if self._square_sum is None:
                self._square_sum = check_values(type(self).__name__, X)
        return fitted

    def _read_objective(self):
        """Return what the learner minimizes, however it is given."""
        given = {"rho": self.rho, "C": self.C, "estimator": self.estimator}
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) > 1:
            raise ValueError(
                "Set only one of rho, C and estimator, which define the learner's "
                f"objective; got {given!r}."
            )
        if self.estimator is not None:
            objective = objective_of(self.estimator)
        elif self.rho is not None:
            objective = Objective(Hinge(), rho=float(self.rho), several=None)
        else:
            objective = Objective(Hinge(), 1.0 / (1.0 if self.C is None else self.C))
        if self._is_moving() and not objective.is_plain_hinge:
            raise ValueError(
                "defense='moving_centroids' is for learners with the hinge loss whose "
                "intercept is penalized like a weight, LinearSVC(loss='hinge') and "
                f"NormConstrainedSVC; got estimator={self.estimator!r}."
            )
        return objective

    def _weigh(self, X, codes, sample_weight):
        """Return the weights of rows and of poison; None where all are 1."""
        if isinstance(X, _in_blocks.BlockedRows):
            return self._weigh_blocks(X)
        given = self._objective.class_weight
        classes: Any = getattr(self, "classes_", None)
        of_classes: Any = None
        self.class_weight_ = None
        if given is not None:
            of_classes = class_weights(given, classes, codes)
            labels = classes.tolist()
            self.class_weight_ = dict(zip(labels, of_classes.tolist(), strict=True))
        if sample_weight is None and of_classes is None and self.max_weight == 1.0:
            return None
        if self._objective.rho is not None or self._is_moving():
            raise self._unweighted()
        of_rows = sample_weights(sample_weight, X)
        if of_classes is None:
            of_classes = np.ones(1 if classes is None else len(classes))
        else:
            of_rows = of_rows * of_classes[codes]
        return LossWeights(of_rows, self.max_weight * of_classes)

    def _weigh_blocks(self, rows):
        objective, self.class_weight_ = self._objective, None
        weights = _in_blocks.weights_of(objective, rows, self.max_weight)
        if objective.class_weight is not None:
            pair = self.classes_.tolist(), weights.of_rows.tolist()
            self.class_weight_ = dict(zip(*pair, strict=True))
        is_weighted = objective.class_weight is not None or self.max_weight != 1.0
        if is_weighted and objective.rho is not None:
            raise self._unweighted()
        return weights

    def _unweighted(self):
        return ValueError(
            "Weights of rows and classes are for learners with a penalty, and "
            f"defense='fixed'; got rho={self._objective.rho!r}, "
            f"defense={self.defense!r}."
        )

    def _for_classes(self, objective):
        """Return what the learner minimizes on these classes."""
        if objective.is_regression:
            return objective
        objective = objective.for_classes(len(self.classes_))
        if objective.of_classes is not None and self._is_moving():
            raise ValueError(
                "defense='moving_centroids' is for two classes; y has "
                f"{len(self.classes_)}."
            )
        return objective

    def _certify_fixed(self, X, codes, start, monitor):
        rng = check_random_state(self.random_state)
        certain = {"tol": self.tol, "rng": rng}
        if isinstance(X, _in_blocks.BlockedRows):
            return self._certify_blocks(X, start, monitor, certain)
        keeps = self._kept_by_filter(X)
        if self._objective.of_classes is not None:
            sets, n_classes = self._convex_sets(X), len(self.classes_)
            options = {"epsilon": self.epsilon, "weights": self._weights}
            given = X, codes, n_classes, sets
            problem = _multiclass.prepare(self._objective, *given, **options)
            found = self._solve(problem, start, monitor)
            given = self._objective, X, keeps
            return _multiclass.certify(problem, found, *given, **certain)
        if self._objective.is_plain_hinge and self._weights is None:
            problem = self._problem(X, codes)
            problem.rows.square_sum = self._square_sum
            problem = _fixed.prepare(problem)
            found = self._solve(problem, start, monitor)
            return _fixed.certify(problem, found, X, keeps, **certain)
        problem = self._problem_of_any_loss(X, codes)
        found = self._solve(problem, start, monitor)
        return _any_loss.certify(problem, found, self._objective, X, keeps, **certain)

    def _certify_blocks(self, rows, start, monitor, certain):
        """Certify rows in blocks, which weights have been given to."""
        pieces = self._pieces(rows.example, self._weights.of_poison)
        problem = _in_blocks.prepare(self._objective, rows, pieces, self.epsilon)
        found = self._solve(problem, start, monitor)
        keeps = self._kept_by_filter(rows.example)
        return _in_blocks.certify(problem, found, self._objective, keeps, **certain)

    def _pieces(self, X, of_poison):
        """Return what the attacker can send, given the weights of each class."""
        loss, sets = self._objective.loss, self._smooth_sets(X)
        if self._objective.is_regression:
            return of_targets(loss, self.target_range_, *sets, *of_poison)
        return of_classes(loss, SIGNS, sets, of_poison)

    def _problem_of_any_loss(self, X, codes):
        objective, weights = self._objective, self._weights
        if weights is None:
            n_kinds = 1 if objective.is_regression else len(SIGNS)
            weights = LossWeights(np.ones(self._n_rows), np.ones(n_kinds))
        pieces = self._pieces(X, weights.of_poison)
        if objective.is_regression:
            rows, targets = target_rows(X), codes
        else:
            rows, targets = signed_rows(X, codes), None
        return _any_loss.prepare(
            objective,
            rows,
            weights.of_rows,
            pieces,
            epsilon=self.epsilon,
            targets=targets,
        )

    def _kept_by_filter(self, X):
        """Return a function of rows and their marks: which rows the filter keeps.

        Marks are signs, positions of more than two classes, or targets.
        """

        def keeps(points, marks):
            if not len(marks):
                return np.zeros(0, dtype=bool)
            # A filter of a regressor's rows knows no labels.
            labels = None
            if not self._objective.is_regression:
                labels = self._labels_of(marks)
            return scores(self.filter_, _as_sent(points, X), labels) >= 0

        return keeps

    def _convex_sets(self, X):
        """Return the rows of each class; an error where they are not convex."""
        sets = self._feasible_sets(X)
        if all(rows.is_convex for rows in sets):
            return sets
        raise ValueError(
            "More than two classes are bounded for filters and domains whose feasible "
            "sets are convex, as those of real and non-negative numbers are; got "
            f"filter={self.filter!r}, domain={self.domain!r}."
        )

    def _smooth_sets(self, X):
        """Return the rows of each class; an error where they cannot be projected on."""
        sets = [projected(rows) for rows in self._feasible_sets(X)]
        if all(rows is not None for rows in sets):
            return sets
        raise ValueError(
            f"estimator={self.estimator!r} is bounded for filters whose feasible sets "
            "have projections (spheres and slabs), and rows of any numbers or of a "
            'convex domain ("nonnegative", bounds on features); got '
            f"filter={self.filter!r}, domain={self.domain!r}. With the hinge loss, "
            "estimator=LinearSVC(loss='hinge'), there are bounds for these too."
        )

    def _solve(self, problem, start=None, monitor=None):
        solver = _fixed if isinstance(problem, Problem) else _any_loss
        if isinstance(problem, ClassProblem):
            solver = _multiclass
        if isinstance(problem, BlockProblem):
            solver = _in_blocks
        return solver.minimize(
            problem,
            tol=self.tol,
            max_iter=self.max_iter,
            rng=check_random_state(self.random_state),
            start=start,
            monitor=monitor,
        )

    def _certify_moving(self, X, codes, start, monitor):
        return moving.certify(
            self._against(PoisonTerm(self.epsilon, [], []), X, codes),
            moving.covering_defense(self.filter_, X, codes, self.domain, self._names),
            moving.RefittedFilter(self.filter_, X, codes, self.classes_),
            tol=self.tol,
            max_iter=self.max_iter,
            rng=check_random_state(self.random_state),
            start=start,
            monitor=monitor,
        )

    @property
    def _names(self):
        return getattr(self, "feature_names_in_", None)

    def _new_filter(self):
        """Return the filter that is to be fitted."""
        if self.filter is not None:
            return clone(self.filter)
        is_regression = self._objective.is_regression
        return default_sphere() if is_regression else default_filter()

    def _fit_filter(self, X, y):
        fitted = self._new_filter()
        if isinstance(X, _in_blocks.BlockedRows):
            fitted = X.fitted(fitted)
        elif self._is_read_by_sphere(X):
            fitted = self._fit_first_reader(fitted, X, y)
        else:
            fitted = fitted.fit(X, y)
        if not isinstance(fitted, FrozenEstimator):
            remember_names(fitted, self._names)
        check_fits(fitted, X.shape[1], getattr(self, "classes_", None), self._names)
        if self._is_moving():
            fitted = moving.with_given_radii(fitted).fit(X, y)
            remember_names(fitted, self._names)
        return fitted

    def _feasible_sets(self, X):
        """Return the rows of each class that pass the filter and can be sent."""
        feasible = self.filter_.feasible_set()
        if not feasible.is_bounded:
            raise unbounded(self.filter_)
        as_domain(self.domain)  # an unknown name is an error at once
        if not (self.domain is None or self.domain == "real"):
            warn_of_strangers(self.domain, X, self._names)
            if as_domain(self.domain).resolve(X.shape[1], self._names).is_discrete:
                # Many rows lie on the limits together, where rounding decides.
                feasible = FeasibleSet(
                    feasible.classes, [judged(rows, X) for rows in feasible.sets]
                )
            feasible = restrict(
                feasible,
                self.domain,
                feature_names=self._names,
                keeps=lambda label, rows: self._keeps_of_class(label, rows, X),
            )
        return [feasible[label] for label in self._known_to_filter]

    def _keeps_of_class(self, label, rows, X):
        labels = None
        if not self._objective.is_regression:
            labels = np.full(len(rows), label)
        return scores(self.filter_, _as_sent(rows, X), labels) >= 0

    @property
    def _known_to_filter(self):
        """The labels; without labels filters call them all 0."""
        return getattr(self, "classes_", np.array([0]))

    def _problem(self, X, codes):
        poison = poison_term(self.epsilon, SIGNS, self._feasible_sets(X))
        return self._against(poison, X, codes)

    def _against(self, poison, X, codes):
        """Return the learner's problem under this poison."""
        n_rows = X.shape[0]
        weights = np.full(n_rows, 1.0 / n_rows)
        rho, strength = self._objective.rho, self._objective.strength
        learner = NormBall(rho) if rho is not None else Penalty(strength / n_rows)
        return Problem(signed_rows(X, codes), weights, poison, learner)

    def _labels_of(self, marks):
        """Return labels of signs or positions; targets, in regression."""
        if self._objective.is_regression:
            return marks
        if self._objective.of_classes is None:
            marks = (marks > 0).astype(int)
        return self.classes_[marks]

    def _labels_at(self, codes):
        """Return labels at positions; None in regression, where filters see none."""
        known = not self._objective.is_regression and codes is not None
        return self.classes_[codes] if known else None

    def _report(self, result):
        found, best = result.found, result.certificate
        self._store(best.theta)
        self.clean_loss_, self.poison_loss_ = best.clean_loss, best.poison_loss
        self.upper_bound_, self.lower_bound_ = best.upper, best.lower
        self.dual_gap_ = max(best.upper - best.lower, 0.0)
        self.error_bound_ = self._most_errors(best.upper)
        self.n_iter_, self.history_ = found.n_iter, found.history
        self.converged_ = bool(found.converged)
        allowed = result.problem.target(found.upper, self.tol)
        is_tight = found.gap <= allowed and not self._is_moving()
        self.is_exact_ = bool(found.converged and is_tight)

    def _most_errors(self, upper):
        """Return the largest share of clean rows that can be wrong at this loss."""
        if self._objective.is_regression:
            return np.nan
        if self._weights is None:
            return float(min(upper / self._objective.of_wrong, 1.0))
        # What the lightest rows come to; errors on those without weight cost nothing.
        weights, counts = self._weights.of_rows, self._weights.counts
        counts = np.ones(len(weights)) if counts is None else counts
        lightest = np.argsort(weights)[np.count_nonzero(weights <= 0.0) :]
        weights, counts = weights[lightest], counts[lightest]
        worth = np.cumsum(np.append(0.0, weights * counts)) * self._objective.of_wrong
        ranks = np.cumsum(np.append(0.0, counts))
        n_wrong = np.interp(self._n_rows * upper, worth, ranks)
        return float((self._n_rows - ranks[-1] + n_wrong) / self._n_rows)

    def _report_attack(self, result, X):
        if isinstance(result, ClassResult):
            marks, more = result.attack.codes, {}
            lower, loss, theta = result.lower, float(result.loss), result.theta
        else:
            marks, more = result.attack.signs, result.more
            lower, loss, theta = self._poisoned_learner(result, self._n_rows)
        self.attack_ = Bunch(
            X=_as_sent(result.attack.points, X),
            y=self._labels_of(marks),
            n_copies=result.attack.copies,
            rounding_slack=max(self.lower_bound_ - lower, 0.0),
            **more,
        )
        self.attack_loss_ = loss
        # Where the loss has a scale, the learner has learned it.
        self._learned_loss = self._poisoned_loss = self._objective.loss
        if isinstance(result.problem, HuberProblem):
            self._learned_loss = result.problem.loss
            self._poisoned_loss = result.trained.loss
        self.poisoned_coef_, self.poisoned_intercept_ = self._in_form(theta)

    def _poisoned_learner(self, result, n_rows):
        """Return both bounds of the learner trained on the attack, and parameters."""
        trained = result.trained
        lower, loss = max(float(trained.lower), 0.0), float(trained.upper)
        theta = result.problem.rows.parameters(trained.best_primal.theta)
        if not self._objective.is_regression and self._weights is None:
            copies = result.attack.copies.sum()
            at_zeros = self._objective.at_zero * (1.0 + copies / n_rows)
            if loss > at_zeros:
                loss, theta = at_zeros, np.zeros_like(theta)
        return lower, loss, theta


def _as_sent(points, X):
    """Return rows in the precision and sparsity of the clean rows."""
    points = points.astype(X.dtype)
    return sparse.csr_matrix(points) if sparse.issparse(X) else points
