"""Base class of the sets of rows used by bounds, attacks and domains."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from skpoison.feasible._nearest import nearest_by_support

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scipy import sparse


class Projection(NamedTuple):
    """A projection onto a convex set and its Jacobian ``scale * (I - Q Q.T)``.

    Parameters
    ----------
    point : ndarray of shape (n_features,)
        The nearest point of the set.
    scale : float
        Between 0 and 1; 1 where the set does not curve at `point`.
    normals : list of ndarray of shape (n_features,)
        The orthonormal columns of Q: at most two.
    """

    point: np.ndarray
    scale: float
    normals: list

    @property
    def diagonal(self) -> np.ndarray:
        """The Jacobian is ``diag(diagonal) - sum(outer(v, v))`` over `vectors`."""
        return np.full(len(self.point), self.scale)

    @property
    def vectors(self) -> list:
        """See `diagonal`."""
        return [np.sqrt(self.scale) * normal for normal in self.normals]


class FeasibleRegion(ABC):
    """The set of rows that a filter keeps for one class.

    A subclass must define :meth:`support` and :meth:`contains`; the other methods are
    derived from these. Also define :meth:`project` if the nearest point has a closed
    form: the general method calls :meth:`support` many times. A filter's method
    ``feasible_set`` returns one region for each class, as a :class:`FeasibleSet`.

    Parameters
    ----------
    center : array-like of shape (n_features,)
        A row in the interior of the region.
    radius : float, default=inf
        Largest distance of a row of the region from the center, or an upper bound on
        it; infinite if the region is unbounded.

    Attributes
    ----------
    center : ndarray of shape (n_features,)
        The row in the interior.
    radius : float
        The bound on the distance from the center.

    See Also
    --------
    SphereSlab : The region of sphere and slab filters.
    skpoison.testing.check_feasible_set : Check that a region satisfies this interface.

    Notes
    -----
    Regions are convex unless `is_convex` is False. If the region defines
    :meth:`projection`, bounds are computed by Newton's method; otherwise by a proximal
    bundle method, which uses only :meth:`support`.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.feasible import FeasibleRegion
    >>> class Box(FeasibleRegion):
    ...     '''The rows between -1 and 1.'''
    ...
    ...     def __init__(self, n_features):
    ...         super().__init__(np.zeros(n_features), np.sqrt(n_features))
    ...
    ...     def support(self, a):
    ...         point = np.where(np.asarray(a) < 0, -1.0, 1.0)
    ...         return float(a @ point), point
    ...
    ...     def contains(self, X, tol=0.0):
    ...         return (abs(np.asarray(X)) <= 1.0 + tol).all(axis=1)
    >>> Box(2).project([[3.0, 0.5]]).round(6)
    array([[1. , 0.5]])
    """

    def __init__(self, center: "ArrayLike", radius: float = np.inf):
        self.center = np.asarray(center, dtype=np.float64)
        self.radius = float(radius)
        if self.center.ndim != 1 or not np.isfinite(self.center).all():
            raise ValueError(
                f"center must be one row of finite numbers, got {center!r}."
            )
        if not self.radius >= 0:
            raise ValueError(f"radius must be 0 or more, got {self.radius!r}.")

    @abstractmethod
    def support(self, a: np.ndarray) -> tuple[float, np.ndarray]:
        """Maximize a linear function over the region.

        Parameters
        ----------
        a : ndarray of shape (n_features,)
            The linear function.

        Returns
        -------
        value : float
            The maximum of ``a @ x`` or an upper bound on it; certified bounds rely on
            this. Infinite if the region is unbounded in this direction.
        point : ndarray of shape (n_features,)
            A row of the region that attains the maximum, at least approximately.
        """

    @abstractmethod
    def contains(self, X: "ArrayLike | sparse.sparray", tol: float = 0.0) -> np.ndarray:
        """Return which rows lie in the region.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows; sparse if the filter is applied to sparse rows.
        tol : float, default=0
            Tolerance, in the units of the features.

        Returns
        -------
        mask : ndarray of shape (n_samples,), dtype=bool
            True for the rows in the region.
        """

    @property
    def reach(self) -> float:
        """No row of the region is farther from the center; infinity if unbounded."""
        return self.radius

    @property
    def is_bounded(self) -> bool:
        """Whether the region lies in some ball."""
        return bool(np.isfinite(self.reach))

    @property
    def is_convex(self) -> bool:
        """Whether the region is convex."""
        return True

    @property
    def is_differentiable(self) -> bool:
        """Whether :meth:`projection` says how nearest points move."""
        return type(self).projection is not FeasibleRegion.projection

    def projection(self, x: np.ndarray) -> Projection:
        """Project one row onto the region, with the derivative of the projection.

        Parameters
        ----------
        x : ndarray of shape (n_features,)
            The row.

        Returns
        -------
        projection : Projection
            The nearest point, as `point`, and its Jacobian, as `diagonal` and
            `vectors`: ``diag(diagonal) - sum(outer(v, v))`` over the vectors.
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not define projection: its is_differentiable "
            "is False."
        )

    def project(self, X: "ArrayLike") -> np.ndarray:
        """Replace each row by the nearest row of the region.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        X_projected : ndarray of shape (n_samples, n_features)
            The nearest rows of the region, in the Euclidean norm.
        """
        X = np.asarray(X, dtype=np.float64)
        return np.array([self._nearest(row) for row in X]).reshape(X.shape)

    def _nearest(self, x):
        if self.is_differentiable:
            return self.projection(x).point
        return nearest_by_support(self, x)

    def shrink(self, x: np.ndarray, margin: float) -> np.ndarray:
        """Move a row of the region inwards, so that rounding cannot move it outside.

        Parameters
        ----------
        x : ndarray of shape (n_features,)
            A row of the region.
        margin : float
            Relative step towards the center, between 0 and 1.

        Returns
        -------
        point : ndarray of shape (n_features,)
            The moved row.
        """
        return self.center + (1.0 - margin) * (x - self.center)

    def widened(self, by: float, ends: float) -> "FeasibleRegion":
        """Return a larger region that contains all rows that pass in spite of rounding.

        Override this method if the filter's decision is less precise than a distance:
        the certified bound relies on it.

        Parameters
        ----------
        by : float
            Largest error of a distance from the center.
        ends : float
            Largest error of an inner product with a unit vector.

        Returns
        -------
        region : FeasibleRegion
            All rows within the larger of these distances of this region.
        """
        return WidenedRegion(self, max(by, ends))

    def intersect(self, other: "FeasibleRegion") -> "FeasibleRegion":
        """Return the intersection with another region.

        Parameters
        ----------
        other : FeasibleRegion
            The other region.

        Returns
        -------
        both : FeasibleRegion
            The intersection.

        Raises
        ------
        ValueError
            If the intersection is empty, or a region is not convex or unbounded.
        """
        from skpoison.feasible._intersection import intersect  # which needs this class

        return intersect(self, other)

    def hull(self) -> "FeasibleRegion":
        """Return a convex region around this one: the region itself if it is convex."""
        return self


class WidenedRegion(FeasibleRegion):
    """The rows within a distance of a region."""

    def __init__(self, region: FeasibleRegion, by: float):
        super().__init__(region.center, region.reach + by)
        self.region, self.by = region, by

    def support(self, a):
        value, point = self.region.support(a)
        norm = float(np.linalg.norm(a))
        step = (self.by / norm) * np.asarray(a) if norm > 0 else 0.0
        return value + self.by * norm, point + step

    def contains(self, X, tol=0.0):
        X = X.toarray() if hasattr(X, "toarray") else np.asarray(X, dtype=np.float64)
        near = np.linalg.norm(self.region.project(X) - X, axis=1) <= self.by + tol
        return near | self.region.contains(X, tol)
