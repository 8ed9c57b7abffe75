"""MNIST and CIFAR-10 from the files that they are published as."""

import gzip
import io
import math
import tarfile
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch

from skpoison.datasets._pickles import load_plain
from skpoison.datasets._reading import reading

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
    with reading("OpenML's answer" if path is None else path, "MNIST"):
        for part in ("train", "test"):
            parts[f"X_{part}"] = parts[f"X_{part}"].reshape(-1, 1, 28, 28)
        return as_bunch(parts, scale)


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
        read = [_cifar_batch(files[name], Path(path, name)) for name in batches]
        parts[f"X_{part}"] = np.concatenate([pixels for pixels, _ in read])
        parts[f"y_{part}"] = np.concatenate([labels for _, labels in read])
    names = _cifar_names(files["batches.meta"], Path(path, "batches.meta"))
    return as_bunch(parts, scale, label_names=names)


def as_bunch(parts, scale, **more):
    """Return images and labels, checked, in their final types.

    Parameters
    ----------
    parts : dict of str to ndarray
        ``X_train``, ``y_train``, ``X_test`` and ``y_test``.
    scale : bool
        Whether to return pixels as float32 between 0 and 1.
    **more : dict
        What else the Bunch holds.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        All of these.

    Raises
    ------
    ValueError
        If there are no images of 8 bits, or not as many labels.
    """
    for part in ("train", "test"):
        X, y = parts[f"X_{part}"], parts[f"y_{part}"]
        codes = y.astype(np.int64)
        fits = X.dtype == np.uint8 and codes.shape == (len(X),) and len(X)
        if not fits or (y.dtype.kind == "f" and (codes != y).any()):
            raise ValueError(
                "there must be images of 8 bits and as many labels, whole numbers; got "
                f"{len(X)} of {X.dtype} and labels of {y.dtype}, of the shape {y.shape}"
            )
        parts[f"X_{part}"] = X / np.float32(255) if scale else X
        parts[f"y_{part}"] = codes
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
    with reading(path, "NPZ file of MNIST"), path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            raise ValueError("it is no zip archive of arrays")
        file.seek(0)
        with np.load(file, allow_pickle=False) as data:
            found = {name.replace("x_", "X_"): _array(data, name) for name in data}
        missing = [name for name in IDX_FILES if name not in found]
        if missing:
            raise ValueError(f"it lacks {missing}; it has {sorted(found)}")
    return {name: found[name] for name in IDX_FILES}


def _array(data, name):
    try:
        return data[name]
    except ValueError as error:
        # Numpy speaks of options here that would run what is in the file.
        raise ValueError(f"its {name!r} is no array of numbers") from error


def _read_idx(folder, name, n_axes):
    """Read an array of bytes in the IDX format."""
    path = Path(folder, name)
    packed = path.with_name(f"{name}.gz")
    if not (path.exists() or packed.exists()):
        raise FileNotFoundError(f"{folder} has neither {name} nor {packed.name}.")
    path = path if path.exists() else packed
    with reading(path, f"IDX file of bytes with {n_axes} axes"):
        data = path.read_bytes()
        return _idx(gzip.decompress(data) if path == packed else data, n_axes)


def _idx(data, n_axes):
    header = 4 + 4 * n_axes
    sizes = data[4:header]
    if data[:4] != bytes([0, 0, 8, n_axes]) or len(sizes) != 4 * n_axes:
        raise ValueError("it begins otherwise")
    shape = [int.from_bytes(sizes[i : i + 4]) for i in range(0, 4 * n_axes, 4)]
    if len(data) != header + math.prod(shape):
        raise ValueError(f"it has {len(data)} bytes, and is to hold the shape {shape}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _files(path, folder, names):
    """Return the contents of files in a folder, or in a folder of an archive."""
    path = Path(path)
    if path.is_dir():
        return {name: (path / name).read_bytes() for name in names}
    found = {}
    with reading(path, "archive"), tarfile.open(path) as archive:
        for member in archive:
            # Nothing is unpacked to disk, wherever a member wants to lie.
            head, _, name = member.name.rpartition("/")
            if head == folder and name in names and member.isreg():
                found[name] = archive.extractfile(member).read()
    missing = [name for name in names if name not in found]
    if missing:
        raise FileNotFoundError(f"{path} has no {folder}/{missing[0]}.")
    return found


def _cifar_batch(data, path):
    """Return images and labels of a batch."""
    batch = load_plain(io.BytesIO(data), str(path))
    with reading(path, "batch of CIFAR-10"):
        pixels, labels = (_entry(batch, name) for name in ("data", "labels"))
        if not isinstance(pixels, np.ndarray) or pixels.shape[1:] != (3072,):
            shape = getattr(pixels, "shape", type(pixels).__name__)
            raise ValueError(f"its images have no 3072 values each, but {shape}")
        labels = np.array([int(label) for label in labels], dtype=np.int64)
        if pixels.dtype != np.uint8 or len(labels) != len(pixels):
            raise ValueError(
                f"it has {len(pixels)} images of {pixels.dtype}, and {len(labels)} "
                "labels"
            )
    return pixels.reshape(-1, 3, 32, 32), labels


def _cifar_names(data, path):
    """Return the names of the labels."""
    meta = load_plain(io.BytesIO(data), str(path))
    with reading(path, "list of labels of CIFAR-10"):
        names = _entry(meta, "label_names")
        return [n.decode() if isinstance(n, bytes) else str(n) for n in names]


def _entry(record, name):
    """Return an entry of a dict, whose keys Python 3 may have written as bytes."""
    if not isinstance(record, dict):
        raise TypeError(f"it holds a {type(record).__name__} in place of a dict")
    found = record.get(name, record.get(name.encode()))
    if found is None:
        raise ValueError(f"it has no {name!r}; it has {sorted(map(str, record))}")
    return found
