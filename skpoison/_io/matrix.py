"""Rows that are numbers already."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from .errors import DataError
from .labels import Labels

MOST_FEATURES = 10_000_000


class Poison(NamedTuple):
    """Rows that an attacker adds.

    Parameters
    ----------
    X : {ndarray, csr_array} of shape (n_poison, n_features)
        Encoded rows, in the columns' own scale.
    labels : list
        Their labels, as the file writes them.
    columns : dict
        Their columns in a table, by name; for rows of tables.
    """

    X: object
    labels: list
    columns: dict


class ArrayData:
    """A matrix, and the labels of its rows.

    Parameters
    ----------
    source : str
        What messages call the data.
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        The rows.
    labels : Labels or None
        Their labels, if they have any.
    test : ArrayData, default=None
        Test data that came along.

    Attributes
    ----------
    columns : list of str
        Names of the features: their numbers, from 1.
    """

    origin = None
    n_dropped = 0

    def __init__(self, source, X, labels, test=None):
        self.source, self.labels, self.test = source, labels, test
        self.X = _as_numbers(source, X)
        if labels is not None and len(labels.codes) != self.X.shape[0]:
            raise DataError(
                f"{source} has {self.X.shape[0]} rows but {len(labels.codes)} labels."
            )

    def __len__(self):
        return self.X.shape[0]

    @property
    def row_numbers(self):
        """The numbers of the rows, from 1."""
        return np.arange(1, len(self) + 1)

    @property
    def columns(self):
        """Names of the features."""
        return [str(j + 1) for j in range(self.X.shape[1])]

    def taken(self, rows, extra):
        """Return some rows with further arrays, as an archive would hold them."""
        y = np.array(self.labels.values)[self.labels.codes[rows]]
        return {"X": self.X[rows], "y": y} | as_arrays(extra)

    def relabeled(self, content, donors):
        """Return what :meth:`taken` returned, with the labels of other such rows."""
        return content | {self.labels.name: donors[self.labels.name]}

    def poison(self, rows):
        """Return poison rows as an archive would hold them."""
        return {"X": rows.X, "y": np.array(rows.labels)}

    def encoder(self, rows, encoding):
        """Learn from some rows how to turn rows into numbers."""
        from .encode_matrix import MatrixEncoder

        return MatrixEncoder(self, rows, encoding)


def as_arrays(columns):
    """Return the values of a dict as arrays."""
    return {name: np.asarray(values) for name, values in columns.items()}


def digits():
    """Return scikit-learn's bundled handwritten digits, 1 against 8."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    wanted = np.isin(y, (1, 8))
    return ArrayData(
        "handwritten digits, 1 against 8 (bundled with scikit-learn)",
        X[wanted] / 16.0,
        Labels.of_array("digit", y[wanted]),
    )


def _as_numbers(source, X):
    """Return finite floats: float32 for what fits exactly, or else float64."""
    if X.dtype.kind not in "biuf":
        raise DataError(f"{source} holds {X.dtype} in place of numbers.")
    if X.ndim < 2 or 0 in X.shape:
        raise DataError(f"{source} must hold rows and columns; its shape is {X.shape}.")
    if X.shape[1] > MOST_FEATURES and sparse.issparse(X):
        raise DataError(
            f"{source} has {X.shape[1]:,} columns; at most {MOST_FEATURES:,} are read."
        )
    if X.ndim > 2:
        X = X.reshape(len(X), -1)
    small = X.dtype.itemsize < (4 if X.dtype.kind in "biu" else 8)
    X = X.astype(np.float32 if small else np.float64, copy=False)
    _check_finite(source, X)
    return X


def _check_finite(source, X):
    values = X.data if sparse.issparse(X) else X
    # A sum is finite only if all its terms are, and costs less than looking at each.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()) or np.all(np.isfinite(values)):
            return
    bad = ~np.isfinite(values)
    if sparse.issparse(X):
        entry = int(np.argmax(bad))
        row = int(np.searchsorted(X.indptr, entry, side="right")) - 1
        column, cell = int(X.indices[entry]), values[entry]
    else:
        row, column = (int(i) for i in np.argwhere(bad)[0])
        cell = values[row, column]
    raise DataError(
        f"{source} has the value {cell} in row {row + 1}, column {column + 1}; every "
        "value must be a finite number."
    )
