"""Labels of poison rows in a pandas index."""

import re

import numpy as np

NAME = "poison-{}"
NAMED = re.compile(r"poison-(\d+)$")


def next_labels(index, n):
    """Continue the index of a table: no label of a poison row is a clean row's.

    Whole numbers, times and periods go on after the largest one, all else goes on with
    ``poison-0``, ``poison-1`` and so on, from the first number that is free. Of several
    levels, each goes on by itself.

    Parameters
    ----------
    index : Index
        The clean rows' labels.
    n : int
        Number of poison rows.

    Returns
    -------
    labels : Index
        Distinct labels, with the names and, where it can hold them, of the type of
        `index`.
    """
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        levels = map(index.get_level_values, range(index.nlevels))
        levels = [next_labels(level, n) for level in levels]
        return pd.MultiIndex.from_arrays(levels, names=index.names)
    if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex | pd.PeriodIndex):
        labels = _next_times(index, n)
        if labels is not None:
            return labels.rename(index.name)
    if pd.api.types.is_integer_dtype(index.dtype):
        return pd.Index(_next_integers(index, n), name=index.name)
    if pd.api.types.is_float_dtype(index.dtype):
        return pd.Index(_next_floats(index, n), dtype=index.dtype, name=index.name)
    return pd.Index(_next_names(index, n), dtype=_type_of_names(index), name=index.name)


def _next_times(index, n):
    """Return later times, a step of the index (or of its unit) apart, if there are."""
    import pandas as pd

    last, steps = index.max(), np.arange(1, n + 1)
    if last is pd.NaT:
        return None
    try:
        if isinstance(index, pd.PeriodIndex):
            return pd.PeriodIndex([last + step for step in steps.tolist()], index.dtype)
        if index.freq is not None:
            return type(index)([last + step * index.freq for step in steps.tolist()])
        return last + pd.to_timedelta(steps, unit=index.unit).as_unit(index.unit)
    except (OverflowError, pd.errors.OutOfBoundsDatetime):
        return None


def _next_integers(index, n):
    """Return whole numbers after the largest one, or the least that are free."""
    import pandas as pd

    kind = getattr(index.dtype, "numpy_dtype", index.dtype)
    values = np.asarray(index.dropna(), dtype=kind)
    first = int(values.max()) + 1 if len(values) else 0
    if first + n - 1 <= np.iinfo(kind).max:
        labels = [*range(first, first + n)]
    else:
        labels = _free(values, n)
    fits = not labels or max(labels) <= np.iinfo(kind).max
    return pd.array(labels, dtype=index.dtype if fits else np.int64)


def _next_floats(index, n):
    """Return whole numbers after the largest one, or the least that are free."""
    kind = getattr(index.dtype, "numpy_dtype", index.dtype)
    values = np.asarray(index.dropna(), dtype=kind)
    first = np.floor(float(values.max(initial=-1.0))) + 1.0
    if first + n < 2.0 / np.finfo(kind).eps:  # beyond, not all whole numbers are there
        return first + np.arange(n)
    return _free(values, n)


def _free(values, n):
    """Return the least whole numbers, from 0, that are not among the values."""
    candidates = np.arange(len(values) + n)
    return candidates[~np.isin(candidates, values)][:n].tolist()


def _next_names(index, n):
    found = [NAMED.match(label) for label in index if isinstance(label, str)]
    first = max((int(match[1]) + 1 for match in found if match), default=0)
    return [NAME.format(first + i) for i in range(n)]


def _type_of_names(index):
    """Return the type of an index of strings; names make objects of any other."""
    import pandas as pd

    is_text = isinstance(index.dtype, pd.StringDtype)
    return index.dtype if is_text else object
