"""How columns of dates are read."""

import numpy as np

from . import dates
from .plan import Dates, LeftOut

MEANING = {
    "days": "days since 1970",
    "weekday": "weekday (Monday is 0)",
    "hour": "hour of the day",
}


def of_dates(name, micros, encoding, more="", style=None, wrong=0):
    option = "--dates drop"
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
    return Dates(first=first, note=note, option=option, **same)
