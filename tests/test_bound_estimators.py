"""The bound for scikit-learn's classifiers, against conic programs and attacks."""

import re

import numpy as np
import pytest
from oracles import KINDS, conic_bound_of_loss, labelled_rows
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from skpoison import (
    CertifiedBound,
    NormConstrainedSVC,
    SlabFilter,
    SphereFilter,
    bound_curve,
)
from skpoison.attacks import MinMaxAttack
from skpoison.losses import Hinge, Logistic, ModifiedHuber, Squared, SquaredHinge

LOSSES = {
    "hinge": Hinge(),
    "squared_hinge": SquaredHinge(),
    "log_loss": Logistic(),
    "modified_huber": ModifiedHuber(),
    "squared": Squared(),
}
FREE = np.inf
# An estimator, its loss, the penalty beside the sum of losses (of n rows in training),
# and what its intercept is divided by in the penalty.
LEARNERS = [
    (LinearSVC(C=0.1), "squared_hinge", lambda n: 10.0, 1.0),
    (LinearSVC(intercept_scaling=3), "squared_hinge", lambda n: 1.0, 3.0),
    (LinearSVC(fit_intercept=False), "squared_hinge", lambda n: 1.0, 0.0),
    (LinearSVC(loss="hinge", intercept_scaling=5), "hinge", lambda n: 1.0, 5.0),
    (LinearSVC(loss="hinge", fit_intercept=False), "hinge", lambda n: 1.0, 0.0),
    (LogisticRegression(), "log_loss", lambda n: 1.0, FREE),
    (LogisticRegression(C=0.01), "log_loss", lambda n: 100.0, FREE),
    (LogisticRegression(C=100.0), "log_loss", lambda n: 0.01, FREE),
    (LogisticRegression(fit_intercept=False), "log_loss", lambda n: 1.0, 0.0),
    (
        LogisticRegression(solver="liblinear", intercept_scaling=2.0),
        "log_loss",
        lambda n: 1.0,
        2.0,
    ),
    (RidgeClassifier(), "squared", lambda n: 1.0, FREE),
    (RidgeClassifier(0.1, fit_intercept=False), "squared", lambda n: 0.1, 0.0),
    (SGDClassifier(alpha=0.01), "hinge", lambda n: 0.01 * n, FREE),
    (
        SGDClassifier("squared_hinge", alpha=0.1),
        "squared_hinge",
        lambda n: n / 10,
        FREE,
    ),
    (SGDClassifier("log_loss", alpha=0.1), "log_loss", lambda n: 0.1 * n, FREE),
    (SGDClassifier("modified_huber"), "modified_huber", lambda n: 1e-4 * n, FREE),
]
each_learner = pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: str(one[0]))
# Those whose own solver in scikit-learn reaches any tolerance.
PRECISE = [
    (LinearSVC(C=0.1, tol=1e-9, max_iter=100_000), *LEARNERS[0][1:]),
    (
        LinearSVC(fit_intercept=False, tol=1e-9, max_iter=100_000, random_state=0),
        *LEARNERS[2][1:],
    ),
    (LogisticRegression(tol=1e-9, max_iter=1000), *LEARNERS[5][1:]),
    (LogisticRegression(C=100.0, tol=1e-9, max_iter=1000), *LEARNERS[7][1:]),
    (RidgeClassifier(solver="cholesky"), *LEARNERS[10][1:]),
    (
        RidgeClassifier(0.1, fit_intercept=False, solver="cholesky"),
        *LEARNERS[11][1:],
    ),
]
PROBLEMS = [(0.0, 0.3), (0.05, 1.0), (0.3, 0.3), (1.0, 3.0)]


def sphere_and_slab(percentile=70):
    return SphereFilter(percentile=percentile) & SlabFilter(percentile=percentile)


def problem(seed, kind="gaussian"):
    epsilon, gap = PROBLEMS[seed % len(PROBLEMS)]
    return *labelled_rows(seed, kind, gap=gap), epsilon


def objective(w, b, X, y, n_clean, learner):
    """The learner's own training objective, divided by the number of clean rows."""
    _, loss, penalty, intercept = learner
    value = LOSSES[loss].value((2.0 * y - 1.0) * (X @ w + b)).sum()
    of_intercept = (b / intercept) ** 2 if 0.0 < intercept < FREE else 0.0
    return (value + penalty(len(X)) / 2 * (w @ w + of_intercept)) / n_clean


def extreme_margins(sets, w, b):
    """The smallest and the largest margin of each class."""
    margins = []
    for sign, rows in zip((-1.0, 1.0), sets, strict=True):
        margins.append(sign * b - rows.support(-sign * w)[0])
        margins.append(sign * b + rows.support(sign * w)[0])
    return margins


@each_learner
@pytest.mark.parametrize("kind", KINDS)
def test_bounds_agree_with_conic_programs(kind, learner):
    estimator, loss, penalty, intercept = learner
    for seed in (0, 1, 2, 3):
        X, y, epsilon = problem(seed, kind)
        bound = CertifiedBound(
            sphere_and_slab(), epsilon, estimator=estimator, tol=1e-6, random_state=0
        ).fit(X, y)
        sets = zip((-1.0, 1.0), bound.filter_.feasible_set().sets, strict=True)
        best = conic_bound_of_loss(
            X,
            2.0 * y - 1.0,
            list(sets),
            epsilon,
            loss=loss,
            penalty=penalty(len(X) + int(epsilon * len(X) + 1e-9)) / len(X),
            intercept=intercept,
        )
        assert bound.upper_bound_ == pytest.approx(best, abs=1e-5)
        assert bound.lower_bound_ <= best + 1e-7
        assert bound.upper_bound_ >= best - 1e-7
        assert bound.converged_


@each_learner
def test_the_bound_is_that_of_its_parameters(learner):
    _, loss, penalty, intercept = learner
    X, y, epsilon = problem(2)
    bound = CertifiedBound(sphere_and_slab(), epsilon, estimator=learner[0]).fit(X, y)
    w, b = bound.coef_[0], bound.intercept_[0]
    margins = extreme_margins(bound.filter_.feasible_set().sets, w, b)
    worst = LOSSES[loss].value(np.array(margins)).max()
    assert bound.poison_loss_ == pytest.approx(worst, rel=1e-6)
    n_trained = len(X) + int(epsilon * len(X))
    of_intercept = (b / intercept) ** 2 if 0.0 < intercept < FREE else 0.0
    value = LOSSES[loss].value((2.0 * y - 1.0) * (X @ w + b)).mean()
    assert bound.clean_loss_ == pytest.approx(value)
    value += epsilon * worst + penalty(n_trained) / 2 * (w @ w + of_intercept) / len(X)
    assert bound.upper_bound_ == pytest.approx(value, rel=1e-6)
    assert bound.upper_bound_ >= value
    boundary = LOSSES[loss].value(np.array(0.0))
    assert bound.error_bound_ == min(bound.upper_bound_ / boundary, 1.0)
    assert (intercept == 0.0) == (b == 0.0)


def random_attack(rng, bound, n_poison):
    """Whole rows that pass the filter: worst rows for random parameters."""
    feasible, classes = bound.filter_.feasible_set(), bound.classes_
    rows, labels = [], []
    favourite = rng.integers(0, 2)
    for _ in range(n_poison):
        code = favourite if rng.random() < 0.7 else 1 - favourite
        towards = rng.normal(size=bound.n_features_in_)
        towards = 0.5 * towards - (2.0 * code - 1.0) * bound.coef_[0]
        rows.append(feasible[classes[code]].support(towards)[1])
        labels.append(classes[code])
    rows = np.array(rows).reshape(n_poison, bound.n_features_in_)
    return rows, np.array(labels, dtype=int)


@pytest.mark.parametrize("learner", PRECISE, ids=lambda one: str(one[0]))
@pytest.mark.parametrize("seed", range(6))
def test_no_attack_on_scikit_learns_own_training_exceeds_the_bound(seed, learner):
    X, y, epsilon = problem(seed, KINDS[seed % 3])
    bound = CertifiedBound(sphere_and_slab(), epsilon, estimator=learner[0])
    bound.fit(X, y)
    n_poison, rng = int(epsilon * len(X) + 1e-9), np.random.default_rng(seed)
    attacks = [random_attack(rng, bound, n_poison) for _ in range(5)]
    found = bound.attack_
    copies = [np.repeat(part, found.n_copies, axis=0) for part in (found.X, found.y)]
    losses = []
    for X_poison, y_poison in [*attacks, copies]:
        rows, labels = np.vstack([X, X_poison]), np.append(y, y_poison)
        fitted = clone(learner[0]).fit(rows, labels)
        w, b = np.ravel(fitted.coef_), np.ravel(fitted.intercept_)[0]
        losses.append(objective(w, b, rows, labels, len(X), learner))
        wrong = np.mean((2.0 * y - 1.0) * (X @ w + b) <= 0.0)
        assert wrong <= bound.error_bound_ * (1 + 1e-7)
        assert losses[-1] <= bound.upper_bound_ * (1 + 1e-7)
    assert bound.attack_loss_ == pytest.approx(losses[-1], rel=2e-3)
    assert bound.attack_loss_ <= bound.upper_bound_
    assert bound.attack_loss_ >= bound.lower_bound_ - found.rounding_slack - 1e-12
    w, b = bound.poisoned_coef_[0], bound.poisoned_intercept_[0]
    own = objective(w, b, rows, labels, len(X), learner)
    assert own == pytest.approx(bound.attack_loss_, rel=1e-9)


@each_learner
@pytest.mark.parametrize("offset", [0.0, 100.0, 1e4])
def test_an_attack_s_loss_is_within_the_bound_at_any_tolerance(offset, learner):
    X, y = labelled_rows(0, gap=0.3)
    options = {"estimator": learner[0], "random_state": 0}
    for tol in (1e-4, 1e-2):
        bound = CertifiedBound(sphere_and_slab(80), 0.1, tol=tol, **options)
        bound.fit(X + offset, y)
        assert bound.attack_loss_ <= bound.upper_bound_
        assert bound.upper_bound_ - bound.lower_bound_ <= 1.01 * tol


@pytest.mark.parametrize(
    ("estimator", "short"),
    [
        (LinearSVC(loss="hinge", C=0.3), {"C": 0.3}),
        (NormConstrainedSVC(2.0), {"rho": 2.0}),
    ],
    ids=str,
)
def test_short_forms_mean_the_estimators_that_they_stand_for(estimator, short):
    X, y, _ = problem(1)
    values = [
        CertifiedBound(SphereFilter(), 0.1, random_state=0, **given).fit(X, y)
        for given in (short, {"estimator": estimator})
    ]
    assert values[0].upper_bound_ == values[1].upper_bound_
    assert values[0].attack_loss_ == values[1].attack_loss_


def test_a_hinge_with_a_free_intercept_is_bounded_below_one_that_is_penalized():
    X, y, _ = problem(1)
    free = CertifiedBound(epsilon=0.1, estimator=SGDClassifier(alpha=1 / 44), tol=1e-6)
    held = CertifiedBound(epsilon=0.1, C=1.0, tol=1e-6)
    assert free.fit(X, y).upper_bound_ < held.fit(X, y).upper_bound_


@each_learner
def test_rows_that_cannot_be_told_apart_are_bounded(learner):
    X, y = np.zeros((20, 3)), np.arange(20) % 2
    bound = CertifiedBound(SphereFilter(), 0.1, estimator=learner[0]).fit(X, y)
    at_zero = LOSSES[learner[1]].value(np.array(0.0)) * 1.1
    assert bound.lower_bound_ <= at_zero * (1 + 1e-9)
    assert bound.upper_bound_ == pytest.approx(at_zero, rel=1e-2)


@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(), LinearSVC(), RidgeClassifier(), SGDClassifier()],
    ids=str,
)
def test_sparse_and_float32_rows_give_the_same_bound(estimator):
    X, y = labelled_rows(3, "whole numbers")
    options = {"estimator": estimator, "tol": 1e-6}
    dense = CertifiedBound(SphereFilter(), 0.1, **options).fit(X, y)
    for other in (sparse.csr_array(X), X.astype(np.float32)):
        found = CertifiedBound(SphereFilter(), 0.1, **options).fit(other, y)
        assert found.upper_bound_ == pytest.approx(dense.upper_bound_, rel=5e-6)
        assert sparse.issparse(found.attack_.X) == sparse.issparse(other)
        assert found.attack_loss_ <= found.upper_bound_


@pytest.mark.parametrize("estimator", [LogisticRegression(), LinearSVC()], ids=str)
def test_more_sparse_rows_than_the_preconditioner_takes_are_bounded(estimator):
    rng = np.random.default_rng(0)
    X = sparse.random_array((400, 30), density=0.2, rng=rng, format="csr")
    y = (np.asarray(X.sum(axis=1)).ravel() > 3.0).astype(int)
    options = {"epsilon": 0.1, "estimator": estimator, "tol": 1e-6}
    found = CertifiedBound(**options).fit(X, y)
    dense = CertifiedBound(**options).fit(X.toarray(), y)
    assert found.converged_
    assert found.upper_bound_ == pytest.approx(dense.upper_bound_, rel=2e-6)


@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), LinearSVC(), RidgeClassifier()], ids=str
)
def test_the_attack_on_a_learner_is_its_bound_s(estimator):
    X, y, _ = problem(1)
    attack = MinMaxAttack(0.3, estimator=estimator, random_state=0)
    rows, labels = attack.fit_resample(X, y)
    bound = CertifiedBound(epsilon=0.3, estimator=estimator, random_state=0).fit(X, y)
    assert attack.bound_.upper_bound_ == pytest.approx(bound.upper_bound_, rel=1e-9)
    assert len(rows) == len(labels) <= 52
    passing = attack.filter_.predict(attack.X_poison_, attack.y_poison_)
    assert np.all(passing == 1)
    found = bound.check(clone(estimator).fit(rows, labels), rows, labels)
    assert found.training_loss > 0.98 * bound.upper_bound_
    assert found.holds


def test_an_attack_on_two_learners_is_refused():
    X, y, _ = problem(1)
    attack = MinMaxAttack(estimator=LogisticRegression(), C=1.0)
    with pytest.raises(ValueError, match="only one of rho, C and estimator"):
        attack.fit_resample(X, y)


def test_a_curve_is_that_of_single_bounds():
    X, y, _ = problem(1)
    bound = CertifiedBound(estimator=LogisticRegression(), tol=1e-6)
    curve = bound_curve(bound, X, y, [0.01, 0.1, 0.3])
    single = clone(bound).set_params(epsilon=0.1).fit(X, y)
    assert curve.upper_bound[1] == pytest.approx(single.upper_bound_, rel=2e-6)
    assert np.all(np.diff(curve.upper_bound) > 0)


def test_the_learner_alone_is_scikit_learns():
    X, y, _ = problem(1)
    bound = CertifiedBound(estimator=LogisticRegression(), tol=1e-8).fit(X, y)
    alone = bound.train_learner(X, y)
    fitted = LogisticRegression(tol=1e-9).fit(X, y)
    np.testing.assert_allclose(alone.coef_, fitted.coef_, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(alone.intercept_, fitted.intercept_, rtol=1e-3)


def test_a_solver_that_stops_early_gives_a_bound_all_the_same():
    X, y, epsilon = problem(2)
    options = {"estimator": LogisticRegression(), "tol": 1e-7}
    with pytest.warns(Warning, match="solver stopped after 1 steps at a duality gap"):
        early = CertifiedBound(epsilon=epsilon, max_iter=1, **options).fit(X, y)
    late = CertifiedBound(epsilon=epsilon, **options).fit(X, y)
    assert early.lower_bound_ <= late.upper_bound_ <= early.upper_bound_
    assert not early.converged_ and late.converged_


class OtherSVC(LinearSVC):
    """A subclass, which may minimize something else."""


REFUSED = [
    (GaussianNB(), r"GaussianNB\(\) is not known; known are LinearSVC \(both losses\)"),
    (OtherSVC(), "is not known; known are"),
    (LinearRegression(), "is not known; .* Use Ridge, since without a penalty"),
    (SVC(kernel="linear"), r"is not known; .* Use LinearSVC\(loss='hinge'\)"),
    (make_pipeline(StandardScaler(), LinearSVC()), "is a pipeline.*trusted rows"),
    (FrozenEstimator(LinearSVC()), "is not trained any more"),
    (LinearSVC(penalty="l1"), "a penalty other than the squared norm"),
    (LinearSVC(class_weight={0: -1.0}), "class_weight must have numbers that are not"),
    (LinearSVC(class_weight="even"), "class_weight"),
    (LogisticRegression(l1_ratio=0.5), "a penalty other than the squared norm"),
    (LogisticRegression(C=np.inf), "has no penalty"),
    (LogisticRegression(penalty=None), r"has no penalty \(penalty=None\)"),
    (RidgeClassifier(positive=True), "has positive weights only"),
    (RidgeClassifier(alpha=0.0), "alpha=0.0, where one positive number"),
    (SGDClassifier("perceptron"), "it has loss='perceptron'"),
    (SGDClassifier(penalty="elasticnet"), "a penalty other than the squared norm"),
    (SGDClassifier(alpha=0.0), "has no penalty"),
    (SGDClassifier(penalty=None), r"has no penalty \(penalty=None\)"),
]


@pytest.mark.parametrize(("estimator", "says"), REFUSED, ids=lambda one: str(one)[:50])
def test_what_is_not_known_is_refused_with_a_list_of_what_is(estimator, says):
    X, y, _ = problem(0)
    with pytest.raises(ValueError, match=says):
        CertifiedBound(estimator=estimator).fit(X, y)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"domain": "count"}, "spheres and slabs.*convex domain.*domain='count'"),
        ({"domain": "tfidf"}, "spheres and slabs.*convex domain.*domain='tfidf'"),
        (
            {"defense": "moving_centroids"},
            "moving_centroids' is for .*got estimator=Log",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Only .* of the clean rows are in domain")
def test_what_holds_for_the_hinge_only_is_refused(options, says):
    X, y, _ = problem(0)
    bound = CertifiedBound(estimator=LogisticRegression(), **options)
    with pytest.raises(ValueError, match=re.compile(says)):
        bound.fit(np.abs(X), y)


@pytest.mark.parametrize("estimator", [None, LogisticRegression()], ids=str)
def test_a_classifier_s_bound_on_targets_says_which_regressors_there_are(estimator):
    X, y, _ = problem(0)
    bound = CertifiedBound(estimator=estimator)
    with pytest.raises(ValueError, match=r"Unknown label type.*a regressor.*: Ridge,"):
        bound.fit(X, X[:, 0])
    attack = MinMaxAttack(estimator=estimator)
    with pytest.raises(ValueError, match="MinMaxAttack with a regressor"):
        attack.poison(X, X[:, 0])
    for one in (bound, attack):
        one = clone(one).set_params(target_range=(0.0, 1.0))
        with pytest.raises(ValueError, match=r"target_range=\(0.0, 1.0\) is for reg"):
            one.fit(X, y)


def test_numbers_that_pass_for_classes_are_pointed_out():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), np.arange(60) % 21
    bound = CertifiedBound(estimator=LogisticRegression(), epsilon=0.0, tol=0.1)
    with pytest.warns(UserWarning, match="y has 21 classes, which are numbers"):
        bound.fit(X, y)
    bound.fit(X, np.array([f"c{k}" for k in y]))  # no warning


def test_a_bad_parameter_of_the_estimator_is_an_error_not_a_bound():
    X, y, _ = problem(0)
    for bad in (LinearSVC(C=-1.0), LinearSVC(loss="log"), SGDClassifier(alpha=-1.0)):
        with pytest.raises(ValueError, match=r"C|loss|alpha"):
            CertifiedBound(estimator=bad).fit(X, y)
