"""``skpoison trace``: from wrong predictions to the rows of a file that caused them."""

import json
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv as pa_csv
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import dump_svmlight_file
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from skpoison._cli import tracing
from skpoison._cli.app import app
from skpoison._cli.trace import LEARNERS, METHODS
from skpoison._cli.tracing import LINEAR, OTHERS
from skpoison._io import DataError, load
from skpoison._io.encode import Encoding
from skpoison._io.labels import Labels
from skpoison.tracing import _scores

N_HONEST, N_PLANTED = 80, 6
TARGET = [2.0, 2.0]


def invoke(*arguments, code=0):
    result = CliRunner().invoke(app, ["trace", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def rows():
    """Two classes, and planted rows of the wrong one around a target."""
    rng = np.random.default_rng(0)
    y = np.arange(N_HONEST) % 2
    X = rng.normal(size=(N_HONEST, 2)) * 0.5 + np.where(y, 1.5, -1.5)[:, np.newaxis]
    planted = rng.normal(size=(N_PLANTED, 2)) * 0.02 + TARGET
    return np.vstack([X, planted]), np.append(y, np.zeros(N_PLANTED, dtype=int))


PLANTED = list(range(N_HONEST + 1, N_HONEST + N_PLANTED + 1))  # numbers in the file
NEAREST = ("--learner", "neighbors")


def written(path, X, labels, source=None):
    columns = {"a": X[:, 0], "b": X[:, 1]}
    columns |= {} if labels is None else {"label": labels}
    columns |= {} if source is None else {"source": source}
    pa_csv.write_csv(pa.table(columns), path)
    return path


@pytest.fixture
def table(tmp_path):
    X, y = rows()
    return written(tmp_path / "rows.csv", X, np.array(["ham", "spam"])[y])


@pytest.fixture
def wrong(tmp_path):
    return written(tmp_path / "wrong.csv", np.array([TARGET]), ["spam"])


def numbers_of(*arguments, code=0):
    return json.loads(invoke(*arguments, "--json", "-", code=code).stdout)


def test_planted_rows_are_blamed_and_what_they_share_is_said(wrong, tmp_path):
    X, y = rows()
    source = np.where(np.arange(len(y)) < N_HONEST, "mail", "crawl")
    names = np.array(["ham", "spam"])[y]
    table = written(tmp_path / "rows.csv", X, names, source)
    result = invoke(table, "--case", wrong, *NEAREST, "--by", "source")
    words = " ".join(result.output.split())
    found = numbers_of(table, "--case", wrong, *NEAREST, "--by", "source")
    assert found["is_found"] and set(found["removal_set"]) <= set(PLANTED)
    assert [one["row"] for one in found["rows"][:N_PLANTED]] != PLANTED
    assert {one["row"] for one in found["rows"][:N_PLANTED]} == set(PLANTED)
    assert {one["by"] for one in found["rows"][:N_PLANTED]} == {"crawl"}
    assert "all with source crawl" in words
    assert "the model predicts spam instead of ham" in words
    (case,) = found["cases"]
    told = case["predicted"], case["right"], case["without"], case["is_wrong"]
    assert told == ("ham", "spam", "spam", True) and case["cells"] == "a=2, b=2"
    contributions = [one["contribution"] for one in found["rows"]]
    assert contributions[0] == 1.0 and min(contributions) >= 0.0
    assert all(a >= b for a, b in pairwise(contributions))
    assert [one["rank"] for one in found["rows"][:3]] == [1, 2, 3]
    shared = {one["column"]: one["value"] for one in found["shared"]}
    assert shared["source"] == "crawl" and shared["label"] == "ham"


def test_without_the_removed_rows_the_case_is_right(table, wrong, tmp_path):
    """A second run, on a file without the rows, finds nothing to trace."""
    removed = numbers_of(table, "--case", wrong, *NEAREST)["removal_set"]
    lines = table.read_text().splitlines()
    rest = tmp_path / "rest.csv"
    kept = [line for i, line in enumerate(lines) if i not in removed]
    rest.write_text("\n".join(kept) + "\n")
    result = invoke(rest, "--case", wrong, *NEAREST, code=1)
    assert "predicts all rows" in result.output and "right" in result.output


def test_blamed_rows_are_written_as_they_came_worst_first(table, wrong, tmp_path):
    out = tmp_path / "blamed.csv"
    found = numbers_of(table, "--case", wrong, *NEAREST, "-o", out, "--top", 3)
    header, *lines = out.read_text().splitlines()
    own = ["row", "rank", "contribution", "removed"]
    came, *rest = table.read_text().splitlines()
    added = ",".join(f'"skpoison_{name}"' for name in own).replace('"', "")
    assert header.replace('"', "") == came.replace('"', "") + "," + added
    assert len(lines) == len(found["rows"]) <= len(found["removal_set"]) + 3
    for line, one in zip(lines, found["rows"], strict=True):
        cells = line.rsplit(",", len(own))
        assert cells[0].replace('"', "") == rest[one["row"] - 1].replace('"', "")
        assert [int(cells[1]), int(cells[2])] == [one["row"], one["rank"]]
        assert float(cells[3]) == pytest.approx(one["contribution"])
        assert cells[4] == str(one["is_removed"]).lower()
    # What was added is no feature if the file is read again.
    both = out.read_text() + rest[1] + ",1,1,1,false\n"
    again = tmp_path / "again.csv"
    again.write_text(both)
    invoke(again, "--case", wrong, *NEAREST, "--max-removed", 1, code=3)


def test_rows_are_counted_from_1_everywhere(wrong, tmp_path):
    """Also the row whose near copies are named; and it is said so."""
    X, y = rows()
    X[N_HONEST:] = TARGET  # near copies of the first planted row
    table = written(tmp_path / "rows.csv", X, np.array(["ham", "spam"])[y])
    words = " ".join(invoke(table, "--case", wrong, *NEAREST).output.split())
    assert f"all near copies of row {N_HONEST + 1}," in words
    assert "rows.csv and cases of" in words and "are counted from 1." in words
    found = numbers_of(table, "--case", wrong, *NEAREST)
    assert f"near copies of row {N_HONEST + 1}," in found["summary"]
    (copies,) = (one for one in found["shared"] if one["column"] == "near copies")
    assert copies["value"] == str(N_HONEST + 1)


def test_wrong_cases_are_listed_before_those_that_are_right(table, tmp_path):
    right = np.full((25, 2), 1.5)
    path = tmp_path / "cases.csv"
    written(path, np.vstack([right, [TARGET]]), ["spam"] * 26)
    lines = invoke(table, "--case", path, *NEAREST).output.splitlines()
    (header,) = (i for i, line in enumerate(lines) if line.startswith(" case"))
    assert lines[header + 2].split()[:4] == ["26", "ham", "spam", "spam"]
    assert "25 cases of 26 are predicted right already" in " ".join(lines)


def test_probabilities_before_and_after(table, wrong):
    found = numbers_of(table, "--case", wrong, *NEAREST)
    (case,) = found["cases"]
    before, after = case["probability"], case["removed_probability"]
    assert before["predicted"] > 0.5 > before["right"]
    assert after["right"] > 0.5 > after["predicted"]
    assert sum(before.values()) == pytest.approx(1.0)


def quantities(path, X, planted=()):
    values = X @ [1.0, 2.0]
    values[list(planted)] += 5.0
    return written(path, X, values)


def test_the_tolerance_of_quantities(tmp_path):
    X, _ = rows()
    planted = range(N_HONEST, N_HONEST + N_PLANTED)
    table = quantities(tmp_path / "rows.csv", X, planted)
    near = written(tmp_path / "near.csv", np.array([TARGET]), [6.0])
    sizes = {}
    for tolerance in (0.2, 0.5):
        found = numbers_of(
            *(table, "--case", near, "--tolerance", tolerance, "--max-removed", 6)
        )
        (case,) = found["cases"]
        assert abs(case["predicted"] - 6.0) > tolerance >= abs(case["without"] - 6.0)
        assert found["tolerance"] == found["settings"]["tolerance"] == tolerance
        assert case["probability"] is None
        sizes[tolerance] = len(found["removal_set"])
    assert sizes[0.2] > sizes[0.5]
    told = invoke(table, "--case", near, "--tolerance", 9, code=1).output
    assert "right (within 9), so that" in " ".join(told.split())
    told = invoke(table, "--case", near, "--tolerance", 0.5).output
    assert "(right is within 0.5 of 6)" in " ".join(told.split())


def test_the_plot_has_the_numbers_of_the_rows(table, wrong, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from skpoison.inspection import TraceDisplay

    path = tmp_path / "trace.svg"
    invoke(table, "--case", wrong, *NEAREST, "--plot", path)
    found = numbers_of(table, "--case", wrong, *NEAREST)
    drawn, plot = [], TraceDisplay.plot

    def noted(display, *args, **kwargs):
        drawn.append(display)
        return plot(display, *args, **kwargs)

    monkeypatch.setattr(TraceDisplay, "plot", noted)
    invoke(table, "--case", wrong, *NEAREST, "--plot", path, "--force")
    shares = np.asarray(drawn[-1].contributions)
    told = [one["contribution"] for one in found["rows"]][: len(shares)]
    np.testing.assert_allclose(shares, told)  # the table's scale
    for one in found["rows"][:5]:  # texts are comments of their outlines
        assert f"<!-- row {one['row']}: ham -->" in path.read_text()


def test_exit_code_3_where_no_set_is_found(table, wrong, tmp_path):
    out = tmp_path / "blamed.csv"
    settings = ("--max-removed", 2, "--method", "knn-shapley", "-o", out)
    arguments = (table, "--case", wrong, *NEAREST, *settings)
    result = invoke(*arguments, code=3)
    assert "No set of up to 2 rows was found" in " ".join(result.output.split())
    found = numbers_of(*arguments, "--force", code=3)
    assert not found["is_found"] and found["removal_set"] is None
    assert found["cases"][0]["without"] is None and len(found["rows"]) > 2
    assert out.exists()


def test_without_labels_any_other_prediction_is_right(table, tmp_path):
    case = written(tmp_path / "case.csv", np.array([TARGET]), None)
    found = numbers_of(table, "--case", case, *NEAREST)
    assert found["cases"][0]["right"] is None
    assert found["cases"][0]["without"] == "spam"


def test_cases_that_are_right_are_left_out(table, tmp_path):
    X = np.array([[-1.5, -1.5], TARGET])
    case = written(tmp_path / "cases.csv", X, ["ham", "spam"])
    result = invoke(table, "--case", case, *NEAREST)
    assert "1 case of 2 is predicted right already" in " ".join(result.output.split())
    found = numbers_of(table, "--case", case, *NEAREST)
    assert [one["is_wrong"] for one in found["cases"]] == [False, True]
    assert [one["without"] for one in found["cases"]] == [None, "spam"]


@pytest.mark.parametrize("learner", ["svm", "svm-squared", "ridge", "neighbors"])
def test_every_learner_can_be_traced(learner, tmp_path):
    X, y = rows()
    copies = np.vstack([X, np.repeat([TARGET], 40, axis=0)])
    y = np.append(y, np.zeros(40, dtype=int))
    data = written(tmp_path / "rows.csv", copies, y)
    case = written(tmp_path / "wrong.csv", np.array([TARGET]), [1])
    settings = ("--learner", learner, "--max-removed", 0.5, "--method", "knn-shapley")
    found = numbers_of(data, "--case", case, *settings)
    assert min(found["removal_set"]) > N_HONEST
    assert found["cases"][0]["without"] == "1"


def test_scales_and_words_are_learned_without_the_removed_rows(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("n,t,label\n1,one dog,0\n2,one cat,1\n3,one cat,0\n900,owl,1\n")
    rows = load(str(path))
    encoding = Encoding(scale="standard", text=("t",))
    model = tracing.EncodedRows(rows, rows, encoding)
    kept, places = np.arange(3)[:, np.newaxis], np.arange(4)[:, np.newaxis]
    fewer, all_rows = clone(model).fit(kept), clone(model).fit(places)
    assert "t:owl" in all_rows.encoder_.names
    assert "t:owl" not in fewer.encoder_.names
    np.testing.assert_allclose(fewer.transform(kept).toarray()[:, 0].mean(), 0.0)
    as_cases = fewer.transform(places + len(rows)).toarray()
    np.testing.assert_array_equal(as_cases, fewer.transform(places).toarray())


def test_texts_are_shown_and_written(tmp_path):
    texts = ["win a prize now"] * 20 + ["minutes of the meeting"] * 20
    texts += ["casino casino tonight"] * 3
    labels = ["spam"] * 20 + ["ham"] * 20 + ["ham"] * 3
    lines = [f'{{"t": "{t}", "label": "{y}"}}' for t, y in zip(texts, labels, strict=1)]
    data, case = tmp_path / "mail.jsonl", tmp_path / "case.jsonl"
    data.write_text("\n".join(lines) + "\n")
    case.write_text('{"t": "win casino casino tonight"}\n')
    out = tmp_path / "blamed.jsonl"
    settings = ("--text-column", "t", "--max-removed", 0.2, "-o", out)
    found = numbers_of(data, "--case", case, *settings)
    assert set(found["removal_set"]) <= {41, 42, 43}
    assert found["rows"][0]["cells"] == "casino casino tonight"
    assert found["cases"][0]["cells"] == "win casino casino tonight"
    first = json.loads(out.read_text().splitlines()[0])
    assert first["skpoison_removed"] is True and first["t"] == "casino casino tonight"


def test_arrays_and_svmlight(tmp_path):
    X, y = rows()
    data, case = tmp_path / "rows.npz", tmp_path / "case.npz"
    np.savez(data, X=X, y=y)
    np.savez(case, X=np.array([TARGET]))
    found = numbers_of(data, "--case", case, *NEAREST)
    assert set(found["removal_set"]) <= set(PLANTED)
    assert found["rows"][0]["cells"].startswith("1=")
    lines, wrong = tmp_path / "rows.svm", tmp_path / "case.svm"
    dump_svmlight_file(X, y, str(lines), zero_based=False)
    dump_svmlight_file([TARGET], [1], str(wrong), zero_based=False)
    again = numbers_of(lines, "--case", wrong, *NEAREST)
    assert again["removal_set"] == found["removal_set"]


def test_quantities_have_regressors(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 2))
    X[:3] = [3.0, 0.0] + 0.01 * rng.normal(size=(3, 2))
    y = X @ [1.0, 2.0] + 0.01 * rng.normal(size=100)
    y[:3] += 20.0
    data = written(tmp_path / "rows.csv", X, y)
    cases = written(tmp_path / "cases.csv", np.array([[3.0, 0.0]]), [3.0])
    found = numbers_of(data, "--case", cases, "--C", 100)
    assert set(found["removal_set"]) <= {1, 2, 3}
    assert found["estimator"] == "Ridge(alpha=0.01)"
    assert abs(found["cases"][0]["without"] - 3.0) < found["cases"][0]["predicted"] - 3


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--max-removed", "1.5"], 2, "neither a number of rows"),
        (["--max-removed", "few"], 2, "neither a number of rows"),
        (["--max-removed", "0"], 2, "neither a number of rows"),
        (["--method", "shapley"], 2, "is none of auto"),
        (["--learner", "forest", "--C", "2"], 2, "linear learners only"),
        (["--by", "place"], 1, "has no column 'place'"),
        (["--tolerance", "1"], 2, "is for quantities; the target"),
        (["--tolerance", "0"], 2, "--tolerance"),
        (["--by", "label"], 1, "--by needs another column than the target"),
        (["--max-removed", "500"], 1, "max_removed must be a number of rows"),
    ],
)
def test_options_that_make_no_sense(table, wrong, options, code, message):
    result = invoke(
        table,
        "--case",
        wrong,
        *NEAREST[: 2 * ("--learner" not in options)],
        *options,
        code=code,
    )
    assert message in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (
            "eggs",
            "case.csv have labels that the training data do not have: 'eggs'. Allowed "
            "are 'ham' and 'spam'.",
        ),
        ("", "has no label in data row 1 of"),
        ("ham", "predicts all rows of"),
    ],
)
def test_cases_that_make_no_sense(table, tmp_path, label, message):
    case = written(tmp_path / "case.csv", np.array([TARGET]), [label])
    result = invoke(table, "--case", case, *NEAREST, code=1)
    assert message in " ".join(result.output.split())


def test_classifiers_are_no_learners_of_quantities(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 2))
    data = written(tmp_path / "rows.csv", X, X[:, 0])
    result = invoke(data, "--case", data, "--learner", "svm", code=1)
    assert "--learner svm predicts classes" in " ".join(result.output.split())


def test_names_of_options_are_those_that_exist():
    assert {name.replace("-", "_") for name in METHODS} == {"auto", *_scores.METHODS}
    assert set(LEARNERS) == {*LINEAR, *OTHERS}
    labels = Labels.of_array("y", np.array([0, 1]))
    made = {
        name: tracing.learner(settings_of(name), labels, np.eye(2)) for name in LEARNERS
    }
    assert isinstance(made["logistic"], LogisticRegression)
    assert isinstance(made["forest"], RandomForestClassifier)
    assert made["forest"].random_state == made["boosting"].random_state == 3
    with pytest.raises(DataError, match="--learner boosting does not take"):
        tracing.learner(settings_of("boosting"), labels, sparse.csr_array(np.eye(2)))


def settings_of(learner):
    return tracing.Settings("case", learner, None, "auto", 0.05, None, None, 3)
