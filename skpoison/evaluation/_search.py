"""Tuning of a defense's parameters against an attacker who knows them."""

from collections.abc import Callable, Iterable
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.model_selection import BaseCrossValidator, GridSearchCV, check_cv
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import indexable, validate_data

from skpoison._column_types import RowsLike
from skpoison._delegated import DelegatedClassifierMixin, check_fit_params
from skpoison._labels import check_labels
from skpoison._versions import VersionedMixin
from skpoison.evaluation._losses import neg_loss_scorer
from skpoison.meta import PoisonedClassifier

PREFIX = "estimator__"


class DefenseSearchCV(
    DelegatedClassifierMixin, MetaEstimatorMixin, VersionedMixin, BaseEstimator
):
    """Tune a defense's parameters by held-out loss under attack.

    A certified bound alone cannot be used to choose the percentile of a filter: it
    never decreases with the percentile, so the smallest percentile would always win,
    however many clean rows it rejects. Instead, this search scores each setting by the
    loss on *all* held-out clean rows of a classifier trained on the rows that the
    filter keeps, of clean rows and an attack that adapts to the setting. The loss
    without attack is reported as well.

    Unlike with ``GridSearchCV(PoisonedClassifier(...))``, the best estimator is
    refitted on the given rows without added poison.

    Parameters
    ----------
    attack : sampler
        The attack; it adapts to the filter of `estimator`, with its current parameters.
    estimator : classifier
        The defended classifier, such as :class:`~skpoison.FilteredClassifier`.
    param_grid : dict or list of dict
        Parameters of `estimator` to try, as in
        :class:`~sklearn.model_selection.GridSearchCV`: ``filter__percentile`` and so
        on.
    scoring : str, callable or None, default=None
        The score; higher is better. None means the negative held-out loss,
        :func:`skpoison.evaluation.neg_loss_scorer`.
    cv : int, splitter or iterable, default=None
        Cross-validation splits of the clean rows. Use
        :class:`~skpoison.meta.TrustedKFold` if some rows may already be poison.
    n_jobs : int, default=None
        Number of fits to run in parallel.
    adaptive : bool, default=True
        Whether the attack adapts to the filter of each setting. With False, it uses its
        own filter for all settings. This is required for filters that cannot score new
        rows, such as :class:`~skpoison.filters.EPICFilter`.
    error_score : "raise" or float, default=np.nan
        Score of a fit that fails, for example because no attack is possible against a
        setting; a warning is issued. Settings with mean NaN are never the best.

    Attributes
    ----------
    best_params_ : dict
        The best setting of `estimator`.
    best_score_ : float
        Its mean score under attack.
    best_index_ : int
        Its position in `cv_results_`.
    best_estimator_ : classifier
        `estimator` with these parameters, fitted on the given rows without attack.
    cv_results_ : dict of ndarrays
        ``params``; ``param_...`` for each parameter; ``mean_attacked_score``,
        ``std_attacked_score``, ``mean_clean_score`` and ``std_clean_score``; NaN if a
        fit failed.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    Raises
    ------
    ValueError
        At fit, if no setting has a score, or a fit fails and ``error_score="raise"``.

    See Also
    --------
    skpoison.PoisonedClassifier : The classifier that is scored.
    skpoison.inspection.DefenseDisplay : Plots the search, with the bound.

    Notes
    -----
    The result depends on the attack: a stronger one may favor another setting. Search
    with several attacks, and check the bound.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skpoison import FilteredClassifier, NormConstrainedSVC, SphereFilter
    >>> from skpoison.attacks import MinMaxAttack
    >>> from skpoison.evaluation import DefenseSearchCV
    >>> X, y = make_blobs(200, centers=[[-1, 0], [1, 0]], random_state=0)
    >>> robust = FilteredClassifier(SphereFilter(), NormConstrainedSVC(rho=1.5))
    >>> search = DefenseSearchCV(
    ...     MinMaxAttack(0.2, rho=1.5), robust, {"filter__percentile": [50, 90]}, cv=3
    ... ).fit(X, y)
    >>> sorted(search.best_params_)
    ['filter__percentile']
    """

    _parameter_constraints: dict = {
        "attack": [HasMethods(["fit_resample"])],
        "estimator": [HasMethods(["fit", "predict"])],
        "param_grid": [dict, list],
        "adaptive": ["boolean"],
        "error_score": [StrOptions({"raise"}), Real],
    }

    def __init__(
        self,
        attack: BaseEstimator,
        estimator: ClassifierMixin,
        param_grid: dict | list[dict],
        *,
        scoring: str | Callable | None = None,
        cv: int | BaseCrossValidator | Iterable | None = None,
        n_jobs: int | None = None,
        adaptive: bool = True,
        error_score: float | str = np.nan,
    ):
        self.attack = attack
        self.estimator = estimator
        self.param_grid = param_grid
        self.scoring = scoring
        self.cv = cv
        self.n_jobs = n_jobs
        self.adaptive = adaptive
        self.error_score = error_score

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        poisoned = get_tags(PoisonedClassifier(self.attack, self.estimator))
        tags.input_tags.sparse = poisoned.input_tags.sparse
        tags.classifier_tags = poisoned.classifier_tags
        return tags

    def _estimator(self):
        return self.estimator

    @property
    def estimator_(self) -> ClassifierMixin:
        """The best estimator, to which predictions are delegated."""
        return self.best_estimator_

    def fit(self, X: RowsLike, y: ArrayLike, **params: Any) -> Self:
        """Search, and fit the best defense.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Clean rows.
        y : array-like of shape (n_samples,)
            Their labels.
        **params : dict
            ``groups``, of shape (n_samples,), for the splitter. With metadata routing
            enabled, what the splitter requests. Weights are not among it: poison rows
            have none.

        Returns
        -------
        self : DefenseSearchCV
            The search, with the fitted defense.

        Raises
        ------
        TypeError
            If `params` holds anything else.
        """
        self._validate_params()
        validate_data(self, X, y, skip_check_array=True)
        check_labels(y)
        check_fit_params(params, X)
        for_splitter = self._route_split(params)
        X, y = indexable(X, y)
        folds = list(check_cv(self.cv, y, classifier=True).split(X, y, **for_splitter))
        poisoned = PoisonedClassifier(
            self.attack, self.estimator, adaptive=self.adaptive
        )
        grid = _prefixed(self.param_grid)
        attacked = self._search(poisoned, grid, folds, X, y)
        if np.isnan(attacked.cv_results_["mean_test_score"]).all():
            # Each setting failed in some fold: the first error says best what is wrong.
            self._search(poisoned, grid, folds, X, y, error_score="raise")
        clean = self._search(self.estimator, self.param_grid, folds, X, y)
        self._report(attacked, clean)
        # Copies: setting a parameter of a filter in the grid would change the user's.
        chosen = clone(self.best_params_, safe=False)
        best = clone(self.estimator).set_params(**chosen)
        best.fit(X, y)
        self.best_estimator_ = best
        return self

    def _route_split(self, params):
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params)
            return routed.get("splitter", {}).get("split", {})
        others = sorted(params.keys() - {"groups"})
        if others:
            raise TypeError(
                f"DefenseSearchCV takes no {', '.join(others)} when it is fitted: it "
                "takes groups, for the splitter. Poison rows have no weights."
            )
        return params

    def get_metadata_routing(self) -> MetadataRouter:
        """Tell which metadata goes where.

        Returns
        -------
        routing : :class:`~sklearn.utils.metadata_routing.MetadataRouter`
            That of ``fit`` goes to the splitter, and all other to the estimator.
        """
        router = super().get_metadata_routing()
        if hasattr(self.cv, "split"):
            splits = MethodMapping().add(caller="fit", callee="split")
            router.add(splitter=self.cv, method_mapping=splits)
        return router

    def _search(self, estimator, grid, folds, X, y, error_score=None):
        search = GridSearchCV(
            estimator,
            grid,
            scoring=neg_loss_scorer if self.scoring is None else self.scoring,
            cv=folds,
            n_jobs=self.n_jobs,
            refit=False,
            error_score=self.error_score if error_score is None else error_score,
        )
        return search.fit(X, y)

    def _report(self, attacked, clean):
        found = attacked.cv_results_
        self.cv_results_ = {
            name.replace(PREFIX, "", 1): values
            for name, values in found.items()
            if name.startswith("param_")
        }
        self.cv_results_ |= {
            "params": clean.cv_results_["params"],
            "mean_attacked_score": found["mean_test_score"],
            "std_attacked_score": found["std_test_score"],
            "mean_clean_score": clean.cv_results_["mean_test_score"],
            "std_clean_score": clean.cv_results_["std_test_score"],
        }
        self.best_index_ = int(np.nanargmax(found["mean_test_score"]))
        self.best_score_ = float(found["mean_test_score"][self.best_index_])
        self.best_params_ = self.cv_results_["params"][self.best_index_]


def _prefixed(grid):
    """Return a grid for the estimator inside another one."""
    grids = [grid] if isinstance(grid, dict) else grid
    return [{PREFIX + name: values for name, values in g.items()} for g in grids]
