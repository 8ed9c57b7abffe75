"""Training sets that lose rows during training."""

import weakref
from collections.abc import Mapping

import joblib
import numpy as np
import torch
from scipy import sparse
from skorch.dataset import get_len
from skorch.utils import is_dataset, is_pandas_ndframe, multi_indexing
from torch.utils.data import Subset

from skpoison.neural._rows import without_tensor

SAMPLED_ROWS = 64


class RowPool:
    """Which of the user's rows are trained on, and which have been dropped."""

    def __init__(self, n_rows, data):
        self.data = data
        self.train_rows = np.arange(n_rows)  # in the order of the training split
        self.dropped_at = np.zeros(n_rows, dtype=np.intp)  # epoch from 1, or 0
        self.labels = np.full(n_rows, -1)  # -1 as long as the class is not known
        self.marks = self.labels.copy()  # of targets, for recognizing rows
        self.recorded = None  # mask of the training split, as in the history

    def counts(self, classes):
        """Return the numbers of training rows and of dropped ones in each class."""
        rows = self.train_rows[np.isin(self.labels[self.train_rows], classes)]
        codes = np.searchsorted(classes, self.labels[rows])
        gone = codes[self.dropped_at[rows] > 0]
        return tuple(np.bincount(c, minlength=len(classes)) for c in (codes, gone))

    def leads_to(self, other, n_epochs):
        """Whether this is what another pool was after ``n_epochs``."""
        then = np.where(other.dropped_at <= n_epochs, other.dropped_at, 0)
        same = self.data.hash == other.data.hash
        return same and np.array_equal(self.dropped_at, then)


class DataMark:
    """Tells whether data given later are the same as data given before.

    Arrays are the same if all labels and a sample of rows are. What reads its rows when
    they are asked for, a torch Dataset or a ``SliceDataset``, is not read: it is the
    same if it is the same object. Where that cannot be told, after pickling or from a
    file, it is the same if it has as many rows, and the labels given with it are.
    """

    def __init__(self, hash_, dataset=None):
        self.hash, self.dataset = hash_, dataset

    @classmethod
    def of(cls, X, y):
        """Mark what was given to ``fit``."""
        if not _reads_rows(X):
            return cls(_sample_hash(X, y))
        read = X if is_dataset(X) else getattr(X, "dataset", X)
        rows = get_len(X), getattr(X, "indices_", None), _in_memory(y)
        return cls(joblib.hash(rows), weakref.ref(read))

    def __getstate__(self):
        return {"hash": self.hash, "dataset": None}

    def is_same(self, other):
        """Compare with a later mark."""
        if self.hash != other.hash:
            return False
        return self.dataset is None or self.dataset() is other.dataset()


def _reads_rows(data):
    """Whether data are read on demand: no array, and not made of arrays."""
    arrays = (np.ndarray, np.generic, torch.Tensor, Mapping, list, tuple)
    known = data is None or isinstance(data, arrays) or np.isscalar(data)
    return not (known or sparse.issparse(data) or is_pandas_ndframe(data))


def _sample_hash(X, y):
    n_rows = get_len(X)
    rows = np.unique(np.linspace(0, n_rows - 1, SAMPLED_ROWS).astype(np.intp))
    sample = _in_memory(multi_indexing(X, rows)) if n_rows else None
    return joblib.hash((n_rows, sample, _in_memory(y)))


def _in_memory(data):
    """Return data on the CPU, and a count in place of what is read on demand."""
    if isinstance(data, Mapping):
        return {key: _in_memory(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_in_memory(value) for value in data]
    if _reads_rows(data) and hasattr(data, "__len__"):
        return len(data)
    return without_tensor(data)


def user_rows(train, X):
    """Return the user's Dataset, and the row number in it of each training row.

    If X is itself a Subset, its rows count.
    """
    levels = []
    while isinstance(train, Subset) and train is not X:
        levels.append(np.asarray(train.indices, dtype=np.intp))
        train = train.dataset
    rows = np.arange(len(train))
    for indices in reversed(levels):
        rows = rows[indices]
    return train, rows


class RowsOf(Subset):
    """Some rows of a Dataset, with its attributes.

    Attributes that have one entry for each row, such as labels or weights, are indexed
    likewise.
    """

    def __getattr__(self, name):
        if name.startswith("__") or "dataset" not in self.__dict__:
            raise AttributeError(name)
        value = getattr(self.dataset, name)
        n_rows = len(self.dataset)
        if isinstance(value, tuple) and all(_has_rows(part, n_rows) for part in value):
            return tuple(multi_indexing(part, self.indices) for part in value)
        if _has_rows(value, n_rows):
            return multi_indexing(value, self.indices)
        return value


def _has_rows(value, n_rows):
    """Whether a value is an array, or a list, of ``n_rows`` rows."""
    if isinstance(value, list):
        return len(value) == n_rows
    is_array = isinstance(value, np.ndarray | torch.Tensor) or sparse.issparse(value)
    shape = value.shape if is_array or is_pandas_ndframe(value) else ()
    return len(shape) > 0 and shape[0] == n_rows


class FilteredSubset(RowsOf):
    """The training rows that have not been dropped."""

    def __init__(self, train, pool, base, rows):
        super().__init__(train, np.arange(len(rows)))
        self.pool, self.base, self.rows = pool, base, rows
        self.log = None  # a BatchLog of the loader's batches, where one is needed
        self.refresh()

    def refresh(self):
        """Update the positions in the training split that are left."""
        self.indices = np.flatnonzero(self.pool.dropped_at[self.rows] == 0)

    def drop(self, rows, epoch):
        """Drop some of the user's rows for good, at the start of an epoch."""
        if len(rows):
            self.pool.dropped_at[rows] = epoch
            self.refresh()

    def readmit(self, rows):
        """Train on some of the dropped rows again."""
        if len(rows):
            self.pool.dropped_at[rows] = 0
            self.refresh()

    def as_plain(self):
        """Return the rows that are left in the form that skorch itself would give.

        That is the training split while no row is dropped; then a Subset of what it is
        a Subset of, or its rows with its attributes.
        """
        train = self.dataset
        if len(self) == len(self.rows):
            return train
        if type(train) is Subset:
            return Subset(train.dataset, np.asarray(train.indices)[self.indices])
        return RowsOf(train, self.indices)


class FreshLoader:
    """Batches of the rows that are left at the start of an epoch.

    Once rows have been dropped, a new loader is made, so that no worker, sampler or
    batch size belongs to the earlier rows.
    """

    def __init__(self, net, subset):
        self.net, self.subset = net, subset
        self._indices = self._loader = None

    def __iter__(self):
        empty = True
        for batch in self._current():
            empty = False
            yield batch
        if empty:
            raise ValueError(
                f"{len(self.subset)} training rows are left, which make no batch: they "
                "are fewer than batch_size, and iterator_train__drop_last=True leaves "
                "out the last, smaller batch."
            )

    def __len__(self):
        return len(self._current())

    def _current(self):
        indices = self.subset.indices
        if self._indices is not indices:
            self._indices = indices
            rows = self.subset.as_plain()
            self._loader = self.net.get_iterator(rows, training=True)
            if self.subset.log is not None:
                self.subset.log.watch(self._loader)
        return self._loader
