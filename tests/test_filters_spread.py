"""Mahalanobis, subspace and spectral filters, against other implementations."""

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import orth
from sklearn.covariance import (
    EllipticEnvelope,
    EmpiricalCovariance,
    LedoitWolf,
    ledoit_wolf_shrinkage,
)
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, scale

from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    MahalanobisFilter,
    SpectralFilter,
    SubspaceFilter,
    _principal,
)


def correlated(n_samples=300, n_features=6, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n_samples)
    mixing = rng.normal(size=(3, n_features, n_features))
    X = np.einsum("ij,ijk->ik", rng.normal(size=(n_samples, n_features)), mixing[y])
    return X + 2 * y[:, None] + 1, y


def by_class(function, X, y):
    """Stack what a function returns for the rows of each class."""
    out = np.empty(len(X))
    for label in np.unique(y):
        out[y == label] = function(X[y == label])
    return out


def test_without_shrinkage_distances_are_mahalanobis():
    X, y = correlated()
    fitted = MahalanobisFilter(shrinkage=0.0).fit(X, y)
    expected = by_class(
        lambda rows: EmpiricalCovariance().fit(rows).mahalanobis(rows), X, y
    )
    np.testing.assert_allclose(fitted.scores_**2, expected, rtol=1e-9)
    for code in range(3):
        covariance = np.cov(X[y == code].T, bias=True)
        np.testing.assert_allclose(fitted.covariance_[code], covariance, atol=1e-12)


def test_automatic_shrinkage_is_that_of_ledoit_and_wolf():
    X, y = correlated(90, 12)
    fitted = MahalanobisFilter().fit(X, y)
    shares = [ledoit_wolf_shrinkage(scale(X[y == code])) for code in range(3)]
    np.testing.assert_allclose(fitted.shrinkage_, shares, rtol=1e-9)
    assert np.all((fitted.shrinkage_ > 0.05) & (fitted.shrinkage_ < 0.95))

    def distances(rows):
        return LedoitWolf().fit(scale(rows)).mahalanobis(scale(rows))

    np.testing.assert_allclose(fitted.scores_**2, by_class(distances, X, y), rtol=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_covariances_are_shrunk_towards_their_diagonal(share):
    X, y = correlated()
    fitted = MahalanobisFilter(shrinkage=share).fit(X, y)
    for code in range(3):
        rows = X[y == code]
        covariance = np.cov(rows.T, bias=True)
        covariance = (1 - share) * covariance + share * np.diag(np.diag(covariance))
        np.testing.assert_allclose(fitted.covariance_[code], covariance, atol=1e-12)
        centered = rows - rows.mean(axis=0)
        squares = np.sum(centered * np.linalg.solve(covariance, centered.T).T, axis=1)
        np.testing.assert_allclose(fitted.scores_[y == code] ** 2, squares, rtol=1e-9)


@pytest.mark.parametrize("shrinkage", ["auto", 0.4])
def test_units_of_features_do_not_matter(shrinkage):
    X, y = correlated()
    units = 10.0 ** np.arange(-6, 6, 2)
    mahalanobis = MahalanobisFilter(shrinkage=shrinkage)
    expected = mahalanobis.fit(X, y).scores_
    np.testing.assert_allclose(
        mahalanobis.fit(X * units, y).scores_, expected, rtol=1e-8
    )


def test_any_invertible_map_leaves_unshrunk_distances():
    X, y = correlated()
    mapped = X @ np.random.default_rng(1).normal(size=(6, 6)) + 7
    scores = [
        MahalanobisFilter(shrinkage=0).fit(rows, y).scores_ for rows in (X, mapped)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-7)


def test_far_rows_are_those_of_an_elliptic_envelope():
    X, _ = correlated()
    X[::10] *= 20
    envelope = EllipticEnvelope(contamination=0.1, random_state=0).fit(X)
    mask = MahalanobisFilter(90).fit(X).inlier_mask_
    assert np.mean(mask == (envelope.predict(X) == 1)) > 0.95


def test_many_features_are_reduced_to_principal_directions_and_means():
    X, y = correlated(300, 20)
    fitted = MahalanobisFilter(max_features=19, n_components=4, shrinkage=0).fit(X, y)
    means = np.array([X[y == code].mean(axis=0) for code in range(3)])
    _, _, directions = np.linalg.svd(X - means[y], full_matrices=False)
    basis = orth(np.vstack([directions[:4], means]).T)
    assert fitted.components_.shape == (7, 20)
    np.testing.assert_allclose(
        fitted.components_.T @ fitted.components_, basis @ basis.T, atol=1e-10
    )
    expected = by_class(
        lambda rows: EmpiricalCovariance().fit(rows @ basis).mahalanobis(rows @ basis),
        X,
        y,
    )
    np.testing.assert_allclose(fitted.scores_**2, expected, rtol=1e-8)


def test_dependent_features_have_finite_distances():
    X, y = correlated()
    copied = np.hstack([X, X])
    fitted = MahalanobisFilter(shrinkage=0).fit(copied, y)
    expected = MahalanobisFilter(shrinkage=0).fit(X, y).scores_
    np.testing.assert_allclose(fitted.scores_, expected, rtol=1e-5)
    broken = np.hstack([X[:1], -X[:1]])
    assert fitted.decision_function(broken, y[:1])[0] < -1e3


def test_a_row_off_a_constant_feature_is_rejected():
    X, y = correlated()
    X[y == 0, 2] = 5.0
    fitted = MahalanobisFilter().fit(X, y)
    assert np.abs(fitted.scores_).max() < 100
    row = X[[np.flatnonzero(y == 0)[0]]]
    row[0, 2] += 0.1
    assert fitted.decision_function(row, [0])[0] < -1e3


def test_float32_rows_have_distances_of_float64():
    X, y = correlated()
    X = (X + 100).astype(np.float32)
    expected = MahalanobisFilter().fit(X.astype(np.float64), y).scores_
    np.testing.assert_allclose(
        MahalanobisFilter().fit(X, y).scores_, expected, rtol=1e-4
    )


@pytest.mark.parametrize("n_features", [600, 1200])
def test_copies_of_sparse_rows_count_as_often_as_they_occur(n_features):
    few = sparse.random(120, n_features, 0.03, random_state=0, format="csr")
    few = few.multiply(np.geomspace(1, 3, 120)[:, None]).tocsr()
    X = sparse.vstack([few, *[few[[0]]] * 60], format="csr")
    y = np.r_[np.arange(120) % 2, np.zeros(60, dtype=int)]
    filter_ = MahalanobisFilter(n_components=5, random_state=0)
    dense = filter_.fit(X.toarray(), y).scores_
    np.testing.assert_allclose(filter_.fit(X, y).scores_, dense, rtol=1e-6)


def test_the_draw_that_starts_the_iteration_does_not_matter():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 1200)) * rng.uniform(1, 3, 1200), np.arange(80) % 2
    filters = [MahalanobisFilter(n_components=9, random_state=s) for s in range(3)]
    scores = [one.fit(X, y).scores_ for one in filters]
    np.testing.assert_allclose(scores[1:], [scores[0]] * 2, rtol=1e-6)


def subspace_distances(X, means, count):
    _, _, directions = np.linalg.svd(X, full_matrices=False)
    basis = orth(np.vstack([directions[:count], means]).T)
    return np.linalg.norm(X - X @ basis @ basis.T, axis=1)


@pytest.mark.parametrize("count", [1, 4, 6])
def test_distances_are_to_the_span_of_singular_directions_and_means(count):
    X, y = correlated(200, 12)
    means = np.array([X[y == code].mean(axis=0) for code in range(3)])
    pooled = SubspaceFilter(n_components=count).fit(X, y)
    expected = subspace_distances(X, means, count)
    np.testing.assert_allclose(-pooled.scores_, expected, rtol=1e-8)
    alone = SubspaceFilter(n_components=count, per_class=True).fit(X, y)
    for code in range(3):
        rows = X[y == code]
        expected = subspace_distances(rows, means[[code]], count)
        np.testing.assert_allclose(-alone.scores_[y == code], expected, rtol=1e-8)


def test_directions_are_those_of_truncated_svd():
    X, _ = correlated(200, 12)
    X -= X.mean(axis=0)  # so that the mean adds nothing to the span
    svd = TruncatedSVD(3, algorithm="arpack", random_state=0).fit(X)
    fitted = SubspaceFilter(n_components=3).fit(X)
    (basis,) = fitted.components_
    assert len(basis) == 3
    np.testing.assert_allclose(
        basis.T @ basis, svd.components_.T @ svd.components_, atol=1e-8
    )
    ratio = np.sum(svd.singular_values_**2) / np.sum(X**2)
    np.testing.assert_allclose(fitted.explained_ratio_, ratio)


@pytest.mark.filterwarnings("ignore:The subspace has all")
@pytest.mark.parametrize("n_features", [12, 1100])
@pytest.mark.parametrize("ratio", [0.3, 0.9, 0.999])
def test_as_few_directions_as_explain_the_ratio(n_features, ratio):
    X, _ = correlated(80, 12)
    padding = np.zeros((80, n_features - 12))
    X = np.hstack([X - X.mean(axis=0), padding])
    squares = np.linalg.svd(X, compute_uv=False) ** 2
    explained = np.cumsum(squares) / squares.sum()
    fitted = SubspaceFilter(n_components=ratio).fit(X)
    count = np.argmax(explained >= ratio) + 1
    assert len(fitted.components_[0]) == count
    np.testing.assert_allclose(fitted.explained_ratio_, explained[count - 1])


def test_too_few_directions_for_the_ratio_warn():
    X, y = correlated(200, 12)
    with pytest.warns(
        FilterWarning, match="2 directions explain only 0.* n_components=0.99"
    ):
        fitted = SubspaceFilter(n_components=0.99, max_components=2).fit(X, y)
    assert fitted.explained_ratio_[0] < 0.99


@pytest.mark.parametrize("few_rows", [(0, 0), (100, 100)])
@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (30, 30)])
@pytest.mark.parametrize("count", [1, 10, 11, 12, 100])
def test_all_directions_may_be_wanted(shape, count, few_rows, monkeypatch):
    monkeypatch.setattr(_principal, "EXACT_FEATURES", 5)
    monkeypatch.setattr(_principal, "FEW_ROWS", few_rows)
    X = np.random.default_rng(0).normal(size=shape)
    rows = _principal.ClassRows(X)
    directions, squares = _principal.principal_directions(
        rows, count, np.random.RandomState(0)
    )
    _, values, expected = np.linalg.svd(X, full_matrices=False)
    assert len(squares) == min(count, *shape)
    np.testing.assert_allclose(squares, values[:count] ** 2, rtol=1e-8)
    np.testing.assert_allclose(
        directions.T @ directions, expected[:count].T @ expected[:count], atol=1e-7
    )


def operators(X, codes):
    """Rows less one center, rows less that of their class, and what they are."""
    centers = np.array([X[codes == code].mean(axis=0) for code in (0, 1)])
    counts = 1 + codes
    weighted = np.sqrt(counts)[:, None] * (X - centers[codes])
    for rows in (X, sparse.csr_array(X)):
        yield _principal.ClassRows(rows), X
        yield _principal.ClassRows(rows, center=centers[0]), X - centers[0]
        some = np.flatnonzero(codes)
        yield _principal.ClassRows(rows, some, centers[1]), (X - centers[1])[some]
        yield _principal.WithinClasses(rows, codes, centers, counts), weighted


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_directions_come_from_the_products_of_few_rows(dtype, offset, monkeypatch):
    monkeypatch.setattr(_principal, "EXACT_FEATURES", 5)
    monkeypatch.setattr(_principal, "FEATURES_AT_ONCE", 7)
    monkeypatch.setattr(_principal, "SPARSE_DIRECTIONS", 0)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 6)) @ (np.geomspace(9, 1, 6)[:, None] * np.eye(6, 60))
    X = (X + offset).astype(dtype)
    exact = 10 * np.finfo(dtype).eps * (1 + offset)
    for rows, plain in operators(X, np.arange(30) % 2):
        scale = np.linalg.norm(plain)
        gram = plain.astype(np.float64) @ plain.T
        np.testing.assert_allclose(rows.products(), gram, atol=exact * scale**2)
        directions, squares = _principal.principal_directions(rows, 4, None)
        _, values, expected = np.linalg.svd(plain.astype(np.float64))
        np.testing.assert_allclose(squares, values[:4] ** 2, atol=exact * scale**2)
        np.testing.assert_allclose(directions @ directions.T, np.eye(4), atol=1e-12)
        np.testing.assert_allclose(
            directions.T @ directions, expected[:4].T @ expected[:4], atol=100 * exact
        )


def test_rows_that_are_all_zero_have_no_direction():
    rows = _principal.ClassRows(np.zeros((20, 2000)))
    directions, squares = _principal.principal_directions(rows, 3, None)
    assert directions.shape == (0, 2000) and len(squares) == 0


def test_rows_in_the_subspace_are_at_distance_zero():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 2000))
    for rows in (X, sparse.csr_array(X)):
        fitted = SubspaceFilter(n_components=2).fit(rows)
        assert np.abs(fitted.scores_).max() < 1e-5 * np.abs(X).max()
        np.testing.assert_array_equal(fitted.predict(rows) == 1, fitted.inlier_mask_)


def test_signatures_are_squares_of_the_first_principal_component():
    X, y = correlated()

    def signatures(rows):
        return PCA(1, svd_solver="full").fit_transform(rows)[:, 0] ** 2

    fitted = SpectralFilter().fit(X, y)
    np.testing.assert_allclose(
        -fitted.scores_, by_class(signatures, X, y), rtol=1e-8, atol=1e-12
    )


@pytest.mark.parametrize("frozen", [False, True])
def test_signatures_are_of_a_transformer_s_output(frozen):
    X, y = correlated()
    other = X[::3]
    transformer = make_pipeline(PolynomialFeatures(2), PCA(5, random_state=0))
    if frozen:
        transformer = FrozenEstimator(transformer.fit(other))
    fitted = SpectralFilter(transformer=transformer).fit(X, y)
    seen = other if frozen else X
    features = make_pipeline(PolynomialFeatures(2), PCA(5, random_state=0)).fit(seen)
    features = features.transform(X)
    expected = SpectralFilter().fit(features, y)
    np.testing.assert_allclose(fitted.scores_, expected.scores_, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(fitted.predict(X, y) == 1, fitted.inlier_mask_)


def test_a_transformer_may_return_sparse_features_but_no_nan():
    X, y = correlated()
    to_sparse = FunctionTransformer(sparse.csr_array, accept_sparse=True)
    fitted = SpectralFilter(transformer=to_sparse).fit(X, y)
    np.testing.assert_allclose(fitted.scores_, SpectralFilter().fit(X, y).scores_)
    broken = FunctionTransformer(lambda rows: rows * np.nan)
    with pytest.raises(ValueError, match="transformer's output contains NaN"):
        SpectralFilter(transformer=broken).fit(X, y)


def test_a_backdoor_is_found_in_its_class_alone():
    X, y = make_blobs([200, 200], 30, random_state=0)
    poison = np.flatnonzero(y == 1)[:10]
    X[poison, :3] += 15
    fitted = SpectralFilter(contamination=0.05).fit(X, y)
    rejected = np.flatnonzero(~fitted.inlier_mask_ & (y == 1))
    np.testing.assert_array_equal(rejected, poison)


@pytest.mark.parametrize(
    ("n_features", "n_classes", "n_components", "advice", "taken"),
    [
        (6, 2, 6, "Decrease n_components", {"n_components": 1}),
        (4, 3, 1, "per_class=True", {"n_components": 1, "per_class": True}),
        (2, 2, 1, "another filter", None),
    ],
)
def test_advice_on_a_subspace_of_all_dimensions_helps(
    n_features, n_classes, n_components, advice, taken
):
    rng = np.random.default_rng(0)
    y = np.arange(60) % n_classes
    X = rng.normal(size=(60, n_features)) + 5 * rng.normal(size=(3, n_features))[y]
    filter_ = SubspaceFilter(70, n_components=n_components)
    with pytest.warns(FilterWarning, match=advice):
        filter_.fit(X, y)
    if taken is not None:
        assert not filter_.set_params(**taken).fit(X, y).inlier_mask_.all()
