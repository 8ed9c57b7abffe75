"""What was measured in the folds, put together."""

from typing import Any, NamedTuple

import numpy as np

from .defenses import ANYWHERE, UNDEFENDED, all_defenses, within
from .metrics import Answers, Metric, recalls
from .plan import Outcome
from .types import Evaluation, NoAttack

FIGURES = (
    "n_poison",
    "error_poisoned",
    "loss_poisoned",
    "error_filtered_poisoned",
    "loss_filtered_poisoned",
    "poison_rejected",
    "clean_rejected",
)


class Measured(NamedTuple):
    """What was measured, as means over the folds, and every answer of every model."""

    clean: NoAttack
    defenses: list[dict]  # what each costs without an attack
    evaluations: list[Evaluation]
    # By defense, and for evaluations by (defense, attack, made against): answers of
    # each fold.
    answers: dict[Any, list[Answers]]
    poisoned: dict[Any, list[Answers]]  # of the model without a defense


def collected(plan, done, left_out):
    """Put the folds together."""
    clean = [one["clean"] for one in done]
    answers = {"clean": [one["trained"].answers for one in clean]}
    defenses, evaluations, poisoned = [], [], {}
    for name in all_defenses(plan):
        folds = [p for one in done for p in one["parts"] if p["defense"] == name]
        failed = [part["failed"] for part in folds if part["failed"]]
        if failed:
            left_out.append({"what": f"defense {name}", "reason": failed[0]})
            continue
        if not folds:
            left_out.append({"what": f"defense {name}", "reason": plan.clock.reason})
            continue
        answers[name] = [part["clean"].answers for part in folds]
        defenses.append(_costs(name, folds))
        for key in folds[0]["attacks"]:
            here = [part["attacks"].get(key) for part in folds]
            evaluations.append(_evaluation(name, key, here, plan))
            if evaluations[-1]["possible"]:
                answers[name, *key] = [one["answers"] for one in here]
                poisoned[name, *key] = [one["answers_poisoned"] for one in here]
    measured = Measured(_clean(clean, plan), defenses, evaluations, answers, poisoned)
    warned = [text for one in done for text in one["warnings"]]
    return Outcome(measured, left_out, warned)


def _clean(parts, plan) -> NoAttack:
    figures = {
        name: float(np.mean([one["figures"][name] for one in parts]))
        for name in parts[0]["figures"]
    }
    # Of a mean over folds: they share training rows, so it is about right at best.
    losses = [one["figures"]["test_loss"] for one in parts]
    return figures | {"test_loss_se": standard_error(losses)}


def standard_error(values):
    """Return the standard error of a mean; None for a single value."""
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _costs(name, folds):
    return {
        "defense": name,
        "clean_error": float(np.mean([part["clean"].error for part in folds])),
        "clean_loss": float(np.mean([part["clean"].loss for part in folds])),
    }


def _evaluation(name, key, folds, plan):
    attack, against = key
    passed = within(name, plan)
    if name == UNDEFENDED:
        passed.add(ANYWHERE)
    return {
        "defense": name,
        "attack": attack,
        "made_against": against,
        "adaptive": against in passed,
        "epsilon": plan.reference,
        **_means(folds, plan.metric),
    }


def _means(folds, metric):
    """Return means over the folds, or why there are none."""
    empty = dict.fromkeys((*FIGURES, "value", "recalls", "loss_filtered_poisoned_se"))
    for fold in folds:
        if fold is None or "impossible" in fold:
            reason = "not in every fold" if fold is None else fold["impossible"]
            return {"possible": False, "reason": reason, **empty}
    losses = [fold["loss_filtered_poisoned"] for fold in folds]
    answers = [fold["answers"] for fold in folds]
    return {
        "possible": True,
        "reason": None,
        **{key: _mean(folds, key) for key in FIGURES},
        "value": mean_value(metric, answers),
        "recalls": mean_recalls(answers, metric.n_classes),
        "loss_filtered_poisoned_se": standard_error(losses),
    }


def mean_value(metric: Metric, answers: list[Answers]) -> float:
    """The mean of a metric over the folds."""
    return float(np.mean([metric.value(one) for one in answers]))


def mean_recalls(answers: list[Answers], n_classes: int) -> list[float | None]:
    """The mean of each class's recall over the folds that hold rows of it."""
    found = [recalls(one, n_classes) for one in answers]
    known = [[one for one in of if one is not None] for of in zip(*found, strict=True)]
    return [float(np.mean(of)) if of else None for of in known]


def _mean(figures, key):
    """Return the mean of what was measured; None if nothing was."""
    values = [one[key] for one in figures if np.isfinite(one[key])]
    return float(np.mean(values)) if values else None
