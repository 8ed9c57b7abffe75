"""Certificate files: what a fitted bound found, in a form that others can check."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from skpoison._certificate_header import check_free, common_header, in_words, write
from skpoison._io.write import whole_file
from skpoison._residual_losses import ConcomitantHuber
from skpoison._whole_rows import n_poison_rows
from skpoison.bounds._class_certificate import (
    ClassDual,
    boxes_of,
    dual_of_classes,
    evened,
    name_of,
)
from skpoison.bounds._dual import NAMES, Dual, balanced, dual_of, lightened
from skpoison.bounds._in_blocks import BlockedRows
from skpoison.bounds._multiclass import ClassResult, prepare
from skpoison.bounds._multiplier_trees import NO_TREE, trees_of_set
from skpoison.bounds._rounding import judged
from skpoison.bounds.moving._certificate import MovingDual, attacks_of, cells_of
from skpoison.bounds.moving._certify import covering_defense
from skpoison.exceptions import FilterWarning
from skpoison.feasible import SphereSlab, as_domain
from skpoison.verify import _classes, _domain, _file, _moving, _proof
from skpoison.verify._rows import UNIT, digest, rows_of

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike

    from skpoison._column_types import RowsLike

# Claims leave room for other machines, which sum in another order: so many times what
# rounding can do on one.
ROOM = 4.0
# Poison rows move inwards by these until the verifier sees that they are inside.
SHRINKS = (0.0, *(10.0**-k for k in range(15, 0, -1)), 1.0)
# Claims may differ from what was fitted by this share: rounding, and no more.
TOLERANCE = 1e-6


class CertificateMixin:
    """The method of a bound that writes it to a file."""

    _dual: Dual | MovingDual | ClassDual | None
    _training_rows: tuple
    _is_of_blocks: bool = False

    def __getstate__(self):
        # A model that is saved does not bring its training rows along.
        state: Any = super().__getstate__()
        state = dict(state)
        state.pop("_training_rows", None)
        return state

    def _keep_proof(self, result, X, codes):
        """Keep what a certificate is made of: little, and the rows as they came."""
        self._is_of_blocks = isinstance(X, BlockedRows)
        if isinstance(result, ClassResult):
            self._dual = dual_of_classes(result.problem, result.found)
        else:
            self._dual = dual_of(result)
        if self._dual is not None:
            self._training_rows = X, codes

    def to_certificate(
        self,
        path: "str | os.PathLike",
        X: "RowsLike | None" = None,
        y: "ArrayLike | None" = None,
        *,
        feature_names: "ArrayLike | None" = None,
        encoding: dict | None = None,
        overwrite: bool = True,
    ) -> None:
        """Write a file with which others can check this bound, without the solvers.

        :func:`skpoison.verify.check` and ``skpoison verify`` read it. It holds the
        certified parameters, the filter's sets, the dual point of the lower bound and a
        hash of the training rows, but not the rows. Its claims are rounded outwards, so
        that they can differ from `upper_bound_` and `lower_bound_` in the last digits.

        Parameters
        ----------
        path : str or path-like
            Where to write. The file appears whole or not at all.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            The rows passed to :meth:`fit`, in the same order. Only needed for a bound
            that was saved and loaded, which does not hold them any more.
        y : array-like of shape (n_samples,), default=None
            Their labels or targets.
        feature_names : array-like of shape (n_features,), default=None
            The names of the columns; by default those that X had.
        encoding : dict, default=None
            How the columns became numbers, for the reader; must be valid JSON.
        overwrite : bool, default=True
            Whether an existing file is replaced.

        Raises
        ------
        ValueError
            If the bound has no certificate that can be checked (more than two classes
            with a `domain`, squared losses of many classes, filters other than
            spheres and slabs, and bounds on Dask collections, whose proofs have a
            number for each row), if `X` and `y` are needed, if
            `encoding` is no JSON, if there are more or fewer `feature_names` than
            columns, or if the file exists already and `overwrite` is False.

        Warns
        -----
        FilterWarning
            If the file proves less than was fitted, as it may on a `domain`.

        See Also
        --------
        skpoison.verify.check : Check the file against the rows.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.preprocessing import scale
        >>> from skpoison import CertifiedBound
        >>> from skpoison.verify import check
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> X = scale(X)
        >>> bound = CertifiedBound(estimator=LogisticRegression()).fit(X, y)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "bound.npz")
        ...     bound.to_certificate(path)
        ...     report = check(path, X, y)
        >>> [claim.name for claim in report.claims if claim.holds]
        ['rows', 'problem', 'clean_loss', 'poison_loss', 'upper_bound', 'lower_bound']
        """
        check_is_fitted(self)
        check_free(path, overwrite)
        _write(self, path, X, y, feature_names, encoding, overwrite)


def _write(bound, path, X, y, feature_names, encoding, overwrite):
    dual, own_rows = _provable(bound), X is None
    X, codes = _rows_to_prove(bound, X, y)
    names = getattr(bound, "feature_names_in_", None)
    names = names if feature_names is None else feature_names
    labels, rows = codes.astype(np.float64), rows_of(X)
    sha256, order, _ = digest(rows, labels)
    header = _header(bound, rows, sha256, names, encoding)
    if isinstance(dual, ClassDual):
        problem = _of_classes(bound, dual, X, codes, header, rows, labels, order)
    elif isinstance(dual, MovingDual):
        problem = _of_moving(bound, dual, X, codes, header, rows, labels, order)
    else:
        problem = _of_fixed(bound, dual, X, header, rows, labels, order)
    header, arrays = problem.header, problem.arrays
    sizes = {"n_points": "poison_masses", "n_entries": "poison_data"}
    sizes["n_nodes"] = "cell_groups" if header["kind"] == "moving" else "tree_features"
    header |= {name: len(arrays[array]) for name, array in sizes.items()}
    header |= _claims(bound, problem, own_rows)
    with whole_file(path, overwrite) as file:
        write(file, header, arrays)


def _of_moving(bound, dual, X, codes, header, rows, labels, order):
    """Return the problem of a bound on moving centroids as the verifier sees it."""
    domain, names = bound.domain, getattr(bound, "feature_names_in_", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FilterWarning)  # fit has warned of the domain
        defense = covering_defense(bound.filter_, X, codes, domain, names)
    header["kind"] = "moving"
    theta = np.concatenate([np.ravel(bound.coef_), np.ravel(bound.intercept_)])
    arrays = {
        "theta": theta.astype(np.float64),
        "row_weights": np.ones(len(labels)),
        "row_masses": dual.row_masses[order],
        "poison_weights": np.ones(2),
        **attacks_of(dual, defense, header["epsilon"], len(labels)),
    }
    problem = _problem(header, arrays, rows, labels, order, _moving)
    arrays |= cells_of(dual, problem)
    return problem


def _of_classes(bound, dual, X, codes, header, rows, labels, order):
    """Return the problem of a bound for several classes as the verifier sees it."""
    objective, weights = bound._objective, _row_weights(bound)
    header["kind"], loss = "classes", objective.of_classes
    dual = evened(dual, codes, weights, loss, header["intercept_penalty"] == 0.0)
    arrays = {
        "theta": np.column_stack([bound.coef_, bound.intercept_]).astype(np.float64),
        **_arrays_of_sets(_regions(bound), X),
        **_arrays_of_weights(bound, order),
        "row_masses": dual.row_masses[order],
    }
    options = {"epsilon": bound.epsilon, "weights": bound._weights}
    given = X, codes, len(bound.classes_), bound._convex_sets(X)
    attacked = prepare(objective, *given, **options)
    arrays |= boxes_of(attacked, arrays["theta"], bound.poison_loss_)
    problem = _problem(header, arrays, rows, labels, order, _classes)
    sets = dual.labels.astype(int)
    points, used = _moved_inside(problem, dual.points, sets, _regions(bound))
    arrays |= points | {
        "poison_labels": sets[used].astype(np.float64),
        "poison_masses": dual.poison_masses[used],
        "poison_shares": dual.poison_shares[used],
    }
    return problem


def _of_fixed(bound, dual, X, header, rows, labels, order):
    """Return the problem of a bound on fixed sets as the verifier sees it."""
    dual = lightened(dual)
    if header["intercept_penalty"] == 0.0:
        is_regression = bound._objective.is_regression
        signs = np.ones(len(labels)) if is_regression else 2.0 * labels - 1.0
        slopes = bound._objective.loss.slope_range
        dual = balanced(dual, signs, _row_weights(bound), slopes)
    columns = _columns(bound, rows.n_features)
    header["domain"] = "real" if columns is None else in_words(as_domain(bound.domain))
    arrays = _arrays(bound, X, dual, order, columns)
    problem = _problem(header, arrays, rows, labels, order, _proof)
    arrays |= _poison_arrays(problem, dual, _shrinking_sets(bound, X))
    return problem


def _problem(header, arrays, rows, labels, order, threat):
    """Return what the verifier sees, its rounding errors larger than they are."""
    loss = threat.loss_of(header["loss"], header["loss_constant"], header["scale"])
    assert loss is not None  # the verifier knows all of NAMES
    given = header, arrays, rows, labels, order, loss, threat, ROOM * UNIT
    return _proof.Problem(*given)


def _provable(bound):
    """Return the dual point; an error where nothing proves the bound in a file."""
    reason = None
    if bound.defense != "fixed":
        return bound._dual
    if bound._dual is None and bound._is_of_blocks:
        raise ValueError(
            "No certificate file can hold the proof of a bound on Dask collections, "
            "which has a number for each row: fit the bound on rows in memory."
        )
    joint = bound._objective.of_classes
    if any(
        type(one) is not SphereSlab or not np.isfinite(one.radius)
        for one in _regions(bound)
    ):
        reason = f"filter={bound.filter_!r} (sets other than spheres and slabs)"
    elif joint is not None and name_of(joint) is None:
        reason = f"estimator={bound.estimator!r} (a loss of several classes)"
    elif joint and _columns(bound, bound.coef_.shape[-1]) is not None:
        reason = f"domain={bound.domain!r} and {len(bound.classes_)} classes"
    elif joint is None and type(bound._objective.loss) not in NAMES:
        reason = f"estimator={bound.estimator!r} (a loss of another kind)"
    if reason is not None:
        raise ValueError(
            "No certificate file can hold the proof of this bound yet: it has "
            f"{reason}."
        )
    return bound._dual


def _regions(bound):
    feasible = bound.filter_.feasible_set()
    return [feasible[label] for label in bound._known_to_filter]


def _rows_to_prove(bound, X, y):
    if X is None and y is None:
        if not hasattr(bound, "_training_rows"):
            raise ValueError(
                "This bound was loaded or copied and does not hold its training "
                "rows any more: pass the X and y that it was fitted on."
            )
        return bound._training_rows
    if X is None or y is None:
        raise ValueError("Pass both X and y, or neither of them.")
    fresh = type(bound)(estimator=bound.estimator, target_range=bound.target_range_)
    fresh._objective = bound._objective
    X, codes = fresh._validate(X, y)
    n_features = bound.coef_.shape[-1]
    if X.shape != (bound._n_rows, n_features):
        raise ValueError(
            f"X has the shape {X.shape}; the bound was fitted on rows of the shape "
            f"{(bound._n_rows, n_features)}."
        )
    return X, codes


def _header(bound, rows, sha256, names, encoding):
    objective, n_rows = bound._objective, bound._n_rows
    joint, scale = objective.of_classes, None
    if isinstance(objective.loss, ConcomitantHuber):
        scale = float(bound._learned_loss.scale)
    sent = n_poison_rows(bound.epsilon, n_rows)
    is_ball = objective.rho is not None
    stiffness = objective.stiffness(rows.n_features, n_rows, n_rows + sent)
    of_intercept = None if np.isinf(stiffness[-1]) else float(stiffness[-1])
    is_regression = objective.is_regression
    header = common_header(
        "loss",
        rows,
        sha256,
        names=names,
        encoding=encoding,
        classes=None if is_regression else bound.classes_.tolist(),
        learner=_learner_in_words(bound),
    )
    return header | {
        "least_target": float(bound.target_range_[0]) if is_regression else 0.0,
        "largest_target": float(bound.target_range_[1]) if is_regression else 0.0,
        "epsilon": float(bound.epsilon),
        "n_poison": int(sent),
        "loss": name_of(joint) if joint else NAMES[type(objective.loss)],
        "loss_constant": float(getattr(objective.loss, "epsilon", 0.0)),
        "scale": scale,
        "rho": float(objective.rho) if is_ball else None,
        "penalty": None if is_ball else float(stiffness[0]),
        "intercept_penalty": None if is_ball else of_intercept,
        "filter": in_words(bound.filter_),
        "domain": "real",
    }


def _columns(bound, n_features):
    """Return the domain's features; None where rows are of any numbers."""
    names = getattr(bound, "feature_names_in_", None)
    columns = as_domain(bound.domain).resolve(n_features, names)
    return None if columns.is_free else columns


def _shrinking_sets(bound, X):
    """Return the sets that move poison rows inwards: of a domain, its own."""
    is_restricted = _columns(bound, X.shape[1]) is not None
    return bound._feasible_sets(X) if is_restricted else _regions(bound)


def _learner_in_words(bound):
    if bound.estimator is not None:
        return in_words(bound.estimator)
    if bound._objective.rho is not None:
        return f"NormConstrainedSVC(rho={bound._objective.rho!r})"
    return f"LinearSVC(loss='hinge', C={1.0 / bound._objective.strength!r})"


def _row_weights(bound):
    return np.ones(bound._n_rows) if bound._weights is None else bound._weights.of_rows


def _arrays(bound, X, dual, order, columns):
    regions = _regions(bound)
    wider = [judged(one, X) for one in regions]
    if columns is not None and columns.is_discrete:
        # Many rows lie on the limits together, where the filter's rounding decides.
        regions = wider
    coef, intercept = np.ravel(bound.coef_), np.ravel(bound.intercept_)
    return {
        "theta": np.concatenate([coef, intercept]).astype(np.float64),
        **_arrays_of_sets(regions, X, wider),
        **_domain_arrays(columns, _trees(bound, wider, columns)),
        **_arrays_of_weights(bound, order),
        "row_masses": dual.row_masses[order],
    }


def _arrays_of_weights(bound, order):
    weights, n_sets = bound._weights, len(_regions(bound))
    return {
        "poison_weights": np.ones(n_sets) if weights is None else weights.of_poison,
        "row_weights": _row_weights(bound)[order],
    }


def _arrays_of_sets(regions, X, wider=None):
    """Return the arrays of spheres and slabs, without and with rounding."""
    wider = [judged(one, X) for one in regions] if wider is None else wider
    pairs = list(zip(regions, wider, strict=True))
    directions = [
        np.zeros(X.shape[1]) if one.direction is None else one.direction
        for one in regions
    ]
    return {
        "centers": np.array([one.center for one in regions]),
        "radii": np.array([(a.radius, b.radius) for a, b in pairs]),
        "directions": np.array(directions),
        "offsets": np.array([_offsets(*both) for both in pairs]),
    }


def _trees(bound, sets, columns):
    """Return the multipliers of each set, for one side of its margins or both."""
    found = NO_TREE
    if columns is None:
        return found
    coef, intercept = np.ravel(bound.coef_), float(np.ravel(bound.intercept_)[0])
    objective = bound._objective
    for k, base in enumerate(sets):
        sign = 1.0 if objective.is_regression else 2.0 * k - 1.0
        # Where whole numbers leave a gap, the hinge loss is known to so much.
        enough = bound.poison_loss_ * (1.0 + 1e-9) - 1.0 + sign * intercept
        if columns.is_convex:
            enough = np.inf
        found += trees_of_set(base, columns, -sign * coef, enough)
        if objective.loss.slope_range[0] < 0.0:
            found += trees_of_set(base, columns, sign * coef, np.inf)
    return found


def _domain_arrays(columns, trees):
    """Return the arrays of a domain; empty where rows are of any numbers."""
    if columns is None:
        kinds, ends = np.zeros(0, dtype=np.int64), (np.zeros(0), np.zeros(0))
    else:
        kinds = np.where(columns.whole, _domain.WHOLE, _domain.INTERVAL)
        kinds[columns.unit] = _domain.UNIT_NORM
        for place, group in enumerate(columns.groups):
            kinds[group] = _domain.GROUP + place
        most = np.finfo(np.float64).max  # which every number is within
        ends = [np.clip(end, -most, most) for end in (columns.lower, columns.upper)]
    return {
        "domain_lower": ends[0],
        "domain_upper": ends[1],
        "domain_kinds": kinds,
        "tree_features": np.array(trees.features, dtype=np.int64),
        "tree_limits": np.array(trees.limits, dtype=np.float64),
        "multipliers": np.reshape(np.array(trees.multipliers, dtype=float), (-1, 2)),
    }


def _claims(bound, problem, own_rows):
    """Return the claims; an error where they are worse than what was fitted.

    On restricted domains a file can prove less than was found, of the bound's own rows.
    """
    proven = problem.threat.upper_bounds(problem)
    try:
        proven["lower_bound"] = max(problem.threat.lower_bound(problem), 0.0)
    except _proof.Refuted as refuted:
        raise ValueError(f"The lower bound cannot be proven: {refuted}.") from None
    scale = TOLERANCE * max(abs(bound.upper_bound_), 1e-3)
    higher = proven["upper_bound"] - bound.upper_bound_
    # Of several classes, branch and bound has stopped at what was precise enough.
    is_better = bound._objective.of_classes is not None and higher < 0.0
    off = 0.0 if is_better else abs(higher)
    if off > scale and problem.header["kind"] == "classes":
        raise ValueError(
            f"No certificate file can hold the proof of estimator={bound.estimator!r} "
            f"for {len(bound.classes_)} classes: it takes more than {_file.MOST} "
            "boxes."
        )
    lower = proven["lower_bound"] - bound.lower_bound_
    if max(off, abs(lower)) > scale:
        ends = (
            f"proven are {proven['lower_bound']!r} to {proven['upper_bound']!r}, "
            f"fitted were {float(bound.lower_bound_)!r} to "
            f"{float(bound.upper_bound_)!r}"
        )
        is_weaker = higher > -scale and lower < scale
        if own_rows and is_weaker and problem.header.get("domain", "real") != "real":
            return _weaker(bound, proven, ends)
        raise ValueError(
            f"The rows do not give the bounds that were fitted: {ends}. Pass the rows "
            "that were passed to fit, in the same order. Rows that lie very far from "
            "the origin for their spread are better centered first."
        )
    return proven


def _weaker(bound, proven, ends):
    """Return claims that prove less than was fitted, with a warning."""
    if not np.isfinite(proven["upper_bound"]):
        raise ValueError(
            "No certificate file can hold the proof of this bound: of the rows that "
            f"domain={bound.domain!r} and the filter leave, multipliers of sphere and "
            "slab prove nothing."
        )
    warnings.warn(
        f"The certificate proves less than was fitted: {ends}. Multipliers of sphere "
        "and slab leave a gap on this domain, and poison rows at the very edge of the "
        "filter are left out.",
        FilterWarning,
        stacklevel=5,
    )
    return proven


def _offsets(region, wider):
    """Return the slab's ends, and those with the filter's rounding; 0 without one."""
    if region.direction is None:
        return (0.0, 0.0, 0.0, 0.0)
    return (region.lower, region.upper, wider.lower, wider.upper)


def _poison_arrays(problem, dual, regions):
    """Return the arrays of the poison rows."""
    if problem.loss.of_errors:
        labels, sets = dual.labels, np.zeros(len(dual.labels), dtype=int)
    else:
        labels = (dual.labels > 0.0).astype(np.float64)
        sets = labels.astype(int)
    points, used = _moved_inside(problem, dual.points, sets, regions)
    return points | {
        "poison_labels": labels[used],
        "poison_masses": dual.poison_masses[used],
        "poison_slopes": dual.poison_slopes[used],
    }


def _moved_inside(problem, points, sets, regions):
    """Return the arrays of rows, moved inwards until they are inside; and which are."""
    points = sparse.csr_array(points)
    found = [
        _inside(problem, regions[k], k, points[[i]].toarray()[0])
        for i, k in enumerate(sets)
    ]
    used = [i for i, row in enumerate(found) if row is not None]
    n_features = problem.rows.n_features
    inside = [sparse.csr_array(found[i][np.newaxis]) for i in used]
    rows = rows_of(sparse.vstack(inside) if used else np.zeros((0, n_features)))
    arrays = {"poison_data": rows.data, "poison_indices": rows.indices}
    return arrays | {"poison_indptr": rows.indptr}, used


def _inside(problem, region, k, point):
    """Return the first row on the way inwards that the verifier takes, or None.

    Rows of whole numbers cannot move: what they weigh is then lost.
    """
    for margin in SHRINKS if region.is_convex else SHRINKS[:1]:
        moved = region.shrink(point, margin)
        if _proof.is_inside(problem, k, moved):
            return moved
    return None
