"""Whole-number rows near the optimum of the relaxation.

For a row z of the domain inside sphere and slab the value of the dual exceeds its own
by the losses of its features (how much better each would do alone under the
multipliers), plus lam times the slack of the sphere, plus abs(nu) times the slack of
the slab. So features whose loss is small are toggled until both slacks are small.
"""

from functools import cache
from typing import NamedTuple

import numpy as np

POOL = 40


class Toggles(NamedTuple):
    """Changes of single features (or groups), cheapest first.

    Parameters
    ----------
    gain, square, offset : ndarray of shape (n_toggles,)
        What each adds to the objective, to ``z @ z`` and to ``v @ z``.
    owner : ndarray of shape (n_toggles,)
        The feature or group; two toggles of one owner exclude each other.
    changes : list
        For each, pairs of feature and step.
    """

    gain: np.ndarray
    square: np.ndarray
    offset: np.ndarray
    owner: np.ndarray
    changes: list


class Room(NamedTuple):
    """What a row must satisfy, measured from the centre.

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
        beyond = np.maximum(np.maximum(self.lower - offset, offset - self.upper), 0.0)
        return np.maximum(square - self.square, 0.0) + beyond


def step_toggles(feature_part, z, lam, nu, curvature, size=POOL):
    """Return the cheapest steps by one of whole features.

    Parameters
    ----------
    feature_part : Features
        The features.
    z : ndarray of shape (n_part_features,)
        Their offsets from the centre.
    lam, nu, curvature : float
        Multipliers, and the curvature of the objective.
    size : int
        Number of toggles at most.

    Returns
    -------
    toggles : Toggles
        With indices within the part.
    """
    part = feature_part
    slope = part.a - nu * part.direction - 2.0 * lam * z
    sign = np.where(slope >= 0, 1.0, -1.0)
    x = z + part.center
    allowed = np.where(sign > 0, x + 0.5 < part.upper, x - 0.5 > part.lower)
    sign = np.where(allowed, sign, -sign)
    other = np.where(sign > 0, x + 0.5 < part.upper, x - 0.5 > part.lower)
    loss = np.where(allowed | other, lam - sign * slope, np.inf)
    chosen = _cheapest(loss, size)
    sign, z = sign[chosen], z[chosen]
    square = 1.0 + 2.0 * sign * z
    gain = sign * part.a[chosen] - curvature * square
    changes = [((i, s),) for i, s in zip(chosen, sign, strict=True)]
    return Toggles(gain, square, sign * part.direction[chosen], chosen, changes)


def _cheapest(loss, size):
    chosen = np.arange(len(loss))
    if len(loss) > size:
        chosen = np.argpartition(loss, size)[:size]
    chosen = chosen[np.isfinite(loss[chosen])]
    return chosen[np.argsort(loss[chosen], kind="stable")]


def swap_toggles(one_hot, z, lam, nu, curvature, size=POOL):
    """Return the cheapest changes of the chosen member of a group.

    Parameters
    ----------
    one_hot : OneHot
        The groups.
    z : ndarray of shape (n_part_features,)
        Their offsets from the centre.
    lam, nu, curvature : float
        Multipliers, and the curvature of the objective.
    size : int
        Number of toggles at most.

    Returns
    -------
    toggles : Toggles
        With indices within the part.
    """
    part = one_hot
    scores = part.scores(lam, nu)
    on = np.flatnonzero(z + part.center > 0.5)
    loss = scores[on][part.group] - scores
    loss[on] = np.inf
    chosen = _cheapest(loss, size)
    left = on[part.group[chosen]]
    square = 2.0 * (part.center[left] - part.center[chosen])
    gain = part.a[chosen] - part.a[left] - curvature * square
    offset = part.direction[chosen] - part.direction[left]
    pairs = zip(chosen, left, strict=True)
    changes = [((i, 1.0), (j, -1.0)) for i, j in pairs]
    return Toggles(gain, square, offset, part.group[chosen], changes)


def joined(toggles, indices):
    """Put toggles of several parts together, with indices of whole rows."""
    owners, changes, base = [], [], 0
    for some, index in zip(toggles, indices, strict=True):
        owners.append(some.owner + base)
        base += len(index) + 1
        changes += [tuple((index[i], s) for i, s in pairs) for pairs in some.changes]
    gain, square, offset = (
        np.concatenate([some[place] for some in toggles]) for place in range(3)
    )
    return Toggles(gain, square, offset, np.concatenate(owners), changes)


@cache
def _subsets(n_toggles):
    """All sets of up to three toggles as rows; n_toggles stands for none."""
    first, second = np.triu_indices(n_toggles + 1, 1)
    second_of, third_of = np.triu_indices(n_toggles + 1, 1)
    rows = [np.column_stack([first, second, np.full_like(first, n_toggles)])]
    for i in range(n_toggles):
        later = (second_of > i) & (third_of < n_toggles)
        pairs = np.column_stack([second_of[later], third_of[later]])
        rows.append(np.column_stack([np.full(len(pairs), i), pairs]))
    none = np.full((1, 3), n_toggles)
    return np.concatenate([none, *rows]).T.copy()


def best_subset(toggles, room, square, offset):
    """Find the best set of up to three toggles.

    Parameters
    ----------
    toggles : Toggles
        The candidates.
    room : Room
        What the row must satisfy.
    square, offset : float
        ``z @ z`` and ``v @ z`` of the row.

    Returns
    -------
    chosen : list of int
        The toggles: of the largest gain that leave the row inside, or where none
        does, those that leave it least outside.
    gain : float
        What they add to the objective.
    """
    n_toggles = len(toggles.gain)
    sets = _subsets(n_toggles)
    gain, squares, offsets = (
        _sum_over(values, sets)
        for values in (toggles.gain, toggles.square, toggles.offset)
    )
    excess = room.excess(square + squares, offset + offsets)
    owner = np.append(toggles.owner, -1)[sets]
    clash = (owner[0] == owner[1]) | ((owner[1] == owner[2]) & (owner[1] >= 0))
    clash &= owner[0] >= 0
    clash |= (owner[0] == owner[2]) & (owner[0] >= 0)
    excess[clash] = np.inf
    least = excess.min()
    ranked = np.where(excess <= least, gain, -np.inf)
    winner = int(np.argmax(ranked))
    return [i for i in sets[:, winner] if i < n_toggles], float(gain[winner])


def _sum_over(values, sets):
    padded = np.append(values, 0.0)
    total = padded[sets[0]]
    total += padded[sets[1]]
    total += padded[sets[2]]
    return total
