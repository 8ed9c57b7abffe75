"""A domain with one entry for every feature."""

from typing import NamedTuple

import numpy as np
from scipy import sparse


class Columns(NamedTuple):
    """Kind, bounds and group of every feature of a domain.

    Parameters
    ----------
    whole : ndarray of shape (n_features,), dtype=bool
        True for integer features.
    lower, upper : ndarray of shape (n_features,)
        Bounds of the features.
    groups : list of ndarray
        Indices of the members of each one-hot group.
    unit : ndarray of shape (n_unit_features,)
        Indices of the non-negative features whose joint Euclidean norm is 1.
    blank : bool, default=True
        Whether all features of `unit` may be 0 instead.
    """

    whole: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    groups: list
    unit: np.ndarray
    blank: bool = True

    @property
    def n_features(self):
        """The number of features."""
        return len(self.whole)

    @property
    def is_convex(self):
        """Whether the domain is convex."""
        return not (self.whole.any() or self.groups or len(self.unit))

    @property
    def is_discrete(self):
        """Whether all features are integers or members of one-hot groups."""
        return bool(np.all(self.whole | self.one_hot))

    @property
    def is_bounded(self):
        """Whether the domain lies in some ball."""
        return bool(np.isfinite(self.lower).all() and np.isfinite(self.upper).all())

    @property
    def is_free(self):
        """Whether every row of real numbers is a row of the domain."""
        return self.is_convex and bool(
            np.isneginf(self.lower).all() and np.isposinf(self.upper).all()
        )

    @property
    def one_hot(self):
        """Mask of the members of one-hot groups."""
        mask = np.zeros(self.n_features, dtype=bool)
        for group in self.groups:
            mask[group] = True
        return mask

    @property
    def pieces(self):
        """Domains whose union is this one; in each, `unit` has norm 1 or is 0."""
        if not (len(self.unit) and self.blank):
            return [self]
        lower, upper = self.lower.copy(), self.upper.copy()
        lower[self.unit] = upper[self.unit] = 0.0
        none = self.unit[:0]
        blank = self._replace(lower=lower, upper=upper, unit=none, blank=False)
        return [self._replace(blank=False), blank]

    def contains(self, X, tol=1e-9):
        """Return which rows are in the domain.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows.
        tol : float, default=1e-9
            Tolerance for bounds, integers and the unit norm.

        Returns
        -------
        mask : ndarray of shape (n_samples,), dtype=bool
            True for the rows in the domain.
        """
        X = sparse.csr_array(X) if sparse.issparse(X) else np.asarray(X, dtype=float)
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise ValueError(
                f"X has the shape {X.shape}; the domain has {self.n_features} features."
            )
        inside = self._entries_fit(X, tol)
        for group in self.groups:
            inside &= np.abs(_row_sums(X[:, group]) - 1.0) <= tol
        if len(self.unit):
            part = X[:, self.unit]
            norms = np.sqrt(_row_sums(part * part))
            inside &= (np.abs(norms - 1.0) <= tol) | (self.blank & (norms <= tol))
        return inside

    def clipped(self, x):
        """Return a row (n_features,) within the bounds of the features."""
        return np.clip(x, self.lower, self.upper)

    def _entries_fit(self, X, tol):
        """Check each entry on its own; of sparse rows, the stored ones and one zero."""
        if not sparse.issparse(X):
            return ~self._misfits(X, slice(None), tol).any(axis=1)
        X.sum_duplicates()
        zeros = self._misfits(np.zeros(self.n_features), slice(None), tol)
        stored = self._misfits(X.data, X.indices, tol).astype(np.intp)
        stored -= zeros[X.indices]
        totals = np.concatenate([[0], np.cumsum(stored)])[X.indptr]
        return np.diff(totals) + np.count_nonzero(zeros) == 0

    def _misfits(self, values, places, tol):
        broken = self.whole | self.one_hot
        fits = values >= self.lower[places] - tol
        fits &= values <= self.upper[places] + tol
        with np.errstate(invalid="ignore"):
            fits &= ~broken[places] | (np.abs(values - np.rint(values)) <= tol)
        return ~fits


def _row_sums(X):
    return np.asarray(X.sum(axis=1)).ravel()
