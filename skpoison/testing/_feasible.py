"""Checks of the interface of feasible regions."""

import numpy as np
from scipy import sparse

from skpoison.feasible import FeasibleRegion, FeasibleSet
from skpoison.testing._data import require

N_ROWS = 12
# Relative to the region's size: what counts as equal, and what is surely outside.
TOLERANCE, OUTSIDE = 1e-5, 1e-2


def check_feasible_set(
    feasible_set: FeasibleSet | FeasibleRegion, random_state: int = 0
) -> None:
    """Check that regions satisfy the interface that bounds and attacks rely on.

    The support is an upper bound on linear functions over the region, and is attained;
    projections lie in the region, are nearest points, and do not increase distances;
    rows that are moved inwards lie inside, and rows beyond the support outside.

    Parameters
    ----------
    feasible_set : FeasibleSet or FeasibleRegion
        What a fitted filter's ``feasible_set`` returns, or one region.
    random_state : int, default=0
        Seed of the test rows and linear functions.

    Raises
    ------
    AssertionError
        If a check fails; the message names the requirement.

    See Also
    --------
    skpoison.feasible.FeasibleRegion : Base class that implements most of the interface.
    check_filter : Checks the filter itself.

    Examples
    --------
    >>> from skpoison.feasible import SphereSlab
    >>> from skpoison.testing import check_feasible_set
    >>> check_feasible_set(SphereSlab([0.0, 1.0], 2.0))
    """
    regions = [feasible_set]
    if isinstance(feasible_set, FeasibleSet):
        regions = feasible_set.sets
    for region in regions:
        require(
            isinstance(region, FeasibleRegion),
            f"Regions must inherit from FeasibleRegion; got {region!r}.",
        )
        _check_region(_Tried(region, np.random.default_rng(random_state)))


class _Tried:
    """A region, with linear functions of norm 1 and rows inside and around it."""

    def __init__(self, region, rng):
        self.region = region
        self.size = region.reach if 0 < region.reach < np.inf else 1.0
        self.functions = rng.normal(size=(N_ROWS, len(region.center)))
        self.functions /= np.linalg.norm(self.functions, axis=1, keepdims=True)
        scales = self.size * rng.uniform(0.2, 2.0, (N_ROWS, 1))
        self.rows = region.center + scales * rng.permutation(self.functions)
        self.nearest = region.project(self.rows)
        self.slack = TOLERANCE * self.size

    def holds(self, rows, slack=None):
        slack = self.slack if slack is None else slack
        return bool(np.all(self.region.contains(np.asarray(rows), slack)))


def _check_region(tried):
    _check_projection(tried)
    for a in tried.functions:
        value, point = tried.region.support(a)
        if np.isfinite(value):
            _check_support(tried, a, value, point)
        else:
            _require(not tried.region.is_bounded, tried, "support is infinite", a)
    _check_size(tried)
    if tried.region.is_convex:
        _check_convex(tried)
    _check_sparse(tried)


def _require(holds, tried, what, where):
    name = type(tried.region).__name__
    require(bool(holds), f"{name}: {what}, at {np.asarray(where).tolist()}.")


def _check_support(tried, a, value, point):
    region, slack = tried.region, tried.slack
    highest = (tried.nearest @ a).max()
    _require(value >= highest - slack, tried, "support is below a row's value", a)
    _require(value >= a @ point - slack, tried, "support is below its own point's", a)
    _require(tried.holds([point]), tried, "contains leaves out the support's point", a)
    beyond = point + (value - a @ point + OUTSIDE * tried.size) * a
    _require(
        not region.contains([beyond])[0], tried, "contains holds more than support", a
    )
    double = region.support(2.0 * a)[0]
    _require(
        abs(double - 2.0 * value) <= slack + 1e-9 * abs(value),
        tried,
        "support of a function's double is not the double",
        a,
    )
    inside = region.shrink(point, 1e-3)
    _require(tried.holds([inside], 0.0), tried, "shrink does not lead inside", point)


def _check_projection(tried):
    region = tried.region
    for row, nearest in zip(tried.rows, tried.nearest, strict=True):
        _require(tried.holds([nearest]), tried, "project leads outside", row)
        if region.contains([row])[0] and region.is_convex:
            _require(
                np.allclose(nearest, row, rtol=0, atol=tried.slack),
                tried,
                "project moves a row of the region",
                row,
            )
        if region.is_differentiable:
            point = region.projection(row).point
            _require(
                np.allclose(nearest, point, rtol=0, atol=tried.slack),
                tried,
                "project and projection differ",
                row,
            )


def _check_convex(tried):
    region, slack = tried.region, tried.slack
    for row, nearest in zip(tried.rows, tried.nearest, strict=True):
        away = row - nearest
        value, point = region.support(away)
        # No row of a convex set lies beyond the plane through the nearest one.
        closer = min(value, away @ point) if region.is_bounded else away @ point
        _require(
            closer <= away @ nearest + slack * max(tried.size, np.linalg.norm(away)),
            tried,
            "project does not find the nearest row",
            row,
        )
    again = region.project(tried.nearest)
    moved = np.abs(again - tried.nearest).max()
    _require(moved <= slack, tried, "project moves what it has projected", tried.rows)
    before = np.linalg.norm(np.diff(tried.rows, axis=0), axis=1)
    after = np.linalg.norm(np.diff(tried.nearest, axis=0), axis=1)
    _require(
        np.all(after <= before + slack),
        tried,
        "project takes rows apart",
        tried.rows,
    )
    means = 0.5 * (tried.nearest[1:] + tried.nearest[:-1])
    _require(tried.holds(means), tried, "means of rows are outside", tried.nearest)


def _check_size(tried):
    region = tried.region
    distances = np.linalg.norm(tried.nearest - region.center, axis=1)
    _require(
        np.all(distances <= region.reach + tried.slack),
        tried,
        "rows are farther from the center than radius says",
        region.center,
    )
    wider = region.widened(OUTSIDE * tried.size, OUTSIDE * tried.size)
    for a in tried.functions:
        value, more = region.support(a)[0], wider.support(a)[0]
        _require(more >= value - tried.slack, tried, "widened is not wider", a)
    _require(
        np.all(wider.contains(tried.nearest, tried.slack)),
        tried,
        "widened leaves out rows of the region",
        region.center,
    )


def _check_sparse(tried):
    """Rows may be sparse where the region says nothing against it."""
    try:
        inside = tried.region.contains(sparse.csr_array(tried.rows))
    except (TypeError, ValueError, NotImplementedError):
        return
    _require(
        np.array_equal(inside, tried.region.contains(tried.rows)),
        tried,
        "contains judges sparse rows otherwise",
        tried.rows,
    )
