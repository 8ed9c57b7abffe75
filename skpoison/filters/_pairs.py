"""Distances of pairs of rows, from differences."""

import numpy as np
from scipy import sparse

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
    if sparse.issparse(rows):
        rows.data **= 2  # differences belong to nobody else
        return np.sqrt(np.asarray(rows.sum(axis=1), dtype=np.float64).ravel())
    return np.sqrt(np.einsum("ij,ij->i", rows, rows), dtype=np.float64)
