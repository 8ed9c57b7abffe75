"""Base class of filters that compare labels with models, and take X unchanged."""

from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.base import is_clusterer, is_outlier_detector, is_regressor
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from skpoison._as_given import AsNumbers, GivenRows, checked_array, is_texts
from skpoison._column_types import is_frame, numbers_needed
from skpoison._delegated import WithInnerWeights
from skpoison._inner import InnerEstimatorMixin, check_classes_weigh
from skpoison._labels import check_targets, shown_labels
from skpoison._warn import warn
from skpoison.base import BaseFilter
from skpoison.exceptions import FilterWarning
from skpoison.filters._folds import N_FOLDS, folds_of_groups
from skpoison.filters._label_noise import smoothed_logs
from skpoison.filters._many_rows import MOST_ROWS, encoded_rows
from skpoison.filters._panel import within_reach
from skpoison.filters._residuals import judge_targets

# More labels than these, and than half of the rows, are no classes.
MOST_CLASSES = 20


class BaseJudgingFilter(InnerEstimatorMixin, BaseFilter):
    """Base class of filters that use models; these are passed X in its own container.

    A subclass defines ``_fit_models(X, codes, targets, params)`` for the training rows,
    returning scores and decisions, and ``_score`` and ``_decide`` for new ones; X is a
    :class:`GivenRows`. Targets are None where there are labels. Models are fitted with
    ``params``.
    """

    _parameter_constraints: dict = {
        **BaseFilter._parameter_constraints,
        "estimator": [HasMethods(["fit", "predict"]), None],
        "n_jobs": [Integral, None],
    }
    # Whether y holds targets of a regression; decided by fit.
    _judges_targets = True
    # Set by callers that know whether y holds targets; None: inferred from y.
    _y_is_numbers = None
    # Set by callers that ask about the training rows alone.
    _judges_new_rows = True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.estimator is None or (
            getattr(self.estimator, "__sklearn_tags__", None) is not None
            and self.estimator.__sklearn_tags__().input_tags.allow_nan
        )
        return tags

    @WithInnerWeights
    def fit(self, X, y=None, sample_weight=None, **fit_params):
        """Fit the models, and score the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, list of str} of shape (n_samples, \
                n_features)
            Training rows, some of which may be poison. Without an estimator, tables can
            have categories and missing values, and X can be a list of texts.
        y : array-like of shape (n_samples,), default=None
            Labels or, for a regressor, targets. Without them, only tests that use no
            labels are applied.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, passed to the models; at least one weight
            of each class must be positive. Part of the signature if the estimator
            supports it.
        **fit_params : dict
            Passed to the estimator's ``fit``; parameters of length n_samples are
            restricted to the rows that it is fitted on. With metadata routing enabled,
            the estimator gets what it requests.

        Returns
        -------
        self : object
            The fitted filter.

        Raises
        ------
        ValueError
            If X, y or weights are invalid, if the estimator is neither a regressor nor
            a classifier with ``predict_proba`` or ``decision_function``, or if it does
            not support the sample weights given.
        """
        return super().fit(X, y, sample_weight=sample_weight, **fit_params)

    def _validate_params(self):
        super()._validate_params()
        estimator = self.estimator
        if estimator is None or is_regressor(estimator):
            return
        is_other = is_outlier_detector(estimator) or is_clusterer(estimator)
        if is_other or not any(
            hasattr(estimator, m) for m in ("predict_proba", "decision_function")
        ):
            raise ValueError(
                f"The estimator of {type(self).__name__} must be a regressor, or a "
                "classifier with predict_proba or decision_function; got "
                f"{estimator!r}."
            )

    def _validate_rows(self, X, *, reset):
        if not (is_frame(X) or is_texts(X)):
            X = self._check_array(X)
        validate_data(self, X, reset=reset, skip_check_array=True)
        return GivenRows(X)

    def _join(self, owner):
        name = type(self).__name__
        raise TypeError(
            f"{name} takes X unchanged, and cannot be combined by & or | with filters "
            "of numeric rows. Apply one after the other: "
            f"FilteredClassifier({name}(), FilteredClassifier(...))."
        )

    def _check_array(self, X):
        """Validate arrays and sparse rows; leave other containers to the estimator."""
        if self.estimator is not None and not _is_numeric(X):
            return X
        dtype = None if self.estimator is not None else [np.float64, np.float32]
        return checked_array(X, dtype, estimator=self)

    @property
    def _instead(self):
        return (
            "Pass a table as a DataFrame, whose columns of texts are taken as "
            "categories; texts as a list of str; and other rows with an estimator that "
            "takes them, to CrossFitFilter(estimator, near_copies=None)."
        )

    def _as_container(self, X, ensure_all_finite):
        return self._validate_rows(X, reset=False).data

    def _is_regression(self, y):
        if self.estimator is not None:
            return is_regressor(self.estimator)
        if self._y_is_numbers is not None:
            return self._y_is_numbers
        y = np.asarray(y)
        if y.dtype.kind != "f":
            return False
        with np.errstate(invalid="ignore"):  # integers of 64 bits hold not all numbers
            return type_of_target(y, input_name="y") == "continuous"

    def _fit_rows(self, X, y, **params):
        self._judges_targets = y is not None and self._is_regression(y)
        if not self._judges_targets:
            return super()._fit_rows(X, y, **params)
        self._labelled, self.classes_ = True, np.array([0])
        codes = np.zeros(X.shape[0], dtype=np.intp)
        return codes, *self._fit_weighed(X, codes, check_targets(X, y), params)

    def _encode_labels(self, X, y):
        if self._judges_targets:
            return np.zeros(len(check_targets(X, y)), dtype=np.intp)
        return super()._encode_labels(X, y)

    def _fit(self, X, codes, **params):
        if len(self.classes_) < 2:
            warn(
                f"{type(self).__name__} needs at least two classes to find wrong "
                "labels; it ignores the labels.",
                FilterWarning,
            )
        self._check_number_of_classes(codes)
        return self._fit_weighed(X, codes, None, params)

    def _check_number_of_classes(self, codes):
        if len(self.classes_) > max(MOST_CLASSES, len(codes) / 2):
            raise ValueError(
                f"y has {len(self.classes_)} different labels, "
                f"{shown_labels(self.classes_)}, for {len(codes)} rows: they look like "
                "names of the rows, or like targets of regression. "
                f"{type(self).__name__} judges class labels; for targets, pass it a "
                "regressor as estimator, or use FilteredRegressor."
            )

    def _fit_weighed(self, X, codes, targets, params):
        if "sample_weight" in params:
            labelled = len(self.classes_) > 1
            weights = params["sample_weight"]
            check_classes_weigh(weights, codes, self.classes_, labelled)
        return self._fit_models(X, codes, targets, params)

    def _best_over_labels(self, method, X, y):
        check_is_fitted(self)
        if not self._judges_targets:
            return super()._best_over_labels(method, X, y)
        X = self._checked_rows(X, reset=False)
        return method(X, None if y is None else check_targets(X, y))

    def _units_out_of_fold(self, panel, targets, n_folds, params, rng):
        """Predict targets out of fold, and return how far off they are, in units."""
        codes = np.zeros(len(targets), dtype=np.intp)
        folds = folds_of_groups(codes, self.groups_, n_folds, rng)

        def predict(kept):
            return panel.targets_out_of_fold(
                folds, targets, kept, self.n_jobs, **params
            )

        self.out_of_fold_, self._scale = judge_targets(predict, targets)
        return self._scale.units(targets - self.out_of_fold_)

    def _fit_final(self, panel, rows, codes, targets, params, rng):
        """Fit the models that score new rows, on the kept rows, or many of them."""
        if len(codes) > MOST_ROWS:
            rows = _share_of_folds(rows, codes, rng)
        self._counts = panel.counts
        self._known = np.unique(codes[rows])
        self._fitted = None
        if not self._judges_new_rows:
            return
        if targets is not None:
            self._fitted = panel.fit(rows, within_reach(targets)[rows], **params)
        elif len(self._known) > 1:
            labels = self.classes_[codes[rows]]
            self._fitted = panel.fit(rows, labels, **params)

    def _units_of(self, X, targets):
        """How far off targets of new rows are, in units."""
        return self._scale.units(targets - self._fitted.targets(X.data))

    def _chance_of_wrong(self, X, codes):
        """The probability that the label of each new row is wrong."""
        said = self._fitted.probabilities(X.data, self._known, len(self.classes_))
        noise = self._noise.of(smoothed_logs(said, self._counts))
        return noise.chance_of_wrong(codes)

    def _numbers_of(self, X):
        """The encoder of the rows, and the encoded rows."""
        with numbers_needed(self, X.data):
            encoder = AsNumbers().fit(X.data)
        self._warn_of_unread(encoder.table_)
        return encoder, encoded_rows(X.data, encoder)

    def _warn_of_unread(self, table):
        unread = table.unread if table is not None else []
        if unread:
            warn(
                f"{type(self).__name__} compares rows without the columns {unread}, "
                "which hold texts that differ from row to row. Leave them out if they "
                "name the rows; make numbers of them if they are free text "
                "(ColumnTransformer with TfidfVectorizer).",
                FilterWarning,
            )


def _share_of_folds(rows, codes, rng):
    """As many rows of each class as models of folds are fitted on."""
    order = rng.permutation(rows)
    order = order[np.argsort(codes[order], kind="stable")]
    ends = np.cumsum(np.bincount(codes[order]))
    place = ends[codes[order]] - 1 - np.arange(len(order))  # the last one is first
    return np.sort(order[place % N_FOLDS < N_FOLDS - 1])


def _is_numeric(X):
    if (
        sparse.issparse(X)
        or isinstance(X, str | dict | set)
        or not hasattr(X, "__len__")
    ):
        return True  # so it must be, or is nothing that holds rows
    try:
        return np.asarray(X).dtype.kind in "biuf"
    except ValueError:  # rows of different lengths, such as lists of words
        return False
