"""Which numbers parameters may be."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval

# A weight of more than this leaves nothing of what it is added to in single precision.
LARGEST_WEIGHT = 1e6
# The square of a larger length, or a larger weight of squares, may overflow.
LARGEST = 1e30


class Number(Interval):
    """An interval of numbers, to which True and False do not belong.

    In Python they are whole numbers, so ``Interval`` takes them for 1 and 0.
    """

    def is_satisfied_by(self, val):
        """Whether a value is a number of the interval."""
        return not isinstance(val, bool) and super().is_satisfied_by(val)


# Weight of a penalty in units of the objective.
WEIGHT = Number(Real, 0, LARGEST_WEIGHT, closed="both")
# First step of a descent in units of the radius: twice this length crosses the ball.
STEP = Number(Real, 0, 2, closed="right")


def at_least(low):
    """Return the interval of whole numbers from ``low`` on."""
    return Number(Integral, low, None, closed="left")


def check_whole(name, value, low):
    """Check a parameter of a function: a whole number, ``low`` at least."""
    if not at_least(low).is_satisfied_by(value):
        raise ValueError(
            f"{name} must be a whole number, {low} at least; got {value!r}."
        )


def range_bounds(value_range):
    """Check the bounds of values, numbers or arrays of these; return them as arrays."""
    bounds = [np.asarray(bound) for bound in value_range]
    are_numbers = all(bound.dtype.kind in "iuf" for bound in bounds)
    if len(bounds) != 2 or not are_numbers or not (bounds[0] < bounds[1]).all():
        raise ValueError(
            "value_range must be (low, high), two numbers or arrays of these, "
            f"low < high; got {value_range!r}."
        )
    return bounds
