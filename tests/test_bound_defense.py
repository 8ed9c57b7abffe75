"""The defense that a bound is about, ready to run, and what it bounds."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skpoison import (
    CertifiedBound,
    FilteredClassifier,
    NormConstrainedSVC,
    SlabFilter,
    SphereFilter,
)
from skpoison.exceptions import FilterWarning


def sent(X, y, attack):
    """Rows as they arrive: clean ones, then the attack in whole copies."""
    rows = np.vstack([X, np.repeat(attack.X, attack.n_copies, axis=0)])
    return rows, np.append(y, np.repeat(attack.y, attack.n_copies))


def hinge_losses(fitted, X, y):
    return np.maximum(0.0, 1.0 - (2.0 * y - 1.0) * fitted.decision_function(X))


def blobs():
    return make_blobs(100, centers=[[-2, 0], [2, 0]], random_state=0)


def test_the_defense_keeps_the_filter_as_it_was_fitted():
    X, y = blobs()
    bound = CertifiedBound(SphereFilter(80), 0.2, C=1.0).fit(X, y)
    rows, labels = np.vstack([X, X[:20] + 1.0]), np.append(y, y[:20])
    defense = bound.defend(LinearSVC()).fit(rows, labels)
    expected = bound.filter_.predict(rows, labels) == 1
    np.testing.assert_array_equal(defense.inlier_mask_, expected)
    by_hand = FilteredClassifier(FrozenEstimator(bound.filter_), LinearSVC())
    np.testing.assert_array_equal(
        by_hand.fit(rows, labels).inlier_mask_, defense.inlier_mask_
    )
    refitted = FilteredClassifier(SphereFilter(80), LinearSVC()).fit(rows, labels)
    assert not np.array_equal(refitted.inlier_mask_, defense.inlier_mask_)


def test_a_bound_on_a_frozen_filter_has_the_same_defense():
    X, y = blobs()
    frozen = FrozenEstimator(SphereFilter(80).fit(X, y))
    defense = CertifiedBound(frozen, 0.2).fit(X, y).defend(LinearSVC())
    assert defense.filter.estimator is frozen.estimator


def test_with_moving_centroids_the_defense_estimates_them_again():
    X, y = blobs()
    options = {"defense": "moving_centroids", "tol": 0.3, "random_state": 0}
    bound = CertifiedBound(SphereFilter(90), 0.05, rho=1.0, **options).fit(X, y)
    defense = bound.defend(NormConstrainedSVC()).fit(X + 5.0, y)
    np.testing.assert_allclose(
        defense.filter_.centroids_, bound.filter_.centroids_ + 5.0
    )
    np.testing.assert_allclose(defense.filter_.radii_, bound.filter_.radii_)


def test_a_bound_must_be_fitted_before_it_defends():
    with pytest.raises(NotFittedError):
        CertifiedBound().defend(LinearSVC())


def test_a_bound_defends_learners_of_its_kind():
    X, y = blobs()
    bound = CertifiedBound(epsilon=0.1).fit(X, y)
    with pytest.raises(ValueError, match=r"is about classifiers; got estimator=Ridge"):
        bound.defend(Ridge())
    targets = X.sum(axis=1)
    bound = CertifiedBound(epsilon=0.1, estimator=Ridge()).fit(X, targets)
    with pytest.raises(ValueError, match="is about regressors"):
        bound.defend(make_pipeline(StandardScaler(), LinearSVC()))
    defense = bound.defend(make_pipeline(StandardScaler(), Ridge()))
    assert defense.fit(X, targets).predict(X).shape == (100,)


def test_a_row_that_does_not_pass_is_not_kept_for_its_class():
    """All clean rows of a class fail: the best row of those that are sent is poison."""
    X = np.repeat([[-1.0], [0.3]], 10, axis=0)
    y = np.repeat([0, 1], 10)
    filter_ = SphereFilter(centroids=[[0.0], [0.3]], radii=[0.1, 0.1])
    with pytest.warns(FilterWarning, match=r"keeps the best.*row of each"):
        bound = CertifiedBound(filter_, 0.05, rho=50.0).fit(X, y)
    assert bound.upper_bound_ < 1e-3
    # On the clean rows of class 1, and nearer to class 0 than its own clean rows.
    rows, labels = np.vstack([X, [[0.3]]]), np.append(y, 0)
    svc = NormConstrainedSVC(50.0)
    with pytest.warns(FilterWarning, match=r"keeps the best.*row of each"):
        keeping = FilteredClassifier(filter_, svc).fit(rows, labels)
    kept = keeping.inlier_mask_
    assert kept[-1]
    loss = hinge_losses(keeping, rows[kept], labels[kept]).sum() / len(X)
    assert loss > bound.upper_bound_ + 0.05
    fixed = bound.defend(svc)
    with (
        pytest.warns(FilterWarning, match=r"rejects every row of the classes \[0\]"),
        pytest.raises(ValueError, match="one class, 1"),
    ):
        fixed.fit(rows, labels)
    assert not fixed.inlier_mask_[-1]


def test_rows_that_are_not_trained_on_do_not_count():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    filter_ = SphereFilter(90) & SlabFilter(90)
    bound = CertifiedBound(filter_, 0.05, C=1.0, random_state=0).fit(X, y)
    rows, labels = sent(X, y, bound.attack_)
    svc = LinearSVC(loss="hinge", tol=1e-6, max_iter=100_000, random_state=0)
    defense = bound.defend(svc).fit(rows, labels)
    trained_on = defense.inlier_mask_
    assert trained_on[len(X) :].all()
    losses = hinge_losses(defense, rows, labels) / len(X)
    svc = defense.estimator_
    penalty = (svc.coef_[0] @ svc.coef_[0] + svc.intercept_[0] ** 2) / (2 * len(X))
    assert losses[trained_on].sum() + penalty <= bound.upper_bound_
    assert bound.upper_bound_ == pytest.approx(0.2445, abs=2e-4)
    assert losses.sum() == pytest.approx(0.3607, abs=2e-3)
