"""Lines, bands and legend entries of the plot of the bound."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils._plotting import _validate_style_kwargs

from ._style import (
    BLUE,
    COLORS,
    GREEN,
    GREY,
    LINE,
    MARKERS,
    PURPLE,
    SMALL,
    VERMILION,
    style_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import FillBetweenPolyCollection
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D


class Quantity(NamedTuple):
    """Name and style of one of the losses.

    With several curves, color and marker are the curve's instead.
    """

    label: str
    color: str
    linestyle: str
    marker: str


QUANTITIES = {
    "upper_bound": Quantity("upper bound", BLUE, "-", ""),
    "attack_loss": Quantity("attack, training", VERMILION, "--", "o"),
    "test_loss": Quantity("attack, test", PURPLE, "-.", "s"),
    "clean_loss": Quantity("clean rows' loss", GREEN, ":", ""),
    "filtered_loss": Quantity("filter, no attack", GREEN, "none", "D"),
}
UNFILTERED = "no filter, no attack"
SPECIAL: dict[str, dict[str, Any]] = {
    # Wide and pale, so that the attack shows where it reaches the bound.
    "upper_bound": {"linewidth": 3.0, "alpha": 0.5},
    # Stands on the vertical axis, and may lie above everything else.
    "filtered_loss": {"clip_on": False, "zorder": 4},
}
# Of a legend's line, in units of its font size.
LINE_HEIGHT = 1.6


def draw_curve(
    ax: "Axes",
    curve: dict[str, np.ndarray],
    position: int,
    n_curves: int,
    kwargs: dict[str, Any],
) -> "dict[str, Line2D]":
    """Draw the quantities of one curve of several, and return its lines by quantity."""
    lines = {}
    for name in QUANTITIES:
        if name in curve:
            look = _validate_style_kwargs(_look(name, position, n_curves), kwargs)
            at = [0.0] if name == "filtered_loss" else curve["epsilon"]
            (lines[name],) = ax.plot(at, curve[name], **look)
    return lines


def _look(name, position, n_curves):
    quantity = QUANTITIES[name]
    look = {
        "color": quantity.color,
        "linestyle": quantity.linestyle,
        "marker": quantity.marker,
        **LINE,
        "zorder": 3,
    }
    if n_curves > 1:
        look["color"] = style_of(position, COLORS)
        marked = name in ("attack_loss", "filtered_loss")
        look["marker"] = style_of(position, MARKERS) if marked else ""
    if name == "filtered_loss":
        look["markerfacecolor"] = look["color"]
    return look | SPECIAL.get(name, {})


def draw_band(
    ax: "Axes",
    curve: dict[str, np.ndarray],
    line: "Line2D",
    kwargs: dict[str, Any] | None,
) -> "FillBetweenPolyCollection":
    """Fill the area between a curve's bounds, in the color of the line."""
    look = {"color": line.get_color(), "alpha": 0.3, "linewidth": 0.0, "zorder": 2}
    return ax.fill_between(
        curve["epsilon"],
        curve["lower_bound"],
        curve["upper_bound"],
        **(look | (kwargs or {})),
    )


def draw_legend(
    ax: "Axes",
    curves: "list[dict[str, Line2D]]",
    names: list[str] | None,
    unfiltered: "Line2D | None",
) -> "Legend":
    """Draw the legend above the curves, and extend the axis to fit it."""
    handles = _name_handles(curves, names) + _quantity_handles(curves)
    if unfiltered is not None:
        handles.append((unfiltered, UNFILTERED))
    artists, labels = zip(*handles, strict=True)
    legend = ax.legend(
        artists,
        labels,
        loc="upper left",
        ncols=2,
        fontsize=SMALL,
        frameon=False,
        handlelength=1.6,
        columnspacing=0.8,
        handletextpad=0.5,
        borderaxespad=0.3,
        labelspacing=0.2,
    )
    _make_room(ax, -(-len(labels) // 2), legend.get_texts()[0].get_fontsize())
    return legend


def _make_room(ax, n_rows, font_size):
    height = 72.0 * ax.get_window_extent().height / ax.figure.dpi
    share = min(n_rows * LINE_HEIGHT * font_size / height, 0.6)
    ax.set_ylim(0.0, 1.05 * max(ax.dataLim.y1, 1e-9) / (1.0 - share))


def _quantity_handles(curves):
    """Pairs of a line and a quantity; with several curves, lines in neutral gray."""
    handles = []
    for name, quantity in QUANTITIES.items():
        found = [lines[name] for lines in curves if name in lines]
        if found:
            grey = {"color": GREY, "markerfacecolor": GREY}
            artist = found[0] if len(curves) == 1 else _proxy(found[0], **grey)
            handles.append((artist, quantity.label))
    return handles


def _name_handles(curves, names):
    """Pairs of a line with the marker of a curve, and the curve's name."""
    lines = [curve.get("attack_loss", curve["upper_bound"]) for curve in curves]
    return [
        (_proxy(line, marker=line.get_marker(), linestyle="-"), name)
        for line, name in zip(lines, names or [], strict=names is not None)
    ]


def _proxy(line, **changes):
    """Return a line for the legend only; markers stay where there is no line."""
    from matplotlib.lines import Line2D

    style = line.get_linestyle()
    look = {
        "color": line.get_color(),
        "linestyle": style,
        "marker": line.get_marker() if style == "None" else "",
        "markerfacecolor": "white",
        "markersize": line.get_markersize(),
        "linewidth": line.get_linewidth(),
        "alpha": line.get_alpha(),
    }
    return Line2D([], [], **(look | changes))
