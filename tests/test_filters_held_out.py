"""Losses of rows under models that were not fitted on them."""

import re

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, make_blobs, make_regression
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import (
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skpoison.exceptions import FilterWarning
from skpoison.filters import LossFilter, TrimFilter
from skpoison.filters._held_out import folds_of, rows_to_fit

TREE = DecisionTreeClassifier(random_state=0)
# Those that fit any labels, with what the first ranking finds of 57 wrong ones: fewer
# than a ranking of all rows together, since classes lose equal shares, and most of the
# wrong labels are those of one class.
MEMORIZING = {
    "extra trees": (ExtraTreesClassifier(10, random_state=0), 38),
    "tree": (TREE, 12),
    "one neighbor": (KNeighborsClassifier(1), 12),
}
each_memorizing = pytest.mark.parametrize(
    ("estimator", "n_found"), MEMORIZING.values(), ids=list(MEMORIZING)
)


def flipped():
    X, y = load_breast_cancer(return_X_y=True)
    wrong = np.zeros(len(y), dtype=bool)
    wrong[np.random.default_rng(0).permutation(len(y))[:57]] = True
    return X, np.where(wrong, 1 - y, y), wrong


def few():
    X, y = make_blobs(90, 3, centers=3, cluster_std=3.0, random_state=0)
    return X, y


@each_memorizing
def test_what_memorizes_hides_nothing_out_of_fold(estimator, n_found):
    X, y, wrong = flipped()
    blind = LossFilter(contamination=0.1, estimator=estimator, cv=None)
    with pytest.warns(FilterWarning, match=r"rejects no row: .* memorize .* cv=5"):
        blind.fit(X, y)
    assert blind.inlier_mask_.all()
    once = LossFilter(
        contamination=0.1, estimator=estimator, max_iter=1, random_state=0
    ).fit(X, y)
    assert np.sum(~once.inlier_mask_ & wrong) >= n_found
    told = LossFilter(estimator=estimator, tol=0.2, random_state=0).fit(X, y)
    assert np.sum(~told.inlier_mask_ & wrong) >= 38
    assert np.sum(~told.inlier_mask_) <= 95


@each_memorizing
def test_scores_are_those_of_cross_val_predict(estimator, n_found):
    X, y, _ = flipped()
    folds = StratifiedKFold(4)
    fitted = LossFilter(estimator=estimator, cv=folds, max_iter=1).fit(X, y)
    chances = cross_val_predict(estimator, X, y, cv=folds, method="predict_proba")
    own = chances[np.arange(len(y)), y]
    losses = -np.log(np.maximum(own, np.finfo(float).tiny))
    np.testing.assert_allclose(fitted.scores_, -losses, rtol=1e-12)
    whole = clone(estimator).fit(X, y)
    np.testing.assert_array_equal(fitted.estimator_.predict(X), whole.predict(X))


@pytest.mark.parametrize(
    ("estimator", "in_sample"),
    [
        (None, True),
        (LogisticRegression(), True),
        (make_pipeline(StandardScaler(), LogisticRegression()), True),
        (SVC(), False),
        (SVC(kernel="linear"), True),
        (make_pipeline(StandardScaler(), TREE), False),
    ],
)
def test_auto_holds_out_where_the_model_is_not_linear(estimator, in_sample):
    X, y = few()
    X[:, 0] += np.arange(90) % 7
    like = LossFilter(estimator=estimator, cv=None if in_sample else 5, random_state=0)
    auto = LossFilter(estimator=estimator, random_state=0).fit(X, y)
    np.testing.assert_array_equal(auto.scores_, like.fit(X, y).scores_)
    assert (auto.score_samples(X, y) == auto.scores_).all() == in_sample


def test_later_rounds_fit_folds_without_the_rejected_rows():
    X, y, _ = flipped()
    folds = KFold(3, shuffle=True, random_state=0)
    one, two = (
        LossFilter(90, estimator=TREE, cv=folds, max_iter=n, tol=0).fit(X, y)
        for n in (1, 2)
    )
    expected = np.empty(len(y))
    for train, test in folds.split(X):
        rows = train[one.inlier_mask_[train]]
        chances = clone(TREE).fit(X[rows], y[rows]).predict_proba(X[test])
        expected[test] = chances[np.arange(len(test)), y[test]]
    losses = -np.log(np.maximum(expected, np.finfo(float).tiny))
    np.testing.assert_allclose(two.scores_, -losses, rtol=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_weights_and_sparse_rows_reach_the_folds(kind):
    X, y, _ = flipped()
    weights = np.random.default_rng(0).integers(1, 4, len(y)).astype(float)
    folds = KFold(3)
    fitted = LossFilter(estimator=TREE, cv=folds, max_iter=1)
    fitted.fit(kind(X), y, sample_weight=weights)
    train, test = next(iter(folds.split(X)))
    alone = clone(TREE).fit(X[train], y[train], sample_weight=weights[train])
    own = alone.predict_proba(X[test])[np.arange(len(test)), y[test]]
    losses = -np.log(np.maximum(own, np.finfo(float).tiny))
    np.testing.assert_allclose(fitted.scores_[test], -losses, rtol=1e-12)


REGRESSORS = {
    "tree": DecisionTreeRegressor(random_state=0),
    "one neighbor": KNeighborsRegressor(1),
}


@pytest.mark.parametrize("estimator", REGRESSORS.values(), ids=list(REGRESSORS))
def test_targets_are_judged_out_of_fold(estimator):
    X, y = make_regression(150, 2, random_state=0)
    y[:12] += 1000
    blind = TrimFilter(estimator=estimator, cv=None, random_state=0)
    with pytest.warns(FilterWarning, match="rejects no row"):
        blind.fit(X, y)
    for options in ({}, {"cv": 3}, {"contamination": 0.15}):
        mask = TrimFilter(estimator=estimator, random_state=0, **options)
        mask = mask.fit(X, y).inlier_mask_
        assert not mask[:12].any()
        assert mask[12:].mean() > 0.85
    folds = KFold(5, shuffle=True, random_state=1)
    once = TrimFilter(estimator=estimator, cv=folds, max_iter=1, n_init=1).fit(X, y)
    errors = cross_val_predict(estimator, X, y, cv=folds) - y
    np.testing.assert_allclose(once.scores_, -(errors**2), rtol=1e-12)


def test_linear_regressors_are_judged_in_sample():
    X, y = make_regression(60, 3, noise=9.0, random_state=0)
    for estimator in (None, LinearRegression(), Ridge()):
        auto, same = (
            TrimFilter(estimator=estimator, cv=cv, random_state=0).fit(X, y).scores_
            for cv in ("auto", None)
        )
        np.testing.assert_array_equal(auto, same)


def test_small_classes_are_spread_over_the_folds():
    y = np.array([0] * 40 + [1] * 3 + [2] * 2)
    folds = folds_of(5, y[:, None], y, np.arange(3), 0)
    assert len(folds) == 5
    for train, test in folds:
        assert set(y[train]) == {0, 1, 2}
        assert not set(train) & set(test)
    np.testing.assert_array_equal(np.sort(np.r_[*(t for _, t in folds)]), np.arange(45))


def test_the_only_row_of_a_class_is_judged_in_sample():
    X, y = few()
    names = np.array(["a", "b", "c", "alone"])
    y[44] = 3
    with pytest.warns(FilterWarning, match=r"\['alone'\] have one row each"):
        fitted = LossFilter(estimator=TREE, random_state=0).fit(X, names[y])
    assert fitted.inlier_mask_[44]
    assert np.sum(~fitted.inlier_mask_) > 0


def test_a_class_that_is_rejected_outside_a_fold_is_fitted_all_the_same():
    codes = np.array([0, 0, 0, 1, 1])
    kept = np.array([True, False, True, True, False])
    rows = rows_to_fit(np.array([0, 1, 4]), kept, codes, np.array(["a", "b"]))
    np.testing.assert_array_equal(rows, [0, 4])
    with pytest.raises(ValueError, match=r"no row of the classes \['b'\] to fit on"):
        rows_to_fit(np.array([0, 1, 2]), kept, codes, np.array(["a", "b"]))


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ("Auto", "'cv' parameter of .* among {'auto'} .* Got 'Auto'"),
        (1, "'cv' parameter of .* Got 1"),
        (0.5, "'cv' parameter of .* Got 0.5"),
        (ShuffleSplit(3), "cv must hold out each row exactly once; ShuffleSplit"),
        (PredefinedSplit([0] * 30 + [-1] * 60), "exactly once; PredefinedSplit"),
        ([([0, 1], [2, 3])], re.escape("exactly once; [([0, 1], [2, 3])]")),
        (PredefinedSplit(np.repeat([0, 1, 2], 30)), None),
    ],
)
def test_folds_are_those_asked_for_or_refused(cv, message):
    X, y = few()
    targets = X[:, 0] ** 2
    estimators = (
        LossFilter(estimator=TREE, cv=cv),
        TrimFilter(estimator=REGRESSORS["tree"], cv=cv, random_state=0),
    )
    for filter_, of_rows in zip(estimators, (y, targets), strict=True):
        if message is None:
            assert filter_.fit(X, of_rows).scores_.shape == (90,)
            continue
        with pytest.raises(ValueError, match=message):
            filter_.fit(X, of_rows)


def test_each_row_may_be_held_out_alone():
    X, y = few()
    alone = LossFilter(estimator=KNeighborsClassifier(3), cv=LeaveOneOut(), max_iter=1)
    chances = cross_val_predict(
        KNeighborsClassifier(3), X, y, cv=LeaveOneOut(), method="predict_proba"
    )
    own = np.maximum(chances[np.arange(90), y], np.finfo(float).tiny)
    np.testing.assert_allclose(alone.fit(X, y).scores_, np.log(own), rtol=1e-12)


def test_random_state_draws_the_folds():
    X, y, _ = flipped()
    first, same, other = (
        LossFilter(estimator=TREE, max_iter=1, random_state=seed).fit(X, y).scores_
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)
