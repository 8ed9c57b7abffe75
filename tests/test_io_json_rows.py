"""Rows of tables and archives, written as JSON lines."""

import datetime
import json
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy import sparse

from skpoison._io import DataError, load
from skpoison._io.matrix import Poison
from skpoison._io.output import Output
from skpoison._io.read import Options


def written(tmp_path, data, content):
    """Write rows of some data, and return the objects."""
    path = tmp_path / "out.jsonl"
    Output(str(path), data, force=True).write(content, None)
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def everything(data):
    rows = np.arange(len(data))
    return data.taken(rows, {"why": ["é"] * len(rows)})


@pytest.mark.parametrize(
    ("text", "options", "wanted"),
    [
        (
            "a,b,c,d,e,y\n007, 2.5,True,=1+1,,u\n-1,NA,false,,,v\n",
            {},
            [
                {"a": 7, "b": 2.5, "c": True, "d": "=1+1", "e": None, "y": "u"},
                {"a": -1, "b": None, "c": False, "d": "", "e": None, "y": "v"},
            ],
        ),
        (
            "1,5;2020-01-01;0\n-3,25;2020-01-02;1\n",
            {"decimal_comma": True, "header": False, "target": "3"},
            [
                {"1": 1.5, "2": "2020-01-01", "3": 0},
                {"1": -3.25, "2": "2020-01-02", "3": 1},
            ],
        ),
        (
            "a,y\n1,0\n2,1\n",
            {"words": ("a",)},
            [{"a": "1", "y": 0}, {"a": "2", "y": 1}],
        ),
    ],
)
def test_delimited_text_becomes_numbers_and_text(tmp_path, text, options, wanted):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    data = load(path, Options(**options))
    found = written(tmp_path, data, everything(data))
    assert found == [row | {"why": "é"} for row in wanted]
    assert [list(map(type, row.values())) for row in found] == [
        [*map(type, row.values()), str] for row in wanted
    ]
    assert len(load(tmp_path / "out.jsonl", Options(target=data.target))) == 2


def test_parquet_keeps_what_json_has_types_for(tmp_path):
    columns = {
        "n": [2**60, None],
        "x": [np.nan, 1.5],
        "when": [datetime.datetime(2020, 1, 2, 3), None],
        "e": [[1.0, 2.0], [3.0, 4.0]],
        "y": [True, False],
    }
    parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    data = load(tmp_path / "rows.parquet")
    assert written(tmp_path, data, data.taken(np.arange(2), {})) == [
        {"n": 2**60, "x": None, "when": "2020-01-02T03:00:00", "e": [1, 2], "y": True},
        {"n": None, "x": 1.5, "when": None, "e": [3, 4], "y": False},
    ]


@pytest.mark.parametrize("cell", [b"\xff", Decimal("1.5"), [np.nan]])
def test_what_json_has_no_values_for_is_refused(tmp_path, cell):
    table = pa.table({"x": [1, 2], "odd": [None, cell], "y": [0, 1]})
    parquet.write_table(table, tmp_path / "rows.parquet")
    data = load(tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"'odd' holds .*, which cannot be written as"):
        written(tmp_path, data, everything(data))
    assert not (tmp_path / "out.jsonl").exists()


def test_archives_of_dense_rows_become_objects(tmp_path):
    np.savez(tmp_path / "rows.npz", X=np.array([[1, 2.5], [3, 4]]), y=["u", "v"])
    data = load(tmp_path / "rows.npz")
    assert written(tmp_path, data, everything(data)) == [
        {"1": 1, "2": 2.5, "target": "u", "why": "é"},
        {"1": 3, "2": 4, "target": "v", "why": "é"},
    ]


def test_poison_rows_of_tables_become_objects(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,k,y\n1,u,0\n2,v,1\n")
    data = load(path)
    columns = {"k": np.array(["v"], dtype=object), "a": np.array([0.5])}
    content = data.poison(Poison(None, [1], columns))
    assert written(tmp_path, data, content) == [{"a": 0.5, "k": "v", "y": 1}]


def test_sparse_rows_stay_in_their_format(tmp_path):
    (tmp_path / "rows.svm").write_text("0 1:1\n1 2:1\n")
    data = load(tmp_path / "rows.svm")
    assert sparse.issparse(data.X)
    with pytest.raises(DataError, match="written as JSONL, only as SVMLIGHT"):
        Output(str(tmp_path / "out.jsonl"), data)
