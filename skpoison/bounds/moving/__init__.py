"""The bound where the attacker moves the centroids: radii are given, centroids not."""

from skpoison.bounds.moving._certify import certify
from skpoison.bounds.moving._defense import with_given_radii

__all__ = ["certify", "with_given_radii"]
