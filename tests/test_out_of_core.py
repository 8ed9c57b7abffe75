"""The solver for rows in blocks, and what a look at a block finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skpoison._residual_losses import EpsilonInsensitive, SquaredError
from skpoison.filters import SphereFilter
from skpoison.losses import Hinge, Logistic, Squared, SquaredHinge
from skpoison.solvers import _loss_newton, _out_of_core
from skpoison.solvers._block_sums import Few, Look, Smoothed, Sums, look_at, sums_at
from skpoison.solvers._loss_problem import Beyond, LossProblem
from skpoison.solvers._out_of_core import BlockProblem
from skpoison.solvers._signed_design import Rows
from skpoison.solvers._worst_rows import WorstRows, of_classes

MARGINS = np.linspace(-3.0, 4.0, 57)
PIECEWISE = [Hinge(), EpsilonInsensitive(0.5)]


@pytest.mark.parametrize("loss", PIECEWISE)
@pytest.mark.parametrize("step", [1e-3, 0.3, 2.0])
def test_smoothed_losses(loss, step):
    smooth = Smoothed.of(loss, step)
    values, slopes = smooth.value(MARGINS), -smooth.derivative(MARGINS)
    width = 0.5 * np.ptp(loss.slope_range)
    assert (values <= loss.value(MARGINS) + 1e-12).all()
    assert (values >= loss.value(MARGINS) - 0.5 * step * width**2 - 1e-12).all()
    reached = -slopes * MARGINS - smooth.conjugate(slopes)
    np.testing.assert_allclose(values, reached, atol=1e-12)
    near = 1e-6 * step
    secants = (smooth.value(MARGINS + near) - smooth.value(MARGINS - near)) / (2 * near)
    np.testing.assert_allclose(-slopes, secants, atol=2e-6)
    for prox in (0.2, 3.0):
        found = smooth.prox(MARGINS, prox)
        moved = found + prox * smooth.derivative(found)
        np.testing.assert_allclose(moved, MARGINS, atol=1e-12)
    bends = smooth.curvature(MARGINS)
    assert set(np.round(bends * step, 9)) <= {0.0, 1.0}


def data(seed, n_rows=60, n_features=3):
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], n_rows)
    X = rng.normal(size=(n_rows, n_features)) + signs[:, None]
    return Few(Rows(X, signs), rng.random(n_rows) / n_rows)


class Blocks:
    """Rows in blocks, as engines hold them."""

    def __init__(self, few, cuts):
        ends = [*cuts, few.n_rows]
        pairs = zip([0, *ends], ends, strict=False)
        self.blocks = [few.take(np.arange(a, b)) for a, b in pairs]
        self.n_rows, self.n_looks = few.n_rows, 0

    def look(self, look):
        self.n_looks += 1
        first, *others = [look_at(one, look, i) for i, one in enumerate(self.blocks)]
        for other in others:
            first = first.plus(other)
        return first


def assert_same_sums(found, expected):
    for name, value in vars(expected).items():
        np.testing.assert_allclose(getattr(found, name), value, atol=1e-12)


@pytest.mark.parametrize("kind", ["dense", "float32", "sparse"])
def test_sums_do_not_depend_on_blocks(kind):
    few = data(0, 9000)
    if kind == "float32":
        few = few._replace(rows=Rows(few.rows.X.astype(np.float32), few.rows.signs))
    exact = few._replace(rows=few.rows.take(np.arange(9000)))
    if kind == "sparse":
        few = few._replace(rows=Rows(sparse.csr_matrix(few.rows.X), few.rows.signs))
    theta = np.array([1.0, -0.5, 0.2, 0.3])
    look = Look(theta, Logistic(), Logistic(), Logistic(), 0.1, 0.0, 1)
    seen = Blocks(few, [0, 10, 5000, 5000]).look(look)
    assert_same_sums(seen.sums, sums_at(exact, look))
    margins = exact.rows.signs * (exact.rows.X @ theta[:-1] + theta[-1])
    expected = exact.weights @ np.logaddexp(0, -margins)
    assert seen.sums.value == pytest.approx(expected)
    slopes = 1 / (1 + np.exp(margins))
    z = exact.rows.combine(exact.weights * slopes)
    np.testing.assert_allclose(seen.sums.all_z, z)
    drawn = Few.joined(seen.few)
    assert 700 < drawn.n_rows < 1100
    assert drawn.weights.sum() == pytest.approx(exact.weights.sum(), rel=0.15)


def test_rows_are_drawn_where_losses_bend():
    few = data(0, 20_000)
    theta = np.array([1.0, 1.0, 1.0, 0.0])
    wide = Smoothed.of(Hinge(), 0.2)
    bends = few.weights @ wide.curvature(few.rows.scores(theta))
    look = Look(theta, Hinge(), wide, wide, 0.01, 200 / bends, 1)
    drawn = Few.joined(look_at(few, look, 0).few)
    near = np.abs(1 - drawn.rows.scores(theta)) < 0.1
    assert 150 < near.sum() < 260
    assert 140 < (~near).sum() < 260
    of_drawn = drawn.weights @ drawn.rows.scores(theta)
    assert of_drawn == pytest.approx(few.weights @ few.rows.scores(theta), rel=0.2)


def problem_of(few, loss, rho, free, cuts=()):
    sphere = SphereFilter(percentile=90).fit(few.rows.X, few.rows.signs)
    sets = [sphere.feasible_set()[sign] for sign in (-1.0, 1.0)]
    pieces = of_classes(loss, (-1.0, 1.0), sets, np.ones(2))
    stiffness = np.full(few.rows.dim, 0.1)
    stiffness[-1] = 0.0 if free else 0.1
    poison = WorstRows(0.1, loss, pieces)
    parts = Blocks(few, cuts), float(few.weights.sum()), few, None
    return BlockProblem(*parts, poison, loss, stiffness, rho)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 5),
    st.sampled_from([Hinge(), Logistic(), SquaredHinge(), Squared()]),
    st.sampled_from([None, 0.7]),
    st.booleans(),
    st.lists(st.floats(-1, 1), min_size=4, max_size=4),
    st.sampled_from([0.0, 1e-3, 1.0]),
)
def test_no_value_is_beyond_another(seed, loss, rho, free, step, size):
    """Dual values are lower bounds, near the best parameters and far from them."""
    problem = problem_of(data(seed), loss, rho, free)
    rng = np.random.RandomState(seed)
    best = _out_of_core.solve(problem, tol=1e-3, max_iter=1000, rng=rng)
    assert best.converged
    least, few = best.best_primal, problem.few
    smooth = Smoothed.of(loss, 1e-3) if loss.is_piecewise_linear else loss
    theta = problem.inside(least.theta + size * np.array(step))
    sums = sums_at(few, Look(theta, loss, smooth, smooth, 0.0, 0.0, 0))
    point = best.best_dual.poison, best.best_dual.poison_slopes
    lower = problem.lower(sums, *point)
    assert lower <= best.upper * (1 + 1e-12)
    even = problem.balanced(sums, *point)
    if free and rho is None and even is not None:
        # Nothing penalizes the intercept: only without it in z is a value finite.
        left = even[0] @ sums.z[:, -1] + problem.poison.excess(point[0], even[1])
        assert abs(left) <= 1e-12
    upper = problem.upper(theta, sums)
    assert upper >= best.lower * (1 - 1e-12)
    if size == 0.0 and not loss.is_piecewise_linear:
        assert lower >= best.upper * (1 - 2e-3)


@pytest.mark.parametrize("loss", [Hinge(), Logistic(), SquaredHinge(), Squared()])
@pytest.mark.parametrize(("rho", "free"), [(None, False), (None, True), (0.7, False)])
def test_the_bound_is_that_of_rows_in_memory(loss, rho, free, monkeypatch):
    monkeypatch.setattr(_out_of_core, "MOST_ROWS", 800)
    few = data(0, 5000)
    problem = problem_of(few, loss, rho, free, cuts=[0, 1000, 4000])
    some = np.arange(0, 5000, 7)
    drawn = few.take(some)
    scale = few.weights.sum() / drawn.weights.sum()
    problem = problem._replace(few=drawn._replace(weights=scale * drawn.weights))
    rng = np.random.RandomState(0)
    found = _out_of_core.solve(problem, tol=1e-4, max_iter=1000, rng=rng)
    assert found.converged
    assert len(found.history) == problem.source.n_looks <= 8
    if rho is not None:
        assert np.linalg.norm(found.best_primal.theta) <= rho * (1 + 1e-12)
        return
    whole = problem.in_memory(few)
    expected = _loss_newton.solve(whole, tol=1e-4, max_iter=1000, rng=rng)
    assert found.lower <= expected.upper
    assert expected.lower <= found.upper


def test_a_linear_term_counts_in_both_bounds():
    few = data(1)
    problem = problem_of(few, Logistic(), None, False).in_memory(few)
    # Rows whose slopes are known are a linear term: leave out those of a class.
    beyond = Beyond(np.array([0.01, -0.02, 0.03, 0.01]), 0.5)
    tilted = problem._replace(beyond=beyond)
    rng = np.random.RandomState(0)
    found = _loss_newton.solve(tilted, tol=1e-9, max_iter=100, rng=rng)
    theta = found.best_primal.theta
    value = problem.upper(theta, problem.margins(theta)) + 0.5 + beyond.slope @ theta
    assert found.upper == pytest.approx(value, rel=1e-12)
    assert found.gap <= 1e-9 * found.upper
    for other in np.random.default_rng(0).normal(size=(20, 4)):
        assert tilted.upper(other, tilted.margins(other)) >= found.lower


def test_errors_of_regression():
    rng = np.random.default_rng(0)
    X, targets = rng.normal(size=(50, 2)), rng.normal(size=50)
    few = Few(Rows(X, np.ones(50)), np.full(50, 0.02), targets)
    theta = np.array([1.0, 2.0, 0.5])
    loss = SquaredError()
    sums = sums_at(few, Look(theta, loss, loss, loss, 0.0, 0.0, 0))
    errors = X @ theta[:-1] + theta[-1] - targets
    assert sums.value == pytest.approx(0.5 * np.mean(errors**2))
    assert sums.largest == pytest.approx(np.abs(errors).max())
    np.testing.assert_allclose(sums.all_z[:-1], -errors @ X / 50)
    assert sums.targets.sum() == pytest.approx(-errors @ targets / 50)
    problem = LossProblem(few.rows, few.weights, None, loss, None, targets)
    np.testing.assert_allclose(problem.margins(theta), errors)
    assert Sums.none(3).plus(sums).value == sums.value
