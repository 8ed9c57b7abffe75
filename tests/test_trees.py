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


@pytest.mark.parametrize(
    "options", [{}, {"min_samples_leaf": 2, "max_features": 3}, {"bootstrap": True}]
)
def test_probabilities_of_two_classes_are_the_same_but_for_ties(options):
    rng = np.random.default_rng(3)
    X, y = rows(n_classes=2)
    X = np.vstack([X, rng.normal(size=(400, 6))])
    y = np.array(["no", "yes"])[np.append(y, rng.integers(0, 2, 400))]
    fast, plain, other = (
        model.fit(X, y)
        for model in (
            quick(ExtraTreesClassifier(60, random_state=5, **options)),
            ExtraTreesClassifier(60, random_state=5, **options),
            ExtraTreesClassifier(60, random_state=6, **options),
        )
    )
    assert fast.classes_.tolist() == ["no", "yes"]
    new = rng.normal(size=(500, 6))
    found, expected = fast.predict_proba(new), plain.predict_proba(new)
    assert np.allclose(found.sum(axis=1), 1)
    # A tie that is broken otherwise makes another tree of few of the sixty.
    difference = np.abs(found - expected)
    assert difference.max() < 6 / 60
    assert difference.mean() < 0.4 * np.abs(other.predict_proba(new) - expected).mean()


def test_weighted_rows_of_two_classes_get_the_same_probabilities():
    rng = np.random.default_rng(0)
    X, y, weights = rng.normal(size=(490, 6)), rng.integers(0, 2, 490), rng.random(490)
    plain = ExtraTreesClassifier(20, random_state=5)
    new = rng.normal(size=(200, 6))
    found = quick(plain).fit(X, y, weights).predict_proba(new)
    assert np.array_equal(found, plain.fit(X, y, weights).predict_proba(new))


@pytest.mark.parametrize(
    "options",
    [
        {"class_weight": "balanced"},
        {"criterion": "entropy"},
        {"min_impurity_decrease": 0.01},
        {"ccp_alpha": 0.01},
        {"monotonic_cst": [1, 0, 0, 0, 0, 0]},
    ],
)
def test_what_means_something_else_to_a_regressor_is_left_to_classifiers(options):
    X, y = rows(n_classes=2)
    plain = ExtraTreesClassifier(20, random_state=5, max_depth=4, **options)
    found = quick(plain).fit(X, y).predict_proba(X)
    assert np.array_equal(found, plain.fit(X, y).predict_proba(X))


def test_two_classes_after_three_and_three_after_two():
    fast = quick(ExtraTreesClassifier(5, random_state=0))
    for n_classes in (2, 3, 2):
        X, y = rows(n_classes=n_classes)
        assert fast.fit(X, y).predict_proba(X).shape == (90, n_classes)


def test_others_stay_as_they_are():
    forest = RandomForestClassifier(3)
    assert quick(forest) is forest


def test_filters_are_the_same_with_scikit_learns_forests(monkeypatch):
    X, y = rows(n_classes=3)
    fast = AutoFilter(random_state=0).fit(X, y)
    monkeypatch.setattr(_trees, "QUICK", {})
    plain = AutoFilter(random_state=0).fit(X, y)
    assert np.array_equal(fast.out_of_fold_, plain.out_of_fold_, equal_nan=True)
    assert np.array_equal(fast.suspicion_, plain.suspicion_)
