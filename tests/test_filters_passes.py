"""Filters that are fitted in passes over blocks, against those fitted at once."""

import copy
import functools
import itertools
import multiprocessing
import pickle
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    FilterIntersection,
    MahalanobisFilter,
    NeighborsFilter,
    SlabFilter,
    SpectralFilter,
    SphereFilter,
    SubspaceFilter,
)
from skpoison.filters._bins import Tally, bins_of
from skpoison.filters._supposed import near_quantile

FITTED = ("centroids_", "directions_", "radii_", "offset_", "contamination_")

FILTERS = {
    "sphere": SphereFilter(),
    "share": SphereFilter(percentile=70),
    "l1": SphereFilter(percentile=33.3, norm="l1"),
    "slab": SlabFilter(),
    "both": SphereFilter() & SlabFilter(),
    "published": SphereFilter(percentile=70) & SlabFilter(percentile=70),
    "either": SphereFilter(percentile=60) | SlabFilter(percentile=50),
    "nested": (SphereFilter(60) | SlabFilter(50)) & SphereFilter(90, norm="l1"),
    "given": SphereFilter(radii={0: 1.0, 1: 0.0}, centroids={0: [0] * 3, 1: [1] * 3}),
}
# Filters of covariances, whose means come before them.
SCATTERED = {
    "mahalanobis": MahalanobisFilter(),
    "shrunk": MahalanobisFilter(70, shrinkage=0.2),
    "reduced": MahalanobisFilter(max_features=1, n_components=1),
    "subspace": SubspaceFilter(n_components=1),
    "subspaces": SubspaceFilter(70, n_components=1, per_class=True),
    "spectral": SpectralFilter(),
    "spectral, a share": SpectralFilter(contamination=0.1),
    "mixed": MahalanobisFilter(80) & SphereFilter(70) | SpectralFilter(80),
}


def rows(kind="dense", n_samples=200, seed=0, n_classes=3):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n_samples)
    y[:n_classes] = np.arange(n_classes)
    X = rng.normal(size=(n_samples, 3)) + 2 * y[:, None] * [1, 0, 2]
    if kind == "whole":
        X = np.round(X)
    if kind == "copies":
        X[rng.random(n_samples) < 0.3] = X[0] + 1
    if kind == "far":
        X += 1e7
    if kind == "sparse":
        X[rng.random(X.shape) < 0.6] = 0.0
        return sparse.csr_array(X), y
    return (X.astype(np.float32) if kind == "float32" else X), y


def fit_in_passes(filter_, blocks, copies=1):
    """Fit on blocks in passes, by so many copies in turn; return the passes, too."""
    n_passes = 0
    while True:
        n_passes += 1
        workers = [pickle.loads(pickle.dumps(filter_)) for _ in range(copies)]
        for i, (X, y) in enumerate(blocks):
            workers[i % copies].partial_fit(X, y)
        if filter_.merge(*workers).end_pass():
            return n_passes


def split(X, y, cuts):
    pairs = itertools.pairwise([0, *sorted(cuts), X.shape[0]])
    return [(X[a:b], None if y is None else y[a:b]) for a, b in pairs]


def assert_like(found, expected, rtol=1e-6):
    np.testing.assert_array_equal(found.classes_, expected.classes_)
    for name in FITTED:
        if hasattr(expected, name):
            np.testing.assert_allclose(
                getattr(found, name), getattr(expected, name), rtol=rtol, atol=1e-9
            )
    pairs = zip(
        getattr(found, "filters_", []), getattr(expected, "filters_", []), strict=True
    )
    for one, other in pairs:
        assert_like(one, other, rtol)


def fitted_quietly(fit, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FilterWarning)
        return fit(*args)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(FILTERS)),
    st.sampled_from(["dense", "sparse", "float32", "whole", "copies", "far"]),
    st.lists(st.integers(0, 200), max_size=8),
    st.integers(1, 3),
    st.booleans(),
)
def test_blocks_change_nothing(name, kind, cuts, copies, sorted_by_class):
    X, y = rows(kind, n_classes=2 if name == "given" else 3)
    if sorted_by_class:  # most blocks then have one class
        order = np.argsort(y, kind="stable")
        X, y = X[order], y[order]
    expected = fitted_quietly(copy.deepcopy(FILTERS[name]).fit, X, y)
    found = copy.deepcopy(FILTERS[name])
    fitted_quietly(fit_in_passes, found, split(X, y, cuts), copies)
    assert_like(found, expected)
    decisions = found.decision_function(X, y)
    np.testing.assert_allclose(
        decisions, expected.decision_function(X, y), rtol=1e-6, atol=1e-6
    )


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(SCATTERED)),
    st.sampled_from(["dense", "sparse", "float32", "whole", "copies", "far"]),
    st.lists(st.integers(0, 200), max_size=8),
    st.integers(1, 3),
    st.booleans(),
)
def test_blocks_change_nothing_where_outer_products_add_up(
    name, kind, cuts, copies, sorted_by_class
):
    X, y = rows(kind)
    if sorted_by_class:
        order = np.argsort(y, kind="stable")
        X, y = X[order], y[order]
    expected = fitted_quietly(copy.deepcopy(SCATTERED[name]).fit, X, y)
    found = copy.deepcopy(SCATTERED[name])
    fitted_quietly(fit_in_passes, found, split(X, y, cuts), copies)
    # Rows that are far away have lost digits before they are given.
    loss = 100 if kind == "far" else 1
    for attribute in ("radii_", "shrinkage_", "covariance_", "explained_ratio_"):
        if hasattr(expected, attribute):
            pair = getattr(found, attribute), getattr(expected, attribute)
            np.testing.assert_allclose(*pair, rtol=loss * 1e-6, atol=1e-9)
    np.testing.assert_allclose(found.contamination_, expected.contamination_)
    scores = found.score_samples(X, y)
    np.testing.assert_allclose(scores, expected.scores_, rtol=1e-6, atol=loss * 1e-6)
    decisions = found.decision_function(X, y)
    exact = expected.decision_function(X, y)
    np.testing.assert_allclose(decisions, exact, rtol=1e-6, atol=loss * 1e-6)


def test_what_has_no_sums_is_refused():
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        SpectralFilter(transformer=StandardScaler()).partial_fit([[1.0]])
    wide = np.ones((3, 1001))
    for filter_ in (MahalanobisFilter(), SubspaceFilter(), SpectralFilter()):
        filter_.partial_fit(wide)
        with pytest.raises(ValueError, match=r"at most 1000 features where .*got 1001"):
            filter_.end_pass()


@pytest.mark.filterwarnings("ignore:The subspace has all")
@pytest.mark.parametrize(
    ("name", "size"),
    [
        *itertools.product(
            ["mahalanobis", "shrunk", "reduced", "subspace", "subspaces"],
            ["huge", "tiny", "huge in float32"],
        ),
        # Where more directions are sought than that of the row, they are rounding.
        *itertools.product(["mahalanobis", "shrunk", "subspace"], ["one huge row"]),
    ],
)
def test_rows_of_any_size_give_what_they_give_at_once(name, size):
    X, y = rows()
    if size == "one huge row":
        X[3] *= 1e160
    else:
        X *= {"huge": 1e200, "tiny": 1e-200, "huge in float32": 1e18}[size]
    X = X.astype(np.float32) if "float32" in size else X
    filter_ = SCATTERED[name]
    expected = copy.deepcopy(filter_).fit(X, y)
    found = copy.deepcopy(filter_)
    fit_in_passes(found, split(X, y, [0, 50, 120]))
    decisions = found.decision_function(X, y)
    exact = expected.decision_function(X, y)
    scale = np.median(np.abs(exact)) or 1.0
    np.testing.assert_allclose(decisions, exact, rtol=1e-6, atol=1e-6 * scale)
    np.testing.assert_allclose(found.contamination_, expected.contamination_)


def test_statistics_are_of_the_same_rows():
    X, y = rows()
    filter_ = MahalanobisFilter()
    filter_.partial_fit(X, y).end_pass()
    filter_.partial_fit(X[1:], y[1:])
    with pytest.raises(ValueError, match="Every pass must see the same rows"):
        filter_.end_pass()


@pytest.mark.parametrize(
    ("name", "n_passes"), [("sphere", 2), ("published", 1), ("given", 2)]
)
def test_number_of_passes(name, n_passes):
    X, y = rows(n_classes=2)
    filter_ = copy.deepcopy(FILTERS[name])
    assert fitted_quietly(fit_in_passes, filter_, split(X, y, [50, 90])) == n_passes


@pytest.fixture
def without_judging(monkeypatch):
    """No rows are judged in the first pass, as where that would leave too many."""
    passes = "skpoison.filters._passes"
    monkeypatch.setattr(f"{passes}.is_worth_it", lambda judged, X: False)


@pytest.mark.usefixtures("without_judging")
@pytest.mark.parametrize("name", ["share", "published", "either", "nested", "both"])
@pytest.mark.parametrize(
    ("kind", "order", "n_passes"),
    [
        ("dense", "random", 2),
        ("float32", "random", 2),
        ("whole", "random", None),
        ("dense", "by distance", 4),
        ("dense", "by class", 2),
    ],
)
def test_blocks_of_many_rows_suppose_where_radii_are(name, kind, order, n_passes):
    X, y = rows(kind, 20_000)
    if order == "by distance":  # quantiles of blocks say nothing of all rows
        order = np.argsort(np.linalg.norm(X, axis=1))
        X, y = X[order], y[order]
    elif order == "by class":
        order = np.argsort(y, kind="stable")
        X, y = X[order], y[order]
    expected = copy.deepcopy(FILTERS[name]).fit(X, y)
    found = copy.deepcopy(FILTERS[name])
    n_found = fit_in_passes(found, split(X, y, range(2_000, 20_000, 2_000)), 3)
    assert n_passes in (None, n_found)
    assert_like(found, expected, rtol=1e-9)


@pytest.mark.usefixtures("without_judging")
@pytest.mark.parametrize("limit", ["MOST_GATHERED", "MANY_GATHERED"])
@pytest.mark.parametrize("name", ["published", "nested", "given and share"])
def test_what_is_gathered_has_limits(limit, name, monkeypatch):
    X, y = rows("float32", 3_000)
    filter_ = SphereFilter(percentile=70) & SlabFilter(radii=[1.0, 1.0, 1.0])
    filter_ = copy.deepcopy(FILTERS.get(name, filter_))
    blocks = split(X, y, range(500, 3_000, 500))
    expected = copy.deepcopy(filter_).fit(X, y)
    size = gathered_of_two(copy.deepcopy(filter_), blocks)._most_gathered()
    monkeypatch.setattr(f"skpoison.filters._supposed.{limit}", size // 2)
    supposed = gathered_of_two(copy.deepcopy(filter_), blocks)
    assert supposed.has_failed == (limit == "MOST_GATHERED")
    assert supposed._most_gathered() < size
    n_passes = fit_in_passes(filter_, blocks, 2)
    assert n_passes == 2 or limit == "MOST_GATHERED"
    assert_like(filter_, expected)


def gathered_of_two(filter_, blocks):
    """What two blocks suppose after the first pass."""
    for block in blocks:
        filter_.partial_fit(*block)
    filter_.end_pass()
    others = copy.deepcopy(filter_).partial_fit(*blocks[1])
    return filter_.partial_fit(*blocks[0]).merge(others)._passes.supposed


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.999, 1.0])
def test_quantiles_are_where_blocks_suppose_them(share):
    rng = np.random.default_rng(0)
    values = np.exp(rng.normal(size=50_000))
    exact = bins_of([np.quantile(values, share)])[0]
    for block in np.split(values, 25):
        bins = bins_of(block)
        first, last = near_quantile(Tally.of_bins(bins), share)
        assert first < exact < last
        assert np.mean((bins >= first) & (bins <= last)) < 0.1


def test_without_labels():
    X, _ = rows()
    found = SphereFilter(percentile=80)
    fit_in_passes(found, split(X, None, [20, 20, 150]))
    assert_like(found, SphereFilter(percentile=80).fit(X))
    np.testing.assert_array_equal(
        found.predict(X), SphereFilter(percentile=80).fit(X).predict(X)
    )


@pytest.mark.parametrize("labels", [["b", "a"], [True, False], [3, 1], [1.0, 2.0]])
def test_labels_keep_their_type(labels):
    X, y = rows(n_classes=2)
    y = np.array(labels)[y]
    found = SphereFilter()
    fit_in_passes(found, split(X, y, [60]))
    assert found.classes_.dtype == SphereFilter().fit(X, y).classes_.dtype


def test_labels_of_several_kinds_in_several_blocks():
    X, y = rows(n_classes=2)
    mixed = y.astype(object)
    mixed[150] = "one"
    sphere = SphereFilter(radii={0: 2.0, 1: 2.0})
    with pytest.warns(FilterWarning, match="rejects 1 of 200 rows"):
        expected = copy.deepcopy(sphere).fit(X, mixed)
    blocks = [(X[:100], y[:100]), (X[100:], mixed[100:])]
    with pytest.warns(FilterWarning, match="rejects 1 of 200 rows"):
        fit_in_passes(sphere, blocks)
    assert_like(sphere, expected)


def test_frames_keep_names_and_are_compared():
    X, y = rows()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    found = SphereFilter()
    fit_in_passes(found, split_frame(frame, y))
    assert_like(found, SphereFilter().fit(frame, y))
    assert list(found.feature_names_in_) == ["a", "b", "c"]
    other = frame.set_axis(["a", "b", "d"], axis=1)
    with pytest.raises(ValueError, match="feature names should match"):
        SphereFilter().partial_fit(frame, y).partial_fit(other, y)
    first, second = SphereFilter().partial_fit(frame, y), SphereFilter()
    with pytest.raises(ValueError, match=r"names is \('a', 'b', 'c'\) in one and"):
        first.merge(second.partial_fit(other, y))


def split_frame(frame, y):
    return [(frame[:70], y[:70]), (frame[70:], y[70:])]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X[:, :2], y), "n_features|expecting 3 features"),
        (lambda X, y: (X[:0, :2], y[:0]), "n_features is 3 in one and 2"),
        (lambda X, y: (X.astype(np.float32), y), "dtype is 'float64' in one"),
        (lambda X, y: (X, None), "labelled is True in one and False"),
        (lambda X, y: (X, y[1:]), "inconsistent numbers"),
        (lambda X, y: (np.where(X > 1, np.nan, X), y), "contains NaN"),
    ],
)
def test_blocks_that_differ_are_refused_at_once(change, message):
    X, y = rows()
    sphere = SphereFilter().partial_fit(X, y)
    with pytest.raises(ValueError, match=message):
        sphere.partial_fit(*change(X, y))


def test_other_rows_in_a_later_pass_are_refused():
    X, y = rows()
    sphere = SphereFilter().partial_fit(X, y)
    assert not sphere.end_pass()
    sphere.partial_fit(X[1:], y[1:])
    with pytest.raises(ValueError, match="Every pass must see the same rows"):
        sphere.end_pass()


def test_the_best_row_of_a_class_is_kept_where_none_passes():
    X, y = rows()
    filter_ = SphereFilter(radii=[0, 0, 0])
    with pytest.warns(FilterWarning, match="best-scoring row"):
        expected = copy.deepcopy(filter_).fit(X, y)
    with pytest.warns(FilterWarning, match="best-scoring row"):
        fit_in_passes(filter_, split(X, y, [100]))
    np.testing.assert_allclose(filter_.contamination_, expected.contamination_)


def test_no_rows_are_an_error():
    with pytest.raises(ValueError, match="SphereFilter got no rows"):
        SphereFilter().partial_fit(np.empty((0, 3)), []).end_pass()


def test_a_filter_in_the_middle_is_not_fitted():
    X, y = rows()
    sphere = SphereFilter().partial_fit(X, y)
    sphere.end_pass()
    with pytest.raises(NotFittedError):
        sphere.predict(X)


def test_fit_and_passes_replace_one_another():
    X, y = rows()
    sphere = SphereFilter().fit(X, y)
    fit_in_passes(sphere, split(X[:90], y[:90], [40]))
    assert not hasattr(sphere, "scores_")
    assert_like(sphere, SphereFilter().fit(X[:90], y[:90]))
    with pytest.raises(AttributeError) as info:
        sphere.set_threshold(percentile=50)
    assert "set the parameter, and fit it again" in str(info.value.__cause__)
    both = copy.deepcopy(FILTERS["both"])
    fit_in_passes(both, split(X, y, [40]))
    with pytest.raises(AttributeError, match="set the parameter, and fit it again"):
        both.set_threshold(spherefilter__percentile=50)
    sphere.partial_fit(X[:10], y[:10])
    assert_like(sphere.fit(X, y), SphereFilter().fit(X, y))
    np.testing.assert_array_equal(sphere.predict(X, y) > 0, sphere.inlier_mask_)


def test_copies_of_other_passes_are_not_merged():
    X, y = rows()
    sphere = SphereFilter().partial_fit(X, y)
    late = copy.deepcopy(sphere)
    late.end_pass()
    with pytest.raises(ValueError, match="is in another pass"):
        sphere.merge(late)
    with pytest.raises(ValueError, match="is in another pass"):
        late.merge(SphereFilter())
    assert_like_pass(sphere.merge(SphereFilter()), SphereFilter().partial_fit(X, y))


@pytest.mark.parametrize(
    ("filter_", "other"),
    [
        (SphereFilter(70.0), SlabFilter(70.0)),
        (SphereFilter(70.0), SphereFilter(90.0)),
        (SphereFilter(radii=[1.0, 2.0]), SphereFilter(radii=[1.0, 3.0])),
        (SphereFilter(radii={0: 1.0, 1: 2.0}), SphereFilter(radii={0: 1.0, 1: 3.0})),
        (SphereFilter() & SlabFilter(), SphereFilter() & SlabFilter(70.0)),
        (SphereFilter() & SlabFilter(), SphereFilter() | SlabFilter()),
    ],
)
def test_what_is_no_copy_is_not_merged(filter_, other):
    X, y = rows()
    first, second, third = (
        clone(one).partial_fit(X, y) for one in (filter_, other, filter_)
    )
    with pytest.raises(ValueError, match=r"(?s)merge takes copies of .*; got"):
        first.merge(third, second)
    with pytest.raises(ValueError, match="got the filter itself"):
        first.merge(third, first)
    # Nothing had been merged.
    np.testing.assert_array_equal(first._passes.counts, third._passes.counts)
    assert first.merge(third)._passes.counts.sum() == 2 * len(y)


def test_labels_of_another_kind_are_refused_with_their_block():
    X, y = rows()
    found = SphereFilter().partial_fit(X[:70], y[:70])
    with pytest.raises(ValueError, match="class labels of one kind"):
        found.partial_fit(X[70:], y[70:].astype(str))
    other = SphereFilter().partial_fit(X[70:], y[70:].astype(str))
    with pytest.raises(ValueError, match="class labels of one kind"):
        found.merge(other)
    expected = SphereFilter().partial_fit(X, y)
    assert_like_pass(found.partial_fit(X[70:], y[70:]), expected)


def assert_like_pass(found, expected):
    np.testing.assert_array_equal(found._passes.counts, expected._passes.counts)


def test_filters_that_need_all_rows_say_so():
    assert not hasattr(NeighborsFilter(), "partial_fit")
    both = FilterIntersection([("s", SphereFilter()), ("n", NeighborsFilter())])
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as info:
        both.partial_fit([[0.0]])
    assert "NeighborsFilter needs all rows at once" in str(info.value.__cause__)


def seen_by(filter_, block):
    return filter_.partial_fit(*block)


@pytest.mark.slow
def test_the_recipe_for_processes():
    X, y = rows()
    blocks = split(X, y, [60, 120])
    found = SphereFilter(percentile=70) & SlabFilter(percentile=70)
    with multiprocessing.get_context("forkserver").Pool(2) as pool:
        while True:
            found.merge(*pool.map(functools.partial(seen_by, found), blocks))
            if found.end_pass():
                break
    assert_like(found, copy.deepcopy(FILTERS["published"]).fit(X, y))


def stored(folder):
    """Write rows to Parquet files; return all of them."""
    X, y = rows(n_classes=2)
    table = pd.DataFrame(X, columns=["a", "b", "c"]).assign(label=y)
    for i, part in enumerate([table[:60], table[60:61], table[61:]]):
        part.to_parquet(folder / f"{i}.parquet")
    return table


def recipes():
    """The blocks of the documentation that loop until a filter is fitted."""
    text = Path(__file__).parent.parent.joinpath("docs/large.md").read_text("utf-8")
    blocks = re.findall(r"```(?:python|py)\n(.*?)```", text, re.DOTALL)
    return [block for block in blocks if "end_pass" in block]


# Spark and Ray tell of their own use of what will change.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("place", "needs"), [(0, None), (1, None), (2, "pyspark"), (3, "ray")]
)
def test_documented_recipes(place, needs, tmp_path):
    if needs is not None:
        pytest.importorskip(needs)
    if needs == "pyspark" and shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    table = stored(tmp_path)
    code = recipes()[place].replace("rows/", f"{tmp_path}/")
    exec(compile(code, needs or "loop", "exec"), names := {"__name__": "recipe"})
    expected = copy.deepcopy(FILTERS["published"])
    assert_like(names["filter"], expected.fit(table[["a", "b", "c"]], table["label"]))
