"""Flip radii of the nearest centroid, against every set of flips on small data."""

from itertools import combinations

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.neighbors import NearestCentroid

from skpoison import certified_radius


def data(n_rows, share, seed, spread=1.5):
    n_first = round(share * n_rows)
    X, y = make_blobs(
        [n_first, n_rows - n_first], n_features=2, cluster_std=spread, random_state=seed
    )
    return X, np.array(["ham", "spam"])[y]


def flipped(y, places):
    y = y.copy()
    y[list(places)] = np.where(y[list(places)] == "ham", "spam", "ham")
    return y


def least_flips(X, y, X_test):
    """The fewest flips that change each prediction, both classes kept; or 99."""
    before = NearestCentroid().fit(X, y).predict(X_test)
    least = np.full(len(X_test), 99)
    for size in range(len(y) - 1, 0, -1):
        for places in combinations(range(len(y)), size):
            new = flipped(y, places)
            means = [X[new == c].mean(axis=0) for c in ("ham", "spam") if c in new]
            if len(means) == 2:
                away = [np.linalg.norm(X_test - m, axis=1) for m in means]
                after = np.where(away[0] <= away[1], "ham", "spam")
                least[after != before] = size
    return least


@pytest.mark.parametrize("share", [0.5, 0.4, 0.3])
def test_no_set_of_flips_within_the_radius_changes_a_prediction(share):
    found, least = [], []
    for seed in range(3):
        X, y = data(10, share, seed)
        X_test = data(12, 0.5, seed + 10, spread=3.0)[0]
        model = NearestCentroid().fit(X, y)
        found.extend(
            certified_radius(model, X_test, attack="flip", X_train=X, y_train=y)
        )
        least.extend(least_flips(X, y, X_test))
    found, least = np.array(found), np.array(least)
    assert np.all(found < least)
    assert found.max() >= 2


def test_a_flip_or_two_more_change_a_prediction():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 20)), np.repeat(["ham", "spam"], 200)
    X[:200, 0] += 1.0
    X_test = rng.normal(size=(10, 20))
    model = NearestCentroid().fit(X, y)
    radii = certified_radius(model, X_test, attack="flip", X_train=X, y_train=y)
    assert radii.max() >= 10
    needed = []
    for x, label in zip(X_test, model.predict(X_test), strict=True):
        new = y.copy()
        while NearestCentroid().fit(X, new).predict(x[None])[0] == label:
            new = flipped(new, [best_flip(X - x, new == label)])
        needed.append(np.sum(new != y))
    assert np.all(radii < needed)
    assert np.all(radii + 3 >= needed)


def best_flip(Z, own):
    """The flip after which the rival's centroid is nearest, compared with the own."""
    sign, n_own = np.where(own, 1.0, -1.0), own.sum()
    A = Z[own].sum(axis=0) - sign[:, None] * Z
    B = Z[~own].sum(axis=0) + sign[:, None] * Z
    away = np.linalg.norm(B, axis=1) / (len(own) - n_own + sign)
    return np.argmin(away**2 - (np.linalg.norm(A, axis=1) / (n_own - sign)) ** 2)


def test_sparse_rows_have_the_radii_of_dense_ones():
    X, y = data(60, 0.4, 0)
    dense = NearestCentroid().fit(X, y)
    rows = NearestCentroid().fit(sparse.csr_array(X), y)
    expected = certified_radius(dense, X, attack="flip", X_train=X, y_train=y)
    found = certified_radius(
        rows, sparse.csr_array(X), attack="flip", X_train=sparse.csr_array(X), y_train=y
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("settings", "n_classes", "message"),
    [
        ({"metric": "manhattan"}, 2, "with metric='euclidean'; got metric='manhattan'"),
        ({"shrink_threshold": 0.1}, 2, "shrink_threshold=None"),
        ({"priors": "empirical"}, 2, "priors='uniform'"),
        ({}, 3, "two classes; it has 3"),
    ],
)
def test_what_is_not_covered_is_refused(settings, n_classes, message):
    X, y = make_blobs(30, centers=n_classes, random_state=0)
    model = NearestCentroid(**settings).fit(X, y)
    with pytest.raises(ValueError, match=message):
        certified_radius(model, X, attack="flip", X_train=X, y_train=y)


def test_other_rows_and_attacks_are_refused():
    X, y = data(30, 0.5, 0)
    model = NearestCentroid().fit(X, y)
    with pytest.raises(ValueError, match="the centroids of NearestCentroid are not"):
        certified_radius(model, X, attack="flip", X_train=X + 1.0, y_train=y)
    with pytest.raises(ValueError, match="attack='flip' only"):
        certified_radius(model, X, attack="change", X_train=X, y_train=y)
