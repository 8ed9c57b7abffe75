"""From the columns of a table to a matrix."""

import numpy as np

from ._errors import DataError, quoted


class TableEncoder:
    """Turns the features of a table into a matrix of numbers.

    Parameters
    ----------
    data : TableData
        The table to learn from.
    rows : ndarray of int
        The rows to learn from.
    options : Encoding
        How columns become numbers.

    Attributes
    ----------
    names : list of str
        The names of the matrix's columns.
    """

    def __init__(self, data, rows, options):
        self.names = self._numeric = _numeric(data)

    def transform(self, data, rows):
        """Return the matrix of some rows.

        Parameters
        ----------
        data : TableData
            A table with the same columns.
        rows : ndarray of int
            Which rows.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features)
            Numbers, float64; float32 where all columns are.
        """
        columns = [data.column(name) for name in self._numeric]
        single = all(str(column.type) in ("float", "halffloat") for column in columns)
        X = np.empty((len(rows), len(columns)), np.float32 if single else np.float64)
        for j, (name, column) in enumerate(zip(self._numeric, columns, strict=True)):
            X[:, j] = numbers(name, column)[rows]
        return X


def _numeric(data):
    others = [name for name in data.columns if not is_number(data.column(name).type)]
    if others:
        raise DataError(
            f"{data.source} has columns that are not numbers: {quoted(others)}; leave "
            "them out with --drop."
        )
    return data.columns


def is_number(kind):
    """Tell whether a column of some type holds numbers."""
    import pyarrow.types as types

    return (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
    )


def numbers(name, column):
    """Return a column as an array of finite numbers.

    Parameters
    ----------
    name : str
        What errors call the column.
    column : pyarrow.ChunkedArray
        The column.

    Returns
    -------
    values : ndarray of shape (n_rows,)
        Numbers.
    """
    import pyarrow as pa

    if not is_number(column.type):
        raise DataError(f"Column {name!r} holds {column.type}, not numbers.")
    if not pa.types.is_floating(column.type):
        column = column.cast(pa.float64(), safe=False)
    values = column.to_numpy()
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite))
        cell = column[row].as_py()
        what = "no value" if cell is None else f"the value {cell}"
        raise DataError(
            f"Column {name!r} has {what} in row {row + 1}; every cell must hold a "
            "finite number."
        )
    return values
