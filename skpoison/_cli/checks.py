"""Checks of what options say; what makes no sense is a usage error."""

import math
from pathlib import Path

import typer

from skpoison._io.errors import DataError
from skpoison._io.parts import is_many
from skpoison._io.places import check_exists, is_url
from skpoison._words import one_line

PICTURES = (".png", ".svg", ".pdf")


def within(low, high, *, open_low=False, open_high=False):
    """Return a check that a number, or each of several, lies between two others."""
    left, right = "(" if open_low else "[", ")" if open_high else "]"

    def check(values):
        for value in values if isinstance(values, list) else [values]:
            if value is None:
                continue
            above = value > low if open_low else value >= low
            below = value < high if open_high else value <= high
            if not (above and below):
                span = f"{left}{low:g}, {high:g}{right}"
                if high == math.inf:
                    span = f"numbers above {low:g}"
                raise typer.BadParameter(f"{value:g} is not in {span}.")
        return values

    return check


def in_range(low, high=math.inf):
    """Return a check of a number, whose range the help then need not show."""

    def check(value):
        if value is not None and value < low:
            raise typer.BadParameter(f"must be at least {low}, not {value}.")
        if value is not None and value > high:
            raise typer.BadParameter(f"must be at most {high}, not {value}.")
        return value

    return check


def one_of(*allowed):
    """Return a check that a word is one of several; "_" does for "-", as in Python."""

    def check(value):
        if value is None:
            return None
        word = value.replace("_", "-")
        if word not in allowed:
            raise typer.BadParameter(f"{value!r} is none of {', '.join(allowed)}.")
        return word

    return check


def picture(path):
    """Check that a file's name says which kind of picture it is to be."""
    if path is not None and Path(path).suffix.lower() not in PICTURES:
        raise typer.BadParameter(
            f"{path!r} must end in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}."
        )
    return path


def readable(name):
    """Refuse a path where there is nothing, before what reads files is loaded."""
    if name in (None, "-") or is_url(name) or is_many(name):
        return name
    try:
        check_exists(name)
    except DataError as error:
        typer.echo(f"Error: {one_line(error)}", err=True)
        raise typer.Exit(1) from None
    return name


def percents(text):
    """Return percentiles, from a text that holds one or several."""
    values = [_number(cell) for cell in text.split(",")]
    if None in values:
        raise typer.BadParameter(f"{text!r} is not a list of numbers, such as 70,90.")
    return within(0, 100, open_low=True)(values)


def shares(texts):
    """Return shares of poison, from texts that hold one or several each."""
    cells = [cell.strip() for text in texts for cell in text.split(",")]
    return within(0, 1)([_share(cell) for cell in cells])


def _share(text):
    number = _number(text)
    if number is None:
        raise typer.BadParameter(
            f"{text!r} is not a number. A share is a number from 0 to 1, such as 0.05; "
            "several are given as 0.05,0.1."
        )
    return number


def interval(text):
    """Return two numbers, the smaller one first, from a text that holds them."""
    if text is None or isinstance(text, tuple):
        return text
    numbers = [_number(cell) for cell in text.split(",")]
    if len(numbers) != 2 or None in numbers or not all(map(math.isfinite, numbers)):
        raise typer.BadParameter(f"{text!r} is not two numbers, such as 0,100.")
    if numbers[0] > numbers[1]:
        raise typer.BadParameter(f"{text!r} must hold the smaller number first.")
    return tuple(numbers)


def rows_or_share(text):
    """Check a number of rows, or a share of them with a point; return the number.

    Examples
    --------
    >>> rows_or_share("20"), rows_or_share("0.05")
    (20, 0.05)
    """
    is_whole = text.strip().isdecimal()
    number = int(text) if is_whole else _number(text)
    if number is None or number <= 0 or (number >= 1 and not is_whole):
        raise typer.BadParameter(
            f"{text!r} is neither a number of rows, such as 20, nor a share of them "
            "between 0 and 1, such as 0.05."
        )
    return number


def missing_codes(texts):
    """Return numbers that stand for missing values; None where nothing is said."""
    if not texts or not isinstance(texts[0], str):
        return None if isinstance(texts, list) else texts
    if texts == ["none"]:
        return ()
    numbers = [_number(text) for text in texts]
    if not all(number is not None and math.isfinite(number) for number in numbers):
        raise typer.BadParameter(
            f"{', '.join(texts)} must be numbers, such as -999, or none alone."
        )
    return tuple(numbers)


def costs_of_text(text):
    """Return what pairs of a true and a predicted label cost, as numbers."""
    if text is None:
        return None
    costs = {}
    for cell in text.split(","):
        pair, _, value = cell.rpartition("=")
        true, colon, said = pair.partition(":")
        number = _number(value)
        if number is None or not colon:
            raise typer.BadParameter(
                f"{cell!r} is not a true label, a predicted label and a number, as in "
                "spam:ham=5."
            )
        costs[true.strip(), said.strip()] = number
    return costs


METRICS = ("auto", "error", "balanced-error", "auc", "average-precision", "cost")


def metric_name(text):
    """Check the name of a metric, before any rows are read.

    Examples
    --------
    >>> metric_name("recall@0.05")
    'recall@0.05'
    """
    name, at, share = text.partition("@")
    if at and name == "recall":
        number = _number(share)
        if number is not None and 0 < number < 1:
            return text
        raise typer.BadParameter(
            f"{text!r}: recall@ needs a share between 0 and 1, that of the rows with "
            "the highest scores, such as recall@0.05."
        )
    if text not in METRICS:
        raise typer.BadParameter(
            f"{text!r} is none of {', '.join(METRICS)}, recall@SHARE (such as "
            "recall@0.05)."
        )
    return text


def check_costs(metric, costs):
    """Refuse costs without the metric that they are for, and the other way round."""
    if metric == "cost" and costs is None:
        raise typer.BadParameter(
            "cost needs to know what wrong predictions cost, such as --cost "
            "spam:ham=5,ham:spam=1 (true label, predicted label and cost).",
            param_hint="'--metric'",
        )
    if costs is not None and metric not in ("auto", "cost"):
        raise typer.BadParameter(
            f"costs belong to --metric cost, not to {metric}.", param_hint="'--cost'"
        )


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None


positive_number = within(0, math.inf, open_low=True, open_high=True)
