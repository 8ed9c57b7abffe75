"""What filters share that fit an estimator and drop the rows it fits worst, in turn."""

from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skpoison._fitted import fit_clone
from skpoison._warn import warn
from skpoison.filters._contamination import BaseContaminationFilter


class Trimmed(NamedTuple):
    """Where fitting and trimming in turn has ended.

    Parameters
    ----------
    estimator : estimator
        The last one.
    losses : ndarray of shape (n_samples,)
        Losses of all rows under it.
    history : list of float
        The mean loss of the rows that were kept, after each fit.
    has_settled : bool
        Whether it ended by itself.
    """

    estimator: object
    losses: np.ndarray
    history: list
    has_settled: bool


class BaseTrimmingFilter(BaseContaminationFilter):
    """Base class of filters by trimmed loss.

    A subclass has the parameters ``max_iter`` and ``tol``, and defines
    ``_new_estimator()`` and ``_distances(X, judged_by)``, the losses of rows under
    ``estimator_``.

    Parameters
    ----------
    percentile, contamination, random_state
        As in :class:`~skpoison.filters._contamination.BaseContaminationFilter`.

    Examples
    --------
    >>> from skpoison.filters import LossFilter, TrimFilter
    >>> issubclass(LossFilter, BaseTrimmingFilter)
    True
    >>> issubclass(TrimFilter, BaseTrimmingFilter)
    True
    """

    _sums_by_batch = True

    def _trim(self, X, codes, kept, fitted_to, judged_by):
        """Fit to the kept rows and trim all rows, until the kept ones settle."""
        history = []
        for _ in range(self.max_iter):
            rows = slice(None) if kept.all() else np.flatnonzero(kept)
            self.estimator_ = self._fit_estimator(X[rows], fitted_to[rows])
            losses = self._distances(X, judged_by)
            radii = self._estimate_radii(losses, codes, X.dtype)
            before, kept = kept, losses <= radii[codes]
            history.append(losses[kept].mean())
            if np.array_equal(kept, before) or self._falls_no_more(history):
                return Trimmed(self.estimator_, losses, history, True)
        return Trimmed(self.estimator_, losses, history, False)

    def _fit_estimator(self, X, fitted_to):
        return fit_clone(self._new_estimator(), X, fitted_to)

    def _falls_no_more(self, history):
        return len(history) > 1 and history[-2] - history[-1] <= self.tol * history[-2]

    def _report(self, trimmed):
        """Set attributes, and warn if there should have been more rounds."""
        self.estimator_ = trimmed.estimator
        self.trimmed_losses_ = np.array(trimmed.history)
        self.n_iter_ = len(trimmed.history)
        if not trimmed.has_settled and self.max_iter > 1:
            warn(
                f"The trimmed loss still fell after max_iter={self.max_iter} fits, by "
                f"more than tol={self.tol}.",
                ConvergenceWarning,
            )
        return trimmed.losses
