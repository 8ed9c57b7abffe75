"""The filter that an attacker faces."""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skpoison._fitted import check_fits, remember_names, scores
from skpoison.bounds._candidate_attack import shrink_until_kept
from skpoison.feasible import restrict


def is_fitted(estimator):
    """Say whether an estimator is fitted."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


class Defense(NamedTuple):
    """A fitted filter, asked by the positions of labels.

    Parameters
    ----------
    filter : filter
        The fitted filter.
    classes : ndarray of shape (n_classes,)
        The labels, sorted.
    """

    filter: object
    classes: np.ndarray

    @classmethod
    def of(cls, filter_, classes, X, codes, names=None):
        """Return the defense of a filter, which is fitted unless it is fitted already.

        Parameters
        ----------
        filter_ : filter
            The filter; it is cloned before it is fitted.
        classes : ndarray of shape (n_classes,)
            The labels, sorted.
        X : {ndarray, CSR matrix} of shape (n_samples, n_features)
            Clean rows.
        codes : ndarray of shape (n_samples,)
            Positions of their labels.
        names : ndarray of shape (n_features,), default=None
            Names of the features, if there are any.

        Returns
        -------
        defense : Defense
            The defense.

        Raises
        ------
        ValueError
            If the filter was fitted on other features or labels.
        """
        if not is_fitted(filter_):
            filter_ = clone(filter_).fit(X, classes[codes])
            remember_names(filter_, names)
        check_fits(filter_, X.shape[1], classes, names)
        return cls(filter_, classes)

    def keeps(self, X, codes):
        """Say which labelled rows the filter keeps.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n_rows, n_features)
            Rows.
        codes : ndarray of shape (n_rows,)
            Positions of their labels.

        Returns
        -------
        kept : ndarray of shape (n_rows,), dtype=bool
            True for the rows that the filter keeps.
        """
        if not len(codes):
            return np.zeros(0, dtype=bool)
        return scores(self.filter, X, self.classes[codes]) >= 0

    def sets(self, attack, domain=None, names=None):
        """Return the feasible set of each class.

        Parameters
        ----------
        attack : str
            Who asks, for the error.
        domain : str or Domain, default=None
            Which rows can be sent; None means all.
        names : ndarray of shape (n_features,), default=None
            Names of the features, if there are any.

        Returns
        -------
        sets : list of SphereSlab or RestrictedSet
            The rows that the filter keeps under each label, as far as they can be sent.

        Raises
        ------
        ValueError
            If the filter has no feasible set, or one without bounds.
        """
        if not hasattr(self.filter, "feasible_set"):
            raise ValueError(
                f"{attack} looks for its rows in the filter's feasible set, and "
                f"{self.filter!r} has none; LabelFlipAttack needs none."
            )
        feasible = self.filter.feasible_set()
        if not feasible.is_bounded:
            raise ValueError(
                f"The filter {self.filter!r} leaves the attacker unbounded: rows "
                "arbitrarily far away pass it. Intersect it with a SphereFilter."
            )
        if domain not in (None, "real"):
            feasible = restrict(feasible, domain, feature_names=names)
        return [feasible[label] for label in self.classes]

    def inwards(self, sets, points, codes, dtype, types):
        """Move points of the feasible sets inwards until the filter keeps them.

        Parameters
        ----------
        sets : list of SphereSlab
            The feasible set of each class.
        points : ndarray of shape (n_points, n_features)
            Points, perhaps on the boundary of their set.
        codes : ndarray of shape (n_points,)
            Positions of their labels.
        dtype : dtype
            Precision of the clean rows.
        types : Types
            The types of their columns, some of which may be less precise.

        Returns
        -------
        rows : ndarray of shape (n_points, n_features)
            Rows that the filter keeps, float64, rounded as they will be written.

        Raises
        ------
        ValueError
            If rounding alone puts a row out of a set, however it is moved.
        """

        def keeps(rows):
            return self.keeps(types.written(rows, dtype), codes)

        rows, kept = shrink_until_kept(
            [sets[code] for code in codes], points, keeps, dtype
        )
        if not kept.all():
            labels = self.classes[np.unique(codes[~kept])].tolist()
            kind = min([np.dtype(dtype), *types.floats], key=lambda kind: kind.itemsize)
            raise ValueError(
                f"The filter rejects rows of the classes {labels} whose distance from "
                f"its limit is within rounding of {kind.name}: the feasible set is too "
                "thin. Use float64 data, or a larger percentile."
            )
        return types.written(rows, dtype).astype(np.float64)
