"""Out-of-fold predictions, from folds that never split a group of rows."""

import numpy as np
from scipy.special import expit, log_expit, softmax
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from skpoison.filters._nearest import members_of


def assign_folds(
    codes: np.ndarray, groups: np.ndarray, n_folds: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return the fold of each row: classes spread evenly, no group split.

    Groups of several rows are placed first, the largest at the front, each where its
    classes have the fewest rows; rows that are alone then fill what is left. A group
    that is larger than a fold makes a larger fold.

    Examples
    --------
    >>> import numpy as np
    >>> codes, groups = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 1, 2, 3, 4])
    >>> assign_folds(codes, groups, 2, np.random.RandomState(0))
    array([0, 0, 1, 1, 1, 0])
    """
    totals = np.bincount(codes)
    counts = np.zeros((len(totals), n_folds))
    folds = np.empty(len(codes), dtype=np.intp)
    sizes = np.bincount(groups)
    several = np.flatnonzero(sizes > 1)
    several = several[np.argsort(-sizes[several], kind="stable")]
    for rows in members_of(groups, several):
        added = np.bincount(codes[rows], minlength=len(totals))
        present = np.flatnonzero(added)
        share = (counts[present] / totals[present, None]).sum(axis=0)
        folds[rows] = fold = share.argmin()
        counts[:, fold] += added
    alone = sizes[groups] == 1
    for code in range(len(totals)):
        rows = rng.permutation(np.flatnonzero(alone & (codes == code)))
        folds[rows] = _fill(counts[code], len(rows), rng)
    return folds


def _fill(counts, n, rng):
    """The folds that n rows go to, always the one with the fewest rows so far."""
    order = rng.permutation(len(counts))  # who is first among equals
    heights = counts[order] + np.arange(n)[:, None]
    lowest = np.argsort(heights.ravel(), kind="stable")[:n]
    return order[lowest % len(counts)]


def out_of_fold(
    estimator, X, codes, folds, n_classes, *, n_jobs=None, labels=None, **fit_params
) -> np.ndarray:
    """Return the probabilities of all classes for each row, by models without its fold.

    Rows of a class that is not among what its model was fitted on, and rows of all
    classes where there are fewer than two, have NaN: nothing speaks about them.
    """
    labels = codes if labels is None else labels
    which = [fold for fold in np.unique(folds)]
    parts = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_predict)(
            clone(estimator), X, codes, labels, folds == fold, n_classes, fit_params
        )
        for fold in which
    )
    out = np.full((len(codes), n_classes), np.nan)
    for fold, part in zip(which, parts, strict=True):
        out[folds == fold] = part
    return out


def _fit_and_predict(model, X, codes, labels, asked, n_classes, fit_params):
    rest, rows = np.flatnonzero(~asked), np.flatnonzero(asked)
    known = np.unique(codes[rest])
    out = np.full((len(rows), n_classes), np.nan)
    if len(known) < 2:
        return out
    cut = {
        name: _safe_indexing(value, rest) if _is_aligned(value, codes) else value
        for name, value in fit_params.items()
    }
    model.fit(_safe_indexing(X, rest), labels[rest], **cut)
    judged = np.isin(codes[rows], known)
    said = np.zeros((len(rows), n_classes))
    said[:, known] = class_probabilities(model, _safe_indexing(X, rows))
    out[judged] = said[judged]
    return out


def _is_aligned(value, codes):
    return value is not None and np.shape(value)[:1] == codes.shape


def class_probabilities(model, X) -> np.ndarray:
    """Probabilities, made of decisions where a classifier has none."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(X), dtype=np.float64)
    decisions = np.asarray(model.decision_function(X), dtype=np.float64)
    if decisions.ndim == 1:
        second = expit(decisions)
        return np.column_stack([np.exp(log_expit(-decisions)), second])
    return softmax(decisions, axis=1)
