"""Pictures of suspicion: what is drawn is what the filter rejects, and why."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skpoison import AutoFilter, DropOutliers, FilteredClassifier, SphereFilter
from skpoison._as_given import AsNumbers
from skpoison.inspection import SuspicionDisplay

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(scope="module")
def found():
    """Rows with four wrong labels, three far ones and ten copies, and the filter."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    X = rng.normal(size=(120, 4)) + 2.5 * y[:, None]
    y[:4] = 1 - y[:4]
    X[10:13] = rng.normal(scale=60, size=(3, 4))
    X[20:30] = X[21] + rng.normal(scale=1e-3, size=(10, 4))
    y[20:30] = 0
    return X, y, AutoFilter(random_state=0).fit(X, y)


def points_of(artist):
    return np.asarray(artist.get_offsets())


def test_every_rejected_row_is_drawn_by_its_reason(found):
    X, y, auto = found
    display = SuspicionDisplay.from_filter(auto, X, y)
    wanted = {test for test in auto.tests_ if test}
    assert len(wanted) >= 2
    assert set(display.rejected_) == wanted
    for test, artist in display.rejected_.items():
        rows = auto.tests_ == test
        np.testing.assert_allclose(points_of(artist), display.coordinates[rows])
        assert artist.get_label() == f"{test} ({rows.sum()})"
    for label, artist in display.kept_.items():
        rows = auto.inlier_mask_ & (y == label)
        np.testing.assert_allclose(points_of(artist), display.coordinates[rows])
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts[:2] == ["class 0", "class 1"]
    looks = {
        (artist.get_facecolor().tobytes(), artist.get_paths()[0].vertices.tobytes())
        for artist in display.rejected_.values()
    }
    assert len(looks) == len(wanted)


def test_directions_are_those_of_the_kept_rows(found):
    X, y, auto = found
    display = SuspicionDisplay.from_filter(auto, X, y)
    numbers = AsNumbers().fit_transform(X)
    kept = auto.inlier_mask_
    wanted = PCA(2).fit(numbers[kept]).transform(numbers)
    for mine, theirs in zip(display.coordinates.T, wanted.T, strict=True):
        assert abs(np.corrcoef(mine, theirs)[0, 1]) == pytest.approx(1, abs=1e-6)


def test_the_picture_ends_beyond_the_kept_rows_and_says_what_lies_outside(found):
    X, y, auto = found
    display = SuspicionDisplay.from_filter(auto, X, y)
    low, high = np.transpose([display.ax_.get_xlim(), display.ax_.get_ylim()])
    inside = np.all(
        (display.coordinates >= low) & (display.coordinates <= high), axis=1
    )
    assert inside[auto.inlier_mask_].all()
    assert display.n_beyond_ == np.sum(~inside) > 0
    (text,) = [text.get_text() for text in display.ax_.texts]
    assert text == f"{display.n_beyond_} row{'s' * (display.n_beyond_ > 1)} outside"
    assert SuspicionDisplay.from_filter(auto, X, y, whole=True).n_beyond_ == 0


def test_a_transformer_makes_the_two_dimensions(found):
    X, y, auto = found
    two = FunctionTransformer(lambda X: X[:, 1:3])
    display = SuspicionDisplay.from_filter(auto, X, y, transformer=two)
    np.testing.assert_array_equal(display.coordinates, X[:, 1:3])
    with pytest.raises(ValueError, match=r"two columns; .* of shape \(120, 4\)"):
        SuspicionDisplay.from_filter(auto, X, y, transformer=StandardScaler())


def test_of_many_kept_rows_some_are_drawn_and_all_rejected_ones(found):
    X, y, auto = found
    display = SuspicionDisplay.from_filter(auto, X, y, max_rows=15)
    assert np.sum(display.tests == "") == 15
    assert np.sum(display.tests != "") == np.sum(~auto.inlier_mask_)


def test_estimators_show_the_filter_inside(found):
    X, y, _ = found
    sphere = SphereFilter(80)
    for made in (FilteredClassifier(sphere), DropOutliers(sphere), sphere):
        display = SuspicionDisplay.from_estimator(made.fit(X, y), X, y)
        assert set(display.rejected_) == {"rejected"}
        kept = sphere.fit(X, y).inlier_mask_
        np.testing.assert_array_equal(display.tests == "", kept)


class FewReasons(SphereFilter):
    """Rejects rows whose reasons are known, whatever X holds."""

    def fit(self, X, y=None):
        self.inlier_mask_ = np.arange(len(y)) >= 3
        self.tests_ = np.array(["label", "far", "far"] + [""] * (len(y) - 3), object)
        return self


@pytest.mark.parametrize(
    "kind", ["texts", "sparse", "table", "one column", "no labels"]
)
def test_rows_of_every_kind_are_drawn(kind):
    y = np.arange(30) % 2
    words = [f"good day {i % 7}" if k else f"bad {i % 5} news" for i, k in enumerate(y)]
    numbers = np.arange(60.0).reshape(30, 2) % 11
    X = {
        "texts": words,
        "sparse": sparse.csr_array(np.hstack([numbers] * 150)),
        "table": pd.DataFrame({"a": numbers[:, 0], "kind": words}),
        "one column": numbers[:, :1],
    }.get(kind, numbers)
    filter_ = FewReasons().fit(X, y)
    labels = None if kind == "no labels" else y
    display = SuspicionDisplay.from_filter(filter_, X, labels)
    assert np.asarray(display.coordinates).shape == (30, 2)
    assert {test: len(points_of(a)) for test, a in display.rejected_.items()} == {
        "far": 2,
        "label": 1,
    }
    assert list(display.kept_) == ([None] if labels is None else [0, 1])


def test_more_labels_than_colors_are_gray():
    y = np.arange(40) % 10
    X = np.random.default_rng(0).normal(size=(40, 2))
    display = SuspicionDisplay.from_filter(FewReasons().fit(X, y), X, y)
    assert list(display.kept_) == [None]
    assert len(points_of(display.kept_[None])) == 37


def test_what_cannot_be_drawn_is_named(found):
    X, y, auto = found
    with pytest.raises(ValueError, match=r"X must be of the 120 rows.*has 100"):
        SuspicionDisplay.from_filter(auto, X[:100], y)
    with pytest.raises(ValueError, match=r"y must be of the 120 rows.*has 100"):
        SuspicionDisplay.from_filter(auto, X, y[:100])
    with pytest.raises(NotFittedError):
        SuspicionDisplay.from_filter(AutoFilter(), X, y)


def test_axes_and_looks_can_be_given(found):
    X, y, auto = found
    _, ax = plt.subplots()
    display = SuspicionDisplay.from_filter(
        auto, X, y, ax=ax, kept_kwargs={"s": 1}, rejected_kwargs={"s": 99}
    )
    assert display.ax_ is ax and display.figure_ is ax.figure
    assert {artist.get_sizes()[0] for artist in display.kept_.values()} == {1}
    assert {artist.get_sizes()[0] for artist in display.rejected_.values()} == {99}


@pytest.mark.parametrize("max_rows", [0, -1, "all", 2.5, None])
def test_numbers_of_rows_to_draw_that_are_none(max_rows):
    X = np.random.default_rng(0).normal(size=(20, 2))
    sphere = SphereFilter().fit(X)
    with pytest.raises((ValueError, TypeError), match="max_rows"):
        SuspicionDisplay.from_filter(sphere, X, max_rows=max_rows)


def test_what_is_no_fitted_filter_is_named():
    X = np.random.default_rng(0).normal(size=(20, 2))
    y = np.arange(20) % 2
    with pytest.raises(TypeError, match="must be a fitted filter; got None"):
        SuspicionDisplay.from_filter(None, X)
    with pytest.raises(ValueError, match=r"must be a filter.*got LogisticRegression"):
        SuspicionDisplay.from_filter(LogisticRegression().fit(X, y), X)
    with pytest.raises(NotFittedError):
        SuspicionDisplay.from_filter(SphereFilter(), X)


@pytest.mark.parametrize("storage", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("labels", [[["a"], ["b"]], ["a", None], [1, 2]])
def test_equal_rows_and_labels_of_any_kind_are_drawn(storage, labels):
    X = storage(np.ones((20, 300)))
    sphere = SphereFilter().fit(X)
    drawn = SuspicionDisplay.from_filter(sphere, X, np.array(labels * 10, dtype=object))
    assert len(drawn.kept_) == 2
