"""The rule by which an audit recommends, and the metrics that it compares by."""

import re
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    roc_auc_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from skpoison import SphereFilter, audit
from skpoison._audit.crafting import reason_text
from skpoison._audit.decision import EQUAL, Candidate, Resampling, beats, decide
from skpoison._audit.metrics import Answers, metric_of, recalls
from skpoison._audit.ranking import _percentile
from skpoison._audit.summary import _doubts, _of_certified, value_text
from skpoison._audit.types import Status
from skpoison._cli.auditing import _defenses
from skpoison.attacks import LabelFlipAttack
from skpoison.filters import AutoFilter, LossFilter

pytestmark = pytest.mark.usefixtures("few_trees")

# ---------------------------------------------------------------------------
# The rule


def candidate(name, clean, worst, is_known=True, noise=0.0):
    """A candidate whose draws lie around its values, alone in their noise."""
    rng = np.random.default_rng([*name.encode()])
    draws = [value + noise * rng.normal(size=200) for value in (clean, worst)]
    return Candidate(name, clean, worst, is_known, *draws)


OPEN = candidate("no defense", 0.10, 0.40)
CONSTANT = candidate("a constant", 0.50, 0.50)


def decided(*candidates, max_cost=0.01, undefended=OPEN, constant=CONSTANT):
    return decide([undefended, *candidates], undefended, constant, max_cost)


def test_the_lowest_under_attack_is_chosen_among_those_that_cost_little():
    good, dear = candidate("good", 0.105, 0.2), candidate("dear", 0.12, 0.1)
    worse = candidate("worse", 0.09, 0.3)
    choice = decided(worse, dear, good)
    assert choice.name == "good"
    assert choice.statuses == {
        "no defense": "worse",
        "worse": "worse",
        "dear": "too costly",
        "good": "recommended",
    }
    assert decided(worse, dear, good, max_cost=0.02).name == "dear"
    assert set(choice.statuses.values()) <= set(get_args(get_args(Status)[0]))


def test_a_cost_at_the_limit_is_acceptable():
    assert decided(candidate("at", 0.1 + 0.01, 0.2)).name == "at"
    assert decided(candidate("above", 0.1 + 0.0101, 0.2)).name == "no defense"


@pytest.mark.parametrize("order", [1, -1])
def test_of_equal_ones_the_one_that_costs_less_is_chosen(order):
    same = [candidate("a", 0.105, 0.2), candidate("b", 0.10, 0.2)][::order]
    choice = decided(*same)
    assert choice.name == "b"
    assert choice.statuses["a"] == "equal within noise"


def test_differences_within_noise_are_called_so():
    near = candidate("near", 0.1, 0.21, noise=0.02)
    far = candidate("far", 0.1, 0.35, noise=0.02)
    best = candidate("best", 0.1, 0.2, noise=0.02)
    statuses = decided(near, far, best).statuses
    assert statuses["near"] == "equal within noise"
    assert statuses["far"] == statuses["no defense"] == "worse"


def test_what_no_attack_knew_is_not_judged():
    choice = decided(candidate("unknown", 0.1, 0.0, is_known=False))
    assert choice.name == "no defense"
    assert choice.statuses["unknown"] == "not judged"


def test_what_does_not_beat_a_constant_is_not_considered():
    poor = candidate("no defense", 0.5, 0.6)
    useful = candidate("useful", 0.3, 0.45)
    choice = decided(useful, candidate("idle", 0.5, 0.5), undefended=poor)
    assert choice.name == "useful"
    assert choice.statuses["idle"] == "no better than a constant"
    assert decided(undefended=poor).name is None


def test_draws_are_the_same_for_all_models():
    codes = np.arange(40) % 2
    said = np.where(np.arange(40) < 10, 1 - codes, codes)
    metric = metric_of("error", np.array([20, 20]), 1, ["a", "b"])
    one = [Answers(codes, said, np.zeros(40))] * 2
    resampling = Resampling.of([40, 40], 0)
    draws = resampling.draws(metric, one)
    np.testing.assert_array_equal(draws, resampling.draws(metric, one))
    assert draws.mean() == pytest.approx(0.25, abs=0.01)
    assert draws.std() == pytest.approx(np.sqrt(0.25 * 0.75 / 80), rel=0.2)
    assert not beats(0.25, draws, 0.25, draws)
    assert beats(0.2, draws - 0.05, 0.25, draws)


# ---------------------------------------------------------------------------
# Metrics


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    codes = (rng.random(200) < 0.2).astype(int)
    scores = rng.normal(size=200) + codes
    return Answers(codes, (scores > 0.8).astype(int), scores)


def of(name, costs=None, counts=(160, 40)):
    return metric_of(name, np.array(counts), 1, ["ham", "spam"], costs)


def test_metrics_are_those_of_scikit_learn(answers):
    codes, said, scores = answers
    assert of("error").value(answers) == pytest.approx(np.mean(codes != said))
    balanced = 1 - balanced_accuracy_score(codes, said)
    assert of("balanced-error").value(answers) == pytest.approx(balanced)
    auc = 1 - roc_auc_score(codes, scores)
    assert of("auc").value(answers) == pytest.approx(auc)
    precision = 1 - average_precision_score(codes, scores)
    assert of("average-precision").value(answers) == pytest.approx(precision)
    top = np.argsort(-scores)[:20]
    missed = 1 - codes[top].sum() / codes.sum()
    assert of("recall@0.1").value(answers) == pytest.approx(missed)


def test_tied_scores_and_weights_are_those_of_scikit_learn(answers):
    codes, said, scores = answers
    tied = Answers(codes, said, np.round(scores))
    weights = np.random.default_rng(2).integers(0, 4, (3, 200)).astype(float)
    for name, score in [
        ("auc", roc_auc_score),
        ("average-precision", average_precision_score),
    ]:
        wanted = [1 - score(codes, tied.scores, sample_weight=row) for row in weights]
        np.testing.assert_allclose(of(name).of(tied, weights), wanted, rtol=1e-12)
        with pytest.raises(ValueError, match="contains NaN"):
            of(name).value(tied._replace(scores=np.full(200, np.nan)))


def test_costs_are_those_of_the_pairs(answers):
    costs = {("spam", "ham"): 5, ("ham", "spam"): 1}
    codes, said, _ = answers
    wanted = 5 * np.sum((codes == 1) & (said == 0)) + np.sum((codes == 0) & (said == 1))
    metric = of("cost", costs)
    assert metric.value(answers) == pytest.approx(wanted / 200)
    # The cheapest constant says spam where missing it is dear.
    dear = of("cost", {("spam", "ham"): 50, ("ham", "spam"): 1})
    assert dear.best_constant([codes])[0].said.tolist() == [1] * 200
    assert metric.best_constant([codes])[0].said.tolist() in ([0] * 200, [1] * 200)


@pytest.mark.parametrize("name", ["error", "balanced-error", "recall@0.1", "auc"])
def test_weights_are_copies_of_rows(answers, name):
    weights = np.random.default_rng(1).integers(0, 3, (3, 200)).astype(float)
    for row, value in zip(weights, of(name).of(answers, weights), strict=True):
        copies = np.repeat(np.arange(200), row.astype(int))
        copied = Answers(*(part[copies] for part in answers))
        assert of(name).value(copied) == pytest.approx(value)


def test_constants_have_the_values_that_are_known(answers):
    codes = answers.codes
    for name, wanted in [
        ("error", codes.mean()),
        ("balanced-error", 0.5),
        ("auc", 0.5),
        ("average-precision", 1 - codes.mean()),
        ("recall@0.1", 0.9),
    ]:
        metric = of(name)
        (constant,) = metric.best_constant([codes])
        assert metric.value(constant) == pytest.approx(wanted), name


def test_the_metric_is_chosen_by_the_rarest_class():
    assert of("auto", counts=(75, 25)).name == "error"
    assert of("auto", counts=(76, 24)).name == "balanced-error"
    assert of("auto", {("spam", "ham"): 5, ("ham", "spam"): 1}).name == "cost"


@pytest.mark.parametrize(
    ("name", "costs", "message"),
    [
        ("precision", None, "metric must be one of auto, error"),
        (3, None, "metric must be one of"),
        ("recall@1.5", None, "share between 0 and 1"),
        ("cost", None, "needs costs"),
        ("error", {("spam", "ham"): 1}, "costs belong to metric='cost'"),
        ("cost", {("spam", "eggs"): 1}, "pairs of two of the labels"),
        ("cost", {("spam", "ham"): -1}, "must be a finite number, 0 or more"),
        ("cost", {("spam", "spam"): 1}, "two different labels"),
        ("cost", {("spam", "ham"): 0}, "a number above 0"),
        ("cost", {("spam", "ham"): 5}, "predicting 'spam' would cost nothing"),
    ],
)
def test_metrics_that_make_no_sense_are_errors(name, costs, message):
    with pytest.raises(ValueError, match=message):
        of(name, costs)


def test_ranking_metrics_are_for_two_classes():
    with pytest.raises(ValueError, match="is for two classes; y has 3"):
        metric_of("auc", np.array([5, 5, 5]), 1, ["a", "b", "c"])


def test_recall_is_that_of_each_class():
    answers = Answers(np.array([0, 0, 2]), np.array([0, 1, 2]), np.zeros(3))
    assert recalls(answers, 3) == [0.5, None, 1.0]


def test_reasons_name_defenses_instead_of_writing_them_out():
    text = "The filter FilterIntersection(filters=[('a', SlabFilter(90))]) rejects all."
    assert reason_text(text, "slab 90") == "slab 90 rejects all."
    frozen = "The filter FrozenEstimator(estimator=SlabFilter(90)) rejects all."
    assert reason_text(frozen, "slab 90") == "slab 90 rejects all."
    assert reason_text("no filter here", "slab 90") == "no filter here"


# ---------------------------------------------------------------------------
# Everything that a report says of a recommendation is the same


ASKED = {
    "error": {},
    "cost": {"metric": "cost"},
    "no cost": {"max_cost": 0.0},
    "no time": {"budget": 1e-9},
    "logistic": {"estimator": LogisticRegression(), "metric": "balanced-error"},
    "ridge": {"estimator": RidgeClassifier(), "metric": "recall@0.3"},
    "squared hinge": {"estimator": LinearSVC(), "metric": "average-precision"},
    "without a bound": {"estimator": GaussianNB(), "metric": "auc"},
}


@pytest.fixture(scope="module", params=ASKED.values(), ids=list(ASKED))
def report(request):
    X, y = make_blobs(120, centers=[[-1.2, 0, 0], [1.2, 0, 0]], random_state=0)
    settings = dict(request.param)
    if settings.get("metric") == "cost":
        settings["costs"] = {("1", "0"): 3, ("0", "1"): 1}
    return audit(
        X,
        y,
        percentiles=[70, 90, 100],
        epsilons=[0.1],
        filters={"ball": SphereFilter(90)},
        attacks={"flips": LabelFlipAttack(strategy="feasible")},
        moving_seconds=0,
        **settings,
    )


def test_headline_card_chart_table_sentence_and_json_agree(report):
    found = report.recommendation
    name = found["defense"]
    html, sentences = report._html(), " ".join(report.summary)
    # The card.
    (headline,) = re.findall(
        r"<b><bdi>([^<]*)</bdi></b><span>recommended defense", html
    )
    assert headline.replace("&amp;", "&") == name
    # What is within noise, in the same words, after the name and in a sentence.
    equal = [one["defense"] for one in report.ranking if "within" in one["status"]]
    assert sorted(found["equal_within_noise"]) == sorted(equal)
    noise = found["noise_text"]
    assert (noise is None) == (not equal and found["is_better_than_undefended"])
    if noise:
        assert noise in sentences
        card = html.split("<span>recommended defense")[1].split("</span></li>")[0]
        assert noise.replace("&", "&amp;") in card
        for name_ in equal:
            assert name_ in noise
    # Both tables, in which one row is set off.
    (row,) = [one for one in report.ranking if one["status"] == "recommended"]
    assert row["defense"] == name
    own = html[html.index('id="ranking"') :]
    first = re.search(r"<tr class=best>\s*<td[^>]*><span><bdi>([^<]*)", own)
    assert first[1].replace("&amp;", "&") == name
    # The sentence.
    (said,) = re.findall(r"Recommended: (.*?)\. ", sentences)
    assert said == name
    # The charts.
    figures = {one["name"]: one for one in report.figures}
    (main,) = [s for s in figures["ranking"]["series"] if s["role"] == "main"]
    assert main["name"] == name
    assert main["x"] == [row["clean"], row["worst"]]
    assert figures["percentiles"]["mark"] == found["certified_percentile"]
    # Its certificate is the recommended defense's, if that has one.
    certified = [one for one in report.percentiles if one["status"] == "recommended"]
    assert [one["percentile"] for one in certified] == (
        [] if found["certified_percentile"] is None else [found["certified_percentile"]]
    )
    if name.startswith("sphere & slab"):
        assert name == f"sphere & slab {found['percentile']:g}"
        assert found["percentile"] == found["certified_percentile"]
    # The numbers.
    assert found["worst"]["value"] == row["worst"]
    assert found["clean"]["value"] == row["clean"]
    assert found["cost"]["value"] == row["cost"] <= found["max_cost"] + 1e-9
    (open_,) = [one for one in report.ranking if one["defense"] == "no defense"]
    saves = open_["worst"] - row["worst"]
    assert found["saves"]["value"] == pytest.approx(saves)
    for one in ("cost", "saves", "clean", "worst"):
        assert found[one]["low"] <= found[one]["value"] <= found[one]["high"]


def test_the_table_of_the_terminal_agrees(report):
    found, rows = report.recommendation, report.ranking
    table = _defenses(report)
    names, worst, clean, cost, *_, statuses = (
        [str(cell) for cell in column.cells] for column in table.columns
    )
    assert names == [*(row["defense"] for row in rows), "a constant"]
    assert statuses == [*(row["status"] for row in rows), ""]
    assert worst[-1] == clean[-1] == value_text(found, found["constant"])
    for shown, key in ((worst, "worst"), (clean, "clean"), (cost, "cost")):
        assert shown[: len(rows)] == [value_text(found, row[key]) for row in rows]


def test_nothing_acceptable_is_better_than_what_is_recommended(report):
    found = report.recommendation
    for row in report.ranking:
        if row["status"] in ("equal within noise", "worse"):
            assert row["worst"] >= found["worst"]["value"] - EQUAL
        elif row["status"] == "too costly":
            assert row["cost"] > found["max_cost"]


def test_recalls_stand_beside_base_rates(report):
    rows = report.classes
    assert [one["label"] for one in rows] == ["0", "1"]
    assert sum(one["base_rate"] for one in rows) == pytest.approx(1)
    (open_,) = [one for one in report.ranking if one["defense"] == "no defense"]
    assert [one["recall"] for one in rows] == open_["clean_recalls"]
    said = " ".join(report.summary)
    assert re.search(r"Recall without an attack: class 0 [\d.]+ %.*; class 1 ", said)


def test_the_percentile_is_that_of_the_recommended_defense():
    plan = SimpleNamespace(
        percentiles=[50.0, 90.0],
        filters={"loss": LossFilter(91), "auto": AutoFilter(), "open": LossFilter()},
    )
    plan.filters["open"].percentile = "auto"
    names = ("loss", "auto", "open", "sphere & slab 50", "no defense", None)
    found = [_percentile(plan, name) for name in names]
    assert found == [91.0, None, None, 50.0, None, None]


def test_a_bound_is_not_that_of_a_defense_without_a_certificate():
    row = {"percentile": 50.0, "worst": 0.2, "clean": 0.1}
    found = {"certified_percentile": 50.0, "metric": "error", "metric_shown": "error"}
    said = _of_certified(found | {"defense": "loss"}, row)
    assert said.startswith("loss, the recommended defense, has no certificate.")
    said = _of_certified(found | {"defense": "sphere & slab 50"}, row)
    assert said == "sphere & slab 50, the recommended defense, has a certificate."


def test_the_tile_of_the_bound_names_the_defense_that_it_is_of(report):
    html, found = report._html(), report.recommendation
    (said,) = re.findall(
        r"<span>(certified bound on the training loss.*?)</span>", html
    )
    said = re.sub(r"<[^>]*>", "", said)
    name = f"sphere & slab {found['certified_percentile']:g}"
    assert f"with {name.replace('&', '&amp;')}" in said
    assert ("not with the recommended" in said) == (name != found["defense"])


def test_violated_assumptions_are_called_so():
    names = {"there are two classes": "violated", "means lie apart": "holds"}
    rows = [{"name": name, "status": status} for name, status in names.items()]
    assert list(_doubts({"assumptions": rows})) == [
        "Violated assumptions of the certificate: that there are two classes."
    ]


def test_no_column_of_the_ranking_is_there_twice(report):
    html = report._html()
    own = html[html.index('id="ranking"') :]
    headers = re.findall(r"<th[^>]*>([^<]*)", own[: own.index("</thead>")])
    assert len(headers) == len(set(headers))
    assert {"error, no attack", "rank by cost"} <= set(headers)
