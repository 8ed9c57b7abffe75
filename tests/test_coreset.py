"""Greedy facility location: what it picks, and what it tells."""

import heapq
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.utils import Bunch

from skpoison.coreset import (
    facility_location,
    gradient_facility_location,
    isolated_medoids,
)
from skpoison.coreset._numpy import (
    Measure,
    all_dissimilarities,
    quantize,
    squared_distances,
)
from skpoison.coreset.backend import UNIT, class_budgets


def blobs(n_samples, n_features, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(5, n_features))
    X = centers[rng.integers(0, 5, n_samples)]
    return (X + 0.2 * rng.normal(size=X.shape)).astype(dtype)


def exp_dissimilarities(X):
    """The integers that the selection is documented to work on, in exact order."""
    columns = np.ascontiguousarray(X.T)
    measure = Measure(False, False, X.dtype.type(1 / X.shape[1]), 1.0)
    units = np.empty((len(X), len(X)), dtype=np.int32)
    all_dissimilarities(
        lambda rows, others: squared_distances(columns, rows, others), measure, units
    )
    return units.astype(np.int64)


def naive_gain(dissimilarities, picks, row):
    nearest = dissimilarities[:, picks].min(axis=1, initial=UNIT)
    return int(np.maximum(nearest - dissimilarities[:, row], 0).sum())


def naive_canonical(dissimilarities, n_medoids):
    """Greedy that computes every gain anew at every pick."""
    picks = []
    for _ in range(n_medoids):
        left = [row for row in range(len(dissimilarities)) if row not in picks]
        gains = [naive_gain(dissimilarities, picks, row) for row in left]
        picks.append(left[int(np.argmax(gains))])
    return picks


def naive_lazy(dissimilarities, n_medoids):
    """Lazy greedy with a heap of (gain, index), gains computed anew."""
    heap = [
        (-naive_gain(dissimilarities, [], row), -row)
        for row in range(len(dissimilarities))
    ]
    heapq.heapify(heap)
    picks = []
    while len(picks) < n_medoids:
        row = -heapq.heappop(heap)[1]
        gain = naive_gain(dissimilarities, picks, row)
        if not heap or gain >= -heap[0][0]:
            picks.append(row)
        else:
            heapq.heappush(heap, (-gain, -row))
    return picks


NAIVE = {"canonical": naive_canonical, "lazy": naive_lazy}


@pytest.mark.parametrize("order", NAIVE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", [1, 2, 10, 150])
def test_picks_are_those_of_naive_greedy(order, dtype, n_features):
    X = blobs(70, n_features, dtype=dtype)
    X[10:20] = X[20:30]
    medoids = facility_location(X, 20, order=order)
    assert medoids.indices.tolist() == NAIVE[order](exp_dissimilarities(X), 20)


@settings(max_examples=60, deadline=None)
@given(
    points=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=14
    ),
    order=st.sampled_from(sorted(NAIVE)),
    share=st.floats(0.05, 1.0),
)
def test_ties_are_broken_like_in_naive_greedy(points, order, share):
    X = np.array(points, dtype=float)
    n_medoids = max(1, round(share * len(X)))
    medoids = facility_location(X, n_medoids, order=order)
    assert medoids.indices.tolist() == NAIVE[order](exp_dissimilarities(X), n_medoids)


@pytest.mark.parametrize("n_features", [1, 3, 40])
@pytest.mark.parametrize("scale", [1e-6, 1e-2, 1.0, 30.0, 1e6])
def test_dissimilarities_are_the_rounded_ones(n_features, scale):
    X = scale * blobs(40, n_features)
    distances = np.sqrt(((X[:, None] - X) ** 2).sum(axis=2))
    exact = UNIT * -np.expm1(-distances / n_features)
    assert np.abs(exp_dissimilarities(X) - exact).max() <= 0.5 + 1e-3


def test_dissimilarities_grow_with_distance():
    measure = Measure(False, False, np.float64(1.0), 1.0)
    steps = quantize(np.linspace(0, 25, 2_000_001) ** 2, measure)
    assert steps[0] == 0
    assert steps[-1] == UNIT
    assert np.diff(steps).min() >= 0


def test_gains_add_up_to_the_objective():
    X = blobs(200, 4)
    medoids = facility_location(X, 30)
    distances = np.sqrt(((X[:, None] - X[medoids.indices]) ** 2).sum(axis=2))
    objective = np.exp(-distances / 4).max(axis=1).sum()
    assert medoids.gains.sum() == pytest.approx(objective, abs=200 / UNIT)
    assert np.all(np.diff(medoids.gains) <= 0)


def test_greedy_keeps_its_guarantee():
    X = blobs(12, 2, seed=3)
    similarity = np.exp(-np.sqrt(((X[:, None] - X) ** 2).sum(axis=2)) / 2)
    best = max(
        similarity[:, list(picks)].max(axis=1).sum()
        for picks in itertools.combinations(range(12), 3)
    )
    assert facility_location(X, 3).gains.sum() >= (1 - 1 / np.e) * best


def test_every_row_goes_to_its_nearest_medoid_and_the_earliest_of_equals():
    X = np.repeat(blobs(30, 3), 3, axis=0)
    medoids = facility_location(X, 40)
    to_medoids = exp_dissimilarities(X)[:, medoids.indices]
    assert medoids.assignment.tolist() == to_medoids.argmin(axis=1).tolist()
    sizes = np.bincount(medoids.assignment, minlength=40)
    assert medoids.cluster_sizes.tolist() == sizes.tolist()
    assert medoids.cluster_sizes.sum() == len(X)


def test_a_duplicate_medoid_has_no_cluster_and_leaves_nobody_isolated():
    medoids = facility_location(np.array([[0.0], [0.0], [5.0], [5.0]]), 4)
    assert medoids.indices.tolist() == [0, 2, 1, 3]
    assert medoids.cluster_sizes.tolist() == [2, 2, 0, 0]
    assert medoids.gains[2:].tolist() == [0, 0]


def test_equal_rows_have_an_order():
    X = np.ones((5, 2))
    assert facility_location(X, 3).indices.tolist() == [0, 1, 2]
    assert facility_location(X, 3, order="lazy").indices.tolist() == [4, 0, 3]
    assert facility_location(X, 3, similarity="linear").indices.tolist() == [0, 1, 2]


@pytest.mark.parametrize("n_medoids", [5, 9, 1.0])
def test_as_many_medoids_as_rows(n_medoids):
    medoids = facility_location(blobs(5, 2), n_medoids)
    assert sorted(medoids.indices) == [0, 1, 2, 3, 4]
    assert medoids.cluster_sizes.tolist() == [1] * 5


def test_a_single_row():
    medoids = facility_location([[1.0, 2.0]], 1)
    assert medoids.indices.tolist() == [0]
    assert medoids.gains.tolist() == [1.0]
    assert facility_location([[1.0]], 1, similarity="linear").gains.tolist() == [0.0]


def test_classes_are_selected_one_by_one():
    X = blobs(60, 3)
    labels = np.array(["a", "b", "c"])[np.random.default_rng(1).integers(0, 3, 60)]
    medoids = facility_location(X, 0.3, labels=labels)
    for code, label in enumerate("abc"):
        rows = np.flatnonzero(labels == label)
        alone = facility_location(X[rows], 0.3)
        part = slice(*medoids.offsets[code : code + 2])
        assert medoids.indices[part].tolist() == rows[alone.indices].tolist()
        assert medoids.gains[part].tolist() == alone.gains.tolist()
        assigned = medoids.assignment[rows] - medoids.offsets[code]
        assert assigned.tolist() == alone.assignment.tolist()


@given(
    counts=st.lists(st.integers(1, 300), min_size=1, max_size=12),
    share=st.floats(0.001, 1),
)
def test_numbers_are_shared_out_in_proportion(counts, share):
    counts = np.array(counts)
    total = max(len(counts), int(share * counts.sum()))
    budgets = class_budgets(total, counts)
    assert budgets.sum() == total
    assert np.all((budgets >= 1) & (budgets <= counts))
    quotas = total * counts / counts.sum()
    if np.all(quotas >= 1):
        assert np.all(np.abs(budgets - quotas) < 1)


def test_fractions_are_rounded_to_the_nearest_number_and_at_least_one():
    assert class_budgets(0.1, np.array([1, 14, 15, 24, 25])).tolist() == [1, 1, 2, 2, 3]
    assert class_budgets(1.0, np.array([3, 1])).tolist() == [3, 1]


def test_linear_similarity_minimises_the_sum_of_distances():
    X = blobs(50, 2)
    distances = np.sqrt(((X[:, None] - X) ** 2).sum(axis=2))
    medoids = facility_location(X, 2, similarity="linear")
    first, second = medoids.indices
    assert first == distances.sum(axis=0).argmin()
    sums = np.minimum(distances[:, [first]], distances).sum(axis=0)
    assert second == sums.argmin()
    left = distances.max() * len(X) - sums.min()
    assert medoids.gains.sum() == pytest.approx(left, rel=1e-6)


def test_similarities_agree_where_distances_are_small():
    X = 1e-3 * blobs(300, 10)
    exponential = facility_location(X, 60)
    linear = facility_location(X, 60, similarity="linear")
    shared = set(exponential.indices) & set(linear.indices)
    assert len(shared) >= 54


def test_similarities_differ_in_binary_problems():
    a = np.random.default_rng(0).beta(0.3, 0.6, 300)
    X = np.column_stack([-a, a])
    exponential = facility_location(X, 10)
    linear = facility_location(X, 10, similarity="linear")
    assert set(exponential.indices) != set(linear.indices)


def test_cosine_distance_ignores_lengths():
    X = blobs(80, 5)
    lengths = np.random.default_rng(0).choice([0.25, 0.5, 2.0, 8.0], 80)
    plain = facility_location(X, 16, metric="cosine")
    scaled = facility_location(X * lengths[:, None], 16, metric="cosine")
    assert plain.indices.tolist() == scaled.indices.tolist()


def test_cosine_distance_is_one_minus_the_cosine():
    X = blobs(30, 4)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    similarity = np.exp(-(1 - unit @ unit.T) / 4)
    medoids = facility_location(X, 6, metric="cosine")
    objective = similarity[:, medoids.indices].max(axis=1).sum()
    assert medoids.gains.sum() == pytest.approx(objective, abs=30 / UNIT)
    assert medoids.indices[0] == similarity.sum(axis=0).argmax()


def test_rows_of_zeros_have_a_cosine_distance():
    X = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    medoids = facility_location(X, 2, metric="cosine", similarity="linear")
    assert medoids.indices.tolist() == [2, 0]
    assert medoids.cluster_sizes.tolist() == [3, 2]
    assert medoids.gains.tolist() == [1.5, 1.0]


def test_far_apart_is_far_apart():
    X = np.array([[0.0], [1e200], [-1e200], [0.5]])
    medoids = facility_location(X, 2)
    assert medoids.indices.tolist() == [0, 1]
    with pytest.raises(ValueError, match="overflow"):
        facility_location(X, 2, similarity="linear")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_medoids": 0}, ValueError, "n_medoids"),
        ({"n_medoids": 1.5}, ValueError, "n_medoids"),
        ({"n_medoids": 0.0}, ValueError, "n_medoids"),
        (
            {"n_medoids": 2, "labels": [0, 1, 2, 0]},
            ValueError,
            "n_medoids=2 is too few",
        ),
        ({"labels": [0, 1]}, ValueError, "inconsistent numbers of samples"),
        ({"similarity": "rbf"}, ValueError, "similarity"),
        ({"metric": "manhattan"}, ValueError, "metric"),
        ({"order": "random"}, ValueError, "order"),
        ({"backend": "cuda"}, ValueError, "backend"),
        ({"X": [[np.nan]] * 4}, ValueError, "NaN"),
        ({"X": [[np.inf]] * 4}, ValueError, "infinity"),
        ({"X": np.empty((0, 2))}, ValueError, "0 sample"),
    ],
)
def test_bad_input_is_named(options, error, message):
    options = {"X": np.eye(4), "n_medoids": 3, **options}
    with pytest.raises(error, match=message):
        facility_location(**options)


def gradients():
    """Rows, residuals, labels, and the parameter gradients of a linear classifier."""
    rng = np.random.default_rng(0)
    X, residuals = blobs(90, 4), rng.normal(size=(90, 3))
    X[X < -0.5] = 0
    with_one = np.column_stack([X, np.ones(90)])
    outer = np.einsum("ij,ik->ijk", residuals, with_one).reshape(90, -1)
    return X, residuals, rng.integers(0, 3, 90), outer


@pytest.mark.parametrize("order", NAIVE)
@pytest.mark.parametrize("similarity", ["exp", "linear"])
def test_medoids_among_gradients_are_those_of_their_matrix(similarity, order):
    X, residuals, labels, outer = gradients()
    options = {"labels": labels, "similarity": similarity, "order": order}
    # Distances are divided by the classes, not by the features of the matrix.
    scale = outer.shape[1] / 3 if similarity == "exp" else 1
    expected = facility_location(scale * outer, 0.3, **options)
    for rows in (X, sparse.csr_array(X), sparse.csc_matrix(X)):
        medoids = gradient_facility_location(residuals, rows, 0.3, **options)
        assert set(medoids) == set(expected)
        np.testing.assert_allclose(medoids.gains, expected.gains, rtol=1e-5)
        for name in set(expected) - {"gains"}:
            np.testing.assert_array_equal(medoids[name], expected[name], err_msg=name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_medoids": 0}, "n_medoids"),
        ({"n_medoids": 2, "labels": [0, 1, 2, 0]}, "n_medoids=2 is too few"),
        ({"labels": [0, 1]}, "inconsistent numbers of samples"),
        ({"residuals": np.eye(3)}, "inconsistent numbers of samples"),
        ({"similarity": "rbf"}, "similarity"),
        ({"order": "random"}, "order"),
        ({"residuals": [[np.nan]] * 4}, "residuals contains NaN"),
        ({"X": [[np.inf]] * 4}, "infinity"),
    ],
)
def test_bad_input_about_gradients_is_named(options, message):
    options = {"residuals": np.eye(4), "X": np.eye(4), "n_medoids": 3, **options}
    with pytest.raises(ValueError, match=message):
        gradient_facility_location(**options)


def test_isolated_medoids_stand_for_themselves_only():
    X = np.array([[0.0], [0.0], [1.0], [9.0], [7.0], [7.0]])
    medoids = facility_location(X, 0.67, labels=[0, 0, 0, 0, 1, 1])
    alone = isolated_medoids(medoids)
    assert alone.tolist() == [3, 2]
    # Two equal medoids are none: one has the other's row, the other has no row.
    medoids = facility_location(X[4:], 2)
    assert isolated_medoids(medoids).tolist() == []


def test_a_medoid_that_goes_to_another_one_is_not_isolated():
    medoids = Bunch(
        indices=np.array([0, 1]),
        cluster_sizes=np.array([2, 1]),
        assignment=np.array([0, 0, 1]),  # row 1 goes to medoid 0, row 2 to medoid 1
    )
    assert isolated_medoids(medoids).tolist() == []
