import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import (
    load_digits,
    make_blobs,
    make_classification,
    make_regression,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

from skpoison import AutoFilter, DropOutliers, FilteredClassifier, SphereFilter
from skpoison._as_given import AsNumbers
from skpoison._judging import find_kept_by_clone
from skpoison.exceptions import FilterWarning
from skpoison.filters import (
    CrossFitFilter,
    _cells,
    _evidence,
    _label_noise,
    _many_rows,
)
from skpoison.filters._copies import DistinctRows
from skpoison.filters._evidence import find_evidence
from skpoison.filters._far import Reach, far_rows
from skpoison.filters._islands import (
    APART,
    _links,
    _Surroundings,
    _with_islands,
    clusters_against,
    reduced,
)
from skpoison.filters._isolated import isolated_groups
from skpoison.filters._label_noise import LabelNoise
from skpoison.filters._many_rows import EncodedRows
from skpoison.filters._panel import Panel


def honest(n=240, seed=0, columns=6):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    X = rng.normal(size=(n, columns))
    X[:, 0] += np.where(y, 2.5, -2.5)
    return X, y


def f1(mask, flagged):
    return 2 * np.sum(mask & flagged) / (mask.sum() + flagged.sum())


def add(X, y, rows, label):
    mask = np.r_[np.zeros(len(y), bool), np.ones(len(rows), bool)]
    return np.r_[X, rows], np.r_[y, np.full(len(rows), label)], mask


def test_nothing_planted_nothing_found():
    X, y = honest()
    auto = AutoFilter(random_state=0).fit(X, y)
    assert np.mean(~auto.inlier_mask_) <= 0.02
    assert auto.suspicion_.min() >= 0 and auto.suspicion_.max() <= 1


def test_honest_overlap_is_mostly_kept():
    X, y = make_classification(
        600, 8, n_informative=4, class_sep=0.4, flip_y=0, random_state=1
    )
    error = 1 - LogisticRegression().fit(X, y).score(X, y)
    assert error > 0.15
    flagged = ~AutoFilter(random_state=0).fit(X, y).inlier_mask_
    assert flagged.mean() < error / 2


def test_flips_are_found_and_explained():
    X, y = honest()
    mask = np.zeros(len(y), bool)
    mask[::15] = True
    y = np.where(mask, 1 - y, y)
    auto = AutoFilter(random_state=0).fit(X, y)
    assert f1(mask, ~auto.inlier_mask_) > 0.9
    assert auto.tests_[0] == "label"
    assert auto.reasons_[0].startswith("label: 1, but models fitted without it predict")
    assert "predict 0 with probability" in auto.reasons_[0]
    assert auto.suggested_labels_[0] == 0
    assert set(auto.reasons_[auto.inlier_mask_]) == {""}


def test_far_rows_are_found_and_explained():
    X, y = honest()
    rng = np.random.default_rng(1)
    away = rng.normal(size=(12, 6))
    away *= 12 / np.linalg.norm(away, axis=1)[:, None]
    X, y, mask = add(X, y, away, 1)
    auto = AutoFilter(random_state=0).fit(X, y)
    assert f1(mask, ~auto.inlier_mask_) > 0.9
    assert auto.tests_[-1] == "far"
    assert "times the usual distance from the rows of class 1" in auto.reasons_[-1]
    assert np.isnan(auto.out_of_fold_[-1]).all()


def test_copies_are_found_and_explained():
    X, y = honest()
    rng = np.random.default_rng(1)
    copies = X[1] + rng.normal(scale=1e-3, size=(10, 6))
    X, y, mask = add(X, y, copies, 0)
    auto = AutoFilter(random_state=0).fit(X, y)
    assert f1(mask, ~auto.inlier_mask_) > 0.9
    assert auto.inlier_mask_[1]
    assert auto.tests_[-1] == "copies"
    assert "one of 11 near copies" in auto.reasons_[-1]


def test_a_cluster_under_another_label_is_found():
    X, y = honest(600)
    rng = np.random.default_rng(1)
    middle = np.r_[2.5, 3.0, np.zeros(4)]
    X, y, mask = add(X, y, middle + rng.normal(scale=0.5, size=(30, 6)), 0)
    auto = AutoFilter(random_state=0).fit(X, y)
    assert f1(mask, ~auto.inlier_mask_) > 0.85


def test_reason_words_name_labels():
    X, y = honest()
    y[0] = 1 - y[0]
    labels = np.array(["ham", "spam"])[y]
    auto = AutoFilter(random_state=0).fit(X, labels)
    assert auto.reasons_[0].startswith("label: spam, but models")
    assert auto.predict(X[:2], labels[:2]).tolist() == [-1, 1]
    assert auto.predict(X[:2]).tolist() == [1, 1]
    assert auto.predict(X[:1] + 100, labels[:1]).tolist() == [-1]


def test_every_container_gives_the_same_rows():
    X, y = honest(80)
    y[::20] = 1 - y[::20]
    auto = AutoFilter(LogisticRegression(), random_state=0)
    mask = auto.fit(X, y).inlier_mask_
    names = [f"x{i}" for i in range(6)]
    frames = pd.DataFrame(X, columns=names), pl.DataFrame(X, schema=names)
    for same in (X.tolist(), *frames, sparse.csr_array(X)):
        assert np.array_equal(auto.fit(same, y).inlier_mask_, mask)
    assert np.mean(auto.fit(X.astype(np.float32), y).inlier_mask_ == mask) > 0.97


def test_tables_with_categories_and_missing_values():
    X, y = honest()
    y[::20] = 1 - y[::20]
    table = pd.DataFrame({"number": X[:, 1], "word": np.where(X[:, 0] > 0, "a", "b")})
    table.loc[::9, "number"] = np.nan
    table.loc[3, "word"] = None
    auto = AutoFilter(random_state=0)
    kept, labels = auto.fit_filter(table, y)
    assert isinstance(kept, pd.DataFrame) and len(kept) == len(labels)
    wrong = np.arange(len(y)) % 20 == 0
    assert (~auto.inlier_mask_)[wrong].mean() > 0.8
    replaced = auto.fit_transform(table, y)
    assert replaced.index.equals(table.index)


def test_as_numbers_of_equal_units_do_not_blow_up_rare_columns():
    X = np.zeros((100, 3))
    X[:, :2] = np.random.default_rng(0).normal(size=(100, 2))
    X[0, 2] = 0.01
    assert np.abs(AsNumbers().fit_transform(X)[:, 2]).max() < 1
    X[:, 0] *= 1e4
    assert np.std(AsNumbers().fit_transform(X)[:, 1]) == pytest.approx(1)


def test_far_rows_do_not_hide_each_other():
    rng = np.random.default_rng(0)
    X = np.r_[rng.normal(size=(200, 10)), rng.normal(scale=6, size=(20, 10))]
    codes = np.zeros(220, dtype=int)
    reach, rows = Reach.of(X, codes, np.random.RandomState(0))
    far = far_rows(rows, [X], reach, codes, np.random.RandomState(0))
    assert f1(np.arange(220) >= 200, far.beyond > 0) > 0.95


def test_rows_near_to_nothing_else_make_a_group():
    rng = np.random.RandomState(0)
    X = np.r_[rng.normal(size=(200, 5)), 9 + 0.3 * rng.normal(size=(15, 5))]
    codes = np.r_[np.arange(200) % 2, np.ones(15, dtype=int)]
    groups = isolated_groups(DistinctRows(X, rng), np.arange(215), codes)
    assert len(np.unique(groups[200:])) == 1
    assert groups[200] not in groups[:200]


def test_the_tests_are_functions_of_arrays():
    X, y = honest()
    y[0] = 1 - y[0]

    def predict(rows, folds):
        second = 1 / (1 + np.exp(-4 * X[rows, 0]))
        return np.stack([np.column_stack([1 - second, second])])

    rng = np.random.RandomState(0)
    nothing = np.zeros(len(y))
    evidence = find_evidence(X, y, predict, np.array([1000]), rng, nothing)
    assert isinstance(evidence.noise, LabelNoise)
    assert np.flatnonzero(evidence.flagged).tolist() == [0]


def test_targets_that_are_continuous_are_judged_by_regressors():
    X, y = make_regression(150, 4, noise=1.0, random_state=0)
    y[[4, 60]] += 500
    auto = AutoFilter(random_state=0).fit(X, y)
    assert not auto.inlier_mask_[[4, 60]].any()
    assert auto.tests_[4] == "target"
    assert "but models fitted without it predict" in auto.reasons_[4]


def test_in_the_meta_estimators():
    X, y = honest()
    y[::12] = 1 - y[::12]
    drop = DropOutliers(AutoFilter(random_state=0))
    kept, labels = drop.fit_resample(X, y)
    assert len(kept) == len(labels) < len(y)
    model = FilteredClassifier(AutoFilter(random_state=0), LogisticRegression())
    assert model.fit(X, y).score(*honest(seed=5)) > 0.98


def test_one_class_is_judged_by_where_rows_lie():
    X, y = honest()
    X[0] += 100
    with pytest.warns(FilterWarning, match="at least two classes"):
        auto = AutoFilter(random_state=0).fit(X, np.zeros(len(y)))
    assert np.flatnonzero(~auto.inlier_mask_).tolist() == [0]


@pytest.mark.filterwarnings("ignore::skpoison.exceptions.FilterWarning")
@pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning")
@pytest.mark.parametrize(
    ("X", "y"),
    [
        (np.zeros((30, 2)), np.arange(30) % 2),
        (np.arange(6.0)[:, None], [0, 0, 0, 0, 0, 1]),
        (np.arange(2.0)[:, None], [0, 1]),
        (np.repeat([[0.0, 1.0], [5.0, 1.0]], 12, axis=0), np.repeat([0, 1], 12)),
        (make_blobs(40, centers=8, random_state=0)[0], np.arange(40) // 2),
    ],
    ids=["equal", "one row in a class", "two rows", "copies only", "rows in pairs"],
)
def test_degenerate_rows_are_kept(X, y):
    auto = AutoFilter(random_state=0).fit(X, y)
    assert auto.inlier_mask_.mean() > 0.8
    assert np.isfinite(auto.scores_).all()


def test_bad_input_is_named():
    X, y = honest()
    with pytest.raises(ValueError, match="infinity"):
        AutoFilter().fit(np.where(X > 2, np.inf, X), y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        AutoFilter().fit(X, y[:-1])
    with pytest.raises(ValueError, match="'estimator' parameter"):
        AutoFilter("Auto").fit(X, y)
    with pytest.raises(ValueError, match="NaN"):
        AutoFilter(LogisticRegression()).fit(np.where(X > 2, np.nan, X), y)
    with pytest.raises(ValueError, match="is expecting 6 features"):
        AutoFilter().fit(X, y).predict(X[:, :3], y)


def test_islands_are_told_from_rows_that_mix_with_another_class():
    rng = np.random.RandomState(0)
    X = np.r_[rng.normal(size=(600, 3)), rng.normal(9, size=(200, 3))]
    near = np.argsort(np.linalg.norm(X - [0.5, 0.5, 0], axis=1))[:20]

    def found(changed):
        codes = np.repeat([0, 1], [600, 200])
        codes[changed] = 1
        said = np.stack([np.column_stack([X[:, 0] < 4, X[:, 0] >= 4])], dtype=float)
        return clusters_against(X, codes, np.zeros(800), lambda folds: said, 800, rng)

    assert f1(np.isin(np.arange(800), near), np.isin(np.arange(800), found(near))) > 0.9
    assert not len(found(rng.permutation(600)[:20]))


def test_an_island_of_changed_labels_is_found():
    X, y = honest(500, columns=3)
    distances = np.linalg.norm(X - [-2.5, 1, 0], axis=1)
    mask = np.argsort(distances).argsort() < 25
    auto = AutoFilter(random_state=0).fit(X, np.where(mask, 1, y))
    assert f1(mask, ~auto.inlier_mask_) > 0.8
    assert "cluster" in auto.tests_[mask]


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("make", [AutoFilter, CrossFitFilter])
def test_labels_that_no_model_predicts_are_not_contradicted(make, share):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 5)), (rng.random(300) < share).astype(int)
    fitted = make(random_state=0).fit(X, y)
    assert np.mean(~fitted.inlier_mask_) <= 0.01
    new = rng.normal(size=(100, 5))
    assert np.mean(fitted.predict(new, y[:100]) == 1) >= 0.95


def test_tables_of_categories_alone():
    rng = np.random.default_rng(0)
    names = np.array(["north", "south", "east", "west", "mid", "far"])
    table = pd.DataFrame({name: rng.choice(names, 200) for name in ("a", "b", "c")})
    y = np.where(table["a"].isin(names[:3]), "late", "early")
    wrong = [3, 50]
    y[wrong] = np.where(y[wrong] == "late", "early", "late")
    auto = AutoFilter(random_state=0).fit(table, y)
    assert not auto.inlier_mask_[wrong].all()
    assert np.mean(~auto.inlier_mask_) < 0.05


@pytest.mark.parametrize("make", [AutoFilter, CrossFitFilter])
def test_combinations_with_filters_of_numbers_are_refused(make):
    X, y = make_blobs(40, random_state=0)
    with pytest.raises(TypeError, match=f"{make.__name__} takes X unchanged"):
        (make() & SphereFilter()).fit(X, y)


def _labels_around(n_around, seed=0):
    """Two classes, and rows of the first around one of them with the other label."""
    rng = np.random.RandomState(seed)
    points = rng.normal(size=(400, 6))
    truth = np.repeat([0, 1], 200)
    points[truth == 1] += 6
    codes = truth.copy()
    distances = np.linalg.norm(points - points[3], axis=1)
    codes[np.argsort(distances)[:n_around]] = 1
    return points, truth, codes


@pytest.mark.parametrize("around", [True, False])
def test_rows_amidst_another_class_are_told_from_single_contradictions(around):
    points, truth, codes = _labels_around(7)
    if not around:  # the same share, but nowhere all rows of a neighborhood
        codes = truth.copy()
        codes[np.random.RandomState(1).choice(200, 7, replace=False)] = 1
    said = np.full((1, 400, 2), 0.05)
    said[0, np.arange(400), truth] = 0.95
    found = clusters_against(
        points, codes, np.zeros(400), lambda folds: said, 400, np.random.RandomState(0)
    )
    changed = np.flatnonzero(codes != truth)
    assert set(found) <= set(changed)
    assert len(found) >= 5 if around else not len(found)


def _far_of(X, codes):
    rng = np.random.RandomState(0)
    numbers = AsNumbers().fit_transform(X)
    reach, rows = Reach.of(numbers, codes, rng)
    spaces = [reduced(each, rng) for each in (rows, reach.with_rare_near(numbers))]
    return far_rows(rows, spaces, reach, codes, rng).beyond > 0


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(size=(n, 1)),
        lambda rng, n: rng.uniform(size=(n, 1)),
        lambda rng, n: rng.exponential(size=(n, 1)),
        lambda rng, n: rng.lognormal(size=(n, 1)),
        lambda rng, n: rng.poisson(2, size=(n, 1)),
        lambda rng, n: rng.random((n, 1)) < 0.04,
        lambda rng, n: rng.random((n, 1)) < 0.25,
        lambda rng, n: rng.random((n, 5)) < 0.1,
        lambda rng, n: rng.integers(5, size=(n, 2)),
    ],
)
def test_honest_tables_of_one_column_or_few_values_lose_no_rows(draw):
    shares = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        codes = rng.integers(2, size=400)
        shares.append(_far_of(draw(rng, 400).astype(float), codes).mean())
    assert max(shares) <= 0.01


@pytest.mark.parametrize("columns", [3, 10, 80])
@pytest.mark.parametrize("n_rare", [1, 4])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda X, rows: X.__setitem__((rows, 1), np.nan),
        lambda X, rows: X.__setitem__((slice(None), 1), np.isin(np.arange(300), rows)),
        lambda X, rows: X.__setitem__(
            (slice(None), 1), np.isin(np.arange(300), rows) * np.arange(2, 302)
        ),
    ],
    ids=["missing", "binary", "counts"],
)
def test_rows_are_not_far_for_one_rare_value(columns, n_rare, spoil):
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(300, columns)), np.arange(300) % 2
    rare = np.arange(40, 40 + n_rare)
    spoil(X, rare)
    flagged = _far_of(X, codes)
    assert not flagged[rare].any()
    assert flagged.mean() < 0.02


def test_rows_are_far_for_many_rare_values():
    rng = np.random.default_rng(0)
    X, codes = rng.normal(size=(300, 30)), np.arange(300) % 2
    X[:, :25] = rng.random((300, 25)) < 0.01
    X[:8, :25] = 1
    assert np.array_equal(np.flatnonzero(_far_of(X, codes)), np.arange(8))


def test_far_rows_of_one_column():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 1))
    X[:20] = rng.choice([-1, 1], (20, 1)) * rng.uniform(12, 20, (20, 1))
    flagged = _far_of(X, rng.integers(2, size=400))
    assert flagged[:20].mean() > 0.9 and flagged[20:].mean() < 0.01


@pytest.mark.parametrize("n_modes", [1, 6])
def test_clusters_apart_are_suspect_where_others_are_not(n_modes):
    rng = np.random.RandomState(0)
    centers = np.repeat(np.zeros((6, 4)), 60, axis=0)
    centers[:, 0] = np.repeat(np.arange(6), 60) * 30 * (n_modes > 1)
    points = np.r_[
        rng.normal(size=(360, 4)) + centers, rng.normal(size=(20, 4)) - [30, 0, 0, 0]
    ]
    codes = np.r_[np.repeat([0, 0, 0, 1, 1, 1], 60), np.ones(20, dtype=int)]
    said = np.full((1, 380, 2), 0.05)
    said[0, np.arange(380), codes] = 0.95
    said[0, 360:] = said[0, 360:, ::-1]  # the last cluster is contradicted
    found = clusters_against(
        points, codes, np.zeros(380), lambda folds: said, 380, np.random.RandomState(0)
    )
    assert found.tolist() == (list(range(360, 380)) if n_modes == 1 else [])


@pytest.mark.parametrize(("distance", "is_planted"), [(7, False), (12, True)])
def test_modes_that_hardly_lie_apart_are_no_islands(distance, is_planted):
    rng = np.random.RandomState(0)
    points = rng.normal(size=(406, 3))
    points[400:] = points[400:] * 0.8 + [0, distance, 0]
    codes = np.r_[np.repeat([0, 1], 200), np.ones(6, dtype=int)]
    points[:200, 0] -= 8
    said = np.full((1, 406, 2), 0.05)
    said[0, np.arange(406), codes] = 0.95
    said[0, 400:] = said[0, 400:, ::-1]
    everyone = np.arange(406)
    gap = _Surroundings.of(points, everyone[400:], everyone, rng).gap
    assert gap > 1.1 * APART
    found = clusters_against(
        points, codes, np.zeros(406), lambda folds: said, 406, np.random.RandomState(0)
    )
    assert found.tolist() == (list(range(400, 406)) if is_planted else [])


@pytest.mark.parametrize("n_more", [3, 40])
def test_doubtful_rows_are_left_out_together(n_more):
    points, truth, codes = _labels_around(12)
    changed = codes != truth
    regions = np.arange(400) % 7
    clusters = np.where(changed, 1, 0)
    clusters[np.flatnonzero(~changed & (codes == 1))[:n_more]] = 1
    links = _links(points, codes, np.random.RandomState(0))
    found = _with_islands(regions, clusters, links, changed)
    inside = found == np.bincount(found[changed]).argmax()
    assert inside[changed].sum() >= 10
    assert inside[~changed].sum() == (n_more if n_more == 3 else 0)
    assert np.array_equal(found, np.unique(found, return_inverse=True)[1])


def test_clusters_among_some_rows_name_the_others(monkeypatch):
    X, y = honest(900)
    middle = np.r_[2.5, 3.0, np.zeros(4)]
    planted = np.random.default_rng(1).normal(middle, 0.4, size=(45, 6))
    X, y, mask = add(X, y, planted, 0)
    estimator = KNeighborsClassifier(9)  # neighbors vouch for one another
    everything = AutoFilter(estimator, random_state=0).fit(X, y)
    monkeypatch.setattr(_evidence, "MOST_CLUSTERED", 500)
    some = AutoFilter(estimator, random_state=0).fit(X, y)
    for auto in (everything, some):
        assert f1(mask, ~auto.inlier_mask_) > 0.9
        assert np.sum(auto.tests_[mask] == "cluster") > 35


def test_labels_of_many_rows_are_judged_by_some(monkeypatch):
    X, y = honest(1200)
    y[:60] = 1 - y[:60]
    y[-5:] = 2  # a rare class
    X[-5:] += 8
    everything = CrossFitFilter(random_state=0).fit(X, y)
    monkeypatch.setattr(_label_noise, "MOST_FITTED", 300)
    monkeypatch.setattr(_label_noise, "FEWEST_OF_CLASS", 100)
    some = CrossFitFilter(random_state=0).fit(X, y)
    agree = some.inlier_mask_ == everything.inlier_mask_
    assert agree.mean() > 0.99 and some.inlier_mask_[-5:].all()
    assert np.array_equal(some.out_of_fold_, everything.out_of_fold_)


@pytest.mark.parametrize("n_columns", [6, 70])
@pytest.mark.parametrize("estimator", [None, LogisticRegression(C=0.01)])
def test_large_arrays_are_encoded_in_blocks(monkeypatch, estimator, n_columns):
    X, y = honest(600, columns=n_columns)
    y[:12] = 1 - y[:12]
    X[-1] = 1e3
    X[-9:-1], y[-9:-1] = X[20] + 1e-3 * np.arange(8)[:, None], y[20]
    X[20:40, 1] = np.nan if estimator is None else 0.0
    everything = AutoFilter(estimator, random_state=0).fit(X, y)
    monkeypatch.setattr(_many_rows, "MOST_ROWS", 10)
    monkeypatch.setattr(_many_rows, "MOST_VALUES", 10)
    monkeypatch.setattr(_many_rows, "ENCODED", 100)
    monkeypatch.setattr(_cells, "EXACT", 100)
    monkeypatch.setattr(_cells, "CELL", 150)
    in_blocks = AutoFilter(estimator, random_state=0).fit(X, y)
    assert np.mean(everything.tests_ == in_blocks.tests_) > 0.98
    assert in_blocks.tests_[-1] == "far"
    assert f1(everything.tests_ == "label", in_blocks.tests_ == "label") > 0.8
    assert in_blocks.groups_[-2] == in_blocks.groups_[-9] != in_blocks.groups_[0]


def test_encoded_rows_are_indexed_as_arrays():
    X = np.arange(60.0).reshape(20, 3)
    rows = EncodedRows(X, lambda some: some[:, :2]).then(lambda some: some + 1)
    made = X[:, :2] + 1
    for key in (
        slice(3, 9),
        [4, 1],
        X[:, 0] > 20,
        (slice(None), [1]),
    ):
        assert np.array_equal(rows[key], made[key])
    assert np.array_equal(rows.at(np.array([5, 2]))[[1]], made[[2]])


def _walk(rng):
    X = np.cumsum(rng.normal(size=(800, 5)), axis=0)
    return X, X[:, 0]


def _heavy_tails(rng):
    X = rng.standard_t(3, size=(800, 8))
    return np.exp(X), X @ rng.normal(size=8) + rng.normal(size=800)


@pytest.mark.parametrize(("draw", "seed"), [(_walk, 1), (_heavy_tails, 0)])
def test_honest_drifts_and_tails_are_no_islands(draw, seed):
    X, values = draw(np.random.default_rng(seed))
    auto = AutoFilter(random_state=0).fit(X, values > np.median(values))
    assert np.mean(~auto.inlier_mask_) < 0.01


def test_a_rare_class_that_lies_apart_is_kept():
    rng = np.random.default_rng(1)
    y = (np.arange(2500) < 25).astype(int)
    X = rng.normal(size=(2500, 5))
    X[y == 1] += 2.5
    flagged = _far_of(np.c_[X, y], y)
    assert flagged.mean() < 0.002
    X[100:110] += 20
    assert np.flatnonzero(_far_of(np.c_[X, y], y)).tolist() == list(range(100, 110))


@pytest.mark.parametrize("seed", [0, 1])
def test_labels_of_an_isolated_mode_are_compared_with_its_other_rows(seed):
    """Of the ones, some are written in another way than all others."""
    X, y = load_digits(return_X_y=True)
    X, y = X[np.isin(y, [1, 8])], y[np.isin(y, [1, 8])]
    wrong = np.isin(np.arange(len(y)), np.random.default_rng(seed).choice(len(y), 36))
    rejected = AutoFilter(random_state=seed).fit_predict(X, np.where(wrong, 9 - y, y))
    assert f1_score(wrong, rejected == -1) > 0.85


@pytest.mark.parametrize("filter_", [AutoFilter(), CrossFitFilter()])
@pytest.mark.parametrize("targets", [False, True])
def test_no_models_for_new_rows_are_fitted_where_none_are_asked_about(
    filter_, targets, monkeypatch
):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 4))
    y = X[:, 0] + 0.1 * rng.normal(size=150) if targets else (X[:, 0] > 0).astype(int)
    y[:8] = 9.0 if targets else 1 - y[:8]
    filter_ = clone(filter_).set_params(random_state=0)
    expected = clone(filter_).fit(X, y)
    assert not expected.inlier_mask_.all()
    asked = expected.predict(X[:20], y[:20])

    def fail(*args, **options):
        raise AssertionError

    frozen = FrozenEstimator(expected)
    same = find_kept_by_clone(frozen, X[:20], y[:20])
    assert np.array_equal(same, asked == 1)
    assert expected._judges_new_rows
    monkeypatch.setattr(Panel, "fit", fail)
    kept = find_kept_by_clone(filter_, X, y)
    assert np.array_equal(kept, expected.inlier_mask_)
    assert filter_._judges_new_rows and not hasattr(filter_, "inlier_mask_")
    with pytest.raises(AssertionError):
        clone(filter_).fit(X, y)
