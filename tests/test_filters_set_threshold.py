"""A threshold that is changed later is the one of a filter that was fitted with it."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError

from skpoison import EPICFilter, FilterIntersection, SlabFilter, SphereFilter
from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    FilterUnion,
    LossFilter,
    MahalanobisFilter,
    NeighborsFilter,
    SeverFilter,
    SpectralFilter,
    SubspaceFilter,
    TrimFilter,
)

DISTANCE = {
    "sphere": SphereFilter(),
    "l1": SphereFilter(55, norm="l1"),
    "slab": SlabFilter(radii=[3.0, 1.0, 2.0]),
    "mahalanobis": MahalanobisFilter(),
    "subspace": SubspaceFilter(90, n_components=1, per_class=True),
    "kth": NeighborsFilter(),
    "labels": NeighborsFilter(70, criterion="labels"),
    "plurality": NeighborsFilter(criterion="plurality"),
}
SHARE = {
    "spectral": SpectralFilter(),
    "a number": SpectralFilter(contamination=0.3),
    "loss": LossFilter(80, max_iter=1),
}
SETTINGS = [
    *((one, {"percentile": p}) for one in DISTANCE for p in ("auto", 45, 100)),
    *((one, {"radii": [2.5, 0.0, 1e9]}) for one in DISTANCE),
    *((one, {"radii": {0: 0.5, 1: 9.0, 2: 2, 7: 1}}) for one in DISTANCE),
    *((one, {"percentile": p}) for one in SHARE for p in ("auto", 45, 100)),
    *((one, {"contamination": c}) for one in SHARE for c in ("auto", 0.2)),
]


def data():
    X, y = make_blobs([60, 40, 30], 4, cluster_std=3.0, random_state=0)
    X[::25] *= 5
    y[3::17] = (y[3::17] + 1) % 3
    X[50:55] = X[50]  # equal distances are judged as a group
    return X, y


def assert_same(changed, fitted, X, y):
    assert repr(changed) == repr(fitted)
    for name in ("radii_", "offset_", "scores_", "inlier_mask_", "contamination_"):
        if hasattr(fitted, name):
            np.testing.assert_array_equal(
                getattr(changed, name), getattr(fitted, name), err_msg=name
            )
    np.testing.assert_array_equal(
        changed.decision_function(1.1 * X, y), fitted.decision_function(1.1 * X, y)
    )


@pytest.mark.parametrize("kind", [np.asarray, np.float32, sparse.csr_array])
@pytest.mark.parametrize(("name", "setting"), SETTINGS)
@pytest.mark.filterwarnings("ignore:.* rejects every row of the classes")
def test_it_is_as_if_fitted_with_it(name, setting, kind):
    X, y = data()
    X, filter_ = kind(X), clone((DISTANCE | SHARE)[name])
    others = dict.fromkeys(filter_._settings)
    if "radii" in setting:
        del others["percentile"]
    again = clone(filter_).set_params(**{**others, **setting}).fit(X, y)
    changed = filter_.fit(X, y)
    assert changed.set_threshold(**setting) is changed
    assert_same(changed, again, X, y)


def test_rows_of_unknown_labels_stay_rejected():
    X, y = data()
    sphere = SphereFilter(radii={0: 5.0, 1: 5.0})
    with pytest.warns(FilterWarning, match="rejects"):
        sphere.fit(X, y)
    sphere.set_threshold(percentile=100)
    np.testing.assert_array_equal(sphere.inlier_mask_, y < 2)
    np.testing.assert_array_equal(sphere.contamination_, [0, 0])


@pytest.mark.parametrize("kind", [FilterIntersection, FilterUnion])
def test_members_are_changed_by_name(kind):
    X, y = data()
    members = [
        ("sphere", SphereFilter(60)),
        ("both", SlabFilter(80) & NeighborsFilter()),
        ("spectral", SpectralFilter()),
    ]
    settings = {
        "sphere__percentile": 90,
        "both__slabfilter__radii": [1.0, 2.0, 3.0],
        "spectral__contamination": 0.1,
    }
    given = kind(members)
    changed = clone(given).fit(X, y)
    before = changed.filters
    assert changed.set_threshold(**settings) is changed
    again = clone(given).set_params(**settings, spectral__percentile=None).fit(X, y)
    assert_same(changed, again, X, y)
    for one, other in zip(changed.filters_, again.filters_, strict=True):
        assert_same(one, other, X, y)
    assert changed.named_filters_["sphere"] is changed.filters_[0]
    assert before[0][1].percentile == 60


def test_what_is_refused_changes_nothing():
    X, y = data()
    both = FilterIntersection([("sphere", SphereFilter()), ("slab", SlabFilter(70))])
    both.fit(X, y)
    mask = both.inlier_mask_
    refused = [
        ({"sphere__percentile": 50, "slab__percentile": "Auto"}, "'percentile' param"),
        ({"sphere__percentile": 50, "slab__radii": [1.0]}, r"radii must have shape"),
        ({"sphere__radii": [-1.0, 1, 1]}, "radii must not be negative"),
        ({"sphere__percentile": 50, "sphere__radii": [1, 1, 1]}, "exactly one of"),
        ({"sphere__contamination": 0.1}, "exactly one of percentile and radii"),
        ({"percentile": 50}, r"of the members \['sphere', 'slab'\]; got 'percentile'"),
        ({"ball__percentile": 50}, "got 'ball__percentile'"),
    ]
    for settings, message in refused:
        with pytest.raises(ValueError, match=message):
            both.set_threshold(**settings)
        assert both.filters_[0].percentile == both.filters[0][1].percentile == "auto"
        np.testing.assert_array_equal(both.inlier_mask_, mask)
        np.testing.assert_array_equal(
            both.predict(X, y), clone(both).fit(X, y).predict(X, y)
        )
    sphere = SphereFilter().fit(X, y)
    with pytest.raises(ValueError, match="exactly one of percentile and radii; got no"):
        sphere.set_threshold()
    with pytest.raises(ValueError, match="Got 0 instead"):
        sphere.set_threshold(percentile=0)
    assert sphere.percentile == "auto"
    with pytest.raises(NotFittedError):
        SphereFilter().set_threshold(percentile=50)


@pytest.mark.parametrize(
    "filter_", [SeverFilter(), TrimFilter(), LossFilter()], ids=lambda f: type(f)
)
def test_where_scores_depend_on_it_there_is_no_such_method(filter_):
    assert not hasattr(filter_, "set_threshold")
    with pytest.raises(AttributeError, match="has no attribute") as raised:
        _ = filter_.set_threshold
    assert "depend on its threshold: set the para" in str(raised.value.__cause__)


def test_members_without_a_threshold_are_named():
    X, y = data()
    both = (SphereFilter() & SeverFilter()).fit(X, y)
    with pytest.raises(AttributeError, match="This 'SeverFilter' has no attribute"):
        both.set_threshold(severfilter__percentile=80)
    epic = (SphereFilter() & EPICFilter(random_state=0)).fit(X, y)
    with pytest.raises(AttributeError, match="EPICFilter"):
        epic.set_threshold(epicfilter__percentile=80)
    mask = epic.set_threshold(spherefilter__percentile=50).inlier_mask_
    again = clone(epic).fit(X, y)
    np.testing.assert_array_equal(mask, again.inlier_mask_)
