"""Rows as ``label index:value index:value``, as svmlight and libsvm write them."""

import numpy as np
from scipy import sparse

from skpoison._words import label_text

from .errors import DataError
from .labels import Labels
from .matrix import MOST_FEATURES, ArrayData
from .source import SVMLIGHT_LINE, lines_at


class SvmlightData(ArrayData):
    """Rows of an svmlight file.

    Parameters
    ----------
    source : Source
        The file.

    Attributes
    ----------
    first_index : int
        The number of the first column in the file: 1 unless a column 0 occurs.
    """

    def __init__(self, source):
        X, y = _read(source)
        X = sparse.csr_array(X)
        self.first_index = int(X.nnz == 0 or X.indices.min() > 0)
        if X.shape[1] > MOST_FEATURES:
            raise DataError(
                f"{source.label} has a column {X.shape[1] - 1:,}; at most "
                f"{MOST_FEATURES:,} columns are read."
            )
        self._whole = X
        self.origin = source
        super().__init__(
            source.label, X[:, self.first_index :], Labels.of_array("label", y)
        )

    def follow(self, data):
        """Number and count columns as in training data; further ones are cut off.

        Parameters
        ----------
        data : SvmlightData
            The training data.
        """
        X = self._whole[:, data.first_index :]
        # A linear learner gives columns that it never saw the weight zero.
        X.resize((X.shape[0], data.X.shape[1]))
        self.X = X

    def taken(self, rows, extra):
        """Return some rows as the lines that they are, with comments at their ends."""
        found = lines_at((line for _, line in data_lines(self.origin)), rows.tolist())
        lines = [line.rstrip(b"\r\n") for line in found]
        comments = [
            " ".join(f"{name}={value}" for name, value in zip(extra, row, strict=True))
            for row in zip(*extra.values(), strict=True)
        ]
        if not comments:
            return lines
        return [
            line + b" # " + comment.encode()
            for line, comment in zip(lines, comments, strict=True)
        ]

    def relabeled(self, content, donors):
        """Return what :meth:`taken` returned, with the labels of other such lines."""
        for line, donor in zip(content, donors, strict=True):
            _, space, rest = line.strip().partition(b" ")
            yield donor.split()[0] + space + rest

    def poison(self, rows):
        """Return poison rows as lines."""
        X = sparse.csr_array(rows.X)
        return [
            " ".join([label_text(label), *self._cells(X[[i]])]).encode()
            for i, label in enumerate(rows.labels)
        ]

    def _cells(self, row):
        row.sort_indices()
        for column, value in zip(row.indices, row.data, strict=True):
            yield f"{column + self.first_index}:{value.item()!r}"


def _read(source):
    from sklearn.datasets import load_svmlight_file

    try:
        with source.open() as file:
            X, y = load_svmlight_file(file, dtype=np.float64, zero_based=True)
    except DataError:
        raise
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{source.label} cannot be parsed{_where(source)}: "
            f"{str(error).removesuffix('.')}."
        ) from error
    if X.shape[0] == 0:
        raise DataError(f"{source.label} has no rows.")
    return X, y


def _where(source):
    """Name the first line that is not of the right form, if there is one."""
    for number, line in data_lines(source):
        if not SVMLIGHT_LINE.match(line.strip()):
            return f" at line {number}"
    return ""


def data_lines(source):
    """Yield the number and the bytes of every line that holds a row."""
    with source.open() as file:
        for number, line in enumerate(file, start=1):
            if line.split(b"#", 1)[0].strip():
                yield number, line
