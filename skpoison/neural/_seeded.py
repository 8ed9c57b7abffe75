"""Random streams and modes of modules that are restored."""

import random
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed):
    """Seed torch's random streams, and restore them."""
    with _torch_restored(reseeds=True):
        torch.manual_seed(seed)
        yield


@contextmanager
def streams_restored():
    """Restore the random streams of torch, NumPy and Python."""
    python, numpy_ = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with _torch_restored():
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_)  # noqa: NPY002


@contextmanager
def everything_restored(net, loader):
    """Restore random streams, the loader's generator and the modules' modes."""
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


@contextmanager
def _torch_restored(reseeds=False):
    """Restore torch's streams, those of CUDA also if it starts in between."""
    started = torch.cuda.is_initialized()
    devices = range(torch.cuda.device_count()) if started else ()
    try:
        with torch.random.fork_rng(devices=list(devices)):
            yield
    finally:
        # CUDA takes torch's seed when it starts, or when torch is seeded later on.
        if not started and (reseeds or torch.cuda.is_initialized()):
            torch.cuda.manual_seed_all(torch.initial_seed())
