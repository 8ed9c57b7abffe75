"""Label flips against the nearest of two centroids, which flips move, too."""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skpoison._fitted import names_left_out
from skpoison.pointwise._linear_in_labels import flips_only, required

CELLS = 4_000_000  # of the largest array at a time
ROUNDING = 1e-10  # of the squared distances that are compared
AGREEMENT = 1e-6  # of the centroids' size, between an estimator and its rows


class _Seen(NamedTuple):
    """The training rows of the winner and of the rival as one test row sees them.

    With A and B the sums of both classes' rows, less the test row as often: products
    of each row with A and B, and its squared length; and those of A and B themselves.
    """

    own: np.ndarray  # (n_own, 3)
    rival: np.ndarray  # (n_rival, 3)
    squares: tuple[float, float]


def nearest_centroid_radius(estimator, X, attack, training):
    """Return flip radii of NearestCentroid with two classes."""
    flips_only(estimator, attack)
    _check_settings(estimator)
    X_train, y = required(estimator, training)
    codes = np.searchsorted(estimator.classes_, np.ravel(y))
    _check_rows(estimator, X_train, codes, y)
    X = validate_data(estimator, X, reset=False, accept_sparse="csr", dtype=np.float64)
    with names_left_out():
        winners = np.searchsorted(estimator.classes_, estimator.predict(X))
    train = _Train.of(X_train, codes)
    blocks = [
        _radius(train.seen_from(_dense(X[[i]]), winner))
        for i, winner in enumerate(winners)
    ]
    return np.array(blocks, dtype=np.intp)


def _check_settings(estimator: BaseEstimator) -> None:
    for name, wanted in (
        ("metric", "euclidean"),
        ("shrink_threshold", None),
        ("priors", "uniform"),
    ):
        given = getattr(estimator, name)
        if given != wanted:
            raise ValueError(
                f"NearestCentroid is certified with {name}={wanted!r}; got "
                f"{name}={given!r}."
            )
    if len(estimator.classes_) != 2:
        raise ValueError(
            "NearestCentroid is certified for two classes; it has "
            f"{len(estimator.classes_)}. PartitionedClassifier covers several."
        )


def _check_rows(estimator, X_train, codes, y):
    """Refuse other rows than those that the centroids are the means of."""
    known = np.array_equal(estimator.classes_[np.minimum(codes, 1)], np.ravel(y))
    away = np.inf
    if known and len(set(codes.tolist())) == 2:
        means = [_dense(X_train[codes == c].mean(axis=0)) for c in (0, 1)]
        away = np.abs(np.vstack(means) - estimator.centroids_).max()
    if away > AGREEMENT * max(np.abs(estimator.centroids_).max(), 1e-300):
        raise ValueError(
            "X_train and y_train must be the rows that the estimator was fitted on; "
            "the centroids of NearestCentroid are not their means."
        )


def _dense(rows: Any) -> np.ndarray:
    rows = rows.toarray() if sparse.issparse(rows) else np.asarray(rows)
    return rows.ravel()


class _Train(NamedTuple):
    """The training rows, and what of them does not depend on the test row."""

    X: Any
    codes: np.ndarray
    sums: list[np.ndarray]  # of the rows of each class
    counts: np.ndarray
    squares: np.ndarray  # squared lengths of rows

    @classmethod
    def of(cls, X: Any, codes: np.ndarray) -> "_Train":
        sums = [_dense(X[codes == c].sum(axis=0)) for c in (0, 1)]
        squares = X.multiply(X) if sparse.issparse(X) else X**2
        squares = np.asarray(squares.sum(axis=1)).ravel()
        return cls(X, codes, sums, np.bincount(codes, minlength=2), squares)

    def seen_from(self, x: np.ndarray, winner: int) -> _Seen:
        """Compute products of rows less a test row, without their differences."""
        A, B = (self.sums[c] - self.counts[c] * x for c in (winner, 1 - winner))
        towards = np.column_stack([A, B])
        products = np.asarray(self.X @ towards) - x @ towards
        lengths = self.squares - 2.0 * np.asarray(self.X @ x) + x @ x
        table = np.column_stack([products, np.maximum(lengths, 0.0)])
        own = self.codes == winner
        return _Seen(table[own], table[~own], (float(A @ A), float(B @ B)))


def _radius(seen):
    """Return the largest number of flips that leaves the winner nearer for sure."""
    most = min(len(seen.own), len(seen.rival)) - 1  # no class loses its last row
    good, bad = 0, 1
    while bad <= most and _holds(seen, bad):
        good, bad = bad, 2 * bad
    bad = min(bad, most + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if _holds(seen, middle) else (good, middle)
    return good


def _holds(seen, n_flips):
    """Whether no so many flips, of whichever rows, make the rival as near."""
    gains = np.arange(-n_flips, n_flips + 1)  # of the winner's number of rows
    size = max(CELLS // (len(seen.own) + len(seen.rival)), 1)
    blocks = (gains[i : i + size] for i in range(0, len(gains), size))
    return all(_least(seen, block, n_flips) > 0.0 for block in blocks)


def _least(seen, gains, n_flips):
    """Return a bound on how much farther the rival is, for flips with these gains.

    p rows leave the winner, and q the rival. The squared distances change by a term
    linear in the flipped rows, and a square of their sum, which is at most their number
    times the sum of their squares.
    """
    alpha = 1.0 / (len(seen.own) + gains) ** 2
    beta = 1.0 / (len(seen.rival) - gains) ** 2
    curved = np.minimum(beta - alpha, 0.0) * n_flips
    away = beta * seen.squares[1] - alpha * seen.squares[0]
    slack = ROUNDING * (beta * seen.squares[1] + alpha * seen.squares[0])
    weights = np.column_stack([2.0 * alpha, 2.0 * beta, curved])
    turned = weights * np.array([-1.0, -1.0, 1.0])
    leave = _smallest_sums(weights @ seen.own.T, n_flips)
    come = _smallest_sums(turned @ seen.rival.T, n_flips)
    p = np.arange(n_flips + 1)
    q = gains[:, None] + p
    possible = (q >= 0) & (p + q <= n_flips)
    both = leave + np.take_along_axis(come, np.clip(q, 0, n_flips), axis=1)
    return float(np.min(np.where(possible, (away - slack)[:, None] + both, np.inf)))


def _smallest_sums(values, most):
    """Return the sums of the 0, 1, 2, … smallest values of each row."""
    if most < values.shape[1]:
        values = np.partition(values, most - 1, axis=1)[:, :most]
    sums = np.cumsum(np.sort(values, axis=1), axis=1)
    return np.pad(sums, ((0, 0), (1, 0)))
