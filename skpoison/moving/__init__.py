"""The bound where the attacker moves the centroids: radii are given, centroids not."""

from ._estimator import certify
from ._filters import with_given_radii

__all__ = ["certify", "with_given_radii"]
