"""Intersections and unions of filters."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.neighbors import LocalOutlierFactor

from skpoison import FilterIntersection, SlabFilter, SphereFilter
from skpoison.base import BaseFilter
from skpoison.exceptions import FilterWarning
from skpoison.filters import FilterUnion, SpectralFilter, _centroid


@pytest.fixture
def blobs():
    return make_blobs(200, 4, centers=2, random_state=0)


def sphere_and_slab(**parameters):
    members = [("sphere", SphereFilter()), ("slab", SlabFilter())]
    return FilterIntersection(members).set_params(**parameters)


def test_rows_must_pass_members_that_see_all_rows(blobs):
    X, y = blobs
    both = sphere_and_slab(sphere__percentile=60, slab__percentile=80).fit(X, y)
    members = [SphereFilter(60).fit(X, y), SlabFilter(80).fit(X, y)]
    for fitted, alone in zip(both.filters_, members, strict=True):
        np.testing.assert_array_equal(fitted.scores_, alone.scores_)
        np.testing.assert_array_equal(fitted.radii_, alone.radii_)
    masks = [alone.inlier_mask_ for alone in members]
    np.testing.assert_array_equal(both.inlier_mask_, masks[0] & masks[1])
    decisions = [alone.decision_function(X + 1, y) for alone in members]
    found = both.decision_function(X + 1, y)
    np.testing.assert_array_equal(found, np.minimum(*decisions))


@pytest.fixture
def passes_made(monkeypatch):
    """Names of the passes over the rows, as they are made."""
    made = []

    def counted(name):
        function = getattr(_centroid, name)

        def pass_over_rows(*args):
            made.append(name)
            return function(*args)

        monkeypatch.setattr(_centroid, name, pass_over_rows)

    counted("class_means")
    counted("measure")
    return made


def test_members_share_their_passes_over_the_rows(blobs, passes_made):
    X, y = blobs
    both = SphereFilter() & (SlabFilter() & SphereFilter(80))
    both.fit(X, y)
    assert passes_made == ["class_means", "measure"]
    passes_made.clear()
    both.decision_function(X, y)
    assert passes_made == ["measure"]
    passes_made.clear()
    FilterIntersection([("inner", both), ("outer", SphereFilter(60))]).fit(X, y)
    assert passes_made == ["class_means", "measure"]


@pytest.mark.parametrize("kind", [np.asarray, np.float32, sparse.csr_array])
@pytest.mark.parametrize("given", [None, np.array([[0.0, 1, 2, 3], [3, 2, 1, 0]])])
def test_shared_passes_change_no_bit(kind, given, blobs):
    X, y = blobs
    X = kind(X)
    members = [SphereFilter(60), SlabFilter(80, centroids=given), SlabFilter(70)]
    both = FilterIntersection([(str(i), one) for i, one in enumerate(members)])
    both.fit(X, y)
    for shared, alone in zip(both.filters_, members, strict=True):
        alone.fit(X, y)
        np.testing.assert_array_equal(shared.centroids_, alone.centroids_)
        np.testing.assert_array_equal(shared.scores_, alone.scores_)
    decisions = [alone.decision_function(X, y) for alone in members]
    found = both.decision_function(X, y)
    np.testing.assert_array_equal(found, np.min(decisions, axis=0))


def test_members_do_not_share_their_attributes(blobs):
    both = (SphereFilter() & SlabFilter()).fit(*blobs)
    both.filters_[0].centroids_[:] = 0
    assert np.all(both.filters_[1].centroids_ != 0)


def test_training_rows_are_judged_alike_at_fit_and_later(blobs):
    X, y = blobs
    both = sphere_and_slab().fit(X, y)
    np.testing.assert_array_equal(both.predict(X, y) == 1, both.inlier_mask_)
    np.testing.assert_array_equal(both.score_samples(X, y), both.scores_)


def test_without_labels_one_label_must_pass_all_members(blobs):
    X, y = blobs
    both = sphere_and_slab().fit(X, y)
    rows = X + 2
    each = [both.decision_function(rows, np.full(len(X), k)) for k in (0, 1)]
    np.testing.assert_array_equal(both.decision_function(rows), np.max(each, axis=0))


def test_and_names_members_by_their_classes():
    both = SphereFilter(60) & SlabFilter()
    assert [name for name, _ in both.filters] == ["spherefilter", "slabfilter"]
    assert both.get_params()["spherefilter__percentile"] == 60


def test_and_takes_intersections_apart():
    three = SphereFilter(1) & (SlabFilter(2) & SphereFilter(3))
    assert [name for name, _ in three.filters] == [
        "spherefilter-1",
        "slabfilter",
        "spherefilter-2",
    ]
    assert [member.percentile for _, member in three.filters] == [1, 2, 3]
    named = sphere_and_slab() & SphereFilter()
    assert [name for name, _ in named.filters] == ["sphere", "slab", "spherefilter-2"]


def test_and_accepts_filters_only():
    with pytest.raises(TypeError, match="unsupported operand"):
        SphereFilter() & LocalOutlierFactor()


def test_members_and_their_parameters_are_parameters(blobs):
    both = sphere_and_slab(sphere__percentile=10, slab=SphereFilter(20))
    assert both.get_params(deep=False).keys() == {"filters", "random_state"}
    assert both.get_params()["slab"].percentile == 20
    assert clone(both).get_params()["sphere__percentile"] == 10
    assert both.fit(*blobs).named_filters_["sphere"].percentile == 10
    assert not hasattr(both.filters[0][1], "radii_")


def test_a_class_whose_rows_all_fail_keeps_its_best_one_and_warns():
    # Of class 0, one half passes the sphere and the other half the slab.
    y = np.repeat([0, 1], 4)
    X = np.array([[0, 9], [1, 0], [2, 0], [0, -8], [50, 0], [50, 0], [51, 0], [50, 0]])
    both = FilterIntersection(
        [
            ("slab", SlabFilter(centroids=[[0, 0], [50, 0]], radii=[0.5, 9])),
            ("sphere", SphereFilter(centroids=[[0, 0], [50, 0]], radii=[7, 9])),
        ]
    )
    with pytest.warns(FilterWarning, match=r"every row of the classes \[0\]"):
        both.fit(X, y)
    np.testing.assert_array_equal(np.flatnonzero(both.inlier_mask_[:4]), [1])
    np.testing.assert_array_equal(both.predict(X, y)[:4], -1)


def test_the_feasible_set_is_the_intersection_of_the_members_sets(blobs):
    X, y = blobs
    both = sphere_and_slab().fit(X, y)
    feasible = both.feasible_set()
    rows = X + np.random.default_rng(0).normal(size=X.shape)
    for label in (0, 1):
        labels = np.full(len(X), label)
        clear = np.abs(both.decision_function(rows, labels)) > 1e-9
        np.testing.assert_array_equal(
            feasible[label].contains(rows[clear]),
            both.predict(rows, labels)[clear] == 1,
        )


class FirstRows(BaseFilter):
    """Keeps the first half of the training rows; knows nothing of new ones."""

    _transductive = True

    def _fit(self, X, codes):
        scores = np.linspace(1, -1, len(codes))
        return scores, scores


def test_members_without_a_feasible_set_or_new_scores_take_these_away(blobs):
    X, y = blobs
    mixed = SphereFilter() & FirstRows()
    assert not hasattr(mixed, "feasible_set")
    assert not hasattr(mixed, "predict")
    mixed.fit(X, y)
    sphere = SphereFilter().fit(X, y)
    expected = sphere.inlier_mask_ & (np.arange(200) < 100)
    np.testing.assert_array_equal(mixed.inlier_mask_, expected)


def test_a_member_that_does_not_look_for_nan_is_guarded(blobs):
    X, y = blobs
    X[3, 1] = np.nan
    for mixed in (
        SphereFilter() & FirstRows(),
        FilterIntersection([("f", FirstRows())]),
    ):
        with pytest.raises(ValueError, match="contains NaN"):
            mixed.fit(X, y)


@pytest.mark.parametrize(
    ("filters", "error", "message"),
    [
        ([], ValueError, "at least one"),
        ("sphere", ValueError, "'filters' parameter"),
        ([SphereFilter()], TypeError, r"must hold \(name, filter\) tuples"),
        ([("lof", LocalOutlierFactor())], TypeError, "'lof' is a LocalOutlierFactor"),
        ([("a", SphereFilter())] * 2, ValueError, "not unique"),
        ([("a__b", SphereFilter())], ValueError, "must not contain __"),
        ([("a", SphereFilter(0))], ValueError, "'percentile' parameter"),
    ],
)
def test_bad_members_are_named(filters, error, message, blobs):
    with pytest.raises(error, match=message):
        FilterIntersection(filters).fit(*blobs)


def test_rows_must_pass_one_member_of_a_union(blobs):
    X, y = blobs
    either = SphereFilter(60) | SlabFilter(40) | SpectralFilter(30)
    assert [name for name, _ in either.filters] == [
        "spherefilter",
        "slabfilter",
        "spectralfilter",
    ]
    either.fit(X, y)
    members = [SphereFilter(60), SlabFilter(40), SpectralFilter(30)]
    masks = [alone.fit(X, y).inlier_mask_ for alone in members]
    np.testing.assert_array_equal(either.inlier_mask_, np.any(masks, axis=0))
    decisions = [alone.decision_function(X + 1, y) for alone in members]
    found = either.decision_function(X + 1, y)
    np.testing.assert_array_equal(found, np.max(decisions, axis=0))


def test_unions_and_intersections_nest_as_written(blobs, passes_made):
    X, y = blobs
    sphere, slab = SphereFilter(60), SlabFilter(50)
    nested = sphere & (slab | sphere)
    assert isinstance(nested.filters[1][1], FilterUnion)
    nested.fit(X, y)
    assert passes_made == ["class_means", "measure"]
    np.testing.assert_array_equal(nested.inlier_mask_, sphere.fit(X, y).inlier_mask_)
    other = (slab & sphere) | sphere
    assert [name for name, _ in other.filters] == ["filterintersection", "spherefilter"]
    np.testing.assert_array_equal(other.fit(X, y).inlier_mask_, sphere.inlier_mask_)
    assert other.get_params()["filterintersection__slabfilter__percentile"] == 50


def test_unions_have_no_feasible_set_and_accept_filters_only(blobs):
    either = SphereFilter() | SlabFilter()
    assert not hasattr(either.fit(*blobs), "feasible_set")
    assert not hasattr(SphereFilter() | FirstRows(), "predict")
    with pytest.raises(TypeError, match="unsupported operand"):
        SphereFilter() | LocalOutlierFactor()
    with pytest.raises(ValueError, match="at least one"):
        FilterUnion([]).fit(*blobs)
