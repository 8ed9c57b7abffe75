"""Attacks in pipelines, searches and cross-validation."""

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris, make_blobs
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skpoison import (
    DropOutliers,
    FilteredClassifier,
    NormConstrainedSVC,
    PoisonedClassifier,
    SphereFilter,
)
from skpoison.attacks import LabelFlipAttack, MinMaxAttack
from skpoison.filters import EPICFilter, NeighborsFilter
from skpoison.meta import TrustedKFold, set_attack_filter

FLIPS = LabelFlipAttack(0.3, "feasible", random_state=0)


@pytest.fixture(scope="module")
def data():
    return make_blobs(200, centers=[[-1, 0], [1, 0]], random_state=0)


def test_the_classifier_is_fitted_on_clean_rows_and_poison(data):
    X, y = data
    poisoned = PoisonedClassifier(FLIPS, LogisticRegression()).fit(X, y)
    by_hand = LogisticRegression().fit(*clone(FLIPS).fit_resample(X, y))
    np.testing.assert_array_equal(poisoned.estimator_.coef_, by_hand.coef_)
    np.testing.assert_array_equal(poisoned.predict(X), by_hand.predict(X))
    np.testing.assert_array_equal(
        poisoned.decision_function(X), by_hand.decision_function(X)
    )
    np.testing.assert_array_equal(poisoned.predict_proba(X), by_hand.predict_proba(X))
    np.testing.assert_array_equal(
        poisoned.predict_log_proba(X), by_hand.predict_log_proba(X)
    )
    assert poisoned.score(X, y) == by_hand.score(X, y)
    assert poisoned.poison_mask_.sum() == 60
    assert not hasattr(PoisonedClassifier(FLIPS, LinearSVC()), "predict_proba")


DEFENDED = [
    FilteredClassifier(SphereFilter(35), LogisticRegression()),
    make_pipeline(SphereFilter(35), LogisticRegression()),
    make_pipeline("passthrough", FilteredClassifier(SphereFilter(35))),
    make_imblearn_pipeline(DropOutliers(SphereFilter(35)), LogisticRegression()),
]


@pytest.mark.parametrize("estimator", DEFENDED, ids=lambda e: type(e).__module__)
def test_the_attack_is_told_of_the_filter(estimator, data):
    X, y = data
    attack = PoisonedClassifier(FLIPS, estimator).fit(X, y).attack_
    assert attack.filter_.percentile == 35
    np.testing.assert_allclose(
        attack.filter_.centroids_, SphereFilter().fit(X, y).centroids_
    )
    blunt = PoisonedClassifier(FLIPS, estimator, adaptive=False).fit(X, y).attack_
    assert blunt.filter is None and FLIPS.filter is None


def test_without_a_filter_the_attack_keeps_its_own(data):
    attack = clone(FLIPS).set_params(filter=NeighborsFilter())
    poisoned = PoisonedClassifier(attack, LinearSVC(loss="hinge")).fit(*data)
    assert isinstance(poisoned.attack_.filter_, NeighborsFilter)


def test_any_sampler_is_an_attack_if_it_says_what_it_added(data):
    with pytest.raises(AttributeError, match="poison_mask_"):
        PoisonedClassifier(RandomOverSampler(), LogisticRegression()).fit(*data)


def test_a_filter_behind_a_scaler_cannot_be_told(data):
    hidden = make_pipeline(StandardScaler(), FilteredClassifier())
    with pytest.raises(ValueError, match="comes after StandardScaler"):
        PoisonedClassifier(FLIPS, hidden).fit(*data)
    PoisonedClassifier(FLIPS, hidden, adaptive=False).fit(*data)
    make_pipeline(StandardScaler(), PoisonedClassifier(FLIPS)).fit(*data)


@pytest.mark.parametrize(
    "around",
    [
        lambda robust: CalibratedClassifierCV(robust, cv=2),
        lambda robust: VotingClassifier([("robust", robust)]),
        lambda robust: GridSearchCV(robust, {"filter__percentile": [70, 90]}),
    ],
)
def test_a_filter_inside_another_estimator_cannot_be_told(around, data):
    estimator = around(FilteredClassifier(SphereFilter(80), LogisticRegression()))
    with pytest.raises(ValueError, match="There is a filter inside"):
        PoisonedClassifier(FLIPS, estimator).fit(*data)
    assert PoisonedClassifier(FLIPS, estimator, adaptive=False).fit(*data).classes_.size


def test_cross_validation_poisons_training_folds_only(data):
    X, y = data
    poisoned = PoisonedClassifier(FLIPS, LogisticRegression())
    results = cross_validate(
        poisoned, X, y, cv=4, return_estimator=True, return_indices=True
    )
    for fitted, train, test, score in zip(
        results["estimator"],
        results["indices"]["train"],
        results["indices"]["test"],
        results["test_score"],
        strict=True,
    ):
        by_hand = LogisticRegression().fit(
            *clone(FLIPS).fit_resample(X[train], y[train])
        )
        assert score == by_hand.score(X[test], y[test])
        assert fitted.poison_mask_.sum() == 45


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (DEFENDED[0], "estimator__filter__percentile"),
        (DEFENDED[1], "estimator__spherefilter__percentile"),
        (DEFENDED[3], "estimator__dropoutliers__filter__percentile"),
    ],
)
def test_searches_face_an_attacker_who_knows_the_parameters(estimator, name, data):
    X, y = data
    search = GridSearchCV(PoisonedClassifier(FLIPS, estimator), {name: [50, 90]}, cv=3)
    best = search.fit(X, y).best_estimator_
    assert best.attack_.filter_.percentile == search.best_params_[name]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_imblearn_pipelines_take_attacks_as_steps(data):
    X, y = data
    pipeline = make_imblearn_pipeline(
        FLIPS, DropOutliers(SphereFilter(60)), LogisticRegression()
    )
    search = GridSearchCV(pipeline, {"dropoutliers__filter__percentile": [50, 80]})
    fitted = search.fit(X, y).best_estimator_
    assert len(fitted[1].inlier_mask_) == 260
    assert fitted.predict(X).shape == (200,)


def test_tables_go_through(data):
    X, y = data
    frame, labels = pd.DataFrame(X, columns=["a", "b"]), pd.Series(y)
    poisoned = PoisonedClassifier(FLIPS).fit(frame, labels)
    assert list(poisoned.feature_names_in_) == ["a", "b"]
    expected = PoisonedClassifier(FLIPS).fit(X, y).predict(X)
    np.testing.assert_array_equal(poisoned.predict(frame), expected)


def test_many_classes_if_the_attack_knows_many():
    X, y = load_iris(return_X_y=True)
    attack = LabelFlipAttack(0.2, random_state=0)
    robust = FilteredClassifier(SphereFilter(), LogisticRegression(max_iter=1000))
    assert PoisonedClassifier(attack, robust).fit(X, y).score(X, y) > 0.8
    poisoned = PoisonedClassifier(MinMaxAttack(random_state=0)).fit(X, y)
    assert poisoned.classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="Only binary"):
        PoisonedClassifier(MinMaxAttack(rho=1.0)).fit(X, y)


@pytest.mark.parametrize("vectorizer", [CountVectorizer(), TfidfVectorizer()])
@pytest.mark.parametrize(
    "attack",
    [
        LabelFlipAttack(0.3, "feasible", random_state=0),
        MinMaxAttack(0.3, rho=2.0, random_state=0),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_text_stays_sparse_all_the_way(vectorizer, attack):
    rng = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(40)])
    y = np.arange(60) % 2
    texts = [" ".join(rng.choice(words[4 * k : 4 * k + 36], 12)) for k in y]
    defended = FilteredClassifier(SphereFilter(95), NormConstrainedSVC(rho=2.0))
    model = make_pipeline(vectorizer, PoisonedClassifier(attack, defended))
    model.fit(texts, y)
    assert model.predict(texts).shape == (60,)
    attack_ = model[-1].attack_
    assert attack_.X_poison_.format == "csr"
    kept = attack_.filter_.predict(attack_.X_poison_, attack_.y_poison_)
    assert (kept == 1).all()


def test_trusted_folds_validate_on_every_trusted_row_once():
    rng = np.random.default_rng(0)
    trusted, y = rng.uniform(size=50) < 0.6, rng.integers(0, 2, 50)
    folds = list(TrustedKFold(trusted, 4).split(np.zeros((50, 1)), y))
    assert len(folds) == TrustedKFold(trusted, 4).get_n_splits() == 4
    tested = np.concatenate([test for _, test in folds])
    np.testing.assert_array_equal(np.sort(tested), np.flatnonzero(trusted))
    for train, test in folds:
        np.testing.assert_array_equal(np.sort(np.append(train, test)), np.arange(50))
        assert abs(y[test].mean() - y[trusted].mean()) < 0.15


def test_trusted_folds_shuffle_and_take_targets():
    trusted = np.arange(40) < 20
    X, y = np.zeros((40, 1)), np.linspace(0, 1, 40)
    first = next(iter(TrustedKFold(trusted, 5).split(X, y)))[1]
    np.testing.assert_array_equal(first, np.arange(4))
    mixed = TrustedKFold(trusted, 5, shuffle=True, random_state=0)
    assert (next(iter(mixed.split(X, y)))[1] != first).any()
    assert "n_splits=5" in repr(mixed)


def test_scores_on_trusted_rows_see_the_damage(data):
    X, y = data
    attack = LabelFlipAttack(0.5, random_state=0)
    X_all, y_all = attack.fit_resample(X, y)
    folds = TrustedKFold(~attack.poison_mask_)
    trusted = cross_validate(LogisticRegression(), X_all, y_all, cv=folds)
    blind = cross_validate(LogisticRegression(), X_all, y_all)
    assert trusted["test_score"].mean() > blind["test_score"].mean() + 0.1


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        (np.ones(9, dtype=bool), "got 9 values"),
        (np.ones(10), "of type float64"),
        (np.arange(10) < 3, "trusts 3 rows, too few"),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask, why):
    with pytest.raises(ValueError, match=why):
        list(TrustedKFold(mask).split(np.zeros((10, 1)), np.arange(10) % 2))


def test_an_attack_is_told_of_a_filter_that_it_looks_at():
    filter_, attack = SphereFilter(90), MinMaxAttack(0.1)
    assert set_attack_filter(attack, filter_) is attack
    assert attack.filter.percentile == 90
    assert attack.filter is not filter_
    assert set_attack_filter(attack, None).filter.percentile == 90
    inside = set_attack_filter(attack, make_pipeline(SphereFilter(80), LinearSVC()))
    assert inside.filter.percentile == 80
    with pytest.raises(ValueError, match="has no decision_function for new rows"):
        set_attack_filter(attack, EPICFilter())
