"""CertifiedBound(estimator=…) of regressors and of learners with weights.

Agreement with cones, attacks, and time. Run with ``OMP_NUM_THREADS=1 python
benchmarks/bench_regressors.py``; name sections (``speed cones weights attacks``) to run
only those, and give ``--part 2/5``, for example, to run a fifth of each: every fifth
learner, and a fifth of the attacks. Times are CPU seconds in one process; a ratio is to
a fit of the same scikit-learn estimator at its own tolerance.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from _bound_checks import (
    attack_with,
    compare,
    refined,
    report_distances,
    run_sections,
)
from oracles import KINDS, conic_bound_of_loss, labelled_rows, rows_with_targets
from sklearn.base import clone
from sklearn.datasets import make_regression
from sklearn.linear_model import HuberRegressor, Ridge, SGDRegressor
from sklearn.svm import LinearSVR
from test_bound_regression import (
    LEARNERS,
    PRECISE,
    best_bound,
    objective,
    random_attack,
    sent_by,
)
from test_bound_weights import LEARNERS as WEIGHED
from test_bound_weights import weighted

from skpoison import CertifiedBound, SphereFilter


def main():
    sections = {"speed": speed, "cones": cones, "weights": weights, "attacks": attacks}
    run_sections(sections, __doc__)


def speed(part):
    """20,000 rows with 100 features, of which 30 enter the targets."""
    X, y = make_regression(20_000, 100, n_informative=30, noise=50.0, random_state=0)
    y /= y.std()
    compare(
        X,
        y,
        part.take(
            [
                Ridge(),
                LinearSVR(epsilon=0.1),
                LinearSVR(epsilon=0.1, loss="squared_epsilon_insensitive"),
                HuberRegressor(),
                SGDRegressor(),
                SGDRegressor("huber"),
            ]
        ),
    )


def cones(part):
    """Random small problems of each learner, solved whole as conic programs."""
    for learner in part.take(LEARNERS):
        found = [distance(learner, seed) for seed in range(part.problems)]
        report_distances(learner[0], found)


def distance(learner, seed):
    rng = np.random.default_rng(seed)
    X, y = rows_with_targets(seed, KINDS[seed % 5], noise=rng.choice([0.1, 1.0, 3.0]))
    epsilon = rng.choice([0.05, 0.2, 1.0])
    sphere = SphereFilter(rng.choice([60, 80, 100]))
    bound = CertifiedBound(sphere, epsilon, estimator=learner[0], tol=1e-6).fit(X, y)
    try:
        best = best_bound(X, y, bound, learner)
    except AssertionError:  # the conic solver gave up
        return np.nan
    return abs(bound.upper_bound_ - best) / max(best, 1.0)


def weights(part):
    """The same of classifiers with random weights of classes, rows and poison."""
    for learner in part.take(WEIGHED):
        found = [weighted_distance(learner, seed) for seed in range(part.problems)]
        report_distances(learner[0], found)


def weighted_distance(learner, seed):
    estimator, loss, penalty, intercept = learner
    rng = np.random.default_rng(seed)
    X, y = labelled_rows(seed, KINDS[seed % 5], gap=rng.choice([0.0, 0.3, 3.0]))
    of_class, of_rows = rng.uniform(0.1, 3.0, 2), weighted(seed, len(X))
    epsilon, most = rng.choice([0.05, 0.2, 1.0]), rng.uniform(0.5, 2.0)
    learner = clone(estimator).set_params(class_weight=dict(enumerate(of_class)))
    bound = CertifiedBound(
        SphereFilter(80), epsilon, estimator=learner, max_weight=most, tol=1e-6
    ).fit(X, y, of_rows)
    sets = zip((-1.0, 1.0), bound.filter_.feasible_set().sets, strict=True)
    try:
        best = conic_bound_of_loss(
            X,
            2.0 * y - 1.0,
            list(sets),
            epsilon,
            loss=loss,
            penalty=penalty / len(X),
            intercept=intercept,
            weights=of_class[y] * of_rows,
            most=most * of_class,
        )
    except AssertionError:  # the conic solver gave up
        return np.nan
    return abs(bound.upper_bound_ - best)


def attacks(part):
    """Random rows, refined ones and `attack_`, trained by scikit-learn's estimators."""
    attack_with(PRECISE, ratios, part, spare=1e-6)


def ratios(learner, seed):
    """Yield losses as shares of the bound on one small problem."""
    rng = np.random.default_rng(seed)
    X, y = rows_with_targets(seed, KINDS[seed % 3])
    epsilon = rng.choice([0.05, 0.2, 0.5])
    bound = CertifiedBound(SphereFilter(80), epsilon, estimator=learner[0]).fit(X, y)
    n_poison = int(epsilon * len(X) + 1e-9)
    sent = [random_attack(rng, bound, n_poison) for _ in range(24)]
    sent[12:] = [refined(bound, one, X, y, worse) for one in sent[12:]]
    for X_poison, y_poison in [*sent, sent_by(bound)]:
        rows, targets = np.vstack([X, X_poison]), np.append(y, y_poison)
        fitted = clone(learner[0]).fit(rows, targets)
        w, b = np.ravel(fitted.coef_), np.ravel(fitted.intercept_)[0]
        scale = getattr(fitted, "scale_", None)
        loss = objective(w, b, rows, targets, len(X), learner, scale)
        yield loss / bound.upper_bound_


def worse(bound, model, rows, targets):
    """Return the rows and the targets that raise the loss of a model most."""
    low, high = bound.target_range_
    is_above = np.ravel(model.predict(rows)) > targets
    region = bound.filter_.feasible_set().sets[0]
    towards = np.outer(np.where(is_above, 1.0, -1.0), np.ravel(model.coef_))
    points = [region.support(a)[1] for a in towards]
    return np.reshape(points, rows.shape), np.where(is_above, low, high)


if __name__ == "__main__":
    main()
