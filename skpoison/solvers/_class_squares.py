"""The largest sum of squared losses of a row in a ball and a slab, to any precision.

The scores are ``S = m + t a + F u`` for ``t^2 + ||u||^2 <= r^2`` and t between the ends
of the slab. Half the squared distance of S from the row's targets is convex. For each
multiplier of the ball above the largest eigenvalue of ``F' F``, its Lagrangian is at
most a quadratic function of t alone, whose maximum over an interval of t bounds the
loss there. Halving the intervals makes the bound exact. See docs/mathematics.md,
section "Several classes".
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from skpoison.solvers._class_images import BallSlabImage

MAX_INTERVALS = 400
# Multipliers are no nearer to the eigenvalue than this share, which limits what
# rounding can do to SPARE.
NEAREST, SPARE = 1e-6, 1e-9
# Powers of ten of the distance of a multiplier from the eigenvalue.
DISTANCES = (-6.0, 6.0)


class Squares(NamedTuple):
    """Half the squared distance of the scores from targets, in the factor's axes."""

    offset: np.ndarray  # (n_classes,): of the center's scores from the targets
    along: np.ndarray  # (n_classes,): how scores follow t
    axes: np.ndarray  # (n_classes, n_classes): the directions of the scores
    sizes: np.ndarray  # (n_classes,): how far scores go for u of length one
    radius: float
    ends: tuple[float, float]  # of t

    @classmethod
    def of(cls, image: BallSlabImage, targets: np.ndarray) -> "Squares":
        """Return them for the scores of a set."""
        axes, found, _ = np.linalg.svd(image.factor)
        sizes = np.zeros(len(targets))  # with few features, some are left at 0
        sizes[: len(found)] = found
        low, high = image.region._ends()
        radius = image.region.radius
        ends = max(low, -radius), min(high, radius)
        offset = axes.T @ (image.center - targets)
        return cls(offset, axes.T @ image.along, axes, sizes, radius, ends)

    def at(self, multiplier: float, low: float, high: float) -> tuple[float, float]:
        """Return a bound on the loss for t in an interval, and where it is reached."""
        weights = multiplier / (multiplier - self.sizes**2)
        bend = 0.5 * float(weights @ self.along**2 - multiplier)
        slope = float(weights @ (self.along * self.offset))
        level = 0.5 * float(weights @ self.offset**2 + multiplier * self.radius**2)
        places = [low, high]
        if bend < 0.0 and low < -0.5 * slope / bend < high:
            places.append(-0.5 * slope / bend)
        values = [level + t * (slope + bend * t) for t in places]
        best = int(np.argmax(values))
        return values[best], places[best]

    def bound(self, low: float, high: float) -> tuple[float, float, float]:
        """Return the least bound for t in an interval, its multiplier and place."""
        largest = max(float(self.sizes[0]) ** 2, np.finfo(float).tiny)

        def value(power):
            return self.at(largest * (1.0 + 10.0**power), low, high)[0]

        # The bound is convex in the multiplier, so that it has one valley.
        power = minimize_scalar(value, bounds=DISTANCES, method="bounded").x
        multiplier = largest * (1.0 + max(10.0**power, NEAREST))
        least, place = self.at(multiplier, low, high)
        return least * (1.0 + SPARE), multiplier, place

    def scores(self, multiplier: float, t: float) -> np.ndarray:
        """Return scores of the set near those that a bound is reached at.

        They are relative to the targets.
        """
        at = self.offset + t * self.along
        u = self.sizes * at / (multiplier - self.sizes**2)
        length = float(np.linalg.norm(u))
        most = float(np.sqrt(max(self.radius**2 - t * t, 0.0)))
        return at + self.sizes * u * (most / length if length > 0.0 else 0.0)


def largest_squares(
    image: BallSlabImage, targets: np.ndarray, enough: float, tol: float = 1e-7
) -> tuple[float, float, np.ndarray]:
    """Bound half the largest squared distance of scores from targets.

    Where that is not above `enough`, `enough` may be the bound. Returned with it are
    the largest value that was found, and its derivative by the scores.
    """
    squares = Squares.of(image, targets)
    open_ = [(*squares.bound(*squares.ends), *squares.ends)]
    reached, slopes = -np.inf, np.zeros(len(targets))
    for _ in range(MAX_INTERVALS):
        widest = int(np.argmax([one[0] for one in open_]))
        bound, multiplier, place, low, high = open_.pop(widest)
        scores = squares.scores(multiplier, place)
        value = 0.5 * float(scores @ scores)
        if value > reached:
            reached, slopes = value, squares.axes @ scores
        if bound <= max(enough, reached * (1.0 + tol)):
            return max(bound, enough), reached, slopes
        middle = 0.5 * (low + high)
        for ends in ((low, middle), (middle, high)):
            open_.append((*squares.bound(*ends), *ends))
    return max(one[0] for one in open_), reached, slopes
