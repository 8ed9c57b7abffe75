"""Forests whose trees are copies of one are the same as scikit-learn's."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
)

from skpoison import AutoFilter
from skpoison.filters import _trees
from skpoison.filters._trees import CopiedTrees, quick


def rows(seed=0, n_classes=3):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, 90)
    return rng.normal(size=(90, 6)) + y[:, np.newaxis], y


@pytest.mark.parametrize("forest", [ExtraTreesClassifier, ExtraTreesRegressor])
@pytest.mark.parametrize(
    "options", [{}, {"min_samples_leaf": 2, "max_features": 3}, {"bootstrap": True}]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_predictions_are_the_same(forest, options, weighted):
    X, y = rows()
    plain = forest(12, random_state=5, **options)
    fast = quick(plain)
    assert isinstance(fast, CopiedTrees)
    weights = np.arange(90) / 45 if weighted else None
    method = "predict_proba" if forest is ExtraTreesClassifier else "predict"
    expected = getattr(clone(plain).fit(X, y, weights), method)(X)
    assert np.array_equal(getattr(fast.fit(X, y, weights), method)(X), expected)
    seeds = [tree.random_state for tree in fast.estimators_]
    assert len(set(seeds)) == 12
    # Fitted again with other parameters, and warmly with more trees.
    plain.set_params(max_depth=2), fast.set_params(max_depth=2)
    expected = getattr(clone(plain).fit(X, y), method)(X)
    assert np.array_equal(getattr(fast.fit(X, y), method)(X), expected)


def test_trees_are_copied_and_not_prepared_one_by_one(monkeypatch):
    X, y = rows()
    made = []
    original = ExtraTreesClassifier._make_estimator

    def counted(self, append=True, random_state=None):
        made.append(1)
        return original(self, append, random_state)

    monkeypatch.setattr(ExtraTreesClassifier, "_make_estimator", counted)
    quick(ExtraTreesClassifier(20, random_state=0)).fit(X, y)
    assert len(made) == 1


def test_others_stay_as_they_are():
    forest = RandomForestClassifier(3)
    assert quick(forest) is forest


def test_filters_are_the_same_with_scikit_learns_forests(monkeypatch):
    X, y = rows(n_classes=2)
    fast = AutoFilter(random_state=0).fit(X, y)
    monkeypatch.setattr(_trees, "QUICK", {})
    plain = AutoFilter(random_state=0).fit(X, y)
    assert np.array_equal(fast.out_of_fold_, plain.out_of_fold_, equal_nan=True)
    assert np.array_equal(fast.suspicion_, plain.suspicion_)
