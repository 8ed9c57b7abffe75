"""JSON lines: an object in each line, whose fields are columns."""

import json

import numpy as np

from .errors import DataError, quoted
from .json_fields import Block, Fields, Twice, number_names
from .json_rows import dumped
from .own import line_without_own, own_columns
from .source import BYTE_ORDER_MARK, lines_at
from .table import TARGETS, TableData

BLOCK_BYTES = 1 << 22
LONGEST_LINE = 1 << 26
SPACE = b" \t\r\n"
ONE_OBJECT = "Each line must hold one JSON object."


class JsonData(TableData):
    """Rows of a file of JSON lines, and their labels.

    Parameters
    ----------
    source : Source
        The file.
    options : Options
        Which fields are what.

    Attributes
    ----------
    embeddings : dict of int
        How many numbers each field holds that is an embedding. Each number is a column.
    """

    def __init__(self, source, options):
        import pyarrow as pa

        self._fields = Fields(_ignored(options))
        self._lines = _read(source, self._fields)
        columns, self.embeddings = self._fields.columns()
        self._field_of = {
            column: name
            for name, width in self.embeddings.items()
            for column in number_names(name, width)
        }
        self._check_whole(source, options.drop)
        super().__init__(source, pa.table(columns), options)
        self._check_exact()

    def _check_whole(self, source, drop):
        parts = [name for name in drop if name in self._field_of]
        if parts:
            name = self._field_of[parts[0]]
            raise DataError(
                f"{source.label} has {quoted(parts)} in the embedding {name!r}, which "
                f"can be left out only as a whole: --drop {name}."
            )

    def _check_exact(self):
        if self.labels is None:
            return
        line = self._fields[self.target].rounded
        if line is not None:
            raise DataError(
                f"{self.source}, line {line}: the field {self.target!r} holds an "
                "integer that is too large for a label; write labels like it as text."
            )

    def where(self, row):
        """Say where a row stands in the file, given its position."""
        return f"line {self._lines[self._in_file(row)]} of {self.source}"

    @property
    def whole_columns(self):
        """The columns that are numbers of embeddings."""
        return self._field_of

    def read_as(self, plan):
        """Say what fields were taken for.

        Parameters
        ----------
        plan : Plan
            How columns are read.
        """
        names = {
            kind: [o.name for o in plan.of_kind(kind) if o.name not in self._field_of]
            for kind in ("numbers", "categories", "dates", "text", "left out")
        }
        left_out = set(self.table.column_names) - {*self.columns, self.target}
        left_out |= set(names.pop("left out"))
        texts = names.pop("text")
        parts = [f"{quoted(v)} as {kind}" for kind, v in names.items() if v]
        parts += [f"{name!r} as {n:,} numbers" for name, n in self.embeddings.items()]
        parts += [f"{quoted(texts)} as text"] if texts else []
        rest = f"; {quoted(sorted(left_out))} left out" if left_out else ""
        return f"Read from {self.source}: {', '.join(parts)}{rest}."

    def follow(self, data):
        """Raise an error unless embeddings are as long as in training data."""
        for name, width in data.embeddings.items():
            found = self.embeddings.get(name)
            if found != width:
                holds = f"{found:,} numbers" if found else "no embedding"
                raise DataError(
                    f"The field {name!r} holds {holds} in {self.source}, but "
                    f"{width:,} numbers in {data.source}."
                )

    def taken(self, rows, extra):
        """Return some rows as the lines that they are, and more fields."""
        there = [name for name in extra if name in self._fields]
        for name in set(there) - set(own_columns(there)):
            raise DataError(f"{self.source} has a field {name!r} already.")
        return self._taken(self._in_file(rows).tolist(), extra)

    def _taken(self, rows, extra):
        columns = [np.asarray(values).tolist() for values in extra.values()]
        more = zip(*columns, strict=True)
        for line in lines_at((line for _, line in data_lines(self.origin)), rows):
            if not extra:
                yield line
                continue
            values = dict(zip(extra, next(more), strict=True))
            yield _with_fields(line_without_own(line), values)

    def relabeled(self, content, donors):
        """Return what :meth:`taken` returned, with the labels of other such lines."""
        name = self.labels.name
        for line, donor in zip(content, donors, strict=True):
            values, label = json.loads(line), json.loads(donor)[name]
            is_same = values[name] == label
            yield line if is_same else dumped(values | {name: label}).encode()

    def poison(self, rows):
        """Return poison rows as lines."""
        for row in self.poison_table(rows).to_pylist():
            yield dumped(self._with_lists(row)).encode()

    def _with_lists(self, row):
        found = {}
        for name, value in row.items():
            if name in self._field_of:
                found.setdefault(self._field_of[name], []).append(value)
            else:
                found[name] = value
        return found

    def _find_target(self, wanted):
        if wanted in self.embeddings:
            raise DataError(
                f"{self.source} holds lists of numbers in {wanted!r}, not labels; "
                "choose another --target."
            )
        return super()._find_target(wanted)

    def _doubt(self, names):
        return ""  # Names are never a row of data here.


def _ignored(options):
    """Return the fields that may hold anything: those to drop, but for the target."""
    if options.target is not None:
        return set(options.drop) - {options.target}
    return {name for name in options.drop if name.lower() not in TARGETS}


def _read(source, fields):
    """Read all objects into fields, and return the numbers of their lines."""
    lines = []
    for block in _blocks(source):
        fields.add(block)
        lines.append(np.array(block.lines))
    if not lines:
        raise DataError(f"{source.label} has no rows.")
    if not len(fields):
        raise DataError(f"{source.label} has no fields: all its objects are empty.")
    return np.concatenate(lines)


def _blocks(source):
    block, size = Block(source.label), 0
    for number, line in data_lines(source):
        block.lines.append(number)
        block.objects.append(_parsed(source, number, line))
        size += len(line)
        if size >= BLOCK_BYTES:
            yield block
            block, size = Block(source.label), 0
    if block.lines:
        yield block


def data_lines(source):
    """Yield the number and the bytes of every line that is not blank."""
    with source.open() as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE:
                size = f"{LONGEST_LINE >> 20} MB"
                raise _line_error(source, number, f"is longer than {size}.")
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            if line.strip(SPACE):
                yield number, line.rstrip(b"\r\n")


def _object(pairs):
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    return Twice(pair for i, pair in enumerate(pairs) if pair[0] in names[:i])


DECODER = json.JSONDecoder(object_pairs_hook=_object)


def _parsed(source, number, line):
    try:
        found = DECODER.decode(line.decode())
    except UnicodeDecodeError:
        problem = "is not UTF-8 text; save the file as UTF-8."
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at column {error.colno}"
        problem = f"is not JSON: {reason}. {ONE_OBJECT}"
    except RecursionError:
        problem = "is nested too deep."
    except ValueError:
        problem = "holds an integer of thousands of digits, which is not read."
    else:
        if type(found) is dict:
            return found
        if isinstance(found, Twice):
            problem = f"holds the field {next(iter(found))!r} twice."
        else:
            kind = "an array" if isinstance(found, list) else "a single value"
            problem = f"holds {kind}, not an object. {ONE_OBJECT}"
    raise _line_error(source, number, problem)


def _line_error(source, number, problem):
    return DataError(f"{source.label}, line {number} {problem}")


def _with_fields(line, values):
    """Put further fields at the end of an object, and leave it as it is otherwise."""
    if not values:
        return line
    start = line.rstrip(SPACE).removesuffix(b"}")
    comma = b"" if start.rstrip(SPACE).endswith(b"{") else b", "
    return start + comma + dumped(values).encode().removeprefix(b"{")
