"""Whose table something is, what its columns hold, and what can be written to them.

Columns hold numbers, more or less exactly, or something else; poison rows are written
in the types of the clean rows' columns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Number
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _num_samples

# What scikit-learn reads as rows, tables among it.
RowsLike: TypeAlias = ArrayLike | sparse.sparray | sparse.spmatrix

SHOWN = 3
# What NumPy, pandas and polars say of cells that are no numbers.
NO_NUMBER = re.compile(
    "could not convert string to float|float.. argument must be|too large to convert"
    "|setting an array element with a sequence|Cannot cast array data"
)


def is_pandas(data: object) -> bool:
    """Say whether something is a DataFrame or Series of pandas."""
    return hasattr(data, "iloc")


def is_polars(data: object) -> bool:
    """Say whether something is a DataFrame or Series of polars."""
    is_there = type(data).__module__.partition(".")[0] == "polars"
    return is_there and hasattr(data, "to_numpy")


def is_frame(data: object) -> bool:
    """Say whether something is a DataFrame of pandas or polars, no Series."""
    return (is_pandas(data) or is_polars(data)) and hasattr(data, "columns")


class Types(NamedTuple):
    """The types of the columns of rows, by position, as far as attacks need them."""

    names: list  # of the columns; empty for arrays and lists, which have one type
    words: dict  # columns that hold no numbers
    categories: dict  # columns of categories that are numbers
    whole: dict  # a table's columns of whole numbers or truth values
    floats: dict  # for each precision by name, its columns; a slice for all

    @classmethod
    def of(cls, X: Any) -> Types:
        """Read the types of rows in any container."""
        if not is_frame(X):
            return _types_of_array(X)
        types = cls(list(X.columns), {}, {}, {}, {})
        read = _read_pandas if is_pandas(X) else _read_polars
        for place in range(len(types.names)):
            kind = X.dtypes.iloc[place] if is_pandas(X) else X.dtypes[place]
            what = read(X, place, kind)
            if isinstance(what, np.dtype):
                types.floats.setdefault(what.name, []).append(place)
            elif what is not None:
                getattr(types, what)[place] = kind
        return types

    def written(self, rows: Any, dtype: np.dtype) -> Any:
        """Return rows in a precision, or less precise where their column is."""
        rows = rows.astype(dtype)
        for kind, places in self.floats.items():
            if np.dtype(kind).itemsize >= dtype.itemsize:
                continue
            if sparse.issparse(rows):
                at = np.isin(rows.indices, np.arange(rows.shape[1])[places])
                rows.data[at] = rows.data[at].astype(kind)
            else:
                rows[:, places] = rows[:, places].astype(kind)
        return rows

    def is_narrower(self, dtype: np.dtype) -> bool:
        """Say whether a column is less precise than what attacks were given."""
        return any(np.dtype(kind).itemsize < dtype.itemsize for kind in self.floats)


def _types_of_array(X):
    types = Types([], {}, {}, {}, {})
    kind = getattr(X, "dtype", None)
    if isinstance(X, list | tuple) or getattr(kind, "kind", None) == "O":
        cells = np.asarray(X, dtype=object).ravel()
        found = next((cell for cell in cells if isinstance(cell, str | bytes)), None)
        if found is not None:
            types.words[0] = type(found).__name__
    elif isinstance(kind, np.dtype) and kind.kind not in "biufc":
        types.words[0] = kind
    elif isinstance(kind, np.dtype) and kind.kind == "f":
        types.floats[kind.name] = slice(None)
    return types


def _read_pandas(X, place, kind):
    import pandas as pd

    inner = getattr(kind, "subtype", kind) if is_sparse(kind) else kind
    if isinstance(inner, pd.CategoricalDtype):
        numeric = pd.api.types.is_numeric_dtype(inner.categories.dtype)
        return "categories" if numeric else "words"
    if pd.api.types.is_object_dtype(inner):
        cells = X.iloc[:, place]
        return None if all(map(_may_be_number, cells)) else "words"
    if not pd.api.types.is_numeric_dtype(inner):
        return "words"
    inner = getattr(inner, "numpy_dtype", inner)
    if inner.kind == "f":
        return inner
    return "whole" if inner.kind in "biu" else None


def _read_polars(X, place, kind):
    import polars as pl

    if kind.is_integer() or kind == pl.Boolean:
        return "whole"
    if kind.is_float():
        return np.dtype(str(kind).lower())
    if kind.is_numeric() or kind == pl.Null:
        return None
    return "words"


def is_sparse(kind: object) -> bool:
    """Say whether a type of pandas is that of sparse columns."""
    import pandas as pd

    return isinstance(kind, pd.SparseDtype)


def _may_be_number(value):
    """Say whether a cell is a number, or missing, which others complain about."""
    import pandas as pd

    return isinstance(value, Number | np.bool_) or value is None or value is pd.NA


def listed(types: Types, columns: dict) -> str:
    """Return where columns of some types are, for an error."""
    if not types.names:
        return f"X ({columns[0]})"
    shown = [
        f"{types.names[place]!r} ({kind})"
        for place, kind in list(columns.items())[:SHOWN]
    ]
    more = " and more" if len(columns) > SHOWN else ""
    return f"the columns of X {', '.join(shown)}{more}"


def check_numbers(types: Types, attack: str) -> None:
    """Raise an error where columns hold no numbers."""
    if types.words:
        raise ValueError(
            f"{attack} requires numeric columns; got non-numeric values in "
            f"{listed(types, types.words)}. Encode them, or leave them out. Encode "
            "categories as one-hot columns; if the attack has a domain, set "
            "domain=Domain(groups=[...])."
        )


def check_moving(types: Types, attack: str, columns: Any) -> None:
    """Raise an error where columns cannot hold the rows that an attack makes up.

    `columns` are those of the attack's domain.
    """
    if types.categories:
        raise ValueError(
            f"{attack} creates rows between the clean ones, which is not possible "
            f"for categories: {listed(types, types.categories)}. Encode them as "
            "one-hot columns and set domain=Domain(groups=[...]), or convert them to "
            "numbers if they are numeric."
        )
    whole = columns.whole | columns.one_hot
    broken = {at: kind for at, kind in types.whole.items() if not whole[at]}
    if broken:
        first = types.names[next(iter(broken))]
        raise ValueError(
            f"{attack} creates non-integer values, which cannot be stored in "
            f"{listed(types, broken)}. Restrict the attacker to integers, for example "
            f"with domain=Domain({{{first!r}: 'count'}}), or convert the columns to "
            "floats."
        )


def as_type(values: np.ndarray, kind: Any, name: object) -> Any:
    """Return a column of poison rows in the type of the clean rows' column."""
    import pandas as pd

    if pd.api.types.is_object_dtype(kind):
        return values.astype(object)
    if isinstance(kind, pd.CategoricalDtype):
        return _as_categories(values, kind, name)
    inner = kind.subtype if is_sparse(kind) else getattr(kind, "numpy_dtype", kind)
    if not isinstance(inner, np.dtype) or inner.kind not in "biuf":
        return _by_pandas(values, kind, name)
    return pd.array(cast(values, inner, name, kind), dtype=kind)


def cast(values: np.ndarray, inner: np.dtype, name: object, kind: object) -> np.ndarray:
    """Return numbers in a type of NumPy's that holds them exactly, floats rounded."""
    with np.errstate(invalid="ignore", over="ignore"):
        found = values.astype(inner)
        changed = found.astype(np.float64) != values
    if inner.kind != "f" and changed.any():
        _refuse(name, kind, values[changed][0])
    return found


def _as_categories(values, kind, name):
    import pandas as pd

    known = np.asarray(kind.categories, dtype=np.float64)
    order = np.argsort(known)
    codes = order[np.searchsorted(known[order], values).clip(max=len(known) - 1)]
    strange = known[codes] != values
    if strange.any():
        _refuse(name, kind, values[strange][0])
    return pd.Categorical.from_codes(codes, dtype=kind)


def _by_pandas(values, kind, name):
    """Let pandas make the column, where NumPy has no such type."""
    import pandas as pd

    column = pd.Series(values).astype(kind)
    changed = column.astype(np.float64).to_numpy() != values
    if changed.any():
        _refuse(name, kind, values[changed][0])
    return column.array


def as_polars(values: np.ndarray, kind: Any, name: str) -> Any:
    """Return a column of poison rows as a Series of polars, or refuse."""
    import polars as pl

    series = pl.Series(name, values, dtype=pl.Float64)
    found = series.cast(kind, strict=False)
    back = found.cast(pl.Float64).fill_null(np.nan).to_numpy()
    changed = back != values
    if changed.any() and not kind.is_float():
        _refuse(name, kind, values[changed][0])
    return found


def _refuse(name, kind, value):
    """Raise the error that a column cannot hold a value."""
    raise ValueError(
        f"A poison row has the value {value:g} in the column {name!r}, which its type "
        f"{kind} cannot represent. Restrict the attack's domain to values that it can "
        "represent, or convert the column to a wider type."
    )


def check_holds_rows(X: Any) -> None:
    """Refuse what holds no rows, and tables with columns of the same name."""
    if hasattr(X, "collect") and not hasattr(X, "__len__"):
        raise ValueError(
            f"X must be a table; got a {type(X).__name__}: call its collect() first."
        )
    is_rows = any(hasattr(X, name) for name in ("__len__", "shape", "__array__"))
    if isinstance(X, str | bytes | dict | set) or not is_rows:
        raise ValueError(
            "X must hold rows: an array, a sparse matrix, a DataFrame, a list of rows "
            f"or of texts; got an object of type {type(X).__name__}."
        )
    if getattr(X, "shape", None) == () or _num_samples(X) == 0:
        raise ValueError(
            "X must hold rows: 0 sample(s) are in it, at least 1 is needed."
        )
    if is_frame(X):
        check_names(X)


def check_names(X: Any) -> None:
    """Refuse tables with columns of the same name, which cannot be told apart."""
    twice = [name for name, times in Counter(X.columns).items() if times > 1]
    if twice:
        raise ValueError(
            f"X has several columns called {twice[0]!r}: rename them, or leave out all "
            "but one."
        )


@contextmanager
def numbers_needed(filter_: BaseEstimator, X: RowsLike) -> Iterator[None]:
    """Say what to do, in the error, where rows hold texts, categories or dates."""
    try:
        yield
    except (ValueError, TypeError, OverflowError) as error:
        is_type = isinstance(error, np.exceptions.DTypePromotionError)
        if not is_type and not NO_NUMBER.search(str(error)):
            raise
        which = "" if is_type else f" ({error})"
        instead = filter_._instead
        # Arrays of cells that are no numbers are a TypeError, as in scikit-learn.
        is_cell = isinstance(error, TypeError) and not is_type and not is_frame(X)
        kind = TypeError if is_cell else ValueError
        raise kind(
            f"{type(filter_).__name__} requires numeric rows; X has non-numeric values"
            f"{_where(X)}{which}. {instead}"
        ) from error


def _where(X):
    """Name the columns of a table that are not numeric."""
    if not is_frame(X):
        return ""
    types = Types.of(X)
    columns = [types.names[place] for place in types.words]
    return f" in the columns {columns}" if columns else ""
