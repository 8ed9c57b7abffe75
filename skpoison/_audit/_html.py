"""A report as a page."""

from ._defenses import UNDEFENDED, name_of
from ._details import _assumptions, _data, _evaluations, _settings
from ._markup import (
    own,
    paragraphs,
    pictures,
    section,
    table,
    text,
)
from ._numbers import number
from ._page import page


def to_html(content):
    """Write a report as a page.

    Parameters
    ----------
    content : dict
        The report, as its JSON has it.

    Returns
    -------
    html : str
        A whole document without scripts or references to other files.
    """
    parts = (
        _head(content),
        _recommended(content),
        _bounds(content),
        _ranking(content),
        _suspicious(content),
        _assumptions(content),
        _data(content),
        _evaluations(content),
        _settings(content),
    )
    return page(f"Audit of {_source(content)}", "\n".join(parts))


def _source(content):
    return text(content["data"]["source"] or "training data")


SECTIONS = {
    "recommended": "Which percentile",
    "bounds": "How bad it can get",
    "ranking": "Which defense",
    "suspicious": "Suspicious rows",
    "assumptions": "Assumptions",
    "data": "The data",
    "evaluations": "All attacks",
    "settings": "Settings",
}


def _head(content):
    links = " ".join(f'<a href="#{k}">{title}</a>' for k, title in SECTIONS.items())
    return (
        f"<header><h1>Audit of {own(content['data']['source'] or 'training data')}</h1>"
        f'<p class="soft">What poisoned rows could do to a model that is trained on '
        f"these data, and which rows look like poison.</p></header>\n<nav>{links}</nav>"
        f"{_tiles(content)}{paragraphs(content['summary'])}"
    )


def _tiles(content):
    ranked = {row["defense"]: row for row in content["ranking"]}
    found, percentiles = content["recommendation"], content["percentiles"]
    tiles = [
        (number(content["no_attack"]["test_error"], "percent"), "error without attack"),
        (
            number(ranked[UNDEFENDED]["worst_error"], "percent"),
            "error under the worst attack, no defense",
        ),
    ]
    for row in percentiles:
        if row["percentile"] == found["percentile"]:
            at = f"percentile {number(row['percentile'], 'plain')}"
            worst = number(ranked[name_of(row["percentile"])]["worst_error"], "percent")
            tiles.append((worst, f"the same behind sphere and slab, {at}"))
            tiles.append(
                (
                    number(row["upper_bound"], "bound"),
                    f"certified limit of the training loss{_whose(content)}, {at}",
                )
            )
    items = "".join(
        f"<li><b>{value}</b><span>{name}</span></li>" for value, name in tiles
    )
    return f'<ul class="tiles">{items}</ul>'


def _whose(content):
    """Say whose training loss is limited where there are more than two classes."""
    if len(content["data"]["classes"]) == 2:
        return ""
    return f" of {own(content['data']['positive'])} against the rest"


PERCENTILE_HEADERS = [
    "percentile",
    "rows kept",
    "error, no attack",
    "loss, no attack",
    "cost of the filter",
    "error, attacked",
    "loss, attacked",
    "standard error",
    "worst attack",
    "certified limit",
    "the same, moving centroids",
]


def _recommended(content):
    found = content["recommendation"]
    share = number(found["epsilon"], "share")
    rows = [
        [
            number(row["percentile"], "plain"),
            number(row["kept_share"], "percent"),
            number(row["clean_error"], "percent"),
            number(row["clean_loss"]),
            number(row["cost_loss"]),
            number(row["worst_error"], "percent"),
            number(row["worst_loss"]),
            number(row["worst_loss_se"]),
            text(row["worst_loss_attack"] or "–"),
            number(row["upper_bound"], "bound"),
            number(row["upper_bound_moving"], "bound"),
        ]
        for row in content["percentiles"]
    ]
    percentiles = [row["percentile"] for row in content["percentiles"]]
    best = found["percentile"]
    best = percentiles.index(best) if best is not None else None
    note = (
        f'<p class="soft">Measured with {share} poison, on held-out clean rows, those '
        "that the filter would reject included. The row that is set off is "
        "recommended, by the loss under attack. The certified limit speaks of "
        "training loss, and alone would always choose the smallest percentile.</p>"
    )
    return section(
        "recommended",
        "Which percentile should the filter keep?",
        pictures(content, "percentiles"),
        table(PERCENTILE_HEADERS, rows, n_text=0, best=best),
        note,
    )


def _bounds(content):
    bounds = content["bounds"]
    headers = ["percentile"] + [
        f"{number(epsilon, 'share')} poison"
        for epsilon in content["settings"]["epsilons"]
    ]
    rows = [
        [_curve_name(curve), *_limits(curve, content["settings"]["epsilons"])]
        for curve in bounds["curves"]
    ]
    missing = "".join(
        f'<p class="soft">{text(_words(one["defense"]))}: {own(one["reason"])}.</p>'
        for one in bounds["defenses"]
        if one["reason"]
    )
    learner = ", ".join(
        f"{text(key)} = {number(value, 'plain')}"
        for key, value in bounds["learner"].items()
    )
    note = (
        f"<p>The learner is a linear support vector machine ({learner}). Whatever an "
        "attacker sends that passes the filter, its training loss (mean hinge loss for "
        "each clean row, with the penalty if there is one) does not exceed the upper "
        "bound. Without an attack it is "
        f"{number(bounds['no_attack_loss'])}.</p>"
    )
    under = (
        '<p class="soft">Upper bound, and beneath it the training loss that the attack '
        "brings about which was found.</p>"
    )
    strip = table(headers, rows, kind="strip") + under
    return section(
        "bounds",
        "How bad can it get?",
        note,
        f'<div class="pair">{pictures(content, "bounds")}<div>{strip}</div></div>',
        missing,
    )


def _words(defense):
    """Say what a defense is: fixed, or with centroids that move."""
    return defense.replace("_", " ")


def _curve_name(curve):
    name = number(curve["percentile"], "plain")
    if curve["defense"] == "fixed":
        return name
    return f"{name} {text(_words(curve['defense']))}"


def _limits(curve, epsilons):
    """Return for each share of poison the bound, with the attack beneath it."""
    points = {point["epsilon"]: point for point in curve["points"]}
    cells = []
    for point in map(points.get, epsilons):
        if point is None:
            cells.append("–")
            continue
        upper = number(point["upper_bound"], "bound")
        found = number(point["attack_loss"])
        cells.append(f'{upper}<br><span class="soft">{found}</span>')
    return cells


RANKING_HEADERS = [
    "defense",
    "rank",
    "worst error",
    "by attack",
    "worst loss",
    "error, no attack",
    "cost",
    "rank by cost",
    "attacks that know it",
]


def _ranking(content):
    rows = [
        [
            own(row["defense"]),
            number(row["rank"], "count"),
            number(row["worst_error"], "percent"),
            own(row["worst_error_attack"]),
            number(row["worst_loss"]),
            number(row["clean_error"], "percent"),
            number(row["cost_error"], "percent"),
            number(row["rank_by_clean_error"], "count"),
            _of(row["n_adaptive"], row["n_attacks"]),
        ]
        for row in content["ranking"]
    ]
    note = (
        '<p class="soft">Every defense is fitted on clean rows and poison together, as '
        "most people must. A defense that few attacks know can look better than it is: "
        "the others were made against sphere and slab.</p>"
    )
    return section(
        "ranking",
        "Which defense does best?",
        pictures(content, "ranking"),
        table(RANKING_HEADERS, rows),
        note,
    )


def _of(part, whole):
    return f"{number(part, 'count')} of {number(whole, 'count')}"


def _suspicious(content):
    found = content["suspicious"]
    filters = [
        [
            own(one["filter"]),
            text(one["measures"]),
            number(one["percentile"], "plain"),
            number(one["n_beyond"], "count"),
        ]
        for one in found["filters"]
    ]
    note = (
        f"<p>{number(found['n_rows'], 'count')} rows were judged. The score combines "
        "the ranks that the filters give a row: a row at random has about one, higher "
        "is more suspicious. Suspicious is not guilty: rare and mislabelled rows look "
        "like this too. Rows count from one; values of features are in the units of "
        "the data.</p>"
    )
    cards = "".join(map(_card, found["rows"]))
    return section(
        "suspicious",
        "Which rows should not be trusted?",
        note,
        table(
            ["filter", "what it looks at", "percentile", "rows beyond"],
            filters,
            n_text=2,
        ),
        f'<ol class="rows">{cards}</ol>',
    )


def _card(row):
    name = f"Row {number(row['row'], 'count')}"
    if row["index"] is not None:
        name += f", index {own(row['index'])}"
    reasons = "".join(
        f"<li><span{' class=beyond' if one['beyond'] else ''}>{own(one['filter'])}"
        f"</span>: {text(one['text'])}</li>"
        for one in row["reasons"][:4]
    )
    features = "".join(
        f"<li>{own(one['feature'])}: {number(one['value'], 'plain')}, class mean "
        f"{number(one['class_mean'], 'plain')} ({number(one['share'], 'percent')} of "
        "the squared distance)</li>"
        for one in row["features"]
    )
    return (
        f"<li><h3>{number(row['rank'], 'count')}. {name}</h3>"
        f"Label {own(row['label'])}; score {number(row['score'], 'plain')}; beyond the "
        f"limits of {number(row['n_beyond'], 'count')} filters"
        f"<ul>{reasons}</ul><ul>{features}</ul></li>"
    )
