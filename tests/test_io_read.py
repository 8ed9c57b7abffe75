"""Reading labelled data: what comes out, and what is refused."""

import io
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import dump_svmlight_file

pytest.importorskip("pyarrow")

from skpoison._io import DataError, load
from skpoison._io.encode import Encoding
from skpoison._io.labels import Labels
from skpoison._io.read import Options, load_test


def matrix(data, rows=None):
    rows = np.arange(len(data)) if rows is None else rows
    return data.encoder(rows, Encoding()).transform(data, rows)


def text(tmp_path, content, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path, *parts, **options):
    with pytest.raises(DataError) as caught:
        matrix(load(path, Options(**options)))
    for part in parts:
        assert part in str(caught.value)


def test_csv_becomes_numbers_and_labels(tmp_path):
    path = text(
        tmp_path, "a,b,label\n1,2.5,x\n-3,4e2,y\n0,true,x\n".replace("true", "1")
    )
    data = load(path)
    assert data.columns == ["a", "b"]
    np.testing.assert_array_equal(matrix(data), [[1, 2.5], [-3, 400], [0, 1]])
    assert data.labels.values == ["x", "y"]
    assert data.labels.codes.tolist() == [0, 1, 0]


def test_rows_are_encoded_in_the_order_asked_for(tmp_path):
    data = load(text(tmp_path, "a,y\n1,0\n2,1\n3,0\n"))
    np.testing.assert_array_equal(matrix(data, np.array([2, 0])), [[3], [1]])


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffa,b,y\r\n1,2,0\r\n3,4,1\r\n",
        "a;b;y\n1;2;0\n3;4;1\n",
        "a|b|y\n1|2|0\n3|4|1",
        '"a","b","y"\n"1","2","0"\n\n3,4,1\n',
    ],
    ids=["bom-crlf", "semicolons", "bars", "quotes-and-empty-line"],
)
def test_dialects_of_csv_are_read_alike(tmp_path, content):
    data = load(text(tmp_path, content))
    np.testing.assert_array_equal(matrix(data), [[1, 2], [3, 4]])
    assert data.labels.values == [0, 1]


def test_no_header_counts_the_columns(tmp_path):
    path = text(tmp_path, "1,2.5,0\n3,4.5,1\n")
    refused(path, "line of numbers", "--no-header")
    data = load(path, Options(header=False, target="3"))
    np.testing.assert_array_equal(matrix(data), [[1, 2.5], [3, 4.5]])


def test_counted_columns_are_a_header(tmp_path):
    data = load(text(tmp_path, "0,1,2\n5,6,0\n7,8,1\n"), Options(target="2"))
    np.testing.assert_array_equal(matrix(data), [[5, 6], [7, 8]])


def test_target_is_found_by_name_or_asked_for(tmp_path):
    assert load(text(tmp_path, "Label,a\n0,1\n1,2\n")).labels.name == "Label"
    refused(text(tmp_path, "a,b\n0,1\n1,2\n"), "--target", "'a' and 'b'")
    refused(text(tmp_path, "y,label\n0,1\n1,2\n"), "--target")
    refused(text(tmp_path, "a,y\n0,1\n"), "no target column 'z'", target="z")


def test_dropped_columns_are_left_out(tmp_path):
    path = text(tmp_path, "id,a,y\nu1,1,0\nu2,2,1\n")
    assert load(path, Options(drop=("id",))).columns == ["a"]
    refused(path, "has no column 'ID'", drop=("ID",))
    refused(path, "no columns beside 'y'", drop=("id", "a"))


@pytest.mark.parametrize("cell", ["", "NaN", "inf", "-inf", "?", "n/a"])
def test_cells_that_are_no_number_are_missing(tmp_path, cell):
    path = text(tmp_path, f"a,b,y\n1,2,0\n3,{cell},1\n5,8,0\n")
    np.testing.assert_array_equal(matrix(load(path)), [[1, 2, 0], [3, 5, 1], [5, 8, 0]])


def test_missing_label_is_named(tmp_path):
    refused(text(tmp_path, "a,y\n1,0\n2,\n3,1\n"), "no label in data row 2")
    refused(text(tmp_path, "a,y\n1,u\n2,v\n3,\n"), "no label in data row 3")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("a,y\n", "no rows"),
        ("\na,y\n1,2\n", "empty line"),
        ("a,y\n1,0\n2\n", "Expected 2 columns, got 1"),
        ("a,y\n1,0\n2,1,7\n", "Expected 2 columns, got 3"),
        ("a,a,y\n1,2,0\n", "same name: 'a'"),
        ('a,"y\n1,0\n', "cannot be parsed"),
        (b"a\xff,y\n1,0\n", "UTF-8"),
        (b"a,y\n1,\x00\x01\n", "zero bytes"),
        ("a,y\n1,0\n".encode("utf-16"), "UTF-16"),
        ("a,y\n" + "1" * (9 << 20) + ",0\n1,0\n", "line longer than"),
        ("a" * (5 << 20) + ",y\n", "first line is longer than 4 MB"),
    ],
    ids=range(12),
)
def test_text_that_is_no_table_is_refused(tmp_path, content, message):
    refused(text(tmp_path, content), message)


def test_wrong_line_is_named_by_its_number(tmp_path):
    rows = ["1,0"] * 50 + ["1,0,9"] + ["1,0"] * 50
    refused(text(tmp_path, "\n".join(["a,y", *rows])), "52")


def test_paths_that_are_no_file(tmp_path):
    refused(tmp_path / "missing.csv", "There is no file")
    refused(tmp_path, "is a folder")


def test_float32_stays_float32_and_small_integers_become_it(tmp_path):
    y = np.array([0, 1])
    for dtype, wanted in [("u1", "f4"), ("f4", "f4"), ("f8", "f8"), ("i8", "f8")]:
        np.savez(tmp_path / "x.npz", X=np.eye(2, dtype=dtype), y=y)
        assert matrix(load(tmp_path / "x.npz")).dtype == wanted


def test_npz_images_become_rows(tmp_path):
    X = np.arange(12.0).reshape(2, 2, 3)
    np.savez(tmp_path / "x.npz", X=X, y=["a", "b"])
    data = load(tmp_path / "x.npz")
    np.testing.assert_array_equal(matrix(data), X.reshape(2, 6))
    assert data.labels.values == ["a", "b"]


@pytest.mark.parametrize("prefix", ["", "train_"])
def test_npz_holds_sparse_rows(tmp_path, prefix):
    X = sparse.random_array((6, 5), density=0.4, format="csr", rng=0)
    parts = {"data": X.data, "indices": X.indices, "indptr": X.indptr}
    parts |= {"shape": X.shape, "y": np.arange(6) % 2}
    names = {k if k == "y" else prefix + k: v for k, v in parts.items()}
    np.savez(tmp_path / "x.npz", **names)
    read = matrix(load(tmp_path / "x.npz"))
    assert sparse.issparse(read)
    np.testing.assert_array_equal(read.toarray(), X.toarray())


def npz(tmp_path, **arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    return tmp_path / "x.npz"


def test_npz_that_does_not_hold_labelled_rows(tmp_path):
    X, y = np.eye(3), np.arange(3)
    refused(npz(tmp_path, A=X, y=y), "'A' and 'y'", "X_train")
    refused(npz(tmp_path, X=X, y=y), "no target array 'z'", target="z")
    refused(npz(tmp_path, X=X, y=y[:2]), "3 rows but 2 labels")
    refused(npz(tmp_path, X=X, y=X), "one-dimensional")
    refused(npz(tmp_path, X=X.astype(complex), y=y), "complex")
    refused(npz(tmp_path, X=X[0], y=y), "rows and columns")
    X[1, 2] = np.nan
    refused(npz(tmp_path, X=X, y=y), "nan", "row 2, column 3")
    refused(npz(tmp_path, X=np.eye(3), y=np.array([0, np.nan, 1])), "no label in row 2")


def test_npz_with_python_objects_is_never_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, ("import sys; sys.skpoison_bomb = True",))

    path = npz(tmp_path, X=np.array([[Bomb()]], dtype=object), y=np.zeros(1))
    refused(path, "Python objects", "run code")
    assert not hasattr(sys, "skpoison_bomb")


def sparse_npz(tmp_path, **changes):
    parts = {
        "data": np.ones(2),
        "indices": np.array([0, 1], np.int32),
        "indptr": np.array([0, 1, 2], np.int32),
        "shape": np.array([2, 2]),
        "y": np.array([0, 1]),
    }
    return npz(tmp_path, **(parts | changes))


def test_sparse_npz_with_wild_indices_is_refused(tmp_path):
    assert matrix(load(sparse_npz(tmp_path))).shape == (2, 2)
    refused(sparse_npz(tmp_path, indices=np.array([0, 10**6], np.int32)), "cannot")
    refused(sparse_npz(tmp_path, indices=np.array([0, -5], np.int32)), "cannot")
    refused(sparse_npz(tmp_path, indptr=np.array([0, 9, 2], np.int32)), "cannot")
    refused(sparse_npz(tmp_path, shape=np.array([2, 10**12])), "columns; at most")
    refused(sparse_npz(tmp_path, format="csc"), "save it as csr")
    refused(sparse_npz(tmp_path, data=np.array([1.0, np.inf])), "row 2, column 2")


def test_npz_that_lies_about_its_size_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**3)}
    )
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", header.getvalue() + bytes(64))
    refused(path, "damaged")


def test_npz_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, X=np.zeros((1000, 2500)), y=np.arange(1000) % 2)
    refused(path, "unpacks to 0.02 GB", "--max-size", max_size=0.01)
    assert len(load(path, Options(max_size=0.1))) == 1000


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_damaged_npz_is_refused(tmp_path, keep):
    path = npz(
        tmp_path, X=np.random.default_rng(0).normal(size=(50, 5)), y=np.arange(50)
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content))])
    refused(path, "cannot be read")
    flipped = bytearray(content)
    flipped[600] ^= 255
    path.write_bytes(flipped)
    refused(path, "cannot be read")


def test_names_that_do_not_fit_the_content_are_refused(tmp_path):
    refused(text(tmp_path, "a,y\n1,0\n", "x.npz"), "is not NPZ")
    np.savez(tmp_path / "y.npz", X=np.eye(2), y=[0, 1])
    (tmp_path / "y.npz").rename(tmp_path / "y.csv")
    refused(tmp_path / "y.csv", "--format npz")


def test_test_data_follow_the_training_data(tmp_path):
    data = load(text(tmp_path, "a,b,y\n1,2,u\n3,4,v\n"))
    path = text(tmp_path, "b,y,a\n20,v,10\n", "test.csv")
    test = load_test(path, data, Options())
    encoder = data.encoder(np.arange(2), Encoding())
    np.testing.assert_array_equal(encoder.transform(test, np.arange(1)), [[10, 20]])
    assert test.labels.codes.tolist() == [1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,y\n1,u\n", "has no column 'b'"),
        ("a,b,y\n1,2,w\n", "labels that the training data do not have: 'w'"),
        ("a,b,z\n1,2,u\n", "no target column 'y'"),
        ("a,b,y\n1,x,u\n", "'b'"),
    ],
)
def test_test_data_that_do_not_fit_are_refused(tmp_path, content, message):
    data = load(text(tmp_path, "a,b,y\n1,2,u\n3,4,v\n"))
    path = text(tmp_path, content, "test.csv")
    with pytest.raises(DataError, match=message):
        test = load_test(path, data, Options())
        data.encoder(np.arange(2), Encoding()).transform(test, np.arange(1))


def test_labels_match_whatever_number_they_are_written_as():
    train = Labels.of_array("y", np.array([1.0, -1.0]))
    test = Labels.of_array("y", np.array([-1, 1, 1]))
    assert train.matched(test).codes.tolist() == [0, 1, 1]
    assert train.binary("1").positive == 1.0
    assert train.binary("1.0").positive == 1.0


@pytest.mark.parametrize("data", ["digits", "csv", "svmlight"])
def test_certify_begins_in_a_process_that_has_imported_nothing(data, tmp_path):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 20)
    X = rng.normal(size=(40, 2)) + y[:, None]
    path = tmp_path / data
    if data == "csv":
        lines = [f"{a},{b},{label}" for (a, b), label in zip(X, y, strict=True)]
        path.write_text("\n".join(["a,b,label", *lines]))
    elif data == "svmlight":
        dump_svmlight_file(X, y, str(path))
    arguments = [] if data == "digits" else [str(path), "--format", data]
    command = [sys.executable, "-m", "skpoison", "certify", "-e", "0.1", *arguments]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert "upper bound" in found.stdout
