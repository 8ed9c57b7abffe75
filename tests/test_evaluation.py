"""Figures of attacks and defenses, the search for a defense, and their pictures."""

import sys

import matplotlib
import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.metrics import hinge_loss, log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import LinearSVC, NuSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skpoison import (
    CertifiedBound,
    EPICFilter,
    FilteredClassifier,
    NormConstrainedSVC,
    PoisonedClassifier,
    SlabFilter,
    SphereFilter,
)
from skpoison.attacks import LabelFlipAttack, MinMaxAttack
from skpoison.evaluation import (
    DefenseSearchCV,
    evaluate_attack,
    held_out_loss,
    neg_loss_scorer,
)
from skpoison.evaluation._evaluate import _frame
from skpoison.filters import NeighborsFilter
from skpoison.inspection import DefenseDisplay, RobustnessDisplay

matplotlib.use("Agg")

SVC = NormConstrainedSVC(rho=1.5, random_state=0)
FLIPS = LabelFlipAttack(0.3, "feasible", random_state=0)
MIN_MAX = MinMaxAttack(0.3, rho=1.5, random_state=0)
BOTH = SphereFilter(80) & SlabFilter(80)
FAILURES_MAY_BE_TOLD = pytest.mark.filterwarnings(
    "ignore:[^S]*fits failed", "ignore:Scoring failed", "ignore:One or more of the test"
)


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs(300, centers=[[-1, 0, 0], [1, 0, 0]], random_state=0)
    return X[:200], y[:200], X[200:], y[200:]


@pytest.fixture(scope="module")
def results(data):
    return evaluate_attack(
        {"flips": FLIPS, "min-max": MIN_MAX},
        {"narrow": SphereFilter(50), "wide": SphereFilter(90)},
        SVC,
        *data,
        epsilons=[0.3, 0.0, 0.1],
    )


def test_each_figure_is_what_one_gets_by_hand(data):
    X, y, X_test, y_test = data
    found = evaluate_attack(MIN_MAX, BOTH, SVC, *data)
    attack = clone(MIN_MAX).set_params(filter=BOTH)
    X_all, y_all = attack.fit_resample(X, y)
    poison = attack.poison_mask_
    kept = clone(BOTH).fit(X_all, y_all).inlier_mask_
    alone = clone(BOTH).fit(X, y).inlier_mask_
    for name, rows, labels in [
        ("clean", X, y),
        ("poisoned", X_all, y_all),
        ("filtered_poisoned", X_all[kept], y_all[kept]),
        ("filtered_clean", X[alone], y[alone]),
    ]:
        fitted = clone(SVC).fit(rows, labels)
        assert found[f"error_{name}"] == [(fitted.predict(X_test) != y_test).mean()]
        loss = hinge_loss(y_test, fitted.decision_function(X_test))
        assert found[f"loss_{name}"] == [loss]
    assert found.poison_rejected == [(~kept[poison]).mean()]
    assert found.clean_rejected == [(~kept[~poison]).mean()]
    assert found.n_poison == [poison.sum()]
    rise = found.error_filtered_poisoned - found.error_filtered_clean
    np.testing.assert_allclose(found.leverage, rise / 0.3)
    assert found.attack == ["MinMaxAttack"] and found.defense == ["FilterIntersection"]


def test_a_fixed_defense_keeps_what_was_made_to_pass_it(data):
    fixed = evaluate_attack(MIN_MAX, BOTH, SVC, *data, fit_filter_on="clean")
    assert fixed.poison_rejected == [0.0]
    frozen = FrozenEstimator(clone(BOTH).fit(*data[:2]))
    again = evaluate_attack(MIN_MAX, frozen, SVC, *data)
    assert again.poison_rejected == [0.0]
    np.testing.assert_allclose(
        again.loss_filtered_poisoned, fixed.loss_filtered_poisoned
    )


def test_attacks_are_told_unless_they_are_not(data):
    attack = clone(FLIPS).set_params(filter=SphereFilter(99))
    told = evaluate_attack(attack, SphereFilter(50), SVC, *data, fit_filter_on="clean")
    blunt = evaluate_attack(
        attack, SphereFilter(50), SVC, *data, adaptive=False, fit_filter_on="clean"
    )
    assert told.poison_rejected == [0.0] and blunt.poison_rejected[0] > 0.1
    with pytest.raises(
        ValueError, match="requires a filter with a feasible_set method"
    ):
        evaluate_attack(MIN_MAX, NeighborsFilter(), SVC, *data)


def test_all_combinations_stand_in_a_tidy_table(results, data):
    frame = results.frame
    assert len(frame) == 12
    assert len(frame[["attack", "defense", "epsilon"]].drop_duplicates()) == 12
    assert set(frame.columns) == set(results) - {"frame"}
    nothing = frame[frame["epsilon"] == 0.0]
    assert (nothing["n_poison"] == 0).all() and nothing["leverage"].isna().all()
    same = nothing["loss_filtered_poisoned"] - nothing["loss_filtered_clean"]
    np.testing.assert_allclose(same, 0, atol=1e-9)
    with parallel_config(backend="threading"):
        parallel = evaluate_attack(
            FLIPS, SphereFilter(50), SVC, *data, epsilons=[0.1, 0.3], n_jobs=2
        )
    rows = frame[(frame["attack"] == "flips") & (frame["defense"] == "narrow")]
    expected = rows.set_index("epsilon").loc[[0.1, 0.3], "loss_filtered_poisoned"]
    np.testing.assert_array_equal(parallel.loss_filtered_poisoned, expected)


def test_without_pandas_there_is_no_table(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert _frame(results) is None


def test_bad_arguments_are_refused(data):
    with pytest.raises(ValueError, match="fit_filter_on must be one of"):
        evaluate_attack(FLIPS, BOTH, SVC, *data, fit_filter_on="rubbish")
    with pytest.raises(ValueError, match="At least one attack"):
        evaluate_attack({}, BOTH, SVC, *data)
    with pytest.raises(ValueError, match="inconsistent"):
        evaluate_attack(FLIPS, BOTH, SVC, *data[:3], data[3][:-1])


def test_losses_of_classifiers_with_and_without_decision_values():
    X, y = load_iris(return_X_y=True)
    linear = Perceptron().fit(X, y)
    assert held_out_loss(linear, X, y) == hinge_loss(y, linear.decision_function(X))
    bayes = GaussianNB().fit(X, y)
    assert held_out_loss(bayes, X, y) == log_loss(y, bayes.predict_proba(X))
    assert neg_loss_scorer(bayes, X, y) == -held_out_loss(bayes, X, y)
    with pytest.raises(ValueError, match="neither decision_function"):
        held_out_loss(FilteredClassifier(estimator=HasNoScores()).fit(X, y), X, y)


def test_the_loss_of_rows_of_one_class_is_theirs():
    """scikit-learn's hinge_loss takes labels without a second class for the first."""
    X, y = make_blobs(60, centers=[[-3, 0], [3, 0]], random_state=0)
    for names in ([0, 1], ["ham", "spam"]):
        svc = LinearSVC().fit(X, np.take(names, y))
        for code, sign in ((0, -1.0), (1, 1.0)):
            rows = X[y == code]
            expected = np.maximum(0, 1 - sign * svc.decision_function(rows)).mean()
            found = held_out_loss(svc, rows, np.full(len(rows), names[code]))
            assert found == pytest.approx(expected)
        whole = held_out_loss(svc, X, np.take(names, y)[:, np.newaxis].tolist())
        assert whole == pytest.approx(hinge_loss(y, svc.decision_function(X)))


def test_decisions_of_pairs_of_classes_have_no_loss():
    X, y = make_blobs(80, centers=4, random_state=0)
    svc = NuSVC(nu=0.1, decision_function_shape="ovo").fit(X, y)
    with pytest.raises(ValueError, match=r"each of its 4 classes.*\(80, 6\)"):
        held_out_loss(svc, X, y)


class HasNoScores(GaussianNB):
    @property
    def predict_proba(self):
        raise AttributeError("none")


SEARCH = DefenseSearchCV(
    LabelFlipAttack(0.3, random_state=0),
    FilteredClassifier(SphereFilter(), LogisticRegression()),
    {"filter__percentile": [60, 90]},
    cv=2,
)


@FAILURES_MAY_BE_TOLD
@parametrize_with_checks([SEARCH])
def test_the_search_passes_scikit_learn_s_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def search(data):
    robust = FilteredClassifier(SphereFilter(), SVC)
    grid = {"filter__percentile": [90, 40, 70]}
    return DefenseSearchCV(MIN_MAX, robust, grid, cv=3).fit(*data[:2])


def test_settings_are_judged_under_attack(search, data):
    X, y = data[:2]
    found = search.cv_results_
    for i, percentile in enumerate([90, 40, 70]):
        robust = FilteredClassifier(SphereFilter(percentile), SVC)
        for name, estimator in [
            ("attacked", PoisonedClassifier(MIN_MAX, robust)),
            ("clean", robust),
        ]:
            scores = cross_val_score(estimator, X, y, cv=3, scoring=neg_loss_scorer)
            assert found[f"mean_{name}_score"][i] == pytest.approx(scores.mean())
            assert found[f"std_{name}_score"][i] == pytest.approx(scores.std())
        assert found["params"][i] == {"filter__percentile": percentile}
    assert search.best_score_ == found["mean_attacked_score"].max()
    assert found["param_filter__percentile"].tolist() == [90, 40, 70]


def test_what_is_fitted_in_the_end_has_seen_no_poison(search, data):
    X, y, X_test, _ = data
    best = search.best_params_["filter__percentile"]
    by_hand = FilteredClassifier(SphereFilter(best), SVC).fit(X, y)
    np.testing.assert_array_equal(
        search.decision_function(X_test), by_hand.decision_function(X_test)
    )
    assert not hasattr(search, "predict_proba")
    assert len(search.best_estimator_.inlier_mask_) == 200


def test_lines_of_robustness_are_the_results(results):
    display = RobustnessDisplay.from_results(results, attack="flips", metric="loss")
    assert display.name == ["narrow", "wide"]
    frame = results.frame
    for name, line in zip(display.name, display.lines_, strict=True):
        rows = frame[(frame["attack"] == "flips") & (frame["defense"] == name)]
        rows = rows.sort_values("epsilon")
        np.testing.assert_array_equal(line.get_xdata(), [0.0, 0.1, 0.3])
        np.testing.assert_array_equal(line.get_ydata(), rows["loss_filtered_poisoned"])
    assert display.ax_.get_ylabel() == "Test loss"
    assert display.ax_.get_title() == "flips"


def test_of_several_attacks_the_worst_is_drawn(results):
    display = RobustnessDisplay.from_results(results.frame)
    errors = results.frame.groupby(["defense", "epsilon"])["error_filtered_poisoned"]
    np.testing.assert_array_equal(display.defended[1], errors.max()["wide"])
    assert display.ax_.get_title() == "worst of the attacks"
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["same poison, no filter", "narrow", "wide"]
    bare = display.plot(plot_undefended=False, name=["a", "b"])
    texts = [text.get_text() for text in bare.ax_.get_legend().get_texts()]
    assert texts == ["a", "b"] and bare.undefended_lines_ == []


def test_unknown_attacks_and_metrics_are_refused(results):
    with pytest.raises(ValueError, match="attack must be one of"):
        RobustnessDisplay.from_results(results, attack="rubbish")
    with pytest.raises(ValueError, match="metric must be one of"):
        RobustnessDisplay.from_results(results, metric="rubbish")


def test_the_search_s_picture(search, data):
    X, y = data[:2]
    bound = CertifiedBound(epsilon=0.3, rho=1.5)
    display = DefenseDisplay.from_search(search, bound=bound, X=X, y=y)
    np.testing.assert_array_equal(display.values, [40, 70, 90])
    scores = search.cv_results_["mean_attacked_score"]
    np.testing.assert_array_equal(display.attacked_loss, -scores[[1, 2, 0]])
    expected = clone(bound).set_params(filter=SphereFilter(70)).fit(X, y).upper_bound_
    assert display.upper_bound[1] == pytest.approx(expected, rel=1e-3)
    assert (np.diff(display.upper_bound) > 0).all()
    assert display.best == search.best_params_["filter__percentile"]
    assert set(display.lines_) == {"attacked_loss", "clean_loss", "upper_bound"}
    with pytest.raises(ValueError, match="bound requires X and y"):
        DefenseDisplay.from_search(search, bound=bound)


def test_filters_in_the_grid_stay_as_they_are(data):
    X, y = data[:2]
    sphere = SphereFilter(55)
    grid = {"filter": [sphere], "filter__percentile": [60, 90]}
    robust = FilteredClassifier(SphereFilter(), LogisticRegression())
    search = DefenseSearchCV(
        LabelFlipAttack(0.1, "feasible", random_state=0), robust, grid, cv=2
    )
    search.fit(X, y)
    assert sphere.percentile == 55
    assert search.best_estimator_.filter.percentile in (60, 90)
    assert [one["filter"].percentile for one in search.cv_results_["params"]] == [
        55
    ] * 2


@FAILURES_MAY_BE_TOLD
def test_settings_that_no_attack_can_face_are_never_the_best(data):
    X, y = data[:2]
    epic = EPICFilter(LogisticRegression())
    robust = FilteredClassifier(SphereFilter(80), LogisticRegression())
    search = DefenseSearchCV(FLIPS, robust, {"filter": [epic, SphereFilter(80)]}, cv=2)
    with pytest.warns(FitFailedWarning, match="has no decision_function for new rows"):
        search.fit(X, y)
    found = search.cv_results_["mean_attacked_score"]
    assert np.isnan(found[0]) and found[1] == search.best_score_
    assert isinstance(search.best_params_["filter"], SphereFilter)
    assert np.isfinite(search.cv_results_["mean_clean_score"]).all()
    with pytest.raises(ValueError, match="has no decision_function for new rows"):
        clone(search).set_params(error_score="raise").fit(X, y)
    both = clone(search).set_params(adaptive=False).fit(X, y)
    assert np.isfinite(both.cv_results_["mean_attacked_score"]).all()


def test_attacks_that_cannot_be_made_leave_nan(data):
    attacks = {"flips": FLIPS, "min-max": MIN_MAX}
    defenses = {"both": BOTH, "neighbors": NeighborsFilter(), "none": None}
    with pytest.warns(FitFailedWarning, match="min-max against neighbors") as caught:
        results = evaluate_attack(attacks, defenses, SVC, *data)
    assert len(caught) == 1 and caught[0].filename == __file__
    failed = np.isnan(results.error_filtered_poisoned)
    assert [*zip(results.attack[failed], results.defense[failed], strict=True)] == [
        ("min-max", "neighbors")
    ]
    assert results.n_poison[failed] == [0]
    assert np.isfinite(results.error_filtered_clean).all()
    display = RobustnessDisplay.from_results(results)
    assert np.isfinite(np.concatenate(display.defended)).all()
    with pytest.raises(
        ValueError, match="requires a filter with a feasible_set method"
    ):
        evaluate_attack(attacks, defenses, SVC, *data, error_score="raise")


def test_no_defense_keeps_all_rows(data):
    results = evaluate_attack(FLIPS, None, SVC, *data, fit_filter_on="clean")
    assert results.defense == ["none"]
    assert results.poison_rejected == results.clean_rejected == [0.0]
    np.testing.assert_array_equal(
        results.error_filtered_poisoned, results.error_poisoned
    )
    np.testing.assert_array_equal(results.error_filtered_clean, results.error_clean)


def test_filters_that_judge_training_rows_only(data):
    told = evaluate_attack(
        LabelFlipAttack(0.1, random_state=0), EPICFilter(), SVC, *data
    )
    assert np.isfinite(told.error_filtered_poisoned).all()
    with pytest.raises(ValueError, match="With adaptive=False, the attack keeps"):
        evaluate_attack(MIN_MAX, EPICFilter(), SVC, *data)
    blunt = evaluate_attack(MIN_MAX, EPICFilter(), SVC, *data, adaptive=False)
    assert np.isfinite(blunt.error_filtered_poisoned).all()


@pytest.mark.parametrize(
    ("attack", "defense", "why"),
    [
        ([FLIPS], BOTH, "attack must be an attack"),
        ({"a": "flips"}, BOTH, "got 'flips'"),
        ({"a": LabelFlipAttack}, BOTH, "attack must be an attack"),
        (FLIPS, SphereFilter, "defense must be a filter"),
        (FLIPS, [BOTH], "defense must be a filter"),
        (FLIPS, FilteredClassifier(BOTH, SVC), "pass its filter"),
    ],
)
def test_things_that_are_no_attack_or_defense(attack, defense, why, data):
    with pytest.raises(TypeError, match=why):
        evaluate_attack(attack, defense, SVC, *data)


def test_labels_without_training_rows_are_refused(data):
    X, y, X_test, y_test = data
    strange = np.full_like(y_test, 7)
    with pytest.raises(ValueError, match=r"y_test contains the labels \[7\]"):
        evaluate_attack(FLIPS, BOTH, SVC, X, y, X_test, strange)
    with pytest.raises(ValueError, match=r"y contains the labels \[7\]"):
        held_out_loss(clone(SVC).fit(X, y), X_test, strange)


def test_searches_that_make_no_picture(search, data):
    X, y = data[:2]
    robust = FilteredClassifier(SphereFilter(), SVC)
    with pytest.raises(NotFittedError):
        DefenseDisplay.from_search(DefenseSearchCV(FLIPS, robust, {}))
    plain = GridSearchCV(robust, {"filter__percentile": [60, 90]}).fit(X, y)
    with pytest.raises(ValueError, match="must be a DefenseSearchCV"):
        DefenseDisplay.from_search(plain)
    grid = {"filter__percentile": [60, 90]}
    scored = DefenseSearchCV(FLIPS, robust, grid, scoring="accuracy", cv=2).fit(X, y)
    with pytest.raises(ValueError, match="scoring='accuracy'"):
        DefenseDisplay.from_search(scored)
    filters = {"filter": [SphereFilter(60), SphereFilter(90)]}
    objects = DefenseSearchCV(FLIPS, robust, filters, cv=2).fit(X, y)
    with pytest.raises(ValueError, match="must be numeric"):
        DefenseDisplay.from_search(objects)


@pytest.mark.parametrize("filter_", [EPICFilter(), LocalOutlierFactor()], ids=repr)
def test_filters_that_judge_no_new_rows_cannot_be_fitted_on_clean_ones(data, filter_):
    options = {"epsilons": [0.1], "adaptive": False}
    evaluate_attack(FLIPS, filter_, SVC, *data, **options)
    with pytest.raises(
        ValueError, match=r"cannot be applied to new rows, as fit_filter_on='clean'"
    ):
        evaluate_attack(FLIPS, filter_, SVC, *data, fit_filter_on="clean", **options)
