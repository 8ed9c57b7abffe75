"""From the columns of a table, or of a matrix, to the numbers that filters see.

Encoders hold fitted transformers of scikit-learn and nothing of the data, so that they
can be pickled and used on other files with the same columns.
"""

from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy import sparse
from sklearn.frozen import FrozenEstimator

from .columns import numbers, roles, words
from .errors import DataError

NUMBERS, CATEGORIES = "numbers", "categories"
# Sparse rows are cheaper than dense ones below about this share of non-zeros.
SPARSE_DENSITY = 0.25
# Transformers see so many rows at once: whole columns need several times the memory.
BLOCK_ROWS = 1 << 15


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
    """A ``ColumnTransformer`` for tables: columns of numbers, then categories, words.

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
    roles : Roles
        Which columns are taken for numbers, categories and free text.
    transformer : ColumnTransformer
        The fitted transformer; it takes a DataFrame with the table's columns.
    names : list of str
        The names of the matrix's columns.
    groups : list of list of int
        For each column of categories, the positions of its categories' columns.
    has_text : bool
        Whether there is free text, of which rows of the matrix are no rows again.
    scaled : bool
        Whether columns are scaled.
    """

    def __init__(self, data, rows, encoding):
        self.roles = own = roles(data, encoding)
        self.scaled = bool(own.numeric) and encoding.scale != "none"
        self.has_text = bool(own.text)
        steps = list(self._fitted_steps(data, rows, encoding, own))
        self.transformer = self._joined(steps)
        self.groups = self._find_groups()
        self.names = [name for step in self._steps() for name in _names(*step)]
        self._sparse = self.has_text or self.transformer.sparse_output_

    def _fitted_steps(self, data, rows, encoding, own):
        """Fit each transformer in the way that takes least memory."""
        if own.numeric:
            scaler = "passthrough"
            if self.scaled:
                blocks = self._blocks(data, rows, own.numeric)
                scaler = _fit_scaler(encoding.scale, blocks)
            yield NUMBERS, scaler, own.numeric
        if own.categorical:
            frame = _frame(self._read(data, own.categorical), rows)
            yield CATEGORIES, _fit_categories(frame), own.categorical
        for i, name in enumerate(own.text):
            texts = self._read(data, [name])[name][rows]
            yield f"text {i}", _fit_words(encoding.weights, name, texts), name

    def _joined(self, steps):
        import pandas as pd
        from sklearn.compose import ColumnTransformer

        # They are fitted; what joins them looks at a row, with no unknown category.
        row = dict.fromkeys(chain(*self.roles), 0.0)
        for name, step, columns in steps:
            if name == CATEGORIES:
                first = (categories[0] for categories in step.categories_)
                row |= dict(zip(columns, first, strict=True))
            elif name != NUMBERS:
                row[columns] = ""
        density = 1.0 if self.has_text else SPARSE_DENSITY
        joined = ColumnTransformer(steps, sparse_threshold=density)
        return joined.fit(pd.DataFrame([row]))

    def _read(self, data, names):
        """Return columns as arrays of finite numbers or of strings, by name."""
        numeric = frozenset(self.roles.numeric)
        return {
            name: numbers(name, data.column(name), data.where)
            if name in numeric
            else words(name, data.column(name))
            for name in names
        }

    def _blocks(self, data, rows, names):
        columns = self._read(data, names)
        for start in range(0, len(rows), BLOCK_ROWS):
            yield _frame(columns, rows[start : start + BLOCK_ROWS])

    def _steps(self):
        steps = self.transformer.transformers_
        return [step for step in steps if step[0] != "remainder"]

    def _find_groups(self):
        own = self.transformer.output_indices_.get(CATEGORIES)
        if own is None:
            return []
        found = self.transformer.named_transformers_[CATEGORIES].categories_
        ends = np.cumsum([len(categories) for categories in found])[:-1]
        positions = np.split(np.arange(own.start, own.stop), ends)
        return [group.tolist() for group in positions]

    def transform(self, data, rows):
        """Return the matrix of some rows of a table with the same columns.

        It is float64, or float32 where all columns are; sparse where that is cheaper.
        """
        blocks = self._blocks(data, rows, list(chain(*self.roles)))
        parts = map(self.transformer.transform, blocks)
        if self._sparse:
            return sparse.vstack([sparse.csr_array(part) for part in parts], "csr")
        return _stacked(parts, len(rows))

    def unscale(self, X):
        """Return encoded rows, dense, with numbers in their own scale again."""
        return self._with_numbers(X, "inverse_transform")

    def rescale(self, X):
        """Return what :meth:`unscale` returned, in the scale of the matrix."""
        X = self._with_numbers(X, "transform")
        return sparse.csr_array(X) if self._sparse else X

    def _with_numbers(self, X, change):
        X = X.toarray() if sparse.issparse(X) else np.array(X)
        if self.scaled:
            own = self.transformer.output_indices_[NUMBERS]
            scaler = self.transformer.named_transformers_[NUMBERS]
            columns = dict(zip(self.names[own], X[:, own].T, strict=True))
            X[:, own] = _changed(scaler, _frame(columns, slice(None)), change)
        return X

    def columns(self, X):
        """Return rows that :meth:`unscale` returned as columns of the table, by name.

        Columns of categories hold the largest one; free text remains in columns of
        words.
        """
        found = {}
        for name, step, columns in self._steps():
            if name == CATEGORIES:
                of_each = zip(columns, step.categories_, self.groups, strict=True)
                for column, categories, group in of_each:
                    found[column] = categories[X[:, group].argmax(axis=1)]
            else:
                own = self.transformer.output_indices_[name]
                found |= dict(zip(self.names[own], X[:, own].T, strict=True))
        return found


class MatrixEncoder:
    """Takes rows of a matrix as they are, but for their scale.

    Parameters
    ----------
    data : ArrayData
        The data to learn from.
    rows : ndarray of int
        The rows to learn from.
    encoding : Encoding
        Says how columns are scaled; the rest is for tables.

    Attributes
    ----------
    names : list of str
        The names of the matrix's columns.
    scaled : bool
        Whether columns are scaled.
    """

    has_text = False
    groups = ()

    def __init__(self, data, rows, encoding):
        if encoding.categorical or encoding.text:
            raise DataError(
                f"{data.source} has no named columns: --categorical and --text-column "
                "are for tables."
            )
        if encoding.scale == "standard" and sparse.issparse(data.X):
            raise DataError(
                "Sparse data cannot be shifted to mean 0 without filling them; take "
                "--scale maxabs."
            )
        self.names = data.columns
        self.scaled = encoding.scale != "none"
        self._scaler = None
        if self.scaled:
            blocks = _matrix_blocks(data.X, rows)
            self._scaler = _fit_scaler(encoding.scale, blocks)

    def transform(self, data, rows):
        """Return some rows of data with as many columns."""
        if data.X.shape[1] != len(self.names):
            raise DataError(
                f"{data.source} has {data.X.shape[1]} columns; the training data have "
                f"{len(self.names)}."
            )
        # Sorted rows: as many as there are means all of them, and no copy.
        if len(rows) == len(data):
            return self.rescale(data.X)
        return self._changed(data.X[rows], "transform")

    def unscale(self, X):
        """Return rows in their own scale again."""
        return self._changed(X.copy(), "inverse_transform") if self.scaled else X

    def rescale(self, X):
        """Return rows in the scale of the matrix."""
        return self._changed(X.copy(), "transform") if self.scaled else X

    def _changed(self, X, change):
        return _changed(self._scaler, X, change) if self.scaled else X

    def columns(self, X):
        """Return no columns: these rows are no table's."""
        return {}


def _fit_scaler(kind, blocks):
    """Return what scales columns, in place where it can, fitted block by block."""
    from sklearn.preprocessing import MaxAbsScaler, StandardScaler

    scaler = {"standard": StandardScaler, "maxabs": MaxAbsScaler}[kind](copy=False)
    for block in blocks:
        scaler.partial_fit(block)
    return FrozenEstimator(scaler)


def _changed(scaler, X, change):
    # Scalers refuse to look at no rows, which is what an attack can have.
    return getattr(scaler, change)(X) if X.shape[0] else X


def _fit_categories(frame):
    from sklearn.preprocessing import OneHotEncoder

    one_hot = OneHotEncoder(handle_unknown="ignore", feature_name_combiner=_equals)
    return FrozenEstimator(one_hot.fit(frame))


def _equals(column, category):
    return f"{column}={category}"


def _fit_words(weights, name, texts):
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    kinds = {"tfidf": TfidfVectorizer, "counts": CountVectorizer}
    try:
        vectorizer = kinds[weights](dtype=np.float64).fit(texts)
    except ValueError as error:
        raise DataError(f"Column {name!r} cannot be taken as text: {error}.") from error
    return FrozenEstimator(vectorizer)


def _names(step, transformer, columns):
    if step == NUMBERS:
        return columns
    found = transformer.get_feature_names_out().tolist()
    return found if step == CATEGORIES else [f"{columns}:{word}" for word in found]


def _frame(columns, rows):
    """Return some rows of columns as a DataFrame."""
    import pandas as pd

    cells = {name: values[rows] for name, values in columns.items()}
    kinds = {values.dtype for values in cells.values()}
    if len(kinds) == 1 and object not in kinds:  # one array takes half the time
        table = np.column_stack(list(cells.values()))
        return pd.DataFrame(table, columns=list(cells), copy=False)
    # Strings stay objects: pandas has a type for them that takes time to fill.
    series = {n: pd.Series(values, dtype=values.dtype) for n, values in cells.items()}
    return pd.DataFrame(series, copy=False)


def _stacked(parts, n_rows):
    """Put blocks of rows under one another, in a matrix that is stored by rows."""
    X, end = None, 0
    for part in parts:
        X = np.empty((n_rows, part.shape[1]), part.dtype) if X is None else X
        X[end : end + len(part)] = part
        end += len(part)
    return X


def _matrix_blocks(X, rows):
    if sparse.issparse(X):
        yield X if len(rows) == X.shape[0] else X[rows]
        return
    for start in range(0, len(rows), BLOCK_ROWS):
        yield X[rows[start : start + BLOCK_ROWS]]
