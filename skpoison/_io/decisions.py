"""What decisions on columns of numbers, words and dates share."""

import shlex

from .errors import DataError

FIRST_ROWS = 1000
# A column with one value in all rows but so few is close to constant.
NEARLY_ALL = 0.995
# Why identifiers are no features.
WHAT = {
    "counts": "counts the rows: an identifier",
    "names": "holds a whole number of its own in every row: an identifier",
    "nearly": "holds hardly a whole number twice: an identifier",
}


class Unreadable(DataError):
    """A column that can be neither a feature nor left out without being asked to."""


def keep(name, what="feature"):
    """Return the option that has a column read in another way."""
    return f"--{what} {shlex.quote(name)}"
