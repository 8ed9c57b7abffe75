"""Activation clustering: which class is split, and what is rejected of it."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from skpoison.filters import ActivationClusteringFilter
from skpoison.filters._clusters import _silhouette


@pytest.fixture
def trigger():
    """Two classes of 80 rows; the first 16 of the first class lie elsewhere."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(160, 12)) * np.linspace(2, 1, 12)
    X[:16] += 3
    return X, np.repeat(["a", "b"], 80)


def test_a_small_cluster_is_rejected_and_nothing_else_of_its_class(trigger):
    X, y = trigger
    clusters = ActivationClusteringFilter(random_state=0).fit(X, y)
    assert clusters.suspected_[0]
    assert clusters.fractions_[0] == 16 / 80
    np.testing.assert_array_equal(
        np.flatnonzero(~clusters.inlier_mask_[:80]), range(16)
    )


def test_decisions_are_the_clusters_of_k_means(trigger):
    X, y = trigger
    clusters = ActivationClusteringFilter(3, max_fraction=0.5, random_state=0)
    clusters.fit(X, y)
    reduced = PCA(3, svd_solver="full").fit_transform(X[:80])
    found = KMeans(2, n_init=10, random_state=1).fit(reduced).labels_
    small = found == np.bincount(found).argmin()
    np.testing.assert_array_equal(~clusters.inlier_mask_[:80], small)
    assert 0 < np.sum(~clusters.inlier_mask_[80:]) <= 40


@pytest.mark.parametrize("reduction", ["pca", "ica"])
def test_clusters_that_are_apart_are_told_from_halves_of_one(trigger, reduction):
    X, y = trigger
    clusters = ActivationClusteringFilter(
        4, reduction=reduction, criterion="silhouette", min_silhouette=0.25,
        random_state=0,
    ).fit(X, y)  # fmt: skip
    assert clusters.suspected_.tolist() == [True, False]
    assert clusters.silhouettes_[0] > 0.25 > clusters.silhouettes_[1]
    np.testing.assert_array_equal(np.flatnonzero(~clusters.inlier_mask_), range(16))


def test_a_large_cluster_is_not_suspect_for_being_apart():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 12))
    X[:36, 0] += 12  # 0.45 of the first class
    X[80:96, 0] += 12  # 0.2 of the second one
    clusters = ActivationClusteringFilter(criterion="silhouette", random_state=0)
    clusters.fit(X, np.repeat(["a", "b"], 80))
    assert (clusters.silhouettes_ > 0.3).all()
    assert clusters.suspected_.tolist() == [False, True]
    np.testing.assert_array_equal(np.flatnonzero(~clusters.inlier_mask_), range(80, 96))
    clusters.set_params(max_fraction=0.5).fit(X, np.repeat(["a", "b"], 80))
    assert clusters.suspected_.all()


@pytest.mark.parametrize("sizes", [(40, 60), (2, 7000), (3000, 5000)])
def test_silhouettes_of_many_rows_are_nearly_those_of_all(sizes):
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat([0, 1], sizes)).astype(np.int32)
    reduced = rng.normal(size=(len(labels), 3)) + 2.0 * labels[:, np.newaxis]
    exact = silhouette_score(reduced, labels)
    found = _silhouette(reduced, labels)
    assert found == pytest.approx(exact, abs=1e-12 if sum(sizes) <= 2500 else 0.01)


def test_the_silhouette_suspects_no_class_that_size_spares():
    X, y = load_digits(return_X_y=True)
    by_size, by_both = (
        ActivationClusteringFilter(criterion=criterion, random_state=0).fit(X, y)
        for criterion in ("size", "silhouette")
    )
    assert by_both.suspected_.sum() <= by_size.suspected_.sum() < 5
    assert not np.any(by_both.suspected_ & ~by_size.suspected_)


def test_of_a_class_without_suspicion_new_rows_are_kept_wherever_they_lie(trigger):
    X, y = trigger
    clusters = ActivationClusteringFilter(
        criterion="silhouette", min_silhouette=0.15, random_state=0
    ).fit(X, y)
    assert clusters.suspected_.tolist() == [True, False]
    far = np.full((1, 12), 100.0)
    assert clusters.predict(far, ["b"]) == 1
    assert clusters.predict(far, ["a"]) == -1
    assert clusters.offset_.tolist() == [0.0, -np.inf]


@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_classes_that_cannot_be_split_keep_all(n_rows):
    X = np.ones((n_rows + 20, 3))
    X[n_rows:] = np.random.default_rng(0).normal(size=(20, 3))
    y = np.r_[np.zeros(n_rows), np.ones(20)]
    clusters = ActivationClusteringFilter(max_fraction=0.5, random_state=0).fit(X, y)
    assert clusters.fractions_[0] == clusters.silhouettes_[0] == 0
    assert not clusters.suspected_[0]
    assert clusters.inlier_mask_[:n_rows].all()
    assert np.isfinite(clusters.score_samples(X, y)).all()


@pytest.mark.parametrize(
    "params", [{"n_components": 0}, {"max_fraction": 0.6}, {"reduction": "tsne"}]
)
def test_bad_parameters_are_refused(trigger, params):
    with pytest.raises(ValueError, match=next(iter(params))):
        ActivationClusteringFilter(**params).fit(*trigger)
