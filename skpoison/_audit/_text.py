"""Text that came with the data, made harmless; numbers as people read them."""

import re

LONGEST_NAME = 120
LONGEST_REPR = 2000


def name_text(text, longest=LONGEST_NAME):
    r"""Return text from data on one line, with nothing invisible, not too long.

    Parameters
    ----------
    text : object
        A label, the name of a column, a row's label in an index.
    longest : int, default=120
        How many characters are kept.

    Returns
    -------
    text : str
        The text.

    Examples
    --------
    >>> name_text("two" + chr(10) + "lines" + chr(27))
    'two lines\\x1b'
    >>> name_text("abcdef", longest=4)
    'abc…'
    """
    # Cut first: a cell can be enormous.
    line = " ".join(str(text)[: 4 * longest].split())
    line = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in line
    )
    return line if len(line) <= longest else line[: longest - 1] + "…"


def described(thing):
    """Return what an estimator writes of itself, without addresses in memory.

    Examples
    --------
    >>> described(print), described(object())
    ('<built-in function print>', '<object object>')
    """
    return name_text(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing)), LONGEST_REPR)


def loss_text(value):
    """Write a loss or a distance with four digits.

    Examples
    --------
    >>> loss_text(0.04664), loss_text(12.8812), loss_text(None)
    ('0.0466', '12.88', '–')
    """
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1:
        return f"{value:.4f}"
    return f"{value:.4g}"


def percent_text(value):
    """Write a share in percent.

    Examples
    --------
    >>> percent_text(0.0634), percent_text(None)
    ('6.3 %', '–')
    """
    return "–" if value is None else f"{100 * value:.1f} %"


def epsilon_text(value):
    """Write a share of poison as people say it.

    Examples
    --------
    >>> epsilon_text(0.1), epsilon_text(0.003)
    ('10 %', '0.3 %')
    """
    return f"{100 * value:.4g} %"
