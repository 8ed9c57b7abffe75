"""Columns that rows may have in common: sources, times, anything given by ``by``."""

from datetime import date, datetime, time
from typing import Any

import numpy as np
from sklearn.utils.validation import _num_samples

from skpoison._column_types import is_frame

# Names of columns, and a value for each row. A column of times or numbers can come
# twice, as it is and in ranges.
Columns = list[tuple[str, np.ndarray]]
# Numbers and times with more distinct values are divided into ranges, too.
MOST_VALUES, N_RANGES = 20, 10


def columns_by(by: Any, X: Any) -> Columns:
    """Return the columns that rows may have in common, with their names."""
    if by is None:
        return []
    if isinstance(by, str):
        if not is_frame(X) or by not in list(X.columns):
            raise ValueError(
                f"by={by!r} is no column of X. Give the name of a column of a table, "
                "or an array with an entry for each row."
            )
        columns = {by: X[by]}
    elif is_frame(by):
        columns = {str(name): by[name] for name in by.columns}
    elif isinstance(by, dict):
        columns = by
    else:
        columns = {str(getattr(by, "name", None) or "by"): by}
    return [
        (name, one)
        for name, values in columns.items()
        for one in _with_ranges(_of_rows(name, values, X))
    ]


def _of_rows(name, values, X):
    found = np.asarray(values)
    if found.shape != (_num_samples(X),):
        raise ValueError(
            f"by must have one entry for each of the {_num_samples(X)} rows of X; "
            f"{name!r} has the shape {found.shape}."
        )
    return found


def _with_ranges(values):
    """Return a column, and its ranges if there are some."""
    yield values
    places, known = _in_order(values)
    distinct, codes = np.unique(places[known], return_inverse=True)
    if len(distinct) <= MOST_VALUES:
        return
    n_before = np.cumsum(np.bincount(codes)) - np.bincount(codes)
    bins = n_before * N_RANGES // len(codes)  # of each distinct value
    shown, ranges = values[known], np.full(len(values), "(no value)", dtype=object)
    first = np.unique(codes, return_index=True)[1]
    ends = [first[bins == i][[0, -1]] for i in np.unique(bins)]
    texts = np.array([f"{_text(shown[a])} to {_text(shown[b])}" for a, b in ends])
    ranges[known] = texts[np.unique(bins, return_inverse=True)[1][codes]]
    yield ranges


def _in_order(values):
    """Return numbers in the order of numbers or times, and which rows have one."""
    kind = values.dtype.kind
    if kind in "iuf":
        return values, ~np.isnan(values)
    if kind == "M":
        return values.astype("datetime64[us]").astype(np.int64), ~np.isnat(values)
    if kind == "O":
        known = np.array([isinstance(one, date) and one == one for one in values])
        if known.any():
            places = np.zeros(len(values))
            places[known] = [_seconds(one) for one in values[known]]
            return places, known
    return np.zeros(len(values)), np.zeros(len(values), dtype=bool)


def _seconds(when):
    if not isinstance(when, datetime):
        when = datetime.combine(when, time())
    return when.timestamp()


def _text(value):
    if isinstance(value, np.datetime64):
        return np.datetime_as_string(value, unit="auto").replace("T", " ")
    if isinstance(value, np.floating):
        return f"{value:.6g}"
    return str(value)
