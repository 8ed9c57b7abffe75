"""The sets of rows that pass a filter, each with a support function."""

from skpoison.feasible._ball_slab import SphereSlab
from skpoison.feasible._base import FeasibleRegion, Projection
from skpoison.feasible._by_class import FeasibleSet
from skpoison.feasible._columns import Columns
from skpoison.feasible._domain import Domain, as_domain, in_domain
from skpoison.feasible._shrinking import shrink_until_kept
from skpoison.feasible.discrete import LinearMaximum, RestrictedSet, restrict

__all__ = [
    "Columns",
    "Domain",
    "FeasibleRegion",
    "FeasibleSet",
    "LinearMaximum",
    "Projection",
    "RestrictedSet",
    "SphereSlab",
    "as_domain",
    "in_domain",
    "restrict",
    "shrink_until_kept",
]
