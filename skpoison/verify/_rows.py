"""Training rows: their hashes, and products with error bounds.

Let u = 2**-53. A sum of k products, in whatever order, is wrong by at most
``k u / (1 - k u)`` times the sum of the products' sizes (Higham, "Accuracy and
Stability of Numerical Algorithms", section 3.1), and the computed sum of sizes is too
small by at most this share of itself. As long as ``k u < 1 / 16``, ``2 (k + 8) u``
times the *computed* sum of sizes therefore covers the error, the rounding of the error
bound itself, and up to six more operations on the result. Products that are too small
for normal numbers add at most k times the smallest one. `UNIT` is 2u.
"""

import hashlib
from typing import Any, NamedTuple

import numpy as np

UNIT = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)
SPARE, BLOCK = 8, 512


def error(n_terms: Any, sizes: Any, unit: float) -> Any:
    """Return the error bound of sums of `n_terms` products, given the sums of sizes."""
    return (n_terms + SPARE) * (unit * sizes + TINY)


class Rows(NamedTuple):
    """Rows in compressed form: of each row, the entries that are not zero."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    n_features: int

    @property
    def counts(self) -> np.ndarray:
        """How many entries each row has."""
        return np.diff(self.indptr)

    @property
    def row_of(self) -> np.ndarray:
        """Which row each entry belongs to."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def times(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the product of each row with `w`, and the sum of the terms' sizes."""
        terms, n_rows = self.data * w[self.indices], len(self.counts)
        row_of = self.row_of
        sizes = np.bincount(row_of, np.abs(terms), minlength=n_rows)
        return np.bincount(row_of, terms, minlength=n_rows), sizes

    def combine(self, a: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Return the sum of the rows times `a`, sizes, and how many terms a sum has.

        Sums of sums have small errors: a term is in one of each.
        """
        n_rows, terms = len(self.counts), self.data * np.repeat(a, self.counts)
        total, sizes = np.zeros((2, self.n_features))
        starts = range(0, n_rows, BLOCK)
        for start in starts:
            part = slice(*self.indptr[[start, min(start + BLOCK, n_rows)]])
            for sums, values in (total, terms[part]), (sizes, np.abs(terms[part])):
                sums += np.bincount(self.indices[part], values, self.n_features)
        return total, sizes, min(n_rows, BLOCK) + len(starts)

    def dense(self, i: int) -> np.ndarray:
        """Return one row."""
        row, part = np.zeros(self.n_features), slice(*self.indptr[i : i + 2])
        row[self.indices[part]] = self.data[part]
        return row


def rows_of(X: Any) -> Rows:
    """Return dense or sparse (SciPy) rows in compressed form."""
    if hasattr(X, "tocsr"):
        X = X.tocsr().copy()
        X.sum_duplicates()
        X.eliminate_zeros()
        indptr = X.indptr.astype(np.int64)
        data, indices = X.data.astype(np.float64), X.indices.astype(np.int64)
        return Rows(data, indices, indptr, X.shape[1])
    X = np.asarray(X, dtype=np.float64)
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions, got the shape {X.shape}.")
    row_of, indices = np.nonzero(X)
    indptr = np.append(0, np.cumsum(np.bincount(row_of, minlength=len(X))))
    return Rows(X[row_of, indices], indices, indptr, X.shape[1])


def digest(rows: Rows, labels: np.ndarray) -> tuple[str, np.ndarray, list[bytes]]:
    """Return a hash of labeled rows in any order, the order of their own, and these.

    A row's hash is the SHA-256 of its label (float64), the positions of its entries
    that are not zero (int64) and these (float64); that of all is of the sorted ones.
    """
    codes = np.asarray(labels, dtype="<f8") + 0.0
    hashes = _hashes(rows, (code.tobytes() for code in codes))
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    total = hashlib.sha256(b"".join(hashes[i] for i in order))
    return total.hexdigest(), np.array(order, dtype=np.int64), hashes


def digests_of_contents(rows: Rows) -> list[bytes]:
    """Return the hash of each row without its label."""
    return _hashes(rows, (b"n" for _ in rows.counts))


def _hashes(rows, firsts):
    indices, data = rows.indices.astype("<i8"), rows.data.astype("<f8")
    ends, hashes = rows.indptr.tolist(), []
    for first, start, stop in zip(firsts, ends[:-1], ends[1:], strict=True):
        row = hashlib.sha256(first)
        row.update(indices[start:stop])
        row.update(data[start:stop])
        hashes.append(row.digest())
    return hashes


def digest_of_names(names: Any) -> str:
    """Return the hash of the columns' names, in order."""
    text = "\0".join(str(name) for name in names)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
