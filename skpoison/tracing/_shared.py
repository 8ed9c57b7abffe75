"""What rows have in common, and how unusual that is."""

from typing import Any

import numpy as np
from scipy.stats import hypergeom
from sklearn.utils import Bunch

from skpoison.tracing._columns import Columns
from skpoison.tracing._core import is_contradicted
from skpoison.tracing._result import CONTRADICTED, COPIES
from skpoison.tracing._retrain import copies_of
from skpoison.tracing._scores import Evidence
from skpoison.tracing._verify import Verifier

FEWEST = 2  # rows that something can be common to
COMPARED = 1_000  # rows beside a set, at most


def shared_by(
    rows: np.ndarray, evidence: Evidence, verifier: Verifier, columns: Columns
) -> list[Bunch]:
    """Return what a removal set has in common: labels, near copies, and columns.

    Besides, how many of its rows a model that was fitted without them contradicts.
    """
    training = verifier.training
    labels = [("label", training.labels)] if training.is_classifier else []
    copies = [(COPIES, copies_near(rows, evidence))]
    found = common(rows, [*labels, *copies, *columns])
    found += [one for one in _contradicted(rows, evidence, verifier) if one.n_rows]
    return sorted(found, key=lambda one: (one.p_value, -one.n_rows))


def copies_near(rows: np.ndarray, evidence: Evidence) -> np.ndarray:
    """Return the first row of each row's group of near copies.

    Only the rows of the set and those nearest to a target are compared.
    """
    near = np.argsort(evidence.distances.min(axis=1), kind="stable")[:COMPARED]
    compared = np.unique(np.concatenate([rows, near]))
    space = evidence.space._replace(rows=evidence.space.rows[compared])
    groups = copies_of(space, evidence.random_state)
    first = np.unique(groups, return_index=True)[1]
    firsts = np.arange(evidence.space.rows.shape[0])
    firsts[compared] = compared[first[groups]]
    return firsts


def _contradicted(rows, evidence, verifier):
    """Compare the set with a sample of the other rows."""
    training = verifier.training
    model = verifier.model_without(rows)
    if model is None:
        return
    others = np.delete(np.arange(training.n_rows), rows)
    others = others[:: -(-len(others) // COMPARED)]
    asked = np.concatenate([rows, others])
    said = is_contradicted(model, training.X, training.labels, asked, verifier.goal)
    if said is None:
        return
    yield from common(np.arange(len(rows)), [(CONTRADICTED, said)], only=True)


def common(rows: np.ndarray, columns: Columns, only: Any = None) -> list[Bunch]:
    """Return the values of columns that several rows of a set have.

    Each has ``column``, ``value``, ``n_rows`` of the set that have the value, ``share``
    of the set, ``share_of_all``, and ``p_value``: the probability that as many of
    randomly drawn rows have it, times the number of values of the column that the set
    has.
    """
    found = [one for name, values in columns for one in _of_column(name, values, rows)]
    return [one for one in found if only is None or one.value == only]


def _of_column(name, values, rows):
    values = np.asarray(values)
    _, codes = np.unique(values.astype(str), return_inverse=True)
    n_all = np.bincount(codes)
    n_set = np.bincount(codes[rows], minlength=len(n_all))
    n_values = np.count_nonzero(n_set)
    for code in np.flatnonzero(n_set >= FEWEST):
        chance = hypergeom.sf(n_set[code] - 1, len(values), n_all[code], len(rows))
        value = values[codes == code][0]
        yield Bunch(
            column=name,
            value=value.item() if isinstance(value, np.generic) else value,
            n_rows=int(n_set[code]),
            share=float(n_set[code] / len(rows)),
            share_of_all=float(n_all[code] / len(values)),
            p_value=float(min(chance * n_values, 1.0)),
        )
