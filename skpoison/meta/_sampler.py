"""A filter as a sampler, for the pipelines of imbalanced-learn."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils._metadata_requests import METHODS
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import indexable, validate_data

from skpoison._column_types import RowsLike, check_holds_rows
from skpoison._defaults import default_cleaner
from skpoison._delegated import check_fit_params
from skpoison._judging import fit_and_find_kept
from skpoison._sampler_tags import sampler_tags
from skpoison._versions import VersionedMixin


class DropOutliers(OneToOneFeatureMixin, VersionedMixin, BaseEstimator):
    """Drop the rows that a filter rejects, as a sampler.

    A step for ``imblearn.pipeline.Pipeline``: it drops rows when the pipeline is fitted
    and is skipped when it predicts.

    Parameters
    ----------
    filter : filter or outlier detector, default=None
        What judges the rows: any estimator whose ``fit_predict(X, y)`` gives 1 for
        rows to keep and -1 for the others, a detector of PyOD (which gives 0 and 1), or
        a pipeline that ends in one of these. One that is fitted already and wrapped in
        :class:`~sklearn.frozen.FrozenEstimator` stays as it is: the rows are judged by
        its ``predict``. By default, ``AutoFilter(random_state=0)``; see
        :class:`~skpoison.AutoFilter`.
    ignore_y : bool, default=False
        Whether to fit the filter without y. Required for regression on integer targets,
        which would be treated as classes; the default filter then warns that it ignores
        labels. :class:`~skpoison.FilteredRegressor` passes the targets to it.

    Attributes
    ----------
    filter_ : filter
        The fitted filter.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the rows that are kept.
    sample_indices_ : ndarray of shape (n_kept,)
        Indices of the kept rows, in ascending order.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    FilteredClassifier : The same for scikit-learn's pipelines.

    Notes
    -----
    imbalanced-learn does not have to be installed; its pipelines recognize samplers by
    their ``fit_resample``.

    imbalanced-learn's pipelines cut X and y alone: a step after this one that gets
    weights or groups gets those of all rows, and refuses them.
    :class:`~skpoison.FilteredClassifier` cuts them along.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skpoison import DropOutliers, SphereFilter
    >>> X, y = load_iris(return_X_y=True)
    >>> X_kept, y_kept = DropOutliers(SphereFilter(80)).fit_resample(X, y)
    >>> X_kept.shape
    (120, 4)

    What else belongs to the rows is cut along:

    >>> import numpy as np
    >>> weights = np.linspace(1, 2, 150)
    >>> drop = DropOutliers(SphereFilter(80))
    >>> X_kept, y_kept, weights_kept = drop.fit_resample(X, y, weights)
    >>> weights_kept.shape
    (120,)
    """

    _parameter_constraints: dict = {
        "filter": [HasMethods(["fit_predict"]), FrozenEstimator, None],
        "ignore_y": ["boolean"],
    }

    def __init__(self, filter: BaseEstimator | None = None, *, ignore_y: bool = False):
        self.filter = filter
        self.ignore_y = ignore_y

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        of_filter = get_tags(self._filter()).input_tags
        tags.input_tags.sparse = of_filter.sparse
        tags.input_tags.allow_nan = of_filter.allow_nan
        tags.target_tags.required = True
        return sampler_tags(tags, sample_indices=True)

    def _filter(self):
        return default_cleaner() if self.filter is None else self.filter

    def fit(self, X: RowsLike, y: ArrayLike, **fit_params: object) -> Self:
        """Fit the filter.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, some of which may be poison.
        y : array-like of shape (n_samples,)
            Their labels, or targets.
        **fit_params : dict
            Passed to the filter, such as the ``sample_weight`` that it is fitted with.
            With metadata routing enabled, it gets what it requests.

        Returns
        -------
        self : DropOutliers
            This sampler, fitted.

        Raises
        ------
        ValueError
            If the filter rejects every row, refuses X or y, or is no outlier detector.
            If weights or groups are not as many as rows, or weights are negative, NaN
            or infinite.
        TypeError
            If the filter does not take a parameter of `fit_params`.

        Warns
        -----
        FilterWarning
            If the filter rejects every row of a class: the best one is kept, where
            there are scores to tell it by, unless the filter is frozen.
        """
        self._validate_params()
        check_holds_rows(X)
        validate_data(self, X, y, skip_check_array=True)
        check_fit_params(fit_params, X)
        params = self._route(fit_params)
        X, y = indexable(X, y)
        self.filter_ = clone(self._filter())
        labels = None if self.ignore_y else y
        self.inlier_mask_ = fit_and_find_kept(self.filter_, X, labels, params)
        self.sample_indices_ = np.flatnonzero(self.inlier_mask_)
        return self

    def _route(self, params):
        if not get_config()["enable_metadata_routing"]:
            return params
        return process_routing(self, "fit", **params).filter.fit_predict

    def get_metadata_routing(self) -> MetadataRouter:
        """Tell which metadata goes where.

        Returns
        -------
        routing : :class:`~sklearn.utils.metadata_routing.MetadataRouter`
            Everything goes to the filter, as it requests it.
        """
        fits = MethodMapping().add(caller="fit", callee="fit_predict")
        if "fit_resample" in METHODS:  # imbalanced-learn adds it
            fits.add(caller="fit_resample", callee="fit_predict")
        return MetadataRouter(owner=self).add(
            filter=self._filter(), method_mapping=fits
        )

    def fit_resample(
        self, X: RowsLike, y: ArrayLike, *arrays: ArrayLike, **fit_params: object
    ) -> tuple:
        """Fit the filter, and return the rows that it keeps.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, some of which may be poison.
        y : array-like of shape (n_samples,)
            Their labels, or targets.
        *arrays : array-likes of length n_samples
            Whatever else belongs to the rows: weights, groups, identifiers. The filter
            does not look at them.
        **fit_params : dict
            Passed to the filter, as by :meth:`fit`; not returned.

        Returns
        -------
        X : {array-like, sparse matrix} of shape (n_kept, n_features)
            The kept rows, in a container of the same type.
        y : array-like of shape (n_kept,)
            Their labels, or targets.
        *arrays : array-likes of length n_kept
            The same of everything else that was given. ``None`` stays ``None``.
        """
        check_holds_rows(X)
        X, y, *arrays = indexable(X, y, *arrays)
        self.fit(X, y, **fit_params)
        rows = self.sample_indices_
        return tuple(
            None if array is None else _safe_indexing(array, rows)
            for array in (X, y, *arrays)
        )
