"""A small set of rows without which a prediction is right, found along rankings."""

from typing import NamedTuple

import numpy as np

from skpoison.tracing._sizes import Margin, Works, shortest

MOST_TRIES = 30  # of sets that are shrunk


class Removal(NamedTuple):
    """A set of rows whose removal works, and the ranking along which it was found."""

    rows: np.ndarray
    ranking: str


class Search(NamedTuple):
    """How sets of rows are judged: by fits, and before that by estimates if there are.

    `seems_to_work` costs much less than `works`, and may err, unless it is exact.
    Margins are those of fits: by how much predictions are wrong.
    """

    works: Works
    seems_to_work: Works | None = None
    is_exact: bool = False
    margin: Margin | None = None

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
    first = next(iter(orders))
    guesses = {name: search.guess(order, limit) for name, order in orders.items()}
    best: Removal | None = None
    for name in _in_turn(first, guesses):
        most, guess = _most(name, first, best, limit), guesses[name]
        hopeless = guess is None or guess > most
        is_worth_a_fit = name == first or best is None
        if most < 1 or (hopeless and (search.is_exact or not is_worth_a_fit)):
            continue
        size = shortest(orders[name], search.works, most, guess or most, search.margin)
        if size is not None:
            best = Removal(orders[name][:size], name)
    return best


def _in_turn(first, guesses):
    """Begin with the first ranking, or with one that seems to need half as many rows.

    That bounds how many rows of the first one are worth fits.
    """
    known = {name: guess for name, guess in guesses.items() if guess is not None}
    least = min(known, key=known.__getitem__, default=first)
    if first in known and known[first] < 2 * known[least]:
        least = first
    return dict.fromkeys([least, first, *guesses])


def _most(name, first, best, limit):
    """How many rows of a ranking may be removed to be better than what was found."""
    if best is None:
        return limit
    if name == first:
        return min(2 * len(best.rows) - 1, limit)
    return len(best.rows) // 2 if best.ranking == first else len(best.rows) - 1


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
    is_removed = np.isin(ranking, rows)
    return np.concatenate([ranking[is_removed], ranking[~is_removed]])
