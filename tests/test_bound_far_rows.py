"""Bounds of learners with a free intercept, of rows far from the origin."""

import numpy as np
import pytest
from oracles import labelled_rows, rows_with_targets
from scipy import sparse
from sklearn.base import is_regressor
from sklearn.linear_model import (
    HuberRegressor,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)

from skpoison import CertifiedBound, SlabFilter, SphereFilter, bound_curve
from skpoison.filters import _rows
from skpoison.solvers import _centering

LEARNERS = [
    LogisticRegression(),
    RidgeClassifier(solver="cholesky"),
    SGDClassifier("modified_huber"),
    Ridge(solver="cholesky"),
    HuberRegressor(),
]
each_learner = pytest.mark.parametrize("estimator", LEARNERS, ids=str)


def rows_of(estimator):
    if is_regressor(estimator):
        return rows_with_targets(0)
    return labelled_rows(0, gap=0.3)


@each_learner
@pytest.mark.parametrize("offset", [1e6, 1e8])
def test_an_offset_of_all_rows_leaves_the_bound_as_it_is(offset, estimator):
    X, y = rows_of(estimator)
    filter_ = SphereFilter(80)
    if not is_regressor(estimator):
        filter_ &= SlabFilter(80)
    options = {"epsilon": 0.1, "estimator": estimator, "tol": 1e-4}
    near = CertifiedBound(filter_, **options).fit(X, y)
    far = CertifiedBound(filter_, **options).fit(X + offset, y)
    assert far.converged_
    assert far.upper_bound_ == pytest.approx(near.upper_bound_, rel=2e-4)
    assert far.lower_bound_ <= far.attack_loss_ + far.attack_.rounding_slack + 1e-9
    assert far.attack_loss_ <= far.upper_bound_
    labels = () if is_regressor(estimator) else (far.attack_.y,)
    assert np.all(far.filter_.predict(far.attack_.X, *labels) == 1)
    assert np.abs(far.attack_.X - offset).max() < 100.0
    # The intercept is that of the rows as they are.
    scores = X @ near.coef_.ravel() + np.ravel(near.intercept_)[0]
    moved = (X + offset) @ far.coef_.ravel() + np.ravel(far.intercept_)[0]
    np.testing.assert_allclose(moved, scores, atol=1e-9 * offset + 0.05)


@pytest.mark.parametrize("estimator", [LEARNERS[1], LEARNERS[3]], ids=str)
def test_models_of_rows_far_away_keep_to_their_bound(estimator):
    X, y = rows_of(estimator)
    X = X + 1e6
    bound = CertifiedBound(SphereFilter(80), 0.1, estimator=estimator).fit(X, y)
    found = bound.attack_
    X_sent = np.vstack([X, np.repeat(found.X, found.n_copies, axis=0)])
    y_sent = np.append(y, np.repeat(found.y, found.n_copies))
    checked = bound.check(bound.defend(estimator).fit(X_sent, y_sent), X_sent, y_sent)
    assert checked.holds
    assert checked.training_gap < 1e-3 * checked.training_loss


def test_float32_and_sparse_rows_far_away_are_bounded():
    X, y = labelled_rows(0, gap=0.3)
    options = {"epsilon": 0.1, "estimator": LogisticRegression()}
    near = CertifiedBound(SphereFilter(80), **options).fit(X, y)
    for far in ((X + 1e5).astype(np.float32), sparse.csr_array(X + 1e6)):
        bound = CertifiedBound(SphereFilter(80), **options).fit(far, y)
        assert bound.attack_loss_ <= bound.upper_bound_
        assert bound.upper_bound_ == pytest.approx(near.upper_bound_, rel=0.02)


def test_a_curve_of_rows_far_away_is_that_of_rows_near():
    X, y = labelled_rows(0, gap=0.3)
    bound = CertifiedBound(estimator=LogisticRegression(), tol=1e-5)
    near = bound_curve(bound, X, y, [0.01, 0.1])
    far = bound_curve(bound, X + 1e6, y, [0.01, 0.1])
    np.testing.assert_allclose(far.upper_bound, near.upper_bound, rtol=1e-4)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_sparse_rows_lie_as_far_away_as_dense_ones(offset):
    X = np.random.default_rng(0).normal(size=(40, 6))
    X[:, 3:] *= np.random.default_rng(1).random((40, 3)) < 0.3
    X[:, :3] += offset
    rows, codes = sparse.csr_array(X), np.arange(40) % 2
    mean = X.mean(axis=0)
    expected = _centering._squared_distances(X, mean)
    assert _centering._squared_distances(rows, mean) == pytest.approx(expected)
    assert _centering._is_far(rows) == _centering._is_far(X) == (offset == 1e6)
    means = _rows.class_means(rows, codes, 2)
    found, dense = (_rows._sampled_lengths(one, codes, means) for one in (rows, X))
    np.testing.assert_allclose(found, dense, rtol=1e-9)


@pytest.mark.parametrize("offset", [0.0, 1.0, 100.0, 3e3, 3e4, 1e8])
def test_rows_that_sums_of_squares_show_to_be_near_are_near(offset, monkeypatch):
    X = np.random.default_rng(0).normal(size=(500, 7)) + offset
    is_far = _centering._is_far(X)
    monkeypatch.setattr(_centering, "SURELY", np.inf)  # a closer look at all
    assert _centering._is_far(X) == is_far == (offset > 1e4)
