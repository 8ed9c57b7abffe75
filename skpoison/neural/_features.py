"""Features of rows, computed by a network."""

import re
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

from skpoison.neural._rows import check_no_dataset, without_tensor, writeable

__all__ = ["LayerFeatures"]

# What torch calls its types in errors, besides their own names.
WORDS = {
    torch.uint8: ("Byte", "unsigned char"),
    torch.int8: ("Char", "signed char"),
    torch.int16: ("Short", "short"),
    torch.int32: ("Int", "int"),
    torch.int64: ("Long", "long"),
    torch.bool: ("Bool", "bool"),
    torch.float16: ("Half", "c10::Half"),
    torch.bfloat16: ("BFloat16", "c10::BFloat16"),
    torch.float32: ("Float", "float"),
    torch.float64: ("Double", "double"),
}
FORGETS = (
    " that is not initialized. Cloning, as evaluations and searches do, resets a "
    "fitted net: give net.module_, or FrozenEstimator(net)."
)


class LayerFeatures(torch.nn.Module):
    """The output of a layer of a network, as one flat vector for each row.

    A module that runs another one and returns the output of one of its layers; it
    shares the other's parameters. Attacks use it as a feature extractor.

    Parameters
    ----------
    module : torch.nn.Module or skorch net
        The network; of a net that is initialized, its module.
    layer : str, default=None
        The layer whose output is taken, by its name in ``module.named_modules()``; the
        empty name is the whole module. None takes the *input* of the
        :class:`torch.nn.Linear` whose output the module returns (first, if it returns
        several); if it returns the output of none, of the one that runs last.

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
        _check_layer(module, layer)
        self.module, self.layer = module, layer

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
        if self.layer is None:
            return flat(self._into_last_linear(X))
        calls, _ = _run_watching([self.module.get_submodule(self.layer)], X, self)
        if not calls:
            raise ValueError(f"the module does not run its layer {self.layer!r}.")
        return flat(calls[-1][1])

    def _into_last_linear(self, X):
        linear = [m for m in self.module.modules() if isinstance(m, torch.nn.Linear)]
        calls, output = _run_watching(linear, X, self)
        if not calls:
            raise ValueError(
                "the module runs none of its torch.nn.Linear: give the layer."
            )
        output = output[0] if isinstance(output, tuple) else output
        into = [given for given, made in calls if made is output]
        return into[-1] if into else calls[-1][0]

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
            Features, in the module's precision, or float32 for bfloat16.
        """
        return embed(self, X, batch_size)


def as_module(module):
    """Return the module itself, of a net or a compiled module."""
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


def _check_layer(module, layer):
    parts = dict(module.named_modules())
    if layer is None:
        if not any(isinstance(part, torch.nn.Linear) for part in parts.values()):
            raise ValueError("the module has no torch.nn.Linear: give the layer.")
    elif layer not in parts:
        raise ValueError(
            f"the module has no layer {layer!r}; it has {[n for n in parts if n]}."
        )


def _run_watching(layers, X, features):
    """Run a module; return the first input and the output of each run of layers."""
    calls = []

    def note(layer, given, made):
        calls.append((given[0] if given else None, made))

    handles = [layer.register_forward_hook(note) for layer in layers]
    try:
        return calls, features.module(X)
    finally:
        for handle in handles:
            handle.remove()


def flat(features):
    """Return features as one vector for each row."""
    features = features[0] if isinstance(features, tuple) else features
    return features.flatten(1) if features.ndim > 1 else features[:, None]


def home(module):
    """Return the device and dtype that a module computes in, or (None, None)."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    return torch.device("cpu"), torch.float32


def workplace(module):
    """Return the device and dtype in which rows are perturbed for a module."""
    device, dtype = home(module)
    return device, torch.promote_types(dtype, torch.float32)


def at_least_single(tensor):
    """Return half-precision numbers as float32, for sums of many."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


@contextmanager
def evaluating(modules):
    """Put modules in evaluation mode, and restore their modes."""
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
    """Whether a module has recurrent layers."""
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
    """Let a module use only kernels that are twice differentiable.

    Fused kernels of attention have none.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), _without_cudnn(module):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def features_of(modules, rows, batch_size):
    """Compute the features of rows under each of some modules, with gradients."""
    parts = rows.split(batch_size)
    return [
        torch.cat([_run(module, part, len(parts) > 1) for part in parts])
        for module in modules
    ]


def _run(module, given, again):
    rows = given.to(*home(module))
    if again and torch.is_grad_enabled():
        features = checkpoint(_forward, module, rows, use_reentrant=False)
    else:
        features = _forward(module, rows)
    return at_least_single(flat(features)).to(given.device)


def _forward(module, rows):
    with _without_cudnn(module):
        return module(rows)


def embed(module, X, batch_size):
    """Compute features as an array, in evaluation mode, without gradients."""
    check_no_dataset(X, "X")
    device, dtype = home(module)
    rows = X if torch.is_tensor(X) else torch.from_numpy(writeable(np.asarray(X)))
    with evaluating([module]), torch.no_grad():
        parts = [
            flat(module(part.to(device, dtype))).cpu()
            for part in rows.split(batch_size)
        ]
    return without_tensor(torch.cat(parts))


def names_both(error, given, wanted):
    """Whether an error says that numbers are ``given`` instead of ``wanted``.

    It names both, says that they differ, or that something is not implemented for the
    one given: modules that need indices, such as embeddings, name only that one.
    """
    if given == wanted:
        return False
    text = str(error)
    lacks = rf"not implemented for '({_words(given)})'|must share same datatype"
    both = (rf"\b({_words(kind)})(Tensor)?\b" for kind in (given, wanted))
    return bool(re.search(lacks, text)) or all(re.search(one, text) for one in both)


def _words(kind):
    return "|".join(map(re.escape, (str(kind), *WORDS.get(kind, ()))))
