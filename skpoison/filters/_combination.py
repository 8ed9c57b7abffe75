"""What filters made of filters share."""

import functools

from sklearn.base import clone
from sklearn.pipeline import _name_estimators
from sklearn.utils import Bunch
from sklearn.utils.metaestimators import _BaseComposition

from skpoison.base import BaseFilter
from skpoison.filters._passes import Passes


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
        return self._begin_fit(Passes(X, codes, len(self.classes_)))()

    # Members pick the rows that they know themselves, of all rows.
    _fit_known = _fit

    def _begin_fit_known(self, passes):
        return self._begin_fit(passes)

    def _begin_decide_known(self, passes):
        return self._begin_decide(passes)

    def _begin_fit(self, passes):
        members = [(name, clone(filter_)) for name, filter_ in self.filters]
        self.named_filters_ = Bunch(**dict(members))
        self.filters_ = [filter_ for _, filter_ in members]
        self.offset_ = 0.0
        ends = [filter_._begin_as_member(self, passes) for filter_ in self.filters_]
        return lambda: (self._combined(ends),) * 2

    def _begin_decide(self, passes):
        ends = [one._begin_decide_as_member(self, passes) for one in self.filters_]
        return lambda: self._combined(ends)

    def _decide(self, X, codes):
        return self._begin_decide(Passes(X, codes, len(self.classes_)))()

    def _score(self, X, codes):
        return self._decide(X, codes)

    def _combined(self, ends):
        return functools.reduce(self._choose, [end() for end in ends])
