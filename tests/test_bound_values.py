"""The bound against the same problem solved whole by a conic solver."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from oracles import KINDS, conic_bound, conic_svc, labelled_rows
from scipy import sparse
from sklearn.svm import LinearSVC

from skpoison import CertifiedBound, NormConstrainedSVC, SlabFilter, SphereFilter

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
LEARNERS = [{"rho": 0.1}, {"rho": 1.0}, {"rho": 20.0}, {"C": 0.01}, {"C": 1.0}, {}]


def sphere_and_slab(percentile=70):
    return SphereFilter(percentile=percentile) & SlabFilter(percentile=percentile)


def check_against_cone(bound, X, y, epsilon, learner):
    feasible = bound.filter_.feasible_set()
    sets = list(zip((-1.0, 1.0), feasible.sets, strict=True))
    best = conic_bound(X, 2.0 * y - 1.0, sets, epsilon, **(learner or {"C": 1.0}))
    assert bound.upper_bound_ == pytest.approx(best, abs=1e-5)
    assert bound.lower_bound_ <= best + 1e-7
    assert bound.upper_bound_ >= best - 1e-7


@pytest.mark.parametrize("learner", LEARNERS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_bound_agrees_with_the_conic_program(kind, learner):
    for seed, (epsilon, gap) in enumerate(
        [(0.0, 0.3), (0.05, 1.0), (0.3, 0.3), (1, 3)]
    ):
        X, y = labelled_rows(seed, kind, gap=gap)
        bound = CertifiedBound(
            sphere_and_slab(), epsilon, tol=1e-6, random_state=0, **learner
        ).fit(X, y)
        check_against_cone(bound, X, y, epsilon, learner)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
@pytest.mark.parametrize("learner", [{"rho": 1.0}, {"C": 1.0}], ids=str)
def test_bound_agrees_whatever_the_units_of_the_features(scale, learner):
    X, y = labelled_rows(3, scale=scale)
    bound = CertifiedBound(sphere_and_slab(), 0.1, tol=1e-6, random_state=0, **learner)
    check_against_cone(bound.fit(X, y), X, y, 0.1, learner)


@pytest.mark.parametrize("percentile", [30, 100])
def test_sphere_alone_agrees_with_the_conic_program(percentile):
    X, y = labelled_rows(5, gap=0.5)
    bound = CertifiedBound(SphereFilter(percentile=percentile), 0.2, rho=2.0, tol=1e-6)
    check_against_cone(bound.fit(X, y), X, y, 0.2, {"rho": 2.0})


def test_bound_agrees_where_there_are_more_features_than_rows():
    X, y = labelled_rows(1, n_rows=20, n_features=50)
    for learner in ({"rho": 3.0}, {"C": 1.0}):
        bound = CertifiedBound(sphere_and_slab(90), 0.2, tol=1e-6, **learner)
        check_against_cone(bound.fit(X, y), X, y, 0.2, learner)


def test_bound_agrees_where_the_best_weights_lie_along_the_slab():
    """The kink: only a mixture of points on the slab's face closes the gap."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 100)
    X = np.zeros((200, 6))
    X[:, 0] = 2.0 * y - 1.0 + 0.1 * rng.normal(size=200)
    X[:, 1:] = rng.normal(size=(200, 5))
    bound = CertifiedBound(sphere_and_slab(), 0.3, rho=1.0, tol=1e-6).fit(X, y)
    direction = bound.filter_.feasible_set().sets[0].direction
    cosine = bound.coef_[0] @ direction / np.linalg.norm(bound.coef_)
    assert abs(cosine) > 1 - 1e-6
    check_against_cone(bound, X, y, 0.3, {"rho": 1.0})


def test_a_bound_of_zero_is_found():
    X, y = labelled_rows(0, "two points")
    bound = CertifiedBound(epsilon=1.0, rho=100.0).fit(X, y)
    assert 0.0 <= bound.upper_bound_ <= 1e-3 * 1e-3
    assert bound.lower_bound_ == 0.0
    assert bound.attack_loss_ <= bound.upper_bound_


@pytest.mark.parametrize("learner", [{"rho": 1.0}, {"C": 1.0}], ids=str)
def test_sparse_and_dense_rows_give_the_same_bound(learner):
    rng = np.random.default_rng(0)
    X, y = labelled_rows(2, n_rows=200, n_features=30)
    X = np.where(rng.random(X.shape) < 0.8, 0.0, X)
    fit = CertifiedBound(epsilon=0.1, tol=1e-6, random_state=0, **learner).fit
    dense, thin = fit(X, y).upper_bound_, None
    for container in (sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix):
        thin = CertifiedBound(epsilon=0.1, tol=1e-6, **learner).fit(container(X), y)
        assert thin.upper_bound_ == pytest.approx(dense, rel=2e-6)
        assert sparse.issparse(thin.attack_.X)


def test_many_active_sparse_rows_are_solved_iteratively(monkeypatch):
    from skpoison.solvers import _newton_system

    X, y = labelled_rows(2, n_rows=150, n_features=200)
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.8, 0.0, X)
    direct = CertifiedBound(epsilon=0.1, rho=1.0, tol=1e-6).fit(sparse.csr_array(X), y)
    monkeypatch.setattr(_newton_system, "MAX_GRAM", 5)
    found = CertifiedBound(epsilon=0.1, rho=1.0, tol=1e-6).fit(sparse.csr_array(X), y)
    assert found.upper_bound_ == pytest.approx(direct.upper_bound_, rel=2e-6)


def test_float32_rows_give_nearly_the_same_bound():
    X, y = labelled_rows(2, n_rows=300)
    single = CertifiedBound(epsilon=0.1, rho=1.0, tol=1e-6).fit(X.astype("float32"), y)
    double = CertifiedBound(epsilon=0.1, rho=1.0, tol=1e-6).fit(X, y)
    found, exact = (min(h["upper_bound"] for h in b.history_) for b in (single, double))
    assert found == pytest.approx(exact, rel=1e-5)
    # The bound covers what a filter lets through whose sums are of single precision.
    reach = max(rows.radius for rows in single.filter_.feasible_set().sets)
    assert 0.0 <= single.upper_bound_ - found <= 0.1 * 1e-6 * reach
    assert single.attack_.X.dtype == np.float32
    keeps = single.filter_.decision_function(single.attack_.X, single.attack_.y) >= 0
    assert keeps.all()


def test_many_rows_are_solved_on_a_band_and_checked_on_all():
    X, y = labelled_rows(4, n_rows=8000, n_features=10, gap=0.3)
    bound = CertifiedBound(epsilon=0.05, rho=1.0, tol=1e-6, random_state=0).fit(X, y)
    assert bound.history_[0]["n_rows"] < len(X)
    check_against_cone(bound, X, y, 0.05, {"rho": 1.0})


@pytest.fixture
def PublishedBound(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("_rda").PublishedBound


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("learner", [{"rho": 1.0}, {"C": 0.1}], ids=str)
def test_the_published_algorithm_brackets_the_same_value(learner, PublishedBound):
    X, y = labelled_rows(7, n_rows=60, gap=0.5)
    fast = CertifiedBound(epsilon=0.2, tol=1e-6, **learner).fit(X, y)
    slow = PublishedBound(epsilon=0.2, tol=1e-6, max_iter=400, **learner).fit(X, y)
    assert slow.n_iter_ == 400
    assert slow.lower_bound_ <= fast.upper_bound_ + 1e-9
    assert fast.lower_bound_ <= slow.upper_bound_ + 1e-9
    assert slow.attack_loss_ <= fast.upper_bound_ + 1e-9
    assert slow.upper_bound_ <= 1.1 * fast.upper_bound_
    gaps = [entry["upper_bound"] - entry["lower_bound"] for entry in slow.history_]
    assert gaps[-1] < 0.5 * gaps[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rho", [0.1, 1.0, 30.0])
def test_norm_constrained_svc_agrees_with_the_conic_program(kind, rho):
    X, y = labelled_rows(11, kind, gap=0.5)
    weights = np.random.default_rng(0).uniform(0, 3, len(y))
    weights[5:8] = 0.0
    svc = NormConstrainedSVC(rho, tol=1e-6).fit(X, y, sample_weight=weights)
    best = conic_svc(X, 2.0 * y - 1.0, weights, rho=rho)
    assert svc.loss_ == pytest.approx(best, abs=1e-6)
    assert np.hypot(np.linalg.norm(svc.coef_), svc.intercept_[0]) <= rho * (1 + 1e-12)


def test_weights_count_like_copies():
    X, y = labelled_rows(12)
    copies = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = NormConstrainedSVC(tol=1e-8).fit(X, y, sample_weight=copies)
    repeated = NormConstrainedSVC(tol=1e-8).fit(X.repeat(copies, 0), y.repeat(copies))
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-7)


def test_a_bound_without_attacker_is_the_classifier():
    X, y = labelled_rows(13, n_rows=100)
    bound = CertifiedBound(epsilon=0.0, rho=2.0, tol=1e-8).fit(X, y)
    svc = NormConstrainedSVC(2.0, tol=1e-8).fit(X, y)
    assert bound.upper_bound_ == pytest.approx(svc.loss_, rel=1e-7)
    assert len(bound.attack_.n_copies) == 0
    assert bound.attack_loss_ == pytest.approx(svc.loss_, rel=1e-7)


def test_the_penalised_bound_without_attacker_is_linear_svc():
    X, y = labelled_rows(13, n_rows=100)
    bound = CertifiedBound(epsilon=0.0, C=0.3, tol=1e-8).fit(X, y)
    svc = LinearSVC(loss="hinge", C=0.3, tol=1e-10, max_iter=10**6, random_state=0)
    svc.fit(X, y)
    np.testing.assert_allclose(bound.coef_, svc.coef_, atol=1e-3)
    np.testing.assert_allclose(bound.intercept_, svc.intercept_, atol=1e-3)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "Input X contains NaN"), (-np.inf, "Input X contains infinity")],
)
def test_values_that_are_not_finite_are_named(value, message, dtype, form):
    X = np.ones((20, 3), dtype=dtype)
    X[4, 1] = value
    with pytest.raises(ValueError, match=f"^{message}"):
        NormConstrainedSVC(1.0).fit(form(X), np.arange(20) % 2)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("defense", ["fixed", "moving_centroids"])
@pytest.mark.parametrize("filter_", [None, SphereFilter()])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "Input X contains NaN.\nCertifiedBound"),
        (np.inf, "Input X contains infinity"),
        (1e80, "CertifiedBound supports absolute values of X up to"),
        (-1e300, "CertifiedBound supports absolute values of X up to"),
    ],
)
def test_bounds_refuse_such_values_whatever_reads_them_first(
    value, message, filter_, defense, form
):
    X = np.random.default_rng(0).normal(size=(20, 3))
    X[4, 1] = value
    bound = CertifiedBound(filter_, rho=1.0, defense=defense)
    with pytest.raises(ValueError, match=f"^{message}"):
        bound.fit(form(X), np.arange(20) % 2)


def test_values_too_large_to_be_squared_twice_are_refused():
    X = np.ones((20, 3))
    X[4, 1] = -1e80
    with pytest.raises(
        ValueError, match=r"supports absolute values of X up to 1.*; got 1e\+80"
    ):
        NormConstrainedSVC(1.0).fit(X, np.arange(20) % 2)
