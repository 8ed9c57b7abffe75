"""Rows out, in the format that came in."""

import bz2
import gzip
import io
import lzma
import re
from pathlib import Path

import numpy as np
from scipy import sparse

from .columns import NUMBER, is_text
from .csv import delimiter
from .errors import DataError
from .json_rows import as_numbers_again, json_lines
from .number_text import AMOUNT
from .source import COMPRESSIONS, SUFFIXES
from .write import check_free, whole_file

LINES = ("svmlight", "jsonl")
TABLES = ("csv", "tsv", "parquet")
FROM_TABLES = (*TABLES, "jsonl")
BINARY = ("parquet", "npz")
# What spreadsheets take for the beginning of a formula.
FORMULA = r"^[\s]*[=+\-@]|^[\t\r\n]"
# Numbers and amounts such as -$5, which begin like one.
HARMLESS = f"{NUMBER}|{AMOUNT}"


class Output:
    """Where rows go, and in which format.

    Parameters
    ----------
    path : str
        A path, or ``-`` for standard output. Its suffixes may name a format and a
        compression.
    data : TableData or ArrayData
        The data that came in: without a suffix, its format is taken.
    force : bool, default=False
        Whether an existing file may be replaced.
    formulas : bool, default=False
        Whether cells that spreadsheets would take for formulas stay as they are.

    Attributes
    ----------
    n_escaped : int
        How many such cells got an apostrophe in front.
    """

    def __init__(self, path, data, *, force=False, formulas=False):
        check_free(path, force)
        self.path, self._data, self._force = path, data, force
        self._formulas, self.n_escaped = formulas, 0
        suffixes = [suffix.lower() for suffix in Path(path).suffixes]
        self._compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
        if self._compression:
            suffixes.pop()
        self._came = came = data.origin.format if data.origin else "npz"
        self.format = SUFFIXES.get(suffixes[-1], came) if suffixes else came
        self._check_format(came)

    def _check_format(self, came):
        dense = came == "npz" and not sparse.issparse(self._data.X)
        others = FROM_TABLES if came in TABLES or dense else ()
        if self.format not in (came, *others):
            possible = dict.fromkeys((came, *others))
            raise DataError(
                f"{self._data.source} cannot be written as {self.format.upper()}, only "
                f"as {' or '.join(kind.upper() for kind in possible)}; name a file "
                "accordingly."
            )
        if self.path == "-" and self.format in BINARY:
            raise DataError(
                f"{self.format.upper()} is not written to standard output; name a file."
            )

    def write(self, content, stdout):
        """Write rows.

        Parameters
        ----------
        content : pyarrow.Table, dict of ndarray or iterable of bytes
            What :meth:`taken` or :meth:`poison` of the data returned.
        stdout : binary file
            Standard output.
        """
        if self.path == "-":
            self._write(content, stdout)
            return
        with whole_file(self.path, self._force) as file:
            if self._compression is None:
                self._write(content, file)
            else:
                with _pack(file, self._compression) as packed:
                    self._write(content, packed)

    def _write(self, content, file):
        if self.format == "npz":
            self._write_npz(content, file)
            return
        if isinstance(content, dict):
            content = _as_table(content)
        if self.format in LINES:
            lines = content if self._came in LINES else self._as_json(content)
            file.writelines(line + b"\n" for line in lines)
        else:
            self._write_table(content, file)

    def _as_json(self, table):
        if self._came in ("csv", "tsv"):
            comma = self._data.decimal_comma
            table = as_numbers_again(table, self._data.table.schema, comma)
        return json_lines(table)

    def _write_npz(self, arrays, file):
        buffer = io.BytesIO()  # Archives need to be sought in.
        np.savez_compressed(buffer, **arrays)
        file.write(buffer.getbuffer())

    def _write_table(self, table, file):
        if self.format == "parquet":
            from pyarrow import parquet

            parquet.write_table(table, file)
            return
        # Cells that were read as numbers need no care, however they are written.
        numbers = getattr(self._data, "numbers", ())
        if not self._formulas:
            table, self.n_escaped = escape_formulas(table, numbers)
        comma = getattr(self._data, "decimal_comma", False)
        if comma:
            table = with_decimal_comma(table)
        header = getattr(self._data, "header", True)
        write_csv(table, file, self._delimiter(comma), header, numbers)

    def _delimiter(self, comma):
        origin = self._data.origin
        if self.format == "tsv":
            return "\t"
        if origin and origin.format == "csv":
            return delimiter(origin, comma)
        return ";" if comma else ","


def _pack(file, compression):
    if compression == "gzip":
        # Neither name nor time, so that the same rows give the same file.
        return gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
    if compression == "bz2":
        return bz2.BZ2File(file, "wb")
    if compression == "xz":
        return lzma.LZMAFile(file, "wb")
    import pyarrow as pa

    return pa.CompressedOutputStream(file, "zstd")


def _as_table(arrays):
    import pyarrow as pa

    arrays = dict(arrays)
    X, y = arrays.pop("X"), arrays.pop("y")
    columns = {str(j + 1): X[:, j] for j in range(X.shape[1])}
    return pa.table({**columns, "target": y, **arrays})


def write_csv(table, file, delimiter, header=True, numbers=()):
    """Write delimited text, with quotes only where they are needed.

    Parameters
    ----------
    table : pyarrow.Table
        The cells.
    file : binary file
        Where to write.
    delimiter : str
        What separates cells.
    header : bool, default=True
        Whether the columns' names come first.
    numbers : collection of str, default=()
        Columns that hold numbers, perhaps as text.
    """
    import csv

    import pyarrow.csv

    if header:
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(
            table.column_names
        )
        file.write(line.getvalue().encode())
    options = pyarrow.csv.WriteOptions(
        include_header=False,
        delimiter=delimiter,
        quoting_style="needed" if _needs_quotes(table, delimiter, numbers) else "none",
    )
    pyarrow.csv.write_csv(table, file, options)


def with_decimal_comma(table):
    """Write numbers that are not whole as text, with a comma.

    Parameters
    ----------
    table : pyarrow.Table
        The cells.

    Returns
    -------
    table : pyarrow.Table
        The cells, floats as strings.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for i, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):
            strings = table.column(i).cast(pa.string())
            column = pc.replace_substring(strings, ".", ",")
            table = table.set_column(i, field.name, column)
    return table


def _needs_quotes(table, delimiter, numbers):
    import pyarrow as pa
    import pyarrow.compute as pc

    special = f'["\r\n{re.escape(delimiter)}]'
    return any(
        pc.any(pc.match_substring_regex(column.cast(pa.string()), special)).as_py()
        for name, column in zip(table.column_names, table.columns, strict=True)
        if name not in numbers and is_text(column.type)
    )


def escape_formulas(table, numbers=()):
    """Put an apostrophe before cells that spreadsheets would run as formulas.

    Parameters
    ----------
    table : pyarrow.Table
        Cells of text, and others that need no care.
    numbers : collection of str, default=()
        Columns that hold numbers, perhaps as text.

    Returns
    -------
    table : pyarrow.Table
        The table, with numbers left alone.
    n_escaped : int
        How many cells and names of columns were changed.
    """
    total = 0
    for i, name in enumerate(table.column_names):
        column, escaped_name = table.column(i), harmless(name)
        changed = 0
        if name not in numbers and is_text(column.type):
            column, changed = _escape_column(column)
        total += changed + (escaped_name != name)
        if changed or escaped_name != name:
            table = table.set_column(i, escaped_name, column)
    return table, total


def harmless(cell):
    """Put an apostrophe before text that a spreadsheet would run as a formula.

    Examples
    --------
    >>> harmless("=1+1"), harmless("-3")
    ("'=1+1", '-3')
    """
    is_formula = re.match(FORMULA, cell) and not re.match(HARMLESS, cell)
    return "'" + cell if is_formula else cell


def _escape_column(column):
    import pyarrow as pa
    import pyarrow.compute as pc

    strings = column.cast(pa.string())
    risky = pc.and_not(
        pc.match_substring_regex(strings, FORMULA),
        pc.match_substring_regex(strings, HARMLESS),
    )
    changed = pc.sum(risky).as_py() or 0
    if not changed:
        return column, 0
    escaped = pc.binary_join_element_wise("'", strings, "")
    return pc.if_else(risky, escaped, strings), changed
