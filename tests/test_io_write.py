"""Writing rows: whole files or none, never over others, nothing that runs."""

import csv
import gzip
import os
import stat

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skpoison._io import DataError, load
from skpoison._io.output import Output, escape_formulas, write_csv
from skpoison._io.write import check_free, whole_file


def test_file_comes_up_when_it_is_whole(tmp_path):
    path = tmp_path / "out"
    with whole_file(path) as file:
        file.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_half_a_file(tmp_path, error):
    with pytest.raises(error), whole_file(tmp_path / "out") as file:
        file.write(b"half")
        raise error
    assert os.listdir(tmp_path) == []


def test_half_a_file_leaves_the_old_one(tmp_path):
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole_file(path, force=True) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "old"


def test_existing_files_are_replaced_by_force_only(tmp_path):
    path = tmp_path / "out"
    path.write_text("old")
    with pytest.raises(DataError, match="--force"), whole_file(path):
        pass
    assert path.read_text() == "old"
    with whole_file(path, force=True) as file:
        file.write(b"new")
    assert path.read_text() == "new"


def test_a_file_that_came_up_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "out"
    with pytest.raises(DataError, match="exists already"), whole_file(path) as file:
        file.write(b"new")
        path.write_text("came up meanwhile")
    assert path.read_text() == "came up meanwhile"
    assert os.listdir(tmp_path) == ["out"]


def test_dangling_links_count_as_existing(tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="exists already"):
        check_free(tmp_path / "out", force=False)


def test_folders_are_said_to_be_wrong(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        check_free(tmp_path, force=True)
    with pytest.raises(DataError, match="no folder"):
        check_free(tmp_path / "missing" / "out", force=True)


def test_files_can_be_read_by_those_who_may(tmp_path):
    former = os.umask(0o027)
    try:
        with whole_file(tmp_path / "out"):
            pass
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


# Formulas


RISKY = [
    "-$5+1",
    "-A1",
    "-12.3 %A",
    "=1+1",
    "+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "=",
    "-",
]
HARMLESS = ["", "a=b", "-1", "+1.5e-3", "-.5", " -7 ", "1-2", "word", "'=1", "ä"]
HARMLESS += ["-$5", "-$1,234.50", "$-5", "-12.3 %", "-1.234,5 €", "+USD 5"]


@pytest.mark.parametrize("cell", RISKY)
def test_cells_that_spreadsheets_run_are_escaped(cell):
    table, n_escaped = escape_formulas(pa.table({"a": ["x", cell]}))
    assert table["a"].to_pylist() == ["x", "'" + cell]
    assert n_escaped == 1


@pytest.mark.parametrize("cell", HARMLESS)
def test_other_cells_stay(cell):
    given_table = pa.table({"a": [cell, None], "n": [-1, 2]})
    table, n_escaped = escape_formulas(given_table)
    assert table.equals(given_table)
    assert n_escaped == 0


def test_names_of_columns_are_escaped_too():
    table, n_escaped = escape_formulas(pa.table({"=a": [1], "-1": [2]}))
    assert table.column_names == ["'=a", "-1"]
    assert n_escaped == 1


def cells_written(tmp_path, table, delimiter=","):
    path = tmp_path / "out.csv"
    with path.open("wb") as file:
        write_csv(table, file, delimiter)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=delimiter))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1)
)
def test_any_text_comes_back_from_csv(tmp_path_factory, texts):
    table = pa.table({"a,b": texts, "n": list(range(len(texts)))})
    rows = cells_written(tmp_path_factory.mktemp("csv"), table)
    # Python's reader drops zero bytes and takes a lone carriage return for a new line.
    assert rows[0] == ["a,b", "n"]
    assert [row[0] for row in rows[1:]] == texts


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_any_number_comes_back_from_csv(tmp_path_factory, numbers):
    rows = cells_written(tmp_path_factory.mktemp("csv"), pa.table({"a": numbers}))
    assert [float(row[0]) for row in rows[1:]] == numbers


def test_quotes_are_written_where_they_are_needed_only(tmp_path):
    path = tmp_path / "out.csv"
    with path.open("wb") as file:
        write_csv(pa.table({"a": ["x y", "z"], "b": [1.5, 2]}), file, ",")
    assert path.read_text() == "a,b\nx y,1.5\nz,2\n"


# Formats


def source(tmp_path, name="rows.csv", content="a,y\n1,u\n2,v\n"):
    path = tmp_path / name
    path.write_text(content)
    return load(path)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("out.csv", "csv"),
        ("out.tsv.gz", "tsv"),
        ("out.parquet", "parquet"),
        ("out", "csv"),
        ("out.v2", "csv"),
        ("out.gz", "csv"),
    ],
)
def test_names_of_files_say_their_format(tmp_path, name, wanted):
    assert Output(tmp_path / name, source(tmp_path)).format == wanted


def test_rows_cannot_change_into_something_else(tmp_path):
    data = source(tmp_path)
    with pytest.raises(DataError, match="cannot be written as NPZ, only as CSV or TSV"):
        Output(tmp_path / "out.npz", data)
    with pytest.raises(DataError, match="cannot be written as SVMLIGHT"):
        Output(tmp_path / "out.svm", data)
    lines = source(tmp_path, "rows.svm", "1 1:2\n0 1:3\n")
    with pytest.raises(DataError, match="only as SVMLIGHT"):
        Output(tmp_path / "out.csv", lines)


def test_binary_formats_need_a_file(tmp_path):
    np.savez(tmp_path / "rows.npz", X=np.eye(2), y=[0, 1])
    with pytest.raises(DataError, match="name a file"):
        Output("-", load(tmp_path / "rows.npz"))


def test_packed_files_hold_neither_name_nor_time(tmp_path):
    data = source(tmp_path)
    Output(tmp_path / "out.csv.gz", data).write(data.taken(np.array([1]), {}), None)
    content = (tmp_path / "out.csv.gz").read_bytes()
    flags, time = content[3], content[4:8]
    assert (flags, time) == (0, bytes(4))
    assert gzip.decompress(content) == b"a,y\n2,v\n"


def test_a_folder_that_takes_no_files_is_found_out_at_once(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(DataError, match=r"Nothing can be written .*Permission denied"):
        check_free(tmp_path / "out", force=False)
    assert os.listdir(tmp_path) == []
