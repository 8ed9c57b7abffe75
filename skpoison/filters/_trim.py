"""Rows whose targets a regressor fits badly are rejected."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skpoison._labels import check_targets
from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.filters._loss import BaseTrimmingFilter
from skpoison.filters._panel import LARGEST_TARGET, check_predictions
from skpoison.filters._threshold import bulk_threshold_of_squares

LOSSES = {"squared": np.square, "absolute": np.abs}
# Percentage of the rows that starts are made from, where nobody says how many to keep.
START = 50.0


class TrimFilter(BaseTrimmingFilter):
    """Keep the rows whose targets a regressor, fitted on the kept rows, fits well.

    A filter for regression, where y contains numbers rather than labels. A regressor is
    fitted, the rows with the largest losses are rejected, and it is refitted on the
    rest, until the trimmed loss (the mean over the kept rows) no longer decreases.
    Rejected rows are kept again if a later regressor fits them. The best of several
    starts is used.

    Use it in a :class:`~skpoison.FilteredRegressor`, which passes the targets to it.
    Without targets there is nothing to fit: the filter keeps every row, with a warning.

    Parameters
    ----------
    percentile : float or "auto", default=None
        Percentage of the rows that are kept, in (0, 100]; interpolated linearly. None
        and "auto" leave it to ``contamination``.
    contamination : "auto" or float, default="auto"
        Share of the rows that are rejected, in (0, 0.5]:
        ``percentile = 100 * (1 - contamination)``. "auto": rows are rejected beyond the
        bulk of the absolute differences between prediction and target, which ends four
        standard deviations above their median, both taken from the quartiles after a
        Box–Cox transform that makes these symmetric; never more than a quarter of the
        rows, and starts are compared by the mean of the smallest three quarters of the
        losses.
    estimator : regressor, default=None
        What is fitted; ``Ridge()`` by default.
    loss : {"squared", "absolute"}, default="squared"
        The loss of the difference between prediction and target. Use the loss that
        `estimator` minimizes; only then is the trimmed loss guaranteed to decrease.
    n_init : int, default=5
        Starts: the first from all rows, the others from as many random rows as will be
        kept, half of all where nobody says how many.
    max_iter : int, default=50
        Maximum number of fits for each start.
    tol : float, default=1e-6
        A start ends when the relative decrease of the trimmed loss is at most `tol`.
    cv : "auto", None, int, cross-validation generator or iterable, default="auto"
        Which rows a regressor judges. None: those that it is fitted on, as in the
        papers. A number of folds, a splitter or an iterable of training and test rows:
        those of the fold that it was not fitted on, so that one that memorizes its
        rows (a tree, one neighbor) cannot hide wrong targets from itself; each round
        then fits one regressor for each fold, and ``estimator_``. Each row must be held
        out exactly once. "auto" is None for linear models (those with ``coef_``, or
        pipelines that end in one), and 5 folds for all others.
    random_state : int, RandomState instance or None, default=None
        Controls the folds, the initial rows, and the order in which
        :meth:`fit_transform` reuses kept rows.

    Attributes
    ----------
    estimator_ : regressor or None
        The last regressor of the best start; None without targets.
    trimmed_losses_ : ndarray of shape (`n_iter_`,)
        The mean loss of the rows that were kept, after each of its fits, weighted as
        they are.
    n_iter_ : int
        Number of its fits.
    classes_ : ndarray of shape (1,)
        ``array([0])``: all rows are in one class.
    radii_ : ndarray of shape (1,)
        The largest loss that is kept, float64; a few rounding errors above the
        percentile, so that rows on it stay when they are scored alone.
    offset_ : ndarray of shape (1,)
        ``-radii_``: decisions are scores minus the offset.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: minus the loss under ``estimator_`` or, with
        folds, under the regressor of the last round that was not fitted on the row;
        float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one.
    contamination_ : ndarray of shape (1,)
        The share of the training rows that is rejected, float64.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Raises
    ------
    ValueError
        At fit, if both ``percentile`` and ``contamination`` are given, or y does not
        hold one finite number for each row.

    Warns
    -----
    FilterWarning
        At fit, without targets, or if the regressor fits all rows equally well, so
        that none is rejected.
    ConvergenceWarning
        At fit, if the trimmed loss still falls after ``max_iter`` fits.

    See Also
    --------
    LossFilter : The same for classification.
    sklearn.linear_model.RANSACRegressor : Rejects rows by residuals of small samples.

    Notes
    -----
    Without targets, the score of every row is 0, that of a row whose target equals the
    prediction.

    References
    ----------
    .. [1] M. Jagielski et al., "Manipulating Machine Learning: Poisoning Attacks and
       Countermeasures for Regression Learning", IEEE S&P 2018, algorithm 2 (TRIM).
    .. [2] P. J. Rousseeuw, K. Van Driessen, "Computing LTS Regression for Large Data
       Sets", Data Mining and Knowledge Discovery 12, 2006 (several starts).

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison import FilteredRegressor
    >>> from skpoison.filters import TrimFilter
    >>> X = np.arange(20.0)[:, None]
    >>> y = 3 * X.ravel()
    >>> y[[2, 17]] = 90, -20
    >>> np.flatnonzero(~TrimFilter(contamination=0.1).fit(X, y).inlier_mask_)
    array([ 2, 17])
    >>> robust = FilteredRegressor(TrimFilter(contamination=0.1)).fit(X, y)
    >>> robust.predict([[100.0]]).round(6)
    array([300.])
    """

    _parameter_constraints: dict = {
        **BaseTrimmingFilter._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "loss": [StrOptions(set(LOSSES))],
        "n_init": [Interval(Integral, 1, None, closed="left")],
    }
    _judges_targets = True
    _scores_stay = False

    def __init__(
        self,
        percentile: float | str | None = None,
        *,
        contamination: float | str | None = "auto",
        estimator: BaseEstimator | None = None,
        loss: str = "squared",
        n_init: int = 5,
        max_iter: int = 50,
        tol: float = 1e-6,
        cv: Any = "auto",
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(
            percentile, contamination=contamination, random_state=random_state
        )
        self.estimator = estimator
        self.loss = loss
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.cv = cv

    def _join(self, owner):
        raise TypeError(
            "TrimFilter uses regression targets and cannot be combined by & or | with "
            "filters that use class labels."
        )

    def _fit_rows(self, X, y, **params):
        self.classes_ = np.array([0])
        self._labelled = y is not None
        codes = np.zeros(X.shape[0], dtype=np.intp)
        if y is None:
            distances = self._keep_everything(codes)
        else:
            distances = self._fit_targets(X, codes, _numbers(X, y), params)
        distances = self._finite(distances, X)
        return codes, *self._set_radii(None, distances, codes, X.dtype)

    def _encode_labels(self, X, y):
        return np.zeros(len(_numbers(X, y)), dtype=np.intp)

    def _fit_targets(self, X, codes, targets, params):
        """Fit the best of several starts; return the losses of the rows under it."""
        rng = check_random_state(self.random_state)
        self._set_folds(X, targets)
        percentile = START if self._percentile == "auto" else self._percentile
        n_kept = max(int(len(codes) * percentile / 100.0), 1)
        fitted_to = np.clip(targets, -LARGEST_TARGET, LARGEST_TARGET)
        best = None
        for start in range(self.n_init):
            kept = np.ones(len(codes), dtype=bool)
            if start:
                kept = rng.permutation(len(codes)) < n_kept
            found = self._trim(X, codes, kept, fitted_to, targets, params)
            if best is None or self._height(found) < self._height(best):
                best = found
        return self._report(best)

    def _height(self, trimmed):
        """What the best start has least of."""
        if self._percentile != "auto":
            return trimmed.history[-1]
        # Starts keep different numbers of rows, and never fewer than three quarters.
        n_compared = int(np.ceil(0.75 * len(trimmed.losses)))
        return np.sort(trimmed.losses)[:n_compared].mean()

    def _threshold(self, distances):
        if self.loss == "squared":
            return bulk_threshold_of_squares(distances)
        return super()._threshold(distances)

    def _new_estimator(self):
        return Ridge() if self.estimator is None else self.estimator

    def _losses_under(self, estimator, X, targets):
        predicted = np.asarray(estimator.predict(X), dtype=np.float64)
        predicted = predicted.reshape(len(targets), -1)[:, 0]
        check_predictions(estimator, predicted)
        with np.errstate(over="ignore"):
            losses = LOSSES[self.loss](predicted - targets)
        # So that they can be summed.
        return np.minimum(losses, np.finfo(np.float64).max / len(targets))

    def _keep_everything(self, codes):
        warn(
            "TrimFilter needs targets to fit a regressor; it keeps every row.",
            FilterWarning,
        )
        self.estimator_, self.n_iter_, self.trimmed_losses_ = None, 0, np.zeros(0)
        return np.zeros(len(codes))

    def _best_over_labels(self, method, X, y):
        check_is_fitted(self)
        X = self._checked_rows(X, reset=False)
        if y is None or not self._labelled:
            return method(X, None)
        return method(X, _numbers(X, y))

    def _distances(self, X, targets):
        if targets is None:
            return np.zeros(X.shape[0])
        return self._losses_under(self.estimator_, X, targets)

    def _decide(self, X, targets):
        return self.radii_[0] - self._distances(X, targets)


def _numbers(X, y):
    """Return targets as float64, or say why they are none."""
    y = column_or_1d(y, warn=True)
    if y.dtype.kind in "SU" or any(isinstance(value, str) for value in y[:1]):
        raise ValueError(
            "TrimFilter requires numeric regression targets; y contains labels such as "
            f"{y[0]!r}. Use LossFilter for class labels."
        )
    return check_targets(X, y)
