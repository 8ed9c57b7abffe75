"""Filters that are fitted on a sample of the rows, and judge all of them."""

from copy import copy
from dataclasses import dataclass, field
from typing import Any

import dask
import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples

from skpoison._dask import _fit
from skpoison._dask._faults import told_of
from skpoison._dask._partitions import (
    check_collection,
    gathered,
    named,
    pair_of,
    rows_at,
    stacked,
    with_labels,
)
from skpoison._dask._select import apply_to
from skpoison._warn import warn
from skpoison.exceptions import FilterWarning

MOST_ROWS = 100_000
# So many times as many rows are drawn as a partition would have if all were alike.
SPARE_ROWS, LEAST_ROWS = 2.0, 500
LARGEST_SEED = np.iinfo(np.int32).max
# What fitting leaves for each row that it was given.
OF_ROWS = (
    *("scores_", "inlier_mask_", "suspicion_", "reasons_", "tests_", "groups_"),
    *("suggested_labels_", "out_of_fold_", "proba_", "_codes", "_of_members"),
)


@dataclass
class Drawn:
    """Rows drawn: those with the smallest of random numbers.

    Parameters
    ----------
    sizes : dict
        Number of rows of each partition.
    keys : ndarray of shape (n_drawn,)
        Their random numbers.
    places : ndarray of shape (n_drawn, 2)
        Their partitions, and their places there.
    limit : float
        No row whose number is below it is missing.
    rows, labels : list
        The rows and their labels, in pieces.
    """

    sizes: dict = field(default_factory=dict)
    keys: Any = field(default_factory=lambda: np.zeros(0))
    places: Any = field(default_factory=lambda: np.zeros((0, 2), dtype=np.intp))
    limit: float = np.inf
    rows: list = field(default_factory=list)
    labels: list = field(default_factory=list)

    @property
    def n_rows(self) -> int:
        """The number of all rows."""
        return sum(self.sizes.values())

    def plus(self, other: "Drawn") -> "Drawn":
        """Return the rows drawn of all that both have seen."""
        if self.rows and other.rows:
            _check_alike(self.rows[0], other.rows[0])
        both = Drawn(
            self.sizes | other.sizes,
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.places, other.places]),
            min(self.limit, other.limit),
            [*self.rows, *other.rows],
            [*self.labels, *other.labels],
        )
        return both.thinned(MOST_ROWS)

    def thinned(self, most: int) -> "Drawn":
        """Keep so many rows at most."""
        if len(self.keys) > most:
            self.limit = min(self.limit, float(np.partition(self.keys, most)[most]))
        kept = np.flatnonzero(self.keys < self.limit)
        if len(kept) < len(self.keys):
            self.rows = [rows_at(stacked(self.rows), kept)]
            if self.labels[0] is not None:
                self.labels = [rows_at(stacked(self.labels), kept)]
            self.keys, self.places = self.keys[kept], self.places[kept]
        return self

    def in_order(self) -> tuple:
        """Return the rows and their labels in the order of all rows; sort places."""
        order = np.lexsort(self.places.T[::-1])
        self.places = self.places[order]
        rows = rows_at(stacked(self.rows), order)
        if self.labels[0] is None:
            return rows, None
        return rows, rows_at(stacked(self.labels), order)


def _check_alike(first, second):
    """Raise an error where rows of partitions have other columns."""
    pair = [
        one.columns.tolist() if hasattr(one, "columns") else one.shape[1:]
        for one in (first, second)
    ]
    if pair[0] != pair[1]:
        raise ValueError(
            "Blocks of rows (partitions) must be alike, but columns are "
            f"{pair[0]} in one and {pair[1]} in another."
        )


def fit(filter_: Any, X: Any, y: Any) -> Any:
    """Fit a filter on a sample; its scores and its mask are lazy, and of all rows.

    The rows of the sample have the scores that fitting gives them, the others those of
    new rows. If there are no more rows than a sample has, fitting gives all of them.
    """
    check_collection("X", X)
    pairs = with_labels(X, y)
    seed = check_random_state(filter_.random_state).randint(LARGEST_SEED)
    with told_of(X, pairs):
        drawn = [_drawn(i, len(pairs), pair, seed) for i, pair in enumerate(pairs)]
        found = _fit.merged(drawn, list(range(len(drawn))), Drawn.plus)
    if not found.n_rows:
        raise ValueError(f"{type(filter_).__name__} got no rows to be fitted on.")
    rows, labels = _rows_to_fit(filter_, found, pairs)
    filter_.fit(rows, labels)
    # Rows of an empty class are kept by their scores; the mask tells which these are.
    decisions = np.where(filter_.inlier_mask_, 0.0, -1.0)
    known = _by_part(found.places, filter_.scores_, decisions)
    for one, _ in filter_._with_members(np.empty(0, np.intp)):
        for name in OF_ROWS:
            vars(one).pop(name, None)
    filter_._kept_anyway = []
    fitted, given = copy(filter_), (X, pairs, known)
    filter_.scores_ = apply_to(copy(fitted), "scores", *given)
    filter_.inlier_mask_ = apply_to(copy(fitted), "mask", *given)
    return filter_


def _rows_to_fit(filter_, found, pairs):
    """Return the sample, or all rows where there are few; say which."""
    if found.n_rows > MOST_ROWS:
        name = type(filter_).__name__
        warn(
            f"{name} is fitted on {len(found.keys):,} of {found.n_rows:,} rows, drawn "
            "at random. The others are judged as new rows: they are compared with "
            "these, not with one another.",
            FilterWarning,
        )
        return found.in_order()
    sizes = [found.sizes.get(i, 0) for i in range(len(pairs))]
    found.places = np.concatenate([_places(i, n) for i, n in enumerate(sizes)])
    return gathered(pairs)


def _places(part, n_rows):
    return np.column_stack([np.full(n_rows, part), np.arange(n_rows)])


def _drawing(i, n_parts, pair, seed):
    with named(i):
        X, y = pair_of(pair)
    n_rows = _num_samples(X)
    if not n_rows:
        return Drawn({i: 0})
    with named(i):
        if y is not None and _num_samples(y) != n_rows:
            raise ValueError(f"y has {_num_samples(y)} entries, but X {n_rows} rows.")
    keys = np.random.default_rng([seed, i]).random(n_rows)
    drawn = Drawn({i: n_rows}, keys, _places(i, n_rows), np.inf, [X], [y])
    share = int(SPARE_ROWS * MOST_ROWS / n_parts) + LEAST_ROWS
    return drawn.thinned(min(share, MOST_ROWS))


# The function stays what it is called, so that it is not pickled for each task.
_drawn = dask.delayed(_drawing, pure=False)


def _by_part(places, scores, decisions):
    """Return the places, scores and decisions of the rows of each partition."""
    found = {}
    for part in np.unique(places[:, 0]):
        of_part = places[:, 0] == part
        found[int(part)] = places[of_part, 1], scores[of_part], decisions[of_part]
    return found
