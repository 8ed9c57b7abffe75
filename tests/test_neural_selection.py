"""Medoids in torch are those of the coreset package, ties included."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

from skpoison.coreset import facility_location  # noqa: E402
from skpoison.neural import _selection  # noqa: E402
from skpoison.neural._selection import batches, select_medoids  # noqa: E402

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(
                not torch.cuda.is_available(), reason="needs a CUDA device"
            ),
        ],
    ),
]
each_device = pytest.mark.parametrize("device", DEVICES)
# Classes of very different sizes, one of a single row.
SHARES = [0.6, 0.3, 0.08, 0.02]


def rows(kind, n_rows, n_features=10, seed=0):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n_rows, n_features))
    logits[:, 0] += 4
    if kind == "wide":
        return (5 * logits).astype(np.float32)
    X = np.exp(logits - logits.max(axis=1, keepdims=True))
    X /= X.sum(axis=1, keepdims=True)
    X[:, 0] -= 1
    if kind == "duplicates":
        X = X[rng.integers(0, n_rows // 6 + 1, n_rows)]
    if kind == "equal":
        X[:] = X[0]
    return X.astype(np.float32)


def labels_of(n_rows):
    counts = np.maximum(1, np.array(SHARES) * n_rows).astype(int)
    labels = np.repeat([5, 2, 9, 0], counts)
    return np.random.default_rng(1).permutation(np.resize(labels, n_rows))


def assert_same(X, labels, fraction, device, similarity="exp", order="canonical"):
    expected = facility_location(
        X, fraction, labels=labels, similarity=similarity, order=order, backend="numpy"
    )
    proxies = torch.from_numpy(X).to(device)
    found = select_medoids(proxies, labels, fraction, similarity, order, "torch")
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
        assert found[name].dtype == expected[name].dtype


@pytest.fixture(params=["all at once", "small blocks", "not stored", "one by one"])
def room(request, monkeypatch):
    """How much memory there is."""
    stored, block = {
        "all at once": (2**30, 2**22),
        "small blocks": (2**30, 4000),
        "not stored": (0, 4000),
        "one by one": (4 * 90**2, 2**22),
    }[request.param]
    monkeypatch.setattr(_selection, "STORED_BYTES", stored)
    monkeypatch.setattr(_selection, "BLOCK", block)


@each_device
@pytest.mark.parametrize("similarity", ["exp", "linear"])
@pytest.mark.parametrize("kind", ["proxies", "duplicates", "equal", "wide"])
def test_same_medoids_as_on_the_cpu(room, kind, similarity, device):
    for n_rows, n_features in [(4, 3), (150, 2), (150, 10)]:
        X = rows(kind, n_rows, n_features)
        for fraction in (0.02, 0.3, 1.0):
            assert_same(X, labels_of(n_rows), fraction, device, similarity)


@each_device
@pytest.mark.parametrize("kind", ["proxies", "duplicates"])
def test_same_medoids_in_lazy_order(room, kind, device):
    for n_rows in (4, 120):
        X = rows(kind, n_rows)
        for fraction in (0.1, 1.0):
            assert_same(X, labels_of(n_rows), fraction, device, order="lazy")


@each_device
def test_roots_are_right_to_the_last_bit(device):
    # A root that is off by one bit shifts a dissimilarity now and then: many of them.
    for seed in range(2):
        X = rows("wide", 500, 2, seed) / 10
        assert_same(X, np.zeros(500, dtype=int), 0.2, device)


def test_single_class_and_single_row():
    for n_rows in (1, 2):
        assert_same(rows("proxies", n_rows), np.zeros(n_rows, dtype=int), 0.5, "cpu")


@each_device
def test_memory_is_bounded_by_the_batches(monkeypatch, device):
    monkeypatch.setattr(_selection, "STORED_BYTES", 4 * 300 * 100**2)
    monkeypatch.setattr(_selection, "BLOCK", 2**16)
    counts = np.array([400, 100, 90, 5000, *[100] * 500, 3])
    found = list(batches(counts, 10))
    assert sorted(np.concatenate(found)) == list(range(len(counts)))
    assert [len(classes) for classes in found] == [1, 18, 300, 186]
    for classes in found[1:]:
        assert 4 * len(classes) * counts[classes].max() ** 2 <= _selection.STORED_BYTES
    stored = []
    monkeypatch.setattr(
        _selection.ClassBatch,
        "_all_dissimilarities",
        lambda batch: stored.append(len(batch)),
    )
    proxies = torch.from_numpy(rows("proxies", 350)).to(device)
    monkeypatch.setattr(_selection, "STORED_BYTES", 4 * 300**2)
    _selection.ClassBatch(proxies, [np.arange(300)], "exp")
    assert stored == [1]
    _selection.ClassBatch(proxies, [np.arange(301)], "exp")
    assert stored == [1]


def test_blocks_hold_no_more_than_they_may(monkeypatch):
    monkeypatch.setattr(_selection, "STORED_BYTES", 0)
    monkeypatch.setattr(_selection, "BLOCK", 5000)
    largest = []
    computed = _selection.ClassBatch._computed

    def watched(batch, places):
        found = computed(batch, places)
        largest.append(found.numel())
        return found

    monkeypatch.setattr(_selection.ClassBatch, "_computed", watched)
    assert_same(rows("proxies", 230), labels_of(230), 0.1, "cpu")
    assert max(largest) <= 5000


def test_automatic_choice(monkeypatch):
    asked = []
    monkeypatch.setattr(
        _selection, "facility_location", lambda *_, backend, **__: asked.append(backend)
    )
    X, labels = torch.from_numpy(rows("proxies", 30)), np.zeros(30, dtype=int)
    select_medoids(X, labels, 0.1, "exp", "canonical", "auto")
    select_medoids(X, labels, 0.1, "exp", "canonical", "numpy")
    assert asked == ["auto", "numpy"]
    select_medoids(X, labels, 0.1, "exp", "canonical", "torch")
    assert len(asked) == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_automatic_choice_on_a_cuda_device(monkeypatch):
    monkeypatch.setattr(_selection, "facility_location", None)
    X = torch.from_numpy(rows("proxies", 2000)).cuda()
    found = select_medoids(X, labels_of(2000), 0.1, "exp", "canonical", "auto")
    assert isinstance(found.indices, np.ndarray)
