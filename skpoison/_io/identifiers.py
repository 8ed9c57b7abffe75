"""Columns that name the rows, and say nothing else about them."""

import re

import numpy as np

from skpoison._columns import FEWEST_UNIQUE, whole_and_unique

# Fewer rows can be told apart by quantities, or number themselves by chance.
FEWEST_NAMED = 10
# Whole numbers that are handed out lie evenly between the least and the largest: no
# share of them is farther from its share of the way, or not by more than chance.
EVEN, CHANCE = 0.05, 0.01
# What columns of identifiers are called.
NAMES = re.compile(
    r"(^|[^a-z])(ids?|uid|uuid|guid|pk|rowid|rownames?)([^a-z]|$)|^(index|unnamed: 0|)$"
)
# And codes that are no amounts, although they are digits.
CODE_NAMES = re.compile(
    r"(^|[^a-z])(zip|zips|zipcode|zip_code|postal|postcode|postalcode|post_code|plz)"
    r"([^a-z]|$)"
)
# Digits that begin with zeros; two of them are hours and months.
ZEROS = re.compile(r"^\s*0\d\d+\s*$")
LIKE_CODES = "begin with zeros, as codes do; read as numbers"
NEARLY = 0.9
# Rows that may repeat an identifier, of all: some that were written twice.
REPEATED = 0.01
IP = (
    r"^\s*((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)(:\d+|/\d+)?\s*$"
    r"|^\s*([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\s*$"
    r"|^\s*[0-9a-fA-F:]*::[0-9a-fA-F:]*\s*$"
)


def names_rows(name, values):
    """Tell whether whole numbers name the rows.

    Numbers that count the rows do, in whatever order. So do numbers that are all
    different, but for a few, and lie evenly between the least and the largest, as those
    do that are handed out, while quantities crowd somewhere; and, where a column is
    called an identifier, any of which hardly one occurs twice.

    Parameters
    ----------
    name : str
        What the column is called.
    values : ndarray
        Finite numbers.

    Returns
    -------
    what : {"counts", "names", "nearly"} or None
        "nearly" if some occur twice; None if the column may be a quantity.
    """
    if len(values) < FEWEST_NAMED:
        return None
    kind = whole_and_unique(values)
    if kind == "numbering":
        return "counts"
    if len(values) < FEWEST_UNIQUE or not _is_whole(values):
        return None
    distinct = np.unique(values)
    what = "names" if len(distinct) == len(values) else "nearly"
    if is_called_so(name):
        return what if len(distinct) >= NEARLY * len(values) else None
    is_told = hardly_repeats(len(distinct), len(values)) and _lie_evenly(distinct)
    return what if is_told else None


def hardly_repeats(n_distinct, n_values):
    """Tell whether all values differ, but for a few that were written twice.

    Examples
    --------
    >>> hardly_repeats(60, 60), hardly_repeats(59, 60), hardly_repeats(199, 200)
    (True, False, True)
    """
    return n_values - n_distinct <= REPEATED * n_values


def is_called_so(name):
    """Tell whether a column is called an identifier.

    Examples
    --------
    >>> is_called_so("customerId"), is_called_so("row_id"), is_called_so("humidity")
    (True, True, False)
    """
    return NAMES.search(_words_of(name)) is not None


def is_called_code(name):
    """Tell whether a column is called a postal code.

    Examples
    --------
    >>> is_called_code("ZipCode"), is_called_code("home_zip"), is_called_code("zipper")
    (True, True, False)
    """
    return CODE_NAMES.search(_words_of(name)) is not None


def _words_of(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _is_whole(values):
    return values.dtype.kind in "iu" or np.array_equal(values, np.rint(values))


def _lie_evenly(values):
    from scipy import stats

    low, high = float(values[0]), float(values[-1])
    places = (values.astype(np.float64) - low) / (high - low)
    found = stats.kstest(places, "uniform")
    return found.statistic < EVEN or found.pvalue > CHANCE
