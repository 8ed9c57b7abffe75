"""What estimators around a filter share."""

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_method_params,
    _num_samples,
    check_is_fitted,
    indexable,
    validate_data,
)


def fit_and_find_kept(filter_, X, y):
    """Fit a filter, and find the rows that it keeps.

    Parameters
    ----------
    filter_ : filter or outlier detector
        Has a ``fit_predict`` that gives 1 for rows to keep.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Training rows.
    y : array-like of shape (n_samples,) or None
        Their labels.

    Returns
    -------
    kept : ndarray of shape (n_samples,)
        True for the rows that are kept.

    Raises
    ------
    ValueError
        If the filter rejects every row.
    """
    kept = np.asarray(filter_.fit_predict(X, y)) == 1
    if not np.any(kept):
        raise ValueError(
            f"{type(filter_).__name__} rejects every row: nothing is left to fit on. "
            "Let the filter keep more."
        )
    return kept


def estimator_has(method):
    """Make a check for ``available_if``: whether the estimator has a method.

    Parameters
    ----------
    method : str
        Name of the method.

    Returns
    -------
    check : callable
        Returns True, or raises the estimator's own AttributeError.
    """

    def check(self):
        # Some methods come and go with parameters, so that the fitted estimator
        # decides once there is one; its AttributeError says why a method is missing.
        getattr(getattr(self, "estimator_", self._estimator()), method)
        return True

    return check


def _check_weights(fit_params, X):
    """Refuse sample weights that do not belong to the rows, before rows are cut."""
    for name, values in fit_params.items():
        aligned = name.endswith("sample_weight") and np.ndim(values) > 0
        if aligned and _num_samples(values) != _num_samples(X):
            raise ValueError(
                f"{name} has {_num_samples(values)} values for {_num_samples(X)} rows; "
                "it needs one for each row given, rejected ones included."
            )


class BaseFiltered(MetaEstimatorMixin, BaseEstimator):
    """A filter in front of an estimator.

    A subclass defines ``_default_filter`` and ``_default_estimator``, ``_labels(y)``,
    which is what the filter gets to see of y, and ``_routed``, the methods that hand
    metadata on.

    Parameters
    ----------
    filter : filter or outlier detector, default=None
        What judges the training rows.
    estimator : estimator, default=None
        What is fitted on the kept rows.

    Attributes
    ----------
    filter_ : filter
        The fitted filter.
    estimator_ : estimator
        The fitted estimator.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept.

    Examples
    --------
    >>> from skpoison.meta._base import BaseFiltered
    >>> from skpoison import FilteredRegressor
    >>> issubclass(FilteredRegressor, BaseFiltered)
    True
    """

    _parameter_constraints: dict = {
        "filter": [HasMethods(["fit_predict"]), None],
        "estimator": [HasMethods(["fit", "predict"]), None],
    }

    def __init__(self, filter=None, estimator=None):
        self.filter = filter
        self.estimator = estimator

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self._estimator())
        tags.input_tags.sparse = (
            inner.input_tags.sparse and get_tags(self._filter()).input_tags.sparse
        )
        tags.target_tags.multi_output = inner.target_tags.multi_output
        return tags

    def _filter(self):
        return self._default_filter() if self.filter is None else self.filter

    def _estimator(self):
        return self._default_estimator() if self.estimator is None else self.estimator

    def fit(self, X, y, **fit_params):
        """Fit the filter, and the estimator on the rows that the filter keeps.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, some of which may be poison.
        y : array-like of shape (n_samples,)
            Targets.
        **fit_params : dict
            Passed to the estimator's ``fit``; what is aligned with the rows, such as
            ``sample_weight``, is cut down to the kept ones. With metadata routing
            enabled, the estimator gets what it requests.

        Returns
        -------
        self : object
            This estimator, fitted.

        Raises
        ------
        ValueError
            If the filter rejects every row, or refuses X or y.
        """
        self._validate_params()
        validate_data(self, X, y, skip_check_array=True)
        _check_weights(fit_params, X)
        params = self._route("fit", fit_params)
        X, y = indexable(X, y)
        self.filter_ = clone(self._filter())
        self.inlier_mask_ = fit_and_find_kept(self.filter_, X, self._labels(y))
        rows = np.flatnonzero(self.inlier_mask_)
        self.estimator_ = clone(self._estimator()).fit(
            _safe_indexing(X, rows),
            _safe_indexing(y, rows),
            **_check_method_params(X, params, indices=rows),
        )
        return self

    def _route(self, method, params):
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, method, **params).estimator[method]
        return params

    def _delegate(self, method, X, *args, **params):
        check_is_fitted(self)
        params = self._route(method, params)
        return getattr(self.estimator_, method)(X, *args, **params)

    @available_if(estimator_has("predict"))
    def predict(self, X, **params):
        """Predict with the fitted estimator; new rows are not filtered.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        **params : dict
            Passed to the estimator.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        """
        return self._delegate("predict", X, **params)

    @available_if(estimator_has("score"))
    def score(self, X, y, **params):
        """Score the fitted estimator; new rows are not filtered.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True targets.
        **params : dict
            Passed to the estimator, for instance ``sample_weight``.

        Returns
        -------
        score : float
            The estimator's own score.
        """
        return self._delegate("score", X, y, **params)

    def get_metadata_routing(self):
        """Tell which metadata goes where.

        Returns
        -------
        routing : :class:`~sklearn.utils.metadata_routing.MetadataRouter`
            Everything goes to the estimator.
        """
        mapping = MethodMapping()
        for method in self._routed:
            mapping.add(caller=method, callee=method)
        return MetadataRouter(owner=self).add(
            estimator=self._estimator(), method_mapping=mapping
        )
