"""Newton systems: a multiple of the identity plus few (or many) outer products.

The second derivative of the smoothed bound is
``H = tau I + R^T diag(d) R + E^T diag(e) E`` with R the active signed rows (sparse or
dense), and E a handful of dense vectors whose weights e may be negative. What a Newton
step needs is ``(H + shift I)^-1`` for several shifts.
"""

import numpy as np
from scipy import linalg
from scipy.sparse.linalg import LinearOperator, cg

# Above this many active rows the Gram matrix of sparse rows is no longer formed.
MAX_GRAM = 2500
MAX_SHIFTS = 25


class Hessian:
    """The matrix H, solved in the cheapest of three ways.

    Parameters
    ----------
    tau : float
        Multiple of the identity, positive.
    rows : Rows
        Active rows R.
    row_weights : ndarray of shape (n_rows,)
        Their weights d, positive.
    vectors : ndarray of shape (n_vectors, dim)
        The dense vectors E.
    vector_weights : ndarray of shape (n_vectors,)
        Their weights e, of either sign, not zero.
    """

    def __init__(self, tau, rows, row_weights, vectors, vector_weights):
        self.tau = tau
        self.rows, self.row_weights = rows, row_weights
        self.vectors, self.vector_weights = vectors, vector_weights
        n_columns = len(rows) + len(vectors)
        if n_columns >= rows.dim:
            self._factor = self._prepare_dense()
        elif n_columns <= MAX_GRAM or not rows.is_sparse:
            self._factor = self._prepare_gram()
        else:
            self._factor = self._factor_iterative

    def __matmul__(self, x):
        """Return ``H @ x``."""
        product = self.tau * x
        if len(self.rows):
            product += self.rows.combine(self.row_weights * self.rows.scores(x))
        return product + (self.vector_weights * (self.vectors @ x)) @ self.vectors

    def shifted(self, shift):
        """Return a function that solves ``(H + shift I) x = r`` for x."""
        return self._factor(shift)

    def _prepare_dense(self):
        matrix = self.rows.weighted_outer(self.row_weights)
        matrix += (self.vectors.T * self.vector_weights) @ self.vectors
        diagonal = np.arange(len(matrix)), np.arange(len(matrix))
        matrix[diagonal] += self.tau

        def factor(shift):
            shifted = matrix.copy()
            shifted[diagonal] += shift
            return _symmetric_solver(shifted)

        return factor

    def _prepare_gram(self):
        """Woodbury: only a matrix of as many rows as there are outer products."""
        # Not through self: a cycle would keep the matrix until it is collected.
        rows, row_weights, tau = self.rows, self.row_weights, self.tau
        vectors, vector_weights = self.vectors, self.vector_weights
        gram = rows.gram()
        cross = np.array([rows.scores(vector) for vector in vectors])
        cross = cross.reshape(len(vectors), len(rows))
        corner = vectors @ vectors.T

        def factor(shift):
            scale = tau + shift
            inner = _bordered_solver(
                _plus_diagonal(gram, scale / row_weights),
                cross,
                _plus_diagonal(corner, scale / vector_weights),
            )

            def solve(r):
                on_rows, on_vectors = inner(rows.scores(r), vectors @ r)
                inside = rows.combine(on_rows) + on_vectors @ vectors
                return (r - inside) / scale

            return solve

        return factor

    def _factor_iterative(self, shift):
        dim = self.rows.dim
        operator = LinearOperator(
            (dim, dim), matvec=lambda x: self @ x + shift * x, dtype=np.float64
        )

        def solve(r):
            return cg(operator, r, rtol=1e-6, maxiter=500)[0]

        return solve


def _plus_diagonal(matrix, diagonal):
    matrix = matrix.copy()
    matrix[np.diag_indices_from(matrix)] += diagonal
    return matrix


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
        found = linalg.cho_factor(shifted, lower=True, check_finite=False)
        return lambda r: linalg.cho_solve(found, r, check_finite=False)

    return _regularized(factor, matrix)


def _general_solver(matrix):
    """Solve by an LU factorisation, regularised only if it is singular."""

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


def step_in_ball(hessian, theta, gradient, rho, shift, norm_tol):
    """Minimise a quadratic model over a ball.

    The model is ``gradient @ p + p @ H @ p / 2``, the ball ``||theta + p|| <= rho``.

    Parameters
    ----------
    hessian : Hessian
        The matrix H.
    theta : ndarray of shape (dim,)
        A point of the ball.
    gradient : ndarray of shape (dim,)
        The gradient there.
    rho : float
        Radius of the ball; may be infinite.
    shift : float
        First guess of the multiplier of the norm.
    norm_tol : float
        Relative tolerance of the norm, where the ball binds.

    Returns
    -------
    step : ndarray of shape (dim,)
        The minimiser p.
    shift : float
        The multiplier.
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
