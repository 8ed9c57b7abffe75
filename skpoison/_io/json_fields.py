"""Fields of JSON objects as columns, block by block.

pyarrow reads JSON faster, but takes text that looks like a date for one, two objects in
a line for two rows, and two large integers for the same float.
"""

import json
import shlex
from dataclasses import dataclass, field
from itertools import chain

import numpy as np

from .errors import DataError, all_of

TEXT, NUMBER, TRUTH, LIST, OBJECT = "text", "a number", "true or false", "a list", "{}"
MOST_FIELDS = 10_000
SHOWN = 40  # Of longer values, messages show so many characters.
LARGEST_EXACT = 2**53  # Floats hold all integers up to this one.
READ = "numbers, text, true or false, and lists of numbers that are equally long"


class Twice(dict):
    """What stands again in an object under a name that it has already."""


KINDS = {str: TEXT, int: NUMBER, float: NUMBER, bool: TRUTH, list: LIST}
KINDS |= {dict: OBJECT, Twice: OBJECT}


@dataclass
class Block:
    """Objects of consecutive lines.

    Parameters
    ----------
    source : str
        What messages call the file.
    objects : list of dict
        The objects.
    lines : list of int
        The numbers of their lines, from 1.
    """

    source: str
    objects: list = field(default_factory=list)
    lines: list = field(default_factory=list)

    def error(self, position, problem):
        """Return an error about one of the objects."""
        return DataError(f"{self.source}, line {self.lines[position]}: {problem}")


class Fields:
    """The fields that come up in objects, in that order, as columns.

    Parameters
    ----------
    ignored : collection of str, default=()
        Fields that may hold anything; their columns are empty.
    """

    def __init__(self, ignored=()):
        self._ignored, self._fields, self._n_rows = ignored, {}, 0
        self._problems = {}

    def __len__(self):
        return len(self._fields)

    def __contains__(self, name):
        return name in self._fields

    def __getitem__(self, name):
        return self._fields[name]

    def add(self, block):
        """Add the objects of a block."""
        for name in self._new_names(block):
            self._fields[name] = Field(name, self._n_rows)
        for name, own in self._fields.items():
            if name in self._ignored or name in self._problems:
                continue
            try:
                own.add([one.get(name) for one in block.objects], block)
            except DataError as error:
                self._problems[name] = str(error)  # to be told with those of others
        self._n_rows += len(block.objects)

    def _new_names(self, block):
        known, new = self._fields.keys(), {}
        for position, one in enumerate(block.objects):
            if one.keys() <= known:
                continue
            names = [name for name in one if name not in known]
            _check_names(names, block, position)
            new |= dict.fromkeys(names)
            if len(known) + len(new) > MOST_FIELDS:
                raise block.error(
                    position,
                    f"more than {MOST_FIELDS:,} different fields have come up by now; "
                    "lines should have the same fields.",
                )
        return new

    def columns(self):
        """Return columns by name, and how many columns each embedding became.

        Returns
        -------
        columns : dict of pyarrow.ChunkedArray
            Columns of the same length; of an embedding, one for each of its numbers.
        widths : dict of int
            How many numbers the embeddings have, by the names of their fields.
        """
        if self._problems:
            raise DataError(all_of(self._problems, "fields"))
        columns, widths = {}, {}
        for name, own in self._fields.items():
            if own.width:
                widths[name] = own.width
            for column_name, column in own.columns(self._n_rows):
                if column_name in columns:
                    raise DataError(
                        f"{column_name!r} is the name of a field and of a number in "
                        "an embedding; leave one of the two out with --drop."
                    )
                columns[column_name] = column
        return columns, widths


def number_names(name, width):
    """Return the names of the columns that an embedding becomes.

    Examples
    --------
    >>> number_names("embedding", 2)
    ['embedding[0]', 'embedding[1]']
    """
    return [f"{name}[{j}]" for j in range(width)]


class Field:
    """The values of one field, all of one kind; an embedding has a `width`.

    `rounded` is the line of the first integer that is too large for a column of
    integers or, among other floats, for a float; None without one.
    """

    def __init__(self, name, n_missing):
        self.name, self.width, self.rounded = name, 0, None
        self._kind, self._line = None, 0
        self._n_missing, self._parts = n_missing, []

    def add(self, values, block):
        """Add the values of a block; None are missing."""
        self._check_kinds(values, block)
        if self._kind is None:
            self._n_missing += len(values)
        elif self._kind is LIST:
            self._parts.append(self._embeddings(values, block))
        else:
            make = {TEXT: self._texts, NUMBER: self._numbers, TRUTH: self._truths}
            self._parts.append(make[self._kind](values, block))

    def _check_kinds(self, values, block):
        kinds = {KINDS[kind] for kind in set(map(type, values)) - {type(None)}}
        if kinds <= {self._kind}:
            return
        found = [None if one is None else KINDS[type(one)] for one in values]
        if self._kind is None:
            position = next(i for i, kind in enumerate(found) if kind)
            self._kind, self._line = found[position], block.lines[position]
        if self._kind is OBJECT:
            problem = f"an object; what is read are {READ}."
            raise self._error(found.index(OBJECT), block, problem)
        for position, kind in enumerate(found):
            if kind not in (None, self._kind):
                shown = "an object" if kind is OBJECT else _shown(values[position])
                raise self._error(
                    position,
                    block,
                    f"{shown}, but {self._kind} in line {self._line}.",
                )

    def _error(self, position, block, problem):
        return block.error(
            position,
            f"the field {self.name!r} holds {problem} Change that, or leave the field "
            f"out (--drop {shlex.quote(self.name)}).",
        )

    def _texts(self, values, block):
        import pyarrow as pa

        try:
            return pa.array(values, pa.string())
        except UnicodeEncodeError:
            bad = [_is_unicode(one or "") for one in values].index(False)
            problem = "half of a surrogate pair (\\ud800 to \\udfff), which is no text."
            raise self._error(bad, block, problem) from None

    def _truths(self, values, block):
        import pyarrow as pa

        return pa.array(values, pa.bool_())

    def _numbers(self, values, block):
        import pyarrow as pa

        if float not in set(map(type, values)):
            try:
                return pa.array(values, pa.int64())
            except (OverflowError, pa.ArrowInvalid):
                pass  # They become floats, as Parquet's decimals do.
        self._note_rounded(values, block)
        try:
            floats = [None if one is None else float(one) for one in values]
        except OverflowError:
            raise self._too_large(values, block) from None
        return pa.array(floats, pa.float64())

    def _note_rounded(self, values, block):
        if self.rounded is None:
            large = (
                line
                for one, line in zip(values, block.lines, strict=True)
                if type(one) is int and abs(one) > LARGEST_EXACT
            )
            self.rounded = next(large, None)

    def _too_large(self, values, block):
        bad = next(i for i, one in enumerate(values) if _overflows(one))
        return self._error(bad, block, "an integer that is too large for a float.")

    def _embeddings(self, values, block):
        """Return the lists of a block as an array of shape (n_rows, width)."""
        self._check_lists(values, block)
        n_numbers = len(values) * self.width
        try:
            X = np.fromiter(chain.from_iterable(values), np.float64, n_numbers)
        except OverflowError:
            bad = next(i for i, one in enumerate(values) if any(map(_overflows, one)))
            problem = "an integer that is too large for a float."
            raise self._error(bad, block, problem) from None
        finite = np.isfinite(X)
        if not finite.all():
            bad = int(np.argmin(finite))
            problem = f"{X[bad]} among its numbers, all of which must be finite."
            raise self._error(bad // self.width, block, problem)
        return X.reshape(-1, self.width)

    def _check_lists(self, values, block):
        if None in values or self._n_missing:
            self._refuse_missing(values, block)
        if not self.width:
            self.width = len(values[0])
            if not self.width:
                raise self._error(0, block, "an empty list.")
        if not set(map(type, chain.from_iterable(values))) <= {int, float}:
            of_numbers = [set(map(type, one)) <= {int, float} for one in values]
            position = of_numbers.index(False)
            odd = next(x for x in values[position] if type(x) not in (int, float))
            problem = f"a list with {_shown(odd)}; what is read are {READ}."
            raise self._error(position, block, problem)
        lengths = list(map(len, values))
        if set(lengths) != {self.width}:
            position = next(i for i, n in enumerate(lengths) if n != self.width)
            raise self._error(
                position,
                block,
                f"a list of {lengths[position]:,} numbers, but one of {self.width:,} "
                f"in line {self._line}. Lists that are not equally long are no "
                "embeddings.",
            )

    def _refuse_missing(self, values, block):
        if not self.width and (self._n_missing or values[0] is None):
            position = next(i for i, one in enumerate(values) if one is not None)
            problem = "an embedding, which earlier lines lack."
        else:
            position = values.index(None)
            problem = f"no value, but an embedding in line {self._line}."
        raise self._error(position, block, problem)

    def columns(self, n_rows):
        """Yield names and columns of so many rows."""
        import pyarrow as pa

        if self.width:
            yield from self._columns_of_numbers(n_rows)
            return
        n_missing = n_rows - sum(map(len, self._parts))
        parts = [pa.nulls(n_missing), *self._parts]
        kinds = {part.type for part in self._parts} or {pa.null()}
        kind = pa.float64() if pa.float64() in kinds else kinds.pop()
        parts = [part.cast(kind, safe=False) for part in parts]
        yield self.name, pa.chunked_array(parts)

    def _columns_of_numbers(self, n_rows):
        """Yield the columns of an embedding, each in one piece."""
        import pyarrow as pa

        X, end = np.empty((self.width, n_rows)), n_rows
        while self._parts:  # From the end, so that each part's memory is given back.
            part = self._parts.pop()
            X[:, end - len(part) : end] = part.T
            end -= len(part)
        for name, column in zip(number_names(self.name, self.width), X, strict=True):
            yield name, pa.chunked_array([pa.array(column)])


def _check_names(names, block, position):
    for name in names:
        if not _is_unicode(name):
            raise block.error(
                position, f"the field {name!r} has a name that is no Unicode text."
            )


def _is_unicode(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _overflows(number):
    try:
        float(number or 0)
    except OverflowError:
        return True
    return False


def _shown(value):
    """Return a value in few words."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return f"the text {value[:SHOWN]!r}"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else json.dumps(value)[:SHOWN]
