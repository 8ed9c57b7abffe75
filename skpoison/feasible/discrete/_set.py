"""The rows of a domain that pass a filter."""

from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import NamedTuple

import numpy as np

from skpoison.feasible._ball_slab import SphereSlab
from skpoison.feasible._base import FeasibleRegion
from skpoison.feasible._by_class import FeasibleSet
from skpoison.feasible._columns import Columns
from skpoison.feasible._domain import as_domain
from skpoison.feasible.discrete._blocks import EmptySetError, NoRowError, split
from skpoison.feasible.discrete._branch_and_bound import branch
from skpoison.feasible.discrete._dual import minimize_dual
from skpoison.feasible.discrete._hull import Hull
from skpoison.feasible.discrete._lagrangian import Lagrangian
from skpoison.feasible.discrete._listing import list_rows
from skpoison.feasible.discrete._local_search import Limits
from skpoison.feasible.discrete._phase_one import find_row
from skpoison.feasible.discrete._primal_heuristics import (
    blend,
    improve,
    smooth_row,
    whole_row,
)
from skpoison.feasible.discrete._slices import INWARDS, slices_of


class LinearMaximum(NamedTuple):
    """A certified maximum of a linear function over a restricted set.

    Parameters
    ----------
    value : float
        An upper bound on the maximum.
    point : ndarray of shape (n_features,)
        A row of the set; its value is a lower bound.
    multipliers : tuple of two floats
        Multipliers of the squared sphere and the slab, for the linear function scaled
        to norm 1: a warm start for a similar function.
    n_evals : int
        Number of evaluations of the dual.
    """

    value: float
    point: np.ndarray
    multipliers: tuple
    n_evals: int


class RestrictedSet(FeasibleRegion):
    """The rows of a domain within a ball and a slab.

    Parameters
    ----------
    base : SphereSlab
        What the filter keeps.
    domain : Domain, Columns or str
        The rows that an attacker can add.
    fallback : array-like of shape (n_features,), default=None
        A row known to be in the set, used if the search does not find one.

    Attributes
    ----------
    columns : Columns
        The domain's kind, bounds and group for each feature.
    center : ndarray of shape (n_features,)
        Center of the ball.
    radius : float
        Its radius.
    direction : ndarray of shape (n_features,) or None
        Normal of the slab, of unit length.
    lower, upper : float
        Offsets of the slab's ends from the center.
    rows : ndarray of shape (n_rows, n_features) or None
        All rows of the set, if they are few enough to be listed: then bounds are exact.
    slices : Slices or None
        The slices of the set, if some features have few values and the others any.
    pieces : list of RestrictedSet
        Sets whose union is this one: two if some features have norm 1 or are all 0 and
        rows of both kinds pass the filter; otherwise the set itself.

    Raises
    ------
    ValueError
        If the set is empty, if no row of it is found and `fallback` is None, or if
        `base` is not a SphereSlab.

    Notes
    -----
    The maximum of ``a @ x`` is bounded by Lagrangian duality [1]_: given multipliers
    for the squared sphere and the slab, the maximization separates over the features.
    For interval-valued features the bound is exact. For integers it is the value of the
    linear program in which counts are sums of 0/1 variables, and branch and bound
    tightens it. Bounds include a margin for rounding, and rows keep a distance from the
    boundary, so that a filter that rounds differently keeps them.

    References
    ----------
    .. [1] A. M. Geoffrion, "Lagrangean Relaxation for Integer Programming",
       Mathematical Programming Study 2, 1974.
    .. [2] J. Steinhardt, P. W. Koh, P. Liang, "Certified Defenses for Data Poisoning
       Attacks", NIPS 2017, section 4.2 (integer constraints).

    Examples
    --------
    >>> from skpoison.feasible import RestrictedSet, SphereSlab
    >>> rows = RestrictedSet(SphereSlab([0.3, 0.4], 1.9), "count")
    >>> value, point = rows.support([1.0, 1.1])
    >>> point
    array([1., 2.])
    >>> bool(value >= 3.2)
    True

    The bound comes nearer where it may take longer:

    >>> round(float(rows.solve([1.0, 1.1], gap_tol=1e-6).value), 6)
    3.2
    """

    def __init__(self, base, domain, *, fallback=None):
        if not isinstance(base, SphereSlab):
            raise ValueError(
                "A domain can only restrict balls and slabs (SphereSlab); the filter's "
                f"region has the type {type(base).__name__}. With domain=None, the "
                "bound is valid for all real-valued rows."
            )
        columns = _columns(domain, len(base.center))
        self.pieces = _pieces(base, columns, fallback)
        if self.pieces:
            # Attributes of rows of one kind are those of the first piece.
            vars(self).update(vars(self.pieces[0]) | {"pieces": self.pieces})
            self.columns = columns
            return
        self.base, self.columns, self.pieces = base, columns, [self]
        self._set_limits()
        self._interior_row = self._find_interior_row(fallback)

    def _set_limits(self):
        base = self.base
        self.center, self.radius = base.center, base.radius
        self.direction, self.lower, self.upper = base.direction, base.lower, base.upper
        reach = float(np.linalg.norm(base.center)) + (
            base.radius if self._has_ball else 0.0
        )
        # Filters square distances of sparse rows with an error of about 1e-13. Discrete
        # rows, of which many lie on the limits together, would all be lost to that.
        size = 0.0 if self.columns.is_discrete else reach
        margin, square_margin = 1e-13 * size, 3e-13 * size**2
        self._limits = Limits(
            base.radius**2 - square_margin,
            base.lower + margin,
            base.upper - margin,
        )
        self._parts = split(self.columns, base)
        self._list()

    def _list(self):
        """List the rows, where they are few."""
        self._listed = list_rows(self._parts, self.base)
        self.slices = None
        if self._listed is None:
            self.slices = slices_of(self._parts, self.columns, self.base)
            return
        self._is_inside = self.contains(self._listed)
        squares = np.einsum("ij,ij->i", self._listed, self._listed)
        self._largest_norm = float(np.sqrt(squares.max(initial=0.0)))
        if not self._is_inside.any():
            raise _no_row(self.base)

    def settled(self, keeps):
        """Return the set with the listed rows that the filter itself keeps.

        Where many rows lie on its limits together, rounding decides, and that of the
        filter counts. Rows that the filter keeps must be in this set.

        Parameters
        ----------
        keeps : callable
            Takes an array of shape (n_rows, n_features); returns which rows are kept.

        Returns
        -------
        rows : RestrictedSet
            The set without the listed rows that the filter rejects.

        Raises
        ------
        EmptySetError
            If it rejects them all.
        """
        if len(self.pieces) > 1:
            return self._settled_pieces(keeps)
        if self._listed is None:
            return self
        kept = np.asarray(keeps(self._listed), dtype=bool)
        if not kept.any():
            raise _no_row(self.base)
        found = copy(self)
        found.pieces, found._listed = [found], self._listed[kept]
        found._is_inside = np.ones(len(found._listed), dtype=bool)
        found._interior_row = found._nearest_listed(self.center) - self.center
        return found

    def _settled_pieces(self, keeps):
        found: list[RestrictedSet] = []
        proof = None
        for piece in self.pieces:
            try:
                found.append(piece.settled(keeps))
            except EmptySetError as error:
                proof = error
        if proof is not None and not found:
            raise proof
        both = copy(self)
        vars(both).update(vars(found[0]) | {"pieces": found, "columns": self.columns})
        return both

    @property
    def rows(self):
        """All rows, if they are few enough to be listed; None otherwise."""
        return None if self._listed is None else self._listed[self._is_inside]

    @property
    def _has_ball(self):
        return np.isfinite(self.base.radius)

    @property
    def is_bounded(self):
        """Whether the set lies in some ball."""
        return self.base.is_bounded or self.columns.is_bounded

    @property
    def has_whole(self):
        """Whether some features hold whole numbers."""
        return any(part.whole for part in self._parts)

    @property
    def can_search(self):
        """Whether lists, slices or branches make values less than the Lagrangian's."""
        return any(
            piece._listed is not None or piece.slices is not None or piece.has_whole
            for piece in self.pieces
        )

    @property
    def is_convex(self):
        """Whether the set is convex."""
        return self.columns.is_convex

    def _find_interior_row(self, fallback):
        """Find a row of the set, in its interior if there is one."""
        if self._listed is not None:
            return self._nearest_listed(self.center) - self.center
        outer = Limits(self.radius**2, self.lower, self.upper)
        found = find_row(self._parts, self._limits, outer, self.reach, self._is_in)
        if found is None and fallback is not None:
            found = np.asarray(fallback, dtype=np.float64)
            if not self.contains([found])[0]:
                raise ValueError("The fallback row is not in the feasible set.")
            found = found - self.center
        if found is None:
            raise NoRowError(
                "The search found no row of the domain that passes the filter, but "
                "could not prove that there is none. Use larger radii or a larger "
                "domain, or pass a row that is known to be in a RestrictedSet as "
                "`fallback`."
            )
        return found

    def _is_in(self, z):
        return z is not None and bool(self.contains([self._point(z)])[0])

    @property
    def reach(self):
        """No row of the set is farther from the center."""
        if self._has_ball:
            return self.radius
        columns = self.columns
        ends = np.maximum(self.center - columns.lower, columns.upper - self.center)
        return float(np.linalg.norm(ends))

    def support(self, a):
        """Bound the maximum of a linear function over the set.

        Parameters
        ----------
        a : array-like of shape (n_features,)
            The linear function.

        Returns
        -------
        value : float
            At least the maximum of ``a @ x``.
        point : ndarray of shape (n_features,)
            A row of the set that nearly attains the maximum.
        """
        return self.solve(a)[:2]

    def solve(
        self,
        a,
        *,
        gap_tol=np.inf,
        abs_tol=0.0,
        max_evals=80,
        max_nodes=300,
        start=None,
    ):
        """Bound the maximum of a linear function over the set, with details.

        Parameters
        ----------
        a : array-like of shape (n_features,)
            The linear function.
        gap_tol : float, default=inf
            Branch until the value exceeds that of the point by at most this fraction,
        abs_tol : float, default=0.0
            or by at most this much.
        max_evals : int, default=80
            Maximum number of evaluations of the dual at each node.
        max_nodes : int, default=300
            Maximum number of nodes.
        start : tuple of two floats, default=None
            Multipliers of a similar linear function.

        Returns
        -------
        solution : LinearMaximum
            Value, point, multipliers and number of evaluations.
        """
        options = {
            "gap_tol": gap_tol,
            "abs_tol": abs_tol,
            "max_evals": max_evals,
            "max_nodes": max_nodes,
            "start": start,
        }
        a = np.asarray(a, dtype=np.float64)
        found = [subproblem._solve(a, **options) for subproblem in self.pieces]
        return LinearMaximum(
            max(one.value for one in found),
            max((one.point for one in found), key=a.__matmul__),
            max(found, key=lambda one: one.value).multipliers,
            sum(one.n_evals for one in found),
        )

    def _solve(self, a, *, gap_tol, abs_tol, max_evals, max_nodes, start):
        """Solve for the rows of one piece."""
        norm = float(np.linalg.norm(a))
        if not norm > 0:
            return LinearMaximum(
                0.0, self._point(self._interior_row), start or (0.0, 0.0), 0
            )
        if self._listed is not None:
            return self._solve_listed(a, start)
        if self.slices is not None:
            return self._solve_slices(a, start)
        self._check_bounded()
        problem = self._lagrangian(a / norm)
        minimum = minimize_dual(problem, start, max_evals=max_evals)
        z = self._row(problem, minimum)
        bound, n_evals = minimum.best.value + minimum.rounding, minimum.n_evals
        level = float(a @ self.center) / norm
        enough = np.inf if np.isinf(gap_tol) else gap_tol * abs(bound + level)
        enough = max(enough, abs_tol / norm)
        if bound - problem.objective(z) > enough and self.has_whole:
            bound, z, more = branch(
                problem, minimum, z, self._limits, enough=enough, max_nodes=max_nodes
            )
            n_evals += more
        level += 4e-16 * len(a) * np.linalg.norm(self.center)
        multipliers = (minimum.best.lam, minimum.best.nu)
        return LinearMaximum(
            norm * (bound + level), self._point(z), multipliers, n_evals
        )

    def _solve_listed(self, a, start):
        """Solve by comparing all rows."""
        values = self._listed @ a
        # At most that much is lost when products are summed.
        rounding = 2.3e-16 * (len(a) + 2) * self._largest_norm
        rounding *= float(np.linalg.norm(a))
        best = np.argmax(np.where(self._is_inside, values, -np.inf))
        return LinearMaximum(
            float(values.max()) + rounding,
            self._listed[best].copy(),
            start or (0.0, 0.0),
            0,
        )

    def _solve_slices(self, a, start):
        """Solve by comparing all slices."""
        assert self.slices is not None  # otherwise there are other ways
        values = self.slices.largest(a)
        size = float(np.linalg.norm(self.center)) + self.radius
        rounding = 1e-15 * (len(a) + 8) * size * float(np.linalg.norm(a))
        multipliers = start or (0.0, 0.0)
        for k in np.argsort(-values, kind="stable"):
            best = self.slices.region(k)
            point = best.shrink(best.support(a)[1], INWARDS)
            if self.contains([point])[0]:
                break
        else:
            point = self._point(self._interior_row)
        return LinearMaximum(float(values.max()) + rounding, point, multipliers, 0)

    def bound(self, a, *, start=None, tol=1e-12):
        """Bound the maximum of a linear function, without searching for a row.

        Parameters
        ----------
        a : array-like of shape (n_features,)
            The linear function.
        start : tuple of two floats, default=None
            Multipliers of a similar linear function.
        tol : float, default=1e-12
            Relative precision of the bound, which is valid at any precision.

        Returns
        -------
        value : float
            At least the maximum of ``a @ x``.
        multipliers : tuple of two floats
            Multipliers of sphere and slab, for the linear function scaled to norm 1.
        """
        a = np.asarray(a, dtype=np.float64)
        return max(
            (subproblem._bound(a, start, tol) for subproblem in self.pieces), key=_value
        )

    def _bound(self, a, start, tol):
        """Bound the maximum over the rows of one piece."""
        norm = float(np.linalg.norm(a))
        if not norm > 0:
            return 0.0, start or (0.0, 0.0)
        self._check_bounded()
        minimum = minimize_dual(self._lagrangian(a / norm), start, tol=tol)
        value = minimum.best.value + minimum.rounding + self._level(a / norm)
        return norm * value, (minimum.best.lam, minimum.best.nu)

    def _level(self, a):
        """Value of a linear function of norm 1 at the center, padded for rounding."""
        return float(a @ self.center) + 4e-16 * len(a) * np.linalg.norm(self.center)

    def _check_bounded(self):
        if not self.is_bounded:
            raise ValueError(
                "The set is unbounded, so a linear function may have no maximum on "
                "it. Use a sphere, or bounds on every feature."
            )

    def _lagrangian(self, a, curvature=0.0):
        base = self.base
        square = base.radius**2
        return Lagrangian(self._parts, a, square, base.lower, base.upper, curvature)

    def _row(self, problem, minimum):
        if not self.has_whole:
            return smooth_row(problem, minimum, self._limits, self._interior_row)
        z = whole_row(problem, minimum, self._limits)
        if z is None:
            best = minimum.best
            z = improve(problem, self._interior_row, best.lam, best.nu, self._limits)
        return self._interior_row if z is None else z

    def _point(self, z):
        """Return the row; integers are rounded to be exact."""
        x = z + self.center
        for part in self._parts:
            if part.whole:
                x[part.place] = np.rint(x[part.place])
        return np.clip(x, self.columns.lower, self.columns.upper, out=x)

    def contains(self, X, tol=0.0):
        """Return which rows lie in the set.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            The rows.
        tol : float, default=0
            Tolerance for sphere and slab, in the units of the features; that for the
            domain is at least 1e-9.

        Returns
        -------
        mask : ndarray of shape (n_samples,), dtype=bool
            True for the rows in the set.
        """
        inside = self.columns.contains(X, max(tol, 1e-9))
        return inside & self.base.contains(X, tol)

    def project(self, X):
        """Replace each row by a nearby row of the set.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.

        Returns
        -------
        X_projected : ndarray of shape (n_samples, n_features)
            The nearest rows if the set is convex; otherwise nearby rows.
        """
        return super().project(X)

    def _nearest(self, x):
        found = [subproblem._project(x) for subproblem in self.pieces]
        return min(found, key=lambda row: np.linalg.norm(row - x))

    def _nearest_listed(self, x):
        """Return the nearest of all rows."""
        steps = self._listed - x
        distances = np.einsum("ij,ij->i", steps, steps)
        return self._listed[np.argmin(np.where(self._is_inside, distances, np.inf))]

    def _project(self, x):
        if self._listed is not None:
            return self._nearest_listed(x).copy()
        y = x - self.center
        norm = max(float(np.linalg.norm(y)), 1e-300)
        problem = self._lagrangian(y / norm, curvature=0.5 / norm)
        return self._point(self._row(problem, minimize_dual(problem)))

    def tightened(self, margin):
        """Return the rows of the domain in a smaller ball and slab.

        Parameters
        ----------
        margin : float
            Amount by which they shrink, relative to the largest distance of a row of
            the ball from the origin.

        Returns
        -------
        rows : RestrictedSet
            The smaller set; the set itself if no row of the smaller set is found or the
            radius is infinite.
        """
        base = self.base
        if not self._has_ball:
            return self
        step = margin * (np.linalg.norm(base.center) + base.radius)
        sides = base.direction, base.lower + step, base.upper - step
        try:
            tighter = SphereSlab(base.center, base.radius - step, *sides)
            return RestrictedSet(tighter, self.columns)
        except ValueError:
            return self

    def widened(self, by, ends):
        """Return the rows of the domain in a larger ball and slab.

        Parameters
        ----------
        by : float
            Amount added to the radius.
        ends : float
            Amount by which both hyperplanes of the slab move outwards.

        Returns
        -------
        rows : RestrictedSet
            The larger set.
        """
        if len(self.pieces) > 1:
            return RestrictedSet(self.base.widened(by, ends), self.columns)
        wider = copy(self)
        wider.base, wider.pieces = self.base.widened(by, ends), [wider]
        wider._set_limits()
        return wider

    def shrink(self, x, margin):
        """Move a row inwards, so that rounding cannot move it outside.

        Parameters
        ----------
        x : ndarray of shape (n_features,)
            A row of the set.
        margin : float
            Relative step, between 0 and 1.

        Returns
        -------
        point : ndarray of shape (n_features,)
            The moved row; where whole numbers are not few, the same row.
        """
        if self.is_convex:
            return self._towards_inside(x, margin)
        if self.slices is not None:
            return self.slices.shrink(x, margin)
        if len(self.pieces) > 1 or self.has_whole:
            return x
        z = blend(self._parts, x - self.center, self._interior_row, margin)
        return self._point(z)

    def _towards_inside(self, x, margin):
        target = self.center + self._interior_row
        return target + (1.0 - margin) * (x - target)

    def intersect(self, other):
        """Return the intersection with another set.

        Parameters
        ----------
        other : SphereSlab
            The other set; any region, if this set is convex.

        Returns
        -------
        both : FeasibleRegion
            The intersection; a RestrictedSet if the other set is a SphereSlab.
        """
        if isinstance(other, SphereSlab):
            return RestrictedSet(self.base.intersect(other), self.columns)
        return super().intersect(other)

    def hull(self):
        """Return the convex relaxation given by Lagrangian duality.

        Returns
        -------
        hull : FeasibleRegion
            A convex set that contains all rows of this one and has a projection.

        Raises
        ------
        ValueError
            If the domain has one-hot groups.
        """
        return Hull(self)


def restrict(feasible_set, domain, *, feature_names=None, fallbacks=None, keeps=None):
    """Restrict the feasible set of a filter to a domain.

    Parameters
    ----------
    feasible_set : FeasibleSet
        Its sets must be of type :class:`SphereSlab`.
    domain : Domain or str
        The rows that an attacker can add.
    feature_names : array-like of shape (n_features,), default=None
        Names of the features, if the domain refers to names.
    fallbacks : dict, default=None
        Maps each label to a row known to be in the set of that class.
    keeps : callable, default=None
        Takes a label and rows of shape (n_rows, n_features), and returns which of them
        the filter keeps: for rows so near to its limits that rounding decides.

    Returns
    -------
    restricted : FeasibleSet
        Sets of :class:`RestrictedSet`.

    Raises
    ------
    EmptySetError
        If no row of a class passes; a ValueError that names the class.
    """
    n_features = len(feasible_set.sets[0].center)
    columns = as_domain(domain).resolve(n_features, feature_names)
    fallbacks = fallbacks or {}
    sets = []
    for label, rows in feasible_set:
        with _of_class(label, feasible_set.classes):
            one = RestrictedSet(rows, columns, fallback=fallbacks.get(label))
            sets.append(one if keeps is None else one.settled(partial(keeps, label)))
    return FeasibleSet(feasible_set.classes, sets)


@contextmanager
def _of_class(label, classes):
    """Let errors of sets without rows say which class it is."""
    try:
        yield
    except NoRowError as error:
        if len(classes) < 2:
            raise
        shown = np.asarray(label).item()
        raise type(error)(f"Class {shown!r}: {error}") from error


def _no_row(base):
    return EmptySetError(
        "The feasible set is empty: no row of the domain is in the slab and within "
        f"{base.radius:.6g} of the center."
    )


def _value(bound):
    return bound[0]


def _pieces(base, columns, fallback):
    """Return the sets whose union is a set of several kinds; none for one kind."""
    parts = columns.pieces
    if len(parts) == 1:
        return []
    found: list[RestrictedSet] = []
    proof: EmptySetError | None = None
    for part in parts:
        is_in = fallback is not None and part.contains([fallback])[0]
        try:
            found.append(
                RestrictedSet(base, part, fallback=fallback if is_in else None)
            )
        except EmptySetError as error:
            proof = proof or error
    if proof is not None and not found:
        raise proof
    return found


def _columns(domain, n_features):
    if not isinstance(domain, Columns):
        domain = as_domain(domain).resolve(n_features)
    if domain.n_features != n_features:
        raise ValueError(
            f"The domain has {domain.n_features} features, but the set has "
            f"{n_features}."
        )
    return domain
