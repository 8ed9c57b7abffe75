"""The sets of rows that a filter lets through, each with a support oracle."""

from ._columns import Columns
from ._domain import Domain, as_domain
from ._feasible_set import FeasibleSet
from ._restricted import RestrictedSet, Solution, restrict
from ._sphere_slab import Projection, SphereSlab

__all__ = [
    "Columns",
    "Domain",
    "FeasibleSet",
    "Projection",
    "RestrictedSet",
    "Solution",
    "SphereSlab",
    "as_domain",
    "restrict",
]
