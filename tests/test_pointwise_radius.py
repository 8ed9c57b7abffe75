"""The radius of every kind of estimator, and the shares made of radii."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import (
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import (
    KNeighborsClassifier,
    NearestCentroid,
    RadiusNeighborsClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skpoison import (
    NormConstrainedSVC,
    PartitionedClassifier,
    SphereFilter,
    certified_radius,
)
from skpoison.pointwise import TwoMeansClassifier, certified_accuracy
from skpoison.pointwise._radius import CERTIFICATES

ESTIMATORS = {
    "parts": PartitionedClassifier(GaussianNB(), 5),
    "pipeline": make_pipeline(StandardScaler(), RidgeClassifier()),
    "ridge classifier": RidgeClassifier(),
    "ridge": Ridge(),
    "kernel ridge": KernelRidge(),
    "process": GaussianProcessRegressor(RBF(3.0), alpha=0.1, optimizer=None),
    "centroids": NearestCentroid(),
    "two means": TwoMeansClassifier(),
    "neighbors": KNeighborsClassifier(5),
    "radius": RadiusNeighborsClassifier(2.0, outlier_label=1),
    "logistic": LogisticRegression(C=0.01, solver="liblinear", tol=1e-8),
    "hinge": LinearSVC(C=0.01, loss="hinge", tol=1e-8, max_iter=100_000),
    "descent": SGDClassifier(
        "log_loss", alpha=2.0, fit_intercept=False, tol=None, random_state=0
    ),
    "ball": NormConstrainedSVC(rho=0.3, tol=1e-9),
}


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs(60, centers=[[-2, 0], [2, 0]], random_state=0)
    return X[:40], 2 * y[:40] - 1, X[40:], 2 * y[40:] - 1


@pytest.mark.parametrize("name", ESTIMATORS)
def test_tables_lists_and_float32_have_the_radii_of_arrays(name, data):
    X, y, X_test, _ = data
    X, X_test = X.astype(np.float32), X_test.astype(np.float32)
    found = []
    for container in (np.asarray, lambda X: pd.DataFrame(X, columns=["a", "b"])):
        fitted = clone(ESTIMATORS[name]).fit(container(X), y)
        limits = SphereFilter(100).fit(container(X), y)
        rows = {"X_train": container(X), "y_train": y, "filter": limits}
        found.append(certified_radius(fitted, container(X_test), attack="flip", **rows))
    for radii in found:
        assert radii.shape == (20,) and radii.dtype.kind == "i"
        np.testing.assert_array_equal(radii, found[0])
    assert found[0].max() >= 1


def test_every_kind_is_tried():
    tried = {type(estimator) for estimator in ESTIMATORS.values()}
    assert {kind.__name__ for kind in set(CERTIFICATES) - tried} == {
        "FilteredClassifier"
    }


@pytest.mark.parametrize("name", ESTIMATORS)
def test_other_features_and_unfitted_estimators_are_refused(name, data):
    X, y, X_test, _ = data
    with pytest.raises(NotFittedError):
        certified_radius(clone(ESTIMATORS[name]), X_test, attack="flip")
    fitted = clone(ESTIMATORS[name]).fit(X, y)
    with pytest.raises(ValueError, match="features"):
        certified_radius(fitted, X_test[:, :1], attack="flip", X_train=X, y_train=y)


def test_shares_are_those_counted_by_hand():
    radii, y_true, y_pred = [2, 0, 5, 1], ["b", "a", "a", "b"], ["b", "a", "b", "b"]
    shares = certified_accuracy(radii, y_true, y_pred, [[0, 1], [2, 3]])
    np.testing.assert_allclose(shares, [[0.75, 0.5], [0.25, 0.0]])
    balanced = certified_accuracy(radii, y_true, y_pred, [0, 1], balanced=True)
    np.testing.assert_allclose(balanced, [0.75, 0.5])
    assert isinstance(certified_accuracy(radii, y_true, y_pred, 1), float)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, -1], [0, 1], [0, 1], 1), "radii must not be negative"),
        (([1, 1], [0, 1], [0, 1], -1), "at must not be negative"),
        (([1], [0, 1], [0, 1], 1), "inconsistent numbers of samples"),
        (([], [], [], 1), "at least one number"),
    ],
)
def test_shares_of_nonsense_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        certified_accuracy(*arguments)
