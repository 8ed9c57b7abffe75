"""Estimators that are fitted on the rows that a filter keeps."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import Tags, _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import _check_method_params, indexable, validate_data

from skpoison._as_given import AsNumbers, needs_encoding
from skpoison._column_types import RowsLike, check_holds_rows
from skpoison._defaults import default_cleaner
from skpoison._delegated import (
    DelegatedClassifierMixin,
    DelegatedMixin,
    DelegatedRegressorMixin,
    WithInnerWeights,
    check_fit_params,
    check_takes_weights,
    for_last_step,
    takes,
)
from skpoison._fitted import fit_clone
from skpoison._judging import fit_and_find_kept, judges_targets, last_step
from skpoison._labels import narrowed
from skpoison._versions import VersionedMixin
from skpoison.base import BaseFilter


class BaseFiltered(DelegatedMixin, MetaEstimatorMixin, VersionedMixin, BaseEstimator):
    """A filter in front of an estimator.

    A subclass defines ``_default_estimator``, ``_y_is_numbers`` (whether y holds
    targets or labels) and ``_shows_targets(y)`` (whether y is passed to the filter).
    """

    _parameter_constraints: dict = {
        "filter": [HasMethods(["fit_predict"]), FrozenEstimator, None],
        "estimator": [HasMethods(["fit", "predict"]), None],
    }

    # Requests are those of the estimator and of the filter inside.
    __metadata_request__fit = {"sample_weight": UNUSED}

    def __init__(
        self,
        filter: BaseEstimator | None = None,
        estimator: BaseEstimator | None = None,
    ):
        self.filter = filter
        self.estimator = estimator

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner, of_filter = get_tags(self._estimator()), get_tags(self._filter())
        for name in ("sparse", "allow_nan"):
            both_take = [getattr(one.input_tags, name) for one in (inner, of_filter)]
            setattr(tags.input_tags, name, all(both_take))
        tags.target_tags.multi_output = (
            inner.target_tags.multi_output and not self._needs_one_column()
        )
        return tags

    def _filter(self):
        return default_cleaner() if self.filter is None else self.filter

    def _estimator(self):
        return self._default_estimator() if self.estimator is None else self.estimator

    def _takes_weights(self):
        return takes(self._estimator(), "sample_weight")

    def _needs_one_column(self):
        """Whether the filter uses y, and so requires one label for each row."""
        return self._shows_targets() and isinstance(
            last_step(self._filter()), BaseFilter
        )

    @WithInnerWeights
    def fit(
        self,
        X: RowsLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the filter, then the estimator on the rows that the filter keeps.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, some of which may be poison.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. The estimator gets those of the kept rows. The filter
            gets those of all rows if it requests them, with metadata routing enabled,
            and judges rows whatever their weights otherwise. Part of the signature if
            the estimator takes it.
        **fit_params : dict
            Passed to the estimator's ``fit``. What is aligned with the rows is cut down
            to the kept ones, as ``sample_weight`` is. With metadata routing enabled,
            the estimator gets what it requests, and the filter, uncut, what it does.

        Returns
        -------
        self : object
            This estimator, fitted.

        Raises
        ------
        ValueError
            If the filter rejects every row, refuses X or y, or is no outlier detector.
            If weights or groups are not as many as rows, or weights are negative, NaN
            or infinite.

        Warns
        -----
        FilterWarning
            If the filter rejects every row of a class: the best one is kept, where
            there are scores to tell it by, unless the filter is frozen.
        """
        self._validate_params()
        check_holds_rows(X)
        validate_data(self, X, y, skip_check_array=True)
        if sample_weight is not None:
            fit_params["sample_weight"] = sample_weight
        check_fit_params(fit_params, X)
        check_takes_weights(fit_params, self._estimator())
        for_filter, params = self._route_fit(fit_params)
        X, y = indexable(X, y)
        self.filter_ = self._unfitted_filter()
        labels = y if self._shows_targets(y) else None
        self.inlier_mask_ = fit_and_find_kept(self.filter_, X, labels, for_filter)
        rows = np.flatnonzero(self.inlier_mask_)
        params = _check_method_params(X, params, indices=rows)
        _check_left_over(params)
        estimator = self._estimator()
        if self.estimator is None and needs_encoding(X):
            estimator, params = encoded(estimator, params)
        self.estimator_ = fit_clone(
            estimator,
            _safe_indexing(X, rows),
            narrowed(y, _safe_indexing(y, rows)),
            **params,
        )
        return self

    def _unfitted_filter(self):
        """A clone of the filter, told whether y holds targets or labels."""
        filter_ = clone(self._filter())
        last = filter_
        while isinstance(last, Pipeline):
            last = last.steps[-1][1]
        if not isinstance(last, FrozenEstimator) and hasattr(last, "_y_is_numbers"):
            last._y_is_numbers = self._y_is_numbers
        return filter_

    def _route_fit(self, params):
        """Parameters for fitting the filter, and for fitting the estimator."""
        if not get_config()["enable_metadata_routing"]:
            return {}, params
        routed = process_routing(self, "fit", **params)
        for_filter = {} if self.filter is None else routed.filter.fit_predict
        return for_filter, routed.estimator.fit

    def get_metadata_routing(self) -> MetadataRouter:
        """Tell which metadata goes where.

        Returns
        -------
        routing : :class:`~sklearn.utils.metadata_routing.MetadataRouter`
            Everything goes to the estimator, and that of ``fit`` to the filter, too, as
            they request it. The default filter gets nothing.
        """
        router = super().get_metadata_routing()
        if self.filter is None:  # nobody can ask it what it requests
            return router
        fits = MethodMapping().add(caller="fit", callee="fit_predict")
        return router.add(filter=self._filter(), method_mapping=fits)


def encoded(estimator: BaseEstimator, params: dict[str, Any]) -> tuple[Pipeline, dict]:
    """An estimator behind an encoder, and the names of its fit's parameters then."""
    pipeline = make_pipeline(AsNumbers(), estimator)
    return pipeline, for_last_step(pipeline, params)


def _check_left_over(params):
    weights = params.get("sample_weight")
    if weights is not None and not np.any(weights):
        raise ValueError(
            "sample_weight is zero for every row that the filter keeps: nothing is "
            "left to fit on. Let the filter keep more."
        )


class FilteredClassifier(DelegatedClassifierMixin, BaseFiltered):
    """Fit a classifier on the rows that a filter keeps.

    Rejected rows are dropped from the training set, together with everything aligned
    with the rows. Prediction does not filter. This is the recommended way to use a
    filter: it works on its own, in pipelines, and in searches over the filter's
    parameters.

    Parameters
    ----------
    filter : filter or outlier detector, default=None
        What judges the training rows: any estimator whose ``fit_predict(X, y)`` gives
        1 for rows to keep and -1 for the others, a detector of PyOD (which gives 0 and
        1), or a pipeline that ends in one of these. One that is fitted already and
        wrapped in :class:`~sklearn.frozen.FrozenEstimator` stays as it is: the rows are
        judged by its ``predict``. By default, ``AutoFilter(random_state=0)``; see
        :class:`~skpoison.AutoFilter`.
    estimator : classifier, default=None
        The classifier to fit on the kept rows. By default,
        :class:`~sklearn.linear_model.LogisticRegression`, behind an encoder where X
        is a list of texts or a table with columns that are no numbers.

    Attributes
    ----------
    filter_ : filter
        The fitted filter.
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        The labels of the fitted classifier.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    FilteredRegressor : The same for regression.
    CertifiedBound.defend : The filter that a bound covers in front of a classifier.
    DropOutliers : The same as a step of imbalanced-learn's pipelines.

    Notes
    -----
    A scaler before this estimator in a pipeline is fitted on all rows, including
    poison. To fit the scaler on the kept rows only, use
    ``FilteredClassifier(filter, make_pipeline(StandardScaler(), LinearSVC()))``; the
    filter is then applied to unscaled rows.

    The default filter takes tables with categories and missing values, and lists of
    texts, as they are; so does this class if the estimator takes them. The default one
    gets them as numbers: words by TF-IDF, categories as zeros and ones, dates in
    seconds, all columns with a standard deviation of 1. Other filters
    require an encoder in both places: ``FilteredClassifier(make_pipeline(encoder,
    SphereFilter()), make_pipeline(encoder, LinearSVC()))``.
    A category that occurs only in rejected rows is unknown to the second encoder, so
    use ``OneHotEncoder(handle_unknown="ignore")``.

    Each class keeps a row. Where a detector that does not look at labels rejects every
    row of a class, the one with its best score is kept, with a warning; without scores,
    the warning says that the class is lost. A frozen filter keeps the rows that pass
    it, and no others: a class can be lost, with a warning.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh and P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NeurIPS 2017, section 2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.svm import LinearSVC
    >>> from skpoison import FilteredClassifier, SphereFilter
    >>> X, y = load_iris(return_X_y=True)
    >>> y[[3, 10, 120]] = [1, 2, 0]
    >>> robust = FilteredClassifier(estimator=LinearSVC()).fit(X, y)
    >>> (~robust.inlier_mask_).nonzero()[0]
    array([  3,  10, 120])

    Any filter can take its place, and a search can tune it:

    >>> robust = FilteredClassifier(SphereFilter(percentile=90), LinearSVC())
    >>> int(robust.fit(X, y).inlier_mask_.sum())
    135
    >>> search = GridSearchCV(robust, {"filter__percentile": [70, 90]}).fit(X, y)
    >>> search.best_estimator_.score(X, y) > 0.9
    True
    """

    _routed = ("fit", *DelegatedClassifierMixin._routed)
    _default_estimator = LogisticRegression
    _y_is_numbers = False

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags = get_tags(self._estimator()).classifier_tags
        if tags.classifier_tags is not None and self._needs_one_column():
            tags.classifier_tags.multi_label = False
        return tags

    def _shows_targets(self, y=None):
        return True


class FilteredRegressor(DelegatedRegressorMixin, BaseFiltered):
    """Fit a regressor on the rows that a filter keeps.

    A filter for regression targets, such as the default one or
    :class:`~skpoison.filters.TrimFilter`, gets X and y. To others only X is passed;
    they treat all rows as one class.

    Parameters
    ----------
    filter : filter or outlier detector, default=None
        What judges the training rows: any estimator whose ``fit_predict(X)`` gives 1
        for rows to keep and -1 for the others, a detector of PyOD (which gives 0 and
        1), or a pipeline that ends in one of these. One that is fitted already and
        wrapped in :class:`~sklearn.frozen.FrozenEstimator` stays as it is: the rows are
        judged by its ``predict``. By default, ``AutoFilter(random_state=0)``, which
        judges targets by regressors, also where they are whole numbers; see
        :class:`~skpoison.AutoFilter`.
    estimator : regressor, default=None
        The regressor to fit on the kept rows. By default,
        :class:`~sklearn.linear_model.LinearRegression`, behind an encoder where X is a
        list of texts or a table with columns that are no numbers.

    Attributes
    ----------
    filter_ : filter
        The fitted filter.
    estimator_ : regressor
        The fitted regressor.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    FilteredClassifier : The same for classification.
    sklearn.linear_model.RANSACRegressor : Rejects rows by their residuals.

    Notes
    -----
    A filter that does not use the targets cannot detect poison that differs only in its
    targets; :class:`~skpoison.AutoFilter` and :class:`~skpoison.filters.TrimFilter`
    can. Both judge one target: with several, the default filter gets X only, with a
    warning.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skpoison import FilteredRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> y[[3, 10]] += 1000
    >>> robust = FilteredRegressor().fit(X, y)
    >>> robust.inlier_mask_[[3, 10]], bool(robust.inlier_mask_.mean() > 0.98)
    (array([False, False]), True)
    """

    _routed = ("fit", *DelegatedRegressorMixin._routed)
    _default_estimator = LinearRegression
    _y_is_numbers = True

    def _shows_targets(self, y=None):
        if self.filter is None and np.ndim(y) == 2 and np.shape(y)[1] > 1:
            return False
        return judges_targets(self._filter())

    def _needs_one_column(self):
        return self.filter is not None and super()._needs_one_column()
