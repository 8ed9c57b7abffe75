"""What filters made of filters share."""

import functools

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import _name_estimators
from sklearn.utils import Bunch
from sklearn.utils.metaestimators import _BaseComposition

from skpoison._kept import spread
from skpoison.base import BaseFilter
from skpoison.filters._centroid import (
    BaseCentroidFilter,
    decide_together,
    fit_together,
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

    def _fit(self, X, codes):
        self._clone_members()
        found = _ask(_fit_all, self._leaves(codes), X)
        decisions = self._combine_fits(found, codes)
        return decisions, decisions

    # Members pick the rows that they know themselves, of all rows.
    _fit_known = _fit

    def _decide(self, X, codes):
        return self._pick(_ask(_decide_all, self._leaves(codes), X))

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
        return self._combined(one._finish_fit(found, own) for one, own in members)

    def _pick(self, found):
        return self._combined(filter_._pick(found) for filter_ in self.filters_)

    def _combined(self, decisions):
        return functools.reduce(self._choose, decisions)


def _ask(ask_all, leaves, X):
    """What each leaf answers; those that know the same classes are asked together."""
    groups = {}
    for filter_, codes in leaves:
        filters, _ = groups.setdefault(tuple(filter_.classes_), ([], codes))
        filters.append(filter_)
    answers = {}
    for filters, codes in groups.values():
        answers.update(_ask_of_known_rows(ask_all, filters, X, codes))
    return answers


def _ask_of_known_rows(ask_all, filters, X, codes):
    """Ask about the rows whose labels the filters know, and reject the others."""
    rows = np.flatnonzero(codes >= 0)
    if len(rows) == len(codes):
        return ask_all(filters, X, codes)
    if not len(rows):
        return dict.fromkeys(filters, np.full(len(codes), -np.inf))
    answers = ask_all(filters, X[rows], codes[rows])
    return {one: spread(answer, rows, len(codes)) for one, answer in answers.items()}


def _fit_all(filters, X, codes):
    """Fit filters; return the scores and decisions of each."""
    centered = [one for one in filters if isinstance(one, BaseCentroidFilter)]
    found = {}
    if centered:
        found.update(zip(centered, fit_together(centered, X, codes), strict=True))
    return found | {one: one._fit(X, codes) for one in filters if one not in found}


def _decide_all(filters, X, codes):
    """Decisions of each of the filters."""
    centered = [one for one in filters if isinstance(one, BaseCentroidFilter)]
    found = {}
    if centered:
        found.update(zip(centered, decide_together(centered, X, codes), strict=True))
    return found | {one: one._decide(X, codes) for one in filters if one not in found}
