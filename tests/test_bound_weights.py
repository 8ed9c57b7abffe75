"""Bounds of learners that weigh classes and rows, against conic programs."""

import numpy as np
import pytest
from oracles import (
    KINDS,
    conic_bound_of_loss,
    conic_regression,
    labelled_rows,
    rows_with_targets,
)
from sklearn.base import clone
from sklearn.linear_model import (
    HuberRegressor,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.svm import LinearSVC, LinearSVR

from skpoison import CertifiedBound, NormConstrainedSVC, SphereFilter, bound_curve
from skpoison._residual_losses import ConcomitantHuber, Huber
from skpoison.bounds import training_gap
from skpoison.solvers._worst_rows import NO_PIECES, WorstRows

FREE = np.inf
SKEWED = {0: 0.3, 1: 2.5}
LEARNERS = [
    (LinearSVC(loss="hinge"), "hinge", 1.0, 1.0),
    (LinearSVC(), "squared_hinge", 1.0, 1.0),
    (LogisticRegression(), "log_loss", 1.0, FREE),
    (RidgeClassifier(), "squared", 1.0, FREE),
    (RidgeClassifier(fit_intercept=False), "squared", 1.0, 0.0),
]
each_learner = pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: str(one[0]))


def weighted(seed, n_rows):
    return np.random.default_rng(seed).uniform(0.0, 2.0, n_rows)


@each_learner
@pytest.mark.parametrize("seed", range(4))
def test_bounds_with_weights_agree_with_conic_programs(seed, learner):
    estimator, loss, penalty, intercept = learner
    X, y = labelled_rows(seed, KINDS[seed], gap=0.3)
    given = weighted(seed, len(X)) if seed % 2 else None
    most = 1.7 if seed > 1 else 1.0
    options = {"tol": 1e-6, "random_state": 0, "max_weight": most}
    bound = CertifiedBound(
        SphereFilter(80),
        0.2,
        estimator=clone(estimator).set_params(class_weight=SKEWED),
        **options,
    ).fit(X, y, given)
    sets = zip((-1.0, 1.0), bound.filter_.feasible_set().sets, strict=True)
    of_class = np.array([SKEWED[0], SKEWED[1]])
    best = conic_bound_of_loss(
        X,
        2.0 * y - 1.0,
        list(sets),
        0.2,
        loss=loss,
        penalty=penalty / len(X),
        intercept=intercept,
        weights=of_class[y] * (1.0 if given is None else given),
        most=most * of_class,
    )
    assert bound.converged_
    assert bound.upper_bound_ == pytest.approx(best, abs=1e-5)
    assert bound.lower_bound_ <= best + 1e-7
    assert bound.upper_bound_ >= best - 1e-7
    assert (
        bound.lower_bound_ - bound.attack_.rounding_slack <= bound.attack_loss_ + 1e-12
    )
    assert bound.attack_loss_ <= bound.upper_bound_


def test_a_regressor_s_bound_with_weights_agrees_with_a_conic_program():
    X, y = rows_with_targets(0)
    weights = weighted(0, len(X))
    bound = CertifiedBound(
        SphereFilter(80), 0.2, estimator=Ridge(), tol=1e-6, max_weight=3.0
    ).fit(X, y, weights)
    options = {"loss": "squared_error", "width": 0.0, "intercept": FREE}
    rows = bound.filter_.feasible_set().sets[0]
    doubled = CertifiedBound(SphereFilter(80), 0.6, estimator=Ridge(), tol=1e-6).fit(
        X, y, weights
    )
    assert doubled.upper_bound_ == pytest.approx(bound.upper_bound_, rel=2e-6)
    even = conic_regression(
        X, y, rows, bound.target_range_, 0.6, penalty=1.0 / len(X), **options
    )
    plain = CertifiedBound(SphereFilter(80), 0.6, estimator=Ridge(), tol=1e-6)
    assert plain.fit(X, y, np.ones(len(X))).upper_bound_ == pytest.approx(
        even, rel=1e-5
    )


@pytest.mark.parametrize("most", [0.7, 1.5, 3.0])
@pytest.mark.parametrize(
    "estimator",
    [HuberRegressor(), LinearSVR(epsilon=0.2), Ridge(), LogisticRegression()],
    ids=str,
)
def test_heavier_rows_of_poison_are_as_bad_as_more_of_them(estimator, most):
    X, y = rows_with_targets(1)
    if isinstance(estimator, LogisticRegression):
        X, y = labelled_rows(1, gap=0.3)
    heavy, many = (
        CertifiedBound(
            SphereFilter(80), epsilon, estimator=estimator, max_weight=each, tol=1e-5
        ).fit(X, y)
        for epsilon, each in ((0.1, most), (0.1 * most, 1.0))
    )
    assert heavy.converged_
    assert heavy.upper_bound_ == pytest.approx(many.upper_bound_, rel=2e-5)


@pytest.mark.parametrize("loss", [Huber(0.3), ConcomitantHuber(1.35, 0.7)], ids=str)
def test_the_steepest_slope_of_a_heavy_row_has_a_conjugate(loss):
    """Times the weight and divided by it, it can come out a little steeper."""
    steepest = loss.slope_range[1]
    for weight in np.random.default_rng(0).uniform(0.1, 5.0, 200):
        term = WorstRows(0.1, loss, NO_PIECES._replace(weights=np.full(2, weight)))
        slopes = weight * np.full(2, steepest)
        conjugates = term.outer_conjugates(slopes)
        assert conjugates == pytest.approx(weight * loss.conjugate(steepest))
        assert np.isinf(term.outer_conjugates(1.001 * slopes)).all()


@each_learner
def test_no_attack_exceeds_the_bound_of_a_learner_that_weighs_classes(learner):
    X, y = labelled_rows(1, gap=0.3)
    estimator = clone(learner[0]).set_params(class_weight=SKEWED, tol=1e-9)
    if "max_iter" in estimator.get_params():
        estimator.set_params(max_iter=100_000)
    bound = CertifiedBound(SphereFilter(80), 0.2, estimator=estimator).fit(X, y)
    feasible, found = bound.filter_.feasible_set(), bound.attack_
    sent = [[np.repeat(part, found.n_copies, 0) for part in (found.X, found.y)]]
    for label in (0, 1):
        point = feasible[label].support((1 - 2 * label) * bound.coef_[0])[1]
        sent.append([np.tile(point, (8, 1)), np.full(8, label)])
    losses = []
    for X_poison, y_poison in sent:
        X_all, y_all = np.vstack([X, X_poison]), np.append(y, y_poison)
        checked = bound.check(clone(estimator).fit(X_all, y_all), X_all, y_all)
        losses.append(checked.training_loss)
        assert checked.training_gap < 1e-4
    assert max(losses) <= bound.upper_bound_ * (1 + 1e-6)
    assert losses[0] == pytest.approx(bound.attack_loss_, rel=2e-3)
    assert np.mean(bound.predict(X) != y) <= bound.error_bound_


def test_balanced_weights_are_those_of_the_clean_rows():
    X, y = labelled_rows(2, gap=0.3)
    y[:12] = 1
    balanced = LogisticRegression(class_weight="balanced")
    bound = CertifiedBound(epsilon=0.1, estimator=balanced, tol=1e-6).fit(X, y)
    counts = np.bincount(y)
    assert bound.class_weight_ == pytest.approx(dict(enumerate(len(y) / (2 * counts))))
    learner = LogisticRegression(class_weight=bound.class_weight_)
    same = CertifiedBound(epsilon=0.1, estimator=learner, tol=1e-6).fit(X, y)
    assert same.upper_bound_ == bound.upper_bound_
    assert bound.check(bound.defend(learner).fit(X, y), X, y).holds
    with pytest.raises(ValueError, match=r"class_weight=bound\.class_weight_"):
        bound.check(clone(balanced).fit(X, y), X, y)


def test_the_gap_of_a_trained_model_takes_weights_into_account():
    X, y = labelled_rows(1, gap=0.3)
    weights = weighted(1, len(X))
    for estimator in (
        LogisticRegression(tol=1e-10),
        LinearSVC(tol=1e-10, max_iter=10**5),
    ):
        estimator = clone(estimator).set_params(class_weight=SKEWED)
        fitted = estimator.fit(X, y, weights)
        assert training_gap(fitted, X, y, weights) < 1e-5
        assert training_gap(fitted, X, y) > 1e-3
    targets = X[:, 0] + 0.1 * weights
    assert training_gap(Ridge().fit(X, targets, weights), X, targets, weights) < 1e-8


def test_errors_on_heavy_rows_cost_more():
    X, y = labelled_rows(1, gap=0.3)
    bound = CertifiedBound(epsilon=0.2, estimator=LogisticRegression(), tol=1e-5)
    weights = np.sort(weighted(3, len(X)))
    bound.fit(X, y, weights)
    # The lightest rows that are worth the bound together, and a part of the next.
    worth = len(X) * bound.upper_bound_ / np.log(2.0)
    n_wrong = np.searchsorted(np.cumsum(weights), worth)
    assert 0 < n_wrong < len(X) * bound.error_bound_ < n_wrong + 1 < len(X)
    whole = CertifiedBound(epsilon=0.2, estimator=LogisticRegression(), tol=1e-5)
    ones, plain = clone(whole).fit(X, y, np.ones(len(X))), whole.fit(X, y)
    assert ones.error_bound_ == pytest.approx(plain.error_bound_, rel=2e-5)


def test_weights_of_one_are_no_weights():
    X, y = labelled_rows(1, gap=0.3)
    for options in ({"C": 1.0}, {"estimator": LogisticRegression()}):
        bound = CertifiedBound(epsilon=0.2, tol=1e-6, random_state=0, **options)
        plain = clone(bound).fit(X, y)
        ones = clone(bound).fit(X, y, np.ones(len(X)))
        assert ones.upper_bound_ == pytest.approx(plain.upper_bound_, rel=2e-6)


def test_a_class_without_weight_is_no_way_in():
    X, y = labelled_rows(1, gap=0.3)
    one = LinearSVC(class_weight={0: 0.0, 1: 1.0})
    bound = CertifiedBound(epsilon=0.2, estimator=one, tol=1e-5).fit(X, y)
    assert set(bound.attack_.y) <= {1}
    # Every error in the other class is free.
    assert bound.error_bound_ == pytest.approx(np.mean(y == 0) + bound.upper_bound_)


def test_heavier_poison_does_more():
    X, y = labelled_rows(1, gap=0.3)
    bounds = [
        CertifiedBound(
            epsilon=0.1, estimator=LogisticRegression(), max_weight=most, tol=1e-6
        )
        .fit(X, y)
        .upper_bound_
        for most in (0.5, 1.0, 2.0)
    ]
    assert bounds == sorted(bounds)
    wider = CertifiedBound(epsilon=0.2, estimator=LogisticRegression(), tol=1e-6)
    assert wider.fit(X, y).upper_bound_ == pytest.approx(bounds[-1], rel=2e-6)


@pytest.mark.parametrize(
    ("options", "weights", "says"),
    [
        ({"rho": 1.0}, 1.0, "for learners with a penalty.*rho=1.0"),
        ({"estimator": NormConstrainedSVC(2.0)}, 1.0, "for learners with a penalty"),
        ({"defense": "moving_centroids"}, 1.0, "defense='moving_centroids'"),
        ({"C": 1.0}, -1.0, "[Nn]egative"),
        ({"C": 1.0}, 0.0, "at least one non-zero"),
        ({"C": 1.0}, np.nan, "NaN"),
    ],
    ids=str,
)
def test_weights_that_have_no_bound_are_refused(options, weights, says):
    X, y = labelled_rows(1, gap=0.3)
    with pytest.raises(ValueError, match=says):
        CertifiedBound(**options).fit(X, y, np.full(len(X), weights))


def test_a_curve_of_a_learner_that_weighs_classes():
    X, y = labelled_rows(1, gap=0.3)
    estimator = SGDClassifier("log_loss", alpha=0.01, class_weight=SKEWED)
    curve = bound_curve(CertifiedBound(estimator=estimator), X, y, [0.01, 0.1])
    assert curve.upper_bound[0] < curve.upper_bound[1]
    assert curve.estimators[0].class_weight_ == SKEWED
    given = weighted(1, len(X))
    weighed = bound_curve(
        CertifiedBound(estimator=estimator), X, y, [0.1, 0.01], sample_weight=given
    )
    for found, epsilon in zip(weighed.upper_bound, [0.1, 0.01], strict=True):
        alone = CertifiedBound(epsilon=epsilon, estimator=estimator).fit(X, y, given)
        assert found == pytest.approx(alone.upper_bound_, rel=2e-3)
