"""Labeled data, split and encoded as matrices."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skpoison._io import DataError, load
from skpoison._io.label_doubts import doubts_about
from skpoison._io.matrix import digits
from skpoison._io.parts import Parts, find_parts, is_many
from skpoison._io.parts_sample import sample_of
from skpoison._io.read import load_test

from .columns import complete, encode
from .session import warn
from .targets import Target, target_of


class Drawn(NamedTuple):
    """Many files of which a sample was drawn, and how: no note if it has all rows."""

    parts: Parts | None
    note: str


@dataclass
class Sample:
    """Clean rows to train on and, if there are any, to test on, with their targets.

    `target` says what these are, `encoded` holds the encoded rows, and `data` all rows
    as they were read. `drawn` says of which files these are a sample, if bounds are
    over all of their rows.
    """

    source: str
    target: Target
    encoded: object
    data: object
    y: np.ndarray
    X_test: object = None
    y_test: np.ndarray | None = None
    drawn: "Drawn | None" = None

    @property
    def names(self):
        """The labels' names; None for numbers."""
        return getattr(self.target, "names", None)

    @property
    def X(self):
        """The training rows."""
        return self.encoded.X

    @property
    def encoder(self):
        """The encoder of the rows."""
        return self.encoded.encoder

    def describe(self):
        """Return the data's part of the report."""
        return {
            "source": self.source,
            "n_train": int(self.X.shape[0]),
            "n_test": 0 if self.X_test is None else int(self.X_test.shape[0]),
            "n_features": int(self.X.shape[1]),
            "task": self.target.task,
            **self.target.describe(self.y),
        }


def read_sample(
    name,
    reading,
    *,
    positive,
    as_numbers=False,
    test=None,
    test_share=0.0,
    seed=0,
    takes_all=None,
):
    """Read data (None: scikit-learn's digits), hold test rows out, encode both.

    Of a folder or glob, a sample is drawn. If `takes_all` says of the target that all
    rows are taken later, none are held out.
    """
    data, drawn = _draw(name, reading.options)
    data = complete(data, reading.encoding)
    target = target_of(data.labels, positive, as_numbers)
    if target.has_classes:
        warn_of_labels(data.labels)
    if drawn.note and takes_all is not None and takes_all(target):
        test_share = 0.0
    else:
        _tell_of(drawn, data)
        drawn = None
    new = not target.has_classes
    held = read_test(test, data, reading.options, reading.encoding, new_labels=new)
    y = target.of(data.labels)
    train, held, rows = hold_out(data, held, target.strata(y), test_share, seed)
    encoded = encode(data, train, reading.encoding)
    # Unscaled rows are only used by audits, and take as much memory as the others.
    encoded = encoded._replace(unscaled=None)
    sample = Sample(data.source, target, encoded, data, y[train], drawn=drawn)
    if len(rows):
        sample.X_test = sample.encoder.transform(held, rows)
        sample.y_test = target.of(held.labels)[rows]
    return sample


def read_data(name, options, encoding):
    """Read data (None: scikit-learn's digits), without rows that are to be dropped.

    Of a folder or glob, a sample is drawn.
    """
    data, drawn = _draw(name, options)
    _tell_of(drawn, data)
    return complete(data, encoding)


def warn_of_labels(labels):
    """Warn of labels that may be meant otherwise than as classes of their own."""
    for text in doubts_about(labels):
        warn(text)


def _draw(name, options):
    if not is_many(name):
        return digits() if name is None else load(name, options), Drawn(None, "")
    parts = find_parts(name, options.format)
    data, note = sample_of(parts, options)
    return data, Drawn(parts, note)


def _tell_of(drawn, data):
    """Say that results are for a sample, if they are."""
    if drawn.note:
        warn(
            f"results are for a sample, {drawn.note} in {drawn.parts.name}, drawn at "
            "random (--sample)."
        )
        data.source += f" (a sample: {drawn.note})"


def refuse_many(name, what):
    """Raise an error if data are many files, of which a report names no rows."""
    if is_many(name):
        raise DataError(
            f"{what} name rows of one file, and {name!r} is a folder or glob of files."
        )


def read_test(name, data, options, encoding, new_labels=False):
    """Read the test rows of some data; None if they are to be held out."""
    if name:
        return complete(load_test(name, data, options, new_labels), encoding, data)
    return data.test


def hold_out(data, test, codes, share, seed):
    """Return the rows to train on, the data of the test rows, and which they are."""
    if test is None:
        train, rows = split_rows(codes, share, seed)
        return train, data, rows
    return np.arange(len(data)), test, np.arange(len(test))


def split_rows(codes, share, seed):
    """Hold out a share of the rows of every class, but at least one and not all.

    Returns the rows to train on and those to test on, in order; a share of 0 holds out
    nothing.

    Examples
    --------
    >>> import numpy as np
    >>> train, test = split_rows(np.repeat([0, 1], [6, 3]), 1 / 3, seed=0)
    >>> len(train), len(test)
    (6, 3)
    """
    if share == 0:
        return np.arange(len(codes)), np.arange(0)
    rng = np.random.default_rng(seed)
    held = np.zeros(len(codes), dtype=bool)
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        if len(rows) < 2:
            raise DataError(
                "One class has a single row, which cannot be both a training and a "
                "test row. Give test data with --test, or use none: --test-share 0."
            )
        n_held = min(max(round(share * len(rows)), 1), len(rows) - 1)
        held[rng.choice(rows, n_held, replace=False)] = True
    return np.flatnonzero(~held), np.flatnonzero(held)
