"""Tables with named columns: delimited text and Parquet."""

import copy
import re
from dataclasses import replace
from functools import cached_property

import numpy as np

from .columns import NUMBER, is_number, is_text, row_of_table
from .errors import DataError, quoted
from .identifiers import ZEROS
from .labels import Labels
from .own import own_columns

TARGETS = ("target", "label", "class", "y")


def read_table(source, options):
    """Read a source into a table.

    Parameters
    ----------
    source : Source
        Delimited text or Parquet.
    options : Options
        What to know about it.

    Returns
    -------
    table : pyarrow.Table
        The cells.
    """
    if source.format == "parquet":
        from .parquet import read_parquet

        table = read_parquet(source)
    else:
        from .csv import read_csv

        table = read_csv(
            source,
            header=options.header,
            decimal_comma=options.decimal_comma,
            words=options.words,
        )
    if table.num_rows == 0 and not options.may_be_empty:
        raise DataError(f"{source.label} has no rows.")
    return table


class TableData:
    """Rows of a table, and their labels.

    Parameters
    ----------
    source : Source
        Where the table comes from.
    table : pyarrow.Table
        The cells.
    options : Options
        Which columns are what.

    Attributes
    ----------
    labels : Labels or None
        The target column; None if the file lacks it, and may.
    target : str
        Its name.
    columns : list of str
        The columns that are features.
    without_gaps : set of str
        Columns that have been found to hold a finite number in every row.
    """

    test = None
    # Columns that are read as they are, whatever they look like.
    whole_columns = frozenset()
    n_dropped = 0

    def __init__(self, source, table, options):
        self.source, self.table = source.label, table
        self.origin, self.header = source, options.header
        self.decimal_comma = options.decimal_comma
        self._positions, self._plans, self.without_gaps = None, {}, set()
        if not options.drop_if_there:
            self._check_known("column", options.drop)
        self.target, self.labels = options.target, None
        if not options.unlabeled or options.target in table.column_names:
            self.target = name = self._find_target(options.target)
            self.labels = self._labels_of(name, table)
        own = own_columns(table.column_names)
        leave = {self.target, *options.drop, *options.aside, *own}
        self.columns = [name for name in table.column_names if name not in leave]
        if not self.columns:
            raise DataError(f"{self.source} has no columns beside {self.target!r}.")

    def __len__(self):
        return self.table.num_rows

    @property
    def words(self):
        """Columns of text, which other files must keep as they are written too."""
        names = [*self.columns, self.target]
        return [name for name in names if is_text(self.table.column(name).type)]

    @cached_property
    def leading_zeros(self):
        """A cell of each column of digits that begins with zeros, in the first rows."""
        if self.has_types:
            return {}
        from .csv import first_cells

        found = {}
        cells = first_cells(self.origin, self.header, self.decimal_comma)
        for name, column in cells.items():
            with_zeros = next((cell for cell in column if ZEROS.match(cell)), None)
            if with_zeros is not None:
                found[name] = with_zeros.strip()
        return found

    @property
    def numbers(self):
        """All columns of numbers."""
        fields = self.table.schema
        return {field.name for field in fields if is_number(field.type)}

    @property
    def has_types(self):
        """Whether the file itself says what is text and what is a number."""
        return self.origin.format not in ("csv", "tsv")

    @property
    def row_numbers(self):
        """The numbers of the rows in the file, from 1."""
        if self._positions is None:
            return np.arange(1, len(self) + 1)
        return self._positions + 1

    def where(self, row):
        """Say where a row stands in the file, given its position."""
        return row_of_table(int(self._in_file(row)))

    def _labels_of(self, name, table):
        return _labels_of_column(name, table.column(name), self.where, self.source)

    def _in_file(self, rows):
        """Return the positions of rows in the file, given those that they have here."""
        return rows if self._positions is None else self._positions[rows]

    def only(self, mask, relabel=False):
        """Return this with some of its rows, which keep their numbers.

        With `relabel`, labels that none of them has are forgotten.
        """
        rows = np.flatnonzero(mask)
        found = self.of_table(self.table.take(rows))
        found._positions, found.n_dropped = self._in_file(rows), len(self) - len(rows)
        found.labels = self.labels and self.labels.take(rows)
        if relabel:
            found.labels = found._labels_of(self.target, found.table)._replace(
                decided=self.labels.decided
            )
        return found

    def of_table(self, table):
        """Return other rows with the same columns, without labels of their own."""
        found = copy.copy(self)
        found.table, found._plans, found.without_gaps = table, {}, set()
        return found

    def plan(self, encoding):
        """Return how columns are read, whatever their scale."""
        from .decide import plan_of

        key = replace(encoding, scale="none")
        if key not in self._plans:
            self._plans[key] = plan_of(self, key)
        return self._plans[key]

    def column(self, name):
        """Return a column, or say that it is missing."""
        self._check_known("column", [name])
        return self.table.column(name)

    def encoder(self, rows, encoding):
        """Learn from some rows how to turn rows into numbers."""
        from .encode import TableEncoder

        return TableEncoder(self, rows, encoding)

    def taken(self, rows, extra):
        """Return some rows with their cells as they are written, and more columns."""
        import pyarrow as pa

        table = self._as_written().take(self._in_file(rows))
        if extra:
            table = table.drop_columns(own_columns(table.column_names))
        for name, values in extra.items():
            if name in table.column_names:
                raise DataError(f"{self.source} has a column {name!r} already.")
            table = table.append_column(name, pa.chunked_array([pa.array(values)]))
        return table

    def relabeled(self, content, donors):
        """Return what :meth:`taken` returned, with the labels of other such rows."""
        name = self.labels.name
        place = content.column_names.index(name)
        return content.set_column(place, name, donors.column(name))

    def poison(self, rows):
        """Return poison rows as they are written."""
        return self.poison_table(rows)

    def poison_table(self, rows):
        """Return poison rows as a table, with the columns in the file's order."""
        import pyarrow as pa

        columns = rows.columns
        # The target stays where it was among columns that are the file's own.
        order = [n for n in self.table.column_names if n in columns or n == self.target]
        order += [name for name in columns if name not in order]
        return pa.table(
            {
                name: rows.labels
                if name == self.target
                else self._column_of(name, columns[name])
                for name in order
            }
        )

    def _column_of(self, name, values):
        """Return cells in the type of their column."""
        import pyarrow as pa

        if name not in self.table.column_names:
            return pa.array(values)
        column = self.table.column(name)
        kind = column.type
        if pa.types.is_null(kind):
            return pa.nulls(len(values))
        if is_number(kind):
            return _as_numbers(values, kind)
        if not is_text(kind):
            return pa.array(values).cast(kind, safe=False)
        lacks = column.null_count > 0
        cells = [None if value == "" and lacks else value for value in values]
        cells = ["" if value is None and not lacks else value for value in cells]
        texts = pa.array(cells, pa.string())
        if pa.types.is_dictionary(kind):
            return texts.cast(kind.value_type).dictionary_encode().cast(kind)
        return texts.cast(kind)

    def _as_written(self):
        if self.origin.format == "parquet":
            return self.table
        from .csv import read_csv

        return read_csv(
            self.origin,
            header=self.header,
            decimal_comma=self.decimal_comma,
            as_text=True,
        )

    def _find_target(self, wanted):
        names = self.table.column_names
        if wanted is not None:
            self._check_known("target column", [wanted])
            return wanted
        found = [name for name in names if name.lower() in TARGETS]
        if len(found) != 1:
            raise DataError(
                f"Which column of {self.source} holds the labels? Say so with "
                f"--target; the columns are {quoted(names)}{self._doubt(names)}."
            )
        return found[0]

    def _doubt(self, names):
        """Ask whether names that are numbers are a row."""
        if self.header and any(re.match(NUMBER, name) for name in names):
            return " (if that is a row of data, say --no-header)"
        return ""

    def _check_known(self, kind, wanted):
        names = self.table.column_names
        unknown = [name for name in wanted if name not in names]
        if unknown:
            raise DataError(
                f"{self.source} has no {kind} {quoted(unknown)}; its columns are "
                f"{quoted(names)}."
            )


def _as_numbers(values, kind):
    """Return numbers, or categories that are some, in the type of their column."""
    import pyarrow as pa

    cells = [None if v is None or v == "" else v for v in np.asarray(values).tolist()]
    if any(isinstance(cell, str) for cell in cells):
        return pa.array(cells, pa.string()).cast(kind)
    found = pa.array(cells, pa.float64(), from_pandas=True)
    if pa.types.is_boolean(kind):
        found = pa.compute.greater_equal(found, 0.5)
    is_whole = all(cell is None or cell != cell or cell == int(cell) for cell in cells)
    # A sum or a mean of whole numbers is written as what it is.
    return found.cast(kind) if is_whole or not pa.types.is_integer(kind) else found


def _labels_of_column(name, column, where, source):
    import pyarrow as pa

    try:
        encoded = column.combine_chunks().dictionary_encode()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"The target column {name!r} holds {column.type}, not labels."
        ) from error
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    values = encoded.dictionary.to_pylist()
    codes = encoded.indices.fill_null(-1).to_numpy().astype(np.intp)
    missing = [value is None or value != value or value == "" for value in values]
    lacking = np.append(missing, True)[codes]
    if np.any(lacking):
        place = f"{where(int(np.argmax(lacking)))} of {source}"
        raise DataError(f"The target column {name!r} has no label in {place}.")
    order = sorted(range(len(values)), key=values.__getitem__)
    return Labels(name, [values[i] for i in order], np.argsort(order)[codes])
