"""What each column of a table is taken for, told from its cells and from options."""

from dataclasses import replace

import numpy as np

from . import dates
from .columns import is_number, is_text
from .decide_dates import of_dates
from .decide_numbers import left_out, of_numbers
from .decide_words import Words
from .decisions import NEARLY_ALL, Unreadable
from .errors import DataError, all_of, quoted
from .plan import Categories, LeftOut, Plan, Text, distinct


def plan_of(data, encoding):
    """Decide how the columns of a table are read.

    Parameters
    ----------
    data : TableData
        The table.
    encoding : Encoding
        What a person says of the columns.

    Returns
    -------
    plan : Plan
        How they are read.

    Raises
    ------
    DataError
        If columns cannot be read: all of them are named. If no column is left.
    """
    for name in (*encoding.named, *encoding.identifiers):
        data.column(name)
    found, problems = [], {}
    for name in data.columns:
        try:
            found.append(_decide(name, data, encoding))
        except Unreadable as error:
            problems[name] = str(error)
    if problems:
        raise DataError(all_of(problems))
    plan = Plan(found, _notes(found))
    if not plan.has_features:
        if encoding.drop_constant:  # which are left out beside others only
            return plan_of(data, replace(encoding, drop_constant=False))
        reasons = "; ".join(f"{o.name!r} {o.note}" for o in found)
        raise DataError(
            f"{data.source} has no column left to judge rows by: {reasons}."
        )
    _check_names(data, plan)
    return plan


def _check_names(data, plan):
    features = [name for one in plan.of_kind("dates") for name in one.features]
    twice = [name for name in features if name in data.columns]
    if twice:
        raise DataError(
            f"{quoted(twice)} would be a name of two features, of which one comes from "
            "dates; leave the dates out (--dates drop), or rename the column."
        )


def _decide(name, data, encoding):
    """Return how one column is read."""
    column = data.column(name)
    if name in encoding.identifiers:
        return left_out(name, column, "an identifier, as --id says", "")
    if name in encoding.text:
        return Text(name=name)
    if name in encoding.categorical:
        return _categories(name, column)
    if column.null_count == len(column):
        return LeftOut(name=name, note="holds nothing", missing=len(column))
    if is_number(column.type):
        return of_numbers(name, column, data, encoding)
    if is_text(column.type):
        return Words(name, column, data, encoding).decide()
    return _of_other_type(name, column, encoding)


def _categories(name, column):
    """Read a column as categories because a person says so."""
    import pyarrow.types as types

    nested = (types.is_nested(column.type), types.is_binary(column.type))
    if any(nested) and not types.is_dictionary(column.type):
        raise Unreadable(
            f"Column {name!r} holds {column.type}, which is neither numbers nor words."
        )
    values, codes = distinct(column)
    blank = [not (value or "").strip() for value in values.to_pylist()]
    return Categories(name=name, missing=int(np.array(blank, bool)[codes].sum()))


def _of_other_type(name, column, encoding):
    import pyarrow as pa
    import pyarrow.types as types

    kind = column.type
    if types.is_date(kind) or types.is_timestamp(kind) or types.is_time(kind):
        return of_dates(name, dates.micros_of(column), encoding)
    if types.is_binary(kind) or types.is_large_binary(kind):
        raise Unreadable(
            f"Column {name!r} holds bytes that are not UTF-8 text; save the file as "
            "UTF-8, or leave the column out with --drop."
        )
    if pa.types.is_null(kind):
        return LeftOut(name=name, note="holds nothing", missing=len(column))
    raise Unreadable(
        f"Column {name!r} holds {kind}, which is neither numbers nor words; "
        "leave it out with --drop."
    )


def _notes(found):
    """Say which columns are close to constant."""
    names = [one.name for one in found if one.nearly_constant]
    if not names:
        return []
    many = "holds" if len(names) == 1 else "hold"
    return [
        f"{quoted(names)} {many} one value in at least {100 * NEARLY_ALL:g} % of the "
        "rows."
    ]
