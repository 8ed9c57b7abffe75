"""Sample weights for the estimator inside."""

from functools import wraps
from inspect import Parameter, signature
from types import MethodType

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import _num_samples, has_fit_parameter


class WithInnerWeights:
    """A ``fit`` whose signature has ``sample_weight`` if the inner estimator's has it.

    Ensembles and calibration look at signatures to decide how they fit: bagging, for
    instance, draws rows by weights wherever it can.

    Parameters
    ----------
    fit : function
        The method, with a parameter ``sample_weight=None``.

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
        without_weights.__signature__ = shown.replace(
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
        inner = instance._estimator()
        shows = hasattr(inner, "fit") and has_fit_parameter(inner, "sample_weight")
        return MethodType(self._with if shows else self._without, instance)


def check_weights(fit_params, X, estimator):
    """Refuse sample weights that cannot be used, before rows are cut.

    Parameters
    ----------
    fit_params : dict
        Parameters of ``fit``; those whose names end in ``sample_weight`` are looked at.
    X : array-like of shape (n_samples, ...)
        All rows.
    estimator : estimator
        What the weights are for.

    Raises
    ------
    ValueError
        If weights do not belong to the rows, or the estimator takes none.
    """
    for name, values in fit_params.items():
        is_whole = values is None or np.isscalar(values)
        if is_whole or not name.endswith("sample_weight"):
            continue
        if _num_samples(values) != _num_samples(X):
            raise ValueError(
                f"{name} has {_num_samples(values)} values for {_num_samples(X)} rows; "
                "it needs one for each row given, rejected ones included."
            )
    is_routed = get_config()["enable_metadata_routing"]
    if "sample_weight" in fit_params and not (is_routed or _may_take(estimator)):
        raise ValueError(
            f"{type(estimator).__name__} takes no sample_weight; got one. Leave it "
            "out, or take another estimator."
        )


def _may_take(estimator):
    parameters = signature(estimator.fit).parameters
    takes_all = any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())
    return takes_all or "sample_weight" in parameters
