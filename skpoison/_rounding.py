"""Bounds as people read them, rounded to their safe side."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

SHOWN = Decimal("0.0001")
# Enough for the digits of the largest float, and those after its point.
EXACT = Context(prec=320)


def upper_text(value):
    """Write an upper bound with four decimals that are no smaller than it.

    Examples
    --------
    >>> upper_text(0.12341), upper_text(12.341), upper_text(0.0)
    ('0.1235', '12.3410', '0.0000')
    """
    return _text(value, ROUND_CEILING)


def lower_text(value):
    """Write a lower bound with four decimals that are no larger than it.

    Examples
    --------
    >>> lower_text(0.12349)
    '0.1234'
    """
    return _text(value, ROUND_FLOOR)


def _text(value, rounding):
    # A float times 10,000 is rounded itself, to either side; its decimals are exact.
    rounded = Decimal(value).quantize(SHOWN, rounding, EXACT)
    # Adding zero turns -0.0 into 0.0.
    return f"{EXACT.add(rounded, 0):.4f}"
