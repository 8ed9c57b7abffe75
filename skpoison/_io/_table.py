"""Tables with named columns: delimited text and Parquet."""

import numpy as np

from ._errors import DataError, quoted
from ._labels import Labels

TARGETS = ("target", "label", "class", "y")


def read_table(source, options):
    """Read a source into a table.

    Parameters
    ----------
    source : Source
        Delimited text.
    options : Options
        What to know about it.

    Returns
    -------
    table : pyarrow.Table
        The cells.
    """
    from ._csv import read_csv

    table = read_csv(source, header=options.header)
    if table.num_rows == 0:
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
    labels : Labels
        The target column.
    columns : list of str
        The columns that are features.
    """

    test = None

    def __init__(self, source, table, options):
        self.source, self.table = source.label, table
        self._check_known("drop", options.drop)
        target = self._find_target(options.target)
        self.labels = _labels_of_column(target, table.column(target))
        leave = {target, *options.drop}
        self.columns = [name for name in table.column_names if name not in leave]
        if not self.columns:
            raise DataError(f"{self.source} has no columns beside {target!r}.")

    def __len__(self):
        return self.table.num_rows

    def column(self, name):
        """Return a column, or say that it is missing."""
        self._check_known("feature", [name])
        return self.table.column(name)

    def encoder(self, rows, options):
        """Learn from some rows how to turn rows into numbers."""
        from ._encode import TableEncoder

        return TableEncoder(self, rows, options)

    def _find_target(self, wanted):
        names = self.table.column_names
        if wanted is not None:
            self._check_known("target", [wanted])
            return wanted
        found = [name for name in names if name.lower() in TARGETS]
        if len(found) != 1:
            raise DataError(
                f"Which column of {self.source} holds the labels? Say so with "
                f"--target; the columns are {quoted(names)}."
            )
        return found[0]

    def _check_known(self, kind, wanted):
        names = self.table.column_names
        unknown = [name for name in wanted if name not in names]
        if unknown:
            raise DataError(
                f"{self.source} has no {kind} column {quoted(unknown)}; its columns "
                f"are {quoted(names)}."
            )


def _labels_of_column(name, column):
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
        row = int(np.argmax(lacking)) + 1
        raise DataError(f"The target column {name!r} has no label in row {row}.")
    order = sorted(range(len(values)), key=values.__getitem__)
    return Labels(name, [values[i] for i in order], np.argsort(order)[codes])
