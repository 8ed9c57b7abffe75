"""Filters around estimators."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from imblearn.under_sampling import RandomUnderSampler
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_wine, make_blobs, make_regression
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
)
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Lars, LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.validation import has_fit_parameter

from skpoison import (
    AutoFilter,
    DropOutliers,
    FilteredClassifier,
    FilteredRegressor,
    FilterIntersection,
    PoisonedClassifier,
    SlabFilter,
    SphereFilter,
)
from skpoison.attacks import LabelFlipAttack
from skpoison.evaluation import DefenseSearchCV, evaluate_attack
from skpoison.exceptions import FilterWarning


@pytest.fixture
def blobs():
    return make_blobs([60, 90], 4, random_state=0)


@pytest.fixture
def poisoned():
    """Labels flipped far out: enough to turn the line between the classes round."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 0, 1], [50, 50, 10, 10])
    side = np.repeat([-1.0, 1.0, 20.0, -20.0], [50, 50, 10, 10])
    return np.c_[side, np.zeros(120)] + 0.2 * rng.normal(size=(120, 2)), y


class Recorder(BaseEstimator):
    """Remembers what it was fitted on."""

    def fit(self, X, y, **params):
        self.seen_ = (X, y, params)
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(X.shape[0], self.classes_[0])


def test_a_classifier_is_fitted_on_the_kept_rows(blobs):
    X, y = blobs
    filtered = FilteredClassifier(SphereFilter(80), LinearSVC()).fit(X, y)
    mask = SphereFilter(80).fit(X, y).inlier_mask_
    np.testing.assert_array_equal(filtered.inlier_mask_, mask)
    alone = LinearSVC().fit(X[mask], y[mask])
    np.testing.assert_array_equal(filtered.estimator_.coef_, alone.coef_)
    np.testing.assert_array_equal(filtered.predict(X), alone.predict(X))
    np.testing.assert_array_equal(
        filtered.decision_function(X), alone.decision_function(X)
    )
    assert filtered.score(X, y) == alone.score(X, y)


def test_filtering_undoes_poison_that_ruins_the_classifier(poisoned):
    X, y = poisoned
    clean_X, clean_y = X[:100], y[:100]
    assert LogisticRegression().fit(X, y).score(clean_X, clean_y) < 0.5
    assert FilteredClassifier().fit(X, y).score(clean_X, clean_y) == 1


def test_a_regressor_s_filter_does_not_see_the_targets():
    X, y = make_regression(100, 3, random_state=0)
    filtered = FilteredRegressor(SphereFilter(70)).fit(X, y)
    mask = SphereFilter(70).fit(X).inlier_mask_
    np.testing.assert_array_equal(filtered.inlier_mask_, mask)
    alone = LinearRegression().fit(X[mask], y[mask])
    np.testing.assert_array_equal(filtered.estimator_.coef_, alone.coef_)
    assert filtered.score(X, y) == alone.score(X, y)


def test_regressors_of_several_targets_work():
    X, y = make_regression(100, 3, n_targets=2, random_state=0)
    filtered = FilteredRegressor(SphereFilter(70), Ridge())
    assert filtered.fit(X, y).predict(X).shape == (100, 2)
    X[7] = 50.0
    with pytest.warns(FilterWarning, match="ignores the labels"):
        filtered = FilteredRegressor(estimator=Ridge()).fit(X, y)
    assert filtered.predict(X).shape == (100, 2)
    np.testing.assert_array_equal(~filtered.inlier_mask_, np.arange(100) == 7)


def test_the_default_filter_needs_nothing_to_be_known():
    X, y = load_wine(return_X_y=True)
    X, y = StandardScaler().fit_transform(X), y.copy()
    y[[5, 90]] = 2
    auto = AutoFilter(random_state=0).fit(X, y)
    assert not auto.inlier_mask_[[5, 90]].any()
    assert auto.inlier_mask_.mean() > 0.95
    for made in (FilteredClassifier(), DropOutliers()):
        np.testing.assert_array_equal(made.fit(X, y).inlier_mask_, auto.inlier_mask_)
        np.testing.assert_array_equal(made.filter_.reasons_, auto.reasons_)


@pytest.mark.parametrize("filter_", [None, AutoFilter(random_state=0)])
def test_targets_that_are_whole_numbers_are_no_classes_to_a_regressor(filter_):
    X, y = make_regression(100, 3, random_state=0)
    y = y.round().astype(int)
    y[[4, 40]] += 2000
    filtered = FilteredRegressor(filter_).fit(X, y)
    assert set(filtered.filter_.tests_[[4, 40]]) == {"target"}
    assert not filtered.inlier_mask_[[4, 40]].any()
    assert abs(filtered.predict(X)[4] - y[4]) > 1000


def test_a_frozen_filter_is_not_told_what_the_targets_are():
    X, y = make_regression(100, 3, random_state=0)
    auto = AutoFilter(random_state=0).fit(X, y)
    before = dict(vars(auto))
    FilteredRegressor(FrozenEstimator(auto)).fit(X, y)
    assert vars(auto).keys() == before.keys()


def mixed_table(n_rows):
    """A table with categories and missing values, and labels, four of them wrong."""
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % 2
    table = pd.DataFrame({"a": rng.normal(size=n_rows) + 6 * y})
    table["kind"] = pd.Categorical(np.where(rng.random(n_rows) < 0.9, y, 1 - y) + 0.0)
    table["kind"] = table["kind"].cat.rename_categories(["no", "yes"])
    table["b"] = np.where(np.arange(n_rows) % 9, rng.normal(size=n_rows), np.nan)
    y[:4] = 1 - y[:4]
    return table, y


@pytest.mark.parametrize(("judge", "n_rows"), [(None, 800), ("trees", 400)])
def test_tables_with_categories_and_missing_values_go_as_they_are(judge, n_rows):
    table, y = mixed_table(n_rows)
    trees = HistGradientBoostingClassifier(
        max_iter=30, categorical_features="from_dtype", min_samples_leaf=5
    )
    auto = AutoFilter(judge and trees, random_state=0)
    filtered = FilteredClassifier(auto, trees).fit(table, y)
    assert np.sum(~filtered.inlier_mask_[:4]) >= 3
    assert list(filtered.feature_names_in_) == ["a", "kind", "b"]
    assert filtered.estimator_.is_categorical_.tolist() == [False, True, False]
    np.testing.assert_array_equal(filtered.predict(table)[:4], 1 - y[:4])
    kept, y_kept = DropOutliers(auto).fit_resample(table, y)
    pd.testing.assert_frame_equal(kept, table[filtered.inlier_mask_])
    np.testing.assert_array_equal(y_kept, y[filtered.inlier_mask_])


def test_lists_of_texts_go_as_they_are():
    words = ["free money prize win now", "report meeting tomorrow budget plan"]
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    texts = [
        " ".join(rng.permutation(words[k].split())[:3]) + f" {rng.integers(30)}"
        for k in y
    ]
    y[:3] = 1 - y[:3]
    inner = make_pipeline(CountVectorizer(), LogisticRegression())
    filtered = FilteredClassifier(estimator=inner).fit(texts, y)
    assert not filtered.inlier_mask_[:3].any()
    assert filtered.score(texts, y) == 77 / 80
    kept, y_kept = DropOutliers().fit_resample(texts, y)
    rows = np.flatnonzero(filtered.inlier_mask_)
    assert kept == [texts[row] for row in rows]
    np.testing.assert_array_equal(y_kept, y[rows])


def test_a_search_reaches_the_judge_of_labels(blobs):
    judges = [LogisticRegression(C=0.1), LogisticRegression(C=1.0)]
    auto = AutoFilter(random_state=0)
    search = GridSearchCV(
        FilteredClassifier(auto, SVC()), {"filter__estimator": judges}, cv=2
    ).fit(*blobs)
    assert search.best_score_ > 0.8
    assert repr(search.best_estimator_.filter_.estimator) in map(repr, judges)
    assert auto.estimator is None


def test_weights_are_routed_past_the_default_filter(blobs):
    X, y = blobs
    weights = np.where(y == 0, 1.0, 5.0)
    with sklearn.config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=True)
        filtered = FilteredClassifier(estimator=inner)
        filtered.fit(X, y, sample_weight=weights)
    mask = filtered.inlier_mask_
    np.testing.assert_array_equal(mask, FilteredClassifier().fit(X, y).inlier_mask_)
    alone = LogisticRegression().fit(X[mask], y[mask], sample_weight=weights[mask])
    np.testing.assert_array_equal(filtered.estimator_.coef_, alone.coef_)


def test_fit_parameters_are_cut_where_they_are_aligned_with_the_rows(blobs):
    X, y = blobs
    filtered = FilteredClassifier(SphereFilter(), Recorder())
    names = pd.Series(np.arange(150) * 2, index=np.arange(150)[::-1])
    filtered.fit(X, y, sample_weight=np.arange(150), names=names, few=[1, 2], flag="x")
    rows = np.flatnonzero(filtered.inlier_mask_)
    _, y_seen, params = filtered.estimator_.seen_
    np.testing.assert_array_equal(y_seen, y[rows])
    np.testing.assert_array_equal(params["sample_weight"], rows)
    np.testing.assert_array_equal(params["names"], 2 * rows)
    assert (params["few"], params["flag"]) == ([1, 2], "x")


def test_sample_weights_reach_the_estimator(blobs):
    X, y = blobs
    weights = np.where(y == 0, 1.0, 5.0)
    filtered = FilteredClassifier(SphereFilter(), LogisticRegression())
    filtered.fit(X, y, sample_weight=weights)
    mask = filtered.inlier_mask_
    alone = LogisticRegression().fit(X[mask], y[mask], sample_weight=weights[mask])
    np.testing.assert_array_equal(filtered.estimator_.coef_, alone.coef_)
    weighted = filtered.score(X, y, sample_weight=weights)
    assert weighted == alone.score(X, y, sample_weight=weights)


def test_metadata_is_routed_to_the_estimator_that_requests_it(blobs):
    X, y = blobs
    weights = np.where(y == 0, 1.0, 5.0)
    with sklearn.config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=True)
        inner.set_score_request(sample_weight=False)
        filtered = FilteredClassifier(SphereFilter(), inner)
        filtered.fit(X, y, sample_weight=weights)
        searched = GridSearchCV(filtered, {"filter__percentile": [60, 80]})
        searched.fit(X, y, sample_weight=weights)
        with pytest.raises(TypeError, match=r"unexpected argument.*rubbish"):
            filtered.fit(X, y, rubbish=1)
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError):
            FilteredClassifier(SphereFilter(), LogisticRegression()).fit(
                X, y, sample_weight=weights
            )
    mask = filtered.inlier_mask_
    alone = LogisticRegression().fit(X[mask], y[mask], sample_weight=weights[mask])
    np.testing.assert_array_equal(filtered.estimator_.coef_, alone.coef_)


def test_containers_reach_the_estimator_as_they_came(blobs):
    X, y = blobs
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(150)[::-1])
    labels = pd.Series(y, index=frame.index)
    filtered = FilteredClassifier(SphereFilter(), Recorder()).fit(frame, labels)
    X_seen, y_seen, _ = filtered.estimator_.seen_
    pd.testing.assert_frame_equal(X_seen, frame[filtered.inlier_mask_])
    pd.testing.assert_series_equal(y_seen, labels[filtered.inlier_mask_])
    assert list(filtered.feature_names_in_) == list("abcd")
    in_sparse = FilteredClassifier(SphereFilter(), Recorder())
    in_sparse.fit(sparse.csr_array(X.astype(np.float32)), y)
    assert in_sparse.estimator_.seen_[0].format == "csr"
    assert in_sparse.estimator_.seen_[0].dtype == np.float32


def test_labels_may_be_strings(blobs):
    X, y = blobs
    named = np.array(["ham", "spam"])[y]
    filtered = FilteredClassifier().fit(X, named)
    np.testing.assert_array_equal(filtered.classes_, ["ham", "spam"])
    assert set(filtered.predict(X)) == {"ham", "spam"}


def test_methods_are_those_of_the_estimator(blobs):
    with_svc = FilteredClassifier(SphereFilter(), LinearSVC())
    with_regression = FilteredClassifier(SphereFilter(), LogisticRegression())
    for filtered in (with_svc, with_svc.fit(*blobs)):
        assert hasattr(filtered, "decision_function")
        assert not hasattr(filtered, "predict_proba")
        assert not hasattr(filtered, "transform")
    X, _ = blobs
    probabilities = with_regression.fit(*blobs).predict_proba(X)
    assert probabilities.shape == (150, 2)
    logarithms = with_regression.predict_log_proba(X)
    np.testing.assert_allclose(logarithms, np.log(probabilities))


def test_searches_reach_every_parameter(blobs):
    both = FilterIntersection([("sphere", SphereFilter()), ("slab", SlabFilter())])
    grid = {
        "filter__sphere__percentile": [50, 95],
        "filter__slab": [SlabFilter(60), SphereFilter(99)],
        "estimator__C": [0.1, 1.0],
    }
    search = GridSearchCV(FilteredClassifier(both, SVC()), grid, cv=3).fit(*blobs)
    assert search.best_score_ > 0.8
    best = search.best_estimator_
    assert (
        best.filter_.named_filters_["sphere"].percentile
        == (search.best_params_["filter__sphere__percentile"])
    )
    assert both.filters[0][1].percentile == "auto"


def test_a_pipeline_inside_scales_kept_rows_only(poisoned):
    X, y = poisoned
    inner = make_pipeline(StandardScaler(), LinearSVC())
    filtered = FilteredClassifier(SphereFilter(), inner).fit(X, y)
    assert filtered.estimator_[0].n_samples_seen_ == filtered.inlier_mask_.sum()
    outer = make_pipeline(StandardScaler(), FilteredClassifier()).fit(X, y)
    assert outer[0].n_samples_seen_ == len(X)


def test_text_pipelines_work_around_it():
    texts = [
        "good day",
        "good news",
        "good deal",
        "bad day",
        "bad news",
        "bad deal",
    ] * 5
    y = np.array([1, 1, 1, 0, 0, 0] * 5)
    model = make_pipeline(CountVectorizer(), FilteredClassifier(SphereFilter()))
    assert cross_val_score(model, texts, y, cv=3).min() == 1


@pytest.mark.parametrize(
    "detector", [LocalOutlierFactor(), IsolationForest(random_state=0)]
)
def test_scikit_learn_s_outlier_detectors_are_filters_too(detector, poisoned):
    X, y = poisoned
    mask = clone(detector).fit_predict(X) == 1
    filtered = FilteredClassifier(detector).fit(X, y)
    np.testing.assert_array_equal(filtered.inlier_mask_, mask)


class RejectAll(BaseEstimator):
    def fit_predict(self, X, y=None):
        return -np.ones(len(X))


@pytest.mark.parametrize("made", [FilteredClassifier, FilteredRegressor, DropOutliers])
def test_a_filter_that_rejects_every_row_is_an_error(made, blobs):
    with pytest.raises(ValueError, match="RejectAll rejects every row"):
        made(RejectAll()).fit(*blobs)


@pytest.mark.parametrize("made", [FilteredClassifier, FilteredRegressor, DropOutliers])
@pytest.mark.parametrize("filter_", [StandardScaler(), "sphere"])
def test_what_cannot_filter_is_named(made, filter_, blobs):
    with pytest.raises(ValueError, match="'filter' parameter"):
        made(filter_).fit(*blobs)


@pytest.mark.parametrize(
    "detector", [SphereFilter(60), IsolationForest(random_state=0)]
)
@pytest.mark.parametrize("made", [FilteredClassifier, FilteredRegressor, DropOutliers])
def test_a_frozen_filter_judges_rows_as_it_is(made, detector, blobs):
    X, y = blobs
    fitted = clone(detector).fit(X, y)
    X = X + np.where(np.arange(len(y)) % 3, 0.0, 2.0)[:, np.newaxis]
    found = made(FrozenEstimator(fitted)).fit(X, y)
    labels = {}
    if isinstance(detector, SphereFilter) and made is not FilteredRegressor:
        labels["y"] = y
    np.testing.assert_array_equal(found.inlier_mask_, fitted.predict(X, **labels) == 1)
    assert not np.array_equal(found.inlier_mask_, made(detector).fit(X, y).inlier_mask_)


def test_a_frozen_filter_lets_a_class_go():
    X = np.array([[0.0], [0.1], [5.0], [5.1], [9.0], [9.1]])
    y = np.array([0, 0, 1, 1, 2, 2])
    frozen = FrozenEstimator(SphereFilter(radii=[1.0, 1.0, 1.0]).fit(X, y))
    X[2:4] = 7.0
    with pytest.warns(FilterWarning, match=r"fixed filter SphereFilter .* \[1\]"):
        filtered = FilteredClassifier(frozen, LinearSVC()).fit(X, y)
    assert filtered.classes_.tolist() == [0, 2]
    with pytest.raises(ValueError, match="rejects every row, so there is nothing"):
        FilteredClassifier(frozen, LinearSVC()).fit(X + 99.0, y)


def test_a_frozen_filter_must_be_fitted_and_judge_new_rows(blobs):
    with pytest.raises(NotFittedError):
        FilteredClassifier(FrozenEstimator(SphereFilter())).fit(*blobs)
    frozen = FrozenEstimator(LocalOutlierFactor().fit(*blobs))
    with pytest.raises(ValueError, match="judges only the rows that it is fitted on"):
        FilteredClassifier(frozen).fit(*blobs)


def test_what_cannot_predict_is_named(blobs):
    with pytest.raises(ValueError, match="'estimator' parameter"):
        FilteredClassifier(estimator=StandardScaler()).fit(*blobs)


@pytest.mark.parametrize("made", [FilteredClassifier, DropOutliers])
def test_bad_input_is_refused(made, blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        made().fit(X, y[:-1])
    with pytest.raises(ValueError, match="Unknown label type"):
        made(SphereFilter()).fit(X, y + 0.5)
    with pytest.raises(ValueError, match="requires y to be passed"):
        made().fit(X, None)
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        made(SphereFilter()).fit(X, y)


def test_a_classifier_s_labels_are_never_targets(blobs):
    X, y = blobs
    for filter_ in (None, AutoFilter(), SphereFilter()):
        with pytest.raises(ValueError, match="Unknown label type"):
            FilteredClassifier(filter_, Untouched()).fit(X, y + 0.5)


class Untouched(LogisticRegression):
    def fit(self, X, y):
        raise AssertionError("the classifier was fitted")


def test_one_class_is_refused_by_the_classifier(blobs):
    X, _ = blobs
    with pytest.raises(ValueError, match="at least 2 classes"):
        FilteredClassifier(SphereFilter(), LinearSVC()).fit(X, np.zeros(150))


def test_dropping_keeps_rows_in_their_order_and_container(blobs):
    X, y = blobs
    frame = pd.DataFrame(X, index=np.arange(150)[::-1])
    labels = pd.Series(y, index=frame.index)
    drop = DropOutliers(SphereFilter(80))
    X_kept, y_kept = drop.fit_resample(frame, labels)
    rows = np.flatnonzero(SphereFilter(80).fit(X, y).inlier_mask_)
    np.testing.assert_array_equal(drop.sample_indices_, rows)
    pd.testing.assert_frame_equal(X_kept, frame.iloc[rows])
    pd.testing.assert_series_equal(y_kept, labels.iloc[rows])


def test_dropping_in_imbalanced_learn_s_pipelines(poisoned):
    X, y = poisoned
    model = make_imblearn_pipeline(
        DropOutliers(),
        StandardScaler(),
        RandomUnderSampler(random_state=0),
        LogisticRegression(),
    )
    model.fit(X, y)
    n_kept = len(model[0].sample_indices_)
    assert model[1].n_samples_seen_ == n_kept
    assert model.score(X[:100], y[:100]) == 1
    assert len(model.predict(X)) == len(X)


def test_searches_reach_the_filter_in_imbalanced_learn_s_pipelines(blobs):
    model = make_imblearn_pipeline(DropOutliers(SphereFilter()), LinearSVC())
    grid = {"dropoutliers__filter__percentile": [50, 90]}
    assert GridSearchCV(model, grid, cv=3).fit(*blobs).best_score_ > 0.8


def test_imbalanced_learn_s_samplers_and_filters_agree(blobs):
    X, y = blobs
    for filter_ in (SphereFilter(60), SphereFilter() & SlabFilter()):
        dropped = DropOutliers(filter_).fit_resample(X, y)
        filtered = clone(filter_).fit_filter(X, y)
        for left, right in zip(dropped, filtered, strict=True):
            np.testing.assert_array_equal(left, right)


def test_dropping_can_ignore_the_targets_for_regression():
    X, y = make_regression(100, 3, random_state=0)
    drop = DropOutliers(SphereFilter(70), ignore_y=True)
    model = make_imblearn_pipeline(drop, LinearRegression()).fit(X, y)
    rows = np.flatnonzero(SphereFilter(70).fit(X).inlier_mask_)
    np.testing.assert_array_equal(model[0].sample_indices_, rows)
    X[7], y[20] = 50.0, 1e6
    with pytest.warns(FilterWarning, match="ignores the labels"):
        drop = DropOutliers(ignore_y=True).fit(X, y)
    np.testing.assert_array_equal(~drop.inlier_mask_, np.arange(100) == 7)


def test_a_sampler_has_no_transform():
    # imbalanced-learn's pipelines refuse steps that both transform and resample.
    assert not hasattr(DropOutliers(), "transform")
    assert not hasattr(DropOutliers(), "fit_transform")


@pytest.mark.parametrize("length", [3, 70, 101])
def test_weights_that_do_not_belong_to_the_rows_are_refused(length):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 2)), np.arange(100) % 2
    model = FilteredClassifier(SphereFilter(percentile=70), LogisticRegression())
    with pytest.raises(ValueError, match=f"sample_weight has {length} values for 100"):
        model.fit(X, y, sample_weight=np.ones(length))


# ---- weights


def test_ensembles_and_calibration_see_which_estimators_take_weights(blobs):
    X, y = blobs
    weights = np.random.default_rng(0).uniform(0.1, 5, size=150)
    weighted = FilteredClassifier(SphereFilter(), LogisticRegression())
    unweighted = FilteredClassifier(SphereFilter(), KNeighborsClassifier())
    assert has_fit_parameter(weighted, "sample_weight")
    assert not has_fit_parameter(unweighted, "sample_weight")
    assert has_fit_parameter(FilteredRegressor(), "sample_weight")
    assert not has_fit_parameter(FilteredRegressor(None, Lars()), "sample_weight")
    AdaBoostClassifier(weighted, n_estimators=2).fit(X, y)
    with pytest.raises(ValueError, match="doesn't support sample_weight"):
        AdaBoostClassifier(unweighted, n_estimators=2).fit(X, y)
    BaggingClassifier(unweighted, n_estimators=2, random_state=0).fit(X, y)
    calibrated = CalibratedClassifierCV(weighted, ensemble=False, cv=2)
    calibrated.fit(X, y, sample_weight=weights)
    inner = calibrated.calibrated_classifiers_[0].estimator.estimator_
    alone = clone(weighted).fit(X, y, sample_weight=weights).estimator_
    np.testing.assert_allclose(inner.coef_, alone.coef_)
    assert not np.allclose(inner.coef_, clone(weighted).fit(X, y).estimator_.coef_)


def test_weights_are_named_or_come_after_the_labels(blobs):
    X, y = blobs
    weights = np.arange(150.0)
    named = FilteredClassifier().fit(X, y, sample_weight=weights).estimator_
    placed = FilteredClassifier().fit(X, y, weights).estimator_
    np.testing.assert_array_equal(named.coef_, placed.coef_)


def test_weights_that_the_estimator_does_not_take_are_refused_at_once(blobs):
    X, y = blobs
    filtered = FilteredClassifier(Untouchable(), KNeighborsClassifier())
    with pytest.raises(
        ValueError, match="KNeighborsClassifier does not support sample_weight"
    ):
        filtered.fit(X, y, sample_weight=np.ones(150))


class Untouchable(BaseEstimator):
    def fit_predict(self, X, y=None):
        raise AssertionError("the filter was fitted")


def test_the_fit_of_an_estimator_around_a_filter_can_be_pickled(blobs):
    for inner in (LogisticRegression(), KNeighborsClassifier()):
        method = pickle.loads(pickle.dumps(FilteredClassifier(None, inner).fit))
        assert method(*blobs).score(*blobs) > 0.8


# ---- scores


@pytest.fixture
def scored_otherwise(blobs):
    """A search whose score is no accuracy, and rows."""
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, scoring="neg_log_loss")
    return search, *blobs


@pytest.mark.parametrize(
    "make",
    [
        lambda inner: FilteredClassifier(SphereFilter(100), inner),
        lambda inner: PoisonedClassifier(LabelFlipAttack(0), inner),
        lambda inner: DefenseSearchCV(
            LabelFlipAttack(0), inner, {"param_grid": [{"C": [1.0]}]}, cv=2
        ),
    ],
    ids=["FilteredClassifier", "PoisonedClassifier", "DefenseSearchCV"],
)
def test_scores_are_the_estimator_s_own(make, scored_otherwise):
    search, X, y = scored_otherwise
    fitted = make(search).fit(X, y)
    own = clone(search).fit(X, y).score(X, y)
    assert own < 0
    assert fitted.score(X, y) == pytest.approx(own)


def test_scores_of_a_regressor_are_the_estimator_s_own():
    X, y = make_regression(100, 3, noise=1, random_state=0)
    search = GridSearchCV(Ridge(), {"alpha": [1.0]}, scoring="neg_mean_squared_error")
    fitted = FilteredRegressor(SphereFilter(100), search).fit(X, y)
    assert fitted.score(X, y) == clone(search).fit(X, y).score(X, y) < 0


def test_an_estimator_without_score_has_none_through_a_filter(blobs):
    assert not hasattr(FilteredClassifier(SphereFilter(), Recorder()), "score")


def test_requests_of_the_estimator_s_score_are_honored(blobs):
    X, y = blobs
    weights = np.where(y == 0, 1.0, 50.0)
    flips = LabelFlipAttack(0.2, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        asks = LogisticRegression(C=1e-3).set_score_request(sample_weight=True)
        refuses = LogisticRegression(C=1e-3).set_score_request(sample_weight=False)
        for made in (
            FilteredClassifier(SphereFilter(), asks),
            PoisonedClassifier(flips, asks),
        ):
            fitted = made.fit(X, y)
            right = fitted.predict(X) == y
            score = fitted.score(X, y, sample_weight=weights)
            assert score == pytest.approx(np.average(right, weights=weights))
            assert score != right.mean()
        for made in (
            make_pipeline(refuses),  # what scikit-learn makes of it
            FilteredClassifier(SphereFilter(), refuses),
            PoisonedClassifier(flips, refuses),
        ):
            with pytest.raises(TypeError, match="not routed to any object"):
                made.fit(X, y).score(X, y, sample_weight=weights)


# ---- estimators whose fit returns something else


class ReturnsNothing(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)


def test_the_fitted_estimator_is_kept_whatever_its_fit_returns(blobs):
    X, y = blobs
    flips = LabelFlipAttack(0.1, random_state=0)
    for made in (
        FilteredClassifier(SphereFilter(), ReturnsNothing()),
        PoisonedClassifier(flips, ReturnsNothing()),
        DefenseSearchCV(flips, ReturnsNothing(), {"C": [1.0]}, cv=2),
    ):
        made.fit(X, y)
        assert isinstance(made.estimator_, ReturnsNothing)
        assert made.predict(X).shape == (150,)
    found = evaluate_attack(flips, SphereFilter(), ReturnsNothing(), X, y, X, y)
    assert found.error_clean[0] < 0.2
