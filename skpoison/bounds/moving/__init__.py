"""The bound for moving centroids: fixed radii, centroids that the attacker shifts."""

from skpoison.bounds.moving._attack import RefittedFilter
from skpoison.bounds.moving._certify import certify, covering_defense
from skpoison.bounds.moving._defense import with_given_radii

__all__ = ["RefittedFilter", "certify", "covering_defense", "with_given_radii"]
