"""The largest sum of squared losses over a ball and a slab."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifier

from skpoison import CertifiedBound
from skpoison.feasible import SphereSlab
from skpoison.solvers._class_images import BallSlabImage
from skpoison.solvers._class_squares import largest_squares


def random_image(seed):
    rng = np.random.default_rng(seed)
    n_classes, n_features = rng.integers(3, 7), rng.integers(1, 9)
    slab = {}
    if seed % 3:
        lower = rng.uniform(-1, 0.3)
        slab = {"direction": rng.normal(size=n_features), "lower": lower}
        slab["upper"] = lower + rng.uniform(0.0, 1.0)
    center = rng.normal(size=n_features)
    region = SphereSlab(center, rng.uniform(1.0, 2.0), **slab)
    theta = rng.normal(size=(n_classes, n_features + 1))
    theta[:, :-1] *= 10.0 ** rng.uniform(-2, 1)
    targets = 2.0 * np.eye(n_classes)[0] - 1.0
    return rng, region, theta, targets


def climbed(rng, region, theta, targets, n_starts=60):
    """The largest value that repeated linearization finds from random rows."""
    best = 0.0
    for _ in range(n_starts):
        row = region.support(rng.normal(size=len(region.center)))[1]
        for _ in range(100):
            off = theta[:, :-1] @ row + theta[:, -1] - targets
            best = max(best, 0.5 * float(off @ off))
            row = region.support(off @ theta[:, :-1])[1]
    return best


@pytest.mark.parametrize("seed", range(24))
def test_bounds_are_the_largest_values(seed):
    rng, region, theta, targets = random_image(seed)
    image = BallSlabImage(region, theta)
    bound, reached, slopes = largest_squares(image, targets, 0.0)
    found = climbed(rng, region, theta, targets)
    assert found * (1 - 1e-9) <= bound <= found * (1 + 1e-5)
    assert reached <= bound
    assert bound <= largest_squares(image, targets, 0.0, tol=0.1)[0] * (1 + 1e-9)
    # The slopes lead to a row that loses as much.
    off = theta @ np.append(region.support(slopes @ theta[:, :-1])[1], 1.0) - targets
    assert 0.5 * off @ off >= reached * (1 - 1e-6)


def test_enough_ends_the_search():
    _, region, theta, targets = random_image(1)
    image = BallSlabImage(region, theta)
    exact = largest_squares(image, targets, 0.0)[0]
    assert largest_squares(image, targets, 2.0 * exact)[0] == 2.0 * exact


def test_ridge_of_several_classes_has_a_tight_bound():
    X, y = load_digits(n_class=4, return_X_y=True)
    bound = CertifiedBound(epsilon=0.03, estimator=RidgeClassifier(), random_state=0)
    bound.fit(X[:200] / 16, y[:200])
    assert bound.is_exact_
    assert bound.dual_gap_ <= 1.1e-3 * bound.upper_bound_
