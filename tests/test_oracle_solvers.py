"""The oracle against linear, integer and conic programs solved by others."""

import warnings

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, linprog, milp, minimize

from skpoison.feasible import Domain, RestrictedSet, SphereSlab


def text_like(seed, n_features, upper=np.inf):
    """A centre of small means, a sphere, a slab and a linear function."""
    rng = np.random.default_rng(seed)
    center = rng.gamma(0.3, 1.0, n_features)
    direction = rng.normal(size=n_features) * np.sqrt(center + 0.05)
    radius = 0.4 * np.sqrt(n_features) + 1.0
    reach = 0.15 * radius
    base = SphereSlab(center, radius, direction, -reach, rng.uniform(0.2, 1) * reach)
    return base, 3.0 * rng.normal(size=n_features)


def unary(base, most):
    """Counts as sums of 0/1 variables: gains, squares and offsets of each step.

    The k-th step of a feature, from k - 1 to k, changes the square of the distance to
    the centre by 2 k - 1 - 2 c; steps of a feature grow dearer, so that a relaxation
    takes them in their order.
    """
    feature, step = np.divmod(np.arange(len(base.center) * most), most)
    squares = 2 * step + 1 - 2 * base.center[feature]
    return feature, squares


def programs(base, a, most):
    feature, squares = unary(base, most)
    offset = base.direction @ base.center
    rows = np.vstack([squares, base.direction[feature]])
    lowest = [-np.inf, base.lower + offset]
    highest = [base.radius**2 - base.center @ base.center, base.upper + offset]
    return a[feature], LinearConstraint(rows, lowest, highest)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("n_features", "most"), [(8, 9), (60, 6), (200, 12)])
def test_dual_equals_the_unary_linear_program(seed, n_features, most):
    base, a = text_like(seed, n_features)
    gain, coupling = programs(base, a, most)
    rows = np.vstack([coupling.A, -coupling.A[1:]])
    right = np.append(coupling.ub, -coupling.lb[1])
    relaxed = linprog(-gain, A_ub=rows, b_ub=right, bounds=(0, 1), method="highs")
    value, _ = RestrictedSet(base, Domain("count", upper=most)).bound(a)
    assert value == pytest.approx(-relaxed.fun, rel=1e-9)


@pytest.mark.parametrize(("n_features", "seed"), [(30, 0), (30, 1), (100, 2), (300, 3)])
def test_bounds_and_rows_enclose_the_integer_optimum(n_features, seed):
    most = 6
    base, a = text_like(seed, n_features)
    gain, coupling = programs(base, a, most)
    solved = milp(
        -gain,
        constraints=coupling,
        integrality=np.ones(len(gain)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 1e-5, "time_limit": 10},
    )
    feasible = RestrictedSet(base, Domain("count", upper=most))
    root = feasible.solve(a)
    better = feasible.solve(a, gap_tol=5e-4)
    for solution in (root, better):
        assert solution.value >= -solved.fun * (1 - 1e-9)
        assert feasible.contains([solution.point]).all()
        assert a @ solution.point <= -solved.mip_dual_bound * (1 + 1e-9)
    assert better.value <= root.value
    assert better.value - a @ better.point <= 5e-4 * better.value
    assert root.value - a @ root.point <= 0.03 * root.value


def conic_maximum(base, a, lower, upper):
    x = cp.Variable(len(a))
    within = [cp.norm(x - base.center) <= base.radius]
    if base.direction is not None:
        along = base.direction @ (x - base.center)
        within += [along <= base.upper, along >= base.lower]
    within += [x[i] >= end for i, end in enumerate(lower) if np.isfinite(end)]
    within += [x[i] <= end for i, end in enumerate(upper) if np.isfinite(end)]
    problem = cp.Problem(cp.Maximize(a @ x), within)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        problem.solve(
            solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12
        )
    return problem.value


@pytest.mark.parametrize("seed", range(25))
def test_intervals_against_a_conic_solver(seed):
    rng = np.random.default_rng(seed)
    base, a = text_like(seed, 12)
    if seed % 5 == 0:
        base = SphereSlab(base.center, base.radius)
    if seed % 5 == 1:  # along the slab
        a = 2.0 * base.direction
    lower = np.where(rng.random(12) < 0.7, 0.0, -np.inf)
    upper = np.where(rng.random(12) < 0.3, base.center + rng.random(12), np.inf)
    if seed % 5 == 2:  # the sphere is far away
        lower, upper = np.zeros(12), base.center + rng.random(12)
        base = SphereSlab(base.center, 50.0, base.direction, -0.3, 0.2)
    feasible = RestrictedSet(base, Domain("real", lower, upper))
    value, point = feasible.support(a)
    expected = conic_maximum(base, a, lower, upper)
    assert value == pytest.approx(expected, rel=1e-8)
    assert a @ point == pytest.approx(value, rel=1e-10, abs=1e-10 * np.abs(a).max())
    assert feasible.contains([point]).all()


@pytest.mark.parametrize("seed", range(5))
def test_real_numbers_against_the_closed_form(seed):
    base, a = text_like(seed, 20)
    value, point = RestrictedSet(base, "real").support(a)
    expected, _ = base.support(a)
    assert value == pytest.approx(expected, rel=1e-11)
    assert value >= expected * (1 - 1e-15)
    assert a @ point == pytest.approx(value, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_no_row_lies_beyond_the_tangent_at_a_projection(seed):
    base, x = text_like(seed, 10)
    feasible = RestrictedSet(base, "nonnegative")
    point = feasible.project([2 * x])[0]
    assert feasible.contains([point]).all()
    value, _ = feasible.support(2 * x - point)
    assert value == pytest.approx((2 * x - point) @ point, abs=1e-9)


def unit_rows(seed, n_features=8):
    rng = np.random.default_rng(seed)
    rows = rng.gamma(0.5, 1.0, (30, n_features))
    rows /= np.linalg.norm(rows, axis=1)[:, np.newaxis]
    center = rows.mean(axis=0)
    radius = np.percentile(np.linalg.norm(rows - center, axis=1), 70)
    direction = rng.normal(size=n_features)
    reach = np.percentile(
        np.abs((rows - center) @ SphereSlab(center, 1.0, direction).direction), 70
    )
    return SphereSlab(center, radius, direction, -reach, reach), rng


@pytest.mark.parametrize("seed", range(8))
def test_unit_rows_against_searches_from_many_starts(seed):
    base, rng = unit_rows(seed)
    a = rng.normal(size=8)
    whole = RestrictedSet(base, "tfidf")
    feasible = whole.pieces[0]
    value, point = feasible.support(a)
    assert feasible.contains([point]).all()
    assert np.linalg.norm(point) == pytest.approx(1.0, abs=1e-14)
    within = [
        {"type": "eq", "fun": lambda x: x @ x - 1},
        {
            "type": "ineq",
            "fun": lambda x: base.radius**2 - np.sum((x - base.center) ** 2),
        },
        {
            "type": "ineq",
            "fun": lambda x: base.upper - base.direction @ (x - base.center),
        },
        {
            "type": "ineq",
            "fun": lambda x: base.direction @ (x - base.center) - base.lower,
        },
    ]
    best = -np.inf
    for start in rng.dirichlet(np.ones(8), 12):
        found = minimize(
            lambda x: -a @ x,
            start,
            method="SLSQP",
            bounds=[(0, 1)] * 8,
            constraints=within,
            options={"ftol": 1e-12, "maxiter": 300},
        )
        if found.success and all(abs(min(c["fun"](found.x), 0)) < 1e-9 for c in within):
            best = max(best, a @ found.x)
    assert value >= best - 1e-8
    assert value == pytest.approx(best, abs=1e-6)
    assert a @ point == pytest.approx(value, rel=1e-9)
    zero = 0.0 if base.contains([np.zeros(8)])[0] else -np.inf
    value, point = whole.support(a)
    assert value == pytest.approx(max(best, zero), abs=1e-6)
    assert a @ point == pytest.approx(value, abs=1e-9)
    assert whole.contains([point]).all()


def test_unit_rows_need_the_linear_form_of_the_sphere():
    """For unit rows the sphere says how far they reach along the centre."""
    base, _ = unit_rows(0)
    whole = RestrictedSet(SphereSlab(base.center, base.radius), "tfidf")
    feasible = whole.pieces[0]
    value, point = feasible.support(-base.center)
    square = base.center @ base.center
    least = (1 + square - base.radius**2) / 2
    assert -value == pytest.approx(least, rel=1e-10)
    assert base.center @ point == pytest.approx(least, rel=1e-9)


@pytest.mark.parametrize(("place", "radius"), [(0.3, 0.5), (0.3, 0.7), (0.6, 0.3)])
def test_sets_of_unit_rows_hold_the_row_of_zeros_where_the_filter_does(place, radius):
    """Only rows near enough to the centre count: of norm 1, of zeros, or of both."""
    center = np.full(2, place)
    feasible = RestrictedSet(SphereSlab(center, radius), "tfidf")
    has_zero = radius >= np.linalg.norm(center)
    norms = {1.0} if radius > 1 - np.linalg.norm(center) else set()
    assert {len(piece.columns.unit) / 2 for piece in feasible.pieces} == (
        norms | ({0.0} if has_zero else set())
    )
    assert feasible.contains([[0.0, 0.0]])[0] == has_zero
    angles = np.linspace(0, np.pi / 2, 100_001)
    rows = np.column_stack([np.cos(angles), np.sin(angles)])
    rows = np.vstack([rows, np.zeros((1, 2))])
    rows = rows[np.linalg.norm(rows - center, axis=1) <= radius]
    for a in ([-1.0, -1.0], [1.0, -0.2], [-3.0, 1.0]):
        value, point = feasible.support(a)
        assert value == pytest.approx((rows @ a).max(), abs=1e-4)
        assert a @ point == pytest.approx(value, abs=1e-9)
        near = feasible.project([point + 1e-6])[0]
        assert near == pytest.approx(point, abs=1e-4)


def test_warm_starts_end_in_the_same_value():
    base, a = text_like(0, 400)
    for kind in ("count", "nonnegative", "real"):
        feasible = RestrictedSet(base, kind)
        first = feasible.solve(a)
        again = feasible.solve(1e-6 * a, start=first.multipliers)
        assert 1e6 * again.value == pytest.approx(first.value, rel=1e-11)
        moved = feasible.solve(a + 0.05, start=first.multipliers)
        assert moved.value == pytest.approx(feasible.solve(a + 0.05).value, rel=1e-11)
        assert again.n_evals <= first.n_evals


def test_values_are_valid_after_any_number_of_evaluations():
    base, a = text_like(1, 50)
    feasible = RestrictedSet(base, "count")
    best = feasible.solve(a)
    values = [feasible.solve(a, max_evals=n).value for n in (1, 2, 3, 5, 9, 15)]
    assert min(values) >= best.value * (1 - 1e-12)
    assert values[0] > values[-1]


def test_sparse_rows_are_in_the_set_like_dense_ones():
    center = np.full(30, 0.4)
    X = np.random.default_rng(0).poisson(center, (200, 30))
    direction = np.linspace(-1, 1, 30)
    for kind in ("count", "binary"):
        feasible = RestrictedSet(SphereSlab(center, 3.5, direction, -0.5, 0.6), kind)
        dense = feasible.contains(X)
        assert 0 < dense.sum() < 200
        np.testing.assert_array_equal(feasible.contains(sparse.csr_matrix(X)), dense)
