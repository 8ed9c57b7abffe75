"""numpy and compiled code give the same results; the latter is optional."""

import builtins

import numpy as np
import pytest

from skpoison.coreset import _facility, _measure, _numpy, facility_location

numba = pytest.importorskip("numba")


def rows(kind, n_samples, dtype):
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(n_samples, 10))
    logits[:, 0] += 6
    if kind == "wide":
        return (5 * logits).astype(dtype)
    X = np.exp(logits - logits.max(axis=1, keepdims=True))
    X /= X.sum(axis=1, keepdims=True)
    X[:, 0] -= 1
    if kind == "duplicates":
        X = X[rng.integers(0, n_samples // 6 + 1, n_samples)]
    return X.astype(dtype)


def store_nothing(monkeypatch):
    monkeypatch.setattr(_facility, "STORED_BYTES", 0)


def assert_same(X, n_medoids, **options):
    one = facility_location(X, n_medoids, backend="numpy", **options)
    other = facility_location(X, n_medoids, backend="numba", **options)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["residuals", "duplicates", "wide"])
@pytest.mark.parametrize("order", ["canonical", "lazy"])
@pytest.mark.parametrize("stored", [True, False])
def test_backends_agree(dtype, kind, order, stored, monkeypatch):
    if not stored:
        store_nothing(monkeypatch)
    for n_samples in (1, 2, 63, 64, 65, 129, 700):
        X = rows(kind, n_samples, dtype)
        for share in (0.02, 0.3, 1.0):
            assert_same(X, share, order=order)


@pytest.mark.parametrize("similarity", ["exp", "linear"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("stored", [True, False])
def test_backends_agree_on_every_measure(similarity, metric, stored, monkeypatch):
    if not stored:
        store_nothing(monkeypatch)
    X = rows("wide", 500, np.float64)
    labels = np.random.default_rng(1).integers(0, 3, 500)
    assert_same(X, 0.2, labels=labels, similarity=similarity, metric=metric)


@pytest.mark.parametrize("order", ["canonical", "lazy"])
@pytest.mark.parametrize("kind", ["residuals", "duplicates", "wide"])
def test_compiled_code_agrees_where_rows_are_sorted_into_boxes(
    monkeypatch, kind, order
):
    from skpoison.coreset import _numba

    monkeypatch.setattr(_numba, "SORTED_FROM", 1)
    for n_samples in (1, 64, 65, 257, 700):  # 257: more than one tile
        for share in (0.02, 0.3, 1.0):
            assert_same(rows(kind, n_samples, np.float32), share, order=order)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("similarity", ["exp", "linear"])
@pytest.mark.parametrize(("dtype", "largest"), [(np.float32, 50), (np.float64, 300)])
def test_values_with_subnormal_squares_change_nothing(
    monkeypatch, dtype, largest, similarity, metric, backend
):
    logits = largest * np.random.default_rng(0).normal(size=(300, 4))
    X = np.exp(logits - logits.max(axis=1, keepdims=True))
    X[:, 0] -= 1
    X = X.astype(dtype)
    options = {"similarity": similarity, "metric": metric, "backend": backend}
    scaled = facility_location(X, 0.2, **options)
    monkeypatch.setattr(
        _measure, "_without_subnormal_squares", lambda *unchanged: unchanged
    )
    plain = facility_location(X, 0.2, **options)
    for name in plain:
        np.testing.assert_array_equal(scaled[name], plain[name], err_msg=name)


def test_rows_are_scaled_where_squares_are_subnormal():
    measure = _numpy.Measure(False, False, np.float32(0.5), 1.0)
    columns = np.array([[-1, 1e-20, 1e-38], [0.5, 0, 1e-45]], dtype=np.float32)
    scaled, by = _measure._without_subnormal_squares(columns, measure)
    power = measure.inverse / by.inverse
    assert power > 1 and np.log2(power) % 1 == 0
    np.testing.assert_array_equal(scaled, columns * power * (np.abs(columns) > 1e-37))
    squares = _numpy.squared_distances(scaled, slice(None), slice(None))
    least = np.finfo(np.float32).smallest_normal
    assert np.all((squares == 0) | (squares >= least))
    same = _measure._without_subnormal_squares(np.abs(columns[:, :1]), measure)
    assert same[1] is measure


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_rows_are_near_only_if_none_can_be_a_step_away(metric, dtype):
    # Two features: a distance of 1/2 is a step, and so is a squared one of 1.
    largest = 0.5 if metric == "euclidean" else 1.0
    for part, near in ((0.999, True), (1.0, False), (2.0, False)):
        X = np.array([[0, 1], [0, 1], [part * largest, 1]], dtype=dtype)
        measured = _measure.measured(X, "exp", metric, None)[1]
        assert measured.near is near
        linear = _measure.measured(X, "linear", metric, _numpy.largest_square)[1]
        assert linear.near is False
    X = np.array([[-1], [1]], dtype=dtype) * np.finfo(dtype).max
    assert _measure.measured(X, "exp", metric, None)[1].near is False


@pytest.mark.parametrize("most", [0, 5_000, 50_000])
def test_compiled_code_agrees_without_lists_and_with_late_ones(monkeypatch, most):
    store_nothing(monkeypatch)
    monkeypatch.setattr("skpoison.coreset._balls.LISTED", most)
    for kind in ("residuals", "wide"):
        assert_same(rows(kind, 900, np.float32), 200)


def test_compiled_code_agrees_where_lists_outgrow_their_room(monkeypatch):
    X = rows("residuals", 640, np.float32)
    # The rows that are sampled for the size of the lists are alone, the others crowd.
    X[::10] = 100 * np.random.default_rng(0).normal(size=(64, 10))
    store_nothing(monkeypatch)
    monkeypatch.setattr("skpoison.coreset._balls.LISTED", 20_000)
    assert_same(X, 200)


def test_numpy_gives_the_same_without_storing(monkeypatch):
    X = rows("residuals", 300, np.float32)
    stored = facility_location(X, 60, backend="numpy")
    store_nothing(monkeypatch)
    computed = facility_location(X, 60, backend="numpy")
    for name in stored:
        np.testing.assert_array_equal(stored[name], computed[name])


def test_automatic_choice(monkeypatch):
    from skpoison.coreset import _numba

    few, many = np.array([10, 20]), np.array([10, 10**6])
    assert _facility._kernels("auto", few, 10) is _numpy
    assert _facility._kernels("auto", many, 10) is _numba
    assert _facility._kernels("auto", np.full(100, 300), 10) is _numba
    assert _facility._kernels("auto", np.array([1000]), 1000) is _numba
    assert _facility._kernels("numpy", many, 10) is _numpy
    monkeypatch.setattr(_facility, "find_spec", lambda name: None)
    assert _facility._kernels("auto", many, 10) is _numpy


def test_numba_is_asked_for_and_missing(monkeypatch):
    monkeypatch.setattr(_facility, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install numba"):
        facility_location(np.eye(3), 1, backend="numba")


def test_numpy_needs_no_numba(monkeypatch):
    load = builtins.__import__

    def refuse(name, *args, **options):
        assert name.partition(".")[0] != "numba"
        return load(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert len(facility_location(np.eye(3), 2, backend="numpy").indices) == 2


def test_code_is_compiled_where_no_folder_is_writable(monkeypatch):
    from skpoison.coreset import _pairs

    def refusing(*args, **options):
        if options.get("cache"):

            def decorate(function):
                raise RuntimeError("cannot cache function: no locator available")

            return decorate
        return numba.njit(*args)

    monkeypatch.setattr(_pairs, "njit", refusing)
    assert _pairs.compiled(lambda x: x + 1)(1) == 2
