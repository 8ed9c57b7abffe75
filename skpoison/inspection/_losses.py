"""The losses that a picture of the bound shows beside the bound itself."""

from collections.abc import Mapping

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import column_or_1d, validate_data

from skpoison._defaults import default_filter
from skpoison._labels import encode_labels
from skpoison.losses import Hinge


def with_percentiles(estimator, percentiles):
    """Return a bound for each percentile, by name.

    Parameters
    ----------
    estimator : CertifiedBound
        The bound to vary.
    percentiles : array-like of float or None
        Percentiles for every part of the filter that has one; None leaves it as it is.

    Returns
    -------
    bounds : dict
        Names and unfitted bounds; the name is None where nothing varies.

    Raises
    ------
    ValueError
        If there is no percentile, or the filter has none.
    """
    if percentiles is None:
        return {None: estimator}
    percentiles = np.unique(np.asarray(percentiles, dtype=np.float64))
    if not len(percentiles):
        raise ValueError("percentiles must hold at least one percentile; got none.")
    return {f"percentile {p:g}": _with_percentile(estimator, p) for p in percentiles}


def _with_percentile(estimator, percentile):
    bound = clone(estimator)
    if bound.filter is None:
        bound.filter = default_filter()
    params = bound.filter.get_params()
    # Radii that are given leave a percentile without effect.
    names = [
        name
        for name in params
        if (name == "percentile" or name.endswith("__percentile"))
        and params.get(name.removesuffix("percentile") + "radii") is None
    ]
    if not names:
        raise ValueError(
            f"percentiles were given, but the filter {bound.filter!r} has none to set."
        )
    bound.filter.set_params(**dict.fromkeys(names, float(percentile)))
    return bound


def by_name(curve):
    """Return curves by name; a single curve's name is None.

    Parameters
    ----------
    curve : Bunch or dict of str to Bunch
        One curve or several.

    Returns
    -------
    curves : dict
        Names and curves.

    Raises
    ------
    TypeError
        If something else was given.
    """
    curves = {None: curve} if "estimators" in curve else dict(curve)
    wrong = [
        name
        for name, found in curves.items()
        if not (isinstance(found, Mapping) and "estimators" in found)
    ]
    if wrong or not curves:
        raise TypeError(
            "curve must be what bound_curve returns, or a dict of names and such "
            f"curves; there is none under {wrong}."
        )
    return curves


def check_test_rows(X_test, y_test):
    """Refuse test rows without labels, and labels without rows."""
    if (X_test is None) != (y_test is None):
        given, missing = (
            ("y_test", "X_test") if X_test is None else ("X_test", "y_test")
        )
        raise ValueError(f"{given} was given without {missing}.")
    if X_test is not None:
        check_consistent_length(X_test, y_test)


def mean_hinge(X, y, bound, coef, intercept):
    """Return the mean hinge loss of linear scores.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,)
        Their labels.
    bound : CertifiedBound
        Knows the labels: the second of its `classes_` is the positive one.
    coef : ndarray of shape (1, n_features)
        Weights.
    intercept : ndarray of shape (1,)
        Intercept.

    Returns
    -------
    loss : float
        The mean.
    """
    X = validate_data(
        bound, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32]
    )
    codes = encode_labels(column_or_1d(y), bound.classes_, whose="the bound")
    signs = 2.0 * codes - 1.0
    scores = X @ coef[0] + intercept[0]
    return float(Hinge().value(signs * np.asarray(scores)).mean())


def attack_test_losses(curve, X_test, y_test):
    """Return the test loss of each poisoned learner on a curve.

    Parameters
    ----------
    curve : Bunch
        What ``bound_curve`` returned.
    X_test : {array-like, sparse matrix} of shape (n_test, n_features)
        Test rows.
    y_test : array-like of shape (n_test,)
        Their labels.

    Returns
    -------
    losses : ndarray of shape (n_epsilons,)
        Mean hinge losses.
    """
    return np.array(
        [
            mean_hinge(
                X_test, y_test, bound, bound.poisoned_coef_, bound.poisoned_intercept_
            )
            for bound in curve["estimators"]
        ]
    )


def without_attack(bound, X, y):
    """Fit the learner of a fitted bound to rows that nobody poisons.

    Parameters
    ----------
    bound : CertifiedBound
        The fitted bound.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,)
        Their labels.

    Returns
    -------
    learner : CertifiedBound
        A bound with ``epsilon=0``: the learner, trained on these rows.
    """
    learner = clone(bound).set_callbacks()
    # Without poison the filter plays no part; frozen, it is not measured again.
    frozen = FrozenEstimator(bound.filter_)
    return learner.set_params(filter=frozen, epsilon=0.0, max_iter=None).fit(X, y)


def filtered_loss(bound, X, y):
    """Return what a filter costs: the loss on all rows after training on the kept ones.

    Parameters
    ----------
    bound : CertifiedBound
        A bound fitted to these rows.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Clean rows.
    y : array-like of shape (n_samples,)
        Their labels.

    Returns
    -------
    loss : float
        Mean hinge loss of all rows.
    """
    kept = np.flatnonzero(bound.filter_.inlier_mask_)
    learner = without_attack(bound, _safe_indexing(X, kept), _safe_indexing(y, kept))
    return mean_hinge(X, y, learner, learner.coef_, learner.intercept_)
