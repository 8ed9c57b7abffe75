"""Small changes of whole features, and the best few of them together."""

from functools import cache
from typing import NamedTuple

import numpy as np

POOL, TRIPLES = 96, 26


class Exchanges(NamedTuple):
    """Changes of single features (or groups), cheapest first.

    Parameters
    ----------
    loss : ndarray of shape (n_exchanges,)
        What each costs under the multipliers, 0 or more.
    gain, square, offset : ndarray of shape (n_exchanges,)
        What each adds to the objective, to ``z @ z`` and to ``v @ z``.
    owner : ndarray of shape (n_exchanges,)
        The feature or group; two exchanges of one owner exclude each other.
    up, down : ndarray of shape (n_exchanges,)
        The feature that grows by one, the feature that falls by one; -1 for none.
    """

    loss: np.ndarray
    gain: np.ndarray
    square: np.ndarray
    offset: np.ndarray
    owner: np.ndarray
    up: np.ndarray
    down: np.ndarray

    def take(self, chosen):
        """Return some of the exchanges."""
        return Exchanges(*(values[chosen] for values in self))

    def apply(self, z, chosen):
        """Exchange a row in place."""
        for exchange in chosen:
            if self.up[exchange] >= 0:
                z[self.up[exchange]] += 1.0
            if self.down[exchange] >= 0:
                z[self.down[exchange]] -= 1.0


class Limits(NamedTuple):
    """What a row must satisfy, measured from the center.

    Parameters
    ----------
    square : float
        Largest ``z @ z``.
    lower, upper : float
        Ends of ``v @ z``.
    """

    square: float
    lower: float
    upper: float

    def excess(self, square, offset):
        """How far a row is outside, in a mixed measure; 0 inside."""
        beyond = np.maximum(self.lower - offset, offset - self.upper)
        return np.maximum(beyond, 0.0) + np.maximum(square - self.square, 0.0)

    def inner(self):
        """Leave away a tenth at both ends of the slab, where it has two."""
        width = 0.1 * (self.upper - self.lower)
        width = width if np.isfinite(width) else 0.0
        return Limits(self.square, self.lower + width, self.upper - width)

    def short_of_ends(self, share):
        """Leave away a share at the ends, of the slab or of how far its one end is."""
        width = self.upper - self.lower
        if not np.isfinite(width):
            width = min(abs(self.lower), abs(self.upper))
        if not np.isfinite(width):
            return self
        return Limits(
            self.square, self.lower + share * width, self.upper - share * width
        )


def step_exchanges(part, z, lam, nu, curvature):
    """Return all steps by one of whole features."""
    index, z = part.index, z[part.index]
    slope = part.a - nu * part.direction - 2.0 * lam * z
    x = z + part.center
    up = np.flatnonzero(x + 0.5 < part.upper)
    down = np.flatnonzero(x - 0.5 > part.lower)
    loss = np.concatenate([lam - slope[up], lam + slope[down]])
    square = 1.0 + 2.0 * np.concatenate([z[up], -z[down]])
    gain = np.concatenate([part.a[up], -part.a[down]]) - curvature * square
    offset = np.concatenate([part.direction[up], -part.direction[down]])
    up, down = index[up], index[down]
    none = np.full(len(loss), -1)
    rising, falling = none, none.copy()
    rising[: len(up)], falling[len(up) :] = up, down
    return Exchanges(
        loss, gain, square, offset, np.maximum(rising, falling), rising, falling
    )


def swap_exchanges(part, z, lam, nu, curvature):
    """Return all changes of the chosen member of a group."""
    scores = part.scores(lam, nu)
    is_on = z[part.index] + part.center > 0.5
    is_free = ~is_on & np.isfinite(scores)
    new, old = np.flatnonzero(is_free), np.flatnonzero(is_on)[part.group[is_free]]
    square = 2.0 * (part.center[old] - part.center[new])
    return Exchanges(
        scores[old] - scores[new],
        part.a[new] - part.a[old] - curvature * square,
        square,
        part.direction[new] - part.direction[old],
        -1 - part.group[new],
        part.index[new],
        part.index[old],
    )


def pool(found):
    """Choose candidates: the cheapest, and the cheapest for what they move."""
    exchanges = Exchanges(
        *(np.concatenate(values) for values in zip(*found, strict=True))
    )
    if len(exchanges.loss) > POOL:
        cheap = np.argpartition(exchanges.loss, POOL // 2)[: POOL // 2]
        rate = exchanges.loss / np.maximum(np.abs(exchanges.offset), 1e-300)
        rate[cheap] = np.inf
        moving = np.argpartition(rate, POOL // 2)[: POOL // 2]
        exchanges = exchanges.take(np.concatenate([cheap, moving]))
    return exchanges.take(np.argsort(exchanges.loss, kind="stable"))


@cache
def _subsets(n_exchanges):
    """Columns of up to three exchanges; n_exchanges stands for none."""
    first, second = np.triu_indices(n_exchanges + 1, 1)
    pairs = np.stack([first, second, np.full_like(first, n_exchanges)])
    n_triples = min(n_exchanges, TRIPLES)
    cube = np.indices((n_triples,) * 3).reshape(3, -1)
    triples = cube[:, (cube[0] < cube[1]) & (cube[1] < cube[2])]
    none = np.full((3, 1), n_exchanges)
    return np.ascontiguousarray(np.concatenate([none, pairs, triples], axis=1))


def best_subset(exchanges, limits, square, offset):
    """Find the best set of two exchanges, or of three cheap ones."""
    n_exchanges = len(exchanges.gain)
    sets = _subsets(n_exchanges)
    excess = limits.excess(
        _sum_over(exchanges.square, sets, square),
        _sum_over(exchanges.offset, sets, offset),
    )
    excess[_clashes(exchanges.owner, sets)] = np.inf
    gain = _sum_over(exchanges.gain, sets, 0.0)
    gain[excess > excess.min()] = -np.inf
    winner = int(gain.argmax())
    return [i for i in sets[:, winner] if i < n_exchanges], float(gain[winner])


def _sum_over(values, sets, base):
    padded = np.append(values, 0.0)
    total = padded[sets[0]]
    total += padded[sets[1]]
    total += padded[sets[2]]
    total += base
    return total


def _clashes(owner, sets):
    """Sets that hold two exchanges of one owner."""
    if len(np.unique(owner)) == len(owner):
        return np.zeros(0, dtype=np.intp)
    owner = np.append(owner, np.iinfo(owner.dtype).min)[sets]
    same = (owner[0] == owner[1]) | (owner[0] == owner[2])
    same |= (owner[1] == owner[2]) & (owner[1] > np.iinfo(owner.dtype).min)
    same[0] = False
    return np.flatnonzero(same)
