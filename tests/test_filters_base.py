"""What all filters share: containers, labels, replacing rows, what is missing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skpoison import SlabFilter, SphereFilter
from skpoison.base import BaseFilter
from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    LossFilter,
    MahalanobisFilter,
    NeighborsFilter,
    SeverFilter,
    SpectralFilter,
    SubspaceFilter,
)
from skpoison.filters._distance import BaseDistanceFilter

FILTERS = {
    "sphere": SphereFilter(70),
    "slab": SlabFilter(70),
    "both": SphereFilter(70) & SlabFilter(70),
    "either": SphereFilter(50) | SlabFilter(50),
    "l1": SphereFilter(70, norm="l1"),
    "mahalanobis": MahalanobisFilter(70),
    "subspace": SubspaceFilter(70, n_components=1, per_class=True),
    "neighbors": NeighborsFilter(70),
    "loss": LossFilter(70),
    "spectral": SpectralFilter(70),
    "sever": SeverFilter(70),
}
each_filter = pytest.mark.parametrize(
    "filter_", [clone(one) for one in FILTERS.values()], ids=FILTERS.keys()
)


@pytest.fixture
def blobs():
    return make_blobs([40, 90], 3, random_state=0)


LABELS = {
    "integers": lambda y: y,
    "negative": lambda y: 2 * y - 1,
    "booleans": lambda y: y == 1,
    "floats": lambda y: y.astype(float),
    "strings": lambda y: np.array(["ham", "spam"])[y],
    "objects": lambda y: np.array(["ham", "spam"], dtype=object)[y],
    "list": lambda y: ["ham" if label == 0 else "spam" for label in y],
    "Series": lambda y: pd.Series(["ham" if label == 0 else "spam" for label in y]),
    "categories": lambda y: pd.Series(y).astype("category"),
}


@each_filter
@pytest.mark.parametrize("labels", LABELS)
def test_labels_of_any_kind(filter_, labels, blobs):
    X, y = blobs
    mask = filter_.fit(X, y).inlier_mask_
    named = LABELS[labels](y)
    np.testing.assert_array_equal(filter_.fit(X, named).inlier_mask_, mask)
    np.testing.assert_array_equal(filter_.predict(X, named) == 1, mask)
    np.testing.assert_array_equal(filter_.classes_, np.unique(named))


ROWS = {
    "float32": lambda X: X.astype(np.float32),
    "integers": lambda X: np.round(X * 10).astype(np.int64),
    "list": lambda X: X.tolist(),
    "CSR": sparse.csr_array,
    "CSR matrix": sparse.csr_matrix,
    "CSC": sparse.csc_array,
    "DataFrame": lambda X: pd.DataFrame(
        X, columns=["a", "b", "c"], index=np.arange(len(X))[::-1] * 2
    ),
    "float32 DataFrame": lambda X: pd.DataFrame(X.astype(np.float32)),
}


def with_duplicates(X, dtype):
    """CSR rows whose entries are stored twice, as halves, and in no order."""
    rows, columns = np.indices(X.shape).reshape(2, -1)
    order = np.random.default_rng(0).permutation(2 * X.size)
    halves = np.tile(X.ravel() / 2, 2)[order].astype(dtype)
    columns, rows = np.tile(columns, 2)[order], np.tile(rows, 2)[order]
    by_row = np.argsort(rows, kind="stable")
    ends = np.r_[0, np.cumsum(np.bincount(rows))]
    return sparse.csr_array((halves[by_row], columns[by_row], ends), shape=X.shape)


@each_filter
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_entries_stored_twice_count_as_their_sum(filter_, dtype, blobs):
    X, y = np.round(blobs[0] * 8) + 0.5, blobs[1]  # nowhere zero
    clean = sparse.csr_array(X.astype(dtype))
    scattered = with_duplicates(X, dtype)
    stored = scattered.data.copy(), scattered.indices.copy()
    expected = clone(filter_).fit(clean, y)
    fitted = clone(filter_).fit(scattered, y)
    np.testing.assert_array_equal(fitted.scores_, expected.scores_)
    np.testing.assert_array_equal(fitted.inlier_mask_, expected.inlier_mask_)
    scores = fitted.score_samples(scattered, y)
    np.testing.assert_array_equal(scores, expected.score_samples(clean, y))
    # The caller's matrix stays as it was.
    np.testing.assert_array_equal(scattered.data, stored[0])
    np.testing.assert_array_equal(scattered.indices, stored[1])


def as_array(X):
    return X.toarray() if sparse.issparse(X) else np.asarray(X)


@each_filter
@pytest.mark.parametrize("kind", ROWS)
def test_kept_rows_come_in_the_container_that_came_in(filter_, kind, blobs):
    X, y = ROWS[kind](blobs[0]), pd.Series(blobs[1], index=np.arange(130) + 1000)
    weights, groups = np.arange(130.0), [f"group {i}" for i in range(130)]
    kept = filter_.fit_filter(X, y, weights, groups, None)
    rows = np.flatnonzero(filter_.inlier_mask_)
    X_kept, y_kept, weights_kept, groups_kept, nothing = kept
    assert type(X_kept) is (sparse.csr_array if kind == "CSC" else type(X))
    np.testing.assert_array_equal(as_array(X_kept), as_array(X)[rows])
    if isinstance(X, pd.DataFrame):
        pd.testing.assert_frame_equal(X_kept, X.iloc[rows])
    pd.testing.assert_series_equal(y_kept, y.iloc[rows])
    np.testing.assert_array_equal(weights_kept, rows)
    assert groups_kept == [f"group {i}" for i in rows]
    assert nothing is None


def test_rows_without_labels_can_be_filtered(blobs):
    X, _ = blobs
    sphere = SphereFilter()
    X_kept, y_kept = sphere.fit_filter(X)
    assert y_kept is None
    np.testing.assert_array_equal(X_kept, X[sphere.inlier_mask_])
    np.testing.assert_array_equal(sphere.classes_, [0])


def test_sparse_formats_without_row_indexing_become_csr(blobs):
    X, y = blobs
    X = sparse.coo_array(X)
    assert SphereFilter().fit_filter(X, y)[0].format == "csr"
    assert SphereFilter().fit_transform(X, y).format == "csr"


@each_filter
@pytest.mark.parametrize("kind", ROWS)
def test_replaced_rows_come_in_the_container_that_came_in(filter_, kind, blobs):
    X, y = ROWS[kind](blobs[0]), blobs[1]
    replaced = filter_.fit_transform(X, y)
    mask = filter_.inlier_mask_
    assert 0 < mask.sum() < len(mask)
    np.testing.assert_array_equal(as_array(replaced)[mask], as_array(X)[mask])
    if kind != "list":
        assert type(replaced) is type(X)
        assert as_array(replaced).dtype == as_array(X).dtype
    if isinstance(X, pd.DataFrame):
        assert replaced.index.equals(X.index)
        assert replaced.columns.equals(X.columns)
        assert (replaced.dtypes == X.dtypes).all()
    np.testing.assert_array_equal(as_array(filter_.transform(X)), as_array(X))


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 30), min_size=1, max_size=4),
    percentile=st.floats(1, 100),
    seed=st.integers(0, 1000),
)
def test_rejected_rows_are_replaced_fairly_within_their_class(sizes, percentile, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    X = np.random.default_rng(seed).normal(size=(len(y), 2))
    sphere = SphereFilter(percentile, random_state=seed)
    replaced = sphere.fit_transform(X, y)
    source = [int(np.flatnonzero((X == row).all(axis=1))[0]) for row in replaced]
    np.testing.assert_array_equal(y[source], y)
    kept = np.flatnonzero(sphere.inlier_mask_)
    assert set(source) == set(kept)
    np.testing.assert_array_equal(np.asarray(source)[kept], kept)
    for label in np.unique(y):
        counts = np.bincount(source, minlength=len(y))[kept[y[kept] == label]]
        assert np.ptp(counts) <= 1


def test_random_state_draws_the_order_of_stand_ins(blobs):
    X, y = blobs

    def replaced(seed):
        return SphereFilter(90, random_state=seed).fit_transform(X, y)

    np.testing.assert_array_equal(replaced(0), replaced(0))
    assert np.any(replaced(0) != replaced(1))


def test_input_is_left_as_it_is(blobs):
    X, y = blobs
    before = X.copy()
    SphereFilter().fit_transform(X, y)
    np.testing.assert_array_equal(X, before)


def test_set_output_gives_data_frames(blobs):
    X, y = blobs
    frame = SphereFilter().set_output(transform="pandas").fit_transform(X, y)
    assert list(frame.columns) == ["x0", "x1", "x2"]
    assert frame.shape == X.shape


@each_filter
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.arange(130) + 0.5, "y must contain class labels.*fit the filter without y"),
        (np.full(130, np.nan), "y contains NaN"),
        (np.zeros((130, 2)), "1d array"),
        (np.zeros(129, int), "inconsistent numbers of samples"),
        ([None] * 130, "y must contain class labels"),
    ],
)
def test_bad_labels_are_refused(filter_, y, message, blobs):
    with pytest.raises(ValueError, match=message):
        filter_.fit(blobs[0], y)


@each_filter
def test_labels_unknown_at_fit_are_named(filter_, blobs):
    X, y = blobs
    filter_.fit(X, y)
    for label in (7, -3):
        with pytest.warns(FilterWarning, match=rf"labels, \[{label}\], are not among"):
            assert np.all(filter_.predict(X, np.full(len(X), label)) == -1)
    with pytest.raises(ValueError, match=r"not fitted on: \['a'\]\. It was fitted on"):
        filter_.predict(X, np.full(len(X), "a"))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        filter_.predict(X, y[:-1])


def test_labels_for_a_filter_fitted_without_are_refused(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="fitted without labels: y must be None"):
        SphereFilter().fit(X).predict(X, y)


class KeepFirst(BaseFilter):
    """Keeps the first rows, and cannot score others."""

    _transductive = True

    def _fit(self, X, codes):
        scores = 0.5 - np.arange(len(codes))
        return scores, scores + 10


def test_filters_for_training_rows_only_say_where_to_look(blobs):
    X, y = blobs
    keep_first = KeepFirst().fit(X, y)
    for method in ("predict", "decision_function", "score_samples"):
        assert not hasattr(keep_first, method)
        with pytest.raises(AttributeError) as caught:
            getattr(keep_first, method)
        assert "scores_ and inlier_mask_ after fit" in str(caught.value.__cause__)
    # One row in each class is kept, whatever its decision.
    assert set(y[keep_first.inlier_mask_]) == {0, 1}
    np.testing.assert_array_equal(
        keep_first.fit_predict(X, y) == 1, keep_first.inlier_mask_
    )


class LargestFeature(BaseDistanceFilter):
    """A distance filter in three lines."""

    def _fit_distances(self, X, codes):
        return self._distances(X, codes)

    def _distances(self, X, codes):
        return np.abs(X).max(axis=1)


def test_a_distance_filter_needs_distances_only(blobs):
    X, y = blobs
    fitted = LargestFeature(50).fit(X, y)
    medians = [np.median(np.abs(X[y == k]).max(axis=1)) for k in (0, 1)]
    np.testing.assert_allclose(fitted.radii_, medians)
    np.testing.assert_array_equal(fitted.predict(X, y) == 1, fitted.inlier_mask_)
    with pytest.raises(ValueError, match="contains NaN"):
        fitted.fit(np.full((4, 2), np.nan))


@pytest.fixture
def poisoned():
    """Two classes, and rows of a wrong label far on the other side."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 0], [50, 50, 15])
    centers = np.array([[-2.0, 0.0], [2.0, 0.0]])[np.repeat([0, 1, 1], [50, 50, 15])]
    return centers + 0.5 * rng.normal(size=(115, 2)), y


def test_a_filter_in_a_pipeline_acts_at_fit_and_leaves_new_rows_alone(poisoned):
    X, y = poisoned
    filtered = make_pipeline(SphereFilter(70), KNeighborsClassifier(1)).fit(X, y)
    clean_X, clean_y = X[:100], y[:100]
    assert filtered.score(clean_X, clean_y) == 1
    assert filtered[-1].n_samples_fit_ == len(X)
    np.testing.assert_array_equal(filtered.predict(X[100:]), 1)


def test_a_search_reaches_the_filter_s_parameters(poisoned):
    search = GridSearchCV(
        make_pipeline(SphereFilter() & SlabFilter(), KNeighborsClassifier()),
        {"filterintersection__spherefilter__percentile": [50, 90]},
        cv=3,
    )
    assert search.fit(*poisoned).best_score_ > 0.7


def test_a_scaler_before_the_filter_sees_the_poison():
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(95, 2)), np.full((5, 2), 1000.0)])
    y = np.zeros(100, int)
    before = make_pipeline(StandardScaler(), SphereFilter(90)).fit(X, y)
    after = make_pipeline(SphereFilter(90), StandardScaler()).fit(X, y)
    assert before[0].scale_.min() > 100
    assert after[1].scale_.max() < 2


def test_a_frozen_filter_in_a_pipeline_is_no_filter(poisoned):
    X, y = poisoned
    frozen = FrozenEstimator(SphereFilter().fit(X, y))
    through = make_pipeline(frozen, StandardScaler()).fit(X, y)
    np.testing.assert_array_equal(through[1].mean_, StandardScaler().fit(X).mean_)


def test_a_filter_in_a_column_transformer_mixes_rows():
    """Cannot be detected by the filter: its docstring warns of it."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=60)
    X, y = np.c_[values, values], np.repeat([0, 1], 30)
    by_columns = make_column_transformer(
        (SphereFilter(70, random_state=0), [0]), ("passthrough", [1])
    )
    mixed = by_columns.fit_transform(X, y)
    assert np.any(mixed[:, 0] != mixed[:, 1])
    whole = SphereFilter(70, random_state=0).fit_transform(X, y)
    np.testing.assert_array_equal(whole[:, 0], whole[:, 1])
    assert "ColumnTransformer" in SphereFilter.__doc__


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"radii": pd.Series({"b": 2.0, "a": 1.0})}, "radii .* pandas Series"),
        ({"radii": {"a": 1, "b": "x"}}, "radii must have one number"),
        ({"radii": {"a": [1, 2], "b": 2}}, "radii must have one number"),
        ({"centroids": {"a": [1, 2], "b": [1]}}, "centroids must have numbers"),
        (
            {"centroids": pd.DataFrame([[5, 5], [0, 0]], index=["b", "a"])},
            "centroids .* pandas DataFrame",
        ),
    ],
)
def test_entries_that_are_unclear_or_no_numbers_are_refused_by_name(given, message):
    X, y = np.arange(12.0).reshape(6, 2), list("aaabbb")
    with pytest.raises(ValueError, match=message):
        SphereFilter(**given).fit(X, y)
