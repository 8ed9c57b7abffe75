"""The hull that duality sees: projections onto it, and rows around its points."""

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse

from skpoison.feasible import Domain, RestrictedSet, SphereSlab
from skpoison.feasible.discrete._error_diffusion import Spread
from skpoison.feasible.discrete._hull import Hull
from skpoison.solvers._newton_system import Hessian
from skpoison.solvers._signed_design import Rows

KINDS = ["nonnegative", "count", "binary", "tfidf", "mixed"]


def restricted(kind, seed, n_features=12):
    """A set that holds rows, with sphere and slab that both cut."""
    rng = np.random.default_rng(seed)
    center = np.abs(rng.normal(size=n_features)) * rng.choice([0.1, 1.0])
    radius = rng.uniform(0.5, 1.0) * np.sqrt(n_features)
    if kind == "tfidf":
        center /= 1.2 * np.linalg.norm(center)
        radius = rng.uniform(0.7, 1.0)
    if kind == "mixed":
        kind = Domain(["count", "real", "nonnegative"] * (n_features // 3))
    direction = rng.normal(size=n_features)
    direction /= np.linalg.norm(direction)
    width = rng.uniform(0.3, 0.6)
    base = SphereSlab(center, radius, direction, -width, width)
    return RestrictedSet(base, kind), rng


def nearest_by_cone_program(rows, x):
    """Project onto the hull, its parts written out for cvxpy."""
    columns, center = rows.columns, rows.center
    z = cp.Variable(len(x))
    squares, within = [], []
    whole = columns.whole
    for i in np.flatnonzero(whole):
        least = int(max(columns.lower[i], np.ceil(center[i] - rows.radius)))
        most = int(min(columns.upper[i], np.floor(center[i] + rows.radius)))
        starts = np.arange(least, max(most, least + 1))
        pieces = [
            (k - center[i]) ** 2 + (2 * (k - center[i]) + 1) * (z[i] - k)
            for k in starts
        ]
        squares.append(cp.max(cp.hstack(pieces)))
        within += [z[i] >= least, z[i] <= most]
    if len(columns.unit):
        within += [cp.norm(z) <= 1, z >= 0]
        squares.append(1 + center @ center - 2 * center @ z)
    else:
        rest = np.flatnonzero(~whole)
        squares += [cp.square(z[i] - center[i]) for i in rest]
        bounded = rest[columns.lower[rest] == 0]
        within += [z[i] >= 0 for i in bounded]
    along = rows.direction @ (z - center)
    within += [along >= rows.lower, along <= rows.upper]
    within += [sum(squares) <= rows.radius**2]
    problem = cp.Problem(cp.Minimize(cp.sum_squares(z - x)), within)
    problem.solve(solver=cp.CLARABEL)
    return z.value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_projections_are_those_of_a_cone_program(kind, seed):
    rows, rng = restricted(kind, seed)
    hull = Hull(rows)
    for scale in (0.3, 3.0):
        x = rows.center + scale * rng.normal(size=12)
        found = hull.projection(x)
        expected = nearest_by_cone_program(rows, x)
        assert np.linalg.norm(found.point - expected) <= 2e-3
        # Nearer than the other solver's point, within its precision.
        assert np.linalg.norm(found.point - x) <= np.linalg.norm(expected - x) + 1e-5
        again = hull.projection(x, found.multipliers)
        np.testing.assert_allclose(again.point, found.point, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_the_derivative_of_a_projection_is_what_differences_tell(kind, seed):
    rows, rng = restricted(kind, seed)
    hull = Hull(rows)
    x = rows.center + rng.normal(size=12)
    found, step = hull.projection(x), 1e-6 * rng.normal(size=12)
    moved = hull.projection(x + step).point - found.point
    expected = found.diagonal * step
    for vector in found.vectors:
        expected -= (vector @ step) * vector
    np.testing.assert_allclose(moved, expected, atol=2e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_no_point_of_the_hull_exceeds_its_support(kind):
    rows, rng = restricted(kind, 0)
    hull = Hull(rows)
    for _ in range(20):
        a = rng.normal(size=12)
        value, multipliers = hull.bound(a)
        far = hull.projection(rows.center + 1e3 * a).point
        assert a @ far <= value + 1e-9
        # Far along a function, the nearest point is where that is largest.
        assert a @ far >= value - 0.02 * abs(value) - 0.02
        coarse, _ = hull.bound(a, multipliers, 1e-3)
        assert coarse >= value - 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_rows_spread_around_a_point_are_in_the_set_and_have_it_as_mean(kind):
    rows, rng = restricted(kind, 1, n_features=300)
    a = rng.normal(size=300)
    x = Hull(rows).projection(rows.center + 3.0 * a / np.linalg.norm(a)).point
    spread = Spread(rows, x, a, np.random.RandomState(0))
    few = spread.take(20)
    assert rows.contains(few).all()
    many = sparse.vstack([few, spread.take(180)])
    assert rows.contains(many).all()
    errors = [np.linalg.norm(part.mean(axis=0) - x) for part in (few, many)]
    assert errors[1] <= 0.3 * errors[0] + 1e-9
    assert errors[1] <= 2.0 * np.sqrt(300) / 200


def test_rows_are_spread_where_sphere_or_slab_do_not_bind():
    center = np.full(50, 0.3)
    for base in (SphereSlab(center, 4.0), SphereSlab(center, 9.0, np.ones(50), -1, 1)):
        rows = RestrictedSet(base, "binary")
        x = Hull(rows).projection(center).point
        found = Spread(rows, x, np.zeros(50), np.random.RandomState(0)).take(100)
        assert rows.contains(found).all()
        assert np.abs(found.mean(axis=0) - x).max() <= 0.05


@pytest.mark.parametrize("n_active", [3, 60])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_systems_with_a_diagonal_are_solved_as_dense_ones(n_active, container):
    rng = np.random.default_rng(0)
    X = rng.poisson(0.3, (n_active, 20)).astype(float)
    rows = Rows(container(X), rng.choice([-1.0, 1.0], n_active))
    diagonal = rng.choice([0.1, 2.0, 2.1], 21)
    weights, vectors = rng.random(n_active) + 0.1, rng.normal(size=(2, 21))
    signs = np.array([0.5, -0.01])
    hessian = Hessian(diagonal, rows, weights, vectors, signs)
    signed = rows.signs[:, None] * np.hstack([X, np.ones((n_active, 1))])
    dense = np.diag(diagonal) + (signed.T * weights) @ signed
    dense += (vectors.T * signs) @ vectors
    r = rng.normal(size=21)
    np.testing.assert_allclose(hessian @ r, dense @ r, atol=1e-10)
    for shift in (0.0, 0.7):
        expected = np.linalg.solve(dense + shift * np.eye(21), r)
        np.testing.assert_allclose(hessian.shifted(shift)(r), expected, atol=1e-9)


def test_one_hot_groups_have_no_known_hull():
    base = SphereSlab(np.full(3, 0.3), 2.0)
    rows = RestrictedSet(base, Domain(groups=[[0, 1]]))
    with pytest.raises(ValueError, match=r"one-hot groups .* has no gradients"):
        Hull(rows)
