"""Checks of the interface of attacks."""

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags

from skpoison._whole_rows import n_poison_rows
from skpoison.testing._data import require, require_refusals, two_classes, with_entry

EPSILON = 0.1


def check_attack(attack: BaseEstimator, random_state: int = 0) -> None:
    """Check that an attack satisfies the interface that skpoison relies on.

    Parameters
    ----------
    attack : attack
        An attack; it is cloned, and the clone's ``epsilon`` and ``random_state`` are
        set.
    random_state : int, default=0
        Seed of the test data and of the attack.

    Raises
    ------
    AssertionError
        If a check fails; the message names the requirement.

    See Also
    --------
    skpoison.attacks.BaseAttack : Base class that implements most of the interface.

    Examples
    --------
    >>> from skpoison.attacks import LabelFlipAttack
    >>> from skpoison.testing import check_attack
    >>> check_attack(LabelFlipAttack())
    """
    X, y = two_classes(random_state)
    attack = clone(attack).set_params(epsilon=EPSILON, random_state=random_state)
    for check in _CHECKS:
        check(clone(attack), X, y)


def _check_rows(attack, X, y):
    X_poison, y_poison = attack.poison(X, y)
    most = n_poison_rows(EPSILON, len(y))
    require(
        len(y_poison) == X_poison.shape[0] <= most and X_poison.shape[1] == X.shape[1],
        f"poison must return at most floor(epsilon * n) = {most} whole rows and as "
        f"many labels; got {X_poison.shape} and {len(y_poison)}.",
    )
    require(np.all(np.isfinite(X_poison)), "Poison rows must be finite.")
    require(np.all(np.isin(y_poison, y)), "Poison labels must be labels in y.")
    require(
        np.array_equal(attack.X_poison_, X_poison)
        and np.array_equal(attack.y_poison_, y_poison),
        "X_poison_ and y_poison_ must be what poison returned.",
    )


def _check_resampling(attack, X, y):
    together, labels = attack.fit_resample(X, y)
    n_rows = len(y)
    require(
        np.array_equal(together[:n_rows], X) and np.array_equal(labels[:n_rows], y),
        "fit_resample must begin with the clean rows, as they were.",
    )
    require(
        np.array_equal(attack.poison_mask_, np.arange(len(labels)) >= n_rows),
        "poison_mask_ must be true for the poison rows that fit_resample returns.",
    )


def _check_types(attack, X, y):
    """Give the rows in columns of two precisions, with names for the rows."""
    table, labels = _as_table(X, y)
    if table is None:
        return
    together, named = attack.fit_resample(table, labels)
    n_rows = len(y)
    require(
        together[:n_rows].equals(table)
        and list(together.dtypes) == list(table.dtypes)
        and named[:n_rows].equals(labels),
        "fit_resample must leave clean rows and the types of columns as they were.",
    )
    require(
        together.index.is_unique and together.index.equals(named.index),
        "Poison rows must have labels in the index that no clean row has.",
    )


def _check_whole_numbers(attack, X, y):
    """Give whole numbers: they stay such, or the attack says that it has fractions."""
    table, labels = _as_table(np.rint(X), y)
    if table is None:
        return
    table = table.astype({"column 0": np.int16})
    try:
        together, _ = attack.fit_resample(table, labels)
    except ValueError:
        return
    require(
        list(together.dtypes) == list(table.dtypes)
        and together[: len(y)].equals(table),
        "fit_resample must keep columns of whole numbers, or raise ValueError.",
    )


def _as_table(X, y):
    """Return rows and labels as pandas has them; None where it is not installed."""
    try:
        import pandas as pd
    except ImportError:
        return None, None
    index = pd.Index([f"poison-{i}" for i in range(len(y))], name="row")
    names = [f"column {i}" for i in range(X.shape[1])]
    table = pd.DataFrame(X, index=index, columns=names)
    return table.astype({names[-1]: np.float32}), pd.Series(y, index, name="label")


def _check_repeats(attack, X, y):
    before, labels = X.copy(), y.copy()
    first, second = clone(attack).poison(X, y), clone(attack).poison(X, y)
    require(
        all(np.array_equal(a, b) for a, b in zip(first, second, strict=True)),
        "With a random_state, an attack must be the same every time.",
    )
    require(
        np.array_equal(X, before) and np.array_equal(y, labels),
        "An attack must not write into X or y.",
    )


def _check_nothing(attack, X, y):
    X_poison, y_poison = attack.set_params(epsilon=0.0).poison(X, y)
    require(
        X_poison.shape == (0, X.shape[1]) and len(y_poison) == 0,
        "epsilon=0 must send no rows.",
    )


def _check_labels(attack, X, y):
    names = np.array(["ham", "spam"])
    _, y_poison = clone(attack).poison(X, y)
    _, named = clone(attack).poison(X, names[y])
    require(
        np.array_equal(names[y_poison], named),
        "Labels by other names must not change the attack.",
    )


def _check_filter(attack, X, y):
    if "filter" not in attack.get_params():
        return
    filter_ = getattr(attack.fit(X, y), "filter_", None)
    if filter_ is None or not attack._needs_feasible_set or not len(attack.y_poison_):
        return
    rows = attack.X_poison_
    passed = filter_.predict(rows, attack.y_poison_) == 1
    require(passed.all(), "Poison must pass the filter that the attack faces.")


def _check_sparse(attack, X, y):
    if not get_tags(attack).input_tags.sparse:
        return
    X_poison, _ = attack.poison(sparse.csr_array(X), y)
    require(sparse.issparse(X_poison), "Poison for sparse rows must be sparse.")


def _check_refusals(attack, X, y):
    cases = {
        "NaN in X": (with_entry(X, np.nan), y),
        "a y that is too short": (X, y[:-1]),
        "a single class": (X, np.zeros_like(y)),
    }
    require_refusals(attack, cases)


_CHECKS = (
    _check_rows,
    _check_resampling,
    _check_types,
    _check_whole_numbers,
    _check_repeats,
    _check_nothing,
    _check_labels,
    _check_filter,
    _check_sparse,
    _check_refusals,
)
