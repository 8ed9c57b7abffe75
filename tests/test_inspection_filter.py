"""Pictures of filters: what is drawn is what the filter does."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.path import Path
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.preprocessing import LabelBinarizer

from skpoison import CertifiedBound, SlabFilter, SphereFilter
from skpoison.inspection import FilterDisplay
from skpoison.inspection._plane import draw_region

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def blobs(n_classes=2, n_features=2, n_rows=150, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n_rows) % n_classes
    centers = 4.0 * rng.normal(size=(n_classes, n_features))
    scales = np.linspace(0.5, 2.0, n_features)
    return centers[y] + rng.normal(size=(n_rows, n_features)) * scales, y


def both(percentile=70):
    return SphereFilter(percentile) & SlabFilter(percentile)


def far_from(display, code, coordinates):
    """Say which points are not so near to a boundary that polygons err there."""
    corners = display.regions_[code].get_path().interpolated(8).vertices
    gaps = np.linalg.norm(coordinates[:, None] - corners[None], axis=2).min(axis=1)
    return gaps > 0.05


@pytest.mark.parametrize("n_classes, classes", [(2, None), (2, [1, 0]), (3, [0, 2])])
def test_in_two_dimensions_rows_are_kept_exactly_in_the_regions_drawn(
    n_classes, classes
):
    X, y = blobs(n_classes)
    filter_ = both(80).fit(X, y)
    display = FilterDisplay.from_estimator(filter_, X, y, classes=classes)
    for code, label in enumerate(display.classes):
        rows = display.codes == code
        points = display.coordinates[rows]
        region = Path(display.regions_[code].get_xy())
        clear = far_from(display, code, points)
        assert clear.sum() > 20
        inside = region.contains_points(points)
        np.testing.assert_array_equal(inside[clear], display.kept[rows][clear])
        np.testing.assert_array_equal(
            display.kept[rows], filter_.predict(X[y == label], y[y == label]) == 1
        )


def test_the_edges_drawn_are_those_of_sphere_and_slab():
    X, y = blobs(n_features=5)
    filter_ = both().fit(X, y)
    display = FilterDisplay.from_estimator(filter_, X, y)
    sphere, slab = filter_.filters_
    half = np.linalg.norm(sphere.centroids_[1] - sphere.centroids_[0]) / 2
    np.testing.assert_allclose(display.centers, [[-half, 0], [half, 0]], atol=1e-12)
    for code, (center, *edges, circle) in enumerate(display.boundaries_):
        middle = display.centers[code]
        np.testing.assert_allclose(center.get_xydata(), [middle])
        radii = np.linalg.norm(circle.get_xydata() - middle, axis=1)
        np.testing.assert_allclose(radii, sphere.radii_[code])
        along = [edge.get_xydata()[:, 0] - middle[0] for edge in edges]
        width = slab.radii_[code]
        # The direction points away from the other class.
        np.testing.assert_allclose(
            np.sort(np.ravel(along)), np.repeat([-1, 1], 2) * width
        )


def lifted(display, X, centroids, points):
    """Return points of the picture as rows; its axes are read off where rows lie."""
    design = np.column_stack([X, np.ones(len(X))])
    axes = np.linalg.lstsq(design, display.coordinates)[0][:-1].T
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-9)
    return centroids.mean(axis=0) + points @ axes


@pytest.mark.parametrize("seed", range(3))
def test_slabs_that_are_oblique_to_the_plane_are_drawn_where_they_cut_it(seed):
    # Of three classes in five dimensions, slabs stand across lines out of the plane.
    X, y = blobs(3, n_features=5, seed=seed)
    filter_ = both(80).fit(X, y)
    sphere, slab = filter_.filters_
    display = FilterDisplay.from_estimator(filter_, X, y, classes=[0, 2])
    X = X[y != 1]
    assert np.all(np.linalg.norm(display.normals, axis=1) < 0.99)
    centroids = sphere.centroids_[[0, 2]]
    rng = np.random.default_rng(seed)
    for code, label in enumerate(display.classes):
        _, *edges, _ = display.boundaries_[code]
        assert edges
        for edge in edges:
            ends = edge.get_xydata()
            within = ends.mean(axis=0) + np.outer([-0.4, 0, 0.4], ends[1] - ends[0])
            rows = lifted(display, X, centroids, within)
            labels = np.full(len(rows), label)
            np.testing.assert_allclose(
                slab.decision_function(rows, labels), 0, atol=1e-9
            )
            assert np.all(sphere.decision_function(rows, labels) > 0)
            # A little beyond the circle, which the edge crosses.
            ends = lifted(display, X, centroids, ends)
            assert np.all(sphere.decision_function(ends, labels[:2]) < 0)
            half = np.linalg.norm(ends - sphere.centroids_[label], axis=1)
            assert np.all(half < 1.1 * sphere.radii_[label])
        points = display.centers[code] + 1.2 * display.radii[code] * (
            2 * rng.random((300, 2)) - 1
        )
        points = points[far_from(display, code, points)]
        rows = lifted(display, X, centroids, points)
        kept = filter_.predict(rows, np.full(len(rows), label)) == 1
        region = Path(display.regions_[code].get_xy())
        assert 20 < kept.sum() < len(kept) - 20
        np.testing.assert_array_equal(region.contains_points(points), kept)


def test_edges_that_miss_the_circle_are_not_drawn():
    _, ax = plt.subplots()
    look = {"color": "red", "kwargs": None}
    center, normal = np.zeros(2), np.array([0.5, 0.0])
    # The slab reaches to 2 and -0.6 in the plane; the circle to 1.
    limits = np.array([-0.3, 1.0])
    _, (_, *edges, _) = draw_region(ax, center, 1.0, normal, limits, **look)
    (edge,) = edges
    np.testing.assert_allclose(edge.get_xydata()[:, 0], -0.6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("n_rows, n_features", [(150, 6), (30, 80)])
def test_the_second_axis_is_the_principal_direction_across(
    dtype, container, n_rows, n_features, monkeypatch
):
    X, y = blobs(n_features=n_features, n_rows=n_rows)
    X = X.astype(dtype)
    rows = container(X)
    filter_ = both().fit(rows, y)
    monkeypatch.setattr(sparse.csr_array, "toarray", None)  # must stay sparse
    display = FilterDisplay.from_estimator(filter_, rows, y)
    means = np.array([X[y == code].mean(axis=0) for code in (0, 1)])
    line = means[1] - means[0]
    line /= np.linalg.norm(line)
    centred = X - means[y]
    centred = centred - np.outer(centred @ line, line)
    # Each class is centred already, so that PCA's own centring does nothing.
    axis = PCA(1, svd_solver="full").fit(centred).components_[0]
    expected = (X - means.mean(axis=0)) @ np.stack([line, axis]).T
    found = display.coordinates
    tol = 1e-6 if dtype is np.float64 else 2e-2
    np.testing.assert_allclose(found[:, 0], expected[:, 0], atol=tol)
    np.testing.assert_allclose(np.abs(found[:, 1]), np.abs(expected[:, 1]), atol=tol)


def test_rows_without_spread_across_still_have_an_axis():
    X = np.outer(np.arange(8.0), [3.0, 4.0])
    y = np.repeat([0, 1], 4)
    display = FilterDisplay.from_estimator(both(100).fit(X, y), X, y)
    np.testing.assert_allclose(display.coordinates[:, 1], 0.0, atol=1e-9)
    np.testing.assert_allclose(np.diff(display.coordinates[:, 0]), 5.0)


def test_every_row_is_drawn_once_with_what_became_of_it():
    X, y = blobs()
    mask = np.zeros(len(y), dtype=bool)
    mask[:20] = True
    y = np.array(["ham", "spam"])[y]
    display = FilterDisplay.from_estimator(both().fit(X, y), X, y, poison_mask=mask)
    names = np.array(["rejected", "kept"])[display.kept.astype(int)]
    for (label, group), artist in display.rows_.items():
        wanted = (y == label) & (mask == group.startswith("poison"))
        wanted &= names == group.split()[-1]
        np.testing.assert_array_equal(artist.get_offsets(), display.coordinates[wanted])
    drawn = sum(len(artist.get_offsets()) for artist in display.rows_.values())
    assert (drawn, len(display.rows_)) == (len(y), 8)
    texts = {text.get_text() for text in display.ax_.get_legend().get_texts()}
    assert texts == {f"{label}, {group}" for label, group in display.rows_}


def test_groups_differ_without_colours():
    X, y = blobs()
    mask = np.arange(len(y)) < 20
    display = FilterDisplay.from_estimator(both().fit(X, y), X, y, poison_mask=mask)
    looks = set()
    for artist in display.rows_.values():
        shape = artist.get_paths()[0].vertices.round(3).tobytes()
        faces = artist.get_facecolor()
        white = faces[:, :3].min() if len(faces) and faces[0, 3] else 1.0
        looks.add((shape, artist.get_sizes()[0], white == 1.0))
    assert len(looks) == len(display.rows_)


def test_labels_and_aspect():
    X, y = blobs()
    display = FilterDisplay.from_estimator(SphereFilter().fit(X, y), X, y)
    assert display.ax_.get_xlabel() == "Along the line between the centroids"
    assert display.ax_.get_ylabel() == "Orthogonal direction of largest variance"
    assert display.ax_.get_aspect() == 1.0
    texts = {text.get_text() for text in display.ax_.get_legend().get_texts()}
    assert "class 0, kept" in texts


def test_sphere_alone_and_slab_alone():
    X, y = blobs()
    sphere = FilterDisplay.from_estimator(SphereFilter().fit(X, y), X, y)
    slab = FilterDisplay.from_estimator(SlabFilter().fit(X, y), X, y)
    assert [len(lines) for lines in sphere.boundaries_] == [2, 2]  # center, circle
    assert [len(lines) for lines in slab.boundaries_] == [3, 3]  # center, two edges
    assert slab.regions_ == [None, None]
    assert np.all(np.isinf(slab.radii))
    np.testing.assert_array_equal(sphere.normals, 0.0)


def test_rows_far_outside_are_counted_in_the_picture_and_shown_on_demand():
    X, y = blobs()
    filter_ = both(100).fit(X, y)
    near = FilterDisplay.from_estimator(filter_, X, y)
    assert (near.n_beyond_, len(near.ax_.texts)) == (0, 0)
    X[:3] += 300.0
    display = FilterDisplay.from_estimator(filter_, X, y)
    assert display.n_beyond_ == 3
    assert [text.get_text() for text in display.ax_.texts] == ["3 rows outside"]
    low, high = np.transpose([display.ax_.get_xlim(), display.ax_.get_ylim()])
    within = np.all(
        (low <= display.coordinates) & (display.coordinates <= high), axis=1
    )
    np.testing.assert_array_equal(np.flatnonzero(~within), [0, 1, 2])
    reach = np.max(np.abs(display.centers) + display.radii[:, None])
    assert np.max(np.abs([low, high])) < 2 * reach
    assert np.all(low < (display.centers - display.radii[:, None]).min(axis=0))
    assert np.all(high > (display.centers + display.radii[:, None]).max(axis=0))
    display.plot(whole=True)
    assert (display.n_beyond_, len(display.ax_.texts)) == (0, 0)
    assert display.ax_.get_xlim()[1] > 200 or display.ax_.get_ylim()[1] > 200


def test_a_subsample_is_the_same_each_time_and_never_loses_poison():
    X, y = blobs(n_rows=400)
    filter_, mask = both().fit(X, y), np.arange(400) < 30
    options = {"poison_mask": mask, "max_rows": 50}
    one, two, other = (
        FilterDisplay.from_estimator(filter_, X, y, random_state=seed, **options)
        for seed in (0, 0, 1)
    )
    assert (len(one.codes), one.poison_mask.sum()) == (80, 30)
    assert len(np.unique(one.coordinates, axis=0)) == 80
    np.testing.assert_array_equal(one.coordinates, two.coordinates)
    assert not np.array_equal(one.coordinates, other.coordinates)
    whole = FilterDisplay.from_estimator(filter_, X, y, max_rows=400)
    assert set(map(tuple, one.coordinates)) <= set(map(tuple, whole.coordinates))


def test_a_fixed_filter_judges_other_rows_and_stays_as_it_is():
    X, y = blobs()
    filter_ = both().fit(X, y)
    radii = filter_.filters_[0].radii_.copy()
    display = FilterDisplay.from_estimator(filter_, 5.0 * X, y)
    np.testing.assert_array_equal(display.kept, filter_.predict(5.0 * X, y) == 1)
    np.testing.assert_array_equal(display.radii, radii)


def test_axes_and_styles_of_the_caller_are_used():
    X, y = blobs()
    filter_ = both().fit(X, y)
    _, ax = plt.subplots()
    display = FilterDisplay.from_estimator(
        filter_, X, y, ax=ax, row_kwargs={"s": 77}, region_kwargs={"alpha": 0.9}
    )
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert len(plt.get_fignums()) == 1
    assert display.rows_[0, "kept"].get_sizes() == [77]
    assert display.regions_[0].get_alpha() == 0.9
    assert display.plot().ax_ is not ax


class Odd(SphereFilter):
    """A filter whose feasible set is something else."""

    def feasible_set(self):
        return {label: object() for label in self.classes_}


def test_filters_that_cannot_be_drawn_say_so():
    X, y = blobs()
    with pytest.raises(NotFittedError, match="SphereFilter"):
        FilterDisplay.from_estimator(SphereFilter(), X, y)
    transductive = LabelBinarizer().fit(y)  # fitted, with classes_, no feasible set
    with pytest.raises(TypeError, match="LabelBinarizer has no feasible set"):
        FilterDisplay.from_estimator(transductive, X, y)
    with pytest.raises(TypeError, match="feasible set is of the type object"):
        FilterDisplay.from_estimator(Odd().fit(X, y), X, y)


@pytest.mark.parametrize(
    "classes, message",
    [
        (None, r"must be two of the filter's labels.*\[0, 1, 2\]"),
        ([1], "must be two of the filter's labels"),
        ([1, 1], "must be two of the filter's labels"),
        ([0, 9], r"contains \[9\].*\[0, 1, 2\]"),
    ],
)
def test_classes_must_be_two_that_the_filter_knows(classes, message):
    X, y = blobs(3)
    with pytest.raises(ValueError, match=message):
        FilterDisplay.from_estimator(both().fit(X, y), X, y, classes=classes)


def test_one_class_cannot_be_drawn():
    X, y = blobs()
    with pytest.raises(ValueError, match="must be two of the filter's labels"):
        FilterDisplay.from_estimator(SphereFilter().fit(X), X, y)
    with pytest.raises(ValueError, match="no rows of the class"):
        FilterDisplay.from_estimator(both().fit(X, y), X[y == 0], y[y == 0])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"X": np.ones((150, 3))}, "3 features"),
        ({"y": np.zeros(150)}, "no rows of the class"),
        ({"y": np.arange(7) % 2}, "inconsistent numbers of samples"),
        ({"poison_mask": np.zeros(7, dtype=bool)}, "inconsistent numbers of samples"),
        ({"poison_mask": np.zeros(150)}, "must be boolean.*float64"),
        ({"X": np.full((150, 2), np.nan)}, "NaN"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    X, y = blobs()
    filter_ = both().fit(X, y)
    with pytest.raises(ValueError, match=message):
        FilterDisplay.from_estimator(filter_, **({"X": X, "y": y} | change))
    assert plt.get_fignums() == []


def test_data_without_a_plane_are_refused():
    X, y = blobs()
    with pytest.raises(ValueError, match="single feature"):
        FilterDisplay.from_estimator(SphereFilter().fit(X[:, :1], y), X[:, :1], y)
    same = SphereFilter(centroids=[[1.0, 2.0]] * 2).fit(X, y)
    with pytest.raises(ValueError, match="centroids are identical"):
        FilterDisplay.from_estimator(same, X, y)


@pytest.mark.parametrize("name", ["codes", "kept", "poison_mask"])
def test_arrays_given_to_the_constructor_must_be_equally_long(name):
    X, y = blobs()
    display = FilterDisplay.from_estimator(both().fit(X, y), X, y)
    display.poison_mask = np.zeros(len(y), dtype=bool)
    parameters = vars(display) | {name: getattr(display, name)[:9]}
    wanted = {key: value for key, value in parameters.items() if key[-1] != "_"}
    with pytest.raises(ValueError, match=f"{name} must have an entry for each of the"):
        FilterDisplay(**wanted).plot()


def test_matplotlib_missing_is_an_error_that_says_so(monkeypatch):
    X, y = blobs()
    filter_ = both().fit(X, y)
    display = FilterDisplay.from_estimator(filter_, X, y)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="from_estimator requires matplotlib"):
        FilterDisplay.from_estimator(filter_, X, y)
    with pytest.raises(ImportError, match=r"FilterDisplay\.plot requires matplotlib"):
        display.plot()


def test_importing_does_not_load_matplotlib():
    program = "import sys, skpoison.inspection; print('matplotlib' in sys.modules)"
    shown = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert shown.strip() == "False"


def test_mnist_looks_as_in_the_paper(data_folder):
    """Figure 1(a): classes apart, and the attack at the slab's edge between them."""
    with np.load(data_folder / "mnist_17.npz") as data:
        X, y = data["X_train"] / 255.0, data["y_train"]
    bound = CertifiedBound(epsilon=0.3, rho=0.8**0.5, random_state=0).fit(X, y)
    attack = bound.attack_
    X, y = np.vstack([X, attack.X]), np.concatenate([y, attack.y])
    mask = np.arange(len(y)) >= len(y) - len(attack.y)
    display = FilterDisplay.from_estimator(bound.filter_, X, y, poison_mask=mask)
    poison = display.poison_mask
    assert display.kept[poison].all()
    assert np.mean(display.kept[~poison]) == pytest.approx(0.53, abs=0.03)
    edges = display.limits * display.normals[:, :1] + display.centers[:, :1]
    left, right = np.sort(edges, axis=1)
    assert left[1] < right[0]  # the slabs do not touch
    inner = np.array([right[0], left[1]])
    if display.centers[0, 0] < display.centers[1, 0]:
        inner = np.array([left[1], right[0]])
    np.testing.assert_allclose(
        display.coordinates[poison, 0], inner[display.codes[poison]], atol=1e-3
    )
    from_center = display.coordinates[poison] - display.centers[display.codes[poison]]
    assert np.all(
        np.linalg.norm(from_center, axis=1) <= display.radii[display.codes[poison]]
    )


def test_scikit_learn_draws_what_a_filter_keeps():
    X, y = blobs()
    filter_ = SphereFilter(80).fit(X, y)
    drawn = DecisionBoundaryDisplay.from_estimator(
        filter_, X, response_method="decision_function", grid_resolution=20
    )
    grid = np.c_[drawn.xx0.ravel(), drawn.xx1.ravel()]
    kept = drawn.response.ravel() >= 0
    np.testing.assert_array_equal(kept, filter_.predict(grid) == 1)
    assert kept.any()
    assert not kept.all()
