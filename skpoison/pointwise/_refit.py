"""Checks certified predictions by fitting the models of the parts again."""

from typing import TYPE_CHECKING, Any

import numpy as np

from skpoison.pointwise._partitioned import PartitionedClassifier
from skpoison.verify import Claim, Report, _file, check

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike

    from skpoison._column_types import RowsLike

FITTED = "Fitting the stated learner again gives the same models as fitting it did."


def refit_votes(
    path: "str | os.PathLike",
    estimator: Any,
    X: "RowsLike",
    y: "ArrayLike",
    X_test: "RowsLike",
    *,
    feature_names: "ArrayLike | None" = None,
    max_size: int = _file.MAX_SIZE,
) -> Report:
    """Check a certificate of predictions, and its votes by fitting all parts again.

    :func:`skpoison.verify.check` takes the votes of the parts' models from the file.
    This fits the models again, on the parts that the rows themselves say, and compares
    their votes. Unlike `check` it runs the learner.

    Parameters
    ----------
    path : str or path-like
        The file that :meth:`PartitionedClassifier.to_certificate` wrote.
    estimator : classifier
        The learner of the parts, which the file names in words
        (``report.header["learner"]``). With random numbers it needs the `random_state`
        that it had.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The training rows, in any order that the learner does not depend on.
    y : array-like of shape (n_samples,)
        Their labels.
    X_test : {array-like, sparse matrix} of shape (n_test, n_features)
        The test rows, in their order.
    feature_names : array-like of shape (n_features,), default=None
        The columns' names, if X does not have them.
    max_size : int, default=2**30
        The most bytes that the file may have.

    Returns
    -------
    report : skpoison.verify.Report
        As of :func:`skpoison.verify.check`, with one more claim, ``"votes"``, and
        `assumes_votes` False where it holds.

    Raises
    ------
    CertificateError
        If the file is damaged, of another version or too large.
    ValueError
        If the file is no certificate of predictions, or X, y or `estimator` cannot be
        fitted.

    See Also
    --------
    skpoison.verify.check : Checks the rest without running a learner.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skpoison import PartitionedClassifier
    >>> from skpoison.pointwise import refit_votes
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = PartitionedClassifier(GaussianNB(), 25).fit(X[:400], y[:400])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "votes.npz")
    ...     model.to_certificate(path, X[400:], attack="flip")
    ...     report = refit_votes(path, GaussianNB(), X[:400], y[:400], X[400:])
    >>> report.verified, report.assumes_votes
    (True, False)
    """
    header, arrays = _file.read(path, max_size)
    if header["kind"] != "votes":
        raise ValueError(
            f"path must be a certificate of predictions; {path!s} is of a bound, which "
            "skpoison.verify.check checks without fitting anything."
        )
    report = check(
        path, X, y, X_test=X_test, feature_names=feature_names, max_size=max_size
    )
    failed = [claim.name for claim in report.claims if claim.holds is False]
    if failed:
        reason = f"not fitted again, as {', '.join(failed)} did not hold"
        return _with_votes(report, Claim("votes", None, reason))
    parts, hash = header["n_partitions"], header["hash"]
    model = PartitionedClassifier(estimator, parts, hash=hash).fit(X, y)
    return _with_votes(report, _compared(model, header, arrays["votes"], X_test))


def _compared(model, header, votes, X_test):
    """Return whether the models vote as the file says."""
    known = [header["classes"].index(label) for label in model.classes_.tolist()]
    found = model._votes(X_test)[1]
    found = np.where(found < 0, found, np.array(known)[found])
    n_others, n_votes = int(np.sum(found != votes)), votes.size
    reason = (
        f"{n_others} of {n_votes} votes are others: the learner is another one, or "
        "random, or the votes are invented"
    )
    return Claim("votes", not n_others, reason * bool(n_others))


def _with_votes(report, claim):
    assumed = report.assumed
    if claim.holds:
        assumed = (FITTED, *assumed[1:])
    return report._replace(claims=(*report.claims, claim), assumed=assumed)
