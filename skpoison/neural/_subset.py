"""Training rows that become fewer while a network is trained."""

import weakref

import joblib
import numpy as np
import torch
from skorch.dataset import get_len
from skorch.utils import is_dataset, multi_indexing, to_numpy
from torch.utils.data import Subset

SAMPLED_ROWS = 64


class RowPool:
    """What became of each row of the user's data.

    Parameters
    ----------
    n_rows : int
        Rows of the data, those of a validation split included.
    data : DataMark
        Which data they are.

    Attributes
    ----------
    train_rows : ndarray of shape (n_train,)
        The rows in the training split, in the order of that split.
    dropped_at : ndarray of shape (n_rows,)
        The epoch, from 1, from which on a row is left out; 0 if it is not.
    labels : ndarray of shape (n_rows,)
        The class of each row as far as it is known, else -1.
    """

    def __init__(self, n_rows, data):
        self.data = data
        self.train_rows = np.arange(n_rows)
        self.dropped_at = np.zeros(n_rows, dtype=np.intp)
        self.labels = np.full(n_rows, -1)

    def counts(self, classes):
        """Count training rows by class.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,)
            Sorted labels.

        Returns
        -------
        total, dropped : ndarray of shape (n_classes,)
            All training rows of each class, and those that have been dropped.
        """
        rows = self.train_rows[np.isin(self.labels[self.train_rows], classes)]
        codes = np.searchsorted(classes, self.labels[rows])
        gone = codes[self.dropped_at[rows] > 0]
        return tuple(np.bincount(c, minlength=len(classes)) for c in (codes, gone))


class DataMark:
    """Tells whether data given later are the same as data given before.

    Arrays are the same if all labels and a sample of rows are. A torch Dataset is the
    same if it is the same object, which cannot be told after pickling.

    Parameters
    ----------
    X, y : object
        What was given to ``fit``.
    """

    def __init__(self, X, y):
        self.dataset = weakref.ref(X) if is_dataset(X) else None
        self.hash = None if is_dataset(X) else _sample_hash(X, y)

    def __getstate__(self):
        return {"dataset": None, "hash": self.hash}

    def is_same(self, other):
        """Compare with a later mark.

        Parameters
        ----------
        other : DataMark
            The later one.

        Returns
        -------
        same : bool
            Whether both are of the same data.
        """
        if self.dataset is not None and other.dataset is not None:
            return self.dataset() is other.dataset()
        return self.hash is not None and self.hash == other.hash


def _sample_hash(X, y):
    n_rows = get_len(X)
    rows = np.unique(np.linspace(0, n_rows - 1, SAMPLED_ROWS).astype(np.intp))
    sample = _on_cpu(multi_indexing(X, rows)) if n_rows else None
    return joblib.hash((n_rows, sample, _on_cpu(y)))


def _on_cpu(data):
    if isinstance(data, dict):
        return {key: _on_cpu(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_on_cpu(value) for value in data]
    return to_numpy(data) if torch.is_tensor(data) else data


def user_rows(train, X):
    """Find the user's row for every row of a training split.

    Parameters
    ----------
    train : torch Dataset
        The training split, a Subset if there is a validation split.
    X : object
        What was given to ``fit``. If it is itself a Subset, its rows count.

    Returns
    -------
    dataset : torch Dataset
        The user's rows.
    rows : ndarray of shape (n_train,)
        Row numbers in it.
    """
    levels = []
    while isinstance(train, Subset) and train is not X:
        levels.append(np.asarray(train.indices, dtype=np.intp))
        train = train.dataset
    rows = np.arange(len(train))
    for indices in reversed(levels):
        rows = rows[indices]
    return train, rows


class FilteredSubset(Subset):
    """The training rows that have not been dropped.

    Parameters
    ----------
    train : torch Dataset
        The training split.
    pool : RowPool
        What became of the user's rows.
    base : torch Dataset
        The user's rows.
    rows : ndarray of shape (n_train,)
        The user's row for each row of ``train``.

    Attributes
    ----------
    indices : ndarray
        Positions in ``train`` that are left.
    """

    def __init__(self, train, pool, base, rows):
        super().__init__(train, np.arange(len(rows)))
        self.pool, self.base, self.rows = pool, base, rows
        self.refresh()

    def refresh(self):
        """Leave out what the pool says has been dropped."""
        self.indices = np.flatnonzero(self.pool.dropped_at[self.rows] == 0)

    def drop(self, rows, epoch):
        """Drop some of the user's rows for good.

        Parameters
        ----------
        rows : ndarray of int
            Row numbers.
        epoch : int
            The epoch that begins, from 1.
        """
        self.pool.dropped_at[rows] = epoch
        self.refresh()


class FreshLoader:
    """Batches of the rows that are left when an epoch begins.

    A loader is made anew when rows have been dropped since the last epoch: so there
    are no workers, samplers or batch sizes that still know the rows of before.

    Parameters
    ----------
    net : NeuralNet
        Makes the loaders, by ``get_iterator``.
    subset : FilteredSubset
        The training rows.
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
            rows = Subset(self.subset.dataset, indices)
            self._indices = indices
            self._loader = self.net.get_iterator(rows, training=True)
        return self._loader
