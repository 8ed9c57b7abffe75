"""Estimators that are fitted on poisoned data."""

from inspect import signature
from typing import Self

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import validate_data

from skpoison._column_types import RowsLike
from skpoison._defaults import default_filter, default_sphere
from skpoison._delegated import (
    DelegatedClassifierMixin,
    DelegatedMixin,
    DelegatedRegressorMixin,
)
from skpoison._fitted import fit_clone
from skpoison._versions import VersionedMixin
from skpoison.base import BaseFilter
from skpoison.meta._filtered import (
    BaseFiltered,
    FilteredClassifier,
    FilteredRegressor,
)
from skpoison.meta._sampler import DropOutliers


def filter_of(estimator: BaseEstimator) -> BaseEstimator | None:
    """Return the filter in front of an estimator; raise if one is nested inside it."""
    if isinstance(estimator, BaseFilter):
        return estimator
    if isinstance(estimator, BaseFiltered | DropOutliers):
        return estimator._filter()
    if not isinstance(estimator, Pipeline):
        _refuse_hidden_filter(estimator)
        return None
    steps = [
        step
        for _, step in estimator.steps
        if step is not None and step != "passthrough"
    ]
    found = [filter_of(step) for step in steps]
    if found[0] is None and any(filter_ is not None for filter_ in found):
        raise ValueError(
            f"The filter comes after {type(steps[0]).__name__} in the pipeline, so an "
            "attack on the pipeline's input cannot use it. Move the steps before the "
            "filter in front of PoisonedClassifier, or set adaptive=False."
        )
    return found[0]


def _refuse_hidden_filter(estimator):
    parameters = estimator.get_params().values() if _has_params(estimator) else ()
    if any(isinstance(one, BaseFilter | BaseFiltered) for one in parameters):
        name = type(estimator).__name__
        raise ValueError(
            f"There is a filter inside {name}, where an attack cannot use it. Pass "
            f"{name} to FilteredClassifier rather than wrapping it, or set "
            "adaptive=False."
        )


def _has_params(estimator):
    return hasattr(estimator, "get_params") and not isinstance(estimator, type)


def set_attack_filter(
    attack: BaseEstimator, filter: BaseEstimator | None
) -> BaseEstimator:
    """Set the filter that an attack faces, if the attack uses one.

    This makes the attack adaptive. :class:`PoisonedClassifier` and
    :func:`skpoison.evaluation.evaluate_attack` use this function.

    Parameters
    ----------
    attack : sampler
        The attack; its parameter ``filter`` is set if it has one.
    filter : filter, pipeline that begins with one, or None
        The filter. The attack gets a clone, which it fits on the clean rows. None
        leaves the attack unchanged.

    Returns
    -------
    attack : sampler
        The attack.

    Raises
    ------
    ValueError
        If the attack cannot use the filter, because its ``decision_function`` is
        missing or does not take labels, or because other steps come before it.

    See Also
    --------
    PoisonedClassifier : Passes the filter of a classifier to an attack.

    References
    ----------
    .. [1] F. Tramer, N. Carlini, W. Brendel and A. Madry, "On Adaptive Attacks to
       Adversarial Example Defenses", NeurIPS 2020.

    Examples
    --------
    >>> from skpoison import SphereFilter
    >>> from skpoison.attacks import MinMaxAttack
    >>> from skpoison.meta import set_attack_filter
    >>> set_attack_filter(MinMaxAttack(), SphereFilter(90)).filter
    SphereFilter(percentile=90)
    """
    if filter is None or not _faces_a_filter(attack):
        return attack
    if isinstance(filter, Pipeline):
        filter = filter_of(filter) or filter
    if not hasattr(filter, "decision_function"):
        raise ValueError(
            f"{filter!r} has no decision_function for new rows, so an attack cannot "
            "adapt to it. With adaptive=False, the attack keeps its own filter."
        )
    if "y" not in signature(filter.decision_function).parameters:
        raise ValueError(
            f"The decision_function of {filter!r} does not take labels, so an attack "
            "cannot adapt to it. With adaptive=False, the attack keeps its own filter."
        )
    return attack.set_params(filter=clone(filter))


def _faces_a_filter(attack):
    """Return whether an attack uses its filter."""
    has_filter = "filter" in attack.get_params(deep=False)
    return has_filter and getattr(attack, "_faces_filter", True)


class BasePoisoned(DelegatedMixin, MetaEstimatorMixin, VersionedMixin, BaseEstimator):
    """An attack in front of an estimator.

    A subclass defines ``_default_estimator()``.
    """

    _parameter_constraints: dict = {
        "attack": [HasMethods(["fit_resample"])],
        "estimator": [HasMethods(["fit", "predict"]), None],
        "adaptive": ["boolean"],
    }

    def __init__(
        self,
        attack: BaseEstimator,
        estimator: BaseEstimator | None = None,
        *,
        adaptive: bool = True,
    ):
        self.attack = attack
        self.estimator = estimator
        self.adaptive = adaptive

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        attack, inner = get_tags(self.attack), get_tags(self._estimator())
        tags.input_tags.sparse = attack.input_tags.sparse and inner.input_tags.sparse
        return tags

    def _estimator(self):
        return self._default_estimator() if self.estimator is None else self.estimator

    def fit(self, X: RowsLike, y: ArrayLike) -> Self:
        """Fit the attack, then the estimator on clean and poison rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows.
        y : array-like of shape (n_samples,)
            Their labels or targets.

        Returns
        -------
        self : object
            This estimator, fitted.

        Raises
        ------
        ValueError
            If the attack is impossible on these rows or with this filter, or if other
            steps of a pipeline come before the filter.
        """
        self._validate_params()
        validate_data(self, X, y, skip_check_array=True)
        attack, estimator = clone(self.attack), self._estimator()
        if self.adaptive:
            set_attack_filter(attack, filter_of(estimator))
        X_all, y_all = attack.fit_resample(X, y)
        self.attack_ = attack
        self.poison_mask_ = attack.poison_mask_
        self.estimator_ = fit_clone(estimator, X_all, y_all)
        return self


class PoisonedClassifier(DelegatedClassifierMixin, BasePoisoned):
    """Fit a classifier on clean rows and the poison rows that an attack adds.

    This simulates an attack on the training data (data poisoning); prediction is not
    attacked (no evasion). In cross-validation, poison is therefore added to the
    training folds only, and scores are computed on clean rows. If the classifier has a
    filter, the attack adapts to it, with its current parameters, so a search over these
    parameters assumes an attacker who knows them.

    Parameters
    ----------
    attack : sampler
        An attack, or any sampler with ``fit_resample`` that adds rows.
    estimator : classifier, default=None
        The classifier to fit. By default, a :class:`~skpoison.FilteredClassifier` with
        the default filter of attacks and bounds: :class:`SphereFilter` and
        :class:`SlabFilter` at percentile 70, intersected.
    adaptive : bool, default=True
        Whether the attack adapts to the filter of `estimator`: that of a
        :class:`~skpoison.FilteredClassifier` or a :class:`~skpoison.DropOutliers`, or a
        filter that is the first step of a pipeline. This filter replaces the attack's
        own ``filter``, and the attack fits it on the clean rows. If False, or if
        `estimator` has no filter, the attack keeps its own.

    Attributes
    ----------
    attack_ : sampler
        The fitted attack.
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray of shape (n_classes,)
        The labels of the fitted classifier.
    poison_mask_ : ndarray of shape (n_samples + n_poison,)
        True for the poison rows among those that the classifier was fitted on.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    FilteredClassifier : The defense.
    skpoison.meta.PoisonedRegressor : The same for regression.
    skpoison.evaluation.DefenseSearchCV : Tunes a defense's parameters, and returns a
        classifier that is not fitted on the poison.
    skpoison.evaluation.evaluate_attack : Compares several attacks and defenses.

    Notes
    -----
    Use this class for evaluation only. After a search, ``best_estimator_`` is fitted on
    poison; fit its ``estimator`` on your data instead.

    ``fit`` does not support sample weights, because poison rows have none.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh and P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NeurIPS 2017, section 2.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.model_selection import cross_val_score
    >>> from skpoison import FilteredClassifier, PoisonedClassifier, SphereFilter
    >>> from skpoison.attacks import LabelFlipAttack
    >>> X, y = make_blobs(300, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> robust = FilteredClassifier(SphereFilter(70))
    >>> flips = LabelFlipAttack(0.4, random_state=0)
    >>> scores = cross_val_score(PoisonedClassifier(flips, robust), X, y)
    >>> bool(scores.mean() > 0.9)
    True
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        for part in (get_tags(self.attack), get_tags(self._estimator())):
            if part.classifier_tags is not None:
                tags.classifier_tags.multi_class &= part.classifier_tags.multi_class
        return tags

    def _default_estimator(self):
        return FilteredClassifier(default_filter())


class PoisonedRegressor(DelegatedRegressorMixin, BasePoisoned):
    """Fit a regressor on clean rows and the poison rows that an attack adds.

    This simulates an attack on the training data (data poisoning), as
    :class:`PoisonedClassifier` does for classification: in cross-validation, poison is
    added to the training folds only, and scores are computed on clean rows.

    Parameters
    ----------
    attack : sampler
        An attack on regression, such as :class:`~skpoison.attacks.TargetFlipAttack` or
        ``MinMaxAttack(estimator=Ridge())``, or any sampler with ``fit_resample`` that
        adds rows.
    estimator : regressor, default=None
        The regressor to fit. By default, a :class:`~skpoison.FilteredRegressor` with
        the default filter of attacks and bounds on regression: :class:`SphereFilter` at
        percentile 70.
    adaptive : bool, default=True
        Whether the attack adapts to the filter of `estimator`, which then replaces the
        attack's own ``filter``. If False, or if `estimator` has no filter, the attack
        keeps its own.

    Attributes
    ----------
    attack_ : sampler
        The fitted attack.
    estimator_ : regressor
        The fitted regressor.
    poison_mask_ : ndarray of shape (n_samples + n_poison,)
        True for the poison rows among those that the regressor was fitted on.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    PoisonedClassifier : The same for classification.
    FilteredRegressor : The defense.

    References
    ----------
    .. [1] M. Jagielski et al., "Manipulating Machine Learning: Poisoning Attacks and
       Countermeasures for Regression Learning", IEEE S&P 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import cross_val_score
    >>> from skpoison.attacks import MinMaxAttack
    >>> from skpoison.meta import PoisonedRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> ridge = Ridge(alpha=0.1)
    >>> poisoned = PoisonedRegressor(MinMaxAttack(0.1, estimator=ridge), ridge)
    >>> clean = cross_val_score(ridge, X, y).mean()
    >>> bool(cross_val_score(poisoned, X, y).mean() < clean - 0.1)
    True
    """

    def _default_estimator(self):
        return FilteredRegressor(default_sphere())
