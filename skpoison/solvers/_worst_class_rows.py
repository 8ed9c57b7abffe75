"""The feasible row that a learner of several classes loses most on.

Its loss is a convex function of the row. Repeated linearization finds local maxima of
it; taking each score's own extreme bounds it. See docs/mathematics.md, section "Several
classes".
"""

from typing import NamedTuple

import numpy as np

from skpoison.losses import Loss
from skpoison.solvers._class_images import Image
from skpoison.solvers._class_losses import (
    ClassLoss,
    CrammerSinger,
    OneVsRest,
    one_hot,
)

MAX_ASCENTS, RISE = 50, 1e-12
# Pairs of classes are aimed at among no more classes than these.
FEW_CLASSES = 20


class Ascent(NamedTuple):
    """Local maxima of a class's loss over its rows, the largest first.

    The rows are those where linear functions of the scores are largest.
    """

    losses: np.ndarray  # (n_found,)
    functions: np.ndarray  # (n_found, n_classes)


def ascend(loss: ClassLoss, image: Image, code: int, starts: np.ndarray) -> Ascent:
    """Climb to local maxima from the rows where linear functions are largest."""
    functions, codes = starts, np.full(len(starts), code)
    scores = image.extremes(functions).scores
    losses = loss.value(scores, codes)
    for _ in range(MAX_ASCENTS):
        slopes = loss.slopes(scores, codes)
        # Where the loss is flat, nothing says which way it rises.
        slopes = np.where(slopes.any(axis=1, keepdims=True), slopes, functions)
        there = image.extremes(slopes).scores
        higher = loss.value(there, codes)
        rises = higher > losses + RISE * (1.0 + np.abs(losses))
        if not rises.any():
            break
        functions = np.where(rises[:, np.newaxis], slopes, functions)
        scores = np.where(rises[:, np.newaxis], there, scores)
        losses = np.where(rises, higher, losses)
    order = np.argsort(-losses, kind="stable")
    return Ascent(losses[order], functions[order])


def starts(loss: ClassLoss, code: int, n_classes: int) -> np.ndarray:
    """Return linear functions of the scores for the search to start from."""
    units = np.eye(n_classes)
    aimed = np.delete(units - units[code], code, axis=0)
    if not isinstance(loss, OneVsRest):
        return aimed
    # One class's score alone; with losses on both sides, too small as well.
    alone = units * (1.0 - 2.0 * units[code])[:, np.newaxis]
    if n_classes <= FEW_CLASSES:  # at two classes at once
        first, second = np.triu_indices(n_classes - 1, 1)
        aimed = np.vstack([aimed, aimed[first] + np.delete(units, code, 0)[second]])
    if loss.loss.slope_range[0] < 0.0:
        alone = np.vstack([alone, -alone])
    return np.vstack([aimed, alone])


class Terms(NamedTuple):
    """A class's loss as an increasing function of a sum of functions of one number.

    The numbers are linear functions of the scores. For one against the rest they are
    the scores, and the sum is the loss. For the multinomial loss they are differences
    of scores, and the loss is the logarithm of one plus the sum of their exponentials.
    """

    functions: np.ndarray  # (n_terms, n_classes)
    signs: np.ndarray  # (n_terms,)
    loss: Loss | None  # that of one against the rest
    lower: np.ndarray  # (n_terms,): the least that each number can be
    upper: np.ndarray  # (n_terms,)
    shift: float = 0.0  # what numbers are lowered by, so that none overflows

    @classmethod
    def of(cls, loss: ClassLoss, image: Image, code: int) -> "Terms":
        """Return the terms of the rows of a class."""
        units = np.eye(len(image.theta))
        functions = np.delete(units - units[code], code, axis=0)
        signs, of_margins = np.ones(len(functions)), None
        if isinstance(loss, OneVsRest):
            functions, of_margins = units, loss.loss
            signs = 2.0 * one_hot(np.array(code), len(units)) - 1.0
        upper = image.extremes(functions).values
        lower = np.minimum(-image.extremes(-functions).values, upper)
        shift = 0.0 if of_margins else max(0.0, float(upper.max()))
        return cls(functions, signs, of_margins, lower, upper, shift)

    def value(self, numbers: np.ndarray) -> np.ndarray:
        """Return the terms of numbers."""
        if self.loss is None:
            return np.exp(numbers - self.shift)
        return self.loss.value(self.signs * numbers)

    def total(self, sums: float) -> float:
        """Return the loss that a sum of terms comes to."""
        if self.loss is None:
            return float(self.shift + np.log(np.exp(-self.shift) + max(sums, 0.0)))
        return float(sums)

    def needed(self, total: float) -> float:
        """Return the sum of terms that comes to a loss."""
        if self.loss is None:
            return float(np.exp(total - self.shift) - np.exp(-self.shift))
        return float(total)


def relaxed_loss(loss: ClassLoss, image: Image, code: int) -> float:
    """Bound a class's largest loss by that of every score's own extreme."""
    if isinstance(loss, CrammerSinger):
        units = np.eye(len(image.theta))
        aimed = np.delete(units - units[code], code, axis=0)
        return max(0.0, 1.0 + float(image.extremes(aimed).values.max()))
    terms = Terms.of(loss, image, code)
    ends = terms.value(np.stack([terms.lower, terms.upper]))
    return terms.total(float(ends.max(axis=0).sum()))
