"""Estimators that hand predictions on to the estimator that they have fitted."""

from sklearn import get_config
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted


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


class DelegatedMixin:
    """The methods of an estimator whose fitted estimator is ``estimator_``.

    A subclass defines ``_estimator()``, what is fitted, and ``_routed``, the methods
    that hand metadata on. Methods are there if the estimator has them.

    It comes before scikit-learn's mixins in the order of classes, so that ``score`` is
    the estimator's own.

    Examples
    --------
    >>> from skpoison import FilteredClassifier, FilteredRegressor
    >>> from skpoison.meta._delegated import DelegatedMixin
    >>> issubclass(FilteredClassifier, DelegatedMixin)
    True
    >>> issubclass(FilteredRegressor, DelegatedMixin)
    True
    """

    _routed = ("predict", "score")
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
    def score(self, X, y, sample_weight=None, **params):
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


class DelegatedRegressorMixin(DelegatedMixin, RegressorMixin):
    """The methods of a regressor whose fitted regressor is ``estimator_``.

    Examples
    --------
    >>> from skpoison import FilteredRegressor
    >>> from skpoison.meta._delegated import DelegatedRegressorMixin
    >>> issubclass(FilteredRegressor, DelegatedRegressorMixin)
    True
    """


class DelegatedClassifierMixin(DelegatedMixin, ClassifierMixin):
    """The methods of a classifier whose fitted classifier is ``estimator_``.

    Examples
    --------
    >>> from skpoison import FilteredClassifier
    >>> from skpoison.meta._delegated import DelegatedClassifierMixin
    >>> issubclass(FilteredClassifier, DelegatedClassifierMixin)
    True
    """

    _routed = (
        "predict",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "score",
    )

    @property
    def classes_(self):
        """The labels that the fitted classifier knows."""
        return self.estimator_.classes_

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X, **params):
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
    def predict_log_proba(self, X, **params):
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
    def decision_function(self, X, **params):
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
