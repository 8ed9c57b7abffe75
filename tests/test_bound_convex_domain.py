"""Bounds of any learner where the attacker's rows are restricted to a convex domain."""

import cvxpy as cp
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import (
    HuberRegressor,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
)
from sklearn.svm import LinearSVC, LinearSVR

from skpoison import CertifiedBound, SlabFilter, SphereFilter
from skpoison.attacks import MinMaxAttack
from skpoison.feasible import Domain, in_domain
from skpoison.losses import Logistic, Squared, SquaredHinge

LOSSES = {
    LinearSVC: SquaredHinge(),
    LogisticRegression: Logistic(),
    RidgeClassifier: Squared(),
}
CLASSIFIERS = [LinearSVC(), LogisticRegression(C=10.0), RidgeClassifier(0.1)]
REGRESSORS = [Ridge(), LinearSVR(epsilon=0.1), HuberRegressor(alpha=1.0)]
BOX = Domain(lower=0.0, upper=1.0)


def rows(seed):
    """Sparse rows with features between 0 and 1, which cuts much off a sphere."""
    rng, y = np.random.default_rng(seed), np.arange(60) % 2
    X = rng.exponential(0.3, size=(60, 8)) * (rng.random((60, 8)) < 0.3)
    X[:, 0] += y
    X[:, 1] += 1 - y
    return np.clip(X, 0.0, 1.0), y


def largest(region, a, low, high):
    """The largest value of ``a @ x`` over a sphere, a slab and a box, by cvxpy."""
    x = cp.Variable(len(a))
    within = [cp.norm(x - region.center) <= region.radius, x >= low, x <= high]
    if region.direction is not None:
        along = (x - region.center) @ region.direction
        within += [along <= region.upper, along >= region.lower]
    return cp.Problem(cp.Maximize(a @ x), within).solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_bounds_over_boxes_are_those_of_their_worst_rows(seed, estimator):
    X, y = rows(seed)
    filter_ = SphereFilter(90) & SlabFilter(90)
    options = {"estimator": estimator, "tol": 1e-5}
    free = CertifiedBound(filter_, 0.1, **options).fit(X, y)
    bound = CertifiedBound(filter_, 0.1, domain=BOX, **options).fit(X, y)
    assert bound.converged_
    assert bound.upper_bound_ < (1.0 + 1e-5 if seed else 0.99) * free.upper_bound_
    margins = []
    w, b = bound.coef_[0], bound.intercept_[0]
    for sign, region in zip((-1, 1), bound.filter_.feasible_set().sets, strict=True):
        margins.append(sign * b - largest(region, -sign * w, 0.0, 1.0))
        margins.append(sign * b + largest(region, sign * w, 0.0, 1.0))
    worst = LOSSES[type(estimator)].value(np.array(margins)).max()
    assert bound.poison_loss_ == pytest.approx(worst, rel=1e-5)
    slack = bound.attack_.rounding_slack + 1e-12
    assert bound.lower_bound_ <= bound.attack_loss_ + slack
    assert bound.attack_loss_ <= bound.upper_bound_
    assert bound.attack_loss_ >= 0.97 * bound.upper_bound_
    assert in_domain(BOX, bound.attack_.X).all()


@pytest.mark.parametrize("estimator", REGRESSORS, ids=str)
def test_bounds_of_regressors_over_nonnegative_rows(estimator):
    X, _ = rows(0)
    y = X @ np.arange(8.0) + 0.1 * np.sin(np.arange(len(X)))
    options = {"estimator": estimator, "tol": 1e-3}
    free = CertifiedBound(SphereFilter(90), 0.2, **options).fit(X, y)
    bound = CertifiedBound(SphereFilter(90), 0.2, domain="nonnegative", **options)
    bound.fit(X, y)
    assert bound.upper_bound_ < 0.985 * free.upper_bound_
    assert bound.attack_.X.min() >= 0.0
    slack = bound.attack_.rounding_slack + 1e-12
    assert bound.lower_bound_ <= bound.attack_loss_ + slack
    assert bound.attack_loss_ <= bound.upper_bound_
    low, high = bound.target_range_
    region, w = bound.filter_.feasible_set().sets[0], bound.coef_
    ends = [largest(region, sign * w, 0.0, np.inf) for sign in (1.0, -1.0)]
    error = max(ends[0] + bound.intercept_ - low, ends[1] - bound.intercept_ + high)
    if isinstance(estimator, Ridge):
        assert bound.poison_loss_ == pytest.approx(error**2 / 2, rel=1e-5)
    if isinstance(estimator, LinearSVR):
        assert bound.poison_loss_ == pytest.approx(error - 0.1, rel=1e-5)


def test_two_solvers_of_the_hinge_agree_on_a_domain():
    X, y = rows(1)
    options = {"epsilon": 0.2, "domain": BOX, "tol": 1e-3}
    own = CertifiedBound(estimator=LinearSVC(loss="hinge"), **options).fit(X, y)
    other = LinearSVC(loss="hinge", intercept_scaling=1 + 1e-9)
    other = CertifiedBound(estimator=other, **options).fit(X, y)
    assert other.upper_bound_ == pytest.approx(own.upper_bound_, rel=2e-3)
    assert own.lower_bound_ <= other.upper_bound_
    assert other.lower_bound_ <= own.upper_bound_


def test_the_attack_on_a_domain_is_its_bound_s():
    X, y = rows(2)
    learner = LogisticRegression()
    attack = MinMaxAttack(0.2, estimator=learner, domain=BOX).fit(X, y)
    assert in_domain(BOX, attack.X_poison_).all()
    assert np.all(attack.filter_.predict(attack.X_poison_, attack.y_poison_) == 1)
    sent = np.vstack([X, attack.X_poison_]), np.append(y, attack.y_poison_)
    checked = attack.bound_.check(clone(learner).fit(*sent), *sent)
    assert checked.holds
    assert checked.training_loss > 0.97 * attack.bound_.upper_bound_
