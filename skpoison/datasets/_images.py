"""MNIST, CIFAR-10 and Tiny ImageNet from the files that they are published as."""

import gzip
import io
import math
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch

from skpoison.datasets._pickles import load_plain

N_MNIST_TRAIN = 60_000
IDX_FILES = {
    "X_train": ("train-images-idx3-ubyte", 3),
    "y_train": ("train-labels-idx1-ubyte", 1),
    "X_test": ("t10k-images-idx3-ubyte", 3),
    "y_test": ("t10k-labels-idx1-ubyte", 1),
}
CIFAR_BATCHES = {
    "train": [f"data_batch_{number}" for number in range(1, 6)],
    "test": ["test_batch"],
}


def load_mnist(path=None, *, scale=True):
    """Load MNIST, images of handwritten digits.

    Parameters
    ----------
    path : str or Path, default=None
        An ``.npz`` file with ``X_train`` (or ``x_train``), ``y_train``, ``X_test`` (or
        ``x_test``) and ``y_test``, or a folder with the four published files in the IDX
        format, as they are or with ``.gz``. None fetches it from OpenML, once, by
        :func:`sklearn.datasets.fetch_openml`.
    scale : bool, default=True
        Whether to return pixels as float32 between 0 and 1, or else as uint8.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        ``X_train`` of shape (60000, 1, 28, 28), ``y_train`` of shape (60000,), int64,
        ``X_test`` of shape (10000, 1, 28, 28) and ``y_test`` of shape (10000,).

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path.
    ValueError
        If what is there is something else.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-Based Learning
       Applied to Document Recognition", Proceedings of the IEEE, 1998.

    Examples
    --------
    >>> from skpoison.datasets import load_mnist
    >>> data = load_mnist("mnist.npz")  # doctest: +SKIP
    >>> data.X_train.shape  # doctest: +SKIP
    (60000, 1, 28, 28)
    """
    if path is None:
        parts = _mnist_from_openml()
    elif Path(path).is_dir():
        parts = {name: _read_idx(path, *file) for name, file in IDX_FILES.items()}
    else:
        parts = _mnist_from_npz(Path(path))
    for part in ("train", "test"):
        parts[f"X_{part}"] = parts[f"X_{part}"].reshape(-1, 1, 28, 28)
    return _as_bunch(parts, scale)


def load_cifar10(path, *, scale=True):
    """Load CIFAR-10, color images of ten kinds of things.

    Its files are pickles. They are read by an unpickler that makes arrays, numbers and
    texts only, and nothing is written to disk.

    Parameters
    ----------
    path : str or Path
        The published archive of the Python version, ``cifar-10-python.tar.gz``, or the
        folder in it, ``cifar-10-batches-py``.
    scale : bool, default=True
        Whether to return pixels as float32 between 0 and 1, or else as uint8.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        ``X_train`` of shape (50000, 3, 32, 32), ``y_train`` of shape (50000,), int64,
        ``X_test`` of shape (10000, 3, 32, 32), ``y_test`` of shape (10000,), and
        ``label_names``.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path, or a file is missing there.
    ValueError
        If a file is something else, or asks for more than data.

    References
    ----------
    .. [1] A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

    Examples
    --------
    >>> from skpoison.datasets import load_cifar10
    >>> data = load_cifar10("cifar-10-python.tar.gz")  # doctest: +SKIP
    >>> data.X_train.shape  # doctest: +SKIP
    (50000, 3, 32, 32)
    """
    names = [name for part in CIFAR_BATCHES.values() for name in part]
    files = _files(path, "cifar-10-batches-py", [*names, "batches.meta"])
    parts = {}
    for part, batches in CIFAR_BATCHES.items():
        read = [_cifar_batch(files[name], name) for name in batches]
        parts[f"X_{part}"] = np.concatenate([pixels for pixels, _ in read])
        parts[f"y_{part}"] = np.concatenate([labels for _, labels in read])
    meta = load_plain(io.BytesIO(files["batches.meta"]), "batches.meta")
    return _as_bunch(parts, scale, label_names=list(meta["label_names"]))


def load_tiny_imagenet(path, *, scale=True):
    """Load Tiny ImageNet, color images of 200 kinds of things.

    Needs Pillow. As float32, all of it takes about 5 GB of memory.

    Parameters
    ----------
    path : str or Path
        The published archive, ``tiny-imagenet-200.zip``, or the folder in it.
    scale : bool, default=True
        Whether to return pixels as float32 between 0 and 1, or else as uint8.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        ``X_train`` of shape (100000, 3, 64, 64), ``y_train`` of shape (100000,), int64,
        ``X_test`` of shape (10000, 3, 64, 64) and ``y_test`` of shape (10000,), those
        published for validation, for the others have no labels; and ``label_names``,
        WordNet's identifiers, sorted. Rows are in the order of labels and names.

    Raises
    ------
    FileNotFoundError
        If there is nothing at the path, or a file is missing there.
    ValueError
        If what is there is something else.
    ImportError
        If Pillow is not installed.

    References
    ----------
    .. [1] Y. Le and X. Yang, "Tiny ImageNet Visual Recognition Challenge", 2015.

    Examples
    --------
    >>> from skpoison.datasets import load_tiny_imagenet
    >>> data = load_tiny_imagenet("tiny-imagenet-200.zip")  # doctest: +SKIP
    >>> data.X_train.shape  # doctest: +SKIP
    (100000, 3, 64, 64)
    """
    with _TinyFiles(Path(path)) as files:
        names = sorted(files.text("wnids.txt").split())
        found = {"train": _tiny_train(files, names), "test": _tiny_test(files, names)}
        parts = {}
        for part, marks in found.items():
            parts[f"X_{part}"] = _decoded(files, [file for file, _ in marks])
            parts[f"y_{part}"] = np.array([code for _, code in marks])
    return _as_bunch(parts, scale, label_names=names)


def _as_bunch(parts, scale, **more):
    """Return images and labels, checked, in their final types."""
    for part in ("train", "test"):
        X, y = parts[f"X_{part}"], parts[f"y_{part}"]
        if X.dtype != np.uint8 or len(X) != len(y) or not len(X):
            raise ValueError(
                f"there must be images of 8 bits and as many labels; got {len(X)} of "
                f"{X.dtype} and {len(y)} labels."
            )
        parts[f"X_{part}"] = X / np.float32(255) if scale else X
        parts[f"y_{part}"] = y.astype(np.int64)
    return Bunch(**parts, **more)


def _mnist_from_openml():
    X, y = fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
    X, y = X.astype(np.uint8), y.astype(np.int64)
    return {
        "X_train": X[:N_MNIST_TRAIN],
        "y_train": y[:N_MNIST_TRAIN],
        "X_test": X[N_MNIST_TRAIN:],
        "y_test": y[N_MNIST_TRAIN:],
    }


def _mnist_from_npz(path):
    with np.load(path, allow_pickle=False) as data:
        found = {name.replace("x_", "X_"): data[name] for name in data.files}
    missing = [name for name in IDX_FILES if name not in found]
    if missing:
        raise ValueError(f"{path} lacks {missing}; it has {sorted(found)}.")
    return {name: found[name] for name in IDX_FILES}


def _read_idx(folder, name, n_axes):
    """Read an array of bytes in the IDX format."""
    path = Path(folder) / name
    data = (
        path.read_bytes()
        if path.exists()
        else gzip.decompress(path.with_name(f"{name}.gz").read_bytes())
    )
    header = 4 + 4 * n_axes
    sizes = data[4:header]
    shape = [int.from_bytes(sizes[i : i + 4]) for i in range(0, 4 * n_axes, 4)]
    whole = data[:4] == bytes([0, 0, 8, n_axes]) and len(sizes) == 4 * n_axes
    if not whole or len(data) != header + math.prod(shape):
        raise ValueError(f"{path} is no IDX file of bytes with {n_axes} axes.")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _files(path, folder, names):
    """Return the contents of files in a folder, or in a folder of an archive."""
    path = Path(path)
    if path.is_dir():
        return {name: (path / name).read_bytes() for name in names}
    found = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                # Nothing is unpacked to disk, wherever a member wants to lie.
                head, _, name = member.name.rpartition("/")
                if head == folder and name in names and member.isreg():
                    found[name] = archive.extractfile(member).read()
    except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is no archive: {error}") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise FileNotFoundError(f"{path} has no {folder}/{missing[0]}.")
    return found


def _cifar_batch(data, name):
    """Return images and labels of a batch."""
    batch = load_plain(io.BytesIO(data), name)
    pixels, labels = (batch.get(key) for key in ("data", "labels"))
    if not isinstance(pixels, np.ndarray) or pixels.shape[1:] != (3072,):
        raise ValueError(f"{name} is no batch of CIFAR-10.")
    return pixels.reshape(-1, 3, 32, 32), np.asarray(labels, dtype=np.int64)


def _tiny_train(files, names):
    return [
        (file, code)
        for code, name in enumerate(names)
        for file in files.in_folder(f"train/{name}/images")
    ]


def _tiny_test(files, names):
    lines = files.text("val/val_annotations.txt").splitlines()
    marks = [line.split("\t")[:2] for line in lines]
    found = [(names.index(name), f"val/images/{file}") for file, name in marks]
    return [(file, code) for code, file in sorted(found)]


class _TinyFiles:
    """Files of Tiny ImageNet, in a folder or an archive."""

    def __init__(self, path):
        self.path, self.archive = path, None
        if not path.is_dir():
            try:
                self.archive = zipfile.ZipFile(path)
            except zipfile.BadZipFile as error:
                raise ValueError(f"{path} is no zip archive, and no folder.") from error
            self.names = sorted(self.archive.namelist())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.archive is not None:
            self.archive.close()

    def read(self, name):
        if self.archive is None:
            return (self.path / name).read_bytes()
        try:
            return self.archive.read(f"tiny-imagenet-200/{name}")
        except KeyError as error:
            raise FileNotFoundError(f"{self.path} has no {name}.") from error

    def text(self, name):
        return self.read(name).decode()

    def in_folder(self, name):
        if self.archive is None:
            return sorted(f"{name}/{p.name}" for p in (self.path / name).iterdir())
        folder = f"tiny-imagenet-200/{name}/"
        inside = [n for n in self.names if n.startswith(folder) and n != folder]
        return [n.removeprefix("tiny-imagenet-200/") for n in inside]


def _decoded(files, names):
    """Return images as one array of shape (n_images, 3, height, width)."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            'Pillow is needed: pip install "skpoison[neural]".'
        ) from error
    images = [
        np.asarray(Image.open(io.BytesIO(files.read(name))).convert("RGB"))
        for name in names
    ]
    return np.stack(images).transpose(0, 3, 1, 2)
