"""CertifiedBound for several classes: digits, MNIST, cones, attacks.

Run with ``SKPOISON_DATA=folder OMP_NUM_THREADS=1 python benchmarks/bench_classes.py``;
name sections (``digits mnist cones attacks``) to run only those, and give ``--part
2/5``, for example, to run a fifth of each: every fifth learner, and a fifth of the
attacks. ``--problems 100`` solves a third of the problems of ``cones`` for each loss.
Times are CPU seconds in one process.
"""

import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from _bound_checks import (
    attack_with,
    refined,
    report_distances,
    run_sections,
)
from class_oracles import ConicGame, class_objective, class_rows
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.svm import LinearSVC
from test_bound_multiclass import (
    EPSILONS,
    JOINT,
    KINDS,
    LEARNERS,
    PRECISE,
    random_attack,
    sphere_and_slab,
)

from skpoison import CertifiedBound
from skpoison.bounds import training_gap

N_DIGITS = 1300
SETTINGS = [
    (LogisticRegression(C=0.01), 0.03),
    (LogisticRegression(), 0.03),
    (LogisticRegression(), 0.1),
    (JOINT, 0.03),
    (LinearSVC(), 0.03),
    (LinearSVC(loss="hinge"), 0.03),
    (RidgeClassifier(), 0.03),
    (SGDClassifier("log_loss", alpha=1 / N_DIGITS), 0.03),
    (SGDClassifier("modified_huber", alpha=1 / N_DIGITS), 0.03),
]


def main():
    sections = {"digits": digits, "mnist": mnist, "cones": cones, "attacks": attacks}
    run_sections(sections, __doc__)


def digits(part):
    X, y = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(X))
    rows, test = order[:N_DIGITS], order[N_DIGITS:]
    for estimator, epsilon in part.take(SETTINGS):
        report(
            estimator, epsilon, X[rows] / 16, y[rows], X[test] / 16, y[test], tol=1e-3
        )


def mnist(part):
    data = np.load(Path(os.environ["SKPOISON_DATA"]) / "mnist.npz")
    names = "X_train", "y_train", "X_test", "y_test"
    X, y, X_test, y_test = (data[name] for name in names)
    for estimator in part.take((LogisticRegression(), JOINT, LinearSVC())):
        report(estimator, 0.03, X / 255, y, X_test / 255, y_test, tol=1e-2)


def report(estimator, epsilon, X, y, X_test, y_test, *, tol):
    start = time.process_time()
    bound = CertifiedBound(epsilon=epsilon, estimator=estimator, tol=tol)
    bound.set_params(random_state=0).fit(X, y)
    seconds = time.process_time() - start
    clean = bound.train_learner(X, y).predict(X_test)
    scores = X_test @ bound.poisoned_coef_.T + bound.poisoned_intercept_
    errors = [np.mean(found != y_test) for found in (clean, scores.argmax(axis=1))]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{estimator!s:60} epsilon={epsilon:<5g} [{bound.lower_bound_:.5f}, "
        f"{bound.upper_bound_:.5f}], gap {bound.dual_gap_ / bound.upper_bound_:.1e}, "
        f"attack {bound.attack_loss_:.5f} ({len(bound.attack_.y)} rows), test error "
        f"{errors[0]:.3f} to {errors[1]:.3f}, {seconds:.1f} s, {memory:.2f} GB",
        flush=True,
    )


def cones(part):
    """Random small problems of each loss, solved whole as conic programs."""
    n_learners = Counter(loss for _, loss, *_ in LEARNERS)
    for learner in part.take(LEARNERS):
        n_problems = -(-part.problems // n_learners[learner[1]])
        found = [distance(learner, seed) for seed in range(n_problems)]
        report_distances(learner[0], found, fewest=0.8)


def distance(learner, seed):
    estimator, loss, penalty, intercept = learner
    X, y = class_rows(seed, KINDS[seed % 4], gap=(1.0, 0.3, 2.0)[seed % 3])
    epsilon = EPSILONS[seed % 4]
    filter_ = sphere_and_slab((60, 80, 100)[seed % 3])
    options = {"estimator": estimator, "tol": 1e-6, "random_state": 0}
    bound = CertifiedBound(filter_, epsilon, **options).fit(X, y)
    sets, found = bound.filter_.feasible_set().sets, bound.attack_
    times = penalty(len(X) + int(epsilon * len(X) + 1e-9)) / len(X)
    options = {"loss": loss, "penalty": times, "intercept": intercept}
    game = ConicGame(X, y, sets, epsilon, **options)
    lower, upper = game.solve(list(zip(found.X, found.y, strict=True)))
    if upper - lower > 1e-5:  # the conic solver gave up
        return np.nan
    return max(abs(bound.upper_bound_ - upper), abs(bound.lower_bound_ - lower))


def attacks(part):
    """Random rows, refined ones and `attack_`, trained by scikit-learn's estimators."""
    attack_with(PRECISE, ratios, part)


def ratios(learner, seed):
    """Yield losses, less the training's own gap, as shares of a problem's bound."""
    estimator, loss, penalty, intercept = learner
    rng = np.random.default_rng(seed)
    X, y = class_rows(seed, KINDS[seed % 3], gap=rng.choice([0.3, 1.0]))
    epsilon = rng.choice([0.05, 0.2, 0.5])
    bound = CertifiedBound(sphere_and_slab(80), epsilon, estimator=estimator)
    n_poison, found = int(epsilon * len(X) + 1e-9), bound.fit(X, y).attack_
    sent = [random_attack(rng, bound, n_poison) for _ in range(24)]
    sent[12:] = [refined(bound, one, X, y, worse) for one in sent[12:]]
    sent.append([np.repeat(part, found.n_copies, 0) for part in (found.X, found.y)])
    for X_poison, y_poison in sent:
        rows, labels = np.vstack([X, X_poison]), np.append(y, y_poison)
        model = clone(estimator).fit(rows, labels)
        parameters = model.coef_, model.intercept_
        times = penalty(len(rows))
        value = class_objective(
            loss, *parameters, rows, labels, len(X), times, intercept
        )
        if value > bound.upper_bound_:  # it may be the solver that stopped early
            value -= training_gap(model, rows, labels) * len(rows) / len(X)
        yield value / bound.upper_bound_


def worse(bound, model, rows, labels):
    """Return the rows of each class that raise the loss of a model most."""
    feasible, learner = bound.filter_.feasible_set(), bound._objective.of_classes
    codes = np.searchsorted(bound.classes_, labels)
    towards = learner.slopes(model.decision_function(rows), codes) @ model.coef_
    pairs = zip(labels, towards, strict=True)
    points = [feasible[label].support(a)[1] for label, a in pairs]
    return np.reshape(points, rows.shape), labels


if __name__ == "__main__":
    main()
