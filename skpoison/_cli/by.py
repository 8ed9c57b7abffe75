"""Which source, or which time, the rejected rows come from."""

import numpy as np
from rich.text import Text
from scipy.stats import hypergeom

from skpoison._io import DataError
from skpoison._io.columns import is_number, is_text
from skpoison._io.dates import style_of
from skpoison._io.plan import distinct
from skpoison._words import NONE, counted, one_line, percent_text

from .report import new_table

# Numbers and times with more distinct values are divided into ranges.
MOST_VALUES, N_RANGES = 20, 10
N_SHOWN = 20
MISSING = "(no value)"
# Largest probability, over all values, that chance alone rejects so many rows of one.
LEVEL = 0.01


def check_column(rows, name):
    """Raise an error unless rows have a column to group by."""
    import pyarrow as pa

    if not hasattr(rows, "table"):
        raise DataError(f"{rows.source} has no named columns: --by is for tables.")
    if name == rows.target:
        raise DataError(f"--by needs another column than the target {name!r}.")
    kind = rows.column(name).type
    if pa.types.is_nested(kind):
        raise DataError(f"--by needs a column of single values; {name!r} holds {kind}.")


def count_by(rows, name, kept, date_order):
    """Count rejected rows by the values of a column: what ``--json`` writes."""
    texts, codes = values_of(rows.column(name), date_order)
    n_rows = np.bincount(codes, minlength=len(texts))
    n_rejected = np.bincount(codes[~kept], minlength=len(texts))
    total, rejected = len(kept), int((~kept).sum())
    chance = hypergeom.sf(n_rejected - 1, total, rejected, n_rows)
    groups = [
        {
            "value": text,
            "n_rows": int(n),
            "n_rejected": int(m),
            "share": m / n,
            "stands_out": bool(p * len(texts) < LEVEL),
        }
        for text, n, m, p in zip(texts, n_rows, n_rejected, chance, strict=True)
    ]
    return {"column": name, "groups": groups}


def values_of(column, date_order="auto"):
    """Return the distinct values as text, in order, and the position of each row's."""
    import pandas as pd

    series = column.to_pandas()
    ordered, written = _in_order(column, series, date_order)
    if ordered is not None and ordered.nunique() > MOST_VALUES:
        bins = pd.qcut(ordered.rank(method="min"), N_RANGES, duplicates="drop")
        low = ordered.groupby(bins, observed=True).transform("min")
        high = ordered.groupby(bins, observed=True).transform("max")
        codes, first = pd.factorize(low, sort=True)
        ends = high.groupby(low).first().reindex(first)
        pairs = zip(first, ends, strict=True)
        texts = [f"{written(a)} to {written(b)}" for a, b in pairs]
    else:
        codes, first = pd.factorize(series, sort=True)
        texts = [one_line(value) for value in first]
    if (codes < 0).any():
        codes = np.where(codes < 0, len(texts), codes)
        texts.append(MISSING)
    return texts, codes


def _in_order(column, series, date_order):
    """Values that ranges can be made of, None if there are none, and how to write one.

    Dates that are text are times, too.
    """
    import pandas as pd
    import pyarrow as pa

    if is_number(column.type) or pa.types.is_temporal(column.type):
        return series, str
    if not is_text(column.type):
        return None, str
    cells, codes = distinct(column)
    style, _ = style_of(cells, np.bincount(codes, minlength=len(cells)), date_order)
    if style is None:
        return None, str
    return pd.Series(style.parse(cells)[codes]), style.write


def show_groups(session, found):
    """Print the counts, and which values stand out."""
    name, groups = one_line(found["column"], 40), found["groups"]
    shown = groups
    if len(groups) > N_SHOWN:
        shown = sorted(groups, key=lambda one: (-one["share"], -one["n_rows"]))
        shown = shown[:N_SHOWN]
    title = f"Rejected rows by {name}"
    if len(groups) > N_SHOWN:
        title += f": the {N_SHOWN} of {len(groups):,} values with the largest shares"
    table = new_table(title, [name, "rows", "rejected", "share"])
    for one in shown:
        counts = f"{one['n_rows']:,}", f"{one['n_rejected']:,}"
        table.add_row(Text(one["value"]), *counts, percent_text(one["share"]))
    session.console.print(table)
    session.say(_conclusion(name, groups))


def _conclusion(name, groups):
    out = [one for one in groups if one["stands_out"]]
    if not out:
        return (
            f"No value of {name} stands out: the shares differ no more than by chance."
        )
    out = sorted(out, key=lambda one: -one["n_rejected"])
    rest = [one for one in groups if not one["stands_out"]]
    n_rest = sum(one["n_rows"] for one in rest)
    share = NONE
    if n_rest:
        share = percent_text(sum(one["n_rejected"] for one in rest) / n_rest)
    told = "; ".join(
        f"{one['value']} ({one['n_rejected']:,} of {counted(one['n_rows'], 'row')}, "
        f"{percent_text(one['share'])})"
        for one in out[:N_SHOWN]
    )
    return (
        f"More rows are rejected than by chance where {name} is {told}. Of all other "
        f"rows {share} are rejected."
    )
