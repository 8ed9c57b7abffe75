"""From a file and rows to what holds."""

import math
from typing import Any

import numpy as np

from skpoison.verify import _proof, _words
from skpoison.verify._claims import Claim, Report
from skpoison.verify._file import MAX_SIZE, read
from skpoison.verify._rows import digest, digest_of_names, rows_of

FAILURES = (_proof.Refuted, OverflowError, ValueError)  # fsum of infinities
TOO_LARGE = "no finite number follows from the numbers of the file, which are too large"


def check(
    path: Any,
    X: Any,
    y: Any,
    *,
    X_test: Any = None,
    feature_names: Any = None,
    filter: Any = None,
    max_size: int = MAX_SIZE,
) -> Report:
    """Check a certificate file against the rows that it is about.

    Every number is computed again from the file and the rows and rounded outwards, so
    that a claim that holds does so in exact arithmetic. No solver is needed.

    Parameters
    ----------
    path : str or path-like
        The file, which may come from a stranger: nothing in it is run, no other file is
        opened, and its size is limited.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The training rows, in any order.
    y : array-like of shape (n_samples,)
        Their labels or targets.
    X_test : {array-like, sparse matrix} of shape (n_test, n_features), default=None
        Of certified predictions, the test rows, in their order.
    feature_names : array-like of shape (n_features,), default=None
        The columns' names, if X does not have them (as DataFrames do).
    filter : fitted filter, default=None
        The filter that is deployed, with a `feasible_set`: whether the sets of the file
        hold all rows that it keeps is one more claim.
    max_size : int, default=2**30
        The most bytes that the file may have.

    Returns
    -------
    report : Report
        `claims`, each with `holds` (True, False, or None where it could not be checked)
        and the `reason`; `assumed`, what no file can prove; `header`, what the file
        says; and `verified`, whether all claims hold.

    Raises
    ------
    CertificateError
        If the file is damaged, of another version or too large.
    ValueError
        If X or X_test are no rows of numbers, y has another length, or `filter` has no
        `feasible_set`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import make_blobs
    >>> from skpoison import CertifiedBound
    >>> from skpoison.verify import check
    >>> X, y = make_blobs(300, centers=[[-2, 0], [2, 0]], random_state=0)
    >>> bound = CertifiedBound(epsilon=0.1, rho=1.0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "bound.npz")
    ...     bound.to_certificate(path)
    ...     print(check(path, X, y).verified, check(path, X, 1 - y).verified)
    True False
    """
    header, arrays = read(path, max_size)
    names = getattr(X, "columns", None) if feature_names is None else feature_names
    claims = [*_of_columns(header, names)]
    rows = _rows(X, "X")
    labels = _labels(header, y, len(rows.counts))
    wrong, order = "y has labels that the certificate does not know", np.zeros(0)
    if labels is not None:
        found, order, _ = digest(rows, labels)
        same = (len(labels), rows.n_features) == (
            header["n_rows"],
            header["n_features"],
        )
        same &= found == header["rows_sha256"]
        wrong = (
            "" if same else "rows, labels, or how columns became numbers, are others"
        )
    claims.append(Claim("rows", not wrong, wrong))
    if header["kind"] == "votes":
        from skpoison.verify import _votes  # read only where predictions are claimed

        test = None if X_test is None else _rows(X_test, "X_test")
        if not wrong:
            claims += _votes.check_votes(header, arrays, rows, labels, test)
        return Report(tuple(claims), _votes.ASSUMED, header)
    if wrong:
        return Report(tuple(claims), (), header)
    with np.errstate(all="ignore"):
        problem, more = _problem(header, arrays, rows, labels, order)
        claims.append(Claim("problem", not more, more))
        if more:
            return Report(tuple(claims), (), header)
        if filter is not None:
            wider = _words.compared(problem, filter)
            claims.append(Claim("filter", not wider, wider))
        claims += _of_bounds(problem)
        about = tuple(_words.assumed(problem)), header, _words.objective(problem)
        return Report(tuple(claims), *about)


def _of_columns(header, names):
    wanted = header["columns_sha256"]
    if wanted is None:
        return
    if names is None:
        yield Claim("columns", None, "the names of the columns were not given")
    else:
        is_same = digest_of_names(names) == wanted
        yield Claim("columns", is_same, "" if is_same else "the names are others")


def _rows(X, name):
    try:
        return rows_of(X)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold rows of numbers: {error}") from None


def _labels(header, y, n_rows):
    """Return codes of labels, or targets; None where a label is not known."""
    if np.shape(y) != (n_rows,):
        raise ValueError(
            f"y must have the shape ({n_rows},), one label for each row of X; got "
            f"{np.shape(y)}."
        )
    if header["classes"] is None:
        try:
            return np.asarray(y, dtype=np.float64) + 0.0
        except (TypeError, ValueError) as error:
            raise ValueError(f"y must hold numbers, the targets: {error}") from None

    def key(label):
        return (type(label) if isinstance(label, str | bool) else float, label)

    codes = {key(label): float(i) for i, label in enumerate(header["classes"])}
    found = [codes.get(key(label)) for label in np.asarray(y).tolist()]
    return None if None in found else np.array(found)


def _problem(header, arrays, rows, labels, order):
    """Return the problem of a bound, and what makes it none."""
    threat: Any = _proof
    if header["kind"] == "moving":
        from skpoison.verify import _moving as threat  # read only where it is claimed
    elif header["kind"] == "classes":
        from skpoison.verify import _classes as threat
    loss = threat.loss_of(header["loss"], header["loss_constant"], header["scale"])
    if loss is None:
        return None, "the loss is not known"
    problem = _proof.Problem(header, arrays, rows, labels, order, loss, threat)
    return problem, _proof.nonsense_of_any(problem) or threat.nonsense(problem)


def _of_bounds(problem):
    """Check the claims of a bound."""
    header, threat = problem.header, problem.threat
    try:
        for name, value in threat.upper_bounds(problem).items():
            yield _at_least(name, header[name], value)
    except FAILURES as refuted:
        yield Claim("upper_bound", False, _why(refuted), header["upper_bound"])
    if header["lower_bound"] == 0.0:  # as no loss is negative
        yield Claim("lower_bound", True, "", 0.0, 0.0)
        return
    try:
        value = threat.lower_bound(problem)
        yield _at_least("lower_bound", header["lower_bound"], value, -1.0)
    except FAILURES as refuted:
        yield Claim("lower_bound", False, _why(refuted), header["lower_bound"])


def _why(error):
    return str(error) if isinstance(error, _proof.Refuted) else TOO_LARGE


def _at_least(name, claimed, proven, sign=1.0):
    if not math.isfinite(proven):
        return Claim(name, False, TOO_LARGE, claimed)
    holds = bool(sign * claimed >= sign * proven)
    side = "at least" if sign > 0.0 else "at most"
    reason = "" if holds else f"must be {side} {proven!r}"
    return Claim(name, holds, reason, claimed, proven)
