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

from skpoison._column_types import is_frame, is_pandas, is_polars

MOST_CATEGORIES = 30
# Columns of one unit, such as pixels, have spreads within this ratio: there, spreads
# are not blown up beyond a tenth of what is usual.
ONE_UNIT = 0.1
# Sparse rows of so few columns are judged as the same rows dense.
FEW_COLUMNS = 200


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
    """Say whether X is a list, array or Series of texts."""
    if sparse.issparse(X) or is_frame(X):
        return False
    if is_pandas(X) or is_polars(X):
        X = X.to_list()
    if isinstance(X, np.ndarray) and (X.ndim != 1 or X.dtype.kind not in "OUT"):
        return False
    if not isinstance(X, list | tuple | np.ndarray):
        return False
    return len(X) > 0 and all(isinstance(text, str) for text in X)


class AsNumbers(TransformerMixin, BaseEstimator):
    """Comparable columns of numbers from arrays, sparse rows, tables and texts.

    Dense columns are divided by their spread, missing values are medians, categories
    become zeros and ones; sparse rows are divided by their usual length.
    """

    def fit(self, X, y=None):
        """Learn spreads, medians and categories."""
        self.texts_ = TfidfVectorizer(sublinear_tf=True) if is_texts(X) else None
        if self.texts_ is not None:
            self.texts_.fit(X)
        numbers, words = self._read(X)
        self.is_sparse_ = sparse.issparse(numbers)
        self.one_hot_ = None
        if words is not None and words.shape[1]:
            self.one_hot_ = OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                max_categories=MOST_CATEGORIES,
                sparse_output=False,
            ).fit(words)
        if self.is_sparse_:
            self.scale_ = np.sqrt(np.mean(row_norms(numbers, squared=True))) or 1.0
            return self
        self._fit_dense(numbers)
        return self

    def _fit_dense(self, numbers):
        missing = np.isnan(numbers)
        self.missing_ = np.flatnonzero(missing.any(axis=0) & ~missing.all(axis=0))
        with np.errstate(all="ignore"):
            full = np.where(missing.all(axis=0), 0.0, numbers)
            self.medians_ = (
                np.nanmedian(full, axis=0) if full.size else np.zeros(full.shape[1])
            )
        full = np.where(np.isnan(full), self.medians_, full)
        largest = np.abs(full).max(axis=0, initial=0.0)
        unit = np.where(largest > 0, largest, 1.0)  # squares may be too large
        full = full / unit
        self.means_ = full.mean(axis=0) * unit
        spread = full.std(axis=0) * unit
        varied = spread[spread > 0]
        if len(varied) and np.median(varied) >= ONE_UNIT * varied.max():
            spread = np.maximum(spread, ONE_UNIT * np.median(varied))
        self.scale_ = np.where(spread > 0, spread, 1.0)

    def transform(self, X):
        """Return the numbers, an ndarray or a CSR array of float64."""
        numbers, words = self._read(X)
        if self.is_sparse_:
            return sparse.csr_array(sparse.csr_array(numbers) / self.scale_)
        numbers = numbers.toarray() if sparse.issparse(numbers) else numbers
        missing = np.isnan(numbers)
        full = np.where(missing, self.medians_, numbers)
        parts = [(full - self.means_) / self.scale_]
        if len(self.missing_):
            parts.append(missing[:, self.missing_].astype(np.float64))
        if self.one_hot_ is not None:
            parts.append(self.one_hot_.transform(words))
        return np.concatenate(parts, axis=1)

    def _read(self, X):
        """Numbers, NaN where they are missing, and columns of words or None."""
        if self.texts_ is not None:
            return sparse.csr_array(self.texts_.transform(X)), None
        if is_frame(X):
            return read_table(X)
        numbers = check_array(
            X,
            accept_sparse="csr",
            dtype=np.float64,
            ensure_all_finite=True if sparse.issparse(X) else "allow-nan",
        )
        if sparse.issparse(numbers):
            if numbers.shape[1] <= FEW_COLUMNS:
                return numbers.toarray(), None
            numbers = sparse.csr_array(numbers)
            if not numbers.has_canonical_format:
                numbers = numbers.copy()
                numbers.sum_duplicates()
        return numbers, None


def read_table(X):
    """Split a DataFrame in numbers (NaN where missing) and words (objects)."""
    numbers, words = [], []
    for name in X.columns:
        values = _column(X, name)
        if values.dtype.kind == "f":
            numbers.append(values)
        else:
            words.append(values)
    n = _num_samples(X)
    numbers = np.column_stack(numbers) if numbers else np.empty((n, 0))
    if np.isinf(numbers).any():
        raise ValueError("Input X contains infinity.")
    words = np.column_stack(words).astype(object) if words else None
    return numbers, words


def _column(X, name):
    """A column as float64, or as objects that are all texts."""
    series = X[name]
    kind = str(series.dtype)
    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "biuf":
        return series.to_numpy().astype(np.float64)
    values = series.to_list()
    if kind.startswith(("datetime", "Datetime", "Date")):
        return np.asarray(series.to_numpy().astype("datetime64[s]"), dtype=np.float64)
    given = [value for value in values if not _is_missing(value)]
    texts = sum(isinstance(value, str) for value in given)
    if 0 < texts < len(given):
        example = next(value for value in given if isinstance(value, str))
        raise ValueError(
            f"The column {name!r} of X holds numbers and texts, such as {example!r}: "
            "make them all numbers (NaN where they are missing), or all texts if they "
            "are categories."
        )
    is_category = kind.startswith(("category", "Categorical", "Enum"))
    if not texts and not is_category:
        return np.array(
            [np.nan if _is_missing(value) else float(value) for value in values]
        )
    return np.array(
        ["" if _is_missing(value) else str(value) for value in values], dtype=object
    )


def _is_missing(value: object) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value
