"""What was found, in a few sentences."""

from ._assumptions import VIOLATED
from ._numbers import bound_text
from ._plan import name_of
from ._ranking import UNDEFENDED
from ._text import epsilon_text, loss_text, percent_text

MOST_NAMED = 3


def summary(content):
    """Say in a few sentences what was found.

    Parameters
    ----------
    content : dict
        The report without summary and figures.

    Returns
    -------
    sentences : list of str
        The ``summary`` part of the report.
    """
    return [
        _harm(content),
        *_defended(content),
        *_guaranteed(content),
        _suspicious(content),
        *_doubts(content),
    ]


def _row(content, defense):
    return next(row for row in content["ranking"] if row["defense"] == defense)


def _harm(content):
    clean, open_ = content["no_attack"], _row(content, UNDEFENDED)
    share = epsilon_text(content["settings"]["reference"])
    return (
        f"Without an attack the model errs on {percent_text(clean['test_error'])} of "
        f"held-out rows. With {share} poison and no defense, the worst attack that was "
        f"tried ({open_['worst_error_attack']}) makes that "
        f"{percent_text(open_['worst_error'])}."
    )


def _defended(content):
    found = content["recommendation"]
    if found["percentile"] is None:
        yield (
            "No percentile of the sphere and slab defense is recommended: no attack "
            "could be made that knows it."
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
            f", nor {bound_text(row['upper_bound_moving'])} where poison moves the "
            "centroids and the radii stay fixed"
        )
    yield (
        f"Certified with {epsilon_text(found['epsilon'])} poison: the training loss "
        f"does not exceed {bound_text(row['upper_bound'])} where centroids and radii "
        f"stay fixed{moving} (without an attack, it is "
        f"{loss_text(content['bounds']['no_attack_loss'])}). The certificate alone "
        f"would choose percentile {found['by_certificate_alone']:g}."
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


def _doubts(content):
    found = [a["name"] for a in content["assumptions"] if a["status"] == VIOLATED]
    if found:
        listed = "; ".join(found)
        yield f"The data speak against what the certificate assumes: {listed}."
