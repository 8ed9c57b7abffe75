"""Label flips, and the candidate attack of the bound."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import linprog
from sklearn.datasets import load_iris, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skpoison import CertifiedBound, NormConstrainedSVC, SphereFilter
from skpoison.attacks import LabelFlipAttack, MinMaxAttack
from skpoison.attacks._alfa import choose_flips
from skpoison.filters import NeighborsFilter

RHO = 1.5


@pytest.fixture(scope="module")
def data():
    return make_blobs([160, 140], centers=[[-1, 0], [1, 0]], random_state=0)


@pytest.mark.parametrize("strategy", ["random", "feasible", "alfa"])
def test_flips_are_training_rows_under_the_other_label(strategy, data):
    X, y = data
    attack = LabelFlipAttack(0.2, strategy, random_state=0).fit(X, y)
    rows = attack.flipped_indices_
    np.testing.assert_array_equal(attack.X_poison_, X[rows])
    np.testing.assert_array_equal(attack.y_poison_, 1 - y[rows])
    if strategy == "random":
        assert len(np.unique(rows)) == len(rows)
        assert attack.filter_ is None


def test_random_flips_do_not_look_at_the_filter(data):
    X, y = data
    with_filter = LabelFlipAttack(0.2, filter=SphereFilter(5), random_state=0)
    alone = LabelFlipAttack(0.2, random_state=0)
    np.testing.assert_array_equal(with_filter.poison(X, y)[0], alone.poison(X, y)[0])


def test_candidates_are_those_that_the_filter_keeps_and_repeat_evenly(data):
    X, y = data
    sphere = SphereFilter(40).fit(X, y)
    candidates = np.flatnonzero(sphere.predict(X, 1 - y) == 1)
    attack = LabelFlipAttack(0.5, "feasible", filter=SphereFilter(40), random_state=0)
    attack.fit(X, y)
    assert 0 < len(candidates) < 150
    assert attack.n_candidates_.sum() == len(candidates)
    found, counts = np.unique(attack.flipped_indices_, return_counts=True)
    np.testing.assert_array_equal(found, candidates)
    assert counts.sum() == 150 and np.ptp(counts) <= 1


def test_many_classes():
    X, y = load_iris(return_X_y=True)
    neighbors = NeighborsFilter(percentile=90)
    attack = LabelFlipAttack(0.5, "feasible", filter=neighbors, random_state=0)
    X_poison, y_poison = attack.poison(X, y)
    assert (y_poison != y[attack.flipped_indices_]).all()
    assert (neighbors.fit(X, y).predict(X_poison, y_poison) == 1).all()
    labels = LabelFlipAttack(1.0, random_state=0).poison(X, y)[1]
    assert np.bincount(labels).min() > 30


@pytest.mark.parametrize("strategy", ["feasible", "alfa"])
def test_impossible_flips_are_an_error(strategy):
    X, y = make_blobs(60, centers=[[-90, 0], [90, 0]], random_state=0)
    attack = LabelFlipAttack(0.2, strategy)
    with pytest.raises(ValueError, match="rejects every training row with a label"):
        attack.fit(X, y)


def test_the_linear_program_is_solved():
    rng = np.random.default_rng(0)
    for total in (1, 4, 9, 12, 25):
        gains = rng.normal(size=9)
        copies = choose_flips(gains, total)
        low, high = total // 9, -(-total // 9)
        solved = linprog(
            -gains, A_eq=np.ones((1, 9)), b_eq=[total], bounds=[(low, high)] * 9
        )
        assert copies.sum() == total
        assert gains @ copies == pytest.approx(-solved.fun)


def clean_hinge(X, y, X_poison, y_poison):
    svc = NormConstrainedSVC(rho=RHO, tol=1e-6)
    svc.fit(np.vstack([X, X_poison]), np.append(y, y_poison))
    signs = 2 * y - 1
    return np.maximum(0, 1 - signs * svc.decision_function(X)).mean()


def test_chosen_flips_do_more_harm_than_drawn_ones(data):
    X, y = data
    sphere = SphereFilter(90)
    chosen = LabelFlipAttack(
        0.1, "alfa", filter=sphere, estimator=NormConstrainedSVC(RHO), random_state=0
    )
    harm = clean_hinge(X, y, *chosen.poison(X, y))
    assert harm == pytest.approx(max(chosen.objective_), rel=1e-3)
    for seed in range(5):
        drawn = LabelFlipAttack(0.1, "feasible", filter=sphere, random_state=seed)
        assert harm > clean_hinge(X, y, *drawn.poison(X, y)) + 1e-3


@pytest.mark.parametrize("converges", [True, False])
def test_sparse_rows_are_flipped_as_well_as_dense_ones(converges, data, monkeypatch):
    X, y = data
    attack = LabelFlipAttack(0.1, "alfa", filter=SphereFilter(90), random_state=0)
    dense = attack.fit(X, y)
    wanted, candidates = max(dense.objective_), dense.n_candidates_
    rows = sparse.csr_array(X)
    # Which have indices of any width.
    rows.indices, rows.indptr = rows.indices.astype(int), rows.indptr.astype(int)
    if not converges:
        monkeypatch.setattr("skpoison.attacks._alfa.MOST_PASSES", 1)
    found = attack.fit(rows, y)
    assert max(found.objective_) == pytest.approx(wanted, rel=2e-3)
    np.testing.assert_array_equal(found.n_candidates_, candidates)


def test_alfa_attacks_support_vector_machines_only(data):
    for estimator, why in [
        (LogisticRegression(), "with the hinge loss"),
        (LinearSVC(loss="squared_hinge"), "loss='squared_hinge'"),
        (LinearSVC(loss="hinge", class_weight="balanced"), "has class_weight set"),
        (LinearSVC(loss="hinge", fit_intercept=False), "with an intercept"),
        (NeighborsFilter(), "supports an estimator of the types"),
    ]:
        with pytest.raises(ValueError, match=why):
            LabelFlipAttack(0.1, "alfa", estimator=estimator).fit(*data)


@pytest.mark.parametrize("learner", [{"rho": RHO}, {"C": 0.3}])
def test_min_max_sends_the_bound_s_attack(learner, data):
    X, y = data
    attack = MinMaxAttack(0.2, random_state=0, **learner).fit(X, y)
    bound = CertifiedBound(epsilon=0.2, random_state=0, **learner).fit(X, y)
    found = bound.attack_
    np.testing.assert_allclose(
        attack.X_poison_, np.repeat(found.X, found.n_copies, axis=0), atol=1e-6
    )
    assert len(attack.y_poison_) <= 60
    assert attack.objective_[-1] == attack.bound_.history_[-1]["lower_bound"]
    assert attack.bound_.upper_bound_ == pytest.approx(bound.upper_bound_, rel=1e-3)


def test_min_max_takes_rho_or_c_but_not_both(data):
    with pytest.raises(ValueError, match="only one of rho, C and estimator"):
        MinMaxAttack(rho=1.0, C=1.0).fit(*data)


def test_min_max_sends_rows_of_the_domain_only():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    X = rng.poisson(0.2 + np.eye(6)[y], size=(120, 6)).astype(float)
    attack = MinMaxAttack(0.2, domain="nonnegative", rho=RHO, random_state=0).fit(X, y)
    free = MinMaxAttack(0.2, rho=RHO, random_state=0).fit(X, y)
    assert attack.X_poison_.min() >= 0.0
    assert free.X_poison_.min() < 0.0
    # Either bound lies within its own gap of the best one.
    assert attack.bound_.lower_bound_ <= free.bound_.upper_bound_


@pytest.mark.parametrize("strategy", ["random", "feasible", "alfa"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_only_rows_of_the_domain_are_copied(strategy, container):
    rng = np.random.default_rng(0)
    y = rng.choice([0, 1], 100)
    X = rng.poisson(2.0 + y[:, None] * [0, 1, 0], (100, 3)).astype(float)
    X[::2] += 0.5
    options = {"filter": SphereFilter(95), "random_state": 0}
    attack = LabelFlipAttack(0.2, strategy, domain="count", **options)
    attack.fit(container(X), y)
    assert (attack.flipped_indices_ % 2 == 1).all()
    free = LabelFlipAttack(0.2, strategy, **options).fit(container(X), y)
    assert (free.flipped_indices_ % 2 == 0).any()


def test_float32_rows_of_norm_one_are_in_the_domain():
    X = np.random.default_rng(0).uniform(0.1, 1, (50, 30))
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    attack = LabelFlipAttack(0.2, domain="tfidf", random_state=0)
    assert attack.fit(X, np.arange(50) % 2).n_candidates_.sum() == 50


def test_no_row_in_the_domain_is_an_error():
    X, y = np.full((10, 2), 0.5), np.arange(10) % 2
    with pytest.raises(ValueError, match="No training row is in domain='count'"):
        LabelFlipAttack(0.2, domain="count").fit(X, y)
