"""Rows in blocks: their class means, and what measures need to know of them.

Pure functions on arrays. Dense rows are taken in blocks that stay in the cache, sparse
rows in blocks of bounded memory; a row's result does not depend on the rows around it,
to the last bit, so that a row scored alone gets the score it had among the others.
Non-finite input gives non-finite results, without warnings.
"""

import numpy as np
from scipy import sparse

from skpoison.filters._products import aligned

BLOCK_BYTES = 2**21
# Dense blocks share the cache with what is computed from them.
DENSE_BYTES = 2**19
# Rows of so few classes are summed by products of dense matrices, not too many at once.
FEW_CLASSES, MOST_SUMMED = 16, 1024
# Rows that are this many times as far from the origin as from the mean of their class
# leave their mean with too few digits: it is corrected by the mean of what is left.
FAR = 1e5
# Rows that tell whether they are that far.
SAMPLE = 64
# Sums of so many rows fit float64 whatever the rows are, once divided by it.
HEADROOM = 2.0**60
# Smaller sums of squares have lost digits.
SMALL = np.finfo(np.float64).tiny / np.finfo(np.float64).eps
# Sums over the support and over all entries of a centroid differ by their rounding;
# what is left of the centroid outside the support counts from here on.
ROUNDING = 64 * np.finfo(np.float64).eps


def class_means(X, codes, n_classes):
    """Mean of the rows of each class, float64 whatever the dtype of X is.

    Where rows are farther from the origin than float64 can resolve, a second pass sums
    what is left of them: means are exact but for a few rounding errors of their own.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        means = _means(X, codes, n_classes)
        if not np.all(np.isfinite(means)):
            means = HEADROOM * _means(X, codes, n_classes, share=1 / HEADROOM)
        if are_far(X, codes, means):
            means += _means(X, codes, n_classes, means)
        return means


def _means(X, codes, n_classes, center=None, share=1.0):
    """Mean of a share of each row, less the center of its class."""
    sums = np.zeros((n_classes, X.shape[1]))
    is_sparse = sparse.issparse(X)
    add = _add_sparse if is_sparse else _DenseSums(X, n_classes)
    for rows in blocks(X, np.float64):
        block = view_of_rows(X, rows) if is_sparse else X[rows]
        block = block if share == 1.0 else block * share
        add(sums, block, codes[rows], center)
    return sums / np.bincount(codes, minlength=n_classes)[:, None]


def rows_by_class(codes, n_classes):
    """Places of the rows of each class, in order; rows of no class have code -1.

    Examples
    --------
    >>> rows_by_class(np.array([1, 0, -1, 1]), 2)
    [array([1]), array([0, 3])]
    """
    if n_classes <= FEW_CLASSES:
        return [np.flatnonzero(codes == code) for code in range(n_classes)]
    # Small integers are sorted in time that does not depend on the number of classes.
    small = codes.astype(np.int16 if n_classes < 2**15 else np.intp)
    order = np.argsort(small, kind="stable")
    ends = np.cumsum(np.bincount(codes + 1, minlength=n_classes + 1))
    return np.split(order, ends[:-1])[1:]


def are_far(X, codes, means, times=FAR):
    """Whether most rows are much farther from the origin than from their mean."""
    distances, lengths = _sampled_lengths(X, codes, means)
    return bool(np.median(times * distances - lengths) < 0)


def rounding_of_means(X, codes, means):
    """How much rounding may move the means of classes, along any direction."""
    distances, lengths = _sampled_lengths(X, codes, means)
    # Of rows that are farther away, what is left has been summed once more.
    with np.errstate(over="ignore"):
        size = min(lengths.max(), FAR * np.median(distances))
    return ROUNDING * max(size, np.median(distances))


def _sampled_lengths(X, codes, means):
    """Distances of some rows from their class mean, and that of it from the origin."""
    few = max(4, min(SAMPLE, BLOCK_BYTES // X.shape[1]))
    rows = np.unique(np.linspace(0, X.shape[0] - 1, few).astype(np.intp))
    codes = codes[rows]
    return _distances(X[rows], codes, means), lengths(means)[codes]


def _distances(rows, codes, means):
    """Distances of rows from the means of their classes."""
    if not sparse.issparse(rows):
        return lengths(rows - means[codes])
    # In columns that none of the rows fills they are as far off as their mean.
    used = np.unique(rows.indices)
    inside = rows[:, used].toarray() - means[:, used][codes]
    outside = lengths(np.delete(means, used, axis=1))
    return np.hypot(lengths(inside), outside[codes])


def differences_of_means(minuend, subtrahend):
    """Subtract means from means; what rounding alone has left over is zero.

    Each feature is judged by its own numbers: one with large, constant values hides no
    other one.
    """
    differences = minuend - subtrahend
    sizes = np.maximum(np.abs(minuend), np.abs(subtrahend)).max(axis=0)
    differences[np.abs(differences) <= 8 * np.finfo(np.float64).eps * sizes] = 0.0
    return differences


def extreme_exponent(X):
    """Exponent of the largest value, if squares may leave the range of numbers; else 0.

    Rows divided by that power of two, which :func:`shrunk` does, keep their digits.
    """
    values = X.data if sparse.issparse(X) else X
    if values.size == 0:
        return 0
    return exponent_of(max(values.max(), -values.min()), X.dtype)


def exponent_of(largest, dtype):
    """:func:`extreme_exponent` of rows whose largest value, in size, is known."""
    exponent = int(np.frexp(largest)[1])
    return exponent if abs(exponent) > np.finfo(dtype).maxexp // 3 else 0


def extreme_exponents(X):
    """Exponent of the largest value of each feature, if any is extreme; else 0."""
    if not extreme_exponent(X):
        return 0
    return np.frexp(largest_values(X))[1]


def largest_values(X):
    """Largest value of each feature, in size."""
    largest = abs(X).max(axis=0)
    return largest.toarray().ravel() if sparse.issparse(X) else largest


def shrunk(X, exponent):
    """Rows divided by a power of two, or by one for each feature.

    Where rows are to be divided they become float64; the others are returned as they
    are.
    """
    if not np.any(exponent):
        return X
    with np.errstate(over="ignore", under="ignore"):
        if not sparse.issparse(X):
            return np.ldexp(X.astype(np.float64, copy=False), -exponent)
        X = X.astype(np.float64)
        if np.ndim(exponent):
            exponent = exponent[X.indices]
        X.data = np.ldexp(X.data, -exponent)
        return X


def lengths(rows):
    """Lengths of float64 rows, also where squares are too large or too small."""
    # A power of two changes no digits.
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        squares = np.einsum("ij,ij->i", rows, rows)
        if squares.min(initial=1.0) > SMALL and squares.max(initial=1.0) < np.inf:
            return np.sqrt(squares)
        # A power of two changes no digits.
        exponents = np.frexp(np.abs(rows).max(axis=1, initial=0.0))[1]
        shares = np.ldexp(rows, -exponents[:, None])
        squares = np.einsum("ij,ij->i", shares, shares)
        return np.ldexp(np.sqrt(squares), exponents)


def lengths_of_sparse(rows):
    """Euclidean lengths of sparse rows of float64; see :func:`lengths`."""
    exponents = np.frexp(abs(rows).max(axis=1).toarray().ravel())[1]
    data = np.ldexp(rows.data, -np.repeat(exponents, np.diff(rows.indptr)))
    squares = sparse.csr_array((data**2, rows.indices, rows.indptr), shape=rows.shape)
    return np.ldexp(np.sqrt(np.asarray(squares.sum(axis=1)).ravel()), exponents)


def blocks(X, dtype=None):
    """Slices of rows that fit the cache, in their dtype or another one."""
    n_samples, n_features = X.shape
    is_sparse = sparse.issparse(X)
    stored = X.nnz / max(n_samples, 1) if is_sparse else n_features
    size = X.dtype.itemsize if dtype is None or is_sparse else np.dtype(dtype).itemsize
    n_bytes = BLOCK_BYTES if is_sparse else DENSE_BYTES
    step = max(1, int(n_bytes / (size * max(stored, 1))))
    return [slice(start, start + step) for start in range(0, n_samples, step)]


def view_of_rows(X, rows):
    """Rows of a slice with a start and a stop, not copied."""
    if not sparse.issparse(X):
        return X[rows]
    indptr = X.indptr[rows.start : rows.stop + 1]
    stored = slice(indptr[0], indptr[-1])
    parts = X.data[stored], X.indices[stored], indptr - indptr[0]
    return sparse.csr_array(parts, shape=(len(indptr) - 1, X.shape[1]))


def buffer(X, dtype=None):
    """Room for the rows of the largest block, in their dtype or another one."""
    n_rows = min(blocks(X, dtype)[0].stop, len(X))
    return aligned(n_rows, X.shape[1], np.dtype(X.dtype if dtype is None else dtype))


def padded_blocks(X, rows=None, center=None):
    """Dense blocks of rows of X, less their center, for products of matrices.

    Yield the places of a block's rows in X, and the block, which the next overwrites.

    All blocks have the same number of rows, the last one is filled up with zeros: BLAS
    may sum in another order where shapes differ, and a row's result must not depend
    on how many rows came with it.
    """
    step = _padded_rows(X.shape[1])
    block = np.empty((step, X.shape[1]))
    center = 0.0 if center is None else center.astype(np.float64)
    n_rows = X.shape[0] if rows is None else len(rows)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, n_rows, step):
            stop = min(start + step, n_rows)
            chosen = slice(start, stop) if rows is None else rows[start:stop]
            taken = block[: stop - start]
            _take(X, chosen, taken)
            np.subtract(taken, center, out=taken)
            block[stop - start :] = 0.0
            yield chosen, block


def _take(X, chosen, out):
    if sparse.issparse(X):
        out[:] = X[chosen].toarray()
    elif (
        X.dtype == out.dtype and X.flags.c_contiguous and isinstance(chosen, np.ndarray)
    ):
        np.take(X, chosen, axis=0, out=out, mode="clip")  # half the time of indexing
    else:
        out[:] = X[chosen]


def _padded_rows(n_features):
    """Number of rows of a block: about a megabyte, without a remainder in BLAS."""
    if n_features > 1000:
        return 96  # 48 for each of two threads
    return 192 * min(16, max(1, 2**17 // (192 * n_features)))


def _indicator(codes, n_classes, dtype):
    """Sparse matrix of shape (n_classes, n_rows) that sums rows by class."""
    n_rows = len(codes)
    return sparse.csc_array(
        (np.ones(n_rows, dtype), codes, np.arange(n_rows + 1)),
        shape=(n_classes, n_rows),
    )


class _DenseSums:
    """Adds the rows of dense blocks, less centers, to the sums of their classes."""

    def __init__(self, X, n_classes):
        self.buffer = buffer(X, np.float64)
        self.one_hot = None
        if n_classes <= FEW_CLASSES:
            self.one_hot = np.eye(n_classes)
            self.members = np.empty((len(self.buffer), n_classes))

    def __call__(self, sums, block, codes, center):
        rows = self.buffer[: len(block)]
        if center is not None:
            block = differences(block, codes, center, out=rows)
        elif block.dtype != rows.dtype:
            np.copyto(rows, block)
            block = rows
        if self.one_hot is None:
            _add_groups(sums, block, codes)
            return
        members = self.members[: len(codes)]
        self.one_hot.take(codes, axis=0, out=members, mode="clip")
        for start in range(0, len(codes), MOST_SUMMED):
            few = slice(start, start + MOST_SUMMED)
            sums += members[few].T @ block[few]


def _add_groups(sums, block, codes):
    """Sum a few rows at a time, so that rounding does not grow with their number."""
    few = max(64, len(sums))
    n_groups = -(-len(codes) // few)
    groups = codes * n_groups + np.arange(len(codes)) // few
    group_sums = _indicator(groups, len(sums) * n_groups, block.dtype) @ block
    sums += group_sums.reshape(len(sums), n_groups, -1).sum(axis=1)


def _add_sparse(sums, block, codes, center):
    # By rows, as the block is, which would be rearranged otherwise.
    members = _indicator(codes, len(sums), np.float64).tocsr()
    block = block.astype(np.float64, copy=False)
    if center is not None:
        block = block.copy()
        block.sum_duplicates()
        block.data -= Support(block, codes).at(center)
    block_sums = (members @ block).tocoo()
    np.add.at(sums, block_sums.coords, block_sums.data)
    if center is not None:
        block.data[:] = 1.0
        stored = (members @ block).toarray()
        sums -= (np.bincount(codes, minlength=len(sums))[:, None] - stored) * center


def differences(block, codes, centroids, out):
    """Subtract from each row the centroid of its class.

    The result is always in C order: the order of summation of a row must not depend
    on the layout of X.
    """
    centroids.take(codes, axis=0, out=out, mode="clip")
    return np.subtract(block, out, out=out)


class Support:
    """The stored entries of a block of CSR rows.

    An entry that is stored in parts is put together in a copy of the block.
    """

    def __init__(self, block, codes):
        if not block.has_canonical_format:
            block = block.copy()
            block.sum_duplicates()  # what is stored in parts cannot be squared
        self.codes = codes
        self.data = block.data
        self.indices = block.indices
        self.indptr = block.indptr
        entries = np.repeat(codes.astype(np.intp), np.diff(block.indptr))
        self._places = entries * block.shape[1] + block.indices

    def at(self, table):
        """For each stored entry, its class's and feature's value in a table."""
        return table.ravel().take(self._places)

    def sums(self, values):
        """Sum over each row of values that belong to its stored entries."""
        sums = np.zeros(len(self.codes))
        # reduceat would give an empty row the first entry of the next one.
        filled = np.flatnonzero(np.diff(self.indptr))
        if len(filled):
            sums[filled] = np.add.reduceat(values, self.indptr[filled])
        return sums

    def rest(self, total, covered, scale):
        """Sums over all features of the class, less those over the support."""
        rest = total[self.codes] - covered
        rest[np.abs(rest) <= ROUNDING * scale[self.codes]] = 0.0
        return rest
