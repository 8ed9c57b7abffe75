"""Standardized columns that are the same to the last bit in any order of the rows.

Floats that are multiples of one power of two sum without rounding as long as the sum
needs no more than 53 bits. Values are therefore cut at a grid that is coarse enough,
and what is below it at a finer one (Demmel and Nguyen, "Fast Reproducible
Floating-Point Summation", ARITH 2013).
"""

import numpy as np

EPS = np.finfo(np.float64).eps
LEAST_EXPONENT = -1000


def fit_standard(blocks):
    """Return a StandardScaler that was fitted block by block.

    `blocks` gives them anew each time it is called.
    """
    from sklearn.preprocessing import StandardScaler

    largest, n_rows = 0.0, 0
    for block in blocks():
        n_rows += len(block)
        largest = np.maximum(largest, np.abs(np.asarray(block)).max(axis=0))
    exponents = np.maximum(np.frexp(largest)[1] - 1, LEAST_EXPONENT)
    units = np.ldexp(1.0, exponents)

    def in_units():
        return (np.asarray(block, np.float64) / units for block in blocks())

    means = _sums(in_units(), 2.0, n_rows) / n_rows
    squares = ((X - means) ** 2 for X in in_units())
    variances = _sums(squares, 16.0, n_rows) / n_rows
    # As scikit-learn does: what rounding leaves of a constant column is no spread.
    noise = n_rows * EPS * variances + (n_rows * means * EPS) ** 2
    scaler = StandardScaler(copy=False).fit(0 * next(iter(blocks()))[:1])
    with np.errstate(over="ignore"):
        scaler.mean_, scaler.var_ = means * units, variances * units**2
    scaler.scale_ = np.where(variances <= noise, 1.0, np.sqrt(variances) * units)
    scaler.n_samples_seen_ = n_rows
    return scaler


def _sums(blocks, limit, n_rows):
    """Return sums of columns whose values are within a limit, a power of two."""
    scale = 2.0 ** (np.ceil(np.log2(n_rows)) + 2)
    coarse = 1.5 * scale * limit
    grids = coarse, coarse * scale * 2.0**-53
    totals = 0.0
    for X in blocks:
        sums = []
        for grid in grids:
            above = (X + grid) - grid
            sums.append(above.sum(axis=0))
            X = X - above
        totals = totals + np.array(sums)
    return totals.sum(axis=0)
