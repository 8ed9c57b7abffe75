"""Large files that a thread reads while the rest is imported."""

import json
import threading

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("pyarrow")

from skpoison._cli.app import app
from skpoison._io import DataError, ahead, load, read
from skpoison._io.read import Options, loading


@pytest.fixture
def all_files_are_large(monkeypatch):
    monkeypatch.setattr(ahead, "LARGE_BYTES", 0)


@pytest.fixture
def reads(monkeypatch):
    """The names of the files that were read, in order."""
    found, loaded = [], read._loaded

    def counted(name, options):
        found.append(name)
        return loaded(name, options)

    monkeypatch.setattr(read, "_loaded", counted)
    return found


def csv(tmp_path, n_rows=60, name="rows.csv"):
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % 2
    X = rng.normal(size=(n_rows, 3)) + 2 * y[:, None]
    lines = [
        ",".join(f"{v:.4f}" for v in row) + f",{k}" for row, k in zip(X, y, strict=True)
    ]
    path = tmp_path / name
    path.write_text("\n".join(["a,b,c,target", *lines]) + "\n")
    return str(path)


def test_rows_are_those_that_are_read_without_a_thread(
    tmp_path, all_files_are_large, reads
):
    path, options = csv(tmp_path), Options()
    with loading(path, options):
        data = load(path, options)
    assert reads == [path]
    assert data.table.equals(load(path, options).table)


def test_rows_are_handed_out_once_and_not_after_the_context(
    tmp_path, all_files_are_large, reads
):
    path, options = csv(tmp_path), Options()
    with loading(path, options):
        load(path, options)
        load(path, options)
    assert reads == [path, path]
    with loading(path, options):
        pass
    csv(tmp_path, n_rows=80)
    assert len(load(path, options)) == 80


def test_what_is_read_otherwise_is_read_anew(tmp_path, all_files_are_large, reads):
    path = csv(tmp_path)
    with loading(path, Options()):
        assert load(path, Options(drop=("a",))).columns == ["b", "c"]
    assert reads == [path, path]


@pytest.mark.parametrize("name", [None, "no-such.csv", "s3://bucket/rows.csv", "-"])
def test_other_places_are_left_alone(name, all_files_are_large, reads):
    with loading(name, Options()):
        pass
    assert reads == []


def test_small_files_and_other_formats_are_left_alone(tmp_path, monkeypatch, reads):
    path = csv(tmp_path)
    with loading(path, Options()):
        pass
    monkeypatch.setattr(ahead, "LARGE_BYTES", 0)
    with loading(str(tmp_path), Options()), loading(path, Options(format="svmlight")):
        pass
    assert reads == []


def test_errors_are_raised_where_the_rows_are_asked_for(tmp_path, all_files_are_large):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3\n")
    with (
        loading(str(path), Options()),
        pytest.raises(DataError, match="cannot be parsed"),
    ):
        load(str(path), Options())


@pytest.mark.parametrize(
    "command",
    [
        ["certify", "--epsilon", "0.1"],
        ["attack", "--epsilon", "0.1", "--output", "poison.csv"],
        ["filter"],
        ["filter", "--by", "a"],
        ["audit", "--epsilon", "0.1", "--html", "page.html"],
    ],
)
def test_commands_read_a_file_once(
    tmp_path, monkeypatch, all_files_are_large, reads, command
):
    path, threads, loaded = csv(tmp_path), set(), read._loaded

    def noted(*given):
        threads.add(threading.current_thread().name.partition("-")[0])
        return loaded(*given)

    monkeypatch.setattr(read, "_loaded", noted)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, [command[0], path, *command[1:], "--json", "-"])
    assert result.exit_code == 0, result.output
    assert reads == [path]
    assert threads == {"ThreadPoolExecutor"}


def test_numbers_of_a_command_do_not_depend_on_the_thread(tmp_path, monkeypatch):
    arguments = ["certify", csv(tmp_path), "--epsilon", "0.1", "--json", "-", "--quiet"]
    plain = CliRunner().invoke(app, arguments)
    monkeypatch.setattr(ahead, "LARGE_BYTES", 0)
    threaded = CliRunner().invoke(app, arguments)
    assert json.loads(threaded.stdout) == json.loads(plain.stdout)


def test_columns_of_numbers_lie_in_one_piece(tmp_path, monkeypatch):
    from skpoison._io import csv as text

    path = csv(tmp_path, n_rows=5000)
    monkeypatch.setattr(text, "SMALL_BLOCK_BYTES", 1 << 12)
    table = load(path, Options()).table
    assert {column.num_chunks for column in table.columns} == {1}
    assert table.num_rows == 5000
