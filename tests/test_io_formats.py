"""Formats, compressions and columns of words: what is read, and what is refused."""

import bz2
import gzip
import io
import lzma
import sys

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy import sparse
from sklearn.datasets import dump_svmlight_file
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from skpoison._io import DataError, load
from skpoison._io.encode import Encoding
from skpoison._io.matrix import Poison
from skpoison._io.read import Options, load_test

CSV = "a,b,y\n1,2.5,u\n-3,400,v\n"
X = np.array([[1, 2.5], [-3, 400]])
PACKERS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}


def matrix(data, encoding=None, rows=None):
    rows = np.arange(len(data)) if rows is None else rows
    return data.encoder(rows, encoding or Encoding()).transform(data, rows)


def written(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def table(tmp_path, content, name="rows.csv", **options):
    return load(written(tmp_path, content, name), Options(**options))


def refused(path, *parts, encoding=None, **options):
    with pytest.raises(DataError) as caught:
        matrix(load(path, Options(**options)), encoding)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["rows.csv.{}", "rows.csv", "rows"])
def test_packed_text_is_unpacked_whatever_its_name(tmp_path, packer, name):
    content = PACKERS[packer](CSV.encode())
    path = written(tmp_path, content, name.format(packer))
    np.testing.assert_array_equal(matrix(load(path)), X)


@pytest.mark.parametrize("packer", PACKERS)
def test_packed_text_that_breaks_off_is_refused(tmp_path, packer):
    lines = "".join(f"{i},{i * 7 % 13},{i % 2}\n" for i in range(20_000))
    content = PACKERS[packer](("a,b,y\n" + lines).encode())
    refused(written(tmp_path, content[: len(content) // 2], "rows.csv"), "unpack")


@pytest.mark.parametrize("packer", PACKERS)
def test_bombs_are_refused_before_they_take_memory(tmp_path, packer):
    content = PACKERS[packer](b"a,y\n" + b"1,0\n" * 2_000_000)
    assert len(content) < 100_000
    path = written(tmp_path, content, "rows.csv")
    refused(path, "unpacks to more than 0.001 GB", "--max-size", max_size=0.001)


class Pipe:
    def __init__(self, content):
        self.buffer = io.BytesIO(content)


def test_standard_input_is_told_by_its_content(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    np.savez(buffer, X=X, y=["u", "v"])
    parts = pa.table({"a": X[:, 0], "b": X[:, 1], "y": ["u", "v"]})
    sink = io.BytesIO()
    parquet.write_table(parts, sink)
    contents = [
        CSV.encode(),
        CSV.replace(",", "\t").encode(),
        gzip.compress(CSV.encode()),
        buffer.getvalue(),
        sink.getvalue(),
        b"0 1:1 2:2.5\n1 1:-3 2:400\n",
    ]
    for content in contents:
        monkeypatch.setattr(sys, "stdin", Pipe(content))
        read = matrix(load("-"))
        read = read.toarray() if sparse.issparse(read) else read
        np.testing.assert_array_equal(read, X)


def test_endless_standard_input_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "stdin", Pipe(b"a,y\n" + b"1,0\n" * 1000))
    refused("-", "standard input holds more than", max_size=1e-6)
    monkeypatch.setattr(sys, "stdin", Pipe(b""))
    refused("-", "standard input is empty")


def test_junk_on_standard_input_is_refused(monkeypatch):
    junk = np.random.default_rng(0).bytes(5000)
    monkeypatch.setattr(sys, "stdin", Pipe(junk))
    refused("-", "zero bytes")


def test_a_pipe_with_a_name_is_read_once(tmp_path):
    import os
    import threading

    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(CSV,))
    writer.start()
    np.testing.assert_array_equal(matrix(load(path)), X)
    writer.join()


def test_given_format_wins_over_the_name(tmp_path):
    path = written(tmp_path, CSV.replace(",", "\t"), "rows.csv")
    data = load(path, Options(format="tsv"))
    np.testing.assert_array_equal(matrix(data), X)


# Parquet


def test_parquet_types_become_numbers_categories_and_labels(tmp_path):
    columns = {
        "i": pa.array([1, 2, 3], pa.int16()),
        "flag": [True, False, True],
        "money": pa.array([1, 2, 3], pa.decimal128(9, 2)),
        "colour": pa.array(["r", "g", "r"]).dictionary_encode(),
        "label": ["x", "y", "x"],
        "__index_level_0__": [7, 8, 9],
    }
    parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    data = load(tmp_path / "rows.parquet")
    encoder = data.encoder(np.arange(3), Encoding())
    assert encoder.names == ["i", "flag", "money", "colour=g", "colour=r"]
    np.testing.assert_array_equal(
        encoder.transform(data, np.arange(3)),
        [[1, 1, 1, 0, 1], [2, 0, 2, 1, 0], [3, 1, 3, 0, 1]],
    )
    assert data.labels.values == ["x", "y"]


def test_float32_columns_stay_float32(tmp_path):
    columns = {"a": np.ones(2, np.float32), "y": [0, 1]}
    parquet.write_table(pa.table(columns), tmp_path / "rows.parquet")
    assert matrix(load(tmp_path / "rows.parquet")).dtype == np.float32


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pa.array([[1], [2]]), "neither numbers nor words"),
        (pa.array([b"a", b"b"]), "not UTF-8"),
        (pa.array([0, 0], pa.timestamp("s")), "is one date in every row"),
        (pa.array([None, None]), "holds nothing"),
        (pa.array([np.nan, np.inf]), "holds no finite number"),
    ],
    ids=["lists", "bytes", "times", "nothing", "nan"],
)
def test_parquet_columns_that_are_no_features(tmp_path, values, message):
    parquet.write_table(pa.table({"a": values, "y": [0, 1]}), tmp_path / "r.parquet")
    refused(tmp_path / "r.parquet", "'a'", message)


def test_parquet_of_few_bytes_and_many_rows_is_refused(tmp_path):
    columns = pa.table({"a": np.zeros(1_000_000), "y": np.zeros(1_000_000, np.int8)})
    path = tmp_path / "rows.parquet"
    parquet.write_table(columns, path)
    assert path.stat().st_size < 20_000
    refused(path, "unpacks to 0.016 GB", "--max-size", max_size=0.01)


def test_damaged_parquet_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"a": np.arange(100.0), "y": np.arange(100)}), path)
    content = path.read_bytes()
    refused(written(tmp_path, content[:-20], "cut.parquet"), "cannot be read")
    refused(written(tmp_path, b"PAR1" + bytes(50), "junk.parquet"), "cannot be read")
    refused(written(tmp_path, b"hello", "text.parquet"), "is not PARQUET")


# svmlight


@pytest.mark.parametrize("zero_based", [True, False])
def test_svmlight_is_read_as_it_was_written(tmp_path, zero_based):
    rows = sparse.random_array((8, 6), density=0.5, format="csr", rng=0)
    rows[0, 0] = 1.0
    y = np.arange(8) % 2
    path = tmp_path / "rows.svm"
    dump_svmlight_file(rows, y, str(path), zero_based=zero_based)
    data = load(path)
    np.testing.assert_allclose(matrix(data).toarray(), rows.toarray())
    assert data.labels.codes.tolist() == y.tolist()


def test_svmlight_test_rows_follow_the_training_rows(tmp_path):
    data = load(written(tmp_path, "1 2:5 3:6\n-1 1:4\n", "train.svm"))
    test = load_test(
        written(tmp_path, "+1 1:7 9:9 # far\n# nothing\n\n-1 3:8\n", "test.svm"),
        data,
        Options(),
    )
    np.testing.assert_array_equal(test.X.toarray(), [[7, 0, 0], [0, 0, 8]])
    assert test.labels.codes.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("train", "test", "wanted"),
    [
        # Columns count from 0 in the training rows, so they do in rows without a 0.
        ("1 0:5 2:6\n-1 1:4\n", "1 1:7\n-1 2:8\n", [[0, 7, 0], [0, 0, 8]]),
        # And from 1 where no training row has a 0, which a test row may have.
        ("1 1:5 2:6\n-1 1:4\n", "1 0:3 1:7\n-1 2:8\n", [[7, 0], [0, 8]]),
    ],
)
def test_svmlight_columns_are_counted_as_in_the_training_rows(
    tmp_path, train, test, wanted
):
    data = load(written(tmp_path, train, "train.svm"))
    test = load_test(written(tmp_path, test, "test.svm"), data, Options())
    np.testing.assert_array_equal(test.X.toarray(), wanted)


def test_poison_of_svmlight_counts_columns_as_the_file_does(tmp_path):
    for first in (0, 1):
        content = f"1 {first}:5 {first + 1}:6\n-1 {first + 1}:4\n"
        data = load(written(tmp_path, content, "train.svm"))
        rows = data.poison(Poison(np.array([[2.0, 0.0], [0.0, 3.0]]), [1, -1], []))
        assert rows == [f"1 {first}:2.0".encode(), f"-1 {first + 1}:3.0".encode()]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("1 1:2\nx y:z\n", ["at line 2"]),
        ("1 1:2\n1 2:nan\n", ["nan", "row 2, column 2"]),
        ("1 1:2\n1 3:1 2:1\n", ["cannot be parsed"]),
        ("1 1:2\n1 -3:1\n", ["at line 2"]),
        ("1 1:2\n0 999999999:1\n", ["at most 10,000,000 columns"]),
        ("1 1:2\n0 99999999999999999999:1\n", ["cannot be parsed"]),
        ("# nothing\n", ["no rows"]),
        ("nan 1:2\n1 1:2\n", ["no label in row 1"]),
    ],
    ids=range(8),
)
def test_svmlight_that_cannot_be_used_is_refused(tmp_path, content, parts):
    refused(written(tmp_path, content, "rows.svm"), *parts)


# Words


WORDS = "a,colour,note,y\n1,red,the old fox,0\n2,blue,the new dog,1\n3,red,old dog,0\n"


def test_words_become_categories(tmp_path):
    data = table(tmp_path, WORDS, drop=("note",))
    encoder = data.encoder(np.arange(3), Encoding())
    assert encoder.names == ["a", "colour=blue", "colour=red"]
    np.testing.assert_array_equal(
        encoder.transform(data, np.arange(3)), [[1, 0, 1], [2, 1, 0], [3, 0, 1]]
    )


@pytest.mark.parametrize("suffix", ["svm", "npz"])
def test_columns_without_names_cannot_be_dropped(tmp_path, suffix):
    path = written(tmp_path, "1 1:2\n0 1:3\n", f"rows.{suffix}")
    if suffix == "npz":
        np.savez(path, X=np.eye(2), y=[0, 1])
    refused(path, "no named columns", "--drop", drop=("1",))


MISSING = ["NA", "None", "null", "NaN", "n/a", "nan", "NULL", "#N/A"]


@pytest.mark.parametrize("word", MISSING)
def test_words_that_mean_nothing_elsewhere_are_words(tmp_path, word):
    # Namibia's code is NA, and "None" may be an answer.
    data = table(tmp_path, f"a,land,y\n1,{word},{word}\n2,US,1x\n3,,{word}\n")
    encoder = data.encoder(np.arange(3), Encoding())
    names = sorted(["", word, "US"])
    assert encoder.names == ["a", *(f"land={name or 'missing'}" for name in names)]
    encoded = encoder.transform(data, np.arange(3))[:, 1:]
    assert [names[j] for j in encoded.argmax(axis=1)] == [word, "US", ""]
    assert data.labels.texts.tolist() == [word, "1x", word]
    # A file that holds nothing else speaks of the same categories and labels.
    path = written(tmp_path, f"a,land,y\n1,{word},{word}\n", "test.csv")
    test = load_test(path, data, Options())
    assert test.labels.texts.tolist() == [word]
    np.testing.assert_array_equal(
        encoder.transform(test, np.arange(1))[:, 1:], encoded[:1]
    )


@pytest.mark.parametrize("word", MISSING)
def test_rows_with_words_that_mean_nothing_elsewhere_are_written_as_they_came(
    tmp_path, word
):
    data = table(tmp_path, f"a,land,y\n1,{word},{word}\n2,US,1x\n")
    taken = data.taken(np.array([0]), {})
    assert taken.to_pylist() == [{"a": "1", "land": word, "y": word}]


def test_labels_of_test_rows_are_read_as_words_where_the_training_labels_are(tmp_path):
    data = table(tmp_path, "a,y\n1,01\n2,x\n3,1\n")
    path = written(tmp_path, "a,y\n1,01\n2,1\n", "test.csv")
    test = load_test(path, data, Options())
    assert test.labels.texts.tolist() == ["01", "1"]


def test_categories_come_from_the_rows_to_learn_from_only(tmp_path):
    data = table(tmp_path, WORDS, drop=("note",))
    encoder = data.encoder(np.array([0, 2]), Encoding())
    np.testing.assert_array_equal(encoder.transform(data, np.array([1])), [[2, 0]])


def test_numbers_are_categories_where_that_is_said(tmp_path):
    content = "zip,y\n01234,0\n1234,1\n99,0\n"
    encoding = Encoding(categorical=("zip",))
    data = table(tmp_path, content, words=("zip",))
    encoder = data.encoder(np.arange(3), encoding)
    assert encoder.names == ["zip=01234", "zip=1234", "zip=99"]


def test_test_file_keeps_words_that_look_like_numbers(tmp_path):
    data = table(tmp_path, "c,y\nx1,0\n07,1\nx2,1\n")
    test = load_test(written(tmp_path, "c,y\n07,1\n", "t.csv"), data, Options())
    encoder = data.encoder(np.arange(3), Encoding())
    np.testing.assert_array_equal(encoder.transform(test, np.arange(1)), [[1, 0, 0]])


@pytest.mark.parametrize(
    ("weights", "vectorizer"), [("counts", CountVectorizer), ("tfidf", TfidfVectorizer)]
)
def test_text_is_that_of_scikit_learn(tmp_path, weights, vectorizer):
    data = table(tmp_path, WORDS, drop=("colour",))
    read = matrix(data, Encoding(text=("note",), weights=weights))
    assert sparse.issparse(read)
    texts = ["the old fox", "the new dog", "old dog"]
    wanted = vectorizer().fit_transform(texts).toarray()
    np.testing.assert_allclose(read.toarray()[:, 1:], wanted)
    np.testing.assert_array_equal(read.toarray()[:, 0], [1, 2, 3])


def test_text_may_hold_line_breaks_and_delimiters(tmp_path):
    content = 'note,y\n"one, two\nthree ""four""",0\n"five",1\n'
    data = table(tmp_path, content)
    encoder = data.encoder(np.arange(2), Encoding(text=("note",)))
    assert encoder.names == [f"note:{w}" for w in "five four one three two".split()]


def test_line_breaks_in_cells_do_not_depend_on_where_they_fall(tmp_path):
    # Long enough to be read in several blocks, whose ends fall anywhere.
    rows = "".join(f'"{"x" * (i % 7)}\n{i % 3}",{i % 2}\n' for i in range(700_000))
    data = table(tmp_path, "note,y\n" + rows)
    assert len(data) == 700_000
    assert data.labels.codes.tolist() == [0, 1] * 350_000


def test_many_categories_are_sparse_and_few_are_dense(tmp_path):
    rows = "".join(f"{i}.5,k{i % 50},{i % 2}\n" for i in range(200))
    many = matrix(table(tmp_path, "a,c,y\n" + rows))
    assert sparse.issparse(many)
    assert many.shape == (200, 51)
    few = matrix(table(tmp_path, WORDS, drop=("note",)))
    assert isinstance(few, np.ndarray)


@pytest.mark.parametrize(
    ("n_columns", "n_categories", "numeric", "thin"),
    [
        # Of four columns of zeros and ones, one is not zero: a quarter is not thin.
        (1, 4, False, False),
        (1, 5, False, True),
        (2, 4, False, False),
        (2, 5, False, True),
        # A column of numbers is filled.
        (1, 5, True, False),
        (1, 7, True, False),
        (1, 8, True, True),
    ],
)
def test_rows_are_sparse_where_less_than_a_quarter_is_filled(
    tmp_path, n_columns, n_categories, numeric, thin
):
    names = ["a"] * numeric + [f"c{j}" for j in range(n_columns)] + ["y"]
    lines = [",".join(names)]
    for i in range(40):
        cells = [f"w{i % n_categories}"] * n_columns
        lines.append(",".join([f"{i}.5"] * numeric + cells + [str(i % 2)]))
    data = table(tmp_path, "\n".join(lines))
    assert sparse.issparse(matrix(data)) == thin


def words_table(tmp_path, cells):
    lines = [f"{cell},{i % 2}" for i, cell in enumerate(cells)]
    return written(tmp_path, "\n".join(["c,y", *lines]), "words.csv")


def test_four_of_five_cells_are_numbers_with_slips(tmp_path):
    def words_of(numbers, n_slips, slip="one"):
        cells = [*numbers, *[slip] * n_slips]
        return load(words_table(tmp_path, cells))

    numbers = [f"{i % 9}.5" for i in range(80)]
    slips = words_of(numbers, 20)
    X = matrix(slips)
    (column,) = slips.plan(Encoding()).columns
    assert (column.missing, column.wrong) == (20, 20)
    assert column.note == "20 cells are taken as missing: 'one'"
    np.testing.assert_array_equal(X[80:], [[np.median(X[:80, 0]), 1]] * 20)
    assert matrix(words_of(numbers, 21)).shape[1] == 10
    # Cells that say that there is no value are no slips, however many there are.
    assert matrix(words_of(numbers, 210, "n/a")).shape == (290, 2)
    commas = [f'"{i % 9},5"' for i in range(80)]
    with pytest.raises(DataError, match="such as 0,5; say --decimal-comma"):
        matrix(words_of(commas, 20))
    assert matrix(words_of(commas, 21)).shape[1] == 10


def read_of(tmp_path, cells):
    """How words are read that stand beside numbers."""
    lines = [f"{cell},{i % 7}.5,{i % 2}" for i, cell in enumerate(cells)]
    data = load(written(tmp_path, "\n".join(["c,a,y", *lines]), "words.csv"))
    return data.plan(Encoding()).columns[0], matrix(data)


def test_many_different_words_are_identifiers_text_or_the_frequent_ones(tmp_path):
    def differing(n_words, n_rows, text="w{}"):
        return read_of(tmp_path, [text.format(i % n_words) for i in range(n_rows)])

    column, X = differing(100, 200)
    assert column.read_as == "categories" and X.shape[1] == 101
    column, X = differing(100, 100)
    assert column.read_as == "left out" and X.shape[1] == 1
    assert "identifier" in column.note and column.option.startswith("--feature c or")
    column, X = differing(120, 240)
    assert X.shape[1] == 1 and "none of which occurs 5 times" in column.note
    column, X = differing(120, 600)
    assert X.shape[1] == 102 and column.note.startswith("120 different values: the 100")
    assert np.sum(X.toarray()[:, -1]) == 0 or column.rare.startswith("w")
    column, X = differing(120, 240, "chief of staff {}a")
    assert column.read_as == "text" and X.shape[1] == 1 + 123
    column, X = differing(240, 240, "how to read row {}a")
    assert column.read_as == "text"
    assert "their words, at most the 300 most frequent" in column.note


def test_strings_of_digits_in_parquet_are_categories(tmp_path):
    path = tmp_path / "rows.parquet"
    parquet.write_table(pa.table({"zip": ["01", "1", "01"], "y": [0, 1, 0]}), path)
    data = load(path)
    encoder = data.encoder(np.arange(3), Encoding())
    assert encoder.names == ["zip=01", "zip=1"]


def test_what_was_said_of_columns_wins(tmp_path):
    slips = "a,y\n" + "".join(f"{i},0\n" for i in range(20)) + "?,1\n"
    path = written(tmp_path, slips, "slips.csv")
    assert matrix(load(path)).shape == (21, 2)
    assert matrix(load(path), Encoding(categorical=("a",))).shape == (21, 21)
    names = "name,y\n" + "".join(f"n{i},{i % 2}\n" for i in range(300))
    path = written(tmp_path, names, "names.csv")
    refused(path, "no column left to judge rows by: 'name' holds a word of its own")
    assert matrix(load(path), Encoding(text=("name",))).shape == (300, 300)
    assert matrix(load(path), Encoding(categorical=("name",))).shape == (300, 300)
    assert matrix(load(path), Encoding(features=("name",))).shape == (300, 101)
    times = written(tmp_path, "t,y\n2020-01-01,0\n2020-01-02,1\n", "times.csv")
    assert matrix(load(times)).tolist() == [[18262, 2], [18263, 3]]
    refused(times, "'t' holds dates", encoding=Encoding(dates="drop"))


def test_wrong_names_of_columns_are_refused(tmp_path):
    path = written(tmp_path, WORDS, "rows.csv")
    refused(path, "'colr'", encoding=Encoding(categorical=("colr",)))
    refused(path, "'txt'", encoding=Encoding(text=("txt",)))
    empty = written(tmp_path, "note,y\n-,0\n!,1\n", "empty.csv")
    refused(empty, "'note' cannot be taken as text", encoding=Encoding(text=("note",)))
    np.savez(tmp_path / "x.npz", X=np.eye(2), y=[0, 1])
    refused(
        tmp_path / "x.npz", "no named columns", encoding=Encoding(categorical=("1",))
    )


# Scales


def test_scales_are_measured_on_the_rows_to_learn_from(tmp_path):
    data = table(tmp_path, "a,b,y\n1,5,0\n3,5,1\n1000,7,1\n")
    standard = data.encoder(np.arange(2), Encoding("standard"))
    np.testing.assert_allclose(
        standard.transform(data, np.arange(3)), [[-1, 0], [1, 0], [998, 2]]
    )
    largest = data.encoder(np.arange(2), Encoding("maxabs"))
    np.testing.assert_allclose(
        largest.transform(data, np.arange(2)), [[1 / 3, 1], [1, 1]]
    )


@pytest.mark.parametrize("kind", ["standard", "maxabs"])
def test_scales_are_undone(tmp_path, kind):
    data = table(tmp_path, WORDS, drop=("note",))
    encoder = data.encoder(np.arange(3), Encoding(kind))
    undone = encoder.unscale(encoder.transform(data, np.arange(3)))
    np.testing.assert_allclose(undone[:, 0], [1, 2, 3])
    np.testing.assert_array_equal(undone[:, 2], [1, 0, 1])


def test_scaling_leaves_the_data_alone(tmp_path):
    np.savez(tmp_path / "x.npz", X=np.diag([2.0, 4.0]), y=[0, 1])
    data = load(tmp_path / "x.npz")
    np.testing.assert_array_equal(matrix(data, Encoding("maxabs")), np.eye(2))
    np.testing.assert_array_equal(data.X, np.diag([2.0, 4.0]))


def test_sparse_rows_are_scaled_without_being_filled(tmp_path):
    data = load(written(tmp_path, "0 1:2 2:-8\n1 2:4\n", "rows.svm"))
    scaled = matrix(data, Encoding("maxabs"))
    np.testing.assert_array_equal(scaled.toarray(), [[1, -1], [0, 0.5]])
    refused(tmp_path / "rows.svm", "maxabs", encoding=Encoding("standard"))
