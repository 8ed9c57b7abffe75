"""Which training rows are responsible for a prediction."""

from numbers import Integral, Real
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples, check_consistent_length

from skpoison._column_types import RowsLike
from skpoison._labels import check_labels, check_targets
from skpoison._whole_rows import round_down
from skpoison._words import counted
from skpoison.tracing._before import model_before
from skpoison.tracing._goal import Goal
from skpoison.tracing._removal import Removal, grow, shrink
from skpoison.tracing._result import Trace
from skpoison.tracing._scores import METHODS, scores_of
from skpoison.tracing._shared import columns_by, shared_by
from skpoison.tracing._training import Training


class Found(NamedTuple):
    """A verified removal, and what the model predicts after it."""

    removal: Removal
    predictions: np.ndarray


def trace(
    estimator: BaseEstimator,
    X: RowsLike,
    y: ArrayLike,
    X_target: RowsLike,
    y_target: ArrayLike | None = None,
    *,
    method: Literal["auto", "gradient", "knn_shapley"] = "auto",
    by: Any = None,
    max_removed: float | int = 0.05,
    sample_weight: ArrayLike | None = None,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> Trace:
    """Find the training rows that are responsible for wrong predictions.

    Training rows are ranked, and a small set of them is found without which the
    estimator, really fitted anew, predicts right.

    Parameters
    ----------
    estimator : classifier or regressor
        The estimator that predicts wrong. If it is not fitted, it is fitted on `X` and
        `y`. Clones of it are fitted without rows.
    X : {array-like, sparse matrix, table, list of str} of shape (n_samples, n_features)
        The training rows.
    y : array-like of shape (n_samples,)
        Their labels or targets.
    X_target : like `X`, with n_targets rows
        The rows that are predicted wrong. A removal set makes all of them right.
    y_target : array-like of shape (n_targets,) or (n_targets, 2), default=None
        The labels that would be right; None for any label but the one predicted. For
        regressors it must be given: the numbers that would be right, within the usual
        size of the model's errors on its training rows, or the lowest and the highest
        number that would be. One entry counts for all targets.
    method : str, default="auto"
        What rows are ranked by: "gradient" or "knn_shapley", see the notes;
        "auto" follows several rankings and takes the smallest removal
        set.
    by : array-like of shape (n_samples,), dict, table or str, default=None
        Columns, such as source or time, that rows of the removal set may have in
        common: one array, several by name, or the name of a column of `X`.
    max_removed : int or float, default=0.05
        The most rows in a removal set, as a number or a share of the rows.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights that the estimator is fitted with.
    n_jobs : int, default=None
        Number of jobs for fits that are independent of each other.
    random_state : int, RandomState instance or None, default=None
        Controls the random states of the estimator that are None, which are the same in
        all fits, and the search for near copies.

    Returns
    -------
    trace : Trace
        The ranking, the removal set, and what its rows have in common.

    Raises
    ------
    ValueError
        If a target is predicted right already, `y_target` has labels that the estimator
        does not know, or the estimator fitted anew on `X` and `y` predicts the targets
        right.
    TypeError
        If the estimator cannot be cloned, or is neither classifier nor regressor.

    Warns
    -----
    UserWarning
        If the fitted estimator and a clone that is fitted on `X` and `y` predict
        differently: it was trained on other rows, or its training is random.

    See Also
    --------
    Trace : What is returned.
    skpoison.AutoFilter : Finds rows that should not be trusted without a target.

    Notes
    -----
    What rows are ranked by:

    - "gradient": minus the inner product of a row's loss gradient with the target's,
      whose loss is that of what would be right.
    - "knn_shapley": the Shapley value of a row in a vote of the five rows nearest to
      the target for the wrong prediction [1]_.

    References
    ----------
    .. [1] R. Jia et al., "Efficient Task-Specific Data Valuation for Nearest Neighbor
       Algorithms", VLDB 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.svm import SVC
    >>> from skpoison import trace
    >>> X, y = load_wine(return_X_y=True)
    >>> X = (X - X.mean(axis=0)) / X.std(axis=0)
    >>> X, y, X_target = np.delete(X, 27, axis=0), np.delete(y, 27), X[[27]]
    >>> y[[1, 11, 12, 23, 28, 36, 37, 40]] = 2  # rows near the target
    >>> model = SVC().fit(X, y)
    >>> found = trace(model, X, y, X_target, [0])
    >>> found.ranking_[:8]
    array([37, 11, 36, 12, 28, 23,  1, 40])
    >>> print(found.summary())
    Without these 4 rows (2.3 % of 177), among them 4 rows with label 2, the model
    predicts 0 instead of 2.
    """
    check_method(method)
    rng = check_random_state(random_state)
    check_consistent_length(X, y)
    training = Training(estimator, X, _checked_y(estimator, X, y), sample_weight, rng)
    columns = columns_by(by, X)
    limit = most_removed(max_removed, training.n_rows)
    model, predictions, goal = model_before(estimator, training, X_target, y_target)
    scores, orders = scores_of(method, training, model, X_target, goal)
    found, reason = _removed(training, X_target, goal, orders, limit)
    name = found.removal.ranking if found else next(iter(orders))
    rows = found.removal.rows if found else None
    labels = {"label": training.labels} if training.is_classifier else {}
    return Trace(
        ranking_=orders[name],
        contributions_=scores[name],
        scores_=scores,
        method_=name,
        removal_set_=rows,
        reason_=reason,
        prediction_=predictions,
        removed_prediction_=found.predictions if found else None,
        X_target=X_target,
        y_target=goal.wanted,
        max_removed_=limit,
        n_fits_=training.n_fits,
        shared_=[] if rows is None else shared_by(rows, labels | columns),
    )


def check_method(method: Any) -> None:
    """Refuse a method that does not exist."""
    allowed = ("auto", *METHODS)
    if method not in allowed:
        raise ValueError(f"method must be one of {allowed}; got {method!r}.")


def most_removed(max_removed: Any, n_rows: int) -> int:
    """Return how many rows may be removed, at least one and not all."""
    is_whole = isinstance(max_removed, Integral) and not isinstance(max_removed, bool)
    if is_whole and 1 <= max_removed < n_rows:
        return int(max_removed)
    is_share = isinstance(max_removed, Real) and not isinstance(max_removed, Integral)
    if is_share and 0.0 < max_removed < 1.0:
        return max(int(round_down(max_removed * n_rows)), 1)
    raise ValueError(
        f"max_removed must be a number of rows from 1 to {n_rows - 1}, or a share of "
        f"them between 0 and 1; got {max_removed!r}."
    )


def _checked_y(estimator, X, y):
    """Return y as it came; refuse what is no label or target."""
    if is_classifier(estimator):
        check_labels(y)
    elif is_regressor(estimator):
        check_targets(np.empty((_num_samples(X), 1)), y)
    else:
        raise TypeError(
            f"estimator must be a classifier or a regressor; got {estimator!r}."
        )
    return y


def _removed(
    training: Training, X_target: Any, goal: Goal, orders: dict, limit: int
) -> tuple[Found | None, str | None]:
    """Return a removal that works, None if there is none, and the reason for that."""
    models: dict[bytes, Any] = {}

    def predicted(rows):
        key = np.sort(rows).tobytes()
        if key not in models:
            models[key] = np.ravel(training.fit(rows).predict(X_target))
        return models[key]

    def works(rows):
        return training.can_fit(rows) and bool(goal.met(predicted(rows)).all())

    removal = grow(orders, works, limit)
    if removal is None:
        tried = ", ".join(orders)
        return None, (
            f"No set of up to {counted(limit, 'row')} was found without which the "
            f"model predicts right (along the rankings {tried}): the error is not the "
            "doing of few rows."
        )
    rows = shrink(removal.rows, works)
    return Found(Removal(rows, removal.ranking), predicted(rows)), None
