import numpy as np
import pytest
from scipy import sparse
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

from skpoison import AutoFilter
from skpoison.attacks import MinMaxAttack
from skpoison.filters._coarseness import unexplained_copies
from skpoison.filters._copies import DistinctRows, groups_of
from skpoison.filters._evidence import _implausible, _without
from skpoison.filters._near_copies import SomeRows, cell_counts


def binary(rng, n=600):
    return (rng.random((n, 8)) < 0.9).astype(float)


def counts(rng, n=600):
    return rng.poisson(1.0, size=(n, 4)).astype(float)


def inflated(rng, n=600):
    """Most columns are zero in many rows at once, beside one of many values."""
    seldom = rng.gamma(1, size=(n, 4)) * (rng.random((n, 1)) < 0.5)
    seldom *= rng.random((n, 4)) < 0.6
    return np.c_[seldom, rng.lognormal(sigma=0.5, size=n).round(1)]


def one_hot(rng, n=600):
    """Three categories, most of them rare."""
    return np.hstack(
        [np.eye(4)[rng.choice(4, n, p=[0.5, 0.3, 0.1, 0.1])] for _ in "abc"]
    )


def drawn_twice(rng, n=600):
    return rng.normal(size=(n, 5))[rng.integers(n, size=n)]


TABLES = [binary, counts, inflated, one_hot, drawn_twice]


def copies_of(X, y, own=0.3):
    """Rows that are called copies, where models doubt all labels alike."""
    rng = np.random.RandomState(0)
    distinct = DistinctRows(X, rng)
    groups, radius, _ = groups_of(distinct, 0.25, rng)
    pairs = np.sum(np.bincount(groups) == 2)
    found = unexplained_copies(X, distinct, groups, radius, rng)
    return _implausible(found, pairs, y, np.full(len(y), own)) > 0


@pytest.mark.parametrize("draw", TABLES)
@pytest.mark.parametrize("seed", range(3))
def test_coarse_honest_rows_are_no_copies(draw, seed):
    rng = np.random.default_rng(seed)
    X = draw(rng)
    y = (X[:, 0] > np.median(X[:, 0])).astype(int)
    assert not copies_of(X, y).any()


@pytest.mark.parametrize("draw", TABLES)
@pytest.mark.parametrize("noise", [0, 1e-3], ids=["equal", "jittered"])
def test_as_copies_grow_in_number_they_alone_are_found(draw, noise):
    rng = np.random.default_rng(0)
    X = draw(rng)
    y = (X[:, 0] > np.median(X[:, 0])).astype(int)
    row = 0.4 * X[0] + 0.6 * X[1] + rng.normal(scale=0.01, size=X.shape[1])
    for n in (20, 60, 150):
        planted = row + noise * rng.normal(size=(n, X.shape[1]))
        found = copies_of(np.r_[X, planted], np.r_[y, np.ones(n, int)])
        assert found.tolist() == [False] * len(X) + [True] * n


def test_equal_rows_of_several_labels_are_honest():
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(300, 4)), np.ones((30, 4)) / 3]
    labels = np.zeros(330, int)
    assert copies_of(X, labels)[300:].all()
    labels[300:315] = 1
    assert not copies_of(X, labels).any()


def test_copies_among_equal_rows_that_frequent_values_explain_are_found():
    rng = np.random.default_rng(0)
    X = np.c_[np.zeros((400, 3)), rng.normal(size=400).round(1)]
    X[::2, :3] = rng.random((200, 3)) < 0.5
    planted = np.tile([0.0, 0.0, 0.0, 0.15], (25, 1))
    found = copies_of(np.r_[X, planted], np.zeros(425, int))
    assert found[400:].all() and not found[:400].any()


def test_expected_rows_are_those_of_independent_columns():
    rng = np.random.default_rng(0)
    X = (rng.random((4000, 6)) < [0.9, 0.8, 0.95, 0.9, 0.7, 0.9]).astype(float)
    inside = np.flatnonzero((X == 1).all(axis=1))
    everyone = SomeRows(np.arange(4000), X)
    found = cell_counts(X, inside, everyone)
    assert found.expected == pytest.approx(len(inside), rel=0.1)
    assert found.shared == np.sum(X[(X == 0).any(axis=1)], axis=0).min()
    assert found.explain(len(inside))
    X_sparse = sparse.csr_array(X)
    of_sparse = cell_counts(X_sparse, inside, SomeRows(np.arange(4000), X_sparse))
    assert of_sparse == pytest.approx(found)
    of_sample = cell_counts(X, inside, SomeRows(np.arange(2000), X[:2000]))
    assert of_sample == pytest.approx(found, rel=0.15)


@pytest.mark.parametrize("share", [0.02, 0.05])
def test_an_attack_on_a_coarse_table_does_not_accuse_honest_rows(share):
    rng = np.random.default_rng(0)
    X = inflated(rng, 400)
    y = (X[:, :4].sum(axis=1) + rng.normal(scale=0.3, size=400) > 0.5).astype(int)
    attack = MinMaxAttack(epsilon=share, random_state=0)
    X_all, y_all = attack.fit_resample(StandardScaler().fit_transform(X), y)
    auto = AutoFilter(GaussianNB(), random_state=0).fit(X_all, y_all)
    is_copy = auto.tests_ == "copies"
    # Some of the rows are sent fewer times than honest rows are repeated.
    assert is_copy[attack.poison_mask_].mean() > 0.75
    assert not is_copy[~attack.poison_mask_].any()


@pytest.mark.parametrize(
    ("n_of_label", "support", "n_rejected"),
    [(400, 0.9, 0), (400, 0.3, 50), (100, 0.3, 0), (100, 0.19, 50)],
)
def test_groups_of_copies_excuse_each_other_where_models_support_their_labels(
    n_of_label, support, n_rejected
):
    groups = list(np.arange(50).reshape(10, 5))  # of a thousand rows
    # Of a rare label, models need only be surer than of any row.
    codes = np.repeat([0, 1], [n_of_label, 1000 - n_of_label])
    own = np.full(1000, 0.9)
    own[:20] = support  # of four of the groups, by models without any group
    found = _implausible(groups, 0, codes, own)
    assert np.count_nonzero(found) == n_rejected


def test_copies_are_judged_by_models_without_any_of_them():
    groups = list(np.arange(20).reshape(4, 5))
    codes = np.r_[np.zeros(20, dtype=int), np.arange(80) % 2]
    seen = []

    def predict(rows, folds):
        seen.append((rows, folds))
        return np.tile([0.2, 0.8], (1, len(rows), 1))

    rows, said = _without(groups, np.arange(100), codes, predict)
    assert rows.tolist() == list(range(20))
    everyone, folds = seen[0]
    assert set(everyone[folds == -1]) == set(range(20, 100))
    assert said.tolist() == [[[0.2, 0.8]] * 20]
    # Nothing is left to fit to where a class has copies only.
    codes[20:] = 1
    rows, said = _without(groups, np.arange(100), codes, predict)
    assert not len(rows) and len(seen) == 1


def test_oversampled_classes_are_no_copies():
    groups = list(np.arange(200).reshape(10, 20))  # a fifth of the rows
    found = _implausible(groups, 0, np.repeat([0, 1], 500), np.full(1000, 0.6))
    assert not found.any()
    own = np.full(1000, 0.6)
    own[:80] = 0.3
    found = _implausible(groups, 0, np.repeat([0, 1], 500), own)
    assert np.count_nonzero(found) == 80
