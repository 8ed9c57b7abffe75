"""Forests that are fitted in less time are those of scikit-learn."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.tree import ExtraTreeClassifier, ExtraTreeRegressor

from skpoison import AutoFilter
from skpoison.filters import _trees
from skpoison.filters._isolation_forest import QuickIsolationForest
from skpoison.filters._trees import QuickTrees, quick

FORESTS = [ExtraTreesClassifier, ExtraTreesRegressor]
OPTIONS = [{}, {"min_samples_leaf": 2, "max_features": 3}, {"max_depth": 4}]


def rows(seed=0, n_classes=3, n_rows=90):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n_rows)
    return rng.normal(size=(n_rows, 6)) + y[:, np.newaxis], y


def noise(n_classes=2, n_rows=490):
    """Rows that say nothing of their labels: every tree is another."""
    rng = np.random.default_rng(3)
    return rng.normal(size=(n_rows, 6)), rng.integers(0, n_classes, n_rows)


def asked(model, X):
    method = "predict_proba" if isinstance(model, ExtraTreesClassifier) else "predict"
    return getattr(model, method)(X)


@pytest.mark.parametrize("n_classes", [2, 3, 6])
@pytest.mark.parametrize("options", OPTIONS)
def test_a_tree_is_that_of_a_classifier(n_classes, options):
    X, y = rows(n_classes=n_classes, n_rows=60)
    labels = np.array([*"uvwxyz"])[y]
    fast = quick(ExtraTreesClassifier(1, random_state=7, **options)).fit(X, labels)
    plain = ExtraTreeClassifier(**options, random_state=7).fit(X, labels)
    assert fast.classes_.tolist() == plain.classes_.tolist()
    new = np.random.default_rng(1).normal(size=(200, 6)) * 3
    # A tie within rounding may be broken otherwise.
    same = np.isclose(fast.predict_proba(new), plain.predict_proba(new)).all(axis=1)
    assert same.mean() > 0.9


@pytest.mark.parametrize("options", OPTIONS)
def test_a_tree_is_that_of_a_regressor(options):
    X, y = noise(n_classes=50)
    fast = quick(ExtraTreesRegressor(1, random_state=7, **options)).fit(X, y)
    plain = ExtraTreeRegressor(random_state=7, **{"max_features": 1.0, **options})
    assert np.array_equal(
        fast.predict(X[:50] + 0.1), plain.fit(X, y).predict(X[:50] + 0.1)
    )


@pytest.mark.parametrize("forest", FORESTS)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_forests_differ_no_more_than_by_other_random_numbers(forest, n_classes):
    X, y = noise(n_classes)
    new = np.random.default_rng(0).normal(size=(300, 6))
    fast, plain, other = (
        asked(model.fit(X, y), new)
        for model in (
            quick(forest(100, min_samples_leaf=2, random_state=5)),
            forest(100, min_samples_leaf=2, random_state=5),
            forest(100, min_samples_leaf=2, random_state=6),
        )
    )
    assert fast.shape == plain.shape
    usual = np.abs(other - plain).mean()
    assert 0.7 * usual < np.abs(fast - plain).mean() < 1.3 * usual
    assert abs((fast - plain).mean()) < 0.2 * usual


@pytest.mark.parametrize("forest", FORESTS)
def test_the_same_random_state_gives_the_same_forest(forest):
    X, y = noise()
    one, again, other = (
        asked(quick(forest(10, random_state=seed)).fit(X, y), X + 0.1)
        for seed in (0, 0, 1)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def with_gaps(X):
    X = X.copy()
    X[::7, 1] = np.nan
    return X


@pytest.mark.parametrize("forest", FORESTS)
@pytest.mark.parametrize(
    "options",
    [
        {"bootstrap": True},
        {"min_impurity_decrease": 0.001},
        {"ccp_alpha": 0.001},
        {"monotonic_cst": [1, 0, 0, 0, 0, 0]},
        {"n_jobs": 2},
    ],
)
def test_other_forests_are_scikit_learns(forest, options):
    X, y = noise()
    plain = forest(12, random_state=5, max_depth=6, **options)
    fast = quick(plain)
    assert isinstance(fast, QuickTrees)
    # Threads add up predictions in any order.
    assert np.allclose(asked(fast.fit(X, y), X), asked(clone(plain).fit(X, y), X))
    seeds = [tree.random_state for tree in fast.estimators_]
    assert len(set(seeds)) == 12


@pytest.mark.parametrize(
    "options", [{"class_weight": "balanced"}, {"criterion": "entropy"}]
)
def test_other_classifiers_are_scikit_learns(options):
    X, y = noise()
    plain = ExtraTreesClassifier(12, random_state=5, **options)
    found = quick(plain).fit(X, y).predict_proba(X + 0.1)
    assert np.array_equal(found, plain.fit(X, y).predict_proba(X + 0.1))


@pytest.mark.parametrize("forest", FORESTS)
def test_weighted_rows_and_gaps_are_left_to_scikit_learn(forest):
    X, y = noise()
    new = X[:200] + 0.1
    weights = np.random.default_rng(0).random(len(y))
    plain = forest(12, random_state=5)
    found = asked(quick(plain).fit(X, y, weights), new)
    assert np.array_equal(found, asked(clone(plain).fit(X, y, weights), new))
    found = asked(quick(plain).fit(with_gaps(X), y), with_gaps(new))
    assert np.array_equal(
        found, asked(clone(plain).fit(with_gaps(X), y), with_gaps(new))
    )


def test_many_classes_and_tables_are_left_to_scikit_learn():
    pd = pytest.importorskip("pandas")
    X, y = noise(n_classes=30)
    plain = ExtraTreesClassifier(5, random_state=5)
    found = quick(plain).fit(X, y).predict_proba(X + 0.1)
    assert np.array_equal(found, clone(plain).fit(X, y).predict_proba(X + 0.1))
    table, y = pd.DataFrame(X, columns=[*"abcdef"]), y % 2
    found = quick(plain).fit(table, y).predict_proba(table + 0.1)
    assert np.array_equal(found, plain.fit(table, y).predict_proba(table + 0.1))


@pytest.mark.parametrize("forest", FORESTS)
def test_gaps_in_new_rows_go_where_scikit_learn_sends_them(forest):
    X, y = rows(n_classes=2)
    fast = quick(forest(1, random_state=7)).fit(X, y)
    tree = ExtraTreeClassifier if forest is ExtraTreesClassifier else ExtraTreeRegressor
    plain = tree(random_state=7, max_features=fast.max_features).fit(X, y)
    method = "predict_proba" if forest is ExtraTreesClassifier else "predict"
    expected = getattr(plain, method)(with_gaps(X))
    assert np.array_equal(asked(fast, with_gaps(X)), expected)


@pytest.mark.parametrize("forest", FORESTS)
def test_fits_do_not_remember_one_another(forest):
    fast = quick(forest(5, random_state=0))
    X, y = noise()
    for options in ({}, {"max_depth": 2}, {"bootstrap": True}, {"bootstrap": False}):
        fast.set_params(**options)
        anew = quick(forest(**fast.get_params()))
        assert np.array_equal(asked(fast.fit(X, y), X), asked(anew.fit(X, y), X))
    weights = np.ones(len(y))
    for n_classes in (2, 3, 2):
        X, y = noise(n_classes)
        for given in ({}, {"sample_weight": weights}):
            assert asked(fast.fit(X, y, **given), X).shape[0] == len(X)
    if forest is ExtraTreesClassifier:
        assert fast.predict_proba(X).shape[1] == 2


@pytest.mark.parametrize("forest", FORESTS)
def test_errors_are_scikit_learns(forest):
    X, y = noise()
    with pytest.raises(ValueError, match="max_depth"):
        quick(forest(5, max_depth=-1)).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        quick(forest(5)).fit(X, y[1:])


def test_trees_are_copied_and_not_prepared_one_by_one(monkeypatch):
    X, y = rows()
    made = []
    original = ExtraTreesClassifier._make_estimator

    def counted(self, append=True, random_state=None):
        made.append(1)
        return original(self, append, random_state)

    monkeypatch.setattr(ExtraTreesClassifier, "_make_estimator", counted)
    quick(ExtraTreesClassifier(20, random_state=0)).fit(X, y)
    assert made == []
    quick(ExtraTreesClassifier(20, random_state=0)).fit(X, y, np.ones(len(y)))
    assert len(made) == 1


def test_others_stay_as_they_are():
    forest = RandomForestClassifier(3)
    assert quick(forest) is forest


def test_a_forest_that_is_given_is_fitted_as_it_is():
    class Own(ExtraTreesClassifier):
        """No forest that is known."""

    X, y = rows(n_classes=2, n_rows=200)
    given, own = (
        AutoFilter(kind(20, random_state=3), random_state=0).fit(X, y)
        for kind in (ExtraTreesClassifier, Own)
    )
    assert np.array_equal(given.out_of_fold_, own.out_of_fold_, equal_nan=True)
    with pytest.raises(ValueError, match="parameter of ExtraTreesClassifier must"):
        AutoFilter(ExtraTreesClassifier(max_depth=-1)).fit(X, y)


def test_filters_with_scikit_learns_forests_differ_by_random_numbers(monkeypatch):
    X, y = rows(n_classes=2, n_rows=200)
    fast = AutoFilter(random_state=0).fit(X, y)
    monkeypatch.setattr(_trees, "QUICK", {})
    plain, other = (AutoFilter(random_state=seed).fit(X, y) for seed in (0, 1))
    usual = np.abs(other.out_of_fold_ - plain.out_of_fold_).mean()
    assert np.abs(fast.out_of_fold_ - plain.out_of_fold_).mean() < usual


@pytest.mark.parametrize("n_rows", [1, 2, 3, 40, 256, 257, 700])
@pytest.mark.parametrize("n_features", [1, 5])
@pytest.mark.parametrize("kind", ["normal", "counts", "equal"])
def test_an_isolation_forest_is_that_of_scikit_learn(n_rows, n_features, kind):
    rng = np.random.default_rng(0)
    X = {
        "normal": rng.normal(size=(n_rows, n_features)),
        "counts": rng.poisson(1.0, size=(n_rows, n_features)).astype(float),
        "equal": np.ones((n_rows, n_features)),
    }[kind]
    for seed in (0, 2**31 - 2):
        fast = QuickIsolationForest(20, seed).fit(X)
        plain = IsolationForest(n_estimators=20, random_state=seed).fit(X)
        for rows in (X, X[:1] + 100.0):
            np.testing.assert_array_equal(
                fast.score_samples(rows), plain.score_samples(rows)
            )
