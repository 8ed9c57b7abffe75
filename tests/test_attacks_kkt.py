"""Decoy parameters, and the rows that make them optimal."""

import cvxpy as cp
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skpoison import NormConstrainedSVC, SlabFilter, SphereFilter
from skpoison._learners import learner_of
from skpoison.attacks import KKTAttack, LabelFlipAttack
from skpoison.attacks._decoys import Decoy
from skpoison.attacks._frank_wolfe import MixedRows
from skpoison.attacks._pairs import PairProgram
from skpoison.feasible import Domain, RestrictedSet, restrict
from skpoison.solvers._signed_design import Rows

FILTER = SphereFilter(90) & SlabFilter(90)
SVC = NormConstrainedSVC(rho=1.0)


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs(800, centers=[[-1, 0, 0], [1, 0, 0]], random_state=0)
    return X, y, 2.0 * y - 1.0


def mean_hinge(X, signs, coef, intercept):
    return np.maximum(0, 1 - signs * (X @ np.ravel(coef) + intercept)).mean()


@pytest.mark.parametrize("estimator", [SVC, LinearSVC(loss="hinge", C=0.05)])
def test_rows_and_masses_are_those_of_the_program_in_all_dimensions(estimator, data):
    X, _, signs = data
    fitted = clone(FILTER).fit(X, signs)
    sets = [fitted.feasible_set()[sign] for sign in (-1.0, 1.0)]
    learner = learner_of(estimator, "this test")
    for seed in range(3):
        theta = np.random.default_rng(seed).normal(size=4)
        theta *= 0.7 / np.linalg.norm(theta)
        decoy = Decoy(theta, Rows(X, signs), learner)
        least = conic_residual(decoy, sets, 160 / 800)
        conic = PairProgram(sets, 0.2, learner.multiple(800))
        for program in (conic, MixedRows(sets, 0.2)):
            found = decoy.find_rows(program)
            assert least <= found.residual + 1e-6
            assert found.residual == pytest.approx(least, abs=5e-3)  # whole copies
            assert found.copies.sum() <= 160
            assert (margins_of(decoy, found) <= 1 + 1e-6).all()


def margins_of(decoy, found):
    """Margins, at the decoy, of the rows that are sent."""
    scores = found.points @ decoy.theta[:-1] + decoy.theta[-1]
    return decoy.signs[found.labels] * scores


@pytest.mark.parametrize("estimator", [SVC, LinearSVC(loss="hinge", C=0.05)])
@pytest.mark.parametrize("split", [(1.0, 0.0), (0.3, 0.7)])
def test_rows_of_a_split_leave_the_least_that_its_masses_can(estimator, split, data):
    X, _, signs = data
    fitted = clone(FILTER).fit(X, signs)
    sets = [fitted.feasible_set()[sign] for sign in (-1.0, 1.0)]
    learner = learner_of(estimator, "this test")
    theta = 0.7 * np.array([0.5, -0.5, 0.5, -0.5])
    decoy = Decoy(theta, Rows(X, signs), learner)
    least = conic_residual(decoy, sets, 0.2, split=split)
    for program in (
        PairProgram(sets, 0.2, learner.multiple(800)),
        MixedRows(sets, 0.2),
    ):
        found = decoy.find_rows(program, split)
        copies = np.bincount(found.labels, found.copies, minlength=2)
        assert copies.tolist() == [160 * split[0], 160 * split[1]]
        assert least - 1e-6 <= found.residual <= least + 5e-3  # whole copies
        assert (margins_of(decoy, found) <= 1 + 1e-6).all()


def test_a_class_beyond_the_margin_takes_no_part(data):
    X, _, signs = data
    fitted = clone(FILTER).fit(X, signs)
    sets = [fitted.feasible_set()[sign] for sign in (-1.0, 1.0)]
    theta = np.array([0.0, 0.0, 0.0, 5.0])  # says +1 of every row, and firmly
    decoy = Decoy(theta, Rows(X, signs), learner_of(SVC, "this test"))
    for program in (PairProgram(sets, 0.2, None), MixedRows(sets, 0.2)):
        assert decoy.find_rows(program, (0.5, 0.5)) is None
        assert set(decoy.find_rows(program, (1.0, 0.0)).labels) == {0}


@pytest.mark.parametrize("estimator", [SVC, LinearSVC(loss="hinge", C=0.05)])
@pytest.mark.parametrize("epsilon", [0.03, 0.1])
def test_all_rows_are_sent_in_the_split_that_does_most_harm(estimator, epsilon, data):
    X, y, _ = data
    attack = KKTAttack(epsilon, filter=FILTER, estimator=estimator, random_state=0)
    attack.fit(X, y)
    assert len(attack.X_poison_) == attack.n_copies_.sum() == int(epsilon * 800 + 1e-9)
    decoy = np.append(attack.decoy_coef_, attack.decoy_intercept_)
    nearest = clone(attack).set_params(decoys=[decoy]).fit(X, y)
    assert nearest.residual_ <= attack.residual_ + 1e-3
    # All of the rows under one label do several times the harm that few rows do.
    clean = clone(attack).set_params(epsilon=0.0).fit(X, y).objective_[0]
    assert max(attack.objective_) - clean > 3 * (nearest.objective_[0] - clean)


def conic_residual(decoy, sets, share, *, nonnegative=False, split=None):
    """The least residual over masses and rows times masses, in one program."""
    multiple = decoy.multiple
    if multiple is None:
        multiple = cp.Variable(nonneg=True)
    masses, left = cp.Variable(2, nonneg=True), decoy.gradient - multiple * decoy.theta
    within = [cp.sum(masses) <= share]
    within += [] if split is None else [masses == share * np.array(split)]
    for j, (sign, rows) in enumerate(zip(decoy.signs, sets, strict=True)):
        total = cp.Variable(len(rows.center))
        away = total - masses[j] * rows.center
        offset = rows.direction @ away
        margin = sign * (total @ decoy.theta[:-1] + masses[j] * decoy.theta[-1])
        within += [
            cp.norm(away) <= masses[j] * rows.radius,
            offset >= masses[j] * rows.lower,
            offset <= masses[j] * rows.upper,
            margin <= masses[j],
            *([total >= 0] if nonnegative else []),
        ]
        left = left + sign * cp.hstack([total, masses[j]])
    return cp.Problem(cp.Minimize(cp.norm(left)), within).solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_parameters_within_reach_are_reached(as_sparse, data):
    X, y, _ = data
    flips = LabelFlipAttack(0.1, "feasible", filter=FILTER, random_state=0)
    poisoned = NormConstrainedSVC(rho=1.0, tol=1e-6).fit(*flips.fit_resample(X, y))
    decoy = np.append(poisoned.coef_, poisoned.intercept_)
    attack = KKTAttack(0.2, filter=FILTER, estimator=SVC, decoys=[decoy])
    attack.fit(sparse.csr_matrix(X) if as_sparse else X, y)
    clean = NormConstrainedSVC(rho=1.0).fit(X, y)
    reached = np.append(attack.coef_, attack.intercept_)
    far = np.linalg.norm(decoy - np.append(clean.coef_, clean.intercept_))
    assert np.linalg.norm(decoy - reached) < 0.25 * far
    assert attack.residual_ < 0.01
    assert len(attack.n_copies_) <= 2


def test_what_is_reported_is_what_training_gives(data):
    X, y, signs = data
    attack = KKTAttack(0.2, filter=FILTER, estimator=SVC, random_state=0)
    svc = NormConstrainedSVC(rho=1.0, tol=1e-6).fit(*attack.fit_resample(X, y))
    harm = mean_hinge(X, signs, svc.coef_, svc.intercept_)
    assert harm == pytest.approx(max(attack.objective_), rel=1e-3)
    assert len(attack.objective_) == 12
    assert len(attack.X_poison_) == attack.n_copies_.sum() <= 160
    clean = svc.fit(X, y)
    assert harm > mean_hinge(X, signs, clean.coef_, clean.intercept_) + 1e-3


def test_few_targets_are_aimed_at(data):
    X, y, signs = data
    rows = np.flatnonzero((np.abs(X[:, 1]) > 2) & (y == 1))
    targets = (X[rows], y[rows])
    aimed = KKTAttack(0.1, filter=FILTER, estimator=SVC, targets=targets).fit(X, y)
    blunt = KKTAttack(0.1, filter=FILTER, estimator=SVC).fit(X, y)
    losses = [
        mean_hinge(X[rows], signs[rows], attack.coef_, attack.intercept_)
        for attack in (aimed, blunt)
    ]
    assert losses[0] > losses[1]


def test_only_the_hinge_loss_is_attacked(data):
    with pytest.raises(ValueError, match="supports learners with the hinge loss"):
        KKTAttack(estimator=LogisticRegression()).fit(*data[:2])


@pytest.mark.parametrize(
    ("decoys", "why"),
    [
        (np.zeros(4), "must have the shape"),
        (np.zeros((2, 3)), "must have the shape"),
        (np.full((1, 4), np.nan), "must not contain NaN or infinity"),
    ],
)
def test_bad_decoys_are_refused(decoys, why, data):
    with pytest.raises(ValueError, match=why):
        KKTAttack(decoys=decoys).fit(*data[:2])


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    y = rng.choice([0, 1], 200)
    X = rng.poisson(rng.gamma(0.5, 1.0, (2, 12))[y]).astype(float)
    X[X.sum(axis=1) == 0, 0] = 1.0
    return X, y


@pytest.mark.parametrize("estimator", [SVC, LinearSVC(loss="hinge", C=0.05)])
def test_mixed_rows_that_are_not_negative_leave_the_least(estimator, counts):
    X, y = counts
    signs = 2.0 * y - 1.0
    fitted = clone(FILTER).fit(X, signs)
    sets = [fitted.feasible_set()[sign] for sign in (-1.0, 1.0)]
    learner = learner_of(estimator, "this test")
    for seed in range(3):
        theta = np.random.default_rng(seed).normal(size=13)
        theta *= 0.7 / np.linalg.norm(theta)
        decoy = Decoy(theta, Rows(X, signs), learner)
        program = MixedRows([RestrictedSet(r, "nonnegative") for r in sets], 0.2)
        masses, points, labels = program.solve(decoy)
        left = np.linalg.norm(decoy.residual(points, labels, masses))
        least = conic_residual(decoy, sets, 0.2, nonnegative=True)
        assert least - 1e-6 <= left <= 1.03 * least + 1e-3


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("domain", ["nonnegative", "count", "binary", "tfidf"])
def test_rows_of_a_domain(domain, container, counts):
    X, y = counts
    X = np.minimum(X, 1) if domain == "binary" else X
    if domain == "tfidf":
        X = X / np.linalg.norm(X, axis=1, keepdims=True)
    flips = LabelFlipAttack(0.2, random_state=0).fit_resample(X, y)
    poisoned = NormConstrainedSVC(rho=1.0, tol=1e-4).fit(*flips)
    decoys = np.append(poisoned.coef_, poisoned.intercept_)[np.newaxis]
    attack = KKTAttack(
        0.1, filter=FILTER, estimator=SVC, domain=domain, decoys=decoys, random_state=0
    )
    rows, labels = attack.fit(container(X), y).poison(container(X), y)
    assert (attack.filter_.predict(rows, labels) == 1).all()
    rows = rows.toarray() if sparse.issparse(rows) else rows
    assert Domain(domain).contains(rows).all()
    assert 0 < len(rows) <= 20
    assert attack.n_copies_.sum() == len(rows)
    clean = NormConstrainedSVC(rho=1.0, tol=1e-4).fit(X, y)
    harm = mean_hinge(X, 2 * y - 1, attack.coef_, attack.intercept_)
    assert harm > mean_hinge(X, 2 * y - 1, clean.coef_, clean.intercept_)


def test_mixed_whole_rows_come_nearer_than_one_row_of_each_class(counts):
    """Twenty rows of whole counts balance a pull better than two distinct ones."""
    X, y = counts
    signs = 2.0 * y - 1.0
    fitted = clone(FILTER).fit(X, signs)
    feasible = restrict(fitted.feasible_set(), "count")
    sets = [feasible[sign] for sign in (-1.0, 1.0)]
    flips = LabelFlipAttack(0.2, random_state=0)
    poisoned = NormConstrainedSVC(rho=1.0, tol=1e-6).fit(*flips.fit_resample(X, y))
    theta = np.append(poisoned.coef_, poisoned.intercept_)
    decoy = Decoy(theta, Rows(X, signs), learner_of(SVC, "this test"))
    masses, points, labels = MixedRows(sets, 0.2).solve(decoy)
    left = decoy.residual(points, labels, masses)
    alone = [
        np.linalg.norm(decoy.residual(points[[i, j]], labels[[i, j]], np.array(pair)))
        for i in np.flatnonzero(labels == 0)
        for j in np.flatnonzero(labels == 1)
        for pair in ([0.1, 0.1], [0.2, 0.0], [0.0, 0.2], [0.05, 0.15], [0.15, 0.05])
    ]
    assert len(labels) > 2
    assert np.linalg.norm(left) < min(alone)
