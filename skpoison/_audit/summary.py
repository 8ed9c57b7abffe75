"""What was found, in a few sentences."""

from skpoison._words import upper_text

from ._text import epsilon_text, loss_text, percent_text
from .assumptions import COPIES, VIOLATED, WATCH
from .defenses import UNDEFENDED, name_of
from .types import Report

MOST_NAMED = 3
# Of the error of one who always says the most frequent label.
USELESS = 0.98


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
    text = (
        f"Without an attack the model errs on {percent_text(clean['test_error'])} of "
        f"held-out rows{_drawn(content)}. With {share} poison and no defense, the "
        f"worst attack that was tried ({open_['worst_error_attack']}) makes that "
        f"{percent_text(open_['worst_error'])}; always saying "
        f"{_frequent(content)} errs on {percent_text(clean['majority_error'])}."
    )
    if open_["worst_error"] >= USELESS * clean["majority_error"]:
        text += " Behind that attack the model is worth no more than that."
    return text


def _drawn(content):
    """Say if errors are those of some rows only, among which classes differ."""
    n_measured, n_rows = (
        content["settings"]["n_attacked_rows"],
        content["data"]["n_rows"],
    )
    return f" ({n_measured:,} of {n_rows:,} were drawn)" if n_measured < n_rows else ""


def _frequent(content):
    return max(content["data"]["classes"], key=lambda one: one["n_rows"])["label"]


def _defended(content):
    found = content["recommendation"]
    if found["percentile"] is None:
        yield (
            "No percentile of the sphere and slab defense is recommended: no attack "
            f"could be made that knows it ({found['not_judged'][0]['reason']})."
        )
        return
    row = _row(content, name_of(found["percentile"]))
    text = (
        f"Of sphere and slab, percentile {found['percentile']:g} does best: under the "
        f"worst attack that knows it, the held-out loss on all clean rows is "
        f"{loss_text(found['worst_loss'])} (error {percent_text(row['worst_error'])}; "
        f"without an attack, {percent_text(row['clean_error'])})."
    )
    if found["also_good"]:
        listed = ", ".join(f"{percentile:g}" for percentile in found["also_good"])
        text += f" Within chance of it: {listed}."
    if not found["better_than_undefended"]:
        text += (
            " No defense at all did no worse under the attacks that were run, "
            f"{loss_text(found['undefended_loss'])}; nothing limits other ones, though."
        )
    yield text
    for one in found["not_judged"]:
        yield (
            f"Percentile {one['percentile']:g} was not judged, since no attack could "
            f"be made that knows it ({one['reason']}); it may do better."
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
            f", nor {upper_text(row['upper_bound_moving'])} where poison moves the "
            "centroids and the radii stay fixed"
        )
    data = content["data"]
    whose = ""
    if len(data["classes"]) > 2:
        whose = f" of a model that tells {data['positive']} from all others"
    yield (
        f"Certified with {epsilon_text(found['epsilon'])} poison: the training loss"
        f"{whose} does not exceed {upper_text(row['upper_bound'])} where centroids "
        f"and radii stay fixed{moving} (without an attack, it is "
        f"{loss_text(content['bounds']['no_attack_loss'])}). The certificate alone "
        f"would choose percentile {found['by_certificate_alone']:g}."
    )


def _advice(content):
    """Say what to do, as far as what was tried can tell."""
    found = content["recommendation"]
    best = content["ranking"][0]
    if best["defense"] == UNDEFENDED:
        yield (
            "So, of what was tried, no filter is worth what it costs: limit how many "
            "rows one stranger can add, and look at those that stand out."
        )
        return
    text = (
        f"So, of what was tried, {best['defense']} leaves the least error under its "
        f"worst attack, {percent_text(best['worst_error'])}"
    )
    own = None if found["percentile"] is None else name_of(found["percentile"])
    if best["defense"] == own:
        yield f"{text}, and has a certificate besides: begin with it."
        return
    knew = f"{best['n_adaptive']} of {best['n_attacks']} attacks knew it"
    text += f" ({knew})"
    if own is None:
        yield f"{text}."
        return
    row = _row(content, own)
    yield (
        f"{text}; {own}, which has the least loss of those with a certificate, leaves "
        f"{percent_text(row['worst_error'])}."
    )


def _suspicious(content):
    found = content["suspicious"]
    rows = found["rows"]
    n_filters = len(found["filters"])
    if not rows:
        return "No suspicious rows were asked for."
    agreed = [row for row in rows if row["n_beyond"] > n_filters / 2]
    listed = ", ".join(f"{row['row']:,}" for row in rows[:MOST_NAMED])
    return (
        f"{len(agreed)} of the {len(rows)} most suspicious rows are beyond the limits "
        f"of more than half of the {n_filters} filters. Look first at rows "
        f"{listed} (counted from one)."
    )


def _copies(content):
    most = content["data"]["most_repeated"]
    statuses = {a["name"]: a["status"] for a in content["assumptions"]}
    if statuses[COPIES] == WATCH:
        yield (
            f"Row {most['row']:,} occurs {most['n_copies']:,} times under label "
            f"{most['label']}. Look at it whatever its score: filters do not see a "
            "group of rows that is large enough to pass for usual."
        )


def _numbering(content):
    for name in content["data"]["row_numbers"]:
        yield f"Column {name} numbers the rows; leave it out."
    for name in content["data"]["unique_numbers"]:
        yield (
            f"Column {name} holds another whole number in every row, as customer "
            "numbers do; leave it out unless it is a quantity."
        )


def _doubts(content):
    found = [a["name"] for a in content["assumptions"] if a["status"] == VIOLATED]
    if found:
        listed = "; ".join(found)
        yield f"The data speak against what the certificate assumes: {listed}."
