"""Passes over the rows that several filters share."""

from functools import cached_property

import numpy as np

from skpoison._kept import spread
from skpoison.filters._measures import measure
from skpoison.filters._rows import class_means


class Passes:
    """Rows, and what has been computed from them.

    Class means are computed once, whoever asks. Measures are planned first; the first
    one that is needed makes one pass over the rows, for all that are planned by then.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n_samples, n_features)
        Rows, float64 or float32.
    codes : ndarray of shape (n_samples,)
        The class of each row, from 0 to ``n_classes - 1``, or -1 where it is none of
        these; then ask ``known``.
    n_classes : int
        Number of classes.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.filters._measures import Distance, Projection
    >>> passes = Passes(np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([0, 0]), 1)
    >>> distances = passes.plan(Distance(np.zeros((1, 2))))
    >>> heights = passes.plan(Projection(np.zeros((1, 2)), np.array([[0.0, 1.0]])))
    >>> distances(), heights()
    (array([1., 5.]), array([0., 4.]))
    """

    def __init__(self, X, codes, n_classes):
        self.X = X
        self.codes = codes
        self.n_classes = n_classes
        self._planned = []
        self._values = {}

    @cached_property
    def class_means(self):
        """Mean of the rows of each class, ndarray of shape (n_classes, n_features)."""
        return class_means(self.X, self.codes, self.n_classes)

    @cached_property
    def known(self):
        """The same for the rows of known classes alone, whose codes are not -1."""
        rows = np.flatnonzero(self.codes >= 0)
        if len(rows) == len(self.codes):
            return self
        return Passes(self.X[rows], self.codes[rows], self.n_classes)

    def spread(self, values):
        """Spread values of the rows of known classes over all rows."""
        if self.known is self:
            return values
        return spread(values, np.flatnonzero(self.codes >= 0), len(self.codes))

    def recoded(self, codes):
        """Return the same for somebody who gives each class another code, or -1."""
        if np.array_equal(codes, np.arange(self.n_classes)):
            return self
        own = np.where(self.codes >= 0, codes[self.codes], -1)
        return Passes(self.X, own, np.count_nonzero(codes >= 0))

    def plan(self, one):
        """Plan a measure; return a function that returns its values."""
        self._planned.append(one)
        return lambda: self._value(one)

    def _value(self, one):
        if one not in self._values:
            values = measure(self.X, self.codes, *self._planned)
            self._values.update(zip(self._planned, values, strict=True))
            self._planned = []
        return self._values[one]
