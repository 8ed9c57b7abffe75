"""Labels, names and numbers as people read them, in one way everywhere.

Text from data goes through :func:`one_line` before it is shown; bounds are rounded to
their safe side.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from numbers import Integral, Real
from typing import Any

LONGEST_NAME = 120
# What stands where there is no number.
NONE = "–"
# Enough for the digits of the largest float, and those after its point.
EXACT = Context(prec=320)


def label_text(label: Any) -> str:
    """Return a label as a person would write it: ``1`` for ``1.0``, too.

    Examples
    --------
    >>> label_text(1.0), label_text(-1), label_text("spam"), label_text(True)
    ('1', '-1', 'spam', 'True')
    """
    is_fractional = isinstance(label, Real) and not isinstance(label, Integral)
    if is_fractional and float(label).is_integer():
        return str(int(label))
    return str(label)


def one_line(text: object, longest: int | None = None) -> str:
    r"""Return text from data on one line, with nothing invisible.

    No character is left that a terminal obeys or that turns the direction of writing.
    What is longer than `longest` ends in an ellipsis.

    Examples
    --------
    >>> one_line("two" + chr(10) + "lines" + chr(27) + "[31m")
    'two lines\\x1b[31m'
    >>> one_line("abcdef", longest=4)
    'abc…'
    """
    text = str(text)
    if longest is not None:
        text = text[: 4 * longest]  # a cell can be enormous
    line = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in " ".join(text.split())
    )
    if longest is None or len(line) <= longest:
        return line
    return line[: longest - 1] + "…"


def name_text(name: object, longest: int = LONGEST_NAME) -> str:
    """Return a label, the name of a column or a file on one line, not too long."""
    return one_line(name, longest)


def counted(number: float, noun: str, plural: str | None = None) -> str:
    """Write a number of things, with the noun in the singular for one.

    Examples
    --------
    >>> counted(1, "row"), counted(1234, "row"), counted(2, "copy", "copies")
    ('1 row', '1,234 rows', '2 copies')
    """
    text = f"{number:,}" if isinstance(number, Integral) else f"{number:,g}"
    return f"{text} {noun if number == 1 else plural or noun + 's'}"


def loss_text(value: float | None) -> str:
    """Write a loss or a distance with four digits.

    Examples
    --------
    >>> loss_text(0.04664), loss_text(12.8812), loss_text(None)
    ('0.0466', '12.88', '–')
    """
    if value is None:
        return NONE
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1:
        return f"{value:.4f}"
    return f"{value:.4g}"


def percent_text(value: float | None) -> str:
    """Write a measured share in percent, or a difference of shares.

    Examples
    --------
    >>> percent_text(0.0634), percent_text(-0.0208), percent_text(None)
    ('6.3 %', '−2.1 %', '–')
    """
    return NONE if value is None else f"{100 * value:.1f} %".replace("-", "−")


def upper_percent(value: float) -> str:
    """Write a share that nothing exceeds in percent, rounded up.

    Examples
    --------
    >>> upper_percent(0.0631), upper_percent(0.25)
    ('6.4 %', '25.0 %')
    """
    percent = Decimal(value) * 100
    return f"{percent.quantize(Decimal('0.1'), ROUND_CEILING, EXACT)} %"


def epsilon_text(value: float) -> str:
    """Write a share that a person chose in percent, with the digits that it has.

    Examples
    --------
    >>> epsilon_text(0.1), epsilon_text(0.003)
    ('10 %', '0.3 %')
    """
    return f"{100 * value:.4g} %"


def upper_text(value: float) -> str:
    """Write an upper bound with decimals that are no smaller than it.

    Examples
    --------
    >>> upper_text(0.12341), upper_text(12.341), upper_text(4321.01)
    ('0.1235', '12.3410', '4321.02')
    """
    return _rounded(value, ROUND_CEILING)


def lower_text(value: float) -> str:
    """Write a lower bound with decimals that are no larger than it.

    Examples
    --------
    >>> lower_text(0.12349)
    '0.1234'
    """
    return _rounded(value, ROUND_FLOOR)


def _rounded(value, rounding):
    # A float times 10,000 is rounded itself, to either side; its decimals are exact.
    n_decimals = decimals_of(value)
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-n_decimals), rounding, EXACT)
    # Adding zero turns -0.0 into 0.0.
    return f"{EXACT.add(rounded, 0):.{n_decimals}f}"


def decimals_of(value: float) -> int:
    """Return with how many decimals a loss is shown: four, fewer from 100 on.

    Examples
    --------
    >>> [decimals_of(value) for value in (0.0, 12.3, 123.4, 4321.0, 1e12)]
    [4, 4, 3, 2, 0]
    """
    return max(4 - max(0, Decimal(value).adjusted() - 1), 0)
