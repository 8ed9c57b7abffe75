"""From a file and rows to what holds."""

import math
from typing import Any

import numpy as np

from skpoison.verify import _proof
from skpoison.verify._claims import Claim, Report
from skpoison.verify._domain import GROUP, UNIT_NORM
from skpoison.verify._file import MAX_SIZE, read
from skpoison.verify._losses import loss_of
from skpoison.verify._rows import UNIT, digest, digest_of_names, rows_of
from skpoison.verify._votes import check_votes

ADDED = "The rows given are clean, and the attacker adds rows but changes none."
FILTER = "The deployed filter has the centers, radii and offsets of the file{more}."
GAP = (
    "What training falls short of the minimum comes on top "
    "(skpoison.bounds.training_gap)."
)
FUNCTIONS = (
    "NumPy's exponentials and logarithms are right to four units in the last place."
)
TOO_LARGE = "no finite number follows from the numbers of the file, which are too large"
VOTES = (
    "Each model votes as the file says: train the stated learner on the rows of a "
    "part, whose hash is in the file, to check its votes.",
    "The attacker changes neither parameters, labels and columns nor the test rows.",
)


def check(
    path: Any,
    X: Any,
    y: Any,
    *,
    X_test: Any = None,
    feature_names: Any = None,
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
        If X or X_test are no rows of numbers, or y has another length.

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
    if labels is None:
        reason = "y has labels that the certificate does not know"
        return _report(header, arrays, [*claims, Claim("rows", False, reason)])
    found, order, _ = digest(rows, labels)
    shape = header["n_rows"], header["n_features"]
    is_same = (len(labels), rows.n_features) == shape and found == header["rows_sha256"]
    if not is_same:
        reason = (
            "rows, labels, or how columns became numbers, are not the certificate's"
        )
        return _report(header, arrays, [*claims, Claim("rows", False, reason)])
    claims.append(Claim("rows", True))
    if header["kind"] == "votes":
        test = None if X_test is None else _rows(X_test, "X_test")
        more = check_votes(header, arrays, rows, labels, test)
        return _report(header, arrays, [*claims, *more])
    loss = loss_of(header["loss"], header["loss_constant"])
    wrong = _nonsense(header, arrays, loss)
    if wrong:
        return _report(header, arrays, [*claims, Claim("problem", False, wrong)])
    claims.append(Claim("problem", True))
    with np.errstate(all="ignore"):
        problem = _proof.Problem(header, arrays, rows, labels, order, loss, UNIT)
        return _report(header, arrays, [*claims, *_of_bounds(problem)])


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


def _nonsense(header, arrays, loss):
    """Return what makes the file's problem none; None where it is one."""
    radii, offsets = arrays["radii"], arrays["offsets"]
    numbers = [header[name] for name in ("rho", "penalty", "intercept_penalty")]
    rho, penalty, of_intercept = numbers
    target_range = header["target_range"]
    is_regression = header["classes"] is None
    wrong = {
        "the loss is not known": loss is None or not header["loss_constant"] >= 0.0,
        "epsilon is not within 0 and 1": not 0.0 <= header["epsilon"] <= 1.0,
        "n_poison is not the number of rows that epsilon allows": header["n_poison"]
        != math.floor(header["epsilon"] * header["n_rows"] + 1e-9),
        "there are no rows": header["n_rows"] == 0,
        "there must be a radius rho or a penalty": (rho is None) == (penalty is None),
        "a ball of parameters is for classes": rho is not None and is_regression,
        "rho and penalties must be positive": any(
            number is not None and not number > 0.0 for number in (rho, penalty)
        )
        or (of_intercept is not None and not of_intercept >= 0.0),
        "weights must not be negative": (arrays["row_weights"] < 0.0).any()
        or (arrays["poison_weights"] < 0.0).any(),
        "sets with the filter's rounding must contain those without": not (
            (radii[:, 0] >= 0.0)
            & (radii[:, 0] <= radii[:, 1])
            & (offsets[:, 2] <= offsets[:, 0])
            & (offsets[:, 0] <= offsets[:, 1])
            & (offsets[:, 1] <= offsets[:, 3])
        ).all(),
        "the domain's features make no sense": not _is_domain(arrays),
    }
    if loss is not None:
        is_range = target_range is None or target_range[0] <= target_range[1]
        is_range &= (target_range is None) != loss.of_errors
        wrong["targets need a range, classes none"] = not is_range
        wrong["errors are losses of targets"] = loss.of_errors != (
            header["classes"] is None
        )
    return next((reason for reason, is_wrong in wrong.items() if is_wrong), None)


def _is_domain(arrays):
    """Tell whether features of norm 1 and members of groups are what they must be."""
    names = ("domain_lower", "domain_upper", "domain_kinds")
    lower, upper, kinds = (arrays[name] for name in names)
    special = kinds >= UNIT_NORM
    known = (kinds >= 0) & (kinds < GROUP + len(kinds))
    return bool((known & (lower <= upper)).all()) and not (
        (lower[special] != 0.0).any() or (upper[special] != 1.0).any()
    )


def _of_bounds(problem):
    claimed = problem.header["claims"]
    failures = (_proof.Refuted, OverflowError, ValueError)  # fsum of infinities
    try:
        proven = _proof.upper(problem)
    except failures as refuted:
        yield Claim("upper_bound", False, _why(refuted), claimed["upper_bound"])
    else:
        for name, value in proven.items():
            yield _at_least(name, claimed[name], value)
    if claimed["lower_bound"] == 0.0:  # as no loss is negative
        yield Claim("lower_bound", True, "", 0.0, 0.0)
        return
    try:
        value = _proof.lower(problem)
    except failures as refuted:
        yield Claim("lower_bound", False, _why(refuted), claimed["lower_bound"])
    else:
        yield _at_least("lower_bound", claimed["lower_bound"], value, -1.0)


def _why(error):
    return str(error) if isinstance(error, _proof.Refuted) else TOO_LARGE


def _at_least(name, claimed, proven, sign=1.0):
    if not math.isfinite(proven):
        return Claim(name, False, TOO_LARGE, claimed)
    holds = bool(sign * claimed >= sign * proven)
    side = "at least" if sign > 0.0 else "at most"
    reason = "" if holds else f"must be {side} {proven!r}"
    return Claim(name, holds, reason, claimed, proven)


def _report(header, arrays, claims):
    if header["kind"] == "votes":
        return Report(tuple(claims), VOTES, header)
    objective = _objective(header, arrays)
    assumed = tuple(_assumed_of_loss(header, objective))
    return Report(tuple(claims), assumed, header, objective)


def _objective(header, arrays):
    """Say what the claims are about: names in the header do not count."""
    weights = np.concatenate([arrays["row_weights"], arrays["poison_weights"]])
    same = bool((weights == 1.0).all())
    return (
        f"the mean {header['loss'].replace('_', ' ')} loss of the rows, "
        f"{'each with weight 1' if same else 'weighted as in the file'}, "
        f"{_penalty(header)}"
    )


def _assumed_of_loss(header, objective):
    low, high = header["target_range"] or (0.0, 0.0)
    more = "" if low == high else f", and rejects targets outside {low:g} to {high:g}"
    if header["domain"] != "real":
        yield "The attacker sends rows of the domain of the file only."
    yield FILTER.format(more=more)
    yield f"The learner minimizes {objective}."
    yield from (GAP, ADDED, FUNCTIONS)


def _penalty(header):
    if header["rho"] is not None:
        return f"over |(w, b)| <= {header['rho']:g}"
    strength, of_intercept = header["penalty"] or 0.0, header["intercept_penalty"]
    if of_intercept == strength:
        return f"plus {strength / 2:g} |(w, b)|^2"
    more = "" if not of_intercept else f" + {of_intercept / 2:g} b^2"
    return f"plus {strength / 2:g} |w|^2{more}{', b = 0' * (of_intercept is None)}"
