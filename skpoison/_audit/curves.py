"""The certified bound for every percentile and share of poison."""

import time
import warnings

import numpy as np
from joblib import Parallel, delayed

from skpoison import __version__
from skpoison._defaults import default_filter
from skpoison._whole_rows import n_poison_rows
from skpoison._words import epsilon_text, one_line
from skpoison.bounds import CertifiedBound, bound_curve

from .inputs import Inputs
from .plan import Outcome, Plan
from .progress import Progress
from .types import Bounds, Point

TOL = 1e-3
# Bounds on moving centroids come by branch and bound, and cost more for each digit.
MOVING_TOL = 0.05
# Of what is left of a budget when they begin, when the last may be started; and how
# many times as long as one on fixed centroids the first one may take.
MOVING_SHARE, MOVING_TIMES = 0.5, 25
MOVING_IS_FOR = (
    "they exist for the hinge loss with a penalty on weights and intercept alike, as "
    'LinearSVC(loss="hinge") has it'
)
NAMES = (
    "upper_bound",
    "lower_bound",
    "dual_gap",
    "clean_loss",
    "poison_loss",
    "attack_loss",
)


def bound_part(version, percentile, learner, X, signs, epsilons, seed):
    """Compute the curve of one percentile; the part that is kept when interrupted.

    The version is the package's, so that another one does not reuse what this one kept.
    """
    bound = CertifiedBound(
        default_filter(percentile), tol=TOL, random_state=seed, **learner
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        curve = bound_curve(bound, X, signs, [*epsilons, 0.0])
    *bounds, clean = curve.estimators
    return {
        "curve": {
            "defense": "fixed",
            "percentile": percentile,
            "kept_share": float(np.mean(clean.filter_.inlier_mask_)),
            "points": [_point(fitted, len(signs)) for fitted in bounds],
        },
        "no_attack_loss": clean.upper_bound_,
        "warnings": sorted({str(warning.message) for warning in caught}),
    }


def moving_part(version, percentile, learner, X, signs, epsilon, seed):
    """Bound the damage where poison moves the centroids; a part that is kept."""
    bound = CertifiedBound(
        default_filter(percentile),
        epsilon,
        tol=MOVING_TOL,
        defense="moving_centroids",
        random_state=seed,
        **learner,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            point = _point(bound.fit(X, signs), len(signs))
        except ValueError as error:
            return {"point": None, "failed": one_line(error), "warnings": []}
    texts = sorted({str(warning.message) for warning in caught})
    return {"point": point, "failed": None, "warnings": texts}


def _point(bound, n_rows) -> Point:
    values = {name: float(getattr(bound, name + "_")) for name in NAMES}
    return {
        "epsilon": float(bound.epsilon),
        "n_allowed": n_poison_rows(bound.epsilon, n_rows),
        "attack_rows": int(bound.attack_.n_copies.sum()),
        **values,
        "converged": bound.converged_,
    }


def curves(
    inputs: Inputs, plan: Plan, progress: Progress, percentile: float | None = None
) -> Outcome:
    """Compute the ``bounds`` part of the report, while there is time.

    Those of `percentile`, or else of the widest, come first. They are there in any
    case, for lack of time for one poison fraction only: that of the attacks.
    """
    signs = np.where(inputs.codes == plan.positive, 1, -1)
    begun = time.monotonic()
    parts, left_out = _fixed(inputs, signs, plan, progress, percentile)
    seconds = (time.monotonic() - begun) / sum(len(p["curve"]["points"]) for p in parts)
    fixed = [part["curve"] for part in parts]
    order = sorted((c["percentile"] for c in fixed), key=lambda p: p != percentile)
    moving, missing, warned = _moving(inputs, signs, plan, progress, order, seconds)
    bounds: Bounds = {
        "learner": plan.learner.parameters,
        "learner_name": plan.learner.name,
        "loss": plan.learner.loss,
        "applies_to_estimator": plan.learner.is_model,
        # The learner on clean rows is the same whatever the filter.
        "no_attack_loss": parts[0]["no_attack_loss"],
        "defenses": [
            {"defense": "fixed", "computed": True, "reason": None},
            {
                "defense": "moving_centroids",
                "computed": bool(moving),
                "reason": missing,
            },
        ],
        "curves": fixed + _as_curves(moving, fixed),
    }
    warned += [text for part in parts for text in part["warnings"]]
    return Outcome(bounds, left_out, warned)


def _fixed(inputs, signs, plan, progress, percentile):
    """Compute bounds with fixed centroids; say which there is no time for."""
    part = plan.memory.cache(bound_part)
    progress.begin("Bounding", len(plan.percentiles))
    epsilons = plan.epsilons if plan.clock.has(0.0) else [plan.reference]
    given = plan.learner.options, inputs.X, signs, epsilons, plan.seed
    first = plan.percentiles[-1] if percentile is None else percentile
    order = sorted(plan.percentiles, key=lambda p: p != first)
    jobs = (delayed(part)(__version__, p, *given) for p in order)
    parallel = Parallel(n_jobs=plan.n_jobs, return_as="generator")
    parts = list(progress.over(parallel(plan.clock.while_there_is(jobs, 1))))
    left_out = []
    if len(parts) < len(order):
        missing = ", ".join(f"{p:g}" for p in sorted(order[len(parts) :]))
        left_out.append(f"bounds of sphere and slab at percentiles {missing}")
    if len(epsilons) < len(plan.epsilons):
        only = epsilon_text(plan.reference)
        left_out.append(f"bounds for other poison fractions than {only}")
    parts.sort(key=lambda one: one["curve"]["percentile"])
    return parts, [{"what": one, "reason": plan.clock.reason} for one in left_out]


def _moving(inputs, signs, plan, progress, percentiles, seconds):
    """Compute bounds on moving centroids until the time for them is up.

    `seconds` are what a bound with fixed centroids took.
    """
    if not plan.learner.is_hinge:
        return {}, MOVING_IS_FOR, []
    # What is compared comes first, then the rest of the curves.
    shares = sorted(plan.epsilons, key=lambda epsilon: epsilon != plan.reference)
    wanted = [(e, p) for e in shares for p in percentiles]
    part, begun = plan.memory.cache(moving_part), time.monotonic()
    expected = MOVING_TIMES * seconds
    limit = min(plan.moving_seconds, MOVING_SHARE * max(plan.clock.left(), 0))
    points, reasons, warned = {}, [], []
    progress.begin("Bounding with moving centroids", len(wanted))
    for done, (epsilon, percentile) in enumerate(wanted):
        if time.monotonic() - begun >= limit or not plan.clock.has(expected):
            left = f"{len(wanted) - done} of {len(wanted)} bounds were not started"
            within = f"within {limit:.3g} seconds"
            if not plan.clock.has(expected):
                within = f"for {plan.clock.reason}"
            asked = "none was requested (moving_seconds=0)"
            reasons.append(f"{left} {within}" if plan.moving_seconds else asked)
            break
        started = time.monotonic()
        found = part(
            __version__,
            percentile,
            plan.learner.options,
            inputs.X,
            signs,
            epsilon,
            plan.seed,
        )
        warned += found["warnings"]
        if found["failed"]:
            reasons.append(found["failed"])
            break
        points[percentile, epsilon] = found["point"]
        expected = time.monotonic() - started
        progress.advance()
    return points, "; ".join(reasons) or None, warned


def _as_curves(points, fixed):
    """Return the points of each percentile, in the order of the fixed curves."""
    curves_ = []
    for curve in fixed:
        percentile = curve["percentile"]
        known = sorted(e for p, e in points if p == percentile)
        if known:
            here = [points[percentile, epsilon] for epsilon in known]
            row = {"defense": "moving_centroids", "percentile": percentile}
            curves_.append(row | {"kept_share": curve["kept_share"], "points": here})
    return curves_
