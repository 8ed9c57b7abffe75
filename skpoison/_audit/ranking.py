"""What defenses cost and prevent side by side, and which one is recommended."""

from numbers import Real
from typing import Any, NamedTuple

from .collecting import Measured, mean_recalls, mean_value
from .decision import Candidate, Choice, Resampling, beats, decide, interval
from .defenses import UNDEFENDED, name_of
from .metrics import Answers, limit_text
from .plan import Outcome, Plan
from .types import Bounds, Data, Percentile, Ranked, Recall, Recommendation

# A filter that lowers the metric by so much without an attack removes bad rows.
CLEARLY_LOWER = 0.02

RULE = (
    "Lowest {metric} under the worst attack that was tried, of the defenses that an "
    "attack was told of, that beat a constant prediction, and that without an attack "
    "cost no more than {cost}; of equal ones, the one that costs less."
)


class Compared(NamedTuple):
    """All defenses, measured on the same held-out rows."""

    rows: list[Ranked]
    candidates: dict[str, Candidate]
    constant: Candidate
    choice: Choice  # among all
    certified: Choice  # among percentiles of sphere and slab
    certified_percentile: float | None


def compare(plan: Plan, measured: Measured) -> Outcome:
    """Order defenses by the worst that was measured, and choose one.

    Those that no attack knew come last: nothing says how bad it can get for them. Those
    that rejected no row are left out, for they are no defense.
    """
    sizes = [len(one.codes) for one in measured.answers["clean"]]
    resampling = Resampling.of(sizes, plan.seed)
    rows, candidates, left_out = [], {}, []
    for cost in measured.defenses:
        name = cost["defense"]
        found = _attacked(plan, measured, name)
        if not found.done:
            continue
        if name in plan.filters and not any(map(_rejects, found.done)):
            reason = "it rejected no row in any fold, clean or poison"
            left_out.append({"what": f"defense {name}", "reason": reason})
            continue
        rows.append(_row(plan, measured, cost, found))
        candidates[name] = _candidate(plan, measured, rows[-1], found, resampling)
    constant = _constant(plan, measured, resampling)
    every, own = list(candidates.values()), [name_of(p) for p in plan.percentiles]
    limits = candidates[UNDEFENDED], constant, plan.max_cost
    choice = decide(every, *limits)
    certified = decide([one for one in every if one.name in own], *limits)
    _order(rows, choice)
    percentile = _certified(plan, certified.name)
    found = Compared(rows, candidates, constant, choice, certified, percentile)
    return Outcome(found, left_out)


class Attacked(NamedTuple):
    """The attacks on a defense, and the worst of them."""

    done: list[dict]
    worst: dict[str, Any] | None = None
    answers: list[Answers] | None = None  # of the model under the worst one


def _attacked(plan, measured, name):
    if name == UNDEFENDED:
        return _undefended(plan, measured)
    done = [e for e in measured.evaluations if e["defense"] == name and e["possible"]]
    if not done:
        return Attacked(done)
    worst = max(done, key=lambda one: one["value"])
    key = name, worst["attack"], worst["made_against"]
    return Attacked(done, worst, measured.answers[key])


def _undefended(plan, measured):
    """The model without a defense, under the worst of all attacks that were made.

    Those that were made to pass some defense are among them.
    """
    done = [one for one in measured.evaluations if one["possible"]]
    if not done:
        reasons = sorted({row["reason"] for row in measured.evaluations})
        raise ValueError(
            f"None of the attacks can be made against any defense: {reasons[0]}"
        )
    values = [
        mean_value(
            plan.metric,
            measured.poisoned[one["defense"], one["attack"], one["made_against"]],
        )
        for one in done
    ]
    worst = done[max(range(len(done)), key=values.__getitem__)]
    key = worst["defense"], worst["attack"], worst["made_against"]
    return Attacked(done, worst, measured.poisoned[key])


def _rejects(row):
    return row["clean_rejected"] or row["poison_rejected"]


def _row(plan, measured, cost, found) -> Ranked:
    """A row of the ranking: errors are those of the model with the defense."""
    name, metric, done = cost["defense"], plan.metric, found.done
    kind = "_poisoned" if name == UNDEFENDED else "_filtered_poisoned"
    by_loss = max(done, key=lambda one: one["loss" + kind])
    own = [e for e in done if e["defense"] == name]
    clean = measured.answers[name]
    base = mean_value(metric, measured.answers["clean"])
    value = mean_value(metric, clean)
    return {
        "rank": 1,
        "rank_by_clean": 1,
        "defense": name,
        "status": "worse",
        "worst": mean_value(metric, found.answers),
        "worst_attack": found.worst["attack"],
        "worst_recalls": mean_recalls(found.answers, metric.n_classes),
        "clean": value,
        "clean_recalls": mean_recalls(clean, metric.n_classes),
        "cost": value - base,
        "worst_error": max(one["error" + kind] for one in done),
        "worst_loss": by_loss["loss" + kind],
        "worst_loss_attack": by_loss["attack"],
        "worst_loss_se": None
        if name == UNDEFENDED
        else by_loss["loss_filtered_poisoned_se"],
        "clean_error": cost["clean_error"],
        "clean_loss": cost["clean_loss"],
        "cost_error": cost["clean_error"] - measured.clean["test_error"],
        "cost_loss": cost["clean_loss"] - measured.clean["test_loss"],
        "n_attacks": len({one["attack"] for one in done}),
        "n_adaptive": len({one["attack"] for one in own if one["adaptive"]}),
    }


def _candidate(plan, measured, row, found, resampling):
    name, metric = row["defense"], plan.metric
    return Candidate(
        name,
        row["clean"],
        row["worst"],
        # Nothing holds an attacker back whom no filter stops.
        row["n_adaptive"] > 0 or name == UNDEFENDED,
        resampling.draws(metric, measured.answers[name]),
        resampling.draws(metric, found.answers),
    )


def _constant(plan, measured, resampling):
    folds = [one.codes for one in measured.answers["clean"]]
    answers = plan.metric.best_constant(folds)
    value = mean_value(plan.metric, answers)
    draws = resampling.draws(plan.metric, answers)
    return Candidate("a constant", value, value, True, draws, draws)


def _order(rows, choice):
    """Sort the ranking, and say what has become of each defense."""
    rows.sort(key=_place)
    by_cost = sorted(rows, key=lambda row: (row["clean"], row["clean_loss"]))
    for position, row in enumerate(rows):
        row["rank"] = position + 1
        row["rank_by_clean"] = by_cost.index(row) + 1
        row["status"] = choice.statuses[row["defense"]]


def _place(row):
    is_unknown = row["n_adaptive"] == 0 and row["defense"] != UNDEFENDED
    return is_unknown, row["worst"], row["worst_loss"], row["defense"]


OF_DEFENSES = (
    *("clean", "cost", "worst", "worst_attack"),
    *("clean_error", "clean_loss", "cost_loss"),
    *("worst_error", "worst_loss", "worst_loss_se"),
)
UNDER_ATTACK = ("worst", "worst_attack", "worst_error", "worst_loss", "worst_loss_se")


def by_percentile(plan: Plan, compared: Compared, bounds: Bounds) -> list[Percentile]:
    """Put what a percentile costs, what it prevents and its bound side by side."""
    ranked = {row["defense"]: row for row in compared.rows}
    rows = []
    for curve in bounds["curves"]:
        if curve["defense"] != "fixed":
            continue
        name = name_of(curve["percentile"])
        own, status = ranked.get(name), compared.certified.statuses.get(name)
        (point,) = [p for p in curve["points"] if p["epsilon"] == plan.reference]
        row = {
            "percentile": curve["percentile"],
            "kept_share": curve["kept_share"],
            "status": status or "not judged",
            **{key: own[key] if own else None for key in OF_DEFENSES},
            "upper_bound": point["upper_bound"],
            "upper_bound_moving": _moving(plan, curve, bounds),
        }
        if row["status"] == "not judged":
            row |= dict.fromkeys(UNDER_ATTACK)
        rows.append(row)
    return rows


def _moving(plan, fixed, bounds):
    """Return the bound on moving centroids beside one on fixed ones, if any."""
    for curve in bounds["curves"]:
        if (
            curve["defense"] == "moving_centroids"
            and curve["percentile"] == fixed["percentile"]
        ):
            for point in curve["points"]:
                if point["epsilon"] == plan.reference:
                    return point["upper_bound"]
    return None


def recommend(
    plan: Plan, measured: Measured, compared: Compared, rows: list[Percentile]
) -> Recommendation:
    """Write down what was decided: everything that the report says of it."""
    metric, choice = plan.metric, compared.choice
    open_, constant = compared.candidates[UNDEFENDED], compared.constant
    limit = limit_text(metric.name, plan.max_cost)
    limit += "" if metric.name == "cost" else " of it"

    def of(status):
        return [name for name, own in choice.statuses.items() if own == status]

    chosen, equal = _of_chosen(compared), of("equal within noise")
    return {
        "rule": RULE.format(metric=metric.shown, cost=limit),
        "metric": metric.name,
        "metric_shown": metric.shown,
        "metric_reason": plan.metric_reason,
        "max_cost": plan.max_cost,
        "epsilon": plan.reference,
        "defense": choice.name,
        "percentile": _percentile(plan, choice.name),
        "certified_percentile": compared.certified_percentile,
        "undefended_clean": interval(open_.clean, open_.clean_draws),
        "undefended_worst": interval(open_.worst, open_.worst_draws),
        "constant": constant.clean,
        "model_is_useless": not beats(
            open_.clean, open_.clean_draws, constant.clean, constant.clean_draws
        ),
        "equal_within_noise": equal,
        "noise_text": _noise_text(choice.name, chosen, equal),
        "too_costly": of("too costly"),
        "no_better_than_a_constant": of("no better than a constant"),
        "not_judged": list(_not_judged(measured, of("not judged"), rows)),
        "n_held_out": sum(len(one.codes) for one in measured.answers["clean"]),
        "n_taken_out": int(sum((~plan.trusted[t]).sum() for _, t in plan.folds)),
        "by_certificate_alone": min(rows, key=_by_bound)["percentile"],
        **chosen,
    }


def _noise_text(name, chosen, equal):
    """Say what the rows are too few to tell, in the words of all parts of the report.

    Examples
    --------
    >>> found = {"is_better_than_undefended": False}
    >>> _noise_text("sever", found, ["no defense", "loss"])
    'What it saves is within noise. Within noise of it under attack: no defense, loss.'
    """
    texts = []
    if name not in (None, UNDEFENDED) and not chosen["is_better_than_undefended"]:
        texts.append("What it saves is within noise.")
    if equal:
        texts.append(f"Within noise of it under attack: {', '.join(equal)}.")
    return " ".join(texts) or None


OF_CHOSEN = (
    *("clean", "worst", "cost", "saves", "worst_attack"),
    *("is_useless_under_attack", "is_better_than_undefended"),
)


def _of_chosen(compared):
    """What the chosen defense costs and what it saves, if there is one."""
    name, open_ = compared.choice.name, compared.candidates[UNDEFENDED]
    if name is None:
        return dict.fromkeys(OF_CHOSEN)
    best = compared.candidates[name]
    (row,) = [row for row in compared.rows if row["defense"] == name]
    return {
        "clean": interval(best.clean, best.clean_draws),
        "worst": interval(best.worst, best.worst_draws),
        "cost": interval(row["cost"], best.clean_draws - open_.clean_draws),
        "saves": interval(
            open_.worst - best.worst, open_.worst_draws - best.worst_draws
        ),
        "worst_attack": row["worst_attack"],
        "is_useless_under_attack": best.worst >= compared.constant.clean,
        "is_better_than_undefended": beats(
            best.worst, best.worst_draws, open_.worst, open_.worst_draws
        ),
    }


def _percentile(plan, name):
    """The percentile of a defense, whatever its kind, if it keeps a percentage."""
    own = getattr(plan.filters.get(name), "percentile", None)
    if isinstance(own, Real) and 0 < own <= 100:
        return float(own)
    return _certified(plan, name)


def _certified(plan, name):
    return next((p for p in plan.percentiles if name_of(p) == name), None)


def _not_judged(measured, names, rows):
    """Yield the defenses that no attack could be made against, and why not."""
    names = [*names, *(name_of(r["percentile"]) for r in rows if r["worst"] is None)]
    for name in dict.fromkeys(names):
        tried = [e for e in measured.evaluations if e["defense"] == name]
        if not tried:
            continue  # what is left out is said, and why
        reasons = [e["reason"] for e in tried if e["adaptive"] and e["reason"]]
        reason = reasons[0] if reasons else "no attack that was run can adapt to it"
        yield {"defense": name, "reason": reason}


def _by_bound(row):
    return row["upper_bound"], row["percentile"]


def lower_errors(compared: Compared) -> list[str]:
    """The filters that beat no filter although nobody attacks, beyond noise."""
    open_ = compared.candidates[UNDEFENDED]
    found = [
        one
        for one in compared.candidates.values()
        if open_.clean - one.clean >= CLEARLY_LOWER
        and beats(one.clean, one.clean_draws, open_.clean, open_.clean_draws)
    ]
    return [one.name for one in sorted(found, key=lambda one: one.clean)]


def of_each_class(
    data: Data, rows: list[Ranked], decision: Recommendation
) -> list[Recall]:
    """How much of each class is found, with and without an attack and the defense."""
    (open_,) = [row for row in rows if row["defense"] == UNDEFENDED]
    best = [row for row in rows if row["defense"] == decision["defense"]]
    return [
        {
            "label": one["label"],
            "base_rate": one["share"],
            "recall": open_["clean_recalls"][code],
            "recall_attacked": open_["worst_recalls"][code],
            "recall_defended": best[0]["worst_recalls"][code] if best else None,
        }
        for code, one in enumerate(data["classes"])
    ]
