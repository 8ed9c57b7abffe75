"""What ``skpoison certify`` computes."""

import warnings
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from threadpoolctl import threadpool_limits

from skpoison import __version__, bound_curve
from skpoison._whole_rows import copied_points, n_poison_rows
from skpoison.exceptions import FilterWarning
from skpoison.inspection._losses import learned_by, learned_loss, mean_loss, scores_of

from .settings import domain_of
from .targets import NOT_MEASURED

# The solver's own floor: bounds below it count as zero for the tolerance.
LOSS_FLOOR = 1e-3
NARROW = 64


class Certificate(NamedTuple):
    """What was found out.

    `numbers` is what ``--json`` writes. The last bound of `curve` is that of no poison;
    with moving centroids, `fixed` has the bounds with fixed ones. The two losses are
    mean losses on all clean rows without an attack, of the learners that were
    trained on the rows that the filter keeps and on all rows.
    """

    numbers: dict
    curve: object
    filtered_loss: float
    unfiltered_loss: float
    fixed: object = None


class Ticker:
    """Callback that calls `advance` after every bound."""

    def __init__(self, advance):
        self._advance = advance

    def setup(self, estimator, context):
        """Nothing to prepare."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing to tell yet."""

    def on_fit_task_end(self, estimator, context):
        """Tell."""
        if context.task_name == "bound":
            self._advance()

    def teardown(self, estimator, context):
        """Nothing to clean up."""


def few_threads(X):
    """Return a context in which products with few columns use one thread.

    Memory bounds them, so that more threads gain nothing, and where other work runs on
    the same processors they wait for one another many times as long as they work.
    """
    narrow = X.shape[1] <= NARROW
    return threadpool_limits(1 if narrow else None, user_api="blas")


def certify(sample, settings, advance=None, files=None):
    """Bound the damage for each share of poison, and measure the candidate attacks.

    With `files`, bounds are over all of their rows, and the sample says how these
    become numbers.
    """
    with few_threads(sample.X):
        return _certify(sample, settings, advance, files)


def _certify(sample, settings, advance, files):
    # A bound without poison is the learner on clean rows; the walk gets it cheaply.
    epsilons = [*settings.epsilons, 0.0]
    domain = domain_of(settings.domain, sample.encoder)
    bound = settings.bound(domain=domain)
    if advance is not None:
        bound.set_callbacks(Ticker(advance))
    # A bound takes the targets of rows in blocks from these.
    rows = (sample.X, sample.y) if files is None else (files, None)
    curve = bound_curve(bound, *rows, epsilons)
    *bounds, clean = curve.estimators
    if not reached(clean, settings.tol):
        clean = _unpoisoned(settings, clean.filter_, *rows)
    kept = _kept(clean.filter_, *rows)
    filtered = _unpoisoned(settings, clean.filter_, *kept)
    described = {} if files is None else files.describe(sample.target)
    numbers = {
        "skpoison": __version__,
        "command": "certify",
        "data": sample.describe() | described,
        "settings": asdict(settings),
        "defense": _defense(clean.filter_, settings.defense, kept[0], rows[0]),
        **_of_constant(sample),
        "no_attack": {
            "all_rows": _clean_performance(clean, sample),
            "kept_rows": _clean_performance(filtered, sample),
        },
        "bounds": [_row(bound, sample, settings, rows[0]) for bound in bounds],
    }
    cost = _cost(filtered, *rows)
    fixed = None
    if settings.is_moving:
        bound = settings.bound(defense="fixed", domain=domain)
        fixed = bound_curve(bound, sample.X, sample.y, epsilons)
    return Certificate(numbers, curve, cost, clean.clean_loss_, fixed)


def _defense(filter_, kind, kept, rows):
    members = filter_.named_filters_
    radii = {name: member.radii_.tolist() for name, member in members.items()}
    return {
        "kind": kind,
        "filters": list(members),
        "sphere_radii": radii["sphere"],
        "slab_half_widths": radii.get("slab"),
        "n_kept": kept.shape[0],
        "kept_share": kept.shape[0] / rows.shape[0],
    }


def _kept(filter_, X, y):
    """Return the rows that the filter keeps, and their targets."""
    if y is None:
        return X.kept(filter_), None
    kept = np.flatnonzero(filter_.inlier_mask_)
    # Of dense rows, take needs half the time of an index.
    rows = X[kept] if sparse.issparse(X) else np.take(X, kept, axis=0)
    return rows, y[kept]


def _cost(filtered, X, y):
    """Return the mean loss on all rows of the learner that was trained on kept ones."""
    if y is not None:
        return learned_loss(filtered, X, y)
    coef, intercept, loss = learned_by(filtered)
    return X.mean_loss(loss, np.append(np.ravel(coef), np.ravel(intercept)))


def _unpoisoned(settings, filter_, X, signs):
    """Train without poison, to the end, however few steps the bounds may take."""
    # The filter stays as it is: radii measured again on the kept rows would shrink.
    frozen = FrozenEstimator(filter_)
    bound = settings.bound(filter=frozen, epsilon=0.0, max_iter=None, defense="fixed")
    return bound.fit(X, signs)


def _clean_performance(bound, sample):
    """Return the performance of a learner that no poison reaches."""
    return {"train_loss": bound.upper_bound_} | _performance(bound, sample)


def reached(bound, tol):
    """Tell whether upper and lower bound have come as close as asked for."""
    return bool(bound.dual_gap_ <= tol * max(bound.upper_bound_, LOSS_FLOOR))


def _row(bound, sample, settings, rows):
    learned = bound.poisoned_coef_, bound.poisoned_intercept_, bound._poisoned_loss
    attacked = _performance(bound, sample, learned)
    row = {
        "epsilon": float(bound.epsilon),
        "n_allowed": n_poison_rows(bound.epsilon, rows.shape[0]),
        "attack_rows": int(bound.attack_.n_copies.sum()),
        "upper_bound": bound.upper_bound_,
        "lower_bound": bound.lower_bound_,
        "dual_gap": bound.dual_gap_,
        "converged": reached(bound, settings.tol),
        "is_exact": bound.is_exact_,
        "error_bound": _error_bound(bound),
        "clean_loss": bound.clean_loss_,
        "poison_loss": bound.poison_loss_,
        "attack_loss": bound.attack_loss_,
        "attack_test_loss": attacked["test_loss"],
        "attack_test_error": attacked["test_error"],
        "attack_test_mae": attacked["test_mae"],
        "n_iter": int(bound.n_iter_),
    }
    if settings.is_moving:
        row |= _behind_estimated_filters(bound, sample, settings)
    return row


def _behind_estimated_filters(bound, sample, settings):
    """Measure the attack behind filters that are fitted on poisoned rows.

    One estimates its centroids only, the other everything.
    """
    attack = bound.attack_
    learned = attack.filtered_coef, attack.filtered_intercept, bound._poisoned_loss
    moved = _performance(bound, sample, learned)
    estimated = _performance(_reestimated(bound, sample, settings), sample)
    return {
        "filtered_test_loss": moved["test_loss"],
        "filtered_test_error": moved["test_error"],
        "reestimated_test_loss": estimated["test_loss"],
        "reestimated_test_error": estimated["test_error"],
    }


def _reestimated(bound, sample, settings):
    """Train on the rows that the filter keeps which is fitted on poison too."""
    attack = bound.attack_
    copies = attack.X[copied_points(attack.n_copies)]
    if sparse.issparse(sample.X):
        X = sparse.vstack([sample.X, copies], format="csr")
    else:
        X = np.vstack([sample.X, copies])
    y = np.append(sample.y, np.repeat(attack.y, attack.n_copies))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FilterWarning)
        fitted = clone(settings.bound().filter).fit(X, y)
    kept = np.flatnonzero(fitted.inlier_mask_)
    return _unpoisoned(settings, bound.filter_, X[kept], y[kept])


def _error_bound(bound):
    """The most clean rows that can be wrong, as a share; None of numbers."""
    return None if np.isnan(bound.error_bound_) else bound.error_bound_


def _performance(bound, sample, learned=None):
    """Return mean loss and errors on the test rows, if there are any.

    They are those of a bound's learner, or of other coefficients, intercept and loss.
    """
    if sample.X_test is None:
        return {"test_loss": None, **NOT_MEASURED}
    coef, intercept, loss = learned or learned_by(bound)
    rows = sample.X_test, sample.y_test
    loss = mean_loss(bound, loss, coef, intercept, *rows)
    scores = scores_of(sample.X_test, coef, intercept)
    return {"test_loss": loss, **sample.target.performance(scores, sample.y_test)}


def _of_constant(sample):
    """Return how wrong the best constant prediction is on the test rows."""
    measured = NOT_MEASURED
    if sample.X_test is not None:
        measured = sample.target.of_constant(sample.y_test)
    return {f"constant_{name}": value for name, value in measured.items()}
