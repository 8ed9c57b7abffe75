"""The filter that an attacker faces."""

from typing import NamedTuple

import numpy as np
from sklearn.base import clone

from skpoison._fitted import check_fits, is_fitted, remember_names, scores, unbounded
from skpoison._judging import judges_targets
from skpoison.feasible import restrict, shrink_until_kept


class Defense(NamedTuple):
    """A fitted filter that takes positions of labels.

    In regression there are no classes, and targets stand in the place of positions;
    the filter gets them if it judges targets.
    """

    filter: object
    classes: np.ndarray | None

    @classmethod
    def of(cls, filter_, classes, X, codes, names=None):
        """Return the defense of a filter, cloned and fitted unless it is fitted."""
        if not is_fitted(filter_):
            filter_ = clone(filter_).fit(X, cls(filter_, classes)._shown(codes))
            remember_names(filter_, names)
        check_fits(filter_, X.shape[1], classes, names)
        return cls(filter_, classes)

    @property
    def _labels(self):
        """The labels; without labels filters call them all 0."""
        return np.array([0]) if self.classes is None else self.classes

    def _shown(self, codes):
        """Labels or targets, as the filter gets them."""
        if self.classes is not None:
            return self.classes[codes]
        return codes if judges_targets(self.filter) else None

    def keeps(self, X, codes):
        """Return which labeled rows the filter keeps."""
        if not len(codes):
            return np.zeros(0, dtype=bool)
        return scores(self.filter, X, self._shown(codes)) >= 0

    def sets(self, attack, domain=None, names=None):
        """Return each class's feasible set, restricted to the domain."""
        if not hasattr(self.filter, "feasible_set"):
            raise ValueError(
                f"{attack} requires a filter with a feasible_set method; got "
                f"{self.filter!r}. LabelFlipAttack does not require one."
            )
        feasible = self.filter.feasible_set()
        if not feasible.is_bounded:
            raise unbounded(self.filter)
        if domain not in (None, "real"):
            feasible = restrict(
                feasible, domain, feature_names=names, keeps=self._keeps_of_class
            )
        return [feasible[label] for label in self._labels]

    def _keeps_of_class(self, label, rows):
        labels = None if self.classes is None else np.full(len(rows), label)
        return scores(self.filter, rows, labels) >= 0

    def inwards(self, sets, points, codes, dtype, types):
        """Move points of their sets inwards until the filter keeps them as written.

        Returns float64 rows, rounded to the types of the columns.
        """

        def keeps(rows, places):
            return self.keeps(types.written(rows, dtype), codes[places])

        rows, kept = shrink_until_kept(
            [sets[code] for code in codes], points, keeps, dtype
        )
        if not kept.all():
            labels = self._labels[np.unique(codes[~kept])].tolist()
            kind = min([np.dtype(dtype), *types.floats], key=lambda kind: kind.itemsize)
            raise ValueError(
                f"After rounding to {kind.name}, the filter rejects the poison rows of "
                f"the classes {labels}: its feasible set is too thin. Use float64 data "
                "or a larger percentile."
            )
        return types.written(rows, dtype).astype(np.float64)
