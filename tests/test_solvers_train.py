"""Training on copies of poison rows, and the record of the best bounds."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC

from skpoison import CertifiedBound, SphereFilter
from skpoison.bounds._rounding import _root_mean_square
from skpoison.solvers._adversary import NO_POISON
from skpoison.solvers._newton_system import Hessian
from skpoison.solvers._proximal_newton import DualSum, Iterate, Subproblem
from skpoison.solvers._regularizers import NormBall, Penalty
from skpoison.solvers._signed_design import Rows, StackedRows
from skpoison.solvers._train import PoisonCopies, train_on, warm_start
from skpoison.solvers._working_set import (
    Problem,
    Solution,
    _loss_between,
    _rows_of,
    _settle,
)

N_CLEAN = 60


def sample(seed=0):
    rng = np.random.RandomState(seed)
    signs = np.where(np.arange(N_CLEAN) % 2, 1.0, -1.0)
    X = rng.standard_normal((N_CLEAN, 4)) + 0.5 * signs[:, np.newaxis]
    poison = PoisonCopies(
        rng.standard_normal((3, 4)), np.array([1.0, -1.0, 1.0]), np.array([4, 1, 2])
    )
    return Rows(X, signs), poison


def trained(clean, poison, learner, **options):
    rng = np.random.RandomState(0)
    return train_on(clean, poison, learner, tol=1e-6, rng=rng, **options)


@pytest.mark.parametrize("C", [0.1, 10.0])
def test_copies_count_as_rows_of_their_own(C):
    clean, poison = sample()
    found = trained(clean, poison, Penalty(1.0 / (C * N_CLEAN)))
    X = np.vstack([clean.X, np.repeat(poison.points, poison.copies, axis=0)])
    y = np.append(clean.signs, np.repeat(poison.signs, poison.copies))
    svc = LinearSVC(C=C, loss="hinge", tol=1e-8, max_iter=10**6, random_state=0)
    svc.fit(X, y)
    theta = np.append(svc.coef_, svc.intercept_)
    losses = np.maximum(0.0, 1.0 - y * (X @ theta[:-1] + theta[-1]))
    expected = (losses.sum() + theta @ theta / (2.0 * C)) / N_CLEAN
    assert found.upper == pytest.approx(expected, rel=1e-5)
    assert found.lower <= expected * (1 + 1e-9)


@pytest.mark.parametrize("clean_sparse", [False, True])
@pytest.mark.parametrize("poison_sparse", [False, True])
def test_poison_takes_the_form_of_clean_rows(clean_sparse, poison_sparse):
    clean, poison = sample()
    expected = trained(clean, poison, NormBall(1.0)).upper
    if clean_sparse:
        clean = Rows(sparse.csr_array(clean.X), clean.signs)
    if poison_sparse:
        poison = poison._replace(points=sparse.csr_array(poison.points))
    found = trained(clean, poison, NormBall(1.0))
    assert found.upper == pytest.approx(expected, rel=1e-5)


def test_starts_change_nothing_but_the_way():
    clean, poison = sample()
    best = trained(clean, None, NormBall(1.0))
    expected = trained(clean, poison, NormBall(1.0)).upper
    primal, dual = best.best_primal, best.best_dual
    for more in ((), (dual.duals, dual.row_sum)):
        start = warm_start(primal.theta, primal.margins, *more)
        found = trained(clean, poison, NormBall(1.0), start=start)
        assert found.upper == pytest.approx(expected, rel=1e-5)


def test_rows_without_weight_do_not_count():
    clean, poison = sample()
    weights = np.where(np.arange(N_CLEAN) < 40, 1.0 / N_CLEAN, 0.0)
    found = trained(clean, poison, NormBall(1.0), weights=weights)
    fewer = clean.take(np.arange(40))
    # Losses count per clean row, of which there are fewer here.
    expected = trained(fewer, poison, NormBall(1.0)).upper * 40 / N_CLEAN
    assert found.upper == pytest.approx(expected, rel=1e-5)


def test_record_keeps_the_better_of_each_bound():
    clean, _ = sample()
    weights = np.full(N_CLEAN, 1.0 / N_CLEAN)
    problem = Problem(clean, weights, NO_POISON, NormBall(1.0))
    first, second = (Iterate(np.full(5, x), None, None) for x in (0.0, 1.0))
    empty = Solution()
    assert not empty.improved(problem, 1.0, dual=(first, 0.5, None)).converged
    one = empty.improved(problem, 0.1, primal=(first, 1.0), dual=(first, 0.5, None))
    assert (one.upper, one.lower, one.converged) == (1.0, 0.5, False)
    two = one.improved(problem, 0.1, primal=(second, 2.0), dual=(second, 0.95, None))
    assert two.best_primal is first
    assert two.best_dual is second
    assert two.converged
    assert (empty.upper, one.lower) == (np.inf, 0.5)  # records are not changed


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_vectors", [0, 2])
@pytest.mark.parametrize("values", [[0.5, 2.0, 0.1], [0.5, 0.5, 0.1], [0.5, 0.5, 0.5]])
def test_newton_systems_with_several_values_on_the_diagonal_are_solved(
    form, n_vectors, values
):
    rng = np.random.default_rng(0)
    rows = Rows(form(rng.normal(size=(4, 11))), np.array([1.0, -1.0, 1.0, -1.0]))
    diagonal = np.repeat(values, [6, 5, 1])  # the intercept's last
    vectors = rng.normal(size=(n_vectors, 12))
    hessian = Hessian(diagonal, rows, np.ones(4), vectors, np.full(n_vectors, 0.3))
    r = rng.normal(size=12)
    for shift in (0.0, 0.7):
        x = hessian.shifted(shift)(r)
        np.testing.assert_allclose(hessian @ x + shift * x, r, atol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_combined_however_few_count(share, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(700, 300)).astype(dtype)
    rows = Rows(X, np.sign(rng.normal(size=700)))
    a = rng.random(700) * (rng.random(700) < share)
    expected = (a * rows.signs) @ np.column_stack([X.astype(np.float64), np.ones(700)])
    np.testing.assert_allclose(rows.combine(a), expected, rtol=1e-12, atol=1e-12)


def test_samples_are_in_single_precision_unless_values_are_too_large():
    rng = np.random.default_rng(0)
    X, theta = rng.normal(size=(50, 8)), rng.normal(size=9)
    rows, few = Rows(X, np.ones(50)), np.arange(0, 50, 3)
    sample = rows.sample(few)
    assert sample.X.dtype == np.float32
    np.testing.assert_allclose(sample.scores(theta), rows.scores(theta)[few], atol=1e-5)
    for a in (np.ones(17), np.arange(17.0) * (np.arange(17) < 5), np.zeros(17)):
        expected = rows.take(few).combine(a)
        np.testing.assert_allclose(sample.combine(a), expected, atol=1e-5)
    large = Rows(1e30 * X, np.ones(50)).sample(few)
    assert large.X.dtype == np.float64
    np.testing.assert_array_equal(large.X, 1e30 * X[few])


@pytest.mark.parametrize("is_known", [False, True])
def test_the_dual_sum_follows_the_duals(is_known):
    clean, _ = sample()
    rng = np.random.default_rng(0)
    weights, linear = rng.random(N_CLEAN), rng.normal(size=5)
    subproblem = Subproblem(clean, weights, linear, 0.5, NO_POISON, NormBall(1.0))
    duals, none = rng.random(N_CLEAN), NO_POISON.start(4)
    known = clean.combine(weights * duals) if is_known else None
    dual_sum = DualSum(subproblem, Iterate(np.zeros(5), duals, none, row_sum=known))
    for share in (0.1, 0.0, 1.0):
        duals = np.where(rng.random(N_CLEAN) < share, rng.random(N_CLEAN), duals)
        expected = clean.combine(weights * duals) + linear
        np.testing.assert_allclose(dual_sum.at(duals, none), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("offset", "tol", "dtype"),
    [(0.0, 1e-3, np.float32), (0.0, 1e-7, np.float64), (1e5, 1e-3, np.float64)],
)
def test_working_sets_are_in_single_precision_where_that_is_enough(offset, tol, dtype):
    rng = np.random.default_rng(0)
    X, w = offset + rng.normal(size=(200, 5)), rng.normal(size=5)
    theta = np.append(w, -offset * w.sum())
    rows, few = Rows(X, np.sign(rng.normal(size=200))), np.arange(0, 200, 2)
    problem = Problem(rows, np.full(200, 1 / 200), NO_POISON, NormBall(4.0))
    found = _rows_of(problem, theta, 1.0 - rows.scores(theta), few, tol)
    assert found.X.dtype == dtype
    np.testing.assert_allclose(found.X, X[few], rtol=1e-6)
    both = StackedRows(rows, rows.take(few))
    problem = problem._replace(rows=both, weights=np.full(300, 1 / 300))
    found = _rows_of(problem, theta, 1.0 - both.scores(theta), few, tol)
    assert found.X.dtype == np.float64


@pytest.mark.parametrize("enough", [True, False])
def test_new_parameters_are_kept_where_they_are_within_tolerance(enough):
    """The loss is least between two parameters, and little larger at the new ones."""
    X = np.array([[1.0], [1.0], [-0.4]])
    rows = Rows(X, np.ones(3))
    problem = Problem(rows, np.full(3, 1 / 3), NO_POISON, NormBall(4.0))
    old, new = np.zeros(2), np.array([1.5, 0.0])
    iterate = Iterate(new, np.ones(3), NO_POISON.start(1))
    losses = np.maximum(0.0, 1.0 - rows.scores(new)).mean()
    lower = losses * (1 - 0.01 if enough else 1 - 0.03)
    margins = 1.0 - rows.scores(old)
    found = _settle(problem, iterate, old, margins, lower, 0.02)
    assert found.is_interpolated != enough
    np.testing.assert_allclose(found.theta, new if enough else [1.0, 0.0], atol=1e-4)
    np.testing.assert_allclose(found.margins, 1.0 - rows.scores(found.theta))


@pytest.mark.parametrize("filter_", [None, SphereFilter()])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_the_size_of_rows_known_from_their_validation_is_theirs(filter_, offset):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 5)) + offset, np.arange(80) % 2
    bound = CertifiedBound(filter_, epsilon=0.1, C=1.0).fit(X, y)
    rows, weights = Rows(X, np.ones(80)), np.full(80, 1 / 80)
    plain = _root_mean_square(rows, weights)
    rows.square_sum = bound._square_sum
    assert plain <= _root_mean_square(rows, weights) * (1 + 1e-15)
    assert _root_mean_square(rows, weights) == pytest.approx(plain, rel=1e-12)
    rows.square_sum = 0.0  # not for weights of which some are larger than others
    assert _root_mean_square(rows, np.arange(80) / 3160) > 0


def test_losses_between_two_points_are_those_of_all_rows():
    rng = np.random.default_rng(0)
    weights = rng.random(400)
    old, new = rng.normal(size=(2, 400)) * [[1.0], [2.0]]
    old[:9], new[5:14] = 0.0, 0.0
    loss = _loss_between(weights, old, new)
    for t in np.linspace(0.0, 1.0, 7):
        margins = (1 - t) * old + t * new
        assert loss(t) == pytest.approx(weights @ np.maximum(margins, 0.0), rel=1e-12)
