"""Columns brought to comparable scales, as measured on training rows."""

import numpy as np
from scipy import sparse

from ._errors import DataError

SCALES = ("none", "standard", "maxabs")


class Scale:
    """Shift and divide columns.

    Parameters
    ----------
    kind : {"none", "standard", "maxabs"}
        Nothing; to mean 0 and standard deviation 1; to a largest magnitude of 1.
        Constant columns are not divided.

    Attributes
    ----------
    shift, factor : ndarray of shape (n_features,)
        What is subtracted, and what is divided by afterwards.

    Examples
    --------
    >>> import numpy as np
    >>> scale = Scale("maxabs").fit(np.array([[1.0, -4.0], [2.0, 2.0]]))
    >>> scale.apply(np.array([[2.0, 2.0]]))
    array([[1. , 0.5]])
    """

    def __init__(self, kind="none"):
        self.kind = kind
        self.shift, self.factor = 0.0, 1.0

    def fit(self, X):
        """Measure the columns of a matrix."""
        if self.kind == "standard":
            if sparse.issparse(X):
                raise DataError(
                    "Sparse data cannot be shifted to mean 0 without filling them; "
                    "take --scale maxabs."
                )
            self.shift = X.mean(axis=0, dtype=np.float64)
            self.factor = _nonzero(X.std(axis=0, dtype=np.float64))
        elif self.kind == "maxabs":
            self.factor = _nonzero(_largest(X))
        return self

    def apply(self, X):
        """Scale a matrix, in place where that is possible."""
        if self.kind == "none":
            return X
        if sparse.issparse(X):
            X.data /= np.asarray(self.factor, X.dtype)[X.indices]
            return X
        X -= np.asarray(self.shift, X.dtype)
        X /= np.asarray(self.factor, X.dtype)
        return X

    def undo(self, X):
        """Return rows in their own scale again."""
        if self.kind == "none":
            return X
        if sparse.issparse(X):
            return sparse.csr_array(X.multiply(self.factor))
        return X * self.factor + self.shift


def _nonzero(factor):
    factor[factor == 0.0] = 1.0
    return factor


def _largest(X):
    if sparse.issparse(X):
        return abs(X).max(axis=0).toarray().ravel().astype(np.float64)
    return np.maximum(X.max(axis=0), -X.min(axis=0)).astype(np.float64)
