"""Numbers that are written as text: ``$1,234``, ``12.3 %``, ``(5.00)``, ``€ 1.234,50``.

A column is read as numbers if all its cells but a few are written in one way: with one
unit at most, one sign between thousands and one decimal sign.
"""

import re
from dataclasses import dataclass, replace

import numpy as np

# Cells that say that there is no value, in whatever case.
NOTHING = (
    *("", "-", "--", "–", "—", ".", "?", "#", "na", "n/a", "#n/a", "nan", "null"),
    *("none", "nil", "missing", "unknown", "inf", "-inf", "#value!", "#div/0!"),
)
# A column of words in which so many cells are numbers has slips, not categories.
MOSTLY = 0.8
CURRENCIES = "$€£¥₹₽₩₺₴₪฿₫₱"
CODES = "US$|USD|EUR|GBP|CHF|JPY|CAD|AUD|NZD|CNY|INR|SEK|NOK|DKK|PLN|CZK|BRL|kr"
UNIT = "|".join(map(re.escape, [*CODES.split("|"), *CURRENCIES, "%", "‰"]))
SPACES = " \u00a0\u202f"
BLANK = f"[{SPACES}]*"
# What may stand between thousands, where the decimal sign is a point or a comma.
BETWEEN = {".": (",", "'", "’", *SPACES), ",": (".", "'", "’", *SPACES)}
EXPONENT = r"([eE][-+]?\d+)?"
# What no spreadsheet runs, although it may begin with a sign.
AMOUNT = rf"^\s*[-+]?\s*({UNIT})?\s*[-+]?[\d.,'’{SPACES}]*\d\.?\s*({UNIT})?\s*$"


@dataclass(frozen=True)
class NumberStyle:
    """How the numbers of a column are written.

    Parameters
    ----------
    point : {".", ","}
        The decimal sign.
    between : str
        What stands between thousands, or nothing.
    before, after : str
        A unit on either side, with the blank between it and the number.
    brackets : bool
        Whether negative numbers stand in parentheses.
    others : tuple of str
        Other units that are read as if they were this one.
    has_shares : bool
        Whether numbers without the unit, a percent sign, are shares of one.
    """

    point: str = "."
    between: str = ""
    before: str = ""
    after: str = ""
    brackets: bool = False
    others: tuple = ()
    has_shares: bool = False

    @property
    def is_plain(self):
        """Whether numbers are written as programs write them."""
        return self == NumberStyle(self.point)

    def parse(self, strings):
        """Return strings as floats; null is what is not written in this way.

        Parameters
        ----------
        strings : pyarrow.StringArray
            Cells.

        Returns
        -------
        values : pyarrow.DoubleArray
            Numbers.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        units = _sides(self.before, self.after, self.others)
        bare, negative = _bare(strings, *units)
        fits = pc.match_substring_regex(bare, _pattern(self.point, self.between))
        digits = pc.if_else(fits, bare, pa.scalar(None, pa.string()))
        if self.between:
            digits = pc.replace_substring(digits, self.between, "")
        digits = pc.replace_substring(digits, self.point, ".")
        digits = pc.replace_substring_regex(digits, r"^\+", "")
        values = digits.cast(pa.float64())
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
        values = pc.if_else(negative, pc.negate(values), values)
        if self.has_shares:
            has_unit = pc.match_substring(strings, (self.before + self.after).strip())
            values = pc.if_else(has_unit, values, pc.multiply(values, 100.0))
        return values

    def write(self, value):
        """Return a number as the column writes it."""
        digits = f"{abs(value):,}" if self.between else repr(abs(value))
        digits = digits.removesuffix(".0")
        swap = str.maketrans({",": self.between, ".": self.point})
        text = f"{self.before}{digits.translate(swap)}{self.after}"
        if value >= 0:
            return text
        return f"({text})" if self.brackets else f"-{text}"


def style_of(strings, counts, decimal_comma=False):
    """Find how most cells of a column are written, if they are numbers.

    Parameters
    ----------
    strings : pyarrow.StringArray
        The distinct cells.
    counts : ndarray of int
        How often each comes up.
    decimal_comma : bool, default=False
        Whether numbers are written as ``3,14``.

    Returns
    -------
    style : NumberStyle or None
        None if fewer than four in five cells that hold something are numbers in one
        style.
    """
    holds = ~mask_of(is_nothing(strings))
    cells, counts = strings.filter(holds), counts[holds]
    point = "," if decimal_comma else "."
    before, after, others = _units(cells)
    bare, negative = _bare(cells, *_sides(before, after, others))
    fitting = {
        between: counts[_fits(bare, point, between)].sum()
        for between in ("", *BETWEEN[point])
    }
    between = max(fitting, key=fitting.get)
    if fitting[between] < MOSTLY * counts.sum() or not len(cells):
        return None
    has_negative = bool(mask_of(negative).any())
    style = NumberStyle(point, between, before, after, has_negative, others)
    return replace(style, has_shares=_are_shares(style, cells))


def mask_of(booleans):
    """Return booleans of pyarrow as an array."""
    return booleans.to_numpy(zero_copy_only=False).astype(bool)


def is_nothing(strings):
    """Tell which strings say that there is no value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.utf8_lower(pc.utf8_trim_whitespace(strings))
    return pc.is_in(texts, pa.array(NOTHING))


def _fits(bare, point, between):
    import pyarrow.compute as pc

    return mask_of(pc.match_substring_regex(bare, _pattern(point, between)))


def _pattern(point, between):
    """Return what a number without unit looks like."""
    decimals = rf"({re.escape(point)}\d*)?"
    alone = rf"{re.escape(point)}\d+"
    if between:
        # A number of thousands does not begin with a zero: 0,500 is a half.
        groups = rf"([1-9]\d{{0,2}}({re.escape(between)}\d{{3}})+|\d{{1,3}})"
        return rf"^[-+]?({groups}{decimals}|{alone})$"
    return rf"^[-+]?(\d+{decimals}|{alone}){EXPONENT}$"


def _units(cells):
    """Return the unit before the numbers, the one behind, and other currencies."""
    import pyarrow.compute as pc

    found, every = {}, set()
    sides = {
        "before": rf"^[-+(−]*{BLANK}(?P<unit>(?:{UNIT}){BLANK})[-+−]?{BLANK}[\d.,]",
        "after": rf"[\d.,](?P<unit>{BLANK}(?:{UNIT}))\)?$",
    }
    trimmed = pc.utf8_trim_whitespace(cells)
    for side, pattern in sides.items():
        units = pc.extract_regex(trimmed, pattern).drop_null()
        units = pc.struct_field(units, "unit") if len(units) else units
        counted = pc.value_counts(units).to_pylist() if len(units) else []
        best = max(counted, key=lambda one: one["counts"], default={"values": ""})
        found[side] = best["values"]
        every |= {one["values"].strip() for one in counted}
    own = {found["before"].strip(), found["after"].strip(), ""}
    # What has percent signs and currencies is no column of amounts.
    is_amount = not (own | every) & {"%", "‰"}
    others = tuple(sorted(every - own)) if is_amount else ()
    return found["before"], found["after"], others


def _are_shares(style, cells):
    """Tell whether cells without a percent sign are shares of one, unlike others."""
    without = without_unit(style, cells)
    if (style.before + style.after).strip() != "%" or not without.any():
        return False
    values = np.asarray(style.parse(cells), dtype=np.float64)
    plain, percents = values[without], values[~without]
    plain, percents = plain[np.isfinite(plain)], percents[np.isfinite(percents)]
    if not len(plain) or not len(percents):
        return False
    return bool(np.abs(plain).max() <= 1 < np.abs(percents).max())


def without_unit(style, cells):
    """Tell which cells lack the unit that others have."""
    import pyarrow.compute as pc

    unit = (style.before + style.after).strip()
    return ~mask_of(pc.match_substring(cells, unit))


def shares_of_units(style, cells, counts):
    """Return for each currency of a column the share of the cells that have it."""
    import pyarrow.compute as pc

    units = [unit.strip() for unit in (style.before, style.after) if unit.strip()]
    found = {}
    # Dollars of the United States are not dollars.
    for unit in sorted([*units, *style.others], key=len, reverse=True):
        has = mask_of(pc.match_substring(cells, unit)) & (counts > 0)
        found[unit] = int(counts[has].sum())
        counts = np.where(has, 0, counts)
    total = max(sum(found.values()), 1)
    return {unit: n / total for unit, n in found.items()}


def _sides(before, after, others):
    """Return patterns of what may stand before a number, and behind it."""
    sides = {unit.strip() for unit in (before, after, *others)} - {""}
    if others:
        pattern = "|".join(map(re.escape, sorted(sides, key=len, reverse=True)))
        return pattern, pattern
    return re.escape(before.strip()), re.escape(after.strip())


def _bare(strings, before, after):
    """Return strings without units, and which of them stand in parentheses.

    Units are patterns.
    """
    import pyarrow.compute as pc

    bare = pc.utf8_trim_whitespace(strings)
    bare = pc.replace_substring(bare, "−", "-")
    negative = pc.match_substring_regex(bare, r"^\(.*\)$")
    bare = pc.if_else(negative, pc.utf8_slice_codeunits(bare, 1, -1), bare)
    if before:
        unit = rf"^{BLANK}([-+]?){BLANK}({before}){BLANK}"
        bare = pc.replace_substring_regex(bare, unit, r"\1")
    if after:
        bare = pc.replace_substring_regex(bare, rf"{BLANK}({after})$", "")
    return bare, negative
