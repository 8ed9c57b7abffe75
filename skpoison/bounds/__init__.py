"""Certified bounds on the damage of data poisoning."""

from ._certified import CertifiedBound
from ._curve import bound_curve
from ._svc import NormConstrainedSVC

__all__ = ["CertifiedBound", "NormConstrainedSVC", "bound_curve"]
