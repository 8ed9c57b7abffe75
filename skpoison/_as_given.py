"""Rows in the container that they came in, and the numbers to measure them with."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.extmath import row_norms
from sklearn.utils.validation import _num_samples

from skpoison._column_types import Types, is_frame, is_pandas, is_polars
from skpoison._tables import Table, is_missing
from skpoison._versions import VersionedMixin

MOST_CATEGORIES = 30
# Columns of one unit, such as pixels, have spreads within this ratio: there, spreads
# are not blown up beyond a tenth of what is usual.
ONE_UNIT = 0.1
# Sparse rows of so few columns are judged as the same rows dense.
FEW_COLUMNS = 200
# Numbers, at most: trees hold them in 32 bits.
FARTHEST = 1e30
# Values farther from the median than so many usual deviations from it, or than the
# root of the number of rows, are as near: one would decide the spread of its column.
LEAST_REACH = 50.0
SAMPLE = 1_000  # rows that say what is usual
# Values of columns that are described at once: so many, or a part of all.
AT_ONCE, PARTS = 2**18, 16


class GivenRows:
    """Rows of any container, with as much of an array as filters need."""

    def __init__(self, data):
        self.data = data
        self.shape = (_num_samples(data),)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        return GivenRows(_safe_indexing(self.data, rows))


def is_texts(X: Any) -> bool:
    """Say whether X is a list, array or Series of texts; some may be missing."""
    cells = _cells(X)
    return cells is not None and any(isinstance(cell, str) for cell in cells)


def filled_texts(X: Any) -> list[str]:
    """Return texts as a list, empty where they are missing."""
    cells = _cells(X)
    if cells is None:
        raise ValueError(
            "X must hold texts, in a list, an array of one axis or a Series, as it did "
            f"at fit; got {type(X).__name__}."
        )
    return ["" if is_missing(cell) else cell for cell in cells]


def _cells(X):
    """The entries of a list, array or Series of texts; None if it is something else."""
    if sparse.issparse(X) or is_frame(X):
        return None
    if is_pandas(X) or is_polars(X):
        X = X.to_list()
    if isinstance(X, np.ndarray) and (X.ndim != 1 or X.dtype.kind not in "OUT"):
        return None
    if not isinstance(X, list | tuple | np.ndarray) or len(X) == 0:
        return None
    only_texts = all(isinstance(cell, str) or is_missing(cell) for cell in X)
    return X if only_texts else None


def fit_words(texts: list[str]) -> TfidfVectorizer:
    """Fit the vectorizer that texts are compared by where none is given."""
    try:
        return TfidfVectorizer().fit(texts)
    except ValueError as error:
        raise ValueError(
            f"No text in X has a word of two letters or more ({error}). Pass an "
            "estimator, or a transformer, that takes such texts: a pipeline with "
            "TfidfVectorizer(analyzer='char'), for instance."
        ) from error


def checked_array(X: Any, dtype: Any, **how: Any) -> np.ndarray | sparse.csr_array:
    """Check an array or sparse rows; NaN may stand in dense ones."""
    with np.errstate(over="ignore", invalid="ignore"):  # they are summed up first
        return check_array(
            X,
            accept_sparse="csr",
            dtype=dtype,
            ensure_all_finite=True if sparse.issparse(X) else "allow-nan",
            input_name="X",
            **how,
        )


def needs_encoding(X: Any) -> bool:
    """Say whether rows are texts, or a table with columns that are no numbers."""
    if not is_frame(X):
        return is_texts(X)
    types = Types.of(X)
    return bool(types.words or types.categories)


class AsNumbers(TransformerMixin, VersionedMixin, BaseEstimator):
    """Comparable columns of numbers from arrays, sparse rows, tables and texts.

    Dense columns are divided by their spread, missing values are medians, categories
    become zeros and ones; sparse rows are divided by their usual length. Values out of
    all proportion to the others are brought nearer: one of them could make all others
    look the same.
    """

    def fit(self, X, y=None):
        """Learn spreads, medians and categories."""
        self.texts_ = fit_words(filled_texts(X)) if is_texts(X) else None
        self.table_ = Table.of(X, MOST_CATEGORIES) if is_frame(X) else None
        numbers, words = self._read(X)
        self.is_sparse_ = sparse.issparse(numbers)
        self.one_hot_ = None
        if words is not None and words.shape[1]:
            self.one_hot_ = OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                max_categories=MOST_CATEGORIES,
                sparse_output=False,
            ).fit(words)
        elif numbers.shape[1] == 0:
            raise ValueError(f"X has no columns to compare rows by{self._unread()}.")
        if self.is_sparse_:
            self._fit_sparse(numbers)
        else:
            self._fit_dense(numbers)
        return self

    def _unread(self):
        unread = self.table_.unread if self.table_ is not None else []
        if not unread:
            return ": they hold no values"
        return (
            f": {unread[0]!r} holds texts that differ from row to row. Pass the texts "
            f"alone, X[{unread[0]!r}], or numbers made of them"
        )

    def _fit_sparse(self, numbers):
        stored = np.abs(numbers.data[numbers.data != 0])
        self.unit_ = np.median(stored) if len(stored) else 1.0
        sizes = row_norms(self._in_units(numbers), squared=True) ** 0.5
        usual = np.median(sizes[sizes > 0]) if sizes.any() else 1.0
        self.end_ = _reach(len(sizes)) * usual
        self.scale_ = np.sqrt(np.mean(np.minimum(sizes, self.end_) ** 2)) or 1.0

    def _in_units(self, numbers, end=FARTHEST):
        """Sparse rows divided by the usual size of what is stored, none too large."""
        numbers = sparse.csr_array(numbers, copy=True)
        with np.errstate(over="ignore"):
            numbers.data = np.clip(numbers.data / self.unit_, -end, end)
        return numbers

    def _fit_dense(self, numbers):
        n_columns = numbers.shape[1]
        width = max(2, AT_ONCE // max(1, len(numbers)), n_columns // PARTS)
        n_parts = max(1, n_columns // width)
        parts = [
            _describe(numbers[:, columns].astype(np.float64))
            for columns in np.array_split(np.arange(n_columns), n_parts)
        ]
        known = (np.concatenate(each) for each in zip(*parts, strict=True))
        self.never_, missing, self.medians_, *self.ends_, self.means_, spread = known
        self.missing_ = np.flatnonzero(missing)
        widest = spread.max(initial=0.0) or 1.0
        usual = np.median(spread[spread > 0] / widest) if spread.any() else 0.0
        if usual >= ONE_UNIT:
            spread = np.maximum(spread, ONE_UNIT * usual * widest)
        self.scale_ = np.where(spread / 2 > 0, spread, 1.0)

    def transform(self, X):
        """Return the numbers, an ndarray or a CSR array of float64."""
        return self.encode(*self._read(X))

    def read(self, X):
        """Return columns of numbers as they were written, NaN where they are missing.

        None where there are none, as in texts and sparse rows, or only whole ones.
        """
        numbers = None if self.texts_ is not None else self._read(X)[0]
        is_written = isinstance(numbers, np.ndarray) and numbers.dtype.kind == "f"
        return numbers if is_written else None

    def encode(self, numbers, words=None):
        """Return the numbers of rows that were checked, and of columns of words."""
        if self.is_sparse_:
            return self._scale_sparse(numbers)
        numbers = numbers.toarray() if sparse.issparse(numbers) else numbers
        numbers = numbers.astype(np.float64, copy=False)
        missing = np.isnan(numbers)
        parts = [self._scale_dense(np.where(missing, self.medians_, numbers))]
        if len(self.missing_):
            parts.append(missing[:, self.missing_].astype(np.float64))
        if self.one_hot_ is not None:
            parts.append(self.one_hot_.transform(words))
        return np.concatenate(parts, axis=1)

    def _scale_dense(self, full):
        full[:, self.never_] = 0.0
        np.clip(full, *self.ends_, out=full)
        with np.errstate(over="ignore"):
            full *= 0.5  # differences of halves are finite
            full -= self.means_ / 2
            full /= self.scale_ / 2
        return np.clip(full, -FARTHEST, FARTHEST, out=full)

    def _scale_sparse(self, numbers):
        numbers = self._in_units(numbers, self.end_)
        numbers.data /= self.scale_
        return numbers

    def _read(self, X):
        """Numbers, NaN where they are missing, and columns of words or None."""
        if self.texts_ is not None:
            return _few_dense(self.texts_.transform(filled_texts(X))), None
        if self.table_ is not None:
            return self.table_.read(X.toarray() if sparse.issparse(X) else X)
        numbers = checked_array(X, "numeric")
        if sparse.issparse(numbers):
            return _few_dense(numbers.astype(np.float64, copy=False)), None
        return numbers, None


def _describe(numbers):
    """What is missing of columns, their medians, ends, means and spreads."""
    missing = np.isnan(numbers)
    never = missing.all(axis=0)
    numbers[:, never] = 0.0
    medians = np.zeros(numbers.shape[1])
    if numbers.size:
        # Of halves, since the sum of the two in the middle may be too large.
        medians = 2 * np.nanmedian(numbers / 2, axis=0)
    np.copyto(numbers, medians, where=np.isnan(numbers))
    ends = _ends(numbers)
    np.clip(numbers, *ends, out=numbers)
    largest = np.abs(numbers).max(axis=0, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0)  # squares may be too large
    numbers /= unit
    means, spread = numbers.mean(axis=0) * unit, numbers.std(axis=0) * unit
    return never, missing.any(axis=0) & ~never, medians, *ends, means, spread


def _reach(n_rows):
    """How many usual deviations a value may reach, or one row decides the spread."""
    return max(LEAST_REACH, np.sqrt(n_rows))


def _ends(full):
    """Least and largest values of columns that are not out of all proportion."""
    n = len(full)
    some = full[np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.intp))]
    some = some / 4  # so that sums of two are finite
    middle = np.median(some, axis=0)
    sizes = np.abs(some - middle)
    sizes[:, ~sizes.any(axis=0)] = np.inf  # no value says what is usual
    usual = np.nanmedian(np.where(sizes > 0, sizes, np.nan), axis=0)
    with np.errstate(over="ignore"):
        reach = _reach(n) * usual
        return 4 * (middle - reach), 4 * (middle + reach)


def _few_dense(numbers):
    """Sparse rows in canonical form; dense ones where there are few columns."""
    if numbers.shape[1] <= FEW_COLUMNS:
        return numbers.toarray()
    numbers = sparse.csr_array(numbers)
    if not numbers.has_canonical_format:
        numbers = numbers.copy()
        numbers.sum_duplicates()
    return numbers
