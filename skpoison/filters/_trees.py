"""Forests of randomized trees that are fitted many times, on few rows.

For a few hundred rows scikit-learn spends more time on the preparation of each tree
than on the tree: it clones the estimator and sets its parameters by their names, a
hundred times for each forest. Here all trees are copies of the first one. The other
half of that time goes into looking at the labels again for each tree; trees of two
classes are fitted as those of a regressor, which split alike.
"""

from copy import copy, deepcopy

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.utils import check_random_state

# What scikit-learn draws the seeds of trees from.
LARGEST_SEED = np.iinfo(np.int32).max
# Parameters that a classifier's trees share with a regressor's, and those that mean
# something else there.
AS_BY_DEFAULT = {
    "criterion": "gini",
    "class_weight": None,
    "min_impurity_decrease": 0.0,
    "ccp_alpha": 0.0,
    "oob_score": False,
    "warm_start": False,
    "monotonic_cst": None,
}
SHARED = sorted(
    set(ExtraTreesClassifier().get_params()) - set(AS_BY_DEFAULT) - {"criterion"}
)


class CopiedTrees:
    """Mixin of a forest whose trees are made by copying one.

    Trees get the seeds that scikit-learn would give them, so that forests are the same.
    If scikit-learn no longer asks for trees in this way, they only take longer.
    """

    def _make_estimator(self, append=True, random_state=None):
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

    def fit(self, X, y, sample_weight=None):
        self.__dict__.pop("_first", None)  # its parameters may have changed
        return super().fit(X, y, sample_weight)


class CopiedTreesRegressor(CopiedTrees, ExtraTreesRegressor):
    """`ExtraTreesRegressor` in less time."""


class CopiedTreesClassifier(CopiedTrees, ExtraTreesClassifier):
    """`ExtraTreesClassifier` in less time.

    The variance of the indicator of one of two classes is half their Gini impurity:
    a regressor finds the same best splits, but for ties within rounding, and its means
    are the probabilities.
    """

    def fit(self, X, y, sample_weight=None):
        self._indicator = None
        classes, codes = np.unique(np.asarray(y), return_inverse=True)
        # With weights, the variance of a pure node is not quite 0, and it is split on.
        is_weighted = sample_weight is not None
        if len(classes) != 2 or is_weighted or not self._splits_by_variance():
            return super().fit(X, y, sample_weight)
        shared = {name: getattr(self, name) for name in SHARED}
        trees = CopiedTreesRegressor(**shared)
        self._indicator = trees.fit(X, codes.ravel().astype(np.float64))
        self.classes_ = classes
        return self

    def _splits_by_variance(self):
        others = {name: getattr(self, name) for name in AS_BY_DEFAULT}
        return others == AS_BY_DEFAULT

    def predict_proba(self, X):
        if self._indicator is None:
            return super().predict_proba(X)
        second = self._indicator.predict(X)
        return np.column_stack([1 - second, second])


QUICK = {
    ExtraTreesClassifier: CopiedTreesClassifier,
    ExtraTreesRegressor: CopiedTreesRegressor,
}


def quick(estimator):
    """Return a forest that is fitted in less time, or the estimator if it is none.

    Examples
    --------
    >>> from sklearn.ensemble import ExtraTreesClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> quick(LogisticRegression(C=2))
    LogisticRegression(C=2)
    >>> isinstance(quick(ExtraTreesClassifier(7)), CopiedTreesClassifier)
    True
    """
    kind = QUICK.get(type(estimator))
    if kind is None:
        return estimator
    found = kind(**estimator.get_params(deep=False))
    if hasattr(estimator, "_metadata_request"):  # as scikit-learn's clone does
        found._metadata_request = deepcopy(estimator._metadata_request)
    return found
