"""Tracing predictions to training rows, against brute force on small problems."""

from itertools import combinations, permutations
from math import factorial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skpoison import trace
from skpoison.tracing._neighbors import knn_shapley
from skpoison.tracing._removal import grow, shrink


def flipped(seed=0, k=8, to=2):
    """Wine with the labels of the rows nearest to a target changed."""
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    target = np.flatnonzero(y == 0)[seed]
    rest = np.delete(np.arange(len(y)), target)
    X_target, right = X[[target]], y[[target]]
    X, y = X[rest], y[rest].copy()
    near = np.argsort(((X - X_target) ** 2).sum(axis=1))
    near = near[y[near] == 0][:k]
    y[near] = to
    return X, y, X_target, right, near


def brute_force_shapley(distances, pushes, k):
    """The definition: the mean over all orders of what a row adds."""

    def value(rows):
        nearest = sorted(rows, key=lambda row: distances[row])[:k]
        return sum(pushes[row] for row in nearest) / k

    n = len(distances)
    values = np.zeros(n)
    for order in permutations(range(n)):
        for place, row in enumerate(order):
            values[row] += value(order[: place + 1]) - value(order[:place])
    return values / factorial(n)


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_knn_shapley_is_the_mean_over_all_orders(k):
    rng = np.random.default_rng(k)
    distances, pushes = rng.random(6), rng.normal(size=6)
    expected = brute_force_shapley(distances, pushes, k)
    np.testing.assert_allclose(knn_shapley(distances, pushes, k), expected, atol=1e-12)


@pytest.mark.parametrize("method", ["auto", "knn_shapley", "gradient"])
@pytest.mark.parametrize(
    "model",
    [
        SVC(),
        LogisticRegression(),
        KNeighborsClassifier(),
        make_pipeline(StandardScaler(), LogisticRegression()),
    ],
    ids=["svc", "logistic", "neighbors", "pipeline"],
)
def test_without_the_removal_set_a_fresh_clone_predicts_right(model, method):
    X, y, X_target, right, near = flipped(27)
    model = clone(model).fit(X, y)
    assert model.predict(X_target) != right
    found = trace(model, X, y, X_target, right, method=method, max_removed=0.2)
    kept = np.delete(np.arange(len(y)), found.removal_set_)
    again = clone(model).fit(X[kept], y[kept]).predict(X_target)
    assert again == right == found.removed_prediction_
    assert len(found.removal_set_) <= len(near)
    assert np.isin(found.removal_set_, near).all()
    assert found.ranking_.tolist() != sorted(found.ranking_)
    assert sorted(found.ranking_) == list(range(len(y)))
    contributions = found.contributions_[found.ranking_]
    assert (np.diff(contributions) <= 0).all()


def test_rows_around_the_target_are_blamed():
    X, y, X_target, right, near = flipped(27)
    found = trace(SVC(), X, y, X_target, right)
    assert set(found.ranking_[: len(near)]) == set(near)


def test_removal_is_minimal_on_a_tiny_problem():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 2)), np.tile([0, 1], 6)
    model, X_target = KNeighborsClassifier(3), np.zeros((1, 2))
    right = 1 - model.fit(X, y).predict(X_target)

    def works(rows):
        kept = np.delete(np.arange(12), rows)
        return clone(model).fit(X[kept], y[kept]).predict(X_target) == right

    sizes = range(1, 6)
    smallest = next(
        size
        for size in sizes
        if any(map(works, map(list, combinations(range(12), size))))
    )
    found = trace(model, X, y, X_target, max_removed=5)
    assert len(found.removal_set_) == smallest


def test_growing_and_shrinking_find_what_is_needed():
    needed = np.array([2, 5, 9])
    ranking = np.array([2, 0, 1, 5, 7, 9, 3])

    def works(rows):
        return np.isin(needed, rows).all()

    removal = grow({"a": ranking, "b": ranking[::-1]}, works, 7)
    assert removal.ranking == "a" and removal.rows.tolist() == [2, 0, 1, 5, 7, 9]
    assert shrink(removal.rows, works).tolist() == [2, 5, 9]
    assert grow({"a": ranking}, works, 5) is None


def test_no_removal_set_has_a_reason():
    X, y = load_digits(return_X_y=True)
    model = DecisionTreeClassifier(random_state=0).fit(X[y < 2], y[y < 2])
    found = trace(model, X[y < 2], y[y < 2], X[[0]], [1], max_removed=1)
    assert found.removal_set_ is None and found.removed_prediction_ is None
    assert "up to 1 row " in found.reason_ and found.summary() == found.reason_


@pytest.mark.parametrize("is_range", [False, True])
def test_regressors_come_within_the_range(is_range):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    X[:4] = [4.0, 0.0, 0.0] + 0.1 * rng.normal(size=(4, 3))
    y = X @ [1.0, 2.0, 3.0] + 0.1 * rng.normal(size=80)
    y[:4] += 10.0
    target, right = np.array([[4.0, 0.0, 0.0]]), [4.0]
    y_target = [[3.7, 4.3]] if is_range else right
    model = Ridge(0.1).fit(X, y)
    found = trace(model, X, y, target, y_target)
    low, high = found.y_target[0]
    assert low <= found.removed_prediction_[0] <= high < model.predict(target)[0]
    assert np.isin(found.removal_set_, range(4)).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"method": "shapley"}, ValueError, "method must be one of"),
        ({"max_removed": 0}, ValueError, "max_removed must be a number of rows"),
        ({"max_removed": 1.5}, ValueError, "max_removed must be a number of rows"),
        ({"y_target": [7]}, ValueError, "y_target holds labels that estimator was"),
        ({"y_target": [0, 1]}, ValueError, "one entry for each of the 1 rows"),
        ({"y_target": [2]}, ValueError, "predicted right already"),
        ({"by": "source"}, ValueError, "by='source' is no column of X"),
        ({"by": [1, 2]}, ValueError, "by must have one entry for each of the 177"),
        ({"estimator": StandardScaler()}, TypeError, "estimator must be"),
        (
            {"estimator": KNeighborsClassifier(), "sample_weight": np.ones(177)},
            ValueError,
            "sample_weight is not supported by KNeighborsClassifier",
        ),
    ],
)
def test_bad_input_is_named(change, error, message):
    X, y, X_target, right, _ = flipped(27)
    given = {"estimator": SVC(), "y_target": right} | change
    with pytest.raises(error, match=message):
        trace(X=X, y=y, X_target=X_target, **given)


def test_rows_that_the_model_was_not_trained_on_are_noticed():
    X, y, X_target, right, near = flipped(27)
    model = SVC().fit(X, y)
    honest = y.copy()
    honest[near] = 0
    with pytest.raises(ValueError, match="fitted on X and y predicts them right"):
        trace(model, X, honest, X_target, right)
    with pytest.warns(UserWarning, match=r"differ in \d+\.\d %"):
        trace(model, X[: 2 * len(X) // 3], y[: 2 * len(y) // 3], X_target, right)
