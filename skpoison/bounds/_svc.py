"""A linear classifier with a bound on the norm of its parameters."""

from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import _fit_context
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _check_sample_weight

from skpoison._blocks import is_lazy
from skpoison._progress import progress_monitor
from skpoison._warn import warn
from skpoison.bounds._linear import BinaryLinearClassifier, signed_rows
from skpoison.losses import Hinge
from skpoison.solvers._adversary import NO_POISON
from skpoison.solvers._centering import framed, view
from skpoison.solvers._regularizers import NormBall
from skpoison.solvers._working_set import Problem, solve

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scipy import sparse


class NormConstrainedSVC(CallbackSupportMixin, BinaryLinearClassifier):
    """Linear support vector classifier with a bound on the norm of its parameters.

    Minimizes the weighted mean of the hinge losses ``max(0, 1 - y (w @ x + b))`` over
    ``||w||^2 + b^2 <= rho^2``. :class:`CertifiedBound` bounds this learner's loss if
    its `rho` is set.

    Parameters
    ----------
    rho : float, default=1.0
        Radius of the ball that contains the parameters.
    tol : float, default=1e-4
        Target for the duality gap, which bounds how far the loss is from the minimum,
        relative to ``max(loss_, 0.001)``.
    max_iter : int, default=1000
        Maximum number of Newton steps.
    random_state : int, RandomState instance or None, default=None
        Controls which rows the solver starts with. The solution depends on it only up
        to `tol`.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        The labels, sorted.
    coef_ : ndarray of shape (1, n_features)
        The weights w.
    intercept_ : ndarray of shape (1,)
        The intercept b.
    loss_ : float
        Weighted mean of the hinge losses of the training rows.
    dual_gap_ : float
        Duality gap: the minimum loss is at least ``loss_ - dual_gap_``.
    n_iter_ : int
        Number of Newton steps.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has string column names.

    See Also
    --------
    CertifiedBound : Bound on the training loss of this learner under attack.
    sklearn.svm.LinearSVC : The learner with a penalty instead of a constraint.

    Notes
    -----
    Solved by Newton's method on proximal subproblems. The duality gap refers to the
    dual ``sum(alpha) - rho * ||sum(alpha_i y_i (x_i, 1))||``.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh, P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NIPS 2017, section 2.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skpoison import NormConstrainedSVC
    >>> X, y = make_blobs(200, centers=[[-1, 0], [1, 0]], random_state=0)
    >>> svc = NormConstrainedSVC(rho=2.0).fit(X, y)
    >>> round(svc.loss_, 2), svc.dual_gap_ < 1e-4
    (0.42, True)
    """

    _parameter_constraints: dict = {
        "rho": [Interval(Real, 0, None, closed="neither")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, rho=1.0, *, tol=1e-4, max_iter=1000, random_state=None):
        self.rho = rho
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: "ArrayLike | sparse.sparray",
        y: "ArrayLike",
        sample_weight: "ArrayLike | None" = None,
    ) -> "NormConstrainedSVC":
        """Fit the classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows; also a Dask array or data frame, of which few rows are in
            memory at once.
        y : array-like of shape (n_samples,)
            Labels, of two classes.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, finite and non-negative. Only their ratios matter. Not
            with Dask.

        Returns
        -------
        self : NormConstrainedSVC
            The fitted classifier.
        """
        context = self._init_callback_context(max_subtasks=None)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        train = self._train
        if is_lazy(X):
            X, y = self._surveyed(X, y, sample_weight)
            train = self._train_on_blocks if y is None else train
        monitor = progress_monitor(self, context)
        found, problem = train(X, y, sample_weight, monitor)
        self.n_iter_ = found.n_iter
        warn_if_short(found, problem, self.tol)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _train(self, X, y, sample_weight, monitor):
        X, codes = self._validate(X, y)
        weights = _shares(
            _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
        )
        problem = Problem(
            signed_rows(X, codes),
            weights,
            NO_POISON,
            NormBall(self.rho),
        )
        problem = framed(problem)
        found = self._solved(solve, problem, monitor)
        seen = view(problem, found)
        self._store(seen.theta)
        self.loss_ = float(weights @ Hinge().of_shortfalls(seen.margins))
        self.dual_gap_ = max(self.loss_ - float(seen.lower), 0.0)
        return found, problem

    def _solved(self, solver, problem, monitor):
        rng = check_random_state(self.random_state)
        options = {"tol": self.tol, "max_iter": self.max_iter, "rng": rng}
        return solver(problem, monitor=monitor, **options)

    def _surveyed(self, X, y, sample_weight):
        """Return rows and labels of Dask collections: few come into memory."""
        if sample_weight is not None:
            raise TypeError(
                f"X is a Dask collection, for which {type(self).__name__} takes no "
                "sample_weight: pass X.compute(), or a sample of the rows."
            )
        from skpoison._dask._bound import surveyed

        return surveyed(self, X, y, is_regression=False)

    def _train_on_blocks(self, rows, _, sample_weight, monitor):
        # Imported where it is needed: bounds know this learner.
        from skpoison.bounds import _in_blocks
        from skpoison.solvers import _out_of_core

        _in_blocks.received(self, rows, type(self).__name__)
        rows.weigh(np.ones(2))
        problem = _in_blocks.learner_in_ball(rows, Hinge(), self.rho)
        found = self._solved(_out_of_core.solve, problem, monitor)
        self._store(found.best_primal.theta)
        self.loss_, self.dual_gap_ = float(found.primal_sums.value), found.gap
        return found, problem


def _shares(weights):
    """Divide weights by their sum, which may itself be too large for a float."""
    weights = weights / weights.max()
    return weights / weights.sum()


def warn_if_short(found, problem, tol):
    """Warn when a solver stopped before its tolerance."""
    if found.converged:
        return
    warn(
        f"The solver stopped after {found.n_iter} steps at a duality gap of "
        f"{found.gap:.3g}; tol={tol!r} requires "
        f"{problem.target(found.upper, tol):.3g}. The upper bound is still valid. "
        "Increase max_iter or tol.",
        ConvergenceWarning,
    )
