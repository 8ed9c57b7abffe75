"""Passes over the rows: class means, distances and projections.

Pure functions on arrays. Dense rows are taken in blocks that stay in the cache, sparse
rows in blocks of bounded memory; a row's result does not depend on the rows around it,
to the last bit, so that a row scored alone gets the score it had among the others.
Non-finite input gives non-finite results, without warnings.
"""

import numpy as np
from scipy import sparse

BLOCK_BYTES = 2**21
# Sums over the support and over all entries of a centroid differ by their rounding;
# what is left of the centroid outside the support counts from here on.
ROUNDING = 64 * np.finfo(np.float64).eps


def class_means(X, codes, n_classes):
    """Mean of the rows of each class.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, float64 or float32.
    codes : ndarray of shape (n_samples,)
        The class of each row, from 0 to ``n_classes - 1``; no class is empty.
    n_classes : int
        Number of classes.

    Returns
    -------
    means : ndarray of shape (n_classes, n_features)
        Means, of the dtype of X, accurate to a few of its rounding errors.
    """
    sums = np.zeros((n_classes, X.shape[1]))
    add = _add_sparse if sparse.issparse(X) else _add_dense
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in _blocks(X):
            add(sums, X[rows], codes[rows])
        means = sums / np.bincount(codes, minlength=n_classes)[:, None]
        return means.astype(X.dtype)


def distances(X, codes, centroids):
    """Euclidean distance of each row to the centroid of its class.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, float64 or float32.
    codes : ndarray of shape (n_samples,)
        The class of each row.
    centroids : ndarray of shape (n_classes, n_features)
        One centroid for each class.

    Returns
    -------
    distances : ndarray of shape (n_samples,)
        Distances, float64. Dense float32 rows are subtracted and squared in float32.
    """
    if sparse.issparse(X):
        return _sparse_distances(X, codes, centroids)
    squares = np.empty(len(X), dtype=X.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, difference in _differences(X, codes, centroids):
            np.einsum("ij,ij->i", difference, difference, out=squares[rows])
    return np.sqrt(squares, dtype=np.float64)


def projections(X, codes, centroids, directions):
    """Component of each row, from the centroid of its class, along a direction.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, float64 or float32.
    codes : ndarray of shape (n_samples,)
        The class of each row.
    centroids : ndarray of shape (n_classes, n_features)
        One centroid for each class.
    directions : ndarray of shape (n_classes, n_features)
        One direction for each class.

    Returns
    -------
    projections : ndarray of shape (n_samples,)
        ``directions[k] @ (x - centroids[k])`` for a row x of class k, float64. Dense
        float32 rows are subtracted and multiplied in float32.
    """
    if sparse.issparse(X):
        return _sparse_projections(X, codes, centroids, directions)
    directions = directions.astype(X.dtype)
    out = np.empty(len(X), dtype=X.dtype)
    buffer = _buffer(X)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, difference in _differences(X, codes, centroids):
            along = buffer[: len(difference)]
            np.take(directions, codes[rows], axis=0, out=along, mode="clip")
            np.einsum("ij,ij->i", difference, along, out=out[rows])
    return out.astype(np.float64)


def _blocks(X):
    """Slices of rows that hold about BLOCK_BYTES of X."""
    n_samples, n_features = X.shape
    stored = X.nnz / max(n_samples, 1) if sparse.issparse(X) else n_features
    step = max(1, int(BLOCK_BYTES / (X.dtype.itemsize * max(stored, 1))))
    return [slice(start, start + step) for start in range(0, n_samples, step)]


def _buffer(X):
    """Room for the rows of the largest block."""
    return np.empty((min(_blocks(X)[0].stop, len(X)), X.shape[1]), dtype=X.dtype)


def _indicator(codes, n_classes, dtype):
    """Sparse matrix of shape (n_classes, n_rows) that sums rows by class."""
    n_rows = len(codes)
    return sparse.csc_array(
        (np.ones(n_rows, dtype), codes, np.arange(n_rows + 1)),
        shape=(n_classes, n_rows),
    )


def _add_dense(sums, block, codes):
    """Add the rows of a block to the sums of their classes.

    Sums of a few rows are taken in the dtype of the block, which is fast, and added
    up in float64, so that rounding does not grow with the number of rows.
    """
    few = max(64, len(sums))
    n_groups = -(-len(codes) // few)
    groups = codes * n_groups + np.arange(len(codes)) // few
    group_sums = _indicator(groups, len(sums) * n_groups, block.dtype) @ block
    group_sums = group_sums.reshape(len(sums), n_groups, -1)
    sums += group_sums.sum(axis=1, dtype=np.float64)


def _add_sparse(sums, block, codes):
    block_sums = _indicator(codes, len(sums), np.float64) @ block.astype(np.float64)
    block_sums = block_sums.tocoo()
    np.add.at(sums, block_sums.coords, block_sums.data)


def _differences(X, codes, centroids):
    """Yield slices of rows with those rows' differences from their centroids.

    The differences share one buffer, always in C order: the order of summation of a
    row must not depend on the layout of X.
    """
    centroids = centroids.astype(X.dtype)
    buffer = _buffer(X)
    for rows in _blocks(X):
        block = X[rows]
        difference = buffer[: len(block)]
        np.take(centroids, codes[rows], axis=0, out=difference, mode="clip")
        np.subtract(block, difference, out=difference)
        yield rows, difference


def _sparse_distances(X, codes, centroids):
    """Squares over the support of a row, and the rest of the centroid outside it.

    Unlike ``|x|^2 - 2 x.c + |c|^2``, this loses nothing where a row is near to its
    centroid on its support.
    """
    centroids = centroids.astype(np.float64)
    total = np.einsum("ij,ij->i", centroids, centroids)
    out = np.empty(X.shape[0])
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, block, entries in _entries(X, codes):
            center = centroids[entries, block.indices]
            inside = _row_sums(block, (block.data - center) ** 2)
            covered = _row_sums(block, center**2)
            outside = _remainder(total[codes[rows]], covered, total[codes[rows]])
            out[rows] = np.sqrt(inside + np.maximum(outside, 0.0))
    return out


def _sparse_projections(X, codes, centroids, directions):
    centroids = centroids.astype(np.float64)
    total = np.einsum("ij,ij->i", centroids, directions)
    scale = np.einsum("ij,ij->i", np.abs(centroids), np.abs(directions))
    out = np.empty(X.shape[0])
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, block, entries in _entries(X, codes):
            center = centroids[entries, block.indices]
            along = directions[entries, block.indices]
            inside = _row_sums(block, (block.data - center) * along)
            covered = _row_sums(block, center * along)
            out[rows] = inside - _remainder(
                total[codes[rows]], covered, scale[codes[rows]]
            )
    return out


def _entries(X, codes):
    """Yield slices of rows, those rows, and the class of each of their entries."""
    canonical = X.has_canonical_format
    for rows in _blocks(X):
        block = X[rows]
        if not canonical:  # one entry may be stored in parts, which cannot be squared
            block.sum_duplicates()
        yield rows, block, np.repeat(codes[rows], np.diff(block.indptr))


def _row_sums(block, values):
    """Sum over each row of values that belong to the stored entries of ``block``."""
    sums = np.zeros(block.shape[0])
    # reduceat would give an empty row the first entry of the next one.
    filled = np.flatnonzero(np.diff(block.indptr))
    if len(filled):
        sums[filled] = np.add.reduceat(values, block.indptr[filled])
    return sums


def _remainder(total, covered, scale):
    rest = total - covered
    rest[np.abs(rest) <= ROUNDING * scale] = 0.0
    return rest
