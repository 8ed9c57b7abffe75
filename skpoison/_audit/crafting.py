"""What attacks send: rows that know a defense, and rows that are made for all."""

import re
import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skpoison._defaults import default_filter
from skpoison._words import one_line
from skpoison.meta import set_attack_filter

from .defenses import ANYWHERE, aimed, can_adapt, far_out, name_of
from .training import texts_of, trained

SHOWN_ERRORS = 600
# A filter as it is written in errors.
FILTER = re.compile(
    r"([Tt]he filter )?\b([A-Z]\w*(Filter|Intersection|Union)|FrozenEstimator)\("
)


class PartPlan(NamedTuple):
    """What one part needs to know, and nothing that would make it be done again."""

    attacks: dict[str, Any]
    estimator: Any  # the model
    seed: int


def aims(plan, told):
    """What attacks are made for all defenses: how, against what, and which ones.

    "knowing" ones are told of sphere and slab, "aimed" ones are for defenses that they
    cannot be told of, and "free" ones are sent to whom no filter stops.
    """
    every = list(plan.attacks)
    deaf = [
        name
        for name in every
        if any(one["told"] and not one["told"][name] for one in told.values())
    ]
    aim = round(100 / (1 + plan.reference), 1)
    yield "free", ANYWHERE, None, every
    yield "aimed", name_of(aim), default_filter(aim), deaf
    for percentile in plan.percentiles:
        name = name_of(percentile)
        hearing = [one for one in every if (told[name]["told"] or {}).get(one)]
        yield "knowing", name, default_filter(percentile), hearing


def told_part(version, name, defense, plan, fold):
    """Fit a defense, and tell which attacks can be made knowing it; kept."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted, told, failed = None, None, None
        try:
            fitted = clone(defense).fit(fold.X, fold.y)
            told = can_adapt(plan.attacks, fitted)
        except ValueError as error:
            failed = one_line(error, SHOWN_ERRORS)
    part = {"defense": name, "fitted": fitted, "told": told, "failed": failed}
    part["attacks"] = {}
    return part | {"clean": None, "warnings": texts_of(caught)}


def craft_part(version, how, against, aim, names, plan, fold):
    """Make attacks against an aim; the part that is kept when interrupted.

    ``attacks`` has for each attack its rows, and what they do to a model without a
    defense; or why it cannot be made.
    """
    attacks = {name: plan.attacks[name] for name in names}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        aim = far_out(fold.X, fold.y) if aim is None else aim
        made = (
            knowing(attacks, clone(aim).fit(fold.X, fold.y))
            if how == "knowing"
            else aimed(attacks, aim, plan.seed)
        )
        found = {
            name: made_by(name, attack, against, plan, fold)
            for name, attack in made.items()
        }
    part = {"how": how, "against": against, "attacks": found}
    return part | {"warnings": texts_of(caught)}


def knowing(attacks, fitted):
    """Tell attacks of the defense that they face, fitted to the clean rows."""
    return {
        name: set_attack_filter(clone(attack), FrozenEstimator(fitted))
        for name, attack in attacks.items()
    }


def made_by(name, attack, against, plan, fold):
    """Make one attack, and train the model on it without a defense."""
    try:
        attack = clone(attack)
        X, y = attack.fit_resample(fold.X, fold.y)
        mask = np.asarray(attack.poison_mask_)
    except ValueError as error:
        return {"impossible": reason_text(error, against)}
    except Exception as error:
        error.add_note(f"Raised by the attack {name!r} on {against}.")
        raise
    return {
        "X": X[mask],
        "y": y[mask],
        "poisoned": trained(plan.estimator, X, y, fold),
    }


def reason_text(error, against):
    """Why an attack cannot be made, with a defense's name for what it is written as.

    Examples
    --------
    >>> reason_text("The filter SlabFilter(percentile=(1)) rejects all.", "slab 90")
    'slab 90 rejects all.'
    """
    text = str(error)
    while (found := FILTER.search(text)) is not None:
        depth, end = 1, found.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        text = text[: found.start()] + against + text[end:]
    return one_line(text, SHOWN_ERRORS)
