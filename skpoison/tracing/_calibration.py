"""How often honest errors look as if the rows around them were at their root."""

import numpy as np

from skpoison._labels import find_labels
from skpoison.tracing._core import (
    Core,
    contradicted_part,
    core_rows,
    is_contradicted,
    strength_of,
)
from skpoison.tracing._goal import LabelGoal
from skpoison.tracing._neighbors import distances_to
from skpoison.tracing._scores import Evidence

MOST_STEPS, MOST_FITS = 24, 19  # errors that are compared with, by Newton steps or fits


def p_value(core: Core | None, evidence: Evidence, limit: int) -> float | None:
    """Return the share of other errors that rows around them explain as well.

    The other errors are training rows that models which have not seen them predict
    wrong; the targets count as one of them. None for regressors, and without errors.
    """
    goal, held_out = evidence.goal, evidence.held_out
    said = None if held_out is None else held_out.codes
    if not isinstance(goal, LabelGoal) or said is None:
        return None
    codes = find_labels(evidence.training.labels, goal.classes)
    errors = np.flatnonzero(said != codes)
    if not len(errors):
        return None
    if core is None or core.strength == 0:
        return 1.0
    most = MOST_STEPS if evidence.has_one_score else MOST_FITS
    errors = evidence.random_state.permutation(errors)[:most]
    goals = LabelGoal(goal.classes, said, None if goal.right is None else codes)
    least = core.strength
    rows = evidence.space.rows
    columns = zip(errors, distances_to(rows, rows[errors]).T, strict=True)
    found = [_strength(*one, goals, evidence, limit, least) for one in columns]
    as_strong = np.count_nonzero(np.array(found) >= core.strength)
    return (1 + as_strong) / (1 + len(errors))


def _strength(row, distances, goals, evidence, limit, least):
    """How many rows around a training row a model without them contradicts."""
    training, goal = evidence.training, goals.take(np.array([row]))
    distances = np.where(np.arange(len(distances)) == row, np.inf, distances)
    found = core_rows(distances, goal.pushes(training.labels)[:, 0])
    found = found[found != row][:limit]
    if len(found) < least:  # too few to be as strong
        return 0
    strength, contradicted = _judged(found, row, goal, evidence)
    nearest = contradicted_part(found, contradicted)
    if not 0 < len(nearest) < len(found):
        return strength
    return _judged(nearest, row, goal, evidence)[0] or strength


def _judged(found, row, goal, evidence):
    """How strong rows around a training row are, and which of them are contradicted."""
    training, removed = evidence.training, np.append(found, row)
    if not training.can_fit(removed):
        return 0, np.zeros(len(found), dtype=bool)
    if evidence.has_one_score:
        scores = evidence.influence.scores_without(removed)
        codes = find_labels(training.labels[removed], goal.classes)
        wrong = (scores > 0.0) != (codes == 1)
    else:
        model = training.fit(removed)
        wrong = is_contradicted(model, training.X, training.labels, removed, goal)
    return strength_of(wrong[:-1], bool(~wrong[-1])), wrong[:-1]
