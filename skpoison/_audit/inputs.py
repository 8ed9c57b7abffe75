"""Labelled rows as they come, turned into a matrix, labels and names."""

import re
from collections import Counter
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import column_or_1d

from skpoison._column_types import Types, is_frame, is_pandas
from skpoison._columns import scale_for
from skpoison._labels import check_labels
from skpoison._words import label_text, name_text, one_line

SHOWN = 3
LONGEST_REPR = 2000
TRANSFORMERS = ("auto", "standard", "maxabs", "tfidf")


class Inputs(NamedTuple):
    """Rows, labels and what they are called.

    Parameters
    ----------
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        Finite numbers.
    classes : ndarray of shape (n_classes,)
        The labels, sorted.
    codes : ndarray of shape (n_rows,)
        Positions of the rows' labels in `classes`.
    names : list of str
        Names of the features.
    index : list of str or None
        What the rows are called, if they have an index.
    transformed : str
        What was done to the columns before anything else.
    source : str or None
        Where the rows come from.
    unscaled : {ndarray, csr_array} of shape (n_rows, n_features) or None
        The same columns as they were, where they were brought to one scale.
    columns : list of dict
        How the columns of a file were read.
    """

    X: object
    classes: np.ndarray
    codes: np.ndarray
    names: list
    index: list | None
    transformed: str
    source: str | None = None
    unscaled: object = None
    columns: list | tuple = ()

    @property
    def given(self):
        """The rows in the units that their owner knows."""
        return self.X if self.unscaled is None else self.unscaled

    @property
    def y(self):
        """The labels of the rows."""
        return self.classes[self.codes]

    @property
    def labels(self):
        """The distinct labels as text."""
        return [name_text(label_text(label)) for label in self.classes.tolist()]


def described(thing):
    """Return what an estimator writes of itself, without addresses in memory.

    Examples
    --------
    >>> described(print), described(object())
    ('<built-in function print>', '<object object>')
    """
    return one_line(re.sub(r" at 0x[0-9a-fA-F]+", "", repr(thing)), LONGEST_REPR)


def read_inputs(X, y, transformer="auto"):
    """Check rows and labels, and turn them into numbers.

    Parameters
    ----------
    X : {array-like, sparse matrix, DataFrame} of shape (n_rows, n_features) or list
        Rows; texts if `transformer` takes texts.
    y : array-like of shape (n_rows,)
        Their labels.
    transformer : transformer, {"auto", "standard", "maxabs", "tfidf"} or None
        What turns rows into numbers.

    Returns
    -------
    inputs : Inputs
        Rows and labels.

    Raises
    ------
    ValueError
        If rows hold anything but finite numbers, or labels are fewer than two.
    """
    index = [str(label) for label in X.index] if is_pandas(X) else None
    names = [str(name) for name in X.columns] if hasattr(X, "columns") else None
    _check_names(names)
    X, names, transformed, unscaled = _as_numbers(X, names, transformer)
    y = check_labels(_known(column_or_1d(y, warn=True)))
    check_consistent_length(X, y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class only, {classes.tolist()[0]!r}; at least two are needed."
        )
    if names is None:
        names = [f"x{j}" for j in range(X.shape[1])]
    return Inputs(X, classes, codes, names, index, transformed, None, unscaled)


def _known(y):
    """Return labels, if none of them is missing."""
    missing = [label is None or label != label for label in y.tolist()]
    if any(missing):
        raise ValueError(
            f"y holds {sum(missing)} missing labels (None or NaN), the first of row "
            f"{missing.index(True) + 1}, counted from one. Leave these rows out."
        )
    return y


def _check_names(names):
    """Raise an error where two columns have one name."""
    twice = [name for name, count in Counter(names or ()).items() if count > 1]
    if twice:
        raise ValueError(
            f"X has several columns of the name {twice[0]!r}; give each its own."
        )


def _as_numbers(X, names, transformer):
    """Return the matrix, the names of its columns and what was done."""
    if isinstance(transformer, str) and transformer not in TRANSFORMERS:
        raise ValueError(
            f"transformer must be a transformer, None or one of {TRANSFORMERS}; got "
            f"{transformer!r}."
        )
    if transformer is None or transformer in ("auto", "standard", "maxabs"):
        _check_words(X)
        X = checked(X, names)
        if transformer == "auto":
            transformer = scale_for(X)
        if transformer in (None, "none"):
            return X, names, "none", None
        return checked(_named(transformer).fit_transform(X)), names, transformer, X
    if transformer == "tfidf":
        X = _texts(X)
    # A copy, for the one given is to stay as it is.
    fitted = clone(_named(transformer))
    X = checked(fitted.fit_transform(X))
    done = transformer if isinstance(transformer, str) else described(transformer)
    return X, _names_after(fitted, names, X.shape[1]), done, None


def _texts(X):
    """Return a list of texts, from a list, a column or a table with one column."""
    if is_frame(X) and X.shape[1] == 1:
        X = X[X.columns[0]]
    is_table = is_frame(X) or sparse.issparse(X)
    is_table |= np.ndim(X) != 1 and not isinstance(X, list)
    if is_table or not all(isinstance(text, str) for text in X):
        raise ValueError(
            "transformer='tfidf' takes texts: a list of str, or one column of them; "
            f"got {type(X).__name__}. For tables with texts and numbers, give a "
            "ColumnTransformer."
        )
    return list(X)


def _named(transformer):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import MaxAbsScaler, StandardScaler

    if not isinstance(transformer, str):
        return transformer
    kinds = {"standard": StandardScaler, "maxabs": MaxAbsScaler}
    return kinds.get(transformer, TfidfVectorizer)()


def _names_after(fitted, names, n_features):
    if not hasattr(fitted, "get_feature_names_out"):
        return names if names and len(names) == n_features else None
    given = None if hasattr(fitted, "feature_names_in_") else names
    try:
        return [str(name) for name in fitted.get_feature_names_out(given)]
    except (TypeError, ValueError, AttributeError):
        # Vectorizers take no names; steps of pipelines may have none to give.
        return names if names and len(names) == n_features else None


def checked(X, names=None):
    """Return rows as a matrix of finite floats, or say why they are none."""
    X = check_array(
        X,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        input_name="X",
        ensure_min_samples=2,
        ensure_all_finite=False,
    )
    rows, columns = _broken(X)
    if not len(rows):
        return X
    first = int(np.argmin(rows))
    column = names[columns[first]] if names else int(columns[first])
    raise ValueError(
        f"X contains NaN or infinity in {len(set(rows.tolist()))} rows, the first of "
        f"them row {rows[first] + 1}, counted from one, in column {column!r}. Fill "
        "such cells (SimpleImputer), or leave these rows out."
    )


def _broken(X):
    """Return the rows and columns of the values that are not finite."""
    if not sparse.issparse(X):
        return np.nonzero(~np.isfinite(X))
    X = sparse.coo_array(X)
    return np.array(X.coords)[:, ~np.isfinite(X.data)]


def _check_words(X):
    """Raise an error where rows hold words, which says what could be done."""
    if is_frame(X):
        types = Types.of(X)
        words = [str(types.names[place]) for place in types.words]
        if words:
            listed = ", ".join(repr(name) for name in words[:SHOWN])
            raise ValueError(
                f"X has columns that hold no numbers: {listed}"
                f"{' and more' if len(words) > SHOWN else ''}. Give a transformer that "
                "makes numbers of them, such as a ColumnTransformer of OneHotEncoder "
                "and TfidfVectorizer, or leave them out."
            )
    elif not sparse.issparse(X) and np.ndim(X) == 1 and _holds_words(X):
        raise ValueError(
            "X holds texts, not rows of numbers: transformer='tfidf' makes numbers of "
            "them."
        )


def _holds_words(values):
    return any(isinstance(value, str) for value in values)
