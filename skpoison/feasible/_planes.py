"""Minimise a convex function of two multipliers by cutting planes."""

from typing import NamedTuple

import numpy as np


class Cut(NamedTuple):
    """A tangent of the dual function.

    Parameters
    ----------
    lam, nu : float
        Where it touches.
    value : float
        The dual's value there.
    slopes : tuple of two floats
        Its slopes there.
    """

    lam: float
    nu: float
    value: float
    slopes: tuple

    @property
    def row(self):
        """Coefficients of lam, nu, the height and a constant: at most 0 above it."""
        down, along = self.slopes
        return (down, along, -1.0, self.value - down * self.lam - along * self.nu)


class Model:
    """The maximum of cuts over a rectangle, and its lowest point.

    The lowest point solves a linear program in lam, nu and the height: three of its
    rows (cuts or walls) hold with equality. A new cut that rises above the point
    enters this basis and the row of the smallest ratio leaves, as in the dual simplex
    method.
    """

    def __init__(self, walls, cut):
        self.rows = [(-1.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0)]
        self.rows += [(0.0, -1.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0)]
        self.cuts = [None] * 4
        self.move_walls(walls)
        self.rows.append(cut.row)
        self.cuts.append(cut)
        self.basis = [0 if cut.slopes[0] > 0 else 1, 2 if cut.slopes[1] > 0 else 3, 4]

    def move_walls(self, walls):
        """Set the rectangle: least and greatest lam, least and greatest nu."""
        self.walls = list(walls)
        for place, (sign, wall) in enumerate(zip((1, -1, 1, -1), walls, strict=True)):
            self.rows[place] = (*self.rows[place][:3], sign * wall)

    def add(self, cut):
        """Add a cut; `minimum` then takes it into account."""
        self.rows.append(cut.row)
        self.cuts.append(cut)

    def minimum(self, max_pivots=60):
        """Return the lowest point: lam, nu and the height."""
        table = np.array(self.rows)
        point = self._point()
        for _ in range(max_pivots):
            excess = table[:, :3] @ point + table[:, 3]
            enters = int(np.argmax(excess))
            if excess[enters] <= 1e-14 * max(1.0, abs(point[2])):
                break
            if enters in self.basis or not self._pivot(enters):
                break
            point = self._point()
        return point

    def _matrix(self):
        return np.array([self.rows[place] for place in self.basis])

    def _point(self):
        matrix = self._matrix()
        return np.linalg.solve(matrix[:, :3], -matrix[:, 3])

    def weights(self):
        """Return the weights of the basis; those of cuts sum to 1."""
        return np.linalg.solve(self._matrix()[:, :3].T, [0.0, 0.0, -1.0])

    def _pivot(self, enters):
        transposed = self._matrix()[:, :3].T
        right = np.array([[0.0, 0.0, -1.0], self.rows[enters][:3]]).T
        weights, change = np.linalg.solve(transposed, right).T
        shrinking = change > 1e-12 * np.abs(change).max()
        if not shrinking.any():
            return False
        ratios = np.where(shrinking, weights / np.where(shrinking, change, 1), np.inf)
        self.basis[int(np.argmin(ratios))] = enters
        return True
