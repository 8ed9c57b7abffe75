"""Pictures of traces: targets, blamed rows and contributions are those that are."""

import matplotlib
import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer

from skpoison import trace
from skpoison._as_given import AsNumbers
from skpoison.inspection import TraceDisplay

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def digits():
    X, y = load_digits(return_X_y=True)
    rows = np.flatnonzero(np.isin(y, [3, 8]))[:120]
    X, y = X[rows] / 16, y[rows]
    target = np.flatnonzero(y == 3)[5]
    X_target, X, y = X[[target]], np.delete(X, target, axis=0), np.delete(y, target)
    near = np.argsort(np.linalg.norm(X - X_target, axis=1))
    y[near[y[near] == 3][:6]] = 8
    return X, y, X_target


@pytest.fixture(scope="module")
def found():
    X, y, X_target = digits()
    model = KNeighborsClassifier().fit(X, y)
    return X, y, trace(model, X, y, X_target, [3], method="knn_shapley")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def points_of(artist):
    return np.asarray(artist.get_offsets())


def test_rows_targets_and_contributions_are_drawn_where_they_are(found):
    X, y, traced = found
    display = TraceDisplay.from_trace(traced, X, y, n_blamed=8)
    numbers = AsNumbers().fit(X)
    plane = PCA(2, random_state=0).fit(numbers.transform(X))
    # The removal set, and the rows that are blamed most.
    removed = traced.removal_set_
    top = traced.ranking_[:8]
    assert set(display.names) == {*top, *removed}
    wanted = traced.ranking_[np.isin(traced.ranking_, display.names)]
    np.testing.assert_array_equal(display.names, wanted)
    coordinates = plane.transform(numbers.transform(X))
    at = np.abs(points_of(display.blamed_["removed"]))
    where = np.abs(coordinates[wanted[np.isin(wanted, removed)]])
    np.testing.assert_allclose(at, where, atol=1e-8)
    target = plane.transform(numbers.transform(traced.X_target))
    np.testing.assert_allclose(
        np.abs(points_of(display.targets_)), np.abs(target), atol=1e-8
    )
    widths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_array_equal(widths, traced.contributions_[wanted[:8]])
    names = [text.get_text() for text in display.axes_[1].get_yticklabels()]
    assert names == [f"row {row}: {y[row]}" for row in wanted[:8]]
    assert sum(len(points_of(artist)) for artist in display.rows_.values()) == len(y)
    labels = [t.get_text() for t in display.axes_[0].get_legend().get_texts()]
    assert labels[:2] == ["class 3", "class 8"] and labels[-1] == "target"
    assert f"removed ({len(removed)})" in labels


def test_removed_rows_have_another_color_than_those_that_are_only_blamed(found):
    X, y, traced = found
    display = TraceDisplay.from_trace(traced, X, y, n_blamed=20)
    colors = {
        bool(is_removed): bar.get_facecolor()
        for bar, is_removed in zip(display.bars_, display.is_removed, strict=False)
    }
    assert len(display.bars_) == 20 and colors[True] != colors[False]


def test_images_are_those_of_the_targets_and_of_the_rows(found):
    X, y, traced = found
    display = TraceDisplay.from_trace(traced, X, y, n_blamed=7, image_shape=(8, 8))
    assert len(display.thumbnails_) == 1 + 7
    shown = [box.offsetbox.get_data() for box in display.thumbnails_]
    images = np.vstack([traced.X_target, X[display.names[:7]]]).reshape(-1, 8, 8)
    scaled = (images - images.min()) / np.ptp(images)
    np.testing.assert_allclose(shown, scaled, atol=1e-12)
    # The first stands above the bars, the others at their ends.
    ends = [box.xy for box in display.thumbnails_[1:]]
    wanted = [(bar.get_width(), i) for i, bar in enumerate(display.bars_)]
    np.testing.assert_allclose(ends, wanted)
    display.figure_.canvas.draw()
    colors = np.repeat(X, 3, axis=1)
    display = TraceDisplay(**vars_of(display, images=colors[:8].reshape(-1, 8, 8, 3)))
    assert display.plot().thumbnails_[0].offsetbox.get_data().shape == (8, 8, 3)


def vars_of(display, **changes):
    names = (
        "coordinates",
        "target_coordinates",
        "labels",
        "blamed",
        "names",
        "contributions",
        "is_removed",
    )
    return {name: getattr(display, name) for name in names} | changes


def test_from_estimator_traces_and_passes_on_what_is_given(found):
    X, y, traced = found
    figure, axes = plt.subplots(1, 2)
    display = TraceDisplay.from_estimator(
        KNeighborsClassifier(),
        X,
        y,
        traced.X_target,
        [3],
        trace_kwargs={"method": "knn_shapley"},
        ax=axes,
        bar_kwargs={"color": "red"},
        row_kwargs={"s": 3},
        blamed_kwargs={"s": 77},
        target_kwargs={"s": 99},
    )
    assert display.figure_ is figure and display.axes_ == list(axes)
    np.testing.assert_array_equal(display.names[:5], traced.ranking_[:5])
    assert display.targets_.get_sizes() == [99]
    assert {artist.get_sizes()[0] for artist in display.rows_.values()} == {3}
    assert display.blamed_["removed"].get_sizes() == [77]
    assert display.bars_[0].get_facecolor() == (1.0, 0.0, 0.0, 1.0)


def test_texts_sparse_rows_and_no_labels():
    texts = ["win a prize"] * 9 + ["minutes of the meeting"] * 9 + ["casino now"] * 2
    y = np.array([1] * 9 + [0] * 11)
    X = TfidfVectorizer().fit(texts).transform([*texts, "casino now win"])
    traced = trace(
        KNeighborsClassifier(1), X[:20], y, X[20:], method="knn_shapley", max_removed=4
    )
    display = TraceDisplay.from_trace(traced, sparse.csr_array(X[:20]), max_rows=5)
    assert list(display.rows_) == [None] and len(display.coordinates) == 5 + 10
    assert display.axes_[1].get_yticklabels()[0].get_text().startswith("row ")


def test_a_single_column_and_no_removal_set():
    X = np.arange(20.0)[:, np.newaxis]
    y = np.arange(20) // 10
    traced = trace(
        KNeighborsClassifier(3), X, y, X[[2]], method="knn_shapley", max_removed=1
    )
    assert traced.removal_set_ is None
    display = TraceDisplay.from_trace(traced, X, y)
    assert list(display.blamed_) == ["blamed"]
    np.testing.assert_array_equal(display.coordinates[:, 1], 0.0)


def test_a_transformer_makes_the_two_dimensions(found):
    X, y, traced = found
    two = FunctionTransformer(lambda rows: rows[:, 20:22])
    display = TraceDisplay.from_trace(traced, X, y, transformer=two)
    np.testing.assert_array_equal(
        points_of(display.targets_), traced.X_target[:, 20:22]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.zeros((3, 64))}, "X must be of the 119 rows that were traced; it"),
        ({"y": [1, 2]}, "y must be of the 119 rows that were traced; it has 2"),
        ({"n_blamed": 0}, "n_blamed == 0, must be >= 1"),
        ({"image_shape": (8, 9)}, "has 72 numbers, but a row has 64"),
        ({"image_shape": (8, 4, 2)}, "image_shape must be"),
        ({"image_shape": (64,)}, "image_shape must be"),
        ({"transformer": FunctionTransformer()}, "must make two columns"),
        ({"ax": [None]}, "ax must be two Axes; it is 1"),
    ],
)
def test_bad_input_is_named(found, change, message):
    X, y, traced = found
    with pytest.raises(ValueError, match=message):
        TraceDisplay.from_trace(traced, **({"X": X, "y": y} | change))


@pytest.mark.parametrize("wrong", ["trace", None])
def test_what_is_no_trace_is_refused(wrong):
    with pytest.raises(TypeError, match=r"must be what skpoison\.trace returned"):
        TraceDisplay.from_trace(wrong, np.ones((3, 2)))


def test_rows_that_contribute_nothing_are_not_blamed(found):
    X, y, traced = found
    n_positive = int(np.sum(traced.contributions_ > 0.0))
    display = TraceDisplay.from_trace(traced, X, y, n_blamed=len(y))
    assert 8 < len(display.names) == n_positive < len(y)
    assert (np.asarray(display.contributions) > 0.0).all()


def test_many_targets_and_bars_leave_room_for_the_rows(found):
    X, y, traced = found
    few = TraceDisplay.from_trace(traced, X, y, n_blamed=10)
    height = few.figure_.get_size_inches()[1]
    many = vars_of(few, target_coordinates=few.coordinates[:60])
    repeated = {
        name: np.repeat(many[name], 20, axis=0)
        for name in ("blamed", "names", "contributions", "is_removed")
    }
    images = X[np.resize(np.arange(len(X)), 60 + 200)].reshape(-1, 8, 8)
    display = TraceDisplay(**many | repeated, images=images).plot()
    assert len(display.bars_) == 30
    assert len(display.thumbnails_) < 60 / 4 + 30
    assert "of 60 targets" in display.axes_[1].texts[0].get_text()
    assert height < display.figure_.get_size_inches()[1] < 3 * height
    assert display.targets_.get_sizes()[0] < few.targets_.get_sizes()[0] / 4
    # Rings are above the stars, and the legend is not among the rows.
    assert few.blamed_["removed"].zorder > few.targets_.zorder
    few.figure_.canvas.draw()
    legend = few.axes_[0].get_legend().get_window_extent()
    assert legend.y0 >= few.axes_[0].get_window_extent().y1
    display.figure_.canvas.draw()  # the layout has room
    assert display.axes_[0].get_window_extent().width > 100
