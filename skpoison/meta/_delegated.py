"""Classifiers that hand predictions on to the classifier that they have fitted."""

from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from skpoison.meta._base import estimator_has


class DelegatedClassifierMixin(ClassifierMixin):
    """The methods of a classifier whose fitted classifier is ``estimator_``.

    A subclass defines ``_estimator()``, what is fitted, and
    ``_delegate(method, X, **params)``, which calls a method of what has been fitted.
    Methods are there if the classifier has them.

    Examples
    --------
    >>> from skpoison import FilteredClassifier
    >>> from skpoison.meta._delegated import DelegatedClassifierMixin
    >>> issubclass(FilteredClassifier, DelegatedClassifierMixin)
    True
    """

    @property
    def classes_(self):
        """The labels that the fitted classifier knows."""
        return self.estimator_.classes_

    @available_if(estimator_has("predict"))
    def predict(self, X, **params):
        """Predict with the fitted classifier; new rows are not filtered.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        **params : dict
            Passed to the classifier.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels.
        """
        return self._delegate("predict", X, **params)

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
