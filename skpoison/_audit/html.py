"""A report as a page: one file, without scripts, fonts or network."""

import functools
import json

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from skpoison._words import epsilon_text, loss_text, percent_text, upper_text

from .defenses import name_of
from .summary import headline
from .svg import draw
from .types import Report

# How numbers are written: a bound is rounded up, a share is one that a person chose.
KINDS = {
    "loss": loss_text,
    "bound": upper_text,
    "percent": percent_text,
    "points": lambda share: f"{100 * share:.1f} points".replace("-", "−"),
    "share": epsilon_text,
    "count": "{:,}".format,
    "plain": "{:.4g}".format,
}


def to_html(content: Report) -> str:
    """Write a report as a whole document without references to other files."""
    return _environment().get_template("report.html").render(_view(content))


@functools.cache
def _environment():
    environment = Environment(
        loader=PackageLoader("skpoison._audit", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"number": number, "draw": draw}
    return environment


def _view(content):
    """Add what the template looks up: rows and pictures by their names."""
    found = content["recommendation"]
    chosen = [row for row in content["ranking"] if row["defense"] == found["defense"]]
    certified = found["certified_percentile"]
    at = {row["percentile"]: row for row in content["percentiles"]}
    return content | {
        "best": at.get(certified),
        "best_name": None if certified is None else name_of(certified),
        "chosen": chosen[0] if chosen else None,
        "headline": headline(found),
        "measure": "plain" if found["metric"] == "cost" else "percent",
        "largest_gap": max(
            point["dual_gap"]
            for curve in content["bounds"]["curves"]
            for point in curve["points"]
        ),
        "pictures": {figure["name"]: figure for figure in content["figures"]},
    }


def number(value: float | None, kind: str = "loss") -> Markup | str:
    """Write a number so that a person can read it and a program find it in the JSON.

    That is a ``data`` element with the exact value, or a dash for None.

    Examples
    --------
    >>> print(number(0.0634, "percent"), number(None))
    <data value="0.0634">6.3 %</data> –
    """
    if value is None:
        return "–"
    shown, exact = KINDS[kind](value), json.dumps(value)
    return Markup('<data value="{}">{}</data>').format(exact, shown)
