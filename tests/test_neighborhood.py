"""Rows without near rows, which AutoFilter calls far."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.datasets import load_breast_cancer

from skpoison import AutoFilter
from skpoison.filters._many_rows import DRAWN, EncodedRows
from skpoison.filters._neighborhood import COMPARED_WITH, NEAREST, Neighborhood


def correlated(n=600, seed=0):
    """Rows of six columns that two numbers decide, but for little noise."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 2))
    X = hidden @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(n, 6))
    return X, rng.integers(2, size=n), rng


def shuffled(X, n, rng):
    return np.column_stack([rng.choice(column, n) for column in X.T])


def neighborhood_of(X, codes, seed=0):
    columns = np.arange(X.shape[1])
    return Neighborhood.of(X, columns, codes, np.random.RandomState(seed))


def test_distances_are_mahalanobis_distances_of_pairs():
    X, codes, rng = correlated()
    found, distances = neighborhood_of(X, codes)
    pairs = cdist(X, X, "mahalanobis", VI=np.linalg.inv(np.cov(X.T)))
    np.fill_diagonal(pairs, np.inf)
    nearest = np.sort(pairs, axis=1)[:, :NEAREST].mean(axis=1)
    np.testing.assert_allclose(distances[:, 0], nearest, rtol=1e-6)
    new = X[:20] + rng.normal(size=(20, 6))
    pairs = cdist(new, X, "mahalanobis", VI=np.linalg.inv(np.cov(X.T)))
    nearest = np.sort(pairs, axis=1)[:, :NEAREST].mean(axis=1)
    np.testing.assert_allclose(found.distances(new)[:, 0], nearest, rtol=1e-6)


def test_rows_of_usual_values_that_do_not_belong_together_are_far():
    X, codes, rng = correlated()
    plants = shuffled(X, 30, rng)
    codes = np.r_[codes, np.zeros(30, int)]
    found, distances = neighborhood_of(np.r_[X, plants], codes)
    is_far = found.beyond(distances, codes) > 0
    assert is_far[-30:].mean() > 0.8
    assert is_far[:-30].mean() < 0.01
    new = shuffled(X, 50, rng)
    is_far = found.beyond(found.distances(new), np.zeros(50, int), are_new=True) > 0
    assert is_far.mean() > 0.8


def test_new_honest_rows_are_rarely_far_though_directions_are_not_fitted_to_them():
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(1500, 30)), rng.integers(2, size=1500)
    found, _ = neighborhood_of(X[:150], codes[:150])
    new = found.distances(X[150:])
    assert np.mean(found.beyond(new, codes[150:]) > 0) > 0.005
    assert np.mean(found.beyond(new, codes[150:], are_new=True) > 0) < 0.002


@pytest.mark.parametrize("draw", ["normal", "exponential", "uniform", "standard_t"])
@pytest.mark.parametrize("seed", range(3))
def test_honest_rows_are_rarely_far(draw, seed):
    rng = np.random.default_rng(seed)
    options = {"df": 4} if draw == "standard_t" else {}
    X = getattr(rng, draw)(size=(1000, 5), **options)
    X = np.sign(X) * np.log1p(np.abs(X))  # as AutoFilter compresses columns
    codes = rng.integers(3, size=1000)
    found, distances = neighborhood_of(X, codes)
    assert np.mean(found.beyond(distances, codes) > 0) <= 0.005


def test_a_class_that_is_sparser_or_rare_is_not_far():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 4))
    codes = np.repeat([0, 1], [880, 120])
    X[880:] *= 5
    found, distances = neighborhood_of(X, codes)
    assert not (found.beyond(distances, codes) > 0)[880:].any()
    as_the_other = found.beyond(distances, np.zeros(1000, int))
    assert (as_the_other > 0)[880:].any()
    X, codes = rng.normal(size=(1000, 4)), np.repeat([0, 1], [980, 20])
    X[980:] *= 20
    found, distances = neighborhood_of(X, codes)
    assert not (found.beyond(distances, codes) > 0)[980:].any()


def test_rows_that_are_encoded_when_asked_for_are_the_same():
    X, codes, rng = correlated(DRAWN + 500)
    X = np.r_[X, shuffled(X, 40, rng)].astype(np.float32)
    codes = np.r_[codes, np.ones(40, int)]
    found, distances = neighborhood_of(X, codes)
    _, same = neighborhood_of(EncodedRows(X, lambda rows: rows), codes)
    np.testing.assert_allclose(distances, same, rtol=1e-4)
    assert found.search.n_samples_fit_ == COMPARED_WITH
    assert (found.beyond(distances, codes) > 0)[-40:].mean() > 0.8


def test_few_columns_and_columns_of_few_values_say_nothing():
    rng = np.random.default_rng(0)
    codes = rng.integers(2, size=100)
    words = rng.integers(3, size=(100, 5)).astype(float)
    assert neighborhood_of(words, codes) is None
    assert neighborhood_of(np.c_[words, rng.normal(size=(100, 3))], codes) is None
    assert neighborhood_of(np.ones((100, 3)), codes) is None
    assert neighborhood_of(rng.normal(size=(5, 4)), codes[:5]) is None


def test_auto_filter_says_how_far_the_nearest_rows_are():
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    plants = shuffled(X, 25, rng)
    auto = AutoFilter(random_state=0).fit(np.r_[X, plants], np.r_[y, np.ones(25, int)])
    rejected = ~auto.inlier_mask_
    assert rejected[-25:].mean() > 0.9 and rejected[:-25].mean() < 0.02
    assert set(auto.tests_[-25:][rejected[-25:]]) == {"far"}
    assert any("its nearest rows are" in reason for reason in auto.reasons_[-25:])
    assert (auto.predict(shuffled(X, 25, rng)) == -1).mean() > 0.9


@pytest.mark.parametrize("n_rows", [25, 31, 50])
def test_few_rows_of_many_columns_do_not_make_new_rows_far(n_rows):
    X, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    known, new = order[:n_rows], order[n_rows:]
    auto = AutoFilter(random_state=0).fit(X[known], y[known])
    assert np.mean(auto.predict(X[new]) == -1) < 0.05


def test_persons_with_few_rows_among_persons_with_many_are_not_far():
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(200), rng.geometric(1 / 12, 200))
    X = rng.normal(size=(200, 12))[person]
    X += 0.1 * rng.normal(size=X.shape)
    found, distances = neighborhood_of(X, np.zeros(len(X), dtype=int))
    assert np.mean(found.beyond(distances, np.zeros(len(X), int)) > 0) < 0.005
