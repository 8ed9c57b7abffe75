"""What filters made of filters share."""

import functools
from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import _name_estimators
from sklearn.utils import Bunch
from sklearn.utils.metaestimators import _BaseComposition

from skpoison._kept import spread
from skpoison._labels import find_labels
from skpoison.base import BaseFilter
from skpoison.filters._centroid import (
    BaseCentroidFilter,
    decide_by_centroids,
    fit_centroid_filters,
)


class BaseCombination(BaseFilter, _BaseComposition):
    """Base class of filters made of filters.

    Members are fitted on all training rows, and share passes over them. A subclass
    sets ``_choose``, a function of two arrays that combines members' decisions.

    Parameters
    ----------
    filters : list of (str, filter)
        The members and their names.
    random_state : int, RandomState instance or None, default=None
        Draws the order in which :meth:`fit_transform` goes round the kept rows.

    Attributes
    ----------
    filters_ : list of filters
        The fitted members, in order.
    named_filters_ : :class:`~sklearn.utils.Bunch`
        The fitted members by name.
    offset_ : float
        0.0: scores are decisions.
    """

    _parameter_constraints: dict = {
        **BaseFilter._parameter_constraints,
        "filters": [list],
    }

    def __init__(self, filters, *, random_state=None):
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

    def get_params(self, deep=True):
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

    def set_params(self, **params):
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

    def _join(self, owner):
        super()._join(owner)
        self._begin_members()

    def _begin_members(self):
        members = [(name, clone(filter_)) for name, filter_ in self.filters]
        self.named_filters_ = Bunch(**dict(members))
        self.filters_ = [filter_ for _, filter_ in members]
        self.offset_ = 0.0
        for filter_ in self.filters_:
            filter_._join(self)

    def _fit_labelled(self, X, y):
        codes = self._fit_labels(X, y)
        self._begin_members()
        leaves = self._leaves(codes)
        decisions = [
            leaf.filter._judge(leaf.codes, *pair)
            for leaf, pair in zip(leaves, _ask(leaves, X, _fit_all), strict=True)
        ]
        combined = self._judge_members(iter(decisions), codes)
        return codes, combined, combined

    def _judge_members(self, decisions, codes):
        """Combine decisions of the leaves, and judge by them in nested combinations."""
        found = []
        for filter_, own in self._with_codes(codes):
            if isinstance(filter_, BaseCombination):
                combined = filter_._judge_members(decisions, own)
                found.append(filter_._judge(own, combined, combined))
            else:
                found.append(next(decisions))
        return functools.reduce(self._choose, found)

    def _decide(self, X, codes):
        return self._combine(iter(_ask(self._leaves(codes), X, _decide_all)))

    def _score(self, X, codes):
        return self._decide(X, codes)

    def _combine(self, decisions):
        """Combine decisions of the leaves, in their order."""
        found = [
            filter_._combine(decisions)
            if isinstance(filter_, BaseCombination)
            else next(decisions)
            for filter_ in self.filters_
        ]
        return functools.reduce(self._choose, found)

    def _leaves(self, codes):
        """Members that are no combinations, at any depth, with their own codes."""
        leaves = []
        for filter_, own in self._with_codes(codes):
            is_nested = isinstance(filter_, BaseCombination)
            leaves += filter_._leaves(own) if is_nested else [Leaf(filter_, own)]
        return leaves

    def _with_codes(self, codes):
        """Members with the codes of rows among their classes, -1 for the others."""
        for filter_ in self.filters_:
            of_class = find_labels(self.classes_, filter_.classes_)
            yield filter_, np.where(codes >= 0, of_class[codes], -1)


class Leaf(NamedTuple):
    """A filter, and the codes that rows have among its classes; -1: it has none."""

    filter: BaseFilter
    codes: np.ndarray


def _ask(leaves, X, ask):
    """Ask about the rows that leaves know, at once those that know the same.

    Rows that a leaf does not know get minus infinity.
    """
    found = {}
    while len(found) < len(leaves):
        codes = next(leaf.codes for i, leaf in enumerate(leaves) if i not in found)
        alike = [
            i for i, leaf in enumerate(leaves) if np.array_equal(leaf.codes, codes)
        ]
        rows = np.flatnonzero(codes >= 0)
        is_whole = len(rows) == len(codes)
        some = (X, codes) if is_whole else (X[rows], codes[rows])
        for i, values in zip(
            alike, ask([leaves[i].filter for i in alike], *some), strict=True
        ):
            found[i] = values if is_whole else spread(values, rows, len(codes))
    return [found[i] for i in range(len(leaves))]


def _fit_all(filters, X, codes):
    """Fit filters to the same rows; return pairs of scores and decisions."""
    around, others = _around_centroids(filters)
    found = dict(zip(around, fit_centroid_filters(around, X, codes), strict=True))
    found |= {filter_: filter_._fit(X, codes) for filter_ in others}
    return [found[filter_] for filter_ in filters]


def _decide_all(filters, X, codes):
    if not len(codes):
        return [np.empty(0)] * len(filters)
    around, others = _around_centroids(filters)
    found = dict(zip(around, decide_by_centroids(around, X, codes), strict=True))
    found |= {filter_: filter_._decide(X, codes) for filter_ in others}
    return [found[filter_] for filter_ in filters]


def _around_centroids(filters):
    """Filters that share passes over the rows, and the others."""
    around = [one for one in filters if isinstance(one, BaseCentroidFilter)]
    return around, [one for one in filters if not isinstance(one, BaseCentroidFilter)]
