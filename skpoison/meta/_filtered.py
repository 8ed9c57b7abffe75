"""Estimators that are fitted on the rows that a filter keeps."""

from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.utils import get_tags

from skpoison._defaults import default_filter
from skpoison.filters import SphereFilter
from skpoison.meta._base import BaseFiltered
from skpoison.meta._delegated import DelegatedClassifierMixin, DelegatedRegressorMixin
from skpoison.meta._judging import last_step


class FilteredClassifier(DelegatedClassifierMixin, BaseFiltered):
    """Fit a classifier on the rows that a filter keeps.

    Rejected rows are truly dropped, and everything aligned with the rows is cut along.
    Prediction does not filter. This is the recommended way to use a filter: it works
    alone, inside pipelines and under searches over the filter's parameters.

    Parameters
    ----------
    filter : filter or outlier detector, default=None
        What judges the training rows: any estimator whose ``fit_predict(X, y)`` gives
        1 for rows to keep and -1 for the others, a detector of PyOD (which gives 0 and
        1), or a pipeline that ends in one of these. By default, :class:`SphereFilter`
        and :class:`SlabFilter` at percentile 70, intersected under the names ``sphere``
        and ``slab``.
    estimator : classifier, default=None
        What is fitted on the kept rows. By default,
        :class:`~sklearn.linear_model.LogisticRegression`.

    Attributes
    ----------
    filter_ : filter
        The fitted filter.
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        The labels that the classifier knows.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    FilteredRegressor : The same for regression.
    DropOutliers : The same as a step of imbalanced-learn's pipelines.

    Notes
    -----
    A scaler before this estimator in a pipeline is fitted on all rows, poison
    included. To scale kept rows only, put a pipeline of scaler and classifier inside:
    ``FilteredClassifier(filter, make_pipeline(StandardScaler(), LinearSVC()))``; the
    filter then judges unscaled rows.

    Tables with categories, and texts, need an encoder in both places:
    ``FilteredClassifier(make_pipeline(encoder, SphereFilter()), make_pipeline(encoder,
    LinearSVC()))``. A category that occurs in rejected rows only is unknown to the
    second one: ``OneHotEncoder(handle_unknown="ignore")``.

    Each class keeps a row. Where a detector that does not look at labels rejects every
    row of a class, the one with its best score is kept, with a warning; without scores,
    the warning says that the class is lost.

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
    >>> robust = FilteredClassifier(SphereFilter(percentile=90), LinearSVC())
    >>> int(robust.fit(X, y).inlier_mask_.sum())
    135
    >>> search = GridSearchCV(robust, {"filter__percentile": [70, 90]}).fit(X, y)
    >>> search.best_estimator_.score(X, y) > 0.9
    True
    """

    _routed = ("fit", *DelegatedClassifierMixin._routed)
    _default_filter = staticmethod(default_filter)
    _default_estimator = LogisticRegression

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags = get_tags(self._estimator()).classifier_tags
        if tags.classifier_tags is not None and self._needs_one_column():
            tags.classifier_tags.multi_label = False
        return tags

    def _shows_targets(self):
        return True


class FilteredRegressor(DelegatedRegressorMixin, BaseFiltered):
    """Fit a regressor on the rows that a filter keeps.

    The filter sees X only: all rows are one class. One that judges targets, such as
    :class:`~skpoison.filters.TrimFilter`, sees them too.

    Parameters
    ----------
    filter : filter or outlier detector, default=None
        What judges the training rows: any estimator whose ``fit_predict(X)`` gives 1
        for rows to keep and -1 for the others, a detector of PyOD (which gives 0 and
        1), or a pipeline that ends in one of these. By default,
        :class:`SphereFilter` at percentile 70.
    estimator : regressor, default=None
        What is fitted on the kept rows. By default,
        :class:`~sklearn.linear_model.LinearRegression`.

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
    A filter that is not told the targets cannot see poison that lies in the targets
    alone; :class:`~skpoison.filters.TrimFilter` can.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skpoison import FilteredRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> int(FilteredRegressor().fit(X, y).inlier_mask_.sum())
    309
    """

    _routed = ("fit", *DelegatedRegressorMixin._routed)
    _default_filter = SphereFilter
    _default_estimator = LinearRegression

    def _shows_targets(self):
        return getattr(last_step(self._filter()), "_judges_targets", False)
