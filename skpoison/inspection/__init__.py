"""Pictures of bounds, filters and attacks, in scikit-learn's manner of displays."""

from ._bound import BoundDisplay
from ._defense import DefenseDisplay
from ._epic import EPICDisplay
from ._filter import FilterDisplay
from ._robustness import RobustnessDisplay

__all__ = [
    "BoundDisplay",
    "DefenseDisplay",
    "EPICDisplay",
    "FilterDisplay",
    "RobustnessDisplay",
]
