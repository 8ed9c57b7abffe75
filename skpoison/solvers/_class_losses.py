"""Losses of linear learners of several classes, as functions of a row's scores.

A learner of K classes gives a row K scores, ``S_k = w_k @ x + b_k``. Its loss is convex
in them. See docs/mathematics.md, section "Several classes".
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from scipy.special import entr, logsumexp

from skpoison.losses import Hinge, Loss


class ClassLoss(ABC):
    """A convex loss of the scores of a row.

    Shapes: scores and slopes (n_rows, n_classes), codes (n_rows,): the position of each
    row's class.
    """

    @property
    def has_kinks(self) -> bool:
        """Whether it has kinks, so that the rows get a proximal term."""
        return False

    @abstractmethod
    def value(self, scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return the losses of rows."""

    @abstractmethod
    def envelope(
        self, scores: np.ndarray, codes: np.ndarray, center: np.ndarray, prox: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return smoothed losses and their slopes, the derivatives by the scores.

        Without kinks they are the losses themselves. With kinks, they are the largest
        ``slopes @ scores - conjugate(slopes) - prox / 2 * ||slopes - center||^2``.
        """

    @abstractmethod
    def conjugate(self, slopes: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return the largest ``slopes @ scores - value(scores)`` over all scores."""

    @abstractmethod
    def balanced(
        self, slopes: np.ndarray, codes: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """Return nearby slopes with a finite conjugate whose weighted sum is zero."""

    @abstractmethod
    def of_wrong(self) -> float:
        """Return the least loss of a row whose class does not score highest."""

    def aimed(
        self, codes: np.ndarray, others: np.ndarray, n_classes: int
    ) -> np.ndarray:
        """Return slopes that take a row's class for one other class."""
        return one_hot(others, n_classes) - one_hot(codes, n_classes)

    def curvatures(
        self, scores: np.ndarray, codes: np.ndarray, slopes: np.ndarray, prox: float
    ) -> np.ndarray:
        """Return second derivatives of smoothed losses, their mean over the scores."""
        shares = slopes + one_hot(codes, slopes.shape[1])
        if self.has_kinks:  # those of a projection onto a simplex
            positive = np.count_nonzero(shares > 0.0, axis=1)
            return (positive - 1.0) / (slopes.shape[1] * prox)
        return (shares * (1.0 - shares)).mean(axis=1)

    def steepest(
        self, scores: np.ndarray, codes: np.ndarray, off: np.ndarray
    ) -> np.ndarray:
        """Bound the sizes of slopes by each score, where scores are so far off."""
        return np.ones_like(scores)

    def slopes(self, scores: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return derivatives of the losses; at a kink, one of them."""
        return self.envelope(scores, codes, np.zeros_like(scores), 1e-12)[1]


def one_hot(codes: np.ndarray, n_classes: int) -> np.ndarray:
    """Return a row for each code, with a one in its place."""
    return np.eye(n_classes)[codes]


@dataclass(frozen=True)
class Multinomial(ClassLoss):
    """The loss ``log(sum(exp(S))) - S_y`` of multinomial logistic regression."""

    def value(self, scores, codes):
        own = np.take_along_axis(scores, codes[:, np.newaxis], axis=1)
        return logsumexp(scores - own, axis=1)

    def envelope(self, scores, codes, center, prox):
        own = np.take_along_axis(scores, codes[:, np.newaxis], axis=1)
        shifted = scores - scores.max(axis=1, keepdims=True)
        shares = np.exp(shifted)
        total = shares.sum(axis=1, keepdims=True)
        values = (np.log(total) + scores.max(axis=1, keepdims=True) - own).ravel()
        shares /= total
        shares[np.arange(len(codes)), codes] -= 1.0
        return values, shares

    def balanced(self, slopes, codes, weights):
        return _balanced_shares(slopes, codes, weights)

    def conjugate(self, slopes, codes):
        shares = np.clip(slopes + one_hot(codes, slopes.shape[1]), 0.0, None)
        return -entr(shares).sum(axis=1)

    def of_wrong(self):
        return float(np.log(2.0))


@dataclass(frozen=True)
class CrammerSinger(ClassLoss):
    """The loss ``max(0, 1 + S_k - S_y)``, of the class k that comes nearest."""

    @property
    def has_kinks(self) -> bool:
        """It has: where two classes come equally near."""
        return True

    def _shortfalls(self, scores, codes):
        own = np.take_along_axis(scores, codes[:, np.newaxis], axis=1)
        return scores - own + 1.0 - one_hot(codes, scores.shape[1])

    def value(self, scores, codes):
        return self._shortfalls(scores, codes).max(axis=1)

    def envelope(self, scores, codes, center, prox):
        own, shortfalls = one_hot(codes, scores.shape[1]), None
        shortfalls = self._shortfalls(scores, codes)
        shares = project_on_simplices(center + own + shortfalls / prox)
        slopes = shares - own
        moved = slopes - center
        values = np.vecdot(shares, shortfalls) - 0.5 * prox * np.vecdot(moved, moved)
        return values, slopes

    def balanced(self, slopes, codes, weights):
        return _balanced_shares(slopes, codes, weights)

    def conjugate(self, slopes, codes):
        return slopes[np.arange(len(codes)), codes]

    def of_wrong(self):
        return 1.0


@dataclass(frozen=True)
class OneVsRest(ClassLoss):
    """The sum of the losses of K two-class problems, each class against the rest.

    Parameters
    ----------
    loss : Loss
        The loss of their margins.
    """

    loss: Loss

    @property
    def has_kinks(self) -> bool:
        """Whether the margins' loss has kinks."""
        return isinstance(self.loss, Hinge)

    def value(self, scores, codes):
        signs = 2.0 * one_hot(codes, scores.shape[1]) - 1.0
        return self.loss.value(signs * scores).sum(axis=1)

    def envelope(self, scores, codes, center, prox):
        signs = 2.0 * one_hot(codes, scores.shape[1]) - 1.0
        margins = signs * scores
        if not self.has_kinks:
            values = self.loss.value(margins).sum(axis=1)
            return values, signs * self.loss.derivative(margins)
        before = -signs * center
        slopes = self.loss.project(before + (1.0 - margins) / prox)
        moved = slopes - before
        values = slopes * (1.0 - margins) - 0.5 * prox * moved * moved
        return values.sum(axis=1), -signs * slopes

    def conjugate(self, slopes, codes):
        signs = 2.0 * one_hot(codes, slopes.shape[1]) - 1.0
        return self.loss.conjugate(-signs * slopes).sum(axis=1)

    def curvatures(self, scores, codes, slopes, prox):
        sizes = np.abs(slopes)
        if self.has_kinks:
            return ((sizes > 0.0) & (sizes < 1.0)).mean(axis=1) / prox
        signs = 2.0 * one_hot(codes, scores.shape[1]) - 1.0
        return self.loss.curvature(signs * scores).mean(axis=1)

    def steepest(self, scores, codes, off):
        margins = (2.0 * one_hot(codes, scores.shape[1]) - 1.0) * scores
        ends = self.loss.derivative(margins - off), self.loss.derivative(margins + off)
        return np.maximum(np.abs(ends[0]), np.abs(ends[1]))

    def balanced(self, slopes, codes, weights):
        excess = weights @ slopes
        if np.isinf(self.loss.slope_range[0]):  # slopes may have either sign
            return slopes - excess / weights.sum()
        mass = weights[:, np.newaxis] * slopes
        there = np.where(mass * excess > 0.0, mass, 0.0).sum(axis=0)
        share = 1.0 - excess / np.where(there == 0.0, np.inf, there)
        return np.where(mass * excess > 0.0, share, 1.0) * slopes

    def aimed(self, codes, others, n_classes):
        slope = -float(self.loss.derivative(np.zeros(())))
        return slope * super().aimed(codes, others, n_classes)

    def of_wrong(self):
        # The margin of some other class is no larger than that of the row's own
        # class's negative, and the loss is convex.
        return 2.0 * float(self.loss.value(np.zeros(())))


def _balanced_shares(slopes, codes, weights):
    """Take shares from classes with too much of them, give to those with too little.

    Each row's shares, its slopes plus one for its own class, still sum to 1.
    """
    own = one_hot(codes, slopes.shape[1])
    shares = np.clip(slopes + own, 0.0, None)
    shares /= shares.sum(axis=1, keepdims=True)
    there, wanted = weights @ shares, weights @ own
    kept = np.minimum(wanted / np.maximum(there, np.finfo(float).tiny), 1.0)
    lacking = np.maximum(wanted - there, 0.0)
    given = lacking / max(lacking.sum(), np.finfo(float).tiny)
    taken = shares @ (1.0 - kept)
    return shares * kept + np.outer(taken, given) - own


def project_on_simplices(points: np.ndarray) -> np.ndarray:
    """Project each row onto the simplex of non-negative entries that sum to 1."""
    falling = -np.sort(-points, axis=1)
    levels = (np.cumsum(falling, axis=1) - 1.0) / np.arange(1, points.shape[1] + 1)
    last = np.count_nonzero(falling > levels, axis=1) - 1
    level = np.take_along_axis(levels, last[:, np.newaxis], axis=1)
    return np.maximum(points - level, 0.0)
