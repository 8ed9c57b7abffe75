"""How many rows are near copies of one another because values repeat, by chance.

Where columns hold few values (counts, categories, rounded numbers), many honest rows
are equal, and values of large groups are frequent outside them, too. Copies that are
planted, or that are sent twice, have values in some column that few other rows have.
"""

import numpy as np
from scipy import sparse

from skpoison.filters._copies import Sized, distances_around, distinct_rows
from skpoison.filters._near_copies import (
    ISOLATION,
    LOOKED_AT,
    SAMPLE,
    SMALLEST,
    cell_counts,
)
from skpoison.filters._nearest import members_of

FEWEST = 3  # rows: pairs are never too many
MOST_JUDGED = 500  # groups that are compared with other rows, the largest first
# Half of a compact group lies within so many times the distance of near copies of one
# of its rows; chains of honest rows, each near to the next, reach farther.
COMPACT = 1.0
# The grid of a column: so few values, of so many rows, in the range of a group.
VALUES_OF_GRID, ROWS_ON_GRID = 3, 30
OFF_GRID_COLUMNS = 1_000  # columns that are looked at


def unexplained_copies(rows, groups: np.ndarray, radius: float, rng) -> list:
    """Near copies that frequent values do not explain, as arrays of positions.

    ``rows`` are in their space, as the groups were found. Of a group that is explained,
    rows that are equal are judged by themselves, as are rows off the grid of the
    others: planted ones may be near to rows that many share.
    """
    equal = distinct_rows(rows)[1]
    sizes = np.bincount(groups)
    chosen = np.flatnonzero(sizes >= FEWEST)
    chosen = chosen[np.argsort(-sizes[chosen], kind="stable")]
    found = []
    for at, members in enumerate(members_of(groups, chosen)):
        if at >= MOST_JUDGED:
            found.append(members)
            continue
        found.extend(_unexplained_parts(rows, members, equal[members], radius, rng))
    return found


def _unexplained_parts(rows, members, equal, radius, rng):
    values, counts = np.unique(equal, return_counts=True)
    out = []
    if len(values) > 1:
        is_off = _off_grid(rows, members, rng)
        if FEWEST <= is_off.sum() < len(members):
            out.append(members[is_off])
            members, equal = members[~is_off], equal[~is_off]
            values, counts = np.unique(equal, return_counts=True)
    if len(members) < FEWEST:
        return out
    if not _is_explained(rows, members, radius, rng):
        return [*out, members]
    if len(values) > 1:
        parts = [members[equal == value] for value in values[counts >= FEWEST]]
        out += [part for part in parts if not _is_explained(rows, part, radius, rng)]
    return out


def _is_explained(rows, members, radius, rng):
    """Whether honest rows would lie like this: in a frequent cell, or in a chain."""
    if cell_counts(rows, members, rng).explain(len(members)):
        return True
    if len(members) < SMALLEST:
        return False
    some = rng.permutation(members)[:LOOKED_AT]
    spread, distance = distances_around(rows, members, some)
    return spread > ISOLATION * distance or _reach(rows[some]) > COMPACT * radius


def _reach(rows):
    """The median distance to the row with the least one."""
    squares = np.median(Sized.of(rows).squares(Sized.of(rows)), axis=1)
    return np.sqrt(max(squares.min(), 0.0))


def _off_grid(rows, members, rng):
    """Which members have a value between those that all other rows hold.

    Looks at columns in which rows outside the group hold few values in its range.
    """
    inside = rows[members]
    columns = np.arange(rows.shape[1])
    if sparse.issparse(rows):
        columns = np.unique(inside.indices)
    columns = columns[:OFF_GRID_COLUMNS]
    others = np.delete(np.arange(rows.shape[0]), members)
    others = others[rng.permutation(len(others))[:SAMPLE]]
    inside, outside = (_dense(part[:, columns]) for part in (inside, rows[others]))
    low, high = inside.min(axis=0), inside.max(axis=0)
    out = np.zeros(len(members), dtype=bool)
    within = (outside >= low) & (outside <= high)
    for j in np.flatnonzero((low < high) & (within.sum(axis=0) >= ROWS_ON_GRID)):
        grid = np.unique(outside[within[:, j], j])
        if len(grid) <= VALUES_OF_GRID:
            out |= ~np.isin(inside[:, j], grid)
    return out


def _dense(part):
    return part.toarray() if sparse.issparse(part) else part
