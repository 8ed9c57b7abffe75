"""Skorch nets whose training rows can be dropped during training."""

import numpy as np
import torch
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor

from skpoison.neural._net import FilteredNetMixin
from skpoison.neural._proxies import (
    ENCODE,
    are_probabilities,
    by_row,
    check_codes,
    check_probabilities,
    minus_one_hot,
    probabilities_of,
)
from skpoison.neural._shared_docs import with_shared_docs

__all__ = [
    "FilteredNetBinaryClassifier",
    "FilteredNetClassifier",
    "FilteredNetRegressor",
]


@with_shared_docs
class FilteredNetClassifier(FilteredNetMixin, NeuralNetClassifier):
    """Network whose training set can become smaller while it is trained.

    A :class:`skorch.NeuralNetClassifier` in all respects, for modules that return
    logits. Together with :class:`EPICCallback`, rows with isolated gradients are
    dropped from the training set. Without it, it trains as plain skorch does, bit for
    bit.

    Parameters
    ----------
    module : torch.nn.Module class or instance
        Returns logits of shape (n_rows, n_classes), or a tuple that begins with them.
        With ``criterion=torch.nn.NLLLoss``, probabilities, as in skorch.
    criterion : torch criterion class, default=torch.nn.CrossEntropyLoss
        The loss.
    **kwargs : dict
        All parameters of :class:`skorch.NeuralNetClassifier`.

    Attributes
    ----------
    <kept_indices_>
    <dropped_at_>
    <history_>

    See Also
    --------
    EPICCallback : Drops rows with isolated gradients.
    FilteredNetMixin : How training goes on after rows were dropped; for other nets.
    skpoison.EPICFilter : The same for scikit-learn's classifiers.
    skpoison.FilteredClassifier : Filters once, before training.

    Notes
    -----
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

    def __init__(self, module, *, criterion=torch.nn.CrossEntropyLoss, **kwargs):
        super().__init__(module, criterion=criterion, **kwargs)

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
            If labels are not column numbers of the module's outputs.
        """
        try:
            return super().get_loss(y_pred, y_true, *args, **kwargs)
        except (IndexError, RuntimeError):
            # Torch's own message does not say what is wrong with the labels.
            logits = y_pred[0] if isinstance(y_pred, tuple) else y_pred
            if torch.is_tensor(y_true) and y_true.ndim == 1 and logits.ndim == 2:
                check_codes(y_true, logits)
            raise

    @by_row
    def row_gradients(self, y_pred, y_true):
        """Compute predicted probabilities minus one-hot labels.

        That is the gradient of the cross-entropy with respect to the logits.

        Parameters
        ----------
        y_pred : Tensor or tuple that begins with one
            Logits; with ``criterion=torch.nn.NLLLoss``, probabilities.
        y_true : Tensor of shape (n_rows,)
            Labels.

        Returns
        -------
        gradients : Tensor of shape (n_rows, n_classes)
            Gradients.
        """
        return minus_one_hot(probabilities_of(self, y_pred), y_true)

    def _targets(self, y):
        return _class_numbers(y)

    def _batch_flag(self, y_pred):
        return are_probabilities(self, y_pred)

    def _check_flags(self, flags):
        check_probabilities(self, flags)


@with_shared_docs
class FilteredNetBinaryClassifier(FilteredNetMixin, NeuralNetBinaryClassifier):
    """Network of one output whose training set can become smaller during training.

    A :class:`skorch.NeuralNetBinaryClassifier` in all respects but one: labels may be
    of any numeric type. Rows are dropped as in a :class:`FilteredNetClassifier` with
    the two logits 0 and the module's output.

    Parameters
    ----------
    module : torch.nn.Module class or instance
        Returns the logit of class 1, of shape (n_rows,) or (n_rows, 1), or a tuple
        that begins with it. With ``criterion=torch.nn.BCELoss``, its probability.
    *args, **kwargs : object
        All parameters of :class:`skorch.NeuralNetBinaryClassifier`.

    Attributes
    ----------
    <kept_indices_>
    <dropped_at_>
    <history_>

    See Also
    --------
    EPICCallback : Drops rows with isolated gradients.
    FilteredNetClassifier : For classifiers with an output for each class.
    FilteredNetMixin : How training goes on after rows were dropped; for other nets.

    Notes
    -----
    Labels are 0 and 1; ``fit`` refuses others.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import scale
    >>> from skpoison.neural import EPICCallback, FilteredNetBinaryClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X = scale(X).astype("float32")
    >>> seed = torch.manual_seed(0)
    >>> net = FilteredNetBinaryClassifier(
    ...     torch.nn.Linear(30, 1),
    ...     lr=0.1,
    ...     max_epochs=8,
    ...     callbacks=[EPICCallback()],
    ...     verbose=0,
    ... ).fit(X, y)
    >>> net.history[:, "n_kept"][0]
    455
    >>> bool(net.history[-1, "n_kept"] == len(net.kept_indices_) < 455)
    True
    """

    @by_row
    def row_gradients(self, y_pred, y_true):
        """Compute predicted probabilities of both classes minus one-hot labels.

        Parameters
        ----------
        y_pred : Tensor of shape (n_rows,) or tuple that begins with one
            Logits of class 1; with ``criterion=torch.nn.BCELoss``, probabilities.
        y_true : Tensor of shape (n_rows,)
            Labels.

        Returns
        -------
        gradients : Tensor of shape (n_rows, 2)
            Gradients.
        """
        output = y_pred[0] if isinstance(y_pred, tuple) else y_pred
        probabilities = self._get_predict_nonlinearity()(output).float()
        if probabilities.shape != (len(output), 2):
            raise ValueError(
                "the probabilities of this net must have the shape (n_rows, 2): take "
                "criterion=torch.nn.BCEWithLogitsLoss, or give predict_nonlinearity, "
                f"a function that makes them of its output; for {len(output)} rows "
                f"their shape is {tuple(probabilities.shape)}."
            )
        return minus_one_hot(probabilities, self.row_classes(y_true))

    def row_classes(self, y_true):
        """Return labels as whole numbers.

        Parameters
        ----------
        y_true : {array-like, Tensor} of shape (n_rows,)
            Labels, 0 or 1.

        Returns
        -------
        classes : Tensor of shape (n_rows,)
            The same, int64.

        Raises
        ------
        ValueError
            If some labels are neither 0 nor 1.
        """
        return torch.as_tensor(self._targets(y_true)).long()

    def _targets(self, y):
        y = _class_numbers(y)
        if isinstance(y, np.ndarray | torch.Tensor):
            _check_binary(y)
            y = y.float() if torch.is_tensor(y) else y.astype(np.float32)
        return y


@with_shared_docs
class FilteredNetRegressor(FilteredNetMixin, NeuralNetRegressor):
    """Network for regression whose training set can become smaller during training.

    A :class:`skorch.NeuralNetRegressor` in all respects. Rows are compared by the
    gradients of their losses with respect to the module's output, all of them with each
    other, as there are no classes.

    Parameters
    ----------
    module : torch.nn.Module class or instance
        Returns predictions, in the shape of the targets, or a tuple that begins with
        them.
    *args, **kwargs : object
        All parameters of :class:`skorch.NeuralNetRegressor`.

    Attributes
    ----------
    <kept_indices_>
    <dropped_at_>
    <history_>

    See Also
    --------
    EPICCallback : Drops rows with isolated gradients.
    FilteredNetMixin : How training goes on after rows were dropped; for other nets.
    skpoison.filters.TrimFilter : Trimmed least squares, for linear regression.

    Notes
    -----
    Gradients are in units of the targets. Scale these to a standard deviation of about
    1, or use ``EPICCallback(similarity="linear")``, which does not depend on units.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> from skpoison.neural import EPICCallback, FilteredNetRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X, y = scale(X).astype("float32"), scale(y).astype("float32")[:, None]
    >>> seed = torch.manual_seed(0)
    >>> net = FilteredNetRegressor(
    ...     torch.nn.Linear(10, 1),
    ...     max_epochs=8,
    ...     callbacks=[EPICCallback(0.2, similarity="linear")],
    ...     verbose=0,
    ... ).fit(X, y)
    >>> net.history[:, "n_kept"][0]
    353
    >>> bool(net.history[-1, "n_kept"] == len(net.kept_indices_) < 353)
    True
    """

    def row_classes(self, y_true):
        """Return one class of all rows.

        Parameters
        ----------
        y_true : {array-like, Tensor} of shape (n_rows, ...)
            Targets.

        Returns
        -------
        classes : Tensor of shape (n_rows,)
            Zeros, int64.
        """
        return torch.zeros(len(y_true), dtype=torch.int64)


def _check_binary(y):
    """Refuse labels other than 0 and 1."""
    wrong = y[(y != 0) & (y != 1)]
    if y.ndim != 1 or len(wrong):
        raise ValueError(
            "labels must be 0 or 1, one for each row; they have the shape "
            f"{tuple(y.shape)} and values such as {wrong[:3].tolist()}. {ENCODE}"
        )


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
