"""Labelled data, split and turned into matrices."""

from dataclasses import dataclass

import numpy as np

from skpoison._io import load
from skpoison._io._array import digits
from skpoison._io._load import load_test

from ._split import split_rows

# Rows to estimate spreads from, and what counts as much farther than usual.
LOOK_AT = 10_000
FAR = 100.0


@dataclass
class Sample:
    """Clean rows to train on and to test on, with labels +1 and -1.

    Parameters
    ----------
    source : str
        Where the rows come from.
    classes : TwoClasses
        What the labels mean.
    encoder : object
        What turned the rows into numbers.
    data : TableData or ArrayData
        The rows as they came.
    X, X_test : {ndarray, sparse array} or None
        The rows; there may be none to test on.
    signs, signs_test : ndarray or None
        Their labels.
    """

    source: str
    classes: object
    encoder: object
    data: object
    X: object
    signs: np.ndarray
    X_test: object = None
    signs_test: np.ndarray | None = None

    def describe(self):
        """Return the data's part of the report."""
        return {
            "source": self.source,
            "n_train": int(self.X.shape[0]),
            "n_test": 0 if self.X_test is None else int(self.X_test.shape[0]),
            "n_features": int(self.X.shape[1]),
            "negative": self.classes.names[0],
            "positive": self.classes.names[1],
            "positive_share": float(np.mean(self.signs > 0)),
        }


def read_sample(name, options, encoding, *, positive, test, test_share, seed):
    """Read data, hold some rows out for testing and encode both.

    Parameters
    ----------
    name : str or None
        The file; None stands for scikit-learn's digits.
    options : Options
        How to read it.
    encoding : Encoding
        How columns become numbers.
    positive : str or None
        The label that stands against the rest.
    test : str or None
        A file of test data.
    test_share : float
        Share of the rows to hold out, where there are no test data.
    seed : int
        Seed of the draw.

    Returns
    -------
    sample : Sample
        Rows and labels.
    """
    data = digits() if name is None else load(name, options)
    classes = data.labels.binary(positive)
    held = load_test(test, data, options) if test else data.test
    if held is None:
        train, rows = split_rows(classes.signs, test_share, seed)
        held = data
    else:
        train, rows = np.arange(len(data)), np.arange(len(held))
    encoder = data.encoder(train, encoding)
    sample = Sample(data.source, classes, encoder, data, None, classes.signs[train])
    sample.X = encoder.transform(data, train)
    if len(rows):
        sample.X_test = encoder.transform(held, rows)
        sample.signs_test = held.labels.binary(positive).signs[rows]
    return sample


def widest_column(X, names):
    """Find a column that decides all distances nearly alone.

    Parameters
    ----------
    X : {ndarray, sparse array} of shape (n_rows, n_features)
        Encoded rows.
    names : list of str
        Names of the columns.

    Returns
    -------
    name : str or None
        The column that spreads farthest, if that is much farther than most.
    """
    if not isinstance(X, np.ndarray) or X.shape[1] < 2:
        return None
    spreads = X[:LOOK_AT].std(axis=0, dtype=np.float64)
    usual = np.median(spreads[spreads > 0]) if np.any(spreads > 0) else 0.0
    j = int(np.argmax(spreads))
    return names[j] if spreads[j] > FAR * usual else None
