"""Nearest rows: where they are searched, their distances, and their labels."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.neighbors import KDTree, NearestNeighbors

from skpoison.filters._many_rows import by_blocks
from skpoison.filters._rows import (
    extreme_exponent,
    lengths,
    lengths_of_sparse,
    shrunk,
)

PAIRS = 2**22  # values of pairs of rows that are compared at once
SAME = 1e-9  # distances that differ by no more than this share count as equal
ENTRIES = 2**22  # votes that are held at once
COMPARED = 4096  # sparse rows that are compared with others at once
# Sparse rows are long from so many times the usual number of values on; and near where
# the square of their distance is so small a share of the sum of their own.
MANY_VALUES, NEAR = 8, 1 / 64
# From so many rows on, so many of them are looked up in a tree to see what it takes: a
# distance there is as slow as so many of all pairs.
TRIED_FROM, TRIED, TREE_COST = 30_000, 20, 30


def pair_distances(queries, rows, found):
    """Distances of queries to the rows found for them, from differences."""
    out = np.empty(found.shape)
    step = max(1, PAIRS // queries.shape[1]) if not sparse.issparse(rows) else COMPARED
    for start in range(0, len(found), step):
        block = slice(start, start + step)
        for j in range(found.shape[1]):
            out[block, j] = _lengths(queries[block] - rows[found[block, j]])
    return out


def found_distances(queries, rows, found):
    """The same; with long sparse rows that are not near, from products.

    A row of an attack can have values in all columns. Its product with another row
    takes time for the values of the other one alone.
    """
    if not sparse.issparse(rows):
        return pair_distances(queries, rows, found)
    out = _from_products(queries, rows, found)
    left = np.nonzero(np.isnan(out))
    for start in range(0, len(left[0]), COMPARED):
        i, j = (part[start : start + COMPARED] for part in left)
        out[i, j] = _lengths(queries[i] - rows[found[i, j]])
    return out


def _from_products(queries, rows, found):
    """Distances of pairs with a long row that do not lose digits; the others are NaN.

    Products are summed in the order of the columns, whichever row comes first, so that
    the distance is the same either way.
    """
    products = np.full(found.shape, np.nan)
    stored, asked = np.diff(rows.indptr), np.diff(queries.indptr)
    long = MANY_VALUES * max(np.median(stored), 1)
    if max(stored.max(), asked.max()) <= long:
        return products
    for row in np.unique(found[stored[found] > long]):
        i, j = np.nonzero(found == row)
        products[i, j] = queries[i] @ rows[[row]].toarray()[0]
    for query in np.flatnonzero(asked > long):
        products[query] = rows[found[query]] @ queries[[query]].toarray()[0]
    sums = _squares(queries)[:, None] + _squares(rows)[found]
    squares = sums - 2 * products
    limits = np.finfo(np.float64)
    known = (squares > NEAR * sums) & (squares > limits.tiny / limits.eps)
    return np.sqrt(np.where(known & (squares < np.inf), squares, np.nan))


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
        return cls(center, usual_exponent(cls(center, 0).enter(rows)))

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


def usual_exponent(rows):
    """Exponent of the size of most rows, if squares may leave the range of numbers."""
    if not extreme_exponent(rows):
        return 0
    sizes = abs(rows).max(axis=1)
    sizes = sizes.toarray() if sparse.issparse(sizes) else sizes
    # Of halves, since the sum of the two in the middle may be too large.
    return extreme_exponent(np.atleast_2d(2 * np.median(sizes / 2)))


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


def search_algorithm(rows, algorithm, n_neighbors):
    """Return the way to search that takes the least time; all find the same rows.

    scikit-learn compares all pairs of rows where there are more than 15 features. A
    tree takes less where rows vary in few directions, which some rows tell: it counts
    the distances that it looks at.
    """
    if sparse.issparse(rows):
        return "brute"
    n_rows, n_features = rows.shape
    if algorithm != "auto" or n_rows < TRIED_FROM or not 15 < n_features <= 100:
        return algorithm
    tree = KDTree(rows)
    some = rows[:: n_rows // TRIED]
    tree.query(some, n_neighbors)
    per_row = tree.get_n_calls() / len(some)
    return "kd_tree" if TREE_COST * per_row < n_rows else algorithm


class Votes:
    """The labels of the nearest training rows, with all that are equally near.

    Where the last places among the nearest rows are fewer than the rows at the same
    distance, these rows share the places evenly. Equal rows are looked for once.

    Examples
    --------
    Three rows at distance 1 share the two places that the row at 0.5 leaves:

    >>> import numpy as np
    >>> votes = Votes(
    ...     np.array([[0.5], [1.0], [-1.0], [1.0]]), np.array([0, 0, 1, 1]), 2, 3
    ... )
    >>> votes.count(np.array([[0.0]]), np.array([0]))
    (array([[5, 4]]), array([9]))
    """

    def __init__(
        self, rows, codes, n_classes, n_neighbors, *, algorithm="auto", n_jobs=None
    ):
        first, which = distinct(rows)
        self.counts = np.zeros((len(first), n_classes), dtype=np.intp)
        np.add.at(self.counts, (which, codes), 1)
        self.n_neighbors = n_neighbors
        self.n_rows = rows.shape[0]
        self.rows = rows[first]
        searched, n_searched = clipped(rows[first]), min(n_neighbors + 2, len(first))
        self.search = NearestNeighbors(
            n_neighbors=n_searched,
            algorithm=search_algorithm(searched, algorithm, n_searched),
            n_jobs=n_jobs,
        ).fit(searched)

    def count(self, queries, codes):
        """Count the labels around rows, without one training row equal to each.

        Return the votes of each class, in parts of a whole, and the whole: both are
        integers, so that shares are exact.
        """
        if not sparse.issparse(queries):
            return self._count_all(queries, codes)
        # Copies of one row of an attack can hold more values than all other rows.
        labeled = distinct(queries)[1] * self.counts.shape[1] + codes
        rows, position = in_order(labeled)
        votes, whole = self._count_all(queries[rows], codes[rows])
        return votes[position], whole[position]

    def _count_all(self, queries, codes):
        votes = np.zeros((len(codes), self.counts.shape[1]), dtype=np.intp)
        whole = np.zeros(len(codes), dtype=np.intp)
        pending, n_found = np.arange(len(codes)), self.search.n_neighbors
        while len(pending):
            step = max(1, ENTRIES // (n_found * self.counts.shape[1]))
            left = []
            for start in range(0, len(pending), step):
                some = pending[start : start + step]
                done, *counted = self._count(queries[some], codes[some], n_found)
                votes[some[done]], whole[some[done]] = (part[done] for part in counted)
                left.append(some[~done])
            pending = np.concatenate(left)
            n_found = min(2 * n_found, len(self.counts))
        return votes, whole

    def _count(self, queries, codes, n_found):
        """Count among so many distinct rows; say where these are enough."""
        found = self.search.kneighbors(clipped(queries), n_found, return_distance=False)
        distances = found_distances(queries, self.rows, found)
        order = np.argsort(distances, axis=1, kind="stable")
        distances = np.take_along_axis(distances, order, axis=1)
        counts = self.counts[np.take_along_axis(found, order, axis=1)]
        each = np.arange(len(codes))
        itself = (distances[:, 0] == 0) & (counts[each, 0, codes] > 0)
        counts[each, 0, codes] -= itself
        n_places = np.minimum(self.n_neighbors, self.n_rows - itself)
        reached = counts.sum(axis=2).cumsum(axis=1) >= n_places[:, None]
        last = distances[each, reached.argmax(axis=1)][:, None]
        nearer = distances < last * (1 - SAME)
        equal = ~nearer & (distances <= last * (1 + SAME))
        votes = _shared(counts, nearer, equal, n_places)
        done = reached[:, -1] & self._is_beyond(queries, distances[:, -1], last[:, 0])
        if n_found == len(self.counts):
            done[:] = True
        return done, votes, votes.sum(axis=1)

    def _is_beyond(self, queries, farthest, last):
        """Whether no row that was not found can be as near as the last place."""
        # The search by products of matrices loses digits; trees do not.
        error = 0.0
        if self.search._fit_method == "brute":
            error = 8 * np.finfo(np.float64).eps * _squares(queries)
        return farthest**2 > (last * (1 + SAME)) ** 2 + error


def _shared(counts, nearer, equal, n_places):
    """Votes in parts: rows at the last distance share the places that are left."""
    of_nearer = np.einsum("ij,ijk->ik", nearer, counts)
    of_equal = np.einsum("ij,ijk->ik", equal, counts)
    n_equal = np.maximum(of_equal.sum(axis=1), 1)
    places = n_places - of_nearer.sum(axis=1)
    return of_nearer * n_equal[:, None] + of_equal * places[:, None]


def _squares(rows):
    if sparse.issparse(rows):
        return np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", rows, rows)


def distinct(rows):
    """Where each distinct row comes first, and which distinct row each row is.

    Rows are told apart by hashes; where rows of one hash differ, which an attacker can
    bring about, by all their values. Products with one vector do for most sparse rows,
    and take much less time.
    """
    if sparse.issparse(rows) and rows.has_canonical_format:
        found = in_order(rows @ _random_numbers(rows.shape[1]))
        if _are_copies(rows, *found):
            return found
    keys = (
        _hashes_of_sparse(rows) if sparse.issparse(rows) else by_blocks(_hashes, rows)
    )
    found = in_order(keys)
    return found if _are_copies(rows, *found) else in_order(_every_value(rows))


def _random_numbers(n):
    return (_mixed(np.arange(n, dtype=np.uint64), np.uint64(0)) >> 11) * 2.0**-53


def _are_copies(rows, first, which):
    """Tell whether rows equal those that come first among them."""
    copies = np.flatnonzero(first[which] != np.arange(rows.shape[0]))
    return all(
        _are_equal(rows[some], rows[first[which[some]]])
        for some in np.split(copies, range(COMPARED, len(copies), COMPARED))
    )


def _are_equal(rows, others):
    if not sparse.issparse(rows):
        return np.array_equal(rows, others)
    parts = ("indptr", "indices", "data")
    if all(np.array_equal(getattr(rows, p), getattr(others, p)) for p in parts):
        return True
    return (rows != others).nnz == 0  # zeros that are stored make no difference


def in_order(labels):
    """Where each label comes first, in this order, and which of them each one is."""
    _, first, which = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[which]


def members_of(groups, chosen):
    """Positions of the members of each chosen group, in their order."""
    order = np.argsort(groups, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(groups))])
    return [order[ends[group] : ends[group + 1]] for group in chosen]


def _every_value(rows):
    """A number for each row, equal for equal rows alone."""
    if not sparse.issparse(rows):
        return np.unique(rows[:], axis=0, return_inverse=True)[1].ravel()
    rows = rows.copy()
    rows.eliminate_zeros()
    known, which = {}, np.empty(rows.shape[0], dtype=np.intp)
    for i, (start, stop) in enumerate(zip(rows.indptr, rows.indptr[1:], strict=False)):
        key = rows.indices[start:stop].tobytes(), rows.data[start:stop].tobytes()
        which[i] = known.setdefault(key, len(known))
    return which


def _hashes(X: np.ndarray) -> np.ndarray:
    """A 64-bit hash of each row; equal rows have equal ones."""
    hashes = np.zeros(X.shape[0], dtype=np.uint64)
    for j in range(X.shape[1]):
        hashes += _mixed(_bits(X[:, j]), np.full(1, j, np.uint64))
    return hashes


def _hashes_of_sparse(X) -> np.ndarray:
    hashes = _mixed(_bits(X.data), X.indices.astype(np.uint64))
    hashes[X.data == 0] = 0  # as if it was not stored
    ends = np.concatenate([np.zeros(1, np.uint64), np.cumsum(hashes, dtype=np.uint64)])
    return ends[X.indptr[1:]] - ends[X.indptr[:-1]]


def _bits(values: np.ndarray) -> np.ndarray:
    whole = np.ascontiguousarray(values, dtype=np.float64) + 0.0  # one zero, not two
    return whole.view(np.uint64)


def _mixed(bits: np.ndarray, columns) -> np.ndarray:
    """Spread the bits of values, each column's in its own way (after splitmix64)."""
    bits = bits + (columns + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, multiplier in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(multiplier)
    return bits ^ (bits >> np.uint64(31))
