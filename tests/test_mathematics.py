"""What the page on mathematics says of constants, tried on exact minimizers."""

import numpy as np
import pytest
from oracles import labelled_rows
from sklearn.datasets import make_blobs
from sklearn.svm import LinearSVC

from skpoison import CertifiedBound, SphereFilter
from skpoison.exceptions import FilterWarning
from skpoison.feasible.discrete._blocks import OneHot, UnitNorm


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
