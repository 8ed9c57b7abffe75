"""Thresholds that come from the data, and the share that each class loses by them."""

import inspect

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_blobs,
    make_regression,
)
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import StandardScaler

from skpoison import CertifiedBound, EPICFilter, SlabFilter, SphereFilter
from skpoison.attacks import KKTAttack, LabelFlipAttack, MinMaxAttack
from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    ActivationClusteringFilter,
    LossFilter,
    MahalanobisFilter,
    NearCopyFilter,
    NeighborsFilter,
    SeverFilter,
    SpectralFilter,
    SubspaceFilter,
    TrimFilter,
)
from skpoison.filters._threshold import bulk_threshold
from skpoison.inspection import BoundDisplay

RIDGE = RidgeClassifier(tol=1e-12)
# Those whose threshold is the end of the bulk of distances.
BULK = {
    "sphere": SphereFilter(),
    "l1": SphereFilter(norm="l1"),
    "slab": SlabFilter(),
    "mahalanobis": MahalanobisFilter(),
    "subspace": SubspaceFilter(n_components=1),
    "kth": NeighborsFilter(),
    "mean": NeighborsFilter(criterion="mean"),
    "spectral": SpectralFilter(),
}
# Those that reject as many rows as another label suits.
LABELS = {
    "labels": NeighborsFilter(criterion="labels", n_neighbors=10),
    "plurality": NeighborsFilter(criterion="plurality", n_neighbors=10),
    "loss": LossFilter(),
    "hinge": LossFilter(loss="hinge", max_iter=1),
    "sever": SeverFilter(),
}
PENALIZED = ("loss", "hinge", "sever", "ridge")
ALL = {
    **BULK,
    **LABELS,
    "ridge": SeverFilter(estimator=RIDGE, loss="squared", n_rounds=1),
    "and": MahalanobisFilter() & SphereFilter(),
    "or": SpectralFilter() | SlabFilter(),
}


def filters(members):
    return pytest.mark.parametrize("filter_", members.values(), ids=list(members))


def blobs_with_outliers(seed=0):
    """Two classes of normal rows; some rows far out, some labels wrong."""
    X, y = make_blobs([120, 60], 5, cluster_std=2.0, random_state=seed)
    X[::40] *= 12
    y[7::25] = 1 - y[7::25]
    return X, y


TABLES = {
    "breast cancer": load_breast_cancer,
    "wine": load_wine,
    "digits": load_digits,
    "iris": load_iris,
}


@pytest.fixture(params=TABLES)
def honest(request):
    X, y = TABLES[request.param](return_X_y=True)
    return StandardScaler().fit_transform(X), y


def test_it_is_the_default():
    by_percentile = [SphereFilter, SlabFilter, MahalanobisFilter, SubspaceFilter]
    for kind in (*by_percentile, NeighborsFilter):
        assert inspect.signature(kind).parameters["percentile"].default == "auto"
    for kind in (SpectralFilter, LossFilter, SeverFilter, TrimFilter):
        assert inspect.signature(kind).parameters["contamination"].default == "auto"


@filters(BULK)
@pytest.mark.filterwarnings("ignore:The subspace has all")
def test_radii_are_where_the_bulk_of_the_distances_ends(filter_):
    X, y = blobs_with_outliers()
    fitted = clone(filter_).fit(X, y)
    distances = -fitted.scores_
    is_square = isinstance(filter_, SpectralFilter)
    for code in (0, 1):
        of_class = distances[y == code]
        if is_square:
            expected = bulk_threshold(np.sqrt(of_class)) ** 2
        else:
            expected = bulk_threshold(of_class)
        np.testing.assert_allclose(fitted.radii_[code], expected, rtol=1e-12)
    assert 0 < np.sum(~fitted.inlier_mask_) < 30


@filters({name: BULK[name] for name in ("sphere", "slab", "kth", "mahalanobis")})
def test_honest_rows_are_hardly_rejected(filter_, honest):
    X, y = honest
    assert np.median(clone(filter_).fit(X, y).contamination_) <= 0.015


def planted_far(X, y, times, along=None):
    """Replace 5 % of each class by rows so many times as far as usual."""
    X, rng = X.copy(), np.random.default_rng(0)
    planted = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        rows = np.flatnonzero(y == label)
        center = X[rows].mean(axis=0)
        usual = np.median(np.linalg.norm(X[rows] - center, axis=1))
        chosen = rng.permutation(rows)[: len(rows) // 20]
        steps = rng.normal(size=(len(chosen), X.shape[1]))
        if along is not None:
            steps = rng.choice([-1.0, 1.0], len(chosen))[:, None] * along
        steps *= times * usual / np.linalg.norm(steps, axis=1, keepdims=True)
        X[chosen], planted[chosen] = center + steps, True
    return X, planted


@filters({name: BULK[name] for name in ("sphere", "kth", "mean")})
def test_rows_planted_far_are_all_rejected(filter_, honest):
    X, y = honest
    for times in (12, 1e6):
        poisoned, planted = planted_far(X, y, times)
        mask = clone(filter_).fit(poisoned, y).inlier_mask_
        assert not mask[planted].any()
        assert np.mean(~mask[~planted]) <= 0.05


@pytest.mark.parametrize("times", [8, 1e6])
def test_so_are_rows_that_only_the_slab_or_the_ellipsoid_sees(times):
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    between = X[y == 1].mean(axis=0) - X[y == 0].mean(axis=0)
    poisoned, planted = planted_far(X, y, times, along=between)
    centers = np.stack([X[y == label].mean(axis=0) for label in (0, 1)])
    slab = SlabFilter(centroids=centers).fit(poisoned, y)
    assert not slab.inlier_mask_[planted].any()
    assert np.mean(~slab.inlier_mask_[~planted]) <= 0.01
    poisoned, planted = planted_far(X, y, times)
    ellipsoid = MahalanobisFilter().fit(poisoned, y)
    assert not ellipsoid.inlier_mask_[planted].any()


@filters(LABELS)
def test_wrong_labels_are_counted(filter_):
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    rows = np.random.default_rng(1).permutation(len(y))[:57]
    wrong = np.zeros(len(y), dtype=bool)
    wrong[rows] = True
    assert clone(filter_).fit(X, y).contamination_.max() <= 0.045
    rejected = ~clone(filter_).fit(X, np.where(wrong, 1 - y, y)).inlier_mask_
    assert np.sum(rejected & wrong) >= 35
    assert np.sum(rejected & ~wrong) <= 20


def test_sever_ends_when_a_round_finds_nothing():
    X, y = make_blobs(100, 3, centers=[[-9, 0, 0], [9, 0, 0]], random_state=0)
    sever = SeverFilter(n_rounds=7).fit(X, y)
    assert len(sever.rounds_) == 1
    assert sever.inlier_mask_.all()
    assert len(SeverFilter(70, n_rounds=7).fit(X, y).rounds_) == 7


def test_targets_beyond_the_bulk_are_rejected():
    X, y = make_regression(200, 4, noise=5.0, random_state=0)
    for loss in ("squared", "absolute"):
        trim = TrimFilter(loss=loss, random_state=0)
        assert trim.fit(X, y).contamination_ <= 0.01
        for share in (0.05, 0.15):
            poisoned = y.copy()
            wrong = slice(0, int(share * len(y)))
            poisoned[wrong] += 500.0
            mask = trim.fit(X, poisoned).inlier_mask_
            assert not mask[wrong].any()
            assert mask[wrong.stop :].mean() >= 0.98


@filters(ALL)
@pytest.mark.filterwarnings("ignore:The subspace has all")
def test_training_rows_are_judged_alike_at_fit_and_later(filter_):
    X, y = blobs_with_outliers()
    for rows in (X, X.astype(np.float32), sparse.csr_array(X)):
        fitted = clone(filter_).fit(rows, y)
        np.testing.assert_array_equal(fitted.predict(rows, y) == 1, fitted.inlier_mask_)
        for i in range(0, len(y), 7):
            kept = fitted.predict(rows[[i]], y[[i]])[0] == 1
            assert kept == fitted.inlier_mask_[i]


@filters({name: ALL[name] for name in ALL if name not in PENALIZED})
@pytest.mark.filterwarnings("ignore:The subspace has all")
def test_units_do_not_matter(filter_):
    X, y = blobs_with_outliers()
    mask = clone(filter_).fit(X, y).inlier_mask_
    for exponent in (-40, 40):
        scaled = clone(filter_).fit(X * 2.0**exponent, y)
        np.testing.assert_array_equal(scaled.inlier_mask_, mask)


@filters(ALL)
@pytest.mark.filterwarnings("ignore:The subspace has all")
@pytest.mark.filterwarnings("ignore::skpoison.exceptions.FilterWarning")
def test_few_or_equal_rows_are_all_kept(filter_):
    X = np.repeat([[1.0, 2.0], [5.0, 3.0]], 20, axis=0)
    y = np.repeat([0, 1], 20)
    assert clone(filter_).fit(X, y).inlier_mask_.all()
    few = np.array([[0.0, 1.0], [0.0, 2.0], [9.0, 9.0]])
    assert clone(filter_).fit(few, [0, 0, 1]).inlier_mask_.all()


OTHERS = {
    "epic": EPICFilter(random_state=0),
    "clusters": ActivationClusteringFilter(max_fraction=0.5, random_state=0),
    "copies": NearCopyFilter(),
    "a number": SphereFilter(60),
    "given": SphereFilter(radii={0: 4.0, 1: 8.0}),
}


@filters(ALL | OTHERS)
@pytest.mark.filterwarnings("ignore:The subspace has all")
def test_contamination_is_the_share_that_each_class_loses(filter_):
    X, y = blobs_with_outliers()
    fitted = clone(filter_).fit(X, y)
    shares = [np.mean(~fitted.inlier_mask_[y == code]) for code in (0, 1)]
    assert fitted.contamination_.dtype == np.float64
    np.testing.assert_allclose(fitted.contamination_, shares, rtol=1e-15)
    for member in getattr(fitted, "filters_", []):
        shares = [np.mean(~member.inlier_mask_[y == code]) for code in (0, 1)]
        np.testing.assert_allclose(member.contamination_, shares, rtol=1e-15)


def test_rows_of_unknown_labels_count_for_no_class():
    X, y = blobs_with_outliers()
    given = SphereFilter(radii={0: 1e9, 1: 1e9})
    strangers = np.r_[y, np.full(50, 7)]
    with pytest.warns(FilterWarning, match="rejects 50 of 230 rows"):
        given.fit(np.r_[X, X[:50]], strangers)
    np.testing.assert_array_equal(given.contamination_, [0.0, 0.0])


@pytest.mark.parametrize(
    ("filter_", "message"),
    [
        (SphereFilter("Auto"), r"'percentile' .* among {'auto'} .* Got 'Auto'"),
        (SphereFilter(0), r"'percentile' .* range \(0.0, 100.0\]. Got 0"),
        (LossFilter(contamination="Auto"), r"'contamination' .* Got 'Auto'"),
        (LossFilter(80, contamination=0.2), "percentile=80 and contamination=0.2"),
    ],
)
def test_other_settings_are_refused(filter_, message):
    with pytest.raises(ValueError, match=message):
        filter_.fit(*blobs_with_outliers())


@pytest.fixture(scope="module")
def two_classes():
    return make_blobs(80, 3, centers=[[-1, 0, 1], [1, 0, 0]], random_state=0)


@pytest.mark.parametrize("defense", ["fixed", "moving_centroids"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_bounds_take_the_radii_that_the_data_say(defense, two_classes):
    X, y = two_classes
    for filter_ in (SphereFilter(), SphereFilter() & SlabFilter()):
        alone = clone(filter_).fit(X, y)
        bound = CertifiedBound(filter_, defense=defense, max_iter=3).fit(X, y)
        of_bound = getattr(bound.filter_, "filters_", [bound.filter_])
        for found, wanted in zip(
            of_bound, getattr(alone, "filters_", [alone]), strict=True
        ):
            np.testing.assert_array_equal(found.radii_, wanted.radii_)


@pytest.mark.parametrize(
    "attack",
    [
        MinMaxAttack(0.1),
        KKTAttack(0.1),
        LabelFlipAttack(0.1, strategy="feasible"),
    ],
    ids=lambda attack: type(attack).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_attackers_know_them(attack, two_classes):
    X, y = two_classes
    attack = clone(attack).set_params(filter=SphereFilter() & SlabFilter())
    rows, labels = attack.poison(X, y)
    assert (attack.filter_.predict(rows, labels) == 1).all()


def test_curves_over_percentiles_replace_it(two_classes):
    X, y = two_classes
    bound = CertifiedBound(SphereFilter() & SlabFilter(), tol=0.1)
    display = BoundDisplay.from_estimator(bound, X, y, percentiles=[50, 90])
    assert display.name == ["percentile 50", "percentile 90"]
    display.figure_.clear()
    with pytest.raises(
        ValueError, match=r"percentiles must be numbers .* got \['auto'\]"
    ):
        BoundDisplay.from_estimator(bound, X, y, percentiles=["auto"])
