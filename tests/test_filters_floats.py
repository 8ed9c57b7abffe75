"""Filters on numbers that are hard on floats: far from zero, huge and tiny ones."""

import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from skpoison import (
    CertifiedBound,
    EPICFilter,
    FilteredClassifier,
    SlabFilter,
    SphereFilter,
)
from skpoison.attacks import MinMaxAttack
from skpoison.coreset._outer import outer_squares
from skpoison.filters import (
    ActivationClusteringFilter,
    LossFilter,
    MahalanobisFilter,
    NearCopyFilter,
    NeighborsFilter,
    SeverFilter,
    SpectralFilter,
    SubspaceFilter,
    _principal,
    _rows,
)
from skpoison.filters._rows import class_means
from skpoison.inspection._plane import plane_of

FILTERS = {
    "sphere": SphereFilter(70),
    "diamond": SphereFilter(70, norm="l1"),
    "slab": SlabFilter(70),
    "both": SphereFilter(70) & SlabFilter(70),
    "mahalanobis": MahalanobisFilter(70),
    "reduced": MahalanobisFilter(70, max_features=5, n_components=2),
    "subspace": SubspaceFilter(70, n_components=2),
    "subspaces": SubspaceFilter(70, n_components=2, per_class=True),
    "spectral": SpectralFilter(70),
    "sever": SeverFilter(70),
    "loss": LossFilter(70),
    "copies": NearCopyFilter(),
    "kth": NeighborsFilter(70),
    "mean": NeighborsFilter(70, criterion="mean"),
    "labels": NeighborsFilter(70, criterion="labels"),
    "clusters": ActivationClusteringFilter(random_state=0),
}
DENSE_ONLY = {"clusters"}


def members(*names, without=()):
    names = names or [name for name in FILTERS if name not in without]
    return pytest.mark.parametrize("name", names)


def data(n_samples=121, n_features=6):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n_samples)
    return rng.normal(size=(n_samples, n_features)) + y[:, None], y


def exact_means(X, y):
    """Class means by exact fractions."""
    return np.array(
        [
            [
                float(sum(map(Fraction, column.tolist())) / len(column))
                for column in X[y == k].T
            ]
            for k in np.unique(y)
        ]
    )


@pytest.mark.parametrize("n_classes", [2, 9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_means_are_exact_far_from_the_origin(n_classes, dtype, form):
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, 400)
    X = rng.normal(size=(400, 5))
    X[:, 1] = 1e14 + 1 / 3
    X[:, 2] += 1e8
    X[:, 3] = 7.6e16 + 16 * np.arange(400)
    X = X.astype(dtype)
    X[:, 4] *= rng.random(400) < 0.5
    means = _rows.class_means(form(X), y, n_classes)
    exact = exact_means(X, y)
    ulps = np.spacing(np.abs(exact)) + 1e-14
    assert np.all(np.abs(means - exact) <= 2 * ulps)


def test_means_exist_where_sums_overflow():
    X = np.full((60, 2), 1.7e308)
    X[::3] = 1e308
    for rows in (X, sparse.csr_array(X)):
        means = _rows.class_means(rows, np.zeros(60, int), 1)
        expected = 60 * (2 * 1.7 + 1) / 3 / 60 * 1e308
        np.testing.assert_allclose(means, expected, rtol=1e-14)


def test_float32_distances_are_exact_where_the_centroid_is_no_float32():
    X = np.array([[1e7], [1e7 + 1], [1e7 + 3]], dtype=np.float32)
    fitted = SphereFilter(percentile=100).fit(X)
    np.testing.assert_allclose(fitted.scores_, [-4 / 3, -1 / 3, -5 / 3], rtol=1e-7)


@members(without=("loss", "sever"))
@pytest.mark.parametrize("offset", [0.0, 30.0, 1e4, 1e6])
def test_float32_rows_are_judged_like_the_same_rows_in_float64(name, offset):
    X, y = data()
    X = (X + offset).astype(np.float32)
    single = clone(FILTERS[name]).fit(X, y)
    double = clone(FILTERS[name]).fit(X.astype(np.float64), y)
    np.testing.assert_array_equal(single.inlier_mask_, double.inlier_mask_)
    size = np.abs(double.scores_).max()
    np.testing.assert_allclose(single.scores_, double.scores_, rtol=0, atol=2e-6 * size)
    np.testing.assert_allclose(
        single.decision_function(X, y), double.decision_function(X, y), atol=4e-6 * size
    )


@members("sphere", "diamond")
@pytest.mark.parametrize("offset", [10.0, 1e3, 1e5])
def test_relative_errors_in_float32_stay_near_a_millionth(name, offset):
    X, y = data(600, 30)
    X = (X + offset).astype(np.float32)
    X[0] = X[y == y[0]].mean(axis=0)
    scores = clone(FILTERS[name]).fit(X, y).scores_
    expected = clone(FILTERS[name]).fit(X.astype(np.float64), y).scores_
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


@members("loss", "sever")
@pytest.mark.parametrize("offset", [1e3, 1e5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_default_classifier_is_right_far_from_the_origin(name, offset, dtype):
    X, y = data()
    # Multiples of a power of two, so that moving them rounds nothing.
    X = np.round(X * 32) / 32
    moved = (X + offset).astype(dtype)
    fitted = clone(FILTERS[name]).fit(moved, y)
    expected = LogisticRegression(max_iter=1000, tol=1e-8).fit(X, y)
    if name == "loss":
        assert np.array_equal(
            fitted.inlier_mask_, LossFilter(70).fit(X, y).inlier_mask_
        )
        expected = LogisticRegression(max_iter=1000, tol=1e-8).fit(
            X[fitted.inlier_mask_], y[fitted.inlier_mask_]
        )
        np.testing.assert_allclose(fitted.estimator_.coef_, expected.coef_, rtol=0.01)
    else:
        first = fitted.rounds_[0].estimator
        np.testing.assert_allclose(
            first.decision_function(moved), expected.decision_function(X), atol=0.02
        )


@pytest.mark.parametrize("few_rows", [(0, 0), (1000, 1000)])
@pytest.mark.parametrize("dense", [True, False])
@members("spectral", "reduced")
def test_directions_of_many_features_are_right_far_from_the_origin(
    name, dense, few_rows, monkeypatch
):
    X, y = data()
    X[:, 0] *= 3
    X = (X + 300).astype(np.float32)
    exact = clone(FILTERS[name]).fit(X.astype(np.float64), y)
    monkeypatch.setattr(_principal, "EXACT_FEATURES", 4)
    monkeypatch.setattr(_principal, "FEW_ROWS", few_rows)
    monkeypatch.setattr(_principal, "SPARSE_DIRECTIONS", 0)
    rows = X if dense else sparse.csr_array(X.astype(np.float64))
    scores = clone(FILTERS[name]).fit(rows, y).scores_
    size = np.abs(exact.scores_).max()
    np.testing.assert_allclose(scores, exact.scores_, rtol=0, atol=1e-5 * size)


CONSTANT = {
    "1e14": (1e14, np.float64),
    "1e14 + 1/3": (1e14 + 1 / 3, np.float64),
    "2e7": (2e7, np.float32),
    "1.7e9": (1.7e9, np.float32),
    "7.6e16": (7.6e16, np.float64),
    "1e160": (1e160, np.float64),
    "largest": (np.finfo(np.float32).max, np.float32),
}


@members("sphere", "diamond", "slab", "both")
@pytest.mark.parametrize("value", CONSTANT)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_huge_constant_features_change_nothing(name, value, form):
    X, y = data(400)
    constant, dtype = CONSTANT[value]
    X = X.astype(dtype)
    wide = form(np.column_stack([X, np.full(len(X), constant, dtype)]))
    expected = clone(FILTERS[name]).fit(X.astype(np.float64), y)
    fitted = clone(FILTERS[name]).fit(wide, y)
    if name == "slab":
        assert np.all(fitted.directions_[:, -1] == 0)
        np.testing.assert_allclose(
            fitted.directions_[:, :-1], expected.directions_, atol=1e-12
        )
    if form is np.asarray or name == "slab":
        np.testing.assert_allclose(fitted.scores_, expected.scores_, atol=5e-6)
        np.testing.assert_array_equal(fitted.inlier_mask_, expected.inlier_mask_)


def test_different_centroids_have_a_direction_however_far_they_are():
    for X in ([-2, 1e14], [-1, 1e14], [1, 1e14], [2, 1e14]), [[0], [1], [3], [4]]:
        X = np.array(X, dtype=float)
        if X.shape[1] == 1:
            X += 1e14
        slab = SlabFilter().fit(X, [0, 0, 1, 1])
        np.testing.assert_array_equal(np.abs(slab.directions_[:, 0]), 1.0)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e7, 1e14 + 1 / 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_centroids_have_no_direction(constant, dtype):
    half, _ = data(501)
    half = np.column_stack([half, np.full(len(half), constant)])
    X = np.vstack([half, half[::-1]]).astype(dtype)
    with pytest.raises(ValueError, match="direction of the slab is undefined"):
        SlabFilter().fit(X, np.repeat([0, 1], len(half)))


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (1e14 + 1 / 3 + np.zeros(121), np.float64),
        (7.6e16 + 16 * np.arange(121), np.float64),
        (2e7 + np.zeros(121), np.float32),
        (1.7e9 + 60 * np.arange(121), np.float32),
    ],
    ids=["constant", "ids", "float32", "seconds"],
)
def test_defaults_bear_columns_far_from_the_origin(column, dtype):
    X, y = data()
    X = np.column_stack([X, column]).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert FilteredClassifier().fit(X, y).predict(X).shape == y.shape


def test_bounds_and_attacks_bear_a_constant_column_far_from_the_origin():
    X, y = data()
    X = np.column_stack([X, np.full(len(X), 2e7)]).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        bound = CertifiedBound().fit(X, y)
        X_poison, _ = MinMaxAttack().poison(X, y)
    assert bound.lower_bound_ <= bound.upper_bound_ < np.inf
    assert np.all(np.isfinite(X_poison))


def test_pictures_find_the_line_beside_a_huge_constant_feature():
    X, y = data()
    X = np.column_stack([X, np.full(len(X), 1e14)])
    fitted = SphereFilter().fit(X, y)
    line = plane_of(X, y, fitted.centroids_).axes[0]
    np.testing.assert_allclose(line, SlabFilter().fit(X, y).directions_[1], atol=1e-12)


EQUIVARIANT = ("sever", "loss", "spectral")  # these depend on the size of rows


@members(without=EQUIVARIANT)
@pytest.mark.parametrize(
    ("power", "dtype"),
    [
        (-900, np.float64),
        (-540, np.float64),
        (-3, np.float64),
        (540, np.float64),
        (1000, np.float64),
        (-60, np.float32),
        (100, np.float32),
    ],
)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_powers_of_two_change_no_decision(name, power, dtype, form):
    if form is sparse.csr_array and name in DENSE_ONLY:
        pytest.skip("dense only")
    X, y = data(61)
    X[X < -1] = 0
    X = X.astype(dtype)
    # What has no distance to its neighbors shows a loss of squares best.
    X[10] = X[11] + np.finfo(dtype).eps
    plain = clone(FILTERS[name]).fit(form(X), y)
    scaled = clone(FILTERS[name]).fit(form(np.ldexp(X, power)), y)
    np.testing.assert_array_equal(scaled.inlier_mask_, plain.inlier_mask_)
    unscaled = {"mahalanobis", "reduced", "labels", "copies"}
    exponent = 0 if name in unscaled else power
    scores = np.ldexp(scaled.scores_, -exponent)
    tolerance = 1e-13 if dtype == np.float64 else 2e-6
    size = np.abs(plain.scores_).max()
    np.testing.assert_allclose(scores, plain.scores_, rtol=0, atol=tolerance * size)
    later = scaled.predict(form(np.ldexp(X, power)), y)
    np.testing.assert_array_equal(later == 1, scaled.inlier_mask_)


HUGE = {
    "1e160": (np.float64, 1e160),
    "1e308": (np.float64, 1e308),
    "one feature": (np.float64, [1e308, 0, 0, 0, 0, 0]),
    "opposite": (np.float64, [1.7e308, -1.7e308] * 3),
    "float32": (np.float32, np.finfo(np.float32).max),
}


@members()
@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.filterwarnings("ignore:There are some small singular values")
def test_a_huge_row_is_judged_or_refused(name, value, form):
    if form is sparse.csr_array and name in DENSE_ONLY:
        pytest.skip("dense only")
    X, y = data()
    dtype, huge = HUGE[value]
    X = X.astype(dtype)
    fitted = clone(FILTERS[name]).fit(form(X), y)
    X[0] = huge
    for method in (fitted.decision_function, fitted.score_samples):
        judge_or_refuse(method, form(X), y)
    if judge_or_refuse(fitted.fit, form(X), y):
        assert np.all(np.isfinite(fitted.scores_))
        assert np.all(np.isfinite(getattr(fitted, "radii_", 0.0)))
        later = fitted.predict(form(X), y)
        np.testing.assert_array_equal(later == 1, fitted.inlier_mask_)


def judge_or_refuse(method, X, y):
    """Return whether there is an answer, which must be finite; else see the reason."""
    try:
        answer = method(X, y)
    except ValueError as error:
        causes = "X holds values", "X has values", "X or the centroids"
        assert any(cause in str(error) for cause in causes)
        assert "escale the data" in str(error)
        return False
    assert not isinstance(answer, np.ndarray) or not np.any(np.isnan(answer))
    assert not isinstance(answer, np.ndarray) or not np.any(answer == -np.inf)
    return True


@members("kth", "mean")
@pytest.mark.parametrize("huge", [1e17, 1e160])
@pytest.mark.parametrize("n_features", [6, 20])  # found by trees, or by products
def test_a_huge_row_does_not_move_distances_of_the_others(name, huge, n_features):
    X, y = data(n_features=n_features)
    others = clone(FILTERS[name]).fit(X[1:], y[1:]).scores_
    X[0] = huge
    fitted = clone(FILTERS[name]).fit(X, y)
    np.testing.assert_allclose(fitted.scores_[1:], others, rtol=1e-12)
    assert not fitted.inlier_mask_[0]
    assert fitted.scores_[0] < -huge


def test_features_of_different_units_are_told_apart_beside_a_huge_one():
    X, y = data()
    wide = np.column_stack([X, 1e200 * X[::-1, :1]])
    plain = np.column_stack([X, X[::-1, :1]])
    scores = [MahalanobisFilter().fit(rows, y).scores_ for rows in (wide, plain)]
    np.testing.assert_allclose(*scores, rtol=1e-9)


def test_an_estimator_of_one_s_own_may_get_huge_rows():
    from sklearn.tree import DecisionTreeClassifier

    X, y = data()
    X[0] = 1e30
    with pytest.raises(ValueError, match=r"as large as 1e\+160; .* LogisticRegression"):
        LossFilter().fit(X * 1e130, y)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    by_tree = LossFilter(estimator=tree, random_state=0)
    expected = clone(by_tree).fit(X, y).inlier_mask_
    np.testing.assert_array_equal(by_tree.fit(X * 2.0**20, y).inlier_mask_, expected)


def test_squares_that_are_lost_are_refused():
    X, y = data()
    with pytest.raises(ValueError, match="too small to be squared; rescale the data"):
        SpectralFilter().fit(X * 1e-200, y)
    with pytest.raises(ValueError, match="squares overflow: scale it"):
        outer_squares(np.ones((121, 2)), X * 1e200)
    with pytest.raises(ValueError, match="squares overflow: scale it"):
        EPICFilter(
            LogisticRegression(warm_start=True, max_iter=1), gradient="parameters"
        ).fit(X * 1e155, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [1, 2, 16, 17])
@pytest.mark.parametrize("n_features", [1, 300])
def test_means_are_exact_to_a_few_digits_of_float64(dtype, n_classes, n_features):
    rng = np.random.default_rng(n_classes)
    codes = np.append(np.arange(n_classes), rng.integers(0, n_classes, 2500))
    X = (1.0 + rng.random((len(codes), n_features)) / 7).astype(dtype)
    means = class_means(X, codes, n_classes)
    for code in range(n_classes):
        columns = X[codes == code].astype(np.float64).T[:3]
        exact = [math.fsum(column) / len(column) for column in columns]
        np.testing.assert_allclose(means[code, :3], exact, rtol=2e-15)
