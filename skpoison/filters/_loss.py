"""Rows that a classifier fits badly are rejected; what TrimFilter shares with that."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_method_params

from skpoison._fitted import fit_clone
from skpoison._inner import InnerEstimatorMixin, check_classes_weigh
from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.filters import _losses
from skpoison.filters._distance import BaseContaminationFilter
from skpoison.filters._folds import N_FOLDS
from skpoison.filters._held_out import folds_of, is_linear, rows_to_fit
from skpoison.filters._losses import fit_logistic
from skpoison.filters._threshold import contradicted_rows

# Losses that differ by no more than this share are equal but for rounding.
SAME = 1e-9


class Trimmed(NamedTuple):
    """Where fitting and trimming in turn has ended."""

    estimator: object
    losses: np.ndarray
    history: list
    has_settled: bool


class BaseTrimmingFilter(InnerEstimatorMixin, BaseContaminationFilter):
    """Base class of filters by trimmed loss.

    A subclass has the parameters ``max_iter``, ``tol`` and ``cv``, and defines
    ``_new_estimator()`` and ``_losses_under(estimator, X, judged_by)``, the losses of
    rows; it calls ``_set_folds`` before it trims.

    Examples
    --------
    >>> from skpoison.filters import LossFilter, TrimFilter
    >>> issubclass(LossFilter, BaseTrimmingFilter)
    True
    >>> issubclass(TrimFilter, BaseTrimmingFilter)
    True
    """

    _parameter_constraints: dict = {
        **BaseContaminationFilter._parameter_constraints,
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "cv": [StrOptions({"auto"}), "cv_object"],
    }
    _sums_by_batch = True

    def _set_folds(self, X, y):
        """Draw the folds that are asked for; "auto" draws them when it needs them."""
        self._folds = None
        if not (self.cv is None or isinstance(self.cv, str)):
            self._folds = self._draw_folds(self.cv, X, y)

    def _draw_folds(self, cv, X, y):
        rng = check_random_state(self.random_state)
        return folds_of(cv, X, y, self.classes_, rng)

    def _trim(self, X, codes, kept, fitted_to, judged_by, params):
        """Fit to the kept rows and trim all rows, until the kept ones settle."""
        history = []
        weights = params.get("sample_weight", np.ones(len(codes)))
        for _ in range(self.max_iter):
            rows = slice(None) if kept.all() else np.flatnonzero(kept)
            self.estimator_ = self._fit_to(rows, X, codes, fitted_to, params)
            judges = self._judges(kept, X, codes, fitted_to, params)
            losses = self._training_losses(X, judged_by, judges)
            radii = self._estimate_radii(losses, codes, X.dtype)
            before, kept = kept, losses <= radii[codes]
            history.append(_mean(losses[kept], weights[kept]))
            if np.array_equal(kept, before) or self._falls_no_more(history):
                return Trimmed(self.estimator_, losses, history, True)
        return Trimmed(self.estimator_, losses, history, False)

    def _fit_to(self, rows, X, codes, fitted_to, params):
        weights = params.get("sample_weight", np.ones(len(codes)))
        check_classes_weigh(
            weights[rows], codes[rows], self.classes_, len(self.classes_) > 1
        )
        of_rows = _check_method_params(X, params, indices=rows)
        return self._fit_estimator(X[rows], fitted_to[rows], **of_rows)

    def _fit_estimator(self, X, fitted_to, **params):
        return fit_clone(self._new_estimator(), X, fitted_to, **params)

    def _judges(self, kept, X, codes, fitted_to, params):
        """Yield rows and the estimator that they are judged by."""
        if not self._holds_out():
            yield slice(None), self.estimator_
            return
        if self._folds is None:
            y = codes if len(self.classes_) > 1 else fitted_to
            self._folds = self._draw_folds(N_FOLDS, X, y)
        for train, test in self._folds:
            rows = rows_to_fit(train, kept, codes, self.classes_)
            yield test, self._fit_to(rows, X, codes, fitted_to, params)

    def _holds_out(self):
        """Whether rows are judged by estimators that were not fitted on them."""
        if isinstance(self.cv, str):
            return not is_linear(self.estimator_)
        return self.cv is not None

    def _training_losses(self, X, judged_by, judges):
        losses = np.empty(X.shape[0])
        for rows, estimator in judges:
            losses[rows] = self._losses_under(estimator, X[rows], judged_by[rows])
        return losses

    def _falls_no_more(self, history):
        return len(history) > 1 and history[-2] - history[-1] <= self.tol * history[-2]

    def _report(self, trimmed):
        """Set attributes, and warn if there should have been more rounds."""
        self.estimator_ = trimmed.estimator
        self.trimmed_losses_ = np.array(trimmed.history)
        self.n_iter_ = len(trimmed.history)
        if not trimmed.has_settled and self.max_iter > 1:
            warn(
                "The trimmed loss was still decreasing by more than "
                f"tol={self.tol} after max_iter={self.max_iter} fits.",
                ConvergenceWarning,
            )
        if not self._holds_out() and np.ptp(trimmed.losses) <= SAME * trimmed.losses[0]:
            warn(
                f"{type(self).__name__} rejects no row: {self.estimator_!r} fits all "
                "rows equally well, as models that memorize their rows do. With cv=5, "
                "rows are scored by models that were not fitted on them.",
                FilterWarning,
            )
        return trimmed.losses


class LossFilter(BaseTrimmingFilter):
    """Keep the rows that a classifier, fitted on the kept rows, fits well.

    A classifier is fitted, the rows with losses above the radius of their class are
    rejected, and the classifier is refitted on the rest, until nothing changes.
    Rejected rows are kept again if a later classifier fits them. Each round decreases
    the trimmed loss (the mean over the kept rows) if the classifier minimizes the loss
    that the filter uses.

    With ``max_iter=1``, the filter uses a single classifier, fitted on all rows.

    With one class, or without labels, there is nothing to fit: the filter keeps every
    row, with a warning.

    Parameters
    ----------
    percentile : float or "auto", default=None
        Percentage of the rows of each class that are kept, in (0, 100]; interpolated
        linearly. None and "auto" leave it to ``contamination``.
    contamination : "auto" or float, default="auto"
        Share of the rows of each class that are rejected, in (0, 0.5]:
        ``percentile = 100 * (1 - contamination)``. "auto": as many of each class as
        the label of another class suits, under which their loss is smaller, and no
        more than the mean loss of the rows of that class [3]_; at most half.
    estimator : classifier, default=None
        What is fitted; ``LogisticRegression(max_iter=1000)`` by default, around their
        mean where dense rows are far from the origin. One that is given gets the rows
        as they are.
    loss : {"auto", "hinge", "log_loss", "squared"} or callable, default="auto"
        The loss of a row. "log_loss": the negative log-probability of its label.
        "hinge": ``max(0, 1 - margin)``, where the margin is the signed decision value
        (two classes) or the decision value of its label minus the largest of the
        others. "squared": the squared distance of the decision values from 1 for its
        label and -1 for others. "auto" is the log loss for classifiers with
        ``predict_proba``, and the hinge loss for others. A callable
        ``loss(estimator, X, codes)`` returns an array of shape (n_samples,), where
        ``codes`` are indices into ``classes_``.
    max_iter : int, default=20
        Maximum number of classifiers to fit.
    tol : float, default=1e-4
        The rounds end when the relative decrease of the trimmed loss is at most `tol`.
    cv : "auto", None, int, cross-validation generator or iterable, default="auto"
        Which rows a classifier judges. None: those that it is fitted on, as in the
        papers. A number of folds, a splitter or an iterable of training and test rows:
        those of the fold that it was not fitted on, so that one that memorizes its
        rows (a tree, one neighbor) cannot hide wrong labels from itself; each round
        then fits one classifier for each fold, and ``estimator_``. Each row must be
        held out exactly once. "auto" is None for linear models (those with ``coef_``,
        or pipelines that end in one), and 5 folds for all others.
    random_state : int, RandomState instance or None, default=None
        Controls the folds, and the order in which :meth:`fit_transform` reuses kept
        rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    estimator_ : classifier or None
        The last classifier; None with one class.
    trimmed_losses_ : ndarray of shape (`n_iter_`,)
        The mean loss of the rows that were kept, after each fit, weighted as they are.
    n_iter_ : int
        Number of classifiers that were fitted.
    radii_ : ndarray of shape (n_classes,)
        The largest loss that is kept, for each class, float64; a few rounding errors
        above the percentile, so that rows on it stay when they are scored alone.
    offset_ : ndarray of shape (n_classes,)
        ``-radii_``: decisions are scores minus the offset of the class.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: minus the loss under ``estimator_`` or, with
        folds, under the classifier of the last round that was not fitted on the row;
        float64.
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
        At fit, if both ``percentile`` and ``contamination`` are given. If X holds
        values whose squares overflow its dtype, and no estimator is given.

    Warns
    -----
    FilterWarning
        At fit, if there are fewer than two classes, if a class has one row that a fold
        should hold out (it is judged by a model that was fitted on it), or if the
        classifier fits all rows equally well, so that none is rejected.
    ConvergenceWarning
        At fit, if the trimmed loss still falls after ``max_iter`` > 1 rounds.

    See Also
    --------
    SeverFilter : Uses the gradients of the loss.
    skpoison.FilteredClassifier : Fits another classifier on the kept rows.

    References
    ----------
    .. [1] M. Jagielski et al., "Manipulating Machine Learning: Poisoning Attacks and
       Countermeasures for Regression Learning", IEEE S&P 2018, algorithm 2 (TRIM; it
       starts from random rows, we from all of them).
    .. [2] P. W. Koh, J. Steinhardt and P. Liang, "Stronger Data Poisoning Attacks Break
       Data Sanitization Defenses", Machine Learning 111, 2022, section 3 (the loss
       defense: ``max_iter=1``).
    .. [3] C. G. Northcutt, L. Jiang and I. L. Chuang, "Confident Learning: Estimating
       Uncertainty in Dataset Labels", JAIR 70, 2021, section 3.1 (how many labels are
       wrong).

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.filters import LossFilter
    >>> X = np.arange(20.0)[:, None]
    >>> y = np.repeat([0, 1], 10)
    >>> y[[2, 17]] = [1, 0]
    >>> np.flatnonzero(~LossFilter(contamination=0.1).fit(X, y).inlier_mask_)
    array([ 2, 17])
    """

    _fits_on_sample = True
    _parameter_constraints: dict = {
        **BaseTrimmingFilter._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "loss": [StrOptions({"auto", *_losses.NAMES}), callable],
    }

    def __init__(
        self,
        percentile: float | str | None = None,
        *,
        contamination: float | str | None = "auto",
        estimator: BaseEstimator | None = None,
        loss: str | Callable = "auto",
        max_iter: int = 20,
        tol: float = 1e-4,
        cv: Any = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            percentile, contamination=contamination, random_state=random_state
        )
        self.estimator = estimator
        self.loss = loss
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv

    def _fit_distances(self, X, codes, **params):
        if len(self.classes_) < 2:
            return self._keep_everything(codes)
        self._set_folds(X, codes)
        everything = np.ones(len(codes), dtype=bool)
        return self._report(
            self._trim(X, codes, everything, self.classes_[codes], codes, params)
        )

    def _new_estimator(self):
        return self.estimator

    def _fit_estimator(self, X, fitted_to, **params):
        if self.estimator is None:
            return fit_logistic(X, fitted_to, **params)
        return super()._fit_estimator(X, fitted_to, **params)

    def _distances(self, X, codes):
        if self.estimator_ is None:
            return np.zeros(X.shape[0])
        return self._losses_under(self.estimator_, X, codes)

    def _losses_under(self, estimator, X, codes):
        loss = _losses.loss_name(self.loss, estimator)
        return _losses.row_losses(estimator, X, codes, loss)

    @property
    def _scores_stay(self):
        return self.max_iter == 1

    def _training_losses(self, X, codes, judges):
        if self._percentile != "auto" and not self._scores_stay:
            return super()._training_losses(X, codes, judges)
        losses = np.empty(len(codes))
        under_each = np.empty((len(codes), len(self.classes_)))
        for rows, estimator in judges:
            losses[rows] = self._losses_under(estimator, X[rows], codes[rows])
            loss = _losses.loss_name(self.loss, estimator)
            under_each[rows] = _losses.losses_of_labels(
                estimator, X[rows], len(self.classes_), loss
            )
        self._n_contradicted = contradicted_rows(under_each, codes)
        return losses

    def _auto_radius(self, distances, code, dtype):
        if self.estimator_ is None:
            return 0.0
        return self._radius_without(self._n_contradicted[code], distances, dtype)

    def _keep_everything(self, codes):
        warn(
            "LossFilter needs labels of at least two classes to fit a classifier; it "
            "keeps every row.",
            FilterWarning,
        )
        self.estimator_ = None
        self.n_iter_ = 0
        self.trimmed_losses_ = np.zeros(0)
        return np.zeros(len(codes))


def _mean(losses, weights):
    """The loss that an estimator minimizes on rows of such weights."""
    return np.average(losses, weights=weights) if weights.any() else losses.mean()
