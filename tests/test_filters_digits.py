"""Rows whose values lie between those that other rows are rounded to."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skpoison import AutoFilter
from skpoison.exceptions import FilterWarning
from skpoison.filters._digits import Digits, _scaled_grid

TABLES = {
    "cancer": lambda: load_breast_cancer().data,
    "wine": lambda: load_wine().data,
    "images": lambda: load_digits().data[:600] / 16,
    "whole numbers": lambda: load_digits().data[:600],
}
SCALES = {
    "as they are": lambda X: X,
    "standardized": StandardScaler().fit_transform,
    "0 to 1": MinMaxScaler().fit_transform,
    "32 bits": lambda X: X.astype(np.float32),
    "both": lambda X: StandardScaler().fit_transform(X).astype(np.float32),
}


def finer_rows(X, seed=0):
    return Digits.of(X, np.random.RandomState(seed))[1] > 0.5


def mixed(X, n, rng):
    """Rows between two others, as SMOTE makes them."""
    first, second = rng.integers(len(X), size=(2, n))
    part = rng.random((n, 1))
    return part * X[first] + (1 - part) * X[second]


def disturbed(X, n, rng):
    rows = X[rng.choice(len(X), n, replace=False)]
    return rows + 1e-3 * X.std(axis=0) * rng.normal(size=rows.shape)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("make", [mixed, disturbed])
def test_computed_rows_are_found_among_recorded_ones(make, table, scale):
    rng = np.random.default_rng(1)
    X = TABLES[table]()
    n = len(X) // 20
    X = SCALES[scale](np.vstack([X, make(X, n, rng)]))
    planted = np.arange(len(X)) >= len(X) - n
    found = finer_rows(X)
    assert not found[~planted].any()
    # Two rows of one class of images may have few pixels in which they differ.
    assert found[planted].mean() >= (0.9 if make is mixed else 1.0)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("table", TABLES)
def test_recorded_rows_are_not_finer(table, scale):
    assert not finer_rows(SCALES[scale](TABLES[table]())).any()


@pytest.mark.parametrize("function", [np.log1p, np.sqrt, np.square])
def test_functions_of_counts_are_not_finer(function):
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.5, 1.0, size=(800, 1)) * rng.gamma(0.5, 1.0, size=30)
    assert not finer_rows(function(rng.poisson(rates).astype(float))).any()


def test_steps_of_several_lengths_are_no_grid():
    counts = np.repeat([1, 2, 3, 4, 5], [400, 50, 40, 30, 20])
    values, often = np.unique(counts, return_counts=True)
    assert _scaled_grid(np.log1p(values), often, 0.0, 500) is None
    origin, step, slack = _scaled_grid(values / 7, often, 0.0, 500)
    assert (origin, step) == (0.0, pytest.approx(1 / 7, rel=1e-12)) and slack < 1e-9


def test_means_in_the_place_of_missing_values_are_not_finer():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(500, 6)).round()
    X[:40, :4] = X.mean(axis=0)[:4] + 0.0137  # some rows are mostly filled in
    assert not finer_rows(X).any()


def test_values_without_a_grid_say_nothing():
    X = np.random.default_rng(0).normal(size=(300, 5))
    digits, finer = Digits.of(X, np.random.RandomState(0))
    assert digits is None
    assert not finer.any()


def test_where_many_rows_are_finer_they_are_how_rows_are():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(500, 6)).round(1)
    X[:60] += rng.normal(size=(60, 6))
    assert finer_rows(X).sum() == 60
    X[:90] += rng.normal(size=(90, 6))
    assert not finer_rows(X).any()


def test_rounded_poison_is_not_found():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(500, 6)).round(1)
    X[:20] = (X[:20] + rng.normal(size=(20, 6))).round(1)
    assert not finer_rows(X).any()


def test_one_finer_digit_is_not_enough():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(500, 6)).round(1)
    X[:20] = (X[:20] + rng.normal(size=(20, 6))).round(2)
    assert not finer_rows(X).any()
    X[:20] = (X[:20] + rng.normal(size=(20, 6))).round(3)
    assert finer_rows(X)[:20].mean() > 0.9


def test_missing_values_constant_columns_and_few_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(200, 8)).round(1)
    X[rng.random(X.shape) < 0.2] = np.nan
    X[:, 0], X[:, 1] = 3.0, np.nan
    assert not finer_rows(X).any()
    X[7] = rng.normal(10, 2, size=8)
    assert np.flatnonzero(finer_rows(X)).tolist() == [7]
    assert not finer_rows(X[:5]).any()


def test_stored_values_of_sparse_rows():
    rng = np.random.default_rng(0)
    X = sparse.random_array((400, 300), density=0.05, format="csr", rng=rng)
    X.data = 1.0 + np.floor(5 * X.data)
    assert not finer_rows(X).any()
    some = X[:10].copy()
    some.data += rng.normal(size=len(some.data)) / 10
    found = finer_rows(sparse.vstack([X, some], format="csr"))
    assert np.flatnonzero(found).tolist() == list(range(400, 410))


def test_rows_are_judged_alike_in_any_order_and_in_blocks():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(12_000, 30)).round(2)
    X[rng.choice(len(X), 100, replace=False)] += rng.normal(size=(100, 30))
    digits, finer = Digits.of(X, np.random.RandomState(0))
    assert np.sum(finer > 0.5) == 100
    order = rng.permutation(len(X))
    assert np.array_equal(digits.share_finer(X[order]), finer[order])
    assert np.array_equal(digits.share_finer(X[:7]), finer[:7])


@pytest.fixture
def poisoned():
    """Wine, and mixed rows labeled as their first parent."""
    rng = np.random.default_rng(0)
    X, y = load_wine(return_X_y=True)
    own = rng.choice(np.flatnonzero(y == 1), (2, 9))
    rows = 0.618 * X[own[0]] + 0.382 * X[own[1]]
    return np.vstack([X, rows]), np.append(y, y[own[0]]), 9


def test_auto_filter_says_so(poisoned):
    X, y, n = poisoned
    auto = AutoFilter(random_state=0).fit(X, y)
    assert set(auto.tests_[-n:]) == {"digits"}
    assert auto.reasons_[-1].startswith("digits: 100% of its values lie between")
    assert np.all(auto.suspicion_[-n:] > 0.5)
    assert "digits" not in auto.tests_[:-n]
    assert np.isnan(auto.out_of_fold_[-n:]).all()


@pytest.mark.parametrize("as_table", [False, True])
def test_new_rows_are_compared_with_the_training_rows(poisoned, as_table):
    X, y, n = poisoned
    wrap = pd.DataFrame if as_table else np.asarray
    auto = AutoFilter(random_state=0).fit(wrap(X[:-n]), y[:-n])
    assert not auto.predict(wrap(X[-n:]), y[-n:]).max() > 0
    assert np.mean(auto.predict(wrap(X[:-n]), y[:-n]) == 1) > 0.95
    again = pickle.loads(pickle.dumps(auto))
    scores = auto.score_samples(wrap(X), y)
    assert np.array_equal(again.score_samples(wrap(X), y), scores)


def test_quantities_and_rows_without_labels(poisoned):
    X, _, n = poisoned
    target = X[:, 0] + np.random.default_rng(0).normal(size=len(X))
    X = np.delete(X, 0, axis=1)
    tests = AutoFilter(random_state=0).fit(X, target).tests_
    assert set(tests[-n:]) == {"digits"}
    with pytest.warns(FilterWarning, match="at least two classes"):
        tests = AutoFilter(random_state=0).fit(X).tests_
    assert set(tests[-n:]) == {"digits"}
