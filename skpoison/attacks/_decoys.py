"""Decoy parameters, and the few rows that make them optimal."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison._whole_rows import apportion
from skpoison.attacks._learners import train_hinge

# Shares of the target rows, those of highest loss, and what each such group weighs,
# in units of the attacker's share of rows.
SHARES = (0.005, 0.02, 0.05)
MASSES = (0.25, 0.5, 1.0, 2.0)
# How the poison rows may be split between the classes.
SPLITS = ((1.0, 0.0), (0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0.0, 1.0))


class Found(NamedTuple):
    """Poison rows for a decoy.

    Parameters
    ----------
    points : ndarray of shape (n_distinct, n_features)
        The distinct rows.
    labels : ndarray of shape (n_distinct,), dtype=int
        Positions of their labels, 0 or 1.
    copies : ndarray of shape (n_distinct,), dtype=int
        How often each is sent, at least once.
    residual : float
        Norm of what is left of the learner's gradient at the decoy.
    """

    points: np.ndarray
    labels: np.ndarray
    copies: np.ndarray
    residual: float


def flipped_decoys(clean, targets, learner, n_poison, rng):
    """Train the learner with flipped target rows: parameters that do harm.

    Parameters
    ----------
    clean, targets : Rows
        Signed clean rows, and those on which a large loss is wanted.
    learner : Learner
        The learner, with the hinge loss.
    n_poison : int
        Number of poison rows, on which it depends how far decoys are.
    rng : RandomState
        Draws the rows that training looks at first.

    Returns
    -------
    decoys : ndarray of shape (n_decoys, n_features + 1)
        Parameters.
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
    join = sparse.vstack if clean.is_sparse else np.vstack
    kind = {"format": "csr"} if clean.is_sparse else {}
    extra = flipped.X
    if clean.is_sparse and not flipped.is_sparse:
        extra = sparse.csr_array(extra)
    elif flipped.is_sparse and not clean.is_sparse:
        extra = extra.toarray()
    return train_hinge(
        learner,
        join([clean.X, extra], **kind),
        np.concatenate([clean.signs, -flipped.signs]),
        np.concatenate([np.ones(len(clean)), copies[used]]),
        len(clean),
        tol=1e-3,
        rng=rng,
    )


class Decoy:
    """Parameters that poison shall make optimal.

    The learner stays at theta if the pulls of all rows on it, ``y x`` for each row
    within the margin, divided by the number of clean rows, add up to a multiple of
    theta: that of the penalty, or any that is not negative for the ball.

    Parameters
    ----------
    theta : ndarray of shape (n_features + 1,)
        The parameters.
    clean : Rows
        Signed clean rows.
    learner : Learner
        The learner, with the hinge loss.
    """

    signs = np.array([-1.0, 1.0])

    def __init__(self, theta, clean, learner):
        self.theta, self.n_rows = theta, len(clean)
        inside = (clean.scores(theta) < 1.0).astype(np.float64)
        self.gradient = clean.combine(inside / len(clean))
        self.multiple = learner.multiple(len(clean))

    def residual(self, points, labels, masses):
        """Return what the pulls of clean rows and poison leave for theta to bear."""
        signed = masses * self.signs[labels]
        left = self.gradient + np.append(signed @ points, signed.sum())
        multiple = self.multiple
        if multiple is None:
            square = float(self.theta @ self.theta)
            multiple = max(float(self.theta @ left) / square, 0.0) if square else 0.0
        return left - multiple * self.theta

    def find_rows(self, program, split=None, *, all_rows=False):
        """Find the rows and the numbers of copies that leave the least.

        Parameters
        ----------
        program : PairProgram or MixedRows
            What finds rows and masses in these sets.
        split : tuple of (float, float), default=None
            The share of each class in the rows that are allowed. None means what leaves
            the least, with as few rows as that takes.
        all_rows : bool, default=False
            Whether to send as many as are allowed, each more often.

        Returns
        -------
        found : Found or None
            The best, up to whole copies; None where a class to be sent has no row
            that pulls at all.
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
