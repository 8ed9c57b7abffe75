"""``skpoison.audit``: its numbers are those of its parts, its doubts are founded."""

import html
import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

import skpoison
from skpoison import (
    AutoFilter,
    CertifiedBound,
    FilteredClassifier,
    NormConstrainedSVC,
    SlabFilter,
    SphereFilter,
    audit,
)
from skpoison._audit.defenses import default_filters, seeded
from skpoison._audit.learner import loss_of
from skpoison._audit.summary import _not_judged
from skpoison._audit.suspicion import suspicion_part
from skpoison._defaults import default_cleaner
from skpoison.attacks import LabelFlipAttack, MinMaxAttack
from skpoison.evaluation import DefenseSearchCV, held_out_loss
from skpoison.filters import (
    EPICFilter,
    LossFilter,
    NeighborsFilter,
    SeverFilter,
    SubspaceFilter,
)

pytestmark = pytest.mark.usefixtures("few_trees")

SVC = LinearSVC(loss="hinge", max_iter=100_000, random_state=0)
QUICK = {
    "percentiles": [70, 90],
    "epsilons": [0.05],
    "filters": {},
    "attacks": {"flips": LabelFlipAttack(strategy="random")},
    "moving_seconds": 0,
}


def blobs(n_rows=150, n_features=3, seed=0):
    centers = np.zeros((2, n_features))
    centers[:, 0] = -1.2, 1.2
    return make_blobs(n_rows, centers=centers, random_state=seed)


def quick(X, y, **changes):
    return audit(X, y, **(QUICK | changes))


def assumption(report, name):
    return next(one for one in report.assumptions if one["name"].startswith(name))


@pytest.fixture(scope="module")
def full():
    """A report with all that comes by default, on few rows."""
    X, y = blobs(100)
    filters = default_filters(90.9)
    del filters["auto"]  # which takes longer than all others together
    report = audit(
        X,
        y,
        percentiles=[70, 90],
        epsilons=[0.05],
        estimator=SVC,
        cv=2,
        filters=filters,
        moving_seconds=3,
    )
    return X, y, report


def test_bounds_are_those_of_the_estimator(full):
    X, y, report = full
    curves = {
        (curve["defense"], curve["percentile"]): {
            point["epsilon"]: point for point in curve["points"]
        }
        for curve in report.bounds["curves"]
    }
    assert list(curves["fixed", 90]) == [0.05, 0.1]
    for percentile in (70, 90):
        bound = CertifiedBound(
            SphereFilter(percentile) & SlabFilter(percentile), 0.1, C=1.0
        ).fit(X, y)
        point = curves["fixed", percentile][0.1]
        assert point["upper_bound"] == pytest.approx(bound.upper_bound_, rel=3e-3)
        assert point["lower_bound"] <= bound.upper_bound_
        assert point["attack_loss"] <= point["upper_bound"]
        assert point["converged"]


def test_moving_centroids_are_bounded_beside_the_fixed_ones(full):
    *_, report = full
    rows = report.percentiles
    assert report.bounds["defenses"][1]["computed"]
    for row in rows:
        assert row["upper_bound_moving"] >= row["upper_bound"] * (1 - 1e-3)


def test_no_time_for_moving_centroids_is_said():
    report = quick(*blobs())
    (moving,) = [
        one for one in report.bounds["defenses"] if one["defense"] == "moving_centroids"
    ]
    assert not moving["computed"]
    assert "none was requested" in moving["reason"]
    assert {curve["defense"] for curve in report.bounds["curves"]} == {"fixed"}
    assert all(row["upper_bound_moving"] is None for row in report.percentiles)


def test_measured_losses_are_those_of_a_search_over_the_same_folds():
    X, y = blobs()
    worst = MinMaxAttack(C=1.0, random_state=0)
    report = quick(X, y, estimator=SVC, attacks={"min-max": worst})
    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(X, y))
    filters = [SphereFilter(p) & SlabFilter(p) for p in (70, 90)]
    robust = FilteredClassifier(filters[0], SVC)
    search = DefenseSearchCV(
        worst.set_params(epsilon=0.1), robust, {"filter": filters}, cv=folds
    ).fit(X, y)
    own = [
        row
        for row in report.evaluations
        if row["defense"] == row["made_against"] and row["possible"]
    ]
    assert [row["defense"] for row in own] == ["sphere & slab 70", "sphere & slab 90"]
    assert all(row["adaptive"] for row in own)
    np.testing.assert_allclose(
        [row["loss_filtered_poisoned"] for row in own],
        -search.cv_results_["mean_attacked_score"],
    )
    np.testing.assert_allclose(
        [row["clean_loss"] for row in report.percentiles],
        -search.cv_results_["mean_clean_score"],
    )


def test_a_wider_filter_faces_what_is_made_against_stricter_ones():
    report = quick(*blobs(), estimator=SVC, attacks={"m": MinMaxAttack(C=1.0)})
    faced = {
        row["made_against"]: row
        for row in report.evaluations
        if row["defense"] == "sphere & slab 90"
    }
    assert set(faced) == {"sphere & slab 70", "sphere & slab 90"}
    worst = max(row["loss_filtered_poisoned"] for row in faced.values())
    assert report.percentiles[1]["worst_loss"] == worst


def test_the_recommendation_is_the_lowest_under_attack_not_the_least_bound(full):
    *_, report = full
    found, rows = report.recommendation, report.percentiles
    open_ = [row for row in rows if row["cost"] <= found["max_cost"]]
    best = min(open_, key=lambda row: (row["worst"], row["clean"]))
    assert found["certified_percentile"] == best["percentile"]
    ranked = [row for row in report.ranking if row["n_adaptive"]]
    ranked = [row for row in ranked if row["cost"] <= found["max_cost"] + 1e-9]
    best = min(ranked, key=lambda row: (row["worst"], row["clean"]))
    assert found["defense"] == best["defense"]
    assert found["worst"]["value"] == best["worst"]
    bounds = [row["upper_bound"] for row in rows]
    assert bounds == sorted(bounds)
    assert found["by_certificate_alone"] == rows[0]["percentile"]
    for row in rows:
        judged = [
            one["loss_filtered_poisoned"]
            for one in report.evaluations
            if one["defense"] == f"sphere & slab {row['percentile']:g}"
            and one["possible"]
        ]
        assert row["worst_loss"] == max(judged)


def test_ranking_is_by_worst_error_and_by_cost(full):
    *_, report = full
    errors = [row["worst"] for row in report.ranking if row["n_adaptive"]]
    assert errors == sorted(errors)
    ranks = [row["rank"] for row in report.ranking]
    assert ranks == list(range(1, len(report.ranking) + 1))
    by_cost = sorted(report.ranking, key=lambda row: row["rank_by_clean"])
    costs = [row["clean"] for row in by_cost]
    assert costs == sorted(costs)
    ranked = {row["defense"]: row for row in report.ranking}
    assert ranked["no defense"]["cost_error"] == 0.0
    # Without sets of feasible rows, only flips can be made against a defense.
    assert ranked["mahalanobis"]["n_adaptive"] == 2
    assert ranked["mahalanobis"]["n_attacks"] == 3
    assert ranked["sphere & slab 90"]["n_adaptive"] == 3


def test_no_defense_faces_rows_from_far_out():
    X, y = blobs()
    report = quick(X, y, estimator=SVC, attacks={"m": MinMaxAttack(C=1.0)})
    (row,) = [row for row in report.evaluations if row["defense"] == "no defense"]
    assert row["clean_rejected"] == row["poison_rejected"] == 0.0
    assert row["error_poisoned"] == row["error_filtered_poisoned"]
    losses = []
    folds = StratifiedKFold(3, shuffle=True, random_state=0).split(X, y)
    for train, test in folds:
        means = np.array([X[train][y[train] == label].mean(axis=0) for label in (0, 1)])
        distances = np.linalg.norm(X[train] - means[y[train]], axis=1)
        radii = [3 * distances[y[train] == label].max() for label in (0, 1)]
        wide = SphereFilter(centroids=means, radii=radii).fit(X[train], y[train])
        attack = MinMaxAttack(0.1, C=1.0, filter=FrozenEstimator(wide), random_state=0)
        rows, labels = attack.fit_resample(X[train], y[train])
        outermost = np.linalg.norm(rows[-1] - means[labels[-1]])
        assert outermost > 2 * distances.max()
        losses.append(held_out_loss(clone(SVC).fit(rows, labels), X[test], y[test]))
    assert row["loss_poisoned"] == pytest.approx(np.mean(losses), rel=0.02)


def test_what_is_frozen_keeps_what_it_was_fitted_on():
    X, y = blobs()
    sphere = FrozenEstimator(SphereFilter(95).fit(X, y))
    attack = LabelFlipAttack(strategy="feasible", filter=sphere)
    model = seeded(attack, 3)
    assert model.random_state == 3
    assert attack.random_state is None
    assert model.filter.estimator is sphere.estimator
    assert seeded(sphere, 3).estimator is sphere.estimator


def test_a_planted_row_is_found_with_its_reasons():
    X, y = blobs()
    X[17] = 9.0
    sphere = SphereFilter(90)
    report = quick(X, y, filters={"ball": sphere, "nn": NeighborsFilter(90)})
    first = report.suspicious["rows"][0]
    assert first["position"] == 17
    assert first["row"] == 18
    assert first["n_beyond"] == 4
    assert list(report.most_suspicious(1)) == [17]
    reasons = {reason["filter"]: reason for reason in first["reasons"]}
    assert set(reasons) == {"sphere", "slab", "ball", "nn"}
    sphere.fit(X, y)
    code = int(y[17])
    assert reasons["ball"]["distance"] == pytest.approx(-sphere.scores_[17])
    assert reasons["ball"]["threshold"] == pytest.approx(sphere.radii_[code])
    assert f"mean of class {code}" in reasons["ball"]["text"]
    assert sum(one["share"] for one in first["features"]) == pytest.approx(1.0)


def test_scores_are_means_of_minus_log_ranks(full):
    *_, report = full
    n_rows = report.suspicious["n_rows"]
    scores = []
    for row in report.suspicious["rows"]:
        ranks = np.array([reason["rank"] for reason in row["reasons"]])
        assert row["score"] == pytest.approx(-np.log(ranks / n_rows).mean())
        scores.append(row["score"])
    assert scores == sorted(scores, reverse=True)


def test_copies_contradictions_and_scales_are_noticed():
    X, y = blobs()
    X[:12], y[:12] = X[0], 0
    X[20] = X[21]
    y[20], y[21] = 0, 1
    X[:, 2] *= 1e4
    report = quick(X, y, transformer=None)
    assert report.data["most_repeated"] == {
        "position": 0,
        "row": 1,
        "label": "0",
        "n_copies": 12,
    }
    assert "Row 1 occurs 12 times with label 0" in str(report)
    assert report.data["n_repeated"] == 11
    assert report.data["n_contradicting"] == 2
    assert assumption(report, "no row has many")["status"] == "watch"
    assert assumption(report, "equal rows")["status"] == "watch"
    assert report.data["widest"]["name"] == "x2"
    assert assumption(report, "no column dominates")["status"] == "watch"
    scaled = quick(X, y)
    assert scaled.data["transformed"] == "standard"
    assert assumption(scaled, "no column dominates")["status"] == "holds"


def test_a_column_that_holds_nearly_all_distances_is_scaled():
    X, y = blobs(300, 5)
    numbered = np.column_stack([X, np.random.default_rng(0).permutation(300)])
    report = quick(numbered, y)
    assert report.data["widest"]["name"] == "x5"
    spreads = numbered.std(axis=0)
    share = spreads[5] ** 2 / (spreads**2).sum()
    assert report.data["widest"]["share"] == pytest.approx(share) and share > 0.99
    assert report.data["transformed"] == "standard"
    assert report.data["row_numbers"] == ["x5"]
    assert "Column x5 numbers the rows" in str(report)
    plain = quick(numbered, y, transformer=None)
    assert assumption(plain, "no column dominates")["status"] == "watch"
    alike = quick(X * [1, 5, 2, 1, 3], y)
    assert (alike.data["transformed"], alike.data["widest"]) == ("none", None)


def test_values_of_features_are_in_the_units_of_the_data():
    X, y = blobs()
    X[:, 2] = 1e4 * X[:, 2] + 7e5
    report = quick(X, y)
    assert report.data["transformed"] == "standard"
    for row in report.suspicious["rows"]:
        own = y == int(row["label"])
        for feature in row["features"]:
            j = int(feature["feature"][1])
            assert feature["value"] == X[row["position"], j]
            assert feature["class_mean"] == pytest.approx(X[own, j].mean())


def test_a_defense_that_rejects_nothing_is_none():
    X, y = blobs()
    report = quick(X, y, filters={"all": SubspaceFilter(n_components=3)})
    assert "all" not in {row["defense"] for row in report.ranking}
    assert "all" not in {one["filter"] for one in report.suspicious["filters"]}
    left = {one["what"]: one["reason"] for one in report.left_out}
    assert "rejected no row" in left["defense all"]
    assert "all rows alike" in left["judging by all"]


def test_filters_without_sets_face_what_no_defense_faces():
    attacks = {"m": MinMaxAttack(C=1.0), "flips": LabelFlipAttack(strategy="feasible")}
    report = quick(*blobs(), attacks=attacks, filters={"nn": NeighborsFilter(90)})
    far = "rows up to three times as far out as any"
    faced = {
        (row["attack"], row["made_against"]): row["adaptive"]
        for row in report.evaluations
        if row["defense"] == "nn"
    }
    assert not faced["m", far] and not faced["m", "sphere & slab 90.9"]
    assert faced["flips", "nn"]
    worst = {
        row["defense"]: row["error_poisoned"]
        for row in report.evaluations
        if row["made_against"] == far and row["attack"] == "m"
    }
    assert worst["nn"] == worst["no defense"]


def test_defenses_that_no_attack_knew_come_last():
    X, y = blobs()
    report = quick(X, y, filters={"nn": NeighborsFilter(90)})
    known = [row["n_adaptive"] > 0 for row in report.ranking]
    known = [k or row["defense"] == "no defense"
             for k, row in zip(known, report.ranking, strict=True)]  # fmt: skip
    assert known == sorted(known, reverse=True) and not known[-1]
    assert report.recommendation["defense"] == "no defense"
    judged = report.recommendation["not_judged"]
    names = {"nn", "sphere & slab 70", "sphere & slab 90"}
    assert {one["defense"] for one in judged} == names
    assert "no attack" in judged[0]["reason"]


def test_a_percentile_that_no_attack_can_pass_is_said():
    X, y = load_iris(return_X_y=True)
    attacks = {"flips": LabelFlipAttack(strategy="feasible")}
    settings = {"attacks": attacks, "percentiles": [70, 95], "cv": 2}
    report = quick(X, y, **settings, max_cost=1.0)
    (left,) = report.recommendation["not_judged"]
    assert left["defense"] == "sphere & slab 70"
    assert "flips are impossible" in left["reason"]
    assert "sphere & slab 70 was not judged" in str(report)
    assert "of a model that separates 0 from all others" in str(report)


def test_defenses_that_were_not_judged_for_one_reason_are_named_together():
    def one(defense, reason):
        return {"defense": defense, "reason": reason.format(defense)}

    alike = [one(name, "{} rejects all.") for name in ("sphere", "slab")]
    first, second = _not_judged([*alike, one("loss", "nothing adapts to it")])
    assert first.startswith("sphere, slab were not judged")
    assert "(of the first: sphere rejects all)" in first
    assert second.startswith("loss was not judged") and "nothing adapts" in second


def test_a_model_worth_no_more_than_the_frequent_label_is_noticed():
    rng = np.random.default_rng(1)
    y = np.where(np.arange(300) < 30, "rare", "usual")
    X = rng.normal(size=(300, 5))
    X[:30, 0] += 2.5
    attacks = {"m": MinMaxAttack(C=1.0)}
    plain = quick(X, y, attacks=attacks, cv=2, metric="error", class_weight=None)
    assert plain.no_attack["majority_error"] == pytest.approx(0.1)
    assert plain.recommendation["constant"] == pytest.approx(0.1)
    assert "so under this attack the model is useless" in str(plain)
    assert "useless" not in str(quick(*blobs()))
    # Of itself, it compares by the mean of both classes' error rates.
    report = quick(X, y, attacks=attacks, cv=2)
    found = report.recommendation
    assert (found["metric"], found["constant"]) == ("balanced-error", 0.5)
    assert "Compared by balanced error: only 10.0 % of the rows" in str(report)
    assert "class_weight='balanced'" in report.settings["estimator"]
    rates = [one["recall"] for one in report.classes]
    assert min(rates) > 0.7
    assert 1 - np.mean(rates) == pytest.approx(found["undefended_clean"]["value"])


def test_attacks_send_the_share_that_is_compared():
    attack = LabelFlipAttack(0.3, strategy="random")
    report = quick(*blobs(), attacks={"a": attack})
    assert "epsilon=0.1" in report.settings["attacks"]["a"]
    assert {row["n_poison"] for row in report.evaluations} == {10.0}
    assert attack.epsilon == 0.3


def test_errors_of_attacks_name_them():
    class Broken(LabelFlipAttack):
        def fit_resample(self, X, y):
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom") as caught:
        quick(*blobs(), attacks={"mine": Broken()})
    assert "'mine'" in caught.value.__notes__[0]


def test_sound_data_raise_no_doubts(full):
    *_, report = full
    for name in (
        "there are two",
        "no column",
        "the class means",
        "no row has",
        "equal",
    ):
        assert assumption(report, name)["status"] == "holds"
    assert assumption(report, "the bound applies")["status"] == "holds"
    assert assumption(report, "the rows are clean")["status"] == "not tested"


def test_more_columns_than_rows_break_the_bond_of_training_and_test_loss():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 200)), np.repeat([0, 1], 30)
    report = quick(X, y)
    found = assumption(report, "training and test loss")
    assert found["status"] == "violated"
    assert found["numbers"]["gap"] == pytest.approx(
        report.no_attack["test_loss"] - report.no_attack["train_loss"]
    )
    assert assumption(report, "the class means")["status"] == "watch"
    assert "training and test loss agree" in " ".join(report.summary)


def test_a_class_that_poison_outnumbers_is_noticed():
    X, y = blobs()
    y = np.where(np.arange(150) < 8, 1, 0)
    report = quick(X, y)
    found = assumption(report, "every class outnumbers")
    assert found["status"] == "violated"
    assert found["numbers"] == {"n_poison": 15, "smallest_class": 8}


def test_another_model_is_measured_while_bounds_are_for_the_machine():
    X, y = blobs()
    report = quick(X, y, estimator=GaussianNB())
    assert not report.bounds["applies_to_estimator"]
    assert report.bounds["learner"] == {"C": 1.0}
    assert assumption(report, "the bound applies")["status"] == "violated"
    ball = quick(X, y, estimator=NormConstrainedSVC(rho=2.0))
    assert ball.bounds["learner"] == {"rho": 2.0}
    assert ball.bounds["applies_to_estimator"]


LEARNERS = {
    "squared hinge loss": (LinearSVC(C=0.5), {"C": 0.5}),
    "logistic loss": (LogisticRegression(C=2.0), {"C": 2.0}),
    "half the squared loss": (RidgeClassifier(3.0), {"alpha": 3.0}),
    "modified huber loss": (
        SGDClassifier("modified_huber", alpha=0.01, random_state=0),
        {"alpha": 0.01},
    ),
}


@pytest.mark.parametrize("loss", LEARNERS)
def test_bounds_attacks_and_losses_are_those_of_the_model(loss):
    X, y = blobs()
    estimator, parameters = LEARNERS[loss]
    report = quick(X, y, estimator=estimator, attacks=None)
    bounds = report.bounds
    assert bounds["applies_to_estimator"] and bounds["loss"] == loss
    assert bounds["learner"] == parameters
    assert assumption(report, "the bound applies")["status"] == "holds"
    curve = bounds["curves"][0]
    both = SphereFilter(curve["percentile"]) & SlabFilter(curve["percentile"])
    wanted = CertifiedBound(both, 0.1, estimator=estimator).fit(X, y)
    found = {one["epsilon"]: one["upper_bound"] for one in curve["points"]}
    assert found[0.1] == pytest.approx(wanted.upper_bound_, rel=3e-3)
    moving = bounds["defenses"][1]
    assert not moving["computed"] and "the hinge loss" in moving["reason"]
    assert report.settings["attacks"]["min-max"].count(type(estimator).__name__) == 1
    # Losses on held-out rows are in the units of the bound.
    model = clone(estimator).fit(X, y)
    margins = np.where(y == 1, 1, -1) * model.decision_function(X)
    own = np.mean(wanted._objective.loss.value(margins))
    assert loss_of(model, X, y) == pytest.approx(own)
    assert report.no_attack["train_loss"] == pytest.approx(own, rel=0.3)
    assert bounds["loss"] in report._html()


def test_weights_of_classes_are_left_out_of_the_bound_and_said():
    X, y = blobs()
    report = quick(X, y, estimator=LogisticRegression(class_weight="balanced"))
    assert report.bounds["loss"] == "logistic loss"
    assert not report.bounds["applies_to_estimator"]
    found = assumption(report, "the bound applies")
    assert found["status"] == "violated" and "equal weights" in found["text"]


def test_losses_of_several_classes_are_those_of_the_model():
    X, y = make_blobs(90, centers=3, cluster_std=4.0, random_state=0)
    model = LogisticRegression().fit(X, y)
    chances = model.predict_proba(X)[np.arange(90), y]
    assert loss_of(model, X, y) == pytest.approx(-np.log(chances).mean())
    for other in (LinearSVC(loss="hinge", max_iter=10**5), GaussianNB()):
        other.fit(X, y)
        assert loss_of(other, X, y) == held_out_loss(other, X, y)


def test_several_classes_are_one_against_the_rest_for_the_bound():
    X, y = make_blobs(150, centers=4, random_state=0)
    y = np.array(["a", "b", "c", "d"])[y]
    report = audit(X, y, percentiles=[80], epsilons=[0.1], filters={}, positive="c",
                   moving_seconds=0)  # fmt: skip
    assert (report.data["positive"], report.data["negative"]) == ("c", "not c")
    assert set(report.settings["attacks"]) == {"flips", "random flips"}
    bound = CertifiedBound(SphereFilter(80) & SlabFilter(80), 0.1).fit(X, y == "c")
    (point,) = report.bounds["curves"][0]["points"]
    assert point["upper_bound"] == pytest.approx(bound.upper_bound_, rel=3e-3)
    assert assumption(report, "there are two")["status"] == "violated"
    assert [one["n_rows"] for one in report.data["classes"]] == [38, 38, 37, 37]


def test_frames_keep_their_names_and_index():
    X, y = blobs()
    X[5] = 7.0
    frame = pd.DataFrame(X, columns=["alpha", "beta", "gamma"])
    frame.index = [f"row {i}" for i in range(150)]
    labels = pd.Series(np.where(y == 0, "ham", "spam"), index=frame.index)
    first = quick(frame, labels).suspicious["rows"][0]
    assert (first["position"], first["index"]) == (5, "row 5")
    assert first["label"] in ("ham", "spam")
    assert {one["feature"] for one in first["features"]} == {"alpha", "beta", "gamma"}


def test_sparse_and_dense_rows_give_the_same():
    rng = np.random.default_rng(0)
    X = np.where(rng.random((120, 20)) < 0.2, rng.integers(1, 4, (120, 20)), 0.0)
    y = (X[:, 0] + X[:, 1] > 0.5).astype(int)
    dense, thin = quick(X, y), quick(sparse.csr_array(X), y)
    assert thin.data["is_sparse"]
    assert thin.data["kinds"] == dense.data["kinds"]
    assert thin.data["n_repeated"] == dense.data["n_repeated"]
    for a, b in zip(dense.percentiles, thin.percentiles, strict=True):
        assert a["upper_bound"] == pytest.approx(b["upper_bound"], rel=3e-3)
    rows = dense.suspicious["rows"], thin.suspicious["rows"]
    assert [a["position"] for a in rows[0][:5]] == [b["position"] for b in rows[1][:5]]


def test_texts_need_a_transformer_and_get_their_words():
    texts = ["cheap pills now", "meeting at noon", "pills cheap", "noon lunch"] * 10
    texts[3] += " aardvark"
    y = [1, 0] * 20
    with pytest.raises(ValueError, match="transformer='tfidf'"):
        quick(texts, y)
    report = quick(texts, y, transformer="tfidf", cv=2)
    assert report.data["transformed"] == "tfidf"
    names = {
        one["feature"] for row in report.suspicious["rows"] for one in row["features"]
    }
    assert "aardvark" in names


def test_the_same_seed_gives_the_same_report():
    X, y = blobs()
    attacks = {"flips": LabelFlipAttack(strategy="random")}
    settings = {"estimator": LinearSVC(loss="hinge"), "attacks": attacks}
    once, again = (quick(X, y, **settings).to_dict() for _ in range(2))
    assert once == again
    other = quick(X, y, **settings, random_state=1).to_dict()
    assert once["evaluations"] != other["evaluations"]


def test_an_interrupted_audit_goes_on_where_it_stopped(tmp_path, monkeypatch):
    X, y = blobs()
    module = __import__("skpoison._audit.training", fromlist=["fit_clone"])
    done, real = [], module.fit_clone

    def counted(*args, **kwargs):
        done.append(1)
        return real(*args, **kwargs)

    def stop(stage, n_done, n_total):
        if stage == "Attacking" and n_done == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "fit_clone", counted)
    plain = quick(X, y)
    total = len(done)
    done.clear()
    with pytest.raises(KeyboardInterrupt):
        quick(X, y, memory=str(tmp_path), callback=stop)
    before = len(done)
    assert 0 < before < total
    resumed = quick(X, y, memory=str(tmp_path))
    assert len(done) == total
    assert resumed.to_dict() == plain.to_dict()


def test_progress_counts_to_the_end(capsys):
    told = []
    quick(*blobs(), callback=lambda *args: told.append(args), verbose=1)
    last = {stage: (done, total) for stage, done, total in told}
    stages = {"Suspecting rows", "Bounding", "Attacking", "Judging rows"}
    assert stages <= set(last)
    assert all(
        done == total for stage, (done, total) in last.items() if "mov" not in stage
    )
    assert "Attacking: 33 parts" in capsys.readouterr().err


def test_big_data_are_told_what_it_takes(capsys, monkeypatch):
    X, y = blobs()
    monkeypatch.setattr("skpoison._audit.cost.BIG", 100)
    quick(X, y, verbose=1)
    first = capsys.readouterr().err.split("\n")[0]
    assert first.startswith("150 rows of 3 features: this takes less than a minute")
    assert "of memory" in first


def test_a_budget_that_is_too_small_draws_fewer_rows(monkeypatch):
    X, y = blobs(900)
    monkeypatch.setattr("skpoison._audit.cost.BIG", 100)
    monkeypatch.setattr("skpoison._audit.cost._pilot", lambda *_: (20.0, 20.0))
    report = quick(X, y, budget=600)
    assert report.settings["budget"] == 600
    assert report.settings["n_attacked_rows"] < 400
    left = {one["what"]: one["reason"] for one in report.left_out}
    (what,) = [one for one in left if one.startswith("attacks on")]
    assert left[what].startswith("the budget of 600 seconds: ")
    assert quick(X, y).settings["n_attacked_rows"] == 900


def test_without_time_the_report_is_short_and_says_what_it_lacks():
    X, y = blobs(150)
    asked = {"percentiles": [70, 90, 100], "filters": None, "epsilons": [0.01, 0.1]}
    asked["attacks"] = {"flips": LabelFlipAttack(strategy="feasible")}
    report = quick(X, y, **asked, moving_seconds=30, budget=1e-9)
    tried = {row["defense"] for row in report.ranking}
    assert tried == {"no defense", "sphere & slab 100"}
    (curve,) = report.bounds["curves"]
    (point,) = curve["points"]
    assert point["epsilon"] == report.settings["reference"]
    left = {one["what"] for one in report.left_out}
    assert {
        *("attacks in 2 of 3 folds", "defense sphere & slab 70", "defense auto"),
        *("judging by neighbors", "bounds of sphere and slab at percentiles 70, 90"),
        *("single predictions", "traced errors"),
    } <= left
    assert {one["reason"][:19] for one in report.left_out} == {"the budget of 1e-09"}
    said = " ".join(text for text in report.summary if text.startswith("Left out"))
    assert all(one in said for one in left)
    assert "by the certificate alone" not in " ".join(report.summary).lower()
    assert "<html" in report._html()


@pytest.mark.parametrize("n_looks", [2, 5, 9, 13])
def test_all_folds_of_a_report_have_the_same_defenses(monkeypatch, n_looks):
    X, y = blobs(150)
    looks = itertools.count()
    monkeypatch.setattr(
        "skpoison._audit.progress.Clock.spent",
        lambda _: 0.0 if next(looks) < n_looks else 1e9,
    )
    report = quick(X, y, percentiles=[70, 90, 100], budget=60)
    done = {row["defense"] for row in report.ranking}
    left = {one["what"] for one in report.left_out}
    for name in ("sphere & slab 70", "sphere & slab 90"):
        assert (name in done) != (f"defense {name}" in left)


def test_attacks_run_on_some_rows_where_there_are_many():
    X, y = blobs(400)
    y = np.where(np.arange(400) < 20, 1, 0)
    report = quick(X, y, max_rows=100)
    n_attacked = report.settings["n_attacked_rows"]
    assert n_attacked == 95 + 20  # the small class is kept whole
    assert report.suspicious["n_rows"] == 400
    (left,) = report.left_out
    assert left["what"] == "attacks on 285 of 400 rows"


def test_filters_of_ones_own_are_measured_and_judge():
    X, y = blobs()
    filters = {
        "epic": EPICFilter(LogisticRegression(), n_rounds=1),
        "sever": SeverFilter(90),
        "either": SphereFilter(90) | LossFilter(90),
    }
    report = quick(X, y, filters=filters)
    names = [one["filter"] for one in report.suspicious["filters"]]
    assert names == [
        "sphere",
        "slab",
        "epic",
        "sever",
        "either spherefilter",
        "either lossfilter",
    ]
    assert {"sever", "either"} <= {row["defense"] for row in report.ranking}
    # Gradients of two classes lie on a line, where one round isolates nobody.
    assert [one["what"] for one in report.left_out] == ["defense epic"]


def test_what_cannot_be_done_is_said():
    X = np.vstack([np.full((30, 2), -50.0), np.full((30, 2), 50.0)])
    X += np.random.default_rng(0).normal(size=X.shape)
    y = np.repeat([0, 1], 30)
    attacks = {"flips": LabelFlipAttack(strategy="feasible"), "m": MinMaxAttack()}
    report = quick(X, y, attacks=attacks)
    impossible = [row for row in report.evaluations if not row["possible"]]
    assert {row["attack"] for row in impossible} == {"flips"}
    assert "flips are impossible" in impossible[0]["reason"]
    assert all(row["error_poisoned"] is None for row in impossible)


def test_warnings_end_in_the_report():
    X, y = blobs()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = quick(X, y, estimator=LinearSVC(loss="hinge", max_iter=1))
    assert any("converge" in text for text in report.warnings)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"epsilons": [2]}, ValueError, "epsilons must be one or more numbers from 0"),
        ({"epsilons": []}, ValueError, "epsilons"),
        ({"percentiles": [0]}, ValueError, "percentiles must be .* above 0 to 100"),
        ({"percentiles": [0.7, 0.9]}, ValueError, "percentages, such as 70 or 90"),
        ({"reference": 0.001}, ValueError, "of the 100 rows .* must be 0.01 at least"),
        ({"reference": 0}, ValueError, "reference"),
        ({"reference": [0.1]}, ValueError, "reference must be one number"),
        (
            {"positive": "z"},
            ValueError,
            r"positive must be one of the labels \['0', '1'",
        ),
        ({"cv": 1}, ValueError, "cv must be a whole number"),
        ({"cv": 90}, ValueError, "fewer than the 90 folds"),
        ({"top": -1}, ValueError, "top"),
        ({"random_state": None}, ValueError, "random_state"),
        ({"moving_seconds": -1}, ValueError, "moving_seconds"),
        ({"filters": SphereFilter()}, TypeError, "filters must be a dict"),
        ({"filters": {"a": 3}}, TypeError, r"filters\['a'\] must be skpoison filters"),
        ({"filters": {"a": SphereFilter}}, TypeError, "is the class SphereFilter"),
        ({"filters": {"no defense": SphereFilter()}}, ValueError, "names of their own"),
        (
            {"filters": {"sphere & slab 90": SphereFilter()}},
            ValueError,
            "names of their own",
        ),
        ({"attacks": {}}, ValueError, "at least one attack"),
        ({"attacks": {"a": SphereFilter()}}, TypeError, "attacks"),
        ({"estimator": 3}, TypeError, "estimator must be a classifier"),
        ({"estimator": LinearSVC}, TypeError, "the class LinearSVC"),
        ({"estimator": LinearRegression()}, TypeError, "must be a classifier"),
        ({"transformer": "what"}, ValueError, "transformer"),
    ],
)
def test_bad_parameters_are_errors_before_any_work(changes, error, message):
    def stop(*_):
        raise AssertionError("work has begun")

    with pytest.raises(error, match=message):
        quick(*blobs(), callback=stop, **changes)


def test_bad_rows_are_errors():
    X, y = blobs()
    for bad in (np.nan, np.inf):
        broken = X.copy()
        broken[3, 1] = bad
        with pytest.raises(ValueError, match=r"in 1 rows, .* row 4, .* in column 1"):
            quick(broken, y)
        frame = pd.DataFrame(broken, columns=["a", "b", "c"])
        with pytest.raises(ValueError, match="in column 'b'"):
            quick(frame, y)
        with pytest.raises(ValueError, match=r"in 1 rows, .* row 4, .* in column 1"):
            quick(sparse.csr_matrix(broken), y)
    with pytest.raises(ValueError, match="one class only, 0"):
        quick(X, np.zeros(150, dtype=int))
    with pytest.raises(ValueError, match="inconsistent"):
        quick(X, y[:-1])
    for missing in (np.nan, None):
        labels = np.array([missing, *y[1:]], dtype=object if missing is None else float)
        with pytest.raises(ValueError, match=r"1 missing labels .* of row 1,"):
            quick(X, labels)
    twice = pd.DataFrame(X, columns=["a", "b", "a"])
    with pytest.raises(ValueError, match="several columns of the name 'a'"):
        quick(twice, y)
    with pytest.raises(ValueError, match="'tfidf' takes texts"):
        quick(X, y, transformer="tfidf")
    words = pd.DataFrame({"number": X[:, 0], "word": ["a"] * 150})
    with pytest.raises(ValueError, match="hold no numbers: 'word'"):
        quick(words, y)


def test_what_is_given_stays_as_it_is():
    X, y = blobs()
    given, kept = X.copy(), {"flips": LabelFlipAttack(strategy="random")}
    model = LinearSVC(loss="hinge")
    quick(X, y, estimator=model, attacks=kept)
    np.testing.assert_array_equal(X, given)
    assert not hasattr(model, "coef_")
    assert kept["flips"].random_state is None


def test_audit_is_public():
    assert skpoison.audit is audit
    assert "audit" in skpoison.__all__


# ---------------------------------------------------------------------------
# Rows to mistrust


@pytest.fixture(scope="module")
def mislabelled():
    """Rows, five of them with the wrong label, and their audit."""
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    X = rng.normal(size=(120, 4)) + 2.5 * y[:, None]
    y[:5] = 1 - y[:5]
    X[60] = 80.0
    return X, y, quick(X, y, top=30)


def test_rejected_rows_come_first_with_their_reason(mislabelled):
    X, y, report = mislabelled
    auto = AutoFilter(random_state=0).fit(X, y)
    found, rows = report.suspicious, report.suspicious["rows"]
    n_rejected = int(np.sum(~auto.inlier_mask_))
    assert found["n_rejected"] == n_rejected > 4
    first, rest = rows[:n_rejected], rows[n_rejected:]
    assert {row["position"] for row in first} == {*np.flatnonzero(~auto.inlier_mask_)}
    suspicions = [row["suspicion"] for row in first]
    assert suspicions == sorted(suspicions, reverse=True)
    for row in first:
        i = row["position"]
        assert (row["suspicion"], row["test"]) == (auto.suspicion_[i], auto.tests_[i])
        assert row["reason"] == auto.reasons_[i]
        assert row["suggested_label"] == str(auto.suggested_labels_[i])
    assert all(row["reason"] is row["test"] is None for row in rest)
    scores = [row["score"] for row in rest]
    assert scores == sorted(scores, reverse=True)
    shares = [one["share"] for one in found["classes"]]
    np.testing.assert_allclose(shares, auto.contamination_)
    assert any(f"AutoFilter rejects {n_rejected} rows" in s for s in report.summary)
    page = report._repr_html_() if hasattr(report, "_repr_html_") else report._html()
    assert first[0]["reason"] in html.unescape(page)


def test_rows_beyond_the_limit_are_judged_by_the_others(mislabelled):
    X, y, _ = mislabelled
    found = suspicion_part("0", AutoFilter(random_state=0), np.arange(1, 120), X, y)
    auto = AutoFilter(random_state=0).fit(X[1:], y[1:])
    assert found["suspicion"][0] == -auto.score_samples(X[:1], y[:1])[0]
    np.testing.assert_array_equal(found["rejected"][1:], ~auto.inlier_mask_)
    some = np.setdiff1d(np.arange(120), [60])
    late = suspicion_part("0", AutoFilter(random_state=0), some, X, y)
    assert late["rejected"][60] and late["tests"][60] == "others"
    assert "fitted to 119 other rows" in late["reasons"][60]


def test_the_rows_are_suspect_that_the_filter_command_rejects(mislabelled, monkeypatch):
    X, y, _ = mislabelled
    report = quick(X, y, max_rows=60, top=120)
    rejected = [r["position"] for r in report.suspicious["rows"] if r["test"]]
    found = default_cleaner().fit(X, y)
    assert sorted(rejected) == np.flatnonzero(~found.inlier_mask_).tolist() != []
    assert not any("AutoFilter" in one["what"] for one in report.left_out)
    monkeypatch.setattr("skpoison._audit.suspicion.MOST_ROWS", 119)
    report = quick(X, y, max_rows=60, top=120)
    (left,) = [one for one in report.left_out if "AutoFilter" in one["what"]]
    assert left["what"] == "AutoFilter fitted to 60 of 120 rows"
    assert "skpoison filter fits it to all rows" in left["reason"]


def test_it_is_said_why_nothing_can_be_suspected(mislabelled, monkeypatch):
    X, y, _ = mislabelled

    def fail(*args):
        raise ValueError("no such luck")

    monkeypatch.setattr(AutoFilter, "fit", fail)
    report = quick(X, y, top=3)
    assert {
        "what": "judging by AutoFilter",
        "reason": "no such luck",
    } in report.left_out
    assert report.suspicious["n_rejected"] is None
    assert {row["suspicion"] for row in report.suspicious["rows"]} == {None}
    assert "AutoFilter rejects" not in " ".join(report.summary)
