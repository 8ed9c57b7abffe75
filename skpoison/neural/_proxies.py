"""Gradient proxies of rows: predicted probabilities minus one-hot labels."""

from contextlib import contextmanager

import numpy as np
import torch
from skorch.dataset import unpack_data
from torch.utils.data import DataLoader, SequentialSampler

from skpoison._warn import warn
from skpoison.exceptions import FilterWarning
from skpoison.neural._seeded import streams_restored

# What to do with other labels.
ENCODE = "sklearn.preprocessing.LabelEncoder makes such numbers of any labels."


@contextmanager
def everything_restored(net, loader):
    """Leave random streams and training flags as they were.

    Parameters
    ----------
    net : NeuralNet
        Its modules go back to the mode they were in.
    loader : object
        If it has a random generator of its own, that is restored too.

    Yields
    ------
    None
        In between, anything may draw random numbers.
    """
    modules = [
        module
        for name in net._modules + net._criteria
        if isinstance(part := getattr(net, f"{name}_"), torch.nn.Module)
        for module in part.modules()
    ]
    training = [module.training for module in modules]
    generator = getattr(loader, "generator", None)
    own = None if generator is None else generator.get_state()
    try:
        with streams_restored():
            yield
    finally:
        if own is not None:
            generator.set_state(own)
        for module, flag in zip(modules, training, strict=True):
            module.training = flag


def gradient_proxies(net, dataset):
    """Compute what the gradient of each row is with respect to the logits.

    One pass in evaluation mode, with the loader that the net validates and predicts
    with. Random streams are left as they were.

    Parameters
    ----------
    net : NeuralNetClassifier
        The net, initialized.
    dataset : torch Dataset
        Rows and labels, whole numbers from 0 to ``n_classes - 1``.

    Returns
    -------
    proxies : Tensor of shape (n_rows, n_classes)
        Probabilities minus one-hot labels, float32, on the device of the module.
    labels : ndarray of shape (n_rows,)
        The labels, int64.

    Warns
    -----
    FilterWarning
        If outputs that shall be logits are probabilities.

    Raises
    ------
    ValueError
        If the module's output is not one row of logits for each row, holds NaN or
        infinity; if labels are not what they must be; or if the loader leaves out rows
        or shuffles them.
    """
    loader = net.get_iterator(dataset, training=False)
    _check_order(loader)
    n_rows, done = len(dataset), 0
    labels = np.empty(n_rows, dtype=np.int64)
    proxies, are_shares = None, []
    with everything_restored(net, loader):
        for batch in loader:
            part, y, shares = _batch_proxies(net, batch)
            if proxies is None:
                proxies = part.new_empty((n_rows, part.shape[1]))
            _check_rows(done + len(part), n_rows)
            proxies[done : done + len(part)] = part
            labels[done : done + len(part)] = y.cpu().numpy()
            done += len(part)
            are_shares.append(shares)
    _check_rows(-1 if done < n_rows else done, n_rows)
    if not torch.isfinite(proxies).all():
        raise ValueError("the module returns NaN or infinity: training has diverged.")
    _check_shares(net, all(torch.stack(are_shares).tolist()))
    return proxies, labels


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


def _batch_proxies(net, batch):
    """Return proxies and labels, and whether the module's outputs are shares.

    Nothing here waits for a device: labels are looked at where the loader puts them.
    """
    _, y = unpack_data(batch)
    output = net.evaluation_step(batch, training=False)
    proxies, are_shares = _probabilities(net, output)
    y = torch.as_tensor(y)
    check_codes(y, proxies)
    y = y.long()
    places = y.to(proxies.device, non_blocking=True)
    proxies[torch.arange(len(y), device=proxies.device), places] -= 1
    return proxies, y, are_shares


def check_codes(y, outputs):
    """Check that labels are numbers of a module's outputs.

    Parameters
    ----------
    y : Tensor of shape (n_rows,)
        Labels.
    outputs : Tensor of shape (n_rows, n_classes)
        What the module returns for these rows.

    Raises
    ------
    ValueError
        If they are not.
    """
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


def _probabilities(net, output):
    """Return probabilities, and whether each output is non-negative with sum one."""
    output = output[0] if isinstance(output, tuple) else output
    if output.ndim != 2 or output.shape[1] < 2:
        raise ValueError(
            "the module must return logits of shape (n_rows, n_classes), with two "
            f"classes or more; it returns the shape {tuple(output.shape)}."
        )
    output = output.to(torch.promote_types(output.dtype, torch.float32))
    if not _gives_probabilities(net):
        return torch.softmax(output, dim=1).float(), _are_shares(output, 1e-4)
    if callable(net.predict_nonlinearity):
        output = net.predict_nonlinearity(output)
    else:
        output = output.clone()
    return output.float(), _are_shares(output, 1e-2)


def _gives_probabilities(net):
    """Whether outputs become probabilities without a softmax of ours."""
    if callable(net.predict_nonlinearity):
        return True
    return isinstance(_criterion(net), torch.nn.NLLLoss)


def _criterion(net):
    """Return the criterion, whatever the net calls it."""
    if len(net._criteria) != 1:
        raise ValueError(
            f"the net has the criteria {net._criteria}, which do not say what the "
            "module's output is: give predict_nonlinearity, a function that makes "
            "probabilities of it."
        )
    criterion = getattr(net, f"{net._criteria[0]}_")
    return getattr(criterion, "_orig_mod", criterion)


def _are_shares(values, tolerance):
    off = (values.sum(dim=1) - 1).abs()
    return (values >= 0).all() & (off <= tolerance).all()


def _check_shares(net, are_shares):
    """Check that probabilities are some, and that logits are none."""
    if _gives_probabilities(net):
        if not are_shares:
            raise ValueError(
                "probabilities must not be negative and add up to one, which those of "
                "this module do not; with logits, take "
                "criterion=torch.nn.CrossEntropyLoss."
            )
    elif are_shares:
        warn(
            "the module returns probabilities, and is trained and scored as if they "
            "were logits: leave out its softmax, or take criterion=torch.nn.NLLLoss.",
            FilterWarning,
        )
