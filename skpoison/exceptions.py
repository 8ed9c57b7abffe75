"""Warnings that skpoison raises."""

from sklearn import exceptions

__all__ = ["FilterWarning", "InconsistentVersionWarning"]


class FilterWarning(UserWarning):
    """Warning of filters and of the estimators that use them.

    Issued, for example, if a filter requires labels of two classes and got fewer (it
    keeps every row), if it rejects all rows of a class (it keeps the best-scoring
    one), or if rows have labels that it was not fitted on (it rejects them).
    """


class InconsistentVersionWarning(exceptions.InconsistentVersionWarning):
    """Warning of an estimator that was saved in another version than it is loaded in.

    It is a :class:`sklearn.exceptions.InconsistentVersionWarning`, so that one filter
    of warnings serves both.

    Parameters
    ----------
    estimator_name : str
        The class of the estimator.
    package : {"skpoison", "scikit-learn"}
        The package whose version differs.
    current_version : str
        Its version now.
    original_version : str
        Its version when the estimator was saved, or ``"unknown"``.

    Examples
    --------
    >>> from skpoison.exceptions import InconsistentVersionWarning
    >>> print(InconsistentVersionWarning(
    ...     estimator_name="SphereFilter",
    ...     package="skpoison",
    ...     current_version="0.2",
    ...     original_version="0.1",
    ... ))
    SphereFilter was saved in skpoison 0.1 and is loaded in 0.2. It can fail, or judge
    rows in another way. Fit it again, or load it in the version it was saved in.
    """

    def __init__(
        self,
        *,
        estimator_name: str,
        package: str,
        current_version: str,
        original_version: str,
    ):
        self.estimator_name = estimator_name
        self.package = package
        self.current_version = current_version
        self.original_version = original_version

    def __str__(self) -> str:
        return (
            f"{self.estimator_name} was saved in {self.package} "
            f"{self.original_version} and is loaded in {self.current_version}. It can "
            "fail, or judge rows in another way. Fit it again, or load it in the "
            "version it was saved in."
        )
