"""KNN-Shapley: what each training row contributes to a vote of nearest neighbors."""

from typing import Any

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances

N_NEIGHBORS = 5
N_ASKED = 10  # neighbors that are asked about a label


def knn_shapley(
    distances: np.ndarray, pushes: np.ndarray, n_neighbors: int = N_NEIGHBORS
) -> np.ndarray:
    """Return the Shapley values of rows in a vote of the rows nearest to a target.

    The value of a set of rows is the sum of the pushes of the `n_neighbors` of them
    that are nearest, divided by `n_neighbors`; a recursion from the farthest row to the
    nearest gives all Shapley values exactly [1]_.

    Parameters
    ----------
    distances, pushes : ndarray of shape (n_rows,)
        Of each row, the distance from the target, and what it contributes to the vote.
    n_neighbors : int
        The number of votes.

    Returns
    -------
    values : ndarray of shape (n_rows,)
        The Shapley value of each row.

    References
    ----------
    .. [1] R. Jia et al., "Efficient Task-Specific Data Valuation for Nearest Neighbor
       Algorithms", VLDB 2019, theorem 1.
    """
    n_rows = len(distances)
    order = np.argsort(distances, kind="stable")
    nearest_first = pushes[order]
    place = np.arange(1, n_rows)
    shares = np.minimum(n_neighbors, place) / (n_neighbors * place)
    steps = (nearest_first[:-1] - nearest_first[1:]) * shares
    last = nearest_first[-1] * min(n_neighbors, n_rows) / (n_neighbors * n_rows)
    values = np.empty(n_rows)
    values[order] = np.cumsum(np.append(last, steps[::-1]))[::-1]
    return values


def distances_to(rows: Any, targets: Any) -> np.ndarray:
    """Return distances of rows from targets, of shape (n_rows, n_targets)."""
    return euclidean_distances(rows, targets)


def share_of_others(rows: Any, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return the share of the nearest neighbors of some rows with another label."""
    distances = euclidean_distances(rows[asked], rows)
    distances[np.arange(len(asked)), asked] = np.inf
    n_asked = min(N_ASKED, len(labels) - 1)
    near = np.argpartition(distances, n_asked - 1, axis=1)[:, :n_asked]
    return np.mean(labels[near] != labels[asked][:, np.newaxis], axis=1)
