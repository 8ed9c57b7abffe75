"""Weights of the training labels in the predictions of least-squares methods."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg, sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from skpoison._fitted import names_left_out
from skpoison._labels import check_labels
from skpoison.pointwise._flips import radius_in_blocks

AGREEMENT = 1e-5  # relative to the largest score, of an estimator and the formula
# Weights of the training rows in the scores of some of the rows.
Weights = Callable[[Any], np.ndarray]


def ridge_radius(estimator, X, attack, training):
    """Return flip radii of Ridge and RidgeClassifier."""
    flips_only(estimator, attack)
    for name, wanted in (("positive", False), ("class_weight", None)):
        given = getattr(estimator, name, wanted)
        if given != wanted:
            raise ValueError(
                f"attack='flip' needs {name}={wanted}, so that scores are linear in "
                f"the labels; {type(estimator).__name__} has {name}={given!r}."
            )
    X_train, y = required(estimator, training)
    alpha = np.ravel(estimator.alpha)
    if len(alpha) != 1 or alpha[0] <= 0:
        raise ValueError(
            "attack='flip' needs one alpha above 0, so that the solution is unique; "
            f"got alpha={estimator.alpha!r}."
        )
    weights = ridge_weights(X_train, alpha[0], estimator.fit_intercept)
    return _certified(estimator, X, y, weights)


def kernel_ridge_radius(estimator, X, attack, training):
    """Return flip radii of KernelRidge."""
    flips_only(estimator, attack)
    gram = estimator._get_kernel(estimator.X_fit_)
    alpha = np.ravel(estimator.alpha)
    if len(alpha) != 1 or alpha[0] <= 0:
        raise ValueError(
            "attack='flip' needs one alpha above 0, so that the solution is unique; "
            f"got alpha={estimator.alpha!r}."
        )
    gram[np.diag_indices_from(gram)] += alpha[0]
    y = training.y if training.y is not None else np.rint(gram @ estimator.dual_coef_)
    factor = linalg.cho_factor(gram)

    def weights(rows):
        products = estimator._get_kernel(rows, estimator.X_fit_)
        return linalg.cho_solve(factor, products.T).T

    return _certified(estimator, X, y, weights)


def gaussian_process_radius(estimator, X, attack, training):
    """Return flip radii of GaussianProcessRegressor."""
    check_is_fitted(estimator, "X_train_")  # it predicts without being fitted, too
    flips_only(estimator, attack)
    if estimator.optimizer is not None and estimator.kernel_.n_dims:
        raise ValueError(
            "attack='flip' needs a kernel that does not depend on the labels: "
            f"optimizer=None; got optimizer={estimator.optimizer!r}. Use kernel_ of "
            "this fit as kernel= of a new estimator."
        )
    scaled = estimator.y_train_ * estimator._y_train_std + estimator._y_train_mean
    y = training.y if training.y is not None else np.rint(scaled)

    def weights(rows):
        products = estimator.kernel_(rows, estimator.X_train_)
        found = linalg.cho_solve((estimator.L_, True), products.T).T
        if estimator.normalize_y:
            found += (1.0 - found.sum(axis=1, keepdims=True)) / len(scaled)
        return found

    return _certified(estimator, X, y, weights)


def ridge_weights(X_train: Any, alpha: float, fit_intercept: bool) -> Weights:
    """Return the weights of ridge regression, which do not depend on the labels.

    With an intercept they are ``1/n + (x - m) (Xc^T Xc + alpha I)^-1 Xc^T``, where m is
    the mean of the training rows and Xc the rows minus m. Solved in the primal or the
    dual, whichever is smaller.
    """
    n, n_features = X_train.shape
    mean = np.zeros(n_features)
    if fit_intercept:
        mean = np.asarray(X_train.mean(axis=0)).ravel()
    share = 1.0 / n if fit_intercept else 0.0
    if n_features <= n and not sparse.issparse(X_train):
        centered = X_train - mean
        gram = centered.T @ centered
        gram[np.diag_indices_from(gram)] += alpha
        solved = linalg.cho_solve(linalg.cho_factor(gram), centered.T)
        return lambda rows: _products(rows, mean, solved) + share
    gram = _centered_products(X_train, X_train, mean)
    gram[np.diag_indices_from(gram)] += alpha
    factor = linalg.cho_factor(gram)

    def weights(rows):
        products = _centered_products(rows, X_train, mean)
        return linalg.cho_solve(factor, products.T).T + share

    return weights


def _products(rows, mean, solved):
    return np.asarray(rows @ solved) - mean @ solved


def _centered_products(rows, others, mean):
    products = rows @ others.T
    products = products.toarray() if sparse.issparse(products) else products
    return products - (rows @ mean)[:, None] - others @ mean + mean @ mean


def flips_only(estimator: BaseEstimator, attack: str) -> None:
    """Refuse other attacks than label flips."""
    if attack != "flip":
        raise ValueError(
            f"{type(estimator).__name__} is certified for attack='flip' only; got "
            f"attack={attack!r}. PartitionedClassifier covers inserted, deleted and "
            "changed rows."
        )


def required(estimator, training):
    """Return training rows and labels, which the estimator does not keep."""
    for name, value in (("X_train", training.X), ("y_train", training.y)):
        if value is None:
            raise ValueError(
                f"{name} is needed: {type(estimator).__name__} does not keep its "
                "training rows."
            )
    X_train = validate_data(
        estimator, training.X, reset=False, accept_sparse="csr", dtype=np.float64
    )
    check_consistent_length(X_train, training.y)
    return X_train, training.y


def _certified(estimator, X, y, weights):
    """Return the flip radii, after a check that the weights give the same scores."""
    X = validate_data(estimator, X, reset=False, accept_sparse="csr", dtype=np.float64)
    y = check_labels(np.ravel(y))
    classes, codes = np.unique(y, return_inverse=True)
    known = getattr(estimator, "classes_", np.array([-1, 1]))
    if not np.array_equal(classes, known):
        raise ValueError(
            f"y_train must hold the labels {np.asarray(known).tolist()}; got "
            f"{classes.tolist()}."
        )

    def checked(rows):
        found = weights(X[rows])
        _check_agreement(estimator, X[rows], found, codes, len(classes))
        return found

    return radius_in_blocks(checked, X.shape[0], codes, classes)


def _check_agreement(estimator, X, weights, codes, n_classes):
    with names_left_out():
        if hasattr(estimator, "classes_"):
            given = estimator.decision_function(X)
        else:
            given = np.ravel(estimator.predict(X))
    if n_classes == 2:
        own = weights @ (2.0 * codes - 1.0)
    else:
        own = weights @ np.where(codes[:, None] == np.arange(n_classes), 1.0, -1.0)
    away = np.abs(own - given).max(initial=0.0)
    if away > AGREEMENT * max(np.abs(own).max(initial=0.0), 1e-300):
        raise ValueError(
            "X_train and y_train must be the rows that the estimator was fitted on, "
            "without sample_weight, and by a solver that has converged; the scores "
            f"of {type(estimator).__name__} differ by {away:.2g} from those of the "
            "exact solution for these rows."
        )
