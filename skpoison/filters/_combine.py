"""Combinations of filters."""

import functools
import operator
from copy import copy
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn import get_config
from sklearn.base import clone
from sklearn.pipeline import _name_estimators
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import _BaseComposition, available_if
from sklearn.utils.validation import _check_method_params, check_is_fitted

from skpoison._delegated import takes
from skpoison._inner import WeightedFitMixin
from skpoison._kept import spread
from skpoison.base import BaseFilter
from skpoison.filters._centroid import (
    BaseCentroidFilter,
    decide_together,
    distances_together,
    fit_together,
    score_together,
)
from skpoison.filters._distance import fitted_in_passes
from skpoison.filters._streaming import PassesMixin

if TYPE_CHECKING:
    from skpoison.feasible import FeasibleSet

__all__ = ["FilterIntersection", "FilterUnion"]

# What filters around centroids are asked together.
TOGETHER = {
    "_fit": fit_together,
    "_decide": decide_together,
    "_score": score_together,
    "_distances": distances_together,
}


class BaseCombination(WeightedFitMixin, PassesMixin, _BaseComposition):
    """Base class of combinations of filters.

    Members are fitted on all training rows, and share passes over them. A subclass
    sets ``_choose``, a function of two arrays that combines members' decisions.

    Members get those parameters of ``fit`` that their own ``fit`` shows; with metadata
    routing enabled, those that they request.
    """

    # Requests are those of the members.
    __metadata_request__fit = {"sample_weight": UNUSED}

    _parameter_constraints: dict = {
        **BaseFilter._parameter_constraints,
        "filters": [list],
    }

    def __init__(
        self,
        filters: list[tuple[str, BaseFilter]],
        *,
        random_state: int | np.random.RandomState | None = None,
    ):
        super().__init__(random_state=random_state)
        self.filters = filters

    @classmethod
    def _of(cls, *operands):
        """Combine filters; combinations of the same kind are taken apart."""
        members = [member for operand in operands for member in cls._members(operand)]
        automatic = _name_estimators([filter_ for _, filter_ in members])
        return cls(
            [
                (given or name, filter_)
                for (given, filter_), (name, _) in zip(members, automatic, strict=True)
            ]
        )

    @classmethod
    def _members(cls, operand):
        """Pairs of a name that a person gave, or None, and a filter."""
        if not isinstance(operand, cls):
            return [(None, operand)]
        automatic = _name_estimators([filter_ for _, filter_ in operand.filters])
        return [
            (None if name == generated else name, filter_)
            for (name, filter_), (generated, _) in zip(
                operand.filters, automatic, strict=True
            )
        ]

    def get_params(self, deep: bool = True) -> dict:
        """Get the parameters of this filter and of its members.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return the members and their parameters too.

        Returns
        -------
        params : dict
            Parameter names mapped to their values.
        """
        return self._get_params("filters", deep=deep)

    def set_params(self, **params: object) -> Self:
        """Set parameters of this filter or of its members, or replace members.

        Parameters
        ----------
        **params : dict
            ``filters``, ``name`` or ``name__parameter``, and their values.

        Returns
        -------
        self : object
            This filter.
        """
        self._set_params("filters", **params)
        return self

    @property
    def _transductive(self):
        return any(filter_._transductive for _, filter_ in self.filters)

    @property
    def _check_finite(self):
        return any(filter_._check_finite for _, filter_ in self.filters)

    def _validate_params(self):
        super()._validate_params()
        if not self.filters:
            raise ValueError("filters must hold at least one (name, filter); got [].")
        for pair in self.filters:
            if not (isinstance(pair, tuple) and len(pair) == 2):
                raise TypeError(f"filters must hold (name, filter) tuples; got {pair}.")
            if not isinstance(pair[1], BaseFilter):
                raise TypeError(
                    f"filters must hold skpoison filters; {pair[0]!r} is a "
                    f"{type(pair[1]).__name__}."
                )
        self._validate_names([name for name, _ in self.filters])

    @property
    def _is_strict(self):
        return any(filter_._is_strict for _, filter_ in self.filters)

    def _knows(self, classes):
        known = [filter_._knows(classes) for _, filter_ in self.filters]
        return functools.reduce(self._choose, known)

    def _takes_weights(self):
        # Asked for before filters have been validated.
        pairs = [pair for pair in self.filters if isinstance(pair, tuple)]
        return any(takes(filter_, "sample_weight") for *_, filter_ in pairs)

    def _received(self, fit_params, X):
        given = {name: one for name, one in fit_params.items() if one is not None}
        members = [filter_ for _, filter_ in self.filters]
        if not get_config()["enable_metadata_routing"]:
            untaken = [n for n in given if not any(takes(one, n) for one in members)]
            self._refuse_params(untaken, "none of its members does")
        if given:  # bad ones are errors at once
            for name, one in self.filters:
                one._received(self._params_of(name, one, given), X)
        return given

    def _received_by_leaf(self, fit_params, X):
        received: dict[BaseFilter, dict] = {}
        for (name, _), one in zip(self.filters, self.filters_, strict=True):
            received |= one._received_by_leaf(self._params_of(name, one, fit_params), X)
        return received

    def _params_of(self, name, member, given):
        if get_config()["enable_metadata_routing"]:
            return process_routing(self, "fit", **given)[name].fit
        return {n: one for n, one in given.items() if takes(member, n)}

    def get_metadata_routing(self) -> MetadataRouter:
        """Get the metadata routing of this object.

        Returns
        -------
        routing : :class:`~sklearn.utils.metadata_routing.MetadataRouter`
            Routes all metadata to the members that request it.
        """
        fits = MethodMapping().add(caller="fit", callee="fit")
        return MetadataRouter(owner=self).add(**dict(self.filters), method_mapping=fits)

    def _fit(self, X, codes, **params):
        self._clone_members()
        received = self._received_by_leaf(params, X)
        found = _ask("_fit", self._leaves(codes), X, received)
        decisions = self._combine_fits(found, codes)
        return decisions, decisions

    # Members pick the rows that they know themselves, of all rows.
    _fit_known = _fit

    def _decide(self, X, codes):
        return self._pick(_ask("_decide", self._leaves(codes), X, {}))

    def _score(self, X, codes):
        return self._decide(X, codes)

    def _clone_members(self):
        members = [(name, clone(filter_)) for name, filter_ in self.filters]
        self.named_filters_ = Bunch(**dict(members))
        self.filters_ = [filter_ for _, filter_ in members]
        self.offset_ = 0.0
        for filter_ in self.filters_:
            filter_._join(self)

    def _join(self, owner):
        super()._join(owner)
        self._clone_members()

    @property
    def _fits_in_passes(self):
        return not self._in_memory()

    @property
    def _fits_on_sample(self):
        needing = self._in_memory()
        return bool(needing) and all(one._fits_on_sample for one in needing)

    @property
    def _is_judged_with_means(self):
        members = [pair[1] for pair in self.filters if isinstance(pair, tuple)]
        return all(getattr(one, "_is_judged_with_means", False) for one in members)

    @property
    def _asks_for_sizes(self):
        members = [pair[1] for pair in self.filters if isinstance(pair, tuple)]
        return any(getattr(one, "_asks_for_sizes", False) for one in members)

    def _in_memory(self):
        members = [pair[1] for pair in self.filters if isinstance(pair, tuple)]
        return [needing for member in members for needing in member._in_memory()]

    def _prepare_leaves(self):
        self._clone_members()
        for member in self.filters_:
            member._share_counts(self)
            member._prepare_leaves()

    def _with_members(self, codes):
        yield self, codes
        for member, own in self._with_codes(codes):
            yield from member._with_members(own)

    def _with_codes(self, codes):
        return [(one, one._own_codes(self, codes)) for one in self.filters_]

    def _leaves(self, codes):
        for filter_, own in self._with_codes(codes):
            yield from filter_._leaves(own)

    def _finish_fit(self, found, codes):
        decisions = self._combine_fits(found, codes)
        return self._judge(codes, decisions, decisions)

    def _combine_fits(self, found, codes):
        members = self._with_codes(codes)
        self._codes = codes
        self._of_members = [one._finish_fit(found, own) for one, own in members]
        return self._combined(self._of_members)

    def set_threshold(self, **settings: object) -> Self:
        """Change thresholds of the fitted members, without fitting them again.

        Parameters
        ----------
        **settings : dict
            ``name__percentile``, ``name__radii`` or ``name__contamination``, and their
            values: what the method of the member takes.

        Returns
        -------
        self : object
            This filter, whose parameters and attributes are those after fitting with
            the new thresholds.

        Raises
        ------
        ValueError
            If a name is not that of a member, or a member refuses its settings.
        AttributeError
            If a member has no threshold that can be changed.
        """
        self._change_threshold(settings)
        return self

    def _change_threshold(self, settings):
        check_is_fitted(self)
        if not hasattr(self, "_of_members"):
            raise fitted_in_passes(self)
        names = [name for name, _ in self.filters]
        # Copies: where a member refuses, none has changed.
        members = [copy(member) for member in self.filters_]
        decisions = list(self._of_members)
        for name, own in self._by_member(settings, names).items():
            position = names.index(name)
            _ = members[position].set_threshold  # or an error says why there is none
            decisions[position] = members[position]._change_threshold(own)
        self.filters_, self._of_members = members, decisions
        self.named_filters_ = Bunch(**dict(zip(names, members, strict=True)))
        self.filters = [(n, clone(m)) for n, m in zip(names, members, strict=True)]
        combined = self._combined(decisions)
        return self._judge(self._codes, combined, combined)

    def _by_member(self, settings, names):
        of_members = {}
        for key, value in settings.items():
            name, _, setting = key.partition("__")
            if name not in names or not setting:
                raise ValueError(
                    "set_threshold takes name__percentile, name__radii or "
                    f"name__contamination, of the members {names}; got {key!r}."
                )
            of_members.setdefault(name, {})[setting] = value
        return of_members

    def _pick(self, found):
        return self._combined(filter_._pick(found) for filter_ in self.filters_)

    def _combined(self, decisions):
        return functools.reduce(self._choose, decisions)


def _all_have_feasible_sets(intersection):
    for name, filter_ in intersection.filters:
        if not hasattr(filter_, "feasible_set"):
            raise AttributeError(f"The filter {name!r} has no feasible set.")
    return True


class FilterIntersection(BaseCombination):
    """Keep the rows that pass every one of several filters.

    Each member is fitted on *all* training rows, so that no member's radius depends on
    the rows that another one rejects. The decision value of a row is the smallest of
    the members' values. ``sphere & slab`` creates an intersection whose members are
    named after their classes, in lower case.

    Parameters
    ----------
    filters : list of (str, filter)
        The members and their names; parameters of a member are reached as
        ``name__parameter``, as in :class:`~sklearn.pipeline.Pipeline`.
    random_state : int, RandomState instance or None, default=None
        Controls the order in which :meth:`fit_transform` reuses kept rows.

    Attributes
    ----------
    filters_ : list of filters
        The fitted members, in order.
    named_filters_ : :class:`~sklearn.utils.Bunch`
        The fitted members by name.
    offset_ : float
        0.0: scores are decisions.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: the smallest of the members' decisions, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class. If no row
        of a class passes every member, the best-scoring one is kept, with a warning,
        although :meth:`predict` rejects it.
    contamination_ : ndarray of shape (n_classes,)
        The share of the training rows of each class that is rejected, float64.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    SphereFilter : Rows near the centroid of their class.
    SlabFilter : Rows near their centroid along the line between the centroids.
    FilterUnion : Rows that pass one of the members.

    Notes
    -----
    At percentile 70, two members together keep between 40 % and 70 % of a class.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh and P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NeurIPS 2017, equation (2).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skpoison import FilterIntersection, SlabFilter, SphereFilter
    >>> X, y = load_iris(return_X_y=True)
    >>> members = [("sphere", SphereFilter()), ("slab", SlabFilter(percentile=70))]
    >>> both = FilterIntersection(members)
    >>> int(both.set_params(sphere__percentile=90).fit(X, y).inlier_mask_.sum())
    100
    >>> [name for name, _ in (SphereFilter() & SlabFilter()).filters]
    ['spherefilter', 'slabfilter']
    """

    _choose = staticmethod(np.minimum)

    @available_if(_all_have_feasible_sets)
    def feasible_set(self) -> "FeasibleSet":
        """Return the rows that all members keep, for each class.

        Returns
        -------
        feasible_set : skpoison.feasible.FeasibleSet
            The intersections of the members' sets, in the order of ``classes_``.
        """
        check_is_fitted(self)
        return functools.reduce(
            operator.and_, (filter_.feasible_set() for filter_ in self.filters_)
        )


class FilterUnion(BaseCombination):
    """Keep the rows that pass at least one of several filters.

    Each member is fitted on *all* training rows. The decision value of a row is the
    largest of the members' values. A row is rejected only if all members reject it:
    this is the union of the kept rows, not of the rejected ones. ``knn | spectral``
    creates a union whose members are named after their classes, in lower case.

    Parameters
    ----------
    filters : list of (str, filter)
        The members and their names; parameters of a member are reached as
        ``name__parameter``, as in :class:`~sklearn.pipeline.Pipeline`.
    random_state : int, RandomState instance or None, default=None
        Controls the order in which :meth:`fit_transform` reuses kept rows.

    Attributes
    ----------
    filters_ : list of filters
        The fitted members, in order.
    named_filters_ : :class:`~sklearn.utils.Bunch`
        The fitted members by name.
    offset_ : float
        0.0: scores are decisions.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: the largest of the members' decisions, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
    contamination_ : ndarray of shape (n_classes,)
        The share of the training rows of each class that is rejected, float64.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    FilterIntersection : Rows that pass all members.

    Notes
    -----
    At percentile 70, two members together keep between 70 % and 100 % of a class. An
    attacker only needs to pass the weakest member, so a union keeps more clean rows but
    is a weaker defense. It has no feasible set, because a union of convex sets is not
    convex in general.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skpoison import SlabFilter, SphereFilter
    >>> X, y = load_iris(return_X_y=True)
    >>> sphere, slab = SphereFilter(percentile=70), SlabFilter(percentile=70)
    >>> both, either = sphere & slab, sphere | slab
    >>> int(both.fit(X, y).inlier_mask_.sum()), int(either.fit(X, y).inlier_mask_.sum())
    (91, 119)
    """

    _choose = staticmethod(np.maximum)


def _ask(method, leaves, X, params):
    """What each leaf answers; those that know the same classes are asked together.

    ``params[leaf]``, where it is there, holds parameters of the method for that leaf.
    """
    groups = {}
    for filter_, codes in leaves:
        filters, _ = groups.setdefault(tuple(filter_.classes_), ([], codes))
        filters.append(filter_)
    answers = {}
    for filters, codes in groups.values():
        answers.update(_ask_of_known_rows(method, filters, X, codes, params))
    return answers


def _ask_of_known_rows(method, filters, X, codes, params):
    """Ask about the rows whose labels the filters know, and reject the others."""
    if codes.min(initial=0) >= 0:
        return _ask_all(method, filters, X, codes, params)
    rows = np.flatnonzero(codes >= 0)
    if not len(rows):
        return dict.fromkeys(filters, np.full(len(codes), -np.inf))
    params = {
        one: _check_method_params(X, of_one, indices=rows)
        for one, of_one in params.items()
    }
    answers = _ask_all(method, filters, X[rows], codes[rows], params)
    return {one: spread(answer, rows, len(codes)) for one, answer in answers.items()}


def _ask_all(method, filters, X, codes, params):
    """Ask centroid filters in one pass over the rows, the others one by one."""
    answers = {}
    centered = [one for one in filters if isinstance(one, BaseCentroidFilter)]
    if centered:
        of_centered = TOGETHER[method](centered, X, codes)
        answers.update(zip(centered, of_centered, strict=True))
    others = [one for one in filters if one not in answers]
    return answers | {
        one: getattr(one, method)(X, codes, **params.get(one, {})) for one in others
    }
