"""The bound over finitely many poison rows, by the interior-point method."""

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse

from skpoison.solvers._interior_point import Model, minimize_model
from skpoison.solvers._regularizers import NormBall, Penalty
from skpoison.solvers._signed_design import Rows

LEARNERS = {
    "small ball": NormBall(0.3),
    "ball not reached": NormBall(100.0),
    "penalty": Penalty(0.02),
    "weak penalty": Penalty(1e-6),
}


def random_model(learner, *, n_rows=60, n_points=12, dim=4, size=1.0, seed=0):
    rng = np.random.default_rng(seed)
    signs = np.where(rng.random(n_rows) < 0.5, -1.0, 1.0)
    X = size * (rng.normal(size=(n_rows, dim)) + 0.3 * signs[:, np.newaxis])
    weights = rng.random(n_rows)
    points = size * rng.normal(size=(n_points, dim + 1))
    center = rng.normal(size=dim + 1) / (3.0 * size)
    rows = Rows(X, signs)
    return Model(
        rows, weights / weights.sum(), points, 0.2, learner, center, 0.01 * size**2
    )


def value(model, theta):
    hinge = np.maximum(1.0 - model.rows.scores(theta), 0.0)
    worst = max((1.0 - model.points @ theta).max(initial=0.0), 0.0)
    step = theta - model.center
    distance = 0.5 * model.proximal_weight * (step @ step)
    loss = model.weights @ hinge + model.epsilon * worst
    return loss + model.learner.value(theta) + distance


def dual_value(model, duals, beta):
    """A lower bound on the model, by weak duality alone."""
    z = model.rows.combine(model.weights * duals) + model.epsilon * (
        beta @ model.points
    )
    mass = model.weights @ duals + model.epsilon * beta.sum()
    linear = z + model.proximal_weight * model.center
    constant = 0.5 * model.proximal_weight * (model.center @ model.center)
    theta = linear / model.curvature
    norm = np.linalg.norm(theta)
    if norm > model.learner.radius:
        theta = theta * (model.learner.radius / norm)
    quadratic = 0.5 * model.curvature * (theta @ theta) - linear @ theta
    return mass + constant + quadratic


def exact(model):
    X, signs = model.rows.X, model.rows.signs
    signed = signs[:, np.newaxis] * np.column_stack([X, np.ones(len(X))])
    theta = cp.Variable(len(model.center))
    loss = model.weights @ cp.pos(1.0 - signed @ theta)
    loss += model.epsilon * cp.pos(cp.max(1.0 - model.points @ theta))
    loss += 0.5 * model.proximal_weight * cp.sum_squares(theta - model.center)
    loss += 0.5 * model.learner.curvature * cp.sum_squares(theta)
    limits = []
    if np.isfinite(model.learner.radius):
        limits = [cp.norm(theta) <= model.learner.radius]
    problem = cp.Problem(cp.Minimize(loss), limits)
    return problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("size", [1e-2, 1.0, 100.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_minimum_is_that_of_another_solver(name, size, seed):
    model = random_model(LEARNERS[name], size=size, seed=seed)
    theta, duals, beta = minimize_model(model, lambda value: 1e-8)
    assert np.linalg.norm(theta) <= model.learner.radius
    found, lower = value(model, theta), dual_value(model, duals, beta)
    assert found - lower <= 3e-8
    assert found == pytest.approx(exact(model), abs=1e-7)


@pytest.mark.parametrize("target", [1e-1, 1e-3, 1e-6])
def test_the_gap_is_at_most_the_target(target):
    for seed in range(5):
        model = random_model(NormBall(1.0), seed=seed)
        theta, duals, beta = minimize_model(model, lambda value: target)
        assert np.all((duals >= 0.0) & (duals <= 1.0))
        assert np.all(beta >= 0.0) and beta.sum() <= 1.0 + 1e-12
        gap = value(model, theta) - dual_value(model, duals, beta)
        assert -1e-12 <= gap <= 1.01 * target


@pytest.mark.parametrize("name", LEARNERS)
def test_sparse_rows_are_as_good_as_dense_ones(name):
    model = random_model(LEARNERS[name])
    X = np.where(model.rows.X > 0.5, model.rows.X, 0.0)
    dense = model._replace(rows=Rows(X, model.rows.signs))
    rows = Rows(sparse.csr_array(X), model.rows.signs)
    found = minimize_model(model._replace(rows=rows), lambda value: 1e-9).theta
    np.testing.assert_allclose(
        found, minimize_model(dense, lambda value: 1e-9).theta, atol=1e-6
    )


def test_copies_single_rows_and_many_features():
    model = random_model(NormBall(1.0))
    copies = model._replace(points=np.repeat(model.points[:2], 40, axis=0))
    one = random_model(Penalty(0.1), n_rows=2, n_points=1, dim=1)
    wide = random_model(NormBall(2.0), n_rows=5, n_points=3, dim=40)
    free = random_model(Penalty(0.1), n_rows=5, n_points=3, dim=40)
    for case in (copies, one, wide, free):
        theta, duals, beta = minimize_model(case, lambda value: 1e-8)
        assert value(case, theta) - dual_value(case, duals, beta) <= 2e-8
