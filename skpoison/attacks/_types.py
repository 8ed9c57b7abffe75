"""Column types of tables: what they hold, and poison rows in them."""

from numbers import Number
from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison._frames import is_frame, is_pandas

SHOWN = 3


class Types(NamedTuple):
    """The types of the columns of rows, as far as attacks must know them.

    Parameters
    ----------
    names : list
        Names of the columns; empty for arrays and lists, which have one type.
    words : dict
        Types of the columns that hold no numbers, by position.
    categories : dict
        Types of the columns of categories that are numbers, by position.
    whole : dict
        Types of a table's columns of whole numbers or truth values, by position.
    floats : dict
        For each precision, the positions of the columns that have it; a slice for all.
    """

    names: list
    words: dict
    categories: dict
    whole: dict
    floats: dict

    @classmethod
    def of(cls, X):
        """Read the types of rows in any container."""
        if not is_frame(X):
            return _types_of_array(X)
        types = cls(list(X.columns), {}, {}, {}, {})
        read = _read_pandas if is_pandas(X) else _read_polars
        for place in range(len(types.names)):
            kind = X.dtypes.iloc[place] if is_pandas(X) else X.dtypes[place]
            what = read(X, place, kind)
            if isinstance(what, np.dtype):
                types.floats.setdefault(what, []).append(place)
            elif what is not None:
                getattr(types, what)[place] = kind
        return types

    def written(self, rows, dtype):
        """Return rows as the columns of floats will hold them.

        Parameters
        ----------
        rows : {ndarray, CSR matrix} of shape (n_rows, n_features)
            Rows.
        dtype : dtype
            Precision in which attacks were given the clean rows.

        Returns
        -------
        rows : {ndarray, CSR matrix} of shape (n_rows, n_features)
            Rows of that precision, or less precise where their column is.
        """
        rows = rows.astype(dtype)
        narrow = {k: at for k, at in self.floats.items() if k.itemsize < dtype.itemsize}
        for kind, places in narrow.items():
            if sparse.issparse(rows):
                at = np.isin(rows.indices, np.arange(rows.shape[1])[places])
                rows.data[at] = rows.data[at].astype(kind)
            else:
                rows[:, places] = rows[:, places].astype(kind)
        return rows

    def is_narrower(self, dtype):
        """Say whether a column is less precise than what attacks were given."""
        return any(kind.itemsize < dtype.itemsize for kind in self.floats)


def _types_of_array(X):
    types = Types([], {}, {}, {}, {})
    kind = getattr(X, "dtype", None)
    if kind is None or getattr(kind, "kind", "") == "O":
        cells = np.asarray(X, dtype=object).ravel() if kind is None else np.ravel(X)
        found = next((v for v in cells if isinstance(v, str | bytes)), None)
        if found is not None:
            types.words[0] = type(found).__name__
    elif kind.kind not in "biufc":
        types.words[0] = kind
    elif kind.kind == "f":
        types.floats[kind] = slice(None)
    return types


def _read_pandas(X, place, kind):
    import pandas as pd

    inner = getattr(kind, "subtype", kind) if _is_sparse(kind) else kind
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
        return np.dtype(kind.to_python()) if kind == pl.Float64 else _narrow(kind)
    if kind.is_numeric() or kind == pl.Null:
        return None
    return "words"


def _narrow(kind):
    import polars as pl

    return np.dtype(np.float32 if kind == pl.Float32 else np.float16)


def _is_sparse(kind):
    import pandas as pd

    return isinstance(kind, pd.SparseDtype)


def _may_be_number(value):
    """Say whether a cell is a number, or missing, which others complain about."""
    import pandas as pd

    return isinstance(value, Number | np.bool_) or value is None or value is pd.NA


def listed(types, columns):
    """Return where columns of some types are, for an error."""
    if not types.names:
        return f"X ({columns[0]})"
    shown = [
        f"{types.names[place]!r} ({kind})"
        for place, kind in list(columns.items())[:SHOWN]
    ]
    more = " and more" if len(columns) > SHOWN else ""
    return f"the columns of X {', '.join(shown)}{more}"


def check_numbers(types, attack):
    """Raise an error where columns hold no numbers."""
    if types.words:
        raise ValueError(
            f"{attack} computes with numbers, and there are none in "
            f"{listed(types, types.words)}. Encode them first, categories as one-hot "
            "columns (domain=Domain(groups=[...]) keeps them one category, where the "
            "attack has a domain), or leave them out."
        )


def check_moving(types, attack, columns):
    """Raise an error where columns cannot hold the rows that an attack makes up.

    Parameters
    ----------
    types : Types
        The types of the columns.
    attack : str
        Who asks.
    columns : Columns
        The attack's domain.
    """
    if types.categories:
        raise ValueError(
            f"{attack} moves rows as numbers, and what lies between two categories is "
            f"none: {listed(types, types.categories)}. Encode them as one-hot columns, "
            "and say so by domain=Domain(groups=[...]); or let them be numbers, if "
            "that is what they are."
        )
    whole = columns.whole | columns.one_hot
    broken = {at: kind for at, kind in types.whole.items() if not whole[at]}
    if broken:
        first = types.names[next(iter(broken))]
        raise ValueError(
            f"{attack} sends numbers that are not whole, which cannot be written to "
            f"{listed(types, broken)}. Say that the attacker sends whole numbers, as "
            f"by domain=Domain({{{first!r}: 'count'}}), or let the columns be floats."
        )


def as_type(values, kind, name):
    """Return a column of poison rows in the type of the clean rows' column.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Floats.
    kind : dtype
        A type of pandas.
    name : str
        Name of the column, for the error.

    Returns
    -------
    column : {ndarray, ExtensionArray} of shape (n_rows,)
        The same numbers.

    Raises
    ------
    ValueError
        If the type cannot hold them.
    """
    import pandas as pd

    if pd.api.types.is_object_dtype(kind):
        return values.astype(object)
    if isinstance(kind, pd.CategoricalDtype):
        return _as_categories(values, kind, name)
    inner = kind.subtype if _is_sparse(kind) else getattr(kind, "numpy_dtype", kind)
    if not isinstance(inner, np.dtype) or inner.kind not in "biuf":
        return _by_pandas(values, kind, name)
    return pd.array(cast(values, inner, name, kind), dtype=kind)


def cast(values, inner, name, kind):
    """Return numbers in a type of NumPy's that holds them exactly, floats rounded."""
    with np.errstate(invalid="ignore", over="ignore"):
        found = values.astype(inner)
        changed = found.astype(np.float64) != values
    if inner.kind != "f" and changed.any():
        refuse(name, kind, values[changed][0])
    return found


def _as_categories(values, kind, name):
    import pandas as pd

    known = np.asarray(kind.categories, dtype=np.float64)
    order = np.argsort(known)
    codes = order[np.searchsorted(known[order], values).clip(max=len(known) - 1)]
    strange = known[codes] != values
    if strange.any():
        refuse(name, kind, values[strange][0])
    return pd.Categorical.from_codes(codes, dtype=kind)


def _by_pandas(values, kind, name):
    """Let pandas make the column, where NumPy has no such type."""
    import pandas as pd

    column = pd.Series(values).astype(kind)
    changed = column.astype(np.float64).to_numpy() != values
    if changed.any():
        refuse(name, kind, values[changed][0])
    return column.array


def as_polars(values, kind, name):
    """Return a column of poison rows as a Series of polars, or refuse.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        Floats.
    kind : DataType
        A type of polars.
    name : str
        Name of the column.

    Returns
    -------
    column : Series
        The same numbers.
    """
    import polars as pl

    series = pl.Series(name, values, dtype=pl.Float64)
    found = series.cast(kind, strict=False)
    back = found.cast(pl.Float64).fill_null(np.nan).to_numpy()
    changed = back != values
    if changed.any() and not kind.is_float():
        refuse(name, kind, values[changed][0])
    return found


def refuse(name, kind, value):
    """Raise the error that a column cannot hold a value."""
    raise ValueError(
        f"A poison row has {value:g} in the column {name!r}, whose type {kind} cannot "
        "hold it. Give the attack a domain of numbers that it can, or let the column "
        "be of a type that holds all of them."
    )
