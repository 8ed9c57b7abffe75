"""Forests of randomized trees that are fitted many times, on few rows.

For a few hundred rows scikit-learn spends more time on the preparation of each tree
than on the tree: it clones the estimator and sets its parameters by their names, a
hundred times for each forest. Here all trees are copies of the first one.
"""

from copy import copy, deepcopy

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.utils import check_random_state

# What scikit-learn draws the seeds of trees from.
LARGEST_SEED = np.iinfo(np.int32).max


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


class CopiedTreesClassifier(CopiedTrees, ExtraTreesClassifier):
    """`ExtraTreesClassifier` in less time."""


class CopiedTreesRegressor(CopiedTrees, ExtraTreesRegressor):
    """`ExtraTreesRegressor` in less time."""


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
