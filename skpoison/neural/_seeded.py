"""Random numbers of torch that follow from a seed."""

from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed):
    """Seed torch's random stream, and put it back.

    Parameters
    ----------
    seed : int
        The seed.

    Yields
    ------
    None
        In between, random numbers follow from the seed.
    """
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        yield
