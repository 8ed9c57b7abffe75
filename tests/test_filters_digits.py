"""Rows whose values lie between those that other rows are rounded to."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skpoison import AutoFilter
from skpoison.exceptions import FilterWarning
from skpoison.filters._digits import Column, _scaled_grid, finer_rows

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


def rejected(X, seed=0):
    return finer_rows(X, np.random.RandomState(seed)) > 0.5


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
    found = rejected(X)
    assert not found[~planted].any()
    # Two rows of one class of images may have few pixels in which they differ.
    assert found[planted].mean() >= (0.9 if make is mixed else 1.0)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("table", TABLES)
def test_recorded_rows_are_not_finer(table, scale):
    assert not rejected(SCALES[scale](TABLES[table]())).any()


@pytest.mark.parametrize("function", [np.log1p, np.sqrt, np.square])
def test_functions_of_counts_are_not_finer(function):
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.5, 1.0, size=(800, 1)) * rng.gamma(0.5, 1.0, size=30)
    assert not rejected(function(rng.poisson(rates).astype(float))).any()


def test_steps_of_several_lengths_are_no_grid():
    counts = np.repeat([0, 1, 2, 3, 4, 5], [500, 400, 50, 40, 30, 20])
    everyone = np.arange(len(counts))
    assert _scaled_grid(Column.of(np.log1p(counts), everyone), 1e-14) is None
    grid = _scaled_grid(Column.of(counts / 7, everyone), 1e-14)
    assert grid.origin == 0 and grid.step == pytest.approx(1e-5 / 7, rel=1e-12)
    assert grid.slack < 1e-6


def test_means_in_the_place_of_missing_values_are_not_finer():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(500, 6)).round()
    X[:40, :4] = X.mean(axis=0)[:4] + np.pi / 100  # some rows are mostly filled in
    assert not rejected(X).any()


def test_computed_rows_are_found_beside_filled_gaps():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(500, 6)).round()
    X[:40, :4] = X.mean(axis=0)[:4] + np.pi / 100
    X[40:60] = rng.normal(10, 2, size=(20, 6))
    assert np.flatnonzero(rejected(X)).tolist() == [*range(40, 60)]


def test_values_without_a_grid_say_nothing():
    X = np.random.default_rng(0).normal(size=(300, 5))
    assert not finer_rows(X, np.random.RandomState(0)).any()


def test_where_many_rows_are_finer_they_are_how_rows_are():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(500, 6)).round(1)
    X[:60] += rng.normal(size=(60, 6))
    assert rejected(X).sum() == 60
    X[:90] += rng.normal(size=(90, 6))
    assert not rejected(X).any()


def test_rounded_poison_is_not_found():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(500, 6)).round(1)
    X[:20] = (X[:20] + rng.normal(size=(20, 6))).round(1)
    assert not rejected(X).any()


@pytest.mark.parametrize("decimals", [2, 3, 6])
def test_a_few_more_digits_are_those_of_another_device(decimals):
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(500, 6)).round(1)
    X[:20] = rng.normal(10, 2, size=(20, 6)).round(decimals)
    assert not rejected(X).any()
    assert not rejected(X / 7).any()
    X[:20] = rng.normal(10, 2, size=(20, 6)).round(9)
    assert rejected(X)[:20].mean() > 0.9


def test_whole_numbers_of_other_units_are_not_finer():
    rng = np.random.default_rng(0)
    inches = rng.normal(60, 9, size=(30, 5)).round()
    X = np.vstack([rng.normal(150, 20, size=(600, 5)).round(), 2.54 * inches])
    assert not rejected(X).any()


@pytest.mark.parametrize("wrap", [np.asarray, pd.DataFrame, pl.DataFrame])
def test_numbers_that_were_written_in_32_bits(wrap):
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.normal(3, 2.5, size=(1000, 1)))
    X = np.round(sizes * np.exp(rng.normal(0, 0.4, size=(1000, 8))), 2)
    y = np.arange(1000) % 2
    for rows in (X, X.astype(np.float32), X.astype(np.float32).astype(float)):
        assert "digits" not in AutoFilter(random_state=0).fit(wrap(rows), y).tests_


@pytest.mark.parametrize("scale", [255, 7, 0.3081])
def test_poison_is_found_in_scaled_shades_of_gray(scale):
    rng = np.random.default_rng(8)
    X = np.clip(np.round(rng.normal(128, 90, (2000, 6))), 0, 255)
    X[:60] += 0.2 * rng.normal(size=(60, 6))
    assert np.flatnonzero(rejected((X - 0.1307) / scale)).tolist() == [*range(60)]


def test_rows_that_repeat_are_what_is_recorded():
    rng = np.random.default_rng(0)
    X = np.clip(np.round(rng.normal(3, 0.8, size=(2000, 5))), 1, 5)
    X = np.vstack([X, X[:100] + 0.1 * rng.normal(size=(100, 5))])
    assert np.flatnonzero(rejected(X)).tolist() == [*range(2000, 2100)]


def test_copies_of_a_computed_row_do_not_vouch_for_each_other():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(500, 6)).round(1)
    X[:25] = rng.normal(10, 2, size=6)
    assert rejected(X)[:25].all() and rejected(X / 7)[:25].all()


def test_tiny_and_huge_values():
    X = np.random.default_rng(0).normal(size=(200, 6)).round(1)
    for scale in (1e-310, 1e-300, 1e300, 1e12):
        assert not rejected(scale * X).any()


def test_missing_values_constant_columns_and_few_rows():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(200, 8)).round(1)
    X[rng.random(X.shape) < 0.2] = np.nan
    X[:, 0], X[:, 1] = 3.0, np.nan
    assert not rejected(X).any()
    X[7] = rng.normal(10, 2, size=8)
    assert np.flatnonzero(rejected(X)).tolist() == [7]
    assert not rejected(X[:5]).any()


def test_rows_are_judged_alike_in_any_order():
    rng = np.random.default_rng(0)
    X = rng.normal(10, 2, size=(12_000, 30)).round(2)
    bad = rng.choice(len(X), 100, replace=False)
    X[bad] += rng.normal(size=(100, 30))
    finer = finer_rows(X, np.random.RandomState(0))
    assert np.flatnonzero(finer > 0.5).tolist() == sorted(bad)
    order = rng.permutation(len(X))
    assert np.array_equal(finer_rows(X[order], np.random.RandomState(1)), finer[order])


@pytest.fixture
def poisoned():
    """Wine, and mixed rows labeled as their first parent."""
    rng = np.random.default_rng(0)
    X, y = load_wine(return_X_y=True)
    own = rng.choice(np.flatnonzero(y == 1), (2, 9))
    rows = X[own[0]] + (X[own[1]] - X[own[0]]) / 2.618034
    return np.vstack([X, rows]), np.append(y, y[own[0]]), 9


def test_auto_filter_says_so(poisoned):
    X, y, n = poisoned
    auto = AutoFilter(random_state=0).fit(X, y)
    assert set(auto.tests_[-n:]) == {"digits"}
    assert auto.reasons_[-1].startswith("digits: 100% of its values lie between")
    assert np.all(auto.suspicion_[-n:] > 0.5)
    assert "digits" not in auto.tests_[:-n]
    assert np.isnan(auto.out_of_fold_[-n:]).all()


def test_digits_of_new_rows_are_not_looked_at(poisoned):
    X, y, n = poisoned
    auto = AutoFilter(random_state=0).fit(X[:-n].astype(np.float32), y[:-n])
    assert np.mean(auto.predict(X, y) == 1) > 0.95
    again = pickle.loads(pickle.dumps(auto))
    assert np.array_equal(again.score_samples(X, y), auto.score_samples(X, y))


def test_sparse_rows_are_not_judged_by_digits():
    rng = np.random.default_rng(0)
    X = sparse.random_array((400, 300), density=0.05, format="csr", rng=rng)
    X.data = 1.0 + np.floor(5 * X.data)
    X.data[:300] += 0.01 * rng.normal(size=300)
    y = np.arange(400) % 2
    auto = AutoFilter(random_state=0).fit(X, y)
    assert "digits" not in auto.tests_
    assert auto.predict(X, y).shape == (400,)


def test_quantities_and_rows_without_labels(poisoned):
    X, _, n = poisoned
    target = X[:, 0] + np.random.default_rng(0).normal(size=len(X))
    X = np.delete(X, 0, axis=1)
    tests = AutoFilter(random_state=0).fit(X, target).tests_
    assert set(tests[-n:]) == {"digits"}
    with pytest.warns(FilterWarning, match="at least two classes"):
        tests = AutoFilter(random_state=0).fit(X).tests_
    assert set(tests[-n:]) == {"digits"}
