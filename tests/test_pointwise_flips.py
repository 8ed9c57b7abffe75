"""Flip radii, verified by fitting again."""

from itertools import combinations, product

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, Ridge, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skpoison import certified_radius
from skpoison.pointwise import TwoMeansClassifier, flip_radius


def data(n, n_classes=2, seed=0):
    X, y = make_blobs(
        n, centers=n_classes, n_features=3, cluster_std=4.0, random_state=seed
    )
    return X, (2 * y - 1 if n_classes == 2 else y)


ESTIMATORS = {
    "ridge": RidgeClassifier(alpha=3.0),
    "no intercept": RidgeClassifier(alpha=3.0, fit_intercept=False),
    "regression": Ridge(alpha=0.5),
    "kernel": KernelRidge(alpha=0.5, kernel="rbf", gamma=0.01),
    "process": GaussianProcessRegressor(RBF(5.0), alpha=0.5, optimizer=None),
    "normalized": GaussianProcessRegressor(
        RBF(5.0), alpha=0.5, optimizer=None, normalize_y=True
    ),
    "two means": TwoMeansClassifier(),
    "pipeline": make_pipeline(StandardScaler(), PCA(2), RidgeClassifier()),
}


def labels(estimator, X):
    found = np.asarray(estimator.predict(X))
    return np.where(found > 0, 1, -1) if found.dtype.kind == "f" else found


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_set_of_few_flips(name):
    X, y = data(8, seed=1)
    X_test = np.vstack([X, data(8, seed=2)[0]])
    estimator = clone(ESTIMATORS[name]).fit(X, y)
    radii = certified_radius(estimator, X_test, attack="flip", X_train=X, y_train=y)
    before = labels(estimator, X_test)
    least = np.full(len(X_test), 10)
    for size in range(3, 0, -1):
        for places in combinations(range(8), size):
            flipped = y.copy()
            flipped[list(places)] *= -1
            if len(set(flipped)) == 2:
                after = labels(clone(estimator).fit(X, flipped), X_test)
                least[after != before] = size - 1
    np.testing.assert_array_equal(np.minimum(radii, 3), np.minimum(least, 3))


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("n_features", [3, 60])
def test_the_best_flips_change_a_prediction_and_one_less_do_not(container, n_features):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, n_features)), np.repeat(["ham", "spam"], 25)
    X[:, 0] += np.where(y == "ham", 1.0, -1.0)
    X_test = rng.normal(size=(12, n_features))
    solver = (
        {"solver": "sparse_cg", "tol": 1e-12} if container is not np.asarray else {}
    )
    estimator = RidgeClassifier(5.0, **solver).fit(container(X), y)
    radii = certified_radius(
        estimator, container(X_test), attack="flip", X_train=container(X), y_train=y
    )
    before = estimator.predict(container(X_test))
    centered = X - X.mean(axis=0)
    solved = np.linalg.solve(
        centered.T @ centered + 5.0 * np.eye(n_features), centered.T
    )
    weights = (X_test - X.mean(axis=0)) @ solved + 1 / 50
    for row, radius in enumerate(radii):
        gains = weights[row] * np.where(y == before[row], 1.0, -1.0)
        for size, changes in ((radius, False), (radius + 1, True)):
            flipped = y.copy()
            for place in np.argsort(-gains)[:size]:
                flipped[place] = "spam" if y[place] == "ham" else "ham"
            after = clone(estimator).fit(container(X), flipped)
            assert (after.predict(container(X_test))[row] != before[row]) == changes


def test_three_classes_against_all_changes_of_two_labels():
    X, y = make_blobs(8, n_features=3, cluster_std=1.5, random_state=3)
    estimator = RidgeClassifier(alpha=2.0).fit(X, y)
    radii = certified_radius(estimator, X, attack="flip", X_train=X, y_train=y)
    before, least = estimator.predict(X), np.full(8, 2)
    for size in (2, 1):
        for places in combinations(range(8), size):
            for new in product(range(3), repeat=size):
                changed = y.copy()
                changed[list(places)] = new
                if len(set(changed)) == 3:
                    after = clone(estimator).fit(X, changed).predict(X)
                    least[after != before] = size - 1
    np.testing.assert_array_equal(np.minimum(radii, 2), least)
    assert len(set(least)) > 1


@pytest.mark.parametrize("n_classes", [2, 3])
def test_whole_weights_with_ties_against_every_change(n_classes):
    rng = np.random.default_rng(n_classes)
    for _ in range(60):
        weights = rng.integers(-2, 4, (1, 5))
        y = rng.integers(0, n_classes, 5)
        if len(set(y)) < n_classes:
            continue
        radius = flip_radius(weights, y)[0]
        assert radius == fewest_changes(weights[0], y, n_classes) - 1


@pytest.mark.parametrize(
    ("weights", "y"),
    [
        ([2, 1, 0, -2, -1, -3], [0, 0, 0, 2, 1, 2]),
        ([0, -3, 2, 2, 1, 2], [2, 1, 1, 0, 0, 0]),
    ],
)
def test_rows_of_a_third_class_close_the_gap_by_their_weight(weights, y):
    assert flip_radius([weights], y)[0] == 1
    assert fewest_changes(np.array(weights), np.array(y), 3) == 2


def fewest_changes(weights, y, n_classes):
    def winner(labels):
        return np.argmax([weights[labels == c].sum() for c in range(n_classes)])

    first, fewest = winner(y), len(y) + 1
    for new in product(range(n_classes), repeat=len(y)):
        if winner(np.array(new)) != first:
            fewest = min(fewest, int(np.sum(np.array(new) != y)))
    return fewest


@pytest.mark.parametrize(
    ("estimator", "attack", "message"),
    [
        (RidgeClassifier(class_weight="balanced"), "flip", "class_weight=None"),
        (RidgeClassifier(), "insert_delete", "is certified for attack='flip'"),
        (Ridge(positive=True), "flip", "positive=False"),
        (Ridge(alpha=0.0), "flip", "one alpha above 0"),
        (GaussianProcessRegressor(RBF()), "flip", "optimizer=None"),
        (TwoMeansClassifier(), "change", "is certified for attack='flip'"),
        (make_pipeline(PCA(2), RidgeClassifier()), "change", "The step 'pca'"),
        (make_pipeline(SelectKBest(k=2), Ridge()), "flip", "depend on the labels"),
        (RidgeClassifier(), "flop", "attack must be one of"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_not_covered_is_refused(estimator, attack, message):
    X, y = data(20)
    with pytest.raises(ValueError, match=message):
        certified_radius(
            clone(estimator).fit(X, y), X, attack=attack, X_train=X, y_train=y
        )


def test_other_training_rows_than_the_estimator_s_are_refused():
    X, y = data(20)
    estimator = RidgeClassifier().fit(X, y)
    with pytest.raises(ValueError, match="must be the rows that the estimator was"):
        certified_radius(estimator, X, attack="flip", X_train=X[::-1], y_train=y)
    with pytest.raises(ValueError, match="X_train is needed"):
        certified_radius(estimator, X, attack="flip")
    with pytest.raises(TypeError, match="no certificate for LinearRegression"):
        certified_radius(LinearRegression().fit(X, y), X, attack="flip")


def test_frozen_steps_may_look_at_labels():
    X, y = data(20)
    chosen = FrozenEstimator(SelectKBest(k=2).fit(X, y))
    estimator = make_pipeline(chosen, Ridge()).fit(X, y)
    radii = certified_radius(estimator, X, attack="flip", X_train=X, y_train=y)
    assert radii.max() >= 1
