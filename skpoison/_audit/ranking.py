"""Which defense does best when attacked, and what it costs when nobody attacks."""

from .defenses import UNDEFENDED, name_of
from .measure import Measured
from .plan import Outcome, Plan
from .types import Bounds, Percentile, Ranked, Recommendation


def rank(plan: Plan, measured: Measured) -> Outcome:
    """Order defenses by the worst that was measured: the ``ranking`` of the report.

    Those that no attack knew come last: nothing says how bad it can get for them. Those
    that rejected no row are left out, for they are no defense.
    """
    rows, left_out = [_undefended(measured)], []
    for cost in measured.defenses:
        name = cost["defense"]
        done = [row for row in measured.evaluations if _counts(row, name)]
        if done and name in plan.filters and not any(map(_rejects, done)):
            reason = "it rejected no row in any fold, clean or poison"
            left_out.append({"what": f"defense {name}", "reason": reason})
        elif done:
            rows.append(_row(cost, done, measured.clean))
    rows.sort(key=_order)
    by_cost = sorted(rows, key=lambda row: (row["clean_error"], row["clean_loss"]))
    for position, row in enumerate(rows):
        row["rank"] = position + 1
        row["rank_by_clean_error"] = by_cost.index(row) + 1
    return Outcome(rows, left_out)


def _rejects(row):
    return row["clean_rejected"] or row["poison_rejected"]


def _order(row):
    unknown = row["n_adaptive"] == 0
    return unknown, row["worst_error"], row["worst_loss"], row["defense"]


def _counts(row, defense):
    return row["defense"] == defense and row["possible"]


def _row(cost, done, clean):
    worst = max(done, key=lambda row: row["error_filtered_poisoned"])
    by_loss = max(done, key=lambda row: row["loss_filtered_poisoned"])
    return {
        "defense": cost["defense"],
        "worst_error": worst["error_filtered_poisoned"],
        "worst_error_attack": worst["attack"],
        "worst_loss": by_loss["loss_filtered_poisoned"],
        "worst_loss_attack": by_loss["attack"],
        "worst_loss_se": by_loss["loss_filtered_poisoned_se"],
        "clean_error": cost["clean_error"],
        "clean_loss": cost["clean_loss"],
        "cost_error": cost["clean_error"] - clean["test_error"],
        "cost_loss": cost["clean_loss"] - clean["test_loss"],
        "n_attacks": len({row["attack"] for row in done}),
        "n_adaptive": len({row["attack"] for row in done if row["adaptive"]}),
    }


def _undefended(measured):
    """The model without a defense, under the worst of all attacks that were made.

    Those that were made to pass some defense are among them.
    """
    made = [row for row in measured.evaluations if row["possible"]]
    if not made:
        reasons = sorted({row["reason"] for row in measured.evaluations})
        raise ValueError(
            f"None of the attacks can be made against any defense: {reasons[0]}"
        )
    worst = max(made, key=lambda row: row["error_poisoned"])
    by_loss = max(made, key=lambda row: row["loss_poisoned"])
    clean = measured.clean
    return {
        "defense": UNDEFENDED,
        "worst_error": worst["error_poisoned"],
        "worst_error_attack": worst["attack"],
        "worst_loss": by_loss["loss_poisoned"],
        "worst_loss_attack": by_loss["attack"],
        "worst_loss_se": None,
        "clean_error": clean["test_error"],
        "clean_loss": clean["test_loss"],
        "cost_error": 0.0,
        "cost_loss": 0.0,
        "n_attacks": len({row["attack"] for row in made}),
        "n_adaptive": len({r["attack"] for r in made if r["defense"] == UNDEFENDED}),
    }


def by_percentile(
    plan: Plan, measured: Measured, ranking: list[Ranked], bounds: Bounds
) -> list[Percentile]:
    """Put what a percentile costs, what it prevents and its bound side by side."""
    ranked = {row["defense"]: row for row in ranking}
    rows = []
    for curve in bounds["curves"]:
        if curve["defense"] != "fixed":
            continue
        name = name_of(curve["percentile"])
        adaptive = [
            row
            for row in measured.evaluations
            if _counts(row, name) and row["adaptive"]
        ]
        row = _percentile_row(plan, curve, ranked.get(name), adaptive)
        rows.append(row | {"upper_bound_moving": _moving(plan, curve, bounds)})
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


COSTS = ("clean_error", "clean_loss", "cost_error", "cost_loss")


def _percentile_row(plan, curve, ranked, adaptive):
    (point,) = [p for p in curve["points"] if p["epsilon"] == plan.reference]
    row = {
        "percentile": curve["percentile"],
        "kept_share": curve["kept_share"],
        **{key: ranked[key] if ranked else None for key in COSTS},
        "upper_bound": point["upper_bound"],
        "worst_loss": None,
        "worst_loss_se": None,
        "worst_loss_attack": None,
        "worst_error": None,
    }
    if adaptive:
        worst = max(adaptive, key=lambda one: one["loss_filtered_poisoned"])
        row["worst_loss"] = worst["loss_filtered_poisoned"]
        row["worst_loss_se"] = worst["loss_filtered_poisoned_se"]
        row["worst_loss_attack"] = worst["attack"]
        row["worst_error"] = max(one["error_filtered_poisoned"] for one in adaptive)
    return row


def recommend(
    plan: Plan, measured: Measured, rows: list[Percentile], ranking: list[Ranked]
) -> Recommendation:
    """Choose a percentile by the held-out loss under the worst adaptive attack.

    Never by the bound, which only grows with the percentile: by it alone the smallest
    one would always win, whatever it costs.
    """
    undefended = next(row for row in ranking if row["defense"] == UNDEFENDED)
    found = {
        "criterion": "held-out loss on all clean rows under the worst adaptive attack",
        "epsilon": plan.reference,
        "percentile": None,
        "worst_loss": None,
        "also_good": [],
        "not_judged": list(_not_judged(measured, rows)),
        "undefended_loss": undefended["worst_loss"],
        "better_than_undefended": None,
        "by_certificate_alone": min(rows, key=_by_bound)["percentile"],
        "best_ranked": ranking[0]["defense"],
    }
    judged = [row for row in rows if row["worst_loss"] is not None]
    if not judged:
        return found
    # Of two that do as well, the one that rejects less.
    best = min(judged, key=lambda row: (row["worst_loss"], -row["percentile"]))
    limit = best["worst_loss"] + (best["worst_loss_se"] or 0.0)
    return found | {
        "percentile": best["percentile"],
        "worst_loss": best["worst_loss"],
        "also_good": [
            row["percentile"]
            for row in judged
            if row is not best and row["worst_loss"] <= limit
        ],
        "better_than_undefended": best["worst_loss"] < undefended["worst_loss"],
    }


def _not_judged(measured, rows):
    """Yield the percentiles that no attack could be made against, and why not."""
    for row in rows:
        if row["worst_loss"] is None:
            name = name_of(row["percentile"])
            tried = [e for e in measured.evaluations if e["defense"] == name]
            reasons = [e["reason"] for e in tried if e["adaptive"] and e["reason"]]
            reason = reasons[0] if reasons else "no attack that was run can adapt to it"
            yield {"percentile": row["percentile"], "reason": reason}


def _by_bound(row):
    return row["upper_bound"], row["percentile"]
