"""What holds for every filter, whatever it looks at."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import RidgeClassifier

from skpoison import SlabFilter, SphereFilter
from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    LossFilter,
    MahalanobisFilter,
    NeighborsFilter,
    SeverFilter,
    SpectralFilter,
    SubspaceFilter,
    _principal,
)

# Few features, nearly all of whose directions matter.
pytestmark = pytest.mark.filterwarnings("ignore:The subspace has all")

RIDGE = RidgeClassifier(tol=1e-12)
FAMILY = {
    "sphere": SphereFilter(70),
    "l1": SphereFilter(70, norm="l1"),
    "slab": SlabFilter(70),
    "mahalanobis": MahalanobisFilter(70),
    "reduced": MahalanobisFilter(70, max_features=2, n_components=2),
    "subspace": SubspaceFilter(70, n_components=2),
    "ratio": SubspaceFilter(70, n_components=0.8),
    "subspaces": SubspaceFilter(70, n_components=2, per_class=True),
    "kth": NeighborsFilter(70),
    "mean": NeighborsFilter(70, criterion="mean"),
    "labels": NeighborsFilter(70, criterion="labels"),
    "loss": LossFilter(70),
    "squared": LossFilter(70, estimator=RIDGE, loss="squared", max_iter=1),
    "spectral": SpectralFilter(70),
    "sever": SeverFilter(70),
    "one round": SeverFilter(70, estimator=RIDGE, loss="squared", n_rounds=1),
    "and": MahalanobisFilter(70) & SphereFilter(70),
    "or": SpectralFilter(70) | SlabFilter(70),
}
# Those that compare each row with its class in numbers that are all different.
DISTINCT = [name for name in FAMILY if name not in ("labels", "and", "or", "ratio")]


def members(*names):
    return pytest.mark.parametrize("filter_", names, indirect=True)


@pytest.fixture
def filter_(request):
    return clone(FAMILY[request.param])


each_member = members(*FAMILY)


def overlapping(n_samples=150, n_features=6, centers=3, seed=0):
    X, y = make_blobs(
        n_samples, n_features, centers=centers, cluster_std=3.0, random_state=seed
    )
    X[:, 0] *= 2
    return X, y


@each_member
def test_percentile_100_keeps_all_rows(filter_):
    X, y = overlapping()
    names = [name for name in filter_.get_params() if name.endswith("percentile")]
    filter_.set_params(**dict.fromkeys(names, 100))
    assert filter_.fit(X, y).inlier_mask_.all()


# Two rows may be each other's neighbors, at the same distance.
@members(*(name for name in DISTINCT if name != "kth"))
@pytest.mark.parametrize("percentile", [10, 50, 95])
def test_each_class_keeps_its_percentile(filter_, percentile):
    X, y = make_blobs([40, 71, 13], 6, cluster_std=3.0, random_state=0)
    mask = filter_.set_params(percentile=percentile).fit(X, y).inlier_mask_
    for label in range(3):
        n_rows = np.sum(y == label)
        expected = int((n_rows - 1) * percentile / 100 + 1e-9) + 1
        assert np.sum(mask & (y == label)) == expected


@each_member
def test_training_rows_are_judged_alike_at_fit_and_later(filter_):
    X, y = overlapping()
    for rows in (X, X.astype(np.float32), sparse.csr_array(X)):
        fitted = clone(filter_).fit(rows, y)
        np.testing.assert_array_equal(fitted.predict(rows, y) == 1, fitted.inlier_mask_)
        one_by_one = [fitted.predict(rows[[i]], y[[i]])[0] == 1 for i in range(len(y))]
        np.testing.assert_array_equal(one_by_one, fitted.inlier_mask_)
        scores = fitted.score_samples(rows, y)
        np.testing.assert_allclose(scores, fitted.scores_, rtol=1e-5, atol=1e-5)


@members("mahalanobis", "reduced", "subspace", "subspaces", "kth", "mean", "spectral")
@pytest.mark.parametrize("n_features", [3, 50, 1100])
def test_scores_do_not_depend_on_the_rows_around(filter_, n_features):
    X, y = overlapping(90, n_features)
    fitted = filter_.fit(X, y)
    np.testing.assert_array_equal(fitted.score_samples(X, y), fitted.scores_)
    for rows in (slice(3, 4), slice(50, 83)):
        some = fitted.score_samples(X[rows], y[rows])
        np.testing.assert_array_equal(some, fitted.scores_[rows])


@each_member
def test_rows_may_come_in_any_order(filter_):
    X, y = overlapping()
    order = np.random.default_rng(0).permutation(len(y))
    scores = clone(filter_).fit(X, y).scores_
    permuted = filter_.fit(X[order], y[order])
    np.testing.assert_allclose(permuted.scores_, scores[order], rtol=1e-6, atol=1e-8)


@each_member
def test_labels_are_names_only(filter_):
    X, y = overlapping()
    scores = clone(filter_).fit(X, y).scores_
    renamed = filter_.fit(X, np.array(["c", "a", "b"])[y])
    np.testing.assert_allclose(renamed.scores_, scores, rtol=1e-4, atol=1e-4)


@each_member
@pytest.mark.parametrize("by_iteration", [False, True])
def test_sparse_rows_score_like_dense_ones(filter_, by_iteration, monkeypatch):
    X, y = overlapping(120, 40)
    X[np.random.default_rng(1).random(X.shape) < 0.7] = 0
    X[5] = 0
    dense = clone(filter_).fit(X, y)
    if by_iteration:
        monkeypatch.setattr(_principal, "EXACT_FEATURES", 10)
        monkeypatch.setattr(_principal, "FEW_ROWS", (0, 0))
    fitted = filter_.fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(fitted.scores_, dense.scores_, rtol=1e-6, atol=1e-7)
    shifted = X + 0.1 * (X != 0)
    np.testing.assert_allclose(
        fitted.decision_function(sparse.csr_array(shifted), y),
        dense.decision_function(shifted, y),
        rtol=1e-6,
        atol=1e-7,
    )


@pytest.mark.parametrize("few_rows", [(0, 0), (1000, 1000)])
@members("mahalanobis", "subspace", "ratio", "spectral", "sever", "reduced")
def test_other_ways_find_the_directions_of_dense_rows_too(
    filter_, few_rows, monkeypatch
):
    X, y = overlapping(120, 40)
    exact = clone(filter_).fit(X, y)
    monkeypatch.setattr(_principal, "EXACT_FEATURES", 10)
    monkeypatch.setattr(_principal, "FEW_ROWS", few_rows)
    iterated = filter_.fit(X, y)
    np.testing.assert_allclose(iterated.scores_, exact.scores_, rtol=1e-6, atol=1e-7)


@members("reduced", "subspace", "subspaces", "kth", "loss", "spectral", "sever")
def test_large_sparse_rows_are_never_made_dense(filter_):
    n_samples, n_features = 1000, 200_000  # 1.6 GB if dense
    rng = np.random.default_rng(0)
    X = sparse.random_array((n_samples, n_features), density=1e-4, rng=rng).tocsr()
    y = rng.integers(0, 2, n_samples)
    tracemalloc.start()
    fitted = filter_.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2e8
    assert 0.6 < fitted.inlier_mask_.mean() < 0.8


@members("sphere", "mahalanobis", "reduced", "subspace", "kth", "mean", "spectral")
def test_units_and_axes_do_not_matter(filter_):
    """Units that all features share; axes that are turned."""
    X, y = overlapping()
    if isinstance(filter_, MahalanobisFilter):
        filter_.set_params(shrinkage=0.0)
    mask = clone(filter_).fit(X, y).inlier_mask_
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    for factor in (1e-3, 1e3):
        np.testing.assert_array_equal(
            clone(filter_).fit(factor * X @ turn, y).inlier_mask_, mask
        )


@members("sphere", "l1", "slab", "mahalanobis", "kth", "mean", "labels", "spectral")
def test_moving_all_rows_moves_nothing_else(filter_):
    X, y = overlapping()
    scores = clone(filter_).fit(X, y).scores_
    moved = filter_.fit(X + 1e6, y)
    np.testing.assert_allclose(moved.scores_, scores, rtol=1e-7, atol=1e-7)


def shifted(X, y, rows):
    X[rows] += 30


def stretched(X, y, rows):
    X[rows] *= 9


def scattered(X, y, rows):
    X[rows, rows % 20] += 15


def off_the_subspace(X, y, rows):
    X[:, 5:] *= 0.01
    X[rows, 19] = np.where(rows % 2, 0.2, -0.2)


def clustered(X, y, rows):
    X[rows, 3] += 80


def flipped(X, y, rows):
    y[rows] = 1 - y[rows]


def flipped_and_stretched(X, y, rows):
    X[rows] *= 2
    y[rows] = 1 - y[rows]


PLANTED = {
    "sphere": shifted,
    "l1": shifted,
    "slab": stretched,
    "mahalanobis": scattered,
    "subspace": off_the_subspace,
    "kth": stretched,
    "labels": flipped,
    "loss": flipped,
    "spectral": clustered,
    "sever": flipped_and_stretched,
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_poison_is_rejected(name):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200)
    X = rng.normal(size=(400, 20)) + np.outer(2 * y - 1, np.linspace(2, 0, 20))
    rows = np.r_[0:20, 200:220]
    PLANTED[name](X, y, rows)
    filter_ = clone(FAMILY[name]).set_params(percentile=85)
    if name == "subspace":
        filter_.set_params(n_components=5)
    assert filter_.fit(X, y).inlier_mask_[rows].mean() <= 0.05


@each_member
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(filter_, value):
    X, y = overlapping()
    fitted = clone(filter_).fit(X, y)
    X[7, 1] = value
    for rows in (X, sparse.csr_array(X)):
        for method in (filter_.fit, fitted.predict):
            with pytest.raises(ValueError, match=r"X contains (NaN|infinity)"):
                method(rows, y)


@each_member
@pytest.mark.filterwarnings("ignore::skpoison.exceptions.FilterWarning")
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_a_class_of_one_row_keeps_it(filter_, kind):
    X, y = overlapping(centers=2)
    y[17] = 5
    fitted = filter_.fit(kind(X), y)
    assert fitted.inlier_mask_[17]
    far = fitted.decision_function(kind(X[[17]] + 100), [5])
    assert np.isfinite(far).all()


@each_member
@pytest.mark.filterwarnings("ignore::skpoison.exceptions.FilterWarning")
@pytest.mark.parametrize("value", [0.0, 0.1, 1e10])
def test_constant_features_are_harmless(filter_, value):
    X, y = overlapping()
    constant = np.hstack([X, np.full((len(X), 1), value)])
    fitted = filter_.fit(constant, y)
    assert np.isfinite(fitted.scores_).all()
    np.testing.assert_array_equal(fitted.predict(constant, y) == 1, fitted.inlier_mask_)
    assert fitted.inlier_mask_.mean() > 0.4
    # Only where all rows lie in the subspace is there none to reject.
    assert not fitted.inlier_mask_.all() or np.all(fitted.scores_ == 0)


@each_member
@pytest.mark.filterwarnings("ignore::skpoison.exceptions.FilterWarning")
def test_equal_rows_are_kept(filter_):
    X = np.repeat([[1.0, 2.0], [5.0, 3.0]], 10, axis=0)
    y = np.repeat([0, 1], 10)
    fitted = filter_.fit(X, y)
    assert fitted.inlier_mask_.all()
    assert np.all(fitted.predict(X, y) == 1)


WITHOUT_ONE_CLASS = ("slab", "labels", "loss", "squared", "sever", "one round")


@members(*WITHOUT_ONE_CLASS)
@pytest.mark.parametrize("labelled", [False, True])
def test_filters_that_need_two_classes_keep_everything_and_warn(filter_, labelled):
    X, _ = overlapping()
    y = np.ones(len(X)) if labelled else None
    with pytest.warns(FilterWarning, match=r"at least two\s+classes"):
        fitted = filter_.fit(X, y)
    assert fitted.inlier_mask_.all()
    assert np.all(fitted.predict(1e3 * X, y) == 1)


@members(*(name for name in DISTINCT if name not in WITHOUT_ONE_CLASS))
def test_without_labels_there_is_one_class(filter_):
    X, y = overlapping()
    fitted = clone(filter_).fit(X)
    one_class = filter_.fit(X, np.full(len(y), "a"))
    np.testing.assert_array_equal(fitted.scores_, one_class.scores_)
    assert np.sum(fitted.inlier_mask_) == int(149 * 0.7) + 1


@members("loss", "spectral", "sever")
def test_contamination_is_what_the_percentile_leaves(filter_):
    X, y = overlapping()
    filter_.set_params(percentile=None)
    by_percentile = clone(filter_).set_params(percentile=75.0).fit(X, y)
    by_contamination = clone(filter_).set_params(contamination=0.25).fit(X, y)
    np.testing.assert_array_equal(by_percentile.scores_, by_contamination.scores_)
    np.testing.assert_array_equal(
        by_percentile.inlier_mask_, by_contamination.inlier_mask_
    )
    default = clone(filter_).fit(X, y).inlier_mask_
    for neither in ({"percentile": "auto"}, {"contamination": None}):
        same = clone(filter_).set_params(**neither).fit(X, y).inlier_mask_
        np.testing.assert_array_equal(same, default)
    with pytest.raises(ValueError, match=r"percentile=75.0 and contamination=0.25"):
        filter_.set_params(percentile=75.0, contamination=0.25).fit(X, y)


BAD_PARAMETERS = [
    ("sphere", {"percentile": 0}),
    ("sphere", {"percentile": "Auto"}),
    ("sphere", {"percentile": None}),
    ("spectral", {"percentile": "Auto"}),
    ("spectral", {"contamination": "Auto"}),
    ("mahalanobis", {"percentile": 101}),
    ("mahalanobis", {"shrinkage": 1.5}),
    ("mahalanobis", {"shrinkage": "none"}),
    ("mahalanobis", {"max_features": 0}),
    ("mahalanobis", {"n_components": 0.5}),
    ("subspace", {"n_components": 0}),
    ("subspace", {"n_components": 1.0}),
    ("subspace", {"max_components": 0}),
    ("kth", {"n_neighbors": 0}),
    ("kth", {"criterion": "far"}),
    ("kth", {"algorithm": "fast"}),
    ("loss", {"contamination": 0}),
    ("loss", {"contamination": 0.6}),
    ("loss", {"loss": "cubic"}),
    ("loss", {"estimator": "svm"}),
    ("loss", {"max_iter": 0}),
    ("spectral", {"contamination": -0.1}),
    ("spectral", {"transformer": RIDGE}),
    ("sever", {"loss": abs}),
    ("sever", {"n_rounds": 0}),
]


@pytest.mark.parametrize(("name", "parameters"), BAD_PARAMETERS)
def test_bad_parameters_are_named(name, parameters):
    filter_ = clone(FAMILY[name]).set_params(**parameters)
    with pytest.raises(ValueError, match=f"'{next(iter(parameters))}' parameter"):
        filter_.fit(*overlapping())


@pytest.mark.filterwarnings("ignore::skpoison.exceptions.FilterWarning")
@members("mahalanobis", "subspace", "kth")
def test_radii_may_be_given(filter_):
    X, y = overlapping()
    given = clone(filter_).set_params(radii={0: 9.0, 1: 2.5, 2: 1e9}).fit(X, y)
    np.testing.assert_array_equal(given.radii_, [9.0, 2.5, 1e9])
    np.testing.assert_array_equal(given.scores_, filter_.fit(X, y).scores_)
    np.testing.assert_array_equal(
        given.inlier_mask_[y == 0], given.scores_[y == 0] >= -9.0
    )
    assert given.inlier_mask_[y == 2].all()
    with pytest.raises(ValueError, match="radii must not be negative"):
        given.set_params(radii=[1.0, -1.0, 1.0]).fit(X, y)
