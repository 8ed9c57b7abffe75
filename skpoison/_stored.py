"""Tables as arrays, for files that know arrays only.

Fitted estimators that keep their training rows hold tables of pandas or polars. Formats
without pickles know no such tables, so they are stored column by column, and read back
with the same names, types and cells. The index is not stored: rows count as rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from skpoison._column_types import is_frame, is_pandas


class Texts(NamedTuple):
    """Texts in one array of bytes; None where there is none."""

    content: np.ndarray  # of all texts, one after the other, as UTF-8
    ends: np.ndarray  # where each ends
    missing: np.ndarray

    @classmethod
    def of(cls, texts: list) -> Texts:
        """Store texts."""
        coded = [(text or "").encode("utf-8", "surrogatepass") for text in texts]
        content = np.frombuffer(b"".join(coded), dtype=np.uint8)
        ends = np.cumsum([len(one) for one in coded], dtype=np.int64)
        return cls(content, ends, np.array([text is None for text in texts], bool))

    def read(self) -> list:
        """Return the texts."""
        content, start, found = self.content.tobytes(), 0, []
        pairs = zip(self.ends.tolist(), self.missing.tolist(), strict=True)
        for end, is_missing in pairs:
            text = content[start:end].decode("utf-8", "surrogatepass")
            found.append(None if is_missing else text)
            start = end
        return found


class Column(NamedTuple):
    """A column: what its type is called, and its cells."""

    kind: str
    cells: Any  # an array of numbers, or texts
    missing: Any = None  # a mask, for types of numbers in which values can be missing
    categories: Any = None  # a column, or texts
    is_ordered: bool = False


class StoredTable(NamedTuple):
    """A table as arrays."""

    library: str
    names: list
    columns: list

    def read(self) -> Any:
        """Return the table."""
        pairs = zip(self.names, self.columns, strict=True)
        if self.library == "pandas":
            import pandas as pd

            return pd.DataFrame({name: _in_pandas(column) for name, column in pairs})
        import polars as pl

        return pl.DataFrame([_in_polars(name, column) for name, column in pairs])


def stored(rows: Any) -> Any:
    """Return a table as arrays; other rows, and tables of rarer types, as they are."""
    if not is_frame(rows) or not all(isinstance(n, str | int) for n in rows.columns):
        return rows
    names = list(rows.columns)
    if is_pandas(rows):
        columns = [_of_pandas(rows.iloc[:, at]) for at in range(len(names))]
        library = "pandas"
    else:
        columns = [_of_polars(rows[name]) for name in names]
        library = "polars"
    if not names or None in columns:
        return rows
    found = StoredTable(library, names, columns)
    return found if _is_same(found.read(), rows) else rows


def restored(rows: Any) -> Any:
    """Return what was stored, as it was."""
    return rows.read() if isinstance(rows, StoredTable) else rows


def _is_same(read, rows):
    if is_pandas(rows):
        same_types = read.dtypes.tolist() == rows.dtypes.tolist()
        return same_types and read.equals(rows.reset_index(drop=True))
    return read.schema == rows.schema and read.equals(rows)


def _of_pandas(series):
    """Return a column of pandas; None if its type is not known here."""
    import pandas as pd

    kind = series.dtype
    if isinstance(kind, pd.CategoricalDtype):
        values = _of_pandas(pd.Series(kind.categories))
        if values is None:
            return None
        codes = series.cat.codes.to_numpy()
        return Column("category", codes, None, values, bool(kind.ordered))
    if isinstance(kind, np.dtype) and kind.kind in "biuf":
        return Column(kind.name, series.to_numpy())
    if isinstance(kind, np.dtype) and kind.kind in "mM":
        return Column(kind.str, series.to_numpy().view(np.int64))
    if isinstance(kind, pd.StringDtype) or kind.kind == "O":
        return _of_texts(series.astype(object).tolist(), str(kind))
    if isinstance(kind, pd.api.extensions.ExtensionDtype) and kind.kind in "biuf":
        plain = getattr(kind, "numpy_dtype", None)
        if isinstance(plain, np.dtype):
            missing = series.isna().to_numpy()
            cells = series.to_numpy(dtype=plain, na_value=plain.type(0))
            return Column(str(kind), cells, missing)
    return None


def _of_texts(cells, kind):
    """Store texts; None if objects hold anything else but None and NaN."""
    nan = np.array([isinstance(cell, float) and cell != cell for cell in cells], bool)
    texts = [cell if isinstance(cell, str) else None for cell in cells]
    n_none = sum(cell is None for cell in cells)
    n_others = sum(text is None for text in texts) - nan.sum() - n_none
    if kind == "object" and n_others:
        return None
    return Column(kind, Texts.of(texts), nan)


def _in_pandas(column):
    import pandas as pd

    if column.categories is not None:
        categories = _in_pandas(column.categories)
        return pd.Categorical.from_codes(
            column.cells, categories=categories, ordered=column.is_ordered
        )
    if isinstance(column.cells, Texts):
        texts = pd.Series(column.cells.read(), dtype=column.kind)
        if column.kind == "object":
            texts[column.missing] = np.nan
        return texts
    if column.missing is not None:
        cells = pd.array(column.cells, dtype=column.kind)
        cells[column.missing] = pd.NA
        return cells
    kind = np.dtype(column.kind)
    return column.cells.view(kind) if kind.kind in "mM" else column.cells


def _of_polars(series):
    """Return a column of polars; None if its type is not known here."""
    import polars as pl

    kind = series.dtype
    if kind.is_numeric() or kind == pl.Boolean:
        if kind.is_decimal():
            return None
        missing = series.is_null().to_numpy()
        plain = series.fill_null(False if kind == pl.Boolean else 0)
        return Column(str(kind), plain.to_numpy(), missing)
    if kind == pl.Enum:
        levels = Texts.of(kind.categories.to_list())
        return Column("Enum", Texts.of(series.to_list()), None, levels)
    if kind in (pl.String, pl.Categorical):
        return Column(str(kind), Texts.of(series.to_list()))
    return None


def _in_polars(name, column):
    import polars as pl

    kind: Any = getattr(pl, column.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, pl.DataType)):
        raise ValueError(f"polars has no type of columns {column.kind!r}.")
    if column.categories is not None:
        kind = pl.Enum(column.categories.read())
    if isinstance(column.cells, Texts):
        return pl.Series(name, column.cells.read(), dtype=pl.String).cast(kind)
    found = pl.Series(name, column.cells, dtype=kind)
    return found.set(pl.Series(column.missing), None)
