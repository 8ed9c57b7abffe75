"""What the target column of a bound holds: two classes, several classes or numbers."""

from abc import ABC, abstractmethod

import numpy as np
from sklearn.metrics import mean_absolute_error

from skpoison._io import DataError
from skpoison._io.errors import quoted
from skpoison._io.labels import MANY

NOT_MEASURED = {"test_error": None, "test_mae": None}


class Target(ABC):
    """A target column: what a learner is trained on, and how it is told of.

    The targets of rows are signs of two classes, positions of several, or numbers.
    """

    task: str  # in the words of scikit-learn
    has_classes = True

    def __init__(self, labels):
        self.name = labels.name

    @abstractmethod
    def of(self, labels):
        """Return the targets of rows as the bound takes them."""

    @abstractmethod
    def describe(self, y):
        """Return the part of the report about training targets."""

    @abstractmethod
    def values(self, marks):
        """Return what the file writes for targets of an attack."""

    @abstractmethod
    def positions(self, marks):
        """Return the positions of targets in the filter's list of classes."""

    @abstractmethod
    def performance(self, scores, y):
        """Return how wrong scores are, as the report holds it."""

    def strata(self, y):
        """Return codes of which each is to have test rows."""
        return y


class TwoClasses(Target):
    """Two labels, or one against the rest, as signs."""

    task = "binary"

    def __init__(self, labels, positive):
        super().__init__(labels)
        self.positive, self.classes = positive, labels.binary(positive)
        self.names = list(self.classes.names)

    def of(self, labels):
        return labels.binary(self.positive).signs

    def describe(self, y):
        negative, positive = self.names
        share = float(np.mean(y > 0))
        return {"negative": negative, "positive": positive, "positive_share": share}

    def values(self, marks):
        values = {1: self.classes.positive, -1: self.classes.negative}
        return [values[sign] for sign in marks.tolist()]

    def positions(self, marks):
        return (marks > 0).astype(int)

    def performance(self, scores, y):
        return NOT_MEASURED | {"test_error": float(np.mean((scores > 0) != (y > 0)))}

    def of_constant(self, y_test):
        """Return the performance of the better constant prediction."""
        positive = float(np.mean(y_test > 0))
        return NOT_MEASURED | {"test_error": min(positive, 1 - positive)}


class SeveralClasses(Target):
    """More than two labels, as positions."""

    task = "multiclass"

    def __init__(self, labels):
        super().__init__(labels)
        self.labels, self.names = labels.values, labels.value_texts

    def of(self, labels):
        return labels.codes

    def describe(self, y):
        shares = np.bincount(y, minlength=len(self.names)) / len(y)
        return {"labels": self.names, "shares": shares.tolist()}

    def values(self, marks):
        return [self.labels[code] for code in marks.tolist()]

    def positions(self, marks):
        return marks

    def performance(self, scores, y):
        return NOT_MEASURED | {"test_error": float(np.mean(scores.argmax(1) != y))}

    def of_constant(self, y_test):
        """Return the performance of the best constant prediction."""
        return NOT_MEASURED | {
            "test_error": 1.0 - np.bincount(y_test).max() / len(y_test)
        }


class Numbers(Target):
    """Numbers, of which an attacker can send those of a range."""

    task = "regression"
    has_classes = False

    def __init__(self, labels):
        super().__init__(labels)
        self._check(labels)
        self.are_whole = all(type(value) is int for value in labels.values)

    def of(self, labels):
        self._check(labels)
        return labels.quantities

    def _check(self, labels):
        other = [v for v in labels.values if type(v) not in (int, float)]
        if other:
            raise DataError(
                f"The target {self.name!r} holds numbers, but also {quoted(other)}."
            )

    def strata(self, y):
        return np.zeros(len(y), dtype=int)

    def describe(self, y):
        return {"smallest": float(y.min()), "largest": float(y.max())}

    def values(self, marks):
        whole = self.are_whole and np.array_equal(marks, np.rint(marks))
        return (marks.astype(int) if whole else marks).tolist()

    def positions(self, marks):
        return np.zeros(len(marks), dtype=int)

    def performance(self, scores, y):
        return NOT_MEASURED | {"test_mae": float(mean_absolute_error(y, scores))}

    def of_constant(self, y_test):
        """Return the performance of the best constant prediction."""
        return self.performance(np.full(len(y_test), np.median(y_test)), y_test)


def target_of(labels, positive=None, as_numbers=False):
    """Return what a target column holds; one label can stand against the rest.

    `as_numbers` says that it holds numbers, few as they may be.
    """
    if as_numbers and positive is not None:
        raise DataError("--target-range is for numbers, and --positive for classes.")
    if positive is None and (as_numbers or labels.is_quantity):
        return Numbers(labels)
    if positive is None and 2 < len(labels.values) <= MANY:
        return SeveralClasses(labels)
    return TwoClasses(labels, positive)
