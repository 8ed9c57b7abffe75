"""A skorch classifier whose training rows can be dropped while it is trained."""

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from skorch import NeuralNetClassifier
from torch.utils.data import IterableDataset

from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.neural._proxies import gradient_proxies
from skpoison.neural._subset import (
    DataMark,
    FilteredSubset,
    FreshLoader,
    RowPool,
    user_rows,
)

__all__ = ["FilteredNetClassifier"]


class FilteredNetClassifier(NeuralNetClassifier):
    """Network whose training set can become smaller while it is trained.

    A :class:`skorch.NeuralNetClassifier` in all respects, for modules that return
    logits. Together with :class:`EPICCallback`, rows whose gradients stand alone are
    dropped from the training set. Without it, it trains as plain skorch does, bit for
    bit.

    The training split, not the validation split, is wrapped once, and loses rows when
    an epoch begins; from then on, they are not seen again. Loaders of training batches
    are made anew when rows have been dropped, so that no worker process or sampler
    goes on with the rows of before.

    Parameters
    ----------
    module : torch.nn.Module class or instance
        Returns logits of shape (n_rows, n_classes), or a tuple that begins with them.
        With ``criterion=torch.nn.NLLLoss``, probabilities, as skorch has it.
    criterion : torch criterion class, default=torch.nn.CrossEntropyLoss
        The loss.
    **kwargs : dict
        All parameters of :class:`skorch.NeuralNetClassifier`.

    Attributes
    ----------
    kept_indices_ : ndarray of shape (n_kept,)
        Numbers, sorted, of the rows given to :meth:`fit` that are in the training split
        and have not been dropped.
    dropped_at_ : ndarray of shape (n_rows,)
        For each row given to :meth:`fit`, the epoch from which on it was left out,
        counted from 1; 0 for rows that are kept, or in the validation split.
    history_ : skorch.history.History
        What happened in each epoch.

    See Also
    --------
    EPICCallback : Drops rows whose gradients stand alone.
    skpoison.EPICFilter : The same for scikit-learn's classifiers.
    skpoison.FilteredClassifier : Filters once, before training.

    Notes
    -----
    :meth:`partial_fit`, and :meth:`fit` with ``warm_start=True``, go on with the rows
    that are left if they get the same data again: rows and labels that are equal, or
    the same Dataset object. Other data begin with all of their rows.

    Labels are whole numbers from 0 to ``n_classes - 1``, as in skorch.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skpoison.neural import EPICCallback, FilteredNetClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> seed = torch.manual_seed(0)
    >>> net = FilteredNetClassifier(
    ...     torch.nn.Sequential(
    ...         torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10)
    ...     ),
    ...     lr=0.3,
    ...     max_epochs=7,
    ...     callbacks=[EPICCallback(medoid_fraction=0.2)],
    ...     verbose=0,
    ... ).fit(X, y)
    >>> net.history[:, "n_kept"][0]
    1437
    >>> net.history[-1, "n_kept"] == len(net.kept_indices_)
    True
    """

    def __init__(self, module, *, criterion=torch.nn.CrossEntropyLoss, **kwargs):
        super().__init__(module, criterion=criterion, **kwargs)

    @property
    def kept_indices_(self):
        """Rows given to fit that are trained on."""
        pool = self._fitted_pool()
        rows = np.unique(pool.train_rows)
        return rows[pool.dropped_at[rows] == 0]

    @property
    def dropped_at_(self):
        """Epoch from which on each row given to fit was left out."""
        return self._fitted_pool().dropped_at.copy()

    def _fitted_pool(self):
        pool = getattr(self, "pool_", None)
        if pool is None:
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet.")
        return pool

    def initialize_history(self):
        """Begin a history, and forget which rows were dropped."""
        super().initialize_history()
        self.pool_ = None
        return self

    def get_split_datasets(self, X, y=None, **fit_params):
        """Split off validation rows, and wrap the training rows.

        Parameters
        ----------
        X, y : object
            As in :meth:`fit`.
        **fit_params : dict
            Passed to ``train_split``.

        Returns
        -------
        dataset_train : FilteredSubset
            The training rows that have not been dropped.
        dataset_valid : torch Dataset or None
            The validation rows, all of them.

        Raises
        ------
        TypeError
            If X is an IterableDataset, whose rows have no numbers.
        """
        if isinstance(X, IterableDataset):
            raise TypeError(
                "X must be a Dataset with a length, not an IterableDataset."
            )
        train, valid = super().get_split_datasets(X, y, **fit_params)
        base, rows = user_rows(train, X)
        self.pool_ = self._pool_for(DataMark(X, y), len(base))
        self.pool_.train_rows = rows
        return FilteredSubset(train, self.pool_, base, rows), valid

    def _pool_for(self, data, n_rows):
        pool = self.pool_
        if pool is not None and len(pool.labels) == n_rows:
            if pool.data.is_same(data):
                return pool
            if data.dataset is not None and pool.dropped_at.any():
                warn(
                    "training goes on with another Dataset object: none of its rows "
                    "counts as dropped, even if its rows are those of before.",
                    FilterWarning,
                )
        return RowPool(n_rows, data)

    def get_iterator(self, dataset, training=False):
        """Get what yields batches.

        Parameters
        ----------
        dataset : torch Dataset
            Rows.
        training : bool, default=False
            Whether to take ``iterator_train`` or ``iterator_valid``.

        Returns
        -------
        iterator : iterable
            Of batches.
        """
        if training and isinstance(dataset, FilteredSubset):
            return FreshLoader(self, dataset)
        return super().get_iterator(dataset, training=training)

    def gradient_proxies(self, X, y=None):
        """Gradients of the loss of rows with respect to their logits.

        Parameters
        ----------
        X, y : object
            Rows and labels, as in :meth:`fit`.

        Returns
        -------
        proxies : ndarray of shape (n_rows, n_classes)
            Predicted probabilities minus one-hot labels, float32.
        """
        return gradient_proxies(self, self.get_dataset(X, y))[0].cpu().numpy()
