"""Out-of-fold predictions with folds that never split a group of rows."""

import numpy as np
from scipy.special import expit, log_expit, softmax
from sklearn.base import clone
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from skpoison.filters._many_rows import rows_of
from skpoison.filters._nearest import members_of

N_FOLDS = 5  # where nobody says how many


def assign_folds(
    codes: np.ndarray, groups: np.ndarray, n_folds: int, rng: np.random.RandomState
) -> np.ndarray:
    """Return the fold of each row, stratified by class and without splitting a group.

    Groups of several rows are assigned first, in decreasing size, each to the fold with
    the fewest rows of its classes; single rows then fill the folds. A group larger than
    a fold makes a larger fold.

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


def folds_of_groups(
    codes: np.ndarray, groups: np.ndarray, n_folds: int, rng: np.random.RandomState
) -> np.ndarray:
    """The same with no more folds than groups; one fold if all rows are in one."""
    n_folds = min(n_folds, len(np.unique(groups)))
    if n_folds < 2:
        return np.zeros(len(codes), dtype=np.intp)
    return assign_folds(codes, groups, n_folds, rng)


def _fill(counts, n, rng):
    """The folds of n rows, each the one with the fewest rows so far."""
    order = rng.permutation(len(counts))  # breaks ties
    heights = counts[order] + np.arange(n)[:, None]
    lowest = np.argsort(heights.ravel(), kind="stable")[:n]
    return order[lowest % len(counts)]


def out_of_fold(
    estimator, X, codes, folds, n_classes, *, n_jobs=None, labels=None, rows=None,
    **fit_params,
) -> np.ndarray:  # fmt: skip
    """Return the class probabilities of each row by models fitted without its fold.

    NaN for rows whose class the model was not fitted on, and for all rows where the
    model would be fitted on fewer than two classes. Rows of fold -1 are fitted on only:
    NaN, too. Codes, folds, labels and parameters are those of ``rows`` of X, by default
    all.
    """
    labels = codes if labels is None else labels
    rows = np.arange(len(codes)) if rows is None else rows
    which = [fold for fold in np.unique(folds) if fold >= 0]
    parts = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_predict)(
            clone(estimator),
            X,
            rows,
            codes,
            labels,
            folds == fold,
            n_classes,
            fit_params,
        )
        for fold in which
    )
    out = np.full((len(codes), n_classes), np.nan)
    for fold, part in zip(which, parts, strict=True):
        out[folds == fold] = part
    return out


def _fit_and_predict(model, X, rows, codes, labels, asked, n_classes, fit_params):
    rest, asked = np.flatnonzero(~asked), np.flatnonzero(asked)
    known = np.unique(codes[rest])
    out = np.full((len(asked), n_classes), np.nan)
    if len(known) < 2:
        return out
    cut = {
        name: _safe_indexing(value, rest) if _is_aligned(value, codes) else value
        for name, value in fit_params.items()
    }
    model.fit(rows_of(X, rows[rest]), labels[rest], **cut)
    judged = np.isin(codes[asked], known)
    said = np.zeros((len(asked), n_classes))
    said[:, known] = class_probabilities(model, rows_of(X, rows[asked]), len(known))
    out[judged] = said[judged]
    return out


def _is_aligned(value, codes):
    return value is not None and np.shape(value)[:1] == codes.shape


def class_probabilities(model, X, n_classes: int) -> np.ndarray:
    """Class probabilities, from decision values if a classifier has no others."""
    said = _probabilities(model, X)
    if said.shape[1:] != (n_classes,) or not np.isfinite(said).all():
        raise ValueError(
            f"{model!r} must give a finite probability, or decision, for each of the "
            f"{n_classes} classes that it was fitted on; it gives an array of shape "
            f"{said.shape} with {np.sum(~np.isfinite(said))} values that are NaN or "
            "infinity."
        )
    return said


def own_and_rival(probabilities: np.ndarray, codes: np.ndarray) -> tuple:
    """Probability of each row's label, the most probable other class, and its own."""
    everyone = np.arange(len(codes))
    others = np.array(probabilities)
    own = others[everyone, codes]
    others[everyone, codes] = -1
    return own, others.argmax(axis=1), others.max(axis=1)


def _of_known_classes(said, classes):
    """Leave out outputs of a net for labels, its integers, that no row bears."""
    if said.ndim != 2 or classes is None or len(classes) >= said.shape[1]:
        return said
    classes = np.asarray(classes)
    if (
        classes.dtype.kind not in "iu"
        or not 0 <= classes.min() <= classes.max() < said.shape[1]
    ):
        return said
    return said[:, classes]


def _probabilities(model, X):
    if hasattr(model, "predict_proba"):
        said = np.asarray(model.predict_proba(X), dtype=np.float64)
        return _of_known_classes(said, getattr(model, "classes_", None))
    decisions = np.asarray(model.decision_function(X), dtype=np.float64)
    if decisions.ndim == 1:
        second = expit(decisions)
        return np.column_stack([np.exp(log_expit(-decisions)), second])
    return softmax(decisions, axis=1)
