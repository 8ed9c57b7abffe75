"""Filters made of filters."""

import functools
import operator

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skpoison.filters._combination import BaseCombination

__all__ = ["FilterIntersection", "FilterUnion"]


def _all_have_feasible_sets(intersection):
    for name, filter_ in intersection.filters:
        if not hasattr(filter_, "feasible_set"):
            raise AttributeError(f"The filter {name!r} has no feasible set.")
    return True


class FilterIntersection(BaseCombination):
    """Keep the rows that pass every one of several filters.

    Each member is fitted on *all* training rows, so that no member's radius depends on
    what another one rejects. The decision on a row is the smallest of the members'
    decisions. ``sphere & slab`` builds an intersection, with the lower-case names of
    the classes as names.

    Parameters
    ----------
    filters : list of (str, filter)
        The members and their names; parameters of a member are reached as
        ``name__parameter``, as in :class:`~sklearn.pipeline.Pipeline`.
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
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: the smallest of the members' decisions, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class. Where no
        row of a class passes every member, the best one is kept, with a warning, and
        :meth:`predict` still rejects it.
    n_features_in_ : int
        Number of features seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit, when X has names that are all strings.

    See Also
    --------
    SphereFilter : Rows near the centroid of their class.
    SlabFilter : Rows near it along the line between the centroids.
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
    >>> both = FilterIntersection([("sphere", SphereFilter()), ("slab", SlabFilter())])
    >>> int(both.set_params(sphere__percentile=90).fit(X, y).inlier_mask_.sum())
    100
    >>> [name for name, _ in (SphereFilter() & SlabFilter()).filters]
    ['spherefilter', 'slabfilter']
    """

    _choose = staticmethod(np.minimum)

    @available_if(_all_have_feasible_sets)
    def feasible_set(self):
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

    Each member is fitted on *all* training rows. The decision on a row is the largest
    of the members' decisions. A row is rejected only if all members agree: the union
    of what is kept, not of what is rejected. ``knn | spectral`` builds a union, with
    the lower-case names of the classes as names.

    Parameters
    ----------
    filters : list of (str, filter)
        The members and their names; parameters of a member are reached as
        ``name__parameter``, as in :class:`~sklearn.pipeline.Pipeline`.
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
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted; ``array([0])`` when fitted without labels.
    scores_ : ndarray of shape (n_samples,)
        Scores of the training rows: the largest of the members' decisions, float64.
    inlier_mask_ : ndarray of shape (n_samples,)
        True for the training rows that are kept; at least one in each class.
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
    attacker needs to pass one member only, whichever is the weakest: a union is for
    sparing clean rows, not for strength. It has no feasible set, for a union of convex
    sets is not convex.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skpoison import SlabFilter, SphereFilter
    >>> X, y = load_iris(return_X_y=True)
    >>> both, either = SphereFilter() & SlabFilter(), SphereFilter() | SlabFilter()
    >>> int(both.fit(X, y).inlier_mask_.sum()), int(either.fit(X, y).inlier_mask_.sum())
    (91, 119)
    """

    _choose = staticmethod(np.maximum)
