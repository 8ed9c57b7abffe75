"""What filters that fit an estimator share: parameters of their fit, which it gets."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    process_routing,
)

from skpoison._column_types import RowsLike
from skpoison._delegated import (
    WithInnerWeights,
    check_fit_params,
    check_takes_weights,
    of_each_row,
    takes,
)
from skpoison._labels import shown_labels


class WeightedFitMixin:
    """For filters around something that may take weights: a ``fit`` that shows them.

    A subclass stands before :class:`~skpoison.base.BaseFilter` among the bases, and
    defines ``_takes_weights()``.
    """

    @WithInnerWeights
    def fit(
        self,
        X: RowsLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Learn which rows are normal for their class, and judge the training rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows, some of which may be poison.
        y : array-like of shape (n_samples,), default=None
            Class labels, or the targets of regression for filters that judge these.
            Without labels there is one class.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, at least 0, for the estimator that the filter fits;
            those of a class are not all 0. How many rows are rejected, and which of two
            rows first, does not depend on their own weights. Part of the signature if
            the estimator takes it.
        **fit_params : dict
            Passed to the estimator's ``fit``. What is aligned with the rows is cut down
            to those that it is fitted on, as ``sample_weight`` is. With metadata
            routing enabled, the estimator gets what it requests.

        Returns
        -------
        self : object
            The fitted filter.

        Raises
        ------
        ValueError
            If X, y or weights are malformed or hold NaN or infinity. If weights are
            negative, are not as many as rows, or are 0 for each row of a class that the
            estimator is to be fitted on. If y holds no class labels. If the estimator
            takes no sample weights, and there are some.
        """
        if sample_weight is not None:
            fit_params["sample_weight"] = sample_weight
        return super().fit(X, y, **fit_params)  # type: ignore[misc]


class InnerEstimatorMixin(WeightedFitMixin):
    """For filters that fit an estimator, which gets the parameters of their fit.

    A subclass has a parameter ``estimator``, where None stands for one that takes
    sample weights. ``_fit(X, codes, **params)`` gets what the estimator is to be fitted
    with, cut down to the rows of known labels; ``sample_weight`` is then a float64
    array. Parameters that the filter's own ``fit`` shows (groups, for instance) are the
    filter's: ``_fit`` gets them by name, and the estimator does not.

    With metadata routing enabled, the request for weights is the estimator's where one
    is given, and the filter's own where none is.

    Examples
    --------
    >>> from sklearn.linear_model import SGDClassifier
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.utils.validation import has_fit_parameter
    >>> from skpoison.filters import LossFilter
    >>> has_fit_parameter(LossFilter(estimator=SGDClassifier()), "sample_weight")
    True
    >>> has_fit_parameter(LossFilter(estimator=KNeighborsClassifier()), "sample_weight")
    False
    """

    estimator: BaseEstimator | None
    _refuse_params: Callable[..., None]

    def _trained_by(self):
        """The method of the estimator that learns."""
        return "fit"

    def _takes_weights(self):
        if self.estimator is None:
            return True
        return takes(self.estimator, "sample_weight", self._trained_by())

    def _received(self, fit_params, X):
        given = {name: one for name, one in fit_params.items() if one is not None}
        check_fit_params(given, X)
        own = {name: one for name, one in given.items() if self._is_own(name)}
        if self.estimator is not None:
            inner = self._received_by_estimator(given, own)
        else:
            inner = {name: given[name] for name in given if name not in own}
            others = inner.keys() - {"sample_weight"}
            self._refuse_params(sorted(others), "its default estimator takes none")
        return of_each_row(own | inner, X)

    def _is_own(self, name):
        return name != "sample_weight" and takes(self, name)

    def _received_by_estimator(self, given, own):
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **given)
            return dict(routed.estimator[self._trained_by()])
        inner = {name: one for name, one in given.items() if name not in own}
        check_takes_weights(inner, self.estimator, self._trained_by())
        return inner

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the metadata routing of this object.

        Returns
        -------
        routing : :class:`~sklearn.utils.metadata_routing.MetadataRouter`
            Everything goes to the estimator, where one is given, as it requests it.
            Where none is, weights are the filter's own request.
        """
        own = self._get_metadata_request()  # type: ignore[attr-defined]
        router = MetadataRouter(owner=self)
        if self.estimator is not None:
            own.fit.add_request(param="sample_weight", alias=UNUSED)
            fits = MethodMapping().add(caller="fit", callee=self._trained_by())
            router.add(estimator=self.estimator, method_mapping=fits)
        return router.add_self_request(own)


def check_classes_weigh(
    weights: np.ndarray, codes: np.ndarray, classes: np.ndarray, labelled: bool = True
) -> None:
    """Refuse weights that leave nothing of a class to fit an estimator on."""
    there = np.bincount(codes, minlength=len(classes)) > 0
    lost = there & (np.bincount(codes, weights, minlength=len(classes)) == 0)
    if not np.any(lost):
        return
    which = f" of the classes {shown_labels(classes[lost])}" if labelled else ""
    raise ValueError(
        f"sample_weight is zero for every row{which} that the filter's estimator is to "
        "be fitted on: nothing can be learned from these."
    )
