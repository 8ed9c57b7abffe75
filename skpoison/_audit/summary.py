"""What was found, in a few sentences."""

from skpoison._words import (
    counted,
    epsilon_text,
    loss_text,
    name_text,
    percent_text,
    upper_text,
)

from .assumptions import COPIES, VIOLATED, WATCH
from .defenses import BOTH, UNDEFENDED, name_of
from .metrics import limit_text
from .types import Interval, Recommendation, Report

MOST_NAMED = 3
LONGEST_REASON = 400
# Of the error of one who always says the most frequent label.
USELESS = 0.98
SPHERE_AND_SLAB = (
    "The filter sphere & slab keeps the rows nearest to the mean of their class, by "
    "distance (sphere) and by distance along the line between the class means (slab); "
    "the number behind it is the percentage of a class within each."
)


def summary(content: Report) -> list[str]:
    """Say in a few sentences what was found."""
    sentences = [
        content["verdict"]["text"],
        *_useless(content),
        _harm(content),
        *_advice(content),
        *_guaranteed(content),
        _suspicious(content),
        *_copies(content),
        *_numbering(content),
        *_doubts(content),
        *_left_out(content),
    ]
    first = next(i for i, one in enumerate(sentences) if BOTH in one)
    return [*sentences[:first], SPHERE_AND_SLAB, *sentences[first:]]


def headline(recommendation: Recommendation) -> str:
    """The recommendation in a few words."""
    if recommendation["defense"] is None:
        return "no defense can be recommended"
    return recommendation["defense"]


def value_text(recommendation: Recommendation, value: float | None) -> str:
    """Write a value of the metric."""
    if value is None or not recommendation["metric"] == "cost":
        return percent_text(value)
    return f"{value:.4g}"


def points_text(recommendation: Recommendation, found: Interval) -> str:
    """Write a difference of the metric with its interval."""
    if recommendation["metric"] == "cost":
        low, high = f"{found['low']:.4g}", f"{found['high']:.4g}"
        return f"{found['value']:.4g} a row ({low} to {high})"
    value, low, high = (
        f"{100 * found[key]:.1f}".replace("-", "−") for key in ("value", "low", "high")
    )
    return f"{value} points ({low} to {high})"


def _useless(content):
    found = content["recommendation"]
    if not found["model_is_useless"]:
        return
    clean = value_text(found, found["undefended_clean"]["value"])
    yield (
        f"Without a defense the model is useless, attack or no attack: its "
        f"{found['metric_shown']} is {clean}, no better beyond noise than the "
        f"{value_text(found, found['constant'])} of a constant prediction. Mend the "
        "model or the data first."
    )


def _harm(content):
    found, classes = content["recommendation"], content["classes"]
    clean, attacked = found["undefended_clean"], found["undefended_worst"]
    (open_,) = [r for r in content["ranking"] if r["defense"] == UNDEFENDED]
    share = epsilon_text(found["epsilon"])
    useless = attacked["value"] >= USELESS * found["constant"]
    useless = useless and not found["model_is_useless"]
    rates = "; ".join(
        f"class {one['label']} {percent_text(one['recall'])} "
        f"({percent_text(one['base_rate'])} of the rows)"
        for one in classes[:MOST_NAMED]
    )
    return (
        f"Without an attack, the model has {value_text(found, clean['value'])} "
        f"{found['metric_shown']} on held-out rows{_drawn(content)}. With {share} "
        f"poison and no defense, the worst attack tried ({open_['worst_attack']}) "
        f"brings it to {value_text(found, attacked['value'])}. The best constant "
        f"prediction has {value_text(found, found['constant'])}"
        f"{', so under this attack the model is useless' if useless else ''}. Recall "
        f"without an attack: {rates}. Compared by {found['metric_shown']}: "
        f"{found['metric_reason']}."
    )


def _drawn(content):
    """Say if figures are those of some rows only, among which classes differ."""
    n_measured = content["settings"]["n_attacked_rows"]
    n_rows = content["data"]["n_rows"]
    n_out = content["recommendation"]["n_taken_out"]
    parts = []
    if n_measured != n_rows:
        parts.append(f"measured on {n_measured:,} of {n_rows:,} rows")
    if n_out:
        parts.append(f"{counted(n_out, 'suspicious row')} taken out")
    return f" ({', '.join(parts)})" if parts else ""


def _advice(content):
    """Say what to do: what the one decision says, and nothing else."""
    found = content["recommendation"]
    if found["defense"] is None:
        yield (
            "No defense is recommended: none of those tried beats a constant "
            "prediction at an acceptable cost."
        )
    elif found["defense"] == UNDEFENDED:
        worst = value_text(found, found["worst"]["value"])
        yield _with_noise(
            found,
            f"Recommended: {UNDEFENDED}. No acceptable one has a lower "
            f"{found['metric_shown']} under its worst attack than the {worst} without "
            "any. Instead, limit how many rows an untrusted source can add, and review "
            "the suspicious rows.",
        )
    else:
        yield _with_noise(found, _recommended(found))
    if found["too_costly"]:
        limit = limit_text(found["metric"], found["max_cost"])
        yield (
            f"Not considered, because they cost more than {limit} without an attack: "
            f"{', '.join(found['too_costly'])}."
        )
    if found["no_better_than_a_constant"]:
        listed = ", ".join(found["no_better_than_a_constant"])
        yield f"Useless, being no better than a constant without an attack: {listed}."
    yield from _not_judged(found["not_judged"])


def _not_judged(defenses):
    """Say which defenses were not judged, those with the same reason together."""
    alike = {}
    for one in defenses:
        same = one["reason"].replace(one["defense"], "it")
        alike.setdefault(same, []).append(one)
    for members in alike.values():
        first, names = members[0], [one["defense"] for one in members]
        reason = name_text(first["reason"].rstrip("."), LONGEST_REASON)
        if len(members) == 1:
            yield (
                f"{names[0]} was not judged, because no attack that knows it could be "
                f"made ({reason}); it may do better."
            )
        else:
            yield (
                f"{', '.join(names)} were not judged, because no attack that knows "
                f"them could be made (of the first: {reason}); they may do better."
            )


def _with_noise(found, text):
    """Say behind a recommendation what of it is within noise."""
    return f"{text} {found['noise_text']}" if found["noise_text"] else text


def _recommended(found):
    saves = points_text(found, found["saves"])
    text = (
        f"Recommended: {found['defense']}. It costs "
        f"{points_text(found, found['cost'])} of {found['metric_shown']} without an "
        f"attack and saves {saves} under the worst one ({found['worst_attack']}): "
        f"{value_text(found, found['worst']['value'])} instead of "
        f"{value_text(found, found['undefended_worst']['value'])}."
    )
    if found["is_useless_under_attack"]:
        text += (
            " Even so, under this attack the model is useless: a constant does as well."
        )
    return text


def _guaranteed(content):
    found = content["recommendation"]
    if found["certified_percentile"] is None:
        yield (
            f"No percentile of {BOTH} is acceptable by the same rule, so there is no "
            "recommended defense with a certificate."
        )
        return
    row = next(
        row
        for row in content["percentiles"]
        if row["percentile"] == found["certified_percentile"]
    )
    moving = ""
    if row["upper_bound_moving"] is not None:
        moving = (
            f", nor {upper_text(row['upper_bound_moving'])} with moving centroids, "
            "which are computed from clean and poison rows together"
        )
    data = content["data"]
    whose = ""
    if len(data["classes"]) > 2:
        whose = f" of a model that separates {data['positive']} from all others"
    yield (
        f"{_of_certified(found, row)} Certified: with "
        f"{epsilon_text(found['epsilon'])} poison, the training loss{whose} does not "
        f"exceed {upper_text(row['upper_bound'])} with fixed centroids and radii"
        f"{moving}. Without an attack it is "
        f"{loss_text(content['bounds']['no_attack_loss'])}.{_strictest(content)}"
    )


def _strictest(content):
    """Say what is best by the bounds, unless some are left out."""
    if len(content["percentiles"]) < len(content["settings"]["percentiles"]):
        return ""
    percentile = content["recommendation"]["by_certificate_alone"]
    return f" By the certificate alone, percentile {percentile:g} would be chosen."


def _of_certified(found, row):
    """How the best defense with a certificate compares with the recommended one."""
    name = name_of(found["certified_percentile"])
    if name == found["defense"]:
        return f"{name}, the recommended defense, has a certificate."
    has_none = ""
    if found["defense"] not in (None, UNDEFENDED):
        has_none = f"{found['defense']}, the recommended defense, has no certificate. "
    return (
        f"{has_none}Of defenses with a certificate, {name} is the best by the same "
        "rule: "
        f"{value_text(found, row['worst'])} {found['metric_shown']} under the worst "
        f"adaptive attack (one that knows it), {value_text(found, row['clean'])} "
        "without an attack."
    )


def _suspicious(content):
    found = content["suspicious"]
    rows = found["rows"]
    n_filters = len(found["filters"])
    if not rows:
        return "No suspicious rows were requested."
    agreed = [row for row in rows if row["n_beyond"] > n_filters / 2]
    kind = "filter" if found["n_rejected"] is None else "other filter"
    return _rejected(found) + (
        f"{len(agreed)} of the {counted(len(rows), 'most suspicious row')} "
        f"{'is' if len(agreed) == 1 else 'are'} beyond the thresholds of more than "
        f"half of the {counted(n_filters, kind)}. {_first(found)}"
    )


def _first(found):
    """Say which rows to look at first, and why these."""
    named = found["rows"][:MOST_NAMED]
    listed = ", ".join(f"{row['row']:,}" for row in named)
    rows = "row" if len(named) == 1 else "rows"
    if found["n_rejected"] == 0:
        return (
            f"If you review any, begin with {rows} {listed} (counted from one): they "
            "lie farthest out by the other filters, as rare honest rows do, too."
        )
    return f"Review {rows} {listed} first (counted from one)."


def _rejected(found):
    """Say what AutoFilter has found, and begin another sentence."""
    n_rejected = found["n_rejected"]
    if n_rejected is None:
        return ""
    if not n_rejected:
        return "AutoFilter finds no row that contradicts the others. "
    shares = ", ".join(
        f"{percent_text(one['share'])} of {one['label']}"
        for one in sorted(found["classes"], key=lambda one: -one["share"])[:MOST_NAMED]
        if one["share"]
    )
    by = "AutoFilter rejects"
    if any(one["rejected_by"].get("digits") for one in found["classes"]):
        by = "AutoFilter and the verdict reject"
    return f"{by} {counted(n_rejected, 'row')} ({shares}). "


def _copies(content):
    most = content["data"]["most_repeated"]
    statuses = {a["name"]: a["status"] for a in content["assumptions"]}
    if statuses[COPIES] == WATCH:
        yield (
            f"Row {most['row']:,} occurs {most['n_copies']:,} times with label "
            f"{most['label']}. Review it whatever its score: to a filter, a large "
            "enough group of equal rows looks normal."
        )


def _numbering(content):
    for name in content["data"]["row_numbers"]:
        yield f"Column {name} numbers the rows; leave it out."
    for name in content["data"]["unique_numbers"]:
        yield (
            f"Column {name} has a different whole number in every row, like an "
            "identifier; leave it out unless it is a quantity."
        )


def _doubts(content):
    found = [a["name"] for a in content["assumptions"] if a["status"] == VIOLATED]
    if found:
        listed = "; ".join(f"that {one}" for one in found)
        yield f"Violated assumptions of the certificate: {listed}."


def _left_out(content):
    """Say what was not done, a sentence for each reason."""
    moved = [
        {"what": f"bounds with {one['defense'].replace('_', ' ')}", **one}
        for one in content["bounds"]["defenses"]
        if one["reason"]
    ]
    alike: dict[str, list[str]] = {}
    for one in [*content["left_out"], *moved]:
        alike.setdefault(one["reason"].rstrip("."), []).append(name_text(one["what"]))
    for reason, what in alike.items():
        yield f"Left out: {', '.join(what)}: {name_text(reason, LONGEST_REASON)}."
