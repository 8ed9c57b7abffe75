"""Columns of tables, as numbers or as words, the same for every table that is read."""

from __future__ import annotations

import datetime
from collections import Counter
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import _num_samples

from skpoison._column_types import is_frame, is_pandas
from skpoison._words import label_text, one_line

NUMBER, WORD, NOTHING = "number", "word", "nothing"
# What types of categories are called in pandas and polars.
CATEGORIES = ("category", "Categorical", "Enum")
LONGEST = 60  # characters of a cell in an error
EPOCH = datetime.datetime(1970, 1, 1)


class Table(NamedTuple):
    """What the columns of a table hold; other tables are read in the same way."""

    names: list
    kinds: list  # of each column

    @classmethod
    def of(cls, X: Any, most_categories: int) -> Table:
        """Look at the columns of the table that something is fitted on.

        Columns without a value say nothing, nor do columns of texts that differ from
        row to row: with more than `most_categories` texts, of which most come once.
        """
        names = list(X.columns)
        columns = [_Column.of(X, at) for at in range(len(names))]
        return cls(names, [column.kind(most_categories) for column in columns])

    @property
    def unread(self) -> list:
        """The names of columns of texts that are no categories."""
        pairs = zip(self.names, self.kinds, strict=True)
        return [name for name, kind in pairs if kind is NOTHING]

    def read(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Numbers in float64, NaN where they are missing, and words, as objects.

        Columns that had no value, and texts that are no categories, are left out.
        """
        if X.shape[1] != len(self.names):
            raise ValueError(
                f"X has {X.shape[1]} columns; it had {len(self.names)} at fit."
            )
        read: dict[str, list] = {NUMBER: [], WORD: []}
        for at, kind in enumerate(self.kinds):
            if kind in read:
                column = _Column.of(X, at)
                as_kind = column.numbers if kind == NUMBER else column.words
                read[kind].append(as_kind())
        shape = (_num_samples(X), 0)
        numbers = np.column_stack(read[NUMBER]) if read[NUMBER] else np.empty(shape)
        words = np.empty((shape[0], len(read[WORD])), dtype=object)
        for place, values in enumerate(read[WORD]):
            words[:, place] = values
        return numbers, words


class _Column(NamedTuple):
    """The cells of a column."""

    name: object
    cells: Any  # an array of numbers, or a list of anything
    is_category: bool

    @classmethod
    def of(cls, X, at):
        series = X.iloc[:, at] if is_pandas(X) else X[:, at]
        kind, name = series.dtype, list(X.columns)[at] if is_frame(X) else at
        if isinstance(kind, np.dtype) and kind.kind in "biuf":
            return cls(name, np.asarray(series).astype(np.float64), False)
        if isinstance(kind, np.dtype) and kind.kind in "mM":
            return cls(name, _seconds(np.asarray(series)), False)
        cells = series.to_list() if hasattr(series, "to_list") else series.tolist()
        return cls(name, cells, str(kind).startswith(CATEGORIES))

    @property
    def is_array(self):
        return isinstance(self.cells, np.ndarray)

    def kind(self, most_categories):
        """What the column holds, and whether it says anything."""
        if self.is_array:
            return NUMBER if not np.isnan(self.cells).all() else None
        given = [cell for cell in self.cells if not is_missing(cell)]
        if not given:
            return None
        if self.is_category or any(isinstance(cell, str) for cell in given):
            times = Counter(self.words()).values()
            alone = sum(n == 1 for n in times)
            is_unread = len(times) > most_categories and 2 * alone > len(self.cells)
            return NOTHING if is_unread else WORD
        return NUMBER

    def words(self):
        """Texts, empty where they are missing."""
        if not self.is_category:
            self._check_texts()
        return ["" if is_missing(cell) else label_text(cell) for cell in self.cells]

    def _check_texts(self):
        given = [cell for cell in self.cells if not is_missing(cell)]
        texts = [cell for cell in given if isinstance(cell, str)]
        others = len(given) - len(texts)
        if texts and others:
            raise ValueError(
                f"The column {self.name!r} of X holds numbers and texts, such as "
                f"{_shown(texts[0])}: make them all numbers (NaN where they are "
                "missing), or all texts if they are categories."
            )

    def numbers(self):
        """Numbers in float64, dates in seconds, NaN where they are missing."""
        values = self.cells
        if not self.is_array:
            self._check_texts()
            values = np.array([self._as_number(cell) for cell in self.cells])
        if np.isinf(values).any():
            raise ValueError(
                f"Input X contains infinity, in the column {self.name!r}: make it NaN "
                "where a value is missing, or a number."
            )
        return values

    def _as_number(self, cell):
        if is_missing(cell):
            return np.nan
        try:
            return _number_of(cell)
        except (TypeError, ValueError, OverflowError):
            pass
        raise ValueError(
            f"The column {self.name!r} of X holds what is no number, date or category: "
            f"{_shown(cell)} ({type(cell).__name__}). Make columns of numbers of it, "
            "one for each, or leave it out."
        )


def is_missing(cell: object) -> bool:
    """Say whether a cell of a table is missing: None, NaN, or what pandas calls so."""
    if cell is None or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, float) and cell != cell


def _seconds(times):
    """Dates and times of NumPy in seconds, NaN where they are missing."""
    counts = times.astype(f"{times.dtype.kind}8[us]").astype(np.int64)
    return np.where(np.isnat(times), np.nan, counts / 1e6)


def _number_of(cell):
    """A number, or the seconds of a date or time."""
    if hasattr(cell, "to_timestamp"):  # a period of pandas
        cell = cell.to_timestamp()
    if isinstance(cell, datetime.datetime):
        epoch = EPOCH.replace(tzinfo=datetime.UTC) if cell.tzinfo else EPOCH
        return (cell - epoch).total_seconds()
    if isinstance(cell, datetime.date):
        return 86400.0 * (cell.toordinal() - EPOCH.toordinal())
    if isinstance(cell, datetime.time):
        return 3600.0 * cell.hour + 60.0 * cell.minute + cell.second
    if isinstance(cell, datetime.timedelta):
        return cell.total_seconds()
    if isinstance(cell, complex | np.complexfloating) or not isinstance(
        cell, Number | np.bool_
    ):
        raise TypeError
    return float(cell)  # type: ignore[arg-type]


def _shown(cell):
    return one_line(repr(cell), LONGEST)
