"""Newton systems whose diagonal differs from feature to feature.

Points of a hull follow the parameters in some features and rest in others, so that the
second derivative of the smoothed bound is
``H = diag(c) + R^T diag(d) R + E^T diag(e) E`` with few different values in c.
"""

import numpy as np
from scipy import sparse

from ._hessian import Hessian, _bordered_solver, _plus_diagonal

# Columns that are this full are multiplied as dense ones.
FULL = 0.1


class DiagonalHessian(Hessian):
    """The matrix H, solved as :class:`Hessian` is.

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
    """

    def __init__(self, diagonal, rows, row_weights, vectors, vector_weights):
        self.levels, self.level_of = np.unique(diagonal, return_inverse=True)
        super().__init__(diagonal, rows, row_weights, vectors, vector_weights)

    def _prepare_gram(self):
        """Woodbury, with one Gram matrix for each value of the diagonal."""
        grams = [self._gram(level) for level in range(len(self.levels))]
        # Not through self: a cycle would keep the matrices until it is collected.
        rows, row_weights, levels = self.rows, self.row_weights, self.levels
        vectors, vector_weights = self.vectors, self.vector_weights
        diagonal = self.tau

        def factor(shift):
            inverse = 1.0 / (diagonal + shift)
            gram = sum(
                part / (level + shift)
                for part, level in zip(grams, levels, strict=True)
            )
            cross = [rows.scores(inverse * vector) for vector in vectors]
            corner = (vectors * inverse) @ vectors.T
            inner = _bordered_solver(
                _plus_diagonal(gram, 1.0 / row_weights),
                np.array(cross).reshape(len(vectors), len(rows)),
                _plus_diagonal(corner, 1.0 / vector_weights),
            )

            def solve(r):
                scaled = inverse * r
                on_rows, on_vectors = inner(rows.scores(scaled), vectors @ scaled)
                inside = rows.combine(on_rows) + on_vectors @ vectors
                return scaled - inverse * inside

            return solve

        return factor

    def _gram(self, level):
        """Inner products of the rows over the features of one level."""
        chosen = self.level_of == level
        columns = np.flatnonzero(chosen[:-1])
        X = self.rows.X[:, columns]
        products = _sparse_gram(X) if sparse.issparse(X) else X @ X.T
        if chosen[-1]:
            products += 1.0
        products *= self.rows.signs
        products *= self.rows.signs[:, np.newaxis]
        return products


def _sparse_gram(X):
    """Inner products of sparse rows; frequent columns, which cost most, as dense."""
    counts = np.bincount(X.indices, minlength=X.shape[1])
    full = counts > FULL * X.shape[0]
    dense = X[:, np.flatnonzero(full)].toarray()
    rest = X[:, np.flatnonzero(~full)]
    products = (rest @ rest.T).toarray()
    products += dense @ dense.T
    return products
