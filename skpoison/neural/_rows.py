"""Rows and labels as tensors, and back in their container."""

import numpy as np
import torch
from skorch.utils import is_dataset

from skpoison._containers import like_rows, like_targets, stack


def as_tensor(data, name):
    """Return finite floating point rows as a tensor, without a copy if possible."""
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
    """Return numbers of any type as a tensor, without a copy if possible."""
    if torch.is_tensor(data):
        return data
    array = None if is_dataset(data) else np.asarray(data)
    if array is None or array.dtype.kind not in "biuf":
        kind = type(data).__name__ if array is None else f"an array of {array.dtype}"
        raise TypeError(f"{name} must be an array or a tensor of numbers; got {kind}.")
    return torch.from_numpy(writeable(array))


def rows_like(rows, X):
    """Return rows in the container, precision and device of X."""
    if torch.is_tensor(X):
        return torch.from_numpy(rows).to(X)
    return like_rows(rows, X)


def labels_like(labels, y):
    """Return labels in the container of y."""
    if torch.is_tensor(y):
        return torch.from_numpy(labels).to(y)
    return like_targets(labels, y)


def stacked(first, second):
    """Return rows, or labels, one after the other, in the container of the first."""
    if torch.is_tensor(first):
        return torch.cat([first, second])
    return stack(first, second)


def overwritten(data, places, new):
    """Return a copy of rows, or of labels, with new ones in some places."""
    if hasattr(data, "iloc"):
        data = data.copy()
        data.iloc[places] = new.to_numpy()
        return data
    data = data.clone() if torch.is_tensor(data) else np.array(data)
    data[places] = new
    return data


def check_no_dataset(data, name):
    """Refuse a torch Dataset, which cannot be indexed all at once."""
    if is_dataset(data):
        raise TypeError(
            f"{name} must be an array or a tensor of rows, and not a "
            f"{type(data).__name__}: give "
            "torch.stack([torch.as_tensor(row) for row, _ in dataset]), and labels "
            "beside it."
        )


def without_tensor(data):
    """Return a tensor as an array (bfloat16, which NumPy lacks, as float32)."""
    if not torch.is_tensor(data):
        return data
    data = data.detach().cpu()
    return (data.float() if data.dtype == torch.bfloat16 else data).numpy()


def writeable(array):
    """Return a contiguous, writeable array, which torch can share."""
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else array.copy()
