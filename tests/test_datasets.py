"""Loaders of public data sets, on small files in their formats."""

import gzip
import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from sklearn.utils import Bunch

from skpoison.datasets import _images as images_module
from skpoison.datasets import load_cifar10, load_mnist, load_tiny_imagenet
from skpoison.datasets._pickles import load_plain


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def check(data, X_train, y_train, X_test, y_test):
    assert isinstance(data, Bunch)
    assert data.X_train.dtype == np.float32
    assert data.y_train.dtype == data.y_test.dtype == np.int64
    np.testing.assert_allclose(data.X_train, X_train / 255, atol=1e-7)
    np.testing.assert_allclose(data.X_test, X_test / 255, atol=1e-7)
    np.testing.assert_array_equal(data.y_train, y_train)
    np.testing.assert_array_equal(data.y_test, y_test)


# MNIST.


def mnist():
    digits = np.array([3, 1, 4, 1, 5], dtype=np.uint8)
    return pixels(5, 784), digits, pixels(2, 784, seed=1), digits[:2]


def as_images(X):
    return X.reshape(-1, 1, 28, 28)


@pytest.mark.parametrize("letter", ["X", "x"])
@pytest.mark.parametrize("shape", [(-1, 784), (-1, 28, 28)])
def test_mnist_from_npz(tmp_path, letter, shape):
    X, y, X_test, y_test = mnist()
    parts = {f"{letter}_train": X.reshape(shape), f"{letter}_test": X_test}
    np.savez(tmp_path / "mnist.npz", y_train=y, y_test=y_test, **parts)
    data = load_mnist(tmp_path / "mnist.npz")
    check(data, as_images(X), y, as_images(X_test), y_test)
    raw = load_mnist(str(tmp_path / "mnist.npz"), scale=False)
    assert raw.X_train.dtype == np.uint8


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(
        f">{array.ndim}I", *array.shape
    ) + array.tobytes()  # fmt: skip


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_from_idx(tmp_path, packed):
    X, y, X_test, y_test = mnist()
    files = {
        "train-images-idx3-ubyte": X.reshape(-1, 28, 28),
        "train-labels-idx1-ubyte": y,
        "t10k-images-idx3-ubyte": X_test.reshape(-1, 28, 28),
        "t10k-labels-idx1-ubyte": y_test,
    }
    for name, array in files.items():
        path = tmp_path / f"{name}{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    check(load_mnist(tmp_path), as_images(X), y, as_images(X_test), y_test)


def test_mnist_from_openml_is_split_as_published(monkeypatch):
    def fetch(name, version, as_frame, return_X_y):
        assert (name, version, as_frame, return_X_y) == ("mnist_784", 1, False, True)
        y = np.arange(60_003) % 10
        return np.repeat(y[:, None] * 20.0, 784, axis=1).astype("uint8"), y.astype(str)

    monkeypatch.setattr(images_module, "fetch_openml", fetch)
    data = load_mnist(scale=False)
    assert data.X_train.shape == (60_000, 1, 28, 28)
    assert data.y_test.tolist() == [0, 1, 2]
    assert data.X_test[:, 0, 0, 0].tolist() == [0, 20, 40]


@pytest.mark.parametrize(
    "junk",
    [b"", b"\0\0\x08\x03", idx(pixels(5, 28, 28))[:-1], idx(pixels(5)), b"x" * 90],
)
def test_broken_idx_files_are_refused(tmp_path, junk):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(junk)
    with pytest.raises(ValueError, match=rf"{path} is no IDX file .*: it "):
        load_mnist(tmp_path)


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


def test_broken_packed_files_are_refused(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    whole = gzip.compress(idx(pixels(5, 28, 28)), mtime=0)
    for junk in (b"", b"junk" * 9, whole[:-900], flipped(whole, 900), whole + b"x"):
        path.write_bytes(junk)
        with pytest.raises(ValueError, match=rf"{path} is no IDX file .*: \w"):
            load_mnist(tmp_path)


def test_broken_npz_files_are_refused(tmp_path):
    path = tmp_path / "mnist.npz"
    X, y, X_test, y_test = mnist()
    np.savez(path, X_train=X, y_train=y, X_test=X_test, y_test=y_test)
    whole = path.read_bytes()
    broken = [flipped(whole, place) for place in (0, 200, len(whole) - 10)]
    for junk in (b"", b"junk" * 9, whole[: len(whole) // 2], *broken):
        path.write_bytes(junk)
        with pytest.raises(ValueError, match=rf"{path} is no NPZ file") as caught:
            load_mnist(path)
        assert "pickle" not in str(caught.value)
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(ValueError, match="it is no zip archive"):
        load_mnist(tmp_path / "one.npy")


@pytest.mark.parametrize(
    "changed",
    [
        {"X_train": pixels(5, 700)},
        {"X_train": pixels(5, 784) / 255},
        {"y_train": np.arange(5)[:, None]},
        {"y_train": np.arange(5) / 2},
        {"y_train": np.array(["a"] * 5)},
    ],
)
def test_arrays_that_are_no_mnist_are_refused(tmp_path, changed):
    X, y, X_test, y_test = mnist()
    given = {"X_train": X, "y_train": y, "X_test": X_test, "y_test": y_test} | changed
    np.savez(tmp_path / "mnist.npz", **given)
    with pytest.raises(ValueError, match=r"mnist.npz is no MNIST: \w"):
        load_mnist(tmp_path / "mnist.npz")


def test_what_is_no_mnist_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither (\S+) nor \1.gz"):
        load_mnist(tmp_path)
    with pytest.raises(FileNotFoundError):
        load_mnist(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", X_train=pixels(2, 784))
    with pytest.raises(ValueError, match="lacks"):
        load_mnist(tmp_path / "other.npz")
    objects = np.array([print], dtype=object)
    np.savez(tmp_path / "evil.npz", **dict.fromkeys(images_module.IDX_FILES, objects))
    with pytest.raises(ValueError, match=r"evil.npz .* its 'X_train' is no array"):
        load_mnist(tmp_path / "evil.npz")
    X, y, X_test, y_test = mnist()
    np.savez(
        tmp_path / "short.npz", X_train=X, y_train=y[1:], X_test=X_test, y_test=y_test
    )
    with pytest.raises(ValueError, match="as many labels"):
        load_mnist(tmp_path / "short.npz")


# CIFAR-10.


def python2(batch):
    """A pickle as Python 2 wrote it: protocol 2, bytes as texts of one byte each."""
    protocol_of_today = pickle.dumps(batch, protocol=2)
    text = protocol_of_today.replace(b"numpy._core", b"numpy.core")
    assert text != protocol_of_today or b"numpy" not in text
    return text


def batch_of(seed, n_rows=2):
    data = pixels(n_rows, 3072, seed=seed)
    return {"data": data, "labels": [seed % 10, 3], "batch_label": f"batch {seed}"}


def cifar(folder):
    folder.mkdir()
    names = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]
    for seed, name in enumerate(names):
        (folder / name).write_bytes(python2(batch_of(seed)))
    meta = {"label_names": ["plane", "car"], "num_vis": 3072}
    (folder / "batches.meta").write_bytes(python2(meta))
    return folder


def test_cifar10_as_python_3_writes_it_again(tmp_path):
    folder = cifar(tmp_path / "cifar-10-batches-py")
    plain = load_cifar10(folder)
    for path in folder.iterdir():
        again = pickle.loads(path.read_bytes(), encoding="bytes")
        if path.name == "batches.meta":
            again = {b"label_names": [b"plane", b"car"]}
        path.write_bytes(pickle.dumps(by_bytes(again)))
    again = load_cifar10(folder)
    assert again.label_names == plain.label_names
    np.testing.assert_array_equal(again.X_train, plain.X_train)
    np.testing.assert_array_equal(again.y_test, plain.y_test)


def by_bytes(record):
    return {
        key if isinstance(key, bytes) else key.encode(): record[key] for key in record
    }


def pack(folder, path):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_cifar10(tmp_path, packed):
    path = cifar(tmp_path / "cifar-10-batches-py")
    path = pack(path, tmp_path / "cifar.tar.gz") if packed else path
    data = load_cifar10(path)
    batches = [batch_of(seed) for seed in range(6)]
    X = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
    y = np.concatenate([batch["labels"] for batch in batches])
    check(data, X[:10], y[:10], X[10:], y[10:])
    assert data.label_names == ["plane", "car"]


def test_archives_write_nothing_and_lead_nowhere(tmp_path):
    folder = cifar(tmp_path / "cifar-10-batches-py")
    path = tmp_path / "bad.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, folder.name)
        for name in ("../escaped", "/tmp/escaped-by-tar", "x/../../escaped"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
        # The last member of a name counts in an archive; a link is none.
        link = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    data = load_cifar10(path)
    assert sorted(tmp_path.rglob("*")) == before
    assert data.y_test.tolist() == [5, 3]
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(link)
    with pytest.raises(FileNotFoundError, match="data_batch_1"):
        load_cifar10(path)


@pytest.mark.parametrize(
    "junk",
    [b"", b"junk", gzip.compress(b"junk" * 500)],
    ids=["empty", "text", "compressed"],  # bytes would hold the time of compression
)
def test_what_is_no_archive_is_refused(tmp_path, junk):
    path = tmp_path / "cifar.tar.gz"
    path.write_bytes(junk)
    with pytest.raises(ValueError, match="is no archive"):
        load_cifar10(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        load_cifar10(path)


def test_truncated_archives_are_refused(tmp_path):
    path = pack(cifar(tmp_path / "cifar-10-batches-py"), tmp_path / "cifar.tar.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((ValueError, FileNotFoundError)):
        load_cifar10(path)


def test_a_missing_batch_or_another_pickle_is_refused(tmp_path):
    folder = cifar(tmp_path / "cifar-10-batches-py")
    X = pixels(2, 3072)
    for content, reason in [
        ({"data": [1, 2]}, "it has no 'labels'"),
        ({"data": [1, 2], "labels": [1, 2]}, "no 3072 values each, but list"),
        ([1, 2], "a list in place of a dict"),
        ({"data": X[:, 1:], "labels": [1, 2]}, r"\(2, 3071\)"),
        ({"data": X / 255, "labels": [1, 2]}, "2 images of float64"),
        ({"data": X, "labels": [1]}, "and 1 labels"),
        ({"data": X, "labels": ["a", "b"]}, "invalid literal"),
    ]:
        (folder / "test_batch").write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=rf"{folder}/test_batch is no .*{reason}"):
            load_cifar10(folder)
    (folder / "test_batch").write_bytes(b"junk")
    with pytest.raises(ValueError, match=rf"{folder}/test_batch is refused"):
        load_cifar10(folder)
    (folder / "test_batch").write_bytes(python2(batch_of(5)))
    for content in ([1], {"names": ["a"]}, {"label_names": 3}):
        (folder / "batches.meta").write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match=rf"{folder}/batches.meta is no list"):
            load_cifar10(folder)
    (folder / "test_batch").unlink()
    with pytest.raises(FileNotFoundError):
        load_cifar10(folder)


# Pickles that mean harm.

MARK = []


def harm(*_):
    MARK.append("harmed")


class Reduces:
    def __init__(self, *made_by):
        self.made_by = made_by

    def __reduce__(self):
        return self.made_by


def by_hand(text):
    return text.encode("latin1")


HARMFUL = {
    "a function": pickle.dumps(Reduces(harm, ())),
    "os.system": pickle.dumps(Reduces(__import__("os").system, ("true",))),
    "eval": pickle.dumps(Reduces(eval, ("1 + 1",))),
    "nested": pickle.dumps({"data": [np.arange(3), (Reduces(harm, ()),)]}),
    "as a key": pickle.dumps({Reduces(eval, ("1",)): 1}),
    "getattr": pickle.dumps(Reduces(getattr, (Reduces(harm, ()), "real"))),
    "a dotted name": by_hand("\x80\x04\x8c\x05numpy\x8c\x0cf2py.os.name\x93."),
    "a module": by_hand("cos\nenviron\n."),
    "a class alone": by_hand("cPIL.Image\nImage\n."),
    "a function alone": by_hand("cnumpy\ndtype\n."),
    "state of a function": by_hand(
        "cnumpy.core.multiarray\n_reconstruct\n}(S'_function'\ncnumpy\nload\nsb."
    ),
    "numpy's own tools": by_hand("cnumpy.testing._private.utils\nrunstring\n."),
    "numpy.load": by_hand("cnumpy\nload\n(S'x'\ntR."),
    "an array of objects": pickle.dumps(np.array([harm, 1], dtype=object)),
    "a structure": pickle.dumps(np.zeros(2, dtype="i4,f8")),
    "an array too large": by_hand("cnumpy.core.multiarray\n_reconstruct\n(tR(I1\n(I9"
        "99999999\ntcnumpy\ndtype\n(S'f8'\ntRI00\nS''\ntb."),
    "a codec": by_hand("c_codecs\nencode\n(S'ab'\nS'zip'\ntR."),
    "a persistent id": by_hand("Pid\n."),
    "a loop": by_hand("(lp0\ng0\na."),
    "a deep pile": by_hand("(l" * 5000 + "a" * 4999 + "."),
    "a number of classes": by_hand("\x82\x01."),
    "empty": b"",
    "junk": pixels(300).tobytes(),
    "cut off": pickle.dumps(pixels(4, 4))[:-40],
    "a long line": by_hand("I" + "9" * 6000 + "\n."),
}  # fmt: skip


@pytest.mark.parametrize("kind", HARMFUL)
def test_harmful_pickles_are_refused_and_nothing_happens(kind):
    MARK.clear()
    with pytest.raises(ValueError, match=r"^file is refused"):
        load_plain(io.BytesIO(HARMFUL[kind]), "file")
    assert MARK == []


def test_the_harm_is_real_without_the_guard():
    MARK.clear()
    pickle.loads(HARMFUL["a function"])
    assert MARK == ["harmed"]


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=">i4").reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array([True, False]),
        np.array(2.5, dtype=np.float16),
        np.zeros((0, 3)),
        np.array([1 + 2j]),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_come_through(protocol, array):
    data = {"a": [array, (array.T, "text")], b"b": np.float32(0.5), 3: None}
    found = load_plain(io.BytesIO(pickle.dumps(data, protocol)), "file")
    np.testing.assert_array_equal(found["a"][0], array)
    assert found["a"][0].dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found["a"][1][0], array.T)
    assert found["a"][1][1] == "text"
    assert found[b"b"] == 0.5
    assert found[3] is None


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3)])
def test_images_come_through(protocol, shape):
    Image = pytest.importorskip("PIL.Image")
    array = pixels(*shape)
    data = pickle.dumps([(Image.fromarray(array), 3)], protocol)
    ((found, label),) = load_plain(io.BytesIO(data), "file")
    np.testing.assert_array_equal(found, array)
    assert label == 3


# Tiny ImageNet.


def tiny(folder):
    """Two classes; images of one color, which compression leaves nearly alone."""
    Image = pytest.importorskip("PIL.Image")
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("n02\nn01\n")
    marks = []
    for code, name in enumerate(("n01", "n02")):
        images = folder / "train" / name / "images"
        images.mkdir(parents=True)
        for number in range(2):
            color = (100 * code, 50 * number, 7)
            file = images / f"{name}_{number}.JPEG"
            Image.new("RGB", (64, 64), color).save(file, quality=95)
        Image.new("L", (64, 64), 90 * code).save(folder / f"val/images/v{code}.JPEG")
        marks.append(f"v{code}.JPEG\t{name}\t0\t0\t62\t57\n")
    (folder / "val" / "val_annotations.txt").write_text("".join(reversed(marks)))
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_tiny_imagenet(tmp_path, packed):
    path = tiny(tmp_path / "tiny-imagenet-200")
    if packed:
        path = tmp_path / "tiny.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for file in sorted(tmp_path.rglob("*.*")):
                if file != path:
                    archive.write(file, file.relative_to(tmp_path))
    data = load_tiny_imagenet(path, scale=False)
    assert data.X_train.shape == (4, 3, 64, 64)
    assert data.y_train.tolist() == [0, 0, 1, 1]
    assert data.y_test.tolist() == [0, 1]
    colors = [(0, 0, 7), (0, 50, 7), (100, 0, 7), (100, 50, 7)]
    np.testing.assert_allclose(data.X_train[..., 5, 5], colors, atol=3)
    np.testing.assert_allclose(data.X_test[..., 5, 5], [[0] * 3, [90] * 3], atol=3)
    assert data.label_names == ["n01", "n02"]


def test_what_is_no_tiny_imagenet_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_tiny_imagenet(tmp_path / "none.zip")
    (tmp_path / "junk.zip").write_bytes(b"junk")
    with pytest.raises(ValueError, match="no zip archive"):
        load_tiny_imagenet(tmp_path / "junk.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(FileNotFoundError, match=r"wnids.txt"):
        load_tiny_imagenet(tmp_path / "empty.zip")
    with pytest.raises(FileNotFoundError):
        load_tiny_imagenet(tmp_path)


@pytest.mark.parametrize("junk", [b"", b"junk", "cut", "small"])
def test_broken_images_are_named(tmp_path, junk):
    Image = pytest.importorskip("PIL.Image")
    path = tiny(tmp_path / "tiny") / "train/n01/images/n01_1.JPEG"
    if junk == "small":
        Image.new("RGB", (1, 1)).save(path)
    else:
        path.write_bytes(path.read_bytes()[:-200] if junk == "cut" else junk)
    with pytest.raises(ValueError, match=rf"{path} is no image of 64 x 64 pixels"):
        load_tiny_imagenet(tmp_path / "tiny")


@pytest.mark.parametrize("marks", [b"v0.JPEG\tn77\t0", b"junk", b"\xff\xfe"])
def test_labels_that_cannot_be_read_are_named(tmp_path, marks):
    path = tiny(tmp_path / "tiny") / "val/val_annotations.txt"
    path.write_bytes(marks)
    with pytest.raises(ValueError, match=rf"{path} is no"):
        load_tiny_imagenet(tmp_path / "tiny")


def test_broken_zip_archives_are_refused(tmp_path):
    path = tmp_path / "tiny.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny-imagenet-200/wnids.txt", "n01\n" * 50)
    path.write_bytes(flipped(path.read_bytes(), 100))
    with pytest.raises(ValueError, match=rf"{path} is no whole zip archive: Bad CRC"):
        load_tiny_imagenet(path)
