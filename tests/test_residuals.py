import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from skpoison import AutoFilter
from skpoison.filters._residuals import residual_scale


def _flagged(residuals, targets=None):
    targets = residuals if targets is None else targets
    scale = residual_scale(residuals, targets)
    return scale.units(residuals) > scale.cut


@pytest.mark.parametrize("share", [0.1, 0.15, 0.2])
@pytest.mark.parametrize("sides", [[1], [-1], [-1, 1]])
def test_targets_that_are_shifted_together_are_found(share, sides):
    rng = np.random.default_rng(0)
    residuals = rng.standard_t(5, size=1000)
    wrong = np.arange(1000) < 1000 * share
    residuals[wrong] += 7 * rng.choice(sides, wrong.sum())
    flagged = _flagged(residuals - residuals.mean())
    assert flagged[wrong].mean() > 0.9 and flagged[~wrong].mean() < 0.02


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(size=n),
        lambda rng, n: rng.exponential(size=n),
        lambda rng, n: rng.standard_t(3, size=n),
        lambda rng, n: rng.normal(size=n) * np.exp(rng.normal(size=n) / 2),
    ],
)
def test_tails_of_honest_residuals_are_no_gaps(draw, n):
    shares = []
    for seed in range(10):
        residuals = draw(np.random.default_rng(seed), n)
        shares.append(_flagged(residuals - residuals.mean()).mean())
    assert max(shares) <= 0.04 and np.mean(shares) < 0.01


def test_residuals_of_counts_have_gaps_that_say_nothing():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.7, size=500).astype(float)
    residuals = counts - 0.7 + 0.03 * rng.normal(size=500)
    assert _flagged(residuals, counts).mean() < 0.02


def test_equal_and_huge_residuals():
    assert not _flagged(np.zeros(50)).any()
    residuals = np.r_[np.random.default_rng(0).normal(size=200), 1e300, -1e300]
    assert np.flatnonzero(_flagged(residuals)).tolist() == [200, 201]


def test_models_are_fitted_again_without_targets_beyond_a_gap():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = X @ [3.0, 2.0, 1.0] + rng.normal(size=300)
    wrong = (X[:, 0] > 0) & (rng.random(300) < 0.3)  # shifts that bend a line
    y[wrong] += 12
    auto = AutoFilter(LinearRegression(), random_state=0).fit(X, y)
    assert (~auto.inlier_mask_)[wrong].mean() > 0.9
    assert (~auto.inlier_mask_)[~wrong].mean() < 0.03
    assert abs(np.median((y - auto.out_of_fold_)[~wrong])) < 0.3
