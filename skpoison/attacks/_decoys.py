"""Decoy parameters, and the poison rows that make them optimal."""

from typing import NamedTuple

import numpy as np

from skpoison._learners import train_hinge
from skpoison._whole_rows import apportion
from skpoison.solvers._train import PoisonCopies

# Shares of the target rows, those of highest loss, and what each such group weighs,
# in units of the attacker's share of rows.
SHARES = (0.005, 0.02, 0.05)
MASSES = (0.25, 0.5, 1.0, 2.0)
# How the poison rows may be split between the classes.
SPLITS = ((1.0, 0.0), (0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0.0, 1.0))


class Found(NamedTuple):
    """Poison rows for a decoy."""

    points: np.ndarray  # the distinct rows
    labels: np.ndarray  # positions of their labels, 0 or 1
    copies: np.ndarray  # how often each is sent, at least once
    residual: float  # norm of the KKT residual at the decoy


def flipped_decoys(clean, targets, learner, n_poison, rng):
    """Train the learner with flipped target rows to get harmful parameters.

    How far the decoys are from the clean solution depends on the number of poison rows.
    """
    start = _train(clean, targets, learner, np.zeros(len(targets)), rng)
    order = np.argsort(targets.scores(start), kind="stable")
    decoys = []
    for share in SHARES:
        chosen = order[: max(int(share * len(order)), 1)]
        for mass in MASSES:
            copies = np.zeros(len(targets))
            copies[chosen] = mass * n_poison / len(chosen)
            decoys.append(_train(clean, targets, learner, copies, rng))
    return np.array(decoys)


def _train(clean, targets, learner, copies, rng):
    """Train on clean rows and on copies of flipped target rows."""
    used = np.flatnonzero(copies)
    flipped = targets.take(used)
    poison = PoisonCopies(flipped.X, -flipped.signs, copies[used])
    return train_hinge(learner, clean, poison, tol=1e-3, rng=rng)


class Decoy:
    """Parameters that the poison should make optimal for a learner with hinge loss.

    Theta is optimal if the negative gradients of all rows' losses, ``y (x, 1)`` for
    each row within the margin, divided by the number of clean rows, add up to a
    multiple of theta: the penalty's, or for the ball any multiplier that is not
    negative.
    """

    signs = np.array([-1.0, 1.0])

    def __init__(self, theta, clean, learner):
        self.theta, self.n_rows = theta, len(clean)
        inside = (clean.scores(theta) < 1.0).astype(np.float64)
        self.gradient = clean.combine(inside / len(clean))
        self.multiple = learner.multiple(len(clean))

    def residual(self, points, labels, masses):
        """Return the KKT residual: the sum of the gradients minus theta's multiple."""
        signed = masses * self.signs[labels]
        left = self.gradient + np.append(signed @ points, signed.sum())
        multiple = self.multiple
        if multiple is None:
            square = float(self.theta @ self.theta)
            multiple = max(float(self.theta @ left) / square, 0.0) if square else 0.0
        return left - multiple * self.theta

    def find_rows(self, program, split=None, *, all_rows=False):
        """Find the rows and the numbers of copies with the smallest residual.

        A split is the share of each class in the rows that are allowed; without one,
        as few rows as the least residual takes are sent, or as many as are allowed, in
        the same proportions (`all_rows`). None where no row of a class to be sent is
        within the margin.
        """
        solution = program.solve(self, split)
        if solution is None:
            return None
        masses, points, labels = solution
        if all_rows and masses.any():
            masses = masses * (program.share / masses.sum())
        wanted = masses * self.n_rows
        most = round(program.share * self.n_rows)
        copies = apportion(wanted, min(int(np.floor(wanted.sum() + 0.5)), most))
        sent = copies > 0
        points, labels, copies = points[sent], labels[sent], copies[sent]
        left = self.residual(points, labels, copies / self.n_rows)
        return Found(points, labels, copies, float(np.linalg.norm(left)))
