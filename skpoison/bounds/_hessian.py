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
MAX_GRAM = 1200


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
        split = len(self.rows)
        weights = np.concatenate([self.row_weights, self.vector_weights])
        gram = np.empty((len(weights), len(weights)))
        gram[:split, :split] = self.rows.gram()
        for j, vector in enumerate(self.vectors, start=split):
            gram[:split, j] = gram[j, :split] = self.rows.scores(vector)
        gram[split:, split:] = self.vectors @ self.vectors.T
        diagonal = np.arange(len(weights)), np.arange(len(weights))

        def factor(shift):
            scale = self.tau + shift
            small = gram.copy()
            small[diagonal] += scale / weights
            inner = _general_solver(small)

            def solve(r):
                return (r - self._expand(inner(self._products(r)))) / scale

            return solve

        return factor

    def _products(self, x):
        return np.concatenate([self.rows.scores(x), self.vectors @ x])

    def _expand(self, coefficients):
        split = len(self.rows)
        return self.rows.combine(coefficients[:split]) + (
            coefficients[split:] @ self.vectors
        )

    def _factor_iterative(self, shift):
        dim = self.rows.dim
        operator = LinearOperator(
            (dim, dim), matvec=lambda x: self @ x + shift * x, dtype=np.float64
        )

        def solve(r):
            return cg(operator, r, rtol=1e-6, maxiter=500)[0]

        return solve


def _symmetric_solver(matrix):
    try:
        factor = linalg.cho_factor(matrix, lower=True, check_finite=False)
    except linalg.LinAlgError:
        return _general_solver(matrix)
    return lambda r: linalg.cho_solve(factor, r, check_finite=False)


def _general_solver(matrix):
    factor = linalg.lu_factor(matrix, check_finite=False)
    return lambda r: linalg.lu_solve(factor, r, check_finite=False)


def minimize_in_ball(hessian, r, rho, shift, norm_tol):
    """Minimise ``x @ H @ x / 2 - r @ x`` over ``||x|| <= rho``.

    Parameters
    ----------
    hessian : Hessian
        The matrix H.
    r : ndarray of shape (dim,)
        The linear term.
    rho : float
        Radius of the ball; may be infinite.
    shift : float
        First guess of the multiplier of the norm.
    norm_tol : float
        Relative tolerance of the norm, where the ball binds.

    Returns
    -------
    x : ndarray of shape (dim,)
        The minimiser.
    shift : float
        The multiplier.
    """
    if not np.isfinite(rho):
        return hessian.shifted(0.0)(r), 0.0
    lower = 0.0
    for _ in range(25):
        solve = hessian.shifted(shift)
        x = solve(r)
        norm = float(np.linalg.norm(x))
        if abs(norm - rho) <= norm_tol * rho or (shift == 0.0 and norm <= rho):
            break
        if norm > rho:
            lower = max(lower, shift)
        # Newton's method on 1/norm - 1/rho, nearly linear in the shift.
        slope = float(x @ solve(x))
        shift = max(lower, shift + (norm - rho) / rho * norm * norm / slope)
    return (x if norm <= rho else x * (rho / norm)), shift
