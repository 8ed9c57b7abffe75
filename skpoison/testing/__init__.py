"""Checks for filters and attacks of your own."""

from skpoison.testing._attacks import check_attack
from skpoison.testing._filters import check_filter

__all__ = ["check_attack", "check_filter"]
