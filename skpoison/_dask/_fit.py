"""Fitting in passes, in which Dask looks at the partitions."""

from collections.abc import Callable
from copy import copy, deepcopy
from typing import Any

import dask

from skpoison._dask._faults import told_of
from skpoison._dask._partitions import (
    check_collection,
    named,
    pair_of,
    with_labels,
)
from skpoison._dask._select import apply_to

# So many results of partitions are merged at once.
FAN_IN = 16
# So many partitions of all tell the others what they can suppose.
FIRST_SHARE = 1 / 16


def fit(filter_: Any, X: Any, y: Any) -> Any:
    """Fit a filter on Dask collections; its scores and its mask are lazy."""
    if not filter_._fits_in_passes:
        from skpoison._dask import _sample

        return _sample.fit(filter_, X, y)
    check_collection("X", X)
    pairs = with_labels(X, y)
    with told_of(X, pairs):
        run_passes(filter_, pairs)
    fitted = copy(filter_)
    filter_.scores_ = apply_to(fitted, "scores", X, pairs)
    filter_.inlier_mask_ = apply_to(fitted, "mask", X, pairs)
    return filter_


def run_passes(filter_: Any, pairs: list, *, with_labels: bool = True) -> None:
    """Let all partitions be seen until the filter is fitted."""
    while not _run_pass(filter_, pairs, with_labels):
        pass


def _run_pass(filter_, pairs, with_labels):
    """Let all partitions be seen once; return whether the filter is fitted."""
    for places in rounds(filter_, len(pairs)):
        state = dask.delayed(in_this_pass(filter_), pure=False)
        seen = [_seen(state, i, pairs[i], with_labels) for i in places]
        found = merged(seen, places, _merge_into)
        with named(places[0]):  # where none is like those of the first round
            filter_._passes.merge(found)
    return filter_.end_pass()


def rounds(filter_: Any, n_parts: int) -> list[list[int]]:
    """Return which partitions are seen at the same time in the current pass.

    In the first pass a part of them, spread over all, tells what the others can suppose
    about all rows.
    """
    everything = [list(range(n_parts))]
    if not getattr(filter_, "_is_judged_with_means", False):
        return everything
    n_first = max(FAN_IN, int(FIRST_SHARE * n_parts))
    if n_parts < 2 * n_first or not filter_._current_pass().can_judge:
        return everything
    every = n_parts // n_first
    first = range(0, n_parts, every)
    return [list(first), sorted(set(range(n_parts)) - set(first))]


def in_this_pass(filter_: Any) -> Any:
    """Return a copy of a filter that begins the current pass with no rows."""
    fresh = copy(filter_)
    fresh._passes = filter_._current_pass().empty()
    return fresh


def merged(found: list, places: list[int], both: Callable) -> Any:
    """Compute what was found in partitions, and merge it, a few at a time.

    Errors name the first partition of what could not be merged. `both` returns what was
    found in the first and in the second.
    """
    firsts = places
    while len(found) > 1:
        starts = range(0, len(found), FAN_IN)
        groups = [slice(start, start + FAN_IN) for start in starts]
        found = [_merged(found[group], firsts[group], both) for group in groups]
        firsts = [firsts[start] for start in starts]
    (one,) = dask.compute(*found)
    return one


# Functions stay what they are called: others are pickled whole, once for each task.
def _seeing(filter_, i, pair, with_labels):
    with named(i):
        X, y = pair_of(pair)
        return filter_._seen(X, y if with_labels else None, i)


_seen = dask.delayed(_seeing, pure=False)


def _merging(found, firsts, both):
    first, *others = found
    first = deepcopy(first)
    for i, other in zip(firsts[1:], others, strict=True):
        with named(i):  # which is not like those before it
            first = both(first, other)
    return first


_merged = dask.delayed(_merging, pure=False)


def _merge_into(first, second):
    first.merge(second)
    return first
