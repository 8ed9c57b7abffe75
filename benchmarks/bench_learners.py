"""CertifiedBound(estimator=…): values, speed, agreement with cones, attacks.

Run with ``SKPOISON_DATA=folder OMP_NUM_THREADS=1 python benchmarks/bench_learners.py``;
name sections (``values speed spam cones attacks``) to run only those, and give
``--part 2/5``, for example, to run a fifth of each: every fifth learner, and a fifth of
the attacks. Times are CPU seconds in one process; a ratio is to a fit of the same
scikit-learn estimator at its own tolerance.
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
    sphere_and_slab,
)
from bench_bound import ones_and_sevens, spam_rows
from oracles import KINDS, conic_bound_of_loss, labelled_rows
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.svm import LinearSVC
from test_bound_estimators import LEARNERS, PRECISE, objective, random_attack

from skpoison import CertifiedBound

# The intercept is free, also for the squared hinge, which only SGDClassifier leaves so:
# its alpha stands for 1 / (C n) without poison, as C n alpha (1 + epsilon) = 1.
KNOWN = {
    ("log_loss", 1.0, 0.03): 0.05281,
    ("log_loss", 1.0, 0.3): 0.06986,
    ("log_loss", 1e-3, 0.03): 0.16109,
    ("squared_hinge", 1.0, 0.03): 0.06471,
    ("squared_hinge", 1.0, 0.3): 0.07272,
    ("squared_hinge", 1e-3, 0.03): 0.08416,
    ("squared_hinge", 1e-3, 0.3): 0.09673,
}


def main():
    sections = {
        "values": values,
        "speed": speed,
        "spam": spam,
        "cones": cones,
        "attacks": attacks,
    }
    run_sections(sections, __doc__)


def values(part):
    X, y, *_ = ones_and_sevens()
    for (loss, C, epsilon), known in part.take(list(KNOWN.items())):
        n_trained = len(X) + int(epsilon * len(X))
        sgd = SGDClassifier(loss, alpha=1.0 / (C * n_trained))
        bound = CertifiedBound(epsilon=epsilon, estimator=sgd, tol=1e-5, random_state=0)
        bound.fit(X, y)
        off = bound.upper_bound_ - known
        print(
            f"{loss:14} C={C:<6g} epsilon={epsilon:<5g} "
            f"U* in [{bound.lower_bound_:.6f}, {bound.upper_bound_:.6f}], known "
            f"{known:.5f}, off {off:+.1e}, attack {bound.attack_loss_:.6f}"
        )
        assert abs(off) < 1e-5


def speed(part):
    X, y, *_ = ones_and_sevens()
    n_rows = len(X)
    compare(
        X,
        y,
        part.take(
            [
                LinearSVC(loss="hinge"),
                LinearSVC(),
                LogisticRegression(),
                LogisticRegression(C=1e-3),
                RidgeClassifier(),
                SGDClassifier(alpha=1 / n_rows),
                SGDClassifier("log_loss", alpha=1 / n_rows),
                SGDClassifier("modified_huber", alpha=1 / n_rows),
            ]
        ),
    )


def spam(part):
    X, y = spam_rows()
    X.data = np.log1p(X.data)
    learners = [LinearSVC(loss="hinge"), LinearSVC(), LogisticRegression()]
    compare(X, y, part.take(learners))


def cones(part):
    """Random small problems of each learner, solved whole as conic programs."""
    for learner in part.take(LEARNERS):
        found = [distance(learner, seed) for seed in range(part.problems)]
        report_distances(learner[0], found)


def distance(learner, seed):
    estimator, loss, penalty, intercept = learner
    rng = np.random.default_rng(seed)
    X, y = labelled_rows(seed, KINDS[seed % 5], gap=rng.choice([0.0, 0.3, 3.0]))
    epsilon = rng.choice([0.05, 0.2, 1.0])
    filter_ = sphere_and_slab(rng.choice([60, 80, 100]))
    bound = CertifiedBound(filter_, epsilon, estimator=estimator, tol=1e-6).fit(X, y)
    sets = zip((-1.0, 1.0), bound.filter_.feasible_set().sets, strict=True)
    n_trained = len(X) + int(epsilon * len(X) + 1e-9)
    try:
        best = conic_bound_of_loss(
            X,
            2.0 * y - 1.0,
            list(sets),
            epsilon,
            loss=loss,
            penalty=penalty(n_trained) / len(X),
            intercept=intercept,
        )
    except AssertionError:  # the conic solver gave up
        return np.nan
    return abs(bound.upper_bound_ - best)


def attacks(part):
    """Random rows, refined ones and `attack_`, trained by scikit-learn's estimators."""
    attack_with(PRECISE, ratios, part)


def ratios(learner, seed):
    """Yield losses as shares of the bound on one small problem."""
    rng = np.random.default_rng(seed)
    X, y = labelled_rows(seed, KINDS[seed % 3], gap=rng.choice([0.3, 1.0]))
    epsilon = rng.choice([0.05, 0.2, 0.5])
    bound = CertifiedBound(sphere_and_slab(80), epsilon, estimator=learner[0]).fit(X, y)
    n_poison, found = int(epsilon * len(X) + 1e-9), bound.attack_
    sent = [random_attack(rng, bound, n_poison) for _ in range(24)]
    sent[12:] = [refined(bound, one, X, y, worse) for one in sent[12:]]
    sent.append([np.repeat(part, found.n_copies, 0) for part in (found.X, found.y)])
    for X_poison, y_poison in sent:
        rows, labels = np.vstack([X, X_poison]), np.append(y, y_poison)
        fitted = clone(learner[0]).fit(rows, labels)
        w, b = np.ravel(fitted.coef_), np.ravel(fitted.intercept_)[0]
        yield objective(w, b, rows, labels, len(X), learner) / bound.upper_bound_


def worse(bound, model, rows, labels):
    """Return the rows of each label that raise the loss of a model most."""
    feasible, loss = bound.filter_.feasible_set(), bound._objective.loss
    signs = 2.0 * labels - 1.0
    slopes = loss.derivative(signs * model.decision_function(rows))
    # Where the loss is flat, it rises where the margin falls.
    towards = np.where(slopes == 0.0, -signs, signs * slopes)
    pairs = zip(labels, towards, strict=True)
    points = [feasible[k].support(t * np.ravel(model.coef_))[1] for k, t in pairs]
    return np.reshape(points, rows.shape), labels


if __name__ == "__main__":
    main()
