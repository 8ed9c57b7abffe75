"""How far trained models are from their minimum, and whether they keep to a bound."""

import warnings

import cvxpy as cp
import numpy as np
import pytest
from oracles import labelled_rows, of_shortfall, solve_cone
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
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
from skpoison.bounds import training_gap

FREE = np.inf
# An estimator, its loss, its penalty beside the sum of n losses, and what the intercept
# is divided by there.
LEARNERS = [
    (LinearSVC(loss="hinge", C=0.1, random_state=0), "hinge", lambda n: 10.0, 1.0),
    (LinearSVC(random_state=0), "squared_hinge", lambda n: 1.0, 1.0),
    (
        LinearSVC(intercept_scaling=7.0, random_state=0),
        "squared_hinge",
        lambda n: 1.0,
        7.0,
    ),
    (LogisticRegression(C=0.5), "log_loss", lambda n: 2.0, FREE),
    (LogisticRegression(max_iter=2), "log_loss", lambda n: 1.0, FREE),
    (LogisticRegression(fit_intercept=False), "log_loss", lambda n: 1.0, 0.0),
    (RidgeClassifier(2.0), "squared", lambda n: 2.0, FREE),
    (SGDClassifier(alpha=0.01, random_state=0), "hinge", lambda n: 0.01 * n, FREE),
    (
        SGDClassifier("modified_huber", alpha=0.1, random_state=0),
        "modified_huber",
        lambda n: 0.1 * n,
        FREE,
    ),
]
each_learner = pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: str(one[0]))


def fitted(estimator, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(estimator).fit(X, y)


def gap_by_cone(model, X, y, loss, penalty, intercept):
    """The model's objective for each row, less the least one there is."""
    w, b, signs = cp.Variable(X.shape[1]), cp.Variable(), 2.0 * y - 1.0
    value = cp.sum(of_shortfall(loss, 1 - cp.multiply(signs, X @ w + b)))
    value += penalty / 2 * cp.sum_squares(w)
    if 0.0 < intercept < FREE:
        value += penalty / 2 * cp.square(b / intercept)
    within = [b == 0] if intercept == 0.0 else []
    least = solve_cone(cp.Problem(cp.Minimize(value / len(X)), within))
    w.value, b.value = np.ravel(model.coef_), np.ravel(model.intercept_)[0]
    return value.value / len(X) - least


@each_learner
@pytest.mark.parametrize("seed", range(3))
def test_gaps_are_distances_from_the_minimum(seed, learner):
    estimator, loss, penalty, intercept = learner
    X, y = labelled_rows(seed, gap=0.5)
    model = fitted(estimator, X, y)
    expected = gap_by_cone(model, X, y, loss, penalty(len(X)), intercept)
    gap = training_gap(model, X, y)
    assert gap == pytest.approx(expected, abs=3e-6)
    assert gap >= expected - 1e-8
    model.coef_ = model.coef_ + 0.3
    expected = gap_by_cone(model, X, y, loss, penalty(len(X)), intercept)
    assert training_gap(model, X, y) == pytest.approx(expected, abs=3e-6)


def test_the_ball_s_gap_is_that_of_its_own_loss():
    X, y = labelled_rows(0, gap=0.5)
    svc = NormConstrainedSVC(2.0, tol=1e-8).fit(X, y)
    assert training_gap(svc, X, y) < 1e-6
    svc.coef_ = 0.5 * svc.coef_
    losses = np.maximum(0.0, 1.0 - (2.0 * y - 1.0) * svc.decision_function(X))
    gap = training_gap(svc, X, y)
    assert gap == pytest.approx(losses.mean() - svc.loss_, abs=1e-6)


def test_sparse_rows_and_other_labels_have_the_same_gap():
    X, y = labelled_rows(1, "whole numbers")
    model = fitted(LogisticRegression(max_iter=3), X, y)
    gap = training_gap(model, X, y)
    assert training_gap(model, sparse.csr_array(X), y) == pytest.approx(gap, rel=1e-4)
    names = np.array(["no", "yes"])[y]
    model = fitted(LogisticRegression(max_iter=3), X, names)
    assert training_gap(model, X, names) == pytest.approx(gap, rel=1e-9)


def test_a_filtered_estimator_has_the_gap_of_the_rows_that_it_kept():
    X, y = labelled_rows(1, gap=0.5)
    weights = np.random.default_rng(0).uniform(0.0, 2.0, len(X))
    for given in (None, weights):
        estimator = LogisticRegression(max_iter=2, class_weight="balanced")
        if given is not None:
            estimator.set_params(class_weight={0: 2.0, 1: 1.0})
        with pytest.warns(ConvergenceWarning):
            model = FilteredClassifier(SphereFilter(80), estimator).fit(X, y, given)
        kept = model.inlier_mask_
        assert not kept.all()
        of_kept = None if given is None else given[kept]
        alone = training_gap(model.estimator_, X[kept], y[kept], of_kept)
        assert training_gap(model, X, y, given) == alone > 0.0


def test_a_model_that_stopped_far_above_the_bound_is_pointed_out():
    X, y = labelled_rows(1, gap=1.0)
    learner = LogisticRegression()
    bound = CertifiedBound(epsilon=0.1, estimator=learner).fit(X, y)
    model = fitted(learner, X, y)
    checked = bound.check(model, X, y)
    assert checked.holds and checked.within_bound
    model.coef_ = 20.0 * model.coef_
    with pytest.warns(ConvergenceWarning, match="stopped far above its minimum"):
        checked = bound.check(model, X, y)
    assert checked.holds and not checked.within_bound
    assert checked.training_gap > bound.upper_bound_


def test_what_does_not_go_together_is_named():
    X, y = labelled_rows(0)
    model = LogisticRegression().fit(X, y)
    with pytest.raises(NotFittedError):
        training_gap(LogisticRegression(), X, y)
    with pytest.raises(ValueError, match="was fitted on rows of 5 features; X has 4"):
        training_gap(model, X[:, 1:], y)
    with pytest.raises(ValueError, match=r"estimator was not fitted on: \[3\]"):
        training_gap(model, X, y + 3 * (y == 0))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        training_gap(model, X, y[1:])
    with pytest.raises(ValueError, match=r"GaussianNB\(\) is not known"):
        training_gap(GaussianNB().fit(X, y), X, y)


def sent(X, y, attack):
    rows = np.vstack([X, np.repeat(attack.X, attack.n_copies, axis=0)])
    return rows, np.append(y, np.repeat(attack.y, attack.n_copies))


def test_a_model_that_stopped_early_keeps_to_the_bound_with_its_gap():
    X, y = load_breast_cancer(return_X_y=True)  # not scaled
    svc = LinearSVC(loss="hinge", C=0.01, random_state=0)
    filter_ = SphereFilter(90) & SlabFilter(90)
    bound = CertifiedBound(filter_, 0.1, estimator=svc, random_state=0).fit(X, y)
    assert bound.upper_bound_ == pytest.approx(0.8075, abs=1e-3)
    rows, labels = sent(X, y, bound.attack_)
    defense = fitted(bound.defend(svc), rows, labels)
    checked = bound.check(defense, rows, labels)
    kept, model = defense.inlier_mask_, defense.estimator_
    scores = model.decision_function(rows[kept])
    losses = np.maximum(0.0, 1.0 - (2.0 * labels[kept] - 1.0) * scores)
    penalty = (model.coef_[0] @ model.coef_[0] + model.intercept_[0] ** 2) / 2
    loss = (losses.sum() + penalty / svc.C) / len(X)
    assert checked.training_loss == pytest.approx(loss)
    assert loss > bound.upper_bound_  # the bound is about the minimum
    assert checked.holds and checked.training_gap > 0.1
    assert checked.n_rejected == checked.n_too_many == 0
    assert checked.n_trained == kept.sum()
    times = kept.sum() / len(X)
    gap = training_gap(model, rows[kept], labels[kept])
    assert checked.training_gap == pytest.approx(times * gap)
    assert training_gap(defense, rows, labels) == pytest.approx(gap)
    with pytest.raises(ValueError, match="Pass all rows, including those that the"):
        training_gap(defense, rows[kept], labels[kept])
    assert not checked.within_bound
    expected = bound.upper_bound_ + checked.training_gap - loss
    assert checked.margin == pytest.approx(expected)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        SGDClassifier("log_loss", alpha=0.1, random_state=0),
        NormConstrainedSVC(2.0),
    ],
    ids=str,
)
def test_poison_that_no_bound_covers_is_found(estimator):
    X, y = labelled_rows(1, gap=1.0)
    bound = CertifiedBound(epsilon=0.1, estimator=estimator).fit(X, y)
    clean = bound.check(clone(estimator).fit(X, y), X, y)
    assert clean.holds
    far = -20.0 * np.sign(y[:10] - 0.5)[:, np.newaxis] * bound.coef_
    rows, labels = np.vstack([X, far]), np.append(y, y[:10])
    checked = bound.check(clone(estimator).fit(rows, labels), rows, labels)
    assert not checked.holds and checked.margin < -0.1
    assert checked.n_trained == 50 and checked.n_too_many == 6
    assert checked.n_rejected == clean.n_rejected + 10
    behind = bound.check(bound.defend(estimator).fit(rows, labels), rows, labels)
    assert behind.holds and behind.n_rejected == 0


def test_with_moving_centroids_the_filter_is_fitted_again():
    X, y = labelled_rows(1, gap=1.0)
    options = {"defense": "moving_centroids", "tol": 0.3, "rho": 1.0}
    bound = CertifiedBound(epsilon=0.05, **options).fit(X, y)
    defense = bound.defend(NormConstrainedSVC(1.0)).fit(X + 9.0, y)
    assert bound.check(defense, X + 9.0, y).n_rejected == 0


def test_another_learner_than_the_bound_s_is_refused():
    X, y = labelled_rows(1)
    bound = CertifiedBound(epsilon=0.1, C=1.0).fit(X, y)
    with pytest.raises(ValueError, match=r"its loss \(SquaredHinge\(\) for Hinge\(\)"):
        bound.check(LinearSVC().fit(X, y), X, y)
    with pytest.raises(ValueError, match=r"strength of its penalty \(0.5 for 1.0\)\."):
        bound.check(LinearSVC(loss="hinge", C=2, max_iter=10**4).fit(X, y), X, y)
    with pytest.raises(ValueError, match="is a pipeline"):
        bound.check(make_pipeline(StandardScaler(), LinearSVC()).fit(X, y), X, y)
    svc = LinearSVC(loss="hinge", max_iter=10_000)
    assert bound.check(svc.fit(X, y), X, y).holds
    filtered = FilteredClassifier(estimator=svc).fit(X, y)
    with pytest.raises(ValueError, match="was fitted on 40 rows; X has 39"):
        bound.check(filtered, X[1:], y[1:])
    with pytest.raises(NotFittedError):
        CertifiedBound().check(svc, X, y)
