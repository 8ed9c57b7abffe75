"""Rows from support functions, mixed until they make given parameters optimal."""

import numpy as np
from scipy.optimize import nnls

from skpoison.attacks._decoys import Decoy

# Stop where the residual has fallen by less than this share in so many steps.
STALL, PATIENCE = 2e-3, 3
MAX_STEPS = 30
# Masses below this share of the largest are none.
NOTHING = 1e-9
DOUBLINGS, HALVINGS = 12, 12
# A row whose margin is this close to 1 is on it.
CLOSE = 1e-3
# Weight of the equation that masses add up to one, beside others of size one.
HEAVY = 1e4


class MixedRows:
    """Minimize a decoy's KKT residual over all feasible rows and their masses.

    The weighted gradients of all poison sets of mass `share` at most form one convex
    set, the convex hull of both classes' gradients and 0. The residual is minimized
    over it by the fully corrective Frank-Wolfe method: each step asks the sets for the
    rows whose gradients are steepest against the residual, and reweights all rows.
    """

    def __init__(self, sets, share):
        self.sets, self.share = sets, share

    def solve(self, decoy, split=None):
        """Return masses, rows and their labels for one decoy.

        A split gives each class's part of `share`; with None, both are optimized.
        Returns None if a class with positive mass has no feasible row within the
        margin.
        """
        codes = [0, 1] if split is None else np.flatnonzero(split)
        points, masses = np.zeros((0, len(decoy.theta) - 1)), np.zeros(0)
        labels, norms = np.zeros(0, dtype=int), []
        residual = decoy.residual(points, labels, masses)
        for _ in range(MAX_STEPS):
            for code in codes:
                row = self._best_row(decoy, residual, code)
                if row is not None:
                    points, labels = np.vstack([points, row]), np.append(labels, code)
                elif split is not None and code not in labels:
                    return None
            if not len(points):
                break
            masses = self._weigh(decoy, points, labels, split)
            used = masses > NOTHING * masses.max()
            points, labels, masses = points[used], labels[used], masses[used]
            residual = decoy.residual(points, labels, masses)
            norms.append(np.linalg.norm(residual))
            if (
                len(norms) > PATIENCE
                and norms[-1] > (1.0 - STALL) * norms[-1 - PATIENCE]
            ):
                break
        return masses, points, labels

    def _best_row(self, decoy, residual, code):
        """Return the row within the margin whose gradient most opposes the residual.

        Rows beyond the margin have no gradient. None if no row is within it.
        """
        sign, theta = Decoy.signs[code], decoy.theta
        aim, away = -sign * residual[:-1], -sign * theta[:-1]

        def row(multiplier):
            return self.sets[code].support(aim + multiplier * away)[1]

        def beyond(point):
            return sign * (point @ theta[:-1] + theta[-1]) - 1.0

        point = row(0.0)
        if beyond(point) <= 0:
            return point
        if not away.any():  # all rows have the same margin
            return None
        scale = np.linalg.norm(aim) / np.linalg.norm(away)
        return _least_multiplier(row, beyond, beyond(point), scale or 1.0)

    def _weigh(self, decoy, points, labels, split):
        """Return the masses of smallest residual; their sum is at most `share`."""
        signs = Decoy.signs[labels]
        gradients = signs * np.column_stack([points, np.ones(len(points))]).T
        columns, goal = [self.share * gradients], -decoy.gradient
        if decoy.multiple is None:
            columns.append(-decoy.theta[:, np.newaxis])
        else:
            goal = goal + decoy.multiple * decoy.theta
        if split is None:  # One more unknown for mass that is not used.
            columns.append(np.zeros((len(goal), 1)))
        matrix, size = np.hstack(columns), max(np.abs(goal).max(), 1e-300)
        # Only inner products count, of which there are few.
        factor, right = _small(matrix / size, goal / size)
        adds_up, sums = _sums(labels, matrix.shape[1], split)
        weights, _ = nnls(
            np.vstack([factor, HEAVY * adds_up]), np.append(right, HEAVY * sums)
        )
        weights = weights[: len(points)]
        if split is None:
            return self.share * weights / max(weights.sum(), 1.0)
        found = np.bincount(labels, weights, minlength=2)
        return self.share * weights * (sums / np.maximum(found, 1e-300))[labels]


def _sums(labels, n_columns, split):
    """Return the equations for the sums of the rows' weights."""
    if split is None:
        adds_up = np.ones((1, n_columns))
        adds_up[:, len(labels) : -1] = 0.0
        return adds_up, np.ones(1)
    adds_up = np.zeros((2, n_columns))
    adds_up[labels, np.arange(len(labels))] = 1.0
    return adds_up, np.array(split)


def _small(matrix, goal):
    """Return a small least-squares problem with the same solutions."""
    rotation, factor = np.linalg.qr(matrix)
    return factor, rotation.T @ goal


def _least_multiplier(row, beyond, excess, high):
    """Return the row within the margin whose multiplier is nearly the smallest."""
    low = 0.0
    for _ in range(DOUBLINGS):
        point = row(high)
        slack = -beyond(point)
        if slack >= 0:
            break
        low, excess, high = high, -slack, 2.0 * high
    else:
        return None
    for _ in range(HALVINGS):
        if slack < CLOSE:
            break
        # Where the line between the ends crosses the margin, but not too near to them.
        share = np.clip(excess / (excess + slack), 0.1, 0.9) if excess + slack else 0.5
        middle = low + share * (high - low)
        tried = row(middle)
        if beyond(tried) <= 0:
            point, high, slack = tried, middle, -beyond(tried)
        else:
            low, excess = middle, beyond(tried)
    return point
