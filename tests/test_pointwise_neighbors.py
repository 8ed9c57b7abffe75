"""Radii of nearest neighbors, against every attack on small data."""

from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier

from skpoison import certified_radius


def data(seed, n=9, n_classes=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 1))
    y = np.append(np.arange(n_classes), rng.integers(0, n_classes, n - n_classes))
    return X, y, rng.normal(size=(4, 1))


def fewest(estimator, X, y, row, attack, most=3):
    """The fewest moves that change a prediction, up to a most, plus one."""
    before = clone(estimator).fit(X, y).predict(row)[0]
    for budget in range(1, most + 1):
        for X_new, y_new in attacks(X, y, row, attack, budget):
            if label(clone(estimator).fit(X_new, y_new), row) != before:
                return budget
    return most + 1


def label(estimator, row):
    """The label predicted, or None where a row without neighbors is refused."""
    try:
        return estimator.predict(row)[0]
    except ValueError:
        return None


def attacks(X, y, row, attack, budget):
    labels = np.unique(y).tolist()
    everything = range(len(y))
    if attack == "flip":
        for places in combinations(everything, budget):
            for new in product(labels, repeat=budget):
                changed = y.copy()
                changed[list(places)] = new
                if set(changed) == set(labels):
                    yield X, changed
        return
    pairs = [(budget, budget)]
    if attack == "insert_delete":
        pairs = [(i, budget - i) for i in range(budget + 1)]
    for n_inserted, n_deleted in pairs:
        for gone in combinations(everything, n_deleted):
            kept = np.delete(np.arange(len(y)), gone)
            for new in combinations_with_replacement(labels, n_inserted):
                yield (
                    np.vstack([X[kept], np.repeat(row, n_inserted, axis=0)]),
                    np.append(y[kept], np.array(new, dtype=int)),
                )


@pytest.mark.parametrize("attack", ["insert_delete", "change", "flip"])
@pytest.mark.parametrize(("k", "n_classes"), [(3, 2), (4, 2), (4, 3)])
def test_radius_is_that_of_the_best_attack(attack, k, n_classes):
    X, y, X_test = data(10 * k + n_classes, n_classes=n_classes)
    estimator = KNeighborsClassifier(k, algorithm="brute").fit(X, y)
    radii = certified_radius(estimator, X_test, attack=attack)
    most = 2
    found = [fewest(estimator, X, y, row[None], attack, most) - 1 for row in X_test]
    np.testing.assert_array_equal(np.minimum(radii, most), found)


def test_flips_of_weighted_neighbors_are_exact():
    for seed in range(4):
        X, y, X_test = data(seed)
        X_test[0] = X[0]  # all weight on one neighbor
        estimator = KNeighborsClassifier(4, weights="distance").fit(X, y)
        radii = certified_radius(estimator, X_test, attack="flip")
        assert radii[0] == 0
        found = [fewest(estimator, X, y, row[None], "flip") - 1 for row in X_test]
        np.testing.assert_array_equal(np.minimum(radii, 3), found)


def test_equally_distant_rows_may_come_in_any_order():
    X = np.array([[1.0], [-1.0], [1.0], [-1.0], [9.0]])
    y = np.array([0, 0, 1, 1, 0])
    row = np.zeros((1, 1))
    for order in ([0, 1, 2, 3, 4], [2, 3, 0, 1, 4]):
        estimator = KNeighborsClassifier(3).fit(X[order], y[order])
        assert certified_radius(estimator, row, attack="insert_delete")[0] == 0


def test_the_order_of_equally_distant_rows_is_the_worst_one():
    X = np.array([[0.1], [1.0], [1.0], [-1.0], [-1.0]])
    estimator = KNeighborsClassifier(3).fit(X, [0, 0, 0, 1, 1])
    assert certified_radius(estimator, [[0.0]], attack="insert_delete")[0] == 0
    nearer = KNeighborsClassifier(3).fit(X, [0, 0, 0, 0, 1])
    assert certified_radius(nearer, [[0.0]], attack="change")[0] == 0
    assert certified_radius(nearer, [[0.0]], attack="insert_delete")[0] == 0


def test_rows_as_near_as_the_last_ones_that_are_looked_at_count_for_the_rival():
    X = np.array([[0.0], [0.1], *[[1.0]] * 8])
    y = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1])
    estimator = KNeighborsClassifier(3, algorithm="brute").fit(X, y)
    row = np.zeros((1, 1))
    assert estimator.predict(row) == [0]
    assert certified_radius(estimator, row, attack="insert_delete")[0] == 0


def test_no_more_rows_are_deleted_than_neighbors_are_needed():
    X, y = np.arange(6.0)[:, None], np.array([0, 0, 0, 0, 0, 1])
    estimator = KNeighborsClassifier(5).fit(X, y)
    assert certified_radius(estimator, X[:1], attack="insert_delete")[0] <= 1


def test_inserting_against_other_weights_is_refused():
    X, y, X_test = data(0)
    estimator = KNeighborsClassifier(3, weights="distance").fit(X, y)
    with pytest.raises(ValueError, match="needs weights='uniform'; got weights='dist"):
        certified_radius(estimator, X_test, attack="insert_delete")


@pytest.mark.parametrize("attack", ["insert_delete", "change", "flip"])
@pytest.mark.parametrize(("outlier", "n_classes"), [(None, 2), (0, 2), (1, 3), (9, 2)])
@pytest.mark.filterwarnings("ignore:Outlier label")
def test_votes_within_a_radius_against_every_attack(attack, outlier, n_classes):
    found, radii = [], []
    for seed in (3, 4):
        X, y, X_test = data(seed, n=6, n_classes=n_classes)
        X_test = X_test[:2]
        estimator = RadiusNeighborsClassifier(
            0.7, outlier_label=outlier, algorithm="brute"
        ).fit(X, y)
        near = [len(places) for places in estimator.radius_neighbors(X_test)[1]]
        X_test = X_test[np.array(near) >= (outlier is None)]
        radii.extend(certified_radius(estimator, X_test, attack=attack))
        found += [fewest(estimator, X, y, row[None], attack, 2) - 1 for row in X_test]
    np.testing.assert_array_equal(np.minimum(radii, 2), found)
    assert len(set(found)) > 1


@pytest.mark.filterwarnings("ignore:Outlier label")
def test_flips_and_the_label_of_rows_without_neighbors():
    X, y = np.arange(7.0)[:, None], np.array([0, 0, 1, 1, 1, 1, 1])
    for outlier, radius in ((5, 7), ("most_frequent", 1)):
        estimator = RadiusNeighborsClassifier(0.6, outlier_label=outlier).fit(X, y)
        assert certified_radius(estimator, [[50.0]], attack="flip")[0] == radius
        for attack in ("insert_delete", "change"):
            assert certified_radius(estimator, [[50.0]], attack=attack)[0] == 0
    refusing = RadiusNeighborsClassifier(0.6).fit(X, y)
    with pytest.raises(ValueError, match="No neighbors found"):
        certified_radius(refusing, [[50.0]], attack="flip")


def test_rows_at_the_very_radius_count_for_the_rival():
    X, y = np.array([[0.0], [0.1], [1.0], [-1.0], [0.2]]), [0, 0, 0, 1, 1]
    estimator = RadiusNeighborsClassifier(1.0).fit(X, y)
    assert estimator.predict([[0.0]]) == [0]
    assert certified_radius(estimator, [[0.0]], attack="insert_delete")[0] == 0


def test_weighted_votes_within_a_radius():
    X, y, X_test = data(0, n=7)
    estimator = RadiusNeighborsClassifier(1.0, weights="distance", outlier_label=0).fit(
        X, y
    )
    radii = certified_radius(estimator, X_test, attack="flip")
    found = [fewest(estimator, X, y, row[None], "flip", 2) - 1 for row in X_test]
    np.testing.assert_array_equal(np.minimum(radii, 2), found)
    with pytest.raises(ValueError, match="needs weights='uniform'"):
        certified_radius(estimator, X_test, attack="change")
