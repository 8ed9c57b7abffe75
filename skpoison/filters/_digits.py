"""Rows whose values are finer than those of nearly all other rows.

What is recorded has a resolution: whole numbers, two decimals, shades of gray, also
after columns were scaled. Rows that a program mixed of others, moved or disturbed have
values with all digits of a float, in most columns at once; rows of another device or
unit have a few digits more, and gaps are filled with one value.
"""

from typing import NamedTuple

import numpy as np

from skpoison.filters._many_rows import DRAWN
from skpoison.filters._nearest import distinct

MOST_DECIMALS = 6  # that a column usually has
# Share of a column's values that have the usual resolution; the most frequent value is
# left out, since many columns are zero nearly everywhere.
ON_GRID = 0.7
FEWEST_VALUES = 20  # of a column, besides the most frequent one
# Distinct rows that hold a finer value of a column, and their share: it fills gaps.
SEVERAL, SHARED = 3, 0.01
# Scaled columns: equal gaps between neighboring values, their relative difference, and
# how often the step is estimated from more of the values.
FEWEST_GAPS, ALIKE, REFINED = 5, 1e-3, 8
PARTS = 10.0 ** np.arange(5, 1, -1)  # of a step, that finer values are no multiples of
DIFFERENT = 0.5  # of the finer values of a column: the others say how it was computed
# How far values may be from multiples, in units of the usual distance (of scaled
# columns), and at most.
TIMES_ROUNDED, MOST_ROUNDED = 10.0, 0.05
ERRORS = 1e-14, 2e-7  # relative, of values of 64 and of 32 bits
FEWEST_COLUMNS = 5  # fewer in which a row varies count as so many
MOST_FINER = 0.15  # of the rows: where there are more, they are how rows are
LEARNED, AT_ONCE = 2**22, 2**18  # values


class Column(NamedTuple):
    """The distinct values of a column, but for the most frequent one, sorted."""

    values: np.ndarray
    counts: np.ndarray  # of all rows: what is recorded repeats itself
    different: np.ndarray  # of distinct rows: copies of a row share all its values
    usual: float  # the most frequent value of distinct rows
    n_usual: int

    @classmethod
    def of(cls, numbers, distinct_rows) -> "Column | None":
        """What rows hold in a column, or None if that is too little."""
        values, counts = np.unique(_finite(numbers), return_counts=True)
        known, often = np.unique(_finite(numbers[distinct_rows]), return_counts=True)
        if often.sum() - often.max(initial=0) < FEWEST_VALUES:
            return None
        different = np.zeros_like(counts)
        different[np.searchsorted(values, known)] = often
        usual = different.argmax()
        others = np.arange(len(values)) != usual
        parts = (part[others] for part in (values, counts, different))
        return cls(*parts, values[usual], counts[usual])

    def quantile(self, found, share, rows=slice(None)):
        """The least of what was found of values that this share is not larger than."""
        found, counts = found[rows], self.counts[rows]
        if not len(found):
            return 0
        order = np.argsort(found, kind="stable")
        place = np.searchsorted(np.cumsum(counts[order]), share * counts.sum())
        return found[order[min(place, len(order) - 1)]]


class Grid(NamedTuple):
    """What values of a column are multiples of, after the origin is subtracted."""

    origin: float
    step: float  # a fine one: values between have no few digits
    slack: float  # how far they may be from multiples, in steps
    error: float  # the same, relative to the size of values

    def is_finer(self, values: np.ndarray) -> np.ndarray:
        """Whether values lie between the multiples."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            places = (values - self.origin) / self.step
            sizes = (np.abs(values) + np.abs(self.origin)) / self.step
            return _off(places) > self.slack + self.error * sizes


def finer_rows(numbers: np.ndarray, rng) -> np.ndarray:
    """The share of each row's values that are finer than those of nearly all others.

    It is zero everywhere where more rows than a few have mostly such values.
    """
    n_rows, n_columns = numbers.shape
    finer, varied = np.zeros((2, n_rows), dtype=np.intp)
    some = np.arange(n_rows)
    most = min(DRAWN, max(LEARNED // max(n_columns, 1), 1_000))
    if n_rows > most:
        some = np.sort(rng.choice(n_rows, most, replace=False))
    step = max(1, AT_ONCE // n_rows)
    # Which rows are distinct matters little: a missing value may equal another one.
    first = distinct(np.nan_to_num(numbers[some], nan=0.5))[0]
    for start in range(0, n_columns, step):
        columns = np.ascontiguousarray(numbers[:, start : start + step].T)
        for column in columns:
            is_finer, is_varied = _finer_values(column, some, first)
            finer += is_finer
            varied += is_varied
    share = finer / np.maximum(varied, FEWEST_COLUMNS)
    return np.where(np.mean(share > 0.5) > MOST_FINER, 0.0, share)


def _finer_values(numbers, some, first):
    """Which values are finer than usual, and which say whether a row is.

    ``first`` are distinct rows among some.
    """
    column = Column.of(numbers[some], first)
    grid = None if column is None else _grid(column)
    if grid is None:
        return False, False
    several = column.different >= max(SEVERAL, SHARED * len(first))
    alone = grid.is_finer(column.values) & ~several
    if alone.sum() < DIFFERENT * column.different[alone].sum():
        return False, False
    varied = np.isfinite(numbers) & (numbers != column.usual)
    finer = varied & grid.is_finer(numbers)
    return finer & ~np.isin(numbers, column.values[several]), varied


def _finite(values):
    return values[np.isfinite(values)]


def _off(places):
    return np.abs(places - np.rint(places))


def _grid(column):
    """The resolution of most values of a column, or None."""
    errors = ERRORS[1:]
    if column.values.dtype != np.float32:
        # Numbers that were written in 32 bits have not more digits in 64.
        with np.errstate(over="ignore", under="ignore"):
            is_short = column.values == column.values.astype(np.float32)
        has_32_bits = column.counts[is_short].sum() >= ON_GRID * column.counts.sum()
        errors = ERRORS if has_32_bits else ERRORS[:1]
    column = column._replace(
        values=column.values.astype(np.float64), usual=float(column.usual)
    )
    for error in errors:
        grid = _decimal_grid(column, error) or _scaled_grid(column, error)
        if grid is not None:
            return grid
    return None


def _decimal_grid(column, error):
    """The grid of values that are written with few decimals, or None."""
    decimals = np.full(len(column.values), MOST_DECIMALS + 1)
    for n in range(MOST_DECIMALS, -1, -1):
        with np.errstate(over="ignore", invalid="ignore"):
            places = column.values * 10.0**n
            unsure = error * np.abs(places)
            # Large numbers have too few digits to say so.
            decimals[(_off(places) <= unsure) & (unsure < MOST_ROUNDED)] = n
    usual = column.quantile(decimals, ON_GRID)
    if usual > MOST_DECIMALS:
        return None
    # As many decimals as values of this size have.
    size = max(column.quantile(np.abs(column.values), 0.9), 1.0)
    n_known = int(np.floor(np.log10(MOST_ROUNDED / (error * size))))
    n = min(max(MOST_DECIMALS, usual + 1), n_known)
    return Grid(0.0, 10.0**-n, 0.0, error) if n > usual else None


def _scaled_grid(column, error):
    """The grid of values that had few decimals before they were scaled, or None."""
    origin, step = column.usual, _most_frequent_gap(column)
    away = np.abs(column.values - origin)
    reach = away.max()
    with np.errstate(over="ignore"):
        if step is None or not 0 < reach / step < np.inf:
            return None
    for part in np.geomspace(min(100 * step / reach, 1), 1, REFINED):
        # The farther values lie apart, the better they say how long a step is.
        near = away <= part * reach
        near &= ~Grid(origin, step, MOST_ROUNDED, error).is_finer(column.values)
        n_steps = np.rint(away / step)
        near &= n_steps >= max(column.quantile(n_steps, 0.5, near), 1)
        if near.any():
            step = column.quantile(away / np.maximum(n_steps, 1), 0.5, near)
    for fine in step / PARTS:
        rounded = column.quantile(_off((column.values - origin) / fine), ON_GRID)
        grid = Grid(origin, fine, TIMES_ROUNDED * rounded, error)
        if grid.slack > MOST_ROUNDED or error * reach / fine > MOST_ROUNDED:
            continue
        finer = grid.is_finer(column.values)
        # Functions that are not linear leave steps of several lengths, in many rows.
        if finer.sum() >= DIFFERENT * column.different[finer].sum():
            return grid
    return None


def _most_frequent_gap(column):
    """The most frequent gap between neighboring values, if it is; else None.

    Values of a row or two between those of many are not to decide.
    """
    values = np.append(column.values, column.usual)
    order = np.argsort(values)
    gaps = np.diff(values[order])
    often = np.append(column.counts, column.n_usual)[order]
    bins = np.unique(np.rint(np.log(gaps) / ALIKE), return_inverse=True)[1]
    weights = np.bincount(bins, np.minimum(often[1:], often[:-1]))
    if weights.max() < FEWEST_GAPS:
        return None
    return np.median(gaps[bins == weights.argmax()])
