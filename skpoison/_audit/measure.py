"""What attacks do to the model behind each defense, held out.

Attacks that do not depend on the defense are crafted once a fold, and sent against all.
"""

import warnings
from functools import partial

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse

from skpoison import __version__
from skpoison._judging import find_kept_by_clone
from skpoison._words import one_line
from skpoison.filters import AutoFilter

from .collecting import collected
from .crafting import (
    SHOWN_ERRORS,
    PartPlan,
    aims,
    craft_part,
    knowing,
    made_by,
    told_part,
)
from .defenses import (
    UNDEFENDED,
    all_defenses,
    is_free,
    looks_at_sets,
    name_of,
    within,
)
from .inputs import Inputs
from .plan import Outcome, Plan
from .progress import Progress
from .training import Fold, clean_part, texts_of, trained

# Of a budget, after which no more is attacked, so that the rest has time, too.
MEASURING = 0.7


def measure(inputs: Inputs, plan: Plan, progress: Progress) -> Outcome:
    """Run every attack against every defense, fold by fold, while there is time."""
    n_jobs = 1 + 2 * len(all_defenses(plan)) + len(plan.percentiles) + 2
    progress.begin("Attacking", n_jobs * len(plan.folds))
    done: list[dict] = []
    left_out = []
    for rows in plan.folds:
        begun = plan.clock.spent()
        fold = _measured_fold(_fold(inputs, rows, plan), plan, progress)
        # Defenses are compared on the same rows: a fold that lacks some does not count.
        if not done or len(fold["parts"]) == len(done[0]["parts"]):
            done.append(fold)
        took = plan.clock.spent() - begun
        if len(done) < len(plan.folds) and not plan.clock.has(took, MEASURING):
            left_out.append(_folds_left(len(done), plan))
            break
    return collected(plan, done, left_out)


def _folds_left(n_done, plan):
    n_folds = len(plan.folds)
    return {
        "what": f"attacks in {n_folds - n_done} of {n_folds} folds",
        "reason": f"{plan.clock.reason}: another fold would take too long",
    }


def _measured_fold(fold, plan, progress):
    """Craft what is sent to all defenses, then try each defense."""
    needed = PartPlan(plan.attacks, plan.estimator, plan.seed)
    cached, defenses = plan.memory.cache, all_defenses(plan)
    clean = cached(clean_part)(__version__, plan.estimator, fold)
    progress.advance()

    def run(part, jobs):
        jobs = (delayed(cached(part))(__version__, *job, needed, fold) for job in jobs)
        parallel = Parallel(n_jobs=plan.n_jobs, return_as="generator")
        return list(progress.over(parallel(jobs)))

    told = {one["defense"]: one for one in run(told_part, defenses.items())}
    crafted = _crafted(partial(run, craft_part), plan, told, progress)
    able = _able(plan, told, crafted)
    jobs = (
        (name, defenses[name], told[name], _faced(name, plan, crafted)) for name in able
    )
    tried = run(defense_part, plan.clock.while_there_is(jobs, 2, MEASURING))
    for _ in range(len(defenses) - len(tried)):
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


def _crafted(run, plan, told, progress):
    """Craft what is made for all defenses; for lack of time, not for some percentiles.

    Those that keep most of the rows come first: they are the ones that cost little.
    """
    jobs = list(aims(plan, told))
    places = {job[:2]: place for place, job in enumerate(jobs)}
    first, rest = jobs[: len(jobs) - len(plan.percentiles)], jobs[::-1]
    in_time = [*first, *rest[: len(plan.percentiles)]]
    crafted = run(plan.clock.while_there_is(in_time, len(first) + 1, MEASURING))
    for _ in range(len(jobs) - len(crafted)):
        progress.advance()
    return sorted(crafted, key=lambda one: places[one["how"], one["against"]])


def _able(plan, told, crafted):
    """The defenses that can be tried, first certified ones that cost little.

    AutoFilter takes as long as many others, and comes last.
    """
    own = [name_of(percentile) for percentile in plan.percentiles]
    ready = {one["against"] for one in crafted if one["how"] == "knowing"}
    slow = [name for name, f in plan.filters.items() if isinstance(f, AutoFilter)]
    quick = [name for name in plan.filters if name not in slow]
    names = [UNDEFENDED, *own[::-1], *quick, *slow]
    return [
        name
        for name in names
        if not told[name]["failed"] and (name not in own or name in ready)
    ]


def _faced(name, plan, crafted):
    """The attacks made for all that may concern a defense."""
    known = within(name, plan)
    return [
        one for one in crafted if one["how"] != "knowing" or one["against"] in known
    ]


def defense_part(version, name, defense, told, crafted, plan, fold):
    """Send all attacks against one defense in one fold; a part that is kept.

    `told` is what :func:`told_part` returns. ``attacks`` has the figures of each
    attack, or why it cannot be made, under its name and what it was made against.
    """
    part = {"defense": name, "attacks": {}, "clean": None, "failed": None}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kept = told["fitted"].inlier_mask_
        part["clean"] = trained(plan.estimator, fold.X[kept], fold.y[kept], fold)
        for key, made in _sent(name, defense, told, crafted, plan, fold).items():
            part["attacks"][key] = _figures(defense, made, plan, fold)
    return part | {"warnings": texts_of(caught)}


def _sent(name, defense, told, crafted, plan, fold):
    """The attacks on a defense: those that know it, and others made for all."""
    sent = {}
    known = {one["against"] for one in crafted if one["how"] == "knowing"}
    if name not in {*known, UNDEFENDED}:
        hearing = {k: a for k, a in plan.attacks.items() if told["told"][k]}
        for key, attack in knowing(hearing, told["fitted"]).items():
            sent[key, name] = made_by(key, attack, name, plan, fold)
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
        kept = find_kept_by_clone(defense, X, y)
    except ValueError as error:
        return {"impossible": one_line(error, SHOWN_ERRORS)}
    poisoned, n_poison = made["poisoned"], len(y) - n_clean
    # What rejects nothing leaves the model as it is without a defense.
    defended = (
        poisoned if kept.all() else trained(plan.estimator, X[kept], y[kept], fold)
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
