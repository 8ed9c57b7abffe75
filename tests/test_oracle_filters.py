"""Rows that the oracle emits pass the filters, which compute in their own way."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.svm import LinearSVC

from skpoison import NormConstrainedSVC, SlabFilter, SphereFilter
from skpoison.feasible import Domain, restrict

KINDS = ("real", "nonnegative", "count", "binary")


def labelled_counts(seed, n_rows=120, n_features=60):
    rng = np.random.default_rng(seed)
    y = rng.choice([-1, 1], n_rows)
    rates = rng.gamma(0.3, 1.0, (2, n_features))
    return rng.poisson(rates[(y > 0).astype(int)]), y


def check_rows(both, X, y, domain, a):
    """Support and projections of both classes, as dense and as sparse rows."""
    emitted = []
    for label, rows in restrict(both.feasible_set(), domain):
        value, point = rows.support(-label * a)
        assert -label * (a @ point) <= value
        clean = X[y == label]
        clean = clean[rows.contains(clean)]
        if clean.shape[0]:  # clean rows that pass are below the bound
            assert value >= np.max(clean @ (-label * a))
        moved = rows.project(np.vstack([point + 1.5, point * 3.0]))
        emitted.append((label, np.vstack([point, moved])))
    for label, points in emitted:
        labels = np.full(len(points), label)
        assert Domain(domain).contains(points).all()
        for container in (np.asarray, sparse.csr_matrix):
            assert (both.decision_function(container(points), labels) >= 0).all()


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_rows_pass_the_filters(seed, kind, container):
    X, y = labelled_counts(seed)
    X = container((X > 0) if kind == "binary" else X).astype(np.float64)
    both = (SphereFilter(percentile=80) & SlabFilter(percentile=80)).fit(X, y)
    a = LinearSVC(random_state=0).fit(X, y).coef_.ravel()
    check_rows(both, X, y, kind, a)


@pytest.mark.parametrize("seed", range(3))
def test_unit_rows_pass_the_filters(seed):
    X, y = labelled_counts(seed)
    X = X / np.linalg.norm(X, axis=1)[:, np.newaxis]
    both = (SphereFilter(percentile=80) & SlabFilter(percentile=80)).fit(X, y)
    a = LinearSVC(random_state=0).fit(X, y).coef_.ravel()
    check_rows(both, X, y, "tfidf", a)


def test_spam(data_folder):
    """10,372 word counts, filters at 70, at the weights of a trained classifier."""
    stored = np.load(data_folder / "spam_assassin_bow.npz")
    parts = (stored["train_data"], stored["train_indices"], stored["train_indptr"])
    X = sparse.csr_matrix(parts, shape=stored["train_shape"]).astype(np.float64)
    y = stored["y_train"]
    both = (SphereFilter(percentile=70) & SlabFilter(percentile=70)).fit(X, y)
    w = NormConstrainedSVC(rho=6**0.5).fit(X, y).coef_.ravel()
    for label, rows in restrict(both.feasible_set(), "count"):
        root = rows.solve(-label * w)
        better = rows.solve(-label * w, gap_tol=5e-4, start=root.multipliers)
        for solution, gap in ((root, 2e-3), (better, 5e-4)):
            reached = -label * (w @ solution.point)
            assert 0 <= solution.value - reached <= gap * solution.value
            point = sparse.csr_matrix(solution.point[np.newaxis])
            assert both.decision_function(point, [label]) >= 0
            np.testing.assert_array_equal(point.data, np.rint(point.data))
        assert better.value <= root.value
        kept = X[(y == label) & (both.predict(X, y) == 1)]
        assert better.value >= np.max(kept @ (-label * w))
    for label, rows in restrict(both.feasible_set(), "nonnegative"):
        value, point = rows.support(-label * w)
        assert 0 <= value - -label * (w @ point) <= 1e-10 * value
        assert both.decision_function(point[np.newaxis], [label]) >= 0
