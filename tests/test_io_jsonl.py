"""JSON lines: fields as columns, embeddings, rows written as they came, bad lines."""

import gzip
import io
import json
import lzma
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skpoison._io import DataError, jsonl, load
from skpoison._io.encode import Encoding
from skpoison._io.json_fields import MOST_FIELDS
from skpoison._io.matrix import Poison
from skpoison._io.output import Output
from skpoison._io.read import Options, load_test
from skpoison._io.source import Source

ROWS = [
    {"text": "ein Gruß", "kind": "a", "n": 1, "e": [0.5, 1], "y": "good"},
    {"text": '💥 "now"', "kind": "b", "n": 2, "e": [-1, 2e3], "y": "bad"},
    {"text": "", "kind": "a", "n": -3, "e": [0, 7.25], "y": "good"},
]


def write(path, *lines):
    """Write objects, or lines as they are, and return the path."""
    texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return path


@pytest.fixture
def rows(tmp_path):
    return write(tmp_path / "rows.jsonl", *ROWS)


def refused(path, *parts, **options):
    """Check that an error names the file and says all of something."""
    with pytest.raises(DataError) as caught:
        data = load(path, Options(**options))
        encoded(data)
    message = str(caught.value)
    for part in (path.name, *parts):
        assert part in message
    assert "\n" not in message


def encoded(data, **encoding):
    rows = np.arange(len(data))
    encoder = data.encoder(rows, Encoding(**encoding))
    X = encoder.transform(data, rows)
    return encoder, X.toarray() if hasattr(X, "toarray") else X


def test_fields_are_columns_and_lists_are_a_column_for_each_number(rows):
    data = load(rows)
    assert data.labels.texts.tolist() == ["good", "bad", "good"]
    assert data.embeddings == {"e": 2}
    encoder, X = encoded(data, text=("text",))
    assert encoder.names == [
        *("n", "e[0]", "e[1]", "kind=a", "kind=b"),
        *("text:ein", "text:gruß", "text:now"),
    ]
    np.testing.assert_array_equal(X[:, :3], [[1, 0.5, 1], [2, -1, 2000], [-3, 0, 7.25]])
    np.testing.assert_array_equal(X[:, 3], [1, 0, 1])


def test_it_is_said_what_fields_were_taken_for(rows):
    data = load(rows, Options(drop=("n",)))
    encoder, _ = encoded(data, text=("text",))
    assert data.read_as(encoder.plan) == (
        f"Read from {rows}: 'kind' as categories, 'e' as 2 numbers, 'text' as text; "
        "'n' left out."
    )


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.JSONL", "a.json", "a"])
@pytest.mark.parametrize(
    ("pack", "suffix"),
    [(bytes, ""), (gzip.compress, ".gz"), (lzma.compress, ".packed")],
)
def test_names_and_contents_tell_the_format(tmp_path, name, pack, suffix):
    lines = write(tmp_path / "lines", "", *ROWS)
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(pack(lines.read_bytes()))
    assert Source(path).format == "jsonl"
    assert len(load(path)) == 3


@pytest.mark.parametrize(
    "text", ["{a},b,y\n1,2,0\n1,3,1\n", "[x],y\n1,0\n2,1\n", "a,y\n{,0\n}\n,1\n"]
)
def test_tables_with_braces_are_no_json(tmp_path, text):
    path = tmp_path / "rows"
    path.write_text(text)
    assert Source(path).format == "csv"


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_rows(tmp_path):
    path = tmp_path / "rows"
    lines = [json.dumps(row) for row in ROWS]
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode("utf-8-sig"))
    data = load(path)
    assert data.table.column_names[0] == "text"
    taken = list(data.taken(np.array([0, 2]), {}))
    assert taken == [lines[0].encode(), lines[2].encode()]


@pytest.mark.parametrize("name", ["a.jsonl", "a.NDJSON", "a.ndjson.gz"])
def test_names_say_more_than_contents(tmp_path, name):
    path = tmp_path / name
    path.write_text("a,y\n1,0\n")
    refused(path, "line 1 is not JSON")


def test_numbers_in_embeddings_are_no_names_of_rows(tmp_path):
    lines = [{"id": i, "e": [i, -i], "y": i % 2} for i in range(60)]
    data = load(write(tmp_path / "rows.jsonl", *lines))
    names, _ = encoded(data)[0].names, None
    assert names == ["e[0]", "e[1]"]


def test_standard_input_is_read(monkeypatch, rows):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(rows.read_bytes())))
    assert len(load("-")) == 3


def test_fields_that_are_missing_are_missing_cells(tmp_path):
    lines = [{"y": 0, "kind": "a"}, {"kind": None, "y": 1}, {"y": 0}, {"y": 1, "b": 1}]
    path = write(tmp_path / "rows.jsonl", *lines)
    data = load(path, Options(drop=("b",)))
    encoder, X = encoded(data)
    assert encoder.names == ["kind=missing", "kind=a"]
    assert X[:, 0].tolist() == [0, 1, 1, 1]
    assert encoded(load(path))[0].plan.columns[1].missing == 3


def test_lines_are_counted_with_blank_ones(tmp_path):
    path = write(
        tmp_path / "rows.jsonl", "", {"x": 1, "y": 0}, " \t", {"x": None, "y": 1}
    )
    data = load(path)
    masks = data.plan(Encoding()).missing_in(data)
    with pytest.raises(DataError, match="'x' in 1 rows"):
        data.plan(Encoding()).refuse_missing(data, masks)


def test_types_stay_what_they_are(tmp_path):
    row = {"date": "2020-01-01", "code": "007", "big": 2**63 + 1, "yes": True, "y": 0}
    rows = [row | {"date": f"2020-01-0{i + 1}", "y": i % 2} for i in range(4)]
    rows[-1]["big"] = 1
    path = write(tmp_path / "rows.jsonl", *rows)
    data = load(path)
    table = data.table.to_pylist()
    assert table[0] | {"big": 0} == row | {"big": 0}
    assert table[0]["big"] == float(2**63)
    encoder, X = encoded(data)
    # Dates are written as text, which is no date in the file, and read as one.
    assert encoder.names == ["date:days", "date:weekday", "big"]
    assert X[2].tolist() == [18264, 4, 2.0**63]


def test_whole_numbers_and_floats_of_different_blocks_are_one_column(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(jsonl, "BLOCK_BYTES", 1)
    values = [None, 1, 2.5, None, 2**70]
    lines = [{"x": x, "e": [i, 1], "y": i % 2} for i, x in enumerate(values)]
    data = load(write(tmp_path / "rows.jsonl", *lines))
    assert data.table.column("x").to_pylist() == [None, 1.0, 2.5, None, 2.0**70]
    assert data.table.column("e[0]").to_pylist() == [0, 1, 2, 3, 4]


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
trees = st.recursive(
    values | st.text(max_size=5),
    lambda parts: (
        st.lists(parts, max_size=3) | st.dictionaries(names, parts, max_size=3)
    ),
    max_leaves=6,
)


@settings(deadline=None, max_examples=40)
@given(
    objects=st.lists(st.dictionaries(names, trees, max_size=3), min_size=1, max_size=6),
    ascii_only=st.booleans(),
    data=st.data(),
)
def test_rows_are_written_as_they_are(tmp_path_factory, objects, ascii_only, data):
    objects = [one | {"x": i, "label": i % 2} for i, one in enumerate(objects)]
    lines = [json.dumps(one, ensure_ascii=ascii_only) for one in objects]
    path = write(tmp_path_factory.mktemp("rows") / "rows.jsonl", *lines)
    drop = {name for one in objects for name in one} - {"label", "x"}
    rows = load(path, Options(drop=tuple(drop), target="label"))
    wanted = np.flatnonzero([data.draw(st.booleans()) for _ in objects])
    assert list(rows.taken(wanted, {})) == [lines[i].encode() for i in wanted]
    more = {"skpoison_row": wanted, "why": ["é"] * len(wanted)}
    for i, line in zip(wanted, rows.taken(wanted, more), strict=True):
        assert line.startswith(lines[i].encode()[:-1])
        found = json.loads(line)
        assert found == objects[i] | {"skpoison_row": int(i), "why": "é"}
        assert list(found) == [*objects[i], *more]


@pytest.mark.parametrize("line", ['{"y":1}', '  {"y":1 }  ', '{ "y":1\t} '])
def test_more_fields_go_to_the_end_of_an_object(tmp_path, line):
    path = write(tmp_path / "rows.jsonl", line, '{"y":0,"x":1}')
    data = load(path)
    (found,) = data.taken(np.array([0]), {"score": np.array([-np.inf])})
    assert json.loads(found) == {"y": 1, "score": None}
    with pytest.raises(DataError, match="has a field 'x' already"):
        data.taken(np.array([0]), {"x": [1]})


def test_an_empty_object_takes_more_fields(tmp_path):
    assert jsonl._with_fields(b"{ }", {"a": 1}) == b'{ "a": 1}'


def test_poison_rows_have_the_fields_of_the_file_in_its_order(rows):
    data = load(rows)
    encoder, X = encoded(data, categorical=("n",))
    poison = Poison(X, ["bad", "good", "good"], encoder.columns(X))
    found = [json.loads(line) for line in data.poison(poison)]
    wanted = [row | {"y": y} for row, y in zip(ROWS, poison.labels, strict=True)]
    assert found == wanted
    assert [list(row) for row in found] == [list(row) for row in ROWS]


def test_poison_rows_have_empty_fields_where_all_rows_have_them(tmp_path):
    path = write(tmp_path / "rows.jsonl", *[{"k": None, "y": i} for i in range(2)])
    data = load(path)
    encoder, X = encoded(data, categorical=("k",))
    (line,) = data.poison(Poison(X[:1], [0], encoder.columns(X[:1])))
    assert json.loads(line) == {"k": None, "y": 0}


def test_rows_go_packed_into_files_of_their_format(tmp_path, rows):
    data = load(rows)
    output = Output(str(tmp_path / "kept.jsonl.gz"), data)
    output.write(data.taken(np.array([1]), {}), None)
    (line,) = gzip.decompress((tmp_path / "kept.jsonl.gz").read_bytes()).splitlines()
    assert json.loads(line) == ROWS[1]
    with pytest.raises(DataError, match="only as JSONL"):
        Output(str(tmp_path / "kept.csv"), data)


def test_test_rows_have_embeddings_of_the_same_length(tmp_path, rows):
    data = load(rows)
    longer = write(tmp_path / "long.jsonl", *[r | {"e": [1, 2, 3]} for r in ROWS])
    with pytest.raises(DataError, match=r"'e' holds 3 numbers in .*, but 2 numbers in"):
        load_test(longer, data, Options())
    none = write(tmp_path / "none.jsonl", *[r | {"e": 1} for r in ROWS])
    with pytest.raises(DataError, match="'e' holds no embedding in"):
        load_test(none, data, Options())
    assert len(load_test(rows, data, Options())) == 3


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"x": 1, "y": }', "line 3 is not JSON: Expecting value at column 15."),
        ('{"x": 1, "y": 1', "line 3 is not JSON"),
        ('{"x": 1, "y": 1}{"x": 2}', "line 3 is not JSON: Extra data at column 17."),
        ("x", "line 3 is not JSON"),
        ("\v", "line 3 is not JSON"),
        (
            "[1, 2]",
            "line 3 holds an array, not an object. Each line must hold one JSON",
        ),
        ("7", "line 3 holds a single value, not an object"),
        ('{"x": 1, "y": 1, "x": 2}', "line 3 holds the field 'x' twice."),
        ("[" * 200_000, "line 3 is nested too deep"),
        (f'{{"x": {"9" * 5000}, "y": 1}}', "line 3 holds an integer of thousands"),
        ('{"x": 1, "\\ud800": 1, "y": 1}', "line 3: the field '\\ud800' has a name"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, problem):
    path = write(tmp_path / "rows.jsonl", {"x": 1, "y": 0}, "", line, {"x": 1, "y": 1})
    refused(path, problem)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("n/a", "holds the text 'n/a', but a number in line 1."),
        (True, "holds true, but a number in line 1."),
        ([1.0], "holds a list, but a number in line 1."),
        ({"a": 1}, "holds an object, but a number in line 1."),
        (10**400, "holds an integer that is too large for a float."),
    ],
)
def test_values_of_another_kind_are_named(tmp_path, value, problem):
    lines = [{"my x": 1, "z": 0, "y": 0}, {"z": 0, "y": 1}, {"my x": value, "y": 0}]
    path = write(tmp_path / "rows.jsonl", *lines)
    refused(path, f"line 3: the field 'my x' {problem}", "(--drop 'my x')")
    assert load(path, Options(drop=("my x",))).columns == ["z"]


def test_fields_that_cannot_be_read_are_named_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "BLOCK_BYTES", 1)
    lines = [{"x": 1, "m": {}, "e": [1], "y": 0}, {"x": "a", "m": {}, "e": [], "y": 1}]
    path = write(tmp_path / "rows.jsonl", *lines)
    refused(
        path,
        "3 fields cannot be read.",
        "line 2: the field 'x' holds the text 'a'",
        "line 1: the field 'm' holds an object",
        "line 2: the field 'e' holds a list of 0 numbers",
        "--drop m --drop x --drop e leaves all of them out.",
    )
    refused(path, "no columns beside", drop=("x", "m", "e"))


def test_other_kinds_in_later_blocks_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "BLOCK_BYTES", 1)
    path = write(tmp_path / "rows.jsonl", {"x": None}, {"x": "a"}, {"x": 1})
    refused(path, "line 3: the field 'x' holds 1, but text in line 2.")


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ([1, 2], [1, 2, 3], "line 2: the field 'e' holds a list of 3 numbers, but one"),
        ([1, 2], [], "line 2: the field 'e' holds a list of 0 numbers"),
        ([], [1, 2], "line 1: the field 'e' holds an empty list."),
        ([1, 2], [1, None], "line 2: the field 'e' holds a list with null"),
        ([1, 2], [1, "2"], "line 2: the field 'e' holds a list with the text '2'"),
        ([1, 2], [True, 2], "line 2: the field 'e' holds a list with true"),
        ([[1], [2]], [[1], [2]], "line 1: the field 'e' holds a list with a list"),
        ([{"role": "user"}], [], "line 1: the field 'e' holds a list with an object"),
        ([1, 2], [1, 10**400], "line 2: the field 'e' holds an integer"),
        ([1, 2], [1, np.nan], "line 2: the field 'e' holds nan among its numbers"),
        ([1, 2], [1, np.inf], "line 2: the field 'e' holds inf among its numbers"),
        (
            [1, 2],
            None,
            "line 2: the field 'e' holds no value, but an embedding in line",
        ),
        (None, [1, 2], "line 2: the field 'e' holds an embedding, which earlier lines"),
        ({"a": 1}, {"a": 1}, "line 1: the field 'e' holds an object"),
        ("a", "\ud800", "line 2: the field 'e' holds half of a surrogate pair"),
    ],
)
@pytest.mark.parametrize("is_null", [True, False])
@pytest.mark.parametrize("block_bytes", [1, 1 << 22])
def test_lists_that_are_no_embeddings_are_named(
    tmp_path, monkeypatch, block_bytes, is_null, first, second, problem
):
    monkeypatch.setattr(jsonl, "BLOCK_BYTES", block_bytes)
    lines = [{"e": first, "x": 1, "y": 0}, {"e": second, "x": 2, "y": 1}]
    if not is_null:
        lines = [{k: v for k, v in one.items() if v is not None} for one in lines]
    path = write(tmp_path / "rows.jsonl", *lines)
    refused(path, problem, "--drop e")
    assert load(path, Options(drop=("e",))).columns == ["x"]


def test_embeddings_are_left_out_as_a_whole(tmp_path, rows):
    refused(rows, "only as a whole: --drop e", drop=("e[1]",))
    assert load(rows, Options(drop=("e",))).embeddings == {}
    path = write(tmp_path / "two.jsonl", {"e[0]": 1, "e": [1], "y": 1})
    with pytest.raises(DataError, match=re.escape("'e[0]' is the name of a field and")):
        load(path)


def test_nan_is_no_number_and_no_label(tmp_path):
    path = write(tmp_path / "rows.jsonl", {"x": 1, "y": 0}, {"x": np.nan, "y": 1})
    assert encoded(load(path))[1].tolist() == [[1, 0], [1, 1]]
    path = write(tmp_path / "rows.jsonl", {"x": 1, "y": 0}, {"x": 2, "y": np.nan})
    refused(path, "The target column 'y' has no label in line 2")


def test_every_row_has_a_label(tmp_path):
    path = write(tmp_path / "rows.jsonl", {"x": 1, "y": 0}, {"x": 2})
    refused(path, "The target column 'y' has no label in line 2")
    refused(path, "no label in line 2", drop=("y",), target="y")


def test_labels_are_single_exact_values(tmp_path, rows):
    refused(rows, "holds lists of numbers in 'e', not labels", target="e")
    lines = [{"x": 1, "y": 2**64}, {"x": 2, "y": 2**64 + 1}]
    path = write(tmp_path / "rows.jsonl", *lines)
    refused(path, "line 1: the field 'y' holds an integer that is too large")
    refused(rows, "has no target column 'z'; its columns are", target="z")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n \n\r\n", "has no rows"),
        (b"{}\n{}\n", "has no fields"),
        ('{"x": "é", "y": 1}\n'.encode("latin-1"), "line 1 is not UTF-8 text"),
        ('{"x": "é", "y": 1}\n'.encode("utf-16"), "zero bytes"),
        (b'[\n{"x": 1, "y": 2}\n]\n', "line 1 is not JSON"),
        (b'[{"x": 1, "y": 2}]\n', "line 1 holds an array"),
        (b'{\n"x": 1, "y": 2\n}\n', "line 1 is not JSON"),
    ],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_files_without_objects_are_refused(tmp_path, content, problem, name):
    path = tmp_path / name
    path.write_bytes(content)
    if problem == "has no rows" and name == "rows.json":
        problem = "begins with an empty line"  # which it does as a table
    refused(path, problem)


def test_blocks_are_small_whatever_the_file_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "BLOCK_BYTES", 100)
    path = write(tmp_path / "rows.jsonl", *[{"x": "a" * 20, "y": i} for i in range(50)])
    blocks = list(jsonl._blocks(Source(path)))
    assert [len(block.objects) for block in blocks] == [3] * 16 + [2]
    assert [line for block in blocks for line in block.lines] == [*range(1, 51)]


def test_no_line_and_no_set_of_fields_may_grow_without_end(tmp_path, monkeypatch):
    lines = [{str(i): 1} for i in range(MOST_FIELDS + 1)]
    path = write(tmp_path / "rows.jsonl", *lines)
    refused(path, f"line {MOST_FIELDS + 1}: more than {MOST_FIELDS:,} different fields")
    monkeypatch.setattr(jsonl, "LONGEST_LINE", 64)
    path = write(tmp_path / "rows.jsonl", {"y": 1}, {"y": "1" * 64})
    refused(path, "line 2 is longer than")
