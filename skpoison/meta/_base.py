"""What estimators around a filter share."""

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import _check_method_params, indexable, validate_data

from skpoison._fitted import fit_clone
from skpoison._labels import narrowed
from skpoison.base import BaseFilter
from skpoison.meta._judging import fit_and_find_kept, last_step
from skpoison.meta._weights import WithInnerWeights, check_weights


class BaseFiltered(MetaEstimatorMixin, BaseEstimator):
    """A filter in front of an estimator.

    A subclass defines ``_default_filter`` and ``_default_estimator``, and
    ``_shows_targets()``, whether the filter gets to see y.

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

    # Requests are those of the estimator inside.
    __metadata_request__fit = {"sample_weight": UNUSED}

    def __init__(self, filter=None, estimator=None):
        self.filter = filter
        self.estimator = estimator

    def __sklearn_tags__(self):
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
        return self._default_filter() if self.filter is None else self.filter

    def _estimator(self):
        return self._default_estimator() if self.estimator is None else self.estimator

    def _needs_one_column(self):
        """Whether the filter judges rows by y, and so needs one label for each."""
        return self._shows_targets() and isinstance(
            last_step(self._filter()), BaseFilter
        )

    @WithInnerWeights
    def fit(self, X, y, sample_weight=None, **fit_params):
        """Fit the filter, and the estimator on the rows that the filter keeps.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, some of which may be poison.
        y : array-like of shape (n_samples,)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, for the estimator alone: the filter judges rows
            whatever their weights. Part of the signature if the estimator takes it.
        **fit_params : dict
            Passed to the estimator's ``fit``. What is aligned with the rows is cut down
            to the kept ones, as ``sample_weight`` is. With metadata routing enabled,
            the estimator gets what it requests.

        Returns
        -------
        self : object
            This estimator, fitted.

        Raises
        ------
        ValueError
            If the filter rejects every row, refuses X or y, or is no outlier detector.

        Warns
        -----
        FilterWarning
            If the filter rejects every row of a class: the best one is kept, where
            there are scores to tell it by.
        """
        self._validate_params()
        validate_data(self, X, y, skip_check_array=True)
        if sample_weight is not None:
            fit_params["sample_weight"] = sample_weight
        check_weights(fit_params, X, self._estimator())
        params = self._route("fit", fit_params)
        X, y = indexable(X, y)
        self.filter_ = clone(self._filter())
        labels = y if self._shows_targets() else None
        self.inlier_mask_ = fit_and_find_kept(self.filter_, X, labels)
        rows = np.flatnonzero(self.inlier_mask_)
        self.estimator_ = fit_clone(
            self._estimator(),
            _safe_indexing(X, rows),
            narrowed(y, _safe_indexing(y, rows)),
            **_check_method_params(X, params, indices=rows),
        )
        return self
