"""Files of rejected rows that a person has reviewed."""

import json
from typing import NamedTuple

from skpoison._words import label_text

from .errors import DataError
from .own import VERDICT
from .source import Source
from .table import read_table

ROW, SUGGESTED = "skpoison_row", "skpoison_suggested_label"
# Where they are, counted from the end, in files without names of columns.
PLACES = {ROW: -5, SUGGESTED: -2, VERDICT: -1}


class Line(NamedTuple):
    """A reviewed row: where it is in the review, and what the review says of it."""

    place: str
    row: str
    verdict: str
    suggested: str
    labels: dict  # what could be labels: further cells, by column


def read_review(path, header=True, max_size=4.0):
    """Return the lines of a review.

    Raises
    ------
    DataError
        If the file cannot be read or lacks a column.
    """
    source = Source(path, None, max_size)
    if source.format in ("npz", "svmlight"):
        raise DataError(
            f"{source.label} cannot be reviewed; write rejected rows as CSV or JSON "
            "lines (--rejected FILE.csv)."
        )
    if source.format == "jsonl":
        found = _json_rows(source)
    else:
        found = _table_rows(source, header)
    return [
        Line(place, cells[ROW], cells[VERDICT], cells.get(SUGGESTED, ""), cells)
        for place, cells in found
    ]


def _json_rows(source):
    from .jsonl import data_lines

    for number, line in data_lines(source):
        try:
            values = json.loads(line)
        except ValueError as error:
            raise DataError(
                f"{source.label}, line {number} is not JSON: {error}."
            ) from error
        names = values if isinstance(values, dict) else {}
        _check_columns(source, names, f", line {number}")
        cells = {name: cell_text(value) for name, value in names.items()}
        yield f"line {number}", cells


def cell_text(value):
    """Return a cell as text; empty if it is missing."""
    return "" if value is None else label_text(value)


def _table_rows(source, header):
    if source.format == "parquet":
        table = read_table(source, None)
    else:
        from .csv import read_csv

        table = read_csv(source, header=header, as_text=True)
    names = table.column_names
    if not header and len(names) >= -PLACES[ROW]:
        for name, place in PLACES.items():
            names[place] = name
    _check_columns(source, names)
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    found = [dict(zip(names, map(cell_text, row), strict=True)) for row in rows]
    # Cells with several lines make lines and rows differ.
    is_one_line = not any("\n" in text for cells in found for text in cells.values())
    for i, cells in enumerate(found, start=1):
        is_line = is_one_line and source.format != "parquet"
        yield (f"line {i + header}" if is_line else f"data row {i}"), cells


def _check_columns(source, names, where=""):
    lacking = [name for name in (ROW, VERDICT) if name not in names]
    if lacking:
        raise DataError(
            f"{source.label}{where} has no column {lacking[0]!r}: give a file that "
            "--rejected wrote, with verdicts filled in."
        )
