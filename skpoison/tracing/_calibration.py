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

MOST_ERRORS = 24  # that are compared with, by Newton steps or fits


def p_value(core: Core | None, evidence: Evidence, limit: int) -> float | None:
    """Return the share of other errors that rows around them explain as well.

    The other errors are training rows that models which have not seen them predict
    wrong; the targets count as one of them. They are judged as if the rows around the
    targets were not there. None for regressors, and without errors.
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
    errors = evidence.random_state.permutation(errors)[:MOST_ERRORS]
    goals = LabelGoal(goal.classes, said, None if goal.right is None else codes)
    far = [distances_to(s.rows, s.rows[errors]) for s in evidence.spaces]
    columns = zip(errors, *(one.T for one in far), strict=True)
    found = [
        _strength(row, candidates, goals, evidence, limit, core)
        for row, *candidates in columns
    ]
    as_strong = np.count_nonzero(np.array(found) >= core.strength)
    return (1 + as_strong) / (1 + len(errors))


def _strength(row, candidates, goals, evidence, limit, core):
    """How many rows around a training row a model without them contradicts."""
    training, goal = evidence.training, goals.take(np.array([row]))
    pushes, columns = goal.pushes(training.labels), []
    gone = np.append(core.rows, row)
    for one in candidates:
        one[gone] = np.inf
        columns.append(one[:, np.newaxis])
    distances = evidence.distances_of(columns, pushes)
    found = core_rows(distances[:, 0], pushes[:, 0])
    found = found[~np.isin(found, gone)][:limit]
    if len(found) < core.strength:  # too few to be as strong
        return 0
    strength, contradicted = _judged(found, row, core, goal, evidence)
    nearest = contradicted_part(found, contradicted)
    if not 0 < len(nearest) < len(found):
        return strength
    return _judged(nearest, row, core, goal, evidence)[0] or strength


def _judged(found, row, core, goal, evidence):
    """How strong rows around a training row are, and which of them are contradicted."""
    training = evidence.training
    asked = np.append(found, row)
    removed = np.union1d(asked, core.rows)
    if not training.can_fit(removed):
        return 0, np.zeros(len(found), dtype=bool)
    if evidence.has_one_score:
        scores = evidence.influence.scores_without(removed, asked)
        codes = find_labels(training.labels[asked], goal.classes)
        wrong = (scores > 0.0) != (codes == 1)
    else:
        model, rows = training.fit_if_possible(removed), (training.X, training.labels)
        wrong = None
        if model is not None:
            wrong = is_contradicted(model, *rows, asked, goal)
        if wrong is None:
            return 0, np.zeros(len(found), dtype=bool)
    return strength_of(wrong[:-1], bool(~wrong[-1])), wrong[:-1]
