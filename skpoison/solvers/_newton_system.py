"""Newton systems: diagonal plus low rank.

The second derivative of the smoothed bound is
``H = diag(c) + R^T diag(d) R + E^T diag(e) E`` with R the active signed rows (sparse or
dense), E a handful of dense vectors whose weights e may be negative, and few different
values in c. A Newton step solves with ``H + shift I`` for several shifts.
See docs/mathematics.md, section "The Newton system".
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, cg

# Above this many active rows the Gram matrix of sparse rows is no longer formed.
MAX_GRAM = 2500
MAX_SHIFTS = 25
# Columns that are this full are multiplied as dense ones.
FULL = 0.1


LinearSolver = Callable[[np.ndarray], np.ndarray]


class Hessian:
    """The matrix H, solved in the cheapest of three ways.

    Parameters
    ----------
    diagonal : ndarray of shape (dim,)
        The diagonal c, positive.
    rows : Rows
        Active rows R.
    row_weights : ndarray of shape (n_rows,)
        Their weights d, positive.
    vectors : ndarray of shape (n_vectors, dim)
        The dense vectors E.
    vector_weights : ndarray of shape (n_vectors,)
        Their weights e, of either sign, not zero.
    max_direct : float, default=inf
        Above this number of rows and of parameters, systems are solved iteratively.
    cg_tol : float, default=1e-6
        Relative residual of systems that are.
    max_cg : int, default=500
        Most iterations for one of them.
    """

    def __init__(
        self,
        diagonal,
        rows,
        row_weights,
        vectors,
        vector_weights,
        *,
        max_direct=np.inf,
        cg_tol=1e-6,
        max_cg=500,
    ):
        self.diagonal = diagonal
        self.rows, self.row_weights = rows, row_weights
        self.vectors, self.vector_weights = vectors, vector_weights
        self.cg_tol, self.max_cg = cg_tol, max_cg
        n_columns = len(rows) + len(vectors)
        if min(n_columns, rows.dim) > max_direct:
            self._factor = self._factor_iterative
        # Inner products of rows in a frame are alike but for their last digits.
        elif n_columns >= rows.dim or rows.is_framed:
            self._factor = self._prepare_dense()
        elif n_columns <= MAX_GRAM or not rows.is_sparse:
            self._factor = self._prepare_gram()
        else:
            self._factor = self._factor_iterative

    def __matmul__(self, x: np.ndarray) -> np.ndarray:
        """Return ``H @ x``."""
        product = self.diagonal * x
        if len(self.rows):
            product += self.rows.combine(self.row_weights * self.rows.scores(x))
        return product + (self.vector_weights * (self.vectors @ x)) @ self.vectors

    def shifted(self, shift: float) -> LinearSolver:
        """Return a function that solves ``(H + shift I) x = r`` for x."""
        return self._factor(shift)

    def _prepare_dense(self):
        matrix = self.rows.weighted_outer(self.row_weights)
        matrix += (self.vectors.T * self.vector_weights) @ self.vectors
        diagonal = np.arange(len(matrix)), np.arange(len(matrix))
        matrix[diagonal] += self.diagonal

        def factor(shift):
            shifted = matrix.copy()
            shifted[diagonal] += shift
            return _symmetric_solver(shifted)

        return factor

    def _prepare_gram(self):
        """Woodbury, with one Gram matrix for each value of the diagonal."""
        levels, chosen = _levels(self.diagonal)
        grams = [self._gram(columns) for columns in chosen]
        crosses = [self._cross(columns) for columns in chosen]
        # Not through self: a cycle would keep the matrices until it is collected.
        rows, row_weights = self.rows, self.row_weights
        vectors, vector_weights = self.vectors, self.vector_weights
        diagonal = self.diagonal

        def factor(shift):
            inverse = 1.0 / (diagonal + shift)
            gram = _weighted_sum(grams, 1.0 / (levels + shift))
            corner = (vectors * inverse) @ vectors.T
            _add_to_diagonal(gram, 1.0 / row_weights)
            _add_to_diagonal(corner, 1.0 / vector_weights)
            cross = _weighted_sum(crosses, 1.0 / (levels + shift))
            inner = _bordered_solver(gram, cross, corner)

            def solve(r):
                scaled = inverse * r
                on_rows, on_vectors = inner(rows.scores(scaled), vectors @ scaled)
                inside = rows.combine(on_rows) + on_vectors @ vectors
                return scaled - inverse * inside

            return solve

        return factor

    def _gram(self, chosen):
        """Inner products of the rows over some of the parameters."""
        X = self.rows.X
        if not chosen[:-1].any():
            signs = self.rows.signs * float(chosen[-1])
            return np.outer(signs, signs)
        X = X if chosen[:-1].all() else X[:, np.flatnonzero(chosen[:-1])]
        products = _sparse_gram(X) if sparse.issparse(X) else X @ X.T
        if chosen[-1]:
            products += 1.0
        products *= self.rows.signs
        products *= self.rows.signs[:, np.newaxis]
        return products

    def _cross(self, chosen):
        """Inner products of vectors and rows over some of the parameters."""
        some = np.where(chosen, self.vectors, 0.0)
        if not chosen[:-1].any():
            return some[:, -1:] * self.rows.signs
        return ((self.rows.X @ some[:, :-1].T).T + some[:, -1:]) * self.rows.signs

    def _factor_iterative(self, shift):
        """Conjugate gradients, preconditioned by the diagonal of H."""
        shape = {"shape": (self.rows.dim, self.rows.dim), "dtype": np.float64}
        operator = LinearOperator(matvec=lambda x: self @ x + shift * x, **shape)
        scale = 1.0 / (self._all_of_diagonal() + shift)
        jacobi = LinearOperator(matvec=lambda x: scale * x, **shape)

        def solve(r):
            options = {"rtol": self.cg_tol, "maxiter": self.max_cg, "M": jacobi}
            return cg(operator, r, **options)[0]

        return solve

    def _all_of_diagonal(self):
        """Return the diagonal of H; c alone where negative weights cancel more."""
        of_rows = self.rows.weighted_squares(self.row_weights)
        of_vectors = self.vector_weights @ self.vectors**2
        return np.maximum(self.diagonal + of_rows + of_vectors, self.diagonal)


def _levels(diagonal):
    """Return the different values of a diagonal, and where each is."""
    first, last = diagonal[0], diagonal[-1]
    if (diagonal[:-1] == first).all() and first != last:  # only the intercept differs
        features = np.arange(len(diagonal)) < len(diagonal) - 1
        return np.array([first, last]), [features, ~features]
    levels, level_of = np.unique(diagonal, return_inverse=True)
    return levels, [level_of == level for level in range(len(levels))]


def _sparse_gram(X):
    """Inner products of sparse rows; frequent columns, which cost most, as dense."""
    counts = np.bincount(X.indices, minlength=X.shape[1])
    full = counts > FULL * X.shape[0]
    dense = X[:, np.flatnonzero(full)].toarray()
    rest = X[:, np.flatnonzero(~full)]
    products = (rest @ rest.T).toarray()
    products += dense @ dense.T
    return products


def _weighted_sum(matrices, weights):
    total = matrices[0] * weights[0]
    for matrix, weight in zip(matrices[1:], weights[1:], strict=True):
        total += matrix * weight
    return total


def _add_to_diagonal(matrix, values):
    matrix.flat[:: len(matrix) + 1] += values


def _bordered_solver(large, cross, small):
    """Solve with ``[[large, cross.T], [cross, small]]``, large positive definite.

    The small block may be indefinite: the vectors' weights have either sign.
    """
    solve_large = _symmetric_solver(large)
    if not len(small):
        return lambda r, s: (solve_large(r), s)
    inverse_cross = solve_large(cross.T)
    solve_small = _general_solver(small - cross @ inverse_cross)

    def solve(r, s):
        first = solve_large(r)
        second = solve_small(s - cross @ first)
        return first - inverse_cross @ second, second

    return solve


def _symmetric_solver(matrix):
    """Solve by Cholesky, with as much of the identity added as that takes."""

    def factor(shifted):
        if not len(shifted):
            return np.copy
        found, info = linalg.lapack.dpotrf(shifted, lower=True, clean=False)
        if info != 0:
            raise linalg.LinAlgError("not positive definite")
        return lambda r: linalg.lapack.dpotrs(found, r, lower=True)[0]

    return _regularized(factor, matrix)


def _general_solver(matrix):
    """Solve by an LU factorization, regularized only if it is singular."""

    def factor(shifted):
        lu, pivots, info = linalg.lapack.dgetrf(shifted)
        if info != 0:
            raise linalg.LinAlgError("singular matrix")
        return lambda r: linalg.lapack.dgetrs(lu, pivots, r)[0]

    return _regularized(factor, matrix)


def _regularized(factor, matrix):
    scale = float(np.abs(np.diagonal(matrix)).max(initial=0.0)) or 1.0
    for jitter in (0.0, 1e-14, 1e-12, 1e-10, 1e-8):
        shifted = (
            matrix if jitter == 0.0 else matrix + jitter * scale * np.eye(len(matrix))
        )
        try:
            return factor(shifted)
        except linalg.LinAlgError:
            continue
    raise linalg.LinAlgError("A Newton system holds NaN or infinity.")


class Shiftable(Protocol):
    """A matrix that can be solved with a multiple of the identity added."""

    def shifted(self, shift: float) -> LinearSolver:
        """Return a function that solves ``(H + shift I) x = r`` for x."""


def step_in_ball(
    hessian: Shiftable,
    theta: np.ndarray,
    gradient: np.ndarray,
    rho: float,
    shift: float,
    norm_tol: float,
) -> tuple[np.ndarray, float]:
    """Minimize a quadratic model over a ball: a trust-region step, and its multiplier.

    The model is ``gradient @ p + p @ H @ p / 2``, the ball ``||theta + p|| <= rho``.
    """
    if not np.isfinite(rho):
        return -hessian.shifted(0.0)(gradient), 0.0
    lower = 0.0
    for _ in range(MAX_SHIFTS):
        solve = hessian.shifted(shift)
        # Near the solution the right-hand side vanishes, and its errors with it.
        step = -solve(gradient + shift * theta)
        there = theta + step
        norm = float(np.linalg.norm(there))
        if abs(norm - rho) <= norm_tol * rho or (shift == 0.0 and norm <= rho):
            break
        if norm > rho:
            lower = max(lower, shift)
        # Newton's method on 1/norm - 1/rho, nearly linear in the shift.
        slope = float(there @ solve(there))
        shift = max(lower, shift + (norm - rho) / rho * norm * norm / slope)
    if norm > rho:
        step = there * (rho / norm) - theta
    return step, shift
