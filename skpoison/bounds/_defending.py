"""What a fitted bound is for: training on rows that nobody trusts, and checking it."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skpoison._column_types import RowsLike
from skpoison._fitted import names_left_out
from skpoison.bounds._objective import Objective
from skpoison.bounds._target_range import fixed_defense, passes

if TYPE_CHECKING:
    from skpoison.meta import FilteredClassifier, FilteredRegressor


class DefendingMixin:
    """The methods of a bound that bring its filter to untrusted rows."""

    defense: str
    epsilon: float
    upper_bound_: float
    filter_: BaseEstimator
    target_range_: Any
    classes_: np.ndarray
    _objective: Objective
    _n_rows: int

    @property
    def _is_regression(self):
        return self._objective.is_regression

    def _is_moving(self):
        return self.defense == "moving_centroids"

    def defend(
        self, estimator: BaseEstimator
    ) -> "FilteredClassifier | FilteredRegressor":
        """Put the filter that this bound covers in front of an estimator.

        Parameters
        ----------
        estimator : classifier or regressor
            The estimator, not fitted. The bound holds for its own learner.

        Returns
        -------
        defense : FilteredClassifier or FilteredRegressor
            An estimator to be fitted on rows that you do not trust. The filter is
            `filter_`, fixed: it is not fitted again, and a class of which no row passes
            keeps none (a filter that is fitted on the rows keeps the best of them,
            which may be poison that no bound covers). With moving centroids, it is the
            filter with its radii given, which estimates the centroids again. In front
            of a regressor, rows with targets outside `target_range_` are rejected too.

        See Also
        --------
        FilteredClassifier : What is returned for a classifier.
        FilteredRegressor : What is returned for a regressor.

        Raises
        ------
        ValueError
            If the estimator is a regressor and the bound about a classifier, or the
            other way round.

        Notes
        -----
        ``FilteredClassifier(FrozenEstimator(bound.filter_), estimator)`` is the same,
        if centroids are fixed.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import make_blobs
        >>> from sklearn.svm import LinearSVC
        >>> from skpoison import CertifiedBound
        >>> X, y = make_blobs(300, centers=[[-2, 0], [2, 0]], random_state=0)
        >>> bound = CertifiedBound(epsilon=0.01, C=1.0).fit(X, y)
        >>> X_sent = np.vstack([X, [[9.0, 9.0], [-9.0, 0.0]]])
        >>> defense = bound.defend(LinearSVC(loss="hinge", random_state=0))
        >>> defense.fit(X_sent, np.append(y, [0, 1])).inlier_mask_[-2:]
        array([False, False])
        """
        check_is_fitted(self)
        if estimator is not None and is_regressor(estimator) != self._is_regression:
            kinds = ("classifiers", "regressors")
            raise ValueError(
                f"The bound is about {kinds[self._is_regression]}; got "
                f"estimator={estimator!r}."
            )
        # Filtered estimators are not needed to compute a bound.
        from skpoison.meta import FilteredClassifier, FilteredRegressor

        if self._objective.is_regression:
            fixed = fixed_defense(self.filter_, self.target_range_)
            return FilteredRegressor(fixed, estimator)
        if self._is_moving():
            return FilteredClassifier(clone(self.filter_), estimator)
        frozen = self.filter_
        if not isinstance(frozen, FrozenEstimator):
            frozen = FrozenEstimator(frozen)
        return FilteredClassifier(frozen, estimator)

    def check(
        self,
        estimator: BaseEstimator,
        X: RowsLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Bunch:
        """Say whether a model that was trained on untrusted rows keeps to the bound.

        Parameters
        ----------
        estimator : classifier or regressor
            A fitted :meth:`defend`, or the fitted learner alone.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows that it was fitted on; for a filtered estimator, those that it
            rejected included.
        y : array-like of shape (n_samples,)
            Their labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights that it was fitted with.

        Returns
        -------
        checked : :class:`~sklearn.utils.Bunch`
            - `holds`: whether the training loss is at most `upper_bound_` plus the
              model's own gap (:func:`~skpoison.bounds.training_gap`). It is whenever
              the clean rows are those of :meth:`fit`, or some of them, and the others
              are at most ``floor(epsilon * n)`` and pass the filter. That the model
              was trained on these rows is taken for granted: one that was trained on
              others has a larger gap on these;
            - `within_bound`: whether it is at most `upper_bound_` itself;
            - `margin`: by how much it holds, negative where it does not;
            - `training_loss` and `training_gap` of the model, divided by the number of
              clean rows, as `upper_bound_` is;
            - `n_trained`: rows that the model was trained on;
            - `n_too_many`: how many of these are more than the clean rows and
              ``floor(epsilon * n)``: the attacker sent more than assumed;
            - `n_rejected`: how many of them the filter would have rejected, or, of a
              regressor's, the range of targets.

        Raises
        ------
        ValueError
            If the model minimizes something else than what the bound is about.

        Warns
        -----
        ConvergenceWarning
            If the model's own gap is larger than `upper_bound_` (or 0.001): its solver
            stopped far above the minimum that the bound is about.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import make_blobs
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skpoison import CertifiedBound
        >>> X, y = make_blobs(300, centers=[[-2, 0], [2, 0]], random_state=0)
        >>> learner = LogisticRegression()
        >>> bound = CertifiedBound(epsilon=0.1, estimator=learner).fit(X, y)
        >>> X_sent, y_sent = np.vstack([X, X[:30] / 2]), np.append(y, 1 - y[:30])
        >>> defense = bound.defend(learner).fit(X_sent, y_sent)
        >>> checked = bound.check(defense, X_sent, y_sent)
        >>> checked.holds, checked.n_rejected
        (True, 0)
        """
        check_is_fitted(self)
        # It needs bounds of trained models, which are like those of this class.
        from skpoison.bounds._training_gap import check_training

        return check_training(self, estimator, X, y, sample_weight)

    def _passes(self, X, y):
        """Return which of the rows that arrived the filter keeps."""
        with names_left_out():
            if self._objective.is_regression:
                return passes(self.filter_, self.target_range_, X, y)
            if self._is_moving():
                return clone(self.filter_).fit(X, y).inlier_mask_
            return self.filter_.predict(X, y) == 1
