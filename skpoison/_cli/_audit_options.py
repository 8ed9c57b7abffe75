"""Checks of what options of ``skpoison audit`` say."""

import typer

from ._checks import within


def percents(text):
    """Return percentiles, from a text that holds one or several."""
    try:
        values = [float(cell) for cell in text.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of numbers, such as 70,90."
        ) from None
    return within(0, 100, open_low=True)(values)
