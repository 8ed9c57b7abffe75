"""What one row that comes, goes or is relabeled adds to the gradient of a learner.

With slopes a, metric K and weights along, across of the two terms, one move shifts a
score along q by at most ``a * (along * q @ K^-1 z + across * |q| * |z|)``, lengths in
the metric of K^-1; z is the gradient's direction, y x of a row that is inserted.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import linalg, sparse

CELLS = 8_000_000  # of the largest array at a time
TANGENTS = 2  # that bound the length of rows of a region


class Metric:
    """The norm ``sqrt(u @ K^-1 @ u)``, and between which curvatures the loss is.

    K is `ridge` times the identity plus a curvature; the true curvature is between K
    and ``(1 + excess) K``, or anything above K where excess is infinite.
    """

    def __init__(
        self,
        K: np.ndarray | None = None,
        above: np.ndarray | None = None,
        *,
        ridge: float = 1.0,
        excess: float = np.inf,
    ):
        self.ridge, self.root = ridge, None
        if K is not None and above is not None:
            self.root = linalg.cholesky(K, lower=True)
            excess = _largest(self.root, above)
        shrunk = 1.0 / (1.0 + excess)
        self.along, self.across = 0.5 * (1.0 + shrunk), 0.5 * (1.0 - shrunk)

    def solve(self, columns: np.ndarray) -> np.ndarray:
        """Return ``K^-1 @ columns``."""
        if self.root is None:
            return columns / self.ridge
        return linalg.cho_solve((self.root, True), columns)

    def directions(self, towards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``K^-1 q`` of directions q (rows), as columns, and their lengths."""
        solved = self.solve(towards.T)
        squares = np.einsum("ij,ji->i", towards, solved)
        return solved, np.sqrt(np.maximum(squares, 0.0))

    def lengths(self, rows: Any) -> np.ndarray:
        """Return the lengths of rows."""
        if self.root is None:
            squares = rows.multiply(rows) if sparse.issparse(rows) else rows * rows
            return np.sqrt(np.asarray(squares.sum(axis=1)).ravel() / self.ridge)
        rows = rows.toarray() if sparse.issparse(rows) else rows
        halves = linalg.solve_triangular(self.root, rows.T, lower=True)
        return np.sqrt(np.einsum("ij,ij->j", halves, halves))


def _largest(root, above):
    """Return a bound on the largest eigenvalue of ``K^-1 above``, K by its root."""
    half = linalg.solve_triangular(root, above, lower=True)
    matrix = linalg.solve_triangular(root, half.T, lower=True)
    scale = float(np.linalg.norm(matrix))
    if scale == 0.0:
        return 0.0
    matrix = matrix / scale
    # The norm of a power is near that of its largest eigenvalue, and above it.
    for _ in range(2):
        matrix = matrix @ matrix
    return scale * float(np.linalg.norm(matrix)) ** 0.25 * (1.0 + 1e-9)


class Slopes(NamedTuple):
    """Bounds on the slopes of the loss, at the rows that can come or go."""

    of_rows: np.ndarray
    of_sets: list[float]


class Moves(NamedTuple):
    """Directions of the gradients of single moves."""

    rows: Any  # -y x of training rows: of those deleted, or relabeled
    sets: list  # pairs of sign and region of the rows that can be inserted
    has_intercept: bool
    replaces: bool = False  # whether a move deletes a row and inserts another

    def worst(
        self,
        slopes: Slopes,
        metric: Metric,
        solved: np.ndarray,
        lengths: np.ndarray,
    ) -> np.ndarray:
        """Return how far one move can shift scores along directions in the metric."""
        solved, reaches = metric.along * solved, metric.across * lengths
        gone = self._worst_rows(slopes.of_rows, metric, solved, reaches)
        come = np.zeros_like(gone)
        for slope, (sign, region) in zip(slopes.of_sets, self.sets, strict=True):
            ball = _Ball(region, self._center(region), metric)
            for i, direction in enumerate(sign * solved.T):
                shift = slope * self._largest_shift(ball, direction, sign, reaches[i])
                come[i] = max(come[i], shift)
        return gone + come if self.replaces else np.maximum(gone, come)

    def _worst_rows(self, slopes, metric, solved, reaches):
        taken = np.flatnonzero(slopes > 0.0)
        most = np.zeros(solved.shape[1])
        if not len(taken):
            return most
        rows, weights = self.rows[taken], slopes[taken, None]
        lengths = metric.lengths(rows)[:, None]
        size = max(CELLS // len(taken), 1)
        for start in range(0, len(most), size):
            block = slice(start, start + size)
            shifts = np.asarray(rows @ solved[:, block]) + lengths * reaches[block]
            most[block] = np.maximum((weights * shifts).max(axis=0), 0.0)
        return most

    def _largest_shift(self, ball, direction, sign, reach):
        """Return the most of ``direction @ x + reach * |x|`` over a region.

        The length, the root of what is at most linear in x, lies below its tangents.
        """
        value, point = self._support(ball.region, direction)
        best = value + reach * ball.longest
        for _ in range(TANGENTS if reach > 0.0 else 0):
            square = max(ball.square(point), 1e-12 * ball.longest**2, 1e-300)
            root = np.sqrt(square)
            tilted = direction + reach * ball.solved / root
            value, point = self._support(ball.region, tilted)
            rest = ball.most - 2.0 * ball.own - square
            best = min(best, value + reach * (root + 0.5 * rest / root))
        return best

    def _center(self, region):
        return np.append(region.center, 1.0) if self.has_intercept else region.center

    def _support(self, region, direction):
        if not self.has_intercept:
            return region.support(direction)
        value, point = region.support(direction[:-1])
        return value + direction[-1], np.append(point, 1.0)

    def least_margins(self, theta: np.ndarray) -> list[float]:
        """Return the smallest margin of each set of rows that can be inserted."""
        return [-self._support(region, -sign * theta)[0] for sign, region in self.sets]

    def longest(self, metric: Metric) -> list[float]:
        """Return bounds on the lengths of the rows that can be inserted."""
        return [
            _Ball(region, self._center(region), metric).longest
            for _, region in self.sets
        ]


class _Ball:
    """A region's center and reach, in a metric."""

    def __init__(self, region, center, metric):
        self.region, self.center = region, center
        self.solved = metric.solve(center)
        self.own = max(float(center @ self.solved), 0.0)
        reach = region.reach / np.sqrt(metric.ridge)
        self.most = self.own + reach**2
        self.longest = np.sqrt(self.own) + reach

    def square(self, point):
        """Return a bound on a row's squared length that is linear in the row."""
        return self.most + 2.0 * float(self.solved @ (point - self.center))
