"""What the page on mathematics says of constants, tried on exact minimizers."""

import re
from pathlib import Path

import numpy as np
import pytest
from oracles import labelled_rows
from sklearn.datasets import make_blobs
from sklearn.svm import LinearSVC

import skpoison
from skpoison import CertifiedBound, SphereFilter
from skpoison.exceptions import FilterWarning
from skpoison.feasible import RestrictedSet, SphereSlab
from skpoison.feasible.discrete._blocks import OneHot, UnitNorm
from skpoison.feasible.discrete._error_diffusion import Spread
from skpoison.feasible.discrete._hull import Hull
from skpoison.feasible.discrete._mixtures import mixture
from skpoison.solvers._adversary import PoisonPoints, PoisonTerm
from skpoison.solvers._newton_system import Hessian, step_in_ball
from skpoison.solvers._proximal_newton import (
    DualSum,
    Iterate,
    Subproblem,
    evaluate,
    gaps_at,
)
from skpoison.solvers._regularizers import NormBall, Penalty
from skpoison.solvers._signed_design import Rows
from skpoison.solvers._working_set import Problem, dual_value, upper_value

PAGE = Path(__file__).parents[1] / "docs" / "mathematics.md"


def minimized(X, signs, masses, C, n_clean):
    """Return the penalized objective's minimum, per clean row, and the minimizer."""
    learner = LinearSVC(loss="hinge", C=C, tol=1e-9, max_iter=10**6, random_state=0)
    used = masses > 0  # masses of zero are no rows
    learner.fit(X[used], signs[used], sample_weight=masses[used] * n_clean)
    theta = np.append(learner.coef_[0], learner.intercept_)
    losses = np.maximum(1 - signs * (X @ theta[:-1] + theta[-1]), 0)
    return masses @ losses + theta @ theta / (2 * C * n_clean), theta


@pytest.mark.parametrize("C", [0.003, 0.1, 2.0])
def test_norm_and_change_of_a_penalized_learner_are_within_their_constants(C):
    for seed, epsilon in enumerate((0.1, 0.5, 1.0)):
        rng = np.random.default_rng(seed)
        X, y = labelled_rows(seed, "gaussian", gap=0.5)
        n, signs = len(y), 2.0 * y - 1.0
        poison = rng.normal(scale=2.0, size=(3, X.shape[1]))
        X, signs = np.vstack([X, poison]), np.append(signs, [1.0, -1.0, 1.0])
        found = []
        for _ in range(2):
            parts = epsilon * rng.dirichlet(np.ones(3))
            masses = np.append(np.full(n, 1 / n), parts)
            found.append((*minimized(X, signs, masses, C, n), parts))
            norm = np.linalg.norm(found[-1][1])
            assert norm <= np.sqrt(2 * C * n * (1 + epsilon))
            assert norm <= np.sqrt(C * n * (1 + epsilon))
        (one, _, before), (other, _, after) = found
        lengths = np.sqrt(np.einsum("ij,ij->i", poison, poison) + 1)
        radius = np.sqrt(2 * C * n * (1 + epsilon))
        assert abs(one - other) <= np.abs(before - after) @ (1 + radius * lengths)


@pytest.mark.parametrize("C", [0.01, 1.0])
def test_the_poisoned_learner_is_within_the_constant(C):
    X, y = labelled_rows(3, "gaussian", gap=0.3)
    bound = CertifiedBound(epsilon=0.3, C=C, tol=1e-6, random_state=0).fit(X, y)
    theta = np.append(bound.poisoned_coef_[0], bound.poisoned_intercept_)
    assert np.linalg.norm(theta) <= np.sqrt(C * len(y) * 1.3) * (1 + 1e-6)


@pytest.mark.parametrize("positive", [True, False])
def test_blocks_of_norm_one_have_the_maxima_that_the_page_says(positive):
    rng = np.random.default_rng(int(positive))
    lam, nu, size = 0.7, -0.4, 4
    center, direction = rng.uniform(size=size), rng.normal(size=size)
    a = rng.normal(size=size) + (2.0 if positive else -9.0)
    b = a - nu * direction + 2 * lam * center
    assert np.any(b > 0) == positive

    def value(x):
        offset = x - center
        return x @ a - nu * x @ direction - lam * offset @ offset

    constant = lam * (1 + center @ center)
    one_hot = OneHot([np.arange(size)], center, direction).aim(a)
    best = max(map(value, np.eye(size)))
    assert best == pytest.approx(b.max() - constant)
    assert value(one_hot.respond(lam, nu) + center) == pytest.approx(best)

    wanted = np.linalg.norm(np.maximum(b, 0.0)) if positive else b.max()
    unit = UnitNorm(np.arange(size), center, direction).aim(a)
    assert value(unit.respond(lam, nu) + center) == pytest.approx(wanted - constant)
    rows = np.abs(rng.normal(size=(2000, size)))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert max(map(value, rows)) <= wanted - constant + 1e-12


def test_a_row_from_outside_is_kept_where_no_clean_row_of_its_class_passes():
    X, y = make_blobs(60, 2, centers=[[-2, 0], [2, 0]], random_state=0)
    centroids = {0: X[y == 0].mean(axis=0), 1: X[y == 1].mean(axis=0)}
    outside = centroids[0] + 1e-3
    sent, labels = np.vstack([X, outside]), np.append(y, 0)
    sphere = SphereFilter(centroids=centroids, radii={0: 1e-4, 1: 2.0})
    with pytest.warns(FilterWarning, match=r"every row of the classes \[0\]"):
        sphere.fit(sent, labels)
    assert np.all(sphere.predict(X, y)[y == 0] == -1)
    assert sphere.inlier_mask_[-1]
    assert not sphere.feasible_set().contains([outside], [0]).any()


def game(seed, learner):
    """Return a small subproblem, a prox center and parameters."""
    rng = np.random.default_rng(seed)
    n, d = 12, 4
    rows = Rows(rng.normal(size=(n, d)), np.where(rng.random(n) < 0.5, -1.0, 1.0))
    direction = np.eye(d)[0]
    sets = [SphereSlab(rng.normal(size=d), 1.5, direction, -0.8, 0.8) for _ in "ab"]
    poison = PoisonTerm(0.3, [-1.0, 1.0], sets)
    points = np.array([rows.center for rows in sets])
    center = Iterate(
        0.1 * rng.normal(size=d + 1),
        rng.random(n),
        PoisonPoints(np.array([0.2, 0.5]), points),
        row_prox=0.7,
    )
    subproblem = Subproblem(
        rows, np.full(n, 1 / n), np.zeros(d + 1), 0.0, poison, learner
    )
    return subproblem, center, 0.3 * rng.normal(size=d + 1)


def envelope(subproblem, center, theta, tau=0.4):
    return evaluate(subproblem, center, tau, theta, 1.0 - subproblem.rows.scores(theta))


def envelope_gradient(subproblem, center, theta, tau=0.4):
    at = envelope(subproblem, center, theta, tau)
    z = DualSum(subproblem, center).at(at.duals, at.poison.response)
    return subproblem.learner.curvature * theta - z + tau * (theta - center.theta)


@pytest.mark.parametrize("seed", range(3))
def test_the_envelope_lies_below_the_bound_and_has_the_gradient_of_the_page(seed):
    subproblem, center, theta = game(seed, Penalty(0.2))
    problem = Problem(subproblem.rows, subproblem.weights, *subproblem[4:])
    margins = 1.0 - subproblem.rows.scores(theta)
    value = envelope(subproblem, center, theta, 0.0).value
    assert value <= upper_value(problem, theta, margins)
    steps = 1e-6 * np.eye(len(theta))
    slopes = [
        envelope(subproblem, center, theta + step).value
        - envelope(subproblem, center, theta - step).value
        for step in steps
    ]
    gradient = envelope_gradient(subproblem, center, theta)
    np.testing.assert_allclose(gradient, np.array(slopes) / 2e-6, atol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_the_envelope_has_the_second_derivative_of_the_page(seed):
    subproblem, center, theta = game(seed, Penalty(0.2))
    at, poison = envelope(subproblem, center, theta), subproblem.poison
    nu = center.point_prox / poison.squared_radius
    diagonal, vectors, weights = poison.curvature(at.poison, center.share_prox, nu)
    active = (at.duals > 0) & (at.duals < 1)
    rows = subproblem.rows.take(np.flatnonzero(active))
    outer = rows.weighted_outer(subproblem.weights[active] / center.row_prox)
    hessian = outer + np.diag(diagonal + 0.2 + 0.4) + (vectors.T * weights) @ vectors
    steps = 1e-6 * np.eye(len(theta))
    found = [
        envelope_gradient(subproblem, center, theta + step)
        - envelope_gradient(subproblem, center, theta - step)
        for step in steps
    ]
    np.testing.assert_allclose(hessian, np.array(found) / 2e-6, atol=1e-6)


@pytest.mark.parametrize("learner", [Penalty(0.2), NormBall(2.0)])
def test_the_duality_gap_has_three_parts_none_of_them_negative(learner):
    for seed in range(3):
        subproblem, center, theta = game(seed, learner)
        problem = Problem(subproblem.rows, subproblem.weights, *subproblem[4:])
        margins = 1.0 - subproblem.rows.scores(theta)
        z = DualSum(subproblem, center).at(center.duals, center.poison)
        gaps = gaps_at(subproblem, theta, margins, center.duals, center.poison, z)
        upper = upper_value(problem, theta, margins)
        lower = dual_value(problem, center.duals, center.poison, z)
        assert min(gaps.rows, gaps.poison, gaps.learner) >= 0
        assert gaps.total == pytest.approx(upper - lower, rel=1e-12)


def test_a_step_in_the_ball_meets_the_optimality_conditions():
    rng = np.random.default_rng(0)
    rows = Rows(rng.normal(size=(3, 5)), np.ones(3))
    vectors, weights = rng.normal(size=(1, 6)), np.array([0.5])
    hessian = Hessian(np.full(6, 0.1), rows, np.ones(3), vectors, weights)
    theta, gradient = np.full(6, 0.1), rng.normal(size=6)
    for rho, binds in ((0.7, True), (1e3, False)):
        step, lam = step_in_ball(hessian, theta, gradient, rho, 0.0, 1e-12)
        residual = hessian @ step + gradient + lam * (theta + step)
        np.testing.assert_allclose(residual, 0.0, atol=1e-9)
        assert (lam > 0) == binds
        norm = np.linalg.norm(theta + step)
        assert norm == pytest.approx(rho) if binds else norm < rho


@pytest.mark.parametrize("lam", [0.0, 0.3, 2.0])
def test_a_count_in_the_hull_rests_on_whole_numbers_as_the_page_says(lam):
    center = np.array([0.3, 2.6, 1.0])
    hull = Hull(RestrictedSet(SphereSlab(center, 50.0), "count"))
    for q in np.random.default_rng(1).normal(scale=3, size=(20, 3)):
        k = np.floor((q + center + lam * (2 * center + 1)) / (1 + 2 * lam))
        x = k + np.maximum(q + center - lam * (2 * (k - center) + 1) - k, 0.0)
        wanted = np.maximum(x, 0.0) - center
        np.testing.assert_allclose(mixture(hull.parts, q, lam).z, wanted, atol=1e-12)
        # The mean square is interpolated between whole numbers: search a fine grid.
        grid = np.linspace(0, 20, 20001)
        for i, c in enumerate(center):
            square = np.interp(grid, np.arange(21), (np.arange(21) - c) ** 2)
            height = 0.5 * (grid - c - q[i]) ** 2 + lam * square
            assert grid[height.argmin()] - c == pytest.approx(wanted[i], abs=1.1e-3)


def test_rows_of_error_diffusion_have_the_point_as_their_mean():
    x = np.array([0.3, 1.45, 0.81, 2.05])
    rows = RestrictedSet(SphereSlab(np.ones(4), 3.0), "count")
    for m in (10, 90):
        spread = Spread(rows, x, np.ones(4), np.random.RandomState(0))
        before = spread._round.left.copy()
        sent = spread.take(m).toarray()
        error = sent.mean(axis=0) - x
        # All features are between whole numbers: the remainders are those of all.
        np.testing.assert_allclose(error, (before - spread._round.left) / m, atol=1e-12)
        assert np.abs(error).max() <= 2.0 / m
        assert rows.contains(sent).all()


def test_modules_point_to_sections_of_the_page():
    headings = re.findall(r"^##+ (.*)$", PAGE.read_text(), re.M)
    pointers = [
        re.sub(r"\s+", " ", section)
        for path in Path(skpoison.__file__).parent.rglob("*.py")
        for section in re.findall(
            r"docs/mathematics\.md,\s+section\s+\"(.*?)\"", path.read_text(), re.S
        )
    ]
    assert pointers
    assert set(pointers) <= set(headings)
