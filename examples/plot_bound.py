"""Bounds over the share of poison
===============================

Plot how much damage poison can do in spite of a filter, and the cost of the filter.

Plots the certified bounds for handwritten digits, 1 against 8, over the fraction of
rows that an attacker adds: in detail for one filter, and for filters that keep more or
fewer rows. Run it as ``python examples/plot_bound.py bound.png``.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skpoison import CertifiedBound
from skpoison.inspection import BoundDisplay


def main(path=None):
    X, y = load_digits(return_X_y=True)
    rows = np.isin(y, [1, 8])
    X, X_test, y, y_test = train_test_split(X[rows] / 16, y[rows], random_state=0)

    bound = CertifiedBound(rho=2.0, tol=1e-4, random_state=0)
    epsilons = np.linspace(0, 0.3, 13)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7, 2.9), layout="constrained")
    BoundDisplay.from_estimator(
        bound, X, y, epsilons=epsilons, X_test=X_test, y_test=y_test, ax=left
    )
    BoundDisplay.from_estimator(
        bound, X, y, epsilons=epsilons, percentiles=[50, 70, 90], ax=right
    )
    if path is None:
        plt.show()
    else:
        figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
