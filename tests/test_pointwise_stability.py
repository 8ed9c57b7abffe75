"""Radii from strong convexity: no attack that was tried gets within them."""

from itertools import combinations

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.svm import LinearSVC

from skpoison import (
    FilteredClassifier,
    NormConstrainedSVC,
    SphereFilter,
    certified_radius,
)
from skpoison.pointwise._learner import learner_of
from skpoison.pointwise._moves import Metric, Moves, Slopes
from skpoison.pointwise._radius import TrainingRows
from skpoison.pointwise._stability import _insertions, _signed, _Stability


def descent(loss, alpha=2.0):
    return SGDClassifier(
        loss, alpha=alpha, fit_intercept=False, max_iter=300, tol=None, random_state=0
    )


LEARNERS = {
    "logistic": LogisticRegression(C=0.003, solver="liblinear", tol=1e-10),
    "no intercept": LogisticRegression(C=0.003, fit_intercept=False, tol=1e-10),
    "hinge": LinearSVC(loss="hinge", C=0.003, tol=1e-10, max_iter=10**6),
    "squared hinge": LinearSVC(C=0.001, tol=1e-10, max_iter=10**6),
    "ball": NormConstrainedSVC(rho=0.3, tol=1e-9),
    "descent": descent("log_loss"),
}


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs(
        240, centers=[[-2, 0, 1], [2, 1, 0]], cluster_std=1.2, random_state=0
    )
    y = np.array(["ham", "spam"])[y]
    return X[:200], y[:200], X[200:], SphereFilter(100).fit(X[:200], y[:200])


def certify(learner, data, attack, container=np.asarray):
    X, y, X_test, limits = data
    fitted = clone(learner).fit(container(X), y)
    radii = certified_radius(
        fitted,
        container(X_test),
        attack=attack,
        X_train=container(X),
        y_train=y,
        filter=limits,
    )
    return fitted, radii


def worst_rows(X, y, row, limits, label, size, attack):
    """Rows that pull most towards a label: inserted, deleted or relabelled."""
    if attack == "flip":
        others = np.flatnonzero(y != label)
        chosen = others[np.argsort(-(X[others] @ row))[:size]]
        new = y.copy()
        new[chosen] = label
        return X, new
    region = limits.feasible_set()[label]
    point = region.center + (1 - 1e-12) * (region.support(row)[1] - region.center)
    points = np.repeat(point[None], size, axis=0)
    return np.vstack([X, points]), np.append(y, np.repeat(label, size))


@pytest.mark.parametrize("attack", ["insert_delete", "flip"])
@pytest.mark.parametrize("name", LEARNERS)
def test_the_rows_that_pull_most_do_not_change_a_certified_prediction(
    name, attack, data
):
    X, y, X_test, limits = data
    fitted, radii = certify(LEARNERS[name], data, attack)
    assert np.median(radii) >= 8
    before = fitted.predict(X_test)
    needed = []
    for i in np.argsort(radii)[::6]:
        wrong = "ham" if before[i] == "spam" else "spam"
        for size in (radii[i], 2 * radii[i] + 2, 6 * radii[i] + 6):
            attacked = worst_rows(X, y, X_test[i], limits, wrong, size, attack)
            if len(set(attacked[1])) < 2:
                break
            after = clone(fitted).fit(*attacked).predict(X_test[i : i + 1])[0]
            assert size > radii[i] or after == before[i]
            if after != before[i]:
                needed.append(size)
                break
    assert needed  # the attacks are no straw men


def test_the_bound_on_the_move_holds_where_rows_are_deleted_too(data):
    X, y, X_test, _ = data
    for name in ("logistic", "hinge"):
        fitted, radii = certify(LEARNERS[name], data, "insert_delete")
        i = np.argsort(radii)[3]
        before = fitted.predict(X_test[i : i + 1])[0]
        own = np.flatnonzero(y == before)
        gone = own[np.argsort(-(X[own] @ X_test[i]))[: radii[i]]]
        kept = np.delete(np.arange(len(y)), gone)
        after = clone(fitted).fit(X[kept], y[kept])
        assert after.predict(X_test[i : i + 1])[0] == before


def test_gradients_of_rows_that_can_come_are_those_of_their_labels():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)) + np.repeat([[4.0, 1, 0], [0, 0, 0]], 30, axis=0)
    y = np.repeat([0, 1], 30)
    limits = SphereFilter(50).fit(X, y)
    sets = _insertions(LinearSVC(loss="hinge").fit(X, y), limits)
    moves = Moves(np.zeros((1, 4)), sets, has_intercept=True)
    directions = rng.normal(size=(4, 7))
    closed = [
        sign * (center @ directions[:3] + directions[3])
        + radius * np.linalg.norm(directions[:3], axis=0)
        for sign, center, radius in zip(
            (-1, 1), limits.centroids_, limits.radii_, strict=True
        )
    ]
    slopes, metric = Slopes(np.ones(1), [1.0, 1.0]), Metric(excess=0.0)
    found = moves.worst(slopes, metric, *metric.directions(directions.T))
    np.testing.assert_allclose(found, np.maximum(np.max(closed, axis=0), 0))
    least = moves.least_margins(-directions[:, 0])
    np.testing.assert_allclose(least, -np.array(closed)[:, 0])


def test_direction_and_length_are_bounded_together():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 3)) + np.repeat([[4.0, 1, 0], [0, 2, 0]], 30, axis=0)
    y = np.repeat([0, 1], 30)
    limits = SphereFilter(50).fit(X, y)
    sets = _insertions(LinearSVC(loss="hinge").fit(X, y), limits)
    moves = Moves(np.zeros((1, 4)), sets, has_intercept=True)
    K = X.T @ X / 60
    K = np.pad(K, (0, 1)) + np.eye(4)
    towards, slopes = rng.normal(size=(6, 4)), Slopes(np.zeros(1), [0.7, 0.0])
    around = rng.normal(size=(20_000, 3))
    around /= np.linalg.norm(around, axis=1, keepdims=True)
    for metric, most in ((Metric(), 1.02), (Metric(K, 0.5 * K), 2.0)):
        found = moves.worst(slopes, metric, *metric.directions(towards))
        rows = np.pad(
            limits.centroids_[0] + limits.radii_[0] * around, ((0, 0), (0, 1))
        )
        rows[:, 3] = 1.0
        lengths = np.linalg.norm(towards, axis=1)
        if metric.root is not None:
            lengths = metric.lengths(towards)
        values = -metric.along * (rows @ metric.solve(towards.T))
        values += metric.across * metric.lengths(rows)[:, None] * lengths
        best = 0.7 * np.maximum(values.max(axis=0), 0.0)
        assert np.all(best <= found * (1 + 1e-9))
        assert np.all(found <= most * best)


def test_a_metric_s_excess_is_the_largest_ratio():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 9, 6))
    metric = Metric(A.T @ A, B.T @ B)
    largest = np.linalg.eigvals(np.linalg.solve(A.T @ A, B.T @ B)).real.max()
    excess = 1.0 / (metric.along - metric.across) - 1.0
    assert largest <= excess <= 1.3 * largest


def shifts_of(learner, data, size, attack, seed):
    """Scores' shifts after some attack, and what no attack can exceed."""
    X, y, X_test, limits = data
    fitted = clone(learner).fit(X, y)
    known, train = learner_of(fitted, TrainingRows(X, y, limits))
    signed = _signed(known.augmented(train.X), train.signs)
    sets = [] if attack == "flip" else _insertions(fitted, limits)
    moves = Moves(-signed, sets, known.has_intercept, attack == "change")
    stability = _Stability.of(known, moves, attack == "flip")
    rng = np.random.default_rng(seed)
    n_gone = size if attack == "change" else rng.integers(0, size + 1)
    n_new = size if attack == "change" else size - n_gone
    gone = rng.permutation(len(y))[:n_gone]
    wrong = rng.choice(fitted.classes_)
    if attack == "flip":
        gone = np.flatnonzero(y != wrong)
        gone = gone[np.argsort(X[gone] @ X_test[seed])[:size]]
        X_new, y_new = X, y.copy()
        y_new[gone] = wrong
    else:
        others = np.flatnonzero(y != wrong)
        if seed % 2:  # those that pull most the other way
            gone = others[np.argsort(-(X[others] @ X_test[seed]))[:n_gone]]
        X_new, y_new = worst_rows(X, y, X_test[seed], limits, wrong, n_new, attack)
        X_new, y_new = np.delete(X_new, gone, axis=0), np.delete(y_new, gone)
    after = clone(learner).fit(X_new, y_new)
    moved = after.decision_function(X_test) - fitted.decision_function(X_test)
    tests = known.augmented(X_test)
    slack = 2.0 * known.distance * np.linalg.norm(tests, axis=1)
    for sign in (-1.0, 1.0):
        bounds = [stability.shift(stability.slopes(0.0), Metric(), sign * tests)]
        bounds[0] = bounds[0] * size / stability.ridge(size)
        if known.is_smooth:
            metric, slopes = stability.on_the_way(size)
            bounds.append(size * stability.shift(slopes, metric, sign * tests))
        elif not known.in_ball:
            slopes = stability.slopes(stability.moved(size))
            shift = stability.shift(slopes, Metric(excess=0.0), sign * tests)
            crossings = stability.crossings(size, sign * tests)
            bounds.append((size * shift + crossings) / stability.ridge(size))
        for bound in bounds:
            yield sign * moved - slack, bound


@pytest.mark.parametrize("attack", ["insert_delete", "change", "flip"])
@pytest.mark.parametrize("name", LEARNERS)
def test_no_attack_shifts_a_score_farther_than_is_proved(name, attack, data):
    nearest = 0.0
    for seed, size in enumerate((1, 4, 12, 20)):
        for moved, bound in shifts_of(LEARNERS[name], data, size, attack, seed):
            assert np.all(moved <= bound * (1.0 + 1e-6))
            nearest = max(nearest, np.max(moved / bound))
    assert nearest > 0.2


def test_hinges_that_open_shift_scores_that_no_flipped_row_does():
    """Flips move the first weight; 40 rows then open, which pull on the second."""
    z = np.vstack(
        [
            np.tile([3.0, 0.0, 0.0], (20, 1)),
            np.tile([0.0, 0.0, 1.0], (200, 1)),
            np.tile([1.0, 0.1, 0.951], (40, 1)),
        ]
    )
    y = np.where(np.arange(260) % 2, 1, -1)
    X = z * y[:, None]
    learner = LinearSVC(
        loss="hinge", C=0.004, fit_intercept=False, tol=1e-10, max_iter=10**6
    ).fit(X, y)
    known, _ = learner_of(learner, TrainingRows(X, y, None))
    stability = _Stability.of(known, Moves(-z, [], False), True)
    towards = np.array([[0.0, 1.0, 0.0]])
    size, flipped = 5, y.copy()
    flipped[:size] *= -1
    moved = clone(learner).fit(X, flipped).coef_[0, 1] - learner.coef_[0, 1]
    slopes = stability.slopes(stability.moved(size))
    shift = stability.shift(slopes, Metric(excess=0.0), towards)[0]
    assert size * shift + 2.0 * known.distance < moved
    assert moved <= size * shift + stability.crossings(size, towards)[0]


def test_tightening_only_raises_radii(data, monkeypatch):
    _, radii = certify(LEARNERS["logistic"], data, "insert_delete")
    C, limits = LEARNERS["logistic"].C, data[3]
    longest = max(
        np.hypot(np.linalg.norm(region.center), 1) + region.radius
        for _, region in limits.feasible_set()
    )
    fitted = clone(LEARNERS["logistic"]).fit(*data[:2])
    lengths = np.sqrt((data[2] ** 2).sum(axis=1) + 1)
    norms_alone = np.abs(fitted.decision_function(data[2])) / (C * longest * lengths)
    assert np.all(radii >= np.floor(norms_alone - 1e-6) - 1)
    assert np.median(radii) > 1.2 * np.median(norms_alone)


def test_sparse_rows_have_the_radii_of_dense_ones(data):
    learner = LEARNERS["logistic"]
    _, dense = certify(learner, data, "insert_delete")
    _, rows = certify(learner, data, "insert_delete", sparse.csr_matrix)
    np.testing.assert_array_equal(dense, rows)


@pytest.mark.parametrize("name", ["logistic", "hinge", "ball", "descent"])
def test_a_change_costs_no_more_than_a_deletion_and_an_insertion(name, data):
    _, moves = certify(LEARNERS[name], data, "insert_delete")
    _, changes = certify(LEARNERS[name], data, "change")
    assert np.all(changes >= moves // 2)
    assert np.all(changes <= moves) or name == "descent"
    assert np.any(changes > moves // 2)


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (LogisticRegression(), "must penalize its intercept"),
        (SGDClassifier(), "fit_intercept=False, with a column of ones"),
        (LinearSVC(intercept_scaling=2.0), "intercept_scaling=1; got 2"),
        (NormConstrainedSVC(rho=100.0), "Take a smaller rho"),
        (
            LogisticRegression(solver="liblinear", class_weight="balanced"),
            "class_weight=None",
        ),
        (LogisticRegression(fit_intercept=False, max_iter=1), "has converged"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_learners_that_are_not_covered_are_refused(learner, message, data):
    with pytest.raises(ValueError, match=message):
        certify(learner, data, "insert_delete")


def test_insertions_need_a_bounded_filter(data):
    with pytest.raises(ValueError, match="filter is needed"):
        certify(LEARNERS["logistic"], (*data[:3], None), "insert_delete")
    _, radii = certify(LEARNERS["logistic"], (*data[:3], None), "flip")
    assert radii.max() > 0


def test_three_classes_are_refused(data):
    X, y = data[:2]
    fitted = LinearSVC(loss="hinge", C=0.01).fit(X, np.arange(200) % 3)
    with pytest.raises(ValueError, match="certified for two classes; it has 3"):
        certified_radius(fitted, X, attack="flip", X_train=X, y_train=y)


def test_a_fixed_filter_in_front_is_the_filter_of_the_certificate(data):
    X, y, X_test, limits = data
    known = {
        "centroids": dict(zip(limits.classes_, limits.centroids_, strict=True)),
        "radii": dict(zip(limits.classes_, 0.8 * limits.radii_, strict=True)),
    }
    learner = LEARNERS["logistic"]
    model = FilteredClassifier(SphereFilter(**known), learner).fit(X, y)
    kept = model.inlier_mask_
    assert 100 < kept.sum() < 200
    rows = {"attack": "insert_delete", "X_train": X, "y_train": y}
    radii = certified_radius(model, X_test, **rows)
    inside = SphereFilter(**known).fit(X, y)
    alone = certify(learner, (X[kept], y[kept], X_test, inside), "insert_delete")[1]
    np.testing.assert_array_equal(radii, alone)
    before = model.predict(X_test)
    for i in np.argsort(radii)[::8]:
        wrong = "ham" if before[i] == "spam" else "spam"
        far = np.repeat(9.0 * X_test[[i]], 50, axis=0)  # rejected, however many
        X_new, y_new = worst_rows(
            X, y, X_test[i], inside, wrong, radii[i], "insert_delete"
        )
        X_new, y_new = np.vstack([X_new, far]), np.append(y_new, np.full(50, wrong))
        after = clone(model).fit(X_new, y_new)
        assert after.inlier_mask_[200:].sum() == radii[i]
        assert after.predict(X_test[[i]])[0] == before[i]
    with pytest.raises(ValueError, match="filter must be fixed"):
        moved = FilteredClassifier(SphereFilter(), learner).fit(X, y)
        certified_radius(moved, X_test, **rows)
    with pytest.raises(ValueError, match="not covered after a filter"):
        certified_radius(model, X_test, **{**rows, "attack": "flip"})


TINY = LEARNERS | {
    "logistic": LogisticRegression(C=0.02, solver="liblinear", tol=1e-10),
    "hinge": LinearSVC(loss="hinge", C=0.02, tol=1e-10, max_iter=10**6),
    "squared hinge": LinearSVC(C=0.01, tol=1e-10, max_iter=10**6),
    "descent": clone(LEARNERS["descent"]).set_params(max_iter=100, alpha=6.0),
}


@pytest.mark.parametrize("attack", ["insert_delete", "flip"])
@pytest.mark.parametrize("name", TINY)
def test_no_set_of_few_rows_changes_a_certified_prediction(name, attack):
    X, y = make_blobs(24, centers=[[-2, 0], [2, 1]], random_state=2)
    X_test, X, y = X[8:], X[:8], y[:8]
    limits = SphereFilter(100).fit(X, y)
    _, radii = certify(TINY[name], (X, y, X_test, limits), attack)
    assert np.any(radii == 1) or np.any(radii == 2)
    fitted = clone(TINY[name]).fit(X, y)
    before, changed = fitted.predict(X_test), np.full(len(X_test), 99)
    for size in (2, 1):
        for places in combinations(range(8), size):
            X_new, y_new = np.delete(X, places, axis=0), np.delete(y, places)
            if attack == "flip":
                X_new, y_new = X, y.copy()
                y_new[list(places)] = 1 - y_new[list(places)]
            after = clone(TINY[name]).fit(X_new, y_new).predict(X_test)
            changed[after != before] = size
    assert np.all(radii < changed)
