"""What is predicted without all rows of a source, or another value of a column."""

import numpy as np
from sklearn.utils import Bunch

from skpoison.tracing._columns import Columns
from skpoison.tracing._shared import common
from skpoison.tracing._verify import Verifier

MOST_VALUES = 20  # a fit each
MOST_ROWS = 0.5  # of all; without more, little is left to predict with


def groups_by(
    blamed: np.ndarray,
    verifier: Verifier,
    columns: Columns,
    most_values: int = MOST_VALUES,
) -> list[Bunch]:
    """Fit without the rows of each value that several of the blamed rows have.

    The values that are most unusual among the blamed rows are tried. The result has
    those without which most targets are right first.
    """
    found = [one for one in common(blamed, columns) if one.share_of_all <= MOST_ROWS]
    found = sorted(found, key=lambda one: (one.p_value, -one.n_rows))[:most_values]
    groups = [
        Bunch(
            column=one.column,
            value=one.value,
            n_rows=len(rows),
            n_right=int(verifier.is_right(rows).sum()),
            p_value=one.p_value,
        )
        for one in found
        for rows in [_rows_with(columns, one)]
        if verifier.predicted(rows) is not None
    ]
    return sorted(groups, key=lambda one: (-one.n_right, one.p_value))


def _rows_with(columns, one):
    """Return the rows that have a value of a column, or are in a range of it."""
    found = [
        v.astype(str) == str(one.value) for name, v in columns if name == one.column
    ]
    return np.flatnonzero(np.any(found, axis=0))
