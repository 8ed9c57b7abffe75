"""Warnings that skpoison raises."""

__all__ = ["FilterWarning"]


class FilterWarning(UserWarning):
    """A filter kept rows that it could not judge, or that it would have rejected.

    Raised by a filter that needs labels of two classes and got fewer (it keeps every
    row), and by a filter that rejects all rows of a class (it keeps the best one).
    """
