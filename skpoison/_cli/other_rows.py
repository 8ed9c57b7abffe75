"""Rows that are judged by what was learned from others: whether their columns agree."""

import numpy as np

from skpoison._io import DataError
from skpoison._io.errors import quoted
from skpoison._io.matrix import ArrayData
from skpoison._io.plan import CATEGORIES, LEFT_OUT, distinct
from skpoison._words import counted, name_text

SHOWN = 3


def check_columns(data, like, encoding):
    """Refuse rows that lack columns which those have that are learned from.

    All that are missing are named at once.
    """
    if isinstance(data, ArrayData):
        return
    wanted = [o.name for o in like.plan(encoding).columns if o.read_as != LEFT_OUT]
    missing = [name for name in wanted if name not in data.columns]
    if not missing:
        return
    what = "column" if len(missing) == 1 else "columns"
    raise DataError(
        f"{data.source} lacks the {what} {quoted(missing)} of {like.source}; its "
        f"columns are {quoted(data.columns)}. Give rows with the same columns, or "
        f"leave {'it' if len(missing) == 1 else 'them'} out of both files with --drop."
    )


def check_dropped(names, data, like):
    """Refuse columns that are to be left out, and that none of two files has."""
    if isinstance(data, ArrayData):
        return
    known = {*data.table.column_names, *like.table.column_names}
    missing = [name for name in names if name not in known]
    if missing:
        what = "column" if len(missing) == 1 else "columns"
        raise DataError(
            f"Neither {data.source} nor {like.source} has the {what} {quoted(missing)} "
            f"of --drop; the columns of {data.source} are "
            f"{quoted(data.table.column_names)}."
        )


def say_of_columns(session, data, like, plan):
    """Say which columns of rows are not used, and which words mean nothing here."""
    if plan is None:
        return
    more = [name for name in data.columns if name not in like.columns]
    if more:
        one = len(more) == 1
        session.say(
            f"{'Column' if one else 'Columns'} {quoted(more)} of {data.source} "
            f"{'is' if one else 'are'} not in {like.source}, and not used."
        )
    new = _new_categories(data, like, plan)
    if not new:
        return
    listed = [
        f"{name_text(name, 40)} {counted(n, 'cell')}, such as {name_text(word, 40)!r}"
        for name, (n, word) in list(new.items())[:SHOWN]
    ]
    if len(new) > SHOWN:
        listed.append(f"{counted(len(new) - SHOWN, 'more column')}")
    session.say(
        f"{data.source} has categories that no row of {like.source} has "
        f"({'; '.join(listed)}): they count as none of the known ones."
    )


def _new_categories(data, like, plan):
    """Count cells of unknown categories by column, and name the most frequent one."""
    found = {}
    for one in plan.of_kind(CATEGORIES):
        known = set(distinct(like.column(one.name))[0].to_pylist())
        cells, codes = distinct(data.column(one.name))
        words = cells.to_pylist()
        is_new = np.array([w.strip() != "" and w not in known for w in words], bool)
        counts = np.bincount(codes, minlength=len(words)) * is_new
        if counts.any():
            found[one.name] = int(counts.sum()), words[int(counts.argmax())]
    return found
