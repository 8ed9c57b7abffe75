"""Forgetting what a network has learned from rows that were dropped."""

import copy

import numpy as np
import torch
from skorch.dataset import unpack_data
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parameter import is_lazy
from torch.utils.data import Subset

from skpoison.neural._batch_log import detached
from skpoison.neural._net import modules_of
from skpoison.neural._proxies import gradient_proxies
from skpoison.neural._seeded import everything_restored

# How much of the way that parameters have come is left by forget="rewind".
LEFT = 0.3


class Watch:
    """Which layers with a weight matrix run, and what they and the modules return."""

    def __init__(self, modules):
        self.modules = modules
        self.runs, self.returned = [], []

    def __enter__(self):
        layers = layers_of(self.modules).values()
        self.handles = [
            layer.register_forward_hook(self._note_run)
            for layer in layers
            if has_matrix(layer)
        ]
        self.handles += [
            module.register_forward_hook(self._note_return) for module in self.modules
        ]
        return self

    def __exit__(self, *error):
        for handle in self.handles:
            handle.remove()

    def _note_run(self, layer, given, made):
        self.runs.append((layer, made))

    def _note_return(self, module, given, made):
        self.returned.append(made[0] if isinstance(made, tuple) else made)

    @property
    def last(self):
        """The layer whose output is returned, or else the one that ran last."""
        for layer, made in reversed(self.runs):
            if any(made is output for output in self.returned):
                return layer
        return self.runs[-1][0] if self.runs else None


def layers_of(modules):
    """Return all layers of some modules by their names, "" for a module itself."""
    found = {}
    for module in modules:
        module = getattr(module, "_orig_mod", module)
        found |= dict(module.named_modules())
    return found


def has_matrix(layer):
    """Whether a layer has parameters of its own of two dimensions or more."""
    return any(p.ndim > 1 for p in layer.parameters(recurse=False))


def can_be_reset(layer):
    """Whether a layer can draw its parameters again."""
    return callable(getattr(layer, "reset_parameters", None)) and any(
        True for _ in layer.parameters()
    )


def resettable(net):
    """Return the names of all layers that can draw their parameters again."""
    layers = layers_of(modules_of(net))
    return [name for name, layer in layers.items() if can_be_reset(layer)]


def check_head(net, head):
    """Check, before training, that there is a last layer that can be reset."""
    allowed = resettable(net)
    if head is None:
        if not allowed:
            raise ValueError(
                "forget='reset-head' needs a layer with parameters and the method "
                "reset_parameters(), as torch's own layers have; the module has none. "
                "forget='rewind' works with any."
            )
    elif head not in allowed:
        raise ValueError(
            f"head={head!r} must be the name of a layer that has parameters and the "
            f"method reset_parameters(): one of {allowed}."
        )


def shape_lazy(net, dataset):
    """Run two rows if there are parameters that get their shape from the first rows."""
    modules = modules_of(net)
    tensors = [*modules.parameters(), *modules.buffers()]
    if any(is_lazy(tensor) for tensor in tensors):
        gradient_proxies(net, _few(dataset))


def _few(dataset):
    return Subset(dataset, np.arange(min(2, len(dataset))))


def find_head(net, head, dataset):
    """Return the layer called ``head``; for None, the one that makes the output.

    That one is found by running two rows.
    """
    if head is not None:
        layer = layers_of(modules_of(net))[head]
    else:
        layer = _last_layer(net, _few(dataset))
    if not all(p.requires_grad for p in layer.parameters()):
        raise ValueError(
            f"forget='reset-head' draws a {type(layer).__name__} again that is frozen, "
            "and so could not be learned again: give another head=, or forget='rewind'."
        )
    shared = _shared_with(net, layer)
    if shared:
        raise ValueError(
            f"forget='reset-head' would draw {', '.join(shared)} again too, with which "
            f"a {type(layer).__name__} shares its parameters: give another head=, or "
            "forget='rewind'."
        )
    if not _draws_all(layer):
        raise ValueError(
            f"reset_parameters() of a {type(layer).__name__} leaves its parameters, or "
            "some of them, as they are, which it does where they are parametrized or "
            "pruned, or belong to layers within: give another head=, or "
            "forget='rewind'."
        )
    return layer


def _last_layer(net, few):
    with Watch(modules_of(net)) as watch:
        gradient_proxies(net, few)
    allowed = resettable(net)
    if watch.last is None or not can_be_reset(watch.last):
        kind = "none" if watch.last is None else f"a {type(watch.last).__name__}"
        raise ValueError(
            "forget='reset-head' cannot tell which layer is the last one: of the "
            "layers with a weight matrix, the one that makes the output must have "
            f"the method reset_parameters(), and it is {kind}. Give head=, one of "
            f"{allowed}."
        )
    passed_by = _weights_passed_by(net, watch.last, few)
    if passed_by:
        raise ValueError(
            "forget='reset-head' cannot tell which layer is the last one: the output "
            f"depends on {', '.join(passed_by)} not only through the "
            f"{type(watch.last).__name__} that runs last. Give head=, one of {allowed}."
        )
    return watch.last


def _weights_passed_by(net, layer, few):
    """Names of weight matrices that the output depends on beside, or after, a layer."""
    modules, own = modules_of(net), {id(p) for p in layer.parameters()}
    others = {
        name: p
        for module in modules
        for name, p in module.named_parameters()
        if p.ndim > 1 and p.requires_grad and id(p) not in own
    }
    loader = net.get_iterator(few, training=False)
    handle = layer.register_forward_hook(lambda layer, given, made: detached(made))
    try:
        with everything_restored(net, loader), torch.enable_grad():
            net._set_training(False)
            output = net.infer(unpack_data(next(iter(loader)))[0])
    finally:
        handle.remove()
    output = output[0] if isinstance(output, tuple) else output
    if not (others and output.requires_grad):
        return []
    slopes = torch.autograd.grad(output.sum(), others.values(), allow_unused=True)
    return [n for n, slope in zip(others, slopes, strict=True) if slope is not None]


def _shared_with(net, layer):
    """Names of parameters of other layers that are those of a layer."""
    own = {id(p) for p in layer.parameters()}
    within = {id(part) for part in layer.modules()}
    return [
        f"{name}.{key}" if name else key
        for name, other in layers_of(modules_of(net)).items()
        if id(other) not in within
        for key, p in other.named_parameters(recurse=False)
        if id(p) in own
    ]


def _draws_all(layer):
    """Whether a layer's ``reset_parameters()`` sets all of its parameters."""
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            trial = copy.deepcopy(layer).cpu()
            for parameter in trial.parameters():
                parameter.fill_(torch.nan)
            trial.reset_parameters()
            return all(bool(p.isfinite().all()) for p in trial.parameters())
    except RuntimeError:  # what is made of parameters cannot be copied, or is NaN
        return False


def kept_state(net):
    """Return copies of all that ``rewind`` moves, by name.

    Frozen parameters are among them, for they may be trained in a later epoch.
    """
    return {name: tensor.detach().clone() for name, tensor in _movable(net).items()}


def _movable(net):
    """Parameters and statistics of batches, by name."""
    modules = modules_of(net)
    found = dict(modules.named_parameters())
    for name, layer in modules.named_modules():
        if isinstance(layer, _BatchNorm):
            found |= {f"{name}.{key}": b for key, b in layer.named_buffers()}
    return {name: t for name, t in found.items() if t.is_floating_point()}


@torch.no_grad()
def rewind(net, start):
    """Move parameters, and statistics of batches, most of the way back."""
    for name, tensor in _movable(net).items():
        tensor.lerp_(start[name].to(tensor.device), 1 - LEFT)


def restart_averages(net):
    """Let averages over all batches so far begin again."""
    for layer in modules_of(net).modules():
        if isinstance(layer, _BatchNorm) and layer.training and layer.momentum is None:
            layer.reset_running_stats()


def restart_optimizers(net):
    """Forget momentum, and whatever else optimizers remember of former steps."""
    for name in net._optimizers:
        optimizer = getattr(net, f"{name}_")
        if isinstance(optimizer, torch.optim.Optimizer):
            optimizer.state.clear()
