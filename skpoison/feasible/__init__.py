"""The sets of rows that a filter lets through, each with a support oracle."""

from ._feasible_set import FeasibleSet
from ._sphere_slab import Projection, SphereSlab

__all__ = ["FeasibleSet", "Projection", "SphereSlab"]
