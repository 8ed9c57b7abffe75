"""The mixin that lets a skorch net drop training rows during training."""

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from torch.utils.data import IterableDataset

from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.neural._features import home, names_both
from skpoison.neural._proxies import gradient_proxies, loss_gradients
from skpoison.neural._recorded import are_same_rows, check_same_rows, recorded_pool
from skpoison.neural._shared_docs import with_shared_docs
from skpoison.neural._subset import (
    DataMark,
    FilteredSubset,
    FreshLoader,
    RowPool,
    user_rows,
)

__all__ = ["FilteredNetMixin"]


@with_shared_docs
class FilteredNetMixin:
    """Mixin for skorch nets whose training rows can be dropped during training.

    Put it before the class of the net. Together with :class:`EPICCallback`, rows with
    isolated gradients are dropped from the training set. Without it, the net trains
    as plain skorch does, bit for bit. :class:`FilteredNetClassifier`,
    :class:`FilteredNetBinaryClassifier` and :class:`FilteredNetRegressor` are made so.

    The training split (not the validation split) is wrapped once, and loses rows at the
    start of an epoch; from then on, they are not used again. Loaders of training
    batches are created again after rows have been dropped, so that no worker process or
    sampler still has the earlier rows.

    Attributes
    ----------
    <kept_indices_>
    <dropped_at_>

    See Also
    --------
    EPICCallback : Drops rows with isolated gradients.
    FilteredNetClassifier : For classifiers with an output for each class.
    FilteredNetBinaryClassifier : For binary classifiers with one output.
    FilteredNetRegressor : For regressors.

    Notes
    -----
    What a callback compares is in two methods, which a net may override:
    :meth:`row_gradients`, by default the gradient of each row's loss with respect to
    the module's output, and :meth:`row_classes`, by default the targets, if they are
    whole numbers, and otherwise one class of all rows.

    ``partial_fit``, and ``fit`` with ``warm_start=True``, go on with the rows that are
    left if they get the same data again: rows and targets that are equal, or the same
    Dataset object. Other data begin with all of their rows.

    Which rows were dropped is part of the history. So ``save_params`` and
    ``load_params`` with ``f_history``, and skorch's ``Checkpoint``,
    ``TrainEndCheckpoint`` and ``LoadInitState``, go on with the rows that are left, or
    go back to those of an earlier epoch. A training that goes on from a file must get
    the same data, or else there is an error. A file or a pickle cannot tell one Dataset
    object from another: it counts as the same if it has as many rows, and the targets
    given beside it, or those of some of the dropped rows, are the same.

    A custom ``iterator_train`` gets the training split that skorch would give it until
    rows are dropped, and then one of the same kind with fewer rows. Of attributes of
    the Dataset that have an entry for each row, such as ``targets``, it gets the
    entries of the rows that are left.

    Examples
    --------
    A net with a loss of your own, here a robust one for regression:

    >>> import torch
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from skorch import NeuralNet
    >>> from skpoison.neural import EPICCallback, FilteredNetMixin
    >>> class RobustNet(FilteredNetMixin, NeuralNet):
    ...     pass
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X, y = scale(X).astype("float32"), scale(y).astype("float32")[:, None]
    >>> seed = torch.manual_seed(0)
    >>> net = RobustNet(
    ...     torch.nn.Linear(10, 1),
    ...     criterion=torch.nn.HuberLoss,
    ...     max_epochs=8,
    ...     callbacks=[EPICCallback(0.2, similarity="linear")],
    ...     verbose=0,
    ... ).fit(X, y)
    >>> net.history[:, "n_kept"][0]
    353
    >>> bool(net.history[-1, "n_kept"] == len(net.kept_indices_) < 353)
    True
    """

    # Whether parameters were loaded without the history of their training.
    lacks_history_ = False
    pool_ = None

    @property
    def kept_indices_(self):
        """Indices of the rows given to fit that are trained on."""
        pool = self._fitted_pool()
        rows = np.unique(pool.train_rows)
        return rows[pool.dropped_at[rows] == 0]

    @property
    def dropped_at_(self):
        """Epoch from which on each row given to fit was left out."""
        return self._fitted_pool().dropped_at.copy()

    def _fitted_pool(self):
        pool = self.pool_
        if pool is None:
            pool = recorded_pool(self.history or [])
        if pool is None:
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet.")
        return pool

    def initialize_history(self):
        """Start a history, and forget which rows were dropped."""
        super().initialize_history()
        self.pool_, self.lacks_history_ = None, False
        return self

    def get_split_datasets(self, X, y=None, **fit_params):
        """Split off validation rows, and wrap the training rows.

        Parameters
        ----------
        X, y : object
            As in ``fit``.
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
        ValueError
            If labels are not numbers, or the split is stratified and y is missing.
        """
        if isinstance(X, IterableDataset):
            raise TypeError(
                "X must be a Dataset with a length, not an IterableDataset."
            )
        if y is None and getattr(self.train_split, "stratified", False):
            raise ValueError(
                "the split for validation is stratified, so that it needs labels: "
                "give y beside the Dataset, or train_split=None, or "
                "train_split=ValidSplit(5), which is not stratified."
            )
        y = self._targets(y)
        train, valid = super().get_split_datasets(X, y, **fit_params)
        base, rows = user_rows(train, X)
        self.pool_ = self._pool_for(X, y, len(base))
        self.pool_.train_rows = rows
        return FilteredSubset(train, self.pool_, base, rows), valid

    def _pool_for(self, X, y, n_rows):
        data, pool = DataMark.of(X, y), self.pool_
        if pool is None and (pool := recorded_pool(self.history)) is not None:
            check_same_rows(pool, data, X, y)
        if pool is not None and len(pool.labels) == n_rows:
            if are_same_rows(pool, data, X, y):
                pool.data = data
                return pool
            if data.dataset is not None and pool.dropped_at.any():
                warn(
                    "training continues with another Dataset object: none of its rows "
                    "counts as dropped, even if they are the same rows.",
                    FilterWarning,
                )
        return RowPool(n_rows, data)

    def load_params(self, *args, **kwargs):
        """Load parameters, optimizer and history, and with it which rows are left.

        Parameters
        ----------
        *args, **kwargs : object
            As in skorch.

        Raises
        ------
        ValueError
            If the history says that rows were dropped, and not which.
        """
        before = self.history
        super().load_params(*args, **kwargs)
        self.lacks_history_ = not self.history
        recorded = recorded_pool(self.history or [])
        if self.history is not before and recorded is not None:
            known, self.pool_ = self.pool_, None
            if known is not None and recorded.leads_to(known, len(self.history)):
                # Back in the same training, whose data are known better.
                recorded.data, self.pool_ = known.data, recorded

    def get_dataset(self, X, y=None):
        """Get rows and targets as a Dataset.

        Parameters
        ----------
        X, y : object
            As in ``fit``.

        Returns
        -------
        dataset : torch Dataset
            Of both.

        Raises
        ------
        ValueError
            If labels are not numbers.
        TypeError
            If X is a DataFrame with a column name that is not a string.
        """
        names = X.columns if hasattr(X, "iloc") and X.ndim == 2 else ()
        if not all(isinstance(name, str) for name in names):
            raise TypeError(
                "the columns of a DataFrame are given to the module's forward by their "
                "names, which must be strings: for rows of numbers, give X.to_numpy()."
            )
        return super().get_dataset(X, self._targets(y))

    def infer(self, x, **fit_params):
        """Compute what the module returns for a batch.

        Parameters
        ----------
        x : object
            Rows.
        **fit_params : dict
            Passed to ``forward``.

        Returns
        -------
        output : Tensor or tuple of Tensor
            Output, such as logits.

        Raises
        ------
        TypeError
            If the module cannot take rows of their precision.
        """
        try:
            return super().infer(x, **fit_params)
        except RuntimeError as error:
            kind = home(modules_of(self))[1]
            if torch.is_tensor(x) and names_both(error, x.dtype, kind):
                raise TypeError(
                    f"{error}: rows are {x.dtype}, and parameters of the module "
                    f"{kind}. Give rows of that precision, such as "
                    'X.astype("float32").'
                ) from error
            raise

    def _get_predict_nonlinearity(self):
        # NumPy, which predictions are given in, has no bfloat16.
        nonlinearity = super()._get_predict_nonlinearity()
        return lambda output: nonlinearity(_in_numpy(output))

    def get_iterator(self, dataset, training=False):
        """Get the iterator of batches.

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
        """Compute what rows are compared by: the gradients of their losses.

        Parameters
        ----------
        X, y : object
            Rows and targets, as in ``fit``.

        Returns
        -------
        proxies : ndarray of shape (n_rows, n_outputs)
            From :meth:`row_gradients`, float32.
        """
        return gradient_proxies(self, self.get_dataset(X, y))[0].cpu().numpy()

    def row_gradients(self, y_pred, y_true):
        """Compute the gradient of each row's loss with respect to the output.

        Override it where outputs are not one Tensor, or where the loss of a batch is
        neither the mean of the losses of its rows nor, with a criterion of
        ``reduction="sum"``, their sum.

        Parameters
        ----------
        y_pred : Tensor or tuple that begins with one
            What the module returns for a batch, with an entry for each row.
        y_true : Tensor
            Targets of the batch.

        Returns
        -------
        gradients : Tensor of shape (n_rows, n_outputs)
            Gradients, on the device of the output.
        """
        return loss_gradients(self, y_pred, y_true)

    def row_classes(self, y_true):
        """Return the class of each row, within which rows are compared.

        Parameters
        ----------
        y_true : {array-like, Tensor}
            Targets.

        Returns
        -------
        classes : Tensor of shape (n_rows,)
            The targets, if each is a whole number, and otherwise zeros, int64.
        """
        y = torch.as_tensor(self._targets(y_true))
        if y.ndim == 1 and not (y.is_floating_point() or y.is_complex()):
            return y.long()
        return torch.zeros(len(y), dtype=torch.int64)

    def _targets(self, y):
        """Return targets in the type that the criterion needs."""
        return y

    def _batch_flag(self, y_pred):
        """Return a flag of a batch, for ``_check_flags``."""

    def _check_flags(self, flags):
        """Check the flags of all batches."""


def modules_of(net):
    """Return a net's modules, whatever it calls them, without its criteria."""
    found = [getattr(net, f"{name}_") for name in net._modules]
    return torch.nn.ModuleList(m for m in found if isinstance(m, torch.nn.Module))


def _in_numpy(output):
    """Return float32 for bfloat16, which NumPy lacks."""
    is_short = torch.is_tensor(output) and output.dtype == torch.bfloat16
    return output.float() if is_short else output
