"""``skpoison filter``: rows in, kept and rejected rows out, as they were written."""

import bz2
import json
import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy import sparse
from typer.testing import CliRunner

from skpoison import SlabFilter, SphereFilter
from skpoison._cli.app import app
from skpoison._cli.judged import count
from skpoison._cli.judgement import judge
from skpoison._io.labels import Labels
from skpoison.exceptions import FilterWarning

N_ROWS = 40


def invoke(*arguments, code=0, **settings):
    result = CliRunner().invoke(app, ["filter", *map(str, arguments)], **settings)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def sphere_and_slab(*arguments, **settings):
    return invoke(*arguments, "--filter", "both", **settings)


def rows(seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(N_ROWS) % 2
    return np.round(rng.normal(size=(N_ROWS, 3)) + 2 * y[:, None], 3), y


def kept_mask(percentile=70.0, seed=0):
    X, y = rows(seed)
    both = SphereFilter(percentile) & SlabFilter(percentile)
    return both.fit(X, y).inlier_mask_


def lines_of_csv():
    X, y = rows()
    # Written as no program would write them, so that a copy shows.
    return [
        f"{a:+.5f},{b:.3e},{c:.4f},c{k},{i:04d}"
        for i, ((a, b, c), k) in enumerate(zip(X.tolist(), y, strict=True))
    ]


HEADER = "a,b,c,label,id"
ADDED = [
    "skpoison_row",
    "skpoison_suspicion",
    "skpoison_reason",
    "skpoison_suggested_label",
    "verdict",
]


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([HEADER, *lines_of_csv()]) + "\n")
    return path


def test_rows_of_csv_come_out_as_they_were_written(csv, tmp_path):
    kept, rejected = tmp_path / "kept.csv", tmp_path / "rejected.csv"
    sphere_and_slab(csv, "--drop", "id", "-o", kept, "-r", rejected)
    mask = kept_mask()
    lines = np.array(lines_of_csv())
    assert kept.read_text().splitlines() == [HEADER, *lines[mask]]
    header, *found = rejected.read_text().splitlines()
    assert header == ",".join([HEADER, *ADDED])
    cells = [line.rsplit(",", len(ADDED)) for line in found]
    places = np.array([int(cell[1]) - 1 for cell in cells])
    assert sorted(places) == np.flatnonzero(~mask).tolist()
    assert [cell[0] for cell in cells] == lines[places].tolist()
    # The most suspicious come first, and verdicts are to be filled in.
    suspicion = [float(cell[2]) for cell in cells]
    assert suspicion == sorted(suspicion, reverse=True) and min(suspicion) >= 0.5
    assert {tuple(cell[4:]) for cell in cells} == {("", "")}


def test_suspicions_and_reasons_are_those_of_the_filter(csv, tmp_path):
    out = tmp_path / "rejected.tsv"
    sphere_and_slab(csv, "--drop", "id", "-r", out)
    X, y = rows()
    both = (SphereFilter(70.0) & SlabFilter(70.0)).fit(X, y)
    cells = [line.split("\t")[-5:] for line in out.read_text().splitlines()[1:]]
    for number, suspicion, reason, *_ in cells:
        row, shares = int(number) - 1, []
        for name, member in zip(("sphere", "slab"), both.filters_, strict=True):
            margin = member.decision_function(X[[row]], y[[row]])[0]
            limit = member.radii_[y[row]]
            shares.append((limit - margin) / (2 * limit - margin))
            assert (margin < 0) == (f"{name}: distance" in reason)
        assert float(suspicion) == pytest.approx(max(shares))


def test_counts_are_the_same_in_table_and_json(csv):
    result = sphere_and_slab(csv, "--drop", "id", "--json", "-")
    numbers = json.loads(result.stdout)
    assert numbers["n_kept"] == kept_mask().sum()
    lines = [line.split() for line in result.stderr.splitlines()]
    for entry in numbers["classes"]:
        (cells,) = [line for line in lines if line[:1] == [entry["label"]]]
        by = entry["rejected_by"]
        wanted = [entry["n_rows"], entry["n_kept"], entry["n_rejected"]]
        assert list(map(int, cells[1:])) == [*wanted, by["sphere"], by["slab"]]
    assert sum(entry["n_rows"] for entry in numbers["classes"]) == N_ROWS


def judged_by_hand():
    """Rows on a line, whose distances and limits can be seen."""
    X = np.array([[0.0], [2.0], [4.0], [20.0], [20.5], [30.0]])
    X = np.column_stack([X, np.zeros(6)])
    labels = Labels.of_array("y", np.array(["b", "b", "b", "c", "c", "c"]))
    trusted = np.array([[0.0, 0], [4, 0], [18, 0], [22, 0]]), np.array([*"bbcc"])
    return labels, judge("both", 100, X, labels.texts, trusted)


def test_rows_on_the_limit_are_kept_and_have_no_reason():
    labels, judgement = judged_by_hand()
    # The centers are 2 and 20, the radii 2: the first and third row lie on them.
    assert judgement.kept.tolist() == [True] * 5 + [False]
    assert judgement.suspicion == pytest.approx([0.5, 0, 0.5, 0, 0.2, 10 / 12])
    assert judgement.tests.tolist() == [""] * 5 + ["sphere and slab"]
    reason = "sphere: distance 10 is above 2 and slab: distance 10 is above 2"
    assert judgement.reason_of([5]) == [reason]
    numbers = count(judgement, labels, {}, np.arange(1, 7))
    assert (numbers["n_rows"], numbers["n_kept"]) == (6, 5)
    assert [row["row"] for row in numbers["rows"]] == [6]
    common = {"n_rows": 3}
    assert numbers["classes"] == [
        common
        | {
            "label": "b",
            "n_kept": 3,
            "n_rejected": 0,
            "rejected_by": {"sphere": 0, "slab": 0},
            "contamination": 0.0,
        },
        common
        | {
            "label": "c",
            "n_kept": 2,
            "n_rejected": 1,
            "rejected_by": {"sphere": 1, "slab": 1},
            "contamination": 1 / 3,
        },
    ]


def test_limits_are_those_of_the_row_s_own_class():
    trusted = np.array([[0.0, 0], [4, 0], [10, 0], [30, 0]]), np.array([*"bbcc"])
    rows = np.array([[9.0, 0], [35, 0]])
    found = judge("sphere", 100, rows, np.array(["b", "c"]), trusted)
    assert found.reason_of([0, 1]) == [
        "sphere: distance 7 is above 2",
        "sphere: distance 15 is above 10",
    ]


def test_a_class_of_which_no_row_is_within_both_keeps_one():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(40, 3)), np.array(["b", "c"])[np.arange(40) % 2]
    with pytest.warns(FilterWarning, match="keeps the best-scoring row of"):
        found = judge("both", 1, X, y)
    assert np.all(np.unique(y[found.kept]) == ["b", "c"])
    # None passes both, so that what is kept is not what lies within the limits.
    assert np.all(np.logical_or.reduce([*found.rejected_by.values()]))
    np.testing.assert_array_equal(found.kept, found.filter.inlier_mask_)


def test_trusted_rows_make_the_filter(csv, tmp_path):
    X, y = rows(seed=1)
    trusted = tmp_path / "trusted.csv"
    lines = [
        ",".join([*map(repr, x), f"c{k}"]) for x, k in zip(X.tolist(), y, strict=True)
    ]
    trusted.write_text("\n".join(["a,b,c,label", *lines]))
    out = tmp_path / "kept.csv"
    result = sphere_and_slab(csv, "--trusted", trusted, "-o", out)
    both = (SphereFilter(70.0) & SlabFilter(70.0)).fit(X, y)
    mask = both.predict(*rows()) == 1
    assert out.read_text().splitlines()[1:] == np.array(lines_of_csv())[mask].tolist()
    assert "come from the trusted rows" in result.stdout
    said = " ".join(sphere_and_slab(csv, "--drop", "id").stdout.split())
    assert "no guarantee holds" in said


def test_rows_with_labels_that_no_trusted_row_has_are_rejected(csv, tmp_path):
    lines = csv.read_text().splitlines()
    places = [line.split(",") for line in lines]
    target = places[0].index("label")
    for row, label in ((1, "new"), (3, "0")):
        places[row][target] = label
    data, rejected = tmp_path / "data.csv", tmp_path / "rejected.csv"
    data.write_text("\n".join(",".join(line) for line in places))
    arguments = ["--trusted", csv, "--drop", "id", "--json", "-"]
    result = sphere_and_slab(
        data, *arguments, "-r", rejected, "--plot", tmp_path / "plot.svg"
    )
    assert result.stderr.count("are not among its known labels") == 1
    numbers = json.loads(result.stdout)
    found = {one["label"]: one for one in numbers["classes"]}
    for label in ("new", "0"):
        counts = found[label]
        assert (counts["n_rows"], counts["n_kept"], counts["n_rejected"]) == (1, 0, 1)
    alone = json.loads(sphere_and_slab(csv, *arguments).stdout)
    strange = kept_mask()[[0, 2]].sum()
    assert numbers["n_kept"] == alone["n_kept"] - strange
    reasons = [line.split(",")[-3] for line in rejected.read_text().splitlines()]
    assert reasons.count("no trusted row has this label") == 2


@pytest.mark.parametrize("kind", ["sphere", "slab"])
def test_one_filter_alone(csv, kind):
    result = invoke(csv, "--drop", "id", "--filter", kind, "--json", "-")
    X, y = rows()
    one = {"sphere": SphereFilter, "slab": SlabFilter}[kind](70.0).fit(X, y)
    assert json.loads(result.stdout)["n_kept"] == one.inlier_mask_.sum()


def test_parquet_keeps_types(tmp_path):
    X, y = rows()
    table = pa.table(
        {
            "a": X[:, 0].astype(np.float32),
            "b": X[:, 1],
            "when": pa.array(range(N_ROWS), pa.timestamp("ms")),
            "label": pa.array(y, pa.int8()),
        }
    )
    parquet.write_table(table, tmp_path / "rows.parquet")
    out = tmp_path / "kept.parquet"
    sphere_and_slab(tmp_path / "rows.parquet", "--drop", "when", "-o", out)
    kept = parquet.read_table(out)
    assert kept.schema.types == table.schema.types
    times = np.array(kept["when"].cast(pa.int64()).to_pylist())
    both = (SphereFilter(70.0) & SlabFilter(70.0)).fit(
        np.column_stack([X[:, 0].astype(np.float32), X[:, 1]]), y
    )
    assert times.tolist() == np.flatnonzero(both.inlier_mask_).tolist()


def test_npz_keeps_names_and_types(tmp_path):
    X, y = rows()
    np.savez(tmp_path / "r.npz", X_train=X, y_train=y.astype(np.int8), other=np.eye(2))
    kept, rejected = tmp_path / "kept.npz", tmp_path / "rejected.npz"
    sphere_and_slab(tmp_path / "r.npz", "-o", kept, "-r", rejected)
    mask = kept_mask()
    with np.load(kept) as out:
        np.testing.assert_array_equal(out["X_train"], X[mask])
        assert out["y_train"].dtype == np.int8
        assert set(out.files) == {"X_train", "y_train"}
    with np.load(rejected) as out:
        places = out["skpoison_row"] - 1
        np.testing.assert_array_equal(out["X_train"], X[places])
        assert sorted(places) == np.flatnonzero(~mask).tolist()
        assert out["skpoison_reason"].dtype.kind == "U"


def test_sparse_npz_stays_sparse(tmp_path):
    X, y = rows()
    S = sparse.csr_array(np.where(np.abs(X) < 0.7, 0, X))
    sparse.save_npz(tmp_path / "s.npz", S)
    with np.load(tmp_path / "s.npz") as parts:
        np.savez(tmp_path / "r.npz", y=y, **parts)
    sphere_and_slab(tmp_path / "r.npz", "-o", tmp_path / "kept.npz")
    mask = (SphereFilter(70.0) & SlabFilter(70.0)).fit(S, y).inlier_mask_
    with np.load(tmp_path / "kept.npz") as out:
        parts = out["data"], out["indices"], out["indptr"]
        kept = sparse.csr_array(parts, shape=out["shape"])
    np.testing.assert_array_equal(kept.toarray(), S.toarray()[mask])


def test_lines_of_svmlight_come_out_as_they_were_written(tmp_path):
    X, y = rows()
    lines = [
        f"{'+' if k else '-'}1 "
        + " ".join(f"{j + 1}:{v:+.4f}" for j, v in enumerate(x))
        for x, k in zip(X.tolist(), y, strict=True)
    ]
    lines[3] += " # a comment"
    path = tmp_path / "rows.svm"
    path.write_text("# about\n\n" + "\r\n".join(lines) + "\n")
    kept, rejected = tmp_path / "kept.svm", tmp_path / "rejected.svm"
    sphere_and_slab(path, "-o", kept, "-r", rejected)
    mask = kept_mask()
    assert kept.read_text().splitlines() == np.array(lines)[mask].tolist()
    found = rejected.read_text().splitlines()
    parts = [line.split(" # skpoison_row=") for line in found]
    places = [int(part[1].split()[0]) - 1 for part in parts]
    assert sorted(places) == np.flatnonzero(~mask).tolist()
    assert [part[0] for part in parts] == np.array(lines)[places].tolist()
    assert sphere_and_slab(rejected, "--json", "-").exit_code == 0


def test_packed_rows_go_through_pipes(tmp_path):
    content = bz2.compress("\n".join([HEADER, *lines_of_csv()]).encode())
    result = sphere_and_slab("-", "--drop", "id", "-o", "-", input=content)
    lines = np.array(lines_of_csv())
    assert result.stdout.splitlines() == [HEADER, *lines[kept_mask()]]
    assert "rows" in result.stderr


def test_rows_without_header_go_out_without_header(csv, tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text("\n".join(lines_of_csv()) + "\n")
    out = tmp_path / "kept.csv"
    sphere_and_slab(path, "--no-header", "--target", "4", "--drop", "5", "-o", out)
    assert (
        out.read_text().splitlines() == np.array(lines_of_csv())[kept_mask()].tolist()
    )


def test_many_labels_and_one_label(tmp_path):
    X, _ = rows()
    path = tmp_path / "rows.npz"
    np.savez(path, X=X, y=np.arange(N_ROWS) % 4)
    numbers = json.loads(sphere_and_slab(path, "--json", "-").stdout)
    assert [entry["label"] for entry in numbers["classes"]] == ["0", "1", "2", "3"]
    np.savez(path, X=X, y=np.zeros(N_ROWS))
    assert "Warning: SlabFilter needs labels" in sphere_and_slab(path).stderr


def test_formulas_are_escaped_unless_told_otherwise(tmp_path):
    X, y = rows()
    path, out = tmp_path / "rows.csv", tmp_path / "kept.csv"
    lines = [f"{x[0]},{k},=HYPERLINK(0)" for x, k in zip(X.tolist(), y, strict=True)]
    path.write_text("\n".join(["a,y,link", *lines]))
    result = sphere_and_slab(path, "--drop", "link", "-o", out, "--percentile", 100)
    assert f"Warning: {N_ROWS} cells that a spreadsheet would run" in result.stderr
    assert all(s.endswith(",'=HYPERLINK(0)") for s in out.read_text().splitlines()[1:])
    options = ["--keep-formulas", "--force", "--percentile", 100]
    result = sphere_and_slab(path, "--drop", "link", "-o", out, *options)
    assert result.stderr == ""
    assert out.read_text().splitlines()[1:] == lines


def test_control_characters_do_not_reach_the_terminal(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n" + "".join(f"{i * i},\x1b[2J{i % 2}\n" for i in range(9)))
    result = sphere_and_slab(path)
    assert "\x1b" not in result.output
    assert "\\x1b[2J0" in result.output
    path.write_text("\x1b[2Ja,\x1b]0;b\n1,2\n")
    result = sphere_and_slab(path, code=1)
    assert "\x1b" not in result.output


def test_markup_in_labels_is_shown_as_it_is(tmp_path):
    path = tmp_path / "rows[red].csv"
    path.write_text("a,y\n" + "".join(f"{i * i},[bold]{i % 2}\n" for i in range(9)))
    result = sphere_and_slab(path)
    assert "[bold]0" in result.stdout
    assert "rows[red].csv" in result.stdout.replace("\n", "")


def fail(*arguments, **settings):
    result = sphere_and_slab(*arguments, code=1, **settings)
    assert result.stderr.startswith("Error: ")
    return result.stderr


def test_outputs_that_cannot_be(csv, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("precious")
    assert "--force" in fail(csv, "-o", out)
    assert "--force" in fail(csv, "-o", tmp_path / "new.csv", "-r", out)
    assert "--force" in fail(csv, "-o", tmp_path / "new.csv", "--json", out)
    assert not (tmp_path / "new.csv").exists()
    assert out.read_text() == "precious"
    assert "same place" in fail(csv, "-o", "-", "-r", "-")
    assert "same place" in fail(csv, "-o", "-", "--json", "-")
    assert "cannot be written as NPZ" in fail(csv, "-o", tmp_path / "out.npz")
    name = "label,verdict\n0,1\n1,2\n0,9\n1,5\n1,6\n"
    path = tmp_path / "taken.csv"
    path.write_text(name)
    assert "'verdict' already" in fail(path, "-r", tmp_path / "r.csv")


def test_errors_name_the_labels_of_the_file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n1,ham\n2,spam\n2,ham\n1,spam\n")
    assert "['ham', 'spam']" in fail(path)


def test_missing_data_is_a_usage_error():
    assert invoke(code=2).stdout == ""


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_rows_with_gaps_are_written_as_they_came_or_nowhere(tmp_path, suffix):
    rng = np.random.default_rng(0)
    words = "rgb " * 20
    cells = zip(
        rng.normal(size=80), rng.integers(0, 9, 80).tolist(), words, strict=True
    )
    rows = [
        {"a": round(float(x), 3), "b": b, "word": word, "y": i % 2}
        for i, (x, b, word) in enumerate(cells)
    ]
    for i in (3, 40, 41):
        rows[i]["b"] = None
    for row in rows:
        row["word"] = row["word"].strip() or None
    path = tmp_path / f"rows.{suffix}"
    if suffix == "csv":
        cells = [["" if v is None else str(v) for v in row.values()] for row in rows]
        lines = ["a,b,word,y", *map(",".join, cells)]
    else:
        lines = [json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    body = lines[1:] if suffix == "csv" else lines
    gaps = [row["b"] is None or row["word"] is None for row in rows]
    kept, bad, out = (tmp_path / f"{n}.{suffix}" for n in ("kept", "bad", "numbers"))
    common = [path, "--filter", "both", "-o", kept, "-r", bad, "--json", out]
    result = invoke(*common)
    numbers = json.loads(out.read_text())
    assert "23 cells hold no value (word 20, b 3)" in " ".join(result.stdout.split())
    missing = {one["name"]: one["missing"] for one in numbers["reading"]["columns"]}
    assert missing == {"a": 0, "b": 3, "word": 20}
    assert numbers["n_rows"] == 80
    places = [row["row"] - 1 for row in numbers["rows"]]
    written = kept.read_text().splitlines()
    written = written[1:] if suffix == "csv" else written
    assert written == [line for i, line in enumerate(body) if i not in places]
    # Or they are left out altogether; the others keep their numbers in the file.
    result = invoke(*common, "--missing", "drop-rows", "--force")
    numbers = json.loads(out.read_text())
    assert f"{sum(gaps)} rows are left out" in result.stdout
    assert numbers["n_rows"] == 80 - sum(gaps)
    assert numbers["reading"]["n_dropped_rows"] == sum(gaps) == 22
    places = [row["row"] - 1 for row in numbers["rows"]]
    assert places and not any(gaps[place] for place in places)
    written = kept.read_text().splitlines()
    written = written[1:] if suffix == "csv" else written
    wanted = [i for i, gap in enumerate(gaps) if not gap and i not in places]
    assert written == [body[i] for i in wanted]
    message = invoke(*common, "--missing", "error", "--force", code=1).stderr
    assert "'b' in 3 rows" in message and "'word' in 20 rows" in message


def test_rows_are_not_replaced_before_the_rejected_ones_are_written(csv, tmp_path):
    before, rejected = csv.read_text(), tmp_path / "rejected.csv"
    result = sphere_and_slab(csv, "-o", csv, "--force", "-r", rejected, code=2)
    assert "DATA itself" in result.stderr
    assert csv.read_text() == before
    sphere_and_slab(csv, "-o", csv, "--force")
    assert len(csv.read_text().splitlines()) == 1 + kept_mask().sum()


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz", "rows.parquet"])
def test_rows_of_a_file_that_was_replaced_are_not_written(csv, tmp_path, name):
    from skpoison._io import DataError, load

    path, frame = tmp_path / "x" / name, pd.read_csv(csv)
    path.parent.mkdir()
    write = frame.to_parquet if name.endswith("parquet") else frame.to_csv
    write(path, index=False)
    data = load(path)
    assert data.taken(np.arange(3), {}).num_rows == 3
    write(tmp_path / name, index=False)
    os.replace(tmp_path / name, path)
    if data.has_types:  # which are kept as they were read
        assert data.taken(np.arange(3), {}).num_rows == 3
        return
    with pytest.raises(DataError, match="was changed while it was being read"):
        data.taken(np.arange(3), {})


@pytest.mark.parametrize("with_notes", ["rows.csv", "trusted.csv"])
def test_columns_of_one_file_alone_can_be_left_out(tmp_path, with_notes):
    X, y = rows()
    for name in ("rows.csv", "trusted.csv"):
        note = ",note" if name == with_notes else ""
        lines = [
            f"{a},{b},{k}" + (f",{i}" if note else "")
            for i, ((a, b, _), k) in enumerate(zip(X.tolist(), y, strict=True))
        ]
        (tmp_path / name).write_text("\n".join([f"a,b,label{note}", *lines]))
    common = tmp_path / "rows.csv", "--trusted", tmp_path / "trusted.csv"
    result = invoke(*common, "--filter", "sphere", "--drop", "note", "--json", "-")
    assert "not used" not in result.stderr
    result = invoke(*common, "--drop", "note", "--drop", "nope", code=1)
    assert "has the column 'nope' of --drop" in result.stderr.replace("\n", " ")


def test_gaps_in_rows_beside_trusted_ones_are_counted(tmp_path):
    lines = [f"{i % 7},{i % 5}.5,{i % 2}" for i in range(60)]
    trusted, path = tmp_path / "trusted.csv", tmp_path / "rows.csv"
    trusted.write_text("\n".join(["a,b,y", *lines]))
    path.write_text("\n".join(["a,b,y", ",1.5,0", *lines[:20]]))
    common = path, "--trusted", trusted, "--filter", "sphere"
    said = " ".join(invoke(*common).stdout.split())
    assert "rows.csv: 1 cell holds no value, in 1 column; filled in the same" in said
    message = invoke(*common, "--missing", "error", code=1).stderr
    assert "'a' in 1 rows (the first is data row 1)" in message


def test_columns_constant_in_trusted_rows_are_compared_all_the_same(tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"{x:.3f},0,{i % 2}" for i, x in enumerate(rng.normal(size=60))]
    trusted, path = tmp_path / "trusted.csv", tmp_path / "rows.csv"
    trusted.write_text("\n".join(["a,flag,y", *lines]))
    path.write_text("\n".join(["a,flag,y", "0.1,50,0", *lines]))
    invoke(path, "--trusted", trusted, "--filter", "sphere", "--json", "-")
    result = invoke(
        *(path, "--trusted", trusted, "--filter", "sphere"),
        *("--percentile", 100, "--json", "-"),
    )
    rejected = json.loads(result.stdout)["rows"]
    assert [row["row"] for row in rejected] == [1]


@pytest.fixture
def trusted(tmp_path):
    """A trusted table, and a function that writes another one beside it."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    frame = pd.DataFrame(rng.normal(size=(60, 3)) + y[:, None], columns=list("abc"))
    frame = frame.assign(kind=np.where(y, "u", "v"), label=y)
    frame.to_csv(tmp_path / "trusted.csv", index=False)

    def filtered(changed, *options, **settings):
        changed(frame).to_csv(tmp_path / "new.csv", index=False)
        both = tmp_path / "new.csv", "--trusted", tmp_path / "trusted.csv"
        return invoke(*both, "--filter", "sphere", *options, **settings)

    return filtered


def test_all_columns_that_rows_lack_beside_trusted_ones_are_named(trusted):
    result = trusted(lambda t: t[["c", "kind", "label"]], code=1)
    said = " ".join(result.stderr.split())
    assert "new.csv lacks the columns 'a' and 'b' of " in said
    assert "its columns are 'c' and 'kind'" in said
    trusted(lambda t: t[["c", "kind", "label"]], "--drop", "a", "--drop", "b")


def test_columns_and_categories_that_no_trusted_row_has_are_named(trusted):
    result = trusted(lambda t: t.assign(more=1, kind=["w"] * 2 + ["u"] * 58))
    said = " ".join(result.stdout.split())
    assert "Column 'more' of " in said and "and not used" in said
    assert "(kind 2 cells, such as 'w'): they count as none of the known ones" in said


def test_the_order_of_columns_beside_trusted_ones_does_not_matter(trusted):
    same = trusted(lambda t: t, "--json", "-").stdout
    other = trusted(lambda t: t[t.columns[::-1]], "--json", "-").stdout
    assert json.loads(same)["rows"] == json.loads(other)["rows"]
