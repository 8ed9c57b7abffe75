"""What to do about rows that are no numbers."""

from contextlib import contextmanager

import numpy as np


@contextmanager
def numbers_needed(filter_, X):
    """Say what to do where rows hold texts, categories or dates.

    Parameters
    ----------
    filter_ : filter
        What is fitted.
    X : array-like of shape (n_samples, n_features)
        The rows as they were given.

    Raises
    ------
    ValueError
        In place of an error that says that rows are no numbers.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        is_text = "could not convert string to float" in str(error)
        if not (is_text or isinstance(error, np.exceptions.DTypePromotionError)):
            raise
        name = type(filter_).__name__
        which = f" ({error})" if is_text else ""
        raise ValueError(
            f"{name} judges rows of numbers, and X holds other values{_where(X)}"
            f"{which}. Give the filter together with what turns X into numbers: "
            "make_pipeline(ColumnTransformer(...), SphereFilter()) "
            "for a table, make_pipeline(TfidfVectorizer(), SphereFilter()) for texts. "
            "Such a pipeline can be the filter of FilteredClassifier and DropOutliers."
        ) from error


def _where(X):
    """Name the columns of a pandas DataFrame that are not numeric."""
    if not hasattr(X, "select_dtypes"):
        return ""
    columns = X.select_dtypes(exclude=["number", "bool"]).columns.tolist()
    return f" in the columns {columns}"
