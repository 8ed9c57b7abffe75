"""Checks for custom filters, feasible regions and attacks."""

from skpoison.testing._attacks import check_attack
from skpoison.testing._feasible import check_feasible_set
from skpoison.testing._filters import check_filter

__all__ = ["check_attack", "check_feasible_set", "check_filter"]
