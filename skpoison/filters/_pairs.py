"""Where neighbors are searched, and distances of pairs of rows, from differences."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from skpoison.filters._rows import (
    extreme_exponent,
    lengths,
    lengths_of_sparse,
    shrunk,
)

PAIRS = 2**22  # values of pairs of rows that are compared at once


def pair_distances(queries, rows, found):
    """Distances of queries to the rows found for them, from differences.

    Parameters
    ----------
    queries : {ndarray, CSR matrix} of shape (n_queries, n_features)
        Rows.
    rows : {ndarray, CSR matrix} of shape (n_rows, n_features)
        Other rows, of the same kind.
    found : ndarray of shape (n_queries, n_found)
        Positions in ``rows``.

    Returns
    -------
    distances : ndarray of shape (n_queries, n_found)
        Euclidean distances, float64.
    """
    out = np.empty(found.shape)
    step = max(1, PAIRS // queries.shape[1]) if not sparse.issparse(rows) else 4096
    for start in range(0, len(found), step):
        block = slice(start, start + step)
        for j in range(found.shape[1]):
            difference = queries[block] - rows[found[block, j]]
            out[block, j] = _lengths(difference)
    return out


def _lengths(rows):
    """Lengths of differences; those whose squares are no numbers are taken anew."""
    limits = np.finfo(rows.dtype)
    if sparse.issparse(rows):
        squares = np.asarray(rows.power(2).sum(axis=1), dtype=np.float64).ravel()
    else:
        squares = np.einsum("ij,ij->i", rows, rows)
    out = np.sqrt(squares, dtype=np.float64)
    lost = np.flatnonzero(~((squares > limits.tiny / limits.eps) & (squares < np.inf)))
    if len(lost):
        few = rows[lost].astype(np.float64)
        out[lost] = lengths_of_sparse(few) if sparse.issparse(few) else lengths(few)
    return out


class SearchSpace(NamedTuple):
    """Where neighbors are searched, so that neither digits nor squares are lost.

    The search loses digits where rows are far from the origin: dense rows are taken
    from a center that few of them cannot move. Where squares would leave the range of
    numbers, rows are divided by a power of two, the size of most rows.

    Parameters
    ----------
    center : ndarray of shape (n_features,) or None
        What is subtracted from each row; None where the training rows are sparse.
    exponent : int
        Of the power of two by which rows are divided.
    """

    center: np.ndarray | None
    exponent: int

    @classmethod
    def of(cls, rows):
        """Return the space in which training rows of float64 are searched."""
        center = None
        if not sparse.issparse(rows):
            middle = len(rows) // 2
            center = np.partition(rows, middle, axis=0)[middle]
        moved = cls(center, 0).enter(rows)
        if not extreme_exponent(moved):
            return cls(center, 0)
        sizes = abs(moved).max(axis=1)
        sizes = sizes.toarray() if sparse.issparse(sizes) else sizes
        return cls(center, extreme_exponent(np.atleast_2d(np.median(sizes))))

    def enter(self, rows):
        """Bring rows, dense or sparse, into the form of the training rows."""
        rows = rows.astype(np.float64)
        if self.center is None:
            rows = sparse.csr_array(rows)
        else:
            rows = rows.toarray() if sparse.issparse(rows) else rows
            with np.errstate(over="ignore"):
                rows = rows - self.center
        return shrunk(rows, self.exponent)

    def leave(self, distances):
        """Turn distances of divided rows into those of rows."""
        return np.ldexp(distances, self.exponent)


def clipped(rows):
    """Bring what is too far to be squared as near as it can be."""
    if not extreme_exponent(rows):
        return rows
    most = 2.0 ** (np.finfo(rows.dtype).maxexp // 3)
    if not sparse.issparse(rows):
        return np.clip(rows, -most, most)
    rows = rows.copy()
    np.clip(rows.data, -most, most, out=rows.data)
    return rows
