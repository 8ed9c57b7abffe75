"""The values of the paper's figure 2 on MNIST 1-vs-7, and text as it comes."""

import numpy as np
import pytest
from scipy import sparse

from skpoison import CertifiedBound, NormConstrainedSVC, SlabFilter, SphereFilter
from skpoison.bounds import bound_curve

RHO = 0.8**0.5
# Certified intervals of the best bound, from an independent program.
KNOWN = {
    0.01: (0.04965, 0.04966),
    0.02: (0.05894, 0.05895),
    0.03: (0.06227, 0.06229),
    0.05: (0.06287, 0.06289),
    0.1: (0.06283, 0.06289),
    0.3: (0.06286, 0.06288),
}


@pytest.fixture(scope="module")
def ones_and_sevens(data_folder):
    data = np.load(data_folder / "mnist_17.npz")
    return (
        data["X_train"] / 255.0,
        data["y_train"],
        data["X_test"] / 255.0,
        data["y_test"].astype(float),
    )


@pytest.fixture(scope="module")
def curve(ones_and_sevens):
    X, y, _, _ = ones_and_sevens
    estimator = CertifiedBound(rho=RHO, tol=1e-4, random_state=0)
    return bound_curve(estimator, X, y, sorted(KNOWN))


def test_intervals_meet_the_known_ones(curve):
    for epsilon, lower, upper in zip(
        curve.epsilon, curve.lower_bound, curve.upper_bound, strict=True
    ):
        known_lower, known_upper = KNOWN[epsilon]
        assert upper - lower <= 1e-4 * upper
        assert lower <= known_upper
        assert upper >= known_lower


def test_the_attack_raises_the_test_loss_as_published(curve, ones_and_sevens):
    X, y, X_test, y_test = ones_and_sevens
    for bound in curve.estimators:
        attack = bound.attack_
        assert (bound.filter_.predict(attack.X, attack.y) == 1).all()
        floor = bound.lower_bound_ - attack.rounding_slack
        assert floor - 1e-12 <= bound.attack_loss_ <= bound.upper_bound_ + 1e-12
        if bound.epsilon < 0.05:
            continue
        rows = np.vstack([X, attack.X])
        labels = np.append(y, attack.y)
        weights = np.append(np.ones(len(X)), attack.n_copies)
        svc = NormConstrainedSVC(RHO, random_state=0).fit(rows, labels, weights)
        per_clean_row = weights.sum() / len(X)
        assert svc.loss_ * per_clean_row == pytest.approx(bound.attack_loss_, rel=2e-4)
        test_loss = np.maximum(0, 1 - y_test * svc.decision_function(X_test)).mean()
        assert test_loss == pytest.approx(0.068, abs=0.003)


@pytest.mark.parametrize("epsilon", [0.001, 1.0])
@pytest.mark.parametrize("rho_squared", [0.05, 50.0])
@pytest.mark.parametrize("percentile", [50, 100])
def test_extreme_settings_converge(ones_and_sevens, percentile, rho_squared, epsilon):
    X, y, _, _ = ones_and_sevens
    filter_ = SphereFilter(percentile=percentile) & SlabFilter(percentile=percentile)
    bound = CertifiedBound(
        filter_, epsilon, rho=rho_squared**0.5, tol=1e-4, random_state=0
    ).fit(X[::3], y[::3])
    assert bound.dual_gap_ <= 1e-4 * bound.upper_bound_
    assert bound.attack_loss_ <= bound.upper_bound_


@pytest.mark.parametrize("learner", [{"rho": 6**0.5}, {"C": 1.0}], ids=str)
def test_word_counts_stay_sparse_and_converge(data_folder, learner):
    data = np.load(data_folder / "spam_assassin_bow.npz")
    X = sparse.csr_matrix(
        (data["train_data"], data["train_indices"], data["train_indptr"]),
        shape=data["train_shape"],
    )
    bound = CertifiedBound(epsilon=0.03, random_state=0, **learner)
    bound.fit(X, data["y_train"])
    assert bound.dual_gap_ <= 1e-3 * bound.upper_bound_
    # An independent program puts the best bound of the ball form at 0.375.
    assert bound.upper_bound_ == pytest.approx(0.375, abs=1e-3)
    assert sparse.issparse(bound.attack_.X)
    assert (bound.filter_.predict(bound.attack_.X, bound.attack_.y) == 1).all()
