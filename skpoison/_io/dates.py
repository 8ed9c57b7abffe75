"""Dates and times as numbers, and back."""

from dataclasses import dataclass

import numpy as np

from .number_text import MOSTLY, is_nothing, mask_of

ISO = "ISO8601"
# What dates look like, and how they may then be written. Of two that fit all the same,
# the first is taken.
FORMATS = {
    r"^\d{4}-\d{1,2}-\d{1,2}([ T]\d|$)": (ISO,),
    r"^\d{4}-\d{2}$": ("%Y-%m",),
    r"^\d{4}/\d{1,2}/\d{1,2}": ("%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S"),
    r"^\d{1,2}/\d{1,2}/\d{4}": (
        *("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
        *("%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S"),
    ),
    r"^\d{1,2}\.\d{1,2}\.\d{4}": ("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"),
    r"^\d{1,2}-\d{1,2}-\d{4}": ("%d-%m-%Y", "%m-%d-%Y"),
    r"^\d{1,2}[- ][A-Za-z]{3}[- ]\d{4}": ("%d-%b-%Y", "%d %b %Y"),
    r"^[A-Z][a-z]{2} \d{1,2}, \d{4}": ("%b %d, %Y",),
}
SOME = 1000
DAY = 86_400_000_000  # microseconds
PARTS = ("days", "weekday", "hour")
FIRST_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0.


@dataclass(frozen=True)
class DateStyle:
    """How the dates of a column are written: a format, or a type of its own.

    Parameters
    ----------
    format : str
        A format of ``strptime``, or ``"ISO8601"``.
    """

    format: str = ISO

    def parse(self, strings):
        """Return strings as microseconds since 1970; NaN is what is no date."""
        import pandas as pd

        texts = pd.Series(strings.to_pylist(), dtype=object).str.strip()
        times = pd.to_datetime(texts, format=self.format, errors="coerce", utc=True)
        return _micros(times.dt.tz_localize(None).to_numpy())

    def write(self, micros):
        """Return a point in time as the column writes it."""
        import pandas as pd

        time = pd.Timestamp(int(micros), unit="us")
        if self.format != ISO:
            return time.strftime(self.format)
        return time.isoformat() if micros % DAY else time.date().isoformat()


def style_of(strings, counts, order="auto"):
    """Find how most cells are written, if they are dates; None if they are not.

    Parameters
    ----------
    strings : pyarrow.StringArray
        The distinct cells.
    counts : ndarray of int
        How often each comes up.
    order : {"auto", "month-first", "day-first"}, default="auto"
        What is taken of two formats that fit all the same.

    Returns
    -------
    style : DateStyle or None
        How they are written.
    is_ambiguous : bool
        Whether all of them could be days first and months first.
    """
    import pyarrow.compute as pc

    holds = ~mask_of(is_nothing(strings))
    cells, counts = pc.utf8_trim_whitespace(strings.filter(holds)), counts[holds]
    for pattern, formats in FORMATS.items():
        looks = mask_of(pc.match_substring_regex(cells, pattern))
        if not len(cells) or counts[looks].sum() < MOSTLY * counts.sum():
            continue
        shares = {one: _share(one, cells[:SOME], counts[:SOME]) for one in formats}
        best = max(shares, key=shares.get)
        # Days and months are told apart by the whole column.
        rivals = [one for one in formats if shares[one] == shares[best] > 0]
        equal = [best]
        if len(rivals) > 1:
            of_all = {one: _share(one, cells, counts) for one in rivals}
            equal = [one for one in rivals if of_all[one] == max(of_all.values())]
            best = next((one for one in equal if _is_first(one, order)), equal[0])
        if shares[best] >= MOSTLY:
            return DateStyle(best), len(equal) > 1
    return None, False


def _is_first(format, order):
    """Tell whether a format has the part first that `order` says."""
    return format.startswith({"month-first": "%m", "day-first": "%d"}.get(order, ""))


def _share(format, cells, counts):
    fits = np.isfinite(DateStyle(format).parse(cells))
    return float(counts[fits].sum() / counts.sum())


def micros_of(column):
    """Return a column of dates or times of day as microseconds; NaN is missing.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        Dates, timestamps (in UTC) or times of day.

    Returns
    -------
    micros : ndarray of float64
        Since 1970, or since midnight.
    """
    import pyarrow as pa

    kind = column.type
    if pa.types.is_time(kind):
        unit = {"s": 10**6, "ms": 10**3, "us": 1, "ns": 1e-3}[kind.unit]
        whole = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
        return whole.cast(pa.float64(), safe=False).to_numpy() * unit
    times = column.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
    return times.cast(pa.int64()).cast(pa.float64(), safe=False).to_numpy()


def _micros(times):
    values = times.astype("datetime64[us]")
    micros = values.astype(np.int64).astype(np.float64)
    micros[np.isnat(values)] = np.nan
    return micros


def part(name, micros):
    """Return one number of each date.

    Parameters
    ----------
    name : {"days", "weekday", "hour"}
        Whole days since 1970-01-01; 0 for Mondays to 6; or hours since midnight, with
        their fractions.
    micros : ndarray
        Microseconds since 1970.

    Returns
    -------
    values : ndarray
        Numbers; NaN for what is missing.
    """
    days = np.floor(micros / DAY)
    if name == "days":
        return days
    if name == "weekday":
        return (days + FIRST_WEEKDAY) % 7
    return (micros - days * DAY) / (DAY / 24)


def parts_of(micros):
    """Return the parts that differ between dates."""
    known = micros[np.isfinite(micros)]
    if not len(known):
        return ()
    return tuple(name for name in PARTS if np.ptp(part(name, known)) > 0)


def joined(parts):
    """Return dates from some of their parts; the day decides on the weekday.

    Parameters
    ----------
    parts : dict of ndarray
        Days and hours.

    Returns
    -------
    micros : ndarray
        Microseconds since 1970, to the second.
    """
    hours = np.clip(parts["hour"], 0.0, 24 - 1 / 3600)
    seconds = np.rint(hours * 3600)
    return np.rint(parts["days"]) * DAY + seconds * 10**6
