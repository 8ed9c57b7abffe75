"""How many training rows it takes to change the vote of all rows within a radius."""

from typing import Any

import numpy as np
from sklearn.neighbors import RadiusNeighborsClassifier
from sklearn.utils.validation import validate_data

from skpoison._fitted import names_left_out
from skpoison._labels import find_labels
from skpoison.pointwise._flips import flip_radius, radius_in_blocks
from skpoison.pointwise._neighbors import TIED, check_votes, neighbor_weights


def radius_neighbors_radius(estimator, X, attack, training):
    """Return radii of RadiusNeighborsClassifier."""
    X = validate_data(estimator, X, reset=False, accept_sparse="csr")
    check_votes(estimator, attack)
    with names_left_out():
        if attack == "flip":
            return _flip_radius(estimator, X)
        predicted = estimator.predict(X)
        return _moves_radius(estimator, X, predicted, attack)


def _flip_radius(estimator: RadiusNeighborsClassifier, X: Any) -> np.ndarray:
    codes = np.asarray(estimator._y)
    estimator.predict(X)  # refuses rows without neighbors, unless there is a label
    is_alone = np.zeros(X.shape[0], dtype=bool)

    def weights(rows):
        distances, places = estimator.radius_neighbors(X[rows])
        is_alone[rows] = [len(found) == 0 for found in places]
        found = np.zeros((len(places), len(codes)))
        for i, (near, where) in enumerate(zip(distances, places, strict=True)):
            if len(near):
                found[i, where] = neighbor_weights(estimator, near[None])[0]
        return found

    radius = radius_in_blocks(weights, X.shape[0], codes, estimator.classes_)
    radius[is_alone] = len(codes)
    if estimator.outlier_label == "most_frequent":
        radius[is_alone] = flip_radius(np.ones((1, len(codes))), codes)[0]
    return radius


def _moves_radius(estimator, X, predicted, attack):
    """Return how many moves can be made: each takes a vote, and a change gives one."""
    sure, possible = _counts(estimator, X)
    classes, rows = estimator.classes_, np.arange(len(predicted))
    winner = np.maximum(find_labels(predicted, classes), 0)
    gaps = sure[rows, winner][:, None] - possible
    gaps -= np.arange(len(classes)) < winner[:, None]
    gaps[rows, winner] = gaps.max(axis=1, initial=0) + sure.sum(axis=1)
    radius = gaps.min(axis=1) // (2 if attack == "change" else 1)
    # Without neighbors, a label is given, or none; where it is the same, no matter.
    n_sure = sure.sum(axis=1)
    stays = np.zeros(len(predicted), dtype=bool)
    if not _is_estimated(estimator.outlier_label):
        stays = predicted == estimator.outlier_label
    radius = np.where(stays, radius, np.minimum(radius, n_sure - 1))
    return np.where(n_sure > 0, np.maximum(radius, 0), 0).astype(np.intp)


def _is_estimated(label):
    return label is None or (isinstance(label, str) and label == "most_frequent")


def _counts(estimator, X):
    """Count neighbors by class: those within the radius beyond doubt, and possibly."""
    codes = np.asarray(estimator._y)
    limit, n_classes = estimator.radius, len(estimator.classes_)
    distances, places = estimator.radius_neighbors(X, radius=limit * (1.0 + TIED))
    sure, possible = np.zeros((2, len(places), n_classes), dtype=np.intp)
    for i, (near, where) in enumerate(zip(distances, places, strict=True)):
        possible[i] = np.bincount(codes[where], minlength=n_classes)
        inside = where[near <= limit * (1.0 - TIED)]
        sure[i] = np.bincount(codes[inside], minlength=n_classes)
    return sure, possible
