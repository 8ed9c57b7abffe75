"""EPIC, while a network is trained."""

import time
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)
from skorch.callbacks import Callback
from torch.utils.data import Subset

from skpoison.exceptions import FilterWarning
from skpoison.neural._proxies import gradient_proxies
from skpoison.neural._selection import select_medoids
from skpoison.neural._subset import FilteredSubset

__all__ = ["EPICCallback"]


class EPICCallback(Callback):
    """Drop rows whose gradients are unlike those of the other rows of their class.

    EPIC [1]_ for a :class:`FilteredNetClassifier`. When an epoch begins whose turn it
    is, the rows that are left get a gradient proxy each: predicted probabilities minus
    the one-hot label, in evaluation mode. In each class, greedy facility location
    picks medoids among the proxies, and every row goes to its nearest medoid. A medoid
    that nobody else goes to is isolated, and is dropped for good.
    """

    _parameter_constraints: dict = {
        "medoid_fraction": [Interval(Real, 0, 1, closed="right")],
        "every": [Interval(Integral, 1, None, closed="left")],
        "warmup": [Interval(Integral, 0, None, closed="left")],
        "stop_after": [Interval(Integral, 0, None, closed="left"), None],
        "similarity": [StrOptions({"exp", "linear"})],
        "ground_set": [StrOptions({"remaining", "all"})],
        "max_drop_fraction": [Interval(Real, 0, 1, closed="both")],
        "min_class_rows": [Interval(Integral, 1, None, closed="left")],
        "order": [StrOptions({"canonical", "lazy"})],
        "scoring_dataset": [callable, None],
        "backend": [StrOptions({"auto", "numpy", "numba", "torch"})],
    }

    def __init__(
        self,
        medoid_fraction=0.1,
        *,
        every=2,
        warmup=5,
        stop_after=None,
        similarity="exp",
        ground_set="remaining",
        max_drop_fraction=0.5,
        min_class_rows=50,
        order="canonical",
        scoring_dataset=None,
        backend="auto",
    ):
        self.medoid_fraction = medoid_fraction
        self.every = every
        self.warmup = warmup
        self.stop_after = stop_after
        self.similarity = similarity
        self.ground_set = ground_set
        self.max_drop_fraction = max_drop_fraction
        self.min_class_rows = min_class_rows
        self.order = order
        self.scoring_dataset = scoring_dataset
        self.backend = backend

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Check parameters, before any work is done."""
        validate_parameter_constraints(
            self._parameter_constraints, self.get_params(), type(self).__name__
        )
        if self.stop_after is not None and self.stop_after < self.warmup:
            raise ValueError(
                f"stop_after={self.stop_after} must not be less than "
                f"warmup={self.warmup}: nothing would ever be dropped."
            )
        fixed = {"sampler", "batch_sampler"} & set(net.get_params_for("iterator_train"))
        if fixed:
            raise ValueError(
                f"iterator_train__{fixed.pop()} is made for all rows, of which some "
                "will be dropped: let iterator_train be a function that makes a loader "
                "with its sampler for the dataset that it is given."
            )
        self.spared_ = {}

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Drop isolated rows if it is time, and record what happened."""
        if not isinstance(dataset_train, FilteredSubset):
            raise TypeError(
                f"{type(self).__name__} works in a FilteredNetClassifier, and not in a "
                f"{type(net).__name__}."
            )
        begin = time.perf_counter()
        is_round = self._is_round(len(net.history) - 1)
        n_dropped = self._drop(net, dataset_train) if is_round else 0
        seconds = time.perf_counter() - begin if is_round else 0.0
        net.history.record("n_kept", len(dataset_train))
        net.history.record("n_dropped", n_dropped)
        net.history.record("selection_seconds", seconds)

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Warn of isolated rows that had to be kept."""
        if self.spared_:
            warnings.warn(
                f"{type(self).__name__} kept {sum(self.spared_.values())} isolated "
                f"rows, of the classes {sorted(self.spared_)}: no class may lose more "
                f"than max_drop_fraction={self.max_drop_fraction} of its rows, or be "
                f"left with fewer than min_class_rows={self.min_class_rows}.",
                FilterWarning,
                stacklevel=2,
            )

    def _is_round(self, n_epochs):
        """Whether rows are dropped once so many epochs are over."""
        if self.stop_after is not None and n_epochs > self.stop_after:
            return False
        return n_epochs >= self.warmup and (n_epochs - self.warmup) % self.every == 0

    def _drop(self, net, subset):
        rows = subset.rows[subset.indices if self._only_remaining else slice(None)]
        proxies, labels = gradient_proxies(net, Subset(self._plain(subset), rows))
        subset.pool.labels[rows] = labels
        medoids = select_medoids(
            proxies,
            labels,
            self.medoid_fraction,
            self.similarity,
            self.order,
            self.backend,
        )
        alone = isolated(medoids)
        alone = alone[subset.pool.dropped_at[rows[alone]] == 0]
        drop = alone[self._may_be_dropped(subset.pool, labels, alone)]
        subset.drop(rows[drop], len(net.history))
        return len(drop)

    @property
    def _only_remaining(self):
        return self.ground_set == "remaining"

    def _plain(self, subset):
        """Return the user's rows, without augmentation."""
        if self.scoring_dataset is None:
            return subset.base
        plain = self.scoring_dataset(subset.base)
        if len(plain) != len(subset.base):
            raise ValueError(
                f"scoring_dataset must return as many rows as it gets: it got "
                f"{len(subset.base)} and returned {len(plain)}."
            )
        return plain

    def _may_be_dropped(self, pool, labels, alone):
        """Choose isolated rows such that no class loses too many of its rows."""
        classes, codes = np.unique(labels, return_inverse=True)
        total, dropped = pool.counts(classes)
        allowed = np.floor(self.max_drop_fraction * total + 1e-9).astype(np.intp)
        allowed = np.minimum(allowed, total - self.min_class_rows) - dropped
        place = _place_in_class(codes[alone])
        chosen = place < allowed[codes[alone]]
        for code in codes[alone[~chosen]]:
            label = int(classes[code])
            self.spared_[label] = self.spared_.get(label, 0) + 1
        return chosen


def isolated(medoids):
    """Find medoids that stand for themselves only.

    Parameters
    ----------
    medoids : Bunch
        From :func:`skpoison.coreset.facility_location`.

    Returns
    -------
    rows : ndarray
        Class after class, each in the order they were picked.
    """
    alone = medoids.indices[medoids.cluster_sizes == 1]
    return alone[medoids.indices[medoids.assignment[alone]] == alone]


def _place_in_class(codes):
    """Return how many of the same code stand before each entry; equal ones adjoin."""
    first = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]]) if len(codes) else []
    starts = np.zeros(len(codes), dtype=np.intp)
    starts[first] = first
    return np.arange(len(codes)) - np.maximum.accumulate(starts)
