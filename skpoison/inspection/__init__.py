"""Display objects that plot bounds, filters and attacks."""

from ._bound import BoundDisplay
from ._certified import CertifiedAccuracyDisplay
from ._defense import DefenseDisplay
from ._epic import EPICDisplay
from ._filter import FilterDisplay
from ._robustness import RobustnessDisplay
from ._suspicion import SuspicionDisplay
from ._trace import TraceDisplay

__all__ = [
    "BoundDisplay",
    "CertifiedAccuracyDisplay",
    "DefenseDisplay",
    "EPICDisplay",
    "FilterDisplay",
    "RobustnessDisplay",
    "SuspicionDisplay",
    "TraceDisplay",
]
