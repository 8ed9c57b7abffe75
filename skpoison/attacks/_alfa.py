"""Choose the labels to flip: alternate training with a linear program."""

import warnings
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC
from sklearn.utils import check_random_state

from skpoison._fitted import with_short_indices
from skpoison._learners import regularizer, train_hinge
from skpoison._whole_rows import apportion_evenly
from skpoison.losses import Hinge
from skpoison.solvers._signed_design import Rows
from skpoison.solvers._train import PoisonCopies, train_on, warm_start

# Passes over the rows, before Newton's method takes over.
MOST_PASSES = 5000
TOL = 1e-4


class Flips(NamedTuple):
    """The flips of the round with the largest objective."""

    copies: np.ndarray  # how often each candidate is sent
    # Clean rows' mean hinge loss under the learner trained with each round's flips.
    objective: list[float]


def choose_flips(gains: np.ndarray, total: int) -> np.ndarray:
    """Solve the linear program: the flips with the largest sum of gains.

    It maximizes ``gains @ copies`` over copies that sum to the total, with counts that
    differ by at most one: candidates are sent once each before any is sent twice. The
    solution is a vertex, of whole numbers.
    """
    return apportion_evenly(total, len(gains), priority=gains)


def alfa(X, signs, candidates, total, learner, *, max_iter, rng):
    """Find label flips that raise a support vector machine's loss.

    Candidates are the positions of rows that may be added with the other label; the
    learner minimizes the hinge loss.
    """
    tainted = _Tainted(X, signs, candidates, learner, rng)
    before = tainted.flipped_losses(tainted.train(np.zeros(len(candidates))))
    copies = choose_flips(-before, total)  # the first guess: what fits in best
    seen, objective, best = set(), [], copies
    for _ in range(max_iter):
        seen.add(copies.tobytes())
        theta = tainted.train(copies)
        objective.append(tainted.clean_loss(theta))
        if objective[-1] == max(objective):
            best = copies
        copies = choose_flips(before - tainted.flipped_losses(theta), total)
        if copies.tobytes() in seen:
            break
    return Flips(best, objective)


class _Tainted:
    """Clean rows with candidates for flips behind them."""

    def __init__(self, X, signs, candidates, learner, rng):
        self.clean = Rows(X, signs)
        self.flipped = Rows(X[candidates], -signs[candidates])
        self.learner, self.rng = learner, rng
        self.last = None  # what Newton's method found, once it is needed

    def train(self, copies):
        """Train the learner with copies of the candidates."""
        used = np.flatnonzero(copies)
        rows = self.flipped.take(used)
        if self.clean.is_sparse and self.learner.C is not None:
            return self._train_sparse(rows, copies[used])
        poison = PoisonCopies(rows.X, rows.signs, copies[used])
        return train_hinge(self.learner, self.clean, poison, tol=TOL, rng=self.rng)

    def _train_sparse(self, rows, copies):
        """Train by coordinates, ten times as fast on text, while that converges.

        Then by Newton's method, from what was found last: few of its steps are left.
        """
        every = self.clean.joined(rows)
        weights = np.append(np.ones(len(self.clean)), copies)
        if self.last is None:
            theta, converges = self._descend(every, weights)
            if converges:
                return theta
            self.last = theta
        found = train_on(
            every,
            None,
            regularizer(None, self.learner.C, len(self.clean)),
            tol=TOL,
            rng=check_random_state(self.rng),
            weights=weights / len(self.clean),
            start=warm_start(self.last, 1.0 - every.scores(self.last)),
        )
        assert found.best_primal is not None  # it has been checked at least once
        self.last = found.best_primal.theta
        return self.last

    def _descend(self, every, weights):
        """Train by coordinate descent; tell also whether it converges."""
        svc = LinearSVC(
            loss="hinge", C=self.learner.C, max_iter=MOST_PASSES, random_state=self.rng
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            svc.fit(with_short_indices(every.X), every.signs, weights)
        theta = np.append(svc.coef_[0], svc.intercept_)
        return theta, svc.n_iter_ < MOST_PASSES

    def flipped_losses(self, theta):
        """Return the loss of each candidate under the other label."""
        return Hinge().value(self.flipped.scores(theta))

    def clean_loss(self, theta):
        """Return the mean loss of the clean rows."""
        return Hinge().mean(self.clean.scores(theta))
