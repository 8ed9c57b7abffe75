"""Features that a network computes of rows."""

from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from skpoison.neural._rows import writeable

__all__ = ["LayerFeatures"]

FORGETS = (
    " that is not initialized. Cloning, as evaluations and searches do, forgets that a "
    "net was fitted: give net.module_, or FrozenEstimator(net)."
)


class LayerFeatures(torch.nn.Module):
    """What a layer of a network says of rows, as one flat vector for each.

    A module that runs another one and returns the output of one of its layers; it has
    the other's parameters, on their device. Attacks take it as a feature extractor.

    Parameters
    ----------
    module : torch.nn.Module or skorch net
        The network; of a net that is initialized, its module.
    layer : str, default=None
        The layer whose output is taken, by its name in ``module.named_modules()``; the
        empty name is the whole module. None takes what goes *into* the last
        :class:`torch.nn.Linear`, in the order of ``named_modules()``.

    Raises
    ------
    ValueError
        If the module has no such layer; at use, if it does not run the layer.
    TypeError
        If ``module`` is neither a module nor an initialized net.

    See Also
    --------
    EmbeddingFilter : A filter on such features.

    Examples
    --------
    >>> import torch
    >>> from skpoison.neural import LayerFeatures
    >>> net = torch.nn.Sequential(
    ...     torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
    ... )
    >>> LayerFeatures(net)(torch.zeros(5, 4)).shape
    torch.Size([5, 8])
    >>> LayerFeatures(net, "0").embed([[0.0, 1.0, 0.0, 0.0]]).shape
    (1, 8)
    """

    def __init__(self, module, layer=None):
        super().__init__()
        module = as_module(module)
        self.layer, self._before = _layer_name(module, layer)
        self.module = module

    def forward(self, X):
        """Compute features.

        Parameters
        ----------
        X : Tensor of shape (n_rows, ...)
            Rows.

        Returns
        -------
        features : Tensor of shape (n_rows, n_features)
            One flat vector for each row.
        """
        found = []
        part = dict(self.module.named_modules())[self.layer]
        if self._before:
            handle = part.register_forward_pre_hook(lambda _, args: found.append(args))
        else:
            handle = part.register_forward_hook(lambda *call: found.append(call[-1]))
        try:
            self.module(X)
        finally:
            handle.remove()
        if not found:
            raise ValueError(f"the module does not run its layer {self.layer!r}.")
        return flat(found[-1])

    def embed(self, X, batch_size=512):
        """Compute features as an array, in evaluation mode, without gradients.

        Parameters
        ----------
        X : {array-like, Tensor} of shape (n_rows, ...)
            Rows.
        batch_size : int, default=512
            Rows at a time.

        Returns
        -------
        features : ndarray of shape (n_rows, n_features)
            Features, in the module's precision.
        """
        return embed(self, X, batch_size)


def as_module(module):
    """Return the module itself, of a net or a compiled module.

    Parameters
    ----------
    module : torch.nn.Module or skorch net
        What has been given.

    Returns
    -------
    module : torch.nn.Module
        The module.

    Raises
    ------
    TypeError
        If there is none.
    """
    module = getattr(module, "module_", module)
    module = getattr(module, "_orig_mod", module)
    if not isinstance(module, torch.nn.Module):
        forgets = hasattr(module, "initialize_module")
        raise TypeError(
            "a torch.nn.Module or an initialized skorch net is needed; got "
            f"{type(module).__name__}"
            f"{FORGETS if forgets else '.'}"
        )
    return module


def _layer_name(module, layer):
    """Return the name of a layer, and whether its input is meant."""
    parts = dict(module.named_modules())
    if layer is None:
        linear = [n for n, part in parts.items() if isinstance(part, torch.nn.Linear)]
        if not linear:
            raise ValueError("the module has no torch.nn.Linear: give the layer.")
        return linear[-1], True
    if layer not in parts:
        raise ValueError(
            f"the module has no layer {layer!r}; it has {[n for n in parts if n]}."
        )
    return layer, False


def flat(features):
    """Return features as one vector for each row.

    Parameters
    ----------
    features : Tensor of shape (n_rows, ...) or tuple that begins with one
        Features.

    Returns
    -------
    features : Tensor of shape (n_rows, n_features)
        The same.
    """
    features = features[0] if isinstance(features, tuple) else features
    return features.flatten(1) if features.ndim > 1 else features[:, None]


def home(module):
    """Return where a module computes, and how precisely.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    device : torch.device
        That of its parameters, or else the CPU.
    dtype : torch.dtype
        That of its parameters, or else float32.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float32


@contextmanager
def evaluating(modules):
    """Put modules in evaluation mode, and back in the mode that they were in.

    Parameters
    ----------
    modules : list of torch.nn.Module
        Modules.

    Yields
    ------
    None
        In between they are in evaluation mode.
    """
    parts = [part for module in modules for part in module.modules()]
    training = [part.training for part in parts]
    try:
        for module in modules:
            module.eval()
        yield
    finally:
        for part, flag in zip(parts, training, strict=True):
            part.training = flag


def is_recurrent(module):
    """Whether a module has recurrent layers.

    Parameters
    ----------
    module : torch.nn.Module
        Any.

    Returns
    -------
    is_recurrent : bool
        Whether it has.
    """
    kinds = torch.nn.RNNBase, torch.nn.RNNCellBase
    return any(isinstance(part, kinds) for part in module.modules())


def _without_cudnn(module):
    """Run recurrent layers by torch's own kernels.

    Those of cuDNN have no gradient in evaluation mode, and no second one in any.
    """
    if is_recurrent(module):
        return torch.backends.cudnn.flags(enabled=False)
    return nullcontext()


@contextmanager
def twice_differentiable(module):
    """Let a module run by kernels only whose gradients have gradients.

    Fused kernels of attention have none.

    Parameters
    ----------
    module : torch.nn.Module
        What runs.

    Yields
    ------
    None
        In between, such kernels are taken; gradients can be asked for later.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), _without_cudnn(module):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def features_of(modules, rows, batch_size):
    """Compute the features of rows under each of some modules, with gradients.

    Parameters
    ----------
    modules : list of torch.nn.Module
        Feature extractors.
    rows : Tensor of shape (n_rows, ...)
        Rows.
    batch_size : int
        Rows at a time. Where there are more, those between are computed again for the
        gradient, so that memory is bounded.

    Returns
    -------
    features : list of Tensor of shape (n_rows, n_features)
        For each module, on the device of the rows.
    """
    parts = rows.split(batch_size)
    return [
        torch.cat([_run(module, part, len(parts) > 1) for part in parts])
        for module in modules
    ]


def _run(module, rows, again):
    device, dtype = home(module)
    rows = rows.to(device, dtype)
    if again and torch.is_grad_enabled():
        features = checkpoint(_forward, module, rows, use_reentrant=False)
    else:
        features = _forward(module, rows)
    return flat(features).to(rows.device)


def _forward(module, rows):
    with _without_cudnn(module):
        return module(rows)


def embed(module, X, batch_size):
    """Compute features as an array, in evaluation mode, without gradients.

    Parameters
    ----------
    module : torch.nn.Module
        Feature extractor.
    X : {array-like, Tensor} of shape (n_rows, ...)
        Rows.
    batch_size : int
        Rows at a time.

    Returns
    -------
    features : ndarray of shape (n_rows, n_features)
        Features, in the module's precision.
    """
    device, dtype = home(module)
    rows = X if torch.is_tensor(X) else torch.from_numpy(writeable(np.asarray(X)))
    with evaluating([module]), torch.no_grad():
        parts = [
            flat(module(part.to(device, dtype))).cpu()
            for part in rows.split(batch_size)
        ]
    return torch.cat(parts).numpy()
