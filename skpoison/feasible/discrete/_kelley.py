"""Kelley's cutting planes for a convex function of two multipliers."""

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

    def level_box(self, height):
        """Return walls around the part of the rectangle where no cut rises higher."""
        low, high, left, right = self.walls
        corners = [(low, left), (high, left), (high, right), (low, right)]
        for down, along, _, constant in self.rows[4:]:
            corners = _clip(corners, down, along, constant - height)
            if not corners:
                return None
        lams, nus = zip(*corners, strict=True)
        return min(lams), max(lams), min(nus), max(nus)

    def add(self, cut):
        """Add a cut; `minimum` then takes it into account."""
        self.rows.append(cut.row)
        self.cuts.append(cut)

    def minimum(self, max_pivots=60):
        """Return the lowest point: lam, nu and the height."""
        table = np.array(self.rows)
        point = self._point()
        for _ in range(max_pivots):
            excess = table @ (*point, 1.0)
            enters = int(excess.argmax())
            if excess[enters] <= 1e-14 * max(1.0, abs(point[2])):
                break
            if enters in self.basis or not self._pivot(enters):
                break
            point = self._point()
        return point

    def _basis_rows(self):
        return [self.rows[place] for place in self.basis]

    def _point(self):
        rows = self._basis_rows()
        right = [-row[3] for row in rows]
        return _solve3([row[:3] for row in rows], right)

    def weights(self):
        """Return the weights of the basis; those of cuts sum to 1."""
        return self._combine((0.0, 0.0, -1.0))

    def _combine(self, target):
        """Write three numbers as a combination of the rows of the basis."""
        columns = list(zip(*self._basis_rows(), strict=True))[:3]
        return _solve3(columns, target)

    def _pivot(self, enters):
        weights, change = self.weights(), self._combine(self.rows[enters][:3])
        least = 1e-12 * max(abs(step) for step in change)
        ratios = [
            weight / step if step > least else np.inf
            for weight, step in zip(weights, change, strict=True)
        ]
        smallest = min(ratios)
        if smallest == np.inf:
            return False
        self.basis[ratios.index(smallest)] = enters
        return True


def _solve3(rows, right):
    """Solve three equations by Cramer's rule, faster than through an array."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    p, q, r = right
    minors = (e * i - f * h, f * g - d * i, d * h - e * g)
    determinant = a * minors[0] + b * minors[1] + c * minors[2]
    first = p * minors[0] + q * (c * h - b * i) + r * (b * f - c * e)
    second = p * minors[1] + q * (a * i - c * g) + r * (c * d - a * f)
    third = p * minors[2] + q * (b * g - a * h) + r * (a * e - b * d)
    return first / determinant, second / determinant, third / determinant


def _clip(corners, down, along, constant):
    """Cut a polygon: keep where ``down * lam + along * nu + constant <= 0``."""
    kept = []
    heights = [down * lam + along * nu + constant for lam, nu in corners]
    for place, here in enumerate(heights):
        before = heights[place - 1]
        if (here <= 0) != (before <= 0):
            share = before / (before - here)
            pairs = zip(corners[place - 1], corners[place], strict=True)
            kept.append(tuple(p + share * (q - p) for p, q in pairs))
        if here <= 0:
            kept.append(corners[place])
    return kept
