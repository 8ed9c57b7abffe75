"""Fitting in passes over blocks of rows, by whatever engine holds them."""

from copy import copy, deepcopy
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if

from skpoison._column_types import RowsLike
from skpoison._labels import find_labels
from skpoison.base import BaseFilter


def _check_fits_in_passes(filter_):
    if not filter_._fits_in_passes:
        names = ", ".join(sorted({type(one).__name__ for one in filter_._in_memory()}))
        raise AttributeError(f"{names} needs all rows at once: use fit.")
    return True


def _check_is_copy(filter_, other):
    """Refuse to merge what has not been made by copying a filter."""
    if other is filter_:
        raise ValueError(
            f"merge takes copies of this {type(filter_).__name__} that have seen other "
            "blocks; got the filter itself."
        )
    if not (type(other) is type(filter_) and same_settings(filter_, other)):
        raise ValueError(
            f"merge takes copies of {filter_!r} that have seen other blocks; got "
            f"{other!r}."
        )


def same_settings(first: BaseEstimator, second: BaseEstimator) -> bool:
    """Return whether two estimators have equal parameters, members included."""
    settings, others = (one.get_params(deep=True) for one in (first, second))
    return settings.keys() == others.keys() and all(
        _is_same(value, others[name]) for name, value in settings.items()
    )


def _is_same(value, other):
    if type(value) is not type(other):
        return False
    if isinstance(value, np.random.RandomState):  # copies draw the same
        return True
    if isinstance(value, BaseEstimator):  # whose parameters are compared besides
        return True
    if isinstance(value, list | tuple):
        pairs = zip(value, other, strict=False)
        return len(value) == len(other) and all(_is_same(*pair) for pair in pairs)
    if isinstance(value, dict):
        return value.keys() == other.keys() and all(
            _is_same(one, other[name]) for name, one in value.items()
        )
    if isinstance(value, np.ndarray):
        return np.array_equal(value, other)
    return value is other or bool(value == other)


class PassesMixin(BaseFilter):
    """Mixin of filters that can be fitted in passes over blocks of rows.

    Memory for the rows of a block and a few numbers for each class is enough, and
    blocks may be looked at in any order, by any number of processes. The result is that
    of :meth:`fit`, up to rounding: percentiles are exact.
    """

    _fits_in_passes = True
    # Whether the first pass can say which rows are kept, by supposed means and radii.
    _is_judged_with_means = False
    # Whether the first pass is to find the largest value of each feature.
    _asks_for_sizes = False
    _sizes = None  # which it has found, while `_begin` is called

    def _in_memory(self):
        return []

    def __sklearn_is_fitted__(self):
        if "_passes" in vars(self):
            return False
        return any(name[-1] == "_" and name[0] != "_" for name in vars(self))

    @available_if(_check_fits_in_passes)
    def partial_fit(self, X: RowsLike, y: ArrayLike | None = None) -> Self:
        """Let the current pass look at a block of rows.

        Passes are repeated over the same blocks, in any order, until :meth:`end_pass`
        says that the filter is fitted. There is one for spheres and slabs where radii
        are given, or are percentages, and the blocks are large, dense, and alike; two
        where limits follow from quartiles, or only distances are alike; otherwise up to
        four, or one more where rows share their distances. Covariances take one more,
        and two where their shrinkage is estimated. The filter then has the attributes
        that :meth:`fit` sets, but for ``scores_`` and ``inlier_mask_``, which have an
        entry for each row. The next call starts anew.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of the block, which may be none.
        y : array-like of shape (n_samples,), default=None
            Their labels; a block need not have rows of each class.

        Returns
        -------
        self : object
            This filter.

        Raises
        ------
        ValueError
            If X or y is invalid, or the block has other columns, another dtype or
            labels where former ones have none.
        """
        self._current_pass().add(self, X, y, 0)
        return self

    def _seen(self, X, y, part):
        """Return what the current pass learns of a block, without changing the filter.

        `part` numbers the blocks. X is None for no rows.
        """
        # Others may be looking at the same time.
        filter_ = copy(self)
        seen = deepcopy(filter_._current_pass().empty())
        if X is not None:
            seen.add(filter_, X, y, part)
        return seen.detached()

    @available_if(_check_fits_in_passes)
    def merge(self, *others: BaseFilter) -> Self:
        """Add what copies of this filter have seen in the current pass.

        Parameters
        ----------
        *others : filters
            Copies of this filter (by :func:`copy.deepcopy` or pickling) that have seen
            other blocks by :meth:`partial_fit` since.

        Returns
        -------
        self : object
            This filter.

        Raises
        ------
        ValueError
            If another filter is in another pass, is this one, is of another class or
            has other parameters, or its blocks are not like those that this filter has
            seen. That the same blocks are not merged twice is up to the caller.
        """
        current = self._current_pass()
        for other in others:
            _check_is_copy(self, other)
        for other in others:
            # Copies that have seen nothing have not begun the first pass.
            theirs = getattr(other, "_passes", type(self)._first_pass())
            if type(theirs) is not type(current):
                raise ValueError(
                    f"merge takes copies of this {type(self).__name__} that have seen "
                    "other blocks in the same pass; got one that is in another pass."
                )
            current.check_kinds(self, theirs)
            current.merge(theirs)
        return self

    @available_if(_check_fits_in_passes)
    def end_pass(self) -> bool:
        """Learn from what the current pass has seen, and begin the next one.

        Returns
        -------
        fitted : bool
            True if the filter is fitted, False if it needs another pass over the same
            blocks.

        Raises
        ------
        ValueError
            If the pass has seen no rows, or other ones than the first pass.
        """
        following = self._current_pass().finish(self)
        if following is None:
            del self._passes
            return True
        self._passes = following
        return False

    def _current_pass(self):
        if "_passes" not in vars(self):
            self._validate_params()
            self._forget_rows()
            self._passes = self._first_pass()
        return self._passes

    @staticmethod
    def _first_pass():
        from skpoison.filters._passes import ClassMeans

        return ClassMeans()

    def _begin(self, X, codes, means):
        """Learn the means of the classes; return the statistic needed next, or None.

        Some rows with their codes tell of what kind rows are.
        """
        raise NotImplementedError

    def _learn(self, statistic):
        """Learn from a statistic of all rows; return the one needed next, or None."""
        raise NotImplementedError

    def _forget_rows(self):
        """Leave nothing of a former fit that has an entry for each row."""
        for name in ("scores_", "inlier_mask_", "_codes", "_of_members"):
            vars(self).pop(name, None)

    def _prepare_leaves(self):
        """Make members, where there are any."""

    def _set_labels(self, classes, counts, labelled):
        """Learn the labels of all rows, which occur so many times."""
        if not labelled:
            self.classes_ = classes
            self._labelled = False
        else:
            self._set_classes(classes)
            self._reject_unknown(classes, find_labels(classes, self.classes_), counts)
        self._class_counts = counts[find_labels(self.classes_, classes)]

    def _share_counts(self, owner):
        places = find_labels(self.classes_, owner.classes_)
        self._class_counts = owner._class_counts[places]
