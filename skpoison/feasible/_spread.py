"""Whole rows around a point of the hull: their mean is the point, nearly.

Rows are rounded one after the other; what rounding has taken from each feature so far
is given to the next row (error diffusion), so that the mean of m rows is within about
1/m of the point in every feature, where independent rounding would need m squared.
"""

import numpy as np
from scipy import sparse

from skpoison.feasible._parts import Features
from skpoison.feasible._toggles import Room, Toggles, best_subset

_NEAR, _POOL = 512, 96
_MOST_SHIFTS, _MOST_HALVINGS, _MOST_ROUNDS = 12, 6, 12
# Shares below, and sums within this many features of their limit, are left alone.
_WHOLE, _CLOSE = 1e-9, 3.0
# Flips that gain less, in units of a feature's misfit, are not worth the time.
_GAIN = 0.1


class Spread:
    """An endless sequence of rows of a set whose mean tends to a point of its hull.

    Parameters
    ----------
    rows : RestrictedSet
        The set.
    x : ndarray of shape (n_features,)
        The point.
    a : ndarray of shape (n_features,)
        A linear function that should be large at the rows as well.
    rng : numpy.random.RandomState
        Draws where the rounding of each feature begins.
    """

    def __init__(self, rows, x, a, rng):
        self.rows, self.x = rows, x
        norm = float(np.linalg.norm(a)) or 1.0
        self.lam, self.nu = rows.bound(a)[1]
        # A row gains by a step of one in the square what a misfit of one costs.
        self.pull = a / (norm * (self.lam or abs(self.nu) or 1.0))
        begin = rng.uniform(-0.5, 0.5, len(x))
        if all(isinstance(part, Features) for part in rows._parts):
            self._round = _Rounding(rows, x, begin, self.lam, self.nu)
        else:
            self._round, self.left = None, np.zeros_like(x)

    def take(self, n_rows):
        """Return the next rows.

        Parameters
        ----------
        n_rows : int
            How many.

        Returns
        -------
        X : CSR array of shape (n_rows, n_features)
            The rows.
        """
        found = [sparse.csr_array(self._next()[np.newaxis]) for _ in range(n_rows)]
        shape = (0, len(self.x))
        return sparse.csr_array(sparse.vstack([sparse.csr_array(shape), *found]))

    def _next(self):
        if self._round is not None:
            return self._round.next()
        row = self.rows.project([self.x + self.left + self.pull])[0]
        self.left += self.x - row
        return row


class _Rounding:
    """Rounds whole features up or down, within sphere and slab."""

    def __init__(self, rows, x, begin, lam, nu):
        self.rows = rows
        whole = rows.columns.whole
        self.base = np.where(whole, np.floor(x + _WHOLE), x)
        share = np.where(whole, x - self.base, 0.0)
        self.index = np.flatnonzero(share > _WHOLE)
        self.share, self.left = share[self.index], begin[self.index]
        z = self.base - rows.center
        self.square = 2.0 * z[self.index] + 1.0
        direction = rows.direction
        direction = np.zeros_like(x) if direction is None else direction
        self.offset = direction[self.index]
        self.shift = np.zeros(2)
        # What a feature moves in square and offset, typically.
        sizes = np.abs([self.square, self.offset])
        self.typical = (sizes * self.share).sum(axis=1) / max(self.share.sum(), 1e-300)
        self.typical += 1e-300
        room = rows._room
        along = float(direction @ z)
        self.room = Room(room.square - z @ z, room.lower - along, room.upper - along)
        self._set_aim(lam, nu)

    def _set_aim(self, lam, nu):
        """Aim at the sums of the point; only limits that it touches pull rows."""
        square, offset = self._sums(self.share)
        room = self.room
        self.aim = min(square, room.square), np.clip(offset, room.lower, room.upper)
        end = room.upper if nu > 0 else room.lower
        slack = np.abs([room.square - square, end - offset])
        self.lam, self.nu = np.where(slack <= self.typical, (lam, nu), 0.0)

    def next(self):
        """Return a row."""
        target = self.share + self.left
        up = self._nearest(target - 0.5)
        row = self.base.copy()
        if up is None:
            row[self.index] += target
            row = self.rows.project([row])[0]
            up = row[self.index] - self.base[self.index]
        else:
            row[self.index] += up
        self.left = target - up
        return row

    def _nearest(self, margin):
        """Choose which features to round up, near to those of a positive margin."""
        if not len(margin):
            return None
        margin = self._shift(margin)
        up, found = margin > 0.0, None
        for _ in range(_MOST_ROUNDS):
            sums = self._sums(up)
            if float(self.room.excess(*sums)) == 0.0:
                found = up.copy()
            near = _smallest(np.abs(margin), _POOL)
            toggles = self._toggles(near, margin, up)
            chosen, gain = best_subset(toggles, self.room, *sums)
            if not chosen or (found is not None and gain <= _GAIN):
                break
            flipped = toggles.owner[chosen]
            up[flipped] = ~up[flipped]
            margin[flipped] = np.inf  # what was flipped once stays
        return None if found is None else found.astype(np.float64)

    def _shift(self, margin):
        """Shift margins along sphere and slab until the sums are near their limits."""
        gradients = np.stack([self.square, self.offset])
        margin = margin - self.shift @ gradients  # the last row's is nearly right
        excess = self._excess(margin)
        for _ in range(_MOST_SHIFTS):
            if (np.abs(excess) <= _CLOSE * self.typical).all():
                break
            step = self._shift_step(margin, excess, gradients)
            for _ in range(_MOST_HALVINGS):
                shifted = margin - step @ gradients
                there = self._excess(shifted)
                if self._distance(there) < self._distance(excess):
                    break
                step *= 0.3
            else:
                break
            margin, excess = shifted, there
            self.shift = self.shift + step
        return margin

    def _shift_step(self, margin, excess, gradients):
        """Newton's step, were the margins as dense everywhere as near zero."""
        near = _smallest(np.abs(margin), _NEAR)
        width = 2.0 * np.abs(margin[near]).max() + 1e-300
        hessian = gradients[:, near] @ gradients[:, near].T / width
        hessian[np.diag_indices(2)] *= 1.0 + 1e-9
        hessian[np.diag_indices(2)] += 1e-300
        return np.linalg.solve(hessian, excess)

    def _distance(self, excess):
        return float(np.abs(excess / self.typical).sum())

    def _sums(self, up):
        return float(self.square @ up), float(self.offset @ up)

    def _excess(self, margin):
        """How far sums are from those of the point, which rows have on average."""
        return np.array(self._sums(margin > 0.0)) - self.aim

    def _toggles(self, near, margin, up):
        """Flips of some features: what they move, gain and cost."""
        sign = np.where(up[near], -1.0, 1.0)
        square, offset = sign * self.square[near], sign * self.offset[near]
        cost = np.abs(margin[near])
        gain = (self.lam * square + self.nu * offset) / (self.lam or abs(self.nu) or 1)
        none = np.full(len(near), -1)
        return Toggles(cost, gain - cost, square, offset, near, none, none)


def _smallest(values, size):
    """Indices of the smallest values, in their order."""
    if len(values) > size:
        chosen = np.argpartition(values, size)[:size]
    else:
        chosen = np.arange(len(values))
    chosen = chosen[np.isfinite(values[chosen])]
    return chosen[np.argsort(values[chosen], kind="stable")]
