"""Groups of rows that have only one another as near neighbors."""

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from skpoison.filters._copies import Sized, blocks, comparisons

NEIGHBORS = 10
# Of the rows, or of those of a class: larger components are no groups.
LARGEST_COMPONENT = 0.2
LARGEST_OF_CLASS = 0.5
# Where more rows than that are in components, components are how honest rows lie.
USUAL_COMPONENTS = 0.25
SMALLEST = 5  # rows that contradict together


def nearest_rows(rows, k: int, rng) -> tuple:
    """Squared distances to, and positions of, the k nearest other rows, unordered."""
    n = rows.shape[0]
    best = np.full((n, k), np.inf)
    index = np.zeros((n, k), dtype=np.intp)
    everything = Sized.of(rows)
    for queries, members in comparisons(rows, rng):
        others = everything.at(members)
        take = min(k, len(members))
        for block in blocks(queries, len(members)):
            squares = everything.at(block).squares(others)
            squares[members == block[:, None]] = np.inf
            found = np.argpartition(squares, take - 1, axis=1)[:, :take]
            values = np.take_along_axis(squares, found, axis=1)
            values = np.concatenate([best[block], values], axis=1)
            where = np.concatenate([index[block], members[found]], axis=1)
            kept = np.argpartition(values, k - 1, axis=1)[:, :k]
            best[block] = np.take_along_axis(values, kept, axis=1)
            index[block] = np.take_along_axis(where, kept, axis=1)
    return best, index


def isolated_groups(rows, groups, codes, rng, k: int = NEIGHBORS) -> np.ndarray:
    """Join groups of near copies that have only one another as mutual neighbors.

    Where much of the data falls into such components, they say nothing: there the
    groups stay as they are.
    """
    first = np.unique(groups, return_index=True)[1]
    k = min(k, len(first) - 1)
    if k < 1:
        return groups
    squares, index = nearest_rows(rows[first], k, rng)
    there = np.isfinite(squares).ravel()
    ends = np.repeat(np.arange(len(first)), k)[there], index.ravel()[there]
    shape = (len(first), len(first))
    links = sparse.csr_array((np.ones(len(ends[0])), ends), shape=shape)
    joined = connected_components(links.multiply(links.T), directed=False)[1][groups]
    sizes = np.bincount(joined)
    totals = np.bincount(codes)
    counts = sparse.coo_array(
        (np.ones(len(codes)), (joined, codes)), shape=(len(sizes), len(totals))
    ).toarray()
    large = sizes > LARGEST_COMPONENT * len(codes)
    large |= (counts > LARGEST_OF_CLASS * totals).any(axis=1)
    if sizes[(sizes >= SMALLEST) & ~large].sum() > USUAL_COMPONENTS * len(codes):
        return groups
    joined = np.where(large[joined], len(sizes) + groups, joined)
    return np.unique(joined, return_inverse=True)[1]
