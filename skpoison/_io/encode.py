"""From the columns of a table to the numbers that filters see.

Encoders hold fitted transformers of scikit-learn and nothing of the data, so that they
can be pickled and used on other files with the same columns.
"""

import numpy as np
from scipy import sparse

from .encoding import Encoding
from .matrix import Poison
from .steps import (
    BLOCK_ROWS,
    changed,
    fit_categories,
    fit_fill,
    fit_indicator,
    fit_scaler,
    fit_words,
    in_turn,
    median,
    texts_of,
)

__all__ = ["Encoding", "TableEncoder"]

NUMBERS, CATEGORIES, MISSING = "numbers", "categories", "missing"
# Sparse rows are cheaper than dense ones below about this share of non-zeros.
SPARSE_DENSITY = 0.25
MATRIX_ROWS = 1 << 12


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
    plan : Plan
        How columns are read.
    transformer : ColumnTransformer
        The fitted transformer; it takes a DataFrame with the columns that the plan
        reads.
    names : list of str
        The names of the matrix's columns.
    groups : list of list of int
        For each column of categories, the positions of its categories' columns.
    indicators : dict of int
        By the names of columns of numbers, the positions of what says that a value is
        missing.
    has_text : bool
        Whether there is free text.
    scaled : bool
        Whether columns are scaled.
    """

    def __init__(self, data, rows, encoding):
        self.plan = own = data.plan(encoding)
        self.scaled = bool(own.numeric) and encoding.scale != "none"
        self.has_text = bool(own.text)
        self._scaler = self._one_hot = None
        self._medians, self._with_gaps = {}, []
        self.transformer = self._joined(list(self._fitted_steps(data, rows, encoding)))
        self.groups = self._find_groups()
        self.names = [name for step in self._steps() for name in self._names(*step)]
        self.indicators = self._find_indicators()
        self._sparse = self.has_text or self.transformer.sparse_output_

    def _fitted_steps(self, data, rows, encoding):
        own = self.plan
        if own.numeric:
            self._find_medians(data, rows, encoding.fills_with_zero)
            yield NUMBERS, self._fit_numbers(data, rows, encoding), own.numeric
        if self._with_gaps and encoding.missing == "indicator":
            yield MISSING, fit_indicator(self._with_gaps), self._with_gaps
        if own.categorical:
            frame = _frame(own.read(data, own.categorical), rows)
            fill = encoding.missing == "impute" and not encoding.fills_with_zero
            self._one_hot, step = fit_categories(frame, fill)
            yield CATEGORIES, step, own.categorical
        for i, one in enumerate(own.of_kind("text")):
            texts = one.read(data)[one.name][rows]
            step = fit_words(encoding.weights, one.name, texts, one.limit)
            yield f"text {i}", step, one.name

    def _find_medians(self, data, rows, zero):
        """Find what fills gaps, and the columns that have some."""
        few = rows[:: -(-len(rows) // BLOCK_ROWS)]
        for one in self.plan.of_kind("numbers", "dates"):
            # Gaps that only other rows have are filled by what some rows say.
            own = rows if one.missing else few
            for name, values in one.read(data).items():
                values = values[own]
                self._medians[name] = 0.0 if zero else float(median(values))
                # Of dates, all numbers are missing or none.
                if name == one.features[0] and np.isnan(values).any():
                    self._with_gaps.append(name)

    def _fit_numbers(self, data, rows, encoding):
        fill = fit_fill(self._medians) if self._with_gaps else None
        if self.scaled:
            names = self.plan.numeric
            columns = self.plan.read(data, names)

            def blocks():
                found = _blocks(columns, rows)
                return found if fill is None else map(fill.transform, found)

            self._scaler = fit_scaler(encoding.scale, blocks)
        found = [step for step in (fill, self._scaler) if step is not None]
        return in_turn(*found) if len(found) > 1 else (*found, "passthrough")[0]

    def _joined(self, steps):
        import pandas as pd
        from sklearn.compose import ColumnTransformer

        # They are fitted; what joins them looks at a row, with no unknown category.
        own = self.plan
        row = dict.fromkeys(own.numeric, 0.0) | dict.fromkeys(own.text, "")
        if own.categorical:
            first = (categories[0] for categories in self._one_hot.categories_)
            row |= dict(zip(own.categorical, first, strict=True))
        density = 1.0 if self.has_text else SPARSE_DENSITY
        joined = ColumnTransformer(steps, sparse_threshold=density)
        return joined.fit(pd.DataFrame([row]))

    def _steps(self):
        steps = self.transformer.transformers_
        return [step for step in steps if step[0] != "remainder"]

    def _names(self, step, transformer, columns):
        if step == NUMBERS:
            return columns
        if step == MISSING:
            return [f"{self.plan.owner(name).name}=missing" for name in columns]
        if step == CATEGORIES:
            return self._one_hot.get_feature_names_out().tolist()
        found = transformer.get_feature_names_out().tolist()
        return [f"{columns}:{word}" for word in found]

    def _find_groups(self):
        own = self.transformer.output_indices_.get(CATEGORIES)
        if own is None:
            return []
        found = self._one_hot.categories_
        ends = np.cumsum([len(categories) for categories in found])[:-1]
        positions = np.split(np.arange(own.start, own.stop), ends)
        return [group.tolist() for group in positions]

    def _find_indicators(self):
        own = self.transformer.output_indices_.get(MISSING)
        places = range(own.start, own.stop) if own else ()
        owners = [self.plan.owner(name).name for name in self._with_gaps]
        return dict(zip(owners, places, strict=False))

    def transform(self, data, rows):
        """Return the matrix of some rows of a table with the same columns.

        It is float64, or float32 where all columns are; sparse where that is cheaper.
        """
        if not len(rows):
            empty = np.empty((0, len(self.names)))
            return sparse.csr_array(empty) if self._sparse else empty
        own = self.plan
        names = [*own.numeric, *own.categorical, *own.text]
        columns = self._without_late_gaps(own.read(data, names), data.without_gaps)
        if self._takes_numbers_as_they_are():
            return _matrix([columns[name] for name in names], rows)
        blocks = _blocks(columns, rows)
        parts = map(self.transformer.transform, blocks)
        if self._sparse:
            return sparse.vstack([sparse.csr_array(part) for part in parts], "csr")
        return _stacked(parts, len(rows))

    def _takes_numbers_as_they_are(self):
        is_changed = self._with_gaps or self._scaler is not None
        return not is_changed and [step[0] for step in self._steps()] == [NUMBERS]

    def _without_late_gaps(self, columns, without_gaps):
        """Fill gaps where the rows that were learned from had none at all."""
        if self._with_gaps:
            return columns  # The transformer fills all gaps.
        for name in self.plan.numeric:
            if name in without_gaps and not self.plan.owner(name).codes:
                continue
            gaps = np.isnan(columns[name])
            if gaps.any():
                columns[name] = np.where(gaps, self._medians[name], columns[name])
        return columns

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
            columns = dict(zip(self.names[own], X[:, own].T, strict=True))
            X[:, own] = changed(self._scaler, _frame(columns, slice(None)), change)
        return X

    def columns(self, X):
        """Return rows that :meth:`unscale` returned as cells of the table, by column.

        Columns of categories hold the largest one, of whole numbers the nearest; what
        is more missing than not is; texts hold words as often as their weights say.
        Columns that are no features are filled so that the rows can be read again.
        """
        features = self._features(X)
        return {one.name: one.cells(features, len(X)) for one in self.plan.columns}

    def _features(self, X):
        """Return the features of rows by name, with gaps again."""
        found = {}
        if NUMBERS in self.transformer.output_indices_:
            own = self.transformer.output_indices_[NUMBERS]
            found = dict(zip(self.names[own], X[:, own].T.copy(), strict=True))
        for name in self._with_gaps if self.indicators else ():
            one = self.plan.owner(name)
            for feature in one.features:
                found[feature][X[:, self.indicators[one.name]] >= 0.5] = np.nan
        for name, categories, group in zip(
            self.plan.categorical,
            self._one_hot.categories_ if self._one_hot else (),
            self.groups,
            strict=True,
        ):
            found[name] = categories[X[:, group].argmax(axis=1)]
        for step, vectorizer, name in self._steps():
            if step.startswith("text"):
                own = self.transformer.output_indices_[step]
                found[name] = texts_of(vectorizer, X[:, own])
        return found

    def written(self, data, X):
        """Return rows that :meth:`unscale` returned as they are once they are written.

        Parameters
        ----------
        data : TableData
            The table that was learned from.
        X : ndarray
            Rows in the columns' own scale.

        Returns
        -------
        X : {ndarray, csr_array}
            Rows in the scale of the matrix.
        """
        labels = [data.labels.values[0]] * len(X)
        table = data.poison_table(Poison(X, labels, self.columns(X)))
        return self.transform(data.of_table(table), np.arange(len(X)))


def _blocks(columns, rows):
    for start in range(0, len(rows), BLOCK_ROWS):
        yield _frame(columns, rows[start : start + BLOCK_ROWS])


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


def _matrix(columns, rows):
    """Put some rows of columns of numbers beside one another."""
    X = np.empty((len(rows), len(columns)), np.result_type(*columns))
    # So few that the rows which are filled column by column stay in the cache.
    for start in range(0, len(rows), MATRIX_ROWS):
        chosen = rows[start : start + MATRIX_ROWS]
        block = X[start : start + len(chosen)]
        for place, values in enumerate(columns):
            block[:, place] = values[chosen]
    return X


def _stacked(parts, n_rows):
    """Put blocks of rows under one another, in a matrix that is stored by rows."""
    X, end = None, 0
    for part in parts:
        X = np.empty((n_rows, part.shape[1]), part.dtype) if X is None else X
        X[end : end + len(part)] = part
        end += len(part)
    return X
