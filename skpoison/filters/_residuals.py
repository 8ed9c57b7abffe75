"""Which targets are wrong, judged from residuals of models that did not see them.

Honest residuals may have heavy tails, be skewed, or vary more in some places than in
others: few lie far out, and fewer the farther out. Where many wrong targets are off in
one direction they are a tail, too, but with a gap: fewer residuals lie between the bulk
and them than among them.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from skpoison.filters._threshold import bulk_threshold

# Largest normal residual, in robust standard deviations; more, by a square, where the
# 90 % quantile of the residuals is farther out than that of a normal distribution.
DEVIATIONS = 4.5
NORMAL_RATIO = 2.4387  # of the 90 % quantile of absolute values to their median
NORMAL_HALF = 0.6745  # standard deviations; half of all values are within
# Gaps, in standard deviations of the shortest half: where they may begin and end, and
# how far around a point residuals are counted.
NEAREST, FARTHEST = 1.75, 20.0
WINDOW, STEP = 0.5, 0.25
# Fewer residuals there than this share of those farther out, by so many standard errors
# of counts; and the rows beyond, few of which are none that attackers shift together.
LEVEL, ERRORS = 0.5, 2.4
FEWEST, LEAST_SHARE, LARGEST_SHARE = 5, 0.03, 0.3


class ResidualScale(NamedTuple):
    """What residuals are usual."""

    center: float
    unit: float  # a robust standard deviation
    cut: float  # largest usual residual, in units
    ends: tuple  # the same below and above the center: nearer where there is a gap

    @property
    def has_gap(self) -> bool:
        """Whether wrong targets stand apart from the bulk."""
        return min(self.ends) < self.cut

    def units(self, residuals: np.ndarray) -> np.ndarray:
        """Absolute residuals in units, however large, stretched where there is a gap.

        Those that are not usual are larger than the cut, on both sides.
        """
        below, above = (self.cut / end for end in self.ends)
        with np.errstate(over="ignore"):
            moved = residuals - self.center
            sizes = np.abs(moved) / self.unit * np.where(moved < 0, below, above)
        return np.minimum(sizes, np.finfo(np.float64).max)


def judge_targets(predict: Callable, targets: np.ndarray) -> tuple:
    """Predictions out of fold, and the scale of residuals.

    ``predict(kept)`` returns predictions by models that are fitted on the rows of a
    mask; rows beyond a gap, which drew all predictions towards them, are left out of
    the second ones.
    """
    predicted = predict(np.ones(len(targets), dtype=bool))
    scale = residual_scale(targets - predicted, targets)
    if scale.has_gap:
        kept = scale.units(targets - predicted) <= scale.cut
        predicted = predict(kept)
        scale = residual_scale(targets - predicted, targets)
    return predicted, scale


def residual_scale(residuals: np.ndarray, targets: np.ndarray) -> ResidualScale:
    """The usual residuals, of targets some of which may be wrong."""
    center, spread = _shortest_half(residuals)
    spread = max(spread, _spacing(targets))  # residuals of few values are no gaps
    ends = [_gap((residuals - center) * side, spread) for side in (-1, 1)]
    moved = residuals - center
    usual = (moved >= -ends[0]) & (moved <= ends[1])
    if usual.all():
        center = 0.0
    unit, cut = _unit_and_cut(np.abs(residuals[usual] - center))
    return ResidualScale(center, unit, cut, tuple(min(end / unit, cut) for end in ends))


def _unit_and_cut(sizes):
    middle = np.median(sizes)
    if not middle > 0:
        return 1.0, DEVIATIONS
    unit = 1.4826 * middle
    heavier = np.quantile(sizes, 0.9) / (NORMAL_RATIO * middle)
    cut = DEVIATIONS * max(1.0, heavier) ** 2
    # A tenth of wrong targets can cause this tail, but hardly moves the bulk's end.
    return unit, max(DEVIATIONS, min(cut, bulk_threshold(sizes) / unit))


def _shortest_half(residuals):
    """Mean and standard deviation of normal values whose shortest half is this one."""
    ordered = np.sort(residuals)
    half = (len(ordered) + 1) // 2
    with np.errstate(over="ignore"):
        widths = ordered[half - 1 :] - ordered[: len(ordered) - half + 1]
    first = widths.argmin()
    return ordered[first : first + half].mean(), widths[first] / 2 / NORMAL_HALF


def _spacing(targets):
    distinct = np.unique(targets)
    return np.median(np.diff(distinct)) if len(distinct) > 1 else 0.0


def _gap(moved, spread):
    """Where residuals above zero have a gap between the bulk and many more."""
    if not spread > 0:
        return np.inf
    with np.errstate(over="ignore"):
        ordered = np.sort(moved / spread)
    last = ordered[np.searchsorted(ordered, FARTHEST) - 1]
    points = np.arange(NEAREST, last, STEP)
    if not len(points):
        return np.inf
    inside = (ordered.searchsorted(points + side) for side in (WINDOW, -WINDOW))
    counts = np.subtract(*inside)
    farther = np.maximum.accumulate(counts[::-1])[::-1]
    beyond = len(ordered) - ordered.searchsorted(points)
    is_gap = counts < LEVEL * farther
    is_gap &= farther - counts > ERRORS * np.sqrt(farther + counts + 1)
    is_gap &= beyond >= max(FEWEST, LEAST_SHARE * len(ordered))
    if not is_gap.any():
        return np.inf
    first = is_gap.argmax()
    most = first + counts[first:].argmax()
    lowest = first + counts[first : most + 1].argmin()
    if beyond[lowest] > LARGEST_SHARE * len(ordered):
        return np.inf
    return points[lowest] * spread
