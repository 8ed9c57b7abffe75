"""The verifier's mathematics: against exact arithmetic, and rows of all kinds."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from certificates import content_of

from skpoison.verify import _domain, _proof, _rows
from skpoison.verify._losses import loss_of


@pytest.mark.parametrize("domain", ["count", "binary", "mixed", "groups", "tfidf"])
def test_multipliers_bound_every_row_of_a_domain(domain):
    """Against all rows of a small domain, or many, at multipliers of any kind."""
    rng = np.random.default_rng(0)
    grid = np.array(list(itertools.product([0.0, 1.0, 2.0, 3.0], repeat=3)))
    lower, upper, kinds = np.zeros(3), np.full(3, 3.0), np.ones(3, dtype=int)
    if domain == "binary":
        upper[:] = 1.0
    elif domain == "mixed":
        kinds[1], grid[:, 1] = 0, rng.uniform(0.0, 3.0, len(grid))
    elif domain == "groups":
        kinds[:2], upper[:2] = 3, 1.0
    elif domain == "tfidf":
        kinds[:2], upper[:2] = 2, 1.0
        norms = np.maximum(np.linalg.norm(grid[:, :2], axis=1, keepdims=True), 1e-9)
        grid[:, :2] /= norms
    arrays = {"domain_lower": lower, "domain_upper": upper, "domain_kinds": kinds}
    rows = [row for row in grid if _domain.contains(row, arrays)]
    assert len(rows) >= 8
    for _ in range(40):
        center, v, a = rng.normal(1.0, 0.5, 3), rng.normal(size=3), rng.normal(size=3)
        lam, t = rng.uniform(0.0, 1.0), rng.normal()
        arrays |= {
            "centers": center[np.newaxis],
            "radii": np.array([[2.0, 2.0]]),
            "directions": v[np.newaxis],
            "offsets": np.array([[-1.0, 1.0, -1.0, 1.0]]),
        }
        problem = _proof.Problem({}, arrays, *[None] * 4)
        # A leaf for a block of norm 1, and one where it is 0.
        leaves = iter([(-1.0, 0.0, lam, t)] * 2)
        bound = _domain.support(problem, 0, a, leaves)
        z = np.array(rows) - center
        inside = (np.linalg.norm(z, axis=1) <= 2.0) & (np.abs(z @ v) <= 1.0)
        products = np.array(rows)[inside] @ a
        assert products.max(initial=-np.inf) <= bound
        exact = np.array(rows) @ a - t * (z @ v) - lam * np.vecdot(z, z)
        relaxed = exact.max() + lam * 4.0 + abs(t)
        if domain in ("count", "binary", "groups"):  # all rows are there
            near = np.linalg.norm(z, axis=1).max() > 2.0
            assert near or bound == pytest.approx(relaxed, rel=1e-12)


def exactly(numbers):
    return [Fraction(number) for number in np.asarray(numbers, float).tolist()]


def test_error_bounds_hold_in_exact_arithmetic():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 30)) * 10.0 ** rng.integers(-8, 8, (40, 30))
    w, a = rng.normal(size=30), rng.normal(size=40)
    rows = _rows.rows_of(X)
    products, sizes = rows.times(w)
    off = _rows.error(rows.counts, sizes, _rows.UNIT)
    for i, product in enumerate(products):
        exact = sum(p * q for p, q in zip(exactly(X[i]), exactly(w), strict=True))
        assert abs(Fraction(product) - exact) <= Fraction(off[i])
    sums, sizes, count = rows.combine(a)
    off = _rows.error(count, sizes, _rows.UNIT)
    for j, total in enumerate(sums):
        exact = sum(p * q for p, q in zip(exactly(X[:, j]), exactly(a), strict=True))
        assert abs(Fraction(total) - exact) <= Fraction(off[j])


def test_the_upper_bound_holds_in_exact_arithmetic(certificate):
    """The clean part of the bound, and the losses of rows of the sets."""
    path, X, y = certificate
    header, arrays = content_of(path)
    w, b = exactly(arrays["theta"][:-1]), Fraction(float(arrays["theta"][-1]))
    losses = []
    for row, label in zip(X, y, strict=True):
        score = sum(p * q for p, q in zip(exactly(row), w, strict=True)) + b
        losses.append(max(1 - (2 * int(label) - 1) * score, Fraction(0)))
    assert sum(losses) / len(y) <= Fraction(header["clean_loss"])
    claimed = Fraction(header["poison_loss"])
    rng = np.random.default_rng(0)
    for k, center in enumerate(arrays["centers"]):
        v, (low, high) = arrays["directions"][k], arrays["offsets"][k, :2]
        moves = rng.normal(size=(2000, 3))
        moves *= arrays["radii"][k, 0] / np.linalg.norm(moves, axis=1)[:, np.newaxis]
        moves = moves[(moves @ v >= low) & (moves @ v <= high)]
        scores = (center + moves) @ arrays["theta"][:-1] + arrays["theta"][-1]
        worst = max(1.0 - (2 * k - 1) * scores)
        assert Fraction(worst) <= claimed
        assert len(moves) > 100


def test_the_lower_bound_holds_in_exact_arithmetic(certificate):
    path, X, y = certificate
    header, arrays = content_of(path)
    order = _rows.digest(_rows.rows_of(X), y)[1]
    masses, rho = exactly(arrays["row_masses"]), Fraction(header["rho"])
    poison_masses = exactly(arrays["poison_masses"])
    codes = [*y[order], *arrays["poison_labels"].astype(int)]
    signs = [2 * int(code) - 1 for code in codes]
    n_poison = len(poison_masses)
    points = arrays["poison_data"].reshape(n_poison, 3)  # none of their entries is 0
    rows = np.column_stack([np.vstack([X[order], points]), np.ones(len(codes))])
    weights = [
        mass * sign for mass, sign in zip(masses + poison_masses, signs, strict=True)
    ]
    z = [
        sum(
            weight * entry
            for weight, entry in zip(weights, exactly(column), strict=True)
        )
        for column in rows.T
    ]
    left = sum(masses) + sum(poison_masses)
    left -= len(y) * Fraction(header["lower_bound"])
    assert left >= 0 and left**2 >= rho**2 * sum(entry**2 for entry in z)
    assert all(0 <= mass <= 1 for mass in masses)
    assert sum(poison_masses) <= Fraction(header["epsilon"]) * len(y)


def test_losses_are_at_least_their_tangents():
    margins = np.linspace(-4.0, 4.0, 161)
    names = ["hinge", "squared_hinge", "modified_huber", "logistic", "squared"]
    names += ["squared_error", "epsilon_insensitive", "squared_epsilon_insensitive"]
    for name in [*names, "huber"]:
        loss = loss_of(name, 0.5)
        least, most = np.clip(loss.slopes, -3.0, 3.0)
        for slope in np.linspace(least, most, 41):
            conjugate = loss.conjugate(np.array([slope]))[0][0]
            gap = loss.value(margins) + slope * margins + conjugate
            assert gap.min() >= -1e-12
            assert gap.min() <= 0.02  # and is tangent somewhere
    assert loss_of("other", 0.0) is None


def test_a_loss_with_a_scale_is_at_least_its_tangents_at_any_scale():
    errors = np.linspace(-9.0, 9.0, 181)
    for scale in (0.01, 0.3, 1.0, 7.0):
        loss = loss_of("concomitant_huber", 1.35, scale)
        for slope in np.linspace(*loss.slopes, 21):
            gap = loss.value(errors) + slope * errors - scale * (1.0 - slope**2 / 4.0)
            assert gap.min() >= -1e-12
    for name, scale in (("huber", 1.0), ("concomitant_huber", None)):
        assert loss_of(name, 1.35, scale) is None
    assert loss_of("concomitant_huber", 1.35, 0.0) is None


def test_multipliers_of_the_slab_are_nearly_the_best():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, v = rng.normal(size=(2, 4))
        v /= np.linalg.norm(v)
        low, high = np.sort(rng.normal(size=2)) * 0.3
        t = _proof.multiplier(a, v, 1.0, low, high)

        def bound(t):
            return np.linalg.norm(a - t * v) + max(t * low, t * high)  # noqa: B023

        others = [bound(t + step) for step in np.linspace(-3, 3, 601)]
        assert bound(t) <= min(others) + 1e-12
        assert math.isfinite(t)
