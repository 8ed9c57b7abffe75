"""Medoids of classes in parts: near the exact ones, and counted on all rows."""

import itertools

import joblib
import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import SGDClassifier

from skpoison import EPICFilter
from skpoison._dask._cluster import ANY_PORT
from skpoison.coreset import (
    _parts,
    facility_location,
    gradient_facility_location,
    isolated_medoids,
)
from skpoison.coreset._numpy import Measure, quantize, squared_distances
from skpoison.coreset.backend import UNIT


def residuals(n_samples, n_classes=5, seed=0, dtype=np.float64):
    """Gradients of a model that has learned most of one class."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(n_samples, n_classes))
    logits[:, 0] += 3.0
    shares = np.exp(logits)
    shares /= shares.sum(axis=1, keepdims=True)
    shares[:, 0] -= 1.0
    return shares.astype(dtype)


def all_units(X):
    columns = np.ascontiguousarray(X.T)
    measure = Measure(False, False, X.dtype.type(1 / X.shape[1]), 1.0)
    everything = slice(0, len(X))
    return quantize(squared_distances(columns, everything, everything), measure)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_medoids", [1, 3, 60, 300])
@pytest.mark.parametrize("partitions", [2, 7])
def test_gains_and_assignment_are_those_on_all_rows(dtype, n_medoids, partitions):
    X = residuals(600, dtype=dtype)
    medoids = facility_location(X, n_medoids, partitions=partitions)
    units = all_units(X).astype(np.int64)[:, medoids.indices]
    lowest = np.minimum.accumulate(np.minimum(units, UNIT), axis=1)
    gains = -np.diff(lowest.sum(axis=0), prepend=len(X) * UNIT) / UNIT
    np.testing.assert_allclose(medoids.gains, gains, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(medoids.assignment, units.argmin(axis=1))
    assert len(np.unique(medoids.indices)) == n_medoids


@pytest.mark.parametrize("similarity", ["exp", "linear"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.3])
def test_value_is_near_that_of_exact_greedy(similarity, metric, fraction):
    X = residuals(1500)
    options = {"similarity": similarity, "metric": metric}
    exact = facility_location(X, fraction, **options).gains.sum()
    for partitions in (2, 5, 20):
        found = facility_location(X, fraction, partitions=partitions, **options)
        assert found.gains.sum() > 0.995 * exact


def test_loss_is_nearer_to_greedys_the_fewer_parts_there_are():
    X = residuals(1500)
    exact = facility_location(X, 0.1)
    lost = [
        1500 - facility_location(X, 0.1, partitions=partitions).gains.sum()
        for partitions in (2, 30)
    ]
    assert 1500 - exact.gains.sum() < lost[0] < lost[1]
    assert lost[0] < 1.05 * (1500 - exact.gains.sum())


def test_one_part_is_exact():
    X, labels = residuals(400), np.arange(400) % 3
    one = facility_location(X, 0.2, labels=labels, partitions=1)
    exact = facility_location(X, 0.2, labels=labels)
    for name in exact:
        np.testing.assert_array_equal(one[name], exact[name])


def test_large_classes_are_divided_and_others_are_not(monkeypatch):
    monkeypatch.setattr(_parts, "WHOLE_ROWS", 300)
    monkeypatch.setattr(_parts, "PART_ROWS", 150)
    assert _parts.numbers_of_parts("auto", np.array([300, 301, 450])).tolist() == [
        1,
        3,
        3,
    ]
    X, labels = residuals(700), np.repeat([0, 1], [200, 500])
    found = facility_location(X, 0.1, labels=labels, partitions="auto")
    exact = facility_location(X, 0.1, labels=labels)
    small, large = (slice(*ends) for ends in itertools.pairwise(exact.offsets))
    assert found.indices[small].tolist() == exact.indices[small].tolist()
    assert found.indices[large].tolist() != exact.indices[large].tolist()


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_backends_and_workers_agree(backend):
    if backend == "numba":
        pytest.importorskip("numba")
    X = residuals(500, dtype=np.float32)
    expected = facility_location(X, 0.2, partitions=4, backend="numpy")
    with joblib.parallel_config(backend="threading", n_jobs=2):
        found = facility_location(X, 0.2, partitions=4, backend=backend)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_parts_run_on_the_workers_of_a_dask_cluster():
    distributed = pytest.importorskip("distributed")
    X = residuals(500, dtype=np.float32)
    expected = facility_location(X, 0.2, partitions=4)
    with distributed.Client(n_workers=2, processes=False, **ANY_PORT) as client:
        with joblib.parallel_config(backend="dask"):
            found = facility_location(X, 0.2, partitions=4)
        assert any(
            "_pick" in str(key) for key, *_ in client.cluster.scheduler.transition_log
        )
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])


def test_equal_rows_and_more_medoids_than_distinct_rows():
    X = np.repeat(residuals(20), 10, axis=0)
    medoids = facility_location(X, 60, partitions=4)
    assert len(np.unique(medoids.indices)) == 60
    assert medoids.gains.sum() == pytest.approx(200)
    assert np.sum(medoids.cluster_sizes > 0) == 20
    alike = facility_location(np.zeros((50, 2)), 10, partitions=5, similarity="linear")
    assert alike.gains.tolist() == [0.0] * 10


def test_all_rows_are_medoids():
    medoids = facility_location(residuals(90), 1.0, partitions=5)
    assert sorted(medoids.indices) == list(range(90))
    assert np.all(medoids.cluster_sizes == 1)


def test_far_rows_are_isolated_in_parts_too():
    X = residuals(1200)
    X[[5, 600, 1100]] = [[9.0, 0, 0, 0, 0], [0, 9.0, 0, 0, 0], [0, 0, 9.0, 0, 0]]
    found = isolated_medoids(facility_location(X, 0.1, partitions=6))
    assert {5, 600, 1100} <= set(found)


@pytest.mark.parametrize("similarity", ["exp", "linear"])
def test_gradients_in_parts_dense_and_sparse(similarity):
    X = np.random.default_rng(1).normal(size=(300, 8)) * (np.arange(8) < 3)
    options = {"similarity": similarity, "partitions": 3}
    exact = gradient_facility_location(residuals(300), X, 0.2, similarity=similarity)
    dense = gradient_facility_location(residuals(300), X, 0.2, **options)
    rows = sparse.csr_array(X)
    found = gradient_facility_location(residuals(300), rows, 0.2, **options)
    assert dense.indices.tolist() == found.indices.tolist()
    assert 0.98 * exact.gains.sum() < dense.gains.sum() <= exact.gains.sum()


@pytest.mark.parametrize("gradient", ["logits", "parameters"])
def test_epic_divides_classes(gradient):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    y = (X[:, 0] + 0.3 * rng.normal(size=400) > 0).astype(int)
    options = {"gradient": gradient, "medoid_fraction": 0.1, "random_state": 0}
    estimator = SGDClassifier(loss="log_loss")
    exact = EPICFilter(estimator, partitions=None, **options).fit(X, y)
    auto = EPICFilter(estimator, **options).fit(X, y)
    divided = EPICFilter(estimator, partitions=40, **options).fit(X, y)
    np.testing.assert_array_equal(auto.dropped_at_, exact.dropped_at_)
    assert np.any(divided.dropped_at_ != exact.dropped_at_)
    assert (
        divided.history_[0].n_medoids.tolist() == exact.history_[0].n_medoids.tolist()
    )


@pytest.mark.parametrize("partitions", [0, -1, 2.5, "all"])
def test_bad_partitions_are_named(partitions):
    with pytest.raises(ValueError, match="partitions"):
        facility_location(np.eye(4), 2, partitions=partitions)
