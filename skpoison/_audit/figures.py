"""What the report's pictures show, as numbers."""

import math

import numpy as np

from .types import Figure, Report

WANTED_TICKS = 5
# Figures have room for that many defenses.
MOST_DEFENSES = 16


def figures(content: Report) -> list[Figure]:
    """Describe everything that is drawn, so that other means can draw it again."""
    return [_bounds(content), _percentiles(content), _ranking(content)]


def _bounds(content):
    best = content["recommendation"]["certified_percentile"]
    series = []
    for curve in content["bounds"]["curves"]:
        x = [point["epsilon"] for point in curve["points"]]
        y = [point["upper_bound"] for point in curve["points"]]
        name, is_best = f"{curve['percentile']:g}", curve["percentile"] == best
        role = "main" if is_best else "other"
        if curve["defense"] != "fixed":
            # Of these, one line is enough beside the others.
            if not is_best:
                continue
            name, role = f"{name} moving", "moving"
        series.append({"name": name, "role": role, "x": x, "y": y})
    clean = content["bounds"]["no_attack_loss"]
    x = content["settings"]["epsilons"]
    series.append({"name": "no attack", "role": "base", "x": x, "y": [clean] * len(x)})
    return {
        "name": "bounds",
        "kind": "lines",
        "title": "No attack raises the training loss above",
        "caption": "Certified upper bound by poison fraction, for each percentile of "
        "sphere and slab with fixed centroids and radii; for the one that the rule "
        "chooses also with moving centroids. Stricter filters have lower bounds, "
        "whatever they cost.",
        "x": {"label": "poison rows per clean row", "ticks": x, "log": _is_log(x)},
        "y": {"label": "training loss", "ticks": _ticks(series), "log": False},
        "series": series,
        "mark": None,
    }


def _is_log(x):
    return len(x) > 1 and x[0] > 0 and x[-1] >= 10 * x[0]


def _percentiles(content):
    found = content["recommendation"]
    best, shown = found["certified_percentile"], found["metric_shown"]
    caption = (
        f"Held-out {shown} under the worst attack and without an attack; a constant "
        "prediction."
    )
    if best is not None:
        caption += " The vertical line marks the percentile that the rule chooses."
    rows = [row for row in content["percentiles"] if row["clean"] is not None]
    looks = {
        "worst": ("under attack", "attacked"),
        "clean": ("no attack", "clean"),
    }
    series = []
    for key, (name, role) in looks.items():
        known = [row for row in rows if row[key] is not None]
        x, y = [r["percentile"] for r in known], [r[key] for r in known]
        series.append({"name": name, "role": role, "x": x, "y": y})
    x = [row["percentile"] for row in rows]
    flat = [found["constant"]] * len(x)
    series.append({"name": "a constant", "role": "base", "x": x, "y": flat})
    return {
        "name": "percentiles",
        "kind": "lines",
        "title": "What a percentile costs, and what it prevents",
        "caption": caption,
        "x": {"label": "percentile of sphere and slab", "ticks": x, "log": False},
        "y": {"label": shown, "ticks": _ticks(series), "log": False},
        "series": [one for one in series if one["x"]],
        "mark": best,
    }


def _ranking(content):
    found = content["recommendation"]
    rows = content["ranking"][:MOST_DEFENSES]
    series = [
        {
            "name": row["defense"],
            "role": "main" if row["status"] == "recommended" else "other",
            "x": [row["clean"], row["worst"]],
            "y": [row["rank"]] * 2,
        }
        for row in rows
    ]
    ends = [{"y": one["x"]} for one in series]
    shown = found["metric_shown"]
    return {
        "name": "ranking",
        "kind": "ranges",
        "title": f"{shown[0].upper()}{shown[1:]} without an attack and under the worst",
        "caption": f"Open circle: held-out {shown} without an attack. Filled: under "
        "the worst attack tried. The lowest under attack is at the top; the "
        "recommended defense is set off.",
        "x": {"label": shown, "ticks": _ticks(ends), "log": False},
        "y": {"label": "", "ticks": [], "log": False},
        "series": series,
        "mark": None,
    }


def _ticks(series):
    """Return round numbers from zero to the largest value, or a little above it."""
    values = [value for one in series for value in one["y"]]
    top = max(values, default=0.0)
    if not top > 0:
        return [0.0, 1.0]
    rough = top / (WANTED_TICKS - 1)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough)
    n_steps = math.ceil(top / step - 1e-9)
    # Rounded, for 3 * 0.1 is not 0.3.
    return [float(f"{i * step:.10g}") for i in np.arange(n_steps + 1).tolist()]
