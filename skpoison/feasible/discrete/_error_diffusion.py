"""Whole rows around a point of the hull: their mean is the point, nearly.

Rows are rounded one after the other; what rounding has taken from each feature so far
is given to the next row (error diffusion), so that the mean of m rows is within about
1/m of the point in every feature, where independent rounding would need m squared.
See docs/mathematics.md, section "Error diffusion".
"""

import numpy as np
from scipy import sparse

from skpoison.feasible.discrete._blocks import Features
from skpoison.feasible.discrete._local_search import Exchanges, Limits, best_subset

_NEAR, _POOL = 512, 96
_MOST_SHIFTS, _MOST_ROUNDS = 12, 12
# Shares below, and sums within this many features of their limit, are left alone.
_WHOLE, _CLOSE, _LARGE = 1e-9, 3.0, 10.0
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
        self.dual_sum = a / (norm * (self.lam or abs(self.nu) or 1.0))
        begin = rng.uniform(-0.5, 0.5, len(x))
        self._round: _Rounding | None = None
        if all(isinstance(part, Features) for part in rows._parts):
            self._round = _Rounding(rows, x, begin, self.lam, self.nu)
        else:
            self.left = np.zeros_like(x)

    def take(self, n_rows):
        """Return the next rows."""
        found = [sparse.csr_array(self._next()[np.newaxis]) for _ in range(n_rows)]
        shape = (0, len(self.x))
        return sparse.csr_array(sparse.vstack([sparse.csr_array(shape), *found]))

    def _next(self):
        if self._round is not None:
            return self._round.next()
        row = self.rows.project([self.x + self.left + self.dual_sum])[0]
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
        self.gradients = np.stack([self.square, self.offset])
        # What a feature moves in square and offset, typically.
        sizes = np.abs(self.gradients)
        self.typical = [_median(size, self.share) for size in sizes]
        limits = rows._limits
        along = float(direction @ z)
        self.limits = Limits(
            limits.square - z @ z, limits.lower - along, limits.upper - along
        )
        self._set_aim(lam, nu)

    def _set_aim(self, lam, nu):
        """Aim at the point's sums; only limits that it touches have a multiplier."""
        square, offset = self._sums(self.share)
        limits = self.limits
        self.aim = (
            min(square, limits.square),
            np.clip(offset, limits.lower, limits.upper),
        )
        end = limits.upper if nu > 0 else limits.lower
        slack = np.abs([limits.square - square, end - offset])
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
            if float(self.limits.excess(*sums)) == 0.0:
                found = up.copy()
            near = self._candidates(np.abs(margin))
            exchanges = self._exchanges(near, margin, up)
            chosen, gain = best_subset(exchanges, self.limits, *sums)
            if not chosen or (found is not None and gain <= _GAIN):
                break
            flipped = exchanges.owner[chosen]
            up[flipped] = ~up[flipped]
            margin[flipped] = np.inf  # what was flipped once stays
        return None if found is None else found.astype(np.float64)

    def _shift(self, margin):
        """Shift margins along sphere and slab until the sums are near their aims."""
        margin = margin - self.shift @ self.gradients  # the last row's is nearly right
        for _ in range(_MOST_SHIFTS):
            excess = self._excess(margin)
            beyond = np.abs(excess) / self.typical
            worst = int(beyond.argmax())
            if beyond[worst] <= _CLOSE:
                break
            gradient = self.gradients[worst]
            # Large features are left as they are, for small ones to make up the rest.
            large = np.abs(gradient) > max(
                _LARGE * self.typical[worst], 1.5 * abs(excess[worst])
            )
            margin[large] = np.copysign(np.inf, margin[large])
            step = _flipping(margin, gradient, excess[worst])
            margin = margin - step * gradient
            self.shift[worst] += step
        return margin

    def _candidates(self, cost):
        """Features that cost least to flip, and least for what they move."""
        movable = np.abs(self.offset) + 1e-300
        found = [_smallest(cost, _POOL // 2), _smallest(cost / movable, _POOL // 2)]
        found = np.unique(np.concatenate(found))
        return found[np.argsort(cost[found], kind="stable")]

    def _sums(self, up):
        return float(self.square @ up), float(self.offset @ up)

    def _excess(self, margin):
        """How far sums are from those of the point, which rows have on average."""
        return np.array(self._sums(margin > 0.0)) - self.aim

    def _exchanges(self, near, margin, up):
        """Flips of some features: what they move, gain and cost."""
        sign = np.where(up[near], -1.0, 1.0)
        square, offset = sign * self.square[near], sign * self.offset[near]
        cost = np.abs(margin[near])
        gain = (self.lam * square + self.nu * offset) / (self.lam or abs(self.nu) or 1)
        none = np.full(len(near), -1)
        return Exchanges(cost, gain - cost, square, offset, near, none, none)


def _median(values, weights):
    """Weighted median of the values that are not zero."""
    order = np.argsort(values)
    heights = np.cumsum(weights[order] * (values[order] > 0))
    if not len(heights) or heights[-1] == 0.0:
        return 1.0
    return float(values[order][np.searchsorted(heights, 0.5 * heights[-1])])


def _flipping(margin, gradient, excess):
    """Return the shift along a gradient that flips as many features as it takes."""
    side = np.sign(excess)
    with np.errstate(divide="ignore", invalid="ignore"):
        flips_at = side * margin / gradient
    flips_at[~(flips_at > 0.0)] = np.inf
    first = _smallest(flips_at, _NEAR)
    if not len(first):
        return 0.0
    moved = np.cumsum(np.abs(gradient[first]))
    n_flips = int(np.searchsorted(moved, abs(excess)))
    if n_flips and (n_flips == len(first) or _is_nearer(moved, n_flips, abs(excess))):
        n_flips -= 1
    ends = flips_at[first[n_flips : n_flips + 2]]
    return side * (ends.mean() if len(ends) == 2 else 1.000001 * ends[0])


def _is_nearer(moved, place, wanted):
    """Whether the sum before a place is nearer to what is wanted than the sum at it."""
    return wanted - moved[place - 1] < moved[place] - wanted


def _smallest(values, size):
    """Indices of the smallest values, in their order."""
    if len(values) > size:
        chosen = np.argpartition(values, size)[:size]
    else:
        chosen = np.arange(len(values))
    chosen = chosen[np.isfinite(values[chosen])]
    return chosen[np.argsort(values[chosen], kind="stable")]
