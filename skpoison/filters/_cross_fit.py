"""Rows whose label contradicts models fitted without them and their near copies."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skpoison._as_given import AsNumbers
from skpoison._tables import is_missing
from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.filters._by_models import BaseJudgingFilter
from skpoison.filters._copies import near_copy_groups
from skpoison.filters._folds import folds_of_groups
from skpoison.filters._label_noise import LEAST_CUT, judge_labels
from skpoison.filters._panel import panel_of


class CrossFitFilter(BaseJudgingFilter):
    """Keep the rows whose label agrees with out-of-fold predictions.

    Models are fitted on all folds but one and predict the rows of that fold, as in
    cross-validation. Folds never split a group of near copies, because copies of a
    poison row would confirm each other's label.

    Where classes overlap, a correct label can contradict the models. Such
    contradictions are rare where models are confident, whereas wrong labels are as
    frequent there as elsewhere. The sharpness of the true probabilities and the rates
    at which each class is labeled as another are estimated from all labels; a row is
    rejected if its label is probably wrong under this model.

    Parameters
    ----------
    estimator : classifier or regressor, default=None
        Model that is cross-fitted: a classifier with ``predict_proba`` or
        ``decision_function``, or a regressor. It is fitted on X unchanged, which can be
        whatever it supports, such as tables and texts. None means a linear model and
        extremely randomized trees on encoded rows, weighted by how well they predict
        labels; X can then be an array, a sparse matrix, a table with categories and
        missing values, or a list of texts.
    cv : int, default=5
        Number of folds. Rows of a class that lies entirely in one fold are kept,
        because models fitted without that fold cannot predict the class.
    near_copies : {"auto"}, None, array-like of shape (n_samples,) or transformer, \
            default="auto"
        Which rows are near copies. "auto" searches for them among encoded rows (see
        :class:`NearCopyFilter`); a transformer, such as a vectorizer, encodes the rows
        for this search; an array gives the group of each row; None means that there are
        none.
    threshold : float or "auto", default="auto"
        Rows are rejected if the probability that their label is wrong is larger. "auto"
        is 0.15, or more where it is clear which labels are wrong (up to 0.35 times the
        F1 that the probabilities promise): models fitted on poison overestimate how
        frequent it is. Where models are sure (at .8) of the true class of less than
        half of the rows, it is so large that at most 25 % of the rows are rejected, and
        at most 4 % where they are sure of less than .35. For a regressor, the largest
        residual that is kept, in robust standard deviations; "auto" is 4.5, or more
        where residuals have heavier tails than a normal distribution. Where many
        residuals of one sign are parted from the others by a gap, they are stretched,
        so that those beyond it are rejected.
    n_jobs : int, default=None
        Number of jobs for fitting the models of the folds.
    random_state : int, RandomState instance or None, default=None
        Controls folds, the search for near copies, trees, and the order in which
        :meth:`fit_transform` reuses kept rows. An ``estimator`` that is given has a
        random state of its own.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` without labels and for regressors.
    scores_ : ndarray of shape (n_samples,)
        Minus the probability that the label of each training row is wrong, float64; for
        regressors, minus the absolute residual in robust standard deviations.
    out_of_fold_ : ndarray of shape (n_samples, n_classes) or (n_samples,)
        Class probabilities, or predictions, of models fitted without the row; the mean
        over models if there are two. NaN for rows without a prediction.
    suggested_labels_ : ndarray of shape (n_samples,)
        The most probable label of each training row; for regressors the prediction.
    groups_ : ndarray of shape (n_samples,)
        The group of near copies that each training row belongs to.
    contamination_ : ndarray of shape (n_classes,)
        Share of the rows of each class that are rejected.
    threshold_ : float
        The threshold that was used.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    n_features_in_ : int
        Number of features seen during fit. Not set for texts.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Raises
    ------
    ValueError
        At fit, if the estimator has neither ``predict_proba`` nor
        ``decision_function``, or X, y or `near_copies` is invalid.

    Warns
    -----
    FilterWarning
        At fit, if there are fewer than two classes: every row is kept.

    See Also
    --------
    skpoison.AutoFilter : Also detects far rows and unusually many copies.
    LossFilter : Uses losses of a classifier fitted on the rows themselves.

    Notes
    -----
    New rows are scored by models fitted on all kept training rows.

    References
    ----------
    .. [1] C. Northcutt, L. Jiang and I. Chuang, "Confident Learning: Estimating
       Uncertainty in Dataset Labels", JAIR 70, 2021 (wrong labels from out-of-fold
       probabilities).
    .. [2] A. P. Dawid and A. M. Skene, "Maximum Likelihood Estimation of Observer
       Error-Rates Using the EM Algorithm", Applied Statistics 28, 1979.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skpoison.filters import CrossFitFilter
    >>> X, y = load_wine(return_X_y=True)
    >>> y[[5, 90]] = 2
    >>> cross_fit = CrossFitFilter(random_state=0).fit(X, y)
    >>> (~cross_fit.inlier_mask_).nonzero()[0]
    array([ 5, 90])
    >>> cross_fit.suggested_labels_[[5, 90]]
    array([0, 1])
    """

    _fits_on_sample = True
    _parameter_constraints: dict = {
        **BaseJudgingFilter._parameter_constraints,
        "cv": [Interval(Integral, 2, None, closed="left")],
        "near_copies": [
            StrOptions({"auto"}), None, "array-like", HasMethods(["fit", "transform"]),
        ],
        "threshold": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
    }  # fmt: skip

    def __init__(
        self,
        estimator=None,
        *,
        cv=5,
        near_copies="auto",
        threshold="auto",
        n_jobs=None,
        random_state=None,
    ):
        super().__init__(random_state=random_state)
        self.estimator = estimator
        self.cv = cv
        self.near_copies = near_copies
        self.threshold = threshold
        self.n_jobs = n_jobs

    def _fit_models(self, X, codes, targets, params):
        rng = check_random_state(self.random_state)
        needs_numbers = self.estimator is None or isinstance(self.near_copies, str)
        encoder, numbers = self._numbers_of(X) if needs_numbers else (None, None)
        self.groups_ = self._find_groups(X, numbers, rng)
        panel = panel_of(
            self.estimator, X.data, encoder, numbers, rng, targets is not None
        )
        if targets is not None:
            return self._fit_targets(panel, codes, targets, params, rng)
        if len(self.classes_) < 2:
            return self._keep_everything(codes)
        return self._fit_classes(panel, codes, params, rng)

    def _find_groups(self, X, numbers, rng):
        if self.near_copies is None:
            return np.arange(X.shape[0])
        if isinstance(self.near_copies, str):
            return near_copy_groups(numbers, random_state=rng).groups
        if hasattr(self.near_copies, "transform"):
            made = AsNumbers().fit_transform(self._transformed(X))
            return near_copy_groups(made, random_state=rng).groups
        return _group_numbers(self.near_copies, X.shape[0])

    def _transformed(self, X):
        try:
            return clone(self.near_copies).fit(X.data).transform(X.data)
        except (AttributeError, TypeError, ValueError) as error:
            error.add_note(f"X was passed to near_copies={self.near_copies!r}.")
            raise

    def _keep_everything(self, codes):
        self._fitted = None
        self._cut = self.threshold_ = LEAST_CUT
        self.out_of_fold_ = np.full((len(codes), 1), np.nan)
        self.suggested_labels_ = self.classes_[codes]
        return np.zeros(len(codes)), np.zeros(len(codes))

    def _fit_classes(self, panel, codes, params, rng):
        every = np.arange(len(codes))
        folds = folds_of_groups(codes, self.groups_, self.cv, rng)
        said = panel.out_of_fold(
            every, folds, codes, self.classes_, n_jobs=self.n_jobs, **params
        )
        judged, noise, chance = judge_labels(
            said, panel.counts, codes, self.groups_, rng
        )
        if noise is None:
            warn(
                "CrossFitFilter keeps every row: no class is in two folds, so no class "
                "can be predicted for the rows of another fold.",
                FilterWarning,
            )
            kept = self._keep_everything(codes)
            self.out_of_fold_ = said.mean(axis=0)
            return kept
        self._noise = noise
        is_auto = self.threshold == "auto"
        self.threshold_ = noise.cut if is_auto else self.threshold
        self.out_of_fold_ = said.mean(axis=0)
        self.suggested_labels_ = self.classes_[codes]
        best = noise.true.argmax(axis=1)
        self.suggested_labels_[judged] = self.classes_[best]
        rows = np.flatnonzero(chance <= self.threshold_)
        self._fit_final(panel, rows, codes, None, params, rng)
        return -chance, self.threshold_ - chance

    def _fit_targets(self, panel, codes, targets, params, rng):
        units = self._units_out_of_fold(panel, targets, self.cv, params, rng)
        is_auto = self.threshold == "auto"
        self.threshold_ = float(self._scale.cut if is_auto else self.threshold)
        self.suggested_labels_ = self.out_of_fold_
        rows = np.flatnonzero(units <= self.threshold_)
        self._fit_final(panel, rows, codes, targets, params, rng)
        return -units, self.threshold_ - units

    def _score(self, X, codes):
        if self._fitted is None or codes is None:
            return np.zeros(X.shape[0])
        if self._judges_targets:
            return -self._units_of(X, codes)
        return -self._chance_of_wrong(X, codes)

    def _decide(self, X, codes):
        if self._fitted is None or codes is None:
            return np.zeros(X.shape[0])
        return self.threshold_ + self._score(X, codes)


def _group_numbers(groups, n_rows):
    """Groups that are given as labels of any kind, as numbers from 0."""
    groups = np.asarray(groups)
    if groups.shape != (n_rows,):
        shape = f" in an array of shape {groups.shape}" if groups.ndim != 1 else ""
        raise ValueError(
            "near_copies must hold one group for each row of X: got "
            f"{groups.size} groups for {n_rows} rows{shape}."
        )
    if any(is_missing(group) for group in groups.tolist()):
        raise ValueError(
            "near_copies must hold the group of each row; some are missing (None or "
            "NaN). Give a row without near copies a group of its own."
        )
    if groups.dtype.kind == "O":
        groups = groups.astype(str)
    return np.unique(groups, return_inverse=True)[1]
