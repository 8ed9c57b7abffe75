"""The filter for regression."""

from itertools import combinations

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, QuantileRegressor, Ridge
from sklearn.model_selection import GridSearchCV

from skpoison import FilteredRegressor, SphereFilter
from skpoison.exceptions import FilterWarning
from skpoison.filters import LossFilter, TrimFilter


@pytest.fixture(scope="module")
def poisoned():
    """Rows, targets of which a fifth lies on another plane, and the weights."""
    X, y, weights = make_regression(200, 4, noise=1.0, coef=True, random_state=0)
    poison = np.arange(200) < 40
    y[poison] = 150.0 - X[poison] @ weights
    return X, y, weights, poison


def trimmed_loss(X, y, rows):
    fitted = LinearRegression().fit(X[rows], y[rows])
    return np.mean((fitted.predict(X[rows]) - y[rows]) ** 2)


def test_no_subset_has_a_smaller_trimmed_loss():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(11, 1)), rng.normal(size=11)
    trim = TrimFilter(
        contamination=0.25, estimator=LinearRegression(), n_init=60, random_state=0
    ).fit(X, y)
    n_kept = int(trim.inlier_mask_.sum())
    least = min(
        trimmed_loss(X, y, list(rows)) for rows in combinations(range(11), n_kept)
    )
    assert trim.trimmed_losses_[-1] == pytest.approx(least, rel=1e-9)


def test_poison_on_another_plane_is_rejected(poisoned):
    X, y, weights, poison = poisoned
    trim = TrimFilter(contamination=0.2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(trim.inlier_mask_, ~poison)
    np.testing.assert_allclose(trim.estimator_.coef_, weights, atol=1.0)
    assert np.abs(Ridge().fit(X, y).coef_ - weights).max() > 10
    assert (np.diff(trim.trimmed_losses_) <= 1e-9).all()


def test_scores_are_minus_the_loss_under_the_last_regressor(poisoned):
    X, y, *_ = poisoned
    for loss, of in (("squared", np.square), ("absolute", np.abs)):
        trim = TrimFilter(80, loss=loss, random_state=0).fit(X, y)
        losses = of(trim.estimator_.predict(X) - y)
        np.testing.assert_allclose(trim.scores_, -losses)
        np.testing.assert_allclose(trim.score_samples(X, y), -losses)
        np.testing.assert_array_equal(trim.predict(X, y) == 1, trim.inlier_mask_)
        assert trim.inlier_mask_.sum() == 160


def test_more_starts_are_never_worse(poisoned):
    X, y, *_ = poisoned
    one, many = (TrimFilter(70, n_init=n, random_state=0).fit(X, y) for n in (1, 8))
    assert many.trimmed_losses_[-1] <= one.trimmed_losses_[-1]


def test_nothing_dropped_is_no_filter(poisoned):
    X, y, *_ = poisoned
    trim = TrimFilter(100).fit(X, y)
    assert trim.inlier_mask_.all()
    np.testing.assert_allclose(trim.estimator_.coef_, Ridge().fit(X, y).coef_)


def test_sparse_and_single_precision_rows_give_the_same(poisoned):
    X, y, *_ = poisoned
    trim = TrimFilter(80, random_state=0)
    dense = clone(trim).fit(X, y)
    for rows in (sparse.csr_array(X), X.astype(np.float32)):
        other = clone(trim).fit(rows, y)
        np.testing.assert_array_equal(other.inlier_mask_, dense.inlier_mask_)
        assert other.scores_.dtype == np.float64


@pytest.mark.parametrize(
    "estimator", [QuantileRegressor(alpha=0), RandomForestRegressor(20, random_state=0)]
)
def test_any_regressor(estimator, poisoned):
    X, y, _, poison = poisoned
    options = {"loss": "absolute", "n_init": 1, "max_iter": 8, "tol": 1e-2}
    trim = TrimFilter(contamination=0.2, estimator=estimator, **options).fit(X, y)
    assert np.mean(~trim.inlier_mask_[poison]) > np.mean(~trim.inlier_mask_[~poison])


def test_the_regressor_behind_it(poisoned):
    X, y, weights, poison = poisoned
    robust = FilteredRegressor(TrimFilter(contamination=0.2, random_state=0))
    assert np.abs(robust.fit(X, y).estimator_.coef_ - weights).max() < 1
    np.testing.assert_array_equal(robust.inlier_mask_, ~poison)
    blind = FilteredRegressor(SphereFilter(80)).fit(X, y)
    assert np.abs(blind.estimator_.coef_ - weights).max() > 10
    grid = {"filter__contamination": [0.1, 0.2]}
    search = GridSearchCV(robust, grid, scoring="neg_median_absolute_error").fit(X, y)
    assert search.best_params_ == {"filter__contamination": 0.2}


def test_targets_that_are_none_are_refused(poisoned):
    X, y, *_ = poisoned
    for targets, why in (
        (np.where(y > 0, "a", "b"), "Use LossFilter for class labels"),
        (np.where(y > 0, y, np.nan), "NaN"),
        (y[:-1], "inconsistent"),
        (np.c_[y, y], "1d array"),
    ):
        with pytest.raises(ValueError, match=why):
            TrimFilter().fit(X, targets)
    with pytest.raises(ValueError, match="or use TrimFilter"):
        LossFilter().fit(X, y)


def test_without_targets_every_row_is_kept(poisoned):
    X, y, *_ = poisoned
    with pytest.warns(FilterWarning, match="needs targets"):
        trim = TrimFilter().fit(X)
    assert trim.inlier_mask_.all() and (trim.predict(X) == 1).all()
    told = TrimFilter().fit(X, y)
    assert (told.score_samples(X) == 0).all() and (told.predict(X) == 1).all()


def test_it_says_when_it_has_not_settled(poisoned):
    X, y, *_ = poisoned
    with pytest.warns(ConvergenceWarning, match="after max_iter=2 fits"):
        TrimFilter(60, max_iter=2, tol=0, n_init=1).fit(X, y)


def test_it_does_not_join_filters_of_labels(poisoned):
    X, y, *_ = poisoned
    with pytest.raises(TypeError, match="cannot be combined by"):
        (TrimFilter() & SphereFilter()).fit(X, y > 0)
