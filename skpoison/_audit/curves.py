"""The certified bound for every percentile and share of poison."""

import time
import warnings

import numpy as np
from joblib import Parallel, delayed

from skpoison import __version__
from skpoison._defaults import default_filter
from skpoison._whole_rows import n_poison_rows
from skpoison._words import one_line
from skpoison.bounds import CertifiedBound, bound_curve

from .inputs import Inputs
from .plan import Outcome, Plan
from .progress import Progress
from .types import Bounds, Point

TOL = 1e-3
# Bounds on moving centroids come by branch and bound, and cost more for each digit.
MOVING_TOL = 0.05
# Of what is left of a budget when they begin, when the last may be started.
MOVING_SHARE = 0.5
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


def curves(inputs: Inputs, plan: Plan, progress: Progress) -> Outcome:
    """Compute the ``bounds`` part of the report."""
    signs = np.where(inputs.codes == plan.positive, 1, -1)
    part = plan.memory.cache(bound_part)
    progress.begin("Bounding", len(plan.percentiles))
    jobs = (
        delayed(part)(
            __version__,
            p,
            plan.learner.options,
            inputs.X,
            signs,
            plan.epsilons,
            plan.seed,
        )
        for p in plan.percentiles
    )
    parallel = Parallel(n_jobs=plan.n_jobs, return_as="generator")
    parts = list(progress.over(parallel(jobs)))
    moving, missing, warned = _moving(inputs, signs, plan, progress)
    fixed = [part["curve"] for part in parts]
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
    return Outcome(bounds, warnings=warned)


def _moving(inputs, signs, plan, progress):
    """Compute bounds on moving centroids until the time for them is up."""
    if not plan.learner.is_hinge:
        return {}, MOVING_IS_FOR, []
    # What is compared comes first, then the rest of the curves.
    shares = sorted(plan.epsilons, key=lambda epsilon: epsilon != plan.reference)
    wanted = [(e, p) for e in shares for p in plan.percentiles]
    part, begun = plan.memory.cache(moving_part), time.monotonic()
    limit = min(plan.moving_seconds, MOVING_SHARE * max(plan.clock.left(), 0))
    points, reasons, warned = {}, [], []
    progress.begin("Bounding with moving centroids", len(wanted))
    for done, (epsilon, percentile) in enumerate(wanted):
        if time.monotonic() - begun >= limit:
            left = f"{len(wanted) - done} of {len(wanted)} bounds were not started"
            seconds = f"within {limit:.3g} seconds"
            asked = "none was requested (moving_seconds=0)"
            reasons.append(f"{left} {seconds}" if plan.moving_seconds else asked)
            break
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
