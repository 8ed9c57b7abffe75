"""``skpoison audit``: what it reads, shows and writes."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from rich.console import Console
from sklearn.datasets import make_blobs
from sklearn.svm import LinearSVC
from typer.testing import CliRunner

from skpoison import audit
from skpoison._cli.app import app
from skpoison._cli.auditing import _defenses, _why
from skpoison.attacks import LabelFlipAttack
from skpoison.filters import MahalanobisFilter

pytestmark = pytest.mark.usefixtures("few_trees")

UNLIKE = ("random_state", "contamination")
QUICK = ("--percentiles", "80", "-e", "0.1", "--moving-seconds", "0")


def invoke(*arguments, code=0, quick=QUICK):
    arguments = ["audit", *map(str, arguments), *quick]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def blobs(n_rows=90):
    X, y = make_blobs(n_rows, centers=[[-1, 0, 1], [1, 0, 0]], random_state=0)
    return X, y


def write_csv(path, X, y, header="a,b,c,target"):
    lines = [
        ",".join([*map(str, row), str(label)])
        for row, label in zip(X.tolist(), y, strict=True)
    ]
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


@pytest.fixture
def brief(monkeypatch):
    """Fewer filters and attacks than usual, where they are not what is looked at."""
    from skpoison._audit import plan

    flips = {"flips": LabelFlipAttack(strategy="feasible")}
    kept = {"mahalanobis": MahalanobisFilter(90)}
    monkeypatch.setattr(plan, "default_attacks", lambda *_: dict(flips))
    monkeypatch.setattr(plan, "default_filters", lambda *_: dict(kept))


@pytest.fixture
def rows(tmp_path):
    return write_csv(tmp_path / "rows.csv", *blobs())


def test_the_report_is_that_of_the_function(brief, rows, tmp_path):
    out = tmp_path / "report.json"
    invoke(rows, "--json", out, "--top", 5)
    written = json.loads(out.read_text())
    X, y = blobs()
    model = LinearSVC(loss="hinge", max_iter=2000)
    report = audit(X, y.astype(str), estimator=model, percentiles=[80],
                   epsilons=[0.1], top=5, moving_seconds=0).to_dict()  # fmt: skip
    assert written["data"]["source"].endswith("rows.csv")
    assert written["suspicious"]["rows"][0]["features"][0]["feature"] in "abc"
    for key in ("ranking", "percentiles", "bounds", "evaluations", "recommendation"):
        assert written[key] == report[key], key
    positions = [row["position"] for row in report["suspicious"]["rows"]]
    assert [row["position"] for row in written["suspicious"]["rows"]] == positions


def test_tables_and_sentences_are_printed(brief, rows):
    shown = invoke(rows).stdout
    assert "90 rows, 3 features, 2 labels" in " ".join(shown.split())
    for word in (
        "no defense",
        "sphere & slab 80",
        "mahalanobis",
        "Certified: with 10 %",
    ):
        assert word in shown
    assert "--html FILE writes the whole report" in shown


def test_the_verdict_comes_first_and_progress_is_told_without_a_terminal(brief, rows):
    result = invoke(rows)
    assert result.stdout.startswith("No clear sign of poison.")
    assert "Attacking: " in result.stderr and " parts" in result.stderr
    assert "Attacking" not in invoke(rows, "--quiet").stderr


def test_defenses_are_compared_by_what_is_asked_for(brief, rows):
    options = ("--metric", "cost", "--cost", "1:0=5,0:1=1", "--max-cost", "2")
    found = json.loads(invoke(rows, *options, "--json", "-").stdout)["recommendation"]
    assert (found["metric"], found["max_cost"]) == ("cost", 0.02)
    assert "positives missed" in invoke(rows, "--metric", "recall@0.2").stdout
    weighted = invoke(rows, "--class-weight", "balanced", "--json", "-").stdout
    assert "balanced" in json.loads(weighted)["settings"]["estimator"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--metric", "accuracy"], "'accuracy' is none of auto, error"),
        (["--metric", "recall@5"], "needs a share between 0 and 1"),
        (["--metric", "cost"], "such as --cost spam:ham=5"),
        (["--metric", "auc", "--cost", "1:0=5"], "belong to --metric cost, not to auc"),
    ],
)
def test_metrics_that_cannot_be_are_refused_before_rows_are_read(
    options, why, tmp_path
):
    empty = tmp_path / "empty.csv"
    empty.touch()  # an error of its own, once it is read
    result = invoke(empty, *options, code=2)
    assert why in " ".join(result.stderr.replace("│", " ").split())


def test_a_budget_is_honored_and_what_is_left_out_is_said(brief, rows, monkeypatch):
    from skpoison._audit.progress import Clock

    seconds = iter(range(0, 100_000, 4))
    monkeypatch.setattr(Clock, "spent", lambda self: float(next(seconds)))
    content = json.loads(invoke(rows, "--budget", "10", "--json", "-").stdout)
    assert content["settings"]["budget"] == 10
    (left,) = [one for one in content["left_out"] if "folds" in one["what"]]
    assert left["what"] == "attacks in 2 of 3 folds"
    assert "10 seconds" in left["reason"]


def test_three_files_are_written_and_kept(brief, rows, tmp_path):
    names = {"--html": "a.html", "--json": "a.json", "--suspicious": "a.csv"}
    outputs = [part for o, name in names.items() for part in (o, tmp_path / name)]
    shown = invoke(rows, *outputs, "--top", 7).stdout
    assert shown.count("Written to") == 3
    assert "--html FILE" not in shown
    page = (tmp_path / "a.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "rows.csv" in page
    with open(tmp_path / "a.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 7
    for option, name in names.items():
        result = invoke(rows, option, tmp_path / name, code=1)
        assert "exists already; --force replaces it" in result.stderr
    before = (tmp_path / "a.json").read_bytes()
    invoke(rows, *outputs, "--top", 7, "--force", "--quiet")
    assert (tmp_path / "a.json").read_bytes() == before


def test_outputs_go_to_standard_output_too(brief, rows):
    result = invoke(rows, "--json", "-")
    assert json.loads(result.stdout)["schema"] == "skpoison-audit/3"
    assert "Defenses, by the error" in result.stderr
    assert invoke(rows, "--suspicious", "-", "-q").stdout.startswith("rank,position")
    both = invoke(rows, "--json", "-", "--html", "-", code=1)
    assert "cannot go to the same place" in both.stderr


def test_labels_may_be_words_and_many(brief, tmp_path):
    X, y = make_blobs(120, centers=3, random_state=0)
    labels = np.array(["spam", "ham", "=cmd()"])[y]
    path = write_csv(tmp_path / "rows.csv", X, labels, "one,two,target")
    content = json.loads(invoke(path, "--positive", "ham", "--json", "-").stdout)
    assert content["data"]["positive"] == "ham"
    assert [one["label"] for one in content["data"]["classes"]] == [
        "=cmd()",
        "ham",
        "spam",
    ]
    missing = invoke(path, "--positive", "eggs", code=1).stderr
    assert "positive must be one of the labels" in missing


def test_texts_become_words(brief, tmp_path):
    words = ["cheap pills", "noon meeting", "pills now", "lunch at noon"] * 15
    lines = [f"{text},{i % 2}" for i, text in enumerate(words)]
    path = tmp_path / "mail.csv"
    path.write_text("\n".join(["text,label", *lines]) + "\n")
    result = invoke(path, "--text-column", "text", "--json", "-")
    data = json.loads(result.stdout)["data"]
    assert data["is_sparse"]
    assert data["n_features"] == 7


def test_columns_of_very_different_spread_are_scaled_unless_told(brief, tmp_path):
    X, y = blobs()
    X[:, 1] *= 1e5
    path = write_csv(tmp_path / "rows.csv", X, y)
    scaled = json.loads(invoke(path, "--json", "-").stdout)["data"]
    assert (scaled["transformed"], scaled["widest"]["name"]) == ("standard", "b")
    result = invoke(path, "--scale", "none", "--json", "-", "--C", "0.01")
    assert json.loads(result.stdout)["data"]["widest"]["name"] == "b"
    assert "column 'b' has" in result.stderr


def test_filters_to_compare_are_chosen_by_name(brief, rows):
    kinds = ["--filter", "near-copies", "--filter", "spectral", "--filter", "epic"]
    content = json.loads(invoke(rows, *kinds, "--json", "-").stdout)
    found = {row["defense"] for row in content["ranking"]}
    unused = {one["what"].split()[-1] for one in content["left_out"]}
    wanted = {"near-copies", "spectral", "epic"}
    assert wanted <= found | unused and "mahalanobis" not in found
    assert len(found & wanted) >= 2


def test_every_filter_of_an_audit_can_be_run():
    from skpoison._audit.defenses import default_filters
    from skpoison._cli import kinds
    from skpoison._cli.judgement import build_filter

    for name, filter_ in default_filters(90).items():
        kind = name.replace(" ", "-")
        assert kind in kinds.FILTERS
        if kind == "auto":  # which judges rows in a way of its own
            continue
        # They are made alike, but for seeds and what a percentile stands in for.
        made, params = build_filter(kind, 90), filter_.get_params()
        same = {k: v for k, v in params.items() if k not in UNLIKE}
        assert type(made) is type(filter_)
        assert same.items() <= made.get_params().items()


def test_sphere_and_slab_need_not_be_named(rows):
    result = invoke(rows, "--filter", "both", code=2)
    assert "always compared" in result.stderr


def test_rho_names_another_learner(brief, rows):
    content = json.loads(invoke(rows, "--rho", 2, "--json", "-").stdout)
    assert content["bounds"]["learner"] == {"rho": 2.0}
    assert content["settings"]["estimator"].startswith("NormConstrainedSVC(")


@pytest.mark.parametrize(
    ("name", "estimator"),
    [
        ("svm-squared", "LinearSVC(C=0.5"),
        ("logistic", "LogisticRegression(C=0.5"),
        ("ridge", "RidgeClassifier(alpha=2.0"),
    ],
)
def test_the_learner_is_audited_and_bounded(brief, rows, name, estimator):
    options = rows, "--learner", name, "--C", 0.5, "--json", "-"
    content = json.loads(invoke(*options).stdout)
    assert content["settings"]["estimator"].startswith(estimator)
    assert content["bounds"]["applies_to_estimator"]
    weighted = json.loads(invoke(*options, "--class-weight", "balanced").stdout)
    assert "class_weight='balanced'" in weighted["settings"]["estimator"]
    assert not weighted["bounds"]["applies_to_estimator"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--learner", "ridge", "--rho", "1"), "goes with --learner svm only"),
        (("--percentiles", "70,abc"), "is not a list of numbers"),
        (("--percentiles", "0"), "0 is not in (0, 100]"),
        (("--reference", "0"), "0 is not in (0, 1]"),
        (("--scale", "big"), "none of auto, none, standard, maxabs"),
        (("--rho", "1", "--C", "1"), "give one of the two, not both"),
        (("--folds", "1"), "--folds"),
        (("--cost", "spam=5"), "is not a true label"),
        (("--rho", "1", "--class-weight", "balanced"), "only the learner of --C"),
    ],
)
def test_options_that_make_no_sense_are_usage_errors(rows, options, message):
    result = CliRunner().invoke(app, ["audit", str(rows), *options])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_data_that_cannot_be_used_are_one_line(tmp_path):
    X, y = blobs()
    one = write_csv(tmp_path / "one.csv", X, np.zeros_like(y))
    assert "one class only" in invoke(one, code=1).stderr
    broken = X.copy()
    broken[3, 1] = np.nan
    path = write_csv(tmp_path / "nan.csv", broken, y)
    assert "data row 4" in invoke(path, "--missing", "error", code=1).stderr
    few = np.where(np.arange(90) < 2, 1, 0)
    rare = write_csv(tmp_path / "rare.csv", X, few)
    assert "fewer than the 3 folds" in invoke(rare, code=1).stderr
    junk = tmp_path / "junk.csv"
    junk.write_bytes(b"\x00\xff\xfe\x80" * 100)
    assert invoke(junk, code=1).stderr.startswith("Error: ")


def test_objects_in_archives_are_refused_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'owned'}",)

    path = tmp_path / "rows.npz"
    np.savez(path, X=np.array([[Evil()]], dtype=object), y=np.array([0]))
    assert invoke(path, code=1).stderr.startswith("Error: ")
    assert not (tmp_path / "owned").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_interrupted_it_leaves_no_file_but_what_was_finished(tmp_path):
    X, y = make_blobs(2000, 20, centers=2, cluster_std=9.0, random_state=0)
    np.savez(tmp_path / "rows.npz", X=X, y=y)
    cache, page = tmp_path / "cache", tmp_path / "page.html"
    command = [sys.executable, "-m", "skpoison", "audit", tmp_path / "rows.npz",
               "--cache", cache, "--html", page, "--moving-seconds", "0"]  # fmt: skip
    running = subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    until = time.monotonic() + 120
    while not list(cache.rglob("output.pkl")):
        assert running.poll() is None, running.stderr.read().decode()
        assert time.monotonic() < until
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=120)
    assert running.returncode == 130
    assert errors.decode().strip().endswith("Interrupted.")
    assert not page.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"rows.npz", "cache"}


def test_the_reason_shown_is_one_for_which_the_row_is_suspicious():
    inside = {"filter": "loss", "text": "2.7 (threshold 2.715)", "beyond": False}
    beyond = {"filter": "slab", "text": "3 (threshold 2)", "beyond": True}
    row = {"reason": None, "reasons": [inside, beyond]}
    assert _why(row | {"reason": "label: others say 1"}).startswith("rejected: label")
    assert _why(row) == "slab: 3 (threshold 2)"
    assert _why(row | {"reasons": [inside]}) == "loss: 2.7 (threshold 2.715)"


def test_recalls_are_labeled_and_what_the_rule_says_is_not_cut():
    statuses = ("recommended", "equal within noise", "no better than a constant")
    row = {"defense": "sphere & slab 100", "worst": 0.25, "clean": 0.25, "cost": 0.25}
    row |= {"worst_error": 0.25, "worst_recalls": [0.5] * 4, "n_adaptive": 10}
    content = {
        "recommendation": {"metric": "auc", "metric_shown": "auc", "constant": 0.5},
        "classes": [{"label": label} for label in ("ham", "spam", "a" * 20, "other")],
        "ranking": [row | {"n_attacks": 12, "status": one} for one in statuses],
    }
    console = Console(width=80, file=io.StringIO())
    console.print(_defenses(content))
    shown = console.file.getvalue()
    assert "50/50/50" in shown and "recall, %" in shown
    words = {word for one in statuses for word in one.split()}
    words |= {"ham/", "spam/", "aaaaaaaa…", "25.0", "sphere", "slab", "100", "10/12"}
    assert words <= set(shown.split())
