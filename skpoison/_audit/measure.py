"""What attacks do to the model behind each defense, held out.

Attacks that do not depend on the defense are crafted once a fold, and sent against all.
"""

import re
import warnings
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skpoison import __version__
from skpoison._defaults import default_filter
from skpoison._fitted import fit_clone
from skpoison._judging import fit_and_find_kept
from skpoison._words import one_line
from skpoison.filters import SphereFilter
from skpoison.meta import set_attack_filter

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
from .learner import loss_of
from .metrics import Answers, Metric, recalls
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


class Fold(NamedTuple):
    """Rows to train on and to test on, and the position of the positive class."""

    X: Any
    y: np.ndarray
    X_test: Any
    codes_test: np.ndarray
    classes: np.ndarray
    positive: int


class Trained(NamedTuple):
    """A model on held-out rows."""

    answers: Answers
    loss: float

    @property
    def error(self):
        """The share of wrong predictions."""
        return float(np.mean(self.answers.said != self.answers.codes))


class Measured(NamedTuple):
    """What was measured, as means over the folds, and every answer of every model."""

    clean: NoAttack
    defenses: list[dict]  # what each costs without an attack
    evaluations: list[Evaluation]
    # By defense, and for evaluations by (defense, attack, made against): answers of
    # each fold.
    answers: dict[Any, list[Answers]]
    poisoned: dict[Any, list[Answers]]  # of the model without a defense


def measure(inputs: Inputs, plan: Plan, progress: Progress) -> Outcome:
    """Run every attack against every defense, fold by fold, while there is time."""
    n_jobs = 1 + 2 * len(_defenses(plan)) + len(plan.percentiles) + 2
    progress.begin("Attacking", n_jobs * len(plan.folds))
    done: list[dict] = []
    left_out = []
    for rows in plan.folds:
        begun = plan.clock.spent()
        done.append(_measured_fold(_fold(inputs, rows, plan), plan, progress))
        took = plan.clock.spent() - begun
        if len(done) < len(plan.folds) and not plan.clock.has(took):
            left_out.append(_folds_left(len(done), plan))
            break
    return _collected(plan, done, left_out)


def _folds_left(n_done, plan):
    n_folds = len(plan.folds)
    return {
        "what": f"attacks in {n_folds - n_done} of {n_folds} folds",
        "reason": f"another fold would take longer than the {plan.clock.budget:g} "
        "seconds of the budget allow",
    }


def _measured_fold(fold, plan, progress):
    """Craft what is sent to all defenses, then try each defense."""
    needed = PartPlan(plan.attacks, plan.estimator, plan.seed)
    cached, defenses = plan.memory.cache, _defenses(plan)
    clean = cached(clean_part)(__version__, plan.estimator, fold)
    progress.advance()

    def run(part, jobs):
        jobs = (delayed(cached(part))(__version__, *job, needed, fold) for job in jobs)
        parallel = Parallel(n_jobs=plan.n_jobs, return_as="generator")
        return list(progress.over(parallel(jobs)))

    told = {one["defense"]: one for one in run(told_part, defenses.items())}
    crafted = run(craft_part, _aims(plan, told))
    able = [name for name in defenses if not told[name]["failed"]]
    tried = run(
        defense_part,
        (
            (name, defenses[name], told[name], _faced(name, plan, crafted))
            for name in able
        ),
    )
    for _ in range(len(defenses) - len(able)):
        progress.advance()
    failed = [told[name] for name in defenses if told[name]["failed"]]
    warned = [clean, *told.values(), *crafted, *tried]
    return {
        "clean": clean,
        "parts": tried + failed,
        "warnings": [text for one in warned for text in one["warnings"]],
    }


def _fold(inputs, rows, plan):
    """The rows of a fold; held-out rows that are probably planted are not asked."""
    train, test = rows
    test = test[plan.trusted[test]]
    X, y, positive = inputs.X, inputs.y, plan.metric.positive
    codes = inputs.codes[test]
    return Fold(X[train], y[train], X[test], codes, inputs.classes, positive)


def _defenses(plan):
    """Return all defenses, and none: a sphere around all rows rejects no row."""
    return {UNDEFENDED: SphereFilter(100), **plan.defenses}


def _aims(plan, told):
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
        knowing = [one for one in every if (told[name]["told"] or {}).get(one)]
        yield "knowing", name, default_filter(percentile), knowing


def _within(name, plan):
    """A defense and stricter percentiles of it: what passes these passes it, too."""
    known = {name_of(p): p for p in plan.percentiles}
    return {name, *(one for one, p in known.items() if p < known.get(name, 0))}


def _faced(name, plan, crafted):
    """The attacks made for all that may concern a defense."""
    known = _within(name, plan)
    return [
        one for one in crafted if one["how"] != "knowing" or one["against"] in known
    ]


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
    return part | {"clean": None, "warnings": _texts(caught)}


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
            _knowing(attacks, clone(aim).fit(fold.X, fold.y))
            if how == "knowing"
            else aimed(attacks, aim, plan.seed)
        )
        found = {
            name: _made(name, attack, against, plan, fold)
            for name, attack in made.items()
        }
    part = {"how": how, "against": against, "attacks": found}
    return part | {"warnings": _texts(caught)}


def _knowing(attacks, fitted):
    """Tell attacks of the defense that they face, fitted to the clean rows."""
    return {
        name: set_attack_filter(clone(attack), FrozenEstimator(fitted))
        for name, attack in attacks.items()
    }


def _made(name, attack, against, plan, fold):
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
        "poisoned": _trained(plan.estimator, X, y, fold),
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


def _trained(estimator, X, y, fold):
    return _tested(fit_clone(estimator, X, y), fold)


def _tested(fitted, fold):
    """What a fitted model does on the held-out rows."""
    said = np.searchsorted(fold.classes, fitted.predict(fold.X_test))
    scores = _scores(fitted, fold)
    loss = loss_of(fitted, fold.X_test, fold.classes[fold.codes_test])
    return Trained(Answers(fold.codes_test, said, scores), loss)


def _scores(fitted, fold):
    """How much speaks for the positive class."""
    if hasattr(fitted, "decision_function"):
        scores = np.asarray(fitted.decision_function(fold.X_test))
    else:
        scores = np.asarray(fitted.predict_proba(fold.X_test))
    positive = int(np.flatnonzero(fitted.classes_ == fold.classes[fold.positive])[0])
    if scores.ndim == 1:
        return scores if positive == 1 else -scores
    return scores[:, positive]


def clean_part(version, estimator, fold):
    """Train on the rows of a fold as they are; kept when interrupted."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = fit_clone(estimator, fold.X, fold.y)
        found = _tested(fitted, fold)
        labels, counts = np.unique(fold.y, return_counts=True)
        frequent = np.searchsorted(fold.classes, labels[np.argmax(counts)])
        figures = {
            "majority_error": float(np.mean(fold.codes_test != frequent)),
            "train_loss": loss_of(fitted, fold.X, fold.y),
            "train_error": float(np.mean(fitted.predict(fold.X) != fold.y)),
            "test_loss": found.loss,
            "test_error": found.error,
        }
    return {"figures": figures, "trained": found, "warnings": _texts(caught)}


def defense_part(version, name, defense, told, crafted, plan, fold):
    """Send all attacks against one defense in one fold; a part that is kept.

    `told` is what :func:`told_part` returns. ``attacks`` has the figures of each
    attack, or why it cannot be made, under its name and what it was made against.
    """
    part = {"defense": name, "attacks": {}, "clean": None, "failed": None}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kept = told["fitted"].inlier_mask_
        part["clean"] = _trained(plan.estimator, fold.X[kept], fold.y[kept], fold)
        for key, made in _sent(name, defense, told, crafted, plan, fold).items():
            part["attacks"][key] = _figures(defense, made, plan, fold)
    return part | {"warnings": _texts(caught)}


def _sent(name, defense, told, crafted, plan, fold):
    """The attacks on a defense: those that know it, and others made for all."""
    sent = {}
    known = {one["against"] for one in crafted if one["how"] == "knowing"}
    if name not in {*known, UNDEFENDED}:
        knowing = {k: a for k, a in plan.attacks.items() if told["told"][k]}
        for key, attack in _knowing(knowing, told["fitted"]).items():
            sent[key, name] = _made(key, attack, name, plan, fold)
    for one in crafted:
        for key, made in one["attacks"].items():
            if _concerns(name, plan.attacks[key], told["told"][key], one):
                sent[key, one["against"]] = made
    return sent


def _concerns(name, attack, told, crafted):
    """Tell whether an attack that was made for all is sent to a defense.

    What passes a stricter percentile of sphere and slab passes a wider one too, and can
    do it more harm than what is made against it. What no set of feasible rows holds
    back is sent from as far out as to nobody.
    """
    how, against = crafted["how"], crafted["against"]
    if name == UNDEFENDED:
        return how == "free"
    if how == "free":
        return not told and looks_at_sets(attack) and is_free(attack)
    if how == "aimed":
        return not told
    return told and (against == name or looks_at_sets(attack))


def _figures(defense, made, plan, fold):
    """What an attack does to the model behind a defense that is fitted on all rows."""
    if "impossible" in made:
        return made
    stack = sparse.vstack if sparse.issparse(fold.X) else np.concatenate
    X = stack([fold.X, made["X"]])
    X = X.tocsr() if sparse.issparse(X) else X
    y, n_clean = np.concatenate([fold.y, made["y"]]), len(fold.y)
    try:
        kept = fit_and_find_kept(clone(defense), X, y)
    except ValueError as error:
        return {"impossible": one_line(error, SHOWN_ERRORS)}
    poisoned, n_poison = made["poisoned"], len(y) - n_clean
    # What rejects nothing leaves the model as it is without a defense.
    defended = (
        poisoned if kept.all() else _trained(plan.estimator, X[kept], y[kept], fold)
    )
    return {
        "n_poison": n_poison,
        "error_poisoned": poisoned.error,
        "loss_poisoned": poisoned.loss,
        "error_filtered_poisoned": defended.error,
        "loss_filtered_poisoned": defended.loss,
        "poison_rejected": float(np.mean(~kept[n_clean:])) if n_poison else np.nan,
        "clean_rejected": float(np.mean(~kept[:n_clean])),
        "answers": defended.answers,
        "answers_poisoned": poisoned.answers,
    }


def _texts(caught):
    return sorted({str(warning.message) for warning in caught})


def _collected(plan, done, left_out):
    """Put the folds together."""
    clean = [one["clean"] for one in done]
    answers = {"clean": [one["trained"].answers for one in clean]}
    defenses, evaluations, poisoned = [], [], {}
    for name in _defenses(plan):
        folds = [p for one in done for p in one["parts"] if p["defense"] == name]
        failed = [part["failed"] for part in folds if part["failed"]]
        if failed:
            left_out.append({"what": f"defense {name}", "reason": failed[0]})
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
    passed = _within(name, plan)
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
