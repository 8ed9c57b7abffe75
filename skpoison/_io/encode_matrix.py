"""From the columns of a matrix to the numbers that filters see."""

from scipy import sparse

from .errors import DataError
from .steps import BLOCK_ROWS, changed, fit_scaler


class MatrixEncoder:
    """Takes rows of a matrix as they are, but for their scale.

    Parameters
    ----------
    data : ArrayData
        The data to learn from.
    rows : ndarray of int
        The rows to learn from.
    encoding : Encoding
        Says how columns are scaled; the rest is for tables.

    Attributes
    ----------
    names : list of str
        The names of the matrix's columns.
    scaled : bool
        Whether columns are scaled.
    """

    has_text = False
    groups = ()

    def __init__(self, data, rows, encoding):
        if encoding.categorical or encoding.text:
            raise DataError(
                f"{data.source} has no named columns: --categorical and --text-column "
                "are for tables."
            )
        if encoding.scale == "standard" and sparse.issparse(data.X):
            raise DataError(
                "Sparse data cannot be shifted to mean 0 without filling them; take "
                "--scale maxabs."
            )
        self.names = data.columns
        self.scaled = encoding.scale != "none"
        self._scaler = None
        if self.scaled:
            self._scaler = fit_scaler(
                encoding.scale, lambda: _matrix_blocks(data.X, rows)
            )

    def transform(self, data, rows):
        """Return some rows of data with as many columns."""
        if data.X.shape[1] != len(self.names):
            raise DataError(
                f"{data.source} has {data.X.shape[1]} columns; the training data have "
                f"{len(self.names)}."
            )
        # Sorted rows: as many as there are means all of them, and no copy.
        if len(rows) == len(data):
            return self.rescale(data.X)
        return self._changed(data.X[rows], "transform")

    def unscale(self, X):
        """Return rows in their own scale again."""
        return self._changed(X.copy(), "inverse_transform") if self.scaled else X

    def rescale(self, X):
        """Return rows in the scale of the matrix."""
        return self._changed(X.copy(), "transform") if self.scaled else X

    def _changed(self, X, change):
        return changed(self._scaler, X, change) if self.scaled else X

    def columns(self, X):
        """Return no columns: these rows are no table's."""
        return {}


def _matrix_blocks(X, rows):
    if sparse.issparse(X):
        yield X if len(rows) == X.shape[0] else X[rows]
        return
    for start in range(0, len(rows), BLOCK_ROWS):
        yield X[rows[start : start + BLOCK_ROWS]]
