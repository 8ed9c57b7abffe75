"""Gradients of the loss of rows with respect to the output of a network."""

import zlib
from collections.abc import Mapping

import numpy as np
import torch
from skorch.dataset import unpack_data
from torch.utils.data import DataLoader, SequentialSampler

from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.neural._rows import without_tensor
from skpoison.neural._seeded import everything_restored

# What to do with other labels.
ENCODE = "sklearn.preprocessing.LabelEncoder makes such numbers of any labels."


def gradient_proxies(net, dataset):
    """Return gradients (float32, on the device), classes and target marks of all rows.

    One pass in evaluation mode, with the loader that the net validates and predicts
    with. Random streams are left as they were. Nothing in the loop waits for a device:
    labels are looked at where the loader puts them.
    """
    loader = net.get_iterator(dataset, training=False)
    _check_order(loader)
    n_rows, done = len(dataset), 0
    classes, marks = np.empty((2, n_rows), dtype=np.int64)
    proxies, flags = None, []
    with everything_restored(net, loader):
        for batch in loader:
            _, y = unpack_data(batch)
            output = net.evaluation_step(batch, training=False)
            part = net.row_gradients(output, y)
            if proxies is None:
                proxies = part.new_empty((n_rows, part.shape[1]), dtype=torch.float32)
            place = slice(done, done + len(part))
            _check_rows(place.stop, n_rows)
            proxies[place] = part
            classes[place] = torch.as_tensor(net.row_classes(y)).cpu().numpy()
            marks[place] = target_marks(y)
            flags.append(net._batch_flag(output))
            done = place.stop
    _check_rows(-1 if done < n_rows else done, n_rows)
    check_finite(proxies)
    net._check_flags(flags)
    return proxies, classes, marks


def check_finite(proxies):
    """Check that training has not diverged."""
    if not torch.isfinite(proxies).all():
        raise ValueError("the module returns NaN or infinity: training has diverged.")


def are_right(proxies, labels):
    """Whether rows are classified as labeled, from probabilities minus one-hot."""
    rows = torch.arange(len(labels), device=proxies.device)
    scores = proxies.clone()
    scores[rows, torch.as_tensor(labels, device=proxies.device)] += 1
    return scores.argmax(dim=1).cpu().numpy() == labels


def target_marks(y):
    """Return a whole number for each row's target, by which it can be recognized.

    A label is its own mark; other targets have a checksum.
    """
    if isinstance(y, Mapping | list | tuple):
        parts = y.values() if isinstance(y, Mapping) else y
        marks = [target_marks(part) for part in parts]
        return np.array([_checksum(row) for row in np.stack(marks, axis=1)])
    y = np.asarray(without_tensor(torch.as_tensor(y)))
    if y.ndim == 1 and y.dtype.kind in "biu":
        return y.astype(np.int64)
    return np.array([_checksum(row) for row in y.astype(np.float64)], dtype=np.int64)


def _checksum(values):
    return zlib.crc32(np.ascontiguousarray(values).tobytes())


def _check_order(loader):
    if isinstance(loader, DataLoader) and not isinstance(
        loader.sampler, SequentialSampler
    ):
        raise ValueError(
            "iterator_valid must go through the rows in their order, to score them: "
            "it must have no shuffle=True and no sampler."
        )


def _check_rows(done, n_rows):
    if not 0 <= done <= n_rows:
        raise ValueError(
            f"iterator_valid must yield each of the {n_rows} rows once, to score them: "
            "it must have no drop_last=True, and no collate_fn that leaves out rows."
        )


def loss_gradients(net, y_pred, y_true):
    """Return the gradient of each row's loss with respect to the first output."""
    output, *others = y_pred if isinstance(y_pred, tuple) else (y_pred,)
    if not torch.is_tensor(output) or not output.ndim:
        raise TypeError(
            "the module must return a Tensor with an entry for each row, or a tuple "
            f"that begins with one; got {type(output).__name__}. For other outputs, "
            f"override {type(net).__name__}.row_gradients."
        )
    output = output.detach().clone().requires_grad_()
    seen = (output, *others) if isinstance(y_pred, tuple) else output
    with torch.enable_grad():
        loss = net.get_loss(seen, y_true, training=False)
    (gradient,) = torch.autograd.grad(loss.sum(), output)
    is_mean = loss.ndim == 0 and "sum" not in _reductions(net)
    scale = len(output) if is_mean else 1
    return gradient.reshape(len(output), -1).float() * scale


def _reductions(net):
    criteria = (getattr(net, f"{name}_") for name in net._criteria)
    return {getattr(criterion, "reduction", "mean") for criterion in criteria}


def by_row(row_gradients):
    """Mark a method that computes the gradient of each row from its own output."""
    row_gradients.is_by_row = True
    return row_gradients


def is_by_row(row_gradients):
    """Whether a method is marked so; one that overrides it is not."""
    return getattr(row_gradients, "is_by_row", False)


def minus_one_hot(probabilities, y):
    """Return probabilities minus one-hot labels."""
    y = torch.as_tensor(y)
    check_codes(y, probabilities)
    places = y.long().to(probabilities.device, non_blocking=True)
    proxies = probabilities.clone()
    proxies[torch.arange(len(y), device=proxies.device), places] -= 1
    return proxies


def check_codes(y, outputs):
    """Check that labels (n_rows,) are column numbers of a module's outputs."""
    if y.shape != outputs.shape[:1] or y.is_floating_point() or y.dtype == torch.bool:
        raise ValueError(
            "labels must be whole numbers, one for each row; those of a batch of "
            f"{len(outputs)} rows have the shape {tuple(y.shape)} and are {y.dtype}. "
            f"{ENCODE}"
        )
    low, high = torch.stack(torch.aminmax(y)).tolist() if len(y) else (0, 0)
    if not 0 <= low <= high < outputs.shape[1]:
        raise ValueError(
            f"labels must be from 0 to {outputs.shape[1] - 1}, for the module has "
            f"{outputs.shape[1]} outputs; they are from {low} to {high}. "
            f"{ENCODE}"
        )


def probabilities_of(net, output):
    """Return the probabilities of classes, float32."""
    scores = _scores(net, output)
    if _gives_probabilities(net):
        return scores.float()
    return torch.softmax(scores, dim=1).float()


def are_probabilities(net, output):
    """Whether all scores of a batch are non-negative with sum one."""
    tolerance = 1e-2 if _gives_probabilities(net) else 1e-4
    values = _scores(net, output)
    off = (values.sum(dim=1) - 1).abs()
    return (values >= 0).all() & (off <= tolerance).all()


def _scores(net, output):
    """Return logits, or probabilities where the net says how to get them."""
    output = output[0] if isinstance(output, tuple) else output
    if output.ndim != 2 or output.shape[1] < 2:
        raise ValueError(
            "the module must return logits of shape (n_rows, n_classes), with two "
            f"classes or more; it returns the shape {tuple(output.shape)}."
        )
    output = output.to(torch.promote_types(output.dtype, torch.float32))
    if callable(net.predict_nonlinearity):
        return net.predict_nonlinearity(output)
    return output


def _gives_probabilities(net):
    """Whether the net turns outputs into probabilities without a softmax."""
    if callable(net.predict_nonlinearity):
        return True
    return isinstance(_criterion(net), torch.nn.NLLLoss)


def _criterion(net):
    """Return the only criterion, whatever the net calls it."""
    if len(net._criteria) != 1:
        raise ValueError(
            f"the net has the criteria {net._criteria}, which do not say what the "
            "module's output is: give predict_nonlinearity, a function that makes "
            "probabilities of it."
        )
    criterion = getattr(net, f"{net._criteria[0]}_")
    return getattr(criterion, "_orig_mod", criterion)


def check_probabilities(net, flags):
    """Check that outputs are what the criterion wants: probabilities or logits."""
    given = all(torch.stack(flags).tolist())
    if _gives_probabilities(net):
        if not given:
            raise ValueError(
                "probabilities must not be negative and add up to one, which those of "
                "this module do not; with logits, take "
                "criterion=torch.nn.CrossEntropyLoss."
            )
    elif given:
        warn(
            "the module returns probabilities, and is trained and scored as if they "
            "were logits: leave out its softmax, or take criterion=torch.nn.NLLLoss.",
            FilterWarning,
        )
