"""Columns of a table as numbers, categories or text."""

from typing import NamedTuple

import numpy as np

from skpoison._columns import FEWEST_NUMBERED, whole_and_unique

from .errors import DataError

NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
COMMA = r"^\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*$"
GROUPED = r"^\s*[-+]?\d{1,3}([.,' ]\d{3})+([.,]\d+)?\s*$"
# A column of words in which so many cells are numbers has slips, not categories.
MOSTLY = 0.8
FEW_CATEGORIES = 100
FIRST_ROWS = 1000


def is_number(kind):
    """Tell whether a column of some type holds numbers."""
    import pyarrow.types as types

    return (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
    )


def is_text(kind):
    """Tell whether a column of some type holds text."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        return is_text(kind.value_type)
    return types.is_string(kind) or types.is_large_string(kind) or str(kind) in VIEWS


VIEWS = ("string_view",)


def row_of_table(row):
    """Say where a row of a table stands."""
    return f"data row {row + 1}"


def numbers(name, column, where=row_of_table):
    """Return a column as an array of finite numbers.

    Parameters
    ----------
    name : str
        What errors call the column.
    column : pyarrow.ChunkedArray
        The column.
    where : callable, default=row_of_table
        Says where a row stands, given its position.

    Returns
    -------
    values : ndarray of shape (n_rows,)
        Numbers.
    """
    import pyarrow as pa

    if not is_number(column.type):
        raise DataError(f"Column {name!r} holds {column.type}, not numbers.")
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    elif not pa.types.is_floating(column.type):
        column = column.cast(pa.float64(), safe=False)
    values = column.to_numpy()
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite))
        cell = column[row].as_py()
        what = "no value" if cell is None else f"the value {cell}"
        raise DataError(
            f"Column {name!r} has {what} in {where(row)}; every cell must hold a "
            "finite number. Fill such cells, leave their rows out, or leave out the "
            "column (--drop)."
        )
    return values


def words(name, column):
    """Return a column as an array of strings; missing values are empty.

    Parameters
    ----------
    name : str
        What errors call the column.
    column : pyarrow.ChunkedArray
        The column.

    Returns
    -------
    values : ndarray of shape (n_rows,), dtype=object
        Strings.
    """
    import pyarrow as pa

    try:
        strings = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"Column {name!r} holds {column.type}, which is neither numbers nor words."
        ) from error
    # Equal words are one object: less memory, and faster to tell apart.
    encoded = strings.fill_null("").combine_chunks().dictionary_encode()
    distinct = encoded.dictionary.to_numpy(zero_copy_only=False).astype(object)
    return distinct[encoded.indices.to_numpy()]


def check_categories(name, column, where=row_of_table):
    """Raise an error if words look like anything but categories.

    Parameters
    ----------
    name : str
        What errors call the column.
    column : pyarrow.ChunkedArray
        Strings.
    where : callable, default=row_of_table
        Says where a row stands, given its position.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    strings = column.cast(pa.string()).fill_null("")
    _check_commas(name, strings)
    numeric = pc.match_substring_regex(strings, NUMBER)
    if MOSTLY * len(column) <= pc.sum(numeric).as_py() < len(column):
        row = pc.index(numeric, False).as_py()
        raise DataError(
            f"Column {name!r} holds numbers, but {strings[row].as_py()[:40]!r} in "
            f"{where(row)}. Mend or fill such cells, or take the column as categories "
            "(--categorical) or leave it out (--drop)."
        )
    distinct = pc.count_distinct(strings).as_py()
    if distinct > max(FEW_CATEGORIES, len(column) / 2):
        raise DataError(
            f"Column {name!r} has {distinct:,} different values in {len(column):,} "
            "rows: a name or a number of the row, or free text? Leave it out (--drop), "
            "or take its words as features (--text-column)."
        )


def _check_commas(name, strings):
    """Raise an error if words are numbers with commas or with groups of digits."""
    import pyarrow.compute as pc

    hints = {
        COMMA: "say --decimal-comma if that is a decimal comma.",
        GROUPED: "write them without separators of thousands.",
    }
    for pattern, hint in hints.items():
        found = pc.match_substring_regex(strings, pattern)
        if pc.sum(found).as_py() >= MOSTLY * len(strings):
            cell = strings[pc.index(found, True).as_py()].as_py().strip()
            raise DataError(f"Column {name!r} holds numbers such as {cell}; {hint}")


def names_rows(column):
    """Tell whether a column looks like names of the rows: all its cells differ.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        The column.

    Returns
    -------
    kind : {"numbering", "unique", "words"} or None
        Numbers each row once, in whatever order; holds another whole number in every
        row; another word in every row.
    """
    import pyarrow.compute as pc
    import pyarrow.types as types

    if column.null_count or len(column) < FEWEST_NUMBERED:
        return None
    if types.is_integer(column.type) or types.is_floating(column.type):
        few = column.slice(0, FIRST_ROWS).to_numpy()
        if len(few) == FIRST_ROWS and whole_and_unique(few) is None:
            return None  # as for most columns, which need not be sorted to tell
        return whole_and_unique(column.to_numpy())
    if types.is_dictionary(column.type):
        # Not every pyarrow counts the words of a dictionary.
        column = column.cast(column.type.value_type)
    if is_text(column.type):
        return "words" if pc.count_distinct(column).as_py() == len(column) else None
    return None


class Roles(NamedTuple):
    """Names of columns: of numbers, of categories and of free text."""

    numeric: list
    categorical: list
    text: list


def roles(data, encoding):
    """Return which columns of a table an encoding takes for what."""
    for name in (*encoding.categorical, *encoding.text):
        data.column(name)
    found = Roles([], [], [])
    for name in data.columns:
        getattr(found, _role(name, data, encoding)).append(name)
    return found


def _role(name, data, encoding):
    import pyarrow as pa

    column = data.column(name)
    if name in encoding.text:
        return "text"
    if name in encoding.categorical:
        return "categorical"
    if is_number(column.type):
        return "numeric"
    if is_text(column.type):
        check_categories(name, column, data.where)
        return "categorical"
    if pa.types.is_null(column.type):
        raise DataError(f"Column {name!r} is empty; leave it out with --drop.")
    if pa.types.is_temporal(column.type):
        raise DataError(
            f"Column {name!r} holds dates or times; leave it out with --drop, or put "
            "numbers in their place, such as days."
        )
    if pa.types.is_binary(column.type):
        raise DataError(
            f"Column {name!r} holds bytes that are not UTF-8 text; save the file as "
            "UTF-8, or leave the column out with --drop."
        )
    raise DataError(
        f"Column {name!r} holds {column.type}, which is neither numbers nor words; "
        "leave it out with --drop."
    )
