"""Cross-validation on rows known to be clean."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator, KFold, StratifiedKFold
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import column_or_1d

from skpoison._column_types import RowsLike


class TrustedKFold(BaseCrossValidator):
    """K-fold cross-validator that validates on trusted rows only.

    Scores on rows that may be poison also measure how well a model fits poison. Here,
    every validation fold consists of trusted rows, and all other rows, trusted or not,
    are used for training. The folds are stratified if y contains class labels.

    Parameters
    ----------
    trusted_mask : array-like of shape (n_samples,), dtype=bool
        True for the rows known to be clean.
    n_splits : int, default=5
        Number of folds.
    shuffle : bool, default=False
        Whether to shuffle the trusted rows before they are split.
    random_state : int, RandomState instance or None, default=None
        Controls the shuffling if `shuffle` is True.

    See Also
    --------
    PoisonedClassifier : Poisons the training folds of clean data.

    Examples
    --------
    >>> import numpy as np
    >>> from skpoison.meta import TrustedKFold
    >>> X, y = np.zeros((6, 1)), np.array([0, 1, 0, 1, 0, 1])
    >>> folds = TrustedKFold([True, True, True, True, False, False], n_splits=2)
    >>> for train, test in folds.split(X, y):
    ...     print(train, test)
    [2 3 4 5] [0 1]
    [0 1 4 5] [2 3]
    """

    def __init__(
        self,
        trusted_mask: ArrayLike,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.trusted_mask = trusted_mask
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    def get_n_splits(
        self, X: object = None, y: object = None, groups: object = None
    ) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object, default=None
            Not used.

        Returns
        -------
        n_splits : int
            Number of folds.
        """
        return self.n_splits

    def split(
        self, X: RowsLike, y: ArrayLike | None = None, groups: object = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield indices of training rows and of trusted validation rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            Their labels or targets.
        groups : object, default=None
            Not used.

        Yields
        ------
        train, test : ndarray
            Indices, in ascending order.

        Raises
        ------
        ValueError
            If the mask is not a boolean mask of these rows, or if fewer rows are
            trusted than there are folds.
        """
        yield from super().split(X, y, groups)

    def _iter_test_masks(self, X=None, y=None, groups=None):
        n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
        trusted = np.flatnonzero(self._checked_mask(n_samples))
        y = None if y is None else np.asarray(y)
        targets = None if y is None else y[trusted]
        for _, test in self._folds(targets).split(trusted, targets):
            mask = np.zeros(n_samples, dtype=bool)
            mask[trusted[test]] = True
            yield mask

    def _checked_mask(self, n_samples):
        mask = column_or_1d(self.trusted_mask)
        if mask.dtype != bool or len(mask) != n_samples:
            raise ValueError(
                f"trusted_mask must have True or False for each of the {n_samples} "
                f"rows; got {len(mask)} values of type {mask.dtype}."
            )
        if mask.sum() < self.n_splits:
            raise ValueError(
                f"trusted_mask trusts {mask.sum()} rows, too few for "
                f"n_splits={self.n_splits}."
            )
        return mask

    def _folds(self, y):
        discrete = y is not None and type_of_target(y) in ("binary", "multiclass")
        kind = StratifiedKFold if discrete else KFold
        return kind(self.n_splits, shuffle=self.shuffle, random_state=self.random_state)
