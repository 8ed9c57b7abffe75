"""How columns of dates are read."""

import numpy as np

from . import dates
from .plan import Dates, LeftOut

MEANING = {
    "days": "days since 1970",
    "weekday": "weekday (Monday is 0)",
    "hour": "hour of the day",
}


def of_dates(name, micros, encoding, more="", style=None, wrong=0, doubt=""):
    option = f"--date-order {other_order(style)}" if doubt else "--dates drop"
    missing = int(np.isnan(micros).sum())
    if encoding.dates == "drop" and name not in encoding.features:
        return LeftOut(name=name, note="holds dates", option="--dates features")
    parts = dates.parts_of(micros)
    if not parts:
        return LeftOut(name=name, note="is one date in every row", missing=missing)
    same = {"name": name, "parts": parts, "missing": missing, "wrong": wrong}
    if style is not None:
        same |= {"style": style, "as_text": True}
    first = float(micros[np.isfinite(micros)][0])
    written = "" if style in (None, dates.DateStyle()) else f", written {style.format}"
    note = f"{', '.join(MEANING[part] for part in parts)}{written}{more}"
    return Dates(first=first, note=note, option=option, doubt=doubt, **same)


def doubt_of(style, cell):
    """Say that dates are read with the day first, or the month, and could be both."""
    day = dates.DateStyle().write(style.parse(cell)[0])
    return (
        f"every date could also be {other_order(style)}: {cell[0].as_py().strip()} is "
        f"read as {day}"
    )


def other_order(style):
    """Return the order that dates are not read in."""
    return "day-first" if style.format.startswith("%m") else "month-first"
