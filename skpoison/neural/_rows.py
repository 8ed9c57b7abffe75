"""Rows and labels as tensors, and back in the container that they came in."""

import numpy as np
import torch
from skorch.utils import is_dataset

from skpoison._containers import like_rows, like_targets, stack


def as_tensor(data, name):
    """Return rows as a tensor.

    Parameters
    ----------
    data : {array-like, Tensor}
        Floating point numbers.
    name : str
        What errors call them.

    Returns
    -------
    tensor : Tensor
        The same numbers, not copied where that can be helped.

    Raises
    ------
    TypeError
        If they are no floating point numbers.
    ValueError
        If some are NaN or infinity.
    """
    tensor = as_numbers(data, name)
    if not tensor.is_floating_point():
        raise TypeError(
            f"{name} must hold floating point numbers, which can be changed a little; "
            f"it holds {tensor.dtype}. Divide pixels by 255."
        )
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} holds NaN or infinity.")
    return tensor.detach()


def as_numbers(data, name):
    """Return numbers of any type as a tensor.

    Parameters
    ----------
    data : {array-like, Tensor}
        Numbers.
    name : str
        What errors call them.

    Returns
    -------
    tensor : Tensor
        The same numbers, not copied where that can be helped.

    Raises
    ------
    TypeError
        If they are no numbers.
    """
    if torch.is_tensor(data):
        return data
    array = None if is_dataset(data) else np.asarray(data)
    if array is None or array.dtype.kind not in "biuf":
        kind = type(data).__name__ if array is None else f"an array of {array.dtype}"
        raise TypeError(f"{name} must be an array or a tensor of numbers; got {kind}.")
    return torch.from_numpy(writeable(array))


def rows_like(rows, X):
    """Return rows in the container of others.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, ...)
        Rows.
    X : {array-like, Tensor, DataFrame} of shape (n_samples, ...)
        The others.

    Returns
    -------
    rows : {ndarray, Tensor, DataFrame} of shape (n_rows, ...)
        A Tensor in the precision and on the device of X, or a DataFrame with its
        columns, if X is one.
    """
    if torch.is_tensor(X):
        return torch.from_numpy(rows).to(X)
    return like_rows(rows, X)


def labels_like(labels, y):
    """Return labels in the container of others.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,)
        Labels.
    y : {array-like, Tensor, Series} of shape (n_samples,)
        The others.

    Returns
    -------
    labels : {ndarray, Tensor, Series} of shape (n_rows,)
        A Tensor or a Series if y is one.
    """
    if torch.is_tensor(y):
        return torch.from_numpy(labels).to(y)
    return like_targets(labels, y)


def stacked(first, second):
    """Return rows, or labels, one after the other.

    Parameters
    ----------
    first : {array-like, Tensor, DataFrame, Series}
        Clean part, which says what the result is.
    second : {ndarray, Tensor, DataFrame, Series}
        Poison part.

    Returns
    -------
    both : {ndarray, Tensor, DataFrame, Series}
        Both.
    """
    if torch.is_tensor(first):
        return torch.cat([first, second])
    return stack(first, second)


def overwritten(data, places, new):
    """Return a copy of rows, or of labels, with others in some places.

    Parameters
    ----------
    data : {ndarray, Tensor, DataFrame, Series} of shape (n_rows, ...)
        Rows or labels.
    places : ndarray of shape (n_new,)
        Where others go.
    new : object
        The others, in the same kind of container.

    Returns
    -------
    data : object
        The copy.
    """
    if hasattr(data, "iloc"):
        data = data.copy()
        data.iloc[places] = new.to_numpy()
        return data
    data = data.clone() if torch.is_tensor(data) else np.array(data)
    data[places] = new
    return data


def check_no_dataset(data, name):
    """Check that rows can be indexed all at once.

    Parameters
    ----------
    data : object
        Rows.
    name : str
        What errors call them.

    Raises
    ------
    TypeError
        If they are a torch Dataset.
    """
    if is_dataset(data):
        raise TypeError(
            f"{name} must be an array or a tensor of rows, and not a "
            f"{type(data).__name__}: give "
            "torch.stack([torch.as_tensor(row) for row, _ in dataset]), and labels "
            "beside it."
        )


def without_tensor(data):
    """Return a tensor as an array of the same numbers, and all else as it is.

    NumPy has no bfloat16, so that such numbers become float32.

    Parameters
    ----------
    data : object
        Rows or labels.

    Returns
    -------
    data : object
        The same numbers.
    """
    if not torch.is_tensor(data):
        return data
    data = data.detach().cpu()
    return (data.float() if data.dtype == torch.bfloat16 else data).numpy()


def writeable(array):
    """Return an array that torch may share, a copy if need be.

    Parameters
    ----------
    array : ndarray
        Any.

    Returns
    -------
    array : ndarray
        In order, and writeable.
    """
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else array.copy()
