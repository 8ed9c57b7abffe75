"""Groups of rows that have only one another as near neighbors."""

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from skpoison.filters._copies import NEIGHBORS, DistinctRows

# Of the rows, or of those of a class: larger components are no groups.
LARGEST_COMPONENT = 0.2
LARGEST_OF_CLASS = 0.5
# Where more rows than that are in components, components are how honest rows lie.
USUAL_COMPONENTS = 0.25
SMALLEST = 5  # rows that contradict together


def isolated_groups(
    distinct_rows: DistinctRows, groups: np.ndarray, codes: np.ndarray
) -> np.ndarray:
    """Join groups of near copies that have only one another as mutual neighbors.

    Where much of the data falls into such components, they say nothing: there the
    groups stay as they are.
    """
    first = np.unique(groups, return_index=True)[1]
    k = min(NEIGHBORS, len(first) - 1)
    if k < 1:
        return groups
    distances, index = distinct_rows.nearest_among(distinct_rows.position[first], k)
    ends = np.arange(0, index.size + 1, k, dtype=index.dtype)
    shape = (len(first), len(first))
    links = sparse.csr_array(
        (np.isfinite(distances).ravel(), index.ravel(), ends), shape
    )
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
