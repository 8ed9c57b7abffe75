"""Rows with labels that a filter does not know are rejected and stop nothing."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skpoison import (
    CertifiedBound,
    DropOutliers,
    FilteredClassifier,
    FilterIntersection,
    SlabFilter,
    SphereFilter,
)
from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    FilterUnion,
    LossFilter,
    MahalanobisFilter,
    NeighborsFilter,
    SpectralFilter,
    SubspaceFilter,
)

RADII = {0: 2.0, 1: 2.0}
CENTROIDS = {0: [-2.0, 0.0, 0.0, 0.0, 1.0], 1: [2.0, 0.0, 0.0, 0.0, 0.0]}
FIXED = {"radii": RADII, "centroids": CENTROIDS}

FILTERS = {
    "sphere": SphereFilter(**FIXED),
    "l1": SphereFilter(radii=RADII, norm="l1"),
    "centroids": SphereFilter(centroids=CENTROIDS),
    "slab": SlabFilter(**FIXED),
    "moving slab": SlabFilter(radii=RADII),
    "mahalanobis": MahalanobisFilter(radii=RADII),
    "subspace": SubspaceFilter(radii=RADII, n_components=1, per_class=True),
    "pooled": SubspaceFilter(radii=RADII, n_components=1),
    "neighbors": NeighborsFilter(radii=RADII),
    "neighbor labels": NeighborsFilter(radii={0: 0.5, 1: 0.5}, criterion="labels"),
    "both": SphereFilter(**FIXED) & SlabFilter(radii=RADII),
    "half": SpectralFilter() & SphereFilter(**FIXED),
    "nested": FilterIntersection(
        [
            ("inner", SphereFilter(**FIXED) & SlabFilter(**FIXED)),
            ("outer", MahalanobisFilter(95)),
        ]
    ),
    "either": SphereFilter(radii=RADII) | SlabFilter(**FIXED),
    "nested either": FilterUnion(
        [
            ("inner", SphereFilter(**FIXED) & SlabFilter()),
            ("outer", SlabFilter(**FIXED)),
        ]
    ),
}
each_filter = pytest.mark.parametrize("name", FILTERS)


@pytest.fixture(scope="module")
def clean():
    return make_blobs([60, 50], 5, centers=list(CENTROIDS.values()), random_state=0)


def with_strangers(X, y, labels=(7, -3, 7)):
    """Add rows of other labels, far off and not, at the beginning and in between."""
    strangers = np.array([[0.0] * 5, [1e3, -1e3, 0, 0, 5], [-2.0, 0, 0, 0, 1]])[
        : len(labels)
    ]
    places = [0, 10, 30][: len(labels)]
    X = np.insert(X, places, strangers, axis=0)
    return X, np.insert(y, places, labels), ~np.isin(np.insert(y, places, labels), y)


@each_filter
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_rows_of_unknown_labels_are_rejected_and_change_nothing(name, container, clean):
    X, y, strange = with_strangers(*clean)
    alone = clone(FILTERS[name]).fit(container(clean[0]), clean[1])
    with pytest.warns(FilterWarning, match="3 of 113 rows: their labels, .-3, 7., are"):
        fitted = clone(FILTERS[name]).fit(container(X), y)
    assert fitted.classes_.tolist() == [0, 1]
    assert not fitted.inlier_mask_[strange].any()
    assert np.all(fitted.scores_[strange] == -np.inf)
    np.testing.assert_array_equal(fitted.inlier_mask_[~strange], alone.inlier_mask_)
    np.testing.assert_allclose(fitted.scores_[~strange], alone.scores_, rtol=1e-12)
    for attribute in ("radii_", "centroids_", "directions_"):
        if hasattr(alone, attribute):
            wanted, found = getattr(alone, attribute), getattr(fitted, attribute)
            np.testing.assert_allclose(found, wanted, rtol=1e-12)


@each_filter
def test_new_rows_of_unknown_labels_are_rejected(name, clean):
    X, y, strange = with_strangers(*clean)
    fitted = clone(FILTERS[name]).fit(*clean)
    with pytest.warns(FilterWarning, match="are not among its known labels"):
        decisions = fitted.decision_function(X, y)
    assert np.all(decisions[strange] == -np.inf)
    np.testing.assert_allclose(
        decisions[~strange], fitted.decision_function(*clean), rtol=1e-12
    )
    with pytest.warns(FilterWarning):
        assert fitted.predict(X[:1], [7]).tolist() == [-1]
    with pytest.warns(FilterWarning):
        assert fitted.score_samples(X[:1], [7]).tolist() == [-np.inf]


@each_filter
def test_the_strict_ones_raise(name, clean):
    X, y, _ = with_strangers(*clean)
    strict = clone(FILTERS[name])
    parameters = strict.get_params()
    switches = [one for one in parameters if one.endswith("handle_unknown")]
    strict.set_params(**dict.fromkeys(switches, "error"))
    with pytest.raises(ValueError, match=r"no entry for the labels \[-3, 7\]"):
        strict.fit(X, y)
    strict.fit(*clean)
    with pytest.raises(
        ValueError, match=r"fitted on: \[-3, 7\]\. It was fitted on \[0, 1\]"
    ):
        strict.predict(X, y)


def test_one_strict_member_is_enough(clean):
    X, y, _ = with_strangers(*clean)
    for make in (FilterIntersection, FilterUnion):
        members = [
            ("one", SphereFilter(**FIXED)),
            ("two", SlabFilter(**FIXED, handle_unknown="error")),
        ]
        with pytest.raises(ValueError, match="radii has no entry"):
            make(members).fit(X, y)


def test_members_keep_what_they_say_about_every_row(clean):
    X, y, strange = with_strangers(*clean)
    with pytest.warns(FilterWarning):
        nested = clone(FILTERS["nested"]).fit(X, y)
    inner, outer = nested.filters_
    for member in (inner, outer, *inner.filters_):
        assert member.inlier_mask_.shape == member.scores_.shape == y.shape
        assert not member.inlier_mask_[strange].any()
    np.testing.assert_array_equal(
        nested.inlier_mask_,
        np.all([one.inlier_mask_ for one in inner.filters_], 0) & outer.inlier_mask_,
    )


def test_a_union_keeps_labels_that_one_member_knows(clean):
    X, y, strange = with_strangers(*clean)
    loss = LossFilter(percentile=100)
    either = FilterUnion([("fixed", SphereFilter(**FIXED)), ("loss", loss)]).fit(X, y)
    fixed, everything = either.filters_
    assert either.classes_.tolist() == [-3, 0, 1, 7]
    assert fixed.classes_.tolist() == [0, 1]
    assert either.inlier_mask_.all()
    assert not fixed.inlier_mask_[strange].any()
    np.testing.assert_array_equal(
        fixed.scores_[~strange], SphereFilter(**FIXED).fit(*clean).scores_
    )
    decisions = either.decision_function(X, y)
    np.testing.assert_array_equal(
        decisions[strange], everything.decision_function(X, y)[strange]
    )
    np.testing.assert_array_equal(
        decisions[~strange],
        np.maximum(
            fixed.decision_function(*clean),
            everything.decision_function(X, y)[~strange],
        ),
    )
    # Without labels each row has the best decision over the labels.
    np.testing.assert_array_equal(
        either.decision_function(X),
        np.max(
            [either.decision_function(X, np.full(len(y), k)) for k in (-3, 0, 1, 7)], 0
        ),
    )


def test_members_that_know_different_labels_meet_in_the_middle():
    X, y = make_blobs(90, 3, centers=3, random_state=1)
    narrow = SphereFilter(radii={0: 99.0, 1: 99.0})
    other = SphereFilter(radii={1: 99.0, 2: 99.0})
    with pytest.warns(FilterWarning, match="rows: their labels, .0, 2., are not among"):
        both = FilterIntersection([("a", narrow), ("b", other)]).fit(X, y)
    np.testing.assert_array_equal(both.inlier_mask_, y == 1)
    assert [label for label, _ in both.feasible_set()] == [1]
    either = FilterUnion([("a", narrow), ("b", other)]).fit(X, y)
    assert either.inlier_mask_.all()
    assert [one.classes_.tolist() for one in either.filters_] == [[0, 1], [1, 2]]
    np.testing.assert_array_equal(either.predict(X, y), np.ones(90))
    apart = FilterIntersection([("a", SphereFilter(radii={0: 9.0})), ("b", other)])
    with pytest.raises(
        ValueError, match=r"None of the labels in y, \[0, 1, 2\], is known"
    ):
        apart.fit(X, y)


def test_a_known_class_keeps_a_row_and_an_unknown_one_does_not(clean):
    X, y, strange = with_strangers(*clean)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sphere = SphereFilter(radii={0: 0.0, 1: 2.0}, centroids=CENTROIDS).fit(X, y)
    assert any("every row of the classes [0]" in str(one.message) for one in caught)
    assert sphere.inlier_mask_[y == 0].sum() == 1
    assert not sphere.inlier_mask_[strange].any()


@pytest.mark.parametrize("name", ["sphere", "both", "moving slab"])
def test_classifiers_never_see_labels_that_the_filter_does_not_know(name, clean):
    X, y, _ = with_strangers(*clean)
    frame = pd.DataFrame(X, columns=list("abcde"))
    robust = FilteredClassifier(clone(FILTERS[name]), LogisticRegression())
    expected = clone(robust).fit(
        pd.DataFrame(clean[0], columns=list("abcde")), clean[1]
    )
    with pytest.warns(FilterWarning, match="rejects 3 of 113 rows"):
        found = clone(robust).fit(frame, y)
    assert found.classes_.tolist() == [0, 1]
    np.testing.assert_allclose(found.estimator_.coef_, expected.estimator_.coef_)
    with pytest.warns(FilterWarning, match="rejects 3 of 113 rows"):
        _, kept = DropOutliers(clone(FILTERS[name])).fit_resample(frame, y)
    assert set(kept) == {0, 1}


def test_steps_of_pipelines_cannot_replace_such_rows_and_say_so(clean):
    X, y, _ = with_strangers(*clean)
    pipeline = make_pipeline(SphereFilter(**FIXED), LogisticRegression())
    with (
        pytest.warns(FilterWarning),
        pytest.raises(
            ValueError, match=r"cannot replace the rows of the labels \[-3, 7"
        ),
    ):
        pipeline.fit(X, y)


def test_given_arrays_do_not_say_which_labels_they_know(clean):
    X, y, _ = with_strangers(*clean)
    with pytest.raises(
        ValueError, match=r"one entry for each .* use a dict from label"
    ):
        SphereFilter(radii=[2.0, 2.0]).fit(X, y)


def test_labels_of_another_kind_altogether_are_a_mistake(clean):
    with pytest.raises(ValueError, match="radii has no entry for the labels"):
        SphereFilter(radii=RADII).fit(clean[0], clean[1].astype(str))


def test_objects_of_several_kinds_are_told_apart(clean):
    labels = clean[1].astype(object)
    sphere = SphereFilter(radii=RADII).fit(*clean)
    labels[:3] = ["x", None, True]
    with pytest.warns(FilterWarning, match="3 of 110 rows"):
        predicted = sphere.predict(clean[0], labels)
    assert np.all(predicted[:3] == -1)
    np.testing.assert_array_equal(predicted[3:], sphere.predict(*clean)[3:])


def test_many_labels_make_no_long_warning(clean):
    sphere = SphereFilter(**FIXED).fit(*clean)
    with pytest.warns(FilterWarning, match=r"\[2, 3, 4, 5, 6\] and 105 more, are not"):
        sphere.predict(clean[0], np.arange(2, 112))


@pytest.mark.parametrize("defense", ["fixed", "moving_centroids"])
def test_the_certified_defense_survives_unknown_labels(defense, clean):
    """The filter of a bound, run on clean rows, attack and strangers, as documented."""
    X, y = clean
    parameters = {"radii": RADII} if defense == "moving_centroids" else FIXED
    filter_ = SphereFilter(**parameters) & SlabFilter(**parameters)
    bound = CertifiedBound(filter_, epsilon=0.1, rho=1.0, defense=defense, tol=0.05)
    bound.fit(X, y)
    assert bound.filter_.classes_.tolist() == [0, 1]
    attack = bound.attack_
    X_all = np.vstack([X, np.repeat(attack.X, attack.n_copies, axis=0)])
    y_all = np.append(y, np.repeat(attack.y, attack.n_copies))
    runs = clone(bound.filter_)
    expected = clone(runs).fit(X_all, y_all).inlier_mask_
    X_sent, y_sent, strange = with_strangers(X_all, y_all)
    with pytest.warns(FilterWarning, match="rejects 3 of"):
        runs.fit(X_sent, y_sent)
    np.testing.assert_array_equal(runs.inlier_mask_[~strange], expected)
    assert not runs.inlier_mask_[strange].any()
    assert [label for label, _ in runs.feasible_set()] == [0, 1]


def test_a_bound_on_a_label_that_its_filter_does_not_know_is_refused(clean):
    X, y = clean
    with (
        pytest.warns(FilterWarning),
        pytest.raises(ValueError, match=r"on the labels \[1\]; y has \[1, 7\]"),
    ):
        CertifiedBound(SphereFilter(**FIXED)).fit(X, np.where(y == 0, 7, 1))


@pytest.mark.parametrize("filter_", [SpectralFilter(), LossFilter(), NeighborsFilter()])
def test_fitted_filters_of_all_families_survive_them(filter_, clean):
    """Whoever fits on rows that they trust judges rows that others send."""
    X, y, strange = with_strangers(*clean)
    frozen = FrozenEstimator(clone(filter_).fit(*clean))
    with pytest.warns(FilterWarning, match="3 of 113 rows"):
        predicted = frozen.predict(X, y)
    np.testing.assert_array_equal(predicted[~strange], frozen.predict(*clean))
    assert np.all(predicted[strange] == -1)


ODD = [None, True, "x", "1", 1.5, float("nan")]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("container", [np.asarray, pd.Series])
def test_one_label_of_any_kind_does_not_stop_a_filter_that_knows_its_own(
    odd, container
):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    X = rng.normal(size=(40, 2)) + y[:, np.newaxis]
    several = isinstance(odd, float)
    labels = container(np.array([odd, *y[1:]], dtype=float if several else object))
    filter_ = SphereFilter(radii={0: 9.0, 1: 9.0})
    model = FilteredClassifier(filter_, LogisticRegression())
    with pytest.warns(FilterWarning, match="rejects 1 of 40 rows"):
        model.fit(X, labels)
    assert model.filter_.classes_.tolist() == [0, 1]
    assert not model.inlier_mask_[0]
    assert model.inlier_mask_[1:].all()
    assert model.classes_.tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"y|label"):
        SphereFilter().fit(X, labels)


def test_labels_of_several_kinds_are_shown_where_nothing_says_which_are_known():
    y = np.array(["x", 0, 1, 0], dtype=object)
    with pytest.raises(ValueError, match=r"one kind.*\(number\).*'x' \(str\)"):
        SphereFilter().fit(np.zeros((4, 1)), y)
