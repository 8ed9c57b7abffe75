"""The conic program for two poison rows, in few dimensions."""

import warnings

import numpy as np
from scipy.linalg import orth

# Masses below this share of the largest are none.
NOTHING = 1e-6


class PairProgram:
    """Minimize a decoy's KKT residual over one row of each class and their masses.

    With masses times rows as variables the problem is convex. It lives in the span of
    the clean rows' gradient, the parameters and the sets, regardless of the number of
    features. It is compiled once and solved for many decoys. The masses sum to at most
    `share`; the stiffness is that of the penalty, or None for any non-negative
    multiplier.
    """

    signs = (-1.0, 1.0)

    def __init__(self, sets, share, stiffness):
        import cvxpy as cp

        self.sets, self.share = sets, share
        fixed = [rows.center for rows in sets]
        fixed += [rows.direction for rows in sets if rows.direction is not None]
        self.fixed = fixed
        n_dims = len(fixed) + 2
        self.masses, self.away = cp.Variable(2, nonneg=True), cp.Variable((2, n_dims))
        self.least, self.most = (
            cp.Parameter(2, nonneg=True),
            cp.Parameter(2, nonneg=True),
        )
        self.gradient, self.theta = cp.Parameter(n_dims + 1), cp.Parameter(n_dims + 1)
        self.centers = cp.Parameter((2, n_dims))
        self.directions = cp.Parameter((2, n_dims))
        self.scores = cp.Parameter(2)
        self.problem = cp.Problem(
            cp.Minimize(cp.sum_squares(self._left(stiffness))), self._within()
        )

    def _left(self, stiffness):
        """Return the residual: gradients of all rows, less theta's multiple."""
        import cvxpy as cp

        multiple = cp.Variable(nonneg=True) if stiffness is None else stiffness
        left = self.gradient - multiple * self.theta
        for j, sign in enumerate(self.signs):
            total = self.masses[j] * self.centers[j] + self.away[j]
            left = left + sign * cp.hstack([total, self.masses[j]])
        return left

    def _within(self):
        """Return the constraints: masses, margins at most 1, feasible sets."""
        import cvxpy as cp

        within = [cp.sum(self.masses) <= self.share]
        within += [self.masses >= self.least, self.masses <= self.most]
        for j, (sign, rows) in enumerate(zip(self.signs, self.sets, strict=True)):
            mass, away = self.masses[j], self.away[j]
            score = away @ self.theta[:-1] + mass * self.scores[j]
            within += [sign * score <= mass, cp.norm(away) <= mass * rows.radius]
            if rows.direction is not None:
                lower, upper = rows._ends()
                offset = away @ self.directions[j]
                within += [offset >= mass * lower, offset <= mass * upper]
        return within

    def solve(self, decoy, split=None):
        """Return the masses, the rows in their sets and their labels, for one decoy.

        A split gives each class's part of `share`; with None, both are optimized.
        Returns None if a class with positive mass has no feasible row within the
        margin.
        """
        self.least.value = self.share * np.array((0.0, 0.0) if split is None else split)
        self.most.value = self.share * np.array((1.0, 1.0) if split is None else split)
        basis = self._basis(decoy)
        self._set_parameters(decoy, basis)
        with warnings.catch_warnings():
            # Inaccurate rows are projected, and their residual is recomputed.
            warnings.filterwarnings("ignore", "Solution may be inaccurate")
            self._minimize()
        if split is not None and "infeasible" in self.problem.status:
            return None
        if self.masses.value is None:
            raise RuntimeError(
                f"The conic solver failed with status {self.problem.status!r}."
            )
        masses, points = self._rows(self.masses.value, self.away.value @ basis.T)
        return masses, points, np.arange(2)

    def _minimize(self):
        import cvxpy as cp

        try:
            self.problem.solve(solver="CLARABEL")
        except cp.error.SolverError:
            # Numbers of very different sizes: a first-order method handles them, less
            # precisely; the residual of its rows is recomputed.
            self.problem.solve(solver="SCS")

    def _basis(self, decoy):
        """Return an orthonormal basis of the vectors involved, padded with zeros."""
        vectors = [decoy.gradient[:-1], decoy.theta[:-1], *self.fixed]
        lengths = [max(np.linalg.norm(vector), 1e-300) for vector in vectors]
        found = orth(np.column_stack(vectors) / lengths)
        basis = np.zeros((len(vectors[0]), len(vectors)))
        basis[:, : found.shape[1]] = found
        return basis

    def _set_parameters(self, decoy, basis):
        for name in ("gradient", "theta"):
            vector = getattr(decoy, name)
            getattr(self, name).value = np.append(basis.T @ vector[:-1], vector[-1])
        centers = np.array([rows.center for rows in self.sets])
        self.centers.value = centers @ basis
        self.scores.value = centers @ decoy.theta[:-1] + decoy.theta[-1]
        none = np.zeros(len(basis))
        directions = [
            none if rows.direction is None else rows.direction for rows in self.sets
        ]
        self.directions.value = np.array(directions) @ basis

    def _rows(self, masses, away):
        """Return masses, and rows that are projected onto their sets."""
        masses = np.where(masses > NOTHING * max(self.share, NOTHING), masses, 0.0)
        points = [rows.center for rows in self.sets]
        for j in np.flatnonzero(masses):
            rows = self.sets[j]
            points[j] = rows.projection(rows.center + away[j] / masses[j]).point
        return masses, np.array(points)
