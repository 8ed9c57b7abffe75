"""Limits of pipelines: their language, what they are compared with, exit codes."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from skpoison._cli.app import app
from skpoison._cli.limits import Counts, check_labels, count_reported, limits
from skpoison._io import DataError

COUNTS = Counts(
    ["spam", "a]>1"],
    [40, 960],
    {"suspicious": [4, 1], "far": [4, 0], "planted": None},
)


@pytest.mark.parametrize(
    ("text", "n_rows", "of", "exceeded"),
    [
        ("suspicious>0", 5, 1000, True),
        ("suspicious>5", 5, 1000, False),
        ("suspicious>=5", 5, 1000, True),
        ("suspicious>0.5%", 5, 1000, False),
        ("suspicious>=0.5%", 5, 1000, True),
        ("suspicious > .499 %", 5, 1000, True),
        ("far[spam]>=10%", 4, 40, True),
        ("far[spam]>10%", 4, 40, False),
        ("far[a]>1]>0", 0, 960, False),
        ("suspicious[a]>1]>=1", 1, 960, True),
        ("copies>=1", 0, 1000, False),
    ],
)
def test_limits_are_compared_exactly(text, n_rows, of, exceeded):
    [limit] = limits([text])
    assert limit.check(COUNTS) == {
        "limit": text,
        "n_rows": n_rows,
        "of": of,
        "share": n_rows / of,
        "is_exceeded": exceeded,
    }


def test_shares_that_floats_cannot_hold_are_exact_too():
    counts = Counts(["x"], [1000], {"suspicious": [7]})
    # 100 * 0.007 is 0.7000000000000001 as a float.
    assert not limits(["suspicious>0.7%"])[0].check(counts)["is_exceeded"]
    assert limits(["suspicious>=0.7%"])[0].check(counts)["is_exceeded"]


def test_no_rows_exceed_no_share():
    counts = Counts(["x", "y"], [3, 0], {"suspicious": [0, 0]})
    found = limits(["suspicious[y]>0%"])[0].check(counts)
    assert found["share"] == 0 and not found["is_exceeded"]


@pytest.mark.parametrize(
    "text",
    ["suspicious", "suspicious<1", "suspicious>", "suspicious>x", "suspicious>-1",
     "suspicious>1e3", "suspicious>101%", "suspicious=5", ">5", "", "far spam>1",
     "suspicious>1%%", "suspicious>5 rows"],
)  # fmt: skip
def test_what_is_no_limit_is_refused_with_an_example(text):
    with pytest.raises(typer.BadParameter, match=r"no limit|exceeds 100") as error:
        limits([text])
    assert repr(text) in str(error.value)


def test_quantities_that_could_not_be_computed_are_errors():
    with pytest.raises(DataError, match="'planted' cannot be checked"):
        limits(["planted>0"])[0].check(COUNTS)


def test_labels_that_no_row_has_are_refused():
    wanted = limits(["far[spam]>0", "far[ham]>0", "far>1"])
    with pytest.raises(typer.BadParameter, match=r"no rows labeled 'ham'.* 'spam'"):
        check_labels(wanted, COUNTS.labels)
    check_labels(wanted, ["ham", "spam"])


@pytest.fixture
def csv(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = np.round(rng.normal(size=(60, 2)) + 4 * y[:, None], 3)
    X[[3, 5]] = 90, 80
    frame = pd.DataFrame(X, columns=["a", "b"])
    frame.assign(label=np.where(y, "spam", "ham")).to_csv("rows.csv", index=False)
    return "rows.csv"


def run(*arguments, code):
    result = CliRunner().invoke(app, ["filter", *arguments])
    assert result.exit_code == code, result.output
    return result


def limited(*texts):
    return [part for text in texts for part in ("--fail-on", text)]


SPHERE = ("--filter", "sphere", "--percentile", "98")


def test_exit_codes_tell_limits_from_errors(csv):
    passed = run(csv, *SPHERE, *limited("suspicious>10%", "sphere[ham]>10"), code=0)
    assert "Limit" not in passed.output
    failed = run(csv, *SPHERE, *limited("suspicious>0.5%", "sphere>99"), code=3)
    assert "Limit exceeded: suspicious>0.5%: 3 of 60 rows (5.0 %).\n" in failed.stderr
    assert "sphere>99" not in failed.stderr
    wrong = run(csv, *SPHERE, *limited("slab>0"), code=2)
    assert "sphere counts no 'slab', only suspicious, sphere." in " ".join(
        wrong.stderr.replace("│", " ").split()
    )
    run(csv, *SPHERE, *limited("suspicious[eggs]>0"), "-o", "kept.csv", code=2)
    assert not Path("kept.csv").exists()
    run("nothing.csv", *SPHERE, *limited("suspicious>0"), code=1)
    # Also where it is known only later that there is no verdict to compare with.
    trusted = ("--trusted", csv, "--filter", "auto")
    run(csv, *trusted, *limited("planted>0"), code=2)


def test_everything_is_written_before_a_limit_stops_the_pipeline(csv):
    outputs = ("-o", "kept.csv", "-r", "bad.csv", "--sarif", "s.sarif", "--quiet")
    run(csv, *SPHERE, *limited("suspicious>=1"), *outputs, "--json", "j.json", code=3)
    assert len(pd.read_csv("kept.csv")) + len(pd.read_csv("bad.csv")) == 60
    [log] = json.loads(Path("s.sarif").read_text())["runs"]
    assert log["invocations"] == [{"executionSuccessful": True, "exitCode": 3}]
    [checked] = json.loads(Path("j.json").read_text())["limits"]
    assert checked["limit"] == "suspicious>=1" and checked["is_exceeded"]


def test_rows_that_a_person_keeps_count_no_more(csv):
    run(csv, *SPHERE, "-r", "bad.csv", code=0)
    bad = pd.read_csv("bad.csv")
    bad.assign(verdict="keep").to_csv("reviewed.csv", index=False)
    reviewed = ("--verdicts", "reviewed.csv")
    run(csv, *SPHERE, *reviewed, *limited("suspicious>0", "sphere>0"), code=0)
    bad.assign(verdict="drop").to_csv("reviewed.csv", index=False)
    run(csv, *SPHERE, *reviewed, *limited("suspicious>=2"), code=3)


def test_what_was_tried_and_found_is_told_by_public_taxonomies(csv):
    run(csv, *SPHERE, "--json", "j.json", code=0)
    numbers = json.loads(Path("j.json").read_text())
    found = {one["id"]: one for one in numbers["taxonomies"]}
    poison = found["AML.T0020"]
    assert (poison["framework"], poison["name"]) == (
        "MITRE ATLAS",
        "Poison Training Data",
    )
    assert poison["tried"] == ["test of rows: sphere"]
    assert poison["found"] == ["sphere: 3 rows"]
    assert found["NISTAML.023"]["tried"] == found["NISTAML.023"]["found"] == []


REPORT = {
    "verdict": {"classes": [{"label": "b", "n_rows": 2}]},
    "suspicious": {
        "n_rejected": 3,
        "classes": [
            {"label": "a", "n_rows": 9, "n_rejected": 1, "rejected_by": {"far": 1}},
            {"label": "b", "n_rows": 8, "n_rejected": 2, "rejected_by": {"others": 2}},
        ],
    },
}


def test_limits_of_audits_are_compared_with_the_report():
    counts = count_reported(REPORT)
    assert counts.of("suspicious") == (3, 17) and counts.of("planted") == (2, 17)
    assert counts.of("far") == (1, 17) and counts.of("others", "b") == (2, 8)
    assert counts.of("planted", "a") == (0, 9)
    failed = {"n_rejected": None, "classes": REPORT["suspicious"]["classes"]}
    counts = count_reported(REPORT | {"suspicious": failed})
    for quantity in ("suspicious", "far"):
        with pytest.raises(DataError, match="cannot be checked"):
            counts.of(quantity)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--filter", "sphere", "--percentile", 95], "rejects 5 % of each class"),
        (["--filter", "both"], "rejects 30 % of each class"),
        (["--filter", "loss", "--percentile", 90], "rejects 10 % of each class"),
        (["--filter", "loss"], None),
        (["--filter", "sphere", "--percentile", 99.9], None),
        (["--filter", "sphere", "--percentile", 95, "--fail-on", "sphere>6%"], None),
    ],
)
def test_limits_below_the_share_of_a_filter_are_a_warning(csv, options, says):
    if "--fail-on" not in options:
        options = [*options, "--fail-on", "suspicious>0.5%"]
    result = CliRunner().invoke(app, ["filter", str(csv), *map(str, options)])
    assert result.exit_code in (0, 3), result.output
    text = " ".join(result.stderr.split())
    assert ("by design" in text) == (says is not None)
    if says:
        assert says in text and "'suspicious>0.5%' says little" in text


def test_counts_are_compared_with_the_share_of_a_filter(csv):
    for number, warns in ((1, True), (30, False)):
        limit = f"suspicious>{number}"
        options = ["--filter", "sphere", "--percentile", "95", "--fail-on", limit]
        result = CliRunner().invoke(app, ["filter", str(csv), *options])
        assert ("by design" in result.stderr) == warns
