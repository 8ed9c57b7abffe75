"""Which lines of a text file rows stand in."""

import csv
import io
from collections.abc import Iterator

import numpy as np

from .csv import BLOCK_BYTES, delimiter
from .errors import DataError
from .source import Source

TEXT = ("csv", "tsv", "jsonl", "svmlight")


def spans_of_lines(data, rows: np.ndarray) -> list | None:
    """Return the first and last line of rows, counted from 1, given their positions.

    Cells of delimited text can go over several lines. The result is None where there
    are no lines to show: for binary files, compressed ones, and data without a file.

    Raises
    ------
    DataError
        If the file has fewer rows than were read from it.
    """
    source = data.origin
    if source is None or source.format not in TEXT or source.compression:
        return None
    wanted = (data.row_numbers[rows] - 1).tolist()
    left, found = set(wanted), {}
    for row, span in enumerate(_spans(source, data)):
        if not left:
            break
        if row in left:
            found[row] = span
            left.discard(row)
    if left:
        raise DataError(f"{source.label} was changed while it was being read.")
    return [found[row] for row in wanted]


def _spans(source, data) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of each row of a text file."""
    if source.format in ("csv", "tsv"):
        yield from spans_of_csv(source, data.header, data.decimal_comma)
        return
    if source.format == "jsonl":
        from .jsonl import data_lines
    else:
        from .svmlight import data_lines
    for number, _ in data_lines(source):
        yield number, number


def spans_of_csv(source: Source, header: bool, decimal_comma: bool):
    """Yield the first and last line of each row of delimited text.

    Rows end, and empty lines are left out, where pyarrow does so, too.
    """
    limit = csv.field_size_limit(BLOCK_BYTES)
    try:
        # Not only line feeds end lines, and quoted ones end no row.
        with io.TextIOWrapper(source.open(), "utf-8-sig", newline="") as text:
            if header:
                text.readline()
            cells = csv.reader(text, delimiter=delimiter(source, decimal_comma))
            before = 0
            for row in cells:
                if row:
                    yield before + 1 + header, cells.line_num + header
                before = cells.line_num
    finally:
        csv.field_size_limit(limit)
