"""Attacks on a classifier, and a filter chosen against them
=========================================================

Measure the effect of attacks on a classifier, and choose a filter against them.

Handwritten digits, 1 against 8: several attacks that adapt to the defense, against
filters that keep more or fewer rows; then the percentile with the smallest held-out
loss under attack. Run it as ``python examples/poison_tabular.py robustness.png``.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score, train_test_split

from skpoison import (
    CertifiedBound,
    FilteredClassifier,
    NormConstrainedSVC,
    PoisonedClassifier,
    SlabFilter,
    SphereFilter,
)
from skpoison.attacks import LabelFlipAttack, MinMaxAttack
from skpoison.evaluation import DefenseSearchCV, evaluate_attack
from skpoison.inspection import DefenseDisplay, RobustnessDisplay

RHO = 2.0


def main(path=None):
    X, y = load_digits(return_X_y=True)
    rows = np.isin(y, [1, 8])
    X, X_test, y, y_test = train_test_split(X[rows] / 16, y[rows], random_state=0)
    svc = NormConstrainedSVC(rho=RHO, random_state=0)
    worst = MinMaxAttack(0.2, rho=RHO, random_state=0)

    robust = FilteredClassifier(SphereFilter(70) & SlabFilter(70), svc)
    attacked = PoisonedClassifier(worst, robust)
    print("accuracy, clean:   ", cross_val_score(robust, X, y).mean().round(3))
    print("accuracy, attacked:", cross_val_score(attacked, X, y).mean().round(3))

    results = evaluate_attack(
        {"flips": LabelFlipAttack(random_state=0), "min-max": worst},
        {f"percentile {p}": SphereFilter(p) & SlabFilter(p) for p in (50, 70, 90)},
        svc,
        X,
        y,
        X_test,
        y_test,
        epsilons=[0.0, 0.03, 0.1, 0.2, 0.3],
    )
    grid = {"filter__percentile": [50, 60, 70, 80, 90, 100]}
    search = DefenseSearchCV(worst, FilteredClassifier(SphereFilter(), svc), grid, cv=3)
    search.fit(X, y)
    print("smallest held-out loss under attack:", search.best_params_)

    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    RobustnessDisplay.from_results(results, metric="loss", ax=left)
    bound = CertifiedBound(epsilon=0.2, rho=RHO, random_state=0)
    DefenseDisplay.from_search(search, bound=bound, X=X, y=y, ax=right)
    if path is None:
        plt.show()
    else:
        figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
