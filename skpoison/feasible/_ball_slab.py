"""The intersection of a ball and a slab: the rows that pass sphere and slab filters."""

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from skpoison.feasible._base import FeasibleRegion, Projection

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class SphereSlab(FeasibleRegion):
    """The rows within a ball and between two parallel hyperplanes.

    The set is
    ``{x : ||x - center|| <= radius and lower <= direction @ (x - center) <= upper}``: a
    ball intersected with a slab, the region between two parallel hyperplanes. Without a
    radius it is a slab, without a direction a ball.

    Parameters
    ----------
    center : array-like of shape (n_features,)
        Center of the ball; offsets along the direction are measured from it.
    radius : float, default=inf
        Radius of the ball, in the units of the features.
    direction : array-like of shape (n_features,), default=None
        Normal of the slab; scaled to unit length. None means no slab.
    lower, upper : float, default=-inf, inf
        Offsets of the two hyperplanes from the center.

    Raises
    ------
    ValueError
        If the set is empty, the radius negative or the direction zero.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh, P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NIPS 2017, equations (2) and (3).

    Examples
    --------
    >>> from skpoison.feasible import SphereSlab
    >>> rows = SphereSlab([0.0, 0.0], 2.0, direction=[1.0, 0.0], lower=-1, upper=1)
    >>> value, point = rows.support([1.0, 0.0])
    >>> float(value)
    1.0
    >>> rows.contains([[0.5, 1.5], [1.5, 0.0]])
    array([ True, False])
    >>> rows.project([[3.0, 0.5]])
    array([[1. , 0.5]])
    """

    def __init__(
        self,
        center: "ArrayLike",
        radius: float = np.inf,
        direction: "ArrayLike | None" = None,
        lower: float = -np.inf,
        upper: float = np.inf,
    ):
        self.center = np.asarray(center, dtype=np.float64)
        self.radius = float(radius)
        self.direction = None if direction is None else _unit(direction)
        self.lower, self.upper = float(lower), float(upper)
        self._check()

    def _check(self):
        if not self.radius >= 0:
            raise ValueError(f"radius must be 0 or more, got {self.radius!r}.")
        if self.direction is None:
            self.lower, self.upper = -np.inf, np.inf
        if not self.lower <= self.upper:
            raise ValueError(
                f"The slab is empty: lower = {self.lower!r} lies above upper = "
                f"{self.upper!r}."
            )
        if self.lower > self.radius or self.upper < -self.radius:
            raise ValueError(
                f"The feasible set is empty: the slab from {self.lower!r} to "
                f"{self.upper!r} does not meet the ball of radius {self.radius!r}."
            )

    def _offset(self, v):
        return 0.0 if self.direction is None else float(self.direction @ v)

    def _across(self, v, along):
        """Part of v orthogonal to the direction (orthogonalized twice)."""
        if self.direction is None:
            return v
        part = v - along * self.direction
        return part - (self.direction @ part) * self.direction

    def support(self, a: "ArrayLike") -> tuple[float, np.ndarray]:
        """Maximize a linear function over the set.

        Parameters
        ----------
        a : array-like of shape (n_features,)
            The linear function.

        Returns
        -------
        value : float
            The maximum of ``a @ x``; infinite if the set is unbounded that way.
        point : ndarray of shape (n_features,)
            A row that attains it, up to rounding. If the maximum is infinite or
            attained at several rows, one near the center.
        """
        a = np.asarray(a, dtype=np.float64)
        along = self._offset(a)
        across = self._across(a, along)
        height = _length(across)
        t, s = self._support_plane(along, height)
        value = float(a @ self.center) + t * along + (s * height if height else 0.0)
        return value, self._from_plane(t, s, across, height)

    def _support_plane(self, along, height):
        """Maximize ``t * along + s * height`` over the half disc cut by the slab."""
        if self.radius == np.inf:
            t = self.upper if along > 0 else self.lower if along < 0 else 0.0
            return _clipped(t, self.lower, self.upper), np.inf
        norm = np.hypot(along, height)
        t = self.radius * along / norm if norm > 0 else 0.0
        t = _clipped(t, *self._ends())
        return t, math.sqrt(max((self.radius - t) * (self.radius + t), 0.0))

    def _ends(self):
        return max(self.lower, -self.radius), min(self.upper, self.radius)

    def _from_plane(self, t, s, across, height):
        point = self.center.copy()
        if self.direction is not None and np.isfinite(t):
            point += t * self.direction
        if height > 0 and np.isfinite(s):
            point += (s / height) * across
        return point

    def contains(self, X: "ArrayLike | sparse.sparray", tol: float = 0.0) -> np.ndarray:
        """Return which rows lie in the set.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.
        tol : float, default=0
            Tolerance, in the units of the features.

        Returns
        -------
        mask : ndarray of shape (n_samples,), dtype=bool
            True for the rows in the set.
        """
        distance, offset = self._measured(X)
        inside = distance <= self.radius + tol
        if self.direction is not None:
            inside &= (offset >= self.lower - tol) & (offset <= self.upper + tol)
        return inside

    def _measured(self, X):
        """Return distances from the center, and offsets along the direction."""
        center, direction = self.center, self.direction
        if not sparse.issparse(X):
            rows = np.asarray(X, dtype=np.float64) - center
            distance = np.linalg.norm(rows, axis=1)
            return distance, None if direction is None else rows @ direction
        X = sparse.csr_array(X, dtype=np.float64)
        squares = np.asarray((X * X).sum(axis=1)).ravel()
        squares += center @ center - 2.0 * (X @ center)
        distance = np.sqrt(np.maximum(squares, 0.0))
        if direction is None:
            return distance, None
        return distance, X @ direction - center @ direction

    def projection(self, x: "ArrayLike") -> Projection:
        """Project one row onto the set, with the derivative of the projection.

        Parameters
        ----------
        x : ndarray of shape (n_features,)
            The row.

        Returns
        -------
        projection : Projection
            The nearest point and its Jacobian.
        """
        q = np.asarray(x, dtype=np.float64) - self.center
        norm = _length(q)
        shrink = 1.0 if norm <= self.radius else self.radius / norm
        t = self._offset(q)
        if self.direction is None or self.lower <= shrink * t <= self.upper:
            normals = [] if shrink == 1.0 else [q / norm]
            return Projection(self.center + shrink * q, shrink, normals)
        across = self._across(q, t)
        t = _clipped(shrink * t, *self._ends())
        height = _length(across)
        reach = math.sqrt(max((self.radius - t) * (self.radius + t), 0.0))
        base = self.center + t * self.direction
        if height <= reach:
            return Projection(base + across, 1.0, [self.direction])
        unit = across / height
        return Projection(base + reach * unit, reach / height, [self.direction, unit])

    def shrink(self, x: np.ndarray, margin: float) -> np.ndarray:
        """Move a row of the set inwards, so that rounding cannot move it outside.

        Parameters
        ----------
        x : ndarray of shape (n_features,)
            A row of the set.
        margin : float
            Relative step towards the interior of the set, between 0 and 1.

        Returns
        -------
        point : ndarray of shape (n_features,)
            The moved row.
        """
        target = self.center
        middle = self._middle()
        if middle:
            target = target + middle * self.direction
        return target + (1.0 - margin) * (x - target)

    def widened(self, by: float, ends: float) -> "SphereSlab":
        """Return a larger set around the same center.

        Parameters
        ----------
        by : float
            Amount added to the radius.
        ends : float
            Amount by which both hyperplanes move outwards.

        Returns
        -------
        rows : SphereSlab
            The larger set.
        """
        radius = self.radius + by if self.is_bounded else self.radius
        wider = SphereSlab(self.center, radius)
        wider.direction = self.direction
        if self.direction is not None:
            wider.lower, wider.upper = self.lower - ends, self.upper + ends
        return wider

    def _middle(self):
        lower, upper = self._ends()
        return 0.0 if lower <= 0.0 <= upper else 0.5 * (lower + upper)

    def intersect(self, other: FeasibleRegion) -> FeasibleRegion:
        """Return the intersection with another set.

        Parameters
        ----------
        other : FeasibleRegion
            The other set. Two sets of this class must not have balls with different
            centers or slabs with different directions.

        Returns
        -------
        both : FeasibleRegion
            The intersection; a SphereSlab if the other set is one.

        Raises
        ------
        ValueError
            If the intersection of two sets of this class is not of this class, or for
            the reasons given in :meth:`FeasibleRegion.intersect`.
        """
        if not isinstance(other, SphereSlab):
            return other.intersect(self)
        ball, slab = (self, other) if other.radius == np.inf else (other, self)
        if ball.radius < np.inf and slab.radius < np.inf:
            ball, slab = _concentric(self, other)
        if ball.direction is not None and slab.direction is not None:
            return _cut_again(ball, slab)
        cut = ball if slab.direction is None else slab
        shift = 0.0
        if cut.direction is not None:
            shift = float(cut.direction @ (cut.center - ball.center))
        return SphereSlab(
            ball.center,
            ball.radius,
            cut.direction,
            cut.lower + shift,
            cut.upper + shift,
        )


def _length(v):
    """Return the length of a vector; numpy.linalg.norm takes longer to get there."""
    return math.sqrt(v @ v)


def _clipped(t, lower, upper):
    """Return a number, or the limit that it lies beyond."""
    return float(min(max(t, lower), upper))


def _unit(direction):
    direction = np.asarray(direction, dtype=np.float64)
    norm = np.linalg.norm(direction)
    if not norm > 0:
        raise ValueError(f"direction must be a nonzero vector, got {direction!r}.")
    return direction / norm


def _concentric(first, second):
    if not np.array_equal(first.center, second.center):
        raise ValueError(
            "The intersection of two balls with different centers is not a ball. Use "
            "the same centroids in both filters, or only one of the filters."
        )
    small, large = sorted((first, second), key=lambda part: part.radius)
    free = SphereSlab(large.center, np.inf, large.direction, large.lower, large.upper)
    return small, free


def _cut_again(ball, slab):
    """Intersect a cut ball with a further slab of the same direction."""
    cosine = float(ball.direction @ slab.direction)
    if abs(abs(cosine) - 1.0) > 1e-12:
        raise ValueError(
            "The intersection of two slabs with different directions is not a slab. "
            "Use only one of them."
        )
    lower, upper = (slab.lower, slab.upper)
    if cosine < 0:
        lower, upper = -upper, -lower
    shift = float(ball.direction @ (slab.center - ball.center))
    return SphereSlab(
        ball.center,
        ball.radius,
        ball.direction,
        max(ball.lower, lower + shift),
        min(ball.upper, upper + shift),
    )
