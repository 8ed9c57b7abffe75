"""Class labels: checks, codes, and parameters that hold one value for each class."""

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d


def check_labels(y):
    """Return y as a one-dimensional array of class labels, or say why it is none.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        What may be labels.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        Labels.

    Raises
    ------
    ValueError
        If y is not one-dimensional, not finite, or continuous.
    """
    y = column_or_1d(y, warn=True)
    if y.dtype.kind in "biuSU":
        return y  # labels for certain; looking at each costs more than a filter does
    assert_all_finite(y, input_name="y")
    try:
        check_classification_targets(y)
    except ValueError as error:
        raise ValueError(
            f"y must hold class labels. {error} For regression, fit the filter "
            "without y, as FilteredRegressor does, or take TrimFilter."
        ) from error
    return y


def encode_labels(y, classes):
    """Find labels among the classes.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.
    classes : ndarray of shape (n_classes,)
        The known labels, sorted.

    Returns
    -------
    codes : ndarray of shape (n_samples,)
        Positions in ``classes``.

    Raises
    ------
    ValueError
        If a label is unknown; the error names it.
    """
    codes = np.searchsorted(classes, y)
    # searchsorted gives a place to unknown labels too, the end included.
    unknown = classes.take(codes, mode="clip") != y
    if np.any(unknown):
        raise ValueError(
            "y holds labels that the filter was not fitted on: "
            f"{np.unique(y[unknown]).tolist()}; it knows {classes.tolist()}."
        )
    return codes


def per_class(name, values, classes, shape=()):
    """One value for each class, from an array in the classes' order or from a dict.

    Parameters
    ----------
    name : str
        What errors call the values.
    values : array-like of shape (n_classes, ...) or dict
        The values; a dict maps labels to values and may know more labels.
    classes : ndarray of shape (n_classes,)
        The labels, sorted.
    shape : tuple of int, default=()
        The shape of the value of one class.

    Returns
    -------
    values : ndarray of shape (n_classes, ...)
        The values, float64, ordered like ``classes``.

    Raises
    ------
    ValueError
        If a label has no value, or values have the wrong shape or are not finite.
    """
    if isinstance(values, dict):
        missing = [label for label in classes.tolist() if label not in values]
        if missing:
            raise ValueError(f"{name} has no entry for the labels {missing}.")
        values = [values[label] for label in classes.tolist()]
    values = np.array(values, dtype=np.float64)
    wanted = (len(classes), *shape)
    if values.shape != wanted:
        raise ValueError(
            f"{name} must have shape {wanted}, one entry for each of the labels "
            f"{classes.tolist()}; got {values.shape}."
        )
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{name} must be finite; got NaN or infinity.")
    return values
