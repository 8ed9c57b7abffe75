"""Certified bounds on the damage of data poisoning."""

from skpoison.bounds._certified import CertifiedBound
from skpoison.bounds._path import bound_curve
from skpoison.bounds._svc import NormConstrainedSVC
from skpoison.bounds._training_gap import training_gap

__all__ = ["CertifiedBound", "NormConstrainedSVC", "bound_curve", "training_gap"]
