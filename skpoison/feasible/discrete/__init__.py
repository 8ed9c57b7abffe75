"""The rows of a domain that a filter keeps, where features are not just intervals."""

from skpoison.feasible.discrete._error_diffusion import Spread
from skpoison.feasible.discrete._hull import Hull
from skpoison.feasible.discrete._mixtures import can_mix
from skpoison.feasible.discrete._set import LinearMaximum, RestrictedSet, restrict

__all__ = ["Hull", "LinearMaximum", "RestrictedSet", "Spread", "can_mix", "restrict"]
