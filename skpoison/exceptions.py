"""Warnings that skpoison raises."""

__all__ = ["FilterWarning"]


class FilterWarning(UserWarning):
    """Warning of filters and of the estimators that use them.

    Issued, for example, if a filter requires labels of two classes and got fewer (it
    keeps every row), if it rejects all rows of a class (it keeps the best-scoring
    one), or if rows have labels that it was not fitted on (it rejects them).
    """
