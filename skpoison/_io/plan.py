"""How each column of a table is read, and how cells are written like those of it."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from . import dates
from .columns import is_text, numbers, row_of_table, words
from .errors import DataError
from .number_text import MOSTLY, NumberStyle, is_nothing, mask_of

NUMBERS, CATEGORIES, TEXT = "numbers", "categories", "text"
LEFT_OUT, DATES = "left out", "dates"
OTHER = "(other)"
LISTED = 10


@dataclass(frozen=True, kw_only=True)
class Column:
    """How a column is read.

    Parameters
    ----------
    name : str
        Its name.
    note : str, default=""
        What was decided, in words; empty where there was nothing to decide.
    option : str, default=""
        How to have it otherwise.
    doubt : str, default=""
        Why it may be meant otherwise.
    missing : int, default=0
        How many cells hold no value.
    wrong : int, default=0
        How many of them hold something that cannot be read as the others are.
    nearly_constant : bool, default=False
        Whether nearly all cells are equal.
    """

    name: str
    note: str = ""
    option: str = ""
    doubt: str = ""
    missing: int = 0
    wrong: int = 0
    nearly_constant: bool = False

    @property
    def features(self):
        """Names of what it becomes, before categories and words have their own."""
        return (self.name,)

    def describe(self):
        """Return what the JSON says of it."""
        return {
            "name": self.name,
            "read_as": self.read_as,
            "missing": self.missing,
            "unreadable": self.wrong,
            "note": self.note or None,
            "option": self.option or None,
            "doubt": self.doubt or None,
        }


@dataclass(frozen=True, kw_only=True)
class LeftOut(Column):
    """A column that is no feature; `value` or `next_number` fill it in new rows."""

    value: object = None
    next_number: int | None = None

    read_as = LEFT_OUT
    features = ()

    def cells(self, columns, n_rows):
        """Return cells of new rows: a constant, further numbers, or nothing."""
        if self.next_number is None:
            return [self.value] * n_rows
        return list(range(self.next_number, self.next_number + n_rows))


@dataclass(frozen=True, kw_only=True)
class Numbers(Column):
    """A column of numbers.

    `style` says how they are written, if they are text (`as_text`); new ones are
    `whole` and lie between `low` and `high`. `codes` say that there is no value.
    """

    style: NumberStyle = field(default_factory=NumberStyle)
    as_text: bool = False
    whole: bool = False
    low: float = -np.inf
    high: float = np.inf
    codes: tuple = ()

    read_as = NUMBERS

    def read(self, data):
        """Return numbers by name; NaN where there are none."""
        column = data.column(self.name)
        if is_text(column.type):
            values = of_text(column, self.style.parse)
            check_mostly(self.name, column, values, NUMBERS, data.where)
        elif column.null_count == len(column):
            values = np.full(len(column), np.nan)
        else:
            known = self.name in data.without_gaps
            values = numbers(self.name, column, are_finite=known)
        if self.codes:
            values = np.where(np.isin(values, self.codes), np.nan, values)
        return {self.name: values}

    def cells(self, columns, n_rows):
        """Return cells of new rows; None where there is no number."""
        values = columns[self.name]
        if self.whole:
            values = np.clip(np.rint(values), self.low, self.high)
        if not self.as_text:
            return values
        return [None if v != v else self.style.write(v) for v in values.tolist()]


@dataclass(frozen=True, kw_only=True)
class Dates(Column):
    """A column of dates or times: those `parts` that vary; `first` is a date of it."""

    style: dates.DateStyle = field(default_factory=dates.DateStyle)
    parts: tuple = ()
    first: float = 0.0
    as_text: bool = False

    read_as = DATES

    @property
    def features(self):
        """Names of what it becomes."""
        return tuple(f"{self.name}:{part}" for part in self.parts)

    def read(self, data):
        """Return the parts by name; NaN where there is no date."""
        micros = self._micros(data.column(self.name), data.where)
        return {
            name: dates.part(part, micros)
            for name, part in zip(self.features, self.parts, strict=True)
        }

    def _micros(self, column, where):
        if column.null_count == len(column):
            return np.full(len(column), np.nan)
        if not is_text(column.type):
            return dates.micros_of(column)
        micros = of_text(column, self.style.parse)
        check_mostly(self.name, column, micros, DATES, where)
        return micros

    def cells(self, columns, n_rows):
        """Return dates of new rows; None where there is none."""
        # What does not vary is as in a date of the column.
        parts = {
            part: np.full(n_rows, dates.part(part, self.first)) for part in dates.PARTS
        }
        for name, part in zip(self.features, self.parts, strict=True):
            parts[part] = columns[name]
        micros = dates.joined(parts)
        if not self.as_text:
            known = np.isfinite(micros)
            whole = np.where(known, micros, 0).astype("datetime64[us]")
            whole[~known] = np.datetime64("NaT")
            return whole
        return [None if m != m else self.style.write(m) for m in micros.tolist()]


@dataclass(frozen=True, kw_only=True)
class Categories(Column):
    """A column of categories; those that are not `frequent` are one, if it is given.

    `rare` is one of these, to write in their place.
    """

    frequent: frozenset | None = None
    rare: str = ""

    read_as = CATEGORIES

    def read(self, data):
        """Return strings by name; empty where there is none."""
        values, codes = words(self.name, data.column(self.name))
        if self.frequent is not None:
            known = self.frequent | {""}
            values = np.array([v if v in known else OTHER for v in values], object)
        return {self.name: values[codes]}

    def cells(self, columns, n_rows):
        """Return cells of new rows."""
        values = columns[self.name]
        return np.where(values == OTHER, self.rare, values) if self.rare else values


@dataclass(frozen=True, kw_only=True)
class Text(Column):
    """A column of free text, of whose words at most `limit` are features."""

    limit: int | None = None

    read_as = TEXT

    def read(self, data):
        """Return strings by name."""
        values, codes = words(self.name, data.column(self.name))
        return {self.name: values[codes]}

    def cells(self, columns, n_rows):
        """Return texts of new rows."""
        return columns[self.name]


class Plan:
    """How all columns of a table are read.

    Parameters
    ----------
    columns : list of Column
        Columns in the table's order.
    notes : list of str
        What else there is to say of them.
    """

    def __init__(self, columns, notes=()):
        self.columns, self.notes = tuple(columns), tuple(notes)

    def of_kind(self, *kinds):
        """Return the columns that are read in one of some ways."""
        return [one for one in self.columns if one.read_as in kinds]

    @property
    def has_features(self):
        """Whether any column is a feature."""
        return bool(self.of_kind(NUMBERS, DATES, CATEGORIES, TEXT))

    @cached_property
    def numeric(self):
        """Names of what becomes numbers, before it is scaled."""
        found = self.of_kind(NUMBERS, DATES)
        return [name for one in found for name in one.features]

    @property
    def categorical(self):
        """Names of the columns of categories."""
        return [one.name for one in self.of_kind(CATEGORIES)]

    @property
    def text(self):
        """Names of the columns of text."""
        return [one.name for one in self.of_kind(TEXT)]

    @cached_property
    def _by_feature(self):
        return {name: one for one in self.columns for name in one.features}

    def read(self, data, names):
        """Return features of a table with these columns, by name."""
        found = {}
        for name in names:
            if name not in found:
                found |= self._by_feature[name].read(data)
        return {name: found[name] for name in names}

    def owner(self, feature):
        """Return the column that a feature comes from."""
        return self._by_feature[feature]

    @property
    def with_missing(self):
        """The columns of numbers, dates and categories in which values are missing."""
        return [o for o in self.of_kind(NUMBERS, DATES, CATEGORIES) if o.missing]

    def missing_in(self, data):
        """Return for each column in which rows lack a value a mask of those rows."""
        found = {}
        for one in self.of_kind(NUMBERS, DATES, CATEGORIES):
            values = one.read(data)[one.features[0]]
            mask = values == "" if values.dtype == object else np.isnan(values)
            if mask.any():
                found[one.name] = mask
        return found

    def refuse_missing(self, data, masks):
        """Raise an error that names the columns in which rows lack a value."""
        places = [
            f"{name!r} in {mask.sum():,} rows (the first is "
            f"{data.where(int(mask.argmax()))})"
            for name, mask in masks.items()
        ]
        more = f" and {len(places) - LISTED} more columns" if places[LISTED:] else ""
        raise DataError(
            f"{data.source} lacks values: {', '.join(places[:LISTED])}{more}. "
            "--missing indicator or impute fills such cells, --missing drop-rows "
            "leaves their rows out."
        )


def of_text(column, parse):
    """Parse a column of text, each distinct cell once, into an array of floats."""
    values, codes = distinct(column)
    parsed = np.asarray(parse(values), dtype=np.float64)
    return parsed[codes]


def distinct(column):
    """Return the distinct cells of a column of text, and which of them each row has."""
    import pyarrow as pa

    strings = column.cast(pa.string()).fill_null("").combine_chunks()
    encoded = strings.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    return encoded.dictionary, encoded.indices.to_numpy()


def check_mostly(name, column, values, kind, where=row_of_table):
    """Raise an error unless most cells of a column are of some kind."""
    unread = np.isnan(values)
    if not unread.any():
        return
    cells, codes = distinct(column)
    wrong = unread & ~mask_of(is_nothing(cells))[codes]
    n_held = len(values) - np.sum(unread & ~wrong)
    if n_held - wrong.sum() < MOSTLY * n_held:
        row = int(np.argmax(wrong))
        raise DataError(
            f"Column {name!r} holds {kind} in the rows that were learned from, but "
            f"{cells[codes[row]].as_py()[:40]!r} in {where(row)}."
        )
