"""A small set of rows without which a prediction is right, found along rankings."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Works = Callable[[np.ndarray], bool]
FINE = 20  # sizes are bisected to one part in so many
MOST_TRIES = 30  # of sets that are shrunk


class Removal(NamedTuple):
    """A set of rows whose removal works, and the ranking along which it was found."""

    rows: np.ndarray
    ranking: str


class Search(NamedTuple):
    """How sets of rows are judged: by fits, and before that by estimates if there are.

    `seems_to_work` costs much less than `works`, and may err.
    """

    works: Works
    seems_to_work: Works | None = None

    def guess(self, ranking: np.ndarray, most: int) -> int | None:
        """Return an estimate of how many of the first rows suffice; 1 without any.

        It is None where so many do not seem to suffice.
        """
        if self.seems_to_work is None:
            return 1
        return shortest(ranking, self.seems_to_work, most)


def grow(orders: dict[str, np.ndarray], search: Search, limit: int) -> Removal | None:
    """Return a short beginning of a ranking whose removal works.

    The first ranking is preferred: where it works, another one must do with half as
    many rows.
    """
    best: Removal | None = None
    for name, order in orders.items():
        most = limit
        if best is not None:
            is_first = best.ranking == next(iter(orders))
            most = len(best.rows) // 2 if is_first else len(best.rows) - 1
        if most < 1:
            break
        guess = search.guess(order, most)
        if guess is None and best is not None:
            continue
        size = shortest(order, search.works, most, guess or most)
        if size is not None:
            best = Removal(order[:size], name)
    return best


def shortest(
    ranking: np.ndarray, works: Works, most: int, guess: int = 1
) -> int | None:
    """Return how many of the first rows suffice, if at most so many do.

    From a guess, steps are doubled until they cross the size that is looked for, which
    is then bisected.
    """
    size, step = min(guess, most), 1
    if works(ranking[:size]):
        enough, too_few = size, 0
        while enough > 1:
            size = max(enough - step, 1)
            if not works(ranking[:size]):
                too_few = size
                break
            enough, step = size, 2 * step
    else:
        too_few, enough = size, 0
        while not enough:
            if too_few == most:
                return None
            size = min(too_few + step, most)
            if works(ranking[:size]):
                enough = size
            else:
                too_few, step = size, 2 * step
    while enough - too_few > max(1, enough // FINE):
        middle = (enough + too_few) // 2
        if works(ranking[:middle]):
            enough = middle
        else:
            too_few = middle
    return enough


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


def set_first(ranking: np.ndarray, rows: np.ndarray | None) -> np.ndarray:
    """Return a ranking with the rows of a removal set before all others."""
    if rows is None:
        return ranking
    return np.concatenate([rows, ranking[~np.isin(ranking, rows)]])
