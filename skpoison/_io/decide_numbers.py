"""How columns of numbers are read, unless something else is said of them."""

import numpy as np

from skpoison._columns import whole_and_unique
from skpoison._words import counted

from . import identifiers
from .columns import is_number, numbers
from .decisions import FIRST_ROWS, NEARLY_ALL, WHAT, keep
from .missing_codes import CODES, TIMES_AS_OFTEN, codes_among, frequent_codes
from .plan import LeftOut, Numbers


def of_numbers(name, column, data, encoding):
    import pyarrow as pa

    if name in data.whole_columns:
        return Numbers(name=name)
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())  # Hardly anything is computed of halves.
    n_missing, n_wrong = _holes(column)
    same = {"name": name, "missing": n_missing, "wrong": n_wrong}
    if not n_missing:
        data.without_gaps.add(name)
    low, high = range_of(column)
    if low is None:
        return LeftOut(note="holds no finite number", **same)
    if low == high and not n_missing and _may_leave_out(name, encoding):
        if encoding.drop_constant:
            note = f"is {low:g} in every row"
            return LeftOut(note=note, option=keep(name), value=low, **same)
    elif _may_leave_out(name, encoding) and not n_missing:
        what = _names_rows(name, column)
        if what is not None:
            return left_out(name, column, WHAT[what], keep(name))
    if n_wrong:
        cells = counted(n_wrong, "infinite value")
        same["note"] = f"taken as missing: {cells}"
    elif not n_missing and _is_unique(column):
        same["note"] = "holds another whole number in every row, but not as identifiers"
        same["option"] = keep(name, "id")
    coded = of_codes(_with_codes(name, column, (low, high), encoding), encoding)
    same["missing"] += coded.pop("missing", 0)
    return Numbers(
        **(same | (coded or _as_code(name, column, data))),
        **_limits(column),
        nearly_constant=_is_nearly_constant(name, column),
    )


def _with_codes(name, column, ends, encoding):
    """Return the numbers of a column among which codes for missing values may be."""
    import pyarrow.types as types

    at_ends = encoding.codes is None and not any(end in CODES for end in ends)
    if encoding.codes == () or at_ends or types.is_boolean(column.type):
        return np.empty(0)
    values = numbers(name, column).astype(np.float64)
    return values[np.isfinite(values)]


def of_codes(values, encoding):
    """Return what there is to say of finite numbers among which codes may be."""
    are_guessed = encoding.codes is None
    codes = codes_among(values) if are_guessed else encoding.codes
    counts = {code: int(np.sum(values == code)) for code in codes}
    counts = {code: n for code, n in counts.items() if n}
    if not counts:
        return _of_frequent(values) if are_guessed else {}
    listed = ", ".join(
        f"{code:g} in {counted(n, 'cell')}" for code, n in counts.items()
    )
    text = f"taken as missing: {listed}"
    found = {"codes": tuple(counts), "missing": sum(counts.values())}
    if not are_guessed:
        return found | {"note": text, "option": ""}
    text += ", far from all other numbers"
    return found | {"doubt": text, "option": "--na none"}


def _of_frequent(values):
    """Return what there is to say of numbers that may be codes, although not far."""
    found = frequent_codes(values)
    if not found:
        return {}
    listed = ", ".join(
        f"{code:g} in {counted(int(np.sum(values == code)), 'cell')}" for code in found
    )
    often = f"more than {TIMES_AS_OFTEN} times as often as any other number"
    return {
        "doubt": f"{listed}, {often}, as codes for missing values are; read as numbers",
        "option": " ".join(f"--na {code:g}" for code in found),
    }


def _as_code(name, column, data):
    """Return what there is to say of whole numbers that look like codes."""
    cell = data.leading_zeros.get(name)
    if cell is not None:
        text = f"cells such as {cell} {identifiers.LIKE_CODES}"
    elif identifiers.is_called_code(name) and _has_one_width(column):
        text = "is called a code, and has as many digits in every row; read as numbers"
    else:
        return {}
    return {"doubt": text, "option": keep(name, "categorical")}


def _has_one_width(column):
    few = _few_whole(column)
    if few is None or not len(few) or few.min() <= 9:
        return False
    return len(np.unique(np.floor(np.log10(few)))) == 1


def _limits(column):
    """Say what new numbers are like: whole, and within the column's type."""
    import pyarrow.types as types

    kind = column.type
    if types.is_boolean(kind):
        return {"whole": True, "low": 0.0, "high": 1.0}
    if types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        return {"whole": True, "low": float(limits.min), "high": float(limits.max)}
    return {"whole": types.is_floating(kind) and _all_whole(column)}


# Rows at the beginning can have other values somewhat more often than all.
MARGIN = 0.02


def _is_nearly_constant(name, column):
    """Tell whether nearly all numbers are equal, and so equal to the middle one."""
    few = numbers(name, column.slice(0, FIRST_ROWS)).astype(np.float64)
    middle = np.median(few[np.isfinite(few)]) if np.isfinite(few).any() else np.nan
    if np.mean(few == middle) < NEARLY_ALL - MARGIN:
        return False  # as for most columns, which need not be counted to tell
    return bool(np.mean(numbers(name, column) == middle) >= NEARLY_ALL)


def _may_leave_out(name, encoding):
    return name not in encoding.features


def _holes(column):
    """Count the cells without a finite number, and those with one that is infinite."""
    import pyarrow.compute as pc
    import pyarrow.types as types

    missing = column.null_count
    if not types.is_floating(column.type) or np.isfinite(pc.sum(column).as_py() or 0):
        return missing, 0
    finite = pc.sum(pc.is_finite(column)).as_py() or 0
    infinite = pc.sum(pc.is_inf(column)).as_py() or 0
    return len(column) - finite, infinite


def range_of(column):
    """Return the least and the largest finite number, or None without any."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    if types.is_boolean(column.type):
        column = column.cast(pa.int8())
    elif types.is_floating(column.type) and not column.null_count and len(column):
        # A quarter of the time; where there is NaN, Arrow looks past it.
        values = column.to_numpy()
        low, high = values.min().item(), values.max().item()
        if low < high and np.isfinite(high - low):
            return low, high
    both = pc.min_max(column).as_py()
    low, high = both["min"], both["max"]
    if isinstance(low, float) and not np.isfinite(high - low):
        column = column.filter(pc.is_finite(column))
        both = pc.min_max(column).as_py()
        low, high = both["min"], both["max"]
    return low, high


def _names_rows(name, column):
    few = _few_whole(column)
    if few is None or identifiers.names_rows(name, few) is None:
        return None  # as for most columns, which need not be sorted to tell
    return identifiers.names_rows(name, column.to_numpy())


def _is_unique(column):
    few = _few_whole(column)
    if few is None or len(np.unique(few)) < len(few):
        return False
    return whole_and_unique(column.to_numpy()) == "unique"


def _few_whole(column):
    """Return the first numbers of a column, or None if they are not whole."""
    import pyarrow.types as types

    if not (types.is_integer(column.type) or types.is_floating(column.type)):
        return None
    few = column.slice(0, FIRST_ROWS).to_numpy()
    is_float = few.dtype.kind == "f"
    return None if is_float and not np.array_equal(few, np.rint(few)) else few


def _all_whole(column):
    values = column.slice(0, FIRST_ROWS).to_numpy()
    known = values[np.isfinite(values)]
    if not np.array_equal(known, np.rint(known)):
        return False
    values = column.to_numpy()
    known = values[np.isfinite(values)]
    return bool(np.array_equal(known, np.rint(known)))


def left_out(name, column, note, option):
    """Leave a column out; new rows get numbers that go on where the last one ends."""
    top = None
    if is_number(column.type):
        _, high = range_of(column)
        top = 1 if high is None else int(high) + 1
    return LeftOut(name=name, note=note, option=option, next_number=top)
