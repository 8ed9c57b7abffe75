"""What the removal of rows does to the scores of a linear model, by Newton steps."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.sparse.linalg import LinearOperator, cg

from skpoison.tracing._linear import LinearView

TINY = 1e-12
TOL = 1e-5  # of conjugate gradients
FEW = 4  # times fewer rows than parameters: solved with the factor that is known
BLOCK = 4_096  # rows whose leverages are computed at once


class Influence:
    """A linear model's Newton steps towards what it is without rows.

    A step uses the Hessian without these rows, so that it is exact for quadratic
    losses: ridge regression and classification. Where Hessians are not formed, that of
    all rows is solved by conjugate gradients, and steps are to first order.
    """

    def __init__(self, view: LinearView):
        self.view = view
        self._hessians: dict[int, np.ndarray] = {}
        self._factors: dict[int, Any] = {}
        self._known_leverages: dict[int, np.ndarray] = {}

    @cached_property
    def scores(self) -> np.ndarray:
        """By how much each row makes each target wrong, of shape (n_rows, n_targets).

        It is how far the margin of the wrong prediction falls when the row is removed.
        """
        view = self.view
        if view.is_direct:
            return self._direct_scores()
        rights = view.directions[:, :, np.newaxis] * _dense(view.targets)[:, np.newaxis]
        solve = self._solver()
        out = [np.vecdot(view.slopes, _dense(view.rows @ solve(r).T)) for r in rights]
        return -np.column_stack(out)

    def _direct_scores(self):
        """Exact Newton steps: each row's Hessian is taken away by its leverage."""
        view = self.view
        out = np.zeros((view.rows.shape[0], len(view.margins)))
        for score in np.flatnonzero(view.directions.any(axis=0)):
            factor = self._factor(score)
            steps = view.rows @ cho_solve(factor, view.targets.T)
            bent = view.weights * view.curvatures[:, score]
            left = 1.0 - bent * self._leverages(score)
            step = steps * (view.slopes[:, score] / np.maximum(left, 1e-12))[:, None]
            out -= step * view.directions[:, score]
        return out

    @property
    def left_out_scores(self) -> np.ndarray:
        """The one score of each row after a Newton step without it."""
        view, leverage = self.view, self._leverages(0)
        left = 1.0 - view.weights * view.curvatures[:, 0] * leverage
        steps = leverage * view.slopes[:, 0] / np.maximum(left, 1e-12)
        return view.scores[:, 0] + steps

    def scores_without(self, removed: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Return the one score of rows that are asked after a step without others."""
        view, gone = self.view, self.view.rows[removed]
        bent = view.weights[removed] * view.curvatures[removed, 0]
        step = self._step(0, gone, bent, view.slopes[removed, 0] @ gone)
        return view.scores[asked, 0] + view.rows[asked] @ step

    def _leverages(self, score):
        if score not in self._known_leverages:
            found = leverages(self.view.rows, self._factor(score))
            self._known_leverages[score] = found
        return self._known_leverages[score]

    def margins_without(self, removed: np.ndarray) -> np.ndarray:
        """Return how far targets are on the wrong side after a step without rows."""
        view = self.view
        if not view.is_direct:  # to first order
            return view.margins - self.scores[removed].sum(axis=0)
        gone = view.rows[removed]
        gradients = view.slopes[removed].T @ gone
        moved = np.zeros_like(view.directions)
        for score in np.flatnonzero(view.directions.any(axis=0)):
            bent = view.weights[removed] * view.curvatures[removed, score]
            step = self._step(score, gone, bent, gradients[score])
            moved[:, score] = view.targets @ step
        return view.margins + np.vecdot(view.directions, moved)

    def _step(self, score, gone, bent, gradient):
        """Solve with the Hessian less that of rows: of few rows, by Woodbury's rule."""
        if len(gone) > gone.shape[1] // FEW:
            return np.linalg.solve(
                self._hessian(score) - (gone.T * bent) @ gone, gradient
            )
        factor, roots = self._factor(score), np.sqrt(bent)[:, np.newaxis]
        scaled = roots * gone
        both = cho_solve(factor, np.column_stack([scaled.T, gradient]))
        across, alone = both[:, :-1], both[:, -1]
        small = np.eye(len(gone)) - scaled @ across
        return alone + across @ np.linalg.solve(small, scaled @ alone)

    def _hessian(self, score):
        """The Hessian of one score's losses and penalty."""
        view = self.view
        if score not in self._hessians:
            roots = np.sqrt(view.weights * view.curvatures[:, score])
            scaled = view.rows * roots[:, np.newaxis]
            hessian = scaled.T @ scaled
            # An intercept has no penalty, and no row may have a curvature.
            least = TINY * max(float(view.weights.sum()), 1.0)
            stiffness = np.maximum(view.stiffness, least)
            hessian[np.diag_indices_from(hessian)] += stiffness
            self._hessians[score] = hessian
        return self._hessians[score]

    def _factor(self, score):
        if score not in self._factors:
            self._factors[score] = cho_factor(self._hessian(score), lower=True)
        return self._factors[score]

    def _solver(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that solves with the Hessian, in all scores at once."""
        view = self.view
        shape = (view.n_scores, view.rows.shape[1])
        size = shape[0] * shape[1]
        product = _product(view, shape)
        hessian = LinearOperator((size, size), matvec=product, dtype=np.float64)
        precondition = self._preconditioner
        easier = LinearOperator((size, size), matvec=precondition, dtype=np.float64)

        def solve(right):
            found, _ = cg(hessian, np.ravel(right), rtol=TOL, maxiter=500, M=easier)
            return found.reshape(shape)

        return solve

    @cached_property
    def _preconditioner(self):
        """A function that solves with mean curvatures, or with a diagonal."""
        view = self.view
        shape = (view.n_scores, view.rows.shape[1])
        bends = view.curvatures * (1.0 - view.curvatures * view.is_coupled)
        bends = bends * view.weights[:, np.newaxis]
        if not sparse.issparse(view.rows) and shape[1] <= MOST_SHARED:
            scaled = view.rows * np.sqrt(bends.mean(axis=1))[:, np.newaxis]
            shared = scaled.T @ scaled
            shared[np.diag_indices_from(shared)] += view.stiffness + 1e-12
            factor = cho_factor(shared, lower=True)
            return lambda v: cho_solve(factor, v.reshape(shape).T).T.ravel()
        squares = view.rows.power(2) if sparse.issparse(view.rows) else view.rows**2
        diagonal = np.ravel(bends.T @ squares + view.stiffness + 1e-12)
        return lambda v: np.ravel(v) / diagonal


MOST_SHARED = 2_000


def _product(view, shape):
    def product(v):
        v = v.reshape(shape)
        moved = _dense(view.rows @ v.T)
        if view.is_coupled:
            means = np.vecdot(view.curvatures, moved)[:, np.newaxis]
            moved = view.curvatures * (moved - means)
        else:
            moved = view.curvatures * moved
        moved = moved * view.weights[:, np.newaxis]
        return np.ravel(_dense(moved.T @ view.rows) + view.stiffness * v)

    return product


def leverages(rows: np.ndarray, factor: Any) -> np.ndarray:
    """Return ``x^T H^-1 x`` for every row, H given by its Cholesky factor."""
    out = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        block = slice(start, start + BLOCK)
        half = solve_triangular(factor[0], rows[block].T, lower=True)
        out[block] = np.einsum("ij,ij->j", half, half)
    return out


def _dense(found):
    return found.toarray() if sparse.issparse(found) else np.asarray(found)
