"""How often honest errors look as if the rows around them were at their root."""

import numpy as np

from skpoison._labels import find_labels
from skpoison.tracing._core import Core, core_rows, is_contradicted, strength_of
from skpoison.tracing._goal import LabelGoal
from skpoison.tracing._neighbors import distances_to
from skpoison.tracing._scores import Evidence
from skpoison.tracing._verify import Verifier

MOST_STEPS, MOST_FITS = 99, 19  # errors that are compared with, by Newton steps or fits


def p_value(
    core: Core | None, evidence: Evidence, verifier: Verifier, limit: int
) -> float | None:
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
    found = [_strength(row, goals, evidence, verifier, limit) for row in errors]
    as_strong = np.count_nonzero(np.array(found) >= core.strength)
    return (1 + as_strong) / (1 + len(errors))


def _strength(row, goals, evidence, verifier, limit):
    """How many rows around a training row a model without them contradicts."""
    training, goal = evidence.training, goals.take(np.array([row]))
    rows = evidence.space.rows
    distances = distances_to(rows, rows[[row]])[:, 0]
    distances[row] = np.inf
    found = core_rows(distances, goal.pushes(training.labels)[:, 0])
    found = found[found != row][:limit]
    removed = np.append(found, row)
    if not len(found) or not training.can_fit(removed):
        return 0
    if evidence.has_one_score:
        scores = evidence.influence.scores_without(removed)
        codes = find_labels(training.labels[removed], goal.classes)
        wrong = (scores > 0.0) != (codes == 1)
    else:
        model = training.fit(removed)
        wrong = is_contradicted(model, training.X, training.labels, removed, goal)
    return strength_of(wrong[:-1], bool(~wrong[-1]))
