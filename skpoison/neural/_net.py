"""A skorch classifier whose training rows can be dropped while it is trained."""

import numpy as np
import torch
from sklearn.exceptions import NotFittedError
from skorch import NeuralNetClassifier
from torch.utils.data import IterableDataset

from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.neural._features import home
from skpoison.neural._precision import speaks_of
from skpoison.neural._proxies import ENCODE, check_codes, gradient_proxies
from skpoison.neural._recorded import are_same_rows, check_same_rows, recorded_pool
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

    Which rows were dropped is part of the history. So :meth:`save_params` and
    :meth:`load_params` with ``f_history``, and skorch's ``Checkpoint``,
    ``TrainEndCheckpoint`` and ``LoadInitState``, go on with the rows that are left, or
    go back to those of an earlier epoch. A training that goes on from a file must get
    the data of before, or else there is an error. A file or a pickle cannot tell a
    Dataset object from another: it is the same if it has as many rows, and the labels
    given beside it, or those of some of the dropped rows, are the same.

    A custom ``iterator_train`` gets the training split that skorch would give it until
    rows are dropped, and then one of the same kind with fewer rows. Of attributes of
    the Dataset that have an entry for each row, such as ``targets``, it gets the
    entries of the rows that are left.

    Labels are whole numbers, of any type, from 0 to ``n_classes - 1``, as in skorch. A
    stratified split, which is skorch's default, needs them: with a torch Dataset, give
    ``y`` as well, or another ``train_split``.

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

    # Whether parameters were loaded without the history of their training.
    lacks_history_ = False
    pool_ = None

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
        pool = self.pool_
        if pool is None:
            pool = recorded_pool(self.history or [])
        if pool is None:
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet.")
        return pool

    def initialize_history(self):
        """Begin a history, and forget which rows were dropped."""
        super().initialize_history()
        self.pool_, self.lacks_history_ = None, False
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
        ValueError
            If labels are no numbers; if the split is stratified and there is no y.
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
        y = _class_numbers(y)
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
                    "training goes on with another Dataset object: none of its rows "
                    "counts as dropped, even if its rows are those of before.",
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
        """Get rows and labels as a Dataset.

        Parameters
        ----------
        X, y : object
            As in :meth:`fit`.

        Returns
        -------
        dataset : torch Dataset
            Of both; labels are int64.

        Raises
        ------
        ValueError
            If labels are no numbers.
        TypeError
            If X is a DataFrame whose columns have names that are no texts.
        """
        names = X.columns if hasattr(X, "iloc") and X.ndim == 2 else ()
        if not all(isinstance(name, str) for name in names):
            raise TypeError(
                "the columns of a DataFrame are given to the module's forward by their "
                "names, which must be texts: for rows of numbers, give X.to_numpy()."
            )
        return super().get_dataset(X, _class_numbers(y))

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
            Logits.

        Raises
        ------
        TypeError
            If the module cannot take rows of their precision.
        """
        try:
            return super().infer(x, **fit_params)
        except RuntimeError as error:
            kind = home(modules_of(self))[1]
            if torch.is_tensor(x) and speaks_of(error, x.dtype, kind):
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

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        """Compute the loss of a batch.

        Parameters
        ----------
        y_pred : Tensor or tuple that begins with one
            Logits.
        y_true : Tensor of shape (n_rows,)
            Labels.
        *args, **kwargs : object
            As in skorch.

        Returns
        -------
        loss : Tensor
            The loss.

        Raises
        ------
        ValueError
            If labels are no numbers of the module's outputs.
        """
        try:
            return super().get_loss(y_pred, y_true, *args, **kwargs)
        except (IndexError, RuntimeError):
            # Torch's words for labels that do not fit would not help.
            logits = y_pred[0] if isinstance(y_pred, tuple) else y_pred
            if torch.is_tensor(y_true) and y_true.ndim == 1 and logits.ndim == 2:
                check_codes(y_true, logits)
            raise

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


def modules_of(net):
    """Collect a net's modules, whatever it calls them.

    Parameters
    ----------
    net : NeuralNet
        Initialized.

    Returns
    -------
    modules : torch.nn.ModuleList
        All of them, criteria left out.
    """
    found = [getattr(net, f"{name}_") for name in net._modules]
    return torch.nn.ModuleList(m for m in found if isinstance(m, torch.nn.Module))


def _in_numpy(output):
    """Return numbers in a type that NumPy has."""
    is_short = torch.is_tensor(output) and output.dtype == torch.bfloat16
    return output.float() if is_short else output


def _class_numbers(y):
    """Return labels that are whole numbers as int64, which losses want."""
    if torch.is_tensor(y):
        return y if y.is_floating_point() else y.long()
    several = isinstance(y, dict | list | tuple)  # to skorch, each of them its own
    if y is None or several or getattr(y, "dtype", None) == np.int64:
        return y
    array = np.asarray(y)
    if array.dtype == object:
        if any(np.ndim(label) for label in array.flat):
            return y  # labels of several lengths, which some losses take
        array = np.array(array.tolist())
    if array.dtype.kind in "OSU":
        raise ValueError(
            f"labels must be whole numbers from 0; got {array[:3].tolist()!r}, ... "
            f"{ENCODE}"
        )
    return array.astype(np.int64) if array.dtype.kind in "biu" else y
