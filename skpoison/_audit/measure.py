"""What attacks do to the model behind each defense, held out."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from skpoison import __version__
from skpoison._defaults import default_filter
from skpoison._fitted import fit_clone
from skpoison._words import one_line
from skpoison.evaluation import evaluate_attack, held_out_loss
from skpoison.filters import SphereFilter

from .defenses import (
    ANYWHERE,
    UNDEFENDED,
    aimed,
    can_adapt,
    far_out,
    is_free,
    looks_at_sets,
    name_of,
)
from .inputs import Inputs
from .plan import Outcome, Plan
from .progress import Progress
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
CLEAN_FIGURES = ("error_filtered_clean", "loss_filtered_clean")
SHOWN_ERRORS = 600


class PartPlan(NamedTuple):
    """What one part needs to know, and nothing that would make it be done again."""

    attacks: dict[str, Any]
    estimator: Any  # the model
    reference: float  # poison fraction
    seed: int
    # Smaller percentiles of the same defense: what passes them passes it too, and can
    # do it more harm than what is made against it.
    stricter: tuple[float, ...] = ()


class Measured(NamedTuple):
    """What was measured, as means over the folds."""

    clean: NoAttack
    defenses: list[dict]  # what each costs without an attack
    evaluations: list[Evaluation]


def measure(inputs: Inputs, plan: Plan, progress: Progress) -> Outcome:
    """Run every attack against every defense, fold by fold."""
    y = inputs.y
    needed = PartPlan(plan.attacks, plan.estimator, plan.reference, plan.seed)
    part, plain = plan.memory.cache(defense_part), plan.memory.cache(clean_part)
    jobs = [delayed(plain)(__version__, plan.estimator, inputs.X, y, plan.folds)]
    for name, defense in _defenses(plan).items():
        known = needed._replace(stricter=_stricter(name, plan))
        for rows, split in map(_compact, plan.folds):
            data = inputs.X[rows], y[rows], *split
            jobs.append(delayed(part)(__version__, name, defense, known, *data))
    progress.begin("Attacking", len(jobs))
    parallel = Parallel(n_jobs=plan.n_jobs, return_as="generator")
    clean, *parts = progress.over(parallel(jobs))
    evaluations, left_out = _evaluations(plan, parts)
    measured = Measured(clean["figures"], _costs(plan, parts), evaluations)
    warned = [text for one in (clean, *parts) for text in one["warnings"]]
    return Outcome(measured, left_out, warned)


def _defenses(plan):
    """Return all defenses, and none: a sphere around all rows rejects no row."""
    return {UNDEFENDED: SphereFilter(100), **plan.defenses}


def _stricter(name, plan):
    """Return the percentiles of sphere and slab below that of a defense."""
    known = {name_of(p): p for p in plan.percentiles}
    return tuple(p for p in plan.percentiles if p < known.get(name, 0))


def _compact(fold):
    """Return the rows of a fold, and where among them those to train and test on are.

    With all rows drawn that is a copy of the rows; with some, far fewer are sent.
    """
    train, test = fold
    rows = np.union1d(train, test)
    return rows, (np.searchsorted(rows, train), np.searchsorted(rows, test))


def clean_part(version, estimator, X, y, folds):
    """Train on the clean rows of every fold; a part that is kept when interrupted."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [_clean_fold(estimator, X, y, *fold) for fold in folds]
    figures = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    # Of a mean over folds: they share training rows, so it is about right at best.
    losses = [one["test_loss"] for one in found]
    figures["test_loss_se"] = standard_error(losses)
    return {"figures": figures, "warnings": _texts(caught)}


def standard_error(values):
    """Return the standard error of a mean; None for a single value."""
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _clean_fold(estimator, X, y, train, test):
    fitted = fit_clone(estimator, X[train], y[train])
    labels, counts = np.unique(y[train], return_counts=True)
    return {
        "majority_error": float(np.mean(y[test] != labels[np.argmax(counts)])),
        "train_loss": held_out_loss(fitted, X[train], y[train]),
        "train_error": float(np.mean(fitted.predict(X[train]) != y[train])),
        "test_loss": held_out_loss(fitted, X[test], y[test]),
        "test_error": float(np.mean(fitted.predict(X[test]) != y[test])),
    }


def defense_part(version, name, defense, plan, X, y, train, test):
    """Run all attacks against one defense in one fold; a part that is kept.

    ``attacks`` has the figures of each attack, or why it cannot be made, under its name
    and what it was made against.
    """
    data = X[train], y[train], X[test], y[test]
    part = {"defense": name, "attacks": {}, "failed": None}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            told = can_adapt(plan.attacks, defense, *data[:2])
        except ValueError as error:
            return part | {
                "failed": one_line(error, SHOWN_ERRORS),
                "warnings": _texts(caught),
            }
        part["attacks"] = _all_attacks(told, name, defense, plan, data)
    return part | {"warnings": _texts(caught)}


def _all_attacks(told, name, defense, plan, data):
    """Return what each attack does, by its name and by what it was made against."""
    if name == UNDEFENDED:
        attacks = aimed(plan.attacks, far_out(*data[:2]), plan.seed)
        return _run(attacks, defense, False, plan, data, ANYWHERE)
    aim = round(100 / (1 + plan.reference), 1)
    knowing = {k: a for k, a in plan.attacks.items() if told[k]}
    others = {k: a for k, a in plan.attacks.items() if not told[k]}
    found = _run(knowing, defense, True, plan, data, name)
    attacks = aimed(others, default_filter(aim), plan.seed)
    found |= _run(attacks, defense, False, plan, data, name_of(aim))
    # What no set of feasible rows holds back is sent from as far out as to nobody.
    free = {k: a for k, a in others.items() if looks_at_sets(a) and is_free(a)}
    if free:
        attacks = aimed(free, far_out(*data[:2]), plan.seed)
        found |= _run(attacks, defense, False, plan, data, ANYWHERE)
    moving = {k: a for k, a in knowing.items() if looks_at_sets(a)}
    for percentile in plan.stricter:
        attacks = aimed(moving, default_filter(percentile), plan.seed)
        found |= _run(attacks, defense, False, plan, data, name_of(percentile))
    return found


def _texts(caught):
    return sorted({str(warning.message) for warning in caught})


def _run(attacks, defense, adaptive, plan, data, against):
    """Run attacks together, or one by one where one of them cannot be made."""
    if not attacks:
        return {}
    try:
        return _evaluate(attacks, defense, adaptive, plan, data, against)
    except ValueError as error:
        if len(attacks) == 1:
            reason = one_line(error, SHOWN_ERRORS)
            return {(name, against): {"impossible": reason} for name in attacks}
    except Exception as error:
        error.add_note(f"Raised by one of the attacks {list(attacks)} on {against}.")
        raise
    found = {}
    for name, attack in attacks.items():
        found |= _run({name: attack}, defense, adaptive, plan, data, against)
    return found


def _evaluate(attacks, defense, adaptive, plan, data, against):
    results = evaluate_attack(
        attacks,
        defense,
        plan.estimator,
        *data,
        epsilons=[plan.reference],
        adaptive=adaptive,
        error_score="raise",
    )
    return {
        (str(name), against): {
            key: float(results[key][i]) for key in (*FIGURES, *CLEAN_FIGURES)
        }
        for i, name in enumerate(results.attack)
    }


def _costs(plan, parts):
    """Return what each defense costs where nobody attacks, as means over the folds."""
    costs = []
    for name in plan.defenses:
        folds = _possible(parts, name)
        if not folds:
            continue
        any_attack = [next(iter(fold.values())) for fold in folds]
        costs.append(
            {
                "defense": name,
                "clean_error": _mean(any_attack, "error_filtered_clean"),
                "clean_loss": _mean(any_attack, "loss_filtered_clean"),
            }
        )
    return costs


def _possible(parts, name):
    """Return the folds of a defense, with the attacks that could be made in it."""
    folds = [
        {k: a for k, a in part["attacks"].items() if "impossible" not in a}
        for part in parts
        if part["defense"] == name
    ]
    return folds if all(folds) else []


def _mean(figures, key):
    """Return the mean of what was measured; None if nothing was."""
    values = [one[key] for one in figures if np.isfinite(one[key])]
    return float(np.mean(values)) if values else None


def _evaluations(plan, parts):
    """Return means over the folds for each attack and defense, and what is left out."""
    rows, left_out = [], []
    for name in _defenses(plan):
        folds = [part for part in parts if part["defense"] == name]
        failed = [part["failed"] for part in folds if part["failed"]]
        if failed:
            left_out.append({"what": f"defense {name}", "reason": failed[0]})
            continue
        passed = {name, *(name_of(p) for p in _stricter(name, plan))}
        if name == UNDEFENDED:
            passed.add(ANYWHERE)
        rows += [
            {
                "defense": name,
                "attack": attack,
                "made_against": against,
                "adaptive": against in passed,
                "epsilon": plan.reference,
                **_means([part["attacks"].get((attack, against)) for part in folds]),
            }
            for attack, against in folds[0]["attacks"]
        ]
    return rows, left_out


def _means(folds):
    """Return means over the folds, or why there are none."""
    nothing = dict.fromkeys((*FIGURES, "loss_filtered_poisoned_se"))
    for fold in folds:
        if fold is None or "impossible" in fold:
            reason = "not in every fold" if fold is None else fold["impossible"]
            return {"possible": False, "reason": reason, **nothing}
    losses = [fold["loss_filtered_poisoned"] for fold in folds]
    return {
        "possible": True,
        "reason": None,
        **{key: _mean(folds, key) for key in FIGURES},
        "loss_filtered_poisoned_se": standard_error(losses),
    }
