"""Delimited text, through pyarrow."""

import contextlib

from .columns import is_number
from .errors import DataError
from .source import HEAD

BLOCK_BYTES = 1 << 22  # Also the longest line that is read.
SMALL_BLOCK_BYTES = 1 << 20
NOT_UTF8 = "it is not UTF-8 text; save it as UTF-8."
DELIMITERS = ("\t", ";", "|")


def delimiter(source, decimal_comma=False):
    """Return what separates the cells: the one that the first line has most of."""
    if source.format == "tsv":
        return "\t"
    first = source.head.split(b"\n", 1)[0].decode("utf-8", "replace")
    if decimal_comma:
        return max([";", *DELIMITERS], key=first.count)
    if "," in first:
        return ","
    return max([",", *DELIMITERS], key=first.count)


def read_csv(source, *, header=True, decimal_comma=False, words=(), as_text=False):
    """Read delimited text into a table.

    Parameters
    ----------
    source : Source
        The text.
    header : bool, default=True
        Whether the first line holds the columns' names; otherwise they are called
        ``1``, ``2`` and so on.
    decimal_comma : bool, default=False
        Whether numbers are written as ``3,14``.
    words : tuple of str, default=()
        Columns whose cells are kept as they are written, whatever they look like.
    as_text : bool, default=False
        Whether that holds for all columns.

    Returns
    -------
    table : pyarrow.Table
        The cells.
    """
    import pyarrow as pa

    cell_end = delimiter(source, decimal_comma)
    names = names_of(source, header, cell_end)
    point = "," if decimal_comma else "."
    options = _options(names, header, cell_end, point, names if as_text else words)
    if header and _has_one_line(source):
        return pa.table({name: pa.array([], pa.string()) for name in names})
    if not _may_quote(source):
        with contextlib.suppress(pa.ArrowInvalid):
            return _read(source, *_without_quotes(*options))
    with contextlib.suppress(pa.ArrowInvalid):
        return _read(source, *options)
    try:
        # A single thread counts the lines, and so can say which one is wrong.
        options[0].use_threads = False
        return _read(source, *options)
    except pa.ArrowInvalid as error:
        raise DataError(f"{source.label} cannot be parsed: {_reason(error)}") from error


def first_cells(source, header=True, decimal_comma=False):
    """Return the first cells of each column as they are written, by column.

    Only what is kept of the source's beginning is looked at.
    """
    import csv

    cell_end = delimiter(source, decimal_comma)
    names = names_of(source, header, cell_end)
    text = source.head.decode("utf-8-sig", "replace")
    lines = text.splitlines(keepends=True)[int(header) : -1]
    rows = [row for row in csv.reader(lines, delimiter=cell_end) if len(row) >= 1]
    whole = [row for row in rows if len(row) == len(names)]
    columns = zip(*whole, strict=True) if whole else [()] * len(names)
    return dict(zip(names, columns, strict=True))


def _has_one_line(source):
    """Tell whether nothing follows the names of the columns."""
    with source.open() as file:
        file.readline(BLOCK_BYTES)
        rest = file.read(HEAD)
    return len(rest) < HEAD and not rest.strip()


def _may_quote(source):
    """Tell whether a cell could be quoted, so that lines could end within cells."""
    if not source.path:
        return True
    with open(source.path, "rb") as file:
        return any(b'"' in part for part in iter(lambda: file.read(BLOCK_BYTES), b""))


def _without_quotes(read, parse, convert):
    """Make reading faster for text in which all lines end where they seem to."""
    from pyarrow import csv

    return (
        csv.ReadOptions(
            block_size=SMALL_BLOCK_BYTES,
            column_names=read.column_names,
            skip_rows=read.skip_rows,
        ),
        csv.ParseOptions(delimiter=parse.delimiter, quote_char=False),
        convert,
    )


def _options(names, header, delimiter, point, words):
    import pyarrow as pa
    from pyarrow import csv

    return (
        csv.ReadOptions(
            block_size=BLOCK_BYTES, column_names=names, skip_rows=int(header)
        ),
        csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        csv.ConvertOptions(
            column_types=dict.fromkeys(words, pa.string()),
            strings_can_be_null=False,
            decimal_point=point,
        ),
    )


def _read(source, *options):
    import pyarrow as pa
    from pyarrow import csv

    # Arrow's own allocator asks for more pages, and spends as long on getting them as
    # parsing takes.
    pool = pa.system_memory_pool()
    with _arrow_file(source) as file:
        return _in_one_piece(csv.read_csv(file, *options, memory_pool=pool))


def _in_one_piece(table):
    """Join what blocks of text hold of each column of numbers, one after the other.

    Arrays see such a column as it lies, and else have it copied each time.
    """
    import pyarrow as pa

    pool = pa.system_memory_pool()
    columns, schema = table.columns, table.schema
    del table  # so that what is joined goes before the next column is
    for i, column in enumerate(columns):
        if is_number(column.type) and column.num_chunks > 1:
            columns[i] = column.combine_chunks(pool)
    return pa.table(columns, schema=schema)


def _arrow_file(source):
    import pyarrow as pa

    return pa.OSFile(source.path) if source.path else source.open()


def names_of(source, header, delimiter):
    """Return the columns' names, from the first line."""
    import csv

    limit = csv.field_size_limit(BLOCK_BYTES)
    try:
        line = _first_line(source)
        cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise DataError(f"{source.label} cannot be parsed: {error}.") from error
    finally:
        csv.field_size_limit(limit)
    if not cells:
        raise DataError(f"{source.label} begins with an empty line.")
    if not header:
        return [str(i + 1) for i in range(len(cells))]
    _check_names(source, cells)
    return cells


def _first_line(source):
    with source.open() as file:
        line = file.readline(BLOCK_BYTES)
    if len(line) == BLOCK_BYTES:
        raise DataError(
            f"{source.label} cannot be parsed: its first line is longer than "
            f"{BLOCK_BYTES >> 20} MB."
        )
    try:
        return line.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{source.label} cannot be parsed: {NOT_UTF8}") from error


def _check_names(source, cells):
    from .errors import quoted

    twice = sorted({cell for cell in cells if cells.count(cell) > 1})
    if twice:
        raise DataError(
            f"{source.label} has several columns with the same name: {quoted(twice)}."
        )
    numbers = [_is_number(cell) for cell in cells]
    counted = [str(i) for i in range(len(cells) + 1)]
    # Columns that are counted, 0, 1, 2, ..., are names that tables often have.
    if all(numbers) and cells not in (counted[:-1], counted[1:]):
        raise DataError(
            f"{source.label} begins with a line of numbers where the names of the "
            "columns should be; if it has no such line, say so with --no-header."
        )


def _is_number(cell):
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def _reason(error):
    text = str(error).removeprefix("CSV parse error: ")
    if "invalid UTF8" in text:
        return NOT_UTF8
    if "straddling" in text:
        return f"it has a line longer than {BLOCK_BYTES >> 20} MB."
    return text.removesuffix(".") + "."
