"""Neighbors, against plain loops over all pairs of rows."""

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.datasets import make_blobs
from sklearn.neighbors import NearestNeighbors

from skpoison.exceptions import FilterWarning
from skpoison.filters import NeighborsFilter, _nearest
from skpoison.filters._nearest import found_distances


@pytest.fixture
def blobs():
    return make_blobs([40, 60, 50], 5, cluster_std=4.0, random_state=0)


def plain_distances(X, y, n_neighbors, criterion):
    out = np.empty(len(X))
    distances = cdist(X, X)
    np.fill_diagonal(distances, np.inf)
    for i, label in enumerate(y):
        same = y == label if criterion != "labels" else np.full(len(y), True)
        order = np.argsort(np.where(same, distances[i], np.inf))[:n_neighbors]
        if criterion == "labels":
            out[i] = np.mean(y[order] != label)
        else:
            nearest = distances[i][order]
            out[i] = nearest[-1] if criterion == "kth" else nearest.mean()
    return out


@pytest.mark.parametrize("criterion", ["kth", "mean", "labels"])
@pytest.mark.parametrize("n_neighbors", [1, 5, 39])
@pytest.mark.parametrize("algorithm", ["auto", "brute", "ball_tree"])
def test_distances_are_those_of_a_plain_loop(criterion, n_neighbors, algorithm, blobs):
    X, y = blobs
    expected = plain_distances(X, y, n_neighbors, criterion)
    neighbors = NeighborsFilter(
        n_neighbors=n_neighbors, criterion=criterion, algorithm=algorithm
    )
    fitted = neighbors.fit(X, y)
    np.testing.assert_allclose(-fitted.scores_, expected, rtol=1e-12)
    in_sparse = neighbors.fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(-in_sparse.scores_, expected, rtol=1e-12)


@pytest.mark.parametrize("criterion", ["kth", "mean", "labels"])
@pytest.mark.parametrize(("n_directions", "expected"), [(2, "kd_tree"), (20, "auto")])
def test_a_tree_is_taken_where_it_looks_at_few_rows(
    criterion, n_directions, expected, monkeypatch
):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, n_directions)) @ rng.normal(size=(n_directions, 20))
    X += 1e-6 * rng.normal(size=X.shape)
    y = rng.integers(0, 2, 2000)
    few = NeighborsFilter(criterion=criterion, algorithm="brute").fit(X, y)
    monkeypatch.setattr(_nearest, "TRIED_FROM", 500)
    monkeypatch.setattr(_nearest, "TREE_COST", 5)
    fitted = NeighborsFilter(criterion=criterion).fit(X, y)
    assert {search.algorithm for search in fitted.neighbors_} == {expected}
    np.testing.assert_allclose(fitted.scores_, few.scores_, rtol=1e-12)
    asked = NeighborsFilter(criterion=criterion, algorithm="ball_tree").fit(X, y)
    assert asked.neighbors_[0].algorithm == "ball_tree"


@pytest.mark.parametrize("criterion", ["kth", "mean"])
def test_new_rows_are_compared_with_the_training_rows(criterion, blobs):
    X, y = blobs
    new = X + np.random.default_rng(0).normal(size=X.shape)
    fitted = NeighborsFilter(criterion=criterion, n_neighbors=3).fit(X, y)
    for i, label in enumerate(y):
        nearest = np.sort(np.linalg.norm(X[y == label] - new[i], axis=1))[:3]
        expected = nearest[-1] if criterion == "kth" else nearest.mean()
        found = -fitted.score_samples(new[[i]], [label])[0]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_copies_are_neighbors_of_each_other():
    X = np.array([[0.0], [0.0], [0.0], [4.0], [9.0]])
    fitted = NeighborsFilter(n_neighbors=2).fit(X)
    np.testing.assert_array_equal(-fitted.scores_, [0, 0, 0, 4, 9])
    np.testing.assert_array_equal(fitted.score_samples(X), fitted.scores_)


def test_a_copy_with_another_label_is_no_self():
    X = np.array([[0.0], [0.0], [1.0], [5.0], [6.0]])
    y = np.array(["a", "b", "a", "b", "b"])
    fitted = NeighborsFilter(n_neighbors=1, criterion="labels").fit(X, y)
    np.testing.assert_array_equal(-fitted.scores_[[0, 1, 3, 4]], [1, 1, 0, 0])
    np.testing.assert_array_equal(fitted.score_samples(X, y), fitted.scores_)


def plain_shares(X, y, n_neighbors):
    """Mean share of each label among the neighbors, over all orders of ties.

    Squared distances must be whole numbers.
    """
    labels = np.unique(y)
    out = np.zeros((len(X), len(labels)))
    squares = np.round(cdist(X, X, "sqeuclidean"))
    for i in range(len(X)):
        others = np.arange(len(X)) != i
        last = np.sort(squares[i, others])[n_neighbors - 1]
        nearer = others & (squares[i] < last)
        equal = others & (squares[i] == last)
        left = n_neighbors - nearer.sum()
        for code, label in enumerate(labels):
            share = left * np.mean(y[equal] == label)
            out[i, code] = (np.sum(y[nearer] == label) + share) / n_neighbors
    return out


COUNTS = {
    "counts": lambda rng: rng.poisson(0.6, (200, 6)),
    "bits": lambda rng: rng.integers(0, 2, (200, 4)),
    "one bit": lambda rng: rng.integers(0, 2, (200, 1)),
    "constant": lambda rng: np.ones((200, 2)),
    "far out": lambda rng: rng.poisson(0.6, (200, 6)) + 3_000_000,
}
CONTAINERS = {
    "dense": np.asarray,
    "CSR": sparse.csr_array,
    "float32": lambda X: X.astype(np.float32),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("algorithm", ["kd_tree", "brute"])
@pytest.mark.parametrize("data", COUNTS)
def test_rows_at_the_same_distance_share_the_last_places(data, algorithm, container):
    rng = np.random.default_rng(0)
    X = COUNTS[data](rng).astype(float)
    y = rng.integers(0, 3, 200)
    shares = plain_shares(X, y, 5)
    own = shares[np.arange(200), y]
    shares[np.arange(200), y] = 0
    expected = {"labels": 1 - own, "plurality": np.maximum(shares.max(axis=1) - own, 0)}
    order = rng.permutation(200)
    for criterion, distances in expected.items():
        fitted = NeighborsFilter(criterion=criterion, algorithm=algorithm)
        rows = CONTAINERS[container](X[order])
        fitted.fit(rows, y[order])
        np.testing.assert_allclose(-fitted.scores_, distances[order], atol=1e-12)
        later = fitted.score_samples(rows, y[order])
        np.testing.assert_array_equal(later, fitted.scores_)


def test_half_of_shared_places_is_exactly_half():
    # 6 places for 14 rows at distance 1, half of which agree.
    X = np.r_[np.zeros(1), np.ones(7), -np.ones(7)][:, None]
    y = np.r_[0, np.zeros(7), np.ones(7)]
    fitted = NeighborsFilter(criterion="labels", n_neighbors=6, radii=[0.5, 0.5])
    fitted.fit(X, y)
    assert fitted.scores_[0] == -0.5
    assert fitted.inlier_mask_[0]


@pytest.mark.filterwarnings("ignore:NeighborsFilter rejects every row of the classes")
def test_plurality_keeps_labels_that_no_other_outnumbers():
    X = np.array([[0.0], [1.0], [1.0], [-1.0], [-1.0], [-1.0], [9.0], [9.0]])
    y = np.array(["a", "a", "a", "b", "c", "c", "b", "b"])
    votes = NeighborsFilter(criterion="plurality", n_neighbors=5, radii=[0, 0, 0])
    # Two votes of five, as many as "c" has.
    assert votes.fit(X, y).predict(X, y)[0] == 1
    half = NeighborsFilter(criterion="labels", n_neighbors=5, radii=[0.5] * 3)
    assert half.fit(X, y).predict(X, y)[0] == -1
    y[1] = "c"
    assert votes.fit(X, y).predict(X, y)[0] == -1
    assert votes.scores_[0] == -2 / 5


@pytest.mark.parametrize("criterion", ["kth", "labels"])
def test_new_rows_may_come_in_another_container(criterion, blobs):
    X, y = blobs
    X = X + 1000
    kinds = [np.asarray, sparse.csr_array]
    for fitted_on, scored in [kinds, kinds[::-1]]:
        fitted = NeighborsFilter(criterion=criterion).fit(fitted_on(X), y)
        scores = fitted.score_samples(scored(X), y)
        np.testing.assert_allclose(scores, fitted.scores_, rtol=1e-9)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_the_mean_among_all_is_the_released_sum_over_five(convert, blobs):
    X, y = blobs
    five = NearestNeighbors(n_neighbors=5).fit(X).kneighbors(X)[0].sum(axis=1)
    fitted = NeighborsFilter(70, criterion="mean", among="all", n_neighbors=4)
    fitted.fit(convert(X), y)
    np.testing.assert_allclose(-4 * fitted.scores_, five, rtol=1e-9)
    later = fitted.score_samples(X, y)
    np.testing.assert_allclose(later, fitted.scores_, rtol=1e-12)
    for k in range(3):
        radius = np.percentile(five[y == k], 70) / 4
        np.testing.assert_allclose(fitted.radii_[k], radius, rtol=1e-9)


def test_one_class_alone_has_no_others_to_look_among(blobs):
    X, _ = blobs
    one = NeighborsFilter().fit(X)
    every = NeighborsFilter(among="all").fit(X)
    np.testing.assert_array_equal(one.scores_, every.scores_)
    with pytest.warns(FilterWarning, match="The data have at most n_neighbors=9"):
        NeighborsFilter(among="all", n_neighbors=9).fit(X[:9], [0] * 4 + [1] * 5)


def test_half_the_neighbors_is_a_majority_vote(blobs):
    X, y = blobs
    y = y.copy()
    y[:10] = (y[:10] + 1) % 3
    fitted = NeighborsFilter(criterion="labels", n_neighbors=7, radii=[0.5] * 3)
    fitted.fit(X, y)
    agreeing = plain_distances(X, y, 7, "labels") <= 0.5
    np.testing.assert_array_equal(fitted.inlier_mask_, agreeing)


@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_near_neighbors_far_from_the_origin(offset, dtype):
    if dtype == np.float32 and offset:
        offset = 1e3
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(300, 20)) + offset).astype(dtype)
    fitted = NeighborsFilter(algorithm="brute").fit(X)
    expected = plain_distances(X.astype(np.float64), np.zeros(300), 5, "kth")
    np.testing.assert_allclose(-fitted.scores_, expected, rtol=1e-5)
    np.testing.assert_array_equal(fitted.predict(X) == 1, fitted.inlier_mask_)


def test_a_class_with_few_rows_has_all_its_rows_as_neighbors(blobs):
    X, y = blobs
    y = np.where(np.arange(150) < 3, 7, y)
    neighbors = NeighborsFilter(n_neighbors=5)
    with pytest.warns(FilterWarning, match=r"classes \[7\] have at most n_neigh"):
        fitted = neighbors.fit(X, y)
    farthest = cdist(X[:3], X[:3]).max(axis=1)
    np.testing.assert_allclose(-fitted.scores_[:3], farthest)
    with pytest.warns(FilterWarning, match="The data have at most n_neighbors=99"):
        NeighborsFilter(n_neighbors=99, criterion="labels").fit(X[:80], y[:80])


def test_a_row_alone_is_the_neighbor_of_new_rows():
    X = np.array([[0.0], [5.0], [6.0], [7.0]])
    with pytest.warns(FilterWarning, match="classes"):
        fitted = NeighborsFilter(n_neighbors=2).fit(X, [0, 1, 1, 1])
    np.testing.assert_array_equal(fitted.predict([[0.0], [1.0]], [0, 0]), [1, -1])
    assert fitted.score_samples([[3.0]], [0])[0] == -3


def test_blocks_of_pairs_do_not_change_the_result(blobs, monkeypatch):
    X, y = blobs
    whole = NeighborsFilter().fit(X, y).scores_
    monkeypatch.setattr("skpoison.filters._nearest.PAIRS", 35)
    np.testing.assert_array_equal(NeighborsFilter().fit(X, y).scores_, whole)


@pytest.fixture
def long_rows():
    """Sparse rows, of which some have a value in each column, or are near others."""
    rng = np.random.default_rng(0)
    X = sparse.random(80, 400, 0.02, random_state=0).toarray()
    X[:3] = rng.normal(size=(3, 400))
    X[3] = X[0] + 1e-9 * rng.normal(size=400)
    X[4] = X[1]
    X[5] = X[10] * (1 + 1e-9)
    return X


def test_distances_to_long_rows_are_those_of_differences(long_rows):
    n = len(long_rows)
    found = np.tile(np.arange(n), (n, 1))
    rows = sparse.csr_array(long_rows)
    distances = found_distances(rows, rows, found)
    expected = np.linalg.norm(long_rows[:, None] - long_rows, axis=2)
    np.testing.assert_allclose(distances, expected, rtol=1e-13, atol=0)
    assert np.array_equal(distances, distances.T)
    alone = [found_distances(rows[[i]], rows, found[[i]])[0] for i in range(n)]
    assert np.array_equal(distances, alone)


@pytest.mark.parametrize("criterion", ["kth", "mean", "labels"])
def test_long_rows_and_their_copies_are_judged_as_dense_ones(criterion, long_rows):
    X = np.vstack([long_rows, np.repeat(long_rows[[1, 20]], 6, axis=0)])
    y = np.arange(len(X)) % 2
    neighbors = NeighborsFilter(criterion=criterion, n_neighbors=4)
    dense = neighbors.fit(X, y).scores_
    fitted = neighbors.fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(fitted.scores_, dense, rtol=1e-12, atol=1e-15)
    assert np.array_equal(
        fitted.score_samples(sparse.csr_array(X[[1, 20]]), y[[1, 20]]),
        fitted.scores_[[1, 20]],
    )
