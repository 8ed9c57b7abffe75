"""``skpoison filter`` as it is without options: what it finds, says and writes."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from skpoison import AutoFilter
from skpoison._cli.app import app
from skpoison._cli.found import _conclusion, rare_ones_rejected, worst
from skpoison._cli.judged import Judged
from skpoison._cli.judgement import OTHERS, build_filter, judge
from skpoison._cli.kinds import FILTERS, PUBLISHED, WITHOUT_PERCENTILE
from skpoison._cli.suspicion import TESTS, with_suspects
from skpoison._signs import Evidence
from skpoison._verdict import Verdict

WRONG = [4, 9, 30]
KEYS = ["row", "label", "suspicion", "test", "reason", "suggested_label"]


def invoke(*arguments, code=0, **settings):
    result = CliRunner().invoke(app, ["filter", *map(str, arguments)], **settings)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def rows(seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 2
    X = rng.normal(size=(60, 3)) + 3 * y[:, None]
    return np.round(X, 3), np.array(["ham", "spam"])[y]


def poisoned():
    X, y = rows()
    y[WRONG] = np.where(y[WRONG] == "ham", "spam", "ham")
    return X, y


def csv_lines(X, y):
    return [f"{a:+.4f},{b},{c},{k}" for (a, b, c), k in zip(X.tolist(), y, strict=True)]


def write(path, X, y):
    path.write_text("\n".join(["a,b,c,label", *csv_lines(X, y)]) + "\n")
    return path


@pytest.fixture
def csv(tmp_path):
    return write(tmp_path / "rows.csv", *poisoned())


@pytest.fixture(scope="module")
def auto():
    return AutoFilter(random_state=0).fit(*poisoned())


def said(result):
    return " ".join(result.stdout.split())


def test_it_prints_writes_and_counts_what_the_filter_found(csv, tmp_path, auto):
    kept, rejected = tmp_path / "kept.csv", tmp_path / "rejected.csv"
    report = tmp_path / "report.json"
    result = invoke(csv, "-o", kept, "-r", rejected, "--json", report)
    mask = auto.inlier_mask_
    assert not mask[WRONG].any()
    lines = np.array(csv_lines(*poisoned()))
    assert kept.read_text().splitlines()[1:] == lines[mask].tolist()

    numbers = json.loads(report.read_text())
    assert numbers["settings"] == {
        "filter": "auto",
        "percentile": None,
        "trusted": None,
        "by": None,
        "verdicts": None,
    }
    for entry, share in zip(numbers["classes"], auto.contamination_, strict=True):
        assert entry["contamination"] == pytest.approx(share)
        of_class = poisoned()[1] == entry["label"]
        for test, n in entry["rejected_by"].items():
            assert n == np.sum(auto.tests_[of_class] == test)
        cells = f"{entry['label']} {entry['n_rows']} {entry['n_kept']} "
        assert f"{cells}{entry['n_rejected']} {100 * share:.1f} %" in said(result)

    suspicion = [row["suspicion"] for row in numbers["rows"]]
    assert suspicion == sorted(suspicion, reverse=True)
    assert (
        sorted(row["row"] - 1 for row in numbers["rows"])
        == np.flatnonzero(~mask).tolist()
    )
    for row in numbers["rows"]:
        at = row["row"] - 1
        assert list(row) == KEYS
        assert row["suspicion"] == auto.suspicion_[at]
        assert row["reason"] == auto.reasons_[at]
        assert row["test"] == auto.tests_[at] != ""
        assert row["suggested_label"] == auto.suggested_labels_[at]
        printed = f"{row['label']} {row['row']} {row['suspicion']:.2f} {row['reason']}"
        assert printed in said(result)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "svm", "npz", "parquet"])
def test_rejected_rows_come_worst_first_in_every_format(tmp_path, auto, suffix):
    X, y = poisoned()
    data = write_as(tmp_path / f"rows.{suffix}", X, y)
    out = tmp_path / f"rejected.{suffix}"
    invoke(data, "-r", out)
    found = read_back(out)
    wanted = np.flatnonzero(~auto.inlier_mask_)
    wanted = wanted[np.argsort(-auto.suspicion_[wanted], kind="stable")]
    assert wanted.tolist() != sorted(wanted.tolist())
    assert [at for at, _ in found] == wanted.tolist()
    for at, first in found:
        assert first == pytest.approx(X[at, 0])


def write_as(path, X, y):
    if path.suffix == ".csv":
        return write(path, X, y)
    if path.suffix == ".npz":
        np.savez(path, X=X, y=y)
        return path
    if path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        columns = dict(zip("abc", X.T, strict=True)) | {"label": y}
        parquet.write_table(pa.table(columns), path)
        return path
    pairs = zip(X.tolist(), y, strict=True)
    if path.suffix == ".jsonl":
        lines = [json.dumps({"a": a, "b": b, "c": c, "y": k}) for (a, b, c), k in pairs]
    else:
        lines = [f"{int(k == 'spam')} 1:{a} 2:{b} 3:{c}" for (a, b, c), k in pairs]
    path.write_text("\n".join(lines) + "\n")
    return path


def read_back(path):
    """Where each row was in the file, and its first feature."""
    if path.suffix == ".npz":
        with np.load(path) as out:
            assert out["skpoison_suspicion"].dtype == np.float64
            return list(zip(out["skpoison_row"] - 1, out["X"][:, 0], strict=True))
    if path.suffix == ".parquet":
        from pyarrow import parquet

        table = parquet.read_table(path)
    elif path.suffix == ".csv":
        from pyarrow import csv

        table = csv.read_csv(path)
    elif path.suffix == ".jsonl":
        found = map(json.loads, path.read_text().splitlines())
        return [(row["skpoison_row"] - 1, row["a"]) for row in found]
    else:
        lines = [line.split() for line in path.read_text().splitlines()]
        numbers = [
            next(cell for cell in line if cell.startswith("skpoison_row"))
            for line in lines
        ]
        places = [int(number.partition("=")[2]) - 1 for number in numbers]
        firsts = [float(line[1].removeprefix("1:")) for line in lines]
        return list(zip(places, firsts, strict=True))
    names = ["skpoison_row", "skpoison_suspicion", "skpoison_reason"]
    assert table.column_names[-5:] == [*names, "skpoison_suggested_label", "verdict"]
    places = [number - 1 for number in table["skpoison_row"].to_pylist()]
    return list(zip(places, table["a"].to_pylist(), strict=True))


def test_keys_of_the_rows_are_documented():
    page = Path(__file__).parent.parent / "docs" / "command_line.md"
    (about,) = [
        line
        for line in page.read_text().splitlines()
        if "`rows[]` | an entry for each rejected row" in line
    ]
    for name in (*KEYS, *TESTS):
        assert f"`{name}`" in about


def test_only_the_twenty_worst_are_printed(tmp_path):
    X, y = rows()
    X, y = np.tile(X, (6, 1)), np.tile(y, 6)
    rng = np.random.default_rng(1)
    X += rng.normal(scale=0.5, size=X.shape)
    X[:25] = rng.normal(scale=90, size=(25, 3))
    path = write(tmp_path / "rows.csv", X.round(3), y)
    result = invoke(path, "--json", tmp_path / "report.json")
    found = json.loads((tmp_path / "report.json").read_text())["rows"]
    assert len(found) >= 25
    assert f"The 20 most suspicious of {len(found)} rejected rows" in said(result)
    for row in found[:20]:
        assert f" {row['row']} {row['suspicion']:.2f} {row['reason']}" in said(result)
    assert f" {found[20]['row']} {found[20]['suspicion']:.2f}" not in said(result)


def test_every_reason_is_among_the_worst():
    rows = [{"test": "far"}] * 30 + [{"test": "label"}] * 2 + [{"test": "copies"}]
    tests = [row["test"] for row in worst(rows)]
    assert tests == ["far"] * 18 + ["label", "copies"]
    assert worst(rows[:25]) == rows[:20]
    assert worst(rows[28:]) == rows[28:]


def test_when_nothing_is_found_it_says_so(tmp_path):
    path = write(tmp_path / "rows.csv", *rows())
    result = invoke(path, "-r", tmp_path / "rejected.csv", "--json", tmp_path / "j")
    assert "Nothing suspicious was found: all 60 rows are kept" in said(result)
    assert json.loads((tmp_path / "j").read_text())["rows"] == []
    (header,) = (tmp_path / "rejected.csv").read_text().splitlines()
    assert header.endswith("skpoison_reason,skpoison_suggested_label,verdict")


@pytest.mark.parametrize("share", [0.04, 0.06])
def test_many_rejected_rows_are_not_called_honest(share):
    numbers = {"verdict": {"is_likely_poisoned": False, "share_high": 0.083}}
    text = _conclusion(numbers, share)
    assert ("honest but unusual" in text) == (share < 0.05)
    assert ("up to 8.3 % of the rows may be bad" in text) == (share > 0.05)


def test_rejected_rows_are_no_estimate_of_bad_ones(tmp_path):
    X, y = rows()
    X[7] = 90.0
    result = said(invoke(write(tmp_path / "rows.csv", X, y)))
    assert "No clear sign of poison" in result
    assert "label rows kept rejected rejected" in result  # share, above it
    assert "most of them are probably honest but unusual" in result
    assert "estimate" not in result

    X, y = np.tile(X, (5, 1)), np.tile(y, 5)
    rng = np.random.default_rng(2)
    X += rng.normal(scale=0.5, size=X.shape)
    X[:40], y[:40] = [9.0, -9.0, 9.0], "ham"
    result = said(invoke(write(tmp_path / "planted.csv", X.round(3), y)))
    assert "This table is likely poisoned" in result
    assert "How many rows are bad is estimated in the verdict above" in result


def test_new_rows_are_judged_by_trusted_ones(tmp_path):
    trusted = write(tmp_path / "trusted.csv", *rows())
    auto = AutoFilter(random_state=0).fit(*rows())
    X, y = rows(seed=1)
    other = np.where(y == "ham", "spam", "ham")
    fits = auto.predict(X, y) == 1
    wrong = np.flatnonzero(fits & (auto.predict(X, other) == -1))[0]
    strange, far = np.delete(np.arange(60), wrong)[[7, 11]]
    was, y[wrong], X[far] = y[wrong], other[wrong], 500.0
    y = y.astype(object)
    y[strange] = "new"
    data, out = write(tmp_path / "new.csv", X, y), tmp_path / "rejected.jsonl"
    result = invoke(data, "--trusted", trusted, "-r", out)
    assert result.stderr.count("are not among its known labels") == 1
    with pytest.warns(match="not among its known labels"):
        kept = auto.predict(X, y) == 1
    lines = map(json.loads, out.read_text().splitlines())
    found = {row["skpoison_row"] - 1: row for row in lines}
    assert sorted(found) == np.flatnonzero(~kept).tolist()
    reasons = {at: row["skpoison_reason"] for at, row in found.items()}
    said_of_wrong = (
        f"label: {y[wrong]}, but models fitted on the trusted rows predict {was}"
    )
    assert reasons[wrong] == said_of_wrong
    assert found[wrong]["skpoison_suggested_label"] == was
    assert reasons[strange] == "unknown: no trusted row has the label new"
    assert reasons[far].startswith("far: ")
    assert "not detected" not in said(result)


def plant(X, y):
    """Give every third ham the values of the spam nearest to ham, but for noise."""
    planted = np.flatnonzero(y == "ham")[::3]
    noise = np.random.default_rng(5).normal(scale=0.02, size=(len(planted), 3))
    spam = X[y == "spam"]
    X[planted] = np.round(spam[spam.sum(axis=1).argmin()] + noise, 3)
    return planted


def test_new_rows_are_compared_with_each_other_too(tmp_path):
    trusted = write(tmp_path / "trusted.csv", *rows())
    X, y = rows(seed=1)
    planted = plant(X, y)
    auto = AutoFilter(random_state=0).fit(*rows())
    kept_by_trusted = auto.predict(X, y) == 1
    assert kept_by_trusted[planted].all()
    y = y.astype(object)
    y[51] = "new"
    out = tmp_path / "rejected.jsonl"
    data = write(tmp_path / "new.csv", X, y)
    result = invoke(data, "--trusted", trusted, "-r", out, "--json", tmp_path / "j")
    found = {}
    for line in out.read_text().splitlines():
        row = json.loads(line)
        found[row["skpoison_row"] - 1] = row
    assert set(planted) <= set(found)
    for at in planted:
        assert found[at]["skpoison_reason"].startswith("copies: one of ")
        assert found[at]["skpoison_suspicion"] > 0.5
    assert found[51]["skpoison_reason"] == "unknown: no trusted row has the label new"
    classes = json.loads((tmp_path / "j").read_text())["classes"]
    assert sum(one["rejected_by"]["copies"] for one in classes) == len(planted)
    assert "more near copies of a row than expected by chance" in said(result)


@pytest.mark.filterwarnings("ignore:The subspace has all 3 dimensions")
@pytest.mark.parametrize("kind", OTHERS)
def test_every_filter_runs_by_its_name(csv, tmp_path, kind):
    out = tmp_path / "rejected.csv"
    more = [] if kind in WITHOUT_PERCENTILE else ["--percentile", 80]
    result = invoke(csv, "--filter", kind, *more, "-r", out, "--json", tmp_path / "j")
    filter_ = build_filter(kind, more[1] if more else None).fit(*poisoned())
    numbers = json.loads((tmp_path / "j").read_text())
    assert numbers["n_kept"] == filter_.inlier_mask_.sum()
    lines = out.read_text().splitlines()[1:]
    assert len(lines) == numbers["n_rows"] - numbers["n_kept"]
    assert all(f"{kind}: " in line for line in lines)
    if OTHERS[kind][1] is not None:
        beyond = f"{kind}: {OTHERS[kind][1]} ", f"{kind}: rejected in an earlier"
        assert all(any(reason in line for reason in beyond) for line in lines)
    assert sum(one["rejected_by"][kind] for one in numbers["classes"]) == len(lines)
    assert ("--percentile" in result.stdout) == bool(more and lines)
    listed = [row["suspicion"] for row in numbers["rows"]]
    assert len(listed) == len(lines) and listed == sorted(listed, reverse=True)


@pytest.mark.filterwarnings("ignore:The subspace has all 3 dimensions")
@pytest.mark.parametrize("kind", sorted({*FILTERS} - {"epic", "cross-fit"}))
def test_every_filter_judges_new_rows_by_trusted_ones(csv, tmp_path, kind):
    trusted = write(tmp_path / "trusted.csv", *rows(seed=1))
    arguments = ["--filter", kind, "--trusted", trusted, "--json", "-"]
    numbers = json.loads(invoke(csv, *arguments).stdout)
    filter_ = AutoFilter(random_state=0)
    if kind != "auto":
        filter_ = build_filter(kind, 70 if kind in PUBLISHED else None)
    kept = filter_.fit(*rows(seed=1)).predict(*poisoned()) == 1
    assert numbers["n_kept"] == kept.sum()
    rejected = sorted(row["row"] - 1 for row in numbers["rows"])
    assert rejected == np.flatnonzero(~kept).tolist()


def test_a_filter_of_training_rows_only_is_fitted_on_both(tmp_path):
    X, y = poisoned()
    y[7] = "new"
    data = write(tmp_path / "new.csv", X, y)
    trusted = write(tmp_path / "trusted.csv", *rows(seed=1))
    arguments = ["--filter", "epic", "--trusted", trusted, "--json", "-"]
    result = invoke(data, *arguments)
    assert "fitted on trusted and new rows together" in " ".join(result.stderr.split())
    numbers = json.loads(result.stdout)
    known = y != "new"
    both = [
        np.concatenate(parts)
        for parts in zip(rows(seed=1), (X[known], y[known]), strict=True)
    ]
    kept = build_filter("epic", None).fit(*both).inlier_mask_[60:]
    expected = [7, *np.flatnonzero(known)[~kept]]
    assert 1 < len(expected) < 60
    assert sorted(row["row"] - 1 for row in numbers["rows"]) == sorted(expected)
    assert numbers["rows"][0]["reason"] == "no trusted row has this label"


def test_cross_fit_finds_wrong_labels_among_new_rows_and_suggests_others():
    X, y = rows()
    X[:, 0] += 10 * (y == "spam")
    wrong = y.copy()
    wrong[WRONG] = np.where(y[WRONG] == "ham", "spam", "ham")
    found = judge("cross-fit", None, X, wrong, (X, y))
    assert np.flatnonzero(~found.kept).tolist() == WRONG
    assert found.suggested[WRONG].tolist() == y[WRONG].tolist()
    assert set(found.suggested[found.kept]) == {""}


@pytest.mark.parametrize("kind", WITHOUT_PERCENTILE)
def test_a_percentile_goes_with_filters_that_have_one(csv, kind):
    arguments = ["--percentile", 90, "--filter", kind]
    result = invoke(csv, *arguments, code=2, env={"COLUMNS": "200"})
    assert f"--filter {kind} chooses by itself how many" in result.stderr


@pytest.mark.parametrize("kind", ["auto", "loss"])
def test_the_picture_shows_rejected_rows_by_reason(csv, tmp_path, kind, monkeypatch):
    from skpoison.inspection import SuspicionDisplay

    shown = []
    plot = SuspicionDisplay.plot
    monkeypatch.setattr(
        SuspicionDisplay, "plot", lambda self, ax: shown.append(plot(self, ax))
    )
    path, report = tmp_path / "p.png", tmp_path / "j"
    result = invoke(csv, "--filter", kind, "--plot", path, "--json", report)
    assert "Plot written to" in said(result)
    assert path.read_bytes().startswith(b"\x89PNG")
    (display,) = shown
    drawn = {test: len(a.get_offsets()) for test, a in display.rejected_.items()}
    classes = json.loads(report.read_text())["classes"]
    counts = {
        test: sum(entry["rejected_by"][test] for entry in classes)
        for test in classes[0]["rejected_by"]
    }
    wanted = {test: n for test, n in counts.items() if n}
    assert drawn == (wanted if kind == "auto" else {"rejected": counts["loss"]})
    assert set(display.kept_) == {"ham", "spam"}


def test_names_of_filters_are_in_the_help():
    text = " ".join(invoke("--help", env={"COLUMNS": "200"}).stdout.split())
    for kind in FILTERS:
        assert kind in text


def test_filters_of_classes_refuse_a_target_of_measurements(tmp_path):
    path = tmp_path / "rows.csv"
    rng = np.random.default_rng(0)
    lines = [f"{a:.3f},{b:.4f}" for a, b in rng.normal(size=(200, 2))]
    path.write_text("\n".join(["a,price", *lines]))
    result = invoke(path, "--target", "price", "--filter", "sphere", code=1)
    assert "different numbers in 200 rows" in result.stderr
    assert "--filter auto" in result.stderr


@pytest.mark.parametrize("option", ["--by", "--drop"])
def test_a_column_that_is_not_there_is_called_a_column(csv, option):
    error = invoke(csv, option, "nosuch", code=1).stderr
    assert "has no column 'nosuch'; its columns are 'a', 'b', 'c'" in error


@pytest.mark.parametrize(
    ("rejected", "n_warnings"),
    [((3, 14), 1), ((3, 4), 0), ((90, 14), 0), ((300, 0), 0), ((0, 5), 1)],
)
def test_much_that_is_rejected_of_a_rare_class_is_said(rejected, n_warnings):
    classes = [
        {"label": label, "n_rows": n_rows, "n_rejected": n}
        for label, n_rows, n in zip("ny", (900, 50), rejected, strict=True)
    ]
    found = list(rare_ones_rejected(classes))
    assert len(found) == n_warnings
    for text in found:
        assert text.startswith(f"{rejected[1]} of the 50 rows of the rare label 'y'")
    even = [one | {"n_rows": 400} for one in classes]
    assert not list(rare_ones_rejected(even))


def test_a_rare_class_that_loses_rows_is_warned_of(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(120, 3)), np.arange(120) % 6 == 0
    X[y] += 6
    X[np.flatnonzero(y)[:4]] -= 6
    path = tmp_path / "rows.csv"
    lines = [",".join(map(str, [*row, int(k)])) for row, k in zip(X, y, strict=True)]
    path.write_text("\n".join(["a,b,c,y", *lines]) + "\n")
    result = invoke(path)
    assert "of the 20 rows of the rare label '1' are rejected" in " ".join(
        result.output.split()
    )


def test_rows_that_the_verdict_speaks_against_are_rejected_too():
    kept = np.array([True, True, False, True])
    tests = np.array(["", "", "label", ""], dtype=object)
    found = Judged(
        kept,
        np.array([0.1, 0.2, 0.7, 0.3]),
        tests,
        np.full(4, "", dtype=object),
        lambda rows: [f"label: row {row}" for row in rows],
        {test: tests == test for test in ("digits", "label")},
    )
    fine = Evidence("digits", True, np.array([True, False, True, False]), "", 0.005)
    likely = Verdict(True, fine.rows, 0.5, 0.4, 0.6, {}, [fine])
    more = with_suspects(found, likely)
    assert more.kept.tolist() == [False, True, False, True]
    assert more.tests.tolist() == ["digits", "", "label", ""]
    assert more.rejected.tolist() == [0, 2] and more.suspicion[0] > 0.98
    assert [text.split(":")[0] for text in more.reason_of([2, 0])] == [
        "label",
        "digits",
    ]
    assert more.rejected_by["digits"].sum() == more.rejected_by["label"].sum() == 1
    weak = likely._replace(evidence=[fine._replace(is_strong=False)])
    assert with_suspects(found, weak) is found
