"""Forests of randomized trees that are fitted many times, on few rows.

For a few hundred rows scikit-learn spends more time on the preparation of each tree
than on the tree. It clones the estimator and sets its parameters by their names, looks
at the labels again, seeds a generator and asks joblib, a hundred times for each forest.
"""

from copy import copy, deepcopy
from functools import cache

import numpy as np
from sklearn import config_context
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.tree import ExtraTreeRegressor
from sklearn.utils import check_random_state, get_tags

# What scikit-learn draws the seeds of trees from.
LARGEST_SEED = np.iinfo(np.int32).max
# With more, a tree takes longer for their indicators than for their labels.
MOST_CLASSES = 10
# Parameters that trees have too, and what others must be for trees to be all there is.
OF_TREES = (
    "max_depth",
    "min_samples_split",
    "min_samples_leaf",
    "min_weight_fraction_leaf",
    "max_features",
    "max_leaf_nodes",
)
PLAIN = {
    "bootstrap": False,
    "ccp_alpha": 0.0,
    "class_weight": None,
    "max_samples": None,
    "min_impurity_decrease": 0.0,
    "monotonic_cst": None,
    "oob_score": False,
    "verbose": 0,
    "warm_start": False,
}


class QuickTree(ExtraTreeRegressor):
    """A tree whose tags, which it is asked for while it is fitted, are known."""

    def __sklearn_tags__(self):
        return _tags_of_trees()


@cache
def _tags_of_trees():
    return get_tags(ExtraTreeRegressor())


class QuickTrees:
    """Mixin of a forest that is fitted in less time.

    Trees are regressors that are copies of one, and share a generator. Where that would
    not be the same forest but for its random numbers, they are scikit-learn's, and
    copies of one, with the seeds that scikit-learn would give them.
    """

    def fit(self, X, y, sample_weight=None):
        self.__dict__.pop("_first", None)  # its parameters may have changed
        targets = self._targets(y)
        rows = None
        # With weights, the variance of a pure node is not quite 0, and it is split on.
        if targets is not None and sample_weight is None and self._is_plain():
            rows = _as_finite_rows(X, len(targets))
        self._grown = None
        if rows is None:
            return super().fit(X, y, sample_weight)
        self._validate_params()
        of_trees = {name: getattr(self, name) for name in OF_TREES}
        rng = check_random_state(self.random_state)
        tree = QuickTree(**of_trees, random_state=rng)
        self._grown = _grown(tree, rows, targets, self.n_estimators)
        return self

    def _is_plain(self):
        own = self.get_params(deep=False)
        is_plain = all(own[name] == PLAIN[name] for name in PLAIN.keys() & own.keys())
        return is_plain and self.n_jobs in (None, 1) and self.criterion in SPLIT_ALIKE

    def _make_estimator(self, append=True, random_state=None):
        # If scikit-learn no longer asks for trees in this way, they only take longer.
        first = self.__dict__.get("_first")
        if first is None:
            first = super()._make_estimator(append=False, random_state=0)
            self._first = first
        tree = copy(first)
        if random_state is not None:
            rng = check_random_state(random_state)
            tree.random_state = rng.randint(LARGEST_SEED)
        if append:
            self.estimators_.append(tree)
        return tree


# Gini impurity is the sum of the variances of the classes' indicators.
SPLIT_ALIKE = ("gini", "squared_error")


class QuickTreesClassifier(QuickTrees, ExtraTreesClassifier):
    """`ExtraTreesClassifier` in less time.

    A regressor of the classes' indicators finds the same best splits, but for ties
    within rounding, and its means are the probabilities.
    """

    def _targets(self, y):
        y = np.asarray(y)
        classes, codes = np.unique(y, return_inverse=True)
        if y.ndim != 1 or not 2 <= len(classes) <= MOST_CLASSES:
            return None
        self.classes_ = classes
        indicators = np.eye(len(classes))[codes]
        return indicators[:, 1].copy() if len(classes) == 2 else indicators

    def predict_proba(self, X):
        if self._grown is None:
            return super().predict_proba(X)
        said = _mean_prediction(self._grown, X)
        return said if said.ndim == 2 else np.column_stack([1 - said, said])


class QuickTreesRegressor(QuickTrees, ExtraTreesRegressor):
    """`ExtraTreesRegressor` in less time."""

    def _targets(self, y):
        y = np.asarray(y)
        is_plain = y.ndim == 1 and y.dtype.kind in "fiu" and np.isfinite(y).all()
        return y.astype(np.float64) if is_plain else None

    def predict(self, X):
        if self._grown is None:
            return super().predict(X)
        return _mean_prediction(self._grown, X)


def _as_finite_rows(X, n_rows):
    """Return rows as trees take them, or None where scikit-learn is to look at them."""
    if type(X) is not np.ndarray or X.ndim != 2 or X.dtype.kind not in "fiu":
        return None
    if len(X) != n_rows or not n_rows or not X.shape[1]:
        return None
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(X, dtype=np.float32)
    return rows if np.isfinite(rows).all() else None


def _grown(tree, rows, targets, n_trees):
    trees = [copy(tree) for _ in range(n_trees)]
    with config_context(skip_parameter_validation=True):
        for one in trees:
            one.fit(rows, targets, check_input=False)
    return trees


def _mean_prediction(trees, X):
    with np.errstate(over="ignore"):
        rows = np.ascontiguousarray(X, dtype=np.float32)
    total = trees[0].tree_.predict(rows)
    for one in trees[1:]:
        total += one.tree_.predict(rows)
    return total[..., 0] / len(trees)


QUICK = {
    ExtraTreesClassifier: QuickTreesClassifier,
    ExtraTreesRegressor: QuickTreesRegressor,
}


def quick(estimator):
    """Return a forest that is fitted in less time, or the estimator if it is none.

    Examples
    --------
    >>> from sklearn.ensemble import ExtraTreesClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> quick(LogisticRegression(C=2))
    LogisticRegression(C=2)
    >>> isinstance(quick(ExtraTreesClassifier(7)), QuickTreesClassifier)
    True
    """
    kind = QUICK.get(type(estimator))
    if kind is None:
        return estimator
    found = kind(**estimator.get_params(deep=False))
    if hasattr(estimator, "_metadata_request"):  # as scikit-learn's clone does
        found._metadata_request = deepcopy(estimator._metadata_request)
    return found
