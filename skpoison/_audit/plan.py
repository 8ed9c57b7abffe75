"""What an audit is to do, and what its stages return."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_memory

from skpoison._defaults import default_filter
from skpoison._words import percent_text
from skpoison.base import BaseFilter

from .checks import (
    amount_of,
    budget_of,
    check_count,
    check_things,
    classifier,
    is_number,
    new_names,
    numbers_between,
    percentiles_of,
    seconds_of,
)
from .defenses import (
    default_attacks,
    default_estimator,
    default_filters,
    name_of,
    seeded,
)
from .folds import enough, folds_of
from .learner import BoundedLearner, bounded_learner
from .metrics import Metric, metric_of
from .profile import n_stored
from .progress import Clock
from .types import LeftOut


class Outcome(NamedTuple):
    """What a stage of the audit returns."""

    found: Any  # its part of the report, or what later stages need
    left_out: Sequence[LeftOut] = ()
    warnings: Sequence[str] = ()


class Plan(NamedTuple):
    """What an audit is to do."""

    epsilons: list[float]  # poison fractions for the bounds, ascending
    percentiles: list[float]  # of sphere and slab, ascending
    reference: float  # poison fraction by which defenses are compared
    estimator: Any  # the model
    learner: BoundedLearner  # which is bounded
    filters: dict[str, BaseFilter]  # the other defenses
    attacks: dict[str, Any]
    positive: int  # position of the bounds' positive class among the labels
    folds: list[tuple[np.ndarray, np.ndarray]]  # rows to train on, rows to test on
    cv: int | None  # how many folds; None for a splitter of one's own
    n_jobs: int | None
    memory: Any  # a joblib.Memory, which keeps finished parts
    seed: int
    top: int  # how many suspicious rows are listed
    moving_seconds: float  # for how long bounds on moving centroids may be started
    metric: Metric  # by which defenses are compared
    metric_reason: str  # why by this one
    max_cost: float  # the most that a defense may cost without an attack
    trusted: np.ndarray  # rows that held-out figures are computed from
    clock: Clock
    left_out: list[LeftOut]  # what is not done because of this plan

    @property
    def defenses(self):
        """All defenses by name: sphere and slab at each percentile, then the others."""
        return {name_of(p): default_filter(p) for p in self.percentiles} | self.filters

    @property
    def rows(self):
        """Positions of the rows that attacks are run on, ascending."""
        return np.unique(np.concatenate([part for fold in self.folds for part in fold]))


def make_plan(inputs, *, estimator, filters, attacks, epsilons, percentiles, reference,
              positive, cv, random_state, memory, n_jobs, max_rows, top,
              moving_seconds, metric="auto", costs=None, max_cost=0.01,
              class_weight="auto", budget=None) -> Plan:  # fmt: skip
    """Check what :func:`skpoison.audit` is asked for, and fill in what was not said."""
    seed = check_count("random_state", random_state, 0)
    clock = Clock(budget_of(budget))
    estimator = seeded(_model(inputs, estimator, class_weight), seed)
    if not is_number(reference):
        raise ValueError(f"reference must be one number; got {reference!r}.")
    (reference,) = numbers_between("reference", reference, 0, 1, open_low=True)
    learner = bounded_learner(estimator)
    wanted, slow = _filters(inputs, filters, reference)
    wanted_attacks = _attacks(inputs, attacks, learner, estimator)
    epsilons = numbers_between("epsilons", epsilons, 0, 1)
    percentiles = percentiles_of(percentiles)
    asked, positive = positive, _positive(inputs, positive)
    measured_by = _metric(inputs, metric, costs, asked)
    folds, not_drawn = folds_of(inputs, cv, seed, max_rows)
    return Plan(
        epsilons=sorted({*epsilons, reference}),
        percentiles=percentiles,
        reference=reference,
        estimator=estimator,
        learner=learner,
        filters={name: seeded(f, seed) for name, f in wanted.items()},
        attacks={
            name: seeded(_sending(a, reference), seed)
            for name, a in wanted_attacks.items()
        },
        positive=positive,
        folds=enough(folds, reference),
        cv=int(cv) if isinstance(cv, Integral) else None,
        n_jobs=n_jobs,
        memory=check_memory(memory),
        seed=seed,
        top=check_count("top", top, 0),
        moving_seconds=seconds_of(moving_seconds),
        metric=measured_by,
        metric_reason=_reason(inputs, metric, measured_by, estimator),
        max_cost=amount_of("max_cost", max_cost),
        trusted=np.ones(len(inputs.codes), dtype=bool),
        clock=clock,
        left_out=slow + not_drawn,
    )


def _model(inputs, estimator, class_weight):
    """Return the model; the default one weights its classes where one is rare."""
    if estimator is not None:
        if class_weight != "auto":
            raise ValueError(
                "class_weight is for the default model; set that of "
                f"{estimator!r} instead."
            )
        return classifier(estimator)
    if class_weight not in ("auto", "balanced", None):
        raise ValueError(
            f"class_weight must be 'auto', 'balanced' or None; got {class_weight!r}."
        )
    return default_estimator(inputs.codes, class_weight)


def _metric(inputs, name, costs, positive):
    """Return the metric; the positive class is the rarer one if none is given."""
    counts = np.bincount(inputs.codes)
    code = int(np.argmin(counts)) if positive is None else _positive(inputs, positive)
    return metric_of(name, counts, code, inputs.labels, costs)


def _reason(inputs, asked, metric, estimator):
    """Say why defenses are compared by this metric."""
    if asked != "auto":
        return "as requested"
    counts = np.bincount(inputs.codes)
    rare = int(np.argmin(counts))
    if metric.name == "cost":
        return "costs were given"
    if metric.name == "error":
        return "no class is rare"
    text = (
        f"only {percent_text(counts[rare] / counts.sum())} of the rows have the label "
        f"{inputs.labels[rare]}, and a model that never predicts it would have few "
        "errors"
    )
    weighted = estimator.get_params().get("class_weight") == "balanced"
    return text + ("; the model weights classes equally, too" if weighted else "")


def _sending(attack, reference):
    """Return an attack that sends as much poison as defenses are compared by."""
    if "epsilon" in attack.get_params(deep=False):
        return clone(attack).set_params(epsilon=reference)
    return attack


def _attacks(inputs, attacks, learner, estimator):
    if attacks is None:
        return default_attacks(learner, estimator, len(inputs.classes))
    if not attacks:
        raise ValueError("attacks must hold at least one attack; got none.")
    return check_things(
        "attacks", attacks, lambda a: hasattr(a, "fit_resample"), "attacks"
    )


MOST_ROWS_FOR_NEIGHBORS = 50_000
MOST_COLUMNS_FOR_SUBSPACE = 3000
MOST_VALUES_FOR_AUTO = 150_000


def _filters(inputs, filters, reference):
    """Return the other defenses by name, and what is left out."""
    if filters is not None:
        found = check_things(
            "filters", filters, lambda f: isinstance(f, BaseFilter), "skpoison filters"
        )
        return new_names(found), []
    # As many rows as an attacker sends are rejected: epsilon counts clean rows only.
    found = default_filters(round(100 / (1 + reference), 1))
    slow = {}
    if inputs.X.shape[0] > MOST_ROWS_FOR_NEIGHBORS:
        reason = (
            "its time grows with the square of the number of rows, and there are more "
            f"than {MOST_ROWS_FOR_NEIGHBORS:,}; give filters= to use it all the same"
        )
        slow = dict.fromkeys(("neighbors", "neighbor labels"), reason)
    if inputs.X.shape[1] > MOST_COLUMNS_FOR_SUBSPACE:
        slow["subspace"] = (
            "its time grows with the number of columns, and there are more than "
            f"{MOST_COLUMNS_FOR_SUBSPACE:,}; give filters= to use it all the same"
        )
    if n_stored(inputs.X) > MOST_VALUES_FOR_AUTO:
        slow["auto"] = (
            "fitting it again for every attack takes long, and there are more than "
            f"{MOST_VALUES_FOR_AUTO:,} values; give filters= to use it all the same. "
            "Which rows it rejects is reported"
        )
    return (
        {name: one for name, one in found.items() if name not in slow},
        [
            {"what": f"filter {name}", "reason": reason}
            for name, reason in slow.items()
            if name in found
        ],
    )


def _positive(inputs, positive):
    """Return the position of the label that the bounds set against all others."""
    if positive is None:
        if len(inputs.classes) == 2:
            return 1
        return int(np.argmax(np.bincount(inputs.codes)))
    for code, label in enumerate(inputs.classes.tolist()):
        if label == positive or inputs.labels[code] == str(positive):
            return code
    raise ValueError(
        f"positive must be one of the labels {inputs.labels}; got {positive!r}."
    )
