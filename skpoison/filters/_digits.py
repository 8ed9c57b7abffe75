"""Rows whose values are finer than those of nearly all other rows.

What is recorded has a resolution: whole numbers, two decimals, shades of gray, also
after columns were scaled. Rows that a program mixed of others, moved or disturbed have
values between these, in most columns at once; a row that was measured in another way,
or a gap that was filled, has few.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison.filters._many_rows import DRAWN
from skpoison.filters._nearest import distinct

MOST_DECIMALS = 6  # that a column usually has
PART = 10  # of the usual step: finer values are not multiples of it
# How far values of scaled columns may be from multiples, in units of the usual distance
# (which is rounding) and of a part of the step.
TIMES_ROUNDED, MOST_ROUNDED = 10.0, 0.02
# Share of a column's values that are no finer; the most frequent value is left out,
# since many columns are zero nearly everywhere.
ON_GRID = 0.7
FEWEST_VALUES = 20  # of a column, besides the most frequent one
# Distinct rows that hold a finer value of a column, and their share: it fills gaps.
SEVERAL, SHARED = 3, 0.01
DIFFERENT = 0.5  # of the finer values of a scaled column
FEWEST_GAPS = 5  # between neighboring values, that are equal
ALIKE = 1e-3  # relative difference of equal gaps
REFINED = 8  # times that the step is estimated from more of the values
FEWEST_COLUMNS = 5  # fewer in which a row varies count as so many
MOST_FINER = 0.15  # of the rows: where there are more, they are how rows are
ERROR = 1e-12, 1e-6  # relative, of values of 64 and of 32 bits
AT_ONCE = 2**18  # values


class Digits(NamedTuple):
    """The resolution of columns; of sparse rows, of all stored values as one column.

    Columns are left out in which it is unknown.
    """

    columns: np.ndarray  # which they are
    origins: np.ndarray
    steps: np.ndarray
    slack: np.ndarray  # in parts of steps
    usual: np.ndarray  # the most frequent value, which says nothing
    shared: np.ndarray  # finer values that several rows hold

    @classmethod
    def of(cls, numbers, rng) -> tuple["Digits | None", np.ndarray]:
        """The resolution of training rows, and the share of finer values of each."""
        n_rows = numbers.shape[0]
        some = np.arange(n_rows)
        if n_rows > DRAWN:
            some = np.sort(rng.choice(n_rows, DRAWN, replace=False))
        found = cls._learned(_distinct_rows(numbers[some]))
        finer = np.zeros(n_rows)
        if found is not None:
            finer = found.share_finer(numbers)
        if np.mean(finer > 0.5) > MOST_FINER:
            return None, np.zeros(n_rows)
        return found, finer

    @classmethod
    def _learned(cls, rows) -> "Digits | None":
        found, shared = [], [np.zeros(0)]
        for j, column in enumerate(rows.T):
            values, counts = np.unique(column[np.isfinite(column)], return_counts=True)
            if counts.sum() - counts.max(initial=0) < FEWEST_VALUES:
                continue
            usual, n_usual = values[counts.argmax()], counts.max()
            values, counts = values[values != usual], counts[values != usual]
            grid = _decimal_grid(values, counts)
            grid = grid or _scaled_grid(values, counts, usual, n_usual)
            if grid is None:
                continue
            found.append((j, *grid, usual))
            fills_gaps = counts >= max(SEVERAL, SHARED * len(rows))
            shared.append(values[fills_gaps & _is_finer(values, *grid)])
        if not found:
            return None
        columns, *others = map(np.array, zip(*found, strict=True))
        return cls(columns, *others, np.unique(np.concatenate(shared)))

    def share_finer(self, numbers) -> np.ndarray:
        """The share of finer values among those of a row that say something."""
        step = max(1, AT_ONCE // max(1, numbers.shape[1]))
        starts = range(0, numbers.shape[0], step)
        found = [self._share(numbers[start : start + step]) for start in starts]
        return np.concatenate([np.zeros(0), *found])

    def _share(self, numbers):
        if not sparse.issparse(numbers):
            finer, varied = self._finer(numbers[:, self.columns])
            n_finer, n_varied = finer.sum(axis=1), varied.sum(axis=1)
        else:
            stored = self._finer(numbers.data[:, np.newaxis])
            rows = np.repeat(np.arange(numbers.shape[0]), np.diff(numbers.indptr))
            n_finer, n_varied = (
                np.bincount(rows, each[:, 0], numbers.shape[0]) for each in stored
            )
        return n_finer / np.maximum(n_varied, FEWEST_COLUMNS)

    def _finer(self, values):
        """Which values are finer than usual, and which say whether a row is."""
        varied = np.isfinite(values) & (values != self.usual)
        finer = varied & _is_finer(values, self.origins, self.steps, self.slack)
        if len(self.shared) and finer.any():
            finer[finer] = ~np.isin(values[finer], self.shared)
        return finer, varied


def _distinct_rows(numbers):
    """Distinct rows; all stored values of sparse ones, as a column."""
    if sparse.issparse(numbers):
        return numbers[distinct(numbers)[0]].data[:, np.newaxis]
    # A missing value is equal to none.
    filled = np.where(np.isnan(numbers), np.finfo(numbers.dtype).max, numbers)
    return numbers[distinct(filled)[0]]


def _is_finer(values, origins, steps, slack=MOST_ROUNDED):
    """Whether values lie between multiples of a part of the step."""
    with np.errstate(over="ignore", invalid="ignore"):
        places = (values - origins) * (PART / steps)
        return _off(places) > slack + _error(values) * np.abs(places)


def _off(places):
    return np.abs(places - np.rint(places))


def _error(values):
    return ERROR[values.dtype == np.float32]


def _decimal_grid(values, counts):
    """Origin, step and slack of values written with few decimals, or None."""
    decimals = np.full(len(values), MOST_DECIMALS + 1)
    for n in range(MOST_DECIMALS, -1, -1):
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = values * 10.0**n
            error = _error(values) * np.abs(scaled)
            # Large numbers have too few digits to say so.
            decimals[(_off(scaled) <= error) & (error < MOST_ROUNDED)] = n
    most = _quantile(decimals, counts, ON_GRID)
    return None if most > MOST_DECIMALS else (0.0, 10.0**-most, 0.0)


def _scaled_grid(values, counts, origin, n_origin):
    """Origin, step and slack of values that had few decimals before they were scaled.

    Values of a row or two between those of many are not to decide.
    """
    everything, often = np.append(values, origin), np.append(counts, n_origin)
    order = np.argsort(everything)
    gaps, often = np.diff(everything[order]), often[order]
    bins = np.unique(np.rint(np.log(gaps) / ALIKE), return_inverse=True)[1]
    weights = np.bincount(bins, np.minimum(often[1:], often[:-1]))
    if weights.max() < FEWEST_GAPS:
        return None
    away = np.abs(values - origin)
    step, reach = np.median(gaps[bins == weights.argmax()]), away.max()
    for part in np.geomspace(min(100 * step / reach, 1), 1, REFINED):
        # The farther values lie apart, the better they say how long a step is.
        near = away <= part * reach
        near &= ~_is_finer(values, origin, PART * step)
        n_steps = np.rint(away / step)
        near &= n_steps >= max(_quantile(n_steps[near], counts[near], 0.5), 1)
        if near.any():
            step = _quantile(away[near] / n_steps[near], counts[near], 0.5)
    rounded = _off((values - origin) * (PART / step))
    slack = TIMES_ROUNDED * _quantile(rounded, counts, ON_GRID)
    finer = rounded > slack
    # Functions that are not linear leave steps of several lengths, each in many rows.
    if slack > MOST_ROUNDED or finer.sum() < DIFFERENT * counts[finer].sum():
        return None
    return origin, step, slack


def _quantile(values, counts, share):
    """The least value that this share is not larger than; 0 of none."""
    if not len(values):
        return 0
    order = np.argsort(values, kind="stable")
    place = np.searchsorted(np.cumsum(counts[order]), share * counts.sum())
    return values[order[min(place, len(order) - 1)]]
