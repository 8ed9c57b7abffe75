"""NumPy's archives of arrays, dense or in scipy's compressed sparse rows."""

import contextlib
import io
import zipfile
import zlib

import numpy as np
from scipy import sparse

from .errors import DataError, quoted
from .labels import Labels
from .matrix import ArrayData, as_arrays


class NpzData(ArrayData):
    """Labelled rows of an archive.

    Parameters
    ----------
    source : Source
        The archive.
    names : dict
        Names of its arrays: ``X`` (or the ``prefix`` of a sparse matrix's) and ``y``.
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        The rows.
    labels : Labels
        Their labels.
    """

    def __init__(self, source, names, X, labels):
        super().__init__(source.label, X, labels)
        self.origin, self._names = source, names

    def taken(self, rows, extra):
        """Return some rows as they are stored, with further arrays."""
        with _archive(self.origin) as archive:
            X, _ = _matrix(self.origin, archive, (self._candidate(),))
            y = archive[self._names["y"]][rows]
        return self._arrays(X[rows], y) | as_arrays(extra)

    def poison(self, rows):
        """Return poison rows as arrays of the same names."""
        with _archive(self.origin) as archive:
            kind = archive[self._names["y"]].dtype
        return self._arrays(rows.X, np.array(rows.labels, dtype=kind))

    def _candidate(self):
        return self._names["X"], self._names["prefix"]

    def _arrays(self, X, y):
        if not sparse.issparse(X):
            return {self._names["X"]: X, self._names["y"]: y}
        X = sparse.csr_array(X)
        parts = (X.data, X.indices, X.indptr, np.array(X.shape))
        names = [self._names["prefix"] + part for part in SPARSE]
        return dict(zip(names, parts, strict=True)) | {self._names["y"]: y}


TRAIN = (("X_train", "train_"), ("X", ""))
TEST = (("X_test", "test_"),)
LABELS = ("y_train", "y", "train_y", "target", "labels")
SPARSE = ("data", "indices", "indptr", "shape")


def load_npz(source, options):
    """Read labeled rows from an archive.

    Parameters
    ----------
    source : Source
        The archive.
    options : Options
        Says which array holds the labels.

    Returns
    -------
    data : ArrayData
        The rows, with the test rows that the archive holds.
    """
    with _archive(source) as archive:
        _check_sizes(source, archive.zip)
        return _labelled(source, archive, options)


@contextlib.contextmanager
def _archive(source):
    try:
        with _open(source) as file, np.load(file, allow_pickle=False) as archive:
            yield archive
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError) as error:
        reason = str(error).removesuffix(".")
        raise DataError(f"{source.label} cannot be read: {reason}.") from error


def _open(source):
    if source.path:
        return open(source.path, "rb")
    with source.open() as file:
        return io.BytesIO(file.read())


def _check_sizes(source, archive):
    """Look at what the arrays say of themselves before memory is taken for them."""
    total = 0
    for entry in archive.infolist():
        with archive.open(entry) as file:
            shape, dtype, header = _header(source, entry.filename, file)
        if dtype.hasobject:
            raise DataError(
                f"{source.label} holds Python objects in {entry.filename!r}; they are "
                "never loaded, since loading them can run code."
            )
        size = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
        if header + size != entry.file_size:
            raise DataError(f"{source.label} is damaged at {entry.filename!r}.")
        total += size
    if total > source.limit:
        raise DataError(
            f"{source.label} unpacks to {total / 1e9:.3g} GB; raise --max-size if this "
            "is intended."
        )


def _header(source, name, file):
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise DataError(f"{source.label} holds something unknown in {name!r}.")
    shape, _, dtype = readers[version](file)
    return shape, dtype, file.tell()


def _labelled(source, archive, options):
    names, target = archive.files, options.target
    X, where = _matrix(source, archive, TRAIN)
    has_labels = not {target, *LABELS}.isdisjoint(names)
    if X is not None and options.unlabeled and not has_labels:
        return NpzData(source, {**where, "y": None}, X, None)
    key = target or next((name for name in LABELS if name in names), None)
    if X is None or key is None:
        raise DataError(
            f"{source.label} holds the arrays {quoted(names)}; wanted are X and y (or "
            "X_train and y_train), or the arrays of a sparse matrix (data, indices, "
            "indptr, shape) and y. --target names the labels."
        )
    if key not in names:
        raise DataError(
            f"{source.label} has no target array {key!r}; it has {quoted(names)}."
        )
    labels = Labels.of_array(key, archive[key])
    data = NpzData(source, {**where, "y": key}, X, labels)
    data.test = _test(source, archive, key, data.labels)
    return data


def _test(source, archive, key, labels):
    test_key = key.replace("train", "test")
    X, _ = _matrix(source, archive, TEST)
    if X is None or test_key == key or test_key not in archive.files:
        return None
    test_labels = labels.matched(Labels.of_array(test_key, archive[test_key]))
    return ArrayData(source.label, X, test_labels)


def _matrix(source, archive, candidates):
    """Return the first matrix that is there, and the names of its arrays."""
    for dense, prefix in candidates:
        where = {"X": dense, "prefix": prefix}
        if dense in archive.files:
            return archive[dense], where
        names = [prefix + part for part in SPARSE]
        if all(name in archive.files for name in names):
            parts = (archive[name] for name in names)
            return _sparse(source, archive, prefix, *parts), where
    return None, None


def _sparse(source, archive, prefix, data, indices, indptr, shape):
    form = prefix + "format"
    if form in archive.files and archive[form].item() not in (b"csr", "csr"):
        raise DataError(
            f"{source.label} holds a sparse matrix in the form "
            f"{archive[form].item()!r}; save it as csr."
        )
    X = sparse.csr_array((data, indices, indptr), shape=tuple(shape.tolist()))
    # Indices beyond the matrix would be followed blindly by compiled code.
    X.check_format(full_check=True)
    X.sum_duplicates()
    return X
