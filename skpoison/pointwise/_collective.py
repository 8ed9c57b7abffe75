"""How many of several predictions one poisoning attack can change."""

from numbers import Integral
from typing import Literal, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skpoison._column_types import RowsLike
from skpoison.pointwise._hashing import shifts
from skpoison.pointwise._partitioned import PartitionedClassifier
from skpoison.pointwise._radius import certified_radius
from skpoison.pointwise._votes import count_votes


class Targets(NamedTuple):
    """Pairs of a test row and a class that could win it."""

    rows: np.ndarray  # (n_pairs,): index of the test row
    powers: np.ndarray  # (n_pairs, n_models): most a poisoned model narrows the gap
    needed: np.ndarray  # (n_pairs,): by how much the gap must narrow


def collective_bound(
    estimator: PartitionedClassifier,
    X: RowsLike,
    n_rows: int,
    *,
    attack: Literal["insert_delete", "change", "flip"],
    time_limit: float = 10.0,
) -> Bunch:
    """Bound how many predictions an attacker can change with the same poison.

    A certified radius assumes that the attacker targets that one prediction. When all
    of X is predicted after a single attack, fewer predictions can change than there are
    radii below `n_rows`, because poison that changes one prediction often does not
    affect another.

    Parameters
    ----------
    estimator : PartitionedClassifier
        A fitted classifier with ``aggregation="vote"``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows whose predictions are to be certified together.
    n_rows : int
        Number of training rows that the attacker can poison.
    attack : {"insert_delete", "change", "flip"}
        What the attacker does, as for :func:`certified_radius`.
    time_limit : float, default=10.0
        Time limit of the integer program in seconds. The bound is valid even if the
        solver stops early.

    Returns
    -------
    result : Bunch
        ``n_changed``: upper bound on the number of predictions that change.
        ``n_changed_alone``: the bound from radii alone, the number of rows whose radius
        is below `n_rows`. ``n_changed_found``: number of predictions that change for
        the worst choice of parts found, if the attacker controls the models of these
        parts. ``is_optimal``: whether ``n_changed`` equals ``n_changed_found``.

    Raises
    ------
    TypeError
        If the estimator is not a :class:`PartitionedClassifier`.
    ValueError
        If its aggregation is not "vote", or `n_rows` is not a non-negative integer.

    Notes
    -----
    An integer program chooses the parts that the attacker poisons and the predictions
    that change [1]_. SciPy's HiGHS solves it; if it stops early, its dual bound is
    still valid. A greedy choice of parts is tried as well.

    References
    ----------
    .. [1] R. Chen, Z. Li, J. Li, J. Yan and C. Wu, "On Collective Robustness of Bagging
       Against Data Poisoning", ICML 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skpoison import PartitionedClassifier
    >>> from skpoison.pointwise import collective_bound
    >>> X, y = load_iris(return_X_y=True)
    >>> model = PartitionedClassifier(GaussianNB(), 10).fit(X[::2], y[::2])
    >>> found = collective_bound(model, X[1::2], 2, attack="insert_delete")
    >>> found.n_changed, found.n_changed_alone
    (47, 59)
    """
    _check(estimator, n_rows)
    alone = certified_radius(estimator, X, attack=attack) < n_rows
    n_splits = n_rows * (2 if attack == "change" else 1)
    targets = _targets(estimator, X, alone)
    touches = _touches(estimator)
    upper, chosen = _solve(targets, touches, n_splits, time_limit)
    greedy = _greedy(targets, touches, n_splits)
    found = max(_changed(targets, touches, one) for one in (chosen, greedy))
    n_changed = min(int(alone.sum()), upper)
    return Bunch(
        n_changed=n_changed,
        n_changed_alone=int(alone.sum()),
        n_changed_found=found,
        is_optimal=n_changed == found,
    )


def _check(estimator, n_rows):
    if not isinstance(estimator, PartitionedClassifier):
        raise TypeError(
            "estimator must be a PartitionedClassifier; got "
            f"{type(estimator).__name__}."
        )
    check_is_fitted(estimator)
    if estimator.aggregation != "vote":
        raise ValueError(
            "collective_bound needs aggregation='vote'; the estimator has "
            f"aggregation={estimator.aggregation!r}."
        )
    if not isinstance(n_rows, Integral) or n_rows < 0:
        raise ValueError(f"n_rows must be a non-negative integer; got {n_rows!r}.")


def _targets(estimator, X, open_rows):
    """Return what each class needs to win each row that may change."""
    _, votes = estimator._votes(X)
    n_classes = len(estimator.classes_)
    counts = count_votes(votes, n_classes)
    winner = counts.argmax(axis=1)
    rows, rivals = np.nonzero(
        open_rows[:, None] & (winner[:, None] != np.arange(n_classes))
    )
    own = winner[rows]
    powers = 1 + (votes[rows] == own[:, None]).astype(int)
    powers -= votes[rows] == rivals[:, None]
    needed = counts[rows, own] - counts[rows, rivals] - (rivals < own) + 1
    return Targets(rows, powers, needed)


def _touches(estimator):
    """Return which splits (columns) each model is trained on."""
    n_models = len(estimator.estimators_)
    moved = shifts(n_models, estimator.spread)
    models = np.repeat(np.arange(n_models), len(moved))
    splits = (models + np.tile(moved, n_models)) % n_models
    ones = np.ones(len(models))
    return sparse.csr_array((ones, (models, splits)), shape=(n_models, n_models))


def _solve(targets, touches, n_splits, time_limit):
    """Maximize the number of rows that change; return a bound and chosen splits.

    Variables: poisoned splits (integer), poisoned models, pairs won (integer).
    """
    n_models, n_pairs = touches.shape[0], len(targets.rows)
    if not n_pairs:
        return 0, np.zeros(n_models)
    rows, of_pairs = np.unique(targets.rows, return_inverse=True)
    of_rows = sparse.csr_array((np.ones(n_pairs), (of_pairs, np.arange(n_pairs))))
    blocks = [
        [np.ones((1, n_models)), None, None],
        [-touches, sparse.eye_array(n_models), None],
        [None, -sparse.csr_array(targets.powers), _diagonal(targets.needed)],
        [None, None, of_rows],
    ]
    limits = np.concatenate(
        [[n_splits], np.zeros(n_models), np.zeros(n_pairs), np.ones(len(rows))]
    )
    gains = np.append(np.zeros(2 * n_models), np.ones(n_pairs))
    whole = np.concatenate([np.ones(n_models), np.zeros(n_models), np.ones(n_pairs)])
    found = milp(
        -gains,
        integrality=whole,
        bounds=Bounds(0.0, 1.0),
        constraints=LinearConstraint(
            sparse.block_array(blocks, format="csc"), ub=limits
        ),
        options={"time_limit": time_limit},
    )
    bound = found.get("mip_dual_bound")
    upper = len(rows) if bound is None else int(np.floor(-bound + 1e-6))
    chosen = np.zeros(n_models) if found.x is None else np.rint(found.x[:n_models])
    return upper, chosen


def _diagonal(values):
    return sparse.diags_array(values.astype(np.float64))


def _greedy(targets, touches, n_splits):
    """Add, one by one, the split that brings the unchanged rows closest to a change."""
    chosen = np.zeros(touches.shape[1])
    for _ in range(min(n_splits, len(chosen))):
        touched = touches @ chosen > 0
        left = targets.needed - targets.powers @ touched
        is_open = left > 0
        worth = (is_open / np.maximum(left, 1)) @ (targets.powers * ~touched)
        gains = np.where(chosen > 0, -1.0, touches.T @ worth)
        chosen[gains.argmax()] = 1.0
    return chosen


def _changed(targets, touches, chosen):
    """Count the rows that change if the models of the chosen splits are controlled."""
    won = targets.powers @ (touches @ chosen > 0) >= targets.needed
    return len(np.unique(targets.rows[won]))
