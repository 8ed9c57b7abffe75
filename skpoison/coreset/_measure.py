"""How the rows of a class are compared: in what units, and whether scaled before."""

from collections.abc import Callable

import numpy as np

from skpoison.coreset._numpy import Measure
from skpoison.coreset.backend import STEPS


def measured(
    X: np.ndarray,
    similarity: str,
    metric: str,
    largest_square: Callable[[np.ndarray], np.floating],
) -> tuple[np.ndarray, Measure]:
    """Return rows as the kernels take them, X.T, and how they are compared."""
    columns = np.ascontiguousarray(X.T)
    measure = _measure(columns, similarity, metric, largest_square)
    columns, measure = _without_subnormal_squares(columns, measure)
    return columns, measure._replace(near=_are_near(columns, measure))


def _are_near(columns, measure):
    """Whether all dissimilarities are in the first step of the exponential."""
    if measure.linear:
        return False
    limits = np.finfo(columns.dtype)
    with np.errstate(over="ignore"):
        spans = columns.max(axis=1) - columns.min(axis=1)
        square = np.sum(np.square(spans, dtype=np.float64))
        farthest = square if measure.squared else np.sqrt(square)
        rounding = 8 * (len(columns) + 4) * float(limits.eps)
        return bool(farthest * measure.inverse * (1 + rounding) < 1 / STEPS)


def _without_subnormal_squares(columns, measure):
    """Multiply rows by a power of two, where squares would be subnormal numbers.

    Computing with these takes a hundred times as long, and residuals of a model that is
    certain of many rows are full of them. The power goes through sums, roots and
    products unrounded. Values that it leaves too small, below 2^-100 of the largest one
    in float32, are as good as zeros.
    """
    limits = np.finfo(columns.dtype)
    smallest = 2.0 ** (limits.minexp // 2)
    sizes = np.abs(columns)
    if not np.any((sizes > 0) & (sizes < smallest)):
        return columns, measure
    room = int(0.4 * limits.maxexp)
    power = int(np.clip(room - np.frexp(sizes.max())[1], 0, room))
    columns = np.ldexp(columns, power)
    columns[np.abs(columns) < smallest] = 0
    inverse = np.ldexp(measure.inverse, -(1 + measure.squared) * power)
    return columns, measure._replace(inverse=inverse)


def _measure(columns, similarity, metric, largest_square):
    dtype = columns.dtype.type
    squared = metric == "cosine"
    half = 0.5 if squared else 1.0
    if similarity == "exp":
        return Measure(False, squared, dtype(half / len(columns)), 1.0)
    square = float(largest_square(columns))
    if not np.isfinite(square):
        raise ValueError("X holds values whose squared distances overflow: scale it.")
    largest = half * square if squared else np.sqrt(square)
    return Measure(True, squared, dtype(half / largest if largest else 0), largest)
