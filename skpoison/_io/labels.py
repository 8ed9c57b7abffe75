"""Labels as they come in files, turned into two classes."""

from typing import NamedTuple

import numpy as np

from skpoison._words import label_text

from .errors import DataError, quoted

# More distinct values are probably not classes.
MANY = 50
# So many different numbers with decimals are no classes, nor are so many whole ones of
# which each has fewer rows than that.
SOME, ROWS_OF_CLASS = 20, 20


class TwoClasses(NamedTuple):
    """Labels as signs.

    Parameters
    ----------
    signs : ndarray of shape (n_rows,), dtype=int8
        +1 for the positive class, -1 for the other.
    positive, negative : object
        The labels as they are written in the file; where one class stands against the
        rest, the most frequent label of the rest.
    names : tuple of str
        What to call the negative and the positive class.
    """

    signs: np.ndarray
    positive: object
    negative: object
    names: tuple


class Labels(NamedTuple):
    """A target column: distinct values and the position of each row's value.

    Parameters
    ----------
    name : str
        What the column or array is called.
    values : list
        The distinct labels, as Python objects; sorted, those that test rows add last.
    codes : ndarray of shape (n_rows,), dtype=int
        Positions in `values`.
    decided : bool, default=None
        Whether the target is a quantity, where other rows or a person decided that.
    """

    name: str
    values: list
    codes: np.ndarray
    decided: bool | None = None

    @classmethod
    def of_array(cls, name, y):
        """Find the labels of a one-dimensional array."""
        if y.ndim != 1 or y.dtype.kind not in "biufSU":
            raise DataError(
                f"The target {name!r} must be one-dimensional, of numbers or strings; "
                f"it is an array of {y.dtype}, of shape {y.shape}."
            )
        if y.dtype.kind == "f" and not np.all(np.isfinite(y)):
            row = int(np.argmin(np.isfinite(y))) + 1
            raise DataError(f"The target {name!r} has no label in row {row}.")
        values, codes = np.unique(y, return_inverse=True)
        if values.dtype.kind == "S":
            values = np.char.decode(values, "utf-8", "backslashreplace")
        return cls(name, values.tolist(), codes)

    @property
    def value_texts(self):
        """The distinct labels, as strings."""
        return [label_text(value) for value in self.values]

    @property
    def texts(self):
        """The label of each row, as a string."""
        return np.array(self.value_texts)[self.codes]

    @property
    def is_quantity(self):
        """Whether the labels are numbers that look like a target of regression.

        Classes have many rows each, and are few or whole numbers. Rows that are taken
        from others, or compared with them, have the kind of target of these.
        """
        if self.decided is not None:
            return self.decided
        n_values = len(self.values)
        if not all(type(value) in (int, float) for value in self.values):
            return False
        if any(not float(v).is_integer() for v in self.values) and n_values > SOME:
            return True
        return n_values > MANY and len(self.codes) < ROWS_OF_CLASS * n_values

    def of_kind(self, kind):
        """Return these as what a person says that they are.

        `kind` is "auto", "classes" or "quantity".
        """
        if kind == "auto":
            return self
        words = [i for i, value in enumerate(self.values) if not _is_number(value)]
        if kind == "quantity" and words:
            row = int(np.isin(self.codes, words).argmax()) + 1
            texts = [label_text(self.values[i]) for i in words]
            raise DataError(
                f"The target {self.name!r} is no quantity (--target-kind): it holds "
                f"{quoted(texts)}, first in row {row:,}."
            )
        return self._replace(decided=kind == "quantity")

    @property
    def quantities(self):
        """The target of each row, as a number."""
        found = np.array(self.values, dtype=np.float64)[self.codes]
        if not np.isfinite(found).all():
            row = int(np.isfinite(found).argmin())
            raise DataError(
                f"The target {self.name!r} is {found[row]} in row {row + 1:,}: "
                "quantities are finite numbers."
            )
        return found

    @property
    def targets(self):
        """The target of each row: quantities, or labels as strings."""
        return self.quantities if self.is_quantity else self.texts

    def refuse_quantities(self):
        """Raise an error if the target looks like one of regression."""
        if self.is_quantity:
            raise DataError(
                f"The target {self.name!r} has {len(self.values):,} different numbers "
                f"in {len(self.codes):,} rows ({self._listed()}). It looks like a "
                "quantity, and rows are compared by class here. Choose another "
                "--target, write classes in its place (such as above or below a "
                "limit), or use skpoison filter --filter auto, which compares "
                "quantities with regressors and gives a verdict on the table. "
                "--target-kind classes takes each number for a class."
            )

    def refuse_names(self):
        """Raise an error if there are so many labels that each names a row."""
        from skpoison.filters._by_models import MOST_CLASSES

        if len(self.values) > max(MOST_CLASSES, len(self.codes) / 2):
            raise DataError(
                f"The target {self.name!r} has {len(self.values):,} different labels "
                f"in {len(self.codes):,} rows ({self._listed()}). They look like names "
                "of the rows, and not like classes. Choose another --target, or write "
                "classes in its place."
            )

    def binary(self, positive=None):
        """Turn the labels into two classes.

        Parameters
        ----------
        positive : str, default=None
            The label that stands against the rest. By default there must be two
            labels, and the last in order is the positive one.

        Returns
        -------
        classes : TwoClasses
            Signs and names.
        """
        self.check_classes()
        code = len(self.values) - 1 if positive is None else self._find(positive)
        if positive is None and len(self.values) > 2:
            doubt = ""
            if len(self.values) > MANY:
                doubt = " (Is it a quantity? Another column may be the target.)"
            raise DataError(
                f"The target {self.name!r} has {len(self.values)} classes "
                f"({self._listed()}). Choose the positive one with --positive; all "
                f"others are then negative.{doubt}"
            )
        counts = np.bincount(self.codes, minlength=len(self.values))
        counts[code] = -1
        other = int(np.argmax(counts))
        name = label_text(self.values[code])
        rest = f"not {name}" if len(counts) > 2 else label_text(self.values[other])
        signs = np.where(self.codes == code, 1, -1).astype(np.int8)
        return TwoClasses(signs, self.values[code], self.values[other], (rest, name))

    def check_classes(self):
        """Raise an error unless there are at least two classes."""
        if len(self.values) < 2:
            raise DataError(
                f"The target {self.name!r} holds one class only ({self._listed()}); "
                "at least two are needed."
            )

    def _find(self, wanted):
        for code, value in enumerate(self.values):
            if wanted in (label_text(value), str(value)):
                return code
        raise DataError(
            f"The target {self.name!r} has no label {wanted!r}; its labels are "
            f"{self._listed()}."
        )

    def _listed(self):
        return quoted(self.value_texts)

    def of_first(self, n_values):
        """Return the labels of the rows that have one of the first distinct values."""
        return self._replace(
            values=self.values[:n_values], codes=self.codes[self.codes < n_values]
        )

    def take(self, rows):
        """Return the labels of some rows, with the same distinct values."""
        return self._replace(codes=self.codes[rows], decided=self.is_quantity)

    def matched(self, test, new_labels=False, whose="The test data"):
        """Return the labels of test rows, coded by the values of these.

        Labels that are not among these come after them, or are an error, which says
        whose they are.
        """
        texts, values = self.value_texts, list(self.values)
        if new_labels:
            known = set(texts)
            values += [one for one in test.values if label_text(one) not in known]
            texts = [label_text(value) for value in values]
        places = {text: code for code, text in reversed(list(enumerate(texts)))}
        found = [places.get(label_text(value), -1) for value in test.values]
        positions = np.array(found, dtype=np.intp)
        if np.any(positions < 0):
            unknown = [test.values[i] for i in np.flatnonzero(positions < 0)]
            raise DataError(
                f"{whose} have labels that the training data do not have: "
                f"{quoted(map(label_text, unknown))}. Allowed are {quoted(texts)}."
            )
        return self._replace(
            values=values, codes=positions[test.codes], decided=self.is_quantity
        )


def _is_number(value):
    """Whether a target is a number, or is written as one."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)
