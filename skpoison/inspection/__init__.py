"""Pictures of bounds and of filters, in scikit-learn's manner of displays."""

from ._bound import BoundDisplay
from ._filter import FilterDisplay

__all__ = ["BoundDisplay", "FilterDisplay"]
