"""Detectors of other packages, and pipelines that end in a filter, as filters."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import DBSCAN, HDBSCAN, KMeans
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import make_blobs
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC, OneClassSVM

from skpoison import (
    DropOutliers,
    FilteredClassifier,
    FilteredRegressor,
    PoisonedClassifier,
    SphereFilter,
)
from skpoison.attacks import LabelFlipAttack, MinMaxAttack
from skpoison.evaluation import evaluate_attack
from skpoison.exceptions import FilterWarning
from skpoison.filters import TrimFilter

MADE = [FilteredClassifier, FilteredRegressor, DropOutliers]
WITH_LABELS = [FilteredClassifier, DropOutliers]


@pytest.fixture
def blobs():
    return make_blobs([60, 90], 4, random_state=0)


@pytest.fixture
def rare():
    """Two large classes, and a rare one far from both."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [100, 100, 4])
    return rng.normal(size=(204, 2)) + np.array([0, 3, 20])[y, None], y


class FromTheMiddle(BaseEstimator):
    """Rejects a fifth of the rows, those far from the mean; other conventions inherit.

    Parameters
    ----------
    keep, reject : object
        What it gives for rows.
    """

    def __init__(self, keep=1, reject=-1):
        self.keep = keep
        self.reject = reject

    def fit(self, X, y=None):
        distances = np.linalg.norm(X - np.mean(X, axis=0), axis=1)
        self.far_ = distances > np.quantile(distances, 0.8)
        return self

    def fit_predict(self, X, y=None):
        return np.where(self.fit(X).far_, self.reject, self.keep)


class LikePyOD(FromTheMiddle):
    """PyOD's convention: 0 for inliers, 1 for outliers; warnings as PyOD has them."""

    def __init__(self, keep=0, reject=1):
        super().__init__(keep, reject)

    def fit(self, X, y=None):
        if y is not None:
            warnings.warn("y should not be presented in", UserWarning, stacklevel=2)
        self.decision_scores_ = np.linalg.norm(X - np.mean(X, axis=0), axis=1)
        self.threshold_ = np.quantile(self.decision_scores_, 0.8)
        self.labels_ = self.predict(X)
        return self

    def decision_function(self, X):
        return np.linalg.norm(X - np.mean(X, axis=0), axis=1)

    def predict(self, X):
        return (self.decision_function(X) > self.threshold_).astype(int)

    def fit_predict(self, X, y=None):
        message = "Function fit_predict is deprecated"
        warnings.warn(message, FutureWarning, stacklevel=2)
        return self.fit(X, y).labels_


# ---- conventions


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_detectors_of_pyod_s_convention_lose_their_outliers(made, in_pipeline, blobs):
    X, y = blobs
    detector = (
        make_pipeline(StandardScaler(), LikePyOD()) if in_pipeline else LikePyOD()
    )
    seen = StandardScaler().fit_transform(X) if in_pipeline else X
    far = FromTheMiddle().fit(seen).far_
    np.testing.assert_array_equal(made(detector).fit(X, y).inlier_mask_, ~far)


def test_pyod_s_own_detectors_lose_their_outliers(blobs):
    pyod = pytest.importorskip("pyod.models.knn")
    X, y = blobs
    detector = pyod.KNN(contamination=0.1)
    outliers = clone(detector).fit(X).labels_ == 1
    for made in MADE:
        np.testing.assert_array_equal(made(detector).fit(X, y).inlier_mask_, ~outliers)


CLUSTERERS = [
    KMeans(2, n_init=1),
    DBSCAN(),
    HDBSCAN(copy=True),
    GaussianMixture(2),
    make_pipeline(StandardScaler(), KMeans(2)),
]


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("clusterer", CLUSTERERS, ids=lambda c: type(c).__name__)
def test_clusterers_are_refused_before_they_are_fitted(
    made, clusterer, monkeypatch, blobs
):
    monkeypatch.setattr(type(clusterer), "fit_predict", pytest.fail)
    with pytest.raises(ValueError, match=r"must be an outlier detector; \w+ is a "):
        made(clusterer).fit(*blobs)


def test_an_evaluation_refuses_clusterers_before_it_trains(blobs):
    with pytest.raises(ValueError, match="must be an outlier detector; KMeans"):
        evaluate_attack(LabelFlipAttack(), KMeans(2), None, *blobs, *blobs)


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize(
    ("keep", "reject"), [(0, 1), (True, False), (1, 0), (1, np.nan), ("in", "out")]
)
def test_values_of_an_unknown_convention_are_refused(made, keep, reject, blobs):
    with pytest.raises(ValueError, match="must return 1 for rows to keep and -1 for"):
        made(FromTheMiddle(keep, reject)).fit(*blobs)


def test_an_evaluation_asks_frozen_detectors_in_their_own_convention(blobs):
    X, y = blobs
    for detector in (IsolationForest(random_state=0), LikePyOD(), SphereFilter()):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "y should not be presented")
            frozen = FrozenEstimator(detector.fit(X, y))
        found = evaluate_attack(
            LabelFlipAttack(0.1, random_state=0), frozen, LinearSVC(), X, y, X, y
        )
        assert 0 <= found.clean_rejected[0] < 0.5


# ---- a row of each class


@pytest.mark.parametrize("made", WITH_LABELS)
@pytest.mark.parametrize(
    "detector",
    [
        IsolationForest(contamination=0.05, random_state=0),
        make_pipeline(StandardScaler(), IsolationForest(contamination=0.05)),
        EllipticEnvelope(contamination=0.05, random_state=0),
        LocalOutlierFactor(contamination=0.05),
        OneClassSVM(nu=0.05, gamma=0.01),
        LikePyOD(),
    ],
    ids=lambda detector: type(detector).__name__,
)
def test_the_best_row_of_a_class_is_kept_whatever_the_detector(made, detector, rare):
    X, y = rare
    with pytest.warns(FilterWarning, match=r"rejects every row of the classes \[2\]"):
        fitted = made(detector).fit(X, y)
    assert fitted.inlier_mask_[y == 2].sum() == 1
    assert fitted.inlier_mask_[y < 2].mean() > 0.7


def test_the_row_that_is_kept_has_the_best_score(rare):
    X, y = rare
    detector = IsolationForest(contamination=0.05, random_state=0)
    with pytest.warns(
        FilterWarning, match="the best-scoring row of each class is kept"
    ):
        fitted = FilteredClassifier(detector).fit(X, y)
    scores = fitted.filter_.score_samples(X)
    (kept,) = np.flatnonzero(fitted.inlier_mask_ & (y == 2))
    assert scores[kept] == scores[y == 2].max()
    np.testing.assert_array_equal(fitted.classes_, [0, 1, 2])
    with pytest.warns(
        FilterWarning, match="the best-scoring row of each class is kept"
    ):
        like_pyod = FilteredClassifier(LikePyOD()).fit(X, y)
    (kept,) = np.flatnonzero(like_pyod.inlier_mask_ & (y == 2))
    scores = like_pyod.filter_.decision_scores_
    assert scores[kept] == scores[y == 2].min()


def test_without_scores_the_loss_of_a_class_is_told(rare):
    X, y = rare
    with pytest.warns(FilterWarning, match=r"\[2\] and has no scores to select"):
        fitted = FilteredClassifier(FromTheMiddle()).fit(X, y)
    np.testing.assert_array_equal(fitted.classes_, [0, 1])


@pytest.mark.parametrize("in_sparse", [False, True])
def test_a_row_of_each_label_is_kept_in_every_column_of_labels(in_sparse, rare):
    X, y = rare
    labels = np.c_[y == 1, y == 2].astype(int)
    detector = IsolationForest(contamination=0.05, random_state=0)
    fitted = FilteredClassifier(detector, KNeighborsClassifier())
    with pytest.warns(FilterWarning, match=r"rejects every row of the classes \[1\]"):
        fitted.fit(X, sparse.csr_array(labels) if in_sparse else labels)
    assert labels[fitted.inlier_mask_].any(axis=0).all()


def test_targets_of_a_regression_are_no_classes(rare):
    X, _ = rare
    targets = X.sum(axis=1)
    detector = IsolationForest(contamination=0.05, random_state=0)
    mask = clone(detector).fit_predict(X) == 1
    for fitted in (
        FilteredRegressor(detector).fit(X, targets),
        DropOutliers(detector).fit(X, targets),
        DropOutliers(detector, ignore_y=True).fit(X, targets > 30),
    ):
        np.testing.assert_array_equal(fitted.inlier_mask_, mask)


# ---- pipelines that end in a filter


@pytest.fixture
def mixed():
    """A table with categories and missing categories; odd rows in each class."""
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    table = pd.DataFrame(
        {
            "amount": rng.normal(size=200) + 4 * y,
            "country": np.array(["ch", "fr", "it"])[rng.integers(3, size=200)],
            "device": pd.Categorical(np.array(["phone", "desk"])[y]),
        },
        index=np.arange(200)[::-1] * 2,
    )
    return table, y


def encoder():
    return make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (OneHotEncoder(), make_column_selector(dtype_exclude="number")),
    )


def test_an_encoder_and_a_filter_judge_tables_of_mixed_columns(mixed):
    table, y = mixed
    pipeline = make_pipeline(encoder(), SphereFilter(80))
    model = FilteredClassifier(pipeline, make_pipeline(encoder(), LogisticRegression()))
    model.fit(table, y, logisticregression__sample_weight=np.ones(200))
    mask = SphereFilter(80).fit(encoder().fit_transform(table), y).inlier_mask_
    np.testing.assert_array_equal(model.inlier_mask_, mask)
    np.testing.assert_array_equal(model.filter_[-1].inlier_mask_, mask)
    assert list(model.feature_names_in_) == list(table.columns)
    assert model.score(table, y) == 1
    dropped, _ = DropOutliers(pipeline).fit_resample(table, y)
    pd.testing.assert_frame_equal(dropped, table[mask])
    # New rows: scores, and judgements under labels.
    assert model.filter_.score_samples(table).shape == (200,)
    np.testing.assert_array_equal(model.filter_.predict(table, y=y) == 1, mask)


def test_searches_reach_the_filter_at_the_end_of_a_pipeline(mixed):
    table, y = mixed
    pipeline = make_pipeline(encoder(), SphereFilter())
    model = FilteredClassifier(pipeline, make_pipeline(encoder(), LogisticRegression()))
    grid = {"filter__spherefilter__percentile": [60, 90]}
    search = GridSearchCV(model, grid, cv=3).fit(table, y)
    assert search.best_score_ == 1


def test_names_of_columns_reach_the_filter_at_the_end_of_a_pipeline(blobs):
    X, y = blobs
    scaler = StandardScaler().set_output(transform="pandas")
    model = FilteredClassifier(make_pipeline(scaler, SphereFilter()))
    model.fit(pd.DataFrame(X, columns=list("abcd")), y)
    np.testing.assert_array_equal(model.filter_[-1].feature_names_in_, list("abcd"))


def test_a_vectorizer_and_a_filter_judge_texts():
    texts = ["good day", "good news", "bad day", "bad news"] * 10 + ["spam ham egg"]
    y = np.array([1, 1, 0, 0] * 10 + [1])
    model = FilteredClassifier(
        make_pipeline(TfidfVectorizer(), SphereFilter(90)),
        make_pipeline(TfidfVectorizer(), LinearSVC()),
    )
    model.fit(texts, y)
    assert not model.inlier_mask_[-1]
    assert "spam" not in model.estimator_[0].vocabulary_
    assert model.score(texts[:-1], y[:-1]) == 1


def test_a_filter_of_targets_sees_them_at_the_end_of_a_pipeline():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    y = X @ [1.0, 2.0] + 50 * (np.arange(100) < 10)
    filter_ = make_pipeline(
        StandardScaler(), TrimFilter(contamination=0.1, random_state=0)
    )
    model = FilteredRegressor(filter_, LinearRegression()).fit(X, y)
    np.testing.assert_array_equal(model.inlier_mask_, np.arange(100) >= 10)


def test_an_attack_cannot_ask_a_filter_behind_other_steps(blobs):
    scaled = FilteredClassifier(make_pipeline(StandardScaler(), SphereFilter()))
    with pytest.raises(ValueError, match="The filter comes after StandardScaler"):
        PoisonedClassifier(MinMaxAttack(), scaled).fit(*blobs)
    PoisonedClassifier(LabelFlipAttack(0.1), scaled).fit(*blobs)  # asks no filter
    PoisonedClassifier(MinMaxAttack(), scaled, adaptive=False).fit(*blobs)
    alone = FilteredClassifier(make_pipeline(SphereFilter(90)))
    told = PoisonedClassifier(MinMaxAttack(), alone).fit(*blobs).attack_.filter
    assert told.percentile == 90


def test_an_attack_cannot_ask_a_detector_that_knows_no_labels(blobs):
    model = PoisonedClassifier(
        LabelFlipAttack(0.1, "feasible"), FilteredClassifier(IsolationForest())
    )
    with pytest.raises(ValueError, match="does not take labels"):
        model.fit(*blobs)


# ---- rows that are no numbers

TEXTS = ["good day", "bad day"] * 20
LABELS = np.array([0, 1] * 20)


@pytest.mark.parametrize("made", [*MADE, clone])
def test_rows_that_are_no_numbers_get_advice(made):
    dates = pd.DataFrame({"n": LABELS, "day": pd.to_datetime(LABELS)})
    words = pd.DataFrame({"n": LABELS, "day": pd.Categorical(TEXTS)})
    advice = r"make_pipeline\(ColumnTransformer\(...\), SphereFilter\(\.\.\.\)\)"
    for table in (dates, words):
        with pytest.raises(ValueError, match=rf"in the columns \['day'\].*{advice}"):
            made(SphereFilter()).fit(table, LABELS)
    for rows in (TEXTS, np.array(TEXTS)[:, None], words.to_numpy()):
        with pytest.raises(ValueError, match=rf"could not convert string.*{advice}"):
            made(SphereFilter()).fit(rows, LABELS)


def test_other_errors_of_rows_stay_as_they_are():
    with pytest.raises(ValueError, match=r"^X must hold rows: 0 sample"):
        SphereFilter().fit(np.empty((0, 2)))
    with pytest.raises(ValueError, match=r"^Input X contains NaN"):
        SphereFilter().fit([[np.nan], [1.0]])


# ---- tags


def test_missing_values_are_taken_where_filter_and_estimator_take_them(blobs):
    def takes(*parts):
        return FilteredClassifier(*parts).__sklearn_tags__().input_tags.allow_nan

    boosting = HistGradientBoostingClassifier(max_iter=2)
    assert takes(IsolationForest(), boosting)
    assert not takes(SphereFilter(), boosting)
    assert not takes(IsolationForest(), LogisticRegression())
    assert DropOutliers(IsolationForest()).__sklearn_tags__().input_tags.allow_nan
    X, y = blobs
    X[0, 0] = np.nan
    FilteredClassifier(IsolationForest(random_state=0), boosting).fit(X, y).predict(X)


def test_several_labels_are_claimed_where_the_filter_does_not_look_at_them():
    neighbors = KNeighborsClassifier()
    tags = FilteredClassifier(SphereFilter(), neighbors).__sklearn_tags__()
    assert not tags.target_tags.multi_output
    assert not tags.classifier_tags.multi_label
    tags = FilteredClassifier(IsolationForest(), neighbors).__sklearn_tags__()
    assert tags.target_tags.multi_output
    assert tags.classifier_tags.multi_label
    assert FilteredRegressor().__sklearn_tags__().target_tags.multi_output
    trimmed = FilteredRegressor(TrimFilter()).__sklearn_tags__()
    assert not trimmed.target_tags.multi_output


@pytest.mark.parametrize("shape", [(59,), (60, 1)])
def test_detectors_must_give_one_value_for_each_row(shape):
    class Wrong(BaseEstimator):
        def fit_predict(self, X, y=None):
            return np.ones(shape)

    X, y = np.arange(120.0).reshape(60, 2), np.arange(60) % 2
    with pytest.raises(ValueError, match="one value for each of the 60 rows; Wrong"):
        FilteredClassifier(Wrong()).fit(X, y)
