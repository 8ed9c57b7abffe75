"""Display objects that plot bounds, filters and attacks."""

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
