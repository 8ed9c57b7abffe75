"""Filters that others have fitted: what fits them, and how to ask them."""

import warnings

import numpy as np


def check_fits(filter_, n_features, classes):
    """Raise unless a fitted filter was fitted on such rows and labels.

    Parameters
    ----------
    filter_ : filter
        The fitted filter.
    n_features : int
        Number of features of the rows.
    classes : ndarray of shape (n_classes,)
        Their labels.

    Raises
    ------
    ValueError
        If the filter knows other features or not all of the labels.
    """
    known = getattr(filter_, "n_features_in_", n_features)
    if known != n_features:
        raise ValueError(
            f"filter={filter_!r} was fitted on rows of {known} features; X has "
            f"{n_features}."
        )
    labels = np.asarray(getattr(filter_, "classes_", classes))
    unknown = [label for label in classes.tolist() if label not in labels.tolist()]
    if unknown:
        raise ValueError(
            f"filter={filter_!r} was fitted on the labels {labels.tolist()}; y holds "
            f"{unknown}, too."
        )


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
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
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
