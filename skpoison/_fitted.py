"""Estimators that others made: fitting them, what fits fitted filters, asking these."""

import warnings
from contextlib import contextmanager

import numpy as np
from sklearn.base import clone

from skpoison._labels import find_labels, kinds_hint
from skpoison._warn import warn


def fit_clone(estimator, *args, **params):
    """Fit a clone of an estimator, and return it whatever its ``fit`` returns.

    Parameters
    ----------
    estimator : estimator
        What is cloned.
    *args, **params : tuple and dict
        Passed to ``fit``.

    Returns
    -------
    fitted : estimator
        The fitted clone.
    """
    fitted = clone(estimator)
    fitted.fit(*args, **params)
    return fitted


def check_fits(filter_, n_features, classes, names=None):
    """Raise unless a fitted filter was fitted on such rows and labels.

    Parameters
    ----------
    filter_ : filter
        The fitted filter.
    n_features : int
        Number of features of the rows.
    classes : ndarray of shape (n_classes,)
        Their labels, sorted.
    names : ndarray of shape (n_features,), default=None
        Names of the features, if they have names.

    Raises
    ------
    ValueError
        If the filter knows other features, the same ones in another order, or other
        labels: what it keeps of its first class says nothing of theirs.

    Warns
    -----
    UserWarning
        If only one side has names.
    """
    known = getattr(filter_, "n_features_in_", n_features)
    if known != n_features:
        raise ValueError(
            f"filter={filter_!r} was fitted on rows of {known} features; X has "
            f"{n_features}."
        )
    check_names(
        f"filter={filter_!r}", getattr(filter_, "feature_names_in_", None), names
    )
    labels = np.asarray(getattr(filter_, "classes_", classes))
    if len(labels) != len(classes) or np.any(find_labels(classes, labels) < 0):
        raise ValueError(
            f"filter={filter_!r} was fitted on the labels {labels.tolist()}; y holds "
            f"{classes.tolist()}{kinds_hint(labels, classes)}. A fitted filter speaks "
            "of the labels that it knows, and of all of them: fit it on these labels, "
            "or give a filter that is not fitted yet."
        )


def check_names(whose, known, names, what="X"):
    """Raise where features have other names, or the same ones in another order.

    Parameters
    ----------
    whose : str
        What was fitted, for the error.
    known : ndarray of shape (n_features,) or None
        The names that it was fitted on; None where there were none.
    names : ndarray of shape (n_features,) or None
        The names of the rows' features.
    what : str, default="X"
        What errors call the rows.

    Raises
    ------
    ValueError
        If both have names, and these differ.

    Warns
    -----
    UserWarning
        If only one side has names.
    """
    if known is None and names is None:
        return
    if known is None:
        text = f"{what} has feature names, but {whose} was fitted without feature names"
        warn(text, UserWarning)
    elif names is None:
        text = f"{what} does not have valid feature names, but {whose} was fitted with"
        warn(f"{text} feature names", UserWarning)
    elif not np.array_equal(known, names):
        place = next(i for i, name in enumerate(known) if name != names[i])
        raise ValueError(
            f"{whose} was fitted on features of other names, or in another order: "
            f"feature {place} was {known[place]!r}, and is {names[place]!r} in {what}."
        )


@contextmanager
def names_left_out():
    """Let arrays stand for tables whose names have been compared already."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        yield


def scores(filter_, X, y):
    """Judge rows without names of features, whether or not the filter knows names.

    Parameters
    ----------
    filter_ : filter
        The fitted filter.
    X : {ndarray, CSR matrix} of shape (n_rows, n_features)
        Rows, with the features in their order.
    y : ndarray of shape (n_rows,)
        Their labels.

    Returns
    -------
    scores : ndarray of shape (n_rows,)
        The filter's decision function, negative where it rejects.
    """
    with names_left_out():
        return filter_.decision_function(X, y)


def remember_names(filter_, names):
    """Let a filter that was fitted on an array know the names of its features.

    Parameters
    ----------
    filter_ : filter
        The filter, fitted here; changed.
    names : ndarray of shape (n_features,) or None
        The names; None where there are none.
    """
    if names is not None:
        filter_.feature_names_in_ = names
