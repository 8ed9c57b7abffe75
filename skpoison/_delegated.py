"""Meta-estimators: delegation, metadata routing and sample weights."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from types import MethodType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _num_samples, check_is_fitted

from skpoison._column_types import RowsLike


def for_last_step(estimator: Any, fit_params: dict[str, Any]) -> dict[str, Any]:
    """Fit parameters by the names by which they reach the last step of a pipeline.

    With metadata routing the last step requests them; another estimator is its own.
    """
    is_pipeline = isinstance(estimator, Pipeline)
    last = estimator[-1] if is_pipeline else estimator
    if get_config()["enable_metadata_routing"]:
        if hasattr(last, "set_fit_request"):
            last.set_fit_request(**dict.fromkeys(fit_params, True))
        return fit_params
    if not is_pipeline:
        return fit_params
    name = estimator.steps[-1][0]
    return {f"{name}__{key}": value for key, value in fit_params.items()}


def estimator_has(method: str) -> Callable[[Any], bool]:
    """Return a check for ``available_if``: whether the estimator has a method."""

    def check(self):
        # Some methods come and go with parameters, so that the fitted estimator
        # decides once there is one; its AttributeError says why a method is missing.
        getattr(getattr(self, "estimator_", self._estimator()), method)
        return True

    return check


class DelegatedMixin:
    """The methods of an estimator whose fitted estimator is ``estimator_``.

    A subclass defines ``_estimator()``, the estimator to fit, and ``_routed``, the
    methods that route metadata. A method is available if the estimator has it.

    It comes before scikit-learn's mixins in the order of classes, so that ``score`` is
    the estimator's own.
    """

    estimator_: Any
    _estimator: Callable[[], Any]
    _routed: tuple[str, ...] = ("predict", "score")
    # Requests are those of the estimator inside.
    __metadata_request__score = {"sample_weight": UNUSED}

    def _route(self, method, params):
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, method, **params).estimator[method]
        return params

    def _delegate(self, method, X, *args, **params):
        check_is_fitted(self)
        params = self._route(method, params)
        return getattr(self.estimator_, method)(X, *args, **params)

    @available_if(estimator_has("predict"))
    def predict(self, X: RowsLike, **params: Any) -> np.ndarray:
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
    def score(
        self,
        X: RowsLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        **params: Any,
    ) -> float:
        """Score the fitted estimator; new rows are not filtered.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, if the estimator's ``score`` takes them.
        **params : dict
            Passed to the estimator.

        Returns
        -------
        score : float
            The estimator's own score.
        """
        if sample_weight is not None:
            params["sample_weight"] = sample_weight
        return self._delegate("score", X, y, **params)

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the metadata routing of this object.

        Returns
        -------
        routing : :class:`~sklearn.utils.metadata_routing.MetadataRouter`
            Routes all metadata to the estimator.
        """
        mapping = MethodMapping()
        for method in self._routed:
            mapping.add(caller=method, callee=method)
        return MetadataRouter(owner=self).add(
            estimator=self._estimator(), method_mapping=mapping
        )


class DelegatedRegressorMixin(DelegatedMixin, RegressorMixin):
    """The methods of a regressor whose fitted regressor is ``estimator_``."""


class DelegatedClassifierMixin(DelegatedMixin, ClassifierMixin):
    """The methods of a classifier whose fitted classifier is ``estimator_``."""

    _routed: tuple[str, ...] = (
        "predict",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "score",
    )

    @property
    def classes_(self) -> np.ndarray:
        """The labels of the fitted classifier."""
        return self.estimator_.classes_

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X: RowsLike, **params: Any) -> np.ndarray:
        """Probabilities of the classes, from the fitted classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        **params : dict
            Passed to the classifier.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Columns are ordered like ``classes_``.
        """
        return self._delegate("predict_proba", X, **params)

    @available_if(estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: RowsLike, **params: Any) -> np.ndarray:
        """Logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        **params : dict
            Passed to the classifier.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Columns are ordered like ``classes_``.
        """
        return self._delegate("predict_log_proba", X, **params)

    @available_if(estimator_has("decision_function"))
    def decision_function(self, X: RowsLike, **params: Any) -> np.ndarray:
        """Decision values of the fitted classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        **params : dict
            Passed to the classifier.

        Returns
        -------
        decisions : ndarray of shape (n_samples,) or (n_samples, n_classes)
            The classifier's decision values (not a filter's).
        """
        return self._delegate("decision_function", X, **params)


class WithInnerWeights:
    """A ``fit`` whose signature has ``sample_weight`` if what is inside takes it.

    Ensembles and calibration look at signatures to decide how they fit: bagging, for
    instance, draws rows by weights wherever it can.

    The method has a parameter ``sample_weight=None``, and the class a method
    ``_takes_weights()``.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.utils.validation import has_fit_parameter
    >>> from skpoison import FilteredClassifier
    >>> has_fit_parameter(FilteredClassifier(), "sample_weight")
    True
    >>> without = FilteredClassifier(estimator=KNeighborsClassifier())
    >>> has_fit_parameter(without, "sample_weight")
    False
    """

    def __init__(self, fit):
        @wraps(fit)
        def without_weights(*args, **params):
            return fit(*args, **params)

        shown = signature(fit)
        without_weights.__signature__ = shown.replace(  # type: ignore[attr-defined]
            parameters=[
                parameter
                for name, parameter in shown.parameters.items()
                if name != "sample_weight"
            ]
        )
        self._with, self._without = fit, without_weights
        self.__doc__ = fit.__doc__

    def __get__(self, instance, owner=None):
        """Return the method of an instance, or the function."""
        if instance is None:
            return self._with
        shown = self._with if instance._takes_weights() else self._without
        return MethodType(shown, instance)


def check_fit_params(fit_params: dict[str, Any], X: RowsLike) -> None:
    """Refuse weights and groups that cannot be those of the rows, before any work.

    They are known by their names, prefixed or not. One value for all rows may pass.
    """
    for name, values in fit_params.items():
        is_whole = values is None or np.isscalar(values)
        if is_whole or not name.endswith(("sample_weight", "groups")):
            continue
        if _num_samples(values) != _num_samples(X):
            raise ValueError(
                f"{name} has {_num_samples(values)} values for {_num_samples(X)} rows; "
                "it must have one for each row, including rejected rows."
            )
        if name.endswith("sample_weight"):
            _check_weights(name, values)


def _check_weights(name, values):
    weights = np.asarray(values)
    if weights.ndim != 1 or weights.dtype.kind not in "biufO":
        raise ValueError(
            f"{name} must hold one number for each row; got an array of shape "
            f"{weights.shape} and type {weights.dtype}."
        )
    weights = weights.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        raise ValueError(
            f"{name} must hold numbers of at least 0; row {wrong[0]} has "
            f"{weights[wrong[0]]}, as {len(wrong)} of {len(weights)} rows in all have "
            "negative ones, NaN or infinity."
        )
    with np.errstate(over="ignore"):
        is_too_large = not np.isfinite(weights.sum())
    if is_too_large:
        raise ValueError(
            f"{name} holds weights as large as {weights.max():.2g}, whose sum "
            "overflows: divide them by the largest one."
        )
    if len(weights) and not weights.any():
        raise ValueError(f"{name} is zero for every row: nothing is left to fit on.")


def of_each_row(params: dict[str, Any], X: RowsLike) -> dict[str, Any]:
    """Make arrays of checked weights and groups; one weight for all is repeated."""
    arrays = dict(params)
    if "sample_weight" in params:
        weights = np.empty(_num_samples(X))
        weights[:] = params["sample_weight"]
        arrays["sample_weight"] = weights
    if "groups" in params:
        arrays["groups"] = np.asarray(params["groups"])
    return arrays


def check_takes_weights(
    fit_params: dict[str, Any], estimator: BaseEstimator, method: str = "fit"
) -> None:
    """Refuse sample weights, where metadata is not routed, that an estimator ignores.

    The method is the one that fits it.
    """
    is_routed = get_config()["enable_metadata_routing"]
    if "sample_weight" not in fit_params or is_routed:
        return
    fit = getattr(estimator, method, None)
    parameters = {} if fit is None else signature(fit).parameters
    takes_all = any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())
    if not (takes_all or "sample_weight" in parameters):
        raise ValueError(
            f"{type(estimator).__name__} does not support sample_weight. Omit it, or "
            "use another estimator."
        )


def takes(estimator: object, name: str, method: str = "fit") -> bool:
    """Whether the signature of the method that fits an estimator has a parameter."""
    fit = getattr(estimator, method, None)
    return fit is not None and name in signature(fit).parameters
