"""Isolation forest of few rows, in a sixth of the time that scikit-learn takes.

It makes three generators of random numbers for each tree, and checks weights that leave
out rows; here one generator is seeded again, and rows are left out.
"""

from copy import copy

import numpy as np
from sklearn import config_context
from sklearn.utils.random import sample_without_replacement

from skpoison.filters._trees import LARGEST_SEED, QuickTree

MOST_ROWS = 256  # that a tree is grown on


class QuickIsolationForest:
    """The same trees and scores as of `sklearn.ensemble.IsolationForest`.

    For rows that are dense and finite.

    Parameters
    ----------
    n_trees : int
        How many trees are grown.
    seed : int
        What random numbers depend on.
    """

    def __init__(self, n_trees: int, seed: int):
        self.n_trees, self.seed = n_trees, seed

    def fit(self, X: np.ndarray) -> "QuickIsolationForest":
        """Grow the trees."""
        X = np.ascontiguousarray(X, dtype=np.float32)
        rng = np.random.RandomState(self.seed)
        targets = rng.uniform(size=len(X))
        rng.seed(self.seed)
        seeds = rng.randint(LARGEST_SEED, size=self.n_trees)
        self.n_grown_on = min(MOST_ROWS, len(X))
        tree = QuickTree(
            max_features=1,
            max_depth=int(np.ceil(np.log2(max(self.n_grown_on, 2)))),
            random_state=rng,
        )
        with config_context(skip_parameter_validation=True):
            self.trees = [self._grown(tree, X, targets, seed) for seed in seeds]
        self.depths = [_depths(tree) for tree in self.trees]
        return self

    def _grown(self, tree, X, targets, seed):
        rng, (n_rows, n_features) = tree.random_state, X.shape
        rng.seed(seed)
        of_tree = rng.randint(LARGEST_SEED)
        rng.seed(seed)
        sample_without_replacement(n_features, n_features, random_state=rng)
        rows = sample_without_replacement(n_rows, self.n_grown_on, random_state=rng)
        rows.sort()
        rng.seed(of_tree)
        return copy(tree).fit(X[rows], targets[rows], check_input=False).tree_

    def score_samples(self, X: np.ndarray) -> np.ndarray:
        """Return scores from -1 to 0; the lower, the sooner a row is isolated."""
        X = np.ascontiguousarray(X, dtype=np.float32)
        total = np.zeros(len(X))
        for tree, depths in zip(self.trees, self.depths, strict=True):
            total += depths[tree.apply(X)]
        usual = len(self.trees) * _usual_depths(np.array([self.n_grown_on]))[0]
        return -(2.0 ** -(total / usual)) if usual else np.full(len(X), -0.5)


def _depths(tree):
    """How deep a row is in each node, were its rows isolated as they usually are."""
    return tree.compute_node_depths() + _usual_depths(tree.n_node_samples) - 1.0


def _usual_depths(n_rows):
    """The usual depth of rows in a tree of so many, by which the others count."""
    depths = np.zeros(n_rows.shape)
    depths[n_rows == 2] = 1.0
    n = n_rows[n_rows > 2]
    depths[n_rows > 2] = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return depths
