"""A row of a restricted set, or the proof that there is none."""

from skpoison.feasible.discrete._blocks import EmptySetError
from skpoison.feasible.discrete._branch_and_bound import branch
from skpoison.feasible.discrete._dual import minimize_dual
from skpoison.feasible.discrete._lagrangian import Lagrangian
from skpoison.feasible.discrete._primal_heuristics import nearest_row, whole_row


def find_row(parts, limits, outer, farthest, accept):
    """Look for a row near the center: well inside, then inside, then everywhere.

    `limits` has a margin for rounding, `outer` none; `accept` says whether offsets (or
    None) are a row of the set. An empty set that is proved to be so is an error.
    """
    for target in (limits.inner(), limits):
        if target.lower <= target.upper:
            near = Lagrangian.nearest(parts, _n_features(parts), target)
            z = _quick(near, minimize_dual(near), target)
            if accept(z):
                return z
    return _search(parts, (limits, outer), outer, farthest, accept)


def _n_features(parts):
    return sum(len(part.index) for part in parts)


def _quick(near, minimum, limits):
    if _has_whole(near):
        return whole_row(near, minimum, limits)
    return nearest_row(near, limits)


def _has_whole(near):
    return any(part.whole for part in near.parts)


def _search(parts, limits_of_parts, outer, farthest, accept):
    """Split the domain until a row is found, or until there can be none."""
    # Rows have a value above it: minus half of their squared distance to the center.
    lowest = -0.5 * farthest**2 * (1.0 + 1e-12) - 1e-300
    near = Lagrangian.nearest(parts, _n_features(parts), outer)
    minimum = minimize_dual(near)
    _raise_if_empty(minimum.best.value + minimum.rounding, lowest, farthest)
    for limits in limits_of_parts:
        z = _quick(near, minimum, limits)
        if z is None and _has_whole(near):
            found = branch(near, minimum, None, limits, enough=0.0, floor=lowest)
            z = found.z
            if z is None:
                _raise_if_empty(found.bound, lowest, farthest)
        if accept(z):
            return z
    return None


def _raise_if_empty(bound, lowest, farthest):
    if bound <= lowest:
        raise EmptySetError(
            "The feasible set is empty: no row of the domain is in the slab and within "
            f"{farthest:.6g} of the center."
        )
