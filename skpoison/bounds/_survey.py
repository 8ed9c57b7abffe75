"""What is learned of rows in blocks before a bound on them: one pass over the rows.

Labels or targets, sums that error bounds need, and some of the rows, drawn at random.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _get_feature_names, _num_samples

from skpoison._labels import check_labels, check_targets, distinct_labels, find_labels
from skpoison.bounds._linear import check_values
from skpoison.solvers._out_of_core import most_rows

DTYPES = [np.float64, np.float32]
# So many times as many rows are drawn as a block would have if all were alike.
SPARE_ROWS, LEAST_ROWS = 2.0, 500


class Form(NamedTuple):
    """What all blocks must have in common."""

    n_features: int
    names: tuple | None
    dtype: str
    is_sparse: bool

    def check(self, other: "Form") -> None:
        """Raise an error that says how another block differs."""
        if self == other:
            return
        unlike = [
            f"{name} is {mine!r} in one and {theirs!r} in another"
            for name, mine, theirs in zip(self._fields, self, other, strict=True)
            if mine != theirs
        ]
        raise ValueError(
            f"Blocks of rows (partitions) must be alike, but {'; '.join(unlike)}."
        )


def rows_of(X: Any) -> Any:
    """Return the rows of a block as an array or CSR matrix of floats."""
    options = {"accept_sparse": "csr", "dtype": DTYPES, "ensure_all_finite": False}
    return check_array(X, ensure_min_samples=0, **options)


@dataclass
class Survey:
    """What has been seen of the rows.

    Parameters
    ----------
    form : Form or None
        What blocks have in common; None before the first row.
    n_rows, n_cells : int
        Numbers of rows and of their stored values.
    labels : ndarray of shape (n_labels,) or None
        The labels, sorted; in regression None.
    counts, squares : ndarray of shape (n_labels,) or (1,)
        The number of rows of each label, and the sum of their squared norms.
    ends, target_squares : tuple of float, float
        In regression the least and the largest target, and the sum of their squares.
    keys : ndarray of shape (n_drawn,)
        Random numbers of the rows drawn, the smallest ones.
    limit : float
        No row whose number is below it is missing.
    X : {ndarray, CSR matrix} of shape (n_drawn, n_features)
        The rows drawn.
    y : ndarray of shape (n_drawn,)
        Their labels or targets.
    """

    form: Form | None = None
    n_rows: int = 0
    n_cells: int = 0
    labels: Any = None
    counts: Any = None
    squares: Any = None
    ends: tuple = (np.inf, -np.inf)
    target_squares: float = 0.0
    keys: Any = None
    limit: float = np.inf
    X: Any = None
    y: Any = None

    @property
    def most_rows(self) -> int:
        """How many rows may be in memory."""
        assert self.form is not None
        return most_rows(self.form.n_features + 1, self.n_cells / max(self.n_rows, 1))

    def plus(self, other: "Survey") -> "Survey":
        """Return what has been seen of the rows of both."""
        if other.form is None or self.form is None:
            return self if other.form is None else other
        self.form.check(other.form)
        labels, counts, squares = None, self.counts + 0, self.squares + 0
        if self.labels is None:
            counts, squares = counts + other.counts, squares + other.squares
        else:
            labels = distinct_labels(np.concatenate([self.labels, other.labels]))
            pair = [one._spread(labels) for one in (self, other)]
            counts, squares = (a + b for a, b in zip(*pair, strict=True))
        stack = sparse.vstack if self.form.is_sparse else np.vstack
        both = Survey(
            self.form,
            self.n_rows + other.n_rows,
            self.n_cells + other.n_cells,
            labels,
            counts,
            squares,
            (min(self.ends[0], other.ends[0]), max(self.ends[1], other.ends[1])),
            self.target_squares + other.target_squares,
            np.concatenate([self.keys, other.keys]),
            min(self.limit, other.limit),
            stack([self.X, other.X]),
            np.concatenate([self.y, other.y]),
        )
        return both._thinned(both.most_rows)

    def _spread(self, labels):
        places = find_labels(self.labels, labels)
        found = np.zeros((2, len(labels)))
        found[0, places], found[1, places] = self.counts, self.squares
        return found[0].astype(np.int64), found[1]

    def _thinned(self, most):
        """Keep only the rows with the smallest random numbers, so many at most."""
        if len(self.keys) > most:
            self.limit = min(self.limit, float(np.partition(self.keys, most)[most]))
        kept = np.flatnonzero(self.keys < self.limit)
        if len(kept) < len(self.keys):
            X = self.X.tocsr() if sparse.issparse(self.X) else self.X
            self.X, self.y, self.keys = X[kept], self.y[kept], self.keys[kept]
        return self


def survey(
    X: Any, y: Any, part: int, n_parts: int, *, name: str, targets: bool, seed: int
) -> Survey:
    """Return what one block, of so many, tells; `name` is that of the estimator."""
    if not _num_samples(X):
        return Survey()
    names = _get_feature_names(X)
    X = rows_of(X)
    check_values(name, X)
    names = None if names is None else tuple(names)
    is_sparse = sparse.issparse(X)
    form = Form(X.shape[1], names, np.dtype(X.dtype).name, is_sparse)
    n_rows = X.shape[0]
    keys = np.random.default_rng([seed, part]).random(n_rows)
    seen = Survey(form, n_rows, X.nnz if is_sparse else X.size, keys=keys, X=X)
    norms = _squared_norms(X)
    if targets:
        seen.y = check_targets(X, y)
        check_values(name, seen.y, "y")
        seen.counts, seen.squares = np.array([n_rows]), np.array([norms.sum()])
        seen.ends = float(seen.y.min()), float(seen.y.max())
        seen.target_squares = float(seen.y @ seen.y)
    else:
        seen.y = _labels_of(X, y)
        seen.labels = distinct_labels(seen.y)
        codes = find_labels(seen.y, seen.labels)
        seen.counts = np.bincount(codes)
        seen.squares = np.bincount(codes, norms)
    share = int(SPARE_ROWS * seen.most_rows / n_parts) + LEAST_ROWS
    return seen._thinned(min(share, seen.most_rows))


def _labels_of(X, y):
    y = check_labels(y)
    check_classification_targets(y)
    if len(y) != X.shape[0]:
        raise ValueError(f"y has {len(y)} entries, but X has {X.shape[0]} rows.")
    return y


def _squared_norms(X):
    """Return squared norms, whose sums are in double precision."""
    if sparse.issparse(X):
        data = X.data.astype(np.float64)
        parts = data * data, X.indices, X.indptr
        return np.asarray(sparse.csr_array(parts, shape=X.shape).sum(axis=1)).ravel()
    return np.einsum("ij,ij->i", X, X, dtype=np.float64)
