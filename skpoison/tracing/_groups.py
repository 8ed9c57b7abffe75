"""What is predicted without all rows of a source, or another value of a column."""

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skpoison.tracing._shared import common
from skpoison.tracing._verify import Verifier

MOST_VALUES = 20  # a fit each
MOST_ROWS = 0.5  # of all; without more, little is left to predict with


def groups_by(
    blamed: np.ndarray, verifier: Verifier, columns: dict[str, Any]
) -> list[Bunch]:
    """Fit without the rows of each value that several of the blamed rows have.

    The values that are most unusual among the blamed rows are tried. The result has
    those without which most targets are right first.
    """
    found = [one for one in common(blamed, columns) if one.share_of_all <= MOST_ROWS]
    found = sorted(found, key=lambda one: (one.p_value, -one.n_rows))[:MOST_VALUES]
    groups = [
        Bunch(
            column=one.column,
            value=one.value,
            n_rows=len(rows),
            n_right=int(verifier.goal.met(verifier.predicted(rows)).sum()),
            p_value=one.p_value,
        )
        for one in found
        for rows in [_rows_with(columns[one.column], one.value)]
        if verifier.training.can_fit(rows)
    ]
    return sorted(groups, key=lambda one: (-one.n_right, one.p_value))


def _rows_with(values, value):
    return np.flatnonzero(np.asarray(values).astype(str) == str(value))
