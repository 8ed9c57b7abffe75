"""The rows that an attacker can add."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from skpoison.feasible._columns import Columns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scipy import sparse

# Slack of whole numbers and of the unit norm, by the rows' precision.
SLACK = {"float32": 1e-5, "float64": 1e-9}
KINDS = ("real", "nonnegative", "count", "binary", "tfidf")
_FLOOR = {"real": -np.inf}
_CEILING = {"binary": 1.0, "tfidf": 1.0}


class Domain:
    """The rows that an attacker can add, regardless of the filter.

    Parameters
    ----------
    kind : str, array-like of shape (n_features,) or dict, default="real"
        The values that each feature can have: one kind for all features, one for each
        feature, or a dict from column names (or indices) to kinds, where columns that
        are not in the dict are ``"real"``.

        - ``"real"``: any number;
        - ``"nonnegative"``: 0 or more;
        - ``"count"``: an integer, 0 or more;
        - ``"binary"``: 0 or 1;
        - ``"tfidf"``: 0 or more; all features of this kind together have Euclidean norm
          1, or all are 0. :class:`~sklearn.feature_extraction.text.TfidfVectorizer`
          returns such rows; a text without known words gives zeros.
    lower, upper : float, array-like of shape (n_features,) or dict, default=None
        Additional bounds on the features, in their units. A dict holds only the columns
        that have a bound. Features of kind ``"tfidf"`` cannot have any.
    groups : list of lists, default=None
        One-hot groups, each a list of column names or indices: one member is 1 and the
        others are 0, regardless of their kind.

    See Also
    --------
    RestrictedSet : The rows of a domain that pass a filter.

    Notes
    -----
    A certified bound for a domain is valid only if the domain contains every row that
    the attacker can add. Upper bounds of counts that are estimated from the clean rows,
    such as a percentile of each column, usually exclude some of the clean rows
    themselves.

    Examples
    --------
    >>> from skpoison.feasible import Domain
    >>> Domain("count", upper=3).contains([[0, 2], [0, 4], [0.5, 1]])
    array([ True, False, False])
    >>> mixed = Domain({"words": "count"}, lower={"age": 0}, groups=[["red", "blue"]])
    >>> resolved = mixed.resolve(4, ["age", "words", "red", "blue"])
    >>> resolved.contains([[41.5, 2, 1, 0], [41.5, 2, 1, 1]])
    array([ True, False])
    """

    def __init__(self, kind="real", lower=None, upper=None, groups=None):
        self.kind = kind
        self.lower = lower
        self.upper = upper
        self.groups = groups

    def __repr__(self):
        given = [("kind", self.kind, None)]
        given += [(name, getattr(self, name), None) for name in _OPTIONAL]
        shown = (f"{name}={value!r}" for name, value, no in given if value is not no)
        return f"Domain({', '.join(shown)})"

    def resolve(
        self, n_features: int, feature_names: "ArrayLike | None" = None
    ) -> Columns:
        """Return the domain's kind, bounds and groups for each feature.

        Parameters
        ----------
        n_features : int
            The number of features.
        feature_names : array-like of shape (n_features,), default=None
            Their names, if any.

        Returns
        -------
        columns : Columns
            Kind, bounds and group of every feature.

        Raises
        ------
        ValueError
            If a kind, column or group is unknown, if lengths do not match, or if the
            domain is empty.
        """
        names = _Names(n_features, feature_names)
        kinds = _kinds(self.kind, names)
        lower = _bound("lower", self.lower, names, -np.inf)
        upper = _bound("upper", self.upper, names, np.inf)
        groups = _groups(self.groups, names, kinds)
        _check_tfidf(kinds, lower, upper)
        lower = np.maximum(lower, [_FLOOR.get(kind, 0.0) for kind in kinds])
        upper = np.minimum(upper, [_CEILING.get(kind, np.inf) for kind in kinds])
        lower, upper = _one_hot_bounds(groups, lower, upper)
        whole = np.isin(kinds, ("count", "binary"))
        lower, upper = _round_in(whole, lower, upper)
        return Columns(whole, lower, upper, groups, np.flatnonzero(kinds == "tfidf"))

    def contains(
        self, X: "ArrayLike | sparse.sparray", tol: float = 1e-9
    ) -> np.ndarray:
        """Say which rows are rows of the domain.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows.
        tol : float, default=1e-9
            Tolerance for bounds, integers and the unit norm.

        Returns
        -------
        mask : ndarray of shape (n_samples,), dtype=bool
            True for the rows of the domain.
        """
        n_features = X.shape[1] if hasattr(X, "shape") else np.shape(X)[1]
        return self.resolve(n_features, getattr(X, "columns", None)).contains(X, tol)


_OPTIONAL = ("lower", "upper", "groups")


def as_domain(value: "str | Domain | None") -> Domain:
    """Return the domain given by a parameter.

    Parameters
    ----------
    value : None, str or Domain
        None means ``"real"``.

    Returns
    -------
    domain : Domain
        The domain.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If it is neither a string nor a Domain.

    Examples
    --------
    >>> from skpoison.feasible import as_domain
    >>> as_domain("count")
    Domain(kind='count')
    """
    if isinstance(value, Domain):
        return value
    if value is None:
        return Domain()
    if not isinstance(value, str):
        raise TypeError(
            f"domain must be one of {list(KINDS)}, a Domain or None; got {value!r}."
        )
    if value not in KINDS:
        raise ValueError(
            f"domain must be one of {list(KINDS)}, a Domain or None; got {value!r}."
        )
    return Domain(value)


class _Names:
    """Finds columns by name or index."""

    def __init__(self, n_features, feature_names):
        self.n_features = int(n_features)
        self.places = {}
        if feature_names is not None:
            feature_names = list(feature_names)
            if len(feature_names) != self.n_features:
                raise ValueError(
                    f"{len(feature_names)} feature names were given for "
                    f"{self.n_features} features."
                )
            self.places = {name: place for place, name in enumerate(feature_names)}

    def place(self, what, key):
        if key in self.places:
            return self.places[key]
        if isinstance(key, (int, np.integer)) and 0 <= key < self.n_features:
            return int(key)
        hint = "" if self.places else "; X has no feature names"
        raise ValueError(
            f"{what} of the domain contains the column {key!r}, which is neither a "
            f"feature name nor an index below {self.n_features}{hint}."
        )

    def spread(self, what, value, default, dtype):
        """Expand a scalar, an array or a mapping to an array."""
        if isinstance(value, Mapping):
            spread = np.full(self.n_features, default, dtype=dtype)
            for key, entry in value.items():
                spread[self.place(what, key)] = entry
            return spread
        array = np.asarray(value, dtype=dtype)
        if array.ndim and array.shape != (self.n_features,):
            raise ValueError(
                f"{what} of the domain has shape {array.shape}; X has "
                f"{self.n_features} features."
            )
        return np.broadcast_to(array, self.n_features)


def _kinds(kind, names):
    kinds = names.spread("kind", kind, "real", object)
    unknown = {value for value in kinds if value not in KINDS}
    if unknown:
        raise ValueError(
            f"kind of the domain must be one of {list(KINDS)} for each feature; got "
            f"{sorted(map(repr, unknown))}."
        )
    return kinds.astype(str)


def _bound(what, value, names, default):
    if value is None:
        return np.full(names.n_features, default)
    bound = names.spread(what, value, default, np.float64)
    if np.isnan(bound).any():
        raise ValueError(f"{what} of the domain must not contain NaN.")
    return bound


def _groups(groups, names, kinds):
    for group in groups or ():
        if isinstance(group, str) or not isinstance(group, Iterable):
            raise TypeError(
                "groups of the domain must be a list of lists of columns, one list "
                f"for each group; got the group {group!r}."
            )
    found = [
        np.array([names.place("groups", key) for key in group], dtype=np.intp)
        for group in groups or ()
    ]
    members = np.concatenate(found) if found else np.empty(0, dtype=np.intp)
    if len(np.unique(members)) < len(members):
        raise ValueError("groups of the domain must not share or repeat columns.")
    if any(not len(group) for group in found):
        raise ValueError("groups of the domain must not contain an empty group.")
    if np.any(kinds[members] == "tfidf"):
        raise ValueError('A feature of kind "tfidf" cannot be in a one-hot group.')
    return found


def _check_tfidf(kinds, lower, upper):
    unit = kinds == "tfidf"
    if np.any(lower[unit] > 0) or np.any(upper[unit] < 1):
        raise ValueError(
            'Features of kind "tfidf" lie between 0 and 1 and cannot have other bounds.'
        )


def _one_hot_bounds(groups, lower, upper):
    for group in groups:
        if np.any(lower[group] > 0) or np.any(upper[group] < 1):
            raise ValueError(
                f"The bounds of the members {group.tolist()} of a one-hot group must "
                "allow 0 and 1; change lower or upper."
            )
        lower[group], upper[group] = 0.0, 1.0
    return lower, upper


def _round_in(whole, lower, upper):
    lower = np.where(whole, np.ceil(lower), lower)
    upper = np.where(whole, np.floor(upper), upper)
    empty = np.flatnonzero(~(lower <= upper) | (lower == np.inf) | (upper == -np.inf))
    if len(empty):
        raise ValueError(
            f"The domain is empty: no value of column {int(empty[0])} lies between "
            f"{lower[empty[0]]} and {upper[empty[0]]}."
        )
    return lower, upper


def in_domain(domain, X, feature_names=None):
    """Return which rows are in a domain, up to rounding.

    Parameters
    ----------
    domain : str or Domain
        The domain.
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, float64 or float32.
    feature_names : ndarray of shape (n_features,), default=None
        Names of the features, if any.

    Returns
    -------
    mask : ndarray of shape (n_samples,), dtype=bool
        True for the rows of the domain.
    """
    columns = as_domain(domain).resolve(X.shape[1], feature_names)
    return columns.contains(X, SLACK[X.dtype.name])
