"""The gradient attack: training, differentiation through it, and the climb."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import approx_fprime, brentq, minimize
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.svm import LinearSVC

from skpoison import NormConstrainedSVC, SphereFilter
from skpoison._learners import learner_of
from skpoison.attacks import GradientAttack, LabelFlipAttack
from skpoison.attacks._bilevel import Aim, Bilevel, LearnerHessian, Task, train
from skpoison.solvers._signed_design import Rows

LEARNERS = [
    LinearSVC(loss="hinge", C=0.2),
    LinearSVC(loss="hinge", C=5.0, fit_intercept=False),
    NormConstrainedSVC(rho=0.7),
    NormConstrainedSVC(rho=50.0),
    LogisticRegression(C=0.3),
    LogisticRegression(fit_intercept=False),
    RidgeClassifier(alpha=3.0),
    RidgeClassifier(fit_intercept=False),
]
each_learner = pytest.mark.parametrize("estimator", LEARNERS, ids=repr)
WIDTH = 0.5


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs([70, 50], centers=[[-1, 0, 0, 0], [1, 0, 0, 0]], random_state=3)
    return X, y, 2.0 * y - 1.0


def bilevel_of(estimator, X, signs, *, as_sparse=False, targets=None):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4, X.shape[1]))
    learner = learner_of(estimator, "this test").smoothed(WIDTH)
    clean = Rows(sparse.csr_array(X) if as_sparse else X, signs)
    copies = np.array([3, 1, 7, 2])
    aim = Aim(clean if targets is None else Rows(*targets), learner.loss)
    return Bilevel(clean, np.array([1.0, -1, 1, -1]), copies, learner, aim), points


def independent_minimum(task):
    """Train by scipy: a penalty, or a ball's multiplier found by root finding."""

    free = np.ones(task.rows.dim)
    free[-1] = task.fits_intercept

    def minimum(multiplier):
        def value(theta):
            margins = task.rows.scores(theta * free)
            norm = 0.5 * multiplier * theta @ theta
            gradient = task.gradient(theta * free, margins) + multiplier * theta
            return task.value(theta * free, margins) + norm, gradient

        start = np.zeros(task.rows.dim)
        options = {"gtol": 1e-9}
        return minimize(value, start, jac=True, method="BFGS", options=options).x

    def excess(multiplier):
        return np.linalg.norm(minimum(multiplier)) - task.radius

    return minimum(brentq(excess, 0.0, 10.0) if excess(0.0) > 0 else 0.0)


@each_learner
def test_training_finds_the_minimum(estimator, data):
    X, _, signs = data
    bilevel, points = bilevel_of(estimator, X, signs)
    task = bilevel.task(points)
    found = train(task, np.zeros(5)).theta
    expected = independent_minimum(task)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.linalg.norm(found) <= task.radius * (1 + 1e-9)


@pytest.mark.parametrize("estimator", LEARNERS[4:], ids=repr)
def test_training_is_scikit_learn_s(estimator, data):
    X, _, signs = data
    bilevel, points = bilevel_of(estimator, X, signs)
    found = train(bilevel.task(points), np.zeros(5)).theta
    rows = np.vstack([X, np.repeat(points, bilevel.copies, axis=0)])
    labels = np.append(signs, np.repeat(bilevel.signs, bilevel.copies))
    model = clone(estimator)
    if "tol" in model.get_params() and isinstance(model, LogisticRegression):
        model.set_params(tol=1e-10, solver="newton-cholesky")
    model.fit(rows, labels)
    np.testing.assert_allclose(found[:-1], np.ravel(model.coef_), atol=1e-6)
    np.testing.assert_allclose(found[-1], model.intercept_, atol=1e-6)


@each_learner
@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("aimed", [False, True])
def test_the_gradient_is_that_of_training_again(estimator, as_sparse, aimed, data):
    X, _, signs = data
    targets = (X[:3] + 0.3, -signs[:3]) if aimed else None
    bilevel, points = bilevel_of(
        estimator, X, signs, as_sparse=as_sparse, targets=targets
    )
    start = np.zeros(5)
    outcome = bilevel.solve_lower(points, start)
    found = bilevel.gradient(points, outcome.trained)
    expected, h = np.empty_like(points), 1e-4
    for index in np.ndindex(points.shape):
        ends = []
        for sign in (1, -1):
            moved = points.copy()
            moved[index] += sign * h
            ends.append(bilevel.solve_lower(moved, start).value)
        expected[index] = (ends[0] - ends[1]) / (2 * h)
    error = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    assert error < 1e-4
    assert np.linalg.norm(expected) > 1e-4


def test_the_gradient_is_that_of_scikit_learn_fits(data):
    X, _, signs = data
    model = LogisticRegression(C=0.3, tol=1e-12, solver="newton-cholesky")
    bilevel, points = bilevel_of(model, X, signs)
    trained = bilevel.solve_lower(points, np.zeros(5)).trained

    def attacker(flat):
        rows = np.vstack([X, np.repeat(flat.reshape(4, 4), bilevel.copies, axis=0)])
        model.fit(rows, np.append(signs, np.repeat(bilevel.signs, bilevel.copies)))
        margins = signs * model.decision_function(X)
        return np.logaddexp(0, -margins).mean()

    expected = approx_fprime(points.ravel(), attacker, 1e-5).reshape(4, 4)
    found = bilevel.gradient(points, trained)
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


@pytest.mark.parametrize("n_rows", [4, 30])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("max_direct", [0, 2000])
@pytest.mark.parametrize("fits_intercept", [True, False])
def test_newton_systems_are_those_of_the_fitted_parameters(
    n_rows, container, max_direct, fits_intercept, monkeypatch
):
    name = "MAX_DIRECT" if container is np.asarray else "MAX_DIRECT_SPARSE"
    monkeypatch.setattr(f"skpoison.attacks._bilevel.{name}", max_direct)
    rng = np.random.default_rng(1)
    X, weights = rng.normal(size=(n_rows, 6)), rng.uniform(size=n_rows)
    stiffness, rhs = np.append(np.full(6, 0.1), 0.0), rng.normal(size=7)
    rows = Rows(container(X), rng.choice([-1.0, 1.0], n_rows))
    hessian = LearnerHessian(rows, weights, stiffness, fits_intercept=fits_intercept)
    ones = np.column_stack([X, np.ones(n_rows)])
    matrix = (ones.T * weights) @ ones + np.diag(stiffness)
    fitted = 7 if fits_intercept else 6
    for shift in (0.0, 0.3):
        expected = np.zeros(7)
        inner = matrix[:fitted, :fitted] + shift * np.eye(fitted)
        expected[:fitted] = np.linalg.solve(inner, rhs[:fitted])
        found = hessian.shifted(shift)(np.where(np.arange(7) < fitted, rhs, 0.0))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_the_gradient_is_the_same_by_conjugate_gradients(data, monkeypatch):
    X, _, signs = data
    for estimator in LEARNERS:
        bilevel, points = bilevel_of(estimator, X, signs)
        direct = bilevel.solve_lower(points, np.zeros(5)).trained
        with monkeypatch.context() as patch:
            patch.setattr("skpoison.attacks._bilevel.MAX_DIRECT", 0)
            other = bilevel.solve_lower(points, np.zeros(5)).trained
            found = bilevel.gradient(points, other)
        np.testing.assert_allclose(other.theta, direct.theta, atol=1e-7)
        np.testing.assert_allclose(
            found, bilevel.gradient(points, direct), rtol=1e-4, atol=1e-8
        )


def test_training_that_cannot_end_is_an_error(data, monkeypatch):
    X, _, signs = data
    bilevel, points = bilevel_of(LogisticRegression(), X, signs)
    monkeypatch.setattr("skpoison.attacks._bilevel.MAX_NEWTON", 1)
    with pytest.raises(RuntimeError, match="did not converge within 1 Newton steps"):
        bilevel.solve_lower(points, np.zeros(5))


def test_a_learner_without_curvature_stays_where_it_is():
    X = np.array([[3.0], [-3.0]])
    learner = learner_of(NormConstrainedSVC(1.0), "this test").smoothed(0.1)
    task = Task.of(learner, Rows(X, np.array([1.0, -1.0])), np.ones(2), 2)
    theta = np.array([0.9, 0.0])  # all margins beyond 1.1: any such theta is optimal
    np.testing.assert_allclose(train(task, theta).theta, theta)


@each_learner
def test_the_attack_climbs_and_beats_where_it_started(estimator, data):
    X, y, signs = data
    attack = GradientAttack(0.2, estimator=estimator, max_iter=15, random_state=0)
    X_poison, y_poison = attack.poison(X, y)
    objective = np.array(attack.objective_)
    assert (np.diff(objective) >= 0).all() and objective[-1] > objective[0]
    assert attack.n_copies_.sum() == 24 and np.ptp(attack.n_copies_) <= 1
    assert len(np.unique(X_poison, axis=0)) <= 10
    assert set(y_poison) == {0, 1}
    loss = learner_of(estimator, "this test").smoothed(0.2).loss
    scores = X @ attack.coef_[0] + attack.intercept_
    harm = loss.value(signs * scores).mean()
    assert harm == pytest.approx(objective[-1], rel=1e-4)


def test_it_beats_label_flips_against_the_real_learner(data):
    X, y, signs = data
    svc = NormConstrainedSVC(rho=1.0)

    def harm(attack):
        svc.fit(*attack.fit_resample(X, y))
        return np.maximum(0, 1 - signs * svc.decision_function(X)).mean()

    flips = LabelFlipAttack(0.2, "feasible", random_state=0)
    assert harm(GradientAttack(0.2, estimator=svc, random_state=0)) > harm(flips) + 0.01


def test_targets_are_what_suffers(data):
    X, y, signs = data
    targets = (X[:1], y[:1])
    model = LogisticRegression()
    aimed = GradientAttack(0.2, estimator=model, targets=targets, random_state=0)
    blunt = clone(aimed).set_params(targets=None)

    def margin(attack):
        return signs[0] * model.fit(*attack.fit_resample(X, y)).decision_function(X[:1])

    assert margin(aimed) < margin(blunt) - 0.1


def test_bad_targets_are_refused(data):
    X, y, _ = data
    for targets, why in [
        ((X, y, y), "must be a tuple"),
        ((X[:, :2], y), "have 2 features; the clean rows have 4"),
        ((X, y + 5), "was not fitted on: \\[5, 6\\]"),
        ((X[:5], y), "inconsistent numbers"),
        ([X, y], "instance of 'tuple'"),
    ]:
        with pytest.raises(ValueError, match=why):
            GradientAttack(targets=targets).fit(X, y)


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        (LogisticRegression(class_weight="balanced"), "has class_weight set"),
        (LogisticRegression(l1_ratio=0.5, solver="saga"), "penalty other than"),
        (LogisticRegression(solver="liblinear"), "penalizes its intercept"),
        (RidgeClassifier(alpha=0), "has no penalty"),
        (RidgeClassifier(positive=True), "positive weights only"),
        (LinearSVC(loss="hinge", intercept_scaling=2), "has intercept_scaling set"),
        (SphereFilter(), "supports an estimator of the types"),
    ],
)
def test_learners_that_are_not_modelled_are_refused(estimator, why, data):
    with pytest.raises(ValueError, match=why):
        GradientAttack(estimator=estimator).fit(*data[:2])


@pytest.mark.parametrize("domain", ["nonnegative", "count", "tfidf"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_rows_of_a_domain_climb(domain, container):
    rng = np.random.default_rng(0)
    y = rng.choice([0, 1], 150)
    rates = rng.gamma(0.5, 1.0, (2, 20))
    X = rng.poisson(rates[y]).astype(float)
    X[X.sum(axis=1) == 0, 0] = 1.0
    if domain == "tfidf":
        X /= np.linalg.norm(X, axis=1, keepdims=True)
    options = {"random_state": 0, "max_iter": 15}
    attack = GradientAttack(0.1, domain=domain, **options)
    X_poison, y_poison = attack.poison(container(X), y)
    rows = X_poison.toarray() if sparse.issparse(X_poison) else X_poison
    assert attack.objective_[-1] > attack.objective_[0]
    assert (attack.filter_.predict(X_poison, y_poison) == 1).all()
    assert (rows >= 0).all()
    if domain == "count":
        np.testing.assert_array_equal(rows, np.round(rows))
    if domain == "tfidf":
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-9)
