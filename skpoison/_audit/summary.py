"""What was found, in a few sentences."""

from skpoison._words import epsilon_text, loss_text, percent_text, upper_text

from .assumptions import COPIES, VIOLATED, WATCH
from .defenses import UNDEFENDED, name_of
from .types import Report

MOST_NAMED = 3
# Of the error of one who always says the most frequent label.
USELESS = 0.98
SPHERE_AND_SLAB = (
    "The sphere and slab filter keeps the rows nearest to the mean of their class, by "
    "distance (sphere) and by distance along the line between the class means (slab)."
)


def summary(content: Report) -> list[str]:
    """Say in a few sentences what was found."""
    return [
        _harm(content),
        *_defended(content),
        *_guaranteed(content),
        *_advice(content),
        _suspicious(content),
        *_copies(content),
        *_numbering(content),
        *_doubts(content),
    ]


def _row(content, defense):
    return next(row for row in content["ranking"] if row["defense"] == defense)


def _harm(content):
    clean, open_ = content["no_attack"], _row(content, UNDEFENDED)
    share = epsilon_text(content["settings"]["reference"])
    useless = open_["worst_error"] >= USELESS * clean["majority_error"]
    return (
        f"Without an attack, the model has {percent_text(clean['test_error'])} error "
        f"on held-out rows{_drawn(content)}. With {share} poison and no defense, the "
        f"worst attack tried ({open_['worst_error_attack']}) brings it to "
        f"{percent_text(open_['worst_error'])}. A model that always predicts "
        f"{_frequent(content)} has {percent_text(clean['majority_error'])} error"
        f"{', so under this attack the model is useless' if useless else ''}."
    )


def _drawn(content):
    """Say if errors are those of some rows only, among which classes differ."""
    n_measured = content["settings"]["n_attacked_rows"]
    n_rows = content["data"]["n_rows"]
    if n_measured == n_rows:
        return ""
    return f" (measured on {n_measured:,} of {n_rows:,} rows)"


def _frequent(content):
    return max(content["data"]["classes"], key=lambda one: one["n_rows"])["label"]


def _defended(content):
    found = content["recommendation"]
    if found["percentile"] is None:
        yield (
            f"{SPHERE_AND_SLAB} No percentile is recommended, because no adaptive "
            f"attack could be made ({found['not_judged'][0]['reason'].rstrip('.')})."
        )
        return
    row = _row(content, name_of(found["percentile"]))
    text = (
        f"{SPHERE_AND_SLAB} Percentile {found['percentile']:g} does best: under the "
        "worst adaptive attack (one that knows it), the held-out loss on all clean "
        "rows is "
        f"{loss_text(found['worst_loss'])} (error {percent_text(row['worst_error'])}; "
        f"without an attack, {percent_text(row['clean_error'])})."
    )
    if found["also_good"]:
        listed = ", ".join(f"{percentile:g}" for percentile in found["also_good"])
        text += f" Within one standard error of it: {listed}."
    if not found["better_than_undefended"]:
        text += (
            " Without a defense, the loss under the same attacks is no larger, "
            f"{loss_text(found['undefended_loss'])}, but no bound limits other attacks."
        )
    yield text
    for one in found["not_judged"]:
        yield (
            f"Percentile {one['percentile']:g} was not judged, because no adaptive "
            f"attack could be made ({one['reason'].rstrip('.')}); it may do better."
        )


def _guaranteed(content):
    found = content["recommendation"]
    if found["percentile"] is None:
        return
    row = next(
        row
        for row in content["percentiles"]
        if row["percentile"] == found["percentile"]
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
        f"Certified: with {epsilon_text(found['epsilon'])} poison, the training loss"
        f"{whose} does not exceed {upper_text(row['upper_bound'])} with fixed "
        f"centroids and radii{moving}. Without an attack it is "
        f"{loss_text(content['bounds']['no_attack_loss'])}. By the certificate alone, "
        f"percentile {found['by_certificate_alone']:g} would be chosen."
    )


def _advice(content):
    """Say what to do, as far as what was tried can tell."""
    found = content["recommendation"]
    best = content["ranking"][0]
    if best["defense"] == UNDEFENDED:
        yield (
            "No defense tried has less error under its worst attack than no filter at "
            "all: instead, limit how many rows an untrusted source can add, and review "
            "the suspicious rows."
        )
        return
    text = (
        f"Of the defenses tried, {best['defense']} has the lowest error under its "
        f"worst attack, {percent_text(best['worst_error'])}"
    )
    own = None if found["percentile"] is None else name_of(found["percentile"])
    if best["defense"] == own:
        yield f"{text}, and a certificate as well: start with it."
        return
    text += f" ({best['n_adaptive']} of {best['n_attacks']} attacks were adaptive)"
    if own is None:
        yield f"{text}."
        return
    row = _row(content, own)
    yield (
        f"{text}; {own}, which has the lowest loss of the certified defenses, has "
        f"{percent_text(row['worst_error'])}."
    )


def _suspicious(content):
    found = content["suspicious"]
    rows = found["rows"]
    n_filters = len(found["filters"])
    if not rows:
        return "No suspicious rows were requested."
    agreed = [row for row in rows if row["n_beyond"] > n_filters / 2]
    listed = ", ".join(f"{row['row']:,}" for row in rows[:MOST_NAMED])
    return _rejected(found) + (
        f"{len(agreed)} of the {len(rows)} most suspicious rows are beyond the "
        f"thresholds of more than half of the {n_filters} filters. Review rows "
        f"{listed} first (counted from one)."
    )


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
    return f"AutoFilter rejects {n_rejected:,} rows ({shares}). "


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
        listed = "; ".join(found)
        yield f"Assumptions of the certificate that the data violate: {listed}."
