"""Pictures as SVG, from what a report says of them.

Colours are the page's: every shape has a class, so that light, dark and print each
give their own.
"""

import json
import math

from markupsafe import Markup

from .types import Axis, Figure

WIDTH, HEIGHT = 380, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 82, 14, 42
ROW = 21
NAME_WIDTH, TAIL = 118, 16
# Labels of lines' ends need that much room above one another.
APART = 11


def draw(figure: Figure) -> Markup:
    """Draw a figure as an ``svg`` element."""
    return _lines(figure) if figure["kind"] == "lines" else _ranges(figure)


class Scale:
    """Where the numbers of an axis lie, its ends from `start` to `stop`."""

    def __init__(self, axis: Axis, start: float, stop: float):
        self.ticks, self.log = axis["ticks"], axis["log"]
        self.start, self.stop = start, stop
        self.low, self.high = map(self._scale, (min(self.ticks), max(self.ticks)))

    def _scale(self, value):
        return math.log(value) if self.log else value

    def __call__(self, value):
        """Return where a number lies."""
        if self.high == self.low:
            return (self.start + self.stop) / 2
        share = (self._scale(value) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.stop - self.start), 1)


def _lines(figure):
    x = Scale(figure["x"], LEFT + 6, WIDTH - RIGHT)
    y = Scale(figure["y"], HEIGHT - BOTTOM, TOP)
    parts = [_grid(y), _x_ticks(figure, x, HEIGHT - BOTTOM)]
    if figure["mark"] is not None:
        at = x(figure["mark"])
        parts.append(_line(at, TOP, at, HEIGHT - BOTTOM, "mark"))
    parts += [_curve(one, x, y) for one in figure["series"]]
    parts += _ends(figure["series"], x, y)
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(_text(middle, HEIGHT - 6, figure["x"]["label"], "axis mid"))
    place = f"translate(11 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)"
    upright = Markup('<text class="axis mid" transform="{}">{}</text>')
    parts.append(upright.format(place, figure["y"]["label"]))
    return _svg(figure, WIDTH, HEIGHT, parts)


def _grid(y):
    parts = []
    for tick in y.ticks:
        at = y(tick)
        parts.append(_line(LEFT, at, WIDTH - RIGHT + 4, at, "grid"))
        parts.append(_text(LEFT - 5, at + 4, _number(tick), "axis end"))
    return Markup().join(parts)


def _x_ticks(figure, x, at):
    parts, last = [], -math.inf
    for tick in x.ticks:
        here = x(tick)
        parts.append(_line(here, at, here, at + 4, "tick"))
        if here - last >= 24:
            parts.append(_text(here, at + 16, _number(tick), "axis mid"))
            last = here
    return Markup().join(parts)


def _number(tick):
    """Write a number with its exact value; SVG has no ``data`` elements."""
    return Markup('<tspan data-value="{}">{:g}</tspan>').format(json.dumps(tick), tick)


def _curve(one, x, y):
    points = [(x(a), y(b)) for a, b in zip(one["x"], one["y"], strict=True)]
    path, role = " ".join(f"{a},{b}" for a, b in points), one["role"]
    line = Markup('<polyline class="line {}" points="{}"/>').format(role, path)
    if role == "base":
        return line
    return line + Markup().join(_circle(a, b, 3, f"dot {role}") for a, b in points)


def _ends(series, x, y):
    """Name each line at its right end, names apart from one another."""
    wanted = sorted((y(one["y"][-1]), i) for i, one in enumerate(series))
    places, floor = [], -math.inf
    for at, i in wanted:
        floor = max(at, floor + APART)
        places.append((floor, i))
    # What was pushed below the axis goes up again, with what stands above it.
    ceiling, moved = HEIGHT - BOTTOM + 4, []
    for at, i in reversed(places):
        ceiling = min(at, ceiling)
        moved.append((ceiling, i))
        ceiling -= APART
    return [
        _text(
            x(series[i]["x"][-1]) + 7,
            at + 4,
            series[i]["name"],
            f"name {series[i]['role']}",
        )
        for at, i in moved
    ]


def _ranges(figure):
    height = TOP + ROW * len(figure["series"]) + BOTTOM - 6
    x = Scale(figure["x"], NAME_WIDTH + 6, WIDTH - TAIL)
    bottom = height - BOTTOM + 8
    parts = []
    for tick in x.ticks:
        parts.append(_line(x(tick), TOP - 6, x(tick), bottom, "grid"))
    parts.append(_x_ticks(figure, x, bottom))
    for i, one in enumerate(figure["series"]):
        parts.append(_range(one, x, TOP + ROW * i + ROW / 2))
    middle = (NAME_WIDTH + WIDTH - TAIL) / 2
    parts.append(_text(middle, height - 4, figure["x"]["label"], "axis mid"))
    return _svg(figure, WIDTH, height, parts)


def _range(one, x, at):
    low, high = (x(value) for value in one["x"])
    role = one["role"]
    name = one["name"] if len(one["name"]) <= 19 else one["name"][:18] + "…"
    return (
        _text(NAME_WIDTH - 4, at + 4, name, f"name end {role}")
        + _line(low, at, high, at, f"range {role}")
        + _circle(low, at, 4, f"open {role}")
        + _circle(high, at, 4, f"dot {role}")
    )


def _line(x1, y1, x2, y2, kind):
    line = Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>')
    return line.format(kind, x1, y1, x2, y2)


def _circle(x, y, radius, kind):
    circle = Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>')
    return circle.format(kind, x, y, radius)


def _text(x, y, content, kind):
    text = Markup('<text class="{}" x="{}" y="{}">{}</text>')
    return text.format(kind, x, y, content)


def _svg(figure, width, height, parts):
    picture = Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" '
        'xmlns="http://www.w3.org/2000/svg">{}</svg>'
    )
    title = f"{figure['title']}. {figure['caption']}"
    return picture.format(width, height, title, Markup().join(parts))
