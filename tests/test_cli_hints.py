"""What a person who stumbles over the command line is told, and the way on."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from sklearn.datasets import make_blobs
from typer.testing import CliRunner

from skpoison import SlabFilter, SphereFilter
from skpoison._cli.app import app
from skpoison._cli.session import Session
from skpoison._io.labels import Labels

FILTER = ("filter", "--filter", "both")
N_ROWS = 60


def invoke(*arguments, code=0, **settings):
    result = CliRunner().invoke(app, list(map(str, arguments)), **settings)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def fail(*arguments, **settings):
    result = invoke(*arguments, code=1, **settings)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def rows():
    X, y = make_blobs(N_ROWS, centers=[[-1, 0], [1, 0]], random_state=0)
    return np.round(X, 3), y


def german(number):
    return f"{number:.3f}".replace(".", ",")


def written(path, header, lines):
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def csv(tmp_path):
    lines = [f"{a},{b},{k}" for (a, b), k in zip(*rows(), strict=True)]
    return written(tmp_path / "rows.csv", "a,b,y", lines)


@pytest.fixture
def german_csv(tmp_path):
    lines = [
        f"{german(a)};{german(b)};{'ja' if k else 'nein'}"
        for (a, b), k in zip(*rows(), strict=True)
    ]
    return written(tmp_path / "zeilen.csv", "größe;gewicht;kauf", lines)


def test_decimal_commas_are_asked_for_and_read(german_csv, csv):
    assert "--decimal-comma" in fail("certify", german_csv, "--target", "kauf")
    options = ["--json", "-", "-e", 0.1]
    found = invoke(
        "certify", german_csv, "--target", "kauf", "--decimal-comma", *options
    )
    same = invoke("certify", csv, "--positive", 1, *options)
    found, same = (json.loads(result.stdout) for result in (found, same))
    # "ja" comes before "nein".
    assert found["data"]["positive"] == "nein"
    again = invoke("certify", csv, "--positive", 0, *options)
    assert found["bounds"] == json.loads(again.stdout)["bounds"]
    assert found["data"]["n_features"] == same["data"]["n_features"] == 2


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_rows_with_decimal_commas_come_out_with_them(german_csv, tmp_path, suffix):
    if suffix == "tsv":
        text = german_csv.read_text().replace(";", "\t")
        german_csv = german_csv.with_suffix(".tsv")
        german_csv.write_text(text)
    kept, out = tmp_path / "kept.csv", tmp_path / "out.csv"
    options = ["--target", "kauf", "--decimal-comma"]
    invoke(*FILTER, german_csv, *options, "-o", kept, "-r", out)
    X, y = rows()
    both = (SphereFilter(70.0) & SlabFilter(70.0)).fit(X, y)
    lines = german_csv.read_text().replace("\t", ";").splitlines()
    mask = both.inlier_mask_
    assert kept.read_text().splitlines() == [lines[0], *np.array(lines[1:])[mask]]
    header, *rejected = out.read_text().splitlines()
    assert header.split(";")[-5:-2] == [
        "skpoison_row",
        "skpoison_suspicion",
        "skpoison_reason",
    ]
    found = [line.split(";")[3:5] for line in rejected]
    assert sorted(int(row) - 1 for row, _ in found) == np.flatnonzero(~mask).tolist()
    suspicion = [float(cell.replace(",", ".")) for _, cell in found]
    assert suspicion == sorted(suspicion, reverse=True)
    assert all("," in cell for _, cell in found)


def test_poison_with_decimal_commas_can_be_read_again(german_csv, tmp_path):
    out = tmp_path / "gift.csv"
    options = ["--target", "kauf", "--decimal-comma"]
    invoke("attack", german_csv, *options, "-e", 0.2, "-o", out)
    assert re.fullmatch(r"-?\d,\d+;-?\d,\d+;(ja|nein)", out.read_text().splitlines()[1])
    result = invoke(
        "filter",
        "--filter",
        "both",
        out,
        *options,
        "--trusted",
        german_csv,
        "--json",
        "-",
    )
    numbers = json.loads(result.stdout)
    assert numbers["n_kept"] == numbers["n_rows"] > 0


def test_decimal_commas_without_header(german_csv):
    lines = german_csv.read_text().splitlines()[1:]
    german_csv.write_text("\n".join(lines))
    options = ["--no-header", "--target", "3", "--decimal-comma", "--json", "-"]
    assert json.loads(invoke(*FILTER, german_csv, *options).stdout)["n_rows"] == N_ROWS
    german_csv.write_text("1,5;2,5;3\n" * 4)
    assert "--no-header" in fail(
        "filter", german_csv, "--decimal-comma", "--target", "3"
    )


@pytest.mark.parametrize("cell", ["1,{:03d}.5", "1'{:03d}.5", "7 {:03d}", "${:03d}"])
def test_numbers_in_disguise_are_read_and_said(tmp_path, cell):
    lines = [f"{cell.format(i)};{i % 2}" for i in range(9)]
    path = written(tmp_path / "rows.csv", "a;y", lines)
    result = invoke("filter", path, "--json", "-")
    (column,) = json.loads(result.stdout)["reading"]["columns"]
    plain = re.sub("[^0-9.]", "", cell.format(0)).lstrip("0") or "0"
    assert column["note"] == f"{cell.format(0)!r} is read as {plain}"
    assert column["option"] == "--categorical a"
    assert "is read as" in result.stderr


def test_decimal_commas_among_thousands_are_asked_for(tmp_path):
    lines = [f"1.{i * i:03d},5;{i % 2}" for i in range(9)]
    path = written(tmp_path / "rows.csv", "a;y", lines)
    assert "such as 1.000,5; say --decimal-comma" in fail("filter", path)
    assert invoke("filter", path, "--decimal-comma", "--filter", "both").stdout


def test_words_with_commas_are_categories_all_the_same(tmp_path):
    lines = [f"{i % 4};{('1,5', 'Ulm, 2')[i % 3 > 0]};{i % 2}" for i in range(30)]
    path = written(tmp_path / "rows.csv", "a;ort;y", lines)
    assert invoke(*FILTER, path).exit_code == 0


def test_other_encodings_are_named(tmp_path):
    path = tmp_path / "rows.csv"
    lines = [f"{i},{('Köln', 'Ulm')[i % 2]},{i % 2}" for i in (1, 4, 2, 8)]
    path.write_bytes("\n".join(["a,ort,y", *lines]).encode("latin-1"))
    assert "save the file as UTF-8" in fail("filter", path)
    assert "it is not UTF-8 text" in fail(
        "filter", path, "--quiet", "--drop", "ort", "-o", "-"
    )


def test_columns_that_number_the_rows_are_left_out_and_written(tmp_path, csv):
    lines = csv.read_text().splitlines()[1:]
    numbered = [f"{i},{line}" for i, line in enumerate(lines, start=1000)]
    path = written(tmp_path / "numbered.csv", "my id,a,b,y", numbered)
    why = "my id left out counts the rows: an identifier --feature 'my id'"
    for command in (("certify",), FILTER):
        result = invoke(*command, path, "--scale", "standard")
        assert why in " ".join(result.stdout.split()) and result.stderr == ""
    assert "my id" not in invoke(*FILTER, path, "--drop", "my id").stdout
    kept = tmp_path / "kept.csv"
    invoke(*FILTER, path, "-o", kept)
    assert set(kept.read_text().splitlines()) < {"my id,a,b,y", *numbered}
    # They do so in whatever order.
    for rows in (numbered[::-1], [*numbered[1:], numbered[0]]):
        path = written(tmp_path / "other.csv", "my id,a,b,y", rows)
        assert why in " ".join(invoke(*FILTER, path).stdout.split())
    # Whole numbers of which one occurs twice are features, if they are not called so.
    path = written(tmp_path / "twice.csv", "amount,a,b,y", [*numbered[1:], numbered[1]])
    assert "amount left out" not in " ".join(invoke(*FILTER, path).stdout.split())


def test_header_that_looks_like_a_row_is_doubted(tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text("1.5,2,yes\n2.5,1,no\n")
    assert "--no-header" in fail("filter", path)
    assert "--no-header" not in fail("filter", path, "--no-header")


@pytest.mark.parametrize("command", [["certify", "--pointwise"], ["audit"], FILTER])
def test_targets_that_look_like_quantities_are_doubted(tmp_path, command):
    path = written(tmp_path / "r.csv", "a,y", [f"{i * i},{i / 7}" for i in range(80)])
    message = fail(*command, path)
    assert "80 different numbers in 80 rows" in message and "a quantity" in message
    assert "skpoison filter --filter auto" in message


def test_few_numbers_are_classes(tmp_path):
    def is_quantity(values):
        return Labels.of_array("y", np.array(values)).is_quantity

    assert not is_quantity(np.arange(80) % 3)
    assert not is_quantity(np.arange(2000) % 100)  # of a hundred classes
    assert is_quantity(np.arange(1999) % 100)
    assert not is_quantity(np.arange(50))
    assert is_quantity(np.arange(21) / 2) and not is_quantity(np.arange(20) / 2)
    assert not is_quantity([f"{i / 2}" for i in range(100)])
    assert not is_quantity([True, False] * 50)


def test_other_rows_do_not_change_what_kind_of_target_it_is():
    quantities = Labels.of_array("y", np.arange(1000) % 60)
    assert quantities.matched(Labels.of_array("y", np.arange(2000) % 60)).is_quantity
    classes = Labels.of_array("y", np.arange(2000) % 60)
    assert not classes.matched(Labels.of_array("y", np.arange(3))).is_quantity
    assert not classes.take(np.arange(100)).is_quantity


def test_a_large_batch_is_compared_with_fewer_trusted_quantities(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / "trusted.csv", tmp_path / "new.csv"]
    for path, n_rows in zip(paths, (1000, 1300), strict=True):
        X = rng.normal(size=(n_rows, 2))
        y = np.clip(np.round(30 + 10 * X[:, 0]), 0, 59)
        y[:60] = np.arange(60)
        X[:60, 0] = (y[:60] - 30) / 10
        pd.DataFrame(X).assign(target=y.astype(int)).to_csv(path, index=False)
    result = CliRunner().invoke(
        app, ["filter", str(paths[1]), "--trusted", str(paths[0])]
    )
    assert result.exit_code == 0, result.output
    assert "is taken for a quantity" in " ".join(result.output.split())


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("trusted", [True, False])
def test_filter_compares_quantities_with_regressors(tmp_path, trusted, whole):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = 1000 * X[:, 0] + 5000 + 20 * rng.normal(size=200)
    bad = [3, 70, 150]
    clean = np.delete(np.arange(200), bad)
    y[bad] += 9000
    y = np.rint(y).astype(int) if whole else np.round(y, 2)
    lines = np.array(
        [",".join(map(str, row)) + f",{k}" for row, k in zip(X, y, strict=True)]
    )
    path = written(tmp_path / "r.csv", "a,b,c,price", lines)
    options = ["--target", "price", "--json", "-", "-r", tmp_path / "bad.csv"]
    if trusted:
        options += [
            "--trusted",
            written(tmp_path / "c.csv", "a,b,c,price", lines[clean]),
        ]
    result = invoke("filter", path, *options)
    numbers = json.loads(result.stdout)
    worst = {row["row"] - 1 for row in numbers["rows"][:3]}
    assert worst == set(bad) and numbers["n_rows"] - numbers["n_kept"] < 15
    assert {row["test"] for row in numbers["rows"]} == {"target"}
    (of_all,) = numbers["classes"]
    assert of_all["label"] == "all" and set(of_all["rejected_by"]) == {
        "far",
        "copies",
        "digits",
        "target",
    }
    assert "is taken for a quantity" in " ".join(result.stderr.split())
    if not trusted:
        guess = [float(row["suggested_label"]) for row in numbers["rows"][:3]]
        places = [row["row"] - 1 for row in numbers["rows"][:3]]
        assert guess == pytest.approx(y[places] - 9000, abs=900)


@pytest.mark.parametrize("kind", ["auto", "cross-fit"])
def test_a_target_that_names_the_rows_is_refused_by_its_name(tmp_path, kind):
    lines = [f"{i % 7},{i % 5},C{i:03},{'uv'[i % 2]}" for i in range(60)]
    path = written(tmp_path / "r.csv", "a,b,customer,class", lines)
    command = ["filter", path, "--filter", kind, "--target", "customer"]
    error = invoke(*command, code=1).stderr
    assert "The target 'customer' has 60 different labels in 60 rows" in error
    assert "Choose another --target" in error and "estimator" not in error
    lines = [line.replace("C0", "C1") for line in lines[:20]]
    path = written(tmp_path / "few.csv", "a,b,customer,class", lines)
    assert "different labels" not in invoke(*command[:1], path, *command[2:]).stderr


def test_a_file_of_one_label_is_warned_of(tmp_path, csv):
    lines = [line[:-1] + "x" for line in csv.read_text().splitlines()[1:]]
    path = written(tmp_path / "one.csv", "a,b,y", lines)
    for command in (["filter"], FILTER):
        said = invoke(*command, path).stderr
        assert "All rows have the same label, 'x'" in said
        assert "AutoFilter needs" not in said
    assert "at least two" in fail("certify", path)


def test_missing_cells_come_with_a_way_out(tmp_path):
    path = written(tmp_path / "r.csv", "a,b,y", ["1,2,0", "2,,1", "4,5,0", "1,2,1"])
    result = invoke("certify", path, "--test-share", 0)
    assert "1 cell holds no value (b 1)" in result.stdout
    message = fail("certify", path, "--missing", "error")
    assert "'b' in 1 rows (the first is data row 2)" in message
    assert "--missing drop-rows" in message


def test_several_epsilons_in_one_option(csv):
    result = invoke("certify", csv, "-e", "0.1, 0.2", "-e", "0.05", "--json", "-")
    numbers = json.loads(result.stdout)
    assert [row["epsilon"] for row in numbers["bounds"]] == [0.1, 0.2, 0.05]
    assert numbers["settings"]["epsilons"] == [0.1, 0.2, 0.05]


@pytest.mark.parametrize("text", ["10%", "", "0.1,", "0.1;0.2", "a"])
def test_epsilons_that_are_no_numbers_are_quoted(csv, text):
    result = invoke("certify", csv, "-e", text, code=2, env={"COLUMNS": "200"})
    cell = text.split(",")[-1]
    assert f"{cell!r} is not a number" in result.stderr
    assert "0.05,0.1" in result.stderr


def test_file_in_the_place_of_a_command(csv):
    result = invoke(csv, code=2, env={"COLUMNS": "300"})
    assert f"skpoison certify {csv}" in result.stderr
    result = invoke("cretify", code=2)
    assert "is a file" not in result.stderr


def test_filter_says_how_much_is_kept(csv):
    result = invoke(*FILTER, csv, "--percentile", 90)
    X, y = rows()
    kept = (SphereFilter(90.0) & SlabFilter(90.0)).fit(X, y).inlier_mask_.mean()
    assert f"{100 * kept:.1f} % of the rows are kept" in result.stdout


def test_devices_and_pipes_are_written_to_and_never_replaced(csv, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    invoke(
        "filter", "--filter", "both", csv, "-o", pipe, "--json", "/dev/null", "--force"
    )
    out, _ = read.communicate(timeout=60)
    assert out.startswith(b"a,b,y\n")
    assert pipe.is_fifo()
    assert not os.path.isfile("/dev/null")


def test_reader_that_has_had_enough_is_no_error(csv):
    command = [sys.executable, "-m", "skpoison", "filter", csv, "-q", "-o", "-"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=60)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_interrupt_while_the_program_loads_is_said_too(monkeypatch, capsys):
    import builtins

    from skpoison.cli import main

    real = builtins.__import__

    def interrupt(name, *args, **kwargs):
        if name == "rich":
            raise KeyboardInterrupt
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", interrupt)
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_blocks_of_rows_are_put_together_rightly(tmp_path, monkeypatch):
    from skpoison._io import load
    from skpoison._io.encode import Encoding

    monkeypatch.setattr("skpoison._io.encode.BLOCK_ROWS", 7)
    X, y = rows()
    text = io.StringIO()
    np.savetxt(text, np.column_stack([X, y]), delimiter=",", fmt="%.3f")
    path = written(tmp_path / "r.csv", "a,b,y", text.getvalue().splitlines())
    data, chosen = load(path), np.arange(0, N_ROWS, 3)
    matrix = data.encoder(chosen, Encoding()).transform(data, chosen)
    np.testing.assert_array_equal(matrix, X[chosen])


def test_a_share_in_place_of_a_percentage_is_noticed(csv):
    hint = "Warning: --percentile is in percent: 0.7 keeps 0.7 %"
    assert hint in invoke("certify", csv, "--percentile", 0.7).stderr
    assert (
        "0.7 keeps 0.7 % of each class, --percentile 70"
        in invoke(
            "attack", csv, "--percentile", 0.7, "-o", csv.with_name("p.csv")
        ).stderr
    )
    assert "in percent" in invoke("certify", csv, "--percentile", 1).stderr
    assert "in percent" not in invoke("certify", csv, "--percentile", 1.5).stderr


def test_less_than_one_poison_row_is_noticed(csv):
    found = invoke("certify", csv, "-e", "0,0.001,0.1").stdout
    assert "Epsilon 0.001 of 42 rows is less than one row" in " ".join(found.split())
    assert "less than one" not in invoke("certify", csv, "-e", "0,0.1").stdout
    # 1 / 49 of 49 rows is one row, though the product is below 1.
    assert 1 / 49 * 49 < 1
    lines = csv.read_text().splitlines()[:50]
    path = written(csv.with_name("few.csv"), lines[0], lines[1:])
    found = invoke("certify", path, "-e", 1 / 49, "--test-share", 0, "--json", "-")
    assert "less than one" not in found.stderr
    assert json.loads(found.stdout)["bounds"][0]["n_allowed"] == 1


def test_few_steps_for_the_bounds_leave_the_baseline_trained(csv):
    short, full = (
        json.loads(invoke("certify", csv, "--json", "-", *more).stdout)
        for more in (["--max-iter", 1], [])
    )
    assert short["bounds"][0]["n_iter"] == 1
    for rows in ("all_rows", "kept_rows"):
        loss = full["no_attack"][rows]["train_loss"]
        assert abs(short["no_attack"][rows]["train_loss"] - loss) <= 1e-3 * loss
    options = ["--max-iter", 1, "--tol", 1e-6, "--json", "-"]
    short = json.loads(invoke("certify", csv, *options).stdout)
    for rows in ("all_rows", "kept_rows"):
        loss = full["no_attack"][rows]["train_loss"]
        assert 0 <= loss - short["no_attack"][rows]["train_loss"] <= 1e-3 * loss


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("ends_there", [False, True])
def test_an_interrupt_that_somebody_swallows_still_ends_the_command(ends_there, capsys):
    session, reached = Session(), False
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(typer.Exit) as caught, session.guard():
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        if not ends_there:
            with session.step("Next"):
                reached = True
    assert caught.value.exit_code == 130 and not reached
    assert capsys.readouterr().err == "Interrupted.\n"
    assert signal.getsignal(signal.SIGINT) == before


def documented_keys():
    page = Path(__file__).parent.parent / "docs" / "command_line.md"
    section = page.read_text(encoding="utf-8").split("## What the JSON holds")[1]
    return set(re.findall(r"`([a-z_]+)(?:\[\])?`", section.split("\n## ")[0]))


def keys_of(numbers):
    if isinstance(numbers, list):
        return set().union(*map(keys_of, numbers))
    if not isinstance(numbers, dict):
        return set()
    inner = [value for key, value in numbers.items() if key not in FREE]
    return set(numbers).union(*map(keys_of, inner))


# Whose keys are options, or names from the data.
FREE = ("settings", "reading", "rejected_by")


@pytest.mark.parametrize("command", ["certify", "filter", "attack", "moving", "votes"])
def test_keys_of_the_json_are_documented(command, csv):
    more = {
        "attack": ["-o", csv.with_name("p.csv")],
        "moving": ["--defense", "moving-centroids", "--tol", "0.1", "-e", "0.1"],
        "votes": ["--pointwise"],
    }
    name = {"moving": "certify", "votes": "certify"}.get(command, command)
    result = invoke(name, csv, *more.get(command, []), "--json", "-")
    found = keys_of(json.loads(result.stdout))
    assert len(found) > 9
    assert found <= documented_keys()


def test_options_name_all_that_there_is():
    from skpoison._cli import kinds, reading
    from skpoison._cli.judgement import OTHERS, build_filter
    from skpoison._io.source import FORMATS

    assert reading.FORMATS == FORMATS
    assert set(kinds.FILTERS) == {"auto", *kinds.PUBLISHED, *OTHERS}
    both, *members = (build_filter(kind, 70.0) for kind in kinds.PUBLISHED)
    assert [repr(member) for _, member in both.filters] == list(map(repr, members))


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [(["-999"], "-999 in 1 cell"), (["-999", "7"], "-999 in 1 cell, 7 in 1 cell")],
)
def test_numbers_that_stand_for_missing_values_are_given(numbers, missing, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=40).round(3), "b": rng.normal(size=40)})
    table["label"] = np.tile(["x", "y"], 20)
    table.loc[[3, 5], "a"] = [-999.0, 7.0]
    table.to_csv(tmp_path / "rows.csv", index=False)
    options = [word for number in numbers for word in ("--na", number)]
    result = invoke(*FILTER, tmp_path / "rows.csv", *options)
    assert f"taken as missing: {missing}" in " ".join(result.output.split())
