"""Sphere and slab: their mathematics, against plain numpy on float64 copies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.datasets import make_blobs

from skpoison import SlabFilter, SphereFilter
from skpoison.exceptions import FilterWarning
from skpoison.filters import _rows
from skpoison.filters._measures import SignedOffset, measure


class L1SphereFilter(SphereFilter):
    """SphereFilter with its other norm as default, so that it takes the same tests."""

    def __init__(
        self, percentile=70.0, *, centroids=None, radii=None, random_state=None
    ):
        super().__init__(
            percentile,
            centroids=centroids,
            radii=radii,
            norm="l1",
            random_state=random_state,
        )


BOTH = pytest.mark.parametrize("make", [SphereFilter, SlabFilter])
ALL = pytest.mark.parametrize("make", [SphereFilter, SlabFilter, L1SphereFilter])


def blobs(n_samples=200, n_features=5, centers=3, seed=0):
    return make_blobs(n_samples, n_features, centers=centers, random_state=seed)


def plain_distances(kind, X, y):
    """Distances, centroids and directions, written down class by class."""
    X = X.astype(np.float64)
    labels = np.unique(y)
    centroids = np.array([X[y == label].mean(axis=0) for label in labels])
    out = np.empty(len(X))
    for k, label in enumerate(labels):
        differences = X[y == label] - centroids[k]
        if kind is SphereFilter:
            out[y == label] = np.sqrt((differences**2).sum(axis=1))
        elif kind is L1SphereFilter:
            out[y == label] = np.abs(differences).sum(axis=1)
        else:
            direction = centroids[k] - np.delete(centroids, k, axis=0).mean(axis=0)
            direction /= np.sqrt((direction**2).sum())
            out[y == label] = np.abs((differences * direction).sum(axis=1))
    return out


@ALL
@pytest.mark.parametrize("centers", [2, 3, 7])
@pytest.mark.parametrize("percentile", [0.01, 35, 70, 100])
def test_rows_within_the_percentile_of_their_class_are_kept(make, centers, percentile):
    X, y = blobs(centers=centers)
    fitted = make(percentile).fit(X, y)
    distances = plain_distances(make, X, y)
    np.testing.assert_allclose(-fitted.scores_, distances, rtol=1e-12, atol=1e-13)
    for k in range(centers):
        radius = np.percentile(distances[y == k], percentile)
        np.testing.assert_allclose(fitted.radii_[k], radius, rtol=1e-12, atol=1e-13)
        n_kept = np.sum(fitted.inlier_mask_ & (y == k))
        # Interpolation lies between the rows number floor((n - 1) p) and the next.
        assert n_kept == int((np.sum(y == k) - 1) * percentile / 100 + 1e-9) + 1


def test_two_classes_have_the_direction_between_their_centroids():
    X, y = blobs(centers=2)
    slab = SlabFilter().fit(X, y)
    between = slab.centroids_[1] - slab.centroids_[0]
    between /= np.linalg.norm(between)
    np.testing.assert_allclose(slab.directions_, [-between, between], rtol=1e-13)


def test_the_other_classes_count_once_each_whatever_their_size():
    X, y = blobs(centers=3)
    few = np.flatnonzero((y != 2) | (np.arange(len(y)) % 5 == 0))
    means = {k: X[y == k].mean(axis=0) for k in range(3)}
    slab = SlabFilter(centroids=means)
    np.testing.assert_array_equal(
        slab.fit(X, y).directions_, slab.fit(X[few], y[few]).directions_
    )


LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "read-only": lambda X: np.frombuffer(X.tobytes(), X.dtype).reshape(X.shape),
    "CSR": sparse.csr_array,
}


# Sizes around those of SIMD registers, blocks and numpy's pairwise summation.
@pytest.mark.parametrize("n_features", [1, 2, 7, 8, 33, 130, 256, 1100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
@ALL
def test_scores_do_not_depend_on_the_rows_around(
    make, n_features, dtype, layout, monkeypatch
):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(41, n_features)) * (rng.random((41, n_features)) < 0.7)
    X[5:7] = 0  # two empty rows
    X = LAYOUTS[layout](X.astype(dtype))
    y = np.arange(41) % 3
    centroids = rng.normal(size=(3, n_features))
    fitted = make(centroids=centroids).fit(X, y)
    np.testing.assert_array_equal(fitted.score_samples(X, y), fitted.scores_)
    np.testing.assert_array_equal(fitted.predict(X, y) == 1, fitted.inlier_mask_)
    one_by_one = [fitted.score_samples(X[[i]], y[[i]])[0] for i in range(41)]
    np.testing.assert_array_equal(one_by_one, fitted.scores_)
    monkeypatch.setattr(_rows, "BLOCK_BYTES", 8 * 5 * n_features)
    np.testing.assert_array_equal(fitted.score_samples(X, y), fitted.scores_)


@ALL
def test_blocks_do_not_change_the_result(make, monkeypatch):
    X, y = blobs(500, 6)
    whole = make().fit(X, y)
    monkeypatch.setattr(_rows, "BLOCK_BYTES", 8 * 6 * 7)
    blocks = make().fit(X, y)
    np.testing.assert_allclose(blocks.scores_, whole.scores_, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(blocks.inlier_mask_, whole.inlier_mask_)


@BOTH
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_float32_is_accurate_near_the_centroid_too(make, offset):
    X, y = blobs(3000, 50)
    X = (X + offset).astype(np.float32)
    X[0] = X[y == y[0]].mean(axis=0) * np.float32(1 + 1e-6)
    fitted = make().fit(X, y)
    assert fitted.centroids_.dtype == np.float64
    assert fitted.scores_.dtype == np.float64
    centers = fitted.centroids_.astype(np.float64)[y]
    differences = X - centers
    length = np.linalg.norm(differences, axis=1)
    if make is SphereFilter:
        exact = length
    else:
        exact = np.abs(np.einsum("ij,ij->i", differences, fitted.directions_[y]))
    assert np.all(np.abs(-fitted.scores_ - exact) <= 2e-6 * length)


@pytest.mark.parametrize("n_classes", [2, 300])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_float32_centroids_are_accurate_for_many_rows(n_classes, as_sparse):
    rng = np.random.default_rng(0)
    X = (rng.random((200_000, 3)) + 10).astype(np.float32)
    X[:, 0] = 0.1  # sums of equal values round the same way each time
    y = rng.integers(0, n_classes, len(X))
    means = _rows.class_means(sparse.csr_array(X) if as_sparse else X, y, n_classes)
    exact = [X[y == k].mean(axis=0, dtype=np.float64) for k in range(n_classes)]
    np.testing.assert_allclose(means, exact, rtol=1e-6)


@ALL
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "as_sparse", ["csr_array", "csr_matrix", "csc_array", "coo_array"]
)
def test_sparse_rows_score_like_dense_ones(make, dtype, as_sparse):
    X, y = blobs(300, 40)
    X[np.random.default_rng(1).random(X.shape) < 0.8] = 0
    X[5] = 0
    X = X.astype(dtype)
    dense = make().fit(X.astype(np.float64), y)
    fitted = make().fit(getattr(sparse, as_sparse)(X), y)
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(fitted.scores_, dense.scores_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(
        fitted.centroids_, dense.centroids_, rtol=rtol, atol=rtol
    )
    assert fitted.centroids_.dtype == np.float64


@ALL
def test_sparse_entries_may_be_unsorted_zero_or_stored_in_parts(make):
    X, y = blobs(80, 6, 2)
    X[:, 2] = 0
    columns = np.tile([5, 0, 1, 2, 0, 3, 4], 80)
    values = X[:, columns[:7]]
    values[:, [1, 4]] /= 2
    odd = sparse.csr_array(
        (values.ravel(), columns, np.arange(0, 561, 7)), shape=X.shape
    )
    before = odd.copy()
    fitted = make().fit(odd, y)
    np.testing.assert_allclose(fitted.scores_, make().fit(X, y).scores_, atol=1e-13)
    np.testing.assert_array_equal(fitted.score_samples(odd, y), fitted.scores_)
    one_by_one = [fitted.score_samples(odd[[i]], y[[i]])[0] for i in range(80)]
    np.testing.assert_array_equal(one_by_one, fitted.scores_)
    np.testing.assert_array_equal(odd.data, before.data)
    np.testing.assert_array_equal(odd.indices, before.indices)


def test_squares_of_sparse_distances_are_accurate_near_the_centroid():
    rng = np.random.default_rng(0)
    center = 1000 * rng.random(400) * (rng.random(400) < 0.5)
    for size in (0.0, 1e-6, 1.0):
        X = center + size * rng.normal(size=(50, 400)) * (center != 0)
        X[25:, :200] = 0
        fitted = SphereFilter(centroids=[center]).fit(sparse.csr_array(X))
        squares = ((X - center) ** 2).sum(axis=1)
        scale = (X**2).sum(axis=1) + center @ center
        assert np.all(np.abs(fitted.scores_**2 - squares) <= 1e-13 * scale)


@ALL
def test_large_sparse_rows_are_never_made_dense(make):
    n_samples, n_features = 20_000, 1_000_000  # 160 GB if dense
    rng = np.random.default_rng(0)
    columns = rng.integers(0, n_features, (n_samples, 3))
    rows = np.repeat(np.arange(n_samples), 3)
    X = sparse.coo_array(
        (np.ones(rows.size, np.float32), (rows, columns.ravel())),
        shape=(n_samples, n_features),
    ).tocsr()
    y = rng.integers(0, 2, n_samples)
    fitted = make().fit(X, y)
    assert fitted.fit_transform(X, y).dtype == np.float32
    assert 0.69 < fitted.inlier_mask_.mean() <= 1


@ALL
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_training_rows_are_judged_alike_at_fit_and_later(make, data):
    n_samples = data.draw(st.integers(4, 30))
    seed = data.draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    # Few distinct values: ties at the radius.
    X = rng.integers(-2, 3, (n_samples, data.draw(st.integers(1, 4)))).astype(float)
    y = np.arange(n_samples) % 2
    X[y == 1] += 0.3
    if data.draw(st.booleans()):
        X = sparse.csr_array(X)
    if np.ptp(X[y == 0].mean(axis=0) - X[y == 1].mean(axis=0)) == 0 and X.shape[1] > 1:
        return
    try:
        fitted = make(data.draw(st.floats(0.1, 100))).fit(X, y)
    except ValueError as error:
        assert "direction of the slab is undefined" in str(error)
        return
    np.testing.assert_array_equal(fitted.predict(X, y) == 1, fitted.inlier_mask_)
    assert np.all(np.bincount(y[fitted.inlier_mask_], minlength=2) >= 1)


@ALL
def test_moving_all_rows_moves_nothing_else(make):
    X, y = blobs()
    near, far = make().fit(X, y), make().fit(X + 100, y)
    np.testing.assert_allclose(near.radii_, far.radii_, rtol=1e-9)
    np.testing.assert_array_equal(near.inlier_mask_, far.inlier_mask_)


@ALL
def test_fixed_centroids_and_radii_are_used_as_given(make):
    X, y = blobs(centers=2)
    centroids, radii = [[0.0] * 5, [1.0] * 5], [15.0, 18.0]
    fixed = make(centroids=centroids, radii=radii).fit(X, y)
    np.testing.assert_array_equal(fixed.centroids_, centroids)
    np.testing.assert_array_equal(fixed.radii_, radii)
    by_label = make(
        centroids={1: centroids[1], 0: centroids[0], 9: [7.0] * 5},
        radii={0: radii[0], 1: radii[1]},
    )
    np.testing.assert_array_equal(by_label.fit(X, y).scores_, fixed.scores_)
    decisions = np.asarray(radii)[y] + fixed.scores_
    np.testing.assert_array_equal(fixed.inlier_mask_, decisions >= 0)


def test_given_centroids_leave_the_radii_to_the_data():
    X, y = blobs(centers=2)
    fitted = SphereFilter(50, centroids=np.zeros((2, 5))).fit(X, y)
    norms = np.linalg.norm(X, axis=1)
    medians = [np.median(norms[y == k]) for k in (0, 1)]
    np.testing.assert_allclose(fitted.radii_, medians, rtol=1e-12)


def test_a_radius_of_zero_keeps_the_centroid():
    X = np.array([[0.0, 0.0], [1.0, 0.0], [5.0, 5.0], [6.0, 5.0]])
    sphere = SphereFilter(centroids=[[0, 0], [5, 5]], radii=[0, 0])
    mask = sphere.fit(X, [0, 0, 1, 1]).inlier_mask_
    np.testing.assert_array_equal(mask, [True, False, True, False])


@ALL
def test_constant_features_are_harmless(make):
    X, y = blobs()
    constant = np.hstack([X, np.full((len(X), 1), 3.0)])
    np.testing.assert_allclose(
        make().fit(constant, y).scores_, make().fit(X, y).scores_, rtol=1e-12
    )


@ALL
@pytest.mark.parametrize("as_sparse", [False, True])
def test_a_class_of_one_row_is_at_distance_zero(make, as_sparse):
    X, y = blobs(61, 9)
    y[:] = 0
    y[17] = 1
    fitted = make().fit(sparse.csr_array(X) if as_sparse else X, y)
    assert fitted.scores_[17] == 0
    assert fitted.radii_[1] == 0
    assert fitted.inlier_mask_[17]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_identical_centroids_have_no_direction(dtype):
    rng = np.random.default_rng(0)
    half = rng.random((500, 4)) + 1
    X = np.vstack([half, half[::-1]]).astype(dtype)
    y = np.repeat(["a", "b"], 500)
    with pytest.raises(ValueError, match=r"undefined for the classes \['a', 'b'\]"):
        SlabFilter().fit(X, y)
    SphereFilter().fit(X, y)


def test_a_centroid_between_the_others_has_no_direction():
    with pytest.raises(ValueError, match=r"undefined for the classes \[1\]"):
        SlabFilter(centroids=[[0.0], [1.0], [2.0]]).fit(
            [[0.0], [1.1], [2.0]], [0, 1, 2]
        )


@pytest.mark.parametrize("y", [None, ["a"] * 200])
def test_a_slab_without_two_classes_keeps_everything_and_warns(y):
    X, _ = blobs()
    with pytest.warns(FilterWarning, match="labels of at least two classes"):
        slab = SlabFilter().fit(X, y)
    assert slab.inlier_mask_.all()
    assert np.all(slab.predict(100 * X) == 1)
    assert slab.feasible_set()[slab.classes_[0]].contains(100 * X).all()


@ALL
def test_without_labels_rows_get_their_best_value(make):
    X, y = blobs()
    fitted = make().fit(X, y)
    rows = X + 1
    for method in (fitted.score_samples, fitted.decision_function):
        each = [method(rows, np.full(len(X), k)) for k in range(3)]
        np.testing.assert_array_equal(method(rows), np.max(each, axis=0))
    np.testing.assert_array_equal(
        fitted.predict(rows), np.where(fitted.decision_function(rows) >= 0, 1, -1)
    )


@ALL
def test_decisions_are_scores_minus_the_offset_of_the_class(make):
    X, y = blobs()
    fitted = make().fit(X, y)
    np.testing.assert_array_equal(
        fitted.decision_function(X, y), fitted.score_samples(X, y) - fitted.offset_[y]
    )


@BOTH
def test_the_feasible_set_holds_the_rows_that_are_kept(make):
    X, y = blobs()
    fitted = make().fit(X, y)
    feasible = fitted.feasible_set()
    rng = np.random.default_rng(0)
    rows = X + rng.normal(size=X.shape)
    for label in fitted.classes_:
        labels = np.full(len(X), label)
        clear = np.abs(fitted.decision_function(rows, labels)) > 1e-9
        np.testing.assert_array_equal(
            feasible[label].contains(rows[clear]),
            fitted.predict(rows, labels)[clear] == 1,
        )


@ALL
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("given", [None, [[0.0] * 3, [1.0] * 3]])
def test_values_that_are_not_finite_are_refused(make, value, as_sparse, given):
    X, y = blobs(30, 3, 2)
    fitted = make(centroids=given).fit(X, y)
    X[7, 1] = value
    X = sparse.csr_array(X) if as_sparse else X
    for method in (fitted.fit, fitted.predict, fitted.fit_filter, fitted.fit_transform):
        with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
            method(X, y)
    with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
        fitted.transform(X)


def test_only_euclidean_spheres_have_a_feasible_set():
    X, y = blobs()
    diamond = SphereFilter(norm="l1").fit(X, y)
    assert not hasattr(diamond, "feasible_set")
    assert not hasattr(diamond & SphereFilter(), "feasible_set")
    with pytest.raises(ValueError, match="'norm' parameter"):
        SphereFilter(norm="l3").fit(X, y)


def test_squares_that_overflow_float32_are_those_of_float64():
    X = np.array([[1e30, 0], [-1e30, 0], [0, 1], [1, 1]], dtype=np.float32)
    y = [0, 0, 1, 1]
    expected = SphereFilter().fit(X.astype(np.float64), y).scores_
    np.testing.assert_allclose(SphereFilter().fit(X, y).scores_, expected, rtol=1e-6)


@pytest.mark.parametrize("make", [SphereFilter, L1SphereFilter])
def test_distances_that_are_no_float64_are_refused(make):
    X = np.array([[1.5e308] * 9, [-1.5e308] * 9, [0] * 9, [1] * 9])
    with pytest.raises(ValueError, match=r"overflow float64: X .* too large.* rescale"):
        make().fit(X, [0, 0, 1, 1])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"percentile": 0}, r"'percentile' parameter .* range \(0.0, 100.0\]. Got 0"),
        ({"percentile": 101}, "'percentile' parameter .* Got 101"),
        ({"percentile": "many"}, "'percentile' parameter .* Got 'many'"),
        ({"percentile": np.nan}, "'percentile' parameter .* Got nan"),
        (
            {"radii": [1.0]},
            r"radii must have shape \(2,\).*labels \[0, 1\]; got \(1,\)",
        ),
        ({"radii": [1.0, -1.0]}, r"radii must not be negative; got \[1.0, -1.0\]"),
        ({"radii": [1.0, np.nan]}, "radii must not contain NaN or infinity"),
        ({"radii": {7: 1.0}}, r"radii has no entry for the labels \[0, 1\]"),
        (
            {"radii": {0: 1.0}, "handle_unknown": "error"},
            r"radii has no entry for the labels \[1\]",
        ),
        ({"centroids": np.zeros((2, 4))}, r"centroids must have shape \(2, 5\)"),
        (
            {"centroids": {1: [0.0] * 5}, "handle_unknown": "error"},
            r"no entry for the labels \[0\]",
        ),
        ({"handle_unknown": "ignore"}, "'handle_unknown' parameter .* Got 'ignore'"),
        ({"random_state": "x"}, "'random_state' parameter"),
    ],
)
@BOTH
def test_bad_parameters_are_named(make, parameters, message):
    X, y = blobs(centers=2)
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(X, y)


def test_mnist_thresholds_are_those_of_plain_numpy(data_folder):
    with np.load(data_folder / "mnist_17.npz") as file:
        X, y = file["X_train"] / np.float32(255), file["y_train"]
    for make in (SphereFilter, SlabFilter):
        fitted = make(70).fit(X, y)
        distances = plain_distances(make, X, y)
        radii = [np.percentile(distances[y == label], 70) for label in (-1, 1)]
        np.testing.assert_allclose(fitted.radii_, radii, rtol=1e-5)
        in_sparse = make(70).fit(sparse.csr_array(X), y)
        np.testing.assert_allclose(in_sparse.radii_, radii, rtol=1e-5)
        agree = fitted.inlier_mask_ == in_sparse.inlier_mask_
        assert agree.mean() > 0.999


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", [3, 100, 256])
def test_offsets_along_one_direction_are_those_along_two_opposite_ones(
    dtype, n_features
):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, n_features)).astype(dtype)
    codes, v = rng.integers(0, 2, 900), rng.normal(size=n_features)
    centroids = rng.normal(size=(2, n_features)).astype(np.float32).astype(np.float64)
    (found,) = measure(X, codes, SignedOffset(centroids, np.array([v, -v])))
    apart = [
        measure(X, np.zeros(900, int), SignedOffset(centroids[[k]], w[np.newaxis]))[0]
        for k, w in enumerate([v, -v])
    ]
    np.testing.assert_array_equal(found, np.choose(codes, apart))
    # Directions that only one feature tells apart are two.
    other = v.copy()
    other[-1] += 1.0
    (apart,) = measure(X, codes, SignedOffset(centroids, np.array([v, other])))
    rows = np.flatnonzero(codes == 1)
    expected = (X[rows] - centroids[1]) @ other
    np.testing.assert_allclose(apart[rows], expected, atol=1e-4)


def test_directions_of_two_classes_are_opposite_to_the_last_digit():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    for _ in range(20):
        X = rng.normal(size=(60, 5)) * 10.0 ** rng.integers(-9, 9, 5) + y[:, np.newaxis]
        first, second = SlabFilter().fit(X, y).directions_
        np.testing.assert_array_equal(first, -second)
