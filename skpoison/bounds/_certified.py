"""The certified bound as an estimator."""

from numbers import Integral, Real
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import _fit_context, clone
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skpoison._column_types import RowsLike
from skpoison._defaults import default_filter
from skpoison._fitted import check_fits, remember_names, scores, unbounded
from skpoison._progress import progress_monitor
from skpoison.bounds import _fixed, moving
from skpoison.bounds._discrete import poison_term
from skpoison.bounds._domain import warn_of_strangers
from skpoison.bounds._linear import BinaryLinearClassifier, signed_rows
from skpoison.bounds._rounding import judged
from skpoison.bounds._svc import warn_if_short
from skpoison.feasible import FeasibleSet, as_domain, restrict
from skpoison.solvers._adversary import PoisonTerm
from skpoison.solvers._regularizers import regularizer
from skpoison.solvers._working_set import Problem, Solution

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

SIGNS = (-1.0, 1.0)


class WarmStart(NamedTuple):
    """What a fit leaves to another one, to the same rows."""

    estimator: "CertifiedBound"
    X: np.ndarray | sparse.csr_matrix  # validated
    codes: np.ndarray  # positions of the labels in ``classes_``
    found: Solution  # where the solver ended

    def hand_on(self, estimator):
        """Tell another estimator about rows and filter; return rows and codes."""
        for name in ("n_features_in_", "feature_names_in_", "classes_", "filter_"):
            if hasattr(self.estimator, name):
                setattr(estimator, name, getattr(self.estimator, name))
        return self.X, self.codes


class CertifiedBound(CallbackSupportMixin, BinaryLinearClassifier):
    """Upper bound on the training loss that any attacker can cause past a filter.

    An attacker adds ``floor(epsilon * n)`` rows of their choice to n clean rows; a
    filter with fixed centroids and radii removes those that it finds suspicious; a
    linear support vector machine is trained on what is left. Whatever the attacker
    sends, the mean of that learner's losses over clean and surviving rows, counted per
    clean row, stays below `upper_bound_`. The attack that nearly reaches it is
    `attack_`.

    Fit it on rows that you trust: the filter's centroids and radii are measured there.

    Parameters
    ----------
    filter : filter with ``feasible_set``, default=None
        The defense; fitted on the rows given to :meth:`fit`. None means
        sphere and slab at percentile 70, intersected under the names ``sphere`` and
        ``slab``. Wrap a fitted filter in :class:`sklearn.frozen.FrozenEstimator` to
        keep it as it is; it must have been fitted on the same labels (of the same kind:
        True is not 1) and the same columns in the same order. Under
        :class:`~sklearn.multiclass.OneVsRestClassifier`, which makes labels of its own,
        give one that is not fitted.
    epsilon : float, default=0.03
        Rows that the attacker adds, as a share of the clean rows, between 0 and 1.
    rho : float, default=None
        Radius of the learner's ball: the learner minimizes the mean hinge loss over
        ``||w||^2 + b^2 <= rho^2`` (:class:`NormConstrainedSVC`; the paper's).
    C : float, default=None
        The learner is ``LinearSVC(loss="hinge", C=C)``, which adds the penalty
        ``(||w||^2 + b^2) / (2 C n)`` instead. With neither `rho` nor `C`, C is 1.
    tol : float, default=1e-3
        Duality gap that is wanted, relative to `upper_bound_` (and, for bounds below
        one thousandth, to one thousandth: the best bound can be 0).
    defense : {"fixed", "moving_centroids"}, default="fixed"
        ``"fixed"``: the filter keeps the centroids and radii of the clean rows.
        ``"moving_centroids"``: it keeps the radii (given, or measured on the clean
        rows), and estimates the centroids from clean and poison rows together, so that
        the attacker moves them; for SphereFilter, SlabFilter and their intersections.
        The bound then covers every attack whose rows all pass the filter; with a
        bounded `domain`, those with rejected rows too, which move centroids as well.
    domain : str or :class:`skpoison.feasible.Domain`, default=None
        Which rows an attacker can send at all: ``"real"`` (or None, any numbers),
        ``"nonnegative"``, ``"count"`` (whole, not negative), ``"binary"``, ``"tfidf"``
        (not negative, norm 1 or 0), or a Domain for mixed features. The bound is never
        larger than that of rows of any numbers. Where the domain is not convex (whole
        numbers, norm 1), a `tol` of 0.01 is within reach for texts of some thousand
        words; features that take few values can keep the bounds further apart.
    max_iter : int, default=None
        Most steps of the solver. None means 1000 Newton steps (with a restricted
        domain, followed by rounds of worst rows). The bound holds wherever the solver
        stops.
    random_state : int, RandomState instance or None, default=None
        Draws the rows that are looked at first. Results do not depend on it beyond
        `tol`.

    Attributes
    ----------
    upper_bound_ : float
        No attack that passes the filter makes the learner's training loss exceed it:
        rounding included, the filter's and that of the bound itself.
    lower_bound_ : float
        No parameters make the bound smaller than this: the dual value.
    dual_gap_ : float
        ``upper_bound_ - lower_bound_``.
    converged_ : bool
        Whether the solver reached `tol`, margins for rounding apart. Where it did not,
        there was a warning; the bounds hold all the same.
    clean_loss_ : float
        Mean hinge loss of the clean rows at the certified parameters.
    poison_loss_ : float
        Largest hinge loss, at the certified parameters, of a row that the filter lets
        through. ``upper_bound_`` is ``clean_loss_ + epsilon * poison_loss_``, plus the
        penalty if `C` is the learner's parameter, plus a margin for rounding.
    attack_ : :class:`~sklearn.utils.Bunch`
        The candidate attack: `X`, its distinct rows (in the precision and sparsity of
        the training rows; at most two, unless the domain is not convex, such as
        counts); `y`, their labels; `n_copies`, how often each
        is sent, ``floor(epsilon * n)`` in all at most; `rounding_slack`, how far
        whole copies fall short of `lower_bound_`, certified.
    attack_loss_ : float
        Training loss of the learner trained on the clean rows and `attack_`, counted
        as `upper_bound_` is. At least ``lower_bound_ - attack_.rounding_slack`` and at
        most `upper_bound_`.
    poisoned_coef_ : ndarray of shape (1, n_features)
        Weights of that learner.
    poisoned_intercept_ : ndarray of shape (1,)
        Intercept of that learner.
    coef_ : ndarray of shape (1, n_features)
        Weights of the certified parameters, with which this estimator predicts.
    intercept_ : ndarray of shape (1,)
        Their intercept.
    classes_ : ndarray of shape (2,)
        The labels, sorted.
    filter_ : filter
        The fitted filter.
    n_iter_ : int
        Steps made by the solver.
    history_ : list of dict
        One entry for each check on all rows: ``n_iter``, ``upper_bound``,
        ``lower_bound`` and ``n_rows``, how many rows the solver looked at. Where the
        domain is not convex, lower bounds before the last are those of means of rows.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    Warns
    -----
    ConvergenceWarning
        If the solver stops before `tol`. The bounds are valid all the same.

    See Also
    --------
    bound_curve : The bound for several values of epsilon.
    NormConstrainedSVC : The learner that the bound with `rho` covers.

    Notes
    -----
    With F the rows that the filter keeps, the bound is the minimum over the learner's
    parameters of ``mean hinge loss of clean rows + epsilon * largest hinge loss in F``
    (plus the penalty): a saddle point whose dual gives `lower_bound_` and the attack.

    The margins for rounding follow from the sizes of the numbers: `poison_loss_` is
    taken over the rows that a filter can keep whose sums are as precise as those of
    the rows given (in float32, rows that lie too far by some millionths of the
    radius), and `upper_bound_` and `lower_bound_` are moved outwards by what the sums
    behind them can be wrong by. `history_` has the values before that.

    The bound is on training loss. It is a guide to test loss if there are enough rows
    for the two to agree, and if removing clean rows matters little; both are
    assumptions of the paper. By default it covers a *fixed* filter; an attacker who
    moves the centroids of a filter that is fitted on poisoned rows is covered by
    ``defense="moving_centroids"``. Nothing is certified of radii that are measured on
    poisoned rows.

    With moving centroids, `poison_loss_` is certified over all ways to split the poison
    between the classes, by branch and bound over semidefinite programs whose dual
    values are checked here, not taken from a solver. `lower_bound_` is the least value
    that this bound can have at any parameters: it says how well the parameters were
    chosen, not what an attack can do. That is `attack_loss_`, which can be much
    smaller: the worst attack differs from one parameter vector to the next.
    `attack_` is the one, among those sent through the filter, after which the learner
    trained on what the filter keeps has the largest loss; it holds `clean_kept`, the
    mask of the clean rows that the filter then keeps, and `filtered_loss`,
    `filtered_coef`, `filtered_intercept`, of that learner. With fewer than six
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
    """

    _parameter_constraints: dict = {
        "filter": [HasMethods(["fit", "feasible_set"]), None],
        "epsilon": [Interval(Real, 0, 1, closed="both")],
        "rho": [Interval(Real, 0, None, closed="neither"), None],
        "C": [Interval(Real, 0, None, closed="neither"), None],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "defense": [StrOptions({"fixed", "moving_centroids"})],
        "domain": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        filter=None,
        epsilon=0.03,
        *,
        rho=None,
        C=None,
        tol=1e-3,
        defense="fixed",
        domain=None,
        max_iter=None,
        random_state=None,
    ):
        self.filter = filter
        self.epsilon = epsilon
        self.rho = rho
        self.C = C
        self.tol = tol
        self.defense = defense
        self.domain = domain
        self.max_iter = max_iter
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: "ArrayLike | sparse.sparray", y: "ArrayLike") -> "CertifiedBound":
        """Compute the bound.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows.
        y : array-like of shape (n_samples,)
            Their labels, of two kinds.

        Returns
        -------
        self : CertifiedBound
            The fitted bound.

        Raises
        ------
        ValueError
            If both `rho` and `C` are given, if there are not two classes, if a fitted
            filter knows other labels or columns, or if the filter leaves the attacker
            unbounded.
        """
        self._fit(X, y)
        return self

    def train_learner(self, X: RowsLike, y: ArrayLike) -> Self:
        """Train the learner that this bound covers on rows that nobody poisons.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows: those that the bound was fitted on, or some of them.
        y : array-like of shape (n_samples,)
            Their labels.

        Returns
        -------
        learner : CertifiedBound
            A bound at ``epsilon=0``, which is the trained learner: its `coef_` and
            `intercept_` are the learner's, `upper_bound_` its training loss. It is
            trained to `tol`, whatever `max_iter`, and the filter is left as it is.

        See Also
        --------
        NormConstrainedSVC : That learner, where `rho` is given.

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
        return learner.fit(X, y)

    @with_callbacks
    def _fit(self, X, y, previous=None):
        """Fit, optionally from a previous fit to the same rows; return a warm start."""
        if self.rho is not None and self.C is not None:
            raise ValueError(
                f"Give rho or C, not both: rho={self.rho!r} constrains the norm of the "
                f"parameters, C={self.C!r} penalizes it."
            )
        context = self._init_callback_context(max_subtasks=None)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        X, codes = self._validate(X, y) if previous is None else previous.hand_on(self)
        if previous is None:
            self.filter_ = self._fit_filter(X, self.classes_[codes])
        certify = self._certify_moving if self._is_moving() else self._certify_fixed
        start = None if previous is None else previous.found
        result = certify(X, codes, start, progress_monitor(self, context))
        self._report(result)
        self._report_attack(result, X)
        warn_if_short(result.found, result.problem, self.tol)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return WarmStart(self, X, codes, result.found)

    def _certify_fixed(self, X, codes, start, monitor):
        problem = _fixed.prepare(self._problem(X, codes))
        found = self._solve(problem, start, monitor)

        def keeps(points, signs):
            if not len(signs):
                return np.zeros(0, dtype=bool)
            labels = self._labels_of(signs)
            return scores(self.filter_, _as_sent(points, X), labels) >= 0

        rng = check_random_state(self.random_state)
        return _fixed.certify(problem, found, X, keeps, tol=self.tol, rng=rng)

    def _solve(self, problem, start=None, monitor=None):
        return _fixed.minimize(
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

    def _is_moving(self):
        return self.defense == "moving_centroids"

    @property
    def _names(self):
        return getattr(self, "feature_names_in_", None)

    def _fit_filter(self, X, y):
        given = default_filter() if self.filter is None else self.filter
        fitted = clone(given).fit(X, y)
        if not isinstance(fitted, FrozenEstimator):
            remember_names(fitted, self._names)
        check_fits(fitted, X.shape[1], self.classes_, self._names)
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
            feasible = restrict(feasible, self.domain, feature_names=self._names)
        return [feasible[label] for label in self.classes_]

    def _problem(self, X, codes):
        poison = poison_term(self.epsilon, SIGNS, self._feasible_sets(X))
        return self._against(poison, X, codes)

    def _against(self, poison, X, codes):
        """Return the problem of the learner that faces an attacker."""
        n_rows = X.shape[0]
        weights = np.full(n_rows, 1.0 / n_rows)
        learner = regularizer(self.rho, self.C, n_rows)
        return Problem(signed_rows(X, codes), weights, poison, learner)

    def _labels_of(self, signs):
        return self.classes_[(signs > 0).astype(int)]

    def _report(self, result):
        found, best = result.found, result.certificate
        self._store(best.theta)
        self.clean_loss_, self.poison_loss_ = best.clean_loss, best.poison_loss
        self.upper_bound_, self.lower_bound_ = best.upper, best.lower
        self.dual_gap_ = max(best.upper - best.lower, 0.0)
        self.n_iter_, self.history_ = found.n_iter, found.history
        self.converged_ = bool(found.converged)

    def _report_attack(self, result, X):
        attack, trained = result.attack, result.trained
        lower, loss = max(float(trained.lower), 0.0), float(trained.upper)
        theta = result.problem.rows.parameters(trained.best_primal.theta)
        at_zeros = 1.0 + attack.copies.sum() / X.shape[0]
        if loss > at_zeros:
            loss, theta = at_zeros, np.zeros_like(theta)
        self.attack_ = Bunch(
            X=_as_sent(attack.points, X),
            y=self._labels_of(attack.signs),
            n_copies=attack.copies,
            rounding_slack=max(self.lower_bound_ - lower, 0.0),
            **result.more,
        )
        self.attack_loss_ = loss
        self.poisoned_coef_ = theta[np.newaxis, :-1].copy()
        self.poisoned_intercept_ = theta[-1:].copy()


def _as_sent(points, X):
    """Return rows in the precision and sparsity of the clean rows."""
    points = points.astype(X.dtype)
    return sparse.csr_matrix(points) if sparse.issparse(X) else points
