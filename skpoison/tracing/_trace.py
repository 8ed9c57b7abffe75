"""Which training rows are responsible for a prediction."""

from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.utils import check_random_state
from sklearn.utils.validation import _num_samples, check_consistent_length

from skpoison._column_types import RowsLike
from skpoison._labels import check_labels, check_targets
from skpoison._whole_rows import round_down
from skpoison.tracing._before import model_before
from skpoison.tracing._calibration import p_value
from skpoison.tracing._columns import columns_by
from skpoison.tracing._groups import groups_by
from skpoison.tracing._networks import is_network
from skpoison.tracing._odds import chances
from skpoison.tracing._removal import set_first
from skpoison.tracing._result import Trace
from skpoison.tracing._scores import METHODS, Evidence
from skpoison.tracing._search import around_at_most, find_rows
from skpoison.tracing._shared import shared_by
from skpoison.tracing._targets import check_target_rows
from skpoison.tracing._training import Training, check_can_fit
from skpoison.tracing._verify import Verifier


def trace(
    estimator: BaseEstimator,
    X: RowsLike,
    y: ArrayLike,
    X_target: RowsLike,
    y_target: ArrayLike | None = None,
    *,
    method: Literal["auto", "gradient", "influence", "knn_shapley", "retrain"] = "auto",
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
        `y`. Clones of it are fitted without rows. It may be a skorch net; see the
        notes.
    X : {array-like, sparse matrix, table, list of str} of shape (n_samples, n_features)
        The training rows.
    y : array-like of shape (n_samples,)
        Their labels or targets.
    X_target : like `X`, with n_targets rows
        The rows that are predicted wrong. A removal set makes all of them right.
    y_target : array-like of shape (n_targets,) or (n_targets, 2), default=None
        The labels that would be right; None for any label but the one predicted. For
        regressors it must be given: the numbers that would be right, within the usual
        size of errors on rows that a model has not seen (of nets, on training rows), or
        the lowest and the highest number that would be. One entry counts for all
        targets.
    method : str, default="auto"
        What rows are ranked by: "gradient", "influence", "knn_shapley" or "retrain",
        see the notes; "auto" follows several rankings and takes the smallest removal
        set.
    by : array-like of shape (n_samples,), dict, table or str, default=None
        Columns, such as source or time, that rows of the removal set may have in
        common: one array, several by name, or the name of a column of `X`. Of numbers
        and times with more than 20 distinct values, also ten ranges are tried.
        Besides, the estimator is fitted without all rows of a value, once for each of
        up to 20 values that several of the rows blamed most have (nets: 5).
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
        If `X_target` is not rows like those of `X`, a target is predicted right
        already, `y_target` has labels that the estimator does not know, or the
        estimator fitted anew on `X` and `y` predicts the targets right.
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

    - "knn_shapley": the Shapley value of a row in a vote of the five rows nearest to
      the target for the wrong prediction [1]_.
    - "gradient": minus the inner product of a row's loss gradient with the gradient of
      what would be right for the target, as in [2]_: exact for linear models, for
      others that of a linear layer on top of the rows with the model's probabilities.
    - "influence": by how much the margin of the wrong prediction falls when the row is
      left out, for linear models with smooth losses (the hinge loss is smoothed): a
      Newton step with the Hessian of what is left [3]_. Exact for ridge regression and
      classification; without a row's share in the Hessian where that is not formed
      (sparse rows, softmax).
    - "retrain": the same by fits without groups of near copies, those that the others
      blame most; rows of other groups get 0.

    "auto" first asks whether the rows nearest to a target, which all agree on the wrong
    prediction, are at its root: if a model that is fitted without them predicts right,
    and contradicts at least half of them, they are blamed, by the loss that this model
    gives them ("around" in `scores_`; other rows that push to the wrong side follow, by
    this loss and their nearness). Otherwise "gradient" ranks the rows if those that it
    ranks first are among the nearest tenth. Otherwise the error is not a matter of rows
    near by, and rows are ranked by the loss that models fitted without them give them,
    among those whose gradient is against what is right, times the share of their ten
    nearest neighbors that have another label ("loss"). The removal set is the one that
    this ranking leads to, unless another one leads to one of half the size.

    Nets have "gradient", that of the last layer at checkpoints of the training with the
    errors of rows left out; "knn_shapley", by the features of the last layer; and
    "retrain". A removal set of a net is verified in several trainings, and must do what
    as many random rows of the same labels do not.

    Removal sets are beginnings of rankings. Of linear models, Newton steps predict how
    many rows are needed (without fits, for ridge without a pipeline); fits then narrow
    it down, by how far they leave the targets on the wrong side. Rows that are not
    needed are dropped, in blocks. Every set is verified by a fit.

    References
    ----------
    .. [1] R. Jia et al., "Efficient Task-Specific Data Valuation for Nearest Neighbor
       Algorithms", VLDB 2019.
    .. [2] Y. Yang, T. Y. Liu and B. Mirzasoleiman, "Not All Poisons are Created Equal:
       Robust Training against Data Poisoning", ICML 2022 (effective poison is near the
       target in the space of gradients).
    .. [3] P. W. Koh and P. Liang, "Understanding Black-box Predictions via Influence
       Functions", ICML 2017; J. Yang et al., "How Many and Which Training Points Would
       Need to be Removed to Flip this Prediction?", EACL 2023.

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
    >>> found = trace(model, X, y, X_target, [0], random_state=0)
    >>> found.ranking_[:8]
    array([23, 37,  1, 36, 28, 12, 40, 11])
    >>> print(found.summary())
    Without these 4 rows (2.3 % of 177), all with label 2, the model predicts 0
    instead of 2, and contradicts all of them. Of the model's other errors, 9.1 % look
    the same.
    """
    check_method(method)
    check_can_fit(estimator)
    rng = check_random_state(random_state)
    check_consistent_length(X, y)
    check_target_rows(X, X_target)
    if _num_samples(X) < 2:
        raise ValueError(f"X must have at least 2 rows; got {_num_samples(X)}.")
    if is_network(estimator):
        from skpoison.neural._trace import trace_net  # torch is there, with the net

        return trace_net(
            estimator,
            X,
            y,
            X_target,
            y_target,
            sample_weight=sample_weight,
            method=method,
            columns=columns_by(by, X),
            limit=most_removed(max_removed, _num_samples(X)),
            n_jobs=n_jobs,
            random_state=rng,
        )
    training = Training(estimator, X, _checked_y(estimator, X, y), sample_weight, rng)
    columns = columns_by(by, X)
    limit = most_removed(max_removed, training.n_rows)
    model, predictions, goal = model_before(
        estimator, training, X_target, y_target, rng, n_jobs
    )
    evidence = Evidence(training, model, X_target, goal, rng, n_jobs)
    verifier = Verifier(training, X_target, goal, model)
    outcome = find_rows(method, evidence, verifier, limit)
    order = evidence.order(outcome.blamed_by)
    rows = None
    if outcome.removal is not None:
        rows = order[np.isin(order, outcome.removal.rows)]
    p = None
    if method == "auto" and rows is not None:
        p = p_value(outcome.core, evidence, around_at_most(training.n_rows))
    blamed = order[:limit]
    return Trace(
        ranking_=set_first(order, rows),
        contributions_=evidence.scores(outcome.blamed_by),
        scores_=evidence.by_method,
        method_=outcome.removal.ranking if outcome.removal else outcome.blamed_by,
        removal_set_=rows,
        reason_=outcome.reason,
        prediction_=predictions,
        removed_prediction_=None if rows is None else verifier.predicted(rows),
        X_target=X_target,
        y_target=goal.wanted,
        tolerance_=getattr(goal, "tolerance", None),
        max_removed_=limit,
        probability_=chances(model, X_target, goal),
        removed_probability_=(
            None
            if rows is None
            else chances(verifier.model_without(rows), X_target, goal)
        ),
        shared_=shared_by(
            blamed if rows is None else rows, evidence, verifier, columns
        ),
        groups_=groups_by(blamed, verifier, columns),
        n_fits_=training.n_fits,
        p_value_=p,
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
