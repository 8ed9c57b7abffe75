"""Rows of Dask collections for bounds: Dask looks at the partitions."""

from typing import Any

import dask
import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from skpoison._dask import _fit
from skpoison._dask._faults import told_of
from skpoison._dask._partitions import (
    check_collection,
    gathered,
    named,
    pair_of,
    with_labels,
)
from skpoison.bounds._in_blocks import BlockedRows, block_of
from skpoison.bounds._survey import Survey, survey
from skpoison.solvers._block_sums import Look, Seen, Sums, look_at

LARGEST_SEED = np.iinfo(np.int32).max


class DaskRows(BlockedRows):
    """The rows of a Dask collection, and their labels or targets.

    Parameters
    ----------
    X, y : Dask collection
        Rows, and labels as a collection or in memory.
    parts : list
        The partitions of both, as :func:`with_labels` has them.
    seen : Survey
        What has been seen of them.
    begun : filter or None
        The filter to be fitted, which has seen them once.
    """

    def __init__(
        self, X: Any, y: Any, parts: list, seen: Survey, begun: Any = None
    ) -> None:
        super().__init__(seen)
        self.X, self.y, self.parts, self.begun = X, y, parts, begun

    def fitted(self, filter_: Any) -> Any:
        """Fit a filter on all rows, with their labels if these are classes."""
        if isinstance(filter_, FrozenEstimator):
            return filter_.fit(self.seen.X, self.seen.y)
        if self.begun is not None:
            return self._ended(self.begun)
        labels = None if self.seen.labels is None else self.y
        fitted = filter_.fit(self.X, labels)
        for name in ("scores_", "inlier_mask_"):  # which refer to all rows
            vars(fitted).pop(name, None)
        return fitted

    def _ended(self, filter_):
        """Fit a filter that has seen all rows once."""
        self.begun, with_labels = None, self.seen.labels is not None
        with told_of(self.X, self.parts):
            if not filter_.end_pass():
                _fit.run_passes(filter_, self.parts, with_labels=with_labels)
        return filter_

    def look(self, look: Look) -> Seen:
        """Return what a look finds in all partitions: one pass over them."""
        state = dask.delayed((look, self.seen.labels, self.weights), pure=False)
        found = [_looked_at(state, i, pair) for i, pair in enumerate(self.parts)]
        with told_of(self.X, self.parts):
            n_rows, seen = _fit.merged(found, list(range(len(found))), _both)
        if n_rows != self.n_rows:
            raise ValueError(
                f"Every pass must see the same rows, but the first has seen "
                f"{self.n_rows} and another {n_rows}."
            )
        return seen


# Functions stay what they are called: others are pickled whole, once for each task.
def _looking_at(state, i, pair):
    look, labels, weights = state
    with named(i):
        X, y = pair_of(pair)
    n_rows = _num_samples(X)
    if not n_rows:
        return 0, Seen(Sums.none(len(look.theta)), [])
    with named(i):
        return n_rows, look_at(block_of(X, y, labels, weights), look, i)


_looked_at = dask.delayed(_looking_at, pure=False)


def _both(first, second):
    return first[0] + second[0], first[1].plus(second[1])


def surveyed(
    bound: Any, X: Any, y: Any, is_regression: bool, filter_: Any = None
) -> tuple:
    """Look at rows once; return them as blocks, or in memory where they are few.

    A filter that is fitted in passes looks at them, too.
    """
    check_collection("X", X)
    if y is None:
        raise ValueError(
            f"{type(bound).__name__} requires y, the labels or targets of the rows; "
            "got y=None."
        )
    parts = with_labels(X, y)
    seed = check_random_state(bound.random_state).randint(LARGEST_SEED)
    options = {"name": type(bound).__name__, "targets": is_regression, "seed": seed}
    is_frozen = isinstance(filter_, FrozenEstimator)
    if is_frozen or not getattr(filter_, "_fits_in_passes", False):
        filter_ = None
    if filter_ is not None:
        filter_._current_pass()  # begins
    seen = Survey()
    with told_of(X, parts):
        for places in _fit.rounds(filter_, len(parts)):
            fresh = None if filter_ is None else _fit.in_this_pass(filter_)
            state = dask.delayed((fresh, options), pure=False)
            found = [_surveyed(state, i, len(parts), parts[i]) for i in places]
            more, of_filter = _fit.merged(found, places, _both_surveys)
            with named(places[0]):  # where none is like those of the first round
                seen = seen.plus(more)
                if filter_ is not None:
                    filter_._passes.merge(of_filter)
    if not seen.n_rows:
        raise ValueError(f"{type(bound).__name__} got no rows to be fitted on.")
    if seen.n_rows <= seen.most_rows:
        return gathered(parts)
    return DaskRows(X, y, parts, seen, filter_), None


def _surveying(state, i, n_parts, pair):
    filter_, options = state
    with named(i):
        X, y = pair_of(pair)
        found = survey(X, y, i, n_parts, **options)
        labels = None if options["targets"] else y
        return found, None if filter_ is None else filter_._seen(X, labels, i)


_surveyed = dask.delayed(_surveying, pure=False)


def _both_surveys(first, second):
    if first[1] is not None:
        first[1].merge(second[1])
    return first[0].plus(second[0]), first[1]
