"""The losses, as functions of a margin or an error, and their conjugates.

Every loss is convex and at least 0. ``conjugate(a)`` is the least c with
``loss(m) >= -a * m - c`` for all m; it is finite for the slopes a in a range. Each
comes with the sum of the sizes of its terms, which bounds its rounding error.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from skpoison.verify._rows import TINY

Arrays = tuple[np.ndarray, np.ndarray]
# Rounding of a loss or a conjugate in units of 2u: a few operations, and exponentials
# and logarithms that NumPy gives to within four units in the last place.
ROUNDING = 16.0


class Loss(NamedTuple):
    """A loss, its conjugate with sizes, and the range of its slopes."""

    value: Callable[[np.ndarray], np.ndarray]
    conjugate: Callable[[np.ndarray], Arrays]
    slopes: tuple[float, float]
    of_errors: bool = False
    learns_scale: bool = False


def _above(m):
    return np.maximum(1.0 - m, 0.0)


def _entropy(a):
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(a > 0.0, a * np.log(a), 0.0)
        terms += np.where(a < 1.0, (1.0 - a) * np.log1p(-a), 0.0)
    # A slope that is a quotient is rounded, which the logarithm of 1 - a magnifies.
    return terms, np.abs(terms) + 40.0


def _quadratic(square: float, line: float, ends: float = 0.0):
    def conjugate(a):
        parts = square * a * a, line * a, ends * np.abs(a)
        return sum(parts), sum(map(np.abs, parts))

    return conjugate


def loss_of(name: str, constant: float, scale: float | None = None) -> Loss | None:
    """Return a loss by its name; None where there is no such loss.

    The constant is epsilon: of regression's losses that have one, where they bend. The
    loss of `HuberRegressor` is ``s + s H(e / s)`` with a scale s > 0 that is learned,
    convex in e and s together: it is at least ``-a e + s (1 - a a / 4)`` for all s, so
    that its conjugate is 0 as long as all factors of s sum to 0 or more.
    """
    learned = name == "concomitant_huber"
    if learned != (scale is not None) or (scale is not None and not scale > 0.0):
        return None
    c, s, free = constant, scale or 1.0, (-np.inf, np.inf)
    kinds = {
        "hinge": Loss(_above, _quadratic(0.0, -1.0), (0.0, 1.0)),
        "squared_hinge": Loss(
            lambda m: _above(m) ** 2, _quadratic(0.25, -1.0), (0.0, np.inf)
        ),
        "modified_huber": Loss(
            lambda m: np.where(m < -1.0, -4.0 * m, _above(m) ** 2),
            _quadratic(0.25, -1.0),
            (0.0, 4.0),
        ),
        "logistic": Loss(lambda m: np.logaddexp(0.0, -m), _entropy, (0.0, 1.0)),
        "squared": Loss(lambda m: 0.5 * (1.0 - m) ** 2, _quadratic(0.5, -1.0), free),
        "squared_error": Loss(lambda e: 0.5 * e**2, _quadratic(0.5, 0.0), free, True),
        "epsilon_insensitive": Loss(
            lambda e: np.maximum(np.abs(e) - c, 0.0),
            _quadratic(0.0, 0.0, c),
            (-1.0, 1.0),
            True,
        ),
        "squared_epsilon_insensitive": Loss(
            lambda e: np.maximum(np.abs(e) - c, 0.0) ** 2,
            _quadratic(0.25, 0.0, c),
            free,
            True,
        ),
        "huber": Loss(
            lambda e: np.where(np.abs(e) <= c, 0.5 * e * e, c * (np.abs(e) - 0.5 * c)),
            _quadratic(0.5, 0.0),
            (-c, c),
            True,
        ),
        "concomitant_huber": Loss(
            lambda e: (
                s
                + np.where(np.abs(e) <= c * s, e * e / s, c * (2.0 * np.abs(e) - c * s))
            ),
            _quadratic(0.0, 0.0),
            (-2.0 * c, 2.0 * c),
            True,
            True,
        ),
    }
    return kinds.get(name) if c >= 0.0 else None


def largest(
    loss: Loss, low: np.ndarray, high: np.ndarray, unit: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss's largest value between margins, and an error bound of it.

    A convex function is largest at an end.
    """
    value = np.maximum(loss.value(low), loss.value(high))
    return value, ROUNDING * unit * value + TINY
