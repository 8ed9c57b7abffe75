"""Radii from strong convexity: no attack that was tried gets within them."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skpoison import FilteredClassifier, SphereFilter, certified_radius
from skpoison.pointwise._stability import MarginChanges, _insertions

LEARNERS = {
    "logistic": LogisticRegression(C=0.003, solver="liblinear", tol=1e-10),
    "no intercept": LogisticRegression(C=0.003, fit_intercept=False, tol=1e-10),
    "hinge": LinearSVC(loss="hinge", C=0.003, tol=1e-10, max_iter=10**6),
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
    moves = MarginChanges(np.zeros((1, 4)), sets, has_intercept=True)
    directions = rng.normal(size=(4, 7))
    closed = [
        sign * (center @ directions[:3] + directions[3])
        + radius * np.linalg.norm(directions[:3], axis=0)
        for sign, center, radius in zip(
            (-1, 1), limits.centroids_, limits.radii_, strict=True
        )
    ]
    found = moves.most_along(directions)
    np.testing.assert_allclose(found, np.maximum(np.max(closed, axis=0), 0))
    theta = directions[:, 0]
    wrong = [moves.most_along(-theta[:, None])[0], 0.0]
    np.testing.assert_allclose(moves.most_wrong(theta), max(wrong))


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


def test_sparse_rows_and_changes(data):
    learner = LEARNERS["logistic"]
    _, dense = certify(learner, data, "insert_delete")
    _, rows = certify(learner, data, "insert_delete", sparse.csr_matrix)
    _, change = certify(learner, data, "change")
    np.testing.assert_array_equal(dense, rows)
    np.testing.assert_array_equal(dense // 2, change)


@pytest.mark.parametrize(
    ("learner", "message"),
    [
        (LogisticRegression(), "must penalize its intercept"),
        (LinearSVC(), "loss='hinge'; got loss='squared_hinge'"),
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
    with pytest.raises(ValueError, match="two classes only; it has 3"):
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
