"""A linear learner of several classes that faces an attacker: both bounds on its value.

See docs/mathematics.md, section "Several classes".
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skpoison.feasible._base import FeasibleRegion
from skpoison.solvers._class_losses import ClassLoss
from skpoison.solvers._signed_design import Rows

# Losses below this share of the loss of theta = 0 count as zero for the tolerance.
LOSS_FLOOR = 1e-3
LEAST_WEIGHT = 1e-300
BLOCK_ROWS = 4096


class Labelled(NamedTuple):
    """Rows with the positions of their classes, and weights.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_rows, n_features)
        The rows; float64, or float32 that is converted block by block.
    codes : ndarray of shape (n_rows,)
        The positions of their classes.
    weights : ndarray of shape (n_rows,)
        Weight of each row's loss.
    """

    X: Any
    codes: np.ndarray
    weights: np.ndarray

    def take(self, index: np.ndarray) -> "Labelled":
        """Return some rows as float64, with the weight of all."""
        X, weights = self.X[index], self.weights[index]
        weights = weights * (self.weights.sum() / max(weights.sum(), LEAST_WEIGHT))
        return Labelled(X.astype(np.float64), self.codes[index], weights)

    def joined(self, other: "Labelled") -> "Labelled":
        """Return these rows and others."""
        is_sparse = sparse.issparse(self.X)
        stack = partial(sparse.vstack, format="csr") if is_sparse else np.vstack
        X = stack([self.X, other.X])
        pairs = (self.codes, other.codes), (self.weights, other.weights)
        return Labelled(X, *(np.concatenate(pair) for pair in pairs))

    def scores(self, theta: np.ndarray) -> np.ndarray:
        """Return the score of each row for each class."""
        weights, intercepts = theta[:, :-1].T, theta[:, -1]
        if sparse.issparse(self.X) or self.X.dtype == np.float64:
            return self.X @ weights + intercepts
        parts = [self.X[at].astype(np.float64) @ weights for at in _blocks(self.X)]
        return np.concatenate(parts) + intercepts

    def combine(self, slopes: np.ndarray) -> np.ndarray:
        """Return the weighted sum of ``outer(slopes, (x, 1))`` over the rows."""
        slopes = self.weights[:, np.newaxis] * slopes
        total = np.empty((slopes.shape[1], self.X.shape[1] + 1))
        total[:, -1] = slopes.sum(axis=0)
        if sparse.issparse(self.X):
            total[:, :-1] = (self.X.T @ slopes).T
        elif self.X.dtype == np.float64:
            total[:, :-1] = slopes.T @ self.X
        else:
            parts = (slopes[at].T @ self.X[at].astype(float) for at in _blocks(self.X))
            total[:, :-1] = sum(parts)
        return total

    def squared_norms(self) -> np.ndarray:
        """Return ``||x||^2`` for every row."""
        return Rows(self.X, np.ones(len(self.codes))).squared_norms()

    def second_moments(self) -> np.ndarray:
        """Return the weighted mean of ``outer((x, 1), (x, 1))``."""
        n_features = self.X.shape[1]
        moments = np.empty((n_features + 1, n_features + 1))
        if sparse.issparse(self.X):
            scaled = self.X.T.multiply(self.weights) @ self.X
            moments[:-1, :-1] = scaled.toarray()
        else:
            moments[:-1, :-1] = 0.0
            for at in _blocks(self.X):
                part = self.X[at].astype(np.float64)
                part *= np.sqrt(self.weights[at])[:, np.newaxis]
                moments[:-1, :-1] += part.T @ part
        moments[-1, :-1] = moments[:-1, -1] = self.X.T @ self.weights
        moments[-1, -1] = self.weights.sum()
        return moments

    def squares(self) -> np.ndarray:
        """Return the weighted mean of ``(x, 1)**2``."""
        X = self.X
        squares = X.multiply(X) if sparse.issparse(X) else X * X
        return np.append(squares.T @ self.weights, self.weights.sum())


class StackedLabelled:
    """Many labelled rows followed by a few more, without copying the many.

    Parameters
    ----------
    rows, more : Labelled
        The parts.
    """

    def __init__(self, rows: Labelled, more: Labelled):
        self.rows, self.more = rows, more
        self.codes = np.concatenate([rows.codes, more.codes])
        self.weights = np.concatenate([rows.weights, more.weights])

    def scores(self, theta: np.ndarray) -> np.ndarray:
        """Return the score of each row for each class."""
        return np.concatenate([self.rows.scores(theta), self.more.scores(theta)])

    def combine(self, slopes: np.ndarray) -> np.ndarray:
        """Return the weighted sum of ``outer(slopes, (x, 1))`` over the rows."""
        split = len(self.rows.codes)
        first = self.rows.combine(slopes[:split])
        return first + self.more.combine(slopes[split:])

    def squared_norms(self) -> np.ndarray:
        """Return ``||x||^2`` for every row."""
        parts = self.rows.squared_norms(), self.more.squared_norms()
        return np.concatenate(parts)

    def take(self, index: np.ndarray) -> Labelled:
        """Return some rows as float64, with the weight of all."""
        split = len(self.rows.codes)
        first = self.rows.take(index[index < split])
        return first.joined(self.more.take(index[index >= split] - split))


class ClassProblem(NamedTuple):
    """A learner of several classes with its rows, and an attacker.

    Parameters
    ----------
    rows : Labelled
        Clean rows.
    sets : sequence of FeasibleRegion
        The rows of each class that the attacker can send; empty without an attacker.
    outer : sequence of FeasibleRegion
        Sets that hold these and every row that the filter keeps, rounding included.
    epsilon : float
        Total weight of the poison.
    loss : ClassLoss
        The loss of a row's scores.
    stiffness : ndarray of shape (n_features + 1,)
        Second derivative of the penalty by each parameter of a class. That of the
        intercept may be 0, which leaves it free, or infinite, which holds it at 0.
    n_classes : int
        Number of classes.
    poison_weights : ndarray of shape (n_classes,)
        What the losses of poison rows of each class are multiplied by.
    """

    rows: Labelled | StackedLabelled
    sets: Sequence[FeasibleRegion]
    outer: Sequence[FeasibleRegion]
    epsilon: float
    loss: ClassLoss
    stiffness: np.ndarray
    n_classes: int
    poison_weights: np.ndarray

    @property
    def has_attacker(self) -> bool:
        """Whether there is poison at all."""
        return self.epsilon > 0.0 and len(self.sets) > 0

    def at_zero(self) -> float:
        """Return the loss of a row at parameters of zero."""
        scores = np.zeros((1, self.n_classes))
        return float(self.loss.value(scores, np.zeros(1, dtype=int))[0])

    def target(self, upper: float, tol: float) -> float:
        """Return the absolute gap that a relative tolerance asks for."""
        return tol * max(upper, LOSS_FLOOR * self.at_zero())

    def penalty_gradient(self, theta: np.ndarray) -> np.ndarray:
        """Return the penalty's gradient; an intercept that is held at 0 has none."""
        return np.where(np.isfinite(self.stiffness), self.stiffness, 0.0) * theta

    def penalty(self, theta: np.ndarray) -> float:
        """Return the penalty of parameters."""
        return 0.5 * float(np.vdot(self.penalty_gradient(theta), theta))

    def conjugate(self, z: np.ndarray) -> float:
        """Return the penalty's conjugate, where an intercept that is free gets 0."""
        bends = (self.stiffness > 0.0) & np.isfinite(self.stiffness)
        return 0.5 * float(np.sum(z[:, bends] ** 2 / self.stiffness[bends]))

    def clean_loss(self, scores: np.ndarray) -> float:
        """Return the mean loss of the clean rows, given their scores."""
        return float(self.rows.weights @ self.loss.value(scores, self.rows.codes))


class DualTerms(NamedTuple):
    """What a dual value is made of: slopes, balanced, and the sum that they come to."""

    slopes: list  # an array of shape (n_rows, n_classes) for each part
    z: np.ndarray  # (n_classes, n_features + 1)


def dual_value(
    problem: ClassProblem, parts: Sequence[tuple[Labelled, np.ndarray]]
) -> float:
    """Return a lower bound of the least objective of weighted rows, from their slopes.

    ``loss(S) >= slopes @ S - conjugate(slopes)`` for every row; what is left of the
    linear terms, the penalty's conjugate takes. With poison whose weights sum to
    epsilon among the rows it is a lower bound of what an attacker can reach.
    """
    terms, value = dual_terms(problem, parts), 0.0
    for (rows, _), slopes in zip(parts, terms.slopes, strict=True):
        value -= float(rows.weights @ problem.loss.conjugate(slopes, rows.codes))
    return value - problem.conjugate(terms.z)


def dual_terms(
    problem: ClassProblem, parts: Sequence[tuple[Labelled, np.ndarray]]
) -> DualTerms:
    """Balance slopes of weighted rows where intercepts are free, and add them up."""
    slopes = [part for _, part in parts]
    if problem.stiffness[-1] == 0.0:
        slopes = _balanced(problem.loss, parts)
    z = np.zeros((problem.n_classes, len(problem.stiffness)))
    for (rows, _), part in zip(parts, slopes, strict=True):
        z += rows.combine(part)
    return DualTerms(slopes, z)


def _balanced(loss, parts):
    """Change slopes so that intercepts have no gradient."""
    weights = np.concatenate([rows.weights for rows, _ in parts])
    codes = np.concatenate([rows.codes for rows, _ in parts])
    together = loss.balanced(
        np.concatenate([part for _, part in parts]), codes, weights
    )
    ends = np.cumsum([len(part) for _, part in parts])
    return np.split(together, ends[:-1])


def _blocks(X):
    return (slice(i, i + BLOCK_ROWS) for i in range(0, X.shape[0], BLOCK_ROWS))
