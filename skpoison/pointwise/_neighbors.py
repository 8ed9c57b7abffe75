"""How many training rows must be poisoned to change a vote of nearest neighbors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import validate_data

from skpoison._fitted import names_left_out
from skpoison.pointwise._flips import radius_in_blocks

TIED = 1e-9  # relative difference of distances that rounding errors could reverse
BLOCK = 2_000  # test rows at a time


def neighbors_radius(estimator, X, attack, training):
    """Return radii of KNeighborsClassifier."""
    X = validate_data(estimator, X, reset=False, accept_sparse="csr")
    check_votes(estimator, attack)
    if attack == "flip":
        with names_left_out():
            return _flip_radius(estimator, X)
    starts = range(0, X.shape[0], BLOCK)
    with names_left_out():
        blocks = [_moves_radius(estimator, X[i : i + BLOCK], attack) for i in starts]
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.intp)


def check_votes(estimator: BaseEstimator, attack: str) -> None:
    """Refuse several labels a row, and weights that one inserted row can dominate."""
    if getattr(estimator, "outputs_2d_", False):
        raise ValueError(
            f"certified_radius needs one label for each row; "
            f"{type(estimator).__name__} was fitted on several."
        )
    if attack != "flip" and estimator.weights != "uniform":
        raise ValueError(
            f"attack={attack!r} needs weights='uniform'; got "
            f"weights={estimator.weights!r}. A row inserted at the position of a test "
            "row can outweigh all others."
        )


def _flip_radius(estimator: KNeighborsClassifier, X: Any) -> np.ndarray:
    """Flips among the neighbors, which themselves depend on no label."""
    codes = np.asarray(estimator._y)

    def weights(rows):
        distances, places = estimator.kneighbors(X[rows])
        found = np.zeros((len(places), len(codes)))
        np.put_along_axis(found, places, neighbor_weights(estimator, distances), axis=1)
        return found

    return radius_in_blocks(weights, X.shape[0], codes, estimator.classes_)


def neighbor_weights(estimator: BaseEstimator, distances: np.ndarray) -> np.ndarray:
    """Return the weights of neighbors at distances, (n_rows, n_neighbors)."""
    if estimator.weights == "uniform":
        return np.ones_like(distances)
    if callable(estimator.weights):
        return np.asarray(estimator.weights(distances), dtype=np.float64)
    with np.errstate(divide="ignore"):
        weights = 1.0 / distances
    at_zero = np.isinf(weights)
    return np.where(at_zero.any(axis=1, keepdims=True), at_zero, weights)


def _moves_radius(estimator, X, attack):
    """Rows inserted at the position of the test row, and neighbors deleted."""
    k, codes = estimator.n_neighbors, np.asarray(estimator._y)
    n_classes = len(estimator.classes_)
    # One more than can vote shows whether further rows are as near as the last ones.
    n_seen = min(2 * k + 1, len(codes))
    distances, places = estimator.kneighbors(X, n_neighbors=n_seen)
    winner = np.searchsorted(estimator.classes_, estimator.predict(X))
    radius = np.full(len(winner), min(k, len(codes) - k))
    groups = _groups_of_ties(distances)
    is_open = (groups == groups[:, -1:]) & (n_seen < len(codes))
    for c in range(n_classes):
        rows = np.flatnonzero(winner == c)
        for rival in set(range(n_classes)) - {c}:
            labels = np.where(is_open[rows], rival, codes[places[rows]])
            labels = _worst_order(labels, groups[rows], c, rival)
            radii = _radius_against(labels, c, rival, k, attack)
            radius[rows] = np.minimum(radius[rows], radii)
    return radius


def _groups_of_ties(distances):
    """Number the groups of equally distant rows from the nearest outwards."""
    gaps = np.diff(distances, axis=1) > TIED * distances[:, 1:]
    return np.pad(np.cumsum(gaps, axis=1), ((0, 0), (1, 0)))


def _worst_order(labels, groups, winner, rival):
    """Sort rows by distance, and equally distant ones in the rival's favor."""
    order = np.lexsort((_harm(labels, winner, rival), groups), axis=1)
    return np.take_along_axis(labels, order, axis=1)


def _harm(labels, winner, rival):
    return np.where(labels == rival, 0, np.where(labels == winner, 2, 1))


def _radius_against(labels, winner, rival, k, attack):
    """Return how many moves leave the winner ahead of one rival.

    With i rows of the rival inserted and j neighbors deleted, the nearest k - i + j
    rows count, less j of the winner's.
    """
    n_rows, n_seen = labels.shape
    own = np.pad(np.cumsum(labels == winner, axis=1), ((0, 0), (1, 0)))
    others = np.pad(np.cumsum(labels == rival, axis=1), ((0, 0), (1, 0)))
    needed = int(rival < winner)
    radius = np.full(n_rows, -1)
    for budget in range(k + 1):
        gap = np.full(n_rows, k + 1)
        for inserted, deleted in _moves(budget, attack):
            seen = k - inserted + deleted
            if 0 <= k - inserted and seen <= n_seen:
                left = np.maximum(own[:, seen] - deleted, 0)
                gap = np.minimum(gap, left - others[:, seen] - inserted)
        holds = (gap >= needed) & (radius == budget - 1)
        radius[holds] = budget
    return np.maximum(radius, 0)


def _moves(budget: int, attack: str) -> Iterator[tuple[int, int]]:
    """Yield the numbers of insertions and deletions that a budget allows."""
    for inserted in range(budget + 1):
        if attack == "insert_delete":
            yield inserted, budget - inserted
        else:
            yield from ((inserted, deleted) for deleted in range(budget + 1))
