"""Labelled data, split and turned into matrices."""

from dataclasses import dataclass

import numpy as np

from skpoison._io import load
from skpoison._io._array import digits
from skpoison._io._load import load_test

from ._columns import encode
from ._split import split_rows


@dataclass
class Sample:
    """Clean rows to train on and to test on, with labels +1 and -1.

    Parameters
    ----------
    source : str
        Where the rows come from.
    classes : TwoClasses
        What the labels mean.
    encoded : Encoded
        How the rows were turned into numbers.
    data : TableData or ArrayData
        The rows as they came.
    signs : ndarray
        The labels of the rows to train on.
    X_test : {ndarray, sparse array} or None
        The rows to test on, if there are any.
    signs_test : ndarray or None
        Their labels.
    """

    source: str
    classes: object
    encoded: object
    data: object
    signs: np.ndarray
    X_test: object = None
    signs_test: np.ndarray | None = None

    @property
    def X(self):
        """The rows to train on."""
        return self.encoded.X

    @property
    def encoder(self):
        """What turned the rows into numbers."""
        return self.encoded.encoder

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
    encoded = encode(data, train, encoding)
    # Unscaled rows are for audits, and take as much memory as the others.
    encoded = encoded._replace(unscaled=None)
    sample = Sample(data.source, classes, encoded, data, classes.signs[train])
    if len(rows):
        sample.X_test = sample.encoder.transform(held, rows)
        sample.signs_test = held.labels.binary(positive).signs[rows]
    return sample
