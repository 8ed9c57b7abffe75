"""What rounding does to the bounds: nothing on the unsafe side."""

import warnings
from decimal import Decimal, localcontext

import cvxpy as cp
import numpy as np
import pytest
from oracles import labelled_rows, solve_cone, worst_loss
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skpoison import (
    CertifiedBound,
    NormConstrainedSVC,
    SlabFilter,
    SphereFilter,
    bound_curve,
)
from skpoison.attacks import MinMaxAttack
from skpoison.solvers import _centering
from skpoison.solvers._adversary import project_on_capped_simplex
from skpoison.solvers._centering import framed

LEARNERS = [{"rho": 1.0}, {"C": 1.0}]


@pytest.fixture(autouse=True)
def many_digits():
    with localcontext() as context:
        context.prec = 80
        yield


def exact(values):
    """Floats as decimals, without rounding."""
    return [Decimal(float(value)) for value in np.ravel(values)]


def dot(first, second):
    return sum((a * b for a, b in zip(first, second, strict=True)), Decimal(0))


def hinge(sign, row, w, b):
    return max(Decimal(0), 1 - sign * (dot(exact(row), w) + b))


def exact_upper(bound, X, y):
    """The bound's value at its parameters, for a sphere around each class."""
    w, b = exact(bound.coef_), Decimal(bound.intercept_[0])
    signs = [1 if label == bound.classes_[1] else -1 for label in y]
    losses = [hinge(sign, row, w, b) for sign, row in zip(signs, X, strict=True)]
    worst = [Decimal(0)]
    for sign, rows in zip((-1, 1), bound.filter_.feasible_set().sets, strict=True):
        value = 1 - sign * (dot(exact(rows.center), w) + b)
        worst.append(value + Decimal(rows.radius) * dot(w, w).sqrt())
    total = sum(losses) / len(losses) + Decimal(bound.epsilon) * max(worst)
    if bound.rho is None:
        total += (dot(w, w) + b * b) / (2 * Decimal(bound.C) * len(losses))
    else:
        # Parameters a little beyond the ball are no parameters of the learner.
        excess = (dot(w, w) + b * b).sqrt() / Decimal(bound.rho) - 1
        total += max(excess, 0) * (1 + Decimal(bound.epsilon))
    return total


def exact_lower(bound, X, y):
    """The value of the dual point that the solver ends with."""
    problem = framed(bound._problem(X, (y == bound.classes_[1]).astype(int)))
    dual = bound._solve(problem).best_dual
    offset = np.zeros(X.shape[1])
    if problem.rows.is_framed:
        offset = problem.rows.frame.offset
    points = [
        [c + p for c, p in zip(exact(offset), exact(point), strict=True)]
        for point in dual.poison.points
    ]
    rows = [*(exact(row) for row in X), *points]
    signs = exact([*problem.rows.signs, *problem.poison.signs])
    masses = exact(problem.weights * dual.duals)
    masses += exact(bound.epsilon * dual.poison.beta)
    pulls = [mass * sign for mass, sign in zip(masses, signs, strict=True)]
    columns = zip(*rows, strict=True)
    z = [dot(column, pulls) for column in columns] + [sum(pulls)]
    if bound.rho is None:
        return sum(masses) - dot(z, z) * Decimal(bound.C) * len(y) / 2
    return sum(masses) - Decimal(bound.rho) * dot(z, z).sqrt()


def both(percentile=70):
    return SphereFilter(percentile) & SlabFilter(percentile)


def rows_far_away(offset, dtype=np.float64):
    X, y = labelled_rows(1, n_rows=40, gap=0.5)
    return (X + offset).astype(dtype), y


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("learner", LEARNERS, ids=str)
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8, 1e12])
def test_bounds_are_on_the_safe_side_of_exact_arithmetic(offset, learner):
    X, y = rows_far_away(offset)
    bound = CertifiedBound(SphereFilter(), 0.1, tol=1e-6, **learner)
    bound.fit(X, y)
    upper = exact_upper(bound, X, y)
    assert upper <= bound.upper_bound_
    assert max(exact_lower(bound, X, y), 0) >= bound.lower_bound_
    assert bound.attack_loss_ <= bound.upper_bound_


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
def test_margins_are_small_where_numbers_are(learner):
    X, y = rows_far_away(0.0)
    bound = CertifiedBound(SphereFilter(), 0.1, tol=1e-6, **learner).fit(X, y)
    exactly = float(exact_upper(bound, X, y))
    assert bound.upper_bound_ <= exactly + 1e-12
    assert bound.lower_bound_ >= float(exact_lower(bound, X, y)) - 1e-12


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_attacks_pass_the_filter_in_the_form_in_which_they_are_returned(
    container, dtype
):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X, y = labelled_rows(seed, n_rows=60, n_features=20, gap=0.3)
        X = container((X * (rng.random(X.shape) < 0.4)).astype(dtype))
        attack = MinMaxAttack(0.2, filter=both(), rho=1.0, random_state=0)
        X_poison, y_poison = attack.poison(X, y)
        assert X_poison.dtype == dtype
        assert len(y_poison) == 12
        assert (attack.filter_.predict(X_poison, y_poison) == 1).all()
        bound = attack.bound_
        assert (attack.filter_.predict(bound.attack_.X, bound.attack_.y) == 1).all()
        assert bound.attack_loss_ <= bound.upper_bound_


@pytest.mark.parametrize("kind", ["float32", "float64", "sparse"])
def test_no_row_that_a_filter_keeps_has_a_larger_loss(kind):
    """Rows just beyond the limits that a filter keeps for its rounding count too."""
    X, y = rows_far_away(3.0, "float32" if kind == "float32" else "float64")
    as_rows = sparse.csr_matrix if kind == "sparse" else np.asarray
    bound = CertifiedBound(both(), 0.2, rho=1.0, tol=1e-6)
    bound.fit(as_rows(X), y)
    w, b = exact(bound.coef_), Decimal(bound.intercept_[0])
    rng, n_kept = np.random.default_rng(0), 0
    for sign, (label, rows) in zip((-1, 1), bound.filter_.feasible_set(), strict=True):
        step = 1e-7 if kind == "float32" else 1e-16
        worst = rows.support(-sign * bound.coef_[0])[1]
        outwards = 1.0 + step * rng.uniform(-4, 4, (200, 1))
        near = (rows.center + outwards * (worst - rows.center)).astype(X.dtype)
        kept = bound.filter_.predict(as_rows(near), np.full(200, label)) == 1
        n_kept += kept.sum()
        for row in near[kept]:
            assert hinge(sign, row, w, b) <= bound.poison_loss_
    assert n_kept > 0


def free_intercept_bound(X, y, sets, epsilon, *, rho=None, C=None):
    """The bound where all columns have the same offset and that is infinite.

    The score of the offset costs nothing there, and weights along it everything.
    """
    w, u, worst = cp.Variable(X.shape[1]), cp.Variable(), cp.Variable(nonneg=True)
    signs = 2.0 * y - 1.0
    within = [worst >= worst_loss(s, rows, w, u) for s, rows in sets]
    within.append(cp.sum(w) == 0)
    loss = cp.sum(cp.pos(1 - cp.multiply(signs, X @ w + u))) / len(y) + epsilon * worst
    if rho is not None:
        within.append(cp.norm(w) <= rho)
    else:
        loss += cp.sum_squares(w) / (2 * C * len(y))
    return solve_cone(cp.Problem(cp.Minimize(loss), within))


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
@pytest.mark.parametrize("offset", [2.0**24, 2.0**30])
def test_a_common_offset_of_all_columns_leaves_bounds_tight(offset, learner):
    X, y = rows_far_away(0.0)
    # Coarse enough for the offset to be added without rounding.
    X = np.round(X * 2**16) / 2**16
    bound = CertifiedBound(both(), 0.1, tol=1e-5, **learner).fit(X + offset, y)
    near = both().fit(X, y).feasible_set()
    sets = list(zip((-1.0, 1.0), near.sets, strict=True))
    best = free_intercept_bound(X, y, sets, 0.1, **learner)
    assert bound.upper_bound_ == pytest.approx(best, rel=1e-4)
    assert bound.lower_bound_ == pytest.approx(best, rel=1e-4)
    assert bound.attack_loss_ <= bound.upper_bound_
    assert (bound.filter_.predict(bound.attack_.X, bound.attack_.y) == 1).all()


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
@pytest.mark.parametrize("n_features", [5, 50])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_turned_parameters_have_the_same_bounds(
    container, n_features, learner, monkeypatch
):
    X, y = labelled_rows(1, n_features=n_features, gap=0.5)
    if container is not np.asarray:
        X[:, 2:] *= np.random.default_rng(0).random(X[:, 2:].shape) < 0.5
    X[:, :2] += [300.0, -200.0]
    X = container(X)
    estimator = CertifiedBound(both(90), tol=1e-6, random_state=0, **learner)
    plain = bound_curve(estimator, X, y, [0.1, 0.3])
    svc = NormConstrainedSVC(tol=1e-6).fit(X, y)
    monkeypatch.setattr(_centering, "FAR", 10.0)
    assert framed(plain.estimators[0]._problem(X, y)).rows.is_framed
    turned = bound_curve(estimator, X, y, [0.1, 0.3])
    assert turned.upper_bound == pytest.approx(plain.upper_bound, rel=3e-6, abs=3e-9)
    assert turned.lower_bound == pytest.approx(plain.lower_bound, rel=3e-6, abs=3e-9)
    again = NormConstrainedSVC(tol=1e-6).fit(X, y)
    assert again.loss_ == pytest.approx(svc.loss_, rel=3e-6, abs=3e-9)
    bound = turned.estimators[1]
    scores = (2 * y - 1) * bound.decision_function(X)
    assert bound.clean_loss_ == pytest.approx(np.maximum(1 - scores, 0).mean())
    scores = X @ bound.poisoned_coef_[0] + bound.poisoned_intercept_[0]
    assert np.abs(scores).max() < 1e3


def test_a_svc_far_from_the_origin_has_the_loss_that_it_says():
    X, y = rows_far_away(1e8)
    svc = NormConstrainedSVC(1.0, tol=1e-6).fit(X, y)
    w, b = exact(svc.coef_), Decimal(svc.intercept_[0])
    losses = [hinge(int(s), row, w, b) for s, row in zip(2 * y - 1, X, strict=True)]
    assert svc.loss_ == pytest.approx(float(sum(losses) / len(losses)), abs=1e-14)
    assert 0.0 <= svc.dual_gap_ <= 1e-6


@pytest.mark.parametrize("largest", [1.0, 1e8, 1e17, 1e100])
def test_shares_are_the_nearest_however_large_the_losses(largest):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        q = largest * rng.normal(size=4) + rng.normal(size=4)
        q[0] = q.max() + rng.choice([0.0, 0.3])
        beta = project_on_capped_simplex(q)
        assert beta.min() >= 0.0
        assert beta.sum() <= 1.0 + 1e-12
        # Shares that are used lie below their targets by the same, the others by more.
        slack = [Decimal(a) - Decimal(s) for a, s in zip(q, beta, strict=True)]
        level = max(slack) if beta.sum() > 1.0 - 1e-9 else Decimal(0)
        used = [s for s, share in zip(slack, beta, strict=True) if share > 0.0]
        size = Decimal(max(1.0, abs(q).max()))
        assert all(abs(s - level) <= size * Decimal("1e-15") for s in used)


def badly_scaled(seed):
    """Columns from 1e-12 to 1e12, some with an offset."""
    rng = np.random.default_rng(seed)
    n_rows, n_features = int(rng.integers(20, 120)), int(rng.integers(1, 12))
    y = np.arange(n_rows) % 2
    X = rng.normal(size=(n_rows, n_features))
    X += y[:, np.newaxis] * rng.normal(size=n_features) * rng.choice([0, 1, 3])
    X *= 10.0 ** rng.uniform(-12, 12, n_features)
    if rng.random() < 0.3:
        X += 10.0 ** rng.uniform(-12, 12, n_features)
    epsilon = float(rng.choice([0.05, 0.2, 1.0]))
    learners = [{"rho": 1.0}, {"rho": 10.0}, {"C": 1.0}, {"C": 100.0}]
    options = {"epsilon": epsilon, "max_iter": 60, "random_state": 0}
    options |= learners[rng.integers(4)]
    filters = [SphereFilter(), both(), both(90)]
    return X, y, CertifiedBound(filters[rng.integers(3)], **options)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(10))
def test_columns_of_any_size_have_bounds(seed):
    X, y, bound = badly_scaled(seed)
    bound.fit(X, y)
    assert 0.0 <= bound.lower_bound_ <= bound.upper_bound_
    assert bound.upper_bound_ <= (1.0 + bound.epsilon) * (1.0 + 1e-6)
    assert bound.attack_loss_ <= bound.upper_bound_
    if len(bound.attack_.y):
        assert (bound.filter_.predict(bound.attack_.X, bound.attack_.y) == 1).all()


@pytest.mark.parametrize(
    "learner", [{"rho": 1.0}, {"rho": 10.0}, {"C": 1.0}, {"C": 100.0}], ids=str
)
def test_large_features_do_not_hold_the_intercept(learner):
    """One step of Newton's method moves intercepts and weights of any units alike."""
    rng = np.random.default_rng(0)
    y = np.arange(100) % 2
    X = 1e5 * (rng.normal(size=(100, 3)) + y[:, np.newaxis])
    bound = CertifiedBound(both(), 0.1, random_state=0, **learner).fit(X, y)
    assert bound.dual_gap_ <= 1e-3 * bound.upper_bound_ * 1.01


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
def test_far_from_the_origin_the_bound_is_at_most_that_of_zeros(learner):
    """Zeros lose 1 on every row: rounding must not make the bound larger than that."""
    X, y = labelled_rows(0)
    bound = CertifiedBound(SphereFilter(90), 0.1, max_iter=5, **learner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        bound.fit(sparse.csr_matrix(X + 1e10), y)
    assert bound.attack_loss_ <= bound.upper_bound_ <= 1.1 * (1 + 1e-12)
