"""Warnings that skpoison raises."""

__all__ = ["FilterWarning"]


class FilterWarning(UserWarning):
    """A filter could not do its work on the data it was given, and kept every row."""
