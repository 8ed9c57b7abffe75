"""Labels, weights and parameters as careless people and attackers send them."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from skpoison import (
    AutoFilter,
    CertifiedBound,
    FilteredClassifier,
    PartitionedClassifier,
    SphereFilter,
    certified_radius,
)
from skpoison._labels import distinct_labels, find_labels
from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    CrossFitFilter,
    LossFilter,
    NearCopyFilter,
    NeighborsFilter,
    TrimFilter,
)

N = 60
Y = np.arange(N) % 2
X = np.random.default_rng(0).normal(size=(N, 3)) + 4 * Y[:, None]


@pytest.mark.parametrize(
    "y", [np.arange(N), [f"name {i}" for i in range(N)]], ids=["numbers", "names"]
)
@pytest.mark.parametrize("make", [AutoFilter, CrossFitFilter, FilteredClassifier])
def test_names_of_rows_are_no_labels(make, y):
    with pytest.raises(
        ValueError, match=r"60 different labels, .* and 55 more, for 60"
    ):
        make().fit(X, y)


def test_many_classes_are_classes():
    y = np.arange(N) % 20
    assert AutoFilter(random_state=0).fit(X, y).inlier_mask_.all()


@pytest.mark.parametrize("missing", [None, np.nan])
@pytest.mark.parametrize("make", [AutoFilter, CrossFitFilter, SphereFilter, LossFilter])
def test_missing_labels_are_called_missing(make, missing):
    for labels in (["a", "b"], [1, 2]):
        y = np.array([missing, *labels * 30][:N], dtype=object)
        with pytest.raises(ValueError, match="class labels; some are missing"):
            make().fit(X, y)
    with pytest.raises(ValueError, match=r"Input y contains NaN"):
        make().fit(X, np.r_[np.nan, Y[1:]])


@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_warnings_list_a_few_classes_only():
    y = np.arange(N) // 2
    with pytest.warns(
        FilterWarning, match=r"The classes \[0, 1, 2, 3, 4\] and 25 more"
    ):
        NeighborsFilter().fit(X, y)
    with pytest.warns(FilterWarning, match=r"\[0, 1, 2, 3, 4\] and 53 more have one"):
        LossFilter(cv=2).fit(X, np.r_[58, np.arange(N - 1)])


@pytest.mark.parametrize(
    "estimator", [SphereFilter(), IsolationForest(), KMeans()], ids=str
)
@pytest.mark.parametrize("make", [AutoFilter, CrossFitFilter])
def test_outlier_detectors_and_clusterers_judge_no_labels(make, estimator):
    with pytest.raises(ValueError, match="must be a regressor, or a classifier"):
        make(estimator).fit(X, Y)


@pytest.mark.parametrize("groups", [np.zeros((N, 2)), np.zeros(N - 1), {"a": 1}])
def test_near_copies_of_another_shape(groups):
    with pytest.raises(ValueError, match=r"near_copies must hold one group for each"):
        CrossFitFilter(near_copies=groups).fit(X, Y)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_near_copies_that_are_missing(missing):
    groups = np.arange(N).astype(object)
    groups[3] = missing
    for given in (groups, groups.tolist()):
        with pytest.raises(
            ValueError, match=r"near_copies must hold .* some are missing"
        ):
            CrossFitFilter(near_copies=given).fit(X, Y)


def test_near_copies_of_several_kinds():
    groups = np.array([*range(N - 2), "a", "a"], dtype=object)
    found = CrossFitFilter(near_copies=groups, random_state=0).fit(X, Y).groups_
    assert len(np.unique(found)) == N - 1 and found[-1] == found[-2]


def test_a_transformer_that_refuses_the_rows_is_named():
    with pytest.raises(AttributeError) as caught:
        CrossFitFilter(near_copies=TfidfVectorizer()).fit(X, Y)
    assert "near_copies=TfidfVectorizer()" in caught.value.__notes__[0]


@pytest.mark.parametrize("make", [LossFilter, TrimFilter])
def test_folds_that_are_none(make):
    with pytest.raises(
        ValueError, match=r"cv must hold out each row exactly once; \[\]"
    ):
        make(cv=[]).fit(X, Y)
    with pytest.raises(ValueError, match="groups") as caught:
        make(cv=GroupKFold(3)).fit(X, Y)
    assert "cv=list(splitter.split(X, y, groups))" in caught.value.__notes__[0]
    folds = list(GroupKFold(3).split(X, Y, np.arange(N) // 4))
    assert make(cv=folds).fit(X, Y).inlier_mask_.mean() > 0.9


@pytest.mark.parametrize("make", [AutoFilter, LossFilter, FilteredClassifier])
def test_weights_that_overflow(make):
    with pytest.raises(
        ValueError, match=r"weights as large as 1e\+308, whose sum over"
    ):
        make().fit(X, Y, sample_weight=np.full(N, 1e308))


def test_texts_have_no_names_of_features():
    texts = [f"{'cash' if label else 'lunch'} {i % 5}0" for i, label in enumerate(Y)]
    for filter_ in (CrossFitFilter(random_state=0), NearCopyFilter(random_state=0)):
        assert filter_.fit(texts, Y).transform(texts) is texts
        with pytest.raises(ValueError, match="was fitted on rows without features"):
            filter_.get_feature_names_out()
        with pytest.raises(ValueError, match="transform='default'"):
            filter_.set_output(transform="pandas").transform(texts)


@pytest.mark.parametrize("filter_", [AutoFilter(), FrozenEstimator(AutoFilter())])
def test_bounds_say_which_filters_have_a_feasible_set(filter_):
    with pytest.raises(ValueError, match=r"SphereFilter\(\) & SlabFilter\(\); got"):
        CertifiedBound(filter=filter_).fit(X, Y)


def test_radii_say_which_attacks_there_are():
    parts = PartitionedClassifier(LogisticRegression(), n_partitions=5).fit(X, Y)
    with pytest.raises(ValueError, match=r"attack must be one of .*flip.*; got None"):
        certified_radius(parts, X)


EDGES = [-(2**63), -(2**63) + 1, -1, 0, 1, 2, 2**63 - 1]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, float])
def test_labels_are_found_whatever_integers_they_are(dtype):
    rng = np.random.default_rng(0)
    fits = [edge for edge in EDGES if int(np.asarray(edge).astype(dtype)) == edge]
    labels = np.array(fits, dtype=dtype)
    for size in (1, 2, 3, 40):
        y = rng.choice(labels, size)
        assert distinct_labels(y).dtype == y.dtype
        assert distinct_labels(y).tolist() == sorted(set(y.tolist()))
        for classes in ([0], [-1, 0, 1], [1, 2], [0, 2], [2**63 - 1], [-(2**63)]):
            places = {label: place for place, label in enumerate(classes)}
            expected = [places.get(label, -1) for label in y.tolist()]
            assert find_labels(y, classes).tolist() == expected
