"""One set of rows for each class."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from skpoison._labels import find_labels
from skpoison.feasible._base import FeasibleRegion

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class FeasibleSet:
    """The labeled rows that a fixed filter keeps: one set of rows for each class.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        The labels, sorted.
    sets : sequence of n_classes FeasibleRegion
        The rows that the filter keeps for each class, in the order of `classes`.

    Examples
    --------
    >>> from skpoison.feasible import FeasibleSet, SphereSlab
    >>> sets = [SphereSlab([0.0], 1.0), SphereSlab([3.0], 1.0)]
    >>> rows = FeasibleSet(["ham", "spam"], sets)
    >>> rows["spam"].contains([[0.0], [2.5]])
    array([False,  True])
    >>> rows.contains([[0.0], [0.0]], ["ham", "spam"])
    array([ True, False])
    """

    def __init__(self, classes: "ArrayLike", sets: Iterable[FeasibleRegion]):
        self.classes = np.asarray(classes)
        self.sets = list(sets)
        if len(self.classes) != len(self.sets):
            raise ValueError(
                f"{len(self.sets)} sets were given for {len(self.classes)} classes."
            )
        for rows in self.sets:
            if not isinstance(rows, FeasibleRegion):
                raise TypeError(
                    "sets must hold a skpoison.feasible.FeasibleRegion for each class; "
                    f"got {rows!r}."
                )

    def __getitem__(self, label: Any) -> FeasibleRegion:
        """Return the set of one class."""
        code = find_labels([label], self.classes)[0]
        if code < 0:
            raise KeyError(
                f"{label!r} is not one of the classes {self.classes.tolist()}."
            )
        return self.sets[code]

    def __iter__(self) -> Iterator:
        """Iterate over pairs of label and set."""
        return zip(self.classes, self.sets, strict=True)

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.classes)

    def __and__(self, other: "FeasibleSet") -> "FeasibleSet":
        """Return the intersection, class by class."""
        if not np.array_equal(self.classes, other.classes):
            raise ValueError(
                f"The feasible sets are for different classes: "
                f"{self.classes.tolist()} and {other.classes.tolist()}."
            )
        pairs = zip(self.sets, other.sets, strict=True)
        return FeasibleSet(self.classes, [a.intersect(b) for a, b in pairs])

    @property
    def is_bounded(self) -> bool:
        """Whether every class's set is bounded."""
        return all(rows.is_bounded for rows in self.sets)

    def contains(
        self, X: "ArrayLike | sparse.sparray", y: "ArrayLike", tol: float = 0.0
    ) -> np.ndarray:
        """Return which labeled rows the filter keeps.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The rows.
        y : array-like of shape (n_samples,)
            Their labels.
        tol : float, default=0
            Tolerance, in the units of the features.

        Returns
        -------
        mask : ndarray of shape (n_samples,), dtype=bool
            True for the rows that are kept. Rows whose label is not one of the classes
            are not kept.
        """
        X = sparse.csr_array(X) if sparse.issparse(X) else np.asarray(X)
        codes = find_labels(y, self.classes)
        inside = np.zeros(X.shape[0], dtype=bool)
        for code, rows in enumerate(self.sets):
            members = np.flatnonzero(codes == code)
            if len(members):
                inside[members] = rows.contains(X[members], tol)
        return inside
