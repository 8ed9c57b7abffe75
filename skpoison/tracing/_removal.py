"""A small set of rows without which a prediction is right, found along rankings."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

Works = Callable[[np.ndarray], bool]
MOST_TRIES = 60  # of sets that are shrunk


class Removal(NamedTuple):
    """A set of rows whose removal works, and the ranking along which it was found."""

    rows: np.ndarray
    ranking: str


def grow(rankings: dict[str, np.ndarray], works: Works, limit: int) -> Removal | None:
    """Return the smallest beginning of a ranking whose removal works.

    Beginnings are doubled, and the first that works is bisected. Later rankings are
    followed only as far as they are shorter than what is known.
    """
    best = None
    for name, ranking in rankings.items():
        most = limit if best is None else len(best.rows) - 1
        size = shortest(ranking, works, most)
        if size is not None:
            best = Removal(ranking[:size], name)
    return best


def shortest(ranking: np.ndarray, works: Works, most: int) -> int | None:
    """Return how many of the first rows suffice, if at most so many do."""
    too_few, enough = 0, None
    for size in _doubling(most):
        if works(ranking[:size]):
            enough = size
            break
        too_few = size
    if enough is None:
        return None
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if works(ranking[:middle]):
            enough = middle
        else:
            too_few = middle
    return enough


def _doubling(most: int) -> Iterator[int]:
    size = 1
    while size < most:
        yield size
        size *= 2
    if most > 0:
        yield most


def shrink(rows: np.ndarray, works: Works, most_tries: int = MOST_TRIES) -> np.ndarray:
    """Drop blocks of rows that are not needed, halving them down to single rows.

    The last rows, which are blamed least, are dropped first.
    """
    size = len(rows) // 2
    while size >= 1:
        for stop in range(len(rows), 0, -size):
            fewer = np.delete(rows, slice(max(stop - size, 0), stop))
            if most_tries == 0:
                return rows
            if len(fewer) and len(fewer) < len(rows):
                most_tries -= 1
                rows = fewer if works(fewer) else rows
        size //= 2
    return rows
