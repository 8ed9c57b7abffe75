"""How many rows are near copies of one another because values repeat, by chance.

Where columns hold few values (counts, categories, rounded numbers), many honest rows
are equal, and values of large groups are frequent outside them, too. Copies that are
planted, or that are sent twice, have values in some column that few other rows have.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison.filters._cells import Sized
from skpoison.filters._copies import DistinctRows, distances_around
from skpoison.filters._near_copies import (
    ISOLATION,
    LOOKED_AT,
    SMALLEST,
    SomeRows,
    cell_counts,
)
from skpoison.filters._nearest import members_of

FEWEST = 3  # rows: pairs are never too many
MOST_JUDGED = 200  # groups that are compared with other rows, the largest first
# Half of a compact group lies within so many times the distance of near copies of one
# of its rows; chains of honest rows, each near to the next, reach farther.
COMPACT = 1.0
# The grid of a column: so few values, of so many rows, in the range of a group.
VALUES_OF_GRID, ROWS_ON_GRID = 3, 30
OFF_GRID_COLUMNS = 1_000  # columns that are looked at
DISTANCES = 2**23  # of members of a group to all rows


def unexplained_copies(
    rows, distinct: DistinctRows, groups: np.ndarray, radius: float, rng
) -> list:
    """Near copies that frequent values do not explain, as arrays of positions.

    ``rows`` are in their space, as the groups were found. Of a group that is explained,
    rows that are equal are judged by themselves, as are rows off the grid of the
    others: planted ones may be near to rows that many share.
    """
    table = _Table(rows, distinct, SomeRows.of(rows, rng), radius, rng)
    sizes = np.bincount(groups)
    chosen = np.flatnonzero(sizes >= FEWEST)
    chosen = chosen[np.argsort(-sizes[chosen], kind="stable")]
    members = members_of(groups, chosen)
    judged = [table.unexplained_parts(one) for one in members[:MOST_JUDGED]]
    return [part for parts in judged for part in parts] + members[MOST_JUDGED:]


class _Table(NamedTuple):
    """Rows in their space, and which of them others are compared with."""

    rows: np.ndarray | sparse.csr_array
    distinct: DistinctRows
    some: SomeRows
    radius: float  # of near copies
    rng: np.random.RandomState

    @property
    def equal(self) -> np.ndarray:
        """Which distinct row each row is."""
        return self.distinct.position

    def unexplained_parts(self, members) -> list:
        """Parts of a group, or the whole, that frequent values do not explain."""
        out = []
        if np.any(self.equal[members] != self.equal[members[0]]):
            is_off = self._off_grid(members)
            if FEWEST <= is_off.sum() < len(members):
                out.append(members[is_off])
                members = members[~is_off]
        if len(members) < FEWEST:
            return out
        if not self._is_explained(members):
            return [*out, members]
        values, counts = np.unique(self.equal[members], return_counts=True)
        if len(values) > 1:
            parts = [
                members[self.equal[members] == value]
                for value in values[counts >= FEWEST]
            ]
            out += [part for part in parts if not self._is_explained(part)]
        return out

    def _is_explained(self, members):
        """Whether honest rows would lie like this: in a frequent cell, or a chain."""
        rows = self.rows
        if cell_counts(rows, members, self.some).explain(len(members)):
            return True
        if len(members) < SMALLEST:
            return False
        n = min(LOOKED_AT, max(SMALLEST, DISTANCES // rows.shape[0]))
        looked_at = self.rng.permutation(members)[:LOOKED_AT]
        if _reach(rows[looked_at]) > COMPACT * self.radius:
            return True
        spread, distance = distances_around(self.distinct, members, looked_at[:n])
        return spread > ISOLATION * distance

    def _off_grid(self, members):
        """Which members have a value between those that all other rows hold.

        Looks at columns in which rows outside the group hold few values in its range.
        """
        columns = np.arange(self.rows.shape[1])
        if sparse.issparse(self.rows):
            columns = np.unique(self.rows[members].indices)
        columns = columns[:OFF_GRID_COLUMNS]
        inside, outside = (
            _dense(part[:, columns])
            for part in (self.rows[members], self.some.without(members))
        )
        low, high = inside.min(axis=0), inside.max(axis=0)
        within = (outside >= low) & (outside <= high)
        out = np.zeros(len(members), dtype=bool)
        for j in np.flatnonzero((low < high) & (within.sum(axis=0) >= ROWS_ON_GRID)):
            grid = np.unique(outside[within[:, j], j])
            if len(grid) > VALUES_OF_GRID or np.isin(inside[:, j], grid).all():
                continue
            everyone = np.delete(_dense(self.rows[:, [columns[j]]]), members)
            out |= ~np.isin(inside[:, j], everyone)
        return out


def _reach(rows):
    """The median distance to the row with the least one."""
    squares = np.median(Sized.of(rows).squares(Sized.of(rows)), axis=1)
    return np.sqrt(max(squares.min(), 0.0))


def _dense(part):
    return part.toarray() if sparse.issparse(part) else part
