"""The bound as a function of the poison fraction."""

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import clone
from sklearn.callback import with_callbacks
from sklearn.utils import Bunch

from skpoison.bounds._certified import CertifiedBound

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from scipy import sparse


def bound_curve(
    estimator: CertifiedBound,
    X: "ArrayLike | sparse.sparray",
    y: "ArrayLike",
    epsilons: "ArrayLike",
    sample_weight: "ArrayLike | None" = None,
) -> Bunch:
    """Compute the bound for several poison fractions.

    Each fit is warm-started from the previous one, which is much faster than separate
    fits.

    Parameters
    ----------
    estimator : CertifiedBound
        The bound; its `epsilon` is ignored.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Clean rows; also a Dask array or data frame, as in :meth:`CertifiedBound.fit`.
    y : array-like of shape (n_samples,)
        Their labels, of at least two classes; with a regressor, their targets.
    epsilons : array-like of shape (n_epsilons,)
        Numbers of poison rows divided by the number of clean rows, between 0 and 1.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the losses of the clean rows, as in :meth:`CertifiedBound.fit`.

    Returns
    -------
    curve : :class:`~sklearn.utils.Bunch`
        `epsilon`, `upper_bound`, `lower_bound`, `dual_gap`, `clean_loss`,
        `poison_loss`, `attack_loss`, `n_iter` and `converged`: arrays of shape
        (n_epsilons,), in the order given. `estimators`: the fitted bounds.

    Notes
    -----
    Callbacks set on `estimator` receive a task for each epsilon. Those that
    scikit-learn propagates, such as :class:`sklearn.callback.ProgressBar`, also receive
    the checks within each fit.

    References
    ----------
    .. [1] J. Steinhardt, P. W. Koh, P. Liang, "Certified Defenses for Data
       Poisoning Attacks", NIPS 2017, figure 2.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skpoison import CertifiedBound, bound_curve
    >>> X, y = make_blobs(300, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> curve = bound_curve(CertifiedBound(rho=1.0), X, y, [0.01, 0.1, 0.3])
    >>> bool(curve.upper_bound[0] < curve.upper_bound[2])
    True
    """
    if not isinstance(estimator, CertifiedBound):
        raise TypeError(
            f"estimator must be a CertifiedBound, got {type(estimator).__name__}."
        )
    epsilons = np.asarray(epsilons, dtype=np.float64)
    if epsilons.ndim != 1 or len(epsilons) == 0:
        raise ValueError(
            f"epsilons must be a one-dimensional array of at least one value, got "
            f"{epsilons!r}."
        )
    if not np.all((epsilons >= 0) & (epsilons <= 1)):
        raise ValueError(f"epsilons must lie between 0 and 1, got {epsilons.tolist()}.")
    return _as_bunch(epsilons, _walk(estimator, X, y, epsilons, sample_weight))


@with_callbacks
def _walk(estimator, X, y, epsilons, sample_weight):
    """Fit from the largest epsilon down, each warm-started from the last."""
    context = estimator._init_callback_context("bound_curve", 0, len(epsilons))
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    fitted, previous = [None] * len(epsilons), None
    for position in np.argsort(epsilons)[::-1]:
        bound = clone(estimator).set_params(epsilon=float(epsilons[position]))
        bound._validate_params()
        given = {"X": X, "y": y, "sample_weight": sample_weight}
        previous = _fit_within(context, estimator, bound, previous, given)
        fitted[position] = bound
    context.call_on_fit_task_end(estimator=estimator, X=X, y=y)
    return fitted


def _fit_within(context, estimator, bound, previous, given):
    """Fit one bound as a subtask; return its warm start."""
    subtask = context.subcontext(task_name="bound")
    # Of the caller's callbacks, the bound gets those that propagate.
    with subtask.propagate_callback_context(bound.set_callbacks()):
        subtask.call_on_fit_task_begin(estimator=estimator)
        previous = bound._fit(previous=previous, **given)
    subtask.call_on_fit_task_end(estimator=estimator)
    return previous


def _as_bunch(epsilons, fitted):
    names = (
        "upper_bound",
        "lower_bound",
        "dual_gap",
        "clean_loss",
        "poison_loss",
        "attack_loss",
        "n_iter",
        "converged",
    )
    columns = {
        name: np.array([getattr(bound, name + "_") for bound in fitted])
        for name in names
    }
    return Bunch(epsilon=epsilons, **columns, estimators=fitted)
