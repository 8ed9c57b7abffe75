"""Numbers that are written as text: ``$1,234``, ``12.3 %``, ``(5.00)``, ``€ 1.234,50``.

A column is read as numbers if all its cells but a few are written in one way: with one
unit at most, one sign between thousands and one decimal sign.
"""

import re
from dataclasses import dataclass

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
    """

    point: str = "."
    between: str = ""
    before: str = ""
    after: str = ""
    brackets: bool = False

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

        bare, negative = _bare(strings, self.before.strip(), self.after.strip())
        fits = pc.match_substring_regex(bare, _pattern(self.point, self.between))
        digits = pc.if_else(fits, bare, pa.scalar(None, pa.string()))
        if self.between:
            digits = pc.replace_substring(digits, self.between, "")
        digits = pc.replace_substring(digits, self.point, ".")
        digits = pc.replace_substring_regex(digits, r"^\+", "")
        values = digits.cast(pa.float64())
        values = pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
        return pc.if_else(negative, pc.negate(values), values)

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
    before, after = _units(cells)
    bare, negative = _bare(cells, before.strip(), after.strip())
    fitting = {
        between: counts[_fits(bare, point, between)].sum()
        for between in ("", *BETWEEN[point])
    }
    between = max(fitting, key=fitting.get)
    if fitting[between] < MOSTLY * counts.sum() or not len(cells):
        return None
    return NumberStyle(point, between, before, after, bool(mask_of(negative).any()))


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
    """Return the unit that stands before the numbers, and the one behind."""
    import pyarrow.compute as pc

    found = {}
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
    return found["before"], found["after"]


def _bare(strings, before, after):
    """Return strings without units, and which of them stand in parentheses."""
    import pyarrow.compute as pc

    bare = pc.utf8_trim_whitespace(strings)
    bare = pc.replace_substring(bare, "−", "-")
    negative = pc.match_substring_regex(bare, r"^\(.*\)$")
    bare = pc.if_else(negative, pc.utf8_slice_codeunits(bare, 1, -1), bare)
    if before:
        unit = rf"^{BLANK}([-+]?){BLANK}{re.escape(before)}{BLANK}"
        bare = pc.replace_substring_regex(bare, unit, r"\1")
    if after:
        bare = pc.replace_substring_regex(bare, rf"{BLANK}{re.escape(after)}$", "")
    return bare, negative
