"""Poison rows in the types of the clean rows' columns."""

import numpy as np

from skpoison._column_types import is_sparse, listed


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
    """Raise an error where columns cannot hold the rows that an attack makes up."""
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
    """Return a column of poison rows as a Series of polars, or refuse."""
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
