"""The bound for rows that are in blocks, of which few are in memory at once.

What :mod:`skpoison.bounds._any_loss` does, from sums over all rows. See
docs/mathematics.md, section "Rows in blocks".
"""

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_consistent_length

from skpoison._labels import check_two_classes, find_labels
from skpoison._residual_losses import ConcomitantHuber
from skpoison._whole_rows import n_poison_rows
from skpoison.bounds._any_loss import poison_lower_margin, poison_upper_margin
from skpoison.bounds._candidate_attack import build_attack
from skpoison.bounds._projected import moved_inside, widened
from skpoison.bounds._result import CertifiedValues, Result
from skpoison.bounds._rounding import relative_error
from skpoison.bounds._survey import Survey, rows_of
from skpoison.bounds._target_range import read_target_range
from skpoison.bounds._weights import LossWeights, class_weights
from skpoison.solvers import _out_of_core
from skpoison.solvers._block_sums import Few
from skpoison.solvers._out_of_core import BlockProblem
from skpoison.solvers._signed_design import Rows
from skpoison.solvers._worst_rows import NO_PIECES, WorstRows

MAX_STEPS = 1000
# No loss with slopes of any size bends more than this.
MOST_CURVED = 2.0


class BlockedRows:
    """Rows with labels or targets in blocks, as a bound sees them.

    Engines have a subclass, which looks at the blocks and fits filters.

    Parameters
    ----------
    seen : Survey
        What a first pass has seen of them.
    """

    def __init__(self, seen: Survey) -> None:
        self.seen = seen
        # What each label weighs; for all rows, in regression.
        self.weights: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and of features."""
        assert self.seen.form is not None
        return self.seen.n_rows, self.seen.form.n_features

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.seen.n_rows

    @property
    def example(self) -> Any:
        """One row, in the form of all."""
        return self.seen.X[:1]

    def fitted(self, filter_: Any) -> Any:
        """Fit a filter on all rows."""
        raise NotImplementedError

    def look(self, look: Any) -> Any:
        """Return what a look finds in all blocks."""
        raise NotImplementedError

    def weigh(self, weights: np.ndarray) -> None:
        """Set what a row of each label weighs, relative to the number of rows."""
        self.weights = np.asarray(weights, dtype=np.float64) / self.n_rows

    @property
    def mass(self) -> float:
        """The sum of the weights of all rows."""
        return float(self.weights @ self.seen.counts)

    @property
    def mean_square(self) -> float:
        """The weighted sum of the squared norms of all rows."""
        return float(self.weights @ self.seen.squares)

    def few(self) -> Few:
        """Return the rows drawn, which weigh what all do."""
        block = block_of(self.seen.X, self.seen.y, self.seen.labels, self.weights)
        block = block._replace(rows=block.rows.take(np.arange(block.n_rows)))
        return block._replace(weights=block.weights * (self.mass / block.weights.sum()))


def block_of(X: Any, y: Any, labels: Any, weights: np.ndarray) -> Few:
    """Return the rows of a block, with weights and the signs of their labels."""
    X = rows_of(X)
    check_consistent_length(X, y)
    if sparse.issparse(X) and X.dtype != np.float64:
        X = X.astype(np.float64)
    if labels is None:
        n_rows = X.shape[0]
        targets = np.asarray(y, dtype=np.float64)
        return Few(Rows(X, np.ones(n_rows)), np.full(n_rows, weights[0]), targets)
    codes = find_labels(y, labels)
    if (codes < 0).any():
        raise ValueError(
            "Every pass must see the same rows, but labels are now other than "
            f"{labels.tolist()}."
        )
    return Few(Rows(X, 2.0 * codes - 1.0), weights[codes])


def received(bound: Any, rows: BlockedRows, name: str) -> None:
    """Set what an estimator knows of its rows, or refuse them."""
    form = rows.seen.form
    assert form is not None
    bound.n_features_in_ = form.n_features
    vars(bound).pop("feature_names_in_", None)
    if form.names is not None:
        bound.feature_names_in_ = np.array(form.names, dtype=object)
    if rows.seen.labels is None:
        bound.target_range_ = read_target_range(
            bound.target_range, np.array(rows.seen.ends)
        )
        vars(bound).pop("classes_", None)
        return
    bound.classes_ = rows.seen.labels
    check_two_classes(name, bound.classes_, or_more=True)
    if len(bound.classes_) > 2:
        raise ValueError(
            f"Of Dask collections, only two classes are supported by {name}; y has "
            f"{len(bound.classes_)}. Compare one of them with the rest (y == label), "
            "or pass rows in memory."
        )


def check_supported(bound: Any, objective: Any, sample_weight: Any) -> None:
    """Refuse what has no bound where rows are in blocks."""
    reason = None
    if bound.defense != "fixed":
        reason = f"defense={bound.defense!r}"
    elif not (bound.domain is None or bound.domain == "real"):
        reason = f"domain={bound.domain!r}"
    elif sample_weight is not None:
        reason = "sample_weight"
    elif isinstance(objective.loss, ConcomitantHuber):
        reason = f"estimator={bound.estimator!r}"
    if reason is not None:
        raise TypeError(
            f"X is a Dask collection, for which there is no bound with {reason}: pass "
            "X.compute(), or a sample of the rows. Dask collections are bounded for "
            "two classes, or targets, with defense='fixed', domain='real', without "
            "sample_weight, for LinearSVC, LogisticRegression, RidgeClassifier, "
            "SGDClassifier, NormConstrainedSVC, Ridge, LinearSVR and SGDRegressor."
        )


def weights_of(objective: Any, rows: BlockedRows, max_weight: float) -> LossWeights:
    """Return what the losses of each label weigh, and set it for the rows."""
    labels, counts = rows.seen.labels, rows.seen.counts
    of_labels = np.ones(len(counts))
    given = objective.class_weight
    if isinstance(given, str):  # "balanced"
        of_labels = rows.n_rows / (len(counts) * counts)
    elif given is not None:
        found = class_weights(given, labels, np.arange(len(labels)))
        of_labels = of_labels if found is None else found
    rows.weigh(of_labels)
    return LossWeights(of_labels, max_weight * of_labels, counts)


def prepare(
    objective: Any, rows: BlockedRows, pieces: Any, epsilon: float
) -> BlockProblem:
    """Return the problem of a learner that faces an attacker."""
    n_rows, n_features = rows.shape
    n_trained = n_rows + n_poison_rows(epsilon, n_rows)
    return BlockProblem(
        rows,
        rows.mass,
        rows.few(),
        None,
        WorstRows(epsilon, objective.loss, pieces),
        objective.loss,
        objective.stiffness(n_features, n_rows, n_trained),
        objective.rho,
    )


def learner_in_ball(rows: BlockedRows, loss: Any, rho: float) -> BlockProblem:
    """Return the problem of a learner in a ball that nobody attacks."""
    nobody, dim = WorstRows(0.0, loss, NO_PIECES), rows.shape[1] + 1
    parts = rows, rows.mass, rows.few(), None, nobody, loss, np.ones(dim), rho
    return BlockProblem(*parts)


def minimize(problem: Any, *, max_iter: Any, start: Any, **options: Any) -> Any:
    """Minimize the bound, from a solution for another share of poison if given."""
    options["max_iter"] = max_iter or MAX_STEPS
    return _out_of_core.solve(problem, start=start, **options)


def certify(
    problem: Any, found: Any, objective: Any, keeps: Any, *, tol: float, rng: Any
) -> Result:
    """Evaluate a solution, and round its dual point to an attack in whole rows.

    `keeps` returns which rows, given with the signs of their labels or with their
    targets, the filter keeps.
    """
    found, example = _inside(problem, found), problem.source.example
    attack = build_attack(problem, found, problem.source.n_rows, keeps, example.dtype)
    trained = _out_of_core.solve(
        _poisoned(problem, objective, attack),
        tol=tol,
        max_iter=MAX_STEPS,
        rng=rng,
        start=found,
    )
    return Result(found, problem, _certificate(problem, found), attack, trained, {})


def _inside(problem, found):
    """Return a solution whose dual points are inside the attacker's sets."""
    dual = found.best_dual
    poison = moved_inside(problem.poison.sets, dual.poison)
    return replace(found, best_dual=replace(dual, poison=poison))


def _poisoned(problem, objective, attack):
    """Return the problem of training on the clean rows and an attack."""
    n_rows, pieces = problem.source.n_rows, problem.poison.pieces
    labels, targets, signs = attack.signs, None, attack.signs
    if problem.few.targets is not None:
        targets, signs = labels, np.ones(len(labels))
    places = [np.flatnonzero(pieces.labels == label)[0] for label in labels]
    each = pieces.weights[np.array(places, dtype=int)]
    X = np.asarray(attack.points, dtype=np.float64)
    if problem.rows.is_sparse:
        X = sparse.csr_matrix(X)
    extra = Few(Rows(X, signs), each * attack.copies / n_rows, targets)
    n_trained = n_rows + int(attack.copies.sum())
    return problem._replace(
        extra=extra if len(labels) else None,
        poison=WorstRows(0.0, problem.loss, NO_PIECES),
        stiffness=objective.stiffness(problem.rows.dim - 1, n_rows, n_trained),
    )


def _certificate(problem, found):
    """Widen the sets by the filter's own rounding, and the bound by the sums'."""
    theta, sums, dual = found.best_primal.theta, found.primal_sums, found.best_dual
    poison, example = problem.poison, problem.source.example
    wider = poison.over([widened(one, example) for one in poison.sets])
    poison_loss = float(wider.largest_loss(theta))
    upper = sums.value + poison.epsilon * poison_loss + problem.penalty(theta)
    upper = float(upper + _upper_margin(problem, wider, theta, sums))
    point = found.dual_sums, dual.poison, dual.poison_slopes
    lower = problem.lower(*point) - _lower_margin(problem, *point)
    return CertifiedValues(theta, sums.value, poison_loss, upper, max(lower, 0.0))


def _upper_margin(problem, poison, theta, sums):
    """Return twice what rounding can have taken from the bound at parameters.

    Sums of products of two numbers for each row are bounded by those of their squares.
    """
    rows, loss = problem.source, problem.loss
    total, product = relative_error(rows.n_rows + 2), relative_error(problem.rows.dim)
    norm_w, size_b = float(np.linalg.norm(theta[:-1])), abs(float(theta[-1]))
    off = norm_w**2 * rows.mean_square + (size_b + 1.0) ** 2 * rows.mass
    off = 3.0 * product**2 * (off + rows.weights[0] * rows.seen.target_squares)
    steepest = max(-loss.slope_range[0], loss.slope_range[1])
    if np.isfinite(steepest):
        error = steepest * np.sqrt(rows.mass * off)
    else:
        error = np.sqrt(sums.squares * off) + MOST_CURVED * off
    error += total * sums.value + product * problem.penalty(theta)
    if problem.rho is not None:
        # Parameters beyond the ball are shortened, towards the loss at zero.
        excess = max(float(np.linalg.norm(theta)) / problem.rho - 1.0, 0.0)
        error += (excess + product) * (rows.mass + poison.epsilon)
    return 2.0 * float(error + poison_upper_margin(poison, theta, product))


def _lower_margin(problem, sums, points, slopes):
    """Return twice what rounding can have added to the dual value of a point."""
    even = problem.balanced(sums, points, slopes)
    if even is None:
        return 0.0
    rows, poison, (shares, slopes) = problem.source, problem.poison, even
    total, product = relative_error(rows.n_rows + 2), relative_error(problem.rows.dim)
    sizes = 2.0 * (rows.mean_square + rows.mass)
    moved, mass = total * np.sqrt(sums.squares * sizes), sums.sizes
    z = shares @ sums.z
    if poison:
        more = poison_lower_margin(poison, points, slopes, product)
        moved, mass = moved + more[0], mass + more[1]
        z = z + poison.dual_sum(points, slopes)
    error = total * mass + product * problem.conjugate(z)
    if problem.rho is not None:
        return 2.0 * float(error + problem.rho * moved)
    stiffness = problem.stiffness
    least = float(stiffness[stiffness > 0.0].min())
    length = float(np.linalg.norm(z[stiffness > 0.0]))
    error += (length * moved + 0.5 * moved * moved) / least
    if stiffness[-1] == 0.0:
        # What is left in z is as much of one row's slope, whose margin that costs.
        error += (moved + abs(float(z[-1]))) * (2.0 * sums.largest + 1.0)
    return 2.0 * float(error)
