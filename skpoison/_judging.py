"""Which rows a filter, or any other outlier detector, keeps."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _num_samples

from skpoison._column_types import RowsLike
from skpoison._kept import keep_each_class
from skpoison._labels import find_labels
from skpoison._warn import warn
from skpoison.base import BaseFilter
from skpoison.exceptions import FilterWarning

# What PyOD's detectors warn of when they are called as scikit-learn's are.
OF_PYOD = ("Function fit_predict is deprecated", "y should not be presented")
WITH_CLASSES = (
    *("binary", "multiclass"),
    *("multiclass-multioutput", "multilabel-indicator"),
)


def last_step(filter_: BaseEstimator) -> BaseEstimator:
    """Find what judges the rows: the last step of a pipeline, the frozen estimator."""
    while isinstance(filter_, Pipeline | FrozenEstimator):
        is_frozen = isinstance(filter_, FrozenEstimator)
        filter_ = filter_.estimator if is_frozen else filter_.steps[-1][1]
    return filter_


def judges_targets(filter_: BaseEstimator) -> bool:
    """Whether a filter judges targets of regression, and so is to get them."""
    return getattr(last_step(filter_), "_judges_targets", False)


def check_detector(filter_: BaseEstimator) -> None:
    """Raise for clusterers, before any computation."""
    kind = get_tags(filter_).estimator_type
    if kind in ("clusterer", "density_estimator"):
        raise ValueError(
            f"The filter must be an outlier detector; {_name(filter_)} is a "
            f"{kind.replace('_', ' ')}, whose fit_predict returns cluster labels. Use "
            "a filter from skpoison.filters (ActivationClusteringFilter is based on "
            "clustering) or a detector such as IsolationForest."
        )


def fit_and_find_kept(
    filter_: BaseEstimator,
    X: RowsLike,
    y: ArrayLike | None,
    fit_params: dict[str, Any] | None = None,
) -> np.ndarray:
    """Fit a filter, and return the mask of the rows that it keeps.

    A detector's ``fit_predict`` gives 1 for rows to keep and -1 for the others; PyOD's
    gives 0 and 1. Of a class that a detector rejects as a whole, the row with the best
    score is kept, with a warning, where there are scores. A frozen filter is not fitted
    again: it judges these rows as it does any others, and no class is sure to keep one.
    """
    check_detector(filter_)
    if isinstance(filter_, FrozenEstimator):
        if fit_params:
            raise TypeError(
                f"FrozenEstimator({_name(filter_)}) takes no {', '.join(fit_params)}: "
                "it is not fitted again."
            )
        return _find_kept_by_fixed(filter_.fit(X, y), X, y)
    params = fit_params or {}
    if isinstance(last_step(filter_), BaseFilter):
        return _as_kept(filter_, filter_.fit_predict(X, y, **params), X)
    with warnings.catch_warnings():
        for message in OF_PYOD:
            warnings.filterwarnings("ignore", message)
        judgements = filter_.fit_predict(X, y, **params)
    kept = _as_kept(filter_, judgements, X)
    return kept if y is None else _keep_some_of_each_class(filter_, X, y, kept)


def find_kept_by_clone(
    filter_: BaseEstimator, X: RowsLike, y: ArrayLike | None
) -> np.ndarray:
    """Return the mask of the rows that a clone of a filter keeps, fitted on them.

    It is asked about no others, so it fits no models for these.
    """
    filter_ = clone(filter_)
    if hasattr(filter_, "_judges_new_rows") and isinstance(filter_, BaseFilter):
        filter_._judges_new_rows = False
    return fit_and_find_kept(filter_, X, y)


def find_kept(filter_: BaseEstimator, X: RowsLike, y: ArrayLike) -> np.ndarray:
    """Return the mask of the rows that a fitted filter keeps.

    Labels are passed to our own filters only.
    """
    check_detector(filter_)
    labels = {"y": y} if isinstance(last_step(filter_), BaseFilter) else {}
    return _as_kept(filter_, filter_.predict(X, **labels), X)


def _find_kept_by_fixed(filter_, X, y):
    """Return the mask of the rows that a frozen filter keeps; warn of lost classes."""
    if not hasattr(filter_, "predict"):
        raise ValueError(
            f"FrozenEstimator({_name(filter_)}) cannot filter: {_name(filter_)} judges "
            "only the rows that it is fitted on. Give it without FrozenEstimator."
        )
    kept = find_kept(filter_, X, y)
    if y is None or np.ndim(y) != 1 or type_of_target(y) not in WITH_CLASSES:
        return kept
    labels, last = np.asarray(y), last_step(filter_)
    if isinstance(last, BaseFilter):  # it has warned of labels that it does not know
        labels = labels[find_labels(labels, last.classes_) >= 0]
    lost = np.setdiff1d(labels, np.asarray(y)[kept])
    if len(lost):
        warn(
            f"The fixed filter {_name(filter_)} rejects every row of the classes "
            f"{lost.tolist()}: nothing is learned of these classes.",
            FilterWarning,
        )
    return kept


def _name(filter_):
    return type(last_step(filter_)).__name__


def _as_kept(filter_, judgements, X):
    """Read what a detector gives for each row: True for rows to keep."""
    judgements = np.asarray(judgements)
    if judgements.shape != (_num_samples(X),):
        raise ValueError(
            f"The filter must return one value for each of the {_num_samples(X)} rows; "
            f"{_name(filter_)} returned an array of shape {judgements.shape}."
        )
    last = last_step(filter_)
    # PyOD's convention: 0 for inliers and 1 for outliers.
    is_pyod = hasattr(last, "labels_") and hasattr(last, "decision_scores_")
    keep, reject = (0, 1) if is_pyod else (1, -1)
    kept = judgements == keep
    if judgements.dtype == bool or not np.all(kept | (judgements == reject)):
        values = np.unique(judgements)[:5].tolist()
        raise ValueError(
            f"The filter must return {keep} for rows to keep and {reject} for the "
            f"others; {_name(filter_)} returned the values "
            f"{values}{' and others' if len(np.unique(judgements)) > 5 else ''}."
        )
    if not np.any(kept):
        raise ValueError(
            f"{_name(filter_)} rejects every row, so there is nothing to fit on. "
            "Choose a filter that keeps more rows."
        )
    return kept


def _keep_some_of_each_class(filter_, X, y, kept):
    """Keep the best row of each class that a detector rejects as a whole."""
    y = y.toarray() if sparse.issparse(y) else np.asarray(y)
    if type_of_target(y) not in WITH_CLASSES:
        return kept
    for column in y.reshape(len(y), -1).T:
        classes, codes = np.unique(column, return_inverse=True)
        lost = np.setdiff1d(codes, codes[kept])
        if len(lost):
            kept = _keep_best(filter_, X, kept, classes, codes, classes[lost].tolist())
    return kept


def _keep_best(filter_, X, kept, classes, codes, lost):
    scores = _training_scores(filter_, X)
    if scores is None:
        warn(
            f"{_name(filter_)} rejects every row of the classes {lost} and has no "
            "scores to select rows to keep: these classes are not learned.",
            FilterWarning,
        )
        return kept
    warn(
        f"{_name(filter_)} rejects every row of the classes {lost}; the "
        "best-scoring row of each class is kept.",
        FilterWarning,
    )
    scores = np.nan_to_num(scores, nan=-np.inf)
    ranks = np.unique(scores, return_inverse=True)[1] - len(scores)  # all below 0
    return keep_each_class(np.where(kept, 0, ranks), codes, len(classes))[0]


def _training_scores(filter_, X):
    """Scores of the rows given to fit, higher is more normal; None without any."""
    last = last_step(filter_)
    if hasattr(last, "decision_scores_"):  # PyOD's: higher is less normal
        return -np.ravel(last.decision_scores_)
    if hasattr(last, "negative_outlier_factor_"):
        return last.negative_outlier_factor_
    for method in ("score_samples", "decision_function"):
        if hasattr(filter_, method):
            return np.ravel(getattr(filter_, method)(X))
    return None
