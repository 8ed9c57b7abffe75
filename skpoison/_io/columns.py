"""Columns of a table as numbers, categories or text."""

import numpy as np

from .errors import DataError

NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"


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


def numbers(name, column, are_finite=False):
    """Return a column as an array of numbers.

    Parameters
    ----------
    name : str
        What errors call the column.
    column : pyarrow.ChunkedArray
        The column.
    are_finite : bool, default=False
        Whether all of them are known to be finite.

    Returns
    -------
    values : ndarray of shape (n_rows,)
        Finite numbers, and NaN where there are none.
    """
    import pyarrow as pa

    if not is_number(column.type):
        raise DataError(f"Column {name!r} holds {column.type}, not numbers.")
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    elif not pa.types.is_floating(column.type):
        column = column.cast(pa.float64(), safe=False)
    values = column.to_numpy()
    if are_finite:
        return values
    # A sum is finite only if all its terms are, and costs less than looking at each.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return values
    infinite = np.isinf(values)
    return np.where(infinite, np.nan, values) if infinite.any() else values


def words(name, column):
    """Return a column as strings; missing values are empty.

    Parameters
    ----------
    name : str
        What errors call the column.
    column : pyarrow.ChunkedArray
        The column.

    Returns
    -------
    distinct : ndarray of shape (n_distinct,), dtype=object
        Strings. Equal words are one object: less memory, and faster to tell apart.
    codes : ndarray of shape (n_rows,), dtype=int
        Which of them each row has.
    """
    import pyarrow as pa

    try:
        strings = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"Column {name!r} holds {column.type}, which is neither numbers nor words."
        ) from error
    encoded = strings.fill_null("").combine_chunks().dictionary_encode()
    distinct = encoded.dictionary.to_numpy(zero_copy_only=False).astype(object)
    blank = [not word.strip() for word in distinct]
    distinct[blank] = ""
    return distinct, encoded.indices.to_numpy()
