"""Rows written as JSON, an object in each line."""

import datetime
import json
import math

from .columns import is_number, is_text
from .errors import DataError

BATCH_ROWS = 1 << 10
TIMES = (datetime.date, datetime.time)  # A datetime is a date.


def dumped(row):
    """Return a row as JSON; numbers that are not finite become null.

    Parameters
    ----------
    row : dict
        Values by name.

    Returns
    -------
    text : str
        One line.

    Examples
    --------
    >>> dumped({"a": "é", "b": float("nan")})
    '{"a": "é", "b": null}'
    """
    row = {name: _finite(value) for name, value in row.items()}
    return json.dumps(row, ensure_ascii=False, allow_nan=False, default=_text_of)


def _finite(value):
    """Return None in place of what JSON has no numbers for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _text_of(value):
    if isinstance(value, TIMES):
        return value.isoformat()
    raise TypeError


def json_lines(table):
    """Yield the rows of a table as lines.

    Parameters
    ----------
    table : pyarrow.Table
        The rows.

    Yields
    ------
    line : bytes
        An object, without the end of the line.
    """
    for batch in table.to_batches(BATCH_ROWS):
        for row in batch.to_pylist():
            try:
                yield dumped(row).encode()
            except (TypeError, ValueError):
                raise DataError(_without_json(table, row)) from None


def _without_json(table, row):
    for name, value in row.items():
        try:
            dumped({name: value})
        except (TypeError, ValueError):
            kind = table.column(name).type
            return f"Column {name!r} holds {kind}, which cannot be written as JSON."
    raise AssertionError("A row is JSON if its values are.")


def as_numbers_again(table, schema, decimal_comma=False):
    """Turn cells that were kept as they are written into the numbers that were read.

    Parameters
    ----------
    table : pyarrow.Table
        Cells, of which some are text in place of numbers.
    schema : pyarrow.Schema
        What columns were read as.
    decimal_comma : bool, default=False
        Whether numbers are written as ``3,14``.

    Returns
    -------
    table : pyarrow.Table
        The table; empty cells among numbers are null.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    nothing = pa.scalar(None, pa.string())
    missing = pa.array(csv.ConvertOptions().null_values)
    for i, own in enumerate(table.schema):
        place = schema.get_field_index(own.name)
        if place < 0 or not is_text(own.type):
            continue
        kind = schema.field(place).type
        if pa.types.is_null(kind):
            cells = pa.nulls(len(table))
        elif is_number(kind):
            texts = pc.utf8_trim_whitespace(table.column(i))
            texts = pc.if_else(pc.is_in(texts, missing), nothing, texts)
            point = pc.replace_substring(texts, ",", ".") if decimal_comma else texts
            cells = point.cast(kind)
        else:
            continue
        table = table.set_column(i, own.name, cells)
    return table
