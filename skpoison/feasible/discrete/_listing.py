"""All rows of a restricted set, where they are few enough to be listed.

Features are added one after the other to the beginnings of rows. A beginning is dropped
as soon as no row that begins so lies in the ball and the slab. Every beginning that is
kept can be completed within the ball, so that their number never falls where there is
no slab: more beginnings than allowed prove that there are more rows than that, before
they are made.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skpoison.feasible.discrete._blocks import OneHot

# At most so many rows, and so many numbers in all.
MOST_ROWS, MOST_VALUES = 20_000, 400_000
# What rounding may add to a square or an offset, relative to what they can be.
ROUNDING = 1e-12


class Choices(NamedTuple):
    """What can be chosen for one feature, or for one group of features.

    Parameters
    ----------
    place : ndarray of shape (n_own_features,)
        The features.
    values : ndarray of shape (n_choices, n_own_features)
        Their values.
    squares, alongs : ndarray of shape (n_choices,)
        What each choice adds to the squared distance from the center, and to the offset
        along the slab.
    """

    place: np.ndarray
    values: np.ndarray
    squares: np.ndarray
    alongs: np.ndarray


def list_rows(parts, base):
    """Return all rows of a domain in a ball and a slab.

    Parameters
    ----------
    parts : list of Features, OneHot or UnitNorm
        The domain, split into parts.
    base : SphereSlab
        Ball and slab.

    Returns
    -------
    rows : ndarray of shape (n_rows, n_features) or None
        Every row of the set, and no others but such as lie beyond its limits by
        rounding; None if there are too many, or not finitely many.
    """
    if not all(part.whole for part in parts):
        return None
    return list_choices(parts, base)


def list_choices(parts, base):
    """Return all rows of some parts of a domain, with zeros in the other features.

    Parameters and result are those of :func:`list_rows`; slab and ball are those of
    all features, of which the others add nothing to distances and offsets.
    """
    n_features = len(base.center)
    choices = _choices_of(parts)
    if choices is None:
        return None
    most = min(MOST_ROWS, MOST_VALUES // max(n_features, 1))
    picked = _pick(choices, base, most)
    if picked is None:
        return None
    rows = np.zeros((len(picked[0]) if picked else 1, n_features))
    for one, numbers in zip(choices, picked, strict=True):
        rows[:, one.place] = one.values[numbers]
    return rows


def _choices_of(parts):
    """Return the choices of all parts, the freest first; None if not all are finite."""
    found: list[Choices] = []
    for part in parts:
        of_part = _of_groups(part) if isinstance(part, OneHot) else _of_numbers(part)
        if of_part is None:
            return None
        found += of_part
    # Where much can be chosen at little cost, too many rows show soon.
    return sorted(found, key=_price)


def _price(choices):
    """What the second nearest choice costs more than the nearest."""
    if len(choices.squares) < 2:
        return np.inf
    nearest, second = np.partition(choices.squares, 1)[:2]
    return second - nearest


def _of_numbers(part):
    sizes = part.upper - part.lower + 1.0
    if not np.all(sizes <= MOST_ROWS):
        return None
    found = []
    for place, center, along, lower, upper in zip(
        part.index, part.center, part.direction, part.lower, part.upper, strict=True
    ):
        values = np.arange(lower, upper + 1.0)
        steps = values - center
        found.append(
            Choices(np.array([place]), values[:, None], steps * steps, along * steps)
        )
    return found


def _of_groups(part):
    ends = np.append(part.starts, len(part.index))
    found = []
    for start, end in pairwise(ends):
        own = slice(start, end)
        values = np.eye(end - start)
        steps = values - part.center[own]
        alongs = steps @ part.direction[own]
        found.append(
            Choices(part.index[own], values, (steps * steps).sum(axis=1), alongs)
        )
    return found


def _pick(choices, base, most):
    """Return the number of the choice of each row, for each feature or group."""
    highest = base.radius**2 * (1.0 + ROUNDING)
    reach = sum(float(np.abs(one.alongs).max()) for one in choices)
    spare = ROUNDING * (reach + float(np.linalg.norm(base.center)))
    lower, upper = base.lower - spare, base.upper + spare
    rest = _rests(choices)
    squares, alongs = np.zeros(1), np.zeros(1)
    steps: list[tuple] = []
    for one, (least, lowest, largest) in zip(choices, rest, strict=True):
        if len(squares) * len(one.squares) > 8 * most:
            return None
        square = squares[:, None] + one.squares
        along = alongs[:, None] + one.alongs
        inside = square + least <= highest
        inside &= (along + lowest <= upper) & (along + largest >= lower)
        before, number = np.nonzero(inside)
        if len(before) > most:
            return None
        squares, alongs = square[inside], along[inside]
        steps.append((before, number))
    return _followed_back(steps)


def _rests(choices):
    """Return what later choices add at least and, along the slab, at most."""
    least = [one.squares.min() for one in choices]
    lowest = [one.alongs.min() for one in choices]
    largest = [one.alongs.max() for one in choices]
    sums = (np.cumsum(values[::-1])[::-1] for values in (least, lowest, largest))
    after = [np.append(values, 0.0)[1:] for values in sums]
    return list(zip(*after, strict=True))


def _followed_back(steps):
    """Return the choices of whole rows, from the last choice back to the first."""
    picked: list[np.ndarray] = []
    rows = None
    for before, number in reversed(steps):
        rows = np.arange(len(before)) if rows is None else rows
        picked.append(number[rows])
        rows = before[rows]
    return picked[::-1]
