"""Near copies: found as brute force finds them, and rejected beyond chance."""

from functools import partial

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skpoison import FilteredClassifier
from skpoison.attacks import MinMaxAttack
from skpoison.filters import NearCopyFilter, _cells, _nearest
from skpoison.filters._copies import (
    DistinctRows,
    distances_around,
    distinct_rows,
    joined_copies,
    near_copy_groups,
)
from skpoison.filters._losses import fit_logistic
from skpoison.testing import check_filter


def planted(n=300, n_copies=15, d=6, scale=0.02, seed=0):
    """Normal rows, of which the last lie around the first."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    X[n - n_copies :] = X[0] + rng.normal(scale=scale, size=(n_copies, d))
    y = np.r_[np.arange(n - n_copies) % 2, np.ones(n_copies, int)]
    return X, y


def brute_force(X, factor=0.25):
    """Groups by all distances of all rows."""
    distances = cdist(X, X)
    distinct = np.unique(X, axis=0)
    among = cdist(distinct, distinct)
    usual = [
        np.median(np.where(d > 0, d, np.inf).min(axis=1)) for d in (distances, among)
    ]
    radius = factor * max(usual)
    return connected_components(distances <= radius, directed=False)[1]


def same_partition(left, right):
    pairs = np.unique(np.c_[left, right], axis=0)
    return len(pairs) == len(np.unique(left)) == len(np.unique(right))


def groups(X, **parameters):
    rng = np.random.RandomState(0)
    return near_copy_groups(X, random_state=rng, **parameters).groups


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("factor", [0.25, 0.6, 0.9])
def test_groups_are_those_of_brute_force(seed, factor):
    rng = np.random.default_rng(seed)
    X = planted(n=120, d=1 + seed % 4, seed=seed)[0]
    X[rng.integers(0, 60, 10)] = X[rng.integers(0, 60, 10)]  # equal rows
    assert same_partition(groups(X, factor=factor), brute_force(X, factor))


def test_groups_are_numbered_in_the_order_of_their_first_rows():
    X = np.array([[5.0], [0.0], [5.0], [9.0], [0.0]])
    assert groups(X).tolist() == [0, 1, 0, 2, 1]


def test_sparse_rows_are_grouped_as_dense_ones():
    X = planted()[0]
    X[np.abs(X) < 0.7] = 0
    stored_zeros = sparse.csr_array(X)
    stored_zeros.data[:5] = 0
    dense = stored_zeros.toarray()
    assert np.array_equal(groups(stored_zeros), groups(dense))
    assert np.array_equal(
        groups(stored_zeros, metric="cosine"), groups(dense, metric="cosine")
    )


def test_rows_far_from_the_origin_are_grouped_as_near_ones():
    X = planted(scale=1e-3)[0]
    assert np.array_equal(groups(X), groups(X + 1e8))
    assert len(np.unique(groups(X.astype(np.float32)))) == 300 - 15


def test_cosine_ignores_lengths():
    X = planted()[0]
    lengths = np.random.default_rng(1).uniform(0.1, 10, (len(X), 1))
    assert np.array_equal(
        groups(X, metric="cosine"), groups(X * lengths, metric="cosine")
    )


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_cells_find_the_copies_that_all_comparisons_find(monkeypatch, storage):
    X = storage(planted(n=2000, n_copies=60)[0])
    everything = groups(X)
    monkeypatch.setattr(_cells, "EXACT", 100)
    monkeypatch.setattr(_cells, "CELL", 50)
    monkeypatch.setattr(_cells, "BLOCK", 2000)
    assert same_partition(groups(X), everything)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_distinct_rows_are_those_of_numpy(storage):
    rng = np.random.default_rng(0)
    X = rng.integers(-1, 2, size=(400, 4)).astype(float)
    X[::7] = -0.0
    distinct, position = distinct_rows(storage(X))
    distinct = distinct.toarray() if sparse.issparse(distinct) else distinct
    assert len(distinct) == len(np.unique(X, axis=0))
    assert np.array_equal(distinct[position], X)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_rows_of_one_hash_are_told_apart(monkeypatch, storage):
    for name in ("_hashes", "_hashes_of_sparse"):
        monkeypatch.setattr(_nearest, name, lambda X: np.arange(X.shape[0]) % 7)
    monkeypatch.setattr(_nearest, "_random_numbers", np.ones)
    X = np.random.default_rng(0).integers(-1, 2, size=(60, 3)).astype(float)
    distinct, position = distinct_rows(storage(X))
    distinct = distinct.toarray() if sparse.issparse(distinct) else distinct
    assert len(distinct) == len(np.unique(X, axis=0))
    assert np.array_equal(distinct[position], X)


def test_copies_are_rejected_and_named():
    X, y = planted()
    copies = NearCopyFilter(random_state=0).fit(X, y)
    rejected = np.flatnonzero(~copies.inlier_mask_)
    assert rejected.tolist() == [0, *range(285, 300)]
    (group,) = copies.copies_
    assert group.rows.tolist() == rejected.tolist()
    assert group.labels == {0: 1, 1: 15}
    assert group.spread < 0.1 * group.distance
    assert copies.scores_[0] == -16 and copies.scores_[1] == -1


def test_new_rows_are_known_by_the_copies_that_they_lie_near():
    X, y = planted()
    copies = NearCopyFilter(random_state=0).fit(X[:-1], y[:-1])
    assert copies.predict(X[-1:], [1]).tolist() == [-1]
    assert copies.predict(X[-1:] + 5, [1]).tolist() == [1]
    assert np.array_equal(copies.score_samples(X[:-1], y[:-1]), copies.scores_)
    assert copies.score_samples(sparse.csr_array(X[-1:])) == [-15]


def test_the_strongest_attack_on_a_linear_classifier_is_found():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    attack = MinMaxAttack(epsilon=0.05, random_state=0)
    X_all, y_all = attack.fit_resample(X, y)
    rejected = ~NearCopyFilter(random_state=0).fit(X_all, y_all).inlier_mask_
    assert rejected[attack.poison_mask_].all()
    assert rejected.sum() == attack.poison_mask_.sum()


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine, load_digits])
def test_honest_tables_lose_nothing(load):
    X, y = load(return_X_y=True)
    assert NearCopyFilter().fit(StandardScaler().fit_transform(X), y).inlier_mask_.all()


@pytest.mark.parametrize("seed", range(5))
def test_rows_that_are_equal_by_chance_are_kept(seed):
    rng = np.random.default_rng(seed)
    few_values = rng.poisson(0.3, size=(500, 4)).astype(float)
    assert NearCopyFilter(random_state=0).fit(few_values).inlier_mask_.all()
    mixed = np.c_[few_values, rng.normal(size=500) * (rng.random(500) < 0.3)]
    assert NearCopyFilter(random_state=0).fit(mixed).inlier_mask_.all()


@pytest.mark.parametrize(
    "X", [np.ones((30, 2)), np.ones((1, 2)), [[0.0], [1.0]], np.eye(3)]
)
def test_too_little_to_compare_rejects_nothing(X):
    copies = NearCopyFilter().fit(X)
    assert copies.inlier_mask_.all() and copies.copies_ == []


def test_more_copies_than_distinct_rows():
    X, y = planted(n=100, n_copies=40, scale=0)
    assert (~NearCopyFilter().fit(X, y).inlier_mask_).sum() == 41


def test_a_given_size_is_the_limit():
    X, y = planted(n_copies=3)
    assert NearCopyFilter(max_size=3).fit(X, y).inlier_mask_.sum() == 296
    assert NearCopyFilter(max_size=4).fit(X, y).inlier_mask_.all()


def test_texts_go_through_a_vectorizer_and_come_back_as_texts():
    rng = np.random.default_rng(0)
    words = np.array(["sun", "rain", "wind", "snow", "fog", "hail", "dew", "ice"])
    texts = [" ".join(words[rng.permutation(8)[:5]]) for _ in range(60)]
    texts += ["best watches at the best price"] * 10
    y = ["weather", "news"] * 30 + ["news"] * 10
    copies = NearCopyFilter(
        transformer=TfidfVectorizer(), metric="cosine", random_state=0
    )
    kept, labels = copies.fit_filter(texts, y)
    assert kept == texts[:60] and labels == y[:60]
    assert copies.predict(["Best price at the best: watches"]).tolist() == [-1]
    assert copies.predict(["sun and ice"]).tolist() == [1]
    model = FilteredClassifier(copies, LogisticRegression())
    assert clone(model.filter).fit_transform(texts, y)[:60] == texts[:60]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="max_size"):
        NearCopyFilter(max_size=0).fit([[0.0], [1.0]])
    endless = FunctionTransformer(partial(np.full_like, fill_value=np.inf))
    with pytest.raises(ValueError, match="FunctionTransformer's output"):
        NearCopyFilter(transformer=endless).fit(np.eye(3))
    with pytest.raises(ValueError, match="metric"):
        NearCopyFilter(metric="manhattan").fit([[0.0], [1.0]])
    with pytest.raises(ValueError, match="factor"):
        NearCopyFilter(factor=-1).fit([[0.0], [1.0]])
    with pytest.raises(ValueError, match="NaN"):
        NearCopyFilter().fit([[np.nan], [1.0]])


def test_the_contract_of_filters():
    check_filter(NearCopyFilter())


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
def test_all_neighbors_are_found_where_all_cells_are_searched(monkeypatch, storage):
    X = planted(n=300, n_copies=40)[0]
    rows = DistinctRows(storage(X), np.random.RandomState(0))
    chosen = np.arange(0, len(X), 2)
    monkeypatch.setattr(_cells, "EXACT", 10)
    monkeypatch.setattr(_cells, "CELL", len(X) // 3)
    exact = np.sort(cdist(X, X))
    assert np.allclose(np.sort(rows.nearest[0]), exact[:, 1:11], atol=1e-6)
    distances, index = rows.nearest_among(chosen, 10)
    exact = np.sort(cdist(X[chosen], X[chosen]))[:, 1:11]
    assert np.allclose(np.sort(distances), exact, atol=1e-6)
    apart = X[chosen][:, None] - X[chosen[index]]
    assert np.allclose(np.linalg.norm(apart, axis=2), distances, atol=1e-6)


def test_distances_around_a_group_are_those_of_brute_force():
    X = planted(n=200, n_copies=12)[0]
    X[-1] = X[-2]
    members = np.arange(len(X) - 12, len(X))
    rows = DistinctRows(X, np.random.RandomState(0))
    found = distances_around(rows, members, members)
    apart = cdist(X[members], X) + np.where(members[:, None] == np.arange(len(X)), 9, 0)
    assert found[0] == pytest.approx(np.median(apart[:, members].min(axis=1)))
    assert found[1] == pytest.approx(np.median(apart[:, : members[0]].min(axis=1)))


def test_cells_of_other_rows_are_searched_as_far_as_the_own_one_reaches():
    rng = np.random.default_rng(0)
    queries, rows = rng.normal(size=(40, 5)), rng.normal(size=(90, 5)) + 1
    apart = cdist(queries, rows)
    limits = np.where(np.arange(40) % 3, 2.0, np.inf)
    nearer = apart < limits[:, None]
    seen = []
    for which, distances, found in _cells._nearer(queries, rows, limits, 8):
        seen.extend(which)
        for i, of_row, positions in zip(which, distances, found, strict=True):
            there = np.isfinite(of_row)
            nearest = np.sort(apart[i, nearer[i]])
            few = nearest if len(nearest) <= 16 else nearest[:8]
            assert np.allclose(np.sort(of_row[there]), few)
            assert np.allclose(apart[i, positions[there]], of_row[there])
    assert np.array_equal(np.sort(seen), np.flatnonzero(nearer.any(axis=1)))


def test_copies_of_sparse_rows_are_fitted_as_weights():
    rng = np.random.default_rng(0)
    few = sparse.csr_array(np.diag(np.arange(1.0, 21.0)))
    sent = sparse.csr_array(rng.normal(size=(1, 20)))
    X = sparse.csr_array(sparse.vstack([few, *[sent] * 30]))
    y = np.r_[np.arange(20) % 2, np.arange(30) % 3 == 0].astype(int)
    some, labels, weights = joined_copies(X, y)
    assert some.shape == (22, 20) and labels.tolist() == [*y[:20], 1, 0]
    assert weights.tolist() == [1.0] * 20 + [10.0, 20.0]
    given = rng.uniform(0.5, 2, 50)
    weights = joined_copies(X, y, given)[2]
    assert weights.sum() == pytest.approx(given.sum())
    for weight in (None, given):
        found = fit_logistic(X, y, weight).decision_function(X)
        wanted = LogisticRegression(max_iter=1000).fit(X.toarray(), y, weight)
        wanted = wanted.decision_function(X.toarray())
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
    # Nothing is gained where nothing is repeated.
    assert joined_copies(few, y[:20])[0] is few
