"""Labelled rows as they come, turned into a matrix, labels and names."""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import column_or_1d

from skpoison._labels import check_labels

from ._text import described, name_text

# Rows to estimate spreads from, and what counts as much farther than usual.
LOOK_AT = 10_000
FAR = 100.0
SHOWN = 3
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
    """

    X: object
    classes: np.ndarray
    codes: np.ndarray
    names: list
    index: list | None
    transformed: str
    source: str | None = None

    @property
    def y(self):
        """The labels of the rows."""
        return self.classes[self.codes]

    @property
    def labels(self):
        """The distinct labels as text."""
        return [name_text(label_text(label)) for label in self.classes.tolist()]


def label_text(label):
    """Return a label as a person would write it.

    Examples
    --------
    >>> label_text(1.0), label_text("spam")
    ('1', 'spam')
    """
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    return str(label)


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
    index = [str(label) for label in X.index] if hasattr(X, "iloc") else None
    names = [str(name) for name in X.columns] if hasattr(X, "columns") else None
    X, names, transformed = _as_numbers(X, names, transformer)
    y = check_labels(column_or_1d(y, warn=True))
    check_consistent_length(X, y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class only, {classes.tolist()[0]!r}; at least two are needed."
        )
    if names is None:
        names = [f"x{j}" for j in range(X.shape[1])]
    return Inputs(X, classes, codes, names, index, transformed)


def _as_numbers(X, names, transformer):
    """Return the matrix, the names of its columns and what was done."""
    if isinstance(transformer, str) and transformer not in TRANSFORMERS:
        raise ValueError(
            f"transformer must be a transformer, None or one of {TRANSFORMERS}; got "
            f"{transformer!r}."
        )
    if transformer is None or transformer == "auto":
        _check_words(X)
        X = checked(X)
        return (X, names, "none") if transformer is None else scaled(X, names)
    # A copy, for the one given is to stay as it is.
    fitted = clone(_named(transformer))
    X = checked(fitted.fit_transform(X))
    done = transformer if isinstance(transformer, str) else described(transformer)
    return X, _names_after(fitted, names, X.shape[1]), done


def scaled(X, names):
    """Bring columns to one scale if one of them would decide all distances alone.

    Parameters
    ----------
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        Rows.
    names : list of str or None
        Names of the columns.

    Returns
    -------
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        The rows.
    names : list of str or None
        The names, as they were.
    transformed : {"none", "standard"}
        What was done.
    """
    if widest(X) is None:
        return X, names, "none"
    return checked(_named("standard").fit_transform(X)), names, "standard"


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


def checked(X):
    """Return rows as a matrix of finite floats, or say why they are none."""
    return check_array(
        X,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        input_name="X",
        ensure_min_samples=2,
    )


def _check_words(X):
    """Raise an error where rows hold words, which says what could be done."""
    if hasattr(X, "dtypes") and hasattr(X, "columns"):
        words = [str(n) for n, t in X.dtypes.items() if t.kind not in "biufO"]
        words += [
            str(name)
            for name, kind in X.dtypes.items()
            if kind.kind == "O" and _holds_words(X[name])
        ]
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


def widest(X):
    """Find a column that decides all distances nearly alone.

    Parameters
    ----------
    X : {ndarray, csr_array} of shape (n_rows, n_features)
        Rows.

    Returns
    -------
    found : tuple of (int, float) or None
        The column that spreads farthest, and how many times as far as the median
        column, if that is a hundred times or more. Sparse columns differ in how often
        they are filled, and are not judged.
    """
    if sparse.issparse(X) or X.shape[1] < 2:
        return None
    spreads = X[:LOOK_AT].std(axis=0, dtype=np.float64)
    varying = spreads[spreads > 0]
    if not len(varying):
        return None
    column = int(np.argmax(spreads))
    ratio = float(spreads[column] / np.median(varying))
    return (column, ratio) if ratio >= FAR else None
