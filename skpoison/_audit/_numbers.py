"""Numbers in the page, each with the exact value that the JSON has."""

import json

from skpoison._words import upper_text

from ._text import epsilon_text, loss_text, percent_text


def number(value, kind="loss"):
    """Write a number so that a person can read it and a program find it in the JSON.

    Parameters
    ----------
    value : float, int or None
        The number.
    kind : {"loss", "bound", "percent", "share", "count", "tick", "plain"}
        How it is written; a bound is rounded up, a share is one that a person chose.

    Returns
    -------
    markup : str
        A ``data`` element (within SVG, where there is none, a ``tspan``), or a dash.

    Examples
    --------
    >>> number(0.0634, "percent")
    '<data value="0.0634">6.3 %</data>'
    >>> number(None)
    '–'
    """
    if value is None:
        return "–"
    shown, exact = KINDS[kind](value), json.dumps(value)
    if kind == "tick":
        return f'<tspan data-value="{exact}">{shown}</tspan>'
    return f'<data value="{exact}">{shown}</data>'


KINDS = {
    "loss": loss_text,
    "bound": upper_text,
    "percent": percent_text,
    "share": epsilon_text,
    "count": lambda value: f"{value:,}",
    "tick": lambda value: f"{value:g}",
    "plain": lambda value: f"{value:.4g}",
}
