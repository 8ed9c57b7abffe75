"""``skpoison filter`` on folders and globs, against the same rows in one file."""

import itertools
import json
import os
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet
from test_import import modules_after
from typer.testing import CliRunner

from skpoison._cli import part as part_module
from skpoison._cli import unfinished
from skpoison._cli.app import app
from skpoison._cli.kinds import IN_PASSES
from skpoison._dask._cluster import ANY_PORT
from skpoison._io.parts import Part, find_parts
from skpoison._io.parts_sample import sample_of
from skpoison._io.read import Options

N_FILES, N_ROWS = 4, 50
ADDED = ["skpoison_row", "skpoison_suspicion", "skpoison_reason"]


def invoke(*arguments, code=0, command="filter"):
    result = CliRunner().invoke(app, [command, *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def frame(seed, n_rows=N_ROWS, **columns):
    """Rows of two classes; columns of words and of dates make encoding matter."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n_rows)
    X = np.round(rng.normal(size=(n_rows, 3)) + 3 * label[:, None], 3)
    table = pd.DataFrame(X, columns=["a", "b", "c"])
    table["b"] *= 1000.0
    table["kind"] = rng.choice(["red", "green", "blue"], n_rows)
    return table.assign(label=np.where(label, "spam", "ham"), **columns)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    return tmp_path


def write(frames, suffix=".csv", root="data"):
    for name, table in frames.items():
        path = Path(root, name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix.startswith(".csv"):
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path, index=False)


def write_one(frames, name):
    """Write the rows of all files to one."""
    table = pd.concat(frames.values())
    if name.endswith(".parquet"):
        table.to_parquet(name, index=False)
    else:
        table.to_csv(name, index=False)


def frames(n_files=N_FILES):
    return {str(i): frame(i) for i in range(n_files)}


def read(path, files, suffix):
    reader = pd.read_parquet if suffix == ".parquet" else pd.read_csv
    return pd.concat([reader(Path(path, file + suffix)) for file in files])


def assert_same_rows(found, expected):
    columns = [name for name in expected.columns if name not in ADDED[:1]]
    pd.testing.assert_frame_equal(
        found[columns].reset_index(drop=True),
        expected[columns].reset_index(drop=True),
        rtol=1e-6,
        check_dtype=False,
    )


def by_row(table):
    return table.sort_values(["a", "b", "c"])


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        *itertools.product([".csv", ".csv.gz", ".parquet"], ["both", "sphere"]),
        (".csv", "mahalanobis"),
        (".parquet", "spectral"),
    ],
)
def test_files_give_the_rows_that_one_file_gives(folder, suffix, kind):
    end = suffix if suffix == ".parquet" else ".csv"
    write(frames(), suffix)
    write_one(frames(), f"one{end}")
    arguments = ["--filter", kind, "--percentile", "80"]
    one = [f"one{end}", "-o", f"kept{end}", "-r", f"rejected{end}", "--json", "1.json"]
    invoke(*one, *arguments)
    result = invoke(
        "data", "-o", "kept", "-r", "rejected", "--json", "n.json", *arguments
    )
    assert f"written to {N_FILES} files in kept" in result.stdout
    reader = pd.read_parquet if suffix == ".parquet" else pd.read_csv
    kept = read("kept", frames(), suffix)
    assert_same_rows(kept, reader(f"kept{end}"))
    rejected = read("rejected", frames(), suffix)
    expected = reader(f"rejected{end}")
    assert_same_rows(by_row(rejected), by_row(expected))
    for name, table in frames().items():
        own = read("rejected", [name], suffix)
        same = table.iloc[own["skpoison_row"] - 1][["a", "b", "c"]]
        np.testing.assert_allclose(own[["a", "b", "c"]], same)
        assert own["skpoison_suspicion"].is_monotonic_decreasing
    many, single = (json.loads(Path(f"{n}.json").read_text()) for n in ("n", "1"))
    assert many["classes"] == single["classes"] and many["n_kept"] == single["n_kept"]
    assert [one["n_rows"] for one in many["files"]] == [N_ROWS] * N_FILES


@pytest.mark.parametrize(
    "options",
    [
        ["--missing", "indicator"],
        ["--missing", "drop-rows"],
        ["--categorical", "c", "--drop", "b"],
        ["--scale", "maxabs"],
        ["--text-column", "kind"],
    ],
)
def test_columns_are_read_as_in_one_file(folder, options):
    tables = frames()
    tables["2"].loc[3:9, "a"] = np.nan
    write(tables)
    write_one(tables, "one.csv")
    arguments = [*options, "--filter", "both", "--percentile", "80"]
    invoke("one.csv", "-o", "kept.csv", *arguments)
    invoke("data/*.csv", "-o", "kept", *arguments)
    assert_same_rows(read("kept", tables, ".csv"), pd.read_csv("kept.csv"))


@pytest.mark.parametrize(
    "kind", ["both", "mahalanobis", "near-copies", "loss", "spectral"]
)
def test_filters_of_trusted_rows_judge_files_one_by_one(folder, kind):
    write(frames())
    write_one(frames(), "one.csv")
    frame(9, 100).to_csv("trusted.csv", index=False)
    arguments = ["--filter", kind, "--trusted", "trusted.csv"]
    invoke("one.csv", "-r", "rejected.csv", *arguments)
    invoke("data", "-r", "rejected", *arguments)
    found = by_row(read("rejected", frames(), ".csv"))
    assert_same_rows(found, by_row(pd.read_csv("rejected.csv")))


def test_the_filter_of_a_folder_finds_its_limits_in_the_data(folder):
    tables = frames()
    tables["1"].loc[7, "a"] = 90.0
    write(tables)
    invoke("data", "-r", "rejected", "--json", "n.json")
    settings = json.loads(Path("n.json").read_text())["settings"]
    assert settings == {"filter": "both", "percentile": "auto", "trusted": None}
    rejected = read("rejected", tables, ".csv")
    assert rejected["a"].tolist() == [90.0] and rejected["skpoison_row"].tolist() == [8]


def test_empty_files_and_files_of_one_class(folder):
    tables = {"0": frame(0)[:0], "2": frame(2).assign(label="ham"), "3": frame(3)}
    write(tables)
    write_one(tables, "one.csv")
    Path("data/1.csv").touch()
    invoke("data", "-o", "kept", "-r", "rejected", "--percentile", "80")
    invoke("one.csv", "-o", "kept.csv", "--filter", "both", "--percentile", "80")
    assert Path("kept/1.csv").read_bytes() == b""
    header = "a,b,c,kind,label"
    assert Path("kept/0.csv").read_text().splitlines() == [header]
    first, *rows = Path("rejected/0.csv").read_text().splitlines()
    assert first.startswith(f"{header},skpoison_row") and not rows
    assert_same_rows(read("kept", tables, ".csv"), pd.read_csv("kept.csv"))


def test_rejected_rows_have_the_same_types_in_all_files(folder):
    tables = {"0": frame(0)[:0], "1": frame(1), "2": frame(2)}
    write(tables, ".parquet")
    invoke("data", "-r", "rejected", "--filter", "both")
    types = [parquet.read_schema(f"rejected/{i}.parquet") for i in (0, 1)]
    assert types[0].field("skpoison_reason").type == pa.string()
    assert types[0].field("skpoison_row").type == types[1].field("skpoison_row").type


def test_no_rows_at_all_are_an_error(folder):
    Path("data/0.csv").touch()
    Path("data/1.csv").write_text("a,label\n")
    assert "have no rows" in invoke("data", code=1).stderr


def test_folders_in_folders_keep_their_places(folder):
    tables = {"2024/a": frame(0), "2024/b": frame(1), "2025/a": frame(2)}
    write(tables, ".parquet")
    Path("data/README.txt").write_text("about")
    Path("data/_SUCCESS").touch()
    Path("data/.hidden.parquet").touch()
    result = invoke("data", "-o", "kept")
    assert "1 other file in data left out: 'data/README.txt'" in result.stdout
    places = sorted(path.as_posix() for path in Path("kept").rglob("*.parquet"))
    assert places == [f"kept/{name}.parquet" for name in tables]
    assert len(find_parts("data/2024/*").files) == 2
    assert find_parts("data/202*").files == find_parts("data/*/*.parquet").files


@pytest.mark.parametrize(
    ("change", "suffix", "message"),
    [
        (lambda t: t.drop(columns="b"), ".csv", "data/3.csv lacks 'b'"),
        (lambda t: t.assign(d=1), ".parquet", "data/3.parquet has 'd' besides"),
        (
            lambda t: t.assign(c="word"),
            ".parquet",
            "'c' holds .*string in data/3.parquet, but double in data/0.parquet",
        ),
        (lambda t: t.assign(c="word"), ".csv", "words .*data/3.csv, but double in"),
        (lambda t: t.assign(label=None), ".csv", "label.*data row 1 of data/3.csv"),
    ],
)
def test_files_that_differ_are_refused_and_named(folder, change, suffix, message):
    tables = frames()
    tables["3"] = change(tables["3"])
    write(tables, suffix)
    result = invoke("data", "-o", "kept", code=1)
    assert re.search(message, result.stderr.replace("\n", " ")), result.stderr
    assert not Path("kept/0.csv").exists()


@pytest.mark.parametrize("is_sampled", [True, False])
def test_words_among_the_numbers_of_one_file_are_refused(
    folder, is_sampled, monkeypatch
):
    tables = frames(3)
    tables["1"]["a"] = tables["1"]["a"].astype(str)
    tables["1"].loc[7, "a"] = "hello"
    write(tables)
    if not is_sampled:  # the first and the last file are
        monkeypatch.setattr("skpoison._io.parts_sample.MOST_FILES", 2)
    output = " ".join(invoke("data", "-o", "kept", code=1).output.split())
    assert re.search(r"Column 'a' holds words such as 'hello' in \S*1.csv", output)
    assert "data row 8" in output
    tables["1"].loc[7, "a"] = ""  # a value that is missing
    write(tables)
    invoke("data", "-o", "kept")


def test_text_columns_may_be_dictionaries_in_some_files(folder):
    tables = frames(3)
    write(tables, ".parquet")
    invoke("data", "-o", "plain")
    tables["1"]["kind"] = tables["1"]["kind"].astype("category")
    write(tables, ".parquet")
    assert pa.types.is_dictionary(parquet.read_schema("data/1.parquet").field(3).type)
    invoke("data", "-o", "kept")
    found, expected = (read(path, tables, ".parquet") for path in ("kept", "plain"))
    assert_same_rows(found.astype({"kind": str}), expected.astype({"kind": str}))


def test_a_scheduler_that_does_not_answer_is_told_of(folder, monkeypatch):
    monkeypatch.setattr("skpoison._dask._cluster.PATIENCE", 0.5)
    write(frames(2))
    address = "tcp://127.0.0.1:1"  # where nobody listens
    result = invoke("data", "-o", "kept", "--scheduler", address, code=1)
    assert f"No Dask scheduler answers at {address}" in " ".join(result.output.split())


def test_a_file_that_cannot_be_read_is_named(folder):
    write(frames(), ".parquet")
    whole = Path("data/2.parquet").read_bytes()
    Path("data/2.parquet").write_bytes(whole[:200] + bytes(100) + whole[300:])
    assert "data/2.parquet" in invoke("data", "-o", "kept", code=1).stderr
    Path("data/2.parquet").write_bytes(whole[:-50])
    assert "data/2.parquet cannot be read" in invoke("data", code=1).stderr


def test_files_of_several_formats_or_of_others_are_refused(folder):
    write(frames())
    write({"x": frame(0)}, ".parquet")
    stderr = invoke("data", code=1).stderr
    assert "'data/0.csv' is CSV and 'data/x.parquet' is PARQUET" in stderr
    Path("rows.jsonl").write_text('{"a": 1, "label": 0}')
    assert "rows.jsonl' is JSONL" in invoke("*.jsonl", code=1).stderr
    assert "no CSV, TSV or Parquet files" in invoke("x/*.csv", code=1).stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--filter", "auto"], "auto needs all rows in memory"),
        (["--filter", "cross-fit", "--trusted", "x"], "cross-fit needs all rows"),
        (["--filter", "loss"], "on the rows of --trusted FILE"),
        (["--by", "kind"], "'--by': needs all rows"),
        (["--verdicts", "v.csv"], "'--verdicts': needs"),
        (["--plot", "p.png"], "'--plot': needs"),
        (["--sarif", "s.json"], "'--sarif': needs"),
        (["-o", "-"], "name a folder"),
        (["--memory-limit", "1GB"], "needs --workers"),
        (["--workers", "1", "--memory-limit", "big"], "'big' is no size"),
        (["--workers", "1", "--scheduler", "tcp://x:1"], "not both|one of the two"),
        (["--fail-on", "label>1"], "counts no 'label'"),
    ],
)
def test_options_that_do_not_go_with_many_files(folder, options, message):
    write(frames())
    for name in ("x", "v.csv"):  # which are looked for first
        Path(name).touch()
    result = invoke("data", *options, code=2)
    words = " ".join(result.stderr.replace("│", " ").split())
    assert re.search(message, words), words


def test_options_of_many_files_do_not_go_with_one(folder):
    write_one(frames(), "one.csv")
    assert "'--workers'" in invoke("one.csv", "--workers", "1", code=2).stderr


@pytest.mark.parametrize("where", ["data", "data/out", ".", "other"])
def test_nothing_is_written_over_what_is_read(folder, where):
    write(frames())
    before = Path("data/0.csv").read_text()
    Path("other").mkdir()
    Path("other/notes.csv").write_text("mine")
    stderr = invoke("data", "-o", where, "--force", code=1).stderr
    assert "cannot be written to" in stderr or "'notes.csv'" in stderr
    assert Path("data/0.csv").read_text() == before
    assert Path("other/notes.csv").read_text() == "mine"
    assert not Path(where, "_skpoison").exists()


def test_existing_files_are_replaced_on_request_only(folder):
    write(frames())
    invoke("data", "-o", "kept", "--percentile", "80")
    before = Path("kept/0.csv").read_text()
    assert "--force" in invoke("data", "-o", "kept", code=1).stderr
    assert Path("kept/0.csv").read_text() == before
    invoke("data", "-o", "kept", "--force", "--percentile", "50")
    assert Path("kept/0.csv").read_text() != before
    assert "the same folder" in invoke("data", "-o", "x", "-r", "x", code=1).stderr


def interrupt_at(monkeypatch, place, error):
    """Let a file not be written, as if the run were interrupted there."""
    write = part_module._write

    def interrupted(writing, part, *args):
        if part.place == place:
            raise error
        return write(writing, part, *args)

    monkeypatch.setattr(part_module, "_write", interrupted)


def files_of(*folders):
    return {
        path.as_posix(): path.read_bytes()
        for name in folders
        for path in Path(name).rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("the disk is full")])
def test_an_interrupted_run_goes_on_from_there(folder, monkeypatch, error):
    write(frames())
    arguments = ["--percentile", "80", "--filter", "both", "--json", "n.json"]
    arguments += ["data", "-o", "kept", "-r", "rejected"]
    invoke(*arguments)
    wanted, numbers = files_of("kept", "rejected"), Path("n.json").read_text()
    for name in [*wanted, "n.json"]:
        Path(name).unlink()
    with monkeypatch.context() as patch:
        interrupt_at(patch, "2.csv", error)
        code = 130 if error is KeyboardInterrupt else 1
        result = invoke(*arguments, code=code)
    if code == 130:
        assert "the same command goes on from there" in result.stderr
    else:
        assert "Error: data/2.csv: the disk is full" in result.stderr
    there = {name for name in files_of("kept", "rejected") if "_skpoison" not in name}
    half = {f"{name}/{i}.csv" for name in ("kept", "rejected") for i in (0, 1)}
    assert there == half
    # As a process leaves it that is killed while it writes.
    Path("kept/.2.csv.ab12_xyz").write_text("half")
    seen = []
    monkeypatch.setattr(part_module, "look", lambda *args: pytest.fail("fitted again"))
    judge = part_module._judged
    monkeypatch.setattr(
        part_module, "_judged", lambda *args: (seen.append(args[4]), judge(*args))[1]
    )
    result = invoke(*arguments)
    assert "run that was interrupted: 2 of 4 files" in result.stdout
    assert seen == [2, 3]
    assert files_of("kept", "rejected") == wanted
    assert Path("n.json").read_text() == numbers


def test_a_run_that_found_nothing_is_not_in_the_way(folder):
    write(frames())
    whole = Path("data/1.csv").read_text()
    Path("data/1.csv").write_text(whole + "1,2,3,red,\n")  # no label
    arguments = ["data", "-o", "kept", "--filter", "both", "--percentile", "80"]
    assert "data/1.csv" in invoke(*arguments, code=1).stderr
    Path("data/1.csv").write_text(whole)
    invoke(*arguments)
    assert sorted(os.listdir("kept")) == [f"{i}.csv" for i in range(N_FILES)]


@pytest.mark.parametrize("what", ["options", "files", "damage"])
def test_only_the_same_run_goes_on(folder, monkeypatch, what):
    write(frames())
    arguments = ["data", "-o", "kept", "--filter", "both"]
    with monkeypatch.context() as patch:
        interrupt_at(patch, "2.csv", KeyboardInterrupt)
        invoke(*arguments, code=130)
    if what == "options":
        arguments += ["--percentile", "90"]
    elif what == "files":
        frame(7).to_csv("data/0.csv", index=False)
    else:  # a file that was changed after it was written is written again
        before = Path("kept/0.csv").read_text()
        Path("kept/0.csv").write_text("half of a line")
        assert "interrupted: 1 of 4 files" in invoke(*arguments).stdout
        assert Path("kept/0.csv").read_text() == before
        return
    assert "unfinished run with other options" in invoke(*arguments, code=1).stderr
    invoke(*arguments, "--force")
    assert sorted(files_of("kept")) == [f"kept/{i}.csv" for i in range(4)]


@pytest.mark.filterwarnings("ignore:The subspace has all 3 dimensions")
def test_a_stored_filter_is_the_filter(folder):
    from skpoison._cli.judgement import build_filter

    table = frame(0, 300)
    X, y = table[["a", "b", "c"]].to_numpy(), table["label"].to_numpy(str)
    run = unfinished.Run(["kept"], find_parts_of_one(), {})
    for kind in IN_PASSES:
        filter_ = build_filter(kind, 80)
        assert not run.stored_filter(filter_)
        fitted = False
        while not fitted:
            fitted = filter_.partial_fit(X, y).end_pass()
        run.store_filter(filter_)
        again = build_filter(kind, 80)
        assert run.stored_filter(again)
        np.testing.assert_array_equal(
            again.decision_function(X, y), filter_.decision_function(X, y)
        )
        assert vars(again).keys() == vars(filter_).keys()
        run.end()


def find_parts_of_one():
    write({"0": frame(0)})
    return find_parts("data")


def test_limits_stop_a_pipeline(folder):
    write(frames())
    arguments = ["data", "-o", "kept", "--percentile", "80"]
    result = invoke(*arguments, "--fail-on", "sphere[spam]>5", code=3)
    assert "Limit exceeded" in result.stderr
    assert sorted(os.listdir("kept")) == [f"{i}.csv" for i in range(4)]
    stderr = invoke("data", "--fail-on", "sphere[x]>5", code=2).stderr
    assert "no rows labeled 'x'" in " ".join(stderr.replace("│", " ").split())


def test_urls_are_read_and_written(folder):
    fsspec = pytest.importorskip("fsspec")
    write(frames())
    memory = fsspec.filesystem("memory")
    for i in range(N_FILES):
        memory.pipe_file(f"/rows/{i}.csv", Path(f"data/{i}.csv").read_bytes())
    arguments = ["--percentile", "80"]
    out = ["-o", "memory://kept", "-r", "memory://rejected"]
    try:
        invoke("memory://rows", *out, *arguments)
        invoke("data", "-o", "kept", "-r", "rejected", *arguments)
        places = memory.find("/kept") + memory.find("/rejected")
        found = {place[1:]: memory.cat_file(place) for place in places}
        assert found == files_of("kept", "rejected")
        assert "--force" in invoke("memory://rows/*.csv", *out, code=1).stderr
        # One file elsewhere is a file like any other.
        invoke("memory://rows/0.csv", "-o", "memory://one.csv", "--filter", "both")
        invoke("data/0.csv", "-o", "one.csv", "--filter", "both")
        assert memory.cat_file("/one.csv") == Path("one.csv").read_bytes()
        assert "There is no file" in invoke("memory://rows/9.csv", code=1).stderr
        stderr = invoke("nowhere://rows", code=1).stderr
        assert "nowhere://rows cannot be opened" in stderr
    finally:
        memory.rm("/", recursive=True)


def test_dask_is_not_loaded_for_folders(folder):
    write({"0": frame(0)})
    program = "from skpoison._cli.app import app; app(['filter', 'data', '-q'], "
    loaded = modules_after(f"{program} standalone_mode=False)")
    assert not {"dask", "distributed", "fsspec"} & set(loaded)


def test_a_sample_is_drawn_of_all_files(folder):
    write(frames(), ".parquet")
    parts = find_parts("data")
    data, note = sample_of(parts, Options(sample=60))
    assert len(data) == 60 and note == "60 of 200 rows"
    of_files = pd.concat(frames().values(), keys=range(N_FILES)).reset_index()
    found = data.table.to_pandas().merge(of_files, on=["a", "b", "c"])
    assert len(found) == 60 and found["level_0"].nunique() == N_FILES
    assert found["level_1"].diff().nunique() > 5  # no pattern of rows
    data, note = sample_of(parts, Options(sample=200))
    assert len(data) == 200 and note == ""


def test_audit_says_that_it_uses_a_sample(folder):
    write(frames())
    audit = ["data/*.csv", "--percentiles", "80", "-e", "0.1", "--folds", "2", "-q"]
    audit += ["--moving-seconds", "0", "--filter", "loss", "--json", "a.json"]
    result = invoke(*audit, "--sample", "100", command="audit")
    assert "a sample, 100 of 200 rows" in result.stderr
    assert json.loads(Path("a.json").read_text())["data"]["n_rows"] == 100
    result = invoke("data", "--sarif", "s.json", command="audit", code=1)
    assert "name rows of one file" in result.stderr


# What a bound needs all rows in memory for.
@pytest.mark.parametrize("what", ["domain", "classes"])
def test_certify_says_where_it_uses_a_sample(folder, what):
    tables = {name: table[["a", "c", "label"]] for name, table in frames().items()}
    for table in tables.values():
        table[["a", "c"]] = table[["a", "c"]].abs()
        if what == "classes":
            table.loc[::4, "label"] = "eggs"
    write(tables)
    certify = ["data", "-e", "0.1", "--json", "c.json", "--sample", "120"]
    certify += ["--domain", "nonnegative"] if what == "domain" else []
    result = invoke(*certify, command="certify")
    assert "Warning: results are for a sample, 120 of 200 rows in data" in result.stderr
    data = json.loads(Path("c.json").read_text())["data"]
    assert data["source"] == "data (a sample: 120 of 200 rows)"
    assert data["n_train"] + data["n_test"] == 120
    result = invoke(*certify, "--force", "--workers", "1", command="certify", code=2)
    assert "is for bounds over the rows of many files" in " ".join(
        result.stderr.replace("│", " ").split()
    )


def test_all_rows_are_no_sample(folder):
    write(frames())
    certify = ["-e", "0.1", "--json"]
    result = invoke("data", *certify, "c.json", command="certify")
    assert "sample" not in result.stderr + result.stdout
    write_one(frames(), "one.csv")
    many = json.loads(Path("c.json").read_text())["bounds"]
    invoke("one.csv", *certify, "1.json", command="certify")
    single = json.loads(Path("1.json").read_text())["bounds"]
    assert many[0]["upper_bound"] == pytest.approx(single[0]["upper_bound"])
    refused = invoke(
        "one.csv", *certify, "2.json", "--workers", "1", code=2, command="certify"
    )
    assert "'--workers'" in refused.stderr


LEARNERS = {
    "svm": [],
    "ball": ["--rho", "1"],
    "logistic": ["--learner", "logistic"],
    "one class of three": ["--positive", "spam"],
    "numbers": ["--target", "c", "--drop", "label", "--learner", "ridge"],
}


@pytest.mark.parametrize("name", LEARNERS)
def test_bounds_are_over_all_rows_of_all_files(folder, name):
    tables = {str(i): frame(i, 100) for i in range(4)}
    tables["1"]["label"] = "spam"  # a file may have one class
    if name == "one class of three":
        tables["2"].loc[::7, "label"] = "eggs"
    tables["4"] = tables["0"][:0]  # or no rows
    write(tables)
    write_one(tables, "one.csv")
    # Both read columns as these rows say.
    arguments = ["-e", "0.05", "--scale", "none", *LEARNERS[name], "--tol", "1e-3"]
    result = invoke(
        *("data", *arguments, "--sample", "250", "--json", "n.json", "--plot", "n.png"),
        command="certify",
    )
    said = " ".join(result.stdout.split())
    assert "Bounds are over all rows of 5 files" in said
    assert "decided by 250 of 400 rows (--sample)" in said
    one = ["one.csv", *arguments, "--test-share", "0", "--json", "1.json"]
    invoke(*one, command="certify")
    many, single = (json.loads(Path(f"{n}.json").read_text()) for n in ("n", "1"))
    assert many["data"] | {"source": ""} == single["data"] | {"source": ""}
    for name in ("sphere_radii", "slab_half_widths", "n_kept", "kept_share"):
        pair = many["defense"][name], single["defense"][name]
        assert pair[1] is None or pair[0] == pytest.approx(pair[1], rel=1e-6), name
    (found,), (expected,) = many["bounds"], single["bounds"]
    assert found["lower_bound"] <= expected["upper_bound"] * (1 + 1e-9)
    assert expected["lower_bound"] <= found["upper_bound"] * (1 + 1e-9)
    assert found["n_allowed"] == expected["n_allowed"] == 20
    for rows in ("all_rows", "kept_rows"):
        pair = [one["no_attack"][rows]["train_loss"] for one in (many, single)]
        assert pair[0] == pytest.approx(pair[1], rel=3e-3, abs=1e-5)
    assert Path("n.png").exists()


def test_test_rows_of_bounds_over_all_files_come_from_a_file(folder):
    write(frames())
    frame(9).to_csv("test.csv", index=False)
    options = ["-e", "0.05", "--sample", "100", "--json", "c.json"]
    invoke("data", *options, "--test", "test.csv", command="certify")
    numbers = json.loads(Path("c.json").read_text())
    assert numbers["data"]["n_train"] == 200 and numbers["data"]["n_test"] == N_ROWS
    assert numbers["bounds"][0]["attack_test_error"] is not None


def test_what_bounds_over_all_files_refuse(folder):
    tables = frames()
    write(tables)
    options = ["data", "-e", "0.05", "--sample", "100"]
    result = invoke(*options, "--certificate", "p.npz", command="certify", code=2)
    assert "number for each row" in " ".join(result.stderr.replace("│", " ").split())
    tables["3"].loc[[30], "label"] = "eggs"  # which is not in the sample
    write(tables)
    result = invoke("data", "-e", "0.05", "--sample", "30", command="certify", code=1)
    assert "data/3.csv" in result.stderr and "'eggs'" in result.stderr
    assert "Choose the positive" in " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def scheduler():
    distributed, dask = map(pytest.importorskip, ("distributed", "dask"))
    quiet = {**ANY_PORT, "silence_logs": 60}
    with (
        # Those that have died are given up where they start too slowly.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 day"}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **quiet) as cluster,
    ):
        yield cluster.scheduler_address


def test_a_cluster_bounds_all_files(folder, scheduler):
    write(frames())
    certify = ["data", "-e", "0.05", "--sample", "100", "--json"]
    invoke(*certify, "1.json", command="certify")
    invoke(*certify, "n.json", "--scheduler", scheduler, command="certify")
    here, there = (json.loads(Path(f"{n}.json").read_text()) for n in ("1", "n"))
    assert here["data"].pop("source") == "data"
    assert there["data"].pop("source") == str(folder / "data")
    assert here == there


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_workers_change_nothing(folder, scheduler, monkeypatch):
    from skpoison._cli import parts

    tables = frames(6)
    write(tables)
    arguments = ["data", "--percentile", "80", "-o"]
    invoke(*arguments, "alone", "-r", "alone_rejected")
    here, marker, judge = os.getpid(), folder / "killed", part_module.judge_part

    def fragile(shared, i, part):
        found = judge(shared, i, part)
        if os.getpid() != here and i == 2 and not marker.exists():
            marker.touch()  # The file is written, but nobody knows.
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    monkeypatch.setattr(parts, "judge_part", fragile)
    invoke(*arguments, "kept", "-r", "rejected", "--scheduler", scheduler)
    assert marker.exists()
    for alone, found in (("alone", "kept"), ("alone_rejected", "rejected")):
        wanted = [content for _, content in sorted(files_of(alone).items())]
        assert [content for _, content in sorted(files_of(found).items())] == wanted


def test_workers_are_started_and_errors_come_back(folder, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("skpoison._io.parts_sample.MOST_FILES", 2)  # the ends
    tables = frames()
    tables["2"].loc[5, "label"] = None
    write(tables, ".parquet")
    arguments = ["data", "--workers", "1", "--memory-limit", "1GB", "-o", "kept"]
    result = invoke(*arguments, "--sample", "10", code=1)
    assert "decided by 10 rows of 2 of 4 files" in result.stdout
    stderr = result.stderr
    assert "no label in data row 6 of data/2.parquet" in stderr


def test_a_file_that_kills_all_workers_is_named():
    scheduler = pytest.importorskip("distributed.scheduler")
    from skpoison._dask._cluster import _result_of

    class Future:
        def result(self):
            raise scheduler.KilledWorker("look", None, 4)

    with pytest.raises(ValueError, match=r"^data/7.csv: workers that had it died"):
        _result_of(Future(), Part("data/7.csv", "7.csv", 9, ""))
