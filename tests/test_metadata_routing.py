"""Weights and groups: who gets them, cut to which rows, and who refuses them."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_blobs
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Ridge,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
from sklearn.utils.validation import has_fit_parameter

from skpoison import (
    DropOutliers,
    EPICFilter,
    FilteredClassifier,
    FilteredRegressor,
    PoisonedClassifier,
    SphereFilter,
)
from skpoison.attacks import LabelFlipAttack
from skpoison.base import BaseFilter
from skpoison.evaluation import DefenseSearchCV
from skpoison.filters import (
    CrossFitFilter,
    LossFilter,
    SeverFilter,
    SlabFilter,
    TrimFilter,
)
from skpoison.meta import TrustedKFold

pytestmark = pytest.mark.usefixtures("few_trees")

N = 90


@pytest.fixture
def rows():
    return make_blobs(N, centers=[[-1, 0], [1, 0], [0, 2]], random_state=0)


@pytest.fixture
def weights(rows):
    rng = np.random.default_rng(0)
    heavy = rows[0][:, 0] > rows[0][:, 1]
    return np.where(heavy, 30.0, 1.0) * rng.integers(1, 4, size=N)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


SEEN = []


class SeesParameters(ClassifierMixin, BaseEstimator):
    """Has the same decisions on all rows, and notes what it is fitted with."""

    def fit(self, X, y, sample_weight=None, note=None):
        self.classes_ = np.unique(y)
        SEEN.append({"X": X, "sample_weight": sample_weight, "note": note})
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        return self.fit(X, y, sample_weight)

    def predict(self, X):
        return self.classes_[np.zeros(len(X), dtype=int)]

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


@pytest.fixture(autouse=True)
def nothing_seen():
    SEEN.clear()


def weight_of(row):
    """A weight by which a row can be told."""
    return np.abs(row).sum(axis=1) + 0.5


def assert_rows_have_their_weights():
    assert SEEN
    for seen in SEEN:
        np.testing.assert_array_equal(seen["sample_weight"], weight_of(seen["X"]))


# ---- filters that fit an estimator


WITH_ESTIMATORS = {
    "LossFilter": LossFilter(contamination=0.3),
    "SeverFilter": SeverFilter(contamination=0.3),
    "EPICFilter": EPICFilter(random_state=0),
    "TrimFilter": TrimFilter(contamination=0.3, random_state=0),
}


@pytest.mark.parametrize("name", WITH_ESTIMATORS)
def test_default_estimators_are_fitted_with_the_weights(name, rows, weights):
    X, y = rows
    filter_ = WITH_ESTIMATORS[name]
    assert has_fit_parameter(filter_, "sample_weight")
    alone = filter_.fit(X, y).estimator_.coef_
    ones = filter_.fit(X, y, sample_weight=np.ones(N)).estimator_.coef_
    np.testing.assert_allclose(ones, alone)
    weighted = filter_.fit(X, y, sample_weight=list(weights)).estimator_.coef_
    assert not np.allclose(weighted, alone, rtol=1e-3)


def test_a_loss_filter_fits_what_its_estimator_fits_with_weights(rows, weights):
    X, y = rows
    filter_ = LossFilter(contamination=0.2, estimator=LogisticRegression(), max_iter=1)
    alone = LogisticRegression().fit(X, y, sample_weight=weights)
    filter_.fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(filter_.estimator_.coef_, alone.coef_)
    losses = -np.log(alone.predict_proba(X)[np.arange(N), y])
    np.testing.assert_allclose(-filter_.scores_, losses)
    kept = filter_.inlier_mask_
    trimmed = np.average(losses[kept], weights=weights[kept])
    np.testing.assert_allclose(filter_.trimmed_losses_, [trimmed])


def test_a_trim_filter_with_weights_is_trimmed_weighted_least_squares(rows, weights):
    X, _ = rows
    y = X @ [2.0, -1.0]
    y[:9] += 30
    filter_ = TrimFilter(contamination=0.1, estimator=LinearRegression(), n_init=1)
    filter_.fit(X, y, sample_weight=weights)
    kept = filter_.inlier_mask_
    alone = LinearRegression().fit(X[kept], y[kept], sample_weight=weights[kept])
    np.testing.assert_allclose(filter_.estimator_.coef_, alone.coef_)
    assert not kept[:9].any()


@pytest.mark.parametrize("name", ["LossFilter", "EPICFilter"])
def test_weights_are_cut_to_the_rows_of_each_fit(name, rows):
    X, y = rows
    filter_ = WITH_ESTIMATORS[name].set_params(estimator=SeesParameters())
    filter_.fit(X, y, sample_weight=weight_of(X))
    WITH_ESTIMATORS[name].set_params(estimator=None)
    assert_rows_have_their_weights()


def test_rows_of_unknown_labels_take_their_weights_along(rows):
    X, y = rows
    learns = LossFilter(contamination=0.1, estimator=SeesParameters())
    both = SphereFilter(radii={0: 5, 1: 5}) & learns
    with pytest.warns(match="rejects 30 of 90"):
        both.fit(X, y, sample_weight=weight_of(X))
    assert_rows_have_their_weights()
    assert {len(seen["X"]) for seen in SEEN} <= set(range(61))


def test_a_filter_s_estimator_gets_other_parameters_too(rows):
    X, y = rows
    names = np.arange(N).astype(str)
    LossFilter(estimator=SeesParameters()).fit(X, y, note=names)
    np.testing.assert_array_equal(SEEN[0]["note"], names)


def test_combinations_hand_weights_to_the_members_that_take_them(rows, weights):
    X, y = rows
    loss = LossFilter(contamination=0.3)
    both = SphereFilter(90) & (loss | SlabFilter(80))
    assert has_fit_parameter(both, "sample_weight")
    assert not has_fit_parameter(SphereFilter() & SlabFilter(), "sample_weight")
    both.fit(X, y, sample_weight=weights)
    alone = loss.fit(X, y, sample_weight=weights)
    member = both.named_filters_["filterunion"].named_filters_["lossfilter"]
    np.testing.assert_array_equal(member.scores_, alone.scores_)


def test_models_of_folds_are_fitted_with_the_weights_of_their_rows(rows):
    X, y = rows
    fitted = CrossFitFilter(SeesParameters(), random_state=0)
    fitted.fit(X, y, sample_weight=weight_of(X))
    assert len(SEEN) == 6  # five folds, and the rows that are kept
    assert_rows_have_their_weights()


def test_rows_of_a_class_without_weight_are_not_judged_by_models_either(rows):
    X, y = rows
    weights = np.where(y == 2, 0.0, 1.0)
    with pytest.raises(ValueError, match=r"zero for every row of the classes \[2\]"):
        CrossFitFilter(random_state=0).fit(X, y, sample_weight=weights)


@pytest.mark.parametrize("is_routed", [False, True])
@pytest.mark.parametrize("regression", [False, True])
def test_default_models_take_weights_of_sparse_rows(
    is_routed, regression, weights, monkeypatch
):
    monkeypatch.setattr("skpoison.filters._panel.N_TREES", 5)
    rng = np.random.default_rng(0)
    X = sparse.random_array((N, 300), density=0.1, format="csr", rng=rng)
    y = rng.normal(size=N) if regression else rng.integers(0, 2, size=N)
    filter_ = CrossFitFilter(random_state=0, cv=2)
    with sklearn.config_context(enable_metadata_routing=is_routed):
        weighted = filter_.fit(X, y, sample_weight=weights).out_of_fold_
        assert not np.allclose(weighted, filter_.fit(X, y).out_of_fold_)


# ---- who refuses what


class Untouchable(SeesParameters):
    def fit(self, X, y, sample_weight=None):
        raise AssertionError("work was done")

    partial_fit = fit


BAD_WEIGHTS = [
    (np.ones(7), "sample_weight has 7 values for 90 rows"),
    (-np.ones(N), "at least 0; row 0 has -1"),
    (np.where(np.arange(N) == 3, np.nan, 1), "row 3 has nan, as 1 of 90"),
    (np.where(np.arange(N) == 3, np.inf, 1), "row 3 has inf"),
    (np.ones((N, 2)), "one number for each row"),
    (["heavy"] * N, "one number for each row"),
    (np.zeros(N), "zero for every row"),
]


@pytest.mark.parametrize(
    "made",
    [
        LossFilter(estimator=Untouchable()),
        EPICFilter(Untouchable()),
        CrossFitFilter(Untouchable()),
        SphereFilter() | LossFilter(estimator=Untouchable()),
        FilteredClassifier(LossFilter(estimator=Untouchable()), LogisticRegression()),
        DropOutliers(LossFilter(estimator=Untouchable())),
    ],
    ids=lambda made: type(made).__name__,
)
@pytest.mark.parametrize(("wrong", "message"), BAD_WEIGHTS)
def test_bad_weights_are_refused_before_any_work(made, wrong, message, rows):
    X, y = rows
    with pytest.raises(ValueError, match=message):
        made.fit(X, y, sample_weight=wrong)


@pytest.mark.parametrize("name", WITH_ESTIMATORS)
def test_a_class_without_weight_is_named(name, rows, weights):
    X, y = rows
    if name == "TrimFilter":
        weights[:], which = 0, "for every row"
    else:
        weights[y == 2], which = 0, r"of the classes \[2\]"
    with pytest.raises(ValueError, match=f"sample_weight is zero.*{which}"):
        WITH_ESTIMATORS[name].fit(X, y, sample_weight=weights)


def test_nothing_of_weight_that_is_kept_is_an_error(rows):
    X, y = rows
    filter_ = SphereFilter(50)
    weights = np.where(filter_.fit(X, y).inlier_mask_, 0.0, 1.0)
    with pytest.raises(ValueError, match="zero for every row that the filter keeps"):
        FilteredClassifier(filter_, LogisticRegression()).fit(X, y, weights)


@pytest.mark.parametrize("name", ["sample_weight", "groups"])
def test_filters_without_an_estimator_say_that_they_take_none(name, rows):
    X, y = rows
    for filter_ in (SphereFilter(), SphereFilter() & SlabFilter()):
        words = f"{type(filter_).__name__} takes no {name}"
        for method in ("fit", "fit_predict", "fit_transform", "fit_filter"):
            with pytest.raises(TypeError, match=words):
                getattr(filter_, method)(X, y, **{name: np.ones(N)})
    with pytest.raises(TypeError, match=f"SphereFilter takes no {name}"):
        DropOutliers(SphereFilter()).fit(X, y, **{name: np.ones(N)})


@pytest.mark.parametrize(
    "filter_",
    [
        LossFilter(estimator=KNeighborsClassifier()),
        SeverFilter(estimator=KNeighborsClassifier()),
        CrossFitFilter(KNeighborsClassifier()),
        TrimFilter(estimator=KNeighborsRegressor()),
    ],
)
def test_estimators_that_take_no_weights_are_named(filter_, rows):
    X, y = rows
    assert not has_fit_parameter(filter_, "sample_weight")
    message = r"KNeighbors.* does not support sample_weight"
    with pytest.raises(ValueError, match=message):
        filter_.fit(X, y, sample_weight=np.ones(N))


def test_groups_are_as_many_as_rows(rows):
    X, y = rows
    model = FilteredClassifier(SphereFilter(), LogisticRegression())
    with pytest.raises(ValueError, match="groups has 3 values for 90 rows"):
        model.fit(X, y, groups=[1, 2, 3])


# ---- cut with the rows


def test_drop_outliers_cuts_along_what_belongs_to_the_rows(rows, weights):
    X, y = rows
    drop = DropOutliers(SphereFilter(80))
    groups = np.arange(N).astype(str)
    _, y_kept, weights_kept, nothing, groups_kept = drop.fit_resample(
        X, y, weights, None, groups
    )
    kept = drop.sample_indices_
    np.testing.assert_array_equal(y_kept, y[kept])
    np.testing.assert_array_equal(weights_kept, weights[kept])
    np.testing.assert_array_equal(groups_kept, groups[kept])
    assert nothing is None
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        drop.fit_resample(X, y, weights[:5])


def test_drop_outliers_fits_its_filter_with_weights(rows, weights):
    X, y = rows
    filter_ = LossFilter(contamination=0.3)
    drop = DropOutliers(filter_)
    X_kept, _, kept = drop.fit_resample(X, y, weights, sample_weight=weights)
    alone = filter_.fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(drop.inlier_mask_, alone.inlier_mask_)
    np.testing.assert_array_equal(kept, weights[alone.inlier_mask_])
    assert len(X_kept) == alone.inlier_mask_.sum()


# ---- routing


def test_without_routing_weights_are_for_the_estimator_alone(rows, weights):
    X, y = rows
    filter_ = LossFilter(contamination=0.3).set_params(estimator=LogisticRegression())
    model = FilteredClassifier(filter_, LogisticRegression())
    model.fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model.inlier_mask_, filter_.fit(X, y).inlier_mask_)


def inner_that_requests():
    return LogisticRegression().set_fit_request(sample_weight=True)


def own_request():
    return LossFilter(contamination=0.3).set_fit_request(sample_weight=True)


@pytest.mark.parametrize(
    "filter_",
    [
        lambda: LossFilter(contamination=0.3, estimator=inner_that_requests()),
        own_request,
        lambda: own_request() & SphereFilter(),
        lambda: make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False), own_request()
        ),
    ],
    ids=["inner", "own", "member", "pipeline"],
)
@pytest.mark.parametrize("around", [FilteredClassifier, DropOutliers])
def test_filters_get_the_weights_that_they_request(
    filter_, around, rows, weights, routing
):
    X, y = rows
    requests = filter_()
    made = around(requests)
    if around is FilteredClassifier:
        made.set_params(estimator=inner_that_requests())
    made.fit(X, y, sample_weight=weights)
    alone = requests.fit_predict(X, y, sample_weight=weights) == 1
    np.testing.assert_array_equal(made.inlier_mask_, alone)
    assert not np.array_equal(made.inlier_mask_, requests.fit_predict(X, y) == 1)
    if around is FilteredClassifier:
        final = LogisticRegression().fit(X[alone], y[alone], weights[alone])
        np.testing.assert_array_equal(made.estimator_.coef_, final.coef_)


@pytest.mark.parametrize(
    ("filter_", "named"),
    [
        (LossFilter(), "LossFilter.fit"),
        (LossFilter(estimator=LogisticRegression()), "LogisticRegression.fit"),
        (EPICFilter(SGDClassifier()), "SGDClassifier.partial_fit"),
        (SphereFilter() | SeverFilter(), "SeverFilter.fit"),
        (OneClassSVM(), "OneClassSVM.fit"),
    ],
)
def test_filters_that_may_take_weights_must_be_asked(filter_, named, rows, routing):
    X, y = rows
    model = FilteredClassifier(filter_, inner_that_requests())
    with pytest.raises(UnsetMetadataPassedError, match=f"not requested for {named}"):
        model.fit(X, y, sample_weight=np.ones(N))


def test_a_filter_refuses_weights_for_itself_alone(rows, weights, routing):
    X, y = rows
    refuses = LossFilter(contamination=0.3).set_fit_request(sample_weight=False)
    model = FilteredClassifier(refuses, inner_that_requests())
    model.fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model.inlier_mask_, refuses.fit(X, y).inlier_mask_)
    assert not np.array_equal(model.estimator_.coef_, model.fit(X, y).estimator_.coef_)


def test_aliases_give_filter_and_estimator_weights_of_their_own(rows, routing):
    X, y = rows
    learns = SeesParameters().set_fit_request(sample_weight="trust")
    model = FilteredClassifier(
        LossFilter(contamination=0.3, estimator=learns),
        SeesParameters().set_fit_request(sample_weight=True),
    )
    model.fit(X, y, sample_weight=weight_of(X), trust=weight_of(X) + 1)
    np.testing.assert_array_equal(SEEN[0]["sample_weight"], weight_of(X) + 1)
    last = SEEN[-1]
    np.testing.assert_array_equal(last["sample_weight"], weight_of(last["X"]))
    assert len(last["X"]) == model.inlier_mask_.sum()


@pytest.mark.parametrize("alias", [True, "trust"])
def test_models_of_folds_get_the_weights_that_they_request(alias, rows, routing):
    X, y = rows
    asks = SeesParameters().set_fit_request(sample_weight=alias)
    model = FilteredClassifier(
        CrossFitFilter(asks, random_state=0),
        LogisticRegression().set_fit_request(sample_weight=False),
    )
    name = "sample_weight" if alias is True else alias
    model.fit(X, y, **{name: weight_of(X)})
    assert_rows_have_their_weights()
    with pytest.raises(UnsetMetadataPassedError, match=r"SeesParameters\.fit"):
        model.set_params(filter__estimator=SeesParameters()).fit(
            X, y, sample_weight=np.ones(N)
        )


def test_frozen_filters_refuse_weights(rows, weights):
    X, y = rows
    frozen = FrozenEstimator(LossFilter(contamination=0.3).fit(X, y))
    with pytest.raises(TypeError, match=r"FrozenEstimator\(LossFilter\) takes no"):
        DropOutliers(frozen).fit(X, y, sample_weight=weights)


def test_a_regressor_s_filter_gets_weights(rows, weights, routing):
    X, _ = rows
    y = X @ [2.0, -1.0] + np.random.default_rng(1).normal(size=N)
    trim = TrimFilter(contamination=0.2, random_state=0)
    trim.set_fit_request(sample_weight=True)
    model = FilteredRegressor(trim, Ridge().set_fit_request(sample_weight=True))
    model.fit(X, y, sample_weight=weights)
    alone = trim.fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(model.inlier_mask_, alone.inlier_mask_)
    np.testing.assert_array_equal(model.filter_.scores_, alone.scores_)


def test_detectors_of_scikit_learn_get_weights(rows, routing):
    X, y = rows
    detector = OneClassSVM(nu=0.3).set_fit_request(sample_weight=True)
    weights = np.where(y == 0, 50.0, 1.0)
    model = FilteredClassifier(detector, inner_that_requests())
    model.fit(X, y, sample_weight=weights)
    alone = detector.fit(X, sample_weight=weights).predict(X) == 1
    assert not np.array_equal(alone, detector.fit(X).predict(X) == 1)
    np.testing.assert_array_equal(model.inlier_mask_, alone)


def test_weights_and_groups_under_searches_and_cross_validation(rows, routing):
    X, y = rows
    groups = np.arange(N) // 5
    learns = SeesParameters().set_fit_request(sample_weight=True)
    final = inner_that_requests().set_score_request(sample_weight=True)
    model = make_pipeline(
        StandardScaler(with_mean=False, with_std=False).set_fit_request(
            sample_weight=False
        ),
        FilteredClassifier(LossFilter(contamination=0.3, estimator=learns), final),
    )
    grid = {"filteredclassifier__filter__contamination": [0.2, 0.4]}
    search = GridSearchCV(model, grid, cv=GroupKFold(3))
    search.fit(X, y, groups=groups, sample_weight=weight_of(X))
    assert_rows_have_their_weights()
    SEEN.clear()
    params = {"groups": groups, "sample_weight": weight_of(X)}
    cross_validate(model, X, y, cv=GroupKFold(3), params=params)
    assert_rows_have_their_weights()
    assert len(SEEN) >= 3


def test_weights_beside_folds_of_trusted_rows(rows, weights, routing):
    X, y = rows
    trusted = np.arange(N) % 2 == 0
    final = inner_that_requests().set_score_request(sample_weight=True)
    model = FilteredClassifier(own_request(), final)
    folds = TrustedKFold(trusted, n_splits=2)
    params = {"sample_weight": weights}
    found = cross_validate(model, X, y, cv=folds, params=params)["test_score"]
    for score, (train, test) in zip(found, folds.split(X, y), strict=True):
        assert trusted[test].all()
        model.fit(X[train], y[train], sample_weight=weights[train])
        alone = model.score(X[test], y[test], sample_weight=weights[test])
        assert score == pytest.approx(alone)


def test_samplers_in_pipelines_of_imbalanced_learn_get_weights(rows, weights, routing):
    imblearn = pytest.importorskip("imblearn.pipeline")
    X, y = rows
    drop = DropOutliers(own_request())
    unweighted = LogisticRegression().set_fit_request(sample_weight=False)
    model = imblearn.make_pipeline(drop, unweighted)
    model.fit(X, y, sample_weight=weights)
    alone = own_request().fit(X, y, sample_weight=weights).inlier_mask_
    np.testing.assert_array_equal(model[0].inlier_mask_, alone)
    # Only X and y are cut by these pipelines.
    model = imblearn.make_pipeline(drop, inner_that_requests())
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(90,\), expected"):
        model.fit(X, y, sample_weight=weights)


def test_filters_as_steps_of_a_pipeline_get_weights(rows, weights, routing):
    X, y = rows
    filter_ = own_request().set_params(random_state=0)
    step = make_pipeline(filter_, inner_that_requests())
    step.fit(X, y, sample_weight=weights)
    alone = filter_.fit_transform(X, y, sample_weight=weights)
    final = LogisticRegression().fit(alone, y, sample_weight=weights)
    np.testing.assert_array_equal(step[-1].coef_, final.coef_)


def test_a_defense_search_splits_by_groups(rows):
    X, y = rows
    y = y % 2
    groups = np.arange(N) // 5
    search = DefenseSearchCV(
        LabelFlipAttack(0.1, random_state=0),
        FilteredClassifier(SphereFilter(), LogisticRegression()),
        {"filter__percentile": [80, 100]},
        cv=GroupKFold(2),
    )
    splits = list(GroupKFold(2).split(X, y, groups))
    found = search.fit(X, y, groups=groups).cv_results_["mean_clean_score"]
    alike = search.set_params(cv=splits).fit(X, y).cv_results_["mean_clean_score"]
    np.testing.assert_array_equal(found, alike)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = search.set_params(cv=GroupKFold(2)).fit(X, y, groups=groups)
    np.testing.assert_array_equal(routed.cv_results_["mean_clean_score"], found)
    with pytest.raises(TypeError, match="takes no sample_weight"):
        search.fit(X, y, sample_weight=np.ones(N))
    with pytest.raises(ValueError, match="groups has 2 values"):
        search.fit(X, y, groups=[0, 1])


def test_a_poisoned_classifier_takes_no_weights(rows, routing):
    X, y = rows
    poisoned = PoisonedClassifier(LabelFlipAttack(0.1), inner_that_requests())
    with pytest.raises(TypeError, match=r"Poisoned\w*\.fit.*sample_weight"):
        poisoned.fit(X, y, sample_weight=np.ones(N))


# ---- filters that others write


class KeepsTheHeavyRowsOfGroups(BaseFilter):
    """Keeps rows of weight 2 and more, and whatever is in the group 'trusted'."""

    def fit(self, X, y=None, sample_weight=None, groups=None):
        return super().fit(X, y, sample_weight=sample_weight, groups=groups)

    def _fit(self, X, codes, sample_weight, groups=None):
        decisions = sample_weight - 2
        if groups is not None:
            decisions[groups == "trusted"] = 0
        return decisions, decisions

    def _decide(self, X, codes):
        return np.zeros(len(X))

    _score = _decide


def test_a_filter_of_one_s_own_gets_what_its_fit_shows(rows, routing):
    X, y = rows
    groups = np.where(np.arange(N) % 3 == 0, "trusted", "others")
    weights = np.arange(N) % 4.0
    expected = (weights >= 2) | (groups == "trusted")
    own = KeepsTheHeavyRowsOfGroups()
    given = {"sample_weight": list(weights), "groups": pd.Series(groups)}
    kept = own.fit_predict(X, y, **given) == 1
    np.testing.assert_array_equal(kept, expected)
    own.set_fit_request(sample_weight=True, groups=True)
    model = FilteredClassifier(own & SphereFilter(100), LogisticRegression())
    model.estimator.set_fit_request(sample_weight=False)
    model.fit(X, y, sample_weight=weights, groups=groups)
    np.testing.assert_array_equal(model.inlier_mask_, expected)
    with pytest.raises(ValueError, match="groups has 1 values for 90"):
        own.fit(X, y, sample_weight=weights, groups=["trusted"])
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        own.fit(X, y, other=weights)


class KnowsTwoLabels(KeepsTheHeavyRowsOfGroups):
    def _knows(self, classes):
        return classes < 2


def test_weights_and_groups_are_cut_to_rows_of_known_labels(rows):
    X, y = rows
    groups = np.where(np.arange(N) % 3 == 0, "trusted", "others")
    weights = np.arange(N) % 4.0
    with pytest.warns(match="rejects 30 of 90"):
        own = KnowsTwoLabels().fit(X, y, sample_weight=weights, groups=groups)
    expected = ((weights >= 2) | (groups == "trusted")) & (y < 2)
    np.testing.assert_array_equal(own.inlier_mask_, expected)
