"""Attacks on regression, and what is fitted and measured on them."""

import numpy as np
import pandas as pd
import pytest
from oracles import rows_with_targets
from sklearn.base import clone, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import HuberRegressor, LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVR

from skpoison import CertifiedBound, FilteredRegressor, SphereFilter
from skpoison.attacks import MinMaxAttack, TargetFlipAttack
from skpoison.evaluation import evaluate_attack
from skpoison.filters import TrimFilter
from skpoison.meta import PoisonedRegressor


@pytest.mark.parametrize("estimator", [Ridge(), HuberRegressor(), LinearSVR()], ids=str)
def test_the_worst_rows_for_a_regressor_are_its_bound_s(estimator):
    X, y = rows_with_targets(0)
    attack = MinMaxAttack(0.2, filter=SphereFilter(80), estimator=estimator)
    rows, targets = attack.set_params(random_state=0).fit_resample(X, y)
    bound = CertifiedBound(SphereFilter(80), 0.2, estimator=estimator, random_state=0)
    bound.fit(X, y)
    assert attack.bound_.upper_bound_ == pytest.approx(bound.upper_bound_, rel=1e-9)
    assert attack.target_range_ == (y.min(), y.max())
    assert len(rows) == len(targets) <= 48
    assert np.all(attack.filter_.predict(attack.X_poison_) == 1)
    assert set(attack.y_poison_) <= set(attack.target_range_)
    np.testing.assert_array_equal(targets[attack.poison_mask_], attack.y_poison_)
    assert not hasattr(attack, "classes_")


def test_the_worst_rows_pass_the_filter_in_the_types_of_the_columns():
    X, y = rows_with_targets(0)
    table = pd.DataFrame(X.astype(np.float32))
    attack = MinMaxAttack(0.2, estimator=Ridge(), filter=SphereFilter(80))
    rows, targets = attack.fit_resample(table, pd.Series(y))
    assert rows.dtypes.tolist() == [np.float32] * X.shape[1]
    assert np.all(attack.filter_.predict(rows[attack.poison_mask_]) == 1)
    assert isinstance(targets, pd.Series)


def test_an_attack_that_is_fitted_on_classes_forgets_targets():
    X, y = rows_with_targets(0)
    attack = MinMaxAttack(0.2, estimator=LogisticRegression()).fit(X, y > 2.0)
    assert attack.target_range_ is None
    attack.set_params(estimator=Ridge()).fit(X, y)
    assert not hasattr(attack, "classes_")
    attack.set_params(estimator=LogisticRegression()).fit(X, y > 2.0)
    assert attack.y_poison_.dtype == bool


@pytest.mark.parametrize("strategy", ["boundary", "inverse"])
def test_flipped_targets_are_those_of_the_rows_copied(strategy):
    X, y = rows_with_targets(0)
    attack = TargetFlipAttack(0.5, strategy, random_state=0)
    attack.set_params(target_range=(-9.0, 11.0)).fit(X, y)
    own = y[attack.flipped_indices_]
    np.testing.assert_array_equal(attack.X_poison_, X[attack.flipped_indices_])
    if strategy == "inverse":
        np.testing.assert_allclose(attack.y_poison_, 2.0 - own)
    else:
        np.testing.assert_array_equal(attack.y_poison_, np.where(own < 1, 11.0, -9.0))
    assert attack.n_candidates_ == len(X)
    assert len(set(attack.flipped_indices_)) == 20
    assert attack.filter_ is None


def test_flipped_rows_pass_the_filter_that_they_face():
    X, y = rows_with_targets(0)
    sphere = TargetFlipAttack(1.0, filter=SphereFilter(60)).fit(X, y)
    assert np.all(sphere.filter_.predict(sphere.X_poison_) == 1)
    assert sphere.n_candidates_ < len(X)
    trim = TargetFlipAttack(1.0, "inverse", filter=TrimFilter(contamination=0.2))
    trim.fit(X, y)
    assert np.all(trim.filter_.decision_function(trim.X_poison_, trim.y_poison_) >= 0)
    fixed = FrozenEstimator(SphereFilter(60).fit(X[:20]))
    attack = TargetFlipAttack(0.1, filter=fixed).fit(X, y)
    np.testing.assert_array_equal(attack.filter_.radii_, fixed.radii_)
    with pytest.raises(
        ValueError, match="No training row with a flipped target passes"
    ):
        TargetFlipAttack(0.1, domain="binary").fit(X, y)


def test_flips_copy_columns_of_any_type():
    table = pd.DataFrame({"kind": ["a", "b", "a", "c"], "size": [1, 2, 3, 4]})
    y = np.array([0.0, 1.0, 2.0, 9.0])
    rows, targets = TargetFlipAttack(0.5, random_state=0).fit_resample(table, y)
    assert rows.dtypes.equals(table.dtypes)
    assert set(targets[4:]) <= {0.0, 9.0}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"target_range": (0.0, np.inf)}, "leaves targets unbounded"),
        ({"strategy": "alfa"}, "strategy"),
    ],
    ids=str,
)
def test_flips_that_make_no_sense_are_refused(options, says):
    X, y = rows_with_targets(0)
    with pytest.raises(ValueError, match=says):
        TargetFlipAttack(**options).fit(X, y)


def test_a_poisoned_regressor_is_scored_on_clean_rows():
    X, y = rows_with_targets(0, n_rows=80)
    attack = MinMaxAttack(0.2, estimator=Ridge())
    defended = PoisonedRegressor(attack, FilteredRegressor(SphereFilter(80), Ridge()))
    scores = cross_val_score(defended, X, y, cv=3)
    assert scores.mean() < cross_val_score(Ridge(), X, y, cv=3).mean() - 0.02
    fitted = clone(defended).fit(X, y)
    assert is_regressor(fitted)
    assert fitted.poison_mask_.sum() == len(fitted.attack_.y_poison_)
    # The attack adapts to the regressor's filter.
    assert fitted.attack_.filter.percentile == 80
    default = PoisonedRegressor(TargetFlipAttack(0.1)).fit(X, y)
    assert default.estimator_.filter.percentile == 70


def test_attacks_on_regression_are_measured():
    X, y = rows_with_targets(0, n_rows=120)
    split = X[:80], y[:80], X[80:], y[80:]
    attacks = {
        "flips": TargetFlipAttack(0.2, random_state=0),
        "worst": MinMaxAttack(0.2, estimator=Ridge(), random_state=0),
    }
    defenses = {"sphere": SphereFilter(80), "none": None}
    results = evaluate_attack(attacks, defenses, Ridge(), *split)
    assert results.frame.shape[0] == 4
    errors = y[80:] - Ridge().fit(X[:80], y[:80]).predict(X[80:])
    assert results.error_clean == pytest.approx(np.abs(errors).mean())
    assert results.loss_clean == pytest.approx((errors**2).mean())
    assert np.all(results.loss_poisoned > results.loss_clean)
    trim = TrimFilter(contamination=0.3, random_state=0)
    flips = evaluate_attack(attacks["flips"], trim, Ridge(), *split, adaptive=False)
    assert flips.loss_filtered_poisoned[0] < flips.loss_poisoned[0]
    fixed = {"fit_filter_on": "clean"}
    found = evaluate_attack(
        attacks["worst"], SphereFilter(80), Ridge(), *split, **fixed
    )
    assert found.poison_rejected[0] == 0.0
