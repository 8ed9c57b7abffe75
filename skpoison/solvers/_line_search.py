"""Line search of the minimizers for any loss, of two classes, several or targets."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np

# A line search ends where the slope has fallen to this share of its first value.
FLATTENING, DECREASE = 0.3, 1e-4
ROUNDING = 64.0 * np.finfo(np.float64).eps


class Valued(Protocol):
    """An objective at one point."""

    @property
    def value(self) -> float:
        """Its value."""


Point = TypeVar("Point", bound=Valued)


def flat_point(
    at: Point,
    slope: float,
    along: Callable[[float], tuple[Point, float]],
    max_trials: int,
) -> Point | None:
    """Find where an objective is nearly flat along a step; None where none is lower.

    `slope` is its derivative by the length of the step, at the start. `along` returns
    the point after some length, and the derivative there.
    """
    inside, outside, length = 0.0, np.inf, 1.0
    slope_inside, slope_outside, best = slope, np.inf, None
    spare = ROUNDING * abs(at.value)
    for trial in range(max_trials):
        there, here = along(length)
        lower = there.value <= at.value + DECREASE * length * slope + spare
        if lower and abs(here) <= FLATTENING * abs(slope):
            return there
        if here > 0.0 or not lower:
            outside, slope_outside = length, max(here, 0.0)
        else:
            inside, slope_inside, best = length, here, there
        if np.isinf(outside):
            length *= 2.0
            continue
        share = slope_inside / (slope_inside - slope_outside)
        share = 0.5 if trial % 3 == 2 else min(max(share, 0.05), 0.95)
        length = inside + share * (outside - inside)
    return best
