"""``skpoison filter``: verdicts of a person, and where rejected rows come from."""

import csv as csv_module
import json
import re

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from skpoison import AutoFilter
from skpoison._cli import found
from skpoison._cli.app import app

N_ROWS = 60
WRONG = [4, 9, 30]


def invoke(*arguments, code=0, **settings):
    result = CliRunner().invoke(app, ["filter", *map(str, arguments)], **settings)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def said(result):
    return " ".join(result.stdout.split())


def rows():
    rng = np.random.default_rng(0)
    y = np.arange(N_ROWS) % 2
    X = np.round(rng.normal(size=(N_ROWS, 3)) + 3 * y[:, None], 3)
    y[WRONG] = 1 - y[WRONG]
    return X, np.array(["ham", "spam"])[y]


def columns(**more):
    X, y = rows()
    return dict(zip("abc", X.T.tolist(), strict=True)) | more | {"label": y.tolist()}


def write(path, columns):
    names, lines = list(columns), list(zip(*columns.values(), strict=True))
    if path.suffix == ".csv":
        text = [",".join(map(str, line)) for line in [names, *lines]]
    elif path.suffix == ".jsonl":
        text = [json.dumps(dict(zip(names, line, strict=True))) for line in lines]
    else:
        parquet.write_table(pa.table(columns), path)
        return path
    path.write_text("\n".join(text) + "\n")
    return path


def read(path):
    """Rows of a file as dicts."""
    if path.suffix == ".parquet":
        return parquet.read_table(path).to_pylist()
    if path.suffix == ".jsonl":
        return list(map(json.loads, path.read_text().splitlines()))
    with open(path, newline="") as file:
        return list(csv_module.DictReader(file))


@pytest.fixture(scope="module")
def auto():
    return AutoFilter(random_state=0).fit(*rows())


@pytest.fixture
def csv(tmp_path):
    return write(tmp_path / "rows.csv", columns())


def review(path, verdicts, **more):
    """Write a review of rows by their positions."""
    lines = ["skpoison_row,skpoison_suggested_label,verdict"]
    for row, verdict in verdicts.items():
        lines.append(f"{row + 1},{more.get('label', 'ham')},{verdict}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_verdicts_are_applied_and_counted(tmp_path, auto, suffix):
    data = write(tmp_path / f"rows.{suffix}", columns())
    reviewed = tmp_path / f"reviewed.{suffix}"
    invoke(data, "-r", reviewed)
    found = read(reviewed)
    assert [row["verdict"] for row in found] == [""] * len(found)
    names = [row["skpoison_row"] for row in found]
    first, second, third, *others = (int(name) - 1 for name in names)
    assert {first, second, third} <= set(WRONG)
    for row, verdict in zip(found, ["relabel", "Keep", "drop"], strict=False):
        row["verdict"] = verdict
    columns_ = {name: [row[name] for row in found] for name in found[0]}
    if suffix == "csv":
        # A reason holds commas, and is not needed.
        columns_ = {k: v for k, v in columns_.items() if k != "skpoison_reason"}
    write(reviewed, columns_)

    kept, still, report = (tmp_path / f"{name}.{suffix}" for name in ("k", "s", "j"))
    arguments = ["-o", kept, "-r", still, "--json", report]
    result = invoke(data, "--verdicts", reviewed, *arguments)
    X, y = rows()
    y[first] = auto.suggested_labels_[first]
    stay = np.isin(np.arange(N_ROWS), [first, second]) | auto.inlier_mask_
    assert [row["label"] for row in read(kept)] == y[stay].tolist()
    assert [float(row["a"]) for row in read(kept)] == X[stay, 0].tolist()
    out = {int(row["skpoison_row"]) - 1: row["verdict"] for row in read(still)}
    assert out == {third: "drop"} | dict.fromkeys(others, "")

    numbers = json.loads(report.read_text())["review"]
    assert numbers["n_reviewed"] == numbers["n_rejected_reviewed"] == 3
    assert numbers["n_right"] == 2 and numbers["precision"] == pytest.approx(2 / 3)
    low, high = numbers["precision_interval"]
    assert low < 2 / 3 < high
    assert (numbers["n_undecided"], numbers["n_missed"]) == (len(others), 0)
    assert numbers["n_kept"] == stay.sum() and numbers["n_relabeled"] == 1
    assert {one["test"] for one in numbers["by_test"]} <= set(auto.tests_[WRONG])
    for verdict in ("keep", "drop", "relabel"):
        assert sum(one[verdict] for one in numbers["by_test"]) == 1
    assert "right about 2 of 3 reviewed rows" in said(result)
    assert ("reviewed rows only" in said(result)) == bool(others)
    assert f"After the review {stay.sum()} of 60 rows are kept, 1 with" in said(result)


@pytest.mark.parametrize("suffix", ["npz", "svm"])
def test_labels_of_arrays_change_too(tmp_path, suffix):
    X, y = rows()
    codes = (y == "spam").astype(np.int8)
    data, kept = tmp_path / f"rows.{suffix}", tmp_path / f"kept.{suffix}"
    if suffix == "npz":
        np.savez(data, X=X, y=codes)
    else:
        pairs = zip(X.tolist(), codes, strict=True)
        lines = [f"{k:+d} 1:{a} 2:{b} 3:{c}" for (a, b, c), k in pairs]
        data.write_text("\n".join(lines) + "\n")
    path = review(tmp_path / "r.csv", {4: "relabel"}, label=1 - codes[4])
    invoke(data, "--verdicts", path, "-o", kept)
    if suffix == "npz":
        with np.load(kept) as out:
            place = np.flatnonzero(out["X"][:, 0] == X[4, 0])[0]
            assert out["y"][place] == 1 - codes[4] and out["y"].dtype == np.int8
        return
    changed = f"{1 - codes[4]:+d} {lines[4].partition(' ')[2]}"
    assert changed in kept.read_text().splitlines()


def test_rows_that_the_filter_keeps_can_be_dropped(csv, tmp_path, auto):
    fine = np.flatnonzero(auto.inlier_mask_)[:2]
    path = review(tmp_path / "r.csv", {fine[0]: "drop", fine[1]: "keep"})
    rejected = tmp_path / "rejected.csv"
    result = invoke(csv, "--verdicts", path, "-r", rejected)
    assert "Of 2 reviewed rows that it keeps, 1 should have been rejected" in said(
        result
    )
    assert "right about" not in said(result)
    of_row = {int(row["skpoison_row"]) - 1: row for row in read(rejected)}
    assert of_row[fine[0]]["skpoison_reason"] == "review: dropped"


BAD = [
    ({4: "maybe"}, "line 2: the verdict 'maybe' is none of keep, drop, relabel"),
    ({4: "keep", 60: "drop"}, "line 3: there is no row '61'"),
    ({4: "relabel"}, "line 2: relabel takes the label from skpoison_suggested_label"),
]


@pytest.mark.parametrize(("verdicts", "message"), BAD)
def test_bad_verdicts_are_named_with_their_line(csv, tmp_path, verdicts, message):
    path = review(tmp_path / "r.csv", verdicts, label="eggs")
    kept = tmp_path / "kept.csv"
    error = invoke(csv, "--verdicts", path, "-o", kept, code=1).stderr
    assert message in error and str(path) in error
    assert not kept.exists()


def test_numbers_of_rows_that_are_none(csv, tmp_path):
    path = tmp_path / "r.csv"
    for number in ("inf", "-1", "", "five", "1e300"):
        path.write_text(f"skpoison_row,verdict\n{number},keep\n")
        error = invoke(csv, "--verdicts", path, code=1).stderr
        assert f"line 2: there is no row {number!r}" in error


def test_verdicts_are_not_overwritten(csv, tmp_path):
    path = review(tmp_path / "r.csv", {4: "keep"})
    before = path.read_text()
    for option in ("-o", "-r", "--json"):
        more = [option, path, "--force"]
        error = invoke(csv, "--verdicts", path, *more, code=1).stderr
        assert "would be lost" in error
    assert path.read_text() == before


def test_a_label_cannot_be_changed_to_itself(csv, tmp_path):
    own = str(rows()[1][4])
    path = review(tmp_path / "r.csv", {4: "relabel"}, label=own)
    error = invoke(csv, "--verdicts", path, code=1).stderr
    assert f"relabel needs another label than the row's, {own!r}" in error


def test_a_row_has_one_verdict(csv, tmp_path):
    path = review(tmp_path / "r.csv", {4: "keep"})
    path.write_text(path.read_text() + "5,ham,drop\n")
    error = invoke(csv, "--verdicts", path, code=1).stderr
    assert "line 3: the row 5 is in line 2 already" in error


def test_a_review_of_other_data_is_refused(csv, tmp_path):
    y = rows()[1].tolist()
    path = tmp_path / "r.csv"
    path.write_text(f"label,skpoison_row,verdict\n{y[4]},5,keep\n")
    invoke(csv, "--verdicts", path)
    other = "spam" if y[4] == "ham" else "ham"
    path.write_text(f"label,skpoison_row,verdict\n{other},5,keep\n")
    error = invoke(csv, "--verdicts", path, code=1).stderr
    assert f"row 5 has the label {other!r} there and {y[4]!r} in the data" in error


def test_a_review_of_rows_in_another_order_is_refused(csv, tmp_path):
    invoke(csv, "-r", tmp_path / "r.csv")
    X, y = rows()
    for label in np.unique(y):  # so that cells alone tell
        X[y == label] = X[y == label][::-1]
    table = dict(zip("abc", X.T.tolist(), strict=True)) | {"label": y.tolist()}
    other = write(tmp_path / "sorted.csv", table)
    error = invoke(other, "--verdicts", tmp_path / "r.csv", code=1).stderr
    assert "give the data that were reviewed, in their order" in error
    # Programs for tables write numbers in their own way.
    text = (tmp_path / "r.csv").read_text()
    changed = re.sub(r'"(-?\d+\.\d+)"', lambda found: f"{found[1]}000", text)
    assert changed != text
    (tmp_path / "r.csv").write_text(changed)
    invoke(csv, "--verdicts", tmp_path / "r.csv")


@pytest.mark.parametrize("lacking", ["skpoison_row", "verdict"])
def test_a_review_needs_its_columns(csv, tmp_path, lacking):
    path = review(tmp_path / "r.csv", {4: "keep"})
    path.write_text(path.read_text().replace(lacking, "other"))
    error = invoke(csv, "--verdicts", path, code=1).stderr
    assert f"has no column {lacking!r}" in error


def test_reviews_without_header(tmp_path):
    data = tmp_path / "bare.csv"
    path = write(tmp_path / "rows.csv", columns())
    data.write_text("\n".join(path.read_text().splitlines()[1:]) + "\n")
    rejected, more = tmp_path / "rejected.csv", ["--no-header", "--target", "4"]
    invoke(data, *more, "-r", rejected)
    text = rejected.read_text()
    rejected.write_text(re.sub(r',""\n', ',"keep"\n', text))
    result = invoke(data, *more, "--verdicts", rejected)
    assert "After the review 60 of 60 rows are kept" in said(result)
    assert "reviewed rows only" not in said(result)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("kind", ["both", "auto"])
def test_added_columns_are_no_features_when_rows_come_back(tmp_path, suffix, kind):
    data = write(tmp_path / f"rows.{suffix}", columns())
    out, again = tmp_path / f"out.{suffix}", tmp_path / f"again.{suffix}"
    arguments = ["--filter", "both", "--percentile", 60]
    invoke(data, *arguments, "-r", out)
    plain = write(
        tmp_path / f"plain.{suffix}",
        {name: [row[name] for row in read(out)] for name in ("a", "b", "c", "label")},
    )
    found, wanted = (
        json.loads(invoke(path, "--filter", kind, "--json", "-").stdout)
        for path in (out, plain)
    )
    assert found == wanted
    # They give way to those of the second time.
    invoke(out, *arguments, "-r", again)
    assert list(read(again)[0]) == list(read(out)[0])
    numbers = [int(row["skpoison_row"]) for row in read(again)]
    assert max(numbers) <= len(read(out))


def test_the_source_of_rejected_rows_is_found(tmp_path, auto):
    wrong = ~auto.inlier_mask_
    source = np.where(wrong, "web", np.array(["lab", "shop"])[np.arange(N_ROWS) % 2])
    data = write(tmp_path / "rows.csv", columns(source=source.tolist()))
    result = invoke(data, "--by", "source", "--json", "-")
    numbers = json.loads(result.stdout)
    plain = write(tmp_path / "plain.csv", columns())
    same = json.loads(invoke(plain, "--json", "-").stdout)
    # It is no feature.
    assert numbers["rows"] == same["rows"]
    n = int(wrong.sum())
    groups = {one["value"]: one for one in numbers["by"]["groups"]}
    assert list(groups) == ["lab", "shop", "web"]
    assert groups["web"] | {"value": "web"} == {
        "value": "web",
        "n_rows": n,
        "n_rejected": n,
        "share": 1.0,
        "stands_out": True,
    }
    assert not groups["lab"]["stands_out"] and groups["lab"]["n_rejected"] == 0
    text = " ".join(result.stderr.split())
    assert f"where source is web ({n} of {n} rows, 100.0 %)" in text


@pytest.mark.parametrize("stands_out", [True, False])
def test_the_conclusion_names_the_source_that_stands_out(stands_out):
    by = {"column": "source"}
    by["groups"] = [{"value": "web", "stands_out": stands_out}]
    numbers = {"verdict": {"is_likely_poisoned": False}, "by": by}
    text = found._conclusion(numbers, 0.02)
    assert ("where source is 'web'" in text) == stands_out
    assert ("most of them are probably honest" in text) != stands_out


def test_sources_that_differ_by_chance_are_not_blamed(tmp_path):
    source = np.array(["lab", "shop"])[np.arange(N_ROWS) // 2 % 2]
    data = write(tmp_path / "rows.csv", columns(source=source.tolist()))
    result = invoke(data, "--by", "source")
    assert "No value of source stands out" in said(result)


@pytest.mark.parametrize(
    ("written", "first"),
    [
        ("%Y-%m-%d", "2024-01-01 to 2024-01-06"),
        ("%d/%m/%Y %H:%M", "01/01/2024 00:00 to 06/01/2024 00:00"),
    ],
)
def test_times_are_counted_in_ranges(tmp_path, written, first):
    days = np.datetime64("2024-01-01") + np.arange(N_ROWS)
    texts = [day.astype("datetime64[s]").item().strftime(written) for day in days]
    table = columns(day=texts)
    numbers = json.loads(
        invoke(write(tmp_path / "rows.csv", table), "--by", "day", "--json", "-").stdout
    )
    groups = numbers["by"]["groups"]
    assert [one["n_rows"] for one in groups] == [6] * 10
    assert groups[0]["value"] == first
    assert sum(one["n_rejected"] for one in groups) == N_ROWS - numbers["n_kept"]


def test_rows_without_a_source_are_a_group(tmp_path):
    source = [None if i % 3 else "lab" for i in range(N_ROWS)]
    data = write(tmp_path / "rows.jsonl", columns(source=source))
    groups = json.loads(invoke(data, "--by", "source", "--json", "-").stdout)["by"]
    found = {one["value"]: one["n_rows"] for one in groups["groups"]}
    assert found == {"lab": 20, "(no value)": 40}


def test_trusted_rows_need_no_source(tmp_path):
    trusted = write(tmp_path / "trusted.csv", columns())
    data = write(tmp_path / "rows.csv", columns(source=["x", "y"] * 30))
    arguments = ["--trusted", trusted, "--by", "source", "--json", "-"]
    groups = json.loads(invoke(data, *arguments).stdout)["by"]["groups"]
    assert [one["n_rows"] for one in groups] == [30, 30]


def test_columns_that_rows_cannot_be_counted_by(csv, tmp_path):
    assert "'nope'" in invoke(csv, "--by", "nope", code=1).stderr
    assert "another column" in invoke(csv, "--by", "label", code=1).stderr
    X, y = rows()
    np.savez(tmp_path / "r.npz", X=X, y=y)
    error = invoke(tmp_path / "r.npz", "--by", "a", code=1).stderr
    assert "--by is for tables" in error
    lists = [[1, 2]] * N_ROWS
    data = write(tmp_path / "r.parquet", columns(pairs=lists))
    assert "single values" in invoke(data, "--by", "pairs", code=1).stderr
