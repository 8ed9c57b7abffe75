"""Which ranking explains a prediction, and which of its rows suffice."""

from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import _num_samples

from skpoison._words import counted
from skpoison.tracing._core import (
    Core,
    contradicted_part,
    core_rows,
    is_contradicted,
    losses_of,
)
from skpoison.tracing._goal import LabelGoal
from skpoison.tracing._removal import Removal, Search, grow, shrink
from skpoison.tracing._scores import Evidence
from skpoison.tracing._verify import Verifier

LOOKED_AT, NEAR = 10, 0.1  # rows that may be among the nearest tenth
AROUND = 0.1  # of the rows, at most, are around a target


class Outcome(NamedTuple):
    """The ranking that rows are blamed by, and a verified removal set."""

    blamed_by: str
    core: Core | None
    removal: Removal | None
    reason: str | None


def find_rows(
    method: str, evidence: Evidence, verifier: Verifier, limit: int
) -> Outcome:
    """Follow the rankings of a method, or of several, to a verified removal set."""
    core = evidence.core = core_of(
        evidence, verifier, around_at_most(verifier.training.n_rows)
    )
    names = [method] if method != "auto" else _rankings(evidence, core)
    removal = _removal(names, evidence, verifier, limit)
    if removal is None and method == "auto" and evidence.linear is None:
        names = [*names, "retrain"]
        removal = _removal(["retrain"], evidence, verifier, limit)
    reason = None if removal else _reason(names, limit, verifier)
    blaming = (name for name in names if (evidence.scores(name) > 0.0).any())
    return Outcome(next(blaming, names[0]), core, removal, reason)


def around_at_most(n_rows: int) -> int:
    """Return how many rows may be around a target, whatever may be removed."""
    return max(int(AROUND * n_rows), 2)


def core_of(evidence: Evidence, verifier: Verifier, limit: int) -> Core | None:
    """Return the rows around the targets, judged by a model fitted without them.

    If only the nearest of them are contradicted, these are judged once more.
    """
    columns = zip(evidence.distances.T, evidence.pushes.T, strict=True)
    found = [core_rows(*one)[:limit] for one in columns]
    if min(map(len, found)) == 0:
        return None
    rows = np.unique(np.concatenate(found))
    order = np.argsort(evidence.distances[rows].min(axis=1), kind="stable")
    core = _judged(rows[order], verifier)
    if core is None:
        return None
    nearest = contradicted_part(core.rows, core.is_contradicted)
    again = _judged(nearest, verifier) if 0 < len(nearest) < len(rows) else None
    return core if again is None or again.strength == 0 else again


def _judged(rows, verifier):
    """Fit a model without rows, and ask it about them."""
    training, goal = verifier.training, verifier.goal
    model = verifier.model_without(rows)
    if model is None:
        return None
    contradicted = is_contradicted(model, training.X, training.labels, rows, goal)
    if contradicted is None:
        return None
    losses = losses_of(model, training.X, training.labels, goal)
    return Core(rows, contradicted, losses, verifier.works(rows))


def _rankings(evidence, core):
    """Names of rankings, the one that rows are blamed by first.

    Rows around a target are blamed if a model that has not seen them contradicts them;
    or if their gradients are most against it; all others by how badly they fit models
    that have not seen them.
    """
    names = ["knn_shapley"]
    if core is not None and core.strength > 0:
        names = ["around", *names]
    elif evidence.held_out is not None and not _is_near(evidence):
        names = ["loss", *names]
    if evidence.has_gradients:
        names = [*names, "gradient"] if len(names) > 1 else ["gradient", *names]
    if evidence.linear is not None:
        names.append("influence")
    return names


def _is_near(evidence):
    """Whether the rows whose gradients are most against the targets are near them."""
    distances = evidence.distances.min(axis=1)
    first = evidence.order("gradient")[:LOOKED_AT]
    farther = distances[:, np.newaxis] < distances[first]
    return bool(np.median(farther.mean(axis=0)) <= NEAR)


def _removal(names, evidence, verifier, limit):
    influence = evidence.influence

    def seems_to_work(rows):
        return bool((influence.margins_without(rows) < 0.0).all())

    search = Search(
        verifier.works,
        seems_to_work if influence else None,
        is_exact=influence is not None and influence.view.is_exact,
        margin=verifier.margin,
    )
    orders = {name: evidence.order(name) for name in names}
    removal = grow(orders, search, limit)
    if removal is None:
        return None
    return Removal(_shrunk(removal.rows, evidence, verifier), removal.ranking)


def _shrunk(rows, evidence, verifier):
    """Drop rows that are not needed, by fits or by estimates that a fit verifies."""
    influence = evidence.influence
    if influence is None:
        return shrink(rows, verifier.works)
    enough = influence.margins_without(rows)

    def suffice(fewer):
        return bool((influence.margins_without(fewer) <= enough).all())

    fewer = shrink(rows, suffice)
    return fewer if len(fewer) < len(rows) and verifier.works(fewer) else rows


def _best_number(verifier, limit):
    """How far the best set that was tried moves a number, as a sentence."""
    goal = verifier.goal
    if isinstance(goal, LabelGoal):
        return ""
    n_rows, found = verifier.nearest(goal, limit)
    before = goal.predicted[0]
    if n_rows == 0:
        return ""
    rows = counted(n_rows, "row")
    return (
        f" The best that was tried ({rows}) predicts {found:.4g} instead of "
        f"{before:.4g}."
    )


def _reason(names, limit, verifier):
    reason = (
        f"No set of up to {counted(limit, 'row')} was found without which the model "
        f"predicts right (along the rankings {', '.join(names)}): the error is not the "
        "doing of few rows."
    )
    n_targets = _num_samples(verifier.X_target)
    if n_targets == 1:
        return f"{reason}{_best_number(verifier, limit)}"
    n_right = verifier.most_right(limit)
    return f"{reason} The best that was tried makes {n_right:,} of {n_targets:,} right."
