"""The scores that rows of a feasible set can have, for given parameters."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skpoison.feasible import SphereSlab
from skpoison.feasible._base import FeasibleRegion


class Extremes(NamedTuple):
    """Largest values of linear functions of the scores, and scores that have them."""

    values: np.ndarray  # (n_functions,)
    scores: np.ndarray  # (n_functions, n_classes)


class Image:
    """The set of the scores ``W x + b`` of the rows x of a region, through its support.

    Parameters
    ----------
    region : FeasibleRegion
        The rows.
    theta : ndarray of shape (n_classes, n_features + 1)
        Weights, and the intercept behind them, of each class.
    """

    def __init__(self, region: FeasibleRegion, theta: np.ndarray):
        self.region, self.theta = region, theta

    def extremes(self, functions: np.ndarray) -> Extremes:
        """Maximize linear functions, one a row of shape (n_classes,)."""
        weights, intercepts = self.theta[:, :-1], self.theta[:, -1]
        found = [self.region.support(g @ weights) for g in functions]
        values = np.array([value for value, _ in found]) + functions @ intercepts
        points = np.array([point for _, point in found])
        return Extremes(values, points @ weights.T + intercepts)

    def row(self, function: np.ndarray) -> np.ndarray:
        """Return a row of the region where a linear function of scores is largest."""
        return self.region.support(function @ self.theta[:, :-1])[1]


class BallSlabImage(Image):
    """The scores of the rows of a ball and a slab, in as many dimensions as classes.

    A linear function's support needs only the length of its part across the slab's
    direction, which a triangular factor of the weights gives without cancellation.
    """

    region: SphereSlab

    def __init__(self, region: SphereSlab, theta: np.ndarray):
        super().__init__(region, theta)
        weights = theta[:, :-1]
        self.center = weights @ region.center + theta[:, -1]
        self.along = np.zeros(len(theta))
        if region.direction is not None:
            self.along = weights @ region.direction
            weights = weights - np.outer(self.along, region.direction)
        self.factor = np.asarray(np.linalg.qr(weights.T, mode="r")).T

    def extremes(self, functions):
        along, across = functions @ self.along, functions @ self.factor
        height = np.linalg.norm(across, axis=1)
        norm = np.hypot(along, height)
        radius = self.region.radius
        divisor = np.where(norm > 0.0, norm, 1.0)
        t = np.clip(radius * along / divisor, *self.region._ends())
        s = np.sqrt(np.maximum((radius - t) * (radius + t), 0.0))
        values = functions @ self.center + t * along + s * height
        step = np.where(height > 0.0, s / np.where(height > 0.0, height, 1.0), 0.0)
        scores = self.center + t[:, np.newaxis] * self.along
        scores = scores + (step[:, np.newaxis] * across) @ self.factor.T
        return Extremes(values, scores)


def images(sets: Sequence[FeasibleRegion], theta: np.ndarray) -> list[Image]:
    """Return the image of each class's set."""
    return [_image(region, theta) for region in sets]


def _image(region, theta):
    # Subclasses may have another support.
    if type(region) is SphereSlab:
        return BallSlabImage(region, theta)
    return Image(region, theta)
