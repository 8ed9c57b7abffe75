"""From the columns of a table to a matrix."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ._columns import check_categories, is_number, is_text, numbers, words
from ._errors import DataError
from ._scale import Scale

# Sparse rows are cheaper than dense ones below about this share of non-zeros.
SPARSE_DENSITY = 0.25
BLOCK_ROWS = 2048


@dataclass(frozen=True)
class Encoding:
    """How columns become numbers.

    Parameters
    ----------
    scale : {"none", "standard", "maxabs"}
        How columns of numbers are scaled; commands decide what "auto" means for it.
    categorical : tuple of str
        Columns to take as categories whatever they hold; columns of words are
        categories anyway.
    text : tuple of str
        Columns of free text.
    weights : {"tfidf", "counts"}
        How words of free text are weighted.
    """

    scale: str = "none"
    categorical: tuple = ()
    text: tuple = ()
    weights: str = "tfidf"


class TableEncoder:
    """Turns the features of a table into a matrix of numbers.

    Columns of numbers come first, then one column for each category, then one for each
    word of free text.

    Parameters
    ----------
    data : TableData
        The table to learn from.
    rows : ndarray of int
        The rows to learn from.
    encoding : Encoding
        How columns become numbers.

    Attributes
    ----------
    names : list of str
        The names of the matrix's columns.
    groups : list of list of int
        For each column of categories, the positions of its categories' columns.
    plain : bool
        Whether all columns are the table's own.
    has_text : bool
        Whether there is free text, of which rows of the matrix are no rows again.
    scaled : bool
        Whether columns are scaled.
    """

    def __init__(self, data, rows, encoding):
        numeric, categorical, text = _roles(data, encoding)
        self.scaled = bool(numeric) and encoding.scale != "none"
        self._blocks = []
        if numeric:
            self._blocks.append(Numbers(numeric, encoding.scale))
        if categorical:
            self._blocks.append(Categories(categorical))
        self._blocks += [Words(name, encoding.weights) for name in text]
        self.plain = not categorical and not text
        self.has_text = bool(text)
        for block in self._blocks:
            block.fit(data, rows)
        self.names = [name for block in self._blocks for name in block.names]
        self.groups = self._find_groups()
        self._sparse = bool(text) or self._is_thin(len(categorical))

    def _is_thin(self, n_categorical):
        if not n_categorical:
            return False
        first = self._blocks[0]
        n_numeric = len(first.names) if isinstance(first, Numbers) else 0
        return (n_numeric + n_categorical) < SPARSE_DENSITY * len(self.names)

    def transform(self, data, rows):
        """Return the matrix of some rows.

        Parameters
        ----------
        data : TableData
            A table with the same columns.
        rows : ndarray of int
            Which rows.

        Returns
        -------
        X : {ndarray, csr_array} of shape (n_rows, n_features)
            Numbers, float64; float32 where all columns are. Sparse where that is
            cheaper.
        """
        parts = [block.transform(data, rows) for block in self._blocks]
        if len(parts) == 1 and sparse.issparse(parts[0]) == self._sparse:
            return parts[0]
        if self._sparse:
            return sparse.hstack(
                [sparse.csr_array(part) for part in parts], format="csr"
            )
        return np.hstack(
            [part.toarray() if sparse.issparse(part) else part for part in parts]
        )

    def _find_groups(self):
        groups, start = [], 0
        for block in self._blocks:
            for size in getattr(block, "sizes", ()):
                groups.append([*range(start, start + size)])
                start += size
            start += 0 if hasattr(block, "sizes") else len(block.names)
        return groups

    def undo(self, X):
        """Return encoded rows, dense, with numbers in their own scale again."""
        return self._with_numbers(X, lambda scale, numbers: scale.undo(numbers))

    def redo(self, X):
        """Return what :meth:`undo` returned, in the scale of the matrix."""
        X = self._with_numbers(X, lambda scale, numbers: scale.apply(numbers.copy()))
        return sparse.csr_array(X) if self._sparse else X

    def _with_numbers(self, X, change):
        X = X.toarray() if sparse.issparse(X) else np.array(X)
        if isinstance(self._blocks[0], Numbers):
            block = self._blocks[0]
            own = slice(0, len(block.names))
            X[:, own] = change(block.scale, X[:, own])
        return X

    def columns(self, X):
        """Return rows that :meth:`undo` returned as columns of the table, by name.

        Columns of categories hold the largest one; free text remains in columns of
        words.
        """
        columns, start = {}, 0
        for block in self._blocks:
            part = X[:, start : start + len(block.names)]
            columns |= block.columns(part)
            start += len(block.names)
        return columns


class Numbers:
    """Columns of numbers, one for one.

    Parameters
    ----------
    names : list of str
        The columns.
    scale : str
        How they are scaled.
    """

    def __init__(self, names, scale):
        self.names, self.scale = names, Scale(scale)

    def fit(self, data, rows):
        """Measure the scales."""
        if self.scale.kind != "none":
            self.scale.fit(self._matrix(data, rows))
        return self

    def transform(self, data, rows):
        """Return the scaled columns."""
        return self.scale.apply(self._matrix(data, rows))

    def columns(self, X):
        """Return columns by name."""
        return dict(zip(self.names, X.T, strict=True))

    def _matrix(self, data, rows):
        columns = [data.column(name) for name in self.names]
        single = all(str(column.type) in ("float", "halffloat") for column in columns)
        columns = [
            numbers(name, column)
            for name, column in zip(self.names, columns, strict=True)
        ]
        X = np.empty((len(rows), len(columns)), np.float32 if single else np.float64)
        # In blocks that stay in the processor's cache, since columns become rows.
        for start in range(0, len(rows), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            for j, column in enumerate(columns):
                X[block, j] = column[rows[block]]
        return X


class Categories:
    """A column of zeros and ones for each category; unknown ones are all zero.

    Parameters
    ----------
    columns : list of str
        The columns of categories.
    """

    def __init__(self, columns):
        from sklearn.preprocessing import OneHotEncoder

        self._columns = columns
        self._encoder = OneHotEncoder(handle_unknown="ignore")

    def fit(self, data, rows):
        """Collect the categories."""
        self._encoder.fit(self._cells(data, rows))
        self.sizes = [len(found) for found in self._encoder.categories_]
        self.names = [
            f"{column}={category}"
            for column, categories in zip(
                self._columns, self._encoder.categories_, strict=True
            )
            for category in categories
        ]
        return self

    def transform(self, data, rows):
        """Return zeros and ones."""
        return sparse.csr_array(self._encoder.transform(self._cells(data, rows)))

    def columns(self, X):
        """Return a column of categories for each column, by name."""
        parts = np.split(X, np.cumsum(self.sizes)[:-1], axis=1)
        found = zip(self._columns, self._encoder.categories_, parts, strict=True)
        return {
            name: categories[part.argmax(axis=1)] for name, categories, part in found
        }

    def _cells(self, data, rows):
        columns = [words(name, data.column(name))[rows] for name in self._columns]
        return np.column_stack(columns)


class Words:
    """A column for each word of free text.

    Parameters
    ----------
    column : str
        The column of text.
    weights : {"tfidf", "counts"}
        How words are weighted.
    """

    def __init__(self, column, weights):
        from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

        kinds = {"tfidf": TfidfVectorizer, "counts": CountVectorizer}
        self._column = column
        self._vectorizer = kinds[weights](dtype=np.float64)

    def fit(self, data, rows):
        """Collect the words."""
        try:
            self._vectorizer.fit(self._texts(data, rows))
        except ValueError as error:
            raise DataError(
                f"Column {self._column!r} cannot be taken as text: {error}."
            ) from error
        found = self._vectorizer.get_feature_names_out()
        self.names = [f"{self._column}:{word}" for word in found]
        return self

    def transform(self, data, rows):
        """Return weights of words."""
        return sparse.csr_array(self._vectorizer.transform(self._texts(data, rows)))

    def columns(self, X):
        """Return a column for each word, by its name."""
        return dict(zip(self.names, X.T, strict=True))

    def _texts(self, data, rows):
        return words(self._column, data.column(self._column))[rows]


def _roles(data, encoding):
    """Return the columns of numbers, of categories and of text."""
    for name in (*encoding.categorical, *encoding.text):
        data.column(name)
    roles = {"numeric": [], "categorical": [], "text": []}
    for name in data.columns:
        roles[_role(name, data.column(name), encoding)].append(name)
    return tuple(roles.values())


def _role(name, column, encoding):
    import pyarrow as pa

    if name in encoding.text:
        return "text"
    if name in encoding.categorical:
        return "categorical"
    if is_number(column.type):
        return "numeric"
    if is_text(column.type):
        check_categories(name, column)
        return "categorical"
    if pa.types.is_null(column.type):
        raise DataError(f"Column {name!r} is empty; leave it out with --drop.")
    if pa.types.is_temporal(column.type):
        raise DataError(
            f"Column {name!r} holds dates or times; leave it out with --drop, or put "
            "numbers in their place, such as days."
        )
    if pa.types.is_binary(column.type):
        raise DataError(
            f"Column {name!r} holds bytes that are not UTF-8 text; save the file as "
            "UTF-8, or leave the column out with --drop."
        )
    raise DataError(
        f"Column {name!r} holds {column.type}, which is neither numbers nor words; "
        "leave it out with --drop."
    )
