"""How many training rows must be poisoned to change a prediction, by estimator."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.neighbors import (
    KNeighborsClassifier,
    NearestCentroid,
    RadiusNeighborsClassifier,
)
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skpoison._column_types import RowsLike
from skpoison.bounds import NormConstrainedSVC
from skpoison.meta import FilteredClassifier
from skpoison.pointwise._linear_in_labels import (
    gaussian_process_radius,
    kernel_ridge_radius,
    ridge_radius,
)
from skpoison.pointwise._nearest_centroid import nearest_centroid_radius
from skpoison.pointwise._neighbors import neighbors_radius
from skpoison.pointwise._partitioned import PartitionedClassifier
from skpoison.pointwise._radius_neighbors import radius_neighbors_radius
from skpoison.pointwise._stability import stable_radius
from skpoison.pointwise._two_means import TwoMeansClassifier, two_means_radius

ATTACKS = ("insert_delete", "change", "flip")


class TrainingRows(NamedTuple):
    """Training rows and the fixed filter that they passed; None if not given."""

    X: Any
    y: Any
    filter: Any


def certified_radius(
    estimator: BaseEstimator,
    X: RowsLike,
    *,
    attack: Literal["insert_delete", "change", "flip"] | None = None,
    X_train: RowsLike | None = None,
    y_train: ArrayLike | None = None,
    filter: BaseEstimator | None = None,
) -> np.ndarray:
    """Return how many training rows can be poisoned without changing each prediction.

    If an attacker inserts, deletes, changes or relabels at most that many training
    rows, in any way, the estimator fitted on the result predicts the same label.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of one of the kinds listed in Notes.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows whose predictions are to be certified.
    attack : {"insert_delete", "change", "flip"}
        What the radius counts. "insert_delete": insertions and deletions of one row.
        "change": replacements of one row by any other row with any label; for
        :class:`PartitionedClassifier` each counts like two of the former, since the row
        leaves one part and enters another. "flip": replacements of the label of one row
        by another label.
    X_train, y_train : array-likes, default=None
        The rows and labels that the estimator was fitted on; needed if the estimator
        does not store what the certificate requires.
    filter : filter, default=None
        Fitted filter that every training row passes, whose centroids and radii the
        attacker cannot change. It limits which rows can be inserted.

    Returns
    -------
    radius : ndarray of shape (n_samples,), int
        Numbers of rows. 0 means that nothing is certified.

    Raises
    ------
    ValueError
        If the estimator's parameters or the given rows do not allow a certificate
        against this attack.
    TypeError
        If there is no certificate for this estimator.

    See Also
    --------
    certified_accuracy : Share of predictions that are correct and certified.
    skpoison.inspection.CertifiedAccuracyDisplay : Plot of this share.

    Notes
    -----
    Certificates by estimator:

    - :class:`PartitionedClassifier`: all attacks (with ``hash="rank"``, "flip").
    - :class:`~sklearn.linear_model.RidgeClassifier`,
      :class:`~sklearn.linear_model.Ridge`,
      :class:`~sklearn.kernel_ridge.KernelRidge`,
      :class:`~sklearn.gaussian_process.GaussianProcessRegressor` with
      ``optimizer=None``, :class:`TwoMeansClassifier`: "flip", exactly: one flip more
      can change the prediction. Regressors must have been fitted on labels -1 and 1,
      and the prediction is the sign. :func:`flip_radius` does the same for methods
      whose weights you have.
    - :class:`~sklearn.neighbors.NearestCentroid` with Euclidean distances, two classes
      and without shrinking: "flip"; needs `X_train` and `y_train`. Flips change the
      sizes of the classes, which is bounded: where a small share of the labels is
      flipped, a flip or two more than the radius change the prediction.
    - :class:`~sklearn.neighbors.KNeighborsClassifier`: all attacks; with other than
      uniform weights, "flip". Exact where no two training rows are equally far from the
      row, and none at its very place; otherwise all orders of such rows are covered.
      A replaced row counts once.
    - :class:`~sklearn.neighbors.RadiusNeighborsClassifier`: all attacks; with other
      than uniform weights, "flip". Exact where no training row is at the very radius,
      and `outlier_label` is a given one.
    - :class:`~sklearn.linear_model.LogisticRegression` that penalizes its intercept
      (``solver="liblinear"``) or has none, :class:`~sklearn.svm.LinearSVC`,
      :class:`~sklearn.linear_model.SGDClassifier` with the squared penalty and
      ``fit_intercept=False``, :class:`NormConstrainedSVC` whose ball limits it: all
      attacks, two classes; needs `X_train` and `y_train` and, but for "flip", a
      `filter` that inserted rows must pass.
      The radius is that of the exact minimizer, less room for solvers' errors: how far
      this estimator is from the minimum is computed from its rows, and the one fitted
      after the attack must be as exact. :func:`skpoison.bounds.training_gap` tells.
    - :class:`FilteredClassifier` with given centroids and radii: as its estimator,
      against rows that the filter keeps, but for "flip".
    - :class:`~sklearn.pipeline.Pipeline`: as its last step, if the steps before it are
      frozen or, for "flip", do not look at labels (`X_train` shows it).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skpoison import PartitionedClassifier, certified_radius
    >>> X, y = load_iris(return_X_y=True)
    >>> model = PartitionedClassifier(GaussianNB(), n_partitions=10).fit(X, y)
    >>> certified_radius(model, X[::30], attack="insert_delete")
    array([3, 3, 4, 4, 3])
    """
    if attack not in ATTACKS:  # None included: the threat is never guessed
        raise ValueError(f"attack must be one of {ATTACKS}; got {attack!r}.")
    check_is_fitted(estimator)
    certify = _certificate_for(estimator)
    return certify(estimator, X, attack, TrainingRows(X_train, y_train, filter))


def _partitioned(estimator, X, attack, training):
    return estimator._certified_radius(X, attack)


def _pipeline(estimator, X, attack, training):
    """Certify the last step, after steps that the attacker cannot influence."""
    before, last = estimator[:-1], estimator[-1]
    if len(estimator) > 1:
        _check_out_of_reach(before, attack, training)
        X = before.transform(X)
        X_train = None if training.X is None else before.transform(training.X)
        training = training._replace(X=X_train)
    return _certificate_for(last)(last, X, attack, training)


def _filtered(estimator, X, attack, training):
    """Certify the estimator after a filter that the attacker cannot influence."""
    if attack == "flip":
        raise ValueError(
            "attack='flip' is not covered after a filter, which uses the labels; use "
            "attack='insert_delete', where a flip counts like two moves."
        )
    if not _is_fixed(estimator.filter_):
        raise ValueError(
            "filter must be fixed: pass centroids= and radii= from trusted rows. Got "
            f"{estimator.filter!r}, which poison rows can change."
        )
    if training.X is None or training.y is None:
        raise ValueError("X_train and y_train are needed, to find the rows kept.")
    kept = np.flatnonzero(estimator.inlier_mask_)
    y = _safe_indexing(training.y, kept)
    inner = TrainingRows(_safe_indexing(training.X, kept), y, estimator.filter_)
    fitted = estimator.estimator_
    radius = _certificate_for(fitted)(fitted, X, attack, inner)
    # If all rows of a class are rejected, the best one is kept, whichever that is.
    fewest = np.unique(np.asarray(y), return_counts=True)[1].min()
    return np.minimum(radius, fewest - 1)


def _is_fixed(filter_):
    members = getattr(filter_, "filters_", None)
    if members is not None:
        return all(map(_is_fixed, members))
    given = [getattr(filter_, name, None) for name in ("centroids", "radii")]
    return all(value is not None for value in given)


def _check_out_of_reach(before, attack, training):
    """Raise an error for steps that are fitted to what the attacker can change."""
    advice = (
        "Fit it on trusted rows and freeze it (FrozenEstimator), or wrap the pipeline "
        "in a PartitionedClassifier."
    )
    fitted = [
        name
        for name, step in before.steps
        if step not in (None, "passthrough") and not isinstance(step, FrozenEstimator)
    ]
    if not fitted:
        return
    if attack != "flip":
        raise ValueError(
            f"The step {fitted[0]!r} is fitted on rows that attack={attack!r} can "
            f"change. {advice}"
        )
    if training.X is None:
        raise ValueError(
            f"X_train is needed, to check that the step {fitted[0]!r} does not depend "
            "on labels."
        )
    if not _is_blind(before, training.X):
        raise ValueError(
            f"Steps before the last one ({', '.join(fitted)}) depend on the labels or "
            f"are random: fitted on X_train without labels, they differ. {advice}"
        )


def _is_blind(before, X_train):
    """Whether steps are fitted the same without labels."""
    try:
        again = clone(before).fit(X_train).transform(X_train)
    except (TypeError, ValueError):  # a step that requires labels
        return False
    away = again - before.transform(X_train)
    return bool(abs(away).max() <= 1e-9 * max(abs(again).max(), 1e-300))


CERTIFICATES: dict[type, Callable] = {
    PartitionedClassifier: _partitioned,
    Pipeline: _pipeline,
    FilteredClassifier: _filtered,
    RidgeClassifier: ridge_radius,
    Ridge: ridge_radius,
    KernelRidge: kernel_ridge_radius,
    GaussianProcessRegressor: gaussian_process_radius,
    TwoMeansClassifier: two_means_radius,
    NearestCentroid: nearest_centroid_radius,
    KNeighborsClassifier: neighbors_radius,
    RadiusNeighborsClassifier: radius_neighbors_radius,
    LogisticRegression: stable_radius,
    LinearSVC: stable_radius,
    SGDClassifier: stable_radius,
    NormConstrainedSVC: stable_radius,
}


def _certificate_for(estimator):
    for kind, certify in CERTIFICATES.items():
        if isinstance(estimator, kind):
            return certify
    raise TypeError(
        f"There is no certificate for {type(estimator).__name__}, only for "
        f"{', '.join(kind.__name__ for kind in CERTIFICATES)}. "
        "PartitionedClassifier(estimator) can be certified for any classifier."
    )


def certified_accuracy(
    radii: ArrayLike,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    at: ArrayLike,
    *,
    balanced: bool = False,
) -> float | np.ndarray:
    """Return the share of predictions that are correct and certified.

    Parameters
    ----------
    radii : array-like of shape (n_samples,)
        Radii returned by :func:`certified_radius`.
    y_true, y_pred : array-like of shape (n_samples,)
        True labels, and predictions of the estimator that was certified.
    at : int or array-like of int
        Numbers of rows that an attacker can poison.
    balanced : bool, default=False
        Whether to average the shares of the classes, as
        :func:`~sklearn.metrics.balanced_accuracy_score` does. A model that always
        predicts the most frequent class has large radii, and without balancing its
        certified accuracy is the share of that class.

    Returns
    -------
    accuracy : float or ndarray of the shape of `at`
        Share of the rows that are predicted correctly with a radius of at least `at`.

    Raises
    ------
    ValueError
        If lengths differ, there are no rows, or `at` or a radius is negative.

    Examples
    --------
    >>> from skpoison.pointwise import certified_accuracy
    >>> radii, y_true, y_pred = [5, 0, 3, 9], [0, 0, 0, 1], [0, 0, 0, 0]
    >>> certified_accuracy(radii, y_true, y_pred, [0, 1, 5])
    array([0.75, 0.5 , 0.25])
    >>> round(certified_accuracy(radii, y_true, y_pred, 1, balanced=True), 3)
    0.333
    """
    radii = column_or_1d(radii)
    y_true, y_pred = column_or_1d(y_true), column_or_1d(y_pred)
    check_consistent_length(radii, y_true, y_pred)
    budgets = np.asarray(at)
    for name, values in (("radii", radii), ("at", budgets)):
        if np.any(values < 0) or np.any(np.isnan(values)):
            raise ValueError(f"{name} must not be negative or NaN; got {values!r}.")
    if not len(radii):
        raise ValueError("radii must hold at least one number; got none.")
    holds = (y_true == y_pred) & (radii >= budgets[..., None])
    if not balanced:
        shares = holds.mean(axis=-1)
    else:
        classes = np.unique(y_true)
        shares = np.mean([holds[..., y_true == c].mean(axis=-1) for c in classes], 0)
    return float(shares) if budgets.ndim == 0 else shares
