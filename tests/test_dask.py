"""Filters on Dask collections, against those on the same rows in memory."""

import copy
import importlib
import os
import pickle
import pkgutil
import signal
import sys
import threading
import warnings
from itertools import count

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from test_filters_passes import (
    FILTERS,
    SCATTERED,
    assert_like,
    fitted_quietly,
    rows,
)
from test_import import modules_after

import skpoison.filters
from skpoison import AutoFilter, CertifiedBound
from skpoison._dask._cluster import ANY_PORT
from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    FilterIntersection,
    LossFilter,
    MahalanobisFilter,
    NearCopyFilter,
    SlabFilter,
    SphereFilter,
)

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")

from skpoison._dask._partitions import pair_of, with_labels  # noqa: E402
from skpoison._dask._select import apply_to  # noqa: E402

COLUMNS = ["a", "b", "c"]


@pytest.fixture(autouse=True)
def in_this_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


def chunked(X, cuts, *, known=True):
    """Return an array whose partitions, some of them empty, end at the cuts."""
    ends = [*sorted(cuts), X.shape[0]]
    sizes = np.diff([0, *ends])
    parts = [
        da.from_delayed(
            dask.delayed(X[end - size : end]),
            (size if known else np.nan, *X.shape[1:]),
            dtype=X.dtype,
            meta=X[:0],
        )
        for size, end in zip(sizes, ends, strict=True)
    ]
    return da.concatenate(parts, allow_unknown_chunksizes=True)


def table(X, y, cuts):
    frame = pd.DataFrame(X, columns=COLUMNS).assign(label=y)
    ends = [*sorted(cuts), len(frame)]
    parts = [frame[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    return dd.from_delayed([dask.delayed(part) for part in parts], meta=frame[:0])


def as_dask(container, X, y, cuts):
    """Rows and labels in one of the forms that filters take."""
    if container == "table":
        frame = table(X, y, cuts)
        return frame[COLUMNS], frame["label"]
    known = container != "unknown sizes"
    lazy = chunked(X, cuts, known=known)
    return lazy, y if container == "labels in memory" else chunked(y, cuts, known=known)


def assert_same_rows(found, expected, X, rtol=1e-6):
    """Compare scores and masks; rows on a radius may fall on either side."""
    scores = found.scores_.compute()
    np.testing.assert_allclose(scores, expected.scores_, rtol=rtol, atol=1e-6)
    mask = found.inlier_mask_.compute()
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, expected.inlier_mask_)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(sorted(FILTERS)),
    st.sampled_from(["table", "labels in memory", "unknown sizes", "array"]),
    st.sampled_from(["dense", "float32", "whole"]),
    st.lists(st.integers(0, 200), max_size=5),
    st.booleans(),
)
def test_chunks_change_nothing(name, container, kind, cuts, by_class):
    X, y = rows(kind, n_classes=2 if name == "given" else 3)
    if by_class:  # most partitions then have one class
        order = np.argsort(y, kind="stable")
        X, y = X[order], y[order]
    expected = fitted_quietly(copy.deepcopy(FILTERS[name]).fit, X, y)
    found = copy.deepcopy(FILTERS[name])
    with dask.config.set(scheduler="synchronous"):
        lazy = as_dask(container, X, y, cuts)
        fitted_quietly(found.fit, *lazy)
        assert_like(found, expected)
        scores = found.scores_.compute()
        decisions = found.decision_function(*lazy).compute()
        mask = found.inlier_mask_.compute()
    np.testing.assert_allclose(scores, expected.scores_, rtol=1e-6, atol=1e-6)
    exact = expected.decision_function(X, y)
    np.testing.assert_allclose(decisions, exact, rtol=1e-6, atol=1e-6)
    # Rounding decides rows that are on a radius.
    doubtful = np.abs(exact) < 1e-6
    np.testing.assert_array_equal(mask[~doubtful], expected.inlier_mask_[~doubtful])


@pytest.mark.parametrize("name", ["share", "published", "given", "sphere", "mixed"])
@pytest.mark.parametrize("order", ["random", "by distance", "by class"])
def test_some_partitions_tell_the_others_what_to_suppose(name, order):
    X, y = rows(n_samples=8_000, n_classes=2)
    if order != "random":
        places = np.argsort(y if order == "by class" else X @ X[0], kind="stable")
        X, y = X[places], y[places]
    seen = []
    lazy = da.from_array(X, chunks=(200, 3)).map_blocks(
        lambda block: (seen.append(len(block)), block)[1], dtype=X.dtype, meta=X[:0]
    )
    filter_ = (FILTERS | SCATTERED)[name]
    found = fitted_quietly(copy.deepcopy(filter_).fit, lazy, y)
    assert_like(found, fitted_quietly(copy.deepcopy(filter_).fit, X, y))
    if name in ("share", "published"):
        assert len(seen) == 40 or order != "random"
    assert len(seen) % 40 == 0


def test_partitions_of_later_rounds_are_named():
    X, y = rows(n_samples=8_000, n_classes=2)
    for place in (0, 1, 17, 39):  # of which the first round sees some
        broken = X.copy()
        broken[200 * place + 7, 1] = np.nan
        with pytest.raises(ValueError, match=rf"Partition {place}: .*NaN"):
            SphereFilter(70).fit(da.from_array(broken, chunks=(200, 3)), y)
    parts = [
        dask.delayed(X[i : i + 200].astype(f"f{8 - i // 200 % 2 * 4}"))
        for i in range(0, 8_000, 200)
    ]
    arrays = [da.from_delayed(part, (200, 3), dtype=X.dtype) for part in parts]
    for estimator in (SphereFilter(70), CertifiedBound()):
        with pytest.raises(ValueError, match=r"Partition 1: .* alike, but dtype is"):
            clone(estimator).fit(da.concatenate(arrays), y)


@pytest.mark.parametrize("name", sorted(SCATTERED))
def test_filters_of_covariances(name):
    X, y = rows("float32")
    expected = fitted_quietly(copy.deepcopy(SCATTERED[name]).fit, X, y)
    found = copy.deepcopy(SCATTERED[name])
    lazy = as_dask("table", X, y, [0, 50, 51, 120])
    fitted_quietly(found.fit, *lazy)
    assert_same_rows(found, expected, X)
    kept, labels = fitted_quietly(found.fit_filter, *lazy)
    np.testing.assert_array_equal(kept.compute(), X[expected.inlier_mask_])
    np.testing.assert_array_equal(labels.compute(), y[expected.inlier_mask_])


def test_blocks_of_sparse_rows():
    X, y = rows("sparse")
    lazy = chunked(X, [0, 50, 51, 120])
    expected = copy.deepcopy(FILTERS["both"]).fit(X, y)
    found = copy.deepcopy(FILTERS["both"]).fit(lazy, y)
    assert_like(found, expected)
    assert_same_rows(found, expected, X)
    kept, labels = found.fit_filter(lazy, y)
    blocks = [block.compute() for block in kept.to_delayed().ravel()]
    assert all(sparse.issparse(block) for block in blocks)
    dense = sparse.vstack(blocks).toarray()
    np.testing.assert_array_equal(dense, X.toarray()[expected.inlier_mask_])
    np.testing.assert_array_equal(labels, y[expected.inlier_mask_])


def test_columns_in_several_chunks():
    X, y = rows()
    lazy = da.from_array(X, chunks=(70, 2))
    assert_like(SphereFilter().fit(lazy, y), SphereFilter().fit(X, y))


def test_without_labels():
    X, _ = rows()
    found = SphereFilter(percentile=80).fit(da.from_array(X, chunks=70))
    expected = SphereFilter(percentile=80).fit(X)
    assert_same_rows(found, expected, X)
    predicted = found.predict(da.from_array(X, chunks=33))
    assert isinstance(predicted, da.Array)
    np.testing.assert_array_equal(predicted.compute(), expected.predict(X))


def test_kept_rows_come_in_what_rows_came_in():
    X, y = rows()
    frame, weights = table(X, y, [40, 40, 150]), np.arange(200.0)
    both = copy.deepcopy(FILTERS["published"])
    mask = copy.deepcopy(both).fit(X, y).inlier_mask_
    kept = both.fit_filter(
        frame[COLUMNS],
        frame["label"],
        weights,
        chunked(weights, [40, 40, 150], known=False),
        None,
    )
    X_kept, y_kept, in_memory, lazy, nothing = kept
    assert X_kept.npartitions == y_kept.npartitions == 4
    pd.testing.assert_frame_equal(
        X_kept.compute(), pd.DataFrame(X, columns=COLUMNS)[mask]
    )
    pd.testing.assert_series_equal(y_kept.compute(), pd.Series(y, name="label")[mask])
    np.testing.assert_array_equal(in_memory, weights[mask])
    np.testing.assert_array_equal(lazy.compute(), weights[mask])
    assert nothing is None


def test_narrow_columns_of_files_keep_their_partitions(tmp_path):
    X, y = rows()
    frame = pd.DataFrame(np.repeat(X, 7, axis=1)).add_prefix("x").assign(label=y)
    for i, part in enumerate(np.array_split(np.arange(200), 6)):
        frame.iloc[part].to_parquet(tmp_path / f"{i}.parquet")
    stored = dd.read_parquet(tmp_path)
    labels = stored["label"]
    assert labels.optimize().npartitions < 6  # Dask joins them
    features = [name for name in frame if name != "label"]
    sphere = SphereFilter(percentile=70)
    kept, kept_labels = sphere.fit_filter(stored[features], labels)
    mask = SphereFilter(percentile=70).fit(frame[features], y).inlier_mask_
    assert kept.npartitions == 6
    np.testing.assert_array_equal(kept.compute(), frame[features][mask])
    np.testing.assert_array_equal(kept_labels.compute(), y[mask])


@pytest.mark.parametrize("names", [["b", "a"], ["a", "b", "c"]])
def test_rows_and_labels_of_one_table_are_read_together(names, tmp_path):
    X, y = rows()
    frame = pd.DataFrame(X, columns=COLUMNS).assign(label=y)[["a", "label", "b", "c"]]
    for i, part in enumerate(np.array_split(np.arange(200), 4)):
        frame.iloc[part].to_parquet(tmp_path / f"{i}.parquet")
    stored = dd.read_parquet(tmp_path)
    pairs = with_labels(stored[names], stored["label"])
    pairs = map(pair_of, dask.compute(*pairs))
    found = list(map(pd.concat, zip(*pairs, strict=True)))
    pd.testing.assert_frame_equal(found[0], frame[names])
    pd.testing.assert_series_equal(found[1], frame["label"])
    # Others are read apart: labels of another table, and a label among the rows.
    other = dd.from_pandas(frame["label"], npartitions=4)
    for labels in (other, stored["a"], y):
        pairs = dask.compute(*with_labels(stored[names], labels))
        assert [len(part) for part, _ in pairs] == [50] * 4
        np.testing.assert_array_equal(np.concatenate([one for _, one in pairs]), labels)


def test_tasks_name_their_functions():
    cloudpickle = pytest.importorskip("cloudpickle")
    from skpoison import _dask

    n_found = 0
    for info in pkgutil.iter_modules(_dask.__path__):
        module = importlib.import_module(f"{_dask.__name__}.{info.name}")
        for name, one in vars(module).items():
            if type(one).__name__ == "DelayedLeaf" and name != "_nothing":
                # What is pickled by value, once for each task, is far longer.
                assert len(cloudpickle.dumps(one._obj)) < 150, name
                n_found += 1
    assert n_found >= 8


def test_few_tasks_are_made_of_a_partition(tmp_path):
    X, y = rows()
    frame = pd.DataFrame(X, columns=COLUMNS).assign(label=y)
    for i in range(20):
        frame.to_parquet(tmp_path / f"{i:02}.parquet")
    stored = dd.read_parquet(tmp_path)
    sphere, merges = SphereFilter(percentile=70), 20 / 16 + 2
    sphere.fit(stored[COLUMNS], stored["label"])
    for lazy in (sphere.scores_, sphere.inlier_mask_):
        n_tasks = len(dask.optimize(lazy)[0].__dask_graph__())
        assert n_tasks <= 3 * 20 + merges + 1  # read, judge, and one of the array


def test_divisions_stay():
    X, y = rows()
    frame = dd.from_pandas(pd.DataFrame(X, columns=COLUMNS), npartitions=3)
    kept, _ = SphereFilter(percentile=70).fit_filter(frame, y)
    assert kept.divisions == frame.divisions
    assert len(kept.loc[100:150].compute()) <= 51


def test_nothing_is_computed_before_it_is_asked_for():
    X, y = rows()
    seen = []
    lazy = da.from_array(X, chunks=100).map_blocks(
        lambda block: (seen.append(len(block)), block)[1], dtype=X.dtype, meta=X[:0]
    )
    sphere = SphereFilter().fit(lazy, y)
    assert len(seen) == 2 * 2  # passes, and partitions
    kept, _ = sphere.fit_filter(lazy, chunked(y, [100]))
    assert len(seen) == 4 * 2
    kept.compute()
    assert len(seen) == 5 * 2


def test_the_best_row_of_a_class_is_kept_where_none_passes():
    X, y = rows()
    filter_ = SphereFilter(radii=[0, 0, 0])
    with pytest.warns(FilterWarning, match="best-scoring row"):
        expected = copy.deepcopy(filter_).fit(X, y)
    with pytest.warns(FilterWarning, match="best-scoring row"):
        filter_.fit(chunked(X, [30, 99]), y)
    assert_same_rows(filter_, expected, X)
    assert filter_.inlier_mask_.compute().sum() == 3


def test_unknown_labels_are_told_of_once():
    X, y = rows()
    sphere = SphereFilter(radii={0: 3.0, 1: 3.0})
    with pytest.warns(FilterWarning, match="rejects") as told:
        sphere.fit(chunked(X, [60, 90]), y)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FilterWarning)
        expected = SphereFilter(radii={0: 3.0, 1: 3.0}).fit(X, y)
    assert_same_rows(sphere, expected, X)


def test_threads_leave_warnings_as_they_are():
    X, y = rows()
    sphere = SphereFilter(radii={0: 3.0, 1: 3.0})
    lazy = chunked(X, [100])
    with pytest.warns(FilterWarning, match="rejects"):
        sphere.fit(lazy, y)
    met, first, order = threading.Barrier(2, timeout=20), threading.Event(), count()

    class Meeting(SphereFilter):  # whose threads leave in the order they came in
        def _decide(self, X, codes):
            place = next(order)
            met.wait()
            if place and not first.wait(20):
                raise TimeoutError
            found = super()._decide(X, codes)
            if not place:
                threading.Timer(0.2, first.set).start()
            return found

    meeting = Meeting(radii=sphere.radii)
    vars(meeting).update(vars(sphere))
    pairs = with_labels(lazy, y)
    mask = apply_to(copy.copy(meeting), "mask", lazy, pairs)
    before = list(warnings.filters)
    with dask.config.set(scheduler="threads", num_workers=2):
        found = mask.compute()
    assert warnings.filters == before
    assert not found[y == 2].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda block: block[:, :2], "Partition 1: .*3 features|n_features is"),
        (lambda block: block.astype(np.float32), "dtype is"),
        (lambda block: np.where(block > 1, np.nan, block), "Partition 1: .*NaN"),
    ],
)
def test_partitions_that_differ_are_refused_and_named(change, message):
    X, y = rows()
    parts = [X[:50], change(X[50:])]
    arrays = [
        da.from_delayed(dask.delayed(part), (len(part), 3), dtype=X.dtype)
        for part in parts
    ]
    with pytest.raises(ValueError, match=message):
        SphereFilter().fit(da.concatenate(arrays), y)


@pytest.mark.parametrize("estimator", [SphereFilter(), CertifiedBound()])
@pytest.mark.parametrize(
    "what", ["truncated", "other columns", "text", "NaN", "float32"]
)
def test_files_of_broken_partitions_are_named(estimator, what, tmp_path):
    X, y = rows(n_classes=2)
    frame = pd.DataFrame(X, columns=COLUMNS).assign(label=y)
    for i, part in enumerate(np.array_split(np.arange(200), 4)):
        if what == "NaN" and i == 2:
            frame.iloc[part[0], 1] = np.nan
        frame.iloc[part].to_parquet(tmp_path / f"{i}.parquet")
        frame.iloc[part].to_csv(tmp_path / f"{i}.csv", index=False)
    suffix = "csv" if what == "text" else "parquet"
    lazy = getattr(dd, f"read_{suffix}")(tmp_path / f"*.{suffix}")
    broken = tmp_path / f"2.{suffix}"
    if what == "truncated":
        broken.write_bytes(broken.read_bytes()[:-50])
    elif what == "other columns":
        frame[["a", "label"]].to_parquet(broken)
    elif what == "float32":
        frame[50:100].astype(dict.fromkeys(COLUMNS, np.float32)).to_parquet(broken)
    elif what == "text":
        broken.write_text("a,b,c,label\n1,x,2,0\n1,2,3,4,5,6,7\n")
    with pytest.raises(ValueError, match="Partition 2 ") as told:
        copy.deepcopy(estimator).fit(lazy[COLUMNS], lazy["label"])
    assert str(broken) in str(told.value)


@pytest.mark.parametrize(
    "estimator",
    [SphereFilter(70), AutoFilter(random_state=0), LossFilter(), CertifiedBound()],
)
def test_columns_are_told_by_their_names(estimator, tmp_path):
    X, y = rows(n_classes=2)
    frame = pd.DataFrame(X, columns=COLUMNS).assign(flag=y % 2, label=y)
    frame["flag"] = np.arange(200) % 2
    for i, part in enumerate(np.array_split(np.arange(200), 4)):
        # Values of the other column would be taken for it.
        names = ["a", "label", "c", "b", "flag"] if i == 1 else frame.columns
        frame.iloc[part][names].to_csv(tmp_path / f"{i}.csv", index=False)
    features = [*COLUMNS, "flag"]
    stored = dd.read_csv(tmp_path / "*.csv")
    for labels in (stored["label"], y):
        found = clone(estimator).fit(stored[features], labels)
        assert found.feature_names_in_.tolist() == features
        expected = clone(estimator).fit(frame[features], frame["label"])
        if hasattr(found, "upper_bound_"):
            assert found.upper_bound_ == pytest.approx(expected.upper_bound_)
        else:
            assert_same_rows(found, expected, X)


def test_new_rows_are_told_by_their_names_too():
    X, y = rows()
    frame = pd.DataFrame(X, columns=COLUMNS).assign(label=y)
    parts = [frame[:90], frame[90:120][["label", "b", "c", "a"]], frame[120:]]
    # An empty partition need not have columns.
    parts.insert(1, pd.DataFrame())
    lazy = dd.from_map(lambda i: parts[i], range(4), meta=frame[:0])
    sphere = SphereFilter(70).fit(X, y)  # which knows no names
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X has feature names")
        found = sphere.decision_function(lazy[COLUMNS], lazy["label"]).compute()
    np.testing.assert_array_equal(found, sphere.decision_function(X, y))
    lazily = SphereFilter(70).fit(lazy[COLUMNS], lazy["label"])
    np.testing.assert_allclose(lazily.radii_, sphere.radii_)


@pytest.mark.parametrize(
    "estimator",
    [SphereFilter(70) & SlabFilter(70), LossFilter(), CertifiedBound(random_state=0)],
)
@pytest.mark.parametrize("method", ["predict", "decision_function", "score_samples"])
def test_new_rows_of_other_columns_are_refused_at_once(estimator, method):
    X, y = rows(n_classes=2)
    frame = pd.DataFrame(X, columns=COLUMNS)
    with dask.config.set(scheduler=refuse):  # nothing is computed
        for known, bad, message in [
            (X, da.from_array(X[:, :2]), "X has 2 features, but .* expecting 3"),
            (X, dd.from_pandas(frame[["a", "b"]]), "X has 2 features, but .* 3"),
            (
                X,
                da.from_array(X[:, 0]),
                "X must have rows and columns; got",
            ),
            (frame, dd.from_pandas(frame[["b", "a", "c"]]), "in the same order"),
            (frame, dd.from_pandas(frame.set_axis([*"abd"], axis=1)), "names unseen"),
            (frame, da.from_array(X[:, :2]), "X has 2 features, but .* expecting 3"),
        ]:
            fitted = clone(estimator).fit(known, y)
            if not hasattr(fitted, method):
                continue
            with pytest.raises(ValueError, match=message):
                getattr(fitted, method)(bad)


def refuse(graph, keys, **options):
    raise AssertionError(f"{keys} are computed")


def test_new_rows_of_unknown_labels_are_told_of():
    X, y = rows()
    sphere = SphereFilter(70).fit(X, y)
    unknown = np.where(np.arange(200) < 5, 7, y)
    predicted = sphere.predict(chunked(X, [100]), unknown)
    with pytest.warns(FilterWarning, match=r"rejects 5 of 100 rows: .*\[7\]"):
        found = predicted.compute()
    assert (found[:5] == -1).all()


@pytest.mark.parametrize("container", ["table", "array"])
def test_fitted_filters_can_be_pickled(container):
    X, y = rows()
    lazy = as_dask(container, X, y, [50, 120])
    for filter_ in (SphereFilter(70), LossFilter()):
        fitted = filter_.fit(*lazy)
        again = pickle.loads(pickle.dumps(fitted))
        mask = fitted.inlier_mask_.compute()
        np.testing.assert_array_equal(again.inlier_mask_.compute(), mask)


def test_faults_of_tables_of_delayed_parts_are_told():
    X, y = rows()
    X[70, 1] = np.nan
    frame = table(X, y, [50, 100])
    with pytest.raises(ValueError, match=r"Partition 1: .*NaN"):
        SphereFilter().fit(frame[COLUMNS], y)


@pytest.mark.parametrize("kind", ["array", "index", "series", "list"])
def test_words_in_memory_as_labels(kind):
    X, y = rows()
    labels = pd.Series(np.array(["ham", "spam", "eggs"])[y])
    given = {"array": labels.array, "index": pd.Index(labels), "series": labels}
    given = given.get(kind, labels.tolist())
    found = SphereFilter(70).fit(chunked(X, [40, 90]), given)
    assert_same_rows(found, SphereFilter(70).fit(X, labels), X)
    kept, kept_labels = SphereFilter(70).fit_filter(chunked(X, [40, 90]), given)
    mask = found.inlier_mask_.compute()
    assert (
        list(kept_labels) == labels[mask].tolist() and len(kept.compute()) == mask.sum()
    )


def test_what_makes_a_partition_is_named_where_there_is_no_file():
    X, y = rows()

    def failing(block, block_id):
        if block_id[0] == 1:
            raise OSError("the disk is gone")
        return block

    lazy = da.from_array(X, chunks=(100, 3)).map_blocks(failing, meta=X[:0])
    with pytest.raises(ValueError, match="Partition 1 cannot be read: the disk is"):
        SphereFilter().fit(lazy, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (lambda y: y[1:], "y has 199 entries, but X has 200 rows"),
        (lambda y: chunked(y[1:], [20]), "y has 199 entries, but X has 200 rows"),
        (
            lambda y: chunked(y, [20, 30], known=False),
            "y has 3 partitions, but X has 2",
        ),
        (lambda y: chunked(y, [40], known=False), "Partition [01]: .*inconsistent"),
    ],
)
def test_labels_that_do_not_belong_to_the_rows(y, message):
    X, labels = rows()
    with pytest.raises(ValueError, match=message):
        SphereFilter().fit(chunked(X, [60]), y(labels))


def test_collections_without_rows_are_refused():
    bag = pytest.importorskip("dask.bag").from_sequence([[1, 2]])
    with pytest.raises(TypeError, match=r"must be a dask.array or a dask.dataframe"):
        SphereFilter().fit(bag)


IN_PASSES = {
    *("SphereFilter", "SlabFilter", "FilterIntersection", "FilterUnion"),
    *("MahalanobisFilter", "SubspaceFilter", "SpectralFilter"),
}
ON_SAMPLES = ["AutoFilter", "CrossFitFilter", "LossFilter", "NearCopyFilter"]
IN_MEMORY = sorted(set(skpoison.filters.__all__) - IN_PASSES - {*ON_SAMPLES})


@pytest.mark.parametrize("name", IN_MEMORY)
def test_filters_that_need_all_rows_say_so(name):
    X, y = rows()
    filter_ = getattr(skpoison.filters, name)()
    lazy = da.from_array(X, chunks=100)
    message = f"Dask collection, and {name} needs all rows in memory"
    for method in (filter_.fit, filter_.fit_predict, filter_.fit_filter):
        with pytest.raises(TypeError, match=message):
            method(lazy, y)
    both = FilterIntersection([("sphere", SphereFilter()), ("other", filter_)])
    with pytest.raises(TypeError, match=message):
        both.fit(lazy, y)


def poisoned(n_rows=1500):
    """Two classes, some wrong labels, and one row that is sent many times."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n_rows)
    X = rng.normal(size=(n_rows, 3))
    X[:, 0] += 5 * y
    y[::50] ^= 1
    X[100:140], y[100:140] = [5.0, 5.0, 5.0], 0
    return X, y


def on_sample(name):
    """A filter that is fitted on a sample, or a combination with one."""
    if name in ON_SAMPLES:
        return getattr(skpoison.filters, name)(random_state=0)
    return {
        "sphere & copies": SphereFilter(95) & NearCopyFilter(random_state=0),
        "nested": (SphereFilter(60) | LossFilter(random_state=0)) & SphereFilter(99),
    }[name].set_params(random_state=0)


@pytest.mark.parametrize("name", [*ON_SAMPLES, "sphere & copies", "nested"])
@pytest.mark.parametrize("container", ["table", "labels in memory"])
def test_few_rows_are_all_fitted(name, container):
    X, y = poisoned()
    filter_ = on_sample(name)
    expected = clone(filter_).fit(X, y)
    lazy = as_dask(container, X, y, [0, 10, 700, 700])
    found = clone(filter_).fit(*lazy)
    assert isinstance(found.scores_, da.Array)
    scores = found.scores_.compute()
    np.testing.assert_allclose(scores, expected.scores_, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(found.inlier_mask_.compute(), expected.inlier_mask_)
    for one, _ in found._with_members(np.empty(0, np.intp)):
        of_rows = {"suspicion_", "groups_", "out_of_fold_"}
        assert not of_rows & {*vars(one)}
        if one is not found:
            assert not {"scores_", "inlier_mask_"} & {*vars(one)}


@pytest.mark.parametrize("name", [*ON_SAMPLES, "sphere & copies"])
def test_a_sample_judges_all_rows(name, monkeypatch):
    from skpoison._dask import _sample

    monkeypatch.setattr(_sample, "MOST_ROWS", 1000)
    X, y = poisoned()
    filter_ = on_sample(name)
    lazy = as_dask("table", X, y, [0, 400, 1400])
    with pytest.warns(FilterWarning, match=r"fitted on 1,000 of 1,500 rows, drawn"):
        kept, labels = filter_.fit_filter(*lazy)
    mask = filter_.inlier_mask_.compute()
    assert len(mask) == 1500 and len(kept.compute()) == len(labels.compute())
    np.testing.assert_array_equal(kept.compute(), X[mask])
    expected = clone(filter_).fit(X, y).inlier_mask_
    # What all rows tell, a sample tells of nearly all of them.
    assert np.mean(mask == expected) > 0.98
    if name != "LossFilter":
        assert not mask[100:140].any()
    # The others are judged as new rows are.
    new = filter_.predict(*lazy).compute() == 1
    assert np.mean(new == mask) > 0.95
    if name == "LossFilter":  # as the others do, with the same seed
        with pytest.warns(FilterWarning, match="drawn at random"):
            again = clone(filter_).fit(*lazy)
        np.testing.assert_array_equal(again.inlier_mask_.compute(), mask)


@pytest.mark.parametrize("name", ON_SAMPLES)
def test_samples_of_partitions_that_differ_are_refused(name):
    X, y = rows(n_classes=2)
    frame = pd.DataFrame(X, columns=COLUMNS)
    parts = [frame[:100], frame[100:].rename(columns={"c": "d"})]
    lazy = dd.from_delayed(
        [dask.delayed(part) for part in parts], meta=frame[:0], verify_meta=False
    )
    with pytest.raises(ValueError, match=r"Partition 1: .*columns are .*'c'.*'d'"):
        getattr(skpoison.filters, name)().fit(lazy, y)


def test_samples_are_uniform(monkeypatch):
    from skpoison._dask import _sample

    monkeypatch.setattr(_sample, "MOST_ROWS", 1000)
    monkeypatch.setattr(_sample, "LEAST_ROWS", 0)
    seen = []
    monkeypatch.setattr(
        LossFilter,
        "fit",
        lambda self, X, y=None: (seen.append(X), _raise(StopIteration))[1],
    )
    X = np.arange(5000.0)[:, None]
    for seed in range(20):
        loss = LossFilter(random_state=seed)
        with pytest.raises(StopIteration), pytest.warns(FilterWarning):
            _sample.fit(loss, chunked(X, [100, 100, 4000]), X[:, 0] > 7)
    sizes = [len(one) for one in seen]
    assert min(sizes) > 300 and max(sizes) <= 1000
    # Rows of small and of large partitions are as probable.
    shares = np.mean([np.mean(one < 100) for one in seen])
    assert 0.01 < shares < 0.03
    assert all(np.all(np.diff(one[:, 0]) > 0) for one in seen)


def _raise(error):
    raise error


def test_sample_filters_take_no_weights_of_lazy_rows():
    X, y = poisoned(200)
    with pytest.raises(TypeError, match=r"no sample_weight.*Dask collection"):
        AutoFilter().fit(da.from_array(X, chunks=100), y, sample_weight=np.ones(200))


def test_rows_are_not_replaced_across_partitions():
    X, y = rows()
    with pytest.raises(TypeError, match="Use fit_filter"):
        SphereFilter().fit_transform(da.from_array(X, chunks=100), y)


def test_dask_is_loaded_for_its_collections_only():
    program = "import skpoison, numpy; X = numpy.eye(4)"
    fits = "skpoison.SphereFilter().fit_filter(X, [0, 0, 1, 1])"
    assert "dask" not in modules_after(f"{program}; {fits}")


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    with (
        # Those that have died are given up where they start too slowly.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 day"}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            silence_logs=60,
            **ANY_PORT,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
@pytest.mark.parametrize("what", ["filter", "covariances", "bound"])
def test_killed_workers_change_nothing(client, tmp_path, what):
    X, y = rows(n_samples=210_000 if what == "bound" else 200, n_classes=2)
    estimator = {
        "filter": SphereFilter() & SlabFilter(80),
        "covariances": MahalanobisFilter(80) & SphereFilter(80),
        "bound": CertifiedBound(C=1.0, random_state=0),
    }[what]
    here = os.getpid()

    def fragile(block, block_id):
        marker = tmp_path / str(block_id[0])
        if os.getpid() != here and block_id[0] in (1, 3) and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)  # as where memory is lacking
        return block

    lazy = da.from_array(X, chunks=(len(X) // 5, 3)).map_blocks(
        fragile, dtype=X.dtype, meta=X[:0]
    )
    # Not client.get, with which workers that have died could not be started again.
    with dask.config.set(scheduler="distributed"), client.as_current():
        found = clone(estimator).fit(lazy, y)
        mask = None if what == "bound" else found.inlier_mask_.compute()
    assert len(list(tmp_path.iterdir())) == 2
    if what == "bound":
        with dask.config.set(scheduler="synchronous"):
            lazy = da.from_array(X, chunks=(len(X) // 5, 3))
            expected = clone(estimator).fit(lazy, y)
        # The same rows are drawn wherever partitions are looked at.
        assert found.upper_bound_ == expected.upper_bound_
        assert found.lower_bound_ == expected.lower_bound_
        assert len(found.history_) >= 2
        return
    expected = clone(estimator).fit(X, y)
    assert_like(found, expected)
    np.testing.assert_array_equal(mask, expected.inlier_mask_)


def test_rows_are_drawn_with_labels_as_pandas_holds_them():
    from skpoison._dask._sample import Drawn

    labels = pd.Series(["ham", "spam", "eggs"]).values
    X, keys = np.arange(6.0).reshape(3, 2), np.array([0.5, 0.9, 0.1])
    places = np.column_stack([np.zeros(3, int), [2, 1, 0]])
    drawn = Drawn({0: 3}, keys, places, np.inf, [X], [labels]).thinned(2)
    rows, found = drawn.in_order()
    assert list(found) == ["eggs", "ham"]
    np.testing.assert_array_equal(rows, X[[2, 0]])
