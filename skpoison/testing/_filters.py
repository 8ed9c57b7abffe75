"""Checks of the interface of filters."""

import pickle

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags

from skpoison.testing._data import require, require_refusals, two_classes, with_entry


def check_filter(filter: BaseEstimator, random_state: int = 0) -> None:
    """Check that a filter satisfies the interface that skpoison relies on.

    scikit-learn's ``check_estimator`` checks what all estimators have in common. This
    function checks what filters add: which rows are kept, what the scores mean, and
    that the results do not depend on label names, containers or copies.

    Parameters
    ----------
    filter : filter
        A filter; it is cloned, and the clone's ``random_state`` is set.
    random_state : int, default=0
        Seed of the test data.

    Raises
    ------
    AssertionError
        If a check fails; the message names the requirement.

    See Also
    --------
    skpoison.base.BaseFilter : Base class that implements most of the interface.
    sklearn.utils.estimator_checks.check_estimator : Checks all estimators.

    Examples
    --------
    >>> from skpoison.filters import MahalanobisFilter
    >>> from skpoison.testing import check_filter
    >>> check_filter(MahalanobisFilter(percentile=90))
    """
    X, y = two_classes(random_state)
    filter = clone(filter)
    if "random_state" in filter.get_params():
        filter.set_params(random_state=random_state)
    for check in _CHECKS:
        check(clone(filter), X, y)


def _check_mask(filter_, X, y):
    fitted = filter_.fit(X, y)
    require(fitted is filter_, f"{type(filter_).__name__}.fit must return self.")
    mask, scores = filter_.inlier_mask_, filter_.scores_
    require(
        mask.shape == y.shape and mask.dtype == bool,
        f"inlier_mask_ must hold one boolean for each row; got {mask.dtype} of shape "
        f"{mask.shape}.",
    )
    require(
        scores.shape == y.shape and np.all(np.isfinite(scores)),
        "scores_ must hold one finite number for each row.",
    )
    for label in np.unique(y):
        require(mask[y == label].any(), f"No row of class {label!r} is kept.")
    require(
        np.array_equal(filter_.classes_, np.unique(y)),
        "classes_ must be the sorted labels.",
    )


def _check_decisions(filter_, X, y):
    mask = filter_.fit(X, y).inlier_mask_
    kept = clone(filter_).fit_predict(X, y)
    require(
        np.array_equal(kept == 1, mask) and set(np.unique(kept)) <= {-1, 1},
        "fit_predict(X, y) must be 1 where inlier_mask_ is true and -1 elsewhere.",
    )
    if not hasattr(filter_, "decision_function"):
        return
    decisions = filter_.decision_function(X, y)
    require(
        np.array_equal(filter_.predict(X, y) == 1, decisions >= 0),
        "predict(X, y) must be 1 exactly where decision_function(X, y) >= 0.",
    )
    best = np.max(
        [filter_.decision_function(X, np.full_like(y, label)) for label in (0, 1)],
        axis=0,
    )
    require(
        np.array_equal(filter_.decision_function(X), best),
        "Without y, decision_function must be the best over the labels.",
    )


def _check_order_of_scores(filter_, X, y):
    if not hasattr(filter_.fit(X, y), "decision_function"):
        return
    for label in (0, 1):
        of_class = np.full_like(y, label)
        scores = filter_.score_samples(X, of_class)
        decisions = filter_.decision_function(X, of_class)
        ordered = np.argsort(scores, kind="stable")
        require(
            np.all(np.diff(decisions[ordered]) >= -1e-9 * (1 + np.ptp(decisions))),
            "Within a class, a higher score must not get a lower decision.",
        )


def _check_labels(filter_, X, y):
    mask = filter_.fit(X, y).inlier_mask_
    names = np.array(["ham", "spam"])[y]
    require(
        np.array_equal(clone(filter_).fit(X, names).inlier_mask_, mask),
        "Labels by other names must not change what is kept.",
    )


def _check_rows_together(filter_, X, y):
    weights = np.arange(len(y))
    kept_X, kept_y, kept = filter_.fit_filter(X, y, weights)
    require(
        np.array_equal(kept_X, X[kept])
        and np.array_equal(kept_y, y[kept])
        and np.array_equal(kept, np.flatnonzero(filter_.inlier_mask_)),
        "fit_filter must cut X, y and everything else down to the kept rows.",
    )


def _check_replacing(filter_, X, y):
    replaced = filter_.fit_transform(X, y)
    mask = filter_.inlier_mask_
    require(
        replaced.shape == X.shape and np.array_equal(replaced[mask], X[mask]),
        "fit_transform must leave kept rows where they are.",
    )
    for label in np.unique(y):
        kept = {row.tobytes() for row in X[mask & (y == label)]}
        put = {row.tobytes() for row in replaced[~mask & (y == label)]}
        require(put <= kept, "fit_transform must replace by kept rows of the class.")
    require(
        np.array_equal(filter_.transform(X), X),
        "transform must leave rows as they are.",
    )


def _check_repeats(filter_, X, y):
    before, labels = X.copy(), y.copy()
    mask = filter_.fit(X, y).inlier_mask_
    require(
        np.array_equal(X, before) and np.array_equal(y, labels),
        "fit must not write into X or y.",
    )
    again = clone(filter_).fit(X, y).inlier_mask_
    copied = pickle.loads(pickle.dumps(filter_)).inlier_mask_
    require(
        np.array_equal(mask, again) and np.array_equal(mask, copied),
        "Fitting again, and pickling, must give the same rows.",
    )


def _check_sparse(filter_, X, y):
    if not get_tags(filter_).input_tags.sparse:
        return
    dense = filter_.fit(X, y)
    other = clone(filter_).fit(sparse.csr_array(X), y)
    require(
        np.array_equal(dense.inlier_mask_, other.inlier_mask_),
        "Sparse rows must be judged as the same rows dense.",
    )


def _check_refusals(filter_, X, y):
    cases = {
        "infinity in X": (with_entry(X, np.inf), y),
        "a y that is too short": (X, y[:-1]),
    }
    if not get_tags(filter_).input_tags.allow_nan:
        cases["NaN in X"] = (with_entry(X, np.nan), y)
    require_refusals(filter_, cases)


_CHECKS = (
    _check_mask,
    _check_decisions,
    _check_order_of_scores,
    _check_labels,
    _check_rows_together,
    _check_replacing,
    _check_repeats,
    _check_sparse,
    _check_refusals,
)
