"""The page's later sections: assumptions, data, all attacks, settings."""

from ._markup import definitions, listed, own, paragraphs, section, table, text
from ._numbers import number

CLASSES = {
    "holds": "holds",
    "watch": "watch",
    "violated": "violated",
    "not tested": "untested",
}


def _assumptions(content):
    items = "".join(
        f'<li><span class="status {CLASSES[one["status"]]}">{text(one["status"])}'
        f"</span> <b>{text(one['name'])}</b><p>{text(one['text'])}</p></li>"
        for one in content["assumptions"]
    )
    return section(
        "assumptions",
        "What the certificate assumes",
        f'<ul class="checks">{items}</ul>',
    )


def _data(content):
    data = content["data"]
    facts = {
        "rows": number(data["n_rows"], "count"),
        "features": number(data["n_features"], "count"),
        "stored as": text("sparse" if data["is_sparse"] else "dense")
        + f", {own(data['dtype'])}, {number(data['n_bytes'], 'count')} bytes",
        "columns": "; ".join(
            f"{number(count, 'count')} {text(kind)}"
            for kind, count in data["kinds"].items()
        ),
        "transformation": text(data["transformed"]),
        "bounds speak of": f"{own(data['positive'])} against {own(data['negative'])}",
        "repeated rows": number(data["n_repeated"], "count"),
        "equal rows, other label": number(data["n_contradicting"], "count"),
    }
    if data["is_sparse"]:
        facts["share of non-zeros"] = number(data["density"], "percent")
    if data["constant"]:
        facts["constant columns"] = ", ".join(map(own, data["constant"]))
    if data["row_numbers"]:
        facts["columns that number the rows"] = ", ".join(map(own, data["row_numbers"]))
    if data["unique_numbers"]:
        names = ", ".join(map(own, data["unique_numbers"]))
        facts["columns with another whole number in every row"] = names
    rows = [
        [
            own(one["label"]),
            number(one["n_rows"], "count"),
            number(one["share"], "percent"),
        ]
        for one in data["classes"]
    ]
    return section(
        "data", "The data", definitions(facts), table(["label", "rows", "share"], rows)
    )


EVALUATION_HEADERS = [
    "defense",
    "attack",
    "made against",
    "rows sent",
    "error, no defense",
    "error, defended",
    "loss, defended",
    "poison rejected",
    "clean rows rejected",
    "knows the defense",
]


def _evaluations(content):
    rows = [
        [
            own(row["defense"]),
            own(row["attack"]),
            own(row["made_against"]),
            number(row["n_poison"], "plain"),
            number(row["error_poisoned"], "percent"),
            number(row["error_filtered_poisoned"], "percent"),
            number(row["loss_filtered_poisoned"]),
            number(row["poison_rejected"], "percent"),
            number(row["clean_rejected"], "percent"),
            "yes" if row["adaptive"] else "no",
        ]
        for row in content["evaluations"]
        if row["possible"]
    ]
    impossible = [
        f"{own(row['attack'])} against {own(row['defense'])}: {own(row['reason'])}"
        for row in content["evaluations"]
        if not row["possible"]
    ]
    note = ""
    if impossible:
        note = f"<p>Attacks that could not be made:</p>{listed(impossible)}"
    return section(
        "evaluations",
        "All attacks, all defenses",
        table(EVALUATION_HEADERS, rows, n_text=3, kind="strip"),
        note,
    )


def _settings(content):
    settings = content["settings"]
    facts = {
        "model": f"<code>{text(settings['estimator'])}</code>",
        **{
            f"filter {own(name)}": f"<code>{text(shown)}</code>"
            for name, shown in settings["filters"].items()
        },
        **{
            f"attack {own(name)}": f"<code>{text(shown)}</code>"
            for name, shown in settings["attacks"].items()
        },
        "folds": number(settings["n_folds"], "count"),
        "rows that attacks were run on": number(settings["n_attacked_rows"], "count"),
        "seed": number(settings["random_state"], "count"),
        "skpoison": text(content["skpoison"]),
    }
    left = [f"{own(one['what'])}: {own(one['reason'])}" for one in content["left_out"]]
    parts = [definitions(facts)]
    if left:
        parts += ["<h3>Left out</h3>", listed(left)]
    if content["warnings"]:
        parts += ["<h3>Warnings</h3>", paragraphs(content["warnings"])]
    return section("settings", "Settings", *parts)
