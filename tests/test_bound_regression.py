"""Bounds of scikit-learn's regressors, against conic programs and attacks."""

import re

import numpy as np
import pytest
from oracles import KINDS, conic_regression, rows_with_targets
from scipy import sparse
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import HuberRegressor, Lasso, Ridge, SGDRegressor
from sklearn.svm import LinearSVR

from skpoison import CertifiedBound, SlabFilter, SphereFilter, bound_curve
from skpoison.attacks import MinMaxAttack
from skpoison.bounds import training_gap

FREE = np.inf
SQUARED_SVR = "squared_epsilon_insensitive"
# An estimator, its loss and the loss's epsilon, the penalty beside the sum of losses
# (of n rows in training), and what its intercept is divided by in the penalty.
LEARNERS = [
    (Ridge(), "squared_error", 0.0, lambda n: 1.0, FREE),
    (Ridge(30.0, fit_intercept=False), "squared_error", 0.0, lambda n: 30.0, 0.0),
    (LinearSVR(), "epsilon_insensitive", 0.0, lambda n: 1.0, 1.0),
    (LinearSVR(epsilon=0.4, C=0.1), "epsilon_insensitive", 0.4, lambda n: 10.0, 1.0),
    (
        LinearSVR(epsilon=0.2, intercept_scaling=4.0),
        *("epsilon_insensitive", 0.2, lambda n: 1.0, 4.0),
    ),
    (LinearSVR(fit_intercept=False), "epsilon_insensitive", 0.0, lambda n: 1.0, 0.0),
    (LinearSVR(loss=SQUARED_SVR), SQUARED_SVR, 0.0, lambda n: 1.0, 1.0),
    (LinearSVR(epsilon=0.5, loss=SQUARED_SVR), SQUARED_SVR, 0.5, lambda n: 1.0, 1.0),
    (HuberRegressor(), "scaled_huber", 1.35, lambda n: 2e-4, FREE),
    (HuberRegressor(epsilon=1.1, alpha=1.0), "scaled_huber", 1.1, lambda n: 2.0, FREE),
    (HuberRegressor(fit_intercept=False), "scaled_huber", 1.35, lambda n: 2e-4, 0.0),
    (SGDRegressor(alpha=0.01), "squared_error", 0.0, lambda n: 0.01 * n, FREE),
    (SGDRegressor("huber", epsilon=0.3), "huber", 0.3, lambda n: 1e-4 * n, FREE),
    (
        SGDRegressor("epsilon_insensitive", alpha=0.1),
        *("epsilon_insensitive", 0.1, lambda n: 0.1 * n, FREE),
    ),
    (
        SGDRegressor(SQUARED_SVR, alpha=0.1, epsilon=0.3),
        *(SQUARED_SVR, 0.3, lambda n: 0.1 * n, FREE),
    ),
]
each_learner = pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: str(one[0]))
# Those whose own solver in scikit-learn reaches any tolerance.
PRECISE = [
    (Ridge(solver="cholesky"), *LEARNERS[0][1:]),
    (Ridge(30.0, fit_intercept=False, solver="cholesky"), *LEARNERS[1][1:]),
    (LinearSVR(epsilon=0.4, C=0.1, tol=1e-10, max_iter=10**6), *LEARNERS[3][1:]),
    (
        LinearSVR(epsilon=0.5, loss=SQUARED_SVR, tol=1e-10, max_iter=10**6),
        *LEARNERS[7][1:],
    ),
    (HuberRegressor(epsilon=1.1, alpha=1.0, tol=1e-9, max_iter=5000), *LEARNERS[9][1:]),
]
EPSILONS = (0.0, 0.05, 0.3, 1.0)


def problem(seed, kind="gaussian"):
    return *rows_with_targets(seed, kind), EPSILONS[seed % len(EPSILONS)]


def best_bound(X, y, bound, learner):
    _, loss, width, penalty, intercept = learner
    n_trained = len(X) + int(bound.epsilon * len(X) + 1e-9)
    return conic_regression(
        X,
        y,
        bound.filter_.feasible_set().sets[0],
        bound.target_range_,
        bound.epsilon,
        loss=loss,
        width=width,
        penalty=penalty(n_trained) / len(X),
        intercept=intercept,
    )


@each_learner
@pytest.mark.parametrize("kind", KINDS[:4])
def test_bounds_agree_with_conic_programs(kind, learner):
    for seed in (0, 1, 2, 3):
        X, y, epsilon = problem(seed, kind)
        bound = CertifiedBound(
            SphereFilter(80), epsilon, estimator=learner[0], tol=1e-6, random_state=0
        ).fit(X, y)
        best = best_bound(X, y, bound, learner)
        assert bound.upper_bound_ == pytest.approx(best, rel=1e-5, abs=1e-5)
        assert bound.lower_bound_ <= best * (1 + 1e-7)
        assert bound.upper_bound_ >= best * (1 - 1e-7)
        assert bound.converged_


def objective(w, b, X, y, n_clean, learner, scale=None):
    """The learner's own training objective, divided by the number of clean rows."""
    _, loss, width, penalty, intercept = learner
    r = np.abs(y - X @ w - b)
    if loss == "scaled_huber":
        lines = 2 * width * r - scale * width**2
        losses = scale + np.where(r <= width * scale, r**2 / scale, lines)
    else:
        beyond = np.maximum(r - width, 0.0)
        losses = {
            "squared_error": r**2 / 2,
            "epsilon_insensitive": beyond,
            SQUARED_SVR: beyond**2,
            "huber": np.where(r <= width, r**2 / 2, width * r - width**2 / 2),
        }[loss]
    of_intercept = (b / intercept) ** 2 if 0.0 < intercept < FREE else 0.0
    of_penalty = penalty(len(X)) / 2 * (w @ w + of_intercept)
    return (losses.sum() + of_penalty) / n_clean


@each_learner
def test_the_bound_is_that_of_its_parameters(learner):
    if learner[1] == "scaled_huber":
        pytest.skip("its scale is not among what is reported")
    _, _, _, penalty, intercept = learner
    X, y, epsilon = problem(2)
    bound = CertifiedBound(SphereFilter(80), epsilon, estimator=learner[0]).fit(X, y)
    w, b = bound.coef_, bound.intercept_
    rows = bound.filter_.feasible_set().sets[0]
    ends = [rows.support(sign * w)[1] for sign in (-1.0, 1.0)]
    low, high = bound.target_range_
    free = (learner[0], *learner[1:3], lambda n: 0.0, FREE)
    worst = max(
        objective(w, b, np.array([x]), np.array([t]), 1, free)
        for x in ends
        for t in (low, high)
    )
    assert bound.poison_loss_ == pytest.approx(worst, rel=1e-6)
    clean = objective(w, b, X, y, len(X), free)
    assert bound.clean_loss_ == pytest.approx(clean)
    of_intercept = (b / intercept) ** 2 if 0.0 < intercept < FREE else 0.0
    n_trained = len(X) + int(epsilon * len(X))
    of_penalty = penalty(n_trained) / 2 * (w @ w + of_intercept) / len(X)
    value = clean + epsilon * worst + of_penalty
    assert bound.upper_bound_ == pytest.approx(value, rel=1e-6)
    assert bound.upper_bound_ >= value
    assert (intercept == 0.0) == (b == 0.0)
    np.testing.assert_allclose(bound.predict(X), X @ w + b)


def random_attack(rng, bound, n_poison):
    """Whole rows that pass the filter, with targets that pass, most of them far off."""
    rows, (low, high) = bound.filter_.feasible_set().sets[0], bound.target_range_
    towards = rng.choice([-1.0, 1.0])
    points, targets = [], []
    for _ in range(n_poison):
        tilted = 0.3 * rng.normal(size=bound.n_features_in_) + towards * bound.coef_
        points.append(rows.support(tilted)[1])
        targets.append(
            rng.choice([low, high, rng.uniform(low, high)], p=[0.7, 0.2, 0.1])
        )
    points = np.array(points).reshape(n_poison, bound.n_features_in_)
    return points, np.array(targets)


def sent_by(bound):
    found = bound.attack_
    return [np.repeat(part, found.n_copies, axis=0) for part in (found.X, found.y)]


@pytest.mark.parametrize("learner", PRECISE, ids=lambda one: str(one[0]))
@pytest.mark.parametrize("seed", range(6))
def test_no_attack_on_scikit_learns_own_training_exceeds_the_bound(seed, learner):
    X, y, epsilon = problem(seed, KINDS[seed % 3])
    bound = CertifiedBound(SphereFilter(80), epsilon, estimator=learner[0]).fit(X, y)
    n_poison, rng = int(epsilon * len(X) + 1e-9), np.random.default_rng(seed)
    attacks = [random_attack(rng, bound, n_poison) for _ in range(5)]
    losses = []
    for X_poison, y_poison in [*attacks, sent_by(bound)]:
        rows, targets = np.vstack([X, X_poison]), np.append(y, y_poison)
        fitted = clone(learner[0]).fit(rows, targets)
        at = np.ravel(fitted.coef_), np.ravel(fitted.intercept_)[0]
        scale = getattr(fitted, "scale_", None)
        losses.append(objective(*at, rows, targets, len(X), learner, scale))
        assert losses[-1] <= bound.upper_bound_ * (1 + 1e-6)
        assert training_gap(fitted, rows, targets) <= 1e-5 * max(losses[-1], 1e-2)
    assert bound.attack_loss_ == pytest.approx(losses[-1], rel=2e-3)
    assert bound.attack_loss_ <= bound.upper_bound_
    slack = bound.attack_.rounding_slack
    assert bound.attack_loss_ >= bound.lower_bound_ - slack - 1e-12


@pytest.mark.parametrize("estimator", [Ridge(), LinearSVR(max_iter=10**5)], ids=str)
def test_a_defended_regressor_keeps_to_its_bound(estimator):
    X, y, _ = problem(1)
    bound = CertifiedBound(SphereFilter(90), 0.1, estimator=estimator).fit(X, y)
    low, high = bound.target_range_
    X_sent = np.vstack([X, 50.0 + X[:2], X[:2], *sent_by(bound)[:1]])
    y_sent = np.concatenate([y, y[:2], [high + 0.1, low - 0.1], sent_by(bound)[1]])
    defense = bound.defend(estimator).fit(X_sent, y_sent)
    assert not defense.inlier_mask_[len(X) : len(X) + 4].any()
    assert defense.inlier_mask_[len(X) + 4 :].all()
    checked = bound.check(defense, X_sent, y_sent)
    assert checked.holds
    assert checked.n_rejected == checked.n_too_many == 0
    without = bound.check(clone(estimator).fit(X_sent, y_sent), X_sent, y_sent)
    outside = (~bound.filter_.inlier_mask_).sum()
    assert without.n_rejected == 4 + outside
    far = np.append(y, np.full(6, 1e3)), np.vstack([X, X[:6]])
    broken = bound.check(clone(estimator).fit(far[1], far[0]), far[1], far[0])
    assert not broken.holds
    assert broken.margin < 0.0


def test_targets_that_an_attacker_can_send_widen_the_bound():
    X, y, _ = problem(1)
    options = {"epsilon": 0.1, "estimator": Ridge(), "tol": 1e-6}
    narrow = CertifiedBound(**options).fit(X, y)
    assert narrow.target_range_ == (y.min(), y.max())
    same = CertifiedBound(target_range=(y.min(), y.max()), **options).fit(X, y)
    assert same.upper_bound_ == narrow.upper_bound_
    wide = CertifiedBound(target_range=[y.min() - 5, y.max() + 5], **options).fit(X, y)
    assert wide.upper_bound_ > 1.2 * narrow.upper_bound_
    assert set(wide.attack_.y) <= {y.min() - 5, y.max() + 5}


def test_a_bound_on_a_regressor_is_a_regressor():
    X, y, _ = problem(1)
    bound = CertifiedBound(estimator=Ridge(), epsilon=0.0, tol=1e-8)
    assert is_regressor(bound)
    assert not is_classifier(bound)
    assert is_classifier(CertifiedBound())
    fitted, alone = bound.fit(X, y), Ridge().fit(X, y)
    np.testing.assert_allclose(fitted.coef_, alone.coef_, rtol=1e-4)
    assert fitted.intercept_ == pytest.approx(alone.intercept_, rel=1e-4)
    assert fitted.score(X, y) == pytest.approx(alone.score(X, y), abs=1e-6)
    assert not hasattr(fitted, "decision_function")
    assert np.isnan(fitted.error_bound_)
    assert not hasattr(fitted, "classes_")
    learner = CertifiedBound(estimator=Ridge(), epsilon=0.3).fit(X, y)
    trained = learner.train_learner(X, y)
    np.testing.assert_allclose(trained.coef_, alone.coef_, rtol=0.05, atol=0.01)


def test_a_curve_is_that_of_single_bounds():
    X, y, _ = problem(1)
    for estimator in (Ridge(), HuberRegressor()):
        bound = CertifiedBound(estimator=estimator, tol=1e-6)
        curve = bound_curve(bound, X, y, [0.01, 0.1, 0.3])
        single = clone(bound).set_params(epsilon=0.1).fit(X, y)
        assert curve.upper_bound[1] == pytest.approx(single.upper_bound_, rel=2e-6)
        assert np.all(np.diff(curve.upper_bound) > 0)


@pytest.mark.parametrize("epsilon", [0.01, 0.3])
def test_a_kink_at_the_best_scale_takes_no_more_steps(epsilon):
    X, y, _ = problem(1)  # where the attacker is indifferent at the best scale
    bound = CertifiedBound(estimator=HuberRegressor(), tol=1e-6, epsilon=epsilon)
    bound.fit(X, y)
    assert bound.upper_bound_ - bound.lower_bound_ <= 1e-6 * bound.upper_bound_
    assert bound.n_iter_ <= 40  # hundreds, without mixtures of slopes


def test_sparse_and_float32_rows_give_the_same_bound():
    X, y, _ = problem(1, "whole numbers")
    for estimator in (Ridge(), LinearSVR(), HuberRegressor()):
        options = {"epsilon": 0.1, "estimator": estimator, "tol": 1e-6}
        dense = CertifiedBound(**options).fit(X, y)
        for other in (sparse.csr_array(X), X.astype(np.float32)):
            found = CertifiedBound(**options).fit(other, y)
            assert found.upper_bound_ == pytest.approx(dense.upper_bound_, rel=5e-6)
            assert found.attack_loss_ <= found.upper_bound_


def test_targets_far_from_zero_are_bounded_as_closely():
    X, y, _ = problem(1)
    near = CertifiedBound(epsilon=0.1, estimator=Ridge(), tol=1e-5).fit(X, y)
    far = CertifiedBound(epsilon=0.1, estimator=Ridge(), tol=1e-5).fit(X, y + 1e6)
    assert far.converged_
    assert far.upper_bound_ == pytest.approx(near.upper_bound_, rel=1e-4)


def test_constant_targets_are_bounded():
    X, _, _ = problem(1)
    for estimator, *_ in LEARNERS:
        bound = CertifiedBound(epsilon=0.1, estimator=estimator).fit(X, np.ones(len(X)))
        assert bound.lower_bound_ <= bound.attack_loss_ + bound.attack_.rounding_slack
        assert bound.attack_loss_ <= bound.upper_bound_


REFUSED = [
    ({"estimator": Lasso()}, "not known; known are .*Ridge, LinearSVR"),
    ({"estimator": Ridge(positive=True)}, "positive weights only"),
    ({"estimator": Ridge(alpha=[1.0, 2.0])}, "one positive number"),
    ({"estimator": HuberRegressor(alpha=0.0)}, "has no penalty"),
    ({"estimator": SGDRegressor(penalty="l1")}, "other than the squared norm"),
    ({"estimator": Ridge(), "target_range": (0, np.inf)}, "leaves targets unbounded"),
    ({"estimator": Ridge(), "target_range": 3.0}, "pair of numbers"),
    ({"estimator": Ridge(), "target_range": (2, 1)}, "the smallest target comes first"),
    ({"estimator": Ridge(), "defense": "moving_centroids"}, "for learners with the hi"),
    ({"estimator": Ridge(), "filter": SlabFilter(90)}, "unbounded|at least two"),
]


@pytest.mark.parametrize(("options", "says"), REFUSED, ids=str)
@pytest.mark.filterwarnings("ignore:SlabFilter needs labels")
def test_what_has_no_bound_is_refused(options, says):
    X, y, _ = problem(0)
    with pytest.raises(ValueError, match=re.compile(says)):
        CertifiedBound(**options).fit(X, y)


def test_targets_that_are_no_numbers_are_refused():
    X, y, _ = problem(0)
    bound = CertifiedBound(estimator=Ridge())
    for bad in (
        np.where(y > 0, "a", "b"),
        np.where(y > 2, np.nan, y),
        y[:, None] * [1, 2],
    ):
        with pytest.raises(ValueError, match=r"convert|NaN|1d array"):
            bound.fit(X, bad)


def test_a_filter_that_knows_labels_is_none_for_a_regressor():
    X, y, _ = problem(0)
    knows_labels = SphereFilter(80).fit(X, y > 0)
    for fitted in (
        CertifiedBound(FrozenEstimator(knows_labels), estimator=Ridge()),
        MinMaxAttack(filter=knows_labels, estimator=Ridge()),
    ):
        with pytest.raises(ValueError, match=r"a regressor have none.*on X alone"):
            fitted.fit(X, y)
    alone = FrozenEstimator(SphereFilter(80).fit(X))
    assert CertifiedBound(alone, estimator=Ridge()).fit(X, y).converged_
